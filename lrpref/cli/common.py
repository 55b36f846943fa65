"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import weights
from .._support.tables import aligned
from ..errors import LrprefError
from ..fusion import forward_difference, fuse, fusion_plan
from ..layers import BatchNorm
from ..layers.base import check_size
from ..network import Network, check_one_input
from ..zoo import inputs, samples, text


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """Return a parser for the command `name`, which `run` executes; `text` is its help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the argument for a network."""
    parser.add_argument("network", help=f"an .npz file, or one of: {', '.join(weights.names())}")


def read_network(name: str, what: str) -> tuple[Network, dict[str, Any]]:
    """Return a network of one input and one output, and its metadata; raises GraphError, naming the command `what`."""
    net = weights.load(name)
    check_one_input(net, f"lrpref {what}")
    return net, weights.metadata(name)


def add_input(parser: argparse.ArgumentParser, name: str, **more: Any) -> None:
    """Add the argument for an input, and what it needs to be read: --invert and --background."""
    known = ", ".join(samples.names())
    default = " (default: a sample that the network accepts)" if name.startswith("-") else ""
    texts = ", ".join(text.SENTENCES)
    parser.add_argument(
        name, help=f"an image, an .npy file, or a sample: {known}{default}; for text, a sentence, or {texts}", **more
    )
    parser.add_argument("--invert", action="store_true", help="use 1 - x, for dark ink on light paper")
    parser.add_argument(
        "--background",
        metavar="COLOUR",
        help="what lies below a transparent image: a colour such as white or #ffcc00, or a grey value from 0 to 1",
    )


def input_shape(about: dict[str, Any]) -> list[int]:
    """Return the shape (C, H, W) of one input from the metadata; raises LrprefError if it is missing."""
    told = about.get("input")
    shape = told.get("shape") if isinstance(told, dict) else None
    if not (isinstance(shape, list) and shape and all(isinstance(n, int) and n > 0 for n in shape)):
        raise LrprefError(
            "the network's file does not record the shape of its input; "
            "save it with metadata={'input': {'shape': [C, H, W]}}"
        )
    check_size((1, *shape))
    return shape


def read_input(name: str, about: dict[str, Any], chosen: argparse.Namespace) -> np.ndarray:
    """Read an image, an array or a sample as the network with these metadata takes it; print what was done to it.

    A network with a vocabulary takes a sentence, or the name of one.
    """
    if known := vocabulary(about):
        return text.indices(name, known)
    normalisation = inputs.Normalisation.of(about)
    return inputs.read(name, input_shape(about), chosen.invert, normalisation, chosen.background, print)


def vocabulary(about: dict[str, Any]) -> list[str]:
    """Return the words that a network knows, by their index; an empty list for a network that reads no text."""
    told = about.get("input")
    known = told.get("words", []) if isinstance(told, dict) else []
    return known if isinstance(known, list) and all(isinstance(word, str) for word in known) else []


def fitting_sample(shape: Sequence[int]) -> str:
    """Return the name of an embedded sample of this shape; raises LrprefError if there is none."""
    fits = [name for name in ("digit-4", "chelsea", "beat-wide", "brain") if name in samples.names(shape)]
    if not fits:
        raise LrprefError(
            f"no embedded sample has the shape {tuple(shape)} of the network's input; give one with --input"
        )
    return fits[0]


def fused_network(net: Network, x: np.ndarray) -> Network:
    """Return the network with BatchNorm folded away, and print one line about it if there was any."""
    if not any(isinstance(layer, BatchNorm) for _, layer, _ in net.nodes):
        return net
    fused = fuse(net, verify=x)
    plan = fusion_plan(net)
    folded = len(plan.decisions) - len(plan.kept)
    print(
        f"fused {folded} of {len(plan.decisions)} BatchNorm layers; "
        f"the output changed by {forward_difference(net, fused, x):.1e} of its largest value"
    )
    return fused


def number(told: str) -> str | float:
    """Convert a seed given as text to a number, if it is one."""
    try:
        return float(told)
    except ValueError:
        return told


def class_name(about: dict[str, Any], index: int) -> str:
    """Return the name of a class if the metadata record it, otherwise "output" and its index."""
    classes = about.get("classes")
    return str(classes[index]) if isinstance(classes, list) and index < len(classes) else f"output {index}"


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Align the columns of a table, with a line below its header."""
    header, *lines = aligned(rows).split("\n")
    return "\n".join([header, "-" * max(map(len, [header, *lines])), *lines])
