"""Dense and Conv2D under a rule that consists of terms: stacked products forward, and their adjoint back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...backend import Array, array_namespace
from ...engine import Map
from ...layers import LinearLayer
from ..algebra import Recipe, bias_of, write_quotient
from ..kernels import ForwardKernel, Kernel, Source, keep
from ..workers import Workers
from .step import channels_last, output_shape, write_output


class Products(NamedTuple):
    """The two kernels of a weighted layer: its stacked products forward, and the adjoint of the quotients' parts."""

    forward: ForwardKernel
    back: Kernel


@dataclass(frozen=True, eq=False)
class WeightedStep:
    """Dense or Conv2D: R_i = sum over maps m of m(a_i) c_mi, with c_mi = sum over ratios and j of w'_mij s_j.

    If the rule's terms are all on the input itself, the only map is the identity, and c is sent as a factor of the
    input (CARRIED). Otherwise m(a) for all maps are concatenated as channels, and R is formed (EXPLICIT): this is how
    a first layer is computed, whose input may have both signs or whose rule reads bounds.

    Parameters
    ----------
    layer : LinearLayer
        The layer, for its shapes and its bias.
    recipe : Recipe
        The layer's rule, reduced.
    products : Products
        Forward, from the maps of the input to the recipe's parts; back, from every ratio's s to c.
    biases : tuple of (array, shape (O,), or None), or None
        The bias of each part; None if biases differ from position to position (`Conv2D.bias_taps`).
    rectified : bool
        Whether the ReLU that follows is computed here.
    carried : bool
        Whether relevance arrives as a factor of the output.
    gain : float
        The largest sum of magnitudes of one unit's weights, over all parts.
    """

    layer: LinearLayer
    recipe: Recipe
    products: Products
    biases: tuple[Array | None, ...] | None
    rectified: bool
    carried: bool
    gain: float

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.products.forward.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (q of every ratio, the maps of the input unless it is the identity alone, the input's shape)."""
        (a,) = inputs
        xp, shape = array_namespace(a), output_shape(self.layer, a)
        read = a if self.recipe.on_input else xp.concatenate([_mapped(m, a) for m in self.recipe.maps], axis=-1)
        kernel, computed = self.products.forward, tuple(range(len(self.recipe.parts)))
        if not remember and len(self.recipe.output) == 1:
            kernel, computed = kernel.only(self.recipe.output[0]), self.recipe.output
        quotients = len(self.recipe.quotients) if remember else 0
        made = tuple(workers.empty(shape, a.dtype) for _ in range(1 + quotients))
        held = self._varying_biases(a) if self.biases is None else self.biases
        biases = {at: b for at, part in enumerate(computed) if (b := held[part]) is not None}
        varying = () if self.biases is not None else tuple(xp.broadcast_to(b, shape) for b in biases.values())
        workers.watch(read, self.gain)
        for b in biases.values():
            workers.watch(b)
        z_at = [computed.index(part) for part in self.recipe.output]

        def finish(parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
            here = outs[len(made) :] if varying else [b[channels] for b in biases.values()]
            for at, b in zip(biases, here, strict=True):
                part = parts[at]
                part += b
            self._finish(parts, z_at, outs[0], outs[1 : len(made)])

        kernel.apply(Source(read), finish, (*made, *varying), workers)
        return made[0], (made[1:], None if self.recipe.on_input else read, a.shape)

    def _varying_biases(self, a: Array) -> tuple[Array | None, ...]:
        """The bias of each part, for inputs like `a`."""
        _, b = self.layer.parameters(_channels_first(a))
        b = None if b is None else channels_last(b)
        return tuple(bias_of(terms, b) for terms in self.recipe.parts)

    def _finish(self, parts: Sequence[Array], z_at: Sequence[int], y: Array, qs: Sequence[Array]) -> None:
        """From a block of parts, those at `z_at` being summed to z, to y and the q's."""
        z = sum((parts[at] for at in z_at[1:]), start=parts[z_at[0]])
        if self.recipe.scale != 1:
            z = z * self.recipe.scale
        write_output(z, self.rectified, y)
        explained = y if self.carried else array_namespace(y).ones((1,) * y.ndim, dtype=y.dtype)
        for k, q in enumerate(qs):
            write_quotient(self.recipe, k, parts, z, explained, q)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The factor c of the input, or R_i = sum over maps of m(a_i) c_mi; with s = (what arrived) q."""
        qs, mapped, shape = kept
        shape = shape if mapped is None else mapped.shape
        c = workers.empty((message.shape[0], *shape[1:]), message.dtype)
        self.products.back.apply(Source(message, qs), keep, (c,), workers)
        if mapped is None:
            return (c,)
        return (sum(array_namespace(c).split(mapped * c, len(self.recipe.maps), axis=-1)),)


def _mapped(m: Map, a: Array) -> Array:
    """m(a). Maps are written for channels first: bounds may be given per channel."""
    return channels_last(m(_channels_first(a))) if a.ndim == 4 else m(a)


def _channels_first(a: Array) -> Array:
    """The same numbers, seen with channels first; vectors as they are."""
    return array_namespace(a).permute_dims(a, (0, 3, 1, 2)) if a.ndim == 4 else a
