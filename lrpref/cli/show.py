"""`lrpref show`: print a network's layers, shapes and parameters, and the rule of each layer."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..composites import resolve
from ..walk import DEFAULT_RULE
from .common import add_network, as_table, command, input_shape, read_network


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "show", run, "show a network: shapes, parameters, and the rule of each layer")
    add_network(parser)
    parser.add_argument("--rule", default=DEFAULT_RULE, help=f"the rule or composite (default: {DEFAULT_RULE})")


def run(chosen: argparse.Namespace) -> int:
    """Print the table of layers."""
    net, about = read_network(chosen, "show")
    rules = resolve(chosen.rule).assign(net)
    shapes = net.shapes((1, *input_shape(about)))
    rows = [("node", "layer", "reads", "output", "parameters", f"rule ({chosen.rule})")]
    for name, layer, read in net.nodes:
        held = sum(int(np.prod(a.shape)) for key, a in net.parameters.items() if key.rpartition(".")[0] == name)
        shape = " x ".join(map(str, shapes[name][1:]))
        rule = str(rules[name]) if name in rules else "-"
        rows.append((name, type(layer).__name__, ", ".join(read), shape, f"{held:,}" if held else "-", rule))
    print(as_table(rows))
    print(f"\n{sum(int(np.prod(a.shape)) for a in net.parameters.values()):,} parameters, {net.dtype}")
    for key in ("title", "task", "accuracy", "seed", "framework", "data", "licence"):
        if key in about:
            print(f"{key}: {about[key]}")
    return 0
