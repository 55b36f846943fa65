"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .. import weights
from .._support.extras import library
from .._support.files import is_stream
from .._support.tables import aligned
from ..errors import InputError, LrprefError, TargetError, unknown
from ..fusion import forward_difference, fuse, fusion_plan
from ..layers import BatchNorm
from ..layers.base import check_size
from ..network import Network, check_one_input
from ..weights.formats import CONVERTED
from ..zoo import inputs, samples, text


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """Return a parser for the command `name`, which `run` executes; `text` is its help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def add_network(parser: argparse.ArgumentParser, nargs: str | None = None, default: str = "") -> None:
    """Add the argument for a network, and what some files need to be read: --architecture and --input-shape.

    `default` ends the help with what happens without a network, if `nargs` allows that.
    """
    files = ", ".join((".npz", *CONVERTED))
    network = parser.add_argument(
        "network",
        nargs=nargs,
        help=f"a file ({files}), or a network that comes with lrpref (`lrpref networks`{default})",
    )
    complete(network, weights.names, files=True)
    add_import_options(parser)


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """Add what some files of other libraries need to be read: --architecture and --input-shape."""
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="for a file of weights alone: a builder of lrpref.models, such as vgg16 or \"resnet20(shortcut='A')\"",
    )
    parser.add_argument(
        "--input-shape",
        type=shape,
        metavar="N,N,N",
        help="the shape of one input in the file's layout, such as 3,224,224; needed if the file does not declare it",
    )


def read_network(chosen: argparse.Namespace, what: str) -> tuple[Network, dict[str, Any]]:
    """Return the chosen network and its metadata; raises GraphError unless it has one input and one output.

    `what` is the name of the command, for the message.
    """
    path = Path(chosen.network)
    alone = path.suffix == ".npz" and chosen.architecture is not None  # weights without a graph
    if (alone or path.suffix in CONVERTED) and path.is_file():
        from ..importers.files import find_network  # other commands start faster without the importers

        net, about = find_network(path, None, chosen.architecture, None, chosen.input_shape)
    else:
        net, about = weights.load(chosen.network), weights.metadata(chosen.network)
        if chosen.architecture is not None or chosen.input_shape is not None:
            raise InputError(f"{chosen.network} is complete; leave out --architecture and --input-shape")
    check_one_input(net, f"lrpref {what}")
    return net, about


def check_files(written: Sequence[str], read: Sequence[str]) -> None:
    """Raise InputError if a file would be written twice, or over one that is read, under any of its names."""
    for k, path in enumerate(written):
        if any(_same_file(path, other) for other in written[:k]):
            raise InputError(f"{path} would be written twice; give each output a file of its own")
        if any(Path(other).is_file() and _same_file(path, other) for other in read):
            raise InputError(f"{path} would be written over, but it is read here; choose another file for the result")


def _same_file(path: str, other: str) -> bool:
    """Whether two paths name the same file, which may not exist yet; a pipe or a device never counts."""
    if is_stream(Path(path)):
        return False
    if Path(path).exists() and Path(other).exists():
        return os.path.samefile(path, other)
    return os.path.realpath(path) == os.path.realpath(other)


def shape(told: str) -> tuple[int, ...]:
    """Parse positive integers separated by commas."""
    try:
        sizes = tuple(int(n) for n in told.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected positive integers such as 3,224,224, got {told!r}")
    return sizes


def add_input(parser: argparse.ArgumentParser, name: str, **more: Any) -> None:
    """Add the argument for an input, and what it needs to be read: --invert and --background."""
    default = "; default: a sample that the network accepts" if name.startswith("-") else ""
    known = f"a sample (`lrpref samples`{default}), an image or an .npy file; for text, a sentence or the name of one"
    given = parser.add_argument(name, help=known, **more)
    complete(given, lambda: [*samples.names(), *text.SENTENCES], files=True)
    parser.add_argument("--invert", action="store_true", help="use 1 - x, for dark ink on light paper")
    parser.add_argument(
        "--background",
        metavar="COLOUR",
        help="the background of a transparent image: a colour such as white or #ffcc00, or a grey value from 0 to 1",
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


def complete(argument: argparse.Action, names: Callable[[], Sequence[str]], files: bool = False) -> None:
    """Let argcomplete offer these names for an argument, and files if it takes those."""

    def completer(prefix: str, **_: Any) -> list[str]:
        found = [name for name in names() if name.startswith(prefix)]
        if files:
            found += library("argcomplete.completers", "completion", "completions").FilesCompleter()(prefix)
        return found

    argument.completer = completer  # type: ignore[attr-defined]


def vocabulary(about: dict[str, Any]) -> list[str]:
    """Return the words that a network knows, by their index; an empty list for a network that reads no text."""
    told = about.get("input")
    known = told.get("words", []) if isinstance(told, dict) else []
    return known if isinstance(known, list) and all(isinstance(word, str) for word in known) else []


def read_input(name: str, about: dict[str, Any], chosen: argparse.Namespace) -> np.ndarray:
    """Read an image, an array or a sample as the network with these metadata takes it; print what was done to it.

    A network with a vocabulary takes a sentence, or the name of one.
    """
    if known := vocabulary(about):
        return _read_sentence(name, known)
    normalisation = inputs.Normalisation.of(about)
    return inputs.read(name, input_shape(about), chosen.invert, normalisation, chosen.background, print)


def _read_sentence(given: str, known: Sequence[str]) -> np.ndarray:
    """Read a sentence, and print which of its words are unknown; raises InputError for the name of a file or sample."""
    of_a_file = given.split() == [given] and Path(given).suffix.lower() in (".npy", ".npz", ".png", ".jpg", ".jpeg")
    if of_a_file or given in samples.names():
        raise InputError(f"the network reads sentences, and {given} is the name of a file or of another kind of sample")
    found = text.indices(given, known)
    if strange := [word for word in dict.fromkeys(text.words(given)) if word not in known]:
        print(f"the network does not know {', '.join(map(repr, strange))}, and reads {text.UNKNOWN!r} instead")
    return found


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


def class_names(about: dict[str, Any]) -> list[str]:
    """Return the names of the classes if the metadata record them, otherwise an empty list."""
    classes = about.get("classes")
    return [str(name) for name in classes] if isinstance(classes, list) else []


def class_index(about: dict[str, Any], told: str) -> int:
    """Return the index of an output that is given as the name of a class, or as a number that is not such a name.

    Raises UnknownNameError if there is no such class, TargetError if several classes have the name.
    """
    names = class_names(about)
    found = [index for index, name in enumerate(names) if name == told]
    if len(found) > 1:
        raise TargetError(f"{len(found)} classes are called {told!r}; give the index: {', '.join(map(str, found))}")
    if found:
        return found[0]
    with suppress(ValueError):
        return int(told)
    raise unknown("class", told, names)


def class_name(about: dict[str, Any], index: int) -> str:
    """Return the name of a class, with its index if others have this name; "output" and its index without metadata."""
    names = class_names(about)
    if index >= len(names):
        return f"output {index}"
    return names[index] if names.count(names[index]) == 1 else f"{names[index]} (output {index})"


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Align the columns of a table, with a line below its header."""
    header, *lines = aligned(rows).split("\n")
    return "\n".join([header, "-" * max(map(len, [header, *lines])), *lines])
