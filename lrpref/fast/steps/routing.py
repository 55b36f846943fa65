"""Layers that pass on the message that arrives, in either form: MaxPool2D, Flatten, Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ...backend import Array, array_namespace
from ...layers import Flatten, MaxPool2D
from ..kernels import Block, blocks
from ..workers import Scratch, Workers
from .step import channels_first, channels_last, output_shape, pieces


@dataclass(frozen=True, eq=False)
class MaxPoolStep:
    """MaxPool2D, ties to the first: the message goes to the cell that won, as R or as the factor of y = a."""

    layer: MaxPool2D

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (which tap won each window, the shape of the input)."""
        (a,) = inputs
        xp, shape = array_namespace(a), output_shape(self.layer, a)
        y, winner = workers.empty(shape, a.dtype), xp.zeros(shape, dtype=xp.uint8) if remember else None
        cells = self._cells(self._padded(a), shape)

        def work(piece: Block, scratch: Scratch) -> None:
            best = piece.part(y)
            best[...] = piece.part(cells[0])
            higher = scratch.array("higher", best.shape, xp.dtype(xp.bool))
            number = higher.view(xp.uint8)
            for tap, value in enumerate(map(piece.part, cells[1:]), start=1):
                if winner is not None:
                    won = piece.part(winner)
                    xp.greater(value, best, out=higher)
                    number *= xp.uint8(tap)
                    xp.maximum(won, number, out=won)  # taps are numbered upwards, so the last higher one remains
                xp.maximum(best, value, out=best)

        workers.run(pieces(y, workers), work)
        return y, (winner, a.shape)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The message to the winner; a cell that won several windows gets the sum."""
        winner, (_, H, W, C) = kept
        xp, (top, bottom, left, right) = array_namespace(message), self.layer.window.padding
        kernel, stride = self.layer.window.kernel, self.layer.window.stride
        disjoint = kernel[0] <= stride[0] and kernel[1] <= stride[1]  # no cell is in two windows
        shape = (message.shape[0], top + H + bottom, left + W + right, C)
        covered = kernel == stride and shape[1:3] == (message.shape[1] * stride[0], message.shape[2] * stride[1])
        padded = (xp.empty if covered else xp.zeros)(shape, dtype=message.dtype)
        cells = self._cells(padded, message.shape)

        def work(piece: Block, scratch: Scratch) -> None:
            sent = piece.part(message)
            won = piece.part(winner) if winner.shape[0] > 1 else winner[:, piece.rows]
            here = scratch.array("here", sent.shape, xp.dtype(xp.bool))
            for tap, target in enumerate(map(piece.part, cells)):
                xp.equal(won, tap, out=here)
                if disjoint:
                    xp.multiply(sent, here, out=target)
                else:
                    target += sent * here

        whole_images = blocks(message.shape[0], message.shape[1], message.shape[1])
        workers.run(pieces(message, workers) if disjoint else whole_images, work)
        return (padded[:, top : top + H, left : left + W],)

    def _padded(self, a: Array) -> Array:
        """The images with a border that never wins."""
        (top, bottom, left, right), (N, H, W, C) = self.layer.window.padding, a.shape
        if not top + bottom + left + right:
            return a
        xp = array_namespace(a)
        padded = xp.full((N, top + H + bottom, left + W + right, C), -xp.inf, dtype=a.dtype)
        padded[:, top : top + H, left : left + W] = a
        return padded

    def _cells(self, images: Array, size: tuple[int, ...]) -> list[Array]:
        """For each tap, in reading order, the cells that meet it, one per window."""
        return [images[:, cells[2], cells[3]] for _, cells in self.layer.window.taps((size[1], size[2]))]


@dataclass(frozen=True, eq=False)
class FlattenStep:
    """Flatten: features in the order of (C, H, W), as everywhere in lrpref."""

    layer: Flatten

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """The features, and the shape of the input."""
        (a,) = inputs
        return array_namespace(a).reshape(channels_first(a), (a.shape[0], prod(a.shape[1:]))), a.shape

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The same numbers in the input's shape."""
        xp, N = array_namespace(message), message.shape[0]
        if len(kept) != 4:
            return (xp.reshape(message, (N, *kept[1:])),)
        _, H, W, C = kept
        return (channels_last(xp.reshape(message, (N, C, H, W))),)


@dataclass(frozen=True, eq=False)
class DropoutStep:
    """Dropout, the identity at inference."""

    form = "direct"
    needs_inputs = False

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, None]:
        """The input."""
        return inputs[0], None

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The message, unchanged."""
        return (message,)
