"""Where do the rules come from?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lrpref import Dense, messages, rules

from .exercise import Refused, exercise
from .reading import demand, exact, fractions, parts, shown


def _taylor(a: Any, w: Any, root: Any) -> Any:
    """The first-order terms of a linear neuron: w_i (a_i - root_i)."""
    return w * (a - root)


@exercise(
    "compute",
    8,
    "The nearest root lies in the direction of w: root = a - t w. Which t makes w . root + b zero?",
    "w . w = 25 and z = 3, so t = 3/25.",
    start="nearest_root = [None, None]",
)
def nearest_root(answer: Any) -> None:
    """The nearest root.

    A neuron with w = (3, -4) and b = 1 has the input a = (2, 1). Find the root point nearest to a: the point on the
    line w . x + b = 0 at which a Taylor expansion gives the w-square rule.
    """
    root = fractions(answer, 2)
    a, w, b = exact([2, 1]), exact([3, -4]), 1
    at_root = (w * root).sum() + b
    without_bias = " Without the bias it would be a root." if at_root == b else ""
    demand(at_root == 0, f"At {shown(root)} the neuron's sum is {at_root}, not 0.{without_bias}")
    parts = _taylor(a, w, root)
    along_w = (a - root)[0] * w[1] == (a - root)[1] * w[0]
    demand(
        along_w,
        f"{shown(root)} is a root, but not the nearest: from there, the inputs get {shown(parts)}. Move from a "
        "in the direction that is perpendicular to the line.",
    )


@exercise(
    "find",
    6,
    "Every point of the line w . x = 0 is a root. Choose two, in different directions from a.",
    "With w = (1, 1) and a = (1, 1), the origin is one root. Walk along the line from there.",
    start="""
    two_roots = {"a": [None, None], "w": [None, None], "roots": [[None, None], [None, None]]}
    """,
)
def two_roots(answer: Any) -> None:
    """One neuron, two explanations.

    "The Taylor expansion of a neuron explains it." Show that there is more than one such expansion. Find a neuron
    without bias whose output is positive, and two of its roots, such that one root gives both inputs positive relevance
    and the other one gives an input negative relevance. (Both results sum to the output, as they must.)
    """
    demand(isinstance(answer, dict) and set(answer) == {"a", "w", "roots"}, "Give a, w and roots.")
    a, w = fractions(answer["a"], 2, "a"), fractions(answer["w"], 2, "w")
    roots = fractions(answer["roots"], (2, 2), "roots")
    z = (a * w).sum()
    demand(z > 0, f"The output of your neuron is {z}; it must be positive.")
    for root in roots:
        demand((w * root).sum() == 0, f"{shown(root)} is not a root: the sum there is {(w * root).sum()}.")
    first, second = sorted((tuple(_taylor(a, w, root)) for root in roots), key=min)
    demand(first != second, f"Both roots give {shown(first)}.")
    demand(min(second) > 0, f"Your roots give {shown(first)} and {shown(second)}. One of them should be positive only.")
    demand(
        min(first) < 0,
        f"Your roots give {shown(first)} and {shown(second)}. Neither gives an input negative relevance.",
    )


@exercise(
    "write",
    12,
    "z-plus searches from a in the direction of the inputs with positive weights only: the others keep their values.",
    "root_i = a_i - t a_i where w_i > 0, and a_i elsewhere. Put it into w . root = 0 and solve for t.",
    start='''
    def plus_root(a, w):
        """The root point from which z-plus follows: a >= 0 and w are lists of fractions, and w . a > 0."""
        raise NotImplementedError
    ''',
)
def plus_root(answer: Any) -> None:
    """The root of z-plus.

    For a neuron without bias whose inputs are a >= 0, write a function that returns the root point for which the Taylor
    terms w_i (a_i - root_i) are the shares of z-plus. The check tries it on neurons with positive and negative weights,
    in fractions.
    """
    for a, w in [((1, 2), (3, 1)), ((1, 2, 1), (3, -1, 2)), ((2, 0, 1), (1, 5, -1)), ((3, 1), (1, -2))]:
        a, w = exact(a), exact(w)
        z = (a * w).sum()
        root = fractions(answer(list(a), list(w)), len(a), "plus_root(...)")
        what = f"For a = {shown(a)} and w = {shown(w)} you return {shown(root)}. "
        at_root = (w * root).sum()
        zeroed = np.where(w > 0, 0 * a, a)
        why = "With all positive contributions gone, the negative ones are left. " if (root == zeroed).all() else ""
        demand(at_root == 0, f"{what}{why}There the sum is {at_root}, so it is not a root.")
        parts = _taylor(a, w, root)
        expected = messages(Dense(w[None]), a[None], exact([[z]]), rules.ZPlus())[0][:, 0]
        if (parts != expected).any():
            squared = (parts == w**2 / (w**2).sum() * z).all()
            origin = (root == 0).all()
            why = "w-square" if squared else "LRP-0" if origin else "another rule"
            raise Refused(f"{what}It is a root, and gives {shown(parts)}: that is {why}.")


@exercise(
    "find",
    8,
    "The nearest root is a - t w with t = z / (w . w). It leaves the box where an input has little room and a large "
    "weight.",
    "An input that is 0 cannot get any smaller. Give it a positive weight.",
    start="outside = ([None, None], [None, None])  # the pixels a, between 0 and 1, and the weights w",
)
def outside(answer: Any) -> None:
    """A root that is not a picture.

    Pixels lie between 0 and 1. Find two pixels a and two weights w (no bias, positive output) for which the nearest
    root, which w-square uses, is not a picture because one of its pixels is below 0 or above 1. This is why pixels have
    a rule of their own, z-box.
    """
    pixels, weights = parts(answer, 2, "Give a pair: the pixels, and the weights.")
    a, w = fractions(pixels, 2, "a"), fractions(weights, 2, "w")
    demand(all(0 <= pixel <= 1 for pixel in a), f"{shown(a)} is not a picture itself: pixels lie between 0 and 1.")
    z = (a * w).sum()
    demand(z > 0, f"The output of your neuron is {z}; it must be positive.")
    root = a - z / Fraction((w * w).sum()) * w
    demand(
        any(pixel < 0 or pixel > 1 for pixel in root),
        f"The nearest root is {shown(root)}. Both pixels are between 0 and 1, so it is a picture.",
    )
