"""Whose heatmap is right?"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from lrpref import Dense, rules

from .exercise import Refused, exercise
from .reading import demand, entries, exact, fractions, shown

ANSWERS = {"A": (-12, 24), "B": ("-12/5", "24/5"), "C": (-2, 8), "D": (-3, 6), "E": (-4, 8)}
"""What five programs answer to the case of the first exercise, as its task prints them."""
MISTAKES = ("none", "sign", "bias", "gradient", "rescaled")


def _epsilon_programs() -> dict[str, Any]:
    """The five programs, by the mistake that they make."""
    a, w, b, R, half = exact([2, 1]), exact([1, -4]), 1, 3, exact(["1/2"])[0]
    z = (a * w).sum() + b
    right = a * w / (z - half) * R
    return {
        "none": right,
        "sign": a * w / (z + half) * R,
        "bias": a * w / (z - b - half) * R,
        "gradient": w / (z - half) * R,
        "rescaled": right / right.sum() * R,
    }


@exercise(
    "explain",
    12,
    "Work out the right answer first: contributions (2, -4), z = -1, and epsilon moves z away from zero.",
    "Then look at each library's answer: its sum, its ratio to the right answer, and its ratio to the contributions "
    "(which is R over the library's denominator).",
    start='suspects = {"A": None, "B": None, "C": None, "D": None, "E": None}',
)
def suspects(answer: Any) -> None:
    """Five libraries.

    Five libraries promise LRP-epsilon as in Bach et al. 2015, eq. 58. On the neuron a = (2, 1), w = (1, -4), b = 1 with
    epsilon = 1/2 and R = 3, they answer

        A  (-12, 24)        B  (-12/5, 24/5)        C  (-2, 8)        D  (-3, 6)        E  (-4, 8)

    Explain the differences. One library is right: answer "none" for it. Each of the others makes one of these mistakes:
    "sign" (it adds epsilon without the sign of z), "bias" (it leaves the bias out of z), "gradient" (it does not
    multiply by the input), or "rescaled" (it scales the map to sum to R).
    """
    given = entries(answer, ANSWERS)
    programs = _epsilon_programs()
    for library, mistake in given.items():
        demand(mistake in MISTAKES, f"{library}: {mistake!r} is not among {', '.join(MISTAKES)}.")
        said = exact([ANSWERS[library]])[0]
        made = "without a mistake" if mistake == "none" else f'with the mistake "{mistake}"'
        answered = programs[mistake]
        demand((answered == said).all(), f"{library}: a library {made} answers {shown(answered)}, not {shown(said)}.")


def _plus_programs(layer: Dense, a: Any) -> dict[str, Any]:
    """Five programs that call themselves z-plus."""
    w, b, R = layer.weight, layer.bias, exact([[1, 1]])
    products = a[0][:, None] * w.T
    positive = np.maximum(products, 0)

    def over(parts: Any, z: Any) -> Any:
        fractions = np.where(z == 0, 0, parts / np.where(z == 0, 1, z))
        return fractions.sum(axis=1)

    clamped = a[0][:, None] * np.maximum(w, 0).T
    return {
        "z-plus": layer.relevance(a, R, rules.ZPlus())[0],
        "weights clamped": over(clamped, clamped.sum(axis=0) + np.maximum(b, 0)),
        "bias left out": over(positive, positive.sum(axis=0)),
        "bias of either sign": over(positive, positive.sum(axis=0) + b),
        "magnitudes": layer.relevance(a, R, rules.Absolute())[0],
    }


@exercise(
    "find",
    15,
    "A negative input shows that weights are clamped. A negative contribution shows that magnitudes are used.",
    "With a positive bias, 'bias of either sign' is right. With a negative one, 'bias left out' is right. So give the "
    "two neurons biases of different sign.",
    start='telling = {"a": [None, None], "W": [[None, None], [None, None]], "b": [None, None]}',
)
def telling(answer: Any) -> None:
    """A case that tells five programs apart.

    Five programs claim to compute z-plus: one that does; one that clamps the weights; one that leaves the bias out; one
    that adds a bias of either sign to the denominator; and one that distributes by magnitudes. Design a single case of
    two inputs and two neurons, with R = (1, 1), for which all five give different answers.
    """
    given = entries(answer, ["a", "W", "b"])
    a, W, b = fractions(given["a"], 2, "a")[None], fractions(given["W"], (2, 2), "W"), fractions(given["b"], 2, "b")
    found = _plus_programs(Dense(W, b), a)
    for (one, first), (other, second) in combinations(found.items(), 2):
        demand((first != second).any(), f"'{one}' and '{other}' both answer {shown(first)}.")


@exercise(
    "compute",
    8,
    "The contributions are (2, -2, 3). The positive bias is part of the positive sum, and not of the negative one.",
    "Positive parts get 2 R times their share of 6; the negative part gets -R times its share of -2, which is all "
    "of it.",
    start="referee = [None, None, None]",
)
def referee(answer: Any) -> None:
    """Alpha-beta by hand.

    Work out alpha-beta with alpha = 2 and beta = 1 (Bach et al. 2015, eq. 60) for a = (1, 2, -1), w = (2, -1, -3), b =
    1 and R = 3. How much do the three inputs get?
    """
    given = fractions(answer, 3)
    a, w, b, R = exact([[1, 2, -1]]), exact([[2, -1, -3]]), exact([1]), exact([[3]])
    layer, rule = Dense(w, b), rules.AlphaBeta(2, 1)
    right = layer.relevance(a, R, rule)[0]
    clamp, z = np.maximum(w, 0)[0], np.minimum(w, 0)[0]
    by_weights = 2 * a[0] * clamp / ((a[0] * clamp).sum() + 1) * 3 - a[0] * z / (a[0] * z).sum() * 3
    demand((given != by_weights).any(), "You split the weights by sign. A negative input turns the sign of a product.")
    demand((given != Dense(w).relevance(a, R, rule)[0]).any(), "You left the bias out of the positive sum.")
    demand((given != layer.relevance(a, R, rules.Zero())[0]).any(), "That is LRP-0: signs are not kept apart.")
    demand((given != layer.relevance(a, R, rules.ZPlus())[0]).any(), "That is the positive part alone, with alpha = 1.")
    demand(given[1] != -right[1], f"The contribution of the second input is negative, and you give it {given[1]}.")
    if (given != right).any():
        raise Refused(
            f"Your inputs get {given.sum()} together. With the share of the bias, 2 R/6, the total should be R = 3."
        )
