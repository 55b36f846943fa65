"""Signals and volumes: lrpref compared live with zennit and captum, on one and three spatial axes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import lrpref
from lrpref.rules import Epsilon

from .conftest import INSTALLED
from .pairs import PAIRS, on_weighted

TOLERANCE = 1e-10
TARGET = np.array([0, 1, 2])


def module(axes: int, pools: bool = True) -> tuple[Any, np.ndarray]:
    """Two convolutions, strided and in groups, with pools and a BatchNorm between them if asked for, and a Linear."""
    import torch
    from torch import nn

    torch.manual_seed(11)
    conv, norm = getattr(nn, f"Conv{axes}d"), getattr(nn, f"BatchNorm{axes}d")(4)
    most, mean = getattr(nn, f"MaxPool{axes}d"), getattr(nn, f"AvgPool{axes}d")
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    first, second = conv(2, 4, 3, padding=1), conv(4, 6, 2, stride=2, groups=2)
    layers = [first, norm, nn.ReLU(), mean(2), second, nn.ReLU(), most(2, 1)] if pools else [first, nn.ReLU(), second]
    x = torch.randn(3, 2, *(8,) * axes)
    features = nn.Sequential(*layers)(x).flatten(1).shape[1]

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.fc = nn.Sequential(*layers), nn.Linear(features, 3)

        def forward(self, x: Any) -> Any:
            return self.fc(torch.flatten(self.features(x), 1))  # captum has no rule for nn.Flatten

    return Classifier().eval().double(), x.double().numpy()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest relative L2 distance of a sample."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return float(max(np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)))


@pytest.mark.skipif(not INSTALLED, reason="torch and zennit are not installed (see tests/agreement/README.md)")
@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("pair", [name for name, pair in PAIRS.items() if not pair.bias_free])
def test_zennit_on_signals_and_volumes(axes: int, pair: str) -> None:
    from . import zennit_side

    (twin, x), asked = module(axes), PAIRS[pair]
    composite = zennit_side.make(asked.zennit, asked.arguments)
    net = lrpref.from_torch(twin, x)
    output, R = zennit_side.relevance(twin, composite, x, TARGET, "logit")
    np.testing.assert_allclose(net(x), output, rtol=1e-10)
    found = lrpref.explain(net, x, target=TARGET, rule=on_weighted(asked.lrpref))
    assert distance(found, R) <= TOLERANCE


@pytest.mark.skipif(find_spec("captum") is None, reason="captum is not installed")
@pytest.mark.parametrize("axes", [1, 3])
def test_captum_on_signals_and_volumes(axes: int) -> None:
    """Captum has no rule of its own for convolutions of signals and volumes, but takes one."""
    import torch
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    twin, x = module(axes, pools=False)
    for part in twin.modules():
        if hasattr(part, "weight"):
            part.rule = EpsilonRule(0.01)
    R = LRP(twin).attribute(torch.tensor(x, requires_grad=True), target=torch.tensor(TARGET))
    found = lrpref.explain(lrpref.from_torch(twin, x), x, target=TARGET, rule=Epsilon(0.01))
    assert distance(found, R.detach().numpy()) <= TOLERANCE
