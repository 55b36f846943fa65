"""CIFAR-10 in a folder: the binary or the Python batches, unpacked or in their archive, or lrpref's own .npz parts.

    cifar-10-batches-bin   per image one byte of label, then 1024 bytes of red, of green, of blue
    cifar-10-batches-py    a pickled dictionary with "data" (N, 3072) and "labels"
    cifar10_train_*.npz    x (N, 32, 32, 3), y, index; cifar10_eval.npz: x_val, x_test and so on. A part of the data:
                           2,500 training images of each class, 500 others of each class ("val"), 1,000 test images

(A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the data's web page.)
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ...errors import DataError
from .part import Download, Part, columns
from .pickled import read_pickled

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = ("train", "val", "test")
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
BATCH = 10_000
MAX_BYTES = 2**26
"""More than a batch needs."""

MD5_TRAIN = (
    "5dd7e06a14cb22eb9f671a540d1b7c25",
    "5ea93a67294ea407fff1d09f752e9692",
    "942cd6a4bcdd0dd3c604fbe906cb4421",
    "ae636b3ba5c66a11e91e8cb52e771fcb",
    "53f37980c15c3d472c316c40844f3f0d",
)
"""Of the binary batches 1 to 5."""

MD5_PARTS = {
    "train": "b36c4f006029427e4e76a335a85c1951",
    "val": "6f0dcfd2dcdc3a3aee368d8ba4513fe9",
    "test": "371f65da31ad652f5e24b3699a3e6515",
}
"""Of lrpref's parts, and of the first 1,000 test images, in the binary form."""

URL = "https://www.cs.toronto.edu/~kriz/"
ARCHIVES = {
    "binary": Download(URL, "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    "python": Download(URL, "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
}
DOWNLOADS = (ARCHIVES["binary"],)
MD5_FILES = {**{each.name: each.md5 for each in ARCHIVES.values()}, "test_batch": "40351d587109b95175f43aff81a1287e"}
"""Of files whose checksum was published as they are."""

FILES = (
    "cifar-10-batches-bin/ or cifar-10-batches-py/ with their batches, cifar-10-binary.tar.gz, cifar-10-python.tar.gz, "
    "or cifar10_train_1.npz to _3.npz and cifar10_eval.npz"
)


def read(folder: Path, split: str) -> Part | None:
    """One split from a folder, None if there is none; raises DataError for damaged files."""
    names = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}.get(split, [])
    for form, parse in FORMS.items():
        suffix = ".bin" if form == "binary" else ""
        wanted = [name + suffix for name in names]
        found = _unpacked(folder, form, wanted) or _packed(folder / ARCHIVES[form].name, wanted)
        if found:
            path, contents = found
            batches = [_parsed(parse, content, path) for content in contents]
            x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
            return Part.checked(x, y, np.arange(len(x)), path, len(CLASSES))
    return _npz(folder, split)


def check(part: Part, split: str) -> None:
    """Raise DataError unless the images and labels are those that were published.

    Nobody published a checksum of the test images in the binary form; of a bare `test_batch.bin`, the first 1,000
    images are checked.
    """
    if part.path.name in MD5_FILES:
        part.compare("bytes", part.path.read_bytes(), MD5_FILES[part.path.name])
    if split == "train" and np.array_equal(part.index, np.arange(len(MD5_TRAIN) * BATCH)):
        for i, md5 in enumerate(MD5_TRAIN):
            batch = slice(i * BATCH, (i + 1) * BATCH)
            part.compare(f"images of batch {i + 1}", as_binary(part.x[batch], part.y[batch]), md5)
        return
    first = slice(1_000 if split == "test" else None)
    part.compare("images", as_binary(part.x[first], part.y[first]), MD5_PARTS[split])


# ---- the formats -----------------------------------------------------------------------------------------------


def parse_binary(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) and labels in a binary batch; raises DataError."""
    if not content or len(content) % RECORD:
        raise DataError(f"{len(content)} bytes, which is no whole number of records of {RECORD}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:].reshape(-1, *SHAPE), records[:, 0]


def as_binary(x: np.ndarray, y: np.ndarray) -> bytes:
    """Images and labels as a binary batch."""
    return np.concatenate([y.astype(np.uint8)[:, None], x.reshape(len(x), -1)], axis=1).tobytes()


def parse_python(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) and labels in a Python batch, without running it; raises DataError."""
    found: Any = read_pickled(content)
    data, labels = (found.get(key) if isinstance(found, dict) else None for key in ("data", "labels"))
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != RECORD - 1:
        raise DataError(f"a pickle without data of shape (N, {RECORD - 1})")
    if not isinstance(labels, list) or not all(type(n) is int and 0 <= n < len(CLASSES) for n in labels):
        raise DataError(f"a pickle without a list of labels from 0 to {len(CLASSES) - 1}")
    return data.reshape(-1, *SHAPE), np.array(labels, dtype=np.uint8)


FORMS: Mapping[str, Callable[[bytes], tuple[np.ndarray, np.ndarray]]] = {
    "binary": parse_binary,
    "python": parse_python,
}


def _parsed(
    parse: Callable[[bytes], tuple[np.ndarray, np.ndarray]], content: bytes, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    try:
        return parse(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _npz(folder: Path, split: str) -> Part | None:
    """A split of lrpref's own parts."""
    evaluated = folder / "cifar10_eval.npz"
    paths = sorted(folder.glob("cifar10_train_*.npz")) if split == "train" else [evaluated] * evaluated.is_file()
    if not paths:
        return None
    suffix = "" if split == "train" else f"_{split}"
    rows = [columns(path, (f"x{suffix}", f"y{suffix}", f"index{suffix}")) for path in paths]
    try:
        x, y, index = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    except ValueError as error:
        raise DataError(f"{paths[0]} and the parts beside it differ in shape: {error}") from error
    if x.shape[1:] != (32, 32, 3) or x.dtype != np.uint8:
        raise DataError(f"{paths[0]}: images of {x.shape} and {x.dtype}; expected (N, 32, 32, 3) of uint8")
    return Part.checked(np.moveaxis(x, 3, 1), y, index, paths[0], len(CLASSES))


# ---- files -----------------------------------------------------------------------------------------------------


def _unpacked(folder: Path, form: str, names: list[str]) -> tuple[Path, list[bytes]] | None:
    """The contents of the batches, if they lie in the folder, or in the archive's folder below it."""
    below = folder / f"cifar-10-batches-{'bin' if form == 'binary' else 'py'}"
    for base in (folder, below):
        paths = [base / name for name in names]
        if paths and all(path.is_file() for path in paths):
            return paths[0], [_bytes(path) for path in paths]
    return None


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size} bytes, more than any batch has")
    return path.read_bytes()


def _packed(path: Path, names: list[str]) -> tuple[Path, list[bytes]] | None:
    """The contents of the batches in an archive; nothing is unpacked to disk, and no name in it is a path here."""
    if not path.is_file() or not names:
        return None
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name in names and member.isfile() and member.size <= MAX_BYTES:
                    stream = archive.extractfile(member)
                    contents[name] = stream.read() if stream else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a readable archive: {error}") from error
    if missing := [name for name in names if name not in contents]:
        raise DataError(f"{path} has no {', '.join(missing)}")
    return path, [contents[name] for name in names]
