"""Layers that pass on the message that arrives, in either form: MaxPool2D, Flatten, Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import array_namespace
from ...layers import MaxPool2D
from ..blocks import for_passes, for_passes_over_whole_images
from ..memory import NO_BORDER, Border, Buffer, Image
from ..program import Lane, Program
from .step import features, laid_out, output_shape

TIE = 8
"""Values are tied if they are smaller than the largest by at most this many units in its last place.

A product of matrices may round equal patches of a picture differently, by the place of a patch in the product. In
float32 this would break the ties of a digit's strokes and background (docs/performance.md, "Ties").
"""


@dataclass(frozen=True, eq=False)
class MaxPoolStep:
    """MaxPool2D, ties to the first: the message goes to the cell that won, as R or as the factor of y = a."""

    layer: MaxPool2D

    form = "direct"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None: zeros might win."""
        return NO_BORDER

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """y, and (which tap won each window, the shape of the input)."""
        a, memory = inputs[0].cells, program.memory
        xp, shape = memory.xp, output_shape(self.layer, a)
        y = memory.image(shape, a.dtype, border)
        winner = memory.empty(shape, xp.uint8) if remember else None
        cells = self._cells(self._padded(program, a), shape)
        for lane, block in program.share(for_passes(program, y.cells)):
            best, parts = block.part(y.cells), [block.part(cell) for cell in cells]
            lane(xp.copyto, best, parts[0])
            for value in parts[1:]:
                lane(xp.maximum, best, value, out=best)
            if winner is not None:
                self._choose(lane, parts, best, block.part(winner))
        return y, (winner, a.shape)

    def _choose(self, lane: Lane, values: Sequence[Buffer], best: Buffer, won: Buffer) -> None:
        """Record the first tap of each window whose value is tied with the largest; 0 if that is NaN."""
        xp = array_namespace(best)
        unit = TIE * float(xp.finfo(best.dtype).eps)
        least, other = (lane.buffer(name, best.shape, best.dtype) for name in ("least", "other"))
        tied = lane.buffer("tied", best.shape, xp.bool)
        lane(xp.multiply, best, 1 - unit, out=least)
        lane(xp.multiply, best, 1 + unit, out=other)
        lane(xp.minimum, least, other, out=least)
        lane(xp.greater_equal, values[-1], least, out=tied)
        lane(xp.multiply, tied.view(xp.uint8), xp.uint8(len(values) - 1), out=won)
        for tap in reversed(range(len(values) - 1)):
            lane(xp.greater_equal, values[tap], least, out=tied)
            lane(xp.copyto, won, xp.uint8(tap), where=tied)

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The message to the winner; a cell that won several windows gets the sum."""
        (winner, (_, H, W, C)), memory = kept, program.memory
        xp, (top, bottom, left, right) = memory.xp, self.layer.window.padding
        kernel, stride = self.layer.window.kernel, self.layer.window.stride
        disjoint = kernel[0] <= stride[0] and kernel[1] <= stride[1]  # no cell is in two windows
        padded = memory.empty((message.shape[0], top + H + bottom, left + W + right, C), message.dtype)
        if not (
            kernel == stride
            and padded.shape[1:3] == tuple(n * s for n, s in zip(message.shape[1:], stride, strict=False))
        ):
            program.do(padded.fill, 0)
        cells = self._cells(padded, message.shape)
        cut = for_passes if disjoint else for_passes_over_whole_images
        for lane, block in program.share(cut(program, message)):
            sent, won = block.part(message), block.part(winner)
            here, share = lane.buffer("here", sent.shape, xp.bool), lane.buffer("share", sent.shape, sent.dtype)
            for tap, target in enumerate(map(block.part, cells)):
                lane(xp.equal, won, tap, out=here)
                lane(xp.multiply, sent, here, out=target if disjoint else share)
                if not disjoint:
                    lane(xp.add, target, share, out=target)
        return (padded[:, top : top + H, left : left + W],)

    def _padded(self, program: Program, a: Buffer) -> Buffer:
        """The images with a border that never wins."""
        (top, bottom, left, right), (N, H, W, C) = self.layer.window.padding, a.shape
        if not top + bottom + left + right:
            return a
        xp = program.memory.xp
        padded = program.memory.empty((N, top + H + bottom, left + W + right, C), a.dtype)
        program.do(padded.fill, -xp.inf)
        program.do(xp.copyto, padded[:, top : top + H, left : left + W], a)
        return padded

    def _cells(self, images: Buffer, size: tuple[int, ...]) -> list[Buffer]:
        """For each tap, in reading order, the cells that meet it, one per window."""
        return [images[:, cells[2], cells[3]] for _, cells in self.layer.window.taps((size[1], size[2]))]


@dataclass(frozen=True, eq=False)
class FlattenStep:
    """Flatten: features in the order of (C, H, W), as everywhere in lrpref.

    Parameters
    ----------
    read : str
        The node or input that it reads.
    """

    read: str

    form = "direct"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def forward(self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool) -> tuple[Image, Any]:
        """The features, and the shape of the input."""
        a, xp = inputs[0].cells, program.memory.xp
        y = program.memory.image((a.shape[0], 1, 1, features(a.shape)), a.dtype, border)
        is_image = len(program.shapes[self.read]) in (3, 4)
        program.do(xp.copyto, _as_image(y.cells, a.shape) if is_image else y.cells, a)
        return y, a.shape if is_image else None

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The same numbers in the input's shape."""
        if kept is None:
            return (message,)
        c = program.memory.empty((message.shape[0], *kept[1:]), message.dtype)
        program.do(program.memory.xp.copyto, c, _as_image(message, kept))
        return (c,)


def _as_image(flat: Buffer, shape: tuple[int, ...]) -> Buffer:
    """The features, seen as an image with channels last."""
    _, H, W, C = shape
    return laid_out(array_namespace(flat).reshape(flat, (flat.shape[0], C, H, W)))


@dataclass(frozen=True, eq=False)
class DropoutStep:
    """Dropout, the identity at inference."""

    form = "direct"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def forward(
        self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool
    ) -> tuple[Image, None]:
        """The input."""
        return inputs[0], None

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The message, unchanged."""
        return (message,)
