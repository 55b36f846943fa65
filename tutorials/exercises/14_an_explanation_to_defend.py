"""What can you say now?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import Network
from lrpref.evaluation.maps import cosine

from .exercise import exercise
from .reading import array, demand, demand_all, entries, fractions


@cache
def _three() -> tuple[Network, np.ndarray, np.ndarray]:
    """The network, the three with a closed lower loop, and the contrast of three and eight."""
    net = lrpref.fuse(lrpref.load("mnist-cnn-bn").astype(np.float64))
    x = lrpref.samples.load("hard-3").astype(np.float64)
    logits = net.forward(x)[0]
    seed = np.zeros((1, 10))
    seed[0, 3], seed[0, 8] = logits[3], -logits[8]
    return net, x, lrpref.explain(net, x, seed=seed, rule="epsilon-plus")


def _change(part: tuple[slice, slice]) -> float:
    """By how much the three's lead over the eight changes when a part is erased."""
    net, x, _ = _three()
    erased = x.copy()
    erased[0, 0][part] = 0
    after, before = net.forward(erased)[0], net.forward(x)[0]
    return float(after[3] - after[8] - before[3] + before[8])


@cache
def _claims() -> dict[str, bool]:
    """Which of the sentences are true."""
    net, x, contrast = _three()
    tr = lrpref.trace(net, x, 3, "epsilon-plus")
    logit, part = tr.logits[0, 3], np.s_[14:22, 16:21]
    pixels, bias = tr.relevance.sum() / logit, tr.ledger["bias"].sum() / logit
    change, held = _change(part), float(contrast[0, 0][part].sum())
    return {
        "A": bool(0.6 < pixels < 0.7 and pixels + bias > 0.99),
        "B": bool(abs(tr.ledger.residual()).max() > 1e-6),
        "C": bool(contrast.min() >= 0),
        "D": change < 0,
        "E": bool(np.isclose(change, -held, rtol=0.1)),
    }


WHY_NOT = {
    "B": "the residual is rounding noise. The rest of the logit is in the column *bias*, and this is not an error",
    "C": "the contrast has negative pixels, too. Print its minimum",
    "E": "relevance divides this output and does not predict another one. Erase the part, and compare",
}


@exercise(
    "predict",
    8,
    "Which sentences are about this output, and which are about another one? Which confuse a loss with an error?",
    "Two of them are true.",
    start="defended = set()  # of letters",
)
def defended(answer: Any) -> None:
    """Which sentences can you defend?

    The network `mnist-cnn-bn` (folded) classifies `hard-3` as a three, and its second answer is an eight. You have the
    map for three under epsilon-plus, its ledger, and the contrast "three rather than eight". The part P is rows 14 to
    21, columns 16 to 20. Which of these sentences are true?

        A   about two thirds of the logit are on the map, and nearly all the rest went to biases
        B   a third of the logit is missing, so the map is wrong by that much
        C   no pixel counts for the eight rather than for the three
        D   without P, the three leads the eight by less
        E   without P, the lead is smaller by as much as P holds of the contrast
    """
    demand_all(answer, _claims(), lambda name: f"{WHY_NOT[name]}.")


@exercise(
    "find",
    12,
    "The contrast is red on many parts of the three. Erase them one after the other, and look at the lead.",
    "Erasing ink can also *open* a loop. How would an open lower loop change the logit of the eight?",
    start="misleading = (None, None, None, None)  # first row, last row, first column, last column",
)
def misleading(answer: Any) -> None:
    """A red part whose removal helps.

    In the contrast "three rather than eight" of `hard-3` (the first exercise has the details), find a rectangle of at
    most 40 pixels that holds a relevance of at least +0.5, although erasing it (setting it to 0) increases the lead of
    the three by at least 5. So a red part is not always one without which the lead would be smaller.
    """
    top, bottom, left, right = (int(each) for each in fractions(answer, 4, "The rectangle"))
    demand(0 <= top <= bottom < 28 and 0 <= left <= right < 28, "Rows and columns go from 0 to 27, first to last.")
    size = (bottom - top + 1) * (right - left + 1)
    demand(size <= 40, f"Your rectangle has {size} pixels.")
    part = np.s_[top : bottom + 1, left : right + 1]
    held, change = _three()[2][0, 0][part].sum(), _change(part)
    demand(held >= 0.5, f"It holds {held:.2f} of the contrast; without it, the lead changes by {change:+.2f}.")
    demand(change >= 5, f"It holds {held:.2f} of the contrast, but without it the lead changes by {change:+.2f}.")


@exercise(
    "write",
    12,
    "One trace for the largest logit has the map and the ledger; a second one, with target=..., explains the "
    "runner-up.",
    'tr.relevance.sum(), tr.ledger["bias"].sum(), abs(tr.ledger.residual()).max(); the first two over the logit.',
    start='''
    def report(net, x, rule):
        """The numbers that belong to a map of one input: "pixels", "bias", "residual", "alike"."""
        raise NotImplementedError
    ''',
)
def report(answer: Any) -> None:
    """A report for every map.

    Write the report that you would print under every map. It is a dictionary with "pixels" and "bias", the fractions of
    the largest logit that the map holds and that the biases took; "residual", the largest magnitude in the ledger's
    residual; and "alike", the cosine between this map and the one for the second largest logit.
    """
    net, x = lrpref.load("mnist-mlp").astype(np.float64), lrpref.samples.load("hard-3").astype(np.float64)
    for rule in ("zero", "z-plus"):
        logits = net.forward(x)[0]
        first, second = (int(k) for k in np.argsort(-logits)[:2])
        tr, other = (lrpref.trace(net, x, k, rule) for k in (first, second))
        right = {"pixels": tr.relevance.sum() / logits[first], "bias": tr.ledger["bias"].sum() / logits[first]}
        right |= {"residual": abs(tr.ledger.residual()).max(), "alike": float(cosine(tr.relevance, other.relevance)[0])}
        got = entries(answer(net, x, rule), right, "report(...)")
        for name, value in right.items():
            mine = float(array(np.squeeze(got[name]), (), name))
            amount = np.isclose(mine, value * logits[first]) and name in ("pixels", "bias")
            demand(not amount, f"Under {rule}, {name}: {mine:.4g} is the amount. What fraction of the logit is that?")
            sizes = abs(tr.relevance).sum() / logits[first]
            demand(
                not (name == "pixels" and np.isclose(mine, sizes) and not np.isclose(value, sizes)),
                f"Under {rule}, {name}: {mine:.4g} is a sum of magnitudes. Add up the relevance with its signs.",
            )
            demand(np.isclose(mine, value, atol=1e-9), f"Under {rule}, {name}: {mine:.4g} cannot be right.")
