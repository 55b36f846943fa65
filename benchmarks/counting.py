"""How many convolutions a peer computes under a rule: `python -m benchmarks.counting`.

Convolutions are counted as torch dispatches them. The network has a single convolution, so every counted call is one
pass over its multiply-adds: forward with some weights, or backward to the input or to the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from lrpref import Conv2D, Dense, Flatten, Network, ReLU, rules
from lrpref.conformance.adapters._torch_twin import module_name, twin

from .limit import PRODUCTS
from .peers import Torch, installed
from .report import table

ZENNIT: dict[type[rules.Rule], tuple[str, dict[str, float]]] = {
    rules.Epsilon: ("Epsilon", {}),
    rules.ZPlus: ("ZPlus", {}),
    rules.Gamma: ("Gamma", {}),
    rules.AlphaBeta: ("AlphaBeta", {"alpha": 2, "beta": 1}),
    rules.ZBox: ("ZBox", {"low": 0, "high": 1}),
    rules.Flat: ("Flat", {}),
}
CAPTUM: dict[type[rules.Rule], str] = {
    rules.Epsilon: "EpsilonRule",
    rules.ZPlus: "Alpha1_Beta0_Rule",
    rules.Gamma: "GammaRule",
}


def network() -> Network:
    """One convolution and a Dense layer."""
    rng = np.random.default_rng(0)
    conv = Conv2D(rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3), padding=1)
    return Network.sequential(conv, ReLU(), Flatten(), Dense(rng.standard_normal((4, 75))), names=["c", "r", "f", "d"])


def counted(run: Callable[[Torch], object]) -> int:
    """The passes of convolutions while `run` explains one image of two channels."""
    torch, passes = import_module("torch"), 0
    mode: Any = import_module("torch.utils._python_dispatch").TorchDispatchMode

    class Counting(mode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal passes
            name = function.overloadpacket.__name__
            if name == "convolution":
                passes += 1
            if name == "convolution_backward":  # to the input, to the weights; a bias needs no convolution
                passes += sum(args[-1][:2])
            return function(*args, **(kwargs or {}))

    x = torch.rand(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    with Counting():
        run(x)
    return passes


def of_zennit(rule: type[rules.Rule]) -> int:
    """zennit's passes with a rule on the convolution and epsilon on the Dense layer."""
    zennit, types = import_module("zennit.rules"), import_module("zennit.types")
    name, arguments = ZENNIT[rule]
    torch = import_module("torch")
    bounds = {k: torch.tensor(float(v)) if k in ("low", "high") else v for k, v in arguments.items()}
    layers = [(types.Activation, zennit.Pass()), (types.Convolution, getattr(zennit, name)(**bounds))]
    composite = import_module("zennit.composites").LayerMapComposite([*layers, (types.Linear, zennit.Epsilon())])
    module = twin(network()).requires_grad_(False)
    start = torch.eye(4, dtype=torch.float64)[:1]
    with import_module("zennit.attribution").Gradient(module, composite) as attributor:
        return counted(lambda x: attributor(x, start))


def of_captum(rule: type[rules.Rule]) -> int:
    """captum's passes, counted in the same way."""
    captum, module = import_module("captum.attr._utils.lrp_rules"), twin(network())
    module.get_submodule(module_name("c")).rule = getattr(captum, CAPTUM[rule])()
    module.get_submodule(module_name("d")).rule = captum.EpsilonRule()
    return counted(lambda x: import_module("captum.attr").LRP(module).attribute(x, target=0))


def main() -> None:
    """Print the table."""
    rows = []
    for rule in ZENNIT:
        zennit = str(of_zennit(rule)) if installed("zennit") else "?"
        captum = (str(of_captum(rule)) if installed("captum") else "?") if rule in CAPTUM else "not offered"
        rows.append([rule.name, str(PRODUCTS[rule]), zennit, captum])
    print(table("Convolutions for one explanation, forward included", ["rule", "needed", "zennit", "captum"], rows))


if __name__ == "__main__":
    main()
