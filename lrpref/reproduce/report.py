"""What a run says: a table for people, the same as CSV, and the claims with their answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .._support.files import whole
from . import statistics
from .runner import files, versions
from .study import Claim, Rows, Study, Unit

Cell = tuple[str, str, str, str]
"""Data set, network, treatment, rule: what is the same for all seeds."""


def cells(found: Mapping[Unit, Rows]) -> dict[Cell, list[Unit]]:
    """The units of each cell, one per seed."""
    grouped: dict[Cell, list[Unit]] = {}
    for unit in found:
        grouped.setdefault((unit.dataset, unit.network, unit.treatment, unit.rule), []).append(unit)
    return grouped


def per_seed(found: Mapping[Unit, Rows], units: Sequence[Unit], measure: str) -> list[float]:
    """The mean over images of each unit; units without the measure are left out.

    Where some images have none (a map that was not finite), the mean is over the others.
    """
    held = [found[unit][measure] for unit in units if measure in found[unit]]
    return [float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for v in held]


def as_csv(study: Study, found: Mapping[Unit, Rows]) -> str:
    """A line per cell and measure: mean over seeds, its interval, how many seeds and images."""
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
    """The page: how it was measured, the claims, the table."""
    headers = [header for header in files(out) if Unit(**header["unit"]) in found]
    hours = sum(header["seconds"] for header in headers) / 3600
    sources = ", ".join(sorted({header["images"] for header in headers}))
    told = ", ".join(f"{name} {value}" for name, value in versions().items())
    protocol = ", ".join(f"{name} {value}" for name, value in study.protocol.as_dict().items())
    seeds = sorted({unit.seed for unit in found})
    lines = [f"# {study.title}", "", f"arXiv {study.paper}. Measured by `{command}`: {sources}; {len(found)} units, "]
    lines[-1] += f"training seeds {', '.join(map(str, seeds))}, {hours:.2f} hours of processor time; {told}."
    lines += ["", f"Protocol: {protocol}.", ""]
    if study.missing:
        lines += [f"Not at hand, and so not measured: {', '.join(study.missing)}.", ""]
    lines += ["| claim | figure | answer |", "|---|---|---|"]
    lines += [f"| {claim.sentence} | {claim.figure} | {claim.verdict} |" for claim in claims]
    lines += ["", *as_table(study, found), ""]
    return "\n".join(lines)


def as_table(study: Study, found: Mapping[Unit, Rows]) -> list[str]:
    """A Markdown table: a row per cell, the means over seeds of the study's columns."""
    lines = [
        f"| network | treatment | rule | {' | '.join(study.columns)} |",
        f"|---|---|---|{'---|' * len(study.columns)}",
    ]
    for (_, network, treatment, rule), units in cells(found).items():
        means = [statistics.interval(per_seed(found, units, measure))[0] for measure in study.columns]
        shown = " | ".join(f"{value:.3g}" if np.isfinite(value) else "-" for value in means)
        lines.append(f"| {network} | {treatment or '-'} | `{rule}` | {shown} |")
    return lines


def save(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
