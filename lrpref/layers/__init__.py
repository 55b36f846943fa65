"""Explicit layers: each has `forward`, and `relevance` under a rule."""

from .activation import LeakyReLU, PReLU, ReLU, ReLU6, Threshold, ThreshReLU
from .adaptive import (
    AdaptiveAvgPool,
    AdaptiveAvgPool1D,
    AdaptiveAvgPool2D,
    AdaptiveAvgPool3D,
    AdaptiveMaxPool,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    AdaptivePool,
)
from .affine import Affine
from .avg_pool import AvgPool, AvgPool1D, AvgPool2D, AvgPool3D
from .base import Convolution, Elementwise, Layer, LinearLayer, Routing, WeightedLayer
from .conv import Conv, Conv1D, Conv2D, Conv3D
from .conv_transpose import ConvTranspose, ConvTranspose1D, ConvTranspose2D, ConvTranspose3D
from .dense import Dense, TokenDense
from .global_pool import (
    GlobalAvgPool,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GlobalPool,
)
from .hard import Clip, HardSigmoid, HardSwish, HardTanh, Softsign
from .head import Head, LogSoftmax, Softmax
from .join import Add, Concat, Extreme, Maximum, Minimum, Subtract
from .layer_norm import LastAxesNorm, LayerNorm, RMSNorm
from .local_norm import LocalResponseNorm
from .matmul import MatMul
from .norm import BatchNorm, DiagonalLayer, Scale
from .pad import Pad, Pad1D, Pad2D, Pad3D
from .pool import MaxPool, MaxPool1D, MaxPool2D, MaxPool3D, Pool
from .product import Multiply
from .reduce import Max, Mean, Sum
from .sample_norm import ChannelNorm, GroupNorm, InstanceNorm, SampleNorm
from .shape import Dropout, Flatten, Permute, Reshape, Slice
from .shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle
from .smooth import CELU, ELU, GELU, SELU, Mish, Sigmoid, SiLU, Smooth, Softplus, Tanh
from .tokens import Embedding, PrependTokens
from .upsample import Upsample, UpsampleLinear, UpsampleNearest

BASES = (
    AdaptiveAvgPool, AdaptiveMaxPool, AdaptivePool, AvgPool, ChannelNorm, Conv, ConvTranspose, Convolution,
    DiagonalLayer, Elementwise, Extreme, GlobalAvgPool, GlobalMaxPool, GlobalPool, Head, LastAxesNorm, Layer,
    LinearLayer, MaxPool, Pad, Pool, Routing, SampleNorm, Smooth, Upsample, WeightedLayer,
)  # fmt: skip
"""The base classes: kinds of layer, not layers by themselves."""

__all__ = [
    "AdaptiveAvgPool",
    "AdaptiveAvgPool1D",
    "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D",
    "AdaptiveMaxPool",
    "AdaptiveMaxPool1D",
    "AdaptiveMaxPool2D",
    "AdaptiveMaxPool3D",
    "AdaptivePool",
    "Add",
    "Affine",
    "AvgPool",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNorm",
    "CELU",
    "Clip",
    "ChannelShuffle",
    "ChannelNorm",
    "Concat",
    "Conv",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "ConvTranspose",
    "ConvTranspose1D",
    "ConvTranspose2D",
    "ConvTranspose3D",
    "Convolution",
    "Dense",
    "DiagonalLayer",
    "Dropout",
    "Embedding",
    "ELU",
    "Elementwise",
    "Extreme",
    "Flatten",
    "GlobalAvgPool",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalPool",
    "GELU",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "GroupNorm",
    "Head",
    "InstanceNorm",
    "LastAxesNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LinearLayer",
    "LocalResponseNorm",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "Pad",
    "Pad1D",
    "Mish",
    "PReLU",
    "Pad2D",
    "Pad3D",
    "Pool",
    "Max",
    "Maximum",
    "Mean",
    "Minimum",
    "Multiply",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "PrependTokens",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Routing",
    "SELU",
    "SampleNorm",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Smooth",
    "Softmax",
    "Softplus",
    "Softsign",
    "Slice",
    "Subtract",
    "Sum",
    "Tanh",
    "ThreshReLU",
    "TokenDense",
    "Upsample",
    "UpsampleLinear",
    "UpsampleNearest",
    "Threshold",
    "WeightedLayer",
]
