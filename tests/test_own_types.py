"""Layers and rules that a user defines are computed by their own code everywhere, or refused by name.

Each case here once gave a wrong answer without a warning: the fast engine, `fuse`, `exact`, the oracle or a composite
took a type of the user's for the type of lrpref that it derives from, or for a function of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, Dropout, Flatten, Network, ReLU, Scale, Sigmoid, evaluation, rules
from lrpref.backend import Array
from lrpref.composites import Composite
from lrpref.errors import DTypeError, RuleError
from lrpref.layers import LinearLayer
from lrpref.rules import Ratio, Rule, Term, identity, negative, one, positive

RNG = np.random.default_rng(0)
FC = Network.sequential(Dense(RNG.normal(size=(5, 4)), RNG.normal(size=5)), ReLU(), Dense(RNG.normal(size=(3, 5))))
X = RNG.normal(size=(2, 4))


def image_net(channels: int = 3) -> tuple[Network, np.ndarray]:
    conv = Conv2D(RNG.normal(size=(channels, 2, 3, 3)), RNG.normal(size=channels), padding=1)
    layers = [conv, ReLU(), Conv2D(RNG.normal(size=(2, channels, 3, 3)), RNG.normal(size=2)), ReLU(), Flatten()]
    return Network.sequential(*layers, Dense(RNG.normal(size=(3, 8)))), RNG.normal(size=(2, 2, 4, 4))


def same_everywhere(net: Network, x: np.ndarray, rule: Any) -> None:
    """explain equals the walk."""
    expected = lrpref.trace(net, x, rule=rule).relevance
    assert_allclose(lrpref.explain(net, x, rule=rule), expected, rtol=1e-9, atol=1e-12)


# ---- rules -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clipped(Rule):
    """Two terms with one map, which is a method and so a new object each time it is read."""

    cap: float = 1.0
    stabilizer: float = 1e-3

    def clip(self, x: Array) -> Any:
        return np.clip(x, -self.cap, self.cap)

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(self.clip, positive), Term(self.clip, negative))),)


@dataclass
class Doubling:
    """A map that cannot be hashed."""

    factor: float = 2.0

    def __call__(self, x: Array) -> Any:
        return self.factor * x


@dataclass(frozen=True)
class Doubled(Rule):
    """A map that cannot be hashed, and a coefficient that is a fraction."""

    stabilizer: float = 1e-3

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(Doubling(), b=identity),), Fraction(1, 2)), Ratio((Term(one, one),), Fraction(1, 2)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class OwnTerm(Term):
    """A term with a weight of its own."""

    def of_weight(self, w: Array) -> Any:
        return w * w


@dataclass(frozen=True)
class OwnRatio(Ratio):
    """A ratio with sums of its own."""

    def sums(self, *arguments: Any) -> Any:
        z, bias, d = super().sums(*arguments)
        return z, bias, d + 10


@dataclass(frozen=True)
class WithOwnTerm(Rule):
    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((OwnTerm(one, identity),)),)


@dataclass(frozen=True)
class WithOwnRatio(Rule):
    def ratios(self) -> tuple[Ratio, ...]:
        return (OwnRatio((Term(b=identity),)),)


@dataclass(frozen=True)
class StepAsField(Rule):
    """A step that is a field of the rule."""

    stabilize: Callable[[Array], Any] = field(default=lambda z: z + 3.0)  # type: ignore[assignment]

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=identity),)),)


@dataclass(frozen=True)
class HalfShares(Rule):
    """A mixin: half of what the next class says."""

    def shares(self, *arguments: Any) -> Any:
        return [share / 2 for share in super().shares(*arguments)]


@dataclass(frozen=True)
class Mixed(rules.AlphaBeta, HalfShares):
    """AlphaBeta.shares calls super().shares, which is the mixin's."""


@dataclass(frozen=True)
class ByShape(Rule):
    """A bias map that depends on the number of axes."""

    stabilizer: float = 1e-3

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=lambda b: b * (1 + b.ndim)),)),)


@dataclass(frozen=True)
class WithoutBias(Rule):
    """w + w+, whose signs differ from weight to weight, and no bias."""

    stabilizer: float = 1e-6

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(w=lambda w: w + rules.positive(w)),)),)


OWN_RULES = [
    Clipped(),
    Doubled(),
    WithOwnTerm(),
    WithOwnRatio(),
    StepAsField(),
    Mixed(empty="literal", stabilizer=1e-3),
    ByShape(),
]


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")
@pytest.mark.parametrize("rule", OWN_RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("net", ["dense", "convolutions"])
def test_the_fast_engine_computes_a_users_rule_as_the_walk_does(rule: Rule, net: str) -> None:
    same_everywhere(*((FC, X) if net == "dense" else image_net()), rule)


IGNORING_THE_BIAS = [rules.AlphaBeta(1, 0, "ignore", stabilizer=1e-6), rules.AlphaBeta(2, 1, "ignore"), WithoutBias()]


@pytest.mark.parametrize("rule", IGNORING_THE_BIAS, ids=str)
def test_a_bias_that_varies_is_part_of_the_layers_output(rule: Rule) -> None:
    """A denominator without the bias is not above the output, though weight by weight it seems so."""
    conv = Conv2D(np.float64([[[[1, -1]]]]), bias_taps=np.full((1, 1, 2), 9.0))
    by_hand = Network.sequential(ReLU(), conv, ReLU(), Flatten(), Dense([[1.0]]))
    same_everywhere(by_hand, np.ones((1, 1, 1, 2)), rule)
    norm = BatchNorm(RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=2), 1 + RNG.random(2))
    layers = [ReLU(), norm, Conv2D(RNG.normal(size=(3, 2, 3, 3)), padding=1), ReLU(), Flatten()]
    fused = lrpref.fuse(Network.sequential(*layers, Dense(RNG.normal(size=(3, 48)))))
    same_everywhere(fused, RNG.normal(size=(2, 2, 4, 4)), rule)


def test_a_subclass_of_relative_is_used() -> None:
    class Own(rules.Relative):
        def flow(self, layer: Any, inputs: Any, R: Any) -> Any:
            return rules.Zero().flow(layer, inputs, R)

    expected = lrpref.trace(FC, X, rule=Composite([(LinearLayer, rules.Zero())])).relevance
    assert_array_equal(lrpref.trace(FC, X, rule=Own()).relevance, expected)


def test_a_name_is_a_name_before_it_is_a_pattern() -> None:
    net = Network.sequential(Dense(np.eye(2)), Dense(np.eye(2)), names=["layer0", "layer[0]"])
    assigned = Composite([("layer[0]", rules.Zero()), (Dense, rules.Epsilon())]).assign(net)
    assert [str(assigned[name]) for name in net.names] == ["epsilon", "zero"]
    with pytest.raises(RuleError, match="a selector must be a name"):
        Composite([(True, rules.Zero())])


# ---- layers ------------------------------------------------------------------------------------------------------


class ScaledDropout(Dropout):
    """Computes something, at inference."""

    def forward(self, *inputs: Array) -> Any:
        return inputs[0] * (1 - self.p)


class Reversed(Flatten):
    """Another order of the features."""

    def forward(self, *inputs: Array) -> Any:
        return super().forward(*inputs)[:, ::-1]

    def route(self, inputs: tuple[Array, ...], R: Array) -> Any:
        return super().route(inputs, R[:, ::-1])


def norm(channels: int) -> BatchNorm:
    parameters = (RNG.normal(size=channels) for _ in range(3))
    return BatchNorm(*parameters, 1 + RNG.random(channels))


@pytest.mark.parametrize(
    "net",
    [
        Network.sequential(Dense(RNG.normal(size=(3, 4))), ScaledDropout(), norm(3)),
        Network.sequential(norm(4), ScaledDropout(), Dense(RNG.normal(size=(3, 4)))),
    ],
    ids=["before", "after"],
)
def test_a_fold_does_not_go_through_a_subclass_of_dropout(net: Network) -> None:
    assert_allclose(lrpref.fuse(net)(X), net(X), rtol=1e-12)
    assert "which is a type of your own" in str(lrpref.fusion_plan(net))


def test_a_fold_does_not_go_through_a_subclass_of_flatten() -> None:
    net = Network.sequential(ReLU(), norm(2), Reversed(), Dense(RNG.normal(size=(3, 8))))
    x = RNG.normal(size=(2, 2, 2, 2))
    assert_allclose(lrpref.fuse(net)(x), net(x), rtol=1e-12)


def test_a_bias_by_taps_is_folded_once() -> None:
    net = Network.sequential(Scale([1.0], [1.0]), Conv2D([[[[2.0]]]], bias_taps=[[[10.0]]]))
    assert_array_equal(lrpref.fuse(net)(np.zeros((1, 1, 1, 1))), [[[[12.0]]]])


def test_exact_arithmetic_does_not_take_a_subclass_for_a_batchnorm() -> None:
    class PlusOne(BatchNorm):
        def scale_and_shift(self) -> Any:
            w, b = super().scale_and_shift()
            return w + 1, b

    with pytest.raises(DTypeError, match="node 'plusone1': PlusOne may compute something other than BatchNorm"):
        lrpref.exact(Network.sequential(PlusOne([1.0], [0.0], [0.0], [1.0])))


class Twice(Dense):
    """Twice a Dense layer."""

    def linear(self, w: Array, *inputs: Array) -> Any:
        return 2 * super().linear(w, *inputs)

    def adjoint(self, w: Array, s: Array, *shapes: Any) -> Any:
        return 2 * super().adjoint(w, s, *shapes)


def test_the_oracle_refuses_subclasses() -> None:
    a, R = np.ones((1, 2)), np.ones((1, 1))
    with pytest.raises(RuleError, match="the oracle has no matrix for Twice"):
        lrpref.messages(Twice([[1.0, 2.0]]), a, R, rules.Zero())
    with pytest.raises(RuleError, match="the oracle has no route through Reversed"):
        lrpref.messages(Reversed(), np.ones((1, 1, 1, 2)), a, rules.Zero())


def test_gradient_times_input_refuses_a_subclass_of_relu() -> None:
    class Soft(ReLU):
        def forward(self, *inputs: Array) -> Any:
            return np.log1p(np.exp(inputs[0]))

    net = Network.sequential(Dense(np.eye(2)), Soft(), Dense(np.ones((1, 2))))
    with pytest.raises(RuleError, match="with Soft, LRP-0 is not gradient x input"):
        evaluation.baselines.gradient_x_input(net, np.ones((1, 2)), 0)


# ---- exact arithmetic stays exact --------------------------------------------------------------------------------


class FloatShares(rules.Zero):
    def shares(self, layer: Any, inputs: Any, R: Any, ratios: Any, zs: Any) -> Any:
        return [1.0 * R]


class FloatStabilizer(rules.Zero):
    def stabilize(self, z: Any) -> Any:
        return z + 0.5


class FloatFlow(rules.Zero):
    def flow(self, layer: Any, inputs: Any, R: Any) -> Any:
        flow = super().flow(layer, inputs, R)
        return lrpref.ledger.Flow(tuple(1.0 * R_i for R_i in flow.inputs), flow.losses)


@pytest.mark.parametrize("rule", [FloatShares(), FloatStabilizer(), FloatFlow()], ids=lambda rule: type(rule).__name__)
def test_a_rule_that_makes_floats_of_fractions_is_named(rule: Rule) -> None:
    with pytest.raises(DTypeError, match=r"node 'dense2' .* turned exact numbers into floats"):
        lrpref.trace(lrpref.exact(FC), lrpref.exact(X), rule=rule)


def test_a_layer_that_makes_floats_of_fractions_is_named() -> None:
    class Half(Sigmoid):
        def forward(self, *inputs: Array) -> Any:
            return 0.5 * inputs[0]

    net = Network([("fc", lrpref.exact(FC)["dense1"], ["input"]), ("half", Half(), ["fc"])])
    with pytest.raises(DTypeError, match=r"node 'half' \(Half\): the layer turned exact numbers into floats"):
        net.forward(lrpref.exact(X))
