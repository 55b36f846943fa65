"""Wrong answers to the exercises of step 14, and a part of what the learner is told."""

import numpy as np

import lrpref
from lrpref.evaluation.maps import cosine


def of(pixels=lambda R, logit: R.sum() / logit, bias=1.0, runner_up=1):
    def report(net, x, rule):
        logits = net.forward(x)[0]
        order = np.argsort(-logits)
        tr, other = (lrpref.trace(net, x, int(order[k]), rule) for k in (0, runner_up))
        logit = logits.max()
        return {
            "pixels": pixels(tr.relevance, logit),
            "bias": tr.ledger["bias"].sum() / logit * bias,
            "residual": abs(tr.ledger.residual()).max(),
            "alike": cosine(tr.relevance, other.relevance)[0],
        }

    return report


WRONG = {
    "defended": [
        ({"A", "B", "D"}, "B: the residual is rounding noise"),
        ({"A", "C", "D"}, "C: the contrast has negative pixels"),
        ({"A", "D", "E"}, "E: relevance divides this output"),
        ({"A"}, "they are not all"),
    ],
    "misleading": [
        ((14, 21, 16, 20), "but without it the lead changes by -7.01"),
        ((12, 22, 2, 14), "has 143 pixels"),
        ((12, 17, 8, 13), "It holds 0.42 of the contrast"),
        ((21, 16, 6, 11), "first to last"),
        ((16, 21), "4 numbers"),
    ],
    "report": [
        (of(pixels=lambda R, logit: R.sum()), "is the amount"),
        (of(pixels=lambda R, logit: abs(R).sum() / logit), "a sum of magnitudes"),
        (of(bias=-1.0), "bias: 0.06732 cannot be right"),
        (of(runner_up=2), "alike"),
        (lambda net, x, rule: lrpref.explain(net, x, rule=rule), "must be a dictionary"),
    ],
}
