"""Where an explanation starts: which node, which of its outputs, and with how much relevance."""

from __future__ import annotations

from math import isfinite
from numbers import Real

import numpy as np

from .arithmetic import all_finite, converted, full, ones_like, zeros_like
from .backend import Array, array_namespace, is_array, to_numpy
from .errors import InputError, RuleError, ShapeError, TargetError
from .layers import Softmax
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


def target_index(logits: Array, target: int | Array | None, seed: str | float | Array) -> Array | None:
    """The index of the explained output, one per sample, as (N,) integers; None for a seed that is an array.

    Raises TargetError for what is no index of an output.
    """
    if not isinstance(seed, str | Real):
        return None
    xp = array_namespace(logits)
    N = logits.shape[0]
    outputs = int(np.prod(logits.shape[1:]))
    if target is None:
        return xp.argmax(xp.reshape(logits, (N, outputs)), axis=1)
    index = np.asarray(to_numpy(target) if is_array(target) else target)
    if index.dtype.kind not in "iu" or index.ndim > 1:
        raise TargetError(f"target is an index, or one per sample, got {target!r}")
    if index.ndim == 1 and index.shape[0] != N:
        raise TargetError(f"{index.shape[0]} targets for {N} samples")
    if index.size and (index.min() < 0 or index.max() >= outputs):
        raise TargetError(f"target {target} is out of range: there are {outputs} outputs, 0 to {outputs - 1}")
    return xp.asarray(np.broadcast_to(index, (N,)).astype(np.int64))


def seed_relevance(logits: Array, target: Array | None, seed: str | float | Array) -> Array:
    """The relevance at the explained output."""
    xp = array_namespace(logits)
    if target is None:
        given: Array = seed if is_array(seed) else xp.asarray(np.asarray(seed))
        if tuple(given.shape) != tuple(logits.shape):
            raise ShapeError(f"the seed has shape {tuple(given.shape)}, the explained output {tuple(logits.shape)}")
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
