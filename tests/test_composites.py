"""Composites: selectors, precedence, presets and printing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

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
    MaxPool2D,
    Network,
    Pad2D,
    ReLU,
    Scale,
)
from lrpref.composites import (
    PRESETS,
    Composite,
    EpsilonAlpha2Beta1,
    EpsilonAlpha2Beta1Flat,
    EpsilonGammaBox,
    EpsilonPlus,
    EpsilonPlusFlat,
    Place,
    first,
    places,
    resolve,
)
from lrpref.errors import ParameterError, RuleError, UnknownNameError
from lrpref.layers import Convolution, LinearLayer, WeightedLayer
from lrpref.rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus


def conv(out: int = 2, channels: int = 2) -> Conv2D:
    return Conv2D(np.ones((out, channels, 1, 1)))


def batchnorm() -> BatchNorm:
    return BatchNorm(None, None, np.zeros(2), np.ones(2))


def resnet() -> Network:
    """A stem, a block with a skip, a pool and a head: every kind of linear layer."""
    return Network(
        [
            ("stem.conv", conv(), ["input"]),
            ("stem.bn", batchnorm(), ["stem.conv"]),
            ("stem.relu", ReLU(), ["stem.bn"]),
            ("block1.conv1", conv(), ["stem.relu"]),
            ("block1.scale", Scale(np.ones(2)), ["block1.conv1"]),
            ("block1.conv2", conv(), ["block1.scale"]),
            ("block1.sum", Add(), ["block1.conv2", "stem.relu"]),
            ("pool", AvgPool2D(2), ["block1.sum"]),
            ("mean", GlobalAvgPool2D(), ["pool"]),
            ("flatten", Flatten(), ["mean"]),
            ("fc1", Dense([[1.0, 2.0], [1.0, 3.0]]), ["flatten"]),
            ("fc2", Dense(np.ones((2, 2))), ["fc1"]),
        ]
    )


def assigned(net: Network, *pairs: tuple[Any, Rule]) -> dict[str, str]:
    """Node -> name of its rule; weighted layers that no pair matches get w-square."""
    return {name: rule.name for name, rule in Composite([*pairs, (WeightedLayer, WSquare())]).assign(net).items()}


def matched(net: Network, selector: Any) -> set[str]:
    """The nodes that a selector matches."""
    return {name for name, rule in assigned(net, (selector, Zero())).items() if rule == "zero"}


# ---- selectors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("fc1", {"fc1"}),
        ("block1.*", {"block1.conv1", "block1.scale", "block1.conv2", "block1.sum"}),
        ("*.conv?", {"block1.conv1", "block1.conv2"}),
        ("fc[12]", {"fc1", "fc2"}),
        (Dense, {"fc1", "fc2"}),
        ((Dense, Add), {"fc1", "fc2", "block1.sum"}),
        (WeightedLayer, {"stem.conv", "block1.conv1", "block1.conv2", "fc1", "fc2"}),
        (0, {"stem.conv"}),
        (2, {"block1.conv2"}),
        (-1, {"fc2"}),
        (-5, {"stem.conv"}),
        (first, {"stem.conv"}),
        (lambda place: place.position is not None and place.position >= 3, {"fc1", "fc2"}),
        (lambda place: place.name.endswith("bn"), {"stem.bn"}),
    ],
)
def test_what_a_selector_matches(selector: Any, expected: set[str]) -> None:
    assert matched(resnet(), selector) == expected


def test_names_are_case_sensitive_and_whole() -> None:
    for name in ("FC1", "fc", "conv1"):
        with pytest.raises(
            RuleError, match=f"no linear layer is called '{name}', and only linear layers take rules: stem.conv, "
        ):
            Composite([(name, Zero())]).assign(resnet())


def test_activations_and_routes_take_no_rule() -> None:
    with pytest.raises(RuleError, match=r"no linear layer is called 'stem.relu'"):
        Composite([("stem.relu", Zero())]).assign(resnet())
    everywhere = Composite([(LinearLayer, Zero())]).assign(resnet())
    assert {"stem.relu", "flatten"}.isdisjoint(everywhere)
    assert len(everywhere) == 10


@pytest.mark.parametrize("position", [5, -6, 100])
def test_a_position_that_is_not_there(position: int) -> None:
    with pytest.raises(RuleError, match=f"no weighted layer at position {position} \\(valid: -5 to 4\\)"):
        Composite([(position, Zero())]).assign(resnet())


def test_a_predicate_sees_the_place() -> None:
    seen: list[Place] = []
    assigned(resnet(), (lambda place: seen.append(place) is not None, Zero()))
    assert [place.name for place in seen] == list(Composite([(LinearLayer, Zero())]).assign(resnet()))
    assert [place.position for place in seen] == [0, None, 1, None, 2, None, None, None, 3, 4]
    assert {place.weighted for place in seen} == {5}
    assert isinstance(seen[0].layer, Conv2D)


def test_a_callable_without_a_name_is_a_selector_too() -> None:
    def is_at(position: int, place: Place) -> bool:
        return place.position == position

    table = Composite([(partial(is_at, 1), Zero()), (WeightedLayer, Flat())]).assign(resnet())
    assert table["block1.conv1"] == Zero()
    assert "zero" in str(table)


def test_the_first_match_wins() -> None:
    one = Composite([("fc1", Zero()), (Dense, Flat()), (WeightedLayer, ZPlus())]).assign(resnet())
    assert [one[name] for name in ("fc1", "fc2", "stem.conv")] == [Zero(), Flat(), ZPlus()]
    other = Composite([(Dense, Flat()), ("fc1", Zero()), (WeightedLayer, ZPlus())]).assign(resnet())
    assert other["fc1"] == Flat()


@pytest.mark.parametrize(
    "pairs",
    [
        [Zero()],
        [("fc1",)],
        [("fc1", Zero(), Flat())],
        [("fc1", "zero")],
        [("fc1", Zero)],
        [(1.5, Zero())],
        [(None, Zero())],
        [(("fc1", "fc2"), Zero())],
    ],
)
def test_what_is_no_composite(pairs: list[Any]) -> None:
    with pytest.raises(RuleError):
        Composite(pairs)


# ---- layers that nothing matches ---------------------------------------------------------------------------------


def test_a_weighted_layer_without_a_rule_is_an_error_that_says_what_to_add() -> None:
    message = r"mine has no rule for node 'fc1' \(Dense\); add the pair \(Dense, rules.Epsilon\(\)\)"
    with pytest.raises(RuleError, match=message):
        Composite([(Conv2D, ZPlus())], name="mine").assign(resnet())


def test_joins_pools_and_diagonal_layers_without_a_rule_are_under_epsilon() -> None:
    table = Composite([(WeightedLayer, Zero())]).assign(resnet())
    for name in ("stem.bn", "block1.scale", "block1.sum", "pool", "mean"):
        assert table[name] == Epsilon(1e-6)


# ---- the first layer ---------------------------------------------------------------------------------------------


def first_of(*nodes: tuple[str, lrpref.Layer, list[str]]) -> set[str]:
    return {place.name for place in places(Network(nodes)) if place.first}


def test_a_batchnorm_before_the_first_convolution_leaves_no_first_layer() -> None:
    """BatchNorm rescales and shifts the image, so the convolution's input is no longer the image itself."""
    assert first_of(("bn", batchnorm(), ["input"]), ("conv", conv(), ["bn"])) == set()


def test_routing_and_activations_before_the_first_layer_do_no_harm() -> None:
    found = first_of(
        ("pad", Pad2D(1), ["input"]),
        ("drop", Dropout(), ["pad"]),
        ("max", MaxPool2D(2), ["drop"]),
        ("relu", ReLU(), ["max"]),
        ("flat", Flatten(), ["relu"]),
        ("fc1", Dense(np.ones((2, 2))), ["flat"]),
        ("fc2", Dense(np.ones((2, 2))), ["fc1"]),
    )
    assert found == {"fc1"}


def test_two_branches_have_two_first_layers() -> None:
    found = first_of(
        ("a", conv(), ["input"]),
        ("b", conv(), ["input"]),
        ("c", conv(), ["b"]),
        ("join", Concat(), ["a", "c"]),
        ("d", conv(2, 4), ["join"]),
    )
    assert found == {"a", "b"}


def test_an_average_pool_or_a_sum_before_it_is_no_longer_the_input() -> None:
    assert first_of(("pool", AvgPool2D(2), ["input"]), ("conv", conv(), ["pool"])) == set()
    nodes = [("a", conv(), ["input"]), ("sum", Add(), ["input", "a"]), ("b", conv(), ["sum"])]
    assert first_of(*nodes) == {"a"}


def test_a_join_of_the_input_with_a_layer_is_not_clear() -> None:
    nodes = [("a", conv(), ["input"]), ("join", Concat(), ["input", "a"]), ("b", conv(2, 4), ["join"])]
    assert first_of(*nodes) == {"a"}


# ---- the presets -------------------------------------------------------------------------------------------------

OTHERS = {
    "stem.bn": Pass(),
    "block1.scale": Pass(),
    "block1.sum": Epsilon(1e-6),
    "pool": Epsilon(1e-6),
    "mean": Epsilon(1e-6),
    "fc1": Epsilon(1e-6),
    "fc2": Epsilon(1e-6),
}
"""The part that zennit's presets share: epsilon on Linear, sums and average pools, pass on BatchNorm."""

CONVOLUTIONS = {
    "epsilon-plus": (EpsilonPlus(), ZPlus(1e-6), ZPlus(1e-6)),
    "epsilon-plus-flat": (EpsilonPlusFlat(), Flat(1e-6), ZPlus(1e-6)),
    "epsilon-gamma-box": (EpsilonGammaBox(-1.0, 2.0), ZBox, Gamma(0.25, generalised=True, stabilizer=1e-6)),
    "epsilon-alpha2-beta1": (
        EpsilonAlpha2Beta1(),
        AlphaBeta(2, 1, stabilizer=1e-6),
        AlphaBeta(2, 1, stabilizer=1e-6),
    ),
    "epsilon-alpha2-beta1-flat": (EpsilonAlpha2Beta1Flat(), Flat(1e-6), AlphaBeta(2, 1, stabilizer=1e-6)),
}
"""Name -> the preset, its rule for the first layer, its rule for the other convolutions."""


def test_every_preset_of_zennit_is_there() -> None:
    assert set(PRESETS) - {"relative", "attn-lrp", "cp-lrp"} == set(CONVOLUTIONS)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_presets_table_is_zennits(name: str) -> None:
    preset, stem, others = CONVOLUTIONS[name]
    table = dict(preset.assign(resnet()))
    found = table.pop("stem.conv")
    if stem is ZBox:
        assert (found.low, found.high, found.stabilizer) == (-1.0, 2.0, 1e-6)
    else:
        assert found == stem
    assert table == OTHERS | {"block1.conv1": others, "block1.conv2": others}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_presets_parameters_reach_its_rules(name: str) -> None:
    given = {"low": -1, "high": 1, "gamma": 0.5} if name == "epsilon-gamma-box" else {}
    table = PRESETS[name](epsilon=0.125, stabilizer=0.5, **given).assign(resnet())
    assert table["fc1"] == Epsilon(0.125)
    assert table["pool"] == Epsilon(0.5)
    assert table["stem.conv"].stabilizer == 0.5
    assert table["block1.conv1"].stabilizer == 0.5
    if given:
        assert table["block1.conv1"].gamma == 0.5


def test_flat_is_for_a_first_dense_layer_too_but_the_box_is_for_images() -> None:
    net = Network.sequential(Flatten(), Dense(np.ones((2, 4))), Dense(np.ones((2, 2))))
    assert EpsilonPlusFlat().assign(net)["dense1"] == Flat(1e-6)
    assert EpsilonAlpha2Beta1Flat().assign(net)["dense1"] == Flat(1e-6)
    assert EpsilonGammaBox(0, 1).assign(net)["dense1"] == Epsilon(1e-6)


def test_a_box_that_no_layer_uses_is_refused() -> None:
    """The Scale of a model that normalises its own input hides the first layer."""
    net = Network([("rescale", Scale([1 / 255, 1 / 255]), ["input"]), ("conv", conv(), ["rescale"])])
    box = EpsilonGammaBox(0, 255)
    with pytest.raises(
        RuleError, match=r"no layer uses z-box\(low=0.*because 'rescale' \(Scale\) comes before the first"
    ):
        box.assign(net)
    assert EpsilonPlusFlat().assign(net)["conv"] == ZPlus(1e-6)
    for named in (Composite([("conv", own := ZBox(0, 1)), *box.pairs]), Composite([("conv", own), *box.pairs[1:]])):
        assert named.assign(net)["conv"] is own
    assert isinstance(box.assign(net.remove("rescale"))["conv"], ZBox)


def test_a_bad_parameter_of_a_preset_is_the_rules_error() -> None:
    with pytest.raises(ParameterError, match="epsilon"):
        EpsilonPlus(epsilon=-1)
    with pytest.raises(ParameterError, match="low must not exceed high"):
        EpsilonGammaBox(1, 0)


def test_relative_wants_batchnorm_fused_first() -> None:
    with pytest.raises(RuleError, match=r"node 'stem.bn' is a BatchNorm: use lrpref.fuse"):
        PRESETS["relative"]().assign(resnet())
    table = PRESETS["relative"]().assign(lrpref.fuse(resnet()))
    assert table["block1.sum"] == Zero()
    assert {rule.name for name, rule in table.items() if name != "block1.sum"} == {"relative"}


# ---- names and printing ------------------------------------------------------------------------------------------


def test_resolve_takes_names_rules_and_composites() -> None:
    composite = EpsilonPlus()
    assert resolve(composite) is composite
    assert resolve("epsilon-plus").pairs == composite.pairs
    assert resolve(Zero()).pairs == ((LinearLayer, Zero()),)
    assert resolve(Flat()).pairs == ((WeightedLayer, Flat()),)
    assert resolve("gamma(gamma=1, generalised=True)").pairs == ((WeightedLayer, Gamma(1, generalised=True)),)
    with pytest.raises(UnknownNameError, match=r"did you mean 'epsilon-plus'\?"):
        resolve("epsilonplus")


@pytest.mark.parametrize(
    "text",
    [
        "gamma(0.5)",
        "gamma(gamma=)",
        "gamma(gamma=x)",
        "gamma(gamma=__import__('os'))",
        "gamma(gamma=1) + 1",
        "gamma(gamma=1)(gamma=2)",
        "gamma(delta=1)",
        "gamma(**{})",
        "gamma(gamma=1",
        "z-box",
        "z-box(low=0)",
    ],
)
def test_text_that_is_no_rule(text: str) -> None:
    """Parameters must be literals; no code is evaluated."""
    with pytest.raises(RuleError, match="is not a valid rule"):
        resolve(text)


@pytest.mark.parametrize(
    ("text", "hint"), [("z-box", r"z-box\(low=0, high=1\)"), ("gamma(1)", r"gamma\(gamma=\.\.\.\)")]
)
def test_text_that_is_no_rule_comes_with_one_that_is(text: str, hint: str) -> None:
    with pytest.raises(RuleError, match=f"write it as {hint}"):
        resolve(text)


def test_a_parameter_out_of_range_is_the_rules_own_error() -> None:
    with pytest.raises(ParameterError, match="Gamma: gamma must be a finite number >= 0"):
        resolve("gamma(gamma=-1)")


def test_an_assignment_is_a_mapping_in_the_networks_order() -> None:
    table = EpsilonPlus().assign(resnet())
    assert list(table)[:3] == ["stem.conv", "stem.bn", "block1.conv1"]
    assert len(table) == 10
    assert table["fc1"] == Epsilon(1e-6)
    with pytest.raises(KeyError, match="relu"):
        table["stem.relu"]


def test_the_printed_table_says_why() -> None:
    pairs = [("stem.*", Zero()), (-1, Flat()), ((Dense, Conv2D), ZPlus(0.5))]
    lines = str(Composite(pairs).assign(resnet())).splitlines()
    rows = [line.split(maxsplit=3) for line in lines]
    assert rows[0] == ["node", "layer", "rule", "because"]
    assert rows[1] == ["stem.conv", "Conv2D", "zero", "name stem.*"]
    assert rows[3] == ["block1.conv1", "Conv2D", "z-plus(stabilizer=0.5)", "type Dense or Conv2D"]
    assert rows[-1] == ["fc2", "Dense", "flat", "position -1"]
    assert rows[7][-1] == "default for joins, pooling and diagonal layers"
    starts = {line.index(row[1]) for line, row in zip(lines, rows, strict=True)}
    assert len(starts) == 1  # the column is aligned


def test_a_composite_prints_its_pairs() -> None:
    lines = str(EpsilonGammaBox(np.zeros(2), np.ones(2))).splitlines()
    assert lines[0] == "EpsilonGammaBox"
    assert lines[1].split() == ["first", "convolution", "z-box(low=array(2,),", "high=array(2,),", "stabilizer=1e-06)"]
    assert lines[-4].split() == ["type", "BatchNorm", "or", "Scale", "or", "Affine", "pass"]


def test_rules_reach_the_layers_they_were_given_to() -> None:
    """The assignment takes effect: composites that differ at one layer give different relevance there."""
    net, x = resnet(), np.arange(1.0, 9.0).reshape(1, 2, 2, 2)
    one, other = (
        lrpref.trace(net, x, rule=Composite([("fc1", rule), (WeightedLayer, Epsilon())])) for rule in (Zero(), Flat())
    )
    assert_array_equal(one.at["fc1"], other.at["fc1"])
    assert not np.array_equal(one.at["flatten"], other.at["flatten"])


# ---- user-defined weighted layers --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Bilinear(WeightedLayer):
    """A weighted layer that is neither a Dense nor a convolution."""

    def output_shape(self, *shapes: Any) -> Any:
        return shapes[0]


@dataclass(frozen=True, eq=False)
class OwnConvolution(Convolution):
    """A user-defined convolution."""

    def output_shape(self, *shapes: Any) -> Any:
        return shapes[0]


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_preset_gives_a_users_convolution_its_rule_for_convolutions(name: str) -> None:
    net = Network.sequential(conv(), OwnConvolution(), conv(), names=["first", "own", "last"])
    rules = preset(name).assign(net)
    assert str(rules["own"]) == str(rules["last"])
    assert not isinstance(rules["own"], Epsilon)


@pytest.mark.parametrize("name", ["epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1-flat"])
def test_a_users_convolution_may_be_the_first_layer(name: str) -> None:
    net = Network.sequential(OwnConvolution(), conv(), names=["own", "last"])
    assert isinstance(preset(name).assign(net)["own"], Flat | ZBox)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "relative"])
def test_a_preset_refuses_a_weighted_layer_that_it_does_not_know(name: str) -> None:
    """An unknown weighted layer must not silently get epsilon."""
    net = Network.sequential(conv(), Bilinear(), names=["first", "own"])
    with pytest.raises(RuleError, match=r"has no rule for node 'own' \(Bilinear\); add the pair .*layers.Convolution"):
        preset(name).assign(net)


def preset(name: str) -> Composite:
    return PRESETS[name](0.0, 1.0) if name == "epsilon-gamma-box" else PRESETS[name]()
