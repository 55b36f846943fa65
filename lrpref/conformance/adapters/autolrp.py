"""The adapter of autoLRP (github.com/Wa-lead/autoLRP), which explains the operations in PyTorch's autograd graph.

autoLRP chooses rules by the name of an operation, or by a *fact* that an analyzer attaches to it; this adapter attaches
the node of each weighted layer. It has epsilon, z-plus, alpha-beta, gamma in both forms and z-box for layers with
weights; equal and proportional shares of magnitudes for additions; products of matrices, whose factors share equally;
and the softmax of AttnLRP. All rules of a network share one stabilizer. Layers that only move values, max-pools and
average pools have no rule: relevance follows their gradient, which for an average pool is what `Flat` says. Relevance
starts with 1 at every output that `lrp` is called on; a hook of torch replaces that by the relevance of the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from ... import layers, rules
from ...backend import to_numpy
from ...layers import Elementwise, Head, WeightedLayer
from ...network import Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

INSTALL = "autolrp==0.2.0 torch"

LEAST_GAMMA = 0.01
"""For a gamma up to this, autoLRP computes the epsilon rule, as its docstring says."""

Entry = Any
"""A rule of autoLRP: its name, or its name and parameters."""


class AutoLrp:
    """autoLRP in the number type of the case's network."""

    library = "autolrp"

    def __init__(self) -> None:
        import_module("autolrp")
        self.version = version("autolrp")

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input, which autoLRP leaves at the wrapped tensor."""
        net = case.network
        if asking.is_shared(net):
            raise NotOffered("this adapter does not ask about layers shared by several nodes")
        if net.head is not None:
            raise NotOffered("autoLRP explains the output of a softmax; lrpref explains its input")
        chosen = {node.name: _entry(case, node) for node in net.nodes}
        module = torch_twin.twin(net, further={layers.MatMul: torch_twin.matmul, layers.Multiply: _no_product})
        facts = _facts(case, module)
        x = import_module("autolrp").tensor(torch_twin.tensor(case.input, net))
        output, wanted = module(x), torch_twin.tensor(asking.start(case), net)
        output.register_hook(lambda ones: wanted)
        known = import_module("autolrp").ANALYZERS
        before = dict(known)
        try:
            output.lrp(config=self._config(case, chosen, facts))
        finally:
            known.clear()
            known.update(before)
        return np.asarray(x.relevance.detach().numpy(), dtype=np.float64)

    def _config(self, case: Case, chosen: Mapping[str, Entry], facts: Mapping[str, Any]) -> Any:
        """autoLRP's configuration; registers a fact for every weighted layer."""
        autolrp = import_module("autolrp")
        entries, additions = dict(autolrp.BASE), set()
        for node in case.network.nodes:
            if node.name in facts:
                fact = f"lrpref {node.name}"
                autolrp.register_analyzer(fact, partial(_is_of, facts[node.name]))
                entries[fact] = chosen[node.name]
            elif isinstance(node.layer, layers.Add):
                additions.add(chosen[node.name])
                entries["AddBackward"] = chosen[node.name]
            elif isinstance(node.layer, Head):
                entries["SoftmaxBackward"] = "jacobian"
            elif isinstance(node.layer, layers.SampleNorm):
                entries["NativeLayerNormBackward"] = "passthrough"
        if len(additions) > 1:
            raise NotOffered("this adapter asks about one rule for all additions")
        stabilizers = {float(found) for rule in case.rules.values() if (found := _stabilizer(rule)) is not None}
        if len(stabilizers) > 1:
            raise NotOffered("autoLRP has one stabilizer for all rules")
        return autolrp.LRPConfig(rule=entries, eps=next(iter(stabilizers), 0.0))

    def promise(self, case: Case) -> str | None:
        """The docstrings of the rules, where each of them covers its layer; none covers a layer with a bias.

        For a bias, the docstring of `apply_bias_split` describes a share by magnitude, which no paper has.
        """
        words = asking.quotations(case, _quotation)
        uncovered = words is None or asking.is_shared(case.network) or asking.divides_by_zero(case)
        return None if uncovered else words


def _facts(case: Case, module: Any) -> dict[str, Any]:
    """The weight of every weighted layer's module, by node: it is what autograd keeps."""
    weighted = [node for node in case.network.nodes if isinstance(node.layer, WeightedLayer)]
    return {node.name: getattr(module, torch_twin.module_name(node.name)).weight for node in weighted}


def _is_of(weight: Any, node: Any) -> bool | None:
    """Whether autograd's node multiplies by this weight."""
    storage = weight.untyped_storage().data_ptr()
    kept = (getattr(node, f"_saved_{name}", None) for name in ("mat1", "mat2", "weight"))
    return True if any(t is not None and t.untyped_storage().data_ptr() == storage for t in kept) else None


def _stabilizer(rule: Rule) -> float | None:
    """What a rule adds to its denominators; None for a rule without any."""
    if isinstance(rule, rules.Zero):
        return 0.0
    return getattr(rule, "epsilon", getattr(rule, "stabilizer", None))


# ---- rule by rule ----------------------------------------------------------------------------------------------

_ACTIVATIONS = (
    *(layers.CELU, layers.ELU, layers.GELU, layers.HardSigmoid, layers.HardSwish, layers.HardTanh, layers.LeakyReLU),
    *(layers.Clip, layers.Mish, layers.ReLU, layers.ReLU6, layers.SELU, layers.SiLU, layers.Sigmoid, layers.Softplus),
    *(layers.Softsign, layers.Tanh),
)
"""The activations that relevance passes unchanged: those in `autolrp.ELEMENTWISE`."""


def _entry(case: Case, node: Node) -> Entry:
    """autoLRP's rule for a node, None where it needs none; raises NotOffered."""
    layer, rule = node.layer, case.rules.get(node.name)
    if isinstance(layer, Elementwise) and not isinstance(layer, _ACTIVATIONS):
        raise NotOffered(f"autoLRP has no rule for {type(layer).__name__}, and takes its gradient")
    if isinstance(layer, Elementwise | layers.Routing):
        return None
    if isinstance(layer, Head):
        if not isinstance(layer, layers.Softmax):
            raise NotOffered("autoLRP has no rule for a LogSoftmax within a network")
        return "jacobian"
    if isinstance(layer, layers.SampleNorm | layers.BatchNorm) and isinstance(rule, rules.Pass):
        return "passthrough"
    if isinstance(layer, layers.AvgPool) and isinstance(rule, rules.Flat):
        return None
    if isinstance(layer, layers.MatMul):
        if layer.split != "half" or not isinstance(rule, rules.Zero | rules.Epsilon):
            raise NotOffered("this adapter asks autoLRP about products of matrices under epsilon, with equal shares")
        return "epsilon"
    if isinstance(layer, layers.Add) and len(node.inputs) == 2:
        if not isinstance(rule, rules.Absolute | rules.Flat):
            raise NotOffered("autoLRP splits an addition by magnitudes, equally, or by fixed shares")
        return "equal" if isinstance(rule, rules.Flat) else "proportional"
    if rule is None or not isinstance(layer, WeightedLayer) or type(rule) not in _RULES:
        raise NotOffered(f"autoLRP has no rule like {type(rule).__name__} for {type(layer).__name__}")
    return _RULES[type(rule)](rule)


def _no_product(layer: Any) -> Any:
    raise NotOffered("autoLRP splits a product of activations by their magnitudes")


def _gamma(rule: rules.Gamma) -> Entry:
    return ("gamma" if rule.generalised else "gamma_montavon", {"gamma": float(rule.gamma)})


def _alpha_beta(rule: rules.AlphaBeta) -> Entry:
    if rule.empty != "literal" or rule.bias != "keep":
        raise NotOffered("autoLRP's alpha_beta has no modes")
    return ("alpha_beta", {"alpha": float(rule.alpha), "beta": float(rule.beta)})


def _z_box(rule: rules.ZBox) -> Entry:
    low, high = (np.asarray(to_numpy(bound), dtype=float) for bound in (rule.low, rule.high))
    if low.size > 1 or high.size > 1:
        raise NotOffered("autoLRP's zbox has one bound for all inputs")
    return ("zbox", {"low": float(low.item()), "high": float(high.item())})


def _epsilon(rule: rules.Epsilon) -> Entry:
    if rule.scale is not None:
        raise NotOffered("autoLRP's epsilon has no scale")
    return "epsilon"


_RULES: Mapping[type[Rule], Callable[[Any], Entry]] = {
    rules.Zero: lambda rule: "epsilon",
    rules.Epsilon: _epsilon,
    rules.ZPlus: lambda rule: "zplus",
    rules.AlphaBeta: _alpha_beta,
    rules.Gamma: _gamma,
    rules.ZBox: _z_box,
}


# ---- promises --------------------------------------------------------------------------------------------------

_WORDS: Mapping[type[Rule], str] = {
    rules.Zero: 'epsilon: "LRP-epsilon (Bach et al. 2015, 2)", with an epsilon of 0',
    rules.Epsilon: 'epsilon: "LRP-epsilon (Bach et al. 2015, 2)"',
    rules.ZPlus: 'zplus: "LRP-z+ (Bach et al. 2015): positive contributions only"',
    rules.AlphaBeta: 'alpha_beta: "LRP-alpha-beta (Bach et al. 2015, 2.2)"',
    rules.ZBox: 'zbox: "z-box rule for a bounded input domain" [Montavon et al. 2017]',
}
"""Short quotations from the docstrings of autoLRP 0.2.0."""


def _quotation(case: Case, node: Node) -> str | None:
    """The quotation for the rule of a node, "" if none is needed; None if it does not cover the layer."""
    rule = case.rules[node.name]
    if isinstance(rule, rules.Pass) or not isinstance(node.layer, WeightedLayer):
        return ""
    if getattr(node.layer, "bias", None) is not None:
        return None
    if not isinstance(rule, rules.Gamma):
        return _WORDS.get(type(rule))
    if rule.gamma <= LEAST_GAMMA:
        return None
    if not rule.generalised:
        return 'gamma_montavon: "LRP-gamma as in Montavon et al. 2019 (10.2.3)"'
    z = case.network.activations(case.input)
    positive = all(bool(np.all(to_numpy(z[name]) >= 0)) for name in node.inputs)
    return 'gamma: "equals gamma_montavon when the attributed operand is >= 0"' if positive else None


def adapter() -> AutoLrp:
    """Make the adapter; autoLRP and torch must be installed."""
    return AutoLrp()


def stabilized() -> asking.Stabilized:
    """Make the adapter that keeps autoLRP from dividing by zero."""
    return asking.Stabilized(AutoLrp())
