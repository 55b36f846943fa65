"""Write the pages of the reference from the docstrings: one page for each module, formulas set.

`docs/conf.py` calls it before a build; the pages are not committed.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import make_docs

from lrpref._support.files import write_text

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"

CHAPTERS: dict[str, tuple[str, ...]] = {
    "Explain": ("walk", "scale", "conditional", "contrastive", "fast", "plot"),
    "Networks": ("network", "layers", "graphs", "fusion", "freezing", "weights", "importers", "zoo.models"),
    "Rules": ("rules", "composites", "relative", "seeds"),
    "The method, step by step": ("engine", "ledger", "oracle", "signatures"),
    "Numbers and places": ("backend", "arithmetic", "rational", "errors"),
    "Check": ("testing", "verification", "conformance", "differences", "evaluation"),
    "Data and studies": ("zoo.samples", "zoo.datasets", "zoo.inputs", "reproduce"),
}
"""Title -> the modules of lrpref, in the order of the reference."""


def main() -> None:
    """Write the pages; pages of modules that are gone are deleted."""
    FOLDER.mkdir(exist_ok=True)
    pages = {FOLDER / "index.md": index()}
    for modules in CHAPTERS.values():
        pages |= {FOLDER / f"{name}.md": page(name) for name in modules}
    for path in set(FOLDER.glob("*.md")) - set(pages):
        path.unlink()
    for path, text in pages.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def index() -> str:
    """The first page: the modules by chapter, each with its first sentence."""
    parts = [
        "# Reference",
        "Every public name, from its docstring. What `import lrpref` gives is called `lrpref.name`.",
    ]
    for title, modules in CHAPTERS.items():
        rows = "\n".join(f"- [`lrpref.{name}`]({name}.md): {_summary(name)}" for name in modules)
        toctree = "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *modules, "```"])
        parts += [f"## {title}", rows, toctree]
    return "\n\n".join(parts) + "\n"


def page(name: str) -> str:
    """The page of one module: its docstring, and every public name."""
    module = import_module(f"lrpref.{name}")
    top = import_module("lrpref")
    parts = [f"# lrpref.{name}", body(inspect.getdoc(module) or "", examples=True)]
    for public in names(module):
        value = getattr(module, public)
        shown = f"lrpref.{public}" if getattr(top, public, None) is value else f"lrpref.{name}.{public}"
        parts.append(entry(shown, value))
    return "\n\n".join(parts) + "\n"


def names(module: ModuleType) -> Sequence[str]:
    """The public names of a module: those of `__all__`, or the functions and classes that it defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if callable(getattr(module, name))]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    ]


def entry(name: str, value: Any) -> str:
    """One public name: its signature, docstring and public methods."""
    kind = "class" if inspect.isclass(value) else "function"
    document = inspect.getdoc(value) if kind == "function" or "__doc__" in vars(value) else ""
    parts = [body(document or "", examples=True)]
    if kind == "class" and not issubclass(value, (enum.Enum, BaseException)):
        parts += [_member(key, member) for key, member in _members(value)]
    return directive(kind, f"{name}{_signature(value)}", "\n\n".join(filter(None, parts)))


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines and describes itself."""
    for name, value in vars(kind).items():
        described = getattr(value, "__func__", value)
        if not name.startswith("_") and (callable(described) or isinstance(value, property)) and described.__doc__:
            yield name, value


def _member(name: str, value: Any) -> str:
    text = body(inspect.getdoc(value) or "", examples=False)
    if isinstance(value, property):
        return directive("property", name, text, fence="````")
    return directive("method", f"{name}{_signature(getattr(value, '__func__', value))}", text, fence="````")


def directive(kind: str, signature: str, text: str, fence: str = "`````") -> str:
    """A description that search, the index and links find."""
    return f"{fence}{{py:{kind}}} {signature}\n{text}\n{fence}"


def _signature(value: Any) -> str:
    """The parameters with their defaults; types stand in the docstring."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    plain = [
        p.replace(annotation=p.empty, default=p.default if _is_short(p.default) else ...)
        for p in found.parameters.values()
        if p.name != "self"
    ]
    return str(found.replace(parameters=plain, return_annotation=found.empty))


def _is_short(default: object) -> bool:
    return default is inspect.Parameter.empty or (len(repr(default)) < 40 and "<" not in repr(default))


def _summary(name: str) -> str:
    """The first paragraph of a module's docstring."""
    document = inspect.getdoc(import_module(f"lrpref.{name}")) or ""
    return make_docs.inline(document.split("\n\n")[0].replace("\n", " "))


def body(docstring: str, examples: bool) -> str:
    """A docstring in Markdown, as on the pages of rules and layers, with its examples."""
    parts = [_markdown(docstring)]
    if examples and (found := _examples(docstring)):
        parts.append(f"**Examples**\n\n```pycon\n{found}\n```")
    return "\n\n".join(parts)


def _markdown(docstring: str) -> str:
    """Formulas as mathematics where they are formulas, as text where they are not."""
    try:
        return make_docs.markdown(docstring)
    except ValueError:
        return f"```text\n{docstring.partition('Examples' + chr(10) + '---')[0].rstrip()}\n```"


def _examples(docstring: str) -> str:
    """The doctests of a docstring."""
    found = re.search(r"^>>> .*\Z", docstring, re.MULTILINE | re.DOTALL)
    return found[0].rstrip() if found else ""


if __name__ == "__main__":
    main()
