"""Wrong answers to the exercises of step 13, and a part of what the learner is told."""

from fractions import Fraction

import numpy as np


def same_direction(R, S):
    return bool((R * S).sum() > 0.999 * np.linalg.norm(R) * np.linalg.norm(S))


WRONG = {
    "digits_left": [
        (7.2, "nothing would be lost"),
        (5.2, "You expect to lose 2"),
        (0.5, "You expect to lose 6.7"),
        (5, "You expect to lose 2.2"),
        (-1, "cannot be negative"),
    ],
    "vanished": [
        ((1, 1), "z really is 0"),
        ((1, Fraction(1) + Fraction(1, 2**30)), "and not 0"),
        ((Fraction(1, 2**1100), Fraction(1, 2**1090)), "times R"),
        ((1.0, 1.1), "In double precision they are 1.0 and 1.1"),
        ((1 / 3, 1), "is rounded"),
    ],
    "same_map": [
        (lambda R, S: bool(np.allclose(R, S, rtol=1e-6, atol=0)), "single and in double precision"),
        (lambda R, S: bool(np.allclose(R, S, rtol=0, atol=1e-6)), "a faint map (of a hundred-millionth"),
        (same_direction, "1 % larger"),
        (lambda R, S: bool(np.isclose(R.sum(), S.sum(), rtol=1e-5)), "upside down"),
        (lambda R, S: bool((R == S).all()), "You say False"),
        (lambda R, S: np.isclose(R, S), "Return True or False"),
    ],
}
