"""lrpref: a reference implementation of Layer-wise Relevance Propagation (LRP).

    net = lrpref.load("mnist-cnn")
    x = lrpref.samples.load("digit-4")
    R = lrpref.explain(net, x, rule="epsilon-plus-flat")

NumPy is the only requirement. Arrays of other backends stay on their backend.

`import lrpref` loads the method only. The other packages are imported when one of their names is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import composites, errors, oracle, rules
from ._support.version import __version__ as __version__
from .backend import asarray, to_numpy
from .conditional import condition
from .contrastive import contrast
from .freezing import frozen
from .fusion import fuse, fusion_plan
from .graphs import attention, lstm
from .layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    AdaptiveAvgPool1D,
    AdaptiveAvgPool2D,
    AdaptiveAvgPool3D,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    Add,
    Affine,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    BatchNorm,
    ChannelShuffle,
    Clip,
    Concat,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GroupNorm,
    HardSigmoid,
    HardSwish,
    HardTanh,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LinearLayer,
    LocalResponseNorm,
    LogSoftmax,
    MatMul,
    Max,
    Maximum,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Mean,
    Minimum,
    Mish,
    Multiply,
    Pad1D,
    Pad2D,
    Pad3D,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PReLU,
    PrependTokens,
    ReLU,
    ReLU6,
    Reshape,
    RMSNorm,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Softmax,
    Softplus,
    Softsign,
    Subtract,
    Sum,
    Tanh,
    Threshold,
    ThreshReLU,
    TokenDense,
    UpsampleLinear,
    UpsampleNearest,
)
from .ledger import Ledger
from .network import Network
from .oracle import messages
from .signatures import Signature
from .walk import Trace, trace

if TYPE_CHECKING:  # what type checkers and editors read instead of `__getattr__`
    from . import evaluation, importers, weights
    from .differences import compare, crosscheck, explain_difference
    from .fast import prepare
    from .importers import from_keras, from_onnx, from_sklearn, from_torch
    from .rational import digits, exact
    from .scale import distributed, explain, signature
    from .weights import load, save
    from .zoo import datasets, inputs, models, samples

__all__ = [
    "AdaptiveAvgPool1D",
    "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D",
    "AdaptiveMaxPool1D",
    "AdaptiveMaxPool2D",
    "AdaptiveMaxPool3D",
    "Clip",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "PReLU",
    "Softsign",
    "Threshold",
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Mish",
    "SiLU",
    "Softplus",
    "Add",
    "Affine",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNorm",
    "ChannelShuffle",
    "Concat",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "ConvTranspose1D",
    "ConvTranspose2D",
    "ConvTranspose3D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GroupNorm",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Ledger",
    "LinearLayer",
    "LogSoftmax",
    "MatMul",
    "MaxPool1D",
    "LocalResponseNorm",
    "MaxPool2D",
    "MaxPool3D",
    "Max",
    "Maximum",
    "Mean",
    "Minimum",
    "Multiply",
    "Network",
    "Pad1D",
    "Pad2D",
    "Pad3D",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "PrependTokens",
    "ReLU",
    "ReLU6",
    "Reshape",
    "RMSNorm",
    "Scale",
    "Sigmoid",
    "Signature",
    "Slice",
    "Softmax",
    "Subtract",
    "Sum",
    "Tanh",
    "ThreshReLU",
    "TokenDense",
    "Trace",
    "UpsampleLinear",
    "UpsampleNearest",
    "asarray",
    "attention",
    "compare",
    "composites",
    "condition",
    "contrast",
    "crosscheck",
    "datasets",
    "digits",
    "distributed",
    "errors",
    "evaluation",
    "exact",
    "explain",
    "explain_difference",
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "frozen",
    "fuse",
    "fusion_plan",
    "importers",
    "inputs",
    "load",
    "lstm",
    "messages",
    "models",
    "oracle",
    "prepare",
    "rules",
    "samples",
    "save",
    "signature",
    "to_numpy",
    "trace",
    "weights",
]

_WORKSHOP = {
    "differences": ("compare", "crosscheck", "explain_difference"),
    "evaluation": (),
    "fast": ("prepare",),
    "importers": ("from_keras", "from_onnx", "from_sklearn", "from_torch"),
    "rational": ("digits", "exact"),
    "scale": ("distributed", "explain", "signature"),
    "weights": ("load", "save"),
    "zoo": ("datasets", "inputs", "models", "samples"),
}
"""Package outside the method -> the public names that it defines."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a package outside the method, or one of its names, when it is first used (PEP 562)."""
        for package, names in _WORKSHOP.items():
            if name == package:
                return import_module(f".{package}", __name__)
            if name in names:
                value = globals()[name] = getattr(import_module(f".{package}", __name__), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all names, those that have not been imported yet included."""
    return sorted({*globals(), *_WORKSHOP, *__all__})
