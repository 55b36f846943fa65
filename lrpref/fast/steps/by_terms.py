"""Dense and Conv2D under a rule with terms on other maps of the input: relevance is formed, term by term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Map, Pool, Rule
from ...layers import LinearLayer
from ..algebra import plain_quotient
from ..kernels import Block, Source, keep
from ..workers import Scratch, Workers
from .step import channels_last, output_shape, pieces
from .weighted import Products


@dataclass(frozen=True, eq=False)
class WeightedByTerms:
    """Dense or Conv2D under a rule with terms on other maps of the input: R_i = sum_m m(a_i) c_mi.

    This is how a first layer is computed, whose input may have both signs or whose rule looks at bounds.

    maps      the maps m of the input that the rule's terms read; m(a) for each stand side by side, as channels
    products  forward, from all of them to the layer's own z and the z of every pool; back, from every pool's s to c_m
    """

    layer: LinearLayer
    rule: Rule
    maps: tuple[Map, ...]
    products: Products
    rectified: bool
    carried: bool

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.products.onward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (q of every pool, the maps of the input)."""
        (a,) = inputs
        xp, pools, shape = array_namespace(a), self.rule.pools(), output_shape(self.layer, a)
        _, b = self.layer.parameters(_channels_first(a))
        b = None if b is None else channels_last(b)
        own, *zs = made = tuple(workers.empty(shape, a.dtype) for _ in range(1 + len(pools)))
        mapped = xp.concatenate([_mapped(m, a) for m in self.maps], axis=-1)
        self.products.onward.apply(Source(mapped), keep, made, workers)
        biases = [b, *(_bias(pool, b) for pool in pools)]

        def finish(piece: Block, scratch: Scratch) -> None:
            z, *parts = map(piece.part, made)
            for part, bias in zip((z, *parts), biases, strict=True):
                if bias is not None:
                    part += _here(bias, piece)
            y = xp.maximum(z, 0) if self.rectified else z.copy()
            explained = y if self.carried else xp.ones_like(y)
            quotients = [plain_quotient(self.rule, k, parts, z, explained) for k in range(len(pools))]
            for part, found in zip((z, *parts), (y, *quotients), strict=True):
                part[...] = found

        workers.run(pieces(own, workers), finish)
        return own, (tuple(zs), mapped)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """R_i = sum over the maps of m(a_i) c_mi."""
        qs, mapped = kept
        xp = array_namespace(mapped)
        c = workers.empty((message.shape[0], *mapped.shape[1:]), mapped.dtype)
        self.products.back.apply(Source(message, qs), keep, (c,), workers)
        return (sum(xp.split(mapped * c, len(self.maps), axis=-1)),)


def _mapped(m: Map, a: Array) -> Array:
    """m(a). Maps are written for channels first: bounds may be given per channel."""
    return channels_last(m(_channels_first(a))) if a.ndim == 4 else m(a)


def _channels_first(a: Array) -> Array:
    """The same numbers, seen with channels first; vectors as they are."""
    return array_namespace(a).permute_dims(a, (0, 3, 1, 2)) if a.ndim == 4 else a


def _bias(pool: Pool, b: Array | None) -> Array | None:
    """The biases of a pool's terms; None where it has none."""
    held = [term.sign * term.b(b) for term in pool.terms if term.b is not None and b is not None]
    return sum(held[1:], start=held[0]) if held else None


def _here(bias: Array, piece: Block) -> Array:
    """A bias at the rows of a piece, where it is not the same everywhere."""
    return bias[:, piece.rows] if bias.ndim == 4 and bias.shape[1] > 1 else bias
