"""Joins: how relevance is divided between the branches of a sum, the bounds of the splits, and the ledger's figures."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, Conv2D, Dense, GlobalAvgPool2D, Network, ReLU, Subtract, composites, rules, to_numpy
from lrpref.composites import JOINS, PRESETS, Composite, resolve
from lrpref.errors import UnknownNameError
from lrpref.layers import LinearLayer
from lrpref.rules import Absolute, Epsilon, Flat, Gamma, Rule, Zero

GAMMAS = ["1/4", "1", "3"]


def exact(*values: str | int | Fraction) -> np.ndarray:
    """One sample of fractions."""
    return np.array([[Fraction(value) for value in values]], dtype=object)


def split(rule: Rule, *branches: str | int | Fraction) -> list[Fraction]:
    """The shares of the branches of a sum that receives 1."""
    return [R[0, 0] for R in Add().relevance(tuple(map(exact, branches)), exact(1), rule)]


# ---- generalised gamma -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gamma", "branches", "expected"),
    [
        # z = 1 > 0: 2 counts twice, over 4 - 1
        (1, (2, -1), "4/3 -1/3"),
        # z = -1 < 0: now -2 counts twice, over -4 + 1
        (1, (-2, 1), "4/3 -1/3"),
        # both have the sign of z: the factor cancels
        (1, (1, 3), "1/4 3/4"),
        # z = 1/10: 1 counts 5/4 times, over 5/4 - 9/10 = 7/20
        ("1/4", (1, "-9/10"), "25/7 -18/7"),
        # z = 0 belongs to the positive branch: 5/4 and -1 over 1/4, which are 1 + 4 and -4
        ("1/4", (1, -1), "5 -4"),
        # three branches, z = 2: 3 and 1 count twice, over 8 - 2
        (1, (3, 1, -2), "1 1/3 -1/3"),
    ],
)
def test_generalised_gamma_at_a_join_by_hand(gamma: Any, branches: tuple[Any, ...], expected: str) -> None:
    rule = Gamma(Fraction(gamma), generalised=True)
    assert split(rule, *branches) == [Fraction(value) for value in expected.split()]


numbers = st.fractions(-4, 4, max_denominator=8)


@pytest.mark.parametrize("gamma", GAMMAS)
@given(w=st.lists(numbers, min_size=2, max_size=4), b=numbers, join=st.booleans())
def test_generalised_gamma_is_bounded(gamma: str, w: list[Fraction], b: Fraction, join: bool) -> None:
    """Each share, and the sum of their magnitudes, for a join of the values w, and for a unit of weights w and bias b.

    The contributions of the unit are (w, b), of which the bias keeps the last share.
    """
    g = Fraction(gamma)
    rule = Gamma(g, generalised=True)
    if join:
        shares = split(rule, *w)
        assert sum(shares) == (1 if any(w) else 0)
    else:
        unit = Dense(exact(*w), exact(b)[0])
        shares = list(unit.relevance(exact(*(1 for _ in w)), exact(1), rule)[0])
    assert all(-1 / g <= share <= 1 + 1 / g for share in shares)
    assert sum(map(abs, shares)) <= 1 + 2 / g


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_bounds_of_generalised_gamma_are_tight(gamma: str) -> None:
    """Branches that cancel exactly reach them; branches that almost cancel come as close as one likes."""
    g = Fraction(gamma)
    rule = Gamma(g, generalised=True)
    assert split(rule, 1, -1) == [1 + 1 / g, -1 / g]
    for sign in (1, -1):
        near = split(rule, sign, -sign * (1 - Fraction(1, 10**9)))
        assert 0 < 1 + 1 / g - near[0] < Fraction(1, 10**6)
        assert 0 < near[1] + 1 / g < Fraction(1, 10**6)


@given(branches=st.lists(numbers, min_size=2, max_size=4), gamma=st.sampled_from(GAMMAS))
def test_plain_gamma_at_a_join_is_lrp_0(branches: list[Fraction], gamma: str) -> None:
    """All weights are 1, so each counts 1 + gamma times, and the factor cancels."""
    assert split(Gamma(Fraction(gamma)), *branches) == split(Zero(), *branches)


def test_plain_gamma_at_a_join_has_no_bound() -> None:
    assert split(Gamma(3), 1, Fraction(-999, 1000)) == [1000, -999]


# ---- the choice in the presets -----------------------------------------------------------------------------------

NAMED: dict[str, Rule] = {
    "signed": Epsilon(0.5),
    "gamma": Gamma(1, generalised=True, stabilizer=0.5),
    "magnitude": Absolute(0.5),
    "equal": Flat(0.5),
}


def residual() -> Network:
    """An identity skip, a projection, and a difference."""
    n = np.random.default_rng(0).standard_normal
    return Network(
        [
            ("stem", Conv2D(n((4, 2, 3, 3)), n(4), padding=1), ["input"]),
            ("relu", ReLU(), ["stem"]),
            ("conv1", Conv2D(n((4, 4, 3, 3)), n(4), padding=1), ["relu"]),
            ("sum1", Add(), ["conv1", "relu"]),
            ("relu1", ReLU(), ["sum1"]),
            ("conv2", Conv2D(n((3, 4, 1, 1))), ["relu1"]),
            ("skip2", Conv2D(n((3, 4, 1, 1))), ["relu1"]),
            ("sum2", Add(), ["conv2", "skip2"]),
            ("conv3", Conv2D(n((3, 3, 1, 1))), ["sum2"]),
            ("difference", Subtract(), ["sum2", "conv3"]),
            ("mean", GlobalAvgPool2D(), ["difference"]),
            ("flat", lrpref.Flatten(), ["mean"]),
            ("fc", Dense(n((3, 3)), n(3)), ["flat"]),
        ]
    )


def preset(name: str, **given: Any) -> Composite:
    return PRESETS[name](**({"low": -3, "high": 3} if name == "epsilon-gamma-box" else {}), **given)


SPLITTING = [name for name in PRESETS if name not in ("relative", "attn-lrp", "cp-lrp")]


def test_every_name_has_its_rule() -> None:
    assert {name: make(0.5) for name, make in JOINS.items()} == NAMED


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("joins", NAMED)
def test_a_preset_divides_at_joins_as_asked_and_changes_nothing_else(name: str, joins: str) -> None:
    table = dict(preset(name, stabilizer=0.5, joins=joins).assign(residual()))
    usual = dict(preset(name, stabilizer=0.5).assign(residual()))
    for join in ("sum1", "sum2", "difference"):
        assert table.pop(join) == NAMED[joins]
        assert usual.pop(join) == NAMED["signed"]
    assert str(table) == str(usual)


@pytest.mark.parametrize("name", SPLITTING)
def test_a_preset_takes_a_rule_for_joins(name: str) -> None:
    rule = Gamma(0.25, generalised=True)
    assert preset(name, joins=rule).assign(residual())["sum1"] is rule


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no split at a join is called 'gama'; did you mean 'gamma'\?"):
        composites.EpsilonPlus(joins="gama")


@pytest.mark.parametrize("name", SPLITTING)
@pytest.mark.parametrize("joins", NAMED)
def test_a_signature_names_the_split(name: str, joins: str) -> None:
    """It is lossless, and leaves out the default."""
    net = residual()
    composite = preset(name, stabilizer=0.25, joins=joins)
    signature = lrpref.signature(net, composite)
    assert (f"joins='{joins}'" in signature.rule) == (joins != "signed")
    assert str(signature.composite(net).assign(net)) == str(composite.assign(net))
    other = preset(name, joins=Gamma(0.25, generalised=True))
    assert lrpref.signature(net, other).rule.startswith("layers(")


@pytest.mark.parametrize("joins", NAMED)
@pytest.mark.parametrize("name", ["epsilon-plus", "epsilon-gamma-box"])
def test_prepared_networks_divide_alike(name: str, joins: str) -> None:
    net, x = residual(), np.random.default_rng(1).standard_normal((2, 2, 5, 5))
    rule = preset(name, joins=joins)
    plain = lrpref.explain(net, x, rule=rule, form="plain")
    assert_allclose(lrpref.explain(net, x, rule=rule), plain, rtol=1e-9, atol=1e-12 * abs(plain).max())


def joined(branches: int) -> Network:
    """A sum of convolutions with small whole weights, then a ReLU, then a convolution under z-plus.

    Sums of zero, of zeros, and of both signs occur.
    """
    n = np.random.default_rng(branches).integers
    nodes = [(f"branch{k}", Conv2D(n(-2, 3, (6, 2, 1, 1)).astype(float)), ["input"]) for k in range(branches)]
    ends = [("relu", ReLU(), ["sum"]), ("conv", Conv2D(n(-2, 3, (3, 6, 1, 1)).astype(float)), ["relu"])]
    return Network([*nodes, ("sum", Add(), [name for name, _, _ in nodes]), *ends])


@pytest.mark.parametrize("branches", [2, 3])
@pytest.mark.parametrize(
    "rule",
    [Gamma(1, True, 1e-6), Gamma(Fraction(1, 4), True, 0.5), Absolute(1e-6), Absolute(0.5), Gamma(1, True), Absolute()],
    ids=str,
)
def test_a_sum_before_a_relu_has_a_step_of_its_own(rule: Rule, branches: int, backend: Any) -> None:
    """It agrees with the plain walk wherever the values lie; without a stabilizer the plain code is used."""
    net, x = joined(branches), np.random.default_rng(9).integers(-2, 3, (2, 2, 6, 6)).astype(float)
    composite = Composite([(Add, rule), (Conv2D, rules.ZPlus(1e-6))])
    z = net.activations(x)["sum"]
    assert all(np.any(case) for case in (z == 0, z < 0, z > 0))
    assert (lrpref.prepare(net, composite).forms["sum"] == "direct") == (rule.stabilizer > 0)
    seed = np.random.default_rng(3).integers(-2, 3, net.forward(x).shape).astype(float)
    plain = lrpref.trace(net, x, rule=composite, seed=seed).relevance
    found = lrpref.explain(backend(net), backend(x), rule=composite, seed=backend(seed))
    assert_allclose(to_numpy(found), plain, rtol=1e-9, atol=1e-12 * abs(plain).max())


# ---- the ledger's figures ----------------------------------------------------------------------------------------


def figures(layer: Any, branches: tuple[np.ndarray, ...], R: np.ndarray, rule: Rule) -> dict[str, Any]:
    """The ledger's figures of a join of two inputs, which starts with R."""
    net = Network([("join", layer, ["a", "b"])], inputs=["a", "b"])
    everywhere = Composite([(LinearLayer, rule)])
    return dict(lrpref.trace(net, branches, rule=everywhere, seed=R).ledger.entries[0].facts)


def test_the_figures_of_a_join_by_hand() -> None:
    """Units 3 - 1 = 2 and 1 + 1 = 2 receive 4 and -1: shares (6, -2), (-1/2, -1/2).

    9 of 5 were sent; of 6 in the branches, 4 are left. As a difference, with b turned round, it is the same.
    """
    a, b, R = exact(3, 1), exact(-1, 1), exact(4, -1)
    for layer, branches in ((Add(), (a, b)), (Subtract(), (a, -b))):
        assert figures(layer, branches, R, Zero()) == {
            "amplification": np.array([Fraction(9, 5)]),
            "cancellation": np.array([Fraction(1, 3)]),
        }


def test_nothing_is_amplified_where_nothing_arrives() -> None:
    found = figures(Add(), (np.zeros((1, 2)), np.zeros((1, 2))), np.zeros((1, 2)), Epsilon())
    assert found == {"amplification": np.array([0.0]), "cancellation": np.array([0.0])}


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_amplification_of_generalised_gamma_reaches_its_bound(gamma: str) -> None:
    g = Fraction(gamma)
    found = figures(Add(), (exact(1, -2), exact(-1, 2)), exact(3, -5), Gamma(g, generalised=True))
    assert_array_equal(found["amplification"], [1 + 2 / g])
    assert_array_equal(found["cancellation"], [1])


@pytest.mark.parametrize("rule", [Absolute(), Flat()], ids=str)
@given(data=st.data())
def test_magnitudes_and_equal_parts_amplify_nothing(rule: Rule, data: st.DataObject) -> None:
    a, b, R = (data.draw(st.lists(numbers.filter(bool), min_size=2, max_size=2)) for _ in range(3))
    assert_array_equal(figures(Add(), (exact(*a), exact(*b)), exact(*R), rule)["amplification"], [1])


def test_the_ledger_prints_the_figures_of_joins_only(backend: Any) -> None:
    tr = lrpref.trace(backend(residual()), backend(np.ones((2, 2, 5, 5))), rule=rules.Zero())
    joins = {entry.node for entry in tr.ledger.entries if "amplification" in entry.facts}
    assert joins == {"sum1", "sum2", "difference"}
    for line in tr.ledger.table(0).splitlines()[2:]:
        assert ("  amplification " in line and "  cancellation " in line) == (line.split()[0] in joins)


def test_a_name_on_the_command_line() -> None:
    assert resolve("epsilon-plus(joins='equal')").assign(residual())["sum2"] == Flat(1e-6)
