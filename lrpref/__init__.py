"""lrpref: Layer-wise Relevance Propagation to read, to check claims with, and to hold other libraries against.

    net = lrpref.load("mnist-cnn")
    x = lrpref.samples.load("digit-4")
    R = lrpref.explain(net, x, rule="epsilon-plus-flat")

NumPy is all it needs; arrays of other backends stay on theirs.
"""

from . import composites, errors, evaluation, importers, oracle, rules, weights
from ._support.version import __version__ as __version__
from .backend import asarray, to_numpy
from .differences import compare, crosscheck, explain_difference
from .fast import prepare
from .freezing import frozen
from .fusion import fuse, fusion_plan
from .importers import from_onnx, from_torch
from .layers import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LinearLayer,
    LogSoftmax,
    MaxPool2D,
    Pad2D,
    ReLU,
    ReLU6,
    RMSNorm,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
    ThreshReLU,
)
from .ledger import Ledger
from .network import Network
from .oracle import messages
from .rational import digits, exact
from .scale import distributed, explain
from .walk import Trace, trace
from .weights import load, save
from .zoo import datasets, inputs, models, samples

__all__ = [
    "Add",
    "AvgPool2D",
    "BatchNorm",
    "Concat",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "GroupNorm",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "Ledger",
    "LinearLayer",
    "MaxPool2D",
    "Network",
    "Pad2D",
    "ReLU",
    "ReLU6",
    "RMSNorm",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "ThreshReLU",
    "Trace",
    "asarray",
    "compare",
    "composites",
    "crosscheck",
    "datasets",
    "digits",
    "distributed",
    "errors",
    "evaluation",
    "exact",
    "explain",
    "explain_difference",
    "from_onnx",
    "from_torch",
    "frozen",
    "fuse",
    "fusion_plan",
    "importers",
    "inputs",
    "load",
    "messages",
    "models",
    "oracle",
    "prepare",
    "rules",
    "samples",
    "save",
    "to_numpy",
    "trace",
    "weights",
]
