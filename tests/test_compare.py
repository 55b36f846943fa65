"""Comparing heatmaps: measures by hand, every convention and pair recognised by name, and noise by none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GroupNorm,
    LayerNorm,
    MaxPool2D,
    Mean,
    Multiply,
    Network,
    ReLU,
    RMSNorm,
    Softmax,
    UpsampleLinear,
    cli,
    explain,
    explain_difference,
)
from lrpref.composites import Composite, EpsilonPlus, EpsilonPlusFlat, first, places, resolve
from lrpref.conformance.adapter import known_adapters
from lrpref.differences import Comparison, choices, compare
from lrpref.differences import conventions as others
from lrpref.differences.bench import Bench
from lrpref.differences.choices import CONVENTIONS
from lrpref.differences.groups import Match, minimal, shape_distance, simplest
from lrpref.errors import InputError, ParameterError, RuleError, ShapeError, TargetError, UnknownNameError
from lrpref.layers import DiagonalLayer, LinearLayer, SampleNorm, WeightedLayer
from lrpref.ledger import Entry, Ledger
from lrpref.rules import Absolute, AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus

PAGE = Path(__file__).parent.parent / "docs" / "compare.md"

# ---- measures of difference --------------------------------------------------------------------------------------


def test_the_numbers_by_hand() -> None:
    """R1 = (3, 4) and R2 = (3, 2): |R1| = 5, and they differ by 2 in one entry."""
    found = compare(np.array([[3.0, 4.0]]), np.array([[3.0, 2.0]]))
    assert found.relative_l2 == pytest.approx(2 / 5)
    assert found.max_abs == 2
    assert found.max_rel == pytest.approx(2 / 4)
    assert found.cosine == pytest.approx((9 + 8) / (5 * 13**0.5))
    assert found.rank_correlation == pytest.approx(-1)
    assert [(spot.index, spot.first, spot.second) for spot in found.where] == [((0, 1), 4, 2)]


def test_ranks_are_shared_by_ties() -> None:
    """By hand: ranks (1, 2.5, 2.5, 4) and (1, 2, 3, 4), covariance 4.5, variances 4.5 and 5."""
    found = compare(np.array([[0.0, 1.0, 1.0, 7.0]]), np.array([[0.0, 1.0, 2.0, 3.0]]))
    assert found.rank_correlation == pytest.approx(4.5 / (4.5 * 5) ** 0.5)


def test_monotone_maps_have_rank_correlation_one_and_another_cosine() -> None:
    found = compare(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 8.0, 27.0]]))
    assert found.rank_correlation == pytest.approx(1)
    assert found.cosine < 0.95


def test_equal_maps() -> None:
    R = np.array([[1.0, -2.0], [0.0, 3.0]])
    found = compare(R, R.copy())
    assert (found.relative_l2, found.max_abs, found.max_rel, found.where) == (0, 0, 0, ())
    assert found.cosine == pytest.approx(1)
    assert found.rank_correlation == pytest.approx(1)
    assert found.worst == 0


def test_where_they_differ_most_is_in_order_and_ties_in_reading_order() -> None:
    first = np.zeros((1, 2, 3))
    second = np.array([[[0.0, -3.0, 1.0], [2.0, 1.0, 3.0]]])
    found = compare(first, second, k=4)
    assert [spot.index for spot in found.where] == [(0, 0, 1), (0, 1, 2), (0, 1, 0), (0, 0, 2)]
    assert found.where[0].second == -3
    assert len(compare(first, second, k=50).where) == 5  # entries that are equal are not listed


def test_each_sample_has_numbers_of_its_own_and_the_worst_cannot_hide() -> None:
    """One sample is a million times larger, so the batch as a whole looks equal."""
    first = np.array([[1e6, 0.0], [1.0, 0.0]])
    second = np.array([[1e6, 0.0], [0.0, 1.0]])
    found = compare(first, second)
    assert found.relative_l2 < 2e-6
    assert [sample.relative_l2 for sample in found.samples] == [0, pytest.approx(2**0.5)]
    assert found.samples[1].where[0].index == (0,)
    assert found.worst == pytest.approx(2**0.5)
    assert "worst sample        1 of 2, relative L2 1.41" in str(found)


def test_ratios_to_nothing() -> None:
    zero, one = np.zeros((1, 2)), np.array([[0.0, 1.0]])
    assert compare(zero, zero).relative_l2 == 0
    assert compare(zero, one).relative_l2 == compare(zero, one).max_rel == float("inf")
    assert compare(one, zero).relative_l2 == 1
    assert np.isnan(compare(zero, one).cosine)
    assert np.isnan(compare(zero, one).rank_correlation)
    assert np.isnan(compare(np.full((1, 2), 0.1), one).rank_correlation)


def test_maps_of_very_different_sizes() -> None:
    found = compare(np.array([[3.0, 4.0]]) * 1e-200, np.array([[3.0, 2.0]]) * 1e50)
    assert found.relative_l2 == pytest.approx(13**0.5 / 5 * 1e250)
    assert found.cosine == pytest.approx(17 / (5 * 13**0.5))


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_sizes_at_the_ends_of_float64(size: float) -> None:
    found = compare(np.array([[3.0, 4.0]]) * size, np.array([[3.0, 2.0]]) * size)
    assert found.relative_l2 == pytest.approx(0.4)
    assert found.cosine == pytest.approx(17 / (5 * 13**0.5))
    assert found.max_abs == pytest.approx(2 * size)


def test_maps_of_other_kinds() -> None:
    """Exact numbers, lists, float32, an empty batch, a single axis."""
    assert compare(lrpref.exact([["1/2", "1/3"]]), np.array([[0.5, 1 / 3]])).relative_l2 < 1e-15
    assert compare([[1, 2]], np.array([[1.0, 2.0]], dtype=np.float32)).relative_l2 == 0
    assert compare(np.ones((0, 3)), np.ones((0, 3))).worst == 0
    assert compare(np.array([1.0, 2.0]), np.array([1.0, 1.0])).samples == ()


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        (np.ones((1, 2)), np.ones((2, 1)), ShapeError, r"shapes \(1, 2\) and \(2, 1\)"),
        (np.array([[1.0, 2.0]]), np.array([[np.nan, 2.0]]), InputError, "the second map holds 1 NaN"),
        (np.array([[np.inf, 2.0]]), np.array([[1.0, 2.0]]), InputError, "the first map holds 1 NaN or infinite"),
        (np.array(1.0), np.array(1.0), ShapeError, "one number"),
    ],
)
def test_what_cannot_be_compared(first: np.ndarray, second: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare(first, second)


def test_a_comparison_prints_as_a_table() -> None:
    lines = str(compare(np.array([[3.0, 4.0]]), np.array([[3.0, 2.0]]))).splitlines()
    assert lines == [
        "relative L2         0.4",
        "largest difference  2 (0.5 of the largest relevance)",
        "cosine              0.942990",
        "rank correlation    -1.0000",
        "they differ most at          R1          R2  difference",
        "(0, 1)                        4           2           2",
    ]


# ---- every convention is recognised ------------------------------------------------------------------------------


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def images(seed: int = 1) -> Network:
    """Return two convolutions, BatchNorm, a skip connection, both poolings and Dense, with biases everywhere."""
    n = rng(seed).normal
    return Network(
        [
            ("conv1", Conv2D(n(size=(3, 2, 2, 2)), n(size=3), padding=(0, 1, 0, 1)), ["input"]),
            ("bn1", BatchNorm(n(size=3), n(size=3), n(size=3), n(size=3) ** 2 + 0.5), ["conv1"]),
            ("relu1", ReLU(), ["bn1"]),
            ("pool1", MaxPool2D(2), ["relu1"]),
            ("conv2", Conv2D(n(size=(3, 3, 2, 2)), n(size=3), padding=(0, 1, 0, 1)), ["pool1"]),
            ("add", Add(), ["conv2", "pool1"]),
            ("relu2", ReLU(), ["add"]),
            ("pool2", AvgPool2D(2), ["relu2"]),
            ("flat", Flatten(), ["pool2"]),
            ("fc", Dense(n(size=(4, 12)), n(size=4)), ["flat"]),
        ]
    )


def features(seed: int = 3) -> Network:
    """Return Dense, ReLU, Dense on five features, with biases."""
    n = rng(seed).normal
    return Network.sequential(Dense(n(size=(6, 5)), n(size=6)), ReLU(), Dense(n(size=(3, 6)), n(size=3)))


def ties(which: str) -> Network:
    """Return a network that starts with a max-pool, so an input of small integers is sure to have ties."""
    return Network.sequential(MaxPool2D(2, ties=which), Flatten(), Dense(rng(5).normal(size=(3, 8)), [1.0, 2.0, 3.0]))


IMAGES, FEATURES = images(), features()
X = rng(2).normal(size=(2, 2, 8, 8))
V = rng(4).normal(size=(2, 5))
TIED = rng(6).integers(0, 3, size=(2, 2, 4, 4)).astype(float)
COLOURS = Network.sequential(
    Conv2D(rng(7).normal(size=(2, 3, 3, 3)), [0.5, -1.0]),
    ReLU(),
    Flatten(),
    Dense(rng(8).normal(size=(3, 8)), [1, 2, 3]),
)
PHOTO = (rng(9).random((1, 3, 4, 4)) - np.reshape([0.485, 0.456, 0.406], (3, 1, 1))) / np.reshape(
    [0.229, 0.224, 0.225], (3, 1, 1)
)


@dataclass(frozen=True)
class Scene:
    """A network, an input, the rule the user assumes, and the other map, computed without the table of conventions."""

    net: Network
    x: np.ndarray
    rule: Any
    other: Callable[[], np.ndarray]
    target: Any = None
    seed: Any = "logit"


def on_images(rule: Any, other: Any, **more: Any) -> Scene:
    """Make a scene on IMAGES and X; `other` is a rule or a function that returns the map."""
    made = other if callable(other) else lambda: explain(IMAGES, X, rule=other)
    return Scene(IMAGES, X, rule, made, **more)


def on_features(rule: Any, other: Any, **more: Any) -> Scene:
    """Make a scene on FEATURES and V, whose entries have both signs."""
    made = other if callable(other) else lambda: explain(FEATURES, V, rule=other)
    return Scene(FEATURES, V, rule, made, **more)


def on_a_skip(rule: str, other: str) -> Scene:
    """Make a scene on SKIP, where all readings of Relative LRP give maps of another shape."""
    return Scene(SKIP, V, rule, lambda: explain(SKIP, V, rule=other))


def folded_as_one_channel() -> Network:
    """NORM_FIRST without its BatchNorm, whose channel o scales and shifts what belongs to output o."""
    norm, conv = NORM_FIRST["batchnorm1"], NORM_FIRST["conv2d1"]
    s = norm.weight / np.sqrt(norm.var + norm.eps)
    t = norm.bias - s * norm.mean
    weight = np.stack([s[o] * conv.weight[o] for o in range(2)])
    bias = [conv.bias[o] + t[o] * conv.weight[o].sum() for o in range(2)]
    return NORM_FIRST.remove("batchnorm1").replace("conv2d1", Conv2D(weight, bias, padding=1))


def in_a_box(box: ZBox) -> Scene:
    """Make a scene on IMAGES and GREY with the z-box rule on the first layer."""
    return Scene(IMAGES, GREY, "epsilon-plus", lambda: explain(IMAGES, GREY, rule=but(EpsilonPlus(), first, box)))


def shown(show: Callable[[np.ndarray], np.ndarray]) -> Scene:
    """Make a scene in which the map is only displayed differently."""
    return on_images("epsilon", lambda: show(explain(IMAGES, X, rule="epsilon")))


def but(rule: Composite, kind: Any, other: Rule) -> Composite:
    """Return a composite with another rule for one kind of layer."""
    return Composite([(kind, other), *rule.pairs])


def weighted(rule: Rule) -> Composite:
    """Return an unnamed composite that applies a rule to Dense and Conv2D."""
    return Composite([(WeightedLayer, rule)])


def biasless(net: Network) -> Network:
    """Remove the biases of Dense and Conv2D."""
    layers = {name: replace(a, bias=None) if isinstance(a, WeightedLayer) else a for name, a, _ in net.nodes}
    return Network([(name, layers[name], inputs) for name, _, inputs in net.nodes])


def over(R: np.ndarray, size: Callable[[np.ndarray], float]) -> np.ndarray:
    """Divide each sample by its own number."""
    return np.stack([r / size(r) for r in R])


def runner_up(net: Network, x: np.ndarray) -> np.ndarray:
    return np.argsort(-net.forward(x), axis=1)[:, 1]


S = rng(14).normal(size=(2, 2, 3, 3))
T = rng(16).normal(size=(2, 3, 5))
NORMED = Network.sequential(
    Dense(rng(17).normal(size=(6, 5))),
    LayerNorm(6, rng(18).normal(size=6), rng(19).normal(size=6)),
    Dense(rng(20).normal(size=(3, 6))),
)
AVERAGED = Network.sequential(Mean(1), Dense(rng(23).normal(size=(3, 5)), [0.5, -1.0, 0.25]))
POOLED = Network.sequential(
    Conv2D(rng(28).normal(size=(2, 2, 2, 2))), AvgPool2D((1, 2)), Flatten(), Dense(rng(29).normal(size=(3, 4)))
)
ENLARGED = Network.sequential(UpsampleLinear(4), Flatten(), Dense(rng(24).normal(size=(3, 32))))
SQUARE = Dense(rng(25).normal(size=(5, 5)), rng(26).normal(size=5))
TWICE = Network(
    [
        ("a", SQUARE, ["input"]),
        ("relu", ReLU(), ["a"]),
        ("b", SQUARE, ["relu"]),
        ("out", Dense(rng(27).normal(size=(3, 5))), ["b"]),
    ]
)
NORM_FIRST = Network.sequential(
    BatchNorm(*rng(30).normal(size=(3, 2)), rng(31).random(2) + 0.5),
    Conv2D(rng(32).normal(size=(2, 2, 3, 3)), [0.5, -1.0], padding=1),
    ReLU(),
    Flatten(),
    Dense(rng(33).normal(size=(3, 128))),
)
SKIP = Network(
    [
        ("a", Dense(rng(34).normal(size=(4, 5)), rng(35).normal(size=4)), ["input"]),
        ("b", Dense(rng(36).normal(size=(3, 4))), ["a"]),
        ("skip", Dense(rng(37).normal(size=(3, 5))), ["input"]),
        ("sum", Add(), ["b", "skip"]),
        ("fc", Dense(rng(38).normal(size=(3, 3)), [0.5, -1.0, 0.25]), ["sum"]),
    ]
)
GATED = Network(
    [
        ("signal", Dense(rng(48).normal(size=(4, 5))), ["input"]),
        ("gate", Dense(rng(49).normal(size=(4, 5))), ["input"]),
        ("product", Multiply(), ["signal", "gate"]),
        ("fc", Dense(rng(50).normal(size=(3, 4))), ["product"]),
    ]
)
CANCELS = Network.sequential(Dense([[1.0, -1.0], [3.0, -1.0]]))  # z = (0, 2) for (1, 1)
FLAT, PLUS = EpsilonPlusFlat(), EpsilonPlus()
EMPTY = Network.sequential(Dense([[1.0, 2.0], [3.0, -1.0]], [0.5, -1.0]), ReLU(), Dense([[1.0, -0.5], [-1.0, 0.5]]))
GREY = rng(11).random((2, 2, 8, 8))  # within every box: outside, denominators may vanish
LOW = np.reshape([r.min() for r in GREY], (2, 1, 1, 1))
HIGH = np.reshape([r.max() for r in GREY], (2, 1, 1, 1))
LEAST = FEATURES.forward(V).argmin(axis=1)
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

SCENES: dict[str, Scene] = {
    "network-bias-free": on_images("epsilon-plus", lambda: explain(biasless(IMAGES), X, rule="epsilon-plus")),
    "batch-norm-fused": on_images("epsilon-plus", lambda: explain(lrpref.fuse(IMAGES), X, rule="epsilon-plus")),
    "batch-norm-scalar-fold": Scene(NORM_FIRST, X, "zero", lambda: explain(folded_as_one_channel(), X, rule="zero")),
    "max-pool-equal": Scene(ties("first"), TIED, "zero", lambda: explain(ties("equal"), TIED, rule="zero")),
    "max-pool-first": Scene(ties("equal"), TIED, "zero", lambda: explain(ties("first"), TIED, rule="zero")),
    "max-pool-averaged": Scene(
        ties("first"),
        TIED,
        "zero",
        lambda: AvgPool2D(2).relevance(TIED, _into(ties("first"), TIED), Zero()),
    ),
    "relu-gradient": on_features(Flat(), lambda: stopped_at_relus()),
    "product-by-magnitude": Scene(GATED, V, "zero", lambda: by_magnitude()),
    "zero-everywhere": on_images("epsilon-plus", Composite([(LinearLayer, Zero())])),
    "epsilon-everywhere": on_images("epsilon-plus", Composite([(LinearLayer, Epsilon(1e-9))])),
    "batch-norm-pass": on_images("z-plus", but(weighted(ZPlus()), DiagonalLayer, Pass())),
    "batch-norm-epsilon": on_images("epsilon-plus", but(PLUS, DiagonalLayer, Epsilon(0.0))),
    "batch-norm-absolute": on_images("epsilon-plus", but(PLUS, DiagonalLayer, Absolute())),
    "batch-norm-gradient": on_images("epsilon-plus", but(PLUS, DiagonalLayer, others.Gradient())),
    "batch-norm-mean-subtracted": on_images(
        but(PLUS, DiagonalLayer, ZPlus(1e-6)), but(PLUS, DiagonalLayer, others.MeanSubtracted(ZPlus(1e-6)))
    ),
    "norm-whole-gradient": Scene(
        NORMED,
        V,
        "epsilon",
        lambda: explain(NORMED, V, rule=but(resolve("epsilon"), SampleNorm, others.WholeGradient())),
    ),
    "average-pool-equal": on_images("epsilon-plus", but(PLUS, AvgPool2D, Flat(1e-6))),
    "average-pool-epsilon": Scene(
        POOLED, S, but(PLUS, AvgPool2D, ZPlus(1e-6)), lambda: explain(POOLED, S, rule="epsilon-plus")
    ),
    "average-pool-absolute": Scene(
        POOLED, S, "epsilon-plus", lambda: explain(POOLED, S, rule=but(PLUS, AvgPool2D, Absolute(1e-6)))
    ),
    "mean-epsilon-of-sum": Scene(
        AVERAGED,
        T,
        Epsilon(0.1),
        lambda: explain(AVERAGED, T, rule=but(resolve(Epsilon(0.1)), Mean, others.EpsilonOfSum(0.1))),
    ),
    "upsample-flat-weights": Scene(
        ENLARGED,
        S,
        Composite([(LinearLayer, Flat())]),
        lambda: explain(
            ENLARGED, S, rule=Composite([(UpsampleLinear, others.FlatWithWeights()), (LinearLayer, Flat())])
        ),
    ),
    "shared-last-input": Scene(TWICE, V, "zero", lambda: as_a_hook_explains()),
    "add-epsilon": on_images(but(PLUS, Add, Flat(1e-6)), "epsilon-plus"),
    "add-absolute": on_images("epsilon-plus", but(PLUS, Add, Absolute(stabilizer=1e-6))),
    "add-equal": on_images("epsilon-plus", but(PLUS, Add, Flat(1e-6))),
    "add-gamma": on_images("epsilon-plus", but(PLUS, Add, Gamma(1, generalised=True, stabilizer=1e-6))),
    "add-block": on_images("epsilon-plus", but(PLUS, Add, others.OneBranch(0))),
    "add-to-every": on_images("epsilon-plus", but(PLUS, Add, others.ToEvery())),
    "first-like-the-rest": on_images("epsilon-plus-flat", "epsilon-plus"),
    "first-flat": on_images("epsilon-plus", "epsilon-plus-flat"),
    "first-w-square": on_images("epsilon-plus", but(PLUS, first, WSquare(1e-6))),
    "first-box-0-1": in_a_box(ZBox(0.0, 1.0, 1e-6)),
    "first-box-1-1": in_a_box(ZBox(-1.0, 1.0, 1e-6)),
    "first-box-data": in_a_box(ZBox(LOW, HIGH, 1e-6)),
    "first-box-imagenet": Scene(
        COLOURS,
        PHOTO,
        "epsilon-plus",
        lambda: explain(COLOURS, PHOTO, rule=but(PLUS, first, ZBox(-MEAN / DEVIATION, (1 - MEAN) / DEVIATION, 1e-6))),
    ),
    "alpha1-beta0": on_features(AlphaBeta(2, 1), AlphaBeta(1, 0)),
    "alpha2-beta1": on_features(ZPlus(), AlphaBeta(2, 1)),
    "alpha-half": on_features(AlphaBeta(2, 1), weighted(others.MixedParts())),
    "weights-clamped": on_features(ZPlus(), weighted(others.WeightsClamped())),
    "numerator-clamped": on_features(ZPlus(), weighted(others.NumeratorClamped())),
    "weights-and-bias-clamped": on_features(ZPlus(), weighted(others.WeightsClamped(clamp_bias=True))),
    "each-part-in-full": on_features(ZPlus(), weighted(others.EachPartInFull())),
    "alpha-beta-bias-ignored": on_images(
        "epsilon-plus", but(PLUS, Conv2D, AlphaBeta(1, 0, bias="ignore", stabilizer=1e-6))
    ),
    "alpha-beta-bias-kept": on_features(AlphaBeta(2, 1, bias="ignore"), AlphaBeta(2, 1)),
    "alpha-beta-bias-in-both-parts": on_features(AlphaBeta(2, 1), weighted(others.BiasInBothParts(2, 1))),
    "empty-renormalised": Scene(
        EMPTY,
        np.array([[1.0, 0.5]]),
        AlphaBeta(2, 1),
        lambda: explain(EMPTY, np.array([[1.0, 0.5]]), rule=AlphaBeta(2, 1, empty="renormalise")),
    ),
    "empty-literal": Scene(
        EMPTY,
        np.array([[1.0, 0.5]]),
        AlphaBeta(2, 1, empty="renormalise"),
        lambda: explain(EMPTY, np.array([[1.0, 0.5]]), rule=AlphaBeta(2, 1)),
    ),
    "gamma-generalised": on_features(Gamma(0.5), Gamma(0.5, generalised=True)),
    "gamma-plain": on_features(Gamma(0.5, generalised=True), Gamma(0.5)),
    "gamma-twice": on_features(Gamma(0.5), weighted(others.GammaTwice(0.5))),
    "gamma-bias-as-it-is": on_features(Gamma(0.5), weighted(others.GammaBiasAsItIs(0.5))),
    "gamma-small-is-epsilon": on_features(weighted(Gamma(0.01, stabilizer=0.25)), weighted(Epsilon(0.25))),
    "gamma-zero-lost": Scene(
        CANCELS, np.ones((1, 2)), Gamma(), lambda: np.array([[3.75, -1.0]]) / 2.75, seed=np.ones((1, 2))
    ),
    "gamma-zero-negative": Scene(
        CANCELS, np.ones((1, 2)), Gamma(), lambda: np.array([[3.75 / 2.75 - 4, 5 - 1 / 2.75]]), seed=np.ones((1, 2))
    ),
    "relative-rescaled": on_a_skip("relative(reading='bare')", "relative"),
    "relative-bare": on_a_skip("relative", "relative(rescale=False)"),
    "relative-unsigned": on_a_skip("relative", "relative(reading='unsigned')"),
    "relative-no-divisor": on_a_skip("relative", "relative(reading='no-divisor')"),
    "relative-unit-norm": on_a_skip("relative", "relative(reading='unit-norm')"),
    "w-square-bias": on_features(WSquare(), weighted(others.WSquareWithBias())),
    "flat-bias": on_features(Flat(), weighted(others.FlatWithBias())),
    "flat-padding": on_images("epsilon-plus-flat", but(FLAT, first, others.FlatWithPadding(1e-6))),
    "stabilizer-0": on_images("epsilon-plus", EpsilonPlus(0.0, 0.0)),
    "stabilizer-1e-12": on_images("epsilon-plus", EpsilonPlus(1e-12, 1e-12)),
    "stabilizer-1e-11": on_images("epsilon-plus", EpsilonPlus(1e-11, 1e-11)),
    "stabilizer-1e-9": on_images("epsilon-plus", EpsilonPlus(1e-9, 1e-9)),
    "stabilizer-1e-7": on_images("epsilon-plus", EpsilonPlus(1e-7, 1e-7)),
    "stabilizer-1e-6": on_images(EpsilonPlus(1e-9, 1e-9), "epsilon-plus"),
    "epsilon-rms": on_features(Epsilon(0.1), Epsilon(0.1, scale="rms")),
    "stabilizer-unsigned": on_features(
        Epsilon(0.1),
        lambda: explain(FEATURES, V, LEAST, weighted(others.Unsigned(Epsilon(0.1)))),
        target=LEAST,  # a negative logit: behind ReLUs, no other negative z carries relevance
    ),
    "stabilizer-negative-at-zero": Scene(
        CANCELS, np.ones((1, 2)), Epsilon(0.1), lambda: np.array([[-10 + 3 / 2.1, 10 - 1 / 2.1]]), seed=np.ones((1, 2))
    ),
    "bias-in-no-rule": on_features("zero", weighted(others.Biasless(Zero()))),
    "bias-by-magnitude": on_features("zero", weighted(others.BiasByMagnitude(Zero()))),
    "weights-share": on_features("zero", weighted(others.WeightsShare(Zero()))),
    "seed-logit": on_images("epsilon", lambda: explain(IMAGES, X, rule="epsilon"), seed="one"),
    "seed-one": on_images("epsilon", lambda: explain(IMAGES, X, rule="epsilon", seed="one")),
    "seed-probability": on_images("epsilon", lambda: explain(IMAGES, X, rule="epsilon", seed="probability")),
    "softmax-gradient": on_features("zero", lambda: through_softmax(), seed="one"),
    "all-outputs": on_images("epsilon", lambda: explain(IMAGES, X, rule="epsilon", seed=IMAGES.forward(X))),
    "all-ones": on_images("epsilon", lambda: explain(IMAGES, X, rule="epsilon", seed=np.ones((2, 4)))),
    "target-largest": on_images("epsilon", lambda: explain(IMAGES, X, rule="epsilon"), target=0),
    "target-runner-up": on_images("epsilon", lambda: explain(IMAGES, X, runner_up(IMAGES, X), rule="epsilon")),
    "channels-sum": shown(lambda R: R.sum(axis=1)),
    "channels-mean": shown(lambda R: R.mean(axis=1, keepdims=True)),
    "channels-largest": shown(lambda R: abs(R).max(axis=1)),
    "absolute": shown(np.abs),
    "positive": shown(lambda R: np.maximum(R, 0)),
    "negated": shown(lambda R: -R),
    "over-largest": shown(lambda R: over(R, lambda r: abs(r).max())),
    "over-sum": shown(lambda R: over(R, np.sum)),
    "over-range": shown(lambda R: np.stack([(r - r.min()) / np.ptp(r) for r in R])),
    "channels-last": shown(lambda R: R.transpose(0, 2, 3, 1)),
}


def as_a_hook_explains() -> np.ndarray:
    """LRP-0 on TWICE, where the layer redistributes in both places in proportion to w_ij a_i with a of the second."""
    shared, last = TWICE["a"], TWICE["out"]
    at = TWICE.activations(V)
    y = at["out"]
    R = last.relevance(at["b"], np.where(y == y.max(axis=1, keepdims=True), y, 0), Zero())
    for _ in range(2):
        R = shared.relevance(at["relu"], R, Zero())
    return R


def by_magnitude() -> np.ndarray:
    """LRP-0 on GATED, layer by layer; each factor receives its part of the sum of magnitudes."""
    at = GATED.activations(V)
    y = at["fc"]
    R = GATED["fc"].relevance(at["product"], np.where(y == y.max(axis=1, keepdims=True), y, 0), Zero())
    size = abs(at["signal"]) + abs(at["gate"])
    return sum(GATED[name].relevance(V, R * abs(at[name]) / size, Zero()) for name in ("signal", "gate"))


def through_softmax() -> np.ndarray:
    """LRP-0 on FEATURES from the finite difference of its softmax, with respect to the logits."""
    y = FEATURES.forward(V)
    k, h = y.argmax(axis=1), 1e-6
    softmax = lambda y: (np.exp(y) / np.exp(y).sum(axis=1, keepdims=True))[np.arange(len(y)), k]  # noqa: E731
    exact = lrpref.layers.Softmax().forward(y)[np.arange(len(y)), k][:, None]
    seed = exact * (np.eye(3)[k] - lrpref.layers.Softmax().forward(y))
    steps = [(softmax(y + h * np.eye(3)[[i]]) - softmax(y - h * np.eye(3)[[i]])) / (2 * h) for i in range(3)]
    assert_allclose(seed, np.stack(steps, axis=1), atol=1e-9)
    return explain(FEATURES, V, rule="zero", seed=seed)


def _into(net: Network, x: np.ndarray) -> np.ndarray:
    """Return the LRP-0 relevance at the output of the first node, a max-pool."""
    return lrpref.trace(net, x, rule="zero").at["maxpool2d1"]


def stopped_at_relus() -> np.ndarray:
    """Apply the flat rule to FEATURES layer by layer, with no relevance passing through inactive ReLUs."""
    (_, first, _), _, (_, second, _) = FEATURES.nodes
    z = first.forward(V)
    y = second.forward(np.maximum(z, 0))
    R = second.relevance(np.maximum(z, 0), np.where(y == y.max(axis=1, keepdims=True), y, 0), Flat())
    return first.relevance(V, np.where(z > 0, R, 0), Flat())


def diagnose(scene: Scene, **more: Any) -> Any:
    return explain_difference(scene.net, scene.x, scene.other(), scene.rule, scene.target, scene.seed, **more)


def test_every_convention_has_a_scene() -> None:
    assert list(SCENES) == [convention.name for convention in CONVENTIONS]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_each_convention_is_named_and_no_other(name: str) -> None:
    found = diagnose(SCENES[name])
    assert [match.names for match in found.matches] == [(name,)]
    assert found.matches[0].distance < 1e-12
    assert found.distance > 20 * found.matches[0].distance
    assert found.explained
    (words,) = (convention.words for convention in CONVENTIONS if convention.name == name)
    assert "equal to 1e-1" in str(found) or "exactly equal" in str(found)
    assert f" if {words}  [" in str(found)


# ---- pairs, noise and equal maps ---------------------------------------------------------------------------------

SMALL = Network.sequential(
    Conv2D(rng(12).normal(size=(2, 2, 2, 2)), [0.5, -0.25]),
    BatchNorm([1.5, -0.5], [0.25, 1.0], [0.5, -0.5], [2.0, 0.25]),
    ReLU(),
    Flatten(),
    Dense(rng(13).normal(size=(3, 8)), [0.5, -1.0, 0.25]),
)


def on_small(rule: Any, other: Any) -> Scene:
    made = other if callable(other) else lambda: explain(SMALL, S, rule=other)
    return Scene(SMALL, S, rule, made)


PAIRS: dict[tuple[str, str], Scene] = {
    # zennit's w-square on the first layer: the second convention has no effect without the first
    ("first-w-square", "w-square-bias"): on_small("epsilon-plus", but(PLUS, first, others.WSquareWithBias(1e-6))),
    ("batch-norm-fused", "seed-one"): on_small(
        "epsilon-plus", lambda: explain(lrpref.fuse(SMALL), S, rule="epsilon-plus", seed="one")
    ),
    ("alpha2-beta1", "over-largest"): on_features(
        "z-plus", lambda: over(explain(FEATURES, V, rule=AlphaBeta(2, 1)), lambda r: abs(r).max())
    ),
    ("weights-clamped", "channels-sum"): on_small(
        "epsilon-plus", lambda: explain(SMALL, S, rule=but(PLUS, Conv2D, others.WeightsClamped(False, 1e-6))).sum(1)
    ),
    ("alpha2-beta1", "alpha-beta-bias-ignored"): on_small(
        "epsilon-plus", but(PLUS, Conv2D, AlphaBeta(2, 1, bias="ignore", stabilizer=1e-6))
    ),
    ("gamma-generalised", "gamma-bias-as-it-is"): on_features(
        Gamma(0.5), weighted(others.GammaBiasAsItIs(0.5, generalised=True))
    ),
    ("stabilizer-1e-6", "stabilizer-unsigned"): Scene(
        FEATURES, V, Zero(), lambda: explain(FEATURES, V, LEAST, weighted(others.Unsigned(Epsilon(1e-6)))), LEAST
    ),
    ("bias-in-no-rule", "absolute"): on_features(
        "zero", lambda: abs(explain(FEATURES, V, rule=weighted(others.Biasless(Zero()))))
    ),
    ("target-runner-up", "negated"): on_features(
        "zero", lambda: -explain(FEATURES, V, runner_up(FEATURES, V), rule="zero")
    ),
    ("absolute", "over-sum"): on_features("epsilon", lambda: over(abs(explain(FEATURES, V, rule="epsilon")), np.sum)),
    ("absolute", "channels-last"): on_small(
        "epsilon", lambda: abs(explain(SMALL, S, rule="epsilon")).transpose(0, 2, 3, 1)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_pairs_are_named_and_nothing_else(names: tuple[str, str]) -> None:
    found = diagnose(PAIRS[names], tolerance=1e-10)
    assert [match.names for match in found.matches] == [names]
    assert found.tried[1] > 0
    assert " and " in str(found.matches[0])


def test_pairs_can_be_left_out() -> None:
    found = diagnose(PAIRS["alpha2-beta1", "over-largest"], groups=False)
    assert found.matches == ()
    assert found.tried[1] == 0
    assert not found.explained


def test_pairs_are_not_tried_where_one_is_enough() -> None:
    assert diagnose(SCENES["bias-in-no-rule"]).tried[1] == 0


@pytest.mark.slow
def test_nothing_explains_noise() -> None:
    found = explain_difference(SMALL, S, rng(20).normal(size=S.shape), "epsilon-plus")
    assert not found.equal
    assert found.matches == ()
    assert not found.explained
    assert found.tried[0] > 20
    assert found.tried[1] > 200
    assert "no known convention explains the difference" in str(found)


@pytest.mark.slow
def test_where_nothing_explains_it_the_closest_is_told() -> None:
    """A map near zennit's w-square: the closest match is named but not reported as equal."""
    R = PAIRS["first-w-square", "w-square-bias"].other()
    found = explain_difference(SMALL, S, R * (1 + 1e-3 * rng(21).normal(size=R.shape)), "epsilon-plus")
    assert found.matches == ()
    assert found.closest is not None
    assert found.closest.names == ("first-w-square", "w-square-bias")
    assert 1e-4 < found.closest.distance < 1e-2
    assert f"the closest: relative L2 {found.closest.distance:.3g} if the first layer uses" in str(found)


def test_a_map_that_is_equal_needs_no_convention() -> None:
    found = explain_difference(IMAGES, X, explain(IMAGES, X))
    assert found.equal
    assert found.distance == 0
    assert (found.matches, found.tried) == ((), (0, 0))
    assert "exactly equal as it is" in str(found)
    assert_array_equal(found.relevance, explain(IMAGES, X))


def test_equal_within_the_tolerance_and_nearer_still() -> None:
    """zennit's stabilizer against captum's: equal within the tolerance, yet the stabilizer is still identified."""
    R = explain(IMAGES, X, rule=EpsilonPlus(1e-9, 1e-9))
    found = explain_difference(IMAGES, X, R, "epsilon-plus", tolerance=1e-3)
    assert found.equal
    assert [match.names for match in found.matches] == [("stabilizer-1e-9",)]
    assert re.search(r"^equal to 1e-\d as it is\n.*equal.* if every stabilizer is 1e-9", str(found), re.M)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Zero(), Epsilon(0.25)),
        (Epsilon(1e-6), Epsilon(0.25)),
        (Epsilon(0.5), Epsilon(0.5)),
        (ZPlus(1e-6), ZPlus(0.25)),
        (AlphaBeta(2, 1, stabilizer=1e-9), AlphaBeta(2, 1, stabilizer=0.25)),
        (Flat(), Flat(0.25)),
        (Pass(), Pass()),
    ],
    ids=str,
)
def test_every_stabilizer_is_set(rule: Rule, expected: Rule) -> None:
    """An epsilon too large for a stabilizer is a choice, and stays."""
    assert choices._stabilized(0.25)(None, rule, None) == expected  # type: ignore[arg-type]


def test_what_is_hardly_nearer_is_not_told() -> None:
    """The map is equal as it is and only four times nearer to another stabilizer: not reported."""
    zennit, captum = (explain(IMAGES, X, rule=EpsilonPlus(epsilon, epsilon)) for epsilon in (1e-6, 1e-9))
    found = explain_difference(IMAGES, X, 0.2 * zennit + 0.8 * captum, "epsilon-plus")
    assert found.equal
    assert found.matches == ()
    assert found.closest is not None
    assert found.distance / 10 < found.closest.distance < found.distance


def test_the_rest_is_first_of_all_the_layers_of_the_same_type() -> None:
    """The first convolution takes the rule of the second, although a Dense layer comes in between."""
    n = rng(15).normal
    net = Network(
        [
            ("conv1", Conv2D(n(size=(2, 2, 2, 2)), n(size=2)), ["input"]),
            ("flat1", Flatten(), ["conv1"]),
            ("fc1", Dense(n(size=(3, 8)), n(size=3)), ["flat1"]),
            ("conv2", Conv2D(n(size=(3, 2, 2, 2)), n(size=3)), ["conv1"]),
            ("flat2", Flatten(), ["conv2"]),
            ("sum", Add(), ["fc1", "flat2"]),
        ]
    )
    found = explain_difference(net, S, explain(net, S, rule="epsilon-plus"), "epsilon-plus-flat")
    assert [match.names for match in found.matches] == [("first-like-the-rest",)]


@pytest.mark.slow
def test_the_tolerance_decides() -> None:
    R = explain(IMAGES, X, rule="epsilon-plus") * (1 + 1e-6)
    assert explain_difference(IMAGES, X, R, "epsilon-plus", tolerance=2e-6).equal
    assert not explain_difference(IMAGES, X, R, "epsilon-plus", tolerance=5e-7, groups=False).equal


def test_one_bad_sample_in_a_batch_is_a_difference() -> None:
    """Its relevance is a billionth of the other's, so only a per-sample comparison detects it."""
    net = Network.sequential(Dense([[1.0, 2.0]]))
    x = np.array([[1e9, 1e9], [1.0, 1.0]])
    R = explain(net, x, rule="zero")
    R[1] = R[1, ::-1]
    found = explain_difference(net, x, R, "zero", groups=False)
    assert found.comparison.relative_l2 < 1e-8
    assert not found.equal


def test_a_float32_map_is_recognised_to_its_own_rounding() -> None:
    scene = SCENES["weights-clamped"]
    found = explain_difference(scene.net, scene.x, scene.other().astype(np.float32), scene.rule)
    assert [match.names for match in found.matches] == [("weights-clamped",)]
    assert 1e-9 < found.matches[0].distance < 1e-6
    assert "equal to 1e-7 if alpha-beta clamps only the weights" in str(found)


def test_a_float32_network_is_compared_in_float64() -> None:
    net, x = FEATURES.astype(np.float32), V.astype(np.float32)
    R = explain(net.astype(np.float64), x.astype(np.float64), rule="zero")
    assert explain_difference(net, x, R, "zero").distance == 0
    assert explain_difference(net, x, explain(net, x, rule="zero"), "zero").equal


def test_exact_networks_stay_exact() -> None:
    """The comparison of an exact network reaches a distance of 0 and returns a float64 map."""
    net, x = lrpref.exact(Network.sequential(Dense([[1.0, -1.0]], [1.0]))), lrpref.exact([["1/3", "1/5"]])
    R = explain(net, x, rule=AlphaBeta(1, 0, bias="ignore"))
    found = explain_difference(net, x, R, "z-plus")
    assert ("alpha-beta-bias-ignored",) in [match.names for match in found.matches]
    assert found.matches[0].distance == 0
    assert found.relevance.dtype == np.float64


def test_a_network_without_parameters() -> None:
    net = Network.sequential(AvgPool2D(2), Flatten())
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4) - 3
    assert explain_difference(net, x, explain(net, x), groups=False).equal


def test_softmax_at_the_end_is_left_out_of_the_logits() -> None:
    nodes = [*FEATURES.nodes, ("softmax", Softmax(), [FEATURES.output])]
    R = explain(FEATURES, V, rule="zero", seed=FEATURES.forward(V))
    found = explain_difference(Network(nodes), V, R, "zero")
    assert [match.names for match in found.matches] == [("all-outputs",)]


def test_a_seed_array_stays_as_it_is() -> None:
    seed = rng(22).normal(size=(2, 3))
    R = explain(FEATURES, V, rule=weighted(others.Biasless(Zero())), seed=seed)
    found = explain_difference(FEATURES, V, R, "zero", seed=seed)
    assert [match.names for match in found.matches] == [("bias-in-no-rule",)]


def test_conventions_may_be_ones_own() -> None:
    mine = choices.Convention("twice", "scale", "somebody counts twice", "me", show=lambda R: 2 * R)
    found = explain_difference(FEATURES, V, 2 * explain(FEATURES, V), conventions=[mine])
    assert str(found.matches[0]) == "exactly equal if somebody counts twice  [me]"


@pytest.mark.parametrize(("groups", "expected"), [("ab", [("twice", "thrice")]), ("aa", [])])
def test_choices_of_one_group_exclude_each_other(groups: str, expected: list[tuple[str, ...]]) -> None:
    twice = choices.Convention("twice", groups[0], "it is doubled", "me", show=lambda R: 2 * R)
    thrice = choices.Convention("thrice", groups[1], "it is trebled", "me", show=lambda R: 3 * R)
    found = explain_difference(FEATURES, V, 6 * explain(FEATURES, V), conventions=[twice, thrice])
    assert [match.names for match in found.matches] == expected


def test_a_rule_of_ones_own_with_an_array() -> None:
    """A rule with an array can be neither hashed nor compared, yet it must work."""

    @dataclass(frozen=True)
    class Mine(Rule):
        factor: np.ndarray

        def flow(self, layer: Any, inputs: Any, R: Any) -> Any:
            return replace(Zero().flow(layer, inputs, R * self.factor), attributed=False)

    rule = Composite([(0, Zero()), (1, Mine(np.array([1.0, 2.0, 3.0])))])
    found = explain_difference(FEATURES, V, abs(explain(FEATURES, V, rule=rule)), rule)
    assert [match.names for match in found.matches] == [("absolute",)]


def test_nothing_is_changed() -> None:
    before = {name: array.copy() for name, array in SMALL.parameters.items()}
    x, R = S.copy(), explain(SMALL, S)
    explain_difference(SMALL, S, -R, "epsilon-plus", groups=False)
    assert_array_equal(S, x)
    assert all(np.array_equal(array, before[name]) for name, array in SMALL.parameters.items())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"R_other": np.ones((2, 3))}, ShapeError, r"shape \(2, 3\), but maps of this input have shape \(2, 5\)"),
        ({"R_other": np.full((2, 5), np.nan)}, InputError, "the other map holds 10 NaN"),
        ({"R_other": np.full((2, 5), 1j)}, Exception, "complex128"),
        ({"rule": "epsilom"}, UnknownNameError, "did you mean 'epsilon'"),
        ({"rule": 3}, RuleError, "expected a rule"),
        ({"target": 3}, TargetError, "out of range"),
        ({"x": np.ones((2, 4))}, ShapeError, "dense1"),
        ({"tolerance": -1.0}, ParameterError, "tolerance"),
        ({"tolerance": float("nan")}, ParameterError, "tolerance"),
    ],
)
def test_mistakes_are_told(change: dict[str, Any], error: type[Exception], message: str) -> None:
    asked = {"net": FEATURES, "x": V, "R_other": np.ones((2, 5)), "rule": "zero"} | change
    with pytest.raises(error, match=message):
        explain_difference(**asked)


def test_conventions_that_cannot_be_applied_are_passed_over() -> None:
    """Relative LRP rejects BatchNorm: an error for the caller's own network, but not once it is fused."""
    net = lrpref.fuse(SMALL)
    found = explain_difference(net, S, -explain(net, S, rule="relative"), "relative")
    assert [match.names for match in found.matches] == [("negated",)]
    with pytest.raises(RuleError, match="fuse"):
        explain_difference(SMALL, S, S, "relative")


# ---- rules of other libraries, on cases from their issue trackers ------------------------------------------------


def one_neuron(w: list[float], b: float | None, x: list[float], R: float, rule: Rule) -> np.ndarray:
    return Dense([w], None if b is None else [b]).relevance(np.array([x]), np.array([[R]]), rule)[0]


@pytest.mark.parametrize(
    ("w", "b", "x", "R", "rule", "expected"),
    [
        # meta-pytorch/captum#1234, and captum with a negative bias
        ([1, -2, 2], None, [1, -1, -1], 1, others.WeightsClamped(), [-1, 0, 2]),
        ([1, -0.1], -0.5, [1, 1], 0.4, others.WeightsClamped(), [0.8, 0]),
        ([1, -1], -1, [1, 1], -1, others.WeightsClamped(stabilizer=1e-9), [-1e9, 0]),
        ([1, -0.1], -0.5, [1, 1], 0.4, others.WeightsClamped(clamp_bias=True), [0.4, 0]),
        # albermax/innvestigate#273, for alpha 1 and alpha 2
        ([1, -1], -1, [1, 1], -1, others.BiasInBothParts(1, 0, 1e-7), [-1e7, 0]),
        ([1, -1], -1, [1, 1], -1, others.BiasInBothParts(2, 1, 1e-7), [-2e7, 0.5]),
        # the same with innsight's default: parts 1 and -1 - 1 = -2
        ([1, -1], -1, [1, 1], -1, others.MixedParts(), [-0.5, -0.25]),
        ([1, -1], None, [1, -1], 1, others.EachPartInFull(), [1, 1]),
        # gamma: captum leaves the bias unchanged; TorchLRP multiplies twice
        ([1, -0.5], 0.5, [1, 1], 1, others.GammaBiasAsItIs(1.0), [1, -0.25]),
        ([2, -1], None, [1, 1], 1, others.GammaTwice(0.1), [2.4 / 1.4, -1 / 1.4]),
        # w-square and flat with a bias: 1 + 4 + 9 = 14, 1 + 1 + 1 = 3
        ([1, 2], 3, [1, 1], 1, others.WSquareWithBias(), [1 / 14, 4 / 14]),
        ([1, 2], 3, [5, 5], 1, others.FlatWithBias(), [1 / 3, 1 / 3]),
        # z = -2, epsilon = 1: -2 + 1 = -1, not -3
        ([-2], None, [1], 1, others.Unsigned(Epsilon(1.0)), [2]),
        ([1, 1], 2, [1, 1], 4, others.Biasless(Zero()), [2, 2]),
        ([3], 1, [2], 5, others.Gradient(), [15]),
        # z = 0: gamma loses it, epsilon has the other sign
        ([1, -1], None, [1, 1], 1, others.GammaZeroLost(0.25), [0, 0]),
        ([1, -1], None, [1, 1], 1, others.NegativeAtZero(Epsilon(0.1)), [-10, 10]),
        # autoLRP: |z| / (|z| + |b|) is 2/4 and 3/4; by Bach et al., alpha-beta gives 1/4 and epsilon 1/2 and 1
        ([1, 1], 2, [1, 1], 1, others.BiasByMagnitude(AlphaBeta(1, 0)), [0.25, 0.25]),
        ([1, 2], -1, [1, 1], 1, others.BiasByMagnitude(Zero()), [0.25, 0.5]),
        ([1, -1], -1, [1, 1], -1, others.BiasByMagnitude(AlphaBeta(1, 0)), [0, 0]),
        # DynamicLRP: z-plus of a convolution divides by z = 2 - 1; gamma at z = 0 by 1 - 5/4; 2 and 6 are halved
        ([2, -1], None, [1, 1], 1, others.NumeratorClamped(), [2, 0]),
        ([2, -1, 3, -2], None, [1, -1, -1, 2], 1, others.NumeratorClamped(), [-0.5, 0, 0.75, 0]),
        ([1, -1], None, [1, 1], 1, others.GammaZeroNegative(0.25), [-4, 5]),
        ([1, -1], None, [1, 1], 1, others.GammaZeroNegative(0.25, generalised=True), [-4, 5]),
        ([1, -2], None, [1, 1], 1, others.GammaZeroNegative(0.25, generalised=True), [-2 / 3, 5 / 3]),
        ([2, -1], None, [1, 1], 1, others.GammaZeroNegative(0.25), [5 / 3, -2 / 3]),
        ([1, 3], None, [1, 1], 8, others.WeightsShare(Zero()), [1, 3]),
        ([1, 3], None, [5, 7], 4, others.FlatWithWeights(), [1, 3]),
    ],
)
def test_other_peoples_rules_by_hand(
    w: list[float], b: float | None, x: list[float], R: float, rule: Rule, expected: list[float]
) -> None:
    assert_allclose(one_neuron(w, b, x, R, rule), expected, rtol=1e-7, atol=1e-12)


def test_a_plus_hands_everything_to_both() -> None:
    a = np.array([[1.0, 2.0]])
    for R in Add().relevance((a, 3 * a), np.array([[1.0, -1.0]]), others.ToEvery()):
        assert_array_equal(R, [[1.0, -1.0]])


def test_relevance_through_the_block() -> None:
    """All of it past an identity skip, on either side; by magnitude where the skip has a projection."""
    a, double, triple = np.array([[1.0]]), Dense([[2.0]]), Dense([[-3.0]])
    nodes = [("in", ReLU(), ["input"]), ("block", double, ["in"]), ("more", ReLU(), ["block"])]
    projected = [("other", triple, ["in"]), ("sum", Add(), ["more", "other"])]
    raw = [("block", double, ["input"]), ("sum", Add(), ["input", "block"])]
    found = []
    for graph in (
        [*nodes, ("sum", Add(), ["more", "in"])], [*nodes, ("sum", Add(), ["in", "more"])], raw, [*nodes, *projected]
    ):  # fmt: skip
        net = Network(graph)
        place = next(p for p in places(net) if p.name == "sum")
        rule = choices.through_the_block(place, Epsilon(0), choices.Case(net, a, ()))
        at = net.activations(a)
        R = net["sum"].relevance(tuple(at[i] for i in net.node("sum").inputs), np.array([[5.0]]), rule)
        found.append([float(part[0, 0]) for part in R])
    assert found == [[5, 0], [0, 5], [0, 5], [2, 3]]


def test_a_product_by_magnitude() -> None:
    """The factors 1 and -3 of 8: 2 and 6; a gate of one cell sums its shares; of 0 and 0, nothing."""
    a, gate = lrpref.exact([[1, 0]]), lrpref.exact([[-3, 0]])
    R, both = lrpref.exact([[8, 5]]), others.MultiplyByMagnitude()
    first, second = both.relevance((a, gate), R, None)
    assert (first.tolist(), second.tolist()) == ([[2, 0]], [[6, 0]])
    assert books(both, (a, gate), R, None)["dropped"].tolist() == [5]
    shared = both.relevance((lrpref.exact([[1, 3]]), lrpref.exact([[3]])), lrpref.exact([[8, 4]]), None)
    assert [part.tolist() for part in shared] == [[[2, 2]], [[8]]]


def test_flat_with_padding_loses_the_share_of_the_padding() -> None:
    """A 3 x 3 kernel on a padded 3 x 3 image: of 9 cells per window, 4 are image at a corner, 6 at an edge."""
    layer = Conv2D(np.ones((1, 1, 3, 3)), padding=1)
    R = layer.relevance(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), others.FlatWithPadding())
    assert_allclose(R.sum(), (4 * 4 + 4 * 6 + 9) / 9)
    assert_allclose(R[0, 0, 1, 1], 9 / 9)


def test_an_averaged_max_pool_is_a_max_pool_forward() -> None:
    pool = others.AveragedMaxPool(2, count_include_pad=False)
    assert_array_equal(pool.forward(TIED), MaxPool2D(2).forward(TIED))
    R = pool.relevance(np.array([[[[1.0, 3.0], [0.0, 0.0]]]]), np.array([[[[4.0]]]]), Zero())
    assert_allclose(R, [[[[1.0, 3.0], [0.0, 0.0]]]])


@pytest.mark.parametrize("kind", [k for k in vars(others).values() if isinstance(k, type) and issubclass(k, Rule)])
def test_other_peoples_rules_are_no_rules_of_lrpref(kind: type[Rule]) -> None:
    assert kind not in lrpref.rules.RULES.values() or kind.__module__ != others.__name__
    if kind.__module__ == others.__name__:
        assert kind.name not in lrpref.rules.RULES
        assert re.search(
            r"captum|zennit|LXT|iNNvestigate|innsight|TorchLRP|autoLRP|DynamicLRP|interprettensor|Explainability|LRP-for-ResNet",
            kind.__doc__,
        )


def fractions(seed: int, *shape: int) -> np.ndarray:
    """Return random fractions of both signs, including zeros."""
    return lrpref.exact(rng(seed).integers(-3, 4, size=shape)) / 4


RULES_OF_OTHERS: list[Rule] = [
    others.WeightsClamped(),
    others.WeightsClamped(clamp_bias=True, stabilizer=0.25),
    others.EachPartInFull(),
    others.EachPartInFull(0.25),
    others.BiasInBothParts(2, 1, 0.25),
    others.MixedParts(0.75),
    others.GammaBiasAsItIs(0.5),
    others.GammaBiasAsItIs(0.5, generalised=True, stabilizer=0.25),
    others.GammaTwice(0.5),
    others.WSquareWithBias(0.25),
    others.FlatWithBias(),
    others.FlatWithPadding(),
    others.FlatWithPadding(0.25),
    others.ToEvery(),
    others.OneBranch(1),
    others.Gradient(),
    others.Unsigned(Epsilon(0.5)),
    others.Unsigned(others.EachPartInFull(0.25)),
    others.Biasless(Zero()),
    others.BiasByMagnitude(Zero()),
    others.BiasByMagnitude(AlphaBeta(2, 1, stabilizer=0.25)),
    others.GammaZeroLost(0.5),
    others.GammaZeroLost(0.5, generalised=True, stabilizer=0.25),
    others.GammaZeroNegative(0.5),
    others.GammaZeroNegative(0.5, generalised=True, stabilizer=0.25),
    others.NumeratorClamped(0.25),
    others.WeightsShare(Zero()),
    others.WeightsShare(Epsilon(0.25)),
    others.FlatWithWeights(0.25),
    others.EpsilonOfSum(0.5),
    others.MeanSubtracted(Zero()),
    others.WholeGradient(0.25),
    others.NegativeAtZero(Epsilon(0.25)),
    others.WithInputs(Zero(), (fractions(39, 3, 5),)),
]


def books(layer: Any, inputs: tuple[np.ndarray, ...], R: np.ndarray, rule: Rule | None) -> dict[str, np.ndarray]:
    """Return the ledger columns and the residual of one layer."""
    flow = layer.flow(inputs, R, rule)
    assert flow.attributed
    entry = Entry.of("node", layer, str(rule), R, flow)
    return {**entry.columns, "residual": Ledger([entry]).residual()[0]}


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES_OF_OTHERS if not isinstance(rule, others.MeanSubtracted)], ids=str
)
def test_the_books_of_other_peoples_rules_close_exactly(rule: Rule) -> None:
    cases: list[tuple[Any, tuple[np.ndarray, ...]]] = [(Add(), (fractions(31, 2, 5), fractions(32, 2, 5)))]
    if isinstance(rule, others.WholeGradient):
        cases = [(LayerNorm(2, fractions(46, 2), fractions(47, 2), eps=0), (lrpref.exact([[1, 3], [8, 4]]),))]
    elif isinstance(rule, others.WithInputs):
        cases = [(Dense(fractions(33, 4, 5)), rule.inputs)]
    elif not isinstance(rule, others.ToEvery | others.OneBranch):
        dense = Dense(fractions(33, 4, 5), fractions(34, 4))
        conv = Conv2D(fractions(35, 4, 2, 2, 2), fractions(36, 4), padding=(0, 1, 2, 1), stride=2)
        scale = lrpref.layers.Scale(fractions(37, 5), fractions(38, 5))
        cases += [(layer, (fractions(39, 3, 5),)) for layer in (dense, scale)] + [(conv, (fractions(40, 2, 2, 4, 4),))]
    for layer, inputs in cases:
        shape = layer.output_shape(*(a.shape for a in inputs))
        found = books(layer, inputs, fractions(41, *shape), rule)
        assert (found["residual"] == 0).all(), layer


@pytest.mark.parametrize(
    "inner", [Zero(), Epsilon(0.25), AlphaBeta(2, 1, stabilizer=0.25), Gamma(0.5), Flat(0.25), WSquare()], ids=str
)
def test_the_books_of_a_batch_norm_whose_mean_is_subtracted(inner: Rule) -> None:
    """The root in BatchNorm is not rational, so the books close up to rounding; epsilon is that of the plain layer."""
    n, R = rng(42).normal, rng(43).normal(size=(3, 5))
    norm, a = BatchNorm(n(size=5), n(size=5), n(size=5), n(size=5) ** 2 + 0.5), n(size=(3, 5))
    found = books(norm, (a,), R, others.MeanSubtracted(inner))
    assert_allclose(found["residual"], 0, atol=1e-12 * abs(found["in"]).max())
    if isinstance(inner, Zero | Epsilon):
        assert_allclose(norm.relevance(a, R, others.MeanSubtracted(inner)), norm.relevance(a, R, inner), rtol=1e-12)


def test_the_whole_gradient_of_a_norm_is_its_derivative() -> None:
    """Against central differences of the forward pass, with 1e-9 for h^2 times the third derivative."""
    n, h = rng(44).normal, 1e-5
    for layer in (LayerNorm(5, n(size=5), n(size=5)), RMSNorm(5, n(size=5)), GroupNorm(2, n(size=4), n(size=4))):
        a = n(size=(1, 4) if isinstance(layer, GroupNorm) else (1, 5))
        z, R = layer.forward(a), n(size=a.shape)
        steps = h * np.eye(a.size)
        slopes = (layer.forward(a + steps) - layer.forward(a - steps)) / (2 * h)  # row i: dz_j / da_i
        expected = a * (slopes @ (R / (z + 0.5 * np.where(z >= 0, 1, -1))).T).T
        assert_allclose(layer.relevance(a, R, others.WholeGradient(0.5)), expected, atol=1e-8)


def test_every_rule_of_others_is_among_them() -> None:
    defined = {k for k in vars(others).values() if isinstance(k, type) and k.__module__ == others.__name__}
    assert {type(rule) for rule in RULES_OF_OTHERS} == {k for k in defined if issubclass(k, Rule)}


@pytest.mark.slow
def test_each_part_in_full_by_its_old_formula() -> None:
    """Each part receives all of R over its own sum: equal on fractions, and up to rounding in float64."""

    def divided(R: np.ndarray, z: np.ndarray, epsilon: Any) -> np.ndarray:
        z = np.where(z >= 0, z + epsilon, z - epsilon)
        return np.where(z == 0, 0 * R, R / np.where(z == 0, 1 + 0 * z, z))

    def formula(w: np.ndarray, a: np.ndarray, R: np.ndarray, epsilon: Any) -> np.ndarray:
        parts = [
            (np.where(a > 0, a, 0 * a), np.where(w > 0, w, 0 * w)),
            (np.where(a < 0, a, 0 * a), np.where(w < 0, w, 0 * w)),
        ]
        return sum(a_part * (divided(R, a_part @ w_part.T, epsilon) @ w_part) for a_part, w_part in parts)

    for seed in range(20):
        w, a, R = fractions(seed, 4, 5), fractions(seed + 100, 3, 5), fractions(seed + 200, 3, 4)
        for epsilon in (0.0, 0.25):
            rule, quarter = others.EachPartInFull(epsilon), lrpref.exact([epsilon])[0]
            found = Dense(w, fractions(seed, 4)).relevance(a, R, rule)
            assert (found == formula(w, a, R, quarter)).all()
        w, a, R = (rng(seed).normal(size=x.shape) for x in (w, a, R))
        for epsilon in (0.0, 1e-6):
            assert_allclose(
                Dense(w).relevance(a, R, others.EachPartInFull(epsilon)), formula(w, a, R, epsilon), rtol=1e-12
            )


def test_where_the_relevance_of_other_peoples_rules_went() -> None:
    """R = 6: doubled by two parts, half dropped if one part is empty; padding, addition, gradient and gate."""
    six, ones = np.array([[6.0]]), np.ones((1, 2))
    both = books(Dense([[1.0, -1.0]]), (np.array([[1.0, -1.0]]),), six, others.EachPartInFull())
    assert (both["in"], both["factor"], both["dropped"]) == (12, -6, 0)
    empty = books(Dense([[1.0, 1.0]]), (ones,), six, others.EachPartInFull())
    assert (empty["in"], empty["factor"], empty["dropped"]) == (6, -3, 3)
    corner = books(Conv2D(np.ones((1, 1, 1, 3)), padding=(0, 0, 1, 0)), (np.ones((1, 1, 1, 2)),), six[:, :, None, None],
                   others.FlatWithPadding())  # fmt: skip
    assert (corner["in"], corner["bias"]) == (4, 2)
    plus = books(Add(), (ones, ones), 3 * ones, others.ToEvery())
    assert (plus["in"], plus["factor"]) == (12, -6)
    gradient = books(Dense([[2.0, 3.0]], [1.0]), (ones,), six, others.Gradient())
    assert (gradient["in"], gradient["factor"]) == (30, -24)
    gate = books(others.GatedReLU(), (np.array([[1.0, -1.0]]),), 3 * ones, None)
    assert (gate["in"], gate["factor"]) == (3, 3)


# ---- the command line --------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = cli.main(["compare", *arguments])
        except SystemExit as stop:  # raised by argparse
            code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def digit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save heatmaps of the digit four as files."""
    net, x = lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4")
    R = explain(net, x, rule="epsilon-plus")
    maps = {
        "equal": R,
        "absolute": abs(R),
        "flat": explain(net, x, rule="epsilon-plus-flat"),
        "noise": rng(1).normal(size=R.shape),
        "two": np.concatenate([R, R]),
        "one": explain(net, x, 9, "epsilon-plus", 1.0),
        "map": R[0, 0],
        "nan": np.full(R.shape, np.nan),
        "text": np.array(["a"]),
    }
    folder = tmp_path_factory.mktemp("maps")
    for name, array in maps.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "broken.npy").write_bytes(b"no array")
    bn = explain(lrpref.fuse(lrpref.load("mnist-cnn-bn")), x, rule="epsilon-plus")
    np.save(folder / "fused.npy", bn)
    return {path.stem: path for path in folder.iterdir()} | {"absent": folder / "absent.npy"}


def compare_digit(digit: dict[str, Path], name: str, *more: str) -> tuple[int, str, str]:
    return run("mnist-cnn", "digit-4", "--against", str(digit[name]), "--rule", "epsilon-plus", *more)


@pytest.mark.parametrize("name", ["equal", pytest.param("map", marks=pytest.mark.slow)])
def test_exit_0_where_equal(digit: dict[str, Path], name: str) -> None:
    code, out, err = compare_digit(digit, name)
    assert (code, err) == (0, "")
    assert re.search(r"^equal to 1e-\d as it is$", out, re.M)


@pytest.mark.slow
def test_exit_1_where_a_convention_explains_it(digit: dict[str, Path]) -> None:
    code, out, _ = compare_digit(digit, "flat")
    assert code == 1
    assert "if the first layer uses the flat rule  [zennit's composites `...Flat`]" in out
    assert "relative L2" in out
    assert "they differ most at" in out


@pytest.mark.slow
def test_exit_1_where_nothing_does(digit: dict[str, Path]) -> None:
    code, out, _ = compare_digit(digit, "noise", "--no-groups")
    assert code == 1
    assert re.search(r"no known convention explains the difference \(tried: \d\d conventions, 0 groups of them\)", out)


@pytest.mark.slow
def test_the_tolerance_on_the_command_line(digit: dict[str, Path]) -> None:
    assert compare_digit(digit, "equal", "--tolerance", "1e-12", "--no-groups")[0] == 1
    assert compare_digit(digit, "absolute", "--tolerance", "10")[0] == 0


@pytest.mark.slow
def test_target_and_seed_on_the_command_line(digit: dict[str, Path]) -> None:
    assert compare_digit(digit, "one", "--target", "9", "--seed", "1")[0] == 0
    assert compare_digit(digit, "one", "--target", "9", "--no-groups")[0] == 1


@pytest.mark.slow
def test_fuse_on_the_command_line(digit: dict[str, Path]) -> None:
    asked = ["mnist-cnn-bn", "digit-4", "--against", str(digit["fused"]), "--rule", "epsilon-plus"]
    code, out, _ = run(*asked, "--fuse")
    assert code == 0
    assert "fused 3 of 3 BatchNorm layers" in out
    code, out, _ = run(*asked)
    assert code == 1
    assert "if BatchNorm is folded into its neighbours first" in out


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("absent", [], "absent.npy"),
        ("broken", [], "broken.npy is not a readable .npy file"),
        ("text", [], "dtype <U1"),
        ("nan", [], "the other map holds 784 NaN"),
        ("two", [], r"shape (2, 1, 28, 28), but maps of this input have shape (1, 1, 28, 28)"),
        ("equal", ["--rule", "zplus"], "did you mean 'z-plus'?"),
        ("equal", ["--target", "10"], "out of range"),
        ("equal", ["--seed", "lots"], "seed must be"),
        ("equal", ["--tolerance", "-1"], "tolerance must be a finite number >= 0"),
    ],
)
def test_exit_2_for_mistakes_in_one_line(digit: dict[str, Path], name: str, more: list[str], message: str) -> None:
    code, _, err = compare_digit(digit, name, *more)
    assert code == 2
    assert message in err
    assert err.startswith("lrpref: ")
    assert err.count("\n") == 1


def test_exit_2_without_against() -> None:
    code, _, err = run("mnist-cnn", "digit-4")
    assert code == 2
    assert "--against" in err


def explained(tmp_path: Path, *more: str) -> Path:
    """A map that `lrpref explain` has written."""
    path = tmp_path / "mine.npy"
    with redirect_stdout(StringIO()):
        assert cli.main(["explain", "mnist-cnn-bn", "digit-4", "--out", str(path), *more]) == 0
    return path


def test_the_signature_beside_a_map_is_read_and_checked(tmp_path: Path) -> None:
    path = explained(tmp_path, "--rule", "epsilon-plus", "--seed", "one")
    code, out, _ = run("mnist-cnn-bn", "digit-4", "--against", str(path), "--fuse", "--no-groups")
    assert code == 1
    assert "its signature: lrpref:0.2.0|epsilon-plus|seed:one|bn:fused|form:plain|cases:1.4\n" in out
    assert "compared with: lrpref:0.2.0|epsilon-plus-flat|seed:logit|bn:fused|form:direct|cases:1.4\n" in out
    told = "epsilon-plus there, epsilon-plus-flat here (rule); one there, logit here (seed); plain there, direct here"
    assert f"the signatures differ: {told} (form)\n" in out
    assert re.search(r"^the map is what its signature says: equal to 1e-\d+$", out, re.M)


@pytest.mark.slow
def test_a_map_that_is_not_what_its_signature_says(tmp_path: Path) -> None:
    path = explained(tmp_path, "--rule", "epsilon-plus")
    signature = "lrpref:0.2.0|epsilon|seed:logit|bn:fused|form:plain|cases:1.4"
    asked = ("mnist-cnn-bn", "digit-4", "--against", str(path), "--no-groups", "--signature")
    assert "the map is NOT what its signature says: relative L2 " in run(*asked, signature)[1]
    out = run(*asked, signature.replace("fused", "none"))[1]
    assert "was not checked: the signature says that the network has no BatchNorm, but this one has some" in out
    assert "only names own.Mine" in run(*asked, signature.replace("epsilon", "own.Mine"))[1]
    assert "only array(1,10)#0123456789ab" in run(*asked, signature.replace("logit", "array(1,10)#0123456789ab"))[1]
    code, _, err = run(*asked, signature[:-3])
    assert (code, err.count("\n")) == (2, 1)
    assert "not a signature: " in err


def test_the_file_beside_a_map_is_checked(tmp_path: Path) -> None:
    path = explained(tmp_path)
    asked = ("mnist-cnn-bn", "digit-4", "--against", str(path), "--fuse", "--no-groups")
    about = path.with_name("mine.npy.json")
    told = json.loads(about.read_text(encoding="utf-8"))
    assert (told["network"], told["input"], told["target"]) == ("mnist-cnn-bn", "digit-4", 4)
    for changed, message in (
        (json.dumps({**told, "signature": "lrpref:0.2.0|zero"}), "mine.npy.json: not a signature: its last part"),
        (json.dumps({**told, "signature": None}), "mine.npy.json: not a signature: expected a string"),
        (json.dumps({**told, "sha256": "0"}), "describes another map"),
        ("{", "mine.npy.json is damaged"),
    ):
        about.write_text(changed, encoding="utf-8")
        code, _, err = run(*asked)
        assert code == 2
        assert message in err
    about.write_text(json.dumps({"signature": "mine"}), encoding="utf-8")  # of another program
    code, out, _ = run(*asked)
    assert (code, "signature" in out) == (0, False)


# ---- table, page and imports -------------------------------------------------------------------------------------


def test_the_table_is_fit_to_print() -> None:
    names = [convention.name for convention in CONVENTIONS]
    assert len(set(names)) == len(names)
    for convention in CONVENTIONS:
        assert re.fullmatch(r"[a-z0-9-]+", convention.name)
        assert convention.words[0].islower() or convention.words.startswith("BatchNorm")
        assert not convention.words.endswith(".")
        assert convention.source
        changes = [convention.network, convention.rule, convention.start, convention.show]
        assert sum(change is not None for change in changes) == 1
    assert choices.table().count("\n") == len(CONVENTIONS) + 1


def test_what_changes_the_map_comes_after_what_changes_the_explanation() -> None:
    """Pairs are then applied in the order of computation: explanation first, display last."""
    kinds = [next(i for i, f in enumerate((c.network, c.rule, c.start, c.show)) if f is not None) for c in CONVENTIONS]
    assert kinds == sorted(kinds)


def test_the_page_holds_the_table() -> None:
    assert choices.table() in PAGE.read_text(encoding="utf-8"), (
        "docs/compare.md is not up to date; print(lrpref.differences.choices.table()) is the table"
    )


def test_the_names_are_public() -> None:
    for name in ("compare", "crosscheck", "explain_difference", "from_torch"):
        assert name in lrpref.__all__
        assert callable(getattr(lrpref, name))
    assert isinstance(lrpref.compare(V, V), Comparison)


def on_adapters_page() -> list[tuple[str, str, str]]:
    """Return the rows of the last table of the page: library, what the adapters' page says, and the convention."""
    table = PAGE.read_text(encoding="utf-8").partition("## The conventions of the adapters' page")[2]
    return re.findall(r"^\| (\w+) \| (.+?) \| (.+) \|$", table, re.M)[1:]


def test_every_convention_of_the_adapters_page_is_in_the_table() -> None:
    """Each heading of a convention there has a row on this page; each row names a convention of the table, or why not.

    The differences there have rows too: at least one for each library that differs.
    """
    names = {convention.name for convention in CONVENTIONS}
    rows: dict[str, dict[str, str]] = {}
    for library, title, where in on_adapters_page():
        rows.setdefault(library, {})[title] = where
        assert where.startswith("none: ") or re.match(r"`([\w-]+)`", where)[1] in names, where  # type: ignore[index]
    sections = re.split(r"^## ", PAGE.with_name("adapters.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    told = {section.split(maxsplit=1)[0].rstrip(",").removesuffix(" 1.0.0"): section for section in sections}
    assert set(rows) <= set(told)
    for library, section in told.items():
        conventions = section.partition("### Convention\n")[2].partition("\n### ")[0]
        titles = {title.rstrip(".") for title in re.findall(r"^- \*\*(.+?)\*\*", conventions, re.M)}
        assert titles == {title for title in rows.get(library, {}) if not title.startswith("Differs: ")}
        differs = "### Differs\n" in section
        assert differs == any(title.startswith("Differs: ") for title in rows.get(library, {}))


def test_every_adapter_has_rows_on_the_page() -> None:
    assert {library.lower() for library, _, _ in on_adapters_page()} == set(known_adapters()) - {"lrpref"}


# ---- groups ------------------------------------------------------------------------------------------------------


def under(net: Network, x: np.ndarray, rule: Any, *names: str) -> np.ndarray:
    """lrpref's map under some conventions."""
    R = Bench(net, x, rule, None, "logit").map(tuple(c for c in CONVENTIONS if c.name in names))
    assert R is not None
    return R


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ("batch-norm-fused", "alpha2-beta1", "alpha-beta-bias-ignored"),
        ("batch-norm-epsilon", "first-w-square", "w-square-bias", "over-largest"),
        ("alpha2-beta1", "seed-one", "channels-sum", "absolute"),
    ],
    ids="+".join,
)
def test_groups_of_three_and_four_are_named(names: tuple[str, ...]) -> None:
    found = explain_difference(SMALL, S, under(SMALL, S, "epsilon-plus", *names), "epsilon-plus", tolerance=1e-10)
    assert [match.names for match in found.matches] == [names]


def test_a_group_holds_nothing_needless() -> None:
    """Three conventions, one of which the others make irrelevant: only two are named."""
    R = under(FEATURES, V, "z-plus", "alpha2-beta1", "seed-one", "over-largest")
    found = explain_difference(FEATURES, V, R, "z-plus", tolerance=1e-10)
    assert [match.names for match in found.matches] == [("alpha2-beta1", "over-largest")]


def test_what_a_part_explains_is_needless() -> None:
    """(a, b) is as near as (a, b, c), and more than a digit nearer than (a); (d) has nothing to do with them."""
    named = {name: choices.Convention(name, name, name, "me", show=abs) for name in "abcd"}
    found = [
        Match(tuple(named[name] for name in names), distance)
        for names, distance in (("ab", 2e-9), ("abc", 1e-9), ("a", 3e-8), ("d", 1e-9))
    ]
    assert ["".join(match.names) for match in minimal(found)] == ["ab", "a", "d"]
    assert ["".join(match.names) for match in minimal(found[1:])] == ["abc", "a", "d"]
    assert "".join(simplest([found[1], found[0]]).names) == "abc"
    assert "".join(simplest([found[1], replace(found[0], distance=1.05e-9)]).names) == "ab"


def test_fewer_groups_than_pairs_are_tried() -> None:
    found = diagnose(PAIRS["alpha2-beta1", "alpha-beta-bias-ignored"], tolerance=1e-10)
    assert found.tried[1] < found.tried[0] * (found.tried[0] - 1) / 2


def test_the_distance_in_shape_by_hand() -> None:
    """(3, 4) and (4, 3): the cosine is 24/25, so the sine is 7/25; a sample that is zero is near to all."""
    assert shape_distance(np.array([[3.0, 4.0]]), np.array([[8.0, 6.0]])) == pytest.approx(7 / 25)
    assert shape_distance(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 5.0]])) == pytest.approx(0.5)
    assert shape_distance(np.array([[0.0, 0.0]]), np.array([[1.0, 2.0]])) == 0
    assert shape_distance(np.array([[1e200, 1e200]]), np.array([[1e-200, 1e-200]])) == pytest.approx(0)
    assert shape_distance(V, V[:, :2]) == shape_distance(V, np.full(V.shape, np.nan)) == float("inf")
