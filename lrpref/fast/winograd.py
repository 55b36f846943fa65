"""Winograd's F(2x2, 3x3): a 3x3 convolution of stride one with 2.25 times fewer multiplications.

For a tile d of the image, 4 x 4 cells, and a kernel g (Lavin and Gray 2016, arXiv 1509.09308, sec. 4.1)

    Y = A^T [ (G g G^T) * (B^T d B) ] A

where * multiplies element by element and sums over channels; Y are 2 x 2 outputs. U = G g G^T is computed once, when a
kernel is prepared. The transforms run along the rows, then along the columns, and add many channels at a time. Rows are
read directly from the image and columns written directly to it, so no tile is ever copied out.

The adjoint is the convolution with the flipped kernel. G of a reversed g is G g with its first and last row
exchanged, so the adjoint has no U of its own: it reads that of the forward pass in another order, transposed.

The error of a value is bounded by the largest values in its tile, not by its own terms: with u the unit roundoff, n
terms and a constant near 10, |Y - Y'| <= 10 n u max |d| max |g| (tested in tests/test_fast_bounds.py). A value that is
much smaller than its neighbours loses digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

import numpy as np

from ..backend import Array, array_namespace
from ..layers.window import Window
from .blocks import for_product
from .kernels import Epilogue, as_border
from .memory import Border, Buffer, Image
from .program import Lane, Program

FULL_TILES = 168
"""The tiles that a block has at least, cached or not: there is a product for every frequency."""

FULL_BYTES = 1 << 24
"""Bytes that the frequencies of so many tiles may take; with many channels half as many tiles are enough."""

LEAST_CHANNELS = 64
"""Channels below which passes over the tiles cost more than the multiplications that they save."""

TINY_IMAGE = 7
"""Rows up to which reading the transformed weights takes longer than the multiplications that they save."""

G: list[list[float]] = [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]
"""G of F(2x2, 3x3)."""

Lines = Sequence[Buffer] | Buffer
"""Arrays of one shape: a sequence of them, or the first axis of an array."""


def B_T(lane: Lane, xp: Any, d: Lines, out: Lines) -> None:
    """out = B^T d with B^T = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]."""
    lane(xp.subtract, d[0], d[2], out=out[0])
    lane(xp.add, d[1], d[2], out=out[1])
    lane(xp.subtract, d[2], d[1], out=out[2])
    lane(xp.subtract, d[1], d[3], out=out[3])


def A_T(lane: Lane, xp: Any, m: Lines, out: Lines, spare: Buffer) -> None:
    """out = A^T m with A^T = [[1, 1, 1, 0], [0, 1, -1, -1]]; `spare` is an array shaped like a line."""
    lane(xp.add, m[1], m[2], out=spare)
    lane(xp.add, m[0], spare, out=out[0])
    lane(xp.subtract, m[1], m[2], out=spare)
    lane(xp.subtract, spare, m[3], out=out[1])


@dataclass(frozen=True, eq=False)
class Winograd:
    """The convolutions of several kernels, or their summed adjoint.

    Parameters
    ----------
    U : array, shape (16, K, C, O)
        G g G^T of K weights, frequencies first.
    window : Window
        The geometry.
    adjoint : bool, default False
        Whether this is the sum of the adjoints.
    """

    U: Buffer
    window: Window
    adjoint: bool = False
    form: str = field(default="winograd", init=False)

    @classmethod
    def of(cls, weights: Sequence[Array], window: Window) -> Winograd:
        """Prepare weights (O, C, 3, 3)."""
        xp = array_namespace(weights[0])
        taps = xp.stack([xp.permute_dims(w, (2, 3, 1, 0)) for w in weights], axis=2)
        twice = xp.asarray(np.kron(G, G).astype(str(taps.dtype)))  # G g G^T of a flattened g
        return cls(xp.reshape(twice @ xp.reshape(taps, (9, -1)), (-1, *taps.shape[2:])), window)

    @staticmethod
    def suits(weight: Array, window: Window, rows: int) -> bool:
        """Whether this form is the faster one for a convolution of images with so many rows; 0 where unknown."""
        moves = window.kernel == (3, 3) and window.stride == window.dilation == (1, 1) and max(window.padding) <= 2
        return moves and not 0 < rows <= TINY_IMAGE and min(weight.shape[:2]) >= LEAST_CHANNELS

    def part(self, which: slice) -> Winograd:
        """The kernels of some of the weights."""
        return replace(self, U=self.U[:, which])

    def turned(self, which: slice) -> Winograd:
        """The sum of the adjoints of some of the weights."""
        top, bottom, left, right = self.window.padding
        window = replace(self.window, padding=(2 - top, 2 - bottom, 2 - left, 2 - right))
        return Winograd(array_namespace(self.U).matrix_transpose(self.U[:, which]), window, adjoint=True)

    def border(self, shape: tuple[int, ...]) -> Border:
        """The padding, and one row or column more where whole tiles need it."""
        top, bottom, left, right = as_border(self.window)
        rows, columns = (
            n + before + after - 2 for n, before, after in ((shape[1], top, bottom), (shape[2], left, right))
        )
        return (top, bottom + rows % 2, left, right + columns % 2)

    def record(self, program: Program, a: Image, epilogue: Epilogue, outs: tuple[Buffer, ...]) -> None:
        """Block by block of tile rows: transform, multiply every frequency, transform back, finish."""
        (_, K, C, O), (N, rows, columns) = self.U.shape, outs[0].shape[:3]
        high, wide = ceil(rows / 2), ceil(columns / 2)
        padded = a.within(self.border(a.cells.shape))
        tile_bytes = 16 * (C + K * O) * padded.itemsize
        full = max(FULL_TILES // 2, min(FULL_TILES, FULL_BYTES // tile_bytes))
        for lane, tiles in program.share(for_product(program, (N, high, wide, O), wide * tile_bytes, full)):
            V = self._before(lane, padded[tiles.images, 2 * tiles.rows.start : 2 * tiles.rows.stop + 2], wide)
            M = self._multiplied(lane, V, self.U[..., tiles.channels])
            Y = self._after(lane, M.reshape((4, 4, -1, *tiles.size, wide, M.shape[-1])))
            block = tiles._replace(rows=slice(2 * tiles.rows.start, min(2 * tiles.rows.stop, rows)))
            parts = list(Y[:, :, : block.size[1], :columns])
            epilogue.finish(lane, parts, tuple(block.part(out) for out in outs), block)

    def _before(self, lane: Lane, strip: Buffer, wide: int) -> Buffer:
        """B^T d B of every tile in rows of the image: (16, tiles, C)."""
        images, high, channels = strip.shape[0], strip.shape[1] // 2 - 1, strip.shape[3]
        xp = array_namespace(strip)
        lines = lane.buffer("lines", (4, images, high, *strip.shape[2:]), strip.dtype)
        V = lane.buffer("V", (4, 4, images, high, wide, channels), strip.dtype)
        B_T(lane, xp, [strip[:, i : i + 2 * high - 1 : 2] for i in range(4)], self._ordered(lines))
        B_T(
            lane,
            xp,
            [lines[:, :, :, j : j + 2 * wide - 1 : 2] for j in range(4)],
            self._ordered([V[:, j] for j in range(4)]),
        )
        return V.reshape((16, -1, channels))

    def _ordered(self, lines: Lines) -> Lines:
        """The lines in the order of U's frequencies, which for the adjoint are those of the flipped kernel."""
        return [lines[k] for k in (3, 1, 2, 0)] if self.adjoint else lines

    def _multiplied(self, lane: Lane, V: Buffer, U: Buffer) -> Buffer:
        """The products at every frequency: (16, K, tiles, O), or (16, tiles, O) summed over the weights."""
        xp, (_, K, C, O), tiles = array_namespace(V), U.shape, V.shape[1]
        if not self.adjoint:
            M = lane.buffer("M", (16, K, tiles, O), V.dtype)
            lane(xp.matmul, V[:, None], U, out=M)
            return M
        M = lane.buffer("M", (16, tiles, O), V.dtype)
        for k in range(K):
            product = M if k == 0 else lane.buffer("another M", M.shape, V.dtype)
            lane(xp.matmul, V[..., k * C : (k + 1) * C], U[:, k], out=product)
            if k > 0:
                lane(xp.add, M, product, out=M)
        return M

    def _after(self, lane: Lane, M: Buffer) -> Buffer:
        """A^T M A of every tile, at its place in the image: (K, images, rows, columns, O)."""
        xp, (_, _, K, images, high, wide, O) = array_namespace(M), M.shape
        order = self._ordered(range(4))
        lines = lane.buffer("lines", (2, *M.shape[1:]), M.dtype)
        Y = lane.buffer("Y", (K, images, high, 2, wide, 2, O), M.dtype)
        A_T(lane, xp, [M[k] for k in order], lines, lane.buffer("spare", lines[0].shape, M.dtype))
        columns = xp.permute_dims(Y, (5, 3, 0, 1, 2, 4, 6))
        A_T(lane, xp, [lines[:, k] for k in order], columns, lane.buffer("spare", columns[0].shape, M.dtype))
        return Y.reshape((K, images, 2 * high, 2 * wide, O))
