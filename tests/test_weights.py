"""Networks in files: what is saved is restored, and an inconsistent file is refused before it does harm."""

from __future__ import annotations

import io
import json
import pickle
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    Network,
    Pad2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
    ThreshReLU,
    layers,
    weights,
)
from lrpref.backend import is_array
from lrpref.errors import OutputError, UnknownNameError, WeightsError

RNG = np.random.default_rng(11)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


EVERY_LAYER: dict[str, tuple[Layer, int]] = {
    "Dense": (Dense(numbers(3, 4), numbers(3)), 1),
    "Dense without bias": (Dense(numbers(3, 4)), 1),
    "Conv2D": (Conv2D(numbers(4, 2, 3, 2), numbers(4), stride=(2, 1), padding=(0, 1, 2, 3), dilation=2, groups=2), 1),
    "Conv2D folded": (Conv2D(numbers(2, 2, 3, 3), padding=1, bias_taps=numbers(2, 3, 3)), 1),
    "BatchNorm": (BatchNorm(numbers(3), numbers(3), numbers(3), numbers(3) ** 2, eps=1e-3), 1),
    "BatchNorm affine off": (BatchNorm(None, None, numbers(3), numbers(3) ** 2), 1),
    "Scale": (Scale(numbers(3), numbers(3)), 1),
    "ReLU": (ReLU(), 1),
    "ReLU6": (ReLU6(), 1),
    "LeakyReLU": (LeakyReLU(0.3), 1),
    "ThreshReLU": (ThreshReLU(numbers(3), below=np.array([True, False, True])), 1),
    "ThreshReLU of a number": (ThreshReLU(0.25), 1),
    "LocalResponseNorm": (lrpref.LocalResponseNorm(3, alpha=0.5, beta=1.5, k=2.0), 1),
    "Sigmoid": (Sigmoid(), 1),
    "Tanh": (Tanh(), 1),
    "CELU": (lrpref.CELU(0.5), 1),
    "Clip": (lrpref.Clip(-0.5, 0.5), 1),
    "Clip from above": (lrpref.Clip(high=0.5), 1),
    "ELU": (lrpref.ELU(0.5), 1),
    "GELU": (lrpref.GELU("tanh"), 1),
    "HardSigmoid": (lrpref.HardSigmoid(2.5, 5.0), 1),
    "HardSwish": (lrpref.HardSwish(2.5, 5.0), 1),
    "HardTanh": (lrpref.HardTanh(-0.5, 0.5), 1),
    "Mish": (lrpref.Mish(), 1),
    "PReLU": (lrpref.PReLU(numbers(3)), 1),
    "PReLU of a number": (lrpref.PReLU(0.1), 1),
    "SELU": (lrpref.SELU(), 1),
    "SiLU": (lrpref.SiLU(), 1),
    "Softplus": (lrpref.Softplus(2.0, 5.0), 1),
    "Softsign": (lrpref.Softsign(), 1),
    "Threshold": (lrpref.Threshold(0.5, -1.0), 1),
    "LogSoftmax": (lrpref.LogSoftmax(), 1),
    "Softmax": (Softmax(), 1),
    "Add": (Add(), 3),
    "Concat": (Concat(), 2),
    "Concat along rows": (Concat(-2), 3),
    "Maximum": (layers.Maximum("equal"), 3),
    "Minimum": (layers.Minimum(), 2),
    "Subtract": (lrpref.Subtract(), 2),
    "Multiply": (lrpref.Multiply("signal", 1), 2),
    "MatMul": (lrpref.MatMul(True, 0.5, "signal", 0), 2),
    "Softmax along rows": (Softmax(-1), 1),
    "TokenDense": (lrpref.TokenDense(numbers(3, 4), numbers(3)), 1),
    "Affine": (lrpref.Affine(numbers(4), numbers(3, 1)), 1),
    "Affine without weight": (lrpref.Affine(None, numbers(3)), 1),
    "Embedding": (lrpref.Embedding(numbers(3, 4)), 1),
    "PrependTokens": (lrpref.PrependTokens(numbers(2, 4)), 1),
    "Sum": (lrpref.Sum((1, -1), keepdims=True), 1),
    "Mean": (lrpref.Mean(2), 1),
    "Max": (lrpref.Max(-1, ties="equal"), 1),
    "Reshape": (lrpref.Reshape((2, -1)), 1),
    "Permute": (lrpref.Permute((0, 2, 1)), 1),
    "Slice": (lrpref.Slice(1, None, -1, 2), 1),
    "PixelShuffle": (lrpref.PixelShuffle(2), 1),
    "PixelUnshuffle": (lrpref.PixelUnshuffle(3), 1),
    "ChannelShuffle": (lrpref.ChannelShuffle(2), 1),
    "MaxPool2D": (MaxPool2D((3, 2), stride=1, padding=(1, 0), ties="equal"), 1),
    "AvgPool2D": (AvgPool2D(2, stride=(1, 2), padding=1, count_include_pad=False), 1),
    "GlobalAvgPool2D": (GlobalAvgPool2D(), 1),
    "Pad2D": (Pad2D((1, 2, 3, 4), value=-0.5), 1),
    "Conv1D": (layers.Conv1D(numbers(4, 2, 3), numbers(4), 2, (0, 1), bias_taps=numbers(4, 3)), 1),
    "Conv3D": (layers.Conv3D(numbers(4, 2, 2, 1, 2), numbers(4), (2, 1, 1), (0, 1, 2, 3, 4, 5)), 1),
    "ConvTranspose1D": (layers.ConvTranspose1D(numbers(2, 2, 3), numbers(4), 2, 1, groups=2, output_padding=1), 1),
    "ConvTranspose2D": (layers.ConvTranspose2D(numbers(2, 3, 2, 2), bias_taps=numbers(3, 2, 2)), 1),
    "ConvTranspose3D": (layers.ConvTranspose3D(numbers(2, 3, 2, 1, 2), dilation=(2, 1, 1)), 1),
    "MaxPool1D": (layers.MaxPool1D(3, 2, 1, dilation=2, ceil_mode=True), 1),
    "MaxPool3D": (layers.MaxPool3D((3, 2, 1), 2, (1, 0, 0)), 1),
    "AvgPool1D": (layers.AvgPool1D(3, 2, 1, ceil_mode=True), 1),
    "AvgPool3D": (layers.AvgPool3D(3, 2, divisor=5), 1),
    **{kind.__name__: (kind(), 1) for kind in (layers.GlobalAvgPool1D, layers.GlobalAvgPool3D)},
    **{kind.__name__: (kind("equal"), 1) for kind in (layers.GlobalMaxPool1D, layers.GlobalMaxPool3D)},
    "GlobalMaxPool2D": (layers.GlobalMaxPool2D(), 1),
    **{kind.__name__: (kind(2), 1) for kind in (layers.AdaptiveAvgPool1D, layers.AdaptiveMaxPool1D)},
    **{kind.__name__: (kind((2, 3)), 1) for kind in (layers.AdaptiveAvgPool2D, layers.AdaptiveMaxPool2D)},
    **{kind.__name__: (kind((2, 3, 1)), 1) for kind in (layers.AdaptiveAvgPool3D, layers.AdaptiveMaxPool3D)},
    "Pad1D": (layers.Pad1D((1, 2), mode="reflect"), 1),
    "Pad3D": (layers.Pad3D((1, 2, 3), -0.5), 1),
    "UpsampleLinear": (layers.UpsampleLinear(size=(3, 4), coordinates="align_corners"), 1),
    "UpsampleNearest": (layers.UpsampleNearest(scale_factor=(2.0, 1.5), coordinates="half_pixel", rounding="ceil"), 1),
    "Flatten": (Flatten(), 1),
    "Dropout": (Dropout(0.1), 1),
    "GroupNorm": (lrpref.GroupNorm(2, numbers(4), numbers(4), eps=1e-3, mean="constant"), 1),
    "GroupNorm affine off": (lrpref.GroupNorm(2), 1),
    "InstanceNorm": (lrpref.InstanceNorm(numbers(3), numbers(3), mean="centred"), 1),
    "LayerNorm": (lrpref.LayerNorm((2, 3), numbers(2, 3), numbers(2, 3)), 1),
    "RMSNorm": (lrpref.RMSNorm(4, numbers(4), eps=1e-6), 1),
}
ABSTRACT = {kind.__name__ for kind in layers.BASES}


def small() -> Network:
    return Network.sequential(Dense(numbers(3, 2), numbers(3)), ReLU(), Dense(numbers(2, 3)), names=["a", "relu", "b"])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.npz"
    lrpref.save(small(), path)
    return path


# ---- round trips -------------------------------------------------------------------------------------------------


def test_the_table_above_has_every_layer() -> None:
    assert {type(layer).__name__ for layer, _ in EVERY_LAYER.values()} | ABSTRACT == set(layers.__all__)


@pytest.mark.parametrize("name", EVERY_LAYER)
def test_a_layer_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    layer, inputs = EVERY_LAYER[name]
    lrpref.save(Network([("node", layer, ["input"] * inputs)]), tmp_path / "net.npz")
    (node,) = lrpref.load(tmp_path / "net.npz").nodes
    assert node.name == "node"
    assert node.inputs == ("input",) * inputs
    assert type(node.layer) is type(layer)
    for field in fields(layer):
        value, back = getattr(layer, field.name), getattr(node.layer, field.name)
        if is_array(value):
            assert back.dtype == value.dtype
            assert_array_equal(back, value)
        else:
            assert back == value


def test_a_graph_comes_back_with_its_order_and_its_map(tmp_path: Path) -> None:
    nodes = [
        ("sum", Add(), ["input", "b"]),
        ("b", Dense(numbers(2, 2)), ["act"]),
        ("a", Dense(numbers(2, 2)), ["input"]),
        ("act", Tanh(), ["a"]),
    ]
    net, x = Network(nodes), numbers(3, 2)
    lrpref.save(net, tmp_path / "net.npz")
    back = lrpref.load(tmp_path / "net.npz")
    assert back.names == net.names
    assert_array_equal(back.forward(x), net.forward(x))
    assert_array_equal(lrpref.explain(back, x), lrpref.explain(net, x))


def test_a_shared_layer_is_stored_once_and_comes_back_shared(tmp_path: Path) -> None:
    double, other = Dense(2 * np.eye(2)), Dense(2 * np.eye(2))
    net = Network([("one", double, ["input"]), ("two", double, ["one"]), ("three", other, ["two"])])
    lrpref.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as data:
        assert set(data.files) == {"format", "architecture", "one.weight", "three.weight"}
    back = lrpref.load(tmp_path / "net.npz")
    assert back["one"] is back["two"]
    assert back["one"] is not back["three"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_type_is_kept(dtype: type, tmp_path: Path) -> None:
    lrpref.save(small().astype(dtype), tmp_path / "net.npz")
    assert lrpref.load(tmp_path / "net.npz").dtype == dtype


def test_half_precision_is_for_storage(tmp_path: Path) -> None:
    net = Network.sequential(Dense(numbers(3, 3)), ThreshReLU(numbers(3), below=np.array([True, False, True])))
    lrpref.save(net, tmp_path / "net.npz", dtype=np.float16)
    with np.load(tmp_path / "net.npz") as data:
        assert data["dense1.weight"].dtype == np.float16
        assert data["threshrelu1.below"].dtype == bool
    back = lrpref.load(tmp_path / "net.npz")
    assert back.dtype == np.float32
    assert_allclose(back["dense1"].weight, net["dense1"].weight, rtol=1e-3)


def test_weights_that_half_precision_cannot_hold_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'dense1': weight overflows in float16"):
        lrpref.save(Network.sequential(Dense([[1e6]])), tmp_path / "net.npz", dtype=np.float16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [int, complex, bool, object])
def test_what_is_stored_is_floating_point(dtype: type, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="floating"):
        lrpref.save(small(), tmp_path / "net.npz", dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_another_backend_comes_back_on_numpy(tmp_path: Path) -> None:
    net = small()
    lrpref.save(net.to("array-api-strict"), tmp_path / "net.npz")
    back = lrpref.load(tmp_path / "net.npz")
    assert back.backend == "numpy"
    assert_array_equal(back["a"].weight, net["a"].weight)


def test_metadata_comes_back(tmp_path: Path) -> None:
    told = {"accuracy": 0.75, "classes": ["one", "two"], "note": "ü", "nested": {"seed": 3, "none": None}}
    lrpref.save(small(), tmp_path / "net.npz", metadata=told)
    assert weights.metadata(tmp_path / "net.npz") == told
    lrpref.save(small(), tmp_path / "net.npz")
    assert weights.metadata(tmp_path / "net.npz") == {}


def test_the_input_shape_that_a_network_is_valid_for_comes_back(tmp_path: Path) -> None:
    net = lrpref.Network(small().nodes, input_shape=(3, None), fixed_by="an importer says so")
    lrpref.save(net, tmp_path / "net.npz", dtype=np.float16)
    back = lrpref.load(tmp_path / "net.npz")
    assert (back.input_shape, back.fixed_by) == ((3, None), "an importer says so")
    lrpref.save(small(), tmp_path / "net.npz")
    assert lrpref.load(tmp_path / "net.npz").input_shape is None


def test_the_same_network_makes_the_same_bytes(tmp_path: Path) -> None:
    net = small()
    for name in ("one.npz", "two.npz"):
        lrpref.save(net, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


# ---- names and paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", weights.names())
def test_networks_that_come_with_lrpref_go_by_bare_names(name: str) -> None:
    net = lrpref.load(name)
    by_path = lrpref.load(weights.find(name))
    assert net.names == by_path.names
    assert weights.metadata(name)


def test_some_networks_come_with_lrpref() -> None:
    assert {"mnist-cnn", "mnist-cnn-bn", "mnist-mlp", "mnist-mlp-bn"} <= set(weights.names())


def test_a_bare_name_nobody_knows_comes_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnist-cnn'"):
        lrpref.load("mnist-cn")


def test_a_file_in_the_working_folder_needs_its_extension(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    assert lrpref.load("net.npz").names == small().names
    with pytest.raises(UnknownNameError):
        lrpref.load("net")
    with pytest.raises(WeightsError, match=r"there is no file missing\.npz"):
        lrpref.load("missing.npz")


@pytest.mark.parametrize("name", ["missing.npz", "folder/missing", "missing.onnx", "missing.pt"])
def test_a_path_that_is_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        lrpref.load(tmp_path / name)


# ---- what save refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.npy", "net", "net.npz.bak", "net.pt"])
def test_a_wrong_extension(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"stored as \.npz"):
        lrpref.save(small(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True, eq=False)
class Mine(ReLU):
    """A layer that a file could not restore."""


@dataclass(frozen=True, eq=False)
class Dense2(Dense):
    """A user-defined class, renamed to the name of a class of lrpref."""


Dense2.__name__ = "Dense"


@pytest.mark.parametrize("layer", [Mine(), Dense2(np.eye(2))])
def test_layers_that_are_not_lrprefs(layer: Layer, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"node 'x': .* is not a layer of lrpref"):
        lrpref.save(Network.sequential(layer, names=["x"]), tmp_path / "net.npz")
    assert list(tmp_path.iterdir()) == []


def test_exact_networks_are_not_stored(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"use net.astype\(numpy.float64\)"):
        lrpref.save(lrpref.exact(small()), tmp_path / "net.npz")


@pytest.mark.parametrize("metadata", [{"when": object()}, {"array": np.ones(2)}, {(1, 2): 3}])
def test_metadata_that_json_cannot_hold(metadata: dict[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="metadata must be representable as JSON"):
        lrpref.save(small(), tmp_path / "net.npz", metadata=metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full_disk(stream: io.BufferedWriter, **arrays: np.ndarray) -> None:
        stream.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space left"):
        lrpref.save(small(), saved)
    assert list(saved.parent.iterdir()) == [saved]
    assert saved.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*nowhere to write net\.npz to"):
        lrpref.save(small(), tmp_path / "nowhere" / "net.npz")
    assert list(tmp_path.iterdir()) == []


# ---- hostile files -----------------------------------------------------------------------------------------------


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Rewrite the file with its members, as raw bytes, changed."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray, shape: str | None = None, allow_pickle: bool = False) -> bytes:
    """Return an array as a .npy file, whose header declares `shape` instead if that is given."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=allow_pickle)
    content = stream.getvalue()
    if shape is None:
        return content
    honest = str(array.shape).encode()
    return content.replace(honest, shape.encode()).replace(b" " * (len(shape) - len(honest)) + b"\n", b"\n")


def described(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Rewrite the file with another architecture; `change` modifies it in place, or returns the text to store."""

    def swap(members: dict[str, bytes]) -> None:
        found = json.loads(str(np.load(io.BytesIO(members["architecture.npy"]))))
        text = change(found)
        members["architecture.npy"] = npy(np.asarray(text if isinstance(text, str) else json.dumps(found)))

    return rewritten(path, swap)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_the_trap_would_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


def test_object_arrays_are_refused_and_never_unpickled(saved: Path) -> None:
    mark = saved.parent / "mark"
    trap = npy(np.array([Trap(mark)], dtype=object), allow_pickle=True)
    rewritten(saved, lambda members: members.update({"a.weight.npy": trap}))
    with pytest.raises(WeightsError, match=r"a\.weight\.npy has dtype object"):
        lrpref.load(saved)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [("net.npz", "not a readable"), ("net.pkl", "is a pickle"), ("net.pt", "is a pickle"), ("net", "not a readable")],
)
def test_a_pickle_instead_of_an_archive(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    with pytest.raises(WeightsError, match=message):
        lrpref.load(tmp_path / name)
    assert not (tmp_path / "mark").exists()


def test_a_good_file_is_read_without_pickle(saved: Path) -> None:
    """In a separate process, where unpickling is an error."""
    code = (
        "import pickle, sys\n"
        "import lrpref\n"
        "def refuse(*a, **k): raise SystemExit('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        "print(lrpref.load(sys.argv[1]).names)\n"
    )
    root = Path(lrpref.__file__).parent.parent
    found = subprocess.run([sys.executable, "-c", code, saved], capture_output=True, text=True, cwd=root, check=False)
    assert found.stdout == "['a', 'relu', 'b']\n", found.stderr


@pytest.mark.parametrize("kept", [0, 1, 10, 100, -1, -30])
def test_a_truncated_file(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(WeightsError):
        lrpref.load(saved)


@pytest.mark.parametrize(
    "shape", ["(3, 3)", "(2, 2)", "(3,)", "()", "(99999999999, 99999999999)", "(-3, -2)", "(6, 1, 2)"]
)
def test_a_header_that_lies_about_the_shape(saved: Path, shape: str) -> None:
    rewritten(saved, lambda members: members.update({"a.weight.npy": npy(np.ones((3, 2)), shape)}))
    with pytest.raises(WeightsError):
        lrpref.load(saved)


def test_a_member_with_bytes_to_spare(saved: Path) -> None:
    rewritten(saved, lambda members: members.update({"a.weight.npy": members["a.weight.npy"] + b"\0" * 8}))
    with pytest.raises(
        WeightsError, match=r"declares shape \(3, 2\) and dtype float64 \(48 bytes\), but holds 56 bytes"
    ):
        lrpref.load(saved)


@pytest.mark.slow
def test_a_file_that_unpacks_to_too_much_is_refused_before_memory_is_taken(saved: Path) -> None:
    """A file of about 64 kB that unpacks to 64 MB of zeros."""
    rewritten(saved, lambda members: members.update({"bomb.npy": npy(np.zeros(8 * 2**20))}))
    assert saved.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"the arrays need \d+ bytes, more than max_bytes=1000000"):
        lrpref.load(saved, max_bytes=10**6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_limit_is_what_the_arrays_need(saved: Path) -> None:
    with np.load(saved) as data:
        needed = sum(data[name].nbytes for name in data.files)
    assert lrpref.load(saved, max_bytes=needed).names == small().names
    with pytest.raises(WeightsError, match=f"need {needed} bytes, more than max_bytes={needed - 1}"):
        lrpref.load(saved, max_bytes=needed - 1)


def test_a_directory_that_lies_about_the_size(saved: Path) -> None:
    """Header and directory of the archive agree on 2^40 bytes; neither is trusted beyond the limit."""
    content = npy(np.ones((3, 2)), f"({2**37}, 1)")
    claimed = len(content) - 48 + 2**40
    rewritten(saved, lambda members: members.update({"a.weight.npy": content}))
    with zipfile.ZipFile(saved, "a") as archive:
        archive.getinfo("a.weight.npy").file_size = claimed
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(WeightsError):
        lrpref.load(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"not an array",
        b"\x93NUMPY\x03\x00" + b"\0" * 20,
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8',",
    ],
)
def test_a_member_that_is_no_array(saved: Path, content: bytes) -> None:
    rewritten(saved, lambda members: members.update({"a.weight.npy": content}))
    with pytest.raises(WeightsError):
        lrpref.load(saved)


@pytest.mark.parametrize(
    "array", [np.ones((3, 2), complex), np.array([["x", "y"]] * 3), np.full((3, 2), np.nan), np.ones((3, 2, 1))]
)
def test_a_weight_that_is_none(saved: Path, array: np.ndarray) -> None:
    rewritten(saved, lambda members: members.update({"a.weight.npy": npy(array)}))
    with pytest.raises(WeightsError, match=r"net\.npz"):
        lrpref.load(saved)


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        (
            "format.npy",
            npy(np.asarray("lrpref-network/99")),
            "unknown format 'lrpref-network/99'; this version of lrpref reads",
        ),
        ("format.npy", None, "not written by lrpref.save"),
        ("architecture.npy", None, "not written by lrpref.save"),
        ("architecture.npy", npy(np.asarray("{nodes: []}")), "not valid JSON"),
        ("architecture.npy", npy(np.asarray("[" * 100_000)), "not valid JSON"),
        ("architecture.npy", npy(np.asarray("[]")), 'must be a JSON object with "nodes" and "layers"'),
        ("architecture.npy", npy(np.asarray("3")), 'must be a JSON object with "nodes" and "layers"'),
        ("architecture.npy", npy(np.asarray('["nodes", "layers"]')), 'must be a JSON object with "nodes" and "layers"'),
        ("architecture.npy", b"\x93NUMPY\x03\x00" + b"\0" * 20, r"unknown array format \(3, 0\)"),
        ("architecture.npy", npy(np.asarray('{"nodes": []}')), 'must be a JSON object with "nodes" and "layers"'),
        ("architecture.npy", npy(np.ones(3)), "not valid JSON"),
        ("a.weight.npy", None, r"the array a\.weight is missing"),
    ],
)
def test_a_member_that_is_wrong_or_missing(saved: Path, member: str, content: bytes | None, message: str) -> None:
    def change(members: dict[str, bytes]) -> None:
        members.pop(member)
        if content is not None:
            members[member] = content

    with pytest.raises(WeightsError, match=message):
        lrpref.load(rewritten(saved, change))


def set_type(name: Any) -> Callable[[dict[str, Any]], None]:
    return lambda found: found["layers"]["relu"].update(type=name)


@pytest.mark.parametrize("name", ["Conv9D", "Network", "os", "__init__", "base", "Window", None, 3, *sorted(ABSTRACT)])
def test_an_unknown_layer_type(saved: Path, name: Any) -> None:
    """Base classes are refused, too: they would fail at the first forward pass."""
    with pytest.raises(WeightsError, match="layer 'relu' has the unknown type"):
        lrpref.load(described(saved, set_type(name)))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(nodes=3),
        lambda found: found.update(nodes=[]),
        lambda found: found.update(layers=[]),
        lambda found: found.update(layers={"a": 3}),
        lambda found: found["nodes"].append(["again"]),
        lambda found: found["nodes"].append(["c", "nowhere", ["input"]]),
        lambda found: found["nodes"].append(["a", "a", ["input"]]),
        lambda found: found["nodes"].append(["c", "a", ["nowhere"]]),
        lambda found: found["nodes"].append([["c"], "a", ["input"]]),
        lambda found: found["nodes"].append(["c", ["a"], ["input"]]),
        lambda found: found["nodes"].append(["c", "a", 3]),
        lambda found: found["layers"]["a"].pop("type"),
        lambda found: found["layers"]["a"].pop("config"),
        lambda found: found["layers"]["a"].update(config=[1]),
        lambda found: found["layers"]["a"].update(config={"strides": 2}),
        lambda found: found["layers"]["a"].update(config={"__class__": "Dense"}),
        lambda found: found["layers"]["a"].update(arrays=3),
        lambda found: found["layers"]["a"].update(arrays=["weight", "../secret"]),
        lambda found: found["layers"].update(
            relu={"type": "MaxPool2D", "config": {"kernel_size": 1e400}, "arrays": []}
        ),
        lambda found: found["layers"].update(relu={"type": "MaxPool2D", "config": {"kernel_size": -1}, "arrays": []}),
        lambda found: found["layers"].update(
            relu={"type": "LeakyReLU", "config": {"negative_slope": []}, "arrays": []}
        ),
        lambda found: found["layers"].update(relu={"type": "Pad2D", "config": {"padding": {"a": 1}}, "arrays": []}),
        lambda found: found.update(input_shape=3),
        lambda found: found.update(input_shape=[3, "any"]),
        lambda found: found.update(input_shape=[]),
    ],
)
def test_an_architecture_that_makes_no_network(saved: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(WeightsError, match=r"net\.npz"):
        lrpref.load(described(saved, change))


def test_metadata_may_be_missing(saved: Path) -> None:
    described(saved, lambda found: found.pop("metadata"))
    assert weights.metadata(saved) == {}
    assert lrpref.load(saved).names == small().names


def test_metadata_that_is_no_mapping(saved: Path) -> None:
    with pytest.raises(WeightsError, match="metadata"):
        weights.metadata(described(saved, lambda found: found.update(metadata=[3])))


@pytest.mark.parametrize("seed", range(4))
def test_bytes_changed_at_random_load_alike_or_are_refused(saved: Path, seed: int) -> None:
    """Only a WeightsError is raised, whichever byte is hit; CRCs detect every changed number."""
    good, draw = saved.read_bytes(), random.Random(seed)
    expected = lrpref.load(saved)
    for _ in range(250):
        bad = bytearray(good)
        for _ in range(draw.choice([1, 1, 2, 8])):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        saved.write_bytes(bad)
        try:
            found = lrpref.load(saved)
        except WeightsError:
            continue
        assert found.names == expected.names
        for name, array in expected.parameters.items():
            assert_array_equal(found.parameters[name], array)
