"""Is a heatmap any good?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import Network, evaluation

from .exercise import Refused, exercise
from .reading import array, demand, entries, exact, fraction, fractions, shown


@exercise(
    "compute",
    8,
    "The differences at the four points are 0, 5, 6 and 0.",
    "The ABPC is the mean of the four points. The area is the sum of three trapezoids of width 1/3. The AOPC is "
    "the mean of 10 - f over the four points of the first curve.",
    start='scores = {"ABPC": None, "area": None, "AOPC": None}',
)
def scores(answer: Any) -> None:
    """Three numbers for two curves.

    Pixels are removed in three steps. If the most relevant go first, the logit is 10, 4, 2 and 0 at the four points of
    the curve; if the least relevant go first, it is 10, 9, 8 and 0. Compute the ABPC (a mean over points), the area
    between the two curves, and the AOPC of the first curve. Take the area by trapezoids over the share of pixels
    removed, from 0 to 1.
    """
    given = entries(answer, ["ABPC", "area", "AOPC"])
    mine = {name: fraction(value, name) for name, value in given.items()}
    morf, lerf = exact([10, 4, 2, 0]), exact([10, 9, 8, 0])
    apart = lerf - morf
    right = {"ABPC": apart.sum() / 4, "area": ((apart[1:] + apart[:-1]) / 2).sum() / 3, "AOPC": (10 - morf).sum() / 4}
    meant = {apart.sum(): "a sum, not a mean or an area", apart.sum() / 2: "a mean without the two points at the ends"}
    meant |= {apart.sum() / 3: "a mean over three steps", (10 - morf).sum() / 3: "a mean over three steps"}
    for name, value in right.items():
        demand(
            mine[name] == value,
            f"{name}: {mine[name]} is {meant.get(mine[name], 'not the number that it stands for')}.",
        )


@exercise(
    "write",
    10,
    "A stable sort keeps the order of equal values. Sort by -R for the first order, and by R for the other.",
    "np.argsort(-R, kind='stable') and np.argsort(R, kind='stable'). Reading the first one backwards reverses ties.",
    start='''
    def orders(R):
        """Two lists of pixels, from a map R of shape (pixels,): most relevant first, least relevant first."""
        raise NotImplementedError
    ''',
)
def orders(answer: Any) -> None:
    """Ties in both orders.

    Return the two orders in which pixel flipping removes pixels. Pixels with equal relevance must come in the order of
    their position in *both* lists. Then a map that gives every pixel the same scores exactly 0.
    """
    for R in ([3.0, 1, 2], [0.0, 0, 0, 0], [1.0, -5, 1, 0, 0], [-1.0, -1, 2, 2, 2, 0]):
        got = answer(np.array(R))
        demand(len(got) == 2, "Return two lists.")
        for name, order, sign in zip(("most relevant first", "least relevant first"), got, (-1, 1), strict=True):
            found = [int(pixel) for pixel in order]
            demand(sorted(found) == list(range(len(R))), f"R = {R}: {name}, {found} is not an order of all pixels.")
            right = sorted(range(len(R)), key=lambda pixel, R=R, sign=sign: (sign * R[pixel], pixel))
            if found == right:
                continue
            by_size = sorted(range(len(R)), key=lambda pixel, R=R, sign=sign: (sign * abs(R[pixel]), pixel))
            demand(found != by_size, f"R = {R}: {name}, {found} sorts by magnitude: evidence against goes first, too.")
            values = [R[pixel] for pixel in found]
            tie = "Ties are not in the order of position." if values == [R[pixel] for pixel in right] else ""
            raise Refused(f"R = {R}: {name}, you give {found}. {tie}")


WEIGHTS = np.array([3, 2, 1])
"""A network of three pixels: f(x) = 3 x1 + 2 x2 + x3, at x = (1, 1, 1)."""


def _gain(order: tuple[int, ...], fill: Any) -> Any:
    """The sum of the drops along one order of removal, over all points."""
    drops = exact(WEIGHTS) * (1 - fill)
    return sum(drops[list(order[:k])].sum() for k in range(1, 4))


@exercise(
    "find",
    8,
    "Removing pixel i lowers f by w_i (1 - fill_i). A fill equal to the pixel removes nothing.",
    "Let the fill resemble the picture at the pixel that map A removes first. A blurred copy does so inside an object.",
    start="unfair_fill = [None, None, None]",
)
def unfair_fill(answer: Any) -> None:
    """A fill that reverses the ranking.

    A network computes f(x) = 3 x1 + 2 x2 + x3, and the picture is (1, 1, 1). Map A is that of LRP-0, and removes pixel
    1 first, then 2, then 3. Map B removes them in the opposite order: 3, 2, 1. With a fill of 0, the curve of A falls
    faster. Find a fill, one value from 0 to 1 for each pixel, under which the curve of B falls faster on average, while
    each pixel still changes by at least 1/10.
    """
    fill = fractions(answer, 3)
    demand(all(0 <= value <= 1 for value in fill), "A fill has values from 0 to 1.")
    demand(all(10 * (1 - value) >= 1 for value in fill), f"Under {shown(fill)}, a pixel changes by less than 1/10.")
    A, B = _gain((0, 1, 2), fill), _gain((2, 1, 0), fill)
    drops = exact(WEIGHTS) * (1 - fill)
    demand(B != A, f"Removing the pixels lowers f by {shown(drops)}: both curves fall equally fast.")
    demand(B > A, f"Removing the pixels lowers f by {shown(drops)}, so A still falls faster.")


@cache
def _seven() -> tuple[Network, np.ndarray, float]:
    """The network, a seven, and the area that LRP-0 reaches on it."""
    net = lrpref.fuse(lrpref.load("mnist-cnn-bn"))
    x = lrpref.samples.load("digit-7")
    return net, x, _area(net, x, lrpref.explain(net, x, 7, "zero"))


def _area(net: Network, x: np.ndarray, R: np.ndarray) -> float:
    return float(evaluation.abpc(net, x, R, 7, step=98).area[0])


@exercise(
    "write",
    8,
    "What do all good maps of a digit have in common, whatever the network?",
    "Where is the ink? Can removing a pixel of blank paper change anything, if the fill is blank paper?",
    start='''
    def no_network(picture):
        """A map shaped like the picture, (28, 28), made without any network; ink is 1 and paper is 0."""
        raise NotImplementedError
    ''',
)
def no_network(answer: Any) -> None:
    """A map made without the network.

    Write a function of the picture alone whose map has a larger area between the curves of pixel flipping than that of
    LRP-0, on `digit-7` and the network `mnist-cnn-bn`, with pixels set to 0. Then ask yourself what the test has
    measured.
    """
    net, x, least = _seven()
    R = array(answer(x[0, 0].copy()), (28, 28), "no_network(...)")
    area = _area(net, x, R[None, None].astype(x.dtype))
    says_nothing = " It gives every pixel the same." if np.ptp(R) == 0 else ""
    demand(area > least, f"Your map has an area of {area:.2f}, LRP-0 has {least:.2f}.{says_nothing}")
