"""A network as data for `lrp.js`: its graph, its layers, and its arrays as float32 numbers in base64."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..backend import is_array, to_numpy
from ..errors import ConversionError
from ..layers import Head, Layer
from ..network import Network, check_network, check_one_input
from ..zoo import inputs, samples

_WINDOW = ("kernel_size", "stride", "padding", "dilation")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "Dense": ("weight", "bias"),
    "Conv2D": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "AvgPool2D": (*_WINDOW, "count_include_pad"),
    "MaxPool2D": (*_WINDOW, "ties"),
    "GlobalAvgPool2D": (),
    "BatchNorm": ("weight", "bias", "mean", "var", "eps"),
    "Scale": ("weight", "bias"),
    "Add": (),
    "ReLU": (),
    "ReLU6": (),
    "LeakyReLU": ("negative_slope",),
    "Tanh": (),
    "Dropout": ("p",),
    "Flatten": (),
}
"""The layers that `lrp.js` has, with their parameters there. A test compares this table with the one in that file."""

HEADS = ("Softmax", "LogSoftmax")
"""The layers that `lrp.js` takes at the end of a network; explanations start before them."""


def embedded(net: Network, name: str, about: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return a network as data that JSON can represent.

    Parameters
    ----------
    net : Network
        A network for images of one or three channels, made of the layers in `FIELDS` and, at the end, `HEADS`.
    name : str
        The name that the page shows.
    about : mapping
        The metadata of the network; "classes", and "mean" and "std" of the "input", are used.
    shape : tuple of int
        The shape (C, H, W) of one input.

    Returns
    -------
    dict
        What `LRP.network` reads ("nodes" and "layers"), with the name, the shape, the classes and the normalisation.

    Raises
    ------
    ConversionError
        If `lrp.js` lacks a layer or a parameter of one, or if the input is no image of one or three channels.
    """
    check_offered(net, name)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ConversionError(f"the page draws images of one or three channels; the input of {name} has shape {shape}")
    keys: dict[int, str] = {}
    layers: dict[str, Any] = {}
    for node, layer, _ in net.nodes:
        if id(layer) not in keys:
            keys[id(layer)] = node
            layers[node] = _described(layer)
    normalisation = inputs.Normalisation.of(about)
    classes = about.get("classes")
    outputs = net.shapes((1, *shape))[net.output][1]
    return {
        "name": name,
        "nodes": [[node, keys[id(layer)], list(read)] for node, layer, read in net.nodes],
        "layers": layers,
        "shape": list(shape),
        "classes": [str(c) for c in classes] if isinstance(classes, list) else [str(k) for k in range(outputs)],
        "mean": [0.0] * shape[0] if normalisation is None else normalisation.mean.tolist(),
        "std": [1.0] * shape[0] if normalisation is None else normalisation.std.tolist(),
    }


def embedded_samples(shapes: Iterable[tuple[int, ...]]) -> dict[str, Any]:
    """Return the samples of these shapes by name: pixels from 0 to 1, (C, H, W), and what the sample shows."""
    found = [(name, shape) for shape in sorted(set(shapes)) for name in samples.names(shape)]
    return {name: {**encoded(samples.load(name, shape)[0]), "label": str(samples.label(name))} for name, shape in found}


def check_offered(net: Network, name: str) -> None:
    """Raise ConversionError, with the node and its layer, unless `lrp.js` has every layer of a network.

    Parameters
    ----------
    net : Network
        A network of one input and one output.
    name : str
        Its name, for the message.
    """
    check_network(net)
    check_one_input(net, "the interactive page")
    for node, layer, _ in net.nodes:
        kind = type(layer).__name__
        if kind in HEADS and node == net.output:
            continue
        if kind not in FIELDS:
            raise ConversionError(
                f"{name}: lrp.js, the engine of the page, lacks the layer {kind} (node {node!r}). It has: "
                f"{', '.join(FIELDS)}"
            )
        strange = [field for field, value in _values(layer).items() if field not in FIELDS[kind] and _used(value)]
        if strange:
            raise ConversionError(f"{name}: lrp.js lacks the parameter {strange[0]} of {kind} (node {node!r})")


def _used(value: Any) -> bool:
    return is_array(value) or value not in (None, False)


def _values(layer: Layer) -> dict[str, Any]:
    return {field.name: getattr(layer, field.name) for field in fields(layer) if field.init}


def _described(layer: Layer) -> dict[str, Any]:
    """The type, the parameters and the arrays of a layer."""
    values = {} if isinstance(layer, Head) else _values(layer)
    arrays = {field: encoded(to_numpy(value)) for field, value in values.items() if is_array(value)}
    config = {field: value for field, value in values.items() if field not in arrays}
    return {"type": type(layer).__name__, "config": config, "arrays": arrays}


def encoded(array: np.ndarray) -> dict[str, Any]:
    """Return an array as its shape and its numbers, little-endian float32 in base64, which `LRP.array` reads."""
    numbers = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": list(array.shape), "float32": base64.b64encode(numbers.tobytes()).decode("ascii")}
