"""Add and GlobalAvgPool2D, whose weights are all equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import array_namespace
from ..algebra import Recipe, record_quotient
from ..blocks import for_passes
from ..memory import NO_BORDER, Border, Buffer, Image
from ..program import Program
from .step import product, record_output


@dataclass(frozen=True, eq=False)
class AddStep:
    """Add under a rule whose terms are on the inputs themselves: every branch receives c = (what arrived) q."""

    recipe: Recipe
    rectified: bool
    carried: bool

    form = "direct"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """y, and (q, the number of branches)."""
        memory, branches = program.memory, [a.cells for a in inputs]
        xp, shape = memory.xp, branches[0].shape
        y = memory.image(shape, branches[0].dtype, border)
        q = memory.empty(shape, y.whole.dtype) if remember else None
        for a in branches:
            program.watch(a, len(branches))
        for lane, block in program.share(for_passes(program, y.cells)):
            y_here, first, second, *more = map(block.part, (y.cells, *branches))
            z = lane.buffer("z", y_here.shape, y_here.dtype)
            lane(xp.add, first, second, out=z)
            for a in more:
                lane(xp.add, z, a, out=z)
            record_output(lane, z, self.rectified, y_here)
            if q is not None:
                explained = y_here if self.carried else xp.ones((1,) * z.ndim, dtype=z.dtype)
                record_quotient(lane, self.recipe, 0, [z], z, explained, block.part(q), True, False)
        return y, (q, len(branches))

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The same message to every branch."""
        q, branches = kept
        return [product(program, message, [q]).whole] * branches


@dataclass(frozen=True, eq=False)
class SplitStep:
    """Add before a ReLU, under a rule that shares out u a+ + v a- of each branch a, where relevance is carried.

    With y the rectified sum, of R = y c branch a receives a q c times the weight of its sign,

        q = y / (sum (u a+ + v a-) + epsilon)          sum (u a+ + v a-) = v y + (u - v) sum a+

    where y > 0; elsewhere q = 0. The sum is not negative, so epsilon > 0 keeps the denominator from zero.

    Parameters
    ----------
    u, v : float
        The weights of positive and of negative values.
    epsilon : float
        Above 0, added to the denominator.
    """

    u: float
    v: float
    epsilon: float

    form = "direct"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """y, and for each branch q times the weight of its sign."""
        memory, branches = program.memory, [a.cells for a in inputs]
        xp, shape, dtype = memory.xp, branches[0].shape, branches[0].dtype
        y = memory.image(shape, dtype, border)
        kept = tuple(memory.empty(shape, dtype) for _ in branches) if remember else ()
        for a in branches:
            program.watch(a, len(branches) * (abs(self.v) + 2 * abs(self.u - self.v)))
        for lane, block in program.share(for_passes(program, y.cells)):
            y_here, *parts = map(block.part, (y.cells, *branches))
            z, above, part = (lane.buffer(name, y_here.shape, dtype) for name in ("z", "above", "part"))
            lane(xp.add, parts[0], parts[1], out=z)
            for a in parts[2:]:
                lane(xp.add, z, a, out=z)
            record_output(lane, z, True, y_here)
            if not remember:
                continue
            lane(parts[0].clip, 0, xp.inf, out=above)
            for a in parts[1:]:
                lane(a.clip, 0, xp.inf, out=part)
                lane(xp.add, above, part, out=above)
            lane(xp.multiply, above, self.u - self.v, out=above)
            lane(xp.multiply, y_here, self.v, out=part)
            lane(xp.add, above, part, out=above)
            lane(xp.add, above, self.epsilon, out=above)
            lane(xp.divide, y_here, above, out=above)
            for a, q in zip(parts, map(block.part, kept), strict=True):
                lane(xp.greater, a, 0, out=part)
                lane(xp.multiply, part, self.u - self.v, out=part)
                lane(xp.add, part, self.v, out=part)
                lane(xp.multiply, part, above, out=q)
        return y, kept

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """A message for each branch."""
        return [product(program, message, [q]).whole for q in kept]


@dataclass(frozen=True, eq=False)
class GlobalAvgPoolStep:
    """GlobalAvgPool2D under a rule whose terms are on the input itself."""

    recipe: Recipe
    carried: bool

    form = "direct"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """y, and (q / (H W), the shape of the input)."""
        a, memory = inputs[0].cells, program.memory
        (N, H, W, C), xp = a.shape, memory.xp
        program.watch(a, H * W)
        y = memory.image((N, 1, 1, C), a.dtype, border)
        program.do(xp.mean, a, axis=(1, 2), keepdims=True, out=y.cells)
        if not remember:
            return y, None
        q = memory.empty((N, 1, 1, C), a.dtype)
        for lane, block in program.share(for_passes(program, q)):
            y_here, out = block.part(y.cells), block.part(q)
            z = lane.buffer("z", out.shape, out.dtype)
            lane(xp.copyto, z, y_here)
            explained = y_here if self.carried else xp.ones((1,) * z.ndim, dtype=z.dtype)
            record_quotient(lane, self.recipe, 0, [z], y_here, explained, out, True, False)
            lane(xp.divide, out, H * W, out=out)
        return y, (q, a.shape)

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The same message to every cell."""
        q, shape = kept
        c = product(program, message, [q]).whole
        return (array_namespace(c).broadcast_to(c, (message.shape[0], *shape[1:])),)
