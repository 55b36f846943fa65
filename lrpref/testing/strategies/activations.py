"""Activations with parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers import Clip, LeakyReLU, PReLU, Softmax, ThreshReLU
from ...layers.base import Shape
from .numbers import EIGHTHS, EITHER, Arrays, Strategy, arrays, as_strategy, drawn, maybe


@st.composite
def threshold_relu(draw: Any, shape: Any, *, numbers: Arrays = arrays) -> ThreshReLU:
    """ThreshReLU layers with a single threshold, or one per channel, some of them reversed.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of ThreshReLU
    """
    channels = drawn(draw, shape)[1]
    if draw(EITHER):
        return ThreshReLU(draw(EIGHTHS))
    below = draw(maybe(st.lists(st.booleans(), min_size=channels, max_size=channels)))
    return ThreshReLU(draw(numbers((channels,))), None if below is None else np.asarray(below))


def leaky_relu(shape: Any, *, slope: Any = EIGHTHS) -> Strategy[LeakyReLU]:
    """LeakyReLU layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    slope : float or strategy
        The slope for negative inputs.

    Returns
    -------
    SearchStrategy of LeakyReLU
    """
    return as_strategy(slope).map(LeakyReLU)


@st.composite
def prelu(draw: Any, shape: Any, *, numbers: Arrays = arrays) -> PReLU:
    """PReLU layers with a single weight, or one per channel.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of PReLU
    """
    channels = drawn(draw, shape)[1]
    return PReLU(draw(EIGHTHS) if draw(st.booleans()) else draw(numbers((channels,))))


def bounds() -> Strategy[tuple[float, float]]:
    """A lower and an upper bound."""
    return st.tuples(EIGHTHS, EIGHTHS).map(lambda pair: (min(pair), max(pair)))


def clip() -> Strategy[Clip]:
    """Clip layers with one bound or two.

    Returns
    -------
    SearchStrategy of Clip
    """
    both = bounds().map(lambda bounds: Clip(*bounds))
    return both | EIGHTHS.map(lambda low: Clip(low)) | EIGHTHS.map(lambda high: Clip(None, high))


def softmax(shape: Shape) -> Strategy[Softmax]:
    """Softmax layers over any axis.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Softmax
    """
    return st.sampled_from([*range(1, len(shape)), -1]).map(Softmax)
