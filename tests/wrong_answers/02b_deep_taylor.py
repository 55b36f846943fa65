"""Wrong answers to the exercises of step 2b, and a part of what the learner is told."""

from fractions import Fraction


def by_w(a, w):
    t = sum(x * y for x, y in zip(a, w, strict=True)) / sum(y * y for y in w)
    return [x - t * y for x, y in zip(a, w, strict=True)]


WRONG = {
    "nearest_root": [
        ([Fraction(44, 25), Fraction(33, 25)], "Without the bias"),
        ([1, 1], "not the nearest"),
        ([2, 1], "the neuron's sum is 3"),
        ([2 - 3 * 3 / 25, 1 + 2 / 3], "is rounded"),
    ],
    "two_roots": [
        ({"a": [1, 1], "w": [1, 1], "roots": [[0, 0], [1, 1]]}, "is not a root"),
        ({"a": [1, 1], "w": [1, 1], "roots": [[0, 0], [0, 0]]}, "Both roots give"),
        ({"a": [1, 1], "w": [1, 1], "roots": [[3, -3], [2, -2]]}, "positive only"),
        ({"a": [2, 2], "w": [1, 1], "roots": [[0, 0], [1, -1]]}, "Neither gives an input negative"),
        ({"a": [1, 1], "w": [1, -1], "roots": [[0, 0], [1, 1]]}, "it must be positive"),
        ([[0, 0], [2, -2]], "Give a, w and roots"),
    ],
    "plus_root": [
        (by_w, "that is w-square"),
        (lambda a, w: [0 for _ in a], "that is LRP-0"),
        (lambda a, w: [0 if y > 0 else x for x, y in zip(a, w, strict=True)], "the negative ones are left"),
        (lambda a, w: list(a), "so it is not a root"),
    ],
    "outside": [
        (([1, 1], [1, 1]), "so it is a picture"),
        (([2, 1], [1, 1]), "is not a picture itself"),
        (([0, 1], [1, -2]), "must be positive"),
        ((["1/2", "1/2"], [1, -1]), "must be positive"),
        ([0, 1, 2], "Give a pair"),
    ],
}
