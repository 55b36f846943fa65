"""Networks of several inputs and several outputs.

The law behind all of them: several inputs are one input in pieces. A network whose first node joins its inputs computes
the same relevance, to the last bit, as the network that reads the joined input.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, BatchNorm, Concat, Conv2D, Dense, Flatten, Network, ReLU, Sigmoid, Softmax, rules
from lrpref.cli import main
from lrpref.composites import Composite, EpsilonGammaBox, EpsilonPlusFlat
from lrpref.errors import (
    DTypeError,
    GraphError,
    InputError,
    LrprefError,
    ParameterError,
    RuleError,
    ShapeError,
    WeightsError,
)
from lrpref.testing import describe
from lrpref.testing.cases import NetworkCase, smaller
from lrpref.testing.strategies import generic, images, networks, two_inputs

few = settings(max_examples=settings.default.max_examples // 4)
RULES = ["epsilon-plus-flat", "epsilon", "zero", "z-plus", "gamma", "flat"]


def in_pieces(net: Network) -> Network:
    """The network with two inputs, "a" and "b", which it joins along the channels."""
    nodes = [(name, layer, ["joined" if i == "input" else i for i in read]) for name, layer, read in net.nodes]
    return Network([("joined", Concat(), ["a", "b"]), *nodes], inputs=["a", "b"])


def sums(R: Any) -> np.ndarray:
    """The relevance of each sample, of all inputs together."""
    return sum(part.reshape(len(part), -1).sum(axis=1) for part in R)


IMAGE_AND_TABLE = Network(
    [
        ("conv", Conv2D(np.arange(-4.0, 4.0).reshape(1, 2, 2, 2) / 4, [0.25]), "image"),
        ("relu", ReLU(), "conv"),
        ("flat", Flatten(), "relu"),
        ("fc", Dense([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]], [0.5, 0.0]), "table"),
        ("both", Concat(), ["flat", "fc"]),
        ("out", Dense(np.arange(-6.0, 6.0).reshape(2, 6) / 4, [0.5, -0.25]), "both"),
    ],
    inputs=["image", "table"],
)
IMAGE = np.arange(-18.0, 18.0).reshape(2, 2, 3, 3) / 8
TABLE = np.array([[1.0, 0.5, -0.25], [-1.0, 2.0, 0.5]])
BOTH = (IMAGE, TABLE)
ENDS = Network(
    [
        ("body", Dense([[1.0, -2.0], [0.5, 1.0], [2.0, 0.25]], [0.5, -0.5, 0.0]), "input"),
        ("relu", ReLU(), "body"),
        ("size", Dense([[1.0, 2.0, -1.0]]), "relu"),
        ("logits", Dense([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]]), "relu"),
        ("class", Softmax(), "logits"),
    ],
    outputs=["size", "class"],
)
X = np.array([[2.0, 0.5], [1.0, -1.0]])


# ---- several inputs are one input in pieces ---------------------------------------------------------------------


@few
@pytest.mark.parametrize("rule", RULES)
@given(case=networks(shape=images(batch=st.just(2), channels=st.just(3)), numbers=generic))
def test_pieces_get_what_the_whole_gets(rule: str, case: NetworkCase) -> None:
    """To the last bit in the plain walk, first layers and books included."""
    net, x = case
    whole = lrpref.trace(net, x, rule=rule)
    pieces = lrpref.trace(in_pieces(net), (x[:, :1], x[:, 1:]), rule=rule)
    assert_array_equal(np.concatenate(pieces.relevance, axis=1), whole.relevance)
    assert_array_equal(pieces.ledger["bias"][:-1], whole.ledger["bias"])
    fast = lrpref.explain(in_pieces(net), (x[:, :1], x[:, 1:]), rule=rule)
    assert_allclose(
        np.concatenate(fast, axis=1), whole.relevance, rtol=0, atol=1e-9 * max(1, abs(whole.relevance).max())
    )


@given(case=two_inputs(numbers=generic), rule=st.sampled_from(RULES))
def test_relevance_is_conserved_over_all_inputs(case: NetworkCase, rule: str) -> None:
    net, x = case
    found = lrpref.trace(net, x, rule=rule)
    assert [R.shape for R in found.relevance] == [part.shape for part in x]
    moved = sum(abs(part).sum() for part in found.at.values()) + abs(found.ledger["bias"]).sum()
    lost = sum(found.ledger[loss].sum(axis=0) for loss in ("bias", "stabilizer", "dropped", "factor"))
    started = found.logits[np.arange(len(x[0])), found.target]
    assert_allclose(sums(found.relevance), started - lost, rtol=0, atol=1e-11 * max(1, moved))
    assert_allclose(found.ledger.arrived(), sums(found.relevance), rtol=0, atol=1e-11 * max(1, moved))


@given(case=two_inputs(numbers=generic), rule=st.sampled_from(RULES), form=st.sampled_from(["direct", "winograd"]))
def test_prepared_equals_plain(case: NetworkCase, rule: str, form: str) -> None:
    net, x = case
    plain = lrpref.trace(net, x, rule=rule)
    prepared = lrpref.prepare(net, rule, form)
    close = 1e-9 * max(1, *(abs(R).max() for R in plain.at.values()))
    fast = prepared.trace(x)
    assert_allclose(prepared.forward(x), plain.logits, rtol=0, atol=close)
    for R, expected in zip(fast.relevance, plain.relevance, strict=True):
        assert_allclose(R, expected, rtol=0, atol=close)
    assert {"image", "table"} <= set(fast.at)


@given(case=two_inputs(shape=images(batch=st.just(3))))
def test_a_sample_does_not_depend_on_its_batch(case: NetworkCase) -> None:
    net, x = case
    R, blocks = lrpref.explain(net, x), lrpref.explain(net, x, batch_size=2)
    for part, of_blocks, alone in zip(R, blocks, lrpref.explain(net, tuple(v[1:2] for v in x)), strict=True):
        assert_allclose(of_blocks, part, rtol=1e-9, atol=1e-12)
        assert_allclose(alone, part[1:2], rtol=1e-9, atol=1e-12)


@few
@given(case=two_inputs(numbers=generic, blocks=st.lists(st.sampled_from(["convolution", "max_pool"]), max_size=2)))
def test_fractions_close_the_books_exactly(case: NetworkCase) -> None:
    net, x = lrpref.exact(case.net), tuple(map(lrpref.exact, case.x))
    found = lrpref.trace(net, x, rule="epsilon")
    assert (found.ledger.residual() == 0).all()
    assert (found.ledger.arrived() == sums(found.relevance)).all()


def test_two_inputs_by_hand() -> None:
    """Add reads 1 and 3, so a = 4 and z = a - 1 = 3; R = 3 gives a / z * R = 4 to a, of which 1/4 and 3/4 go on."""
    net = Network([("sum", Add(), ["a", "b"]), ("fc", Dense([[1.0]], [-1.0]), "sum")], inputs=["a", "b"])
    found = lrpref.trace(lrpref.exact(net), (lrpref.exact([[1]]), lrpref.exact([[3]])), rule="zero", seed=3)
    assert [R.item() for R in found.relevance] == [Fraction(1), Fraction(3)]
    assert found.ledger["bias"].tolist() == [[Fraction(-1)], [Fraction(0)]]


# ---- what goes in and comes out ---------------------------------------------------------------------------------


def test_a_dict_goes_in_and_comes_out() -> None:
    by_name = {"table": TABLE, "image": IMAGE}
    for explain in (
        lambda x: lrpref.explain(IMAGE_AND_TABLE, x),
        lambda x: lrpref.explain(IMAGE_AND_TABLE, x, form="plain"),
        lambda x: lrpref.explain(IMAGE_AND_TABLE, x, batch_size=1),
        lambda x: lrpref.trace(IMAGE_AND_TABLE, x).relevance,
        lambda x: lrpref.prepare(IMAGE_AND_TABLE).run(x).explain(),
        lambda x: lrpref.prepare(IMAGE_AND_TABLE).trace(x).relevance,
    ):
        in_order, named = explain(BOTH), explain(by_name)
        assert isinstance(in_order, tuple)
        assert list(named) == ["image", "table"]
        for name, R in zip(named, in_order, strict=True):
            assert_array_equal(named[name], R)
    assert_array_equal(IMAGE_AND_TABLE(by_name), IMAGE_AND_TABLE(BOTH))
    assert_array_equal(IMAGE_AND_TABLE([IMAGE.tolist(), TABLE.tolist()]), IMAGE_AND_TABLE(BOTH))
    assert list(IMAGE_AND_TABLE.activations(BOTH))[:3] == ["image", "table", "conv"]


def test_one_input_may_have_another_name() -> None:
    """The batch is then an array, as ever."""
    net = Network([("fc", Dense([[2.0, 1.0]]), "digits")], inputs="digits")
    assert_array_equal(lrpref.explain(net, X, rule="zero"), X * [2, 1])
    assert lrpref.trace(net, X).at.keys() == {"fc", "digits"}
    assert repr(net) == "Network of digits\n  fc: Dense <- digits"


def test_an_input_that_the_output_does_not_depend_on_gets_zeros() -> None:
    net = IMAGE_AND_TABLE.up_to("fc")
    assert net.inputs == ("image", "table")
    for form in ("plain", "direct"):
        image, table = lrpref.explain(net, BOTH, rule="zero", form=form)
        assert_array_equal(image, np.zeros_like(IMAGE))
        assert table.any()
    image, table = lrpref.explain(IMAGE_AND_TABLE, BOTH, node="relu")
    assert image.any()
    assert_array_equal(table, np.zeros_like(TABLE))
    several = lrpref.prepare(net).run((IMAGE[:1], TABLE[:1])).explain(np.array([0, 1, 1]))
    assert [R.shape for R in several] == [(3, 2, 3, 3), (3, 3)]


def test_each_input_has_first_layers() -> None:
    assigned = EpsilonPlusFlat().assign(IMAGE_AND_TABLE)
    assert [str(assigned[name])[:4] for name in ("conv", "fc", "out")] == ["flat", "flat", "epsi"]
    boxed = EpsilonGammaBox(-3, 3).assign(IMAGE_AND_TABLE)
    assert [type(boxed[name]) for name in ("conv", "fc")] == [rules.ZBox, rules.Epsilon]
    own = Composite([("conv", rules.ZBox(-3, 3)), ("fc", rules.ZBox(-1, 2)), (Dense, rules.Epsilon())])
    _, table = lrpref.explain(IMAGE_AND_TABLE, BOTH, rule=own, form="plain")
    at = lrpref.trace(IMAGE_AND_TABLE, BOTH, rule=own).at
    w = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]])
    z = TABLE[:, None, :] * w + np.maximum(w, 0) - 2 * np.minimum(w, 0)  # x w - l w+ - h w-
    s = at["fc"] / (z.sum(axis=2) + rules.ZBox(-1, 2).stabilizer)
    assert_allclose(table, (z * s[:, :, None]).sum(axis=1), rtol=1e-12)


def test_a_box_that_no_layer_uses_is_refused_for_each_input() -> None:
    """The table has a first layer, but the image meets a BatchNorm, so its bounds would be ignored."""
    normed = IMAGE_AND_TABLE.insert_after("image", "bn", BatchNorm(None, None, [0.0, 1.0], [1.0, 2.0]))
    with pytest.raises(RuleError, match=r"no layer uses z-box\(.*because 'bn' \(BatchNorm\) comes before the first"):
        EpsilonGammaBox(-3, 3).assign(normed)
    assert EpsilonPlusFlat().assign(normed)["fc"] == rules.Flat(1e-6)
    tables = Network([("fc", Dense([[1.0]]), "a"), ("sum", Add(), ["fc", "b"])], inputs=["a", "b"])
    assert EpsilonGammaBox(-3, 3).assign(tables)["fc"] == rules.Epsilon(1e-6)


def test_results_are_written_for_each_input(tmp_path: Path) -> None:
    expected = lrpref.explain(IMAGE_AND_TABLE, BOTH)
    files = tuple(tmp_path / f"{name}.npy" for name in "ab")
    written = lrpref.explain(IMAGE_AND_TABLE, BOTH, out=files, batch_size=1)
    arrays = {"image": np.empty_like(IMAGE), "table": np.empty_like(TABLE)}
    lrpref.explain(IMAGE_AND_TABLE, BOTH, out=arrays)
    for R, file, array, path in zip(expected, written, arrays.values(), files, strict=True):
        assert_allclose(file, R, rtol=1e-12)
        assert_array_equal(array, R)
        assert_array_equal(np.load(path), file)
    with pytest.raises(ParameterError, match="a different array or file for each of image, table"):
        lrpref.explain(IMAGE_AND_TABLE, BOTH, out=(files[0], str(files[0])))


def test_the_time_budget_holds_for_several_inputs() -> None:
    with pytest.raises(lrpref.errors.BudgetError, match="node 'conv'"):
        lrpref.explain(IMAGE_AND_TABLE, BOTH, budget=0)


# ---- the graph ---------------------------------------------------------------------------------------------------


def test_edits_keep_the_inputs() -> None:
    net = IMAGE_AND_TABLE
    for edited in (
        net.replace("relu", Sigmoid()),
        net.remove("relu"),
        net.insert_after("table", "first", ReLU()),
        net.with_nodes(net.nodes),
        net.map_layers(lambda layer: layer),
        net.astype("float32"),
        net.to("array-api-strict"),
        Network([*net.nodes, ("head", Softmax(), "out")], inputs=net.inputs).without_head(),
        lrpref.fuse(net.insert_after("fc", "bn", BatchNorm([2.0, 1.0], [0.5, 0.0], [0.0, 1.0], [1.0, 1.0])), BOTH),
    ):
        assert edited.inputs == ("image", "table")
    assert net.insert_after("table", "first", ReLU()).node("fc").inputs == ("first",)
    assert [R.dtype for R in lrpref.explain(net.astype("float32"), BOTH)] == [np.float32] * 2
    strict = net.to("array-api-strict")
    found = lrpref.explain(strict, tuple(lrpref.asarray(v, "array-api-strict") for v in BOTH))
    for R, expected in zip(found, lrpref.explain(net, BOTH, form="plain"), strict=True):
        assert_allclose(lrpref.to_numpy(R), expected, rtol=1e-12)


def test_the_shape_of_each_input_may_be_fixed() -> None:
    net = Network(IMAGE_AND_TABLE.nodes, [(2, None, 3), None], "the file says so", ["image", "table"])
    assert_array_equal(net(BOTH), IMAGE_AND_TABLE(BOTH))
    with pytest.raises(ShapeError, match=r"accepts input 'image' of shape \(N, 2, any, 3\), got \(2, 2, 3, 4\): the f"):
        net((np.zeros((2, 2, 3, 4)), TABLE))
    assert repr(net).startswith("Network of image, table for inputs of shape ((2, None, 3), None)\n")


@pytest.mark.parametrize("net", [IMAGE_AND_TABLE, ENDS], ids=["inputs", "outputs"])
def test_files_keep_the_names(net: Network, tmp_path: Path) -> None:
    lrpref.save(Network(net.nodes, None, "", net.inputs, net.outputs), tmp_path / "net.npz")
    again = lrpref.load(tmp_path / "net.npz")
    assert (again.inputs, again.outputs, repr(again)) == (net.inputs, net.outputs, repr(net))
    assert str(np.load(tmp_path / "net.npz")["format"]) == "lrpref-network/2"
    lrpref.save(net.up_to("relu") if net is ENDS else in_pieces(ENDS.up_to("size")), tmp_path / "net.npz")
    assert str(np.load(tmp_path / "net.npz")["format"]) == f"lrpref-network/{1 if net is ENDS else 2}"


@pytest.mark.parametrize("names", [{"inputs": 5}, {"inputs": [["a"]]}, {"outputs": {}}, {"inputs": ["image"] * 2}])
def test_files_with_bad_names_are_refused(names: dict[str, Any], tmp_path: Path) -> None:
    lrpref.save(IMAGE_AND_TABLE, tmp_path / "net.npz")
    arrays = dict(np.load(tmp_path / "net.npz"))
    arrays["architecture"] = np.asarray(json.dumps(json.loads(str(arrays["architecture"])) | names))
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(WeightsError, match="puts must list different names"):
        lrpref.load(tmp_path / "bad.npz")


def test_the_command_line_takes_one_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lrpref.save(IMAGE_AND_TABLE, tmp_path / "net.npz")
    for command in (["show"], ["fuse"], ["explain", "digit-4"], ["compare", "digit-4", "--against", "no.npy"]):
        assert main([command[0], str(tmp_path / "net.npz"), *command[1:]]) == 2
        assert f"lrpref {command[0]} takes networks with one input, but this one has" in capsys.readouterr().err


def test_dask_takes_one_input() -> None:
    pytest.importorskip("dask.array", reason="dask is not installed: pip install -e '.[dask]'")
    with pytest.raises(GraphError, match=r"lrpref.distributed takes networks with one input"):
        lrpref.distributed.explain(IMAGE_AND_TABLE, BOTH)


def test_a_case_of_two_inputs_is_described_and_made_smaller() -> None:
    case = NetworkCase(IMAGE_AND_TABLE, BOTH)
    assert describe(case).splitlines()[-1].startswith("table = [[")
    assert [[len(part) for part in fewer.x] for fewer in smaller(case)] == [[1, 1], [1, 1]]


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (IMAGE, InputError, "has 2 inputs: expected a tuple with one array for each of image, table, .* got ndarray"),
        ((IMAGE,), InputError, "or a dict with these names; got 1"),
        ({"image": IMAGE}, InputError, "got a dict without 'table'"),
        ({"image": IMAGE, "tabel": TABLE}, InputError, "got a dict with 'tabel', which is not an input"),
        ((IMAGE, TABLE[0]), InputError, "input 'table' must be a batch"),
        ((IMAGE, TABLE * np.nan), InputError, "input 'table' holds 6 NaN"),
        ((IMAGE, TABLE + 0j), DTypeError, "input 'table'"),
        ((np.full(IMAGE.shape, 9, np.uint8), TABLE), InputError, "input 'image' holds 8-bit pixels up to 9"),
        ((IMAGE, TABLE[:, :2]), ShapeError, r"node 'fc' \(Dense\)"),
        ((IMAGE, TABLE[:, :0]), InputError, "the samples of input 'table' are empty"),
    ],
)
def test_bad_inputs_are_refused_by_name(x: Any, error: type[LrprefError], message: str) -> None:
    for use in (IMAGE_AND_TABLE.forward, lrpref.prepare(IMAGE_AND_TABLE).explain):
        with pytest.raises(error, match=message):
            use(x)
    with pytest.raises(error, match=message):
        lrpref.explain(IMAGE_AND_TABLE, x, form="plain")


def test_all_inputs_hold_the_same_number_of_samples() -> None:
    """Also where NumPy would repeat the one sample of an input."""
    net = Network([("sum", ReLU(), "a"), ("fc", Dense([[1.0, 2.0]]), "sum")], inputs=["a", "unread"])
    with pytest.raises(ShapeError, match=r"different numbers of samples .*: a has shape \(2, 2\), unread has shape"):
        net((X, X[:1]))


def test_inputs_without_parameters_must_be_of_one_kind() -> None:
    net = Network([("sum", Add(), ["a", "b"])], inputs=["a", "b"])
    with pytest.raises(DTypeError, match="one dtype and backend: a is float64 on numpy, b is float32 on numpy"):
        net((X, X.astype(np.float32)))
    assert IMAGE_AND_TABLE((IMAGE, TABLE.astype(np.float32))).dtype == np.float64


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"inputs": []}, r"inputs must list different names, got \[\]"),
        ({"inputs": ["a", "a"]}, "inputs must list different names"),
        ({"inputs": ["a", "fc"]}, "'fc' is the name of the network's input; call the node something else"),
        ({"inputs": ["b", "c"]}, "node 'fc' reads 'a', which is neither a node nor 'b' nor 'c'"),
        (
            {"inputs": ["a", "b"], "outputs": ["relu", "other"], "input_shape": (2,)},
            "input_shape must list a shape, or None, for each of a, b",
        ),
        (
            {"inputs": ["a", "b"], "outputs": ["relu", "other"], "input_shape": [(2,), 3]},
            "input_shape of 'b' must list positive integers",
        ),
        ({"inputs": "a", "outputs": ["no"]}, "the output 'no' is not a node. Nodes: fc, relu, other"),
        ({"inputs": "a", "outputs": ["relu", "relu"]}, "outputs must list different names"),
        (
            {"inputs": "a", "outputs": ["relu"]},
            "node 'other' is not read by any other; remove it, or name it in outputs",
        ),
        ({"inputs": "a"}, r"or name several outputs: Network\(..., outputs=\['relu', 'other'\]\)"),
    ],
)
def test_bad_names_are_refused(more: dict[str, Any], message: str) -> None:
    nodes = [("fc", Dense([[1.0, 2.0]]), "a"), ("relu", ReLU(), "fc"), ("other", ReLU(), "fc")]
    with pytest.raises(GraphError, match=message):
        Network(nodes, **more)


def test_what_needs_one_input_says_so() -> None:
    needs = "takes networks with one {}, but this one has the {}s {}; lrpref.explain and lrpref.trace take"
    for net, x, kind, names in ((IMAGE_AND_TABLE, BOTH, "input", "image, table"), (ENDS, X, "output", "size, class")):
        for use in (
            lambda net, x: lrpref.digits(net, x),
            lambda net, x: lrpref.explain_difference(net, x, x),
            lambda net, x: lrpref.evaluation.pixel_flipping(net, X, X),
            lambda net, x: lrpref.evaluation.parameter_randomisation(net, x),
            lambda net, x: lrpref.evaluation.baselines.gradient_x_input(net, x),
        ):
            with pytest.raises(GraphError, match=needs.format(kind, kind, names)):
                use(net, x)


# ---- several outputs ---------------------------------------------------------------------------------------------


def test_every_output_is_returned_and_explained_by_name() -> None:
    size, classes = ENDS(X)
    assert_array_equal(size, ENDS.up_to("size")(X))
    assert_array_equal(classes, ENDS.up_to("class")(X))
    for form in ("plain", "direct"):
        assert_array_equal(
            lrpref.explain(ENDS, X, node="size", form=form), lrpref.explain(ENDS.up_to("size"), X, form=form)
        )
        assert_array_equal(
            lrpref.explain(ENDS, X, node="class", form=form),
            lrpref.explain(ENDS.up_to("class"), X, node="class", form=form),
        )
    assert repr(ENDS).splitlines()[0] == "Network with outputs size, class"
    assert ENDS.head is None
    assert ENDS.without_head() is ENDS


def test_an_output_may_be_read_by_another_node() -> None:
    net = Network(ENDS.nodes, outputs=["relu", "size", "class"])
    assert_array_equal(net(X)[0], ENDS.up_to("relu")(X))
    R = np.ones((2, 3))
    found = lrpref.trace(net, X, seed=(R, R[:, :1], None), rule="zero")
    alone = [lrpref.trace(net, X, seed=s, rule="zero").relevance for s in ((R, None, None), (None, R[:, :1], None))]
    assert_allclose(found.relevance, sum(alone), rtol=1e-12)
    assert_allclose(found.ledger.arrived(), found.relevance.sum(axis=1), rtol=1e-12)


def test_seeds_at_one_node_add_up() -> None:
    """The logits and their probabilities are both outputs, and both are explained from the logits."""
    net = Network(ENDS.nodes, outputs=["size", "logits", "class"])
    found = lrpref.trace(net, X, seed={"logits": 2.0, "class": 1.0}, target={"logits": 1, "class": 1}, rule="zero")
    assert_allclose(found.relevance, lrpref.explain(net, X, 1, "zero", 3.0, "logits"), rtol=1e-12)


@pytest.mark.parametrize("rule", ["epsilon-plus-flat", "zero", "z-plus"])
def test_seeds_of_several_outputs_add_up(rule: str) -> None:
    """LRP is linear in R: starting from both outputs is the sum of starting from each, logits and probabilities too."""
    both = lrpref.trace(ENDS, X, (0, [1, 0]), rule, ("logit", "probability"))
    first = lrpref.explain(ENDS.up_to("size"), X, 0, rule, form="plain")
    second = lrpref.explain(ENDS.up_to("class"), X, np.array([1, 0]), rule, "probability", form="plain")
    assert_allclose(both.relevance, first + second, rtol=0, atol=1e-12)
    assert {name: list(index) for name, index in both.target.items()} == {"size": [0, 0], "class": [1, 0]}
    assert both.logits["class"].shape == (2, 2)
    assert "started at size, logits;" in str(both.ledger)
    lost = sum(both.ledger[loss].sum(axis=0) for loss in ("bias", "stabilizer", "dropped"))
    assert_allclose(sum(both.ledger.starts.values()) - lost, both.relevance.sum(axis=1), atol=1e-12)
    for seeds in ({"class": "probability"}, (None, "probability")):
        assert_array_equal(lrpref.explain(ENDS, X, {"class": [1, 0]}, rule, seeds), second)
    blocks = lrpref.explain(ENDS, X, (0, np.array([1, 0])), rule, ("logit", "probability"), batch_size=1)
    assert_array_equal(blocks, both.relevance)


def test_seeds_of_several_outputs_are_exact() -> None:
    net = ENDS.with_nodes([n if n[0] != "class" else ("class", ReLU(), ("logits",)) for n in ENDS.nodes])
    found = lrpref.trace(lrpref.exact(net), lrpref.exact(X), rule="zero", seed=(1, "one"))
    assert (found.ledger.residual() == 0).all()
    assert (found.ledger.arrived() == found.relevance.sum(axis=1)).all()
    with pytest.raises(InputError, match='"probability" is irrational'):
        lrpref.trace(lrpref.exact(net), lrpref.exact(X), rule="zero", seed=(1, "probability"))


def test_edits_keep_the_outputs() -> None:
    assert ENDS.replace("relu", Sigmoid()).outputs == ("size", "class")
    assert ENDS.remove("class").outputs == ("size", "logits")
    assert ENDS.insert_after("size", "last", ReLU()).outputs == ("last", "class")
    assert ENDS.up_to("size").outputs == ("size",)
    assert lrpref.exact(ENDS.remove("class")).outputs == ("size", "logits")


def test_fusion_changes_no_output() -> None:
    """A BatchNorm is not folded over an output that another node reads."""
    bn = BatchNorm([2.0, 1.0, 1.0], [0.5, 0.0, 1.0], [0.0, 1.0, -1.0], [1.0, 2.0, 1.0])
    nodes = [(n, layer, ["bn" if i == "relu" else i for i in read]) for n, layer, read in ENDS.nodes]
    for outputs in (["size", "class"], ["relu", "size", "class"], ["body", "size", "class"], ["bn", "size", "class"]):
        net = Network([*nodes, ("bn", bn, "relu")], outputs=outputs)
        for threshold_relu in (False, True):
            fused = lrpref.fuse(net, X, threshold_relu)
            for y, expected in zip(fused(X), net(X), strict=True):
                assert_allclose(y, expected, rtol=1e-12)
        first = [(n, layer, ["bn" if i == "body" else i for i in read]) for n, layer, read in ENDS.nodes]
        net = Network([*first, ("bn", bn, "body")], outputs=outputs)
        for threshold_relu in (False, True):
            for y, expected in zip(lrpref.fuse(net, X, threshold_relu)(X), net(X), strict=True):
                assert_allclose(y, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: lrpref.explain(ENDS, X), GraphError, "2 outputs: size, class. Explain one of them with node='size'"),
        (lambda: lrpref.prepare(ENDS), GraphError, "2 outputs: size, class"),
        (lambda: ENDS.output, GraphError, r"net.up_to\('size'\) has one output"),
        (
            lambda: lrpref.explain(ENDS, X, seed=(1, 2, 3)),
            InputError,
            "the seed must be a tuple with one entry for each",
        ),
        (lambda: lrpref.explain(ENDS, X, seed={"no": 1}), InputError, "the seed names 'no', which is not an output"),
        (lambda: lrpref.explain(ENDS, X, 1, seed=(1, 1)), InputError, "the target must be a tuple with one entry"),
        (lambda: lrpref.explain(ENDS, X, seed=(None, None)), InputError, "at least one output needs a seed"),
        (lambda: lrpref.explain(ENDS, X, seed=(1, 1), form="winograd"), ParameterError, "use form='plain'"),
        (lambda: lrpref.explain(ENDS, X, seed=(X, None)), ShapeError, r"shaped like the explained output, \(2, 1\)"),
        (lambda: lrpref.explain(ENDS, X, seed=(X, None), batch_size=1), ShapeError, r"output, \(2, 1\)"),
        (lambda: ENDS.with_nodes(ENDS.nodes[:-1]), GraphError, "the output 'class' is not a node"),
    ],
)
def test_bad_uses_of_outputs_are_refused(use: Any, error: type[LrprefError], message: str) -> None:
    with pytest.raises(error, match=message):
        use()


def test_a_softmax_of_an_input_is_not_an_output_to_explain() -> None:
    net = Network([*ENDS.nodes[:3], ("p", Softmax(), "input")], outputs=["size", "p"])
    with pytest.raises(RuleError, match="Softmax only"):
        lrpref.explain(net, X, seed=("one", "one"))
