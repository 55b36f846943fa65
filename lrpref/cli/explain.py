"""`lrpref explain`: explain a network's answer to one input, and draw it."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import plot, weights
from ..backend import to_numpy
from ..layers import Softmax
from ..network import Network
from ..walk import DEFAULT_RULE, trace
from ..zoo import inputs
from .common import add_input, add_network, class_name, command, fused_network, number, read_input


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "explain", run, "explain a network's answer to one input, and draw it")
    add_network(parser)
    add_input(parser, "input")
    parser.add_argument(
        "--rule",
        nargs="+",
        default=[DEFAULT_RULE],
        help='names of rules or composites, with parameters as in "gamma(gamma=0.5)"; several are drawn side by side '
        f"(default: {DEFAULT_RULE}; `lrpref rules` lists them)",
    )
    parser.add_argument("--target", type=int, help="index of the output to explain (default: the largest output)")
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument(
        "--no-fuse", action="store_true", help="keep batch normalisation instead of folding it into its neighbours"
    )
    parser.add_argument(
        "--scale",
        default="one",
        choices=("one", "each"),
        help="one colour scale for all heatmaps (default), or one for each",
    )
    parser.add_argument("--out", default="heatmap.png", help="the picture to write (default: heatmap.png)")
    parser.add_argument("--waterfall", metavar="FILE", help="also draw the ledger as a waterfall chart")


def run(chosen: argparse.Namespace) -> int:
    """Explain, print the ledgers, and draw the heatmaps."""
    net, about = weights.load(chosen.network), weights.metadata(chosen.network)
    x = read_input(chosen.input, about, chosen.invert)
    if not chosen.no_fuse:
        net = fused_network(net, x)
    traces = {name: trace(net, x, chosen.target, name, number(chosen.seed)) for name in chosen.rule}
    first = next(iter(traces.values()))
    said = _prediction(net, x, about)
    print(f"{chosen.network} says that {chosen.input} is {said}")
    assert first.target is not None  # the seed is not an array
    target = class_name(about, int(to_numpy(first.target)[0]))
    print(f"explained: {target}, starting from {chosen.seed}")
    for name, found in traces.items():
        print(f"\n{name}: {found.ledger}")
    title = f"{chosen.network}: {said}; why {target}?"
    maps = {name: found.relevance for name, found in traces.items()}
    normalisation = inputs.Normalisation.of(about)
    picture = x if normalisation is None else normalisation.undo(x)
    plot.save(plot.grid(picture, maps, title, scale=chosen.scale), chosen.out)
    print(f"\nwrote {chosen.out}")
    if chosen.waterfall:
        plot.save(plot.waterfall(first.ledger), chosen.waterfall)
        print(f"wrote {chosen.waterfall}")
    return 0


def _prediction(net: Network, x: np.ndarray, about: dict[str, Any]) -> str:
    """Describe the largest output: its class, value and probability."""
    logits, outputs = net.without_head().forward(x), to_numpy(net.forward(x))
    probabilities = to_numpy((net.head or Softmax()).forward(logits))
    best = int(np.argmax(to_numpy(logits)[0]))
    output, probability = (float(np.ravel(y[0])[best]) for y in (outputs, probabilities))
    return f"{class_name(about, best)} (output {output:.3f}, probability {probability:.3f})"
