"""What CuPy's calls cost on a card: launches, waits, gathers and products, which `benchmarks.modelled` assumes."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .device import wait


def microseconds(run: Callable[[], object], calls: int) -> tuple[float, float]:
    """The microseconds of one call: until the host goes on, and until the device is done."""
    run()
    wait()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    asked = time.perf_counter()
    wait()
    done = time.perf_counter()
    return (asked - start) / calls * 1e6, (done - start) / calls * 1e6


def costs(quick: bool = False) -> list[dict[str, Any]]:
    """Calls on small arrays by their time, and on large ones by their rate."""
    return [*_calls(20 if quick else 500), *_rates(64 if quick else 1, 3 if quick else 20)]


def _calls(calls: int) -> list[dict[str, Any]]:
    """Small arrays: what the host spends for a call, and the time until the device is done."""
    cupy = import_module("cupy")
    x, square = cupy.ones(1024, dtype="float32"), cupy.ones((32, 32), dtype="float32")
    out = cupy.empty((32, 32), dtype="float32")
    runs: dict[str, Callable[[], object]] = {
        "view: a slice": lambda: x[1:],
        "launch: add in place": lambda: cupy.add(x, 1, out=x),
        "launch: clip": lambda: x.clip(0, 1, out=x),
        "launch: where": lambda: cupy.where(x > 0, x, x),
        "launch: sum": lambda: x.sum(),
        "launch: product of 32 x 32": lambda: cupy.matmul(square, square, out=out),
        "wait: float of one number": lambda: float(x[0]),
        "wait: all finite": lambda: bool(cupy.all(cupy.isfinite(x))),
    }
    return [dict(zip(("what", "host_us", "done_us"), (name, *microseconds(run, calls)), strict=True))
            for name, run in runs.items()]  # fmt: skip


def _rates(part: int, calls: int) -> list[dict[str, Any]]:
    """Large arrays: the rate at which bytes are moved or operations made; `part` divides their sizes."""
    cupy = import_module("cupy")
    big, images = cupy.ones((1 << 28) // part, dtype="float32"), cupy.ones((8, 226, 226, 64 // part), dtype="float32")
    patches = cupy.empty((8, 224, 224, 3, 3, 64 // part), dtype="float32")
    n, row, column, channel = images.strides
    under = cupy.lib.stride_tricks.as_strided(images, patches.shape, (n, row, column, row, column, channel))
    side = 8192 // part
    a32, a64 = cupy.ones((side, side), dtype="float32"), cupy.ones((side, side), dtype="float64")
    V, U = (cupy.ones((16, k, rows // part, 256), dtype="float32") for k, rows in ((1, 4096), (2, 256 * part)))
    M = cupy.empty((16, 2, 4096 // part, 256), dtype="float32")
    runs: dict[str, tuple[Callable[[], object], float, str]] = {
        "add in place": (lambda: cupy.add(big, 1, out=big), 2 * big.nbytes / 1e9, "GB/s"),
        "copy": (lambda: cupy.copyto(patches, patches[::-1]), 2 * patches.nbytes / 1e9, "GB/s"),
        "gather under 3 x 3, written": (lambda: cupy.copyto(patches, under), patches.nbytes / 1e9, "GB/s"),
        "sum over channels": (lambda: patches.sum(axis=-1), patches.nbytes / 1e9, "GB/s"),
        f"product of {side} x {side}, float32": (lambda: a32 @ a32, 2 * side**3 / 1e12, "TFLOP/s"),
        f"product of {side} x {side}, float64": (lambda: a64 @ a64, 2 * side**3 / 1e12, "TFLOP/s"),
        "Winograd's batch of products": (lambda: cupy.matmul(V, U, out=M), 2 * M.size * 256 / 1e12, "TFLOP/s"),
    }
    rows = []
    for name, (run, amount, unit) in runs.items():
        _, done = microseconds(run, calls)
        rows.append({"what": name, "rate": amount / done * 1e6, "unit": unit})
    return rows
