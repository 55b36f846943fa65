"""Solutions to the exercises of step 2b."""

from fractions import Fraction

# z = 3 and w . w = 25, so the root is a - (3/25) w.
nearest_root = ["41/25", "37/25"]

# From the origin the inputs get (1, 1); from (2, -2) they get (-1, 3).
two_roots = {"a": [1, 1], "w": [1, 1], "roots": [[0, 0], [2, -2]]}


def plus_root(a, w):
    z = sum(a_i * w_i for a_i, w_i in zip(a, w, strict=True))
    positive = sum(a_i * w_i for a_i, w_i in zip(a, w, strict=True) if w_i > 0)
    t = Fraction(z) / positive
    return [a_i - t * a_i if w_i > 0 else a_i for a_i, w_i in zip(a, w, strict=True)]


# z = 2 and w . w = 5: the root is (0 - 2/5, 1 - 4/5).
outside = ([0, 1], [1, 2])
