"""Reading networks from files: supported formats, refusals and their reasons, and `lrpref convert`."""

from __future__ import annotations

import importlib
import json
import pickle
import struct
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Dense, Network, ReLU, weights
from lrpref.cli import main
from lrpref.errors import ConversionError, LrprefError, UnknownNameError, WeightsError
from lrpref.importers import read, read_safetensors
from lrpref.importers.files import REFUSED

RNG = np.random.default_rng(8)
W, B = RNG.normal(size=(2, 3)).astype(np.float32), RNG.normal(size=2).astype(np.float32)


def net() -> Network:
    return Network.sequential(Dense(np.zeros((2, 3)), np.zeros(2)), ReLU(), names=["fc", "relu"])


def safetensors(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> Path:
    """Write a .safetensors file by hand: header length, header, data."""
    header, data = {}, b""
    for name, (kind, shape, content) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def good(folder: Path) -> Path:
    tensors = {"fc.weight": ("F32", [2, 3], W.tobytes()), "fc.bias": ("F32", [2], B.tobytes())}
    return safetensors(folder / "net.safetensors", tensors)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with one builder, with the signature of those in lrpref.models."""
    found = ModuleType("lrpref.models")

    def tiny(width: int = 3, input_shape: tuple[int, ...] = (3,), state: Any = None) -> Network:
        empty = Network.sequential(Dense(np.zeros((2, width)), np.zeros(2)), ReLU(), names=["fc", "relu"])
        return weights.from_state_dict(empty, state)

    found.tiny, found.__all__ = tiny, ["tiny"]  # type: ignore[attr-defined]
    monkeypatch.setattr("lrpref.importers.files.models", found)
    return found


# ---- .safetensors ------------------------------------------------------------------------------------------------


def test_a_safetensors_file_fills_a_network(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed: pip install -e '.[safetensors]'")
    filled = read(good(tmp_path), architecture=net())
    assert_array_equal(filled["fc"].weight, W)
    assert_array_equal(filled["fc"].bias, B)


def test_number_types(tmp_path: Path) -> None:
    """bfloat16 is the upper half of a float32: 1.5 is 0x3fc0."""
    pytest.importorskip("safetensors", reason="safetensors is not installed: pip install -e '.[safetensors]'")
    tensors = {
        "half": ("F16", [2], np.float16([0.5, -2.0]).tobytes()),
        "brain": ("BF16", [2, 1], struct.pack("<2H", 0x3FC0, 0xC000)),
        "double": ("F64", [1], np.float64([0.1]).tobytes()),
        "count": ("I64", [], np.int64(7).tobytes()),
    }
    found = read_safetensors(safetensors(tmp_path / "x.safetensors", tensors))
    assert {name: a.dtype.name for name, a in found.items()} == {
        "half": "float32",
        "brain": "float32",
        "double": "float64",
        "count": "int64",
    }
    assert_array_equal(found["half"], [0.5, -2.0])
    assert_array_equal(found["brain"], [[1.5], [-2.0]])
    assert found["count"] == 7
    tensors["small"] = ("F8_E4M3", [1], b"\x00")
    with pytest.raises(WeightsError, match=r"small has the unsupported number type F8_E4M3; save it as float32"):
        read_safetensors(safetensors(tmp_path / "x.safetensors", tensors))


def test_what_the_safetensors_package_writes_is_read(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    package.save_file({"a": W, "b": B.astype(np.float16)}, tmp_path / "x.safetensors", metadata={"format": "pt"})
    found = read_safetensors(tmp_path / "x.safetensors")
    assert_array_equal(found["a"], W)
    assert found["b"].dtype == np.float32


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-1],
        lambda b: b + b"\0",
        lambda b: b"",
        lambda b: struct.pack("<Q", 2**62) + b[8:],
        lambda b: b.replace(b"[2, 3]", b"[3, 3]"),
        lambda b: b.replace(b"F32", b"F64"),
        lambda b: b.replace(b'{"fc', b'["fc'),
    ],
)
def test_damaged_safetensors_files(change: Any, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed: pip install -e '.[safetensors]'")
    path = good(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(WeightsError, match=r"net\.safetensors: not a readable \.safetensors file"):
        read(path, architecture=net())


@given(data=st.data())
def test_safetensors_files_changed_at_random(data: st.DataObject, tmp_path_factory: Any) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed: pip install -e '.[safetensors]'")
    path = good(tmp_path_factory.getbasetemp())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with suppress(WeightsError):
        read(path, architecture=net())


def test_large_or_missing_safetensors_files(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed: pip install -e '.[safetensors]'")
    with pytest.raises(WeightsError, match="there is no file"):
        read_safetensors(tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="more than max_bytes=8"):
        read_safetensors(good(tmp_path), max_bytes=8)


def test_without_safetensors_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(LrprefError, match=r"pip install safetensors"):
        read(good(tmp_path), architecture=net())


# ---- .npz --------------------------------------------------------------------------------------------------------


def npz(folder: Path) -> Path:
    np.savez(folder / "state.npz", **{"fc.weight": W, "fc.bias": B.astype(np.float16)})
    return folder / "state.npz"


def test_an_npz_file_of_arrays_fills_a_network(tmp_path: Path) -> None:
    filled = read(npz(tmp_path), architecture=net())
    assert_array_equal(filled["fc"].weight, W)
    assert filled["fc"].bias.dtype == np.float32


def test_lrprefs_own_files_are_read_as_they_are(tmp_path: Path) -> None:
    lrpref.save(weights.from_state_dict(net(), {"fc.weight": W, "fc.bias": B}), tmp_path / "net.npz")
    assert_array_equal(read(tmp_path / "net.npz")["fc"].weight, W)


def test_weights_alone_ask_for_a_network(tmp_path: Path) -> None:
    with pytest.raises(
        ConversionError, match=r"state\.npz holds weights but no graph; give the network .*architecture="
    ):
        read(npz(tmp_path))


def test_arrays_that_do_not_fit_name_the_file(tmp_path: Path) -> None:
    other = Network.sequential(Dense(np.zeros((2, 3))), names=["fc"])
    with pytest.raises(WeightsError, match=r"state\.npz: the arrays do not fit the network: unexpected: fc\.bias"):
        read(npz(tmp_path), architecture=other)


# ---- architectures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["tiny", "tiny()", "tiny(width=3)", "tiny(width=3, input_shape=(3,))"])
def test_builders_by_name(architecture: str, tmp_path: Path, models: ModuleType) -> None:
    assert_array_equal(read(npz(tmp_path), architecture=architecture)["fc"].weight, W)


def test_a_builder_itself(tmp_path: Path, models: ModuleType) -> None:
    assert read(npz(tmp_path), architecture=models.tiny).names == ["fc", "relu"]


@pytest.mark.parametrize(
    "architecture",
    ["tiny(3)", "tiny(width)", "tiny(width=3", "tiny(**{})", "tiny(width=print(3))", "tiny(depth=3)", "tiny(w=3)()"],
)
def test_builders_called_wrongly(architecture: str, tmp_path: Path, models: ModuleType) -> None:
    with pytest.raises(ConversionError, match=r"state\.npz: .*(write it as|cannot be built)"):
        read(npz(tmp_path), architecture=architecture)


@pytest.mark.parametrize("architecture", ["tinny", "__name__", "numpy"])
def test_builders_nobody_knows(architecture: str, tmp_path: Path, models: ModuleType) -> None:
    with pytest.raises(UnknownNameError, match="no network is called"):
        read(npz(tmp_path), architecture=architecture)


def test_the_models_of_lrpref_are_builders_of_this_kind(tmp_path: Path) -> None:
    """Random weights are written as a state dict and read back by name."""
    made = lrpref.models.simple_cnn(seed=1)
    state = {name: np.asarray(array) for name, array in made.parameters.items()}
    np.savez(tmp_path / "state.npz", **state)
    assert_array_equal(read(tmp_path / "state.npz", architecture="simple_cnn")["conv1"].weight, made["conv1"].weight)


# ---- refused files -----------------------------------------------------------------------------------------------


class Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl"])
def test_pickles_are_refused_and_never_run(suffix: str, tmp_path: Path) -> None:
    path, mark = tmp_path / f"net{suffix}", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ConversionError, match=r"it is a pickle.*safetensors\.torch\.save_file"):
        read(path)
    path.rename(tmp_path / "net.npz")
    with pytest.raises(WeightsError):
        read(tmp_path / "net.npz")
    assert not mark.exists()


@pytest.mark.parametrize(("name", "message"), [("net.txt", r"\.onnx"), ("net", "without a suffix")])
def test_other_files_are_refused_with_a_remedy(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=message):
        read(tmp_path / name)


def test_the_page_names_what_is_refused() -> None:
    page = (Path(__file__).parent.parent / "docs" / "import.md").read_text()
    listed = page.partition("lrpref does not read **pickles**")[2].partition("\n## ")[0]
    assert all(f"`{suffix}`" in listed for suffix in REFUSED), listed


# ---- lrpref convert ----------------------------------------------------------------------------------------------


def test_convert_an_onnx_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The written file records the input shape as (C, H, W), although the source has (H, W, C)."""
    pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")
    source = Path(__file__).parent / "exported" / "keras-functional.onnx"
    assert main(["convert", str(source), "-o", str(tmp_path / "net.npz")]) == 0
    assert "keras-functional.onnx: 16 nodes" in capsys.readouterr().out
    told = weights.metadata(tmp_path / "net.npz")
    assert told["input"] == {"shape": [3, 12, 12]}
    assert told["source"]["file"] == "keras-functional.onnx"
    assert len(told["source"]["sha256"]) == 64
    assert_array_equal(
        lrpref.load(tmp_path / "net.npz")(np.ones((1, 3, 12, 12))), read(source)(np.ones((1, 3, 12, 12)))
    )
    assert main(["show", str(tmp_path / "net.npz")]) == 0
    assert main(["convert", str(source), "-o", str(tmp_path / "x.npz"), "--input-shape", "12,12,4"]) == 2
    assert "the file expects (12, 12, 3)" in capsys.readouterr().err


def test_convert_one_of_several_results(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")
    source = str(Path(__file__).parent / "exported" / "sklearn-mlp.onnx")
    assert main(["convert", source, "-o", str(tmp_path / "net.npz")]) == 0  # labels are no numbers to explain
    assert main(["convert", source, "-o", str(tmp_path / "net.npz"), "--result", "probabilities"]) == 0


def test_convert_weights_alone(tmp_path: Path, models: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["convert", str(npz(tmp_path)), "-o", str(tmp_path / "net.npz")]
    assert main(command) == 2
    assert "holds weights but no graph" in capsys.readouterr().err
    assert main([*command, "--architecture", "tiny"]) == 0
    assert weights.metadata(tmp_path / "net.npz")["input"] == {"shape": [3]}
    assert_array_equal(lrpref.load(tmp_path / "net.npz")["fc"].weight, W)


def test_convert_keeps_what_a_file_of_lrpref_says(tmp_path: Path) -> None:
    lrpref.save(net(), tmp_path / "net.npz", metadata={"title": "small"})
    assert main(["convert", str(tmp_path / "net.npz"), "-o", str(tmp_path / "other.npz")]) == 0
    assert weights.metadata(tmp_path / "other.npz")["title"] == "small"


@pytest.mark.parametrize("shape", ["", "3,x", "3,0", "-1", "3,,4"])
def test_convert_wants_a_shape_of_numbers(shape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "x.onnx", "-o", "x.npz", f"--input-shape={shape}"])
    assert "expected positive integers such as 3,224,224" in capsys.readouterr().err


def test_convert_looks_at_the_suffix_before_it_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "missing.onnx", "-o", "net.txt"]) == 2
    assert "stored as .npz files; use a file name that ends in .npz, got net.txt" in capsys.readouterr().err


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    """Importing the importer modules does not load the optional libraries."""
    for name in ("onnx", "safetensors", "files"):
        importlib.import_module(f"lrpref.importers.{name}")
    source = (Path(lrpref.__file__).parent / "importers").rglob("*.py")
    for path in (path for path in source if not path.name.startswith("_")):  # those are imported by from_torch itself
        for line in path.read_text().splitlines():
            assert not line.startswith(("import onnx", "import torch", "import safetensors", "from onnx", "from torch"))


@pytest.mark.parametrize(
    ("importer", "library"), [("from_keras", "keras"), ("from_sklearn", "scikit-learn"), ("from_torch", "torch")]
)
def test_a_missing_library_is_named(importer: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, {"scikit-learn": "sklearn"}.get(library, library), None)
    extra = {"scikit-learn": "sklearn"}.get(library, library)
    with pytest.raises(LrprefError, match=rf"need {library}: pip install {library} \(in lrpref's extra \"{extra}\"\)"):
        getattr(lrpref, importer)(None, np.ones((1, 2)))
