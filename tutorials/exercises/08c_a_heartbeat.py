"""And a signal?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import lrpref
from lrpref import Conv1D, Dense, Network, rules

from .exercise import Refused, exercise
from .reading import array, demand, entries, exact, fraction, fractions, shown


@exercise(
    "compute",
    6,
    "The first output reads samples 1 to 3, the second one samples 3 to 5. Each of them holds its own value.",
    "Without a bias and with R = z, a message is a contribution. Sample 3 gets two.",
    start="signal = [None] * 5",
)
def signal(answer: Any) -> None:
    """LRP-0 on five samples.

    A convolution along time has the kernel (1, 2, -1), stride 2, no padding and no bias. It reads the signal (1, 2, 3,
    4, 5). Explain both of its outputs at once with LRP-0, each starting at its own value. How much do the five samples
    get?
    """
    given = fractions(answer, 5)
    x, kernel = exact([[[1, 2, 3, 4, 5]]]), exact([[[1, 2, -1]]])
    conv = Conv1D(kernel, stride=2)
    z = conv.forward(x)
    right = conv.relevance(x, z, rules.Zero())[0, 0]
    flipped = Conv1D(kernel[..., ::-1].copy(), stride=2)
    rotated = flipped.relevance(x, flipped.forward(x), rules.Zero())[0, 0]
    demand((given != rotated).any(), "Your kernel is rotated: its first weight meets the first sample that it reads.")
    dense = Conv1D(kernel)
    every = dense.relevance(x, dense.forward(x), rules.Zero())[0, 0]
    demand((given != every).any(), "You have three outputs. With a stride of 2 there are two.")
    demand(given.sum() == z.sum(), f"Yours sum to {given.sum()}, but the outputs are {shown(z)}.")
    demand((given == right).all(), f"The sum is right. Sample 3 is read by both outputs, and you give it {given[2]}.")


@exercise(
    "predict",
    6,
    "Write w for the weights of the first output. Those of the second are -w, and so is its value.",
    "A message is a_i w_i / z R. With -w and -z the quotient stays as it is. And R?",
    start='two_classes = {"logit": None, "one": None}',
)
def two_classes(answer: Any) -> None:
    """Two classes, one map?

    A network has two outputs, and the second one is always minus the first: its weights have the opposite sign, and
    there is no bias. Explain both outputs of the same input with LRP-0. By what number must you multiply the first map
    to get the second one, if each starts at its own logit, and if both start at 1?
    """
    given = entries(answer, ["logit", "one"])
    w = exact([[1, -2, 3]])
    net, x = Network.sequential(Dense(np.concatenate([w, -w]))), exact([[2, 1, 1]])
    for seed in ("logit", "one"):
        factor = fraction(given[seed], seed)
        first, second = (lrpref.explain(net, x, target, "zero", seed=seed)[0] for target in (0, 1))
        demand(
            (factor * first == second).all(),
            f"{seed}: for the weights {shown(w)} and the input {shown(x)}, your second map would be "
            f"{shown(factor * first)}. Its sum should be {'the second logit' if seed == 'logit' else 1}.",
        )


@cache
def _beats() -> tuple[Network, np.ndarray]:
    """The network, and a narrow and a wide beat."""
    names = ("beat-narrow", "beat-wide")
    beats = np.concatenate([lrpref.samples.load(name) for name in names]).astype(np.float64)
    return lrpref.fuse(lrpref.load("ecg-cnn").astype(np.float64)), beats


@exercise(
    "write",
    10,
    "two[::-1] exchanges the two beats. Copy the beats before you write into them.",
    "The lead of the old answer is its logit minus the other one; the narrow beat's old answer is 0, the wide one's 1.",
    start='''
    def leads_after_exchange(net, two, part):
        """By how much the old answers (0 and 1) still lead, as two numbers; two has the shape (2, 1, 128)."""
        raise NotImplementedError
    ''',
)
def leads_after_exchange(answer: Any) -> None:
    """Exchange a wave.

    Write the test of this step. Two beats exchange the samples of `part` (a mask of 128 truth values), and the network
    is run again. By how much does the old answer of each beat now lead the other answer? (A negative number means that
    it no longer leads.)
    """
    net, two = _beats()
    seconds = (np.arange(128) - 48) / 180
    for name, part in {"R wave": abs(seconds) < 0.1, "T wave": seconds >= 0.1}.items():
        given = two.copy()
        got = array(answer(net, given, part.copy()), (2,), "leads_after_exchange(...)")
        demand((given == two).all(), "Your function changes the beats that it was given.")
        leads = {}
        for what, other in {"exchanged": two[::-1], "erased": 0 * two}.items():
            mixed = np.where(part, other, two)
            leads[what] = (net.forward(mixed) @ [-1, 1]) * [-1, 1]
        if np.allclose(got, leads["exchanged"]):
            continue
        demand(not np.allclose(got, leads["erased"]), f"{name}: you set the samples to 0 instead of exchanging them.")
        demand(not np.allclose(got, -leads["exchanged"]), f"{name}: these are the leads of the *other* answers.")
        rest = (net.forward(np.where(part, two, two[::-1])) @ [-1, 1]) * [-1, 1]
        demand(not np.allclose(got, rest), f"{name}: you exchange everything but this wave.")
        raise Refused(f"{name}: your leads {shown(got.tolist())} are not those of beats with exchanged samples.")
