"""The search for the smallest case that violates a law. It needs Hypothesis, and gives the same result at every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from textwrap import indent
from typing import Any, NamedTuple

import numpy as np

from .cases import describe, smaller
from .laws import LAWS, LawBroken, Pair, statement

Pairs = Callable[[Any], Iterator[Pair]]
"""A law of one subject: maps a case to the two sides of the equation."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A law that a subject violates, with the smallest case found.

    Parameters
    ----------
    law : str
        The name of the law, as in `LAWS`.
    case : LayerCase, NetworkCase or None
        The smallest case; None if the caller provided the only one.
    problem : str
        Both sides of the equation, or the exception that was raised.
    """

    law: str
    case: Any
    problem: str

    def __str__(self) -> str:
        case = "" if self.case is None else indent(f"\n{describe(self.case)}", " " * 8)
        return f"    {self.law}: {statement(LAWS[self.law])}{case}\n        {self.problem}"


class ChecksFailed(LawBroken):
    """Laws that do not hold.

    Parameters
    ----------
    subject : str
        The rule, layer or explainer that was checked.
    failures : sequence of Failure
        One entry per law; kept as the attribute `failures`, a tuple.
    """

    def __init__(self, subject: str, failures: Sequence[Failure]) -> None:
        laws = "a law" if len(failures) == 1 else f"{len(failures)} laws"
        super().__init__("\n".join([f"{subject} violates {laws}", *map(str, failures)]), failures[0].law)
        self.failures = tuple(failures)


class Cases(NamedTuple):
    """Where to search.

    Attributes
    ----------
    levels : sequence of hypothesis.strategies.SearchStrategy
        Strategies, from simple cases to all cases.
    known : sequence of LayerCase or NetworkCase
        Cases that are always checked, before random ones.
    """

    levels: Sequence[Any]
    known: Sequence[Any] = ()


def demand_none(subject: str, failures: Sequence[Failure]) -> None:
    """Raise ChecksFailed if there are failures."""
    if failures:
        raise ChecksFailed(subject, failures)


def failures_at(case: Any, laws: Mapping[str, Pairs]) -> list[Failure]:
    """Return the laws that a given case violates."""
    problems = {name: problem_of(law, case) for name, law in laws.items()}
    return [Failure(name, None, problem) for name, problem in problems.items() if problem is not None]


def search(cases: Cases, laws: Mapping[str, Pairs], max_examples: int, seed: int) -> list[Failure]:
    """Return the laws that some case violates, each with the smallest case found.

    First all laws are checked on the same cases, because drawing a case takes longer than checking it. Then each
    violated law is searched alone, and its case is shrunk.
    """
    violated: dict[str, Any] = {}

    def survey(case: Any) -> bool:
        for name, law in laws.items():
            if problem_of(law, case) is not None:
                violated.setdefault(name, case)
                break  # the same mistake may violate the laws after this one
        return False

    for case in cases.known:
        survey(case)
    _find(cases.levels[-1], survey, max_examples, seed)
    failures = []
    for name, first in violated.items():
        violates = partial(_violates, laws, name)
        found = (smallest(level, violates, max_examples=max_examples, seed=seed) for level in cases.levels)
        case = next((case for case in found if case is not None), None) or _reduced(first, violates)
        failures.append(Failure(name, case, str(problem_of(laws[name], case))))
    return failures


def _violates(laws: Mapping[str, Pairs], name: str, case: Any) -> bool:
    """Return whether a case violates a law. A NaN violates every law, and counts for check_finite only."""
    if problem_of(laws[name], case) is None:
        return False
    return name == "check_finite" or "check_finite" not in laws or problem_of(laws["check_finite"], case) is None


def smallest(cases: Any, condition: Callable[[Any], bool], *, max_examples: int = 100, seed: int = 0) -> Any:
    """Return the smallest case that meets a condition.

    Hypothesis finds and shrinks a case; then samples, outputs and inputs are removed one by one.

    Parameters
    ----------
    cases : hypothesis.strategies.SearchStrategy
        A strategy for `LayerCase` or `NetworkCase`.
    condition : callable
        Takes a case and returns a bool.
    max_examples : int, default 100
        How many cases are tried before the search gives up.
    seed : int, default 0
        The seed of the search.

    Returns
    -------
    LayerCase, NetworkCase or None
        The smallest case found; None if no case meets the condition.

    Examples
    --------
    >>> from lrpref.testing import strategies
    >>> print(describe(smallest(strategies.layer_cases("dense"), lambda case: case.R.sum() < 0)))
    Dense(weight=[[0]])
    a = [[0]]
    R = [[-1]]
    """
    found = _find(cases, condition, max_examples, seed)
    return None if found is None else _reduced(found, condition)


def _reduced(case: Any, condition: Callable[[Any], bool]) -> Any:
    """Return the case without the samples, outputs and inputs that the condition does not need."""
    found = next((less for less in smaller(case) if condition(less)), None)
    return case if found is None else _reduced(found, condition)


def _find(cases: Any, condition: Callable[[Any], bool], max_examples: int, seed: int) -> Any:
    """Return the smallest case that Hypothesis finds for a condition; None if it finds none."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import NoSuchExample

    quiet = settings(
        max_examples=max_examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(cases, condition, settings=quiet, random=Random(seed))
    except NoSuchExample:
        return None


def problem_of(law: Pairs, case: Any) -> str | None:
    """Return both sides of a law that does not hold for a case, or the exception it raised; None if it holds."""
    try:
        with np.errstate(all="ignore"):
            return next((str(pair) for pair in law(case) if not pair.agrees), None)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
