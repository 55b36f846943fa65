"""Wrong answers to the exercises of step 8c, and a part of what the learner is told."""

import numpy as np


def leads(net, mixed):
    return (net.forward(mixed) @ [-1, 1]) * [-1, 1]


def in_place(net, two, part):
    two[:, :, part] = two[::-1][:, :, part].copy()
    return leads(net, two)


WRONG = {
    "signal": [
        ([1, 4, -3, 8, -5], "Yours sum to 5"),
        ([-1, 4, 0, 8, 5], "is rotated"),
        ([1, 6, 6, 4, -5], "With a stride of 2"),
        ([1, 4, 3, 8, -8], "you give it 3"),
        ([1, 4, 0], "5 numbers"),
    ],
    "two_classes": [
        ({"logit": 1, "one": 1}, "logit: for the weights"),
        ({"logit": -1, "one": -1}, "one: for the weights"),
        ({"logit": 0, "one": 1}, "your second map would be (0, 0, 0)"),
        ((-1, 1), "must be a dictionary"),
    ],
    "leads_after_exchange": [
        (lambda net, two, part: leads(net, np.where(part, 0, two)), "set the samples to 0"),
        (lambda net, two, part: -leads(net, np.where(part, two[::-1], two)), "the *other* answers"),
        (lambda net, two, part: leads(net, np.where(part, two, two[::-1])), "everything but this wave"),
        (lambda net, two, part: leads(net, two), "are not those of beats"),
        (in_place, "changes the beats"),
        (lambda net, two, part: net.forward(two), "must have the shape"),
    ],
}
