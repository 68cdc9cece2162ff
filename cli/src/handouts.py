"""Compiles a Typst document: source, output, root, then inputs as key=value."""

import sys

try:
    import typst
except ImportError:
    sys.exit("Typst is not installed: run `cargo course setup`")

source, output, root, *inputs = sys.argv[1:]
try:
    typst.compile(
        source,
        output=output,
        root=root,
        ignore_system_fonts=True,
        sys_inputs=dict(pair.split("=", 1) for pair in inputs),
    )
except typst.TypstError as error:
    sys.exit(error.diagnostic)
