"""Fills: what replaces a pixel that is removed.

No fill is neutral: zero is the absence of ink on a black background and a dark spot on a photograph. So the fill is a
named choice, and a result should be repeated with another one. A fill makes the image that is left when *everything*
is removed from the original input; a test then mixes the two.

    "zero"        the number 0                              Value(0.0)
    "mean"        each sample's own mean, per channel       Mean()
    "uniform"     random numbers (Samek et al. 2017)        Uniform()
    "blur"        a blurred copy (Petsiuk et al. 2018)      Blur()
    "neighbours"  the mean of the surrounding pixels        Neighbours()
    "flip"        low + high - x (Bach et al. 2015, digits) Flip()

Fill values are in the units of the network's input. The mean of a data set is `Value(mean)`, a number or one per
channel. To write your own fill, subclass `Fill` and implement `background`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..arithmetic import as_dtype, as_floating, check_number, is_integer
from ..backend import to_numpy
from ..errors import DTypeError, ParameterError, ShapeError, shown, unknown


@dataclass(frozen=True)
class Fill:
    """The base class: what is left of an input when everything is removed."""

    random: ClassVar[bool] = False
    """Whether two draws differ, so that repeats make sense."""

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return what is left when everything is removed.

        Parameters
        ----------
        x : numpy.ndarray, shape (N, ...)
            The original input.
        rngs : sequence of numpy.random.Generator
            One generator per sample, for random fills.

        Returns
        -------
        numpy.ndarray, shape (N, ...)
        """
        raise NotImplementedError(f"{type(self).__name__} defines no background: implement background()")


@dataclass(frozen=True)
class Value(Fill):
    """A number, or one per channel.

    Parameters
    ----------
    value : float or tuple of float, default 0.0
        Finite.

    Examples
    --------
    >>> Value((1.0, 2.0)).background(np.zeros((1, 2, 1, 2)), [])
    array([[[[1., 1.]],
    <BLANKLINE>
            [[2., 2.]]]])
    """

    value: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        held = to_numpy(as_dtype(as_floating(self.value, "a fill"), np.float64))
        if isinstance(self.value, bool) or held.ndim > 1 or not held.size or not np.isfinite(held).all():
            raise ParameterError(f"a fill must be a finite number or one per channel, got {shown(self.value)}")
        object.__setattr__(self, "value", float(held) if held.ndim == 0 else tuple(held.tolist()))

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return the value everywhere."""
        value = np.asarray(self.value, dtype=x.dtype)
        if value.ndim and value.shape[0] != x.shape[1]:
            raise ShapeError(f"the fill has {value.shape[0]} values, the input {x.shape[1]} channels")
        return np.broadcast_to(value.reshape(-1, *(1,) * (x.ndim - 2)) if value.ndim else value, x.shape)


@dataclass(frozen=True)
class Mean(Fill):
    """Each sample's own mean: per channel for an image, over all features otherwise."""

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return the mean everywhere."""
        axes = tuple(range(2, x.ndim)) or (1,)
        return np.broadcast_to(x.mean(axis=axes, keepdims=True), x.shape)


@dataclass(frozen=True)
class Uniform(Fill):
    """Uniform random numbers, with one generator per sample (Samek et al. 2017).

    Parameters
    ----------
    low, high : float or None
        The bounds, low <= high. None takes the sample's own minimum and maximum, per channel, so that the fill has
        the units of the data.
    """

    random: ClassVar[bool] = True

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if bound is not None:
                check_number(bound, "Uniform: a bound")
        if (self.low is None) != (self.high is None) or (self.low is not None and not self.low <= self.high):  # type: ignore[operator]
            raise ParameterError(f"Uniform needs both bounds, low <= high, or neither; got {self.low} and {self.high}")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return one draw per value."""
        axes = tuple(range(2, x.ndim)) or (1,)
        low = x.min(axis=axes, keepdims=True) if self.low is None else self.low
        high = x.max(axis=axes, keepdims=True) if self.high is None else self.high
        drawn = np.stack([rng.random(x.shape[1:]) for rng in rngs])
        filled: np.ndarray = (low + drawn * (np.asarray(high) - low)).astype(x.dtype)
        return filled


@dataclass(frozen=True)
class Blur(Fill):
    """The image, blurred as in the code of RISE (the start of insertion in Petsiuk et al. 2018).

    RISE's kernel is not a cut-off Gaussian. It is a single one in the middle of `size` x `size` zeros, filtered by
    `scipy.ndimage.gaussian_filter`, which reflects at the border of that small square; the tails fold back into it,
    so that the default kernel is nearly flat (0.088 to 0.094 along an axis). The image is convolved with it under zero
    padding, which darkens the border. The defaults are RISE's for images of 224 x 224; they blur a digit of 28 x 28
    almost beyond recognition.

    Parameters
    ----------
    sigma : float, default 5.0
        The standard deviation of the filter in pixels, in (0, 1000].
    size : int, default 11
        The width of the kernel in pixels, odd.

    References
    ----------
    Petsiuk et al. 2018, arXiv 1806.07421, and `gkern` in evaluation.py of their code (github.com/eclique/RISE).
    """

    sigma: float = 5.0
    size: int = 11

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= 1000 or self.size < 1 or self.size % 2 == 0:
            raise ParameterError(f"Blur needs sigma in (0, 1000] and an odd size, got {self.sigma} and {self.size}")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return the blurred image."""
        _, _, H, W = _image_shape(x, "Blur")
        blurred: np.ndarray = self._weights(H) @ x.astype(np.float64) @ self._weights(W).T
        return blurred.astype(x.dtype)

    def _weights(self, length: int) -> np.ndarray:
        """The matrix that blurs along one axis: a row holds the kernel, as far as it lies inside the image."""
        place = np.arange(length)[:, None] - np.arange(length) + self.size // 2
        inside = (place >= 0) & (place < self.size)
        weights: np.ndarray = np.where(inside, self._kernel()[np.where(inside, place, 0)], 0)
        return weights

    def _kernel(self) -> np.ndarray:
        """The kernel along one axis: a Gaussian around the middle, cut off at 4 sigma, its tails folded back.

        Tails that are reflected at the ends land where tails that wrap around do, because both are alike.
        """
        reach = int(4 * self.sigma + 0.5)
        offsets = np.arange(-reach, reach + 1)
        gaussian = np.exp(-0.5 * (offsets / self.sigma) ** 2)
        return np.bincount((self.size // 2 + offsets) % self.size, gaussian / gaussian.sum(), self.size)


@dataclass(frozen=True)
class Neighbours(Fill):
    """The mean of the pixels around a pixel in the original image, the pixel itself left out.

    Parameters
    ----------
    size : int, default 3
        The width of the neighbourhood in pixels, odd and >= 3.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if not is_integer(self.size, least=3) or self.size % 2 == 0:
            raise ParameterError(f"Neighbours needs an odd size >= 3, got {shown(self.size)}")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return the mean of each pixel's neighbours."""
        _, _, H, W = _image_shape(x, "Neighbours")
        rows, columns = (self._near(length) for length in (H, W))
        total = rows @ x.astype(np.float64) @ columns.T - x
        count = rows.sum(axis=1)[:, None] * columns.sum(axis=1) - 1
        mean: np.ndarray = (total / np.maximum(count, 1)).astype(x.dtype)
        return mean

    def _near(self, length: int) -> np.ndarray:
        """1 where two positions on an axis are neighbours or equal."""
        near: np.ndarray = (abs(np.arange(length)[:, None] - np.arange(length)) <= self.size // 2).astype(float)
        return near


@dataclass(frozen=True)
class Flip(Fill):
    """low + high - x: ink becomes background and background becomes ink, as in Bach et al. 2015.

    Parameters
    ----------
    low, high : float, default 0.0 and 1.0
        The values of background and ink.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.low, "Flip: low")
        check_number(self.high, "Flip: high")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Return the negative of the image."""
        negative: np.ndarray = (self.low + self.high - x).astype(x.dtype)
        return negative


FILLS: Mapping[str, Fill] = {
    "zero": Value(0.0),
    "mean": Mean(),
    "uniform": Uniform(),
    "blur": Blur(),
    "neighbours": Neighbours(),
    "flip": Flip(),
}
"""The fills by the names that `Conventions` accepts."""


def resolve(fill: str | float | Sequence[float] | Fill) -> Fill:
    """Return the fill of a name, a number, one number per channel, or the fill itself.

    Raises UnknownNameError or ParameterError.

    >>> resolve("zero") == resolve(0) == Value(0.0)
    True
    """
    if isinstance(fill, Fill):
        return fill
    if isinstance(fill, str):
        if fill not in FILLS:
            raise unknown("fill", fill, FILLS)
        return FILLS[fill]
    try:
        return Value(fill)  # type: ignore[arg-type]
    except DTypeError as error:
        raise ParameterError(
            f"a fill must be a name, a number, one number per channel, or a Fill, got {shown(fill)}"
        ) from error


def _image_shape(x: np.ndarray, what: str) -> tuple[int, ...]:
    """The shape (N, C, H, W) of images; raises ShapeError for other inputs."""
    if x.ndim != 4:
        raise ShapeError(f'{what} needs images (N, C, H, W), got {x.shape}; use "zero" or "mean"')
    return x.shape
