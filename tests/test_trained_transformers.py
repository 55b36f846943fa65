"""The trained transformers: what they compute, what they explain, and the same from PyTorch, from ONNX and by LXT."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import composites
from lrpref.conformance import Case, load_adapter
from lrpref.conformance.adapter import AdapterError
from lrpref.differences.conventions import EpsilonOfSum, Unsigned
from lrpref.zoo import text

ROOT = Path(__file__).parent.parent
README = " ".join((ROOT / "weights" / "README.md").read_text(encoding="utf-8").split())
NAMES = ("mnist-vit", "review-transformer")


def inputs(name: str) -> dict[str, np.ndarray]:
    """The embedded samples that a network takes."""
    told = lrpref.weights.metadata(name)["input"]
    if "words" in told:
        return {which: text.indices(which, told["words"]) for which in text.SENTENCES}
    return {which: lrpref.samples.load(which) for which in lrpref.samples.names(told["shape"])}


def wilson(right: int, of: int) -> str:
    """A proportion with its 95 % interval (Wilson 1927, J. Am. Stat. Assoc. 22:209) as the page writes it."""
    z, p = 1.96, right / of
    middle, half = p + z**2 / (2 * of), z * np.sqrt(p * (1 - p) / of + z**2 / (4 * of**2))
    low, high = ((middle + side * half) / (1 + z**2 / of) for side in (-1, 1))
    return f"{100 * p:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_pytorch(name: str) -> None:
    net, told = lrpref.load(name), lrpref.weights.metadata(name)["expected_logits"]
    assert net.dtype == np.float32
    assert lrpref.weights.find(name).stat().st_size < 1_000_000
    assert list(told) == list(inputs(name))
    for which, x in inputs(name).items():
        # float32: about fifty roundings of 6e-8 in a row, on activations of up to 10
        assert_allclose(net.forward(x)[0], told[which], rtol=0, atol=1e-5)
        assert_allclose(net.astype(np.float64).forward(x)[0], told[which], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_the_numbers_of_the_file(name: str) -> None:
    net, about = lrpref.load(name), lrpref.weights.metadata(name)
    accuracy = dict(about["accuracy"])
    share, (tested,) = accuracy.pop("test"), accuracy.values()
    size = lrpref.weights.find(name).stat().st_size
    numbers = sum(array.size for array in net.parameters.values())
    for told in (wilson(round(share * tested), tested), f"{tested:,}", f"| {numbers:,} | {size / 1000:.0f} kB |"):
        assert told in README


def test_the_sentences_are_read_as_people_rate_them_but_one() -> None:
    about = lrpref.weights.metadata("review-transformer")
    net = lrpref.load("review-transformer")
    said = {which: about["classes"][int(net.forward(x).argmax())] for which, x in inputs("review-transformer").items()}
    rated = {which: rating for which, (_, rating) in text.SENTENCES.items()}
    assert [which for which in rated if said[which] != rated[which]] == ["review-hard"]


# ---- relevance ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["attn-lrp", "cp-lrp", "zero"])
@pytest.mark.parametrize("name", NAMES)
def test_the_books_close(name: str, rule: str) -> None:
    """Every entry at rounding: relative to the largest relevance anywhere, since cancellation may raise it."""
    net = lrpref.load(name).astype(np.float64)
    for x in list(inputs(name).values())[-3:]:
        tr = lrpref.trace(net, x, rule=rule)
        assert tr.relevance.shape == x.shape
        largest = max(float(abs(R).max()) for R in tr.at.values())
        assert abs(tr.ledger.residual()).max() < 1e-13 * largest


def test_relevance_speaks_of_the_words() -> None:
    """In "a great idea becomes a not great movie", both "great" speak against an unfavourable review."""
    net, x = lrpref.load("review-transformer"), inputs("review-transformer")["review-bad"]
    (R,) = lrpref.explain(net, x, rule="cp-lrp")
    words = text.words("review-bad")
    assert words == ["a", "great", "idea", "becomes", "a", "not", "great", "movie", "."]
    assert R[words.index("great")] < 0 < R[words.index("not")]
    assert R[6] < 0


# ---- the same from elsewhere -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that trained them."""
    pytest.importorskip("torch", reason="torch is not installed")
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("train_transformers", ROOT / "scripts" / "train_transformers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


def module_of(name: str, script: ModuleType) -> Any:
    """The torch module with the weights of a file."""
    import torch

    state = {}
    parts: dict[str, list[Any]] = {}
    renamed = {"cat.tokens": "token", "add.bias": "position"}
    for key, array in lrpref.load(name).parameters.items():
        tensor = torch.from_numpy(np.array(array))
        attention, _, rest = key.partition(".self_attn.")
        kind, _, what = rest.rpartition(".")
        if kind in ("query", "key", "value"):
            parts.setdefault(f"{attention}.self_attn.in_proj_{what}", []).append(tensor)
        else:
            state[f"{attention}.self_attn.out_proj.{what}" if rest else renamed.get(key, key)] = tensor
    state |= {key: torch.cat(tensors) for key, tensors in parts.items()}
    if "token" in state:
        state["token"] = state["token"][None]
    return script.built(name, state)


def as_torch(name: str, x: np.ndarray) -> Any:
    """An input as the module takes it."""
    import torch

    return torch.from_numpy(x).long() if name == "review-transformer" else torch.from_numpy(x)


@pytest.mark.parametrize("name", NAMES)
def test_from_torch_gives_the_file(name: str, script: ModuleType) -> None:
    x, *_ = inputs(name).values()
    net, expected = lrpref.from_torch(module_of(name, script), as_torch(name, x)), lrpref.load(name)
    assert net.names == expected.names
    assert (net.input_shape is None) == (name == "review-transformer")  # sentences of any length
    R = lrpref.explain(net, x, rule="attn-lrp")
    assert np.array_equal(R, lrpref.explain(expected, x, rule="attn-lrp"))


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_from_onnx_gives_the_same_relevance(name: str, dynamo: bool, script: ModuleType, tmp_path: Path) -> None:
    """With the score's scale on queries and keys, and projections in one product: the same rules, up to epsilon."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    x, *_ = inputs(name).values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module_of(name, script), (as_torch(name, x),), tmp_path / "net.onnx", dynamo=dynamo)
    net = lrpref.from_onnx(tmp_path / "net.onnx").astype(np.float64)
    expected = lrpref.explain(lrpref.load(name).astype(np.float64), x, rule=composites.AttnLRP(epsilon=0))
    R = lrpref.explain(net, x, rule=composites.AttnLRP(epsilon=0))
    assert_allclose(R, expected, rtol=0, atol=1e-5 * abs(expected).max())  # weights that exporters combine are rounded


def asked(name: str, x: np.ndarray, composite: composites.Composite) -> Case:
    """The explanation of the largest output, as a question to another library."""
    net = composite.read(lrpref.load(name).astype(np.float64))
    target, rules = int(net.forward(x).argmax()), composite.assign(net)
    return Case(name, 0, "", "", "relevance", (), net, x.astype(np.float64), "logit", target, rules)


@pytest.mark.parametrize("name", NAMES)
def test_lxt_agrees(name: str) -> None:
    """Without epsilon to rounding; with one, it adds it whatever the sign of z, and to the sum of a mean."""
    try:
        lxt = load_adapter("lxt")
    except AdapterError as error:
        pytest.skip(str(error))
    x = list(inputs(name).values())[1]
    case = asked(name, x, composites.AttnLRP(epsilon=0))
    R = lrpref.explain(case.network, x, rule=composites.AttnLRP(epsilon=0))
    assert_allclose(lxt.explain(case), R, rtol=0, atol=1e-12 * abs(R).max())
    case = asked(name, x, composites.AttnLRP(epsilon=1e-6))
    theirs = lxt.explain(case)
    R = lrpref.explain(case.network, x, rule=composites.AttnLRP(epsilon=1e-6))
    assert abs(theirs - R).max() > 1e-6 * abs(R).max()
    means = {node: EpsilonOfSum(1e-6) for node, layer, _ in case.network.nodes if isinstance(layer, lrpref.Mean)}
    explained = [(node, means.get(node) or Unsigned(rule)) for node, rule in case.rules.items()]
    R = lrpref.explain(case.network, x, rule=composites.Composite(explained))
    assert_allclose(theirs, R, rtol=0, atol=1e-6 * abs(R).max())
