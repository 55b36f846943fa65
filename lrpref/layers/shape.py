"""Layers that only move values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..arithmetic import LARGEST, check_integer, check_number, is_integer, is_shape, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError, shown
from .base import Routing, Shape


@dataclass(frozen=True, eq=False)
class Flatten(Routing):
    """(N, C, H, W) -> (N, C * H * W)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """All axes but the batch merged into one."""
        (shape,) = self.counted(shapes)
        if not shape:
            raise ShapeError("expected a batch (N, ...), got one number")
        return (shape[0], prod(shape[1:]))

    def forward(self, *inputs: Array) -> Array:
        """The same values, one row per sample."""
        (a,) = self.floating(inputs)
        return array_namespace(a).reshape(a, self.output_shape(tuple(a.shape)))

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The same relevances in the input's shape."""
        return (array_namespace(R).reshape(R, inputs[0].shape),)


@dataclass(frozen=True, eq=False)
class Reshape(Routing):
    """(N, ...) -> (N, *shape): the values of each sample in another shape, in the same order.

    The batch axis is not part of `shape`, so values never move from one sample to another.

    Parameters
    ----------
    shape : tuple of int
        The shape of one sample; at most one number may be -1, which is computed from the others.

    Raises
    ------
    ParameterError
        If `shape` is not such a tuple.
    """

    shape: Shape

    def __post_init__(self) -> None:
        given: object = self.shape
        if not (is_shape(given, least=-1) and 0 not in self.shape and self.shape.count(-1) <= 1):
            raise ParameterError(
                f"Reshape: shape must be a tuple of integers >= 1, one of which may be -1, got {shown(given)}"
            )
        object.__setattr__(self, "shape", tuple(map(int, self.shape)))

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, *shape), with the number that -1 stands for."""
        (shape,) = self.counted(shapes)
        known = prod(n for n in self.shape if n != -1)
        rest, left = divmod(prod(shape[1:]), known)
        if not shape or left or (-1 not in self.shape and rest != 1):
            raise ShapeError(f"cannot reshape the samples of {shape} to {self.shape}: the sizes differ")
        return (shape[0], *(rest if n == -1 else n for n in self.shape))

    def forward(self, *inputs: Array) -> Array:
        """The same values in another shape."""
        (a,) = self.floating(inputs)
        return array_namespace(a).reshape(a, self.output_shape(tuple(a.shape)))

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The same relevances in the input's shape."""
        return (array_namespace(R).reshape(R, inputs[0].shape),)


@dataclass(frozen=True, eq=False)
class Permute(Routing):
    """The axes in another order: axis k of the output is axis `axes[k]` of the input.

    Parameters
    ----------
    axes : tuple of int
        All axes, the batch included, which stays first: (0, 2, 3, 1) turns (N, C, H, W) into (N, H, W, C), as in
        `torch.permute`.

    Raises
    ------
    ParameterError
        If `axes` is not a permutation that begins with 0.
    """

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        given: object = self.axes
        if not is_shape(given) or sorted(self.axes) != list(range(len(self.axes))) or tuple(self.axes)[:1] != (0,):
            raise ParameterError(
                f"Permute: axes must be a permutation of all axes that leaves the batch, 0, first, got {shown(given)}"
            )
        object.__setattr__(self, "axes", tuple(map(int, self.axes)))

    def output_shape(self, *shapes: Shape) -> Shape:
        """The sizes in the order of `axes`."""
        (shape,) = self.counted(shapes)
        if len(shape) != len(self.axes):
            raise ShapeError(f"Permute{self.axes} needs an array with {len(self.axes)} axes, got {shape}")
        return tuple(shape[axis] for axis in self.axes)

    def forward(self, *inputs: Array) -> Array:
        """The values with their axes in another order."""
        (a,) = self.floating(inputs)
        self.output_shape(tuple(a.shape))
        return array_namespace(a).permute_dims(a, self.axes)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevances with their axes in the old order."""
        back = sorted(range(len(self.axes)), key=lambda k: self.axes[k])
        return (array_namespace(R).permute_dims(R, tuple(back)),)


@dataclass(frozen=True, eq=False)
class Slice(Routing):
    """A part of the input along one axis: a[:, start:stop:step] for axis 1.

    Relevance returns to the cells that were read; all other cells receive 0.

    Parameters
    ----------
    axis : int
        The axis, counted from the batch, which is axis 0 and cannot be sliced; a negative one counts from the end.
    start, stop : int or None, default None
        The first index, and the one after the last, as in Python: negative ones count from the end, None means no
        bound.
    step : int, default 1
        The distance between two indices; a negative one reads backwards.

    Raises
    ------
    ParameterError
        If a parameter is not such an integer.
    """

    axis: int
    start: int | None = None
    stop: int | None = None
    step: int = 1

    def __post_init__(self) -> None:
        check_axis(self.axis, "Slice: axis")
        for name in ("start", "stop", "step"):
            if name == "step" or getattr(self, name) is not None:
                check_integer(getattr(self, name), f"Slice: {name}", least=-LARGEST)
        if self.step == 0:
            raise ParameterError("Slice: step must not be 0")

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's shape, with as many cells along the axis as are read."""
        (shape,) = self.counted(shapes)
        (axis,) = sample_axes((self.axis,), shape, "Slice")
        read = len(range(shape[axis])[slice(self.start, self.stop, self.step)])
        if not read:
            bounds = ":".join("" if n is None else str(n) for n in (self.start, self.stop, self.step))
            raise ShapeError(f"Slice reads nothing: [{bounds}] of axis {axis} of {shape}")
        return (*shape[:axis], read, *shape[axis + 1 :])

    def forward(self, *inputs: Array) -> Array:
        """The cells that are read."""
        (a,) = self.floating(inputs)
        self.output_shape(tuple(a.shape))
        return a[self._cells(tuple(a.shape))]

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R at the cells that were read, 0 elsewhere."""
        R_a = zeros_like(inputs[0])
        R_a[self._cells(tuple(R_a.shape))] = R
        return (R_a,)

    def _cells(self, shape: Shape) -> tuple[slice, ...]:
        """The index of the cells that are read, its bounds within the array."""
        axis = self.axis % len(shape)
        found = range(shape[axis])[slice(self.start, self.stop, self.step)]
        cells = slice(found.start, found.stop if found.stop >= 0 else None, found.step)
        return tuple(cells if k == axis else slice(None) for k in range(len(shape)))


def check_axis(axis: object, what: str) -> None:
    """Raise ParameterError unless `axis` is an integer that is not 0, the batch."""
    if not is_integer(axis, least=-LARGEST) or axis == 0:
        raise ParameterError(f"{what} must be an integer other than 0, the batch axis, got {shown(axis)}")


def sample_axes(axes: tuple[int, ...], shape: Shape, what: str) -> tuple[int, ...]:
    """The axes counted from 0; raises ShapeError unless they are different axes of `shape` other than the batch."""
    found = tuple(axis % max(len(shape), 1) for axis in axes)
    if any(not -len(shape) <= axis < len(shape) for axis in axes) or len({0, *found}) != len(found) + 1:
        named = f"axis {axes[0]} must be an axis" if len(axes) == 1 else f"axes {axes} must be different axes"
        raise ShapeError(f"{what}: {named} of {shape} other than the batch axis")
    return found


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
        return self.floating(inputs)[0]

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R."""
        return (R,)
