"""The other libraries, on the same weights: torch's own forward pass and gradient, zennit, captum.

BatchNorm layers are folded beforehand, as zennit's `SequentialMergeBatchNorm` would, so that no canonizer is timed.
zennit's hooks are registered beforehand too, as in a loop over batches inside `with Gradient(...)`; captum registers
its own at every call. The relevance of output 0 is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from lrpref import Network, composites
from lrpref.composites import Composite
from lrpref.conformance.adapters._torch_twin import module_name, twin
from lrpref.layers import Add, Conv2D, Dense, MaxPool2D

from .subjects import Subject

Torch = Any
Run = Callable[[], Any]

COMPOSITES: Mapping[str, tuple[Callable[[Subject], Composite], str, str | None]] = {
    "epsilon-plus": (lambda s: composites.EpsilonPlus(), "EpsilonPlus", "Alpha1_Beta0_Rule"),
    "epsilon-plus-flat": (lambda s: composites.EpsilonPlusFlat(), "EpsilonPlusFlat", "Alpha1_Beta0_Rule"),
    "epsilon-gamma-box": (lambda s: composites.EpsilonGammaBox(s.low, s.high), "EpsilonGammaBox", "GammaRule"),
    "epsilon-alpha2-beta1": (lambda s: composites.EpsilonAlpha2Beta1(), "EpsilonAlpha2Beta1", None),
}
"""Name -> lrpref's composite for a subject, the name of zennit's, and captum's rule for convolutions.

captum has neither flat nor z-box, so its rule for convolutions is also used on the first layer.
"""


class NotRunError(Exception):
    """A contestant that cannot take part, and the reason."""


def installed(library: str) -> bool:
    """Whether a library and torch are installed."""
    return find_spec("torch") is not None and find_spec(library) is not None


class TorchSide:
    """A case in torch. The functions it returns refer to torch's weights, not to lrpref's.

    Parameters
    ----------
    net : Network
        The network, with its BatchNorm layers folded.
    subject : Subject
        Its input range gives the bounds of the z-box rule.
    x : array, shape (N, C, H, W)
        The input.
    device : str
        "cpu" or "cuda".
    """

    def __init__(self, net: Network, subject: Subject, x: np.ndarray, device: str = "cpu") -> None:
        self.net, self.subject, self.device = net, subject, device
        self.torch: Torch = import_module("torch")
        self.x = self.torch.from_numpy(np.ascontiguousarray(x)).to(device)

    def forward(self) -> Run:
        """The output, without a graph for gradients."""
        torch, x, module = self.torch, self.x, self._module()

        def run() -> Torch:
            with torch.no_grad():
                return module(x)

        return run

    def gradient(self) -> Run:
        """The output, and the gradient of output 0 with respect to the input."""
        x, module = self.x, self._module()

        def run() -> Torch:
            leaf = x.detach().clone().requires_grad_(True)
            module(leaf)[:, 0].sum().backward()
            return leaf.grad

        return run

    def zennit(self, composite: str) -> Run:
        """zennit's relevance under its composite of that name, with its defaults."""
        if not installed("zennit"):
            raise NotRunError("zennit is not installed")
        name, x = COMPOSITES[composite][1], self.x
        made = getattr(import_module("zennit.composites"), name)(**(self._box() if name == "EpsilonGammaBox" else {}))
        module = self._module(import_module("zennit.layer").Sum, stacked=True)
        attributor = import_module("zennit.attribution").Gradient(module, made)
        attributor.__enter__()
        start = self.torch.zeros(self.net.shapes(tuple(x.shape))[self.net.output], dtype=x.dtype, device=x.device)
        start[:, 0] = 1
        return lambda: attributor(x.detach().clone().requires_grad_(True), start)[1]

    def captum(self, composite: str) -> Run:
        """captum's relevance: its rule on convolutions, epsilon on everything else that takes a rule."""
        if not installed("captum"):
            raise NotRunError("captum is not installed")
        convolution = COMPOSITES[composite][2]
        if convolution is None:
            raise NotRunError("captum has alpha-beta for alpha 1, beta 0 only")
        x, captum = self.x, import_module("captum.attr._utils.lrp_rules")
        module = self._module(import_module("captum.attr._utils.custom_modules").Addition_Module)
        method = import_module("captum.attr").LRP(module)
        ruled = [
            (module.get_submodule(module_name(name)), isinstance(layer, Conv2D))
            for name, layer, _ in self.net.nodes
            if isinstance(layer, Conv2D | Dense | MaxPool2D | Add)
        ]

        def run() -> Torch:
            for layer, is_convolution in ruled:  # captum removes the rules after every call
                layer.rule = getattr(captum, convolution)() if is_convolution else captum.EpsilonRule(1e-6)
            return method.attribute(x.detach().clone().requires_grad_(True), target=0)

        return run

    def _module(self, add: Callable[[], Torch] | None = None, stacked: bool = False) -> Torch:
        """The network as a torch module without gradients for its parameters."""
        return twin(self.net, add, stacked).to(self.device).requires_grad_(False)

    def _box(self) -> dict[str, Torch]:
        """The range of the input, for zennit's z-box rule."""
        bounds = {"low": self.subject.low, "high": self.subject.high}
        return {k: self.torch.tensor(v, dtype=self.x.dtype, device=self.x.device) for k, v in bounds.items()}


def as_numpy(found: Torch) -> np.ndarray:
    """A torch tensor as a NumPy array."""
    return np.asarray(found.detach().cpu().numpy())
