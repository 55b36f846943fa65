"""Convert each operation of PyTorch to a chain of layers, or refuse it with a reason.

PyTorch has several spellings of one operation: a module, functions, methods, operators, in place or not, for one, two
or three dimensions, and those of torch.export. `MODULES` and `SPELLINGS` reduce them to one name, `PARAMETERS` gives
the names of its arguments, and `OPERATIONS` its conversion. A new operation needs a line in `PARAMETERS` and in
`OPERATIONS`, and one in `MODULES` or `SPELLINGS` for each further spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
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
    LogSoftmax,
    MaxPool2D,
    Pad2D,
    Pool2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..weights.state_dict import as_array
from .graph import Shape, require

SUPPORTED = (
    "Linear, Conv2d, BatchNorm1d/2d, ReLU, ReLU6, LeakyReLU, Sigmoid, Tanh, Softmax and LogSoftmax over axis 1, "
    "MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Flatten, Dropout, Identity, ZeroPad2d/ConstantPad2d; "
    "the functions, methods and operators of all those; torch.log of a softmax; clamp from 0, or from 0 to 6; "
    "+ of two activations; +, -, * and / with a constant per channel; x @ weight; torch.cat along axis 1; "
    "x.mean((2, 3)); x.view, reshape and squeeze to (N, features)"
)


@dataclass(frozen=True)
class Call:
    """One operation of the traced module.

    Parameters
    ----------
    name : str
        The name of the operation in `OPERATIONS`.
    arguments : mapping of str to value
        Its arguments by name: `Activation` for what depends on the network's input, tensors for constants, numbers.
    module : torch.nn.Module or None
        The submodule, if the operation is one.
    shapes : tuple of tuple of int
        The shapes of the activations that it reads.
    result : tuple of int
        The shape of the tensor that it returns, or of its part.
    part : int or None
        For an operation that returns several tensors, which of them is converted.
    bound : list of str
        What the conversion computes for the size of the example.
    """

    name: str
    arguments: Mapping[str, Any]
    module: Any
    shapes: tuple[Shape, ...]
    result: Shape
    part: int | None = None
    bound: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def reads(self, name: str) -> bool:
        """Whether an argument is an activation."""
        return isinstance(self[name], Activation)

    def constant(self, name: str) -> np.ndarray | None:
        """Return an argument that is a tensor or a number as an array; None stays None."""
        require(not self.reads(name), f"its {name} depends on the network's input; it must be a constant")
        return None if self[name] is None else as_array(self[name])

    def weight(self, name: str) -> np.ndarray:
        """Return an argument that must be a constant tensor as an array."""
        value = self.constant(name)
        if value is None:
            raise ConversionError(f"its {name} is missing")
        return value


@dataclass(frozen=True)
class Activation:
    """An argument that depends on the network's input.

    Parameters
    ----------
    node : str
        The node of the network with its value.
    shape : tuple of int
        Its shape.
    """

    node: str
    shape: Shape


PARAMETERS: Mapping[str, str] = {
    "add": "input other alpha",
    "adaptive_avg_pool": "input output_size",
    "avg_pool": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "batch_norm": "input running_mean running_var weight bias training momentum eps",
    "cat": "tensors dim",
    "clamp": "input min max",
    "clamp_max": "input max",
    "conv": "input weight bias stride padding dilation groups padding_mode",
    "div": "input other rounding_mode",
    "dropout": "input p training inplace",
    "identity": "input",
    "leaky_relu": "input negative_slope inplace",
    "linear": "input weight bias",
    "log": "input",
    "log_softmax": "input dim",
    "matmul": "input other",
    "max_pool": "input kernel_size stride padding dilation ceil_mode return_indices",
    "mean": "input dim keepdim",
    "mul": "input other",
    "neg": "input",
    "pad": "input pad mode value padding",
    "relu": "input inplace",
    "relu6": "input inplace",
    "reshape": "input",
    "rsub": "input other alpha",
    "sigmoid": "input",
    "softmax": "input dim",
    "standardize": "input mean std",
    "sub": "input other alpha",
    "tanh": "input",
}
"""The operations, and the names of their positional arguments in order; those of a module are its attributes.

A spelling with other positional arguments has a line of its own.
"""

ACTIVATIONS = ("input", "other", "tensors")
"""The arguments that may be activations; all others must be constants."""

RENAMED: Mapping[str, str] = {"self": "input", "axis": "dim", "keepdims": "keepdim", "train": "training"}
"""Other names of keyword arguments."""

MODULES: Mapping[str, str] = {
    "AdaptiveAvgPool2d": "adaptive_avg_pool",
    "AvgPool2d": "avg_pool",
    "BatchNorm1d": "batch_norm",
    "BatchNorm2d": "batch_norm",
    "ConstantPad2d": "pad",
    "Conv2d": "conv",
    "Dropout": "dropout",
    "Dropout2d": "dropout",
    "Flatten": "reshape",
    "Identity": "identity",
    "LeakyReLU": "leaky_relu",
    "Linear": "linear",
    "LogSoftmax": "log_softmax",
    "MaxPool2d": "max_pool",
    "Normalize": "standardize",  # of torchvision.transforms
    "ReLU": "relu",
    "ReLU6": "relu6",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "SyncBatchNorm": "batch_norm",
    "Tanh": "tanh",
    "Unflatten": "reshape",
    "ZeroPad2d": "pad",
}
"""The classes of torch.nn, and the operation of each."""

SPELLINGS: Mapping[str, str] = {
    "adaptive_avg_pool2d": "adaptive_avg_pool",
    "avg_pool2d": "avg_pool",
    "bfloat16": "identity",
    "clamp_max": "clamp",
    "clamp_min": "clamp",
    "clip": "clamp",
    "clone": "identity",
    "concat": "cat",
    "concatenate": "cat",
    "contiguous": "identity",
    "conv2d": "conv",
    "cpu": "identity",
    "cuda": "identity",
    "detach": "identity",
    "divide": "div",
    "double": "identity",
    "dropout1d": "dropout",
    "dropout2d": "dropout",
    "dropout3d": "dropout",
    "flatten": "reshape",
    "float": "identity",
    "half": "identity",
    "iadd": "add",
    "imul": "mul",
    "isub": "sub",
    "itruediv": "div",
    "max_pool2d": "max_pool",
    "max_pool2d_with_indices": "max_pool",
    "mm": "matmul",
    "multiply": "mul",
    "negative": "neg",
    "squeeze": "reshape",
    "subtract": "sub",
    "to": "identity",
    "true_divide": "div",
    "truediv": "div",
    "type": "identity",
    "type_as": "identity",
    "unflatten": "reshape",
    "unsqueeze": "reshape",
    "view": "reshape",
    "view_as": "reshape",
}
"""The functions, methods and operators, and the operation of each; one that has the operation's name needs no line.

An underscore at the end, for in place, is ignored.
"""


def operation(spelling: str) -> str | None:
    """Return the operation of a function, method or operator of this name; None for an unknown one."""
    name = spelling.removesuffix("_")
    name = SPELLINGS.get(name, name)
    return name if name in OPERATIONS else None


# ---- linear --------------------------------------------------------------------------------------------------------


def _linear(call: Call) -> list[Layer]:
    return [Dense(call.weight("weight"), call.constant("bias"))]


def _matmul(call: Call) -> list[Layer]:
    require(not (call.reads("input") and call.reads("other")), "a product of two activations is not supported")
    require(call.reads("input"), "only (activation) @ (constant) is supported, not (constant) @ (activation)")
    w = call.weight("other")
    require(w.ndim == 2, f"its constant has shape {w.shape}; it must be a matrix")
    return [Dense(w.T)]


CONVOLUTIONS: Mapping[int, Callable[..., Layer]] = {2: Conv2D}
"""The convolution of each number of dimensions."""


def _conv(call: Call) -> list[Layer]:
    w = call.weight("weight")
    kernel = w.shape[2:]
    mode = call["padding_mode"]
    require(mode in (None, "zeros"), f"padding_mode {mode!r} is not supported; only 'zeros'")
    stride, dilation = _each(call["stride"], 1, kernel), _each(call["dilation"], 1, kernel)
    made = _of_rank(CONVOLUTIONS, len(kernel), "convolutions")
    padding = _conv_padding(call, kernel, dilation)
    return [made(w, call.constant("bias"), stride, padding, dilation, 1 if call["groups"] is None else call["groups"])]


def _conv_padding(call: Call, kernel: Shape, dilation: Shape) -> tuple[int, ...]:
    """Return padding as (before, after) of each axis in turn; "same" puts the odd cell at the end."""
    if call["padding"] == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple(side for total in totals for side in (total // 2, total - total // 2))
    told = 0 if call["padding"] == "valid" else call["padding"]
    return tuple(side for n in _each(told, 0, kernel) for side in (n, n))


def _each(value: Any, default: int, kernel: Sequence[int]) -> Shape:
    """Return one number for each axis of a kernel, from a number, a sequence, or None for the default."""
    value = default if value is None else value
    numbers = tuple(value) if isinstance(value, Sequence) else (value,)
    return numbers * len(kernel) if len(numbers) == 1 else numbers


def _of_rank(classes: Mapping[int, Callable[..., Layer]], dimensions: int, what: str) -> Callable[..., Layer]:
    """Return the class for a number of dimensions, or refuse it."""
    require(dimensions in classes, f"{what} of {dimensions} dimensions are not supported")
    return classes[dimensions]


def _batch_norm(call: Call) -> list[Layer]:
    require(not call["training"], "it is in training mode, so a sample's output depends on its batch")
    require(call["running_mean"] is not None, "it has no running statistics, so a sample's output depends on its batch")
    eps = 1e-5 if call["eps"] is None else call["eps"]
    weight, bias = call.constant("weight"), call.constant("bias")
    return [BatchNorm(weight, bias, call.weight("running_mean"), call.weight("running_var"), eps)]


# ---- arithmetic ----------------------------------------------------------------------------------------------------


def _add(call: Call) -> list[Layer]:
    if len(call.shapes) == 2:
        require(call["alpha"] in (None, 1), f"addition with alpha = {call['alpha']} is not supported")
        require(
            call.shapes[0] == call.shapes[1],
            f"cannot add activations of shapes {call.shapes[0]} and {call.shapes[1]}; lrpref does not broadcast",
        )
        return [Add()]
    alpha = 1 if call["alpha"] is None else call["alpha"]
    if call.reads("input"):
        return _affine(call, 1.0, alpha * call.weight("other"))
    return _affine(call, alpha, call.weight("input"))


def _sub(call: Call) -> list[Layer]:
    return _difference(call, "input", "other")


def _rsub(call: Call) -> list[Layer]:
    return _difference(call, "other", "input")


def _difference(call: Call, first: str, second: str) -> list[Layer]:
    """Convert first - alpha * second."""
    require(len(call.shapes) == 1, "a difference of two activations is not supported; only with a constant")
    alpha = 1 if call["alpha"] is None else call["alpha"]
    if call.reads(first):
        return _affine(call, 1.0, -alpha * call.weight(second))
    return _affine(call, -alpha, call.weight(first))


def _mul(call: Call) -> list[Layer]:
    require(len(call.shapes) == 1, "a product of two activations is not supported; only with a constant")
    return _affine(call, call.weight("other" if call.reads("input") else "input"), 0.0)


def _div(call: Call) -> list[Layer]:
    require(call["rounding_mode"] is None, f"division with rounding_mode={call['rounding_mode']!r} is not supported")
    require(not call.reads("other"), "division by an activation is not supported; only by a constant")
    divisor = call.weight("other")
    require(bool(np.all(divisor)), "its divisor has zeros")
    return _affine(call, 1 / divisor.astype(np.float64), 0.0)


def _neg(call: Call) -> list[Layer]:
    return _affine(call, -1.0, 0.0)


def _standardize(call: Call) -> list[Layer]:
    w = 1 / call.weight("std").astype(np.float64)
    return [Scale(w, -w * call.weight("mean"))]


def _affine(call: Call, weight: Any, bias: Any) -> list[Layer]:
    """Return weight * activation + bias as a layer, none for the identity."""
    w, b = _per_channel(call, weight), _per_channel(call, bias)
    if not b.any():
        return [] if (w == 1).all() else [Scale(w)]
    return [Scale(w, b)]


def _per_channel(call: Call, constant: Any) -> np.ndarray:
    """Return a constant operand as one number per channel, or refuse it."""
    (shape,) = call.shapes
    c = np.asarray(constant, np.float64)
    fits = len(shape) > 1 and np.broadcast_shapes(c.shape, shape) == shape
    require(fits, f"a constant of shape {c.shape} changes the activation's shape {shape}; lrpref does not broadcast")
    c = c.reshape((1,) * (len(shape) - c.ndim) + c.shape)
    for axis in (axis for axis in range(c.ndim) if axis != 1):
        first = c.take([0], axis)
        require(
            bool((c == first).all()),
            f"a constant of shape {c.shape} has one number per {'position' if axis else 'sample'}; only one number, or "
            "one per channel (axis 1), is supported",
        )
        c = first
    return np.broadcast_to(c.ravel(), (shape[1],)).copy()


# ---- activations ---------------------------------------------------------------------------------------------------


def _leaky_relu(call: Call) -> list[Layer]:
    return [LeakyReLU(0.01 if call["negative_slope"] is None else float(call["negative_slope"]))]


def _clamp(call: Call) -> list[Layer]:
    low, high = (None if (bound := call.constant(name)) is None else bound.tolist() for name in ("min", "max"))
    if low == 0 and high in (None, np.inf):
        return [ReLU()]
    require(low == 0 and high == 6, f"clamping from {low} to {high} is not supported; only from 0, or from 0 to 6")
    return [ReLU6()]


def _softmax(call: Call) -> list[Layer]:
    _require_classes(call, "softmax")
    return [Softmax()]


def _log_softmax(call: Call) -> list[Layer]:
    _require_classes(call, "log_softmax")
    return [LogSoftmax()]


def _require_classes(call: Call, what: str) -> None:
    rank = len(call.shapes[0])
    dim = call["dim"] if call["dim"] is not None else 1 if rank in (2, 4) else None
    require(
        isinstance(dim, int) and rank > 1 and dim % rank == 1,
        f"{what} over axis {dim} is not supported; only over axis 1, the classes or channels",
    )


# ---- pools ---------------------------------------------------------------------------------------------------------


def _max_pool(call: Call) -> list[Layer]:
    require(
        call["dilation"] in (None, 1, (1, 1), [1, 1]), f"max-pooling with dilation {call['dilation']} is not supported"
    )
    require(not call.part, "the indices of the maxima are not activations; only the maxima are supported")
    pool = MaxPool2D(call["kernel_size"], call["stride"] or None, call["padding"] or 0)
    _note_ceil_mode(call, pool)
    return [pool]


def _avg_pool(call: Call) -> list[Layer]:
    require(call["divisor_override"] is None, f"divisor_override={call['divisor_override']} is not supported")
    counted = call["count_include_pad"]
    pool = AvgPool2D(call["kernel_size"], call["stride"] or None, call["padding"] or 0, counted is not False)
    _note_ceil_mode(call, pool)
    return [pool]


def _note_ceil_mode(call: Call, pool: Pool2D) -> None:
    """Note that the last window of a pool with ceil_mode is partial at some sizes; lrpref has whole windows only."""
    if call["ceil_mode"] and pool.window.stride != (1, 1):
        call.bound.append("its last windows are whole, in spite of ceil_mode=True,")


def _adaptive_pool(call: Call) -> list[Layer]:
    size = call["output_size"]
    rows, columns = size if isinstance(size, Sequence) else (size, size)
    if rows is columns is None:
        return []
    if rows == columns == 1:
        return [GlobalAvgPool2D()]
    if call.shapes[0] == call.result:  # one cell per window
        call.bound.append("its windows have one cell each")
        return []
    raise ConversionError(f"adaptive pooling to size {call.result[-2:]} is not supported; only to size 1")


def _mean(call: Call) -> list[Layer]:
    rank = len(call.shapes[0])
    dims = call["dim"] if isinstance(call["dim"], Sequence) else [call["dim"]]
    over = {d % rank for d in dims if isinstance(d, int)}
    require(rank == 4 and over == {2, 3}, f"a mean over {call['dim']} is not supported; only over (2, 3), of images")
    return [GlobalAvgPool2D()] if call["keepdim"] else [GlobalAvgPool2D(), Flatten()]


# ---- shapes --------------------------------------------------------------------------------------------------------


def _reshape(call: Call) -> list[Layer]:
    (before,) = call.shapes
    if call.result == before:
        return []
    require(
        call.result[:1] == before[:1] or before[0] != 1 or len(call.result) > 1,
        f"from {before} to {call.result}, it removes the axis of the samples when there is one sample; "
        "use x.flatten(1) instead",
    )
    require(
        call.result == (before[0], prod(before[1:])),
        f"reshaping from {before} to {call.result} is not supported; only to (N, features)",
    )
    return [Flatten()]


def _dropout(call: Call) -> list[Layer]:
    require(call["training"] is False, "this dropout is active in eval mode; pass training=self.training")
    return [Dropout(0.5 if call["p"] is None else float(call["p"]))]


def _pad(call: Call) -> list[Layer]:
    require(call["mode"] in (None, "constant"), f"padding in mode {call['mode']!r} is not supported; only 'constant'")
    given = call["padding" if call.module is not None else "pad"]
    require(len(given) in (2, 4), f"padding of {len(given) // 2} axes is not supported; only of the last one or two")
    left, right, top, bottom = (*given, 0, 0)[:4]
    require(min(left, right, top, bottom) >= 0, f"negative padding, {tuple(given)}, is not supported")
    return [Pad2D((top, bottom, left, right), float(call["value"] or 0.0))]


def _cat(call: Call) -> list[Layer]:
    require(
        all(isinstance(each, Activation) for each in call["tensors"]), "concatenation with a constant is not supported"
    )
    require(
        (call["dim"] or 0) % len(call.result) == 1,
        f"torch.cat along axis {call['dim'] or 0} is not supported; only along axis 1",
    )
    return [Concat()] if len(call.shapes) > 1 else []


OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "adaptive_avg_pool": _adaptive_pool,
    "add": _add,
    "avg_pool": _avg_pool,
    "batch_norm": _batch_norm,
    "cat": _cat,
    "clamp": _clamp,
    "conv": _conv,
    "div": _div,
    "dropout": _dropout,
    "identity": lambda call: [],
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "log": lambda call: [],  # of a softmax, which becomes a LogSoftmax
    "log_softmax": _log_softmax,
    "matmul": _matmul,
    "max_pool": _max_pool,
    "mean": _mean,
    "mul": _mul,
    "neg": _neg,
    "pad": _pad,
    "relu": lambda call: [ReLU()],
    "relu6": lambda call: [ReLU6()],
    "reshape": _reshape,
    "rsub": _rsub,
    "sigmoid": lambda call: [Sigmoid()],
    "softmax": _softmax,
    "standardize": _standardize,
    "sub": _sub,
    "tanh": lambda call: [Tanh()],
}
"""The conversion of each operation to a chain of layers, empty for an identity."""

REASONS: Mapping[str, str] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"), "lrpref has no recurrent layers"),
    **dict.fromkeys(
        ("MultiheadAttention", "scaled_dot_product_attention", "multi_head_attention_forward"),
        "lrpref has no attention, which multiplies activations by activations",
    ),
    **dict.fromkeys(("Embedding", "EmbeddingBag", "embedding"), "lrpref has no layers for indices, such as words"),
}
"""Why operations that people will ask for are not supported."""
