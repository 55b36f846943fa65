"""Promises to the reader: how small the pieces are, and that each says what it is and where it comes from.

What is counted: lines that hold code. Blank lines, comments and docstrings do not count; a statement over three
lines counts three.
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
    """The lines of all strings that stand alone as a statement: docstrings, also those below a name."""
    alone = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    return {line for n in alone if isinstance(n.value.value, str) for line in range(n.lineno, n.end_lineno + 1)}


def code_lines(source: str) -> int:
    """How many lines of a source hold code."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    held = {line for t in tokens if t.type not in NOT_CODE for line in range(t.start[0], t.end[0] + 1)}
    return len(held - docstring_lines(source))


def size(thing: Any) -> int:
    """Lines of code of a function or class, its `def` and signature included."""
    return code_lines(dedent(inspect.getsource(thing)))


def body_size(function: Any) -> int:
    """Lines of code inside a function, its signature and decorators apart."""
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
    """The four steps, for every rule and every layer: Rule.flow, Ratio.sums, divide, stabilize; at most 40 lines."""
    assert sum(map(size, (rules.Rule.flow, rules.Ratio.sums, engine._sum, rules.divide, rules.stabilize))) <= 40


def own_methods(rule: type[rules.Rule]) -> Iterator[Any]:
    """What makes a rule the rule it is: whichever of these it defines itself."""
    for name in ("ratios", "stabilize", "shares"):
        if name in vars(rule):
            yield vars(rule)[name]


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=rules.RULES)
def test_a_rule_is_ten_lines(rule: type[rules.Rule]) -> None:
    """At most 10 lines in the body of each of `pools`, `stabilize` and `shares`, where a rule has its own."""
    for method in own_methods(rule):
        assert body_size(method) <= 10, method.__qualname__


def test_most_rules_are_nothing_but_their_pools() -> None:
    """So that the count above has something to count."""
    assert sum("ratios" in vars(rule) for rule in rules.RULES.values()) >= 9


LAYER_FILES = sorted(Path(layers.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", LAYER_FILES, ids=lambda path: path.stem)
def test_a_layer_file_is_150_lines(path: Path) -> None:
    assert code_lines(path.read_text()) <= 150


# ---- what is written about it ------------------------------------------------------------------------------------


def symbols(equation: str) -> set[str]:
    """The words of an equation: R_i, sum_j, a_i, w_ij+, gamma."""
    return set(re.findall(r"[A-Za-z]\w*[+-]?", equation))


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=rules.RULES)
def test_a_rule_cites_its_source_and_prints_its_equation(rule: type[rules.Rule]) -> None:
    """A year in the docstring and in `source`; a line `R_i = ...` or `R[i<-j] = ...` with the symbols of `equation`."""
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
    """A dataclass without one would get its signature for a docstring; that is no documentation."""
    thing = getattr(lrpref, name)
    text = thing.__doc__ or ""
    assert text.strip()
    assert not text.startswith(f"{name}(")


def public_members(owner: Any) -> Iterator[Any]:
    """The functions, classes and properties that a public class or module defines itself."""
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


@pytest.mark.parametrize("name", [n for n in layers.__all__ if getattr(layers, n) not in (layers.Layer, layers.Pool2D)])
def test_every_layer_tells_its_own_relevance_or_is_one_of_the_three_kinds(name: str) -> None:
    """Linear, elementwise, routing; Softmax alone is none of them, and takes no relevance."""
    kind = getattr(layers, name)
    three = (layers.LinearLayer, layers.Elementwise, layers.Routing)
    assert issubclass(kind, three) != (kind is layers.Softmax)
