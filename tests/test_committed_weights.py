"""The trained networks: they compute what PyTorch computed, and weights/README.md tells the truth about them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, Flatten, LinearLayer, MaxPool2D, Network, ReLU

ROOT = Path(__file__).parent.parent
README = (ROOT / "weights" / "README.md").read_text()
NAMES = lrpref.weights.names()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each network by its bare name."""
    found: str = request.param
    return found


# ---- the files -------------------------------------------------------------------------------------------------


def expected(name: str) -> dict[str, list[float]]:
    """The logits that PyTorch gave in float32, by sample."""
    logits: dict[str, list[float]] = lrpref.weights.metadata(name)["expected_logits"]
    return logits


def test_the_file_is_in_the_repository(name: str) -> None:
    # Compared by content: an installed lrpref brings its own copies.
    assert lrpref.weights.find(name).read_bytes() == (ROOT / "weights" / f"{name}.npz").read_bytes()
    assert sorted(path.stem for path in (ROOT / "weights").glob("*.npz")) == NAMES


def test_it_loads_as_a_network_in_float32(name: str) -> None:
    net = lrpref.load(name)
    assert net.dtype == np.float32
    assert net.backend == "numpy"
    assert net.shapes((5, 1, 28, 28))[net.output] == (5, 10)
    assert any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes) == name.endswith("-bn")


def test_a_saved_copy_is_the_same_file_over_again(name: str, tmp_path: Path) -> None:
    net = lrpref.load(name)
    lrpref.save(net, tmp_path / "copy.npz", lrpref.weights.metadata(name))
    copy = lrpref.load(tmp_path / "copy.npz")
    assert [(n, type(layer), i) for n, layer, i in copy.nodes] == [(n, type(layer), i) for n, layer, i in net.nodes]
    assert {k: v.tobytes() for k, v in copy.parameters.items()} == {k: v.tobytes() for k, v in net.parameters.items()}
    assert lrpref.weights.metadata(tmp_path / "copy.npz") == lrpref.weights.metadata(name)


def test_every_embedded_sample_has_expected_logits(name: str) -> None:
    assert list(expected(name)) == lrpref.samples.names()


def random_walk(net: Network) -> float:
    """How many roundings of u = eps/2, relative to its size, an output is likely to carry.

    A sum of n products is rounded n times, up or down by chance, which comes to sqrt(n) u of its size (Higham and
    Mary 2019, SIAM J. Sci. Comput. 41:A2815); ReLU and max-pooling add nothing, and layers add up.
    """
    shapes = net.shapes((1, 1, 28, 28))
    fans = [layer.fan_in(shapes[inputs[0]]) for _, layer, inputs in net.nodes if isinstance(layer, LinearLayer)]
    return float(np.sqrt(fans).sum())


@pytest.mark.parametrize("sample", lrpref.samples.names())
def test_logits_are_those_of_pytorch(name: str, sample: str) -> None:
    net, x = lrpref.load(name), lrpref.samples.load(sample)
    logits = np.asarray([expected(name)[sample]])
    # 55 to 90 roundings of 6e-8 on logits of up to 28: 1e-4. Where classes are told apart, logits differ by 1 or more.
    tolerance = random_walk(net) * np.finfo(np.float32).eps / 2 * abs(logits).max()
    assert tolerance < 2e-4
    assert_allclose(net.forward(x), logits, rtol=0, atol=tolerance)
    assert_allclose(net.astype(np.float64).forward(x), logits, rtol=0, atol=tolerance)
    assert_allclose(lrpref.fuse(net).forward(x), logits, rtol=0, atol=2 * tolerance)


def test_one_wrong_weight_would_be_noticed(name: str) -> None:
    # What the tolerance above is worth: the largest weight of the last layer, off by a thousandth of itself.
    net, sample = lrpref.load(name), "digit-8"
    *before, (end, last, inputs) = net.nodes
    weight = last.weight.copy()  # type: ignore[attr-defined]
    weight[np.unravel_index(abs(weight).argmax(), weight.shape)] *= 1.001
    spoiled = Network([*before, (end, Dense(weight, last.bias), inputs)])  # type: ignore[attr-defined]
    logits = np.asarray([expected(name)[sample]])
    tolerance = random_walk(net) * np.finfo(np.float32).eps / 2 * abs(logits).max()
    x = np.concatenate([lrpref.samples.load(s) for s in lrpref.samples.names()])
    assert abs(spoiled.forward(x) - net.forward(x)).max() > tolerance


def test_the_recorded_accuracy(name: str) -> None:
    accuracy = lrpref.weights.metadata(name)["accuracy"]
    assert accuracy["images"] == 10_000
    assert accuracy["test"] >= (0.99 if name.startswith("mnist-cnn") else 0.985)


def official_digits() -> Path | None:
    """The official digits, if they are anywhere: in the folder $LRPREF_DATA, or in one beside the checkout."""
    folders = [os.environ.get("LRPREF_DATA"), ROOT.parent / "shared" / "data"]
    return next((Path(f) / "mnist.npz" for f in folders if f and (Path(f) / "mnist.npz").is_file()), None)


@pytest.mark.skipif(official_digits() is None, reason="needs the official digits: LRPREF_DATA=FOLDER_OF_MNIST_NPZ")
def test_the_accuracy_of_mnist_cnn_is_what_the_file_says() -> None:
    net = lrpref.load("mnist-cnn")
    with np.load(official_digits()) as mnist:
        images, labels = mnist["x_test"], mnist["y_test"]
    right = 0
    for start in range(0, len(labels), 250):  # small batches stay in the cache
        x = images[start : start + 250, None].astype(np.float32) / np.float32(255)
        right += int((net.forward(x).argmax(axis=1) == labels[start : start + 250]).sum())
    recorded = lrpref.weights.metadata("mnist-cnn")["accuracy"]["test"]
    assert abs(right / len(labels) - recorded) <= 1e-4  # rounding may tip one digit that stands on the edge


# ---- weights/README.md -----------------------------------------------------------------------------------------


def architecture(net: Network) -> str:
    """The layers in words, as the table has them."""
    words = []
    for _, layer, _ in net.nodes:
        match layer:
            case Conv2D(stride=(1, 1), padding=(1, 1, 1, 1), weight=weight) if weight.shape[2:] == (3, 3):
                words.append(f"conv {weight.shape[0]}")
            case Dense(weight=weight):
                words.append(f"dense {weight.shape[0]}")
            case BatchNorm():
                words.append("BN")
            case MaxPool2D(kernel_size=(2, 2), stride=(2, 2)):
                words.append("pool")
            case ReLU() | Flatten():
                pass
            case _:
                raise AssertionError(f"the table has no word for {layer}")
    return ", ".join(words)


def row(name: str) -> str:
    """A network's line of the table, from its file."""
    net, about, file = lrpref.load(name), lrpref.weights.metadata(name), lrpref.weights.find(name)
    numbers = sum(array.size for array in net.parameters.values())
    cells: list[Any] = [f"[`{file.name}`]({file.name})", architecture(net), f"{about['accuracy']['test']:.2%}"]
    cells += [f"{numbers:,}", f"{file.stat().st_size / 1000:.0f} kB", about["seed"], about["epochs"]]
    return "| " + " | ".join(str(cell).replace("%", " %") for cell in cells) + " |"


def test_the_table_tells_the_truth(name: str) -> None:
    assert row(name) in README


def test_the_table_has_no_other_rows() -> None:
    assert sum(line.startswith("| [") for line in README.splitlines()) == len(NAMES)


def test_the_page_says_how_to_train_it_again(name: str) -> None:
    about = lrpref.weights.metadata(name)
    assert f"\n{about['command']}\n" in README
    assert (ROOT / about["script"]).is_file()
    assert about["framework"] in README.replace("PyTorch (2", "torch 2")


def test_every_network_has_a_card(name: str) -> None:
    assert f"\n### {name}\n" in README


def test_what_the_cards_say_of_all_of_them(name: str) -> None:
    about = lrpref.weights.metadata(name)
    assert about["data"] == "MNIST, 59,987 training images"
    assert "MNIST, 59,987 of the 60,000" in README
    assert len(lrpref.samples.names()) == 60_000 - 59_987
    assert about["input"] == {"range": "[0, 1]", "shape": [1, 28, 28], "layout": "NCHW"}
    assert about["classes"] == [str(digit) for digit in range(10)]
    assert "CC BY-SA 3.0" in about["licence"]
    assert "CC BY-SA 3.0" in README
    assert int(lrpref.load(name).forward(lrpref.samples.load("hard-2")).argmax()) == 7
