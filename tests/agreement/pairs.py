"""Every rule and composite that lrpref and zennit define alike, with the settings that make them equal.

The stabilizer is 0 by default in lrpref and 1e-6 in zennit; here both are set to the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lrpref import Network
from lrpref.composites import (
    Composite,
    EpsilonAlpha2Beta1,
    EpsilonAlpha2Beta1Flat,
    EpsilonGammaBox,
    EpsilonPlus,
    EpsilonPlusFlat,
)
from lrpref.layers import WeightedLayer
from lrpref.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus

STABILIZER = 1e-6
NO_BIAS = {"zero_params": ["bias"]}
BOX = {"low": -4.0, "high": 4.0}


@dataclass(frozen=True)
class Pair:
    """A rule or composite of lrpref and its counterpart in zennit.

    Parameters
    ----------
    name : str
        The name of the pair in the fixtures.
    lrpref : Rule or Composite
        lrpref's side.
    zennit : str
        The name of zennit's class.
    arguments : mapping
        The arguments to call that class with.
    bias_free : bool
        Whether the two are equal only on networks without biases.
    """

    name: str
    lrpref: Rule | Composite
    zennit: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    bias_free: bool = False

    def applies_to(self, net: Network) -> bool:
        """Whether the two are equal on this network."""
        weighted = [layer for _, layer, _ in net.nodes if isinstance(layer, WeightedLayer)]
        return not self.bias_free or all(layer.bias is None for layer in weighted)


def on_weighted(rule: Rule | Composite) -> Composite:
    """A rule for weighted layers, with Epsilon(1e-6) elsewhere, as zennit's Norm; composites as they are.

    A bare Zero or Epsilon of lrpref would hold for joins and pools as well.
    """
    return rule if isinstance(rule, Composite) else Composite([(WeightedLayer, rule)], str(rule))


def _stabilized(**arguments: Any) -> dict[str, Any]:
    return {**arguments, "stabilizer": STABILIZER}


RULES = [
    Pair("zero", Zero(), "Epsilon", {"epsilon": 0.0}),
    Pair("epsilon 1e-6", Epsilon(1e-6), "Epsilon", {"epsilon": 1e-6}),
    Pair("epsilon 0.01", Epsilon(0.01), "Epsilon", {"epsilon": 0.01}),
    Pair("epsilon 1", Epsilon(1), "Epsilon", {"epsilon": 1}),
    Pair("epsilon 0.25 rms", Epsilon(0.25, "rms"), "Epsilon", {"epsilon": {"epsilon": 0.25, "norm_scale": True}}),
    Pair("gamma 0.25", Gamma(0.25, True, STABILIZER), "Gamma", _stabilized(gamma=0.25)),
    Pair("gamma 0.1", Gamma(0.1, True, STABILIZER), "Gamma", _stabilized(gamma=0.1)),
    Pair("gamma 10", Gamma(10, True, STABILIZER), "Gamma", _stabilized(gamma=10)),
    Pair("z-plus", ZPlus(STABILIZER), "ZPlus", _stabilized()),
    Pair("alpha-beta 2 1", AlphaBeta(2, 1, stabilizer=STABILIZER), "AlphaBeta", _stabilized(alpha=2, beta=1)),
    Pair("alpha-beta 1 0", AlphaBeta(1, 0, stabilizer=STABILIZER), "AlphaBeta", _stabilized(alpha=1, beta=0)),
    Pair(
        "alpha-beta 1.5 0.5 without bias",
        AlphaBeta(1.5, 0.5, bias="ignore", stabilizer=STABILIZER),
        "AlphaBeta",
        _stabilized(alpha=1.5, beta=0.5, **NO_BIAS),
    ),
    Pair("z-box", ZBox(**BOX, stabilizer=STABILIZER), "ZBox", _stabilized(**BOX)),
    Pair("w-square", WSquare(STABILIZER), "WSquare", _stabilized(), bias_free=True),
    Pair("w-square without bias", WSquare(STABILIZER), "WSquare", _stabilized(**NO_BIAS)),
    Pair("flat", Flat(STABILIZER), "Flat", _stabilized()),
]
"""A rule on all weighted layers; joins, average pools and diagonal layers get Epsilon(1e-6), as zennit's Norm."""

COMPOSITES = [
    Pair("EpsilonPlus", EpsilonPlus(), "EpsilonPlus"),
    Pair("EpsilonPlusFlat", EpsilonPlusFlat(), "EpsilonPlusFlat"),
    Pair("EpsilonGammaBox", EpsilonGammaBox(**BOX), "EpsilonGammaBox", BOX),
    Pair("EpsilonAlpha2Beta1", EpsilonAlpha2Beta1(), "EpsilonAlpha2Beta1"),
    Pair("EpsilonAlpha2Beta1Flat", EpsilonAlpha2Beta1Flat(), "EpsilonAlpha2Beta1Flat"),
    Pair(
        "EpsilonPlusFlat 0.1 0.01",
        EpsilonPlusFlat(epsilon=0.1, stabilizer=0.01),
        "EpsilonPlusFlat",
        {"epsilon": 0.1, "stabilizer": 0.01},
    ),
    Pair(
        "EpsilonGammaBox 0.1 0.5 0.01",
        EpsilonGammaBox(**BOX, epsilon=0.1, gamma=0.5, stabilizer=0.01),
        "EpsilonGammaBox",
        {**BOX, "epsilon": 0.1, "gamma": 0.5, "stabilizer": 0.01},
    ),
]
"""The composites, with default and other parameters; a BatchNorm that is not merged gets the pass rule."""

PAIRS = {pair.name: pair for pair in RULES + COMPOSITES}
