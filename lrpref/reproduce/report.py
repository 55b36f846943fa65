"""The report of a study: a Markdown page with the claims, their answers and a table, and all measures as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import statistics
from .runner import headers, versions
from .study import Claim, Rows, Study, Unit

Cell = tuple[str, str, str, str]
"""Data set, network, treatment, rule: everything of a unit but its seed."""


def cells(found: Mapping[Unit, Rows]) -> dict[Cell, list[Unit]]:
    """Return the units of each cell, one per seed."""
    grouped: dict[Cell, list[Unit]] = {}
    for unit in found:
        grouped.setdefault((unit.dataset, unit.network, unit.treatment, unit.rule), []).append(unit)
    return grouped


def per_seed(found: Mapping[Unit, Rows], units: Sequence[Unit], measure: str) -> list[float]:
    """Return the mean over images for each unit; units without the measure are omitted.

    Images without a value (those whose map is not finite) are left out of the mean.
    """
    held = [found[unit][measure] for unit in units if measure in found[unit]]
    return [float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for v in held]


def as_csv(study: Study, found: Mapping[Unit, Rows]) -> str:
    """Return a CSV row per cell and measure: the mean over seeds, its interval, the numbers of seeds and images."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "network", "treatment", "rule", "measure", "mean", "low", "high", "seeds", "images"])
    for cell, units in cells(found).items():
        for measure in sorted({name for unit in units for name in found[unit]}):
            values = per_seed(found, units, measure)
            numbers = [f"{v:.6g}" if np.isfinite(v) else "" for v in statistics.interval(values)]
            writer.writerow([*cell, measure, *numbers, len(values), len(next(iter(found[units[0]].values())))])
    return text.getvalue()


def as_markdown(study: Study, found: Mapping[Unit, Rows], claims: Sequence[Claim], command: str, out: Path) -> str:
    """Return the page: how the study was measured, its claims, and the table."""
    measured = headers(out, found)
    hours = sum(header["seconds"] for header in measured) / 3600
    sources = ", ".join(sorted({header["images"] for header in measured}))
    software = ", ".join(f"{name} {value}" for name, value in versions().items())
    protocol = ", ".join(f"{name} {value}" for name, value in study.protocol.as_dict().items())
    seeds = sorted({unit.seed for unit in found})
    lines = [f"# {study.title}", "", f"arXiv {study.paper}. Measured by `{command}`: {sources}; {len(found)} units, "]
    lines[-1] += f"training seeds {', '.join(map(str, seeds))}, {hours:.2f} hours of processor time; {software}."
    lines += ["", f"Protocol: {protocol}.", ""]
    if study.missing:
        lines += [f"Networks not available and therefore not measured: {', '.join(study.missing)}.", ""]
    lines += ["| claim | figure | answer |", "|---|---|---|"]
    lines += [f"| {claim.sentence} | {claim.figure} | {claim.verdict} |" for claim in claims]
    lines += ["", *as_table(study, found), "", *_signatures(dict(zip(found, measured, strict=True))), ""]
    return "\n".join(lines)


def _signatures(measured: Mapping[Unit, Mapping[str, Any]]) -> list[str]:
    """A Markdown table of the signatures in the headers; units measured before there were signatures have none."""
    grouped: dict[tuple[str, str], dict[str, list[str]]] = {}
    for unit, header in measured.items():
        if header.get("signature"):
            cell = grouped.setdefault((unit.treatment, unit.rule), {}).setdefault(header["signature"], [])
            cell += [unit.network] if unit.network not in cell else []
    rows = [
        f"| {treatment or '-'} | `{rule}` | {'all' if len(found) == 1 else ', '.join(of)} | {_cell(text)} |"
        for (treatment, rule), found in grouped.items()
        for text, of in found.items()
    ]
    return ["| treatment | rule | networks | signature of the maps |", "|---|---|---|---|", *rows] if rows else []


def _cell(text: str) -> str:
    """A signature in a Markdown table, whose columns are separated by the same sign."""
    return "`" + text.replace("|", "\\|") + "`"


def as_table(study: Study, found: Mapping[Unit, Rows]) -> list[str]:
    """Return a Markdown table with a row per cell: the means over seeds of the study's columns."""
    lines = [
        f"| network | treatment | rule | {' | '.join(study.columns)} |",
        f"|---|---|---|{'---|' * len(study.columns)}",
    ]
    for (_, network, treatment, rule), units in cells(found).items():
        means = [statistics.interval(per_seed(found, units, measure))[0] for measure in study.columns]
        shown = " | ".join(f"{value:.3g}" if np.isfinite(value) else "-" for value in means)
        lines.append(f"| {network} | {treatment or '-'} | `{rule}` | {shown} |")
    return lines
