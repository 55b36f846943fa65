"""Solutions to the exercises of step 1."""

from fractions import Fraction

# The contributions are (2, -4, 3), and z = -2: those that have the sign of z get the sign of R.
signs = "-+-"

# z = 2, and the denominator is 5/2. The shares are 3, -2, 1 and 1/2 over 5/2, times 2.
books = {
    "inputs": [Fraction(12, 5), Fraction(-8, 5)],
    "bias": Fraction(4, 5),
    "stabilizer": Fraction(2, 5),
}

# 3 / z = -1000 at z = -3/1000, and z = 3 + b.
thousandfold = Fraction(-3, 1000) - 3


def epsilon_shares(a, w, b, R, epsilon):
    z = sum(a_i * w_i for a_i, w_i in zip(a, w, strict=True)) + b
    denominator = z + epsilon if z >= 0 else z - epsilon
    if denominator == 0:
        return [Fraction(0) for _ in a]
    return [a_i * w_i / denominator * R for a_i, w_i in zip(a, w, strict=True)]
