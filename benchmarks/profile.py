"""Where the time goes, per layer and per call: `python -m benchmarks.profile --network vgg16`.

Every step of the prepared network is timed, forward and back, while the whole network runs; the median over rounds is
printed. The rate next to it, in 10^9 operations per second, counts each multiply-add of the products that the rule
needs (`benchmarks.limit`) as two operations, so that a layer that computes more than necessary, or passes over its data
too often, has a low rate. Above the table stand the parts of a single `lrpref.explain`: preparing the network, planning
the pass through inputs of this shape, and the pass itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from math import inf
from statistics import median
from typing import NamedTuple

from lrpref._support.budget import Budget
from lrpref.fast import FORMS
from lrpref.fast.prepared import Prepared

from . import limit, machine
from .__main__ import among
from .contestants import Case, form
from .peers import COMPOSITES
from .report import table
from .subjects import SUBJECTS


class Stopwatch(Budget):
    """A budget that is never spent, and notes when each step asks for it.

    The last step forward includes what precedes the way back, and the last step back what follows it.
    """

    def __init__(self) -> None:
        super().__init__(inf)
        self.seen: list[tuple[str, str, float]] = []

    def check(self, node: str, work: str) -> None:
        """Note the node, the direction and the time."""
        self.seen.append((node, work, time.perf_counter()))

    def taken(self) -> dict[tuple[str, str], float]:
        """(node, direction) -> the time until the next note, or until now."""
        times = [*(when for _, _, when in self.seen), time.perf_counter()]
        return {(node, work): times[k + 1] - times[k] for k, (node, work, _) in enumerate(self.seen)}


class Profile(NamedTuple):
    """A row for each step, and the seconds of preparing, of the first pass, which is planned, and of later passes.

    A row holds the nodes, the step's type and form, milliseconds forward and back, and the rate if there is one.
    """

    rows: list[list[str]]
    prepare: float
    first: float
    again: float


def profile(case: Case, name: str, rounds: int) -> Profile:
    """Profile one form; medians over the rounds, each of which prepares the network anew."""
    preparing, first, again, steps = [], [], [], []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        prepared = form(name, case)
        assert isinstance(prepared, Prepared), "only a prepared network has steps"
        preparing.append(time.perf_counter() - begin)
        for durations in (first, again):
            watch, begin = Stopwatch(), time.perf_counter()
            prepared.explain(case.x, 0, "one", watch)
            durations.append(time.perf_counter() - begin)
        steps.append(watch.taken())
    work, rules, rows = limit.multiply_adds(case.net, tuple(case.x.shape)), case.rule.assign(case.net), []
    for placed in prepared.steps:
        node = placed.nodes[0]
        onward, back = (median(seen[node, f"{way} pass"] for seen in steps[1:]) for way in ("forward", "backward"))
        operations = 2 * work[node] * limit.PRODUCTS[type(rules[node])] if node in work else 0
        rate = f"{operations / (onward + back) / 1e9:.0f}" if operations else ""
        kind = type(placed.step).__name__
        rows.append([" ".join(placed.nodes), kind, placed.step.form, f"{1e3 * onward:.2f}", f"{1e3 * back:.2f}", rate])
    return Profile(rows, *(median(times[1:]) for times in (preparing, first, again)))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=list(SUBJECTS), default="vgg16")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--composite", choices=list(COMPOSITES), default="epsilon-plus-flat")
    parser.add_argument("--forms", type=among(FORMS), default=["direct"], help=", ".join(FORMS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--quick", action="store_true", help="a tiny network, to check that it runs")
    chosen = parser.parse_args(argv)
    machine.use_threads(chosen.threads, with_torch=False)
    workers = machine.for_workers(chosen.threads)
    case = Case.of(chosen.network, chosen.batch, chosen.composite, chosen.quick, threads=workers)
    head = ["nodes", "step", "form", "ms forward", "ms back", "10^9 op/s"]
    for name in chosen.forms:
        found = profile(case, name, chosen.rounds)
        sums = [f"{sum(float(row[k]) for row in found.rows):.2f}" for k in (3, 4)]
        print(table(f"{chosen.network}, batch {chosen.batch}, {chosen.composite}, {name}", head, found.rows))
        print(f"\nsteps together: {sums[0]} ms forward, {sums[1]} ms back")
        parts = {"preparing": found.prepare, "planning": found.first - found.again, "the pass": found.again}
        print(", ".join(f"{part}: {1e3 * seconds:.2f} ms" for part, seconds in parts.items()), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
