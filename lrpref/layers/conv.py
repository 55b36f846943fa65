"""Convolutions over any number of axes, as a loop over kernel taps.

`gather` and `scatter` are mirror images: one collects the cells that meet a tap and multiplies them by the tap's
weights, the other multiplies by the transposed weights and adds the result back to the same cells. A convolution
gathers forward and scatters backward; a transposed convolution does the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import ClassVar, Self

from ..arithmetic import as_parameter, check_integer, full
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError
from .base import Convolution, Shape
from .window import Window, as_padding, check_axes, crop, pad, padded, per_axis

Sizes = int | tuple[int, ...]


def gather(w: Array, a: Array, window: Window, groups: int, positions: Shape) -> Array:
    """z_op = sum over taps t and channels i of w_oit a_i(p + t): (N, in, ...) -> (N, out, *positions)."""
    xp = array_namespace(a)
    N, w = a.shape[0], _by_group(w, groups)
    a = pad(a, window.padding)
    z = full((N, groups, w.shape[1], prod(positions)), 0, like=a)
    for tap, cells in window.taps(positions):
        z += w[:, :, :, *tap] @ xp.reshape(a[cells], (N, groups, w.shape[2], prod(positions)))
    return xp.reshape(z, (N, groups * w.shape[1], *positions))


def scatter(w: Array, s: Array, window: Window, groups: int, shape: Shape) -> Array:
    """c_i(p + t) += sum over channels o of w_oit s_op, for all taps t: (N, out, ...) -> `shape`, (N, in, ...)."""
    xp = array_namespace(s)
    N, positions, w = s.shape[0], tuple(s.shape[2:]), _by_group(w, groups)
    s = xp.reshape(s, (N, groups, w.shape[1], prod(positions)))
    c = full(padded(shape, window.padding), 0, like=s)
    for tap, cells in window.taps(positions):
        c[cells] += xp.reshape(xp.matrix_transpose(w[:, :, :, *tap]) @ s, (N, shape[1], *positions))
    return crop(c, window.padding)


def _by_group(w: Array, groups: int) -> Array:
    """(out, in // groups, ...) -> (groups, out // groups, in // groups, ...)."""
    return array_namespace(w).reshape(w, (groups, -1, *w.shape[1:]))


@dataclass(frozen=True, eq=False)
class Kernels(Convolution):
    """What `Conv` and `ConvTranspose` share: kernels, their geometry, and one bias per output channel.

    Subclasses say how many spatial axes they have in `axes`.
    """

    axes: ClassVar[int]

    weight: Array
    bias: Array | None = None
    stride: Sizes = 1
    padding: Sizes = 0
    dilation: Sizes = 1
    groups: int = 1
    bias_taps: Array | None = None
    window: Window = field(init=False, repr=False)

    def __post_init__(self) -> None:
        name, axes = type(self).__name__, self.axes
        object.__setattr__(self, "weight", as_parameter(self.weight, f"{name} weight", ndim=axes + 2))
        kernel = tuple(int(n) for n in self.weight.shape[2:])
        stride, dilation = per_axis(self.stride, axes, "stride"), per_axis(self.dilation, axes, "dilation")
        window = Window(kernel, stride, as_padding(self.padding, axes), dilation)
        for size in ("stride", "padding", "dilation"):
            object.__setattr__(self, size, getattr(window, size))
        object.__setattr__(self, "window", window)
        check_integer(self.groups, f"{name}: groups", least=1)
        first, what = self.weight.shape[0], self._first_axis
        if first % self.groups:
            raise ParameterError(f"{name}: {what} ({first}) must be divisible by groups ({self.groups})")
        if self.bias is not None:
            object.__setattr__(self, "bias", as_parameter(self.bias, f"{name} bias", ndim=1))
            if self.bias.shape[0] != self.channels[1]:
                raise ParameterError(f"{name} has {self.channels[1]} output channels, but {self.bias.shape[0]} biases")
        if self.bias_taps is not None:
            object.__setattr__(self, "bias_taps", as_parameter(self.bias_taps, f"{name} bias_taps", ndim=axes + 1))
            if tuple(self.bias_taps.shape) != (expected := (self.channels[1], *kernel)):
                raise ParameterError(
                    f"{name} bias_taps must have shape (out, *kernel) = {expected}, got {tuple(self.bias_taps.shape)}"
                )

    _first_axis: ClassVar[str]

    @property
    def channels(self) -> tuple[int, int]:
        """How many channels the input and the output have."""
        raise NotImplementedError

    def taps_alone(self) -> Self:
        """Return the layer that computes, from one channel of ones, what `bias_taps` adds at each position."""
        raise NotImplementedError

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """The weight, and the bias shaped to broadcast over positions (with bias_taps, one value per position)."""
        xp = array_namespace(self.weight)
        b = None if self.bias is None else xp.reshape(self.bias, (1, -1, *(1,) * self.axes))
        if self.bias_taps is None:
            return self.weight, b
        bias_map = self.taps_alone().forward(full((1, 1, *inputs[0].shape[2:]), 1, like=self.weight))
        return self.weight, bias_map if b is None else bias_map + b

    def check_channels(self, shape: Shape) -> None:
        """Raise ShapeError unless the input has the axes and the channels that the kernels need."""
        check_axes(shape, self.axes)
        if shape[1] != self.channels[0]:
            raise ShapeError(f"expected {self.channels[0]} channels (axis 1), got {shape[1]} in {shape}")


@dataclass(frozen=True, eq=False)
class Conv(Kernels):
    """z = conv(a, w) + b: a Dense layer that shares its weights over all positions.

    Use `Conv1D`, `Conv2D` or `Conv3D`; the shapes below are those for one, two and three spatial axes.

    Parameters
    ----------
    weight : array, shape (out, in // groups, *kernel)
        The kernels, as PyTorch exports them.
    bias : array, shape (out,), optional
        One bias per output channel.
    stride : int or one per axis, default 1
        At least 1.
    padding : int, one per axis or (before, after) per axis, default 0
        Zeros around the input; for images, (top, bottom, left, right) gives each side its own. These cells never
        receive relevance.
    dilation : int or one per axis, default 1
        At least 1.
    groups : int, default 1
        The channels are split into this many groups that do not see each other.
    bias_taps : array, shape (out, *kernel), optional
        A bias that each tap adds where it meets a cell of the input instead of padding. A BatchNorm before a padded
        convolution leaves it behind (see `lrpref.fuse`).

    Attributes
    ----------
    window : Window
        Kernel, stride, padding and dilation as one geometry.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.
    """

    _first_axis: ClassVar[str] = "out_channels"

    @property
    def channels(self) -> tuple[int, int]:
        """How many channels the input and the output have."""
        out, per_group = self.weight.shape[:2]
        return int(per_group * self.groups), int(out)

    def taps_alone(self) -> Self:
        """Return the convolution of one channel with `bias_taps`."""
        assert self.bias_taps is not None
        return replace(self, weight=self.bias_taps[:, None, ...], bias=None, groups=1, bias_taps=None)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, in, ...) -> (N, out, ...)."""
        (shape,) = self.counted(shapes)
        self.check_channels(shape)
        return (shape[0], self.channels[1], *self.window.output_size(shape))

    def linear(self, w: Array, *inputs: Array) -> Array:
        """Gather: for each tap, the cells that meet it times the tap's weights."""
        (a,) = inputs
        return gather(w, a, self.window, self.groups, self.output_shape(tuple(a.shape))[2:])

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """Scatter: for each tap, s times the tap's transposed weights, added to the cells that meet it."""
        return scatter(w, s, self.window, self.groups, shapes[0])

    def fan_in(self, *shapes: Shape) -> int:
        """Taps times channels per group; cells of the padding count."""
        return prod(self.weight.shape[1:])


@dataclass(frozen=True, eq=False)
class Conv1D(Conv):
    """A convolution of signals: (N, in, L) -> (N, out, L'). `Conv` describes its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> Conv1D(np.ones((1, 1, 2)), padding=(1, 0)).forward(np.arange(4.0).reshape(1, 1, 4))
    array([[[0., 1., 3., 5.]]])
    """

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Conv2D(Conv):
    """A convolution of images: (N, in, H, W) -> (N, out, H', W'). `Conv` describes its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> Conv2D(np.ones((1, 1, 2, 2)), stride=2).forward(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[10., 18.],
             [42., 50.]]]])
    """

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class Conv3D(Conv):
    """A convolution of volumes: (N, in, D, H, W) -> (N, out, D', H', W'). `Conv` describes its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> Conv3D(np.ones((1, 1, 2, 2, 2))).forward(np.arange(8.0).reshape(1, 1, 2, 2, 2))
    array([[[[[28.]]]]])
    """

    axes: ClassVar[int] = 3
