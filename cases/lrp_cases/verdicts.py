"""The judge: a verdict on the answers to each case.

    agrees       the expected value, to the case's tolerance
    differs      another value, although the documentation or the paper it cites promises this one: an error
    convention   another value where nothing is promised: the library's own choice
    not-offered  no such layer, rule or mode, or a question that cannot be asked this way
    error        an exception, or an answer that is not relevance of the input

A file of answers promises nothing and takes nothing back: another value there always "differs".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isnan
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

from . import relations
from .comparison import Pair, compare, entries, is_exact, near
from .errors import CasesError, NotOffered, UnknownNameError, shortened
from .reader import Case, numbers, read_object

VERDICTS = ("agrees", "differs", "convention", "not-offered", "error")


@dataclass(frozen=True)
class Result:
    """The verdict on one case, with the comparison that is furthest off.

    Parameters
    ----------
    id : str
        The id of the case.
    verdict : str
        One of VERDICTS.
    reason : str
        What the library promises, what it does not offer, or the error; "" if it agrees.
    what : str
        The comparison that is shown: "relevance", a detail, or a part of a law.
    expected, got : nested lists or None
        The arrays of this comparison; None if there was no comparison.
    error : float
        The largest absolute difference; NaN if there was no comparison.
    relative : float
        The largest difference in units of the tolerance; NaN if there was no comparison.
    """

    id: str
    verdict: str
    reason: str = ""
    what: str = ""
    expected: Any = None
    got: Any = None
    error: float = float("nan")
    relative: float = float("nan")


def judge(case: Case, pairs: Callable[[], Iterable[Pair]], promise: Callable[[], str | None]) -> Result:
    """Give the verdict on one case.

    Parameters
    ----------
    case : mapping
        The case.
    pairs : callable
        Returns the answers, paired with the values that they must equal. NotOffered is a verdict, and so is any other
        exception.
    promise : callable
        Returns what the library promises about the value, or None; called only if the value is another one.

    Returns
    -------
    Result
        The verdict.
    """
    if case["kind"] == "not-offered":
        reason = "no expected value, because lrpref cannot compute it ({})".format(case["reason"])
        return Result(case["id"], "not-offered", reason)
    try:
        result = _furthest(case["id"], list(pairs()))
        if result.verdict == "agrees":
            return result
        words = promise()
    except NotOffered as reason:
        return Result(case["id"], "not-offered", str(reason))
    except Exception as error:
        return Result(case["id"], "error", f"{type(error).__name__}: {error}")
    if words is None:
        return replace(result, verdict="convention", reason="the documentation promises no value")
    return replace(result, reason=words)


def _furthest(id_: str, pairs: Sequence[Pair]) -> Result:
    """The result of the comparison that is furthest off: "agrees", or "differs" before promises are considered."""
    found = max(map(compare, pairs), key=lambda c: (not c.agrees, float("inf") if isnan(c.relative) else c.relative))
    verdict = "agrees" if found.agrees else "differs"
    return Result(id_, verdict, "", found.pair.what, found.pair.expected, found.pair.got, found.error, found.relative)


def case_pairs(case: Case, answer: relations.Answer) -> Iterator[Pair]:
    """Yield the answers to a case, paired with what they must equal.

    Parameters
    ----------
    case : mapping
        A case of kind "relevance" or "relation".
    answer : callable
        The answer to each question of the case, by name, as nested lists; raises NotOffered.

    Yields
    ------
    Pair
        The map and its expected value, or the comparisons of a relation.

    Raises
    ------
    NotOffered
        If the library does not offer an answer, or no answer of this kind exists.
    """
    if "adapters_only" in case:
        raise NotOffered("asked of adapters only: {}".format(case["adapters_only"]))
    if case["kind"] == "relation":
        yield from relations.pairs(case, answer)
        return
    got = answer("")
    exact = is_exact(got) and case.get("exact")
    yield near("relevance", got, numbers(case["expected"], Fraction if exact else float), case.get("tolerance", 0.0))


# ---- answers from a file ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """The answers of a library to the questions of a table.

    Parameters
    ----------
    library, version : str
        The library, as its file names it; "" if it does not.
    answers : mapping of str to answer
        Nested lists of numbers by the id of the question, or {"not_offered": reason}.
    """

    library: str
    version: str
    answers: Mapping[str, Any]


def read_answers(path: str | Path, cases: Iterable[Case]) -> Answers:
    """Read a file of answers: {"library": name, "version": text, id: arrays or {"not_offered": reason}, ...}.

    Parameters
    ----------
    path : path
        The file.
    cases : iterable of mapping
        All cases of the table, whose questions may be answered.

    Returns
    -------
    Answers
        The answers; their entries are checked when they are judged.

    Raises
    ------
    CasesError
        If the file is damaged, or an answer is neither nested lists nor {"not_offered": reason}.
    UnknownNameError
        If no question has the id of an answer.
    """
    data = read_object(path)
    about = {key: data.pop(key, "") for key in ("library", "version")}
    wrong = [key for key, value in about.items() if not isinstance(value, str)]
    if wrong:
        raise CasesError(f"{path}: {wrong[0]} must be text, got {shortened(about[wrong[0]])!r}")
    known = [relations.identity(case, name) for case in cases for name in relations.names(case)]
    for id_, answer in data.items():
        if id_ not in known:
            raise UnknownNameError("question", id_, known)
        refused = isinstance(answer, dict) and set(answer) == {"not_offered"} and isinstance(answer["not_offered"], str)
        if not (isinstance(answer, list) or refused):
            told = f'nested lists, or {{"not_offered": reason}}, got {shortened(answer)!r}'
            raise CasesError(f"{path}: the answer to {id_} must be {told}")
    return Answers(about["library"], about["version"], data)


def judge_answers(answers: Answers, cases: Iterable[Case]) -> list[Result]:
    """Judge the answers of a file.

    Parameters
    ----------
    answers : Answers
        The answers.
    cases : iterable of mapping
        The cases to judge.

    Returns
    -------
    list of Result
        One result per case. A question without an answer is not offered.

    Examples
    --------
    >>> from lrp_cases import load
    >>> answers = Answers("mine", "0.1", {"gamma-linear": [["11/6", "-5/6"]], "gamma-bias": [[0.5, 0.5]]})
    >>> [result.verdict for result in judge_answers(answers, load(only="gamma-*"))][:3]
    ['agrees', 'not-offered', 'differs']
    """

    def judged(case: Case) -> Result:
        def answer(name: str) -> Any:
            found = answers.answers.get(relations.identity(case, name), {"not_offered": "not answered"})
            if isinstance(found, dict):
                raise NotOffered(found["not_offered"])
            return entries(found)

        return judge(case, lambda: case_pairs(case, answer), lambda: "")

    return [judged(case) for case in cases]


def count(results: Iterable[Result]) -> dict[str, int]:
    """Return the number of cases for each verdict."""
    verdicts = [result.verdict for result in results]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}
