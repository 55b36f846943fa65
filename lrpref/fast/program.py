"""A pass as a list of calls, recorded once for inputs of one shape and run as often as wanted.

    for lane, block in program.share(blocks):             # what several threads may do at the same time
        lane(xp.add, a[block], b[block], out=y[block])    # records the call, with views of fixed arrays

Recording fixes everything that does not depend on the numbers: the blocks, the views of arrays, the buffers, and which
thread makes a call. A pass through a small network takes as long as these decisions would, so they are made once.

NumPy releases the interpreter lock while it computes, so two Python threads keep two cores busy with products and with
the passes between them. BLAS must then not start threads of its own (`lrpref.fast.threads`). On a GPU there is one
lane, and the calls are launches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, TypeVar

from ..arithmetic import quiet
from ..backend import Array, DType
from .memory import Buffer, Memory

Call = Callable[[], object]
Stage = list[list[Call]]
"""What may run at the same time: the calls of every lane that has any."""

Job = TypeVar("Job")


class Lane:
    """The calls that one thread makes in a stage, and its buffers.

    Parameters
    ----------
    memory : Memory
        Where its buffers come from.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._buffers: dict[str, Buffer] = {}
        self._outgrown: list[Buffer] = []
        self.calls: list[Call] = []

    def __call__(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Record a call."""
        self.calls.append(partial(function, *args, **kwargs))

    def buffer(self, name: str, shape: tuple[int, ...], dtype: DType) -> Buffer:
        """An array with undefined content; the lane's earlier arrays of this name may lie in the same place."""
        held, size = self._buffers.get(name), prod(shape)
        if held is None or held.size < size or held.dtype != dtype:
            if held is not None:  # not free yet: earlier calls of this lane use it while the other lanes run
                self._outgrown.append(held)
            held = self._buffers[name] = self._memory.empty((size,), dtype)
        return held[:size].reshape(shape)

    def close(self) -> None:
        """Give the buffers free for the next stage."""
        for held in (*self._buffers.values(), *self._outgrown):
            self._memory.free(held)


class Program:
    """Calls in stages: those of a stage start when all of the stage before it have ended.

    Parameters
    ----------
    memory : Memory
        Where arrays come from.
    threads : int
        The number of lanes.
    shapes : mapping
        Node or input -> the shape of its value, as the user knows it.

    Attributes
    ----------
    problems : list of str
        Violations of conservation that the last run found in layers and rules of the user's own.
    """

    def __init__(self, memory: Memory, threads: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.memory, self.threads, self.shapes = memory, threads, shapes
        self.problems: list[str] = []
        self._stages: list[Stage] = []
        self._peaks: list[tuple[Buffer, float]] = []

    def do(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Record a call that is made alone."""
        self._stages.append([[partial(function, *args, **kwargs)]])

    def share(self, jobs: Iterable[Job]) -> Iterator[tuple[Lane, Job]]:
        """A stage: yield each job with the lane that its calls are recorded in, in turns."""
        lanes = [Lane(self.memory) for _ in range(self.threads)]
        for k, job in enumerate(jobs):
            yield lanes[k % len(lanes)], job
        self._stages.append([lane.calls for lane in lanes if lane.calls])
        for lane in lanes:
            lane.close()

    def taken(self) -> list[Stage]:
        """The stages recorded since the last time; those with one lane are joined."""
        stages, self._stages = self._stages, []
        joined: list[Stage] = []
        for stage in stages:
            if joined and len(joined[-1]) == len(stage) == 1:
                joined[-1][0].extend(stage[0])
            else:
                joined.append(stage)
        return joined

    def watch(self, values: Buffer, gain: float = 1, nonnegative: bool = False) -> None:
        """Note that sums of up to `gain` times the largest magnitude of `values` are computed."""
        if not values.size:
            return
        for reduce in [values.max] if nonnegative else [values.max, values.min]:
            self.do(reduce, out=self.peak(values.dtype, gain))

    def peak(self, dtype: DType, gain: float = 1) -> Buffer:
        """An array of one number, to be written by a call, which `in_range` compares; NaN says that it is not."""
        peak = self.memory.xp.empty((), dtype=dtype)
        self._peaks.append((peak, gain))
        return peak

    def in_range(self) -> list[Array]:
        """Whether no watched sum of the last run can overflow, in whichever order it is computed; False for NaN.

        One array without axes, or none if no sum is watched.
        """
        if not self._peaks:
            return []
        xp, (peaks, gains) = self.memory.xp, zip(*self._peaks, strict=True)
        largest = xp.stack(peaks)
        with quiet():
            sums = abs(largest) * xp.asarray(gains, dtype=largest.dtype)
            return [xp.all(sums < xp.finfo(largest.dtype).max / HEADROOM)]


HEADROOM = 1 << 20
"""How far below the largest number of the dtype sums must stay. Winograd's transforms multiply by less than 2^16."""


def run(stages: Sequence[Stage], start: Callable[..., Any] | None) -> None:
    """Make the calls; `start` runs a function in another thread and returns a future. The first error is raised.

    The calling thread works too. If it waited, the system would often wake the others on one core, and move one of them
    away only milliseconds later, when most stages are over.
    """
    for own, *others in filter(None, stages):
        if start is None:
            own, others = [call for calls in (own, *others) for call in calls], []
        running = [start(_make, calls) for calls in others] if start else []
        try:
            for call in own:
                call()
        finally:
            for future in running:
                future.result()


def _make(calls: Sequence[Call]) -> None:
    """Make the calls of one lane, in a thread of its own."""
    with quiet():
        for call in calls:
            call()
