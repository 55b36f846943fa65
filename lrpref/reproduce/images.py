"""The test images that a study runs on: those of a folder, or the few digits that come with lrpref."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..zoo import datasets, samples

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


def load(dataset: str, count: int, folder: str | os.PathLike[str] | None = None, check: bool = True) -> Images:
    """The first `count` test images; without a folder what is embedded: thirteen digits, or one photograph of a cat.

    folder, check  as in `lrpref.datasets.load`

    Raises DataError for files that are missing, damaged, or not the published ones.
    """
    if folder is None:
        return _embedded(dataset, count)
    found = datasets.load(dataset, "test", folder, check=check)
    x = datasets.scaled(found.x[:count])
    return Images(dataset, x, found.y[:count], f"the first {len(x)} test images of {dataset}")


def _embedded(dataset: str, count: int) -> Images:
    names = samples.names(SHAPES[dataset])[:count]
    x = np.concatenate([samples.load(name, SHAPES[dataset]) for name in names])
    labels = [CAT if (label := samples.label(name)) == "cat" else label for name in names]
    what = "digits" if dataset == "mnist" else "photograph"
    return Images(dataset, x, np.asarray(labels, dtype=np.int64), f"{len(names)} embedded {what}")
