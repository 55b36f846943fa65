"""Winograd's forms of a 3x3 convolution of stride one, on images (N, H, W, C).

    winograd2   F(2x2, 3x3): a product per frequency of 4x4 tiles, 2.25 times fewer multiplications
    winograd4   F(4x4, 3x3): 6x6 tiles, 4 times fewer, and about one decimal digit lost in float32

For a tile d of the image and a kernel g (Lavin and Gray 2016, arXiv 1509.09308, sec. 4.1 to 4.3)

    Y = A^T [ (G g G^T) * (B^T d B) ] A

where * multiplies element by element and sums over channels. G g G^T is computed once, when a kernel is prepared.

The transforms run along the rows, then along the columns, and add many channels at a time: B^T and A^T hold few values
other than 0, 1, 2 and 4, and share most of their sums. Rows are read directly from the image and columns written
directly to it, so no tile is ever copied out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ..backend import Array, array_namespace
from ..layers.window import Window
from .kernels import Block, Finish, Job, Source, gathered, jobs, parts
from .workers import Buffer, Scratch, Workers

FULL_TILES = 168
"""The tiles that a block has at least, cached or not: there is a product for every frequency."""

FULL_BYTES = 1 << 24
"""Bytes that the frequencies of so many tiles may take; with many channels half as many tiles are enough."""

G: dict[int, list[list[float]]] = {
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
"""G of F(2x2, 3x3) and F(4x4, 3x3)."""

Lines = Sequence[Array] | Array
"""Arrays of one shape: a sequence of them, or the first axis of an array."""


def B_T2(d: Lines, out: Lines, spare: Sequence[Array]) -> None:
    """out = B^T d for F(2x2, 3x3), with

    B^T = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
    """
    xp = array_namespace(spare[0])
    xp.subtract(d[0], d[2], out=out[0])
    xp.add(d[1], d[2], out=out[1])
    xp.subtract(d[2], d[1], out=out[2])
    xp.subtract(d[1], d[3], out=out[3])


def A_T2(m: Lines, out: Lines, spare: Sequence[Array]) -> None:
    """out = A^T m for F(2x2, 3x3), with

    A^T = [[1, 1, 1, 0], [0, 1, -1, -1]]
    """
    xp, s = array_namespace(spare[0]), spare[0]
    xp.add(m[1], m[2], out=s)
    xp.add(m[0], s, out=out[0])
    xp.subtract(m[1], m[2], out=s)
    xp.subtract(s, m[3], out=out[1])


def B_T4(d: Lines, out: Lines, spare: Sequence[Array]) -> None:
    """out = B^T d for F(4x4, 3x3), with

    B^T = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
           [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
    """
    xp, (p, q, r) = array_namespace(spare[0]), spare
    xp.multiply(d[2], -4, out=p)
    p += d[4]
    xp.multiply(d[1], -4, out=q)
    q += d[3]
    xp.add(p, q, out=out[1])  # (d4 - 4 d2) + (d3 - 4 d1)
    xp.subtract(p, q, out=out[2])
    xp.subtract(d[4], d[2], out=p)
    xp.subtract(d[3], d[1], out=q)
    q += q
    xp.add(p, q, out=out[3])  # (d4 - d2) + 2 (d3 - d1)
    xp.subtract(p, q, out=out[4])
    xp.subtract(d[0], d[2], out=r)
    r *= 4
    xp.add(r, p, out=out[0])  # 4 (d0 - d2) + (d4 - d2)
    xp.subtract(d[5], d[3], out=r)
    q += q
    xp.subtract(r, q, out=out[5])  # (d5 - d3) - 4 (d3 - d1)


def A_T4(m: Lines, out: Lines, spare: Sequence[Array]) -> None:
    """out = A^T m for F(4x4, 3x3), with

    A^T = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    """
    xp, (p, q, r) = array_namespace(spare[0]), spare
    xp.add(m[1], m[2], out=p)
    xp.add(m[3], m[4], out=q)
    xp.add(m[0], p, out=r)
    xp.add(r, q, out=out[0])  # m0 + (m1 + m2) + (m3 + m4)
    q *= 4
    xp.add(p, q, out=out[2])  # (m1 + m2) + 4 (m3 + m4)
    xp.subtract(m[1], m[2], out=p)
    xp.subtract(m[3], m[4], out=q)
    q += q
    xp.add(p, q, out=out[1])  # (m1 - m2) + 2 (m3 - m4)
    q *= 4
    q += p
    xp.add(q, m[5], out=out[3])  # (m1 - m2) + 8 (m3 - m4) + m5


Transform = Callable[[Lines, Lines, Sequence[Array]], None]

BEFORE: dict[int, Transform] = {2: B_T2, 4: B_T4}
AFTER: dict[int, Transform] = {2: A_T2, 4: A_T4}
"""B^T and A^T of F(m x m, 3x3): transform(lines, out, spare), where `spare` holds three arrays shaped like a line."""


@dataclass(frozen=True, eq=False)
class Winograd:
    """F(m x m, 3x3): tiles of m x m outputs, from tiles of (m + 2) x (m + 2) inputs that overlap by two.

    Parameters
    ----------
    U : array, shape ((m + 2)^2, K, C, O)
        G g G^T of K weights, frequencies first.
    m : int
        2 or 4.
    window : Window
        The geometry.
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
        twice = xp.asarray(np.kron(G[m], G[m]).astype(str(taps.dtype)))  # G g G^T of a flattened g
        return cls(xp.reshape(twice @ xp.reshape(taps, (9, -1)), (-1, *taps.shape[2:])), m, window)

    def only(self, k: int) -> Winograd:
        """The kernel of the kth weight alone."""
        return replace(self, U=self.U[:, k : k + 1])

    def apply(self, source: Source, finish: Finish, outs: tuple[Array, ...], workers: Workers) -> None:
        """Block by block of tile rows: transform, multiply every frequency, transform back, finish."""
        xp, m, dtype = array_namespace(self.U), self.m, source.c.dtype
        A, K, C, O = self.U.shape
        rows, columns = outs[0].shape[1:3]
        high, wide = ceil(rows / m), ceil(columns / m)

        def work(job: Job, scratch: Scratch) -> None:
            (images, first), U = job.block, self.U[..., job.channels]
            V = self._before(source, job.block, wide, scratch)
            M = scratch.array("M", (A, K, V[0, 0, ..., 0].size, U.shape[3]), dtype)
            xp.matmul(V.reshape((A, 1, -1, C)), U, out=M)
            shape = (m + 2, m + 2, K, *job.block.size, wide, U.shape[3])
            Y = self._after(M.reshape(shape), scratch)
            cells = Block(images, slice(first.start * m, min(first.stop * m, rows)))
            inside = Y[:, :, : cells.size[1], :columns]
            finish(list(inside), parts(Job(cells, job.channels), outs), job.channels)

        tile_bytes = A * (C + K * O) * dtype.itemsize
        full = max(FULL_TILES // 2, min(FULL_TILES, FULL_BYTES // tile_bytes))
        workers.run(jobs((source.shape[0], high, wide, O), wide * tile_bytes, full, workers), work)

    def _before(self, source: Source, block: Block, wide: int, scratch: Scratch) -> Buffer:
        """B^T d B of every tile: (m + 2, m + 2, images, tile rows, tile columns, C)."""
        m, side, (images, high) = self.m, self.m + 2, block.size
        W, C = source.shape[2:]
        top, _, left, _ = self.window.padding
        right = wide * m + 2 - left - W
        reach = Window((3, 3), (1, 1), (top, 0, left, max(0, right)), (1, 1))
        cells = Block(block.images, slice(block.rows.start * m, block.rows.stop * m))
        strip = gathered(source, cells, reach, scratch)
        lines = scratch.array("lines", (side, images, high, *strip.shape[2:]), strip.dtype)
        V = scratch.array("V", (side, side, images, high, wide, C), strip.dtype)
        transform, down, across = BEFORE[m], m * (high - 1) + 1, m * (wide - 1) + 1
        transform([strip[:, i : i + down : m] for i in range(side)], lines, _spare(lines[0], scratch))
        columns = [lines[:, :, :, j : j + across : m] for j in range(side)]
        transform(columns, [V[:, j] for j in range(side)], _spare(V[:, 0], scratch))
        return V

    def _after(self, M: Array, scratch: Scratch) -> Buffer:
        """A^T M A of every tile, at its place in the image: (K, images, rows, columns, O)."""
        m, (side, _, K, images, high, wide, O) = self.m, M.shape
        lines = scratch.array("lines", (m, *M.shape[1:]), M.dtype)
        Y = scratch.array("Y", (K, images, high, m, wide, m, O), M.dtype)
        AFTER[m](M, lines, _spare(lines[0], scratch))
        tiles = array_namespace(M).permute_dims(Y, (5, 3, 0, 1, 2, 4, 6))
        AFTER[m]([lines[:, j] for j in range(side)], tiles, _spare(tiles[0], scratch))
        return Y.reshape((K, images, high * m, wide * m, O))


def _spare(like: Array, scratch: Scratch) -> tuple[Array, ...]:
    """Three arrays of this shape."""
    return tuple(scratch.array(f"spare {k}", like.shape, like.dtype) for k in range(3))
