"""What is put in the place of a pixel that is taken away.

No fill is neutral: zero is ink's absence on a black ground and a dark spot on a photograph. So the fill is a choice
with a name, and a result is worth little until it was repeated with another one. A fill makes, from the untouched
input, the picture that is left when *everything* is taken away; a test then mixes the two.

    "zero"        the number 0                              Value(0.0)
    "mean"        each sample's own mean, per channel       Mean()
    "uniform"     random numbers (Samek et al. 2017)        Uniform()
    "blur"        a blurred copy (Petsiuk et al. 2018)      Blur()
    "neighbours"  the mean of the pixels around             Neighbours()
    "flip"        low + high - x (Bach et al. 2015, digits) Flip()

Fill values are in the units of the input as the network takes it. A data set's mean is `Value(mean)`, a number or one
per channel. To write a fill of your own, subclass `Fill` and say its `background`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import ParameterError, ShapeError, unknown


@dataclass(frozen=True)
class Fill:
    """What is left of an input when everything is taken away."""

    random: ClassVar[bool] = False
    """Whether two draws differ, so that repeats have a sense."""

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """An array shaped like `x` (N, ...); `rngs` holds one generator per sample, for those that draw."""
        raise NotImplementedError(f"{type(self).__name__} says no background")


@dataclass(frozen=True)
class Value(Fill):
    """A number, or one per channel.

    >>> Value((1.0, 2.0)).background(np.zeros((1, 2, 1, 2)), [])
    array([[[[1., 1.]],
    <BLANKLINE>
            [[2., 2.]]]])
    """

    value: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        held = np.asarray(self.value, dtype=float)
        if held.ndim > 1 or not np.isfinite(held).all():
            raise ParameterError(f"a fill is a finite number or one per channel, got {self.value!r}")
        object.__setattr__(self, "value", float(held) if held.ndim == 0 else tuple(held.tolist()))

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """The value everywhere."""
        value = np.asarray(self.value, dtype=x.dtype)
        if value.ndim and value.shape[0] != x.shape[1]:
            raise ShapeError(f"a fill of {value.shape[0]} values for an input of {x.shape[1]} channels")
        return np.broadcast_to(value.reshape(-1, *(1,) * (x.ndim - 2)) if value.ndim else value, x.shape)


@dataclass(frozen=True)
class Mean(Fill):
    """Each sample's own mean: per channel for an image, over all features otherwise."""

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """The mean everywhere."""
        axes = tuple(range(2, x.ndim)) or (1,)
        return np.broadcast_to(x.mean(axis=axes, keepdims=True), x.shape)


@dataclass(frozen=True)
class Uniform(Fill):
    """Numbers drawn evenly between two bounds, for each sample from a generator of its own (Samek et al. 2017).

    low, high  None: the sample's own smallest and largest value, per channel, so that the fill has the data's units
    """

    random: ClassVar[bool] = True

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None) or (self.low is not None and not self.low <= self.high):  # type: ignore[operator]
            raise ParameterError(f"Uniform: give both bounds, low <= high, or none, got {self.low} and {self.high}")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """A draw for each value."""
        axes = tuple(range(2, x.ndim)) or (1,)
        low = x.min(axis=axes, keepdims=True) if self.low is None else self.low
        high = x.max(axis=axes, keepdims=True) if self.high is None else self.high
        drawn = np.stack([rng.random(x.shape[1:]) for rng in rngs])
        filled: np.ndarray = (low + drawn * (np.asarray(high) - low)).astype(x.dtype)
        return filled


@dataclass(frozen=True)
class Blur(Fill):
    """The picture, blurred by a Gaussian (the start of insertion in Petsiuk et al. 2018).

    sigma  standard deviation in pixels, > 0
    size   odd width of the kernel in pixels; at the border the weights inside the picture are made to sum to one

    The defaults are those of the code that its authors published for pictures of 224 x 224. On a digit of 28 x 28 that
    blur leaves hardly a trace.
    """

    sigma: float = 5.0
    size: int = 11

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.size < 1 or self.size % 2 == 0:
            raise ParameterError(f"Blur: sigma > 0 and an odd size, got {self.sigma} and {self.size}")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """The blurred picture."""
        _, _, H, W = _image_shape(x, "Blur")
        blurred: np.ndarray = self._weights(H) @ x.astype(np.float64) @ self._weights(W).T
        return blurred.astype(x.dtype)

    def _weights(self, length: int) -> np.ndarray:
        """The matrix that blurs along one axis; each row sums to one."""
        distance = np.arange(length)[:, None] - np.arange(length)
        weights = np.where(abs(distance) <= self.size // 2, np.exp(-0.5 * (distance / self.sigma) ** 2), 0)
        normalised: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
        return normalised


@dataclass(frozen=True)
class Neighbours(Fill):
    """The mean of the pixels around a pixel in the untouched picture, itself not counted.

    size  odd width of the neighbourhood, >= 3
    """

    size: int = 3

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ParameterError(f"Neighbours: an odd size of at least 3, got {self.size}")

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """The mean of the neighbours, at each pixel."""
        _, _, H, W = _image_shape(x, "Neighbours")
        rows, columns = (self._near(length) for length in (H, W))
        total = rows @ x.astype(np.float64) @ columns.T - x
        count = rows.sum(axis=1)[:, None] * columns.sum(axis=1) - 1
        mean: np.ndarray = (total / np.maximum(count, 1)).astype(x.dtype)
        return mean

    def _near(self, length: int) -> np.ndarray:
        """1 where two places on an axis are neighbours (each is its own)."""
        near: np.ndarray = (abs(np.arange(length)[:, None] - np.arange(length)) <= self.size // 2).astype(float)
        return near


@dataclass(frozen=True)
class Flip(Fill):
    """low + high - x: ink becomes ground and ground becomes ink, as in the first pixel flipping (Bach et al. 2015)."""

    low: float = 0.0
    high: float = 1.0

    def background(self, x: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """The negative of the picture."""
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
"""The fills by the names that `Conventions` knows them by."""


def resolve(fill: str | float | Sequence[float] | Fill) -> Fill:
    """A fill: itself, the one of a name, or the value that a number (or one per channel) stands for.

    Raises UnknownNameError, ParameterError.

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
        value: Any = np.asarray(fill, dtype=float).tolist()
    except (TypeError, ValueError) as error:
        raise ParameterError(f"a fill is a name, a number, one number per channel or a Fill, got {fill!r}") from error
    return Value(tuple(value) if isinstance(value, list) else value)


def _image_shape(x: np.ndarray, what: str) -> tuple[int, ...]:
    if x.ndim != 4:
        raise ShapeError(f'{what} is for images (N, C, H, W), got {x.shape}; use "zero" or "mean"')
    return x.shape
