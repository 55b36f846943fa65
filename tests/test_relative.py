"""Relative LRP as lrpref defines it: its properties as laws, and properties it does not have as counter-examples.

Laws are checked in exact fractions, where they hold with `==`. Counter-examples are networks of a few weights, worked
out in the docstrings. In floating point, results must be finite at any scale, in float32 through nineteen layers.
"""

from __future__ import annotations

import os
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, BatchNorm, Conv2D, Dense, Flatten, GlobalAvgPool2D, MaxPool2D, Network, ReLU, Scale, rules
from lrpref.backend import sum_per_sample
from lrpref.composites import Relative as RelativeComposite
from lrpref.engine import magnitude
from lrpref.errors import ParameterError, RelevanceWarning, RuleError
from lrpref.layers import Layer
from lrpref.rational.conversion import exact
from lrpref.relative import READINGS
from lrpref.testing.strategies import LINEAR, arrays, kinds_for, layer_cases, networks

few = settings(max_examples=settings.default.max_examples // 2)
RELATIVE, BARE = rules.Relative(), rules.Relative("bare")
LINEAR_READINGS = READINGS[1:]
WEIGHTED = ("dense", "conv")
FIXED = [kind for kind, made in LINEAR.items() if made.fitted is None]
"""Kinds of layers without statistics of the input."""
WITH_MATRIX = [kind for kind in FIXED if LINEAR[kind] is not LINEAR["mat_mul"]]
"""Those of them whose weights are parameters, which messages from inputs of 1 show."""


def exactly(case: Any) -> tuple[Layer, tuple[np.ndarray, ...], np.ndarray]:
    """A layer case (layer, inputs, R) in fractions."""
    (_, layer, _), *_ = exact(Network([("layer", case.layer, ["input"] * len(case.inputs))])).nodes
    return layer, tuple(map(exact, case.inputs)), exact(case.R)


def fractional(case: tuple[Network, np.ndarray]) -> tuple[Network, np.ndarray]:
    """A random network without BatchNorm, and its batch, in fractions."""
    net, x = case
    return lrpref.fuse(exact(net, digits=10)), exact(x)


def sign(z: np.ndarray) -> np.ndarray:
    return np.where(z < 0, -1, 1)


def size(parts: Any) -> np.ndarray:
    """The sum of magnitudes per sample."""
    return sum(sum_per_sample(magnitude(part)) for part in parts)


# ---- the laws ----------------------------------------------------------------------------------------------------


def divisor(reading: str, layer: Any, a: tuple[np.ndarray, ...], R: np.ndarray) -> Any:
    """n of every unit. That of "unit-norm" is read off the messages of inputs that are 1, which are +-w_ij."""
    if reading != "unit-norm":
        return 1 if reading == "no-divisor" else layer.fan_in(*(v.shape for v in a))
    w = lrpref.messages(layer, tuple(0 * v + 1 for v in a), 0 * R + 1, rules.Relative("no-divisor"))
    n = size_per_unit(w, R)
    return np.where(n == 0, n + 1, n)


def size_per_unit(messages: Any, R: np.ndarray) -> np.ndarray:
    """The sum of magnitudes of the messages that each unit sends, shaped like R."""
    total: np.ndarray = sum(abs(m).reshape(len(R), -1, *R.shape[1:]).sum(axis=1) for m in messages)
    return total


@pytest.mark.parametrize("reading", LINEAR_READINGS)
@few
@given(data=st.data())
def test_a_unit_hands_on_a_constant_times_what_it_is(reading: str, data: st.DataObject) -> None:
    """sum_i R[i<-j] = (|z_j| - sgn(z_j) b_j) / n R_j for every unit, and n is its number of inputs.

    Unsigned, it is (z_j - b_j) / n R_j. Other readings have another n.
    """
    layer, a, R = exactly(data.draw(layer_cases(st.sampled_from(WITH_MATRIX if reading == "unit-norm" else FIXED))))
    z, (_, b) = layer.forward(*a), layer.parameters(*a)
    sent = lrpref.messages(layer, a, R, rules.Relative(reading))
    total = sum(m.reshape(len(R), -1, *R.shape[1:]).sum(axis=1) for m in sent)
    b = 0 * z if b is None else b + 0 * z
    signed = z - b if reading == "unsigned" else sign(z) * (z - b)
    assert_array_equal(total, signed / divisor(reading, layer, a, R) * R)


def test_the_number_of_inputs() -> None:
    """Taps times channels per group, padding included; 1 for a diagonal layer; the window size of an average pool."""
    image = (2, 4, 6, 6)
    assert Dense(np.ones((3, 5))).fan_in((2, 5)) == 5
    assert Conv2D(np.ones((4, 2, 3, 2)), padding=1, groups=2).fan_in(image) == 12
    assert Scale(np.ones(4)).fan_in(image) == 1
    assert lrpref.AvgPool2D(3).fan_in(image) == 9
    assert GlobalAvgPool2D().fan_in(image) == 36
    assert Add().fan_in(image, image) == 2


def test_there_is_nothing_to_tune() -> None:
    """The rule's only field chooses between readings; it has no numerical parameter."""
    assert [(f.name, f.default) for f in fields(rules.Relative)] == [("reading", "rescaled")]


def test_rescale_is_short_for_two_readings() -> None:
    """`rescale=False` is "bare", and says nothing about the readings that are not rescaled in any case."""
    assert rules.Relative() == rules.Relative(rescale=True) == RELATIVE
    assert rules.Relative(rescale=False) == BARE
    assert rules.Relative("unit-norm", rescale=False) == rules.Relative("unit-norm")
    assert [rules.Relative(reading).rescale for reading in READINGS] == [True, False, False, False, False]
    assert [rules.Relative(reading).linear for reading in READINGS] == [False, True, True, True, True]
    assert str(RelativeComposite(rescale=False)) == str(RelativeComposite("bare"))
    for wrong in (False, "scaled", None):
        with pytest.raises(ParameterError, match=r'Relative: reading must be "rescaled", .* or "unit-norm"'):
            rules.Relative(wrong)  # type: ignore[arg-type]


def with_another_constant(layer: Layer, n: int) -> Layer:
    """The same layer, but with a `fan_in` of n."""
    if not isinstance(layer, Dense | Conv2D | Scale):
        return layer  # the weight of an average pool depends on its number of cells
    kind: Any = type(layer)
    other: Layer = object.__new__(type(kind.__name__, (kind,), {"fan_in": lambda self, *shapes: n}))
    vars(other).update(vars(layer))
    return other


@few
@given(case=networks(), data=st.data())
def test_any_constant_per_layer_gives_the_same_map(case: tuple[Network, np.ndarray], data: st.DataObject) -> None:
    """Even with skips and branches: kappa cancels the constant in the same layer, so 1/n does not affect the map."""
    net, x = fractional(case)
    count = len(net.nodes)
    constants = data.draw(st.lists(st.integers(1, 1000), min_size=count, max_size=count))
    other = Network([(k, with_another_constant(v, n), i) for (k, v, i), n in zip(net.nodes, constants, strict=True)])
    seed = exact(data.draw(arrays(net.forward(x).shape)))
    one, two = (lrpref.explain(each, x, rule="relative", seed=seed) for each in (net, other))
    assert_array_equal(one, two)


@few
@given(case=networks(blocks=st.lists(st.just("convolution"), max_size=3)))
def test_on_a_chain_one_constant_per_layer_gives_one_direction(case: tuple[Network, np.ndarray]) -> None:
    """Rescaled, bare and without divisor: the maps differ by a positive factor per sample, to the last fraction."""
    net, x = fractional(case)
    maps = [lrpref.explain(net, x, rule=rules.Relative(name)) for name in ("rescaled", "bare", "no-divisor")]
    flat = [R.reshape(len(R), -1) for R in maps]
    sizes = [abs(R).sum(axis=1, keepdims=True) for R in flat]
    for R, total in zip(flat, sizes, strict=True):
        assert_array_equal(R * sizes[0], flat[0] * total)


def test_a_constant_per_unit_gives_another_direction() -> None:
    """x = (1, 1); hidden units x1 and x1 + x2 = 2, the output 1 + 2 = 3, all weights 1 or 0.

    Bare, the output sends (1, 2) / 2. The first unit sends on 1/2 (1, 0) / 2, the second 1 (1, 1) / 2: (3/4, 1/2). With
    the units' own sums of |w|, which are 1 and 2, they send 1/2 (1, 0) / 1 and (1, 1) / 2: (1, 1/2).
    """
    net = Network.sequential(Dense([[1.0, 0.0], [1.0, 1.0]]), ReLU(), Dense([[1.0, 1.0]]))
    maps = {name: lrpref.explain(net, np.ones((1, 2)), rule=rules.Relative(name), seed=1.0) for name in READINGS}
    assert_array_equal(maps["bare"], [[3 / 4, 1 / 2]])
    assert_array_equal(maps["unit-norm"], [[1, 1 / 2]])
    assert_array_equal(maps["unsigned"], maps["bare"])
    assert_array_equal(maps["no-divisor"], 4 * maps["bare"])
    assert_allclose(maps["rescaled"], maps["bare"] / (5 / 4), rtol=1e-15)


def test_on_a_skip_connection_no_two_readings_agree() -> None:
    """x = (1, 2); a = 4 x1 - x2 = 2 (a second unit is not used), b = -a = -2, the skip is x1 + x2 = 3, the sum 1.

    For R = 1, the sum sends -2 to b and 3 to the skip. b sends -2 on to a when bare, where n = 2 and sgn(z) = -1; it
    sends 2 unsigned, and -4 with no divisor or with sum |w| = 1. Then a sends (4, -2) of that over n = 2, 1 or 5, and
    the skip 3 (1, 2) over n = 2, 1 or 2. Rescaled, the branch sends (-4, 2) / 3 and the skip (1, 2).
    """
    net = Network([
        ("a", Dense([[4.0, -1.0], [1.0, 1.0]]), ["input"]), ("b", Dense([[-1.0, 0.0]]), ["a"]),
        ("skip", Dense([[1.0, 1.0]]), ["input"]), ("sum", Add(), ["b", "skip"]),
    ])  # fmt: skip
    expected = {
        "rescaled": [-4 / 3 + 1, 2 / 3 + 2],
        "bare": [-4 + 1.5, 2 + 3],
        "unsigned": [4 + 1.5, -2 + 3],
        "no-divisor": [-16 + 3, 8 + 6],
        "unit-norm": [-3.2 + 1.5, 1.6 + 3],
    }
    for reading in READINGS:
        found = lrpref.explain(net, np.array([[1.0, 2.0]]), rule=RelativeComposite(reading), seed=1.0)
        assert_allclose(found, [expected[reading]], rtol=1e-14)
    assert len({round(R_1 / R_2, 9) for R_1, R_2 in expected.values()}) == len(READINGS)


def test_the_sum_of_weights_leaves_padding_out() -> None:
    """Three taps of 1 on (1, 1, 1), padding 1: the units have 2, 3, 2 inputs, and 3 taps each. R = 1.

    Bare, every input gets 1/3 from each unit that it belongs to; with the sums of |w|, 1/2 from the outer ones. A unit
    without weights sends nothing.
    """
    layer = Conv2D(np.ones((1, 1, 1, 3)), padding=(0, 1))
    a = np.ones((1, 1, 1, 3))
    assert_allclose(layer.relevance(a, a, BARE)[0, 0], [[2 / 3, 1, 2 / 3]], rtol=1e-15)
    assert_allclose(layer.relevance(a, a, rules.Relative("unit-norm"))[0, 0], [[5 / 6, 4 / 3, 5 / 6]], rtol=1e-15)
    nothing = Dense([[0.0, 0.0]], [1.0]).relevance(np.ones((1, 2)), np.ones((1, 1)), rules.Relative("unit-norm"))
    assert_array_equal(nothing, [[0, 0]])


@pytest.mark.parametrize("reading", READINGS)
def test_prepared_networks_know_every_reading(reading: str) -> None:
    rng = np.random.default_rng(0)
    layers = [Conv2D(rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), padding=1), ReLU(), MaxPool2D(2), Flatten()]
    net = Network.sequential(*layers, Dense(rng.normal(size=(4, 12)), rng.normal(size=4)))
    x = rng.normal(size=(3, 2, 4, 4))
    plain = lrpref.explain(net, x, rule=f"relative(reading={reading!r})", form="plain")
    assert_allclose(lrpref.prepare(net, rules.Relative(reading)).explain(x), plain, rtol=1e-12, atol=1e-12)


def test_bare_maps_keep_their_shape_in_chains_only() -> None:
    """In a chain, another constant only scales the map. At a skip, the two branches get different factors.

    x = 1, the branch is 2 x, the skip x, their sum 3. R = 3 at the sum: the branch gets 2 and the skip 1. The branch
    sends down 2 * 2 = 4 with n = 1, but 2 with n = 2: the map is 5 or 3.
    """
    chain = Network.sequential(Dense([[1.0, 2.0], [0.5, 1.0]]), ReLU(), Dense([[1.0, -3.0]]))
    other = Network([(name, with_another_constant(layer, 7), inputs) for name, layer, inputs in chain.nodes])
    R, S = (lrpref.explain(net, np.array([[1.0, 2.0]]), rule=BARE, seed=1.0) for net in (chain, other))
    assert_allclose(S, R * (2 / 7) ** 2, rtol=1e-15)
    for n, expected in [(1, 5), (2, 3)]:
        branch = with_another_constant(Dense([[2.0]]), n)
        net = Network([("branch", branch, ["input"]), ("sum", Add(), ["branch", "input"])])
        assert lrpref.explain(net, np.ones((1, 1)), rule=RelativeComposite(rescale=False)) == expected


@few
@given(data=st.data(), factor=st.fractions(-3, 3, max_denominator=7))
def test_homogeneous_and_odd(data: st.DataObject, factor: Fraction) -> None:
    """The relevance for c R is c times that for R, for any c, with or without rescaling."""
    layer, a, R = exactly(data.draw(layer_cases(st.sampled_from(kinds_for("relative")))))
    c = exact([factor])[0]
    for rule in map(rules.Relative, READINGS):
        one, two = layer.flow(a, R, rule).inputs, layer.flow(a, c * R, rule).inputs
        for R_i, S_i in zip(one, two, strict=True):
            assert_array_equal(S_i, c * R_i)


@few
@given(data=st.data())
def test_a_layer_hands_on_the_magnitude_that_it_received(data: st.DataObject) -> None:
    """sum |R_i| = sum |R_j| per sample, or 0 where all messages cancel."""
    layer, a, R = exactly(data.draw(layer_cases(st.sampled_from(kinds_for("relative")))))
    found, bare = (layer.flow(a, R, rule).inputs for rule in (RELATIVE, BARE))
    assert_array_equal(size(found), np.where(size(bare) == 0, 0 * size([R]), size([R])))


@few
@given(case=networks(blocks=st.lists(st.just("convolution"), max_size=3)))
def test_maps_are_as_large_as_the_logit(case: tuple[Network, np.ndarray]) -> None:
    """Without joins, sum |R| at the input is |logit|, or 0 after full cancellation: depth does not change the size."""
    net, x = fractional(case)
    trace = lrpref.trace(net, x, rule="relative")
    logit = abs(np.take_along_axis(trace.logits, trace.target[:, None], axis=1)[:, 0])
    total = size([trace.relevance])
    assert ((total == logit) | (total == 0)).all()


@few
@given(data=st.data())
def test_columns_of_the_ledger(data: st.DataObject) -> None:
    """*factor* is sum_j R_j (1 - kappa |z_j| / n) and *bias* is kappa sum_j sgn(z_j) b_j R_j / n.

    Unsigned, z_j is in place of |z_j| and b_j in place of sgn(z_j) b_j. Other readings have another n.
    """
    layer, a, R = exactly(data.draw(layer_cases(st.sampled_from(WITH_MATRIX))))
    z, (_, b) = layer.forward(*a), layer.parameters(*a)
    b = 0 * z if b is None else b + 0 * z
    bare = size(layer.flow(a, R, BARE).inputs)
    for rule in map(rules.Relative, READINGS):
        kappa = np.where(bare == 0, 0 * bare, size([R]) / np.where(bare == 0, 1, bare)) if rule.rescale else 1
        n, signs = divisor(rule.reading, layer, a, R), 1 if rule.reading == "unsigned" else sign(z)
        weights = lrpref.messages(layer, tuple(0 * v + 1 for v in a), 0 * R + 1, rules.Relative("no-divisor"))
        sends = size_per_unit(weights, R) != 0 if rule.reading == "unit-norm" else np.ones(R.shape, dtype=bool)
        losses = layer.flow(a, R, rule).losses
        share = np.where(sends, signs * R / n, 0 * R)
        assert_array_equal(losses["factor"], sum_per_sample(R) - kappa * sum_per_sample(z * share))
        assert_array_equal(losses["bias"], kappa * sum_per_sample(b * share))
        assert set(losses) == {"factor", "bias"}


@few
@given(case=layer_cases(st.sampled_from(list(LINEAR))))
def test_the_trace_tells_kappa_and_what_survived(case: Any) -> None:
    """log(kappa) and sum_i |sum_j m_ij| / sum_ij |m_ij| agree with the message matrix."""
    facts = case.layer.flow(case.inputs, case.R, RELATIVE).facts
    m = [v.reshape(*a.shape, -1) for v, a in zip(bare_messages(case), case.inputs, strict=True)]
    apart, together = (np.asarray(v, dtype=float) for v in (size(m), size([v.sum(axis=-1) for v in m])))
    expected = np.where(apart > 0, together / np.where(apart > 0, apart, 1), 0)
    assert_allclose(facts["survived"], expected, atol=1e-12)
    flows = together > 1e-9
    received = np.asarray(size([case.R]), dtype=float)
    assert_allclose(facts["log(kappa)"][flows], np.log(received[flows] / together[flows]), atol=1e-9)


def bare_messages(case: Any) -> tuple[np.ndarray, ...]:
    return lrpref.messages(case.layer, case.inputs, case.R, BARE)


positive = st.integers(0, 2**16).map(np.random.default_rng)


@few
@given(rng=positive, depth=st.integers(1, 4))
def test_the_sign_of_the_evidence_is_kept_on_positive_chains(rng: np.random.Generator, depth: int) -> None:
    """Without biases and with weights >= 0 above the first layer, R_i has the sign of i's share of the output."""
    layers: list[Layer] = [Dense(rng.normal(size=(4, 3)))]
    for _ in range(depth):
        layers += [ReLU(), Dense(rng.random((4, 4)))]
    net, x = Network.sequential(*layers), rng.normal(size=(5, 3))
    found, added = (lrpref.explain(net, x, 0, rule, seed=1.0) for rule in ("relative", "zero"))
    single = net["dense1"].weight[None] * x[:, None] > 0  # does input i contribute positively to unit j?
    agreed = single.all(axis=1) | ~single.any(axis=1)  # where all units agree, nothing can cancel
    assert_array_equal(np.sign(found[agreed]), np.sign(added[agreed]))


def test_skips_split_in_proportion_and_0_by_0_sends_nothing() -> None:
    """y = a + b: R_a = a / (a + b) R; max-pool and Concat route. None of these layers is rescaled by kappa."""
    net = Network([("sum", Add(), ["input", "double"]), ("double", Dense([[2.0]]), ["input"])])
    x = np.array([[1.5], [0.0]])
    trace = lrpref.trace(net, x, rule="relative", seed=np.array([[9.0], [9.0]]))
    assert_array_equal(trace.at["double"], [[6], [0]])
    assert trace.ledger["dropped"].sum() == 9
    assert [str(rule) for rule in trace.rules.values()] == ["relative", "zero"]
    routed = Network.sequential(MaxPool2D(2), Flatten(), Dense([[1.0]]))
    picture = np.array([[[[1.0, 5.0], [2.0, 3.0]]]])
    assert_array_equal(lrpref.explain(routed, picture, rule="relative"), [[[[0, 5], [0, 0]]]])


def test_batchnorm_is_refused_and_scale_is_taken() -> None:
    norm = BatchNorm([2.0], [1.0], [0.5], [1.0], eps=0.0)
    with pytest.raises(RuleError, match=r"lrpref\.fuse"):
        lrpref.explain(Network.sequential(norm), np.ones((1, 1)), rule="relative")
    scale = Network.sequential(Scale([-2.0], [1.0]))
    assert_array_equal(lrpref.explain(scale, np.array([[3.0]]), rule=BARE, seed=1.0), [[6]])  # sgn(-5) (-6) / 1
    assert_array_equal(lrpref.explain(scale, np.array([[3.0]]), rule="relative", seed=1.0), [[1]])


# ---- what it does not promise: counter-examples ------------------------------------------------------------------


def test_not_additive_in_relevance() -> None:
    """Unit 1 sends R to input 1, unit 2 sends (R, -R)/2. The maps of (1, 0) and (0, 1) are (1, 0) and (1/2, -1/2).

    For (1, 1), the messages (1, 0) and (1, -1), halved, sum to (1, -1/2), rescaled to magnitude 2: (4/3, -2/3).
    """
    layer, a = Dense([[1.0, 0.0], [1.0, -1.0]]), np.array([[1.0, 1.0]])
    found = [layer.relevance(a, np.array([R]), RELATIVE)[0] for R in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0])]
    assert_allclose(found, [[1, 0], [0.5, -0.5], [4 / 3, -2 / 3]], rtol=1e-15)
    assert not np.allclose(found[2], found[0] + found[1])
    bare = [layer.relevance(a, np.array([R]), BARE)[0] for R in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0])]
    assert_array_equal(bare[2], bare[0] + bare[1])


def two_units(c: float) -> Network:
    """f(x) = relu(x1) + 3 relu(x2), with the second unit scaled by c and its weight by 1/c; f does not depend on c."""
    return Network.sequential(Dense([[1.0, 0.0], [0.0, c]]), ReLU(), Dense([[1.0, 3.0 / c]]))


def test_not_gradient_times_input_and_not_invariant_to_scaling_a_unit() -> None:
    """At x = (1, 1), gradient x input is (1, 3) for every c; the map of relative LRP depends on c.

    The output sends (1, 3), the units send on a multiple of (1, 3 c): rescaled to the logit 4, the map is
    (4, 12 c) / (1 + 3 c). It is (1, 3) for c = 1 only, although the function is the same for all c.
    """
    x = np.ones((1, 2))
    for c in (0.5, 1.0, 2.0):
        assert_array_equal(two_units(c).forward(x), [[4]])
        assert_array_equal(lrpref.explain(two_units(c), x, rule="zero"), [[1, 3]])
        assert_allclose(lrpref.explain(two_units(c), x, rule="relative")[0], [4 / (1 + 3 * c), 12 * c / (1 + 3 * c)])


def test_not_invariant_to_inserting_an_identity() -> None:
    """An identity layer sends a_i R_i / n, so large activations gain relevance at each step.

    f = x1 + x2 at (1, 3): the map is (1, 3), but (1, 9) * 4 / 10 with an identity layer below.
    """
    last, identity, x = Dense([[1.0, 1.0]]), Dense(np.eye(2)), np.array([[1.0, 3.0]])
    assert_allclose(lrpref.explain(Network.sequential(last), x, rule="relative"), [[1, 3]])
    assert_allclose(lrpref.explain(Network.sequential(identity, last), x, rule="relative"), [[0.4, 3.6]])
    assert_allclose(lrpref.explain(Network.sequential(identity, last), x, rule="zero"), [[1, 3]])


def test_the_sum_of_the_map_is_no_fixed_multiple_of_the_logit() -> None:
    """f = x1 - x2: the messages (x1, -x2) are rescaled to |logit|, so their sum is logit^2 / (x1 + x2)."""
    net = Network.sequential(Dense([[1.0, -1.0]]))
    sums = [lrpref.explain(net, np.array([[a, 1.0]]), rule="relative").sum() / (a - 1) for a in (2.0, 4.0)]
    assert_allclose(sums, [1 / 3, 3 / 5])
    assert_allclose(lrpref.explain(net, np.array([[2.0, 1.0]]), rule="relative"), [[2 / 3, -1 / 3]])


def test_without_the_sign_evidence_changes_sides() -> None:
    """Without sgn(z), as in a third party's a w R / n, the input that makes a unit negative gets R_i > 0.

    z = 1 - 2 = -1 and R = -1 (a negative logit). The second input is evidence against the class, so its relevance
    should be negative; it is so only with the factor sgn(z).
    """
    layer, a, R = Dense([[1.0, -2.0]]), np.array([[1.0, 1.0]]), np.array([[-1.0]])
    unsigned = a * layer.weight / 2 * R
    assert_array_equal(unsigned, [[-0.5, 1]])
    assert_array_equal(layer.relevance(a, R, BARE), [[0.5, -1]])
    assert_array_equal(layer.relevance(a, R, rules.Zero()), [[1, -2]])
    positive_unit = Dense([[2.0, -1.0]])
    assert_array_equal(positive_unit.relevance(a, R, BARE), a * positive_unit.weight / 2 * R)  # same if z > 0


def test_kappa_bounds_the_size_and_not_the_direction() -> None:
    """The units send (1, 0)/2 and -(1, d)/2: all but d cancels, and the remainder is rescaled to full size.

    So d = 2^-20 alone determines the direction, (0, -1); changing the weight 1 by 8 d turns it to (-8, -1). The trace
    reports that only the fraction d / (2 + d) of the messages survived.
    """
    d = 2.0**-20
    x, R = np.ones((1, 2)), np.array([[1.0, -1.0]])
    net, noisy = (Network.sequential(Dense([[1.0, 0.0], [1.0 + noise, d]])) for noise in (0, 8 * d))
    trace = lrpref.trace(net, x, rule="relative", seed=R)
    assert_array_equal(trace.relevance, [[0, -2]])
    assert_allclose(lrpref.explain(noisy, x, rule="relative", seed=R), [[-16 / 9, -2 / 9]])
    assert_allclose(trace.ledger.entries[0].facts["survived"], [d / (2 + d)])
    assert "survived 4.77e-07" in str(trace.ledger)
    calm = lrpref.trace(net, x, rule="relative", seed=abs(R))
    assert_allclose(calm.ledger.entries[0].facts["survived"], [1])


def test_almost_total_cancellation_warns() -> None:
    """With d = 1e-9 the ledger itself is dominated by rounding, which raises a warning."""
    net = Network.sequential(Dense([[1.0, 0.0], [1.0, 1e-9]]), names=["fc"])
    with pytest.warns(RelevanceWarning, match="the ledger of node 'fc'"):
        lrpref.trace(net, np.ones((1, 2)), rule="relative", seed=np.array([[1.0, -1.0]]))


# ---- floating point ----------------------------------------------------------------------------------------------


@few
@given(data=st.data(), up=st.sampled_from([-90, 90]), over=st.sampled_from([-30, 25]))
def test_powers_of_two_change_nothing(data: st.DataObject, up: int, over: int) -> None:
    """Scaling inputs, weights and biases by powers of two gives the same map to the last bit, even in float32.

    All forward values lie between 2^-126 and 2^127, but an unscaled product of three of them may not.
    """
    case = data.draw(layer_cases(st.sampled_from(WEIGHTED), relevance=arrays))
    layer = case.layer.map_arrays(lambda v: v.astype(np.float32))
    changed = {"weight": layer.weight * np.float32(2.0**over)}
    for name in ("bias", "bias_taps"):
        if getattr(layer, name, None) is not None:
            changed[name] = getattr(layer, name) * np.float32(2.0 ** (up + over))
    other = object.__new__(type(layer))
    vars(other).update({**vars(layer), **changed})
    a, R = case.inputs[0].astype(np.float32), case.R.astype(np.float32)
    with np.errstate(over="raise", invalid="raise"):
        one, two = layer.relevance(a, R, RELATIVE), other.relevance(a * np.float32(2.0**up), R, RELATIVE)
    assert_array_equal(one, two)
    assert np.isfinite(two).all()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("rescale", [True, False])
def test_the_power_of_two_is_that_of_the_largest_of_several_inputs(order: tuple[int, int], rescale: bool) -> None:
    """A branch of 2^-430 next to one of 2^600. Divided by the smaller one's power, the larger would overflow."""
    branches = [np.array([[2.0**-430, 2.0**-430]]), np.array([[2.0**600, -(2.0**599)]])]
    inputs, R = tuple(branches[k] for k in order), np.array([[1.0, 2.0]])
    with np.errstate(over="raise", invalid="raise"):
        found = Add().relevance(inputs, R, rules.Relative(rescale=rescale))
    kappa = 3 / 2.0**600 if rescale else 1.0  # |R| is 3, the messages are 2^599 and 2^599
    expected = [a * np.array([[1.0, -1.0]]) * R / 2 * kappa for a in inputs]
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-11)


def test_products_are_scaled_before_they_underflow() -> None:
    """Products near 2^-128 would be subnormal and lose digits; the map must still be the same to the last bit."""
    rng = np.random.default_rng(0)
    weight, a, R = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 5), (2, 5), (2, 3)))
    one = Dense(weight).relevance(a, R, RELATIVE)
    two = Dense(weight * np.float32(2.0**-8)).relevance(a * np.float32(2.0**-117), R, RELATIVE)
    assert_array_equal(one, two)


def deep(widths: list[int], rng: np.random.Generator, scale: float, dtype: Any) -> Network:
    """VGG19's layout: 16 convolutions, 5 pools and 3 Dense layers, with He-initialised weights times `scale`."""
    plan: list[Any] = []
    for count, width in zip((2, 2, 4, 4, 4), widths, strict=True):
        plan += [width] * count + ["pool"]
    layers: list[Layer] = []
    channels = 3
    for step in plan:
        if step == "pool":
            layers.append(MaxPool2D(2))
            continue
        he = scale * (2 / (9 * channels)) ** 0.5
        layers += [
            Conv2D(he * rng.normal(size=(step, channels, 3, 3)), 0.05 * rng.normal(size=step), padding=1),
            ReLU(),
        ]
        channels = step
    layers.append(Flatten())
    for out in (widths[-1], widths[-1], 10):
        layers += [Dense(scale * (2 / channels) ** 0.5 * rng.normal(size=(out, channels)), np.zeros(out)), ReLU()]
        channels = out
    return Network.sequential(*layers[:-1]).astype(dtype)


@pytest.mark.parametrize("scale", [0.25, 1.0, 12.0])
def test_float32_through_nineteen_layers(scale: float) -> None:
    """With activations of 1e-11 or 1e20 at the top, the map is finite, as large as the logit, and right to 3 digits.

    The bare messages leave the range of float32 when |z| / n is small, or large, in each of the nineteen layers.
    """
    net = deep([4, 8, 8, 16, 16], np.random.default_rng(0), scale, np.float64)
    x = np.random.default_rng(1).random((2, 3, 32, 32))
    short = lrpref.trace(net.astype(np.float32), x, 3, "relative")
    true = lrpref.trace(net, x, 3, "relative")
    assert np.isfinite(short.relevance).all()
    logit = abs(true.logits[:, 3])
    assert_allclose(abs(short.relevance).reshape(2, -1).sum(axis=1), logit, rtol=1e-4)
    error = np.linalg.norm(short.relevance - true.relevance) / np.linalg.norm(true.relevance)
    assert error < 1e-3
    assert abs(true.ledger.residual()).max() <= 1e-10 * logit.max()
    with np.errstate(all="ignore"):
        bare = abs(lrpref.explain(net, x, 3, BARE, seed=1.0)).max()
    limits = np.finfo(np.float32)
    assert bare < limits.tiny or bare > limits.max or scale == 1.0


MODELS = os.environ.get("LRPREF_MODELS")


@pytest.mark.skipif(not MODELS, reason="needs LRPREF_MODELS, a folder with vgg16_imagenet_notop_f16.npz")
def test_real_activations_of_vgg16() -> None:
    """The 13 ImageNet convolutions on noise with the spectrum of a photograph: float32 agrees with float64."""
    with np.load(Path(MODELS or "") / "vgg16_imagenet_notop_f16.npz") as held:
        arrays = {name: held[name].astype(np.float64) for name in held.files}
    layers: list[Layer] = []
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        for k in range(1, count + 1):
            weight, bias = (arrays[f"block{block}_conv{k}.{field}"] for field in ("weight", "bias"))
            layers += [Conv2D(weight, bias, padding=1), ReLU()]
        layers.append(MaxPool2D(2))
    net = Network.sequential(*layers, GlobalAvgPool2D(), Flatten())
    x = photograph(32)
    short, true = (lrpref.trace(net.astype(kind), x, rule="relative") for kind in (np.float32, np.float64))
    assert np.isfinite(short.relevance).all()
    assert_allclose(abs(short.relevance).sum(), abs(true.logits).max(), rtol=1e-4)
    assert np.linalg.norm(short.relevance - true.relevance) < 1e-3 * np.linalg.norm(true.relevance)
    survived = {entry.node: float(entry.facts["survived"][0]) for entry in true.ledger.entries if entry.facts}
    assert all(0 < share <= 1 for share in survived.values())


def photograph(side: int) -> np.ndarray:
    """Noise with the 1/f spectrum of photographs, in VGG16's input format: B, G, R, minus their means."""
    rng = np.random.default_rng(0)
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    f[0, 0] = 1
    waves = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, side, side))) / f).real
    picture = 127 + 50 * (waves - waves.mean()) / waves.std()
    return (picture.clip(0, 255) - np.array([103.939, 116.779, 123.68])[:, None, None])[None]


def test_nothing_flows_from_nothing() -> None:
    """Zero inputs, zero relevance and messages that cancel completely give zeros, not NaN, and kappa = 0."""
    layer = Dense([[1.0, 2.0], [1.0, 2.0]])
    rows: list[tuple[Any, Any]] = [([0.0, 0.0], [1.0, 1.0]), ([1.0, 1.0], [0.0, 0.0]), ([1.0, 1.0], [1.0, -1.0])]
    for a, R in rows:
        flow = layer.flow((np.array([a]),), np.array([R]), RELATIVE)
        assert_array_equal(flow.inputs[0], [[0, 0]])
        assert all(np.isfinite(v).all() for v in (*flow.losses.values(), *flow.facts.values()))
        assert_array_equal(flow.losses["factor"], [sum(R)])
