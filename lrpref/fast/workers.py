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
from .store import Store

Job = TypeVar("Job")

BLOCK_BYTES = 3 << 20
"""How much a block of gathered cells may take. It is more than a core's own cache holds, and less than all share: in
smaller blocks the calls of NumPy, for which the threads wait for each other, take longer than the memory."""

GPU_BLOCK_BYTES = 1 << 28
"""The same on a GPU, whose cores want much to do at once."""


class Scratch:
    """Buffers by name, grown when a larger one is asked for; their content is whatever was left there."""

    def __init__(self, xp: Any, store: Store) -> None:
        self._xp, self._store = xp, store
        self._held: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array of `shape` over the buffer `name`."""
        size = prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            held = self._held[name] = self._store.empty(self._xp, (size,), dtype)
        return held[:size].reshape(shape)


class Workers:
    """`count` threads that share out jobs: the caller's own, and others made for one call and gone after it.

    The caller's works too, and not for its own sake alone: were it to wait, the system would often wake both of the
    others on one core, and move one of them away only milliseconds later, when most steps are over.
    """

    def __init__(self, xp: Any, count: int, store: Store) -> None:
        self._xp, self._store = xp, store
        self._scratches = [Scratch(xp, store) for _ in range(count)]
        self._others = ThreadPoolExecutor(count - 1) if count > 1 else None

    @property
    def count(self) -> int:
        """How many work at once."""
        return len(self._scratches)

    @property
    def block_bytes(self) -> int:
        """How much a block of gathered cells may take."""
        return BLOCK_BYTES if self._xp.__name__ == "numpy" else GPU_BLOCK_BYTES

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """A new array for a result; its content is whatever was left there."""
        return self._store.empty(self._xp, shape, dtype)

    def run(self, jobs: Iterable[Job], work: Callable[[Job, Scratch], None]) -> None:
        """`work(job, scratch)` for every job; whoever is free takes the next. The first error is raised."""
        jobs = list(jobs)
        waiting = iter(jobs)  # a list's iterator hands out one item at a time, also to several threads

        def take(scratch: Scratch) -> None:
            for job in waiting:
                work(job, scratch)

        own, *others = self._scratches
        asked = [self._others.submit(take, scratch) for scratch in others[: len(jobs) - 1]] if self._others else []
        try:
            take(own)
        finally:
            for done in asked:
                done.result()

    def close(self) -> None:
        """Let the threads go."""
        if self._others is not None:
            self._others.shutdown()


@contextmanager
def at_work(xp: Any, threads: int | None, store: Store | None = None) -> Iterator[Workers]:
    """Workers for one call, the BLAS held to one thread each while there are several.

    threads  how many; None for as many as there are cores, or one where nothing can hold the BLAS
    store    where their arrays come from; None for a new one
    """
    control = _blas() if xp.__name__ == "numpy" and threads != 1 else None
    count = 1 if control is None else threads or _cores()
    workers = Workers(xp, count, store or Store())
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
