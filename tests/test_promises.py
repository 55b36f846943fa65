"""Promises to the reader: the pieces are small, and each documents what it does and where it comes from.

Size is measured in lines of code. Blank lines, comments and docstrings do not count; a statement that spans three
lines counts as three.
"""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from textwrap import dedent
from types import FunctionType
from typing import Any

import pytest

import lrpref
from lrpref import engine, layers, rules

NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def docstring_lines(source: str) -> set[int]:
    """The lines of all strings that form a statement of their own: docstrings, including those of attributes."""
    alone = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    return {line for n in alone if isinstance(n.value.value, str) for line in range(n.lineno, n.end_lineno + 1)}


def code_lines(source: str) -> int:
    """The number of lines of code in a source text."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    held = {line for t in tokens if t.type not in NOT_CODE for line in range(t.start[0], t.end[0] + 1)}
    return len(held - docstring_lines(source))


def size(thing: Any) -> int:
    """Lines of code of a function or class, including its signature."""
    return code_lines(dedent(inspect.getsource(thing)))


def body_size(function: Any) -> int:
    """Lines of code in the body of a function, without its signature and decorators."""
    source = dedent(inspect.getsource(function))
    lines = source.splitlines(keepends=True)
    first = ast.parse(source).body[0].body[0].lineno  # type: ignore[attr-defined]
    return code_lines(dedent("".join(lines[first - 1 :])))


def test_how_lines_are_counted() -> None:
    source = '''
"""A docstring."""

x = 1  # code
# a comment
"""A docstring
below a name."""
y = (
    2
)


def f(a):
    """Another.

    With an example.
    """
    s = """text
    that is code"""
    return s
'''
    # x; three lines of y; def; two lines of s; return
    assert code_lines(source) == 8


def test_the_engine_fits_on_a_screen() -> None:
    """The steps shared by all rules and layers (flow, sums, divide, stabilize) take at most 40 lines together."""
    assert sum(map(size, (rules.Rule.flow, rules.Ratio.sums, engine._sum, rules.divide, rules.stabilize))) <= 40


def own_methods(rule: type[rules.Rule]) -> Iterator[Any]:
    """The methods that define a rule, as far as the rule overrides them."""
    for name in ("ratios", "stabilize", "shares"):
        if name in vars(rule):
            yield vars(rule)[name]


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=rules.RULES)
def test_a_rule_is_ten_lines(rule: type[rules.Rule]) -> None:
    """The bodies of `ratios`, `stabilize` and `shares` have at most 10 lines each, where a rule defines them."""
    for method in own_methods(rule):
        assert body_size(method) <= 10, method.__qualname__


def test_most_rules_are_nothing_but_their_pools() -> None:
    """Make sure that the test above has methods to measure."""
    assert sum("ratios" in vars(rule) for rule in rules.RULES.values()) >= 9


LAYER_FILES = sorted(Path(layers.__file__).parent.glob("[!_]*.py"))  # __init__.py is a list of names


@pytest.mark.parametrize("path", LAYER_FILES, ids=lambda path: path.stem)
def test_a_layer_file_is_150_lines(path: Path) -> None:
    assert code_lines(path.read_text()) <= 150


# ---- documentation -----------------------------------------------------------------------------------------------


def symbols(equation: str) -> set[str]:
    """The symbols of an equation: R_i, sum_j, a_i, w_ij+, gamma."""
    return set(re.findall(r"[A-Za-z]\w*[+-]?", equation))


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=rules.RULES)
def test_a_rule_cites_its_source_and_prints_its_equation(rule: type[rules.Rule]) -> None:
    """Docstring and `source` name a year; the docstring has a line `R_i = ...` with the symbols of `equation`."""
    text = inspect.getdoc(rule) or ""
    assert re.search(r"\b(19|20)\d\d\b", text), "no year: cite the paper"
    assert re.search(r"\b(19|20)\d\d\b", rule.source)
    assert re.search(r"R_i = |R\[i<-j\] = ", text), "no equation"
    assert re.match(r"R_i = ", rule.equation)
    missing = symbols(rule.equation) - symbols(text) - {"n_j"}
    assert not missing, f"in `equation`, not in the docstring: {missing}"
    assert rule.when
    assert rule.name in rules.RULES


@pytest.mark.parametrize("name", lrpref.__all__)
def test_every_public_name_has_a_docstring_of_its_own(name: str) -> None:
    """A dataclass without a docstring gets its signature as one, which does not count as documentation."""
    thing = getattr(lrpref, name)
    text = thing.__doc__ or ""
    assert text.strip()
    assert not text.startswith(f"{name}(")


def public_members(owner: Any) -> Iterator[Any]:
    """The public functions, classes and properties that a class or module itself defines."""
    kinds = (FunctionType, type, property)
    for name, member in vars(owner).items():
        own = inspect.isclass(owner) or getattr(member, "__module__", "") == owner.__name__
        if own and isinstance(member, kinds) and not name.startswith("_"):
            yield member


OWNERS = [n for n in lrpref.__all__ if inspect.isclass(getattr(lrpref, n)) or inspect.ismodule(getattr(lrpref, n))]


@pytest.mark.parametrize("name", OWNERS)
def test_what_public_names_hold_has_docstrings_too(name: str) -> None:
    for member in public_members(getattr(lrpref, name)):
        assert (member.__doc__ or "").strip(), member


SHARED = (layers.Layer, layers.Pool, layers.AdaptivePool, layers.GlobalPool, layers.Upsample)
"""Bases of layers of two kinds."""


@pytest.mark.parametrize("name", [n for n in layers.__all__ if getattr(layers, n) not in SHARED])
def test_every_layer_tells_its_own_relevance_or_is_one_of_the_three_kinds(name: str) -> None:
    """Every layer is linear, elementwise or routing, except those that say it themselves, and the heads."""
    kind = getattr(layers, name)
    three = (layers.LinearLayer, layers.Elementwise, layers.Routing)
    assert issubclass(kind, three) != issubclass(kind, layers.Multiply | layers.Embedding | layers.Head)
