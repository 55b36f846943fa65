"""VGG16 and VGG19 (Simonyan and Zisserman 2015, arXiv 1409.1556, table 1, configurations D and E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...arithmetic import check_flag
from ...errors import ParameterError
from ...layers import Dropout, Flatten, MaxPool2D
from ...network import INPUT, Network
from .blueprint import Blueprint

CHANNELS = (64, 128, 256, 512, 512)
"""The channels of the convolutions in each of the five stages; each stage ends in a max-pool."""


def vgg16(
    *,
    width: float = 1.0,
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    batch_norm: bool = False,
    seed: int | np.random.Generator | None = 0,
    state: Mapping[str, Any] | None = None,
) -> Network:
    """Build VGG16: thirteen convolutions and three Dense layers; 138,357,544 parameters at full size.

    The first Dense layer takes all cells that the last max-pool leaves, whatever the image size; torchvision would
    average or repeat them to 7 x 7.

    Parameters
    ----------
    width : float
        A factor for all numbers of channels.
    num_classes : int
        The number of outputs, which are logits.
    input_shape : sequence of int
        (C, H, W) of one image, at least 32 x 32. Below 64 x 64 the hidden Dense layers have 512 units, as is usual
        when the last max-pool leaves a single cell, instead of 4096.
    batch_norm : bool
        Whether to put a BatchNorm between each convolution and its ReLU. The numbers in the nodes' names shift, as in
        torchvision's `vgg16_bn`.
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
        If an argument is out of its range, or the image is smaller than 32 x 32.
    WeightsError
        If `state` does not fit the network.

    References
    ----------
    Simonyan and Zisserman 2015 (arXiv 1409.1556), table 1, configuration D.
    """
    return _vgg((2, 2, 3, 3, 3), width, num_classes, input_shape, batch_norm, seed, state)


def vgg19(
    *,
    width: float = 1.0,
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    batch_norm: bool = False,
    seed: int | np.random.Generator | None = 0,
    state: Mapping[str, Any] | None = None,
) -> Network:
    """Build VGG19: sixteen convolutions and three Dense layers; 143,667,240 parameters at full size.

    Parameters
    ----------
    width, num_classes, input_shape, batch_norm, seed, state
        As in `vgg16`.

    Returns
    -------
    Network
        In float32, or in the number type of `state`.

    Raises
    ------
    ParameterError, WeightsError
        As in `vgg16`.

    References
    ----------
    Simonyan and Zisserman 2015 (arXiv 1409.1556), table 1, configuration E.
    """
    return _vgg((2, 2, 4, 4, 4), width, num_classes, input_shape, batch_norm, seed, state)


def _vgg(
    depths: Sequence[int],
    width: float,
    num_classes: int,
    input_shape: Sequence[int],
    batch_norm: bool,
    seed: int | np.random.Generator | None,
    state: Mapping[str, Any] | None,
) -> Network:
    """Five stages of `depths` convolutions, then the classifier."""
    plan = Blueprint(input_shape, width)
    check_flag(batch_norm, "batch_norm")
    if min(input_shape[1:]) < 32:
        raise ParameterError(
            f"VGG halves an image five times and needs at least 32 x 32 pixels, got {tuple(input_shape[1:])}"
        )
    at = _features(plan, depths, batch_norm)
    at = plan.put("flatten", Flatten(), at)
    hidden = plan.widened(512 if plan.small else 4096)
    for i in (0, 3):
        at = plan.relu(f"classifier.{i + 1}", plan.dense(f"classifier.{i}", at, hidden))
        at = plan.put(f"classifier.{i + 2}", Dropout(), at)
    plan.dense("classifier.6", at, num_classes)
    return plan.network(seed, state)


def _features(plan: Blueprint, depths: Sequence[int], batch_norm: bool) -> str:
    """Add the convolutional part, numbered as in torchvision ("features.0", ...); returns the last node's name."""

    def name() -> str:
        """The name of the next node."""
        return f"features.{len(plan.nodes)}"

    at = INPUT
    for out, depth in zip(CHANNELS, depths, strict=True):
        for _ in range(depth):
            at = plan.conv(name(), at, plan.widened(out), 3, bias=True)
            at = plan.norm(name(), at) if batch_norm else at
            at = plan.relu(name(), at)
        at = plan.put(name(), MaxPool2D(2), at)
    return at
