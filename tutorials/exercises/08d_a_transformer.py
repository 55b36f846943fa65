"""And a transformer?"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import MatMul, Multiply, Network, Slice, rules
from lrpref.zoo import text

from .exercise import NotAnswered, Refused, exercise
from .reading import array, demand, entries, exact, fraction, fractions, shown


@exercise(
    "compute",
    6,
    "The output is a sum of two contributions, each of them a weight times a value.",
    "Half of each contribution goes to its weight, half to its value. Rescale if R is not the output.",
    start='halves = {"weights": [None, None], "values": [None, None]}',
)
def halves(answer: Any) -> None:
    """Divide products in halves.

    One word reads two others, with the attention weights 1/3 and 2/3 and the values 6 and -9. The output of this
    attention has received R = 2. Divide R by LRP-0 with halves, as AttnLRP does: how much do the two weights and the
    two values get?
    """
    given = entries(answer, ["weights", "values"])
    w, v = exact([[[Fraction(1, 3), Fraction(2, 3)]]]), exact([[[6], [-9]]])
    got = [fractions(given[name], 2, name) for name in ("weights", "values")]
    R = exact([[[2]]])
    right = [share.ravel() for share in MatMul().relevance((w, v), R, rules.Zero())]
    signal = MatMul(split="signal").relevance((w, v), R, rules.Zero())[1].ravel()
    total = sum(share.sum() for share in got)
    demand(total != -4, f"Yours sum to {total}, the output. They should sum to the R that it received.")
    demand(total != 4, f"Yours sum to {total}: twice R. Gradient times input gives a product away twice.")
    demand(total == 2, f"Yours sum to {total}, but there is R = 2 to divide.")
    demand((got[1] != signal).any(), "You give all of it to the values, as CP-LRP does.")
    demand((got[0] == got[1]).all(), "In each product, the weight gets as much as the value.")
    demand(
        (got[0] == right[0]).all(), f"You divide {shown(got[0] + got[1])} between the two products. What do they add?"
    )


FUNCTIONS = {
    "three": "x1 x2 x3",
    "square": "(x1 + x2)^2",
    "quotient": "x1 / x2",
    "relu": "max(x1 - 2 x2, 0)",
}


def _sum_of_gradient_times_input(name: str) -> tuple[Fraction, Fraction]:
    """For x = (5, 2, 3): the function, and what gradient times input sums to."""
    x1, x2, x3 = map(Fraction, (5, 2, 3))
    slopes = {
        "three": (x1 * x2 * x3, (x2 * x3, x1 * x3, x1 * x2)),
        "square": ((x1 + x2) ** 2, (2 * (x1 + x2), 2 * (x1 + x2), 0)),
        "quotient": (x1 / x2, (1 / x2, -x1 / x2**2, 0)),
        "relu": (x1 - 2 * x2, (1, -2, 0)),
    }
    f, (d1, d2, d3) = slopes[name]
    return f, d1 * x1 + d2 * x2 + d3 * x3


@exercise(
    "predict",
    6,
    "Multiply all inputs by 10. By what power of 10 is the function multiplied?",
    "Or take the derivatives at x = (5, 2, 3), multiply each by its input, and divide the sum by the function.",
    start='how_often = {"three": None, "square": None, "quotient": None, "relu": None}',
)
def how_often(answer: Any) -> None:
    """What gradient times input sums to.

    Gradient times input sums to a multiple of the function: twice the function for a product of two inputs, and once
    for a weighted sum. What is the multiple for three = x1 x2 x3, square = (x1 + x2)^2, quotient = x1 / x2, and relu =
    max(x1 - 2 x2, 0) where it is not zero?
    """
    given = entries(answer, FUNCTIONS)
    for name, formula in FUNCTIONS.items():
        k = fraction(given[name], name)
        f, total = _sum_of_gradient_times_input(name)
        demand(
            k * f == total,
            f"{name}: at x = (5, 2, 3), {formula} is {f}. Gradient times input would sum to {k * f}. Work it out for "
            "one input at a time.",
        )


LETTERS = "abcde"
WANTED = {"a": Fraction(1, 2), "b": Fraction(1, 8), "c": Fraction(1, 8), "d": Fraction(1, 8), "e": Fraction(1, 8)}


def _letters(written: Any, depth: int = 0) -> Iterator[str]:
    """The factors of nested pairs, from the left; refuses what is neither a pair nor a factor."""
    if isinstance(written, str):
        demand(written in tuple(LETTERS), f"{written!r} is none of the factors {', '.join(LETTERS)}.")
        yield written
        return
    pair = isinstance(written, tuple | list) and len(written) == 2 and depth < 9
    demand(pair, 'Give pairs of pairs or letters, such as (("a", "b"), ("c", ("d", "e"))).')
    for part in written:
        yield from _letters(part, depth + 1)


def _products(written: Any, nodes: list[tuple[str, Any, list[str]]]) -> str:
    """Append the products of nested pairs, and return the name of the last one."""
    if isinstance(written, str):
        return written
    factors = [_products(part, nodes) for part in written]
    nodes.append((f"product{len(nodes)}", Multiply(), factors))
    return nodes[-1][0]


@exercise(
    "find",
    8,
    "The multiplication that was done last is divided first.",
    "A factor with a half is multiplied in the last product. A factor with an eighth goes through three products.",
    start="order = None",
)
def order(answer: Any) -> None:
    """The order of multiplication.

    With halves, the shares of the factors depend on the order of multiplication. Find an order for the product of five
    numbers, a b c d e, in which a gets one half of the product and the others get one eighth each. Write it as nested
    pairs: ("a", "b") is a product, and (("a", "b"), "c") multiplies it by c.
    """
    if answer is None:
        raise NotAnswered
    used = sorted(_letters(answer))
    demand(used == list(LETTERS), f"Use each of a, b, c, d and e once; yours has {', '.join(used)}.")
    cut = [(letter, Slice(1, k, k + 1), ["input"]) for k, letter in enumerate(LETTERS)]
    _products(answer, nodes := [])
    x = exact([[2, 3, 5, 7, 11]])
    net = Network([*cut, *nodes])
    shares = dict(zip(LETTERS, lrpref.explain(net, x, rule="zero")[0] / net.forward(x)[0, 0], strict=True))
    for letter, share in shares.items():
        demand(share == WANTED[letter], f"{letter} gets {share} of the product, and should get {WANTED[letter]}.")


@cache
def _reviews() -> tuple[Network, list[np.ndarray], int]:
    """The network, three sentences, and the index of the unknown word."""
    words = lrpref.weights.metadata("review-transformer")["input"]["words"]
    sentences = [text.indices(name, words) for name in text.SENTENCES]
    return lrpref.load("review-transformer").astype(np.float64), sentences, words.index(text.UNKNOWN)


@exercise(
    "write",
    10,
    "numpy.repeat makes as many copies of the sentence as it has words; hide one word in each of them.",
    "The lead is output 1 minus output 0. The effect of a word is the lead with it minus the lead without it.",
    start='''
    def effects(net, x, unknown):
        """By how much each word raises the lead of output 1 over output 0; x has the shape (1, words)."""
        raise NotImplementedError
    ''',
)
def effects(answer: Any) -> None:
    """Hide a word.

    Write the test of this step: for each word of a sentence, by how much does the lead of output 1 over output 0 fall
    if this word alone is replaced by the number `unknown`? Return one number per word; a negative number means that the
    lead rises.
    """
    net, sentences, unknown = _reviews()
    for x in sentences:
        given = x.copy()
        got = array(answer(net, given, unknown), (x.shape[1],), "effects(...)")
        demand((given == x).all(), "Your function changes the sentence that it was given.")
        lead = net.forward(x) @ [-1, 1]
        words = range(x.shape[1])
        hidden = np.repeat(x, len(words), axis=0)
        np.fill_diagonal(hidden, unknown)
        outputs = net.forward(hidden)
        if np.allclose(got, lead - outputs @ [-1, 1]):
            continue
        demand(not np.allclose(got, outputs @ [-1, 1] - lead), "You return by how much the lead rises, not falls.")
        demand(not np.allclose(got, outputs @ [-1, 1]), "These are the leads that are left. How far have they fallen?")
        left_out = np.concatenate([net.forward(np.delete(x, k, axis=1)) for k in words])
        demand(
            not np.allclose(got, lead - left_out @ [-1, 1]),
            "You leave the word out, which moves all words after it. Replace it by the number `unknown`.",
        )
        raise Refused(f"For a sentence of {len(words)} words, {shown(got.tolist())} are not the effects of hiding one.")
