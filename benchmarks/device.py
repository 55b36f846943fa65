"""The GPU: what it is, when it is done, and how much of its memory was taken."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .peers import installed


def is_standin() -> bool:
    """Whether `cupy` is the stand-in of the tests, which computes on the CPU."""
    return hasattr(import_module("cupy"), "is_standin")


def torch_device() -> str:
    """Where torch computes: on the same card."""
    return "cpu" if is_standin() else "cuda"


def card() -> dict[str, Any]:
    """The GPU, its driver and its libraries."""
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
    """Turn TF32 off in torch, as it is in CuPy, and let torch choose its fastest convolutions beforehand."""
    if installed("torch"):
        backends = import_module("torch").backends
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = False
        backends.cudnn.benchmark = True


def wait() -> None:
    """Wait until CuPy and torch have computed everything."""
    import_module("cupy").cuda.Device().synchronize()
    if torch_device() == "cuda" and installed("torch"):
        import_module("torch").cuda.synchronize()


def empty_pools() -> None:
    """Release the memory that both libraries keep for reuse."""
    import_module("cupy").get_default_memory_pool().free_all_blocks()
    if torch_device() == "cuda" and installed("torch"):
        import_module("torch").cuda.empty_cache()


def peak_mib(run: Callable[[], object]) -> float:
    """The most memory of the card, in MiB, that both libraries' pools held during a call."""
    empty_pools()
    pool, cuda = import_module("cupy").get_default_memory_pool(), None
    if torch_device() == "cuda" and installed("torch"):
        cuda = import_module("torch").cuda
        cuda.reset_peak_memory_stats()
    run()
    wait()
    return float((pool.total_bytes() + (cuda.max_memory_reserved() if cuda else 0)) / 2**20)


def is_out_of_memory(error: Exception) -> bool:
    """Whether CuPy, torch or NumPy ran out of memory.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError())
    (True, False)
    """
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
