"""Errors: each is an LrprefError and a built-in exception, with a helpful message."""

from __future__ import annotations

import builtins
import inspect
import re

import numpy as np
import pytest

import lrpref
from lrpref import Dense, Network, ReLU, errors, rules
from lrpref.errors import LrprefError, ShapeError, at_node, unknown

BUILT_IN = {name: getattr(builtins, kind) for name, kind in re.findall(r"── (\w+) +\((\w+)\)", errors.__doc__ or "")}
"""The tree in the module's docstring: each error and the built-in exception it derives from."""


def test_the_printed_tree_has_every_error() -> None:
    """A new error must appear in the tree with its built-in base class."""
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
    raised = {c.__name__ for c in classes if issubclass(c, LrprefError) and c is not LrprefError}
    assert raised == set(BUILT_IN)
    assert len(raised) >= 10


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_error_is_an_lrpref_error_and_the_built_in_kind(name: str) -> None:
    kind = getattr(errors, name)
    assert kind.__bases__ == (LrprefError, BUILT_IN[name])
    assert kind.__doc__


def test_warnings_are_no_errors() -> None:
    assert issubclass(errors.RelevanceWarning, UserWarning)
    assert not issubclass(errors.RelevanceWarning, LrprefError)


def test_at_node_keeps_the_kind_and_the_cause() -> None:
    with pytest.raises(ShapeError, match=r"^node 'fc1' \(ReLU\): 4 features wanted$") as caught, at_node("fc1", ReLU()):
        raise ShapeError("4 features wanted")
    assert isinstance(caught.value.__cause__, ShapeError)


def test_at_node_leaves_other_errors_alone() -> None:
    """An unexpected exception is a bug and must stay recognisable as one."""
    with pytest.raises(ZeroDivisionError, match="division by zero"), at_node("fc1", ReLU()):
        1 / 0  # noqa: B018


def test_at_node_of_no_error() -> None:
    with at_node("fc1", ReLU()):
        pass


def test_an_unknown_name_comes_with_the_nearest_known_one() -> None:
    assert "did you mean 'z-plus'?" in str(unknown("rule", "zplus", ["epsilon", "z-plus"]))
    far = str(unknown("rule", "42", ["epsilon", "z-plus"]))
    assert "did you mean" not in far
    assert far.endswith("Known: epsilon, z-plus")


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("ShapeError", lambda: Dense([[1.0, 2.0]]).forward(np.ones((1, 3)))),
        ("InputError", lambda: Network.sequential(ReLU()).forward(np.array([[np.nan]]))),
        ("DTypeError", lambda: Network.sequential(ReLU()).forward(np.array([[1j]]))),
        ("ParameterError", lambda: rules.Epsilon(-1)),
        ("GraphError", lambda: Network([])),
        ("TargetError", lambda: lrpref.explain(Network.sequential(ReLU()), np.ones((1, 2)), 2)),
        ("RuleError", lambda: lrpref.explain(Network.sequential(ReLU()), np.ones((1, 2)), rule=3)),
        ("UnknownNameError", lambda: lrpref.load("no-such-network")),
        ("WeightsError", lambda: lrpref.load("no-such-file.npz")),
    ],
)
def test_one_mistake_of_each_kind(name: str, mistake: object) -> None:
    """Each error can be caught as the built-in exception, and its message has more than three words."""
    with pytest.raises(BUILT_IN[name]) as caught:
        mistake()  # type: ignore[operator]
    assert type(caught.value) is getattr(errors, name)
    assert len(str(caught.value).split()) > 3
