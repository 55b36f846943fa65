"""Explicit layers: each has `forward`, and `relevance` under a rule."""

from .activation import LeakyReLU, ReLU, ReLU6, Sigmoid, Tanh, ThreshReLU
from .base import Convolution, Elementwise, Layer, LinearLayer, Routing, WeightedLayer
from .conv import Conv2D
from .dense import Dense
from .head import Head, LogSoftmax, Softmax
from .join import Add, Concat
from .layer_norm import LastAxesNorm, LayerNorm, RMSNorm
from .norm import BatchNorm, DiagonalLayer, Scale
from .pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D, Pool2D
from .sample_norm import ChannelNorm, GroupNorm, InstanceNorm, SampleNorm
from .shape import Dropout, Flatten, Pad2D

BASES = (
    *(Layer, LinearLayer, WeightedLayer, Convolution, DiagonalLayer, Elementwise, Head, Pool2D, Routing),
    *(ChannelNorm, LastAxesNorm, SampleNorm),
)
"""The base classes: kinds of layer, not layers by themselves."""

__all__ = [
    "Add",
    "AvgPool2D",
    "BatchNorm",
    "ChannelNorm",
    "Concat",
    "Conv2D",
    "Convolution",
    "Dense",
    "DiagonalLayer",
    "Dropout",
    "Elementwise",
    "Flatten",
    "GlobalAvgPool2D",
    "GroupNorm",
    "Head",
    "InstanceNorm",
    "LastAxesNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LinearLayer",
    "LogSoftmax",
    "MaxPool2D",
    "Pad2D",
    "Pool2D",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Routing",
    "SampleNorm",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "ThreshReLU",
    "WeightedLayer",
]
