"""Forms of ONNX files: how exporters write constants, shapes, functions, conditions, quantised weights and refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import from_onnx
from lrpref.errors import ConversionError, WeightsError
from lrpref.importers.onnx.evaluator import average_pool, max_pool
from lrpref.importers.onnx.file import CLASSICAL, DOMAINS
from lrpref.importers.onnx.operations import OPERATIONS
from lrpref.importers.onnx.refusals import REASONS

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")
helper, kinds = onnx.helper, onnx.TensorProto
node = helper.make_node
FLOAT, DOUBLE, INT64, INT8 = kinds.FLOAT, kinds.DOUBLE, kinds.INT64, kinds.INT8
RNG = np.random.default_rng(6)


def written(
    folder: Path,
    nodes: Sequence[Any],
    shape: Sequence[Any],
    constants: dict[str, Any] | None = None,
    output: str = "y",
    kind: int = FLOAT,
    opset: int = 20,
    functions: Sequence[Any] = (),
) -> Path:
    """Write a model with input "x"."""
    stored = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    ends = [helper.make_tensor_value_info(name, kind, at) for name, at in (("x", shape), (output, None))]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], stored)
    versions = [helper.make_opsetid(*each) for each in (("", opset), (CLASSICAL, 3), ("own", 1))]
    model = helper.make_model(graph, opset_imports=versions, functions=functions)
    (path := folder / "net.onnx").write_bytes(model.SerializeToString())
    return path


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


# ---- constants ---------------------------------------------------------------------------------------------------


MADE: dict[str, tuple[list[Any], np.ndarray]] = {
    "ConstantOfShape": ([node("ConstantOfShape", ["two"], ["w"])], np.zeros((2, 2))),
    "ConstantOfShape, a value": (
        [node("ConstantOfShape", ["two"], ["w"], value=onnx.numpy_helper.from_array(np.float32([3])))],
        np.full((2, 2), 3),
    ),
    "EyeLike": (
        [node("ConstantOfShape", ["two"], ["o"]), node("EyeLike", ["o"], ["w"], dtype=FLOAT, k=1)],
        np.eye(2, k=1),
    ),
    "Range": (
        [
            node("Range", ["a", "b", "c"], ["r"]),
            node("Cast", ["r"], ["f"], to=FLOAT),
            node("Reshape", ["f", "two"], ["w"]),
        ],
        np.arange(4).reshape(2, 2),
    ),
    "Range of floats": (
        [node("Range", ["af", "bf", "cf"], ["r"]), node("Reshape", ["r", "two"], ["w"])],
        np.arange(4).reshape(2, 2),
    ),
    "Expand": ([node("Expand", ["half", "two"], ["w"])], np.full((2, 2), 0.5)),
    "Tile": ([node("Reshape", ["half", "ones"], ["h"]), node("Tile", ["h", "two"], ["w"])], np.full((2, 2), 0.5)),
    "Where": ([node("Where", ["mask", "half", "big"], ["w"])], np.array([[0.5, 7], [7, 7]])),
    "Pow, Sqrt and ReduceSum": (
        [
            node("Pow", ["big", "halves"], ["p"]),
            node("ReduceSum", ["p", "axis"], ["s"]),
            node("Sqrt", ["s"], ["root"]),
            node("Div", ["big", "root"], ["w"]),
        ],
        np.full((2, 2), 7 / np.sqrt(2 * np.sqrt(7))),
    ),
    "Split": (
        [node("Concat", ["big", "eye"], ["both"], axis=0), node("Split", ["both"], ["", "w"], num_outputs=2)],
        np.eye(2),
    ),
    "Constant": (
        [node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(np.float32([[1, 2], [3, 4]])))],
        np.array([[1, 2], [3, 4]]),
    ),
    "integers, scaled": ([node("DequantizeLinear", ["q", "half", "zero"], ["w"])], np.array([[0, 1], [-1, 3.5]])),
    "integers, scaled per column": (
        [node("DequantizeLinear", ["q", "scales"], ["w"], axis=1)],
        np.array([[0.5, 6], [-0.5, 16]]),
    ),
}
"""Operations that make a matrix w, and that matrix."""


@pytest.mark.parametrize("name", MADE)
def test_a_matrix_that_the_file_makes_by_hand(name: str, tmp_path: Path) -> None:
    """In float32, the type of the file; the proof is in float64, and everything that is made there is too."""
    nodes, w = MADE[name]
    told = {
        "two": np.array([2, 2]),
        "ones": np.array([1, 1]),
        "half": np.float32(0.5),
        "halves": np.float32([[0.5]]),
        "a": np.array(0),
        "b": np.array(4),
        "c": np.array(1),
        "af": np.float32(0),
        "bf": np.float32(4),
        "cf": np.float32(1),
        "mask": np.array([[True, False], [False, False]]),
        "big": np.full((2, 2), np.float32(7)),
        "eye": np.eye(2, dtype=np.float32),
        "axis": np.array([1]),
        "q": np.array([[1, 3], [-1, 8]], dtype=np.int8),
        "zero": np.int8(1),
        "scales": np.float32([0.5, 2]),
        "bias": floats(2),
    }
    chain = [*nodes, node("MatMul", ["x", "w"], ["z"]), node("Add", ["z", "bias"], ["y"])]
    net = from_onnx(written(tmp_path, chain, ("N", 2), told))
    assert net.dtype == np.float32
    assert_allclose(net.nodes[0][1].weight.T, w, rtol=1e-6)  # type: ignore[attr-defined]


def test_constants_may_be_as_large_as_max_bytes_says(tmp_path: Path) -> None:
    """2^21 numbers, which are 16 MiB in float64."""
    nodes = [node("ConstantOfShape", ["shape"], ["w"]), node("MatMul", ["x", "w"], ["y"])]
    path = written(tmp_path, nodes, ("N", 2**11), {"shape": np.array([2**11, 2**10])})
    assert from_onnx(path).nodes[0][1].weight.size == 2**21  # type: ignore[attr-defined]
    with pytest.raises(ConversionError, match="need more memory than max_bytes=16777216"):
        from_onnx(path, max_bytes=2**24)


ROUNDED = {
    "Floor": ([node("Mul", ["n", "tenth"], ["v"]), node("Floor", ["v"], ["r"])], "almost an integer"),
    "Cast": ([node("Mul", ["n", "tenth"], ["v"]), node("Cast", ["v"], ["r"], to=INT64)], "almost an integer"),
    "Equal": ([node("Mul", ["n", "tenth"], ["v"]), node("Equal", ["v", "n"], ["r"])], "numbers that are not integers"),
    "Range": ([node("Range", ["tenth", "n", "tenth"], ["r"])], "a range of numbers that are not integers"),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_what_float32_may_round_to_another_integer_is_refused(name: str, tmp_path: Path) -> None:
    """30 times 0.1 is 3 in float32, and more than 3 if float32's 0.1 is multiplied in float64."""
    assert np.float32(0.1) * np.float32(30) == 3 < float(np.float32(0.1)) * 30
    nodes, message = ROUNDED[name]
    more = [node("Cast", ["r"], ["f"], to=FLOAT), node("Add", ["x", "f"], ["y"])]
    told = {"n": np.float32(30), "tenth": np.float32(0.1)}
    with pytest.raises(ConversionError, match=message):
        from_onnx(written(tmp_path, [*nodes, *more], ("N", 1), told))


@pytest.mark.parametrize(
    ("pool", "x", "told", "expected"),
    [
        (average_pool, [1, 2, 3], {"strides": [2], "ceil_mode": 1, "count_include_pad": 1}, [1.5, 3]),
        (average_pool, [1, 2, 3], {"pads": [1, 1], "strides": [2], "count_include_pad": 1}, [0.5, 2.5]),
        (average_pool, [1, 2], {"pads": [1, 1], "strides": [2], "ceil_mode": 1}, [1, 2]),
        (average_pool, [1, 2, 4], {"dilations": [2]}, [2.5]),
        (max_pool, [-1, -2, -3], {"pads": [1, 1], "strides": [2], "ceil_mode": 1}, [-1, -2]),
        (max_pool, [1, 2, 3, 4], {"dilations": [3]}, [4]),
    ],
)
def test_the_pools_of_the_proof_by_hand(pool: Any, x: list[float], told: dict[str, Any], expected: list[float]) -> None:
    """A kernel of 2. A window that ceil_mode adds starts before the padding; cells behind the padding never count."""
    for shape in ((1, 1, -1), (1, 1, -1, 1), (1, 1, -1, 1, 1)):
        rank = len(shape) - 2
        wide = {key: value if isinstance(value, int) else _widened(key, value, rank) for key, value in told.items()}
        found = pool(np.asarray(x, dtype=float).reshape(shape), kernel_shape=[2, *[1] * (rank - 1)], **wide)
        assert_allclose(found.ravel(), expected)


def _widened(key: str, value: list[int], rank: int) -> list[int]:
    """The same along the first of several axes, and nothing along the others."""
    rest = [0 if key == "pads" else 1] * (rank - 1)
    return [value[0], *rest, value[1], *rest] if key == "pads" else [*value, *rest]


def test_sizes_that_are_exact_are_rounded(tmp_path: Path) -> None:
    """As exporters of `interpolate(scale_factor=2)` compute a size: Floor(Cast(H) * 2.0)."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Cast", ["s"], ["f"], to=FLOAT),
        node("Mul", ["f", "scales"], ["m"]),
        node("Floor", ["m"], ["r"]),
        node("Cast", ["r"], ["i"], to=INT64),
        node("Reshape", ["x", "i"], ["z"]),
        node("Flatten", ["z"], ["y"]),
    ]
    net = from_onnx(written(tmp_path, nodes, (2, 4, 1, 6), {"scales": np.float32([1, 0.25, 4, 1])}))
    assert_array_equal(net(np.arange(24.0).reshape(1, 4, 1, 6)), np.arange(24.0).reshape(1, 24))


# ---- functions and conditions ------------------------------------------------------------------------------------


def function(name: str, nodes: Sequence[Any], inputs: Sequence[str] = ("v",), **more: Any) -> Any:
    versions = [helper.make_opsetid("", more.pop("opset", 20)), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, list(inputs), ["u"], nodes, versions, **more)


def test_functions_of_the_file_are_expanded(tmp_path: Path) -> None:
    """A function with weights as inputs, called twice, by another function; and one with an attribute."""
    leaky = node("LeakyRelu", ["t"], ["u"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    layer = function("layer", [node("MatMul", ["v", "m"], ["t"]), leaky], ["v", "m"], attributes=["slope"])
    twice = [
        node("layer", ["v", "m"], ["a"], domain="own", slope=0.5),
        node("layer", ["a", "m"], ["u"], domain="own", slope=0.25),
    ]
    calls = [node("twice", ["x", "m"], ["y"], domain="own")]
    m = floats(3, 3)
    path = written(tmp_path, calls, ("N", 3), {"m": m}, functions=[layer, function("twice", twice, ["v", "m"])])
    net = from_onnx(path)
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["Dense", "LeakyReLU"] * 2
    x = floats(4, 3)
    first = np.where(x @ m > 0, x @ m, 0.5 * (x @ m))
    assert_allclose(net(x), np.where(first @ m > 0, first @ m, 0.25 * (first @ m)), rtol=1e-5)


def test_a_function_of_other_operators_is_refused_by_name(tmp_path: Path) -> None:
    calls = [node("odd", ["x"], ["y"], domain="own")]
    with pytest.raises(ConversionError, match=r"\(LSTM\): unsupported operation: recurrent layers are not imported"):
        from_onnx(
            written(tmp_path, calls, ("N", 3), functions=[function("odd", [node("LSTM", ["v", "v", "v"], ["u"])])])
        )
    with pytest.raises(ConversionError, match=r"node 'y' \(own\.gone\): unsupported operation\. Supported"):
        from_onnx(written(tmp_path, [node("gone", ["x"], ["y"], domain="own")], ("N", 3)))
    again = [function("again", [node("again", ["v"], ["u"], domain="own")])]
    with pytest.raises(WeightsError, match="its function 'again' calls itself"):
        from_onnx(written(tmp_path, [node("again", ["x"], ["y"], domain="own")], ("N", 3), functions=again))


def branch(nodes: Sequence[Any], output: str, stored: Sequence[Any] = ()) -> Any:
    """A branch of an If."""
    return helper.make_graph(nodes, output, [], [helper.make_tensor_value_info(output, FLOAT, None)], stored)


@pytest.mark.parametrize("true", [True, False])
@pytest.mark.parametrize("how", ["weights", "Constant"])
def test_the_branch_of_a_constant_condition_is_taken(how: str, true: bool, tmp_path: Path) -> None:
    """One branch has weights of its own and an If inside; the other passes a value of the graph around it."""
    w = onnx.numpy_helper.from_array(np.float32([[2.0]]), "w")
    inner = node("If", ["c"], ["b"], then_branch=branch([node("Relu", ["a"], ["p"])], "p"), else_branch=branch([], "a"))
    first = branch([node("MatMul", ["x", "w"], ["a"]), inner], "b", [w])
    both = node("If", ["c"], ["y"], then_branch=first, else_branch=branch([], "r"))
    nodes = [node("LeakyRelu", ["x"], ["r"], alpha=0.5), both]
    if how == "Constant":
        nodes.insert(0, node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(np.array([true]))))
    net = from_onnx(written(tmp_path, nodes, ("N", 1), {"c": np.array(true)} if how == "weights" else {}))
    assert_array_equal(net(np.array([[3.0], [-4.0]])), [[6], [0]] if true else [[3], [-2]])


def test_a_condition_that_is_not_constant(tmp_path: Path) -> None:
    sides = {"then_branch": branch([node("Relu", ["x"], ["p"])], "p"), "else_branch": branch([], "x")}
    with pytest.raises(ConversionError, match=r"\(If\): unsupported operation: which operations run depends on values"):
        from_onnx(
            written(
                tmp_path,
                [node("Identity", ["c"], ["d"]), node("If", ["d"], ["y"], **sides)],
                ("N", 1),
                {"c": np.array(True)},
            )
        )
    with pytest.raises(ConversionError, match="the condition of an If must be one boolean"):
        from_onnx(written(tmp_path, [node("If", ["c"], ["y"], **sides)], ("N", 1), {"c": np.array([1, 2])}))
    del sides["else_branch"]
    with pytest.raises(ConversionError, match="the If 'y' has no else_branch with its outputs"):
        from_onnx(written(tmp_path, [node("If", ["c"], ["y"], **sides)], ("N", 1), {"c": np.array(False)}))


# ---- quantisation, classical machine learning --------------------------------------------------------------------


def test_an_activation_that_is_rounded_is_refused_by_name(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", ["x", "s"], ["q"]), node("DequantizeLinear", ["q", "s"], ["y"])]
    with pytest.raises(ConversionError, match=r"node 'q' \(QuantizeLinear\): unsupported operation: it rounds numbers"):
        from_onnx(written(tmp_path, nodes, ("N", 3), {"s": np.float32(0.5)}))
    with pytest.raises(ConversionError, match=r"node 'y' \(Cast\): it casts activations to integers or booleans"):
        from_onnx(written(tmp_path, [node("Relu", ["x"], ["r"]), node("Cast", ["r"], ["y"], to=INT64)], ("N", 3)))


def test_a_scaler_by_hand(tmp_path: Path) -> None:
    """(x - offset) scale, per feature; one number serves all features."""
    scaler = node("Scaler", ["x"], ["z"], domain=CLASSICAL, offset=[1.0, 2.0], scale=[3.0, 0.5])
    net = from_onnx(written(tmp_path, [scaler, node("Relu", ["z"], ["y"])], ("N", 2)))
    assert_array_equal(net(np.array([[2.0, 6.0]])), [[3, 2]])
    scaler = node("Scaler", ["x"], ["y"], domain=CLASSICAL, offset=[1.0], scale=[3.0])
    assert_array_equal(from_onnx(written(tmp_path, [scaler], ("N", 2)))(np.array([[2.0, 6.0]])), [[3, 15]])
    with pytest.raises(ConversionError, match=r"\(ai\.onnx\.ml\.Scaler\): expected \(N, features\), got shape"):
        from_onnx(written(tmp_path, [scaler], ("N", 2, 3)))


def test_linear_models_by_hand(tmp_path: Path) -> None:
    """Rows of coefficients, one for each target or class; of a classifier, the scores are imported."""
    told: dict[str, Any] = {"coefficients": [1.0, 2.0, -1.0, 0.0], "intercepts": [0.5, 0.0], "domain": CLASSICAL}
    x = np.array([[1.0, 3.0]])
    model = node("LinearRegressor", ["x"], ["y"], targets=2, **told)
    assert_array_equal(from_onnx(written(tmp_path, [model], ("N", 2)))(x), [[7.5, -1]])
    for transform, expected in (
        ("NONE", [7.5, -1]),
        ("LOGISTIC", 1 / (1 + np.exp([-7.5, 1]))),
        ("SOFTMAX", [1 / (1 + np.exp(-8.5)), 1 / (1 + np.exp(8.5))]),
    ):
        model = node("LinearClassifier", ["x"], ["l", "y"], classlabels_ints=[0, 1], post_transform=transform, **told)
        assert_allclose(from_onnx(written(tmp_path, [model], ("N", 2)))(x), [expected], rtol=1e-6)
    softmax = node("LinearClassifier", ["x"], ["l", "p"], classlabels_ints=[0, 1], post_transform="SOFTMAX", **told)
    nodes = [softmax, node("Normalizer", ["p"], ["y"], domain=CLASSICAL, norm="L1")]
    net = from_onnx(written(tmp_path, nodes, ("N", 2)))
    assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["Dense", "Softmax"]


@pytest.mark.parametrize(
    ("op", "told", "message"),
    [
        (
            "LinearRegressor",
            {"coefficients": [1.0, 2.0, 3.0]},
            "its 3 coefficients are not a multiple of the 2",
        ),
        (
            "LinearRegressor",
            {"coefficients": [1.0, 2.0], "post_transform": "SOFTMAX"},
            "post_transform is not supported",
        ),
        ("LinearClassifier", {"coefficients": [1.0, 2.0], "post_transform": "PROBIT"}, "post_transform=PROBIT is not"),
        ("LinearClassifier", {"coefficients": [1.0, 2.0]}, "has 1 rows of coefficients for 0 classes"),
        ("Normalizer", {"norm": "L1"}, "it divides each sample by its own norm, which has no relevance rule here"),
    ],
)
def test_classical_models_that_are_refused(op: str, told: dict[str, Any], message: str, tmp_path: Path) -> None:
    outputs = ["l", "y"] if op == "LinearClassifier" else ["y"]
    with pytest.raises(ConversionError, match=rf"\(ai\.onnx\.ml\.{op}\): .*{message}"):
        from_onnx(written(tmp_path, [node(op, ["x"], outputs, domain=CLASSICAL, **told)], ("N", 2)))


def test_labels_are_not_imported(tmp_path: Path) -> None:
    told = {"coefficients": [1.0, 2.0, 3.0, 4.0], "classlabels_ints": [0, 1], "domain": CLASSICAL}
    nodes = [node("LinearClassifier", ["x"], ["y", "p"], **told)]
    with pytest.raises(ConversionError, match="its output 'y' is used; only its output 'p' is supported"):
        from_onnx(written(tmp_path, nodes, ("N", 2)))


def test_probabilities_in_a_dictionary_are_read_before_it(tmp_path: Path) -> None:
    """As skl2onnx writes classifiers by default: a label, and a ZipMap of the probabilities."""
    nodes = [
        node("Softmax", ["x"], ["p"]),
        node("ZipMap", ["p"], ["output_probability"], domain=CLASSICAL, classlabels_int64s=[0, 1]),
        node("ArgMax", ["p"], ["label"], axis=1),
    ]
    model = onnx.load(written(tmp_path, nodes, ("N", 2), output="label"))
    model.graph.output[0].type.tensor_type.elem_type = INT64
    probabilities = helper.make_tensor_type_proto(FLOAT, None)
    dictionary = helper.make_sequence_type_proto(helper.make_map_type_proto(INT64, probabilities))
    model.graph.output.append(helper.make_value_info("output_probability", dictionary))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    for output in (None, "output_probability"):
        net = from_onnx(tmp_path / "net.onnx", output=output)
        assert [type(layer).__name__ for _, layer, _ in net.nodes] == ["Softmax"]
    with pytest.raises(ConversionError, match=r"\(ArgMax\): unsupported operation: it returns positions or labels"):
        from_onnx(tmp_path / "net.onnx", output="label")


# ---- channels last, as Keras writes it ---------------------------------------------------------------------------

FIRST, LAST = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}


def test_a_dense_layer_on_images_is_one_for_each_cell(tmp_path: Path) -> None:
    """Keras's Dense on (N, H, W, C), with its bias, an activation, and BatchNormalization as Sub, Mul, Add."""
    nodes = [
        node("Shape", ["x"], ["n"]),
        node("Cast", ["x"], ["c"], to=FLOAT),
        node("Mul", ["c", "s"], ["m"]),
        node("Transpose", ["m"], ["t"], **FIRST),
        node("Conv", ["t", "k"], ["v"]),
        node("Transpose", ["v"], ["l"], **LAST),
        node("Sub", ["l", "mean"], ["d"]),
        node("Mul", ["d", "g"], ["e"]),
        node("Add", ["e", "b"], ["f"]),
        node("LeakyRelu", ["f"], ["r"]),
        node("MatMul", ["r", "w"], ["h"]),
        node("Add", ["h", "bias"], ["o"]),
        node("Relu", ["o"], ["q"]),
        node("ReduceMean", ["q", "axes"], ["p"], keepdims=0),
        node("MatMul", ["p", "u"], ["y"]),
    ]
    told = {
        "s": np.float32(0.5),
        "k": floats(4, 3, 3, 3),
        "mean": floats(4),
        "g": floats(4),
        "b": floats(1, 1, 1, 4),
        "w": floats(4, 5),
        "bias": floats(5),
        "axes": np.array([1, 2]),
        "u": floats(5, 2),
    }
    net = from_onnx(written(tmp_path, nodes, ("N", 6, 6, 3), told))
    assert net(floats(2, 3, 6, 6)).shape == (2, 2)
    dense = net["h"]
    assert isinstance(dense, lrpref.TokenDense)
    assert_array_equal(dense.weight, told["w"].T)
    assert_array_equal(dense.bias, told["bias"])


# ---- the words of a refusal --------------------------------------------------------------------------------------

TRACE = (
    'File "/usr/lib/torch/nn/modules/module.py", line 17, in _call_impl\n    return call()\nFile "/home/me/model.py", \
line 42, in forward\n    return torch.special.erf(x) + 1'
)


def test_a_refusal_names_the_line_of_the_users_code(tmp_path: Path) -> None:
    path = written(tmp_path, [node("Erf", ["x"], ["a", "b"][:1], name="odd"), node("Relu", ["a"], ["y"])], ("N", 3))
    model = onnx.load(path)
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value=TRACE)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConversionError) as error:
        from_onnx(path)
    assert str(error.value).endswith(
        "(it computes 'a'; it comes from /home/me/model.py, line 42: return torch.special.erf(x) + 1)"
    )
    assert "node 'odd' (Erf): unsupported operation on activations, except as a part of GELU" in str(error.value)


def test_a_place_in_the_code_is_cut_to_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, [node("Erf", ["x"], ["y"])], ("N", 3))
    model = onnx.load(path)
    told = 'File "a.py", line 1, in f\n    ' + "x" * 10**6
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value=told)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConversionError) as error:
        from_onnx(path)
    assert len(str(error.value)) < 3000


@pytest.mark.parametrize("kind", sorted(set(REASONS) - set(OPERATIONS)))
def test_what_real_networks_have_is_refused_with_a_reason(kind: str, tmp_path: Path) -> None:
    """The reason follows the name."""
    domain, _, op = kind.rpartition(".")
    more = {"Gather": ["i"], "Where": ["x"], "Pow": ["w"], "GatherND": ["i"]}.get(op, [])
    read = ["c", "x", "x"] if op == "Where" else ["x", *more]
    nodes = [node(op, read, ["z"], domain=domain), node("Relu", ["z"], ["y"])]
    told = {"i": np.array([0]), "w": np.float32(2), "c": np.array([True])}
    with pytest.raises(ConversionError) as error:
        from_onnx(written(tmp_path, nodes, ("N", 3), told))
    assert f"node 'z' ({kind}): unsupported operation" in str(error.value)
    assert f": {REASONS[kind]}. Supported: Conv" in str(error.value)


def test_a_matrix_before_its_activations(tmp_path: Path) -> None:
    with pytest.raises(
        ConversionError, match=r"\(MatMul\): a constant matrix times activations is not supported; write"
    ):
        from_onnx(written(tmp_path, [node("MatMul", ["w", "x"], ["y"])], (3, 3), {"w": floats(3, 3)}))
    with pytest.raises(ConversionError, match=r"expected \(N, features\), got shape \(2, 4, 3\); put a Flatten before"):
        from_onnx(written(tmp_path, [node("Gemm", ["x", "w"], ["y"])], (2, 4, 3), {"w": floats(3, 3)}))


def test_one_axis_holds_no_channels(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"\(Add\): a constant of shape \(3,\) changes the activation's shape"):
        from_onnx(written(tmp_path, [node("Add", ["x", "c"], ["y"])], (3,), {"c": floats(3)}))


def test_domains_are_told_apart(tmp_path: Path) -> None:
    assert "" in DOMAINS
    for domain in ("", "ai.onnx"):
        nodes = [node("Relu", ["x"], ["y"], domain=domain)]
        assert from_onnx(written(tmp_path, nodes, ("N", 3))).names == ["y"]
    with pytest.raises(ConversionError, match=r"\(com\.microsoft\.Relu\): unsupported operation\."):
        from_onnx(written(tmp_path, [node("Relu", ["x"], ["y"], domain="com.microsoft")], ("N", 3)))


def test_swish_is_silu(tmp_path: Path) -> None:
    """From opset 24 on."""
    net = from_onnx(written(tmp_path, [node("Swish", ["x"], ["y"])], ("N", 2), opset=24))
    assert isinstance(net["y"], lrpref.SiLU)
    with pytest.raises(ConversionError, match=r"\(Swish\): alpha=2\.0 is not supported; only 1, which is SiLU"):
        from_onnx(written(tmp_path, [node("Swish", ["x"], ["y"], alpha=2.0)], ("N", 2), opset=24))


@pytest.mark.parametrize("kind", [kinds.FLOAT16, kinds.BFLOAT16, FLOAT, DOUBLE])
def test_activations_of_every_type(kind: int, tmp_path: Path) -> None:
    """Casts between them, and Sum with constants of the file's own type."""
    nodes = [
        node("Cast", ["x"], ["c"], to=FLOAT),
        node("Sum", ["c", "b", "c"], ["s"]),
        node("Cast", ["s"], ["y"], to=kind),
    ]
    net = from_onnx(written(tmp_path, nodes, ("N", 2), {"b": np.float32([1, 2])}, kind=kind))
    assert net.dtype == (np.float64 if kind == DOUBLE else np.float32)
    assert_array_equal(net(np.array([[3.0, 4.0]])), [[7, 10]])


def test_the_page_of_the_packages_own_models_is_of_the_listed_ones() -> None:
    """scripts/onnx_models.py writes it; a model that imports as something else is a mistake of the importer."""
    here = Path(__file__).parent
    page = (here.parent / "docs" / "onnx-models.md").read_text()
    names = (here / "onnx-models.txt").read_text().split()
    count = re.search(r"Of (\d+) models, (\d+) are imported, (\d+) of them with .* answer; (\d+) are refused", page)
    assert count is not None
    models, imported, right, refused = map(int, count.groups())
    assert models == len(names) == len(set(names)) == imported + refused
    assert imported == right
    assert "| wrong |" not in page.split("## The light architectures")[1]
