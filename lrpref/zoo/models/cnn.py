"""A simple CNN: the smallest network with all the usual kinds of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...arithmetic import check_flag, check_integer, is_shape
from ...errors import ParameterError, shown
from ...layers import Flatten, MaxPool2D
from ...network import INPUT, Network
from .blueprint import Blueprint


def simple_cnn(
    channels: Sequence[int] = (16, 32, 32),
    hidden: int = 64,
    *,
    width: float = 1.0,
    num_classes: int = 10,
    input_shape: Sequence[int] = (1, 28, 28),
    batch_norm: bool = False,
    seed: int | np.random.Generator | None = 0,
    state: Mapping[str, Any] | None = None,
) -> Network:
    """Build a CNN: 3 x 3 convolutions, all but the last followed by a 2 x 2 max-pool, then two Dense layers.

    The nodes are conv1, bn1, relu1, pool1, conv2, ..., flatten, fc1, relu4, fc2.

    Parameters
    ----------
    channels : sequence of int, default (16, 32, 32)
        The channels of each convolution. "mnist-cnn" has the default, "cifar-cnn" has (32, 64, 128, 128).
    hidden : int, default 64
        The units of the first Dense layer.
    width : float
        A factor for all numbers of channels.
    num_classes : int
        The number of outputs, which are logits.
    input_shape : sequence of int
        (C, H, W) of one image.
    batch_norm : bool
        Whether to put a BatchNorm between each convolution and its ReLU.
    seed : int, numpy.random.Generator, or None
        For random weights (He et al. 2015). None leaves every weight zero and takes no memory.
    state : mapping of str to array, or None
        Weights by name, used in place of random ones.

    Returns
    -------
    Network
        In float32, or in the number type of `state`.

    Raises
    ------
    ParameterError
        If an argument is out of its range, or the max-pools would leave no pixel.
    WeightsError
        If `state` does not fit the network.
    """
    if not is_shape(channels, least=1) or not channels:
        raise ParameterError(
            f"channels must list the output channels of each convolution, at least one, got {shown(channels)}"
        )
    check_integer(hidden, "hidden", least=1)
    check_flag(batch_norm, "batch_norm")
    plan, at = Blueprint(input_shape, width), INPUT
    if min(input_shape[1:]) < 2 ** (len(channels) - 1):
        raise ParameterError(f"{len(channels) - 1} max-pools leave no pixel of an image of {tuple(input_shape[1:])}")
    for i, out in enumerate(channels, start=1):
        at = plan.conv(f"conv{i}", at, plan.widened(out), 3, bias=True)
        at = plan.norm(f"bn{i}", at) if batch_norm else at
        at = plan.relu(f"relu{i}", at)
        if i < len(channels):
            at = plan.put(f"pool{i}", MaxPool2D(2), at)
    at = plan.put("flatten", Flatten(), at)
    at = plan.relu(f"relu{len(channels) + 1}", plan.dense("fc1", at, plan.widened(hidden)))
    plan.dense("fc2", at, num_classes)
    return plan.network(seed, state)
