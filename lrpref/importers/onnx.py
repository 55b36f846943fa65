"""Import ONNX files.

`from_onnx` converts the operations in order and refuses the first unsupported one by name. It then checks on an example
that the network computes what the onnx package's reference evaluator computes, both in float64. No code from a file is
executed: operations are looked up in a table.

Files that store images as (N, H, W, C), such as those from Keras, become networks that take (N, C, H, W).

Names: a node is named after its weights if these are called "<name>.weight", otherwise after the operation in the file,
or after that operation's output.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .._support.extras import library
from .._support.untrusted import MAX_AXES, UNREADABLE, reason
from ..arithmetic import quiet
from ..backend import is_array
from ..errors import ConversionError, LrprefError, WeightsError
from ..layers import Conv2D, Dense, Layer
from ..layers.window import padded
from ..network import INPUT, Network
from ..weights import MAX_BYTES
from ..weights.state_dict import as_array
from .graph import Graph, Shape, fixed_where_unproven, require, verify
from .layout import CHANNELS_LAST, Layout, plain
from .onnx_evaluator import evaluated
from .onnx_file import DOMAINS, FLOATING, Model, fixed_shape, in_words, read_model
from .onnx_operations import FOLDED, OPERATIONS, SUPPORTED, Activation, Call, merged
from .onnx_patterns import recognised

MAX_WORK = 2**38
"""The most work of the check on the example, in multiplications of a matrix product; about a minute on one core."""

GATHERED, TAP = 2**6, 2**19
"""What a number that is gathered or compared, and a tap of a window, count as work."""


ANY_ORDER = (
    *("Add", "Sub", "Mul", "Div", "Pad", "Cast", "Identity", "Dropout"),
    *("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh"),
)
"""The operations on images that accept any order of the axes."""


def from_onnx(
    path: str | os.PathLike[str], example: Any = None, output: str | None = None, max_bytes: int = MAX_BYTES
) -> Network:
    """Import the network in an ONNX file.

    The two forward passes must agree on an example in float64, to 1e-9 of the largest output.

    Parameters
    ----------
    path : str or path-like
        An .onnx file. Weights stored in separate files must be inside its folder.
    example : array or None
        An input in the file's layout, on which the network is checked. None draws one at random; the file must then
        declare the shape of its input.
    output : str or None
        The output to import, if the file has several.
    max_bytes : int
        The most memory, in bytes, for weights, constants and activations on the example together, each number in
        float64, and for the patches of one convolution; 4 GiB by default.

    Returns
    -------
    Network
        The network, in float64 if the file's input is, otherwise in float32. It takes images as (N, C, H, W), whatever
        their layout in the file.

    Raises
    ------
    ConversionError
        If an operation is not supported, the file has several inputs, the output or the input's shape is missing, or
        the network does not compute the same function. The message names the node.
    WeightsError
        If the file does not exist, is damaged or inconsistent, or too large.
    LrprefError
        If the onnx package is not installed.
    """
    return imported(path, example, output, max_bytes)[0]


def imported(
    path: str | os.PathLike[str],
    example: Any = None,
    output: str | None = None,
    max_bytes: int = MAX_BYTES,
    shape: Shape | None = None,
) -> tuple[Network, Shape]:
    """Import a file as `from_onnx` does; return the network and the shape of one of its inputs.

    `shape` is that of one input in the file's layout; it is needed if there is no example and the file does not declare
    the shape.
    """
    onnx = library("onnx", "onnx", "ONNX files")
    path = Path(path)
    model = read_model(path, output, max_bytes)
    try:
        _check_known(onnx, model)
        x = _example(model, example, shape, max_bytes)
        twin = _twin(onnx, model, x.shape)
        importer = _Importer(onnx, model, twin, x.shape, max_bytes)
        net, last = importer.network()
        own = importer.compare(net, last, twin, x)

        def prove(shape: Shape) -> None:
            importer.check_memory(shape)
            batch = model.shape[0] if model.shape and model.shape[0] else 1
            z = np.random.default_rng(1).normal(size=importer.input_layout.shape((batch, *shape)))
            importer.compare(net, last, _twin(onnx, model, z.shape), z)

        net = fixed_where_unproven(net, own.shape, importer.free_axes(), importer.graph.bound, prove)
    except (ConversionError, WeightsError) as error:
        raise type(error)(f"{path}: {error}") from error
    except MemoryError as error:
        raise ConversionError(f"{path}: {reason(error)}; give a smaller example, or a lower max_bytes") from error
    return net if model.double else net.astype(np.float32), own.shape[1:]


def _check_known(onnx: Any, model: Model) -> None:
    """Raise ConversionError for the first unsupported operation."""
    for node in recognised(onnx, model.nodes, model.constants, model.output):
        if node.domain not in DOMAINS or node.op_type not in {*OPERATIONS, *FOLDED}:
            kind = f"{node.domain}.{node.op_type}" if node.domain not in DOMAINS else node.op_type
            raise ConversionError(f"node {_label(node)!r} ({kind}): unsupported operation. Supported: {SUPPORTED}")


def _example(model: Model, example: Any, given: Shape | None, max_bytes: int) -> np.ndarray:
    """Return the input for the final check, in float64; raises ConversionError if its shape does not fit the file."""
    if example is None:
        shape = fixed_shape(model, given)
        require(prod(shape) * 8 <= max_bytes, f"an input of shape {shape} needs more memory than max_bytes={max_bytes}")
        return np.random.default_rng(0).normal(size=shape)
    x = _as_float64(example)
    told = model.shape or (None,) * x.ndim
    fits = len(told) == x.ndim and all(n in (None, m) for n, m in zip(told, x.shape, strict=True))
    require(fits, f"the example has shape {x.shape}, the file expects {in_words(told)}")
    return x


def _as_float64(example: Any) -> np.ndarray:
    """Return the example as an array; raises ConversionError if it is not one."""
    try:
        return as_array(example).astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConversionError(f"the example must be an array of numbers: {error}") from error


def _label(node: Any) -> str:
    """Return the name of an operation, or that of its output if it has none."""
    return str(node.name or next((name for name in node.output if name), node.op_type))


# ---- the file in float64, for the reference evaluator ----------------------------------------------------------


def _twin(onnx: Any, model: Model, shape: Shape) -> Any:
    """Return the model in float64, with its weights as further inputs; raises WeightsError if it is invalid."""
    double, kinds = onnx.TensorProto.DOUBLE, onnx.helper
    try:
        values = [kinds.make_tensor_value_info(model.input, double, shape)]
        for name, value in model.constants.items():
            kind = double if value.dtype.kind == "f" else kinds.np_dtype_to_tensor_dtype(value.dtype)
            values.append(kinds.make_tensor_value_info(name, kind, value.shape))
        output = kinds.make_tensor_value_info(model.output, double, ())  # the checker requires a shape, and ignores it
        graph = kinds.make_graph([_in_double(onnx, node) for node in model.nodes], "lrpref", values, [output])
        twin = kinds.make_model(graph, opset_imports=[kinds.make_opsetid("", model.opset)])
        onnx.checker.check_model(twin)
    except (onnx.checker.ValidationError, *UNREADABLE) as error:
        raise WeightsError(f"not valid ONNX: {reason(error).strip().splitlines()[0]}") from error
    return twin


def _in_double(onnx: Any, node: Any) -> Any:
    """Return the operation; floating-point numbers of any type that it makes become float64.

    These are casts, and the value of ConstantOfShape, which is zero in float32 if it is not given.
    """
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    if node.op_type == "ConstantOfShape" and not node.attribute:
        twin.attribute.append(onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(np.zeros(1))))
    for attribute in twin.attribute:
        if attribute.name == "to" and attribute.i in FLOATING:
            attribute.i = onnx.TensorProto.DOUBLE
        elif attribute.t.data_type in FLOATING[1:] and prod(attribute.t.dims) == 1:
            value = as_array(onnx.numpy_helper.to_array(attribute.t)).astype(np.float64)
            attribute.t.CopyFrom(onnx.numpy_helper.from_array(value))
    return twin


# ---- the walk --------------------------------------------------------------------------------------------------


class _Importer:
    """Converts the operations in order; each value is an activation or a constant.

    Attributes
    ----------
    weights : dict of str to array
        The constants in the file, in float64.
    known : dict of str to array
        These, and the constants computed from them.
    sized : set of str
        The constants computed from shapes.
    at : dict of str to Activation
        The activations.
    """

    def __init__(self, onnx: Any, model: Model, twin: Any, shape: Shape, max_bytes: int) -> None:
        self.onnx, self.model, self.twin, self.max_bytes = onnx, model, twin, max_bytes
        with quiet():  # NaN is refused by the layers
            self.weights = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in model.constants.items()}
        self.known = dict(self.weights)
        self.sized: set[str] = set()
        self.readers = Counter(name for node in model.nodes for name in node.input) + Counter([model.output])
        self.input_layout = Layout(CHANNELS_LAST) if _channels_last(model, shape) else plain(len(shape))
        own = tuple(int(shape[k]) for k in np.argsort(self.input_layout.axes))
        self.graph = Graph(own)
        self.at = {model.input: Activation(INPUT, own, self.input_layout)}
        self.cells = prod(own) + sum(value.size for value in self.weights.values())
        self.work, self.patches = 0, 0

    def network(self) -> tuple[Network, Layout]:
        """Return the network, and the layout of the file's output."""
        for node in recognised(self.onnx, self.twin.graph.node, self.weights, self.model.output):
            try:
                self._operation(node)
            except (LrprefError, *UNREADABLE) as error:
                what = error if isinstance(error, LrprefError) else f"invalid attributes or inputs: {reason(error)}"
                raise ConversionError(f"node {_label(node)!r} ({node.op_type}): {what}") from error
        require(self.model.output in self.at, "the output of the file does not depend on its input")
        last = self.at[self.model.output]
        require(last.name != INPUT, "the output of the file is its input; there is no layer to import")
        require(
            last.layout.order is None,
            "the output is a flattened (N, H, W, C) image; the network would return its features in another order",
        )
        return self.graph.network(last.name), last.layout

    def compare(self, net: Network, last: Layout, twin: Any, x: np.ndarray) -> np.ndarray:
        """Return `x` in lrpref's layout; raises ConversionError unless network and file agree on it."""
        expected = evaluated(twin, {**self.weights, self.model.input: x}, self.model.output)
        own = np.transpose(x, np.argsort(self.input_layout.axes))
        expected = np.transpose(expected, np.argsort(last.axes)) if expected.ndim == len(last.axes) else expected
        verify(net, own, expected, "the file", "docs/import.md describes the limits of the import")
        return own

    def free_axes(self) -> list[int]:
        """Return the axes of rows and columns that the file leaves free, in lrpref's layout."""
        told = self.model.shape
        return [own for k, own in enumerate(self.input_layout.axes) if own > 1 and (told is None or told[k] is None)]

    def check_memory(self, shape: Shape) -> None:
        """Raise ConversionError if activations or patches on a larger input need more memory than allowed."""
        needed = max(8 * self.cells, self.patches) * prod(shape) // prod(self.graph.shapes[INPUT][1:])
        require(needed <= self.max_bytes, f"its activations need more memory than max_bytes={self.max_bytes}")

    def _operation(self, node: Any) -> None:
        """Convert one operation, or compute it if it depends only on constants and shapes."""
        for name in node.input:
            require(
                not name or name in self.at or name in self.known,
                f"its input {name!r} is neither computed nor stored in the file",
            )
        for name in node.output[1:]:
            require(not self.readers[name], f"its output {name!r} is used; only the first output is supported")
        if node.op_type == "Shape" or not any(name in self.at for name in node.input):
            self.known[node.output[0]] = self._folded(node)
            if node.op_type == "Shape" or self.sized.intersection(node.input):
                self.sized.add(node.output[0])
            return
        if node.op_type not in OPERATIONS:
            raise ConversionError(f"unsupported operation on activations. Supported: {SUPPORTED}")
        attributes = {a.name: _python(self.onnx.helper.get_attribute_value(a)) for a in node.attribute}
        inputs = tuple(self.at.get(name, self.known.get(name)) for name in node.input)
        call = Call(node.op_type, attributes, inputs, self.model.opset)
        layers, layout = OPERATIONS[node.op_type](call)
        if self.sized.intersection(node.input) and node.op_type != "Reshape":
            call.bound.append("its arguments are computed")
        self.graph.bound += [f"node {_label(node)!r} ({node.op_type}): {note}" for note in call.bound]
        if node.op_type == "Log":
            self.graph.take_logarithm(call.x.name, self.readers[node.input[0]] == 1)
        name = self._added(layers, [x.name for x in call.activations], node)
        self.at[node.output[0]] = Activation(name, self.graph.shapes[name], layout)

    def _added(self, layers: Sequence[Layer], read: list[str], node: Any) -> str:
        """Add the layers to the graph; a constant added to the output of a layer without bias becomes its bias."""
        self._check_size(layers, read)
        source = next(name for name in node.input if name in self.at)
        if len(layers) == 1 and self.readers[source] == 1:
            combined = merged(self.graph.layer(read[0]), layers[0])
            if combined is not None:
                self.graph.replace(read[0], combined)
                return read[0]
        return self.graph.add(layers, read, self._names(node))

    def _check_size(self, layers: Sequence[Layer], read: Sequence[str]) -> None:
        """Raise ConversionError if the layers or their outputs, including padding, need too much memory or time."""
        shapes = [self.graph.shapes[name] for name in read]
        for layer in layers:
            before, shapes = shapes, [layer.output_shape(*shapes)]
            held = [tuple(array.shape) for array in vars(layer).values() if is_array(array)]
            border = [padded(before[0], layer.window.padding)] if hasattr(layer, "window") else []
            self._count(*held, *border, shapes[0])
            self._check_patches(layer, before[0], shapes[0])
            self.work += work(layer, before[0], shapes[0])
            require(
                self.work <= MAX_WORK,
                f"on the example, the network needs more than {MAX_WORK:.1e} operations; give a smaller example",
            )
        if not layers:
            self._count(shapes[0])

    def _check_patches(self, layer: Layer, before: Shape, after: Shape) -> None:
        """Raise ConversionError if onnx's convolution needs too much memory: it gathers all patches, and their places.

        It fills a dilated kernel with zeros first.
        """
        if isinstance(layer, Conv2D):
            needed = 8 * patches(layer, before, after) * (2 * before[0] + 2) // max(before[0], 1)
            self.patches = max(self.patches, needed)
            require(
                needed <= self.max_bytes,
                f"the patches of this convolution need {needed} bytes, more than max_bytes={self.max_bytes}",
            )

    def _count(self, *shapes: Shape) -> None:
        """Add arrays to the memory in use; raises ConversionError once that exceeds the limit."""
        self.cells += sum(map(prod, shapes))
        most = self.max_bytes // 8
        require(
            self.cells <= most,
            f"with an array of shape {shapes[-1]}, the weights and activations need more memory than "
            f"max_bytes={self.max_bytes}",
        )

    def _names(self, node: Any) -> list[str]:
        """Return the preferred names of an operation's layers, best first."""
        stems = [
            name.removesuffix(".weight") for name in node.input if name.endswith(".weight") and name in self.weights
        ]
        return [*stems[:1], _label(node).strip("/") or node.op_type]

    def _folded(self, node: Any) -> np.ndarray:
        """Compute an operation that depends only on constants and shapes."""
        if node.op_type not in FOLDED:
            raise ConversionError(f"all of its inputs are constants, which is supported only for {', '.join(FOLDED)}")
        feeds = {k: self.known[k] for k in node.input if k in self.known}
        feeds |= {k: np.broadcast_to(0.0, self.at[k].foreign) for k in node.input if k in self.at}
        self._count((folded_size(node, list(feeds.values())),))
        graph = self.onnx.helper.make_graph(
            [node],
            "lrpref",
            [self.onnx.helper.make_value_info(k, _type(self.onnx, v)) for k, v in feeds.items()],
            [self.onnx.helper.make_value_info(node.output[0], self.onnx.TypeProto())],
        )
        twin = self.onnx.helper.make_model(graph, opset_imports=self.twin.opset_import)
        return evaluated(twin, feeds, node.output[0])


def patches(layer: Conv2D, before: Shape, after: Shape) -> int:
    """Return how many numbers all patches of a convolution have, if a dilated kernel is filled with zeros."""
    extent = (d * (k - 1) + 1 for k, d in zip(layer.window.kernel, layer.window.dilation, strict=True))
    return prod(before[:2]) * prod(extent) * prod(after[2:])


def work(layer: Layer, before: Shape, after: Shape) -> int:
    """Return the work of a layer, in lrpref and in the evaluator, in units of one multiplication in a matrix product.

    Numbers that are gathered, compared or added one by one count GATHERED each; a tap of a window counts TAP.
    """
    found = GATHERED * prod(after)
    if isinstance(layer, Dense):
        found += prod(before) * after[1]
    if isinstance(layer, Conv2D):
        found += patches(layer, before, after) * (GATHERED + after[1] // layer.groups)
    if hasattr(layer, "window"):
        found += prod(layer.window.kernel) * (TAP + GATHERED * prod(after))
    return found


def folded_size(node: Any, values: list[np.ndarray]) -> int:
    """Return how many elements, at most, an operation on constants has; raises for inputs that do not fit."""
    if node.op_type == "ConstantOfShape":
        shape = values[0].ravel().tolist()
        require(len(shape) <= MAX_AXES, f"a shape of {len(shape)} axes; at most {MAX_AXES} are supported")
        return prod(map(abs, shape))
    if node.op_type in ("Add", "Sub", "Mul", "Div"):
        return prod(np.broadcast_shapes(*(value.shape for value in values)))
    if node.op_type == "Gather":
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        return values[0].size // max(values[0].shape[axis], 1) * values[1].size
    return MAX_AXES if node.op_type == "Shape" else sum(value.size for value in values)


def _type(onnx: Any, value: np.ndarray) -> Any:
    """Return the ONNX type of an array."""
    return onnx.helper.make_tensor_type_proto(onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _python(value: Any) -> Any:
    """Return the value of an attribute, bytes decoded to str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _channels_last(model: Model, shape: Shape) -> bool:
    """Whether the file takes images as (N, H, W, C), to judge by the first operation that depends on the order of axes.

    The input is followed through operations that accept any order, up to a transposition to (N, C, H, W), or a reshape
    that amounts to one because C is 1, or up to any other operation.
    """
    follow = {model.input}
    for node in model.nodes if len(shape) == 4 else ():
        if not follow.intersection(node.input) or node.op_type == "Shape":
            continue
        if node.op_type == "Transpose":
            return [tuple(a.ints) for a in node.attribute if a.name == "perm"] == [(0, 3, 1, 2)]
        if node.op_type == "Reshape":
            target = model.constants.get(node.input[1], np.zeros(0)).ravel().tolist() if len(node.input) > 1 else []
            return shape[3] == 1 and len(target) == 4 and target[1] == 1 and target[3] != 1
        if node.op_type not in ANY_ORDER:
            return False
        follow.update(node.output)
    return False
