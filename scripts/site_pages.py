"""What the site needs beyond Sphinx: anchors, links to files that are no pages, and the tutorials as notebooks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from lrpref import play
from lrpref._support.files import write_text

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "docs" / "reference" / "notebooks"
RENDERED = "tutorials/rendered/"
PLAY = "docs/play/index.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Let Sphinx call what follows; a build in several processes would lose the list of code that is shown."""
    linked: set[str] = set()
    app.connect("source-read", without_folders)
    app.connect("source-read", with_notebook)
    app.connect("doctree-read", know_anchors)
    app.connect("doctree-resolved", lambda app, tree, page: show_code(app, tree, page, linked))
    app.connect("html-collect-pages", lambda app: code_pages(app, linked))
    app.connect("build-finished", lambda app, error: write_play(Path(app.outdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def without_folders(app: Sphinx, page: str, source: list[str]) -> None:
    """Leave the words of a link that leads to a folder, which the site has no page for."""

    def words(link: re.Match[str]) -> str:
        target = (ROOT / page).parent / link["target"]
        return link["words"] if target.is_dir() or link["target"] == "LRPREF_URL" else link[0]

    source[0] = re.sub(r"(?<!!)\[(?P<words>[^\]\n]*)\]\((?P<target>[\w./-]+)\)", words, source[0])


def with_notebook(app: Sphinx, page: str, source: list[str]) -> None:
    """Offer a tutorial as a notebook, made from its script."""
    if not page.startswith(RENDERED):
        return
    name = page.removeprefix(RENDERED)
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    jupytext.write(jupytext.read(ROOT / "tutorials" / f"{name}.py"), NOTEBOOKS / f"{name}.ipynb")
    title, rest = source[0].split("\n", 1)
    notebook = os.path.relpath(NOTEBOOKS / f"{name}.ipynb", ROOT / RENDERED)
    source[0] = f"{title}\n\n[Download this step as a notebook]({notebook})\n{rest}"


def know_anchors(app: Sphinx, tree: nodes.document) -> None:
    """Let links find the anchors that a page sets in HTML, as GitHub does."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for raw in tree.findall(nodes.raw):
        for anchor in re.findall(r'<a (?:id|name)="([^"]+)">', raw.astext()):
            slugs.setdefault(anchor, (0, anchor, ""))


def show_code(app: Sphinx, tree: nodes.document, page: str, linked: set[str]) -> None:
    """Turn links to Python files, and to the page to play with, from downloads into links to pages of the site."""
    for node in list(tree.findall(addnodes.download_reference)):
        path = os.path.normpath(Path(page).parent / node["reftarget"])
        if path.endswith(".py"):
            linked.add(path)
            there = app.builder.get_relative_uri(page, f"code/{path}")
        elif path == PLAY:
            there = os.path.relpath(PLAY, Path(page).parent)
        else:
            continue
        node.replace_self(nodes.reference("", "", *node.children, refuri=there))


def code_pages(app: Sphinx, linked: set[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every Python file that a page links to, highlighted."""
    for path in sorted(linked):
        text = (ROOT / path).read_text(encoding="utf-8")
        code = app.builder.highlighter.highlight_block(text, "python", linenos="inline")  # type: ignore[attr-defined]
        yield f"code/{path}", {"title": path, "body": f"<h1><code>{path}</code></h1>\n{code}"}, "page.html"


def write_play(site: Path) -> None:
    """Write the page to play with; its links into a checkout become the names of the files."""
    path = site / PLAY
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, play.page([]))
