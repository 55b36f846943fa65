"""Import Keras models.

`from_keras` follows the graph of a functional or sequential model, converts its layers in order (`keras_layers.py`),
and refuses the first unsupported one by name. It then checks on an example that network and model compute the same, in
a copy of the model in float64. Keras, with whatever backend it has, is imported when `from_keras` is called.

Keras keeps images as (N, H, W, C), lrpref as (N, C, H, W). The last axis of every array with more than two axes becomes
axis 1, also of inputs and outputs; a flattened image keeps Keras's order of features.

Names: a node has the name of its layer, such as "block1_conv1"; the function after a layer has both names, as in
"block1_conv1_relu".
"""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..._support.extras import library
from ...errors import ConversionError, LrprefError
from ...layers import Layer
from ...network import INPUT, Network
from ..graph import TOLERANCE, Graph, Shape, fixed_for_several, fixed_where_unproven, require, verify
from .layers import Call, array, check_known, converted, own_axis, own_shape

SUFFIXES = (".keras", ".h5", ".hdf5")
"""The files that Keras reads."""

IN_FLOAT32 = 1e-4
"""The largest difference, relative to the largest output, where Keras's backend computes in float32 only."""

ORIGINAL = "the model"
HINT = (
    "possible causes are layers with custom code, and padding='same' in a transposed convolution, which differs "
    "between Keras's backends"
)


def from_keras(model: Any, example: Any = None) -> Network:
    """Import a Keras model, or the model in a .keras or .h5 file.

    The two forward passes must agree on an example in float64, to 1e-9 of the largest output; to 1e-4 if Keras's
    backend computes in float32 only, as JAX does by default.

    Parameters
    ----------
    model : keras.Model, str or path-like
        A functional or sequential model, which is left unchanged, or its file. Keras reads the file in safe mode.
    example : array, shape (N, ...), tuple of arrays, or None
        An input in Keras's layout, such as (N, H, W, C), on which the network is checked; for several inputs, one for
        each, in order. None draws one at random; the model must then know the shape of its input.

    Returns
    -------
    Network
        The network, in float64 if any weight of the model is, otherwise in float32. It takes images as (N, C, H, W).

    Raises
    ------
    ConversionError
        If the model has no graph, a layer is not supported, the example is missing, or the network does not compute the
        same function. The message names the layer.
    LrprefError
        If Keras is not installed.
    """
    return imported(model, example)[0]


def imported(model: Any, example: Any = None) -> tuple[Network, Shape | None]:
    """Import a model as `from_keras` does; return also the shape of one input, None if there are several inputs."""
    keras = library("keras", "keras", "Keras models")
    if isinstance(model, str | os.PathLike):
        model = _loaded(keras, Path(model))
    twin = _twin(keras, model)
    x = _examples(twin, example)
    expected = _computed(keras, twin, x)
    importer = _Importer(keras, twin, x)
    outputs = importer.outputs()
    net = importer.graph.network(*dict.fromkeys(outputs))
    _verify(net, outputs, x, expected)
    shapes = {name: own_shape(each.shape) for name, each in x.items()}

    def prove(shape: Shape) -> None:
        z = {INPUT: np.random.default_rng(0).normal(size=(1, *shape[1:], shape[0]))}
        _verify(net, outputs, z, _computed(keras, twin, z))

    if len(x) > 1:
        net = fixed_for_several(net, shapes)
    else:
        [told] = twin.inputs
        free = [own_axis(k, len(told.shape)) for k, n in enumerate(told.shape[1:-1], 1) if n is None]
        net = fixed_where_unproven(net, shapes[INPUT], free, importer.graph.bound, prove)
    double = any(array(weight).dtype == np.float64 for weight in model.weights)
    return net if double else net.astype(np.float32), shapes[INPUT][1:] if len(x) == 1 else None


# ---- the model -----------------------------------------------------------------------------------------------------


def _loaded(keras: Any, path: Path) -> Any:
    """Read a model from a file, in safe mode."""
    require(path.suffix.lower() in SUFFIXES, f"{path}: Keras reads {', '.join(SUFFIXES)} files")
    require(path.is_file(), f"{path} does not exist, or is not a file")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"{path}: Keras cannot read the model: {said}. If it has layers of your own, load it in Keras, and call "
            "lrpref.from_keras(model)"
        ) from error


def _twin(keras: Any, model: Any) -> Any:
    """Return a copy of the model in float64."""
    require(isinstance(model, keras.Model), f"expected a keras.Model or its file, got {type(model).__name__}")
    require(
        bool(getattr(model, "inputs", None)) and bool(getattr(model, "outputs", None)),
        f"{type(model).__name__} {model.name!r} has no graph of layers: a Sequential needs an Input or a first call, "
        "and a subclass of Model must be rewritten as keras.Model(inputs, outputs)",
    )
    for layer in _layers(keras, model):
        try:
            check_known(layer)
        except ConversionError as error:
            raise ConversionError(f"{_label(layer)}: {error}") from error
    try:
        twin = type(model).from_config(_in_double(model.get_config()))
        twin.set_weights([array(weight).astype(np.float64) for weight in model.weights])
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConversionError(f"the model cannot be copied in float64: {said}") from error
    return twin


def _layers(keras: Any, model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and of the models inside it, without those models."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(keras, layer)
        else:
            yield layer


def _label(operation: Any) -> str:
    """Return the name and the type of a layer or operation as text."""
    return f"layer {operation.name!r} ({type(operation).__name__})"


def _in_double(config: Any) -> Any:
    """Return the configuration of a model with every dtype replaced by float64."""
    narrow = ("float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16")
    if isinstance(config, Mapping):
        policy = config.get("class_name") == "DTypePolicy"
        if policy:
            return {**config, "config": {"name": "float64"}}
        return {k: "float64" if k == "dtype" and v in narrow else _in_double(v) for k, v in config.items()}
    return type(config)(map(_in_double, config)) if isinstance(config, list | tuple) else config


def _examples(model: Any, example: Any) -> dict[str, np.ndarray]:
    """Return the example of every input in float64, in Keras's layout, by the name of the network's input."""
    names = [tensor._keras_history.operation.name for tensor in model.inputs]
    if example is None:
        example = tuple(map(_drawn, names, (tensor.shape for tensor in model.inputs)))
    elif len(names) == 1:
        example = (example,)
    require(
        isinstance(example, tuple | list) and len(example) == len(names),
        f"the model has {len(names)} inputs: expected a tuple with one example for each of {', '.join(names)}",
    )
    try:
        arrays = [np.asarray(each, np.float64) for each in example]
    except (TypeError, ValueError) as error:
        raise ConversionError(f"the example must be an array of numbers: {error}") from error
    for each, tensor in zip(arrays, model.inputs, strict=True):
        fits = each.ndim == len(tensor.shape) > 1 and all(
            n in (None, m) for n, m in zip(tensor.shape[1:], each.shape[1:], strict=True)
        )
        require(fits, f"the model takes inputs of shape {tuple(tensor.shape)}, the example has shape {each.shape}")
    return dict(zip([INPUT] if len(names) == 1 else names, arrays, strict=True))


def _drawn(name: str, shape: Sequence[int | None]) -> np.ndarray:
    """Return a random example for an input."""
    sizes = [n for n in shape[1:] if n is not None]
    require(
        len(sizes) == len(shape) - 1,
        f"the model does not fix the size of its input {name!r}, {tuple(shape)}; give an example of the size that you "
        "need",
    )
    return np.random.default_rng(0).uniform(size=(2, *sizes))


def _computed(keras: Any, model: Any, x: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return what the model computes, in lrpref's layout."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras and its backend
            given = [keras.ops.convert_to_tensor(each, "float64") for each in x.values()]
            with _no_float32():
                y = keras.tree.flatten(model(given[0] if len(given) == 1 else given, training=False))
            arrays = [np.asarray(keras.ops.convert_to_numpy(keras.ops.stop_gradient(each))) for each in y]
    except Exception as error:
        raise ConversionError(f"the model does not run on the example: {error}") from error
    return [_channels_first(each) for each in arrays]


@contextlib.contextmanager
def _no_float32() -> Iterator[None]:
    """Let Keras's normalisations compute in float64; a table of dtypes makes them compute in float32."""
    table = getattr(importlib.import_module("keras.src.backend.common.dtypes"), "BIT64_TO_BIT32_DTYPE", {})
    kept = dict(table)
    table.clear()
    try:
        yield
    finally:
        table.update(kept)


def _channels_first(x: np.ndarray) -> np.ndarray:
    """Return an array in lrpref's layout."""
    return np.moveaxis(x, -1, 1) if x.ndim > 2 else x


def _verify(net: Network, outputs: Sequence[str], x: Mapping[str, np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Raise ConversionError unless the network computes each of the expected arrays at the output of that name."""
    given = net.as_given({name: _channels_first(each) for name, each in x.items()}, like=())
    for output, y in zip(outputs, expected, strict=True):
        part = net if len(net.outputs) == 1 else net.up_to(output)
        verify(part, given, y, ORIGINAL, HINT, TOLERANCE if y.dtype == np.float64 else IN_FLOAT32)


# ---- the graph -----------------------------------------------------------------------------------------------------


class _Importer:
    """Converts the layers of a model in order."""

    def __init__(self, keras: Any, model: Any, x: Mapping[str, np.ndarray]) -> None:
        self.keras, self.model, self.names = keras, model, list(x)
        self.graph = Graph({name: own_shape(each.shape) for name, each in x.items()})
        self.layers: dict[Any, list[Layer]] = {}

    def outputs(self) -> list[str]:
        """Convert all layers, and return the names of the nodes that hold the model's outputs."""
        names = self._followed(self.model, self.names)
        require(not {*names} & {*self.names}, "the model returns its input; there is no layer to import")
        return names

    def _followed(self, model: Any, inputs: Sequence[str]) -> list[str]:
        """Convert the layers of a model, or of one inside it, and return the names of the nodes with its outputs."""
        at = {id(tensor): name for tensor, name in zip(model.inputs, inputs, strict=True)}
        waiting = list(reversed(model.outputs))
        while waiting:
            tensor = waiting[-1]
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            missing = [each for each in node.input_tensors if id(each) not in at]
            if id(tensor) not in at and missing:
                waiting += reversed(missing)
                continue
            waiting.pop()
            if id(tensor) not in at:
                read = [at[id(each)] for each in node.input_tensors]
                at |= zip(map(id, node.output_tensors), self._converted(operation, node, read), strict=True)
        return [at[id(tensor)] for tensor in model.outputs]

    def _converted(self, operation: Any, node: Any, read: list[str]) -> list[str]:
        """Convert a layer, or all layers of a model that is one; return the names of the nodes with its outputs."""
        if isinstance(operation, self.keras.Model) and getattr(operation, "inputs", None):
            return self._followed(operation, read)
        label = _label(operation)
        try:
            shapes = tuple(self.graph.shapes[name] for name in read)
            call = Call(operation, shapes, tuple(node.arguments.args), isinstance(operation, self.keras.Layer))
            layers = converted(call)
            if call.is_layer:  # a layer that is used twice, with inputs of one shape, has the same weights
                layers = self.layers.setdefault((id(operation), shapes), layers)
            name = self.graph.add(layers, read, [operation.name], _several)
        except LrprefError as error:
            raise ConversionError(f"{label}: {error}") from error
        self.graph.bound += [f"{label}: {note}" for note in call.bound]
        several = len(node.output_tensors)
        require(several == 1, f"{label}: it returns {several} arrays; only one is supported")
        return [name]


def _several(name: str) -> int:
    """Return how many layers read a node: perhaps several, so that no layers are merged."""
    return 2
