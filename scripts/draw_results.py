"""Draw the result tables of the two paper studies: docs/reproduce/2002.11018.png and docs/reproduce/2501.14322.png.

    python scripts/draw_results.py                     # next to the tables in docs/reproduce
    python scripts/draw_results.py --folder FOLDER     # in another folder with 2002.11018.csv or 2501.14322.csv

The tables are those written by `lrpref reproduce`, with columns dataset, network, treatment, rule, measure, mean, low,
high, seeds, images; low and high, if given, bound the mean's interval over training seeds. Missing tables are skipped.
The figures show the values of the tables; the only quantity computed here is ABPC / span.

Needs matplotlib and pillow (in the extra "plot").
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from io import BytesIO
from itertools import product
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from PIL import Image

from lrpref._support.files import whole
from lrpref.errors import InputError

FOLDER = Path(__file__).parent.parent / "docs" / "reproduce"
SMALL = 7.5
"""Font size of ticks, in points."""
QUIET = "#8c8c8c"

RULES = ("zero", "epsilon(epsilon=0.01)", "z-plus", "epsilon-plus")
FILLS = ("mean", "zero")
TREATMENTS = {
    "fused": ("o", "#000000"),
    "pass": ("s", "#E69F00"),
    "zero": ("^", "#56B4E9"),
    "epsilon": ("v", "#0072B2"),
    "absolute": ("D", "#D55E00"),
}
"""How BatchNorm is treated: marker and colour (Okabe and Ito's colour-blind-safe palette)."""

NAMED = {
    "relative": ("*", "#D55E00"),
    "zero": ("^", "#000000"),
    "epsilon(epsilon=1)": ("v", "#0072B2"),
    "gamma(gamma=0.25, generalised=True)": ("s", "#8F3F71"),
    "z-plus": ("P", "#E69F00"),
    "epsilon-plus": ("X", "#009E73"),
    "epsilon-gamma-box": ("D", "#CC79A7"),
    "absolute": ("h", "#56B4E9"),
}
"""Rules with a marker and a colour of their own. All others are drawn small and grey."""
SHORT = {"gamma(gamma=0.25, generalised=True)": "gamma, generalised", "epsilon(epsilon=1)": "epsilon = 1"}
BASELINES = {"sobel": "--", "random": ":"}
"""Maps that do not depend on a rule, and so have no stability to show: line style."""


class Figures(NamedTuple):
    """A mean and its interval over training seeds; with a single seed, the interval is the mean itself."""

    mean: float
    low: float
    high: float

    def over(self, scale: float) -> Figures:
        """Divide all three by `scale`."""
        return Figures(self.mean / scale, self.low / scale, self.high / scale)


Key = tuple[str, str, str, str]
"""(network, treatment, rule, measure)"""
Table = Mapping[Key, Figures]


def read(path: Path) -> Table:
    """Read a table in the order of the file, without the rows whose mean is empty or not finite.

    Raises
    ------
    InputError
        If a column is missing, a figure is not a number, or no row remains.
    """
    table = {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        for row in rows:
            try:
                mean = float(row["mean"] or "nan")
                low, high = float(row["low"] or mean), float(row["high"] or mean)
                key = (row["network"], row["treatment"], row["rule"], row["measure"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}, line {rows.line_num}: not a row of a study's table ({error})") from error
            if isfinite(mean):
                table[key] = Figures(mean, low, high)
    if not table:
        raise InputError(f"{path}: the table has no finite means; write it again with lrpref reproduce")
    return table


def bar(figures: Figures) -> list[list[float]]:
    """The interval as matplotlib expects it: the distances below and above the mean."""
    return [[max(figures.mean - figures.low, 0)], [max(figures.high - figures.mean, 0)]]


def plain(ax: Axes) -> None:
    """Use small ticks, and remove the frame at the top and on the right."""
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)


# ---- 2002.11018 ------------------------------------------------------------------------------------------------


def draw_guillemot(table: Table) -> Figure:
    """Draw the relative ABPC of every network with BatchNorm: a row per rule, a column per fill."""
    figure = Figure(figsize=(10, 11), layout="constrained")
    panels = figure.subplots(len(RULES), len(FILLS), sharex=True, sharey=True)
    networks = sorted(
        {key[0] for key in table if key[1] in TREATMENTS}, key=lambda name: (data_set(name) != "mnist", name)
    )
    for (i, rule), (j, fill) in product(enumerate(RULES), enumerate(FILLS)):
        draw_treatments(panels[i, j], table, networks, rule, fill)
        panels[i, j].set_title(f"rule {rule}, fill {fill}", fontsize=SMALL + 1.5, loc="left")
    for ax in panels[-1]:
        name_networks(ax, networks)
    figure.supylabel(
        "relative ABPC: mean gap between the flipping curves / span (higher is more faithful)", fontsize=SMALL + 1.5
    )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=SMALL + 1, frameon=False)
    return figure


def data_set(network: str) -> str:
    """The part before the first hyphen: "mnist" of "mnist-conv-bn-relu"."""
    return network.partition("-")[0]


def relative_abpc(table: Table, network: str, treatment: str, rule: str, fill: str) -> Figures | None:
    """ABPC divided by the span, both averaged over seeds; None if the table lacks one of them.

    The interval is the scaled interval of ABPC; it does not include the variation of the span between seeds.
    """
    area = table.get((network, treatment, rule, f"abpc_{fill}"))
    span = table.get((network, treatment, rule, f"span_{fill}"))
    return area.over(span.mean) if area and span and span.mean > 0 else None


def draw_treatments(ax: Axes, table: Table, networks: list[str], rule: str, fill: str) -> None:
    """Draw one panel: for each network the treatments side by side, and a grey line for the edge filter."""
    plain(ax)
    ax.axhline(0, color=QUIET, linewidth=0.6)
    for i, treatment in enumerate(TREATMENTS):
        found = {x: relative_abpc(table, name, treatment, rule, fill) for x, name in enumerate(networks)}
        points = {x + 0.15 * (i - 2): figures for x, figures in found.items() if figures}
        draw_points(ax, points, treatment)
    found = {x: relative_abpc(table, name, "fused", "sobel", fill) for x, name in enumerate(networks)}
    lines = {x: figures.mean for x, figures in found.items() if figures}
    ax.hlines(
        list(lines.values()),
        [x - 0.42 for x in lines],
        [x + 0.42 for x in lines],
        QUIET,
        lw=1.2,
        zorder=1,
        label="sobel (edge filter)",
    )
    for x in range(1, len(networks)):
        apart = data_set(networks[x - 1]) != data_set(networks[x])
        ax.axvline(x - 0.5, color="#404040" if apart else "#e4e4e4", linewidth=0.8 if apart else 0.5, zorder=0)


def draw_points(ax: Axes, points: Mapping[float, Figures], treatment: str) -> None:
    """Draw the means of one treatment, with their intervals."""
    marker, colour = TREATMENTS[treatment]
    bars = [bar(figures) for figures in points.values()]
    reach = [[low[0] for low, _ in bars], [high[0] for _, high in bars]]
    means = [figures.mean for figures in points.values()]
    ax.errorbar(list(points), means, reach, fmt=marker, color=colour, markersize=3.6, elinewidth=0.9, label=treatment)


def name_networks(ax: Axes, networks: list[str]) -> None:
    """Label the networks without their data set, whose name appears once below its group."""
    ax.set_xticks(range(len(networks)), [name.partition("-")[2] for name in networks], rotation=90)
    ax.set_xlim(-0.6, len(networks) - 0.4)
    groups = dict.fromkeys(map(data_set, networks))
    middles = [fmean(x for x, name in enumerate(networks) if data_set(name) == group) for group in groups]
    below = ax.secondary_xaxis("bottom")
    below.set_xticks(middles, list(groups))
    below.tick_params(length=0, pad=62, labelsize=SMALL + 1)
    below.spines[:].set_visible(False)


# ---- 2501.14322 ------------------------------------------------------------------------------------------------


def draw_nyiri(table: Table) -> Figure:
    """Draw ABPC against the change under tiny noise: a panel per network, a point per rule."""
    networks = list(dict.fromkeys(key[0] for key in table))
    columns = min(3, len(networks))
    rows = -(-len(networks) // columns)
    figure = Figure(figsize=(10, 0.8 + 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in panels[len(networks) :]:
        ax.set_visible(False)
    for ax, network in zip(panels, networks, strict=False):
        draw_rules(ax, table, network)
    figure.supxlabel("relative change of the map under tiny noise, L2 (lower is more stable)", fontsize=SMALL + 1.5)
    figure.supylabel("ABPC, fill mean (higher is more faithful)", fontsize=SMALL + 1.5)
    shown = {label: handle for ax in panels for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown, loc="outside upper center", ncols=6, fontsize=SMALL + 1, frameon=False)
    return figure


def places(table: Table, network: str) -> dict[str, tuple[Figures, Figures]]:
    """Rule -> (change under noise, ABPC) of a network, where both are measured and the first is positive."""
    found = {}
    for rule in dict.fromkeys(key[2] for key in table if key[0] == network):
        noise, area = (table.get((network, "", rule, measure)) for measure in ("noise_l2", "abpc_mean"))
        if noise and area and noise.mean > 0:
            found[rule] = (noise, area)
    return found


def draw_rules(ax: Axes, table: Table, network: str) -> None:
    """Draw one panel: a point with intervals per rule, and lines for the maps that do not depend on a rule."""
    plain(ax)
    ax.set_title(network, fontsize=SMALL + 1.5, loc="left")
    ax.set_xscale("log")
    ax.margins(0.12, 0.1)
    for rule, style in BASELINES.items():
        area = table.get((network, "", rule, "abpc_mean"))
        if area:
            ax.axhline(area.mean, color=QUIET, linestyle=style, linewidth=1, zorder=1, label=rule)
    for rule, (noise, area) in places(table, network).items():
        marker, colour = NAMED.get(rule, (".", QUIET))
        size = 12 if rule == "relative" else 5
        ax.errorbar(
            noise.mean,
            area.mean,
            bar(area),
            bar(noise),
            fmt=marker,
            color=colour,
            markersize=size,
            elinewidth=0.7,
            zorder=4 if rule == "relative" else 3 if rule in NAMED else 2,
            label=SHORT.get(rule, rule) if rule in NAMED else "other rules",
        )
    left, right = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if right > 30 * left else (1, 2, 5)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


# ---- both ------------------------------------------------------------------------------------------------------


def save(figure: Figure, path: Path) -> None:
    """Write a small PNG, reduced to 128 colours; the file is replaced atomically."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    with whole(path) as part:
        Image.open(drawn).convert("RGB").quantize(128).save(part, optimize=True)


DRAWINGS = {"2002.11018": draw_guillemot, "2501.14322": draw_nyiri}


def main() -> None:
    """Draw every table that exists."""
    parser = argparse.ArgumentParser(description="Draw the result tables of the two paper studies.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the tables and figures")
    folder = parser.parse_args().folder
    for study, draw in DRAWINGS.items():
        path = folder / f"{study}.csv"
        if not path.is_file():
            print(f"{path.name} not found in {folder}: skipped")
            continue
        save(draw(read(path)), path.with_suffix(".png"))
        print(f"wrote {study}.png from {path.name}")


if __name__ == "__main__":
    main()
