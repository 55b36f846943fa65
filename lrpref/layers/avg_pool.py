"""Average pooling: a linear layer like any other, with equal weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..arithmetic import check_flag, check_integer, full
from ..backend import Array
from .base import LinearLayer, Shape
from .pool import Pool
from .window import crop, pad


@dataclass(frozen=True, eq=False)
class AvgPool(Pool, LinearLayer):
    """The mean of each window: a convolution with the weight 1 / (number of cells), per channel.

    Use `AvgPool1D`, `AvgPool2D` or `AvgPool3D`.

    Parameters
    ----------
    kernel_size : int or one per axis
        The size of a window.
    stride : int or one per axis, optional
        None for `kernel_size`.
    padding : int, one per axis or (before, after) per axis, default 0
        Zeros around the input, which never receive relevance; smaller than the kernel.
    count_include_pad : bool, default True
        Whether cells of the padding count in the mean.
    divisor : int, optional
        What the sum of a window is divided by; None for the number of its cells.
    dilation : int or one per axis, default 1
        How far the cells of a window are apart.
    ceil_mode : bool, default False
        Whether there is one more window at the end of an axis where cells would be left over. It is cut off at the
        padding, so it has fewer cells.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    count_include_pad: bool = True
    divisor: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.count_include_pad, f"{type(self).__name__}: count_include_pad")
        if self.divisor is not None:
            check_integer(self.divisor, f"{type(self).__name__}: divisor", least=1)

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """1 / (number of cells): one number, or one per window where windows differ."""
        (a,) = inputs
        unit = full((1,) * a.ndim, 1, like=a)
        if self.divisor is not None or (self.count_include_pad and not self.ceil_mode):
            return unit / (self.divisor or self.fan_in()), None
        shape, border = (1, 1, *a.shape[2:]), self.window.border(tuple(a.shape))
        counted = pad(full(shape, 1, like=a), self.window.padding, value=int(self.count_include_pad))
        beyond = [n if k % 2 else 0 for k, n in enumerate(map(int.__sub__, border, self.window.padding))]
        return 1 / self._sums(pad(counted, beyond), self.window.output_size(shape)), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w times the sum of each window."""
        (a,) = inputs
        shape = tuple(a.shape)
        return w * self._sums(pad(a, self.window.border(shape)), self.output_shape(shape)[2:])

    def _sums(self, padded: Array, positions: Shape) -> Array:
        """The sum of each window of a padded input."""
        z = full((*padded.shape[:2], *positions), 0, like=padded)
        for _, cells in self.window.taps(positions):
            z += padded[cells]
        return z

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, added to every cell of the window."""
        border = self.window.border(shapes[0])
        c = pad(full(shapes[0], 0, like=s), border)
        for _, cells in self.window.taps(s.shape[2:]):
            c[cells] += w * s
        return crop(c, border)

    def fan_in(self, *shapes: Shape) -> int:
        """The number of cells of a window; padding counts."""
        return prod(self.window.kernel)


@dataclass(frozen=True, eq=False)
class AvgPool1D(AvgPool):
    """Average pooling of signals: (N, C, L) -> (N, C, L'). `AvgPool` describes its parameters."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class AvgPool2D(AvgPool):
    """Average pooling of images: (N, C, H, W) -> (N, C, H', W'). `AvgPool` describes its parameters."""

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class AvgPool3D(AvgPool):
    """Average pooling of volumes: (N, C, D, H, W) -> (N, C, D', H', W'). `AvgPool` describes its parameters."""

    axes: ClassVar[int] = 3
