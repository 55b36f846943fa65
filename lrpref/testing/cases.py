"""A case: a layer or a network at work, to put to a law. How it is told, counted, and made smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np

from ..backend import Array, as_tuple, is_array, to_numpy
from ..layers import Dense, Layer
from ..layers.base import Shape
from ..network import Network
from .laws import brief


class LayerCase(NamedTuple):
    """A layer, its inputs (a tuple, also of one), and the relevance of its output."""

    layer: Layer
    inputs: tuple[np.ndarray, ...]
    R: np.ndarray

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The inputs' shapes, batch included."""
        return tuple(tuple(a.shape) for a in self.inputs)

    def at(self, n: int) -> LayerCase:
        """Sample n alone."""
        return LayerCase(self.layer, tuple(a[n : n + 1] for a in self.inputs), self.R[n : n + 1])


class NetworkCase(NamedTuple):
    """A network and a batch for it."""

    net: Network
    x: np.ndarray


def describe(case: LayerCase | NetworkCase) -> str:
    """A case in a few lines: the layer, or the nodes of the network, and the arrays.

    >>> print(describe(LayerCase(Dense([[2.0]]), (np.array([[1.0]]),), np.array([[3.0]]))))
    Dense(weight=[[2]])
    a = [[1]]
    R = [[3]]
    """
    if isinstance(case, NetworkCase):
        nodes = [f"{name} = {describe_layer(layer)} <- {', '.join(inputs)}" for name, layer, inputs in case.net.nodes]
        return "\n".join([*nodes, f"x = {brief(case.x)}"])
    return f"{describe_layer(case.layer)}\na = {', '.join(map(brief, case.inputs))}\nR = {brief(case.R)}"


def describe_layer(layer: Layer) -> str:
    """A layer with what differs from its defaults."""
    told = [(f.name, getattr(layer, f.name), f.default) for f in fields(layer) if f.repr]
    shown = [f"{n}={brief(v) if is_array(v) else repr(v)}" for n, v, default in told if is_array(v) or v != default]
    return f"{type(layer).__name__}({', '.join(shown)})"


def numbers(case: LayerCase | NetworkCase) -> int:
    """How many numbers a case holds: weights, biases, inputs and relevance together.

    >>> numbers(LayerCase(Dense([[2.0]]), (np.array([[1.0]]),), np.array([[3.0]])))
    3
    """
    model, *arrays = case
    held = list(model.parameters.values()) if isinstance(model, Network) else list(layer_arrays(model).values())
    return sum(int(np.size(to_numpy(a))) for a in [*held, *(part for found in arrays for part in as_tuple(found))])


def layer_arrays(layer: Layer) -> dict[str, Array]:
    """The arrays that a layer holds, by name."""
    return {f.name: getattr(layer, f.name) for f in fields(layer) if is_array(getattr(layer, f.name))}


def smaller(case: LayerCase | NetworkCase) -> Iterator[LayerCase | NetworkCase]:
    """The same case with one sample less, and for a Dense layer one output, one input, or the bias less.

    Hypothesis changes one array at a time; a row of the weights and its relevance must go together.
    """
    if isinstance(case, NetworkCase):
        yield from (case._replace(x=x) for x in _without_one(case.x, 0))
        return
    layer, inputs, R = case
    for n, fewer in enumerate(_without_one(R, 0)):
        yield LayerCase(layer, tuple(np.delete(a, n, 0) for a in inputs), fewer)
    if isinstance(layer, Dense):
        for j, fewer in enumerate(_without_one(R, 1)):
            kept = {name: np.delete(array, j, 0) for name, array in layer_arrays(layer).items()}
            yield LayerCase(replace(layer, **kept), inputs, fewer)
        for i, a in enumerate(_without_one(inputs[0], 1)):
            yield LayerCase(replace(layer, weight=np.delete(layer.weight, i, 1)), (a,), R)
        if layer.bias is not None:
            yield LayerCase(replace(layer, bias=None), inputs, R)


def _without_one(array: np.ndarray, axis: int) -> Iterator[np.ndarray]:
    """The array without each place along an axis in turn; nothing where there is only one."""
    size = array.shape[axis]
    yield from (np.delete(array, n, axis) for n in range(size) if size > 1)
