"""Solutions to the exercises of step 13."""

from fractions import Fraction

import numpy as np

# z is 10^-5 of the summands: five digits of 7.2 are lost.
digits_left = 2.2

# Both are 1.0 in double precision. The first share is 2^60 + 1, with a sign.
vanished = (Fraction(1), Fraction(1) + Fraction(1, 2**60))


def same_map(R, S):
    return bool(np.linalg.norm(R - S) <= 1e-5 * np.linalg.norm(S))
