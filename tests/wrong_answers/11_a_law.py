"""Wrong answers to the exercises of step 11, and a part of what the learner is told."""

from dataclasses import dataclass

import numpy as np

from lrpref import Dense
from lrpref.rules import Ratio, Rule, Term, ZPlus, identity, negative, positive


def doubled(layer):
    return Dense(2 * layer.weight, None if layer.bias is None else 2 * layer.bias)


def sums_only(rule, layer, a, R):
    return bool(layer.relevance(a, R, rule).sum() == doubled(layer).relevance(a, R, rule).sum())


def bias_forgotten(rule, layer, a, R):
    twice = Dense(2 * layer.weight, layer.bias)
    return bool((layer.relevance(a, R, rule) == twice.relevance(a, R, rule)).all())


def of_terms(*terms, nonnegative=False):
    @dataclass(frozen=True)
    class Repaired(Rule):
        needs_nonnegative = nonnegative

        def ratios(self):
            return (Ratio(terms),)

    return Repaired


@dataclass(frozen=True)
class OneForAll(Rule):
    """Right for a single neuron. Where there are several, each of them distributes the relevance of all."""

    def ratios(self):
        return (Ratio((Term(positive, positive, positive), Term(negative, negative))),)

    def shares(self, layer, inputs, R, ratios, zs):
        return [0 * R + R.reshape(len(R), -1).sum(axis=1).reshape(-1, *[1] * (R.ndim - 1))]


WRONG = {
    "too_generous": [
        ({"a": 1, "w": 2, "b": 1}, "gets 2/3 of 1"),
        ({"a": 1, "w": 2, "b": 0}, "gets 1 of 1"),
        ({"a": 1, "w": 2, "b": -3}, "The output is -1"),
        ({"a": -1, "w": 2, "b": 3}, "The contribution is -2"),
    ],
    "unchanged_when_doubled": [
        (lambda rule, layer, a, R: True, "for epsilon"),
        (lambda rule, layer, a, R: False, "for zero on a layer without"),
        (sums_only, "a rule that the check brings along"),
        (bias_forgotten, "on a layer with a bias"),
        (lambda rule, layer, a, R: np.array([True, True]), "Return True or False"),
    ],
    "agree": [
        (lambda a, w: True, "you say True"),
        (lambda a, w: min(w) >= 0, "you say False"),
        (lambda a, w: sum(x * y for x, y in zip(a, w, strict=True)) >= 0, "you say False"),
        (lambda a, w: sum(x * y for x, y in zip(a, w, strict=True)) > 0, "At a = (0, 0)"),
    ],
    "Repaired": [
        (of_terms(Term(identity, positive, positive)), "the bias 0 and the inputs (0, -1)"),
        (of_terms(Term(positive, positive, positive)), "z-plus sends (0, 1) and your rule (0, 0)"),
        (of_terms(Term(positive, positive, positive), Term(negative, negative, positive)), "the bias 1"),
        (OneForAll, "A counterexample"),
        (of_terms(Term(identity, positive, positive), nonnegative=True), "It should hold for every input"),
        (ZPlus, "the library's own class"),
        (dict, "derived from lrpref.rules.Rule"),
    ],
}
