"""Products in blocks: what a product reads, how its work is cut, and the "direct" form of a convolution.

    direct      gather the cells under the kernel into rows, then one matrix product. Any kernel, stride and dilation.

The kernels compute what `lrpref.layers.Conv2D` computes tap by tap; `winograd.py` has the forms for 3x3 kernels. All
work on images (N, H, W, C), channels last, so that a cell's channels are adjacent in memory. The work is cut into
blocks of rows that stay in the cache: a block is gathered, multiplied and finished (bias, activation, quotients)
before the next is touched, in buffers that are reused. A kernel never sees a whole image at once, so its memory is
bounded for images of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import NamedTuple, Protocol

from ..backend import Array, DType, array_namespace
from ..layers.window import Window
from .workers import Buffer, Scratch, Workers

FULL_PRODUCT = 192
"""Rows below which a matrix product does not run at full speed; a block has at least as many, cached or not."""


class Source:
    """The input of a product: an array with channels last, or its products with factors, computed as they are read.

    With factors q_1, q_2, ... the channels of c q_1, c q_2, ... are concatenated. A factor of one sample serves all
    samples.
    """

    def __init__(self, c: Array, factors: tuple[Array, ...] = ()) -> None:
        self.c, self.factors = c, factors
        self.shape = (*c.shape[:-1], c.shape[-1] * max(1, len(factors)))

    def rows(self, images: slice, rows: slice, out: Array) -> None:
        """Write the given rows of the given images to `out`."""
        if not self.factors:
            out[...] = self.c[images, rows]
            return
        xp, channels = array_namespace(self.c), self.c.shape[-1]
        for k, q in enumerate(self.factors):
            factor = q[images, rows] if q.shape[0] > 1 else q[:, rows]
            xp.multiply(self.c[images, rows], factor, out=out[..., k * channels : (k + 1) * channels])

    def whole(self) -> Array:
        """All of it at once."""
        xp = array_namespace(self.c)
        return xp.concatenate([self.c * q for q in self.factors], axis=-1) if self.factors else self.c


ALL = slice(None)

Finish = Callable[[Sequence[Array], tuple[Array, ...], slice], None]
"""What turns a block of products into results: finish(parts, outs, channels).

It writes to `outs`, which cover the block and the given range of channels. `parts` holds a product for each weight and
may be overwritten. It must treat each position independently.
"""


def keep(parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
    """Store each product in its own array, unchanged."""
    for out, part in zip(outs, parts, strict=True):
        out[...] = part


class Kernel(Protocol):
    """A prepared convolution."""

    @property
    def form(self) -> str:
        """ "direct", "winograd2" or "winograd4"."""

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Convolve, finish each block, and write to `outs` (each (N, H', W', anything))."""


class ForwardKernel(Kernel, Protocol):
    """A kernel of several stacked weights."""

    def only(self, k: int) -> ForwardKernel:
        """The kernel of the kth weight alone."""


class Block(NamedTuple):
    """A piece of work: some whole images, or some rows of one image."""

    images: slice
    rows: slice

    def part(self, array: Array) -> Array:
        """The block of an array (N, H, ...)."""
        return array[self.images, self.rows]

    @property
    def size(self) -> tuple[int, int]:
        """How many images and rows."""
        return self.images.stop - self.images.start, self.rows.stop - self.rows.start


def blocks(images: int, rows: int, most: int) -> Iterator[Block]:
    """Cut `images` of `rows` rows each into blocks of about `most` rows; a block holds whole images or rows of one."""
    if most >= rows:
        together = max(1, most // rows)
        for n in range(0, images, together):
            yield Block(slice(n, min(n + together, images)), slice(0, rows))
        return
    pieces = ceil(rows / most)
    for n in range(images):
        for k in range(pieces):
            yield Block(slice(n, n + 1), slice(k * rows // pieces, (k + 1) * rows // pieces))


class Job(NamedTuple):
    """What a worker computes at a time: some channels of a block of the output."""

    block: Block
    channels: slice


def jobs(size: tuple[int, ...], row_bytes: int, full: int, workers: Workers) -> list[Job]:
    """Cut an output of (images, rows, cells in a row, channels) into jobs.

    Blocks of rows are as large as the cache holds, have at least `full` cells, and give every worker something to do.
    If that would leave each worker few cells, the channels are cut instead: a product reads all its weights even for
    few cells.
    """
    images, rows, cells, channels = size
    each = ceil(images * rows / workers.count)
    if workers.count > 1 and each * cells < full and channels >= LEAST_CHANNELS * workers.count:
        ranges = _ranges(channels, ceil(channels / workers.count))
        return [Job(block, some) for block in blocks(images, rows, images * rows) for some in ranges]
    most = max(1, min(max(workers.block_bytes // row_bytes, ceil(full / cells)), each))
    return [Job(block, ALL) for block in blocks(images, rows, evenly(images, rows, most, workers))]


LEAST_CHANNELS = 64
"""Channels below which a job is not cut: narrower matrix products are slow."""


def _ranges(width: int, piece: int) -> list[slice]:
    """Cut `width` channels into ranges of `piece`."""
    return [slice(first, min(first + piece, width)) for first in range(0, width, piece)]


def evenly(images: int, rows: int, most: int, workers: Workers) -> int:
    """`most`, lowered so that a few large blocks divide evenly: with three, one of two workers would have to wait."""
    if most >= rows or images >= 4 * workers.count:
        return most
    pieces = ceil(rows / most)
    pieces += -pieces * images % workers.count
    return ceil(rows / pieces)


def _reach(window: Window) -> int:
    """The rows that a kernel spans."""
    return window.dilation[0] * (window.kernel[0] - 1) + 1


def parts(job: Job, outs: tuple[Array, ...]) -> tuple[Array, ...]:
    """The parts of the outputs that a job writes."""
    return tuple(job.block.part(out)[..., job.channels] for out in outs)


def gathered(source: Source, block: Block, window: Window, scratch: Scratch) -> Buffer:
    """The rows of the source that a block of output rows reads, with the padding around them, in a buffer."""
    _, H, W, C = source.shape
    top, _, left, right = window.padding
    first = block.rows.start * window.stride[0] - top
    last = (block.rows.stop - 1) * window.stride[0] - top + _reach(window)
    held = scratch.array("strip", (block.size[0], last - first, left + W + right, C), source.c.dtype)
    real = slice(min(max(first, 0), H), max(min(last, H), 0))
    above, below = real.start - first, real.stop - first
    if below <= above:  # padding only
        held[...] = 0
        return held
    held[:, :above] = 0
    held[:, below:] = 0
    held[:, above:below, :left] = 0
    held[:, above:below, left + W :] = 0
    source.rows(block.images, real, held[:, above:below, left : left + W])
    return held


# ---- direct ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Direct:
    """Gather the cells under the kernel, one row for each output position, and multiply by every weight.

    Parameters
    ----------
    matrices : array, shape (K, kernel rows * kernel columns * C, O)
        K weights, the taps in reading order, channels last.
    window : Window
        The geometry.
    """

    matrices: Array
    window: Window
    form: str = field(default="direct", init=False)

    @classmethod
    def of(cls, weights: Sequence[Array], window: Window) -> Direct:
        """Prepare weights (O, C, kernel rows, kernel columns)."""
        xp = array_namespace(weights[0])
        taps = xp.stack([xp.reshape(xp.permute_dims(w, (2, 3, 1, 0)), (-1, w.shape[0])) for w in weights])
        return cls(taps, window)

    def only(self, k: int) -> Direct:
        """The kernel of the kth weight alone."""
        return replace(self, matrices=self.matrices[k : k + 1])

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Block by block: gather, multiply, finish."""
        xp, dtype = array_namespace(self.matrices), source.c.dtype
        rows, columns = outs[0].shape[1:3]
        K, depth, O = self.matrices.shape

        def work(job: Job, scratch: Scratch) -> None:
            images, height = job.block.size
            a = self._patches(source, job.block, (height, columns), scratch).reshape((-1, depth))
            matrices = self.matrices[..., job.channels]
            z = scratch.array("z", (K, a.shape[0], matrices.shape[2]), dtype)
            for k in range(K):
                xp.matmul(a, matrices[k], out=z[k])
            finish(list(z.reshape((K, images, height, columns, -1))), parts(job, outs), job.channels)

        row_bytes = columns * (depth + K * O) * dtype.itemsize
        workers.run(jobs((source.shape[0], rows, columns, O), row_bytes, FULL_PRODUCT, workers), work)

    def _patches(self, source: Source, block: Block, size: tuple[int, int], scratch: Scratch) -> Buffer:
        """(images, rows, columns, kernel rows, kernel columns, C): the cells under the kernel at each position."""
        window = self.window
        if window.kernel == window.stride == (1, 1):
            as_it_is = not (any(window.padding) or source.factors)
            return block.part(source.c) if as_it_is else gathered(source, block, window, scratch)
        strip = gathered(source, block, window, scratch)
        return _under(strip, (strip.shape[0], *size), window, scratch)


def _under(strip: Buffer, positions: tuple[int, int, int], window: Window, scratch: Scratch) -> Buffer:
    """(images, rows, columns, kernel rows, kernel columns, C): the cells of a strip under the kernel at each position.

    As a view they overlap; a matrix product needs them contiguous, so they are copied once.
    """
    shape = (*positions, *window.kernel, strip.shape[3])
    image, row, column, channel = strip.strides
    down, right = window.stride[0] * row, window.stride[1] * column
    strides = (image, down, right, window.dilation[0] * row, window.dilation[1] * column, channel)
    patches = scratch.array("patches", shape, strip.dtype)
    patches[...] = array_namespace(strip).lib.stride_tricks.as_strided(strip, shape, strides)
    return patches


@dataclass(frozen=True, eq=False)
class Scatter:
    """The adjoint by its definition: multiply, then add each tap's products to the cells that the tap reads.

    For a convolution of stride above one, or with few input channels.

    Parameters
    ----------
    matrix : array, shape (O, kernel rows * kernel columns * C)
        The weight.
    window : Window
        The geometry of the forward convolution.
    """

    matrix: Array
    window: Window
    form: str = field(default="direct", init=False)

    @classmethod
    def of(cls, weight: Array, window: Window) -> Scatter:
        """Prepare the adjoint of a weight (O, C, kernel rows, kernel columns)."""
        xp = array_namespace(weight)
        taps = xp.permute_dims(weight, (0, 2, 3, 1))
        return cls(xp.ascontiguousarray(xp.reshape(taps, (weight.shape[0], -1))), window)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Block by block: multiply, add to the cells of each tap, crop the padding, finish."""
        dtype, window = source.c.dtype, self.window
        _, rows, columns, O = source.shape
        H, W = outs[0].shape[1:3]
        top, _, left, right = window.padding
        taps = window.kernel[0] * window.kernel[1]
        C = self.matrix.shape[1] // taps

        def work(job: Job, scratch: Scratch) -> None:
            block = job.block
            images, padded = block.size[0], slice(block.rows.start + top, block.rows.stop + top)
            sent = _rows_that_reach(padded, window, rows)
            high = sent.stop - sent.start
            s = scratch.array("strip", (images, high, columns, O), dtype)
            source.rows(block.images, sent, s)
            messages = self._messages(s, taps, scratch)
            first = min(padded.start, sent.start * window.stride[0])
            last = max(padded.stop, (sent.stop - 1) * window.stride[0] + _reach(window))
            c = _channel_buffer(scratch, "z", (images, last - first, left + W + right), C, dtype)
            c[...] = 0
            below = c[:, sent.start * window.stride[0] - first :]
            for tap, (_, cells) in enumerate(window.taps((high, columns))):
                below[:, cells[2], cells[3]] += messages[:, :, :, tap]
            finish([c[:, padded.start - first : padded.stop - first, left : left + W]], parts(job, outs), ALL)

        row_bytes = W * (C + (O + taps * C) // (window.stride[0] * window.stride[1])) * dtype.itemsize
        full = max(FULL_PRODUCT, REACHES * _reach(window) * W)
        workers.run(jobs((source.shape[0], H, W, 1), row_bytes, full, workers), work)

    def _messages(self, s: Buffer, taps: int, scratch: Scratch) -> Array:
        """The products of every unit and tap: (images, rows, columns, taps, C)."""
        xp, positions = array_namespace(s), s.shape[:3]
        C, flat = self.matrix.shape[1] // taps, s.reshape((-1, s.shape[3]))
        if C >= FEW_CHANNELS:
            sent = scratch.array("patches", (*positions, taps, C), s.dtype)
            xp.matmul(flat, self.matrix, out=sent.reshape((-1, taps * C)))
            return sent
        planes = scratch.array("patches", (taps, C, *positions), s.dtype)
        xp.matmul(self.matrix.T, flat.T, out=planes.reshape((taps * C, -1)))
        return xp.permute_dims(planes, (2, 3, 4, 0, 1))


REACHES = 8
"""The least rows of a block of messages, in kernel heights: rows at the border of two blocks are computed twice."""

FEW_CHANNELS = 16
"""Channels below which the columns of an image are longer runs of memory than the channels of a cell."""


def _channel_buffer(scratch: Scratch, name: str, cells: tuple[int, ...], C: int, dtype: DType) -> Array:
    """A buffer (*cells, C) whose channels are adjacent in memory or, where they are few, whose columns are."""
    if C >= FEW_CHANNELS:
        return scratch.array(name, (*cells, C), dtype)
    planes = scratch.array(name, (C, *cells), dtype)
    return array_namespace(planes).moveaxis(planes, 0, -1)


def _rows_that_reach(padded: slice, window: Window, rows: int) -> slice:
    """The output rows, out of `rows`, whose kernel reads some of the given rows of the padded input; at least one."""
    first = min(max(0, ceil((padded.start - _reach(window) + 1) / window.stride[0])), rows - 1)
    return slice(first, max(first + 1, min(rows, (padded.stop - 1) // window.stride[0] + 1)))


# ---- fully connected -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stacked:
    """Stacked fully connected products, z_k = a W_k^T, whose columns are divided between the workers.

    Parameters
    ----------
    weights : tuple of arrays, shape (O, F)
        The weights W_k.
    """

    weights: tuple[Array, ...]
    form: str = field(default="direct", init=False)

    def only(self, k: int) -> Stacked:
        """The kernel of the kth weight alone."""
        return Stacked(self.weights[k : k + 1])

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """A range of columns of every product at a time."""
        a = source.whole()

        def work(columns: slice, scratch: Scratch) -> None:
            finish([a @ W[columns].T for W in self.weights], tuple(out[:, columns] for out in outs), columns)

        workers.run(_columns(self.weights[0].shape[0], workers), work)


@dataclass(frozen=True, eq=False)
class StackedAdjoint:
    """c = sum_k s_k W_k for concatenated s_1, s_2, ..."""

    weights: tuple[Array, ...]
    form: str = field(default="direct", init=False)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """A range of columns at a time."""
        parts = array_namespace(source.c).split(source.whole(), len(self.weights), axis=-1)

        def work(columns: slice, scratch: Scratch) -> None:
            c = sum(s @ W[:, columns] for s, W in zip(parts, self.weights, strict=True))
            finish([c], tuple(out[:, columns] for out in outs), columns)

        workers.run(_columns(self.weights[0].shape[1], workers), work)


def _columns(width: int, workers: Workers) -> list[slice]:
    """`width` columns cut into a few ranges for every worker, none very short."""
    return _ranges(width, max(256, ceil(width / (4 * workers.count))))
