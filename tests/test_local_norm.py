"""Local response normalization: the numbers by hand, its neighbourhood, and where its relevance goes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import LocalResponseNorm
from lrpref.errors import DTypeError, ParameterError, ShapeError
from lrpref.testing.strategies import arrays


def test_three_channels_by_hand() -> None:
    """The sums of squares of the channels around each are 1 + 4, 1 + 4 + 9 and 4 + 9; alpha / size is 1."""
    x = np.array([[1.0, 2.0, 3.0]])
    found = LocalResponseNorm(3, alpha=3.0, beta=1.0, k=2.0).forward(x)
    assert_allclose(found, [[1 / 7, 2 / 16, 3 / 15]], rtol=1e-14)
    squared = LocalResponseNorm(3, alpha=3.0, beta=2.0, k=2.0).forward(x)
    assert_allclose(squared, [[1 / 7**2, 2 / 16**2, 3 / 15**2]], rtol=1e-14)


@given(a=arrays((2, 4, 2, 3)), size=st.sampled_from([1, 3, 5, 9]))
def test_the_channels_around_each_channel(a: np.ndarray, size: int) -> None:
    """Entry by entry, from the definition; channels outside the image are zero."""
    layer, h = LocalResponseNorm(size, 0.5, 0.75, 1.5), size // 2
    z = layer.forward(a)
    for n, c, i, j in np.ndindex(*a.shape):
        total = sum(a[n, d, i, j] ** 2 for d in range(max(c - h, 0), min(c + h + 1, a.shape[1])))
        assert_allclose(z[n, c, i, j], a[n, c, i, j] / (1.5 + 0.5 / size * total) ** 0.75, rtol=1e-13)


@given(a=arrays((2, 4, 2)), R=arrays((2, 4, 2)))
def test_relevance_is_that_of_a_constant_denominator(a: np.ndarray, R: np.ndarray) -> None:
    """A Scale by what the layer divides by gets the same relevance from LRP-0, where its output is not zero."""
    layer = LocalResponseNorm(3, alpha=0.5)
    assert_array_equal(layer.relevance(a, R, lrpref.rules.Zero()), R)
    row, each = a[:1, :, 0], R[:1, :, 0]
    held = lrpref.Scale(layer.forward(row)[0] / np.where(row[0] == 0, 1, row[0]))
    expected = held.relevance(row, each, lrpref.rules.Zero())
    assert_allclose(layer.relevance(row, each, lrpref.rules.Zero())[row != 0], expected[row != 0], rtol=1e-12)


def test_sizes_are_odd() -> None:
    with pytest.raises(ParameterError, match="LocalResponseNorm: size must be odd, got 4"):
        LocalResponseNorm(4)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"alpha": -1}, "alpha must be a finite number >= 0"),
        ({"k": 0}, "k must be positive, got 0"),
        ({"k": -1}, "k must be a finite number >= 0"),
        ({"beta": np.nan}, "beta must be a finite number"),
    ],
)
def test_parameters_out_of_range(told: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"LocalResponseNorm: {message}"):
        LocalResponseNorm(3, **told)


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"expected \(N, channels, \.\.\.\), got \(3,\)"):
        LocalResponseNorm(3).forward(np.ones(3))
    with pytest.raises(DTypeError, match="LocalResponseNorm needs an exponential, which is irrational"):
        LocalResponseNorm(3).forward(np.array([[Fraction(1)]]))
