"""The forms of lrpref that are timed; add a line to `FORMS` for a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import lrpref
from lrpref import Network
from lrpref.backend import Array, array_namespace
from lrpref.composites import Composite
from lrpref.fast import Prepared, prepare


class Form(Protocol):
    """A network ready to explain under one composite; one call of `explain` is timed."""

    def explain(self, x: Array, target: Any, seed: Any) -> Array:
        """Relevance shaped like x."""

    def forward(self, x: Array) -> Array:
        """The network's output."""


@dataclass(frozen=True, eq=False)
class Call:
    """`lrpref.explain`, which includes any preparation."""

    net: Network
    rule: Composite
    form: str

    def explain(self, x: Array, target: Any, seed: Any) -> Array:
        """`lrpref.explain`."""
        return lrpref.explain(self.net, x, target, self.rule, seed, form=self.form)

    def forward(self, x: Array) -> Array:
        """`Network.forward`."""
        return self.net.forward(x)


Make = Callable[[Network, Composite, tuple[int, ...], int | None], Form]
"""make(network, composite, shape of one input, threads), where threads=None means one per core."""

FORMS: dict[str, Make] = {
    "plain": lambda net, rule, shape, threads: Call(net, rule, "plain"),
    "call": lambda net, rule, shape, threads: Call(net, rule, "direct"),
    "direct": lambda net, rule, shape, threads: prepare(net, rule, form="direct", shape=shape, threads=threads),
    "winograd": lambda net, rule, shape, threads: prepare(net, rule, form="winograd", shape=shape, threads=threads),
}
"""Form -> its maker: the walk, `lrpref.explain` as a user calls it, and the two forms of `lrpref.prepare`.

The first is the reference.
"""


def several_targets(form: Form, image: Array, targets: int) -> Array:
    """The maps, (targets, ...), of one image, (1, ...), for its first outputs.

    In a prepared network they share one forward pass; otherwise the image is repeated.
    """
    if isinstance(form, Prepared):
        return form.run(image).explain(np.arange(targets), "one")
    repeated = array_namespace(image).broadcast_to(image, (targets, *image.shape[1:]))
    return form.explain(repeated, np.arange(targets), "one")
