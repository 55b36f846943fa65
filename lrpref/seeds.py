"""Where an explanation starts: which node, which of its outputs, and with how much relevance."""

from __future__ import annotations

from math import isfinite
from numbers import Real

import numpy as np

from .arithmetic import all_finite, converted, full, ones_like, zeros_like
from .backend import Array, array_namespace, is_array, to_numpy
from .errors import InputError, RuleError, ShapeError, TargetError
from .layers import Softmax
from .layers.base import Shape
from .network import INPUT, Network


def explained_node(net: Network, node: str | None) -> str:
    """The node whose output is explained: the one asked for, or the last before a final Softmax."""
    if node is not None and node != net.output:
        net[node]  # raises GraphError for a name that is no node
        return node
    *_, (name, layer, inputs) = net.nodes
    if isinstance(layer, Softmax) and inputs[0] == INPUT:
        raise RuleError("a network that is nothing but a Softmax has no layer to explain")
    return inputs[0] if isinstance(layer, Softmax) else name


def check(net: Network, shape: Shape, target: int | Array | None, seed: str | float | Array, node: str | None) -> None:
    """Raise what the functions below would raise for an input of this shape, from shapes alone.

    >>> from lrpref import Dense
    >>> check(Network.sequential(Dense([[2.0, -1.0]])), (100, 2), target=1, seed="logit", node=None)
    Traceback (most recent call last):
    ...
    lrpref.errors.TargetError: target 1 is out of range: there are 1 outputs, 0 to 0
    """
    logits = net.shapes(shape)[explained_node(net, node)]
    if not isinstance(seed, str | Real):
        _check_seed(tuple(np.shape(seed)), logits)
        return
    seed_relevance(np.zeros((0, *logits[1:])), np.zeros(0, dtype=np.int64), seed)
    if target is not None:
        _indices(target, logits)


def target_index(logits: Array, target: int | Array | None, seed: str | float | Array) -> Array | None:
    """The index of the explained output, one per sample, as (N,) integers; None for a seed that is an array.

    Raises TargetError for what is no index of an output.
    """
    if not isinstance(seed, str | Real):
        return None
    xp = array_namespace(logits)
    if target is None:
        return xp.argmax(xp.reshape(logits, (logits.shape[0], int(np.prod(logits.shape[1:])))), axis=1)
    return xp.asarray(_indices(target, tuple(logits.shape)))


def _indices(target: int | Array, shape: Shape) -> np.ndarray:
    """The index of the explained output of logits of this shape; raises TargetError where there is no such output."""
    N, outputs = shape[0], int(np.prod(shape[1:]))
    index = np.asarray(to_numpy(target) if is_array(target) else target)
    if index.dtype.kind not in "iu" or index.ndim > 1:
        raise TargetError(f"target is an index, or one per sample, got {target!r}")
    if index.ndim == 1 and index.shape[0] != N:
        raise TargetError(f"{index.shape[0]} targets for {N} samples")
    if index.size and (index.min() < 0 or index.max() >= outputs):
        raise TargetError(f"target {target} is out of range: there are {outputs} outputs, 0 to {outputs - 1}")
    return np.broadcast_to(index, (N,)).astype(np.int64)


def seed_relevance(logits: Array, target: Array | None, seed: str | float | Array) -> Array:
    """The relevance at the explained output."""
    xp = array_namespace(logits)
    if target is None:
        given: Array = seed if is_array(seed) else xp.asarray(np.asarray(seed))
        _check_seed(tuple(given.shape), tuple(logits.shape))
        if not (all_finite(given) and all_finite(R := converted(given, like=logits))):
            raise InputError("the seed holds NaN or infinities")
        return R
    N = logits.shape[0]
    flat = xp.reshape(logits, (N, int(np.prod(logits.shape[1:]))))
    chosen = xp.arange(flat.shape[1])[None, :] == target[:, None]
    if seed == "logit":
        values = flat
    elif seed == "one":
        values = ones_like(flat)
    elif seed == "probability":
        values = Softmax().forward(flat)
    elif isinstance(seed, str):
        raise InputError(f'seed is "logit", "one", "probability", a number or an array, got {seed!r}')
    elif not isfinite(seed):
        raise InputError(f"the seed holds NaN or infinities: {seed}")
    else:
        values = full(flat.shape, seed, like=flat)
    return xp.reshape(xp.where(chosen, values, zeros_like(flat)), logits.shape)


def _check_seed(shape: Shape, logits: Shape) -> None:
    """Raise ShapeError unless a seed array is shaped like the output that is explained."""
    if shape != logits:
        raise ShapeError(f"the seed has shape {shape}, the explained output {logits}")
