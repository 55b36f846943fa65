"""Peak memory of a contestant, in a process of its own: `python -m benchmarks.memory NAME NETWORK BATCH COMPOSITE`.

Three numbers, in MiB: the resident memory when the contestant is ready (libraries, weights, input), the peak until
then, and the peak during two calls. The second is the cost of preparation in lrpref; for the torch libraries it would
be that of converting the weights, which is not theirs, so it is not reported.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .contestants import OURS, Case, contestant
from .machine import for_workers, use_threads
from .peers import NotRunError

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
ROOT = Path(__file__).parent.parent


def measure(
    name: str, network: str, batch: int, composite: str, quick: bool = False, threads: int = 1
) -> dict[str, Any]:
    """The memory of one contestant; {"not_run": reason} if it cannot take part or be measured."""
    command = [sys.executable, "-m", "benchmarks.memory", name, network, str(batch), composite, str(threads)]
    command += ["quick"] if quick else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"not_run": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_here(
    name: str, network: str, batch: int, composite: str, quick: bool = False, threads: int | None = None
) -> dict[str, Any]:
    """The same, measured in this process, which should be a fresh one."""
    if not can_measure():
        return {"not_run": "the peak of a process can be reset on Linux only"}
    case = Case.of(network, batch, composite, quick, threads=threads)
    gc.collect()
    reset_peak()
    try:
        run = contestant(name, case)
    except NotRunError as error:
        return {"not_run": str(error)}
    ready = {"preparing": peak()}
    if name not in OURS:
        ready = {}
    del case  # frees lrpref's weights if the contestant has its own
    gc.collect()
    ready["ready"] = resident()
    reset_peak()
    for _ in range(2):
        run()
    return {**ready, "calls": peak()}


# ---- the memory of this process, on Linux ----------------------------------------------------------------------


def can_measure() -> bool:
    """Whether the peak of this process can be read and reset."""
    try:
        reset_peak()
        return peak() > 0
    except (OSError, LookupError):
        return False


def reset_peak() -> None:
    """Reset the peak to the present memory."""
    CLEAR.write_text("5")


def peak() -> float:
    """The peak since the last reset, in MiB."""
    return _status("VmHWM")


def resident() -> float:
    """The resident memory, in MiB."""
    return _status("VmRSS")


def _status(field: str) -> float:
    """A field of /proc/self/status, in MiB; raises LookupError if it is missing."""
    values = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(values[field].split()[0]) / 1024


if __name__ == "__main__":
    contender, subject, size, rule, workers, *options = sys.argv[1:]
    use_threads(int(workers), with_torch=contender not in OURS)
    count = for_workers(int(workers))
    print(json.dumps(measure_here(contender, subject, int(size), rule, "quick" in options, count)))
