"""Can we do without an epsilon?"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import Dense, Network, ReLU, rules

from .exercise import Refused, exercise
from .reading import demand, demand_all, exact, fractions, shown


@exercise(
    "compute",
    6,
    "You need the contributions, the sign of z, and the number n of inputs. The bias is not an input.",
    "sgn(z) a_i w_i / n times R, with n = 3 and z = -1.",
    start="bare = [None, None, None]",
)
def bare(answer: Any) -> None:
    """Divide by a count.

    A neuron with the inputs (4, 1, 2), the weights (1, -2, 3/2) and the bias -6 holds R = 2. How much do its inputs get
    from the messages of this step before any rescaling, sgn(z) a_i w_i / n times R?
    """
    given = fractions(answer, 3)
    a, w, b, R = exact([[4, 1, 2]]), exact([[1, -2, Fraction(3, 2)]]), exact([-6]), exact([[2]])
    layer = Dense(w, b)
    right = layer.relevance(a, R, rules.Relative(rescale=False))[0]
    parts = (a * w)[0]
    demand((given != -right).any(), f"z is {layer.forward(a).item()}. A contribution with the sign of z gets R's sign.")
    demand((given != layer.relevance(a, R, rules.Zero())[0]).any(), "That is LRP-0: it divides by z.")
    demand((abs(given) != abs(parts) / 4 * 2).any(), "You divide by 4. The bias belongs to z, but it is not an input.")
    demand((given == right).all(), f"The contributions are {shown(parts)}. Your shares are {shown(given / 2)} of R.")


@cache
def _claims() -> dict[str, bool]:
    """Which statements hold of the rescaled rule, on a network with fractions for weights."""
    first, second = exact([[1, -2], [3, 1], [-1, 2]]), exact([[2, -1, 1], [1, 1, -3]])
    rule, x = rules.Relative(), exact([[1, 3]])

    def net(c: Any = (1, 1, 1)) -> Network:
        scaled = exact(c)
        return Network.sequential(Dense(first * scaled[:, None]), ReLU(), Dense(second / scaled))

    def explain(seed: Any, network: Network | None = None) -> Any:
        return lrpref.explain(network or net(), x, seed=exact([seed]), rule=rule)[0]

    y = net().forward(x)[0]
    R = explain([y[0], 0])
    return {
        "A": bool(R.sum() == y[0]),
        "B": bool(abs(R).sum() == abs(y[0])),
        "C": bool((explain([2 * y[0], 0]) == 2 * R).all()),
        "D": bool((explain([y[0], 1]) == R + explain([0, 1])).all()),
        "E": bool((explain([y[0], 0], net((1, 4, 2))) == R).all()),
    }


BECAUSE = {
    "A": "negative relevance counts against the sum, and the rule keeps the sum of magnitudes",
    "D": "each layer is rescaled by its own total, and the total of two maps is not the sum of their totals",
    "E": "a hidden unit that is scaled sends larger messages, while the number of inputs stays",
}


@exercise(
    "predict",
    8,
    "The rule passes on sum |R|. Ask of each statement whether it is about magnitudes, about signs, or about the "
    "way the network is written.",
    "Two of them hold.",
    start="holds = set()  # of letters",
)
def holds(answer: Any) -> None:
    """What is left of conservation?

    Which statements hold for the *rescaled* rule, the composite "relative", on every network of Dense layers and ReLUs
    without biases, if the map is not zero?

        A   the map sums to the logit
        B   the magnitudes of the map sum to the magnitude of the logit
        C   starting with twice the relevance doubles the map
        D   the map of two outputs together is the sum of their maps
        E   scaling a hidden unit, and undoing that in the next layer, changes nothing
    """
    demand_all(
        answer,
        _claims(),
        lambda name: f"this fails on a network with two inputs and three units, because {BECAUSE[name]}.",
    )


@exercise(
    "find",
    10,
    "The message to an input comes from its hidden unit, and is a_i w_i / n times what the unit holds. What does a "
    "larger w_i change?",
    "Input 1 gets c1 / (c1 + c2) of the relevance.",
    start="factors = (None, None)  # c1 and c2, positive",
)
def factors(answer: Any) -> None:
    """One function, any map.

    Each of two inputs, x = (1, 1), goes to a hidden unit of its own with the weight 1. The output is the sum of both
    units, so f(x) = 2, and each input contributes a half. Now multiply the weight of hidden unit k by c_k, and divide
    its weight to the output by c_k. The function stays the same. Choose c1 and c2 such that Relative LRP gives input 1
    exactly 19/20 of the relevance.
    """
    c = fractions(answer, 2)
    demand(min(c) > 0, "A factor must be positive, or the ReLU changes the function.")
    net = Network.sequential(Dense(np.diag(c) + exact([[0, 0], [0, 0]])), ReLU(), Dense((1 / c)[None]))
    x = exact([[1, 1]])
    R = lrpref.explain(net, x, 0, "relative")[0]
    zero = lrpref.explain(net, x, 0, "zero")[0]
    share = R[0] / R.sum()
    if share != Fraction(19, 20):
        raise Refused(f"With these factors input 1 gets {share} of the relevance. (LRP-0 still gives {shown(zero)}.)")
