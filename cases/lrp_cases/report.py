"""Results as text for a terminal, and as JSON."""

from __future__ import annotations

import json
from fractions import Fraction
from math import isfinite
from typing import Any, Mapping, Sequence

from .known import Known, Settled, settle
from .reader import flat
from .scoring import Score, profile_data, score_lines
from .tables import aligned
from .verdicts import Answers, Result, count

HEADINGS = (
    ("kept", "known to differ"),
    ("new", "differs, and is not listed"),
    ("fixed", "listed, but agrees now: take it out of the list"),
    ("silent", "listed, but has no answer"),
)
"""What the report says about each group of `Settled`."""


def as_text(
    results: Sequence[Result], answers: Answers, table: str, found: Mapping[str, Score], known: Known | None = None
) -> str:
    """Return a report: the counts, the scores, the differences, what is known of them, and what is not offered.

    Parameters
    ----------
    results : sequence of Result
        One result per case.
    answers : Answers
        The answers that were judged.
    table : str
        The version of the table.
    found : mapping of str to Score
        The scores by profile.
    known : Known, optional
        The known differences.

    Returns
    -------
    str
        The report.
    """
    library = " ".join(filter(None, (answers.library, answers.version))) or "these answers"
    lines = [f"{library} on {len(results)} cases of table {table}", ""]
    lines += [f"{number:6}  {verdict}" for verdict, number in count(results).items() if number]
    lines += ["", *score_lines(found)]
    for verdict in ("differs", "convention", "error"):
        rows = [[r.id, *shown(r), r.reason] for r in results if r.verdict == verdict]
        lines += ["", f"{verdict}:", *aligned([["case", "expected", "got", "error", "reason"], *rows])] if rows else []
    if known:
        lines += ["", *settled_lines(settle({r.id: r.verdict for r in results}, known), known, answers.version)]
    reasons: dict[str, int] = {}
    for result in results:
        if result.verdict == "not-offered":
            reasons[result.reason] = reasons.get(result.reason, 0) + 1
    ranked = sorted(reasons.items(), key=lambda item: -item[1])
    lines += ["", "not offered:", *(f"{number:6}  {reason}" for reason, number in ranked)] if ranked else []
    return "\n".join(lines)


def settled_lines(settled: Settled, known: Known, version: str = "") -> list[str]:
    """Return what a report says about known differences.

    Parameters
    ----------
    settled : Settled
        The ids, by what became of them.
    known : Known
        The known differences.
    version : str
        The version that was judged, if it is known.

    Returns
    -------
    list of str
        Lines of text.
    """
    lines = ["known differences of {}: {}".format(known.library, "as listed" if settled.green else "NOT as listed")]
    if version and version not in known.versions:
        lines.append("  the list is of {} {}; this is {}".format(known.library, ", ".join(known.versions), version))
    for name, heading in HEADINGS:
        ids = getattr(settled, name)
        rows = [[id_, *known.known.get(id_, {"reason": "", "link": ""}).values()] for id_ in ids]
        lines += [f"  {heading} ({len(ids)}):", *aligned(rows)] if ids else []
    return lines


def as_json(
    results: Sequence[Result], answers: Answers, table: str, found: Mapping[str, Score], known: Known | None = None
) -> str:
    """Return the report as JSON, with the parameters of `as_text`.

        {"library", "version", "table", "verdicts", "profiles", "known", "cases": [{"id", "verdict", ...}, ...]}

    NaN and infinities in arrays are text, and missing numbers are null.
    """
    about: dict[str, Any] = {"library": answers.library, "version": answers.version, "table": table}
    about["verdicts"], about["profiles"] = count(results), profile_data(found)
    about["known"] = None if known is None else vars(settle({r.id: r.verdict for r in results}, known))
    cases = [
        {
            "id": r.id, "verdict": r.verdict, "reason": r.reason, "what": r.what, "expected": _listed(r.expected),
            "got": _listed(r.got), "error": _number(r.error), "relative": _number(r.relative),
        }
        for r in results
    ]  # fmt: skip
    head = json.dumps(about, indent=1)[:-2]
    return '{},\n "cases": [\n{}\n ]\n}}\n'.format(
        head, ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    )


def shown(result: Result) -> list[str]:
    """Return expected value, answer and error as short text: all of a small array, the worst entry of a large one."""
    if result.got is None or result.expected is None:
        return ["", "", ""]
    error = f"{result.error:.3g}" + (f" ({result.what})" if result.what != "relevance" else "")
    got, expected = ([float(v) for v in flat(side)] for side in (result.got, result.expected))
    if len(got) <= 4:
        return [*("({})".format(", ".join(f"{v:.6g}" for v in side)) for side in (expected, got)), error]
    off = [abs(g - e) for g, e in zip(got, expected)]
    worst = max(range(len(off)), key=lambda n: float("inf") if off[n] != off[n] else off[n])
    return [f"{side[worst]:.6g} at entry {worst + 1}" for side in (expected, got)] + [error]


def _listed(x: Any) -> Any:
    """An array as JSON: exact numbers, NaN and infinities as text."""
    if isinstance(x, list):
        return [_listed(part) for part in x]
    if isinstance(x, float):
        return x if isfinite(x) else str(x)
    return x if x is None else str(Fraction(x))


def _number(x: float) -> Any:
    """A number that JSON can represent; None for NaN."""
    return x if isfinite(x) else None if x != x else str(x)
