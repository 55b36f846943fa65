"""`python -m benchmarks`: lrpref, its peers and the limit, side by side; see `benchmarks`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lrpref._support.files import write_text
from lrpref._support.progress import Bar

from . import equality, flipping, growth, limit, machine, memory, report
from .contestants import EVERYONE, OURS, Case, contestant
from .peers import COMPOSITES, NotRunError
from .subjects import QUICK, SUBJECTS
from .timing import paired

SECTIONS = ("speed", "equality", "memory", "growth", "flipping")
DEFAULT_COMPOSITES = ("epsilon-plus-flat", "epsilon-gamma-box", "epsilon-alpha2-beta1")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the chosen sections, print the tables, write the data."""
    chosen = arguments().parse_args(argv)
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 7)
    if chosen.show:
        print(report.render(json.loads(chosen.show.read_text())))
        return 0
    machine.use_threads(chosen.threads)
    results: dict[str, Any] = {
        "machine": machine.describe(chosen.threads),
        "arguments": {k: str(v) if isinstance(v, Path) else v for k, v in vars(chosen).items()},
    }
    for section in chosen.sections:
        results[section] = MEASURES[section](chosen)
        if chosen.json:  # after every section, so that a later failure loses nothing
            write_text(chosen.json, json.dumps(results, indent=1))
    print(report.render(results))
    return 0


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny networks and two rounds, to check that it runs")
    parser.add_argument("--sections", type=among(SECTIONS), default=list(SECTIONS), help=", ".join(SECTIONS))
    parser.add_argument("--networks", type=among(SUBJECTS), default=list(SUBJECTS), help=", ".join(SUBJECTS))
    parser.add_argument("--batch", type=numbers, help="batch sizes, such as 1,8; otherwise each network's own")
    known = f"{', '.join(COMPOSITES)}; memory is measured under the first"
    parser.add_argument("--composites", type=among(COMPOSITES), default=list(DEFAULT_COMPOSITES), help=known)
    parser.add_argument("--contestants", type=among(EVERYONE), default=list(EVERYONE), help=", ".join(EVERYONE))
    parser.add_argument("--rounds", type=int, help="paired rounds; 7, with --quick 2")
    parser.add_argument("--images", type=int, default=8, help="how many heatmaps are compared")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="the same for every library")
    parser.add_argument("--gemm", type=int, default=2048, help="rows of the matrices whose product is the limit's rate")
    parser.add_argument("--json", type=Path, help="file to write the data to")
    parser.add_argument("--show", type=Path, help="print the tables of such a file without measuring")
    return parser


def among(known: Any) -> Any:
    """A parser of comma-separated lists of known names."""

    def names(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",")]
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown name {unknown[0]!r}; known: {', '.join(known)}")
        return found

    return names


def numbers(text: str) -> list[int]:
    """Parse a comma-separated list of integers."""
    return [int(part) for part in text.split(",")]


# ---- the sections ----------------------------------------------------------------------------------------------


def cases(chosen: argparse.Namespace) -> Iterator[tuple[str, int, str]]:
    """Yield every network, batch size and composite to measure."""
    for network in chosen.networks:
        for batch in chosen.batch or (QUICK if chosen.quick else SUBJECTS)[network].batches:
            for composite in chosen.composites:
                yield network, batch, composite


def speed(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Every contestant on every case, and the limit at the rate measured in the same rounds."""
    return [_speed_of(chosen, *names) for names in cases(chosen)]


def _speed_of(chosen: argparse.Namespace, network: str, batch: int, composite: str) -> dict[str, Any]:
    """The times of one case."""
    case = Case.of(network, batch, composite, chosen.quick, threads=machine.for_workers(chosen.threads))
    runs, preparation, not_run = {}, {}, {}
    for name in chosen.contestants:
        start = time.perf_counter()
        try:
            runs[name] = contestant(name, case)
        except NotRunError as error:
            not_run[name] = str(error)
        if name in OURS:
            preparation[name] = time.perf_counter() - start
    n = 256 if chosen.quick else chosen.gemm
    with Bar(f"{network}, batch {batch}, {composite}") as bar:
        times = paired(
            runs | {report.LIMIT: limit.sgemm(n)},
            chosen.rounds,
            done=lambda: bar.tick(1 / ((len(runs) + 1) * chosen.rounds)),
        )
    needed = limit.needed(case.net, tuple(case.x.shape), case.rule)
    products = times.pop(report.LIMIT)
    seconds = times | {report.LIMIT: [limit.seconds_at(t, n, needed) for t in products]}
    return {
        "network": network, "batch": batch, "composite": composite, "seconds": seconds, "preparation": preparation,
        "not_run": not_run, "multiply_adds": sum(limit.multiply_adds(case.net, tuple(case.x.shape)).values()),
        "needed": needed, "gemm": n, "gemm_seconds": products,
    }  # fmt: skip


def equal(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """The distances between heatmaps, for every network and composite."""
    workers = machine.for_workers(chosen.threads)
    return [
        row
        for network in chosen.networks
        for composite in chosen.composites
        for row in equality.distances(network, composite, chosen.images, chosen.contestants, chosen.quick, workers)
    ]


def remember(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory under the first composite, for every network, batch and contestant."""
    return [
        {"network": network, "batch": batch, "composite": composite, "contestant": name}
        | memory.measure(name, network, batch, composite, chosen.quick, chosen.threads)
        for network, batch, composite in cases(chosen)
        for name in chosen.contestants
        if composite == chosen.composites[0]
    ]


def grow(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Growth rates of every form."""
    rule = COMPOSITES[DEFAULT_COMPOSITES[0]][0](SUBJECTS["resnet20"])
    return list(growth.measure(rule, chosen.rounds, chosen.quick, machine.for_workers(chosen.threads)))


def flip(chosen: argparse.Namespace) -> dict[str, Any]:
    """The times of pixel flipping."""
    size: dict[str, Any] = {"images": 3, "steps": 4} if chosen.quick else {}
    workers = machine.for_workers(chosen.threads)
    return flipping.measure(chosen.rounds, chosen.quick, threads=workers, wanted=chosen.contestants, **size)


MEASURES = {"speed": speed, "equality": equal, "memory": remember, "growth": grow, "flipping": flip}

if __name__ == "__main__":
    sys.exit(main())
