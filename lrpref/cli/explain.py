"""`lrpref explain`: explain a network's answer to one input or several; draw it, save it, or print it as JSON."""

from __future__ import annotations

import argparse
import io
import json
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from typing import Any

import numpy as np

from .._support.tables import aligned
from ..backend import Array, to_numpy
from ..composites import PRESETS
from ..contrastive import contrast
from ..errors import InputError
from ..layers import Softmax
from ..ledger import COLUMNS, Ledger
from ..network import Network
from ..rules import RULES
from ..signatures import Signature
from ..walk import DEFAULT_RULE, Trace, trace
from ..zoo import text
from ..zoo.inputs import Normalisation
from .common import (
    add_input,
    add_network,
    class_index,
    class_name,
    command,
    complete,
    fused_network,
    number,
    read_input,
    read_network,
    vocabulary,
)
from .folding import MOST_LINES, folded
from .outputs import Answer, Explained, Map, check_inputs, check_outputs, write


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "explain", run, "explain a network's answer to one input or several, and draw it")
    add_network(parser)
    add_input(parser, "input", nargs="+")
    rule = parser.add_argument(
        "--rule",
        nargs="+",
        default=[DEFAULT_RULE],
        help='names of rules or composites, with parameters as in "gamma(gamma=0.5)"; several are drawn side by side '
        f"(default: {DEFAULT_RULE}; `lrpref rules` lists them)",
    )
    complete(rule, lambda: [*PRESETS, *RULES])
    parser.add_argument(
        "--target",
        nargs="+",
        metavar="CLASS",
        help="the outputs to explain, each by the name of its class, or by its index if no class has that name "
        "(default: the largest output)",
    )
    parser.add_argument(
        "--contrast",
        metavar="CLASS",
        help="explain why the target rather than this output: the difference of logits",
    )
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument(
        "--no-fuse", action="store_true", help="keep batch normalisation instead of folding it into its neighbours"
    )
    parser.add_argument(
        "--scale",
        default="one",
        choices=("one", "each"),
        help="one colour scale for all heatmaps of an input (default), or one for each",
    )
    parser.add_argument("--overlay", action="store_true", help="lay the heatmaps over a pale copy of the input")
    parser.add_argument(
        "--out",
        nargs="+",
        metavar="FILE",
        default=["heatmap.png"],
        help="what to write: a picture (.png, .pdf, .svg), the relevance under one rule (.npy), or all of it with the "
        "names of its parts (.npz) (default: heatmap.png)",
    )
    parser.add_argument("--waterfall", metavar="FILE", help="also draw the first ledger as a waterfall chart")
    parser.add_argument(
        "--full", action="store_true", help=f"print every layer of a ledger of more than {MOST_LINES} layers"
    )
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    printed.add_argument("--quiet", action="store_true", help="print nothing but errors")


def run(chosen: argparse.Namespace) -> int:
    """Explain, write the files, and print the ledgers."""
    check_outputs(chosen)
    if chosen.contrast is not None and chosen.seed != "logit":
        raise InputError(f"--contrast starts from the logits of both outputs; leave out --seed {chosen.seed}")
    with redirect_stdout(io.StringIO()) if chosen.json or chosen.quiet else nullcontext():
        told = _explain(chosen)
    if chosen.json:
        print(json.dumps(told, indent=1, allow_nan=False))
    return 0


def _explain(chosen: argparse.Namespace) -> dict[str, Any]:
    """Do what was asked, print it, and return it as data for JSON."""
    given, about = read_network(chosen, "explain")
    inputs = [read_input(name, about, chosen) for name in chosen.input]
    sentences = [text.words(name) if vocabulary(about) else None for name in chosen.input]
    check_inputs(chosen, inputs, sentences[0] is not None)
    targets = [None if told is None else class_index(about, told) for told in chosen.target or [None]]
    net = given if chosen.no_fuse else fused_network(given, inputs[0] if sentences[0] else np.concatenate(inputs))
    explained = []
    for name, x, words in zip(chosen.input, inputs, sentences, strict=True):
        maps = [_map(net, x, target, rule, chosen, about) for target in targets for rule in chosen.rule]
        maps = [each._replace(signature=_signature(each.trace, fused=net is not given)) for each in maps]
        explained.append(Explained(name, x, words, _answer(net, x, maps[0].trace.logits, about), maps))
        _print(explained[-1], net, chosen)
    written = write(explained, chosen, Normalisation.of(about))
    print("", *(f"wrote {path}" for path in written), sep="\n")
    return {"network": chosen.network, "inputs": list(map(_as_data, explained)), "written": written}


def _map(
    net: Network, x: np.ndarray, target: int | None, rule: str, chosen: argparse.Namespace, about: dict[str, Any]
) -> Map:
    """Explain the target, or the target rather than another output, under one rule."""
    if chosen.contrast is None:
        found, against = trace(net, x, target, rule, number(chosen.seed)), ""
    else:
        other = class_index(about, chosen.contrast)
        found, against = contrast(net, x, target, other, rule=rule), f" rather than {class_name(about, other)}"
    assert found.target is not None  # no seed of the command line is an array
    index = int(to_numpy(found.target)[0])
    return Map(rule, index, f"{class_name(about, index)}{against}", found)


def _signature(found: Trace, fused: bool) -> Signature:
    """The signature of an explanation by the command line, which knows whether it folded BatchNorm away."""
    signature = found.signature
    return replace(signature, bn="fused") if fused and signature.bn == "none" else signature


def _answer(net: Network, x: np.ndarray, logits: Array, about: dict[str, Any]) -> Answer:
    """The largest output: its class, value and probability."""
    outputs = to_numpy(logits if net.head is None else net.forward(x))
    probabilities = to_numpy((net.head or Softmax()).forward(logits))
    best = int(np.argmax(to_numpy(logits)[0]))
    output, probability = (float(np.ravel(y[0])[best]) for y in (outputs, probabilities))
    return Answer(best, class_name(about, best), output, probability)


def _print(explained: Explained, net: Network, chosen: argparse.Namespace) -> None:
    """Print the answer, and the ledger and signature of each map."""
    print(f"{chosen.network} says that {explained.name} is {explained.answer}")
    for k, each in enumerate(explained.maps):
        if k % len(chosen.rule) == 0:
            print(f"explained: {each.name}, starting from {chosen.seed}")
        print(f"\n{each.rule}: {_shown(each.trace.ledger, net, chosen.full)}\nsignature: {each.signature}")
        if explained.words is not None:
            relevance = [f"{R:.3f}" for R in to_numpy(each.trace.relevance)[0]]
            print(aligned([("word", "relevance"), *zip(explained.words, relevance, strict=True)]))


def _shown(ledger: Ledger, net: Network, full: bool) -> str:
    """The ledger as text, in fewer lines for a deep network."""
    if full or len(ledger.entries) <= MOST_LINES:
        return str(ledger)
    short = folded(ledger, net)
    note = f"\n({len(ledger.entries)} layers in {len(short.entries)} lines; --full prints all)"
    return str(short) + (note if len(short.entries) < len(ledger.entries) else "")


def _as_data(explained: Explained) -> dict[str, Any]:
    """One input as data for JSON."""
    maps = [
        {
            "target": each.target,
            "name": each.name,
            "rule": each.rule,
            "signature": str(each.signature),
            "sum": _number(to_numpy(each.trace.relevance).sum()),
            "residual": _number(np.abs(to_numpy(each.trace.ledger.residual())).max()),
            "ledger": [_row(each.trace.ledger, k) for k in range(len(each.trace.ledger.entries))],
        }
        for each in explained.maps
    ]
    answer = {name: _number(value) for name, value in explained.answer._asdict().items()}
    return {"input": explained.name, "answer": answer, "explained": maps}


def _row(ledger: Ledger, k: int) -> dict[str, Any]:
    """One line of the ledger."""
    entry = ledger.entries[k]
    columns = {name: _number(to_numpy(entry.columns[name])[0]) for name in COLUMNS}
    return {"node": entry.node, "layer": entry.layer, "rule": entry.rule, **columns}


def _number(value: Any) -> Any:
    """A number as JSON has it, which knows neither NaN nor infinity; other values as they are."""
    if isinstance(value, str | int):
        return value
    return float(value) if np.isfinite(value) else None
