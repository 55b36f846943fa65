"""Draw the result tables of the two paper studies: docs/reproduce/2002.11018.png and docs/reproduce/2501.14322.png.

    python scripts/draw_results.py                     # beside the tables in docs/reproduce
    python scripts/draw_results.py --folder FOLDER     # another folder with 2002.11018.csv or 2501.14322.csv

The tables are those of `lrpref reproduce`: dataset, network, treatment, rule, measure, mean, low, high, seeds, images;
low and high, where given, bound the mean's interval over training seeds. A table that is not there is skipped. The
figures show what the tables say and compute nothing but ABPC over span.

Needs matplotlib and pillow: pip install "lrpref[plot]".
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import product
from math import cos, isfinite, radians, sin
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox
from PIL import Image

from lrpref._support.files import whole
from lrpref.errors import InputError

FOLDER = Path(__file__).parent.parent / "docs" / "reproduce"
SMALL = 7.5
"""Font size of ticks and labels, in points."""
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
"""What is done with BatchNorm: marker and colour. The colours are Okabe and Ito's, made for colour-blind eyes."""

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
"""Rules told apart by name: marker and colour. All others are small and grey."""
SHORT = {"gamma(gamma=0.25, generalised=True)": "gamma, generalised", "epsilon(epsilon=1)": "epsilon = 1"}
BASELINES = {"sobel": "--", "random": ":"}
"""Maps that ask no rule, and so have no stability to speak of: line style."""


class Figures(NamedTuple):
    """A mean and its interval over training seeds; without several seeds, the interval is the mean."""

    mean: float
    low: float
    high: float

    def over(self, scale: float) -> Figures:
        """All three divided by `scale`."""
        return Figures(self.mean / scale, self.low / scale, self.high / scale)


Key = tuple[str, str, str, str]
"""(network, treatment, rule, measure)"""
Table = Mapping[Key, Figures]


def read(path: Path) -> Table:
    """The table, in the order of the file; rows whose mean is empty or not finite are left out.

    InputError  a column is missing or a figure is not a number
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
        raise InputError(f"{path}: no figure in it; write it anew with lrpref reproduce")
    return table


def bar(figures: Figures) -> list[list[float]]:
    """The interval as matplotlib takes it: how far it reaches below and above the mean."""
    return [[max(figures.mean - figures.low, 0)], [max(figures.high - figures.mean, 0)]]


def plain(ax: Axes) -> None:
    """Small ticks, no frame above and on the right."""
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)


# ---- 2002.11018 ------------------------------------------------------------------------------------------------


def draw_guillemot(table: Table) -> Figure:
    """Relative ABPC of every network with BatchNorm: a row for each rule, a column for each fill."""
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
        "relative ABPC: area between the flipping curves over span (more is more faithful)", fontsize=SMALL + 1.5
    )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=SMALL + 1, frameon=False)
    return figure


def data_set(network: str) -> str:
    """What comes before the first hyphen: "mnist" of "mnist-conv-bn-relu"."""
    return network.partition("-")[0]


def relative_abpc(table: Table, network: str, treatment: str, rule: str, fill: str) -> Figures | None:
    """ABPC over the mean span, both means over seeds; None where the table lacks one of them.

    The interval is that of ABPC, scaled: the spread of the span from seed to seed is not in it.
    """
    area = table.get((network, treatment, rule, f"abpc_{fill}"))
    span = table.get((network, treatment, rule, f"span_{fill}"))
    return area.over(span.mean) if area and span and span.mean > 0 else None


def draw_treatments(ax: Axes, table: Table, networks: list[str], rule: str, fill: str) -> None:
    """One panel: in each network's place the treatments side by side, and a grey line for the edge filter."""
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
    """The means of one treatment, with their intervals."""
    marker, colour = TREATMENTS[treatment]
    bars = [bar(figures) for figures in points.values()]
    reach = [[low[0] for low, _ in bars], [high[0] for _, high in bars]]
    means = [figures.mean for figures in points.values()]
    ax.errorbar(list(points), means, reach, fmt=marker, color=colour, markersize=3.6, elinewidth=0.9, label=treatment)


def name_networks(ax: Axes, networks: list[str]) -> None:
    """The networks without their data set, which stands once below its group."""
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
    """Change under tiny noise against ABPC: a panel for each network, a point for each rule."""
    networks = list(dict.fromkeys(key[0] for key in table))
    columns = min(3, len(networks))
    rows = -(-len(networks) // columns)
    figure = Figure(figsize=(10, 0.8 + 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in panels[len(networks) :]:
        ax.set_visible(False)
    for ax, network in zip(panels, networks, strict=False):
        draw_rules(ax, table, network)
    figure.supxlabel("relative change of the map under tiny noise, L2 (less is more stable)", fontsize=SMALL + 1.5)
    figure.supylabel("ABPC, fill mean (more is more faithful)", fontsize=SMALL + 1.5)
    shown = {label: handle for ax in panels for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown, loc="outside upper center", ncols=6, fontsize=SMALL + 1, frameon=False)
    figure.draw_without_rendering()  # the panels get their places, which the labels have to know,
    figure.set_layout_engine("none")  # and keep them
    for ax, network in zip(panels, networks, strict=False):
        label_rules(ax, places(table, network))
    return figure


def places(table: Table, network: str) -> dict[str, tuple[Figures, Figures]]:
    """For each rule of a network (change under noise, ABPC), where both are measured and the first is positive."""
    found = {}
    for rule in dict.fromkeys(key[2] for key in table if key[0] == network):
        noise, area = (table.get((network, "", rule, measure)) for measure in ("noise_l2", "abpc_mean"))
        if noise and area and noise.mean > 0:
            found[rule] = (noise, area)
    return found


def draw_rules(ax: Axes, table: Table, network: str) -> None:
    """One panel: every rule's point with its intervals, and lines for the maps that ask no rule."""
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


def label_rules(ax: Axes, points: Mapping[str, tuple[Figures, Figures]]) -> None:
    """Write the names beside their points, each at the nearest place that is free; `relative` chooses first."""
    at = {rule: (noise.mean, area.mean) for rule, (noise, area) in points.items()}
    dot = in_pixels(ax, 8)
    taken = [box_around(x, y, dot, dot) for x, y in map(ax.transData.transform, at.values())]
    for rule in NAMED:
        if rule in at:
            taken.append(label(ax, rule, at[rule], taken))


def label(ax: Axes, rule: str, point: tuple[float, float], taken: Sequence[Bbox]) -> Bbox:
    """Write one name, with a thin line to its point; returns the box it fills, in pixels."""
    chief = rule == "relative"
    text = ax.annotate(
        SHORT.get(rule, rule),
        point,
        (0, 0),
        textcoords="offset points",
        fontsize=SMALL + chief,
        fontweight="bold" if chief else "normal",
        color=NAMED[rule][1] if chief else "#202020",
        ha="center",
        va="center",
        arrowprops={"arrowstyle": "-", "color": NAMED[rule][1], "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
        zorder=5,
    )
    size = Text.get_window_extent(text)
    x, y = ax.transData.transform(point)
    box = free_place(ax, (x, y), size.width + in_pixels(ax, 4), size.height, taken)
    pixel = in_pixels(ax, 1)
    text.set_position((((box.x0 + box.x1) / 2 - x) / pixel, ((box.y0 + box.y1) / 2 - y) / pixel))
    return box


def free_place(ax: Axes, point: tuple[float, float], width: float, height: float, taken: Sequence[Bbox]) -> Bbox:
    """The first box within the panel that covers nothing taken, on rings around the point from near to far.

    All lengths are in pixels. Where none is free, the last one asked serves.
    """
    for away, angle in product(range(6, 90, 4), range(0, 360, 15)):
        across, up = cos(radians(angle)), sin(radians(angle))
        x = point[0] + across * (in_pixels(ax, away) + width / 2)
        y = point[1] + up * (in_pixels(ax, away) + height / 2)
        box = box_around(x, y, width, height)
        inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1
        if inside and not box.count_overlaps(taken):
            break
    return box


def box_around(x: float, y: float, width: float, height: float) -> Bbox:
    """A box by its centre and its size."""
    return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)


def in_pixels(ax: Axes, points: float) -> float:
    """A length in points, 72 to the inch, as pixels."""
    return points * ax.figure.dpi / 72


# ---- both ------------------------------------------------------------------------------------------------------


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of few colours, which makes it small, whole or not at all."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    with whole(path) as part:
        Image.open(drawn).convert("RGB").quantize(128).save(part, optimize=True)


DRAWINGS = {"2002.11018": draw_guillemot, "2501.14322": draw_nyiri}


def main() -> None:
    """Draw every table that is there."""
    parser = argparse.ArgumentParser(description="Draw the result tables of the two paper studies.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the tables lie and the figures go")
    folder = parser.parse_args().folder
    for study, draw in DRAWINGS.items():
        path = folder / f"{study}.csv"
        if not path.is_file():
            print(f"{path.name} is not in {folder}: skipped")
            continue
        save(draw(read(path)), path.with_suffix(".png"))
        print(f"{study}.png written from {path.name}")


if __name__ == "__main__":
    main()
