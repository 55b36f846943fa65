"""Measure the figures in docs/exact.md: correct digits per rule and number type, and the time exact arithmetic takes.

    python scripts/measure_digits.py digits                        # mnist-mlp on digit-4
    python scripts/measure_digits.py digits mnist-cnn --reference mpmath
    python scripts/measure_digits.py times                         # CPU seconds, next to lrpref's own estimate

Each prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import numpy as np

import lrpref
from lrpref import rational
from lrpref.composites import resolve

RULES = (
    "zero",
    "epsilon",
    "gamma",
    "alpha-beta",
    "z-plus",
    "z-box(low=0, high=1)",
    "w-square",
    "flat",
    "absolute",
    "relative",
    "epsilon-plus-flat",
)

TIMED = ("flat", "zero", "epsilon", "z-plus", "alpha-beta")


def measure_digits(name: str, sample: str, reference: str) -> None:
    """Print a table with a row per rule: median and worst digits, and relative L2 error, for each number type."""
    net, x = lrpref.load(name), lrpref.samples.load(sample)
    print(f"{name} on {sample}: correct digits, median (worst), and relative L2 error\n")
    print("| rule | against | float32 | L2 | float64 | L2 | longdouble | L2 |")
    print("|---|---|---|---|---|---|---|---|")
    for rule in RULES:
        found = lrpref.digits(net, x, rule, reference=reference)
        cells = [f"{s.median:.1f} ({s.worst:.1f}) | {s.relative_l2:.0e}" for s in found.summary.values()]
        print(f"| `{rule}` | {found.reference} | {' | '.join(cells)} |", flush=True)
    holds = ", ".join(f"{name} {s.holds:.1f}" for name, s in found.summary.items())
    print(f"\n{found.summary['float64'].values} of {x.size} values count. Digits that each number type holds: {holds}")


def fully_connected(*widths: int) -> tuple[lrpref.Network, np.ndarray]:
    """Dense layers with random weights and ReLUs between them."""
    layers: list[lrpref.Layer] = []
    for a, b in pairwise(widths):
        layers += [lrpref.Dense(random(b, a), random(b)), lrpref.ReLU()]
    return lrpref.Network.sequential(*layers[:-1]), abs(random(1, widths[0]))


def convolutional(side: int, *channels: int) -> tuple[lrpref.Network, np.ndarray]:
    """3 x 3 convolutions with random weights and ReLUs, max pooling after each of the first two, and a Dense layer."""
    layers: list[lrpref.Layer] = []
    image = abs(random(1, 1, side, side))
    for k, (a, b) in enumerate(pairwise((1, *channels))):
        layers += [lrpref.Conv2D(random(b, a, 3, 3), random(b), padding=1), lrpref.ReLU()]
        if k < 2:
            layers.append(lrpref.MaxPool2D(2))
            side //= 2
    layers += [lrpref.Flatten(), lrpref.Dense(random(10, channels[-1] * side * side), random(10))]
    return lrpref.Network.sequential(*layers), image


def random(*shape: int) -> np.ndarray:
    """Random float32 weights with the variance suited to ReLUs (He et al.)."""
    rng, fan_in = np.random.default_rng(shape), int(np.prod(shape[1:]))
    return (rng.normal(size=shape) * (2 / fan_in) ** 0.5).astype(np.float32)


def measure_times(limit: float) -> None:
    """Print CPU seconds per exact explanation, "measured / estimated"; a dash if the estimate exceeds `limit`."""
    x = lrpref.samples.load("digit-4")
    networks = {
        "64-32-10": fully_connected(64, 32, 10),
        "64-128-128-10": fully_connected(64, 128, 128, 10),
        "64-256-256-10": fully_connected(64, 256, 256, 10),
        "64-64-64-64-10": fully_connected(64, 64, 64, 64, 10),
        "8 x 8, 8 and 8 channels": convolutional(8, 8, 8),
        "8 x 8, 16 and 32 channels": convolutional(8, 16, 32),
        "16 x 16, 8 and 8 channels": convolutional(16, 8, 8),
        "28 x 28, 8 and 8 channels": convolutional(28, 8, 8),
        "mnist-mlp, digit-4": (lrpref.load("mnist-mlp"), x),
        "mnist-cnn, digit-4": (lrpref.load("mnist-cnn"), x),
    }
    print(f"| network | units | {' | '.join(TIMED)} |")
    print(f"|---|---|{'---|' * len(TIMED)}")
    for name, (net, image) in networks.items():
        shapes = net.shapes(image.shape)
        linear = [n for n, layer, _ in net.nodes if isinstance(layer, lrpref.LinearLayer)]
        units = sum(int(np.prod(shapes[n][1:])) for n in linear)
        cells = [timed(net, image, rule, limit) for rule in TIMED]
        print(f"| {name} | {units} | {' | '.join(cells)} |", flush=True)
    print(f"\nin {type(rational.exact([1]).item()).__name__}")


def timed(net: lrpref.Network, x: np.ndarray, rule: str, limit: float) -> str:
    """Return "measured / estimated" in seconds."""
    costs = rational.estimate(net, x.shape, resolve(rule).assign(net))
    expected = sum(cost.total for cost in costs.values())
    if expected > limit:
        return f"- / {expected:.2g}"
    exact = lrpref.exact(net)
    start = time.process_time()
    lrpref.explain(exact, x, rule=rule)
    return f"{time.process_time() - start:.2g} / {expected:.2g}"


def main() -> None:
    """Parse the arguments and run the chosen measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command", metavar="digits|times")
    of_digits = commands.add_parser("digits", help="correct digits per rule and number type")
    of_digits.add_argument("network", nargs="?", default="mnist-mlp")
    of_digits.add_argument("sample", nargs="?", default="digit-4")
    of_digits.add_argument("--reference", default="exact", help='"exact" (default), "mpmath" or "auto"')
    of_times = commands.add_parser("times", help="time that exact explanations take")
    of_times.add_argument("--limit", type=float, default=600, help="skip estimates above this (default: 600 s)")
    chosen = parser.parse_args()
    if chosen.command == "digits":
        measure_digits(chosen.network, chosen.sample, chosen.reference)
    else:
        measure_times(chosen.limit)


if __name__ == "__main__":
    main()
