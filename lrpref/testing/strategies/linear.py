"""Layers with weights that fit an input of a given shape: Dense, convolutions, Scale, Affine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...layers import (
    Affine,
    Conv,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    Scale,
    TokenDense,
)
from .numbers import EITHER, UP_TO_2, UP_TO_3, UP_TO_4, Arrays, arrays, drawn
from .shapes import borders, last_axes, per_axis, spatial_axes


@st.composite
def dense(draw: Any, shape: Any, *, out: Any = UP_TO_4, bias: Any = EITHER, numbers: Arrays = arrays) -> Dense:
    """Dense layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    out : int or strategy
        The number of outputs.
    bias : bool or strategy
        Whether the layer has a bias.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of Dense
    """
    _, features = drawn(draw, shape)
    out = drawn(draw, out)
    weight = draw(numbers((out, features)))
    return Dense(weight, draw(numbers((out,))) if drawn(draw, bias) else None)


@st.composite
def token_dense(
    draw: Any, shape: Any, *, out: Any = UP_TO_4, bias: Any = EITHER, numbers: Arrays = arrays
) -> TokenDense:
    """TokenDense layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch; three axes or more.
    out : int or strategy
        The number of outputs.
    bias : bool or strategy
        Whether the layer has a bias.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of TokenDense
    """
    shape, out = drawn(draw, shape), drawn(draw, out)
    if len(shape) < 3:
        raise ValueError(f"a TokenDense takes inputs of three axes or more, got the shape {shape}")
    weight = draw(numbers((out, shape[-1])))
    return TokenDense(weight, draw(numbers((out,))) if drawn(draw, bias) else None)


@st.composite
def conv(
    draw: Any,
    shape: Any,
    *,
    out_per_group: Any = UP_TO_2,
    stride: Any = None,
    padding: Any = None,
    dilation: Any = None,
    bias: Any = EITHER,
    bias_taps: Any = EITHER,
    numbers: Arrays = arrays,
) -> Conv:
    """Convolutions with any geometry whose kernel fits; the number of groups is a divisor of the channels.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch; it decides between `Conv1D`, `Conv2D` and `Conv3D`.
    out_per_group : int or strategy
        The number of output channels of a group.
    stride, padding, dilation : tuple of int or strategy, optional
        As those of `Conv`; padding is (before, after) per axis. None draws them.
    bias, bias_taps : bool or strategy
        Whether the layer has them.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of Conv
    """
    _, channels, *sides = shape = drawn(draw, shape)
    stride = draw(per_axis(shape, UP_TO_3)) if stride is None else drawn(draw, stride)
    padding = draw(borders(shape)) if padding is None else drawn(draw, padding)
    dilation = draw(per_axis(shape, UP_TO_2)) if dilation is None else drawn(draw, dilation)
    groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if channels % g == 0]))
    padded = [side + padding[2 * k] + padding[2 * k + 1] for k, side in enumerate(sides)]
    most = 3 if len(sides) < 3 else 2
    kernel = tuple(draw(st.integers(1, min(most, (p - 1) // d + 1))) for p, d in zip(padded, dilation, strict=True))
    out = groups * drawn(draw, out_per_group)
    weight = draw(numbers((out, channels // groups, *kernel)))
    b = draw(numbers((out,))) if drawn(draw, bias) else None
    taps = draw(numbers((out, *kernel))) if drawn(draw, bias_taps) else None
    return (Conv1D, Conv2D, Conv3D)[spatial_axes(shape) - 1](weight, b, stride, padding, dilation, groups, taps)


@st.composite
def conv_transpose(
    draw: Any, shape: Any, *, bias: Any = EITHER, bias_taps: Any = EITHER, numbers: Arrays = arrays
) -> ConvTranspose:
    """Transposed convolutions with any geometry that leaves a cell.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    bias, bias_taps : bool or strategy
        Whether the layer has them.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of ConvTranspose
    """
    _, channels, *sides = shape = drawn(draw, shape)
    stride, dilation, kernel = (draw(per_axis(shape, UP_TO_2)) for _ in range(3))
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    lengths = [
        (n - 1) * s + d * (k - 1) + 1 + extra
        for n, s, d, k, extra in zip(sides, stride, dilation, kernel, more, strict=True)
    ]
    padding: list[int] = []
    for length in lengths:
        before = draw(st.integers(0, min(2, length - 1)))
        padding += [before, draw(st.integers(0, min(2, length - 1 - before)))]
    groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0]))
    per_group = draw(UP_TO_2)
    weight = draw(numbers((channels, per_group, *kernel)))
    b = draw(numbers((groups * per_group,))) if drawn(draw, bias) else None
    taps = draw(numbers((groups * per_group, *kernel))) if drawn(draw, bias_taps) else None
    kind = (ConvTranspose1D, ConvTranspose2D, ConvTranspose3D)[spatial_axes(shape) - 1]
    return kind(weight, b, stride, tuple(padding), dilation, groups, taps, more)


@st.composite
def scale(draw: Any, shape: Any, *, bias: Any = EITHER, numbers: Arrays = arrays) -> Scale:
    """Scale layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    bias : bool or strategy
        Whether the layer has a bias.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of Scale
    """
    channels = drawn(draw, shape)[1]
    return Scale(draw(numbers((channels,))), draw(numbers((channels,))) if drawn(draw, bias) else None)


@st.composite
def affine(draw: Any, shape: Any, *, numbers: Arrays = arrays) -> Affine:
    """Affine layers with a weight, a bias, or both, along some of the last axes.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of Affine
    """
    last = st.builds(lambda axes, first: (first, *axes[1:]), last_axes(drawn(draw, shape)), st.just(1))
    fitting = last_axes(drawn(draw, shape)) | last
    weight, bias = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    return Affine(*(draw(numbers(draw(fitting))) if given else None for given in (weight, bias)))
