"""Draw the pictures of docs/transformers.md: a digit by a vision transformer and by a CNN, and the words of a review.

python scripts/draw_transformers.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import lrpref
from lrpref import composites, plot
from lrpref.zoo import text

DOCS = Path(__file__).parent.parent / "docs"


def digit() -> None:
    """The digit 4: the transformer under three composites, and the CNN under one."""
    x = lrpref.samples.load("digit-4")
    transformer, cnn = lrpref.load("mnist-vit"), lrpref.load("mnist-cnn")
    maps = {
        "transformer, AttnLRP": lrpref.explain(transformer, x, rule=composites.AttnLRP()),
        "transformer, AttnLRP, gamma 0.25": lrpref.explain(transformer, x, rule=composites.AttnLRP(gamma=0.25)),
        "transformer, LRP-0": lrpref.explain(transformer, x, rule="zero"),
        "CNN, epsilon-plus": lrpref.explain(cnn, x, rule="epsilon-plus"),
    }
    plot.save(plot.grid(x, maps, "Why a 4?", columns=5, scale="each"), DOCS / "transformers-digit.png")


def words() -> None:
    """The three sentences under both composites."""
    net = lrpref.load("review-transformer")
    about = lrpref.weights.metadata("review-transformer")
    for name in text.SENTENCES:
        x = text.indices(name, about["input"]["words"])
        says = about["classes"][int(np.argmax(net.forward(x)))]
        maps = {rule: lrpref.explain(net, x, rule=rule) for rule in ("attn-lrp", "cp-lrp")}
        figure = plot.words(text.words(name), maps, f"why {says}?")
        plot.save(figure, DOCS / f"transformers-{name}.png")


if __name__ == "__main__":
    digit()
    words()
