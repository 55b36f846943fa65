"""The laws that apply to a subject (a rule, a layer, an explainer), one by one, as pytest tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..engine import Rule
from ..errors import LrprefError, ParameterError, shown, unknown
from ..layers import Layer
from .explainer_checks import explainer_laws, name_of, small_networks
from .layer_checks import layer_laws
from .rule_checks import rule_cases, rule_laws
from .search import ChecksFailed, Pairs, demand_none, failures_at, search


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
    """Return the laws of a subject, where to search for cases (None if it brings its own), and its name."""
    if isinstance(subject, Rule):
        return rule_laws(subject), rule_cases(subject), repr(subject)
    if isinstance(subject, tuple) and subject and isinstance(subject[0], Layer):
        return layer_laws(subject[0]), None, type(subject[0]).__name__
    if callable(subject):
        return explainer_laws(subject), small_networks(), name_of(subject)
    raise LrprefError(
        f"expected a rule, a tuple of a layer and its inputs, or a callable explain(net, x), got {subject!r}"
    )


ExpectedFailed = Mapping[str, str] | Callable[[Any], Mapping[str, str]]
"""Law -> why it fails; or a function that returns this for a subject."""


def parametrize_with_checks(subjects: Sequence[Any], *, expected_failed: ExpectedFailed | None = None) -> Any:
    """Return a pytest decorator that runs a test once for each law of each subject.

    It does what scikit-learn's decorator of the same name does for estimators:

        @parametrize_with_checks(
            [MyRule(), (MyLayer(...), x), my_explainer],
            expected_failed={"check_scale_covariance": "epsilon has the unit of z"},
        )
        def test_laws(check):
            check()

    Parameters
    ----------
    subjects : sequence
        Rules, tuples of a layer and its inputs, functions explain(net, x).
    expected_failed : mapping of str to str, or callable, optional
        The laws that the subjects are known to violate, each with the reason; or a function that returns this mapping
        for a subject. Such a test is an expected failure (xfail). It is strict: if the law holds, the test fails, so
        that the entry is removed.

    Returns
    -------
    pytest.MarkDecorator
        The decorator; each test is named after its subject and law.

    Raises
    ------
    LrprefError
        If a subject is none of these.
    UnknownNameError
        If an expected failure names a law that is not checked on any subject, or, for a function, on its subject.
    """
    import pytest

    expected = _expected(subjects, expected_failed)
    tests = []
    for number, subject in enumerate(subjects):
        for check in checks_of(subject):
            reason = expected[number].get(check.law)
            marks = () if reason is None else pytest.mark.xfail(reason=reason, raises=ChecksFailed, strict=True)
            tests.append(pytest.param(check, marks=marks, id=f"{_parts(subject)[2]}-{check.law}"))
    return pytest.mark.parametrize("check", tests)


def _expected(subjects: Sequence[Any], given: ExpectedFailed | None) -> list[Mapping[str, str]]:
    """Return the expected failures of each subject, with every law checked for existence."""
    found: list[Mapping[str, str]] = [given(subject) if callable(given) else given or {} for subject in subjects]
    laws = [[check.law for check in checks_of(subject)] for subject in subjects]
    checked = laws if callable(given) else [[law for each in laws for law in each]] * len(subjects)
    for reasons, known in zip(found, checked, strict=True):
        check_expected(reasons, known)
    return found


def check_expected(reasons: Mapping[str, str], laws: Collection[str]) -> None:
    """Raise an error unless each expected failure names one of the laws and gives a reason."""
    for law, reason in reasons.items():
        if law not in laws:
            raise unknown("law that is checked here", law, laws)
        if not str(reason or "").strip():
            raise ParameterError(f"expected failure of {law}: give the reason as text, got {shown(reason)}")
