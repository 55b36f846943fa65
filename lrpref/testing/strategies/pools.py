"""Pools and upsampling that fit an input of a given shape."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...layers import (
    AdaptiveAvgPool,
    AdaptiveAvgPool1D,
    AdaptiveAvgPool2D,
    AdaptiveAvgPool3D,
    AdaptiveMaxPool,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    AvgPool,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    GlobalAvgPool,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    MaxPool,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Upsample,
    UpsampleLinear,
    UpsampleNearest,
)
from ...layers.base import Shape
from ...layers.upsample import COORDINATES, ROUNDINGS
from .numbers import EITHER, UP_TO_3, UP_TO_5, Strategy, as_strategy, drawn
from .shapes import per_axis, spatial_axes

TIES = st.sampled_from(["first", "equal"])


@st.composite
def _pool_geometry(draw: Any, shape: Shape, sides: tuple[int, ...]) -> tuple[Shape, Shape, Shape]:
    """Kernel, stride and asymmetric padding; windows may overlap, leave gaps, and extend over the border."""
    kernel = draw(per_axis(shape, st.sampled_from(sides)))
    stride = draw(per_axis(shape, UP_TO_3))
    padding: list[int] = []
    for size, cells in zip(shape[2:], kernel, strict=True):
        before, after = draw(st.integers(0, cells - 1)), draw(st.integers(0, cells - 1))
        fits = size + before + after >= cells
        padding += [before if fits else cells - 1, after]
    return kernel, stride, tuple(padding)


def _gaps(shape: Shape, kernel: Shape, padding: Shape) -> Strategy[int]:
    """A dilation of a pool: 1, or 2 where windows without padding fit."""
    wide = not any(padding) and all(2 * k - 1 <= n for k, n in zip(kernel, shape[2:], strict=True))
    return st.sampled_from([1, 2] if wide else [1])


@st.composite
def max_pool(draw: Any, shape: Any, *, ties: Any = TIES) -> MaxPool:
    """Max-pooling layers; those without padding may be dilated.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    ties : {"first", "equal"} or strategy
        As that of `MaxPool`.

    Returns
    -------
    SearchStrategy of MaxPool
    """
    shape = drawn(draw, shape)
    kernel, stride, padding = draw(_pool_geometry(shape, (1, 2, 3)))
    kind = (MaxPool1D, MaxPool2D, MaxPool3D)[spatial_axes(shape) - 1]
    dilation, ceil_mode = draw(_gaps(shape, kernel, padding)), draw(EITHER)
    return kind(kernel, stride, padding, drawn(draw, ties), dilation=dilation, ceil_mode=ceil_mode)


@st.composite
def avg_pool(draw: Any, shape: Any, *, count_include_pad: Any = EITHER) -> AvgPool:
    """Average pools. Where the number of cells varies, the kernel is at most 2, so that counts are powers of two.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    count_include_pad : bool or strategy
        As that of `AvgPool`.

    Returns
    -------
    SearchStrategy of AvgPool
    """
    shape, count, ceil_mode = drawn(draw, shape), drawn(draw, count_include_pad), draw(EITHER)
    kernel, stride, padding = draw(_pool_geometry(shape, (1, 2, 4) if count and not ceil_mode else (1, 2)))
    kind = (AvgPool1D, AvgPool2D, AvgPool3D)[spatial_axes(shape) - 1]
    divisor = draw(st.sampled_from([None, None, 2]))
    dilation = 1 if ceil_mode else draw(_gaps(shape, kernel, padding))
    return kind(kernel, stride, padding, count, divisor, dilation=dilation, ceil_mode=ceil_mode)


def global_avg_pool(shape: Shape) -> Strategy[GlobalAvgPool]:
    """Average pools over all cells.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of GlobalAvgPool
    """
    return st.just((GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D)[spatial_axes(shape) - 1]())


def global_max_pool(shape: Shape, *, ties: Any = TIES) -> Strategy[GlobalMaxPool]:
    """Max-pooling over all cells.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.
    ties : {"first", "equal"} or strategy
        As that of `MaxPool`.

    Returns
    -------
    SearchStrategy of GlobalMaxPool
    """
    return as_strategy(ties).map((GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D)[spatial_axes(shape) - 1])


def adaptive_avg_pool(shape: Shape) -> Strategy[AdaptiveAvgPool]:
    """Adaptive average pools to at most three cells per axis.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.

    Returns
    -------
    SearchStrategy of AdaptiveAvgPool
    """
    kind = (AdaptiveAvgPool1D, AdaptiveAvgPool2D, AdaptiveAvgPool3D)[spatial_axes(shape) - 1]
    return per_axis(shape, UP_TO_3).map(kind)


def adaptive_max_pool(shape: Shape, *, ties: Any = TIES) -> Strategy[AdaptiveMaxPool]:
    """Adaptive max-pooling to at most three cells per axis.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.
    ties : {"first", "equal"} or strategy
        As that of `MaxPool`.

    Returns
    -------
    SearchStrategy of AdaptiveMaxPool
    """
    kind = (AdaptiveMaxPool1D, AdaptiveMaxPool2D, AdaptiveMaxPool3D)[spatial_axes(shape) - 1]
    return st.builds(kind, per_axis(shape, UP_TO_3), as_strategy(ties))


ROUNDED = st.sampled_from(list(ROUNDINGS))


def upsample(shape: Shape, *, linear: bool = False) -> Strategy[Upsample]:
    """Resizing to up to five cells per axis, or to a multiple; interpolation only to multiples, with dyadic weights.

    Parameters
    ----------
    shape : tuple of int
        The shape of the input, including the batch.
    linear : bool, default False
        Whether to draw `UpsampleLinear` instead of `UpsampleNearest`.

    Returns
    -------
    SearchStrategy of Upsample
    """
    multiple = st.sampled_from([2, 1, 4])
    if linear:
        return st.builds(UpsampleLinear, scale_factor=multiple)
    size, how = per_axis(shape, UP_TO_5), {"coordinates": st.sampled_from(COORDINATES), "rounding": ROUNDED}
    return st.builds(UpsampleNearest, scale_factor=multiple) | st.builds(UpsampleNearest, size=size, **how)
