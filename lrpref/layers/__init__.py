"""Explicit layers: each has `forward`, and `relevance` under a rule."""

from .activation import LeakyReLU, ReLU, ReLU6, Sigmoid, Tanh, ThreshReLU
from .base import Convolution, Elementwise, Layer, LinearLayer, Routing, WeightedLayer
from .conv import Conv2D
from .dense import Dense
from .head import Head, LogSoftmax, Softmax
from .join import Add, Concat, Subtract
from .norm import BatchNorm, DiagonalLayer, Scale
from .pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D, Pool2D
from .product import Multiply
from .reduce import Max, Mean, Sum
from .shape import Dropout, Flatten, Pad2D, Permute, Reshape, Slice
from .shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle

BASES = (Layer, LinearLayer, WeightedLayer, Convolution, DiagonalLayer, Elementwise, Head, Pool2D, Routing)
"""The base classes: kinds of layer, not layers by themselves."""

__all__ = [
    "Add",
    "AvgPool2D",
    "BatchNorm",
    "ChannelShuffle",
    "Concat",
    "Conv2D",
    "Convolution",
    "Dense",
    "DiagonalLayer",
    "Dropout",
    "Elementwise",
    "Flatten",
    "GlobalAvgPool2D",
    "Head",
    "Layer",
    "LeakyReLU",
    "LinearLayer",
    "LogSoftmax",
    "Max",
    "MaxPool2D",
    "Mean",
    "Multiply",
    "Pad2D",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "Pool2D",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Routing",
    "Scale",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Subtract",
    "Sum",
    "Tanh",
    "ThreshReLU",
    "WeightedLayer",
]
