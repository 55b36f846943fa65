"""How fast a GPU would be, by a model: `PYTHONPATH=tests/standin python -m benchmarks.modelled`.

    milliseconds = launches x cost of a launch + waits x cost of a wait + bytes / bandwidth + operations / rate

What is launched, waited for, moved and multiplied is counted in a dry run of CuPy's stand-in (`tests/standin`), which
computes nothing. The costs are assumed, for one NVIDIA H200; `python -m benchmarks.gpu` measures them where there is a
GPU. The model knows no overlap of host and device, no caches and no idle cores, so it is good to a factor of two.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import lrpref
from lrpref.fast import FORMS

from . import report
from .__main__ import among, numbers
from .peers import COMPOSITES
from .subjects import SUBJECTS


@dataclass(frozen=True)
class Costs:
    """What the model assumes of a card and of CuPy.

    Parameters
    ----------
    launch : float
        Microseconds of a call of CuPy. CuPy's developers measured 11 microseconds of the host for a ufunc in 2020
        (github.com/cupy/cupy, pull request 3298), before they made it faster.
    wait : float
        Microseconds for which nothing is asked of the device while the host waits for a value. A guess.
    bandwidth : float
        Bytes in a second: five sixths of the 4.8 TB/s that tables of the H200 give.
    rate : float
        Operations in a second of products in float32 without TF32: two thirds of the 67 TFLOP/s that they give.
    """

    launch: float = 8.0
    wait: float = 20.0
    bandwidth: float = 4.0e12
    rate: float = 45e12

    def milliseconds(self, counts: Any) -> float:
        """The time of what was counted.

        >>> from types import SimpleNamespace
        >>> Costs().milliseconds(SimpleNamespace(launches=100, waits=1, moved=4_000_000_000, operations=0))
        1.82
        """
        host = counts.launches * self.launch + counts.waits * self.wait
        return float(host / 1e3 + (counts.moved / self.bandwidth + counts.operations / self.rate) * 1e3)


def modelled(networks: Sequence[str], batches: Sequence[int], composite: str) -> Iterator[dict[str, Any]]:
    """What every form asks for, in float32, in the call after the first of a shape."""
    for network in networks:
        for form in FORMS:
            yield from _modelled(network, form, batches, composite)


def _modelled(network: str, form: str, batches: Sequence[int], composite: str) -> Iterator[dict[str, Any]]:
    """One network in one form; the peak of its memory includes the weights."""
    cupy, subject = import_module("cupy"), SUBJECTS[network]
    before = cupy.get_default_memory_pool().used_bytes()
    net, rule = _network(network).to("cupy"), COMPOSITES[composite][0](subject)
    prepared = lrpref.prepare(net, rule, form=form, shape=subject.shape)
    for batch in batches:
        with cupy.dry():
            x = cupy.empty((batch, *subject.shape), dtype="float32")
            prepared.explain(x, target=0, seed="one")
            with cupy.counted() as counts:
                prepared.explain(x, target=0, seed="one")
        yield {"network": network, "form": form, "batch": batch, "counts": counts, "peak": counts.peak - before}


@cache
def _network(name: str) -> lrpref.Network:
    """The network on NumPy; random weights of VGG16 take seconds."""
    return SUBJECTS[name].build()


def two_digits(x: float) -> str:
    """A number to two digits.

    >>> two_digits(184.0), two_digits(5.46)
    ('180', '5.5')
    """
    return f"{float(f'{x:.2g}'):g}"


def render(rows: Sequence[dict[str, Any]], costs: Costs) -> str:
    """The table."""
    head = ["network", "form", "batch", "launches", "waits", "GB moved", "TFLOP", "peak GiB", "modelled ms"]
    found = [
        [
            row["network"], row["form"], str(row["batch"]), str(row["counts"].launches), str(row["counts"].waits),
            f"{row['counts'].moved / 1e9:.1f}", f"{row['counts'].operations / 1e12:.2f}",
            f"{row['peak'] / 2**30:.1f}", two_digits(costs.milliseconds(row["counts"])),
        ]
        for row in rows
    ]  # fmt: skip
    return report.table("Modelled, not measured", head, found)


def main(argv: Sequence[str] | None = None) -> int:
    """Count, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modelled", description=__doc__)
    parser.add_argument("--networks", type=among(tuple(SUBJECTS)), default=["vgg16", "resnet50", "resnet20"])
    parser.add_argument("--batch", type=numbers, default=[1, 8, 64])
    parser.add_argument("--composite", choices=list(COMPOSITES), default="epsilon-plus-flat")
    chosen = parser.parse_args(argv)
    if not hasattr(import_module("cupy"), "is_standin"):
        parser.error("launches are counted on the stand-in: PYTHONPATH=tests/standin, where CuPy is not installed")
    print(render(list(modelled(chosen.networks, chosen.batch, chosen.composite)), Costs()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
