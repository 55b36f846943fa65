"""The interface of a step, the two forms of messages between steps, and helpers that several steps use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ...backend import Array, array_namespace
from ...layers import Layer
from ..kernels import ALL, Block, blocks
from ..workers import Scratch, Workers

CARRIED = "carried"
"""The message to a node is a factor c of its output y: its relevance is R = y c, and is not formed."""

EXPLICIT = "explicit"
"""The message to a node is its relevance R. Which form a node receives is decided when the network is prepared."""


class Step(Protocol):
    """One layer, or a layer and the ReLU after it, prepared."""

    @property
    def form(self) -> str:
        """How it computes: see `Prepared.forms`."""

    @property
    def needs_inputs(self) -> bool:
        """Whether `backward` needs the values of the inputs."""

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """The node's output, and what `backward` will need; without `remember` only the output is defined."""

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """A message for each input, given the message that arrived."""


def channels_last(x: Array) -> Array:
    """(N, C, H, W) -> (N, H, W, C), in a new array; other arrays are returned as they are."""
    xp = array_namespace(x)
    return xp.ascontiguousarray(xp.permute_dims(x, (0, 2, 3, 1))) if x.ndim == 4 else x


def channels_first(x: Array) -> Array:
    """The inverse of `channels_last`."""
    xp = array_namespace(x)
    return xp.ascontiguousarray(xp.permute_dims(x, (0, 3, 1, 2))) if x.ndim == 4 else x


def write_output(z: Array, rectified: bool, out: Array) -> None:
    """Write z, or max(z, 0), to `out`. NumPy vectorises clipping, and not a maximum with a number."""
    xp = array_namespace(z)
    if rectified:
        xp.clip(z, 0, xp.inf, out=out)
    else:
        out[...] = z


def output_shape(layer: Layer, a: Array) -> tuple[int, ...]:
    """A layer's output shape for an input with channels last."""
    if a.ndim == 2:
        return layer.output_shape(a.shape)
    N, H, W, C = a.shape
    N, C, H, W = layer.output_shape((N, C, H, W))
    return (N, H, W, C)


def pieces(array: Array, workers: Workers) -> Iterator[Block]:
    """Cut an array of images into pieces that fit a cache, with work for every worker."""
    if array.ndim != 4:
        return iter([Block(slice(0, array.shape[0]), ALL)])
    N, H, W, C = array.shape
    row = max(W * C, 1) * array.dtype.itemsize
    each = max(-(-N * H // workers.count), LEAST_BYTES // row)
    return blocks(N, H, max(1, min(workers.block_bytes // (4 * row), each)))


LEAST_BYTES = 1 << 16
"""Pieces below this size are not cut again: passing them to another thread would take as long as computing them."""


def sum_of_messages(first: Array, second: Array, workers: Workers) -> Array:
    """The sum of two messages to one node."""
    xp, total = array_namespace(first), workers.empty(first.shape, first.dtype)

    def work(piece: Block, scratch: Scratch) -> None:
        xp.add(piece.part(first), piece.part(second), out=piece.part(total))

    workers.run(pieces(total, workers), work)
    return total
