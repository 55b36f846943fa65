"""What do small denominators do to a map?"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import BatchNorm, Dense, LinearLayer, Network, ReLU, Sigmoid, rules
from lrpref.composites import Composite

from .exercise import exercise
from .reading import demand, demand_all, entries, exact, fraction, fractions, shown

D = 1e-6
"""How near to zero the sum of the critical unit is."""
HIDDEN, SUM = Dense([[1.0, D - 1], [1.0, 0.0]]), Dense([[1.0, 1.0]])
SITUATIONS = {
    "A": (Network.sequential(HIDDEN, ReLU(), SUM), "zero", "logit"),
    "B": (Network.sequential(Dense([[1.0, D - 1]])), "zero", "one"),
    "C": (Network.sequential(HIDDEN, Sigmoid(), SUM), "zero", "logit"),
    "D": (Network.sequential(HIDDEN, Sigmoid(), SUM), "z-plus", "logit"),
    "E": (Network.sequential(HIDDEN, ReLU(), SUM), "zero", "one"),
}


@exercise(
    "predict",
    6,
    "Does R / z stay bounded as z goes to 0? That depends on whether R was made from the same z.",
    "The relevance of a hidden unit is in proportion to its activation. Behind a ReLU that is z itself; a sigmoid "
    "makes 1/2 of z = 0.",
    start="explodes = set()  # of letters",
)
def explodes(answer: Any) -> None:
    """Where does relevance explode?

    A unit has two inputs of 1. Its contributions, 1 and -(1 - d), nearly cancel: z = d, with d one millionth. In which
    of these situations do the inputs get more than a thousand times the relevance that LRP starts with, in magnitude?

        A   the unit is hidden, with a ReLU behind it; LRP-0, started at the logit
        B   the unit is the output; LRP-0, started at 1
        C   the unit is hidden, with a sigmoid behind it; LRP-0, started at the logit
        D   the same as C under z-plus
        E   the same as A, but started at 1

    (Where the unit is hidden, a second hidden unit has z = 1, and the output is the sum of both activations.)
    """
    x, size = np.ones((1, 2)), {}
    for name, (net, rule, seed) in SITUATIONS.items():
        start = 1.0 if seed == "one" else net.forward(x).item()
        size[name] = abs(lrpref.explain(net, x, 0, rule, seed=seed)).sum() / start
    demand_all(
        answer,
        {name: bool(factor > 1000) for name, factor in size.items()},
        lambda name: f"the inputs get no more than {size[name]:.3g} times what LRP started with.",
    )


@exercise(
    "find",
    8,
    "LRP-0 is gradient times input here. The map is large where the gradient is large and the logit is not.",
    "Let two hidden units be almost equally large, and let the output subtract one from the other.",
    start='loud = {"W": [[None, None], [None, None]], "v": [None, None]}',
)
def loud(answer: Any) -> None:
    """A large map without a small denominator.

    Not every large map comes from a small denominator. The input is x = (1, 1), the hidden layer h = ReLU(W x) has two
    units, and the output is y = v . h. Find weights of magnitude at most 10 for which both hidden sums are at least 1,
    y is positive, and the map of LRP-0, started at y, has a sum of magnitudes of at least 1000 y.
    """
    given = entries(answer, ["W", "v"])
    W, v = fractions(given["W"], (2, 2), "W"), fractions(given["v"], 2, "v")
    demand(max(abs(W).max(), abs(v).max()) <= 10, "A weight is larger than 10.")
    net, x = Network.sequential(Dense(W), ReLU(), Dense(v[None])), exact([[1, 1]])
    z, y = W.sum(axis=1), net.forward(x).item()
    demand(min(z) >= 1, f"The hidden sums are {shown(z)}; both should be at least 1.")
    demand(y > 0, f"y is {y}; it must be positive.")
    R = lrpref.explain(net, x, 0, "zero")[0]
    demand(
        abs(R).sum() >= 1000 * y,
        f"y is {y}, and the map is {shown(R)}: {float(abs(R).sum() / y):.4g} times as large. The hidden units get "
        f"{shown(v * z)}.",
    )


@exercise(
    "compute",
    8,
    "The quotient is |R| / (|z| + epsilon), because epsilon moves z away from zero.",
    "1/2 over 2 is 1/4, so |z| + epsilon = 1/4. The stabilizer takes epsilon / (|z| + epsilon).",
    start='price = {"epsilon": None, "taken": None}',
)
def price(answer: Any) -> None:
    """What an epsilon costs.

    A unit under a bypassed BatchNorm has z = -1/50 and holds R = 1/2. What is the smallest epsilon for which the
    quotient R / (z + epsilon sign(z)) is at most 2 in magnitude? What fraction of R does the stabilizer then take? The
    unit has no bias.
    """
    given = entries(answer, ["epsilon", "taken"])
    epsilon, taken = fraction(given["epsilon"], "epsilon"), fraction(given["taken"], "taken")
    z, R = Fraction(-1, 50), Fraction(1, 2)
    demand(epsilon > 0, "Epsilon must be positive.")
    quotient = R / (abs(z) + epsilon)
    towards = " Did you add it to z itself, towards zero?" if z + epsilon == Fraction(1, 4) else ""
    demand(quotient <= 2, f"With epsilon = {epsilon} the quotient is still {quotient}.")
    demand(quotient == 2, f"With epsilon = {epsilon} the quotient is {quotient}: a smaller epsilon will do.{towards}")
    flow = Dense(exact([[1]])).flow((exact([[z]]),), exact([[R]]), rules.Epsilon(float(epsilon)))
    share = np.ravel(flow.losses["stabilizer"])[0] / R
    demand(taken != 1 - share, f"{taken} of R is what the inputs get. The stabilizer takes the rest.")
    demand(taken != share * R, f"{taken} is the amount. What fraction of R = {R} is that?")
    demand(taken == share, f"The inputs get z / (z - epsilon) = {1 - share} of R, so {taken} cannot be right.")


@cache
def _bypassed() -> tuple[Network, np.ndarray]:
    return lrpref.load("mnist-mlp-bn").astype(np.float64), lrpref.samples.load("digit-4").astype(np.float64)


@exercise(
    "find",
    6,
    "The step varied epsilon over ten decades: 0.1 was a little too small, and at 1 the stabilizer took almost half. "
    "The right epsilon is about as large as a small z.",
    "Trace the network with Composite([(BatchNorm, rules.Pass()), (LinearLayer, rules.Epsilon(...))]) and look at "
    'abs(tr.relevance).sum() and tr.ledger["stabilizer"].sum(), both over the logit.',
)
def good_epsilon(answer: Any) -> None:
    """Choose an epsilon.

    On `mnist-mlp-bn` with its BatchNorm bypassed, explain `digit-4` with the rule epsilon on all other layers. Choose
    an epsilon for which the magnitudes of the map sum to at most twice the logit, and the stabilizer takes at most a
    quarter of the logit.
    """
    epsilon = float(Fraction(answer)) if isinstance(answer, str) else float(answer)
    demand(epsilon > 0, "Epsilon must be positive.")
    net, x = _bypassed()
    tr = lrpref.trace(net, x, rule=Composite([(BatchNorm, rules.Pass()), (LinearLayer, rules.Epsilon(epsilon))]))
    logit = tr.logits.max()
    size, taken = abs(tr.relevance).sum() / logit, tr.ledger["stabilizer"].sum() / logit
    demand(
        size <= 2, f"With epsilon {epsilon:g} the map is {size:.1f} times as large as the logit: too small an epsilon."
    )
    demand(taken <= 0.25, f"With epsilon {epsilon:g} the stabilizer takes {taken:.0%} of the logit.")
