"""The search for a case that breaks a law, and for the smallest one: the same at every run. It needs Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from textwrap import indent
from typing import Any

import numpy as np

from .cases import describe, smaller
from .laws import LAWS, LawBroken, Pair, statement

Pairs = Callable[[Any], Iterator[Pair]]
"""A law of one subject, put to a case."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A law that a subject breaks, and the smallest case found.

    law      its name, as in `LAWS`
    case     the case: a `LayerCase`, or a network and its input; None where there was but one
    problem  both sides of the equation, or what was raised
    """

    law: str
    case: Any
    problem: str

    def __str__(self) -> str:
        told = "" if self.case is None else indent(f"\n{describe(self.case)}", " " * 8)
        return f"    {self.law}: {statement(LAWS[self.law])}{told}\n        {self.problem}"


class ChecksFailed(LawBroken):
    """Laws that do not hold; `failures` has one entry per law."""

    def __init__(self, subject: str, failures: Sequence[Failure]) -> None:
        laws = "a law" if len(failures) == 1 else f"{len(failures)} laws"
        super().__init__("\n".join([f"{subject} breaks {laws}", *map(str, failures)]), failures[0].law)
        self.failures = tuple(failures)


def search(levels: Sequence[Any], laws: Mapping[str, Pairs], max_examples: int, seed: int) -> list[Failure]:
    """The laws that some case breaks, each with the smallest case found.

    First all laws are put to the same cases, because drawing a case takes longer than judging it. Then each law that
    was broken is searched alone, and its case shrunk.

    levels  strategies, from simple cases to all
    """
    broken: dict[str, Any] = {}

    def survey(case: Any) -> bool:
        for name, law in laws.items():
            if problem_of(law, case) is not None:
                broken.setdefault(name, case)
                break  # the laws after it may be broken by the same accident
        return False

    _find(levels[-1], survey, max_examples, seed)
    failures = []
    for name, first in broken.items():
        breaks = partial(_breaks, laws, name)
        found = (smallest(level, breaks, max_examples=max_examples, seed=seed) for level in levels)
        case = next((case for case in found if case is not None), first)
        failures.append(Failure(name, case, str(problem_of(laws[name], case))))
    return failures


def _breaks(laws: Mapping[str, Pairs], name: str, case: Any) -> bool:
    """Whether a case breaks a law, and not because it is one that ends in NaN, which breaks them all."""
    if problem_of(laws[name], case) is None:
        return False
    return name == "check_finite" or "check_finite" not in laws or problem_of(laws["check_finite"], case) is None


def smallest(cases: Any, condition: Callable[[Any], bool], *, max_examples: int = 100, seed: int = 0) -> Any:
    """The smallest case that meets a condition; None where none is found.

    cases  a strategy for `LayerCase` or `NetworkCase`

    Hypothesis finds and shrinks it; then samples, outputs and inputs are left out one by one, as `smaller` does.

    >>> from lrpref.testing import strategies
    >>> print(describe(smallest(strategies.layer_cases("dense"), lambda case: case.R.sum() < 0)))
    Dense(weight=[[0]])
    a = [[0]]
    R = [[-1]]
    """
    found = _find(cases, condition, max_examples, seed)
    return None if found is None else _reduced(found, condition)


def _reduced(case: Any, breaks: Callable[[Any], bool]) -> Any:
    """The case without the samples, outputs and inputs that the law breaks without."""
    found = next((less for less in smaller(case) if breaks(less)), None)
    return case if found is None else _reduced(found, breaks)


def _find(cases: Any, condition: Callable[[Any], bool], max_examples: int, seed: int) -> Any:
    """The smallest case that Hypothesis finds for a condition; None if there is none."""
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
    """What is wrong with a law at a case: both sides, or what was raised; None if it holds."""
    try:
        with np.errstate(all="ignore"):
            return next((str(pair) for pair in law(case) if not pair.agrees), None)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
