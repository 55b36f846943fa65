"""Laws of whole networks: properties of an explanation that hold for every architecture.

Most are tested in exact fractions, where a law must hold with `==`; a separate test shows that floating point
gives the same results.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, BatchNorm, Conv2D, Dense, LinearLayer, Network, Scale, rules, to_numpy
from lrpref.composites import Composite
from lrpref.ledger import LOSSES
from lrpref.testing.strategies import BLOCKS, arrays, generic, networks

few = settings(max_examples=settings.default.max_examples // 4)
"""Fewer examples, for laws that are tested with every rule in slow arithmetic."""

RULES = {
    rule.name: rule
    for rule in (
        rules.Zero(),
        rules.Epsilon(0.25),
        rules.Gamma(0.5),
        rules.Gamma(0.5, generalised=True, stabilizer=0.25),
        rules.AlphaBeta(2, 1, empty="renormalise"),
        rules.ZPlus(0.25),
        rules.ZBox(-4, 4),
        rules.WSquare(),
        rules.Flat(),
        rules.Absolute(),
        rules.Relative(),
    )
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=str)


def everywhere(rule: rules.Rule) -> Composite:
    """One rule on every linear layer."""
    return Composite([(LinearLayer, rule)])


ZERO = everywhere(rules.Zero())


def fractions(array: np.ndarray) -> np.ndarray:
    """The array as exact fractions; boolean masks are returned unchanged."""
    return array if array.dtype == bool else np.vectorize(Fraction, otypes=[object])(array)


def exactly(net: Network, x: np.ndarray) -> tuple[Network, np.ndarray]:
    """The network and batch in exact fractions, with BatchNorm (whose square root may be irrational) as a Scale."""
    nodes = [
        (name, Scale(*layer.scale_and_shift()) if isinstance(layer, BatchNorm) else layer, inputs)
        for name, layer, inputs in net.nodes
    ]
    return Network(nodes).map_arrays(fractions), fractions(x)


def dyadic_seed(draw: Any, net: Network, x: np.ndarray) -> np.ndarray:
    """Relevance for every output, so that no law depends on which output is the largest."""
    return draw(arrays(net.forward(x).shape))


# ---- LRP-0 is gradient times input -----------------------------------------------------------------------------


def gradient(net: Network, x: np.ndarray, target: np.ndarray, h: float) -> tuple[np.ndarray, float]:
    """Gradient of each sample's target by central differences, and the largest second difference (0 if linear)."""
    rows = np.arange(len(x))
    here, slope, bend = net.forward(x)[rows, target], np.zeros_like(x), 0.0
    for cell in np.ndindex(*x.shape[1:]):
        step = np.zeros_like(x)
        step[(slice(None), *cell)] = h
        up, down = (net.forward(x + sign * step)[rows, target] for sign in (1, -1))
        slope[(slice(None), *cell)] = (up - down) / (2 * h)
        bend = max(bend, float(abs(up + down - 2 * here).max()))
    return slope, bend


def cancels(net: Network, x: np.ndarray) -> bool:
    """Whether contributions cancel exactly at a unit of a linear layer: then z = 0, and LRP-0 distributes nothing.

    The ledger need not show it as dropped, because the relevance of the unit may be zero as well.
    """
    at = net.activations(x)
    for name, layer, read in net.nodes:
        if isinstance(layer, LinearLayer):
            inputs = tuple(at[i] for i in read)
            size, _, _ = rules.Absolute().ratios()[0].sums(layer, inputs, *layer.parameters(*inputs))
            if ((at[name] == 0) & (size != 0)).any():
                return True
    return False


WITHOUT_PRODUCTS = [block for block in BLOCKS if block != "gate"]


@given(case=networks(blocks=st.lists(st.sampled_from(WITHOUT_PRODUCTS), max_size=3), numbers=generic))
def test_lrp_0_is_gradient_times_input(backend: Any, case: tuple[Network, np.ndarray]) -> None:
    """With biases, convolutions, pooling, BatchNorm, skips and branches; cases with a kink or z = 0 are skipped.

    Products share relevance between their factors, which a gradient does not. Between kinks the network is linear, so
    central differences are exact up to rounding: eps * |f| / h.
    """
    net, x = case
    trace = lrpref.trace(backend(net), backend(x), rule=ZERO)
    h = 2.0**-14
    slope, bend = gradient(net, x, to_numpy(trace.target), h)
    size = max(float(abs(a).max()) for a in net.activations(x).values())
    noise = 256 * np.finfo(np.float64).eps * (1 + size)
    assume(bend < noise and not cancels(net, x))
    assert_allclose(to_numpy(trace.relevance), x * slope, rtol=1e-9, atol=noise / h * abs(x).max())


@given(case=networks())
def test_what_lrp_0_explains_is_the_logit(case: tuple[Network, np.ndarray]) -> None:
    """The relevance of the input plus the losses in the ledger equals the logit exactly."""
    trace = lrpref.trace(*exactly(*case), rule=ZERO)
    logit = trace.logits[np.arange(len(trace.logits)), trace.target]
    kept = trace.relevance.reshape(len(logit), -1).sum(axis=1)
    assert_array_equal(kept + sum(trace.ledger[loss].sum(axis=0) for loss in LOSSES), logit)


# ---- conservation in the ledger --------------------------------------------------------------------------------


@every_rule
@few
@given(data=st.data())
def test_the_books_of_every_layer_close(rule: rules.Rule, data: st.DataObject) -> None:
    """out - in - bias - stabilizer - dropped - factor == 0, per layer and sample."""
    net, x = data.draw(networks())
    seed = dyadic_seed(data.draw, net, x)
    trace = lrpref.trace(*exactly(net, x), rule=everywhere(rule), seed=fractions(seed))
    assert_array_equal(trace.ledger.residual(), 0)
    assert all(entry.attributed for entry in trace.ledger.entries)


@every_rule
@few
@given(data=st.data())
def test_relevance_at_each_node_is_what_its_line_says(rule: rules.Rule, data: st.DataObject) -> None:
    """The ledger lists what each node received; no relevance appears or vanishes between nodes or at joins."""
    net, x = exactly(*data.draw(networks()))
    trace = lrpref.trace(net, x, rule=everywhere(rule))
    totals = {name: R.reshape(len(x), -1).sum(axis=1) for name, R in trace.at.items()}
    assert next(iter(trace.at)) == net.output
    assert trace.ledger.nodes == [name for name in reversed(net.names) if name in trace.at]
    for node, out in zip(trace.ledger.nodes, trace.ledger["out"], strict=True):
        assert_array_equal(out, totals[node])
    sent_on = sum(trace.ledger["in"])
    assert_array_equal(sent_on, sum(total for name, total in totals.items() if name != net.output))
    assert_array_equal(trace.relevance, trace.at["input"])
    assert trace.relevance.shape == x.shape


# ---- invariances -----------------------------------------------------------------------------------------------


def assert_same_relevance(one: lrpref.Trace, other: lrpref.Trace) -> None:
    """Both traces have the same relevance at every node."""
    assert set(one.at) == set(other.at)
    for name, R in one.at.items():
        assert_array_equal(R, other.at[name])


def rewritten(net: Network, order: Any) -> Network:
    """The same network with the inputs of every Add reversed and the nodes listed in another order."""
    nodes = [(name, layer, inputs[::-1] if isinstance(layer, Add) else inputs) for name, layer, inputs in net.nodes]
    return Network([nodes[k] for k in order])


@every_rule
@few
@given(data=st.data())
def test_the_order_of_branches_and_nodes_does_not_matter(rule: rules.Rule, data: st.DataObject) -> None:
    net, x = exactly(*data.draw(networks(blocks=st.sampled_from([["residual"], ["branches", "residual"]]))))
    other = rewritten(net, data.draw(st.permutations(range(len(net.nodes)))))
    assert_same_relevance(*(lrpref.trace(n, x, rule=everywhere(rule)) for n in (net, other)))


@every_rule
def test_swapping_the_branches_of_a_skip_only_renames(rule: rules.Rule) -> None:
    """One branch is a layer, the other the identity: `left + input` against `input + right`."""
    double, x = Dense([[2.0, 1.0], [0.0, -1.0]], [1.0, 0.5]), np.asarray([[1.0, -3.0]])
    end = ("end", Dense([[1.0, 2.0]]), ["sum"])
    one = Network([("left", double, ["input"]), ("sum", Add(), ["left", "input"]), end])
    other = Network([("right", double, ["input"]), ("sum", Add(), ["input", "right"]), end])
    at, renamed = (lrpref.trace(net, x, rule=everywhere(rule)).at for net in (one, other))
    for name in ("end", "sum", "input"):
        assert_array_equal(at[name], renamed[name])
    assert_array_equal(at["left"], renamed["right"])


@every_rule
@few
@given(data=st.data())
def test_a_shared_layer_is_two_equal_layers(rule: rules.Rule, data: st.DataObject) -> None:
    net, x = data.draw(networks(blocks=st.lists(st.just("residual"), min_size=1, max_size=2)))
    copies = Network([(name, layer.map_arrays(np.copy), inputs) for name, layer, inputs in net.nodes])
    shared, apart = exactly(net, x), exactly(copies, x)
    assert_same_relevance(*(lrpref.trace(*n, rule=everywhere(rule)) for n in (shared, apart)))


def test_a_shared_layer_stays_shared() -> None:
    """Casting a network keeps the shared layer shared, and each of its nodes has its own ledger entry."""
    conv = Conv2D(np.full((1, 1, 1, 1), 2.0))
    net = Network.sequential(conv, conv, names=["first", "second"]).astype(np.float32)
    assert net["first"] is net["second"]
    trace = lrpref.trace(net, np.ones((1, 1, 1, 1)), rule="zero")
    assert [entry.node for entry in trace.ledger.entries] == ["second", "first"]


@every_rule
@few
@given(data=st.data())
def test_a_sample_does_not_depend_on_its_batch(rule: rules.Rule, data: st.DataObject) -> None:
    net, x = exactly(*data.draw(networks()))
    whole = lrpref.explain(net, x, rule=everywhere(rule))
    alone = [lrpref.explain(net, x[n : n + 1], rule=everywhere(rule)) for n in range(len(x))]
    assert_array_equal(whole, np.concatenate(alone))


@every_rule
@few
@given(data=st.data())
def test_relevance_grows_with_its_seed(rule: rules.Rule, data: st.DataObject) -> None:
    """Multiplying the seed by 3 or by -1 multiplies the map by the same factor."""
    net, x = data.draw(networks())
    seed = fractions(dyadic_seed(data.draw, net, x))
    net, x = exactly(net, x)
    one = lrpref.explain(net, x, rule=everywhere(rule), seed=seed)
    for factor in (3, -1):
        assert_array_equal(lrpref.explain(net, x, rule=everywhere(rule), seed=factor * seed), factor * one)


# ---- side effects and floating point ---------------------------------------------------------------------------


@given(case=networks())
def test_nothing_given_is_changed_and_a_second_call_equals_the_first(
    backend: Any, case: tuple[Network, np.ndarray]
) -> None:
    net, x = case
    kept = {name: array.copy() for name, array in net.parameters.items()} | {"x": x.copy()}
    net, x = backend(net), backend(x)
    first, again = (lrpref.trace(net, x, rule=everywhere(rules.Absolute())) for _ in range(2))
    for name, R in first.at.items():
        assert_array_equal(to_numpy(R), to_numpy(again.at[name]))
    for name, array in (net.parameters | {"x": x}).items():
        assert_array_equal(to_numpy(array), kept[name])


@pytest.mark.parametrize("name", ["z-plus", "w-square", "flat", "absolute"])
@few
@given(data=st.data())
def test_floating_point_computes_what_fractions_do(name: str, backend: Any, data: st.DataObject) -> None:
    """On every backend, for the rules whose denominators are sums of terms of one sign, so that nothing cancels.

    The tolerance is relative to the largest relevance at any node, because rounding errors scale with it.
    """
    rule = RULES[name]
    net, x = data.draw(networks())
    exact = lrpref.trace(*exactly(net, x), rule=everywhere(rule))
    trace = lrpref.trace(backend(net), backend(x), target=exact.target, rule=everywhere(rule))
    size = max(float(abs(R).max()) for R in exact.at.values())
    assert_allclose(to_numpy(trace.relevance), exact.relevance.astype(float), rtol=0, atol=1e-12 * size)


def test_every_rule_of_the_library_is_under_these_laws() -> None:
    """Except Pass, which does not apply to every layer."""
    assert set(RULES) == set(rules.RULES) - {"pass"}
