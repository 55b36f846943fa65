"""Correct digits: the measure on numbers computed by hand, both references, and small trained networks."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from fractions import Fraction
from math import inf, log10
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool2D,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    digits,
    exact,
    rules,
    samples,
)
from lrpref.errors import BudgetError, DTypeError, InputError, LrprefError, ParameterError, RuleError, UnknownNameError

measuring = sys.modules["lrpref.rational.correct_digits"]  # the module; lrpref.digits is the function

needs_mpmath = pytest.mark.skipif(importlib.util.find_spec("mpmath") is None, reason="mpmath is not installed")

HOLDS = {kind.__name__: (np.finfo(kind).nmant + 1) * log10(2) for kind in (np.float32, np.float64, np.longdouble)}


# ---- measure -----------------------------------------------------------------------------------------------------


def measured(R: list[float], truth: list[Any], dtype: Any = np.float64) -> tuple[np.ndarray, Any]:
    """Return the correct digits of R, given the truth."""
    return measuring._measure(np.asarray(R, dtype=dtype), exact(truth))  # type: ignore[no-any-return]


def test_digits_are_the_logarithm_of_the_relative_error() -> None:
    found, _ = measured([1.001, -2.02, 1e-8 + 1e-12, 0.9], ["1", "-2", "1e-8", "1"])
    assert_allclose(found, [3, 2, 4, 1], atol=1e-6)


def test_a_right_number_has_all_digits_of_its_type() -> None:
    for name, holds in HOLDS.items():
        found, summary = measured([0.5], ["1/2"], np.dtype(name))
        assert found[0] == summary.holds == holds
    assert HOLDS["float32"] == pytest.approx(7.22, abs=0.01)
    assert HOLDS["float64"] == pytest.approx(15.95, abs=0.01)


def test_a_number_rounded_once_has_all_digits_or_nearly() -> None:
    """Rounding once has a relative error of at most 2^-24, the digits float32 holds; smaller errors are capped."""
    x = np.random.default_rng(0).uniform(0.5, 4, 1000)
    found, summary = measured(list(x), list(exact(x)), np.float32)
    assert HOLDS["float32"] - 0.01 < summary.worst <= summary.median == found.max() == HOLDS["float32"]


@pytest.mark.parametrize("R", [-1.0, -0.5, 3.0, 2.0, 1e30, 0.0, float("nan"), inf, -inf])
def test_a_wrong_sign_a_wrong_size_and_no_number_have_no_digits(R: float) -> None:
    found, summary = measured([R, 1.0], ["1", "1"])
    assert found[0] == 0
    assert summary.values == 2


def test_where_the_truth_is_zero() -> None:
    """Zero and minus zero are correct and do not count; even the smallest nonzero number is wrong and counts."""
    found, summary = measured([0.0, -0.0, 5e-324, 1.0], [0, 0, 0, 1])
    assert_array_equal(found, [HOLDS["float64"], HOLDS["float64"], 0, HOLDS["float64"]])
    assert summary.values == 2
    assert summary.worst == 0


def test_the_summary() -> None:
    _, summary = measured([1.1, 1.002, 1.00001, 0.0, 1.0], [1, 1, 1, 0, 1])
    assert summary.values == 4
    assert summary.median == pytest.approx((log10(1000 / 2) + 5) / 2, abs=1e-6)
    assert summary.worst == pytest.approx(1)
    assert summary.below_three == 0.5
    assert summary.relative_l2 == pytest.approx((0.1**2 + 0.002**2 + 0.00001**2) ** 0.5 / 2)


def test_the_l2_error_counts_every_value_and_neither_overflows_nor_vanishes() -> None:
    for size in (Fraction(10) ** 300, Fraction(1), Fraction(1, 10**300)):
        _, summary = measured([float(3 * size), float(size)], [3 * size, 0])
        assert summary.relative_l2 == pytest.approx(1 / 3)
    assert measured([float("nan"), 1.0], [1, 1])[1].relative_l2 == inf
    assert measured([3e200, 4e200], [0, Fraction(1, 10**50)])[1].relative_l2 == pytest.approx(5e250)
    assert measured([1e300], [Fraction(1, 10**100)])[1].relative_l2 == inf


def test_heatmaps_of_zeros() -> None:
    _, right = measured([0.0, 0.0], [0, 0])
    assert (right.values, right.relative_l2, right.worst) == (0, 0.0, HOLDS["float64"])
    _, wrong = measured([0.0, 1.0], [0, 0])
    assert (wrong.values, wrong.relative_l2, wrong.worst) == (1, inf, 0.0)


def test_long_fractions_are_cut_where_nobody_sees() -> None:
    long = Fraction(7**2000 + 1, 3 * 7**2000)
    truth = exact(np.asarray([long, -long, Fraction(1, 3**2000), Fraction(3**2000), Fraction(0)]))
    short = measuring._shortened(truth)
    for before, after in zip(truth, short, strict=True):
        assert abs(Fraction(int(after.numerator), int(after.denominator)) - before) <= abs(before) / 2**390
        assert int(after.denominator).bit_length() < 4000


# ---- small networks ----------------------------------------------------------------------------------------------


def small_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the embedded digits at 8 x 8 (means of 3 x 3 blocks of the central 24 x 24) and their labels."""
    x = np.concatenate([samples.load(name) for name in samples.names((1, 28, 28))])[:, :, 2:26, 2:26]
    labels = np.asarray([samples.label(name) for name in samples.names((1, 28, 28))])
    return AvgPool2D(3).forward(x), labels


def fitted(body: list[lrpref.Layer], x: np.ndarray, labels: np.ndarray) -> Network:
    """Append a Dense layer, fitted to the labels by least squares, to random layers."""
    features = Network.sequential(*body).forward(x).astype(np.float64)
    weight, *_ = np.linalg.lstsq(features, np.eye(10)[labels], rcond=None)
    return Network.sequential(*body, Dense(weight.T.astype(np.float32)))


def random(*shape: int) -> np.ndarray:
    """Return random weights scaled for ReLU layers."""
    fan_in = int(np.prod(shape[1:]))
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32) * np.float32((2 / fan_in) ** 0.5)


def mlp() -> list[lrpref.Layer]:
    return [Flatten(), Dense(random(24, 64), random(24)), ReLU()]


def cnn() -> list[lrpref.Layer]:
    return [Conv2D(random(3, 1, 3, 3), random(3), padding=1), ReLU(), MaxPool2D(2), Flatten()]


@pytest.mark.parametrize("body", [mlp, cnn])
@pytest.mark.parametrize("rule", ["epsilon", "z-plus", "alpha-beta", "epsilon-plus-flat", "relative"])
def test_digits_of_a_small_network_on_real_digits(body: Callable[[], list[lrpref.Layer]], rule: str) -> None:
    """Longer types have more correct digits, never more than they hold, and the summary is consistent."""
    x, labels = small_digits()
    net = fitted(body(), x, labels)
    assert_array_equal(net.forward(x).argmax(axis=1), labels)
    found = digits(net, x[:2], rule, reference="exact")
    assert found.reference == "exact arithmetic"
    assert_array_equal(found.target, labels[:2])
    assert list(found.correct) == list(found.summary) == ["float32", "float64", "longdouble"]
    for name, correct in found.correct.items():
        assert correct.shape == (2, 1, 8, 8)
        assert correct.min() >= 0
        assert correct.max() <= found.summary[name].holds == HOLDS[name]
        assert found.summary[name].median > HOLDS[name] - 2.5
        assert found.summary[name].relative_l2 < 1e4 * 10 ** -HOLDS[name]
    assert found.summary["float64"].worst > found.summary["float32"].worst


def test_a_batch_is_measured_sample_by_sample() -> None:
    x, labels = small_digits()
    net = fitted(mlp(), x, labels)
    both, first = (digits(net, each, "zero", reference="exact") for each in (x[:2], x[:1]))
    assert_allclose(both["longdouble"][:1], first["longdouble"], atol=1)
    assert both.summary["float64"].values > first.summary["float64"].values


def test_the_target_may_be_chosen() -> None:
    x, labels = small_digits()
    net = fitted(mlp(), x, labels)
    found = digits(net, x[:2], "zero", target=[7, 0], dtypes=["float64"])
    assert_array_equal(found.target, [7, 0])
    assert found.summary["float64"].median > 12


@pytest.mark.parametrize(("w", "x"), [(1.0, 1.0001), (1.0001, 1.0)])
def test_a_cancellation_worked_out_by_hand(w: float, x: float) -> None:
    """z = w x - 1 = 1e-4, but float32 rounds 1.0001 (weight or input) to 1.00010001659: z has relative error 1.7e-4.

    With epsilon = z, R = w x z^2 / (z + epsilon)^2 has the same relative error. LRP-0 gives R = w x, independent of z.
    """
    net = Network.sequential(Dense([[w]], [-1.0]), ReLU(), Dense([[1.0]]))
    found = digits(net, np.asarray([[x]]), "epsilon(epsilon=0.0001)", dtypes=["float32", "float64"])
    assert found.summary["float32"].worst == pytest.approx(-log10(1.659e-4), abs=0.02)
    assert found.summary["float64"].worst > 15
    assert digits(net, np.asarray([[x]]), "zero").summary["float32"].worst > 6.5


def test_a_decision_that_rounding_turns_round_shows() -> None:
    """1 and 1 + 1e-9 are equal in float32, so the max-pool picks the first maximum: the wrong pixel."""
    net = Network.sequential(MaxPool2D((1, 2)), Flatten(), Dense([[1.0]]))
    found = digits(net, np.asarray([[[[1.0, 1.0 + 1e-9]]]]), "zero", dtypes=["float32", "float64"])
    assert_array_equal(found["float32"], np.zeros((1, 1, 1, 2)))
    assert_array_equal(found["float64"][0, 0, 0], [HOLDS["float64"]] * 2)
    assert found.summary["float32"].relative_l2 == pytest.approx(2**0.5)


def test_a_final_softmax_is_left_out() -> None:
    layers = [Dense([[0.1, 0.2], [0.3, -0.1]])]
    x = np.asarray([[0.7, 0.3]])
    plain, ended = (digits(Network.sequential(*layers, *end), x, "zero") for end in ([], [Softmax()]))
    assert_array_equal(plain["float32"], ended["float32"])
    assert ended.reference == "exact arithmetic"


def test_networks_without_parameters_and_networks_that_are_exact() -> None:
    x = np.asarray([[[[0.1, 0.7], [0.3, 0.2]]]])
    assert digits(Network.sequential(AvgPool2D(2)), x, rules.Zero()).summary["float64"].worst > 15
    net = exact(Network.sequential(Dense([[0.1, 0.7]])))
    assert digits(net, np.asarray([[0.3, 0.9]]), "zero").summary["longdouble"].worst > HOLDS["longdouble"] - 1


def test_a_heatmap_that_is_not_finite_has_no_digits_and_raises_nothing() -> None:
    """In float32, 1e30 squared overflows (NaN relevance) and 1e-30 squared underflows (a zero denominator)."""
    net = Network.sequential(Dense(np.asarray([[1e-30]])), ReLU(), Dense(np.asarray([[1e30]])))
    found = digits(net, np.asarray([[1e-20]]), rules.WSquare(), dtypes=["float32", "float64"])
    assert found["float32"][0, 0] == 0
    assert found["float64"][0, 0] > 14


# ---- mpmath reference --------------------------------------------------------------------------------------------


@needs_mpmath
@pytest.mark.parametrize("rule", ["zero", "epsilon", "gamma", "alpha-beta", "z-box(low=0, high=1)", "relative"])
def test_both_references_say_the_same(rule: str) -> None:
    x, labels = small_digits()
    net = fitted(cnn(), x, labels)
    by_fractions, by_mpmath = (digits(net, x[:1], rule, reference=each) for each in ("exact", "mpmath"))
    assert by_mpmath.reference == "mpmath with 60 digits"
    for name in by_fractions.correct:
        assert_allclose(by_mpmath[name], by_fractions[name], atol=1e-6)
        assert by_mpmath.summary[name].values == by_fractions.summary[name].values


SMOOTH = [
    Sigmoid(),
    Tanh(),
    lrpref.ELU(),
    lrpref.CELU(),
    lrpref.SELU(),
    lrpref.SiLU(),
    lrpref.Mish(),
    lrpref.Softplus(),
]


@needs_mpmath
@pytest.mark.parametrize("activation", [*SMOOTH, lrpref.Softplus(), lrpref.GELU(), lrpref.GELU("tanh")], ids=repr)
def test_exponentials_are_measured_against_mpmath(activation: lrpref.Layer) -> None:
    net = Network.sequential(Dense(random(4, 3), random(4)), activation, Dense(random(2, 4)))
    found = digits(net, np.asarray([[0.3, -0.2, 0.9]]), "epsilon")
    assert found.reference == "mpmath with 60 digits"
    assert found.summary["float32"].worst > 4
    assert found.summary["float64"].worst > 13
    assert found.summary["longdouble"].median > found.summary["float64"].median or HOLDS["longdouble"] < 17


@needs_mpmath
def test_roots_are_measured_against_mpmath() -> None:
    norm = BatchNorm(None, None, np.asarray([0.1, 0.2]), np.asarray([0.3, 0.7]))
    net, x = Network.sequential(Dense(random(2, 3)), norm, ReLU(), Dense(random(2, 2))), np.asarray([[0.3, -0.2, 0.9]])
    found = digits(net, x, rules.Epsilon(0.1, scale="rms"))
    assert found.reference == "mpmath with 60 digits"
    assert found.summary["float64"].worst > 13
    roots = [digits(net, x, "epsilon", reference=each)["float64"] for each in ("exact", "mpmath")]
    assert_allclose(*roots, atol=1e-6)


@needs_mpmath
def test_mpmaths_numbers_are_right_and_leave_mpmath_alone() -> None:
    """Values agree with forty known digits, and mpmath's global precision is unchanged."""
    import mpmath

    before = mpmath.mp.dps
    number = measuring.mpmath_numbers(50)
    x = np.asarray([number.from_fraction(Fraction(1, 2)), number.from_fraction(Fraction(2))], dtype=object)
    assert str(np.sqrt(x)[1]).startswith("1.414213562373095048801688724209698078569")
    assert str(np.exp(x)[0]).startswith("1.648721270700128146848650787814163571653")
    assert str(np.tanh(x)[0]).startswith("0.462117157260009758502318483643672548730")
    assert mpmath.mp.dps == before
    assert not hasattr(mpmath.mp.mpf, "from_fraction")


def test_exact_means_exact() -> None:
    net = Network.sequential(Dense([[0.1, 0.2]]), Tanh(), names=["fc", "tanh"])
    with pytest.raises(DTypeError, match=r"^node 'tanh': Tanh is irrational, so exact arithmetic cannot represent it$"):
        digits(net, np.asarray([[0.3, 0.2]]), reference="exact")


@needs_mpmath
def test_the_precision_may_be_chosen() -> None:
    net = Network.sequential(Dense([[0.1, 0.2]]), Tanh())
    found = digits(net, np.asarray([[0.3, 0.2]]), "zero", precision=35)
    assert found.reference == "mpmath with 35 digits"


def an_irrational_rule() -> tuple[Network, np.ndarray, rules.Rule]:
    return Network.sequential(Dense([[0.1, 0.2]]), names=["fc"]), np.asarray([[0.3, 0.2]]), rules.Epsilon(scale="rms")


def test_exact_refuses_an_irrational_rule_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, rule = an_irrational_rule()
    monkeypatch.setattr(Network, "activations", None)
    with pytest.raises(RuleError, match=r"^node 'fc': epsilon\(.*\) is irrational"):
        digits(net, x, rule, reference="exact")


@needs_mpmath
def test_auto_falls_back_to_mpmath_for_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = Network.sequential(Dense([[0.1, 0.2]])), np.asarray([[0.3, 0.2]])
    assert digits(net, x).reference == "exact arithmetic"
    monkeypatch.setattr(measuring, "AUTO_SECONDS", 0.0)
    assert digits(net, x).reference == "mpmath with 60 digits"


def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the clock by one that advances a second whenever a budget reads it."""
    times = iter(range(10**6))
    monkeypatch.setattr("lrpref._support.budget.monotonic", lambda: float(next(times)))


@needs_mpmath
def test_auto_spends_a_part_of_its_budget_on_exact_arithmetic_and_the_rest_on_mpmath(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network needs 9 checks per arithmetic; one second passes per check and per new budget."""
    net = Network.sequential(Dense(random(3, 2)), ReLU(), Dense(random(2, 3)))
    explained = {}
    for part in (20.0, 8.0):
        monkeypatch.setattr(measuring, "AUTO_SECONDS", part)
        every_second(monkeypatch)
        explained[part] = digits(net, np.ones((1, 2)), "epsilon", budget=40).reference
    assert explained == {20.0: "exact arithmetic", 8.0: "mpmath with 60 digits"}
    every_second(monkeypatch)
    with pytest.raises(BudgetError, match=r"^the time budget of 15 seconds was spent before node 'relu1' \(forward"):
        digits(net, np.ones((1, 2)), "epsilon", budget=15)


@pytest.mark.parametrize("reference", ["exact", "auto", pytest.param("mpmath", marks=needs_mpmath)])
def test_a_spent_budget_names_the_node(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network.sequential(Dense([[0.1, 0.2]]), names=["fc"])
    monkeypatch.setattr(Network, "activations", None)
    with pytest.raises(BudgetError, match=r"of 0 seconds was spent before node 'fc' \(conversion\)") as caught:
        digits(net, np.asarray([[0.3, 0.2]]), reference=reference, budget=0)
    assert ('reference="mpmath"' in str(caught.value)) == (reference == "exact")


@pytest.mark.parametrize(
    ("reference", "seconds", "stopped"),
    [
        ("exact", 2, "'fc' \\(conversion"),
        ("exact", 3, "'relu' \\(conversion"),
        ("exact", 4, "'fc' \\(forward"),
        ("exact", 6, "'relu' \\(backward"),
        ("exact", 7, "'fc' \\(backward pass, epsilon"),
        pytest.param("mpmath", 7, "'fc' \\(backward pass, epsilon", marks=needs_mpmath),
    ],
)
def test_a_budget_stops_at_the_layer_that_it_has_reached(
    reference: str, seconds: int, stopped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One second passes before each check, and two before the first."""
    net = Network.sequential(Dense([[0.1, 0.2]]), ReLU(), names=["fc", "relu"])
    every_second(monkeypatch)
    with pytest.raises(BudgetError, match=f"before node {stopped}"):
        digits(net, np.asarray([[0.3, 0.2]]), "epsilon", reference=reference, budget=seconds)


def without_mpmath(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a missing mpmath."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "mpmath", None)


def test_without_mpmath(monkeypatch: pytest.MonkeyPatch) -> None:
    without_mpmath(monkeypatch)
    x = np.asarray([[0.3, 0.2]])
    assert digits(Network.sequential(Dense([[0.1, 0.2]])), x).reference == "exact arithmetic"
    net = Network.sequential(Dense([[0.1, 0.2]]), Tanh(), names=["fc", "tanh"])
    with pytest.raises(LrprefError, match=r"node 'tanh': Tanh is irrational.*pip install mpmath"):
        digits(net, x)
    with pytest.raises(LrprefError, match=r"need mpmath: pip install mpmath"):
        digits(net, x, reference="mpmath")
    net, x, rule = an_irrational_rule()
    with pytest.raises(RuleError, match=r"node 'fc': epsilon.* is irrational.*pip install mpmath"):
        digits(net, x, rule)
    with pytest.raises(BudgetError, match=r"before node 'fc'.*pip install mpmath"):
        digits(net, x, budget=0)
    monkeypatch.setattr(measuring, "AUTO_SECONDS", 0.0)  # without mpmath, exact gets the whole budget
    assert digits(net, x).reference == "exact arithmetic"


# ---- result ------------------------------------------------------------------------------------------------------


def test_the_table() -> None:
    found = digits(Network.sequential(Dense([[0.1, 0.7]])), np.asarray([[0.0, 0.9]]), "z-plus", dtypes=["float32"])
    lines = str(found).splitlines()
    assert lines[0] == "correct digits under z-plus, against exact arithmetic"
    assert lines[1].split() == ["number", "type", "holds", "median", "worst", "below", "3", "relative", "L2", "values"]
    assert lines[3].split()[:2] == ["float32", "7.2"]
    assert lines[3].split()[-1] == "1"
    assert lines[-1] == "of 2 values; those that are zero in both do not count"
    assert len({len(line) for line in lines[1:-1]}) == 1


def test_the_result_is_frozen() -> None:
    found = digits(Network.sequential(Dense([[0.1]])), np.asarray([[0.9]]))
    with pytest.raises(FrozenInstanceError):
        found.rule = "another"  # type: ignore[misc]
    assert found["float32"] is found.correct["float32"]


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (ParameterError, {"reference": "float128"}),
        (ParameterError, {"precision": 10}),
        (ParameterError, {"budget": -1.0}),
        (ParameterError, {"budget": None}),
        (DTypeError, {"dtypes": [np.float16]}),
        (DTypeError, {"dtypes": ["float31"]}),
        (DTypeError, {"dtypes": [object]}),
        (DTypeError, {"dtypes": [np.int64]}),
        (UnknownNameError, {"rule": "zplus"}),
        (InputError, {"x": np.asarray([[np.nan, 1.0]])}),
        (InputError, {"x": np.asarray([0.1, 0.2])}),
        (LrprefError, {"x": np.asarray([[0.1, 0.2, 0.3]])}),
        (IndexError, {"target": 7}),
        (RuleError, {"rule": rules.Pass()}),
    ],
)
def test_what_is_refused(error: type[Exception], changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors are raised before any computation, except those that only the pass through the network can detect."""
    if error not in (IndexError, RuleError):
        monkeypatch.setattr(Network, "activations", None)
    asked = {"net": Network.sequential(Dense([[0.1, 0.2]])), "x": np.asarray([[0.3, 0.2]]), **changed}
    with pytest.raises(error):
        digits(**asked)


# ---- progress ----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stderr that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def a_network() -> tuple[Network, np.ndarray]:
    layers = [Conv2D(random(2, 1, 3, 3)), LeakyReLU(0.1), Flatten(), Dense(random(5, 72)), ReLU(), Dense(random(3, 5))]
    return Network.sequential(*layers), small_digits()[0][:1]


def test_a_bar_counts_up_and_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrpref._support.progress.PATIENCE", -1.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    net, x = a_network()
    digits(net, x, "z-plus")
    *drawn, wiped, rest = sys.stderr.getvalue().split("\r")[1:]  # type: ignore[attr-defined]
    shares = [int(line.split()[-1].rstrip("%")) for line in drawn]
    assert shares == sorted(shares)
    assert len(shares) == 3 * len(net.nodes)  # each layer is converted, evaluated and explained
    assert 90 <= shares[-1] < 100
    assert drawn[-1].startswith("exact arithmetic [")
    assert (wiped.strip(), rest) == ("", "")
    assert len(wiped) >= max(map(len, drawn))


@pytest.mark.slow
def test_a_bar_changes_nothing_but_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrpref._support.progress.PATIENCE", -1.0)
    net, x = a_network()
    for rule in ("z-plus", "relative", "gamma(generalised=True)"):
        shown, hidden = (digits(net, x, rule, progress=progress) for progress in (True, False))
        for name in hidden.correct:
            assert_array_equal(shown[name], hidden[name])


@pytest.mark.parametrize("progress", [None, False, True])
def test_no_bar_where_nobody_waits_or_nobody_looks(
    progress: bool | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar is off if stderr is not a terminal, and nothing is drawn in the first two seconds."""
    net, x = a_network()
    digits(net, x, "zero", progress=progress)
    assert capsys.readouterr().err == ""
    if not progress:
        monkeypatch.setattr("lrpref._support.progress.PATIENCE", -1.0)
        digits(net, x, "zero", progress=progress)
        assert capsys.readouterr().err == ""


def test_the_bar_is_wiped_when_something_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrpref._support.progress.PATIENCE", -1.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    net, x = a_network()
    with pytest.raises(IndexError):
        digits(net, x, "zero", target=99)
    assert sys.stderr.getvalue().endswith("\r")  # type: ignore[attr-defined]
