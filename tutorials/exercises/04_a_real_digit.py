"""Is this a nine or a four?"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import Network
from lrpref.composites import Composite
from lrpref.errors import LrprefError

from .exercise import Refused, exercise
from .reading import array, demand, entries, fraction


@cache
def _network() -> Network:
    """The convolutional network of the step."""
    return lrpref.fuse(lrpref.load("mnist-cnn-bn").astype(np.float64))


@cache
def _nine() -> np.ndarray:
    """The open nine."""
    return lrpref.samples.load("hard-1").astype(np.float64)


@exercise(
    "predict",
    5,
    "LRP-0 sends (a_i w_i / z) R, and it starts at R = z.",
    "z and R grow together and cancel. What does not cancel is the share of the bias, (b / z) R.",
    start='all_higher = {"map": None, "bias": None}',
)
def all_higher(answer: Any) -> None:
    """Add 5 to every logit.

    Add 5 to the biases of all ten outputs. Every logit rises by 5, and the probabilities stay the same. Explain the
    same class of the same digit with LRP-0, which starts at the logit. By how much do the sum of the map and the sum of
    the ledger's column *bias* change?
    """
    given = entries(answer, ["map", "bias"])
    change = {name: float(fraction(value, name)) for name, value in given.items()}
    net, x = lrpref.load("mnist-mlp").astype(np.float64), lrpref.samples.load("digit-4").astype(np.float64)
    top = net.nodes[-1][0]
    higher = Network([(n, replace(layer, bias=layer.bias + 5) if n == top else layer, i) for n, layer, i in net.nodes])
    before, after = (lrpref.trace(each, x, rule="zero") for each in (net, higher))
    found = {"map": after.relevance.sum() - before.relevance.sum()}
    found["bias"] = after.ledger["bias"].sum() - before.ledger["bias"].sum()
    demand(
        abs(sum(change.values()) - 5) < 1e-9,
        f"Your changes sum to {sum(change.values()):g}, but the relevance to be accounted for grows by 5.",
    )
    demand(
        abs(change["map"] - found["map"]) < 1e-9,
        f"The map changes by {change['map']:g} only if the relevance of some unit below the logits changes. Does it?",
    )


@exercise(
    "write",
    8,
    "`lrpref.explain(net, x, seed=...)` takes an array of relevance for the outputs, here of shape (1, 10).",
    "Start with the logit of `one` at `one`, with minus the logit of `other` at `other`, and with 0 elsewhere.",
    start='''
    def contrast(net, x, one, other):
        """Why `one` rather than `other`? A map shaped like x, under epsilon-plus-flat."""
        raise NotImplementedError
    ''',
)
def contrast(answer: Any) -> None:
    """Why this class and not that one?

    Write a function for the map that shows where the answers for two classes differ: the relevance for one class minus
    the relevance for the other, each started at its own logit.
    """
    net, x = _network(), _nine()
    logits = net.forward(x)[0]
    for one, other in [(9, 4), (4, 8)]:
        got = array(answer(net, x, one, other), x.shape, "contrast(...)")
        first, second = _map(one), _map(other)
        if np.allclose(got, first - second, rtol=1e-6, atol=1e-9):
            continue
        what = f"For {one} rather than {other}: "
        from_one = first / logits[one] - second / logits[other]  # the rules of this composite are linear in R
        demand(not np.allclose(got, first + second), f"{what}this is the sum of the two maps.")
        demand(not np.allclose(got, from_one), f"{what}this starts at 1 and -1. How much is there to explain of each?")
        demand(not np.allclose(got, first), f"{what}this is the map of {one} alone; {other} plays no part.")
        demand(not np.allclose(got, second - first), f"{what}this is the map of {other} rather than {one}.")
        apart = (first - second).sum()
        raise Refused(f"{what}the map sums to {got.sum():.3f}, but the two maps differ by {apart:.3f}.")


@cache
def _map(target: int) -> np.ndarray:
    """The map of the open nine for a class."""
    return lrpref.explain(_network(), _nine(), target, "epsilon-plus-flat")


@exercise(
    "repair",
    5,
    "Print `in_order.assign(net)` for a network: the last column says why a layer has its rule.",
    "The first selector that matches decides. A special case must come before the general one.",
    start="""
    from lrpref import Conv2D, Dense
    from lrpref.composites import Composite, first

    in_order = Composite([(Conv2D, rules.ZPlus()), (Dense, rules.Epsilon()), (first, rules.Flat())])
    """,
)
def in_order(answer: Any) -> None:
    """A rule that is never used.

    This composite is meant to use flat in the first layer, whatever its kind, z-plus in the other convolutions, and
    epsilon in the other fully connected layers. It raises no error, but flat is never used. Repair it.
    """
    demand(isinstance(answer, Composite), "in_order must be a Composite.")
    wanted = {
        "mnist-cnn-bn": ["flat", "z-plus", "z-plus", "epsilon", "epsilon"],
        "mnist-mlp": ["flat"] + ["epsilon"] * 2,
    }
    for name, names in wanted.items():
        net = _network() if name == "mnist-cnn-bn" else lrpref.load(name)
        try:
            assigned = answer.assign(net)
        except LrprefError as error:
            raise Refused(f"On {name}: {error}") from None
        for (place, rule, because), expected in zip(assigned.rows, names, strict=True):
            demand(
                rule.name == expected,
                f"On {name}, {place.name} has {rule.name}, and the reason given is '{because}'.",
            )


@exercise(
    "find",
    12,
    "Where would more ink turn this nine into another digit? Guess, and then let the computer try every white pixel.",
    "Make a batch with one picture per white pixel, and ink a different pixel in each. One forward pass is enough.",
    start="one_pixel = None  # (row, column)",
)
def one_pixel(answer: Any) -> None:
    """What the map cannot show.

    In the open nine, `lrpref.samples.load("hard-1")`, find one white pixel (0) that changes the network's answer to
    another digit when you set it to ink (1). The relevance of that pixel under LRP-0 is exactly 0, like its value: a
    map shows what is in a picture and not what is missing. The network is `lrpref.fuse(lrpref.load("mnist-cnn-bn"))`.
    """
    demand(np.shape(answer) == (2,), "A pixel is a pair (row, column).")
    pixel = int(answer[0]), int(answer[1])
    demand(min(pixel) >= 0 and max(pixel) < 28, "Rows and columns go from 0 to 27.")
    net, x = _network(), _nine()
    demand(x[0, 0][pixel] == 0, f"Pixel {pixel} already has ink, {x[0, 0][pixel]:.2f}: LRP-0 may give it relevance.")
    inked = x.copy()
    inked[0, 0][pixel] = 1
    logits = net.forward(inked)[0]
    second = int(np.argsort(logits)[-2])
    demand(
        logits.argmax() != 9,
        f"With ink at {pixel} the network still says nine: {logits[9]:.2f}, and {logits[second]:.2f} for the {second}.",
    )
