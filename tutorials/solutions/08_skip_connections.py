"""Solutions to the exercises of step 8."""

from fractions import Fraction

three_splits = {
    "signed": (10, -4),
    "by magnitude": (Fraction(30, 7), Fraction(12, 7)),
    "equal": (3, 3),
}

# 1 / (1/2000) = 2000.
misled = (1, Fraction(1, 2000) - 1)

# Both outputs are 3. The layer: (1, 2) each. The branch is (2, 1): half of each output goes past it, (3/2, 3/2), and
# the branch returns 3/2 to the second input and 3/2 to the first.
rewritten = {"W": [[1, 1], [1, 1]], "x": [1, 2]}


def fair_split(a, b, R):
    """The generalised gamma rule with gamma = 1: the branch that has the sign of the sum counts twice."""
    z = a + b
    a, b = (2 * each if each * z > 0 else each for each in (a, b))
    return a / (a + b) * R, b / (a + b) * R
