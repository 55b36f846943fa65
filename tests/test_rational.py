"""Exact arithmetic: laws hold with `==`, no float remains, and what cannot be exact is refused with its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    Network,
    Pad2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
    ThreshReLU,
    exact,
    rational,
    rules,
)
from lrpref._support.budget import Budget
from lrpref.arithmetic import as_fraction, constant, exact_number, is_exact
from lrpref.backend import as_tuple
from lrpref.composites import Composite
from lrpref.errors import BudgetError, DTypeError, InputError, ParameterError, RuleError
from lrpref.layers import LinearLayer
from lrpref.relative import READINGS
from lrpref.testing.strategies import LAYERS, LINEAR, RULES, SMOOTH, layer_cases, networks, rule_cases

few = settings(max_examples=settings.default.max_examples // 4)

NUMBER = type(exact_number(0))
"""The element type of exact arrays: gmpy2's mpq if installed, else Fraction."""


def everywhere(rule: rules.Rule) -> Composite:
    """A composite with one rule on every linear layer."""
    return Composite([(LinearLayer, rule)])


def exact_layer(layer: lrpref.Layer) -> lrpref.Layer:
    """A layer converted to exact arithmetic."""
    inputs = ["input"] * max(layer.min_inputs, 1)
    return exact(Network([("layer", layer, inputs)]))["layer"]


def numbers(trace: lrpref.Trace) -> Iterable[Any]:
    """Every number in a trace: at each node, and in the ledger."""
    arrays = [trace.relevance, trace.logits, *trace.at.values(), trace.ledger.residual()]
    for entry in trace.ledger.entries:
        arrays += [*entry.columns.values(), *entry.facts.values()]
    return (value for array in arrays for value in np.asarray(array, dtype=object).flat)


def is_all_exact(trace: lrpref.Trace) -> bool:
    """Whether every number in a trace is of the exact type; not even integers, since their quotient is a float."""
    return {type(value) for value in numbers(trace)} == {NUMBER}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Nonzero multiples of 1/8 between -2 and 2: short numbers keep the fractions short."""
    rng = np.random.default_rng([seed, *shape])
    return rng.integers(1, 17, size=shape) * rng.choice([-1, 1], size=shape) / 8


# ---- conversion to exact numbers ---------------------------------------------------------------------------------


def test_floats_are_the_binary_fractions_that_they_are() -> None:
    found = exact(np.asarray([[0.1, -0.5]]))
    assert found[0, 0] == Fraction(3602879701896397, 36028797018963968)
    assert found[0, 1] == Fraction(-1, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_floats_of_every_length_keep_every_bit(dtype: Any) -> None:
    third = dtype(1) / dtype(3)
    (found,) = exact(np.asarray([third]))
    assert type(found) is NUMBER
    assert found == Fraction(*map(int, third.as_integer_ratio()))
    assert abs(found - Fraction(1, 3)) <= Fraction(float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, bool])
def test_integers_become_exact_numbers(dtype: Any) -> None:
    found = exact(np.asarray([1, 0], dtype=dtype))
    assert found.tolist() == [1, 0]
    assert type(as_fraction(dtype(1)).numerator) is int  # a NumPy integer would overflow
    assert {type(value) for value in found} == {NUMBER}


def test_text_fractions_and_decimals_are_taken_as_written() -> None:
    found = exact([["1/3", "0.1"], [Fraction(2, 7), Decimal("1e-6")], [3, 0.5]])
    assert found.tolist() == [
        [Fraction(1, 3), Fraction(1, 10)],
        [Fraction(2, 7), Fraction(1, 10**6)],
        [3, Fraction(1, 2)],
    ]
    assert {type(value) for value in found.flat} == {NUMBER}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.longdouble("inf"), "one", "1/0", None, 1j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ParameterError, match="cannot be represented as a fraction"):
        exact([value])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1, Fraction(1, 10)),
        (1e-6, Fraction(1, 10**6)),
        (np.float64(0.1), Fraction(1, 10)),
        (np.float32(0.1), Fraction(1, 10)),
        (np.longdouble("0.1"), Fraction(1, 10)),
        (Fraction(1, 3), Fraction(1, 3)),
        (np.int64(3), Fraction(3)),
        (True, Fraction(1)),
    ],
)
def test_a_constant_is_the_decimal_as_written(value: Any, written: Fraction) -> None:
    found = constant(value, like=exact([1.0]))
    assert found == written
    assert type(found) is NUMBER


def test_a_layer_at_two_nodes_stays_one_layer() -> None:
    shared = Dense([[2.0]])
    net = exact(Network([("a", shared, ["input"]), ("b", shared, ["a"])]))
    assert net["a"] is net["b"]


def test_masks_stay_masks() -> None:
    layer = exact_layer(ThreshReLU(np.asarray([0.5, 0.25]), below=np.asarray([True, False])))
    assert layer.below.dtype == bool  # type: ignore[attr-defined]
    assert is_exact(layer.threshold)  # type: ignore[attr-defined]


def test_exact_of_exact_changes_nothing() -> None:
    net = exact(Network.sequential(Conv2D(random(2, 1, 2, 2)), ReLU()))
    again = exact(net)
    assert_array_equal(again["conv2d1"].weight, net["conv2d1"].weight)  # type: ignore[attr-defined]


def test_rounding_back_gives_the_number_that_was_there() -> None:
    for dtype in (np.float32, np.float64, np.longdouble):
        net = Network.sequential(Dense((random(4, 4) / 3).astype(dtype) / dtype(7)))
        back = exact(net).astype(dtype)
        assert back.dtype == dtype
        assert_array_equal(back["dense1"].weight, net["dense1"].weight)  # type: ignore[attr-defined]


def test_a_third_is_rounded_to_every_bit_of_a_long_double() -> None:
    net = Network.sequential(Dense(exact([["1/3"]])))
    assert net.astype(np.longdouble)["dense1"].weight[0, 0] == np.longdouble(1) / 3  # type: ignore[attr-defined]


def test_to_float() -> None:
    assert rational.to_float(exact([["1/3"]])) == [[1 / 3]]
    assert rational.to_float(np.asarray([0.5], dtype=np.float32)).dtype == np.float64


# ---- no float remains --------------------------------------------------------------------------------------------

CHANNELWISE: dict[str, lrpref.Layer] = {
    "ReLU": ReLU(),
    "ReLU6": ReLU6(),
    "Clip": lrpref.Clip(-0.1, 0.1),
    "HardSigmoid": lrpref.HardSigmoid(),
    "HardSwish": lrpref.HardSwish(0.1, 0.3),
    "HardTanh": lrpref.HardTanh(-0.1, 0.1),
    "PReLU": lrpref.PReLU(0.1),
    "PReLU per channel": lrpref.PReLU(random(3)),
    "Softsign": lrpref.Softsign(),
    "Threshold": lrpref.Threshold(0.1, -0.1),
    "LeakyReLU": LeakyReLU(0.1),
    "LeakyReLU with a NumPy scalar": LeakyReLU(np.float64(0.1)),
    "ThreshReLU": ThreshReLU(0.1),
    "ThreshReLU per channel": ThreshReLU(random(3), np.asarray([True, False, True])),
    "Pad2D": Pad2D((0, 1, 2, 0), 0.1),
    "Pad2D with a NumPy scalar": Pad2D(1, np.float32(0.1)),
    "AvgPool2D": AvgPool2D(3, 2, 1),
    "AvgPool2D without its padding": AvgPool2D(3, 2, 1, count_include_pad=False),
    "GlobalAvgPool2D": GlobalAvgPool2D(),
    "MaxPool2D": MaxPool2D(3, 2, 1),
    "MaxPool2D with shared ties": MaxPool2D(2, ties="equal"),
    "Scale": Scale(random(3), random(3, seed=1)),
    "BatchNorm": BatchNorm(random(3), random(3, seed=1), random(3, seed=2), abs(random(3, seed=3))),
    "BatchNorm without affine": BatchNorm(None, None, random(3), abs(random(3, seed=1)), eps=np.float64(1e-3)),
    "Dropout": Dropout(0.1),
    "Conv2D": Conv2D(random(3, 3, 3, 3), random(3), padding=1, bias_taps=random(3, 3, 3)),
}

EVERY_RULE: dict[str, rules.Rule] = {
    "zero": rules.Zero(),
    "epsilon": rules.Epsilon(0.1),
    "epsilon with a NumPy scalar": rules.Epsilon(np.float32(0.1)),
    "gamma": rules.Gamma(0.3, stabilizer=0.1),
    "gamma with a fraction": rules.Gamma(Fraction(1, 3)),  # type: ignore[arg-type]
    "gamma, generalised": rules.Gamma(0.3, generalised=True),
    "alpha-beta": rules.AlphaBeta(1.5, 0.5),
    "alpha-beta, renormalised": rules.AlphaBeta(2, 1, bias="ignore", empty="renormalise", stabilizer=0.1),
    "z-plus": rules.ZPlus(0.1),
    "z-box": rules.ZBox(-4.1, 4.1),
    "w-square": rules.WSquare(),
    "flat": rules.Flat(),
    "absolute": rules.Absolute(),
    "relative": rules.Relative(),
    "relative, bare": rules.Relative(rescale=False),
}


@pytest.mark.parametrize("layer", CHANNELWISE.values(), ids=CHANNELWISE)
def test_no_float_survives_a_layer(layer: lrpref.Layer) -> None:
    """Every kind of layer between two weighted ones, under a rule whose constant is not a binary fraction."""
    first = Conv2D(random(3, 2, 2, 2), random(3))
    shape = Network.sequential(first, layer).shapes((2, 2, 5, 5))
    last = Dense(random(3, int(np.prod([*shape.values()][-1][1:]))), random(3))
    net = exact(Network.sequential(first, layer, Flatten(), last))
    assert is_all_exact(lrpref.trace(net, exact(random(2, 2, 5, 5)), rule=everywhere(rules.Epsilon(0.1))))


@pytest.mark.parametrize("rule", EVERY_RULE.values(), ids=EVERY_RULE)
def test_no_float_survives_a_rule(rule: rules.Rule) -> None:
    tr = lrpref.trace(residual_network(), exact(X), rule=everywhere(rule))
    assert is_all_exact(tr)


@pytest.mark.parametrize("low", [np.asarray([-4.1, -4.2]), np.full((2, 4, 4), -4.1), np.full((1, 2, 4, 4), -4.1)])
def test_no_float_survives_a_z_box_with_arrays(low: np.ndarray) -> None:
    """Arrays of bounds are taken at their exact binary values."""
    composite = Composite([(0, rules.ZBox(low, 4.5)), (LinearLayer, rules.Zero())])
    assert is_all_exact(lrpref.trace(residual_network(), exact(X), rule=composite))
    one = rules.ZBox(np.asarray([0.1]), 1)
    share = Dense(exact([[1]])).relevance(exact([[1]]), exact([[1]]), one)
    assert share == [[1]]
    assert one.ratios()[0].terms[0].a(exact([[1]]))[0, 0] == 1 - Fraction(0.1)


SEEDS: dict[str, Any] = {
    "logit": "logit",
    "one": "one",
    "integer": 2,
    "float": 0.1,
    "NumPy float": np.float64(0.1),
    "NumPy integer": np.int64(2),
    "fraction": Fraction(1, 3),
    "array of floats": random(1, 3),
    "array of float32": random(1, 3).astype(np.float32),
    "array of integers": np.ones((1, 3), dtype=int),
    "list": [[0.1, 0, 1]],
    "exact": exact(random(1, 3)),
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_no_float_survives_a_seed(seed: Any) -> None:
    assert is_all_exact(lrpref.trace(residual_network(), exact(X), rule="zero", seed=seed))


def test_a_number_as_seed_is_the_decimal_as_written() -> None:
    net = exact(Network.sequential(Dense([[1.0]])))
    assert lrpref.explain(net, exact([[1]]), rule="zero", seed=0.1) == [[Fraction(1, 10)]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.int64, object])
def test_no_float_survives_an_input(dtype: Any) -> None:
    """An exact network converts any input, including Python floats and integers in an object array."""
    x = np.asarray([[1, 2], [3, -4]]).astype(dtype)
    for each in (x, x / 4 if np.dtype(dtype).kind != "i" else x):
        assert is_all_exact(lrpref.trace(exact(Network.sequential(Dense(random(2, 2)))), each, rule="zero"))


def test_integers_and_floats_in_object_arrays_become_exact_parameters() -> None:
    """Python integers are converted too, since 1 / 2 would be a float."""
    net = Network.sequential(Dense(np.asarray([[1, 2], [3, 0.5]], dtype=object)))
    assert is_all_exact(lrpref.trace(net, np.asarray([[1, 3]], dtype=object), rule="w-square", seed="one"))


# ---- laws, checked with == ---------------------------------------------------------------------------------------


def residual_network() -> Network:
    """An exact network: Conv-BatchNorm-ReLU, a residual block, average pool, Concat, max-pool and Dense."""
    norms = [BatchNorm(random(2, seed=k), random(2, seed=9), random(2, seed=8), abs(random(2, seed=7))) for k in (1, 2)]
    nodes: list[tuple[str, lrpref.Layer, list[str]]] = [
        ("conv1", Conv2D(random(2, 2, 3, 3), random(2), padding=1), ["input"]),
        ("bn1", norms[0], ["conv1"]),
        ("relu1", ReLU(), ["bn1"]),
        ("conv2", Conv2D(random(2, 2, 3, 3), padding=1), ["relu1"]),
        ("bn2", norms[1], ["conv2"]),
        ("sum", Add(), ["bn2", "relu1"]),
        ("relu2", ReLU(), ["sum"]),
        ("mean", AvgPool2D(2), ["relu2"]),
        ("max", MaxPool2D(2), ["relu2"]),
        ("both", Concat(), ["mean", "max"]),
        ("flat", Flatten(), ["both"]),
        ("fc", Dense(random(3, 16), random(3, seed=5)), ["flat"]),
    ]
    return exact(Network(nodes), digits=5)


X = random(1, 2, 4, 4)
"""A sample for the residual network."""


@pytest.mark.parametrize("rule", EVERY_RULE.values(), ids=EVERY_RULE)
def test_the_books_close_with_nothing_left(rule: rules.Rule) -> None:
    """On a fused residual network, out = in + bias + stabilizer + dropped + factor exactly."""
    net = lrpref.fuse(residual_network())
    assert not any(isinstance(layer, Scale) for _, layer, _ in net.nodes)
    tr = lrpref.trace(net, exact(X), rule=everywhere(rule))
    assert (tr.ledger.residual() == 0).all()
    assert (tr.ledger["in"] != 0).any()


@pytest.mark.parametrize("rule", ["zero", "epsilon", "epsilon-plus-flat", "epsilon-alpha2-beta1", "relative"])
@few
@given(case=networks())
def test_the_books_of_any_network_close_with_nothing_left(rule: str, case: tuple[Network, np.ndarray]) -> None:
    net, x = case
    tr = lrpref.trace(lrpref.fuse(exact(net, digits=10)), exact(x), rule=rule)
    assert (tr.ledger.residual() == 0).all()
    assert is_all_exact(tr)


EXACT_RULES = [name for name in RULES if name != "relative"]


@pytest.mark.parametrize("name", [*EXACT_RULES, "relative"])
@given(data=st.data())
def test_relevance_is_the_sum_of_the_messages(name: str, data: st.DataObject) -> None:
    """The oracle, which computes every rule and layer literally, gives exactly the same relevance."""
    rule, case = data.draw(rule_cases(name))
    rule = replace(rule, scale=None) if isinstance(rule, rules.Epsilon) else rule
    if isinstance(rule, rules.Relative):
        rule = rules.Relative(data.draw(st.sampled_from(READINGS)))
    layer, a, R = exact_layer(case.layer), tuple(map(exact, case.inputs)), exact(case.R)
    sent = lrpref.messages(layer, a, R, rule)
    for R_i, m, a_i in zip(as_tuple(layer.relevance(a, R, rule)), as_tuple(sent), a, strict=True):
        assert_array_equal(R_i, m.reshape(*a_i.shape, -1).sum(axis=-1))
        assert {type(value) for value in (*R_i.flat, *m.flat)} <= {NUMBER}


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind not in (*LINEAR, *SMOOTH)])
@few
@given(data=st.data())
def test_a_route_is_the_sum_of_the_messages(kind: str, data: st.DataObject) -> None:
    case = data.draw(layer_cases(kind))
    layer, a, R = exact_layer(case.layer), tuple(map(exact, case.inputs)), exact(case.R)
    routed, sent = layer.relevance(a, R, rules.Zero()), lrpref.messages(layer, a, R, rules.Zero())
    for R_i, m, a_i in zip(as_tuple(routed), as_tuple(sent), a, strict=True):
        assert_array_equal(R_i, m.reshape(*a_i.shape, -1).sum(axis=-1))


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind not in SMOOTH])
@few
@given(data=st.data())
def test_forward_is_that_of_floats_where_floats_are_exact(kind: str, data: st.DataObject) -> None:
    """On dyadic numbers floating point does not round, so exact arithmetic must give the same result."""
    case = data.draw(layer_cases(kind))
    if isinstance(case.layer, LeakyReLU | Pad2D | ThreshReLU):
        case = case._replace(inputs=tuple(np.round(a) for a in case.inputs))
    found = exact_layer(case.layer).forward(*map(exact, case.inputs))
    assert_array_equal(rational.to_float(found), case.layer.forward(*case.inputs))


def test_fusion_leaves_the_function_as_it_was() -> None:
    """Checked with == across padding and a residual block; in exact arithmetic `verify` allows no difference."""
    net, x = residual_network(), exact(X)
    fused = lrpref.fuse(net, verify=x)
    assert len(fused.nodes) == len(net.nodes) - 2
    assert_array_equal(fused.forward(x), net.forward(x))


def test_under_lrp_0_a_fused_network_is_explained_as_the_unfused_one() -> None:
    """a w / z times z w' / z' is a w w' / z': two steps of LRP-0 equal one, exactly."""
    net, x = residual_network(), exact(X)
    fused, unfused = (lrpref.explain(each, x, rule=everywhere(rules.Zero())) for each in (lrpref.fuse(net), net))
    assert_array_equal(fused, unfused)


@pytest.mark.parametrize("name", [name for name in EVERY_RULE if name != "z-box"])
def test_a_fused_network_is_explained_as_the_folded_convolution_and_an_identity(name: str) -> None:
    """Replacing each folded BatchNorm by Scale(1, 0) under the pass rule changes nothing, whatever the rule."""
    net, x, one = residual_network(), exact(X), Scale(exact(np.ones(2)))
    fused = lrpref.fuse(net)
    padded = Network(
        [
            (n, one if n.startswith("bn") else layer if n not in fused.names else fused[n], inputs)
            for n, layer, inputs in net.nodes
        ]
    )
    composite = Composite([("bn*", rules.Pass()), (LinearLayer, EVERY_RULE[name])])
    bare = everywhere(EVERY_RULE[name])
    assert_array_equal(lrpref.explain(padded, x, rule=composite), lrpref.explain(fused, x, rule=bare))


def test_lrp_0_conserves_without_biases() -> None:
    net = exact(Network.sequential(Dense(random(4, 3)), ReLU(), Dense(random(2, 4))))
    tr = lrpref.trace(net, exact(abs(random(3, 3))), rule="zero")
    assert_array_equal(tr.relevance.sum(axis=1), tr.logits.max(axis=1))


def test_a_denominator_that_cancels_is_zero_and_not_nearly() -> None:
    """0.1 + 0.2 - 0.3 is 5.6e-17 in floating point, and LRP-0 divides by it. In exact decimals it is 0."""
    net = Network.sequential(Dense(exact([[1, 1, -1]])))
    tr = lrpref.trace(net, exact([["0.1", "0.2", "0.3"]]), rule="zero", seed="one")
    assert not tr.relevance.any()
    assert tr.ledger["dropped"] == [[1]]
    floats = Network.sequential(Dense([[1.0, 1.0, -1.0]]))
    assert lrpref.explain(floats, np.asarray([[0.1, 0.2, 0.3]]), rule="zero", seed="one").max() > 1e15


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (rules.Epsilon(0.1), Fraction(20, 21)),
        (rules.ZPlus(0.1), Fraction(20, 21)),
        (rules.ZBox(-0.1, 1), Fraction(1)),
        (rules.Gamma(0.1, stabilizer=0.01), Fraction(220, 221)),
        (rules.AlphaBeta(1.1, 0.1), Fraction(11, 10)),
        (rules.WSquare(0.1), Fraction(40, 41)),
        (rules.Flat(0.1), Fraction(10, 11)),
        (rules.Absolute(1e-6), Fraction(2000000, 2000001)),
        (rules.Relative(rescale=False), Fraction(2)),
    ],
)
def test_every_constant_of_a_rule_is_the_decimal_as_written(rule: rules.Rule, expected: Fraction) -> None:
    found = Dense(exact([[2]])).relevance(exact([[1]]), exact([[1]]), rule)
    assert found == [[expected]]


# ---- the square root of BatchNorm --------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [1, 10, 50, 200])
def test_the_root_of_a_batchnorm_is_right_to_its_digits(digits: int) -> None:
    var, eps = np.asarray([0.3, 1.0, 1e-9, 123456.789]), 1e-5
    net = exact(Network.sequential(BatchNorm(None, None, np.zeros(4), var, eps)), digits)
    for v, w in zip(var, net["batchnorm1"].weight, strict=True):  # type: ignore[attr-defined]
        square = (Fraction(v) + Fraction(1, 10**5)) * Fraction(int(w.numerator), int(w.denominator)) ** 2
        assert abs(square - 1) < Fraction(10, 10**digits)
        assert digits == 1 or square != 1


def test_a_root_that_is_rational_is_exact() -> None:
    norm = BatchNorm([3.0], [1.0], [4.0], [0.21], eps=0.04)
    scale = exact(Network.sequential(replace(norm, var=exact(["0.21"]))))["batchnorm1"]
    assert scale.weight == [Fraction(6)]  # type: ignore[attr-defined]
    assert scale.bias == [Fraction(1 - 24)]  # type: ignore[attr-defined]


def test_a_variance_below_zero_has_a_root_if_eps_outweighs_it() -> None:
    norm = BatchNorm([3.0], [1.0], [4.0], [-0.25], eps=0.5)
    scale = exact(Network.sequential(norm))["batchnorm1"]
    assert scale.weight == [Fraction(6)]  # type: ignore[attr-defined]


def test_after_the_root_a_batchnorm_is_exact() -> None:
    net = Network.sequential(BatchNorm(random(3), None, random(3), abs(random(3))))
    tr = lrpref.trace(exact(net, digits=12), exact(random(2, 3)), rule=everywhere(rules.Zero()))
    assert (tr.ledger.residual() == 0).all()
    assert_allclose(rational.to_float(exact(net, digits=12).forward(exact(random(2, 3)))), net(random(2, 3)), 1e-11)


def test_a_root_without_digits() -> None:
    with pytest.raises(ParameterError, match="must be an integer from 1 to 10000, got 0"):
        exact(Network.sequential(ReLU()), digits=0)


# ---- what cannot be exact is refused -----------------------------------------------------------------------------


IRRATIONAL = [Sigmoid(), Tanh(), Softmax(), LogSoftmax(), lrpref.ELU(), lrpref.GELU(), lrpref.SiLU(), lrpref.Softplus()]


@pytest.mark.parametrize("layer", IRRATIONAL)
def test_exponentials_are_refused_by_name(layer: lrpref.Layer) -> None:
    kind = type(layer).__name__
    net = Network.sequential(Dense([[1.0]]), layer, names=["fc", "last"])
    with pytest.raises(
        DTypeError, match=f"^node 'last': {kind} is irrational, so exact arithmetic cannot represent it"
    ):
        exact(net)


@pytest.mark.parametrize("layer", IRRATIONAL)
def test_exponentials_of_exact_numbers_are_refused_too(layer: lrpref.Layer) -> None:
    """Both in a network built from exact layers and in a layer called on its own."""
    net, kind = Network.sequential(Dense(exact([[1]])), layer, names=["fc", "last"]), type(layer).__name__
    with pytest.raises(DTypeError, match=rf"^node 'last' \({kind}\): {kind} needs an exponential"):
        net.forward(exact([[1]]))
    with pytest.raises(DTypeError, match=f"^{kind} needs an exponential, which is irrational"):
        layer.forward(exact([[1]]))


@pytest.mark.parametrize("head", [Sigmoid(), Softmax(), LogSoftmax()])
def test_an_exact_network_is_explained_without_its_head(head: lrpref.Layer) -> None:
    net = Network.sequential(Dense(exact([[3, -1]])), head)
    assert lrpref.explain(net, exact([[1, 2]]), rule="zero").tolist() == [[3, -2]]


def test_a_batchnorm_of_exact_numbers_asks_for_its_root_to_be_taken() -> None:
    norm = BatchNorm(None, None, exact([0.0]), exact([1.0]))
    with pytest.raises(DTypeError, match=r"^BatchNorm needs a square root"):
        norm.forward(exact([[1]]))


def never(*arguments: object) -> Any:
    """Replaces the forward pass in tests where nothing may be computed."""
    raise AssertionError("computed before it was checked")


def test_a_root_in_a_rule_is_refused_by_name_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    net, rule = exact(Network.sequential(Dense([[1.0]]))), rules.Epsilon(0.1, scale="rms")
    monkeypatch.setattr(Network, "activations", never)
    with pytest.raises(RuleError, match=r"node 'dense1': epsilon\(epsilon=0.1, scale=rms\) is irrational"):
        lrpref.explain(net, exact([[1]]), rule=rule)


@pytest.mark.parametrize("share", [Dense.relevance, lrpref.messages])
def test_a_root_in_a_rule_is_refused_by_a_layer_too(share: Callable[..., Any]) -> None:
    with pytest.raises(DTypeError, match=r'^Epsilon\(scale="rms"\) needs a square root'):
        share(Dense(exact([[1]])), exact([[1]]), exact([[1]]), rules.Epsilon(scale="rms"))


def test_the_seed_probability_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    net = exact(Network.sequential(Dense([[1.0]])))
    monkeypatch.setattr(Network, "activations", never)
    with pytest.raises(InputError, match=r'^seed "probability" is irrational, so exact arithmetic cannot represent it'):
        lrpref.explain(net, exact([[1]]), seed="probability")


@dataclass(frozen=True)
class Rooted(rules.Rule):
    """A user-defined rule that declares itself not rational."""

    name: ClassVar[str] = "rooted"
    exact: ClassVar[bool] = False


def test_a_users_rule_that_says_it_is_not_rational_is_refused() -> None:
    with pytest.raises(RuleError, match="node 'dense1': rooted is irrational"):
        lrpref.explain(exact(Network.sequential(Dense([[1.0]]))), exact([[1]]), rule=Rooted())


@pytest.mark.parametrize("share", [Dense.relevance, lrpref.messages])
def test_exact_and_floating_point_numbers_do_not_mix(share: Callable[..., Any]) -> None:
    one, whole = np.ones((1, 1)), exact([[1]])
    for layer, a, R in [(one, whole, whole), (whole, one, whole), (whole, whole, one)]:
        with pytest.raises(DTypeError, match="exact and floating-point numbers do not mix"):
            share(Dense(layer), a, R, rules.Zero())


@pytest.mark.parametrize("dtype", [object, "object", np.dtype(object)])
def test_astype_object_is_no_way_to_be_exact(dtype: Any) -> None:
    with pytest.raises(DTypeError, match=r"use lrpref.exact\(net\)"):
        Network.sequential(Dense([[1.0]])).astype(dtype)


# ---- the time budget ---------------------------------------------------------------------------------------------

CHAIN = Network.sequential(Dense(random(3, 2)), ReLU(), Dense(random(2, 3)), names=["fc1", "relu", "fc2"])
"""A network whose explanation checks its budget six times: at three layers forward and three backward."""

SAMPLE = np.asarray([[0.5, 0.25]])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set a clock that advances by the given seconds whenever a budget reads it: at creation and at each check."""

    def ticking(seconds: float) -> None:
        times = iter(np.arange(0, 1e6 * seconds, seconds).tolist())
        monkeypatch.setattr("lrpref._support.budget.monotonic", lambda: next(times))

    return ticking


@pytest.mark.parametrize("net", [CHAIN, exact(CHAIN)], ids=["float64", "exact"])
@pytest.mark.parametrize(
    ("seconds", "stopped"),
    [
        (1, r"'fc1' \(forward pass\)"),
        (2, r"'relu' \(forward pass\)"),
        (3, r"'fc2' \(forward pass\)"),
        (4, r"'fc2' \(backward pass, z-plus\)"),
        (5, r"'relu' \(backward pass, "),
        (6, r"'fc1' \(backward pass, z-plus\)"),
    ],
)
def test_a_budget_stops_before_the_layer_that_it_has_reached(
    seconds: int, stopped: str, net: Network, clock: Callable[[float], None]
) -> None:
    clock(1)
    wanted = f"^the time budget of {seconds} seconds was spent before node {stopped}.*; use fewer samples or a smaller "
    with pytest.raises(BudgetError, match=wanted) as caught:
        lrpref.trace(net, SAMPLE, rule="z-plus", budget=seconds)
    assert ('reference="mpmath"' in str(caught.value)) == (net is not CHAIN)


def test_an_explanation_within_its_budget_is_the_explanation(clock: Callable[[float], None]) -> None:
    net = exact(CHAIN)
    without = lrpref.trace(net, SAMPLE, rule="z-plus")
    clock(1)
    for budget in (7, 6.5, inf, Fraction(13, 2)):
        found = lrpref.trace(net, SAMPLE, rule="z-plus", budget=budget)  # type: ignore[arg-type]
        assert_array_equal(found.relevance, without.relevance)


def test_exact_numbers_have_600_seconds_and_floats_no_limit_unless_one_is_given(clock: Callable[[float], None]) -> None:
    clock(300)
    with pytest.raises(BudgetError, match=r"budget of 600 seconds was spent before node 'relu'.*, as in budget=6000"):
        lrpref.trace(exact(CHAIN), SAMPLE)
    assert lrpref.trace(CHAIN, SAMPLE).relevance.shape == SAMPLE.shape
    with pytest.raises(BudgetError, match="budget of 700 seconds was spent before node 'fc2'"):
        lrpref.trace(CHAIN, SAMPLE, budget=700)


def test_a_budget_of_0_stops_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "forward", never)
    for net in (CHAIN, exact(CHAIN)):
        with pytest.raises(BudgetError, match=r"budget of 0 seconds was spent before node 'fc1'.*, as in budget=60"):
            lrpref.trace(net, SAMPLE, budget=0)


def test_a_budget_may_be_shared_by_several_explanations(clock: Callable[[float], None]) -> None:
    clock(1)
    budget = Budget(8, remedy="; or sleep on it")
    lrpref.trace(exact(CHAIN), SAMPLE, budget=budget)
    with pytest.raises(BudgetError, match=r"of 8 seconds was spent before node 'relu' .*; or sleep on it$"):
        lrpref.trace(exact(CHAIN), SAMPLE, budget=budget)


@pytest.mark.parametrize("budget", [-1, -1e-9, nan, -inf, "60", True, 1j, [60]])
def test_what_is_not_a_number_of_seconds_is_refused(budget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "activations", never)
    with pytest.raises(ParameterError, match=r"^budget must be a number of seconds >= 0, got "):
        lrpref.trace(exact(CHAIN), SAMPLE, budget=budget)


def test_a_spent_budget_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        Budget(0.0).check("fc1", "forward pass")


# ---- trained networks, and long doubles --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_trained_network_is_explained_as_in_floats_but_for_rounding() -> None:
    """mnist-mlp on a real digit, in fractions of thousands of digits; the books close with ==."""
    net, x = lrpref.load("mnist-mlp"), lrpref.samples.load("digit-4")
    tr = lrpref.trace(exact(net), x, rule="z-plus")
    assert (tr.ledger.residual() == 0).all()
    assert is_all_exact(tr)
    assert_allclose(rational.to_float(tr.relevance), lrpref.explain(net.astype(np.float64), x, rule="z-plus"), 1e-12)


wider = pytest.mark.skipif(np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps, reason="long doubles are doubles")


@wider
@pytest.mark.parametrize("layer", CHANNELWISE.values(), ids=CHANNELWISE)
def test_long_doubles_go_through_every_layer(layer: lrpref.Layer) -> None:
    """No constant of a layer is rounded to float64, which would show in the seventeenth digit."""
    first, x = Conv2D(random(3, 2, 2, 2), random(3)), random(2, 2, 5, 5)
    net = Network.sequential(first, layer)
    R = net.forward(x)
    found = lrpref.trace(net.astype(np.longdouble), x, rule=everywhere(rules.Epsilon(0.1)), seed=R)
    truth = lrpref.trace(exact(net), x, rule=everywhere(rules.Epsilon(0.1)), seed=R)
    for name in found.at:
        assert found.at[name].dtype == np.longdouble
        assert worst(found.at[name], truth.at[name]) < 1e-17
    assert worst(found.logits, truth.logits) < 1e-17


@wider
@pytest.mark.parametrize("rule", EVERY_RULE.values(), ids=EVERY_RULE)
def test_long_doubles_go_through_every_rule(rule: rules.Rule) -> None:
    net, x = residual_network(), X
    found = lrpref.trace(net.astype(np.longdouble), x, rule=everywhere(rule))
    assert found.relevance.dtype == np.longdouble
    assert worst(found.relevance, lrpref.explain(net, x, rule=everywhere(rule))) < 2e-16
    assert {column.dtype for entry in found.ledger.entries for column in entry.columns.values()} == {found.logits.dtype}


def worst(found: np.ndarray, truth: np.ndarray) -> float:
    """The largest error, relative to the largest value."""
    difference = abs(exact(found) - truth).max()
    return float(difference / abs(truth).max())
