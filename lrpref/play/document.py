"""The page as one HTML file: the scripts, the style and the networks inside it, and nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .. import weights
from .embedding import embedded, embedded_samples

_HERE = Path(__file__).parent

STANDARD = ("mnist-cnn", "mnist-cnn-bn")
"""The networks that every page has."""


def page(networks: Sequence[dict[str, Any]], base: str | None = None) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    networks : sequence of dict
        The networks to choose from, as `embedded` returns them; the first one is shown. The networks in `STANDARD`
        follow, which the page needs for its section on BatchNorm.
    base : str or None
        The address of the project's root, relative to the page or absolute, to which the links to code and tutorials
        lead; None writes the names of the files instead.

    Returns
    -------
    str
        One HTML document that loads nothing.
    """
    given = {network["name"] for network in networks}
    shown = [*networks, *(standard(name) for name in STANDARD if name not in given)]
    data = {"networks": shown, "samples": embedded_samples(tuple(network["shape"]) for network in shown)}
    html = _read("page.html")
    html = re.sub(r'<link rel="stylesheet" href="([\w.]+)">', lambda m: f"<style>\n{_read(m[1])}</style>", html)
    html = re.sub(r'<script src="([\w.]+)"></script>', lambda m: f"<script>\n{_read(m[1])}</script>", html)
    html = re.sub(r'<a data-source="([^"]*)">(.*?)</a>', lambda m: _link(base, m[1], m[2]), html, flags=re.DOTALL)
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # so that no name in it ends the script
    return html.replace("{{data}}", text)


def standard(name: str) -> dict[str, Any]:
    """Return a network that comes with lrpref as `embedded` does."""
    about = weights.metadata(name)
    return embedded(weights.load(name), name, about, tuple(about["input"]["shape"]))


def _link(base: str | None, target: str, text: str) -> str:
    """A link into the project; without a base, its text and the file's name."""
    return f"{text} (<code>{target}</code>)" if base is None else f'<a href="{escape(base)}{target}">{text}</a>'


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
