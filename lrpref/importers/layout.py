"""The order of axes and features in an imported model, relative to lrpref's.

lrpref stores images as (N, C, H, W) and features as (N, features). Other formats may order the axes of images
differently, such as (N, H, W, C), and therefore also the features of flattened images. An importer that tracks this
order needs no layers for it: a transposition only changes the layout, and the weights of the next Dense layer are
permuted into lrpref's order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from math import prod

import numpy as np

from ..errors import ConversionError
from ..layers import Layer
from .graph import Shape

MAX_MOVED = 6
"""The most axes of an array that is reshaped to as many axes: all orders of them are tried."""

CHANNELS_LAST = (0, 2, 3, 1)
"""The axes of (N, H, W, C) as indices into (N, C, H, W)."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of an array of the imported model, the foreign array.

    Parameters
    ----------
    axes : tuple of int
        Axis k of the foreign array is axis `axes[k]` of lrpref's: a permutation that keeps the batch, axis 0, first.
    order : array of int or None
        For (N, features) only: feature k of the foreign array is lrpref's feature `order[k]`. None if the order is the
        same.

    Examples
    --------
    >>> Layout(CHANNELS_LAST).shape((1, 3, 8, 9))
    (1, 8, 9, 3)
    """

    axes: tuple[int, ...]
    order: np.ndarray | None = None

    @property
    def plain(self) -> bool:
        """Whether the foreign array and lrpref's are the same."""
        return self.axes == tuple(range(len(self.axes))) and self.order is None

    def same(self, other: Layout) -> bool:
        """Whether two arrays of the same shape in lrpref have the same order in the foreign model."""
        return self.axes == other.axes and (
            self.order is other.order
            or (self.order is not None and other.order is not None and np.array_equal(self.order, other.order))
        )

    def shape(self, shape: Shape) -> Shape:
        """Return the shape of the foreign array, given that of lrpref's."""
        return tuple(shape[axis] for axis in self.axes)

    def own_axis(self, axis: int) -> int:
        """Return lrpref's axis for an axis of the foreign array, which may be negative."""
        if not -len(self.axes) <= axis < len(self.axes):
            raise ConversionError(f"axis {axis} is out of range for an array with {len(self.axes)} axes")
        return self.axes[axis]

    def transposed(self, axes: tuple[int, ...]) -> Layout:
        """Return the layout after a transposition of the foreign array, which must keep the batch axis first."""
        if axes[:1] != (0,) or sorted(axes) != list(range(len(self.axes))):
            raise ConversionError(
                f"cannot transpose an array with {len(self.axes)} axes by {axes}: the batch axis must stay first"
            )
        return replace(self, axes=tuple(self.axes[axis] for axis in axes))

    def flattened(self, shape: Shape) -> Layout:
        """Return the layout after both arrays are flattened to (N, features); `shape` is that of lrpref's array."""
        if len(self.axes) == 2:
            return self
        order = np.arange(prod(shape[1:])).reshape(shape[1:])
        order = np.transpose(order, [axis - 1 for axis in self.axes[1:]]).ravel()
        return Layout((0, 1), None if np.array_equal(order, np.sort(order)) else order)

    def reshaped(self, shape: Shape, target: Shape) -> Layout | None:
        """Return the layout after a reshape of the foreign array that only moves axes of size 1; None for any other.

        `shape` is that of lrpref's array, `target` that of the foreign array after the reshape. If several layouts fit,
        the plain one is preferred.
        """
        before = self.shape(shape)
        if len(target) != len(before) or len(target) > MAX_MOVED:
            return None
        rest = range(1, len(before))
        moves = [(0, *move) for move in permutations(rest)]
        found = [
            self.transposed(move)
            for move in moves
            if tuple(before[axis] for axis in move) == target and _in_order([a for a in move if before[a] != 1])
        ]
        return min(found, key=lambda layout: not layout.plain, default=None)

    def features(self, weight: np.ndarray) -> np.ndarray:
        """Permute weights whose last axis runs along the array's features into lrpref's order."""
        return weight if self.order is None else weight[..., np.argsort(self.order)]

    def aligned(self, constant: np.ndarray, shape: Shape) -> np.ndarray:
        """Return a constant that is broadcast against the foreign array in a shape that is broadcast against lrpref's.

        Raises ConversionError if it would change the shape.
        """
        foreign = self.shape(shape)
        whole = constant.reshape((1,) * max(len(foreign) - constant.ndim, 0) + constant.shape)
        if whole.ndim != len(foreign) or any(n not in (1, m) for n, m in zip(whole.shape, foreign, strict=True)):
            raise ConversionError(f"a constant of shape {constant.shape} changes the activation's shape {foreign}")
        own = np.transpose(whole, np.argsort(self.axes))
        return own if self.order is None or own.shape[1] == 1 else self.features(own)

    def one_axis(self, constant: np.ndarray, shape: Shape) -> tuple[int, np.ndarray]:
        """Return a constant that is broadcast against the foreign array as an axis of lrpref's, and a number per cell.

        One number counts as one per channel. Raises ConversionError if the constant has several axes, or that of the
        samples, or would change the shape.
        """
        if len(shape) < 2:
            raise ConversionError(f"an array of shape {shape} has no axis of channels; expected (N, channels, ...)")
        own = self.aligned(constant, shape)
        long = [axis for axis, n in enumerate(own.shape) if n != 1]
        if len(long) > 1 or 0 in long:
            raise ConversionError(
                f"a constant of shape {constant.shape} is not supported; it must be one number, or one per channel, or "
                "one per cell of another axis"
            )
        axis = long[0] if long else 1
        return axis, np.broadcast_to(own.ravel(), (shape[axis],)).copy()

    def channels(self, constant: np.ndarray, shape: Shape) -> np.ndarray:
        """Return a constant that is broadcast against the foreign array as one number per channel of lrpref's array.

        Raises ConversionError if the constant varies along another axis or would change the shape.
        """
        axis, numbers = self.one_axis(constant, shape)
        if axis != 1:
            raise ConversionError(
                f"a constant of shape {constant.shape} is not supported; it must be one number, or one per channel"
            )
        return numbers


def channels_last(rank: int) -> Layout:
    """Return the layout of (N, ..., C), whose last axis is that of the channels."""
    return Layout((0, *range(2, rank), 1))


def plain(rank: int) -> Layout:
    """Return the layout of an array with the same order of axes and features as lrpref's."""
    return Layout(tuple(range(rank)))


def _in_order(axes: list[int]) -> bool:
    """Whether the axes are in ascending order."""
    return axes == sorted(axes)


@dataclass(frozen=True)
class Activation:
    """A value that depends on the input.

    Parameters
    ----------
    name : str
        The node of the imported network that computes it, or "input".
    shape : tuple of int
        The shape of that node's output.
    layout : Layout
        The layout of the model's array relative to that output.
    """

    name: str
    shape: Shape
    layout: Layout

    @property
    def foreign(self) -> Shape:
        """The shape of the model's array."""
        return self.layout.shape(self.shape)


Step = tuple[list[Layer], Layout]
"""The layers of an operation, and the layout of its result in the model."""
