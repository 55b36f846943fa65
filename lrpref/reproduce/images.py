"""The test images that a study runs on: those of a folder, or the few digits that come with lrpref."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import samples
from ..errors import InputError

FILES = {"mnist": "mnist.npz", "cifar10": "cifar10_eval.npz"}
"""The file of each data set: arrays x_test (uint8) and y_test."""

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
CAT = 3
"""What CIFAR-10 calls a cat."""


@dataclass(frozen=True, eq=False)
class Images:
    """Test images of one data set.

    dataset  "mnist" or "cifar10"
    x        (N, C, H, W), float32 in [0, 1]
    labels   (N,)
    source   where they are from, in words
    """

    dataset: str
    x: np.ndarray
    labels: np.ndarray
    source: str


def load(dataset: str, count: int, folder: str | os.PathLike[str] | None = None) -> Images:
    """The first `count` test images; without a folder what is embedded: thirteen digits, or one photograph of a cat.

    Raises InputError for a file that is missing, unreadable, or holds something else.
    """
    if folder is None:
        return _embedded(dataset, count)
    path = Path(folder) / FILES[dataset]
    try:
        with np.load(path, allow_pickle=False) as held:
            x, labels = held["x_test"][:count], held["y_test"][:count]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable .npz file with x_test and y_test: {error}") from error
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or len(x) != len(labels):
        raise InputError(f"{path}: x_test is uint8 (N, H, W) or (N, H, W, C), got {x.dtype} {x.shape}")
    pixels = x[:, None] if x.ndim == 3 else np.moveaxis(x, -1, 1)
    scaled = np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255)
    return Images(dataset, scaled, labels.astype(np.int64), f"the first {len(x)} test images of {dataset}")


def _embedded(dataset: str, count: int) -> Images:
    names = samples.names(SHAPES[dataset])[:count]
    x = np.concatenate([samples.load(name, SHAPES[dataset]) for name in names])
    labels = [CAT if (label := samples.label(name)) == "cat" else label for name in names]
    what = "digits" if dataset == "mnist" else "photograph"
    return Images(dataset, x, np.asarray(labels, dtype=np.int64), f"{len(names)} embedded {what}")
