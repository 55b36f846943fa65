"""Pooling: max-pooling routes relevance to the winner; average pooling is a linear layer like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..arithmetic import as_floating, check_choice, check_flag, full, ones_like, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError
from .base import Layer, LinearLayer, Routing, Shape
from .window import Padding, Pair, Window, as_padding, as_pair, check_image, crop, pad

Cells = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Pool2D(Layer):
    """The geometry that max-pooling and average pooling share: one window per output, channel by channel.

    Parameters
    ----------
    kernel_size : int or (rows, columns)
        The size of a window.
    stride : int or (rows, columns), optional
        None for `kernel_size`.
    padding : int, (rows, columns) or (top, bottom, left, right), default 0
        Cells around the image; smaller than the kernel.

    Attributes
    ----------
    window : Window
        Kernel, stride and padding as one geometry.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    kernel_size: int | Pair
    stride: int | Pair | None = None
    padding: int | Pair | Padding = 0
    window: Window = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kernel = as_pair(self.kernel_size, "kernel_size")
        stride = kernel if self.stride is None else as_pair(self.stride, "stride")
        top, bottom, left, right = padding = as_padding(self.padding)
        if max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]:
            raise ParameterError(
                f"padding {padding} leaves windows of {kernel} without a cell of the image; "
                "it must be smaller than the kernel"
            )
        values = {"kernel_size": kernel, "stride": stride, "padding": padding}
        for name, value in (values | {"window": Window(kernel, stride, padding)}).items():
            object.__setattr__(self, name, value)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, H, W) -> (N, C, H', W')."""
        (shape,) = shapes
        check_image(shape)
        return (*shape[:2], *self.window.output_size(shape))


@dataclass(frozen=True, eq=False)
class MaxPool2D(Pool2D, Routing):
    """The largest value of each window; its relevance goes to the cell that won.

    NaN is larger than every number, and of several the first wins, as in `numpy.argmax`.

    Winner-take-all is the treatment of max-pooling in Montavon et al. 2019 (LNCS 11700, ch. 10, sec. 10.3).

    Parameters
    ----------
    kernel_size : int or (rows, columns)
        The size of a window.
    stride : int or (rows, columns), optional
        None for `kernel_size`.
    padding : int, (rows, columns) or (top, bottom, left, right)
        Cells around the image, which never win; smaller than the kernel.
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
        check_choice(self.ties, "MaxPool2D: ties", ("first", "equal"))

    def forward(self, *inputs: Array) -> Array:
        """The largest value of each window."""
        a = as_floating(inputs[0], "the input")
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
        z = self.forward(a)
        R_a = pad(zeros_like(a), self.window.padding)
        share = R / self._ties(a, z) if self.ties == "equal" else R
        free = xp.ones(z.shape, dtype=xp.bool)
        for cells, value, real in self._taps(a):
            wins = real & free & same(value, z)
            R_a[cells] += xp.where(wins, share, zeros_like(R))
            if self.ties == "first":
                free = free & ~wins
        return (crop(R_a, self.window.padding),)

    def _ties(self, a: Array, z: Array) -> Array:
        """How many cells of each window hold its maximum z."""
        xp = array_namespace(a)
        count = zeros_like(z)
        for _, value, real in self._taps(a):
            count = count + xp.where(real & same(value, z), ones_like(z), zeros_like(z))
        return count

    def _taps(self, a: Array) -> Iterator[tuple[Cells, Array, Array]]:
        """For each tap: its cells, their values, and whether they are image (True) or padding."""
        xp = array_namespace(a)
        _, _, H, W = self.output_shape(tuple(a.shape))
        real = pad(xp.ones((1, 1, *a.shape[2:]), dtype=xp.bool), self.window.padding, value=False)
        a = pad(a, self.window.padding)
        for _, _, cells in self.window.taps((H, W)):
            yield cells, a[cells], real[cells]


def same(value: Array, z: Array) -> Array:
    """Whether two values are equal, or both NaN."""
    return (value == z) | ((value != value) & (z != z))


@dataclass(frozen=True, eq=False)
class AvgPool2D(Pool2D, LinearLayer):
    """The mean of each window: a convolution with the weight 1 / (number of cells), per channel.

    Parameters
    ----------
    kernel_size : int or (rows, columns)
        The size of a window.
    stride : int or (rows, columns), optional
        None for `kernel_size`.
    padding : int, (rows, columns) or (top, bottom, left, right)
        Zeros around the image, which never receive relevance; smaller than the kernel.
    count_include_pad : bool, default True
        Whether cells of the padding count in the mean.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    count_include_pad: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.count_include_pad, "AvgPool2D: count_include_pad")

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1 / (number of cells): one number, or one per window where the padding does not count."""
        (a,) = inputs
        unit = full((1, 1, 1, 1), 1, like=a)
        if self.count_include_pad:
            return unit / self.fan_in(), None
        return 1 / self.linear(unit, full((1, 1, *a.shape[2:]), 1, like=a)), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w times the sum of each window."""
        (a,) = inputs
        N, C, H, W = self.output_shape(tuple(a.shape))
        a = pad(a, self.window.padding)
        z = full((N, C, H, W), 0, like=a)
        for _, _, cells in self.window.taps((H, W)):
            z += a[cells]
        return w * z

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, added to every cell of the window."""
        c = pad(full(shapes[0], 0, like=s), self.window.padding)
        for _, _, cells in self.window.taps((s.shape[2], s.shape[3])):
            c[cells] += w * s
        return crop(c, self.window.padding)

    def fan_in(self, *shapes: Shape) -> int:
        """The number of cells of a window; padding counts."""
        rows, columns = self.window.kernel
        return rows * columns


@dataclass(frozen=True, eq=False)
class GlobalAvgPool2D(LinearLayer):
    """The mean of each channel: (N, C, H, W) -> (N, C, 1, 1)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, H, W) -> (N, C, 1, 1)."""
        (shape,) = shapes
        check_image(shape)
        return (*shape[:2], 1, 1)

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1 / (H W)."""
        (a,) = inputs
        return full((1, 1, 1, 1), 1, like=a) / self.fan_in(tuple(a.shape)), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w times the sum of each channel."""
        (a,) = inputs
        return w * array_namespace(a).sum(a, axis=(2, 3), keepdims=True)

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, for every cell of the channel."""
        return array_namespace(s).broadcast_to(w * s, shapes[0])

    def fan_in(self, *shapes: Shape) -> int:
        """H W."""
        _, _, H, W = shapes[0]
        return H * W
