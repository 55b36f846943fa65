"""What the fast engine leaves out of a rule, and what it computes once, without changing the result.

Three facts save most of the work:

1. **Inputs that are never negative.** After a ReLU a = a+ and a- = 0, so a rule's terms on a+ are terms on a, and
   its terms on a- vanish. This halves alpha-beta, gamma and z-plus.

2. **Terms on one input share one product.** sum_i a_i w_ij and sum_i a_i w_ij+ differ only in their weights: both
   weights are stacked into one product, whose input is gathered once. Where the positive and the negative part are
   both computed, z itself is their sum.

3. **Relevance is carried as a factor.** Under a rule whose terms are all on the input itself,

       R_i = a_i c_i          c_i = sum_j w'_ij s_j          s_j = share_j / stabilize(z'_j)

   and a unit's share is proportional to its R_j. With R_j = y_j c_j for the layer's output y, this gives

       s_j = c_j q_j          q_j = (share of y_j) / stabilize(z'_j)

   where q is computed on the way forward, while z' is still in the cache. R itself is formed once, at the input.

The formulas of rules are not repeated here: ratios, shares and denominators come from the rules (`lrpref.engine`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from .. import layers
from ..backend import Array, array_namespace
from ..engine import Map, Ratio, Rule, Term, divide, identity, magnitude, negative, one, positive, square
from ..rules import Absolute, AlphaBeta, Epsilon, Gamma, Zero
from .memory import Buffer
from .program import Lane

# ---- what is known of layers and rules -------------------------------------------------------------------------

NEVER_NEGATIVE = (layers.ReLU, layers.ReLU6, layers.Sigmoid, layers.Softmax, layers.HardSigmoid, layers.Softplus)
"""Layers whose output is never negative."""

KEEPS_SIGN = (
    *(layers.AdaptiveAvgPool1D, layers.AdaptiveAvgPool2D, layers.AdaptiveAvgPool3D),
    *(layers.AdaptiveMaxPool1D, layers.AdaptiveMaxPool2D, layers.AdaptiveMaxPool3D),
    *(layers.AvgPool1D, layers.AvgPool2D, layers.AvgPool3D),
    *(layers.GlobalAvgPool1D, layers.GlobalAvgPool2D, layers.GlobalAvgPool3D),
    *(layers.GlobalMaxPool1D, layers.GlobalMaxPool2D, layers.GlobalMaxPool3D),
    *(layers.MaxPool1D, layers.MaxPool2D, layers.MaxPool3D),
    *(layers.UpsampleLinear, layers.UpsampleNearest),
    *(layers.CELU, layers.ELU, layers.GELU, layers.HardSwish, layers.LeakyReLU, layers.Mish, layers.PReLU),
    *(layers.SELU, layers.SiLU, layers.Softsign, layers.Tanh),
    *(layers.Flatten, layers.Dropout, layers.Concat, layers.Reshape, layers.Permute, layers.Slice),
    *(layers.PixelShuffle, layers.PixelUnshuffle, layers.ChannelShuffle, layers.LocalResponseNorm),
    *(layers.Maximum, layers.Minimum, layers.Add, layers.Multiply, layers.Sum, layers.Mean, layers.Max),
)
"""Layers whose output is not negative where none of their inputs is."""

PADS = (layers.Pad1D, layers.Pad2D, layers.Pad3D)


def nonnegative_nodes(nodes: Sequence[tuple[str, layers.Layer, Sequence[str]]]) -> frozenset[str]:
    """The nodes whose output holds no negative number, whatever the network's input."""
    known: set[str] = set()
    for name, layer, inputs in nodes:
        padded = isinstance(layer, layers.Pad) and type(layer) in PADS and layer.value >= 0
        kept = padded or type(layer) in KEEPS_SIGN or _clips_above(layer)
        if type(layer) in NEVER_NEGATIVE or (kept and known.issuperset(inputs)):
            known.add(name)
    return frozenset(known)


def _clips_above(layer: layers.Layer) -> bool:
    """Whether a layer with bounds returns no negative number for one that is not negative."""
    if type(layer) is layers.Threshold:
        return layer.value >= 0
    if type(layer) is layers.Clip:
        return layer.high is None or layer.high >= 0
    return type(layer) is layers.HardTanh and layer.max_val >= 0


def unitwise(rule: Rule) -> bool:
    """Whether the fast engine knows the rule's steps, and each output unit is redistributed independently.

    Only then may a layer be cut into pieces. A rule that overrides `flow`, `shares` or `stabilize`, or whose ratios
    have denominators of their own, is computed by its own code. So is a rule whose ratios together redistribute more or
    less than R, because it does not conserve relevance.
    """
    if _has_steps_of(rule, Epsilon):
        known = rule.scale is None  # type: ignore[attr-defined]  # "rms" depends on all units of a sample
    else:
        known = any(_has_steps_of(rule, kind) for kind in (Rule, Gamma, AlphaBeta))
    ratios = rule.ratios() if known else ()
    return bool(ratios) and all(map(_is_plain, ratios)) and (not fixed_shares(rule) or _shares_all(ratios))


def _shares_all(ratios: Sequence[Ratio]) -> bool:
    """Whether the coefficients sum to one, to rounding."""
    return abs(sum(ratio.coefficient for ratio in ratios) - 1) < 1e-9


def _is_plain(ratio: Ratio) -> bool:
    """Whether a ratio has no denominator of its own, and it and its terms are of lrpref's own types."""
    return type(ratio) is Ratio and ratio.denominator is None and all(type(term) is Term for term in ratio.terms)


def fixed_shares(rule: Rule) -> bool:
    """Whether each ratio redistributes its coefficient times R, whatever z is."""
    if _has_steps_of(rule, Gamma):
        return not rule.generalised  # type: ignore[attr-defined]
    if _has_steps_of(rule, AlphaBeta):
        return bool(rule.empty == "literal")  # type: ignore[attr-defined]
    return type(rule).shares is Rule.shares


STEPS = {"flow", "shares", "stabilize"}
"""The methods that compute a rule from its ratios."""


def _has_steps_of(rule: Rule, kind: type[Rule]) -> bool:
    """Whether a rule takes its steps from `kind` and from the engine, and from no other class and no field."""
    owners = [owner for owner in type(rule).__mro__ if STEPS & vars(owner).keys()]
    return owners == list(dict.fromkeys([kind, Rule])) and not STEPS & vars(rule).keys()


# ---- rules reduced ---------------------------------------------------------------------------------------------


def on_nonnegative(ratios: Sequence[Ratio]) -> tuple[Ratio, ...]:
    """The same ratios for inputs a >= 0: a+ and |a| are a, and a- is 0."""
    return tuple(replace(ratio, terms=tuple(_plain(t) for t in ratio.terms if not _vanishes(t))) for ratio in ratios)


def _plain(term: Term) -> Term:
    return replace(term, a=identity) if term.a in (positive, magnitude) else term


def _vanishes(term: Term) -> bool:
    return term.a is negative and term.b is None


def for_rectified(rule: Rule) -> Rule:
    """The same rule where every unit with z <= 0 has R = 0, as before a ReLU whose relevance is carried.

    The branch of generalised gamma for z < 0 then has nothing to redistribute; on a >= 0 the plain form remains.
    """
    return replace(rule, generalised=False) if type(rule) is Gamma else rule


class Denominator(Enum):
    """What is certain of a ratio's denominator z', whatever the input; y is the layer's (rectified) output."""

    UNKNOWN = "nothing is certain: the rule's own code computes the quotient"
    ABOVE_OUTPUT = "z' >= y >= 0"
    SUM_ABOVE_OUTPUT = "z' >= y >= 0, and z' is a sum of terms >= 0"
    NONNEGATIVE = "z' >= 0"
    NONPOSITIVE = "z' <= 0"
    POSITIVE_BRANCH = "the ratio redistributes units with y >= 0 only, and there z' >= y"
    NEGATIVE_BRANCH = "the ratio redistributes units with y < 0 only, and there z' <= y"


@dataclass(frozen=True)
class Quotient:
    """How the q of one ratio is computed.

    Parameters
    ----------
    part : int
        The part of the stacked product that is z'.
    coefficient : float
        The ratio's coefficient.
    denominator : Denominator
        What is certain of z'.
    """

    part: int
    coefficient: float
    denominator: Denominator


@dataclass(frozen=True)
class Recipe:
    """A rule on one layer, reduced: the products to compute, the layer's output from them, and each ratio's q.

    Parameters
    ----------
    maps : tuple of callable
        The maps of the input that the products read. If it is the identity alone, relevance is carried.
    parts : tuple of tuple of Term
        The sums of terms that are computed, with their biases.
    output : tuple of int
        The parts whose sum, times `scale`, is the layer's own z.
    quotients : tuple of Quotient
        One for each ratio.
    rule : Rule
        The reduced rule.
    epsilon : float
        What the rule's stabilizer adds to a denominator.
    bounded : bool
        Whether |q| cannot exceed the coefficient. A rounding error in z' then moves no more relevance than a rounding
        error. Winograd's convolutions, whose errors are relative to a whole tile, are used only where this holds:
        elsewhere s may be as large as R / epsilon at one unit and small at its neighbours, as in alpha-beta, whose
        negative part may be almost empty.
    scale : float
        See `output`.
    """

    maps: tuple[Map, ...]
    parts: tuple[tuple[Term, ...], ...]
    output: tuple[int, ...]
    quotients: tuple[Quotient, ...]
    rule: Rule
    epsilon: float
    bounded: bool
    scale: float = 1

    @property
    def on_input(self) -> bool:
        """Whether all terms are on the input itself, so that R_i = a_i c_i."""
        return self.maps == (identity,)


OWN = Term(b=identity)
"""The layer's own z = sum a w + b."""

SIGN_PARTS = [(Term(w=positive, b=positive),), (Term(w=negative, b=negative),)]
"""The positive and the negative part on an input a >= 0; their sum is z."""


@dataclass(frozen=True)
class Surroundings:
    """What is certain of a layer's surroundings, whatever the input.

    Parameters
    ----------
    nonnegative : bool
        Whether the layer's inputs are never negative.
    rectified : bool
        Whether a ReLU alone reads the layer, and is computed with it.
    carried : bool
        Whether relevance arrives as a factor of the layer's (rectified) output.
    bias_varies : bool
        Whether the bias differs from position to position (`Conv2D.bias_taps`), so that its sign is unknown.
    """

    nonnegative: bool
    rectified: bool
    carried: bool
    bias_varies: bool = False


def recipe(rule: Rule, mapped: Mapped, at: Surroundings) -> Recipe:
    """Reduce a rule, for which `unitwise` holds, on a layer of these weights and biases."""
    if at.nonnegative and at.rectified and at.carried:
        rule = for_rectified(rule)
    ratios = on_nonnegative(rule.ratios()) if at.nonnegative else rule.ratios()
    parts, maps = [ratio.terms for ratio in ratios], maps_read([term for ratio in ratios for term in ratio.terms])
    own, epsilon = own_terms(maps), stabilizer_of(rule, mapped.w)
    both_branches = _is_generalised_gamma(rule) and at.nonnegative and at.carried and epsilon > 0
    denominators = [_denominator(rule, epsilon, terms, mapped, at) for terms in parts]
    first, scale = 0, 1.0
    if both_branches:  # (z + gamma z+) + (z + gamma z-) = (2 + gamma) z
        output: tuple[int, ...] = (0, 1)
        scale = 1 / (2 + rule.gamma)  # type: ignore[attr-defined]
        denominators = [Denominator.POSITIVE_BRANCH, Denominator.NEGATIVE_BRANCH]
    elif own in parts:
        output = (parts.index(own),)
    elif all(part in parts for part in SIGN_PARTS):
        output = (parts.index(SIGN_PARTS[0]), parts.index(SIGN_PARTS[1]))
    else:
        parts, output, first = [own, *parts], (0,), 1
    quotients = tuple(
        Quotient(first + k, ratio.coefficient, denominator)
        for k, (ratio, denominator) in enumerate(zip(ratios, denominators, strict=True))
    )
    above = all(denominator in (Denominator.ABOVE_OUTPUT, Denominator.SUM_ABOVE_OUTPUT) for denominator in denominators)
    bounded = at.carried and maps == (identity,) and (_bounds_itself(rule) or above)
    return Recipe(maps, tuple(parts), output, quotients, rule, epsilon, bounded, scale)


def _is_generalised_gamma(rule: Rule) -> bool:
    return type(rule) is Gamma and rule.generalised


def _bounds_itself(rule: Rule) -> bool:
    """Whether the rule's denominator is at least |z|, whatever the sign of z."""
    return type(rule) in (Zero, Epsilon) or _is_generalised_gamma(rule)


def weights_of_signs(rule: Rule) -> tuple[float, float] | None:
    """u and v of a rule that shares out u a+ + v a- of each input of a sum z > 0; None for other rules."""
    if _is_generalised_gamma(rule):
        return 1 + float(rule.gamma), 1.0  # type: ignore[attr-defined]
    return (1.0, -1.0) if type(rule) is Absolute else None


def stabilizer_of(rule: Rule, like: Array) -> float:
    """What the rule's stabilizer adds to a denominator, in the number type of `like`."""
    return float(np.asarray(rule.stabilize(np.zeros(1, dtype=str(like.dtype))))[0])


# ---- what is certain of a denominator --------------------------------------------------------------------------

MAP_SIGNS: dict[Map, int] = {positive: 1, magnitude: 1, square: 1, one: 1, negative: -1}
"""The sign of a map's result, if it has only one."""


def _denominator(rule: Rule, epsilon: float, terms: tuple[Term, ...], mapped: Mapped, at: Surroundings) -> Denominator:
    """What is certain of the sum of a ratio's terms, by the signs of the weights and biases themselves."""
    if not fixed_shares(rule) or epsilon <= 0:
        return Denominator.UNKNOWN
    rectified = at.rectified and at.carried
    if terms == (OWN,):
        return Denominator.ABOVE_OUTPUT if rectified else Denominator.UNKNOWN
    if at.bias_varies and any(term.b is not None for term in terms):
        return Denominator.UNKNOWN
    signs = [term.sign * _input_sign(term.a, at.nonnegative) for term in terms]
    if 0 in signs:
        return Denominator.UNKNOWN
    above = rectified and not at.bias_varies and _exceeds_own(terms, mapped)
    if _all_have_sign(terms, signs, mapped, 1):
        return Denominator.SUM_ABOVE_OUTPUT if above else Denominator.NONNEGATIVE
    if above:
        return Denominator.ABOVE_OUTPUT
    return Denominator.NONPOSITIVE if _all_have_sign(terms, signs, mapped, -1) else Denominator.UNKNOWN


def _exceeds_own(terms: tuple[Term, ...], mapped: Mapped) -> bool:
    """Whether a single term on inputs a >= 0 is at least the layer's own z: weight by weight and bias by bias."""
    if len(terms) != 1:
        return False
    (term,) = terms
    if term.a is not identity or term.sign != 1 or (term.b is None and mapped.b is not None):
        return False
    return _is_above(term.w, mapped.weight(term.w), mapped.w) and (
        term.b is None or mapped.b is None or _is_above(term.b, mapped.bias(term.b), mapped.b)
    )


def _is_above(m: Map, values: Array, own: Array) -> bool:
    """Whether every mapped value is at least the value itself; known of x+ and |x| without looking."""
    return m in (positive, magnitude) or bool(array_namespace(own).all(values >= own))


def _all_have_sign(terms: tuple[Term, ...], signs: Sequence[int], mapped: Mapped, sign: int) -> bool:
    """Whether every product of every term, and every bias, has this sign or is 0."""
    weights = all(_has_sign(term.w, mapped.weight(term.w), sign * s) for term, s in zip(terms, signs, strict=True))
    return weights and all(
        _has_sign(term.b, mapped.bias(term.b), sign * term.sign)
        for term in terms
        if term.b is not None and mapped.b is not None
    )


def _input_sign(map_: Map, nonnegative: bool) -> int:
    """The sign of a map of the input, 0 where it may have both."""
    signs = [sign for known, sign in MAP_SIGNS.items() if known is map_]
    return signs[0] if signs else int(map_ is identity and nonnegative)


def _has_sign(m: Map, values: Array, sign: int) -> bool:
    """Whether all mapped values times `sign`, +1 or -1, are at least 0; of some maps this is known without looking."""
    known = [own for each, own in MAP_SIGNS.items() if each is m]
    return sign in known or bool(array_namespace(values).all(values >= 0 if sign > 0 else values <= 0))


# ---- sums of terms as products ---------------------------------------------------------------------------------


def maps_read(terms: Sequence[Term]) -> tuple[Map, ...]:
    """The maps of the input that the terms read, and those that z itself is made of."""
    maps: list[Map] = []
    for term in terms:  # compared by ==, because a method of the rule is a new object each time it is read
        if term.a not in maps:
            maps.append(term.a)
    known = identity in maps or (positive in maps and negative in maps)
    return tuple(maps) if known else (identity, *maps)


def own_terms(maps: Sequence[Map]) -> tuple[Term, ...]:
    """z = sum a w + b, or sum a+ w + sum a- w + b."""
    return (OWN,) if identity in maps else (Term(positive, b=identity), Term(negative))


class Mapped:
    """A layer's weight and bias under the maps of a rule, each computed once.

    Parameters
    ----------
    w : array
        The weight.
    b : array or None
        The bias.
    """

    def __init__(self, w: Array, b: Array | None) -> None:
        self.w, self.b = w, b
        self._weights: list[tuple[Map, Array]] = [(identity, w)]

    def weight(self, m: Map) -> Array:
        """m(w)."""
        for known, found in self._weights:
            if known == m:  # compared by ==, because a method of the rule is a new object each time it is read
                return found
        self._weights.append((m, m(self.w)))
        return self._weights[-1][1]

    def bias(self, m: Map) -> Any:
        """m(b)."""
        return m(self.b)  # type: ignore[arg-type]  # asked for where there is one

    def weights_of(self, terms: Sequence[Term], maps: Sequence[Map]) -> Array:
        """The weights of a sum of terms, (O, M C, ...): for each of the M maps those of the terms that read it."""
        xp, blocks = array_namespace(self.w), []
        for m in maps:
            read = [self.weight(term.w) if term.sign == 1 else -self.weight(term.w) for term in terms if term.a == m]
            blocks.append(sum(read[1:], start=read[0]) if read else xp.zeros_like(self.w))
        return blocks[0] if len(blocks) == 1 else xp.concatenate(blocks, axis=1)


def bias_of(terms: Sequence[Term], b: Array | None) -> Array | None:
    """The bias of a sum of terms; None where it has none."""
    held = [term.sign * term.b(b) for term in terms if term.b is not None and b is not None]
    return sum(held[1:], start=held[0]) if held else None


# ---- quotients -------------------------------------------------------------------------------------------------


def record_quotient(
    lane: Lane,
    recipe: Recipe,
    k: int,
    parts: Mapping[int, Buffer] | Sequence[Buffer],
    z: Buffer,
    y: Buffer,
    out: Buffer,
    exact: bool,
    lifted: bool,
) -> None:
    """Record q of ratio k, (share of y) / stabilize(z'), to `out`, which may be z' itself. `parts` serve as scratch.

    Where the sign of z' is certain this is `plain_quotient` with its cases decided beforehand; the tests compare the
    two. z' is first moved to the side where it must be, since rounding may have moved it out; not so if it was added
    up as a sum of terms of one sign (`exact`). `lifted` says that z' contains epsilon already.
    """
    quotient, xp = recipe.quotients[k], array_namespace(y)
    part, certain, epsilon = parts[quotient.part], quotient.denominator, recipe.epsilon
    if certain is Denominator.UNKNOWN:
        lane(_write_plain, out, recipe.rule, k, [parts[q.part] for q in recipe.quotients], z, y)
        return
    if certain is Denominator.ABOVE_OUTPUT and recipe.output == (quotient.part,) and recipe.scale == 1:
        lane(xp.add, y, epsilon, out=part)  # z' is z, and y = max(z, 0)
        lifted = True
    elif certain in (Denominator.POSITIVE_BRANCH, Denominator.NEGATIVE_BRANCH):
        towards = xp.maximum if certain is Denominator.POSITIVE_BRANCH else xp.minimum
        branch = lane.buffer("branch", y.shape, y.dtype)
        lane(y.clip, *side(certain), out=branch)
        lane(towards, part, branch, out=part)
        y = branch
    elif certain is Denominator.ABOVE_OUTPUT or (certain is Denominator.SUM_ABOVE_OUTPUT and not exact):
        lane(xp.maximum, part, y, out=part)
    elif not exact:
        lane(part.clip, *side(certain), out=part)
    below_zero = certain in (Denominator.NONPOSITIVE, Denominator.NEGATIVE_BRANCH)
    if not lifted:
        lane(xp.add, part, -epsilon if below_zero else epsilon, out=part)
    lane(xp.divide, y, part, out=out)
    if quotient.coefficient != 1:
        lane(xp.multiply, out, float(quotient.coefficient), out=out)


def side(certain: Denominator) -> tuple[float, float]:
    """The bounds of the side of zero on which a denominator, or the branch of a ratio, lies."""
    below_zero = certain in (Denominator.NONPOSITIVE, Denominator.NEGATIVE_BRANCH)
    return (-np.inf, 0) if below_zero else (0, np.inf)


def _write_plain(out: Buffer, rule: Rule, k: int, zs: Sequence[Array], z: Array, y: Array) -> None:
    """Write the quotient, computed by the rule's own code."""
    out[...] = plain_quotient(rule, k, zs, z, y)


def plain_quotient(rule: Rule, k: int, zs: Sequence[Array], z: Array, y: Array) -> Array:
    """q of ratio k by the rule's own code, from the denominators of all ratios."""
    shares = rule.shares(_Computed(z), (), y, rule.ratios(), list(zs))
    return divide(shares[k], rule.stabilize(zs[k]))


@dataclass(frozen=True)
class _Computed:
    """A layer whose output has been computed, for rules whose shares depend on it."""

    z: Array

    def forward(self, *inputs: Any) -> Array:
        """z."""
        return self.z
