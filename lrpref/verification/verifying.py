"""The search for the smallest networks on which an implementation violates a law, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

import numpy as np

from .._support.extras import library
from .._support.tables import aligned
from ..arithmetic import check_integer, check_number
from ..composites import Composite
from ..conformance import NotOffered
from ..errors import unknown
from ..rules import Rule
from ..testing.cases import NetworkCase, describe
from ..testing.checks import check_expected
from ..testing.laws import LAWS as TESTED
from ..testing.laws import statement
from ..testing.search import smallest
from .answering import Answerer, Function, ProgramError
from .laws import LAWS, Laws, Unsaid

VERDICTS = ("holds", "FAILS", "expected failure", "UNEXPECTEDLY HOLDS", "not asked")
HOLDS, FAILS, EXPECTED, UNEXPECTED, NOT_ASKED = VERDICTS


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one law.

    Parameters
    ----------
    law : str
        The name of the law, as in `LAWS`.
    verdict : str
        One of VERDICTS.
    asked : int
        On how many random networks the law was checked.
    violated : int
        On how many of them it was violated.
    case : NetworkCase or None
        The smallest counter-example found.
    problem : str
        Both sides of the equation for this counter-example, or the exception that was raised.
    reason : str
        Why the law was expected to fail; "" if it was not.
    declined : mapping of str to int
        The reasons for which networks were not supported, and how often.
    """

    law: str
    verdict: str
    asked: int
    violated: int = 0
    case: NetworkCase | None = None
    problem: str = ""
    reason: str = ""
    declined: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Verification:
    """What became of all laws; prints as a report.

    Parameters
    ----------
    name : str
        The implementation.
    laws : Laws
        Its laws.
    outcomes : sequence of Outcome
        One per law.
    """

    name: str
    laws: Laws
    outcomes: Sequence[Outcome]

    @property
    def passed(self) -> bool:
        """Whether something was asked, every law that was asked holds, and every expected failure is one."""
        verdicts = {outcome.verdict for outcome in self.outcomes}
        return verdicts != {NOT_ASKED} and not verdicts & {FAILS, UNEXPECTED}

    def __str__(self) -> str:
        rows = [(o.verdict, o.law, _counts(o), _title(o.law)) for o in self.outcomes]
        counts = Counter(outcome.verdict for outcome in self.outcomes)
        summary = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS if counts[verdict])
        lines = [f"{self.name}\n{summary}", "", indent(aligned(rows, {2}), "  ")]
        lines += [f"\n{_counter_example(o)}" for o in self.outcomes if o.case is not None]
        declined = max((Counter(o.declined) for o in self.outcomes), key=Counter.total, default=Counter[str]())
        if declined:
            reasons = "; ".join(f"{reason} ({count})" for reason, count in declined.most_common(8))
            lines += [f"\n{declined.total()} networks were declined: {reasons}"]
        return "\n".join(lines)


def _title(law: str) -> str:
    """Return the statement of a law up to its equation."""
    return statement(TESTED[law]).partition(":")[0].rstrip(".")


def _counts(outcome: Outcome) -> str:
    """Return on how many networks a law was violated, or checked."""
    return f"{outcome.violated} of {outcome.asked}" if outcome.violated else str(outcome.asked)


def _counter_example(outcome: Outcome) -> str:
    """Return the smallest counter-example of a law as text."""
    assert outcome.case is not None
    why = f"expected to fail: {outcome.reason}" if outcome.reason else LAWS[outcome.law]
    note = f" ({why})" if why else ""
    return f"{outcome.law}{note}:\n{indent(describe(outcome.case), '    ')}\n    {outcome.problem}"


def verify(
    answerer: Answerer | Callable[..., Any],
    *,
    like: str | Rule | Composite | None = None,
    only: Collection[str] | None = None,
    expected_failed: Mapping[str, str] | None = None,
    tolerance: float | None = None,
    max_examples: int = 25,
    seed: int = 0,
) -> Verification:
    """Check the laws of relevance on random small networks, and find the smallest counter-example of each.

    Each law is checked on networks of one or two Dense layers, with and without BatchNorm, and on networks with
    convolutions, pools, skip connections, branches and products. What the implementation does not support, it declines.
    The search is deterministic. Needs Hypothesis (in the extra "testing").

    Parameters
    ----------
    answerer : callable
        A function f(network, x, seed) of plain data, as `Function` describes, or a `Program`.
    like : str, Rule, Composite or None
        What the implementation claims to compute, in the words of lrpref, such as "z-plus(stabilizer=1e-6)". Its
        relevance is then compared with that of lrpref.
    only : collection of str, optional
        The laws to check; None for all of them.
    expected_failed : mapping of str to str, optional
        The laws that the implementation is known to violate, each with the reason. The entries are strict: a law that
        holds is reported too.
    tolerance : float, optional
        The absolute difference allowed; by default half of the digits of float64, relative to the largest value (or to
        1 if that is larger).
    max_examples : int, default 25
        How many networks of each kind are tried for each law: three kinds on vectors, one for each block of
        `lrpref.testing.strategies.BLOCKS` on images, and one of several blocks.
    seed : int, default 0
        The seed of the search.

    Returns
    -------
    Verification
        The outcomes; `passed` and `str` summarise them.

    Raises
    ------
    ProgramError
        If a program crashes, takes too long, or answers with something other than relevance; it names the network.
    UnknownNameError
        If a law does not exist.
    ParameterError
        If `max_examples`, `seed` or `tolerance` is out of range.

    Examples
    --------
    >>> def gradient_times_input(network, x, seed):
    ...     R = seed
    ...     for name, key, (source,) in reversed(network["nodes"]):
    ...         layer = network["layers"][key]
    ...         if layer["type"] != "Dense" or source != "input":
    ...             raise NotImplementedError(f"more than one Dense layer")
    ...         w, b = layer["arrays"]["weight"], layer["arrays"].get("bias", 0)
    ...         R = x * ((R / (x @ w.T + b + 1e-300)) @ w)
    ...     return R
    >>> found = verify(gradient_times_input, only=["check_linear_in_R"], max_examples=10)
    >>> found.passed, found.outcomes[0].verdict
    (True, 'holds')
    """
    check_integer(max_examples, "max_examples", least=1)
    check_integer(seed, "seed", least=0)
    if tolerance is not None:
        check_number(tolerance, "tolerance", least=0)
    ask: Answerer = answerer if hasattr(answerer, "name") else Function(answerer)
    laws = Laws(ask, like, tolerance)
    names = _chosen(laws.laws, only)
    expected = dict(expected_failed or {})
    check_expected(expected, names)
    search = _Search(laws, max_examples, seed)
    return Verification(ask.name, laws, [search.outcome(name, expected.get(name, "")) for name in names])


def _chosen(laws: Collection[str], only: Collection[str] | None) -> list[str]:
    """Return the names of the laws to check, in order; raises UnknownNameError."""
    for name in only or ():
        if name not in laws:
            raise unknown("law that is checked here", name, laws)
    return [name for name in LAWS if name in laws and (only is None or name in only)]


class _Search:
    """Checks one law after the other, all on the same networks, and then searches for the smallest counter-example."""

    def __init__(self, laws: Laws, max_examples: int, seed: int) -> None:
        library("hypothesis", "testing", "random networks")
        from ..testing.strategies import BLOCKS, dense_networks, networks

        self.laws = laws
        self._limits = {"max_examples": max_examples, "seed": seed}
        vectors = [dense_networks(norm=False, hidden=False), dense_networks(norm=False), dense_networks(norm=True)]
        images = [networks(blocks=[block]) for block in BLOCKS]
        self._levels = (*vectors, *images, networks())
        self._cases = [case for level in self._levels for case in self._drawn(level)]

    def _drawn(self, level: Any) -> list[NetworkCase]:
        """Return the networks that a search without success looks at."""
        seen: list[NetworkCase] = []

        def collect(case: NetworkCase) -> bool:
            seen.append(case)
            return False

        smallest(level, collect, **self._limits)
        return seen

    def outcome(self, law: str, reason: str) -> Outcome:
        """Check a law; `reason` says why it is expected to fail, if it is."""
        trial = _Trial(self.laws, law)
        verdicts = [trial.violates(case) for case in self._cases]
        trial.demand_whole()
        asked, declined = trial.asked, dict(trial.declined)
        if not any(verdicts):
            held = UNEXPECTED if reason else HOLDS
            return Outcome(law, held if asked else NOT_ASKED, asked, 0, None, "", reason, declined)
        found = self._counter_example(trial)
        return Outcome(law, EXPECTED if reason else FAILS, asked, sum(verdicts), *found, reason, declined)

    def _counter_example(self, trial: _Trial) -> tuple[NetworkCase, str]:
        """Return the smallest counter-example, from the simplest kind of network that has one, and the problem."""
        from hypothesis.errors import Flaky

        for level in self._levels:
            with suppress(Flaky):  # the same question has had two answers; the last violation stands
                case = smallest(level, trial.violates, **self._limits)
                if case is not None:
                    trial.violates(case)
                    break
            trial.demand_whole()
        trial.demand_whole()
        assert trial.last is not None
        return trial.last


class _Trial:
    """One law on many networks. The answer to its first question must be finite relevance of the input's shape.

    Otherwise a single exception or NaN would violate every law; it counts as a violation of the law about it alone.
    """

    def __init__(self, laws: Laws, law: str) -> None:
        self._laws, self._law = laws, law
        self._before = () if law == "check_shape" else ("check_shape",) if law == "check_finite" else _FIRST
        self.asked = 0
        self.declined: Counter[str] = Counter()
        self.last: tuple[NetworkCase, str] | None = None
        self._broken: ProgramError | None = None

    def demand_whole(self) -> None:
        """Raise the ProgramError of a program that has broken down. Hypothesis would try to reproduce it."""
        if self._broken is not None:
            raise self._broken

    def violates(self, case: NetworkCase) -> bool:
        """Return whether the law is violated, and remember where; False after a program has broken down."""
        if self._broken is not None:
            return False
        try:
            case = self._laws.prepared(self._law, case)
            problem = self._problem(case)
        except Unsaid:
            return False
        except NotOffered as reason:
            self.declined[str(reason)] += 1
            return False
        except ProgramError as error:
            self._broken = ProgramError(f"{error}\nThe question was about\n{indent(describe(case), '    ')}")
            return False
        if problem is not None:
            self.last = case, problem
        return problem is not None

    def _problem(self, case: NetworkCase) -> str | None:
        """Return both sides of the law where it does not hold, or the exception that was raised; None if it holds."""
        with np.errstate(all="ignore"):
            if any(self._first(law, case) is not None for law in self._before):
                return None
            problem = self._first(self._law, case)
        self.asked += 1
        return problem

    def _first(self, law: str, case: NetworkCase) -> str | None:
        """Return the first problem with a law."""
        try:
            return next((str(pair) for pair in self._laws.laws[law](case) if not pair.agrees), None)
        except (Unsaid, NotOffered, ProgramError):
            raise
        except Exception as error:
            return f"raised {type(error).__name__}: {error}"


_FIRST = ("check_shape", "check_finite")
"""The laws that an answer must satisfy before any other law is checked on it."""
