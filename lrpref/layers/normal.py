"""The normal distribution function Phi, which GELU needs: neither NumPy nor the array API has it.

It is the error function in other coordinates, erf(t) = 2 Phi(sqrt(2) t) - 1, and is computed from one formula in every
floating-point type, without tables of coefficients. For x > 0, the trapezoidal rule with step g on the integral of
exp(-s^2 / 2) / (s^2 + x^2) over all s gives the tail

    Phi(-x) = x g exp(-x^2 / 2) / (2 pi) sum_n exp(-(n g)^2 / 2) / ((n g)^2 + x^2) - 1 / (exp(2 pi x / g) - 1)

with n over all integers, up to a relative error of about exp(-2 pi^2 / g^2): the integrand is analytic, so the rule
converges exponentially. The last term is the residue at the pole s = i x; it is left out for x > 2 pi / g, where it is
smaller than that error (Chiarella and Reichel 1968, Math. Comp. 22, 137-143; Hunter and Regan 1972, Math. Comp. 26,
539-541). All terms of the sum are positive, so nothing cancels, and the tail is accurate down to the smallest numbers.
For |x| < 1/2 the power series at 0 takes over, where the sum and the residue would cancel.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, factorial, floor, log, pi, sqrt

from ..arithmetic import constant, full, irrational, is_exact, zeros_like
from ..backend import Array, array_namespace

PI = Decimal("3.14159265358979323846264338327950288419717")
ROOT_2_PI = Decimal("2.50662827463100050241576528481104525300699")
"""The square root of 2 pi."""

FURTHEST = 160
"""The tail of x = 160 is zero in every floating-point type."""


def normal_cdf(x: Array, what: str) -> Array:
    """Return Phi(x), the probability that a standard normal number is below x, to a few units in the last place.

    Parameters
    ----------
    x : array
        Any floating-point numbers; NaN gives NaN.
    what : str
        The layer that asks, for the message where `x` is exact.

    Returns
    -------
    array
        Numbers from 0 to 1.
    """
    if is_exact(x):
        return irrational("ncdf", x, what)
    xp = array_namespace(x)
    size = xp.abs(x)
    tail = _tail(clamped(size, 0.5, FURTHEST))
    small = _near_zero(xp.where(size < 0.5, x, zeros_like(x)))
    return xp.where(size < 0.5, small, xp.where(x < 0, tail, 1 - tail))


def clamped(x: Array, low: float, high: float) -> Array:
    """Return x within bounds; NaN stays."""
    xp = array_namespace(x)
    return xp.where(x < low, full(x.shape, low, like=x), xp.where(x > high, full(x.shape, high, like=x), x))


def _step(x: Array) -> tuple[float, int]:
    """Return g and the last n of the sum for the type of `x`; the squares of all n g are exact in it."""
    digits = 3 - log(float(array_namespace(x).finfo(x.dtype).eps))  # natural ones, and a margin
    return floor(32 * pi * sqrt(2 / digits)) / 32, ceil(digits / pi)


def _tail(x: Array) -> Array:
    """Return Phi(-x) for x from 1/2 to FURTHEST."""
    xp, (g, last) = array_namespace(x), _step(x)
    square = x * x
    total = 1 / square
    for n in range(1, last + 1):
        c = (n * g) ** 2
        total = total + 2 * xp.exp(full((), -c / 2, like=x)) / (c + square)
    two_pi = 2 * constant(PI, like=x)
    near = clamped(x, 0, 2 * pi / g)
    residue = xp.where(x < 2 * pi / g, 1 / (xp.exp(two_pi / g * near) - 1), zeros_like(x))
    return x * _bell(x) * (g / two_pi) * total - residue


def _bell(x: Array) -> Array:
    """Return exp(-x^2 / 2); x is split so that the square of its first part is exact, since exp magnifies rounding."""
    xp = array_namespace(x)
    y = xp.floor(32 * x) / 32
    return xp.exp(-y * y / 2) * xp.exp(-(x - y) * (x + y) / 2)


def _near_zero(x: Array) -> Array:
    """Return Phi(x) for |x| <= 1/2: 1/2 + (x - x^3 / 6 + x^5 / 40 - ...) / sqrt(2 pi)."""
    square, total = -x * x / 2, zeros_like(x)
    for n in range(_step(x)[1], -1, -1):
        total = constant(Fraction(1, factorial(n) * (2 * n + 1)), like=x) + square * total
    return 0.5 + x * total / constant(ROOT_2_PI, like=x)
