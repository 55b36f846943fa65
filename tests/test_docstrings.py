"""Public docstrings follow numpydoc: every parameter is described, in order, and so is what is returned."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

import pytest

import lrpref

SECTIONS = ("Parameters", "Returns", "Yields", "Raises", "Attributes", "See Also", "Notes", "References", "Examples")


def packages() -> Iterator[Any]:
    """lrpref and its modules that list public names, private ones and adapters of other libraries left out."""
    yield lrpref
    for found in pkgutil.walk_packages(lrpref.__path__, "lrpref."):
        if not re.search(r"\._|__main__|adapters|\.cli|fast\.steps", found.name):
            module = importlib.import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


def public() -> dict[str, Any]:
    """Qualified name -> function, class or method that a user may call."""
    found: dict[str, Any] = {}
    for module in packages():
        for name in module.__all__:
            thing = getattr(module, name)
            if not (inspect.isfunction(thing) or inspect.isclass(thing)):
                continue
            found[f"{thing.__module__}.{thing.__qualname__}"] = thing
            for method, value in vars(thing).items() if inspect.isclass(thing) else ():
                value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
                if inspect.isfunction(value) and not method.startswith("_"):
                    found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


PUBLIC = public()


def sections(thing: Any) -> dict[str, str]:
    """The sections of a docstring by title."""
    lines = (inspect.getdoc(thing) or "").splitlines()
    found: dict[str, str] = {}
    title = ""
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line in SECTIONS and re.fullmatch(r"-+", below):
            title = line
        elif title:
            found[title] = found.get(title, "") + line + "\n"
    return found


def described(section: str) -> list[str]:
    """The names that a Parameters section describes: "a, b : int" holds two."""
    heads = re.findall(r"^(\S.*?)(?: : .*)?$", section, re.MULTILINE)
    return [name.strip().lstrip("*") for head in heads if not head.startswith("---") for name in head.split(",")]


def parameters(thing: Any) -> list[str]:
    """The names of the parameters, `self` left out; a protocol is never constructed."""
    if inspect.isclass(thing) and not is_dataclass(thing) and "__init__" not in vars(thing):
        return []
    if getattr(thing, "_is_protocol", False):
        return []
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return []
    return [name for name in signature.parameters if name not in ("self", "cls")]


def may_be_brief(thing: Any) -> bool:
    """Whether one line may be enough: for a method that overrides another one, and for a function of one argument."""
    alone = inspect.isfunction(thing) and len(parameters(thing)) <= 1 and "\n" not in (inspect.getdoc(thing) or "")
    return "." in thing.__qualname__ or alone


def describing(thing: Any) -> Any:
    """The class whose docstring describes the parameters: the base where that is named and has the same ones."""
    base = thing.__mro__[1] if inspect.isclass(thing) else thing
    named = f"`{base.__name__}` describes" in (inspect.getdoc(thing) or "").replace("\n", " ")
    return base if named and parameters(base) == parameters(thing) else thing


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_parameters_are_described_in_order(name: str) -> None:
    thing = PUBLIC[name]
    found = sections(describing(thing))
    if may_be_brief(thing) and "Parameters" not in found:
        return
    wanted = parameters(thing)
    listed = described(found.get("Parameters", ""))
    assert listed == wanted, f"{name}: Parameters describes {listed}, the signature has {wanted}"


@pytest.mark.parametrize("name", sorted(name for name, thing in PUBLIC.items() if inspect.isfunction(thing)))
def test_what_is_returned_is_described(name: str) -> None:
    thing = PUBLIC[name]
    found = sections(thing)
    if may_be_brief(thing) and not found:
        return
    returns = inspect.signature(thing).return_annotation
    if returns in ("None", None, inspect.Signature.empty):
        return
    assert {"Returns", "Yields"} & set(found), name


def test_a_list_in_a_style_of_our_own_is_no_description() -> None:
    """The test would see it missing."""

    def old(x: int) -> int:
        """Something.

        x  a number
        """
        return x

    assert described(sections(old).get("Parameters", "")) != parameters(old)
    assert len(PUBLIC) > 150
