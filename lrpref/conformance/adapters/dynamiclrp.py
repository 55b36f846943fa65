"""The adapter of DynamicLRP (Lee and Millan Arias 2025, arXiv 2512.07010; github.com/keeinlev/dynamicLRP).

DynamicLRP explains the operations in PyTorch's autograd graph. A `LRPEngine` has one rule for all products with
weights, epsilon, gamma or z-plus; gamma can be chosen for convolutions or for linear layers alone. The bias is an
operand of an addition, and an addition or a mean divides relevance by magnitudes. Its stabilizer is a constant, 1e-11:
cases with a stabilizer of 0 are asked with it, and those with another one are not asked. Layers that the list of
operations in the paper (appendix A) lacks are not asked about either, since relevance then passes unchanged, whatever
its shape. Relevance is read from a checkpoint at the input: `params_to_interpret` reads only the first of several
branches.

DynamicLRP is not a package: `lrp_engine` is a folder of its repository, which must be on the path.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ... import layers, rules
from ...backend import to_numpy
from ...layers import LinearLayer, WeightedLayer
from ...network import Node
from ...rules import Rule
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

HOW = (
    "DynamicLRP is not on a package index: git clone https://github.com/keeinlev/dynamicLRP, check out 0535f39, add "
    "the folder src of the clone to PYTHONPATH, and install torch, transformers and einops"
)

COMMITS = {"386622d0024c": "0535f39"}
"""The beginning of the SHA-256 of its Python files, sorted by name -> their commit."""

EPSILON = 1e-11
"""The stabilizer of all its rules."""


class DynamicLrp:
    """DynamicLRP in the number type of the case's network."""

    library = "dynamiclrp"

    def __init__(self) -> None:
        module = import_module("lrp_engine")
        self.version = asking.commit(Path(module.__path__[0]), COMMITS)

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input, as saved at a checkpoint; raises the exception that the engine may return."""
        net = case.network
        options = _options(case)
        engine = import_module("lrp_engine")
        x = torch_twin.tensor(case.input, net).requires_grad_(True)
        module = torch_twin.twin(net, shared=True, further={layers.MatMul: torch_twin.matmul})
        output, wanted = module(engine.create_checkpoint(x)), torch_twin.tensor(asking.start(case), net)
        with redirect_stdout(io.StringIO()):  # it prints its errors
            found = engine.LRPEngine(starting_relevance=wanted, dtype=x.dtype, **options).run(output)
        if isinstance(found[-1], Exception):
            raise found[-1]
        relevance = found[0][0]
        return np.asarray(relevance.detach().numpy(), dtype=np.float64)

    def promise(self, case: Case) -> str | None:
        """The paper's formulas and the README, where each of them covers its layer; none covers a bias or a PReLU.

        For a bias, the paper says that it is an operand of an addition, whose relevance is divided by magnitudes.
        """
        kinds = [type(node.layer) for node in case.network.nodes]
        if asking.is_shared(case.network) or asking.divides_by_zero(case) or layers.PReLU in kinds:
            return None
        if layers.Softmax in kinds and not any(issubclass(kind, LinearLayer) for kind in kinds):
            return _SOFTMAX
        return asking.quotations(case, _quotation)


# ---- rule by rule ----------------------------------------------------------------------------------------------

Chosen = tuple[str, float | str]
"""A kind of operation and its rule: "convolution" or "linear" with a gamma, "epsilon" or "z-plus"; "factors" "half"."""

_ACTIVATIONS = (
    *(layers.CELU, layers.ELU, layers.GELU, layers.HardSigmoid, layers.HardSwish, layers.HardTanh, layers.LeakyReLU),
    *(layers.Clip, layers.Mish, layers.PReLU, layers.ReLU, layers.ReLU6, layers.SELU, layers.SiLU, layers.Sigmoid),
    *(layers.Softplus, layers.Tanh),
)
"""The activations that are one operation of torch: relevance passes unchanged."""

_MOVES = (
    *(layers.Concat, layers.Dropout, layers.Flatten, layers.MaxPool1D, layers.MaxPool2D, layers.MaxPool3D),
    *(layers.Permute, layers.Reshape, layers.Slice),
)
"""The layers that route relevance and are in the paper's list of operations."""


def _options(case: Case) -> dict[str, Any]:
    """The options of the engine for all nodes of a case; raises NotOffered."""
    if case.network.head is not None:
        raise NotOffered("DynamicLRP explains the output of a softmax; lrpref explains its input")
    found = {chosen for node in case.network.nodes if (chosen := _chosen(case, node)) is not None}
    plain = {rule for _, rule in found} & {"epsilon", "z-plus"}
    if len(dict(found)) < len(found) or len(plain) > 1:
        raise NotOffered("DynamicLRP has one rule for all convolutions, one for all linear layers, and z-plus for both")
    gamma = {kind: rule for kind, rule in found if isinstance(rule, float)}
    return {
        "use_gamma": ("convolution" in gamma, "linear" in gamma),
        "conv_gamma": gamma.get("convolution", 0.0),
        "mm_gamma": gamma.get("linear", 0.0),
        "use_z_plus": "z-plus" in plain,
        "use_attn_lrp": ("factors", "half") in found,
    }


def _chosen(case: Case, node: Node) -> Chosen | None:
    """What a node asks of the engine, None for nothing; raises NotOffered."""
    layer, rule = node.layer, case.rules.get(node.name)
    if isinstance(layer, _ACTIVATIONS + _MOVES + (layers.Softmax,)):
        return None
    if isinstance(layer, LinearLayer) and (found := _stabilizer(rule)) not in (None, 0, EPSILON):
        raise NotOffered(f"DynamicLRP's stabilizer is {EPSILON}, not {found}")
    if _is_without_options(node, rule):
        return None
    if isinstance(layer, layers.MatMul) and layer.split == "half" and isinstance(rule, rules.Zero | rules.Epsilon):
        return ("factors", "half")
    kinds = {"linear": layers.Dense | layers.TokenDense, "convolution": layers.Conv}
    kind = next((kind for kind, types in kinds.items() if isinstance(layer, types)), None)
    if kind is None or rule is None or type(rule) not in _RULES:
        words = "rule" if rule is None else f"rule like {type(rule).__name__}"
        raise NotOffered(f"DynamicLRP has no {words} for {type(layer).__name__}")
    if isinstance(layer, layers.Conv) and layer.window.padding[::2] != layer.window.padding[1::2]:
        raise NotOffered("this adapter does not ask about a different padding on each side")
    if isinstance(rule, rules.Gamma) and not rule.generalised and not _positive(case, *node.inputs):
        raise NotOffered("DynamicLRP's gamma is the generalised rule, plain gamma only for positive inputs")
    return (kind, _RULES[type(rule)](rule))


def _is_without_options(node: Node, rule: Rule | None) -> bool:
    """Whether DynamicLRP always applies this rule to this layer."""
    pairs = (
        (layers.LayerNorm | layers.BatchNorm, rules.Pass),
        (layers.Add | layers.GlobalAvgPool, rules.Absolute),
        (layers.AdaptiveAvgPool1D | layers.AdaptiveAvgPool2D, rules.Flat),
    )
    few = not isinstance(node.layer, layers.Add) or len(node.inputs) == 2
    return few and any(isinstance(node.layer, kind) and isinstance(rule, wanted) for kind, wanted in pairs)


def _stabilizer(rule: Rule | None) -> float | None:
    """What a rule adds to its denominators; None for a rule without any."""
    return getattr(rule, "epsilon", getattr(rule, "stabilizer", None))


def _z_plus(rule: rules.AlphaBeta) -> str:
    if (rule.alpha, rule.beta, rule.empty, rule.bias) != (1, 0, "literal", "keep"):
        raise NotOffered("DynamicLRP has z-plus, which is alpha-beta for (1, 0), without modes")
    return "z-plus"


def _epsilon(rule: rules.Epsilon) -> str:
    if rule.scale is not None:
        raise NotOffered("DynamicLRP's epsilon has no scale")
    return "epsilon"


_RULES: Mapping[type[Rule], Callable[[Any], float | str]] = {
    rules.Zero: lambda rule: "epsilon",
    rules.Epsilon: _epsilon,
    rules.ZPlus: lambda rule: "z-plus",
    rules.AlphaBeta: _z_plus,
    rules.Gamma: lambda rule: float(rule.gamma),
}


# ---- promises --------------------------------------------------------------------------------------------------

_SOFTMAX = 'paper, 2.2.2: "The relevance at the input layer of the softmax is defined as", x_i (R_i - s_i sum_j R_j)'
_GAMMA = "x_i (w_ji + gamma w_ji^+) R_j / sum_i x_i (w_ji + gamma w_ji^+)"
_WORDS: Mapping[type[Rule], str] = {
    rules.Zero: 'paper, 2.1: "the epsilon rule", x_i w_ji R_j / (z_j + epsilon)',
    rules.Epsilon: 'paper, 2.1: "the epsilon rule", x_i w_ji R_j / (z_j + epsilon)',
    rules.ZPlus: 'README: "the Z+-LRP rule, which clamps all contributions to only be positive"',
    rules.AlphaBeta: 'README: "the Z+-LRP rule, which clamps all contributions to only be positive"',
    rules.Gamma: f'paper, 2.2.1: "the gamma-LRP rule was introduced by Montavon et al.", {_GAMMA}',
    rules.Absolute: 'paper, 4.2: "using absolute value ratios", R_a = R_c |a| / (|a| + |b|)',
}
"""Short quotations from commit 0535f39: its README, and the source of its paper."""


def _quotation(case: Case, node: Node) -> str | None:
    """The quotation for the rule of a node, "" if none is needed; None if it does not cover the layer."""
    layer, rule = node.layer, case.rules[node.name]
    if isinstance(rule, rules.Pass):
        return ""
    if isinstance(layer, layers.MatMul):
        return 'paper, 2.2.2: "Bilinear Attention Matrix Multiplication", A_ji V_ip R_jp / (2 O_jp + epsilon)'
    if isinstance(layer, layers.Add):
        return _WORDS.get(type(rule))
    if not isinstance(layer, WeightedLayer) or getattr(layer, "bias", None) is not None:
        return None
    if isinstance(rule, rules.Gamma) and not _positive(case, *node.inputs, node.name):
        return None  # the README favours the sign of z, the paper positive weights
    return _WORDS.get(type(rule))


def _positive(case: Case, *names: str) -> bool:
    """Whether the outputs of these nodes are at least 0."""
    z = case.network.activations(case.input)
    return all(bool(np.all(to_numpy(z[name]) >= 0)) for name in names)


def adapter() -> DynamicLrp:
    """Make the adapter; the folder of DynamicLRP must be on the path, and torch installed."""
    return DynamicLrp()
