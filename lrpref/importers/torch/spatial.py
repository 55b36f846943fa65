"""Convert PyTorch's operations on signals, images and volumes: convolutions, pools, padding and resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...layers import (
    AdaptiveAvgPool1D,
    AdaptiveAvgPool2D,
    AdaptiveAvgPool3D,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
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
from ..graph import Shape, require
from .call import Call

Classes = tuple[Callable[..., Layer], Callable[..., Layer], Callable[..., Layer]]

CONVOLUTIONS: Classes = (Conv1D, Conv2D, Conv3D)
TRANSPOSED: Classes = (ConvTranspose1D, ConvTranspose2D, ConvTranspose3D)
MAX_POOLS: Classes = (MaxPool1D, MaxPool2D, MaxPool3D)
AVERAGE_POOLS: Classes = (AvgPool1D, AvgPool2D, AvgPool3D)
ADAPTIVE_AVERAGES: Classes = (AdaptiveAvgPool1D, AdaptiveAvgPool2D, AdaptiveAvgPool3D)
ADAPTIVE_MAXIMA: Classes = (AdaptiveMaxPool1D, AdaptiveMaxPool2D, AdaptiveMaxPool3D)
GLOBAL_AVERAGES: Classes = (GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D)
GLOBAL_MAXIMA: Classes = (GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D)
PADS: Classes = (Pad1D, Pad2D, Pad3D)
"""The layer for one, two and three spatial axes."""


def _axes(call: Call) -> int:
    """Return how many spatial axes the input has."""
    axes = len(call.shapes[0]) - 2
    require(
        axes in (1, 2, 3),
        f"its input has shape {call.shapes[0]}; it must be a batch (N, C, ...) with one to three spatial axes",
    )
    return axes


def _of_rank(call: Call, classes: Classes) -> Callable[..., Layer]:
    """Return the layer for the input's number of spatial axes."""
    return classes[_axes(call) - 1]


def _each(value: Any, default: int, axes: int) -> Shape:
    """Return one number for each axis, from a number, a sequence, or None for the default."""
    value = default if value is None or value == [] else value
    numbers = tuple(value) if isinstance(value, Sequence) else (value,)
    return numbers * axes if len(numbers) == 1 else numbers


# ---- convolutions --------------------------------------------------------------------------------------------------


def _conv(call: Call) -> list[Layer]:
    if call["transposed"]:
        return _conv_transpose(call)
    w, made, axes = call.weight("weight"), _of_rank(call, CONVOLUTIONS), _axes(call)
    stride, dilation = (_each(call[name], 1, axes) for name in ("stride", "dilation"))
    padding = _conv_padding(call, w.shape[2:], dilation)
    mode = call["padding_mode"]
    border: list[Layer] = []
    if mode not in (None, "zeros") and any(padding):
        border, padding = [_of_rank(call, PADS)(padding, mode=mode)], (0,) * len(padding)
    groups = 1 if call["groups"] is None else call["groups"]
    return [*border, made(w, call.constant("bias"), stride, padding, dilation, groups)]


def _conv_padding(call: Call, kernel: Shape, dilation: Shape) -> tuple[int, ...]:
    """Return padding as (before, after) of each axis in turn; "same" puts the odd cell at the end."""
    if call["padding"] == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple(side for total in totals for side in (total // 2, total - total // 2))
    told = 0 if call["padding"] == "valid" else call["padding"]
    return tuple(side for n in _each(told, 0, len(kernel)) for side in (n, n))


def _conv_transpose(call: Call) -> list[Layer]:
    axes = _axes(call)
    stride, dilation = (_each(call[name], 1, axes) for name in ("stride", "dilation"))
    padding, more = (_each(call[name], 0, axes) for name in ("padding", "output_padding"))
    groups = 1 if call["groups"] is None else call["groups"]
    made = _of_rank(call, TRANSPOSED)
    weight, bias = call.weight("weight"), call.constant("bias")
    return [made(weight, bias, stride, padding, dilation, groups, output_padding=more)]


# ---- pools ---------------------------------------------------------------------------------------------------------


def _max_pool(call: Call) -> list[Layer]:
    require(not call.part, "the indices of the maxima are not activations; only the maxima are supported")
    made = _of_rank(call, MAX_POOLS)
    dilation, ceil_mode = _each(call["dilation"], 1, _axes(call)), bool(call["ceil_mode"])
    return [made(*_pool(call), dilation=dilation, ceil_mode=ceil_mode)]


def _avg_pool(call: Call) -> list[Layer]:
    made, counted = _of_rank(call, AVERAGE_POOLS), call["count_include_pad"] is not False
    return [made(*_pool(call), counted, call["divisor_override"], ceil_mode=bool(call["ceil_mode"]))]


def _pool(call: Call) -> tuple[Shape, Shape | None, Shape]:
    """Return kernel, stride and padding."""
    axes = _axes(call)
    kernel, padding = _each(call["kernel_size"], 1, axes), _each(call["padding"], 0, axes)
    return kernel, _each(call["stride"], 1, axes) if call["stride"] else None, padding


def _adaptive(averages: bool) -> Callable[[Call], list[Layer]]:
    """Return the conversion of a pool to a given number of cells."""
    everywhere = GLOBAL_AVERAGES if averages else GLOBAL_MAXIMA
    windows = ADAPTIVE_AVERAGES if averages else ADAPTIVE_MAXIMA

    def convert(call: Call) -> list[Layer]:
        require(not call.part, "the indices of the maxima are not activations; only the maxima are supported")
        sizes = _each(call["output_size"], 1, _axes(call))
        if set(sizes) == {None}:
            return []
        if set(sizes) == {1}:
            return [_of_rank(call, everywhere)()]
        if None in sizes:
            call.bound.append("the number of its windows is computed")
        if call.result == call.shapes[0]:
            call.bound.append("its windows have one cell each")
            return []
        return [_of_rank(call, windows)(call.result[2:])]

    return convert


def global_average(call: Call) -> Layer:
    """Return the layer for the mean over all spatial axes."""
    return _of_rank(call, GLOBAL_AVERAGES)()


# ---- padding and resizing --------------------------------------------------------------------------------------------


def _pad(call: Call) -> list[Layer]:
    given, axes = _each(call["padding" if call.module is not None else "pad"], 0, 2 * _axes(call)), _axes(call)
    require(
        len(given) <= 2 * axes and len(given) % 2 == 0,
        f"padding {tuple(given)} reaches axes that are not spatial in an input of shape {call.shapes[0]}",
    )
    require(min(given) >= 0, f"negative padding, {tuple(given)}, is not supported; use a slice")
    sides = [*given, *(0,) * (2 * axes - len(given))]
    padding = tuple(side for k in reversed(range(axes)) for side in sides[2 * k : 2 * k + 2])
    mode = call["mode"] or "constant"
    if mode == "constant":
        return [_of_rank(call, PADS)(padding, float(call["value"] or 0.0))]
    return [_of_rank(call, PADS)(padding, mode=mode)]


def _padding_module(mode: str) -> Callable[[Call], list[Layer]]:
    """Return the conversion of a module such as ReflectionPad2d, which names its mode in its type."""

    def convert(call: Call) -> list[Layer]:
        axes = _axes(call)
        given = _each(call["padding"], 0, 2 * axes)
        return [_of_rank(call, PADS)(_from_last(given), mode=mode)]

    return convert


def _from_last(given: Sequence[int]) -> tuple[int, ...]:
    """Turn PyTorch's order of the sides, from the last axis to the first, round."""
    return tuple(side for k in reversed(range(len(given) // 2)) for side in given[2 * k : 2 * k + 2])


def _interpolate(call: Call) -> list[Layer]:
    _axes(call)
    mode, factor = call["mode"] or "nearest", call["scale_factor"]
    require(not call["antialias"], "antialias=True is not supported")
    sizes: dict[str, Any] = {"size": call.result[2:]}
    if factor is not None and call["recompute_scale_factor"]:
        call.bound.append("the size of its output is computed")
    elif factor is not None:
        sizes = {"scale_factor": tuple(map(float, factor)) if isinstance(factor, Sequence) else float(factor)}
    if mode in ("nearest", "nearest-exact"):
        exactly: dict[str, Any] = {"coordinates": "half_pixel", "rounding": "round_prefer_ceil"}
        return [UpsampleNearest(**sizes, **(exactly if mode == "nearest-exact" else {}))]
    require(
        mode in ("linear", "bilinear", "trilinear"),
        f"interpolation in mode {mode!r} is not supported; only nearest and linear ones",
    )
    return [UpsampleLinear(**sizes, coordinates="align_corners" if call["align_corners"] else "half_pixel")]


PARAMETERS: Mapping[str, str] = {
    "adaptive_avg_pool": "input output_size",
    "adaptive_max_pool": "input output_size return_indices",
    "avg_pool": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "conv": "input weight bias stride padding dilation groups padding_mode",
    "conv_transpose": "input weight bias stride padding output_padding groups dilation",
    "interpolate": "input size scale_factor mode align_corners recompute_scale_factor antialias",
    "max_pool": "input kernel_size stride padding dilation ceil_mode return_indices",
    "pad": "input pad mode value padding",
    "pad_circular": "input padding",
    "pad_reflect": "input padding",
    "pad_replicate": "input padding",
}

_EVERY_RANK = {
    "AdaptiveAvgPool": "adaptive_avg_pool",
    "AdaptiveMaxPool": "adaptive_max_pool",
    "AvgPool": "avg_pool",
    "CircularPad": "pad_circular",
    "ConstantPad": "pad",
    "Conv": "conv",
    "ConvTranspose": "conv_transpose",
    "MaxPool": "max_pool",
    "ReflectionPad": "pad_reflect",
    "ReplicationPad": "pad_replicate",
    "ZeroPad": "pad",
}

MODULES: Mapping[str, str] = {
    **{f"{name}{axes}d": operation for name, operation in _EVERY_RANK.items() for axes in (1, 2, 3)},
    "Upsample": "interpolate",
    "UpsamplingBilinear2d": "interpolate",
    "UpsamplingNearest2d": "interpolate",
}

SPELLINGS: Mapping[str, str] = {
    **{f"_adaptive_avg_pool{axes}d": "adaptive_avg_pool" for axes in (2, 3)},
    "convolution": "conv",
    **{
        f"{name}{axes}d": name
        for name in ("adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "conv", "conv_transpose", "max_pool")
        for axes in (1, 2, 3)
    },
    **{f"max_pool{axes}d_with_indices": "max_pool" for axes in (1, 2, 3)},
    **{f"adaptive_max_pool{axes}d_with_indices": "adaptive_max_pool" for axes in (1, 2, 3)},
    "upsample": "interpolate",
}

OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "adaptive_avg_pool": _adaptive(averages=True),
    "adaptive_max_pool": _adaptive(averages=False),
    "avg_pool": _avg_pool,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "interpolate": _interpolate,
    "max_pool": _max_pool,
    "pad": _pad,
    "pad_circular": _padding_module("circular"),
    "pad_reflect": _padding_module("reflect"),
    "pad_replicate": _padding_module("replicate"),
}
