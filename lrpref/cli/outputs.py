"""What `lrpref explain` writes: pictures, arrays, and archives of arrays."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import plot
from .._support.extras import library
from .._support.files import check_writable, whole
from ..backend import to_numpy
from ..errors import InputError
from ..signatures import Signature
from ..walk import Trace
from ..zoo.inputs import Normalisation
from . import saved_maps
from .common import check_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLUMNS = 4
"""The most panels in a row of a picture."""


class Answer(NamedTuple):
    """The network's answer to one input: the largest output, with its name, value and probability."""

    target: int
    name: str
    output: float
    probability: float

    def __str__(self) -> str:
        return f"{self.name} (output {self.output:.3f}, probability {self.probability:.3f})"


class Map(NamedTuple):
    """The explanation of one output under one rule; `name` is the output in words."""

    rule: str
    target: int
    name: str
    trace: Trace
    signature: Signature | None = None


class Explained(NamedTuple):
    """One input, as the network takes it, and its explanations: for each target, all rules."""

    name: str
    x: np.ndarray
    words: Sequence[str] | None
    answer: Answer
    maps: Sequence[Map]


def check_outputs(chosen: argparse.Namespace) -> None:
    """Raise an error if an output cannot be written: before the work, not after it."""
    named = [*chosen.out, *filter(None, [chosen.waterfall])]
    check_files(named, [chosen.network, *chosen.input])
    for out in chosen.out:
        kind = Path(out).suffix
        if kind not in (".npy", ".npz"):
            plot.check_path(out)
            continue
        if kind == ".npy" and (len(chosen.rule) > 1 or len(chosen.target or ()) > 1):
            raise InputError(
                f"{out} holds the relevance of one target under one rule; write {Path(out).with_suffix('.npz')} for "
                "several, or a picture"
            )
        check_writable(Path(out))
    if chosen.waterfall:
        plot.check_path(chosen.waterfall)


def check_inputs(chosen: argparse.Namespace, inputs: Sequence[np.ndarray], words: bool) -> None:
    """Raise an error if an output cannot hold these inputs: no words, signals or images, or of different lengths."""
    pictures = [out for out in chosen.out if Path(out).suffix not in (".npy", ".npz")]
    arrays = [out for out in chosen.out if out not in pictures]
    if arrays and len({x.shape for x in inputs}) > 1:
        raise InputError(
            f"{arrays[0]} can only hold inputs of one length; explain the sentences one at a time, or write a picture"
        )
    if pictures and not words and inputs[0].ndim not in (3, 4):
        raise InputError(
            f"{pictures[0]} cannot show inputs of shape {inputs[0].shape[1:]}, which are neither images (C, H, W) nor "
            f"signals (C, L); write {Path(pictures[0]).with_suffix('.npz')} with --out"
        )


def write(explained: Sequence[Explained], chosen: argparse.Namespace, normalisation: Normalisation | None) -> list[str]:
    """Write every output that was asked for, and return the paths."""
    first = explained[0].maps[0]
    described = "\n".join(dict.fromkeys(str(each.signature) for one in explained for each in one.maps))
    for out in chosen.out:
        if Path(out).suffix == ".npy":
            assert first.signature is not None
            R = np.concatenate([to_numpy(one.maps[0].trace.relevance) for one in explained])
            names = [one.name for one in explained]
            made_of = {
                "network": chosen.network,
                "input": names if len(names) > 1 else names[0],
                "target": first.target,
            }
            saved_maps.save(R, Path(out), first.signature, made_of)
        elif Path(out).suffix == ".npz":
            _save_all(explained, len(chosen.rule), Path(out))
        else:
            plot.save(_figure(explained, chosen, normalisation), out, described)
    if chosen.waterfall:
        plot.save(plot.waterfall(first.trace.ledger), chosen.waterfall, str(first.signature))
    return [*chosen.out, *filter(None, [chosen.waterfall])]


def _save_all(explained: Sequence[Explained], rules: int, path: Path) -> None:
    """Write all maps as one array, shape (inputs, targets, rules, ...), and what its parts are as arrays of text."""
    arrays = {
        "relevance": [[to_numpy(each.trace.relevance)[0] for each in one.maps] for one in explained],
        "target": [[each.target for each in one.maps] for one in explained],
        "signature": [[str(each.signature) for each in one.maps] for one in explained],
    }
    shaped = {name: np.asarray(value) for name, value in arrays.items()}
    shaped = {name: a.reshape(len(a), -1, rules, *a.shape[2:]) for name, a in shaped.items()}
    shaped["input"] = np.asarray([one.name for one in explained])
    shaped["rule"] = np.asarray([each.rule for each in explained[0].maps[:rules]])
    with whole(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **shaped)


def _figure(explained: Sequence[Explained], chosen: argparse.Namespace, normalisation: Normalisation | None) -> Figure:
    """Draw each input with its maps; several inputs stand below each other."""
    if len(explained) == 1:
        return _grid(explained[0], chosen, normalisation, None)
    panels = 1 + len(explained[0].maps)
    rows = -(-panels // COLUMNS)
    size = (2.9 * -(-panels // rows) + 0.9, (2.8 * rows + 0.7) * len(explained))
    page: Figure = library("matplotlib.figure", "plot", "pictures").Figure(figsize=size, layout="constrained")
    parts = page.subfigures(len(explained), 1, squeeze=False)
    for k, one in enumerate(explained):
        _grid(one, chosen, normalisation, parts[k, 0])
    return page


def _grid(one: Explained, chosen: argparse.Namespace, normalisation: Normalisation | None, figure: object) -> Figure:
    """Draw one input and its maps, in `figure` if there is one."""
    names = {each.name for each in one.maps}
    title = f"{chosen.network}: {one.answer}"
    if len(names) == 1:
        title += f"; why {one.maps[0].name}?"
    maps = {_caption(each, len(names) > 1): each.trace.relevance for each in one.maps}
    if one.words is not None:
        return plot.words(one.words, maps, title, figure)  # type: ignore[arg-type]
    x = one.x if normalisation is None else normalisation.undo(one.x)
    return plot.grid(x, maps, title, COLUMNS, chosen.scale, chosen.overlay, figure)  # type: ignore[arg-type]


def _caption(each: Map, several: bool) -> str:
    """What a panel shows: the rule, and the output if several are explained."""
    return f"{each.rule}: {each.name}" if several else each.rule
