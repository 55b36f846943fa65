"""The report: one `Report`, told for a terminal, as Markdown, as JSON, and as one HTML page that needs nothing else."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import numpy as np

from .. import __version__
from ..rational.conversion import to_float
from .case import Case
from .suite import Report, Result

MEANING = {
    "agrees": "the expected value, to the case's tolerance",
    "differs": "another value, where its documentation or the paper it cites promises this one: wrong",
    "convention": "another value, where nothing is promised: a choice of its own",
    "not-offered": "no such layer, rule or mode, or a question for lrpref alone",
    "error": "it failed, or returned no relevance",
}
"""What each verdict says, for a reader of the report."""

SHOWN = ("differs", "error", "convention")
"""The verdicts that are told case by case everywhere."""

WIDTH = 110


def as_text(report: Report) -> str:
    """The report for a terminal: the counts; then what differs or failed, and what is not offered, by reason."""
    lines = [_title(report), ""]
    lines += [f"{count:6}  {verdict:12} {MEANING[verdict]}" for verdict, count in report.counts.items()]
    for verdict in SHOWN:
        for reason, found in _by_reason(report, verdict).items():
            lines += ["", _fold(f"{verdict} ({len(found)}): {reason}", 4)]
            lines += _columns([("case", "expected", "got", "error"), *((r.case.id, *_shown(r)) for r in found)])
    lines += ["", "not offered:"] if report.counts["not-offered"] else []
    lines += [f"{len(r):6}  {_fold(reason, 8)}" for reason, r in _by_reason(report, "not-offered").items()]
    return "\n".join(lines)


def as_markdown(report: Report) -> str:
    """The report as Markdown, a table for each verdict."""
    lines = [f"# {_plain(_title(report))}", "", "| verdict | cases | meaning |", "|---|---:|---|"]
    lines += [f"| {verdict} | {count} | {MEANING[verdict]} |" for verdict, count in report.counts.items()]
    for verdict in (*SHOWN, "not-offered", "agrees"):
        found = report.of(verdict)
        if not found:
            continue
        lines += ["", f"## {verdict} ({len(found)})", ""]
        if verdict == "agrees":
            lines.append(", ".join(f"`{result.case.id}`" for result in found))
            continue
        lines += [
            "| case | statement | expected | got | error | why | known elsewhere |",
            "|---|---|---|---|---|---|---|",
        ]
        for result in found:
            cells = (result.case.title, *_shown(result), result.reason, result.case.citation)
            lines.append(f"| `{result.case.id}` | " + " | ".join(map(_plain, cells)) + " |")
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """The report as JSON: {"library", "version", "lrpref", "table", "verdicts", "cases": [{"id", "verdict", ...}]}.

    NaN and infinities, which JSON lacks, are text; a number that does not exist is null.
    """
    told = {"library": report.library, "version": report.version, "lrpref": __version__, "table": report.table}
    head = json.dumps({**told, "verdicts": report.counts}, indent=1)[:-2]
    cases = ",\n".join(json.dumps(_data(result), allow_nan=False) for result in report.results)
    return f'{head},\n "cases": [\n{cases}\n ]\n}}\n'


def as_html(report: Report) -> str:
    """The report as one HTML page: no script, no font, no picture from elsewhere."""
    title = escape(_title(report))
    tiles = "".join(
        f'<a class="{verdict}" href="#{verdict}"><b>{count}</b> {verdict}<small>{escape(MEANING[verdict])}</small></a>'
        for verdict, count in report.counts.items()
    )
    sections = "".join(_section(report, verdict) for verdict in (*SHOWN, "not-offered", "agrees"))
    return _PAGE.format(title=title, style=_STYLE, tiles=tiles, sections=sections)


def as_list(cases: Sequence[Case]) -> str:
    """Cases for a terminal: question, kind, id and statement."""
    width = max((len(case.id) for case in cases), default=0)
    return "\n".join(f"{case.number:3}  {case.kind:11}  {case.id:{width}}  {case.title}" for case in cases)


def progress(done: int, of: int, case: Case) -> None:
    """How far a run has come, on one line of a terminal that wipes itself; nothing where there is no terminal."""
    if sys.stderr.isatty():
        told = "" if done == of else f"{done}/{of} {case.id}"
        print(f"\r\033[K{told}", end="", file=sys.stderr, flush=True)


FORMS: Mapping[str, Callable[[Report], str]] = {"json": as_json, "markdown": as_markdown, "html": as_html}
"""What a report can be written as."""


# ---- what is told of a result ----------------------------------------------------------------------------------


def _title(report: Report) -> str:
    """Who was asked what."""
    return f"{report.library} {report.version} on {len(report.results)} cases of table {report.table or '(none)'}"


def _by_reason(report: Report, verdict: str) -> dict[str, list[Result]]:
    """The results of a verdict by their reason, the commonest first."""
    found: dict[str, list[Result]] = {}
    for result in report.of(verdict):
        found.setdefault(result.reason, []).append(result)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, in columns; without the columns of numbers where there are none."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    kept = [k for k in range(len(widths)) if any(row[k] for row in rows[1:])]
    return ["    " + "  ".join(f"{row[k]:{widths[k]}}" for k in kept).rstrip() for row in rows]


def _facts(result: Result) -> dict[str, str]:
    """Name -> what is told of a result that does not agree."""
    expected, got, error = _shown(result)
    numbers = {"expected": expected, "got": got, "error": error} if result.got is not None else {}
    return {**numbers, "why": result.reason, "known": result.case.citation}


def _shown(result: Result) -> tuple[str, str, str]:
    """Expected, got and error as short text: all of a small array, the worst entry of a large one."""
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
    """A small array in one line."""
    return "(" + ", ".join(f"{v:.6g}" for v in x.reshape(-1)) + ")"


def _data(result: Result) -> dict[str, Any]:
    """A result as JSON holds it."""
    case = result.case
    told = {"id": case.id, "number": case.number, "title": case.title, "citation": case.citation}
    told |= {"verdict": result.verdict, "reason": result.reason, "what": result.what}
    arrays = {"expected": _listed(result.expected), "got": _listed(result.got)}
    return {**told, **arrays, "error": _number(result.error), "relative": _number(result.relative)}


def _listed(x: Any) -> Any:
    """An array as nested lists; exact numbers as text."""
    if isinstance(x, np.ndarray):
        return _listed(x.tolist())
    if isinstance(x, list):
        return [_listed(part) for part in x]
    return _number(x, absent="nan") if isinstance(x, float) else None if x is None else str(x)


def _number(x: float, absent: str | None = None) -> float | str | None:
    """A number that JSON can hold."""
    return x if isfinite(x) else absent if x != x else "inf" if x > 0 else "-inf"


def _fold(text: str, indent: int) -> str:
    """Text in lines of WIDTH, indented after the first."""
    return ("\n" + " " * indent).join(textwrap.wrap(text, WIDTH - indent)) or "-"


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing but text, in one line."""
    return re.sub(r"([\\`*_\[\]|<>#~])", r"\\\1", " ".join(text.split()))


# ---- the page --------------------------------------------------------------------------------------------------


def _section(report: Report, verdict: str) -> str:
    """The cases of one verdict, folded away where nothing is wrong."""
    found = report.of(verdict)
    if not found:
        return ""
    opened = " open" if verdict in SHOWN else ""
    cases = "".join(map(_article, found))
    return f'<details id="{verdict}"{opened}><summary>{verdict} <b>{len(found)}</b></summary>{cases}</details>\n'


def _article(result: Result) -> str:
    """One case."""
    case = result.case
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _facts(result).items() if value)
    return (
        f'<article class="{result.verdict}"><h2>{escape(case.id)}</h2>'
        f"<p>{escape(case.title)} <small>(question {case.number})</small></p><dl>{rows}</dl></article>"
    )


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2a7f4f; --bad: #b3261e; --own: #8a6100; --none: #667; }
body { font: 1rem/1.45 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font: 600 1rem/1.3 ui-monospace, monospace; margin: 0; overflow-wrap: anywhere; }
nav { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .5rem; }
nav a { color: inherit; text-decoration: none; border: 1px solid var(--line); border-top: 4px solid; padding: .5rem; }
nav b { font-size: 1.4rem; } nav small { display: block; opacity: .8; }
nav .agrees { border-top-color: var(--good); } nav .differs, nav .error { border-top-color: var(--bad); }
nav .convention { border-top-color: var(--own); } nav .not-offered { border-top-color: var(--none); }
summary { font-size: 1.15rem; padding: .75rem 0; cursor: pointer; }
article { border-left: 4px solid var(--none); padding: .1rem 0 .1rem .75rem; margin: 0 0 1rem; }
article.agrees { border-color: var(--good); } article.convention { border-color: var(--own); }
article.differs, article.error { border-color: var(--bad); }
p { margin: .15rem 0; } dl { display: grid; grid-template-columns: 5.5rem 1fr; gap: .1rem .5rem; margin: .25rem 0; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<nav>{tiles}</nav>
{sections}</body>
</html>
"""
