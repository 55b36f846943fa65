"""The values of activations: to a few units in the last place of mpmath's, in every floating-point type."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import exact, to_numpy
from lrpref.fast import algebra
from lrpref.layers.normal import normal_cdf
from lrpref.testing.strategies import ELEMENTWISE

mpmath = pytest.importorskip("mpmath", reason="mpmath is not installed: pip install -e '.[exact]'")
mp = mpmath.MPContext()
mp.dps = 40

FLOATS = (np.float32, np.float64, np.longdouble)
GRID = np.concatenate([np.linspace(-30.1, 12.3, 171), np.linspace(-0.6, 0.6, 25), [-1e-30, 1e-30]])


def exactly(number: Any) -> Any:
    """A floating-point number of any length in mpmath's type."""
    high = float(number)
    return mp.mpf(high) + mp.mpf(float(number - type(number)(high)))


def worst(found: np.ndarray, x: np.ndarray, true: Callable[[Any], Any]) -> float:
    """The largest relative error, in units of the type's precision; numbers too small to have one are left out."""
    eps, tiny = float(np.finfo(x.dtype).eps), max(float(np.finfo(x.dtype).tiny), 1e-280)
    expected = [true(exactly(value)) for value in x]
    errors = [abs((exactly(y) - z) / z) / eps for y, z in zip(found, expected, strict=True) if abs(z) > tiny / eps]
    return float(max(errors))


# ---- the normal distribution function ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_distribution_function_is_mpmaths(dtype: Any) -> None:
    x = np.concatenate([GRID, np.linspace(-37.7, 9.1, 97), [-0.5, 0.5, np.nextafter(0.5, 0)]]).astype(dtype)
    found = normal_cdf(x, "the test")
    assert found.dtype == dtype
    assert worst(found, x, mp.ncdf) < 6


def test_the_distribution_function_is_the_error_function_of_the_standard_library() -> None:
    t = np.linspace(-6, 6, 481)
    assert_allclose(2 * normal_cdf(math.sqrt(2) * t, "the test") - 1, [math.erf(v) for v in t], rtol=0, atol=4e-16)
    tail = normal_cdf(-math.sqrt(2) * t[t > 0], "the test")
    assert_allclose(2 * tail, [math.erfc(v) for v in t[t > 0]], rtol=2e-14)  # the condition of the root of two: t^2 eps


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_distribution_function_at_the_ends(dtype: Any) -> None:
    x = np.array([-np.inf, -1e30, -200, 200, 1e30, np.inf, np.nan, -0.0, 0.0], dtype=dtype)
    assert_array_equal(normal_cdf(x, "the test"), np.array([0, 0, 0, 1, 1, 1, np.nan, 0.5, 0.5], dtype=dtype))


def test_the_distribution_function_on_every_backend(backend: Any) -> None:
    assert_allclose(to_numpy(normal_cdf(backend(GRID), "the test")), normal_cdf(GRID, "the test"), rtol=1e-14)


def test_three_and_two_standard_deviations() -> None:
    """The 68-95-99.7 rule."""
    x = np.array([1.0, 2.0, 3.0])
    expected = [0.6826894921370859, 0.9544997361036416, 0.9973002039367398]
    assert_allclose(normal_cdf(x, "the test") - normal_cdf(-x, "the test"), expected, rtol=4e-16)


# ---- each activation -----------------------------------------------------------------------------------------------


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def elu(x: Any, alpha: float = 1.0, width: float = 1.0) -> Any:
    return x if x > 0 else alpha * mp.expm1(x / width)


def gelu_by_tanh(x: Any) -> Any:
    """Its constant 0.044715 is the nearest number of float64."""
    return x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))


SELU = lrpref.SELU()
TRUE: dict[str, tuple[lrpref.Layer, Callable[[Any], Any], float]] = {
    "CELU": (lrpref.CELU(0.5), lambda x: elu(x, 0.5, 0.5), 3),
    "ELU": (lrpref.ELU(0.5), lambda x: elu(x, 0.5), 3),
    "GELU": (lrpref.GELU(), lambda x: x * mp.ncdf(x), 6),
    "Mish": (lrpref.Mish(), lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), 4),
    "SELU": (SELU, lambda x: mp.mpf(SELU.scale) * elu(x, mp.mpf(SELU.alpha)), 4),
    "SiLU": (lrpref.SiLU(), lambda x: x * sigmoid(x), 4),
    "Sigmoid": (lrpref.Sigmoid(), sigmoid, 3),
    "Softplus": (lrpref.Softplus(2.0, 1e6), lambda x: mp.log1p(mp.exp(2 * x)) / 2, 3),
    "Softsign": (lrpref.Softsign(), lambda x: x / (1 + abs(x)), 3),
    "Tanh": (lrpref.Tanh(), mp.tanh, 3),
}
"""A layer, its formula, and the error that its operations may make, in units of the type's precision."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TRUE)
def test_an_activation_has_its_value_to_rounding(name: str, dtype: Any) -> None:
    layer, true, allowed = TRUE[name]
    x = GRID.astype(dtype)
    found = layer.forward(x)
    assert found.dtype == dtype
    assert worst(found, x, true) < allowed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_by_tanh_has_its_value_to_the_rounding_of_an_exponent(dtype: Any) -> None:
    """In the tail it is exp(2 u), which multiplies the relative error of u by 2 u: up to 180 where float32 ends."""
    x = GRID.astype(dtype)
    assert worst(lrpref.GELU("tanh").forward(x), x, gelu_by_tanh) < (400 if dtype == np.float32 else 3000)
    middle = x[abs(x) < 1]
    assert worst(lrpref.GELU("tanh").forward(middle), middle, gelu_by_tanh) < 8


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", sorted({*ELEMENTWISE} - {"local_response_norm", "threshold_relu", "prelu"}))
def test_activations_keep_their_number_type_far_out(kind: str, dtype: Any) -> None:
    """Warnings are errors in this test suite, so an intermediate overflow would fail the test."""
    layer = {"clip": lrpref.Clip(-1.0), "threshold": lrpref.Threshold(0.5, -1.0)}.get(kind) or made(kind)
    found = layer.forward(np.array([[-1e30, -1e4, -0.0, 0.0, 1e4, 1e30, np.nan]], dtype=dtype))
    assert found.dtype == dtype
    assert_array_equal(np.isfinite(found), [[True] * 6 + [False]])


def made(kind: str) -> lrpref.Layer:
    """A layer of a kind with the default parameters."""
    names = {name.lower(): name for name in vars(lrpref.layers)}
    layer: lrpref.Layer = getattr(lrpref.layers, names[kind.replace("_", "")])()
    return layer


BY_HAND = [
    (lrpref.PReLU(Fraction(1, 4)), [Fraction(-1), Fraction(0), Fraction(2)]),
    (lrpref.Threshold(1, 7), [Fraction(7), Fraction(7), Fraction(2)]),
    (lrpref.Threshold(2, 7), [Fraction(7)] * 3),
    (lrpref.Clip(-1), [Fraction(-1), Fraction(0), Fraction(2)]),
    (lrpref.Clip(None, 1), [Fraction(-4), Fraction(0), Fraction(1)]),
    (lrpref.HardTanh(), [Fraction(-1), Fraction(0), Fraction(1)]),
    (lrpref.HardSigmoid(), [Fraction(0), Fraction(1, 2), Fraction(5, 6)]),
    (lrpref.HardSigmoid(5, 10), [Fraction(1, 10), Fraction(1, 2), Fraction(7, 10)]),
    (lrpref.HardSwish(), [Fraction(0), Fraction(0), Fraction(5, 3)]),
    (lrpref.HardSwish(5, 10), [Fraction(-2, 5), Fraction(0), Fraction(7, 5)]),
    (lrpref.Softsign(), [Fraction(-4, 5), Fraction(0), Fraction(2, 3)]),
]


@pytest.mark.parametrize(("layer", "expected"), BY_HAND, ids=[repr(layer) for layer, _ in BY_HAND])
def test_activations_without_exponentials_in_fractions(layer: lrpref.Layer, expected: list[Fraction]) -> None:
    """At -4, 0 and 2."""
    assert layer.forward(exact([[-4, 0, 2]])).tolist() == [expected]


def test_a_softplus_is_linear_beyond_its_threshold() -> None:
    """As in torch; up to it, ln(1 + e) = 1.3132616875182228 at 1 and ln 2 at 0."""
    found = lrpref.Softplus(1.0, 1.0).forward(np.array([[0.0, 1.0, 1.5]]))
    assert_allclose(found, [[math.log(2), 1.3132616875182228, 1.5]], rtol=2e-16)
    assert_allclose(lrpref.Softplus(2.0, 1.0).forward(np.array([[0.5, 0.75]])), [[1.3132616875182228 / 2, 0.75]])


def test_a_prelu_has_a_weight_per_channel() -> None:
    x = -np.ones((1, 2, 1, 2))
    assert_array_equal(lrpref.PReLU([0.5, -0.25]).forward(x), [[[[-0.5, -0.5]], [[0.25, 0.25]]]])
    with pytest.raises(lrpref.errors.ShapeError, match="PReLU has 3 channels, the input has 2 on axis 1"):
        lrpref.PReLU([1.0, 2.0, 3.0]).forward(x)
    with pytest.raises(lrpref.errors.ParameterError, match="PReLU weight must have 1 axis"):
        lrpref.PReLU([[1.0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lrpref.Clip(), "Clip needs a bound: low, high or both"),
        (lambda: lrpref.Clip(1, 0), "Clip: the lower bound 1 exceeds the upper bound 0"),
        (lambda: lrpref.HardTanh(1, 0), "HardTanh: the lower bound 1 exceeds"),
        (lambda: lrpref.HardSigmoid(width=0), "HardSigmoid: width must be positive, got 0"),
        (lambda: lrpref.HardSwish(width=-1), "HardSwish: width must be positive, got -1"),
        (lambda: lrpref.CELU(0), "CELU: alpha must be positive, got 0"),
        (lambda: lrpref.Softplus(0), "Softplus: beta must be positive, got 0"),
        (lambda: lrpref.SELU(scale=0), "SELU: scale must be positive, got 0"),
        (lambda: lrpref.GELU("exact"), 'GELU: approximate must be "none" or "tanh"'),
        (lambda: lrpref.Clip(low=float("inf")), "Clip: low must be a finite number"),
    ],
)
def test_mistakes(make: Callable[[], lrpref.Layer], message: str) -> None:
    with pytest.raises(lrpref.errors.ParameterError, match=message):
        make()


# ---- signs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ELEMENTWISE)
@given(data=st.data())
def test_what_the_fast_engine_knows_of_signs_holds_in_floating_point(kind: str, data: st.DataObject) -> None:
    """Also for the smallest and the largest numbers of float32."""
    layer = data.draw(ELEMENTWISE[kind].layer((1, 1)))
    x = data.draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
    with np.errstate(over="ignore"):
        y = float(layer.forward(np.asarray([[x]], dtype=np.float32))[0, 0])
    nodes = [("relu", lrpref.ReLU(), ["input"]), ("after", layer, ["relu"]), ("alone", layer, ["input"])]
    known = algebra.nonnegative_nodes(nodes)
    assert y >= 0 or not ("alone" in known or (x >= 0 and "after" in known))


def test_what_the_fast_engine_knows_of_bounds() -> None:
    """A bound below zero may make a negative number of one that is not."""

    def kept(layer: lrpref.Layer) -> bool:
        return "b" in algebra.nonnegative_nodes([("a", lrpref.ReLU(), ["input"]), ("b", layer, ["a"])])

    keeping = (lrpref.Clip(-2), lrpref.Clip(None, 0), lrpref.HardTanh(), lrpref.Threshold(1, 0), lrpref.GELU())
    assert all(map(kept, keeping))
    losing = (lrpref.Clip(None, -1), lrpref.Clip(-2, -1), lrpref.HardTanh(-2, -1), lrpref.Threshold(1, -1))
    assert not any(map(kept, losing))
