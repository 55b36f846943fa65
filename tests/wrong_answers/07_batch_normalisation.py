"""Wrong answers to the exercises of step 7, and a part of what the learner is told."""

import numpy as np

from lrpref import Conv2D


def everywhere(kernel, shift, height, width):
    return np.full((height, width), shift * kernel.sum())


def rotated(kernel, shift, height, width):
    conv = Conv2D(kernel[None, None, ::-1, ::-1].copy(), padding=1)
    return conv.forward(np.full((1, 1, height, width), shift))[0, 0]


WRONG = {
    "folded": [
        ({"weight": [4, -2], "bias": 1}, "At x = (0, 0) the two layers give 4"),
        ({"weight": [2, -1], "bias": 4}, "At x = (1, 0)"),
        ({"weight": [4, -2], "bias": 8}, "your neuron 8"),
        ({"weight": [2, -1], "bias": 3}, "your neuron 3"),
        ({"weight": [4, 2], "bias": 4}, "At x = (0, 1)"),
    ],
    "same": [
        ({"A", "B"}, "they are not all"),
        ({"A", "B", "C", "D"}, "C: for the weights"),
        ({"A", "B", "D", "E"}, "E: for the weights"),
        ({"A", "F"}, "is not among"),
    ],
    "bias_map": [
        (everywhere, "At the border, as at (0, 0)"),
        (rotated, "is rotated"),
        (lambda kernel, shift, height, width: np.zeros((height, width)), "the shift adds -13"),
        (lambda kernel, shift, height, width: np.full((height, width), shift), "your bias at (0, 0) is 2"),
        (lambda kernel, shift, height, width: shift * kernel.sum(), "must have the shape"),
    ],
    "breaks_pool": [
        ((2, -5, [[1, 0], [0, 0]]), "whatever b is"),
        ((-1, 0, [[1, 1], [1, 1]]), "All pixels are equal"),
        ((-1, 0, [1, 0, 0, 0]), "2 by 2 numbers"),
        ([[1, 0], [0, 0]], "Give w, b and a picture"),
    ],
}
