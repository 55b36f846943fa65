"""Solutions to the exercises of step 11."""

from dataclasses import dataclass

from lrpref import Dense
from lrpref.rules import Ratio, Rule, Term, negative, positive

# z = 2 - 1 = 1, so the input gets 2.
too_generous = {"a": 1, "w": 2, "b": -1}


def unchanged_when_doubled(rule, layer, a, R):
    doubled = Dense(2 * layer.weight, None if layer.bias is None else 2 * layer.bias)
    return bool((layer.relevance(a, R, rule) == doubled.relevance(a, R, rule)).all())


def agree(a, w):
    """For z >= 0 both enlarge the positive products; for z < 0 the plain form still does, if there are any."""
    products = [a_i * w_i for a_i, w_i in zip(a, w, strict=True)]
    return sum(products) >= 0 or max(products) <= 0


@dataclass(frozen=True)
class Repaired(Rule):
    """R_i = sum_j (a_i w_ij)+ / (sum_i (a_i w_ij)+ + b_j+) R_j."""

    def ratios(self):
        return (Ratio((Term(positive, positive, positive), Term(negative, negative))),)
