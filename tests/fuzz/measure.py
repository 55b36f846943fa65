"""What docs/trust.md says about memory and bits, measured: `python -m tests.fuzz.measure`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lrpref

from .page import update
from .runner import _resident

NETWORKS = {"mnist-mlp": "digit-4", "mnist-cnn-bn": "digit-4", "resnet20": "chelsea"}
BATCHES = (1, 2, 7, 32)


def main() -> None:
    """Measure, and update docs/trust.json and docs/trust.md."""
    if sys.argv[1:]:
        print(*digests(), sep="\n")
        return
    update("measures", {"memory": memory(), "bits": bits()})


# ---- memory ----------------------------------------------------------------------------------------------------------


def memory(times: int = 5000) -> dict[str, Any]:
    """The memory of this process, in MiB, after the first 500 and after all explanations of a network."""
    net, x = lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4")
    ways: dict[str, Callable[[], Any]] = {
        "explain": lambda: lrpref.explain(net, x),
        "trace": lambda: lrpref.trace(net, x),
    }
    found = {}
    for name, explain in ways.items():
        early = 0.0
        for k in range(times):
            explain()
            early = _resident() if k == times // 10 else early
        found[name] = {"explanations": times, "early": round(early, 1), "end": round(_resident(), 1)}
    return found


# ---- bits ------------------------------------------------------------------------------------------------------------


def cases() -> Iterator[tuple[str, lrpref.Network, np.ndarray]]:
    """Each network in both precisions, with a batch of its sample under growing noise."""
    for name, sample in NETWORKS.items():
        net, x = lrpref.fuse(lrpref.load(name)), lrpref.samples.load(sample, _shape(sample))
        noise = np.random.default_rng(0).normal(size=(max(BATCHES), *x.shape[1:]))
        batch = np.clip(x + 0.02 * noise * np.arange(max(BATCHES)).reshape(-1, 1, 1, 1), 0, 1)
        for dtype in (np.float32, np.float64):
            yield f"{name}, {np.dtype(dtype)}", net.astype(dtype), batch.astype(dtype)


def _shape(sample: str) -> tuple[int, ...]:
    return (1, 28, 28) if sample.startswith("digit") else (3, 32, 32)


def explained(net: lrpref.Network, x: np.ndarray, engine: str, threads: int = 1) -> np.ndarray:
    """Relevance by the plain walk or by the prepared engine."""
    if engine == "plain":
        return np.asarray(lrpref.explain(net, x, form="plain"))
    return np.asarray(lrpref.prepare(net, threads=threads).explain(x))


def digests() -> list[str]:
    """A checksum of every map."""
    return [
        hashlib.sha256(explained(net, x, engine).tobytes()).hexdigest()
        for _, net, x in cases()
        for engine in ("plain", "prepared")
    ]


def bits() -> dict[str, Any]:
    """The largest difference, relative to the largest value of a map, that each change of circumstances makes."""
    runs = [_elsewhere() for _ in range(3)]
    found: dict[str, Any] = {"runs": f"{sum(run == runs[0] for run in runs)} of {len(runs)}"}
    for name, net, x in cases():
        for engine in ("plain", "prepared"):
            whole = explained(net, x, engine)
            parts = {n: _in_batches(net, x, engine, n) for n in BATCHES[:-1]}
            changes = {f"batches of {n}": _difference(whole, part) for n, part in parts.items()}
            if engine == "prepared":
                changes |= {f"{n} threads": _difference(whole, explained(net, x, engine, n)) for n in (2, 4)}
            found[f"{name}, {engine}"] = changes
    return found


def _elsewhere() -> list[str]:
    """The checksums that a new process computes."""
    command = [sys.executable, "-m", "tests.fuzz.measure", "digests"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    return done.stdout.split()


def _in_batches(net: lrpref.Network, x: np.ndarray, engine: str, n: int) -> np.ndarray:
    """The same targets, n samples at a time."""
    return np.concatenate([explained(net, x[i : i + n], engine) for i in range(0, len(x), n)])


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(f"{np.max(abs(a.astype(np.float64) - b)) / np.max(abs(a)):.1e}")


if __name__ == "__main__":
    main()
