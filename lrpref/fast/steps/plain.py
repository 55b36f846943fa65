"""Layers and rules without a fast form, those of users among them, by their own code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace, is_array
from ...engine import Rule
from ...ledger import Entry, Flow
from ...network import Node
from ...walk import label, not_closed, not_finite
from ..workers import Workers
from .step import channels_first, channels_last


@dataclass(frozen=True, eq=False)
class PlainStep:
    """A node by the plain code of its layer and rule. Relevance arrives and leaves as R.

    Parameters
    ----------
    node : Node
        The node.
    rule : Rule or None
        Its rule.
    checked : bool
        Whether its books are checked at every explanation, as in the walk: for layers and rules of the user's own.
        Those of lrpref are checked by its tests, and checking them here would take longer than some of them do.
    """

    node: Node
    rule: Rule | None
    checked: bool

    form = "plain"
    needs_inputs = True

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, None]:
        """The layer's output."""
        y = channels_last(self.node.layer.forward(*map(channels_first, inputs)))
        workers.watch(y)
        return y, None

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The layer's flow; several targets of one input are as many inputs."""
        R, xp = channels_first(message), array_namespace(message)
        values = tuple(xp.broadcast_to(a, (len(R), *a.shape[1:])) for a in map(channels_first, inputs))
        flow = self.node.layer.flow(values, R, self.rule)
        for loss in filter(is_array, flow.losses.values()):
            workers.watch(loss)  # NaN where a denominator is infinite
        if self.checked:
            workers.problems.extend(filter(None, self._problems(R, flow)))
        return tuple(map(channels_last, flow.inputs))

    def _problems(self, R: Array, flow: Flow) -> Iterator[str | None]:
        """What the walk would warn of, in its order."""
        name, layer, reads = self.node
        for at, R_at in zip([name, *reads], [R, *flow.inputs], strict=True):
            yield not_finite(at, R_at)
        yield not_closed(Entry.of(name, layer, label(layer, self.rule), R, flow), R)
