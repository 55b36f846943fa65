"""The arrays of a planned pass, whose places are used again once nothing refers to them.

A pass is planned before it runs, so it is known which arrays are alive at each of its steps. New memory is expensive:
the system provides it page by page and clears each page first. A plan that is kept for the next call keeps its memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..backend import DType, device_memory, memory_of

Buffer = Any
"""An array of NumPy or CuPy, whose methods and strides the array API standard leaves out."""

Border = tuple[int, int, int, int]
"""The cells around an image: above, below, left and right."""

NO_BORDER: Border = (0, 0, 0, 0)


class Image(NamedTuple):
    """An image (N, H, W, C) and a border of zeros around it."""

    whole: Buffer
    border: Border = NO_BORDER

    @property
    def cells(self) -> Buffer:
        """The image without its border."""
        return self.within(NO_BORDER)

    def within(self, border: Border) -> Buffer:
        """The image with a border that is at most as wide as its own."""
        first = [own - wanted for own, wanted in zip(self.border, border, strict=True)]
        _, H, W, _ = self.whole.shape
        return self.whole[:, first[0] : H - first[1], first[2] : W - first[3]]

    def has(self, border: Border) -> bool:
        """Whether its border is at least as wide."""
        return all(own >= wanted for own, wanted in zip(self.border, border, strict=True))


class Place(NamedTuple):
    """A piece of memory, and what it may be used for again: any array of its dtype, or images of one border only."""

    memory: Buffer
    use: Any


class Memory:
    """Allocates the arrays of one plan; their content is undefined.

    An array that is not held when `settle` is called is temporary: its place is used again. One that is held keeps it
    until it is released.

    Parameters
    ----------
    xp : module
        The array namespace, NumPy or CuPy.

    Attributes
    ----------
    nbytes : int
        The size of everything that was allocated.
    available, total : int or None
        The bytes of a GPU, those that were free before anything was allocated and all; None on the CPU.
    """

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.nbytes = 0
        memory = device_memory(xp)
        self.available = None if memory is None else memory[0]
        self.total = None if memory is None else memory[1]
        self._free: dict[Any, list[Buffer]] = defaultdict(list)
        self._used: dict[int, Place] = {}
        self._holders: dict[int, int] = {}
        self._unsettled: list[int] = []

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Buffer:
        """An array of this shape, in the smallest free place that is large enough, or in a new one."""
        size, use = prod(shape), np.dtype(dtype)
        free = self._free[use]
        fitting = [k for k, memory in enumerate(free) if size <= memory.size <= MOST_WASTE * size]
        best = min(fitting, key=lambda k: free[k].size, default=None)
        memory = self._new(self.xp.empty(size, dtype=dtype)) if best is None else free.pop(best)
        return self._taken(memory, use)[:size].reshape(shape)

    def image(self, shape: tuple[int, ...], dtype: DType, border: Border = NO_BORDER) -> Image:
        """An image (N, H, W, C) within a border of zeros, which no call of the plan writes to."""
        if not any(border):
            return Image(self.empty(shape, dtype))
        (top, bottom, left, right), (N, H, W, C) = border, shape
        size = (N, top + H + bottom, left + W + right, C)
        use = (np.dtype(dtype), size, border)
        free = self._free[use]
        memory = free.pop() if free else self._new(self.xp.zeros(size, dtype=dtype))
        return Image(self._taken(memory, use), border)

    def _new(self, memory: Buffer) -> Buffer:
        self.nbytes += memory.nbytes
        return memory

    def _taken(self, memory: Buffer, use: Any) -> Buffer:
        key, _ = memory_of(memory)
        self._used[key] = Place(memory, use)
        self._holders[key] = 0
        self._unsettled.append(key)
        return memory

    def free(self, array: Buffer) -> None:
        """Give the place of an array free for later arrays."""
        memory, use = self._used.pop(memory_of(array)[0])
        self._free[use].append(memory)

    def hold(self, thing: Any) -> None:
        """Keep the places of the arrays, or views, in nested tuples until they are released as often as held."""
        for key in self._own(thing):
            self._holders[key] += 1

    def release(self, thing: Any) -> None:
        """Take back one `hold` of the same arrays; a place that nothing holds any more is given free."""
        for key in self._own(thing):
            self._holders[key] -= 1
            if self._holders[key] == 0:
                self.free(self._used[key].memory)

    def settle(self) -> None:
        """Give the places free of the arrays that were allocated since the last time and that nothing holds."""
        for key in self._unsettled:
            if key in self._used and self._holders[key] == 0:
                self.free(self._used[key].memory)
        self._unsettled.clear()

    def _own(self, thing: Any) -> Iterator[int]:
        """The places of the arrays in nested tuples that lie in this memory."""
        for part in thing if isinstance(thing, tuple) else (thing,):
            if isinstance(part, tuple):
                yield from self._own(part)
            elif isinstance(part, self.xp.ndarray) and (key := memory_of(part)[0]) in self._used:
                yield key


MOST_WASTE = 4
"""How many times larger than an array a place may be that it takes: larger ones are left for larger arrays."""
