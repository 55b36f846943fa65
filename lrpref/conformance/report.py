"""A `Report` as text for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from .._support.progress import on_terminal
from .._support.tables import aligned
from .._support.version import __version__
from ..rational.conversion import to_float
from .case import Case
from .suite import Report, Result
from .table import lrp_cases

MEANING = {
    "agrees": "the expected value, to the case's tolerance",
    "differs": "another value, although the documentation or the paper it cites promises this one: an error",
    "convention": "another value where nothing is promised: the library's own choice",
    "not-offered": "no such layer, rule or mode, or a question for lrpref only",
    "error": "an exception, or an answer that is not relevance of the input",
}
"""The meaning of each verdict."""

SHOWN = ("differs", "error", "convention")
"""The verdicts that every report lists case by case."""

WIDTH = 110


def as_text(report: Report, known: Any = None) -> str:
    """Return the report for a terminal: counts and scores, differences and errors, and what is not offered, by reason.

    Parameters
    ----------
    report : Report
        The report.
    known : lrp_cases.Known, optional
        The known differences; the text then says how the report differs from them.

    Returns
    -------
    str
        The text.
    """
    lines = [_title(report), ""]
    lines += [f"{count:6}  {verdict:12} {MEANING[verdict]}" for verdict, count in report.counts.items()]
    lines += ["", *lrp_cases.score_lines(_scores(report))]
    if known is not None:
        settled = lrp_cases.settle(report.verdicts, known)
        lines += ["", *lrp_cases.settled_lines(settled, known, report.version)]
    for verdict in SHOWN:
        for reason, found in _by_reason(report, verdict).items():
            lines += ["", _fold(f"{verdict} ({len(found)}): {reason}", 4)]
            lines += _columns([("case", "expected", "got", "error"), *((r.case.id, *_shown(r)) for r in found)])
    lines += ["", "not offered:"] if report.counts["not-offered"] else []
    lines += [f"{len(r):6}  {_fold(reason, 8)}" for reason, r in _by_reason(report, "not-offered").items()]
    return "\n".join(lines)


def as_markdown(report: Report) -> str:
    """Return the report as Markdown, with a table for each verdict."""
    lines = [f"# {_plain(_title(report))}", "", "| verdict | cases | meaning |", "|---|---:|---|"]
    lines += [f"| {verdict} | {count} | {MEANING[verdict]} |" for verdict, count in report.counts.items()]
    lines += ["", *(f"| {' | '.join(row)} |" for row in lrp_cases.score_rows(_scores(report), markdown=True))]
    for verdict in (*SHOWN, "not-offered", "agrees"):
        found = report.of(verdict)
        if not found:
            continue
        lines += ["", f"## {verdict} ({len(found)})", ""]
        if verdict == "agrees":
            lines.append(", ".join(f"`{result.case.id}`" for result in found))
            continue
        lines += [
            "| case | statement | expected | got | error | reason | known elsewhere |",
            "|---|---|---|---|---|---|---|",
        ]
        for result in found:
            cells = (result.case.title, *_shown(result), result.reason, result.case.citation)
            lines.append(f"| `{result.case.id}` | " + " | ".join(map(_plain, cells)) + " |")
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """Return the report as JSON.

        {"library", "version", "lrpref", "table", "date", "verdicts", "profiles",
         "cases": [{"id", "verdict", ...}, ...]}

    NaN and infinities in arrays are text, because JSON lacks them. Missing numbers are null.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    str
        One line per case.
    """
    about = {"library": report.library, "version": report.version, "lrpref": __version__}
    about |= {"table": report.table, "date": report.date}
    profiles = lrp_cases.profile_data(_scores(report))
    head = json.dumps({**about, "verdicts": report.counts, "profiles": profiles}, indent=1)[:-2]
    cases = ",\n".join(json.dumps(_data(result), allow_nan=False) for result in report.results)
    return f'{head},\n "cases": [\n{cases}\n ]\n}}\n'


def as_badge(report: Report, profile: str = "", known: Any = None) -> str:
    """Return a badge for an endpoint of shields.io, as JSON."""
    return json.dumps(lrp_cases.badge(report.verdicts, profile, known)) + "\n"


def as_draft(report: Report) -> str:
    """Return a draft of the library's known differences, as JSON: every answer that is not the expected one."""
    reasons = {result.case.id: _drafted(result) for verdict in SHOWN for result in report.of(verdict)}
    return json.dumps(lrp_cases.draft(report.library, report.version, reasons), indent=1) + "\n"


def _drafted(result: Result) -> str:
    """What a draft says about an answer that is not the expected one."""
    expected, got, _ = _shown(result)
    return f"{got} instead of {expected}; {result.reason}" if got else result.reason


def as_list(cases: Sequence[Case]) -> str:
    """List cases for a terminal: question, kind, id and statement."""
    width = max((len(case.id) for case in cases), default=0)
    return "\n".join(f"{case.number:3}  {case.kind:11}  {case.id:{width}}  {case.title}" for case in cases)


def in_words(result: Result) -> str:
    """Return a result on one line: the verdict, both values, and the reason."""
    expected, got, error = _shown(result)
    values = f": expected {expected}, got {got}, off by {error}" if got else ""
    return f"{result.verdict}{values}: {result.reason}"


def progress(done: int, of: int, case: Case) -> None:
    """Show the progress of a run on one line of stderr, and clear it at the end; do nothing without a terminal."""
    if on_terminal():
        line = "" if done == of else f"{done}/{of} {case.id}"
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


FORMS: Mapping[str, Callable[[Report], str]] = {"json": as_json, "markdown": as_markdown}
"""The formats of a report file."""


# ---- parts of a report -----------------------------------------------------------------------------------------


def _title(report: Report) -> str:
    """The library and the table."""
    return f"{report.library} {report.version} on {len(report.results)} cases of table {report.table or '(none)'}"


def _scores(report: Report) -> Any:
    """The score in each profile of the table that comes with lrpref."""
    return lrp_cases.scores(report.verdicts, lrp_cases.load_profiles())


def _by_reason(report: Report, verdict: str) -> dict[str, list[Result]]:
    """The results of a verdict, grouped by reason, the most frequent first."""
    found: dict[str, list[Result]] = {}
    for result in report.of(verdict):
        found.setdefault(result.reason, []).append(result)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align rows in columns; columns that are empty below the head are left out."""
    kept = [k for k in range(len(rows[0])) if any(row[k] for row in rows[1:])]
    return [f"    {line}" for line in aligned([[row[k] for k in kept] for row in rows]).splitlines()]


def _shown(result: Result) -> tuple[str, str, str]:
    """Expected value, answer and error as short text: all of a small array, the worst entry of a large one."""
    if result.got is None or result.expected is None:
        return "", "", ""
    allowed = f"{result.error:.3g}" + (f" ({result.what})" if result.what != "relevance" else "")
    got, expected = to_float(result.got), to_float(result.expected)
    if got.size <= 4:
        return _row(expected), _row(got), allowed
    worst = np.unravel_index(int(np.argmax(np.nan_to_num(np.abs(got - expected), nan=np.inf))), got.shape)
    place = ", ".join(map(str, worst))
    return f"{expected[worst]:.6g} at [{place}]", f"{got[worst]:.6g} at [{place}]", allowed


def _row(x: np.ndarray) -> str:
    """A small array on one line."""
    return "(" + ", ".join(f"{v:.6g}" for v in x.reshape(-1)) + ")"


def _data(result: Result) -> dict[str, Any]:
    """A result as a JSON object."""
    case = result.case
    found = {"id": case.id, "number": case.number, "title": case.title, "citation": case.citation}
    found |= {"verdict": result.verdict, "reason": result.reason, "what": result.what}
    arrays = {"expected": _listed(result.expected), "got": _listed(result.got)}
    return {**found, **arrays, "error": _number(result.error), "relative": _number(result.relative)}


def _listed(x: Any) -> Any:
    """An array as nested lists; exact numbers as text."""
    if isinstance(x, np.ndarray):
        return _listed(x.tolist())
    if isinstance(x, list):
        return [_listed(part) for part in x]
    return _number(x, absent="nan") if isinstance(x, float) else None if x is None else str(x)


def _number(x: float, absent: str | None = None) -> float | str | None:
    """A number that JSON can represent; `absent` for NaN."""
    return x if isfinite(x) else absent if x != x else "inf" if x > 0 else "-inf"


def _fold(text: str, indent: int) -> str:
    """Wrap text at WIDTH, and indent the lines after the first."""
    return ("\n" + " " * indent).join(textwrap.wrap(text, WIDTH - indent)) or "-"


def _plain(text: str) -> str:
    """Escape text for Markdown, on one line."""
    return re.sub(r"([\\`*_\[\]|<>#~])", r"\\\1", " ".join(text.split()))
