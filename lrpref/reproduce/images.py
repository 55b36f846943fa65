"""The test images of a study: from a folder, or the few that come with lrpref."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..zoo import datasets, samples

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
CAT = 3
"""The label of a cat in CIFAR-10."""


@dataclass(frozen=True, eq=False)
class Images:
    """Test images of one data set.

    Parameters
    ----------
    dataset : {"mnist", "cifar10"}
        The data set.
    x : array, shape (N, C, H, W)
        The images, float32 in [0, 1].
    labels : array of int, shape (N,)
        Their classes.
    source : str
        The origin of the images, in words.
    """

    dataset: str
    x: np.ndarray
    labels: np.ndarray
    source: str


def load(dataset: str, count: int, folder: str | os.PathLike[str] | None = None, check: bool = True) -> Images:
    """Return the first `count` test images of a data set.

    Parameters
    ----------
    dataset : {"mnist", "cifar10"}
        The data set.
    count : int
        How many images, at most.
    folder, check
        As in `lrpref.datasets.load`. Without a folder, the images are those embedded in lrpref: thirteen digits, or one
        photograph of a cat.

    Returns
    -------
    Images
        The images, their labels and their origin.

    Raises
    ------
    DataError
        If files are missing, damaged, or not the published ones.
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
