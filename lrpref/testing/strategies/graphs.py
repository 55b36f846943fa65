"""Small networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ...layers import (
    Add,
    Concat,
    Conv2D,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    Max,
    Pad2D,
    ReLU,
    Reshape,
    Slice,
    Subtract,
)
from ...layers.base import Shape
from ...network import INPUT, Network
from ..cases import NetworkCase
from .axes import channel_shuffle, permute, pixel_shuffle, pixel_unshuffle
from .linear import conv, dense
from .norms import batch_norm
from .numbers import EITHER, POWERS, UP_TO_2, UP_TO_3, Arrays, arrays, drawn, maybe
from .pools import avg_pool, max_pool
from .products import multiply
from .shapes import images, vectors


@dataclass
class Graph:
    """The nodes of a network under construction, and the shapes of their outputs."""

    shapes: dict[str, Shape]
    nodes: list[tuple[str, Layer, list[str]]] = field(default_factory=list)

    def put(self, layer: Layer, *inputs: str) -> str:
        """Add a node for `layer` and return its name."""
        name = f"{type(layer).__name__.lower()}{len(self.nodes)}"
        self.nodes.append((name, layer, list(inputs)))
        self.shapes[name] = layer.output_shape(*(self.shapes[i] for i in inputs))
        return name


Block = Callable[..., str]


def _convolution(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(ReLU(), graph.put(draw(conv(graph.shapes[at], stride=(1, 1), numbers=numbers)), at))


def _max(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(draw(max_pool(graph.shapes[at])), at)


def _average(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(draw(avg_pool(graph.shapes[at])), at)


def _norm(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(draw(batch_norm(graph.shapes[at], numbers=numbers)), at)


def _border(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    return graph.put(Dropout(), graph.put(Pad2D((0, 1, 1, 0), 0.5), at))


def _residual(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """A skip connection around two convolutions, which may be the same layer at two nodes."""
    C = graph.shapes[at][1]
    layers = [Conv2D(draw(numbers((C, C, 3, 3))), draw(maybe(numbers((C,)))), padding=1) for _ in range(2)]
    first, second = layers if draw(EITHER) else (layers[0], layers[0])
    body = graph.put(second, graph.put(ReLU(), graph.put(first, at)))
    ends = [at, body] if draw(EITHER) else [body, at]
    return graph.put(ReLU(), graph.put(Add(), *ends))


def _branches(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """A convolution, concatenated with its own input."""
    C = graph.shapes[at][1]
    side = graph.put(ReLU(), graph.put(Conv2D(draw(numbers((1, C, 1, 1))), draw(maybe(numbers((1,))))), at))
    return graph.put(Concat(), side, at)


def _gate(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """Squeeze and excite: every channel times a number computed from all channels, in either order."""
    C = graph.shapes[at][1]
    squeezed = graph.put(draw(st.sampled_from([GlobalAvgPool2D(), Max((2, 3), keepdims=True)])), at)
    gate = graph.put(ReLU(), graph.put(Conv2D(draw(numbers((C, C, 1, 1)))), squeezed))
    ends = [at, gate] if draw(EITHER) else [gate, at]
    return graph.put(draw(multiply(graph.shapes[at])), *ends)


def _difference(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """A convolution, subtracted from its own input, or its input from it."""
    C = graph.shapes[at][1]
    side = graph.put(Conv2D(draw(numbers((C, C, 1, 1))), draw(maybe(numbers((C,))))), at)
    return graph.put(Subtract(), *((side, at) if draw(EITHER) else (at, side)))


def _halves(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """The image cut along an axis, and its parts put together as channels; or the first part alone."""
    axis = draw(st.sampled_from([1, 2, 3]))
    n = graph.shapes[at][axis]
    first = graph.put(Slice(axis, None, (n + 1) // 2), at)
    if n % 2 or draw(EITHER):
        return first
    return graph.put(Concat(), graph.put(Slice(axis, n // 2), at), first)


def _moves(draw: Any, graph: Graph, at: str, numbers: Arrays) -> str:
    """The same cells in another order."""
    shape = graph.shapes[at]
    made = [pixel_unshuffle(shape), pixel_shuffle(shape), channel_shuffle(shape), permute(shape)]
    return graph.put(draw(st.one_of(*made, st.just(Reshape((shape[1], -1, 1))))), at)


BLOCKS: dict[str, Block] = {
    "convolution": _convolution,
    "max_pool": _max,
    "avg_pool": _average,
    "batch_norm": _norm,
    "border": _border,
    "residual": _residual,
    "branches": _branches,
    "gate": _gate,
    "difference": _difference,
    "halves": _halves,
    "moves": _moves,
}
"""The blocks of random networks by name."""


UP_TO_3_BLOCKS = st.lists(st.sampled_from(list(BLOCKS)), max_size=3)
SMALL_VECTORS = vectors(batch=UP_TO_2, features=UP_TO_3)
SMALL_IMAGES = images(batch=UP_TO_2, channels=UP_TO_2, rows=POWERS, columns=POWERS)


def _features(draw: Any, graph: Graph, at: str, blocks: Sequence[str], numbers: Arrays) -> str:
    """The features of an image: some blocks, then a vector per sample."""
    for block in blocks:
        at = BLOCKS[block](draw, graph, at, numbers)
    return graph.put(Flatten(), graph.put(GlobalAvgPool2D(), at) if draw(EITHER) else at)


@st.composite
def networks(
    draw: Any,
    *,
    blocks: Any = UP_TO_3_BLOCKS,
    shape: Any = SMALL_IMAGES,
    numbers: Arrays = arrays,
) -> NetworkCase:
    """Small networks that end in one or two Dense layers, each with a batch of inputs.

    Parameters
    ----------
    blocks : list of str, or strategy
        Names from `BLOCKS`, in order.
    shape : tuple of int or strategy
        The shape (N, C, H, W) of the input.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of NetworkCase
    """
    shape = drawn(draw, shape)
    graph = Graph({INPUT: shape})
    at = _features(draw, graph, INPUT, drawn(draw, blocks), numbers)
    if draw(EITHER):
        at = graph.put(ReLU(), graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at))
    graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at)
    return NetworkCase(Network(graph.nodes), draw(numbers(shape)))


@st.composite
def dense_networks(
    draw: Any, *, shape: Any = SMALL_VECTORS, norm: Any = EITHER, hidden: Any = EITHER, numbers: Arrays = arrays
) -> NetworkCase:
    """Networks of one or two Dense layers on vectors, perhaps after a BatchNorm, each with a batch of inputs.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape (N, F) of the input.
    norm : bool or strategy
        Whether the network begins with a BatchNorm.
    hidden : bool or strategy
        Whether a Dense layer and a ReLU come before the last Dense layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of NetworkCase
    """
    shape = drawn(draw, shape)
    graph = Graph({INPUT: shape})
    at = _norm(draw, graph, INPUT, numbers) if drawn(draw, norm) else INPUT
    if drawn(draw, hidden):
        at = graph.put(ReLU(), graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at))
    graph.put(draw(dense(graph.shapes[at], numbers=numbers)), at)
    return NetworkCase(Network(graph.nodes), draw(numbers(shape)))


@st.composite
def two_inputs(
    draw: Any,
    *,
    blocks: Any = UP_TO_3_BLOCKS,
    shape: Any = SMALL_IMAGES,
    columns: Any = POWERS,
    numbers: Arrays = arrays,
) -> NetworkCase:
    """Small networks that read an "image" and a "table", and join the features of both before a Dense layer.

    Parameters
    ----------
    blocks : list of str, or strategy
        Names from `BLOCKS`, in order: what the image passes through.
    shape : tuple of int or strategy
        The shape (N, C, H, W) of the image.
    columns : int or strategy
        The columns of the table.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of NetworkCase
        Its `x` is a tuple of two arrays.
    """
    shape = drawn(draw, shape)
    table = (shape[0], drawn(draw, columns))
    graph, side = Graph({"image": shape, "table": table}), "table"
    at = _features(draw, graph, "image", drawn(draw, blocks), numbers)
    if draw(EITHER):
        side = graph.put(ReLU(), graph.put(draw(dense(table, numbers=numbers)), side))
    joined = graph.put(Concat(), *((at, side) if draw(EITHER) else (side, at)))
    graph.put(draw(dense(graph.shapes[joined], numbers=numbers)), joined)
    net = Network(graph.nodes, inputs=["image", "table"])
    return NetworkCase(net, (draw(numbers(shape)), draw(numbers(table))))
