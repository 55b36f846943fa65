"""Numbers and arrays of a given shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers.base import Shape

Strategy = st.SearchStrategy
Arrays = Callable[[Shape], Strategy[np.ndarray]]
"""Maps a shape to a strategy for arrays: `arrays`, `nonnegative`, `generic`, or your own function."""


def drawn(draw: Callable[[Strategy[Any]], Any], x: Any) -> Any:
    """Return `x` itself, or a draw from it if it is a strategy."""
    return draw(x) if isinstance(x, Strategy) else x


def as_strategy(x: Any) -> Strategy[Any]:
    """Return a strategy as it is, and one that always draws `x` for any other value."""
    return x if isinstance(x, Strategy) else st.just(x)


def maybe(strategy: Strategy[Any]) -> Strategy[Any]:
    """None, or a draw from the strategy."""
    return st.none() | strategy


EITHER = st.booleans()
UP_TO_2, UP_TO_3, UP_TO_4, UP_TO_5 = (st.integers(1, most) for most in (2, 3, 4, 5))
POWERS = st.sampled_from([1, 2, 4])
ODD = st.sampled_from([1, 3, 5])
EIGHTHS = st.integers(-8, 8).map(lambda k: k / 8)
"""Multiples of 1/8 between -1 and 1."""


def arrays(shape: Any, *, low: Any = -4, high: Any = 4) -> Strategy[np.ndarray]:
    """Arrays of multiples of 1/8 in [low, high]. Most hold integers, so that ties and zeros are frequent.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the array.
    low, high : int or strategy, default -4 and 4
        The smallest and the largest number.

    Returns
    -------
    SearchStrategy of array
        Arrays of float64.
    """
    if not any(isinstance(v, Strategy) for v in (shape, low, high)):
        return _dyadic(shape, low, high)
    return st.tuples(*map(as_strategy, (shape, low, high))).flatmap(lambda found: _dyadic(*found))


@lru_cache(maxsize=1024)
def _dyadic(shape: Shape, low: int, high: int) -> Strategy[np.ndarray]:
    """Draw one byte per number and look it up in a table: an array is a single draw, and every byte shrinks by itself.

    The last byte is the first number. Hypothesis clears bytes from the first on, so the remaining numbers are at the
    front of the array and stay there when the shape shrinks. A third of the arrays are filled up to some length only,
    and are zero from there on; the others shrink to them.
    """
    size = prod(shape)

    def read(raw: bytes, table: np.ndarray) -> np.ndarray:
        found = np.zeros(size)
        found[: len(raw)] = table[np.frombuffer(raw[::-1], dtype=np.uint8) % len(table)]
        return found.reshape(shape)

    ways = [(0, 1.0), (size, 1.0), (size, 1 / 8)]
    tables = [(least, simplest_first(low, high, step)) for least, step in ways]
    return st.one_of(*(st.binary(min_size=n, max_size=size).map(partial(read, table=t)) for n, t in tables))


@cache
def simplest_first(low: int, high: int, step: float) -> np.ndarray:
    """Return the multiples of `step` in [low, high] in the order 0, 1, -1, 2, ..., followed by the fractions."""
    found = np.arange(low, high + step, step).tolist()
    return np.asarray(sorted(found, key=lambda v: (v % 1 != 0, abs(v), v < 0)), dtype=np.float64)


def nonnegative(shape: Any) -> Strategy[np.ndarray]:
    """Arrays as those of `arrays`, without negative numbers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the array.

    Returns
    -------
    SearchStrategy of array
        Arrays of float64 in [0, 4].
    """
    return arrays(shape, low=0)


def generic(shape: Any) -> Strategy[np.ndarray]:
    """Arrays in general position: no ties, no zeros, no sums that cancel. Only their seed shrinks.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the array.

    Returns
    -------
    SearchStrategy of array
        Arrays of float64, from a standard normal distribution.
    """
    return st.builds(_normal, as_strategy(shape), st.integers(0, 2**16))


def _normal(shape: Shape, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)
