"""The geometry of pooling, and max-pooling, which routes relevance to the winner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from ..arithmetic import check_choice, check_flag, ones_like, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError
from .base import Layer, Routing, Shape
from .conv import Sizes
from .window import Cells, Window, as_padding, check_axes, crop, pad, per_axis


@dataclass(frozen=True, eq=False)
class Pool(Layer):
    """The geometry that max-pooling and average pooling share: one window per output, channel by channel.

    Parameters
    ----------
    kernel_size : int or one per axis
        The size of a window.
    stride : int or one per axis, optional
        None for `kernel_size`.
    padding : int, one per axis or (before, after) per axis, default 0
        Cells around the input; smaller than the kernel.
    dilation : int or one per axis, default 1
        How far the cells of a window are apart.
    ceil_mode : bool, default False
        Whether there is one more window at the end of an axis where cells would be left over. It is cut off at the
        padding.

    Attributes
    ----------
    window : Window
        Kernel, stride, padding and dilation as one geometry.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    axes: ClassVar[int]

    kernel_size: Sizes
    stride: Sizes | None = None
    padding: Sizes = 0
    dilation: Sizes = field(default=1, kw_only=True)
    ceil_mode: bool = field(default=False, kw_only=True)
    window: Window = field(init=False, repr=False)

    def __post_init__(self) -> None:
        axes = self.axes
        kernel = per_axis(self.kernel_size, axes, "kernel_size")
        stride = kernel if self.stride is None else per_axis(self.stride, axes, "stride")
        padding = as_padding(self.padding, axes)
        if any(p >= kernel[k // 2] for k, p in enumerate(padding)):
            raise ParameterError(
                f"padding {padding} leaves windows of {kernel} without a cell of the input; "
                "it must be smaller than the kernel"
            )
        check_flag(self.ceil_mode, f"{type(self).__name__}: ceil_mode")
        window = Window(kernel, stride, padding, per_axis(self.dilation, axes, "dilation"), self.ceil_mode)
        values = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": window.dilation}
        for name, value in (values | {"window": window}).items():
            object.__setattr__(self, name, value)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, ...) -> (N, C, ...), one cell per window."""
        (shape,) = self.counted(shapes)
        check_axes(shape, self.axes)
        output = self.window.output_size(shape)
        if any(d > 1 for d in self.window.dilation) and not self._meets(shape, output):
            raise ShapeError(
                f"a window of {self.window.kernel} with dilation {self.window.dilation} and padding "
                f"{self.window.padding} meets no cell of an input of shape {shape}; use less padding"
            )
        return (*shape[:2], *output)

    def _meets(self, shape: Shape, output: Shape) -> bool:
        """Whether each window meets a cell of the input."""
        window = self.window
        sides = zip(shape[2:], output, window.kernel, window.stride, window.dilation, window.padding[::2], strict=True)
        return all(
            any(0 <= p * s + t * d - before < n for t in range(k))
            for n, positions, k, s, d, before in sides
            for p in range(positions)
        )


@dataclass(frozen=True, eq=False)
class MaxPool(Pool, Routing):
    """The largest value of each window; its relevance goes to the cell that won.

    NaN counts as larger than every number. The first of several NaNs wins, as in `numpy.argmax`.

    Winner-take-all is the treatment of max-pooling in Montavon et al. 2019 (LNCS 11700, ch. 10, sec. 10.3).

    Use `MaxPool1D`, `MaxPool2D` or `MaxPool3D`.

    Parameters
    ----------
    kernel_size : int or one per axis
        The size of a window.
    stride : int or one per axis, optional
        None for `kernel_size`.
    padding : int, one per axis or (before, after) per axis, default 0
        Cells around the input, which never win; smaller than the kernel.
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal maxima, in reading order, takes all; "equal": they share equally.
    dilation : int or one per axis, default 1
        How far the cells of a window are apart.
    ceil_mode : bool, default False
        Whether there is one more window at the end of an axis where cells would be left over.

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
        xp = array_namespace(a)
        z = seen = None
        for _, value, real in self._taps(a):
            if z is None or seen is None:
                z, seen = value, real
            else:
                larger = ~(value <= z) & (z == z)  # NaN is larger than every number
                z = xp.where(real & (~seen | larger), value, z)
                seen = seen | real
        assert z is not None  # a kernel has at least one tap
        return z

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R goes to the winning cell of each window; a cell that wins several windows gets the sum."""
        (a,) = inputs
        xp = array_namespace(a)
        border, z = self.window.border(tuple(a.shape)), self.forward(a)
        R_a = pad(zeros_like(a), border)
        share = R / self._ties(a, z) if self.ties == "equal" else R
        free = xp.ones(z.shape, dtype=xp.bool)
        for cells, value, real in self._taps(a):
            wins = real & free & same(value, z)
            R_a[cells] += xp.where(wins, share, zeros_like(R))
            if self.ties == "first":
                free = free & ~wins
        return (crop(R_a, border),)

    def _ties(self, a: Array, z: Array) -> Array:
        """How many cells of each window hold its maximum z."""
        xp = array_namespace(a)
        count = zeros_like(z)
        for _, value, real in self._taps(a):
            count = count + xp.where(real & same(value, z), ones_like(z), zeros_like(z))
        return count

    def _taps(self, a: Array) -> Iterator[tuple[Cells, Array, Array]]:
        """For each tap: its cells, their values, and whether they are input (True) or padding."""
        xp, shape = array_namespace(a), tuple(a.shape)
        positions, border = self.output_shape(shape)[2:], self.window.border(shape)
        real = pad(xp.ones((1, 1, *shape[2:]), dtype=xp.bool), border, value=False)
        a = pad(a, border)
        for _, cells in self.window.taps(positions):
            yield cells, a[cells], real[cells]


def same(value: Array, z: Array) -> Array:
    """Whether two values are equal, or both NaN."""
    return (value == z) | ((value != value) & (z != z))


@dataclass(frozen=True, eq=False)
class MaxPool1D(MaxPool):
    """Max-pooling of signals: (N, C, L) -> (N, C, L'). `MaxPool` describes its parameters."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class MaxPool2D(MaxPool):
    """Max-pooling of images: (N, C, H, W) -> (N, C, H', W'). `MaxPool` describes its parameters."""

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class MaxPool3D(MaxPool):
    """Max-pooling of volumes: (N, C, D, H, W) -> (N, C, D', H', W'). `MaxPool` describes its parameters."""

    axes: ClassVar[int] = 3
