"""`lrpref compare`: compare a heatmap with lrpref's, and explain the difference."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .._support.untrusted import read_npy
from ..differences import TOLERANCE, explain_difference
from ..errors import InputError, WeightsError
from ..walk import DEFAULT_RULE
from .common import add_input, add_network, command, fused_network, number, read_input, read_network


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(
        commands, "compare", run, "compare a heatmap with lrpref's, and name the conventions that explain a difference"
    )
    add_network(parser)
    add_input(parser, "input")
    parser.add_argument("--against", metavar="FILE", required=True, help="the other heatmap, an .npy file")
    parser.add_argument(
        "--rule", default=DEFAULT_RULE, help=f"the rule that it is supposed to follow (default: {DEFAULT_RULE})"
    )
    parser.add_argument("--target", type=int, help="index of the output that it explains (default: the largest output)")
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument("--fuse", action="store_true", help="fold batch normalisation into its neighbours first")
    parser.add_argument("--no-pairs", action="store_true", help="try single conventions only, no pairs")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"the relative L2 distance up to which heatmaps count as equal (default: {TOLERANCE})",
    )


def run(chosen: argparse.Namespace) -> int:
    """Compare, and print the result; return 1 if the heatmaps differ."""
    net, about = read_network(chosen.network, "compare")
    x = read_input(chosen.input, about, chosen)
    theirs = _heatmap(chosen.against)
    net = fused_network(net, x) if chosen.fuse else net
    print(f"{chosen.against} compared with {chosen.rule}, network {chosen.network}, input {chosen.input}")
    seed, pairs = number(chosen.seed), not chosen.no_pairs
    found = explain_difference(net, x, theirs, chosen.rule, chosen.target, seed, chosen.tolerance, pairs)
    print(found)
    return 0 if found.equal else 1


def _heatmap(path: str) -> np.ndarray:
    """Read an array from an .npy file; raises InputError."""
    try:
        return read_npy(path)
    except WeightsError as error:
        raise InputError(str(error)) from error
