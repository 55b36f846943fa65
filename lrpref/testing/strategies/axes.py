"""Layers that reduce, cut, reorder or pad the axes of an input of a given shape."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...layers import (
    ChannelShuffle,
    Max,
    Mean,
    Pad,
    Pad1D,
    Pad2D,
    Pad3D,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PrependTokens,
    Reshape,
    Slice,
    Sum,
)
from ...layers.base import Shape
from .numbers import EIGHTHS, EITHER, UP_TO_2, Arrays, Strategy, arrays, as_strategy, drawn, maybe
from .pools import TIES
from .shapes import borders, some_axes, spatial_axes


def sums(shape: Shape) -> Strategy[Sum]:
    """Sum layers over any axes of a sample.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Sum
    """
    return st.builds(Sum, some_axes(shape), EITHER)


def means(shape: Shape) -> Strategy[Mean]:
    """Mean layers over any axes of a sample, whose sizes should be powers of two.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Mean
    """
    return st.builds(Mean, some_axes(shape), EITHER)


def maxima(shape: Shape, *, ties: Any = TIES) -> Strategy[Max]:
    """Max layers over any axes of a sample.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.
    ties : {"first", "equal"} or strategy
        As that of `Max`.

    Returns
    -------
    SearchStrategy of Max
    """
    return st.builds(Max, some_axes(shape), EITHER, as_strategy(ties))


@st.composite
def slices(draw: Any, shape: Any) -> Slice:
    """Slice layers that read at least one cell; bounds may be negative, or beyond the array.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Slice
    """
    shape = drawn(draw, shape)
    axis = draw(st.integers(1, len(shape) - 1))
    n = shape[axis]
    step, bound = draw(st.sampled_from([1, 2, -1, -2])), maybe(st.integers(-n - 1, n + 1))
    start, stop = draw(bound), draw(bound)
    axis -= len(shape) if draw(EITHER) else 0
    return Slice(axis, start, stop, step) if range(n)[start:stop:step] else Slice(axis, None, None, step)


@st.composite
def reshape(draw: Any, shape: Any) -> Reshape:
    """Reshape layers to as many axes as there are sizes, in another order, or with two of them merged.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Reshape
    """
    _, *sizes = drawn(draw, shape)
    if len(sizes) > 1 and draw(EITHER):
        sizes = [sizes[0] * sizes[1], *sizes[2:]]
    sizes = draw(st.permutations(sizes))
    if draw(EITHER):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return Reshape(tuple(sizes))


@st.composite
def permute(draw: Any, shape: Any) -> Permute:
    """Permute layers with any order of the axes of a sample.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of Permute
    """
    return Permute((0, *draw(st.permutations(range(1, len(drawn(draw, shape)))))))


def pixel_shuffle(shape: Shape) -> Strategy[PixelShuffle]:
    """PixelShuffle layers with a factor that the channels allow.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of PixelShuffle
    """
    return st.sampled_from([PixelShuffle(r) for r in (1, 2) if shape[1] % r**2 == 0])


def pixel_unshuffle(shape: Shape) -> Strategy[PixelUnshuffle]:
    """PixelUnshuffle layers with a factor that rows and columns allow.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of PixelUnshuffle
    """
    _, _, H, W = shape
    return st.sampled_from([PixelUnshuffle(r) for r in (1, 2, 3) if H % r == W % r == 0])


def channel_shuffle(shape: Shape) -> Strategy[ChannelShuffle]:
    """ChannelShuffle layers with a number of groups that divides the channels.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of ChannelShuffle
    """
    return st.sampled_from([ChannelShuffle(g) for g in range(1, shape[1] + 1) if shape[1] % g == 0])


@st.composite
def pad(draw: Any, shape: Any, *, value: Any = EIGHTHS, mode: Any = None) -> Pad:
    """Borders of up to two cells on each side.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    value : float or strategy
        The value of the border.
    mode : str or strategy, optional
        As that of `Pad`; None draws one that the input is large enough for.

    Returns
    -------
    SearchStrategy of Pad
    """
    shape = drawn(draw, shape)
    padding, kind = draw(borders(shape)), (Pad1D, Pad2D, Pad3D)[spatial_axes(shape) - 1]
    spare = min(n - max(padding[2 * k : 2 * k + 2]) for k, n in enumerate(shape[2:]))
    modes = ["constant", "replicate", *["circular"] * (spare >= 0), *["reflect"] * (spare >= 1)]
    mode = draw(st.sampled_from(modes)) if mode is None else drawn(draw, mode)
    return kind(padding, drawn(draw, value), mode)


@st.composite
def prepend_tokens(draw: Any, shape: Any, *, numbers: Arrays = arrays) -> PrependTokens:
    """PrependTokens layers of one or two tokens.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, (N, T, E).
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of PrependTokens
    """
    _, _, features = drawn(draw, shape)
    return PrependTokens(draw(numbers((draw(UP_TO_2), features))))
