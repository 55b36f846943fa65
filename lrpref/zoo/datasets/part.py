"""What a reader brings home: images, labels, their places in the published file, and where they were found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DataError, WeightsError
from ...weights import read_arrays


@dataclass(frozen=True, eq=False)
class Part:
    """One split, or what a folder has of it.

    x (N, C, H, W) uint8; y (N,) uint8; index (N,) the places in the published file; path of a file it came from
    """

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    path: Path

    @classmethod
    def checked(cls, x: np.ndarray, y: np.ndarray, index: np.ndarray, path: Path, classes: int) -> Part:
        """A part whose images, labels and places fit together; raises DataError."""
        if y.shape != (len(x),) or index.shape != y.shape:
            raise DataError(f"{path}: {len(x)} images, but labels of shape {y.shape} and places of {index.shape}")
        if y.dtype.kind not in "iu" or (len(y) and not 0 <= int(y.min()) <= int(y.max()) < classes):
            raise DataError(f"{path}: labels that are no whole numbers from 0 to {classes - 1}")
        return cls(np.ascontiguousarray(x), y.astype(np.uint8), index.astype(np.int64), path)

    def compare(self, what: str, content: bytes, md5: str) -> None:
        """Raise DataError unless `content`, in its published form, has this checksum."""
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(
                f"{self.path}: the {what} are not the published ones: md5 {found}, not {md5}. Fetch the file again, "
                "or load with check=False if this is data of your own"
            )


@dataclass(frozen=True)
class Download:
    """A file that was published, and its md5."""

    folder: str
    name: str
    md5: str

    @property
    def url(self) -> str:
        """Where it lies."""
        return self.folder + self.name


def columns(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    """Arrays of an .npz file by name; raises DataError."""
    try:
        arrays = read_arrays(path)
    except WeightsError as error:
        raise DataError(str(error)) from error
    if missing := [key for key in keys if key not in arrays]:
        raise DataError(f"{path} has no {', '.join(missing)}; it has: {', '.join(arrays)}")
    return [arrays[key] for key in keys]
