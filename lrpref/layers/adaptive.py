"""Pooling to a given number of cells, whatever the size of the input: windows of nearly equal size, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import ClassVar

from ..arithmetic import check_choice, full, zeros_like
from ..backend import Array, array_namespace
from .base import Layer, LinearLayer, Routing, Shape
from .conv import Sizes
from .reduce import to_winners
from .window import Cells, check_axes, per_axis


@dataclass(frozen=True, eq=False)
class AdaptivePool(Layer):
    """The geometry that the adaptive pools share.

    Along an axis with n cells, window k of m begins with cell k n / m, rounded down, and ends before cell
    (k + 1) n / m, rounded up. Neighbouring windows may therefore share a cell.

    Parameters
    ----------
    output_size : int or one per axis
        How many windows there are along each axis.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    axes: ClassVar[int]

    output_size: Sizes

    def __post_init__(self) -> None:
        object.__setattr__(self, "output_size", per_axis(self.output_size, self.axes, "output_size"))

    @property
    def positions(self) -> tuple[int, ...]:
        """How many windows there are along each axis."""
        return per_axis(self.output_size, self.axes, "output_size")

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, ...) -> (N, C, *output_size)."""
        (shape,) = self.counted(shapes)
        check_axes(shape, self.axes)
        return (*shape[:2], *self.positions)

    def windows(self, shape: Shape) -> Iterator[tuple[tuple[slice | int, ...], Cells]]:
        """For each window, yield the index of its output and that of its cells."""
        everything = (slice(None), slice(None))
        for position in product(*map(range, self.positions)):
            sides = zip(position, shape[2:], self.positions, strict=True)
            cells = (slice(k * n // m, -(-(k + 1) * n // m)) for k, n, m in sides)
            yield (*everything, *position), (*everything, *cells)


@dataclass(frozen=True, eq=False)
class AdaptiveAvgPool(AdaptivePool, LinearLayer):
    """The mean of each window.

    Use `AdaptiveAvgPool1D`, `AdaptiveAvgPool2D` or `AdaptiveAvgPool3D`.

    Parameters
    ----------
    output_size : int or one per axis
        How many windows there are along each axis.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1 / (number of cells), for each window."""
        (a,) = inputs
        w = full((1, 1, *self.positions), 1, like=a)
        for at, cells in self.windows(tuple(a.shape)):
            w[at] = w[at] / prod(side.stop - side.start for side in cells[2:])
        return w, None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w times the sum of each window."""
        (a,) = inputs
        xp, shape = array_namespace(a), tuple(a.shape)
        z = full(self.output_shape(shape), 0, like=a)
        for at, cells in self.windows(shape):
            z[at] = xp.sum(a[cells], axis=tuple(range(2, a.ndim)))
        return w * z

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, added to every cell of the window."""
        s, c = w * s, full(shapes[0], 0, like=s)
        for at, cells in self.windows(shapes[0]):
            c[cells] += array_namespace(s).reshape(s[at], (*s.shape[:2], *(1,) * self.axes))
        return c

    def fan_in(self, *shapes: Shape) -> int:
        """The number of cells of the largest window."""
        return max(prod(side.stop - side.start for side in cells[2:]) for _, cells in self.windows(shapes[0]))


@dataclass(frozen=True, eq=False)
class AdaptiveAvgPool1D(AdaptiveAvgPool):
    """Adaptive average pooling of signals. `AdaptiveAvgPool` describes its parameter."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class AdaptiveAvgPool2D(AdaptiveAvgPool):
    """Adaptive average pooling of images. `AdaptiveAvgPool` describes its parameter."""

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class AdaptiveAvgPool3D(AdaptiveAvgPool):
    """Adaptive average pooling of volumes. `AdaptiveAvgPool` describes its parameter."""

    axes: ClassVar[int] = 3


@dataclass(frozen=True, eq=False)
class AdaptiveMaxPool(AdaptivePool, Routing):
    """The largest value of each window; its relevance goes to the cell that won. NaN exceeds every number.

    Use `AdaptiveMaxPool1D`, `AdaptiveMaxPool2D` or `AdaptiveMaxPool3D`.

    Parameters
    ----------
    output_size : int or one per axis
        How many windows there are along each axis.
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal maxima, in reading order, takes all; "equal": they share equally.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    ties: str = "first"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.ties, f"{type(self).__name__}: ties", ("first", "equal"))

    def forward(self, *inputs: Array) -> Array:
        """The largest value of each window."""
        (a,) = self.floating(inputs)
        xp, shape = array_namespace(a), tuple(a.shape)
        z = full(self.output_shape(shape), 0, like=a)
        for at, cells in self.windows(shape):
            z[at] = xp.max(a[cells], axis=tuple(range(2, a.ndim)))
        return z

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R goes to the winning cell of each window; a cell that wins several windows gets the sum."""
        (a,) = inputs
        xp, R_a = array_namespace(a), zeros_like(a)
        for at, cells in self.windows(tuple(a.shape)):
            part = a[cells]
            flat = xp.reshape(part, (*part.shape[:2], prod(part.shape[2:])))
            R_a[cells] += xp.reshape(to_winners(flat, R[at][..., None], self.ties), part.shape)
        return (R_a,)


@dataclass(frozen=True, eq=False)
class AdaptiveMaxPool1D(AdaptiveMaxPool):
    """Adaptive max-pooling of signals. `AdaptiveMaxPool` describes its parameters."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class AdaptiveMaxPool2D(AdaptiveMaxPool):
    """Adaptive max-pooling of images. `AdaptiveMaxPool` describes its parameters."""

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class AdaptiveMaxPool3D(AdaptiveMaxPool):
    """Adaptive max-pooling of volumes. `AdaptiveMaxPool` describes its parameters."""

    axes: ClassVar[int] = 3
