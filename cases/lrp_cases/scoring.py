"""The score of a library in each profile, and a badge of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from .known import OTHERWISE, Known, settle
from .tables import aligned


@dataclass(frozen=True)
class Score:
    """How many cases of a profile a library answers, and how.

    Parameters
    ----------
    title : str
        What the profile contains.
    cases : int
        The number of its cases.
    answered : int
        How many of them the library answers.
    agrees : int
        How many of these answers are the expected ones.
    """

    title: str
    cases: int
    answered: int
    agrees: int

    def __str__(self) -> str:
        return f"{self.agrees} of {self.answered} answers agree" if self.answered else "not answered"


def scores(verdicts: Mapping[str, str], profiles: Mapping[str, Mapping[str, Any]]) -> dict[str, Score]:
    """Return the score in each profile that was judged as a whole or in part.

    Parameters
    ----------
    verdicts : mapping of str to str
        The verdict on each case, by id.
    profiles : mapping of str to mapping
        The profiles of the table, as `load_profiles` returns them.

    Returns
    -------
    dict of str to Score
        Scores by profile.

    Examples
    --------
    >>> profiles = {"core": {"title": "the core", "cases": ["a", "b", "c"]}}
    >>> print(scores({"a": "agrees", "b": "not-offered", "c": "differs"}, profiles)["core"])
    1 of 2 answers agree
    """
    found = {}
    for name, profile in profiles.items():
        told = [verdicts[id_] for id_ in profile["cases"] if id_ in verdicts]
        answered = [verdict for verdict in told if verdict != "not-offered"]
        if told:
            found[name] = Score(profile["title"], len(told), len(answered), answered.count("agrees"))
    return found


def score_rows(found: Mapping[str, Score], markdown: bool = False) -> list[list[str]]:
    """Return scores as the rows of a table.

    Parameters
    ----------
    found : mapping of str to Score
        The scores by profile.
    markdown : bool
        Whether a row of dashes follows the head, as Markdown needs.

    Returns
    -------
    list of list of str
        The head, and profile, cases, answered and agree of each score.
    """
    head = [["profile", "cases", "answered", "agree"]] + ([["---", "---:", "---:", "---:"]] if markdown else [])
    return head + [[name, str(score.cases), str(score.answered), str(score.agrees)] for name, score in found.items()]


def score_lines(found: Mapping[str, Score]) -> list[str]:
    """Return scores as the lines of a table for a terminal; none if there are no scores."""
    return aligned(score_rows(found)) if found else []


def profile_data(found: Mapping[str, Score]) -> dict[str, dict[str, int]]:
    """Return scores as JSON objects."""
    return {n: {"cases": s.cases, "answered": s.answered, "agrees": s.agrees} for n, s in found.items()}


def badge(verdicts: Mapping[str, str], profile: str = "", known: Known | None = None) -> dict[str, Any]:
    """Return a badge for https://shields.io/badges/endpoint-badge.

    Parameters
    ----------
    verdicts : mapping of str to str
        The verdict on each case, by id.
    profile : str
        The profile that was judged; "" for all cases.
    known : Known, optional
        The known differences.

    Returns
    -------
    dict
        The content of the endpoint, as JSON.

    Examples
    --------
    >>> badge({"a": "agrees", "b": "agrees"}, "core")["message"]
    '2 of 2 answers agree'
    """
    told = list(verdicts.values())
    answered = sum(verdict != "not-offered" for verdict in told)
    score = Score("", len(told), answered, told.count("agrees"))
    message, colour = str(score), "brightgreen" if answered else "lightgrey"
    otherwise = [verdict for verdict in told if verdict in OTHERWISE]
    if known and settle(verdicts, known).green:
        if otherwise:
            message, colour = f"{message}, {len(otherwise)} known to differ", "yellow"
    elif known or otherwise:
        colour = "red" if known or {"differs", "error"} & set(otherwise) else "yellow"
    label = f"LRP cases: {profile}" if profile else "LRP cases"
    return {"schemaVersion": 1, "label": label, "message": message, "color": colour}
