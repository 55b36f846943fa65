"""Why does batch normalisation break it?"""

from __future__ import annotations

from typing import Any

import numpy as np

from lrpref import BatchNorm, Conv2D, Dense, MaxPool2D, Scale, rules

from .exercise import Refused, exercise
from .reading import array, demand, demand_all, entries, exact, fraction, fractions, parts, shown


@exercise(
    "compute",
    8,
    "s = sqrt(var + eps) = 2. What does the layer multiply by, and what does it add?",
    "BatchNorm gives w z + b with w = g / s = 2 and b = beta - g mu / s = -2. Put z = 2 x1 - x2 + 3 into it.",
    start='folded = {"weight": [None, None], "bias": None}',
)
def folded(answer: Any) -> None:
    """Fold by hand.

    A neuron computes 2 x1 - x2 + 3. The BatchNorm after it has g = 4, beta = 2, mean 2, variance 3 and eps 1. Write
    both as one neuron.
    """
    given = entries(answer, ["weight", "bias"])
    weight, bias = fractions(given["weight"], 2, "weight"), fraction(given["bias"], "bias")
    neuron, norm = Dense([[2.0, -1.0]], [3.0]), BatchNorm([4.0], [2.0], [2.0], [3.0], eps=1.0)
    points = {"(0, 0)": [0, 0], "(1, 0)": [1, 0], "(0, 1)": [0, 1]}
    true = {name: norm.forward(neuron.forward(np.array([x], float))).item() for name, x in points.items()}
    mine = {name: float((weight * x).sum() + bias) for name, x in points.items()}
    at_mean = " The bias of the one neuron consists of beta - g mu / s and of the 3, multiplied by g / s."
    for name in points:
        demand(
            np.isclose(true[name], mine[name]),
            f"At x = {name} the two layers give {true[name]:g}, your neuron {mine[name]:g}."
            + (at_mean if name == "(0, 0)" else ""),
        )


WAYS = {
    "A": (rules.Zero(), rules.Zero(), 2, -2),
    "B": (rules.Zero(), rules.Pass(), 2, 0),
    "C": (rules.Zero(), rules.Pass(), 2, -2),
    "D": (rules.ZPlus(), rules.Pass(), 2, 0),
    "E": (rules.ZPlus(), rules.Pass(), -2, 0),
}


@exercise(
    "predict",
    8,
    "Without a shift, the BatchNorm only multiplies. Do the fractions of the neuron's rule notice that all its weights "
    "are multiplied by 2? By -2?",
    "Under LRP-0 in both layers, the z between them cancels. Under Pass, the shift takes no share.",
    start="same = set()  # of letters",
)
def same(answer: Any) -> None:
    """Which rules give the folded map?

    A neuron without bias is followed by a BatchNorm that multiplies by w and adds b. The neuron and the BatchNorm each
    have a rule, and the folded neuron has the rule of the neuron. In which cases do the two layers give the same map as
    the folded neuron, for *every* input at which no denominator is 0, and for every relevance?

        A   neuron LRP-0,  BatchNorm LRP-0,  w =  2, b = -2
        B   neuron LRP-0,  BatchNorm Pass,   w =  2, b =  0
        C   neuron LRP-0,  BatchNorm Pass,   w =  2, b = -2
        D   neuron z-plus, BatchNorm Pass,   w =  2, b =  0
        E   neuron z-plus, BatchNorm Pass,   w = -2, b =  0
    """
    a, weight, R = exact([[2, 1]]), exact([[2, -1]]), exact([[4]])
    maps = {}
    for name, (rule, on_norm, w, b) in WAYS.items():
        neuron, norm = Dense(weight), Scale(exact([w]), exact([b]))
        apart = neuron.relevance(a, norm.relevance(neuron.forward(a), R, on_norm), rule)[0]
        maps[name] = apart, Dense(w * weight, exact([b])).relevance(a, R, rule)[0]
    demand_all(
        answer,
        {name: bool((apart == as_one).all()) for name, (apart, as_one) in maps.items()},
        lambda name: (
            f"for the weights (2, -1), the input (2, 1) and R = 4, two layers give {shown(maps[name][0])}, and the "
            f"folded neuron gives {shown(maps[name][1])}."
        ),
    )


@exercise(
    "write",
    15,
    "The convolution is linear. Applied to the BatchNorm's w x + b, it gives w times the convolution of x, plus the "
    "convolution of a picture that is b everywhere inside and 0 on the border.",
    "Convolve np.full((height, width), shift) with the kernel and a border of zeros. Use `lrpref.Conv2D(..., "
    "padding=1)` or four loops.",
    start='''
    def bias_map(kernel, shift, height, width):
        """What the shift adds to each output: an array (height, width); kernel is (3, 3), padding is 1."""
        raise NotImplementedError
    ''',
)
def bias_map(answer: Any) -> None:
    """A bias for every place.

    A BatchNorm with scale w and shift b stands *before* a convolution with a 3 x 3 kernel and one zero of padding on
    all sides (one channel). Folding multiplies the kernel by w, and turns the shift into a bias that depends on the
    place. Write a function that returns this bias: folded(x) = conv(x, w * kernel) + bias_map(kernel, b, height,
    width).
    """
    random = np.random.default_rng(0)
    for height, width in [(5, 5), (3, 6), (1, 4)]:
        kernel, x = random.integers(-4, 5, (3, 3)) / 2, random.integers(-4, 5, (1, 1, height, width)) / 2
        w, b = -1.5, 2.0
        got = array(answer(kernel.copy(), b, height, width), (height, width), "bias_map(...)")
        conv = Conv2D(kernel[None, None], padding=1)
        truth = conv.forward(w * x + b)[0, 0] - w * conv.forward(x)[0, 0]
        wrong = abs(got - truth) > 1e-9
        inside = np.zeros_like(wrong)
        inside[1:-1, 1:-1] = True
        if not wrong.any():
            continue
        demand(not np.allclose(got, truth[::-1, ::-1]), "Your map is rotated: the kernel lies on the picture as it is.")
        if not wrong[inside].any() and inside.any():
            r, c = np.argwhere(wrong)[0]
            raise Refused(
                f"Inside, your bias is right. At the border, as at ({r}, {c}), it is off by "
                f"{abs(got - truth)[r, c]:g}: the taps that fall on the border meet 0, not the shift."
            )
        raise Refused(
            f"For {height} x {width} pixels your bias at (0, 0) is {got.flat[0]:g}; the shift adds {truth.flat[0]:g}."
        )


@exercise(
    "prove",
    5,
    "A BatchNorm that multiplies by a positive number keeps the order of its values. What if the number is negative?",
    start="breaks_pool = (None, None, [[None, None], [None, None]])  # w, b, and a picture of 2 x 2 pixels",
)
def breaks_pool(answer: Any) -> None:
    """BatchNorm and max-pool in either order.

    A network has a convolution, a max-pool and a BatchNorm, in this order. It would be convenient to move the BatchNorm
    in front of the max-pool, next to the convolution, and to fold it. Show that this is not always allowed: find w, b
    and a picture of 2 x 2 pixels for which "pool, then w x + b" and "w x + b, then pool" differ.
    """
    weight, bias, picture = parts(answer, 3, "Give w, b and a picture.")
    w, b = fraction(weight, "w"), fraction(bias, "b")
    x = fractions(picture, (2, 2), "the picture")[None, None]
    norm, pool = Scale(exact([w]), exact([b])), MaxPool2D(2)
    after, before = norm.forward(pool.forward(x)).item(), pool.forward(norm.forward(x)).item()
    why = " With w >= 0 the largest pixel stays the largest, whatever b is." if w >= 0 else " All pixels are equal."
    demand(after != before, f"Both orders give {after}.{why}")
