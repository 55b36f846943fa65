"""Does a convolution need an LRP of its own?"""

from __future__ import annotations

from typing import Any

import numpy as np

from lrpref import Conv2D, MaxPool2D, rules, testing

from .exercise import Refused, exercise
from .reading import array, demand, entries, exact, fraction, fractions, shown

KERNEL = np.array([[1.0, 2], [3, 4]])


@exercise(
    "compute",
    6,
    "Draw the picture with its border of zeros, and lay the kernel over its upper right corner.",
    "Only the lower row of the kernel meets the picture, and it meets the last two pixels of the first row. Its "
    "last tap falls on the border.",
    start="row = [None] * 6",
)
def row(answer: Any) -> None:
    """A row of the matrix.

    A convolution with the 2 x 2 kernel [[1, 2], [3, 4]], stride 1 and a border of one zero on all sides sees a picture
    of 2 x 3 pixels. Its output has 3 x 4 places. Write down the row of the matrix W for the output at row 0, column 2
    (counted from 0). It holds the weights of the six pixels, row by row.
    """
    given = fractions(answer, 6)
    if _is_row(given, KERNEL, (0, 2)):
        return
    demand(not _is_row(given, KERNEL[::-1, ::-1], (0, 2)), "Your kernel is rotated. It lies on the picture as it is.")
    demand(not _is_row(given, KERNEL, (1, 2)), "That is the row of output (1, 2). The border shifts it by one.")
    demand(not _is_row(given, KERNEL, (0, 1)), "That is the row of output (0, 1), one place further left.")
    met = np.flatnonzero(given)
    raise Refused(
        f"Your row reads the pixels {', '.join(f'({p // 3}, {p % 3})' for p in met) or 'none'} with "
        f"{shown(given[met])}. Output (0, 2) covers the rows -1 and 0 and the columns 1 and 2."
    )


def _is_row(given: np.ndarray, kernel: np.ndarray, place: tuple[int, int]) -> bool:
    """Whether these are the weights of the output at a place: what it makes of a single 1, at each of the pixels."""
    conv, ones = Conv2D(kernel[None, None].copy(), padding=1), np.eye(6).reshape(6, 1, 2, 3)
    return bool((given == conv.forward(ones)[(slice(None), 0, *place)]).all())


@exercise(
    "compute",
    10,
    "An output at the corner is connected to 4 pixels, one at the edge to 6, one inside to 9: the border gets nothing.",
    "The corner pixel is under the kernels of 4 outputs: one at the corner, two at the edge, one inside. The pixel "
    "in the middle is under 9, all of them inside.",
    start='flat = {"corner": None, "middle": None}',
)
def flat(answer: Any) -> None:
    """What flat gives to the corner.

    A convolution with a 3 x 3 kernel, stride 1 and padding 1 sees a picture of 5 x 5 pixels. Each of its 25 outputs
    holds a relevance of 1. Under the rule flat, how much does the pixel in the corner get, and how much does the one in
    the middle get?
    """
    given = entries(answer, ["corner", "middle"])
    corner, middle = (fraction(given[name], name) for name in ("corner", "middle"))
    kernel, x = (exact(np.ones((1, 1, size, size), int)) for size in (3, 7))
    R = x[:, :, :5, :5]
    right = Conv2D(kernel, padding=1).relevance(R, R, rules.Flat())[0, 0]
    with_border = Conv2D(kernel).relevance(x, R, rules.Flat())[0, 0, 1:-1, 1:-1]
    demand(
        middle == right[2, 2],
        f"The kernels of 9 outputs cover the middle. With your {middle}, each of them sends it {middle / 9} of its 1.",
    )
    demand(corner != with_border[0, 0], f"{corner} gives shares to the cells of the border. They get nothing.")
    demand(corner != 1, "Not every pixel gets 1: fewer kernels cover the corner, and they divide among fewer pixels.")
    demand(corner == right[0, 0], f"The kernels of 4 outputs cover the corner. Together they do not send {corner}.")


@exercise(
    "write",
    15,
    "Loop over the outputs. Each one adds its s times the kernel to the pixels that it read, which begin at its place "
    "times the stride.",
    "out[r * stride : r * stride + k, c * stride : c * stride + k] += s[r, c] * kernel",
    start='''
    def adjoint(kernel, s, shape, stride):
        """W^T s, an array of this shape; kernel is (k, k), s has one number per output; no padding."""
        raise NotImplementedError
    ''',
)
def adjoint(answer: Any) -> None:
    """The backward pass is the transpose.

    Write the third step of LRP, c = W^T s, for a convolution of one channel without padding. The check tests that
    <W x, s> = <x, W^T s> for several sizes and strides.
    """
    random = np.random.default_rng(0)
    for size, k, stride in [(4, 2, 1), (5, 3, 1), (5, 3, 2), (6, 3, 2), (7, 2, 3)]:
        kernel = random.integers(-4, 5, (k, k)).astype(float)
        conv = Conv2D(kernel[None, None], stride=stride)
        s = random.integers(-4, 5, ((size - k) // stride + 1,) * 2).astype(float)
        what = f"Kernel {k} x {k}, stride {stride}, picture {size} x {size}: "
        got = array(answer(kernel.copy(), s.copy(), (size, size), stride), (size, size), what + "W^T s")
        c = conv.adjoint(conv.weight, s[None, None], (1, 1, size, size))[0, 0]
        if np.allclose(got, c):
            continue
        turned = Conv2D(kernel[None, None, ::-1, ::-1].copy(), stride=stride)
        wrong = turned.adjoint(turned.weight, s[None, None], (1, 1, size, size))[0, 0]
        demand(not np.allclose(got, wrong), f"{what}the kernel is rotated the wrong way.")
        _hold_to_the_law(what, conv, s, got, got - c)


def _hold_to_the_law(what: str, conv: Conv2D, s: np.ndarray, got: np.ndarray, x: np.ndarray) -> None:
    """Refuse what is not W^T s. Where it differs by x, <x, W^T s> is wrong by <x, x>, so this x breaks the law."""
    try:
        testing.check_adjoint(lambda x: conv.forward(x[None, None])[0, 0], lambda s: got, x, s)
    except testing.LawBroken as broken:
        raise Refused(f"{what}{broken}") from None


@exercise(
    "prove",
    4,
    "A linear layer satisfies f(x + y) = f(x) + f(y). What if the largest pixels of x and of y are in different "
    "places?",
    start="not_linear = ([[None, None], [None, None]], [[None, None], [None, None]])  # x and y",
)
def not_linear(answer: Any) -> None:
    """A max-pool is not linear.

    Prove that a max-pool is not a linear layer: find two pictures x and y of 2 x 2 pixels whose maxima do not add up to
    the maximum of x + y. (No fixed matrix describes such a layer, so it takes no rule and routes relevance instead.)
    """
    demand(len(answer) == 2, "Give a pair of pictures.")
    x, y = fractions(answer[0], (2, 2), "x"), fractions(answer[1], (2, 2), "y")
    pool = MaxPool2D(2)
    apart, together = pool.forward(x[None, None]) + pool.forward(y[None, None]), pool.forward((x + y)[None, None])
    demand(apart != together, f"The maxima sum to {apart.item()}, and the maximum of x + y is {together.item()}, too.")
