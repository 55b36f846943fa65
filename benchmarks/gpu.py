"""All measurements on a GPU in one run: `python -m benchmarks.gpu --json gpu.json --markdown gpu.md`.

1. the tests of the CuPy backend;
2. VGG16 and ResNet50 in float32 and float64 at batch 1, 8 and 64: every form of lrpref, and zennit on the same card;
3. the rate of CuPy's matrix product in the same rounds, and the time of the needed products at that rate.

TF32 is off in torch, as it is in CuPy: float32 means float32. Cases that exceed the card's memory are listed as such.
`--backend numpy --quick` runs the same steps on the CPU, which is how this script was tested.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from lrpref._support.files import write_text
from lrpref.backend import load_backend

from . import limit, machine, report
from .__main__ import among, numbers
from .contestants import FORWARD, GRADIENT, OURS, ZENNIT, Case, contestant
from .memory import ROOT
from .peers import COMPOSITES, NotRunError, installed
from .timing import paired

DTYPES = ("float32", "float64")
CONTESTANTS = (*OURS, ZENNIT, FORWARD, GRADIENT)


def main(argv: Sequence[str] | None = None) -> int:
    """Test, measure and write; return 1 if a test failed."""
    chosen = arguments().parse_args(argv)
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 7)
    load_backend(chosen.backend)  # raises if it is missing
    device = "cuda" if chosen.backend == "cupy" else "cpu"
    without_tf32()
    results: dict[str, Any] = {
        "machine": machine.describe(machine.cores()) | card(chosen.backend),
        "arguments": {k: str(v) if isinstance(v, Path) else v for k, v in vars(chosen).items()},
        "tests": None if chosen.skip_tests else suite(chosen.backend),
        "speed": [],
    }
    for network in chosen.networks:
        for dtype in chosen.dtypes:
            for batch in chosen.batch:
                results["speed"].append(one(chosen, network, batch, dtype, device))
                if chosen.json:
                    write_text(chosen.json, json.dumps(results, indent=1))
    text = render(results)
    print(text)
    if chosen.markdown:
        write_text(chosen.markdown, text + "\n")
    return 1 if results["tests"] and results["tests"]["code"] else 0


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--backend", choices=["cupy", "numpy"], default="cupy")
    parser.add_argument("--quick", action="store_true", help="tiny networks and two rounds, to check that it runs")
    parser.add_argument("--networks", type=among(("vgg16", "resnet50")), default=["vgg16", "resnet50"])
    parser.add_argument("--dtypes", type=among(DTYPES), default=list(DTYPES))
    parser.add_argument("--batch", type=numbers, default=[1, 8, 64])
    parser.add_argument("--composite", choices=list(COMPOSITES), default="epsilon-plus-flat")
    parser.add_argument("--rounds", type=int, help="paired rounds; 7, with --quick 2")
    parser.add_argument("--gemm", type=int, default=8192, help="rows of the matrices whose product is the limit's rate")
    parser.add_argument("--skip-tests", action="store_true", help="measure without running the tests")
    parser.add_argument("--json", type=Path, help="file to write the data to")
    parser.add_argument("--markdown", type=Path, help="file to write the table to")
    return parser


# ---- the card --------------------------------------------------------------------------------------------------


def card(backend: str) -> dict[str, Any]:
    """The GPU, its driver and its libraries; empty without a GPU."""
    if backend != "cupy":
        return {}
    runtime = import_module("cupy").cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    return {
        "card": properties["name"].decode(),
        "card_memory_gib": round(properties["totalGlobalMem"] / 2**30, 1),
        "cuda_driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "driver": output_of(
            "nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm", "--format=csv,noheader"
        ),
    }


def output_of(*command: str) -> str | None:
    """The output of a program; None if it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def without_tf32() -> None:
    """Turn TF32 off in torch, and let it choose its fastest convolution algorithms beforehand."""
    if installed("torch"):
        backends = import_module("torch").backends
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = False
        backends.cudnn.benchmark = True


def waiting(backend: str) -> Callable[[], None] | None:
    """A function that waits for CuPy and torch to finish; None on the CPU."""
    if backend != "cupy":
        return None
    stream, torch = import_module("cupy").cuda.Device(), import_module("torch") if installed("torch") else None

    def wait() -> None:
        stream.synchronize()
        if torch is not None:
            torch.cuda.synchronize()

    return wait


def empty_pools(backend: str) -> None:
    """Release the memory that both libraries keep for reuse."""
    if backend == "cupy":
        import_module("cupy").get_default_memory_pool().free_all_blocks()
        if installed("torch"):
            import_module("torch").cuda.empty_cache()


# ---- what is measured ------------------------------------------------------------------------------------------


def suite(backend: str) -> dict[str, Any]:
    """Run the tests of a backend; return pytest's last line and its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-k", backend, "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    return {"command": " ".join(command[1:]), "code": done.returncode, "last_line": lines[-1] if lines else ""}


def one(chosen: argparse.Namespace, network: str, batch: int, dtype: str, device: str) -> dict[str, Any]:
    """Measure one case: all contestants that can run, in paired rounds, sharing the card as far as memory allows."""
    host = Case.of(network, batch, chosen.composite, chosen.quick, dtype)
    case = replace(host, backend=chosen.backend)
    wait, not_run, runs, preparation = waiting(chosen.backend), {}, {}, {}
    for name in CONTESTANTS:
        start = time.perf_counter()
        try:
            runs[name] = contestant(name, case, device)
            runs[name]()
        except NotRunError as error:
            not_run[name] = str(error)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            runs.pop(name, None)
            not_run[name] = f"out of memory on the card, {network} in {dtype} at batch {batch}"
        if name in runs and name in OURS:
            preparation[name] = time.perf_counter() - start
        empty_pools(chosen.backend)
    n = 256 if chosen.quick else chosen.gemm
    timed, emptied = runs | {report.LIMIT: limit.sgemm(n, dtype, chosen.backend)}, False
    try:
        times = paired(timed, chosen.rounds, wait)
    except Exception as error:  # memory that one library keeps for reuse is not available to the other
        if not is_out_of_memory(error):
            raise
        emptied = True
        times = paired(timed, chosen.rounds, wait, lambda: empty_pools(chosen.backend))
    needed = limit.needed(case.net, tuple(case.x.shape), case.rule)
    products = times.pop(report.LIMIT)
    seconds = times | {report.LIMIT: [limit.seconds_at(t, n, needed) for t in products]}
    return {
        "network": network, "batch": batch, "composite": f"{chosen.composite}, {dtype}", "seconds": seconds,
        "preparation": preparation, "not_run": not_run, "needed": needed, "gemm": n, "gemm_seconds": products,
        "pools_emptied": emptied,
    }  # fmt: skip


def is_out_of_memory(error: Exception) -> bool:
    """Whether CuPy, torch or NumPy ran out of memory.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError())
    (True, False)
    """
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


# ---- what is written -------------------------------------------------------------------------------------------


def render(results: dict[str, Any]) -> str:
    """The report: conditions of the measurement, and the table."""
    found, parts = results["machine"], []
    if "card" in found:
        parts.append(
            f"{found['card']}, {found['card_memory_gib']} GiB, driver {found['driver']}, "
            f"CUDA {found['cuda_runtime']} (driver API {found['cuda_driver']}), TF32 off"
        )
    else:
        parts.append("**Not on a GPU**: these are the steps of the script on the CPU.")
    parts.append(report.machine(found, results["arguments"]))
    if results["tests"]:
        parts.append(f"`python {results['tests']['command']}`: {results['tests']['last_line']}")
    emptied = [f"{c['network']} {c['batch']} {c['composite']}" for c in results["speed"] if c["pools_emptied"]]
    notes = [f"Memory pools emptied after every measurement: {'; '.join(emptied)}."] if emptied else []
    return "\n\n".join([*parts, report.speed(results["speed"]), *notes])


if __name__ == "__main__":
    sys.exit(main())
