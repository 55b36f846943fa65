"""How the builders write a network: first the graph, with zero weights, then its weights.

A zero weight of any shape is a view of a single number, so that a graph takes no memory before its weights are set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...arithmetic import check_integer, check_number, given_up, is_shape
from ...backend import to_numpy
from ...errors import ParameterError, shown
from ...layers import BatchNorm, Conv2D, Dense, Layer, ReLU, Scale
from ...layers.base import Shape
from ...network import INPUT, Network, Node
from ...weights.state_dict import check_state, from_state_dict

WIDEST = 100
"""The largest factor for the channels."""

SMALL = 64
"""Images with fewer rows or columns than this get the form of a network that is usual for CIFAR-10."""


class Blueprint:
    """A network under construction: nodes are added in order, and the shape of every node is known.

    Parameters
    ----------
    input_shape : sequence of int
        (C, H, W) of one image.
    width : float
        A factor for all numbers of channels.

    Raises
    ------
    ParameterError
        If an argument is out of its range.
    """

    def __init__(self, input_shape: Sequence[int], width: float) -> None:
        if not is_shape(input_shape, least=1) or len(input_shape) != 3:
            raise ParameterError(
                f"input_shape must be (channels, rows, columns) of one image, got {shown(input_shape)}"
            )
        check_number(width, "width, a factor for the channels,", least=0)
        if not 0 < width <= WIDEST:
            raise ParameterError(f"width must be a positive factor for the channels, at most {WIDEST}, got {width}")
        self.width = width
        self.small = min(input_shape[1:]) < SMALL
        self.shapes: dict[str, Shape] = {INPUT: (1, *input_shape)}
        self.nodes: list[tuple[str, Layer, list[str]]] = []

    def channels(self, at: str) -> int:
        """Return the number of channels, or features, at a node."""
        return self.shapes[at][1]

    def widened(self, channels: int) -> int:
        """Multiply a number of channels by the width; at least one is left."""
        return max(1, round(channels * self.width))

    def put(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a node; returns its name."""
        self.nodes.append((name, layer, list(inputs)))
        self.shapes[name] = layer.output_shape(*(self.shapes[i] for i in inputs))
        return name

    def conv(self, name: str, at: str, out: int, kernel: int, stride: int = 1, bias: bool = False) -> str:
        """Add a convolution, padded so that stride 1 keeps the image size; returns its name."""
        weight = zeros(out, self.channels(at), kernel, kernel)
        return self.put(name, Conv2D(weight, zeros(out) if bias else None, stride, kernel // 2), at)

    def norm(self, name: str, at: str) -> str:
        """Add a BatchNorm that is the identity except for its eps; returns its name."""
        C = self.channels(at)
        return self.put(name, BatchNorm(zeros(C) + 1, zeros(C), zeros(C), zeros(C) + 1), at)

    def relu(self, name: str, at: str) -> str:
        """Add a ReLU; returns its name."""
        return self.put(name, ReLU(), at)

    def dense(self, name: str, at: str, out: int) -> str:
        """Add a Dense layer with a bias; returns its name."""
        check_integer(out, "the number of outputs", least=1)
        return self.put(name, Dense(zeros(out, self.channels(at)), zeros(out)), at)

    def network(self, seed: int | np.random.Generator | None, state: Mapping[str, Any] | None) -> Network:
        """Return the network with the weights in `state`, or else with random ones."""
        net = Network(self.nodes)
        if state is not None:
            check_state(state)
            fixed = {f"{name}.weight": layer.weight for name, layer, _ in net.nodes if isinstance(layer, Scale)}
            return from_state_dict(net, {**state, **fixed})
        if seed is None:
            return net
        if isinstance(seed, np.random.Generator):
            return initialised(net, seed)
        check_integer(seed, "seed", least=0)
        return initialised(net, np.random.default_rng(seed))


def initialised(net: Network, rng: np.random.Generator) -> Network:
    """Return the same graph with random weights: normal with variance 2 / fan-in, and zero biases.

    With ReLUs, signals then keep their size from layer to layer (He et al. 2015, arXiv 1502.01852, eq. 10).
    BatchNorms are unchanged.
    """
    nodes: list[Node] = []
    for node in net.nodes:
        layer = node.layer
        if isinstance(layer, Conv2D | Dense):
            weight = rng.standard_normal(layer.weight.shape, dtype=np.float32)
            weight *= np.float32((2 / layer.fan_in()) ** 0.5)
            node = node._replace(layer=replace(layer, weight=given_up(weight)))
        nodes.append(node)
    return Network(nodes)


def zeros(*shape: int) -> np.ndarray:
    """Return zeros in float32 that take no memory."""
    return np.broadcast_to(to_numpy(given_up(np.zeros((), dtype=np.float32))), shape)
