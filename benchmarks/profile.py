"""Time per layer of one of lrpref's forms: `python -m benchmarks.profile --network vgg16`.

Every step of the prepared network is timed, forward and back, while the whole network runs; the median over rounds is
printed. The rate next to it, in 10^9 operations per second, counts each multiply-add of the products that the rule
needs (`benchmarks.limit`) as two operations, so that a layer that computes more than necessary, or passes over its data
too often, has a low rate.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from lrpref.backend import Array
from lrpref.fast.prepared import Prepared
from lrpref.fast.steps import Step
from lrpref.fast.workers import Workers

from . import limit, machine
from .__main__ import among
from .contestants import Case, form
from .peers import COMPOSITES
from .report import table
from .subjects import SUBJECTS


@dataclass(frozen=True)
class Timed:
    """A step that records the seconds of each call, forward and back separately."""

    step: Step
    onward: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    @property
    def form(self) -> str:
        """The form of the step."""
        return self.step.form

    @property
    def needs_inputs(self) -> bool:
        """Whether the step needs its inputs."""
        return self.step.needs_inputs

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """Run and time the step."""
        start = time.perf_counter()
        found = self.step.forward(inputs, workers, remember)
        self.onward.append(time.perf_counter() - start)
        return found

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """Run and time the step."""
        start = time.perf_counter()
        found = self.step.backward(message, kept, inputs, workers)
        self.back.append(time.perf_counter() - start)
        return found


def timed(prepared: Prepared) -> Prepared:
    """The same network, each of its steps timed."""
    steps = tuple(replace(placed, step=Timed(placed.step)) for placed in prepared.steps)
    return replace(prepared, steps=steps)


def profile(case: Case, name: str, rounds: int) -> tuple[list[list[str]], float]:
    """A row for each step, and the seconds of the whole, after one call to warm up.

    A row holds the nodes, the step's type and form, milliseconds forward and back, and the rate if there is one.
    """
    prepared = form(name, case)
    assert isinstance(prepared, Prepared), "only a prepared network has steps"
    watched, whole = timed(prepared), []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        watched.explain(case.x, target=0, seed="one")
        whole.append(time.perf_counter() - start)
    work, rules = limit.multiply_adds(case.net, tuple(case.x.shape)), case.rule.assign(case.net)
    rows = []
    for placed in watched.steps:
        step, first = placed.step, placed.nodes[0]
        assert isinstance(step, Timed)
        onward, back = median(step.onward[1:]), median(step.back[1:])
        operations = 2 * work[first] * limit.PRODUCTS[type(rules[first])] if first in work else 0
        rate = f"{operations / (onward + back) / 1e9:.0f}" if operations else ""
        kind = type(step.step).__name__
        rows.append([" ".join(placed.nodes), kind, step.form, f"{1e3 * onward:.2f}", f"{1e3 * back:.2f}", rate])
    return rows, median(whole[1:])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=list(SUBJECTS), default="vgg16")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--composite", choices=list(COMPOSITES), default="epsilon-plus-flat")
    parser.add_argument("--forms", type=among(("winograd", "fastest")), default=["winograd"], help="winograd, fastest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--quick", action="store_true", help="a tiny network, to check that it runs")
    chosen = parser.parse_args(argv)
    machine.use_threads(chosen.threads, with_torch=False)
    workers = machine.for_workers(chosen.threads)
    case = Case.of(chosen.network, chosen.batch, chosen.composite, chosen.quick, threads=workers)
    head = ["nodes", "step", "form", "ms forward", "ms back", "10^9 op/s"]
    for name in chosen.forms:
        rows, whole = profile(case, name, chosen.rounds)
        sums = [f"{sum(float(row[k]) for row in rows):.2f}" for k in (3, 4)]
        print(table(f"{chosen.network}, batch {chosen.batch}, {chosen.composite}, {name}: {whole:.4g} s", head, rows))
        print(f"\nsteps together: {sums[0]} ms forward, {sums[1]} ms back\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
