"""Freezing the norms that use the sample's own statistics, for one sample.

A GroupNorm computes z = g (a - mu) / s + beta with the mean and the deviation of the sample. For one sample these are
constants, so the layer equals the diagonal layer

    w = g / s        b = beta - g mu / s

which is a `Scale`, or an `Affine` layer if w or b differ within a channel, as those of a LayerNorm of tokens do. The
network with these layers has the same output for that sample, its explanation is that under mean="constant"
(`layers.SampleNorm`), and `fuse` folds a `Scale` as it folds a BatchNorm. For any other input it is a different
function.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .arithmetic import ones_like, zeros_like
from .backend import Array, array_namespace
from .errors import FusionError, InputError, at_node
from .layers import Affine, GroupNorm, InstanceNorm, LayerNorm, RMSNorm, SampleNorm, Scale
from .network import Network, check_network


def frozen(net: Network, x: Any) -> Network:
    """Return the network with diagonal layers in place of GroupNorm, InstanceNorm, LayerNorm and RMSNorm, for `x` only.

    Each becomes a `Scale`, or an `Affine` layer if its weights differ within a channel (axis 1).

    Parameters
    ----------
    net : Network
        Left untouched.
    x : array, shape (1, ...)
        One sample, whose means and deviations are put into the layers.

    Returns
    -------
    Network
        A network with the same output for `x`; for other inputs it is a different function.

    Raises
    ------
    InputError
        If `x` is not one sample.
    FusionError
        If a norm is a type of your own.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import LayerNorm, Network
    >>> net = frozen(Network.sequential(LayerNorm(2, [2.0, 1.0], [1.0, 0.0], eps=0.0)), np.array([[1.0, 5.0]]))
    >>> net["layernorm1"].weight, net["layernorm1"].bias
    (array([1. , 0.5]), array([-2. , -1.5]))
    """
    check_network(net)
    x = net.cast(x)
    if x.ndim < 2 or x.shape[0] != 1:
        raise InputError(f"a network can be frozen for one sample, shape (1, ...), got shape {tuple(x.shape)}")
    at = net.activations(x)
    nodes = []
    for name, layer, inputs in net.nodes:
        with at_node(name, layer):
            nodes.append((name, _diagonal(layer, at[inputs[0]]) if isinstance(layer, SampleNorm) else layer, inputs))
    return net.with_nodes(nodes)


OWN = (GroupNorm, InstanceNorm, LayerNorm, RMSNorm)
"""The types that can be frozen. A subclass may compute something else, so only these very types count."""


def _diagonal(layer: SampleNorm, a: Array) -> Scale | Affine:
    """The layer at the input `a` of one sample: w = g / s, b = beta - g mu / s."""
    if type(layer) not in OWN:
        raise FusionError("it is a type of your own, which may not be a diagonal layer")
    constant: Any = {"mean": "constant"}
    diagonal = layer if layer.diagonal else replace(layer, **constant)
    w, b = diagonal.parameters(a)
    w = diagonal.linear(w, ones_like(a))  # one number for every cell
    b = None if b is None else zeros_like(a) + b
    if _is_per_channel(w) and (b is None or _is_per_channel(b)):
        return Scale(_channels(w)[:, 0], None if b is None else _channels(b)[:, 0])
    return Affine(w[0, ...], None if b is None else b[0, ...])


def _channels(v: Array) -> Array:
    """One number for every cell, (1, C, ...), as one row for every channel."""
    return array_namespace(v).reshape(v, (v.shape[1], -1))


def _is_per_channel(v: Array) -> bool:
    """Whether all cells of a channel have the same number."""
    rows = _channels(v)
    return bool(array_namespace(v).all(rows == rows[:, :1]))
