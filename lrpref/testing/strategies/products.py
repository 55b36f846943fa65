"""Products of two inputs, and vectors looked up."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...layers import Embedding, MatMul, Multiply
from ...layers.base import Shape
from .numbers import EITHER, UP_TO_3, UP_TO_4, Arrays, Strategy, arrays, drawn


def multiply(shape: Shape) -> Strategy[Multiply]:
    """Multiply layers of either split.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Multiply
    """
    return st.builds(Multiply, st.sampled_from(["half", "signal"]), st.integers(0, 1))


def mat_mul(shape: Shape) -> Strategy[MatMul]:
    """MatMul layers of either split; the second factor is transposed unless the first one is square.

    Parameters
    ----------
    shape : tuple of int
        The shape of the first input, including the batch; three axes or more.

    Returns
    -------
    SearchStrategy of MatMul
    """
    if len(shape) < 3:
        raise ValueError(f"a MatMul takes inputs of three axes or more, got the shape {shape}")
    transpose = EITHER if shape[-1] == shape[-2] else st.just(True)
    scales = st.sampled_from([1.0, 0.5, -2.0])
    return st.builds(MatMul, transpose, scales, st.sampled_from(["half", "signal"]), st.integers(0, 1))


@st.composite
def embedding(draw: Any, shape: Any, *, numbers: Arrays = arrays) -> Embedding:
    """Embedding layers of up to four vectors, for an input of any shape.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of Embedding
    """
    drawn(draw, shape)
    return Embedding(draw(numbers((draw(UP_TO_4), draw(UP_TO_3)))))
