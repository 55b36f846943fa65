"""The fast forms of a convolution. They compute what `lrpref.layers.Conv2D` says plainly, a tap at a time.

    direct      gather the cells under the kernel into rows, one matrix product. Every kernel, stride and dilation.
    winograd2   F(2x2, 3x3): a product per frequency of 4x4 tiles, 2.25 times fewer multiplications
    winograd4   F(4x4, 3x3): 6x6 tiles, 4 times fewer, and about one decimal digit lost in float32

Winograd's forms are for 3x3 kernels that move by one (Lavin and Gray 2016, arXiv 1509.09308, sec. 4.1 and 4.2). For
a tile d of the image and a kernel g

    Y = A^T [ (G g G^T) * (B^T d B) ] A

where * multiplies element by element and sums over channels. G g G^T is computed once, when a kernel is prepared.

All forms work on images (N, H, W, C), channels last, so that a cell's channels lie side by side. The work is cut into
blocks of rows that stay in the cache: a block is gathered, multiplied, and finished (bias, activation, whatever the
rule needs) before the next is touched, in buffers that are used again. A kernel never sees the whole image at once,
so its memory is bounded whatever the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..backend import Array, array_namespace
from ..layers.window import Window
from .workers import Scratch, Workers

BLOCK_BYTES = 1 << 20
"""How much a block of gathered cells may take: about what a core's own cache holds."""

MIN_ROWS = 192
"""Rows below which a matrix product no longer runs at full speed; a block has more, even if it leaves the cache."""


class Source:
    """What a product reads: an array with channels last, or products of it that are made as they are read.

    With factors q_1, q_2, ... the channels of c q_1, c q_2, ... stand side by side. A factor of one sample serves all.
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
            mine = q[images, rows] if q.shape[0] > 1 else q[:, rows]
            xp.multiply(self.c[images, rows], mine, out=out[..., k * channels : (k + 1) * channels])

    def whole(self) -> Array:
        """All of it at once."""
        xp = array_namespace(self.c)
        return xp.concatenate([self.c * q for q in self.factors], axis=-1) if self.factors else self.c


ALL = slice(None)

Finish = Callable[[Sequence[Array], tuple[Array, ...], slice], None]
"""What is done with a block of products before it is stored: finish(parts, outs, channels) writes to `outs`, which
hold the given stretch of their channels. There is a part for every weight, which may be overwritten; each position is
seen by itself."""


def keep(parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
    """Finish nothing: each product to its own array."""
    for out, part in zip(outs, parts, strict=True):
        out[...] = part


class Kernel(Protocol):
    """A prepared convolution."""

    @property
    def form(self) -> str:
        """ "direct", "winograd2" or "winograd4"."""

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Convolve, finish each block, and write to `outs` (each (N, H', W', anything))."""


class Block(NamedTuple):
    """Some whole images, or some rows of one: a piece of work."""

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
    """Cut `images` of `rows` rows each into blocks of about `most` rows, none across two images unless both fit."""
    if most >= rows:
        together = max(1, most // rows)
        for n in range(0, images, together):
            yield Block(slice(n, min(n + together, images)), slice(0, rows))
        return
    pieces = ceil(rows / most)
    for n in range(images):
        for k in range(pieces):
            yield Block(slice(n, n + 1), slice(k * rows // pieces, (k + 1) * rows // pieces))


def _most_rows(row_cells: int, row_bytes: int, images: int, rows: int, workers: Workers) -> int:
    """Rows of a block: as many as the cache holds, enough for a full product, and work for everyone."""
    cached = BLOCK_BYTES // row_bytes
    full = ceil(MIN_ROWS / row_cells)
    most = max(1, min(max(cached, full), ceil(images * rows / workers.count)))
    return evenly(images, rows, most, workers)


def evenly(images: int, rows: int, most: int, workers: Workers) -> int:
    """`most`, lowered so that a few large blocks are as many for each worker: three would keep one of two waiting."""
    if most >= rows or images >= 4 * workers.count:
        return most
    pieces = ceil(rows / most)
    pieces += -pieces * images % workers.count
    return ceil(rows / pieces)


def _reach(window: Window) -> int:
    """Rows that a kernel spans."""
    return window.dilation[0] * (window.kernel[0] - 1) + 1


def _parts(block: Block, outs: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(map(block.part, outs))


def _gathered(source: Source, block: Block, window: Window, scratch: Scratch) -> Array:
    """The rows of the source that a block of output rows sees, with the padding around them, in a buffer."""
    _, H, W, C = source.shape
    top, _, left, right = window.padding
    first = block.rows.start * window.stride[0] - top
    last = (block.rows.stop - 1) * window.stride[0] - top + _reach(window)
    held = scratch.array("strip", (block.size[0], last - first, left + W + right, C), source.c.dtype)
    real = slice(min(max(first, 0), H), max(min(last, H), 0))
    above, below = real.start - first, real.stop - first
    if below <= above:  # nothing but padding
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
    """Gather the cells that the kernel covers, one row per output position, and multiply by every weight.

    matrices  (K, kernel rows * columns * C, O): K weights, the taps in reading order, channels last
    window    the geometry
    """

    matrices: Array
    window: Window
    form: str = field(default="direct", init=False)

    @classmethod
    def of(cls, weights: Sequence[Array], window: Window) -> Direct:
        """Prepare weights (O, C, kernel rows, kernel columns)."""
        xp = array_namespace(weights[0])
        taps = xp.stack([xp.permute_dims(w, (2, 3, 1, 0)).reshape((-1, w.shape[0])) for w in weights])
        return cls(taps, window)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Block by block: gather, multiply, finish."""
        xp, dtype = array_namespace(self.matrices), source.c.dtype
        rows, columns = outs[0].shape[1:3]
        K, depth, O = self.matrices.shape

        def work(block: Block, scratch: Scratch) -> None:
            images, height = block.size
            a = self._patches(source, block, (height, columns), scratch).reshape((-1, depth))
            z = scratch.array("z", (K, images * height * columns, O), dtype)
            for k in range(K):
                xp.matmul(a, self.matrices[k], out=z[k])
            finish(list(z.reshape((K, images, height, columns, O))), _parts(block, outs), ALL)

        row_bytes = columns * (depth + K * O) * dtype.itemsize
        most = _most_rows(columns, row_bytes, source.shape[0], rows, workers)
        workers.run(blocks(source.shape[0], rows, most), work)

    def _patches(self, source: Source, block: Block, size: tuple[int, int], scratch: Scratch) -> Array:
        """(images, rows, columns, kernel rows, kernel columns, C): the cells under the kernel at each position.

        As a view they overlap; a product of matrices wants them one after the other, so they are copied, once.
        """
        window = self.window
        if window.kernel == window.stride == (1, 1):
            as_it_lies = not (any(window.padding) or source.factors)
            return block.part(source.c) if as_it_lies else _gathered(source, block, window, scratch)
        strip = _gathered(source, block, window, scratch)
        shape = (strip.shape[0], *size, *window.kernel, strip.shape[3])
        image, row, column, channel = strip.strides
        down, right = window.stride[0] * row, window.stride[1] * column
        strides = (image, down, right, window.dilation[0] * row, window.dilation[1] * column, channel)
        patches = scratch.array("patches", shape, strip.dtype)
        patches[...] = array_namespace(strip).lib.stride_tricks.as_strided(strip, shape, strides)
        return patches


@dataclass(frozen=True, eq=False)
class Scatter:
    """The adjoint of a convolution that moves by more than one: multiply, then add each row back where it came from.

    matrix  (O, kernel rows * columns * C)
    """

    matrix: Array
    window: Window
    form: str = field(default="direct", init=False)

    @classmethod
    def of(cls, weight: Array, window: Window) -> Scatter:
        """Prepare the adjoint of a weight (O, C, kernel rows, kernel columns)."""
        xp = array_namespace(weight)
        taps = xp.permute_dims(weight, (0, 2, 3, 1))
        return cls(xp.ascontiguousarray(taps.reshape((weight.shape[0], -1))), window)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Block by block: multiply, add to the cells of each tap, crop the padding, finish."""
        xp, dtype, window = array_namespace(self.matrix), source.c.dtype, self.window
        _, rows, columns, O = source.shape
        H, W = outs[0].shape[1:3]
        top, _, left, right = window.padding
        taps = window.kernel[0] * window.kernel[1]
        C = self.matrix.shape[1] // taps

        def work(block: Block, scratch: Scratch) -> None:
            images, padded = block.size[0], slice(block.rows.start + top, block.rows.stop + top)
            sent = _rows_that_reach(padded, window, rows)
            high = sent.stop - sent.start
            s = scratch.array("strip", (images, high, columns, O), dtype)
            source.rows(block.images, sent, s)
            messages = scratch.array("patches", (images * high * columns, taps * C), dtype)
            xp.matmul(s.reshape((-1, O)), self.matrix, out=messages)
            messages = messages.reshape((images, high, columns, taps, C))
            first = min(padded.start, sent.start * window.stride[0])
            last = max(padded.stop, (sent.stop - 1) * window.stride[0] + _reach(window))
            c = scratch.array("z", (images, last - first, left + W + right, C), dtype)
            c[...] = 0
            below = c[:, sent.start * window.stride[0] - first :]
            for tap, (_, _, cells) in enumerate(window.taps((high, columns))):
                below[:, cells[2], cells[3]] += messages[:, :, :, tap]
            finish([c[:, padded.start - first : padded.stop - first, left : left + W]], _parts(block, outs), ALL)

        row_bytes = W * (C + (O + taps * C) // (window.stride[0] * window.stride[1])) * dtype.itemsize
        workers.run(blocks(source.shape[0], H, _most_rows(W, row_bytes, source.shape[0], H, workers)), work)


def _rows_that_reach(padded: slice, window: Window, rows: int) -> slice:
    """The output rows, of `rows`, whose kernel touches some of the given rows of the padded input; one at least."""
    first = min(max(0, ceil((padded.start - _reach(window) + 1) / window.stride[0])), rows - 1)
    return slice(first, max(first + 1, min(rows, (padded.stop - 1) // window.stride[0] + 1)))


# ---- fully connected -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stacked:
    """Fully connected products side by side: z_k = a W_k^T, whose columns the workers share out.

    weights  each (O, F)
    """

    weights: tuple[Array, ...]
    form: str = field(default="direct", init=False)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """A stretch of columns of every product at a time."""
        a = source.whole()

        def work(columns: slice, scratch: Scratch) -> None:
            finish([a @ W[columns].T for W in self.weights], tuple(out[:, columns] for out in outs), columns)

        workers.run(_columns(self.weights[0].shape[0], workers), work)


@dataclass(frozen=True, eq=False)
class StackedAdjoint:
    """c = sum_k s_k W_k for s_1, s_2, ... side by side."""

    weights: tuple[Array, ...]
    form: str = field(default="direct", init=False)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """A stretch of columns at a time."""
        parts = array_namespace(source.c).split(source.whole(), len(self.weights), axis=-1)

        def work(columns: slice, scratch: Scratch) -> None:
            c = sum(s @ W[:, columns] for s, W in zip(parts, self.weights, strict=True))
            finish([c], tuple(out[:, columns] for out in outs), columns)

        workers.run(_columns(self.weights[0].shape[1], workers), work)


def _columns(width: int, workers: Workers) -> list[slice]:
    """`width` columns cut into a few stretches for every worker, none very short."""
    piece = max(256, ceil(width / (4 * workers.count)))
    return [slice(first, min(first + piece, width)) for first in range(0, width, piece)]


# ---- Winograd --------------------------------------------------------------------------------------------------

Matrix = list[list[float]]

B_T: dict[int, Matrix] = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}
G: dict[int, Matrix] = {
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
}
A_T: dict[int, Matrix] = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}
"""B^T, G and A^T of F(2x2, 3x3) and F(4x4, 3x3): Lavin and Gray 2016, arXiv 1509.09308, sec. 4.1 and 4.3."""


def both_axes(M: Matrix, like: Array) -> Array:
    """M d M^T for a flattened tile d is one product with the Kronecker square of M."""
    square = np.asarray(M, dtype=np.float64)
    return array_namespace(like).asarray(np.kron(square, square).astype(str(like.dtype)))


@dataclass(frozen=True, eq=False)
class Winograd:
    """F(m x m, 3x3): tiles of m x m outputs, from tiles of (m + 2) x (m + 2) inputs that overlap by two.

    U       ((m + 2)^2, K, C, O): G g G^T of K weights, frequencies first
    m       2 or 4
    window  the geometry
    """

    U: Array
    m: int
    window: Window

    @property
    def form(self) -> str:
        """ "winograd2" or "winograd4"."""
        return f"winograd{self.m}"

    @classmethod
    def of(cls, weights: Sequence[Array], window: Window, m: int) -> Winograd:
        """Prepare weights (O, C, 3, 3)."""
        xp = array_namespace(weights[0])
        taps = xp.stack([xp.permute_dims(w, (2, 3, 1, 0)) for w in weights], axis=2)
        return cls((both_axes(G[m], taps) @ taps.reshape((9, -1))).reshape((-1, *taps.shape[2:])), m, window)

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Block by block of tile rows. Small images: transform all, share out the frequencies, transform back."""
        xp, m, dtype = array_namespace(self.U), self.m, source.c.dtype
        A, K, C, O = self.U.shape
        rows, columns = outs[0].shape[1:3]
        high, wide = ceil(rows / m), ceil(columns / m)
        B, A_back = both_axes(B_T[m], self.U), both_axes(A_T[m], self.U)

        def transform(block: Block, V: Array, scratch: Scratch) -> None:
            d = self._tiles(source, block, wide, scratch)
            xp.matmul(B, d.reshape((A, -1)), out=V)

        def back(block: Block, M: Array, scratch: Scratch) -> None:
            Y = scratch.array("tiles out", (K, m, m, *block.size, wide, O), dtype)
            for k in range(K):
                xp.matmul(A_back, M[:, k], out=Y[k].reshape((m * m, -1)))
            self._store(Y, block, finish, outs, scratch)

        def work(block: Block, scratch: Scratch) -> None:
            tiles = block.size[0] * block.size[1] * wide
            V = scratch.array("V", (A, tiles * C), dtype)
            transform(block, V, scratch)
            M = scratch.array("tiles in", (A, K, tiles, O), dtype)
            xp.matmul(V.reshape((A, 1, tiles, C)), self.U, out=M)
            back(block, M.reshape((A, K, -1)), scratch)

        tile_row = wide * A * (C + K * O) * dtype.itemsize
        most = max(1, min(BLOCK_BYTES // tile_row, ceil(source.shape[0] * high / workers.count)))
        most = evenly(source.shape[0], high, most, workers)
        if most * wide >= MIN_ROWS // 2 or workers.count == 1:
            workers.run(blocks(source.shape[0], high, most), work)
            return
        for part in blocks(source.shape[0], high, max(high, GROUP_TILES // wide)):
            self._by_frequency(part, wide, transform, back, workers, dtype)

    def _by_frequency(self, part: Block, wide: int, transform: Any, back: Any, workers: Workers, dtype: Any) -> None:
        """Deep layers: many channels, few tiles. All tiles are transformed, and U is read but once."""
        xp = array_namespace(self.U)
        A, K, C, O = self.U.shape
        images, high = part.size
        tiles, row = images * high * wide, high * wide
        V = xp.empty((A, tiles * C), dtype=dtype)
        M = xp.empty((A, K, tiles, O), dtype=dtype)
        pieces = [
            (Block(slice(n, n + 1), slice(a, b)), (n - part.images.start) * row + a * wide, (b - a) * wide)
            for n in range(part.images.start, part.images.stop)
            for a, b in _halves(high, workers.count if images < workers.count else 1)
        ]

        def first(piece: tuple[Block, int, int], scratch: Scratch) -> None:
            block, start, count = piece
            transform(block, V[:, start * C : (start + count) * C], scratch)

        def second(k: int, scratch: Scratch) -> None:
            xp.matmul(V[k].reshape((tiles, C)), self.U[k], out=M[k])

        def third(piece: tuple[Block, int, int], scratch: Scratch) -> None:
            block, start, count = piece
            back(block, M.reshape((A, K, -1))[:, :, start * O : (start + count) * O], scratch)

        workers.run(pieces, first)
        workers.run(range(A), second)
        workers.run(pieces, third)

    def _tiles(self, source: Source, block: Block, wide: int, scratch: Scratch) -> Array:
        """(m + 2, m + 2, images, tile rows, tile columns, C): the cells of every tile."""
        m, side, (images, high) = self.m, self.m + 2, block.size
        W, C = source.shape[2:]
        top, _, left, _ = self.window.padding
        right = wide * m + 2 - left - W
        reach = Window((3, 3), (1, 1), (top, 0, left, max(0, right)))
        cells = Block(block.images, slice(block.rows.start * m, block.rows.stop * m))
        strip = _gathered(source, cells, reach, scratch)
        d = scratch.array("tiles in", (side, side, images, high, wide, C), source.c.dtype)
        for i in range(side):
            for j in range(side):
                d[i, j] = strip[:, i : i + m * (high - 1) + 1 : m, j : j + m * (wide - 1) + 1 : m]
        return d

    def _store(self, Y: Array, block: Block, finish: Finish, outs: tuple[Array, ...], scratch: Scratch) -> None:
        """Finish all tiles at once, then put them where they belong; what hangs over the border is dropped."""
        m, (rows, columns) = self.m, outs[0].shape[1:3]
        tiled = tuple(
            scratch.array(f"tiled {k}", (*Y.shape[1:-1], out.shape[3]), out.dtype) for k, out in enumerate(outs)
        )
        finish(list(Y), tiled, ALL)
        for i in range(m):
            first = block.rows.start * m + i
            high = len(range(first, min(block.rows.stop * m, rows), m))
            for j in range(m):
                wide = len(range(j, columns, m))
                for out, tiles in zip(outs, tiled, strict=True):
                    target = out[block.images, first : first + m * (high - 1) + 1 : m, j::m] if high else None
                    if target is not None:
                        target[...] = tiles[i, j, :, :high, :wide]


GROUP_TILES = 1024
"""How many tiles are transformed before they are multiplied, where frequencies are shared out."""


def _halves(rows: int, count: int) -> list[tuple[int, int]]:
    """`rows` cut into up to `count` stretches."""
    pieces = min(rows, count)
    return [(k * rows // pieces, (k + 1) * rows // pieces) for k in range(pieces)]
