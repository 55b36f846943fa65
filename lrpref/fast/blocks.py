"""How the work on images is cut: into blocks of rows that stay in a cache, and into channels where there are few rows.

Images are (N, H, W, C), channels last, so that a cell's channels are adjacent in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from .memory import Buffer
from .program import Program

BLOCK_BYTES = 3 << 20
"""The bytes of a block of gathered cells: more than a core's own cache, and less than the shared cache. In smaller
blocks NumPy's calls, for which the threads wait for each other, take longer than the memory accesses."""

GPU_SHARE = 32
"""A block on a GPU, which needs more work at a time, takes this part of the memory that is free: with a block for each
layer, the number of launches does not depend on the batch."""

FULL_PRODUCT = 192
"""Rows below which a matrix product does not run at full speed; a block has at least as many, cached or not."""

LEAST_CHANNELS = 64
"""Channels below which they are not cut: narrower matrix products are slow."""

LEAST_BYTES = 1 << 16
"""Blocks below this size are not cut again: passing them to another thread would take as long as computing them."""

ALL = slice(None)


class Block(NamedTuple):
    """A piece of an image: some whole images, or some rows of one image; and some of the channels."""

    images: slice
    rows: slice
    channels: slice = ALL

    def part(self, array: Buffer) -> Buffer:
        """The block of an array (N, H, ...). An array of one image serves all images."""
        images = self.images if array.shape[0] > 1 else ALL
        return array[images, self.rows, ..., self.channels]

    @property
    def size(self) -> tuple[int, int]:
        """How many images and rows."""
        return self.images.stop - self.images.start, self.rows.stop - self.rows.start


def block_bytes(program: Program) -> int:
    """The bytes that a block may take."""
    available = program.memory.available
    return BLOCK_BYTES if available is None else available // GPU_SHARE


def blocks(images: int, rows: int, most: int) -> Iterator[Block]:
    """Cut `images` of `rows` rows each into blocks of about `most` rows; a block holds whole images or rows of one."""
    if most >= rows:
        together = max(1, most // max(rows, 1))
        for n in range(0, images, together):
            yield Block(slice(n, min(n + together, images)), slice(0, rows))
        return
    pieces = ceil(rows / most)
    for n in range(images):
        for k in range(pieces):
            yield Block(slice(n, n + 1), slice(k * rows // pieces, (k + 1) * rows // pieces))


def for_product(program: Program, size: tuple[int, ...], row_bytes: int, full: int | None = None) -> list[Block]:
    """Cut an output of (images, rows, cells in a row, channels) that is computed by matrix products.

    Blocks of rows are as large as the cache holds, have at least `full` cells (FULL_PRODUCT for None), and give every
    lane something to do. If that would leave each lane few cells, the channels are cut instead: a product reads all its
    weights even for few cells.
    """
    full = FULL_PRODUCT if full is None else full
    (images, rows, cells, channels), lanes = size, program.threads
    each = ceil(images * rows / lanes)
    if lanes > 1 and each * cells < full and channels >= LEAST_CHANNELS * lanes:
        cuts = [slice(k * channels // lanes, (k + 1) * channels // lanes) for k in range(lanes)]
        return [block._replace(channels=cut) for block in blocks(images, rows, images * rows) for cut in cuts]
    most = max(1, min(max(block_bytes(program) // row_bytes, ceil(full / cells)), each))
    return list(blocks(images, rows, _evenly(images, rows, most, lanes)))


def _evenly(images: int, rows: int, most: int, lanes: int) -> int:
    """`most`, lowered so that a few large blocks divide evenly: with three, one of two lanes would have to wait."""
    if most >= rows or images >= 4 * lanes:
        return most
    pieces = ceil(rows / most)
    pieces += -pieces * images % lanes
    return ceil(rows / pieces)


def for_passes(program: Program, array: Buffer) -> Iterator[Block]:
    """Cut images into blocks for passes over their cells."""
    return blocks(array.shape[0], array.shape[1], _rows_of_pass(program, array))


def for_passes_over_whole_images(program: Program, array: Buffer) -> Iterator[Block]:
    """The same for passes that write to cells of other rows; on the CPU, image by image."""
    (N, H, _, _), on_gpu = array.shape, program.memory.available is not None
    return blocks(N, H, max(H, _rows_of_pass(program, array)) if on_gpu else H)


def _rows_of_pass(program: Program, array: Buffer) -> int:
    """The rows of a block, four arrays of which are read or written."""
    N, H, W, C = array.shape
    row = max(W * C, 1) * array.dtype.itemsize
    each = max(-(-N * H // program.threads), LEAST_BYTES // row)
    return max(1, min(block_bytes(program) // (4 * row), each))
