"""Solutions to the exercises of step 10."""

from fractions import Fraction

import numpy as np

# (0 + 5 + 6 + 0) / 4; (5/2 + 11/2 + 6/2) / 3; (0 + 6 + 8 + 10) / 4.
scores = {"ABPC": Fraction(11, 4), "area": Fraction(11, 3), "AOPC": 6}


def orders(R):
    return np.argsort(-R, kind="stable"), np.argsort(R, kind="stable")


# The pixels then lower f by 3/10, 2 and 1: the one that matters most looks the least important.
unfair_fill = [Fraction(9, 10), 0, 0]


def no_network(picture):
    """The ink. With paper for a fill, removing paper changes nothing, so any map of the ink is half of a good map."""
    return picture
