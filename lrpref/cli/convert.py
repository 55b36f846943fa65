"""`lrpref convert`: convert a network of another library, or weights alone, to a file of lrpref."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import weights
from ..importers.files import READ, find_network
from .common import add_import_options, check_files, command


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(
        commands, "convert", run, "convert an ONNX network, or weights for a known network, to an .npz file"
    )
    parser.add_argument("file", help=f"a file of type {', '.join(READ)}")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the .npz file to write")
    add_import_options(parser)
    parser.add_argument("--result", metavar="NAME", help="the output to convert, if an ONNX file has several")


def run(chosen: argparse.Namespace) -> int:
    """Read, check and write the network, and print its size."""
    path = Path(chosen.file)
    weights.check_path(chosen.output)  # before the work, not after it
    check_files([chosen.output], [chosen.file])
    net, about = find_network(path, None, chosen.architecture, chosen.result, chosen.input_shape)
    source = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    weights.save(net, chosen.output, {**about, "source": source})
    held = sum(int(np.prod(array.shape)) for array in net.parameters.values())
    print(f"{path.name}: {len(net.nodes)} nodes, {held:,} parameters, {net.dtype}")
    print(f"wrote {chosen.output}")
    return 0
