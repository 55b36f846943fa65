"""Wrong answers to the exercises of step 2, and a part of what the learner is told."""

from dataclasses import dataclass

from lrpref.rules import Ratio, Rule, Term, identity, magnitude, square


def of_terms(*terms):
    @dataclass(frozen=True)
    class Squares(Rule):
        def ratios(self):
            return (Ratio(terms),)

    return Squares


WRONG = {
    "plus_messages": [
        ([["12/5", 0], [0, 2], [0, -4]], "dropped the negative weights"),
        ([[3, -3], [1, -2], [-2, 4]], "This is LRP-0"),
        ([[3, 0], [1, 0], [0, -2]], "where is its share"),
        ([[2, 0], ["2/3", 0], [0, 2]], "never flips a sign"),
        ([[2, 0], ["1/3", 0], [0, -2]], "Neuron 1 sends"),
        ([[2, 0], [0.667, 0], [0, -2]], "Neuron 1 sends (2, 667/1000, 0)"),
        ([[2, 0], [2 / 3, 0], [0, -2]], "is rounded"),
        ([[2, "2/3", 0], [0, 0, -2]], "3 by 2 numbers"),
    ],
    "notice": [
        ({"epsilon"}, "they are not all"),
        ({"epsilon", "z-box", "gamma"}, "gamma: the first neuron"),
        ({"w-square", "flat"}, "flat: the first neuron"),
        ({"zero", "epsilon", "gamma", "z-plus"}, "gamma: the first neuron"),
        ({"lrp-0"}, "is not among"),
    ],
    "gamma_flips": [
        (([2, 1], [1, -1]), "No input is negative"),
        (([1, -1], [1, -1]), "gamma sends"),
        (([-1, -1], [2, -1]), "must be positive"),
        ([1, 2, 3], "a pair"),
    ],
    "Squares": [
        (of_terms(Term(magnitude, magnitude, magnitude)), "the rule absolute"),
        (of_terms(Term(lambda a: a * 0 + 1, square)), "the rule w-square"),
        (of_terms(Term(identity, square, square)), "your rule sends"),
        (of_terms(Term(square, square)), "right without biases"),
        (of_terms(Term(square, square, magnitude)), "right without biases"),
        (dict, "derived from lrpref.rules.Rule"),
    ],
}
