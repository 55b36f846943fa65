"""Convert each operation of ONNX to a chain of layers and a layout, or refuse it with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isinf, prod
from typing import Any

import numpy as np

from .._support.untrusted import MAX_AXES
from ..errors import ConversionError
from ..layers import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    Pad2D,
    ReLU,
    ReLU6,
    RMSNorm,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..layers.window import Padding, Pair
from .graph import Shape, require
from .layout import Layout, plain

LARGEST = float(np.finfo(np.float32).max)
"""The value that exporters write for "no bound"."""


@dataclass(frozen=True)
class Activation:
    """A value that depends on the input.

    Parameters
    ----------
    name : str
        The node of the imported network that computes it, or "input".
    shape : tuple of int
        The shape of that node's output.
    layout : Layout
        The layout of the file's array relative to that output.
    """

    name: str
    shape: Shape
    layout: Layout

    @property
    def foreign(self) -> Shape:
        """The shape of the array in the file."""
        return self.layout.shape(self.shape)


@dataclass(frozen=True)
class Call:
    """One operation of the file.

    Parameters
    ----------
    op : str
        Its type.
    attributes : mapping of str to value
        Its attributes as Python values.
    inputs : tuple of Activation, array or None
        Activations and constants; None for an optional input that is omitted.
    opset : int
        The version of ONNX's operators.
    bound : list of str
        What the conversion computes for the size of the example.
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: tuple[Activation | np.ndarray | None, ...]
    opset: int
    bound: list[str] = field(default_factory=list)

    @property
    def x(self) -> Activation:
        """The first input, which must be an activation."""
        if not self.inputs or not isinstance(self.inputs[0], Activation):
            raise ConversionError("the first input must be an activation, not a constant")
        return self.inputs[0]

    @property
    def activations(self) -> list[Activation]:
        """All inputs that are activations."""
        return [value for value in self.inputs if isinstance(value, Activation)]

    def constant(self, index: int, what: str) -> np.ndarray | None:
        """Return an optional input that must be a constant; None if it is omitted. `what` names it in the message."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Activation):
            raise ConversionError(f"its {what} depends on the network's input; it must be a constant")
        return value

    def weight(self, index: int, what: str) -> np.ndarray:
        """Return a required input that must be a constant."""
        value = self.constant(index, what)
        if value is None:
            raise ConversionError(f"the input for its {what} is missing")
        return value

    def setting(self, name: str, index: int) -> Any:
        """Return an attribute, which later versions of ONNX pass as an input, as Python numbers; None if omitted."""
        if name in self.attributes:
            return self.attributes[name]
        value = self.constant(index, name)
        return None if value is None else value.tolist()

    def image(self) -> Activation:
        """Return the first input, which must be images (N, C, H, W)."""
        require(len(self.x.shape) == 4, f"expected images (N, C, H, W), got shape {self.x.foreign}")
        require(self.x.layout.plain, f"expected images (N, C, H, W), got {axes_in_words(self.x.layout)}")
        return self.x


Step = tuple[list[Layer], Layout]
"""The layers of an operation, and the layout of its result in the file."""


def single(value: float) -> float:
    """Round a number to float32, as a file stores it."""
    return float(np.float32(value))


def axes_in_words(layout: Layout) -> str:
    """Return the axes of images as text, such as "(N, H, W, C)"."""
    names = "NCHW" if len(layout.axes) == 4 else [f"axis {axis}" for axis in range(len(layout.axes))]
    return f"({', '.join(names[axis] for axis in layout.axes)})"


# ---- linear ----------------------------------------------------------------------------------------------------


def _conv(call: Call) -> Step:
    """Conv2D; two-dimensional, with constant weights"""
    x, w, b = call.image(), call.weight(1, "weight"), call.constant(2, "bias")
    require(w.ndim == 4, f"its weight has shape {w.shape}; only two-dimensional convolutions are supported")
    kernel = (w.shape[2], w.shape[3])
    told = tuple(call.attributes.get("kernel_shape", kernel))
    require(told == kernel, f"kernel_shape {told} does not match its weight of shape {w.shape}")
    stride, padding, dilation = _window(call, x.shape, kernel)
    return [Conv2D(w, b, stride, padding, dilation, call.attributes.get("group", 1))], x.layout


def _window(call: Call, shape: Shape, kernel: Pair) -> tuple[Pair, Padding, Pair]:
    """Return stride, padding and dilation; "same" padding is computed for the size of the example."""
    told = call.attributes
    stride, dilation = _pair(told.get("strides", (1, 1))), _pair(told.get("dilations", (1, 1)))
    same = told.get("auto_pad", "NOTSET")
    if same in ("SAME_UPPER", "SAME_LOWER"):
        sizes = list(zip(shape[2:], kernel, stride, dilation, strict=True))
        totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in sizes]
        if any(k > 1 and s > 1 for _, k, s, _ in sizes):  # otherwise the padding is the same at every size
            call.bound.append(f"its padding, auto_pad={same}, is computed")
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        before, after = (less, more) if same == "SAME_UPPER" else (more, less)
        return stride, (before[0], after[0], before[1], after[1]), dilation
    pads = tuple(told.get("pads", (0,) * 4)) if same == "NOTSET" else (0,) * 4
    require(len(pads) == 4, f"pads={pads} must have four values, for the last two axes")
    top, left, bottom, right = pads
    return stride, (top, bottom, left, right), dilation


def _pair(numbers: Sequence[int]) -> Pair:
    """Return the two numbers of a window's kernel, stride or dilation."""
    require(
        len(numbers) == 2 and min(numbers) >= 1,
        f"kernel, stride and dilation must be two positive integers each, got {tuple(numbers)}",
    )
    return (numbers[0], numbers[1])


def _gemm(call: Call) -> Step:
    """Dense, with constant weights"""
    x, w, b = call.x, call.weight(1, "weight"), call.constant(2, "bias")
    require(not call.attributes.get("transA", 0), "transA=1, a transposed activation, is not supported")
    require(w.ndim == 2, f"its weight has shape {w.shape}; it must be a matrix")
    w = call.attributes.get("alpha", 1.0) * (w if call.attributes.get("transB", 0) else w.T)
    if b is not None:
        require(
            b.size in (1, w.shape[0]) and b.size == b.shape[-1:][0] if b.ndim else True,
            f"its bias has shape {b.shape}; expected one number, or {w.shape[0]}",
        )
        b = call.attributes.get("beta", 1.0) * np.broadcast_to(b.ravel(), (w.shape[0],))
    return [Dense(_features(x, w), b)], plain(2)


def _matmul(call: Call) -> Step:
    """Dense: (N, features) times a constant matrix"""
    x, w = call.x, call.weight(1, "matrix")
    require(w.ndim == 2, f"its matrix has shape {w.shape}; it must have two axes")
    return [Dense(_features(x, w.T))], plain(2)


def _features(x: Activation, w: np.ndarray) -> np.ndarray:
    """Return weights (out, features) in the order of lrpref's features."""
    require(len(x.shape) == 2, f"expected (N, features), got shape {x.foreign}")
    require(w.shape[1] == x.shape[1], f"its weights take {w.shape[1]} features, its input has {x.shape[1]}")
    return x.layout.features(w)


def _batch_norm(call: Call) -> Step:
    """BatchNorm at inference"""
    x = call.x
    require(not call.attributes.get("training_mode", 0), "training_mode=1; export the model in inference mode")
    require(call.attributes.get("spatial", 1) == 1, "spatial=0, statistics per pixel, is not supported")
    require(x.layout.own_axis(1) == 1, f"expected images (N, C, H, W), got {axes_in_words(x.layout)}")
    weight, bias, mean, var = (
        x.layout.channels(call.weight(i, name).reshape(-1, *(1,) * (len(x.shape) - 2)), x.shape)
        for i, name in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    return [BatchNorm(weight, bias, mean, var, _epsilon(call))], x.layout


def _group_norm(call: Call) -> Step:
    """GroupNorm, from opset 21 on"""
    x, groups = _normalised(call), int(call.attributes["num_groups"])

    def per_channel(v: np.ndarray | None) -> np.ndarray | None:
        """One number per channel; by a Mul or an Add it comes in any shape (lrpref.importers.onnx_patterns)."""
        return v if v is None or (v.ndim == 1 and v.size > 1) else x.layout.channels(v, x.shape)

    weight, bias = (per_channel(call.constant(i, name)) for i, name in enumerate(("scale", "bias"), 1))
    return [GroupNorm(groups, weight, bias, _epsilon(call))], x.layout


def _instance_norm(call: Call) -> Step:
    """InstanceNorm"""
    x = _normalised(call)
    return [InstanceNorm(call.weight(1, "scale"), call.weight(2, "bias"), _epsilon(call))], x.layout


def _layer_norm(call: Call) -> Step:
    """LayerNorm, over the last axes"""
    x, last = _last_axes(call)
    weight, bias = (call.constant(i, name) for i, name in enumerate(("scale", "bias"), 1))
    return [LayerNorm(last, _spread(weight, last), _spread(bias, last), _epsilon(call))], x.layout


def _rms_norm(call: Call) -> Step:
    """RMSNorm, over the last axes"""
    x, last = _last_axes(call)
    return [RMSNorm(last, _spread(call.constant(1, "scale"), last), _epsilon(call))], x.layout


def _normalised(call: Call) -> Activation:
    """Return the first input, whose axes must be in lrpref's order."""
    require(call.x.layout.plain, f"expected axes in the order (N, C, ...), got {axes_in_words(call.x.layout)}")
    return call.x


def _last_axes(call: Call) -> tuple[Activation, Shape]:
    """Return the first input, whose axes must be in lrpref's order, and the sizes of the last axes, as the file says.

    It names the first of them, or all of them where the norm was recognised (lrpref.importers.onnx_patterns).
    """
    x, rank = _normalised(call), len(call.x.shape)
    first = x.layout.own_axis(int(call.attributes.get("axis", -1)))
    axes = sorted(map(x.layout.own_axis, call.attributes.get("axes", range(first, rank))))
    require(
        axes == list(range(rank - len(axes), rank)) and axes[0] > 0,
        f"normalisation over axes {axes} of shape {x.foreign} is not supported; only over the last ones",
    )
    return x, x.shape[axes[0] :]


def _spread(v: np.ndarray | None, last: Shape) -> np.ndarray | None:
    """Return a factor or a shift for every cell of the last axes; raises ConversionError for one of another shape."""
    if v is None:
        return None
    own = v[(0,) * max(v.ndim - len(last), 0)]
    require(bool(np.all(v == own)), f"a constant of shape {v.shape} that varies along other axes than {last}")
    return np.broadcast_to(own, last)


def _epsilon(call: Call) -> float:
    """Return what is added under the root."""
    return float(call.attributes.get("epsilon", single(1e-5)))


def _add(call: Call) -> Step:
    """Add of activations of one shape; a constant per channel becomes a bias, or a Scale"""
    if len(call.activations) == len(call.inputs):
        return _sum(call)
    x, shift = _with_constant(call)
    return [Scale(np.ones_like(shift), shift)], x.layout


def _sum(call: Call) -> Step:
    """Add of activations of one shape"""
    first, *others = call.activations
    require(
        len(call.activations) == len(call.inputs),
        "adding a constant is not supported here; all inputs must be activations",
    )
    shapes = [x.foreign for x in call.activations]
    require(len(set(shapes)) == 1, f"cannot add arrays of different shapes: {', '.join(map(str, shapes))}")
    require(all(x.layout.same(first.layout) for x in others), "cannot add arrays whose axes are in different orders")
    return [Add()] if others else [], first.layout


def _sub(call: Call) -> Step:
    """Scale, with a constant per channel"""
    x, constant = _with_constant(call)
    first = call.inputs[0] is x
    ones = np.ones_like(constant)
    return [Scale(ones, -constant) if first else Scale(-ones, constant)], x.layout


def _mul(call: Call) -> Step:
    """Scale, by a constant per channel"""
    x, factor = _with_constant(call)
    return [Scale(factor)], x.layout


def _div(call: Call) -> Step:
    """Scale, by a constant per channel"""
    x, divisor = _with_constant(call)
    require(call.inputs[0] is x, "dividing by an activation is not supported")
    require(bool(np.all(divisor)), "its divisor has zeros")
    return [Scale(1 / divisor)], x.layout


def _with_constant(call: Call) -> tuple[Activation, np.ndarray]:
    """Return the activation and the constant, given in either order; the constant as one number per channel."""
    constants = [value for value in call.inputs if isinstance(value, np.ndarray)]
    require(len(call.activations) == 1 and len(constants) == 1, "expected one activation and one constant")
    x, constant = call.activations[0], constants[0]
    return x, x.layout.channels(constant.astype(np.float64), x.shape)


def merged(before: Layer | None, scale: Layer) -> Layer | None:
    """Merge a layer without bias and the addition of a constant to its output; None if the layers are anything else."""
    if not (isinstance(scale, Scale) and isinstance(before, Dense | Conv2D | Scale)):
        return None
    only_adds = scale.bias is not None and bool(np.all(np.asarray(scale.weight) == 1))
    return replace(before, bias=scale.bias) if only_adds and before.bias is None else None


# ---- activations -----------------------------------------------------------------------------------------------


def _relu(call: Call) -> Step:
    """ReLU"""
    return [ReLU()], call.x.layout


def _clip(call: Call) -> Step:
    """ReLU from 0 without bound, ReLU6 from 0 to 6"""
    low, high = _number(call.setting("min", 1)), _number(call.setting("max", 2))
    if low == 0 and (high is None or isinf(high) or high >= LARGEST):
        return [ReLU()], call.x.layout
    require(
        low == 0 and high == 6,
        f"clipping from {low} to {high} is not supported; only from 0 without bound, or from 0 to 6",
    )
    return [ReLU6()], call.x.layout


def _number(value: Any) -> Any:
    """Return the number in a list of one; anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _leaky_relu(call: Call) -> Step:
    """LeakyReLU"""
    return [LeakyReLU(call.attributes.get("alpha", single(0.01)))], call.x.layout


def _sigmoid(call: Call) -> Step:
    """Sigmoid"""
    return [Sigmoid()], call.x.layout


def _tanh(call: Call) -> Step:
    """Tanh"""
    return [Tanh()], call.x.layout


def _softmax(call: Call) -> Step:
    """Softmax over the classes or channels"""
    _require_classes(call, "softmax")
    return [Softmax()], call.x.layout


def _log_softmax(call: Call) -> Step:
    """LogSoftmax over the classes or channels"""
    _require_classes(call, "log_softmax")
    return [LogSoftmax()], call.x.layout


def _log(call: Call) -> Step:
    """LogSoftmax, in place of the Softmax before it"""
    return [], call.x.layout


def _require_classes(call: Call, what: str) -> None:
    """Raise unless the axis is that of the classes or channels; before opset 13, all later axes belong to it."""
    x, rank = call.x, len(call.x.shape)
    axis = call.attributes.get("axis", -1 if call.opset >= 13 else 1)
    over = [axis] if call.opset >= 13 else list(range(axis % rank, rank))
    own = {x.layout.own_axis(k) for k in over}
    require(
        1 in own and all(x.shape[k] == 1 for k in own - {1}) and 0 not in own,
        f"{what} over axes {over} of shape {x.foreign} is not supported; only over classes or channels",
    )
    if own != {1}:
        call.bound.append("rows and columns, over which it normalises too, have one cell each")


# ---- pools -----------------------------------------------------------------------------------------------------


def _max_pool(call: Call) -> Step:
    """MaxPool2D; without dilation, ceil_mode only where it changes nothing"""
    kernel, stride, padding = _pool(call)
    return [MaxPool2D(kernel, stride, padding)], call.x.layout


def _average_pool(call: Call) -> Step:
    """AvgPool2D; without dilation, ceil_mode only where it changes nothing"""
    kernel, stride, padding = _pool(call)
    return [AvgPool2D(kernel, stride, padding, bool(call.attributes.get("count_include_pad", 0)))], call.x.layout


def _pool(call: Call) -> tuple[Pair, Pair, Padding]:
    """Return kernel, stride and padding of a pooling operation."""
    x = call.image()
    kernel = _pair(call.attributes.get("kernel_shape", ()))
    stride, padding, dilation = _window(call, x.shape, kernel)
    require(dilation == (1, 1), f"pooling with dilation {dilation} is not supported")
    top, bottom, left, right = padding
    rests = [
        (n + pads - k) % s
        for n, pads, k, s in zip(x.shape[2:], (top + bottom, left + right), kernel, stride, strict=True)
    ]
    require(
        not call.attributes.get("ceil_mode", 0) or not any(rests),
        "ceil_mode=1 with a partial last window is not supported",
    )
    if call.attributes.get("ceil_mode", 0) and stride != (1, 1):
        call.bound.append("its last windows are whole, in spite of ceil_mode=1,")
    return kernel, stride, padding


def _global_average_pool(call: Call) -> Step:
    """GlobalAvgPool2D"""
    return [GlobalAvgPool2D()], call.image().layout


def _reduce_mean(call: Call) -> Step:
    """GlobalAvgPool2D, over rows and columns; followed by Flatten without keepdims"""
    x, axes = call.x, call.setting("axes", 1)
    axes = axes if isinstance(axes, list) else []
    over = {x.layout.own_axis(axis) for axis in axes}
    require(
        len(x.shape) == 4 and over == {2, 3},
        f"a mean over axes {axes} of shape {x.foreign} is not supported; only over rows and columns",
    )
    if call.attributes.get("keepdims", 1):
        return [GlobalAvgPool2D()], x.layout
    return [GlobalAvgPool2D(), Flatten()], plain(2)


# ---- shapes ----------------------------------------------------------------------------------------------------


def _flatten(call: Call) -> Step:
    """Flatten, from axis 1"""
    axis, rank = call.attributes.get("axis", 1), len(call.x.shape)
    require(axis in (1, 1 - rank), f"flattening from axis {axis} is not supported; only from axis 1")
    return _to_shape(call.x, (call.x.foreign[0], prod(call.x.foreign[1:])))


def _reshape(call: Call) -> Step:
    """Flatten to (N, features); no layer where only axes of size 1 move"""
    before = call.x.foreign
    told = [int(n) for n in call.weight(1, "shape").ravel()]
    copied = not call.attributes.get("allowzero", 0)
    require(len(told) <= MAX_AXES, f"a shape of {len(told)} axes; at most {MAX_AXES} are supported")
    target = [before[k] if n == 0 and copied and k < len(before) else n for k, n in enumerate(told)]
    if target.count(-1) == 1:
        known = -prod(target)
        require(known > 0 and prod(before) % known == 0, f"cannot reshape {before} to {tuple(told)}")
        target[target.index(-1)] = prod(before) // known
    return _to_shape(call.x, tuple(target))


def _squeeze(call: Call) -> Step:
    """Flatten, where rows and columns are removed"""
    before, axes = call.x.foreign, call.setting("axes", 1)
    axes = list(range(1, len(before))) if axes is None else [axis % len(before) for axis in axes]
    return _to_shape(call.x, tuple(n for k, n in enumerate(before) if k not in axes or n != 1))


def _to_shape(x: Activation, target: Shape) -> Step:
    """Convert a change of the shape of the file's array to `target`."""
    if target == (x.foreign[0], prod(x.foreign[1:])):
        return [Flatten()] if len(x.shape) > 2 else [], x.layout.flattened(x.shape)
    layout = x.layout.reshaped(x.shape, target)
    if layout is None:
        raise ConversionError(f"reshaping {x.foreign} to {target} is not supported; only to (N, features)")
    return [], layout


def _transpose(call: Call) -> Step:
    """no layer: the weights of the next layers are permuted instead"""
    rank = len(call.x.shape)
    axes = tuple(call.attributes.get("perm", range(rank)[::-1]))
    return [], call.x.layout.transposed(axes)


def _concat(call: Call) -> Step:
    """Concat along channels or features"""
    require(len(call.activations) == len(call.inputs), "concatenation with a constant is not supported")
    layouts = [x.layout for x in call.activations]
    axis = call.attributes["axis"]
    require(
        len({layout.axes for layout in layouts}) == 1, "cannot concatenate arrays whose axes are in different orders"
    )
    require(
        layouts[0].own_axis(axis) == 1,
        f"concatenation along axis {axis} is not supported; only along channels or features",
    )
    layout = layouts[0]
    if any(each.order is not None for each in layouts):
        sizes = [x.shape[1] for x in call.activations]
        orders = [np.arange(n) if each.order is None else each.order for n, each in zip(sizes, layouts, strict=True)]
        layout = Layout((0, 1), np.concatenate([o + sum(sizes[:k]) for k, o in enumerate(orders)]))
    return [Concat()] if len(layouts) > 1 else [], layout


def _pad(call: Call) -> Step:
    """Pad2D: a constant around rows and columns"""
    x, mode = call.x, call.attributes.get("mode", "constant")
    require(mode == "constant", f"padding in mode {mode!r} is not supported; only 'constant'")
    pads, value, axes = call.setting("pads", 1), call.setting("value", 2), call.constant(3, "axes")
    over = list(range(len(x.shape))) if axes is None else axes.ravel().tolist()
    require(
        isinstance(pads, list) and len(pads) == 2 * len(over),
        f"pads={pads} must have two values for each of {len(over)} axes",
    )
    sides = {x.layout.own_axis(k): (pads[i], pads[i + len(over)]) for i, k in enumerate(over)}
    if not any(any(pair) for pair in sides.values()):
        return [], x.layout
    around = [pair for axis, pair in sides.items() if axis < 2]
    require(len(x.shape) == 4 and not any(map(any, around)), "only rows and columns can be padded")
    require(min(map(min, sides.values())) >= 0, f"negative padding, pads={pads}, is not supported")
    fill = value[0] if isinstance(value, list) else value
    return [Pad2D((*sides.get(2, (0, 0)), *sides.get(3, (0, 0))), float(fill or 0.0))], x.layout


# ---- identity at inference -------------------------------------------------------------------------------------


def _dropout(call: Call) -> Step:
    """Dropout, the identity at inference"""
    ratio, training = call.setting("ratio", 1), call.constant(2, "training_mode")
    require(training is None or not bool(np.any(training)), "training_mode is on; export the model in inference mode")
    return [Dropout(0.5 if ratio is None else float(ratio))], call.x.layout


def _identity(call: Call) -> Step:
    """no layer"""
    return [], call.x.layout


OPERATIONS: Mapping[str, Callable[[Call], Step]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "Add": _add,
    "Sum": _sum,
    "Sub": _sub,
    "Mul": _mul,
    "Div": _div,
    "Relu": _relu,
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
    "LogSoftmax": _log_softmax,
    "Log": _log,
    "Softmax": _softmax,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Pad": _pad,
    "Dropout": _dropout,
    "Identity": _identity,
    "Cast": _identity,
}
"""The conversion of each operation that reads an activation. The docstrings form the table in docs/import.md."""

FOLDED = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Gather", "Identity", "Mul", "Reshape", "Shape"),
    *("Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)
"""The operations that are computed during the import if they depend only on constants and shapes."""

SUPPORTED = ", ".join(OPERATIONS)
