"""Number types of arrays: which are supported, converted or rejected."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lrpref.arithmetic import (
    all_finite,
    as_floating,
    as_mask,
    as_parameter,
    check_finite,
    constant,
    is_exact,
    is_real_floating,
)
from lrpref.errors import DTypeError, InputError, ParameterError

array_api_strict = pytest.importorskip("array_api_strict")

EXACT = np.asarray([Fraction(1, 3)], dtype=object)
STRICT = array_api_strict.ones(3)


# ---- number types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.1, 1e-6, 3, -2.5, 1 / 3])
def test_constants_are_the_decimals_as_written(value: float) -> None:
    """0.1 becomes the fraction 1/10 in exact arithmetic, and the nearest long double in extended precision."""
    written = Fraction(repr(value))
    assert constant(value, like=EXACT) == written
    assert not isinstance(constant(value, like=EXACT), float)
    assert np.longdouble(constant(value, like=np.ones(1, dtype=np.longdouble))) == np.longdouble(repr(value))
    for like in (np.ones(1), np.ones(1, dtype=np.float32), STRICT):
        assert constant(value, like=like) is value


def test_a_fraction_stays_a_fraction() -> None:
    assert constant(Fraction(1, 3), like=EXACT) == Fraction(1, 3)


def test_what_can_be_computed_with() -> None:
    for x in (np.ones(1), np.ones(1, dtype=np.float32), np.ones(1, dtype=np.longdouble), EXACT, STRICT):
        assert is_real_floating(x)
    for x in (
        np.ones(1, dtype=np.float16),
        np.ones(1, dtype=int),
        np.ones(1, dtype=complex),
        array_api_strict.asarray([1]),
    ):
        assert not is_real_floating(x)
    assert is_exact(EXACT)
    assert not is_exact(STRICT)


@pytest.mark.parametrize("x", [[1, 2], np.asarray([1, 2]), np.asarray([True, False])])
def test_integers_become_float64(x: Any) -> None:
    assert as_floating(x, "x").dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, "U1", "datetime64[s]"])
def test_other_types_are_refused_by_name(dtype: Any) -> None:
    with pytest.raises(
        DTypeError, match=r"the input has dtype .*; use real floating-point numbers: float32, float64 or longer"
    ):
        as_floating(np.zeros(1).astype(dtype), "the input")


def test_parameters_are_read_only_and_checked() -> None:
    given = np.ones((2, 2))
    assert not as_parameter(given, "w").flags.writeable
    assert given.flags.writeable
    with pytest.raises(ParameterError, match=r"w must have 1 axis, got shape \(2, 2\)"):
        as_parameter(given, "w", ndim=1)
    with pytest.raises(ParameterError, match="w holds NaN or infinities"):
        as_parameter([np.inf], "w")


def test_masks_are_read_only_and_checked() -> None:
    assert not as_mask([True], "m").flags.writeable
    for bad in ([1.0], [[True]]):
        with pytest.raises(ParameterError, match="m must be one boolean per channel, got shape"):
            as_mask(bad, "m")


def test_finite_or_not(backend: Any) -> None:
    assert all_finite(backend(np.ones((2, 2))))
    assert all_finite(EXACT)
    for bad in (np.nan, np.inf, -np.inf):
        x = backend(np.asarray([[1.0, 1.0], [bad, 1.0]]))
        assert not all_finite(x)
        with pytest.raises(
            InputError, match="the input holds 1 NaN or infinite values, first in sample 1; fix or remove"
        ):
            check_finite(x, "the input")
