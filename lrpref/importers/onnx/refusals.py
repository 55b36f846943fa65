"""Why an operation of an ONNX file is refused, where it is in the file and in the user's code, and what to do instead.

Every operation that is not supported is refused by its name. `REASONS` says more for those that real networks have.
"""

from __future__ import annotations

import re
from typing import Any

from .file import DOMAINS
from .norm_patterns import NORM_PARTS
from .patterns import PARTS

_ROUNDS = (
    "it rounds numbers, as a quantised network does, for which there is no published rule; import the network before "
    "its quantisation (weights that are stored as integers with DequantizeLinear are read)"
)
_RECURRENT = (
    "recurrent layers are not imported; build an LSTM with lrpref.lstm, or explain the part of the network behind them"
)
_CHOOSES = "it returns positions or labels, which have no relevance; import the output that it reads"
_TREES = "decision trees, neighbours and kernels are not layers; import a linear model or a neural network"
_FLOW = "which operations run depends on values; export the network with a fixed example, or simplify it with onnxsim"
_INDEXED = "it moves values to places that are computed or looked up; import an output before it with output="
_FUNCTION = (
    "a mathematical function of activations that no layer of lrpref has; if the exporter made it out of a known layer, "
    "export with a newer opset, which may keep that layer whole, or use lrpref.from_torch on the module"
)

REASONS: dict[str, str] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    **dict.fromkeys(("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"), _ROUNDS),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), _ROUNDS),
    **dict.fromkeys(("ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "Hardmax"), _CHOOSES),
    **dict.fromkeys(("ai.onnx.ml.ArrayFeatureExtractor", "ai.onnx.ml.LabelEncoder"), _CHOOSES),
    **dict.fromkeys(("ai.onnx.ml.TreeEnsembleClassifier", "ai.onnx.ml.TreeEnsembleRegressor"), _TREES),
    **dict.fromkeys(("ai.onnx.ml.TreeEnsemble", "ai.onnx.ml.SVMClassifier", "ai.onnx.ml.SVMRegressor"), _TREES),
    **dict.fromkeys(("If", "Loop", "Scan"), _FLOW),
    **dict.fromkeys(("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Where"), _INDEXED),
    **dict.fromkeys(("Abs", "Erf", "Exp", "Pow", "Reciprocal", "Sqrt"), _FUNCTION),
    "ai.onnx.ml.ZipMap": "it turns probabilities into dictionaries; choose the output that it reads with output=",
    "Attention": (
        "attention multiplies activations by activations; see Achtibat et al. 2024 (arXiv 2402.05602) for its rules"
    ),
    "Einsum": "it multiplies activations by activations or reorders axes; write it with MatMul, or a convolution",
    "LpNormalization": "it divides each sample by its own norm; normalise the data before the network",
}
"""Operation -> why it is refused, and what to do; operations of other domains than ONNX's own have its name before."""

SHOWN = 200
"""The most characters of the user's code in a message."""


def kind(node: Any) -> str:
    """Return the name of an operation, after its domain unless that is ONNX's own."""
    return str(node.op_type if node.domain in DOMAINS else f"{node.domain}.{node.op_type}")


def unsupported(node: Any, supported: str, on_activations: bool = False) -> str:
    """Return why an operation is not supported, perhaps `on_activations` only, and the operations that are."""
    reason = f": {REASONS[kind(node)]}" if kind(node) in REASONS else ""
    where = " on activations" if on_activations else ""
    parts = ["GELU, Mish, Softplus, Softsign or Threshold"] if kind(node) in PARTS else []
    parts += ["LayerNorm or RMSNorm"] if kind(node) in NORM_PARTS else []
    only = f", except as a part of {' or of '.join(parts)}" if parts else ""
    return f"unsupported operation{where}{only}{reason}. Supported: {supported}"


def label(node: Any) -> str:
    """Return the name of an operation, or that of its output if it has none."""
    return str(node.name or next((name for name in node.output if name), node.op_type))


def place(node: Any) -> str:
    """Return the operation's outputs, if they are not its name, and the line of the user's code that it comes from."""
    outputs = [name for name in node.output if name and name != label(node)]
    told = [f"it computes {', '.join(map(repr, outputs))}"] if outputs else []
    trace = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.stack_trace"), "")
    lines = re.findall(r'File "([^"\n]{1,300})", line (\d{1,9}), in [^\n]{1,100}(?:\n([^\n]*))?', trace[-4096:])
    if lines:
        file, line, code = lines[-1]
        told.append(f"it comes from {file}, line {line}{': ' if code.strip() else ''}{code.strip()[:SHOWN]}")
    return f" ({'; '.join(told)})" if told else ""
