"""Solutions to the exercises of step 2."""

from dataclasses import dataclass

from lrpref.rules import Ratio, Rule, Term, square

# Neuron 1: (3, 1, 0) over 3 + 1 + 2, times 4. Neuron 2: (0, 0, 4) over 4, times -2.
plus_messages = [
    [2, 0],
    ["2/3", 0],
    [0, -2],
]

# Epsilon is added to the denominator, and the bounds of the box are subtracted from the input; neither doubles.
notice = {"epsilon", "z-box"}

# Contributions (-2, 3). Gamma doubles the positive weight: (-4, 3) over -1, so the second input gets -3.
gamma_flips = ([-1, -1], [2, -3])


@dataclass(frozen=True)
class Squares(Rule):
    """R_i = sum_j (a_i w_ij)^2 / (sum_i (a_i w_ij)^2 + b_j^2) R_j."""

    def ratios(self):
        return (Ratio((Term(square, square, square),)),)
