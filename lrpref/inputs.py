"""What the command line explains: an embedded sample, an image file, or an array in a .npy file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import samples
from .arithmetic import as_floating
from .errors import InputError, LrprefError, unknown
from .weights import UNREADABLE


def read(name: str, shape: Sequence[int], invert: bool = False) -> np.ndarray:
    """A batch of one in [0, 1] for a network with inputs of `shape` (C, H, W), without the batch axis.

    name    an embedded sample ("digit-4"), an image file (resized), or a .npy file of that shape
    invert  1 - x, for dark ink on a light ground

    Raises UnknownNameError, InputError.
    """
    path = Path(name)
    if path.suffix == ".npy":
        x = _array(path, shape)
    elif path.suffix or len(path.parts) > 1:
        x = _picture(path, shape)
    elif name in samples.names():
        x = samples.load(name)
        if x.shape[1:] != tuple(shape):
            raise InputError(f"sample {name!r} has shape {x.shape[1:]}, the network takes {tuple(shape)}")
    else:
        raise unknown("sample", name, samples.names())
    return 1 - x if invert else x


def _array(path: Path, shape: Sequence[int]) -> np.ndarray:
    try:
        with path.open("rb") as stream:
            x: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    except UNREADABLE as error:
        raise InputError(f"{path} is not a readable .npy file: {error}") from error
    x = as_floating(x, str(path))
    x = x[None] if x.shape == tuple(shape) else x
    if x.shape != (1, *shape):
        raise InputError(f"{path} has shape {x.shape}, the network takes {(1, *shape)}")
    return x


def _picture(path: Path, shape: Sequence[int]) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError as error:
        raise LrprefError('image files need pillow: pip install "lrpref[plot]"') from error
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"an image has 1 or 3 channels, the network takes {tuple(shape)}; give a .npy file")
    channels, height, width = shape
    try:
        with Image.open(path) as image:
            resized = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BOX)
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image: {error}") from error
    pixels = np.asarray(resized, dtype=np.float32).reshape(height, width, channels) / 255
    return np.moveaxis(pixels, -1, 0)[None]
