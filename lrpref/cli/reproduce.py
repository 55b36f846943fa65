"""`lrpref reproduce`: measure a paper's claims about LRP again."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._support.files import check_writable, write_text
from ..errors import InputError
from .common import command

QUICK: dict[str, Any] = {"images": 40, "points": 14, "more": False}
"""The settings of the protocol that --quick replaces."""


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "reproduce", run, "measure a paper's claims about LRP again")
    parser.add_argument("paper", help="2002.11018 (BatchNorm fused) or 2501.14322 (Relative LRP)")
    parser.add_argument(
        "--quick", action="store_true", help="take minutes instead of hours: fewer images and steps, seed 0"
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="folder with test images, mnist.npz and cifar10_eval.npz (default: the embedded samples)",
    )
    parser.add_argument(
        "--networks", metavar="FOLDER", help="folder with trained networks that do not come with lrpref"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="training seeds (default: 0 1 2; --quick: 0)")
    parser.add_argument("--images", type=int, help="number of test images (default: 200; --quick: 40)")
    parser.add_argument("--only", metavar="TEXT", help="measure only the units whose name contains this text")
    parser.add_argument(
        "--part",
        metavar="K/N",
        type=part,
        default=(1, 1),
        help="measure only every Nth unit, starting with the Kth; parts may run in parallel with the same --out, and a "
        "last run without --part writes the summary",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="folder for the results; results already there are not measured again"
    )


def part(text: str) -> tuple[int, int]:
    """Parse "K/N" with 1 <= K <= N; raises ArgumentTypeError."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected a part such as 1/2 or 2/2, got {text!r}")
    return int(first), int(count)


def run(chosen: argparse.Namespace) -> int:
    """Measure the units without a result, write the tables, and print the answers to the claims."""
    from .. import reproduce  # imported here, so that the other commands do not load it
    from ..reproduce import images, report, runner

    if chosen.paper not in reproduce.STUDIES:
        raise InputError(f"no study of {chosen.paper!r}; available: {', '.join(reproduce.STUDIES)}")
    protocol = replace(reproduce.Protocol(), **(QUICK if chosen.quick else {}))
    protocol = protocol if chosen.images is None else replace(protocol, images=chosen.images)
    if protocol.images < 1:
        raise InputError(f"--images must be at least 1, got {protocol.images}")
    seeds = chosen.seeds if chosen.seeds is not None else [0] if chosen.quick else [0, 1, 2]
    study = reproduce.STUDIES[chosen.paper](protocol, seeds=seeds, folder=chosen.networks)
    if chosen.only:
        study = replace(study, units=[unit for unit in study.units if chosen.only in unit.name])
    first, parts = chosen.part
    study = replace(study, units=study.units[first - 1 :: parts])
    named = dict.fromkeys(unit.dataset for unit in study.units)
    if not named:
        raise InputError(
            "nothing to measure: no trained network is available; give a folder with --networks, or change --only"
        )
    at_hand = {name: images.load(name, protocol.images, chosen.data) for name in named}
    out = Path(chosen.out or f"reproduce-{chosen.paper}{'-quick' if chosen.quick else ''}")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("summary.csv", "summary-seeds.csv", "summary.md"):
        check_writable(out / name)
    found = reproduce.run(study, at_hand, out)
    if parts > 1:
        print(f"wrote {len(found)} units, part {first} of {parts}; run without --part to write the tables of all parts")
        return 0
    means, counts = report.means_of(found), {unit: len(rows["finite"]) for unit, rows in found.items()}
    claims = study.answer(means)
    write_text(out / "summary.csv", report.as_csv(means, counts))
    write_text(out / "summary-seeds.csv", report.as_seeds_csv(means, counts))
    page = report.as_markdown(study, means, claims, as_typed(chosen), runner.headers(out, found))
    write_text(out / "summary.md", page)
    for line in (f"{study.title} (arXiv {study.paper})", *(f"not available: {name}" for name in study.missing)):
        print(line)
    print(*claims, sep="\n")
    print(f"wrote {out / 'summary.md'}, {out / 'summary.csv'}, {out / 'summary-seeds.csv'} and {len(found)} units")
    return 0


def as_typed(chosen: argparse.Namespace) -> str:
    """Return the command that was run, without the paths of this machine."""
    words = ["lrpref reproduce", chosen.paper]
    words += ["--quick"] if chosen.quick else []
    words += [f"--{name} {name.upper()}" for name in ("data", "networks") if getattr(chosen, name)]
    words += [f"--seeds {' '.join(map(str, chosen.seeds))}"] if chosen.seeds else []
    words += [f"--images {chosen.images}"] if chosen.images else []
    words += [f"--only {chosen.only}"] if chosen.only else []
    return " ".join(words)
