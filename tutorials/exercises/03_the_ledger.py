"""The map does not sum to the output. Is that a bug?"""

from __future__ import annotations

from typing import Any

import numpy as np

import lrpref
from lrpref import Dense, Network, ReLU

from .exercise import Refused, exercise
from .reading import array, demand, entries, exact, fraction, fractions, shown

FOUR = {"A": (1, 2, 3), "B": (1, -2, 1), "C": (-1, -3, -2), "D": (-2, 1, 0)}
"""The bias, the sum and the relevance of four neurons."""


@exercise(
    "predict",
    4,
    "The entry is (b / z) R, so its sign is the product of three signs.",
    start='which_way = ""  # four characters, one each for A, B, C and D',
)
def which_way(answer: Any) -> None:
    """The sign of a bias entry.

    Here are four neurons under LRP-0, with their bias b, their sum z and their relevance R:

        A   b =  1   z =  2   R =  3
        B   b =  1   z = -2   R =  1
        C   b = -1   z = -3   R = -2
        D   b = -2   z =  1   R =  0

    What is the sign of each neuron's entry in the column *bias* of the ledger? Write a string of four characters, each
    of them "+", "-" or "0".
    """
    if answer == "":
        raise NotImplementedError
    demand(
        isinstance(answer, str) and len(answer) == 4 and set(answer) <= set("+-0"),
        'Write a string such as "+-0+", with one character for each of the four entries.',
    )
    for sign, (name, (b, z, R)) in zip(answer, FOUR.items(), strict=True):
        flow = Dense(exact([[1]]), exact([b])).flow((exact([[z - b]]),), exact([[R]]), lrpref.rules.Zero())
        share = np.ravel(flow.losses["bias"])[0]
        if sign != ("+" if share > 0 else "-" if share < 0 else "0"):
            copied = "the sign of b" if sign == ("+" if b > 0 else "-") else "your sign"
            raise Refused(f"{name}: {copied} is not that of the entry. The inputs get {flow.inputs[0][0, 0]} of {R}.")


def _small() -> tuple[Network, Any]:
    """The network of the second exercise, and its input."""
    fc1, fc2 = Dense(exact([[1, 1], [2, -1]]), exact([-1, 1])), Dense(exact([[3, 2]]), exact([2]))
    return Network.sequential(fc1, ReLU(), fc2, names=["fc1", "relu", "fc2"]), exact([[1, 2]])


@exercise(
    "compute",
    10,
    "The hidden sums are 1 + 2 - 1 and 2 - 2 + 1. The relevance of a hidden unit is its contribution to the output.",
    "The entry of fc1 is the sum over its units of b_j R_j / z_j; one of them is negative.",
    start='ledger = {"fc2 bias": None, "fc1 bias": None, "map": [None, None]}',
)
def ledger(answer: Any) -> None:
    """A ledger by hand.

    The input (1, 2) goes through fc1, a ReLU, and fc2. The two neurons of fc1 have the weights (1, 1) and (2, -1) and
    the biases -1 and 1; fc2 has the weights (3, 2) and the bias 2. Explain the output, 10, under LRP-0: how much do the
    biases of fc2 and of fc1 take, and what is the map?
    """
    given = entries(answer, ["fc2 bias", "fc1 bias", "map"])
    fc2, fc1 = fraction(given["fc2 bias"], "fc2 bias"), fraction(given["fc1 bias"], "fc1 bias")
    found = fractions(given["map"], 2, "map")
    net, x = _small()
    tr = lrpref.trace(net, x, rule="zero")
    right = {entry: tr.ledger["bias"][tr.ledger.nodes.index(entry), 0] for entry in ("fc1", "fc2")}
    total = fc2 + fc1 + found.sum()
    demand(fc2 == right["fc2"], f"fc2 divides 10 among 3 h1, 2 h2 and its bias. You give the bias {fc2}.")
    demand(fc1 != 0, "fc1 has a positive and a negative bias, but their shares do not cancel: z and R differ.")
    demand(total == 10, f"Map and biases sum to {total}, but they must sum to the output, 10.")
    demand(fc1 == right["fc1"], f"The sum is right, but fc1's entry is not {fc1}: it is the sum of b_j R_j / z_j.")
    demand(
        (found == tr.relevance[0]).all(),
        f"The map sums to {found.sum()}, which is right, but {shown(found)} are not the shares.",
    )


@exercise(
    "write",
    12,
    "net.activations(x) has the output z of each node by name, and trace(...).at has its relevance R. Take the z of "
    "the Dense layer itself, not the output of its ReLU.",
    "An entry is the sum over units of b_j R_j / z_j, where z_j is not zero.",
    start='''
    def bias_entries(net, x):
        """What the bias of each Dense layer takes under LRP-0, as a dictionary by node name."""
        tr = lrpref.trace(net, x, rule="zero")
        raise NotImplementedError
    ''',
)
def bias_entries(answer: Any) -> None:
    """Compute the bias column yourself.

    Compute the column *bias* of the ledger without using `tr.ledger`. For each Dense layer of a network, return how
    much its biases take when LRP-0 explains the largest output for one input x, of shape (1, ...).
    """
    random = np.random.default_rng(1)
    small = Network.sequential(
        Dense(random.normal(size=(4, 3)), random.normal(size=4)), ReLU(), Dense(random.normal(size=(2, 4)), [0.5, -1])
    )
    trained, digit = lrpref.load("mnist-mlp").astype(np.float64), lrpref.samples.load("hard-3").astype(np.float64)
    for net, x in [(small, np.array([[1.0, 2, -1]])), (trained, digit)]:
        tr = lrpref.trace(net, x, rule="zero")
        with np.errstate(divide="ignore", invalid="ignore"):
            got = answer(net, x)
        dense = [name for name, layer, _ in net.nodes if isinstance(layer, Dense)]
        demand(isinstance(got, dict) and set(got) == set(dense), f"Return a dictionary with {', '.join(dense)}.")
        for name in dense[::-1]:
            entry = float(tr.ledger["bias"][tr.ledger.nodes.index(name), 0])
            found = float(array(got[name], (), f"the entry of {name}"))
            known = {
                "the sum of the biases": net[name].bias.sum(),
                "the sum of b R": (net[name].bias * tr.at[name]).sum(),
            }
            known["what the layer's inputs get"] = float(tr.ledger["in"][tr.ledger.nodes.index(name), 0])
            for what, value in known.items():
                demand(not np.isclose(found, value) or np.isclose(entry, value), f"{name}: {found:.4g} is {what}.")
            demand(
                np.isclose(found, entry, rtol=1e-6, atol=1e-9),
                f"{name}: with your entry {found:.4g}, {abs(found - entry):.2g} of the relevance is unaccounted for.",
            )
