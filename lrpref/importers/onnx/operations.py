"""Convert each operation of ONNX to a chain of layers and a layout, or refuse it with a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..._support.untrusted import MAX_AXES
from ...layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Add,
    Clip,
    Concat,
    Dense,
    Dropout,
    Flatten,
    HardSigmoid,
    HardSwish,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    LogSoftmax,
    MatMul,
    Maximum,
    Mean,
    Minimum,
    Mish,
    Permute,
    PReLU,
    PrependTokens,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Threshold,
    TokenDense,
)
from .. import mixed
from ..graph import affine, along, require
from ..layout import Activation, Layout, Step, plain
from ..mixed import Mixed
from . import moves, norms, spatial
from .call import Call, single
from .evaluator import meant
from .file import FLOATING
from .patterns import PARTS, UNBOUNDED

LARGEST = float(np.finfo(np.float32).max)
"""The value that exporters write for "no bound"."""


# ---- linear ----------------------------------------------------------------------------------------------------


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
    if call.merged:
        return [TokenDense(w, b)], x.layout
    return [Dense(_features(x, w), b)], plain(2)


def _matmul(call: Call) -> Step:
    """Dense: (N, features) times a constant matrix; TokenDense where there are more axes; MatMul of activations"""
    if len(call.activations) == 2:
        return [MatMul()], call.x.layout
    require(
        isinstance(call.inputs[0], Activation),
        "a constant matrix times activations is not supported; write it as activations times the transposed matrix",
    )
    x, w, rank = call.x, call.weight(1, "matrix"), len(call.x.shape)
    require(w.ndim == 2, f"its matrix has shape {w.shape}; it must have two axes")
    if rank < 3:
        return [Dense(_features(x, w.T))], plain(2)
    require(w.shape[0] == x.shape[-1], f"its matrix takes {w.shape[0]} features, its input has {x.shape[-1]}")
    return [TokenDense(w.T)], x.layout


_ROUTE = "; put a Flatten before it, or a MatMul and an Add in its place"


def _features(x: Activation, w: np.ndarray) -> np.ndarray:
    """Return weights (out, features) in the order of lrpref's features."""
    require(len(x.shape) == 2, f"expected (N, features), got shape {x.foreign}{_ROUTE if len(x.shape) > 2 else ''}")
    require(w.shape[1] == x.shape[1], f"its weights take {w.shape[1]} features, its input has {x.shape[1]}")
    return x.layout.features(w)


def _add(call: Call) -> Step:
    """Add of activations of one shape; a constant becomes a bias, a Scale, or an Affine"""
    if len(call.activations) == len(call.inputs):
        return _sum(call)
    x, shift = _with_constant(call)
    return affine(np.ones_like(shift), shift, x.shape), x.layout


def _sum(call: Call) -> Step:
    """Add of activations of one shape; constants per channel become a Scale"""
    first, *others = call.activations
    _check_alike(call)
    constants = [first.layout.channels(c.astype(float), first.shape) for c in call.inputs if isinstance(c, np.ndarray)]
    total = sum(constants, np.zeros(first.shape[1])) if constants else None
    shift = [] if total is None else [Scale(np.ones_like(total), total)]
    return [*([Add()] if others else []), *shift], first.layout


def _check_alike(call: Call) -> None:
    """Raise ConversionError unless the activations have one shape and one order of axes."""
    shapes, verb = [x.foreign for x in call.activations], "add" if call.op in ("Add", "Sum", "Mean") else "compare"
    require(len(set(shapes)) == 1, f"cannot {verb} arrays of different shapes: {', '.join(map(str, shapes))}")
    alike = all(x.layout.same(call.activations[0].layout) for x in call.activations)
    require(alike, f"cannot {verb} arrays whose axes are in different orders")


def _sub(call: Call) -> Step:
    """Subtract of activations of one shape; Scale or Affine, with a constant"""
    if len(call.activations) == len(call.inputs) == 2:
        return moves.difference(call)
    x, constant = _with_constant(call)
    sign = 1 if call.inputs[0] is x else -1
    return affine(np.full_like(constant, sign), -sign * constant, x.shape), x.layout


def _mul(call: Call) -> Step:
    """Multiply of activations, which broadcasts; Scale or Affine, by a constant"""
    if len(call.activations) == len(call.inputs) == 2:
        return moves.product(call)
    x, factor = _with_constant(call)
    return affine(factor, np.zeros_like(factor), x.shape), x.layout


def _div(call: Call) -> Step:
    """Scale or Affine, by a constant"""
    x, divisor = _with_constant(call)
    require(call.inputs[0] is x, "dividing by an activation is not supported")
    require(bool(np.all(divisor)), "its divisor has zeros")
    return affine(1 / divisor, np.zeros_like(divisor), x.shape), x.layout


def _neg(call: Call) -> Step:
    """Scale, by -1"""
    return [Scale(-np.ones(call.x.shape[1]))], call.x.layout


def _scaler(call: Call) -> Step:
    """Scale: per feature, the offset is subtracted, then the result scaled"""
    x, told = call.x, call.attributes
    require(len(x.shape) == 2, f"expected (N, features), got shape {x.foreign}")
    scale, offset = (
        x.layout.channels(np.asarray(told.get(name, default), dtype=np.float64), x.shape)
        for name, default in (("scale", 1.0), ("offset", 0.0))
    )
    return [Scale(scale, -offset * scale)], x.layout


def _linear_model(call: Call) -> Step:
    """Dense"""
    x, told = call.x, call.attributes
    coefficients = np.asarray(told.get("coefficients", ()), dtype=np.float64)
    intercepts = np.asarray(told.get("intercepts", ()), dtype=np.float64)
    require(len(x.shape) == 2, f"expected (N, features), got shape {x.foreign}")
    require(
        coefficients.size > 0 and coefficients.size % x.shape[1] == 0,
        f"its {coefficients.size} coefficients are not a multiple of the {x.shape[1]} features",
    )
    require(told.get("post_transform", "NONE") == "NONE", "its post_transform is not supported; only NONE")
    w = coefficients.reshape(-1, x.shape[1])
    return [Dense(_features(x, w), intercepts if intercepts.size else None)], plain(2)


def _linear_classifier(call: Call) -> Step:
    """Dense, followed by Sigmoid or Softmax; its scores"""
    last: dict[str, list[Layer]] = {"NONE": [], "LOGISTIC": [Sigmoid()], "SOFTMAX": [Softmax()]}
    told = dict(call.attributes)
    transform = told.pop("post_transform", "NONE")
    require(transform in last, f"post_transform={transform} is not supported; only {', '.join(last)}")
    [dense], layout = _linear_model(replace(call, attributes=told))
    classes = len(told.get("classlabels_ints") or told.get("classlabels_strings") or ())
    rows = dense.output_shape(call.x.shape)[1]
    require(rows == classes, f"it has {rows} rows of coefficients for {classes} classes; it must have one for each")
    return [dense, *last[transform]], layout


def _normalizer(call: Call) -> Step:
    """no layer, after a Softmax: probabilities already sum to 1"""
    require(
        isinstance(call.before, Softmax) and call.attributes.get("norm", "MAX") == "L1",
        "it divides each sample by its own norm, which has no relevance rule here; normalise the data before the "
        "network, and export the network without it",
    )
    return [], call.x.layout


def _with_constant(call: Call) -> tuple[Activation, np.ndarray]:
    """Return the activation, and the constant as it is broadcast against lrpref's array, given in either order."""
    constants = [value for value in call.inputs if isinstance(value, np.ndarray)]
    require(len(call.activations) == 1 and len(constants) == 1, "expected one activation and one constant")
    x, constant = call.activations[0], constants[0]
    return x, x.layout.aligned(constant.astype(np.float64), x.shape)


# ---- activations -----------------------------------------------------------------------------------------------


def _relu(call: Call) -> Step:
    """ReLU"""
    return [ReLU()], call.x.layout


def _clip(call: Call) -> Step:
    """Clip; ReLU from 0 without bound, ReLU6 from 0 to 6"""
    return _clipped(call.x, _number(call.setting("min", 1)), _number(call.setting("max", 2)))


def _clipped(x: Activation, low: Any, high: Any) -> Step:
    """Convert clipping between two numbers, either of which may be None."""
    low, high = (None if bound is None or abs(bound) >= LARGEST else float(bound) for bound in (low, high))
    if low is high is None:
        return [], x.layout
    known: dict[tuple[float | None, float | None], Layer] = {(0, None): ReLU(), (0, 6): ReLU6()}
    return [known.get((low, high)) or Clip(low, high)], x.layout


def _max(call: Call) -> Step:
    """Maximum of activations of one shape; Clip from below by a constant; ReLU from 0"""
    if len(call.activations) == len(call.inputs):
        return _compared(call, Maximum)
    return _clipped(*_with_number(call), None)


def _min(call: Call) -> Step:
    """Minimum of activations of one shape; Clip from above by a constant"""
    if len(call.activations) == len(call.inputs):
        return _compared(call, Minimum)
    x, bound = _with_number(call)
    return _clipped(x, None, bound)


def _compared(call: Call, layer: type[Layer]) -> Step:
    """Return the layer that compares activations of one shape, none for a single one."""
    _check_alike(call)
    return [layer()] if len(call.inputs) > 1 else [], call.x.layout


def _mean_of_several(call: Call) -> Step:
    """Add of activations of one shape, and a Scale"""
    layers, layout = _sum(call)
    n = len(call.inputs)
    return ([*layers, Scale(np.full(call.x.shape[1], 1 / n))] if n > 1 else layers), layout


def _with_number(call: Call) -> tuple[Activation, float]:
    """Return the activation and the constant number of a comparison, given in either order."""
    constants = [value for value in call.inputs if isinstance(value, np.ndarray)]
    require(
        len(call.activations) == 1 and len(constants) == 1 and constants[0].size == 1,
        "only the comparison of an activation with one constant number is supported",
    )
    return call.activations[0], float(constants[0].item())


def _number(value: Any) -> Any:
    """Return the number in a list of one; anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _leaky_relu(call: Call) -> Step:
    """LeakyReLU"""
    return [LeakyReLU(call.attributes.get("alpha", single(0.01)))], call.x.layout


def _local_response_norm(call: Call) -> Step:
    """LocalResponseNorm, over an odd number of channels"""
    x, told = call.x, call.attributes
    alpha, beta, bias = told.get("alpha", single(1e-4)), told.get("beta", 0.75), told.get("bias", 1.0)
    return [LocalResponseNorm(told["size"], alpha, beta, bias)], x.layout


def _celu(call: Call) -> Step:
    """CELU"""
    return [CELU(call.attributes.get("alpha", 1.0))], call.x.layout


def _elu(call: Call) -> Step:
    """ELU"""
    return [ELU(call.attributes.get("alpha", 1.0))], call.x.layout


def _gelu(call: Call) -> Step:
    """GELU"""
    return [GELU(call.attributes.get("approximate", "none"))], call.x.layout


def _hard_sigmoid(call: Call) -> Step:
    """HardSigmoid, with a positive alpha"""
    alpha, beta = meant(call.attributes.get("alpha", single(0.2))), call.attributes.get("beta", 0.5)
    require(alpha > 0, f"alpha={alpha} is not supported; only a positive slope")
    return [HardSigmoid(beta / alpha, 1 / alpha)], call.x.layout


def _hard_swish(call: Call) -> Step:
    """HardSwish"""
    return [HardSwish()], call.x.layout


def _mish(call: Call) -> Step:
    """Mish"""
    return [Mish()], call.x.layout


def _prelu(call: Call) -> Step:
    """PReLU, with a constant slope, one number or one per cell of an axis"""
    x, slope = call.x, call.weight(1, "slope")
    if slope.size == 1:
        return [PReLU(float(slope.item()))], x.layout
    axis, slopes = x.layout.one_axis(slope, x.shape)
    return along(axis, len(x.shape), [PReLU(slopes)]), x.layout


def _selu(call: Call) -> Step:
    """SELU"""
    told = call.attributes
    return [SELU(meant(told.get("alpha", SELU.alpha)), meant(told.get("gamma", SELU.scale)))], call.x.layout


def _softplus(call: Call) -> Step:
    """Softplus, without a threshold"""
    return [Softplus(1.0, UNBOUNDED)], call.x.layout


def _softsign(call: Call) -> Step:
    """Softsign"""
    return [Softsign()], call.x.layout


def _swish(call: Call) -> Step:
    """SiLU, with alpha 1"""
    alpha = call.attributes.get("alpha", 1.0)
    require(alpha == 1, f"alpha={alpha} is not supported; only 1, which is SiLU")
    return [SiLU()], call.x.layout


def _thresholded_relu(call: Call) -> Step:
    """Threshold, with the value 0"""
    return [Threshold(call.attributes.get("alpha", 1.0), 0.0)], call.x.layout


def _sigmoid(call: Call) -> Step:
    """Sigmoid"""
    return [Sigmoid()], call.x.layout


def _tanh(call: Call) -> Step:
    """Tanh"""
    return [Tanh()], call.x.layout


def _softmax(call: Call) -> Step:
    """Softmax, over one axis"""
    return [Softmax(_normalised(call))], call.x.layout


def _log_softmax(call: Call) -> Step:
    """LogSoftmax over the classes or channels; over another axis between two Permute"""
    return along(_normalised(call), len(call.x.shape), [LogSoftmax()]), call.x.layout


def _log(call: Call) -> Step:
    """LogSoftmax, in place of the Softmax before it"""
    return [], call.x.layout


def _normalised(call: Call) -> int:
    """Return lrpref's axis that is normalised over; before opset 13, all later axes belong to it."""
    x, rank = call.x, len(call.x.shape)
    axis = call.attributes.get("axis", -1 if call.opset >= 13 else 1)
    own = [x.layout.own_axis(k) for k in ([axis] if call.opset >= 13 else range(axis % rank, rank))]
    require(0 not in own, f"a softmax over axis {axis} mixes the samples")
    if len(own) > 1:
        require(
            1 in own and all(x.shape[k] == 1 for k in own if k != 1),
            f"a softmax over axes {own} of shape {x.foreign} at once is not supported; only over one axis",
        )
        call.bound.append("rows and columns, over which it normalises too, have one cell each")
        return 1
    return own[0]


# ---- pools -----------------------------------------------------------------------------------------------------


def _reduce_mean(call: Call) -> Step:
    """Mean over axes; over rows and columns GlobalAvgPool2D, followed by Flatten without keepdims"""
    x, axes = call.x, call.setting("axes", 1)
    axes = axes if isinstance(axes, list) else []
    over, rank = {x.layout.own_axis(axis) for axis in axes}, len(x.shape) - 2
    if rank not in spatial.GLOBAL_AVERAGE_POOLS or over != set(range(2, 2 + rank)):
        return moves.reduced(call, Mean)
    pool = spatial.GLOBAL_AVERAGE_POOLS[rank]()
    return ([pool], x.layout) if call.attributes.get("keepdims", 1) else ([pool, Flatten()], plain(2))


# ---- shapes ----------------------------------------------------------------------------------------------------


def _flatten(call: Call) -> Step:
    """Flatten, from axis 1"""
    axis, rank = call.attributes.get("axis", 1), len(call.x.shape)
    require(axis in (1, 1 - rank), f"flattening from axis {axis} is not supported; only from axis 1")
    return moves.to_shape(call.x, (call.x.foreign[0], prod(call.x.foreign[1:])))


def _reshape(call: Call) -> Step:
    """Flatten to (N, features); Reshape; no layer where only axes of size 1 move"""
    before = call.x.foreign
    told = [int(n) for n in call.weight(1, "shape").ravel()]
    copied = not call.attributes.get("allowzero", 0)
    require(len(told) <= MAX_AXES, f"a shape of {len(told)} axes; at most {MAX_AXES} are supported")
    target = [before[k] if n == 0 and copied and k < len(before) else n for k, n in enumerate(told)]
    if target.count(-1) == 1:
        known = -prod(target)
        require(known > 0 and prod(before) % known == 0, f"cannot reshape {before} to {tuple(told)}")
        target[target.index(-1)] = prod(before) // known
    return moves.to_shape(call.x, tuple(target))


def _squeeze(call: Call) -> Step:
    """Flatten, where rows and columns are removed; Reshape"""
    before, axes = call.x.foreign, call.setting("axes", 1)
    axes = list(range(1, len(before))) if axes is None else [axis % len(before) for axis in axes]
    return moves.to_shape(call.x, tuple(n for k, n in enumerate(before) if k not in axes or n != 1))


def _transpose(call: Call) -> Step:
    """no layer: the weights of the next layers are permuted instead"""
    rank = len(call.x.foreign)
    axes = tuple(call.attributes.get("perm", range(rank)[::-1]))
    if isinstance(call.x.layout, Mixed) or axes[:1] != (0,):
        return mixed.transposed(call.x, axes)
    return [], call.x.layout.transposed(axes)


def _concat(call: Call) -> Step:
    """Concat along any axis but the batch axis; PrependTokens, of constant tokens before those of the input"""
    if len(call.inputs) == 2 and isinstance(call.inputs[1], Activation) and not isinstance(call.inputs[0], Activation):
        return _prepended(call)
    require(len(call.activations) == len(call.inputs), "concatenation with a constant is not supported")
    layouts = [x.layout for x in call.activations]
    axis = call.attributes["axis"]
    require(
        len({layout.axes for layout in layouts}) == 1, "cannot concatenate arrays whose axes are in different orders"
    )
    layout, own = layouts[0], layouts[0].own_axis(axis)
    require(own != 0, f"concatenation along axis {axis}, the batch axis, is not supported")
    if any(each.order is not None for each in layouts):
        sizes = [x.shape[1] for x in call.activations]
        orders = [np.arange(n) if each.order is None else each.order for n, each in zip(sizes, layouts, strict=True)]
        layout = Layout((0, 1), np.concatenate([o + sum(sizes[:k]) for k, o in enumerate(orders)]))
    return [Concat(own)] if len(layouts) > 1 else [], layout


def _prepended(call: Call) -> Step:
    """Convert the concatenation of constant tokens and an activation."""
    tokens, [x] = call.weight(0, "tokens"), call.activations
    require(
        tokens.ndim == len(x.shape) == 3 and call.attributes["axis"] in (1, -2) and bool((tokens == tokens[:1]).all()),
        f"a constant of shape {tokens.shape} before activations must hold tokens, and the same ones for each sample",
    )
    before = [] if x.layout.plain else [Permute(x.layout.axes)]
    return [*before, PrependTokens(tokens[0])], plain(3)


# ---- identity at inference -------------------------------------------------------------------------------------


def _dropout(call: Call) -> Step:
    """Dropout, the identity at inference"""
    ratio, training = call.setting("ratio", 1), call.constant(2, "training_mode")
    require(training is None or not bool(np.any(training)), "training_mode is on; export the model in inference mode")
    return [Dropout(0.5 if ratio is None else float(ratio))], call.x.layout


def _identity(call: Call) -> Step:
    """no layer"""
    return [], call.x.layout


def _cast(call: Call) -> Step:
    """no layer, between floating-point types"""
    require(
        call.attributes.get("to") in FLOATING[1:],
        "it casts activations to integers or booleans, which loses their values",
    )
    return [], call.x.layout


OPERATIONS: Mapping[str, Callable[[Call], Step]] = {
    **spatial.OPERATIONS,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **norms.OPERATIONS,
    "Add": _add,
    "Sum": _sum,
    "Sub": _sub,
    "Mul": _mul,
    "Div": _div,
    "Relu": _relu,
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "LRN": _local_response_norm,
    "Celu": _celu,
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Mish": _mish,
    "PRelu": _prelu,
    "Selu": _selu,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded_relu,
    "Max": _max,
    "Mean": _mean_of_several,
    "Min": _min,
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
    "LogSoftmax": _log_softmax,
    "Log": _log,
    "Softmax": _softmax,
    "ReduceMean": _reduce_mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Dropout": _dropout,
    "Identity": _identity,
    "Cast": _cast,
    "Neg": _neg,
    **moves.OPERATIONS,
    "ai.onnx.ml.LinearClassifier": _linear_classifier,
    "ai.onnx.ml.LinearRegressor": _linear_model,
    "ai.onnx.ml.Normalizer": _normalizer,
    "ai.onnx.ml.Scaler": _scaler,
}
"""The conversion of each operation that reads an activation. The docstrings form the table in docs/import.md."""

OUTPUT = {"ai.onnx.ml.LinearClassifier": 1}
"""Which output the layers of an operation compute, where it is not the first: the first holds labels."""

ANY_ORDER = (
    *("Add", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity"),
    *(
        "LeakyRelu",
        "Max",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "PRelu",
        "Pad",
        "Resize",
        "Upsample",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Sub",
    ),
    *("Swish", "Tanh", "ThresholdedRelu", "ai.onnx.ml.Scaler", *PARTS),
)
"""The operations on images that accept any order of the axes."""

SUPPORTED = ", ".join(OPERATIONS)
