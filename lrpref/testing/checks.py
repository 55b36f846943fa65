"""The laws of whatever is handed over, one by one, as pytest tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..engine import Rule
from ..errors import LrprefError
from ..layers import Layer
from .explainer_checks import explainer_laws, small_networks
from .layer_checks import layer_laws
from .rule_checks import rule_cases, rule_laws
from .search import ChecksFailed, Failure, Pairs, problem_of, search


class Check(NamedTuple):
    """One law of one subject: calling it raises ChecksFailed where the law does not hold."""

    subject: Any
    law: str

    def __call__(self) -> None:
        """Try it."""
        laws, cases, told = _of(self.subject)
        if cases is None:
            problem = problem_of(laws[self.law], self.subject[1:])
            failures = [] if problem is None else [Failure(self.law, None, problem)]
        else:
            failures = search(cases, {self.law: laws[self.law]}, 40, 0)
        if failures:
            raise ChecksFailed(told, failures)


def checks_of(subject: Any) -> list[Check]:
    """The checks of a rule, of a layer with its inputs (a tuple), or of an explainer (a callable).

    >>> from lrpref import rules
    >>> [check.law for check in checks_of(rules.Flat())][:2]
    ['check_finite', 'check_number_type']
    """
    return [Check(subject, law) for law in _of(subject)[0]]


def _of(subject: Any) -> tuple[dict[str, Pairs], Any, str]:
    """Its laws, a strategy of cases (None: it brings its own), and what it is called."""
    if isinstance(subject, Rule):
        return rule_laws(subject), rule_cases(subject), repr(subject)
    if isinstance(subject, tuple) and subject and isinstance(subject[0], Layer):
        return layer_laws(subject[0]), None, type(subject[0]).__name__
    if callable(subject):
        return explainer_laws(subject), small_networks(), getattr(subject, "__name__", str(subject))
    raise LrprefError(f"a rule, a tuple of a layer and its inputs, or a callable explain(net, x), got {subject!r}")


def parametrize_with_checks(subjects: Sequence[Any]) -> Any:
    """A pytest decorator that runs a test once per law of each subject, as scikit-learn's does for its estimators.

        @parametrize_with_checks([MyRule(), (MyLayer(...), x), my_explainer])
        def test_laws(check):
            check()

    subjects  rules, tuples of a layer and its inputs, callables explain(net, x)
    """
    import pytest

    checks = [check for subject in subjects for check in checks_of(subject)]
    return pytest.mark.parametrize("check", checks, ids=[f"{_of(c.subject)[2]}-{c.law}" for c in checks])
