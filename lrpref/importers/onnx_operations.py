"""What lrpref does with each operation of ONNX: a chain of layers and a layout, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf, prod
from typing import Any

import numpy as np

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
    Layer,
    LeakyReLU,
    MaxPool2D,
    Pad2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..layers.window import Padding, Pair
from .graph import Shape, require
from .layout import Layout, plain

LARGEST = float(np.finfo(np.float32).max)
"""What exporters write for "no bound"."""


@dataclass(frozen=True)
class Activation:
    """A value that depends on the input: the node where it stands, lrpref's shape, and how the file's array lies in it.

    name    of lrpref's node, or "input"
    shape   of its output
    layout  of the array in the file
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

    op          its type
    attributes  by name, as Python values
    inputs      activations, constants, and None for those left out
    opset       the version of ONNX's operators
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: tuple[Activation | np.ndarray | None, ...]
    opset: int

    @property
    def x(self) -> Activation:
        """The first input, which must be an activation."""
        if not self.inputs or not isinstance(self.inputs[0], Activation):
            raise ConversionError("its first input is a constant, not an activation")
        return self.inputs[0]

    @property
    def activations(self) -> list[Activation]:
        """All inputs that are activations."""
        return [value for value in self.inputs if isinstance(value, Activation)]

    def constant(self, index: int, what: str) -> np.ndarray | None:
        """An input that must be a constant; None where it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Activation):
            raise ConversionError(f"its {what} is computed from the input; it must be a constant")
        return value

    def weight(self, index: int, what: str) -> np.ndarray:
        """An input that must be a constant, and given."""
        value = self.constant(index, what)
        if value is None:
            raise ConversionError(f"it has no {what}")
        return value

    def setting(self, name: str, index: int) -> Any:
        """An attribute that later versions of ONNX give as an input, as Python numbers; None where it is left out."""
        if name in self.attributes:
            return self.attributes[name]
        value = self.constant(index, name)
        return None if value is None else value.tolist()

    def image(self) -> Activation:
        """The first input, as images with their axes in lrpref's order."""
        require(len(self.x.shape) == 4, f"it reads an array of shape {self.x.foreign}; only images, (N, C, H, W)")
        require(self.x.layout.plain, f"it reads images as {axes_in_words(self.x.layout)}, not as (N, C, H, W)")
        return self.x


Step = tuple[list[Layer], Layout]
"""The layers of an operation, and how the file's result lies in theirs."""


def single(value: float) -> float:
    """A number as the file would hold it: rounded to float32."""
    return float(np.float32(value))


def axes_in_words(layout: Layout) -> str:
    """As in "(N, H, W, C)"."""
    return f"({', '.join('NCHW'[axis] for axis in layout.axes)})"


# ---- linear ----------------------------------------------------------------------------------------------------


def _conv(call: Call) -> Step:
    """Conv2D; two-dimensional, with constant weights"""
    x, w, b = call.image(), call.weight(1, "weight"), call.constant(2, "bias")
    require(w.ndim == 4, f"its weight has shape {w.shape}; only two-dimensional convolutions")
    kernel = (w.shape[2], w.shape[3])
    told = tuple(call.attributes.get("kernel_shape", kernel))
    require(told == kernel, f"kernel_shape {told} for a weight of shape {w.shape}")
    stride, padding, dilation = _window(call, x.shape, kernel)
    return [Conv2D(w, b, stride, padding, dilation, call.attributes.get("group", 1))], x.layout


def _window(call: Call, shape: Shape, kernel: Pair) -> tuple[Pair, Padding, Pair]:
    """Stride, padding and dilation; "same" padding is that of the example's size."""
    told = call.attributes
    stride, dilation = _pair(told.get("strides", (1, 1))), _pair(told.get("dilations", (1, 1)))
    same = told.get("auto_pad", "NOTSET")
    if same in ("SAME_UPPER", "SAME_LOWER"):
        sizes = zip(shape[2:], kernel, stride, dilation, strict=True)
        totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in sizes]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        before, after = (less, more) if same == "SAME_UPPER" else (more, less)
        return stride, (before[0], after[0], before[1], after[1]), dilation
    pads = tuple(told.get("pads", (0,) * 4)) if same == "NOTSET" else (0,) * 4
    require(len(pads) == 4, f"padding {pads}; only of the last two axes")
    top, left, bottom, right = pads
    return stride, (top, bottom, left, right), dilation


def _pair(numbers: Sequence[int]) -> Pair:
    require(len(numbers) == 2 and min(numbers) >= 1, f"{tuple(numbers)}, where a window wants two numbers from 1")
    return (numbers[0], numbers[1])


def _gemm(call: Call) -> Step:
    """Dense, with constant weights"""
    x, w, b = call.x, call.weight(1, "weight"), call.constant(2, "bias")
    require(not call.attributes.get("transA", 0), "transA")
    require(w.ndim == 2, f"its weight has shape {w.shape}")
    w = call.attributes.get("alpha", 1.0) * (w if call.attributes.get("transB", 0) else w.T)
    if b is not None:
        require(b.size in (1, w.shape[0]) and b.size == b.shape[-1:][0] if b.ndim else True, f"a bias of {b.shape}")
        b = call.attributes.get("beta", 1.0) * np.broadcast_to(b.ravel(), (w.shape[0],))
    return [Dense(_features(x, w), b)], plain(2)


def _matmul(call: Call) -> Step:
    """Dense: (N, features) times a constant matrix"""
    x, w = call.x, call.weight(1, "matrix")
    require(w.ndim == 2, f"its matrix has shape {w.shape}")
    return [Dense(_features(x, w.T))], plain(2)


def _features(x: Activation, w: np.ndarray) -> np.ndarray:
    """Weights (out, features) in the order of lrpref's features."""
    require(len(x.shape) == 2, f"it reads an array of shape {x.foreign}; only (N, features)")
    require(w.shape[1] == x.shape[1], f"it reads {x.shape[1]} features, its weights take {w.shape[1]}")
    return x.layout.features(w)


def _batch_norm(call: Call) -> Step:
    """BatchNorm at inference"""
    x = call.x
    require(not call.attributes.get("training_mode", 0), "training_mode")
    require(call.attributes.get("spatial", 1) == 1, "statistics for every pixel; only for every channel")
    require(x.layout.own_axis(1) == 1, f"it reads images as {axes_in_words(x.layout)}, not as (N, C, H, W)")
    weight, bias, mean, var = (
        x.layout.channels(call.weight(i, name).reshape(-1, *(1,) * (len(x.shape) - 2)), x.shape)
        for i, name in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    return [BatchNorm(weight, bias, mean, var, call.attributes.get("epsilon", single(1e-5)))], x.layout


def _add(call: Call) -> Step:
    """Add of activations of one shape; a constant per channel becomes a bias, or a Scale"""
    if len(call.activations) == len(call.inputs):
        return _sum(call)
    x, shift = _with_constant(call)
    return [Scale(np.ones_like(shift), shift)], x.layout


def _sum(call: Call) -> Step:
    """Add of activations of one shape"""
    first, *others = call.activations
    require(len(call.activations) == len(call.inputs), "an addition of something that is no activation")
    shapes = [x.foreign for x in call.activations]
    require(len(set(shapes)) == 1, f"an addition of shapes {', '.join(map(str, shapes))}")
    require(all(x.layout.same(first.layout) for x in others), "an addition of arrays with their axes in other orders")
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
    require(call.inputs[0] is x, "a division by an activation")
    require(bool(np.all(divisor)), "a division by zero")
    return [Scale(1 / divisor)], x.layout


def _with_constant(call: Call) -> tuple[Activation, np.ndarray]:
    """An activation and a constant, in either order; the constant as one number per channel."""
    constants = [value for value in call.inputs if isinstance(value, np.ndarray)]
    require(len(call.activations) == 1 and len(constants) == 1, "two activations; only one and a constant per channel")
    x, constant = call.activations[0], constants[0]
    return x, x.layout.channels(constant.astype(np.float64), x.shape)


def merged(before: Layer | None, scale: Layer) -> Layer | None:
    """A layer without bias and the addition of a constant behind it, as one layer; None where that is not so."""
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
    low, high = call.setting("min", 1), call.setting("max", 2)
    if low == 0 and (high is None or isinf(high) or high >= LARGEST):
        return [ReLU()], call.x.layout
    require(low == 0 and high == 6, f"values clipped from {low} to {high}; only from 0, or from 0 to 6")
    return [ReLU6()], call.x.layout


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
    x = call.x
    axis = call.attributes.get("axis", -1 if call.opset >= 13 else 1)
    require(x.layout.own_axis(axis) == 1, f"softmax over axis {axis} of {x.foreign}; only over classes or channels")
    require(call.opset >= 13 or len(x.shape) == 2, "softmax over images in an opset below 13, which takes it over all")
    return [Softmax()], x.layout


# ---- pools -----------------------------------------------------------------------------------------------------


def _max_pool(call: Call) -> Step:
    """MaxPool2D; without dilation, ceil_mode only where it changes nothing"""
    kernel, stride, padding = _pool(call)
    return [MaxPool2D(kernel, stride, padding)], call.x.layout


def _average_pool(call: Call) -> Step:
    """AvgPool2D; likewise"""
    kernel, stride, padding = _pool(call)
    return [AvgPool2D(kernel, stride, padding, bool(call.attributes.get("count_include_pad", 0)))], call.x.layout


def _pool(call: Call) -> tuple[Pair, Pair, Padding]:
    """Kernel, stride and padding of a pool."""
    x = call.image()
    kernel = _pair(call.attributes.get("kernel_shape", ()))
    stride, padding, dilation = _window(call, x.shape, kernel)
    require(dilation == (1, 1), "a pool with dilation")
    top, bottom, left, right = padding
    rests = [
        (n + pads - k) % s
        for n, pads, k, s in zip(x.shape[2:], (top + bottom, left + right), kernel, stride, strict=True)
    ]
    require(not call.attributes.get("ceil_mode", 0) or not any(rests), "ceil_mode, with a last window that is not full")
    return kernel, stride, padding


def _global_average_pool(call: Call) -> Step:
    """GlobalAvgPool2D"""
    return [GlobalAvgPool2D()], call.image().layout


def _reduce_mean(call: Call) -> Step:
    """GlobalAvgPool2D, over rows and columns; without keepdims a Flatten behind it"""
    x, axes = call.x, call.setting("axes", 1)
    axes = axes if isinstance(axes, list) else []
    over = {x.layout.own_axis(axis) for axis in axes}
    require(len(x.shape) == 4 and over == {2, 3}, f"a mean over axes {axes} of {x.foreign}; only over rows and columns")
    if call.attributes.get("keepdims", 1):
        return [GlobalAvgPool2D()], x.layout
    return [GlobalAvgPool2D(), Flatten()], plain(2)


# ---- shapes ----------------------------------------------------------------------------------------------------


def _flatten(call: Call) -> Step:
    """Flatten, from axis 1"""
    axis, rank = call.attributes.get("axis", 1), len(call.x.shape)
    require(axis in (1, 1 - rank), f"flattened from axis {axis}; only from 1")
    return _to_shape(call.x, (call.x.foreign[0], prod(call.x.foreign[1:])))


def _reshape(call: Call) -> Step:
    """Flatten to (N, features), or nothing where only axes of one cell move"""
    before = call.x.foreign
    told = [int(n) for n in call.weight(1, "shape").ravel()]
    copied = not call.attributes.get("allowzero", 0)
    target = [before[k] if n == 0 and copied and k < len(before) else n for k, n in enumerate(told)]
    if target.count(-1) == 1:
        known = -prod(target)
        require(known > 0 and prod(before) % known == 0, f"a change of shape from {before} to {tuple(told)}")
        target[target.index(-1)] = prod(before) // known
    return _to_shape(call.x, tuple(target))


def _squeeze(call: Call) -> Step:
    """Flatten, where rows and columns are dropped"""
    before, axes = call.x.foreign, call.setting("axes", 1)
    axes = list(range(1, len(before))) if axes is None else [axis % len(before) for axis in axes]
    return _to_shape(call.x, tuple(n for k, n in enumerate(before) if k not in axes or n != 1))


def _to_shape(x: Activation, target: Shape) -> Step:
    """The file's array in another shape."""
    if target == (x.foreign[0], prod(x.foreign[1:])):
        return [Flatten()] if len(x.shape) > 2 else [], x.layout.flattened(x.shape)
    layout = x.layout.reshaped(x.shape, target)
    if layout is None:
        raise ConversionError(f"a change of shape from {x.foreign} to {target}; only to (N, features)")
    return [], layout


def _transpose(call: Call) -> Step:
    """nothing: the layers behind it take their weights in another order"""
    rank = len(call.x.shape)
    axes = tuple(call.attributes.get("perm", range(rank)[::-1]))
    return [], call.x.layout.transposed(axes)


def _concat(call: Call) -> Step:
    """Concat along channels or features"""
    require(len(call.activations) == len(call.inputs), "a concatenation with a constant")
    layouts = [x.layout for x in call.activations]
    axis = call.attributes["axis"]
    require(len({layout.axes for layout in layouts}) == 1, "a concatenation of arrays with their axes in other orders")
    require(layouts[0].own_axis(axis) == 1, f"a concatenation along axis {axis}; only along channels or features")
    layout = layouts[0]
    if any(each.order is not None for each in layouts):
        sizes = [x.shape[1] for x in call.activations]
        orders = [np.arange(n) if each.order is None else each.order for n, each in zip(sizes, layouts, strict=True)]
        layout = Layout((0, 1), np.concatenate([o + sum(sizes[:k]) for k, o in enumerate(orders)]))
    return [Concat()] if len(layouts) > 1 else [], layout


def _pad(call: Call) -> Step:
    """Pad2D: a constant around rows and columns"""
    x, mode = call.x, call.attributes.get("mode", "constant")
    require(mode == "constant", f"padding in mode {mode!r}; only constant")
    pads, value, axes = call.setting("pads", 1), call.setting("value", 2), call.constant(3, "axes")
    over = list(range(len(x.shape))) if axes is None else axes.ravel().tolist()
    require(isinstance(pads, list) and len(pads) == 2 * len(over), f"padding {pads} for {len(over)} axes")
    sides = {x.layout.own_axis(k): (pads[i], pads[i + len(over)]) for i, k in enumerate(over)}
    if not any(any(pair) for pair in sides.values()):
        return [], x.layout
    around = [pair for axis, pair in sides.items() if axis < 2]
    require(len(x.shape) == 4 and not any(map(any, around)), "padding of other axes than rows and columns")
    require(min(map(min, sides.values())) >= 0, "negative padding")
    fill = value[0] if isinstance(value, list) else value
    return [Pad2D((*sides.get(2, (0, 0)), *sides.get(3, (0, 0))), float(fill or 0.0))], x.layout


# ---- nothing at inference --------------------------------------------------------------------------------------


def _dropout(call: Call) -> Step:
    """Dropout, which does nothing at inference"""
    ratio, training = call.setting("ratio", 1), call.constant(2, "training_mode")
    require(training is None or not bool(np.any(training)), "dropout that is on, training_mode")
    return [Dropout(0.5 if ratio is None else float(ratio))], call.x.layout


def _identity(call: Call) -> Step:
    """nothing"""
    return [], call.x.layout


OPERATIONS: Mapping[str, Callable[[Call], Step]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
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
"""What each operation is here, where it reads an activation."""

FOLDED = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Gather", "Identity", "Mul", "Reshape", "Shape"),
    *("Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)
"""The operations that are computed at once where they read constants or shapes only."""

SUPPORTED = ", ".join(OPERATIONS)
