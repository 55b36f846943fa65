"""Importing ONNX files: exports of other libraries, single operations, layouts, refusals and malformed files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import from_onnx
from lrpref.errors import ConversionError, LrprefError, ShapeError, WeightsError
from lrpref.importers.layout import CHANNELS_LAST, Layout, plain
from lrpref.importers.onnx import moves as onnx_moves
from lrpref.importers.onnx import norms as onnx_norms
from lrpref.importers.onnx.evaluator import evaluated
from lrpref.importers.onnx.file import read_model
from lrpref.importers.onnx.folding import FOLDED, folded_size
from lrpref.importers.onnx.importer import _examples, imported
from lrpref.importers.onnx.operations import OPERATIONS, SUPPORTED

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")
helper, DOUBLE, INT64 = onnx.helper, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64

EXPORTED = Path(__file__).parent / "exported"
RNG = np.random.default_rng(5)

Node = tuple[Any, ...]  # (op, attributes, *constants); each node reads the previous one


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def proto(nodes: Sequence[Any], constants: dict[str, np.ndarray], shape: Sequence[Any], output: str, opset: int) -> Any:
    """A float64 model with input "x"."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", DOUBLE, shape)],
        [helper.make_tensor_value_info(output, DOUBLE, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def chain(*nodes: Node, shape: Sequence[Any] = ("N", 3, 6, 6), opset: int = 20) -> Any:
    """A model of operations in sequence."""
    made, constants, at = [], {}, "x"
    for i, (op, attributes, *arrays) in enumerate(nodes):
        names = [f"c{i}_{k}" for k in range(len(arrays))]
        constants |= {name: np.asarray(a) for name, a in zip(names, arrays, strict=True) if a is not None}
        read = [at, *(name if a is not None else "" for name, a in zip(names, arrays, strict=True))]
        made.append(helper.make_node(op, read, [f"y{i}"], name=f"{op.lower()}{i}", **attributes))
        at = f"y{i}"
    return proto(made, constants, shape, at, opset)


def saved(model: Any, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def reference(model: Any, x: np.ndarray) -> np.ndarray:
    """The output of onnx's own evaluator on x."""
    from onnx.reference import ReferenceEvaluator

    kinds = {node.op_type for node in model.graph.node}
    if any(kind.endswith(("Pool", "Gelu", "HardSwish", "LRN")) for kind in kinds):  # onnx's own are wrong, or rounded
        return evaluated(model, {"x": x}, model.graph.output[0].name)
    found: np.ndarray = ReferenceEvaluator(model).run(None, {"x": x})[0]
    return found


def agrees(model: Any, folder: Path, x: np.ndarray, channels_last: bool = False) -> lrpref.Network:
    """Import with a random example, then compare on `x`."""
    net = from_onnx(saved(model, folder), np.random.default_rng(1).normal(size=(2, *x.shape[1:])))
    own = np.moveaxis(x, 3, 1) if channels_last else x
    assert net.dtype in (np.float64, None)
    assert_allclose(net.forward(own), reference(model, x), rtol=1e-11, atol=1e-12)
    return net


# ---- files exported by other libraries ---------------------------------------------------------------------------

FILES = sorted(path.stem for path in EXPORTED.glob("*.onnx"))


def output(name: str) -> str | None:
    return "probabilities" if name.startswith("sklearn") else None


def test_there_are_files_of_at_least_two_exporters() -> None:
    makers = {onnx.load_model(EXPORTED / f"{name}.onnx", load_external_data=False).producer_name for name in FILES}
    assert {"pytorch", "tf2onnx", "skl2onnx"} <= makers


@pytest.mark.parametrize("name", FILES)
def test_a_file_computes_what_the_library_did_that_wrote_it(name: str) -> None:
    with np.load(EXPORTED / f"{name}.npz") as told:
        x, y = told["x"], told["y"]
    net = from_onnx(EXPORTED / f"{name}.onnx", output=output(name))
    assert net.dtype == np.float32
    if x.ndim == 4 and name in ("keras-functional", "keras-sequential"):
        x = np.moveaxis(x, 3, 1)
    assert_allclose(net.forward(x), y, rtol=1e-4, atol=1e-5)


def test_the_map_of_a_network_of_channels_last_lies_on_its_pixels() -> None:
    """LRP-0 is gradient times input, with the gradient from Keras: this checks weights, feature order and BatchNorm."""
    with np.load(EXPORTED / "keras-sequential.npz") as told:
        x, gradient = (np.moveaxis(told[key].astype(np.float64), 3, 1) for key in ("x", "gradient"))
    net = from_onnx(EXPORTED / "keras-sequential.onnx").astype(np.float64)
    rule = lrpref.composites.Composite([(lrpref.LinearLayer, lrpref.rules.Zero())])
    R = lrpref.explain(net, x, rule=rule, seed=net.forward(x))
    assert_allclose(R, x * gradient, rtol=1e-3, atol=1e-4 * abs(x * gradient).max())


def test_the_evidence_for_both_classes_of_a_binary_classifier_is_opposite() -> None:
    """The output is [1 - p, p], so the logits are [-z, z] with z = log(p / (1 - p))."""
    net = from_onnx(EXPORTED / "sklearn-binary.onnx", output="probabilities").astype(np.float64)
    with np.load(EXPORTED / "sklearn-binary.npz") as told:
        x, y = told["x"].astype(np.float64), told["y"]
    trace = lrpref.trace(net, x, rule="zero")
    assert_array_equal(trace.target, y.argmax(axis=1))
    assert_allclose(trace.logits[:, 1], np.log(y[:, 1] / y[:, 0]), rtol=1e-4, atol=1e-5)
    assert (trace.logits[np.arange(len(x)), trace.target] > 0).all()  # relevance starts as evidence for the answer
    against, for_it = (lrpref.explain(net, x, k, "zero") for k in (0, 1))
    assert_allclose(against, -for_it, rtol=1e-12)


def test_a_constant_minus_an_activation(tmp_path: Path) -> None:
    """Sub is not symmetric: -1 scales the activation."""
    constant = numbers(3, 1, 1)
    model = proto([helper.make_node("Sub", ["c", "x"], ["y"], name="sub")], {"c": constant}, ("N", 3, 6, 6), "y", 20)
    x = numbers(3, 3, 6, 6)
    net = agrees(model, tmp_path, x)
    assert_allclose(net.forward(x), constant - x, rtol=1e-12)


def test_both_of_torchs_exporters_say_the_same() -> None:
    nets = [from_onnx(EXPORTED / f"torch-{name}.onnx") for name in ("dynamo", "script")]
    x = numbers(3, 3, 10, 10)
    assert_allclose(nets[0](x), nets[1](x), rtol=1e-4, atol=1e-5)
    assert {"conv1", "conv2", "fc"} <= set(nets[0].names)  # named after their weights, to fit a state dict


def test_one_of_several_outputs_is_asked_for_by_name() -> None:
    """Of an output of labels and one of numbers, the latter is imported if none is named."""
    p = "probabilities"
    assert from_onnx(EXPORTED / "sklearn-mlp.onnx").names == from_onnx(EXPORTED / "sklearn-mlp.onnx", output=p).names
    with pytest.raises(ConversionError, match=r"no output 'scores'; its outputs are: label, probabilities"):
        from_onnx(EXPORTED / "sklearn-mlp.onnx", output="scores")
    with pytest.raises(ConversionError, match=r"node 'ArgMax' \(ArgMax\): unsupported operation: it returns pos"):
        from_onnx(EXPORTED / "sklearn-mlp.onnx", output="label")


# ---- operations --------------------------------------------------------------------------------------------------

W, B = numbers(4, 3, 3, 2), numbers(4)
CONV: Node = ("Conv", {}, numbers(4, 3, 3, 3))
TWICE = np.array([1.0, 1.0, 2.0, 2.0], dtype=np.float32)
NORM = (numbers(3), numbers(3), numbers(3), numbers(3) ** 2)
FLAT: Node = ("Flatten", {})
SWAP: Node = ("Transpose", {"perm": [0, 2, 1]})
CONV_1D: Node = ("Conv", {}, numbers(3, 4, 2))
CHANNELS_FIRST: Node = ("Transpose", {"perm": [0, 3, 1, 2]})

CHAINS: dict[str, tuple[Node, ...]] = {
    "Conv": (("Conv", {"pads": [1, 2, 0, 3], "strides": [2, 1], "dilations": [1, 2]}, W, B),),
    "Conv in groups": (("Conv", {"group": 3}, numbers(6, 1, 2, 2)),),
    "Conv same upper": (("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, W, B),),
    "Conv same lower": (("Conv", {"auto_pad": "SAME_LOWER", "dilations": [2, 3]}, W, B),),
    "Conv valid": (("Conv", {"auto_pad": "VALID"}, W, B),),
    "ConvTranspose": (("ConvTranspose", {"strides": [2, 1], "pads": [1, 0, 0, 1]}, numbers(3, 2, 2, 3), numbers(2)),),
    "Conv, bias added later": (CONV, ("Add", {}, numbers(4, 1, 1))),
    "Gemm": (FLAT, ("Gemm", {"alpha": 0.5, "beta": 2.0}, numbers(108, 4), numbers(4))),
    "Gemm transposed": (FLAT, ("Gemm", {"transB": 1}, numbers(4, 108), numbers(1, 4))),
    "Gemm, one number for a bias": (FLAT, ("Gemm", {}, numbers(108, 4), numbers(1))),
    "Gemm without bias": (FLAT, ("Gemm", {"beta": 0.5}, numbers(108, 4))),
    "MatMul": (FLAT, ("MatMul", {}, numbers(108, 4)), ("Add", {}, numbers(1, 4))),
    "MatMul of rows": (("MatMul", {}, numbers(6, 4)), ("Add", {}, numbers(4))),
    "BatchNormalization": (("BatchNormalization", {"epsilon": 1e-2}, *NORM),),
    "BatchNormalization of features": (FLAT, ("MatMul", {}, numbers(108, 3)), ("BatchNormalization", {}, *NORM)),
    "Mul and Add": (("Mul", {}, numbers(3, 1, 1)), ("Add", {}, numbers(1, 3, 1, 1))),
    "Mul and Add along the last axis": (("Mul", {}, numbers(6)), ("Add", {}, numbers(1, 6)), CONV),
    "Sub and Div along rows": (("Sub", {}, numbers(6, 1)), ("Div", {}, numbers(6, 1)), CONV),
    "Neg": (("Neg", {}), CONV),
    "Sub and Div": (("Sub", {}, numbers(3, 1, 1)), ("Div", {}, np.float64(2.5))),
    "Relu": (("Relu", {}),),
    "Clip to 6": (("Clip", {}, np.float64(0), np.float64(6)), CONV),
    "Clip from 0": (("Clip", {}, np.float64(0), None),),
    "Clip from 0 to the largest number": (("Clip", {}, np.float64(0), np.float64(np.finfo(np.float32).max)),),
    "LeakyRelu": (("LeakyRelu", {"alpha": 0.3}),),
    "LeakyRelu as usual": (("LeakyRelu", {}),),
    "LRN": (("LRN", {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2.0}),),
    "LRN as usual": (("LRN", {"size": 5}),),
    "Celu": (("Celu", {"alpha": 0.5}),),
    "Clip": (("Clip", {}, np.float64(-0.5), np.float64(1.5)),),
    "Clip, bounds in lists": (("Clip", {}, np.array([-0.5]), np.array([1.5])),),
    "Clip from above": (("Clip", {}, None, np.float64(1.5)),),
    "Clip without bounds": (("Clip", {}), ("Relu", {})),
    "Elu": (("Elu", {"alpha": 0.5}),),
    "Gelu": (("Gelu", {}),),
    "Gelu by tanh": (("Gelu", {"approximate": "tanh"}),),
    "HardSigmoid": (("HardSigmoid", {"alpha": 0.25, "beta": 0.75}),),
    "HardSigmoid as usual": (("HardSigmoid", {}),),
    "HardSwish": (("HardSwish", {}),),
    "Mish": (("Mish", {}),),
    "PRelu": (("PRelu", {}, np.array([[[0.5]]])),),
    "PRelu per channel": (("PRelu", {}, numbers(3, 1, 1)),),
    "PRelu of features": (FLAT, ("PRelu", {}, numbers(108))),
    "PRelu, channels last": (("Transpose", {"perm": [0, 2, 3, 1]}), ("PRelu", {}, numbers(3)), CHANNELS_FIRST, CONV),
    "Max with a number": (("Max", {}, np.float64(0.5)), CONV),
    "Max with zero": (("Max", {}, np.array([0.0])), CONV),
    "Min with a number": (("Min", {}, np.float64(0.5)), CONV),
    "Selu": (("Selu", {"alpha": 1.5, "gamma": 1.25}),),
    "Softplus": (("Softplus", {}),),
    "Softsign": (("Softsign", {}),),
    "ThresholdedRelu": (("ThresholdedRelu", {"alpha": 0.5}),),
    "ThresholdedRelu as usual": (("ThresholdedRelu", {}),),
    "Sigmoid": (("Sigmoid", {}),),
    "Tanh": (("Tanh", {}),),
    "Softmax": (FLAT, ("Softmax", {})),
    "Softmax over channels": (("Softmax", {"axis": 1}),),
    "Log of Softmax": (FLAT, ("Softmax", {}), ("Log", {})),
    "LogSoftmax": (FLAT, ("LogSoftmax", {})),
    "LogSoftmax over channels": (("LogSoftmax", {"axis": 1}),),
    "MaxPool": (("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),),
    "AveragePool, dilated": (("AveragePool", {"kernel_shape": [2, 2], "dilations": [2, 1]}),),
    "MaxPool, dilated": (("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 1]}),),
    "MaxPool, ceil_mode": (("MaxPool", {"kernel_shape": [4, 4], "strides": [4, 4], "ceil_mode": 1}),),
    "MaxPool same": (("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),),
    "MaxPool, ceil_mode for nothing": (("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),),
    "AveragePool": (("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),),
    "AveragePool, padding counted": (
        ("AveragePool", {"kernel_shape": [2, 3], "pads": [1, 1, 0, 1], "count_include_pad": 1}),
    ),
    "GlobalMaxPool": (("GlobalMaxPool", {}),),
    "GlobalAveragePool": (("GlobalAveragePool", {}),),
    "ReduceMean": (("ReduceMean", {"keepdims": 0}, np.array([2, 3])), ("MatMul", {}, numbers(3, 2))),
    "ReduceMean keeping axes": (("ReduceMean", {}, np.array([-1, -2])),),
    "Flatten": (FLAT,),
    "Flatten twice": (FLAT, ("Flatten", {"axis": -1})),
    "Reshape": (("Reshape", {}, np.array([0, -1])), ("MatMul", {}, numbers(108, 4))),
    "Squeeze": (("GlobalAveragePool", {}), ("Squeeze", {}, np.array([2, 3])), ("MatMul", {}, numbers(3, 2))),
    "Transpose": (("Transpose", {"perm": [0, 2, 3, 1]}), ("Relu", {}), ("Transpose", {"perm": [0, 3, 1, 2]}), CONV),
    "Pad": (("Pad", {}, np.array([0, 0, 1, 2, 0, 0, 3, 0]), np.float64(0.5)),),
    "Pad by reflection": (("Pad", {"mode": "reflect"}, np.array([0, 0, 1, 2, 0, 0, 3, 0])),),
    "Pad of some axes": (("Pad", {}, np.array([1, 2]), None, np.array([-1])),),
    "Pad of nothing": (("Pad", {}, np.zeros(8, dtype=np.int64)), ("Relu", {})),
    "Resize": (("Resize", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, None, TWICE),),
    "Resize, linear": (("Resize", {"mode": "linear"}, None, TWICE),),
    "Dropout": (("Dropout", {}, np.float64(0.2)), ("Relu", {})),
    "Identity": (("Identity", {}), ("Relu", {})),
    "Cast": (("Cast", {"to": onnx.TensorProto.FLOAT}), ("Relu", {}), ("Cast", {"to": DOUBLE})),
}


@pytest.mark.parametrize("name", CHAINS)
def test_an_operation_computes_what_onnx_says(name: str, tmp_path: Path) -> None:
    x = numbers(3, 3, 6, 6) * 3
    model = chain(*CHAINS[name])
    if name == "Cast":  # onnx rounds to float32 there; lrpref computes in one number type
        assert_allclose(from_onnx(saved(model, tmp_path), x).forward(x), reference(model, x), rtol=1e-6)
    else:
        agrees(model, tmp_path, x)


SIXTH = float(np.float32(1 / 6))
THREE, SIX, HALF, ONE = np.float64(3), np.float64(6), np.float64(0.5), np.float64(1)
BY_ERF = {"r": np.float32(2**0.5), "one": ONE, "half": HALF}
BY_TANH = {"c": np.float32(0.044715), "s": np.float32((2 / np.pi) ** 0.5), "one": ONE, "half": HALF, "three": THREE}
CUT = {"low": np.float64(0), "three": THREE, "six": SIX, "sixth": np.float32(1 / 6)}

WRITTEN: dict[str, tuple[str, dict[str, Any], lrpref.Layer]] = {
    "SiLU": ("s = Sigmoid x; y = Mul x s", {}, lrpref.SiLU()),
    "SiLU, the other way round": ("s = Sigmoid x; y = Mul s x", {}, lrpref.SiLU()),
    "Mish": ("p = Softplus x; t = Tanh p; y = Mul x t", {}, lrpref.Mish()),
    "GELU of torch": ("a = Div x r; e = Erf a; p = Add e one; m = Mul x p; y = Mul m half", BY_ERF, lrpref.GELU()),
    "GELU of torch's dynamo": (
        "a = Div x r; e = Erf a; p = Add e one; h = Mul half p; y = Mul x h", BY_ERF, lrpref.GELU(),
    ),
    "GELU of TensorFlow": (
        "a = Mul x i; e = Erf a; p = Add one e; h = Mul half x; y = Mul h p",
        {"i": np.float32(0.5**0.5), "one": ONE, "half": HALF},
        lrpref.GELU(),
    ),
    "GELU by tanh, torch": (
        "q = Mul x x; k = Mul x q; a = Mul c k; b = Add x a; u = Mul s b; t = Tanh u; p = Add one t; m = Mul x p;"
        "y = Mul half m",
        BY_TANH,
        lrpref.GELU("tanh"),
    ),
    "GELU by tanh, torch's dynamo": (
        "k = Pow x three; a = Mul c k; b = Add x a; u = Mul s b; t = Tanh u; p = Add t one; h = Mul half p;"
        "y = Mul x h",
        BY_TANH,
        lrpref.GELU("tanh"),
    ),
    "HardSwish of old opsets": ("s = HardSigmoid(alpha) x; y = Mul x s", {}, lrpref.HardSwish()),
    "HardSwish by clipping": (
        "a = Add x three; c = Clip a low six; m = Mul x c; y = Div m six", CUT, lrpref.HardSwish(),
    ),
    "HardSwish by a sixth": (
        "a = Add x three; c = Clip a low six; s = Mul c sixth; y = Mul x s", CUT, lrpref.HardSwish(),
    ),
    "HardSigmoid by clipping": ("a = Add x three; c = Clip a low six; y = Div c six", CUT, lrpref.HardSigmoid()),
    "Softsign": ("a = Abs x; b = Add a one; y = Div x b", {"one": ONE}, lrpref.Softsign()),
    "Softplus with beta": ("a = Mul x b; s = Softplus a; y = Div s b", {"b": np.float64(2)}, lrpref.Softplus(2.0, 1e6)),
    "Softplus of torch's dynamo": (
        "a = Mul x b; s = Softplus a; d = Div s b; g = Greater a t; y = Where g x d",
        {"b": np.float64(2), "t": np.float64(0.5)},
        lrpref.Softplus(2.0, 0.5),
    ),
    "Threshold of torch's dynamo": (
        "g = LessOrEqual x t; y = Where g v x", {"t": HALF, "v": np.float64(-1)}, lrpref.Threshold(0.5, -1.0),
    ),
}  # fmt: skip
"""What exporters write for an activation, and what it is."""


def written(text: str, constants: dict[str, Any], shape: Sequence[Any] = ("N", 3, 4, 4), opset: int = 18) -> Any:
    """A model of the operations in a text."""
    nodes = []
    for line in text.split(";"):
        output, call = line.split("=")
        op, *inputs = call.split()
        attributes = {"alpha": SIXTH} if op.endswith("(alpha)") else {}
        nodes.append(helper.make_node(op.removesuffix("(alpha)"), inputs, [output.strip()], **attributes))
    return proto(nodes, constants, shape, nodes[-1].output[0], opset)


@pytest.mark.parametrize("name", WRITTEN)
def test_an_activation_of_several_operations_becomes_one_layer(name: str, tmp_path: Path) -> None:
    text, constants, layer = WRITTEN[name]
    net = from_onnx(saved(written(text, constants), tmp_path))
    (node,) = net.nodes
    assert type(node.layer) is type(layer)
    assert vars(node.layer) == pytest.approx(vars(layer))


def test_an_inner_value_of_an_activation_may_be_read_elsewhere(tmp_path: Path) -> None:
    """The sigmoid of a SiLU is a layer of its own where something else reads it."""
    model = written("s = Sigmoid x; m = Mul x s; y = Add m s", {})
    net = agrees(model, tmp_path, numbers(2, 3, 4, 4))
    assert [type(node.layer).__name__ for node in net.nodes] == ["Sigmoid", "SiLU", "Add"]


@pytest.mark.parametrize(
    ("text", "constants", "message"),
    [
        ("e = Erf x; y = Mul x e", {}, r"\(Erf\): unsupported operation on activations, except as a part of GELU"),
        (WRITTEN["GELU of torch"][0], BY_ERF | {"r": np.float64(1.4142)}, r"\(Erf\): unsupported operation on activ"),
        ("a = Abs x; b = Add a c; y = Div x b", {"c": numbers(3, 1, 1)}, r"\(Abs\): unsupported operation on activ"),
        ("a = Abs x; b = Add a c; y = Div x b", {"c": np.float64(np.nan)}, r"\(Abs\): unsupported operation on activ"),
        ("s = HardSigmoid(alpha) x; t = Exp s; y = Mul t x", {}, r"\(Exp\): unsupported operation on activations"),
    ],
)
def test_what_is_almost_an_activation_is_refused(text: str, constants: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=message):
        from_onnx(saved(written(text, constants), tmp_path))


@pytest.mark.parametrize("layer", [lrpref.GELU(), lrpref.HardSigmoid(), lrpref.HardSwish(), lrpref.SELU()], ids=repr)
def test_the_constants_of_an_operator_are_those_that_are_meant(layer: lrpref.Layer, tmp_path: Path) -> None:
    """onnx's own evaluator has them in float32, so it agrees to that precision only."""
    op = {lrpref.GELU: "Gelu", lrpref.SELU: "Selu"}.get(type(layer), type(layer).__name__)
    model = chain((op, {"alpha": SIXTH} if op == "HardSigmoid" else {}), shape=("N", 3, 4, 4))
    net, x = from_onnx(saved(model, tmp_path)), numbers(3, 3, 4, 4) * 3
    assert type(net.nodes[0].layer) is type(layer)
    assert vars(net.nodes[0].layer) == vars(layer)
    (expected,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    assert_allclose(net.forward(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_many_products_of_many_operations_take_little_time(tmp_path: Path) -> None:
    """Only so many expressions are looked at, of the 6,000 here."""
    text = "m0 = Tanh x; " + "; ".join(f"t{k} = Tanh m{k}; m{k + 1} = Mul t{k} c" for k in range(1000))
    begin = time.process_time()
    with pytest.raises(ConversionError, match="Erf"):
        from_onnx(saved(written(text + "; y = Erf m1000", {"c": np.float64(0.5)}), tmp_path))
    assert time.process_time() - begin < 20


OLD: dict[str, tuple[int, tuple[Node, ...]]] = {
    "attributes of Clip": (6, (("Clip", {"min": 0.0, "max": 6.0}),)),
    "attributes of Pad": (10, (("Pad", {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "value": 1.5}),)),
    "attributes of Squeeze": (11, (("GlobalAveragePool", {}), ("Squeeze", {"axes": [2, 3]}))),
    "attributes of ReduceMean": (13, (("ReduceMean", {"axes": [2, 3], "keepdims": 0}),)),
    "attributes of Dropout": (10, (("Dropout", {"ratio": 0.3}), ("Relu", {}))),
    "Softmax over all but the batch": (11, (FLAT, ("Softmax", {}))),
    "Softmax over channels of one cell": (11, (("GlobalAveragePool", {}), ("Softmax", {}))),
    "LogSoftmax over channels of one cell": (11, (("GlobalAveragePool", {}), ("LogSoftmax", {}))),
    "Softmax over the last axes": (11, (("Transpose", {"perm": [0, 2, 3, 1]}), ("Softmax", {"axis": -1}))),
}


@pytest.mark.parametrize("name", OLD)
def test_older_versions_of_the_operators(name: str, tmp_path: Path) -> None:
    opset, nodes = OLD[name]
    x, model = numbers(3, 3, 6, 6) * 3, chain(*nodes, opset=opset)
    if "Softmax over" in name:  # onnx's own evaluator takes the axis of opset 13
        net = from_onnx(saved(model, tmp_path), x)
        expected = evaluated(model, {"x": x}, model.graph.output[0].name)
        assert_allclose(net.forward(x).reshape(3, -1), expected.reshape(3, -1))
        return
    agrees(model, tmp_path, x)


def test_an_old_softmax_by_hand(tmp_path: Path) -> None:
    """Before opset 13, a softmax normalises over its axis and all later ones: the channels of one cell are one row."""
    x = np.log([[[[1.0]], [[3.0]]]])
    model = chain(("Identity", {}), ("Softmax", {}), shape=("N", 2, "H", "W"), opset=11)
    net = from_onnx(saved(model, tmp_path), x)
    assert_allclose(net.forward(x), [[[[0.25]], [[0.75]]]])
    with pytest.raises(
        ShapeError, match=r"node 'softmax1' \(Softmax\): rows and columns, over which it normalises too"
    ):
        net.forward(np.zeros((1, 2, 2, 2)))
    with pytest.raises(ConversionError, match=r"softmax over axes \[1, 2, 3\] of shape \(1, 2, 2, 2\) at once"):
        from_onnx(saved(model, tmp_path), np.zeros((1, 2, 2, 2)))
    batch = chain(("Softmax", {"axis": 0}), shape=(1, 2), opset=11)
    with pytest.raises(ConversionError, match=r"softmax over axis 0 mixes the samples"):
        from_onnx(saved(batch, tmp_path), np.zeros((1, 2)))


@pytest.mark.parametrize("opset", [9, 13])
def test_an_old_batch_norm_uses_the_statistics_that_it_learned(opset: int, tmp_path: Path) -> None:
    """3 (5 - 1) / 2 - 4 = 2; onnx's own evaluator uses those of the batch in these opsets."""
    norm = ("BatchNormalization", {"epsilon": 0.5}, *(np.array([v]) for v in (3.0, -4.0, 1.0, 3.5)))
    model = chain(norm, shape=("N", 1), opset=opset)
    assert_array_equal(from_onnx(saved(model, tmp_path)).forward(np.array([[5.0]])), [[2.0]])
    model.graph.node[0].output.extend(["mean", "var", "saved_mean", "saved_var"])
    with pytest.raises(ConversionError, match="BatchNormalization is in training mode"):
        from_onnx(saved(model, tmp_path))


def test_a_batch_norm_of_the_oldest_opsets_is_told_that_it_is_not_in_training(tmp_path: Path) -> None:
    arrays = [np.array([v]) for v in (3.0, -4.0, 1.0, 3.5)]
    norm = ("BatchNormalization", {"epsilon": 0.5, "is_test": 1}, *arrays)
    net = from_onnx(saved(chain(norm, shape=("N", 1), opset=6), tmp_path))
    assert_array_equal(net.forward(np.array([[5.0]])), [[2.0]])
    norm = ("BatchNormalization", {"epsilon": 0.5}, *arrays)
    with pytest.raises(ConversionError, match="BatchNormalization is in training mode"):
        from_onnx(saved(chain(norm, shape=("N", 1), opset=6), tmp_path))


def test_every_operation_is_tried() -> None:
    tried = {node[0] for nodes in CHAINS.values() for node in nodes}
    elsewhere = (
        {op for op in OPERATIONS if "." in op}
        | set(onnx_moves.OPERATIONS)
        | set(onnx_norms.OPERATIONS)
        | {"Swish", "Upsample"}
    )
    assert set(OPERATIONS) - tried - elsewhere == {"Concat", "Mean", "Sum"}  # these are tested below


Geometry = tuple[str, dict[str, Any], tuple[int, ...]]


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """A convolution or pooling operation that fits the image."""
    kernel, stride = ([draw(st.integers(1, 3)) for _ in "ij"] for _ in range(2))
    op = draw(st.sampled_from(["Conv", "MaxPool", "AveragePool"]))
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": stride}
    if op == "Conv":
        attributes["dilations"] = [draw(st.integers(1, 2)) for _ in "ij"]
        attributes["group"] = draw(st.sampled_from([1, 2]))
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.sampled_from([0, 1]))
    padding = draw(st.sampled_from(["pads", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if padding == "pads":
        attributes["pads"] = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
    else:
        attributes["auto_pad"] = padding
    return op, attributes, (2, draw(st.integers(5, 7)), draw(st.integers(5, 7)))


@example(geometry=("Conv", {"kernel_shape": [2, 2], "strides": [1, 1], "auto_pad": "SAME_LOWER"}, (2, 5, 5)))
@given(geometry=geometries())
def test_windows_of_all_geometries(
    geometry: tuple[str, dict[str, Any], tuple[int, ...]], tmp_path_factory: Any
) -> None:
    op, attributes, shape = geometry
    kernel = numbers(4, 2 // attributes.get("group", 1), *attributes["kernel_shape"])
    model = chain((op, attributes, *([kernel] if op == "Conv" else [])), shape=("N", *shape))
    agrees(model, tmp_path_factory.getbasetemp(), numbers(2, *shape))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "more", [{}, {"strides": [2, 2]}, {"pads": [1, 1, 1, 1]}, {"strides": [3, 2], "pads": [0, 1, 0, 1]}]
)
def test_the_pools_of_the_proof_are_onnxs_own_where_those_are_right(op: str, more: dict[str, Any]) -> None:
    from onnx.reference import ReferenceEvaluator

    model, x = chain((op, {"kernel_shape": [3, 3], **more})), numbers(2, 3, 6, 6)
    assert_allclose(evaluated(model, {"x": x}, "y0"), ReferenceEvaluator(model).run(None, {"x": x})[0], rtol=1e-12)


def test_graphs_with_branches(tmp_path: Path) -> None:
    """Add, Sum and Concat of activations; an input that is read three times; unused nodes."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Conv", ["x", "v"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["r"]),
        helper.make_node("Sum", ["r", "a", "r"], ["three"]),
        helper.make_node("Mean", ["r", "a", "b"], ["mean"]),
        helper.make_node("Max", ["mean", "a"], ["max"]),
        helper.make_node("Min", ["max", "b", "r"], ["min"]),
        helper.make_node("Concat", ["three", "b", "min"], ["all"], axis=-3),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gelu", ["all"], ["dead"]),
    ]
    model = proto(nodes, {"w": numbers(2, 3, 3, 3), "v": numbers(2, 3, 3, 3)}, ("N", 3, 5, 5), "all", 20)
    net = agrees(model, tmp_path, numbers(3, 3, 5, 5))
    assert net.names == ["a", "b", "sum", "r", "three", "mean", "mean_scale", "max", "min", "all"]


def test_a_constant_becomes_the_bias_only_of_what_is_read_by_nothing_else(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Add", ["c", "a"], ["y"]),
    ]
    constants = {"w": numbers(3, 3), "b": numbers(3)}
    net = agrees(proto(nodes, constants, ("N", 3), "y", 20), tmp_path, numbers(4, 3))
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["Dense", "Scale", "Add"]
    alone = agrees(proto(nodes[:2], constants, ("N", 3), "c", 20), tmp_path, numbers(4, 3))
    assert [type(layer).__name__ for _, layer, _ in alone.nodes] == ["Dense"]
    assert_array_equal(alone["a"].bias, constants["b"])


def test_shapes_that_the_file_computes(tmp_path: Path) -> None:
    """As exporters translate `x.view(x.size(0), -1)`."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    constants = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1]), "w": numbers(12, 2)}
    agrees(proto(nodes, constants, ("N", 3, 2, 2), "y", 20), tmp_path, numbers(5, 3, 2, 2))


def test_constants_of_every_spelling(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["low"], value_float=0.0),
        helper.make_node("Constant", [], ["high"], value=onnx.numpy_helper.from_array(np.float64(6))),
        helper.make_node("Constant", [], ["shape"], value_ints=[0, -1]),
        helper.make_node("Cast", ["low"], ["lowest"], to=DOUBLE),
        helper.make_node("Clip", ["x", "lowest", "high"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "shape"], ["y"]),
    ]
    net = agrees(proto(nodes, {}, ("N", 3, 2, 2), "y", 20), tmp_path, numbers(5, 3, 2, 2) * 9)
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["ReLU6", "Flatten"]


@pytest.mark.parametrize("told", [{}, {"value": onnx.numpy_helper.from_array(np.float32([0.1]))}])
def test_constants_that_the_file_makes_in_float32_are_float64_in_the_proof(told: Any, tmp_path: Path) -> None:
    """Otherwise onnx's evaluator refuses to add the weights, which are float64 in the proof."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["made"], **told),
        helper.make_node("Add", ["made", "w"], ["weight"]),
        helper.make_node("Conv", ["x", "made"], ["z"]),
        helper.make_node("Conv", ["x", "weight"], ["v"]),
        helper.make_node("Add", ["z", "v"], ["y"]),
    ]
    constants = {"shape": np.array([2, 3, 3, 3]), "w": numbers(2, 3, 3, 3).astype(np.float32)}
    model = proto(nodes, constants, ("N", 3, 6, 6), "y", 20)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    net = from_onnx(saved(model, tmp_path))
    assert net.dtype == np.float32
    assert_array_equal(net["z"].weight, np.full((2, 3, 3, 3), 0.1 if told else 0, dtype=np.float32))


# ---- sizes -------------------------------------------------------------------------------------------------------

POOLED = (("GlobalAveragePool", {}), FLAT)
SAME = {"auto_pad": "SAME_UPPER", "strides": [2, 2]}


def free(*nodes: Node, opset: int = 20) -> Any:
    """A model that leaves rows and columns free."""
    return chain(*nodes, shape=("N", 3, "H", "W"), opset=opset)


BOUND: dict[str, tuple[tuple[Node, ...], str]] = {
    "Conv, auto_pad": ((("Conv", SAME, W, B), *POOLED), r"node 'conv0' \(Conv\): its padding, auto_pad=SAME_UPPER, is"),
    "MaxPool, auto_pad": ((("MaxPool", {"kernel_shape": [3, 3], **SAME}), *POOLED), r"node 'maxpool0' \(MaxPool\)"),
    "AveragePool, auto_pad": (
        (("AveragePool", {"kernel_shape": [1, 3], **SAME, "auto_pad": "SAME_LOWER"}), *POOLED), "auto_pad=SAME_LOWER",
    ),
    "features": ((FLAT, ("MatMul", {}, numbers(108, 4))), r"a check on inputs of shape \(3, 13, 8\) failed"),
    "axes squeezed": (
        (("MaxPool", {"kernel_shape": [6, 6]}), ("Squeeze", {}, np.array([2, 3]))), r"\(3, 13, 8\) failed: onnx's",
    ),
    "samples made of cells": (
        (("MaxPool", {"kernel_shape": [6, 6]}), ("Reshape", {}, np.array([-1, 3]))),
        r"failed: the output of the imported network has shape \(1, 72\), that of the file has \(24, 3\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUND)
def test_a_network_is_held_to_the_size_that_it_was_computed_for(name: str, tmp_path: Path) -> None:
    nodes, reason = BOUND[name]
    model, x = free(*nodes), numbers(2, 3, 6, 6)
    net = agrees(model, tmp_path, x)
    assert net.input_shape == (3, 6, 6)
    with pytest.raises(ShapeError, match=rf"accepts inputs of shape \(N, 3, 6, 6\), got \(2, 3, 7, 7\): .*{reason}"):
        net.forward(numbers(2, 3, 7, 7))
    if "auto_pad" in name:  # imported at that size, the network is right there
        assert_allclose(
            from_onnx(saved(model, tmp_path), numbers(2, 3, 7, 7)).forward(x := numbers(2, 3, 7, 7)),
            evaluated(model, {"x": x}, model.graph.output[0].name),
        )


UNBOUND: dict[str, tuple[Node, ...]] = {
    "a convolution": (("Conv", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, W, B), *POOLED),
    "auto_pad without stride": (("Conv", {"auto_pad": "SAME_LOWER"}, W, B), *POOLED),
    "auto_pad of single cells": (("MaxPool", {"kernel_shape": [1, 1], **SAME}), *POOLED),
    "ceil_mode": (("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}), *POOLED),
    "ceil_mode without stride": (("MaxPool", {"kernel_shape": [2, 2], "strides": [1, 1], "ceil_mode": 1}), *POOLED),
}


@pytest.mark.parametrize("name", UNBOUND)
@pytest.mark.parametrize("size", [(5, 5), (6, 7), (12, 13)])
def test_a_network_is_right_at_every_size_where_it_keeps_the_rule(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    model, x = free(*UNBOUND[name]), numbers(2, 3, *size)
    net = from_onnx(saved(model, tmp_path), numbers(2, 3, 6, 6))
    assert net.input_shape is None
    assert_allclose(net.forward(x), evaluated(model, {"x": x}, model.graph.output[0].name), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("shape", "fixed"), [(("N", 3, 6, 6), (3, 6, 6)), (("N", 3, 6, "W"), (3, 6, None))])
def test_the_size_that_the_file_declares_is_the_only_one(shape: Any, fixed: Any, tmp_path: Path) -> None:
    net = from_onnx(saved(chain(CONV, *POOLED, shape=shape), tmp_path), numbers(2, 3, 6, 6))
    assert net.input_shape == fixed
    with pytest.raises(ShapeError, match="the file declares that size; export it with free axes for other sizes"):
        net.forward(numbers(2, 3, 7, 6))


def test_the_size_of_a_file_with_channels_last_is_turned_as_well(tmp_path: Path) -> None:
    model = chain(FIRST, CONV, *POOLED, shape=("N", 6, "W", 3))
    net = agrees(model, tmp_path, numbers(2, 6, 8, 3), channels_last=True)
    assert net.input_shape == (3, 6, None)


def test_padding_that_the_file_computes_from_the_size(tmp_path: Path) -> None:
    """As TensorFlow computes "same" padding: W rem 2 columns, which is zero at the example's size, and at that checked.

    Both widths are even, so that only the origin of the constant shows that it depends on the size.
    """
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=3),
        helper.make_node("Div", ["shape", "two"], ["half"]),
        helper.make_node("Mul", ["half", "two"], ["even"]),
        helper.make_node("Sub", ["shape", "even"], ["rest"]),
        helper.make_node("Concat", ["zero", "rest"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads", "", "axis"], ["padded"]),
        helper.make_node("GlobalAveragePool", ["padded"], ["y"]),
    ]
    constants = {"two": np.array([2]), "zero": np.array([0]), "axis": np.array([3])}
    model = proto(nodes, constants, ("N", 3, "H", "W"), "y", 20)
    net = from_onnx(saved(model, tmp_path), numbers(1, 3, 8, 8))
    assert net.input_shape == (3, 8, 8)
    with pytest.raises(ShapeError, match=r"node 'padded' \(Pad\): its arguments are computed at that size"):
        net.forward(numbers(1, 3, 8, 9))


def test_padding_that_is_computed_for_the_length_of_a_signal_holds_its_length(tmp_path: Path) -> None:
    """(N, L, C), transposed: with a stride of 5, the padding is none at length 9 and at those that are tried."""
    conv = ("Conv", {"auto_pad": "SAME_UPPER", "strides": [5]}, numbers(3, 4, 2))
    net = from_onnx(saved(chain(SWAP, conv, shape=("N", "L", 4)), tmp_path), numbers(2, 9, 4))
    with pytest.raises(
        ShapeError, match=r"node 'conv1' \(Conv\): its padding, auto_pad=SAME_UPPER, is computed at that"
    ):
        net.forward(numbers(2, 11, 4))
    agrees(chain(SWAP, CONV_1D, shape=("N", "L", 4)), tmp_path, numbers(2, 11, 4))


def test_the_number_of_tokens_is_held_where_the_file_computes_with_it(tmp_path: Path) -> None:
    """The sum of the tokens by their number; axis 1 is that of channels in files of images, which their layers fix."""
    nodes = [
        helper.make_node("Relu", ["x"], ["relu"]),
        helper.make_node("Shape", ["x"], ["count"], start=1, end=2),
        helper.make_node("Cast", ["count"], ["divisor"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["relu", "axis"], ["sum"], keepdims=1),
        helper.make_node("Div", ["sum", "divisor"], ["y"]),
    ]
    model = proto(nodes, {"axis": np.array([1])}, ("N", "T", "E"), "y", 20)
    net = from_onnx(saved(model, tmp_path), numbers(2, 5, 4))
    with pytest.raises(ShapeError, match=r"accepts inputs of shape \(N, 5, .*\), got \(2, 7, 4\)"):
        net.forward(numbers(2, 7, 4))


def test_a_second_size_that_needs_too_much_memory_is_not_tried(tmp_path: Path) -> None:
    net = from_onnx(saved(free(CONV, *POOLED), tmp_path), numbers(1, 3, 20, 20), max_bytes=2**19)
    with pytest.raises(ShapeError, match=r"failed: its activations need more memory than max_bytes=524288"):
        net.forward(numbers(1, 3, 21, 21))


# ---- layouts -----------------------------------------------------------------------------------------------------

LAST, FIRST = ("Transpose", {"perm": [0, 2, 3, 1]}), ("Transpose", {"perm": [0, 3, 1, 2]})

TURNED: dict[str, tuple[Node, ...]] = {
    "a convolution": (FIRST, CONV),
    "turned back, flattened": (FIRST, CONV, LAST, FLAT, ("MatMul", {}, numbers(64, 5))),
    "activations before it": (("Relu", {}), ("Clip", {}, np.float64(0), np.float64(6)), ("Tanh", {}), FIRST, CONV),
    "constants before it": (("Sub", {}, numbers(3)), ("Mul", {}, numbers(1, 1, 1, 3)), FIRST, CONV),
    "a constant behind it": (FIRST, CONV, LAST, ("Add", {}, numbers(4)), FIRST, ("Conv", {}, numbers(2, 4, 2, 2))),
    "padded before it": (("Pad", {}, np.array([0, 1, 2, 0, 0, 0, 3, 0])), FIRST, CONV),
    "a mean": (FIRST, CONV, LAST, ("ReduceMean", {"keepdims": 0}, np.array([1, 2])), ("MatMul", {}, numbers(4, 2))),
    "a mean that keeps axes": (
        FIRST, CONV, LAST, ("ReduceMean", {}, np.array([1, 2])), FLAT, ("MatMul", {}, numbers(4, 2)),
    ),
    "softmax": (FIRST, CONV, LAST, ("Softmax", {"axis": -1}), FIRST, ("MaxPool", {"kernel_shape": [2, 2]})),
    "features scaled": (
        FIRST, CONV, LAST, FLAT, ("Mul", {}, numbers(64)), ("Add", {}, numbers(64)), ("Gemm", {}, numbers(64, 3)),
    ),
    "features normalised": (
        FIRST, CONV, LAST, FLAT,
        ("BatchNormalization", {}, *numbers(3, 64), numbers(64) ** 2), ("MatMul", {}, numbers(64, 3)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TURNED)
def test_images_as_rows_columns_channels(name: str, tmp_path: Path) -> None:
    """The importer tracks the order of axes and features and permutes weights instead of adding transposes."""
    model = chain(*TURNED[name], shape=("N", 6, 6, 3))
    net = agrees(model, tmp_path, numbers(3, 6, 6, 3), channels_last=True)
    assert len(net.nodes) <= len(TURNED[name]) - 1


def test_reading_the_shape_first_does_not_hide_the_order_of_axes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["n"], end=1),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["turned", "w"], ["z"]),
        helper.make_node("Concat", ["n", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["z", "target"], ["y"]),
    ]
    constants = {"w": numbers(4, 3, 3, 3), "rest": np.array([-1])}
    agrees(proto(nodes, constants, ("N", 6, 6, 3), "y", 20), tmp_path, numbers(3, 6, 6, 3), channels_last=True)


def test_one_channel_may_be_reshaped_instead(tmp_path: Path) -> None:
    nodes = (("Reshape", {}, np.array([-1, 1, 6, 5])), ("Conv", {}, numbers(2, 1, 3, 3)))
    agrees(chain(*nodes, shape=("N", 6, 5, 1)), tmp_path, numbers(3, 6, 5, 1), channels_last=True)


def test_features_side_by_side(tmp_path: Path) -> None:
    """Two branches are flattened in different orders, then concatenated."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Flatten", ["a"], ["first"]),
        helper.make_node("Transpose", ["a"], ["turned"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["turned"], ["last"]),
        helper.make_node("Concat", ["last", "first"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "m"], ["y"]),
    ]
    model = proto(nodes, {"w": numbers(2, 3, 2, 2), "m": numbers(36, 4)}, ("N", 3, 4, 4), "y", 20)
    agrees(model, tmp_path, numbers(3, 3, 4, 4))


def test_an_output_of_images_is_turned_as_well(tmp_path: Path) -> None:
    model = chain(FIRST, CONV, LAST, shape=("N", 6, 6, 3))
    x = numbers(2, 6, 6, 3)
    net = from_onnx(saved(model, tmp_path), x)
    assert_allclose(net(np.moveaxis(x, 3, 1)), np.moveaxis(reference(model, x), 3, 1), rtol=1e-11)


def test_features_become_the_channels_of_one_cell(tmp_path: Path) -> None:
    """As Keras writes the gates of squeeze-and-excitation: (N, C) is reshaped to (N, 1, 1, C), and transposed."""
    nodes: list[Node] = [
        *(FIRST, ("Conv", {}, numbers(4, 3, 2, 2)), LAST, ("ReduceMean", {"keepdims": 0}, np.array([1, 2]))),
        *(("Reshape", {}, np.array([-1, 1, 1, 4])), FIRST, ("Conv", {}, numbers(5, 4, 1, 1)), LAST),
        *(("Add", {}, numbers(1, 1, 1, 5)), ("Relu", {}), ("Flatten", {})),
    ]
    net = agrees(chain(*nodes, shape=("N", 5, 5, 3)), tmp_path, numbers(2, 5, 5, 3), channels_last=True)
    assert "Permute" not in {type(layer).__name__ for _, layer, _ in net.nodes}


TOKENS: dict[str, tuple[Node, ...]] = {
    "only turned": (SWAP,),
    "a matrix": (SWAP, ("MatMul", {}, numbers(4, 3))),
    "a convolution": (SWAP, CONV_1D),
    "a norm of channels": (SWAP, ("BatchNormalization", {}, *numbers(3, 4), numbers(4) ** 2)),
    "the norm of channels that are neighbours": (SWAP, ("LRN", {"size": 3})),
    "a constant": (SWAP, ("Add", {}, numbers(4))),
    "a mean": (SWAP, ("ReduceMean", {}, np.array([2]))),
    "a part": (SWAP, ("Slice", {}, np.array([1]), np.array([4]), np.array([1]))),
    "turned at the end": (("MatMul", {}, numbers(4, 4)), SWAP, ("Relu", {})),
    "a softmax at the end": (("MatMul", {}, numbers(4, 4)), SWAP, ("Softmax", {"axis": -1})),
    "flattened": (SWAP, FLAT),
    "an axis added": (SWAP, ("Unsqueeze", {}, np.array([1]))),
}


@pytest.mark.parametrize("name", TOKENS)
def test_sequences_keep_the_order_of_their_axes(name: str, tmp_path: Path) -> None:
    """Four tokens of four numbers: another order has the same shape, so that only the values tell them apart."""
    agrees(chain(*TOKENS[name], shape=("N", 4, 4)), tmp_path, numbers(3, 4, 4))


def test_the_relevance_of_tokens_is_in_their_order(tmp_path: Path) -> None:
    """One number of each token, its feature, is read: R is x at that place, in the order in which x is given."""
    weight = np.eye(3)[:, [2]]
    model = chain(("Relu", {}), SWAP, ("Slice", {}, np.array([2]), np.array([3]), np.array([1])), SWAP, FLAT,
                  ("MatMul", {}, weight), shape=("N", 3, 3))  # fmt: skip
    x = np.arange(1.0, 10.0).reshape(1, 3, 3)
    R = lrpref.explain(from_onnx(saved(model, tmp_path), x), x, 0, "zero")
    assert_array_equal(R, np.where(np.arange(9).reshape(1, 3, 3) == 8, x, 0))


def test_outputs_are_counted_as_in_the_file(tmp_path: Path) -> None:
    """A target is the index of an output in the order of the file, and explanations start at its logits."""
    nodes = (("MatMul", {}, numbers(2, 3)), SWAP, ("Softmax", {"axis": 1}))
    model, x = chain(*nodes, shape=("N", 2, 2)), numbers(4, 2, 2)
    net = from_onnx(saved(model, tmp_path), x)
    assert isinstance(net.head, lrpref.Softmax)
    for target in range(6):
        expected = (x @ nodes[0][2]).transpose(0, 2, 1).reshape(4, 6)[:, target]
        assert_allclose(lrpref.trace(net, x, target, "zero").relevance.sum(axis=(1, 2)), expected, rtol=1e-12)


IMAGES_IN_ORDER: dict[str, tuple[Node, ...]] = {
    "turned to images, multiplied": (FIRST, ("MatMul", {}, numbers(3, 3))),
    "turned to images, added to itself": (FIRST, ("Relu", {}), FIRST, CONV),
    "turned back": (CONV, LAST),
    "turned back, softmax": (CONV, LAST, ("Softmax", {"axis": -1})),
    "turned back, flattened": (CONV, LAST, FLAT),
    "turned back, reshaped": (CONV, LAST, ("Reshape", {}, np.array([0, -1]))),
    "the norm of rows": (LAST, ("BatchNormalization", {}, *NORM)),
    "neighbours among rows": (LAST, ("LRN", {"size": 3})),
    "rows dealt to channels": (LAST, ("SpaceToDepth", {"blocksize": 3})),
}


@pytest.mark.parametrize("name", IMAGES_IN_ORDER)
def test_arrays_that_are_not_stored_as_images_keep_their_order(name: str, tmp_path: Path) -> None:
    agrees(chain(*IMAGES_IN_ORDER[name], shape=("N", 3, 3, 3)), tmp_path, numbers(2, 3, 3, 3))


def test_two_orders_that_are_added_are_no_image(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Add", ["t", "x"], ["sum"]),
        helper.make_node("Conv", ["sum", "w"], ["y"]),
    ]
    agrees(proto(nodes, {"w": CONV[2]}, ("N", 3, 3, 3), "y", 20), tmp_path, numbers(2, 3, 3, 3))


def test_images_that_are_joined_before_the_first_convolution(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Transpose", ["x"], ["again"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Concat", ["t", "again"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w"], ["z"]),
        helper.make_node("Flatten", ["z"], ["flat"]),
        helper.make_node("Concat", ["flat", "mean"], ["y"], axis=1),
    ]
    told = {"w": numbers(2, 6, 3, 3), "axes": np.array([1, 2])}
    agrees(proto(nodes, told, ("N", 5, 5, 3), "y", 20), tmp_path, numbers(2, 5, 5, 3), channels_last=True)


def test_the_axis_of_the_samples_is_not_split(tmp_path: Path) -> None:
    model = chain(("Reshape", {}, np.array([2, 2, 12])), ("Relu", {}), shape=(4, 12))
    with pytest.raises(ConversionError, match=r"from \(4, 12\) to \(2, 2, 12\) is not supported: it would move values"):
        from_onnx(saved(model, tmp_path), numbers(4, 12))


def test_one_sample_does_not_hide_that_samples_are_mixed(tmp_path: Path) -> None:
    """(N, T, E) is turned to (E, N, T), and cut into (N, E, T) in vain: the same for one sample, and only there."""
    nodes = (("Transpose", {"perm": [2, 0, 1]}), ("Reshape", {}, np.array([-1, 3, 4])))
    with pytest.raises(ConversionError, match="with two samples, the file does not treat each by itself: the imported"):
        from_onnx(saved(chain(*nodes, shape=("N", 4, 3)), tmp_path), numbers(1, 4, 3))
    for fixed in (
        chain(*nodes, shape=(1, 4, 3)),  # the file is for one sample
        chain(nodes[0], ("Reshape", {}, np.array([1, 3, 4])), shape=("N", 4, 3)),  # it runs on one sample only
    ):
        assert from_onnx(saved(fixed, tmp_path), numbers(1, 4, 3))(numbers(2, 4, 3)).shape == (2, 3, 4)


@given(st.permutations([1, 2, 3]), st.permutations([1, 2, 3]))
def test_transpositions_add_up(one: list[int], two: list[int]) -> None:
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    layout = plain(4).transposed((0, *one)).transposed((0, *two))
    turned = x.transpose(0, *one).transpose(0, *two)
    assert_array_equal(x.transpose(layout.axes), turned)
    assert layout.shape(x.shape) == turned.shape
    flat = layout.flattened(x.shape)
    order = np.arange(60) if flat.order is None else flat.order
    assert_array_equal(x.reshape(2, -1)[:, order], turned.reshape(2, -1))
    weights = numbers(3, 60)
    assert_allclose(x.reshape(2, -1) @ flat.features(weights).T, turned.reshape(2, -1) @ weights.T, atol=1e-10)


def test_a_constant_per_channel_by_hand() -> None:
    layout = Layout(CHANNELS_LAST)
    assert_array_equal(layout.channels(np.array([1.0, 2.0]), (1, 2, 3, 3)), [1, 2])
    assert_array_equal(layout.channels(np.array([[[7.0]]]), (1, 2, 3, 3)), [7, 7])
    with pytest.raises(ConversionError, match="must be one number, or one per channel"):
        layout.channels(np.zeros((3, 1)), (1, 2, 3, 3))


# ---- the check of the imported network ---------------------------------------------------------------------------


def test_the_proof_refuses_a_network_that_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error reports the size and the place of the difference."""
    monkeypatch.setitem(OPERATIONS, "Relu", lambda call: ([lrpref.LeakyReLU(0.5)], call.x.layout))  # type: ignore[index]
    x = np.array([[1.0, -8.0, 2.0]])
    with pytest.raises(
        ConversionError, match=r"differs from the file by 2 of the largest output .* at output \(0, 1\)"
    ):
        from_onnx(saved(chain(("Relu", {}), shape=("N", 3)), tmp_path), x)


def test_files_in_float32_become_networks_in_float32(tmp_path: Path) -> None:
    model = chain(("MatMul", {}, numbers(3, 2).astype(np.float32)), shape=("N", 3))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    net = from_onnx(saved(model, tmp_path))
    assert net.dtype == np.float32
    assert_array_equal(net["matmul0"].weight.T, onnx.numpy_helper.to_array(model.graph.initializer[0]))


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16"])
def test_half_precision_becomes_float32(kind: str, tmp_path: Path) -> None:
    w = helper.make_tensor("fc.weight", getattr(onnx.TensorProto, kind), (2, 3), [0.5, -1.0, 2.0, 0.25, 3.0, -4.0])
    model = proto([helper.make_node("Gemm", ["x", "fc.weight"], ["y"], transB=1)], {}, ("N", 3), "y", 20)
    model.graph.initializer.append(w)
    model.graph.input[0].type.tensor_type.elem_type = getattr(onnx.TensorProto, kind)
    net = from_onnx(saved(model, tmp_path))
    assert net.names == ["fc"]
    assert net.dtype == np.float32
    assert_array_equal(net["fc"].weight, [[0.5, -1.0, 2.0], [0.25, 3.0, -4.0]])


# ---- the example input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "example", "message"),
    [
        (("N", 3, "H", "W"), None, r"does not determine the shape of its input, \(\?, 3, \?, \?\); give an example"),
        (None, None, r"does not determine the shape of its input, undeclared; give an example"),
        (
            ("N", 3, 6, 6),
            np.zeros((1, 3, 5, 6)),
            r"has shape \(1, 3, 5, 6\), the file expects \(\?, 3, 6, 6\)",
        ),
        ((4, 3, 6, 6), np.zeros((1, 3, 6, 6)), r"the file expects \(4, 3, 6, 6\)"),
        (("N", 3, 10**6, 10**6), None, r"needs more memory than max_bytes=\d+"),
    ],
)
def test_examples_that_do_not_do(shape: Any, example: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=message):
        from_onnx(saved(chain(("Relu", {}), shape=shape), tmp_path), example)


def test_a_batch_that_the_file_fixes(tmp_path: Path) -> None:
    """The fixed batch size applies only to the file; the network accepts any batch size."""
    model = chain(("Reshape", {}, np.array([4, -1])), ("MatMul", {}, numbers(108, 2)), shape=(4, 3, 6, 6))
    net = from_onnx(saved(model, tmp_path))
    assert net(numbers(7, 3, 6, 6)).shape == (7, 2)


# ---- refusals ----------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[tuple[Node, ...], str]] = {
    "unknown": (
        (("Relu", {}), ("Shrink", {})),
        r"node 'shrink1' \(Shrink\): unsupported operation\. Supported: Conv, ConvTranspose",
    ),
    "one-dimensional": ((("Conv", {}, numbers(2, 3, 3)),), r"node 'conv0' \(Conv\): its weight has shape \(2, 3, 3\)"),
    "kernel and weight": (
        (("Conv", {"kernel_shape": [2, 2]}, W),),
        r"kernel_shape \(2, 2\) does not match its weight of shape",
    ),
    "channels": ((("Conv", {}, numbers(2, 4, 3, 3)),), r"node 'conv0' \(Conv\): expected 4 channels"),
    "a pool that does not move": (
        (("MaxPool", {"kernel_shape": [2, 2], "strides": [1, 0]}),),
        r"must be two positive integers each, got \(1, 0\)",
    ),
    "a kernel that does not move": (
        (("Conv", {"strides": [0, 1], "auto_pad": "SAME_UPPER"}, W),),
        r"must be two positive integers each, got \(0, 1\)",
    ),
    "comparison of shapes": ((("Max", {}, np.ones(3)),), "only the comparison of an activation with one constant"),
    "Clip of crossed bounds": (
        (("Clip", {}, np.float64(1), np.float64(-1)),),
        r"\(Clip\): Clip: the lower bound 1\.0 exceeds the upper bound -1\.0",
    ),
    "HardSigmoid turned round": ((("HardSigmoid", {"alpha": -0.5}),), r"alpha=-0\.5 is not supported; only a positive"),
    "PRelu per cell": (
        (("PRelu", {}, numbers(3, 6, 6)),),
        r"\(PRelu\): a constant of shape \(3, 6, 6\) is not supported",
    ),
    "Max with a number per channel": (
        (("Max", {}, numbers(3, 1, 1)),),
        r"\(Max\): only the comparison of an activation",
    ),
    "LRN of an even size": ((("LRN", {"size": 4}),), r"\(LRN\): LocalResponseNorm: size must be odd, got 4"),
    "Log of anything else": (
        (("Relu", {}), ("Log", {})),
        "a logarithm is supported only of a softmax over axis 1 that nothing else",
    ),
    "features transposed": ((FLAT, ("Transpose", {})), "axis 0 of the output holds more than the samples"),
    "batch moved": (
        (("Transpose", {"perm": [1, 0, 2, 3]}),),
        "axis 0 of the output holds more than the samples",
    ),
    "ReLU of moved batches": (
        (("Transpose", {"perm": [1, 0, 2, 3]}), ("Relu", {})),
        r"\(Relu\): axis 0 holds more than the samples, which is supported for MatMul",
    ),
    "convolution over rows": (
        (("Transpose", {"perm": [0, 2, 1, 3]}), CONV),
        r"\(Conv\): expected 3 channels \(axis 1\), got 6",
    ),
    "reshaped": (
        (("Reshape", {}, np.array([3, 8, 9])),),
        r"from \(2, 3, 6, 6\) to \(3, 8, 9\) is not supported: it would move values",
    ),
    "softmax over samples": (
        (("Transpose", {"perm": [1, 2, 3, 0]}), ("Softmax", {})),
        r"\(Softmax\): it works along an axis that holds the samples",
    ),
    "reshaped in vain": (
        (("Reshape", {}, np.array([0, 7, -1])),),
        r"cannot reshape \(2, 3, 6, 6\) to \(0, 7, -1\)",
    ),
    "flattened from 2": ((("Flatten", {"axis": 2}),), "flattening from axis 2"),
    "mean of all": ((("ReduceMean", {}),), "it is over all axes, including the batch axis"),
    "division by an activation": ((("Div", {}, np.float64(1)),), "dividing by an activation is not supported"),
    "division by zero": ((("Div", {}, np.float64(0)),), "its divisor has zeros"),
    "Pad of channels": ((("Pad", {}, np.array([0, 1, 0, 0, 0, 0, 0, 0])),), "only spatial axes can be padded"),
    "cropping": ((("Pad", {}, np.array([0, 0, -1, 0, 0, 0, 0, 0])),), "negative padding"),
    "Dropout that is on": ((("Dropout", {}, np.float64(0.5), np.array(True)),), "training_mode"),
    "BatchNormalization in training": ((("BatchNormalization", {"training_mode": 1}, *NORM),), "training_mode"),
    "rows times another matrix": ((("MatMul", {}, numbers(7, 2)),), "takes 7 features, its input has 6"),
    "too many features": ((FLAT, ("MatMul", {}, numbers(7, 2))), "its weights take 7 features, its input has 108"),
    "weights not finite": ((("Conv", {}, W * np.nan),), r"node 'conv0' \(Conv\): Conv2D weight holds NaN"),
    "much padding": (
        (("Pad", {}, np.array([0, 0, 7000, 7000, 0, 0, 0, 0])), ("Relu", {}), ("Relu", {})),
        "the weights and activations need more memory than",
    ),
    "far too much padding": (
        (("Pad", {}, np.array([0, 0, 10**6, 10**6, 0, 0, 0, 0])),),
        r"one sample of shape \(3, 1000006, 1000006\) would have 3000036000108 numbers, more than the limit",
    ),
    "output as flattened rows": ((LAST, FLAT, ("Relu", {})), r"the output is a flattened \(N, H, W, C\) image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_node_and_the_reason(name: str, tmp_path: Path) -> None:
    nodes, message = REFUSED[name]
    if name == "division by an activation":
        model = chain(*nodes)
        model.graph.node[0].input[:] = [model.graph.node[0].input[1], "x"]
    else:
        model = chain(*nodes)
    with pytest.raises(ConversionError, match=rf"net\.onnx: .*{message}"):
        from_onnx(saved(model, tmp_path), numbers(2, 3, 6, 6))


def test_weights_that_are_computed_from_the_input(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["w"]), helper.make_node("Conv", ["x", "w"], ["y"])]
    with pytest.raises(ConversionError, match="its weight depends on the network's input; it must be a constant"):
        from_onnx(saved(proto(nodes, {}, (3, 3, 3, 3), "y", 20), tmp_path))


def two_inputs(shape: Sequence[Any] = ("N", 6, 6, 3), table: Sequence[Any] = ("N", 5)) -> Any:
    """An image of channels last, "x", beside a "table"."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "k"], ["c"], name="conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["table", "w"], ["g"], name="table"),
        helper.make_node("Concat", ["g", "f"], ["y"], axis=1),
    ]
    model = proto(nodes, {"k": numbers(2, 3, 3, 3), "w": numbers(5, 4)}, shape, "y", 20)
    model.graph.input.append(helper.make_tensor_value_info("table", DOUBLE, table))
    return model


def test_a_file_of_several_inputs(tmp_path: Path) -> None:
    """Each has its own layout and its name in the file; images are held to the size of the example."""
    from onnx.reference import ReferenceEvaluator

    model = two_inputs()
    x, table = numbers(2, 6, 6, 3), numbers(2, 5)
    for each in (None, (x, table), [x, table], {"table": table, "x": x}):
        net = from_onnx(saved(model, tmp_path), each)
        assert (net.inputs, net.input_shape) == (("x", "table"), ((3, 6, 6), None))
        found = net((np.moveaxis(x, 3, 1), table))
        assert_allclose(found, ReferenceEvaluator(model).run(None, {"x": x, "table": table})[0], rtol=1e-11)
    with pytest.raises(ShapeError, match=r"input 'x' of shape .* checked at one size"):
        net((numbers(2, 3, 7, 7), table))
    lrpref.save(net, tmp_path / "net.npz")
    assert lrpref.load(tmp_path / "net.npz").input_shape == net.input_shape
    assert [R.shape for R in lrpref.explain(net, (np.moveaxis(x, 3, 1), table))] == [(2, 3, 6, 6), (2, 5)]


def test_an_input_that_the_output_does_not_read(tmp_path: Path) -> None:
    model = chain(("Relu", {}), shape=("N", 3))
    model.graph.input.append(helper.make_tensor_value_info("mask", DOUBLE, (3, 2)))
    net = from_onnx(saved(model, tmp_path))
    assert net.inputs == ("x", "mask")
    assert not lrpref.explain(net, (numbers(3, 3), numbers(3, 2)))[1].any()


def test_random_examples_of_several_inputs_differ(tmp_path: Path) -> None:
    """With equal ones, the proof could not tell a - b from b - a."""
    model = proto([helper.make_node("Add", ["x", "z"], ["y"])], {}, ("N", 3), "y", 20)
    model.graph.input.append(helper.make_tensor_value_info("z", DOUBLE, ("N", 3)))
    read = read_model(saved(model, tmp_path), None, 2**20)
    x = _examples(read, None, None, 2**20)
    assert (x["x"] != x["z"]).all()


def test_examples_that_do_not_fit_several_inputs(tmp_path: Path) -> None:
    x, table = numbers(2, 6, 6, 3), numbers(2, 5)
    path = saved(two_inputs(), tmp_path)
    for each in (x, (x,), (x, table, table), {"x": x}, {"x": x, "tabel": table}):
        with pytest.raises(ConversionError, match="the example must be a tuple of arrays for x, table, in"):
            from_onnx(path, each)
    with pytest.raises(ConversionError, match=r"the example has shape \(2, 4\), the file expects \(\?, 5\)"):
        from_onnx(path, (x, numbers(2, 4)))
    with pytest.raises(ConversionError, match="all dimensions except axis 1 must match"):
        from_onnx(path, (x, table[:1]))
    with pytest.raises(ConversionError, match="give an example of each, not one shape"):
        imported(path, shape=(6, 6, 3))
    model = two_inputs()
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.raises(
        ConversionError, match="the input 'table' holds integers, and an operation other than an embedding"
    ):
        from_onnx(saved(model, tmp_path))


def test_no_way_through(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["c"], ["y"])]
    with pytest.raises(ConversionError, match=r"does not depend on its input|inputs are constants"):
        from_onnx(saved(proto(nodes, {"c": numbers(1, 3)}, ("N", 3), "y", 20), tmp_path))


def test_a_file_that_returns_its_input(tmp_path: Path) -> None:
    net = from_onnx(saved(chain(("Identity", {}), shape=("N", 3)), tmp_path))
    assert_array_equal(net.forward(X := np.ones((2, 3))), X)


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(LrprefError, match=r"ONNX files need onnx: pip install onnx"):
        from_onnx(tmp_path / "net.onnx")


# ---- damaged and inconsistent files ------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"a text", bytes(100), b"\x08\x08"])
def test_what_is_no_onnx_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.onnx"):
        from_onnx(tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match="there is no file"):
        from_onnx(tmp_path / "missing.onnx")


def lying(folder: Path, change: Callable[[Any], None]) -> Path:
    """Save a model after changing its only tensor."""
    model = chain(("MatMul", {}, numbers(3, 2)), shape=("N", 3))
    change(model.graph.initializer[0])
    return saved(model, folder)


def test_weights_that_are_not_as_many_as_they_say(tmp_path: Path) -> None:
    def grow(tensor: Any) -> None:
        tensor.dims[0] = 2**40

    with pytest.raises(WeightsError, match=r"declare shape \(1099511627776, 2\) \(.* bytes\), but hold 48 bytes"):
        from_onnx(lying(tmp_path, grow))


@pytest.mark.parametrize("dims", [(-3, -2), (3, -2)])
def test_weights_of_negative_size(dims: tuple[int, ...], tmp_path: Path) -> None:
    def turn(tensor: Any) -> None:
        tensor.dims[:] = dims

    with pytest.raises(WeightsError, match="negative size"):
        from_onnx(lying(tmp_path, turn))


def test_files_that_are_too_large(tmp_path: Path) -> None:
    path = lying(tmp_path, lambda tensor: None)
    with pytest.raises(WeightsError, match="more than max_bytes=10"):
        from_onnx(path, max_bytes=10)


def external(folder: Path, location: str, **told: int) -> Path:
    """Save a model whose six weights are stored in another file."""

    def move(tensor: Any) -> None:
        onnx.external_data_helper.set_external_data(tensor, location, **told)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL

    return lying(folder, move)


def test_weights_in_a_file_beside_it(tmp_path: Path) -> None:
    w = numbers(3, 2)
    (tmp_path / "w.bin").write_bytes(bytes(8) + w.tobytes())
    net = from_onnx(external(tmp_path, "w.bin", offset=8, length=48))
    assert_array_equal(net["matmul0"].weight.T, w)


@pytest.mark.parametrize(
    ("location", "told", "message"),
    [
        ("../w.bin", {}, "are stored outside the model's folder"),
        ("/etc/hostname", {}, "are stored outside the model's folder"),
        ("link.bin", {}, "are stored outside the model's folder"),
        ("missing.bin", {}, "which is not a file beside the model"),
        (".", {}, "which is not a file beside the model"),
        ("w.bin", {"offset": 8}, "need 48 bytes, but the model declares 48 bytes at offset 8 of 'w.bin', which has 48"),
        ("w.bin", {"offset": -8}, "at offset -8"),
        ("w.bin", {"length": 40}, "the model declares 40 bytes"),
        ("w.bin", {"length": 2**62}, "need 48 bytes"),
    ],
)
def test_weights_elsewhere(location: str, told: dict[str, int], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(48))
    (folder / "w.bin").write_bytes(bytes(48))
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(WeightsError, match=message):
        from_onnx(external(folder, location, **told))


def test_constants_that_would_grow(tmp_path: Path) -> None:
    """ConstantOfShape and a broadcasting sum could require any amount of memory; `max_bytes` moves the limit."""
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["zeros"]),
        helper.make_node("Add", ["x", "zeros"], ["y"]),
    ]
    with pytest.raises(ConversionError, match=r"node 'zeros' \(ConstantOfShape\): .* need more memory than max_bytes="):
        from_onnx(saved(proto(nodes, {"huge": np.array([10**9, 10**9])}, ("N", 3), "y", 20), tmp_path))
    nodes = [helper.make_node("Add", ["row", "column"], ["table"]), helper.make_node("MatMul", ["x", "table"], ["y"])]
    constants = {"row": np.ones((1, 2000)), "column": np.ones((2000, 1))}
    path = saved(proto(nodes, constants, ("N", 2000), "y", 20), tmp_path)
    with pytest.raises(
        ConversionError, match=r"node 'table' \(Add\): with an array of shape \(4000000,\), the weights"
    ):
        from_onnx(path, max_bytes=2**24)
    assert from_onnx(path)["y"].weight.shape == (2000, 2000)


def test_a_shared_weight_counts_for_each_copy(tmp_path: Path) -> None:
    """A Gemm with an alpha makes a copy: 8 MB for the weight itself, and 8 MB for each of the three layers."""
    path = saved(chain(*[("Gemm", {"alpha": 0.5}, numbers(1000, 1000))] * 3, shape=("N", 1000)), tmp_path)
    model = onnx.load_model(path)
    for node in model.graph.node:
        node.input[1] = "c0_0"
    path = saved(model, tmp_path)
    assert len(from_onnx(path, max_bytes=33 * 10**6).nodes) == 3
    with pytest.raises(ConversionError, match=r"node 'gemm2' \(Gemm\): .* need more memory than max_bytes=31000000"):
        from_onnx(path, max_bytes=31 * 10**6)


def test_the_size_of_a_folded_constant_is_the_right_one() -> None:
    """Estimates that are too high would refuse weights that a file computes."""
    w, indices = np.ones((4, 5, 6)), np.array([0, 2, 2])
    node = helper.make_node
    for made, values in (
        (node("Gather", ["w", "i"], ["y"], axis=1), [w, indices]),
        (node("Gather", ["w", "i"], ["y"]), [w, indices]),
        (node("Mul", ["w", "v"], ["y"]), [w, np.ones((6,))]),
        (node("Concat", ["w", "v"], ["y"], axis=0), [w, w]),
        (node("Transpose", ["w"], ["y"]), [w]),
        (node("ConstantOfShape", ["s"], ["y"]), [np.array([3, 4])]),
    ):
        twin = proto([made], {}, ("N",), "y", 20)
        del twin.graph.input[:]
        twin.graph.input.extend(helper.make_tensor_value_info(n, DOUBLE, ()) for n in made.input)
        assert folded_size(made, values) == evaluated(twin, dict(zip(made.input, values, strict=True)), "y").size


@pytest.mark.parametrize("places", [[1, 3], [[0, 1], [1, 1]]])
@pytest.mark.parametrize("how", ["initialiser", "Constant"])
def test_sparse_weights_by_hand(how: str, places: list[Any], tmp_path: Path) -> None:
    """Numbers that are not stored are zero; places are counted through the array, or one index per axis."""
    model = chain(("MatMul", {}, numbers(2, 2)), shape=("N", 2))
    values, where = (onnx.numpy_helper.from_array(np.array(v), "c0_0") for v in ([2.0, 5.0], places))
    sparse = helper.make_sparse_tensor(values, where, [2, 2])
    del model.graph.initializer[:]
    if how == "initialiser":
        model.graph.sparse_initializer.append(sparse)
    else:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["c0_0"], sparse_value=sparse))
    assert_array_equal(from_onnx(saved(model, tmp_path)).forward(np.array([[1.0, 10.0]])), [[0, 52]])


@pytest.mark.parametrize(
    ("places", "dims", "message"),
    [
        ([0, 4], [2, 2], "an index outside their shape"),
        ([[0, 0], [1, -1]], [2, 2], "an index outside their shape"),
        ([0, 1, 2], [2, 2], "values or indices that do not fit their shape"),
        ([0, 1], [2, -2], "values or indices that do not fit their shape"),
        ([0, 1], [2**31, 2**31], "more than max_bytes"),
    ],
)
def test_sparse_weights_that_do_not_fit(places: Any, dims: list[int], message: str, tmp_path: Path) -> None:
    model = chain(("MatMul", {}, numbers(2, 2)), shape=("N", 2))
    values, where = (onnx.numpy_helper.from_array(np.array(v), "c0_0") for v in ([2.0, 5.0], places))
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=where, dims=dims))
    with pytest.raises(WeightsError, match=message):
        from_onnx(saved(model, tmp_path))


def test_bounds_of_clip_may_have_an_axis(tmp_path: Path) -> None:
    net = from_onnx(saved(chain(("Clip", {}, np.array([0.0]), np.array([6.0]))), tmp_path))
    assert isinstance(net["clip0"], lrpref.ReLU6)


def test_an_array_of_many_axes(tmp_path: Path) -> None:
    model = chain(("Reshape", {}, np.array([0, -1] + [1] * 10)), shape=("N", *[1] * 11))
    assert from_onnx(saved(model, tmp_path)).forward(np.ones((2, *(1,) * 11))).ndim == 12


@pytest.mark.parametrize("example", [(np.ones((2, 3)), np.ones(2)), "x", [[1.0], [2.0, 3.0]], [object()]])
def test_an_example_that_is_not_an_array(example: Any, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"net\.onnx: the example must be an array of numbers"):
        from_onnx(saved(chain(("Relu", {})), tmp_path), example)


SMALL = [name for name in FILES if name != "torch-dynamo"]


@given(data=st.data())
def test_bytes_changed_at_random(data: st.DataObject, tmp_path_factory: Any) -> None:
    """The result is a verified network or one of lrpref's own errors."""
    name = data.draw(st.sampled_from(SMALL))
    content = bytearray((EXPORTED / f"{name}.onnx").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 20))
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    path.write_bytes(bytes(content[: len(content) - cut]))
    with suppress(WeightsError, ConversionError):
        from_onnx(path, output=output(name), max_bytes=2**24)


SIZES = [0, 1, -1, 2, 3, 100, 2**20, 2**31 - 1, 2**62, -(2**63), 2**63 - 1]


@given(data=st.data())
def test_operations_changed_at_random(data: st.DataObject, tmp_path_factory: Any) -> None:
    """Well-formed but invalid files: attributes, inputs, operations and sizes are changed."""
    name = data.draw(st.sampled_from(SMALL))
    model = onnx.load_model(EXPORTED / f"{name}.onnx")
    graph = model.graph
    names = sorted({value for node in graph.node for value in (*node.input, *node.output)})
    node = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
    change = data.draw(st.sampled_from(["attribute", "input", "operation", "size", "opset", "shape"]))
    if change == "attribute":
        key = data.draw(
            st.sampled_from(["perm", "pads", "strides", "kernel_shape", "dilations", "axes", "group", "axis"])
        )
        values = data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=4))
        node.attribute.append(helper.make_attribute(key, values if key[-1] != "p" and key != "axis" else values[0]))
    elif change == "input" and node.input:
        node.input[data.draw(st.integers(0, len(node.input) - 1))] = data.draw(st.sampled_from(names))
    elif change == "operation":
        node.op_type = data.draw(st.sampled_from([*OPERATIONS, *FOLDED, "Expand", "Loop"]))
    elif change == "size":
        tensor = graph.initializer[data.draw(st.integers(0, len(graph.initializer) - 1))]
        tensor.dims[:] = [data.draw(st.sampled_from(SIZES)) for _ in tensor.dims]
    elif change == "opset":
        model.opset_import[0].version = data.draw(st.sampled_from([0, 1, 6, 7, 11, 13, 99]))
    elif change == "shape":
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = data.draw(st.sampled_from(SIZES))
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    with suppress(WeightsError, ConversionError):
        from_onnx(path, output=output(name), max_bytes=2**24)


# ---- documentation -----------------------------------------------------------------------------------------------


def test_the_page_has_the_table_of_operations() -> None:
    page = (Path(__file__).parent.parent / "docs" / "import.md").read_text()
    rows = {}
    for op, operation in OPERATIONS.items():
        rows[op] = f"| `{op}` | {(operation.__doc__ or '').strip()} |"
    missing = [row for row in rows.values() if row not in page]
    assert not missing, "\n".join(missing)
    assert ", ".join(f"`{op}`" for op in FOLDED) in " ".join(page.split())
    assert all(op in SUPPORTED for op in OPERATIONS)
