"""The suite: run every case with an adapter, and give a verdict on each answer.

    agrees       the library returns the expected value, to the case's tolerance
    differs      it returns another value, although its documentation or the paper it cites promises this one: an error
    convention   it returns another value, and nothing was promised
    not-offered  it lacks the layer, rule or mode; or the case cannot be put to any library
    error        it raised an exception, or did not return relevance of the input

An adapter may also have a method `details(case)` that returns further results by name, as `Case.details` lists them;
the suite compares these as well.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

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
    """The verdict on one case, with the comparison that is furthest off.

    Parameters
    ----------
    case : Case
        The case.
    verdict : str
        One of VERDICTS.
    reason : str
        What the library promises, what it does not offer, or the error; "" if it agrees.
    what : str
        The comparison that is shown: "relevance", a detail, or a part of a law.
    expected, got : array or None
        The arrays of this comparison; None if there was no comparison.
    error : float, default float("nan")
        The largest absolute difference; NaN if there was no comparison.
    relative : float, default float("nan")
        The largest difference in units of the tolerance; NaN if there was no comparison.
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
    """The answers of a library to a table of cases.

    Parameters
    ----------
    library, version : str
        The library, as its adapter names it.
    results : sequence of Result
        One result per case.
    table : str
        The version of the table.
    date : str, default ""
        The day of the run, as YYYY-MM-DD.
    """

    library: str
    version: str
    results: Sequence[Result]
    table: str
    date: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """The number of cases for each verdict."""
        found = Counter(result.verdict for result in self.results)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def passed(self) -> bool:
        """Whether no case differs and none failed with an error."""
        return not self.counts["differs"] and not self.counts["error"]

    def of(self, verdict: str) -> list[Result]:
        """Return the results with this verdict."""
        return [result for result in self.results if result.verdict == verdict]


def run(
    adapter: Adapter, cases: Sequence[Case] | None = None, progress: Callable[[int, int, Case], None] | None = None
) -> Report:
    """Run a table of cases with an adapter. Exceptions of the library do not stop the run.

    Parameters
    ----------
    adapter : Adapter
        The library.
    cases : sequence of Case or None
        The cases; None for all cases that come with lrpref.
    progress : callable or None
        Called after each case with the number of finished cases, the number of all cases, and the case.

    Returns
    -------
    Report
        One result per case.

    Examples
    --------
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
    table = cases[0].table if cases else ""
    return Report(str(adapter.library), str(adapter.version), results, table, date.today().isoformat())


def judge(adapter: Adapter, case: Case) -> Result:
    """Run one case with an adapter; warnings of the library are suppressed.

    Parameters
    ----------
    adapter : Adapter
        The library.
    case : Case
        The case.

    Returns
    -------
    Result
        The verdict.
    """
    if case.kind == "not-offered":
        return Result(case, "not-offered", f"no expected value, because lrpref cannot compute it ({case.reason})")
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
        return replace(result, verdict="convention", reason="the documentation promises no value")
    return replace(result, reason=promise)


def _pairs(adapter: Adapter, case: Case) -> Iterator[Pair]:
    """The answers of the adapter, paired with the expected values."""
    if case.kind == "relation":
        if case.check not in LAWS:
            raise unknown("law", case.check, LAWS)
        yield from LAWS[str(case.check)](adapter, case, **case.arguments)
        return
    got = np.asarray(adapter.explain(case))
    truth = case.in_fractions() if is_exact(got) else case
    yield near("relevance", got, truth.expected, case.tolerance)
    details = getattr(adapter, "details", None)
    answers = {} if details is None else details(case)
    for name, expected in truth.details().items():
        if name in answers:
            yield near(name, answers[name], expected, case.tolerance)


def _furthest(case: Case, pairs: Sequence[Pair]) -> Result:
    """The result of the comparison that is furthest off: "agrees", or "differs" before promises are considered."""
    found = [_compare(case, pair) for pair in pairs]
    return max(found, key=lambda result: (result.verdict != "agrees", np.nan_to_num(result.relative, nan=np.inf)))


def _compare(case: Case, pair: Pair) -> Result:
    """Compare one pair; raises TypeError or ValueError unless the answer is a real array of the expected shape."""
    got, expected = np.asarray(pair.got), np.asarray(pair.expected)
    if got.shape != expected.shape:
        raise ValueError(f"{pair.what} has shape {got.shape}, expected {expected.shape}")
    if got.dtype != object and got.dtype.kind not in "biuf":
        raise TypeError(f"{pair.what} has number type {got.dtype}; expected real numbers")
    limit = 0 if got.dtype == object else pair.allowed  # exact numbers must be equal
    with np.errstate(all="ignore"):
        off, allowed = abs(got - expected), np.broadcast_to(np.asarray(limit), expected.shape)
        agrees = bool(np.all(off <= allowed))
        off, allowed = off.astype(np.float64), allowed.astype(np.float64)
        relative = np.where(off == 0, 0.0, off / allowed)
    largest, furthest = (float(np.max(x, initial=0.0)) for x in (off, relative))
    return Result(case, "agrees" if agrees else "differs", "", pair.what, expected, got, largest, furthest)
