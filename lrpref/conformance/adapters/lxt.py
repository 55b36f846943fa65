"""LXT (Achtibat et al. 2024, arXiv 2402.05602), held to the table rule by rule, by its explicit form (`lxt.explicit`).

LXT is made for transformers. Of the rules of the table it has epsilon, for any linear module; the identity; and the
uniform rule, which splits relevance equally among the inputs of an operation, as Flat does at an addition. Each module
is wrapped by the rule of its node, activations by the identity, and two branches are added by `add2`, as the
documentation says; relevance is what `backward` leaves at the input.

Its wider dependencies (transformers, accelerate, bitsandbytes) are for language models and not asked for here:
`pip install --no-deps lxt` beside torch is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from ... import layers, rules
from ...layers import Elementwise, LinearLayer, Softmax, WeightedLayer
from ...network import Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

HOW = "pip install torch, and then pip install --no-deps lxt"

Made = Any
"""A module of LXT, or what makes one."""


class Lxt:
    """LXT in the number type of the case's network."""

    library = "lxt"

    def __init__(self) -> None:
        import_module("lxt.explicit.rules")
        self.version = version("lxt")

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input: what the backward pass through the wrapped modules leaves there."""
        net = case.network
        if asking.is_shared(net):
            raise NotOffered("a layer that stands at two places is not tried")
        made = {node.name: self._wrapped(case, node) for node in net.nodes}
        module = torch_twin.twin(net, _addition())
        for name, wrap in made.items():
            if wrap is not None:
                place = torch_twin.module_name(name)
                setattr(module, place, wrap(getattr(module, place)))
        x = torch_twin.tensor(case.input, net).requires_grad_(True)
        output = module(x)
        output.backward(torch_twin.tensor(asking.start(case), net))
        return np.asarray(x.grad.detach().numpy(), dtype=np.float64)

    def promise(self, case: Case) -> str | None:
        """What the documentation says of linear layers: R = x * W^T (R / (z + epsilon)), without a sign.

        So it promises epsilon where no z is negative, and LRP-0; and nothing where a denominator is 0.
        """
        if case.kind != "relevance" or asking.is_shared(case.network) or asking.divides_by_zero(case):
            return None
        told = {_told(case, node) for node in case.network.nodes if isinstance(node.layer, LinearLayer)}
        return None if None in told else "; ".join(sorted(words for words in told if words)) or None

    def _wrapped(self, case: Case, node: Node) -> Callable[[Made], Made] | None:
        """What makes the module of a node into LXT's; None where its gradient is what routes relevance."""
        lxt, layer = import_module("lxt.explicit.rules"), node.layer
        if isinstance(layer, Softmax):
            raise NotOffered("LXT explains a softmax; lrpref starts before it")
        if isinstance(layer, Elementwise):
            return lambda module: lxt.IdentityRule(module)
        if not isinstance(layer, LinearLayer):
            return None
        rule = case.rules[node.name]
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
    """A module that adds two branches by LXT's function."""
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
    """Two branches under epsilon."""
    if branches > 2:
        raise NotOffered("LXT's add2 adds two branches")
    epsilon = 0.0 if isinstance(rule, rules.Zero) else getattr(rule, "epsilon", None)
    if epsilon is None or getattr(rule, "scale", None) is not None:
        raise NotOffered("LXT's add2 is under epsilon, without a scale")
    return lambda module: _add2()(epsilon)


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
"""Short quotation from the documentation of LXT 2.1. Of batch normalisation and pools it says nothing."""


def _told(case: Case, node: Node) -> str | None:
    """The words for the rule of a node, None where they do not cover it."""
    rule = case.rules[node.name]
    if isinstance(rule, rules.Pass | rules.Flat):
        return ""
    positive = bool(np.all(case.network.activations(case.input)[node.name] > 0))
    covered = isinstance(node.layer, WeightedLayer) and (isinstance(rule, rules.Zero) or positive)
    return _WORDS if covered else None


def adapter() -> Lxt:
    """LXT, where it and torch are installed."""
    return Lxt()
