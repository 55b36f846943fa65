"""Conditional relevance: the part of an explanation that passes through some channels of an inner node.

The channels of an inner layer respond to different patterns, or *concepts*. Concept Relevance Propagation (CRP) keeps
the relevance of one channel, or of a few, sets that of the others to zero, and continues to the input. The map shows
where the network found these concepts, as far as they mattered for the explained output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arithmetic import is_integer, zeros_like
from .backend import array_namespace, is_array, to_numpy
from .errors import GraphError, ParameterError, TargetError, shown
from .seeds import start_at
from .walk import Trace, walk


def condition(trace: Trace, node: str, channels: int | Sequence[int]) -> Trace:
    """Continue an explanation through some channels of a node only.

    With R_j the relevance of the node's outputs in `trace`, the walk continues from the node with

        R'_j = R_j for j in one of the channels          R'_j = 0 for all others

    and the rules of `trace`. Relevance that bypasses the node is left out. The result is a trace as well, so that
    conditions can be chained: a channel of an upper layer first, then one below it.

    Parameters
    ----------
    trace : Trace
        What `lrpref.trace` or this function returned.
    node : str
        A node that received relevance.
    channels : int or sequence of int
        The index, or indices, along axis 1 of the node's output.

    Returns
    -------
    Trace
        The relevance of the input that passed through these channels, and the ledger from `node` on.

    Raises
    ------
    GraphError
        If there is no such node, or it received no relevance.
    TargetError
        If there is no such channel, or none is given.
    ParameterError
        If `trace` is not a trace.

    Notes
    -----
    The maps of all channels sum to the map of `trace` under two conditions: the rules are linear in R, as all of
    lrpref's are except `Relative` when it rescales, and every path from the explained output to the input passes
    through the node. If paths bypass it, sum over a cut: nodes such that every path passes through exactly one.

    References
    ----------
    Achtibat et al. 2023, Nature Machine Intelligence 5:1006 (arXiv 2206.03208): CRP; zennit-crp computes it with
    `exclude_parallel=True`.

    Examples
    --------
    >>> import lrpref
    >>> from lrpref import Dense, Network, ReLU
    >>> net = Network.sequential(Dense([[1.0, 2.0], [3.0, -1.0]]), ReLU(), Dense([[1.0, 1.0]]))
    >>> tr = lrpref.trace(net, np.array([[2.0, 1.0]]), rule="zero")
    >>> tr.relevance, condition(tr, "dense1", 0).relevance, condition(tr, "dense1", 1).relevance
    (array([[8., 1.]]), array([[2., 2.]]), array([[ 6., -1.]]))
    """
    given: object = trace
    if not isinstance(given, Trace):
        raise ParameterError(f"condition: expected a trace, as lrpref.trace returns it, got {shown(given)}")
    start = start_at(trace.net, trace.net.node(node).name)
    if node not in trace.at:
        raise GraphError(f"node {node!r} received no relevance in this trace: {', '.join(trace.at)} did")
    R = trace.at[node]
    chosen = np.isin(np.arange(R.shape[1]), _channels(channels, R.shape[1], node))
    xp = array_namespace(R)
    kept = xp.reshape(xp.asarray(chosen), (1, -1, *(1,) * (R.ndim - 2)))
    return walk(start, trace.rules, trace.x, None, xp.where(kept, R, zeros_like(R)), None)


def _channels(channels: Any, count: int, node: str) -> list[int]:
    """The channels as a list; raises TargetError unless they are channels of the node, and at least one."""
    if is_array(channels):
        channels = to_numpy(channels).tolist()
    listed = list(channels) if isinstance(channels, tuple | list | range) else [channels]
    if not listed or not all(is_integer(channel, 0, count - 1) for channel in listed):
        raise TargetError(
            f"channels must be one or more of the channels 0 to {count - 1} of node {node!r}, got {shown(channels)}"
        )
    return listed
