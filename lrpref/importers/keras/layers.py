"""Convert each of Keras's layers to a chain of layers, or refuse it with a reason.

Keras's arrays with more than two axes have their channels last, lrpref's have them on axis 1. A new layer needs a line
in `LAYERS`, a new activation function one in `ACTIVATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ConversionError
from ...layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Add,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    BatchNorm,
    Clip,
    Concat,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GroupNorm,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Mish,
    Multiply,
    Pad1D,
    Pad2D,
    Pad3D,
    Permute,
    PReLU,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Softmax,
    Softplus,
    Softsign,
    Subtract,
    Tanh,
    UpsampleLinear,
    UpsampleNearest,
)
from ..graph import Shape, require, reshaped

Classes = tuple[Callable[..., Layer], Callable[..., Layer], Callable[..., Layer]]
"""The layers for one, two and three spatial axes."""

CONVOLUTIONS: Classes = (Conv1D, Conv2D, Conv3D)
TRANSPOSED: Classes = (ConvTranspose1D, ConvTranspose2D, ConvTranspose3D)
MAX_POOLS: Classes = (MaxPool1D, MaxPool2D, MaxPool3D)
AVERAGE_POOLS: Classes = (AvgPool1D, AvgPool2D, AvgPool3D)
GLOBAL_MAXIMA: Classes = (GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D)
GLOBAL_AVERAGES: Classes = (GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D)
PADS: Classes = (Pad1D, Pad2D, Pad3D)


@dataclass(frozen=True)
class Call:
    """One layer or operation of the model, where it is called.

    Parameters
    ----------
    layer : keras.Layer or keras.Operation
        The layer itself.
    shapes : tuple of tuple of int
        The shapes of the activations that it reads, in lrpref's layout.
    arguments : tuple of any
        The arguments of an operation that is not a layer: numbers, or Keras's tensors for activations.
    is_layer : bool
        Whether it is a layer.
    bound : list of str
        What the conversion computes for the size of the example.
    """

    layer: Any
    shapes: tuple[Shape, ...]
    arguments: tuple[Any, ...] = ()
    is_layer: bool = True
    bound: list[str] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        """The shape of the only activation that it reads."""
        (shape,) = self.shapes
        return shape

    @property
    def axes(self) -> int:
        """The number of spatial axes."""
        axes = len(self.shape) - 2
        require(axes in (1, 2, 3), f"its input has {axes} axes between N and channels; expected one to three")
        return axes

    def weight(self, name: str) -> np.ndarray | None:
        """Return a weight of the layer; None if it has none."""
        value = getattr(self.layer, name, None)
        return None if value is None else array(value)


def array(value: Any) -> np.ndarray:
    """Return a variable or tensor of Keras as an array."""
    value = getattr(value, "value", value)
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value)


def own_axis(axis: int, rank: int) -> int:
    """Return the axis of lrpref's array that is this axis of Keras's.

    >>> [own_axis(axis, 4) for axis in (0, 1, 2, -1)]
    [0, 2, 3, 1]
    """
    axis = axis % rank
    return axis if axis == 0 or rank < 3 else 1 if axis == rank - 1 else axis + 1


def own_shape(shape: Sequence[int]) -> Shape:
    """Return the shape of lrpref's array for one of Keras's.

    >>> own_shape((2, 32, 32, 3))
    (2, 3, 32, 32)
    """
    return tuple(shape) if len(shape) < 3 else (shape[0], shape[-1], *shape[1:-1])


def check_known(layer: Any) -> None:
    """Raise ConversionError if a layer, or its activation function, is not one of Keras's own."""
    ours = type(layer).__module__.startswith("keras.")
    require(ours, f"layers with custom code cannot be converted. Supported: {', '.join(LAYERS)}")
    if (function := getattr(layer, "activation", None)) is not None:
        name = getattr(function, "__name__", type(function).__name__)
        ours = str(getattr(function, "__module__", "")).startswith("keras.")
        require(
            name in ACTIVATIONS and ours,
            f"its activation function {name!r} is not supported: {', '.join(ACTIVATIONS)} are",
        )


def converted(call: Call) -> list[Layer]:
    """Return the layers for a call, none for an identity; raises ConversionError."""
    kind, known = type(call.layer).__name__, LAYERS if call.is_layer else OPERATIONS
    check_known(call.layer)
    if kind not in known:
        reason = REASONS.get(kind, "")
        raise ConversionError(f"unsupported layer{reason and ': ' + reason}. Supported: {', '.join(LAYERS)}")
    require(
        getattr(call.layer, "data_format", "channels_last") in (None, "channels_last"),
        "data_format='channels_first' is not supported; build the model with channels last",
    )
    return known[kind](call)


# ---- linear --------------------------------------------------------------------------------------------------------


def _dense(call: Call) -> list[Layer]:
    w = _kernel(call, "kernel").T
    return [_product(call, w, call.weight("bias")), *_activation(call)]


def _product(call: Call, w: np.ndarray, b: np.ndarray | None) -> Layer:
    """Return the product of a matrix and the channels: a convolution of single cells if there are spatial axes."""
    if len(call.shape) == 2:
        return Dense(w, b)
    return CONVOLUTIONS[call.axes - 1](w.reshape(*w.shape, *(1,) * call.axes), b)


def _kernel(call: Call, name: str) -> np.ndarray:
    """Return a weight that must be there."""
    w = call.weight(name)
    if w is None:
        raise ConversionError(f"its {name} is missing")
    return w


def _conv(call: Call) -> list[Layer]:
    w = np.moveaxis(_kernel(call, "kernel"), (-1, -2), (0, 1))
    return [_convolution(call, w, call.weight("bias"), int(call.layer.groups)), *_activation(call)]


def _depthwise(call: Call) -> list[Layer]:
    return [_convolution(call, *_by_channel(call, "kernel"), call.weight("bias")), *_activation(call)]


def _separable(call: Call) -> list[Layer]:
    w, groups = _by_channel(call, "depthwise_kernel")
    mixing = np.moveaxis(_kernel(call, "pointwise_kernel"), (-1, -2), (0, 1))
    pointwise = CONVOLUTIONS[call.axes - 1](mixing, call.weight("bias"))
    return [_convolution(call, w, groups, None), pointwise, *_activation(call)]


def _by_channel(call: Call, name: str) -> tuple[np.ndarray, int]:
    """Return the weights of a depthwise convolution, (channels * multiplier, 1, ...), and the number of channels."""
    w = np.moveaxis(_kernel(call, name), (-2, -1), (0, 1))
    return w.reshape(-1, 1, *w.shape[2:]), w.shape[0]


def _convolution(call: Call, w: np.ndarray, *rest: Any) -> Layer:
    """Return a convolution with the strides, the dilation and the padding of the layer."""
    groups, bias = sorted(rest, key=lambda each: not isinstance(each, int))
    stride, dilation = (_each(getattr(call.layer, name), call.axes) for name in ("strides", "dilation_rate"))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    return CONVOLUTIONS[call.axes - 1](w, bias, stride, _padding(call, reach, stride), dilation, groups)


def _padding(call: Call, reach: Sequence[int], stride: Shape) -> tuple[int, ...]:
    """Return the cells before and after each axis; with "same" and a stride, they depend on the size."""
    told = call.layer.padding
    if told == "valid":
        return (0, 0) * call.axes
    if told == "causal":
        return (reach[0] - 1, 0)
    if any(s > 1 for s in stride):
        call.bound.append("its padding is computed")
    totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in zip(call.shape[2:], reach, stride, strict=True)]
    return tuple(side for total in totals for side in (total // 2, total - total // 2))


def _conv_transpose(call: Call) -> list[Layer]:
    w = np.moveaxis(_kernel(call, "kernel"), (-1, -2), (0, 1))
    stride, dilation = (_each(getattr(call.layer, name), call.axes) for name in ("strides", "dilation_rate"))
    require(getattr(call.layer, "output_padding", None) is None, "output_padding is not supported")
    spare = [d * (k - 1) + 1 - s for d, k, s in zip(dilation, w.shape[2:], stride, strict=True)]
    cut = [max(n, 0) if call.layer.padding == "same" else 0 for n in spare]
    padding = tuple(side for n in cut for side in (n // 2, n - n // 2))
    more = tuple(max(-n, 0) for n in spare)
    made = TRANSPOSED[call.axes - 1]
    return [made(w, call.weight("bias"), stride, padding, dilation, output_padding=more), *_activation(call)]


def _each(value: Any, axes: int) -> Shape:
    """Return one number for each axis."""
    return tuple(int(n) for n in value) if isinstance(value, Sequence) else (int(value),) * axes


# ---- normalisation -------------------------------------------------------------------------------------------------


def _batch_norm(call: Call) -> list[Layer]:
    _require_channels(call)
    mean, var = _kernel(call, "moving_mean"), _kernel(call, "moving_variance")
    return [BatchNorm(call.weight("gamma"), call.weight("beta"), mean, var, float(call.layer.epsilon))]


def _layer_norm(call: Call) -> list[Layer]:
    _require_channels(call)
    norm = LayerNorm((call.shape[1],), call.weight("gamma"), call.weight("beta"), float(call.layer.epsilon))
    return [*_to_last(len(call.shape)), norm, *_to_first(len(call.shape))]


def _group_norm(call: Call) -> list[Layer]:
    _require_channels(call)
    groups = call.shape[1] if call.layer.groups == -1 else int(call.layer.groups)
    return [GroupNorm(groups, call.weight("gamma"), call.weight("beta"), float(call.layer.epsilon))]


def _require_channels(call: Call) -> None:
    """Raise ConversionError unless the layer's axis is that of the channels, the last in Keras."""
    given = call.layer.axis
    axes = list(given) if isinstance(given, list | tuple) else [given]
    rank = len(call.shape)
    require([axis % rank for axis in axes] == [rank - 1], f"axis={given} is not supported, only the last axis")


def _rescaling(call: Call) -> list[Layer]:
    return _affine(call, call.layer.scale, call.layer.offset)


def _normalization(call: Call) -> list[Layer]:
    mean, deviation = array(call.layer.mean), np.sqrt(array(call.layer.variance))
    deviation = np.maximum(deviation, 1e-7)  # keras.config.epsilon()
    if call.layer.invert:
        return _affine(call, deviation, mean)
    return _affine(call, 1 / deviation, -mean / deviation)


def _affine(call: Call, weight: Any, bias: Any) -> list[Layer]:
    """Return weight * activation + bias as a layer, none for the identity."""
    w, b = (_per_channel(call, each) for each in (weight, bias))
    if not b.any():
        return [] if (w == 1).all() else [Scale(w)]
    return [Scale(w, b)]


def _per_channel(call: Call, constant: Any) -> np.ndarray:
    """Return a constant as one number per channel, or refuse it."""
    c, channels = np.asarray(constant, np.float64), call.shape[1]
    fits = c.size == 1 or (c.size == channels == c.shape[-1])
    require(fits, f"a constant of shape {c.shape} is not supported; it must be one number, or one per channel")
    return np.broadcast_to(c.ravel(), (channels,)).copy()


# ---- activations ---------------------------------------------------------------------------------------------------

ACTIVATIONS: Mapping[str, Callable[[], Layer] | None] = {
    "celu": CELU,
    "elu": ELU,
    "gelu": GELU,
    "hard_sigmoid": HardSigmoid,
    "hard_silu": HardSwish,
    "hard_tanh": HardTanh,
    "leaky_relu": lambda: LeakyReLU(0.2),
    "linear": None,
    "log_softmax": LogSoftmax,
    "mish": Mish,
    "relu": ReLU,
    "relu6": ReLU6,
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softmax": Softmax,
    "softplus": lambda: Softplus(threshold=1e9),
    "softsign": Softsign,
    "tanh": Tanh,
}
"""Keras's activation functions by name; None for the identity."""


def _activation(call: Call) -> list[Layer]:
    """Return the layer for the activation function of a layer."""
    function = call.layer.activation
    layer = ACTIVATIONS[getattr(function, "__name__", type(function).__name__)]
    return [] if layer is None else [layer()]


def _relu(call: Call) -> list[Layer]:
    top, slope = call.layer.max_value, float(call.layer.negative_slope)
    require(call.layer.threshold == 0, f"a threshold of {call.layer.threshold} is not supported")
    require(top is None or slope == 0, "negative_slope and max_value together are not supported")
    if top is not None:
        return [ReLU6() if top == 6 else Clip(0.0, float(top))]
    return [LeakyReLU(slope) if slope else ReLU()]


def _prelu(call: Call) -> list[Layer]:
    w = _kernel(call, "alpha")
    require(w.size in (1, w.shape[-1]), "one slope per position is not supported; use shared_axes for rows and columns")
    return [PReLU(np.broadcast_to(w.ravel(), (call.shape[1],)).copy())]


def _softmax(call: Call) -> list[Layer]:
    _require_channels(call)
    return [Softmax()]


# ---- pools ---------------------------------------------------------------------------------------------------------


def _max_pool(call: Call) -> list[Layer]:
    kernel, stride = (_each(getattr(call.layer, name), call.axes) for name in ("pool_size", "strides"))
    return [MAX_POOLS[call.axes - 1](kernel, stride, _padding(call, kernel, stride))]


def _avg_pool(call: Call) -> list[Layer]:
    kernel, stride = (_each(getattr(call.layer, name), call.axes) for name in ("pool_size", "strides"))
    return [AVERAGE_POOLS[call.axes - 1](kernel, stride, _padding(call, kernel, stride), False)]


def _global(classes: Classes) -> Callable[[Call], list[Layer]]:
    """Return the conversion of a pool over everything."""
    return lambda call: [classes[call.axes - 1](), *([] if call.layer.keepdims else [Flatten()])]


def _upsampling(call: Call) -> list[Layer]:
    mode = getattr(call.layer, "interpolation", "nearest")
    require(mode in ("nearest", "bilinear"), f"interpolation={mode!r} is not supported, only 'nearest' and 'bilinear'")
    factor = _each(call.layer.size, call.axes)
    return [UpsampleNearest(scale_factor=factor) if mode == "nearest" else UpsampleLinear(scale_factor=factor)]


# ---- shapes --------------------------------------------------------------------------------------------------------


def _to_last(rank: int) -> list[Layer]:
    """Return the layer that moves the channels to the last axis."""
    return [Permute((0, *range(2, rank), 1))] if rank > 2 else []


def _to_first(rank: int) -> list[Layer]:
    """Return the layer that moves the last axis to the channels."""
    return [Permute((0, rank - 1, *range(1, rank - 1)))] if rank > 2 else []


def _flatten(call: Call) -> list[Layer]:
    return _reshaped(call, (-1,))


def _reshape(call: Call) -> list[Layer]:
    return _reshaped(call, tuple(call.layer.target_shape))


def _reshaped(call: Call, target: tuple[int, ...]) -> list[Layer]:
    """Return the layers for another shape of the samples, in Keras's order of cells."""
    before = (call.shape[0], *call.shape[2:], call.shape[1])
    cells = int(np.prod(call.shape[1:]))
    if -1 in target:
        known = -int(np.prod(target))
        require(known > 0 and cells % known == 0, f"{before} cannot be reshaped to {target}")
        target = tuple(cells // known if n == -1 else n for n in target)
        if len(target) > 1 and len(before) > 2:
            call.bound.append("its shape is computed")
    if set(call.shape[2:]) <= {1} and set(target[:-1]) <= {1}:  # only the channels have several cells
        return reshaped(call.shape, own_shape((call.shape[0], *target)))
    there = _to_last(len(before)) if set(call.shape[2:]) - {1} else [Flatten()] if len(before) > 2 else []
    return [*there, *reshaped(before, (call.shape[0], *target)), *_to_first(len(target) + 1)]


def _permute(call: Call) -> list[Layer]:
    rank = len(call.shape)
    order = [own_axis(axis, rank) for axis in (0, *call.layer.dims)]  # of Keras's axes
    axes = tuple(order) if rank < 3 else (order[0], order[-1], *order[1:-1])
    return [] if axes == tuple(range(rank)) else [Permute(axes)]


def _pad(call: Call) -> list[Layer]:
    value = float(getattr(call.layer, "value", 0.0) or 0.0)
    return [PADS[call.axes - 1](tuple(side for pair in _pairs(call.layer.padding) for side in pair), value)]


def _crop(call: Call) -> list[Layer]:
    pairs = _pairs(call.layer.cropping)
    return [Slice(k, a, -b if b else None) for k, (a, b) in enumerate(pairs, 2) if a or b]


def _pairs(given: Any) -> list[tuple[int, int]]:
    """Return the cells before and after each axis as pairs."""
    nested = [given] if isinstance(given[0], int) else given
    return [(int(a), int(b)) for a, b in nested]


# ---- joins ---------------------------------------------------------------------------------------------------------


def _add(call: Call) -> list[Layer]:
    return [Add()]


def _subtract(call: Call) -> list[Layer]:
    return [Subtract()]


def _multiply(call: Call) -> list[Layer]:
    require(len(call.shapes) == 2, f"{len(call.shapes)} factors are not supported; multiply two at a time")
    require(len({len(shape) for shape in call.shapes}) == 1, "both factors need the same number of axes")
    return [Multiply()]


def _concat(call: Call) -> list[Layer]:
    axis = own_axis(call.layer.axis, len(call.shapes[0]))
    require(axis != 0, "axis=0, the batch axis, is not supported")
    return [Concat(axis)] if len(call.shapes) > 1 else []


def _operands(call: Call) -> tuple[bool, Any]:
    """Return whether the constant of an operation is its first operand, and the constant; None for two activations."""
    constants = [(k == 0, each) for k, each in enumerate(call.arguments) if not hasattr(each, "_keras_history")]
    return constants[0] if constants else (False, None)


def _plus(call: Call) -> list[Layer]:
    _, constant = _operands(call)
    return _add(call) if constant is None else _affine(call, 1.0, constant)


def _minus(call: Call) -> list[Layer]:
    first, constant = _operands(call)
    if constant is None:
        return _subtract(call)
    return _affine(call, -1.0, constant) if first else _affine(call, 1.0, -np.asarray(constant))


def _times(call: Call) -> list[Layer]:
    _, constant = _operands(call)
    return _multiply(call) if constant is None else _affine(call, constant, 0.0)


def _divide(call: Call) -> list[Layer]:
    first, constant = _operands(call)
    require(constant is not None and not first, "division by an activation is not supported; only by a constant")
    require(bool(np.all(constant)), "its divisor has zeros")
    return _affine(call, 1 / np.asarray(constant, np.float64), 0.0)


def _identity(call: Call) -> list[Layer]:
    return []


LAYERS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "Activation": _activation,
    "ActivityRegularization": _identity,
    "Add": _add,
    "AlphaDropout": _identity,
    **dict.fromkeys(("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"), _avg_pool),
    "BatchNormalization": _batch_norm,
    "Concatenate": _concat,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _conv),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _conv_transpose),
    **dict.fromkeys(("Cropping1D", "Cropping2D", "Cropping3D"), _crop),
    "Dense": _dense,
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    "Dropout": lambda call: [Dropout(float(call.layer.rate))],
    "ELU": lambda call: [ELU(float(call.layer.alpha))],
    "Flatten": _flatten,
    "GaussianDropout": _identity,
    "GaussianNoise": _identity,
    **dict.fromkeys(
        ("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"), _global(GLOBAL_AVERAGES)
    ),
    **dict.fromkeys(("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"), _global(GLOBAL_MAXIMA)),
    "GroupNormalization": _group_norm,
    "Identity": _identity,
    "LayerNormalization": _layer_norm,
    "LayerScale": lambda call: _affine(call, call.weight("gamma"), 0.0),  # of keras.applications
    "LeakyReLU": lambda call: [LeakyReLU(float(call.layer.negative_slope))],
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"), _max_pool),
    "Multiply": _multiply,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "Permute": _permute,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    "Softmax": _softmax,
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _identity),
    "Subtract": _subtract,
    **dict.fromkeys(("UpSampling1D", "UpSampling2D", "UpSampling3D"), _upsampling),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"), _pad),
}
"""The conversion of each layer to a chain of layers, empty for an identity."""

OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "Add": _plus,
    "Multiply": _times,
    "Subtract": _minus,
    "TrueDivide": _divide,
}
"""The conversion of operators such as `x + 3.0`, which are not layers."""

REASONS: Mapping[str, str] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "Bidirectional", "RNN"), "recurrent layers are not imported"),
    **dict.fromkeys(("MultiHeadAttention", "GroupQueryAttention", "Attention"), "attention is not imported"),
    "Embedding": "layers for indices, such as words, are not imported",
    "Lambda": "it runs custom code; write it with layers",
}
"""Why layers that people will ask for are not supported."""
