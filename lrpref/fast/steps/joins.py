"""Add and GlobalAvgPool2D, whose weights are all equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ..algebra import Recipe, write_quotient
from ..kernels import Block
from ..workers import Scratch, Workers
from .step import pieces, write_output


@dataclass(frozen=True, eq=False)
class AddStep:
    """Add under a rule whose terms are on the inputs themselves: every branch receives c = (what arrived) q."""

    recipe: Recipe
    rectified: bool
    carried: bool

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (q, the number of branches)."""
        xp, shape = array_namespace(inputs[0]), inputs[0].shape
        y = workers.empty(shape, inputs[0].dtype)
        q = workers.empty(shape, y.dtype) if remember else None
        for a in inputs:
            workers.watch(a, len(inputs))

        def work(piece: Block, scratch: Scratch) -> None:
            y_here, first, second, *more = map(piece.part, (y, *inputs))
            z = scratch.array("z", y_here.shape, y.dtype)
            xp.add(first, second, out=z)
            for a in more:
                z += a
            write_output(z, self.rectified, y_here)
            if q is not None:
                explained = y_here if self.carried else xp.ones((1,) * z.ndim, dtype=z.dtype)
                write_quotient(self.recipe, 0, [z], z, explained, piece.part(q))

        workers.run(pieces(y, workers), work)
        return y, (q, len(inputs))

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The same message to every branch."""
        q, branches = kept
        xp = array_namespace(message)
        c = workers.empty(message.shape, message.dtype)

        def work(piece: Block, scratch: Scratch) -> None:
            q_here = piece.part(q) if q.shape[0] > 1 else q[:, piece.rows]
            xp.multiply(piece.part(message), q_here, out=piece.part(c))

        workers.run(pieces(c, workers), work)
        return [c] * branches


@dataclass(frozen=True, eq=False)
class GlobalAvgPoolStep:
    """GlobalAvgPool2D under a rule whose terms are on the input itself."""

    recipe: Recipe
    carried: bool

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (q / (H W), the shape of the input)."""
        (a,) = inputs
        xp = array_namespace(a)
        workers.watch(a, a.shape[1] * a.shape[2])
        y = xp.mean(a, axis=(1, 2), keepdims=True)
        if not remember:
            return y, None
        q = xp.empty(y.shape, dtype=y.dtype)
        write_quotient(self.recipe, 0, [y.copy()], y, y if self.carried else xp.ones_like(y), q)
        return y, (q / (a.shape[1] * a.shape[2]), a.shape)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The same message to every cell."""
        q, shape = kept
        return (array_namespace(message).broadcast_to(message * q, (message.shape[0], *shape[1:])),)
