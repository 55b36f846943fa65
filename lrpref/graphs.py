"""Graphs of layers that other libraries have as one module: multi-head attention, and an LSTM.

Each function returns nodes for a `Network`, so that every step has a name, an activation, and a relevance of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

from .arithmetic import all_finite, as_floating, as_parameter, check_integer, converted
from .backend import Array, array_namespace, numbers
from .errors import ParameterError, shown
from .layers import (
    Add,
    Affine,
    Concat,
    Dense,
    Flatten,
    Layer,
    MatMul,
    Multiply,
    Permute,
    Reshape,
    Sigmoid,
    Slice,
    Softmax,
    Tanh,
    TokenDense,
)

Nodes = list[tuple[str, Layer, list[str]]]


def attention(
    name: str,
    source: str,
    heads: int,
    query: TokenDense,
    key: TokenDense,
    value: TokenDense,
    output: TokenDense | None = None,
    memory: str | None = None,
    mask: Any = None,
) -> Nodes:
    """Return the nodes of multi-head attention on tokens (N, T, E) (Vaswani et al. 2017, arXiv 1706.03762, sec. 3.2).

        A = softmax(Q K^T / sqrt(D) + mask)        O = A V

    with queries Q, keys K and values V of D features for each head. The parameters of the two products, "scores"
    and "mixed", determine how their factors share relevance (`MatMul`); the composites AttnLRP and CPLRP replace them.

    Parameters
    ----------
    name : str
        The name of the last node, and the prefix of all others: name.query, name.scores, name.weights, ...
    source : str
        The node that holds the tokens.
    heads : int
        The number of heads, H; it divides the features of the queries, keys and values.
    query, key, value : TokenDense
        The layers that compute queries, keys and values from the tokens; the features of the heads are concatenated.
    output : TokenDense, optional
        The layer that is applied to the joined heads.
    memory : str, optional
        The node whose tokens give the keys and values; by default `source`.
    mask : array, optional
        Added to the scores, and shaped like those of a sample: (T, T) for all heads, or (H, T, T). Large negative
        numbers, such as -1e9, keep a token from being read. Booleans are refused. It is converted to the dtype of the
        weights.

    Returns
    -------
    list of (name, layer, inputs)
        The nodes in order.

    Raises
    ------
    ParameterError
        If `heads` does not divide the features, or `mask` holds booleans or numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Network
    >>> one = TokenDense(np.eye(2))
    >>> nodes = attention("attn", "input", 2, query=one, key=one, value=one)
    >>> nodes[-1]
    ('attn', Reshape(shape=(-1, 2)), ['attn.joined'])
    >>> Network(nodes).forward(np.array([[[1.0, 0.0], [1.0, 4.0]]])).shape
    (1, 2, 2)
    """
    _check_names("attention", name, source, *([] if memory is None else [memory]))
    check_integer(heads, "attention: heads", least=1)
    remembered = source if memory is None else memory
    made = _by_head(f"{name}.query", query, source, heads)
    made += _by_head(f"{name}.key", key, remembered, heads)
    made += _by_head(f"{name}.value", value, remembered, heads)
    scale = 1 / sqrt(query.weight.shape[0] // heads)
    made.append((f"{name}.scores", MatMul(True, scale), [f"{name}.query.by_head", f"{name}.key.by_head"]))
    if mask is not None:
        made.append((f"{name}.masked", Affine(bias=_added(mask, query.weight)), [f"{name}.scores"]))
    made.append((f"{name}.weights", Softmax(axis=-1), [made[-1][0]]))
    made.append((f"{name}.mixed", MatMul(), [f"{name}.weights", f"{name}.value.by_head"]))
    made.append((f"{name}.joined", Permute((0, 2, 1, 3)), [f"{name}.mixed"]))
    merged = Reshape((-1, int(value.weight.shape[0])))
    if output is None:
        return [*made, (name, merged, [f"{name}.joined"])]
    _check_projection("output", output)
    return [*made, (f"{name}.merged", merged, [f"{name}.joined"]), (name, output, [f"{name}.merged"])]


def _by_head(name: str, layer: TokenDense, source: str, heads: int) -> Nodes:
    """The nodes from tokens (N, T, E) to the queries, keys or values of each head, (N, H, T, D)."""
    what = name.rpartition(".")[2]
    _check_projection(what, layer)
    width = int(layer.weight.shape[0])
    if width % heads:
        raise ParameterError(f"attention: {heads} heads do not divide the {width} outputs of {what}")
    cut = Reshape((-1, heads, width // heads))
    return [
        (name, layer, [source]),
        (f"{name}.heads", cut, [name]),
        (f"{name}.by_head", Permute((0, 2, 1, 3)), [f"{name}.heads"]),
    ]


def _added(mask: Any, like: Array) -> Array:
    """The mask as numbers of the kind that the weights `like` are, so that it does not widen the network.

    Raises ParameterError for booleans, whose True means "hide" to some and "read" to others.
    """
    what, remedy = "attention: mask", "it is added to the scores, so use 0 where a token may be read and -1e9 where not"
    given = numbers(mask, what)
    if array_namespace(given).isdtype(given.dtype, "bool"):
        raise ParameterError(f"{what} must hold numbers, got booleans; {remedy}")
    given = as_floating(given, what)
    if not all_finite(given):
        raise ParameterError(f"{what} holds NaN or infinities; {remedy}")
    if not all_finite(own := converted(given, like)):
        raise ParameterError(f"{what} holds numbers too large for the weights' {like.dtype}; {remedy}")
    return own


def _check_names(what: str, *names: object) -> None:
    """Raise ParameterError unless all are texts that are not empty."""
    for name in names:
        if not isinstance(name, str) or not name:
            raise ParameterError(f"{what}: the name of a node must be a string, got {shown(name)}")


def _check_projection(what: str, layer: object) -> None:
    """Raise ParameterError unless a layer is a TokenDense."""
    if not isinstance(layer, TokenDense):
        raise ParameterError(f"attention: {what} must be a TokenDense, got {shown(layer)}")


GATES = ("input", "forget", "cell", "output")
"""The order in which PyTorch stacks the weights of an LSTM."""


def lstm(name: str, source: str, steps: int, weight_ih: Array, weight_hh: Array, bias: Array | None = None) -> Nodes:
    """Return the nodes of an LSTM that reads a sequence (N, T, E) (Hochreiter and Schmidhuber 1997).

        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)        g = tanh(z_g)        z = W x_t + U h_(t-1) + b
        c_t = f c_(t-1) + i g                                     h_t = o tanh(c_t)    h_0 = c_0 = 0

    In each product, the signal receives all relevance and the gate none (Arras et al. 2017, arXiv 1706.07206): g,
    c_(t-1) and tanh(c_t) are the signals. The cell is used once per step, with shared layers.

    Parameters
    ----------
    name : str
        The name of the last node, which holds h_T, (N, H), and the prefix of all others: name.1.cell, name.1.h, ...
    source : str
        The node that holds the sequence.
    steps : int
        The length of the sequence, T.
    weight_ih : array, shape (4 H, E)
        W for the input gate, the forget gate, the cell and the output gate, as PyTorch stacks them.
    weight_hh : array, shape (4 H, H)
        U, likewise.
    bias : array, shape (4 H,), optional
        b, likewise; PyTorch has two, of which this is the sum.

    Returns
    -------
    list of (name, layer, inputs)
        The nodes in order.

    Raises
    ------
    ParameterError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Network
    >>> net = Network(lstm("lstm", "input", 2, np.ones((4, 3)), np.ones((4, 1))))
    >>> net.forward(np.zeros((5, 2, 3))).shape
    (5, 1)
    """
    _check_names("lstm", name, source)
    check_integer(steps, "lstm: steps", least=1)
    W, U = (as_parameter(w, f"lstm {what}", 2) for w, what in ((weight_ih, "weight_ih"), (weight_hh, "weight_hh")))
    H = U.shape[1]
    if U.shape[0] != 4 * H or W.shape[0] != 4 * H:
        raise ParameterError(f"lstm needs weights (4 H, E) and (4 H, H), got {tuple(W.shape)} and {tuple(U.shape)}")
    if bias is not None:
        bias = as_parameter(bias, "lstm bias", 1)
        if bias.shape[0] != 4 * H:
            raise ParameterError(f"lstm needs a bias of {4 * H} numbers, got {bias.shape[0]}")
    later = _gates(array_namespace(W).concat((W, U), axis=1), bias, H)
    first = {gate: layer for gate, layer in _gates(W, bias, H).items() if gate != "forget"}  # h_0 = c_0 = 0
    cuts = [Slice(1, t, t + 1) for t in range(steps - 1)] + [Slice(1, steps - 1)]  # what is too long is not cut off
    made = _step(f"{name}.1", "", first, source, cuts[0])
    for t in range(2, steps + 1):
        made += _step(f"{name}.{t}", f"{name}.{t - 1}", later, source, cuts[t - 1])
    return [*made[:-1], (name, *made[-1][1:])]


def _step(at: str, before: str, gates: Mapping[str, Dense], source: str, cut: Slice) -> Nodes:
    """The nodes of a step, whose names begin with `at`; those of the step before begin with `before`, if any."""
    made: Nodes = [(f"{at}.slice", cut, [source]), (f"{at}.x", Flatten(), [f"{at}.slice"])]
    if before:
        made.append((f"{at}.xh", Concat(), [f"{at}.x", f"{before}.h"]))
    read = made[-1][0]
    for gate, layer in gates.items():
        made.append((f"{at}.{gate}.z", layer, [read]))
        made.append((f"{at}.{gate}", Tanh() if gate == "cell" else Sigmoid(), [f"{at}.{gate}.z"]))
    written = [f"{at}.input", f"{at}.cell"]
    if before:
        made.append((f"{at}.new", SIGNAL_SECOND, written))
        made.append((f"{at}.kept", SIGNAL_SECOND, [f"{at}.forget", f"{before}.c"]))
        made.append((f"{at}.c", Add(), [f"{at}.kept", f"{at}.new"]))
    else:
        made.append((f"{at}.c", SIGNAL_SECOND, written))
    made.append((f"{at}.squashed", Tanh(), [f"{at}.c"]))
    made.append((f"{at}.h", SIGNAL_SECOND, [f"{at}.output", f"{at}.squashed"]))
    return made


SIGNAL_SECOND = Multiply("signal", signal=1)
"""A gate times a signal."""


def _gates(w: Array, bias: Array | None, H: int) -> dict[str, Dense]:
    """The layer of each gate, cut from the stacked weights."""
    cut = {gate: slice(k * H, (k + 1) * H) for k, gate in enumerate(GATES)}
    return {gate: Dense(w[rows], None if bias is None else bias[rows]) for gate, rows in cut.items()}
