"""The engine: four steps, once, for every rule and every linear layer.

A rule is a short list of *pools*. A pool is a coefficient and some signed *terms*, each an input map a', a weight
map w' and a bias map b'. `Rule.flow` takes the four steps of Montavon et al. 2019 (LNCS 11700, ch. 10, sec. 10.3.1
"Implementing LRP efficiently") once per pool, in their letters:

    z_j = sum of the terms' (sum_i a'_i w'_ij + b'_j)          step 1, a forward pass
    s_j = coefficient * R_j / stabilize(z_j)                   step 2, a division
    c_i = sum_j w'_ij s_j                                      step 3, a backward pass
    R_i = sum of the terms' a'_i c_i                           step 4, a product

Rules that speak of the positive part of a product need two terms, because

    (a w)+ = a+ w+ + a- w-        (a w)- = a+ w- + a- w+

Notation: (.)+ and (.)- are the positive and the negative part, so that x = x+ + x-. sign(0) = +1. A denominator
that is exactly zero sends nothing, and the ledger books its relevance under *policy*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from numbers import Real
from typing import Any, ClassVar

from .arithmetic import constant, ones_like, zeros_like
from .backend import Array, array_namespace, as_tuple, is_array, sum_per_sample
from .errors import ParameterError, RuleError
from .ledger import Flow

Map = Callable[[Array], Array]


# ---- the maps that terms are made of ---------------------------------------------------------------------------


def identity(x: Array) -> Array:
    """x."""
    return x


def positive(x: Array) -> Array:
    """x+ = max(x, 0)."""
    xp = array_namespace(x)
    return xp.where(x > 0, x, zeros_like(x))


def negative(x: Array) -> Array:
    """x- = min(x, 0)."""
    xp = array_namespace(x)
    return xp.where(x < 0, x, zeros_like(x))


def magnitude(x: Array) -> Array:
    """|x|."""
    return positive(x) - negative(x)


def square(x: Array) -> Array:
    """x squared."""
    return x * x


def one(x: Array) -> Array:
    """1, in the shape of x."""
    return ones_like(x)


# ---- the engine ------------------------------------------------------------------------------------------------


def stabilize(z: Array, epsilon: float | Array) -> Array:
    """z + epsilon * sign(z), with sign(0) = +1, so that the denominator moves away from zero on both sides.

    >>> import numpy as np
    >>> stabilize(np.array([0.0, 2.0, -2.0]), 0.5)
    array([ 0.5,  2.5, -2.5])
    """
    epsilon = epsilon if is_array(epsilon) else constant(epsilon, like=z)
    return array_namespace(z).where(z >= 0, z + epsilon, z - epsilon)


def divide(R: Array, z: Array) -> Array:
    """R / z, and 0 where z is exactly zero."""
    xp = array_namespace(z)
    zero = z == 0
    return xp.where(zero, zeros_like(z), R / xp.where(zero, ones_like(z), z))


@dataclass(frozen=True)
class Term:
    """sign * (sum_i a'_i w'_ij + b'_j): the maps say what stands for a, w and b (b None: no bias)."""

    a: Map = identity
    w: Map = identity
    b: Map | None = None
    sign: int = 1


@dataclass(frozen=True)
class Pool:
    """Terms that share one denominator, and the part of the relevance that they share out."""

    terms: tuple[Term, ...]
    coefficient: float = 1

    def z(self, layer: Any, inputs: tuple[Array, ...], w: Array, b: Array | None) -> tuple[Array, Array]:
        """Step 1: the pool's z, and the part of it that is bias."""
        linear = [term.sign * layer.linear(term.w(w), *map(term.a, inputs)) for term in self.terms]
        z = sum(linear[1:], start=linear[0])
        biases = [term.sign * term.b(b) for term in self.terms if term.b is not None and b is not None]
        bias = sum(biases, start=zeros_like(z))
        return z + bias, bias


@dataclass(frozen=True)
class Rule:
    """A way to share out relevance over the inputs of a linear layer.

    A rule of your own is a frozen dataclass that says its `pools`; it works on every linear layer at once, and
    its books close:

    >>> import numpy as np
    >>> from lrpref import Dense
    >>> @dataclass(frozen=True)
    ... class Ignorant(Rule):
    ...     def pools(self):
    ...         return (Pool((Term(a=one, w=one),)),)
    >>> Dense([[3.0, 7.0]]).relevance(np.array([[1.0, 2.0]]), np.array([[1.0]]), Ignorant())
    array([[0.5, 0.5]])

    The class attributes describe it to a reader (`lrpref rules`) and to the tests that it must pass.
    """

    name: ClassVar[str] = "custom"
    equation: ClassVar[str] = ""
    when: ClassVar[str] = ""
    source: ClassVar[str] = ""
    needs_nonnegative: ClassVar[bool] = False
    """It is meant for inputs a >= 0."""
    conserves: ClassVar[bool] = True
    """Without biases, stabilizer and zero denominators, sum_i R_i = sum_j R_j."""
    linear: ClassVar[bool] = True
    """R_i is linear in R_j."""
    exact: ClassVar[bool] = True
    """It is made of rational operations, so exact arithmetic carries it."""
    diagonal_only: ClassVar[bool] = False
    """It makes sense only where each unit has one input: BatchNorm and Scale."""

    @property
    def unitwise(self) -> bool:
        """What a unit shares out depends on that unit alone, so that a layer may be computed in pieces."""
        return self._computes_as(Rule)

    def _computes_as(self, kind: type[Rule]) -> bool:
        """The rule's steps are those of `kind`, and no subclass's own."""
        return all(getattr(type(self), step) is getattr(kind, step) for step in ("flow", "shares", "stabilize"))

    @property
    def fixed_shares(self) -> bool:
        """Each pool shares out its coefficient times R, whatever z is."""
        return type(self).shares is Rule.shares

    def pools(self) -> tuple[Pool, ...]:
        """The pools of terms that the rule consists of."""
        raise RuleError(f"rule {type(self).__name__} says no pools; define pools(self), or flow(...)")

    def stabilize(self, z: Array) -> Array:
        """The denominator made of z; z + stabilizer * sign(z) where the rule has a field of that name."""
        epsilon = getattr(self, "stabilizer", 0)
        return stabilize(z, epsilon) if epsilon else z

    def shares(
        self, layer: Any, inputs: tuple[Array, ...], R: Array, pools: Sequence[Pool], zs: Sequence[Array]
    ) -> list[Array]:
        """The relevance that each pool shares out: its coefficient times R, unless the rule knows better."""
        return [constant(pool.coefficient, like=R) * R for pool in pools]

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """The engine: relevance of `inputs` (a tuple) given `R` at the output of a linear layer, and the losses."""
        w, b = layer.parameters(*inputs)
        shapes = [tuple(a.shape) for a in inputs]
        pools = self.pools()
        zs = [pool.z(layer, inputs, w, b) for pool in pools]
        shares = self.shares(layer, inputs, R, pools, [z for z, _ in zs])
        R_in = [zeros_like(a) for a in inputs]
        bias = stabilizer = policy = 0
        for pool, (z, b_pool), R_pool in zip(pools, zs, shares, strict=True):
            denominator = self.stabilize(z)
            s = divide(R_pool, denominator)
            for term in pool.terms:
                c = as_tuple(layer.adjoint(term.w(w), s, *shapes))
                R_in = [R_i + term.sign * term.a(a) * c_i for R_i, a, c_i in zip(R_in, inputs, c, strict=True)]
            bias += sum_per_sample(s * b_pool)
            stabilizer += sum_per_sample(s * (denominator - z))
            policy += sum_per_sample(array_namespace(z).where(denominator == 0, R_pool, 0 * R_pool))
        return Flow(tuple(R_in), {"bias": bias, "stabilizer": stabilizer, "policy": policy})

    def __str__(self) -> str:
        """The rule's name and whatever differs from its defaults."""
        values = [(f.name, getattr(self, f.name), f.default) for f in fields(self)]
        told = ", ".join(
            f"{name}={_brief(value)}" for name, value, default in values if is_array(value) or value != default
        )
        label = self.name if self.name != "custom" else type(self).__name__
        return f"{label}({told})" if told else label


def _brief(value: object) -> str:
    """A parameter for a table: arrays by their shape."""
    return f"array{tuple(value.shape)}" if is_array(value) else str(value)  # type: ignore[attr-defined]


def check_not_negative(rule: Rule, *names: str) -> None:
    """Raise ParameterError unless the fields of these names are finite numbers >= 0."""
    for name in names:
        value = getattr(rule, name)
        if not isinstance(value, Real) or not isfinite(value) or value < 0:
            raise ParameterError(f"{type(rule).__name__}: {name} must be a finite number >= 0, got {value!r}")
