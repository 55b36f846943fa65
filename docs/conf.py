"""Settings of the site: `sphinx-build -W -c docs . site` from the root builds it.

The source folder is the root of the repository, so that links between pages, code and tutorials are the same on the
site as in a checkout. What a page links to and is no page itself becomes a link to the source code, or a download.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "cases")]

import make_reference  # noqa: E402
from site_pages import setup  # noqa: E402, F401

import lrpref  # noqa: E402

make_reference.main()

project = "lrpref"
author = "The lrpref developers"
copyright = "the lrpref developers"
version = release = lrpref.__version__
root_doc = "docs/index"
extensions = ["myst_parser", "sphinx.ext.mathjax", "sphinx_copybutton"]
include_patterns = [
    *(f"docs/{folder}*.md" for folder in ("", "site/", "reference/", "reproduce/", "drafts/", "paper/")),
    *("tutorials/README.md", "tutorials/rendered/*.md"),
    *("cases/*.md", "cases/lrp_cases/data/*.md", "tests/agreement/*.md"),
    *("lrpref/README.md", "lrpref/zoo/samples/README.md", "weights/README.md", "weights/bn/README.md"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"),
]
myst_enable_extensions = ["dollarmath", "amsmath", "html_image"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin with a small heading
highlight_language = "python"
copybutton_prompt_text = ">>> |\\.\\.\\. |$ "
copybutton_prompt_is_regexp = True

toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = f"lrpref {version}"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_extra_path = ["site/root"]  # the first page, which leads to docs/index.html
