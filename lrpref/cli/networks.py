"""`lrpref networks`: list the networks that come with lrpref."""

from __future__ import annotations

import argparse
from typing import Any

from .. import weights
from .common import as_table, command, input_shape


def add(commands: Any) -> None:
    """Declare the arguments: there are none."""
    command(commands, "networks", run, "list the networks that come with lrpref")


def run(chosen: argparse.Namespace) -> int:
    """Print the table of networks."""
    rows = [("network", "input", "outputs", "accuracy", "task")]
    for name in weights.names():
        about = weights.metadata(name)
        shape = " x ".join(map(str, input_shape(about)))
        accuracy = about.get("accuracy", {}).get("test")
        told = "-" if accuracy is None else f"{accuracy:.1%}"
        rows.append((name, shape, str(len(about.get("classes", ()))), told, str(about.get("task", ""))))
    print(as_table(rows))
    print("\naccuracy: on its test set. `lrpref show NETWORK` prints the layers, the data and the licence")
    return 0
