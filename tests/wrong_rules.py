"""Plausible mistakes in rules, each next to the rule that it imitates; `check_rule` must find them all by default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from lrpref import rules
from lrpref.arithmetic import constant
from lrpref.backend import Array, array_namespace
from lrpref.rules import Map, Ratio, Rule, Term, identity, magnitude, negative, one, positive, square


def _changed(right: Rule, **methods: Any) -> Rule:
    """Return the rule with some of its methods replaced."""
    wrong = type(f"Wrong{type(right).__name__}", (type(right),), methods)
    given = {f.name: getattr(right, f.name) for f in fields(right)}
    return wrong(**given)


def _of(right: Rule, *ratios: Ratio) -> tuple[Rule, Rule]:
    """Return the rule with other ratios, and the rule itself."""
    return _changed(right, ratios=lambda self: ratios), right


def _stabilized(right: Rule, stabilize: Callable[[Array], Array]) -> tuple[Rule, Rule]:
    """Return the rule with another stabilizer, and the rule itself."""
    return _changed(right, stabilize=lambda self, z: stabilize(z)), right


def _quarter(z: Array) -> Array:
    return constant(0.25, like=z)


def _plus(part: Map) -> Map:
    """x + part(x): gamma = 1."""
    return lambda x: x + part(x)


def _where(condition: Callable[[Array], Array]) -> Callable[..., list[Array]]:
    """Shares of generalised gamma whose branch is chosen by another condition."""

    def shares(self: Any, layer: Any, inputs: Any, R: Array, ratios: Any, zs: Any) -> list[Array]:
        up = condition(layer, inputs)
        where = array_namespace(R).where
        return [where(up, R, 0 * R), where(up, 0 * R, R)]

    return shares


def _without_bias(layer: Any, inputs: Any) -> Array:
    return layer.linear(layer.parameters(*inputs)[0], *inputs) >= 0


def _signed(z: Array) -> Array:
    """z + 0.25 sign(z) with sign(0) = 0."""
    where = array_namespace(z).where
    return where(z > 0, z + _quarter(z), where(z < 0, z - _quarter(z), z))


def _counted(w: Array) -> Array:
    """1 where w is not zero."""
    return array_namespace(w).where(w == 0, 0 * w, 0 * w + 1)


UP, DOWN = _plus(positive), _plus(negative)
BOTH = rules.Gamma(1.0, generalised=True)
ALPHA, BETA = rules.AlphaBeta().ratios()
BOX = rules.ZBox(-2.0, 3.0)

MISTAKES: dict[str, tuple[Rule, Rule]] = {
    "z-plus counts its bias in both terms": _of(
        rules.ZPlus(), Ratio((Term(positive, positive, positive), Term(negative, negative, positive)))
    ),
    "z-plus counts a bias of both signs": _of(
        rules.ZPlus(), Ratio((Term(positive, positive, identity), Term(negative, negative)))
    ),
    "z-plus counts the negative part of its bias": _of(
        rules.ZPlus(), Ratio((Term(positive, positive, negative), Term(negative, negative)))
    ),
    "z-plus leaves its bias out": _of(rules.ZPlus(), Ratio((Term(positive, positive), Term(negative, negative)))),
    "z-plus forgets that two negatives make a positive": _of(
        rules.ZPlus(), Ratio((Term(positive, positive, positive),))
    ),
    "z-plus clamps the weights only": _of(rules.ZPlus(), Ratio((Term(identity, positive, positive),))),
    "z-plus divides by all of z": _of(
        rules.ZPlus(), Ratio((Term(positive, positive), Term(negative, negative)), denominator=(Term(b=identity),))
    ),
    "alpha-beta counts all of the bias in both parts": _of(
        rules.AlphaBeta(),
        Ratio((Term(positive, positive, identity), Term(negative, negative)), 2),
        Ratio((Term(positive, negative, identity), Term(negative, positive)), -1),
    ),
    "alpha-beta counts the positive bias in the negative part": _of(
        rules.AlphaBeta(), ALPHA, Ratio((Term(positive, negative, positive), Term(negative, positive)), -1)
    ),
    "alpha-beta leaves the bias out of its negative part": _of(
        rules.AlphaBeta(), ALPHA, Ratio((Term(positive, negative), Term(negative, positive)), -1)
    ),
    "alpha-beta adds its negative part": _of(rules.AlphaBeta(), ALPHA, Ratio(BETA.terms, 1)),
    "alpha-beta gives all to the other part where one is empty": (
        _changed(rules.AlphaBeta(), shares=lambda self, *given: rules.AlphaBeta(empty="renormalise").shares(*given)),
        rules.AlphaBeta(),
    ),
    "alpha-beta adds its stabilizer to negative sums": _stabilized(
        rules.AlphaBeta(stabilizer=0.25), lambda z: z + _quarter(z)
    ),
    "epsilon has no sign": _stabilized(rules.Epsilon(0.25), lambda z: z + _quarter(z)),
    "epsilon is nothing where z is zero": _stabilized(rules.Epsilon(0.25), _signed),
    "epsilon leaves the bias out": _of(rules.Epsilon(0.25), Ratio((Term(),))),
    "LRP-0 divides by one where z is zero": _stabilized(
        rules.Zero(), lambda z: array_namespace(z).where(z == 0, 0 * z + 1, z)
    ),
    "LRP-0 divides by the magnitude of z": _stabilized(rules.Zero(), abs),
    "gamma favours the negative part": _of(rules.Gamma(1.0), Ratio((Term(w=DOWN, b=DOWN),))),
    "gamma does not favour the bias": _of(rules.Gamma(1.0), Ratio((Term(w=UP, b=identity),))),
    "gamma leaves the bias out": _of(rules.Gamma(1.0), Ratio((Term(w=UP),))),
    "generalised gamma gives z = 0 to the negative branch": (
        _changed(BOTH, shares=_where(lambda layer, inputs: layer.forward(*inputs) > 0)),
        BOTH,
    ),
    "generalised gamma takes the sign of z without the bias": (_changed(BOTH, shares=_where(_without_bias)), BOTH),
    "generalised gamma does not favour a negative bias": _of(
        BOTH, BOTH.ratios()[0], Ratio((Term(positive, DOWN, identity), Term(negative, UP)))
    ),
    "generalised gamma forgets negative inputs": _of(
        BOTH, Ratio((Term(identity, UP, UP),)), Ratio((Term(identity, DOWN, DOWN),))
    ),
    "z-box swaps its bounds": _of(BOX, Ratio((Term(lambda a: a - 3, positive), Term(lambda a: a + 2, negative)))),
    "z-box counts the bias": _of(
        BOX, Ratio((Term(lambda a: a + 2, positive, identity), Term(lambda a: a - 3, negative)))
    ),
    "w-square takes magnitudes": _of(rules.WSquare(), Ratio((Term(one, magnitude),))),
    "w-square counts the bias": _of(rules.WSquare(), Ratio((Term(one, square, square),))),
    "flat counts only the weights that are not zero": _of(rules.Flat(), Ratio((Term(one, _counted),))),
    "absolute leaves the bias out": _of(rules.Absolute(), Ratio((Term(magnitude, magnitude),))),
    "absolute counts the bias with its sign": _of(rules.Absolute(), Ratio((Term(magnitude, magnitude, identity),))),
    "relative sends nothing where z is zero": (
        _changed(
            rules.Relative(rescale=False),
            flow=lambda self, layer, inputs, R: rules.Relative(rescale=False).flow(
                layer, inputs, array_namespace(R).where(layer.forward(*inputs) == 0, 0 * R, R)
            ),
        ),
        rules.Relative(rescale=False),
    ),
    "relative without the sign": (
        _changed(
            rules.Relative(rescale=False),
            flow=lambda self, layer, inputs, R: rules.Relative(rescale=False).flow(
                layer, inputs, array_namespace(R).where(layer.forward(*inputs) < 0, -R, R)
            ),
        ),
        rules.Relative(rescale=False),
    ),
}
