"""ResNets (He et al. 2016, CVPR, arXiv 1512.03385): ResNet-20 for CIFAR-10 and ResNet-50."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ...arithmetic import check_choice, check_flag
from ...layers import Add, Concat, Flatten, GlobalAvgPool2D, MaxPool2D, Scale
from ...network import INPUT, Network
from .blueprint import Blueprint, zeros

EXPANSION = 4
"""The ratio of a bottleneck's output channels to those of its 3 x 3 convolution."""


def resnet20(
    shortcut: Literal["A", "B"] = "B",
    *,
    width: float = 1.0,
    num_classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    seed: int | np.random.Generator | None = 0,
    state: Mapping[str, Any] | None = None,
) -> Network:
    """Build ResNet-20 for CIFAR-10: three stages of three blocks with 16, 32 and 64 channels.

    It has 269,722 parameters with shortcut "A" and 272,474 with "B".

    Parameters
    ----------
    shortcut : {"A", "B"}, default "B"
        The shortcut where the number of channels doubles and the image is halved. "A" has no parameters: it takes
        every second cell and appends channels of zeros. "B" is a 1 x 1 convolution with stride 2 and a BatchNorm.
    width : float
        A factor for all numbers of channels.
    num_classes : int
        The number of outputs, which are logits.
    input_shape : sequence of int
        (C, H, W) of one image.
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
        If an argument is out of its range.
    WeightsError
        If `state` does not fit the network.

    References
    ----------
    He et al. 2016 (arXiv 1512.03385), sec. 4.2.
    """
    check_choice(shortcut, "shortcut", ("A", "B"))
    plan = Blueprint(input_shape, width)
    at = _stem(plan, 16, kernel=3)
    for stage in (1, 2, 3):
        out = plan.channels("conv1") * 2 ** (stage - 1)
        for i in range(3):
            at = _basic_block(plan, f"layer{stage}.{i}", at, out, shortcut)
    _classifier(plan, at, num_classes)
    return plan.network(seed, state)


def resnet50(
    *,
    width: float = 1.0,
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    stem_pool: bool | None = None,
    seed: int | np.random.Generator | None = 0,
    state: Mapping[str, Any] | None = None,
) -> Network:
    """Build ResNet-50: four stages of 3, 4, 6 and 3 bottlenecks; 25,557,032 parameters at full size.

    A stage halves the image in the 3 x 3 convolution of its first block, as in torchvision, not in the 1 x 1
    convolution before it, as in the paper.

    Parameters
    ----------
    width : float
        A factor for all numbers of channels.
    num_classes : int
        The number of outputs, which are logits.
    input_shape : sequence of int
        (C, H, W) of one image. Below 64 x 64 the stem is the usual one for CIFAR-10: a 3 x 3 convolution with
        stride 1 in place of 7 x 7 with stride 2, and no max-pool.
    stem_pool : bool or None
        Whether the stem ends in a max-pool; None leaves it out for small images only. With it, a small image costs
        a quarter of the time; the trained "resnet50" has it.
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
        If an argument is out of its range.
    WeightsError
        If `state` does not fit the network.

    References
    ----------
    He et al. 2016 (arXiv 1512.03385), table 1.
    """
    if stem_pool is not None:
        check_flag(stem_pool, "stem_pool")
    plan = Blueprint(input_shape, width)
    at = _stem(plan, 64, kernel=3 if plan.small else 7)
    if stem_pool or (stem_pool is None and not plan.small):
        at = plan.put("maxpool", MaxPool2D(3, stride=2, padding=1), at)
    for stage, depth in enumerate((3, 4, 6, 3), start=1):
        inner = plan.channels("conv1") * 2 ** (stage - 1)
        for i in range(depth):
            at = _bottleneck(plan, f"layer{stage}.{i}", at, inner, stride=2 if stage > 1 and i == 0 else 1)
    _classifier(plan, at, num_classes)
    return plan.network(seed, state)


def _stem(plan: Blueprint, out: int, kernel: int) -> str:
    """The convolution before the first stage."""
    at = plan.conv("conv1", INPUT, plan.widened(out), kernel, stride=2 if kernel == 7 else 1)
    return plan.relu("relu", plan.norm("bn1", at))


def _classifier(plan: Blueprint, at: str, num_classes: int) -> None:
    """The mean over the image and one Dense layer."""
    at = plan.put("flatten", Flatten(), plan.put("avgpool", GlobalAvgPool2D(), at))
    plan.dense("fc", at, num_classes)


# ---- blocks (figure 5) -----------------------------------------------------------------------------------------


def _basic_block(plan: Blueprint, name: str, at: str, out: int, shortcut: str) -> str:
    """Two 3 x 3 convolutions beside a shortcut; the first halves the image where the channels double."""
    stride = out // plan.channels(at)
    inner = plan.norm(f"{name}.bn1", plan.conv(f"{name}.conv1", at, out, 3, stride))
    inner = plan.relu(f"{name}.relu1", inner)
    inner = plan.norm(f"{name}.bn2", plan.conv(f"{name}.conv2", inner, out, 3))
    if stride > 1:
        at = _subsampled(plan, name, at, out) if shortcut == "A" else _projected(plan, name, at, out, stride)
    return plan.relu(f"{name}.relu2", plan.put(f"{name}.add", Add(), inner, at))


def _bottleneck(plan: Blueprint, name: str, at: str, inner: int, stride: int) -> str:
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut."""
    out = EXPANSION * inner
    path = plan.relu(f"{name}.relu1", plan.norm(f"{name}.bn1", plan.conv(f"{name}.conv1", at, inner, 1)))
    path = plan.relu(f"{name}.relu2", plan.norm(f"{name}.bn2", plan.conv(f"{name}.conv2", path, inner, 3, stride)))
    path = plan.norm(f"{name}.bn3", plan.conv(f"{name}.conv3", path, out, 1))
    if plan.shapes[at] != plan.shapes[path]:
        at = _projected(plan, name, at, out, stride)
    return plan.relu(f"{name}.relu3", plan.put(f"{name}.add", Add(), path, at))


def _projected(plan: Blueprint, name: str, at: str, out: int, stride: int) -> str:
    """Shortcut B: a 1 x 1 convolution and a BatchNorm."""
    return plan.norm(f"{name}.downsample.1", plan.conv(f"{name}.downsample.0", at, out, 1, stride))


def _subsampled(plan: Blueprint, name: str, at: str, out: int) -> str:
    """Shortcut A: every second cell, and as many channels of zeros again.

    A max-pool of one cell selects cells, so that relevance is routed back to them under every rule; an identity
    convolution would be a weighted layer, over which flat, for example, would spread it. The zeros are a Scale by 0,
    which passes no relevance.
    """
    cells = plan.put(f"{name}.shortcut.cells", MaxPool2D(1, stride=2), at)
    none = plan.put(f"{name}.shortcut.zeros", Scale(zeros(out - plan.channels(cells))), cells)
    return plan.put(f"{name}.shortcut", Concat(), cells, none)
