"""Cuts the list that `cargo metadata` prints down to the crates whose types a cell can name.

Of what llm_course depends on that are the crates it hands on (`pub use`), with those that their traits come from, and
of the standard library's workspace `std` with what its collections are made of; what a learner adds with `:dep` stays
whole.
"""

import json
import sys

CUT = {"llm_course", "tch", "ndarray", "num-complex", "num-integer", "num-traits"}
CUT |= {"rand", "rand_chacha", "rand_core", "serde", "serde_core", "serde_json"}
CUT |= {"sysroot", "std", "alloc", "core", "proc_macro", "hashbrown"}
CUT |= {"rustc-std-workspace-alloc", "rustc-std-workspace-core"}
START = {"ctx", "sysroot"}  # evcxr's crate of a cell, and the one that names the standard library's


def cut(metadata):
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found = {id for id in metadata["workspace_members"] if names[id] in START}
    if not found:
        raise ValueError("another workspace")
    rest = list(found)
    while rest:
        node = nodes[rest.pop()]
        if names[node["id"]] in CUT:
            node["deps"] = [dep for dep in node["deps"] if names[dep["pkg"]] in CUT]
            node["dependencies"] = [dep["pkg"] for dep in node["deps"]]
        new = set(node["dependencies"]) - found
        found |= new
        rest += new
    metadata["packages"] = [package for package in metadata["packages"] if package["id"] in found]
    metadata["resolve"]["nodes"] = [node for id, node in nodes.items() if id in found]
    return json.dumps(metadata)


text = sys.stdin.read()
try:
    text = cut(json.loads(text))
except (KeyError, TypeError, ValueError):
    pass  # a form that is not known here: rust-analyzer reads all crates, as it would without this script
sys.stdout.write(text)
