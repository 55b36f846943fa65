"""Dry runs: everything is asked for and counted, and nothing is computed."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

_on = [False]

NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Linux then promises memory that it does not have, which is all right as long as nobody writes to it."""


@contextmanager
def dry() -> Iterator[None]:
    """Within the block arrays are allocated, but not written; what depends on their content takes it for zeros.

    So the launches of a pass can be counted that needs a hundred GiB and hours of a CPU. Arrays from before the block
    keep their content unless they are written to.
    """
    before, _on[0] = _on[0], True
    try:
        yield
    finally:
        _on[0] = before


def is_dry() -> bool:
    """Whether nothing is computed now."""
    return _on[0]


def reserved(shape: Any, dtype: Any, order: Any = "C") -> np.ndarray:
    """An array of zeros that takes addresses and no memory."""
    shape, dtype = (shape,) if np.ndim(shape) == 0 else tuple(shape), np.dtype(dtype)
    size = max(1, prod(shape) * dtype.itemsize)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
    return np.ndarray(shape, dtype, memory, order="F" if order == "F" else "C")


def zeros_like(host: np.ndarray) -> np.ndarray:
    """One zero, seen as an array of that shape."""
    return np.broadcast_to(np.zeros((), host.dtype), host.shape)
