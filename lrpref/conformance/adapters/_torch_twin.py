"""An lrpref network as a torch module, for libraries that explain torch modules.

torch is imported only when a twin is made: this module, like every adapter, can be imported without it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache, reduce
from importlib import import_module
from math import inf
from typing import Any

import numpy as np

from ... import layers
from ...layers.base import Layer
from ...network import INPUT, Network
from ..adapter import NotOffered

Torch = Any
"""An object of torch: a module, a tensor, a node of its graph. The types must check without torch installed."""


def twin(
    net: Network,
    add: Callable[[], Torch] | None = None,
    stacked: bool = False,
    shared: bool = False,
    further: Mapping[type[Layer], Callable[[Any], Torch]] | None = None,
) -> Torch:
    """Return a torch module that computes the same as an lrpref network, in its number type, with a module per node.

    The modules have the names of the nodes, as `module_name` converts them. Layers that only move values
    (Flatten, Concat, Pad, Slice, ...) become functions, whose gradients route relevance.

    Parameters
    ----------
    net : Network
        The network.
    add : callable or None
        Makes the module for an addition; None for the operator +.
    stacked : bool
        Whether this module takes its branches as one tensor, stacked along the last axis.
    shared : bool
        Whether a layer at several nodes becomes one module, whose hooks meet several inputs, instead of several modules
        with the same parameters.
    further : mapping of type to callable, optional
        Makes the modules of layers that torch has no module for.

    Returns
    -------
    torch.fx.GraphModule
        In evaluation mode.

    Raises
    ------
    NotOffered
        If torch lacks a layer.
    """
    fx = import_module("torch.fx")
    graph, made = fx.Graph(), _modules(net, add, shared, {**_MODULES, **(further or {})})
    outputs = {INPUT: graph.placeholder("x")}
    for name, layer, inputs in net.nodes:
        branches = [outputs[i] for i in inputs]
        if type(layer) in _FUNCTIONS:
            outputs[name] = _FUNCTIONS[type(layer)](graph, layer, branches)
        elif isinstance(layer, layers.Add) and add is None:
            outputs[name] = reduce(lambda a, b: graph.call_function(operator.add, (a, b)), branches)
        else:
            if stacked and len(branches) > 1:
                branches = [graph.call_function(import_module("torch").stack, (branches,), {"dim": -1})]
            outputs[name] = graph.call_module(made[name][0], tuple(branches))
    graph.output(outputs[net.output])
    return fx.GraphModule(dict(made.values()), graph).eval()


@cache
def calls() -> Any:
    """A module that calls a function of its inputs, with constants that take part in `to` and are not trained."""

    class Calls(_nn().Module):  # type: ignore[misc]
        def __init__(self, function: Callable[..., Any], *constants: np.ndarray | None) -> None:
            super().__init__()
            self.function = function
            self.constants = [None if array is None else tensor(array) for array in constants]

        def forward(self, *inputs: Torch) -> Torch:
            return self.function(*inputs, *self.constants)

    return Calls


def affine(layer: layers.Affine) -> Torch:
    """The module of an Affine."""

    def computed(x: Torch, weight: Torch, bias: Torch) -> Torch:
        z = x if weight is None else weight * x
        return z if bias is None else z + bias

    return calls()(computed, layer.weight, layer.bias)


def prepended(layer: layers.PrependTokens) -> Torch:
    """The module that puts constant tokens before those of its input; its gradient routes relevance."""
    cat = import_module("torch").cat
    return calls()(lambda x, tokens: cat([tokens.expand(len(x), -1, -1), x], 1), layer.tokens)


def matmul(layer: layers.MatMul) -> Torch:
    """The module of a product of matrices."""
    return calls()(lambda a, b: (layer.scale * a) @ (b.transpose(-1, -2) if layer.transpose else b))


TOKENS: Mapping[type[Layer], Callable[[Any], Torch]] = {
    layers.Affine: affine,
    layers.PrependTokens: prepended,
    layers.MatMul: matmul,
}
"""The modules of layers that torch has as functions, for libraries that explain those; see `further` of `twin`."""


def module_name(node: str) -> str:
    """Return the name of a node's module: torch reserves dots for submodules.

    >>> module_name("layer1.conv")
    'layer1_conv'
    """
    return node.replace(".", "_")


def tensor(array: np.ndarray, like: Network | None = None) -> Torch:
    """Return a tensor of the same numbers, in their own type or that of a network."""
    dtype = array.dtype if like is None or like.dtype is None else like.dtype
    return import_module("torch").from_numpy(np.array(array, dtype=dtype))


# ---- modules ---------------------------------------------------------------------------------------------------


def _modules(
    net: Network, add: Callable[[], Torch] | None, shared: bool, kinds: Mapping[type[Layer], Callable[[Any], Torch]]
) -> dict[str, tuple[str, Torch]]:
    """The name and the module of every node that does not become a function."""
    found: dict[str, tuple[str, Torch]] = {}
    first: dict[int, tuple[str, Torch]] = {}
    for name, layer, _ in net.nodes:
        if type(layer) in _FUNCTIONS or (isinstance(layer, layers.Add) and add is None):
            continue
        if shared and id(layer) in first:
            found[name] = first[id(layer)]
            continue
        if type(layer) not in kinds and not isinstance(layer, layers.Add):
            raise NotOffered(f"torch has no module for {type(layer).__name__}")
        module = add() if isinstance(layer, layers.Add) and add is not None else kinds[type(layer)](layer)
        found[name] = first[id(layer)] = (module_name(name), module)
    return found


# ---- layer by layer --------------------------------------------------------------------------------------------


def _nn() -> Any:
    return import_module("torch.nn")


def _filled(module: Torch, **arrays: Any) -> Torch:
    """The module with these parameters and buffers, in their number type; None keeps the present one."""
    tensors = {name: tensor(array) for name, array in arrays.items() if array is not None}
    module.to(next(iter(tensors.values())).dtype)
    for name, values in tensors.items():
        getattr(module, name).data = values
    return module


def _dense(layer: layers.Dense) -> Torch:
    out, features = layer.weight.shape
    return _filled(_nn().Linear(features, out, layer.bias is not None), weight=layer.weight, bias=layer.bias)


def _of_rank(name: str, layer: Any) -> Any:
    """torch's class for as many spatial axes as the layer has: Conv1d, Conv2d or Conv3d."""
    return getattr(_nn(), f"{name}{layer.axes}d")


def _before(border: Sequence[int], what: str) -> tuple[int, ...]:
    """The padding before each axis, which must be the same after it in torch."""
    if border[::2] != border[1::2]:
        raise NotOffered(f"torch's {what} have the same padding on opposite sides")
    return tuple(border[::2])


def _kernels(layer: layers.Conv | layers.ConvTranspose, kind: Any, **geometry: Any) -> Torch:
    """A convolution with the layer's kernels."""
    if layer.bias_taps is not None:
        raise NotOffered("torch's convolution has no bias per tap, which a folded BatchNorm leaves behind at borders")
    w, (channels, out) = layer.window, layer.channels
    module = kind(
        channels, out, w.kernel, bias=layer.bias is not None, stride=w.stride, dilation=w.dilation,
        groups=layer.groups, **geometry,
    )  # fmt: skip
    return _filled(module, weight=layer.weight, bias=layer.bias)


def _conv(layer: layers.Conv) -> Torch:
    border = layer.window.padding
    if border[::2] == border[1::2]:
        return _kernels(layer, _of_rank("Conv", layer), padding=border[::2])
    return _kernels(layer, _padded_conv(_of_rank("Conv", layer)), sides=_sides(border))


def _conv_transpose(layer: layers.ConvTranspose) -> Torch:
    padding = _before(layer.window.padding, "transposed convolutions")
    kind = _of_rank("ConvTranspose", layer)
    return _kernels(layer, kind, padding=padding, output_padding=layer.output_padding)


def _sides(border: Sequence[int]) -> tuple[int, ...]:
    """(before, after) for each axis as torch's function `pad` takes them, the last axis first."""
    return tuple(n for k in range(len(border) - 2, -1, -2) for n in border[k : k + 2])


@cache
def _padded_conv(base: Any) -> Any:
    """A convolution with a different padding on each side; the padding is part of the layer, as in lrpref."""

    class PaddedConv(base):  # type: ignore[misc]
        def __init__(self, *args: Any, sides: tuple[int, ...], **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.sides = sides

        def forward(self, input: Torch) -> Torch:
            return super().forward(_nn().functional.pad(input, self.sides))

    return PaddedConv


@cache
def _either_norm() -> Any:
    """A BatchNorm2d for (N, C) and any number of spatial axes, because lrpref's layer takes all of them."""

    class EitherBatchNorm2d(_nn().BatchNorm2d):  # type: ignore[misc]
        def _check_input_dim(self, input: Torch) -> None:
            pass

    return EitherBatchNorm2d


def _norm(layer: layers.BatchNorm) -> Torch:
    """An affine BatchNorm: a weight of None is 1, a bias of None is 0."""
    module = _either_norm()(layer.channels, eps=layer.eps)
    return _filled(module, running_mean=layer.mean, running_var=layer.var, weight=layer.weight, bias=layer.bias)


def _scale(layer: layers.Scale) -> Torch:
    """A BatchNorm with mean 0 and variance 1."""
    zeros, ones = np.zeros_like(layer.weight), np.ones_like(layer.weight)
    return _norm(layers.BatchNorm(layer.weight, layer.bias, zeros, ones, eps=0.0))


def _sample_norm(layer: layers.SampleNorm) -> Torch:
    """GroupNorm, LayerNorm or RMSNorm; an InstanceNorm is a GroupNorm with one group per channel."""
    if layer.weight is None:
        raise NotOffered(f"a {type(layer).__name__} without weights does not tell its channels or its number type")
    C = layer.weight.shape[0]
    if isinstance(layer, layers.GroupNorm | layers.InstanceNorm):
        groups = layer.num_groups if isinstance(layer, layers.GroupNorm) else C
        module = _nn().GroupNorm(groups, C, layer.eps)
    else:
        kind = _nn().RMSNorm if isinstance(layer, layers.RMSNorm) else _nn().LayerNorm
        module = kind(tuple(layer.weight.shape), layer.eps)
    return _filled(module, weight=layer.weight, bias=layer.bias)


def _threshold(layer: layers.ThreshReLU) -> Torch:
    if layer.below is not None or not isinstance(layer.threshold, int | float):
        raise NotOffered("torch's Threshold has one threshold for all channels, and only a lower one")
    return _nn().Threshold(layer.threshold, layer.threshold)


def _with_defaults(layer: Layer, name: str) -> Torch:
    """The module of torch without parameters, for a layer whose parameters have their defaults."""
    if any(getattr(layer, field.name) != field.default for field in fields(layer)):
        raise NotOffered(f"torch's {name} has no parameters")
    return getattr(_nn(), name)()


def _clip(layer: layers.Clip) -> Torch:
    """A Hardtanh, whose bounds may be infinite."""
    return _nn().Hardtanh(-inf if layer.low is None else layer.low, inf if layer.high is None else layer.high)


def _prelu(layer: layers.PReLU) -> Torch:
    weight = np.atleast_1d(np.asarray(layer.weight))
    return _filled(_nn().PReLU(weight.size), weight=weight)


def _pool(name: str, layer: layers.Pool, **parameters: Any) -> Torch:
    """A pool with the layer's windows."""
    w = layer.window
    padding = _before(w.padding, "pools")
    if any(2 * p > k for p, k in zip(padding, w.kernel, strict=True)):
        raise NotOffered("torch's pools have a padding of at most half the kernel")
    return _of_rank(name, layer)(w.kernel, w.stride, padding, ceil_mode=w.ceil_mode, **parameters)


def _max_pool(layer: layers.MaxPool) -> Torch:
    _one_winner(layer)
    return _pool("MaxPool", layer, dilation=layer.window.dilation)


def _one_winner(layer: layers.MaxPool | layers.GlobalMaxPool | layers.AdaptiveMaxPool) -> None:
    if layer.ties != "first":
        raise NotOffered("torch's max-pooling has one winner per window; tied maxima do not share")


def _average_pool(layer: layers.AvgPool) -> Torch:
    divisor = {} if layer.divisor is None else {"divisor_override": layer.divisor}
    if divisor and layer.axes == 1:
        raise NotOffered("torch's AvgPool1d has no divisor")
    if set(layer.window.dilation) != {1}:
        raise NotOffered("torch's average pools have no dilation")
    return _pool("AvgPool", layer, count_include_pad=layer.count_include_pad, **divisor)


def _global_max_pool(layer: layers.GlobalMaxPool) -> Torch:
    _one_winner(layer)
    return _of_rank("AdaptiveMaxPool", layer)(1)


def _adaptive_max_pool(layer: layers.AdaptiveMaxPool) -> Torch:
    _one_winner(layer)
    return _of_rank("AdaptiveMaxPool", layer)(layer.positions)


def _interpolation(layer: layers.UpsampleLinear) -> Torch:
    if layer.coordinates not in ("half_pixel", "align_corners"):
        raise NotOffered(f"torch interpolates linearly with half_pixel or align_corners, not {layer.coordinates}")
    return _interpolate()(layer.size, layer.scale_factor, align_corners=layer.coordinates == "align_corners")


@cache
def _interpolate() -> Any:
    """An Upsample for any number of spatial axes; torch's mode has another name for each of them."""

    class Interpolate(_nn().Upsample):  # type: ignore[misc]
        def forward(self, input: Torch) -> Torch:
            self.mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[input.ndim]
            return super().forward(input)

    return Interpolate


_MODULES: Mapping[type[Layer], Callable[[Any], Torch]] = {
    **dict.fromkeys((layers.Dense, layers.TokenDense), _dense),
    **dict.fromkeys((layers.Conv1D, layers.Conv2D, layers.Conv3D), _conv),
    **dict.fromkeys((layers.ConvTranspose1D, layers.ConvTranspose2D, layers.ConvTranspose3D), _conv_transpose),
    layers.BatchNorm: _norm,
    layers.Scale: _scale,
    layers.GroupNorm: _sample_norm,
    layers.InstanceNorm: _sample_norm,
    layers.LayerNorm: _sample_norm,
    layers.RMSNorm: _sample_norm,
    layers.ReLU: lambda layer: _nn().ReLU(),
    layers.ReLU6: lambda layer: _nn().ReLU6(),
    layers.LeakyReLU: lambda layer: _nn().LeakyReLU(layer.negative_slope),
    layers.ThreshReLU: _threshold,
    layers.LocalResponseNorm: lambda layer: _nn().LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k),
    layers.Sigmoid: lambda layer: _nn().Sigmoid(),
    layers.Tanh: lambda layer: _nn().Tanh(),
    layers.CELU: lambda layer: _nn().CELU(layer.alpha),
    layers.Clip: _clip,
    layers.ELU: lambda layer: _nn().ELU(layer.alpha),
    layers.GELU: lambda layer: _nn().GELU(layer.approximate),
    layers.HardSigmoid: lambda layer: _with_defaults(layer, "Hardsigmoid"),
    layers.HardSwish: lambda layer: _with_defaults(layer, "Hardswish"),
    layers.HardTanh: lambda layer: _nn().Hardtanh(layer.min_val, layer.max_val),
    layers.Mish: lambda layer: _nn().Mish(),
    layers.PReLU: _prelu,
    layers.SELU: lambda layer: _with_defaults(layer, "SELU"),
    layers.SiLU: lambda layer: _nn().SiLU(),
    layers.Softplus: lambda layer: _nn().Softplus(layer.beta, layer.threshold),
    layers.Softsign: lambda layer: _nn().Softsign(),
    layers.Threshold: lambda layer: _nn().Threshold(layer.threshold, layer.value),
    layers.LogSoftmax: lambda layer: _nn().LogSoftmax(dim=1),
    layers.Softmax: lambda layer: _nn().Softmax(dim=layer.axis),
    **dict.fromkeys((layers.MaxPool1D, layers.MaxPool2D, layers.MaxPool3D), _max_pool),
    **dict.fromkeys((layers.AvgPool1D, layers.AvgPool2D, layers.AvgPool3D), _average_pool),
    **dict.fromkeys(
        (layers.GlobalAvgPool1D, layers.GlobalAvgPool2D, layers.GlobalAvgPool3D),
        lambda layer: _of_rank("AdaptiveAvgPool", layer)(1),
    ),
    **dict.fromkeys((layers.GlobalMaxPool1D, layers.GlobalMaxPool2D, layers.GlobalMaxPool3D), _global_max_pool),
    **dict.fromkeys(
        (layers.AdaptiveAvgPool1D, layers.AdaptiveAvgPool2D, layers.AdaptiveAvgPool3D),
        lambda layer: _of_rank("AdaptiveAvgPool", layer)(layer.positions),
    ),
    **dict.fromkeys((layers.AdaptiveMaxPool1D, layers.AdaptiveMaxPool2D, layers.AdaptiveMaxPool3D), _adaptive_max_pool),
    layers.UpsampleLinear: _interpolation,
    layers.Dropout: lambda layer: _nn().Dropout(layer.p),
}


# ---- functions -------------------------------------------------------------------------------------------------


def _flatten(graph: Any, layer: layers.Flatten, branches: Sequence[Torch]) -> Torch:
    return graph.call_function(import_module("torch").flatten, (branches[0], 1))


def _concat(graph: Any, layer: layers.Concat, branches: Sequence[Torch]) -> Torch:
    return graph.call_function(import_module("torch").cat, (list(branches),), {"dim": layer.axis})


def _pad(graph: Any, layer: layers.Pad, branches: Sequence[Torch]) -> Torch:
    constant = {"value": layer.value} if layer.mode == "constant" else {}
    sides = (branches[0], _sides(layer.border), layer.mode)
    return graph.call_function(_nn().functional.pad, sides, constant)


def _nearest(graph: Any, layer: layers.UpsampleNearest, branches: Sequence[Torch]) -> Torch:
    modes = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
    mode = modes.get((layer.coordinates, layer.rounding))
    if mode is None:
        raise NotOffered(f"torch has no nearest cell by {layer.coordinates} and {layer.rounding}")
    sizes = (branches[0], layer.size, layer.scale_factor, mode)
    return graph.call_function(_nn().functional.interpolate, sizes)


def _reshape(graph: Any, layer: layers.Reshape, branches: Sequence[Torch]) -> Torch:
    batch = graph.call_method("size", (branches[0], 0))
    return graph.call_method("reshape", (branches[0], (batch, *layer.shape)))


def _slice(graph: Any, layer: layers.Slice, branches: Sequence[Torch]) -> Torch:
    if layer.step < 0:
        raise NotOffered("torch cannot read a tensor backwards")
    before = (slice(None),) * layer.axis if layer.axis > 0 else (Ellipsis,)
    after = (slice(None),) * (-1 - layer.axis) if layer.axis < 0 else ()
    cells = (*before, slice(layer.start, layer.stop, layer.step), *after)
    return graph.call_function(operator.getitem, (branches[0], cells))


def _max(graph: Any, layer: layers.Max, branches: Sequence[Torch]) -> Torch:
    if layer.ties != "equal":
        raise NotOffered("torch.amax has no single winner; tied maxima share")
    return graph.call_function(import_module("torch").amax, (branches[0], layer.axes, layer.keepdims))


def _calls(name: str, *fields: str) -> Callable[[Any, Any, Sequence[Torch]], Torch]:
    """A function of torch.nn.functional, called with these fields of the layer."""
    return lambda graph, layer, branches: graph.call_function(
        getattr(_nn().functional, name), (branches[0], *(getattr(layer, field) for field in fields))
    )


_FUNCTIONS: Mapping[type[Layer], Callable[[Any, Any, Sequence[Torch]], Torch]] = {
    layers.Flatten: _flatten,
    layers.Concat: _concat,
    **dict.fromkeys((layers.Pad1D, layers.Pad2D, layers.Pad3D), _pad),
    layers.UpsampleNearest: _nearest,
    layers.Reshape: _reshape,
    layers.Permute: lambda graph, layer, branches: graph.call_method("permute", (branches[0], layer.axes)),
    layers.Slice: _slice,
    layers.PixelShuffle: _calls("pixel_shuffle", "upscale_factor"),
    layers.PixelUnshuffle: _calls("pixel_unshuffle", "downscale_factor"),
    layers.ChannelShuffle: _calls("channel_shuffle", "groups"),
    layers.Max: _max,
}
