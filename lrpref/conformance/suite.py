"""The suite: every case, put to an adapter, and a verdict on each answer.

    agrees       the library gives what the case expects, to its tolerance
    differs      it does not, where its own documentation or the paper it cites promises so: it is wrong
    convention   it does not, and has promised nothing else
    not-offered  it has no such layer, rule or mode; or the case can be put to nobody
    error        it raised an error, or returned something that is no relevance of the input

An adapter may also have a method `details(case)`, which tells by name more that the table knows of some cases (see
`Case.details`); what it tells is held to the table as well.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arithmetic import is_exact
from ..errors import unknown
from ..testing.laws import Pair, near
from .adapter import Adapter, NotOffered
from .case import Case, load_cases
from .laws import LAWS

VERDICTS = ("agrees", "differs", "convention", "not-offered", "error")


@dataclass(frozen=True, eq=False)
class Result:
    """One case's verdict.

    case           the case
    verdict        one of VERDICTS
    reason         why: what the library promises, what it does not offer, the error; "" where it agrees
    what           which of the case's comparisons is shown: "relevance", or a part of a law
    expected, got  that comparison's arrays (the one furthest off); None where none was made
    error          the largest absolute difference, nan where there is none to tell
    relative       the same, where 1 is what the tolerance allows
    """

    case: Case
    verdict: str
    reason: str = ""
    what: str = ""
    expected: np.ndarray | None = None
    got: np.ndarray | None = None
    error: float = float("nan")
    relative: float = float("nan")


@dataclass(frozen=True, eq=False)
class Report:
    """What a library answered: its name and version, one result per case, and the version of the table."""

    library: str
    version: str
    results: Sequence[Result]
    table: str

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> how many cases, for every verdict."""
        found = Counter(result.verdict for result in self.results)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def passed(self) -> bool:
        """Whether nothing differs and nothing failed."""
        return not self.counts["differs"] and not self.counts["error"]

    def of(self, verdict: str) -> list[Result]:
        """The results of one verdict."""
        return [result for result in self.results if result.verdict == verdict]


def run(
    adapter: Adapter, cases: Sequence[Case] | None = None, progress: Callable[[int, int, Case], None] | None = None
) -> Report:
    """Put cases (None: all that come with lrpref) to an adapter. No error of the library stops the run.

    progress  called after each case with how many are done, how many there are, and the case

    >>> from lrpref.conformance import load_adapter
    >>> run(load_adapter("lrpref"), load_cases(only="gamma-*")).passed
    True
    """
    cases = load_cases() if cases is None else cases
    results = []
    for done, case in enumerate(cases, start=1):
        results.append(judge(adapter, case))
        if progress is not None:
            progress(done, len(cases), case)
    return Report(str(adapter.library), str(adapter.version), results, cases[0].table if cases else "")


def judge(adapter: Adapter, case: Case) -> Result:
    """The verdict on one case; the library's warnings are not passed on."""
    if case.kind == "not-offered":
        return Result(case, "not-offered", f"no expected value: lrpref has nothing to compute it with ({case.reason})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = _furthest(case, list(_pairs(adapter, case)))
            if result.verdict == "agrees":
                return result
            promise = adapter.promise(case)
    except NotOffered as reason:
        return Result(case, "not-offered", str(reason))
    except Exception as error:
        return Result(case, "error", f"{type(error).__name__}: {error}")
    if promise is None:
        return replace(result, verdict="convention", reason="nothing else is promised")
    return replace(result, reason=promise)


def _pairs(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """What the adapter answers, next to what it must equal."""
    if case.kind == "relation":
        if case.check not in LAWS:
            raise unknown("law", case.check, LAWS)
        yield from LAWS[str(case.check)](adapter, case, **case.arguments)
        return
    got = np.asarray(adapter.explain(case))
    truth = case.in_fractions() if is_exact(got) else case
    yield near("relevance", got, truth.expected, case.tolerance)
    details = getattr(adapter, "details", None)
    told = {} if details is None else details(case)
    for name, expected in truth.details().items():
        if name in told:
            yield near(name, told[name], expected, case.tolerance)


def _furthest(case: Case, pairs: Sequence[Pair]) -> Result:
    """The result of the comparison that is furthest off; "agrees", or "differs" until someone knows better."""
    found = [_compare(case, pair) for pair in pairs]
    return max(found, key=lambda result: (result.verdict != "agrees", np.nan_to_num(result.relative, nan=np.inf)))


def _compare(case: Case, pair: Pair) -> Result:
    """One comparison; raises TypeError or ValueError for an answer that is no array of real numbers of that shape."""
    got, expected = np.asarray(pair.got), np.asarray(pair.expected)
    if got.shape != expected.shape:
        raise ValueError(f"{pair.what} has shape {got.shape}, expected {expected.shape}")
    if got.dtype != object and got.dtype.kind not in "biuf":
        raise TypeError(f"{pair.what} is of type {got.dtype}, not of real numbers")
    limit = 0 if got.dtype == object else pair.allowed  # exact numbers are equal, or they are not
    with np.errstate(all="ignore"):
        off, allowed = abs(got - expected), np.broadcast_to(np.asarray(limit), expected.shape)
        agrees = bool(np.all(off <= allowed))
        off, allowed = off.astype(np.float64), allowed.astype(np.float64)
        relative = np.where(off == 0, 0.0, off / allowed)
    largest, furthest = (float(np.max(x, initial=0.0)) for x in (off, relative))
    return Result(case, "agrees" if agrees else "differs", "", pair.what, expected, got, largest, furthest)
