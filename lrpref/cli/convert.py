"""`lrpref convert`: another library's network, or weights alone, as a file of lrpref."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import weights
from ..errors import WeightsError
from ..importers.files import READ, find_network
from .common import command


def add(commands: Any) -> None:
    """Its arguments."""
    parser = command(commands, "convert", run, "take a network over from ONNX, or weights alone into a known network")
    parser.add_argument("file", help=f"one of {', '.join(READ)}")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the network to write (.npz)")
    parser.add_argument(
        "--input-shape",
        type=_shape,
        metavar="N,N,N",
        help="the shape of one input as the file takes it, as in 3,224,224; needed where the file does not say it",
    )
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="for weights alone: a builder of lrpref.models, as in vgg16 or \"resnet20(shortcut='A')\"",
    )
    parser.add_argument("--result", metavar="NAME", help="which of an ONNX file's outputs, where there are several")


def run(chosen: argparse.Namespace) -> int:
    """Read, prove, write, and say what it became."""
    path = Path(chosen.file)
    if Path(chosen.output).suffix != ".npz":  # before the work, not after it
        raise WeightsError(f"networks are stored as .npz, got {chosen.output}")
    net, about = find_network(path, None, chosen.architecture, chosen.result, chosen.input_shape)
    source = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    weights.save(net, chosen.output, {**about, "source": source})
    held = sum(int(np.prod(array.shape)) for array in net.parameters.values())
    print(f"{path.name}: {len(net.nodes)} nodes, {held:,} parameters, {net.dtype}")
    print(f"wrote {chosen.output}")
    return 0


def _shape(text: str) -> tuple[int, ...]:
    """Numbers with commas between them."""
    try:
        shape = tuple(int(n) for n in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected positive numbers as in 3,224,224, got {text!r}")
    return shape
