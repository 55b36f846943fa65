"""Convert ONNX's operations on signals, images and volumes: convolutions, pools, padding and resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

import numpy as np

from ...layers import (
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    Layer,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Pad1D,
    Pad2D,
    Pad3D,
    UpsampleLinear,
    UpsampleNearest,
)
from ...layers.upsample import COORDINATES, HALF
from ..graph import Shape, require
from ..layout import Step
from .call import Call

CONVOLUTIONS: Mapping[int, type[Layer]] = {1: Conv1D, 2: Conv2D, 3: Conv3D}
TRANSPOSED: Mapping[int, type[Layer]] = {1: ConvTranspose1D, 2: ConvTranspose2D, 3: ConvTranspose3D}
MAX_POOLS: Mapping[int, type[Layer]] = {1: MaxPool1D, 2: MaxPool2D, 3: MaxPool3D}
AVERAGE_POOLS: Mapping[int, type[Layer]] = {1: AvgPool1D, 2: AvgPool2D, 3: AvgPool3D}
GLOBAL_AVERAGE_POOLS: Mapping[int, type[Layer]] = {1: GlobalAvgPool1D, 2: GlobalAvgPool2D, 3: GlobalAvgPool3D}
GLOBAL_MAX_POOLS: Mapping[int, type[Layer]] = {1: GlobalMaxPool1D, 2: GlobalMaxPool2D, 3: GlobalMaxPool3D}
PADS: Mapping[int, type[Layer]] = {1: Pad1D, 2: Pad2D, 3: Pad3D}
"""The layer for each number of spatial axes."""

# ---- convolutions, pools and padding -----------------------------------------------------------------------------


def _conv(call: Call) -> Step:
    """Conv of one to three axes, with constant weights"""
    layer, x, w, b = call.layer(CONVOLUTIONS), call.x, call.weight(1, "weight"), call.constant(2, "bias")
    require(w.ndim == len(x.shape), f"its weight has shape {w.shape}; it must have {len(x.shape)} axes, as its input")
    kernel = w.shape[2:]
    told = tuple(call.attributes.get("kernel_shape", kernel))
    require(told == kernel, f"kernel_shape {told} does not match its weight of shape {w.shape}")
    window = _window(call, x.shape, kernel)
    return [layer(w, b, window.stride, window.padding, window.dilation, call.attributes.get("group", 1))], x.layout


class Geometry(NamedTuple):
    """Stride, padding (before and after, one axis after the other) and dilation of a window, for every spatial axis."""

    stride: Shape
    padding: Shape
    dilation: Shape


def _window(call: Call, shape: Shape, kernel: Shape) -> Geometry:
    """Return how a kernel moves; "same" padding is computed for the size of the example."""
    told, rank = call.attributes, len(kernel)
    stride = _positive(told.get("strides", (1,) * rank), rank)
    dilation = _positive(told.get("dilations", (1,) * rank), rank)
    same = told.get("auto_pad", "NOTSET")
    if same in ("SAME_UPPER", "SAME_LOWER"):
        sizes = list(zip(shape[2:], kernel, stride, dilation, strict=True))
        totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in sizes]
        if any(k > 1 and s > 1 for _, k, s, _ in sizes):  # otherwise the padding is the same at every size
            call.bound.append(f"its padding, auto_pad={same}, is computed")
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        before, after = (less, more) if same == "SAME_UPPER" else (more, less)
    else:
        pads = list(told.get("pads", (0,) * 2 * rank)) if same == "NOTSET" else [0] * 2 * rank
        require(len(pads) == 2 * rank, f"pads={tuple(pads)} must have {2 * rank} values, two for each spatial axis")
        before, after = pads[:rank], pads[rank:]
    return Geometry(stride, tuple(n for pair in zip(before, after, strict=True) for n in pair), dilation)


def _positive(numbers: Sequence[int], rank: int) -> Shape:
    """Return the numbers of a window's kernel, stride or dilation, one for each of `rank` spatial axes."""
    require(
        len(numbers) == rank and min(numbers) >= 1,
        f"kernel, stride and dilation must be {_COUNT[rank]} each, got {tuple(numbers)}",
    )
    return tuple(numbers)


_COUNT = {1: "one positive integer", 2: "two positive integers", 3: "three positive integers"}


def _conv_transpose(call: Call) -> Step:
    """ConvTranspose of one to three axes, with constant weights"""
    layer, x, w, b = call.layer(TRANSPOSED), call.x, call.weight(1, "weight"), call.constant(2, "bias")
    require(w.ndim == len(x.shape), f"its weight has shape {w.shape}; it must have {len(x.shape)} axes, as its input")
    kernel, told, rank = w.shape[2:], call.attributes, len(x.shape) - 2
    stride = _positive(told.get("strides", (1,) * rank), rank)
    dilation = _positive(told.get("dilations", (1,) * rank), rank)
    more = tuple(told.get("output_padding", (0,) * rank))
    require(len(more) == rank, f"output_padding={more} must have {rank} values")
    sides = zip(x.shape[2:], kernel, stride, dilation, more, strict=True)
    whole = [(n - 1) * s + d * (k - 1) + 1 + extra for n, k, s, d, extra in sides]
    padding = _cut_off(call, whole, stride)
    return [layer(w, b, stride, padding, dilation, told.get("group", 1), None, more)], x.layout


def _cut_off(call: Call, whole: Sequence[int], stride: Shape) -> tuple[int, ...]:
    """Return how many cells of a transposed convolution's output are cut off at each side."""
    told, rank = call.attributes, len(whole)
    same, size = told.get("auto_pad", "NOTSET"), told.get("output_shape")
    if size is None and same in ("SAME_UPPER", "SAME_LOWER"):
        size = [n * s for n, s in zip(call.x.shape[2:], stride, strict=True)]
    if size is None:
        pads = list(told.get("pads", (0,) * 2 * rank)) if same == "NOTSET" else [0] * 2 * rank
        require(len(pads) == 2 * rank, f"pads={tuple(pads)} must have {2 * rank} values, two for each spatial axis")
        return tuple(n for pair in zip(pads[:rank], pads[rank:], strict=True) for n in pair)
    call.bound.append("the padding for the size of its output is computed")
    totals = [n - m for n, m in zip(whole, list(size)[-rank:], strict=True)]
    require(
        min(totals) >= 0, f"an output of {tuple(size)} cells, more than the {tuple(whole)} computed, is not supported"
    )
    halves = [(total // 2, total - total // 2) for total in totals]
    return tuple(n for less, more in halves for n in ((less, more) if same == "SAME_UPPER" else (more, less)))


def _max_pool(call: Call) -> Step:
    """MaxPool of one to three axes"""
    layer, kernel, window = call.layer(MAX_POOLS), *_pool(call)
    ceil_mode = bool(call.attributes.get("ceil_mode", 0))
    made = layer(kernel, window.stride, window.padding, dilation=window.dilation, ceil_mode=ceil_mode)
    return [made], call.x.layout


def _average_pool(call: Call) -> Step:
    """AvgPool of one to three axes"""
    layer, kernel, window = call.layer(AVERAGE_POOLS), *_pool(call)
    counts, ceil_mode = (bool(call.attributes.get(name, 0)) for name in ("count_include_pad", "ceil_mode"))
    made = layer(kernel, window.stride, window.padding, counts, dilation=window.dilation, ceil_mode=ceil_mode)
    return [made], call.x.layout


def _pool(call: Call) -> tuple[Shape, Geometry]:
    """Return the kernel of a pooling operation, and how it moves."""
    kernel = _positive(call.attributes.get("kernel_shape", ()), len(call.x.shape) - 2)
    return kernel, _window(call, call.x.shape, kernel)


def _global_average_pool(call: Call) -> Step:
    """GlobalAvgPool of one to three axes"""
    return [call.layer(GLOBAL_AVERAGE_POOLS)()], call.x.layout


def _global_max_pool(call: Call) -> Step:
    """GlobalMaxPool of one to three axes"""
    return [call.layer(GLOBAL_MAX_POOLS)()], call.x.layout


MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
"""ONNX's modes of padding, and lrpref's."""


def _pad(call: Call) -> Step:
    """Pad of one to three spatial axes, in every mode"""
    x, mode = call.x, call.attributes.get("mode", "constant")
    require(mode in MODES, f"padding in mode {mode!r} is not supported")
    pads, value, axes = call.setting("pads", 1), call.setting("value", 2), call.constant(3, "axes")
    over = list(range(len(x.shape))) if axes is None else axes.ravel().tolist()
    require(
        isinstance(pads, list) and len(pads) == 2 * len(over),
        f"pads={pads} must have two values for each of {len(over)} axes",
    )
    sides = {x.layout.own_axis(k): (pads[i], pads[i + len(over)]) for i, k in enumerate(over)}
    if not any(any(pair) for pair in sides.values()):
        return [], x.layout
    around, rank = [pair for axis, pair in sides.items() if axis < 2], len(x.shape) - 2
    require(rank in PADS and not any(map(any, around)), "only spatial axes can be padded, not samples or channels")
    require(min(map(min, sides.values())) >= 0, f"negative padding, pads={pads}, is not supported")
    border = tuple(n for axis in range(2, 2 + rank) for n in sides.get(axis, (0, 0)))
    layer: Callable[..., Layer] = PADS[rank]
    if mode != "constant":
        return [layer(border, mode=MODES[mode])], x.layout
    fill = value[0] if isinstance(value, list) else value
    return [layer(border, float(fill or 0.0))], x.layout


# ---- resizing --------------------------------------------------------------------------------------------------


def _resize(call: Call) -> Step:
    """UpsampleNearest and UpsampleLinear of spatial axes"""
    x, told = call.x, call.attributes
    mode = told.get("mode", "nearest")
    require(mode in ("nearest", "linear"), f"resizing in mode {mode!r} is not supported; only nearest and linear")
    require(not told.get("antialias", 0), "antialias=1 is not supported")
    where = told.get("coordinate_transformation_mode", "half_pixel" if call.opset > 10 else "asymmetric")
    require(where in COORDINATES, f"resizing with coordinates {where!r} is not supported")
    sizes, factors = _sizes(call)
    given: dict[str, Any] = {"size": sizes} if factors is None else {"scale_factor": factors}
    if mode == "linear":
        return [UpsampleLinear(**given, coordinates=where)], x.layout
    rounding = told.get("nearest_mode", "round_prefer_floor" if call.opset > 10 else "floor")
    return [UpsampleNearest(**given, coordinates=where, rounding=rounding)], x.layout


def _sizes(call: Call) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    """Return the size of a resized input, and its factors where the file gives those, for each spatial axis."""
    x, opset = call.x, call.opset
    rank = len(x.shape) - 2
    require(rank >= 1, f"its input has shape {x.foreign}; it must have spatial axes")
    factors = call.setting("scales", 1 if opset < 11 or call.op == "Upsample" else 2)
    sizes = call.constant(3, "sizes") if factors in (None, []) else None
    over = call.attributes.get("axes", range(len(x.shape)))
    told = factors if factors not in (None, []) else [int(n) for n in np.ravel(sizes if sizes is not None else [])]
    require(len(told) == len(over), f"it has {len(told)} sizes or scales for {len(over)} axes")
    by_axis = {x.layout.own_axis(axis): n for axis, n in zip(over, told, strict=True)}
    if sizes is None:
        by_axis = {axis: by_axis.get(axis, 1.0) for axis in range(rank + 2)}
        require(by_axis[0] == by_axis[1] == 1, "it resizes samples or channels; only spatial axes are supported")
        scales = tuple(float(by_axis[axis]) for axis in range(2, rank + 2))
        return tuple(int(n * s) for n, s in zip(x.shape[2:], scales, strict=True)), scales
    found = tuple(int(by_axis.get(axis, n)) for axis, n in enumerate(x.shape))
    require(found[:2] == x.shape[:2], "it resizes samples or channels; only spatial axes are supported")
    call.bound.append("the size of its output is computed")
    policy = call.attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        told_axes = [axis for axis in sorted(by_axis) if axis > 1]
        factors_of = [Fraction(found[axis], x.shape[axis]) for axis in told_axes]
        scale = min(factors_of) if policy == "not_larger" else max(factors_of)
        found = tuple(floor(n * scale + HALF) if axis in told_axes else n for axis, n in enumerate(x.shape))
    return found[2:], None


OPERATIONS: Mapping[str, Callable[[Call], Step]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
}
