"""The result of a reader: images, labels, their positions in the published file, and the file they came from."""

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
    """One split, or the part of it that a folder has.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, C, H, W)
        Images of uint8.
    y : numpy.ndarray, shape (N,)
        Labels of uint8.
    index : numpy.ndarray, shape (N,)
        The images' positions in the published file.
    path : Path
        A file that the images came from.
    """

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    path: Path

    @classmethod
    def checked(cls, x: np.ndarray, y: np.ndarray, index: np.ndarray, path: Path, classes: int) -> Part:
        """Return a part; raises DataError unless images, labels and positions fit together."""
        if y.shape != (len(x),) or index.shape != y.shape:
            raise DataError(
                f"{path}: {len(x)} images, but labels of shape {y.shape} and an index of shape {index.shape}"
            )
        if y.dtype.kind not in "iu" or (len(y) and not 0 <= int(y.min()) <= int(y.max()) < classes):
            raise DataError(f"{path}: labels must be integers from 0 to {classes - 1}")
        return cls(np.ascontiguousarray(x), y.astype(np.uint8), index.astype(np.int64), path)

    def compare(self, what: str, content: bytes, md5: str) -> None:
        """Raise DataError unless `content`, in its published form, has this checksum."""
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(
                f"{self.path}: the {what} are not the published ones: md5 {found}, expected {md5}. Download the file "
                "again, or pass check=False to read your own data"
            )


@dataclass(frozen=True)
class Download:
    """A published file and its md5."""

    folder: str
    name: str
    md5: str

    @property
    def url(self) -> str:
        """The address of the file."""
        return self.folder + self.name


def columns(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    """Return arrays of an .npz file by name; raises DataError."""
    try:
        arrays = read_arrays(path)
    except WeightsError as error:
        raise DataError(str(error)) from error
    if missing := [key for key in keys if key not in arrays]:
        raise DataError(f"{path} does not contain {', '.join(missing)}; it contains {', '.join(arrays)}")
    return [arrays[key] for key in keys]
