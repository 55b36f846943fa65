"""Small random networks in float64 that together use every layer whose relevance both libraries define.

make_fixtures.py builds and stores them. The tests read the stored networks, so changes to the random number generator
cannot affect them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lrpref import (
    Add,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    BatchNorm,
    Concat,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose3D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Network,
    Pad1D,
    Pad2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Tanh,
    ThreshReLU,
)

Built = tuple[Network, np.ndarray]


class Random:
    """Layers with random parameters."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def dense(self, features: int, out: int, bias: bool = True) -> Dense:
        weight = self.rng.normal(size=(out, features)) / features**0.5
        return Dense(weight, self.rng.normal(size=out) / 4 if bias else None)

    def conv(self, channels: int, out: int, kernel: int = 3, bias: bool = True, groups: int = 1, **geometry) -> Conv2D:
        fan_in = channels // groups * kernel**2
        weight = self.rng.normal(size=(out, channels // groups, kernel, kernel)) / fan_in**0.5
        return Conv2D(weight, self.rng.normal(size=out) / 4 if bias else None, groups=groups, **geometry)

    def conv1d(
        self, channels: int, out: int, kernel: int = 3, bias: bool = True, groups: int = 1, **geometry
    ) -> Conv1D:
        shape = out, channels // groups, kernel
        return Conv1D(*self.kernels(shape, out, bias), groups=groups, **geometry)

    def conv3d(
        self, channels: int, out: int, kernel: int = 2, bias: bool = True, groups: int = 1, **geometry
    ) -> Conv3D:
        shape = out, channels // groups, kernel, kernel, kernel
        return Conv3D(*self.kernels(shape, out, bias), groups=groups, **geometry)

    def kernels(self, shape: tuple[int, ...], out: int, bias: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """Kernels and biases."""
        weight = self.rng.normal(size=shape) / np.prod(shape[1:]) ** 0.5
        return weight, self.rng.normal(size=out) / 4 if bias else None

    def norm(self, channels: int, affine: bool = True) -> BatchNorm:
        mean, var = self.rng.normal(size=channels) / 4, self.rng.uniform(0.5, 2, channels)
        if not affine:
            return BatchNorm(None, None, mean, var)
        return BatchNorm(self.rng.normal(size=channels), self.rng.normal(size=channels) / 4, mean, var)

    def scale(self, channels: int) -> Scale:
        return Scale(self.rng.normal(size=channels), self.rng.normal(size=channels) / 4)

    def input(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape)

    def pixels(self, *shape: int) -> np.ndarray:
        """Quarters from 0 to 1, so that maxima tie."""
        return self.rng.integers(0, 5, size=shape) / 4


def mlp() -> Built:
    """Fully connected, with biases."""
    r = Random(1)
    net = Network.sequential(r.dense(6, 8), ReLU(), r.dense(8, 5), ReLU(), r.dense(5, 3))
    return net, r.input(3, 6)


def mlp_signed() -> Built:
    """Inputs of both signs at every layer, and every activation except ReLU."""
    r = Random(2)
    activations = LeakyReLU(0.1), Tanh(), Sigmoid(), ReLU6(), ThreshReLU(-0.25)
    layers = [part for activation in activations for part in (r.dense(6, 6), activation)]
    return Network.sequential(*layers, r.dense(6, 3)), 4 * r.input(3, 6)


def cnn() -> Built:
    """Stride, symmetric and asymmetric padding, dilation, groups; max-pool and average pool, padded and unpadded."""
    r = Random(3)
    net = Network.sequential(
        r.conv(2, 4, padding=1),
        ReLU(),
        r.conv(4, 6, stride=(2, 1), padding=(0, 1, 2, 1), groups=2),
        ReLU(),
        MaxPool2D(3, stride=1, padding=1),
        r.conv(6, 4, dilation=2, padding=2),
        ReLU(),
        AvgPool2D(2, stride=1),
        AvgPool2D(2, stride=1, padding=1, count_include_pad=False),
        AvgPool2D(2, padding=1),
        Flatten(),
        r.dense(4 * 2 * 4, 3),
    )
    return net, r.input(2, 2, 6, 6)


def cnn_signed() -> Built:
    """Convolutions whose inputs have both signs."""
    r = Random(4)
    net = Network.sequential(
        r.conv(1, 4), LeakyReLU(0.2), r.conv(4, 4, padding=1), Tanh(), MaxPool2D(2), Flatten(), r.dense(16, 3)
    )
    return net, r.input(2, 1, 6, 6)


def bias_free() -> Built:
    """No biases, for the w-square rule; global average pooling at the end."""
    r = Random(5)
    net = Network.sequential(
        r.conv(1, 4, bias=False, padding=1),
        ReLU(),
        r.conv(4, 5, bias=False),
        ReLU(),
        GlobalAvgPool2D(),
        Flatten(),
        r.dense(5, 3, bias=False),
    )
    return net, r.input(2, 1, 6, 6)


def pooled() -> Built:
    """Max-pooling before the first layer, on pixels with tied maxima; global average pooling at the end."""
    r = Random(6)
    net = Network.sequential(
        MaxPool2D(3, stride=1, padding=1),
        r.conv(1, 4, padding=1),
        ReLU(),
        MaxPool2D(2),
        r.conv(4, 5),
        ReLU(),
        GlobalAvgPool2D(),
        Flatten(),
        r.dense(5, 3),
    )
    return net, r.pixels(2, 1, 7, 7)


def residual() -> Built:
    """A ResNet: BatchNorm after every convolution, an identity skip and a projection skip."""
    r = Random(7)
    nodes = [
        ("conv1", r.conv(2, 3, bias=False, padding=1), ["input"]),
        ("bn1", r.norm(3), ["conv1"]),
        ("relu1", ReLU(), ["bn1"]),
        ("block1.conv1", r.conv(3, 3, padding=1), ["relu1"]),
        ("block1.bn1", r.norm(3), ["block1.conv1"]),
        ("block1.relu1", ReLU(), ["block1.bn1"]),
        ("block1.conv2", r.conv(3, 3, padding=1), ["block1.relu1"]),
        ("block1.bn2", r.norm(3), ["block1.conv2"]),
        ("block1.add", Add(), ["block1.bn2", "relu1"]),
        ("block1.relu2", ReLU(), ["block1.add"]),
        ("block2.conv", r.conv(3, 4, stride=2, padding=1), ["block1.relu2"]),
        ("block2.bn", r.norm(4), ["block2.conv"]),
        ("block2.down", r.conv(3, 4, kernel=1, stride=2), ["block1.relu2"]),
        ("block2.down_bn", r.norm(4), ["block2.down"]),
        ("block2.add", Add(), ["block2.bn", "block2.down_bn"]),
        ("block2.relu", ReLU(), ["block2.add"]),
        ("pool", GlobalAvgPool2D(), ["block2.relu"]),
        ("flatten", Flatten(), ["pool"]),
        ("fc", r.dense(4, 3), ["flatten"]),
    ]
    return Network(nodes), r.input(2, 2, 5, 5)


def branches() -> Built:
    """The remaining layers: explicit padding, Concat, Add with three inputs, BatchNorm without affine part, Scale."""
    r = Random(8)
    nodes = [
        ("pad", Pad2D((1, 0, 0, 1), value=0.5), ["input"]),
        ("stem", r.conv(1, 4), ["pad"]),
        ("stem_relu", ReLU(), ["stem"]),
        ("a", r.conv(4, 2, kernel=1), ["stem_relu"]),
        ("b", MaxPool2D(3, stride=1, padding=1), ["stem_relu"]),
        ("concat", Concat(), ["a", "b"]),
        ("bn", r.norm(6, affine=False), ["concat"]),
        ("relu", ReLU(), ["bn"]),
        ("left", r.conv(6, 3, padding=1), ["relu"]),
        ("right", r.conv(6, 3, kernel=1), ["relu"]),
        ("third", r.conv(6, 3, padding=(0, 1, 1, 0), kernel=2), ["relu"]),
        ("add", Add(), ["left", "right", "third"]),
        ("scale", r.scale(3), ["add"]),
        ("relu6", ReLU6(), ["scale"]),
        ("flatten", Flatten(), ["relu6"]),
        ("fc1", r.dense(48, 4), ["flatten"]),
        ("bn_fc", r.norm(4), ["fc1"]),
        ("tanh", Tanh(), ["bn_fc"]),
        ("fc2", r.dense(4, 3), ["tanh"]),
    ]
    return Network(nodes), r.input(2, 1, 5, 5)


def vgg() -> Built:
    """A small VGG on one image of three channels."""
    r = Random(9)
    net = Network.sequential(
        r.conv(3, 6, padding=1),
        ReLU(),
        r.conv(6, 6, padding=1),
        ReLU(),
        MaxPool2D(2),
        r.conv(6, 8, padding=1),
        ReLU(),
        r.conv(8, 8, padding=1),
        ReLU(),
        MaxPool2D(2),
        Flatten(),
        r.dense(32, 12),
        ReLU(),
        Dropout(),
        r.dense(12, 10),
    )
    return net, r.input(1, 3, 8, 8)


def signals() -> Built:
    """Signals: convolutions with stride, dilation, groups and two paddings; pools; BatchNorm; a transposed one."""
    r = Random(10)
    net = Network.sequential(
        Pad1D((1, 2), mode="reflect"),
        r.conv1d(2, 4, padding=(0, 1)),
        r.norm(4),
        ReLU(),
        MaxPool1D(3, stride=2, padding=1, ceil_mode=True),
        r.conv1d(4, 6, dilation=2, padding=2, groups=2),
        LeakyReLU(0.1),
        ConvTranspose1D(*r.kernels((6, 4, 3), 4), stride=2, padding=1, output_padding=1),
        r.norm(4),
        ReLU(),
        AvgPool1D(3, stride=2, padding=1, count_include_pad=False, ceil_mode=True),
        r.conv1d(4, 5, stride=2),
        ReLU(),
        GlobalAvgPool1D(),
        Flatten(),
        r.dense(5, 3),
    )
    return net, r.input(2, 2, 13)


def volumes() -> Built:
    """Volumes: convolutions, pools, BatchNorm and a transposed convolution, with another geometry along each axis."""
    r = Random(11)
    net = Network.sequential(
        r.conv3d(1, 3, padding=(0, 1, 1, 0, 1, 1)),
        r.norm(3),
        ReLU(),
        MaxPool3D((1, 2, 2), stride=(1, 2, 1), dilation=(1, 1, 2), padding=(0, 1, 1)),
        r.conv3d(3, 4, stride=(1, 1, 2), padding=(0, 0, 1)),
        ReLU(),
        ConvTranspose3D(*r.kernels((4, 2, 2, 2, 1), 4), stride=(1, 2, 1), padding=(0, 1, 0), groups=2),
        LeakyReLU(0.1),
        AvgPool3D((2, 1, 2), stride=1, divisor=3),
        Flatten(),
        r.dense(48, 3),
    )
    return net, r.input(2, 1, 3, 4, 5)


NETWORKS: dict[str, Callable[[], Built]] = {
    "mlp": mlp,
    "mlp-signed": mlp_signed,
    "cnn": cnn,
    "cnn-signed": cnn_signed,
    "bias-free": bias_free,
    "pooled": pooled,
    "residual": residual,
    "branches": branches,
    "vgg": vgg,
    "signals": signals,
    "volumes": volumes,
}
"""Name -> a function that returns the network and a batch for it."""
