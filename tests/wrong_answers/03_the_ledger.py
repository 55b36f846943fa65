"""Wrong answers to the exercises of step 3, and a part of what the learner is told."""

import lrpref
from lrpref import Dense


def of_each(entry):
    def bias_entries(net, x):
        tr, values = lrpref.trace(net, x, rule="zero"), net.activations(x)
        dense = [name for name, layer, _ in net.nodes if isinstance(layer, Dense)]
        return {name: entry(net[name].bias, tr.at[name], values[name]).sum() for name in dense}

    return bias_entries


WRONG = {
    "which_way": [
        ("++--", "B: the sign of b"),
        ("+-+0", "C: your sign"),
        ("+---", "D: the sign of b"),
        ("+--", "such as"),
        ("0--0", "A: your sign"),
    ],
    "ledger": [
        ({"fc2 bias": 0, "fc1 bias": -1, "map": [7, 2]}, "fc2 divides 10"),
        ({"fc2 bias": 2, "fc1 bias": 0, "map": [6, 2]}, "do not cancel"),
        ({"fc2 bias": 2, "fc1 bias": 1, "map": [7, 2]}, "sum to 12"),
        ({"fc2 bias": 2, "fc1 bias": 5, "map": [3, 0]}, "not 5"),
        ({"fc2 bias": 2, "fc1 bias": -1, "map": [2, 7]}, "sums to 9, which is right"),
    ],
    "bias_entries": [
        (of_each(lambda b, R, z: b), "the sum of the biases"),
        (of_each(lambda b, R, z: b * R), "the sum of b R"),
        (of_each(lambda b, R, z: abs(b * R / z)), "is unaccounted for"),
        (of_each(lambda b, R, z: b * R / z.clip(0)), "contains NaN or infinity"),
        (lambda net, x: {}, "Return a dictionary"),
    ],
}
