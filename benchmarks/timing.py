"""Comparable times: every round runs all contestants, one after the other, and ratios are taken within rounds.

The speed of a machine drifts, for all contestants alike: times measured minutes apart cannot be compared, but ratios
within one round can. Each round starts with a different contestant, so the order favours none.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

Run = Callable[[], object]

LEAST_SECONDS = 0.05
"""Seconds; shorter calls are repeated until they take this long in total."""

MOST_REPEATS = 200


@dataclass(frozen=True)
class Spread:
    """A median with the smallest and the largest value.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0)
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some numbers."""
        return cls(median(values), min(values), max(values))


def paired(
    runs: Mapping[str, Run],
    rounds: int,
    synchronize: Run | None = None,
    done: Callable[[], object] | None = None,
) -> dict[str, list[float]]:
    """The seconds that one call of each run takes, in every round.

    `synchronize` waits for a device to finish; None if calls are synchronous. `done` is called after every
    measurement.
    """
    repeats = {}
    for name, run in runs.items():
        warm = seconds(run, 1, synchronize)  # the first call is not counted
        repeats[name] = max(1, min(MOST_REPEATS, ceil(LEAST_SECONDS / max(warm, 1e-9))))
    found: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for i in range(rounds):
        start = i % len(names)
        for name in names[start:] + names[:start]:
            found[name].append(seconds(runs[name], repeats[name], synchronize))
            if done is not None:
                done()
    return found


def seconds(run: Run, repeats: int = 1, synchronize: Run | None = None) -> float:
    """The seconds of a call, averaged over `repeats` calls."""
    gc.collect()
    wait = synchronize or (lambda: None)
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    wait()
    return (time.perf_counter() - start) / repeats


def ratio(a: Sequence[float], b: Sequence[float]) -> Spread:
    """The ratio of the times `a` to the times `b`, round by round.

    >>> ratio([4.0, 6.0, 9.0], [2.0, 2.0, 3.0])
    Spread(median=3.0, low=2.0, high=3.0)
    """
    return Spread.of([x / y for x, y in zip(a, b, strict=True)])
