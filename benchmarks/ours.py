"""The forms of lrpref that are timed: a line in `FORMS` adds one."""

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
    """A network ready to explain under one composite: what is timed is one call of `explain`."""

    def explain(self, x: Array, target: Any, seed: Any) -> Array:
        """Relevance shaped like x."""

    def forward(self, x: Array) -> Array:
        """The network's output."""


@dataclass(frozen=True, eq=False)
class Call:
    """`lrpref.explain`, which prepares nothing beforehand."""

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
"""Of a network, a composite, the shape of one input and the number of threads (None: one for each core)."""

FORMS: dict[str, Make] = {
    "plain": lambda net, rule, shape, threads: Call(net, rule, "plain"),
    "call": lambda net, rule, shape, threads: Call(net, rule, "direct"),
    "default": lambda net, rule, shape, threads: prepare(net, rule, form="fast", shape=shape, threads=threads),
    "fastest": lambda net, rule, shape, threads: lrpref.prepare(
        net, rule, form="fastest", shape=shape, threads=threads
    ),
}
"""Form -> what prepares a network for it: the readable engine, `lrpref.explain` as a user calls it, `net.prepare`.

The first is what the others are compared with where one is needed.
"""


def several_targets(form: Form, image: Array, targets: int) -> Array:
    """The maps of one image, (1, ...), for its first outputs, (targets, ...).

    For a prepared network they share one forward pass; without, they are as many images.
    """
    if isinstance(form, Prepared):
        return form.run(image).explain(np.arange(targets), "one")
    repeated = array_namespace(image).broadcast_to(image, (targets, *image.shape[1:]))
    return form.explain(repeated, np.arange(targets), "one")
