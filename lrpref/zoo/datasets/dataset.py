"""What a data set is here: images and labels as bytes, as they were published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images.

    x        (N, C, H, W), uint8, as published
    y        (N,), int64, the classes by number
    classes  their names
    index    (N,), int64, the images' places in the published file of their split, from 0
    source   where they were read from, in words
    """

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    index: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Dataset({len(self)} images of {self.x.shape[1:]}, {len(self.classes)} classes, from {self.source})"


def scaled(x: np.ndarray, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0) -> np.ndarray:
    """Bytes as float32 in [0, 1], then (x - mean) / std, where these are one number, or one per channel.

    x  (N, C, H, W), uint8

    Raises InputError for anything but bytes: what is scaled already must not be scaled again.

    >>> scaled(np.full((1, 1, 1, 1), 255, dtype=np.uint8), mean=0.5, std=0.25).item()
    2.0
    """
    if x.dtype != np.uint8 or x.ndim != 4:
        raise InputError(f"expected (N, C, H, W) of uint8, 0 to 255, got {x.shape} of {x.dtype}")
    unit = x.astype(np.float32) / 255
    shift, scale = (np.reshape(np.asarray(v, dtype=np.float32), (-1, 1, 1)) for v in (mean, std))
    if not {len(shift), len(scale)} <= {1, x.shape[1]} or not np.all(scale > 0):
        raise InputError(f"mean {mean} and std {std}: one number each, or one per channel of {x.shape}; std above 0")
    standardised: np.ndarray = (unit - shift) / scale
    return standardised
