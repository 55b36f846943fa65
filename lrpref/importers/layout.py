"""How an array of a foreign model lies in the array that lrpref has in its place.

lrpref keeps images as (N, C, H, W) and features as (N, features). Other formats order the axes of images otherwise,
(N, H, W, C), and so, once these are flattened, the features. An importer that knows the order needs no layer for it:
a transposition changes the layout and nothing else, and the next Dense layer takes its weights in lrpref's order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from math import prod

import numpy as np

from ..errors import ConversionError
from .graph import Shape

CHANNELS_LAST = (0, 2, 3, 1)
"""Where (N, H, W, C) has its axes in (N, C, H, W)."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Axis k of the foreign array is axis `axes[k]` of lrpref's; its feature k is lrpref's feature `order[k]`.

    axes   a permutation of 0, 1, ... that leaves the batch, axis 0, first
    order  for (N, features) only; None where the features are in lrpref's order

    >>> Layout(CHANNELS_LAST).shape((1, 3, 8, 9))
    (1, 8, 9, 3)
    """

    axes: tuple[int, ...]
    order: np.ndarray | None = None

    @property
    def plain(self) -> bool:
        """Whether the two arrays are the same."""
        return self.axes == tuple(range(len(self.axes))) and self.order is None

    def same(self, other: Layout) -> bool:
        """Whether two arrays of one shape here are ordered alike in the file."""
        return self.axes == other.axes and (
            self.order is other.order
            or (self.order is not None and other.order is not None and np.array_equal(self.order, other.order))
        )

    def shape(self, shape: Shape) -> Shape:
        """The foreign array's shape, given lrpref's."""
        return tuple(shape[axis] for axis in self.axes)

    def own_axis(self, axis: int) -> int:
        """lrpref's axis, given the foreign one, which may count from the end."""
        if not -len(self.axes) <= axis < len(self.axes):
            raise ConversionError(f"axis {axis} of an array with {len(self.axes)} axes")
        return self.axes[axis]

    def transposed(self, axes: tuple[int, ...]) -> Layout:
        """The layout of the foreign array after a transposition, which must leave the batch first."""
        if axes[:1] != (0,) or sorted(axes) != list(range(len(self.axes))):
            raise ConversionError(f"a transposition by {axes} of an array with {len(self.axes)} axes, the batch first")
        return replace(self, axes=tuple(self.axes[axis] for axis in axes))

    def flattened(self, shape: Shape) -> Layout:
        """The layout after both arrays, lrpref's of `shape`, were flattened to (N, features)."""
        if len(self.axes) == 2:
            return self
        order = np.arange(prod(shape[1:])).reshape(shape[1:])
        order = np.transpose(order, [axis - 1 for axis in self.axes[1:]]).ravel()
        return Layout((0, 1), None if np.array_equal(order, np.sort(order)) else order)

    def reshaped(self, shape: Shape, target: Shape) -> Layout | None:
        """The layout after a reshape of the foreign array that only moves axes of one cell; None for any other.

        `shape` is lrpref's, `target` the foreign array's after the reshape. Of several layouts that fit, the plain
        one is preferred.
        """
        before = self.shape(shape)
        if len(target) != len(before):
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
        """Weights whose last axis goes along the array's features, in lrpref's order."""
        return weight if self.order is None else weight[..., np.argsort(self.order)]

    def channels(self, constant: np.ndarray, shape: Shape) -> np.ndarray:
        """A constant that the foreign array is added to or multiplied with, as one number per channel of lrpref's.

        Raises ConversionError for a constant that varies along another axis, or would change the shape.
        """
        foreign = self.shape(shape)
        aligned = constant.reshape((1,) * max(len(foreign) - constant.ndim, 0) + constant.shape)
        axis = self.axes.index(1)
        allowed = tuple({1, n} if k == axis else {1} for k, n in enumerate(foreign))
        if len(aligned.shape) != len(foreign) or any(n not in ns for n, ns in zip(aligned.shape, allowed, strict=True)):
            raise ConversionError(f"a constant of shape {constant.shape}; only one number, or one per channel")
        return self.features(np.broadcast_to(aligned.ravel(), (shape[1],)).copy())


def plain(rank: int) -> Layout:
    """The layout of an array that is lrpref's own."""
    return Layout(tuple(range(rank)))


def _in_order(axes: list[int]) -> bool:
    return axes == sorted(axes)
