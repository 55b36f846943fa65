"""Which branch of a skip connection gets the credit?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lrpref import Add, Dense, rules

from .exercise import exercise
from .reading import demand, entries, exact, fractions, shown

SPLITS = {"signed": rules.Zero(), "by magnitude": rules.Absolute(), "equal": rules.Flat()}


def _split(a: Any, b: Any, R: Any, rule: rules.Rule) -> tuple[Any, Any]:
    """The shares of both branches of a sum."""
    R_a, R_b = Add().relevance((exact([[a]]), exact([[b]])), exact([[R]]), rule)
    return R_a[0, 0], R_b[0, 0]


@exercise(
    "compute",
    6,
    "The sum is 3. Each split is a fraction whose denominator is the sum of its numerators.",
    "Signed: 5/3 and -2/3. By magnitude: 5/7 and 2/7.",
    start='three_splits = {"signed": (None, None), "by magnitude": (None, None), "equal": (None, None)}',
)
def three_splits(answer: Any) -> None:
    """Three ways to divide.

    At a skip connection, a = 5 arrives past the block, b = -2 arrives through it, and their sum holds R = 6. What do a
    and b get under the signed split, the split by magnitude, and the equal split?
    """
    given = entries(answer, SPLITS)
    for name, rule in SPLITS.items():
        shares = fractions(given[name], 2, name)
        right = _split(5, -2, 6, rule)
        demand(shares.sum() == 6, f"{name}: {shown(shares)} sum to {shares.sum()}. Relevance is divided, not copied.")
        if name == "signed":
            demand(shares[1] < 0, f"signed: b is against the sum, and you give it {shares[1]}.")
        else:
            demand(shares[1] > 0, f"{name}: this split has no signs, and you give b {shares[1]}.")
        demand(tuple(shares) == right, f"{name}: {shown(shares)} sum to 6, but not in the proportion of this split.")


@exercise(
    "find",
    5,
    "R a / (a + b) is a thousand times R where a + b is a thousandth of a.",
    start="misled = (None, None)  # a and b",
)
def misled(answer: Any) -> None:
    """What the signed split costs.

    Find a and b, each of magnitude at most 1, with a + b > 0 and b < 0, for which the signed split gives more than 1000
    R to a. (The split by magnitude then gives almost half of R to b, although b has the opposite sign. The last
    exercise asks for a split that does neither.)
    """
    a, b = fractions(answer, 2)
    demand(max(abs(a), abs(b)) <= 1, "Magnitudes are at most 1 here.")
    demand(b < 0, f"b is {b}; it must be negative.")
    demand(a + b != 0, "The sum is exactly 0: nothing is divided, and R is dropped.")
    demand(a + b > 0, f"The sum is {a + b}; it must be positive.")
    R_a, R_b = _split(a, b, 1, rules.Zero())
    by_size = _split(a, b, 1, rules.Absolute())
    demand(R_a > 1000, f"The signed split gives {shown([R_a, R_b])} of 1. (By magnitude: {shown(by_size)}.)")


@exercise(
    "find",
    12,
    "Write W as the identity plus (W - 1). Half of the relevance goes past the branch, whatever the branch "
    "contributed. When would LRP-0 on W itself divide it differently?",
    "W must mix its inputs: with a diagonal W, all relevance of an output returns to the one input that it reads. "
    "A W of ones works for an x whose entries differ.",
    start='rewritten = {"W": [[None, None], [None, None]], "x": [None, None]}',
)
def rewritten(answer: Any) -> None:
    """One function, two maps.

    A layer y = W x with two inputs and two outputs can be written as a skip connection: y = x + (W - 1) x, where 1 is
    the identity. Find W and x for which the equal split, with LRP-0 in the branch, gives a different map from LRP-0 on
    the layer itself. (Start with R = y. No sum may be 0, in the layer or in the branch. The signed split always gives
    the same map as the layer.)
    """
    given = entries(answer, ["W", "x"])
    W, x = fractions(given["W"], (2, 2), "W"), fractions(given["x"], 2, "x")[None]
    layer, branch = Dense(W), Dense(W - np.eye(2, dtype=int))
    y, through = layer.forward(x), branch.forward(x)
    demand(all(y[0]), f"y is {shown(y)}: LRP-0 cannot divide at 0.")
    demand(all(through[0]), f"The branch gives {shown(through)}: LRP-0 drops what arrives at a 0.")
    maps = {}
    for name, rule in SPLITS.items():
        R_branch, R_skip = Add().relevance((through, x), y, rule)
        maps[name] = (branch.relevance(x, R_branch, rules.Zero()) + R_skip)[0]
    plain = layer.relevance(x, y, rules.Zero())[0]
    why = " No output mixes the inputs." if W[0, 1] == W[1, 0] == 0 else ""
    demand((maps["equal"] != plain).any(), f"Both give the map {shown(plain)}.{why}")


@exercise(
    "write",
    20,
    "Start from the signed split, which has the first two properties. It explodes where the sum is small. Can you make "
    "the branch that agrees with the sum count more, in numerator *and* denominator?",
    "A generalised gamma: multiply the branch that has the sign of a + b by 1 + gamma, and split in proportion. With "
    "gamma = 1 no share exceeds 2 R.",
    start='''
    def fair_split(a, b, R):
        """The shares of a and b, two fractions; a + b is not 0."""
        raise NotImplementedError
    ''',
)
def fair_split(answer: Any) -> None:
    """A split of your own.

    Design a split with three properties. The shares sum to R exactly. A branch with the sign of the sum gets a share
    with the sign of R, and a branch with the opposite sign gets a share with the opposite sign. No share is larger than
    10 |R| in magnitude, however nearly a and b cancel. The check tries all signs, and sums down to a millionth.
    """
    values = [Fraction(3), Fraction(1), Fraction(1, 2), Fraction(-2), Fraction(-1)]
    values += [-1 + Fraction(1, 1000), -1 + Fraction(1, 10**6), 1 - Fraction(1, 10**6)]
    for a, b in [(a, b) for a in values for b in values if a + b != 0]:
        for R in (Fraction(1), Fraction(-2)):
            shares = fractions(answer(a, b, R), 2, "fair_split(...)")
            what = f"For a = {a}, b = {b} and R = {R} you give {shown(shares)}. "
            demand(shares.sum() == R, f"{what}They sum to {shares.sum()}.")
            for branch, share in zip((a, b), shares, strict=True):
                agrees = branch * (a + b) > 0
                demand(
                    share * R > 0 if agrees else share * R < 0,
                    f"{what}The branch {branch} is {'for' if agrees else 'against'} the sum.",
                )
                demand(abs(share) <= 10 * abs(R), f"{what}That is {float(abs(share / R)):.4g} times R.")
