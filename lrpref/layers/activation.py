"""Activations. All of them pass relevance unchanged.

An activation has one input per output, so the output's relevance can only be attributed to that input (Montavon et al.
2019, LNCS 11700, ch. 10, sec. 10.3). NaN stays NaN: comparisons are written so that it is never replaced by a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from ..arithmetic import (
    as_floating,
    as_mask,
    as_parameter,
    check_number,
    constant,
    full,
    irrational,
    zeros_like,
)
from ..backend import Array, array_namespace, is_array
from ..errors import ShapeError
from .base import Elementwise


@dataclass(frozen=True, eq=False)
class ReLU(Elementwise):
    """max(x, 0)."""

    def forward(self, *inputs: Array) -> Array:
        """max(x, 0)."""
        x = as_floating(inputs[0], "the input")
        xp = array_namespace(x)
        return xp.where(x <= 0, zeros_like(x), x)


@dataclass(frozen=True, eq=False)
class ReLU6(Elementwise):
    """min(max(x, 0), 6)."""

    def forward(self, *inputs: Array) -> Array:
        """min(max(x, 0), 6)."""
        x = as_floating(inputs[0], "the input")
        xp = array_namespace(x)
        return xp.where(x <= 0, zeros_like(x), xp.where(x >= 6, full(x.shape, 6, like=x), x))


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
        x = as_floating(inputs[0], "the input")
        return array_namespace(x).where(x > 0, x, constant(self.negative_slope, like=x) * x)


@dataclass(frozen=True, eq=False)
class ThreshReLU(Elementwise):
    """max(x, threshold), or min(x, threshold) in channels where `below` is true.

    A BatchNorm followed by a ReLU equals a ThreshReLU followed by that BatchNorm, if t = mean - bias * s / weight and
    s is the standard deviation: ReLU cuts at z = 0, which is x = t; a negative weight reverses the order. (Recipe:
    A. Binder's notes on canonization; see `lrpref.fuse(..., threshold_relu=True)`.)

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
        given: object = self.threshold
        if isinstance(given, Real):
            check_number(given, "ThreshReLU: threshold")
        else:
            object.__setattr__(self, "threshold", as_parameter(given, "ThreshReLU threshold", ndim=1))
        if self.below is not None:
            object.__setattr__(self, "below", as_mask(self.below, "ThreshReLU below"))

    def forward(self, *inputs: Array) -> Array:
        """max(x, threshold), or min(x, threshold) in the channels of `below`."""
        x = as_floating(inputs[0], "the input")
        self.check_arithmetic(x)
        if x.ndim < 2:
            raise ShapeError(f"expected (N, channels, ...), got {tuple(x.shape)}")
        xp = array_namespace(x)
        per_channel = (1, -1, *(1,) * (x.ndim - 2))
        channels = {int(held.shape[0]) for held in vars(self).values() if is_array(held)}
        if not channels <= {x.shape[1]}:
            own = " and ".join(map(str, sorted(channels)))
            raise ShapeError(f"ThreshReLU has {own} channels, the input has {x.shape[1]} on axis 1 of {tuple(x.shape)}")
        if is_array(self.threshold):
            t = zeros_like(x) + xp.reshape(self.threshold, per_channel)
        else:
            t = full(x.shape, self.threshold, like=x)
        upper = xp.where(x <= t, t, x)
        if self.below is None:
            return upper
        return xp.where(xp.reshape(self.below, per_channel), xp.where(x >= t, t, x), upper)


@dataclass(frozen=True, eq=False)
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    def forward(self, *inputs: Array) -> Array:
        """(1 + tanh(x / 2)) / 2, which is the same function and never overflows."""
        x = as_floating(inputs[0], "the input")
        return (1 + irrational("tanh", x / 2, "Sigmoid")) / 2


@dataclass(frozen=True, eq=False)
class Tanh(Elementwise):
    """tanh(x)."""

    def forward(self, *inputs: Array) -> Array:
        """tanh(x)."""
        x = as_floating(inputs[0], "the input")
        return irrational("tanh", x, "Tanh")
