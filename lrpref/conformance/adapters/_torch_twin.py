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


def twin(net: Network, add: Callable[[], Torch] | None = None, stacked: bool = False, shared: bool = False) -> Torch:
    """Return a torch module that computes the same as an lrpref network, in its number type, with a module per node.

    The modules have the names of the nodes, as `module_name` converts them. Layers that only move values
    (Flatten, Concat, Pad2D, Slice, ...) become functions, whose gradients route relevance.

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
    graph, made = fx.Graph(), _modules(net, add, shared)
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


def _modules(net: Network, add: Callable[[], Torch] | None, shared: bool) -> dict[str, tuple[str, Torch]]:
    """The name and the module of every node that does not become a function."""
    found: dict[str, tuple[str, Torch]] = {}
    first: dict[int, tuple[str, Torch]] = {}
    for name, layer, _ in net.nodes:
        if type(layer) in _FUNCTIONS or (isinstance(layer, layers.Add) and add is None):
            continue
        if shared and id(layer) in first:
            found[name] = first[id(layer)]
            continue
        if type(layer) not in _MODULES and not isinstance(layer, layers.Add):
            raise NotOffered(f"torch has no {type(layer).__name__}")
        module = add() if isinstance(layer, layers.Add) and add is not None else _MODULES[type(layer)](layer)
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


def _conv(layer: layers.Conv2D) -> Torch:
    if layer.bias_taps is not None:
        raise NotOffered("torch's convolution has no bias per tap, which a folded BatchNorm leaves behind at borders")
    out, channels = layer.weight.shape[:2]
    top, bottom, left, right = layer.window.padding
    even = (top, left) == (bottom, right)
    sides = {"padding": (top, left)} if even else {"sides": layer.window.padding}
    kind = _nn().Conv2d if even else _padded_conv()
    module = kind(
        channels * layer.groups, out, layer.window.kernel, bias=layer.bias is not None, stride=layer.window.stride,
        dilation=layer.window.dilation, groups=layer.groups, **sides,
    )  # fmt: skip
    return _filled(module, weight=layer.weight, bias=layer.bias)


@cache
def _padded_conv() -> Any:
    """A Conv2d with a different padding on each side; the padding is part of the layer, as in lrpref."""
    nn: Any = _nn()

    class PaddedConv2d(nn.Conv2d):  # type: ignore[misc]
        def __init__(self, *args: Any, sides: tuple[int, int, int, int], **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.sides = sides

        def forward(self, input: Torch) -> Torch:
            top, bottom, left, right = self.sides
            return super().forward(nn.functional.pad(input, (left, right, top, bottom)))

    return PaddedConv2d


@cache
def _either_norm() -> Any:
    """A BatchNorm2d for both (N, C) and (N, C, H, W), because lrpref's layer takes either."""

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


def _symmetric(layer: layers.MaxPool2D | layers.AvgPool2D) -> tuple[int, int]:
    """The padding of a pool, which must be the same on opposite sides in torch."""
    top, bottom, left, right = layer.window.padding
    if (top, left) != (bottom, right):
        raise NotOffered("torch's pools have the same padding on opposite sides")
    return top, left


def _max_pool(layer: layers.MaxPool2D) -> Torch:
    if layer.ties != "first":
        raise NotOffered("torch's max-pooling has one winner per window; tied maxima do not share")
    return _nn().MaxPool2d(layer.window.kernel, layer.window.stride, _symmetric(layer))


def _average_pool(layer: layers.AvgPool2D) -> Torch:
    w = layer.window
    return _nn().AvgPool2d(w.kernel, w.stride, _symmetric(layer), count_include_pad=layer.count_include_pad)


_MODULES: Mapping[type[Layer], Callable[[Any], Torch]] = {
    layers.Dense: _dense,
    layers.Conv2D: _conv,
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
    layers.Softmax: lambda layer: _nn().Softmax(dim=1),
    layers.MaxPool2D: _max_pool,
    layers.AvgPool2D: _average_pool,
    layers.GlobalAvgPool2D: lambda layer: _nn().AdaptiveAvgPool2d(1),
    layers.Dropout: lambda layer: _nn().Dropout(layer.p),
}


# ---- functions -------------------------------------------------------------------------------------------------


def _flatten(graph: Any, layer: layers.Flatten, branches: Sequence[Torch]) -> Torch:
    return graph.call_function(import_module("torch").flatten, (branches[0], 1))


def _concat(graph: Any, layer: layers.Concat, branches: Sequence[Torch]) -> Torch:
    return graph.call_function(import_module("torch").cat, (list(branches),), {"dim": 1})


def _pad(graph: Any, layer: layers.Pad2D, branches: Sequence[Torch]) -> Torch:
    top, bottom, left, right = layer.border
    sides = {"mode": "constant", "value": layer.value}
    return graph.call_function(_nn().functional.pad, (branches[0], (left, right, top, bottom)), sides)


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
    layers.Pad2D: _pad,
    layers.Reshape: _reshape,
    layers.Permute: lambda graph, layer, branches: graph.call_method("permute", (branches[0], layer.axes)),
    layers.Slice: _slice,
    layers.PixelShuffle: _calls("pixel_shuffle", "upscale_factor"),
    layers.PixelUnshuffle: _calls("pixel_unshuffle", "downscale_factor"),
    layers.ChannelShuffle: _calls("channel_shuffle", "groups"),
    layers.Max: _max,
}
