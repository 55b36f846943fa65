"""The trained networks compute what PyTorch computed, and weights/README.md describes them correctly."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, Flatten, LinearLayer, MaxPool2D, Network, ReLU, models
from lrpref.zoo.inputs import Normalisation

ROOT = Path(__file__).parent.parent
README = (ROOT / "weights" / "README.md").read_text()
ELSEWHERE = ("brain-unet", "ecg-cnn", "mnist-vit", "review-transformer")
"""The networks of test_small_networks.py and test_trained_transformers.py."""
NAMES = [name for name in lrpref.weights.names() if name not in ELSEWHERE]
MNIST = [name for name in NAMES if name.startswith("mnist")]
CIFAR = [name for name in NAMES if name not in MNIST]

SMALL: dict[str, Any] = {"num_classes": 10, "input_shape": (3, 32, 32), "seed": None}
DEEP = (32, 64, 128, 128)
BUILT: dict[str, Callable[[], Network]] = {
    "mnist-cnn": lambda: models.simple_cnn(seed=None),
    "mnist-cnn-bn": lambda: models.simple_cnn(batch_norm=True, seed=None),
    "cifar-cnn": lambda: models.simple_cnn(DEEP, **SMALL),
    "cifar-cnn-bn": lambda: models.simple_cnn(DEEP, batch_norm=True, **SMALL),
    "resnet20": lambda: models.resnet20("B", seed=None),
    "resnet50": lambda: models.resnet50(width=0.25, stem_pool=True, **SMALL),
    "vgg16": lambda: models.vgg16(width=0.25, **SMALL),
    "vgg16-bn": lambda: models.vgg16(width=0.25, batch_norm=True, **SMALL),
    "vgg19": lambda: models.vgg19(width=0.25, **SMALL),
    "vgg19-bn": lambda: models.vgg19(width=0.25, batch_norm=True, **SMALL),
}
"""The builder of each graph in `lrpref.models`."""

ACCURACY = dict.fromkeys(MNIST, 0.985) | {"mnist-cnn": 0.99, "mnist-cnn-bn": 0.99}
ACCURACY |= {"cifar-cnn": 0.75, "cifar-cnn-bn": 0.8, "resnet20": 0.86, "resnet50": 0.78}
ACCURACY |= dict.fromkeys(["vgg16", "vgg16-bn", "vgg19", "vgg19-bn"], 0.8)
"""The minimum test accuracy of each network. ResNet-50 misses the target of 0.8."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each network."""
    found: str = request.param
    return found


# ---- files -----------------------------------------------------------------------------------------------------


def expected(name: str) -> dict[str, list[float]]:
    """The logits that PyTorch computed in float32, by sample."""
    logits: dict[str, list[float]] = lrpref.weights.metadata(name)["expected_logits"]
    return logits


def shape(name: str) -> tuple[int, ...]:
    """The shape (C, H, W) of a network's input."""
    return tuple(lrpref.weights.metadata(name)["input"]["shape"])


def sample(name: str, which: str) -> np.ndarray:
    """A sample, normalised as the network expects it."""
    normalisation = Normalisation.of(lrpref.weights.metadata(name))
    return lrpref.inputs.read(which, shape(name), normalisation=normalisation)


def everything(name: str) -> np.ndarray:
    """All samples of the network's input shape, in one batch."""
    return np.concatenate([sample(name, which) for which in lrpref.samples.names(shape(name))])


def test_the_file_is_in_the_repository(name: str) -> None:
    # Compare by content: an installed lrpref has its own copies.
    assert lrpref.weights.find(name).read_bytes() == (ROOT / "weights" / f"{name}.npz").read_bytes()
    assert sorted(path.stem for path in (ROOT / "weights").glob("*.npz")) == lrpref.weights.names()


def test_files_are_small() -> None:
    sizes = [lrpref.weights.find(name).stat().st_size for name in NAMES]
    assert max(sizes) < 5_000_000
    assert sum(sizes) < 25_000_000


def test_it_loads_as_a_network_in_float32(name: str) -> None:
    net = lrpref.load(name)
    assert net.dtype == np.float32
    assert net.backend == "numpy"
    assert net.shapes((5, *shape(name)))[net.output] == (5, 10)
    has_norm = any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes)
    assert has_norm == (name.endswith("-bn") or name.startswith("resnet"))


@pytest.mark.parametrize("name", BUILT)
def test_its_graph_is_that_of_a_builder(name: str) -> None:
    net, built = lrpref.load(name), BUILT[name]()
    assert [(n, type(layer), i) for n, layer, i in built.nodes] == [(n, type(layer), i) for n, layer, i in net.nodes]
    assert {k: v.shape for k, v in built.parameters.items()} == {k: v.shape for k, v in net.parameters.items()}


@pytest.mark.parametrize("name", ["mnist-cnn-bn", "mnist-mlp", "resnet20"])  # a few: compression is slow
def test_a_saved_copy_is_the_same_file_over_again(name: str, tmp_path: Path) -> None:
    net = lrpref.load(name)
    lrpref.save(net, tmp_path / "copy.npz", lrpref.weights.metadata(name))
    copy = lrpref.load(tmp_path / "copy.npz")
    assert [(n, type(layer), i) for n, layer, i in copy.nodes] == [(n, type(layer), i) for n, layer, i in net.nodes]
    assert {k: v.tobytes() for k, v in copy.parameters.items()} == {k: v.tobytes() for k, v in net.parameters.items()}
    assert lrpref.weights.metadata(tmp_path / "copy.npz") == lrpref.weights.metadata(name)


# ---- outputs ---------------------------------------------------------------------------------------------------


def test_every_embedded_sample_has_expected_logits(name: str) -> None:
    assert list(expected(name)) == lrpref.samples.names(shape(name))


def tolerance(name: str, net: Network) -> float:
    """Estimate the rounding error of a float32 logit: a number of roundings of u = eps/2 times the largest logit.

    The n roundings in a sum of n products go up or down at random, so its relative error is about sqrt(n) u (Higham
    and Mary 2019, SIAM J. Sci. Comput. 41:A2815). ReLU and max-pooling are exact; the errors of layers add up.
    """
    shapes = net.shapes((1, *shape(name)))
    fans = [layer.fan_in(shapes[inputs[0]]) for _, layer, inputs in net.nodes if isinstance(layer, LinearLayer)]
    largest = max(abs(logit) for logits in expected(name).values() for logit in logits)
    return float(np.sqrt(fans).sum()) * float(np.finfo(np.float32).eps) / 2 * largest


def test_logits_are_those_of_pytorch(name: str) -> None:
    net, x = lrpref.load(name), everything(name)
    logits = np.asarray(list(expected(name).values()))
    # 55 to 1500 roundings of 6e-8 on logits of up to 28; the logits of different classes differ by far more.
    allowed = tolerance(name, net)
    assert allowed < 1e-3
    assert_allclose(net.forward(x), logits, rtol=0, atol=allowed)
    assert_allclose(net.astype(np.float64).forward(x), logits, rtol=0, atol=allowed)
    assert_allclose(lrpref.fuse(net).forward(x), logits, rtol=0, atol=2 * allowed)


@pytest.mark.slow
def test_one_wrong_weight_would_be_noticed(name: str) -> None:
    # The tolerance above is tight enough to detect a one per cent error in the largest product of the last layer.
    net, x = lrpref.load(name), everything(name)
    *before, (end, last, inputs) = net.nodes
    assert isinstance(last, Dense)
    features = net.activations(x)[inputs[0]]
    weight = last.weight.copy()
    weight[np.unravel_index((abs(weight) * features.max(axis=0)).argmax(), weight.shape)] *= 1.01
    spoiled = Network([*before, (end, Dense(weight, last.bias), inputs)])
    assert abs(spoiled.forward(x) - net.forward(x)).max() > tolerance(name, net)


@pytest.mark.parametrize("name", CIFAR)
def test_the_photograph_is_explained_and_the_books_close(name: str) -> None:
    net, x = lrpref.load(name), sample(name, "chelsea")
    fused = lrpref.fuse(net, verify=x)
    assert not any(isinstance(layer, BatchNorm) for _, layer, _ in fused.nodes)
    tr = lrpref.trace(fused, x, rule="epsilon-plus-flat")
    assert int(tr.target[0]) == int(np.argmax(expected(name)["chelsea"]))
    assert tr.relevance.shape == x.shape
    # float32: about 50 layers of sums with up to 2304 terms, each with a few roundings of 6e-8
    assert abs(tr.ledger.residual()).max() < 1e-4 * abs(tr.ledger["out"]).max()


@pytest.mark.parametrize("name", [name for name in CIFAR if f"{name}-bn" in CIFAR and name.startswith("vgg")])
def test_a_fused_twin_is_its_twin_fused(name: str) -> None:
    twin, fused = lrpref.load(name), lrpref.fuse(lrpref.load(f"{name}-bn"))
    assert lrpref.weights.metadata(name)["fused_from"] == f"{name}-bn"
    for ours, theirs in zip(twin.parameters.values(), fused.parameters.values(), strict=True):
        # float16 has 11 significant bits: relative error 2^-11; below 2^-14 (subnormals) the spacing is 2^-24
        assert_allclose(ours, theirs, rtol=2.0**-11, atol=2.0**-25)
    x = sample(name, "chelsea")
    assert_allclose(twin.forward(x), fused.forward(x), rtol=0, atol=0.02 * abs(fused.forward(x)).max())


def test_the_recorded_accuracy(name: str) -> None:
    accuracy = lrpref.weights.metadata(name)["accuracy"]
    assert accuracy["images"] == (10_000 if name in MNIST else 1_000)
    assert accuracy["test"] >= ACCURACY[name]


def official_digits() -> Path | None:
    """Return the official MNIST file if it is in $LRPREF_DATA or in a folder beside the checkout."""
    folders = [os.environ.get("LRPREF_DATA"), ROOT.parent / "shared" / "data"]
    return next((Path(f) / "mnist.npz" for f in folders if f and (Path(f) / "mnist.npz").is_file()), None)


@pytest.mark.slow
@pytest.mark.skipif(official_digits() is None, reason="needs the official digits: LRPREF_DATA=FOLDER_OF_MNIST_NPZ")
def test_the_accuracy_of_mnist_cnn_is_what_the_file_says() -> None:
    net = lrpref.prepare(lrpref.load("mnist-cnn"), "zero")
    with np.load(official_digits()) as mnist:
        images, labels = mnist["x_test"], mnist["y_test"]
    right = 0
    for start in range(0, len(labels), 250):  # small batches stay in the cache
        x = images[start : start + 250, None].astype(np.float32) / np.float32(255)
        right += int((net.forward(x).argmax(axis=1) == labels[start : start + 250]).sum())
    recorded = lrpref.weights.metadata("mnist-cnn")["accuracy"]["test"]
    assert abs(right / len(labels) - recorded) <= 1e-4  # rounding may change one borderline digit


PHOTOGRAPHS = Path(os.environ.get("LRPREF_DATA", "")) / "cifar10_eval.npz"


@pytest.mark.skipif(not PHOTOGRAPHS.is_file(), reason="needs test images: LRPREF_DATA=FOLDER_OF_CIFAR10_EVAL_NPZ")
@pytest.mark.parametrize("name", ["cifar-cnn-bn", "resnet20"])
def test_the_accuracy_on_photographs_is_what_the_file_says(name: str) -> None:
    net, about = lrpref.prepare(lrpref.fuse(lrpref.load(name)), "zero"), lrpref.weights.metadata(name)
    normalisation = Normalisation.of(about)
    assert normalisation is not None
    with np.load(PHOTOGRAPHS) as data:
        pixels, labels = np.moveaxis(data["x_test"], -1, 1) / np.float32(255), data["y_test"]
    found = [net.forward(normalisation.apply(pixels[i : i + 50])).argmax(axis=1) for i in range(0, len(labels), 50)]
    # rounding may change one borderline image
    assert abs((np.concatenate(found) == labels).mean() - about["accuracy"]["test"]) <= 1e-3 + 1e-9


# ---- weights/README.md -----------------------------------------------------------------------------------------


def architecture(net: Network) -> str:
    """Describe the layers as the table of small networks does."""
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


def counts(net: Network) -> str:
    """Count the layers of each kind as the table of large networks does."""
    kinds = {"conv": Conv2D, "dense": Dense, "BN": BatchNorm}
    found = {word: sum(isinstance(layer, kind) for _, layer, _ in net.nodes) for word, kind in kinds.items()}
    return ", ".join(f"{number} {word}" for word, number in found.items() if number)


def row(name: str) -> str:
    """Compute the table row of a network from its file."""
    net, about, file = lrpref.load(name), lrpref.weights.metadata(name), lrpref.weights.find(name)
    numbers = sum(array.size for array in net.parameters.values())
    layers = architecture(net) if "cnn" in name or "mlp" in name else counts(net)
    cells: list[Any] = [f"[`{file.name}`]({file.name})", layers, f"{about['accuracy']['test']:.2%}"]
    if name in CIFAR:
        cells[-1] = f"{about['accuracy']['test']:.1%}"
        cells.append(f"{about['accuracy']['val']:.1%}")
    cells += [f"{numbers:,}", f"{file.stat().st_size / 1000:.0f} kB", about["seed"], about["epochs"]]
    if name in CIFAR:
        cells += [f"{about['hours']:.2f} ({about['cpu_hours']:.2f})", says(name)]
    return "| " + " | ".join(str(cell).replace("%", " %") for cell in cells) + " |"


def says(name: str) -> str:
    """Return a network's prediction for the sample chelsea."""
    logits = np.asarray(expected(name)["chelsea"])
    best = int(logits.argmax())
    probability = np.exp(logits[best] - np.logaddexp.reduce(logits))
    return f"{lrpref.weights.metadata(name)['classes'][best]}, {probability:.2f}"


def test_the_table_tells_the_truth(name: str) -> None:
    assert row(name) in README


def test_the_tables_have_no_other_rows() -> None:
    assert sum(line.startswith("| [") for line in README.splitlines()) == len(lrpref.weights.names())


def test_the_page_says_how_to_train_it_again(name: str) -> None:
    about = lrpref.weights.metadata(name)
    assert f"\n{about['command']}\n" in README
    assert (ROOT / about["script"]).is_file()
    assert about["framework"] in README.replace("PyTorch (2", "torch 2")


def test_every_network_has_a_card(name: str) -> None:
    assert f"\n### {name}\n" in README


@pytest.mark.parametrize("name", MNIST)
def test_what_the_cards_say_of_all_networks_for_digits(name: str) -> None:
    about = lrpref.weights.metadata(name)
    assert about["data"] == "MNIST, 59,987 training images"
    assert "MNIST, 59,987 of the 60,000" in README
    assert len(lrpref.samples.names((1, 28, 28))) == 60_000 - 59_987
    assert about["input"] == {"range": "[0, 1]", "shape": [1, 28, 28], "layout": "NCHW"}
    assert about["classes"] == [str(digit) for digit in range(10)]
    assert "CC BY-SA 3.0" in about["licence"]
    assert "CC BY-SA 3.0" in README
    assert int(lrpref.load(name).forward(lrpref.samples.load("hard-2")).argmax()) == 7


@pytest.mark.parametrize("name", CIFAR)
def test_what_the_cards_say_of_all_networks_for_photographs(name: str) -> None:
    about = lrpref.weights.metadata(name)
    assert about["data"] == "CIFAR-10, 25,000 training images"
    assert "CIFAR-10, 25,000 of the 50,000" in README
    told = about["input"]
    assert (told["range"], told["shape"], told["layout"]) == ("[0, 1]", [3, 32, 32], "NCHW")
    assert f"mean {told['mean']}, std {told['std']}" in README.replace("\n", " ")
    assert ", ".join(about["classes"]) in README.replace("\n", " ")
    assert "Krizhevsky" in about["licence"]
    assert "Krizhevsky" in README
    low, high = (bound.ravel() for bound in Normalisation(told["mean"], told["std"]).box())
    assert f"{low.min():.2f} to {high.max():.2f}" in README
