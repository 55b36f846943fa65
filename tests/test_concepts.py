"""Relevance through chosen channels (`condition`) and of one output rather than another (`contrast`)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_walk_laws import RULES, everywhere

import lrpref
from lrpref import Add, Conv2D, Dense, Flatten, Network, ReLU, Sigmoid, Softmax, condition, contrast, rules, to_numpy
from lrpref.errors import (
    DTypeError,
    GraphError,
    InputError,
    ParameterError,
    ShapeError,
    TargetError,
    UnknownNameError,
)


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Small integers of both signs."""
    return np.random.default_rng([seed, *shape]).integers(-3, 4, size=shape).astype(float)


def network() -> Network:
    """A stem, a block and a projection that are added, and two fully connected layers; every path passes "sum"."""
    return Network(
        [
            ("stem", Conv2D(integers(3, 1, 2, 2), integers(3)), ["input"]),
            ("relu", ReLU(), ["stem"]),
            ("block", Conv2D(integers(2, 3, 1, 1), integers(2)), ["relu"]),
            ("skip", Conv2D(integers(2, 3, 1, 1, seed=1)), ["relu"]),
            ("sum", Add(), ["block", "skip"]),
            ("relu1", ReLU(), ["sum"]),
            ("flat", Flatten(), ["relu1"]),
            ("fc", Dense(integers(4, 8), integers(4)), ["flat"]),
        ]
    )


NET, X = lrpref.exact(network()), lrpref.exact(integers(2, 1, 3, 3, seed=2))
LINEAR = {name: rule for name, rule in RULES.items() if rule.linear} | {"relative": rules.Relative(rescale=False)}
every_linear_rule = pytest.mark.parametrize("rule", LINEAR.values(), ids=LINEAR)


def through(trace: lrpref.Trace, node: str) -> list[Any]:
    """The maps of all channels of a node."""
    return [condition(trace, node, channel).relevance for channel in range(trace.at[node].shape[1])]


# ---- concepts sum to the whole -----------------------------------------------------------------------------------


@every_linear_rule
@pytest.mark.parametrize("node", ["stem", "sum"])
def test_concepts_sum_to_the_whole(rule: rules.Rule, node: str) -> None:
    """At a node that every path passes, in exact fractions."""
    tr = lrpref.trace(NET, X, rule=everywhere(rule))
    assert_array_equal(sum(through(tr, node)), tr.relevance)
    assert tr.relevance.any()


@every_linear_rule
def test_concepts_sum_to_the_whole_over_a_cut(rule: rules.Rule) -> None:
    """Every path passes either the block or the skip; the block alone is not the whole."""
    tr = lrpref.trace(NET, X, rule=everywhere(rule))
    block, skip = (sum(through(tr, node)) for node in ("block", "skip"))
    assert_array_equal(block + skip, tr.relevance)
    assert np.any(block != tr.relevance)


def test_concepts_of_a_rule_that_rescales_do_not_sum() -> None:
    """Rescaling is not linear in R."""
    tr = lrpref.trace(NET, X, rule=everywhere(rules.Relative()))
    assert np.any(sum(through(tr, "sum")) != tr.relevance)


def test_several_channels_are_the_sum_of_each() -> None:
    tr = lrpref.trace(NET, X, rule="zero")
    one, _, other = through(tr, "stem")
    for channels in ([0, 2], (2, 0), np.array([0, 2]), range(0, 3, 2)):
        assert_array_equal(condition(tr, "stem", channels).relevance, one + other)


def test_conditions_can_be_chained() -> None:
    """Channel 1 of the sum and channel 2 of the stem, by hand: each mask applied to the trace before."""
    tr = lrpref.trace(NET, X, rule="zero")
    upper = condition(tr, "sum", 1)
    lower = condition(upper, "stem", 2)
    R = np.where(np.arange(3)[None, :, None, None] == 2, upper.at["stem"], Fraction(0))
    expected = NET["stem"].relevance(X, R, rules.Zero())
    assert_array_equal(lower.relevance, expected)
    pairs = [condition(condition(tr, "sum", c), "stem", k).relevance for c in range(2) for k in range(3)]
    assert_array_equal(sum(pairs), tr.relevance)


def test_the_books_begin_at_the_node() -> None:
    tr = condition(lrpref.trace(NET, X, rule="epsilon"), "sum", 0)
    assert tr.ledger.nodes == ["sum", "skip", "block", "relu", "stem"]
    assert_array_equal(tr.ledger.started()["sum"], tr.at["sum"][:, 0].sum(axis=(1, 2)))
    assert_array_equal(tr.ledger.residual(), 0)
    assert not tr.at["sum"][:, 1].any()


def test_a_channel_of_the_logits_is_a_class(backend: Any) -> None:
    """On every backend: with all logits as the seed, the channel of one class leaves its own explanation."""
    net, x = backend(network()), backend(to_numpy(X).astype(float))
    logits = net.forward(x)
    tr = condition(lrpref.trace(net, x, rule="z-plus", seed=logits), "fc", 2)
    assert_allclose(to_numpy(tr.relevance), to_numpy(lrpref.explain(net, x, 2, "z-plus")), rtol=1e-12, atol=1e-12)


def test_a_network_with_a_head_and_one_of_two_inputs() -> None:
    """The head is left out, as in the trace; relevance comes back in the form of the inputs."""
    ended = network().insert_after("fc", "softmax", Softmax())
    x = to_numpy(X).astype(float)
    tr = lrpref.trace(ended, x)
    assert "softmax" not in tr.net.names
    assert_allclose(sum(through(tr, "sum")), tr.relevance, rtol=1e-12, atol=1e-12)
    two = Network([("sum", Add(), ["a", "b"]), ("fc", Dense(integers(3, 2)), ["sum"])], inputs=["a", "b"])
    pair = (integers(1, 2), integers(1, 2, seed=1))
    left, right = condition(lrpref.trace(two, pair, rule="flat"), "sum", 1).relevance
    assert left.shape == right.shape == (1, 2)
    assert (left[0, 0], right[0, 0]) == (0, 0)


@pytest.mark.parametrize(
    ("node", "channels", "error", "message"),
    [
        ("conv9", 0, GraphError, "conv9"),
        ("fc", 0, GraphError, "node 'fc' received no relevance in this trace: sum, "),
        ("stem", 3, TargetError, "channels must be one or more of the channels 0 to 2 of node 'stem', got 3"),
        ("stem", -1, TargetError, "got -1"),
        ("stem", [], TargetError, r"got \[\]"),
        ("stem", [0, 1.0], TargetError, "got"),
        ("stem", True, TargetError, "got True"),
    ],
)
def test_what_is_no_condition(node: str, channels: Any, error: type[Exception], message: str) -> None:
    tr = condition(lrpref.trace(NET, X), "sum", [0, 1])
    with pytest.raises(error, match=message):
        condition(tr, node, channels)


def test_only_a_trace_can_be_conditioned() -> None:
    with pytest.raises(ParameterError, match="expected a trace"):
        condition(NET, "stem", 0)  # type: ignore[arg-type]


# ---- this rather than that ---------------------------------------------------------------------------------------

LOGITS = Network.sequential(Dense([[3.0, 1.0], [1.0, 2.0], [1.0, -2.0]]))
ONES = np.array([[1.0, 1.0]])
"""z = (4, 3, -1), so 0 is explained."""


@pytest.mark.parametrize(
    ("kind", "against", "seed"),
    [
        ("logits", 1, "4 -3 0"),
        ("logits", 2, "4 0 1"),
        ("logits", None, "4 -3 0"),
        ("clrp", None, "4 -2 -2"),
        ("clrp", 2, "4 0 -4"),
    ],
)
def test_a_contrast_by_hand(kind: str, against: int | None, seed: str) -> None:
    """LRP-0 sends a_i w_ij / z_j R_j: the rows of the weights times R_j / z_j."""
    net, x = lrpref.exact(LOGITS), lrpref.exact(ONES)
    tr = contrast(net, x, against=against, kind=kind, rule="zero")
    R = np.array([Fraction(part) for part in seed.split()], dtype=object)
    assert_array_equal(tr.at["dense1"], [R])
    assert_array_equal(tr.relevance, [(R / np.array([4, 3, -1])) @ net["dense1"].weight])
    assert_array_equal(tr.target, [0])


@every_linear_rule
def test_the_contrast_of_logits_is_the_difference_of_two_maps(rule: rules.Rule) -> None:
    t, k = np.array([2, 0]), np.array([0, 3])
    one, other = (lrpref.trace(NET, X, target, everywhere(rule)).relevance for target in (t, k))
    assert_array_equal(contrast(NET, X, t, k, rule=everywhere(rule)).relevance, one - other)


def test_the_contrast_of_logits_sums_to_their_difference() -> None:
    """Under LRP-0, without biases and exactly."""
    net = Network([(n, layer if n == "sum" or not hasattr(layer, "bias") else type(layer)(layer.weight), i)
                   for n, layer, i in NET.nodes])  # fmt: skip
    z = net.forward(X)
    for t, k in ((0, 1), (3, 2)):
        R = contrast(net, X, t, k, rule="zero").relevance
        assert_array_equal(R.reshape(2, -1).sum(axis=1), z[:, t] - z[:, k])


def test_without_a_rival_the_largest_other_output_is_one() -> None:
    """Also where the target is not the largest output, and where all others are negative."""
    for z, t, k in (([4.0, 3.0, -1.0], 1, 0), ([-4.0, -3.0, -1.0], 2, 1), ([2e30, 2e30, 2e30], 0, 1)):
        net = Network.sequential(Dense(np.diag(z)))
        found = contrast(net, np.ones((1, 3)), t).at["dense1"][0]
        assert [found[t], found[k]] == [z[t], -z[k]]
        assert np.count_nonzero(found) == 2


def test_sglrp_starts_with_the_gradient_of_the_softmax(backend: Any) -> None:
    """Against central differences; the third derivative is below 1, so h^2 is off by less than 1e-9."""
    z, h = np.array([[1.0, -0.5, 2.0, 0.0], [0.5, 0.0, 0.0, 1.0]]), 1e-5
    net = Network.sequential(Dense(np.eye(4)), Softmax())
    tr = contrast(backend(net), backend(z), target=[2, 1], kind="sglrp")
    expected = [
        [(net.forward(z + h * e)[n, t] - net.forward(z - h * e)[n, t]) / (2 * h) for e in np.eye(4)]
        for n, t in enumerate((2, 1))
    ]
    assert_allclose(to_numpy(tr.at["dense1"]), expected, atol=1e-9)
    assert_allclose(to_numpy(tr.at["dense1"]).sum(axis=1), 0, atol=1e-15)


def test_which_contrast_suits_which_rule() -> None:
    """The first input speaks for output 1, whose weights are (1, -2) and whose logit is -1: its share must be negative.

    With LRP-0 this is so if the output starts with its own logit, with z-plus if it starts with a negative number.
    """
    net = Network.sequential(Dense([[0.0, 4.0], [1.0, -2.0]]))
    found = {
        (kind, rule): contrast(net, ONES, 0, 1, kind, rule).relevance[0, 0]
        for kind in ("logits", "clrp")
        for rule in ("zero", "z-plus")
    }
    assert found == {("logits", "zero"): -1, ("logits", "z-plus"): 1, ("clrp", "zero"): 4, ("clrp", "z-plus"): -4}


AT_POSITIONS = Network.sequential(Dense(np.eye(2)), lrpref.Reshape((2, 1)), Softmax(2))
"""A softmax over axis 2, at each of two positions."""

TWINS = Network([("one", Dense(np.eye(2)), ["input"]), ("two", Dense(np.eye(2)), ["input"])], outputs=["one", "two"])


@pytest.mark.parametrize(
    ("net", "arguments", "error", "message"),
    [
        (LOGITS, {"against": 0}, TargetError, "`against` must be another output than the target"),
        (LOGITS, {"target": 3}, TargetError, "target 3 is out of range"),
        (LOGITS, {"against": 7}, TargetError, "`against` must be another output: target 7 is out of range"),
        (LOGITS, {"kind": "crp"}, UnknownNameError, "no contrast is called 'crp'"),
        (LOGITS, {"kind": "sglrp", "against": 1}, ParameterError, '"sglrp" compares with all outputs'),
        (Network.sequential(Dense([[1.0, 1.0]])), {}, ShapeError, "a single logit"),
        (TWINS, {}, GraphError, r"contrast: the network has the outputs one, two; choose one: net.up_to\('one'\)"),
        (Network.sequential(Dense(np.eye(2)), Sigmoid()), {"kind": "sglrp"}, InputError, "ends with a Sigmoid"),
        (AT_POSITIONS, {"kind": "sglrp"}, ShapeError, r"logits of shape \(1, 2, 1\) have one at each position"),
    ],
)
def test_what_is_no_contrast(net: Network, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        contrast(net, ONES, **arguments)


def test_exact_arithmetic_has_no_softmax() -> None:
    with pytest.raises(DTypeError, match="Softmax needs an exponential"):
        contrast(NET, X, kind="sglrp")
