"""`lrpref compare`: somebody else's heatmap against lrpref's, and what explains the difference."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import weights
from ..differences import TOLERANCE, explain_difference
from ..errors import InputError
from ..walk import DEFAULT_RULE
from .common import add_input, add_network, command, fused_network, number, read_input


def add(commands: Any) -> None:
    """Its arguments."""
    parser = command(commands, "compare", run, "compare a heatmap with lrpref's, and name what explains it")
    add_network(parser)
    add_input(parser, "input")
    parser.add_argument("--against", metavar="FILE", required=True, help="the other heatmap, a .npy file")
    parser.add_argument("--rule", default=DEFAULT_RULE, help=f"what it is thought to be (default {DEFAULT_RULE})")
    parser.add_argument("--target", type=int, help="the output that it explains (default: the largest)")
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument("--fuse", action="store_true", help="fold batch normalisation away first")
    parser.add_argument("--no-pairs", action="store_true", help="try conventions singly only")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"the relative L2 distance up to which maps are equal (default {TOLERANCE})",
    )


def run(chosen: argparse.Namespace) -> int:
    """Compare, and print what was found; 1 where the maps are not equal."""
    net, about = weights.load(chosen.network), weights.metadata(chosen.network)
    x = read_input(chosen.input, about, chosen.invert)
    theirs = _heatmap(chosen.against)
    net = fused_network(net, x) if chosen.fuse else net
    print(f"{chosen.against}, against {chosen.rule} on {chosen.network} and {chosen.input}")
    seed, pairs = number(chosen.seed), not chosen.no_pairs
    found = explain_difference(net, x, theirs, chosen.rule, chosen.target, seed, chosen.tolerance, pairs)
    print(found)
    return 0 if found.equal else 1


def _heatmap(path: str) -> np.ndarray:
    """An array in a .npy file; raises InputError."""
    try:
        with open(path, "rb") as stream:
            found: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    except weights.UNREADABLE as error:
        raise InputError(f"{path} is not a readable .npy file: {error}") from error
    return found
