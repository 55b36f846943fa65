"""And a photograph?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, messages, rules

from .exercise import Refused, exercise
from .reading import array, demand, demand_all, entries, exact, fractions, shown

MEAN, STD = ("1/2", "2/5", "9/20"), ("1/4", "1/5", "1/4")


@exercise(
    "compute",
    6,
    "What value does the network see where a pixel is black, 0, in this channel? And where it is white, 1?",
    "(0 - mean) / std and (1 - mean) / std, per channel.",
    start='bounds = {"low": [None, None, None], "high": [None, None, None]}',
)
def bounds(answer: Any) -> None:
    """The box of a photograph.

    Pixels from 0 to 1 are normalised per channel before the network sees them: x = (pixel - mean) / std, with the mean
    (1/2, 2/5, 9/20) and std (1/4, 1/5, 1/4). The z-box rule needs the smallest and the largest value that x can have.
    What are they for red, green and blue?
    """
    given = entries(answer, ["low", "high"])
    low, high = fractions(given["low"], 3, "low"), fractions(given["high"], 3, "high")
    mean, std = exact(MEAN), exact(STD)
    demand(
        not ((low == 0).all() and (high == 1).all()), "Those are bounds of pixels; the network sees normalised ones."
    )
    for name, mine, pixel in (("low", low, 0), ("high", high, 1)):
        means = mine * std + mean
        demand((means == pixel).all(), f"{name}: {shown(mine)} are pixels of {shown(means)}, not of {pixel}.")


@exercise(
    "write",
    4,
    "The three values of a pixel become one, and no relevance may be lost or gained.",
    start='''
    def per_pixel(R):
        """One value per pixel, shape (height, width), from a map of shape (3, height, width)."""
        raise NotImplementedError
    ''',
)
def per_pixel(answer: Any) -> None:
    """One value per pixel.

    The map of a colour photograph has three values per pixel. Reduce them to one such that the result is still
    relevance: every part of the picture must hold the same total as before.
    """
    R = np.random.default_rng(0).integers(-4, 5, (3, 4, 5)) / 4
    got = array(answer(R.copy()), (4, 5), "per_pixel(R)")
    place = (0, 0)
    for place in np.ndindex(4, 5):
        if not np.isclose(got[place], R[(slice(None), *place)].sum()):
            break
    else:
        return
    colours = R[(slice(None), *place)]
    known = {"the mean": colours.mean(), "the largest": colours.max(), "their length": np.sqrt((colours**2).sum())}
    known |= {"the sum of magnitudes": abs(colours).sum(), "the largest magnitude": abs(colours).max()}
    what = next((name for name, value in known.items() if np.isclose(value, got[place])), "something else")
    raise Refused(
        f"A pixel holds {shown(colours)}, and you give it {got[place]:.3g}: {what}. A region's total would change "
        "with it."
    )


@exercise(
    "write",
    10,
    "`tr.at[node]` has the shape (1, channels, rows, columns). Sum over the channels first, as for colours.",
    "Each cell becomes a block of pixels (np.kron or np.repeat). If the block is to hold what the cell held, each "
    "of its pixels gets one part of it.",
    start='''
    def inner_map(R, size):
        """A map (size, size) from the relevance R of an inner layer, (channels, n, n); size is a multiple of n."""
        raise NotImplementedError
    ''',
)
def inner_map(answer: Any) -> None:
    """A map from an inner layer.

    The relevance of an inner layer gives a coarse map: sum over the channels, and draw each cell as a block of pixels
    at its place. Write a function that does this. Every block must hold the relevance of its cell, divided evenly among
    its pixels.
    """
    random = np.random.default_rng(0)
    for channels, n, size in [(2, 2, 4), (3, 4, 4), (1, 2, 6)]:
        R = random.integers(-8, 9, (channels, n, n)) / 4
        got = array(answer(R.copy(), size), (size, size), "inner_map(R, size)")
        k = size // n
        cells = R.sum(axis=0)
        blocks = got.reshape(n, k, n, k).sum(axis=(1, 3))
        what = f"From {n} x {n} cells to {size} x {size} pixels: "
        demand(
            not np.allclose(got, np.tile(cells, (k, k)) / k**2) or k == 1,
            f"{what}you repeat the whole map {k * k} times, instead of making a block of each cell.",
        )
        demand(not np.allclose(blocks, cells * k**2) or k == 1, f"{what}every block holds {k * k} times its cell.")
        demand(
            np.allclose(blocks, cells), f"{what}the first block holds {blocks[0, 0]:.3g}, its cell {cells[0, 0]:.3g}."
        )
        even = got.reshape(n, k, n, k)
        demand(np.allclose(even, even[:, :1, :, :1]), f"{what}the pixels of a block differ.")


PRESETS = ("zero", "epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1", "z-plus", "flat", "absolute")


@cache
def _has_blue() -> dict[str, bool]:
    """Which composites give any input negative relevance, on small networks with positive logits."""
    random, found = np.random.default_rng(0), dict.fromkeys(PRESETS, False)
    for _ in range(3):
        conv, inner = random.normal(size=(4, 3, 3, 3)), random.normal(size=(4, 4, 3, 3))
        fc1, fc2 = random.normal(size=(6, 16)), random.normal(size=(3, 6))
        layers = [Conv2D(conv, padding=1), ReLU(), MaxPool2D(2), Conv2D(inner, padding=1), ReLU(), MaxPool2D(2)]
        net = Network.sequential(*layers, Flatten(), Dense(fc1), ReLU(), Dense(fc2))
        x = random.normal(size=(1, 3, 8, 8))
        if net.forward(x).max() > 0:
            for name in PRESETS:
                found[name] |= bool(lrpref.explain(net, x, rule=name).min() < -1e-12)
    return found


@exercise(
    "predict",
    6,
    "Follow the sign of relevance from the top. Where can it change?",
    "z-plus, flat and absolute never change a sign. But epsilon in the fully connected layers has already changed "
    "some before the relevance reaches the convolutions.",
    start="blue = set()  # of names",
)
def blue(answer: Any) -> None:
    """Which rules can give negative relevance?

    A network has convolutions with ReLUs and max-pools, and two fully connected layers after them. Its input is a
    normalised photograph, with values of both signs, and you explain a positive logit. Under which of these rules and
    composites can a pixel get *negative* relevance: zero, epsilon-plus, epsilon-plus-flat, epsilon-alpha2-beta1,
    z-plus, flat, absolute?
    """
    demand_all(answer, _has_blue(), lambda name: "on three networks that we tried, no pixel gets negative relevance.")


@exercise(
    "find",
    10,
    "z-plus depends only on the positive contributions of a neuron. Let the two neurons differ in the others.",
    "Give both neurons the same positive weights for two inputs. Give the third input a small negative weight in the "
    "first neuron, and a large negative one in the second, so that the second output is negative.",
    start='forgets = {"a": [None, None, None], "W": [[None, None, None], [None, None, None]]}',
)
def forgets(answer: Any) -> None:
    """Two neurons, the same shares.

    In this step, the maps for two classes were the same. The smallest example of this has one layer. Find three inputs
    a >= 0 and two neurons without bias, whose weights are the rows of W, such that z-plus sends the same shares from
    both neurons, while LRP-0 sends shares of opposite sign from the two to every input that gets any.
    """
    given = entries(answer, ["a", "W"])
    a, W = fractions(given["a"], 3, "a"), fractions(given["W"], (2, 3), "W")
    demand(min(a) >= 0, "The inputs come from a ReLU: none is negative.")
    z = W @ a
    demand(all(z), f"The outputs are {shown(z)}: LRP-0 cannot divide at 0.")
    plus, zero = (messages(Dense(W), a[None], exact([[1, 1]]), rule)[0] for rule in (rules.ZPlus(), rules.Zero()))
    demand(plus.any(), "z-plus sends nothing at all: no contribution is positive.")
    demand((plus[:, 0] == plus[:, 1]).all(), f"z-plus sends {shown(plus[:, 0])} and {shown(plus[:, 1])}.")
    matter = (zero != 0).any(axis=1)
    opposite = (zero[matter, 0] * zero[matter, 1] < 0).all()
    demand(opposite, f"LRP-0 sends {shown(zero[:, 0])} and {shown(zero[:, 1])}, which agree in a sign.")
