"""`lrpref reproduce`: a paper's claims about LRP, measured again."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import command

QUICK: dict[str, Any] = {"images": 40, "points": 14, "more": False}
"""What --quick leaves of the protocol."""


def add(commands: Any) -> None:
    """Its arguments."""
    parser = command(commands, "reproduce", run, "measure a paper's claims about LRP again")
    parser.add_argument("paper", help="2002.11018 (BatchNorm fused) or 2501.14322 (Relative LRP)")
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours: fewer images and steps, seed 0")
    parser.add_argument(
        "--data", metavar="FOLDER", help="test images: mnist.npz, cifar10_eval.npz (default: what is embedded)"
    )
    parser.add_argument("--networks", metavar="FOLDER", help="trained networks that do not come with lrpref")
    parser.add_argument("--seeds", type=int, nargs="+", help="training seeds (default: 0 1 2; --quick: 0)")
    parser.add_argument("--images", type=int, help="how many test images (default: 200; --quick: 40)")
    parser.add_argument("--only", metavar="TEXT", help="units whose name holds this text")
    parser.add_argument(
        "--part",
        metavar="K/N",
        type=part,
        default=(1, 1),
        help="every Nth unit, from the Kth: parts may run side by side, on one --out; once more without it sums up",
    )
    parser.add_argument("--out", metavar="FOLDER", help="results; what is there is not measured again")


def part(text: str) -> tuple[int, int]:
    """The K and N of "K/N", 1 <= K <= N; raises argparse's own error."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected a part such as 1/2 or 2/2, got {text!r}")
    return int(first), int(count)


def run(chosen: argparse.Namespace) -> int:
    """Measure what is missing, write the tables, print the answers."""
    from .. import reproduce  # it loads no more than it needs to
    from ..reproduce import images, report

    if chosen.paper not in reproduce.STUDIES:
        raise InputError(f"no study of {chosen.paper!r}; there are: {', '.join(reproduce.STUDIES)}")
    protocol = replace(reproduce.Protocol(), **(QUICK if chosen.quick else {}))
    protocol = protocol if chosen.images is None else replace(protocol, images=chosen.images)
    if protocol.images < 1:
        raise InputError(f"at least one image is needed, got --images {protocol.images}")
    seeds = chosen.seeds if chosen.seeds is not None else [0] if chosen.quick else [0, 1, 2]
    study = reproduce.STUDIES[chosen.paper](protocol, seeds=seeds, folder=chosen.networks)
    if chosen.only:
        study = replace(study, units=[unit for unit in study.units if chosen.only in unit.name])
    first, parts = chosen.part
    study = replace(study, units=study.units[first - 1 :: parts])
    named = dict.fromkeys(unit.dataset for unit in study.units)
    if not named:
        raise InputError("nothing to measure: no network at hand; give a folder with --networks, or another --only")
    at_hand = {name: images.load(name, protocol.images, chosen.data) for name in named}
    out = Path(chosen.out or f"reproduce-{chosen.paper}{'-quick' if chosen.quick else ''}")
    found = reproduce.run(study, at_hand, out)
    if parts > 1:
        print(f"wrote {len(found)} units, part {first} of {parts}; without --part the tables are made of all parts")
        return 0
    claims = study.answer(found)
    report.save(out / "summary.csv", report.as_csv(study, found))
    report.save(out / "summary.md", report.as_markdown(study, found, claims, as_typed(chosen), out))
    for line in (f"{study.title} (arXiv {study.paper})", *(f"not at hand: {name}" for name in study.missing)):
        print(line)
    print(*claims, sep="\n")
    print(f"wrote {out / 'summary.md'}, {out / 'summary.csv'} and {len(found)} units")
    return 0


def as_typed(chosen: argparse.Namespace) -> str:
    """The command, folders of this machine left out."""
    words = ["lrpref reproduce", chosen.paper]
    words += ["--quick"] if chosen.quick else []
    words += [f"--{name} {name.upper()}" for name in ("data", "networks") if getattr(chosen, name)]
    words += [f"--seeds {' '.join(map(str, chosen.seeds))}"] if chosen.seeds else []
    words += [f"--images {chosen.images}"] if chosen.images else []
    words += [f"--only {chosen.only}"] if chosen.only else []
    return " ".join(words)
