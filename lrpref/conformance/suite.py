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
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from ..arithmetic import is_exact
from ..errors import unknown
from ..testing.laws import Pair, near
from .adapter import Adapter
from .case import Case, load_cases
from .laws import LAWS
from .table import lrp_cases

VERDICTS = lrp_cases.VERDICTS


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
    def verdicts(self) -> dict[str, str]:
        """The verdict on each case, by its id."""
        return {result.case.id: result.verdict for result in self.results}

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
    about = {"id": case.id, "kind": case.kind, "reason": case.reason}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = lrp_cases.judge(about, lambda: _pairs(adapter, case), lambda: adapter.promise(case))
    expected, got = (None if side is None else np.asarray(side) for side in (found.expected, found.got))
    return Result(case, found.verdict, found.reason, found.what, expected, got, found.error, found.relative)


def _pairs(adapter: Adapter, case: Case) -> Iterator[lrp_cases.Pair]:
    """The answers of the adapter, paired with the values that they must equal."""
    if case.kind == "relation" and "questions" not in case.data:
        if case.check not in LAWS:
            raise unknown("law", case.check, LAWS)
        yield from map(_listed, LAWS[str(case.check)](adapter, case, **case.arguments))
        return
    if case.kind == "relation":
        yield from lrp_cases.pairs(case.data, lambda name: _answer(adapter, case.question(name)))
        return
    got = np.asarray(adapter.explain(case))
    truth = case.in_fractions() if is_exact(got) else case
    yield _listed(near("relevance", got, truth.expected, case.tolerance))
    details = getattr(adapter, "details", None)
    answers = {} if details is None else details(case)
    for name, expected in truth.details().items():
        if name in answers:
            yield _listed(near(name, answers[name], expected, case.tolerance))


def _answer(adapter: Adapter, question: Case) -> Any:
    """The relevance that an adapter returns, as nested lists."""
    return _real("relevance", adapter.explain(question)).tolist()


def _listed(pair: Pair) -> lrp_cases.Pair:
    """A pair of arrays as nested lists. Exact numbers must be equal."""
    got, expected = _real(pair.what, pair.got), np.asarray(pair.expected)
    allowed = np.broadcast_to(0 if got.dtype == object else pair.allowed, expected.shape)
    return lrp_cases.Pair(pair.what, got.tolist(), expected.tolist(), allowed.reshape(-1).tolist())


def _real(what: str, answer: Any) -> np.ndarray:
    """An answer as an array of real or exact numbers; raises TypeError."""
    got = np.asarray(answer)
    if got.dtype != object and got.dtype.kind not in "biuf":
        raise TypeError(f"{what} has number type {got.dtype}; expected real numbers")
    return got.astype(np.int8) if got.dtype == bool else got
