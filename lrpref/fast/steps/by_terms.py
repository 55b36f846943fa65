"""Dense and Conv2D under a rule with terms on other maps of the input: relevance is formed, term by term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Pool, Rule, Term
from ...layers import LinearLayer
from ..algebra import plain_quotient
from ..kernels import Kernel, Source, keep
from ..workers import Workers
from .step import channels_last, output_shape
from .weighted import Products


@dataclass(frozen=True, eq=False)
class Group:
    """The terms of a rule that read one map of the input: (pool, term), and their products."""

    terms: tuple[tuple[int, Term], ...]
    products: Products


@dataclass(frozen=True, eq=False)
class WeightedByTerms:
    """Dense or Conv2D under a rule with terms on other maps of the input: relevance is formed, R_i = sum a'_i c_i.

    This is how a first layer is computed, whose input may have both signs or whose rule looks at bounds.

    own     the layer's own product
    groups  the rule's terms by what they read
    """

    layer: LinearLayer
    rule: Rule
    own: Products
    groups: tuple[Group, ...]
    rectified: bool
    carried: bool

    needs_inputs = True

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.own.onward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and q of every pool."""
        (a,) = inputs
        xp, pools = array_namespace(a), self.rule.pools()
        _, b = self.layer.parameters(xp.permute_dims(a, (0, 3, 1, 2)) if a.ndim == 4 else a)
        b = None if b is None else channels_last(b)
        z = self._product(self.own.onward, a, 1, workers)[0]
        z = z if b is None else z + b
        y = xp.maximum(z, 0) if self.rectified else z
        if not remember:
            return y, None
        zs: list[Array] = [_biases(pool, b, z) for pool in pools]
        for group in self.groups:
            made = self._product(group.products.onward, _mapped(group.terms[0][1], a), len(group.terms), workers)
            for (k, term), part in zip(group.terms, made, strict=True):
                zs[k] = zs[k] + term.sign * part
        explained = y if self.carried else xp.ones_like(y)
        return y, tuple(plain_quotient(self.rule, k, zs, z, explained) for k in range(len(pools)))

    def _product(self, kernel: Kernel, a: Array, count: int, workers: Workers) -> list[Array]:
        """`count` products of one input."""
        shape = output_shape(self.layer, a)
        outs = tuple(array_namespace(a).empty(shape, dtype=a.dtype) for _ in range(count))
        kernel.apply(Source(a), keep, outs, workers)
        return list(outs)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """R_i = sum over the terms of sign a'_i sum_j w'_ij s_j."""
        (a,) = inputs
        xp = array_namespace(a)
        R = xp.zeros((message.shape[0], *a.shape[1:]), dtype=a.dtype)
        for group in self.groups:
            c = xp.empty(R.shape, dtype=a.dtype)
            factors = tuple(term.sign * kept[k] for k, term in group.terms)
            group.products.back.apply(Source(message, factors), keep, (c,), workers)
            R += _mapped(group.terms[0][1], a) * c
        return (R,)


def _mapped(term: Term, a: Array) -> Array:
    """The map of the input that a term reads. Maps are written for channels first: bounds may be given per channel."""
    return channels_last(term.a(array_namespace(a).permute_dims(a, (0, 3, 1, 2)))) if a.ndim == 4 else term.a(a)


def _biases(pool: Pool, b: Array | None, like: Array) -> Array:
    """The biases of a pool's terms; zero where it has none."""
    held = [term.sign * term.b(b) for term in pool.terms if term.b is not None and b is not None]
    return sum(held, start=array_namespace(like).zeros((1,) * like.ndim, dtype=like.dtype))
