"""Reductions over axes of a sample: Sum and Mean are linear layers; Max routes relevance to the winner."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import cast

from ..arithmetic import check_choice, check_flag, full, ones_like, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError, shown
from .base import Layer, LinearLayer, Routing, Shape
from .pool import same
from .shape import check_axis, sample_axes


@dataclass(frozen=True, eq=False)
class Reduction(Layer):
    """What the reductions share: one output for all cells along some axes.

    Parameters
    ----------
    axes : int or tuple of int
        The axes that are reduced, counted from the batch, which is axis 0 and cannot be reduced; negative ones count
        from the end.
    keepdims : bool, default False
        Whether to keep these axes, with size 1.

    Raises
    ------
    ParameterError
        If a parameter has another value.
    """

    axes: int | tuple[int, ...]
    keepdims: bool = False

    def __post_init__(self) -> None:
        what = f"{type(self).__name__}: axes"
        given = list(self.axes) if isinstance(self.axes, tuple | list) else [self.axes]
        for axis in given:
            check_axis(axis, what)
        if not given:
            raise ParameterError(f"{what} must name at least one axis, got {shown(self.axes)}")
        object.__setattr__(self, "axes", tuple(map(int, given)))
        check_flag(self.keepdims, f"{type(self).__name__}: keepdims")

    def over(self, shape: Shape) -> tuple[int, ...]:
        """The axes that are reduced, in ascending order; raises ShapeError if the input has no such axes or no cell."""
        found = tuple(sorted(sample_axes(cast(tuple[int, ...], self.axes), shape, type(self).__name__)))
        if not prod(shape[axis] for axis in found):
            raise ShapeError(f"{type(self).__name__} over axes {found} of {shape} has no cell to reduce")
        return found

    def kept(self, shape: Shape) -> Shape:
        """The shape of the output with the reduced axes at size 1."""
        over = self.over(shape)
        return tuple(1 if axis in over else n for axis, n in enumerate(shape))

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape without the reduced axes, or with size 1 there."""
        (shape,) = self.counted(shapes)
        over = self.over(shape)
        return self.kept(shape) if self.keepdims else tuple(n for axis, n in enumerate(shape) if axis not in over)


@dataclass(frozen=True, eq=False)
class _LinearReduction(Reduction, LinearLayer):
    """z = w times the sum over the axes, with one w for all."""

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w times the sum over the axes."""
        (a,) = inputs
        return w * array_namespace(a).sum(a, axis=self.over(tuple(a.shape)), keepdims=self.keepdims)

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, for every cell that was summed."""
        xp = array_namespace(s)
        return xp.broadcast_to(xp.reshape(w * s, self.kept(shapes[0])), shapes[0])

    def fan_in(self, *shapes: Shape) -> int:
        """The number of cells that are summed."""
        return prod(shapes[0][axis] for axis in self.over(shapes[0]))

    def _unit(self, a: Array) -> Array:
        """1, shaped to broadcast over the output."""
        return full((1,) * len(self.output_shape(tuple(a.shape))), 1, like=a)


@dataclass(frozen=True, eq=False)
class Sum(_LinearReduction):
    """The sum over some axes: a linear layer with unit weights.

    Parameters
    ----------
    axes : int or tuple of int
        The axes that are summed, counted from the batch, which is axis 0 and cannot be summed; negative ones count from
        the end.
    keepdims : bool, default False
        Whether to keep these axes, with size 1.

    Raises
    ------
    ParameterError
        If a parameter has another value.
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1."""
        return self._unit(inputs[0]), None


@dataclass(frozen=True, eq=False)
class Mean(_LinearReduction):
    """The mean over some axes: a linear layer with the weight 1 / n for n cells.

    Parameters
    ----------
    axes : int or tuple of int
        The axes that are averaged, counted from the batch, which is axis 0 and cannot be averaged; negative ones count
        from the end.
    keepdims : bool, default False
        Whether to keep these axes, with size 1.

    Raises
    ------
    ParameterError
        If a parameter has another value.
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1 / n."""
        (a,) = inputs
        return self._unit(a) / self.fan_in(tuple(a.shape)), None


@dataclass(frozen=True, eq=False)
class Max(Reduction, Routing):
    """The largest value along some axes; its relevance goes to the cell that won, as in `MaxPool`.

    NaN counts as larger than every number. The first of several NaNs wins, as in `numpy.argmax`.

    Parameters
    ----------
    axes : int or tuple of int
        The axes, counted from the batch, which is axis 0 and cannot be reduced; negative ones count from the end.
    keepdims : bool, default False
        Whether to keep these axes, with size 1.
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal maxima, in reading order, takes all; "equal": they share equally.

    Raises
    ------
    ParameterError
        If a parameter has another value.
    """

    ties: str = "first"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.ties, "Max: ties", ("first", "equal"))

    def forward(self, *inputs: Array) -> Array:
        """The largest value along the axes."""
        (a,) = self.floating(inputs)
        return array_namespace(a).max(a, axis=self.over(tuple(a.shape)), keepdims=self.keepdims)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R goes to the cell that won."""
        (a,) = inputs
        xp, shape = array_namespace(a), tuple(a.shape)
        over = self.over(shape)
        order = (*(axis for axis in range(len(shape)) if axis not in over), *over)
        others = tuple(shape[axis] for axis in order[: len(shape) - len(over)])
        rows = xp.reshape(xp.permute_dims(a, order), (*others, prod(shape[axis] for axis in over)))
        found = to_winners(rows, xp.reshape(R, (*others, 1)), self.ties)
        back = tuple(sorted(range(len(order)), key=lambda k: order[k]))
        return (xp.permute_dims(xp.reshape(found, tuple(shape[axis] for axis in order)), back),)


def to_winners(a: Array, R: Array, ties: str) -> Array:
    """Return R, of shape (..., 1), at the largest of the values a along the last axis, and 0 at the others.

    NaN is larger than every number. `ties` says what several equal maxima receive, as in `MaxPool`.
    """
    xp = array_namespace(a)
    wins = same(a, xp.max(a, axis=-1, keepdims=True))
    if ties == "first":
        first = xp.argmax(xp.astype(wins, xp.int8), axis=-1, keepdims=True)
        wins = xp.arange(a.shape[-1], dtype=first.dtype) == first
    else:
        R = R / xp.sum(xp.where(wins, ones_like(a), zeros_like(a)), axis=-1, keepdims=True)
    return xp.where(wins, R, zeros_like(a))
