"""Solutions to the exercises of step 9."""

from fractions import Fraction

# Contributions (4, -2, 3), z = -1, n = 3: minus a third of each, times 2.
bare = [Fraction(-8, 3), Fraction(4, 3), -2]

# The rule keeps the sum of magnitudes, and is homogeneous. It is neither additive nor blind to how units are scaled.
holds = {"B", "C"}

# c1 / (c1 + c2) = 19/20.
factors = (19, 1)
