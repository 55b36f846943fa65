"""VGG16 and VGG19 (Simonyan and Zisserman 2015, arXiv 1409.1556, table 1, configurations D and E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ParameterError
from ...layers import Dropout, Flatten, MaxPool2D
from ...network import INPUT, Network
from .blueprint import Blueprint

CHANNELS = (64, 128, 256, 512, 512)
"""Of the convolutions in each of the five stages; a max-pool ends each stage."""


def vgg16(
    *,
    width: float = 1.0,
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    batch_norm: bool = False,
    seed: int | np.random.Generator | None = 0,
    state: Mapping[str, Any] | None = None,
) -> Network:
    """VGG16: thirteen convolutions and three Dense layers; 138,357,544 parameters at full size.

    batch_norm  a BatchNorm between each convolution and its ReLU; the numbers in the nodes' names shift, as they do
                in torchvision's `vgg16_bn`

    The other arguments are those of every builder (`lrpref.models`). The hidden Dense layers have 4096 units, for
    images of less than 64 x 64 only 512, which is usual where the last pool leaves a single cell. For images of
    another size than 224 x 224 the classifier takes all cells that the last pool leaves; torchvision would average
    or repeat them to 7 x 7. Raises ParameterError for images of less than 32 x 32.
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
    """VGG19: sixteen convolutions and three Dense layers; 143,667,240 parameters at full size.

    Everything else is as in `vgg16`.
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
    if min(input_shape[1:]) < 32:
        raise ParameterError(f"VGG halves an image five times and needs 32 x 32 pixels, got {tuple(input_shape[1:])}")
    at = _features(plan, depths, batch_norm)
    at = plan.put("flatten", Flatten(), at)
    hidden = plan.widened(512 if plan.small else 4096)
    for i in (0, 3):
        at = plan.relu(f"classifier.{i + 1}", plan.dense(f"classifier.{i}", at, hidden))
        at = plan.put(f"classifier.{i + 2}", Dropout(), at)
    plan.dense("classifier.6", at, num_classes)
    return plan.network(seed, state)


def _features(plan: Blueprint, depths: Sequence[int], batch_norm: bool) -> str:
    """The convolutional part; returns the last pool's name. torchvision numbers its layers from "features.0" on."""

    def name() -> str:
        return f"features.{len(plan.nodes)}"

    at = INPUT
    for out, depth in zip(CHANNELS, depths, strict=True):
        for _ in range(depth):
            at = plan.conv(name(), at, plan.widened(out), 3, bias=True)
            at = plan.norm(name(), at) if batch_norm else at
            at = plan.relu(name(), at)
        at = plan.put(name(), MaxPool2D(2), at)
    return at
