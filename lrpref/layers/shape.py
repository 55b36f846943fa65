"""Layers that only move values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..arithmetic import as_floating, check_number
from ..backend import Array, array_namespace
from ..errors import ShapeError
from .base import Routing, Shape


@dataclass(frozen=True, eq=False)
class Flatten(Routing):
    """(N, C, H, W) -> (N, C * H * W)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """All axes but the batch merged into one."""
        (shape,) = shapes
        if not shape:
            raise ShapeError("expected a batch (N, ...), got one number")
        return (shape[0], prod(shape[1:]))

    def forward(self, *inputs: Array) -> Array:
        """The same values, one row per sample."""
        a = as_floating(inputs[0], "the input")
        return array_namespace(a).reshape(a, self.output_shape(tuple(a.shape)))

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The same relevances in the input's shape."""
        return (array_namespace(R).reshape(R, inputs[0].shape),)


@dataclass(frozen=True, eq=False)
class Dropout(Routing):
    """The identity, at inference.

    Parameters
    ----------
    p : float, default 0.5
        The dropout probability in training; it has no effect here.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        check_number(self.p, "Dropout: p", least=0)

    def forward(self, *inputs: Array) -> Array:
        """The input."""
        return as_floating(inputs[0], "the input")

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R."""
        return (R,)
