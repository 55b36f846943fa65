"""Convolutions as matrix products, forward and adjoint, on images (N, H, W, C).

They compute what `lrpref.layers.Conv2D` computes tap by tap. The work is cut into blocks of rows: a block's cells are
gathered, multiplied and finished (bias, activation, quotients) before the next block is touched. A fully connected
layer is a 1x1 convolution of images with one cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Protocol

from ..backend import Array, DType, array_namespace
from ..layers.window import Window
from .blocks import FULL_PRODUCT, Block, for_product
from .memory import NO_BORDER, Border, Buffer, Image
from .program import Lane, Program

# ---- what a kernel is, and where its products go ---------------------------------------------------------------


class Epilogue(Protocol):
    """What turns a block of products into results, one position at a time."""

    def place(self, lane: Lane, outs: tuple[Buffer, ...]) -> list[Buffer]:
        """The arrays that receive the products of a block, one for each weight; each must be `as_matrix`."""

    def finish(self, lane: Lane, parts: Sequence[Buffer], outs: tuple[Buffer, ...], block: Block) -> None:
        """Record the calls from the products, which may be overwritten, to the block's part of the results."""


class Store:
    """The products themselves are the results."""

    def place(self, lane: Lane, outs: tuple[Buffer, ...]) -> list[Buffer]:
        """The results."""
        return list(outs)

    def finish(self, lane: Lane, parts: Sequence[Buffer], outs: tuple[Buffer, ...], block: Block) -> None:
        """Store products that were not computed in place."""
        for part, out in zip(parts, outs, strict=True):
            if part is not out:
                lane(array_namespace(out).copyto, out, part)


class Kernel(Protocol):
    """The prepared weights of one or several convolutions of the same input, or of an adjoint."""

    @property
    def form(self) -> str:
        """ "direct" or "winograd"."""

    def border(self, shape: tuple[int, ...]) -> Border:
        """The border of zeros that an input of this shape must have."""

    def record(self, program: Program, a: Image, epilogue: Epilogue, outs: tuple[Buffer, ...]) -> None:
        """Record the products with the input `a`, and what makes `outs`, each (N, H', W', anything), from them."""


def as_matrix(array: Buffer) -> Buffer | None:
    """An image as a matrix of one row per cell, (N H W, C), without a copy; None where its memory does not allow it."""
    runs = [(n, stride) for n, stride in zip(array.shape[:-1], array.strides[:-1], strict=True) if n != 1]
    joined = all(outer == n * inner for (_, outer), (n, inner) in pairwise(runs))
    dense = array.shape[-1] <= 1 or array.strides[-1] == array.itemsize
    return array.reshape((-1, array.shape[-1])) if joined and dense and array.size else None


# ---- direct ----------------------------------------------------------------------------------------------------


def taps_first(w: Array) -> Buffer:
    """(O, C, rows, columns) -> (O, rows * columns * C), the taps in reading order, with channels last."""
    xp = array_namespace(w)
    return xp.ascontiguousarray(xp.permute_dims(w, (0, 2, 3, 1))).reshape((w.shape[0], -1))


def turned(weights: Sequence[Array]) -> Buffer:
    """The kernels of the adjoint of convolutions: (rows * columns * K O, C), the taps in reverse order."""
    xp = array_namespace(weights[0])
    taps = [xp.flip(xp.permute_dims(w, (2, 3, 0, 1)), axis=(0, 1)) for w in weights]
    if len(taps) == 1 and taps[0].shape[:2] == (1, 1):
        return taps[0][0, 0]
    return xp.concatenate(taps, axis=2).reshape((-1, weights[0].shape[1]))


@dataclass(frozen=True, eq=False)
class Direct:
    """Gather the cells under the kernel, one row for each output position, and multiply by every weight.

    Parameters
    ----------
    matrices : tuple of arrays, shape (kernel rows * kernel columns * C, O)
        The weights, the taps in reading order, channels last.
    window : Window
        The geometry.
    """

    matrices: tuple[Buffer, ...]
    window: Window
    form: str = field(default="direct", init=False)

    @classmethod
    def of(cls, weights: Sequence[Array], window: Window) -> Direct:
        """Prepare weights (O, C, kernel rows, kernel columns)."""
        return cls(tuple(taps_first(w).T for w in weights), window)

    def border(self, shape: tuple[int, ...]) -> Border:
        """The padding."""
        return as_border(self.window)

    def record(self, program: Program, a: Image, epilogue: Epilogue, outs: tuple[Buffer, ...]) -> None:
        """Block by block: gather, multiply, finish."""
        xp, (N, rows, columns) = program.memory.xp, outs[0].shape[:3]
        cells, (depth, O) = self._under(a.within(self.border(a.whole.shape)), rows, columns), self.matrices[0].shape
        row_bytes = columns * (depth + len(self.matrices) * O) * cells.itemsize
        for lane, block in program.share(for_product(program, (N, rows, columns, O), row_bytes)):
            gathered = cells[block.images, block.rows]
            read = as_matrix(gathered[:, :, :, 0, 0]) if self.window.kernel == (1, 1) else None
            if read is None:
                patches = lane.buffer("patches", gathered.shape, cells.dtype)
                lane(xp.copyto, patches, gathered)
                read = patches.reshape((-1, depth))
            here = tuple(block.part(out) for out in outs)
            parts = epilogue.place(lane, here)
            for matrix, part in zip(self.matrices, parts, strict=True):
                lane(xp.matmul, read, matrix[:, block.channels], out=as_matrix(part))
            epilogue.finish(lane, parts, here, block)

    def _under(self, padded: Buffer, rows: int, columns: int) -> Buffer:
        """(N, rows, columns, kernel rows, kernel columns, C): a view of the cells under the kernel at each position."""
        (image, row, column, channel), (down, right) = padded.strides, self.window.stride
        below, beside = self.window.dilation
        shape = (padded.shape[0], rows, columns, *self.window.kernel, padded.shape[3])
        strides = (image, down * row, right * column, below * row, beside * column, channel)
        return array_namespace(padded).lib.stride_tricks.as_strided(padded, shape, strides)


def as_border(window: Window) -> Border:
    """The padding of a window."""
    top, bottom, left, right = window.padding
    return (top, bottom, left, right)


# ---- the adjoint by its definition -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scatter:
    """Multiply, then add each tap's products to the cells that the tap reads.

    For the adjoint of a convolution of stride above one, or with few input channels.

    Parameters
    ----------
    matrix : array, shape (O, kernel rows * kernel columns * C)
        The weight.
    window : Window
        The geometry of the forward convolution.
    """

    matrix: Buffer
    window: Window
    form: str = field(default="direct", init=False)

    @classmethod
    def of(cls, weight: Array, window: Window) -> Scatter:
        """Prepare the adjoint of a weight (O, C, kernel rows, kernel columns)."""
        return cls(taps_first(weight), window)

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def record(self, program: Program, a: Image, epilogue: Epilogue, outs: tuple[Buffer, ...]) -> None:
        """Block by block: multiply, add to the cells of each tap, crop the padding, finish."""
        s, window = a.cells, self.window
        N, rows, columns, O = s.shape
        (H, W), (top, _, left, right) = outs[0].shape[1:3], window.padding
        taps = window.kernel[0] * window.kernel[1]
        C = self.matrix.shape[1] // taps
        row_bytes = W * (C + (O + taps * C) // (window.stride[0] * window.stride[1])) * s.itemsize
        full = max(FULL_PRODUCT, REACHES * window.extent[0] * W)
        for lane, block in program.share(for_product(program, (N, H, W, 1), row_bytes, full)):
            padded = slice(block.rows.start + top, block.rows.stop + top)
            sent = _rows_that_reach(padded, window, rows)
            high = sent.stop - sent.start
            messages = self._messages(lane, s[block.images, sent])
            first = min(padded.start, sent.start * window.stride[0])
            last = max(padded.stop, (sent.stop - 1) * window.stride[0] + window.extent[0])
            c = _cells_buffer(lane, "cells", (block.size[0], last - first, left + W + right), C, s.dtype)
            lane(c.fill, 0)
            below = c[:, sent.start * window.stride[0] - first :]
            for tap, (_, cells) in enumerate(window.taps((high, columns))):
                target = below[:, cells[2], cells[3]]
                lane(program.memory.xp.add, target, messages[:, :, :, tap], out=target)
            found = c[:, padded.start - first : padded.stop - first, left : left + W]
            epilogue.finish(lane, [found], tuple(block.part(out) for out in outs), block)

    def _messages(self, lane: Lane, s: Buffer) -> Buffer:
        """The products of every unit and tap: (images, rows, columns, taps, C)."""
        xp, positions = array_namespace(s), s.shape[:3]
        taps = self.window.kernel[0] * self.window.kernel[1]
        C, flat = self.matrix.shape[1] // taps, as_matrix(s)
        if flat is None:  # some rows of several images
            dense = lane.buffer("dense", s.shape, s.dtype)
            lane(xp.copyto, dense, s)
            flat = dense.reshape((-1, s.shape[-1]))
        if C >= FEW_CHANNELS:
            sent = lane.buffer("patches", (*positions, taps, C), s.dtype)
            lane(xp.matmul, flat, self.matrix, out=sent.reshape((-1, taps * C)))
            return sent
        planes = lane.buffer("patches", (taps, C, *positions), s.dtype)
        lane(xp.matmul, self.matrix.T, flat.T, out=planes.reshape((taps * C, -1)))
        return xp.permute_dims(planes, (2, 3, 4, 0, 1))


REACHES = 8
"""The least rows of a block of messages, in kernel heights: rows at the border of two blocks are computed twice."""

FEW_CHANNELS = 16
"""Channels below which the columns of an image are longer runs of memory than the channels of a cell."""


def _cells_buffer(lane: Lane, name: str, cells: tuple[int, ...], C: int, dtype: DType) -> Buffer:
    """A buffer (*cells, C) whose channels are adjacent in memory or, where they are few, whose columns are."""
    if C >= FEW_CHANNELS:
        return lane.buffer(name, (*cells, C), dtype)
    planes = lane.buffer(name, (C, *cells), dtype)
    return array_namespace(planes).moveaxis(planes, 0, -1)


def _rows_that_reach(padded: slice, window: Window, rows: int) -> slice:
    """The output rows, out of `rows`, whose kernel reads some of the given rows of the padded input; at least one."""
    first = min(max(0, ceil((padded.start - window.extent[0] + 1) / window.stride[0])), rows - 1)
    return slice(first, max(first + 1, min(rows, (padded.stop - 1) // window.stride[0] + 1)))
