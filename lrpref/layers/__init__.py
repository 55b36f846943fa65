"""Explicit layers: each has `forward`, and `relevance` under a rule."""

from .activation import LeakyReLU, ReLU, ReLU6, Sigmoid, Tanh, ThreshReLU
from .base import Convolution, Elementwise, Layer, LinearLayer, Routing, WeightedLayer
from .conv import Conv2D
from .dense import Dense
from .head import Head, LogSoftmax, Softmax
from .join import Add, Concat
from .local_norm import LocalResponseNorm
from .norm import BatchNorm, DiagonalLayer, Scale
from .pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D, Pool2D
from .shape import Dropout, Flatten, Pad2D

BASES = (Layer, LinearLayer, WeightedLayer, Convolution, DiagonalLayer, Elementwise, Head, Pool2D, Routing)
"""The base classes: kinds of layer, not layers by themselves."""

__all__ = [
    "Add",
    "AvgPool2D",
    "BatchNorm",
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
    "LocalResponseNorm",
    "LogSoftmax",
    "MaxPool2D",
    "Pad2D",
    "Pool2D",
    "ReLU",
    "ReLU6",
    "Routing",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "ThreshReLU",
    "WeightedLayer",
]
