"""Explicit layers: each has `forward`, and `relevance` under a rule."""

from .activation import LeakyReLU, PReLU, ReLU, ReLU6, Threshold, ThreshReLU
from .base import Convolution, Elementwise, Layer, LinearLayer, Routing, WeightedLayer
from .conv import Conv2D
from .dense import Dense
from .hard import Clip, HardSigmoid, HardSwish, HardTanh, Softsign
from .head import Head, LogSoftmax, Softmax
from .join import Add, Concat
from .local_norm import LocalResponseNorm
from .norm import BatchNorm, DiagonalLayer, Scale
from .pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D, Pool2D
from .shape import Dropout, Flatten, Pad2D
from .smooth import CELU, ELU, GELU, SELU, Mish, Sigmoid, SiLU, Smooth, Softplus, Tanh

BASES = (Layer, LinearLayer, WeightedLayer, Convolution, DiagonalLayer, Elementwise, Head, Pool2D, Routing, Smooth)
"""The base classes: kinds of layer, not layers by themselves."""

__all__ = [
    "Add",
    "AvgPool2D",
    "BatchNorm",
    "CELU",
    "Clip",
    "Concat",
    "Conv2D",
    "Convolution",
    "Dense",
    "DiagonalLayer",
    "Dropout",
    "ELU",
    "Elementwise",
    "Flatten",
    "GELU",
    "GlobalAvgPool2D",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "Head",
    "Layer",
    "LeakyReLU",
    "LinearLayer",
    "LocalResponseNorm",
    "LogSoftmax",
    "MaxPool2D",
    "Mish",
    "PReLU",
    "Pad2D",
    "Pool2D",
    "ReLU",
    "ReLU6",
    "Routing",
    "SELU",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Smooth",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "ThreshReLU",
    "Threshold",
    "WeightedLayer",
]
