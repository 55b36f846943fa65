"""`lrpref samples`: list the inputs that come with lrpref."""

from __future__ import annotations

import argparse
from typing import Any

from .. import weights
from ..zoo import samples
from .common import as_table, command, input_shape


def add(commands: Any) -> None:
    """Declare the arguments: there are none."""
    command(commands, "samples", run, "list the inputs that come with lrpref, and the networks that take them")


def run(chosen: argparse.Namespace) -> int:
    """Print the table of samples."""
    takes: dict[tuple[int, ...], list[str]] = {}
    for name in weights.names():
        takes.setdefault(tuple(input_shape(weights.metadata(name))), []).append(name)
    rows = [("sample", "shows", "networks that take it")]
    for sample in samples.names():
        fit = [name for shape, names in takes.items() if sample in samples.names(shape) for name in names]
        rows.append((sample, str(samples.label(sample)), ", ".join(fit)))
    print(as_table(rows))
    return 0
