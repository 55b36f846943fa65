"""Who gets the credit?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lrpref import Dense, rules

from .exercise import Refused, exercise
from .reading import demand, entries, exact, fraction, fractions, shown


def _neuron(a: Any, w: Any, b: Any, R: Any, rule: rules.Rule) -> Any:
    """The books of one neuron in fractions: its inputs, and its losses."""
    flow = Dense(exact([w]), exact([b])).flow((exact([a]),), exact([[R]]), rule)
    return flow.inputs[0][0], {name: np.ravel(loss)[0] for name, loss in flow.losses.items()}


@exercise(
    "predict",
    4,
    "Compute z with its sign before anything else.",
    "Relevance is a_i w_i / z times R. A contribution that has the sign of z gets the sign of R.",
)
def signs(answer: Any) -> None:
    """The signs of three shares.

    A neuron has the inputs a = (2, 1, 3), the weights w = (1, -4, 1) and the bias b = -3. The layer above gives it the
    relevance R = 1. What are the signs of the three inputs' shares under LRP-0? Write them as a string of three
    characters, such as "++-" or "+0-".
    """
    a, w, b = (2, 1, 3), (1, -4, 1), -3
    shares, _ = _neuron(a, w, b, 1, rules.Zero())
    right = "".join("+" if share > 0 else "-" if share < 0 else "0" for share in shares)
    demand(
        isinstance(answer, str) and len(answer) == 3 and set(answer) <= set("+-0"),
        'Write a string such as "++-", with one character for each of the three inputs.',
    )
    contributions = "".join("+" if x * y > 0 else "-" for x, y in zip(a, w, strict=True))
    demand(
        answer != contributions,
        f"{answer} are the signs of the contributions {shown([x * y for x, y in zip(a, w, strict=True)])}. What is the "
        "sign of the sum they are divided by?",
    )
    demand("0" not in answer, "A share of 0 needs a contribution of 0, and no a_i w_i is 0 here.")
    demand(
        answer == right, "A contribution with the sign of z gets the sign of R. Which of the three have the sign of z?"
    )


@exercise(
    "compute",
    8,
    "z = 3 - 2 + 1. The denominator is z + epsilon, because z is positive.",
    "Every part of the denominator has a share: each contribution, the bias, and epsilon itself. All shares are "
    "(part / denominator) R, and together they are R.",
    start='books = {"inputs": [None, None], "bias": None, "stabilizer": None}',
)
def books(answer: Any) -> None:
    """Close the books.

    A neuron with the inputs a = (1, 2), the weights w = (3, -1) and the bias b = 1 holds the relevance R = 2. Under
    LRP-epsilon with epsilon = 1/2, how much do its two inputs get, and how much do the bias and the stabilizer take?
    """
    given = entries(answer, ["inputs", "bias", "stabilizer"])
    inputs = fractions(given["inputs"], 2, "inputs")
    bias, stabilizer = fraction(given["bias"], "bias"), fraction(given["stabilizer"], "stabilizer")
    shares, losses = _neuron((1, 2), (3, -1), 1, 2, rules.Epsilon(0.5))
    without, _ = _neuron((1, 2), (3, -1), 1, 2, rules.Zero())
    demand(not (inputs == without).all(), f"{shown(inputs)} is what LRP-0 gives. Epsilon makes the denominator larger.")
    no_bias, _ = _neuron((1, 2), (3, -1), 0, 2, rules.Epsilon(0.5))
    demand(not (inputs == no_bias).all(), f"{shown(inputs)}: your z is 1. The bias is part of z.")
    total = inputs.sum() + bias + stabilizer
    demand(total == 2, f"Your four entries sum to {total}. They must sum to R = 2.")
    demand(
        (inputs == shares).all(), f"The books close, but the inputs {shown(inputs)} are not a_i w_i over 5/2, times 2."
    )
    for name, mine in (("bias", bias), ("stabilizer", stabilizer)):
        part = mine / 2 * Fraction(5, 2)
        demand(mine == losses[name], f"The inputs are right. Your {name} would belong to a part of {part} of the 5/2.")


@exercise(
    "find",
    5,
    "The share of the second input is 3 / z. Which z makes it -1000?",
    "z is the sum of the contributions and the bias, and the contributions sum to 3.",
)
def thousandfold(answer: Any) -> None:
    """A share of -1000.

    The neuron of this step has the contributions 1, 3 and -1. Give it the relevance R = 1. Find the bias b for which
    LRP-0 gives the second input exactly -1000.
    """
    b = fraction(answer)
    z = 3 + b
    shares, losses = _neuron((1, 2, 2), (1, Fraction(3, 2), Fraction(-1, 2)), b, 1, rules.Zero())
    demand(not losses["dropped"], "With this bias z is exactly 0. LRP-0 passes nothing on, and all of R is dropped.")
    demand(shares[1] == -1000, f"With b = {b}, z is {z}, and the second input gets 3 / z = {shares[1]}.")


@exercise(
    "write",
    10,
    "Three cases: z > 0, z < 0, and z = 0. In which direction must the denominator move?",
    "sign(0) counts as +1. If the denominator is still 0 (z = 0 and epsilon = 0), return zeros.",
    start='''
    def epsilon_shares(a, w, b, R, epsilon):
        """The share of R of each input, as a list; all arguments are fractions or lists of fractions."""
        raise NotImplementedError
    ''',
)
def epsilon_shares(answer: Any) -> None:
    """LRP-epsilon for every z.

    Write LRP-epsilon for one neuron. It must work for a z of either sign, for z = 0, and for any epsilon >= 0,
    including epsilon = 0. It must never divide by zero, and it must never move a denominator towards zero. Decide both
    special cases as the library does: sign(0) is +1, and a denominator of 0 passes nothing on.
    """
    a, w = [Fraction(1), Fraction(2), Fraction(2)], [Fraction(1), Fraction(3, 2), Fraction(-1, 2)]
    tenth = Fraction(1, 10)
    for z, epsilon in [(2, tenth), (-2, tenth), (0, tenth), (-tenth, tenth), (1, 0), (0, 0)]:
        b, R = Fraction(z) - 3, Fraction(4)
        where = f"At z = {z} and epsilon = {epsilon}"
        try:
            got = fractions(answer(list(a), list(w), b, R, Fraction(epsilon)), 3, where + ", your result")
        except ZeroDivisionError:
            raise Refused(f"{where} your denominator is 0.") from None
        shares, _ = _neuron(a, w, b, R, rules.Epsilon(float(epsilon)))
        if (got == shares).all():
            continue
        implied = R * 3 / got[1] if got[1] else None
        denominator = f"your denominator is {implied}" if implied else "you send nothing"
        raise Refused(
            f"{where} {denominator}"
            + (f"; it should be {abs(epsilon)} away from z, on the far side of 0." if z else ".")
        )
