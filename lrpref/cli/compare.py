"""`lrpref compare`: compare a heatmap with lrpref's, and explain the difference."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..differences import TOLERANCE, distance_as_signed, explain_difference
from ..differences.groups import equal
from ..errors import LrprefError
from ..network import Network
from ..scale import signature
from ..signatures import Signature
from ..walk import DEFAULT_RULE
from . import saved_maps
from .common import add_input, add_network, class_index, command, fused_network, number, read_input, read_network


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
    parser.add_argument(
        "--target", help="the class or output that it explains, by name or index (default: the largest)"
    )
    parser.add_argument("--seed", default="logit", help='"logit" (default), "one", "probability" or a number')
    parser.add_argument(
        "--signature", metavar="TEXT", help="the signature of the other heatmap (default: that in FILE.json, if any)"
    )
    parser.add_argument("--fuse", action="store_true", help="fold batch normalisation into its neighbours first")
    parser.add_argument("--no-groups", action="store_true", help="try single conventions only, not several together")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"the relative L2 distance up to which heatmaps count as equal (default: {TOLERANCE})",
    )


def run(chosen: argparse.Namespace) -> int:
    """Compare, and print the result; return 1 if the heatmaps differ."""
    given, about = read_network(chosen, "compare")
    x = read_input(chosen.input, about, chosen)
    chosen.target = None if chosen.target is None else class_index(about, chosen.target)
    theirs, signed = saved_maps.read(Path(chosen.against))
    signed = Signature.parse(chosen.signature) if chosen.signature else signed
    net = fused_network(given, x) if chosen.fuse else given
    print(f"{chosen.against} compared with {chosen.rule}, network {chosen.network}, input {chosen.input}")
    seed, groups = number(chosen.seed), not chosen.no_groups
    found = explain_difference(net, x, theirs, chosen.rule, chosen.target, seed, chosen.tolerance, groups)
    print(found)
    if signed is not None:
        ours = signature(net, chosen.rule, seed, fused=net is not given)
        print(*_by_signature(signed, ours), sep="\n")
        print(_as_signed(given, x, theirs, signed, chosen))
    return 0 if found.equal else 1


def _by_signature(theirs: Signature, ours: Signature) -> list[str]:
    """The lines that compare two signatures."""
    differ = [f"{there} there, {here} here ({name})" for name, (there, here) in theirs.differences(ours).items()]
    lines = [f"its signature: {theirs}", f"compared with: {ours}"]
    return [*lines, f"the signatures differ: {'; '.join(differ)}" if differ else "the signatures are equal"]


def _as_signed(net: Network, x: np.ndarray, theirs: np.ndarray, signed: Signature, chosen: argparse.Namespace) -> str:
    """The line that says whether the map is what its signature says."""
    try:
        distance = distance_as_signed(net, x, theirs, signed, chosen.target)
    except LrprefError as error:
        return f"whether the map is what its signature says was not checked: {error}"
    if distance <= chosen.tolerance:
        return f"the map is what its signature says: {equal(distance)}"
    return f"the map is NOT what its signature says: relative L2 {distance:.3g}"
