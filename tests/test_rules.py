"""The rules, checked against the oracle, against hand calculation, and against the laws they promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal, assert_array_less

import lrpref
from lrpref import Add, Conv2D, Dense, Flatten, Network, ReLU, Scale, composites, rules, to_numpy
from lrpref.backend import sum_per_sample
from lrpref.errors import DTypeError, ParameterError, RuleError
from lrpref.layers.base import LinearLayer
from lrpref.ledger import LOSSES, Entry
from lrpref.rules import Ratio, Rule, Term, divide, identity, stabilize
from lrpref.testing import (
    LayerCase,
    check_batch_independence,
    check_conservation,
    check_linear_in_R,
    check_no_mutation,
    check_oracle,
    check_rule,
    rounding,
)
from lrpref.testing.strategies import (
    LINEAR,
    RULES,
    Kind,
    arrays,
    kinds_for,
    layer_cases,
    nonnegative,
    rule_cases,
)

half, few = (settings(max_examples=settings.default.max_examples // n) for n in (2, 5))
"""Fewer examples, for laws tested on every rule (`half`) or on every pair of a rule and a layer (`few`)."""

every_rule = pytest.mark.parametrize("name", RULES)
every_pair = pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in RULES for kind in kinds_for(name)])

LINEAR_CASES = layer_cases(st.sampled_from(list(LINEAR)))


def slack(rule: Rule, case: LayerCase) -> tuple[list[np.ndarray], np.ndarray]:
    """The difference that rounding may cause between correct results, per input cell and per sample's ledger."""
    return rounding(rule, *case)


def assert_within(actual: Any, expected: Any, tolerance: Any) -> None:
    """Assert |actual - expected| <= tolerance in every cell."""
    assert_array_less(abs(to_numpy(actual) - to_numpy(expected)), tolerance + np.finfo(np.float64).tiny)


def relevance(rule: Rule, case: LayerCase) -> tuple[np.ndarray, ...]:
    """The relevance of the inputs, on the CPU."""
    return tuple(map(to_numpy, case.layer.relevance(case.inputs, case.R, rule)))


def explainer(backend: Any, rule: Rule, layer: Any) -> Callable[..., tuple[np.ndarray, ...]]:
    """The function explain(inputs, R) that the laws expect, computed on a backend."""
    rule, layer = backend(rule), backend(layer)
    return lambda inputs, R: relevance(rule, LayerCase(layer, backend(inputs), backend(R)))


# ---- every rule on every linear layer ----------------------------------------------------------------------------


@every_rule
def test_every_law_holds_in_fractions_and_in_float32(name: str) -> None:
    """All laws on random layers, through `check_rule`, which users can run on their own rules."""
    simplest = settings(max_examples=1, phases=[Phase.generate], database=None)
    check_rule(find(RULES[name](((1, 2),)), lambda rule: True, settings=simplest), max_examples=10)


@every_pair
@few
@given(data=st.data())
def test_relevance_is_the_sum_of_the_messages(name: str, kind: str, backend: Any, data: st.DataObject) -> None:
    rule, case = data.draw(rule_cases(name, kind=kind))
    check_oracle(explainer(backend, rule, case.layer), *case, rule, tolerance=slack(rule, case)[0])


@every_pair
@few
@given(data=st.data())
def test_the_books_close(name: str, kind: str, data: st.DataObject) -> None:
    """out = in + bias + stabilizer + dropped + factor, per sample."""
    rule, case = data.draw(rule_cases(name, kind=kind))
    flow = case.layer.flow(case.inputs, case.R, rule)
    assert flow.attributed
    assert set(flow.losses) <= set(LOSSES)
    lost = sum(flow.losses.values())
    check_conservation(lambda inputs, R: flow.inputs, case.inputs, case.R, lost, tolerance=slack(rule, case)[1])


@every_rule
@half
@given(data=st.data())
def test_each_column_is_what_it_says(name: str, data: st.DataObject) -> None:
    """No bias, no *bias*; no stabilizer, no *stabilizer*; no losses for R = 0; *factor* occurs under Relative only."""
    rule, case = data.draw(rule_cases(name))
    losses = case.layer.flow(case.inputs, case.R, rule).losses
    _, b = case.layer.parameters(*case.inputs)
    if b is None or not b.any():
        assert_array_equal(losses.get("bias", 0), 0)
    if not getattr(rule, "stabilizer", getattr(rule, "epsilon", 0)):
        assert_array_equal(losses.get("stabilizer", 0), 0)
    if name != "relative":
        assert_array_equal(losses.get("factor", 0), 0)
    silent = case.layer.flow(case.inputs, 0 * case.R, rule)
    for array in (*silent.inputs, *silent.losses.values()):
        assert_array_equal(array, 0)


@every_rule
@half
@given(data=st.data())
def test_relevance_is_linear(name: str, backend: Any, data: st.DataObject) -> None:
    """The relevance for 3 R + S is 3 times that for R plus that for S."""
    rule, case = data.draw(rule_cases(name))
    assert rule.linear
    S = data.draw(arrays(case.R.shape))
    reach = abs(3 * case.R) + abs(S)  # the sum itself may cancel
    tolerance = [3 * cells for cells in slack(rule, case._replace(R=reach))[0]]
    check_linear_in_R(explainer(backend, rule, case.layer), case.inputs, case.R, S, tolerance=tolerance)


@every_rule
@half
@given(data=st.data())
def test_a_sample_does_not_depend_on_its_batch(name: str, backend: Any, data: st.DataObject) -> None:
    """Not even under epsilon scaled by the rms; nor does it depend on earlier uses of the rule.

    Equality is up to rounding, because a single sample may be summed in another order.
    """
    case = data.draw(LINEAR_CASES if name != "pass" else layer_cases("scale"))
    rule = data.draw(RULES[name](case.shapes, **({"whole_batch": False} if name == "z-box" else {})))
    tolerance = [2 * cells for cells in slack(rule, case)[0]]
    check_batch_independence(explainer(backend, rule, case.layer), case.inputs, case.R, tolerance=tolerance)


@given(data=st.data())
def test_bounds_for_a_whole_batch_are_each_samples_own(backend: Any, data: st.DataObject) -> None:
    case = data.draw(LINEAR_CASES)
    low, high = -data.draw(nonnegative(case.shapes[0])), data.draw(nonnegative(case.shapes[0]))
    together = relevance(backend(rules.ZBox(low, high)), backend(case))
    tolerances = slack(rules.ZBox(low, high), case)[0]
    for n in range(len(case.R)):
        own = backend(rules.ZBox(low[n], high[n]))
        for R_i, alone, tolerance in zip(together, relevance(own, backend(case.at(n))), tolerances, strict=True):
            assert_within(R_i[n : n + 1], alone, 2 * tolerance[n : n + 1])


@every_rule
@few
@given(data=st.data())
def test_a_second_call_equals_the_first_and_nothing_is_changed(name: str, backend: Any, data: st.DataObject) -> None:
    rule, case = data.draw(rule_cases(name))
    rule, layer, inputs, R = backend(rule), *backend(case)
    check_no_mutation(lambda inputs, R: layer.relevance(inputs, R, rule), inputs, R)


@every_rule
@few
@given(data=st.data())
def test_inputs_may_be_read_only(name: str, data: st.DataObject) -> None:
    """Writing to a read-only input would raise an error."""
    rule, case = data.draw(rule_cases(name))
    for array in (*case.inputs, case.R):
        array.flags.writeable = False
    relevance(rule, case)


@every_rule
@half
@given(data=st.data())
def test_float32_in_float32_out(name: str, backend: Any, data: st.DataObject) -> None:
    """The result is float32, and agrees with that in float64 to float32 rounding."""
    rule, case = data.draw(rule_cases(name))

    def single(x: np.ndarray) -> np.ndarray:
        return x.astype(np.float32)

    short = LayerCase(case.layer.map_arrays(single), tuple(map(single, case.inputs)), single(case.R))
    units = np.finfo(np.float32).eps / np.finfo(np.float64).eps
    for R_i, exact, tolerance in zip(
        relevance(backend(rule), backend(short)), relevance(rule, case), slack(rule, case)[0], strict=True
    ):
        assert R_i.dtype == np.float32
        assert_within(R_i, exact, units * tolerance)


# ---- relations between rules -------------------------------------------------------------------------------------


@given(case=LINEAR_CASES, stabilizer=st.sampled_from([0.0, 0.25]))
def test_alpha_1_beta_0_is_z_plus(backend: Any, case: LayerCase, stabilizer: float) -> None:
    case = backend(case)
    plus = relevance(rules.ZPlus(stabilizer), case)
    for one, other in zip(relevance(rules.AlphaBeta(1, 0, stabilizer=stabilizer), case), plus, strict=True):
        assert_array_equal(one, other)


@given(case=LINEAR_CASES)
def test_epsilon_0_is_lrp_0(backend: Any, case: LayerCase) -> None:
    case = backend(case)
    for rule in (rules.Epsilon(0), rules.Epsilon(0.0, scale="rms")):
        for one, other in zip(relevance(rule, case), relevance(rules.Zero(), case), strict=True):
            assert_array_equal(one, other)


@given(case=LINEAR_CASES, generalised=st.booleans())
def test_gamma_0_is_lrp_0(case: LayerCase, generalised: bool) -> None:
    """Equality is up to rounding, because the generalised form sums its two branches in another order."""
    shared, tolerances = relevance(rules.Gamma(0.0, generalised), case), slack(rules.Zero(), case)[0]
    for one, other, tolerance in zip(shared, relevance(rules.Zero(), case), tolerances, strict=True):
        assert_within(one, other, 2 * tolerance * generalised)


@given(case=layer_cases(st.sampled_from(list(LINEAR)), inputs=nonnegative), gamma=st.sampled_from([0.25, 1.0]))
def test_generalised_gamma_is_plain_gamma_where_a_and_z_are_not_negative(case: LayerCase, gamma: float) -> None:
    case = case._replace(R=np.where(case.layer.forward(*case.inputs) >= 0, case.R, 0))
    plain, tolerances = relevance(rules.Gamma(gamma), case), slack(rules.Gamma(gamma), case)[0]
    general = relevance(rules.Gamma(gamma, generalised=True), case)
    for one, other, tolerance in zip(general, plain, tolerances, strict=True):
        assert_within(one, other, 2 * tolerance)


@given(case=layer_cases(st.sampled_from(["dense", "conv", "scale"])), gamma=st.sampled_from([0.25, 1.0]))
def test_generalised_gamma_is_odd(case: LayerCase, gamma: float) -> None:
    """Negating all weights and biases negates z and leaves every share unchanged (except at z = 0)."""
    layer = case.layer
    case = case._replace(R=np.where(layer.forward(*case.inputs) != 0, case.R, 0))
    turned = case._replace(layer=layer.map_arrays(lambda array: -array))
    for one, other in zip(*(relevance(rules.Gamma(gamma, True), c) for c in (case, turned)), strict=True):
        assert_array_equal(one, other)


@given(case=layer_cases(st.sampled_from(list(LINEAR)), relevance=nonnegative))
def test_z_plus_keeps_what_is_not_negative(backend: Any, case: LayerCase) -> None:
    for R_i in relevance(rules.ZPlus(), backend(case)):
        assert (R_i >= 0).all()


@pytest.mark.parametrize("rule", [rules.WSquare(), rules.Flat()])
@half
@given(data=st.data())
def test_w_square_and_flat_ignore_the_input(backend: Any, rule: Rule, data: st.DataObject) -> None:
    """Except in norms by the sample's own statistics, whose weights depend on the input."""
    case = data.draw(layer_cases(st.sampled_from([kind for kind in LINEAR if LINEAR[kind].fitted is None])))
    other = case._replace(inputs=tuple(data.draw(arrays(shape)) for shape in case.shapes))
    for one, two in zip(relevance(rule, backend(case)), relevance(rule, backend(other)), strict=True):
        assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["z-box", "w-square", "flat", "pass"])
@half
@given(data=st.data())
def test_rules_without_a_bias_are_indifferent_to_it(backend: Any, name: str, data: st.DataObject) -> None:
    rule, case = data.draw(
        rule_cases(name, kind="scale" if name == "pass" else st.sampled_from(["dense", "conv", "scale"]))
    )
    w, out = case.layer.weight, case.layer.weight.shape[0]
    other = case._replace(layer=replace(case.layer, bias=data.draw(arrays((out,)))))
    assert other.layer.weight is not None
    assert_array_equal(other.layer.weight, w)
    for one, two in zip(relevance(backend(rule), backend(case)), relevance(backend(rule), backend(other)), strict=True):
        assert_array_equal(one, two)


@given(case=LINEAR_CASES, stabilizer=st.sampled_from([0.0, 0.25]))
def test_absolute_hands_on_no_more_than_it_gets(backend: Any, case: LayerCase, stabilizer: float) -> None:
    """sum |R_i| <= sum |R_j|: cancellation in z cannot inflate the relevance."""
    shared = sum(sum_per_sample(abs(R_i)) for R_i in relevance(rules.Absolute(stabilizer), backend(case)))
    assert_array_less(shared, sum_per_sample(abs(case.R)) * (1 + 1e-12) + 1e-300)


@given(case=LINEAR_CASES)
def test_renormalised_alpha_beta_hands_on_all_it_can(case: LayerCase) -> None:
    """Without a bias it conserves relevance wherever at least one of the two parts is not empty."""
    rule = rules.AlphaBeta(2, 1, bias="ignore", empty="renormalise")
    flow = case.layer.flow(case.inputs, case.R, rule)
    w, _ = case.layer.parameters(*case.inputs)
    z = sum(abs(ratio.sums(case.layer, case.inputs, w, None)[0]) for ratio in rule.ratios())
    assert_within(flow.losses["dropped"], sum_per_sample(np.where(z == 0, case.R, 0)), slack(rule, case)[1])


@given(case=layer_cases("add"))
def test_a_skip_may_be_split_by_sign_by_magnitude_or_equally(case: LayerCase) -> None:
    """Zero splits by a / (a + b), Absolute by |a| / (|a| + |b|), Flat equally."""
    total, size = sum(case.inputs), sum(map(abs, case.inputs))
    k = len(case.inputs)
    for n, a in enumerate(case.inputs):
        for rule, expected in (
            (rules.Zero(), a * divide(case.R, total)),
            (rules.Absolute(), abs(a) * divide(case.R, size)),
            (rules.Flat(), case.R / k),
        ):
            assert_array_equal(relevance(rule, case)[n], expected)


# ---- one unit by hand, in exact fractions ------------------------------------------------------------------------

# a = (2, -1, 1), w = (3, 1, -4), b = 1, R = 1: contributions a w = (6, -1, -4), z = 6 - 1 - 4 + 1 = 2.
# With b = -2 instead: z = -1.
BY_HAND: list[tuple[Rule, int, str]] = [
    # a w / z = (6, -1, -4) / 2; the bias keeps 1/2.
    (rules.Zero(), 1, "3 -1/2 -2"),
    # z + epsilon = 5/2.
    (rules.Epsilon(0.5), 1, "12/5 -2/5 -8/5"),
    # z = -1 moves away from zero to -3/2.
    (rules.Epsilon(0.5), -2, "-4 2/3 8/3"),
    # w + w+/2 = (9/2, 3/2, -4), b + b+/2 = 3/2: contributions (9, -3/2, -4), denominator 9 - 3/2 - 4 + 3/2 = 5.
    (rules.Gamma(0.5), 1, "9/5 -3/10 -4/5"),
    # a negative bias stays as it is: 9 - 3/2 - 4 - 2 = 3/2.
    (rules.Gamma(0.5), -2, "6 -1 -8/3"),
    # z >= 0: positive contributions and the positive bias count 3/2 times: 9 - 1 - 4 + 3/2 = 11/2.
    (rules.Gamma(0.5, generalised=True), 1, "18/11 -2/11 -8/11"),
    # z < 0: the negative ones do: 6 - 3/2 - 6 - 3 = -9/2.
    (rules.Gamma(0.5, generalised=True), -2, "-4/3 1/3 4/3"),
    # 11/2 + 1/2 = 6.
    (rules.Gamma(0.5, generalised=True, stabilizer=0.5), 1, "3/2 -1/6 -2/3"),
    # z+ = 6 + 1 = 7, z- = -1 - 4 = -5: 2 * 6/7, -1/5, -4/5.
    (rules.AlphaBeta(2, 1), 1, "12/7 -1/5 -4/5"),
    # z+ = 6, z- = -1 - 4 - 2 = -7: 2, -1/7, -4/7.
    (rules.AlphaBeta(2, 1), -2, "2 -1/7 -4/7"),
    # z+ = 6, z- = -5; the bias is ignored.
    (rules.AlphaBeta(2, 1, bias="ignore"), 1, "2 -1/5 -4/5"),
    # z+ = 7 + 1/2, z- = -5 - 1/2.
    (rules.AlphaBeta(2, 1, stabilizer=0.5), 1, "8/5 -2/11 -8/11"),
    # alpha and beta are taken as the decimals written: 1.1 * 6/7, -0.1 * 1/5, -0.1 * 4/5.
    (rules.AlphaBeta(1.1, 0.1), 1, "33/35 -1/50 -2/25"),
    # (a w)+ = (6, 0, 0), b+ = 1.
    (rules.ZPlus(), 1, "6/7 0 0"),
    # 7 + 1/2.
    (rules.ZPlus(0.5), 1, "4/5 0 0"),
    # -2 <= a <= 2: a w + 2 w+ - 2 w- = (6 + 6, -1 + 2, -4 + 8) = (12, 1, 4), sum 17.
    (rules.ZBox(-2, 2), 1, "12/17 1/17 4/17"),
    # l = (-2, -1, 0), h = (2, 1, 3): (6 + 6, -1 + 1, -4 + 12) = (12, 0, 8), sum 20.
    (rules.ZBox([-2.0, -1.0, 0.0], [2.0, 1.0, 3.0]), 1, "3/5 0 2/5"),
    # w^2 = (9, 1, 16), sum 26.
    (rules.WSquare(), 1, "9/26 1/26 8/13"),
    # 26 + 13/2 = 65/2.
    (rules.WSquare(6.5), 1, "18/65 2/65 32/65"),
    # Three inputs.
    (rules.Flat(), 1, "1/3 1/3 1/3"),
    # |a w| = (6, 1, 4), |b| = 1, sum 12.
    (rules.Absolute(), 1, "1/2 1/12 1/3"),
    # |b| = 2, sum 13.
    (rules.Absolute(), -2, "6/13 1/13 4/13"),
    # sgn(z) a w / 3 = (2, -1/3, -4/3).
    (rules.Relative(rescale=False), 1, "2 -1/3 -4/3"),
    # sgn(z) = -1.
    (rules.Relative(rescale=False), -2, "-2 1/3 4/3"),
    # |2| + |-1/3| + |-4/3| = 11/3, so kappa = 3/11.
    (rules.Relative(), 1, "6/11 -1/11 -4/11"),
    # a w / 3, whatever the sign of z = -1.
    (rules.Relative("unsigned"), -2, "2 -1/3 -4/3"),
    # -a w.
    (rules.Relative("no-divisor"), -2, "-6 1 4"),
    # sum |w| = 3 + 1 + 4 = 8.
    (rules.Relative("unit-norm"), -2, "-3/4 1/8 1/2"),
]


def exact(*numbers: Any) -> np.ndarray:
    """A batch of one sample, as exact fractions."""
    return np.asarray([[Fraction(number) for number in numbers]], dtype=object)


@pytest.mark.parametrize(("rule", "bias", "expected"), BY_HAND, ids=[f"{rule}, b={b}" for rule, b, _ in BY_HAND])
def test_one_unit_by_hand(rule: Rule, bias: int, expected: str) -> None:
    """Compared with `==` in exact fractions, and to the last digit or two in float64."""
    layer, a, R = Dense(exact(3, 1, -4), exact(bias)[0]), exact(2, -1, 1), exact(1)
    fractions = exact(*expected.split())
    held = {name: to_exact(getattr(rule, name)) for name in ("low", "high") if hasattr(rule, name)}
    assert_array_equal(layer.relevance(a, R, replace(rule, **held)), fractions)
    floating = layer.map_arrays(lambda array: array.astype(np.float64))
    shared = floating.relevance(a.astype(np.float64), np.ones((1, 1)), rule)
    assert_allclose(shared, fractions.astype(np.float64), rtol=1e-15)


def to_exact(bound: Any) -> Any:
    """A bound in exact fractions."""
    return bound if isinstance(bound, int) else exact(*bound)[0]


def test_every_rule_is_done_by_hand() -> None:
    """Every rule has an example above, except Pass, which is tested below."""
    assert {rule.name for rule, _, _ in BY_HAND} | {"pass"} == set(rules.RULES)


def test_pass_by_hand() -> None:
    layer = Scale([-3.0, 0.0], [1.0, 1.0])
    R = np.asarray([[0.25, -0.5]])
    assert_array_equal(layer.relevance(np.asarray([[-1.0, 0.0]]), R, rules.Pass()), R)


# ---- zeros, signs and empty parts --------------------------------------------------------------------------------


@pytest.mark.parametrize(("z", "expected"), [(0.0, 0.5), (-0.0, 0.5), (-0.5, -1.0), (2.0, 2.5), (-2.0, -2.5)])
def test_a_stabilizer_moves_away_from_zero(backend: Any, z: float, expected: float) -> None:
    """sign(0) = +1, and no pole at z = -epsilon."""
    assert_array_equal(to_numpy(stabilize(backend(np.asarray([[z]])), 0.5)), [[expected]])


@pytest.mark.parametrize(("weights", "expected"), [([1.0, -1.0], [2.0, -2.0]), ([1.0, -1.5], [-1.0, 1.5])])
def test_epsilon_at_its_two_dangerous_places(weights: list[float], expected: list[float]) -> None:
    """z = 0 divides by +epsilon = 1/2; z = -epsilon divides by -2 epsilon = -1."""
    shared = Dense([weights]).relevance(np.ones((1, 2)), np.ones((1, 1)), rules.Epsilon(0.5))
    assert_array_equal(shared, [expected])


@pytest.mark.parametrize("generalised", [False, True])
def test_z_of_0_is_on_the_positive_side_of_gamma(generalised: bool) -> None:
    """w = (1, -1), gamma = 1/4: contributions (5/4, -1) over 1/4, in both forms; R is not dropped."""
    rule = rules.Gamma(0.25, generalised)
    assert_array_equal(Dense([[1.0, -1.0]]).relevance(np.ones((1, 2)), np.ones((1, 1)), rule), [[5.0, -4.0]])


@pytest.mark.parametrize("form", ["plain", "direct", "winograd"])
def test_a_z_box_denominator_that_is_zero_is_exactly_zero(form: str) -> None:
    """Each cell under the kernel of one unit is at the bound that gives it nothing; as fractions, its z is 0.

    Three sums that cancel would leave rounding noise, by which its relevance would be divided.
    """
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(64, 64, 3, 3))
    conv = Conv2D(weight, np.full(64, 1000.0), padding=1)
    net = Network.sequential(conv, ReLU(), Flatten(), Dense(draw.normal(size=(1, 64 * 9))))
    x = draw.choice([0.125, 1.0], size=(1, 64, 3, 3))
    x[0] = np.where(weight[0] > 0, 0.125, 1.0)
    rule = composites.Composite([(0, rules.ZBox(0.125, 1.0)), (object, rules.Zero())])
    tr = lrpref.trace(net, x, rule=rule)
    [entry] = [entry for entry in tr.ledger.entries if entry.node == "conv2d1"]
    assert_allclose(entry.columns["dropped"], tr.at["relu1"][:, 0, 1, 1], rtol=1e-9)
    assert abs(entry.columns["dropped"]) > 1
    R = lrpref.explain(net, x, rule=rule, form=form)
    assert_allclose(R.sum() + entry.columns["dropped"], tr.at["relu1"].sum(), rtol=1e-9)
    assert_allclose(R, tr.relevance, rtol=1e-9, atol=1e-12 * abs(tr.relevance).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tiny_denominator_is_not_zero(dtype: Any) -> None:
    """Only zero itself redistributes nothing, down to the smallest number there is."""
    info = np.finfo(dtype)
    z = np.array([info.smallest_subnormal, -info.smallest_subnormal, info.tiny, 0.0, -0.0], dtype=dtype)
    R = np.array([info.smallest_subnormal, info.smallest_subnormal, 3 * info.tiny, 1.0, 1.0], dtype=dtype)
    assert_array_equal(divide(R, z), [1, -1, 3, 0, 0])
    layer, tiny = Dense(np.ones((1, 2), dtype)), np.full((1, 2), info.tiny, dtype=dtype)
    assert_array_equal(layer.relevance(tiny, np.ones((1, 1), dtype), rules.Zero()), [[0.5, 0.5]])


def test_rms_is_over_the_samples_own_units() -> None:
    """z = (3, 4, 0, 0) has rms 5/2, so epsilon = 0.4 * 5/2 = 1; the second sample has none."""
    layer, R = Dense([[3.0], [4.0], [0.0], [0.0]]), np.ones((2, 4))
    shared = layer.relevance(np.asarray([[1.0], [0.0]]), R, rules.Epsilon(0.4, scale="rms"))
    assert_allclose(shared, [[3 / 4 + 4 / 5], [0.0]], rtol=1e-15)


def test_division_by_zero_sends_nothing(backend: Any) -> None:
    assert_array_equal(to_numpy(divide(backend(np.asarray([1.0, 1.0])), backend(np.asarray([0.0, 4.0])))), [0.0, 0.25])


@pytest.mark.parametrize("rule", [rules.Zero(), rules.ZPlus(), rules.Gamma(), rules.Absolute(), rules.AlphaBeta()])
def test_what_a_zero_denominator_withholds_is_dropped(rule: Rule) -> None:
    flow = Dense([[1.0, 2.0]]).flow((np.zeros((1, 2)),), np.asarray([[3.0]]), rule)
    assert_array_equal(flow.inputs[0], [[0.0, 0.0]])
    assert_array_equal(flow.losses["dropped"], [3.0])


# w = (1, 2), R = 3: the negative part is empty for a = (1, 1), the positive one for a = (-1, -1), both for a = (0, 0).
@pytest.mark.parametrize(
    ("empty", "a", "shared", "dropped"),
    [
        ("literal", 1.0, [2.0, 4.0], -3.0),
        ("renormalise", 1.0, [1.0, 2.0], 0.0),
        ("literal", -1.0, [-1.0, -2.0], 6.0),
        ("renormalise", -1.0, [1.0, 2.0], 0.0),
        ("literal", 0.0, [0.0, 0.0], 3.0),
        ("renormalise", 0.0, [0.0, 0.0], 3.0),
    ],
)
def test_an_empty_pool(empty: str, a: float, shared: list[float], dropped: float) -> None:
    """Literal: the other part still gets alpha R or -beta R, the rest is dropped. Renormalised: it gets exactly R."""
    flow = Dense([[1.0, 2.0]]).flow((np.asarray([[a, a]]),), np.asarray([[3.0]]), rules.AlphaBeta(2, 1, empty=empty))
    assert_allclose(flow.inputs[0], [shared], rtol=1e-15)
    assert_array_equal(flow.losses["dropped"], [dropped])


def test_cells_of_a_convolutions_padding_are_nothing_to_flat_and_z_box() -> None:
    """With 3 x 3 taps around a single cell, that cell gets all relevance, even if the box contains zero."""
    conv, a, R = Conv2D(np.ones((1, 1, 3, 3)), padding=1), np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 2.0)
    for rule in (rules.Flat(), rules.ZBox(-1.0, 2.0), rules.WSquare()):
        assert_array_equal(conv.relevance(a, R, rule), R)


# ---- user-defined rules ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Half(Rule):
    """Half of R by squared weight, half by magnitude: one ratio from each of two known rules."""

    stabilizer: float = 0.0

    def ratios(self) -> tuple[Ratio, ...]:
        return tuple(Ratio(rule.ratios()[0].terms, 0.5) for rule in (rules.WSquare(), rules.Absolute()))


@pytest.mark.parametrize("kind", LINEAR)
@few
@given(data=st.data())
def test_a_rule_of_ones_own_works_on_every_layer_and_its_books_close(kind: str, data: st.DataObject) -> None:
    case = data.draw(layer_cases(kind))
    flow = case.layer.flow(case.inputs, case.R, Half())
    cells, books = slack(Half(), case)
    parts = zip(relevance(rules.WSquare(), case), relevance(rules.Absolute(), case), strict=True)
    for R_i, (one, other), tolerance in zip(flow.inputs, parts, cells, strict=True):
        assert_within(R_i, (one + other) / 2, tolerance)
    booked = sum(map(sum_per_sample, flow.inputs)) + sum(flow.losses.values())
    assert_within(booked, sum_per_sample(case.R), books)


def test_a_rule_without_pools_says_so() -> None:
    with pytest.raises(RuleError, match=r"rule Rule defines no ratios: implement ratios\(\) or flow\(\)"):
        Dense([[1.0]]).relevance(np.ones((1, 1)), np.ones((1, 1)), Rule())


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (Dense([[1.0, 1.0]]), (np.ones((1, 2)),)),
        (Dense([[1.0], [1.0]]), (np.ones((1, 1)),)),  # fan-in 1, but not one unit per input
        (Add(), (np.ones((1, 2)), np.ones((1, 2)))),
    ],
)
def test_pass_is_for_diagonal_layers(layer: LinearLayer, inputs: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(RuleError, match=r"one weight per unit \(BatchNorm, Scale, .*\); use Epsilon\(\) here"):
        layer.relevance(inputs, layer.forward(*inputs), rules.Pass())


# ---- parameters and names ----------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: rules.Epsilon(-1e-6), r"Epsilon: epsilon must be a finite number >= 0, got -1e-06"),
    (lambda: rules.Epsilon(np.inf), r"epsilon must be a finite number"),
    (lambda: rules.Epsilon("small"), r"epsilon must be a finite number >= 0, got 'small'"),
    (lambda: rules.Epsilon(1.0, scale="max"), r'scale must be None or "rms", got \'max\''),
    (lambda: rules.Gamma(-0.25), r"Gamma: gamma must be a finite number >= 0"),
    (lambda: rules.Gamma(0.25, stabilizer=np.nan), r"stabilizer must be a finite number >= 0, got nan"),
    (lambda: rules.AlphaBeta(1, 1), r"alpha - beta must be 1, got 1 - 1"),
    (lambda: rules.AlphaBeta(0.5, -0.5), r"beta must be a finite number >= 0"),
    (lambda: rules.AlphaBeta(bias="drop"), r'bias must be "keep" or "ignore", got \'drop\''),
    (lambda: rules.AlphaBeta(empty="skip"), r'empty must be "literal" or "renormalise", got \'skip\''),
    (lambda: rules.ZBox(1.0, 0.0), r"low must not exceed high anywhere"),
    (lambda: rules.ZBox([0.0, 2.0], [1.0, 1.0]), r"low must not exceed high anywhere"),
    (lambda: rules.ZBox(np.full(2, 2.0), np.ones((2, 2, 2))), r"low must not exceed high anywhere"),
    (lambda: rules.ZBox([0.0, 0.0], [1.0, 1.0, 1.0]), r"low and high do not broadcast"),
    (lambda: rules.ZBox([np.nan], 1.0), r"ZBox low holds NaN"),
    *[
        (lambda rule=rule: rule(stabilizer=-1.0), rf"{rule.__name__}: stabilizer must be a finite number >= 0")
        for rule in (rules.ZPlus, rules.WSquare, rules.Flat, rules.Absolute)
    ],
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_parameters_that_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


def test_a_bound_per_channel_lines_up_with_one_per_cell() -> None:
    """Lows 0 and 5 per channel, highs 1 and 9 per cell: axes are matched by position, not by size."""
    high = np.broadcast_to(np.asarray([1.0, 9.0])[:, None, None], (2, 2, 2))
    assert rules.ZBox([0.0, 5.0], high).low.shape == (2,)


@every_rule
@few
@given(data=st.data())
def test_rules_are_frozen_and_name_themselves(name: str, data: st.DataObject) -> None:
    rule, _ = data.draw(rule_cases(name))
    assert rule.name == name
    assert str(rule).startswith(name)
    with pytest.raises(FrozenInstanceError):
        rule.anything = 1


def test_two_boxes_are_not_one() -> None:
    box = rules.ZBox(0.0, 1.0)
    assert box == box
    assert box != rules.ZBox(-1.0, 1.0)
    assert len({box, box, rules.ZBox(0.0, 1.0)}) == 2


def test_a_rule_tells_what_differs_from_its_defaults() -> None:
    assert str(rules.Epsilon()) == "epsilon"
    assert str(rules.Gamma(0.5, generalised=True)) == "gamma(gamma=0.5, generalised=True)"
    assert str(rules.ZBox(0.0, np.ones(3))) == "z-box(low=0.0, high=array(3,))"
    assert str(Half(0.5)) == "Half(stabilizer=0.5)"


def test_every_rule_has_a_strategy_and_every_kind_is_tried() -> None:
    """A new rule or linear layer cannot be left out of these tests unnoticed."""
    assert set(RULES) == set(rules.RULES)
    offered = {t for t in vars(lrpref).values() if isinstance(t, type) and issubclass(t, LinearLayer)}
    assert {type(_example(kind)).__mro__[1] for kind in LINEAR.values()} == {
        t.__mro__[1] for t in offered - {LinearLayer}
    }


def _example(kind: Kind) -> LinearLayer:
    """The simplest example of a kind of layer."""
    anything = settings(max_examples=1, phases=[Phase.generate], database=None)
    return find(kind.shapes.flatmap(lambda shapes: kind.layer(shapes[0])), lambda _: True, settings=anything)


# ---- a ratio with a denominator of its own -----------------------------------------------------------------------


@dataclass(frozen=True)
class SignedAbsolute(Rule):
    """R_i = sum_j (a_i w_ij / (sum_i |a_i w_ij| + |b_j|)) R_j: signed shares over the sum of magnitudes."""

    conserves: ClassVar[bool] = False

    def ratios(self) -> tuple[Ratio, ...]:
        magnitudes = (Term(rules.magnitude, rules.magnitude, rules.magnitude),)
        return (Ratio((Term(b=identity),), denominator=magnitudes),)


def test_a_signed_share_over_magnitudes_by_hand() -> None:
    """a w = (2, -3), b = 1, R = 6: shares 2/6 and -3/6, the bias 1/6; they sum to 0, so *factor* takes all 6."""
    layer, a, R = Dense([[2.0, -3.0]], [1.0]), np.array([[1.0, 1.0]]), np.array([[6.0]])
    flow = layer.flow((a,), R, SignedAbsolute())
    assert_array_equal(flow.inputs[0], [[2.0, -3.0]])
    assert_array_equal(flow.losses["bias"], [1.0])
    assert_array_equal(flow.losses["factor"], [6.0])


@pytest.mark.parametrize("kind", LINEAR)
@few
@given(data=st.data())
def test_its_books_close_too(kind: str, data: st.DataObject) -> None:
    """Exactly, since computed in fractions."""
    case = data.draw(layer_cases(kind))
    layer = lrpref.exact(lrpref.Network([("layer", case.layer, ["input"] * len(case.inputs))]))["layer"]
    inputs, R = tuple(map(lrpref.exact, case.inputs)), lrpref.exact(case.R)
    flow = layer.flow(inputs, R, SignedAbsolute())
    entry = Entry.of("layer", layer, "signed", R, flow)
    assert all(value == 0 for value in entry.residual().flat)
    d, _, _ = rules.Absolute().ratios()[0].sums(layer, inputs, *layer.parameters(*inputs))
    shared = sum(map(sum_per_sample, flow.inputs)) + flow.losses["bias"]
    assert_array_equal(shared, sum_per_sample(divide(layer.forward(*inputs) * R, d)))


# ---- parameters inside a map -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnGamma(Rule):
    """User-defined plain gamma with the parameter inside a map, with or without `constant`."""

    gamma: float = 0.25
    careful: bool = True

    def ratios(self) -> tuple[Ratio, ...]:
        def more(x: Any) -> Any:
            gamma = rules.constant(self.gamma, like=x) if self.careful else self.gamma
            return x + gamma * rules.positive(x)

        return (Ratio((Term(w=more, b=more),)),)


def test_a_float_inside_a_map_works_in_exact_arithmetic_or_is_refused_with_a_remedy() -> None:
    net = lrpref.exact(lrpref.Network.sequential(Dense([[1.0, -3.0]], [0.5]), names=["fc"]))
    x = lrpref.exact([["1/3", "2"]])
    assert_array_equal(
        lrpref.trace(net, x, rule=OwnGamma()).relevance, lrpref.trace(net, x, rule=rules.Gamma()).relevance
    )
    message = r"node 'fc' \(Dense, OwnGamma.*a map of the rule turned exact numbers into floats; .*arithmetic.constant"
    with pytest.raises(DTypeError, match=message):
        lrpref.trace(net, x, rule=OwnGamma(careful=False))
    plain = lrpref.Network.sequential(Dense([[1.0, -3.0]], [0.5]))  # in floating point both give the same
    a = np.array([[0.25, 2.0]])
    assert_array_equal(
        lrpref.explain(plain, a, rule=OwnGamma()), lrpref.explain(plain, a, rule=OwnGamma(careful=False))
    )
