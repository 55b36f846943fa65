"""The adapter of LXT (Achtibat et al. 2024, arXiv 2402.05602), in its explicit form (`lxt.explicit`).

LXT is made for transformers. Of the rules in the table, it has epsilon for any linear module; the identity; and the
uniform rule, which splits relevance equally among the inputs of an operation, as Flat does at an addition. As the
documentation describes, every module is wrapped in the rule of its node, activations in the identity, and `add2` adds
two branches. Products, means, LayerNorm, products of matrices and the softmax of attention have functions of their own:
`mul2`, `mean`, `layer_norm`, `matmul` and `softmax`. Relevance is the gradient that `backward` leaves at the input, or
at the vectors of an embedding, whose sums are the relevance of its indices.

The other dependencies of LXT (transformers, accelerate, bitsandbytes) are for language models. Besides torch,
`pip install --no-deps lxt` is enough here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from ... import layers, rules
from ...backend import to_numpy
from ...layers import Elementwise, Head, Layer, LinearLayer, WeightedLayer
from ...network import INPUT, Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

HOW = "pip install torch, and then pip install --no-deps lxt==2.1"

Made = Any
"""A module of LXT, or a function that makes one."""


class Lxt:
    """LXT in the number type of the case's network."""

    library = "lxt"

    def __init__(self) -> None:
        import_module("lxt.explicit.rules")
        self.version = version("lxt")

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input: its gradient after the backward pass through the wrapped modules."""
        net = case.network
        if asking.is_shared(net):
            raise NotOffered("this adapter does not ask about layers shared by several nodes")
        if net.head is not None:
            raise NotOffered("LXT explains the output of a softmax; lrpref explains its input")
        made = {node.name: self._wrapped(case, node) for node in net.nodes}
        replaced = dict.fromkeys((layers.Multiply, layers.Mean), lambda layer: torch_twin.calls()(None))
        module = torch_twin.twin(net, _addition(), further={**replaced, **torch_twin.TOKENS, **_looked_up(case)})
        for name, wrap in made.items():
            if wrap is not None:
                place = torch_twin.module_name(name)
                setattr(module, place, wrap(getattr(module, place)))
        looked_up = next((node.name for node in net.nodes if isinstance(node.layer, layers.Embedding)), None)
        given = case.input if looked_up is None else to_numpy(net.activations(case.input)[looked_up])
        x = torch_twin.tensor(given, net).requires_grad_(True)
        output = module(x)
        output.backward(torch_twin.tensor(asking.start(case), net))
        relevance = np.asarray(x.grad.detach().numpy(), dtype=np.float64)
        return relevance if looked_up is None else relevance.sum(axis=-1)

    def promise(self, case: Case) -> str | None:
        """The documentation's formula for linear layers: R = x * W^T (R / (z + epsilon)), without a sign.

        It promises LRP-0, and epsilon where all z are positive. It does not cover denominators of 0.
        """
        words = asking.quotations(case, _quotation)
        uncovered = words is None or asking.is_shared(case.network) or asking.divides_by_zero(case)
        return None if uncovered else words

    def _wrapped(self, case: Case, node: Node) -> Callable[[Made], Made] | None:
        """The function that wraps the module of a node; None if its gradient routes relevance."""
        lxt, layer = import_module("lxt.explicit.rules"), node.layer
        if isinstance(layer, Head):
            return _normalised_exponentials(layer, len(case.network.shapes(case.input.shape)[node.name]))
        if isinstance(layer, Elementwise):
            return lambda module: lxt.IdentityRule(module)
        if isinstance(layer, layers.Multiply):
            return _multiplied(layer)
        if not isinstance(layer, LinearLayer):
            return None
        rule = case.rules[node.name]
        if isinstance(layer, layers.MatMul):
            return _multiplied_matrices(layer, rule)
        if isinstance(layer, layers.Mean):
            return _averaged(layer, rule)
        if isinstance(layer, layers.SampleNorm) and not isinstance(rule, rules.Pass):
            return _normalised(layer, rule)
        if isinstance(rule, rules.Flat) and isinstance(layer, layers.Add):
            return lambda module: lxt.UniformRule(module)
        if isinstance(rule, rules.Flat):
            raise NotOffered("LXT's UniformRule is for several inputs of one operation, not for the inputs of a unit")
        if type(rule) not in _RULES:
            raise NotOffered(f"LXT has no rule like {type(rule).__name__}")
        if isinstance(layer, layers.Add):
            return _added(rule, len(node.inputs))
        return _RULES[type(rule)](lxt, rule)


@cache
def _addition() -> Any:
    """A module that adds."""
    nn: Any = import_module("torch.nn")

    class Sum(nn.Module):  # type: ignore[misc]
        def forward(self, *branches: Any) -> Any:
            return sum(branches[1:], start=branches[0])

    return Sum


@cache
def _add2() -> Any:
    """A module that adds two branches with LXT's function."""
    nn: Any = import_module("torch.nn")
    add2 = import_module("lxt.explicit.functional").add2

    class Add2(nn.Module):  # type: ignore[misc]
        def __init__(self, epsilon: float) -> None:
            super().__init__()
            self.epsilon = epsilon

        def forward(self, a: Any, b: Any) -> Any:
            return add2(a, b, epsilon=self.epsilon)

    return Add2


def _added(rule: Rule, branches: int) -> Callable[[Made], Made]:
    """The function that makes an addition of two branches under epsilon."""
    if branches > 2:
        raise NotOffered("LXT's add2 adds two branches")
    epsilon = _only_epsilon(rule, "add2")
    return lambda module: _add2()(epsilon)


def _only_epsilon(rule: Rule, function: str) -> float:
    """The epsilon of a rule, for a function that has no other rule."""
    epsilon = 0.0 if isinstance(rule, rules.Zero) else getattr(rule, "epsilon", None)
    if epsilon is None or getattr(rule, "scale", None) is not None:
        raise NotOffered(f"LXT's {function} uses epsilon without a scale")
    return float(epsilon)


def _looked_up(case: Case) -> dict[type[Layer], Callable[[Any], Made]]:
    """The module in place of an embedding: the input is then the vectors that it looks up."""
    found = [node for node in case.network.nodes if isinstance(node.layer, layers.Embedding)]
    if any(node.inputs != (INPUT,) for node in found) or len(found) > 1:
        raise NotOffered("this adapter asks about one embedding, of the input")
    return {layers.Embedding: lambda layer: import_module("torch.nn").Identity()}


def _normalised_exponentials(layer: Head, rank: int) -> Callable[[Made], Made]:
    """The function that makes a softmax within the network."""
    if not isinstance(layer, layers.Softmax) or layer.axis not in (-1, rank - 1):
        raise NotOffered("LXT's softmax sums relevance over the last axis")
    softmax = import_module("lxt.explicit.functional").softmax
    return lambda module: torch_twin.calls()(lambda x: softmax(x, -1))


def _multiplied_matrices(layer: layers.MatMul, rule: Rule) -> Callable[[Made], Made]:
    """The function that makes a product of matrices: `matmul` of both factors, or epsilon for one of them.

    `matmul` adds its epsilon to 2 O, so it is half of it that is added to O.
    """
    lxt, epsilon = import_module("lxt.explicit.functional"), _only_epsilon(rule, "matmul")
    if layer.split == "half":

        def halves(a: Any, b: Any) -> Any:
            b = b.transpose(-1, -2) if layer.transpose else b
            return lxt.matmul(lxt.mul2(a, layer.scale), b, epsilon=2 * epsilon)

        return lambda module: torch_twin.calls()(halves)
    epsilon_lrp = import_module("lxt.explicit.rules").epsilon_lrp

    def signal(*factors: Any) -> Any:
        held = [x if k == layer.signal else x.detach() for k, x in enumerate(factors)]
        return epsilon_lrp(torch_twin.matmul(layer), epsilon, *held)

    return lambda module: torch_twin.calls()(signal)


def _multiplied(layer: layers.Multiply) -> Callable[[Made], Made]:
    """The function that makes a product of two branches."""
    if layer.split != "half":
        raise NotOffered("LXT's mul2 divides relevance equally among the factors")
    return lambda module: torch_twin.calls()(import_module("lxt.explicit.functional").mul2)


def _averaged(layer: layers.Mean, rule: Rule) -> Callable[[Made], Made]:
    """The function that makes a mean over an axis under epsilon."""
    epsilon, axes = _only_epsilon(rule, "mean"), np.atleast_1d(layer.axes).tolist()
    if len(axes) > 1:
        raise NotOffered("LXT's mean is over one axis")
    mean = import_module("lxt.explicit.functional").mean
    return lambda module: torch_twin.calls()(lambda x: mean(x, axes[0], layer.keepdims, epsilon))


def _normalised(layer: layers.SampleNorm, rule: Rule) -> Callable[[Made], Made]:
    """The function that makes a LayerNorm under epsilon: LXT holds the deviation constant, and the mean is linear."""
    if not isinstance(layer, layers.LayerNorm) or layer.mean != "linear" or len(layer.normalized_shape) > 1:
        raise NotOffered("LXT's rule for norms besides the identity is for LayerNorm over one axis with a linear mean")
    epsilon = _only_epsilon(rule, "layer_norm")
    norm = import_module("lxt.explicit.functional").layer_norm_grad_fn
    return lambda module: torch_twin.calls()(lambda x: norm.apply(x, module.weight, module.bias, module.eps, epsilon))


def _epsilon(lxt: Any, rule: rules.Epsilon) -> Callable[[Made], Made]:
    if rule.scale is not None:
        raise NotOffered("LXT's EpsilonRule has no scale")
    return lambda module: lxt.EpsilonRule(module, epsilon=rule.epsilon)


_RULES: Mapping[type[Rule], Callable[[Any, Any], Callable[[Made], Made]]] = {
    rules.Zero: lambda lxt, rule: lambda module: lxt.EpsilonRule(module, epsilon=0),
    rules.Epsilon: _epsilon,
    rules.Pass: lambda lxt, rule: lambda module: lxt.IdentityRule(module),
}

_WORDS = 'documentation, "How does LXT work under the hood?": "the epsilon-LRP rule for linear layers" and its formula'
"""Short quotation from the documentation of LXT 2.1, which does not mention batch normalisation and pools."""


def _quotation(case: Case, node: Node) -> str | None:
    """The quotation for the rule of a node, "" if none is needed; None if it does not cover the layer."""
    rule = case.rules[node.name]
    if isinstance(rule, rules.Pass | rules.Flat):
        return ""
    positive = bool(np.all(to_numpy(case.network.activations(case.input)[node.name]) > 0))
    covered = isinstance(node.layer, WeightedLayer) and (isinstance(rule, rules.Zero) or positive)
    return _WORDS if covered else None


def adapter() -> Lxt:
    """Make the adapter; LXT and torch must be installed."""
    return Lxt()
