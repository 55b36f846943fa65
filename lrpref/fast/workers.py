"""Who computes the blocks: a few Python threads, each with buffers of its own that it uses again and again.

NumPy lets go of the interpreter while it computes, so two Python threads keep two cores busy with products and with
the passes between them. Then the BLAS must not start threads of its own: that takes `threadpoolctl`, the extra
"fast". Without it one Python thread works, and only its products run on several cores. On a GPU there is one worker.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from typing import Any, TypeVar

from ..backend import Array, DType

Job = TypeVar("Job")


class Scratch:
    """Buffers by name, grown when a larger one is asked for; their content is whatever was left there."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self._held: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array of `shape` over the buffer `name`."""
        size = prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            held = self._held[name] = self._xp.empty(size, dtype=dtype)
        return held[:size].reshape(shape)


class Workers:
    """`count` threads that share out jobs. Made for one call, and gone after it."""

    def __init__(self, xp: Any, count: int) -> None:
        self._scratches = [Scratch(xp) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count) if count > 1 else None

    @property
    def count(self) -> int:
        """How many work at once."""
        return len(self._scratches)

    def run(self, jobs: Iterable[Job], work: Callable[[Job, Scratch], None]) -> None:
        """`work(job, scratch)` for every job; whoever is free takes the next. The first error is raised."""
        jobs = list(jobs)
        if self._threads is None or len(jobs) < 2:
            for job in jobs:
                work(job, self._scratches[0])
            return
        waiting = iter(jobs)  # a list's iterator hands out one item at a time, also to several threads

        def take(scratch: Scratch) -> None:
            for job in waiting:
                work(job, scratch)

        for done in [self._threads.submit(take, scratch) for scratch in self._scratches]:
            done.result()

    def close(self) -> None:
        """Let the threads go."""
        if self._threads is not None:
            self._threads.shutdown()


@contextmanager
def at_work(xp: Any, threads: int | None) -> Iterator[Workers]:
    """Workers for one call, the BLAS held to one thread each while there are several.

    threads  how many; None for as many as there are cores, or one where nothing can hold the BLAS
    """
    control = _blas() if xp.__name__ == "numpy" and threads != 1 else None
    count = 1 if control is None else threads or _cores()
    workers = Workers(xp, count)
    try:
        if control is None or count == 1:
            yield workers
        else:
            with control.limit(limits=1, user_api="blas"):
                yield workers
    finally:
        workers.close()


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _blas() -> Any:
    """What can hold the BLAS to a number of threads; None where threadpoolctl is not installed."""
    try:
        return importlib.import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
