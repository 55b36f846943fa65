"""Same layer, ten answers: what does a rule decide?"""

from __future__ import annotations

from typing import Any

import numpy as np

from lrpref import Dense, messages, rules

from .exercise import Refused, exercise
from .reading import demand, demand_all, exact, fractions, parts, shown


@exercise(
    "compute",
    10,
    "Write the contributions a_i w_ij of each neuron first, and keep the positive ones. What must be positive is the "
    "product, not the weight.",
    "The positive contributions of the first neuron are 3 and 1, and its positive bias 2 belongs to the same sum. The "
    "second neuron holds negative relevance; z-plus divides it like any other.",
    start="""
    plus_messages = [
        [None, None],  # input 1: from neuron 1, from neuron 2
        [None, None],
        [None, None],
    ]
    """,
)
def plus_messages(answer: Any) -> None:
    """The messages of z-plus.

    Three inputs a = (3, -1, 2) feed two neurons: the first has the weights (1, -1, -1) and the bias 2, the second has
    (-1, 2, 2) and -1. Their outputs are 4 and -2, and the relevance of each neuron equals its output. Fill in the
    message matrix of z-plus, with a row for each input and a column for each neuron.
    """
    given = fractions(answer, (3, 2))
    a, w, b = exact([[3, -1, 2]]), exact([[1, -1, -1], [-1, 2, 2]]), exact([2, -1])
    layer, R = Dense(w, b), exact([[4, -2]])
    right = messages(layer, a, R, rules.ZPlus())[0]
    clamped = np.maximum(w, 0)
    by_weights = a[0][:, None] * clamped.T / (clamped @ a[0] + np.maximum(b, 0)) * R
    if (given == by_weights).all():
        raise Refused(
            "You dropped the negative weights. Then the third input of the second neuron gets "
            f"{by_weights[2, 1]} of {R[0, 1]}, and the second input, whose contribution is -2, gets {by_weights[1, 1]}."
        )
    demand(
        (given != messages(layer, a, R, rules.Zero())[0]).any(),
        "This is LRP-0: it includes the negative contributions.",
    )
    demand((given[:, 1] <= 0).all(), "The second neuron holds -2, and z-plus never flips a sign: what can it send?")
    without = messages(Dense(w), a, R, rules.ZPlus())[0]
    demand(
        (given[:, 0] != without[:, 0]).any(),
        "Your first neuron sends all of its 4 to the inputs. Its bias of 2 contributed as well: where is its share?",
    )
    for j in (0, 1):
        demand(
            (given[:, j] == right[:, j]).all(),
            f"Neuron {j + 1} sends {shown(given[:, j])}, in total {given[:, j].sum()}. Its positive contributions are "
            f"{shown(np.maximum(a[0] * w[j], 0))}, its positive bias is {max(b[j], 0)}, and it divides {R[0, j]}.",
        )


ASKED = {
    "zero": rules.Zero(),
    "epsilon": rules.Epsilon(1),
    "gamma": rules.Gamma(1),
    "z-plus": rules.ZPlus(),
    "z-box": rules.ZBox(-4, 4),
    "w-square": rules.WSquare(),
    "flat": rules.Flat(),
}


@exercise(
    "predict",
    5,
    "Write each fraction with 2 a_i in place of a_i, and cancel.",
    "The 2 does not cancel where something is added that does not depend on a: to the denominator, or to the input.",
    start="notice = set()  # of names such as 'zero'",
)
def notice(answer: Any) -> None:
    """Which rules notice that the input doubled?

    The input of a layer without biases is doubled, while the relevance of its outputs stays the same. Under which of
    these rules does any message change: zero, epsilon, gamma, z-plus, z-box, w-square, flat? (Epsilon and gamma are 1,
    and the box goes from -4 to 4.) Answer with a set of names.
    """
    layer, a, R = Dense(exact([[1, -2, 1], [-1, 1, 3]])), exact([[2, 1, 1]]), exact([[1, -2]])
    sent = {name: [messages(layer, k * a, R, rule)[0] for k in (1, 2)] for name, rule in ASKED.items()}
    changed = {name: bool((once != twice).any()) for name, (once, twice) in sent.items()}
    demand_all(
        answer,
        changed,
        lambda name: f"the first neuron of a test sends {shown(sent[name][0][:, 0])} before doubling and after.",
    )


@exercise(
    "find",
    8,
    "Plain gamma enlarges a_i w_i where w_i > 0, whatever the sign of a_i. So which of the contributions against the "
    "neuron does it enlarge?",
    "Take negative inputs. Let the positive weight make the enlarged negative contribution outweigh the rest, so that "
    "the denominator of gamma becomes negative while z is positive.",
    start="gamma_flips = ([None, None], [None, None])  # the inputs a and the weights w",
)
def gamma_flips(answer: Any) -> None:
    """Gamma flips a sign.

    Find a neuron without bias, with two inputs a and two weights w, whose output z is positive, and where plain gamma
    with gamma = 1 gives a *negative* share (of R = 1) to an input whose contribution is positive.
    """
    inputs, weights = parts(answer, 2, "Give a pair: the inputs, and the weights.")
    a, w = fractions(inputs, 2, "a"), fractions(weights, 2, "w")
    z = (a * w).sum()
    demand(z > 0, f"The output of your neuron is {z}; it must be positive.")
    shares = messages(Dense(w[None]), a[None], exact([[1]]), rules.Gamma(1))[0][:, 0]
    if any(share < 0 < part for share, part in zip(shares, a * w, strict=True)):
        return
    why = " No input is negative: there, gamma keeps every sign." if (a >= 0).all() else ""
    raise Refused(f"The contributions are {shown(a * w)}, and gamma sends {shown(shares)}.{why}")


@exercise(
    "write",
    15,
    "A rule is a frozen dataclass with a method `ratios` that returns a tuple of Ratio. Each Ratio holds a tuple of "
    "Term, and Term(a, w, b) holds the functions of input, weight and bias. Look at rules.Absolute.",
    "(a w) squared is a squared times w squared, so one Term is enough. `rules.square` exists.",
    start='''
    from dataclasses import dataclass

    from lrpref.rules import Ratio, Rule, Term


    @dataclass(frozen=True)
    class Squares(Rule):
        """R_i = sum_j (a_i w_ij)^2 / (sum_i (a_i w_ij)^2 + b_j^2) R_j."""

        def ratios(self):
            raise NotImplementedError
    ''',
)
def Squares(answer: Any) -> None:
    """A rule of your own.

    Write a rule that never sends a negative share of positive relevance, gives nothing to an input that is 0, and
    prefers large contributions more strongly than the rule *absolute* does: in proportion to the *square* of each
    contribution. The bias takes part with its square. The rule must work on every layer at once, so write `ratios`.
    """
    rule = answer()
    demand(isinstance(rule, rules.Rule), "Squares must be a class derived from lrpref.rules.Rule.")
    random = np.random.default_rng(0)
    for bias in (False, True):
        w, b, a, R = (exact(random.integers(-3, 4, size)) for size in [(2, 3), (2,), (1, 3), (1, 2)])
        layer = Dense(w, b) if bias else Dense(w)
        flow = layer.flow((a,), R, rule)
        parts = (a[0][:, None] * w.T) ** 2
        expected = (parts / (parts.sum(axis=0) + (b * b if bias else 0)) * R[0]).sum(axis=1)
        got = flow.inputs[0][0]
        if (got == expected).all():
            continue
        what = f"Weights {shown(w[0])} and {shown(w[1])}, biases {shown(b if bias else [0, 0])}, inputs {shown(a[0])}: "
        near = {"absolute": rules.Absolute(), "w-square": rules.WSquare(), "LRP-0": rules.Zero()}
        for name, other in near.items():
            demand((layer.relevance(a, R, other)[0] != got).any(), f"{what}this is the rule {name}.")
        raise Refused(f"{what}your rule sends {shown(got)}{', while it is right without biases' if bias else ''}.")
