"""Where an explanation starts: at which node, at which of its outputs, and with how much relevance."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from .arithmetic import all_finite, as_floating, converted, full, is_number, ones_like, zeros_like
from .backend import Array, array_namespace, is_array, numbers, to_numpy
from .errors import InputError, RuleError, ShapeError, TargetError, is_one_of, shown
from .layers import Softmax
from .layers.base import Shape
from .network import INPUT, Network


def explained_node(net: Network, node: str | None) -> str:
    """Return the node whose output is explained: `node`, or the one that holds the logits (`Network.logits`)."""
    if node is not None and not is_one_of(node, [net.output]):
        return net.node(node).name
    if net.logits == INPUT:
        raise RuleError("the network consists of a Softmax only, so there is no layer to explain")
    return net.logits


def check(net: Network, shape: Shape, target: int | Array | None, seed: str | float | Array, node: str | None) -> None:
    """Raise what the functions below would raise for an input of this shape, from shapes alone.

    Examples
    --------
    >>> from lrpref import Dense
    >>> check(Network.sequential(Dense([[2.0, -1.0]])), (100, 2), target=1, seed="logit", node=None)
    Traceback (most recent call last):
    ...
    lrpref.errors.TargetError: target 1 is out of range for 1 output (valid: 0)
    """
    logits = net.shapes(shape)[explained_node(net, node)]
    if not isinstance(seed, str | Real):
        _check_seed(tuple(numbers(seed, "the seed").shape), logits)
        return
    seed_relevance(np.zeros((0, *logits[1:])), np.zeros(0, dtype=np.int64), seed)
    if target is not None:
        _indices(target, logits)


def target_index(logits: Array, target: int | Array | None, seed: str | float | Array) -> Array | None:
    """Return the index of the explained output, one per sample, as integers (N,); None if the seed is an array.

    Raises TargetError for anything that is not the index of an output.
    """
    if not isinstance(seed, str | Real):
        return None
    xp = array_namespace(logits)
    if target is None:
        return xp.argmax(xp.reshape(logits, (logits.shape[0], int(np.prod(logits.shape[1:])))), axis=1)
    return xp.asarray(_indices(target, tuple(logits.shape)))


def _indices(target: int | Array, shape: Shape) -> np.ndarray:
    """The index of the explained output for each sample, for logits of this shape."""
    N, outputs = shape[0], int(np.prod(shape[1:]))
    index = to_numpy(target)
    if index.dtype.kind not in "iu" or index.ndim > 1:
        raise TargetError(f"target must be an index, or one index per sample, got {shown(target)}")
    if index.ndim == 1 and index.shape[0] != N:
        raise TargetError(f"expected one target per sample ({_counted(N, 'sample')}), got {index.shape[0]}")
    if index.size and (index.min() < 0 or index.max() >= outputs):
        valid = "0" if outputs == 1 else f"0 to {outputs - 1}"
        raise TargetError(f"target {shown(target)} is out of range for {_counted(outputs, 'output')} (valid: {valid})")
    return np.broadcast_to(index, (N,)).astype(np.int64)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def seed_relevance(logits: Array, target: Array | None, seed: str | float | Array) -> Array:
    """Return the relevance at the explained output, shaped like `logits`.

    Raises ShapeError for a seed array of another shape, InputError for an unknown name or a seed that is not finite.
    """
    xp = array_namespace(logits)
    start: Any = seed
    if target is None:
        given = as_floating(start, "the seed")
        given = given if is_array(start) else xp.asarray(given)
        _check_seed(tuple(given.shape), tuple(logits.shape))
        if not (all_finite(given) and all_finite(R := converted(given, like=logits))):
            raise InputError("the seed holds NaN or infinities")
        return xp.astype(R, R.dtype) if R is start else R  # the caller's array is not part of the result
    N = logits.shape[0]
    flat = xp.reshape(logits, (N, int(np.prod(logits.shape[1:]))))
    chosen = xp.arange(flat.shape[1])[None, :] == target[:, None]
    if start == "logit":
        values = flat
    elif start == "one":
        values = ones_like(flat)
    elif start == "probability":
        values = Softmax().forward(flat)
    elif isinstance(start, str | bool):
        raise InputError(f'seed must be "logit", "one", "probability", a number or an array, got {start!r}')
    elif not is_number(start):
        raise InputError(f"the seed holds NaN or infinities, or is too large: {shown(start)}")
    else:
        values = full(flat.shape, start, like=flat)
    return xp.reshape(xp.where(chosen, values, zeros_like(flat)), logits.shape)


def _check_seed(shape: Shape, logits: Shape) -> None:
    """Raise ShapeError unless a seed array is shaped like the output that is explained."""
    if shape != logits:
        raise ShapeError(f"the seed must be shaped like the explained output, {logits}, got {shape}")
