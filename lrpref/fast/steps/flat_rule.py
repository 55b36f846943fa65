"""Dense and Conv2D under the flat rule, whose weights are all 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arithmetic import quiet
from ...backend import Array, array_namespace
from ...engine import Rule
from ...layers import Conv2D, LinearLayer
from ...layers.conv import gather
from ..algebra import plain_quotient
from ..blocks import Block, for_passes
from ..kernels import Kernel, Store, as_matrix
from ..memory import Border, Buffer, Image
from ..program import Lane, Program
from .step import laid_out, output_shape, record_output


@dataclass(frozen=True, eq=False)
class FlatRuleStep:
    """Dense or Conv2D under the flat rule, whose weights are all 1.

        s_j = c_j q_j,  R_i = sum of s over all units j that read cell i

    All output channels read the same inputs, so their s are added before they are sent back, through a kernel of ones
    with one channel.

    Parameters
    ----------
    layer : LinearLayer
        The layer, for its shapes.
    rule : Rule
        Its rule.
    own : Kernel
        The layer's own product.
    back : Kernel
        The adjoint of the kernel of ones.
    bias : array, shape (O,), or None
        The layer's bias.
    rectified : bool
        Whether the ReLU that follows is computed here.
    carried : bool
        Whether relevance arrives as a factor of the output.
    gain : float
        No sum of weights times inputs exceeds this times the largest input.
    """

    layer: LinearLayer
    rule: Rule
    own: Kernel
    back: Kernel
    bias: Array | None
    rectified: bool
    carried: bool
    gain: float

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.own.form

    def border(self, shape: tuple[int, ...]) -> Border:
        """That of the product."""
        return self.own.border(shape)

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """y, and (y or None, one over the stabilized number of inputs, the input's shape)."""
        ((a,), memory), shape = (inputs, program.memory), output_shape(self.layer, inputs[0].cells)
        y = memory.image(shape, a.cells.dtype, border)
        program.watch(a.cells, self.gain)
        self.own.record(program, a, _BiasAndReLU(self.bias, self.rectified), (y.cells,))
        return y, (
            y.cells if self.carried else None,
            self._share(program, a, shape) if remember else None,
            a.cells.shape,
        )

    def _share(self, program: Program, a: Image, shape: tuple[int, ...]) -> Buffer:
        """One over the stabilized number of inputs of every unit: (1, H', W', 1). No input changes it."""
        (_, H, W, C), dtype = a.cells.shape, str(a.cells.dtype)
        n: Array = np.full((1, 1, 1, 1), C, dtype=dtype)
        if isinstance(self.layer, Conv2D):  # at the border of the image, fewer cells lie under the kernel
            ones = np.ones((1, 1, *self.layer.window.kernel), dtype=dtype)
            n = gather(ones, np.full((1, 1, H, W), C, dtype=dtype), self.layer.window, 1, shape[1:3])
        with quiet():
            share = laid_out(plain_quotient(self.rule, 0, [n], n, np.ones_like(n)))
        return program.memory.xp.asarray(share)

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The sum of s over channels, through the kernel of ones; the same for every channel of the input."""
        (y, q, shape), xp = kept, program.memory.xp
        s = program.memory.image((*message.shape[:-1], 1), message.dtype, self.back.border(message.shape))
        R = program.memory.empty((message.shape[0], *shape[1:3], 1), message.dtype)
        for lane, block in program.share(for_passes(program, message)):
            out = block.part(s.cells)
            if y is None:
                lane(xp.sum, block.part(message), axis=-1, keepdims=True, out=out)
            elif program.memory.available is None:
                lane(_write_dot, block.part(message), block.part(y), out[..., 0])
            else:  # on a GPU, einsum would make a product of every cell
                products = lane.buffer("products", block.part(message).shape, message.dtype)
                lane(xp.multiply, block.part(message), block.part(y), out=products)
                lane(xp.sum, products, axis=-1, keepdims=True, out=out)
            lane(xp.multiply, out, block.part(q), out=out)
        self.back.record(program, s, Store(), (R,))
        return (xp.broadcast_to(R, (message.shape[0], *shape[1:])),)


def _write_dot(c: Buffer, y: Buffer, out: Buffer) -> None:
    """Write sum_j c_j y_j of every cell."""
    out[...] = array_namespace(c).einsum("...o,...o->...", c, y)


@dataclass(frozen=True)
class _BiasAndReLU:
    """From a product to y."""

    bias: Array | None
    rectified: bool

    def place(self, lane: Lane, outs: tuple[Buffer, ...]) -> list[Buffer]:
        """y, or a buffer."""
        (y,) = outs
        return [y if as_matrix(y) is not None else lane.buffer("z", y.shape, y.dtype)]

    def finish(self, lane: Lane, parts: Sequence[Buffer], outs: tuple[Buffer, ...], block: Block) -> None:
        """Add the bias, then rectify."""
        (z,), (y,) = parts, outs
        if self.bias is not None:
            lane(array_namespace(z).add, z, self.bias[block.channels], out=z)
        record_output(lane, z, self.rectified, y)
