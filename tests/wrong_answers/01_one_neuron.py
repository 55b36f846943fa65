"""Wrong answers to the exercises of step 1, and a part of what the learner is told."""

from fractions import Fraction


def over(denominator):
    def shares(a, w, b, R, epsilon):
        z = sum(a_i * w_i for a_i, w_i in zip(a, w, strict=True)) + b
        return [a_i * w_i / denominator(z, epsilon, b) * R for a_i, w_i in zip(a, w, strict=True)]

    return shares


def sign(z):
    return (z > 0) - (z < 0)


WRONG = {
    "signs": [
        ("+-+", "signs of the contributions"),
        ("++-", "Which of the three"),
        ("-0-", "needs a contribution of 0"),
        (1, 'such as "++-"'),
    ],
    "books": [
        ({"inputs": [3, -2], "bias": 1, "stabilizer": 0}, "what LRP-0 gives"),
        ({"inputs": [4, Fraction(-8, 3)], "bias": 0, "stabilizer": Fraction(2, 3)}, "your z is 1"),
        ({"inputs": ["12/5", "-8/5"], "bias": "4/5", "stabilizer": "1/2"}, "sum to 21/10"),
        ({"inputs": ["12/5", "-8/5"], "bias": "2/5", "stabilizer": "4/5"}, "would belong to a part of 1/2"),
        ({"inputs": ["8/5", "-8/5"], "bias": "8/5", "stabilizer": "2/5"}, "The books close, but"),
        ({"inputs": [6 / 2.5, -4 / 2.5], "bias": 1 / 3, "stabilizer": 0.4}, "is rounded"),
    ],
    "thousandfold": [
        (Fraction(3, 1000) - 3, "gets 3 / z = 1000"),
        (Fraction(-3, 1000), "gets 3 / z = 1000/999"),
        (-3, "exactly 0"),
        (1 / 3 - 3, "is rounded"),
    ],
    "epsilon_shares": [
        (over(lambda z, epsilon, b: z + epsilon), "At z = -2"),
        (over(lambda z, epsilon, b: z + epsilon * sign(z)), "your denominator is 0"),
        (over(lambda z, epsilon, b: z - b + epsilon), "your denominator is 31/10"),
        (over(lambda z, epsilon, b: abs(z) + epsilon), "At z = -2"),
        (over(lambda z, epsilon, b: z + epsilon if z >= 0 else z - epsilon), "At z = 0 and epsilon = 0"),
        (lambda a, w, b, R, epsilon: None, "returns None"),
    ],
}
