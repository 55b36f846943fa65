"""Is it true of every network?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from lrpref import Dense, rules, testing
from lrpref.rules import Ratio, Rule, Term, identity, one

from .exercise import Refused, exercise
from .reading import demand, entries, exact, fraction, needs, shown


@exercise(
    "prove",
    5,
    "What else is part of the denominator of LRP-0?",
    "A negative bias makes z smaller than the contribution. z must stay positive.",
    start='too_generous = {"a": None, "w": None, "b": None}',
)
def too_generous(answer: Any) -> None:
    """The smallest counterexample.

    "If all contributions to a neuron are positive, and its output is positive too, then no input gets more than R under
    LRP-0." A neuron with one input is enough to disprove this. Find its a, w and b.
    """
    given = entries(answer, ["a", "w", "b"])
    a, w, b = (fraction(given[name], name) for name in ("a", "w", "b"))
    demand(a * w > 0, f"The contribution is {a * w}; the claim is about positive ones.")
    demand(a * w + b > 0, f"The output is {a * w + b}; the claim is about positive ones.")
    R = Dense(exact([[w]]), exact([b])).relevance(exact([[a]]), exact([[1]]), rules.Zero()).item()
    demand(R > 1, f"The input gets {R} of 1, which agrees with the claim.")


@dataclass(frozen=True)
class _PlusOne(Rule):
    """A planted rule that passes on all it gets, in proportion to a (w + 1): it does notice a scale."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(identity, lambda w: w + one(w), identity),)),)


@exercise(
    "write",
    12,
    "Make the doubled layer: Dense(2 * layer.weight, ...). It may have no bias: layer.bias is None then.",
    "Compare the relevance of every input, not the sum: some rules pass on the same amount but divide it differently.",
    start='''
    def unchanged_when_doubled(rule, layer, a, R):
        """Whether doubling all weights and biases of a Dense layer leaves its relevance as it is."""
        raise NotImplementedError
    ''',
)
def unchanged_when_doubled(answer: Any) -> None:
    """A law is a function.

    Write the law "doubling the parameters of a layer changes no relevance" as a function that returns True or False for
    one case. The check calls it with rules that obey the law and rules that break it, and with layers with and without
    a bias. The numbers are fractions, so compare with ==.
    """
    random = np.random.default_rng(0)
    obey = [rules.Zero(), rules.ZPlus(), rules.Gamma(1), rules.WSquare(), rules.Flat()]
    for rule, bias in product([*obey, rules.Epsilon(1), _PlusOne()], (False, True)):
        w, b, a, R = (exact(random.integers(1, 5, size)) for size in [(2, 3), (2,), (1, 3), (1, 2)])
        layer = Dense(w - 2, b if bias else None)
        doubled = Dense(2 * layer.weight, 2 * layer.bias if bias else None)
        holds = bool((layer.relevance(a, R, rule) == doubled.relevance(a, R, rule)).all())
        said = answer(rule, layer, a, R)
        demand(isinstance(said, bool | np.bool_), f"Return True or False, not {said!r}.")
        if bool(said) == holds:
            continue
        name = "a rule that the check brings along" if isinstance(rule, _PlusOne) else rule.name
        before, after = layer.relevance(a, R, rule)[0], doubled.relevance(a, R, rule)[0]
        raise Refused(
            f"You say {bool(said)} for {name} on a layer {'with' if bias else 'without'} a bias. The relevance is "
            f"{shown(before)} before and {shown(after)} after."
        )


@cache
def _table() -> dict[tuple[tuple[int, int], tuple[int, int]], bool]:
    """For every small neuron with inputs >= 0, whether plain and generalised gamma agree."""
    table, inputs = {}, list(product(range(3), repeat=2))
    for w in product(range(-2, 3), repeat=2):
        layer, R = Dense(exact([w])), exact([[1]] * len(inputs))
        plain, general = (layer.relevance(exact(inputs), R, rules.Gamma(1, generalised=g)) for g in (False, True))
        table |= {(a, w): bool(same) for a, same in zip(inputs, (plain == general).all(axis=1), strict=True)}
    return table


@exercise(
    "prove",
    15,
    "Write down both fractions for z >= 0. What does the generalised form do for z < 0 that the plain form does not?",
    "For z < 0 they differ, unless no contribution is positive, so that plain gamma enlarges nothing.",
    start='''
    def agree(a, w):
        """Whether both forms give the same relevance; a (all >= 0) and w are tuples of two integers."""
        raise NotImplementedError
    ''',
)
def agree(answer: Any) -> None:
    """Proof by trying every case.

    For inputs a >= 0, plain gamma and generalised gamma (gamma = 1, no bias) often agree. Write the exact condition for
    this as a function of a and w that calls neither rule. The check compares it with both rules on all 225 neurons that
    have two integer inputs from 0 to 2 and two integer weights from -2 to 2. Within those bounds, this is a proof.
    """
    for (a, w), same in _table().items():
        if bool(answer(a, w)) == same:
            continue
        layer, x, R = Dense(exact([w])), exact([a]), exact([[1]])
        plain, general = (layer.relevance(x, R, rules.Gamma(1, generalised=g))[0] for g in (False, True))
        raise Refused(
            f"At a = {a} and w = {w} you say {bool(answer(a, w))}. Plain gamma gives {shown(plain)}, and the "
            f"generalised form {shown(general)}."
        )


@exercise(
    "repair",
    10,
    "(a w)+ = a+ w+ + a- w-. Write one term for each product.",
    "A Ratio may have two terms with one denominator. Put the bias into only one of them, or it counts twice.",
    start='''
    from dataclasses import dataclass

    from lrpref.rules import Ratio, Rule, Term, identity, negative, positive


    @dataclass(frozen=True)
    class Repaired(Rule):
        """R_i = sum_j a_i w_ij+ / (sum_i a_i w_ij+ + b_j+) R_j, which is not z-plus."""

        def ratios(self):
            return (Ratio((Term(identity, positive, positive),)),)
    ''',
)
def Repaired(answer: Any) -> None:
    """Repair the rule for every layer.

    Repair the rule of this step so that it is z-plus on every layer and for inputs of both signs. The check tries all
    243 neurons with two inputs whose numbers are -1, 0 or 1, and then `lrpref.testing.check_rule(Repaired(),
    like=rules.ZPlus())`. (Do not declare the rule for non-negative inputs only, and do not derive it from
    `rules.ZPlus`.)
    """
    rule = answer()
    demand(isinstance(rule, Rule), "Repaired must be a class derived from lrpref.rules.Rule.")
    demand(not isinstance(rule, rules.ZPlus), "That is the library's own class. Write the terms yourself.")
    demand(not rule.needs_nonnegative, "You declare it for inputs >= 0. It should hold for every input.")
    inputs = list(product((0, 1, -1), repeat=2))
    for *w, b in product((0, 1, -1), repeat=3):
        layer, R = Dense(exact([w]), exact([b])), exact([[1]] * len(inputs))
        mine, theirs = (layer.relevance(exact(inputs), R, each) for each in (rule, rules.ZPlus()))
        for a, got, right in zip(inputs, mine, theirs, strict=True):
            if (got != right).any():
                raise Refused(
                    f"At the weights {shown(w)}, the bias {b} and the inputs {shown(a)}, z-plus sends "
                    f"{shown(right)} and your rule {shown(got)}."
                )
    needs("hypothesis")
    try:
        testing.check_rule(rule, like=rules.ZPlus(), max_examples=10)
    except testing.ChecksFailed as failed:
        raise Refused(f"A counterexample:\n\n  {str(failed).strip()}") from None
