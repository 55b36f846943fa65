"""Shapes of inputs, and what is drawn for each of their axes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...layers.base import Shape
from .numbers import EITHER, UP_TO_2, UP_TO_3, UP_TO_5, Strategy, as_strategy


def vectors(*, batch: Any = UP_TO_3, features: Any = UP_TO_5) -> Strategy[Shape]:
    """Shapes (N, F) of vectors.

    Parameters
    ----------
    batch, features : int or strategy
        The sizes N and F.

    Returns
    -------
    SearchStrategy of tuple
    """
    return st.tuples(*map(as_strategy, (batch, features)))


def images(
    *, batch: Any = UP_TO_3, channels: Any = UP_TO_3, rows: Any = UP_TO_5, columns: Any = UP_TO_5
) -> Strategy[Shape]:
    """Shapes (N, C, H, W) of images.

    Parameters
    ----------
    batch, channels, rows, columns : int or strategy
        The sizes N, C, H and W.

    Returns
    -------
    SearchStrategy of tuple
    """
    return st.tuples(*map(as_strategy, (batch, channels, rows, columns)))


def samples(*, batch: Any = UP_TO_3, sizes: Any = UP_TO_3, most: int = 4) -> Strategy[Shape]:
    """Shapes (N, ...) of any rank: vectors, sequences, images and volumes.

    Parameters
    ----------
    batch, sizes : int or strategy
        The size N, and that of every other axis.
    most : int, default 4
        The largest number of axes of a sample.

    Returns
    -------
    SearchStrategy of tuple
    """
    lists = st.lists(as_strategy(sizes), min_size=1, max_size=most)
    return st.builds(lambda n, found: (n, *found), as_strategy(batch), lists)


def signals(*, batch: Any = UP_TO_3, channels: Any = UP_TO_3, length: Any = UP_TO_5) -> Strategy[Shape]:
    """Shapes (N, C, L) of signals.

    Parameters
    ----------
    batch, channels, length : int or strategy
        The sizes N, C and L.

    Returns
    -------
    SearchStrategy of tuple
    """
    return st.tuples(*map(as_strategy, (batch, channels, length)))


def volumes(*, batch: Any = UP_TO_2, channels: Any = UP_TO_2, size: Any = UP_TO_3) -> Strategy[Shape]:
    """Shapes (N, C, D, H, W) of volumes.

    Parameters
    ----------
    batch, channels, size : int or strategy
        The sizes N and C; D, H and W are drawn from `size`.

    Returns
    -------
    SearchStrategy of tuple
    """
    return st.tuples(*map(as_strategy, (batch, channels, size, size, size)))


def spatial(*, channels: Any = UP_TO_3, size: Any = UP_TO_5) -> Strategy[Shape]:
    """Shapes of inputs with one, two or three spatial axes; most have two.

    Parameters
    ----------
    channels, size : int or strategy
        The number of channels, and that of the cells along each axis; volumes have at most three.

    Returns
    -------
    SearchStrategy of tuple
    """
    flat = images(channels=channels, rows=size, columns=size)
    size = as_strategy(size)
    return st.one_of(
        flat,
        flat,
        signals(channels=channels, length=size),
        volumes(channels=channels, size=size.filter(lambda n: n <= 3)),
    )


def spatial_axes(shape: Shape) -> int:
    """Return how many axes follow the batch and the channels."""
    return len(shape) - 2


def per_axis(shape: Shape, numbers: Strategy[int]) -> Strategy[tuple[int, ...]]:
    """One number for each spatial axis."""
    return st.tuples(*[numbers] * spatial_axes(shape))


def borders(shape: Shape, most: int = 2) -> Strategy[tuple[int, ...]]:
    """(before, after) for each spatial axis."""
    return st.tuples(*[st.integers(0, most)] * (2 * spatial_axes(shape)))


def last_axes(shape: Shape) -> Strategy[Shape]:
    """The sizes of the last one or more axes, the batch excluded."""
    return st.integers(1, len(shape) - 1).map(lambda k: shape[-k:])


def some_axes(shape: Shape) -> Strategy[tuple[int, ...]]:
    """Some axes of a sample, each once, counted from either end."""
    found = st.lists(st.integers(1, len(shape) - 1), min_size=1, max_size=len(shape) - 1, unique=True)
    return st.builds(lambda axes, back: tuple(a - len(shape) if back else a for a in axes), found, EITHER)
