"""Convert PyTorch's activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isinf
from typing import Any

from ...layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Clip,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
    Threshold,
)
from ..graph import require
from .call import Call


def _activation(kind: type[Layer], **defaults: Any) -> Callable[[Call], list[Layer]]:
    """Return the conversion to a layer whose parameters are the operation's arguments of these names, in order."""

    def convert(call: Call) -> list[Layer]:
        given = {name: default if call[name] is None else call[name] for name, default in defaults.items()}
        return [kind(*(float(value) if isinstance(value, int) else value for value in given.values()))]

    return convert


def _clamp(call: Call) -> list[Layer]:
    bounds = (None if (bound := call.constant(name)) is None else bound.tolist() for name in ("min", "max"))
    return _clip(*bounds)


def _clip(low: float | None, high: float | None) -> list[Layer]:
    """Return the layer that clips to [low, high], none if it clips nothing."""
    low, high = (None if bound is None or isinf(bound) else float(bound) for bound in (low, high))
    if low == 0 and high in (None, 6):
        return [ReLU() if high is None else ReLU6()]
    return [] if low is high is None else [Clip(low, high)]


def _hardtanh(call: Call) -> list[Layer]:
    low, high = (fallback if call[name] is None else call[name] for name, fallback in HARDTANH.items())
    return _clip(low, high) if isinf(low) or isinf(high) else [HardTanh(float(low), float(high))]


HARDTANH = {"min_val": -1.0, "max_val": 1.0}
"""The bounds of torch's hardtanh."""


def _leaky_relu(call: Call) -> list[Layer]:
    return [LeakyReLU(0.01 if call["negative_slope"] is None else float(call["negative_slope"]))]


def _prelu(call: Call) -> list[Layer]:
    weight = call.weight("weight").reshape(-1)
    return [PReLU(weight if weight.size > 1 else float(weight[0]))]


def _rrelu(call: Call) -> list[Layer]:
    require(not call["training"], "this rrelu is random in eval mode; pass training=self.training")
    lower, upper = (fallback if call[name] is None else call[name] for name, fallback in RRELU.items())
    return [LeakyReLU((lower + upper) / 2)]


RRELU = {"lower": 1 / 8, "upper": 1 / 3}
"""The bounds of torch's random slope; in eval mode it is their mean."""


def _local_response_norm(call: Call) -> list[Layer]:
    defaults = {"alpha": 1e-4, "beta": 0.75, "k": 1.0}
    given = (default if call[name] is None else call[name] for name, default in defaults.items())
    return [LocalResponseNorm(call["size"], *given)]


PARAMETERS: Mapping[str, str] = {
    "celu": "input alpha inplace",
    "clamp": "input min max",
    "clamp_max": "input max",
    "elu": "input alpha inplace",
    "gelu": "input approximate",
    "hardsigmoid": "input inplace",
    "hardswish": "input inplace",
    "hardtanh": "input min_val max_val inplace",
    "leaky_relu": "input negative_slope inplace",
    "local_response_norm": "input size alpha beta k",
    "mish": "input inplace",
    "prelu": "input weight",
    "relu": "input inplace",
    "relu6": "input inplace",
    "rrelu": "input lower upper training inplace",
    "selu": "input inplace",
    "sigmoid": "input",
    "silu": "input inplace",
    "softplus": "input beta threshold",
    "softsign": "input",
    "tanh": "input",
    "threshold": "input threshold value inplace",
}

MODULES: Mapping[str, str] = {
    "CELU": "celu",
    "ELU": "elu",
    "GELU": "gelu",
    "Hardsigmoid": "hardsigmoid",
    "Hardswish": "hardswish",
    "Hardtanh": "hardtanh",
    "LeakyReLU": "leaky_relu",
    "LocalResponseNorm": "local_response_norm",
    "Mish": "mish",
    "PReLU": "prelu",
    "RReLU": "rrelu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SELU": "selu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "Threshold": "threshold",
}

SPELLINGS: Mapping[str, str] = {"clamp_max": "clamp", "clamp_min": "clamp", "clip": "clamp"}

OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "celu": _activation(CELU, alpha=1.0),
    "clamp": _clamp,
    "elu": _activation(ELU, alpha=1.0),
    "gelu": _activation(GELU, approximate="none"),
    "hardsigmoid": _activation(HardSigmoid),
    "hardswish": _activation(HardSwish),
    "hardtanh": _hardtanh,
    "leaky_relu": _leaky_relu,
    "local_response_norm": _local_response_norm,
    "mish": _activation(Mish),
    "prelu": _prelu,
    "relu": lambda call: [ReLU()],
    "relu6": lambda call: [ReLU6()],
    "rrelu": _rrelu,
    "selu": _activation(SELU),
    "sigmoid": lambda call: [Sigmoid()],
    "silu": _activation(SiLU),
    "softplus": _activation(Softplus, beta=1.0, threshold=20.0),
    "softsign": _activation(Softsign),
    "tanh": lambda call: [Tanh()],
    "threshold": _activation(Threshold, threshold=None, value=None),
}
