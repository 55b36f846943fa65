"""The rules: how much of a unit's relevance each of its inputs receives.

One small frozen class per rule. Its docstring prints the equation with its source; `ratios` states the same as terms
for the engine (`lrpref.engine`), which takes the same four steps for all of them. A rule does not depend on the type
of the layer.

Notation: a_i input, w_ij weight, b_j bias, z_j = sum_i a_i w_ij + b_j, R relevance; (.)+ and (.)- are the positive and
the negative part, so that x = x+ + x-; sign(0) = +1. If a denominator, after stabilization, is exactly zero, it passes
nothing on, and the ledger records its relevance as *dropped*.

To write a rule of your own, subclass `Rule` and define its `ratios`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from .arithmetic import as_parameter, check_choice, check_flag, check_number, constant, converted, full, irrational
from .backend import Array, array_namespace, is_array, to_numpy
from .engine import (
    Map,
    Ratio,
    Rule,
    Term,
    check_not_negative,
    divide,
    identity,
    magnitude,
    negative,
    one,
    positive,
    square,
    stabilize,
)
from .errors import ParameterError, RuleError, ShapeError
from .ledger import Flow
from .relative import Relative


@dataclass(frozen=True)
class Zero(Rule):
    """LRP-0: relevance in proportion to each input's contribution.

        R_i = sum_j  (a_i w_ij / z_j)  R_j          z_j = sum_i a_i w_ij + b_j

    On a network whose only nonlinear layers are ReLUs and max-pooling, it equals gradient x input.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 56; Montavon et al. 2019, LNCS 11700, sec. 10.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]], [1.0]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), Zero())
    array([[ 1. , -0.5]])
    """

    name: ClassVar[str] = "zero"
    equation: ClassVar[str] = "R_i = sum_j (a_i w_ij / z_j) R_j"
    when: ClassVar[str] = "upper layers; on all layers of a ReLU network it equals gradient x input, and is as noisy"
    source: ClassVar[str] = "Bach et al. 2015, eq. 56"

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: a w + b."""
        return (Ratio((Term(b=identity),)),)


@dataclass(frozen=True)
class Epsilon(Rule):
    """LRP-epsilon: LRP-0 with epsilon added to the denominator, which keeps it away from zero and absorbs relevance.

        R_i = sum_j  (a_i w_ij / (z_j + epsilon sign(z_j)))  R_j

    Parameters
    ----------
    epsilon : float, default 1e-06
        At least 0, in the units of z.
    scale : {None, "rms"}
        "rms" multiplies epsilon by the root mean square of z over the sample's own units, so that a result never
        depends on the rest of the batch.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 58; Montavon et al. 2019, LNCS 11700, sec. 10.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[3.0]]), Epsilon(1.0))
    array([[ 3. , -1.5]])
    """

    name: ClassVar[str] = "epsilon"
    equation: ClassVar[str] = "R_i = sum_j (a_i w_ij / (z_j + epsilon sign(z_j))) R_j"
    when: ClassVar[str] = "fully connected layers; joins and pooling"
    source: ClassVar[str] = "Bach et al. 2015, eq. 58"

    epsilon: float = 1e-6
    scale: str | None = None

    def __post_init__(self) -> None:
        check_not_negative(self, "epsilon")
        check_choice(self.scale, "Epsilon: scale", (None, "rms"))

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether the rule is rational; the root in "rms" is not."""
        return self.scale is None

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: a w + b."""
        return (Ratio((Term(b=identity),)),)

    def stabilize(self, z: Array) -> Array:
        """z + epsilon sign(z); with scale="rms", epsilon times the sample's rms(z)."""
        if self.scale is None:
            return stabilize(z, self.epsilon)
        xp = array_namespace(z)
        axes = tuple(range(1, z.ndim))
        rms = irrational("sqrt", xp.mean(z * z, axis=axes, keepdims=True), 'Epsilon(scale="rms")')
        return stabilize(z, constant(self.epsilon, like=z) * rms)


@dataclass(frozen=True)
class Gamma(Rule):
    """LRP-gamma: positive contributions count (1 + gamma) times.

    Plain, for inputs a >= 0:

        R_i = sum_j  (a_i (w_ij + gamma w_ij+) / (sum_i a_i (w_ij + gamma w_ij+) + b_j + gamma b_j+))  R_j

    Generalised, for inputs of both signs: the contributions that have the sign of z_j count more, and z_j = 0 belongs
    to the positive branch:

        z_j >= 0:  R_i = sum_j  ((a_i w_ij + gamma (a_i w_ij)+) / (z_j + gamma z_j+))  R_j
        z_j <  0:  R_i = sum_j  ((a_i w_ij + gamma (a_i w_ij)-) / (z_j + gamma z_j-))  R_j

    where z_j+ and z_j- sum the positive and the negative contributions, bias included.

    Parameters
    ----------
    gamma : float, default 0.25
        At least 0; 0 is LRP-0.
    generalised : bool, default False
        Whether to use the form for inputs of both signs.
    stabilizer : float, default 0.0
        At least 0, added to the denominator with its sign.

    Notes
    -----
    The generalised form is bounded: no input receives less than -1/gamma or more than 1 + 1/gamma of R_j, and

        sum_i |R[i<-j]| <= (1 + 2 / gamma) |R_j|

    To see this, let p >= 0 be the sum of the contributions that have the sign of z_j, let n >= 0 be the sum of the
    magnitudes of the others, and count the bias as an input. The denominator has the magnitude (1 + gamma) p - n, and
    n <= p, so it is at least gamma p. Together, the contributions of the first kind receive
    (1 + gamma) p / ((1 + gamma) p - n), and the others -n / ((1 + gamma) p - n). Both magnitudes grow with n, and
    n = p, which is z_j = 0, gives 1 + 1/gamma and -1/gamma.

    Plain gamma has no such bounds for inputs of both signs. On a join, whose weights are all 1, it is LRP-0.

    References
    ----------
    Montavon et al. 2019, LNCS 11700, sec. 10.2.1; generalised: Andeol et al. 2021, as implemented in zennit.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), Gamma(1.0))
    array([[ 1.33333333, -0.33333333]])
    """

    name: ClassVar[str] = "gamma"
    equation: ClassVar[str] = (
        "R_i = sum_j (a_i (w_ij + gamma w_ij+) / (sum_i a_i (w_ij + gamma w_ij+) + b_j + gamma b_j+)) R_j"
    )
    when: ClassVar[str] = "convolutions in the lower and middle part; a >= 0, else generalised"
    source: ClassVar[str] = "Montavon et al. 2019, sec. 10.2.1; generalised: Andeol et al. 2021"

    gamma: float = 0.25
    generalised: bool = False
    stabilizer: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "gamma", "stabilizer")
        check_flag(self.generalised, "Gamma: generalised")

    @property
    def needs_nonnegative(self) -> bool:  # type: ignore[override]
        """Whether the rule needs a >= 0: only the plain form does."""
        return not self.generalised

    def ratios(self) -> tuple[Ratio, ...]:
        """Plain: one ratio. Generalised: one for z >= 0 and one for z < 0."""
        up, down = self._favouring(positive), self._favouring(negative)
        if not self.generalised:
            return (Ratio((Term(w=up, b=up),)),)
        return (
            Ratio((Term(positive, up, up), Term(negative, down))),
            Ratio((Term(positive, down, down), Term(negative, up))),
        )

    def shares(
        self, layer: Any, inputs: tuple[Array, ...], R: Array, ratios: Sequence[Ratio], zs: Sequence[Array]
    ) -> list[Array]:
        """Generalised: the sign of z_j selects the ratio."""
        if not self.generalised:
            return super().shares(layer, inputs, R, ratios, zs)
        z = layer.forward(*inputs)
        xp = array_namespace(R)
        return [xp.where(z >= 0, R, 0 * R), xp.where(z >= 0, 0 * R, R)]

    def _favouring(self, part: Map) -> Map:
        """x + gamma part(x)."""
        return lambda x: x + constant(self.gamma, like=x) * part(x)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """LRP-alpha-beta: positive and negative contributions are redistributed separately.

        R_i = sum_j  (alpha (a_i w_ij)+ / z_j+  -  beta (a_i w_ij)- / z_j-)  R_j          alpha - beta = 1

        z_j+ = sum_i (a_i w_ij)+ + b_j+          z_j- = sum_i (a_i w_ij)- + b_j-

    The *products* are split by sign, so inputs may be negative. A bias takes part in the denominator of its own sign.
    Bach et al. write beta with the opposite sign (alpha + beta = 1).

    Parameters
    ----------
    alpha, beta : float, default 2 and 1
        At least 0, with alpha - beta = 1.
    bias : {"keep", "ignore"}, default "keep"
        "ignore" leaves the bias out of both denominators.
    empty : {"literal", "renormalise"}, default "literal"
        What happens where one denominator is exactly zero, before stabilization. "literal": that part sends nothing,
        so that the sum is alpha R or -beta R, and the rest is recorded as dropped (as stabilizer, if there is one).
        "renormalise": the other part receives all of R.
    stabilizer : float, default 0.0
        At least 0, added to the denominators with their sign.

    References
    ----------
    Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 60.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -1.0]], [-1.0]).relevance(np.array([[1.0, 1.0]]), np.array([[-1.0]]), AlphaBeta(2, 1))
    array([[-2. ,  0.5]])
    """

    name: ClassVar[str] = "alpha-beta"
    equation: ClassVar[str] = "R_i = sum_j (alpha (a_i w_ij)+ / z_j+ - beta (a_i w_ij)- / z_j-) R_j"
    when: ClassVar[str] = "convolutions, to see evidence for and against separately"
    source: ClassVar[str] = "Bach et al. 2015, eq. 60"

    alpha: float = 2
    beta: float = 1
    bias: str = "keep"
    empty: str = "literal"
    stabilizer: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "alpha", "beta", "stabilizer")
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise ParameterError(f"AlphaBeta: alpha - beta must be 1, got {self.alpha} - {self.beta}")
        check_choice(self.bias, "AlphaBeta: bias", ("keep", "ignore"))
        check_choice(self.empty, "AlphaBeta: empty", ("literal", "renormalise"))

    def ratios(self) -> tuple[Ratio, ...]:
        """One for the positive products, weighted alpha, and one for the negative products, weighted -beta."""
        keep = self.bias == "keep"
        return (
            Ratio((Term(positive, positive, positive if keep else None), Term(negative, negative)), self.alpha),
            Ratio((Term(positive, negative, negative if keep else None), Term(negative, positive)), -self.beta),
        )

    def shares(
        self, layer: Any, inputs: tuple[Array, ...], R: Array, ratios: Sequence[Ratio], zs: Sequence[Array]
    ) -> list[Array]:
        """alpha R and -beta R; renormalised, all of R to a ratio whose counterpart is zero, 0 to the latter."""
        literal = super().shares(layer, inputs, R, ratios, zs)
        if self.empty == "literal":
            return literal
        where = array_namespace(R).where
        alone = [(z != 0) & (other == 0) for z, other in zip(zs, zs[::-1], strict=True)]
        return [where(a, R, where(b, 0 * R, share)) for a, b, share in zip(alone, alone[::-1], literal, strict=True)]


@dataclass(frozen=True)
class ZPlus(Rule):
    """The z-plus rule: positive contributions only; alpha-beta with alpha = 1, beta = 0.

        R_i = sum_j  ((a_i w_ij)+ / (sum_i (a_i w_ij)+ + b_j+))  R_j

    Parameters
    ----------
    stabilizer : float, default 0.0
        At least 0, added to the denominator with its sign.

    References
    ----------
    Montavon et al. 2017, Pattern Recognition 65:211, the z+-rule, which assumes a >= 0; here for inputs of both signs,
    after Bach et al. 2015, eq. 60.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -2.0, 2.0]]).relevance(np.array([[1.0, -1.0, -1.0]]), np.array([[1.0]]), ZPlus())
    array([[0.33333333, 0.66666667, 0.        ]])
    """

    name: ClassVar[str] = "z-plus"
    equation: ClassVar[str] = "R_i = sum_j ((a_i w_ij)+ / (sum_i (a_i w_ij)+ + b_j+)) R_j"
    when: ClassVar[str] = "convolutions: steady maps that do not show evidence against"
    source: ClassVar[str] = "Montavon et al. 2017, z+-rule; Bach et al. 2015, eq. 60"

    stabilizer: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "stabilizer")

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: (a w)+ and b+."""
        return (Ratio((Term(positive, positive, positive), Term(negative, negative))),)


@dataclass(frozen=True, eq=False)
class ZBox(Rule):
    """The z-box rule, for an input layer whose values lie between `low` and `high`, as pixels do.

        R_i = sum_j  ((a_i w_ij - l_i w_ij+ - h_i w_ij-) / sum_i (a_i w_ij - l_i w_ij+ - h_i w_ij-))  R_j

    The bias cancels exactly. Cells of a convolution's own padding are 0 in a, l and h.

    Parameters
    ----------
    low, high : float or array
        The bounds l and h, low <= high: one number, one per channel (shape (C,)), or an array shaped like a sample or
        like the batch.
    stabilizer : float, default 0.0
        At least 0, added to the denominator with its sign.

    References
    ----------
    Montavon et al. 2017, Pattern Recognition 65:211, the z^B-rule; as a rule for pixels also Montavon et al. 2019, LNCS
    11700, sec. 10.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -2.0]]).relevance(np.array([[0.5, 0.5]]), np.array([[1.0]]), ZBox(-1.0, 1.0))
    array([[0.6, 0.4]])
    """

    name: ClassVar[str] = "z-box"
    equation: ClassVar[str] = (
        "R_i = sum_j ((a_i w_ij - l_i w_ij+ - h_i w_ij-) / sum_i (a_i w_ij - l_i w_ij+ - h_i w_ij-)) R_j"
    )
    when: ClassVar[str] = "the first layer, when pixels are bounded"
    source: ClassVar[str] = "Montavon et al. 2017, z^B-rule"

    low: float | Array
    high: float | Array
    stabilizer: float = 0.0

    __eq__ = object.__eq__  # bounds may be arrays, which have no single truth value
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        check_not_negative(self, "stabilizer")
        for name in ("low", "high"):
            if isinstance(given := getattr(self, name), Real):
                check_number(given, f"ZBox: {name}")
            else:
                object.__setattr__(self, name, as_parameter(given, f"ZBox {name}"))
        ordered = list(_ordered(self.low, self.high))
        if not ordered:
            raise ParameterError(f"ZBox: low and high do not broadcast against each other: {self}")
        if not any(ordered):
            raise ParameterError(f"ZBox: low must not exceed high anywhere: {self}")

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: (a - l) w+ + (a - h) w-, which is a w - l w+ - h w- without cancellation."""
        low, high = bound(self.low), bound(self.high)
        return (Ratio((Term(lambda a: a - low(a), positive), Term(lambda a: a - high(a), negative))),)


def _ordered(low: Any, high: Any) -> Iterator[bool]:
    """For each way in which the bounds may belong together, yield whether low <= high everywhere.

    One number per channel, (C,), belongs to the first axis of a sample, (C, ...), or to the second of a batch.
    """
    low, high = (to_numpy(bound) if is_array(bound) else bound for bound in (low, high))
    for lows, highs in product(_lined_up(low, high), _lined_up(high, low)):
        try:
            ordered = bool(np.all(lows <= highs))
        except (TypeError, ValueError):
            continue
        yield ordered


def _lined_up(bound: Any, other: Any) -> list[Any]:
    """A bound in the shapes that it may have next to another one with more axes."""
    if not (is_array(bound) and bound.ndim == 1 and is_array(other) and other.ndim > 1):
        return [bound]
    xp, more = array_namespace(bound), other.ndim - 2
    return [xp.reshape(bound, (-1, *(1,) * k)) for k in (more, more + 1)]


def bound(value: Any) -> Map:
    """Return the map that replaces the input by a bound: a number, one per channel, or a whole array."""

    def spread(a: Array) -> Array:
        xp = array_namespace(a)
        if isinstance(value, Real):
            return full(a.shape, value, like=a)
        array = converted(value, like=a)
        per_channel = array.ndim == 1 and array.shape[0] == a.shape[1]
        shape = (1, -1, *(1,) * (a.ndim - 2)) if per_channel else array.shape
        try:
            return xp.broadcast_to(xp.reshape(array, shape), a.shape)
        except ValueError as error:
            raise ShapeError(f"a bound of shape {tuple(array.shape)} does not fit inputs {tuple(a.shape)}") from error

    return spread


@dataclass(frozen=True)
class WSquare(Rule):
    """The w-square rule, for an input layer whose values are unbounded: it ignores the input and the bias.

        R_i = sum_j  (w_ij^2 / sum_i w_ij^2)  R_j

    Parameters
    ----------
    stabilizer : float, default 0.0
        At least 0, added to the denominator with its sign.

    References
    ----------
    Montavon et al. 2017, Pattern Recognition 65:211, the w^2-rule.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, 2.0]], [3.0]).relevance(np.array([[5.0, 5.0]]), np.array([[1.0]]), WSquare())
    array([[0.2, 0.8]])
    """

    name: ClassVar[str] = "w-square"
    equation: ClassVar[str] = "R_i = sum_j (w_ij^2 / sum_i w_ij^2) R_j"
    when: ClassVar[str] = "the first layer, when inputs are unbounded"
    source: ClassVar[str] = "Montavon et al. 2017, w^2-rule"

    stabilizer: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "stabilizer")

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: 1 in place of a, w squared in place of w."""
        return (Ratio((Term(one, square),)),)


@dataclass(frozen=True)
class Flat(Rule):
    """The flat rule: all inputs of a unit receive the same share. Padding and the bias receive nothing.

        R_i = sum_j  (1 / n_j)  R_j          n_j the number of inputs of unit j

    Parameters
    ----------
    stabilizer : float, default 0.0
        At least 0, added to the denominator with its sign.

    References
    ----------
    Lapuschkin et al. 2019, Nature Communications 10:1096 (in the methods).

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[1.0, -7.0]]).relevance(np.array([[5.0, 5.0]]), np.array([[1.0]]), Flat())
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "flat"
    equation: ClassVar[str] = "R_i = sum_j (1 / n_j) R_j"
    when: ClassVar[str] = "the first layer, for a map at the resolution of its kernels; an equal split at a skip"
    source: ClassVar[str] = "Lapuschkin et al. 2019"

    stabilizer: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "stabilizer")

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: 1 in place of a and of w."""
        return (Ratio((Term(one, one),)),)


@dataclass(frozen=True)
class Absolute(Rule):
    """Relevance in proportion to magnitudes: nothing cancels in a denominator, and no contribution has a sign.

        R_i = sum_j  (|a_i w_ij| / (sum_i |a_i w_ij| + |b_j|))  R_j

    Parameters
    ----------
    stabilizer : float, default 0.0
        At least 0, added to the denominator with its sign.

    References
    ----------
    Third-party code attributes this |z|-rule to Hui and Binder 2019 (LNCS 11507), for batch normalization. Here it
    applies to any linear layer. We have not checked the formula in the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> Dense([[2.0, -1.0]], [-1.0]).relevance(np.array([[1.0, 1.0]]), np.array([[1.0]]), Absolute())
    array([[0.5 , 0.25]])
    """

    name: ClassVar[str] = "absolute"
    equation: ClassVar[str] = "R_i = sum_j (|a_i w_ij| / (sum_i |a_i w_ij| + |b_j|)) R_j"
    when: ClassVar[str] = "skip connections and diagonal layers, to bound what a branch can receive"
    source: ClassVar[str] = "third-party code after Hui and Binder 2019 (not checked against the paper)"

    stabilizer: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "stabilizer")

    def ratios(self) -> tuple[Ratio, ...]:
        """One ratio: |a| |w| + |b|."""
        return (Ratio((Term(magnitude, magnitude, magnitude),)),)


@dataclass(frozen=True)
class Pass(Rule):
    """Relevance passes unchanged: R_i = R_j. For layers with one weight per unit: BatchNorm and Scale.

    References
    ----------
    The composites of zennit (Anders et al. 2021, arXiv 2106.13200) use it for a BatchNorm that was not merged.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Scale
    >>> Scale([2.0, 3.0], [1.0, 1.0]).relevance(np.array([[1.0, 1.0]]), np.array([[0.25, 0.5]]), Pass())
    array([[0.25, 0.5 ]])
    """

    name: ClassVar[str] = "pass"
    equation: ClassVar[str] = "R_i = R_j"
    when: ClassVar[str] = "BatchNorm and Scale left in a network"
    source: ClassVar[str] = "zennit (Anders et al. 2021, arXiv 2106.13200)"
    diagonal_only: ClassVar[bool] = True

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """R, unchanged."""
        shapes = [tuple(a.shape) for a in inputs]
        if len(inputs) != 1 or layer.fan_in(*shapes) != 1 or shapes[0] != tuple(R.shape):
            raise RuleError(
                "Pass applies to layers with one weight per unit (BatchNorm, Scale, RMSNorm, other norms with "
                'mean="constant"); use Epsilon() here'
            )
        return Flow((R,))


RULES: Mapping[str, type[Rule]] = {
    rule.name: rule for rule in (Zero, Epsilon, Gamma, AlphaBeta, ZPlus, ZBox, WSquare, Flat, Absolute, Pass, Relative)
}
"""Every rule by the name under which `explain` and the command line know it."""

__all__ = [
    "Absolute",
    "AlphaBeta",
    "Epsilon",
    "Flat",
    "Gamma",
    "Map",
    "Pass",
    "Ratio",
    "RULES",
    "Relative",
    "Rule",
    "Term",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "constant",
    "divide",
    "identity",
    "magnitude",
    "negative",
    "one",
    "positive",
    "square",
    "stabilize",
]
