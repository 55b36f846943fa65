"""Activations with exponentials. They pass relevance unchanged, as all activations do (see activation.py).

Exact arithmetic refuses them by name. Every form is stable: no intermediate value overflows, no difference of nearly
equal numbers is taken in a tail, and the value at an infinity is the limit. Names, parameters and defaults are those of
torch.nn.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..arithmetic import check_choice, check_number, constant, irrational, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError, shown
from .activation import clipped
from .base import Elementwise
from .normal import clamped, normal_cdf

ZERO_BELOW = -12000
"""exp(x) is zero in every floating-point type below this x."""


@dataclass(frozen=True, eq=False)
class Smooth(Elementwise):
    """An activation with exponentials, which has no value in exact arithmetic."""


@dataclass(frozen=True, eq=False)
class Sigmoid(Smooth):
    """1 / (1 + exp(-x))."""

    def forward(self, *inputs: Array) -> Array:
        """e / (1 + e) with e = exp(x) where x < 0, and 1 / (1 + exp(-x)) elsewhere: neither overflows."""
        return logistic(self.floating(inputs)[0], "Sigmoid")


def logistic(x: Array, what: str) -> Array:
    """Return 1 / (1 + exp(-x)); raise DTypeError, naming `what`, where `x` is exact."""
    xp = array_namespace(x)
    e = irrational("exp", -xp.abs(x), what)
    return xp.where(x < 0, e, 1 + zeros_like(e)) / (1 + e)


@dataclass(frozen=True, eq=False)
class Tanh(Smooth):
    """tanh(x)."""

    def forward(self, *inputs: Array) -> Array:
        """tanh(x)."""
        (x,) = self.floating(inputs)
        return irrational("tanh", x, "Tanh")


@dataclass(frozen=True, eq=False)
class ELU(Smooth):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016, ICLR).

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the limit at minus infinity.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.alpha, "ELU: alpha")

    def forward(self, *inputs: Array) -> Array:
        """x where x > 0, alpha * expm1(x) elsewhere."""
        return _elu(self.floating(inputs)[0], self.alpha, 1, "ELU")


@dataclass(frozen=True, eq=False)
class CELU(Smooth):
    """x where x > 0, else alpha * (exp(x / alpha) - 1) (Barron 2017, arXiv:1704.07483).

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the limit at minus infinity, a positive number.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self.alpha, "CELU: alpha")

    def forward(self, *inputs: Array) -> Array:
        """x where x > 0, alpha * expm1(x / alpha) elsewhere."""
        return _elu(self.floating(inputs)[0], self.alpha, self.alpha, "CELU")


@dataclass(frozen=True, eq=False)
class SELU(Smooth):
    """scale * x where x > 0, else scale * alpha * (exp(x) - 1) (Klambauer et al. 2017, NeurIPS, eq. 2).

    Parameters
    ----------
    alpha : float, default 1.6732632423543772
        The constant of Klambauer et al., as in torch.nn; ONNX files state it, often rounded to float32.
    scale : float, default 1.0507009873554805
        The other constant, lambda in the paper and gamma in ONNX; a positive number.
    """

    alpha: float = 1.6732632423543772848
    scale: float = 1.0507009873554804934

    def __post_init__(self) -> None:
        check_number(self.alpha, "SELU: alpha")
        _check_positive(self.scale, "SELU: scale")

    def forward(self, *inputs: Array) -> Array:
        """scale times the ELU of x."""
        (x,) = self.floating(inputs)
        return constant(self.scale, like=x) * _elu(x, self.alpha, 1, "SELU")


def _check_positive(value: float, what: str) -> None:
    """Raise ParameterError unless `value` is a finite positive number."""
    check_number(value, what)
    if value <= 0:
        raise ParameterError(f"{what} must be positive, got {shown(value)}")


def _elu(x: Array, alpha: float, width: float, what: str) -> Array:
    """Return x where x > 0, else alpha * expm1(x / width)."""
    below = irrational("expm1", clipped(x, None, 0) / constant(width, like=x), what)
    return array_namespace(x).where(x > 0, x, constant(alpha, like=x) * below)


@dataclass(frozen=True, eq=False)
class SiLU(Smooth):
    """x / (1 + exp(-x)): x times its sigmoid, also called swish (Elfwing et al. 2018, Neural Networks 107, 3-11)."""

    def forward(self, *inputs: Array) -> Array:
        """x times its sigmoid; 0 at minus infinity."""
        x = _bounded(self.floating(inputs)[0])
        return x * logistic(x, "SiLU")


def _bounded(x: Array) -> Array:
    """Return x, or ZERO_BELOW where it is less: times a function that is zero there, minus infinity would be NaN."""
    return clipped(x, ZERO_BELOW, None)


@dataclass(frozen=True, eq=False)
class GELU(Smooth):
    """x * Phi(x), where Phi is the normal distribution function (Hendrycks and Gimpel 2016, arXiv:1606.08415, sec. 2).

    Parameters
    ----------
    approximate : "none" or "tanh", default "none"
        "tanh" is the approximation of that paper, x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        check_choice(self.approximate, "GELU: approximate", ("none", "tanh"))

    def forward(self, *inputs: Array) -> Array:
        """x * Phi(x); with "tanh" x times the sigmoid of 2 u, which is (1 + tanh(u)) / 2."""
        x = _bounded(self.floating(inputs)[0])
        if self.approximate == "none":
            return x * normal_cdf(x, "GELU")
        y = clamped(x, -FLAT, FLAT)
        u = constant(ROOT_2_OVER_PI, like=x) * (y + constant(CUBIC, like=x) * y * y * y)
        return x * logistic(2 * u, "GELU")


FLAT = 64
"""Beyond -64 and 64, the sigmoid in GELU's approximation is 0 and 1 in every floating-point type."""

ROOT_2_OVER_PI, CUBIC = Decimal("0.797884560802865355879892119868763736951717"), 0.044715


@dataclass(frozen=True, eq=False)
class Mish(Smooth):
    """x * tanh(log(1 + exp(x))) (Misra 2020, BMVC)."""

    def forward(self, *inputs: Array) -> Array:
        """x n / (n + 2) with n = e (e + 2) and e = exp(x); where x > 0, n and n + 2 are divided by e^2."""
        x = _bounded(self.floating(inputs)[0])
        xp = array_namespace(x)
        e = irrational("exp", -xp.abs(x), "Mish")
        above, below = 1 + 2 * e, e * (e + 2)
        return x * xp.where(x > 0, above / (above + 2 * e * e), below / (below + 2))


@dataclass(frozen=True, eq=False)
class Softplus(Smooth):
    """log(1 + exp(beta * x)) / beta where beta * x <= threshold, else x.

    Parameters
    ----------
    beta : float, default 1.0
        How sharply it bends; a positive number.
    threshold : float, default 20.0
        As in torch.nn, the function is x beyond it; it jumps there by exp(-threshold) / beta.
    """

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        _check_positive(self.beta, "Softplus: beta")
        check_number(self.threshold, "Softplus: threshold")

    def forward(self, *inputs: Array) -> Array:
        """max(y, 0) + log1p(exp(-|y|)), divided by beta, with y = beta * x."""
        (x,) = self.floating(inputs)
        xp, beta = array_namespace(x), constant(self.beta, like=x)
        y = beta * x
        rest = irrational("log1p", irrational("exp", -xp.abs(y), "Softplus"), "Softplus")
        return xp.where(y > constant(self.threshold, like=x), x, (clipped(y, 0, None) + rest) / beta)
