"""MNIST in a folder: the four IDX files, gzip or not, or `mnist.npz` with x_train, y_train, x_test, y_test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError
from .idx import as_idx, read_idx
from .part import Download, Part, columns

CLASSES = tuple("0123456789")
SPLITS = ("train", "test")

MD5 = {
    "train": ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
    "test": ("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
}
"""The md5 of the unpacked IDX files: images and labels."""

PREFIX = {"train": "train", "test": "t10k"}

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
DOWNLOADS = (
    Download(MIRROR, "train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    Download(MIRROR, "train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
    Download(MIRROR, "t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
    Download(MIRROR, "t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
)

FILES = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, or mnist.npz"

PICKLES: tuple[str, ...] = ()
"""Files that are refused because they hold pickles."""


def read(folder: Path, split: str) -> Part | None:
    """Read one split from a folder, None if the folder does not have it; raises DataError for damaged files."""
    images, labels = _idx(folder, split, "images", 3), _idx(folder, split, "labels", 1)
    if images and labels:
        return _part(read_idx(images), read_idx(labels), images)
    path = folder / "mnist.npz"
    if not path.is_file():
        return None
    x, y = columns(path, (f"x_{split}", f"y_{split}"))
    return _part(x, y, path)


def check(part: Part, split: str) -> None:
    """Raise DataError unless the images and labels are the published ones."""
    part.compare("images", as_idx(part.x[:, 0]), MD5[split][0])
    part.compare("labels", as_idx(part.y), MD5[split][1])


def _idx(folder: Path, split: str, what: str, rank: int) -> Path | None:
    """The IDX file of the images or labels, under the archive's name or torchvision's."""
    stem = f"{PREFIX[split]}-{what}"
    names = [f"{stem}{mark}idx{rank}-ubyte{gz}" for mark in "-." for gz in ("", ".gz")]
    paths = (base / name for base in (folder, folder / "MNIST" / "raw") for name in names)
    return next((path for path in paths if path.is_file()), None)


def _part(x: np.ndarray, y: np.ndarray, path: Path) -> Part:
    """A part of images (N, 28, 28); raises DataError for anything else."""
    if x.shape[1:] != (28, 28) or x.dtype != np.uint8:
        raise DataError(f"{path}: expected images (N, 28, 28) of uint8, got {x.shape} of {x.dtype}")
    return Part.checked(x[:, None], y, np.arange(len(x)), path, len(CLASSES))
