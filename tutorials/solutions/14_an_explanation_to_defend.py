"""Solutions to the exercises of step 14."""

import numpy as np

import lrpref
from lrpref.evaluation.maps import cosine

# B confuses a loss with an error, C overlooks the blue pixels, and E predicts an amount: the lead falls by 7, not 1.5.
defended = {"A", "D"}

# A piece of the lower left arc. Without it, the lower loop is open, as that of a three should be.
misleading = (16, 21, 6, 11)


def report(net, x, rule):
    logits = net.forward(x)[0]
    first, second = np.argsort(-logits)[:2]
    tr = lrpref.trace(net, x, int(first), rule)
    other = lrpref.explain(net, x, int(second), rule)
    return {
        "pixels": tr.relevance.sum() / logits[first],
        "bias": tr.ledger["bias"].sum() / logits[first],
        "residual": abs(tr.ledger.residual()).max(),
        "alike": cosine(tr.relevance, other)[0],
    }
