"""Layers that only move values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import cast

from ..arithmetic import as_floating, check_number, zeros_like
from ..backend import Array, array_namespace, sum_per_sample
from ..errors import ShapeError
from ..ledger import Flow
from .base import Routing, Shape, SupportsFlow
from .window import Padding, Pair, as_padding, check_image, crop, pad, padded


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


@dataclass(frozen=True, eq=False)
class Pad2D(Routing):
    """A border of `value` around the image, as a layer of its own.

    Relevance that falls on the border belongs to a constant; the ledger records it as *bias*.

    Parameters
    ----------
    padding : int, (rows, columns) or (top, bottom, left, right)
        The width of the border.
    value : float, default 0.0
        The constant on the border.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    padding: int | Pair | Padding
    value: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", as_padding(self.padding))
        check_number(self.value, "Pad2D value")

    @property
    def border(self) -> Padding:
        """(top, bottom, left, right)."""
        return cast(Padding, self.padding)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, H, W) -> (N, C, top + H + bottom, left + W + right)."""
        (shape,) = shapes
        check_image(shape)
        return padded(shape, self.border)

    def forward(self, *inputs: Array) -> Array:
        """The image with its border."""
        a = as_floating(inputs[0], "the input")
        check_image(tuple(a.shape))
        return pad(a, self.border, self.value)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevance of the image without its border."""
        return (crop(R, self.border),)

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Route R to the image; the ledger records what falls on the border as bias."""
        border = pad(zeros_like(inputs[0]), self.border, 1)
        return Flow(self.route(inputs, R), {"bias": sum_per_sample(border * R)})
