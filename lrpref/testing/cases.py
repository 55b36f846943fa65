"""Test cases for laws: a layer or a network with its arrays. How to print a case, count its numbers, and reduce it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from ..arithmetic import full
from ..backend import Array, as_tuple, is_array, to_numpy
from ..layers import Affine, BatchNorm, Dense, Layer, Scale
from ..layers.base import Shape
from ..network import Network
from .laws import brief


class LayerCase(NamedTuple):
    """A layer, its inputs, and the relevance of its output.

    Attributes
    ----------
    layer : Layer
        The layer.
    inputs : tuple of arrays, shape (N, ...)
        The inputs, a tuple even if there is only one.
    R : array, shape (N, ...)
        The relevance of the output.
    """

    layer: Layer
    inputs: tuple[np.ndarray, ...]
    R: np.ndarray

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the inputs, including the batch."""
        return tuple(tuple(a.shape) for a in self.inputs)

    def at(self, n: int) -> LayerCase:
        """Return sample n as a case of its own."""
        return LayerCase(self.layer, tuple(a[n : n + 1] for a in self.inputs), self.R[n : n + 1])


class NetworkCase(NamedTuple):
    """A network and a batch of inputs.

    Attributes
    ----------
    net : Network
        The network.
    x : array, shape (N, ...), or tuple of arrays
        The input; for a network of several inputs, one array for each, in order.
    """

    net: Network
    x: Any


def describe(case: LayerCase | NetworkCase) -> str:
    """Return a case as a few lines of text: the layer, or the nodes of the network, and the arrays.

    Parameters
    ----------
    case : LayerCase or NetworkCase
        The case to describe.

    Returns
    -------
    str
        The layer or each node on a line, then the arrays.

    Examples
    --------
    >>> print(describe(LayerCase(Dense([[2.0]]), (np.array([[1.0]]),), np.array([[3.0]]))))
    Dense(weight=[[2]])
    a = [[1]]
    R = [[3]]
    """
    if isinstance(case, NetworkCase):
        nodes = [f"{name} = {describe_layer(layer)} <- {', '.join(inputs)}" for name, layer, inputs in case.net.nodes]
        given = [f"{name} = {brief(x)}" for name, x in case.net.by_name(case.x).items()]
        return "\n".join([*nodes, *(given if len(given) > 1 else [f"x = {brief(case.x)}"])])
    return f"{describe_layer(case.layer)}\na = {', '.join(map(brief, case.inputs))}\nR = {brief(case.R)}"


def describe_layer(layer: Layer) -> str:
    """Return a layer as text: its type, its arrays, and the fields that differ from their defaults."""
    held = [(f.name, getattr(layer, f.name), f.default) for f in fields(layer) if f.repr]
    shown = [f"{n}={brief(v) if is_array(v) else repr(v)}" for n, v, default in held if is_array(v) or v != default]
    return f"{type(layer).__name__}({', '.join(shown)})"


def numbers(case: LayerCase | NetworkCase) -> int:
    """Return how many numbers a case holds: weights, biases, inputs and relevance together.

    Parameters
    ----------
    case : LayerCase or NetworkCase
        The case to measure.

    Returns
    -------
    int
        The total size of all arrays.

    Examples
    --------
    >>> numbers(LayerCase(Dense([[2.0]]), (np.array([[1.0]]),), np.array([[3.0]])))
    3
    """
    model, *arrays = case
    held = list(model.parameters.values()) if isinstance(model, Network) else list(layer_arrays(model).values())
    return sum(int(np.size(to_numpy(a))) for a in [*held, *(part for found in arrays for part in as_tuple(found))])


def layer_arrays(layer: Layer) -> dict[str, Array]:
    """Return the arrays of a layer by name."""
    return {f.name: getattr(layer, f.name) for f in fields(layer) if is_array(getattr(layer, f.name))}


def without_bias(layer: Layer) -> Layer:
    """Return the layer without anything that adds a constant: biases, a BatchNorm's shift, the value of a border."""
    if isinstance(layer, BatchNorm):
        return Scale(layer.scale_and_shift()[0])
    layer = with_weight(layer)
    changes: dict[str, Any] = {name: None for name in ("bias", "bias_taps") if getattr(layer, name, None) is not None}
    if hasattr(layer, "value"):
        changes["value"] = 0.0
    return replace(layer, **changes) if changes else layer


def doubled(layer: Layer) -> Layer:
    """Return the layer with all its weights and biases times 2."""
    return with_weight(layer).map_arrays(lambda array: 2 * array)


def with_weight(layer: Layer) -> Layer:
    """Return an Affine that only adds a bias with its weight, which is 1; other layers as they are."""
    if not isinstance(layer, Affine) or layer.weight is not None:
        return layer
    assert layer.bias is not None  # an Affine has one of them at least
    return replace(layer, weight=full((1,), 1, like=layer.bias))


def smaller(case: LayerCase | NetworkCase) -> Iterator[LayerCase | NetworkCase]:
    """Yield each sample alone, then the case without one sample, and likewise the outputs and inputs of a Dense layer.

    A Dense layer also loses its bias. Hypothesis changes one array at a time, but a row of the weights and its
    relevance must be removed together.
    """
    if isinstance(case, NetworkCase):
        parts = as_tuple(case.x)
        for n in _fewer(len(parts[0])):
            kept = dict(zip(case.net.inputs, (part[n] for part in parts), strict=True))
            yield case._replace(x=case.net.as_given(kept, like=case.x))
        return
    layer, inputs, R = case
    for n in _fewer(len(R)):
        yield LayerCase(layer, tuple(a[n] for a in inputs), R[n])
    if isinstance(layer, Dense):
        for j in _fewer(R.shape[1]):
            kept = {name: to_numpy(array)[j] for name, array in layer_arrays(layer).items()}
            yield LayerCase(replace(layer, **kept), inputs, R[:, j])
        for i in _fewer(inputs[0].shape[1]):
            yield LayerCase(replace(layer, weight=to_numpy(layer.weight)[:, i]), (inputs[0][:, i],), R)
        if layer.bias is not None:
            yield LayerCase(replace(layer, bias=None), inputs, R)


def _fewer(size: int) -> Iterator[list[int]]:
    """Yield the index of each element alone, then the indices of all elements but one; at least one remains."""
    yield from ([n] for n in range(size) if size > 2)
    yield from ([m for m in range(size) if m != n] for n in range(size) if size > 1)
