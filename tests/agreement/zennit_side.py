"""zennit's side: an lrpref network as a torch module, and zennit's relevance on it. Needs torch and zennit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import zennit.composites
from torch import nn
from zennit import canonizers, rules
from zennit.attribution import Gradient
from zennit.composites import LayerMapComposite
from zennit.core import Composite, Stabilizer
from zennit.layer import Sum
from zennit.rules import Norm, Pass
from zennit.types import Activation, AvgPool, BatchNorm, Linear

import lrpref
from lrpref import Network
from lrpref.layers.base import Layer

torch.set_num_threads(1)  # networks this small only wait for each other on more

# ---- lrpref's layers as torch modules --------------------------------------------------------------------------


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding differs from side to side; the padding belongs to the layer, as in lrpref."""

    def __init__(self, *args: Any, sides: tuple[int, int, int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.top, self.bottom, self.left, self.right = sides

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (self.left, self.right, self.top, self.bottom)))


class Add(nn.Module):
    """The sum of several tensors, by the module that zennit's composites know."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = Sum()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.sum(torch.stack(inputs, dim=-1))


class Plus(nn.Module):
    """The sum of several tensors by the operator +."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return sum(inputs)


class Concat(nn.Module):
    """Side by side along axis 1."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, dim=1)


def _set(module: nn.Module, **arrays: np.ndarray | None) -> nn.Module:
    """The module with these parameters and buffers."""
    for name, array in arrays.items():
        if array is not None:
            getattr(module, name).data = tensor(np.asarray(array))
    return module


def _dense(layer: lrpref.Dense) -> nn.Module:
    out, features = layer.weight.shape
    return _set(nn.Linear(features, out, layer.bias is not None), weight=layer.weight, bias=layer.bias)


def _conv(layer: lrpref.Conv2D) -> nn.Module:
    assert layer.bias_taps is None, "torch's convolution has no bias per tap"
    out, channels = layer.weight.shape[:2]
    window = layer.window
    top, bottom, left, right = window.padding
    geometry = {"stride": window.stride, "dilation": window.dilation, "groups": layer.groups}
    if (top, left) == (bottom, right):
        kind, geometry = nn.Conv2d, {**geometry, "padding": (top, left)}
    else:
        kind, geometry = PaddedConv2d, {**geometry, "sides": window.padding}
    module = kind(channels * layer.groups, out, window.kernel, bias=layer.bias is not None, **geometry)
    return _set(module, weight=layer.weight, bias=layer.bias)


class EitherBatchNorm(nn.BatchNorm2d):
    """A BatchNorm for (N, C) as well as (N, C, H, W): lrpref's layer does not say which it will meet."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass


def _norm(layer: lrpref.BatchNorm | lrpref.Scale) -> nn.Module:
    """A BatchNorm; a Scale is one with mean 0 and variance 1."""
    if isinstance(layer, lrpref.Scale):
        layer = lrpref.BatchNorm(
            layer.weight, layer.bias, np.zeros_like(layer.weight), np.ones_like(layer.weight), eps=0.0
        )
    module = EitherBatchNorm(layer.channels, eps=layer.eps)  # affine even where lrpref's is not: zennit needs it
    return _set(module.double(), weight=layer.weight, bias=layer.bias, running_mean=layer.mean, running_var=layer.var)


def _symmetric(layer: Layer) -> tuple[int, int]:
    """The padding of a pool, which torch has the same on opposite sides."""
    top, bottom, left, right = layer.window.padding
    assert (top, left) == (bottom, right), "torch's pools have no such padding"
    return top, left


def _max_pool(layer: lrpref.MaxPool2D) -> nn.Module:
    return nn.MaxPool2d(layer.window.kernel, layer.window.stride, _symmetric(layer))


def _average_pool(layer: lrpref.AvgPool2D) -> nn.Module:
    window = layer.window
    return nn.AvgPool2d(window.kernel, window.stride, _symmetric(layer), count_include_pad=layer.count_include_pad)


def _pad(layer: lrpref.Pad2D) -> nn.Module:
    top, bottom, left, right = layer.padding
    return nn.ConstantPad2d((left, right, top, bottom), layer.value)


MODULES: dict[type[Layer], Callable[[Any], nn.Module]] = {
    lrpref.Dense: _dense,
    lrpref.Conv2D: _conv,
    lrpref.BatchNorm: _norm,
    lrpref.Scale: _norm,
    lrpref.ReLU: lambda layer: nn.ReLU(),
    lrpref.ReLU6: lambda layer: nn.ReLU6(),
    lrpref.LeakyReLU: lambda layer: nn.LeakyReLU(layer.negative_slope),
    lrpref.ThreshReLU: lambda layer: nn.Threshold(layer.threshold, layer.threshold),  # one threshold for all
    lrpref.Sigmoid: lambda layer: nn.Sigmoid(),
    lrpref.Tanh: lambda layer: nn.Tanh(),
    lrpref.Softmax: lambda layer: nn.Softmax(dim=1),
    lrpref.Add: lambda layer: Add(),
    lrpref.Concat: lambda layer: Concat(),
    lrpref.MaxPool2D: _max_pool,
    lrpref.AvgPool2D: _average_pool,
    lrpref.GlobalAvgPool2D: lambda layer: nn.AdaptiveAvgPool2d(1),
    lrpref.Pad2D: _pad,
    lrpref.Flatten: lambda layer: nn.Flatten(),
    lrpref.Dropout: lambda layer: nn.Dropout(layer.p),
}


class Twin(nn.Module):
    """The torch module that computes what an lrpref network computes, with one module per node.

    A layer that stands at several nodes becomes several modules, because zennit's hooks remember one input each;
    with `shared` it stays one module.
    """

    def __init__(self, net: Network, shared: bool = False) -> None:
        super().__init__()
        self._graph = [(name.replace(".", "_"), [i.replace(".", "_") for i in inputs]) for name, _, inputs in net.nodes]
        made: dict[int, nn.Module] = {}
        for (name, _), (_, layer, _) in zip(self._graph, net.nodes, strict=True):
            if not shared or id(layer) not in made:
                made[id(layer)] = MODULES[type(layer)](layer)
            self.add_module(name, made[id(layer)])
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = {"input": x}
        for name, inputs in self._graph:
            outputs[name] = getattr(self, name)(*(outputs[i] for i in inputs))
        return outputs[self._graph[-1][0]]


def with_plus(net: Network) -> Twin:
    """The twin with every addition written as an operator, which no hook sees."""
    twin = Twin(net)
    for name, layer, _ in net.nodes:
        if isinstance(layer, lrpref.Add):
            setattr(twin, name, Plus())
    return twin


def without_affine(net: Network) -> Twin:
    """The twin with every BatchNorm made without weight and bias."""
    twin = Twin(net)
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight = module.bias = None
    return twin


def tensor(values: Any) -> torch.Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


# ---- relevance -------------------------------------------------------------------------------------------------


def make(name: str, arguments: Mapping[str, Any], merge: bool = False) -> Composite:
    """zennit's composite of that name; or, for a rule's name, the rule on all linear layers, as lrpref has it.

    A dictionary among the arguments stands for a `Stabilizer`. merge: merge BatchNorm into the layer before it.
    """
    values = {k: Stabilizer(**v) if isinstance(v, Mapping) else v for k, v in arguments.items()}
    merging = [canonizers.SequentialMergeBatchNorm()] if merge else []
    if hasattr(rules, name):
        return bare(getattr(rules, name)(**values), Pass() if merge else Norm(), merging)
    return getattr(zennit.composites, name)(**values, canonizers=merging)


def bare(rule: Any, batch_norm: Any, merging: list[Any] | None = None) -> Composite:
    """`rule` on all linear layers; activations pass, joins and average pools are under Norm."""
    layer_map = [(Activation, Pass()), (Sum, Norm()), (AvgPool, Norm()), (BatchNorm, batch_norm), (Linear, rule)]
    return LayerMapComposite(layer_map, merging)


def relevance(
    module: nn.Module, composite: Composite, x: np.ndarray, target: np.ndarray, seed: str
) -> tuple[np.ndarray, np.ndarray]:
    """The module's output, and zennit's relevance of x for output `target` of each sample.

    seed  "logit" or "one", as `lrpref.explain` has it
    """

    def start(output: torch.Tensor) -> torch.Tensor:
        chosen = nn.functional.one_hot(torch.tensor(target), output.shape[1]).to(output)
        return chosen * output.detach() if seed == "logit" else chosen

    output, R = Gradient(module, composite)(torch.tensor(x, requires_grad=True), start)
    return output.detach().numpy(), R.detach().numpy()


def relevance_of_everything(module: nn.Module, composite: Composite, x: np.ndarray) -> np.ndarray:
    """zennit's relevance as its attributor computes it when it is not told where to start."""
    return Gradient(module, composite)(torch.tensor(x, requires_grad=True))[1].detach().numpy()
