"""Draw the two pictures of docs/signals.md: docs/signals-ecg.png and docs/signals-brain.png.

    python scripts/draw_signals.py

They show what the code on the page computes. Needs matplotlib and pillow (in the extra "plot").
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

import lrpref
from lrpref._support.files import whole
from lrpref.plot import ANY_PAGE, COLOURS

DOCS = Path(__file__).parent.parent / "docs"
RULE = "epsilon-plus"
PLANE = 4
"""The coronal plane of the volume that is drawn."""
TISSUES = ("#000000", "#56B4E9", "#999999", "#F0E442")
"""Colours of what is outside the brain, and of other, grey and white (Okabe and Ito's colour-blind-safe palette)."""


def draw_ecg() -> Figure:
    """The three beats on their relevance, each explained for the class that the network gives it."""
    net, classes = lrpref.fuse(lrpref.load("ecg-cnn")), lrpref.weights.metadata("ecg-cnn")["classes"]
    seconds = (np.arange(128) - 48) / 180
    names = lrpref.samples.names((1, 128))
    figure = Figure(figsize=(9.2, 2.9), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True)
    for ax, name in zip(panels, names, strict=True):
        x = lrpref.samples.load(name)
        tr = lrpref.trace(net, x, rule=RULE)
        R, limit = tr.relevance[0, 0], abs(tr.relevance).max()
        ends = (seconds[0], seconds[-1], -1.1, 2.6)
        shown = ax.imshow(R[None], COLOURS, aspect="auto", vmin=-limit, vmax=limit, extent=ends)
        ax.plot(seconds, x[0, 0], color="black", linewidth=1.2)
        logits = net.forward(x)[0]
        chance = np.exp(logits - np.logaddexp.reduce(logits))
        says = f"{classes[logits.argmax()]}, {chance.max():.2f}"
        ax.set_title(f"{name}\nsays {says}", fontsize=9)
        ax.set_xlabel("seconds from the R peak", fontsize=8)
        ax.tick_params(labelsize=8)
    panels[0].set_ylabel("mV", fontsize=8)
    bar = figure.colorbar(shown, ax=list(panels), ticks=[-limit, 0, limit], shrink=0.9)
    bar.ax.set_yticklabels(["against", "0", "for"], fontsize=8)
    bar.set_label("relevance / its largest", fontsize=8)
    return figure


def draw_brain() -> Figure:
    """One plane of the volume: scan, tissue, and why the ventricle is what the network calls it, under two rules."""
    net, x = lrpref.fuse(lrpref.load("brain-unet")), lrpref.samples.load("brain")
    logits = net.forward(x)
    found, inside = logits[0].argmax(axis=0), x[0, 0] > 0
    figure = Figure(figsize=(9.2, 3.3), layout="constrained")
    panels = figure.subplots(1, 4, sharex=True, sharey=True)
    panels[0].imshow(upright(x[0, 0]), "gray")
    panels[0].set_title("scan", fontsize=9)
    panels[1].imshow(upright(np.where(inside, found + 1, 0)), ListedColormap(TISSUES), vmin=0, vmax=3)
    panels[1].set_title("tissue, as the network says", fontsize=9)
    names = lrpref.weights.metadata("brain-unet")["classes"]
    panels[1].legend(
        handles=[Patch(color=colour, label=name) for colour, name in zip(TISSUES[1:], names, strict=True)],
        fontsize=7,
        loc="upper left",
    )
    region = np.zeros(found.shape, bool)
    region[38:47, 0:12, 30:46] = True  # a box around the ventricle
    region &= (found == 0) & inside
    seed = np.zeros_like(logits)
    seed[0, 0][region] = logits[0, 0][region]
    box = [("down1.conv1", lrpref.rules.ZBox(0, 1)), *lrpref.composites.EpsilonPlus().pairs]
    rules = {RULE: RULE, "the same, z-box first": lrpref.composites.Composite(box)}
    for ax, (name, rule) in zip(panels[2:], rules.items(), strict=True):
        seen = upright(lrpref.explain(net, x, rule=rule, seed=seed)[0, 0])
        shown = ax.imshow(seen / abs(seen).max(), COLOURS, vmin=-1, vmax=1)
        ax.contour(upright(inside), [0.5], colors="0.6", linewidths=0.7)
        ax.contour(upright(region), [0.5], colors="black", linewidths=0.9)
        ax.set_title(f"why 'other'?\n{name}", fontsize=9)
    for ax in panels:
        ax.set_axis_off()
    bar = figure.colorbar(shown, ax=list(panels), ticks=[-1, 0, 1], shrink=0.8)
    bar.ax.set_yticklabels(["against", "0", "for"], fontsize=8)
    bar.set_label("relevance / its largest", fontsize=8)
    return figure


def upright(volume: np.ndarray) -> np.ndarray:
    """The drawn plane with the top of the head up, without its empty margin."""
    return volume[8:, PLANE, 14:74].T[::-1]


def save(figure: Figure, path: Path) -> None:
    """Write a small PNG, reduced to 256 colours."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    with whole(path) as part:
        Image.open(drawn).convert("RGBA").quantize(256, Image.Quantize.FASTOCTREE).save(part, optimize=True)
    print(f"wrote {path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    with matplotlib.rc_context(ANY_PAGE):
        save(draw_ecg(), DOCS / "signals-ecg.png")
        save(draw_brain(), DOCS / "signals-brain.png")
