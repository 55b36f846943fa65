"""Transposed convolutions: the two loops of `conv.py` with forward and backward exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd, prod
from typing import ClassVar, Self

from ..backend import Array
from ..errors import ParameterError, ShapeError
from .base import Shape, check_size
from .conv import Kernels, Sizes, gather, scatter
from .window import padded, per_axis


@dataclass(frozen=True, eq=False)
class ConvTranspose(Kernels):
    """z = W^T a + b, where W is the matrix of a convolution from z to a: each input cell adds its kernel to the output.

    Use `ConvTranspose1D`, `ConvTranspose2D` or `ConvTranspose3D`. The output has (n - 1) stride - before - after +
    dilation (kernel - 1) + output_padding + 1 cells along an axis with n input cells, as in PyTorch.

    Parameters
    ----------
    weight : array, shape (in, out // groups, *kernel)
        The kernels, as PyTorch exports them.
    bias : array, shape (out,), optional
        One bias per output channel.
    stride : int or one per axis, default 1
        The distance between the kernels of neighbouring cells; at least 1.
    padding : int, one per axis or (before, after) per axis, default 0
        How many cells of the output are cut off at each side.
    dilation : int or one per axis, default 1
        At least 1.
    groups : int, default 1
        The channels are split into this many groups that do not see each other.
    bias_taps : array, shape (out, *kernel), optional
        A bias that each tap adds to the output cell that it reaches from a cell of the input. A BatchNorm before a
        transposed convolution leaves it behind (see `lrpref.fuse`).
    output_padding : int or one per axis, default 0
        Cells added at the end of each axis of the output; smaller than the stride or the dilation.

    Attributes
    ----------
    window : Window
        Kernel, stride, padding and dilation as one geometry.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.
    """

    _first_axis: ClassVar[str] = "in_channels"

    output_padding: Sizes = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        more = per_axis(self.output_padding, self.axes, "output_padding", least=0)
        object.__setattr__(self, "output_padding", more)
        if any(n >= max(s, d) for n, s, d in zip(more, self.window.stride, self.window.dilation, strict=True)):
            raise ParameterError(
                f"{type(self).__name__}: output_padding {more} must be smaller than the stride {self.window.stride} or "
                f"the dilation {self.window.dilation}"
            )

    @property
    def channels(self) -> tuple[int, int]:
        """How many channels the input and the output have."""
        channels, per_group = self.weight.shape[:2]
        return int(channels), int(per_group * self.groups)

    def taps_alone(self) -> Self:
        """Return the transposed convolution of one channel with `bias_taps`."""
        assert self.bias_taps is not None
        return replace(self, weight=self.bias_taps[None, ...], bias=None, groups=1, bias_taps=None)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, in, ...) -> (N, out, ...)."""
        (shape,) = self.counted(shapes)
        self.check_channels(shape)
        window, more = self.window, per_axis(self.output_padding, self.axes, "output_padding", least=0)
        cut = map(int.__add__, window.padding[::2], window.padding[1::2])
        sides = zip(shape[2:], window.stride, window.extent, cut, more, strict=True)
        size = [(n - 1) * s + e - p + extra for n, s, e, p, extra in sides]
        if min(size) < 1:
            raise ShapeError(
                f"the output would have {tuple(size)} cells; use a larger input, less padding or a larger kernel"
            )
        output = (shape[0], self.channels[1], *size)
        check_size(padded(output, window.padding))
        return output

    def linear(self, w: Array, *inputs: Array) -> Array:
        """Scatter: for each tap, a times the tap's weights, added to the cells that the tap reaches."""
        (a,) = inputs
        return scatter(w, a, self.window, self.groups, self.output_shape(tuple(a.shape)))

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """Gather: for each tap, the cells that it reaches times the tap's transposed weights."""
        return gather(w, s, self.window, self.groups, shapes[0][2:])

    def fan_in(self, *shapes: Shape) -> int:
        """The most taps that reach one cell, times channels per group; cells beyond the border of the input count."""
        window = self.window
        steps = (s // gcd(s, d) for s, d in zip(window.stride, window.dilation, strict=True))
        taps = prod(-(-k // step) for k, step in zip(window.kernel, steps, strict=True))
        return taps * self.channels[0] // self.groups


@dataclass(frozen=True, eq=False)
class ConvTranspose1D(ConvTranspose):
    """A transposed convolution of signals: (N, in, L) -> (N, out, L'). `ConvTranspose` describes its parameters."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class ConvTranspose2D(ConvTranspose):
    """A transposed convolution of images: (N, in, H, W) -> (N, out, H', W').

    `ConvTranspose` describes its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> ConvTranspose2D(np.ones((1, 1, 2, 2)), stride=2).forward(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class ConvTranspose3D(ConvTranspose):
    """A transposed convolution of volumes: (N, in, D, H, W) -> (N, out, D', H', W').

    `ConvTranspose` describes its parameters.
    """

    axes: ClassVar[int] = 3
