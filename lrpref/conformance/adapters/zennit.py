"""The adapter of zennit (Anders et al., PLOS ONE, doi 10.1371/journal.pone.0336683; first arXiv 2106.13200).

Every node gets zennit's rule of the same name, with the parameters of the case and zennit's defaults for all others.
Activations get `Pass`, as in all composites of zennit.

A stabilizer of 0 is passed on as 0. zennit then answers NaN wherever a denominator is 0, even in a part with the
coefficient 0. `stabilized()` asks with the smallest possible stabilizer instead, which changes only denominators of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from ... import rules
from ...backend import to_numpy
from ...layers import DiagonalLayer, Elementwise, LinearLayer, WeightedLayer
from ...network import Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

INSTALL = "zennit==1.0.0 torchvision"

Made = Any
"""A rule of zennit."""


class Zennit:
    """zennit in the number type of the case's network."""

    library = "zennit"

    def __init__(self) -> None:
        import_module("zennit.rules")
        self.version = version("zennit")

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input by `zennit.attribution.Gradient`, with one rule per module."""
        net, shared = case.network, asking.is_shared(case.network)
        rule_of = {node.name: self._rule(case, node) for node in net.nodes}
        names = [([torch_twin.module_name(name)], rule) for name, rule in rule_of.items() if rule is not None]
        module = torch_twin.twin(net, import_module("zennit.layer").Sum, stacked=True, shared=shared)
        composite = import_module("zennit.composites").NameMapComposite(names)
        seed, x = torch_twin.tensor(asking.start(case), net), torch_twin.tensor(case.input, net)
        attributor = import_module("zennit.attribution").Gradient(module, composite)
        _, relevance = attributor(x.requires_grad_(True), seed)
        return np.asarray(relevance.detach().numpy(), dtype=np.float64)

    def promise(self, case: Case) -> str | None:
        """The docstrings of the rules, where each of them covers its layer.

        They do not cover denominators of 0, layers shared by several nodes, and heads.
        """
        if asking.is_shared(case.network) or case.network.head is not None:
            return None
        words = asking.quotations(case, _quotation)
        return None if words is None or asking.divides_by_zero(_as_zennit_computes(case), idle=True) else words

    def _rule(self, case: Case, node: Node) -> Made:
        """zennit's rule for a node; None for no hook."""
        zennit = import_module("zennit.rules")
        if isinstance(node.layer, Elementwise):
            return zennit.Pass()
        if not isinstance(node.layer, LinearLayer):
            return None
        rule = case.rules[node.name]
        if type(rule) not in _RULES:
            raise NotOffered(f"zennit has no rule like {type(rule).__name__}")
        if isinstance(rule, rules.Gamma) and not rule.generalised and not _positive_inputs(case, node):
            raise NotOffered(
                "zennit's Gamma is the generalised rule, which equals plain gamma only for positive inputs"
            )
        return _RULES[type(rule)](zennit, rule, case)


# ---- rule by rule ----------------------------------------------------------------------------------------------


def _epsilon(zennit: Any, rule: rules.Epsilon, case: Case) -> Made:
    if rule.scale is None:
        return zennit.Epsilon(epsilon=rule.epsilon)
    return zennit.Epsilon(epsilon=import_module("zennit.core").Stabilizer(epsilon=rule.epsilon, norm_scale=True))


def _alpha_beta(zennit: Any, rule: rules.AlphaBeta, case: Case) -> Made:
    if rule.empty != "literal":
        raise NotOffered("zennit's AlphaBeta has no mode that renormalises where a part is empty")
    zeroed = ["bias"] if rule.bias == "ignore" else None
    return zennit.AlphaBeta(alpha=rule.alpha, beta=rule.beta, stabilizer=rule.stabilizer, zero_params=zeroed)


def _z_box(zennit: Any, rule: rules.ZBox, case: Case) -> Made:
    low, high = (_bound(value, case) for value in (rule.low, rule.high))
    return zennit.ZBox(low=low, high=high, stabilizer=rule.stabilizer)


def _bound(value: Any, case: Case) -> Any:
    """A bound as a tensor that broadcasts, with channels on axis 1."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 1:
        array = array.reshape(1, -1, *(1,) * (case.input.ndim - 2))
    return torch_twin.tensor(array, case.network)


_RULES: Mapping[type[Rule], Callable[[Any, Any, Case], Made]] = {
    rules.Zero: lambda zennit, rule, case: zennit.Epsilon(epsilon=0),
    rules.Epsilon: _epsilon,
    rules.Gamma: lambda zennit, rule, case: zennit.Gamma(gamma=rule.gamma, stabilizer=rule.stabilizer),
    rules.AlphaBeta: _alpha_beta,
    rules.ZPlus: lambda zennit, rule, case: zennit.ZPlus(stabilizer=rule.stabilizer),
    rules.ZBox: _z_box,
    rules.WSquare: lambda zennit, rule, case: zennit.WSquare(stabilizer=rule.stabilizer),
    rules.Flat: lambda zennit, rule, case: zennit.Flat(stabilizer=rule.stabilizer),
    rules.Pass: lambda zennit, rule, case: zennit.Pass(),
}


# ---- promises --------------------------------------------------------------------------------------------------

_WORDS: Mapping[type[Rule], str] = {
    rules.Zero: 'Epsilon: "Setting (epsilon=0) produces the LRP-0 rule" [Bach et al. 2015]',
    rules.Epsilon: 'Epsilon: "it will be added to the denominator with the same sign as each respective entry"',
    rules.Gamma: 'Gamma: "equivalent to the original Gamma when there are only positive inputs" [Montavon et al. 2019]',
    rules.AlphaBeta: 'AlphaBeta: "weights positive (alpha) and negative (beta) contributions" [Bach et al. 2015]',
    rules.ZPlus: 'ZPlus: "effectively alpha=1, beta=0, where negative inputs are allowed" [Bach et al. 2015]',
    rules.ZBox: 'ZBox: "LRP ZBox rule" [Montavon et al. 2017]',
    rules.WSquare: 'WSquare: "LRP WSquare rule" [Montavon et al. 2017]',
    rules.Flat: 'Flat: "LRP Flat rule", as WSquare "with all parameters set to ones" [Lapuschkin et al. 2019]',
    rules.Pass: 'Pass: "passes upper layer relevance through to the lower layer"',
}
"""Short quotations from the docstrings of zennit 1.0.0, with the paper that each cites in brackets."""


def _quotation(case: Case, node: Node) -> str | None:
    """The quotation for the rule of a node; None if it does not cover the layer."""
    rule = case.rules[node.name]
    weighted = isinstance(node.layer, WeightedLayer)
    covered = weighted or isinstance(rule, rules.Pass)
    if isinstance(rule, rules.Zero | rules.Epsilon):
        covered = not isinstance(node.layer, DiagonalLayer)
    if isinstance(rule, rules.WSquare):  # by its docstring, a bias takes part unless it is among zero_params
        covered = weighted and getattr(node.layer, "bias", None) is None
    if isinstance(rule, rules.Gamma):
        covered = weighted and _positive_inputs(case, node) and (not rule.generalised or _positive_z(case, node))
    return f"zennit.rules.{_WORDS[type(rule)]}" if covered else None


def _as_zennit_computes(case: Case) -> Case:
    """The case with generalised gamma instead of plain gamma: zennit divides in both branches, and then selects one."""
    changed = {
        node: replace(rule, generalised=True) if isinstance(rule, rules.Gamma) else rule
        for node, rule in case.rules.items()
    }
    return replace(case, rules=changed)


def _positive_inputs(case: Case, node: Node) -> bool:
    """Whether all inputs of a node are at least 0."""
    z = case.network.activations(case.input)
    return all(bool(np.all(to_numpy(z[name]) >= 0)) for name in node.inputs)


def _positive_z(case: Case, node: Node) -> bool:
    """Whether all outputs of a node are at least 0; the generalised rule then equals the original one."""
    return bool(np.all(to_numpy(case.network.activations(case.input)[node.name]) >= 0))


def adapter() -> Zennit:
    """Make the adapter; zennit and torch must be installed."""
    return Zennit()


def stabilized() -> asking.Stabilized:
    """Make the adapter that keeps zennit from dividing by zero."""
    return asking.Stabilized(Zennit())
