"""`lrpref explain`: explain a network's answer to one input, and draw it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import plot
from .._support.files import check_writable
from .._support.tables import aligned
from ..backend import Array, to_numpy
from ..errors import InputError
from ..layers import Softmax
from ..network import Network
from ..signatures import Signature
from ..walk import DEFAULT_RULE, Trace, trace
from ..zoo import inputs, text
from . import saved_maps
from .common import (
    add_input,
    add_network,
    class_name,
    command,
    fused_network,
    number,
    read_input,
    read_network,
    vocabulary,
)


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
    parser.add_argument(
        "--out",
        default="heatmap.png",
        help="the picture to write, as .png, .pdf or .svg, or the relevance itself, as .npy (default: heatmap.png)",
    )
    parser.add_argument("--waterfall", metavar="FILE", help="also draw the ledger as a waterfall chart")


def run(chosen: argparse.Namespace) -> int:
    """Explain, print the ledgers, and draw the heatmaps."""
    _check_outputs(chosen)
    given, about = read_network(chosen.network, "explain")
    x = read_input(chosen.input, about, chosen)
    net = given if chosen.no_fuse else fused_network(given, x)
    traces = {name: trace(net, x, chosen.target, name, number(chosen.seed)) for name in chosen.rule}
    first = next(iter(traces.values()))
    said = _prediction(net, x, first.logits, about)
    print(f"{chosen.network} says that {chosen.input} is {said}")
    assert first.target is not None  # the seed is not an array
    target = class_name(about, int(to_numpy(first.target)[0]))
    print(f"explained: {target}, starting from {chosen.seed}")
    signed = {name: _signature(found, fused=net is not given) for name, found in traces.items()}
    words = text.words(chosen.input) if vocabulary(about) else None
    for name, found in traces.items():
        print(f"\n{name}: {found.ledger}\nsignature: {signed[name]}")
        if words is not None:
            print(aligned([("word", "relevance"), *zip(words, (f"{R:.3f}" for R in found.relevance[0]), strict=True)]))
    described = "\n".join(map(str, signed.values()))
    if _is_array(chosen.out):
        made_of = {"network": chosen.network, "input": chosen.input, "target": int(to_numpy(first.target)[0])}
        saved_maps.save(first.relevance, Path(chosen.out), signed[chosen.rule[0]], made_of)
    else:
        title = f"{chosen.network}: {said}; why {target}?"
        maps = {name: found.relevance for name, found in traces.items()}
        normalisation = inputs.Normalisation.of(about)
        picture = x if normalisation is None else normalisation.undo(x)
        if words is not None:
            figure = plot.words(words, maps, title)
        else:
            figure = plot.grid(picture, maps, title, scale=chosen.scale)
        plot.save(figure, chosen.out, described)
    print(f"\nwrote {chosen.out}")
    if chosen.waterfall:
        plot.save(plot.waterfall(first.ledger), chosen.waterfall, str(signed[chosen.rule[0]]))
        print(f"wrote {chosen.waterfall}")
    return 0


def _check_outputs(chosen: argparse.Namespace) -> None:
    """Raise an error if an output cannot be written: before the work, not after it."""
    if not _is_array(chosen.out):
        plot.check_path(chosen.out)
    elif len(chosen.rule) > 1:
        raise InputError(f"{chosen.out} holds the relevance under one rule; give one --rule, or write a picture")
    else:
        check_writable(Path(chosen.out))
    if chosen.waterfall:
        plot.check_path(chosen.waterfall)


def _is_array(out: str) -> bool:
    return Path(out).suffix == ".npy"


def _signature(found: Trace, fused: bool) -> Signature:
    """The signature of an explanation by the command line, which knows whether it folded BatchNorm away."""
    signature = found.signature
    return replace(signature, bn="fused") if fused and signature.bn == "none" else signature


def _prediction(net: Network, x: np.ndarray, logits: Array, about: dict[str, Any]) -> str:
    """Describe the largest output: its class, value and probability."""
    outputs = to_numpy(logits if net.head is None else net.forward(x))
    probabilities = to_numpy((net.head or Softmax()).forward(logits))
    best = int(np.argmax(to_numpy(logits)[0]))
    output, probability = (float(np.ravel(y[0])[best]) for y in (outputs, probabilities))
    return f"{class_name(about, best)} (output {output:.3f}, probability {probability:.3f})"
