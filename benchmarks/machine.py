"""A description of the machine and the libraries, needed to interpret the results."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import lrpref

LIBRARIES = ("numpy", "torch", "zennit", "captum", "cupy", "threadpoolctl")


def use_threads(threads: int, with_torch: bool = True) -> None:
    """Set the number of threads of NumPy's BLAS and of torch.

    Without threadpoolctl, NumPy's BLAS keeps the number that OMP_NUM_THREADS or the like set when it was loaded.
    `with_torch=False` does not import torch, which takes memory.
    """
    if pools := _module("threadpoolctl"):
        pools.threadpool_limits(threads)
    if with_torch and (torch := _module("torch")):
        torch.set_num_threads(threads)


def for_workers(threads: int) -> int | None:
    """The `threads` of `lrpref.prepare`: None, its default, where there is one thread per core."""
    return None if threads == cores() else threads


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(threads: int) -> dict[str, Any]:
    """Machine, libraries and settings, as data."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "processors": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "threads": threads,
        "python": platform.python_version(),
        "lrpref": lrpref.__version__,
        "commit": _commit(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "blas": _blas(),
    }


def _processor() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return named.get("model name", platform.processor())


def _blas() -> list[str]:
    """The loaded matrix libraries, their kernels and threads; without threadpoolctl, the one NumPy was built with."""
    if pools := _module("threadpoolctl"):
        np.ones((2, 2)) @ np.ones((2, 2))
        return [
            f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '?')}), {pool['num_threads']} threads"
            for pool in pools.threadpool_info()
        ]
    built: Any = np.show_config(mode="dicts")
    blas = built["Build Dependencies"]["blas"] if isinstance(built, dict) else {}
    return [f"{blas.get('name')} {blas.get('version')}, as NumPy was built"]


def _commit() -> str | None:
    """The commit of the checkout, with + if files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(name: str) -> str | None:
    """The version of an installed library."""
    for package in (name, f"{name}-cuda12x", f"{name}-cuda13x"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _module(name: str) -> Any:
    """A module, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
