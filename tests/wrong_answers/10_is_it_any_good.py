"""Wrong answers to the exercises of step 10, and a part of what the learner is told."""

from fractions import Fraction

import numpy as np

RIGHT = {"ABPC": "11/4", "area": "11/3", "AOPC": 6}


def read_backwards(R):
    first = np.argsort(-R, kind="stable")
    return first, first[::-1]


def by_magnitude(R):
    return np.argsort(-abs(R), kind="stable"), np.argsort(abs(R), kind="stable")


def exchanged(R):
    return np.argsort(R, kind="stable"), np.argsort(-R, kind="stable")


WRONG = {
    "scores": [
        (RIGHT | {"ABPC": "11/3"}, "ABPC: 11/3 is a mean over three steps"),
        (RIGHT | {"ABPC": 11}, "ABPC: 11 is a sum"),
        (RIGHT | {"area": "11/2"}, "without the two points"),
        (RIGHT | {"AOPC": 8}, "AOPC: 8 is a mean over three steps"),
        (RIGHT | {"AOPC": 4}, "not the number"),
    ],
    "orders": [
        (read_backwards, "Ties are not in the order of position"),
        (by_magnitude, "sorts by magnitude"),
        (exchanged, "most relevant first, you give [1, 2, 0]"),
        (lambda R: (np.sort(R), np.sort(-R)), "is not an order of all pixels"),
        (lambda R: np.argsort(R), "Return two lists"),
    ],
    "unfair_fill": [
        ([0, 0, 0], "A still falls faster"),
        ([1, 0, 0], "less than 1/10"),
        ([Fraction(2, 3), "1/2", 0], "fall equally fast"),
        ([0, 0, "9/10"], "A still falls faster"),
        ([-1, 0, 0], "from 0 to 1"),
    ],
    "no_network": [
        (lambda picture: 0 * picture + 1, "gives every pixel the same"),
        (lambda picture: 1 - picture, "Your map has an area of -"),
        (lambda picture: np.random.default_rng(0).random((28, 28)), "LRP-0 has"),
        (lambda picture: picture.sum(), "must have the shape"),
        (lambda picture: "the ink", "must be an array of numbers, got str"),
    ],
}
