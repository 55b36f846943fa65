"""Wrong answers to the exercises of step 8, and a part of what the learner is told."""

from fractions import Fraction

RIGHT = {"signed": (10, -4), "by magnitude": ("30/7", "12/7"), "equal": (3, 3)}


def signed(a, b, R):
    return a / (a + b) * R, b / (a + b) * R


def by_magnitude(a, b, R):
    return abs(a) / (abs(a) + abs(b)) * R, abs(b) / (abs(a) + abs(b)) * R


def with_epsilon(a, b, R):
    z = a + b + (Fraction(1, 5) if a + b > 0 else -Fraction(1, 5))
    return a / z * R, b / z * R


def signs_of_the_branches(a, b, R):
    total = abs(a) + abs(b)
    return a / total * R, b / total * R


WRONG = {
    "three_splits": [
        (RIGHT | {"signed": (6, 6)}, "divided, not copied"),
        (RIGHT | {"signed": ("30/7", "12/7")}, "b is against the sum"),
        (RIGHT | {"by magnitude": (10, -4)}, "this split has no signs"),
        (RIGHT | {"equal": (4, 2)}, "equal: (4, 2) sum to 6"),
        (RIGHT | {"signed": (8, -2)}, "not in the proportion"),
    ],
    "misled": [
        ((1, Fraction(-9, 10)), "gives (10, -9)"),
        ((1, -1), "exactly 0"),
        ((1000, -999), "at most 1"),
        ((Fraction(999, 1000), -1), "must be positive"),
        (("1/1000", 0), "must be negative"),
    ],
    "rewritten": [
        ({"W": [[2, 0], [0, 3]], "x": [1, 2]}, "No output mixes"),
        ({"W": [[1, 1], [0, 1]], "x": [1, 1]}, "LRP-0 drops"),
        ({"W": [[1, 1], [1, 1]], "x": [1, 1]}, "Both give the map"),
        ({"W": [[1, -1], [1, 1]], "x": [1, 1]}, "cannot divide at 0"),
    ],
    "fair_split": [
        (signed, "times R"),
        (by_magnitude, "against the sum"),
        (with_epsilon, "They sum to"),
        (lambda a, b, R: (R / 2, R / 2), "against the sum"),
        (signs_of_the_branches, "They sum to"),
        (lambda a, b, R: (R, R), "They sum to"),
    ],
}
