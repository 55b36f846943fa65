"""Activations that bend at one place: ReLU and its relatives.

Activations between bounds are in hard.py, those with exponentials in smooth.py. All of them pass relevance unchanged:
an activation has one input per output, so the output's relevance can only be attributed to that input (Montavon et al.
2019, LNCS 11700, ch. 10, sec. 10.3). Names, parameters and defaults are those of torch.nn. NaN stays NaN: comparisons
are written so that it is never replaced by a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from ..arithmetic import (
    as_mask,
    as_parameter,
    check_number,
    constant,
    full,
    zeros_like,
)
from ..backend import Array, array_namespace, is_array
from ..errors import ShapeError
from .base import Elementwise


def clipped(x: Array, low: Any, high: Any) -> Array:
    """Return min(max(x, low), high); None for either bound means that there is none."""
    xp = array_namespace(x)
    if low is not None:
        x = xp.where(x <= low, full(x.shape, low, like=x), x)
    return x if high is None else xp.where(x >= high, full(x.shape, high, like=x), x)


@dataclass(frozen=True, eq=False)
class ReLU(Elementwise):
    """max(x, 0)."""

    def forward(self, *inputs: Array) -> Array:
        """max(x, 0)."""
        (x,) = self.floating(inputs)
        xp = array_namespace(x)
        return xp.where(x <= 0, zeros_like(x), x)


@dataclass(frozen=True, eq=False)
class ReLU6(Elementwise):
    """min(max(x, 0), 6)."""

    def forward(self, *inputs: Array) -> Array:
        """min(max(x, 0), 6)."""
        return clipped(self.floating(inputs)[0], 0, 6)


@dataclass(frozen=True, eq=False)
class LeakyReLU(Elementwise):
    """x where x > 0, else `negative_slope` * x.

    Parameters
    ----------
    negative_slope : float, default 0.01
        A finite number.
    """

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        check_number(self.negative_slope, "LeakyReLU: negative_slope")

    def forward(self, *inputs: Array) -> Array:
        """x where x > 0, negative_slope * x elsewhere."""
        (x,) = self.floating(inputs)
        return array_namespace(x).where(x > 0, x, constant(self.negative_slope, like=x) * x)


@dataclass(frozen=True, eq=False)
class ThreshReLU(Elementwise):
    """max(x, threshold), or min(x, threshold) in channels where `below` is true.

    A BatchNorm followed by a ReLU equals a ThreshReLU with the threshold t = mean - bias * s / weight followed by that
    BatchNorm, where s is the standard deviation: the ReLU's threshold z = 0 is x = t. A negative weight reverses the
    order, so `below` is true. (Recipe: A. Binder's notes on canonization; see `lrpref.fuse(..., threshold_relu=True)`.)

    Parameters
    ----------
    threshold : float or array, shape (C,), default 0.0
        One number, or one per channel (axis 1).
    below : array of bool, shape (C,), optional
        The channels in which the output is min(x, threshold).
    """

    threshold: float | Array = 0.0
    below: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", _number_or_channels(self.threshold, "ThreshReLU", "threshold"))
        if self.below is not None:
            object.__setattr__(self, "below", as_mask(self.below, "ThreshReLU below"))

    def forward(self, *inputs: Array) -> Array:
        """max(x, threshold), or min(x, threshold) in the channels of `below`."""
        (x,) = self.floating(inputs)
        self.check_arithmetic(x)
        axes = _check_channels(x, self)
        xp = array_namespace(x)
        if is_array(self.threshold):
            t = zeros_like(x) + xp.reshape(self.threshold, axes)
        else:
            t = full(x.shape, self.threshold, like=x)
        upper = xp.where(x <= t, t, x)
        if self.below is None:
            return upper
        return xp.where(xp.reshape(self.below, axes), xp.where(x >= t, t, x), upper)


def _number_or_channels(value: Any, name: str, field: str) -> Any:
    """Return a parameter that is one finite number, or an array of one per channel."""
    if isinstance(value, Real):
        check_number(value, f"{name}: {field}")
        return value
    return as_parameter(value, f"{name} {field}", ndim=1)


def _check_channels(x: Array, layer: Elementwise) -> tuple[int, ...]:
    """Return the shape that broadcasts numbers per channel to `x`; raise ShapeError if the layer has other channels."""
    if x.ndim < 2:
        raise ShapeError(f"expected (N, channels, ...), got {tuple(x.shape)}")
    channels = {int(held.shape[0]) for held in vars(layer).values() if is_array(held)}
    if not channels <= {x.shape[1]}:
        own, name = " and ".join(map(str, sorted(channels))), type(layer).__name__
        raise ShapeError(f"{name} has {own} channels, the input has {x.shape[1]} on axis 1 of {tuple(x.shape)}")
    return (1, -1, *(1,) * (x.ndim - 2))


@dataclass(frozen=True, eq=False)
class PReLU(Elementwise):
    """x where x > 0, else weight * x, with a learned weight (He et al. 2015, ICCV, eq. 1).

    Parameters
    ----------
    weight : float or array, shape (C,), default 0.25
        One number, or one per channel (axis 1).
    """

    weight: float | Array = 0.25

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _number_or_channels(self.weight, "PReLU", "weight"))

    def forward(self, *inputs: Array) -> Array:
        """x where x > 0, weight * x elsewhere."""
        (x,) = self.floating(inputs)
        self.check_arithmetic(x)
        xp = array_namespace(x)
        if is_array(self.weight):
            w = xp.reshape(self.weight, _check_channels(x, self))
        else:
            w = constant(self.weight, like=x)
        return xp.where(x > 0, x, w * x)


@dataclass(frozen=True, eq=False)
class Threshold(Elementwise):
    """x where x > threshold, else `value`.

    Parameters
    ----------
    threshold : float
        The bound that x must exceed.
    value : float
        The output where it does not.
    """

    threshold: float
    value: float

    def __post_init__(self) -> None:
        check_number(self.threshold, "Threshold: threshold")
        check_number(self.value, "Threshold: value")

    def forward(self, *inputs: Array) -> Array:
        """x where x > threshold, value elsewhere."""
        (x,) = self.floating(inputs)
        below = x <= constant(self.threshold, like=x)
        return array_namespace(x).where(below, full(x.shape, self.value, like=x), x)
