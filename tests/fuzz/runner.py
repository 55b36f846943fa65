"""Run fuzzers in several processes, bound the time and memory of every case, and count the outcomes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import Empty
from typing import Any

Case = Callable[[int, Path], Mapping[str, int]]
KEPT = 20
"""How many failures a run reports in full, at most one of each kind; all are counted."""


@dataclass(frozen=True)
class Fuzzer:
    """A fuzzer, the bounds of its cases, and what a long run must have seen.

    `case(seed, folder)` returns how often each outcome occurred. `seconds` of processor time and `mebibytes` of memory
    bound one case. `demanded` are the outcomes without which a deep run has not tested what it claims.
    """

    name: str
    case: Case
    seconds: float
    mebibytes: int
    demanded: frozenset[str] = frozenset()


@dataclass
class Tally:
    """What a run found."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    reports: dict[str, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[float, int] = (0.0, -1)

    def add(self, other: Tally) -> None:
        """Add the findings of another process."""
        self.cases += other.cases
        self.outcomes += other.outcomes
        self.failures += other.failures
        self.reports = dict(islice({**other.reports, **self.reports}.items(), KEPT))
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)

    def fail(self, seed: int, error: BaseException) -> None:
        """Count a failure; failures of one kind share the type of the error and the line that raised it."""
        frames = traceback.extract_tb(error.__traceback__)
        line = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "-"
        kind = f"{type(error).__name__} at {line}"
        self.failures[kind] += 1
        text = "".join(traceback.format_exception(error))
        self.reports.setdefault(kind, f"seed {seed}\n{text[-4000:]}")


class TooSlowError(BaseException):
    """A case spent its processor time. Not an Exception, so that no reader takes it for a damaged file."""


class TooLargeError(Exception):
    """A case took more memory than its bound."""


# ---- one case ------------------------------------------------------------------------------------------------------


def try_case(fuzzer: Fuzzer, seed: int, folder: Path, tally: Tally) -> None:
    """Run one case within its bounds, and count what came of it."""
    before, held, start = _peak(), _resident(), time.process_time()
    try:
        with _bounded(fuzzer.seconds):
            tally.outcomes.update(fuzzer.case(seed, folder))
        grown = _peak() - held if _peak() > before else 0.0
        tally.largest = max(tally.largest, (round(grown, 1), seed))
        if grown > fuzzer.mebibytes:
            raise TooLargeError(f"{grown:.0f} MiB, more than {fuzzer.mebibytes}")
    except (Exception, TooSlowError) as error:
        tally.fail(seed, error)
    tally.cases += 1
    tally.slowest = max(tally.slowest, (round(time.process_time() - start, 3), seed))


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise TooSlowError after so much processor time, which a busy machine does not change."""
    signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_slow(number: int, frame: Any) -> None:
    raise TooSlowError("the case spent its processor time")


def _peak() -> float:
    """The largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _resident() -> float:
    """The memory of this process now, in MiB; the peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _peak()
    return pages * resource.getpagesize() / 2**20


# ---- many cases ----------------------------------------------------------------------------------------------------


def run(fuzzer: Fuzzer, seed: int, processes: int, seconds: float, cases: int) -> tuple[Tally, float]:
    """Try the seeds from `seed` on until the time or the number of cases is spent; return the findings and the time."""
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    current = [context.Value("q", -1) for _ in range(processes)]
    start = time.monotonic()
    workers = [
        context.Process(target=_work, args=(fuzzer.name, range(seed + k, seed + cases, processes), seconds, queue, at))
        for k, at in enumerate(current)
    ]
    for worker in workers:
        worker.start()
    total = Tally()
    while any(worker.is_alive() for worker in workers) or not queue.empty():
        try:
            total.add(queue.get(timeout=0.2))
        except Empty:
            continue
    for worker, at in zip(workers, current, strict=True):
        worker.join()
        if worker.exitcode:
            total.fail(at.value, RuntimeError(f"the process ended with code {worker.exitcode} in seed {at.value}"))
    return total, time.monotonic() - start


def _work(name: str, seeds: range, seconds: float, queue: Any, current: Any) -> None:
    """Try seeds in one process, and report every other second."""
    fuzzer = find(name)
    with empty_folder() as folder:
        tally, started = Tally(), time.monotonic()
        reported = started
        for seed in seeds:
            current.value = seed
            try_case(fuzzer, seed, folder, tally)
            if time.monotonic() - reported > 2:
                queue.put(tally)
                tally, reported = Tally(), time.monotonic()
            if time.monotonic() - started > seconds:
                break
        queue.put(tally)


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder in memory where the system has one; every warning is an error while it exists."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="lrpref-fuzz-", dir=memory if memory.is_dir() else None))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find(name: str) -> Fuzzer:
    """A fuzzer by name, imported when it is needed."""
    from importlib import import_module

    module = import_module(f".{name}", __package__)
    fuzzer: Fuzzer = module.FUZZER
    return fuzzer
