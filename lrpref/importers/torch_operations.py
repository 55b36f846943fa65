"""Convert each operation of PyTorch to a chain of layers, or refuse it with a reason."""

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
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    Pad2D,
    Pool2D,
    ReLU,
    ReLU6,
    RMSNorm,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..weights.state_dict import as_array
from .graph import Shape, require

SUPPORTED = (
    "Linear, Conv2d, BatchNorm1d/2d, GroupNorm, InstanceNorm1d/2d/3d, LayerNorm, RMSNorm, ReLU, ReLU6, LeakyReLU, "
    "Sigmoid, Tanh, Softmax and LogSoftmax over axis 1, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Flatten, Dropout, "
    "Identity, ZeroPad2d/ConstantPad2d; functions of those without weights; torch.log of a softmax, + and torch.add of "
    "two activations, torch.cat along axis 1, x.mean((2, 3)), x.view/reshape to (N, features)"
)


@dataclass(frozen=True)
class Call:
    """One operation of the traced module.

    Parameters
    ----------
    name : str
        The name of PyTorch's function for it.
    arguments : mapping of str to value
        Its arguments by name; tensors are fx nodes.
    module : torch.nn.Module or None
        The submodule, if the operation is one.
    shapes : tuple of tuple of int
        The shapes of the tensors that it reads.
    result : tuple of int
        The shape of the tensor that it returns.
    bound : list of str
        What the conversion computes for the size of the example.
    """

    name: str
    arguments: Mapping[str, Any]
    module: Any
    shapes: tuple[Shape, ...]
    result: Shape
    bound: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)


PARAMETERS: Mapping[str, str] = {
    "linear": "input",
    "conv2d": "input",
    "batch_norm": "input",
    "group_norm": "input",
    "instance_norm": "input",
    "layer_norm": "input",
    "rms_norm": "input",
    "relu": "input inplace",
    "relu6": "input inplace",
    "leaky_relu": "input negative_slope inplace",
    "sigmoid": "input",
    "tanh": "input",
    "log_softmax": "input dim",
    "log": "input",
    "softmax": "input dim",
    "max_pool2d": "input kernel_size stride padding dilation ceil_mode return_indices",
    "avg_pool2d": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "adaptive_avg_pool2d": "input output_size",
    "mean": "input dim keepdim",
    "flatten": "input start_dim end_dim",
    "dropout": "input p training inplace",
    "identity": "input",
    "pad": "input pad mode value",
    "add": "input other",
    "cat": "tensors dim",
}
"""The operations, and the names of their positional arguments in order."""

ATTRIBUTES = {name for names in PARAMETERS.values() for name in names.split()} - {"training"}
"""The attributes of modules that are arguments of the operation."""

MODULES: Mapping[str, str] = {
    "Linear": "linear",
    "Conv2d": "conv2d",
    "BatchNorm1d": "batch_norm",
    "BatchNorm2d": "batch_norm",
    "GroupNorm": "group_norm",
    "InstanceNorm1d": "instance_norm",
    "InstanceNorm2d": "instance_norm",
    "InstanceNorm3d": "instance_norm",
    "LayerNorm": "layer_norm",
    "RMSNorm": "rms_norm",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "LogSoftmax": "log_softmax",
    "Softmax": "softmax",
    "MaxPool2d": "max_pool2d",
    "AvgPool2d": "avg_pool2d",
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    "Flatten": "flatten",
    "Dropout": "dropout",
    "Dropout2d": "dropout",
    "Identity": "identity",
    "ZeroPad2d": "pad",
    "ConstantPad2d": "pad",
}
"""The classes of torch.nn, and the operation of each, whose arguments are the attributes."""

WEIGHTED = ("linear", "conv2d", "batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm")
"""The operations that are supported as modules only, not as functions."""

METHODS = {
    "relu",
    "sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "log",
    "mean",
    "add",
    "flatten",
    "view",
    "reshape",
    "contiguous",
}
"""The methods of tensors that are supported."""

RESHAPES = {"view": "flatten", "reshape": "flatten", "contiguous": "identity"}
"""The methods whose operation has another name."""


def functions(torch: Any) -> dict[Any, str]:
    """Return the functions that torch.fx may record, and the operation of each."""
    import operator

    F = torch.nn.functional
    known = {operator.add: "add", operator.iadd: "add", torch.reshape: "flatten"}
    known |= {getattr(F, name): name for name in PARAMETERS if hasattr(F, name)}
    known |= {
        getattr(torch, name): name
        for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax", "log", "mean", "flatten", "add")
    }
    known |= {torch.cat: "cat", torch.concat: "cat", torch.concatenate: "cat", torch.relu_: "relu", F.relu_: "relu"}
    known |= {F.dropout2d: "dropout"}
    return {function: name for function, name in known.items() if name not in WEIGHTED}


# ---- each operation ----------------------------------------------------------------------------------------------


def _linear(call: Call) -> list[Layer]:
    return [Dense(as_array(call.module.weight), _optional(call.module.bias))]


def _conv2d(call: Call) -> list[Layer]:
    m = call.module
    require(m.padding_mode == "zeros", f"padding_mode {m.padding_mode!r} is not supported; only 'zeros'")
    return [Conv2D(as_array(m.weight), _optional(m.bias), m.stride, _conv_padding(m), m.dilation, m.groups)]


def _conv_padding(module: Any) -> tuple[int, int, int, int]:
    """Return padding as (top, bottom, left, right); "same" puts the odd cell at the end."""
    if module.padding == "valid":
        return (0, 0, 0, 0)
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in totals)
        return (top, bottom, left, right)
    rows, columns = module.padding
    return (rows, rows, columns, columns)


def _batch_norm(call: Call) -> list[Layer]:
    m = call.module
    require(m.running_mean is not None, "it has no running statistics, so a sample's output depends on its batch")
    return [BatchNorm(_optional(m.weight), _optional(m.bias), as_array(m.running_mean), as_array(m.running_var), m.eps)]


def _group_norm(call: Call) -> list[Layer]:
    m = call.module
    return [GroupNorm(m.num_groups, _optional(m.weight), _optional(m.bias), m.eps)]


def _instance_norm(call: Call) -> list[Layer]:
    m = call.module
    require(len(call.shapes[0]) != m._get_no_batch_dim(), f"its input {call.shapes[0]} has no batch axis; give it one")
    if m.track_running_stats:
        return _batch_norm(call)  # at inference, that is all it does
    return [InstanceNorm(_optional(m.weight), _optional(m.bias), m.eps)]


def _layer_norm(call: Call) -> list[Layer]:
    m = call.module
    return [LayerNorm(tuple(m.normalized_shape), _optional(m.weight), _optional(m.bias), m.eps)]


def _rms_norm(call: Call) -> list[Layer]:
    m = call.module
    return [RMSNorm(tuple(m.normalized_shape), _optional(m.weight), m.eps)]


def _optional(tensor: Any) -> np.ndarray | None:
    """Convert a tensor to an array; None stays None."""
    return None if tensor is None else as_array(tensor)


def _leaky_relu(call: Call) -> list[Layer]:
    return [LeakyReLU(0.01 if call["negative_slope"] is None else float(call["negative_slope"]))]


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
        dim is not None and dim % rank == 1,
        f"{what} over axis {dim} is not supported; only over axis 1, the classes or channels",
    )


def _max_pool(call: Call) -> list[Layer]:
    require(
        call["dilation"] in (None, 1, (1, 1), [1, 1]), f"max-pooling with dilation {call['dilation']} is not supported"
    )
    require(not call["return_indices"], "return_indices=True is not supported")
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


def _reshape(call: Call) -> list[Layer]:
    (before,) = call.shapes
    if call.result == before:
        return []
    require(
        call.result == (before[0], prod(before[1:])),
        f"reshaping from {before} to {call.result} is not supported; only to (N, features)",
    )
    return [Flatten()]


def _dropout(call: Call) -> list[Layer]:
    require(
        call.module is not None or call["training"] is False,
        "this dropout is active in eval mode; pass training=self.training",
    )
    return [Dropout(0.5 if call["p"] is None else float(call["p"]))]


def _pad(call: Call) -> list[Layer]:
    require(call["mode"] in (None, "constant"), f"padding in mode {call['mode']!r} is not supported; only 'constant'")
    given = call["padding" if call.module is not None else "pad"]
    require(len(given) in (2, 4), f"padding of {len(given) // 2} axes is not supported; only of the last one or two")
    left, right, top, bottom = (*given, 0, 0)[:4]
    require(min(left, right, top, bottom) >= 0, f"negative padding, {tuple(given)}, is not supported")
    return [Pad2D((top, bottom, left, right), float(call["value"] or 0.0))]


def _add(call: Call) -> list[Layer]:
    require(call["alpha"] in (None, 1), f"addition with alpha = {call['alpha']} is not supported")
    require(len(call.shapes) == 2, "both operands of an addition must be activations")
    require(
        call.shapes[0] == call.shapes[1],
        f"cannot add activations of shapes {call.shapes[0]} and {call.shapes[1]}; lrpref does not broadcast",
    )
    return [Add()]


def _cat(call: Call) -> list[Layer]:
    require(
        (call["dim"] or 0) % len(call.result) == 1,
        f"torch.cat along axis {call['dim'] or 0} is not supported; only along axis 1",
    )
    return [Concat()] if len(call.shapes) > 1 else []


OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "linear": _linear,
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "relu": lambda call: [ReLU()],
    "relu6": lambda call: [ReLU6()],
    "leaky_relu": _leaky_relu,
    "sigmoid": lambda call: [Sigmoid()],
    "tanh": lambda call: [Tanh()],
    "log_softmax": _log_softmax,
    "log": lambda call: [],  # of a softmax, which becomes a LogSoftmax
    "softmax": _softmax,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "mean": _mean,
    "flatten": _reshape,
    "dropout": _dropout,
    "identity": lambda call: [],
    "pad": _pad,
    "add": _add,
    "cat": _cat,
}
"""The conversion of each operation to a chain of layers, empty for an identity."""
