"""A few real inputs that are included in lrpref: digits, a photograph of a cat at two sizes, heartbeats, and a brain.

For origin and licence see README.md beside this file.

>>> names()[:3], names((3, 32, 32))
(['digit-0', 'digit-1', 'digit-2'], ['chelsea'])
>>> load("digit-4").shape, load("chelsea", (3, 224, 224)).shape
((1, 1, 28, 28), (1, 3, 224, 224))
>>> load("beat-wide").shape, load("brain").shape
((1, 1, 128), (1, 1, 48, 40, 96))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...arithmetic import is_shape
from ...errors import ShapeError, is_one_of, shown, unknown

_HERE = Path(__file__).parent

DIGIT = (1, 28, 28)
PHOTOGRAPH = ((3, 32, 32), (3, 224, 224))
"""The shapes (C, H, W) in which the photograph is available."""

BEAT = (1, 128)
BEATS = {"beat-narrow": 100, "beat-wide": 125, "beat-between": 67}
"""The index of each heartbeat among those of `beats.npz`."""

BRAIN = (1, 48, 40, 96)

WORDS = {"chelsea": "cat", "beat-narrow": "narrow", "beat-wide": "wide", "beat-between": "wide", "brain": "brain"}
"""The labels of the samples that are not digits."""


def names(shape: Sequence[int] | None = None) -> list[str]:
    """Return the names of the samples.

    Parameters
    ----------
    shape : sequence of int or None
        Only the samples that are available in this shape, such as (C, H, W); None for all.

    Returns
    -------
    list of str
    """
    if shape is not None and not is_shape(shape):
        raise ShapeError(f"expected a shape such as (C, H, W), got {shown(shape)}")
    return [name for name, shapes in _shapes().items() if shape is None or tuple(shape) in shapes]


def load(name: str, shape: Sequence[int] | None = None) -> np.ndarray:
    """Load a sample as a batch of one.

    Parameters
    ----------
    name : str
        One of `names()`.
    shape : sequence of int or None
        One of the shapes in which the sample is available, such as (C, H, W); None for the smallest.

    Returns
    -------
    numpy.ndarray, shape (1, C, H, W), (1, C, L) or (1, C, D, H, W)
        float32: images and the brain in [0, 1], heartbeats in millivolt, minus the median of the beat.

    Raises
    ------
    UnknownNameError
        If no sample has this name.
    ShapeError
        If the sample is not available in this shape.
    """
    shapes = _known(name)
    wanted = shapes[0] if shape is None else tuple(shape) if is_shape(shape) else ()
    if wanted not in shapes:
        available = " and ".join(map(str, shapes))
        raise ShapeError(f"sample {name!r} is available in shape {available}, not in {shown(shape)}")
    if wanted == BEAT:
        return _beat(name)[None]
    if wanted == BRAIN:
        return _brain()[None]
    pixels = _digit(name) if shapes == (DIGIT,) else _photograph(name, wanted[-1])
    image: np.ndarray = np.moveaxis(pixels, -1, 0).astype(np.float32, order="C") / 255
    return image[None]


def label(name: str) -> int | str:
    """Return what a sample shows: MNIST's label of a digit, or a word.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    int or str

    Raises
    ------
    UnknownNameError
        If no sample has this name.

    Examples
    --------
    >>> label("digit-4"), label("chelsea")
    (4, 'cat')
    """
    if _known(name) != (DIGIT,):
        return WORDS[name]
    with np.load(_HERE / "digits.npz", allow_pickle=False) as data:
        return int(data["labels"][_digits().index(name)])


def _digits() -> list[str]:
    """The names of the digits, in the order of their file."""
    with np.load(_HERE / "digits.npz", allow_pickle=False) as data:
        return [str(name) for name in data["names"]]


def _shapes() -> dict[str, tuple[tuple[int, ...], ...]]:
    """Every sample and the shapes in which it is available, the smallest first."""
    others = {"chelsea": PHOTOGRAPH, **dict.fromkeys(BEATS, (BEAT,)), "brain": (BRAIN,)}
    return {**dict.fromkeys(_digits(), (DIGIT,)), **others}


def _known(name: str) -> tuple[tuple[int, ...], ...]:
    """The shapes of a sample; raises UnknownNameError."""
    shapes = _shapes()
    if not is_one_of(name, shapes):
        raise unknown("sample", name, shapes)
    return shapes[name]


def _digit(name: str) -> np.ndarray:
    """Pixels (28, 28, 1)."""
    with np.load(_HERE / "digits.npz", allow_pickle=False) as data:
        pixels: np.ndarray = data["images"][_digits().index(name)]
    return pixels[..., None]


def _photograph(name: str, size: int) -> np.ndarray:
    """Pixels (size, size, 3)."""
    with np.load(_HERE / f"{name}.npz", allow_pickle=False) as data:
        pixels: np.ndarray = data[f"pixels_{size}"]
    return pixels


def _beat(name: str) -> np.ndarray:
    """Measurements (1, 128) in millivolt."""
    with np.load(_HERE / "beats.npz", allow_pickle=False) as data:
        beat: np.ndarray = data["beats"][BEATS[name]].astype(np.float32) * np.float32(0.00125)
    return beat


def _brain() -> np.ndarray:
    """Voxels (1, 48, 40, 96)."""
    with np.load(_HERE / "brain.npz", allow_pickle=False) as data:
        scan: np.ndarray = data["scan"].astype(np.float32) / 255
    return scan[None]
