"""`lrpref fuse`: fold batch normalisation into its neighbours, and check the result."""

from __future__ import annotations

import argparse
from typing import Any

from .. import weights
from ..composites import resolve
from ..differences import compare
from ..fusion import forward_difference, fuse, fusion_plan
from ..walk import DEFAULT_RULE, trace
from .common import add_input, add_network, check_files, command, fitting_sample, input_shape, read_input, read_network


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "fuse", run, "fold batch normalisation into its neighbours, and check the result")
    add_network(parser)
    add_input(parser, "--input")
    parser.add_argument(
        "--rule", default=DEFAULT_RULE, help=f"the rule whose heatmaps are compared (default: {DEFAULT_RULE})"
    )
    parser.add_argument(
        "--threshold-relu", action="store_true", help="turn BatchNorm before ReLU into ThreshReLU before BatchNorm"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the fused network (.npz)")


def run(chosen: argparse.Namespace) -> int:
    """Print the plan, check the forward pass, and print the change of the heatmap."""
    if chosen.output:
        weights.check_path(chosen.output)  # before the work, not after it
        check_files([chosen.output], [chosen.network, chosen.input or ""])
    rule = resolve(chosen.rule)
    net, about = read_network(chosen, "fuse")
    name = chosen.input or fitting_sample(input_shape(about))
    x = read_input(name, about, chosen)
    plan = fusion_plan(net, chosen.threshold_relu)
    print(plan)
    fused = fuse(net, verify=x, threshold_relu=chosen.threshold_relu)
    if plan.decisions:
        print(f"\nforward difference on {name}: {forward_difference(net, fused, x):.1e} of the largest output")
        before, after = (trace(each, x, rule=rule).relevance for each in (net, fused))
        change = compare(before, after).relative_l2
        print(f"the heatmap under {chosen.rule} changed by {change:.1%} (relative L2). A change is expected: in the")
        print("unfused network, these layers have a rule of their own, which `lrpref show NETWORK --rule NAME` prints.")
    if chosen.output:
        weights.save(fused, chosen.output, {**about, "fused_from": chosen.network})
        print(f"wrote {chosen.output}")
    return 0
