"""Contrastive relevance: why this output rather than that one.

A map of one output shows what supports it, and much of that supports other outputs as well. A contrast starts with
relevance of both signs: positive at the output that is explained, negative at those that it is compared with.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from .arithmetic import ones_like, zeros_like
from .backend import Array, array_namespace
from .composites import Composite
from .errors import GraphError, InputError, ParameterError, ShapeError, TargetError, is_one_of, unknown
from .layers import Layer, Sigmoid, Softmax
from .layers.base import Shape
from .network import Network, check_network
from .rules import Rule
from .seeds import flat, start_at, target_index
from .walk import DEFAULT_RULE, Trace, trace

KINDS = ("logits", "clrp", "sglrp")


def contrast(
    net: Network,
    x: Any,
    target: Any = None,
    against: Any = None,
    kind: str = "logits",
    rule: str | Rule | Composite = DEFAULT_RULE,
) -> Trace:
    """Explain why the output of `net` is one class rather than another.

    With z the n logits, p their softmax, t the target and k the other outputs, the walk starts with

        logits:  R_t = z_t          R_k = -z_k at `against`
        clrp:    R_t = z_t          R_k = -z_t / (n - 1)
        sglrp:   R_t = p_t (1 - p_t)          R_k = -p_t p_k

    Parameters
    ----------
    net : Network
        The network, with at least two logits.
    x : array, shape (N, ...), or tuple or dict of arrays
        A batch, as in `lrpref.trace`.
    target : int, array of int, or None
        The output to explain: an index, one index per sample, or None for the largest output.
    against : int, array of int, or None
        The output to compare with. None: for "logits" the largest of the others, for "clrp" all of them, as printed
        above. With "clrp" and an index, that output alone starts with -z_t.
    kind : {"logits", "clrp", "sglrp"}, default "logits"
        Which contrast.
    rule : str, Rule or Composite
        As in `lrpref.trace`.

    Returns
    -------
    Trace
        The explanation; `target` is the index that was explained.

    Raises
    ------
    TargetError
        If there is no such output, or `against` is the target.
    ParameterError, UnknownNameError
        If `kind` is unknown, or `against` is given with "sglrp", which compares with all outputs.
    ShapeError, InputError, RuleError, GraphError
        If the network has a single logit, or "sglrp" is used with a network that ends with a Sigmoid or with a softmax
        at each of several positions; otherwise as in `lrpref.trace`.

    Notes
    -----
    "logits" explains z_t - z_k, which is log(p_t / p_k) under a softmax. It is the difference of the maps of both
    outputs if the rules are linear in R. Use it where the last layer is under LRP-0 or epsilon, as in all presets.

    The other two were published for z-plus on all layers: use `rule="z-plus"`. They start all other outputs with
    negative relevance, whatever the signs of their logits. LRP-0 and epsilon divide by the logit, so under these rules
    the evidence for an output with a negative logit would change its sign. Gu et al. show the positive part of their
    contrast, `numpy.maximum(relevance, 0)`.

    References
    ----------
    CLRP: Gu, Yang and Tresp 2018, arXiv 1812.02100, CLRP1, after a third-party description (github.com/jurgyy/CLRP);
    the authors' own program starts the others with the magnitudes of their logits, and scales both maps to the sum 1.
    SGLRP: Iwana, Kuroki and Uchida 2019, arXiv 1908.04351, as printed in the README of their program.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> net = Network.sequential(Dense([[3.0, 1.0], [2.0, 0.0], [0.0, 1.0]]))
    >>> contrast(net, np.array([[1.0, 1.0]]), target=0, against=1, rule="zero").relevance
    array([[1., 1.]])
    """
    if not is_one_of(kind, KINDS):
        raise unknown("contrast", kind, KINDS)
    if kind == "sglrp" and against is not None:
        raise ParameterError('contrast: "sglrp" compares with all outputs, so `against` cannot be given')
    check_network(net)
    if len(net.outputs) > 1:
        outputs = ", ".join(net.outputs)
        raise GraphError(f"contrast: the network has the outputs {outputs}; choose one: net.up_to({net.outputs[0]!r})")
    start = start_at(net, None)
    x = net.cast(x)
    logits = start.net.forward(x)
    if kind == "sglrp":
        _check_one_softmax(start.head, tuple(logits.shape))
    z = flat(logits)
    if z.shape[1] < 2:
        raise ShapeError("contrast: the network has a single logit, so there is nothing to compare it with")
    t = target_index(logits, target, "one")
    explained = _one_hot(z, t)
    others = ~explained if against is None else _one_hot(z, _rival(logits, against))
    xp = array_namespace(z)
    if xp.any(explained & others):
        raise TargetError("contrast: `against` must be another output than the target")
    R = xp.reshape(_SEEDS[kind](z, explained, others), logits.shape)
    return replace(trace(net, x, rule=rule, seed=R), target=t)


def _check_one_softmax(head: Layer | None, shape: Shape) -> None:
    """Raise InputError or ShapeError if the network ends with anything but one softmax over all logits."""
    if isinstance(head, Sigmoid):
        raise InputError('contrast: "sglrp" is the gradient of a softmax, and the network ends with a Sigmoid')
    if head is not None and prod(shape[1:]) != shape[getattr(head, "axis", 1)]:
        raise ShapeError(
            f'contrast: "sglrp" is the gradient of one softmax, and the logits of shape {shape} have one at each '
            "position; end the network with the logits of one position"
        )


def _rival(logits: Array, against: Any) -> Array | None:
    """The index of the output to compare with; raises TargetError that says that it is `against`."""
    try:
        return target_index(logits, against, "one")
    except TargetError as error:
        raise TargetError(f"contrast: `against` must be another output: {error}") from error


def _one_hot(z: Array, index: Any) -> Array:
    """Whether an output is that of this index, one index per sample."""
    return array_namespace(z).arange(z.shape[1])[None, :] == index[:, None]


def _logits(z: Array, explained: Array, others: Array) -> Array:
    """z_t and -z_k; of several others, the first of the largest."""
    xp = array_namespace(z)
    largest = xp.max(xp.where(others, z, xp.min(z, axis=1, keepdims=True)), axis=1, keepdims=True)
    rivals = xp.where(others & (z == largest), ones_like(z), zeros_like(z))
    rival = _one_hot(z, xp.argmax(rivals, axis=1))
    return xp.where(explained, z, xp.where(rival, -z, zeros_like(z)))


def _clrp(z: Array, explained: Array, others: Array) -> Array:
    """z_t, and -z_t in equal parts."""
    xp = array_namespace(z)
    z_t = xp.sum(xp.where(explained, z, zeros_like(z)), axis=1, keepdims=True)
    count = xp.sum(xp.where(others, ones_like(z), zeros_like(z)), axis=1, keepdims=True)
    return xp.where(explained, z_t, xp.where(others, -z_t / count, zeros_like(z)))


def _sglrp(z: Array, explained: Array, others: Array) -> Array:
    """The gradient of p_t: p_t (1 - p_t), and -p_t p_k."""
    xp = array_namespace(z)
    p = Softmax().forward(z)
    p_t = xp.sum(xp.where(explained, p, zeros_like(p)), axis=1, keepdims=True)
    return xp.where(explained, p_t * (1 - p_t), -p_t * p)


_SEEDS = {"logits": _logits, "clrp": _clrp, "sglrp": _sglrp}
