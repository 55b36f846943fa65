"""The interface of a step, the two forms of the messages between steps, and helpers that several steps use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ...backend import Array, array_namespace
from ...layers import Dense, Layer
from ..blocks import for_passes
from ..memory import NO_BORDER, Border, Buffer, Image
from ..program import Lane, Program

CARRIED = "carried"
"""The message to a node is a factor c of its output y: its relevance is R = y c, and is not formed."""

EXPLICIT = "explicit"
"""The message to a node is its relevance R. Which form a node receives is decided when the network is prepared."""


class Step(Protocol):
    """One layer, or a layer and the ReLU after it, prepared. It records calls in a program; it never computes."""

    @property
    def form(self) -> str:
        """How it computes: see `Prepared.forms`."""

    def border(self, shape: tuple[int, ...]) -> Border:
        """The border of zeros that it reads around an input (N, H, W, C) of this shape."""

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """Record the forward pass.

        Returns
        -------
        Image, any
            The node's output, with this border around it, and what `backward` will need; without `remember` only the
            output is defined.
        """

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """Record the backward pass: a message for each input, given the message that arrived."""


# ---- arrays as images ------------------------------------------------------------------------------------------


def laid_out(x: Array) -> Buffer:
    """An array as a plan holds it: images and signals with channels last, everything else as images of one cell.

    (N, C, H, W) -> (N, H, W, C), (N, C, L) -> (N, 1, L, C), and others to (N, 1, 1, size); a view where possible.
    """
    xp = array_namespace(x)
    if x.ndim == 4:
        return xp.permute_dims(x, (0, 2, 3, 1))
    if x.ndim == 3:
        return xp.permute_dims(x, (0, 2, 1))[:, None]
    return xp.reshape(x, (x.shape[0], 1, 1, features(x.shape)))


def laid_out_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of `laid_out` for an array of this shape."""
    if len(shape) == 4:
        return (shape[0], shape[2], shape[3], shape[1])
    return (shape[0], 1, shape[2], shape[1]) if len(shape) == 3 else (shape[0], 1, 1, features(shape))


def features(shape: tuple[int, ...]) -> int:
    """The numbers of one sample."""
    size = 1
    for n in shape[1:]:
        size *= n
    return size


def given_back(y: Buffer, shape: tuple[int, ...]) -> Buffer:
    """The inverse of `laid_out` for samples of this shape (N, ...); a view where possible."""
    xp = array_namespace(y)
    if len(shape) == 4:
        return xp.permute_dims(y, (0, 3, 1, 2))
    if len(shape) == 3:
        return xp.permute_dims(y[:, 0], (0, 2, 1))
    return xp.reshape(y, (y.shape[0], *shape[1:]))


def output_shape(layer: Layer, a: Buffer) -> tuple[int, ...]:
    """The shape of the output of a fully connected layer or a layer of images, for an input with channels last."""
    N, H, W, C = a.shape
    if isinstance(layer, Dense):
        return (N, 1, 1, layer.output_shape((N, C))[1])
    N, C, H, W = layer.output_shape((N, C, H, W))
    return (N, H, W, C)


# ---- calls that several steps record ---------------------------------------------------------------------------


def record_output(lane: Lane, z: Buffer, rectified: bool, out: Buffer) -> None:
    """Record out = z, or max(z, 0). NumPy vectorises clipping, and not a maximum with a number."""
    xp = array_namespace(z)
    if rectified:
        lane(z.clip, 0, xp.inf, out=out)
    elif out is not z:
        lane(xp.copyto, out, z)


def product(program: Program, message: Buffer, factors: Sequence[Buffer], border: Border = NO_BORDER) -> Image:
    """The products of a message with one or several arrays, whose channels follow each other.

    A factor of one sample serves all samples.
    """
    (N, H, W, C), xp = message.shape, program.memory.xp
    s = program.memory.image((N, H, W, len(factors) * C), message.dtype, border)
    cells = s.cells
    for lane, block in program.share(for_passes(program, message)):
        for k, q in enumerate(factors):
            out = block.part(cells)[..., k * C : (k + 1) * C]
            lane(xp.multiply, block.part(message), block.part(q), out=out)
    return s


def summed(program: Program, first: Buffer, second: Buffer) -> Buffer:
    """The sum of two messages to one node."""
    total = program.memory.empty(first.shape, first.dtype)
    for lane, block in program.share(for_passes(program, total)):
        lane(program.memory.xp.add, block.part(first), block.part(second), out=block.part(total))
    return total
