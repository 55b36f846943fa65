"""How many digits of a heatmap are correct?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import lrpref

from .exercise import Refused, exercise
from .reading import demand, fractions


@cache
def _digits_left() -> float:
    """The median number of correct digits of 5 - 4.99995 in float32, over numbers like these."""
    random = np.random.default_rng(0)
    a = 5 + random.uniform(-0.1, 0.1, 500)
    b = a * (1 - 1e-5)
    z = a.astype(np.float32).astype(float) - b.astype(np.float32).astype(float)
    error = abs(z - (a - b)) / (a - b)
    return float(np.median(-np.log10(error[error > 0])))


@exercise(
    "predict",
    4,
    "By what power of ten is z smaller than the contributions? As many digits are lost.",
)
def digits_left(answer: Any) -> None:
    """How many digits are left?

    A neuron has the contributions 5 and -4.99995. Both are rounded to single precision, which holds 7.2 digits. About
    how many digits of z, and so of the relevance of the inputs, are correct?
    """
    given, measured = float(answer), _digits_left()
    demand(
        given < 7, f"With {given:g} digits, nothing would be lost. The *absolute* error of z is that of the summands."
    )
    demand(given > 0, "A number of digits cannot be negative.")
    demand(
        abs(given - measured) <= 0.8,
        f"You expect to lose {7.2 - given:.2g} digits, as if z were 10^-{7.2 - given:.2g} times its summands. It is "
        f"{5 - 4.99995:.5f}, and they are 5.",
    )


@exercise(
    "find",
    6,
    "Find two numbers that differ only in a digit that a double does not hold.",
    "A double near 1 has steps of 2^-52. Fraction(1) + Fraction(1, 2**60) lies between two of them.",
    start="vanished = (None, None)  # two fractions",
)
def vanished(answer: Any) -> None:
    """Where double precision fails.

    A neuron has the weights 1 and -1. Find two inputs, as fractions, for which the exact share of the first input under
    LRP-0 is at least a million times R in magnitude, while double precision rounds both inputs to the same number, so
    that z is 0 and all relevance is dropped.
    """
    a, b = fractions(answer, 2)
    demand(a != b, f"{a} and {b} are equal: z really is 0.")
    demand(
        float(a) == float(b),
        f"In double precision they are {float(a)!r} and {float(b)!r}, so z is {float(a) - float(b):.3g} and not 0.",
    )
    share = abs(a / (a - b))
    demand(share >= 10**6, f"The first input gets {float(share):.3g} times R.")


@cache
def _pairs() -> list[tuple[str, np.ndarray, np.ndarray, bool]]:
    """Pairs of maps, and whether they are the same map up to rounding."""
    net, x = lrpref.load("mnist-mlp"), lrpref.samples.load("digit-4")
    double = net.astype(np.float64)
    R = lrpref.explain(double, x, rule="zero")[0, 0]
    single = lrpref.explain(net, x, rule="zero")[0, 0].astype(np.float64)
    pale = R.copy()
    row, column = np.unravel_index(np.where(R != 0, abs(R), np.inf).argmin(), R.shape)
    pale[row, column] += 1e-8 * abs(R).max()
    strong = lrpref.explain(double, x, rule="epsilon(epsilon=0.1)")[0, 0]
    return [
        ("LRP-0 in single and in double precision", single, R, True),
        (
            "LRP-0 in double precision, and the same with one pale pixel off by a hundred-millionth of the largest",
            pale,
            R,
            True,
        ),
        ("LRP-0 and epsilon 0.1", strong, R, False),
        ("a map, and one that is 1 % larger everywhere", 1.01 * R, R, False),
        ("a map, and the same map upside down", R[::-1], R, False),
        ("a faint map (of a hundred-millionth of the relevance), and another rule's", 1e-8 * strong, 1e-8 * R, False),
        ("a faint map in single and in double precision", 1e-8 * single, 1e-8 * R, True),
    ]


@exercise(
    "write",
    10,
    "The relative difference of a pale pixel is not informative, and neither is the absolute difference of a faint map."
    " With what should you compare the size of the difference?",
    "np.linalg.norm(R - S) <= tolerance * np.linalg.norm(S), with a hundred times the precision of single floats, "
    "1e-5.",
    start='''
    def same_map(R, S):
        """Whether two maps (arrays of one shape) are the same up to rounding in single precision."""
        raise NotImplementedError
    ''',
)
def same_map(answer: Any) -> None:
    """The same, up to rounding.

    Write the comparison that you would use to test one library against another. It must accept the differences that
    single precision makes, and must refuse a map of another rule, another scale, or another picture.
    """
    for name, R, S, same in _pairs():
        said = answer(R.copy(), S.copy())
        demand(isinstance(said, bool | np.bool_), f"Return True or False, not {type(said).__name__}.")
        if bool(said) == same:
            continue
        both = (R != 0) & (S != 0)
        per_pixel = np.max(abs(R - S)[both] / abs(S)[both])
        size = np.linalg.norm(R - S) / np.linalg.norm(S)
        raise Refused(
            f"You say {bool(said)} for {name}. The largest difference is {abs(R - S).max():.1e}, the largest per "
            f"pixel, relative to that pixel, {per_pixel:.1e}; the difference as a whole is {size:.1e} of the map."
        )
