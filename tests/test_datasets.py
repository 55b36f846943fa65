"""MNIST and CIFAR-10 in each of their published formats: small files, malicious files and the real data."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import pickle
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lrpref import datasets
from lrpref.errors import DataError, InputError, LrprefError, UnknownNameError
from lrpref.zoo.datasets import cifar10, mnist
from lrpref.zoo.datasets.idx import as_idx, parse_idx, read_idx
from lrpref.zoo.datasets.part import Download

RNG = np.random.default_rng(9)
DIGITS, DIGIT_LABELS = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8), np.array([3, 0, 9, 1, 1], dtype=np.uint8)
IMAGES, LABELS = RNG.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8), np.array([9, 0, 3, 3], dtype=np.uint8)


# ---- MNIST -------------------------------------------------------------------------------------------------------


def idx_files(folder: Path, mark: str = "-", zipped: bool = False) -> None:
    """Write both splits; the test set is the first two digits."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, n in (("train", 5), ("t10k", 2)):
        for what, rank, array in (("images", 3, DIGITS[:n]), ("labels", 1, DIGIT_LABELS[:n])):
            content = as_idx(array)
            name = f"{prefix}-{what}{mark}idx{rank}-ubyte" + (".gz" if zipped else "")
            (folder / name).write_bytes(gzip.compress(content) if zipped else content)


def mnist_npz(folder: Path) -> None:
    arrays = {"x_train": DIGITS, "y_train": DIGIT_LABELS, "x_test": DIGITS[:2], "y_test": DIGIT_LABELS[:2]}
    np.savez_compressed(folder / "mnist.npz", **arrays)


MNIST: dict[str, Callable[[Path], None]] = {
    "idx": idx_files,
    "idx, zipped": partial(idx_files, zipped=True),
    "idx, with dots": partial(idx_files, mark="."),
    "as torchvision keeps them": lambda folder: idx_files(folder / "MNIST" / "raw", zipped=True),
    "npz": mnist_npz,
}


@pytest.mark.parametrize("form", MNIST)
def test_mnist_in_each_format(form: str, tmp_path: Path) -> None:
    MNIST[form](tmp_path)
    train = datasets.load("mnist", "train", tmp_path, check=False)
    assert train.x.dtype == np.uint8
    assert train.y.dtype == np.int64
    assert_array_equal(train.x, DIGITS[:, None])
    assert_array_equal(train.y, DIGIT_LABELS)
    assert_array_equal(train.index, np.arange(5))
    assert train.classes[3] == "3"
    assert len(datasets.load("mnist", folder=tmp_path, check=False)) == 2
    assert "5 images of (1, 28, 28), 10 classes" in repr(train)


def test_idx_by_hand() -> None:
    """IDX files store big-endian sizes, then the bytes row by row."""
    data = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert_array_equal(parse_idx(data), [[1, 2, 3], [4, 5, 6]])
    assert as_idx(parse_idx(data)) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with the magic number"),
        (b"\0\0\x08", "does not begin"),
        (b"\x1f\x8b\x08\x01", "does not begin"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "type 0x0d with 1 axes is not supported; expected bytes"),
        (b"\0\0\x08\x00", "0 axes"),
        (b"\0\0\x08\xff" + bytes(9), "255 axes"),
        (b"\0\0\x08\x02\0\0\0\x01", "ends within its header"),
        (b"\0\0\x08\x01\0\0\0\x03\x01\x02", r"gives shape \(3,\), 3 bytes, but the IDX file has 2"),
        (b"\0\0\x08\x01\0\0\0\x01\x01\x02", r"gives shape \(1,\), 1 bytes, but the IDX file has 2"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "but the IDX file has 0"),
    ],
)
def test_idx_data_that_lies(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_idx(data)


def test_zipped_files_that_are_damaged(tmp_path: Path) -> None:
    whole = gzip.compress(as_idx(DIGITS))
    for i, content in enumerate([whole[:100], whole[:-4], whole[:40] + b"\0\0\0\0" + whole[44:], b"\x1f\x8b"]):
        (tmp_path / f"{i}.gz").write_bytes(content)
        with pytest.raises(DataError, match=rf"{i}\.gz: "):
            read_idx(tmp_path / f"{i}.gz")


def test_a_zipped_file_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more bytes are unpacked than the largest file of these data sets has."""
    monkeypatch.setattr("lrpref.zoo.datasets.idx.MAX_BYTES", 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(as_idx(np.zeros((30, 28, 28), dtype=np.uint8))))
    with pytest.raises(DataError, match="the gzip data are truncated, or hold more than 1000 bytes"):
        read_idx(tmp_path / "bomb.gz")


@given(data=st.binary(max_size=40))
def test_idx_data_of_any_kind(data: bytes) -> None:
    with suppress(DataError):
        assert as_idx(parse_idx(b"\0\0\x08\x01" + data)) == b"\0\0\x08\x01" + data


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    idx_files(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(as_idx(DIGIT_LABELS))
    with pytest.raises(DataError, match=r"2 images, but labels of shape \(5,\)"):
        datasets.load("mnist", folder=tmp_path, check=False)
    labels.write_bytes(as_idx(np.array([3, 10], dtype=np.uint8)))
    with pytest.raises(DataError, match="labels must be integers from 0 to 9"):
        datasets.load("mnist", folder=tmp_path, check=False)


def test_images_of_another_size(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_test=DIGITS[:, :27], y_test=DIGIT_LABELS)
    with pytest.raises(DataError, match=r"expected images \(N, 28, 28\) of uint8, got \(5, 27, 28\) of uint8"):
        datasets.load("mnist", folder=tmp_path, check=False)
    with pytest.raises(DataError, match=r"mnist\.npz does not contain x_train, y_train; it contains x_test, y_test"):
        datasets.load("mnist", "train", tmp_path, check=False)


def test_an_npz_file_with_pickles_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_test=np.array([{}], dtype=object), y_test=DIGIT_LABELS)
    with pytest.raises(DataError, match=r"mnist\.npz"):
        datasets.load("mnist", folder=tmp_path, check=False)


# ---- CIFAR-10 ----------------------------------------------------------------------------------------------------

BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def batches(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in [*BATCHES, "test_batch"]:
        (folder / f"{name}.bin").write_bytes(cifar10.as_binary(IMAGES, LABELS))


def archive(folder: Path) -> None:
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for name in [*BATCHES, "test_batch", "readme.html"]:
            content = cifar10.as_binary(IMAGES, LABELS)
            info = tarfile.TarInfo(f"cifar-10-batches/{name}.bin")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


CIFAR: dict[str, Callable[[Path], None]] = {
    "binary": lambda folder: batches(folder / "cifar-10-batches-bin"),
    "binary, in the folder itself": batches,
    "binary archive": archive,
}


@pytest.mark.parametrize("form", CIFAR)
def test_cifar_10_in_each_format(form: str, tmp_path: Path) -> None:
    CIFAR[form](tmp_path)
    test = datasets.load("cifar10", folder=tmp_path, check=False)
    assert_array_equal(test.x, IMAGES)
    assert test.x.dtype == np.uint8
    assert_array_equal(test.y, LABELS)
    assert test.classes[9] == "truck"
    train = datasets.load("cifar10", "train", tmp_path, check=False)
    assert_array_equal(train.x, np.concatenate([IMAGES] * 5))
    assert_array_equal(train.index, np.arange(20))


def parts(folder: Path) -> None:
    """Write lrpref's own layout: channels last, with the indices in the published files."""
    last = np.moveaxis(IMAGES, 1, 3)
    for i in (1, 2):
        np.savez(folder / f"cifar10_train_{i}.npz", x=last, y=LABELS, index=np.arange(4, dtype=np.int32) + 4 * i)
    held = {f"{k}_{split}": a for split in ("val", "test") for k, a in (("x", last), ("y", LABELS))}
    places = {"index_val": np.arange(4) + 40_000, "index_test": np.arange(4)}
    np.savez(folder / "cifar10_eval.npz", class_names=np.array(cifar10.CLASSES), **held, **places)


def test_cifar_10_in_parts(tmp_path: Path) -> None:
    parts(tmp_path)
    for split, n, first in (("train", 8, 4), ("val", 4, 40_000), ("test", 4, 0)):
        data = datasets.load("cifar10", split, tmp_path, check=False)
        assert_array_equal(data.x, np.concatenate([IMAGES] * (n // 4)))
        assert (len(data), data.index[0]) == (n, first)


@pytest.mark.parametrize("size", [0, 3072, 3074, 6145])
def test_binary_batches_of_another_size(size: int, tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes(size))
    with pytest.raises(
        DataError, match=rf"test_batch\.bin: {size} bytes, expected a multiple of the record size, 3073"
    ):
        datasets.load("cifar10", folder=tmp_path, check=False)


def test_binary_batches_with_a_label_too_high(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(DataError, match="labels must be integers from 0 to 9"):
        datasets.load("cifar10", folder=tmp_path, check=False)


def test_archives_that_are_damaged_or_lack_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    CIFAR["binary archive"](tmp_path)
    whole = path.read_bytes()
    for content in (whole[:200], b"", b"no archive", gzip.compress(bytes(99))):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz"):
            datasets.load("cifar10", folder=tmp_path, check=False)
    with tarfile.open(path, "w:gz") as tar:  # a link instead of a batch must not be followed
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataError, match=r"does not contain test_batch\.bin"):
        datasets.load("cifar10", folder=tmp_path, check=False)


def test_batches_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "MAX_BYTES", 1000)
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073))
    with pytest.raises(DataError, match="3073 bytes, more than any batch has"):
        datasets.load("cifar10", folder=tmp_path, check=False)


# ---- pickles -----------------------------------------------------------------------------------------------------


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def python_archive(folder: Path, content: bytes) -> None:
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as tar:
        for name in [*BATCHES, "test_batch"]:
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def python_batches(folder: Path, content: bytes, names: tuple[str, ...] = (*BATCHES, "test_batch")) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content)


PYTHON: dict[str, Callable[[Path, bytes], None]] = {
    "cifar-10-python.tar.gz": python_archive,
    "cifar-10-batches-py": lambda folder, content: python_batches(folder / "cifar-10-batches-py", content),
    "data_batch_1": python_batches,
    "test_batch": partial(python_batches, names=("test_batch",)),
}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("form", PYTHON)
def test_the_python_batches_are_refused_and_never_unpickled(form: str, split: str, tmp_path: Path) -> None:
    mark, folder = tmp_path / "mark", tmp_path / "data"
    folder.mkdir()
    content = pickle.dumps({"data": Trap(mark), "labels": []})
    PYTHON[form](folder, content)
    wanted = rf'no cifar10 "{split}" in .*: {form} holds pickles, which can run code .* with .*cifar-10-binary\.tar\.gz'
    with pytest.raises(DataError, match=wanted):
        datasets.load("cifar10", split, folder, check=False)
    assert not mark.exists()
    pickle.loads(content)
    assert mark.exists()  # proves that the assertion above can fail


@pytest.mark.parametrize("form", CIFAR)
def test_the_python_archive_beside_the_binary_batches_does_not_matter(form: str, tmp_path: Path) -> None:
    python_archive(tmp_path, b"anything")
    CIFAR[form](tmp_path)
    assert_array_equal(datasets.load("cifar10", folder=tmp_path, check=False).x, IMAGES)


# ---- load --------------------------------------------------------------------------------------------------------


def test_what_is_missing_comes_with_a_remedy(tmp_path: Path) -> None:
    for name, file in (("mnist", "t10k-images-idx3-ubyte"), ("cifar10", "cifar-10-batches-bin")):
        with pytest.raises(DataError, match=rf'no {name} "test" in .*LRPREF_DATA.*{file}.*download=True'):
            datasets.load(name, folder=tmp_path)


def test_names_nobody_knows(tmp_path: Path) -> None:
    assert datasets.names() == ["cifar10", "mnist"]
    with pytest.raises(UnknownNameError, match="did you mean 'mnist'"):
        datasets.load("mnits")
    with pytest.raises(UnknownNameError, match="no split is called 'val'"):
        datasets.load("mnist", "val", tmp_path)


def test_the_folder_is_an_argument_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist_npz(tmp_path)
    monkeypatch.setenv("LRPREF_DATA", str(tmp_path))
    assert len(datasets.load("mnist", check=False)) == 2
    with pytest.raises(DataError, match='no mnist "test" in '):
        datasets.load("mnist", folder=tmp_path / "empty", check=False)
    monkeypatch.setenv("LRPREF_DATA", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DataError, match=r"home/\.cache/lrpref"):
        datasets.load("mnist", check=False)


def test_data_that_were_not_published(tmp_path: Path) -> None:
    """The checksum reveals data that differ from the published files; the message gives a remedy."""
    mnist_npz(tmp_path)
    with pytest.raises(DataError, match=r"the images are not the published ones: md5 .* check=False"):
        datasets.load("mnist", folder=tmp_path)
    for form in CIFAR:
        folder = tmp_path / form
        folder.mkdir()
        CIFAR[form](folder)
        for split in ("train", "test"):
            with pytest.raises(DataError, match="are not the published ones"):
                datasets.load("cifar10", split, folder)


@pytest.mark.parametrize("changed", ["images", "labels"])
def test_checksums_see_one_bit(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the checksums of the small files, unchanged data pass and a single changed bit fails."""
    arrays = {"x_test": DIGITS[:2].copy(), "y_test": DIGIT_LABELS[:2].copy()}
    sums = tuple(hashlib.md5(as_idx(array)).hexdigest() for array in arrays.values())
    monkeypatch.setitem(mnist.MD5, "test", sums)
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert len(datasets.load("mnist", folder=tmp_path)) == 2
    arrays["x_test" if changed == "images" else "y_test"].flat[0] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(DataError, match=f"the {changed} are not the published ones"):
        datasets.load("mnist", folder=tmp_path)


# ---- scaled ------------------------------------------------------------------------------------------------------


def test_scaled_by_hand() -> None:
    x = np.array([0, 51, 255], dtype=np.uint8).reshape(1, 3, 1, 1)
    assert_allclose(datasets.scaled(x).ravel(), [0, 0.2, 1], rtol=1e-6)
    assert datasets.scaled(x).dtype == np.float32
    assert_allclose(datasets.scaled(x, mean=(0, 0.1, 0.5), std=(1, 0.5, 0.25)).ravel(), [0, 0.2, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "settings"),
    [
        (np.zeros((1, 1, 2, 2), dtype=np.float32), {}),
        (np.zeros((2, 2), dtype=np.uint8), {}),
        (np.zeros((1, 3, 2, 2), dtype=np.uint8), {"mean": (0.0, 0.0)}),
        (np.zeros((1, 3, 2, 2), dtype=np.uint8), {"std": 0.0}),
    ],
)
def test_what_is_not_scaled(x: np.ndarray, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        datasets.scaled(x, **settings)


# ---- downloads ---------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder over HTTP on localhost."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()
        thread.join()


@pytest.mark.slow
def test_what_is_missing_is_fetched_if_one_asks_for_it(
    tmp_path: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pooch", reason="pooch is not installed: pip install -e '.[data]'")
    served, url = server
    idx_files(served, zipped=True)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in served.iterdir()}
    monkeypatch.setattr(mnist, "DOWNLOADS", [Download(url, name, md5) for name, md5 in sums.items()])
    with pytest.raises(DataError, match='no mnist "test" in '):
        datasets.load("mnist", folder=tmp_path / "cache", check=False)
    data = datasets.load("mnist", "train", tmp_path / "cache", download=True, check=False)
    assert_array_equal(data.x[:, 0], DIGITS)
    monkeypatch.setattr(mnist, "DOWNLOADS", [Download(url, name, "0" * 32) for name in sums])
    assert len(datasets.load("mnist", folder=tmp_path / "cache", download=True, check=False)) == 2  # already cached
    with pytest.raises(DataError, match=r"could not download .*hash"):
        datasets.load("mnist", folder=tmp_path / "other", download=True, check=False)


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pooch", reason="pooch is not installed: pip install -e '.[data]'")
    monkeypatch.setattr(cifar10, "DOWNLOADS", [Download("http://127.0.0.1:9/", "cifar.tar.gz", "0" * 32)])
    with pytest.raises(
        DataError, match=r"could not download http://127.*Download it on another machine and copy it to"
    ):
        datasets.load("cifar10", folder=tmp_path, download=True)


def test_without_pooch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(LrprefError, match=r"downloads need pooch: pip install pooch"):
        datasets.load("mnist", folder=tmp_path, download=True)


# ---- real data ---------------------------------------------------------------------------------------------------


@pytest.fixture
def real() -> Path:
    folder = Path(os.environ.get("LRPREF_DATA", ""))
    if not os.environ.get("LRPREF_DATA"):
        pytest.skip("LRPREF_DATA is not set: a folder with MNIST and CIFAR-10")
    return folder


@pytest.mark.parametrize(("split", "n", "first"), [("train", 60_000, 5), ("test", 10_000, 7)])
def test_the_real_mnist(split: str, n: int, first: int, real: Path) -> None:
    data = datasets.load("mnist", split, real)
    assert data.x.shape == (n, 1, 28, 28)
    assert data.y[0] == first
    if split == "train":
        assert np.bincount(data.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.mark.parametrize(("split", "first"), [("train", [6, 9, 9, 4]), ("test", [3, 8, 8, 0])])
def test_the_real_cifar_10(split: str, first: list[int], real: Path) -> None:
    data = datasets.load("cifar10", split, real)
    assert data.x.shape[1:] == (3, 32, 32)
    assert data.y[:4].tolist() == first
    assert_allclose(datasets.scaled(data.x[:500]).mean(), 0.47, atol=0.02)


def test_the_real_data_in_other_formats_pass_the_same_checks(real: Path, tmp_path: Path) -> None:
    """MNIST's test set as IDX files, CIFAR-10's test images as a binary batch."""
    digits = datasets.load("mnist", folder=real)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(as_idx(digits.x[:, 0]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(as_idx(digits.y))
    assert_array_equal(datasets.load("mnist", folder=tmp_path).x, digits.x)
    images = datasets.load("cifar10", folder=real)
    (tmp_path / "test_batch.bin").write_bytes(cifar10.as_binary(images.x[:1000], images.y[:1000]))
    assert_array_equal(datasets.load("cifar10", folder=tmp_path).y, images.y[:1000])
