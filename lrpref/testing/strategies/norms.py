"""Normalisation layers that fit an input of a given shape."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RMSNorm
from ...layers.base import Shape
from .numbers import EITHER, ODD, Arrays, Strategy, arrays, as_strategy, drawn
from .shapes import last_axes


@st.composite
def batch_norm(
    draw: Any, shape: Any, *, weight: Any = EITHER, bias: Any = EITHER, numbers: Arrays = arrays
) -> BatchNorm:
    """BatchNorm layers with standard deviations of 1/2, 1 or 2.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of BatchNorm
    """
    channels = drawn(draw, shape)[1]
    s = np.asarray(draw(st.lists(st.sampled_from([1.0, 0.5, 2.0]), min_size=channels, max_size=channels)))
    g = draw(numbers((channels,))) if drawn(draw, weight) else None
    beta = draw(numbers((channels,))) if drawn(draw, bias) else None
    return BatchNorm(g, beta, draw(numbers((channels,))), s**2 - 0.5, eps=0.5)  # var may be below zero


MEANS = st.sampled_from(["linear", "constant"])
"""The readings of the mean with which a rule sees the layer's own weights; with "centred" it sees other ones."""


@st.composite
def group_norm(
    draw: Any,
    shape: Any,
    *,
    weight: Any = EITHER,
    bias: Any = EITHER,
    mean: Any = MEANS,
    eps: Any = 1e-5,
    numbers: Arrays = arrays,
) -> GroupNorm:
    """GroupNorm layers; the number of groups is a divisor of the channels, and a group has two cells if it can.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them; a bias only with a weight.
    mean : {"linear", "constant", "centred"} or strategy
        As that of the layer.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of GroupNorm
    """
    _, channels, *sides = drawn(draw, shape)
    groups = [g for g in (1, 2, 3, 4) if channels % g == 0 and (g == 1 or channels * prod(sides) > g)]
    g, beta = draw(_affine((channels,), weight, bias, numbers))
    return GroupNorm(draw(st.sampled_from(groups)), g, beta, drawn(draw, eps), drawn(draw, mean))


@st.composite
def instance_norm(
    draw: Any,
    shape: Any,
    *,
    weight: Any = EITHER,
    bias: Any = EITHER,
    mean: Any = MEANS,
    eps: Any = 1e-5,
    numbers: Arrays = arrays,
) -> InstanceNorm:
    """InstanceNorm layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them; a bias only with a weight.
    mean : {"linear", "constant", "centred"} or strategy
        As that of the layer.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of InstanceNorm
    """
    g, beta = draw(_affine((drawn(draw, shape)[1],), weight, bias, numbers))
    return InstanceNorm(g, beta, drawn(draw, eps), drawn(draw, mean))


@st.composite
def layer_norm(
    draw: Any,
    shape: Any,
    *,
    weight: Any = EITHER,
    bias: Any = EITHER,
    mean: Any = MEANS,
    eps: Any = 1e-5,
    numbers: Arrays = arrays,
) -> LayerNorm:
    """LayerNorm layers over one or more of the last axes.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight, bias : bool or strategy
        Whether the layer has them; a bias only with a weight.
    mean : {"linear", "constant", "centred"} or strategy
        As that of the layer.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of LayerNorm
    """
    last = draw(last_axes(drawn(draw, shape)))
    g, beta = draw(_affine(last, weight, bias, numbers))
    return LayerNorm(last, g, beta, drawn(draw, eps), drawn(draw, mean))


@st.composite
def rms_norm(draw: Any, shape: Any, *, weight: Any = EITHER, eps: Any = 1e-5, numbers: Arrays = arrays) -> RMSNorm:
    """RMSNorm layers over one or more of the last axes.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    weight : bool or strategy
        Whether the layer has one.
    eps : float or strategy, default 1e-05
        As that of the layer.
    numbers : callable, default arrays
        Draws an array of a given shape: `arrays`, `nonnegative`, `generic`, or your own function.

    Returns
    -------
    SearchStrategy of RMSNorm
    """
    last = draw(last_axes(drawn(draw, shape)))
    g, _ = draw(_affine(last, weight, False, numbers))
    return RMSNorm(last, g, drawn(draw, eps))


@st.composite
def _affine(draw: Any, shape: Shape, weight: Any, bias: Any, numbers: Arrays) -> tuple[Any, Any]:
    """g and beta of a norm, each an array or None; beta only with g, so that twice its arrays is twice the layer."""
    g = draw(numbers(shape)) if drawn(draw, weight) else None
    return g, draw(numbers(shape)) if drawn(draw, bias) and g is not None else None


def local_response_norm(shape: Any, *, size: Any = ODD) -> Strategy[LocalResponseNorm]:
    """LocalResponseNorm layers.

    Parameters
    ----------
    shape : tuple of int or strategy
        The shape of the input, including the batch.
    size : int or strategy
        How many channels a sum has.

    Returns
    -------
    SearchStrategy of LocalResponseNorm
    """
    return as_strategy(size).map(lambda n: LocalResponseNorm(n, alpha=0.5))
