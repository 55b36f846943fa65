"""The report of a study: a Markdown page with the claims, their answers and a table, and all measures as CSV.

Everything in it is computed from one mean per unit and measure. These means have a table of their own, so that a reader
can compute every interval again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import statistics
from .runner import versions
from .study import Claim, Means, Rows, Study, Unit

Cell = tuple[str, str, str, str]
"""Data set, network, treatment, rule: everything of a unit but its seed."""


def means_of(found: Mapping[Unit, Rows]) -> dict[Unit, Means]:
    """Return the mean over the images of each measure of each unit.

    A measure without a value for some image (whose map is not finite) has no mean: a mean over the other images could
    not be compared with that of another rule.
    """
    with np.errstate(all="ignore"):
        return {unit: {name: float(np.mean(values)) for name, values in rows.items()} for unit, rows in found.items()}


def cells(units: Iterable[Unit]) -> dict[Cell, list[Unit]]:
    """Return the units of each cell, one per seed."""
    grouped: dict[Cell, list[Unit]] = {}
    for unit in units:
        grouped.setdefault((unit.dataset, unit.network, unit.treatment, unit.rule), []).append(unit)
    return grouped


def per_seed(means: Mapping[Unit, Means], units: Sequence[Unit], measure: str) -> list[float]:
    """Return the mean over images for each unit; units without the measure are omitted."""
    return [means[unit][measure] for unit in units if measure in means[unit]]


def as_csv(means: Mapping[Unit, Means], images: Mapping[Unit, int]) -> str:
    """Return a CSV row per cell and measure: the mean over seeds, its interval, the numbers of seeds and images."""
    rows = []
    for cell, units in cells(means).items():
        for measure in sorted({name for unit in units for name in means[unit]}):
            values = per_seed(means, units, measure)
            rows.append([*cell, measure, *map(_number, statistics.interval(values)), len(values), images[units[0]]])
    head = ["dataset", "network", "treatment", "rule", "measure", "mean", "low", "high", "seeds", "images"]
    return _written([head, *rows])


def as_seeds_csv(means: Mapping[Unit, Means], images: Mapping[Unit, int]) -> str:
    """Return a CSV row per unit: its training seed, its number of images, and the mean over images of every measure.

    All means and intervals of the other table, and the figures of the claims, can be computed from these rows.
    """
    measures = sorted({name for found in means.values() for name in found})
    rows = [
        [unit.dataset, unit.network, unit.treatment, unit.rule, unit.seed, images[unit]]
        + [_number(found[name]) if name in found else "" for name in measures]
        for unit, found in means.items()
    ]
    return _written([["dataset", "network", "treatment", "rule", "seed", "images", *measures], *rows])


def read_seeds_csv(text: str) -> tuple[dict[Unit, Means], dict[Unit, int]]:
    """Return the means and the numbers of images of a table that `as_seeds_csv` wrote."""
    means: dict[Unit, Means] = {}
    images = {}
    for row in csv.DictReader(io.StringIO(text)):
        seed, count = int(row.pop("seed")), int(row.pop("images"))
        unit = Unit(row.pop("dataset"), row.pop("network"), seed, row.pop("treatment"), row.pop("rule"))
        means[unit], images[unit] = {name: float(value) for name, value in row.items() if value}, count
    return means, images


def _number(value: float) -> str:
    """Six digits; nothing for a value that is not finite."""
    return f"{value:.6g}" if np.isfinite(value) else ""


def _written(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def as_markdown(
    study: Study,
    means: Mapping[Unit, Means],
    claims: Sequence[Claim],
    command: str,
    headers: Sequence[Mapping[str, Any]],
) -> str:
    """Return the page: how the study was measured, its claims, and the table.

    `headers` are those of the units' files, in the order of `means`.
    """
    hours = sum(header["seconds"] for header in headers) / 3600
    sources = ", ".join(sorted({header["images"] for header in headers}))
    software = ", ".join(f"{name} {value}" for name, value in versions().items())
    protocol = ", ".join(f"{name} {value}" for name, value in study.protocol.as_dict().items())
    seeds = sorted({unit.seed for unit in means})
    lines = [f"# {study.title}", "", f"arXiv {study.paper}. Measured by `{command}`: {sources}; {len(means)} units, "]
    lines[-1] += f"training seeds {', '.join(map(str, seeds))}, {hours:.2f} hours of processor time; {software}."
    lines += ["", f"Protocol: {protocol}.", ""]
    if study.missing:
        lines += [f"Networks not available and therefore not measured: {', '.join(study.missing)}.", ""]
    lines += [*by_chance(claims), *as_answers(claims), "", *as_table(study, means), ""]
    return "\n".join([*lines, *_signatures(dict(zip(means, headers, strict=True))), ""])


def as_answers(claims: Sequence[Claim]) -> list[str]:
    """Return the claims as a Markdown table."""
    rows = [f"| {claim.sentence} | {claim.figure} | {claim.verdict} |" for claim in claims]
    return ["| claim | figure | answer |", "|---|---|---|", *rows]


def by_chance(claims: Sequence[Claim]) -> list[str]:
    """Return a paragraph on how many intervals exclude 0, how many would by chance, and which do after correction.

    An interval is named by its claim and, if the claim has several, by what distinguishes it from the others.
    """
    p_values = [
        (f"{claim.sentence}, {condition}" if condition else claim.sentence, p)
        for claim in claims
        for condition, p in claim.p.items()
        if np.isfinite(p)
    ]
    if not p_values:
        return []
    standing = statistics.holm([p for _, p in p_values])
    kept = [name for (name, _), stands in zip(p_values, standing, strict=True) if stands]
    found = sum(p < 0.05 for _, p in p_values)
    text = (
        f"The answers rest on {len(p_values)} intervals over seeds. Each is a 95 % interval taken alone: if there were "
        f"no differences, about {0.05 * len(p_values):.0f} of them would exclude 0 by chance. {found} do; after Holm's "
        f"correction for their number, {len(kept)}"
    )
    return [f"{text}, in these claims: {'; '.join(kept)}." if kept else f"{text}.", ""]


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


def as_table(study: Study, means: Mapping[Unit, Means]) -> list[str]:
    """Return a Markdown table with a row per cell: the means over seeds of the study's columns."""
    lines = [
        f"| network | treatment | rule | {' | '.join(study.columns)} |",
        f"|---|---|---|{'---|' * len(study.columns)}",
    ]
    for (_, network, treatment, rule), units in cells(means).items():
        values = [statistics.interval(per_seed(means, units, measure))[0] for measure in study.columns]
        shown = " | ".join(f"{value:.3g}" if np.isfinite(value) else "-" for value in values)
        lines.append(f"| {network} | {treatment or '-'} | `{rule}` | {shown} |")
    return lines
