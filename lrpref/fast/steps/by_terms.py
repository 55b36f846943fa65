"""Dense and Conv2D under a rule with terms on other maps of the input: relevance is formed, term by term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Map
from ...layers import LinearLayer
from ..algebra import Recipe, quotient, ratio_bias
from ..kernels import Source, keep
from ..workers import Workers
from .step import channels_last, give, output_shape
from .weighted import Products


@dataclass(frozen=True, eq=False)
class WeightedByTerms:
    """Dense or Conv2D under a rule with terms on other maps of the input: R_i = sum_m m(a_i) c_mi.

    This is how a first layer is computed, whose input may have both signs or whose rule looks at bounds.

    recipe    the parts that add up to z, and those of the ratios
    maps      the maps m of the input that the rule's terms read; m(a) for each stand side by side, as channels
    products  forward, from all of them to the recipe's parts; back, from every ratio's s to c_m
    """

    layer: LinearLayer
    recipe: Recipe
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
        """y, and (q of every ratio, the maps of the input)."""
        (a,) = inputs
        xp, shape = array_namespace(a), output_shape(self.layer, a)
        mapped = xp.concatenate([_mapped(m, a) for m in self.maps], axis=-1)
        y, *qs = made = tuple(workers.empty(shape, a.dtype) for _ in range(1 + remember * len(self.recipe.shares)))
        biases = tuple(xp.broadcast_to(b, shape) for b in self._biases(a))

        def finish(parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
            self._finish(parts, outs[0], outs[1 : len(made)], outs[len(made) :])

        alone = not remember and len(self.recipe.output) == 1
        onward = self.products.onward.only(self.recipe.output[0]) if alone else self.products.onward
        onward.apply(Source(mapped), finish, (*made, *biases), workers)
        return y, (tuple(qs), mapped)

    def _biases(self, a: Array) -> list[Array]:
        """What is added to each part of the product; it may differ from place to place (`Conv2D.bias_taps`)."""
        _, b = self.layer.parameters(_channels_first(a))
        if b is None:
            return []
        b, nothing = channels_last(b), array_namespace(a).zeros(1, dtype=a.dtype)
        held = [ratio_bias(ratio, b) for ratio in self.recipe.rule.ratios()]
        biases = [nothing if bias is None else bias for bias in held]
        return biases if self.recipe.shares[0].index == 0 else [b, *biases]

    def _finish(self, parts: Sequence[Array], y: Array, qs: Sequence[Array], biases: Sequence[Array]) -> None:
        """From a block of the parts (the layer's own alone, where it is all that is asked for) to y and the q's."""
        output = self.recipe.output
        for part, bias in zip(parts, biases, strict=False):
            part += bias
        z = sum((parts[k] for k in output[1:]), start=parts[output[0]])
        give(z, self.rectified, y)
        explained = y if self.carried else array_namespace(y).ones((1,) * y.ndim, dtype=y.dtype)
        for k, q in enumerate(qs):
            quotient(self.recipe, k, parts, z, explained, q)

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
