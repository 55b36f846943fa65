"""Threads that compute the blocks, each with its own reusable buffers.

NumPy releases the interpreter lock while it computes, so two Python threads keep two cores busy with products and with
the passes between them. BLAS must then not start threads of its own, which requires `threadpoolctl`, the extra "fast".
Without it there is one Python thread, and only its products run on several cores. On a GPU there is one worker.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from threading import Lock
from typing import Any, TypeVar

from ..arithmetic import quiet
from ..backend import Array, DType
from .store import Store

Job = TypeVar("Job")

Buffer = Any
"""An array of NumPy or CuPy, whose methods and strides the array API standard leaves out."""

BLOCK_BYTES = 3 << 20
"""The bytes of a block of gathered cells: more than a core's own cache, and less than the shared cache. In smaller
blocks NumPy's calls, for which the threads wait for each other, take longer than the memory accesses."""

GPU_BLOCK_BYTES = 1 << 28
"""The same on a GPU, which needs more work at a time."""


HEADROOM = 1 << 20
"""How far below the largest number of the dtype sums must stay. Winograd's transforms multiply by less than 2^16."""


class Scratch:
    """Buffers by name, which grow when a larger one is requested; their content is undefined."""

    def __init__(self, xp: Any, store: Store) -> None:
        self._xp, self._store = xp, store
        self._held: dict[str, Buffer] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DType) -> Buffer:
        """An array of `shape` over the buffer `name`."""
        size = prod(shape)
        held: Buffer = self._held.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            held = self._held[name] = self._store.empty(self._xp, (size,), dtype)
        return held[:size].reshape(shape)


class Workers:
    """`count` threads that divide jobs among them for one call: the caller's own, and others that live as long as it.

    The caller's thread works too. If it waited, the system would often wake the two others on one core and move one of
    them away only milliseconds later, when most steps are over.

    Attributes
    ----------
    problems : list of str
        What steps found wrong in their books; the caller warns of the first.
    """

    def __init__(self, xp: Any, count: int, store: Store) -> None:
        self._xp, self._store = xp, store
        self._scratches = [Scratch(xp, store) for _ in range(count)]
        self._others = ThreadPoolExecutor(count - 1) if count > 1 else None
        self.problems: list[str] = []
        self._peaks: list[Array] = []

    @property
    def count(self) -> int:
        """The number of threads."""
        return len(self._scratches)

    @property
    def block_bytes(self) -> int:
        """The bytes of a block of gathered cells."""
        return BLOCK_BYTES if self._xp.__name__ == "numpy" else GPU_BLOCK_BYTES

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """A new array for a result, with undefined content."""
        return self._store.empty(self._xp, shape, dtype)

    def run(self, jobs: Iterable[Job], work: Callable[[Job, Scratch], None]) -> None:
        """Call `work(job, scratch)` for every job; each free thread takes the next. The first error is raised."""
        jobs = list(jobs)
        waiting = iter(jobs)  # a list's iterator is safe to share between threads

        def take(scratch: Scratch) -> None:
            with quiet():
                for job in waiting:
                    work(job, scratch)

        own, *others = self._scratches
        started = [self._others.submit(take, scratch) for scratch in others[: len(jobs) - 1]] if self._others else []
        try:
            take(own)
        finally:
            for done in started:
                done.result()

    def watch(self, values: Array, gain: float = 1) -> None:
        """Note that sums of up to `gain` times the largest magnitude of `values` are computed."""
        if values.size:
            self._peaks.append(self._xp.maximum(self._xp.max(values), -self._xp.min(values)) * gain)

    def in_range(self) -> bool:
        """Whether no watched sum can overflow, in whichever order and form it is computed; False for NaN."""
        xp = self._xp
        return all(bool(peak < float(xp.finfo(peak.dtype).max) / HEADROOM) for peak in self._peaks)

    def close(self) -> None:
        """End the other threads."""
        if self._others is not None:
            self._others.shutdown()


@contextmanager
def at_work(xp: Any, threads: int | None, store: Store | None = None) -> Iterator[Workers]:
    """Workers for one call. If there are several, BLAS is limited to one thread each.

    Parameters
    ----------
    xp : module
        The array namespace.
    threads : int or None
        How many; None for one per core, or one where threadpoolctl is missing.
    store : Store or None
        Where their arrays come from; None for a new store.

    Yields
    ------
    Workers
    """
    control = _blas() if xp.__name__ == "numpy" and threads != 1 else None
    count = 1 if control is None else threads or _cores()
    workers = Workers(xp, count, store or Store())
    try:
        if control is None or count == 1:
            yield workers
        else:
            with _BLAS.limited(control):
                yield workers
    finally:
        workers.close()


class _SharedLimit:
    """The limit of one BLAS thread, which holds for the whole process: calls that overlap share it.

    The first call sets it, and the last one restores the number of threads that the first one found.
    """

    def __init__(self) -> None:
        self._lock, self._calls = Lock(), 0
        self._limiter: Any = None

    @contextmanager
    def limited(self, control: Any) -> Iterator[None]:
        """Limit BLAS with a controller of threadpoolctl as long as the context, or another one, lasts."""
        with self._lock:
            if self._calls == 0:
                self._limiter = control.limit(limits=1, user_api="blas")
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0:
                    self._limiter.restore_original_limits()


_BLAS = _SharedLimit()


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _blas() -> Any:
    """The controller of the BLAS threads; None where threadpoolctl is not installed."""
    try:
        return importlib.import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
