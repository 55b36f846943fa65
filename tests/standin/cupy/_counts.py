"""What a GPU would have been asked to do: kernels to launch, values to wait for, bytes to move and to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

UNIT = 512
"""CuPy's memory pool hands out multiples of so many bytes."""


@dataclass
class Counts:
    """What was asked for since the counting began.

    launches, launches_by     kernels and copies within the device, and how many of each function
    moved                     bytes that these read and write in the device's memory, each of an array once
    operations                multiplications and additions of products of matrices
    waits, waits_by           how often the host waited for the device, and for which function's result
    to_device, to_host        bytes that crossed
    held, peak                bytes that arrays hold now, and the most that they held, those from before included
    """

    held: int = 0
    peak: int = 0
    launches: int = 0
    moved: int = 0
    operations: int = 0
    waits: int = 0
    to_device: int = 0
    to_host: int = 0
    launches_by: Counter[str] = field(default_factory=Counter)
    waits_by: Counter[str] = field(default_factory=Counter)


_counting: list[Counts] = [Counts()]


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what the block asks for; blocks may be nested."""
    counts = Counts(held=held(), peak=held())
    _counting.append(counts)
    try:
        yield counts
    finally:
        _counting[:] = [each for each in _counting if each is not counts]


def held() -> int:
    """The bytes that arrays hold now."""
    return _counting[0].held


def peak() -> int:
    """The most bytes that arrays have held."""
    return _counting[0].peak


def forget_peak() -> None:
    """What is free no longer counts as held, as after giving it back to the device."""
    _counting[0].peak = _counting[0].held


def launch(name: str, times: int = 1, moved: int = 0, operations: int = 0) -> None:
    """Note kernels, or copies within the device."""
    for counts in _counting:
        counts.launches += times
        counts.launches_by[name] += times
        counts.moved += moved
        counts.operations += operations


def wait(name: str, nbytes: int = 0) -> None:
    """Note that the host waits for the device, and for how many bytes."""
    for counts in _counting:
        counts.waits += 1
        counts.waits_by[name] += 1
        counts.to_host += nbytes


def send(nbytes: int) -> None:
    """Note bytes that go to the device."""
    for counts in _counting:
        counts.to_device += nbytes


class Block:
    """Memory of one device, which is given back when nothing refers to it; `known` unless a dry run wrote to it."""

    def __init__(self, nbytes: int, device: int, known: bool = True) -> None:
        self.nbytes, self.device, self.known = nbytes, device, known
        self.size = -(-nbytes // UNIT) * UNIT
        self._take(self.size)

    def __del__(self) -> None:
        self._take(-self.size)

    def _take(self, nbytes: int) -> None:
        for counts in _counting:
            counts.held += nbytes
            counts.peak = max(counts.peak, counts.held)
