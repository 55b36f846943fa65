"""Solutions to the exercises of step 6."""

from fractions import Fraction

# A and E: the unit's relevance is in proportion to d, and d cancels. D: z-plus has a sum of its own, 1.
explodes = {"B", "C"}

# The hidden sums are 10 and 999/100, y = 1/10, and the map is (100, -999/10).
loud = {"W": [[10, 0], [0, "999/100"]], "v": [10, -10]}

# 1/2 over 1/4 is 2, and 1/4 = 1/50 + 23/100.
price = {"epsilon": Fraction(23, 100), "taken": Fraction(23, 25)}

good_epsilon = 0.2
