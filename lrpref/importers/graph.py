"""What the importers share: layers put down one foreign operation after the other, and the proof at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count

import numpy as np

from ..errors import ConversionError, LrprefError
from ..layers import Layer
from ..network import INPUT, Network

Shape = tuple[int, ...]

PROOF = 1e-9
"""How far, relative to the largest output, a network may be from the original in float64."""


def require(condition: bool, why: str) -> None:
    """Raise ConversionError, saying why, unless the condition holds."""
    if not condition:
        raise ConversionError(why)


class Graph:
    """The nodes of a network that grows; every operation becomes a chain of layers, empty for one that does nothing.

    nodes   (name, layer, [names of inputs]), as Network takes them
    shapes  of every node's output, and of "input"
    """

    def __init__(self, input_shape: Shape) -> None:
        self.nodes: list[tuple[str, Layer, list[str]]] = []
        self.shapes: dict[str, Shape] = {INPUT: input_shape}

    def add(self, layers: Sequence[Layer], inputs: Sequence[str], names: Sequence[str]) -> str:
        """Put a chain of layers behind `inputs`; the name under which its value stands.

        names  what to call its nodes, best first; a name that is taken is passed over

        Raises ShapeError where a layer does not take what it gets.
        """
        read = list(inputs)
        for layer in layers:
            shape = layer.output_shape(*(self.shapes[name] for name in read))
            name = self._free(names, layer)
            self.nodes.append((name, layer, read))
            self.shapes[name] = shape
            read = [name]
        return read[0]

    def replace(self, name: str, layer: Layer) -> None:
        """Another layer of the same shape at a node."""
        self.nodes = [(node, layer if node == name else old, inputs) for node, old, inputs in self.nodes]

    def layer(self, name: str) -> Layer | None:
        """The layer at a node; None for the input."""
        return next((layer for node, layer, _ in self.nodes if node == name), None)

    def network(self, output: str) -> Network:
        """The network that ends at the node `output`, without what it does not read; raises ConversionError."""
        try:
            return Network(list(self._reaching(output)))
        except LrprefError as error:
            raise ConversionError(f"the operations form no network: {error}") from error

    def _free(self, names: Sequence[str], layer: Layer) -> str:
        """The first name that no node has."""
        last = names[-1]
        further = (f"{last}_{i}" for i in count(2))
        wanted: Iterable[str] = chain(names, [f"{last}_{type(layer).__name__.lower()}"], further)
        return next(name for name in wanted if name not in self.shapes)

    def _reaching(self, output: str) -> Iterator[tuple[str, Layer, list[str]]]:
        wanted = {output}
        for name, _, inputs in reversed(self.nodes):
            if name in wanted:
                wanted.update(inputs)
        return (node for node in self.nodes if node[0] in wanted)


def prove(net: Network, x: np.ndarray, expected: np.ndarray, original: str, hint: str = "") -> None:
    """Raise ConversionError, saying where and by how much, unless the network computes `expected` on `x`.

    original  what computed `expected`, as in "the module"
    hint      what may be the reason
    """
    try:
        y = net.forward(x)
    except LrprefError as error:
        raise ConversionError(f"the network does not run on the example: {error}") from error
    require(y.shape == expected.shape, f"the network's output has shape {y.shape}, that of {original} {expected.shape}")
    require(bool(np.isfinite(expected).all()), f"{original} returns NaN or infinities on the example")
    largest = float(abs(expected).max(initial=0.0)) or 1.0
    off = abs(y - expected) / largest
    difference = float(off.max(initial=0.0))
    if not difference <= PROOF:  # so that NaN is refused
        where = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
        raise ConversionError(
            f"the network differs from {original} by {difference:.3g} of its largest output on the example, "
            f"most at output {where}{hint and '; ' + hint}"
        )
