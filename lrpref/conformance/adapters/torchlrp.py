"""The adapter of TorchLRP (github.com/fhvilshoj/TorchLRP).

TorchLRP has modules for Linear, Conv2d and MaxPool2d that take a rule by name when they are called; epsilon and gamma
are fixed at 0.1. All other modules are torch's own, and relevance passes through them as a gradient. This is correct
for activations whose output is their input or 0, for flattening and for max-pooling. A case must therefore use these
constants, and alpha-beta without bias ("Biases are currently ignored in the alphabeta-rule implementations").

TorchLRP is not a package: `lrp` is a folder of its repository, which must be on the path.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ... import layers, rules
from ...layers import Elementwise, LinearLayer
from ...network import Node
from ..adapter import NotOffered
from ..case import Case
from . import _asking as asking
from . import _torch_twin as torch_twin

HOW = (
    "TorchLRP is not on a package index: git clone https://github.com/fhvilshoj/TorchLRP, check out 74253a1, add the "
    "clone to PYTHONPATH, and install torch"
)

COMMITS = {"bc3c22bd101b": "74253a1"}
"""The beginning of the SHA-256 of its Python files, sorted by name -> their commit."""

Made = Any
"""A module of TorchLRP."""


class TorchLrp:
    """TorchLRP in the number type of the case's network."""

    library = "torchlrp"

    def __init__(self) -> None:
        module = import_module("lrp")
        if not hasattr(module, "convert_vgg"):
            raise ImportError(f"the package lrp in {module.__path__} is not TorchLRP")
        self.version = asking.commit(Path(module.__path__[0]), COMMITS)

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of the input: its gradient after the backward pass."""
        net = case.network
        if asking.is_shared(net):
            raise NotOffered("this adapter does not ask about layers shared by several nodes")
        names = {node.name: _rule(case, node) for node in net.nodes}
        module = torch_twin.twin(net)
        for name, rule in names.items():
            if rule is not None:
                place = torch_twin.module_name(name)
                setattr(module, place, _explained()(getattr(module, place), rule))
        x = torch_twin.tensor(case.input, net).requires_grad_(True)
        module(x).backward(torch_twin.tensor(asking.start(case), net))
        return np.asarray(x.grad.detach().numpy(), dtype=np.float64)

    def promise(self, case: Case) -> str | None:
        """The README: "some of the LRP rules, [1, 2, 3], for linear layers and convolutional layers"."""
        words = asking.quotations(case, lambda case, node: _WORDS.get(type(case.rules[node.name])))
        uncovered = words is None or asking.is_shared(case.network) or asking.divides_by_zero(case)
        return None if uncovered else words


@cache
def _explained() -> Any:
    """A module that calls TorchLRP's counterpart of a module of torch with its rule."""
    nn: Any = import_module("torch.nn")
    lrp = import_module("lrp")

    class Explained(nn.Module):  # type: ignore[misc]
        def __init__(self, module: Any, rule: str) -> None:
            super().__init__()
            kind = lrp.Linear if isinstance(module, nn.Linear) else lrp.Conv2d
            self.module, self.rule = kind.from_torch(module).to(module.weight.dtype), rule
            self.module.load_state_dict(module.state_dict())  # from_torch rounds to float32

        def forward(self, x: Any) -> Any:
            return self.module(x, explain=True, rule=self.rule)

    return Explained


# ---- rule by rule ----------------------------------------------------------------------------------------------


def _rule(case: Case, node: Node) -> str | None:
    """TorchLRP's name for the rule of a node, None if the gradient routes relevance; raises NotOffered."""
    layer = node.layer
    if isinstance(layer, Elementwise) and not isinstance(layer, layers.ReLU):
        raise NotOffered(f"TorchLRP has no rule for {type(layer).__name__}, and takes its gradient")
    if not isinstance(layer, LinearLayer):
        return None
    if not isinstance(layer, layers.Dense | layers.Conv2D):
        raise NotOffered(f"TorchLRP has no rule for {type(layer).__name__}")
    if isinstance(layer, layers.Conv2D) and len(set(layer.window.padding)) > 1:
        raise NotOffered("this adapter does not ask about a different padding on each side")
    rule = case.rules[node.name]
    if isinstance(rule, rules.Epsilon):
        return _named("epsilon", rule.scale is None and rule.epsilon == 0.1, "only an epsilon of 0.1")
    if isinstance(rule, rules.Gamma):
        offered = rule.gamma == 0.1 and not rule.generalised and rule.stabilizer in (0, 0.1)
        name = "gamma+epsilon" if rule.stabilizer else "gamma"
        return _named(name, offered, "only a plain gamma of 0.1")
    if isinstance(rule, rules.AlphaBeta | rules.ZPlus):
        return _alpha_beta(rule, getattr(layer, "bias", None) is not None)
    raise NotOffered(f"TorchLRP has no rule like {type(rule).__name__}")


def _named(name: str, offered: bool, words: str) -> str:
    if not offered:
        raise NotOffered(f"TorchLRP has {words}")
    return name


def _alpha_beta(rule: rules.AlphaBeta | rules.ZPlus, with_bias: bool) -> str:
    """ "alpha1beta0" or "alpha2beta1", for layers or rules without bias; raises NotOffered."""
    alpha = rule.alpha if isinstance(rule, rules.AlphaBeta) else 1  # beta is alpha - 1
    name = {1: "alpha1beta0", 2: "alpha2beta1"}.get(int(alpha), "") if alpha == int(alpha) else ""
    literal = getattr(rule, "empty", "literal") == "literal" and not rule.stabilizer
    _named(name, bool(name) and literal, "alpha-beta only for (1, 0) and (2, 1), without a stabilizer or modes")
    kept = with_bias and getattr(rule, "bias", "keep") == "keep"
    return _named(name, not kept, "alpha-beta only without the bias, as its README says")


_README = 'README: "Implemented rules"'
_WORDS: Mapping[type, str] = {
    rules.Epsilon: f'{_README}: "epsilon-rule", "epsilon fixed to 1e-1" [Bach et al. 2015]',
    rules.Gamma: f'{_README}: "gamma-rule", "gamma fixed to 1e-1" [Montavon et al. 2019]',
    rules.AlphaBeta: f'{_README}: "alpha=1 beta=0", "alpha=2 beta=1" [Bach et al. 2015]',
    rules.ZPlus: f'{_README}: "alpha=1 beta=0" [Bach et al. 2015]',
}
"""Short quotations from the README of commit 74253a1, with the paper it cites in brackets."""


def adapter() -> TorchLrp:
    """Make the adapter; the folder of TorchLRP must be on the path, and torch installed."""
    return TorchLrp()
