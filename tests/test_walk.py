"""The walk: targets, seeds, softmax heads, nodes, summed relevance, and warnings."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LogSoftmax,
    MaxPool2D,
    Network,
    Pad2D,
    ReLU,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
    composites,
    rules,
)
from lrpref.composites import PRESETS, Composite
from lrpref.errors import GraphError, InputError, RelevanceWarning, RuleError, ShapeError, TargetError, UnknownNameError
from lrpref.layers import Layer, LinearLayer
from lrpref.ledger import Flow
from lrpref.rules import RULES

RNG = np.random.default_rng(7)
X = RNG.normal(size=(5, 2, 6, 6))
FC = Network.sequential(Dense([[2.0, -1.0], [0.0, 1.0], [1.0, 1.0]]), names=["fc"])
A = np.array([[3.0, 1.0], [-1.0, 2.0]])  # logits (5, 1, 4) and (-4, 2, 1)


def everything() -> Network:
    """A graph with every kind of layer, including a skip, two concatenated branches, pooling, BatchNorm and padding."""
    draw = np.random.default_rng(3).normal
    nodes = [
        ("pad", Pad2D(1, value=0.5), ["input"]),
        ("conv1", Conv2D(draw(size=(4, 2, 3, 3)), draw(size=4)), ["pad"]),
        ("bn", BatchNorm(draw(size=4), draw(size=4), draw(size=4), draw(size=4) ** 2), ["conv1"]),
        ("relu1", ReLU(), ["bn"]),
        ("conv2", Conv2D(draw(size=(4, 2, 3, 3)), draw(size=4), padding=1, groups=2), ["relu1"]),
        ("sum", Add(), ["relu1", "conv2"]),
        ("max", MaxPool2D(2), ["sum"]),
        ("avg", AvgPool2D(2), ["relu1"]),
        ("side", Concat(), ["max", "avg"]),
        ("drop", Dropout(), ["side"]),
        ("mean", GlobalAvgPool2D(), ["drop"]),
        ("flat", Flatten(), ["mean"]),
        ("tanh", Tanh(), ["flat"]),
        ("fc", Dense(draw(size=(3, 8)), draw(size=3)), ["tanh"]),
        ("softmax", Softmax(), ["fc"]),
    ]
    return Network(nodes)


ALL_RULES: dict[str, Any] = {name: rule() for name, rule in RULES.items() if name not in ("z-box", "pass", "relative")}
ALL_RULES |= {
    "z-box": rules.ZBox(-5.0, 5.0),
    "epsilon rms": rules.Epsilon(0.1, scale="rms"),
    "gamma generalised": rules.Gamma(generalised=True),
    "renormalised": rules.AlphaBeta(empty="renormalise"),
}
ALL_RULES |= {name: preset() for name, preset in PRESETS.items() if name not in ("epsilon-gamma-box", "relative")}
ALL_RULES |= {"epsilon-gamma-box": composites.EpsilonGammaBox(-5.0, 5.0)}


# ---- targets -----------------------------------------------------------------------------------------------------


def test_no_target_means_the_largest_output() -> None:
    found = lrpref.trace(FC, A, rule="zero")
    assert_array_equal(found.target, [0, 1])
    assert_array_equal(found.relevance, [[6, -1], [0, 2]])
    assert_array_equal(found.at["fc"], [[5, 0, 0], [0, 2, 0]])


@pytest.mark.parametrize("target", [1, np.int64(1), np.array(1), [1, 1], np.array([1, 1], dtype=np.uint8)])
def test_one_target_or_one_per_sample(target: Any) -> None:
    assert_array_equal(lrpref.explain(FC, A, target, rule="zero"), [[0, 1], [0, 2]])


def test_targets_differ_from_sample_to_sample() -> None:
    found = lrpref.trace(FC, A, [2, 0], rule="zero")
    assert_array_equal(found.target, [2, 0])
    assert_array_equal(found.relevance, [[3, 1], [-2, -2]])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, r"target 3 is out of range for 3 outputs \(valid: 0 to 2\)"),
        (-1, "target -1 is out of range"),
        ([0, 3], "out of range"),
        ([0, -3], "out of range"),
        ([0, 1, 2], r"expected one target per sample \(2 samples\), got 3"),
        (1.0, "an index, or one index per sample"),
        ([[0], [1]], "an index, or one index per sample"),
        (True, "an index, or one index per sample"),
        ("first", "an index, or one index per sample"),
    ],
)
def test_targets_that_are_none(target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        lrpref.explain(FC, A, target)


def test_a_target_counts_the_flattened_outputs_of_an_image() -> None:
    net = Network.sequential(Conv2D(np.ones((2, 1, 1, 1))))
    x = np.arange(1.0, 5.0).reshape(1, 1, 2, 2)
    assert_array_equal(lrpref.explain(net, x, 6, "zero"), [[[[0, 0], [3, 0]]]])
    with pytest.raises(TargetError, match="8 outputs"):
        lrpref.explain(net, x, 8, "zero")


# ---- seeds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "at_target"),
    [("logit", [5, -4]), ("one", [1, 1]), (1, [1, 1]), (-2.5, [-2.5, -2.5]), (np.float32(3), [3, 3])],
)
def test_a_seed_at_the_target(seed: Any, at_target: list[float]) -> None:
    found = lrpref.trace(FC, A, 0, "zero", seed)
    assert_array_equal(found.at["fc"], [[r, 0, 0] for r in at_target])
    assert_allclose(found.relevance.sum(axis=1), at_target)


def test_the_seed_is_the_logit_unless_said_otherwise() -> None:
    assert_array_equal(lrpref.explain(FC, A, 0, "zero"), lrpref.explain(FC, A, 0, "zero", "logit"))


def test_the_probability_as_a_seed() -> None:
    found = lrpref.trace(FC, A, 0, "zero", "probability").at["fc"]
    expected = np.exp([5.0, -4.0]) / [np.exp([5, 1, 4]).sum(), np.exp([-4, 2, 1]).sum()]
    assert_allclose(found[:, 0], expected)
    assert_array_equal(found[:, 1:], 0)


@pytest.mark.parametrize("seed", [np.array([[1, 0, 2], [0, -1, 0]]), [[1.0, 0.0, 2.0], [0.0, -1.0, 0.0]]])
def test_an_array_as_a_seed(seed: Any) -> None:
    found = lrpref.trace(FC, A, rule="zero", seed=seed)
    assert found.target is None
    assert found.at["fc"].dtype == np.float64
    assert_array_equal(found.at["fc"], seed)
    assert_allclose(found.relevance, [[6 / 5 + 6 / 4, -1 / 5 + 2 / 4], [0, -1]])


@pytest.mark.parametrize(
    ("seed", "kind", "message"),
    [
        ("logits", InputError, "'logits'"),
        (np.ones((1, 3)), ShapeError, r"the seed must be shaped like the explained output, \(2, 3\), got \(1, 3\)"),
        (np.ones(3), ShapeError, r"\(3,\)"),
        (np.full((2, 3), np.nan), InputError, "NaN or infinities"),
        (np.nan, InputError, "NaN or infinities"),
        (-np.inf, InputError, "NaN or infinities"),
    ],
)
def test_seeds_that_are_none(seed: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        lrpref.explain(FC, A, rule="zero", seed=seed)


# ---- heads -------------------------------------------------------------------------------------------------------

BINARY = Network(
    [
        ("fc", Dense([[-1.0, 1.0]], [0.5]), ["input"]),
        ("p", Sigmoid(), ["fc"]),
        ("rest", Scale([-1.0], [1.0]), ["p"]),
        ("both", Concat(), ["rest", "p"]),
    ]
)
"""The output [1 - p, p], as scikit-learn exports a binary classifier."""

HEADS = {"softmax": Softmax(), "log-softmax": LogSoftmax(), "sigmoid": Sigmoid()}


def headed(head: Layer, net: Network = FC) -> Network:
    return Network([*net.nodes, ("head", head, [net.output])])


def explain_by_all(net: Network, x: Any, *arguments: Any, **more: Any) -> Any:
    """The map of the walk, which the prepared network must reproduce."""
    plain = lrpref.explain(net, x, *arguments, form="plain", **more)
    assert_allclose(lrpref.explain(net, x, *arguments, **more), plain, rtol=1e-14)
    return plain


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_explanations_start_before_the_head(head: Layer) -> None:
    net, x = headed(head), np.concatenate([A, -A])  # logits of both signs
    one, other = (lrpref.trace(n, x, rule="zero") for n in (net, FC))
    assert (one.logits > 0).any()
    assert (one.logits < 0).any()
    assert_array_equal(one.relevance, other.relevance)
    assert_array_equal(one.logits, other.logits)
    assert "head" not in one.at
    assert_array_equal(explain_by_all(net, x, rule="zero"), other.relevance)
    assert_array_equal(lrpref.prepare(net, "zero").forward(x), other.logits)


def test_a_binary_classifier_with_two_columns() -> None:
    """z = -2 + 1 + 1/2: class 0 is predicted; the first input speaks for it, the second against it."""
    x = np.array([[2.0, 1.0]])
    for target, against in ((None, 1), (0, 1), (1, -1)):
        assert_allclose(explain_by_all(BINARY, x, target, "zero"), [[2.0 * against, -1.0 * against]], rtol=1e-15)
    found = lrpref.trace(BINARY, x, rule="epsilon-plus")
    assert_array_equal(found.logits, [[0.5, -0.5]])
    assert_array_equal(found.target, [0])
    assert_allclose(found.relevance[0, 0] / found.relevance[0, 1], -2, rtol=1e-15)
    assert_array_equal(found.at["both"], [[0.5, 0.0]])


@pytest.mark.parametrize("name", [*HEADS, "two columns"])
def test_the_probability_is_the_heads_own(name: str) -> None:
    net, x = (BINARY, np.array([[2.0, 1.0]])) if name == "two columns" else (headed(HEADS[name]), A)
    output = net.forward(x)
    probability = np.exp(output) if name == "log-softmax" else output
    for target in range(output.shape[1]):
        one, starting = (explain_by_all(net, x, target, "zero", seed) for seed in ("one", "probability"))
        assert_allclose(starting, one * probability[:, [target]], rtol=1e-14)


def test_the_probability_of_images_is_over_the_classes() -> None:
    image = Network.sequential(Conv2D(np.array([2.0, 1.0, -1.0]).reshape(3, 1, 1, 1)), Softmax())
    x = np.array([[[[1.0, 2.0], [3.0, 0.5]]]])
    probability = image.forward(x).reshape(1, -1)[:, 2]
    assert_allclose(explain_by_all(image, x, 2, "zero", "probability").sum(), probability, rtol=1e-14)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_naming_the_head_explains_the_probability(head: Layer) -> None:
    net = headed(head)
    found = lrpref.trace(net, A, 0, "zero", node="head")
    assert_array_equal(found.logits, net.forward(A))
    assert_array_equal(found.at["head"], found.at["fc"])
    assert_array_equal(found.at["head"][:, 0], net.forward(A)[:, 0])
    one = lrpref.explain(FC, A, 0, "zero", "one")
    assert_allclose(explain_by_all(net, A, 0, "zero", node="head"), one * net.forward(A)[:, [0]], rtol=1e-14)
    assert ("head", "passes") in [(entry.node, entry.rule) for entry in found.ledger.entries]
    with pytest.raises(InputError, match="node 'head' is the head of the network; its own"):
        lrpref.explain(net, A, 0, "zero", "probability", node="head")


def test_logits_far_from_zero_stay_finite() -> None:
    loud = Network.sequential(Dense([[1000.0], [-1000.0]]), Softmax())
    expected = {(0, "logit"): 1000, (1, "logit"): -1000, (0, "probability"): 1, (1, "probability"): 0}
    for (target, seed), relevance in expected.items():
        assert_array_equal(lrpref.explain(loud, np.ones((1, 1)), target, "zero", seed), [[relevance]])
    assert_array_equal(loud.forward(np.ones((1, 1))), [[1, 0]])


def test_a_log_softmax_in_the_middle_is_refused_by_name() -> None:
    net = Network.sequential(Dense(np.ones((2, 2))), LogSoftmax(), Dense(np.ones((2, 2))))
    with pytest.raises(RuleError, match=r"node 'logsoftmax1' .*no LRP rule for a LogSoftmax inside a network"):
        lrpref.explain(net, A)


def test_a_network_that_is_nothing_but_a_softmax() -> None:
    for layer in (Softmax(), LogSoftmax()):
        with pytest.raises(RuleError, match=f"consists of a {type(layer).__name__} only"):
            lrpref.explain(Network.sequential(layer), A)


# ---- explaining intermediate nodes -------------------------------------------------------------------------------


def test_relevance_at_every_node_is_shaped_like_its_output() -> None:
    net = everything()
    found = lrpref.trace(net, X)
    activations = net.activations(X)
    assert set(found.at) == {"input", *net.names} - {"softmax"}
    for name, R in found.at.items():
        assert R.shape == activations[name].shape
    assert found.at["input"] is found.relevance


@pytest.mark.parametrize("node", everything().names[:-1])
def test_any_node_can_be_explained(node: str) -> None:
    """The explanation is that of a network that ends at this node."""
    net = everything()
    found = lrpref.trace(net, X, rule="epsilon", node=node)
    assert_array_equal(found.logits, net.activations(X)[node])
    assert_allclose(found.at[node].sum(), found.logits.reshape(5, -1).max(axis=1).sum())
    assert found.relevance.shape == X.shape
    assert found.ledger.nodes[0] == node
    later = net.names[net.names.index(node) + 1 :]
    assert not set(later) & set(found.at)


def test_the_walk_may_be_taken_in_two_steps() -> None:
    net = everything()
    whole = lrpref.trace(net, X, rule="epsilon")
    rest = lrpref.explain(net, X, rule="epsilon", node="relu1", seed=whole.at["relu1"])
    assert_allclose(rest, whole.relevance, rtol=1e-12, atol=1e-12)


def test_a_node_nobody_knows() -> None:
    for name in ("conv9", "input"):
        with pytest.raises(GraphError, match=name):
            lrpref.explain(everything(), X, node=name)


def test_what_several_consumers_send_is_added_up() -> None:
    """The node relu1 feeds conv2, sum and avg; its relevance is the sum of their contributions."""
    net = everything()
    found = lrpref.trace(net, X, rule="epsilon")
    activations = net.activations(X)
    sent = [
        net["sum"].relevance((activations["relu1"], activations["conv2"]), found.at["sum"], rules.Epsilon())[0],
        net["conv2"].relevance(activations["relu1"], found.at["conv2"], rules.Epsilon()),
        net["avg"].relevance(activations["relu1"], found.at["avg"], rules.Epsilon()),
    ]
    assert_allclose(found.at["relu1"], sum(sent), rtol=1e-12, atol=1e-12)


# ---- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL_RULES)
def test_every_rule_runs_on_every_layer(name: str) -> None:
    found = lrpref.trace(everything(), X, rule=ALL_RULES[name])
    assert np.isfinite(found.relevance).all()
    assert found.relevance.shape == X.shape
    assert_allclose(found.ledger.residual(), 0, atol=1e-9 * abs(found.ledger["out"]).max())


@pytest.mark.parametrize("name", ALL_RULES)
def test_an_empty_batch_gives_an_empty_map(name: str) -> None:
    found = lrpref.trace(everything(), X[:0], rule=ALL_RULES[name])
    assert found.relevance.shape == (0, 2, 6, 6)
    assert found.ledger.residual().shape == (len(found.ledger.nodes), 0)
    assert "where the relevance went" in str(found.ledger)


def test_an_empty_batch_under_relative() -> None:
    net = lrpref.fuse(everything())
    found = lrpref.trace(net, X[:0], rule="relative")
    assert found.relevance.shape == (0, 2, 6, 6)
    assert "where the relevance went" in str(found.ledger)


@pytest.mark.parametrize("name", ALL_RULES)
def test_the_order_of_a_batch_is_no_matter(name: str) -> None:
    order = np.array([3, 0, 4, 2, 1])
    one = lrpref.explain(everything(), X[order], rule=ALL_RULES[name])
    other = lrpref.explain(everything(), X, rule=ALL_RULES[name])[order]
    assert_allclose(one, other, rtol=1e-9, atol=1e-12 * abs(other).max())


def test_a_second_call_equals_the_first() -> None:
    net, x = everything(), X.copy()
    first = lrpref.trace(net, x)
    lrpref.explain(net, x, rule="gamma")
    second = lrpref.trace(net, x)
    assert_array_equal(x, X)
    assert_array_equal(first.relevance, second.relevance)
    for name, R in first.at.items():
        assert_array_equal(R, second.at[name])


def test_a_network_that_was_pickled_explains_alike() -> None:
    copied = pickle.loads(pickle.dumps(everything()))
    assert_array_equal(lrpref.explain(copied, X), lrpref.explain(everything(), X))


def test_no_sample_has_no_target() -> None:
    for target in (None, 2, np.array([], dtype=int)):
        assert lrpref.explain(FC, A[:0], target).shape == (0, 2)


# ---- the choice of the rule --------------------------------------------------------------------------------------


def test_a_bare_rule_is_for_weighted_layers_alone() -> None:
    """Joins, pooling and diagonal layers fall back to Epsilon(1e-6)."""
    assigned = lrpref.trace(everything(), X, rule=rules.Flat()).rules
    assert {name for name, rule in assigned.items() if isinstance(rule, rules.Flat)} == {"conv1", "conv2", "fc"}
    assert {name for name, rule in assigned.items() if rule == rules.Epsilon(1e-6)} == {"bn", "sum", "avg", "mean"}


@pytest.mark.parametrize("rule", [rules.Zero(), rules.Epsilon(0.1), rules.Epsilon(0.1, scale="rms")], ids=str)
def test_bare_zero_and_epsilon_are_for_all_linear_layers(rule: rules.Rule) -> None:
    assigned = lrpref.trace(everything(), X, rule=rule).rules
    assert dict(assigned) == dict.fromkeys(("conv1", "bn", "conv2", "sum", "avg", "mean", "fc"), rule)
    assert "epsilon(epsilon=1e-06)" not in str(assigned)


def rectified(biased: bool) -> Network:
    """A residual network of ReLUs with pools, a BatchNorm and joins, on small integers."""
    draw = np.random.default_rng(5).integers

    def conv(O: int, C: int) -> Conv2D:
        return Conv2D(draw(-3, 4, (O, C, 3, 3)) * 1.0, draw(-2, 3, O) * 1.0 if biased else None, padding=1)

    nodes = [
        ("conv1", conv(4, 2), ["input"]), ("relu1", ReLU(), ["conv1"]),
        ("conv2", conv(4, 4), ["relu1"]), ("scale", Scale([1.0, 2.0, 0.5, 1.5]), ["conv2"]),
        ("sum", Add(), ["scale", "relu1"]), ("relu2", ReLU(), ["sum"]),
        ("max", MaxPool2D(2), ["relu2"]), ("avg", AvgPool2D(2), ["relu2"]),
        ("side", Concat(), ["max", "avg"]), ("mean", GlobalAvgPool2D(), ["side"]), ("flat", Flatten(), ["mean"]),
        ("fc", Dense(draw(-3, 4, (3, 8)) * 1.0, [1.0, 2.0, 3.0] if biased else None), ["flat"]),
    ]  # fmt: skip
    return Network(nodes)


def test_bare_zero_is_gradient_times_input() -> None:
    """The gradient by central differences, which are exact within a linear piece."""
    net, x = rectified(biased=True), np.random.default_rng(6).uniform(0.5, 1.5, (1, 2, 4, 4))
    h = 2.0**-20
    shifts = h * np.eye(x.size).reshape(-1, *x.shape[1:])
    gradient = (net.forward(x + shifts)[:, 1] - net.forward(x - shifts)[:, 1]) / (2 * h)
    expected = x * gradient.reshape(x.shape)
    for found in (lrpref.explain(net, x, 1, "zero"), lrpref.explain(net, x, 1, rules.Zero(), form="plain")):
        assert_allclose(found, expected, rtol=1e-7, atol=1e-7 * abs(expected).max())


def test_bare_zero_sums_to_the_logit_exactly() -> None:
    net = lrpref.exact(rectified(biased=False))
    x = lrpref.exact(np.random.default_rng(6).integers(1, 9, (1, 2, 4, 4)))
    found = lrpref.trace(net, x, rule="zero")
    assert found.relevance.sum() == found.logits.max() != 0


def test_the_ledger_says_what_was_done_at_each_node() -> None:
    found = lrpref.trace(everything(), X, rule=rules.Flat())
    labels = {entry.node: entry.rule for entry in found.ledger.entries}
    assert labels == {node: str(rule) for node, rule in found.rules.items()} | {
        **dict.fromkeys(("relu1", "tanh"), "passes"),
        **dict.fromkeys(("pad", "max", "side", "drop", "flat"), "routes"),
    }


@pytest.mark.parametrize("name", [name for name in RULES if name not in ("z-box", "pass", "relative")])
def test_a_rule_by_name_has_its_defaults(name: str) -> None:
    net = lrpref.fuse(everything())
    assert_array_equal(lrpref.explain(net, X, rule=name), lrpref.explain(net, X, rule=RULES[name]()))


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "epsilon-gamma-box"])
def test_a_composite_by_name_has_its_defaults(name: str) -> None:
    net = lrpref.fuse(everything())
    assert_array_equal(lrpref.explain(net, X, rule=name), lrpref.explain(net, X, rule=PRESETS[name]()))


def test_a_name_may_carry_parameters() -> None:
    found = lrpref.explain(everything(), X, rule="alpha-beta(alpha=3, beta=2)")
    assert_array_equal(found, lrpref.explain(everything(), X, rule=rules.AlphaBeta(3, 2)))


def test_epsilon_plus_flat_unless_said_otherwise() -> None:
    expected = lrpref.explain(everything(), X, rule=composites.EpsilonPlusFlat())
    assert_array_equal(lrpref.explain(everything(), X), expected)


@pytest.mark.parametrize("name", ["z-box", "epsilon-gamma-box"])
def test_rules_that_need_the_range_of_the_input_say_so(name: str) -> None:
    with pytest.raises(RuleError, match="low"):
        lrpref.explain(everything(), X, rule=name)


@pytest.mark.parametrize(
    ("name", "hint"), [("epsilom", "epsilon"), ("zplus", "z-plus"), ("epsilon-plus-flt", "epsilon-plus-flat")]
)
def test_an_unknown_rule_comes_with_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{hint}'"):
        lrpref.explain(FC, A, rule=name)


@pytest.mark.parametrize("rule", [None, 3, rules.Epsilon, [rules.Epsilon()]])
def test_what_is_no_rule_at_all(rule: Any) -> None:
    with pytest.raises(RuleError, match="expected a rule"):
        lrpref.explain(FC, A, rule=rule)


def test_a_rule_where_it_cannot_be_names_the_node() -> None:
    with pytest.raises(RuleError, match=r"node 'fc' \(Dense\): Pass applies to layers with one weight per unit"):
        lrpref.explain(FC, A, rule="pass")


def test_mistakes_are_found_before_anything_is_computed() -> None:
    """The input is invalid too, but the rule is checked first."""
    with pytest.raises(UnknownNameError):
        lrpref.explain(FC, np.full((1, 2), np.nan), rule="no-such-rule")


# ---- warnings and unattributed relevance -------------------------------------------------------------------------


def test_relevance_that_overflows_is_warned_of_with_its_node() -> None:
    """The output cancels to 2^-60; dividing a relevance of 2^100 by it overflows float32."""
    second = Dense(np.array([[1.0, -1.0 + 2.0**-24]]) * 2.0**-36)
    net = Network.sequential(Dense(np.eye(2)), second, names=["first", "second"]).astype(np.float32)
    warned = pytest.warns(RelevanceWarning, match="relevance at 'first' is not finite")
    with np.errstate(over="ignore", invalid="ignore"), warned as caught:
        lrpref.explain(net, np.ones((1, 2)), rule="zero", seed=2.0**100)
    assert caught[0].filename == __file__


@dataclass(frozen=True, eq=False)
class Crooked(Dense):
    """A layer whose adjoint is not the transpose of its forward pass."""

    def adjoint(self, w: np.ndarray, s: np.ndarray, *shapes: tuple[int, ...]) -> np.ndarray:
        return 1.001 * super().adjoint(w, s, *shapes)


def test_a_wrong_adjoint_is_warned_of_with_its_node() -> None:
    net = Network.sequential(Crooked(np.eye(2)), Dense(np.eye(2)), names=["crooked", "fc"])
    with pytest.warns(RelevanceWarning, match="the ledger of node 'crooked'") as caught:
        found = lrpref.explain(net, A, rule="epsilon")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_allclose(found.sum(axis=1), 1.001 * A.max(axis=1), rtol=1e-5)
    with pytest.warns(RelevanceWarning) as caught:
        lrpref.trace(net, A, rule="epsilon")
    assert caught[0].filename == __file__


def test_no_warning_where_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in (np.float32, np.float64):
            lrpref.explain(everything().astype(dtype), X)


@dataclass(frozen=True)
class Halved(rules.Rule):
    """A user-defined rule that redistributes half of the relevance and does not attribute the rest."""

    def flow(self, layer: LinearLayer, inputs: tuple[np.ndarray, ...], R: np.ndarray) -> Flow:
        whole = rules.Flat().flow(layer, inputs, R)
        return Flow(tuple(R_i / 2 for R_i in whole.inputs), attributed=False)


def test_a_rule_without_terms_is_no_reason_to_warn_but_is_listed() -> None:
    found = lrpref.trace(FC, A, rule=Halved())
    assert_allclose(found.ledger.residual()[0], A.max(axis=1) * 0 + found.ledger["out"][0] / 2)
    assert "unaccounted for" in str(found.ledger)


def test_a_composite_may_mix_rules_of_ones_own() -> None:
    net = Network([*FC.nodes, ("again", Dense(np.eye(3)), ["fc"])])
    found = lrpref.trace(net, A, rule=Composite([("fc", Halved()), (Dense, rules.Zero())]))
    marks = ["unaccounted for" in line for line in found.ledger.table().splitlines()[2:]]
    assert marks == [False, True]
