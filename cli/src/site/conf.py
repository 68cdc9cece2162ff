"""How Sphinx renders the course. `cargo course site` copies this beside the notebooks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # Sphinx imports `slug` by its name

project = html_title = "From RNN to GPT and BERT, in Rust notebooks"
extensions = ["myst_nb", "sphinx-mathjax-offline"]
html_theme = "furo"
html_theme_options = {
    "announcement": "To run and change the cells: <code>cargo course</code> in a checkout opens these lessons in JupyterLab.",
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
