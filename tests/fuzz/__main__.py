"""The command line of the fuzzers: `python -m tests.fuzz --help`."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from datetime import date
from typing import Any

import numpy as np

import lrpref

from .page import record_fuzzer
from .runner import Fuzzer, Tally, empty_folder, find, run

DEEP = {"files": 1_000_000, "arrays": 100_000, "graphs": 1_350, "commands": 600, "kills": 250}
"""The fuzzers, and how many cases of each the deep run tries."""
CODE = ("lrpref", "cases", "tests", "weights", "pyproject.toml")
"""What a result depends on; changes elsewhere, such as an earlier result, do not make a commit another one."""


def main() -> int:
    """Run the chosen fuzzers, print a table, and return 1 if there was a failure."""
    chosen = _parser().parse_args()
    names = chosen.kind or list(DEEP)
    if chosen.seed is not None and chosen.seconds is None and chosen.cases is None:
        return max(_once(find(name), chosen.seed) for name in names)
    failures = 0
    for name in names:
        cases = DEEP[name] if chosen.deep else chosen.cases or 10**12
        seconds = chosen.seconds or (float("inf") if chosen.deep or chosen.cases else 10)
        fuzzer = find(name)
        tally, took = run(fuzzer, chosen.seed or 0, chosen.processes, seconds, cases)
        if chosen.deep:
            _demand(fuzzer, tally)
        print(_as_text(name, tally, took), flush=True)
        failures += sum(tally.failures.values())
        if chosen.record:
            record_fuzzer(name, {**_as_data(tally, took), "processes": chosen.processes, **_about(chosen.seed or 0)})
    return int(failures > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Try random inputs in large numbers.")
    parser.add_argument("kind", nargs="*", choices=[*DEEP, []], help=f"{', '.join(DEEP)} (default: all)")
    parser.add_argument("--seconds", type=float, help="how long each fuzzer runs (default: 10)")
    parser.add_argument("--cases", type=int, help="how many cases each fuzzer tries")
    parser.add_argument("--deep", action="store_true", help="try as many cases as docs/trust.md states")
    parser.add_argument("--processes", type=int, default=2, help="how many run at a time (default: 2)")
    parser.add_argument("--seed", type=int, help="the first seed (default: 0); alone, it repeats this one case")
    parser.add_argument("--record", action="store_true", help="state the result in docs/trust.json and docs/trust.md")
    return parser


def _once(fuzzer: Fuzzer, seed: int) -> int:
    """Repeat one case, print its outcomes, and let its error through."""
    with empty_folder() as folder:
        print(f"{fuzzer.name}, seed {seed}: {dict(fuzzer.case(seed, folder))}")
    return 0


def _demand(fuzzer: Fuzzer, tally: Tally) -> None:
    """A deep run that never saw what it is meant to see has failed."""
    for missing in sorted(fuzzer.demanded - set(tally.outcomes)):
        tally.fail(-1, RuntimeError(f"{fuzzer.name} never saw {missing!r}"))


def _as_data(tally: Tally, took: float) -> dict[str, Any]:
    (slowest, slow_seed), (largest, large_seed) = tally.slowest, tally.largest
    return {
        "cases": tally.cases,
        "seconds": round(took),
        "outcomes": dict(sorted(tally.outcomes.items())),
        "slowest": {"seconds": slowest, "seed": slow_seed},
        "largest": {"mebibytes": largest, "seed": large_seed},
        "failures": dict(tally.failures),
    }


def _as_text(name: str, tally: Tally, took: float) -> str:
    head = f"{name}: {tally.cases:,} cases in {took:.0f} s, {tally.cases / took:,.0f} a second"
    slow, large = tally.slowest, tally.largest
    bounds = f"    the slowest took {slow[0]} s (seed {slow[1]}), the largest {large[0]} MiB (seed {large[1]})"
    rows = [f"    {count:>9,}  {outcome}" for outcome, count in sorted(tally.outcomes.items())]
    failed = [f"    {count:>9,}  FAILED: {kind}" for kind, count in tally.failures.most_common()]
    reports = [f"\n{kind}: {text}" for kind, text in tally.reports.items()]
    return "\n".join([head, bounds, *rows, *failed, *reports])


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()


def _about(seed: int) -> dict[str, Any]:
    """On what, and when, a fuzzer was run."""
    commit = _git("rev-parse", "--short", "HEAD") + ("-dirty" if _git("status", "--porcelain", *CODE) else "")
    versions = {"lrpref": lrpref.__version__, "numpy": np.__version__, "python": platform.python_version()}
    return {"seed": seed, "commit": commit, "date": f"{date.today()}", **versions}


if __name__ == "__main__":
    sys.exit(main())
