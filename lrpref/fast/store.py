"""Memory that is reused from call to call.

The system provides new memory page by page and clears each page first. In a network of many small layers that takes a
tenth of the time of an explanation, so a prepared network keeps the memory that its calls have released.
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
"""The sizes in bytes that are worth keeping: the allocator reuses smaller arrays itself, and larger ones would be most
of the memory of a large batch."""

MOST_KEPT = 1 << 28
"""The largest number of bytes that a store keeps, besides those in use."""


class Store:
    """Arrays whose memory returns to the store when no reference to them, or to a view of them, is left.

    For NumPy only: CuPy has its own memory pool. A copied or unpickled store is empty.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[np.ndarray]] = defaultdict(list)
        self._kept = 0
        self._lock = RLock()  # any thread may release an array, also in the middle of a method below

    @property
    def nbytes(self) -> int:
        """The bytes that are kept and not in use."""
        return self._kept

    def empty(self, xp: Any, shape: tuple[int, ...], dtype: DType) -> Array:
        """An array with undefined content."""
        size = prod(shape) * np.dtype(dtype).itemsize if xp is np else 0
        if size not in SIZES:
            return xp.empty(shape, dtype=dtype)
        memory = self._taken(size)
        # through a buffer, so that every view refers to this array, and not to the memory behind it
        array: np.ndarray = np.frombuffer(memory.data, dtype=dtype).reshape(shape)
        weakref.finalize(array.base, self._back, memory).atexit = False
        return array

    def _taken(self, size: int) -> np.ndarray:
        """Memory of this size, kept or new."""
        with self._lock:
            if self._free[size]:
                self._kept -= size
                return self._free[size].pop()
        return np.empty(size, dtype=np.uint8)

    def _back(self, memory: np.ndarray) -> None:
        """Keep it, if there is room."""
        with self._lock:
            if self._kept + memory.nbytes <= MOST_KEPT:
                self._free[memory.nbytes].append(memory)
                self._kept += memory.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the store without its memory."""
        return (Store, ())
