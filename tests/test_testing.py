"""lrpref.testing must find deliberate mistakes, name the violated law, and shrink each to a small case."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from wrong_rules import MISTAKES

import lrpref
from lrpref import Add, Concat, Conv2D, Dense, Flatten, LinearLayer, MaxPool2D, Network, ReLU, Scale, rules, testing
from lrpref.arithmetic import constant
from lrpref.backend import array_namespace, as_tuple
from lrpref.composites import Composite
from lrpref.errors import LrprefError, ParameterError, UnknownNameError
from lrpref.layers import MaxPool, ThreshReLU
from lrpref.ledger import Flow
from lrpref.rules import Ratio, Rule, Term, identity, positive
from lrpref.testing import ChecksFailed, LawBroken, LayerCase, NetworkCase, check_explainer, check_layer, check_rule
from lrpref.testing import strategies as lrp
from lrpref.testing.cases import smaller
from lrpref.testing.rule_checks import rule_cases, rule_laws
from lrpref.testing.search import failures_at

FEW = 12
"""The number of cases to try, enough to find every mistake below."""

# ---- mistakes in rules -------------------------------------------------------------------------------------------


class Squared(rules.Zero):
    """Multiplies by the relevance twice, as in lrp_toolbox's sum-pooling."""

    def shares(self, layer: Any, inputs: Any, R: Any, pools: Any, zs: Any) -> list[Any]:
        return [R * R]


class PositiveOnly(rules.Zero):
    """Drops negative relevance."""

    def shares(self, layer: Any, inputs: Any, R: Any, pools: Any, zs: Any) -> list[Any]:
        return [positive(R)]


class NoSign(rules.Epsilon):
    """z + epsilon regardless of the sign of z, as in LXT and the lrp-tutorial."""

    def stabilize(self, z: Any) -> Any:
        return z + constant(self.epsilon, like=z)


class OneTerm(rules.ZPlus):
    """a+ w+ without a- w-."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(positive, positive, positive),)),)


class Clamped(rules.ZPlus):
    """Clamps the weights but not the inputs, as in captum's Alpha1_Beta0_Rule."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(identity, positive, identity),)),)


class BetaAdded(rules.AlphaBeta):
    """Adds the beta part instead of subtracting it."""

    def ratios(self) -> tuple[Ratio, ...]:
        up, down = super().ratios()
        return up, Ratio(down.terms, self.beta)


class NoBias(rules.Zero):
    """Leaves the bias out of z."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(),)),)


class OverTheBatch(rules.Zero):
    """Computes the stabilizer from the whole batch."""

    def stabilize(self, z: Any) -> Any:
        return z + z.sum()


class InPlace(rules.Zero):
    """Doubles the relevance in place, after use."""

    def flow(self, layer: Any, inputs: Any, R: Any) -> Flow:
        flow = super().flow(layer, inputs, R)
        R *= 2
        return flow


class Floats(rules.Zero):
    """Introduces a float into exact arithmetic."""

    def shares(self, layer: Any, inputs: Any, R: Any, pools: Any, zs: Any) -> list[Any]:
        return [1.0 * R]


class Doubles(rules.Epsilon):
    """Not exact, and returns float64 for every input type."""

    exact = False

    def flow(self, layer: Any, inputs: Any, R: Any) -> Flow:
        return Flow(tuple(R_i.astype(np.float64) for R_i in super().flow(layer, inputs, R).inputs), attributed=False)


@dataclass(frozen=True)
class OwnFlow(Rule):
    """A rule without ratios and without losses; unless `guarded`, it even divides by zero."""

    guarded: bool = False
    factor: int = 1

    def flow(self, layer: Any, inputs: Any, R: Any) -> Flow:
        w, _ = layer.parameters(*inputs)
        z = layer.linear(w, *inputs)
        s = rules.divide(R, z) if self.guarded else R / z
        c = as_tuple(layer.adjoint(w, s, *(tuple(a.shape) for a in inputs)))
        return Flow(tuple(self.factor * a * c_i for a, c_i in zip(inputs, c, strict=True)), attributed=False)


class Transposed(rules.WSquare):
    """Returns one sample too few."""

    def flow(self, layer: Any, inputs: Any, R: Any) -> Flow:
        return Flow(tuple(R_i[1:] for R_i in super().flow(layer, inputs, R).inputs))


PLANTED: list[tuple[Rule, Rule | None, str, int]] = [
    # the wrong rule, the rule it imitates (None: only its tags are used), the violated law, numbers in the case
    (Squared(), None, "check_conservation", 3),
    (PositiveOnly(), None, "check_conservation", 3),
    (BetaAdded(), None, "check_conservation", 3),
    (NoSign(0.25), rules.Epsilon(0.25), "check_oracle", 3),
    (OneTerm(), rules.ZPlus(), "check_oracle", 3),
    (Clamped(), rules.ZPlus(), "check_oracle", 3),
    (InPlace(), None, "check_no_mutation", 3),
    (Floats(), None, "check_number_type", 3),
    (Doubles(), None, "check_number_type", 3),
    (OwnFlow(), None, "check_finite", 3),
    (OwnFlow(guarded=True, factor=2), None, "check_conservation", 3),
    (Transposed(), None, "check_shape", 3),
    (NoBias(), rules.Zero(), "check_oracle", 4),  # the bias adds one
    (OverTheBatch(), None, "check_batch_independence", 5),  # two samples: one weight, two inputs, two relevances
]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "like", "law", "size"), PLANTED, ids=[type(p[0]).__name__ for p in PLANTED])
def test_a_planted_error_is_found_and_its_case_is_small(rule: Rule, like: Rule | None, law: str, size: int) -> None:
    """At most three numbers (a weight, an input, a relevance), more only where the mistake needs more."""
    with pytest.raises(ChecksFailed) as caught:
        check_rule(rule, like=like, max_examples=FEW)
    failures = {failure.law: failure.case for failure in caught.value.failures}
    assert law in failures
    assert testing.numbers(failures[law]) <= size


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_shows_on_the_small_neurons(mistake: str) -> None:
    """They are checked before any random case, so that no mistake of these kinds depends on luck."""
    wrong, right = MISTAKES[mistake]
    (neurons,) = rule_cases(wrong).known
    laws = {"check_oracle": rule_laws(wrong, right)["check_oracle"]}
    assert failures_at(neurons, laws)
    assert not failures_at(neurons, {"check_oracle": rule_laws(right)["check_oracle"]})


def test_a_rule_that_is_right_almost_everywhere_is_found_whatever_the_random_cases() -> None:
    """The case is cut down to a neuron of one input: a weight, a bias, an input and a relevance."""
    wrong, right = MISTAKES["z-plus counts its bias in both terms"]
    with pytest.raises(ChecksFailed) as caught:
        check_rule(wrong, like=right, max_examples=1)
    (failure,) = caught.value.failures
    assert testing.numbers(failure.case) == 4


def test_a_diagonal_rule_has_neurons_of_one_input() -> None:
    @dataclass(frozen=True)
    class Doubled(rules.Zero):
        diagonal_only = True

        def shares(self, layer: Any, inputs: Any, R: Any, ratios: Any, zs: Any) -> list[Any]:
            return [array_namespace(R).where(zs[0] == 3, 2 * R, R)]

    (neurons,) = rule_cases(Doubled()).known
    assert isinstance(neurons.layer, Scale)
    assert failures_at(neurons, {"check_conservation": rule_laws(Doubled())["check_conservation"]})


@pytest.mark.slow
def test_what_is_said_of_a_wrong_rule() -> None:
    """The message names the rule, the law, its equation, the smallest case and both sides, whatever the seed."""
    with pytest.raises(ChecksFailed) as caught:
        check_rule(OneTerm(), like=rules.ZPlus(), max_examples=FEW, seed=1)
    assert str(caught.value).splitlines() == [
        "OneTerm(stabilizer=0.0) violates a law",
        "    check_oracle: Relevance is the sum of the messages: R_i = sum_j R[i<-j], as the rule's paper prints them.",
        "        Dense(weight=[[-1]])",
        "        a = [[-1]]",
        "        R = [[1]]",
        "        relevance: got [[0]], expected [[1]]",
    ]
    assert isinstance(caught.value, AssertionError)


def test_a_right_rule_of_ones_own_passes() -> None:
    check_rule(OwnFlow(guarded=True), like=None, max_examples=FEW)
    check_rule(rules.Gamma(0.5), max_examples=5)


def test_a_rule_for_inputs_that_are_not_negative_gets_no_others() -> None:
    """For nonnegative inputs and biases, clamping the weights is correct."""

    @dataclass(frozen=True)
    class ForPixels(rules.ZPlus):
        needs_nonnegative = True

        def ratios(self) -> tuple[Ratio, ...]:
            return (Ratio((Term(identity, positive, positive),)),)

    check_rule(ForPixels(), like=rules.ZPlus(), max_examples=FEW)


@pytest.mark.slow
def test_cases_of_ones_own() -> None:
    """A box with bounds per cell accepts inputs of one shape only, so the cases must be restricted to it."""
    box = rules.ZBox([-1.0, -2.0], [1.0, 2.0])
    check_rule(box, cases=lrp.layer_cases("dense", shapes=st.just(((2, 2),))), max_examples=FEW)
    with pytest.raises(ChecksFailed, match="a bound of shape"):
        check_rule(box, max_examples=FEW)


# ---- mistakes in layers ------------------------------------------------------------------------------------------

IMAGE = np.arange(18.0).reshape(1, 2, 3, 3) / 8


class Mirrored(Conv2D):
    """The backward pass has the right shape but is upside down."""

    def adjoint(self, w: Any, s: Any, *shapes: Any) -> Any:
        return super().adjoint(w, s, *shapes)[:, :, ::-1]


class Stubborn(Dense):
    """Ignores the weights passed to it and uses its own."""

    def linear(self, w: Any, *inputs: Any) -> Any:
        return inputs[0] @ self.weight.T


class Forgetful(Dense):
    """Its fan-in omits half of the inputs."""

    def fan_in(self, *shapes: Any) -> int:
        return super().fan_in(*shapes) // 2


class Normalised(Dense):
    """Divides by the largest output of the batch."""

    def forward(self, *inputs: Any) -> Any:
        z = super().forward(*inputs)
        return z / abs(z).max()


class Halved(Dense):
    """Its forward pass is half of the matrix that rules see."""

    def forward(self, *inputs: Any) -> Any:
        return super().forward(*inputs) / 2


class Unbiased(Dense):
    """Its forward pass leaves out the bias that rules see."""

    def forward(self, *inputs: Any) -> Any:
        return super().forward(*inputs) - self.bias


class LastWins(MaxPool2D):
    """Sends relevance to the last cell of each window, whichever won."""

    def route(self, inputs: Any, R: Any) -> Any:
        rising = np.arange(float(inputs[0].size)).reshape(inputs[0].shape)
        return super().route((rising,), R)


class Interleaved(Flatten):
    """Flattens in the order of (C, H, W), and returns relevance in the order of (H, W, C)."""

    def route(self, inputs: Any, R: Any) -> Any:
        N, C, H, W = inputs[0].shape
        return (R.reshape(N, H, W, C).transpose(0, 3, 1, 2),)


class Exchanged(Concat):
    """Sends each branch the relevance of the other one."""

    def route(self, inputs: Any, R: Any) -> Any:
        return super().route(inputs, R)[::-1]


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [(LastWins(2), [IMAGE]), (Interleaved(), [IMAGE]), (Exchanged(), [IMAGE, IMAGE])],
    ids=["pool", "flatten", "concat"],
)
def test_a_layer_that_sends_relevance_to_the_wrong_cells(layer: Any, inputs: list[np.ndarray]) -> None:
    """Its relevance has the right shape and sum, so that no other law notices, on inputs of ones either."""
    for batches in (inputs, [0 * x + 1 for x in inputs]):
        with pytest.raises(ChecksFailed, match="relevance that starts as the output") as caught:
            check_layer(layer, *batches)
        assert [failure.law for failure in caught.value.failures] == ["check_routes"]


WRONG_LAYERS: list[tuple[LinearLayer, np.ndarray, str, str]] = [
    (Halved([[1.0, -2.0]]), np.ones((2, 2)), "check_forward", "forward pass against W x [+] b"),
    (Unbiased([[1.0, -2.0]], [1.0]), np.ones((2, 2)), "check_forward", "forward pass against W x [+] b"),
    (
        Mirrored(np.ones((1, 2, 2, 2))),
        IMAGE,
        "check_adjoint",
        r"input \(0, 0, 0\) and output \(0, 0, 0\): .* got 0, expected 1",
    ),
    (Stubborn([[1.0, -2.0]]), np.ones((2, 2)), "check_weights", "result for 3 w"),
    (
        Forgetful([[1.0, 1.0]]),
        np.ones((2, 2)),
        "check_shape",
        "fan_in of at least 2, the most inputs of any unit, got 1",
    ),
    (Normalised([[1.0]]), np.asarray([[1.0], [2.0]]), "check_batch_independence", "sample 1 of 2"),
]


@pytest.mark.parametrize(
    ("layer", "x", "law", "message"), WRONG_LAYERS, ids=[type(w[0]).__name__ for w in WRONG_LAYERS]
)
def test_a_wrong_layer_is_told_what_is_wrong(layer: Any, x: np.ndarray, law: str, message: str) -> None:
    with pytest.raises(ChecksFailed, match=message) as caught:
        check_layer(layer, x)
    assert law in {failure.law for failure in caught.value.failures}


def test_a_layer_with_a_mask_is_checked_like_any_other() -> None:
    check_layer(ThreshReLU([0.5, 1.0], below=[True, False]), np.array([[0.0, 2.0], [1.0, -1.0]]))
    assert not testing.Pair("a mask, afterwards", np.asarray([True, False]), np.asarray([True, True])).agrees


@given(case=lrp.layer_cases())
@settings(max_examples=settings.default.max_examples // 2)
def test_every_layer_of_the_library_keeps_the_laws_of_layers(case: LayerCase) -> None:
    """The numbers are dyadic, so the default tolerance of half the digits is more than rounding needs."""
    check_layer(case.layer, *case.inputs)


# ---- mistakes in explainers --------------------------------------------------------------------------------------

LRP_0 = Composite([(LinearLayer, rules.Zero())])


def lrp_0(net: Network, x: np.ndarray) -> np.ndarray:
    """LRP-0 everywhere."""
    return lrpref.explain(net, x, rule=LRP_0)


def over_its_largest(net: Network, x: np.ndarray) -> np.ndarray:
    """A map divided by the largest value of the batch."""
    R = lrp_0(net, x)
    return R / max(abs(R).max(), 1e-300)


def without_the_bias(net: Network, x: np.ndarray) -> np.ndarray:
    """LRP-0 of a different network, without Dense biases."""
    nodes = [(n, Dense(k.weight) if isinstance(k, Dense) else k, i) for n, k, i in net.nodes]
    return lrp_0(Network(nodes), x)


NORMALISED = lrp.networks(blocks=["batch_norm"], numbers=lrp.generic)


def test_lrp_0_keeps_every_law_of_explainers() -> None:
    check_explainer(lrp_0, like=LRP_0, conserves=True, covariant=True, folds=True, max_examples=FEW)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("explain", "tags", "law"),
    [
        (over_its_largest, {}, "check_batch_independence"),
        (without_the_bias, {"like": LRP_0}, "check_oracle"),
        (lambda net, x: lrpref.explain(net, x, rule="z-plus"), {"folds": True, "networks": NORMALISED}, "check_fold"),
        (lambda net, x: lrpref.explain(net, x, rule="epsilon"), {"covariant": True}, "check_scale_covariance"),
        (lambda net, x: lrpref.explain(net, x, rule=LRP_0, seed="one"), {"conserves": True}, "check_conservation"),
    ],
    ids=["over_its_largest", "without_the_bias", "z-plus", "epsilon", "seed"],
)
def test_a_wrong_explainer_is_told_what_is_wrong(explain: Callable[..., Any], tags: dict[str, Any], law: str) -> None:
    with pytest.raises(ChecksFailed) as caught:
        check_explainer(explain, max_examples=FEW, **tags)
    assert law in {failure.law for failure in caught.value.failures}
    assert all(testing.numbers(failure.case) <= 12 for failure in caught.value.failures)


# ---- single laws -------------------------------------------------------------------------------------------------


def test_a_law_is_told_with_its_equation_and_both_sides() -> None:
    with pytest.raises(LawBroken, match=r"R_i\(3 R \+ S\) = 3 R_i\(R\) \+ R_i\(S\).*\n.*got \[16\], expected \[4\]"):
        testing.check_linear_in_R(lambda x, R: R * R, np.ones(1), np.ones(1))


def test_a_nan_and_another_shape_never_agree() -> None:
    assert not testing.Pair("", np.asarray([np.nan]), np.asarray([1.0]), np.inf).agrees
    assert not testing.Pair("", np.ones(2), np.ones(1), 1).agrees
    assert testing.Pair("", np.asarray([np.inf]), np.asarray([np.inf])).agrees


def test_tolerance_is_absolute_and_defaults_to_half_of_the_digits() -> None:
    def explain(x: np.ndarray, R: np.ndarray) -> np.ndarray:
        return R + 1e-6 * (R > 2)

    x = R = np.ones((1, 1))
    testing.check_linear_in_R(explain, x, R, tolerance=1e-5)
    with pytest.raises(LawBroken):
        testing.check_linear_in_R(explain, x, R)
    with pytest.raises(LawBroken):
        testing.check_linear_in_R(explain, x, R, tolerance=0)


def test_every_law_has_a_statement_an_equation_or_a_source() -> None:
    for name, law in testing.LAWS.items():
        assert law.__name__ == name
        first, _, rest = (law.__doc__ or "").partition("\n")
        assert first.endswith(".")
        assert rest.strip()


def test_an_argument_that_is_written_on_is_named() -> None:
    def explain(x: np.ndarray) -> np.ndarray:
        x[:] = 0
        return np.zeros_like(x)

    with pytest.raises(LawBroken, match=r"argument 1, afterwards: got \[0\], expected \[1\]"):
        testing.check_no_mutation(explain, np.ones(1))


def test_a_question_in_between_may_fail() -> None:
    def between(x: np.ndarray) -> None:
        raise ValueError

    testing.check_no_mutation(lambda x: 2 * x, np.ones(2), between=between)


# ---- as pytest tests ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@testing.parametrize_with_checks([rules.Flat(), (Scale([2.0]), np.ones((2, 1)))])
def test_checks_as_tests(check: testing.Check) -> None:
    check()


def test_a_check_is_one_law_of_one_subject() -> None:
    checks = {check.law: check for check in testing.checks_of((Stubborn([[1.0, -2.0]]), np.ones((2, 2))))}
    checks["check_adjoint"]()
    with pytest.raises(ChecksFailed, match="given"):
        checks["check_weights"]()
    assert "check_linear_in_R" not in {check.law for check in testing.checks_of(rules.Relative())}
    assert {"check_finite", "check_shape"} <= {check.law for check in testing.checks_of(lrp_0)}
    with pytest.raises(LrprefError, match="a rule, a tuple of a layer and its inputs, or a callable"):
        testing.checks_of(3)


class Doubled(rules.Flat):
    """Sends twice the relevance."""

    def shares(self, layer: Any, inputs: Any, R: Any, ratios: Any, zs: Any) -> list[Any]:
        return [2 * R]


@pytest.mark.slow
@testing.parametrize_with_checks([Doubled()], expected_failed={"check_conservation": "sends everything twice"})
def test_an_expected_failure_is_no_failure(check: testing.Check) -> None:
    check()


@pytest.mark.parametrize("given", [{"check_oracle": "known"}, lambda rule: {"check_oracle": "known"}])
def test_an_expected_failure_is_strict(given: Any) -> None:
    """pytest reports one that passes as a failure, and anything but a violated law, too."""
    params = testing.parametrize_with_checks([rules.Flat()], expected_failed=given).args[1]
    marks = {param.values[0].law: param.marks for param in params}
    [mark] = marks.pop("check_oracle")
    assert mark.name == "xfail"
    assert mark.kwargs == {"reason": "known", "raises": ChecksFailed, "strict": True}
    assert set(marks.values()) == {()}


def test_expected_failures_name_laws_that_are_checked() -> None:
    subjects = [rules.Flat(), lrp_0]
    with pytest.raises(UnknownNameError, match="check_adjoin"):
        testing.parametrize_with_checks(subjects, expected_failed={"check_adjoin": "known"})
    with pytest.raises(UnknownNameError, match="check_oracle"):  # not a law of the second subject
        testing.parametrize_with_checks(subjects, expected_failed=lambda subject: {"check_oracle": "known"})
    testing.parametrize_with_checks(subjects, expected_failed={"check_oracle": "known"})
    with pytest.raises(ParameterError, match="give the reason"):
        testing.parametrize_with_checks(subjects, expected_failed={"check_oracle": ""})


def test_two_values_that_differ_late_are_shown_with_all_digits() -> None:
    pair = testing.Pair("sum", np.array([1.0]), np.array([1.0 + 2**-40]))
    assert str(pair) == "sum: got [1], expected [1.0000000000009095]"


# ---- strategies --------------------------------------------------------------------------------------------------


def simplest(strategy: Any) -> Any:
    """What a strategy shrinks to."""
    quiet = settings(max_examples=10, database=None, phases=[Phase.generate, Phase.shrink], derandomize=True)
    return find(strategy, lambda _: True, settings=quiet)


def test_the_simplest_network_is_one_weight_and_one_input() -> None:
    net, x = simplest(lrp.networks())
    assert [type(layer) for _, layer, _ in net.nodes] == [Flatten, Dense]
    assert_array_equal(net.nodes[-1].layer.weight, [[0.0]])
    assert_array_equal(x, np.zeros((1, 1, 1, 1)))


def test_the_simplest_residual_network_has_one_block() -> None:
    net, x = simplest(lrp.networks(blocks=["residual"]))
    assert [type(layer) for _, layer, _ in net.nodes] == [Conv2D, ReLU, Conv2D, Add, ReLU, Flatten, Dense]
    assert x.shape == (1, 1, 1, 1)


def test_the_simplest_layer_of_a_kind() -> None:
    case = simplest(lrp.layer_cases("max_pool"))
    assert isinstance(case.layer, MaxPool)
    assert testing.numbers(case) == 2


@given(data=st.data())
def test_every_argument_is_a_value_or_a_strategy(data: st.DataObject) -> None:
    shape = data.draw(lrp.vectors(batch=2, features=st.integers(2, 3)))
    x = data.draw(lrp.arrays(st.just(shape), low=st.just(0), high=1))
    assert x.shape == shape
    assert 0 <= x.min() <= x.max() <= 1
    layer = data.draw(lrp.layers(st.just(shape), kind=st.just("dense")))
    assert data.draw(lrp.relevances(layer, x)).shape == (2, layer.weight.shape[0])
    assert data.draw(lrp.dense(shape, out=st.just(2), bias=True)).bias.shape == (2,)
    rule = data.draw(lrp.rules(st.just("epsilon"), shapes=(shape,)))
    assert isinstance(rule, rules.Epsilon)
    case = data.draw(lrp.networks(blocks=[], shape=(1, 1, 2, 2), numbers=lrp.nonnegative))
    assert isinstance(case, NetworkCase)
    assert case.x.min() >= 0


def test_a_case_made_smaller_loses_one_sample_output_input_or_the_bias() -> None:
    case = LayerCase(Dense(np.ones((2, 2)), np.ones(2)), (np.ones((2, 2)),), np.ones((2, 2)))
    cuts = list(smaller(case))
    assert [testing.numbers(cut) for cut in cuts] == [10, 10, 9, 9, 10, 10, 12]
    for cut in cuts:
        assert cut.layer.forward(*cut.inputs).shape == cut.R.shape
    assert not list(smaller(LayerCase(Dense([[1.0]]), (np.ones((1, 1)),), np.ones((1, 1)))))


# ---- dependencies ------------------------------------------------------------------------------------------------


def test_hypothesis_is_imported_only_to_search() -> None:
    """Neither lrpref nor the laws depend on hypothesis."""
    code = (
        "import sys, numpy as np, lrpref, lrpref.testing as t\n"
        "t.check_layer(lrpref.Dense([[1.0]]), np.ones((1, 1)))\n"
        "t.check_finite(lambda x: x, np.ones(1))\n"
        "sys.exit(any(name in sys.modules for name in ('hypothesis', 'pytest', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
