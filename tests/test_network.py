"""The network: valid and invalid graphs, node order, shapes, dtype and backend."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LogSoftmax,
    Network,
    ReLU,
    Scale,
    Sigmoid,
    Softmax,
    ThreshReLU,
    rules,
)
from lrpref import network as network_module
from lrpref.composites import Composite
from lrpref.errors import DTypeError, GraphError, InputError, LrprefError, ParameterError, ShapeError, UnknownNameError

ONE = Dense([[1.0]])
X = np.array([[1.0, 2.0], [3.0, -1.0]])


def residual() -> Network:
    """y = x + W relu(V x), with the nodes listed out of graph order."""
    return Network(
        [
            ("sum", Add(), ["input", "second"]),
            ("second", Dense([[1.0, 0.0], [2.0, 1.0]]), ["relu"]),
            ("first", Dense([[1.0, -1.0], [0.5, 1.0]]), ["input"]),
            ("relu", ReLU(), ["first"]),
        ]
    )


# ---- invalid graphs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "at least one node"),
        ([("a", ONE, ["b"]), ("b", ONE, ["a"])], "cycle: a -> b -> a"),
        ([("a", ONE, ["a"])], "cycle: a -> a"),
        ([("a", ONE, ["input"]), ("b", ONE, ["c"]), ("c", ONE, ["b"]), ("s", Add(), ["a", "c"])], "cycle: b -> c -> b"),
        ([("a", ONE, ["nowhere"])], "'a' reads 'nowhere', which is neither a node"),
        ([("a", ONE, ["input"]), ("a", ONE, ["input"])], "more than once: a"),
        ([("input", ONE, ["input"])], "'input' is the name of the network's input"),
        ([("a", ONE, ["input"]), ("b", ONE, ["input"])], "no other node reads these: a, b"),
        ([("a", np.ones((1, 1)), ["input"])], "'a': expected a layer, got ndarray"),
        ([("a", Dense, ["input"])], "'a': expected a layer, got type"),
        ([("a", ONE, [])], r"'a' \(Dense\) takes 1 input, got 0"),
        ([("a", ONE, ["input", "input"])], r"'a' \(Dense\) takes 1 input, got 2"),
        ([("a", Add(), ["input"])], r"'a' \(Add\) takes 2 or more inputs, got 1"),
        ([("a", Concat(), ["input"])], r"'a' \(Concat\) takes 2 or more inputs, got 1"),
    ],
)
def test_what_is_no_network(nodes: list, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Network(nodes)


def test_as_many_names_as_layers() -> None:
    with pytest.raises(GraphError, match="2 layers need 2 names, got 1"):
        Network.sequential(ONE, ONE, names=["a"])
    with pytest.raises(GraphError, match="at least one node"):
        Network.sequential()


# ---- order and names ---------------------------------------------------------------------------------------------


def test_nodes_may_come_in_any_order() -> None:
    expected = None
    for nodes in itertools.permutations(residual().nodes):
        net = Network(nodes)
        seen = {"input"}
        for name, _, inputs in net.nodes:
            assert seen.issuperset(inputs)
            seen.add(name)
        y = net.forward(X)
        expected = y if expected is None else expected
        assert_array_equal(y, expected)
        assert net.output == "sum"
    first = np.maximum(X @ [[1, 0.5], [-1, 1]], 0)
    assert_array_equal(expected, X + first @ [[1, 2], [0, 1]])


def test_an_order_that_fits_is_kept() -> None:
    names = ["b", "a", "d", "c"]
    parts = [("b", ONE, ["input"]), ("a", ONE, ["input"]), ("d", ONE, ["b"]), ("c", Add(), ["a", "d"])]
    assert Network(parts).names == names


def test_a_single_input_may_be_given_by_its_name_alone() -> None:
    net = Network([("first", ONE, "input"), ("relu", ReLU(), "first")])
    assert net.nodes[1].inputs == ("first",)


def test_names_count_by_type_unless_given() -> None:
    assert Network.sequential(ONE, ReLU(), ONE).names == ["dense1", "relu1", "dense2"]
    assert Network.sequential(ONE, ReLU(), names=["fc", "act"]).names == ["fc", "act"]


def test_a_layer_by_its_nodes_name() -> None:
    assert isinstance(residual()["relu"], ReLU)
    with pytest.raises(GraphError, match=r"'rely'. Nodes: first, relu, second, sum"):
        residual()["rely"]


def test_the_print_shows_every_node_and_what_it_reads() -> None:
    lines = repr(residual()).splitlines()
    assert lines[0] == "Network"
    assert "  sum: Add <- input, second" in lines


def test_the_nodes_are_triples() -> None:
    for name, layer, inputs in residual().nodes:
        assert isinstance(name, str)
        assert isinstance(layer, lrpref.Layer)
        assert isinstance(inputs, tuple)


# ---- forward -----------------------------------------------------------------------------------------------------


def test_a_shared_layer_computes_at_every_node_and_stays_one_object() -> None:
    double = Dense([[2.0]])
    net = Network.sequential(double, double, double)
    assert_array_equal(net.forward(np.array([[1.0]])), [[8.0]])
    moved = net.astype(np.float32)
    assert len({id(layer) for _, layer, _ in moved.nodes}) == 1
    assert_array_equal(moved.forward(np.array([[1.0]])), [[8.0]])


def test_one_node_may_read_another_twice() -> None:
    net = Network([("sum", Add(), ["input", "input"])])
    assert_array_equal(net.forward(X), 2 * X)
    assert_array_equal(lrpref.explain(net, X, rule=Composite([(Add, rules.Zero())]), seed=X), X)


def test_activations_hold_every_node_and_the_input() -> None:
    net = residual()
    found = net.activations(X)
    assert set(found) == {"input", *net.names}
    assert_array_equal(found["input"], X)
    assert_array_equal(found["relu"], np.maximum(found["first"], 0))
    assert_array_equal(net(X), net.forward(X))


def test_the_input_is_not_changed() -> None:
    x = X.copy()
    x.flags.writeable = False
    residual().forward(x)
    assert_array_equal(x, X)


def test_an_empty_batch_gives_an_empty_output() -> None:
    assert residual().forward(np.empty((0, 2))).shape == (0, 2)


# ---- shapes ------------------------------------------------------------------------------------------------------


def test_shapes_of_every_node_without_computing() -> None:
    net = Network.sequential(Conv2D(np.ones((4, 3, 3, 3)), stride=2), Flatten(), Dense(np.ones((5, 36))))
    assert net.shapes((7, 3, 8, 8)) == {
        "input": (7, 3, 8, 8),
        "conv2d1": (7, 4, 3, 3),
        "flatten1": (7, 36),
        "dense1": (7, 5),
    }


@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (residual(), (1, 3), r"node 'first' \(Dense\): expected \(N, 2\), got \(1, 3\)"),
        (Network.sequential(Conv2D(np.ones((1, 3, 1, 1))), Dense([[1.0]])), (1, 3, 1, 1), "put a Flatten"),
        (Network.sequential(Conv2D(np.ones((1, 3, 1, 1)))), (3, 8, 8), r"x\[None\]"),
        (
            Network([("sum", Add(), ["input", "fc"]), ("fc", Dense([[1.0, 1.0]]), ["input"])]),
            (1, 2),
            "inputs of equal shape",
        ),
    ],
)
def test_a_shape_that_does_not_fit_names_the_node(net: Network, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        net.shapes(shape)
    with pytest.raises(ShapeError, match=message):
        net.forward(np.ones(shape))


# ---- casting and refusal of inputs -------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_with_their_sample(bad: float) -> None:
    x = np.ones((4, 2))
    x[2, 1] = bad
    with pytest.raises(InputError, match="1 NaN or infinite values, first in sample 2"):
        residual().forward(x)


@pytest.mark.parametrize("x", [np.float64(1.0), np.ones(2), [1.0, 2.0], 3])
def test_a_batch_has_two_axes_at_least(x: object) -> None:
    with pytest.raises(InputError, match=r"x\[None\]"):
        residual().forward(x)


@pytest.mark.parametrize("x", [X.astype(np.float16), X.astype(complex), np.array([["a", "b"]])])
def test_number_types_that_cannot_be_computed_with(x: np.ndarray) -> None:
    with pytest.raises(DTypeError, match="dtype"):
        residual().forward(x)


def test_an_array_on_another_backend_is_refused() -> None:
    with pytest.raises(InputError, match=r"is on numpy, the input on array-api-strict; use lrpref.asarray"):
        residual().forward(lrpref.asarray(X, "array-api-strict"))
    with pytest.raises(InputError, match="is on array-api-strict, the input on numpy"):
        residual().to("array-api-strict").forward(X)


@pytest.mark.parametrize("x", [[[1, 2], [3, -1]], X.astype(int), X.astype(np.float32), X.astype(np.int8)])
def test_lists_integers_and_other_floats_are_cast(x: object) -> None:
    y = residual().forward(x)
    assert y.dtype == np.float64
    assert_array_equal(y, residual().forward(X))


def test_booleans_are_zeros_and_ones() -> None:
    assert_array_equal(residual().forward(X > 0), residual().forward((X > 0).astype(float)))


# ---- dtype and backend -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32", np.dtype("float32"), np.longdouble])
def test_the_network_decides_the_number_type(dtype: object) -> None:
    net = residual().astype(dtype)
    assert net.dtype == np.dtype(dtype)  # type: ignore[call-overload]
    assert net.forward(X).dtype == net.dtype
    assert lrpref.explain(net, X, rule="epsilon").dtype == net.dtype


def test_the_widest_type_wins_where_they_differ() -> None:
    """The others are converted: BatchNorm's factor, for example, is not rounded to float32 first."""
    narrow, wide = Dense(np.ones((1, 1), np.float32)), Dense(np.ones((1, 1)))
    assert Network.sequential(narrow).dtype == np.float32
    norm = BatchNorm(None, None, np.zeros(1, np.float32), np.full(1, 2.0, np.float32), eps=1.0)
    net = Network([("a", narrow, ["input"]), ("b", narrow, ["a"]), ("c", norm, ["b"]), ("d", wide, ["c"])])
    assert net.dtype == net["a"].weight.dtype == np.float64
    assert net["a"] is net["b"]  # a shared layer stays shared
    assert net["d"] is wide
    assert_array_equal(net.forward([[1.0]]), [[1 / np.sqrt(3)]])
    for form in ("plain", "direct"):
        assert_allclose(lrpref.explain(net, np.ones((1, 1)), rule="zero", form=form), 1 / np.sqrt(3), rtol=1e-15)
    exact_one = Dense(lrpref.exact([[1]]))
    with pytest.raises(DTypeError, match="exact and floating-point numbers do not mix"):
        Network.sequential(narrow, exact_one).forward(lrpref.exact([[1]]))


def test_a_network_without_parameters_takes_the_inputs_type() -> None:
    net = Network.sequential(ReLU(), Softmax())
    assert net.dtype is None
    assert net.backend is None
    for dtype in (np.float32, np.float64):
        assert net.forward(X.astype(dtype)).dtype == dtype


def test_a_mask_is_no_number_type() -> None:
    """The booleans of a ThreshReLU do not determine the dtype and are not converted."""
    net = Network.sequential(ThreshReLU(0.5, below=np.array([True, False])))
    assert net.dtype is None
    assert_array_equal(net.forward(X), [[0.5, 2.0], [0.5, 0.5]])
    assert net.astype(np.float32).nodes[0].layer.below.dtype == bool


@pytest.mark.parametrize("dtype", [np.float16, complex, int, np.int64, bool, "float16"])
def test_a_type_that_cannot_be_computed_with_is_refused(dtype: object) -> None:
    """Integers in particular, which would silently truncate the weights."""
    with pytest.raises(DTypeError):
        residual().astype(dtype)


def test_astype_leaves_the_original_alone() -> None:
    net = residual()
    net.astype(np.float32)
    assert net.dtype == np.float64


def test_to_another_backend_and_back() -> None:
    net = residual()
    strict = net.to("array-api-strict")
    assert (net.backend, strict.backend) == ("numpy", "array-api-strict")
    y = strict.forward(lrpref.asarray(X, "array-api-strict"))
    assert_array_equal(lrpref.to_numpy(y), net.forward(X))
    back = strict.to("numpy")
    assert back.backend == "numpy"
    assert_array_equal(back.forward(X), net.forward(X))


@pytest.mark.parametrize("dtype", [np.float32, "float32"])
def test_astype_on_another_backend(dtype: object) -> None:
    strict = residual().to("array-api-strict").astype(dtype)
    assert strict.to("numpy").dtype == np.float32


def test_a_network_on_two_backends_says_so() -> None:
    moved = Dense(lrpref.asarray([[1.0]], "array-api-strict"))
    with pytest.raises(GraphError, match=r"several backends: array-api-strict, numpy; use net.to"):
        Network.sequential(ONE, moved).forward(np.ones((1, 1)))


def test_backends_nobody_knows() -> None:
    with pytest.raises(UnknownNameError, match="torch"):
        residual().to("torch")


def test_map_arrays_reaches_every_array() -> None:
    """Including BatchNorm's statistics; a bias of None stays None."""
    net = Network.sequential(Dense([[1.0, 2.0]], None), BatchNorm([1.0], None, [2.0], [3.0]), names=["fc", "bn"])
    assert set(net.parameters) == {"fc.weight", "bn.weight", "bn.mean", "bn.var"}
    doubled = net.map_arrays(lambda array: 2 * array)
    for name, array in net.parameters.items():
        assert_array_equal(doubled.parameters[name], 2 * array)
    assert doubled["fc"].bias is None


def test_parameters_are_read_only_and_checked_again_after_a_change() -> None:
    net = residual()
    with pytest.raises(ValueError, match="read-only"):
        net["first"].weight[0, 0] = 3.0
    with pytest.raises(ParameterError, match="NaN"):
        net.map_arrays(lambda array: np.nan * array)


def test_a_network_can_be_pickled_and_copied() -> None:
    net = residual()
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert_array_equal(other.forward(X), net.forward(X))


@pytest.mark.parametrize("x", ["text", None, object(), {1: 2}])
def test_what_is_no_array_at_all(x: object) -> None:
    with pytest.raises(LrprefError):
        residual().forward(x)


# ---- graph surgery -----------------------------------------------------------------------------------------------


def test_readers_in_order() -> None:
    net = residual()
    assert net.readers("input") == ["first", "sum"]
    assert net.readers("sum") == []


def test_replace_leaves_a_layer_that_is_shared_at_its_other_nodes() -> None:
    net = Network([("a", ONE, ["input"]), ("b", ONE, ["a"])])
    other = net.replace("b", Dense([[3.0]]))
    assert other["a"] is net["a"]
    assert_array_equal(other.forward(np.array([[2.0]])), [[6.0]])
    assert_array_equal(net.forward(np.array([[2.0]])), [[2.0]])  # the original is unchanged


def test_remove_lets_readers_read_what_was_read() -> None:
    net = residual().remove("relu")
    assert net.node("second").inputs == ("first",)
    assert_array_equal(net.forward(X), X + X @ residual()["first"].weight.T @ residual()["second"].weight.T)
    with pytest.raises(GraphError, match=r"node 'sum' \(Add\) reads 2 nodes and cannot be removed"):
        residual().remove("sum")


def test_insert_after_a_node_and_after_the_input() -> None:
    net, double = residual(), Dense(2 * np.eye(2))
    assert net.insert_after("first", "double", double).node("relu").inputs == ("double",)
    doubled = net.insert_after("input", "double", double)
    assert doubled.readers("input") == ["double"]
    assert_array_equal(doubled.forward(X), net.forward(2 * X))
    assert_array_equal(net.insert_after("sum", "double", double).forward(X), 2 * net.forward(X))


def test_up_to_a_node_is_the_network_that_computes_it() -> None:
    net = residual()
    part = net.up_to("relu")
    assert part.names == ["first", "relu"]
    assert_array_equal(part.forward(X), net.activations(X)["relu"])
    assert net.up_to(net.output).names == net.names


@pytest.mark.parametrize("edit", ["node", "remove", "up_to"])
def test_an_unknown_node_is_named(edit: str) -> None:
    with pytest.raises(GraphError, match=r"no node is called 'rely'\. Nodes: first, relu, second, sum"):
        getattr(residual(), edit)("rely")
    with pytest.raises(GraphError, match="no node is called 'rely'"):
        residual().replace("rely", ONE)
    with pytest.raises(GraphError, match="no node is called 'rely'"):
        residual().insert_after("rely", "new", ONE)


# ---- a network that is valid for one input shape -------------------------------------------------------------------

SIZED = Network(
    [
        ("conv", Conv2D(np.ones((1, 1, 2, 2))), ["input"]),
        ("bn", BatchNorm([2.0], [1.0], [0.0], [1.0]), ["conv"]),
        ("relu", ReLU(), ["bn"]),
        ("flatten", Flatten(), ["relu"]),
    ],
    input_shape=(1, 3, None),
    fixed_by="a test says so",
)

EDITS = {
    "as it is": lambda net: net,
    "replace": lambda net: net.replace("relu", ReLU()),
    "remove": lambda net: net.remove("bn"),
    "insert_after": lambda net: net.insert_after("input", "first", ReLU()),
    "map_layers": lambda net: net.map_layers(lambda layer: layer),
    "up_to": lambda net: net.up_to("conv"),
    "without_head": lambda net: net.insert_after("flatten", "head", Softmax()).without_head(),
    "to": lambda net: net.to("array-api-strict").to("numpy"),
    "astype": lambda net: net.astype("float32"),
    "with_nodes": lambda net: net.with_nodes(net.nodes[:2]),
    "fuse": lrpref.fuse,
    "exact": lrpref.exact,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "state dict": lambda net: lrpref.weights.from_state_dict(
        net,
        {key.replace("bn.mean", "bn.running_mean").replace("bn.var", "bn.running_var"): value
         for key, value in net.parameters.items()},
    ),
    "randomised": lambda net: lrpref.evaluation.randomisation.randomised(net, ["conv"]),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_the_input_shape_is_kept_by_every_edit(edit: str) -> None:
    net = EDITS[edit](SIZED)
    assert (net.input_shape, net.fixed_by) == ((1, 3, None), "a test says so")
    net.shapes((5, 1, 3, 9))
    with pytest.raises(
        ShapeError, match=r"accepts inputs of shape \(N, 1, 3, any\), got \(5, 1, 4, 9\): a test says so"
    ):
        net.shapes((5, 1, 4, 9))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: SIZED.forward(x),
        lambda x: lrpref.explain(SIZED, x),
        lambda x: lrpref.trace(SIZED, x),
        lambda x: lrpref.prepare(SIZED, "zero").forward(x),
        lambda x: lrpref.prepare(SIZED, "zero").explain(x),
        lambda x: lrpref.prepare(SIZED, "zero").trace(x),
        lambda x: lrpref.prepare(SIZED, "zero").run(x),
    ],
)
@pytest.mark.parametrize("shape", [(2, 1, 4, 3), (2, 1, 3), (2, 2, 3, 3)])
def test_another_input_shape_is_refused_wherever_the_network_is_used(compute: Any, shape: tuple[int, ...]) -> None:
    compute(np.ones((2, 1, 3, 4)))
    with pytest.raises(ShapeError, match="a test says so"):
        compute(np.ones(shape))


def test_a_new_network_of_the_same_nodes_accepts_every_size() -> None:
    free = Network(SIZED.nodes)
    assert free.input_shape is None
    assert free.forward(np.ones((1, 1, 5, 5))).shape == (1, 16)


def test_the_input_shape_is_printed() -> None:
    assert str(SIZED).startswith("Network for inputs of shape (1, 3, None)\n  conv: Conv2D <- input")


@pytest.mark.parametrize("shape", [(), "33", 3, (3, 0), (3, -1), (3, 2.0), (True,), {3: 4}])
def test_input_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(GraphError, match="input_shape must list positive integers, or None for any size"):
        Network(SIZED.nodes, input_shape=shape)


# ---- heads -------------------------------------------------------------------------------------------------------

P, ONE_MINUS_P = ("p", Sigmoid(), ["fc"]), ("rest", Scale([-1.0], [1.0]), ["p"])
HEADS: dict[str, tuple[str, type | None, list[Any]]] = {
    "none": ("fc", None, []),
    "softmax": ("fc", Softmax, [("softmax", Softmax(), ["fc"])]),
    "log-softmax": ("fc", Softmax, [("log", LogSoftmax(), ["fc"])]),
    "sigmoid": ("fc", Sigmoid, [P]),
    "1 - p": ("rest", Sigmoid, [P, ONE_MINUS_P]),
    "1 - (1 - p)": ("same", Sigmoid, [P, ONE_MINUS_P, ("same", Scale([-1.0], [1.0]), ["rest"])]),
    "two columns": ("both", Sigmoid, [P, ONE_MINUS_P, ("both", Concat(), ["rest", "p"])]),
    "moved": ("flat", Sigmoid, [P, ("dropout", Dropout(), ["p"]), ("flat", Flatten(), ["dropout"])]),
    "several labels": (
        "labels", Sigmoid,
        [P, ("other", Dense([[3.0]]), ["input"]), ("q", Sigmoid(), ["other"]), ("labels", Concat(), ["p", "q"])],
    ),
    "twice": ("p", Sigmoid, [P, ("again", Sigmoid(), ["p"])]),
    "scaled by another number": ("half", None, [P, ("half", Scale([-0.5], [1.0]), ["p"])]),
    "one raw column": ("both", None, [P, ("both", Concat(), ["fc", "p"])]),
    "inside": ("last", None, [P, ("last", Dense([[2.0]]), ["p"])]),
    "read inside": (
        "both", None,
        [
            P, ONE_MINUS_P, ("gate", Dense([[2.0]]), ["rest"]), ("q", Sigmoid(), ["gate"]),
            ("both", Concat(), ["rest", "q"]),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_the_logits_precede_the_head(name: str) -> None:
    logits, head, ending = HEADS[name]
    net = Network([("fc", Dense([[2.0]], [-1.0]), ["input"]), *ending])
    assert net.logits == logits
    assert (type(net.head) if net.head else None) is head
    found = net.without_head().forward(x := np.array([[0.25], [3.0]]))
    if net.head is None:
        assert net.without_head() is net
    elif not isinstance(net.nodes[-1].layer, LogSoftmax):
        assert_allclose(net.head.forward(found), net.forward(x), rtol=1e-15, atol=1e-15)
    else:
        assert_allclose(net.head.forward(found), np.exp(net.forward(x)), rtol=1e-15, atol=1e-15)


def test_the_logits_of_two_columns_are_opposite() -> None:
    net = Network([("fc", Dense([[2.0]]), ["input"]), *HEADS["two columns"][2]])
    assert_array_equal(net.without_head().forward(np.array([[3.0]])), [[-6.0, 6.0]])


def test_the_search_for_a_head_visits_a_node_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are 2^50 paths through fifty skip connections, with additions in a network and with copies in its head."""
    visits, search = [], network_module._logits

    def visit(*arguments: Any) -> str | None:
        visits.append(arguments)
        assert len(visits) < 1000
        return search(*arguments)

    monkeypatch.setattr(network_module, "_logits", visit)
    for join, head in ((Add(), None), (Concat(), Sigmoid)):
        nodes: list[Any] = [("fc", Dense([[2.0]]), ["input"]), ("p0", Sigmoid(), ["fc"])]
        nodes += [(f"p{k}", join, [f"p{k - 1}"] * 2) for k in range(1, 51)]
        net = Network(nodes)
        assert net.logits == "p50"
        assert (type(net.head) if net.head else None) is head


def test_a_head_alone_has_no_logits() -> None:
    for layer in (Softmax(), Sigmoid()):
        net = Network.sequential(layer)
        assert net.head is None
        assert net.without_head() is net


# ---- bounds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nodes", [[(1, ReLU(), ["input"])], [("a", ReLU(), [float("nan")])], [("a", ReLU(), [["input"]])]]
)
def test_names_are_texts(nodes: list[Any]) -> None:
    with pytest.raises(GraphError, match=r"must be a string, got 1|must be a list of names, got"):
        Network(nodes)


def test_many_nodes_in_any_order_are_sorted_at_once() -> None:
    """In the given order where nothing else is required; 10,000 nodes in reverse took 20 s when this was quadratic."""
    names = [f"n{i}" for i in range(10_000)]
    chain = [(name, ReLU(), [source]) for name, source in zip(names, ["input", *names], strict=False)]
    assert Network(chain[::-1]).names == names
    free = [("b", ReLU(), ["input"]), ("c", ReLU(), ["a"]), ("a", ReLU(), ["input"]), ("d", Add(), ["b", "c"])]
    assert Network(free).names == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    "layer",
    [
        lrpref.Pad2D(10**8),
        lrpref.MaxPool2D(10**8 + 1, padding=10**8),
        lrpref.AvgPool2D(10**8 + 1, padding=10**8),
        Conv2D(np.ones((1, 1, 1, 1)), padding=10**8),
    ],
)
def test_a_sample_that_would_become_too_large(layer: lrpref.Layer) -> None:
    x = np.ones((1, 1, 2, 2))
    message = (
        r"one sample of shape \(1, 200000002, 200000002\) would have 40000000800000004 numbers, more than the limit"
    )
    with pytest.raises(ShapeError, match=rf"node 'a' \({type(layer).__name__}\): {message}"):
        Network([("a", layer, ["input"])]).forward(x)
    with pytest.raises(ShapeError, match=message):
        layer.forward(x)


def test_an_output_may_be_too_large_without_padding() -> None:
    """2^20 channels, from weights of 4 MB, on 2^11 pixels."""
    net = Network.sequential(Conv2D(np.ones((2**20, 1, 1, 1), np.float32)), names=["wide"])
    with pytest.raises(ShapeError, match=r"node 'wide' \(Conv2D\): one sample of shape \(1048576, 1, 2048\)"):
        net.shapes((1, 1, 1, 2**11))
