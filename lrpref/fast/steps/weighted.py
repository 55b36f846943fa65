"""Dense and Conv2D under a rule that consists of terms: stacked products forward, and their adjoint back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Map
from ...layers import LinearLayer
from ..algebra import Denominator, Recipe, bias_of, record_quotient
from ..blocks import Block
from ..kernels import Kernel, Store, as_matrix
from ..memory import Border, Buffer, Image
from ..program import Lane, Program
from .step import given_back, laid_out, output_shape, product, record_output


@dataclass(frozen=True, eq=False)
class WeightedStep:
    """Dense or Conv2D: R_i = sum over maps m of m(a_i) c_mi, with c_mi = sum over ratios and j of w'_mij s_j.

    If the rule's terms are all on the input itself, the only map is the identity, and c is sent as a factor of the
    input (CARRIED). Otherwise m(a) for all maps are concatenated as channels, and R is formed (EXPLICIT): this is how
    a first layer is computed, whose input may have both signs or whose rule reads bounds.

    Parameters
    ----------
    layer : LinearLayer
        The layer of images, for its shapes and its bias.
    recipe : Recipe
        The layer's rule, reduced.
    products : Kernel
        From the maps of the input to the recipe's parts.
    output : Kernel
        Those of the parts whose sum is z, for a forward pass alone.
    back : Kernel
        From every ratio's s to c.
    biases : tuple of (array, shape (O,), number, or None), or None
        The bias of each part; None if biases differ from position to position (`Conv2D.bias_taps`).
    lifted : frozenset of int
        The parts whose bias contains epsilon.
    rectified : bool
        Whether the ReLU that follows is computed here.
    carried : bool
        Whether relevance arrives as a factor of the output.
    nonnegative : bool
        Whether the input is never negative.
    gain : float or None
        No sum of weights times inputs exceeds this times the largest input; None where there are fewer sums than
        weights, so that they are watched themselves.
    rank : int
        The number of axes of the input, as the user knows it.
    """

    layer: LinearLayer
    recipe: Recipe
    products: Kernel
    output: Kernel
    back: Kernel
    biases: tuple[Array | float | None, ...] | None
    lifted: frozenset[int]
    rectified: bool
    carried: bool
    nonnegative: bool
    gain: float | None
    rank: int

    @property
    def form(self) -> str:
        """The form of the products."""
        return self.products.form

    def border(self, shape: tuple[int, ...]) -> Border:
        """That of the products."""
        return self.products.border(shape)

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """y, and (q of every ratio, the maps of the input unless it is the identity alone, the input's shape)."""
        (a,), memory, recipe = inputs, program.memory, self.recipe
        shape = output_shape(self.layer, a.cells)
        read = a if recipe.on_input else self._mapped(program, a)
        if self.gain is not None:
            program.watch(read.cells, self.gain, self.nonnegative and recipe.on_input)
        y = memory.image(shape, read.cells.dtype, border)
        qs = tuple(memory.empty(shape, y.whole.dtype) for _ in recipe.quotients) if remember else ()
        computed = tuple(range(len(recipe.parts))) if remember else recipe.output
        biases = self._biases(program, a, shape)
        kernel = self.products if remember else self.output
        epilogue = _Epilogue(program, self, {part: biases[part] for part in computed}, bool(qs))
        varying = (b for part in computed if self.biases is None and (b := biases[part]) is not None)
        kernel.record(program, read, epilogue, (y.cells, *qs, *varying))
        return y, (qs, None if recipe.on_input else read, a.cells.shape)

    def _biases(self, program: Program, a: Image, shape: tuple[int, ...]) -> Sequence[Buffer | float | None]:
        """The bias of each part: one for each channel, or an image."""
        if self.biases is not None:
            return self.biases
        _, b = self.layer.parameters(given_back(a.cells, a.cells.shape))
        images = [bias_of(terms, b) for terms in self.recipe.parts]
        images = [None if b is None else program.memory.xp.broadcast_to(laid_out(b), shape) for b in images]
        for b in images:
            if b is not None:
                program.watch(b)
        return images

    def _mapped(self, program: Program, a: Image) -> Image:
        """m(a) for all maps, as channels."""
        (N, H, W, C), maps, xp = a.cells.shape, self.recipe.maps, program.memory.xp
        read = program.memory.image((N, H, W, C * len(maps)), a.cells.dtype, self.border(a.cells.shape))
        like = (N, C, H, W)[: self.rank]

        def write(out: Buffer, m: Map) -> None:
            xp.copyto(out, laid_out(m(given_back(a.cells, like))))

        for k, m in enumerate(maps):
            program.do(write, read.cells[..., k * C : (k + 1) * C], m)
        return read

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The factor c of the input, or R_i = sum over maps of m(a_i) c_mi; with s = (what arrived) q."""
        (qs, mapped, shape), memory, xp = kept, program.memory, program.memory.xp
        s = product(program, message, qs, self.back.border(message.shape))
        channels = shape[3] * len(self.recipe.maps)
        c = memory.empty((message.shape[0], *shape[1:3], channels), message.dtype)
        self.back.record(program, s, Store(), (c,))
        if mapped is None:
            return (c,)
        program.do(xp.multiply, c, mapped.cells, out=c)
        R = c[..., : shape[3]]
        for first in range(shape[3], channels, shape[3]):
            program.do(xp.add, R, c[..., first : first + shape[3]], out=R)
        return (R,)


@dataclass(frozen=True)
class _Epilogue:
    """From the products of a block to y and the q's.

    Parameters
    ----------
    program : Program
        Where it is recorded.
    step : WeightedStep
        The step.
    biases : dict
        The parts that are computed -> their bias: one for each channel, a number, an image, or None.
    remember : bool
        Whether q is computed.
    """

    program: Program
    step: WeightedStep
    biases: Mapping[int, Buffer | float | None]
    remember: bool

    def place(self, lane: Lane, outs: tuple[Buffer, ...]) -> list[Buffer]:
        """The place of the result that is made from a part, where there is one; a buffer for other parts."""
        (y, *rest), recipe, free = outs, self.step.recipe, {}
        quotients = recipe.quotients if self.remember else ()
        if all(quotient.denominator is not Denominator.UNKNOWN for quotient in quotients):  # else all parts are needed
            free = {quotient.part: q for quotient, q in zip(quotients, rest, strict=False)}
            if len(recipe.output) == 1:
                free.setdefault(recipe.output[0], y)
        free = {part: place for part, place in free.items() if as_matrix(place) is not None}
        return [free[part] if part in free else lane.buffer(f"part {part}", y.shape, y.dtype) for part in self.biases]

    def finish(self, lane: Lane, parts: Sequence[Buffer], outs: tuple[Buffer, ...], block: Block) -> None:
        """Add the biases, then the output, then the quotients."""
        step, recipe, y, at = self.step, self.step.recipe, outs[0], dict(zip(self.biases, parts, strict=True))
        self._add_biases(lane, at, outs[1 + len(recipe.quotients) * self.remember :], block)
        z = at[recipe.output[0]]
        if len(recipe.output) > 1 or recipe.scale != 1:
            z = self._sum(lane, [at[part] for part in recipe.output])
        record_output(lane, z, step.rectified, y)
        if self.remember:
            explained = y if step.carried else array_namespace(y).ones((1,) * y.ndim, dtype=y.dtype)
            for k, quotient in enumerate(recipe.quotients):
                lifted = quotient.part in step.lifted
                record_quotient(lane, recipe, k, at, z, explained, outs[1 + k], step.form == "direct", lifted)

    def _add_biases(self, lane: Lane, at: Mapping[int, Buffer], varying: Sequence[Buffer], block: Block) -> None:
        """Add the biases to the products, which are watched where their inputs are not."""
        images, xp = list(varying), array_namespace(at[self.step.recipe.output[0]])
        for part, z in at.items():
            b = self.biases[part]
            if self.step.gain is None:
                for reduce in (z.max, z.min):
                    lane(reduce, out=self.program.peak(z.dtype))
            if b is not None:
                here = images.pop(0) if images else b if isinstance(b, float) else b[block.channels]
                lane(xp.add, z, here, out=z)

    def _sum(self, lane: Lane, parts: Sequence[Buffer]) -> Buffer:
        """The parts' sum, times the recipe's scale."""
        xp, (first, *rest) = array_namespace(parts[0]), parts
        z = lane.buffer("z", first.shape, first.dtype)
        for part in rest:
            lane(xp.add, first, part, out=z)
            first = z
        if self.step.recipe.scale != 1:
            lane(xp.multiply, first, self.step.recipe.scale, out=z)
        return z
