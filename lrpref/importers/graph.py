"""The parts that importers share: a graph that grows by one operation at a time, and the final check."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from math import prod
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..errors import ConversionError, LrprefError
from ..layers import (
    Affine,
    Dense,
    Flatten,
    Layer,
    LogSoftmax,
    Permute,
    Reshape,
    Scale,
    Slice,
    Softmax,
    TokenDense,
)
from ..layers.conv import Kernels
from ..layers.pad import Pad
from ..network import INPUT, Network

Shape = tuple[int, ...]
Nodes = Sequence[tuple[str, Layer, list[str]]]
"""Nodes in order, as `Network` takes them."""

TOLERANCE = 1e-9
"""The largest difference, relative to the largest output, between a network and the original in float64."""


def require(condition: bool, why: str) -> None:
    """Raise ConversionError with the reason `why` unless the condition holds."""
    if not condition:
        raise ConversionError(why)


def reshaped(before: Shape, after: Shape) -> list[Layer]:
    """Return the layer for a change of the samples' shape, none if it stays; refuse to move values between samples.

    Sizes of images are left open where that is possible: an image whose rows and columns become one axis may have any.
    """
    require(
        before[:1] == after[:1] and prod(before) == prod(after),
        f"reshaping from {before} to {after} is not supported: it would move values from one sample to another",
    )
    if before == after:
        return []
    if len(after) == 2:
        return [Flatten()]
    return [Reshape((after[1], -1) if len(after) == 3 and after[1] == before[1] else after[1:])]


def cells(axis: int, numbers: Sequence[int], n: int) -> list[Layer]:
    """Return the layer that reads these cells, counted from 0, of `n` along an axis; none for all of them in order."""
    if list(numbers) == list(range(n)):
        return []
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    found = range(numbers[0], numbers[0] + step * len(numbers), step) if numbers and step else range(0)
    require(
        bool(numbers) and list(found) == list(numbers),
        f"it reads the cells {list(numbers)[:8]} along axis {axis}; only evenly spaced cells are supported",
    )
    return [Slice(axis, found.start, found.stop if found.stop >= 0 else None, step)]


def along(axis: int, rank: int, layers: Sequence[Layer]) -> list[Layer]:
    """Return layers that work along axis 1, between permutations that make them work along another axis.

    >>> along(2, 3, [])
    [Permute(axes=(0, 2, 1)), Permute(axes=(0, 2, 1))]
    """
    return permuted((0, axis, *(k for k in range(1, rank) if k != axis)), layers)


def permuted(axes: Shape, layers: Sequence[Layer]) -> list[Layer]:
    """Return layers between a permutation of the axes and the one that undoes it; alone if the order stays."""
    if axes == tuple(range(len(axes))):
        return list(layers)
    return [Permute(axes), *layers, Permute(tuple(sorted(range(len(axes)), key=lambda k: axes[k])))]


class Graph:
    """The nodes of a network under construction; each operation adds a chain of layers, empty for an identity.

    It begins with the shape of the example, or with that of the example of every input by its name.

    Attributes
    ----------
    nodes : dict of str to (Layer, list of str)
        The layer and the names of the inputs of each node, in order.
    shapes : dict of str to tuple
        The shape of every node's output, and of every input.
    inputs : tuple of str
        The names of the inputs.
    bound : list of str
        What was computed for the size of the example, so that the network is valid for that size only.
    """

    def __init__(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        self.nodes: dict[str, tuple[Layer, list[str]]] = {}
        self.shapes: dict[str, Shape] = {INPUT: input_shape} if isinstance(input_shape, tuple) else {**input_shape}
        self.inputs = tuple(self.shapes)
        self.bound: list[str] = []

    def add(
        self,
        layers: Sequence[Layer],
        inputs: Sequence[str],
        names: Sequence[str],
        readers: Callable[[str], int] = lambda name: 2,
    ) -> str:
        """Append a chain of layers that reads `inputs`; return the name of its last node.

        A permutation that undoes the one before it is left out, and a constant added to the output of a layer without
        bias becomes its bias, if nothing else reads that output; `readers` returns how many operations read a node, by
        default more than one. `names` are the preferred names of the first layer that is not only there for another one
        (permutations and borders), best first; names already in use are skipped, and other layers are named after the
        last. Raises ShapeError if a layer does not accept its input.
        """
        read, alone = list(inputs), True
        main = next((k for k, layer in enumerate(layers) if not isinstance(layer, Permute | Pad)), 0)
        for k, layer in enumerate(layers):
            shape = layer.output_shape(*(self.shapes[name] for name in read))
            before = self.layer(read[0])
            if isinstance(layer, Permute) and isinstance(before, Permute) and _undone(before, layer):
                alone = alone and readers(read[0]) <= 1
                read = self.nodes[read[0]][1]
                continue
            combined = merged(before, layer)
            if combined is not None and alone and readers(read[0]) <= 1:
                self.replace(read[0], combined)
                continue
            name = self._free(names if k == main else (), names[-1], layer)
            self.nodes[name] = layer, read
            self.shapes[name] = shape
            read = [name]
        return read[0]

    def add_nodes(self, made: Callable[[str], Nodes], names: Sequence[str]) -> str:
        """Append several nodes, which `made` returns for the name of the last one; return that name.

        Their names begin with that of the last one: the first of `names` that is not in use, or a further one.
        """
        free = (name for name in chain(names, (f"{names[-1]}_{i}" for i in count(2))) if not self._begins(name))
        nodes = made(next(free))
        for name, layer, read in nodes:
            self.shapes[name] = layer.output_shape(*(self.shapes[each] for each in read))
            self.nodes[name] = layer, read
        return nodes[-1][0]

    def _begins(self, name: str) -> bool:
        """Whether a node has this name, or one that begins with it and a dot."""
        return any(known == name or known.startswith(f"{name}.") for known in self.shapes)

    def replace(self, name: str, layer: Layer) -> None:
        """Replace the layer at a node by another one with the same output shape."""
        self.nodes[name] = layer, self.nodes[name][1]

    def take_logarithm(self, name: str, alone: bool) -> None:
        """Replace the Softmax at a node by LogSoftmax, for a logarithm that is `alone` in reading it, or refuse it."""
        layer, rank = self.layer(name), len(self.shapes[name])
        require(
            isinstance(layer, Softmax) and layer.axis % rank == 1 and alone,
            "a logarithm is supported only of a softmax over axis 1 that nothing else reads",
        )
        self.replace(name, LogSoftmax())

    def layer(self, name: str) -> Layer | None:
        """Return the layer at a node; None for an input."""
        return self.nodes[name][0] if name in self.nodes else None

    def network(self, *outputs: str) -> Network:
        """Return the network up to these nodes, without unused nodes; raises ConversionError."""
        several = outputs if len(outputs) > 1 else None
        try:
            return Network(list(self._reaching(outputs)), inputs=self.inputs, outputs=several)
        except LrprefError as error:
            raise ConversionError(f"the operations do not form a valid network: {error}") from error

    def _free(self, names: Sequence[str], last: str, layer: Layer) -> str:
        """Return the first of the preferred names that is not in use, or a further one, which begins with the last."""
        further = (f"{last}_{i}" for i in count(2))
        wanted: Iterable[str] = chain(names, [f"{last}_{type(layer).__name__.lower()}"], further)
        return next(name for name in wanted if name not in self.shapes)

    def _reaching(self, outputs: Collection[str]) -> Iterator[tuple[str, Layer, list[str]]]:
        """Yield the nodes that the outputs depend on."""
        wanted = set(outputs)
        for name, (_, inputs) in reversed(self.nodes.items()):
            if name in wanted:
                wanted.update(inputs)
        return ((name, *node) for name, node in self.nodes.items() if name in wanted)


def merged(before: Layer | None, after: Layer) -> Layer | None:
    """Merge a layer without bias and the addition of a constant to its output; None if the layers are anything else."""
    if isinstance(before, TokenDense):
        if not isinstance(after, Affine) or after.weight is not None or before.bias is not None:
            return None
        return replace(before, bias=after.bias) if after.bias is not None and after.bias.ndim == 1 else None
    if not (isinstance(after, Scale) and isinstance(before, Dense | Kernels | Scale)):
        return None
    only_adds = after.bias is not None and bool(np.all(np.asarray(after.weight) == 1))
    return replace(before, bias=after.bias) if only_adds and before.bias is None else None


HIDDEN = -1e9
"""What a mask adds to the scores that it hides, in place of -infinity; a softmax makes 0 of both."""


def hidden(v: np.ndarray) -> np.ndarray:
    """Return a constant with `HIDDEN` in place of -infinity, and of the least numbers of a dtype, which masks hold too.

    >>> hidden(np.array([0.5, -np.inf, np.finfo("float64").min]))
    array([ 5.e-01, -1.e+09, -1.e+09])
    """
    return np.where(v <= np.finfo(np.float32).min, HIDDEN, v)


def affine(weight: np.ndarray, bias: np.ndarray, shape: Shape) -> list[Layer]:
    """Return the layer for weight * activation + bias, none for the identity.

    Both constants are broadcast against `shape`, and have the same shape. What varies along axis 1 alone, that of
    channels and features, becomes a Scale, anything else an Affine.
    """
    told = weight.shape
    fits = len(shape) > 1 and np.broadcast_shapes(told, shape) == shape
    require(fits, f"a constant of shape {told} changes the activation's shape {shape}; lrpref does not broadcast")
    weight, bias = (v.reshape((1,) * (len(shape) - len(told)) + told) for v in (weight, bias))
    weight, bias = hidden(weight), hidden(bias)
    require(weight.shape[0] == 1, f"a constant of shape {told} has one number per sample, which no layer supports")
    both = np.stack([weight, bias])
    varying = [axis for axis in range(len(shape)) if (both != both.take([0], axis + 1)).any()]
    if (weight == 1).all() and not bias.any():
        return []
    for axis in set(range(1, len(shape))) - set(varying):  # what does not vary has one cell
        both = both.take([0], axis + 1)
    if varying in ([], [1]):
        w, b = (np.broadcast_to(v.reshape(-1), (shape[1],)).copy() for v in both)
        return [Scale(w, b if b.any() else None)]
    w, b = both.reshape(2, *both.shape[varying[0] + 1 :])  # without the axes before the first one that varies
    return [Affine(None if (w == 1).all() else w, b if b.any() else None)]


def _undone(first: Permute, second: Permute) -> bool:
    """Whether the second permutation undoes the first."""
    return [first.axes[axis] for axis in second.axes] == list(range(len(first.axes)))


def verify(
    net: Network, x: Any, expected: np.ndarray, original: str, hint: str = "", tolerance: float = TOLERANCE
) -> None:
    """Raise ConversionError unless the network computes `expected` on `x`; the message gives the largest difference.

    `original` names what computed `expected`, as in "the module"; `hint` is a possible cause for the message.
    `tolerance` is relative to the largest output.
    """
    try:
        y = to_numpy(net.forward(x))
    except LrprefError as error:
        raise ConversionError(f"the imported network does not run on the example: {error}") from error
    require(
        y.shape == expected.shape,
        f"the output of the imported network has shape {y.shape}, that of {original} has {expected.shape}",
    )
    require(
        bool(np.isfinite(expected).all()),
        f"{original} returns NaN or infinities on the example; use another example",
    )
    largest = float(abs(expected).max(initial=0.0)) or 1.0
    off = abs(y - expected) / largest
    difference = float(off.max(initial=0.0))
    if not difference <= tolerance:  # written this way so that NaN is refused
        where = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
        raise ConversionError(
            f"the imported network differs from {original} by {difference:.3g} of the largest output on the example, "
            f"most at output {where}{hint and '; ' + hint}"
        )


def fixed_where_unproven(
    net: Network,
    shape: Shape,
    free: Collection[int],
    bound: Sequence[str],
    prove: Callable[[Shape], None],
    first: int = 2,
    held: Sequence[str] = (),
) -> Network:
    """Return a network that was verified at `shape`, fixed to that size wherever another size would be unproven.

    Parameters
    ----------
    net : Network
        The imported network.
    shape : tuple of int
        The shape of the example.
    free : collection of int
        The axes from 1 on that the original leaves free.
    bound : sequence of str
        What was computed for the size of the example.
    prove : callable
        Compares the network and the original on an input of the given shape, without the batch axis; raises LrprefError
        if they differ, or if either cannot be run.
    first : int
        The first axis that may come in several sizes: 2 for signals, images and volumes (N, C, ...), whose channels
        are fixed; 1 for indices (N, T).
    held : sequence of str
        What was computed for the length of axis 1. It holds channels or features, which the layers mostly fix
        themselves, or tokens; where the layers take another length, it is tried, too.

    Returns
    -------
    Network
        The same nodes; `input_shape` is set unless every size is valid.
    """
    sizes: list[int | None] = [None if axis in free else n for axis, n in enumerate(shape)]
    later = [axis for axis in free if axis >= first]
    if later and bound:
        return _fixed(net, shape[1:], f"{bound[0]} {AT_THAT_SIZE}")
    failed = _unproven(prove, larger(shape, later)) if later else ""
    if failed:
        sizes[first:] = shape[first:]
    why = failed or "the file declares that size; export it with free axes for other sizes"
    if first > 1:
        taken = _taken(net, {INPUT: shape}, INPUT)
        others = filter(None, (_unproven(prove, (n, *shape[2:])) for n in taken))
        wrong = f"{held[0]} {AT_THAT_SIZE}" if taken and held else next(others, "")
        free_too = (taken and 1 in free) or not any(sizes[2:])  # where no other length is taken, the layers see to it
        sizes[1] = shape[1] if wrong or not free_too else None
        why = failed or wrong or why
    return _fixed(net, sizes[1:], why) if any(sizes[1:]) else net


AT_THAT_SIZE = "at that size; import again with an example of the size that you need"


def _fixed(net: Network, sizes: Sequence[Any], why: str) -> Network:
    """Return a network that accepts inputs of these sizes only."""
    return Network(net.nodes, sizes, why, net.inputs, net.outputs if len(net.outputs) > 1 else None)


def _unproven(prove: Callable[[Shape], None], shape: Shape) -> str:
    """Return why another shape could not be proven; an empty text if it was."""
    try:
        prove(shape)
    except LrprefError as error:
        why = (str(error).splitlines() or [""])[0][:200]
        return f"a check on inputs of shape {shape} failed: {why}"
    return ""


def _taken(net: Network, shapes: Mapping[str, Shape], name: str) -> list[int]:
    """Return other lengths of axis 1 of an input, of a few that are tried, that the layers take."""
    batch, n, *rest = shapes[name]
    taken = []
    for other in filter(None, dict.fromkeys((2 * n + 1, n + 1, 2 * n, n - 1))):
        try:
            net.shapes(net.as_given({**shapes, name: (batch, other, *rest)}, like=()))
        except LrprefError:
            continue
        taken.append(other)
    return taken


def fixed_for_several(net: Network, shapes: Mapping[str, Shape]) -> Network:
    """Return a network of several inputs that was verified at these shapes, fixed to them unless the layers do so.

    The sizes of several images or sequences may depend on one another, so no other size is tried.
    """
    loose = {name: len(shape) > 2 or bool(_taken(net, shapes, name)) for name, shape in shapes.items()}
    sizes = [shape[1:] if loose[name] else None for name, shape in shapes.items()]
    if not any(sizes):
        return net
    return _fixed(net, sizes, f"a network of several inputs is checked at one size; {AT_THAT_SIZE.partition('; ')[2]}")


def larger(shape: Shape, free: Collection[int]) -> Shape:
    """Return the shape of one input that is more than twice as long along a free axis, and larger along the others.

    >>> larger((2, 3, 8, 8), (2, 3))
    (3, 17, 10)
    """
    sizes = {axis: 2 * shape[axis] + 1 if axis == min(free) else shape[axis] + 2 for axis in free}
    return tuple(sizes.get(axis, n) for axis, n in enumerate(shape))[1:]
