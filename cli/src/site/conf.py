"""How Sphinx renders the course. `cargo course site` copies this beside the notebooks."""

import sys
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).parent))  # Sphinx imports `slug` by its name

project = html_title = "From RNN to GPT and BERT, in Rust notebooks"
extensions = ["myst_nb", "sphinx-mathjax-offline"]
html_theme = "furo"
html_theme_options = {
    "announcement": "To run the cells in JupyterLab: <code>cargo course</code>",
    "dark_css_variables": {"color-announcement-background": "#1a1c1e"},
}
html_static_path = ["extra.css"]
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sphinx = False
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 6
suppress_warnings = ["myst.header"]  # terms of the glossary are headings of the fifth level


def slug(heading):
    """JupyterLab's anchor of a heading: links between the notebooks lead to the same place."""
    return heading.replace(" ", "-")


myst_heading_slug_func = "conf.slug"


def setup(app):
    app.connect("doctree-read", leave_equations)


def leave_equations(app, doctree):
    r"""Sphinx puts equations of several lines into an environment that has no room for their \tag."""
    for node in doctree.findall(nodes.math_block):
        node["no-wrap"] = node["nowrap"] = True
        node[:] = [nodes.Text(r"\[" + node.astext() + r"\]")]
