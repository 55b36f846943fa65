"""The networks that are timed, with random or trained weights and folded BatchNorm layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import lrpref
from lrpref import Network, models


@dataclass(frozen=True)
class Subject:
    """A network and its input.

    Parameters
    ----------
    build : callable
        Makes the network in float32; random weights are normal with variance 2 / fan-in.
    shape : tuple of int
        (C, H, W) of an image.
    low, high : float
        The range of the input, for the z-box rule.
    batches : sequence of int
        The batch sizes that are timed.
    """

    build: Callable[[], Network]
    shape: tuple[int, int, int]
    low: float
    high: float
    batches: Sequence[int]

    def input(self, batch: int, seed: int = 0) -> np.ndarray:
        """Random images, (batch, C, H, W) in float32, normal and clipped to the range of the input."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        x = np.random.default_rng(seed).standard_normal((batch, *self.shape), dtype=np.float32)
        return np.asarray(np.clip(x * np.float32(half / 3) + np.float32(middle), self.low, self.high), np.float32)


def _random(builder: Callable[..., Network], shape: tuple[int, int, int], **arguments: Any) -> Callable[[], Network]:
    return lambda: lrpref.fuse(builder(input_shape=shape, seed=0, **arguments))


LARGE, MEDIUM, SMALL, DIGIT = (3, 224, 224), (3, 64, 64), (3, 32, 32), (1, 28, 28)

SUBJECTS = {
    "vgg16": Subject(_random(models.vgg16, LARGE), LARGE, -3.0, 3.0, (1, 8)),
    "resnet50": Subject(_random(models.resnet50, LARGE), LARGE, -3.0, 3.0, (1, 8)),
    "vgg16-64": Subject(_random(models.vgg16, MEDIUM), MEDIUM, -3.0, 3.0, (1,)),
    "resnet50-64": Subject(_random(models.resnet50, MEDIUM), MEDIUM, -3.0, 3.0, (1,)),
    "mnist-cnn": Subject(lambda: lrpref.load("mnist-cnn"), DIGIT, 0.0, 1.0, (1, 1000)),
    "resnet20": Subject(_random(models.resnet20, SMALL), SMALL, -3.0, 3.0, (1, 100)),
}

QUICK = {
    "vgg16": Subject(_random(models.vgg16, SMALL, width=1 / 16, num_classes=10), SMALL, -3.0, 3.0, (2,)),
    "resnet50": Subject(_random(models.resnet50, SMALL, width=1 / 16, num_classes=10), SMALL, -3.0, 3.0, (2,)),
    "vgg16-64": Subject(_random(models.vgg16, SMALL, width=1 / 16, num_classes=10), SMALL, -3.0, 3.0, (1,)),
    "resnet50-64": Subject(_random(models.resnet50, SMALL, width=1 / 16, num_classes=10), SMALL, -3.0, 3.0, (1,)),
    "mnist-cnn": Subject(lambda: lrpref.load("mnist-cnn"), DIGIT, 0.0, 1.0, (2,)),
    "resnet20": Subject(_random(models.resnet20, SMALL, width=1 / 4), SMALL, -3.0, 3.0, (2,)),
}
"""The same graphs with a fraction of their channels, to check that everything runs."""
