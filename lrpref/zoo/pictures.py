"""Picture files as people have them: each kind is read right, or refused by name.

    16 bits, 12 bits      white is the largest number that the bits hold
    floating point        values in [0, 1] are kept; others are refused
    other integers        refused, because it is open which number is white
    1 bit, palette, CMYK  converted to RGB or grey
    transparent           refused, unless a background says what lies below it
    EXIF orientation      applied
    several frames        the first one

Colour profiles are ignored. What was done to a picture is returned with it, in words.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._support.extras import library
from ..errors import InputError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
"""The formats that are read, by Pillow's names; PPM includes PGM, PBM and PFM."""

MAX_PIXELS = 2**26
"""The largest picture that is read: 67 million pixels, as 8192 x 8192, for which up to 1.5 GiB of memory are needed."""

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"), "grey"),
    **dict.fromkeys(("RGB", "RGBA", "RGBa", "RGBX"), "RGB"),
    **dict.fromkeys(("P", "PA"), "a palette"),
}
"""Pillow's modes in words; the others, such as CMYK, are their own names."""

BITS, PHOTOMETRIC, SAMPLE_FORMAT, ORIENTATION = 258, 262, 339, 274
"""Tags of TIFF, of which EXIF uses the last one."""


def read(path: Path, shape: Sequence[int], background: str | float | None = None) -> tuple[np.ndarray, list[str]]:
    """Read a picture, resized to a network's input.

    Parameters
    ----------
    path : Path
        A file in one of `FORMATS`, of at most `MAX_PIXELS` pixels.
    shape : sequence of int
        The shape (C, H, W) of the network's inputs, C = 1 or 3.
    background : str, float or None, default None
        What lies below a transparent picture: a colour as CSS writes it ("white", "#ffcc00"), or a grey value in
        [0, 1]. Not used for an opaque picture.

    Returns
    -------
    pixels : numpy.ndarray, shape (1, C, H, W)
        float32 in [0, 1].
    done : list of str
        What was done to the picture; empty if its pixels are used as they are.

    Raises
    ------
    InputError
        If the picture cannot be read, or it is open what its pixels mean.
    LrprefError
        If pillow is not installed.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"an image has 1 or 3 channels, the network takes {tuple(shape)}; use a .npy file")
    Image = _pillow("Image")
    channels, height, width = shape
    below = None if background is None else _colour(background)
    done: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata, and about a size that is checked here
            # Not by its name: Pillow 13 maps an uncompressed TIFF file into memory, with its sides before it is turned.
            with path.open("rb") as stream, Image.open(stream, formats=FORMATS) as image:
                _check(path, image)
                bands = _bands(path, image, channels, below, done)
    except InputError:
        raise
    except Exception as error:  # Pillow raises whatever its parsers stumble over
        raise InputError(f"{path} is not a readable image ({', '.join(FORMATS)}): {error}") from error
    W, H = bands[0].size
    if bands[0].size != (width, height):
        squeezed = ", which changes its proportions" if W * height != H * width else ""
        done.append(f"resized from {W} x {H} to {width} x {height}{squeezed}")
    resized = [np.asarray(band.resize((width, height), Image.Resampling.BOX), dtype=np.float32) for band in bands]
    white = np.float32(1 if bands[0].mode == "F" else 255)
    return np.stack(resized)[None] / white, done


def looks_dark_on_light(pixels: np.ndarray) -> bool:
    """Whether a grey picture (1, 1, H, W) looks like dark ink on light paper.

    The criterion: the median of the outermost pixels is above one half, and the mean of all pixels is below that
    median.
    """
    grey = pixels[0, 0]
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    return bool(paper > 0.5 and grey.mean() < paper)


def _pillow(module: str) -> Any:
    """A module of Pillow."""
    return library(f"PIL.{module}", "plot", "image files")


def _bands(path: Path, image: Any, channels: int, below: tuple[int, ...] | None, done: list[str]) -> list[Any]:
    """The channels of the first frame, upright and opaque: of 8 bits, or of floating-point numbers in [0, 1]."""
    if getattr(image, "is_animated", False):
        done.append("only the first of its frames used")
    if (orientation := image.getexif().get(ORIENTATION, 1)) in range(2, 9):
        done.append(f"turned upright (EXIF orientation {orientation})")
    kind, goal = KINDS.get(image.mode, image.mode), "grey" if channels == 1 else "RGB"
    if kind != goal:
        done.append(f"converted from {kind} to {goal}")
    image.load()
    upright = _pillow("ImageOps").exif_transpose(image)
    if image.mode[0] in "IF":
        return [_pillow("Image").fromarray(_wide(path, image, np.asarray(upright)))] * channels
    return list(_opaque(path, upright, below, done).convert("L" if channels == 1 else "RGB").split())


def _check(path: Path, image: Any) -> None:
    """Raise InputError for a picture that is too large, or that can be understood in several ways."""
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read, so make it smaller first"
        )
    keyed = image.format == "PNG" and "transparency" in image.info and image.mode not in ("1", "P")
    if keyed and image.tile[0][3] != image.mode:  # Pillow compares a value of another depth with pixels of 8 bits
        raise InputError(f"{path} marks a value as transparent and is not of 8 bits; save it with an alpha channel")
    signed = _tag(image, SAMPLE_FORMAT) == 2
    if signed or (image.mode == "I" and image.format not in ("PNG", "PPM")):  # these two mean 16 bits
        raise InputError(
            f"{path} holds {'signed' if signed else '32-bit'} integers, so the value of white is unknown; save it with "
            "8 or 16 unsigned bits or as floating-point numbers in [0, 1], or save its values in a .npy file"
        )


def _tag(image: Any, tag: int) -> int | None:
    """The first value of a tag, of a TIFF file; None without it."""
    value = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) else value


def _wide(path: Path, image: Any, values: np.ndarray) -> np.ndarray:
    """The values of a grey picture of more than 8 bits, or of floating-point numbers, as numbers in [0, 1]."""
    if image.mode != "F":
        values = values.astype(np.float32) / (2 ** (_tag(image, BITS) or 16) - 1)
    elif not ((values >= 0) & (values <= 1)).all():  # NaN is neither
        raise InputError(
            f"{path} holds floating-point numbers from {values.min():.4g} to {values.max():.4g}; a picture needs "
            "numbers in [0, 1]. Divide them by the value of white, or save them in a .npy file, which is used unchanged"
        )
    pixels = 1 - values if _tag(image, PHOTOMETRIC) == 0 else values  # Pillow inverts 8 bits by itself
    return pixels.astype(np.float32, copy=False)


def _opaque(path: Path, image: Any, below: tuple[int, ...] | None, done: list[str]) -> Any:
    """The picture without transparency, laid on the background where it had any."""
    if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB")
    if below is None:
        raise InputError(
            f"{path} has transparent pixels; name the colour below them, as in --background white "
            '(background="white" in Python)'
        )
    done.append("laid on the background")
    ground = _pillow("Image").new("RGBA", image.size, below)
    return _pillow("Image").alpha_composite(ground, image).convert("RGB")


def _colour(background: str | float) -> tuple[int, ...]:
    """A background as red, green, blue and alpha, which is 255."""
    refused = InputError(
        f"a background is an opaque colour such as white or #ffcc00, or a grey value from 0 (black) to 1 (white), got "
        f"{background!r}"
    )
    try:
        grey = float(background)
    except (TypeError, ValueError):
        grey = None
    if grey is not None:
        if not 0 <= grey <= 1:
            raise refused
        return (*[round(255 * grey)] * 3, 255)
    try:
        colour: tuple[int, ...] = _pillow("ImageColor").getcolor(background, "RGBA")
    except (AttributeError, TypeError, ValueError) as error:
        raise refused from error
    if colour[3] != 255:
        raise refused
    return colour
