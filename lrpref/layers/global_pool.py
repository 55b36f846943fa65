"""Pooling over all cells of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..arithmetic import check_choice, full
from ..backend import Array, array_namespace
from .base import Layer, LinearLayer, Routing, Shape
from .reduce import to_winners
from .window import check_axes


@dataclass(frozen=True, eq=False)
class GlobalPool(Layer):
    """One cell per channel: (N, C, ...) -> (N, C, 1, ...)."""

    axes: ClassVar[int]

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, ...) -> (N, C, 1, ...)."""
        (shape,) = self.counted(shapes)
        check_axes(shape, self.axes)
        return (*shape[:2], *(1,) * self.axes)


@dataclass(frozen=True, eq=False)
class GlobalAvgPool(GlobalPool, LinearLayer):
    """The mean of each channel.

    Use `GlobalAvgPool1D`, `GlobalAvgPool2D` or `GlobalAvgPool3D`.
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1 / (number of cells)."""
        (a,) = inputs
        return full((1,) * a.ndim, 1, like=a) / self.fan_in(tuple(a.shape)), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w times the sum of each channel."""
        (a,) = inputs
        return w * array_namespace(a).sum(a, axis=tuple(range(2, a.ndim)), keepdims=True)

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, for every cell of the channel."""
        return array_namespace(s).broadcast_to(w * s, shapes[0])

    def fan_in(self, *shapes: Shape) -> int:
        """The number of cells of a channel."""
        return prod(shapes[0][2:])


@dataclass(frozen=True, eq=False)
class GlobalAvgPool1D(GlobalAvgPool):
    """The mean of each channel of a signal: (N, C, L) -> (N, C, 1)."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class GlobalAvgPool2D(GlobalAvgPool):
    """The mean of each channel of an image: (N, C, H, W) -> (N, C, 1, 1)."""

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class GlobalAvgPool3D(GlobalAvgPool):
    """The mean of each channel of a volume: (N, C, D, H, W) -> (N, C, 1, 1, 1)."""

    axes: ClassVar[int] = 3


@dataclass(frozen=True, eq=False)
class GlobalMaxPool(GlobalPool, Routing):
    """The largest value of each channel; its relevance goes to the cell that won. NaN exceeds every number.

    Use `GlobalMaxPool1D`, `GlobalMaxPool2D` or `GlobalMaxPool3D`.

    Parameters
    ----------
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal maxima, in reading order, takes all; "equal": they share equally.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    ties: str = "first"

    def __post_init__(self) -> None:
        check_choice(self.ties, f"{type(self).__name__}: ties", ("first", "equal"))

    def forward(self, *inputs: Array) -> Array:
        """The largest value of each channel."""
        (a,) = self.floating(inputs)
        shape = self.output_shape(tuple(a.shape))
        xp = array_namespace(a)
        return xp.reshape(xp.max(_in_a_row(a), axis=-1), shape)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R goes to the winning cell of each channel."""
        (a,) = inputs
        return (array_namespace(a).reshape(to_winners(_in_a_row(a), _in_a_row(R), self.ties), a.shape),)


def _in_a_row(a: Array) -> Array:
    """(N, C, ...) -> (N, C, cells)."""
    return array_namespace(a).reshape(a, (*a.shape[:2], prod(a.shape[2:])))


@dataclass(frozen=True, eq=False)
class GlobalMaxPool1D(GlobalMaxPool):
    """The largest value of each channel of a signal: (N, C, L) -> (N, C, 1). `GlobalMaxPool` describes `ties`."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class GlobalMaxPool2D(GlobalMaxPool):
    """The largest value of each channel of an image: (N, C, H, W) -> (N, C, 1, 1). `GlobalMaxPool` describes `ties`."""

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class GlobalMaxPool3D(GlobalMaxPool):
    """The largest value of each channel of a volume: (N, C, D, H, W) -> (N, C, 1, 1, 1).

    `GlobalMaxPool` describes `ties`.
    """

    axes: ClassVar[int] = 3
