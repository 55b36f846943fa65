"""The laws that apply to a subject (a rule, a layer, an explainer), one by one, as pytest tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..engine import Rule
from ..errors import LrprefError
from ..layers import Layer
from .explainer_checks import explainer_laws, name_of, small_networks
from .layer_checks import layer_laws
from .rule_checks import rule_cases, rule_laws
from .search import Pairs, demand_none, failures_at, search


class Check(NamedTuple):
    """One law of one subject; a call raises `ChecksFailed` if the law does not hold.

    Attributes
    ----------
    subject : Rule, tuple or callable
        A rule, a tuple of a layer and its inputs, or an explainer.
    law : str
        The name of the law, as in `LAWS`.
    """

    subject: Any
    law: str

    def __call__(self) -> None:
        """Check the law; raises ChecksFailed."""
        laws, cases, name = _parts(self.subject)
        law = {self.law: laws[self.law]}
        demand_none(name, failures_at(self.subject[1:], law) if cases is None else search(cases, law, 40, 0))


def checks_of(subject: Any) -> list[Check]:
    """Return the checks of a subject, one for each law that applies to it.

    Parameters
    ----------
    subject : Rule, tuple or callable
        A rule, a tuple of a layer and its inputs, or a function explain(net, x).

    Returns
    -------
    list of Check
        One check per law.

    Raises
    ------
    LrprefError
        If the subject is none of these.

    Examples
    --------
    >>> from lrpref import rules
    >>> [check.law for check in checks_of(rules.Flat())][:2]
    ['check_finite', 'check_number_type']
    """
    return [Check(subject, law) for law in _parts(subject)[0]]


def _parts(subject: Any) -> tuple[dict[str, Pairs], Any, str]:
    """Return the laws of a subject, strategies for its cases (None if it brings its own), and its name."""
    if isinstance(subject, Rule):
        return rule_laws(subject), rule_cases(subject), repr(subject)
    if isinstance(subject, tuple) and subject and isinstance(subject[0], Layer):
        return layer_laws(subject[0]), None, type(subject[0]).__name__
    if callable(subject):
        return explainer_laws(subject), small_networks(), name_of(subject)
    raise LrprefError(
        f"expected a rule, a tuple of a layer and its inputs, or a callable explain(net, x), got {subject!r}"
    )


def parametrize_with_checks(subjects: Sequence[Any]) -> Any:
    """Return a pytest decorator that runs a test once for each law of each subject.

    It does what scikit-learn's decorator of the same name does for estimators:

        @parametrize_with_checks([MyRule(), (MyLayer(...), x), my_explainer])
        def test_laws(check):
            check()

    Parameters
    ----------
    subjects : sequence
        Rules, tuples of a layer and its inputs, functions explain(net, x).

    Returns
    -------
    pytest.MarkDecorator
        The decorator; each test is named after its subject and law.

    Raises
    ------
    LrprefError
        If a subject is none of these.
    """
    import pytest

    checks = [check for subject in subjects for check in checks_of(subject)]
    return pytest.mark.parametrize("check", checks, ids=[f"{_parts(c.subject)[2]}-{c.law}" for c in checks])
