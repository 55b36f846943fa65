"""All other layers and rules, those of users among them, by the layer's own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Rule
from ...ledger import Entry
from ...network import Node
from ...walk import label, not_closed, not_finite
from ..workers import Workers
from .step import channels_first, channels_last


@dataclass(frozen=True, eq=False)
class PlainStep:
    """A node by the plain code of its layer and rule. Relevance arrives and leaves as R, and its books are checked."""

    node: Node
    rule: Rule | None

    form = "plain"
    needs_inputs = True

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, None]:
        """The layer's output."""
        return channels_last(self.node.layer.forward(*map(channels_first, inputs))), None

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The layer's flow, booked as in the walk; several targets of one input are as many inputs."""
        (name, layer, reads), R, xp = self.node, channels_first(message), array_namespace(message)
        values = tuple(xp.broadcast_to(a, (len(R), *a.shape[1:])) for a in map(channels_first, inputs))
        flow = layer.flow(values, R, self.rule)
        found = [not_finite(at, R_at) for at, R_at in zip([name, *reads], [R, *flow.inputs], strict=True)]
        found.append(not_closed(Entry.of(name, layer, label(layer, self.rule), R, flow), R))
        workers.problems.extend(problem for problem in found if problem)
        return tuple(map(channels_last, flow.inputs))
