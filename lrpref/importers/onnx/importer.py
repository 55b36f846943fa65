"""Import ONNX files.

`from_onnx` converts the operations in order and refuses the first unsupported one by name. It then checks on an example
that the network computes what the onnx package's reference evaluator computes, both in float64. No code from a file is
executed: operations are looked up in a table.

Files that store images as (N, H, W, C), such as those from Keras, become networks that take (N, C, H, W). Any other
array that goes in or comes out keeps the order of its axes.

Names: a node is named after its weights if these are called "<name>.weight", otherwise after the operation in the file,
or after that operation's output.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..._support.extras import library
from ..._support.untrusted import UNREADABLE, reason
from ...arithmetic import quiet
from ...backend import is_array
from ...errors import ConversionError, LrprefError, WeightsError
from ...layers import Convolution, Dense, Dropout, Layer
from ...layers.window import padded
from ...network import INPUT, Network
from ...weights import MAX_BYTES
from ...weights.state_dict import as_array
from ..graph import Graph, Shape, fixed_for_several, fixed_where_unproven, require, verify
from ..layout import Activation, Layout, channels_last, plain
from ..mixed import Mixed, settled
from . import spatial
from .call import Call
from .evaluator import evaluated, evaluated_all
from .file import CLASSICAL, DOMAINS, FLOATING, Declared, Model, fixed_shape, in_words, read_model
from .folding import FOLDED, check_rounding, folded_size
from .last_axes import as_own
from .moves import PARTED
from .norm_patterns import norms
from .operations import ANY_ORDER, OPERATIONS, OUTPUT, SUPPORTED
from .patterns import PARTS, Found, activations, reached
from .refusals import kind, label, place, unsupported

IN_ORDER = (
    *("DepthToSpace", "MatMul", "SpaceToDepth"),
    *(op for op in spatial.OPERATIONS if op not in ANY_ORDER),
)
"""The operations whose layers depend on the order of the axes."""

LAST_IN_ORDER = ("Flatten", "LogSoftmax", "Reshape", "Sigmoid", "Softmax")
"""The operations that are put into the order of the file before, not after, where they are the last ones."""

OF_CHANNELS = ("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LRN")
"""The operations whose layers expect channels on axis 1, and take the other axes in any order."""

OF_IMAGES = (*(op for op in spatial.OPERATIONS if op != "Pad"), *OF_CHANNELS, "DepthToSpace", "SpaceToDepth")
"""The operations that tell that their input is an image (N, C, H, W)."""

JOINED = ("Concat", "Mean", "Slice", "Split", "Sum")
"""The operations that join and divide images, and may come before those."""

IMAGES = (4, 5)
"""The numbers of axes of images and volumes, which files may store as (N, H, W, C) and (N, D, H, W, C)."""

MOVED = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Gather", "Identity", "Cast", "Dropout")
"""The operations that take any order of the axes, and keep or change it."""

MAX_WORK = 2**38
"""The most work of the check on the example, in multiplications of a matrix product; about a minute on one core."""

GATHERED, TAP = 2**6, 2**19
"""What a number that is gathered or compared, and a tap of a window, count as work."""


def from_onnx(
    path: str | os.PathLike[str], example: Any = None, output: str | None = None, max_bytes: int = MAX_BYTES
) -> Network:
    """Import the network in an ONNX file.

    The two forward passes must agree on an example in float64, to 1e-9 of the largest output.

    Parameters
    ----------
    path : str or path-like
        An .onnx file. Weights stored in separate files must be inside its folder.
    example : array, tuple or dict of arrays, or None
        An input in the file's layout, on which the network is checked; for several inputs, one for each, in the order
        of the file or by their names in it. None draws one at random; the file must then declare the shape of its
        input.
    output : str or None
        The output to import, if the file has several.
    max_bytes : int
        The most memory, in bytes, for weights, constants and activations on the example together, each number in
        float64, and for the patches of one convolution; 4 GiB by default.

    Returns
    -------
    Network
        The network, in float64 if the file's input is, otherwise in float32. It takes images as (N, C, H, W), whatever
        their layout in the file. Several inputs have the names and the order that they have in the file.

    Raises
    ------
    ConversionError
        If an operation is not supported, an input holds no floating-point numbers, the output or the input's shape is
        missing, or the network does not compute the same function. The message names the node.
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
) -> tuple[Network, Shape | None]:
    """Import a file as `from_onnx` does; return the network and the shape of one sample, None for several inputs.

    `shape` is that of one input in the file's layout; it is needed if there is no example and the file does not declare
    the shape.
    """
    onnx = library("onnx", "onnx", "ONNX files")
    path = Path(path)
    model = read_model(path, output, max_bytes)
    try:
        _check_known(model)
        x = _examples(model, example, shape, max_bytes)
        shapes = {name: part.shape for name, part in x.items()}
        twin = _twin(onnx, model, shapes)
        importer = _Importer(onnx, model, twin, shapes, max_bytes)
        net, last = importer.network()
        own = importer.compare(net, last, x, importer.evaluate(twin, x))
        importer.compare_two_samples(net, last, x)

        def prove(shape: Shape) -> None:
            importer.check_memory(shape)
            [(name, told)] = model.inputs.items()
            batch = told[0] if told and told[0] else 1
            size = importer.layouts[name].shape((batch, *shape))
            z = _drawn(np.random.default_rng(1), size, max_bytes, model.counts.get(name))
            importer.compare(net, last, {name: z}, importer.evaluate(_twin(onnx, model, {name: z.shape}), {name: z}))

        if len(own) == 1:
            free, bound = importer.free_axes(), importer.graph.bound
            net = fixed_where_unproven(net, own[INPUT], free, bound, prove, 1 if model.counts else 2, bound)
        else:
            net = fixed_for_several(net, own)
    except (ConversionError, WeightsError) as error:
        raise type(error)(f"{path}: {error}") from error
    except MemoryError as error:
        raise ConversionError(f"{path}: {reason(error)}; give a smaller example, or a lower max_bytes") from error
    return net if model.double else net.astype(np.float32), own[INPUT][1:] if len(own) == 1 else None


def _check_known(model: Model) -> None:
    """Raise ConversionError for the first unsupported operation."""
    for node in model.nodes:
        if kind(node) not in {*OPERATIONS, *FOLDED, *PARTS}:
            raise ConversionError(f"node {label(node)!r} ({kind(node)}): {unsupported(node, SUPPORTED)}{place(node)}")


def _examples(model: Model, example: Any, given: Shape | None, max_bytes: int) -> dict[str, np.ndarray]:
    """Return the example of each input, in float64, by its name in the file."""
    names = list(model.inputs)
    if len(names) == 1:
        examples = {names[0]: example}
    elif example is None:
        require(given is None, f"the file has {len(names)} inputs; give an example of each, not one shape")
        examples = dict.fromkeys(names)
    elif isinstance(example, Mapping) and set(example) == set(names):
        examples = {name: example[name] for name in names}
    else:
        require(
            isinstance(example, tuple | list) and len(example) == len(names),
            f"the file has {len(names)} inputs; the example must be a tuple of arrays for {', '.join(names)}, in this "
            "order, or a dict with these names",
        )
        examples = dict(zip(names, example, strict=True))
    batch = next((told[0] for told in model.inputs.values() if told and told[0]), 2)
    rng = np.random.default_rng(0)  # one for all: equal numbers would hide inputs that are mixed up
    return {
        name: _drawn(rng, fixed_shape(model.inputs[name], given, batch), max_bytes, model.counts.get(name))
        if part is None
        else _checked(part, model.inputs[name])
        for name, part in examples.items()
    }


def _drawn(rng: np.random.Generator, shape: Shape, max_bytes: int, count: int | None) -> np.ndarray:
    """Return a random example of one input, of indices below `count` unless that is None.

    Raises ConversionError if it needs more memory than allowed.
    """
    require(prod(shape) * 8 <= max_bytes, f"an input of shape {shape} needs more memory than max_bytes={max_bytes}")
    return rng.normal(size=shape) if count is None else rng.integers(count, size=shape).astype(np.float64)


def _checked(example: Any, declared: Declared) -> np.ndarray:
    """Return the example of one input, in float64; raises ConversionError if its shape does not fit the file."""
    x = _as_float64(example)
    told = declared or (None,) * x.ndim
    fits = len(told) == x.ndim and all(n in (None, m) for n, m in zip(told, x.shape, strict=True))
    require(fits, f"the example has shape {x.shape}, the file expects {in_words(told)}")
    return x


def _as_float64(example: Any) -> np.ndarray:
    """Return the example as an array; raises ConversionError if it is not one."""
    try:
        return as_array(example).astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConversionError(f"the example must be an array of numbers: {error}") from error


# ---- the file in float64, for the reference evaluator ----------------------------------------------------------


def _twin(onnx: Any, model: Model, shapes: Mapping[str, Shape]) -> Any:
    """Return the model in float64, with its weights as further inputs; raises WeightsError if it is invalid."""
    double, kinds = onnx.TensorProto.DOUBLE, onnx.helper
    try:
        index = onnx.TensorProto.INT64
        values = [
            kinds.make_tensor_value_info(name, index if name in model.counts else double, shape)
            for name, shape in shapes.items()
        ]
        for name, value in model.constants.items():
            kind = double if value.dtype.kind == "f" else kinds.np_dtype_to_tensor_dtype(value.dtype)
            values.append(kinds.make_tensor_value_info(name, kind, value.shape))
        output = kinds.make_tensor_value_info(model.output, double, ())  # the checker requires a shape, and ignores it
        graph = kinds.make_graph([_in_double(onnx, node) for node in model.nodes], "lrpref", values, [output])
        versions = [("", model.opset), *([(CLASSICAL, model.classical)] if model.classical else [])]
        twin = kinds.make_model(graph, opset_imports=[kinds.make_opsetid(*version) for version in versions])
        onnx.checker.check_model(twin)
    except (onnx.checker.ValidationError, *UNREADABLE) as error:
        raise WeightsError(f"not valid ONNX: {reason(error).strip().splitlines()[0]}") from error
    return twin


def _in_double(onnx: Any, node: Any) -> Any:
    """Return the operation; floating-point numbers of any type that it makes become float64.

    These are casts and other operations that are given a type, and the value of ConstantOfShape, which is zero in
    float32 if it is not given.
    """
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    if twin.domain in DOMAINS:
        twin.domain = ""
    if node.op_type == "ConstantOfShape" and not node.attribute:
        twin.attribute.append(onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(np.zeros(1))))
    for attribute in twin.attribute:
        if attribute.name in ("to", "dtype", "output_dtype") and attribute.i in FLOATING[1:]:
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
    layouts : dict of str to Layout
        The layout of every input.
    images_last : bool
        Whether the file takes images as (N, H, W, C), so that the images that it returns become (N, C, H, W), too.
    at : dict of str to Activation
        The activations.
    uses : Counter of str
        How many operations read each node of the network.
    nodes : list of node
        The operations that the output depends on, with one in place of each norm that is written as several.
    patterns : dict of str to Found
        The outputs of activation functions that are written as several operations.
    """

    def __init__(self, onnx: Any, model: Model, twin: Any, shapes: Mapping[str, Shape], max_bytes: int) -> None:
        self.onnx, self.model, self.twin, self.max_bytes = onnx, model, twin, max_bytes
        with quiet():  # NaN is refused by the layers
            self.weights = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in model.constants.items()}
        nodes = norms(onnx, twin.graph.node, self.weights)
        self.patterns = activations(onnx, nodes, self.weights, model.opset)
        wanted = reached(nodes, model.output, self.patterns)
        self.nodes = [node for node in nodes if wanted.intersection(node.output)]
        for found in self.patterns.values():
            self.weights |= found.meant
        self.known = dict(self.weights)
        self.sized: set[str] = set()
        self.readers = Counter(name for node in self.nodes for name in self._reads(node)) + Counter([model.output])
        self.uses: Counter[str] = Counter()
        self.layouts = {
            name: (channels_last if _channels_last(model, name, shape) else plain)(len(shape))
            for name, shape in shapes.items()
        }
        self.images_last = not all(layout.plain for layout in self.layouts.values())
        self.own_names = {name: name if len(shapes) > 1 else INPUT for name in shapes}
        own = {name: tuple(shape[k] for k in np.argsort(self.layouts[name].axes)) for name, shape in shapes.items()}
        self.graph = Graph({self.own_names[name]: shape for name, shape in own.items()})
        self.at: dict[str, Activation] = {}
        for name in own:
            self._know(name, Activation(self.own_names[name], own[name], self.layouts[name]))
        self.cells = sum(map(prod, own.values())) + sum(value.size for value in self.weights.values())
        self.work, self.patches = 0, 0

    def network(self) -> tuple[Network, Layout]:
        """Return the network, and the layout of the file's output."""
        for node in self.nodes:
            try:
                self._operation(node)
            except (LrprefError, *UNREADABLE) as error:
                what = error if isinstance(error, LrprefError) else f"invalid attributes or inputs: {reason(error)}"
                raise ConversionError(f"node {label(node)!r} ({kind(node)}): {what}{place(node)}") from error
        require(self.model.output in self.at, "the output of the file does not depend on its input")
        last = self.at[self.model.output]
        if last.name in self.graph.inputs:  # a file of casts, or of other identities at inference
            name = self.graph.add([Dropout(0.0)], [last.name], ["identity"])
            last = Activation(name, last.shape, last.layout)
        require(not isinstance(last.layout, Mixed), "axis 0 of the output holds more than the samples")
        require(
            last.layout.order is None,
            "the output is a flattened (N, H, W, C) image; the network would return its features in another order",
        )
        if not self._returned(last.layout):
            last = self._settled(last)
        return self.graph.network(last.name), last.layout

    def _returned(self, layout: Layout) -> bool:
        """Whether the network may return an array in this layout: that of the file, or an image as it takes them."""
        rank = len(layout.axes)
        return layout.plain or (self.images_last and rank in IMAGES and layout.same(channels_last(rank)))

    def _movable(self, layout: Layout) -> bool:
        """Whether an array in this layout can be put into the order of the file, and must be before it is returned."""
        return layout.order is None and not isinstance(layout, Mixed) and not self._returned(layout)

    def evaluate(self, twin: Any, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what the file computes on `x`; raises ConversionError."""
        given = {name: part.astype(np.int64) if name in self.model.counts else part for name, part in x.items()}
        return evaluated(twin, {**self.weights, **given}, self.model.output)

    def compare(
        self, net: Network, last: Layout, x: Mapping[str, np.ndarray], expected: np.ndarray
    ) -> dict[str, Shape]:
        """Return the shapes of `x` in lrpref's layout, by the names of the network's inputs.

        Raises ConversionError unless the network computes `expected` on it, as the file does.
        """
        own = {self.own_names[k]: np.transpose(part, np.argsort(self.layouts[k].axes)) for k, part in x.items()}
        expected = np.transpose(expected, np.argsort(last.axes)) if expected.ndim == len(last.axes) else expected
        verify(net, net.as_given(own, ()), expected, "the file", "docs/import.md describes the limits of the import")
        return {name: tuple(part.shape) for name, part in own.items()}

    def compare_two_samples(self, net: Network, last: Layout, x: Mapping[str, np.ndarray]) -> None:
        """Compare with the file on two samples where the example has one, and the file leaves their number free.

        Nothing is compared if the file does not run on two random samples, or these need too much memory. Raises
        ConversionError if it computes something else there, as it does where it moves numbers from one sample to
        another.
        """
        told = self.model.inputs
        if 2 * max(8 * self.cells, self.patches) > self.max_bytes:
            return
        if any(len(part) != 1 or (told[name] or (None,))[0] is not None for name, part in x.items()):
            return
        rng, counts = np.random.default_rng(2), self.model.counts
        z = {k: _drawn(rng, (2, *part.shape[1:]), self.max_bytes, counts.get(k)) for k, part in x.items()}
        try:
            expected = self.evaluate(_twin(self.onnx, self.model, {k: part.shape for k, part in z.items()}), z)
        except ConversionError:
            return
        if not np.isfinite(expected).all():  # on random numbers, in place of the example
            return
        try:
            self.compare(net, last, z, expected)
        except ConversionError as error:
            raise ConversionError(f"with two samples, the file does not treat each by itself: {error}") from error

    def free_axes(self) -> list[int]:
        """Return the axes from 1 on that the file leaves free for its only input, in lrpref's layout."""
        [(name, told)] = self.model.inputs.items()
        axes = enumerate(self.layouts[name].axes)
        return [own for k, own in axes if own and (told is None or told[k] is None)]

    def check_memory(self, shape: Shape) -> None:
        """Raise ConversionError if activations or patches on a larger input need more memory than allowed."""
        needed = max(8 * self.cells, self.patches) * prod(shape) // prod(self.graph.shapes[INPUT][1:])
        require(needed <= self.max_bytes, f"its activations need more memory than max_bytes={self.max_bytes}")

    def _operation(self, node: Any) -> None:
        """Convert one operation, or compute it if it depends only on constants and shapes."""
        if (found := self.patterns.get(node.output[0])) and found.read in self.at:
            self._pattern(node, found)
            return
        for name in node.input:
            require(
                not name or name in self.at or name in self.known,
                f"its input {name!r} is neither computed nor stored in the file",
            )
        sizes = node.op_type in ("Shape", "Size")
        if sizes or not any(name in self.at for name in node.input):
            self.known |= self._folded(node)
            if sizes or self.sized.intersection(node.input):
                self.sized.update(node.output)
            return
        if kind(node) not in OPERATIONS:
            raise ConversionError(unsupported(node, SUPPORTED, on_activations=True))
        if kind(node) in PARTED:
            for part in (part for part, name in enumerate(node.output) if self.readers[name]):
                self._result(node, part)
            return
        result = OUTPUT.get(kind(node), 0)
        for name in node.output:
            require(
                name == node.output[result] or not self.readers[name],
                f"its output {name!r} is used; only its output {node.output[result]!r} is supported",
            )
        self._result(node, result)

    def _result(self, node: Any, part: int) -> None:
        """Convert one of an operation's results."""
        attributes = {a.name: _python(self.onnx.helper.get_attribute_value(a)) for a in node.attribute}
        inputs = tuple(self.at.get(name, self.known.get(name)) for name in node.input)
        first = next(name for name in node.input if name in self.at)
        before = self.graph.layer(self.at[first].name)
        call = Call(kind(node), attributes, inputs, self.model.opset, before, part, len(node.output))
        if kind(node) in LAST_IN_ORDER and self.model.output in node.output and self._movable(call.x.layout):
            call = replace(call, inputs=(self._settled(call.x), *inputs[1:]))
        call, layout = self._arranged(call)
        layers, result = OPERATIONS[kind(node)](call)
        layout = result if layout is None else layout
        if self.sized.intersection(node.input) and node.op_type != "Reshape":
            call.bound.append("its arguments are computed")
        self.graph.bound += [f"node {label(node)!r} ({node.op_type}): {note}" for note in call.bound]
        if node.op_type == "Log":
            self.graph.take_logarithm(call.x.name, self.readers[node.input[0]] == 1)
        read = [x.name for x in call.activations]
        self._check_size(layers, read)
        name = self.graph.add(layers, read, self._names(node), self.uses.__getitem__)
        self._know(node.output[part], Activation(name, self.graph.shapes[name], layout))

    def _arranged(self, call: Call) -> tuple[Call, Layout | None]:
        """Return an operation with its activations in the order of the file, if they must be, and its result's layout.

        They must be where the samples are not alone on the first axis, where two activations differ in the order of
        their axes, and where an operation depends on that order.
        """
        layouts = [x.layout for x in call.activations]
        mixed = any(isinstance(layout, Mixed) for layout in layouts)
        differ = len(layouts) > 1 and not all(layout.same(layouts[0]) for layout in layouts)
        flat = any(layout.order is not None or len(layout.axes) == 2 for layout in layouts)
        ordered = call.op in IN_ORDER and not all(layout.plain for layout in layouts)
        ordered = ordered or (call.op in OF_CHANNELS and not mixed and layouts[0].own_axis(1) != 1)
        if call.op in MOVED or not (mixed or (not flat and (differ or ordered))):
            return call, None
        settled = {id(x): self._settled(x) for x in call.activations}
        inputs = tuple(settled.get(id(value), value) for value in call.inputs)
        call = replace(call, inputs=inputs)
        return as_own(call) if any(isinstance(x.layout, Mixed) for x in call.activations) else (call, None)

    def _settled(self, x: Activation) -> Activation:
        """Return an activation whose axes are in the order of the file."""
        layers, shape, layout = settled(x)
        name = self.graph.add(layers, [x.name], [f"{x.name}_ordered"], self.uses.__getitem__)
        return Activation(name, shape, layout)

    def _pattern(self, node: Any, found: Found) -> None:
        """Convert the last of several operations that compute an activation function together."""
        x = self.at[found.read]
        self._check_size([found.layer], [x.name])
        name = self.graph.add([found.layer], [x.name], self._names(node))
        self._know(node.output[0], Activation(name, x.shape, x.layout))

    def _reads(self, node: Any) -> Sequence[str]:
        """Return the values that an operation reads; one that ends an activation in several operations reads one."""
        found = self.patterns.get(node.output[0])
        return list(node.input) if found is None else [found.read]

    def _know(self, value: str, activation: Activation) -> None:
        """Note which node computes a value of the file, and its readers; an operation without a layer is none."""
        self.at[value] = activation
        self.uses[activation.name] += self.readers[value] - (activation.name in self.uses)

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
        if isinstance(layer, Convolution):
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
        return [*stems[:1], label(node).strip("/") or node.op_type]

    def _folded(self, node: Any) -> dict[str, np.ndarray]:
        """Compute an operation that depends only on constants and shapes; return its outputs by name."""
        if kind(node) not in FOLDED:
            raise ConversionError(f"all of its inputs are constants, which is supported only for {', '.join(FOLDED)}")
        feeds = {k: self.known[k] for k in node.input if k in self.known}
        feeds |= {k: np.broadcast_to(0.0, self.at[k].foreign) for k in node.input if k in self.at}
        values = [feeds[k] for k in node.input if k]
        self._count((folded_size(node, values),))
        if not self.model.double:
            check_rounding(node, values)
        outputs = [name for name in node.output if name]
        graph = self.onnx.helper.make_graph(
            [node],
            "lrpref",
            [self.onnx.helper.make_value_info(k, _type(self.onnx, v)) for k, v in feeds.items()],
            [self.onnx.helper.make_value_info(name, self.onnx.TypeProto()) for name in outputs],
        )
        twin = self.onnx.helper.make_model(graph, opset_imports=self.twin.opset_import)
        return dict(zip(outputs, evaluated_all(twin, feeds, outputs), strict=True))


def patches(layer: Any, before: Shape, after: Shape) -> int:
    """Return how many numbers all patches of a convolution have, if a dilated kernel is filled with zeros."""
    extent = (d * (k - 1) + 1 for k, d in zip(layer.window.kernel, layer.window.dilation, strict=True))
    return prod(before[:2]) * prod(extent) * prod(after[2:])


def work(layer: Layer, before: Shape, after: Shape) -> int:
    """Return the work of a layer, in lrpref and in the evaluator, in units of one multiplication in a matrix product.

    Numbers that are gathered, compared or added one by one count GATHERED each; a tap of a window counts TAP.
    """
    found, held = GATHERED * prod(after), vars(layer) | {"window": getattr(layer, "window", None)}
    if isinstance(layer, Dense):
        found += prod(before) * after[-1]
    if isinstance(layer, Convolution):
        found += patches(layer, before, after) * (GATHERED + after[1] // held["groups"])
    if held["window"] is not None:
        found += prod(held["window"].kernel) * (TAP + GATHERED * prod(after))
    return found


def _type(onnx: Any, value: np.ndarray) -> Any:
    """Return the ONNX type of an array."""
    return onnx.helper.make_tensor_type_proto(onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _python(value: Any) -> Any:
    """Return the value of an attribute, bytes decoded to str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _channels_last(model: Model, name: str, shape: Shape) -> bool:
    """Whether an input takes images as (N, H, W, C), or volumes as (N, D, H, W, C).

    The file must turn it to (N, C, H, W), by a transposition or by a reshape that amounts to one because C is 1, and
    then read it with an operation on images. Before and in between, operations may come that accept any order of the
    axes. Sequences keep their order: (N, T, E) may be as well tokens as a signal.
    """
    as_given, turned = {name}, set[str]()
    for node in model.nodes if len(shape) in IMAGES else ():
        reads, reads_turned = (bool(known.intersection(node.input)) for known in (as_given, turned))
        if node.op_type in ("Shape", "Size") or not (reads or reads_turned):
            continue
        if reads and _turns(model, node, shape):
            turned.update(node.output)
        elif reads_turned and not reads and node.op_type in OF_IMAGES:
            return True
        elif node.op_type in ANY_ORDER or (turned and node.op_type in JOINED):
            if reads and reads_turned:  # as one array, so it is not an image in two orders
                return False
            (turned if reads_turned else as_given).update(node.output)
        elif reads_turned or not turned:
            return False
    return False


def _turns(model: Model, node: Any, shape: Shape) -> bool:
    """Whether an operation turns (N, H, W, C) to (N, C, H, W)."""
    if node.op_type == "Transpose":
        last = len(shape) - 1
        return [tuple(a.ints) for a in node.attribute if a.name == "perm"] == [(0, last, *range(1, last))]
    if node.op_type != "Reshape" or len(node.input) < 2:
        return False
    target = model.constants.get(node.input[1], np.zeros(0)).ravel().tolist()
    return len(shape) == 4 and shape[3] == 1 and len(target) == 4 and target[1] == 1 and target[3] != 1
