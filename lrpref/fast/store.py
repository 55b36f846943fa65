"""Memory that is used again from call to call.

Memory that is new to a process comes from the system page by page, each cleared first. In a network of many small
layers that takes a tenth of the time of an explanation, so a prepared network keeps what its calls have let go of.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from math import prod
from threading import RLock
from typing import Any

import numpy as np

from ..backend import Array, DType

SIZES = range(1 << 16, (1 << 24) + 1)
"""The sizes in bytes that are worth keeping: smaller ones the allocator has at hand, larger ones would be most of the
memory that a large batch takes."""

MOST_KEPT = 1 << 28
"""The bytes that a store keeps at most, besides what is in use."""


class Store:
    """Arrays whose memory comes back when nobody holds them, or a part of them, any more.

    For NumPy alone: CuPy has such a store of its own. A copy, or one sent to another process, begins empty.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[Array]] = defaultdict(list)
        self._kept = 0
        self._lock = RLock()  # an array may be let go of by any thread, and in the middle of what is done here

    @property
    def nbytes(self) -> int:
        """The bytes that are kept and in nobody's use."""
        return self._kept

    def empty(self, xp: Any, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array whose content is whatever was left there."""
        size = prod(shape) * np.dtype(dtype).itemsize if xp is np else 0
        if size not in SIZES:
            return xp.empty(shape, dtype=dtype)
        memory = self._taken(size)
        # seen through a buffer, so that every view of the array holds the array, and not the memory behind it
        array = np.frombuffer(memoryview(memory), dtype=dtype).reshape(shape)
        weakref.finalize(array.base, self._back, memory).atexit = False
        return array

    def _taken(self, size: int) -> Array:
        """Memory of this size, kept or new."""
        with self._lock:
            if self._free[size]:
                self._kept -= size
                return self._free[size].pop()
        return np.empty(size, dtype=np.uint8)

    def _back(self, memory: Array) -> None:
        """Keep it, if there is room."""
        with self._lock:
            if self._kept + memory.nbytes <= MOST_KEPT:
                self._free[memory.nbytes].append(memory)
                self._kept += memory.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Nothing but the fact that there is one."""
        return (Store, ())
