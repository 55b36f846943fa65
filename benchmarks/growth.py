"""How time and memory grow with one size at a time: the slope in a log-log plot is the exponent.

The network is a column of 3 x 3 convolutions with a ReLU after each, a mean over the image and one Dense layer; its
work is batch x rows x columns x depth x width^2. A slope of 1 is linear growth, 2 quadratic.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lrpref import Conv2D, Dense, Flatten, GlobalAvgPool2D, Network, ReLU
from lrpref.composites import Composite

from .ours import FORMS, several_targets
from .timing import Spread, paired

CLASSES = 64


def column(depth: int, width: int) -> Network:
    """`depth` convolutions of `width` channels on images of 3 channels; random weights of variance 2 / fan-in."""
    rng, layers, channels = np.random.default_rng(0), [], 3
    for _ in range(depth):
        weight = rng.standard_normal((width, channels, 3, 3), dtype=np.float32) * np.float32(
            (2 / (9 * channels)) ** 0.5
        )
        layers += [Conv2D(weight, padding=1), ReLU()]
        channels = width
    head = rng.standard_normal((CLASSES, width), dtype=np.float32) * np.float32((2 / width) ** 0.5)
    return Network.sequential(*layers, GlobalAvgPool2D(), Flatten(), Dense(head))


BASE = {"batch": 4, "image size": 32, "depth": 8, "width": 32, "targets": 1}
STEPS: dict[str, Sequence[int]] = {
    "batch": (4, 8, 16, 32),
    "image size": (32, 48, 64, 96),
    "depth": (4, 8, 16, 32),
    "width": (32, 64, 96, 128),
    "targets": (4, 8, 16, 32),
}
QUICK_BASE = {"batch": 1, "image size": 8, "depth": 2, "width": 4, "targets": 1}
QUICK_STEPS: dict[str, Sequence[int]] = {what: (8, 12) if what == "image size" else (2, 4) for what in STEPS}


def measure(
    rule: Composite,
    rounds: int,
    quick: bool = False,
    threads: int | None = None,
    done: Callable[[], object] | None = None,
) -> Iterator[dict[str, Any]]:
    """For each form and each growing size: sizes, seconds, peak MiB, and both slopes."""
    base, steps = (QUICK_BASE, QUICK_STEPS) if quick else (BASE, STEPS)
    for form in FORMS:
        for what, sizes in steps.items():
            runs = {str(size): _run(form, {**base, what: size}, rule, threads) for size in sizes}
            seconds = [Spread.of(times).median for times in paired(runs, rounds, done=done).values()]
            peaks = [peak_mib(_run(form, {**base, what: size}, rule, threads)) for size in sizes]
            yield {
                "form": form, "grows": what, "sizes": list(sizes), "seconds": seconds, "peak_mib": peaks,
                "time_slope": slope(sizes, seconds), "memory_slope": slope(sizes, peaks),
            }  # fmt: skip


def _run(form: str, size: dict[str, int], rule: Composite, threads: int | None) -> Callable[[], Any]:
    """An explanation of that size, ready to be timed."""
    image = (3, size["image size"], size["image size"])
    prepared = FORMS[form](column(size["depth"], size["width"]), rule, image, threads)
    x = np.random.default_rng(1).standard_normal((size["batch"], *image), dtype=np.float32)
    if (targets := size["targets"]) > 1:
        return lambda: several_targets(prepared, x[:1], targets)
    return lambda: prepared.explain(x, 0, "one")


def peak_mib(run: Callable[[], Any]) -> float:
    """The peak of the memory that a call allocates, as Python's tracemalloc counts it.

    Measure a first call: a prepared network keeps memory for reuse.
    """
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent of growth: the slope of a least-squares fit to the logarithms.

    >>> round(slope([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
