"""Sixty networks written as people write them are imported by `from_torch` and through ONNX, or refused by name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")

from tests.written_networks import NETWORKS

ROOT = Path(__file__).parent.parent
REFUSED = {"lstm": "recurrent layers are not imported"}
"""The networks that `from_torch` refuses, and what it says."""
NOT_EXPORTED = {"vgg-adaptive": "not factor of input size", "spectral-norm": "aten::vdot"}
"""The networks that TorchScript does not export to ONNX, and what it says."""
REFUSED_FROM_ONNX = {**REFUSED, **NOT_EXPORTED, "heads": "choose one with output="}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("imported_networks", ROOT / "scripts" / "imported_networks.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


def test_there_are_sixty() -> None:
    assert len(NETWORKS) == 60
    assert len({each.what for each in NETWORKS.values()}) == 60


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_from_torch_is_right_or_refuses(name: str, script: ModuleType) -> None:
    """Forward pass, LRP-0 against gradient times input where that is a law, and the books."""
    outcome = script.outcome(name, "torch")
    if name in REFUSED:
        assert REFUSED[name] in outcome.error
    else:
        assert outcome.right("torch"), outcome


@pytest.mark.filterwarnings("ignore")  # those of the exporter
@pytest.mark.parametrize("name", NETWORKS)
def test_what_torchscript_exports_is_right_or_refused(name: str, script: ModuleType) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")
    outcome = script.outcome(name, "TorchScript")
    if name in REFUSED_FROM_ONNX:
        assert REFUSED_FROM_ONNX[name] in outcome.error
    else:
        assert outcome.right("TorchScript"), outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "mobilenet-v3", "unet-bilinear", "shufflenet", "tcn", "two-inputs", "vit"])
def test_what_dynamo_exports_is_right(name: str, script: ModuleType) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    assert script.outcome(name, "dynamo").right("dynamo")


def test_a_wrong_network_would_be_noticed(script: ModuleType) -> None:
    assert not script.Outcome(forward=1e-8).right("torch")
    assert not script.Outcome(gradient=1e-9).right("torch")
    assert not script.Outcome(books=1e-8).right("torch")
    assert not script.Outcome(error="refused").right("torch")
    assert script.Outcome().right("torch")


def test_the_page_lists_all(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    for name, network in NETWORKS.items():
        [line] = [line for line in page.splitlines() if line.startswith(f"| {network.what} |")]
        assert line.split(" | ")[2] == ("refused" if name in REFUSED else "✓")
    assert f"{60 - len(REFUSED)} of 60 by from_torch" in page
