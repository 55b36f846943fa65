"""The threads of a call, and the limit on those of BLAS.

BLAS would start threads of its own inside ours, so it is limited to one as long as a call with several lanes lasts.
This needs `threadpoolctl`, the extra "fast". Without it there is one lane, and its products run on several cores.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any


def lanes(xp: Any, threads: int | None) -> int:
    """The number of lanes on a backend, for the number of threads that was asked for; None for one per core."""
    if xp.__name__ != "numpy" or threads == 1 or _blas() is None:
        return 1
    return threads or _cores()


@contextmanager
def pool(count: int) -> Iterator[Callable[..., Any] | None]:
    """Threads for `count` lanes, the caller's among them, with BLAS limited to one thread.

    Yields
    ------
    callable or None
        Starts a function in one of the other threads and returns its future; None for one lane.
    """
    control = _blas() if count > 1 else None
    if control is None:
        yield None
        return
    with _BLAS.limited(control), ThreadPoolExecutor(count - 1) as others:
        yield others.submit


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


@cache
def _blas() -> Any:
    """The controller of the BLAS threads; None where threadpoolctl is not installed. Looking for them takes long."""
    try:
        return importlib.import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
