"""Wrong answers to the exercises of step 4, and a part of what the learner is told."""

import numpy as np

import lrpref
from lrpref import Conv2D, Dense, rules
from lrpref.composites import Composite, first


def seeded(of_one, of_other):
    def contrast(net, x, one, other):
        logits = net.forward(x)[0]
        seed = np.zeros((1, 10))
        seed[0, one], seed[0, other] = of_one(logits[one]), of_other(logits[other])
        return lrpref.explain(net, x, seed=seed, rule="epsilon-plus-flat")

    return contrast


WRONG = {
    "all_higher": [
        ({"map": 5, "bias": 0}, "some unit below the logits"),
        ({"map": 0, "bias": 0}, "grows by 5"),
        ({"map": 5, "bias": 5}, "Your changes sum to 10"),
        (0, "must be a dictionary"),
    ],
    "contrast": [
        (seeded(lambda one: one, lambda other: other), "the sum of the two maps"),
        (seeded(lambda one: 1, lambda other: -1), "starts at 1 and -1"),
        (seeded(lambda one: one, lambda other: 0), "the map of 9 alone"),
        (lambda net, x, one, other: lrpref.trace(net, x, one), "got Trace; its map is `.relevance`"),
        (seeded(lambda one: -one, lambda other: other), "the map of 4 rather than 9"),
        (seeded(lambda one: one - 10, lambda other: -other), "the two maps differ by"),
        (lambda net, x, one, other: lrpref.explain(net, x, one)[0], "must have the shape"),
    ],
    "in_order": [
        (
            Composite([(Conv2D, rules.ZPlus()), (Dense, rules.Epsilon()), (first, rules.Flat())]),
            "conv1 has z-plus, and the reason given is 'type Conv2D'",
        ),
        (
            Composite([("conv1", rules.Flat()), (Conv2D, rules.ZPlus()), (Dense, rules.Epsilon())]),
            "On mnist-mlp: no linear layer is called 'conv1'",
        ),
        (
            Composite([(Conv2D, rules.ZPlus()), (first, rules.Flat()), (Dense, rules.Epsilon())]),
            "conv1 has z-plus",
        ),
        (Composite([(first, rules.Flat()), (Conv2D, rules.ZPlus())]), "has no rule for node"),
        ([(first, rules.Flat())], "must be a Composite"),
    ],
    "one_pixel": [
        ((8, 14), "still says nine"),
        ((13, 16), "already has ink"),
        ((28, 0), "from 0 to 27"),
        (13, "a pair"),
    ],
}
