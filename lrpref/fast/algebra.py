"""What may be left out of a rule, and what may be computed once, without changing the result.

Three facts save most of the work:

1. **Inputs that are never negative.** After a ReLU a = a+ and a- = 0, so a rule's terms on a+ are terms on a, and
   those on a- are nothing. Alpha-beta, gamma and z-plus are halved.

2. **Terms on one input share one convolution.** sum_i a_i w_ij and sum_i a_i w_ij+ differ in their weights alone:
   the two weights stand side by side in one product, whose input is gathered once. Where the positive and the
   negative part are both computed, z itself is their sum.

3. **Relevance is carried as a factor.** Under a rule whose terms are all on the input itself,

       R_i = a_i c_i          c_i = sum_j w'_ij s_j          s_j = share_j / stabilize(z'_j)

   and a unit's share is proportional to its R_j. So with R_j = y_j c_j for the layer's output y,

       s_j = c_j q_j          q_j = (share of y_j) / stabilize(z'_j)

   where q is known on the way forward, while z' is still in the cache. R itself is formed once, at the input.

Formulas of rules are not repeated here: ratios, shares and denominators are the rules' own (`lrpref.engine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..backend import Array, array_namespace
from ..engine import Map, Ratio, Rule, Term, divide, identity, magnitude, negative, one, positive, square
from ..layers import (
    Add,
    AvgPool2D,
    Concat,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    Pad2D,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
)
from ..rules import AlphaBeta, Epsilon, Gamma, Zero

NEVER_NEGATIVE = (ReLU, ReLU6, Sigmoid, Softmax)
KEEPS_SIGN = (MaxPool2D, AvgPool2D, GlobalAvgPool2D, Flatten, Dropout, Concat, Add)


def nonnegative_nodes(nodes: Sequence[tuple[str, Layer, Sequence[str]]]) -> frozenset[str]:
    """The nodes whose output can hold no negative number, whatever the network's input."""
    known: set[str] = set()
    for name, layer, inputs in nodes:
        kept = type(layer) in KEEPS_SIGN or (isinstance(layer, Pad2D) and layer.value >= 0)
        if type(layer) in NEVER_NEGATIVE or (kept and known.issuperset(inputs)):
            known.add(name)
    return frozenset(known)


def unitwise(rule: Rule) -> bool:
    """Whether each output unit is redistributed independently of the others, so that a layer may be cut in pieces.

    Known for the steps of the engine and of lrpref's own rules; a rule with steps of its own may do anything.
    """
    if _steps_are(rule, Epsilon):
        return rule.scale is None  # type: ignore[attr-defined]  # "rms" looks at all units of a sample
    return any(_steps_are(rule, kind) for kind in (Rule, Gamma, AlphaBeta))


def fixed_shares(rule: Rule) -> bool:
    """Whether each ratio distributes its coefficient times R, whatever z is."""
    if _steps_are(rule, Gamma):
        return not rule.generalised  # type: ignore[attr-defined]
    if _steps_are(rule, AlphaBeta):
        return bool(rule.empty == "literal")  # type: ignore[attr-defined]
    return type(rule).shares is Rule.shares


def _steps_are(rule: Rule, kind: type[Rule]) -> bool:
    """Whether a rule takes the steps of `kind`, and none of its own."""
    return all(getattr(type(rule), step) is getattr(kind, step) for step in ("flow", "shares", "stabilize"))


def on_nonnegative(ratios: Sequence[Ratio]) -> tuple[Ratio, ...]:
    """The same ratios for inputs a >= 0: a+ and |a| are a, and a- is nothing."""
    return tuple(replace(ratio, terms=tuple(_plain(t) for t in ratio.terms if not _nothing(t))) for ratio in ratios)


def _plain(term: Term) -> Term:
    return replace(term, a=identity) if term.a in (positive, magnitude) else term


def _nothing(term: Term) -> bool:
    return term.a is negative and term.b is None


def for_rectified(rule: Rule) -> Rule:
    """The same rule where every unit with z <= 0 has R = 0, as before a ReLU whose relevance is carried.

    Of generalised gamma the branch for z < 0 has nothing to share out; on a >= 0 what remains is the plain form.
    """
    return replace(rule, generalised=False) if type(rule) is Gamma else rule


@dataclass(frozen=True)
class Share:
    """How one ratio's q is made: from the part `index` of the stacked product.

    way  "over": z' >= y >= 0, add the stabilizer; "plus": z' >= 0, likewise; "minus": z' <= 0, subtract it; "up" and
         "down": the share of units with y >= 0 only, where z' >= y, and of those with y < 0, where z' <= y; "as it
         is": the rule's own code, which supposes nothing
    """

    index: int
    coefficient: float
    way: str


@dataclass(frozen=True)
class Recipe:
    """A rule on one layer, reduced: what to stack, what adds up to the layer's output, and each ratio's q.

    terms   the distinct (weight map, bias map) pairs whose products are computed
    output  the parts whose sum, times `scale`, is the layer's own z
    shares  one for each ratio
    rule    the reduced rule
    bounded whether |q| cannot exceed the coefficient: then a rounding error in z' moves relevance by no more than a
            rounding error. A convolution whose errors are relative to a whole tile, as Winograd's are, is used only
            where this holds: elsewhere s may be as large as R / epsilon at a unit whose neighbours are not
    apart   whether the units where |q| is large can be told from the others, and computed one by one
    """

    terms: tuple[Term, ...]
    output: tuple[int, ...]
    shares: tuple[Share, ...]
    rule: Rule
    bounded: bool
    apart: bool
    scale: float = 1


OWN = Term(b=identity)
"""The layer's own z = sum a w + b."""


def recipe(rule: Rule, w: Array, b: Array | None, nonnegative: bool, rectified: bool, carried: bool) -> Recipe | None:
    """The reduced rule, or None where its relevance cannot be carried as a factor of the input.

    w, b         the layer's weight and bias
    nonnegative  whether the layer's input is never negative
    rectified    whether a ReLU alone follows
    carried      whether relevance arrives as a factor of the layer's (rectified) output
    """
    if not unitwise(rule):
        return None
    if nonnegative and rectified and carried:
        rule = for_rectified(rule)
    ratios = on_nonnegative(rule.ratios()) if nonnegative else rule.ratios()
    if not all(len(p.terms) == 1 and p.terms[0].a is identity and p.terms[0].sign == 1 for p in ratios):
        return None
    terms = list(dict.fromkeys(ratio.terms[0] for ratio in ratios))
    apart = [Term(w=positive, b=positive), Term(w=negative, b=negative)]
    both_signs = _gamma_of_both_signs(rule) and nonnegative and carried and added(rule, w) > 0
    scale = 1.0
    if both_signs:  # (z + gamma z+) + (z + gamma z-) = (2 + gamma) z
        output: tuple[int, ...] = (0, 1)
        scale = 1 / (2 + rule.gamma)  # type: ignore[attr-defined]
    elif OWN in terms:
        output = (terms.index(OWN),)
    elif set(apart) <= set(terms):
        output = (terms.index(apart[0]), terms.index(apart[1]))
    else:
        terms, output = [OWN, *terms], (0,)
    if len({ratio.terms[0] for ratio in ratios}) < len(ratios):
        return None
    ways = ["up", "down"] if both_signs else [_way(rule, t, w, b, nonnegative, rectified and carried) for t in terms]
    shares = tuple(Share(terms.index(p.terms[0]), p.coefficient, ways[terms.index(p.terms[0])]) for p in ratios)
    bounded = carried and (_self_bounded(rule) or all(share.way == "over" for share in shares))
    told_apart = carried and all(share.way in ("over", "plus", "minus") for share in shares)
    return Recipe(tuple(terms), output, shares, rule, bounded, told_apart, scale)


def _gamma_of_both_signs(rule: Rule) -> bool:
    return type(rule) is Gamma and rule.generalised


def _self_bounded(rule: Rule) -> bool:
    """Whether the rule's denominator is at least |z|, whatever the sign of z."""
    return type(rule) in (Zero, Epsilon) or _gamma_of_both_signs(rule)


def _way(rule: Rule, term: Term, w: Array, b: Array | None, nonnegative: bool, rectified: bool) -> str:
    """What is certain of the part's z', seen from the weights themselves."""
    xp = array_namespace(w)
    if not fixed_shares(rule) or added(rule, w) <= 0:
        return "as it is"
    if rectified and term == OWN:
        return "over"
    if not nonnegative or term == OWN:
        return "as it is"
    pairs = [(term.w(w), w)] + ([] if term.b is None or b is None else [(term.b(b), b)])
    if rectified and (term.b is not None or b is None) and all(bool(xp.all(more >= own)) for more, own in pairs):
        return "over"
    if all(bool(xp.all(mapped >= 0)) for mapped, _ in pairs):
        return "plus"
    return "minus" if all(bool(xp.all(mapped <= 0)) for mapped, _ in pairs) else "as it is"


def ratio_bias(ratio: Ratio, b: Array | None) -> Array | None:
    """The biases of a ratio's terms, added; None where it has none."""
    held = [term.sign * term.b(b) for term in ratio.terms if term.b is not None and b is not None]
    return sum(held[1:], start=held[0]) if held else None


def way_of_terms(rule: Rule, terms: Sequence[Term], w: Array, b: Array | None) -> str:
    """What is certain of the z' of terms that are added, whatever the input: "plus", "minus" or "as it is"."""
    if not fixed_shares(rule) or added(rule, w) <= 0:
        return "as it is"
    signs = {term.sign * MAP_SIGNS.get(term.a, 0) * _sign(term.w(w)) for term in terms}
    signs |= {term.sign * _sign(term.b(b)) for term in terms if term.b is not None and b is not None}
    return {1: "plus", -1: "minus"}.get(signs.pop(), "as it is") if len(signs) == 1 else "as it is"


MAP_SIGNS: dict[Map, int] = {positive: 1, magnitude: 1, square: 1, one: 1, negative: -1}
"""The sign that a map's result has, where it has but one."""


def _sign(values: Array) -> int:
    xp = array_namespace(values)
    return 1 if bool(xp.all(values >= 0)) else -1 if bool(xp.all(values <= 0)) else 0


def added(rule: Rule, like: Array) -> float:
    """What the rule's stabilizer adds to a denominator."""
    xp = array_namespace(like)
    return float(rule.stabilize(xp.zeros((1,), dtype=like.dtype))[0])


def quotient(recipe: Recipe, k: int, parts: Sequence[Array], z: Array, y: Array, out: Array) -> None:
    """q of ratio k, written to `out`: (share of y) / stabilize(z').

    Where the sign of z' is certain this is the plain form with its questions answered beforehand; the tests hold the
    two together. z' is first put where it must be, since rounding may have moved it out. `parts` serve as scratch.
    """
    share = recipe.shares[k]
    part, xp = parts[share.index], array_namespace(y)
    if share.way == "as it is":
        out[...] = plain_quotient(recipe.rule, k, [parts[s.index] for s in recipe.shares], z, y)
        return
    epsilon = added(recipe.rule, y)
    if share.way == "up":
        y = xp.clip(y, 0, xp.inf)
    elif share.way == "down":
        y = xp.clip(y, -xp.inf, 0)
    if share.way == "plus":
        xp.clip(part, 0, xp.inf, out=part)
    elif share.way == "minus":
        xp.clip(part, -xp.inf, 0, out=part)
    else:
        (xp.minimum if share.way == "down" else xp.maximum)(part, y, out=part)
    part += -epsilon if share.way in ("minus", "down") else epsilon
    xp.divide(y, part, out=out)
    if share.coefficient != 1:
        out *= share.coefficient


def plain_quotient(rule: Rule, k: int, zs: Sequence[Array], z: Array, y: Array) -> Array:
    """The same by the rule's own code."""
    shares = rule.shares(_Known(z), (), y, rule.ratios(), list(zs))
    return divide(shares[k], rule.stabilize(zs[k]))


@dataclass(frozen=True)
class _Known:
    """A layer whose output has been computed: what a rule that asks for it gets."""

    z: Array

    def forward(self, *inputs: Any) -> Array:
        """z."""
        return self.z
