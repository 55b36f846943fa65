"""Wrong answers to the exercises of step 8d, and a part of what the learner is told."""

import numpy as np


def hidden(net, x, unknown):
    """The leads with one word hidden."""
    copies = np.repeat(x, x.shape[1], axis=0)
    np.fill_diagonal(copies, unknown)
    return net.forward(copies) @ [-1, 1]


def lead(net, x):
    return net.forward(x) @ [-1, 1]


def in_place(net, x, unknown):
    before = lead(net, x)
    x[0, 0] = unknown
    return np.repeat(before - lead(net, x), x.shape[1])


def left_out(net, x, unknown):
    return [(lead(net, x) - lead(net, np.delete(x, k, axis=1)))[0] for k in range(x.shape[1])]


WRONG = {
    "halves": [
        ({"weights": [1, -3], "values": [1, -3]}, "Yours sum to -4, the output"),
        ({"weights": [-1, 3], "values": [-1, 3]}, "twice R"),
        ({"weights": [0, 0], "values": [-1, 3]}, "as CP-LRP does"),
        ({"weights": [-1, 3], "values": [0, 0]}, "gets as much as the value"),
        ({"weights": ["1/3", "2/3"], "values": ["1/3", "2/3"]}, "What do they add?"),
        ({"weights": ["1/2", "1/2"], "values": [1, 1]}, "Yours sum to 3"),
        ([1, 2, 3, 4], "must be a dictionary"),
    ],
    "how_often": [
        ({"three": 1, "square": 2, "quotient": 0, "relu": 1}, "three: at x = (5, 2, 3)"),
        ({"three": 3, "square": 1, "quotient": 0, "relu": 1}, "(x1 + x2)^2 is 49"),
        ({"three": 3, "square": 2, "quotient": 2, "relu": 1}, "would sum to 5."),
        ({"three": 3, "square": 2, "quotient": 0, "relu": 0}, "relu: at"),
        ((3, 2, 0, 1), "must be a dictionary"),
    ],
    "order": [
        (((("a", "b"), "c"), ("d", "e")), "a gets 1/8 of the product"),
        (("a", ("b", ("c", ("d", "e")))), "b gets 1/4"),
        (("a", ("b", "c")), "Use each of a, b, c, d and e once"),
        (("a", "bc"), "none of the factors"),
        (("a", "b", "c", "d", "e"), "Give pairs of pairs"),
    ],
    "effects": [
        (lambda net, x, unknown: hidden(net, x, unknown) - lead(net, x), "rises, not falls"),
        (hidden, "How far have they fallen?"),
        (left_out, "You leave the word out"),
        (in_place, "changes the sentence"),
        (lambda net, x, unknown: np.zeros(x.shape[1]), "are not the effects of hiding one"),
        (lambda net, x, unknown: lead(net, x), "must have the shape"),
    ],
}
