"""The engine: four steps, written once, for every rule and every linear layer.

A rule is a short list of *ratios*. A ratio has a coefficient and signed *terms*; each term replaces the input a, the
weight w and the bias b by maps of them, a', w' and b'. `Rule.flow` takes the four steps of Montavon et al. 2019
(LNCS 11700, sec. 10.2.2) once per ratio; where they write j and k for a layer's inputs and outputs, it is i and j here:

    z_j = sum over terms (sum_i a'_i w'_ij + b'_j)             step 1, a forward pass
    s_j = coefficient * R_j / stabilize(z_j)                   step 2, a division
    c_i = sum_j w'_ij s_j                                      step 3, a backward pass
    R_i = sum over terms a'_i c_i                              step 4, a product

The positive part of a product needs two terms, because

    (a w)+ = a+ w+ + a- w-        (a w)- = a+ w- + a- w+

Notation: (.)+ and (.)- are the positive and the negative part, so that x = x+ + x-. sign(0) = +1. If a
denominator, after stabilization, is exactly zero, it passes nothing on, and the ledger records its relevance as
*dropped*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .arithmetic import check_number, check_still_exact, constant, full, is_integer, ones_like, zeros_like
from .backend import Array, array_namespace, as_tuple, is_array, sum_per_sample
from .errors import ParameterError, RuleError, shown
from .ledger import LOSSES, Flow

Map = Callable[[Array], Array]


# ---- the maps that terms are made of ---------------------------------------------------------------------------


def identity(x: Array) -> Array:
    """x."""
    return x


def positive(x: Array) -> Array:
    """x+ = max(x, 0); NaN stays NaN."""
    return array_namespace(x).maximum(x, full((), 0, like=x))


def negative(x: Array) -> Array:
    """x- = min(x, 0); NaN stays NaN."""
    return array_namespace(x).minimum(x, full((), 0, like=x))


def magnitude(x: Array) -> Array:
    """|x|."""
    return abs(x)


def square(x: Array) -> Array:
    """x squared."""
    return x * x


def one(x: Array) -> Array:
    """1, in the shape of x."""
    return ones_like(x)


# ---- the engine ------------------------------------------------------------------------------------------------


def stabilize(z: Array, epsilon: float | Array) -> Array:
    """z + epsilon * sign(z), with sign(0) = +1, so that the denominator moves away from zero on both sides.

    Parameters
    ----------
    z : array
        Denominators.
    epsilon : float or array
        At least 0, in the units of z; an array must broadcast against `z`.

    Returns
    -------
    array
        The stabilized denominators, shaped like `z`.

    Examples
    --------
    >>> import numpy as np
    >>> stabilize(np.array([0.0, 2.0, -2.0]), 0.5)
    array([ 0.5,  2.5, -2.5])
    """
    epsilon = epsilon if is_array(epsilon) else constant(epsilon, like=z)
    return array_namespace(z).where(z >= 0, z + epsilon, z - epsilon)


def divide(R: Array, z: Array) -> Array:
    """R / z, and 0 where z is exactly zero.

    Parameters
    ----------
    R, z : array
        Numerators and denominators of one shape.

    Returns
    -------
    array
        The quotients.
    """
    xp = array_namespace(z)
    zero = z == 0
    return xp.where(zero, zeros_like(z), R / xp.where(zero, ones_like(z), z))


@dataclass(frozen=True)
class Term:
    """sign * (sum_i a'_i w'_ij + b'_j).

    Parameters
    ----------
    a, w : callable
        The maps applied to the input and to the weight, element by element.
    b : callable or None
        The map applied to the bias, element by element; None leaves the bias out.
    sign : int, default 1
        +1 or -1.
    """

    a: Map = identity
    w: Map = identity
    b: Map | None = None
    sign: int = 1

    def __post_init__(self) -> None:
        for name in ("a", "w", "b"):
            if not (callable(map_ := getattr(self, name)) or (name == "b" and map_ is None)):
                raise ParameterError(f"Term: {name} must be a function of an array, got {shown(map_)}")
        if not is_integer(self.sign, -1, 1) or self.sign == 0:
            raise ParameterError(f"Term: sign must be 1 or -1, got {shown(self.sign)}")

    def of_input(self, a: Array) -> Array:
        """sign * a'."""
        return _signed(self.sign, _mapped(self.a, a))

    def of_weight(self, w: Array) -> Array:
        """w'."""
        return _mapped(self.w, w)

    def of_bias(self, b: Array | None) -> Array | int:
        """sign * b', or 0 where there is no bias."""
        return 0 if self.b is None or b is None else _signed(self.sign, _mapped(self.b, b))


def _signed(sign: int, x: Array) -> Array:
    return x if sign == 1 else -x


def _mapped(map_: Map, x: Array) -> Array:
    """map(x); raises DTypeError where a map turns exact numbers into floats."""
    y = map_(x)
    check_still_exact(y, like=x)
    return y


@dataclass(frozen=True)
class Ratio:
    """Terms over a common denominator, and the share of the relevance that they redistribute.

    Parameters
    ----------
    terms : tuple of Term
        What is redistributed: input i of unit j receives its part of the terms' sum.
    coefficient : float, default 1
        The share of R_j that the ratio redistributes.
    denominator : tuple of Term, optional
        The terms whose sum is divided by; None for `terms` themselves. With another denominator the parts do not sum
        to one, and the ledger records the rest as *factor*.
    """

    terms: tuple[Term, ...]
    coefficient: float = 1
    denominator: tuple[Term, ...] | None = None

    def __post_init__(self) -> None:
        given: tuple[object, ...] = (self.terms,) if self.denominator is None else (self.terms, self.denominator)
        for terms in given:
            if not (isinstance(terms, tuple) and all(isinstance(term, Term) for term in terms)):
                raise ParameterError(f"Ratio: terms and denominator are tuples of Term, got {shown(terms)}")
        check_number(self.coefficient, "Ratio: coefficient")

    def sums(self, layer: Any, inputs: tuple[Array, ...], w: Array, b: Array | None) -> tuple[Array, Array, Array]:
        """Step 1: the sum of the terms, the part of it that is bias, and the denominator before stabilization."""
        z, bias = _sum(self.terms, layer, inputs, w, b)
        return z, bias, z if self.denominator is None else _sum(self.denominator, layer, inputs, w, b)[0]


def _sum(
    terms: Sequence[Term], layer: Any, inputs: tuple[Array, ...], w: Array, b: Array | None
) -> tuple[Array, Array]:
    """sum over terms (sum_i a'_i w'_ij + b'_j), and its part sum over terms b'_j."""
    if not terms:
        raise RuleError("a ratio needs at least one term")
    linear = [layer.linear(term.of_weight(w), *map(term.of_input, inputs)) for term in terms]
    z = sum(linear[1:], start=linear[0])
    bias: Any = sum((term.of_bias(b) for term in terms), start=zeros_like(z))
    return z + bias, bias


@dataclass(frozen=True)
class Rule:
    """A way to redistribute the relevance of a linear layer's outputs to its inputs.

    A rule of your own is a frozen dataclass that defines `ratios`. It works on every linear layer at once, and the
    ledger accounts for all relevance. The class attributes describe the rule to readers (`lrpref rules`) and choose the
    tests that `lrpref.testing.check_rule` runs.

    Attributes
    ----------
    name, equation, when, source : str
        The rule's name, its equation as text, advice on where to use it, and the publication it comes from.
    needs_nonnegative : bool
        Whether the rule is meant for inputs a >= 0 only.
    conserves : bool
        Whether sum_i R_i = sum_j R_j without biases, stabilizer and zero denominators.
    linear : bool
        Whether R_i is linear in R_j.
    exact : bool
        Whether the rule consists of rational operations, so that exact arithmetic can represent it.
    diagonal_only : bool
        Whether the rule applies only where each unit has one input, as in BatchNorm and Scale.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> @dataclass(frozen=True)
    ... class Uniform(Rule):
    ...     def ratios(self):
    ...         return (Ratio((Term(a=one, w=one),)),)
    >>> Dense([[3.0, 7.0]]).relevance(np.array([[1.0, 2.0]]), np.array([[1.0]]), Uniform())
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "custom"
    equation: ClassVar[str] = ""
    when: ClassVar[str] = ""
    source: ClassVar[str] = ""
    needs_nonnegative: ClassVar[bool] = False
    conserves: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    exact: ClassVar[bool] = True
    diagonal_only: ClassVar[bool] = False

    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios that the rule consists of."""
        raise RuleError(f"rule {type(self).__name__} defines no ratios: implement ratios() or flow()")

    def stabilize(self, z: Array) -> Array:
        """The denominator made of z: z + stabilizer * sign(z) where the rule has a field of that name, else z."""
        epsilon = getattr(self, "stabilizer", 0)
        return stabilize(z, epsilon) if epsilon else z

    def shares(
        self, layer: Any, inputs: tuple[Array, ...], R: Array, ratios: Sequence[Ratio], zs: Sequence[Array]
    ) -> list[Array]:
        """The relevance that each ratio redistributes: coefficient * R. A rule may override this.

        `zs` holds each ratio's denominator before stabilization, shaped like `R`.
        """
        return [constant(ratio.coefficient, like=R) * R for ratio in ratios]

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The engine: redistribute `R`, the relevance of a linear layer's output, to the tuple `inputs`.

        Returns
        -------
        Flow
            The relevance of each input, and the losses that the ledger records.
        """
        w, b = layer.parameters(*inputs)
        shapes = [tuple(a.shape) for a in inputs]
        ratios = self.ratios()
        sums = [ratio.sums(layer, inputs, w, b) for ratio in ratios]
        shares = self.shares(layer, inputs, R, ratios, [d for _, _, d in sums])
        R_in = [zeros_like(a) for a in inputs]
        losses: dict[str, Any] = dict.fromkeys(LOSSES, 0)
        for ratio, (z, b_z, d), R_ratio in zip(ratios, sums, shares, strict=True):
            denominator = self.stabilize(d)
            check_still_exact(R_ratio, like=R, what="shares(...) of the rule")
            check_still_exact(denominator, like=d, what="stabilize(...) of the rule")
            s = divide(R_ratio, denominator)
            for term in ratio.terms:
                c = as_tuple(layer.adjoint(term.of_weight(w), s, *shapes))
                R_in = [R_i + term.of_input(a) * c_i for R_i, a, c_i in zip(R_in, inputs, c, strict=True)]
            losses["bias"] += sum_per_sample(s * b_z)
            losses["stabilizer"] += sum_per_sample(s * (denominator - d))
            losses["factor"] += 0 if ratio.denominator is None else sum_per_sample(s * (d - z))
            losses["dropped"] += sum_per_sample(array_namespace(z).where(denominator == 0, R_ratio, 0 * R_ratio))
        return Flow(tuple(R_in), losses)

    def __str__(self) -> str:
        """The rule's name and the parameters that differ from their defaults."""
        values = [(f.name, getattr(self, f.name), f.default) for f in fields(self)]
        shown = ", ".join(
            f"{name}={_brief(value)}" for name, value, default in values if is_array(value) or value != default
        )
        label = self.name if self.name != "custom" else type(self).__name__
        return f"{label}({shown})" if shown else label


def _brief(value: object) -> str:
    """A parameter for a table; an array is represented by its shape."""
    return f"array{tuple(value.shape)}" if is_array(value) else str(value)


def check_not_negative(rule: Rule, *names: str) -> None:
    """Raise ParameterError unless the fields of these names are finite numbers >= 0."""
    for name in names:
        check_number(getattr(rule, name), f"{type(rule).__name__}: {name}", least=0)
