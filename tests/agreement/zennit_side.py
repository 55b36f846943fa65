"""zennit's side: lrpref networks as torch modules, and their relevance in zennit. Needs torch and zennit."""

from __future__ import annotations

from collections.abc import Mapping
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

from lrpref import Network
from lrpref.conformance.adapters._torch_twin import twin

torch.set_num_threads(1)  # more threads only slow down networks this small

# ---- lrpref's networks as torch modules ------------------------------------------------------------------------


def Twin(net: Network, shared: bool = False) -> nn.Module:  # noqa: N802
    """The torch module of a network, with additions as modules that zennit's composites recognise."""
    return twin(net, add=Sum, stacked=True, shared=shared)


def with_plus(net: Network) -> nn.Module:
    """The same module with every addition as an operator, which hooks do not see."""
    return twin(net)


def without_affine(net: Network) -> nn.Module:
    """The same module with every BatchNorm stripped of weight and bias."""
    module = Twin(net)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight = norm.bias = None
    return module


def tensor(values: Any) -> torch.Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


# ---- relevance -------------------------------------------------------------------------------------------------


def make(name: str, arguments: Mapping[str, Any], merge: bool = False) -> Composite:
    """Return zennit's composite of that name or, for the name of a rule, the rule on all linear layers, as in lrpref.

    Parameters
    ----------
    name : str
        The name of a composite or a rule of zennit.
    arguments : mapping
        Its arguments; a dictionary among them stands for a `Stabilizer`.
    merge : bool
        Whether to merge BatchNorm into the layer before it.
    """
    values = {k: Stabilizer(**v) if isinstance(v, Mapping) else v for k, v in arguments.items()}
    merging = [canonizers.SequentialMergeBatchNorm()] if merge else []
    if hasattr(rules, name):
        return bare(getattr(rules, name)(**values), Pass() if merge else Norm(), merging)
    return getattr(zennit.composites, name)(**values, canonizers=merging)


def bare(rule: Any, batch_norm: Any, merging: list[Any] | None = None) -> Composite:
    """`rule` on all linear layers; activations are under Pass, additions and average pools under Norm."""
    layer_map = [(Activation, Pass()), (Sum, Norm()), (AvgPool, Norm()), (BatchNorm, batch_norm), (Linear, rule)]
    return LayerMapComposite(layer_map, merging)


def relevance(
    module: nn.Module, composite: Composite, x: np.ndarray, target: np.ndarray, seed: str
) -> tuple[np.ndarray, np.ndarray]:
    """The module's output, and zennit's relevance of x for output `target` of each sample.

    `seed` is "logit" or "one", as in `lrpref.explain`.
    """

    def start(output: torch.Tensor) -> torch.Tensor:
        chosen = nn.functional.one_hot(torch.tensor(target), output.shape[1]).to(output)
        return chosen * output.detach() if seed == "logit" else chosen

    output, R = Gradient(module, composite)(torch.tensor(x, requires_grad=True), start)
    return output.detach().numpy(), R.detach().numpy()


def relevance_of_everything(module: nn.Module, composite: Composite, x: np.ndarray) -> np.ndarray:
    """zennit's relevance with its attributor's default start: the whole output."""
    return Gradient(module, composite)(torch.tensor(x, requires_grad=True))[1].detach().numpy()
