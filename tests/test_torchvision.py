"""Architectures of torchvision, with random weights: imported, and right on another input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lrpref

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
try:
    from torchvision import models
except Exception as error:  # absent, replaced by empty classes for zennit, or built for another version of torch
    pytest.skip(f"torchvision cannot be imported: {error}", allow_module_level=True)

ARCHITECTURES: dict[str, tuple[int, dict[str, Any]]] = {
    "alexnet": (224, {}),
    "convnext_tiny": (64, {}),
    "densenet121": (64, {}),
    "efficientnet_b0": (64, {}),
    "inception_v3": (128, {"aux_logits": False, "init_weights": False}),
    "mnasnet0_5": (64, {}),
    "mobilenet_v2": (64, {}),
    "regnet_x_400mf": (64, {}),
    "resnet18": (64, {}),
    "resnext50_32x4d": (64, {}),
    "vgg11_bn": (224, {}),
}
"""The size of the example, and the settings, of each."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_is_imported(name: str) -> None:
    size, settings = ARCHITECTURES[name]
    torch.manual_seed(0)
    module = getattr(models, name)(weights=None, **settings).eval()
    net = lrpref.from_torch(module, torch.randn(1, 3, size, size))
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = module(x).numpy()
    np.testing.assert_allclose(net.forward(x.numpy()), expected, rtol=0, atol=1e-4 * abs(expected).max())
