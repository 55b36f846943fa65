"""What is LRP, in sixty lines?"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import lrpref
from lrpref import Dense, Network, ReLU, messages, rules

from .exercise import Refused, exercise
from .reading import array, demand, entries, exact, fraction, fractions, shown


@exercise(
    "compute",
    10,
    "First the forward pass: the three hidden sums, then the ReLU, then the output. What does a unit at 0 contribute?",
    "A hidden unit gets its contribution h_j v_j, because the relevance of the output is the output itself. Then each "
    "hidden unit divides what it got: input i receives x_i w_ij / z_j of it.",
    start='two_layers = {"hidden": [None, None, None], "input": [None, None]}',
)
def two_layers(answer: Any) -> None:
    """Two layers by hand.

    A network without biases has the inputs x = (3, 1) and the hidden units h = ReLU(z) with

        z1 = x1 - 2 x2        z2 = x1 + x2        z3 = x2 - x1

    and the output y = 2 h1 + h2 - 5 h3. Explain y with LRP-0, starting with R = y. How much relevance do the three
    hidden units get, and how much do the two inputs get?
    """
    x, W, v = exact([[3, 1]]), Dense(exact([[1, -2], [1, 1], [-1, 1]])), Dense(exact([[2, 1, -5]]))
    z = W.forward(x)
    h = ReLU().forward(z)
    y = v.forward(h)
    at_hidden = messages(v, h, y, rules.Zero())[0].sum(axis=-1)
    sent = messages(W, x, at_hidden[None], rules.Zero())[0]
    given = entries(answer, ["hidden", "input"])
    hidden, inputs = fractions(given["hidden"], 3, "hidden"), fractions(given["input"], 2, "input")
    demand(
        hidden[2] == 0,
        f"You give the third hidden unit {hidden[2]}. Its sum is {z[0, 2]}; what does the ReLU make of it?",
    )
    demand(
        hidden.sum() == y[0, 0],
        f"Your hidden relevances sum to {hidden.sum()}, but the output is {y[0, 0]}. Without biases nothing is lost.",
    )
    demand((hidden == at_hidden).all(), "Your hidden relevances sum to y, but are not in proportion to h_j v_j.")
    demand(
        inputs.sum() == y[0, 0],
        f"The hidden units hold {y[0, 0]} together, your inputs {inputs.sum()}. Each unit passes on all it has, so "
        "divide by the unit's own z.",
    )
    demand(
        inputs[1] < 0,
        "The second input contributes -2 to the first hidden unit. Does it get as much back from the second unit?",
    )
    demand(
        (inputs == sent.sum(axis=-1)).all(),
        f"Your inputs sum to y, but are not the sums of their messages. The first unit sends {shown(sent[:, 0])}.",
    )


@exercise(
    "predict",
    5,
    "The network has no biases, so a ReLU lets a doubled sum through doubled. What happens to the logit?",
    "LRP starts with the logit, and its fractions a_i w_ij / z_j do not notice that a and z are both twice as large.",
)
def ink_doubled(answer: Any) -> None:
    """Twice the ink.

    Take the biases away from the network `mnist-mlp`, and give it a digit with all pixels twice as large. The relevance
    of every pixel under LRP-0 (starting at the logit) is then multiplied by the same number. Say which number it is
    before you run anything.
    """
    factor = fraction(answer)
    trained = lrpref.load("mnist-mlp").astype(np.float64)
    net = Network([(n, Dense(layer.weight) if isinstance(layer, Dense) else layer, i) for n, layer, i in trained.nodes])
    x = lrpref.samples.load("digit-4").astype(np.float64)
    once, twice = (lrpref.explain(net, k * x, 4, "zero").sum() for k in (1, 2))
    logits = [net.forward(k * x)[0, 4] for k in (1, 2)]
    if abs(twice / once - float(factor)) > 1e-9:
        raise Refused(
            f"The logit goes from {logits[0]:.2f} to {logits[1]:.2f}. With your factor the map, which sums to "
            f"{once:.2f}, would then sum to {float(factor) * once:.2f}."
        )


@exercise(
    "write",
    20,
    "Two loops. Forward: keep every activation. Backward: for each layer from the top, z, s, c, R. The relevance "
    "at the top is zero except for the largest logit.",
    "A division by zero: where a unit's z is exactly 0, send nothing (np.where, or a mask).",
    start='''
    def lrp_zero(weights, biases, x):
        """The relevance of x, shape (inputs,); each of `weights` has the shape (inputs, outputs)."""
        raise NotImplementedError
    ''',
)
def lrp_zero(answer: Any) -> None:
    """LRP-0 from memory.

    Close the page, and write LRP-0 for a stack of fully connected layers with a ReLU after each of them but the last.
    Explain the largest output, and start with its value. Biases are part of z. The check tries your function on small
    random networks and on a real digit.
    """
    random = np.random.default_rng(0)
    for sizes in [(3, 2), (2, 3, 2), (4, 5, 3, 2)]:
        weights = [random.integers(-8, 9, (m, n)) / 8 for n, m in pairwise(sizes)]
        biases = [random.integers(-8, 9, m) / 8 for m in sizes[1:]]
        _compare(answer, weights, biases, random.integers(1, 9, sizes[0]) / 8)
    net = lrpref.load("mnist-mlp").astype(np.float64)
    dense = [layer for _, layer, _ in net.nodes if isinstance(layer, Dense)]
    x = lrpref.samples.load("digit-4").astype(np.float64).reshape(-1)
    _compare(answer, [layer.weight for layer in dense], [layer.bias for layer in dense], x)


def _compare(answer: Any, weights: list[np.ndarray], biases: list[np.ndarray], x: np.ndarray) -> None:
    """Compare with the library, and recognise common mistakes."""
    R = array(answer([w.T.copy() for w in weights], [b.copy() for b in biases], x.copy()), x.shape, "lrp_zero(...)")
    net = _stack(weights, biases)
    expected = lrpref.explain(net, x[None], rule="zero")[0]
    if np.allclose(R, expected, rtol=1e-7, atol=1e-9):
        return
    what = f"With layers of {' -> '.join(map(str, [x.size, *map(len, biases)]))} units: "
    logit = net.forward(x[None]).max()
    slopes = np.divide(expected, x, out=np.full_like(x, np.nan), where=x != 0)
    if np.allclose(R[x != 0], slopes[x != 0], rtol=1e-6):
        raise Refused(what + "this is the gradient. The fourth step multiplies it by the input.")
    if np.allclose(R, lrpref.explain(net, x[None], rule="zero", seed="one")[0]):
        raise Refused(what + "the map starts at 1. It should start at the value of the largest output.")
    if np.allclose(R, lrpref.explain(net, x[None], seed=net.forward(x[None]), rule="zero")[0]):
        raise Refused(what + "this explains all outputs at once. Start with the largest, and 0 for the others.")
    if np.isclose(R.sum(), logit):
        raise Refused(what + "the map sums to the logit exactly, so the biases took nothing. Are they part of your z?")
    raise Refused(what + f"the map sums to {R.sum():.4g}, where LRP-0 gives {expected.sum():.4g}.")


def _stack(weights: list[np.ndarray], biases: list[np.ndarray]) -> Network:
    layers: list[Any] = []
    for w, b in zip(weights, biases, strict=True):
        layers += [Dense(w, b), ReLU()]
    return Network.sequential(*layers[:-1])
