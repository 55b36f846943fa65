"""A stand-in for CuPy on machines without a GPU: it computes with NumPy and refuses what CuPy refuses.

`python -m pytest --standin -k cupy` runs the tests of the `backend` fixture on it, unless a real CuPy is installed.

- An array becomes no NumPy array by itself and does not mix with one: TypeError.
- A reduction gives an array without axes; `bool`, `float`, `int` and printing wait for the device.
- Only the names, keywords and number types exist that the real CuPy has: `make_table.py` reads them off an installed
  wheel. The environment variable CUPY_STANDIN=13 takes those of CuPy 13.
- There are two devices, and an array of one is refused on the other.
- What `empty` returns holds NaN until it is written.

`counted()` counts launches, waits, bytes and the peak of memory; within `dry()` large passes can be counted that are
not computed. What a GPU alone shows is not imitated: rounding, the
order of sums and atomics, kernels that do not compile, streams, and indices out of bounds. That the tests pass here is
a condition for a GPU, and no proof.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ._array import ndarray as ndarray
from ._counts import counted as counted
from ._device import cuda as cuda
from ._device import pool
from ._dry import dry as dry
from ._functions import named
from ._functions import ufunc as ufunc
from ._table import VERSION

__version__ = VERSION
is_standin = True
lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=named("lib.stride_tricks.as_strided")))


def get_default_memory_pool() -> Any:
    """Return the pool, which knows what arrays hold."""
    return pool


def __getattr__(name: str) -> Any:
    return named(name)
