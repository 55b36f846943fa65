"""Everything that is to be known of a GPU, in eight minutes: `python -m benchmarks.gpu --markdown gpu.md`.

    suite           the tests of the backend CuPy
    costs           what a launch, a wait, a gather and a product cost
    agreement       every rule and every form on trained networks, next to NumPy
    repeatability   the same explanation, many times
    speed           milliseconds and peak memory of every form, network, number type and batch, next to zennit and torch

The results are written after every section, and within the longest ones, so that a run that is cut off leaves what it
found. A section that has no time left names what it left out. numpy, cupy, torch and pytest are enough; what else is
useful and not installed on such a machine can be carried there: `benchmarks/wheels.txt`.

TF32 is off in torch, as it is in CuPy: float32 means float32. Without a GPU, the same command runs on the stand-in of
the tests, to check that it runs: `PYTHONPATH=tests/standin python -m benchmarks.gpu --quick`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from lrpref import Network
from lrpref._support.files import write_text
from lrpref.backend import load_backend

from . import device, gpu_agreement, gpu_report, limit, machine
from .__main__ import among, numbers
from .contestants import FORWARD, GRADIENT, OURS, ZENNIT, Case, contestant
from .gpu_costs import costs
from .memory import ROOT
from .peers import COMPOSITES, NotRunError
from .subjects import QUICK, SUBJECTS, Subject
from .timing import paired

DTYPES = ("float32", "float64")
CONTESTANTS = (*OURS, ZENNIT, FORWARD, GRADIENT)
COSTS, AGREEMENT, REPEATABILITY, SPEED, SUITE = "costs", "agreement", "repeatability", "speed", "suite"

SHARES = {COSTS: 0.08, AGREEMENT: 0.2, REPEATABILITY: 0.04, SUITE: 0.25, SPEED: 0.43}
"""Section -> its part of the time, in the order in which they run. What one does not need is left to the next."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write after every section; return 1 if a test failed or a rule disagrees with NumPy in float64."""
    chosen = arguments().parse_args(argv)
    load_backend("cupy")  # raises if it is missing
    device.without_tf32()
    results: dict[str, Any] = {
        "machine": machine.describe(machine.cores()) | device.card(),
        "standin": device.is_standin(),
        "arguments": {k: str(v) if isinstance(v, Path) else v for k, v in vars(chosen).items()},
        "sections": {},
    }
    start = time.monotonic()
    for section, until in deadlines(chosen.sections, start, chosen.seconds):
        began = time.monotonic()
        try:
            for found in SECTIONS[section](chosen, until):
                results["sections"][section] = found | {"seconds": time.monotonic() - began}
                write(chosen, results)
        except Exception as error:  # the other sections are worth having
            failed = {"error": f"{type(error).__name__}: {error}", "seconds": time.monotonic() - began}
            results["sections"][section] = results["sections"].get(section, {}) | failed
        write(chosen, results)
    print(gpu_report.render(results))
    return 1 if gpu_report.failures(results) else 0


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=480, help="how long everything may take together")
    parser.add_argument("--quick", action="store_true", help="tiny networks and few calls, to check that it runs")
    parser.add_argument("--sections", type=among(tuple(SHARES)), default=list(SHARES))
    parser.add_argument("--networks", type=among(("vgg16", "resnet50")), default=["resnet50", "vgg16"])
    parser.add_argument("--dtypes", type=among(DTYPES), default=list(DTYPES))
    parser.add_argument("--batch", type=numbers, default=[1, 8, 64])
    parser.add_argument("--composite", choices=list(COMPOSITES), default="epsilon-plus-flat")
    parser.add_argument("--rounds", type=int, default=5, help="paired rounds of the timing, at most")
    parser.add_argument(
        "--tests", nargs="*", default=["tests"], help="the tests of the suite; all of CuPy's if not given"
    )
    parser.add_argument("--json", type=Path, help="file to write the data to")
    parser.add_argument("--markdown", type=Path, help="file to write the tables to")
    return parser


def deadlines(sections: Sequence[str], start: float, seconds: float) -> Iterator[tuple[str, float]]:
    """Each section that was asked for, and when it is to end."""
    wanted = {section: share for section, share in SHARES.items() if section in sections}
    spent = 0.0
    for section, share in wanted.items():
        spent += share / sum(wanted.values())
        yield section, start + spent * seconds


def write(chosen: argparse.Namespace, results: Mapping[str, Any]) -> None:
    """Write what was found so far."""
    if chosen.json:
        write_text(chosen.json, json.dumps(results, indent=1))
    if chosen.markdown:
        write_text(chosen.markdown, gpu_report.render(results) + "\n")


# ---- the sections ----------------------------------------------------------------------------------------------
#
# Each yields what it has found so far, several times if it takes long, and ends at a time of `time.monotonic`.


def suite(chosen: argparse.Namespace, until: float) -> Iterator[dict[str, Any]]:
    """Run the tests of the backend CuPy, in a process that is ended when the time is over."""
    if find_spec("pytest") is None:
        yield {"not_run": "pytest is not installed"}
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cupy"]
    several = find_spec("xdist") is not None and not chosen.quick
    command += ["--continue-on-collection-errors", *(["-n", str(min(8, machine.cores()))] if several else [])]
    command += [*(["--standin"] if device.is_standin() else []), *chosen.tests]
    found: dict[str, Any] = {"command": "python " + " ".join(command[1:])}
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=max(1.0, until - time.monotonic())
        )
        output, found["code"] = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        output = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        found["not_run"] = "stopped when its time was over; what had failed until then is listed"
    yield found | told(output)


def told(output: str) -> dict[str, Any]:
    r"""What pytest printed: its last line, what failed, and which files it could not import for lack of which modules.

    >>> told("E   ModuleNotFoundError: No module named 'PIL'\nFAILED a.py::b\nERROR c.py\n1 failed, 1 error")
    {'last_line': '1 failed, 1 error', 'failed': ['a.py::b'], 'not_imported': ['c.py'], 'missing': ['PIL']}
    """
    lines = output.strip().splitlines()
    bad = [line.partition(" ")[2] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    missing = sorted(set(re.findall(r"^E .*No module named '(\w+)", output, re.MULTILINE)))
    not_imported = [place for place in bad if missing and "::" not in place]
    return {
        "last_line": lines[-1] if lines else "",
        "failed": [place for place in bad if place not in not_imported],
        "not_imported": not_imported,
        "missing": missing,
    }


def cost_table(chosen: argparse.Namespace, until: float) -> Iterator[dict[str, Any]]:
    """What calls cost."""
    yield {"rows": costs(chosen.quick)}


def agreement(chosen: argparse.Namespace, until: float) -> Iterator[dict[str, Any]]:
    """Every rule and form next to NumPy."""
    yield gpu_agreement.agreement(gpu_agreement.NETWORKS[: 1 if chosen.quick else None], until)


def repeatability(chosen: argparse.Namespace, until: float) -> Iterator[dict[str, Any]]:
    """The same explanation many times."""
    network, calls = ("mnist-cnn-bn", 3) if chosen.quick else ("resnet20", 20)
    yield {"rows": gpu_agreement.repeatability(network, calls)}


def speed(chosen: argparse.Namespace, until: float) -> Iterator[dict[str, Any]]:
    """Milliseconds and peak memory of every contestant, case by case."""
    rows: list[dict[str, Any]] = []
    for dtype in chosen.dtypes:
        for network in chosen.networks:
            for batch in chosen.batch:
                if time.monotonic() > until:
                    rows.append({"network": network, "dtype": dtype, "batch": batch, "left_out": True})
                else:
                    rows.append(one(chosen, network, batch, dtype, until))
                yield {"rows": rows}


SECTIONS: Mapping[str, Callable[[argparse.Namespace, float], Iterator[dict[str, Any]]]] = {
    SUITE: suite, COSTS: cost_table, AGREEMENT: agreement, REPEATABILITY: repeatability, SPEED: speed,
}  # fmt: skip


# ---- one case of the timing --------------------------------------------------------------------------------------


@cache
def network_of(name: str, quick: bool, dtype: str) -> tuple[Subject, Network]:
    """The network, built once for all batches: random weights of VGG16 take seconds."""
    subject = (QUICK if quick else SUBJECTS)[name]
    return subject, subject.build().astype(dtype)


def one(chosen: argparse.Namespace, network: str, batch: int, dtype: str, until: float) -> dict[str, Any]:
    """Time one case: all contestants that can run, in paired rounds, sharing the card as far as memory allows."""
    subject, net = network_of(network, chosen.quick, dtype)
    case = Case(network, batch, chosen.composite, net, subject, subject.input(batch).astype(dtype), "cupy")
    not_run, runs, peak, first = {}, {}, {}, {}
    for name in CONTESTANTS:
        start = time.perf_counter()
        try:
            runs[name] = contestant(name, case, device.torch_device())
            runs[name]()
            device.wait()
            first[name] = (time.perf_counter() - start) * 1e3
            peak[name] = device.peak_mib(runs[name])
        except NotRunError as error:
            not_run[name] = str(error)
        except Exception as error:
            if not device.is_out_of_memory(error):
                raise
            runs.pop(name, None)
            not_run[name] = f"out of memory on the card, {network} in {dtype} at batch {batch}"
        device.empty_pools()
    n = 256 if chosen.quick else 8192
    timed, emptied = runs | {gpu_report.LIMIT: limit.sgemm(n, dtype, "cupy")}, False
    rounds = rounds_until(until, sum(first.values()) / 1e3, chosen.rounds)
    try:
        times = paired(timed, rounds, device.wait)
    except Exception as error:  # memory that one library keeps for reuse is not available to the other
        if not device.is_out_of_memory(error):
            raise
        emptied = True
        times = paired(timed, rounds, device.wait, device.empty_pools)
    products = times.pop(gpu_report.LIMIT)
    least = limit.seconds_at(median(products), n, limit.needed(net, tuple(case.x.shape), case.rule)) * 1e3
    return {
        "network": network, "dtype": dtype, "batch": batch, "composite": chosen.composite, "rounds": rounds,
        "ms": {name: [t * 1e3 for t in found] for name, found in times.items()},
        "first_ms": first, "peak_mib": peak, "limit_ms": least, "not_run": not_run, "pools_emptied": emptied,
    }  # fmt: skip


def rounds_until(until: float, first: float, most: int) -> int:
    """The rounds for which there is time, at least one, if all first calls took `first` seconds together.

    >>> rounds_until(time.monotonic() - 1, 2.0, 5)
    1
    """
    return max(1, min(most, int((until - time.monotonic()) / max(first, 1e-3) / 4)))


if __name__ == "__main__":
    sys.exit(main())
