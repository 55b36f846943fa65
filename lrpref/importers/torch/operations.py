"""Convert each operation of PyTorch to a chain of layers, or refuse it with a reason.

PyTorch has several spellings of one operation: a module, functions, methods, operators, in place or not, for one, two
or three dimensions, and those of torch.export. `MODULES` and `SPELLINGS` reduce them to one name, `PARAMETERS` gives
the names of its arguments, and `OPERATIONS` its conversion. A new operation needs a line in `PARAMETERS` and in
`OPERATIONS`, and one in `MODULES` or `SPELLINGS` for each further spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...layers import (
    Add,
    Concat,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LogSoftmax,
    MatMul,
    Maximum,
    Minimum,
    PrependTokens,
    Scale,
    Softmax,
    Subtract,
    TokenDense,
)
from ...weights.state_dict import as_array
from ..graph import affine, along, hidden, require
from . import activations, attention, moves, norms, spatial
from .call import Activation, Call

SUPPORTED = (
    "Linear, Conv1d/2d/3d, ConvTranspose1d/2d/3d, BatchNorm1d/2d/3d, GroupNorm, InstanceNorm1d/2d/3d, LayerNorm, "
    "RMSNorm, LocalResponseNorm, MultiheadAttention, TransformerEncoderLayer, scaled_dot_product_attention, "
    "Embedding, CELU, ELU, GELU, Hardsigmoid, Hardswish, Hardtanh, LeakyReLU, Mish, PReLU, ReLU, ReLU6, RReLU, SELU, "
    "SiLU, Sigmoid, Softplus, Softsign, Tanh, Threshold, clamp, Softmax and LogSoftmax over one axis, MaxPool, "
    "AvgPool, AdaptiveAvgPool and AdaptiveMaxPool of one to three axes, padding in every mode, Upsample and "
    "interpolate (nearest and linear), Flatten, Dropout, Identity; the functions, methods and operators of all those; "
    "torch.log of a softmax; +, -, * and @ of two activations, also with alpha=; +, -, * and / with constants that are "
    "the same for all samples; x @ weight; masked_fill, and where with a constant condition and a constant; torch.cat, "
    "also of tokens before others; torch.stack; sum, mean and amax over axes; slices such as x[:, 1:], chunk, split, "
    "select, unbind, flip; view, reshape, squeeze, unsqueeze, permute, transpose, movedim; expand, repeat, "
    "repeat_interleave; PixelShuffle, PixelUnshuffle, ChannelShuffle"
)


PARAMETERS: Mapping[str, str] = {
    "add": "input other alpha",
    "addmm": "input mat1 mat2 beta alpha",
    "cat": "tensors dim",
    "div": "input other rounding_mode",
    "dropout": "input p training inplace",
    "identity": "input",
    "linear": "input weight bias",
    "log": "input",
    "log_softmax": "input dim",
    "matmul": "input other",
    "maximum": "input other",
    "mean": "input dim keepdim",
    "minimum": "input other",
    "mul": "input other",
    "neg": "input",
    "reshape": "input",
    "rsub": "input other alpha",
    "softmax": "input dim",
    "standardize": "input mean std",
    "sub": "input other alpha",
    "where": "condition input other",
    "x.where": "input condition other",
    **activations.PARAMETERS,
    **attention.PARAMETERS,
    **moves.PARAMETERS,
    **norms.PARAMETERS,
    **spatial.PARAMETERS,
}
"""The operations, and the names of their positional arguments in order; those of a module are its attributes.

A spelling with other positional arguments has a line of its own. A last name with a star, as in "input *dims", takes
all arguments that are left.
"""

ACTIVATIONS = ("input", "other", "mat1", "tensors", "query", "key", "value")
"""The arguments that may be activations; all others must be constants."""

RENAMED: Mapping[str, str] = {
    **{"self": "input", "axis": "dim", "keepdims": "keepdim", "train": "training"},
    **moves.RENAMED,
    **norms.RENAMED,
}
"""Other names of keyword arguments."""

OVERLOADS: Mapping[str, Mapping[str, str]] = {
    "embedding": {"indices": "input"},
    "matmul": {"mat2": "other"},
    "stack": {"input": "tensors"},
}
"""Other names of arguments in the operations of torch.export."""

MODULES: Mapping[str, str] = {
    "AlphaDropout": "dropout",
    "Dropout": "dropout",
    "Dropout1d": "dropout",
    "Dropout2d": "dropout",
    "Dropout3d": "dropout",
    "FeatureAlphaDropout": "dropout",
    "Flatten": "reshape",
    "Identity": "identity",
    "Linear": "linear",
    "LogSoftmax": "log_softmax",
    "Normalize": "standardize",  # of torchvision.transforms
    "Softmax": "softmax",
    "Softmax2d": "softmax",
    "StochasticDepth": "dropout",  # of torchvision.ops
    "Unflatten": "reshape",
    **activations.MODULES,
    **attention.MODULES,
    **moves.MODULES,
    **norms.MODULES,
    **spatial.MODULES,
}
"""The classes of torch.nn, and the operation of each."""

SPELLINGS: Mapping[str, str] = {
    "_log_softmax": "log_softmax",
    "_softmax": "softmax",
    "alpha_dropout": "dropout",
    "bfloat16": "identity",
    "bmm": "matmul",
    "clone": "identity",
    "concat": "cat",
    "concatenate": "cat",
    "contiguous": "identity",
    "cpu": "identity",
    "cuda": "identity",
    "detach": "identity",
    "divide": "div",
    "double": "identity",
    "dropout1d": "dropout",
    "dropout2d": "dropout",
    "dropout3d": "dropout",
    "feature_alpha_dropout": "dropout",
    "feature_dropout": "dropout",
    "flatten": "reshape",
    "float": "identity",
    "half": "identity",
    "iadd": "add",
    "imul": "mul",
    "isub": "sub",
    "itruediv": "div",
    "mm": "matmul",
    "multiply": "mul",
    "negative": "neg",
    "ravel": "reshape",
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
    **activations.SPELLINGS,
    **moves.SPELLINGS,
    **norms.SPELLINGS,
    **spatial.SPELLINGS,
}
"""The functions, methods and operators, and the operation of each; one that has the operation's name needs no line.

An underscore at the end, for in place, is ignored.
"""


def operation(spelling: str) -> str | None:
    """Return the operation of a function, method or operator of this name; None for an unknown one."""
    name = spelling.removesuffix("_")
    name = SPELLINGS.get(name, name)
    return name if name in OPERATIONS or name in GRAPHS else None


# ---- linear --------------------------------------------------------------------------------------------------------


def _linear(call: Call) -> list[Layer]:
    kind = Dense if len(call.shapes[0]) < 3 else TokenDense
    return [kind(call.weight("weight"), call.constant("bias"))]


def _matmul(call: Call) -> list[Layer]:
    if call.reads("input") and call.reads("other"):
        return [MatMul()]
    require(call.reads("input"), "only (activation) @ (constant) is supported, not (constant) @ (activation)")
    w = call.weight("other")
    while w.ndim > 2 and bool((w == w[:1]).all()):  # one matrix, expanded
        w = w[0]
    require(w.ndim == 2, f"its constant has shape {w.shape}; it must be a matrix")
    return [Dense(w.T) if len(call.shapes[0]) < 3 else TokenDense(w.T)]


def _addmm(call: Call) -> list[Layer]:
    require(call["alpha"] in (None, 1) and call["beta"] in (None, 1), "addmm is supported with alpha = beta = 1 only")
    w, b = call.weight("mat2"), call.weight("input")
    require(
        call.reads("mat1") and b.size in (1, w.shape[1]),
        "addmm is supported as (bias per feature) + (activation) @ (weight)",
    )
    kind = Dense if len(call.shapes[0]) < 3 else TokenDense
    return [kind(w.T, np.broadcast_to(b.ravel(), (w.shape[1],)).copy())]


# ---- arithmetic ----------------------------------------------------------------------------------------------------


def _add(call: Call) -> list[Layer]:
    if len(call.shapes) == 2:
        require(
            call.shapes[0] == call.shapes[1],
            f"cannot add activations of shapes {call.shapes[0]} and {call.shapes[1]}; lrpref does not broadcast",
        )
        return [Add()]
    alpha = 1 if call["alpha"] is None else call["alpha"]
    if call.reads("input"):
        return _affine(call, 1.0, alpha * call.weight("other"))
    return _affine(call, alpha, call.weight("input"))


def scaled_second(call: Call) -> list[Layer]:
    """Return the layer for alpha * (the second activation), in a sum or a difference of two; none without alpha."""
    told = call.name in ("add", "sub") and len(call.shapes) == 2 and call["alpha"] is not None
    return affine(np.asarray(float(call["alpha"])), np.zeros(()), call.shapes[1]) if told else []


def _sub(call: Call) -> list[Layer]:
    return _difference(call, "input", "other")


def _rsub(call: Call) -> list[Layer]:
    return _difference(call, "other", "input")


def _difference(call: Call, first: str, second: str) -> list[Layer]:
    """Convert first - alpha * second."""
    alpha = 1 if call["alpha"] is None else call["alpha"]
    if len(call.shapes) == 2:
        require(first == "input", "torch.rsub of two activations is not supported; write other - input")
        require(
            call.shapes[0] == call.shapes[1],
            f"cannot subtract activations of shapes {call.shapes[0]} and {call.shapes[1]}; lrpref does not broadcast",
        )
        return [Subtract()]
    if call.reads(first):
        return _affine(call, 1.0, -alpha * call.weight(second))
    return _affine(call, -alpha, call.weight(first))


def _mul(call: Call) -> list[Layer]:
    if len(call.shapes) == 2:
        return moves.product(call.shapes)
    return _affine(call, call.weight("other" if call.reads("input") else "input"), 0.0)


def _div(call: Call) -> list[Layer]:
    require(call["rounding_mode"] is None, f"division with rounding_mode={call['rounding_mode']!r} is not supported")
    require(not call.reads("other"), "division by an activation is not supported; only by a constant")
    divisor = call.weight("other")
    require(bool(np.all(divisor)), "its divisor has zeros")
    return _affine(call, 1 / divisor.astype(np.float64), 0.0)


def _compared(layer: type[Layer]) -> Callable[[Call], list[Layer]]:
    """Return the conversion of a comparison of two activations."""

    def convert(call: Call) -> list[Layer]:
        require(
            len(call.shapes) == 2 and call.shapes[0] == call.shapes[1],
            "only two activations of one shape can be compared; use torch.clamp to compare with a number",
        )
        return [layer()]

    return convert


def _neg(call: Call) -> list[Layer]:
    return _affine(call, -1.0, 0.0)


def _standardize(call: Call) -> list[Layer]:
    w = 1 / call.weight("std").astype(np.float64)
    return [Scale(w, -w * call.weight("mean"))]


def _affine(call: Call, weight: Any, bias: Any) -> list[Layer]:
    """Return weight * activation + bias as a layer, none for the identity."""
    w, b = (_for_all(np.asarray(each, np.float64), len(call.shapes[0])) for each in (weight, bias))
    w, b = np.broadcast_arrays(w, b)
    return affine(w, b, call.shapes[0])


def _for_all(c: np.ndarray, rank: int) -> np.ndarray:
    """Return a constant that is the same for all samples with a batch axis of length 1; any other as it is."""
    return c[:1] if c.ndim == rank and bool((c == c[:1]).all()) else c


def _softmax(call: Call) -> list[Layer]:
    return [Softmax(_classes(call))]


def _log_softmax(call: Call) -> list[Layer]:
    return along(_classes(call), len(call.shapes[0]), [LogSoftmax()])


def _classes(call: Call) -> int:
    """Return the axis of a softmax, counted from 0."""
    rank = len(call.shapes[0])
    dim = call["dim"] if call["dim"] is not None else 1 if rank in (2, 4) else 0  # as in torch
    require(rank > 1 and dim % rank != 0, f"a softmax over axis {dim} mixes the samples; it must be over the classes")
    return int(dim % rank)


def _mean(call: Call) -> list[Layer]:
    rank = len(call.shapes[0])
    dims = call["dim"] if isinstance(call["dim"], Sequence) else [call["dim"]]
    over = {d % rank for d in dims if isinstance(d, int)}
    if rank not in (3, 4, 5) or over != set(range(2, rank)):
        return moves.mean(call)
    pool = spatial.global_average(call)
    return [pool] if call["keepdim"] else [pool, Flatten()]


# ---- shapes --------------------------------------------------------------------------------------------------------


def _dropout(call: Call) -> list[Layer]:
    require(call["training"] is False, "this dropout is active in eval mode; pass training=self.training")
    return [Dropout(0.5 if call["p"] is None else float(call["p"]))]


def _cat(call: Call) -> list[Layer]:
    tensors, axis = call["tensors"], (call["dim"] or 0) % len(call.result)
    require(axis != 0, "torch.cat along axis 0, the batch axis, is not supported")
    constants = [each for each in tensors if not isinstance(each, Activation)]
    if len(call.shapes) == 1 and constants and isinstance(tensors[-1], Activation):
        return _prepended(constants, axis)
    require(
        not constants,
        "concatenation with constants is supported for tokens before those of one activation only, as in "
        "torch.cat([token, x], 1)",
    )
    return [Concat(axis)] if len(call.shapes) > 1 else []


def _prepended(constants: Sequence[Any], axis: int) -> list[Layer]:
    """Return the layer that puts constant tokens, which are the same for all samples, before those of the input."""
    tokens = [as_array(each) for each in constants]
    for each in tokens:
        require(
            axis == 1 and each.ndim == 3 and bool((each == each[:1]).all()),
            f"a constant of shape {each.shape} before activations must hold tokens, and the same ones for each sample",
        )
    return [PrependTokens(np.concatenate([each[0] for each in tokens]))]


def _where(call: Call) -> list[Layer]:
    """Convert torch.where(condition, activation, constant), or the other way round."""
    require(len(call.shapes) == 1, "a choice between two activations is not supported; only between one and a constant")
    condition = call.weight("condition").astype(bool)
    kept, constant = (condition, "other") if call.reads("input") else (~condition, "input")
    return _affine(call, np.where(kept, 1.0, 0.0), np.where(kept, 0.0, hidden(call.weight(constant))))


OPERATIONS: Mapping[str, Callable[[Call], list[Layer]]] = {
    "add": _add,
    "addmm": _addmm,
    "cat": _cat,
    "div": _div,
    "dropout": _dropout,
    "identity": lambda call: [],
    "linear": _linear,
    "log": lambda call: [],  # of a softmax, which becomes a LogSoftmax
    "log_softmax": _log_softmax,
    "matmul": _matmul,
    "maximum": _compared(Maximum),
    "mean": _mean,
    "minimum": _compared(Minimum),
    "mul": _mul,
    "neg": _neg,
    "rsub": _rsub,
    "softmax": _softmax,
    "standardize": _standardize,
    "sub": _sub,
    "where": _where,
    **activations.OPERATIONS,
    **attention.OPERATIONS,
    **moves.OPERATIONS,
    **norms.OPERATIONS,
    **spatial.OPERATIONS,
}
"""The conversion of each operation to a chain of layers, empty for an identity."""

GRAPHS = attention.GRAPHS

RECURRENT = (
    "recurrent layers are not imported; build an LSTM with lrpref.lstm, or explain the part of the network behind them"
)

COMPARED = (
    "it compares activations, and no layer depends on the answer. If this is a program of torch.export after "
    "run_decompositions(), import it without that call, or import the module"
)

IN_EXPRESSIONS = (
    "it is supported only within a GELU, and within a LayerNorm or an RMSNorm over the last axis; for other norms, use "
    "the modules of torch.nn"
)

REASONS: Mapping[str, str] = {
    **dict.fromkeys(("erf", "pow", "rsqrt", "sqrt", "square", "std", "var"), IN_EXPRESSIONS),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"), RECURRENT),
    "EmbeddingBag": "lrpref has no layer for sums of embeddings; use an Embedding, and a sum or a mean over the tokens",
    **dict.fromkeys(("any", "eq", "ge", "gt", "le", "lt", "logical_not", "ne"), COMPARED),
    "einsum": "write it with matmul, permute and reshape, which are supported",
    "multi_head_attention_forward": "call nn.MultiheadAttention, or F.scaled_dot_product_attention, instead",
}
"""Why operations that people will ask for are not supported."""
