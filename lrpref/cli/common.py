"""What several commands share: how they name a network and an input, and how they print."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import weights
from ..errors import LrprefError
from ..fusion import forward_difference, fuse, fusion_plan
from ..layers import BatchNorm
from ..network import Network
from ..zoo import inputs, samples


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """A parser for the command `name`, whose `run` does it; `text` is its help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def add_network(parser: argparse.ArgumentParser) -> None:
    """The argument that names a network."""
    parser.add_argument("network", help=f"a .npz file, or one of: {', '.join(weights.names())}")


def add_input(parser: argparse.ArgumentParser, name: str, **more: Any) -> None:
    """The argument that names an input, and --invert."""
    known = ", ".join(samples.names())
    default = " (default: one that fits)" if name.startswith("-") else ""
    parser.add_argument(name, help=f"an image, a .npy file, or a sample: {known}{default}", **more)
    parser.add_argument("--invert", action="store_true", help="1 - x, for dark ink on a light ground")


def input_shape(about: dict[str, Any]) -> list[int]:
    """The shape (C, H, W) of one input, as the file says it; raises LrprefError where it does not."""
    told = about.get("input")
    shape = told.get("shape") if isinstance(told, dict) else None
    if not (isinstance(shape, list) and shape and all(isinstance(n, int) and n > 0 for n in shape)):
        raise LrprefError("the file does not say its input's shape; save it with metadata={'input': {'shape': [...]}}")
    return shape


def read_input(name: str, about: dict[str, Any], invert: bool) -> np.ndarray:
    """What the network of these metadata takes for an image, an array or a sample."""
    return inputs.read(name, input_shape(about), invert, inputs.Normalisation.of(about))


def fitting_sample(shape: Sequence[int]) -> str:
    """An embedded sample of this shape; raises LrprefError where there is none."""
    fits = [name for name in ("digit-4", "chelsea") if name in samples.names(shape)]
    if not fits:
        raise LrprefError(f"no embedded sample has the shape {tuple(shape)} that the network takes; name an input")
    return fits[0]


def fused_network(net: Network, x: np.ndarray) -> Network:
    """The network without BatchNorm, if it had any, with one line about it."""
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


def number(text: str) -> str | float:
    """A seed given as text."""
    try:
        return float(text)
    except ValueError:
        return text


def class_name(about: dict[str, Any], index: int) -> str:
    """A class by its name, where the file says one."""
    classes = about.get("classes")
    return str(classes[index]) if isinstance(classes, list) and index < len(classes) else f"output {index}"


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, a rule under the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
