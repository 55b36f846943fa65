"""Dense and Conv2D under a rule whose terms are all on the input itself: relevance as a factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...backend import Array, array_namespace
from ...layers import LinearLayer
from ..algebra import Recipe, quotient
from ..kernels import Kernel, Onward, Source, keep
from ..workers import Workers
from .step import give, output_shape


class Products(NamedTuple):
    """The two kernels of a weighted layer's stacked weights: forward, and its adjoint."""

    onward: Onward
    back: Kernel


@dataclass(frozen=True, eq=False)
class Weighted:
    """Dense or Conv2D under a rule whose terms are all on the input itself: R_i = a_i c_i.

    layer      the layer, for its shapes
    recipe     its rule, reduced
    products   the recipe's terms forward; the ratios' terms back
    biases     a bias for every term of the recipe, or None; shaped (O,)
    rest       the layer's bias, where no term of its output holds it
    rectified  whether the ReLU that follows is computed here
    carried    whether relevance arrives as a factor of the output
    """

    layer: LinearLayer
    recipe: Recipe
    products: Products
    biases: tuple[Array | None, ...]
    rest: Array | None
    rectified: bool
    carried: bool

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.products.onward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (q of every ratio, the shape of the input)."""
        (a,) = inputs
        shape = output_shape(self.layer, a)
        y, *qs = outs = tuple(workers.empty(shape, a.dtype) for _ in range(1 + remember * len(self.recipe.shares)))
        if remember or len(self.recipe.output) > 1:
            self.products.onward.apply(Source(a), self._finish, outs, workers)
        else:
            self.products.onward.only(self.recipe.output[0]).apply(Source(a), self._finish_own, outs, workers)
        return y, (tuple(qs), a.shape)

    def _finish_own(self, parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
        """From a block of the layer's own product to y."""
        (z,), (y,), b = parts, outs, self.biases[self.recipe.output[0]]
        if b is not None:
            z += b[channels]
        self._output(z, y, channels)

    def _finish(self, parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
        """From a block of every term's product to y and, if there is room for them, the q's."""
        y, *qs = outs
        xp = array_namespace(y)
        for part, b in zip(parts, self.biases, strict=True):
            if b is not None:
                part += b[channels]
        z = sum((parts[k] for k in self.recipe.output[1:]), start=parts[self.recipe.output[0]])
        if self.recipe.scale != 1:
            z = z * self.recipe.scale
        z = self._output(z, y, channels)
        explained = y if self.carried else xp.ones((1,) * y.ndim, dtype=y.dtype)
        for k, q in enumerate(qs):
            quotient(self.recipe, k, parts, z, explained, q)

    def _output(self, z: Array, y: Array, channels: slice) -> Array:
        """All of z, and what the step gives of it, to `y`."""
        if self.rest is not None:
            z = z + self.rest[channels]
        give(z, self.rectified, y)
        return z

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """c_i = sum over ratios and j of w'_ij s_j, with s = (what arrived) q."""
        qs, shape = kept
        c = workers.empty((message.shape[0], *shape[1:]), message.dtype)
        self.products.back.apply(Source(message, qs), keep, (c,), workers)
        return (c,)
