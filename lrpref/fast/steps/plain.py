"""Every other layer, and every other rule, by the layer's own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Rule
from ...layers import Layer
from ..workers import Workers
from .step import channels_first, channels_last


@dataclass(frozen=True, eq=False)
class Plain:
    """Any layer under any rule, by the layer's own plain code. Relevance arrives and leaves as R."""

    layer: Layer
    rule: Rule | None

    form = "plain"
    needs_inputs = True

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, None]:
        """The layer's output."""
        return channels_last(self.layer.forward(*map(channels_first, inputs))), None

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The layer's flow; several targets of one input are as many inputs."""
        xp = array_namespace(message)
        values = tuple(xp.broadcast_to(a, (message.shape[0], *a.shape[1:])) for a in map(channels_first, inputs))
        return tuple(map(channels_last, self.layer.flow(values, channels_first(message), self.rule).inputs))
