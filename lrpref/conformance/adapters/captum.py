"""The adapter of captum's `LRP` (captum.attr).

Every module gets captum's rule of the same name as its attribute `rule`, as captum's documentation describes. The
stabilizer of a case replaces the rule's STABILITY_FACTOR, which is 1e-9 by default. Max-pooling, which captum treats
with its EpsilonRule, gets the smallest possible stabilizer.

captum starts with the value of one output. Other relevance at the output is a sum of such maps, each scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from ... import layers, rules
from ...layers import LinearLayer, WeightedLayer
from ...network import Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

INSTALL = "captum==0.9.0"

Made = Any
"""A rule of captum."""


class Captum:
    """captum in the number type of the case's network."""

    library = "captum"

    def __init__(self) -> None:
        import_module("captum.attr")
        self.version = version("captum")

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input: `LRP.attribute` for every output with relevance."""
        self._check(case)
        return asking.scaled(case, lambda index: self._attribute(case, index))

    def promise(self, case: Case) -> str | None:
        """The docstrings of the rules, where they cover the layers; `LRP` refers to Bach et al. 2015 for the rules.

        They do not cover denominators of 0.
        """
        words = asking.quotations(case, _quotation)
        return None if words is None or asking.divides_by_zero(case) else words

    def _check(self, case: Case) -> None:
        """Raise NotOffered for a case that captum's LRP does not accept."""
        if asking.is_shared(case.network):
            raise NotOffered('a module that is "used more than once in the network" is "not supported by LRP"')
        for _, layer, inputs in case.network.nodes:
            if not isinstance(layer, _TAKEN):
                raise NotOffered(f"captum's LRP has no rule for {type(layer).__name__}")
            if isinstance(layer, layers.Add) and len(inputs) > 2:
                raise NotOffered("captum's Addition_Module adds two branches")
        for node in case.network.nodes:
            self._rule(case, node)
        if isinstance(case.seed, int | float) or (isinstance(case.seed, str) and case.seed == "probability"):
            raise NotOffered("captum starts with the value of an output, or with 1")

    def _attribute(self, case: Case, index: tuple[int, ...]) -> np.ndarray:
        """captum's map for one output."""
        attr, net = import_module("captum.attr"), case.network
        add = import_module("captum.attr._utils.custom_modules").Addition_Module
        module = torch_twin.twin(net, add)
        for node in net.nodes:
            rule = self._rule(case, node)
            if rule is not None:
                getattr(module, torch_twin.module_name(node.name)).rule = rule
        x = torch_twin.tensor(case.input, net).requires_grad_(True)
        found = attr.LRP(module).attribute(x, target=index[0] if len(index) == 1 else index)
        return np.asarray(found.detach().numpy(), dtype=np.float64)

    def _rule(self, case: Case, node: Node) -> Made:
        """captum's rule for a node, or None."""
        captum = import_module("captum.attr._utils.lrp_rules")
        if isinstance(node.layer, layers.MaxPool):
            return captum.EpsilonRule(asking.tiny(case.network))
        if not isinstance(node.layer, LinearLayer):
            return None
        rule = case.rules[node.name]
        if type(rule) not in _RULES:
            raise NotOffered(f"captum has no rule like {type(rule).__name__}")
        made = _RULES[type(rule)](captum, rule)
        if isinstance(made, captum.Alpha1_Beta0_Rule) and isinstance(node.layer, layers.DiagonalLayer):
            raise NotOffered('the docstring of Alpha1_Beta0_Rule: "Does not work for BatchNorm modules"')
        return made


_TAKEN = (
    LinearLayer, layers.ReLU, layers.Tanh, layers.Dropout, layers.MaxPool, layers.Flatten, layers.Concat,
    layers.Pad,
)  # fmt: skip
"""Layers for which captum's LRP has a rule, or which become functions instead of modules of torch."""


# ---- rule by rule ----------------------------------------------------------------------------------------------


def _epsilon(captum: Any, rule: rules.Epsilon) -> Made:
    if rule.scale is not None:
        raise NotOffered("captum's EpsilonRule has no scale")
    return captum.EpsilonRule(rule.epsilon)


def _gamma(captum: Any, rule: rules.Gamma) -> Made:
    if rule.generalised:
        raise NotOffered("captum's GammaRule has no generalised form")
    return _with_factor(captum.GammaRule(gamma=rule.gamma), rule.stabilizer)


def _alpha_beta(captum: Any, rule: rules.AlphaBeta) -> Made:
    if (rule.alpha, rule.beta) != (1, 0):
        raise NotOffered("captum has alpha-beta only for alpha = 1, beta = 0")
    if rule.empty != "literal":
        raise NotOffered("captum has no mode that renormalises where a part is empty")
    return _with_factor(captum.Alpha1_Beta0_Rule(set_bias_to_zero=rule.bias == "ignore"), rule.stabilizer)


def _with_factor(made: Made, stabilizer: float) -> Made:
    """The rule of captum with this stabilizer."""
    made.STABILITY_FACTOR = stabilizer
    return made


_RULES: Mapping[type[Rule], Callable[[Any, Any], Made]] = {
    rules.Zero: lambda captum, rule: captum.EpsilonRule(0),
    rules.Epsilon: _epsilon,
    rules.Gamma: _gamma,
    rules.AlphaBeta: _alpha_beta,
    rules.ZPlus: lambda captum, rule: _with_factor(captum.Alpha1_Beta0_Rule(), rule.stabilizer),
    rules.Pass: lambda captum, rule: captum.IdentityRule(),
}


# ---- promises --------------------------------------------------------------------------------------------------

_PAPER = 'LRP: "Details on the model can be found in the original paper" [Bach et al. 2015]'
_WORDS: Mapping[type[Rule], str] = {
    rules.Zero: _PAPER,
    rules.Epsilon: _PAPER,
    rules.AlphaBeta: f'Alpha1_Beta0_Rule: "Only positive relevance is propagated"; {_PAPER}',
    rules.ZPlus: f'Alpha1_Beta0_Rule: "also known as Deep-Taylor. Only positive relevance is propagated"; {_PAPER}',
    rules.Pass: 'IdentityRule: "propagating the relevance over a layer"',
}
"""Short quotations from the docstrings of captum 0.9.0. GammaRule has neither a formula nor a paper with one."""


def _quotation(case: Case, node: Node) -> str | None:
    """The quotation for the rule of a node; None if it does not cover the layer."""
    rule = case.rules[node.name]
    covered = isinstance(node.layer, WeightedLayer) or isinstance(rule, rules.Zero | rules.Epsilon | rules.Pass)
    return _WORDS.get(type(rule)) if covered else None


def adapter() -> Captum:
    """Make the adapter; captum and torch must be installed."""
    return Captum()
