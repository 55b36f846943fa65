"""Inputs of the command line: an embedded sample, an image file, or an array in a .npy file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from .._support.untrusted import read_npy
from ..arithmetic import as_floating, as_parameter, check_finite, check_not_pixels
from ..backend import to_numpy
from ..errors import InputError, LrprefError, ParameterError, WeightsError, unknown
from . import pictures, samples


@dataclass(frozen=True, eq=False)
class Normalisation:
    """Per-channel normalisation of pixels p in [0, 1], x = (p - mean) / std, and its inverse.

    Parameters
    ----------
    mean, std : array, shape (C,)
        One number per channel; std > 0.

    Raises
    ------
    ParameterError
        If the shapes of `mean` and `std` differ, or `std` is not positive.

    Examples
    --------
    >>> as_used = Normalisation([0.5], [0.25])
    >>> x = as_used.apply(np.array([[[[0.0, 1.0]]]]))
    >>> x, as_used.undo(x)
    (array([[[[-2.,  2.]]]]), array([[[[0., 1.]]]]))
    """

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            value = as_parameter(getattr(self, name), f"the input's {name}", ndim=1)
            object.__setattr__(self, name, value)
        if self.mean.shape != self.std.shape or not (self.std > 0).all():
            raise ParameterError(f"mean and std need one number per channel, std > 0; got {self.mean} and {self.std}")

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Self | None:
        """Read the metadata of a file, {"input": {"mean": [...], "std": [...]}}; None without mean and std."""
        entry = about.get("input")
        if not isinstance(entry, Mapping) or not {"mean", "std"} & set(entry):
            return None
        try:
            return cls(entry["mean"], entry["std"])
        except (LrprefError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"the metadata's mean and std of the input cannot be used: {error}") from error

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Normalise pixels (N, C, H, W) in [0, 1]; floating-point types stay, integers become float64."""
        p = to_numpy(as_floating(pixels, "the picture"))
        check_not_pixels(pixels, "the picture")
        x: np.ndarray = (p - self._shaped(self.mean, p)) / self._shaped(self.std, p)
        return x.astype(p.dtype)

    def undo(self, x: np.ndarray) -> np.ndarray:
        """Undo the normalisation of an input (N, C, H, W); floating-point types stay, integers become float64."""
        x = to_numpy(as_floating(x, "the input"))
        pixels: np.ndarray = x * self._shaped(self.std, x) + self._shaped(self.mean, x)
        return pixels.astype(x.dtype)

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Return normalised black and white, each (1, C, 1, 1): the bounds of `rules.ZBox` for this input."""
        black = np.zeros((1, len(self.mean), 1, 1))
        return self.apply(black), self.apply(black + 1)

    def _shaped(self, value: np.ndarray, image: np.ndarray) -> np.ndarray:
        """One number per channel, shaped to broadcast over `image`."""
        if image.ndim != 4 or image.shape[1] != len(value):
            raise InputError(f"mean and std are for images (N, {len(value)}, H, W), got {image.shape}")
        return value.reshape(1, -1, 1, 1)


def read(
    name: str,
    shape: Sequence[int],
    invert: bool = False,
    normalisation: Normalisation | None = None,
    background: str | float | None = None,
    report: Callable[[str], object] | None = None,
) -> np.ndarray:
    """Read one input for a network.

    Parameters
    ----------
    name : str
        An embedded sample ("digit-4"), an image file (resized to fit), or a .npy file. Image files are read as
        `lrpref.zoo.pictures` describes.
    shape : sequence of int
        The shape (C, H, W) of the network's inputs, without the batch axis.
    invert : bool, default False
        Whether to replace x by 1 - x, for dark ink on a light background.
    normalisation : Normalisation or None
        The normalisation that the network expects of samples and images, whose pixels are in [0, 1]. An array in a
        .npy file is never normalised.
    background : str, float or None, default None
        What lies below a transparent picture: a colour as CSS writes it ("white", "#ffcc00"), or a grey value in
        [0, 1]. Applied before `invert`, and not used for an opaque picture. None refuses transparent pictures.
    report : callable or None, default None
        Called with a sentence on what was done to an image file (resized, turned upright, ...), if anything, and with
        another one where `invert` seems wrong: see `lrpref.zoo.pictures.looks_dark_on_light`.

    Returns
    -------
    numpy.ndarray, shape (1, C, H, W)

    Raises
    ------
    UnknownNameError
        If no sample has this name.
    InputError
        If the file is unreadable, has another shape, or holds NaN, infinities or integer pixels above 1; or if it is
        open what the pixels of an image file mean.
    LrprefError
        If an image file needs pillow and it is not installed.
    """
    path = Path(name)
    if path.suffix == ".npy":
        x = _array(path, shape)
        return 1 - x if invert else x
    if path.suffix or len(path.parts) > 1:
        pixels, done = pictures.read(path, shape, background)
        if report is not None and done:
            report(f"{name}: {'; '.join(done)}")
    elif name in samples.names(shape):
        pixels = samples.load(name, shape)
    elif name in samples.names():
        known = samples.load(name).shape[1:]
        raise InputError(f"sample {name!r} has shape {known}, the network takes {tuple(shape)}")
    else:
        raise unknown("sample", name, samples.names())
    pixels = 1 - pixels if invert else pixels
    light = normalisation is not None and normalisation.mean[0] > 0.5  # the mean of what the network was trained on
    drawing = len(shape) == 3 and shape[0] == 1 and not light
    if report is not None and drawing and pictures.looks_dark_on_light(pixels):
        report(
            f"{name}: looks like dark ink on light paper; for a network trained on light ink on dark, as MNIST's is, "
            f"{'leave out' if invert else 'use'} --invert"
        )
    return pixels if normalisation is None else normalisation.apply(pixels)


def _array(path: Path, shape: Sequence[int]) -> np.ndarray:
    """An array from a .npy file, as a batch of one."""
    try:
        found = read_npy(path)
    except WeightsError as error:
        raise InputError(str(error)) from error
    x = to_numpy(as_floating(found, str(path)))
    check_not_pixels(found, str(path))
    x = x[None] if x.shape == tuple(shape) else x
    if x.shape != (1, *shape):
        raise InputError(f"{path} has shape {x.shape}, the network takes {(1, *shape)}")
    check_finite(x, str(path))
    return x
