"""Hypothesis strategies for layers, inputs, relevances, rules and networks.

The strategies follow the style of `hypothesis.extra.numpy`: the main argument comes first, options are keywords, and
every argument is a value or a strategy to draw it from.

    arrays, nonnegative, generic    arrays of a shape
    vectors, images, samples, ...   shapes
    dense, conv, ..., layers        a layer for an input of a shape
    layer_cases                     a layer with inputs and relevance: a `LayerCase`
    rules, rule_cases               a rule; a rule with a `LayerCase`
    networks, relevances            a network with a batch; relevance for its output

Shapes are drawn first, then a layer that fits them, then the numbers. Numbers are *dyadic*: multiples of 1/8 between -4
and 4. Products and sums of a few such numbers are exact in floating point. A denominator z = 0 is therefore exactly 0,
any two orders of summation agree to the last bit, and tests can demand equality instead of a tolerance. The geometry
preserves this: average pools have 1, 2, 4, 8 or 16 cells, BatchNorms have standard deviations of 1/2, 1 or 2, and
the groups of norms by the sample's own statistics have deviations of 1/2, 1 or 2.

Everything shrinks towards one sample, one channel, one cell, no padding, stride 1, and zeros: the smallest network is
Flatten followed by a Dense layer with one weight.

Needs Hypothesis (in the extra "testing").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from .. import rules as rule_types
from ..layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    AdaptiveAvgPool,
    AdaptiveAvgPool1D,
    AdaptiveAvgPool2D,
    AdaptiveAvgPool3D,
    AdaptiveMaxPool,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    Add,
    Affine,
    AvgPool,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    BatchNorm,
    ChannelShuffle,
    Clip,
    Concat,
    Conv,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GroupNorm,
    HardSigmoid,
    HardSwish,
    HardTanh,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    MatMul,
    Max,
    Maximum,
    MaxPool,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Mean,
    Minimum,
    Mish,
    Multiply,
    Pad,
    Pad1D,
    Pad2D,
    Pad3D,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PReLU,
    PrependTokens,
    ReLU,
    ReLU6,
    Reshape,
    RMSNorm,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Softmax,
    Softplus,
    Softsign,
    Subtract,
    Sum,
    Tanh,
    Threshold,
    ThreshReLU,
    TokenDense,
    Upsample,
    UpsampleLinear,
    UpsampleNearest,
)
from ..layers.base import Shape
from ..layers.upsample import COORDINATES, ROUNDINGS
from ..network import INPUT, Network
from ..relative import READINGS
from ..rules import Rule
from .cases import LayerCase, NetworkCase

__all__ = [
    "BLOCKS",
    "ELEMENTWISE",
    "LAYERS",
    "LINEAR",
    "OTHERS",
    "PRODUCTS",
    "ROUTING",
    "RULES",
    "SMOOTH",
    "Kind",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "affine",
    "arrays",
    "avg_pool",
    "batch_norm",
    "conv",
    "conv_transpose",
    "channel_shuffle",
    "dense",
    "dense_networks",
    "embedding",
    "generic",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "images",
    "instance_norm",
    "kinds_for",
    "layer_cases",
    "layer_norm",
    "layers",
    "leaky_relu",
    "local_response_norm",
    "prelu",
    "clip",
    "mat_mul",
    "max_pool",
    "maxima",
    "means",
    "multiply",
    "networks",
    "nonnegative",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prepend_tokens",
    "relevances",
    "reshape",
    "rms_norm",
    "rule_cases",
    "rules",
    "samples",
    "scale",
    "signals",
    "spatial",
    "slices",
    "softmax",
    "sums",
    "threshold_relu",
    "token_dense",
    "two_inputs",
    "upsample",
    "vectors",
    "volumes",
    "z_box",
]

Strategy = st.SearchStrategy
Arrays = Callable[[Shape], Strategy[np.ndarray]]
"""Maps a shape to a strategy for arrays: `arrays`, `nonnegative`, `generic`, or your own function."""


def drawn(draw: Callable[[Strategy[Any]], Any], x: Any) -> Any:
    """Return `x` itself, or a draw from it if it is a strategy."""
    return draw(x) if isinstance(x, Strategy) else x


# ---- numbers -----------------------------------------------------------------------------------------------------


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
    return st.tuples(*map(_strategy, (shape, low, high))).flatmap(lambda found: _dyadic(*found))


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


EIGHTHS = st.integers(-8, 8).map(lambda k: k / 8)
ODD = st.sampled_from([1, 3, 5])
"""A number between -1 and 1."""


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
    return st.builds(_normal, _strategy(shape), st.integers(0, 2**16))


def _normal(shape: Shape, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def maybe(strategy: Strategy[Any]) -> Strategy[Any]:
    """None, or a draw from the strategy."""
    return st.none() | strategy


# ---- shapes ------------------------------------------------------------------------------------------------------

UP_TO_2, UP_TO_3, UP_TO_4, UP_TO_5 = (st.integers(1, most) for most in (2, 3, 4, 5))
POWERS = st.sampled_from([1, 2, 4])
EITHER = st.booleans()


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
    return st.tuples(*map(_strategy, (batch, features)))


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
    return st.tuples(*map(_strategy, (batch, channels, rows, columns)))


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
    lists = st.lists(_strategy(sizes), min_size=1, max_size=most)
    return st.builds(lambda n, found: (n, *found), _strategy(batch), lists)


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
    return st.tuples(*map(_strategy, (batch, channels, length)))


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
    return st.tuples(*map(_strategy, (batch, channels, size, size, size)))


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
    size = _strategy(size)
    return st.one_of(
        flat,
        flat,
        signals(channels=channels, length=size),
        volumes(channels=channels, size=size.filter(lambda n: n <= 3)),
    )


def _strategy(x: Any) -> Strategy[Any]:
    return x if isinstance(x, Strategy) else st.just(x)


# ---- layers that fit an input of a given shape -----------------------------------------------------------------


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


def _spatial_axes(shape: Shape) -> int:
    return len(shape) - 2


def _per_axis(shape: Shape, numbers: Strategy[int]) -> Strategy[tuple[int, ...]]:
    """One number for each spatial axis."""
    return st.tuples(*[numbers] * _spatial_axes(shape))


def _borders(shape: Shape, most: int = 2) -> Strategy[tuple[int, ...]]:
    """(before, after) for each spatial axis."""
    return st.tuples(*[st.integers(0, most)] * (2 * _spatial_axes(shape)))


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
    stride = draw(_per_axis(shape, UP_TO_3)) if stride is None else drawn(draw, stride)
    padding = draw(_borders(shape)) if padding is None else drawn(draw, padding)
    dilation = draw(_per_axis(shape, UP_TO_2)) if dilation is None else drawn(draw, dilation)
    groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if channels % g == 0]))
    padded = [side + padding[2 * k] + padding[2 * k + 1] for k, side in enumerate(sides)]
    most = 3 if len(sides) < 3 else 2
    kernel = tuple(draw(st.integers(1, min(most, (p - 1) // d + 1))) for p, d in zip(padded, dilation, strict=True))
    out = groups * drawn(draw, out_per_group)
    weight = draw(numbers((out, channels // groups, *kernel)))
    b = draw(numbers((out,))) if drawn(draw, bias) else None
    taps = draw(numbers((out, *kernel))) if drawn(draw, bias_taps) else None
    return (Conv1D, Conv2D, Conv3D)[_spatial_axes(shape) - 1](weight, b, stride, padding, dilation, groups, taps)


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
    stride, dilation, kernel = (draw(_per_axis(shape, UP_TO_2)) for _ in range(3))
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
    kind = (ConvTranspose1D, ConvTranspose2D, ConvTranspose3D)[_spatial_axes(shape) - 1]
    return kind(weight, b, stride, tuple(padding), dilation, groups, taps, more)


@st.composite
def _pool_geometry(draw: Any, shape: Shape, sides: tuple[int, ...]) -> tuple[Shape, Shape, Shape]:
    """Kernel, stride and asymmetric padding; windows may overlap, leave gaps, and extend over the border."""
    kernel = draw(_per_axis(shape, st.sampled_from(sides)))
    stride = draw(_per_axis(shape, UP_TO_3))
    padding: list[int] = []
    for size, cells in zip(shape[2:], kernel, strict=True):
        before, after = draw(st.integers(0, cells - 1)), draw(st.integers(0, cells - 1))
        fits = size + before + after >= cells
        padding += [before if fits else cells - 1, after]
    return kernel, stride, tuple(padding)


TIES = st.sampled_from(["first", "equal"])


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
    kind = (MaxPool1D, MaxPool2D, MaxPool3D)[_spatial_axes(shape) - 1]
    dilation, ceil_mode = draw(_gaps(shape, kernel, padding)), draw(EITHER)
    return kind(kernel, stride, padding, drawn(draw, ties), dilation=dilation, ceil_mode=ceil_mode)


def _gaps(shape: Shape, kernel: Shape, padding: Shape) -> Strategy[int]:
    """A dilation of a pool: 1, or 2 where windows without padding fit."""
    wide = not any(padding) and all(2 * k - 1 <= n for k, n in zip(kernel, shape[2:], strict=True))
    return st.sampled_from([1, 2] if wide else [1])


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
    kind = (AvgPool1D, AvgPool2D, AvgPool3D)[_spatial_axes(shape) - 1]
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
    return st.just((GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D)[_spatial_axes(shape) - 1]())


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
    return _strategy(ties).map((GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D)[_spatial_axes(shape) - 1])


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
    kind = (AdaptiveAvgPool1D, AdaptiveAvgPool2D, AdaptiveAvgPool3D)[_spatial_axes(shape) - 1]
    return _per_axis(shape, UP_TO_3).map(kind)


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
    kind = (AdaptiveMaxPool1D, AdaptiveMaxPool2D, AdaptiveMaxPool3D)[_spatial_axes(shape) - 1]
    return st.builds(kind, _per_axis(shape, UP_TO_3), _strategy(ties))


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
    size, how = _per_axis(shape, UP_TO_5), {"coordinates": st.sampled_from(COORDINATES), "rounding": ROUNDED}
    return st.builds(UpsampleNearest, scale_factor=multiple) | st.builds(UpsampleNearest, size=size, **how)


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
    last = st.builds(lambda axes, first: (first, *axes[1:]), _last_axes(drawn(draw, shape)), st.just(1))
    fitting = _last_axes(drawn(draw, shape)) | last
    weight, bias = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    return Affine(*(draw(numbers(draw(fitting))) if given else None for given in (weight, bias)))


@st.composite
def batch_norm(
    draw: Any, shape: Any, *, weight: Any = EITHER, bias: Any = EITHER, numbers: Arrays = arrays
) -> BatchNorm:
    """BatchNorm layers with standard deviations of 1/2, 1 or 2.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of BatchNorm
    """
    channels = drawn(draw, shape)[1]
    s = np.asarray(draw(st.lists(st.sampled_from([1.0, 0.5, 2.0]), min_size=channels, max_size=channels)))
    g = draw(numbers((channels,))) if drawn(draw, weight) else None
    beta = draw(numbers((channels,))) if drawn(draw, bias) else None
    return BatchNorm(g, beta, draw(numbers((channels,))), s**2 - 0.5, eps=0.5)  # var may be below zero


MEANS = st.sampled_from(["linear", "constant"])
"""The readings of the mean with which a rule sees the layer's own weights; with "centred" it sees other ones."""


@st.composite
def group_norm(
    draw: Any,
    shape: Any,
    *,
    weight: Any = EITHER,
    bias: Any = EITHER,
    mean: Any = MEANS,
    eps: Any = 1e-5,
    numbers: Arrays = arrays,
) -> GroupNorm:
    """GroupNorm layers; the number of groups is a divisor of the channels, and a group has two cells if it can.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them; a bias only with a weight.
    mean : {"linear", "constant", "centred"} or strategy
        As that of the layer.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of GroupNorm
    """
    _, channels, *sides = drawn(draw, shape)
    groups = [g for g in (1, 2, 3, 4) if channels % g == 0 and (g == 1 or channels * prod(sides) > g)]
    g, beta = draw(_affine((channels,), weight, bias, numbers))
    return GroupNorm(draw(st.sampled_from(groups)), g, beta, drawn(draw, eps), drawn(draw, mean))


@st.composite
def instance_norm(
    draw: Any,
    shape: Any,
    *,
    weight: Any = EITHER,
    bias: Any = EITHER,
    mean: Any = MEANS,
    eps: Any = 1e-5,
    numbers: Arrays = arrays,
) -> InstanceNorm:
    """InstanceNorm layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them; a bias only with a weight.
    mean : {"linear", "constant", "centred"} or strategy
        As that of the layer.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of InstanceNorm
    """
    g, beta = draw(_affine((drawn(draw, shape)[1],), weight, bias, numbers))
    return InstanceNorm(g, beta, drawn(draw, eps), drawn(draw, mean))


@st.composite
def layer_norm(
    draw: Any,
    shape: Any,
    *,
    weight: Any = EITHER,
    bias: Any = EITHER,
    mean: Any = MEANS,
    eps: Any = 1e-5,
    numbers: Arrays = arrays,
) -> LayerNorm:
    """LayerNorm layers over one or more of the last axes.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them; a bias only with a weight.
    mean : {"linear", "constant", "centred"} or strategy
        As that of the layer.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of LayerNorm
    """
    last = draw(_last_axes(drawn(draw, shape)))
    g, beta = draw(_affine(last, weight, bias, numbers))
    return LayerNorm(last, g, beta, drawn(draw, eps), drawn(draw, mean))


@st.composite
def rms_norm(draw: Any, shape: Any, *, weight: Any = EITHER, eps: Any = 1e-5, numbers: Arrays = arrays) -> RMSNorm:
    """RMSNorm layers over one or more of the last axes.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight : bool or strategy
        Whether the layer has one.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of RMSNorm
    """
    last = draw(_last_axes(drawn(draw, shape)))
    g, _ = draw(_affine(last, weight, False, numbers))
    return RMSNorm(last, g, drawn(draw, eps))


@st.composite
def _affine(draw: Any, shape: Shape, weight: Any, bias: Any, numbers: Arrays) -> tuple[Any, Any]:
    """g and beta of a norm, each an array or None; beta only with g, so that twice its arrays is twice the layer."""
    g = draw(numbers(shape)) if drawn(draw, weight) else None
    return g, draw(numbers(shape)) if drawn(draw, bias) and g is not None else None


def _last_axes(shape: Shape) -> Strategy[Shape]:
    """The sizes of the last one or more axes, the batch excluded."""
    return st.integers(1, len(shape) - 1).map(lambda k: shape[-k:])


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
    padding, kind = draw(_borders(shape)), (Pad1D, Pad2D, Pad3D)[_spatial_axes(shape) - 1]
    spare = min(n - max(padding[2 * k : 2 * k + 2]) for k, n in enumerate(shape[2:]))
    modes = ["constant", "replicate", *["circular"] * (spare >= 0), *["reflect"] * (spare >= 1)]
    mode = draw(st.sampled_from(modes)) if mode is None else drawn(draw, mode)
    return kind(padding, drawn(draw, value), mode)


def local_response_norm(shape: Any, *, size: Any = ODD) -> Strategy[LocalResponseNorm]:
    """LocalResponseNorm layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    size : int or strategy
        How many channels a sum has.

    Returns
    -------
    SearchStrategy of LocalResponseNorm
    """
    return _strategy(size).map(lambda n: LocalResponseNorm(n, alpha=0.5))


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
    return _strategy(slope).map(LeakyReLU)


def _axes(shape: Shape) -> Strategy[tuple[int, ...]]:
    """Some axes of a sample, each once, counted from either end."""
    found = st.lists(st.integers(1, len(shape) - 1), min_size=1, max_size=len(shape) - 1, unique=True)
    return st.builds(lambda axes, back: tuple(a - len(shape) if back else a for a in axes), found, EITHER)


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
    return st.builds(Sum, _axes(shape), EITHER)


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
    return st.builds(Mean, _axes(shape), EITHER)


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
    return st.builds(Max, _axes(shape), EITHER, _strategy(ties))


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


def _bounds() -> Strategy[tuple[float, float]]:
    """A lower and an upper bound."""
    return st.tuples(EIGHTHS, EIGHTHS).map(lambda pair: (min(pair), max(pair)))


def clip() -> Strategy[Clip]:
    """Clip layers with one bound or two.

    Returns
    -------
    SearchStrategy of Clip
    """
    both = _bounds().map(lambda bounds: Clip(*bounds))
    return both | EIGHTHS.map(lambda low: Clip(low)) | EIGHTHS.map(lambda high: Clip(None, high))


# ---- every kind of layer, with the inputs it takes -------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A family of layers.

    Parameters
    ----------
    layer : callable
        Maps the shape of the (first) input to a strategy for the layer.
    shapes : SearchStrategy of tuple
        Draws the shapes of all inputs.
    fitted : callable, optional
        Maps a layer and its (first) input to a layer and an input on which the numbers stay dyadic.
    """

    layer: Callable[[Shape], Strategy[Layer]]
    shapes: Strategy[tuple[Shape, ...]]
    fitted: Callable[[Any, np.ndarray], tuple[Layer, np.ndarray]] | None = None


def _one(shape: Strategy[Shape]) -> Strategy[tuple[Shape, ...]]:
    return st.tuples(shape)


def _alike(shape: Strategy[Shape]) -> Strategy[tuple[Shape, ...]]:
    """The shapes of two or three inputs of equal shape."""
    return st.builds(lambda s, k: (s,) * k, shape, st.integers(2, 3))


@st.composite
def _side_by_side(draw: Any, shape: Strategy[Shape]) -> tuple[Shape, ...]:
    """The shapes of two or three inputs that may differ on axis 1."""
    batch, _, *rest = draw(shape)
    return tuple((batch, draw(UP_TO_3), *rest) for _ in range(draw(st.integers(2, 3))))


@st.composite
def _factors(draw: Any, shape: Strategy[Shape]) -> tuple[Shape, Shape]:
    """The shapes of two inputs that are equal, except where one of them has size 1."""
    batch, *sizes = draw(shape)
    ones = [draw(st.sampled_from([(n, n), (1, n), (n, 1)])) for n in sizes]
    return (batch, *(n for n, _ in ones)), (batch, *(n for _, n in ones))


def _whole(layer: Any, a: np.ndarray) -> tuple[Layer, np.ndarray]:
    """The Embedding, and indices of its vectors."""
    return layer, np.floor(8 * abs(a)) % layer.weight.shape[0]


_ANY = vectors() | spatial()
_MATRICES = samples().filter(lambda shape: len(shape) > 2)
_TOKENS = signals(channels=UP_TO_3, length=UP_TO_3)


def _with_rational_root(layer: Any, a: np.ndarray) -> tuple[Layer, np.ndarray]:
    """The norm without eps, and an input whose groups have deviations of 1/2, 1 or 2: m - d or m + d, equally often.

    The order of the numbers, and whether there are negative ones, are those of `a`. For RMSNorm m is 0.
    """
    x = a.reshape(len(a), *layer.groups(a.shape))
    d = np.asarray([1.0, 0.5, 2.0])[abs(x[..., -1:]).astype(int) % 3]
    if isinstance(layer, RMSNorm):
        found = np.where(x < 0, -d, d)
    else:
        upper = 2 * x.argsort(axis=2, kind="stable").argsort(axis=2) >= x.shape[2]
        found = x[..., :1] + np.where(upper, d, -d) + (d if np.all(a >= 0) else 0)
    return replace(layer, eps=0.0), found.reshape(a.shape)


_TWO_OR_FOUR = st.sampled_from([2, 4])
_IMAGES_OF_POWERS = images(channels=POWERS, rows=POWERS, columns=_TWO_OR_FOUR)
_OF_POWERS = vectors(features=_TWO_OR_FOUR) | _IMAGES_OF_POWERS

LINEAR: dict[str, Kind] = {
    "dense": Kind(dense, _one(vectors())),
    "conv": Kind(conv, _one(spatial(channels=UP_TO_4))),
    "conv_transpose": Kind(conv_transpose, _one(spatial(channels=UP_TO_2, size=UP_TO_3))),
    "avg_pool": Kind(avg_pool, _one(spatial())),
    "global_avg_pool": Kind(global_avg_pool, _one(spatial(size=POWERS))),
    "adaptive_avg_pool": Kind(adaptive_avg_pool, _one(spatial(size=POWERS))),
    "upsample_linear": Kind(partial(upsample, linear=True), _one(spatial(channels=UP_TO_2, size=UP_TO_2))),
    "token_dense": Kind(token_dense, _one(_TOKENS | images(rows=UP_TO_2, columns=UP_TO_3))),
    "mat_mul": Kind(mat_mul, st.builds(lambda shape: (shape,) * 2, _MATRICES)),
    "affine": Kind(affine, _one(_ANY)),
    "scale": Kind(scale, _one(_ANY)),
    "batch_norm": Kind(batch_norm, _one(_ANY)),
    "group_norm": Kind(group_norm, _one(_OF_POWERS), _with_rational_root),
    "instance_norm": Kind(instance_norm, _one(_IMAGES_OF_POWERS), _with_rational_root),
    "layer_norm": Kind(layer_norm, _one(_OF_POWERS), _with_rational_root),
    "rms_norm": Kind(rms_norm, _one(_OF_POWERS), _with_rational_root),
    "add": Kind(lambda shape: st.just(Add()), _alike(_ANY)),
    "mean": Kind(means, _one(samples(sizes=st.sampled_from([1, 2]) | POWERS, most=3))),
    "subtract": Kind(lambda shape: st.just(Subtract()), st.builds(lambda shape: (shape,) * 2, samples())),
    "sum": Kind(sums, _one(samples())),
}
"""The layers that redistribute relevance by a rule."""

DIAGONAL = ("affine", "batch_norm", "scale", "rms_norm")
"""The linear layers with one weight per unit."""

ROUTING: dict[str, Kind] = {
    "max_pool": Kind(max_pool, _one(spatial())),
    "global_max_pool": Kind(global_max_pool, _one(spatial())),
    "adaptive_max_pool": Kind(adaptive_max_pool, _one(spatial())),
    "upsample_nearest": Kind(upsample, _one(spatial(channels=UP_TO_2, size=UP_TO_3))),
    "flatten": Kind(lambda shape: st.just(Flatten()), _one(spatial())),
    "pad": Kind(pad, _one(spatial())),
    "prepend_tokens": Kind(prepend_tokens, _one(_TOKENS)),
    "dropout": Kind(lambda shape: st.just(Dropout()), _one(_ANY)),
    "maximum": Kind(lambda shape: st.builds(Maximum, TIES), _alike(_ANY)),
    "minimum": Kind(lambda shape: st.builds(Minimum, TIES), _alike(_ANY)),
    "concat": Kind(lambda shape: st.sampled_from([Concat(), Concat(1 - len(shape))]), _side_by_side(_ANY)),
    "channel_shuffle": Kind(channel_shuffle, _one(samples(sizes=UP_TO_4, most=3))),
    "max": Kind(maxima, _one(samples())),
    "permute": Kind(permute, _one(samples())),
    "pixel_shuffle": Kind(pixel_shuffle, _one(images(channels=st.sampled_from([1, 4, 8]), rows=UP_TO_3))),
    "pixel_unshuffle": Kind(pixel_unshuffle, _one(images(rows=POWERS, columns=st.sampled_from([2, 4, 6])))),
    "reshape": Kind(reshape, _one(samples())),
    "slice": Kind(slices, _one(samples(sizes=UP_TO_4, most=3))),
}
"""The layers that send relevance back to where each value came from."""

ELEMENTWISE: dict[str, Kind] = {
    "relu": Kind(lambda shape: st.just(ReLU()), _one(_ANY)),
    "relu6": Kind(lambda shape: st.just(ReLU6()), _one(_ANY)),
    "leaky_relu": Kind(leaky_relu, _one(_ANY)),
    "threshold_relu": Kind(threshold_relu, _one(_ANY)),
    "local_response_norm": Kind(local_response_norm, _one(_ANY)),
    "sigmoid": Kind(lambda shape: st.just(Sigmoid()), _one(_ANY)),
    "tanh": Kind(lambda shape: st.just(Tanh()), _one(_ANY)),
    "celu": Kind(lambda shape: POWERS.map(CELU), _one(_ANY)),
    "clip": Kind(lambda shape: clip(), _one(_ANY)),
    "elu": Kind(lambda shape: EIGHTHS.map(ELU), _one(_ANY)),
    "gelu": Kind(lambda shape: st.sampled_from(["none", "tanh"]).map(GELU), _one(_ANY)),
    "hard_sigmoid": Kind(lambda shape: st.builds(HardSigmoid, EIGHTHS, POWERS), _one(_ANY)),
    "hard_swish": Kind(lambda shape: st.builds(HardSwish, EIGHTHS, POWERS), _one(_ANY)),
    "hard_tanh": Kind(lambda shape: _bounds().map(lambda bounds: HardTanh(*bounds)), _one(_ANY)),
    "mish": Kind(lambda shape: st.just(Mish()), _one(_ANY)),
    "prelu": Kind(prelu, _one(_ANY)),
    "selu": Kind(lambda shape: st.just(SELU()), _one(_ANY)),
    "silu": Kind(lambda shape: st.just(SiLU()), _one(_ANY)),
    "softplus": Kind(lambda shape: st.builds(Softplus, POWERS, EIGHTHS), _one(_ANY)),
    "softsign": Kind(lambda shape: st.just(Softsign()), _one(_ANY)),
    "threshold": Kind(lambda shape: st.builds(Threshold, EIGHTHS, EIGHTHS), _one(_ANY)),
}
"""The activations."""

SMOOTH = (
    *("celu", "elu", "gelu", "local_response_norm", "mish", "selu", "sigmoid", "silu", "softmax", "softplus", "tanh"),
)
"""The layers with exponentials, which exact arithmetic refuses."""

PRODUCTS: dict[str, Kind] = {"multiply": Kind(multiply, _factors(samples()))}
"""The products of activations, which share relevance between their factors."""

OTHERS: dict[str, Kind] = {
    "embedding": Kind(embedding, _one(vectors()), _whole),
    "softmax": Kind(softmax, _one(samples())),
}
"""Further layers that say themselves what relevance their input receives."""

LAYERS = {**LINEAR, **ROUTING, **ELEMENTWISE, **PRODUCTS, **OTHERS}


# ---- a layer with inputs and relevance ------------------------------------------------------------------------


ANY_KIND = st.sampled_from(list(LAYERS))


@st.composite
def layers(draw: Any, shape: Any, *, kind: Any = ANY_KIND) -> Layer:
    """Layers of a kind for an input of a shape.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, (N, F) or (N, C, ...).
    kind : str or strategy
        A key of `LAYERS`.

    Returns
    -------
    SearchStrategy of Layer
    """
    found: Layer = draw(LAYERS[drawn(draw, kind)].layer(drawn(draw, shape)))
    return found


@st.composite
def layer_cases(
    draw: Any, kind: Any = ANY_KIND, *, shapes: Any = None, inputs: Arrays = arrays, relevance: Arrays = arrays
) -> LayerCase:
    """Layers of a kind, with inputs and relevance.

    Parameters
    ----------
    kind : str or strategy
        A key of `LAYERS`.
    shapes : tuple of tuples of int, or strategy, optional
        The shapes of the inputs; None draws small ones.
    inputs, relevance : callable, default arrays
        Draw an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of LayerCase
    """
    found = LAYERS[drawn(draw, kind)]
    shapes = draw(found.shapes) if shapes is None else drawn(draw, shapes)
    layer = draw(found.layer(shapes[0]))
    a = tuple(draw(inputs(shape)) for shape in shapes)
    if found.fitted is not None:
        layer, fitted = found.fitted(layer, a[0])
        a = (fitted, *a[1:])
    return LayerCase(layer, a, draw(relevance(layer.output_shape(*shapes))))


@st.composite
def relevances(draw: Any, model: Any, *inputs: Any, numbers: Arrays = arrays) -> np.ndarray:
    """Relevances for the output of a layer or a network.

    Parameters
    ----------
    model : Layer, Network or strategy
        The layer or network.
    *inputs : array or strategy
        Its inputs, which determine the shape of the output.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of array
    """
    model, inputs = drawn(draw, model), tuple(drawn(draw, a) for a in inputs)
    found: np.ndarray = draw(numbers(tuple(model.forward(*inputs).shape)))
    return found


# ---- rules -----------------------------------------------------------------------------------------------------

STABILIZERS = st.sampled_from([0.0, 1e-6, 0.25])
GAMMAS = st.sampled_from([0.0, 0.25, 1.0])


@st.composite
def z_box(
    draw: Any, shapes: tuple[Shape, ...], whole_batch: bool = True, stabilizer: Any = STABILIZERS
) -> rule_types.ZBox:
    """ZBox rules with low <= 0 <= high; each bound is a number, or given per channel, per cell, or per cell and sample.

    Parameters
    ----------
    shapes : tuple of tuples of int
        The shapes of the layer's inputs.
    whole_batch : bool, default True
        Whether bounds may be given per sample.
    stabilizer : float or strategy
        As that of `ZBox`.

    Returns
    -------
    SearchStrategy of ZBox
    """
    shape = shapes[0]
    per_channel = [(shape[1],)] if len(shape) in (2, 4) else []  # ZBox lines these up with whole images only
    choices = [(), *per_channel, shape[1:], *([shape] if whole_batch else [])]
    low, high = (draw(nonnegative(draw(st.sampled_from(choices)))) for _ in range(2))
    low, high = (float(v) if v.ndim == 0 else v for v in (-low, high))
    return rule_types.ZBox(low, high, drawn(draw, stabilizer))


def _stabilized(rule: Callable[..., Rule]) -> Callable[..., Strategy[Rule]]:
    """Return a strategy for a rule whose only parameter is its stabilizer."""
    return lambda shapes: st.builds(rule, stabilizer=STABILIZERS)


RULES: dict[str, Callable[..., Strategy[Rule]]] = {
    "zero": lambda shapes: st.just(rule_types.Zero()),
    "epsilon": lambda shapes: st.builds(rule_types.Epsilon, STABILIZERS, st.sampled_from([None, "rms"])),
    "gamma": lambda shapes: st.builds(rule_types.Gamma, GAMMAS, st.booleans(), STABILIZERS),
    "alpha-beta": lambda shapes: st.builds(
        lambda alpha, *rest: rule_types.AlphaBeta(alpha, alpha - 1, *rest),
        st.sampled_from([1, 2]),
        st.sampled_from(["keep", "ignore"]),
        st.sampled_from(["literal", "renormalise"]),
        STABILIZERS,
    ),
    "z-plus": _stabilized(rule_types.ZPlus),
    "z-box": z_box,
    "w-square": _stabilized(rule_types.WSquare),
    "flat": _stabilized(rule_types.Flat),
    "absolute": _stabilized(rule_types.Absolute),
    "pass": lambda shapes: st.just(rule_types.Pass()),
    "relative": lambda shapes: st.builds(rule_types.Relative, st.sampled_from(READINGS[1:])),
}
"""Every rule in every mode, drawn for inputs of given shapes.

Relative is drawn without rescaling: rescaling divides the sum of the messages by its own norm, which is rounding noise
where dyadic numbers cancel exactly.
"""

ANY_RULE = st.sampled_from(list(RULES))


def kinds_for(rule: str) -> list[str]:
    """Return the kinds of linear layers that a rule (a key of `RULES`) supports: keys of `LINEAR`."""
    return list(DIAGONAL if rule == "pass" else LINEAR)


@st.composite
def rules(draw: Any, /, name: Any = ANY_RULE, *, shapes: Any, **options: Any) -> Rule:
    """Rules in any of their modes.

    Parameters
    ----------
    name : str or strategy
        A key of `RULES`.
    shapes : tuple of tuples of int, or strategy
        The shapes of the layer's inputs.
    **options
        Passed on to the entry of `RULES`.

    Returns
    -------
    SearchStrategy of Rule
    """
    found: Rule = draw(RULES[drawn(draw, name)](drawn(draw, shapes), **options))
    return found


@st.composite
def rule_cases(draw: Any, /, name: Any = ANY_RULE, *, kind: Any = None, **numbers: Arrays) -> tuple[Rule, LayerCase]:
    """Rules, each with a linear layer, its inputs and relevance.

    Parameters
    ----------
    name : str or strategy
        A key of `RULES`.
    kind : str or strategy, optional
        A key of `LINEAR`; None draws one that the rule supports.
    **numbers : callable
        `inputs` and `relevance`, as in `layer_cases`.

    Returns
    -------
    SearchStrategy of (Rule, LayerCase)
    """
    name = drawn(draw, name)
    case = draw(layer_cases(st.sampled_from(kinds_for(name)) if kind is None else kind, **numbers))
    return draw(rules(name, shapes=case.shapes)), case


# ---- small networks --------------------------------------------------------------------------------------------


@dataclass
class Graph:
    """The nodes of a network under construction, and the shapes of their outputs."""

    shapes: dict[str, Shape]
    nodes: list[tuple[str, Layer, list[str]]] = field(default_factory=list)

    def put(self, layer: Layer, *inputs: str) -> str:
        """Add a node for `layer` and return its name."""
        name = f"{type(layer).__name__.lower()}{len(self.nodes)}"
        self.nodes.append((name, layer, list(inputs)))
        self.shapes[name] = layer.output_shape(*(self.shapes[i] for i in inputs))
        return name


Block = Callable[..., str]


def _convolution(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(ReLU(), graph.put(draw(conv(graph.shapes[at], stride=(1, 1), numbers=numbers)), at))


def _max(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(draw(max_pool(graph.shapes[at])), at)


def _average(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(draw(avg_pool(graph.shapes[at])), at)


def _norm(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(draw(batch_norm(graph.shapes[at], numbers=numbers)), at)


def _border(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(Dropout(), graph.put(Pad2D((0, 1, 1, 0), 0.5), at))


def _residual(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """A skip connection around two convolutions, which may be the same layer at two nodes."""
    C = graph.shapes[at][1]
    layers = [Conv2D(draw(numbers((C, C, 3, 3))), draw(maybe(numbers((C,)))), padding=1) for _ in range(2)]
    first, second = layers if draw(EITHER) else (layers[0], layers[0])
    body = graph.put(second, graph.put(ReLU(), graph.put(first, at)))
    ends = [at, body] if draw(EITHER) else [body, at]
    return graph.put(ReLU(), graph.put(Add(), *ends))


def _branches(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """A convolution, concatenated with its own input."""
    C = graph.shapes[at][1]
    side = graph.put(ReLU(), graph.put(Conv2D(draw(numbers((1, C, 1, 1))), draw(maybe(numbers((1,))))), at))
    return graph.put(Concat(), side, at)


def _gate(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """Squeeze and excite: every channel times a number computed from all channels, in either order."""
    C = graph.shapes[at][1]
    squeezed = graph.put(draw(st.sampled_from([GlobalAvgPool2D(), Max((2, 3), keepdims=True)])), at)
    gate = graph.put(ReLU(), graph.put(Conv2D(draw(numbers((C, C, 1, 1)))), squeezed))
    ends = [at, gate] if draw(EITHER) else [gate, at]
    return graph.put(draw(multiply(graph.shapes[at])), *ends)


def _difference(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """A convolution, subtracted from its own input, or its input from it."""
    C = graph.shapes[at][1]
    side = graph.put(Conv2D(draw(numbers((C, C, 1, 1))), draw(maybe(numbers((C,))))), at)
    return graph.put(Subtract(), *((side, at) if draw(EITHER) else (at, side)))


def _halves(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """The image cut along an axis, and its parts put together as channels; or the first part alone."""
    axis = draw(st.sampled_from([1, 2, 3]))
    n = graph.shapes[at][axis]
    first = graph.put(Slice(axis, None, (n + 1) // 2), at)
    if n % 2 or draw(EITHER):
        return first
    return graph.put(Concat(), graph.put(Slice(axis, n // 2), at), first)


def _moves(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """The same cells in another order."""
    shape = graph.shapes[at]
    made = [pixel_unshuffle(shape), pixel_shuffle(shape), channel_shuffle(shape), permute(shape)]
    return graph.put(draw(st.one_of(*made, st.just(Reshape((shape[1], -1, 1))))), at)


BLOCKS: dict[str, Block] = {
    "convolution": _convolution,
    "max_pool": _max,
    "avg_pool": _average,
    "batch_norm": _norm,
    "border": _border,
    "residual": _residual,
    "branches": _branches,
    "gate": _gate,
    "difference": _difference,
    "halves": _halves,
    "moves": _moves,
}
"""The blocks of random networks by name."""


UP_TO_3_BLOCKS = st.lists(st.sampled_from(list(BLOCKS)), max_size=3)
SMALL_VECTORS = vectors(batch=UP_TO_2, features=UP_TO_3)
SMALL_IMAGES = images(batch=UP_TO_2, channels=UP_TO_2, rows=POWERS, columns=POWERS)


def _features(draw: Any, graph: Graph, at: str, blocks: Sequence[str], numbers: Arrays) -> str:
    """The features of an image: some blocks, then a vector per sample."""
    for block in blocks:
        at = BLOCKS[block](draw, graph, at, numbers)
    return graph.put(Flatten(), graph.put(GlobalAvgPool2D(), at) if draw(EITHER) else at)


@st.composite
def networks(
    draw: Any,
    *,
    blocks: Any = UP_TO_3_BLOCKS,
    shape: Any = SMALL_IMAGES,
    numbers: Arrays = arrays,
) -> NetworkCase:
    """Small networks that end in one or two Dense layers, each with a batch of inputs.

    Parameters
    ----------
    blocks : list of str, or strategy
        Names from `BLOCKS`, in order.
    shape : tuple of int or strategy
        The shape (N, C, H, W) of the input.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of NetworkCase
    """
    shape = drawn(draw, shape)
    graph = Graph({INPUT: shape})
    at = _features(draw, graph, INPUT, drawn(draw, blocks), numbers)
    if draw(EITHER):
        at = graph.put(ReLU(), graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at))
    graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at)
    return NetworkCase(Network(graph.nodes), draw(numbers(shape)))


@st.composite
def dense_networks(
    draw: Any, *, shape: Any = SMALL_VECTORS, norm: Any = EITHER, hidden: Any = EITHER, numbers: Arrays = arrays
) -> NetworkCase:
    """Networks of one or two Dense layers on vectors, perhaps after a BatchNorm, each with a batch of inputs.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape (N, F) of the input.
    norm : bool or strategy
        Whether the network begins with a BatchNorm.
    hidden : bool or strategy
        Whether a Dense layer and a ReLU come before the last Dense layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of NetworkCase
    """
    shape = drawn(draw, shape)
    graph = Graph({INPUT: shape})
    at = _norm(draw, graph, INPUT, numbers) if drawn(draw, norm) else INPUT
    if drawn(draw, hidden):
        at = graph.put(ReLU(), graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at))
    graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at)
    return NetworkCase(Network(graph.nodes), draw(numbers(shape)))


@st.composite
def two_inputs(
    draw: Any,
    *,
    blocks: Any = UP_TO_3_BLOCKS,
    shape: Any = SMALL_IMAGES,
    columns: Any = POWERS,
    numbers: Arrays = arrays,
) -> NetworkCase:
    """Small networks that read an "image" and a "table", and join the features of both before a Dense layer.

    Parameters
    ----------
    blocks : list of str, or strategy
        Names from `BLOCKS`, in order: what the image passes through.
    shape : tuple of int or strategy
        The shape (N, C, H, W) of the image.
    columns : int or strategy
        The columns of the table.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of NetworkCase
        Its `x` is a tuple of two arrays.
    """
    shape = drawn(draw, shape)
    table = (shape[0], drawn(draw, columns))
    graph, side = Graph({"image": shape, "table": table}), "table"
    at = _features(draw, graph, "image", drawn(draw, blocks), numbers)
    if draw(EITHER):
        side = graph.put(ReLU(), graph.put(draw(dense(table, numbers=numbers)), side))
    joined = graph.put(Concat(), *((at, side) if draw(EITHER) else (side, at)))
    graph.put(draw(dense(graph.shapes[joined], numbers=numbers)), joined)
    net = Network(graph.nodes, inputs=["image", "table"])
    return NetworkCase(net, (draw(numbers(shape)), draw(numbers(table))))
