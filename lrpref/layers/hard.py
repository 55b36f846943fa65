"""Activations between bounds, without exponentials: they run in exact arithmetic too.

They pass relevance unchanged, as all activations do (see activation.py). The value at an infinity is the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ..arithmetic import check_number, constant, ones_like, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError, shown
from .activation import clipped
from .base import Elementwise


@dataclass(frozen=True, eq=False)
class Clip(Elementwise):
    """min(max(x, low), high), as torch.clamp.

    Parameters
    ----------
    low, high : float, optional
        The bounds, one of which may be None for no bound.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if bound is not None:
                check_number(bound, f"Clip: {name}")
        if self.low is None and self.high is None:
            raise ParameterError("Clip needs a bound: low, high or both")
        _check_order("Clip", self.low, self.high)

    def forward(self, *inputs: Array) -> Array:
        """min(max(x, low), high)."""
        return clipped(self.floating(inputs)[0], self.low, self.high)


@dataclass(frozen=True, eq=False)
class HardTanh(Elementwise):
    """min(max(x, a), b) between the bounds a = `min_val` and b = `max_val`.

    Parameters
    ----------
    min_val : float, default -1.0
        The lower bound.
    max_val : float, default 1.0
        The upper bound.
    """

    min_val: float = -1.0
    max_val: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.min_val, "HardTanh: min_val")
        check_number(self.max_val, "HardTanh: max_val")
        _check_order("HardTanh", self.min_val, self.max_val)

    def forward(self, *inputs: Array) -> Array:
        """min(max(x, min_val), max_val)."""
        return clipped(self.floating(inputs)[0], self.min_val, self.max_val)


def _check_order(name: str, low: float | None, high: float | None) -> None:
    """Raise ParameterError where the lower bound exceeds the upper one."""
    if low is not None and high is not None and low > high:
        raise ParameterError(f"{name}: the lower bound {shown(low)} exceeds the upper bound {shown(high)}")


@dataclass(frozen=True, eq=False)
class HardSigmoid(Elementwise):
    """min(max(x + shift, 0), width) / width (Courbariaux et al. 2015, arXiv:1511.00363, eq. 3, of width 2).

    The defaults are those of torch.nn. ONNX writes the slope alpha = 1 / width and beta = shift / width.

    Parameters
    ----------
    shift : float, default 3.0
        The output is 0 up to x = -shift.
    width : float, default 6.0
        The length of the slope, a positive number.
    """

    shift: float = 3.0
    width: float = 6.0

    def __post_init__(self) -> None:
        _check_slope(self.shift, self.width, "HardSigmoid")

    def forward(self, *inputs: Array) -> Array:
        """min(max(x + shift, 0), width) / width."""
        return _slope(self.floating(inputs)[0], self.shift, self.width)


@dataclass(frozen=True, eq=False)
class HardSwish(Elementwise):
    """x * min(max(x + shift, 0), width) / width (Howard et al. 2019, ICCV, sec. 5.2: MobileNetV3).

    The defaults are those of torch.nn.

    Parameters
    ----------
    shift : float, default 3.0
        The output is 0 up to x = -shift.
    width : float, default 6.0
        The output is x from width - shift on; a positive number.
    """

    shift: float = 3.0
    width: float = 6.0

    def __post_init__(self) -> None:
        _check_slope(self.shift, self.width, "HardSwish")

    def forward(self, *inputs: Array) -> Array:
        """x times the HardSigmoid of x."""
        (x,) = self.floating(inputs)
        a = array_namespace(x).where(x <= -constant(self.shift, like=x), zeros_like(x), x)  # not -inf * 0
        return a * _slope(x, self.shift, self.width)


def _check_slope(shift: float, width: float, name: str) -> None:
    """Raise ParameterError unless both are numbers and the width is positive."""
    check_number(shift, f"{name}: shift")
    check_number(width, f"{name}: width")
    if width <= 0:
        raise ParameterError(f"{name}: width must be positive, got {shown(width)}")


def _slope(x: Array, shift: float, width: float) -> Array:
    """Return min(max(x + shift, 0), width) / width."""
    return clipped(x + constant(shift, like=x), 0, width) / constant(width, like=x)


@dataclass(frozen=True, eq=False)
class Softsign(Elementwise):
    """x / (1 + |x|)."""

    def forward(self, *inputs: Array) -> Array:
        """x / (1 + |x|); the sign of x where x is infinite."""
        (x,) = self.floating(inputs)
        xp = array_namespace(x)
        ones = ones_like(x)
        a = xp.where(xp.abs(x) == inf, zeros_like(x), x)
        return xp.where(x == inf, ones, xp.where(x == -inf, -ones, a / (1 + xp.abs(a))))
