"""A data set: images and labels as bytes, as they were published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...arithmetic import as_dtype, as_floating
from ...backend import numbers, to_numpy
from ...errors import InputError, shown


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, C, H, W)
        Images of uint8, as published.
    y : numpy.ndarray, shape (N,)
        Class numbers of int64.
    classes : tuple of str
        The names of the classes.
    index : numpy.ndarray, shape (N,)
        The images' positions in the published file of their split, int64, from 0.
    source : str
        The file that they were read from.
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
    """Scale bytes to float32 in [0, 1], then standardise: (x - mean) / std.

    Parameters
    ----------
    x : numpy.ndarray, shape (N, C, H, W)
        Images of uint8.
    mean, std : float or sequence of float, default 0.0 and 1.0
        One number, or one per channel; std > 0.

    Returns
    -------
    numpy.ndarray, shape (N, C, H, W)
        float32.

    Raises
    ------
    InputError
        If `x` is not an array of bytes (so that nothing is scaled twice), or `mean` and `std` do not fit it.

    Examples
    --------
    >>> scaled(np.full((1, 1, 1, 1), 255, dtype=np.uint8), mean=0.5, std=0.25).item()
    2.0
    """
    x = to_numpy(numbers(x, "x"))
    if x.dtype != np.uint8 or x.ndim != 4:
        raise InputError(f"expected images (N, C, H, W) of uint8, got {x.shape} of {x.dtype}")
    unit = x.astype(np.float32) / 255
    given = as_floating(mean, "mean"), as_floating(std, "std")
    with np.errstate(over="ignore"):
        shift, scale = (np.reshape(to_numpy(as_dtype(v, np.float32)), (-1, 1, 1)) for v in given)
    fits = {len(shift), len(scale)} <= {1, x.shape[1]}
    if not (fits and np.isfinite(shift).all() and np.isfinite(scale).all() and (scale > 0).all()):
        raise InputError(
            f"mean and std must be finite, one number or one per channel of {x.shape}, std > 0; "
            f"got {shown(mean)} and {shown(std)}"
        )
    standardised: np.ndarray = (unit - shift) / scale
    return standardised
