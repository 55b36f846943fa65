"""The two-dimensional convolution, as a loop over kernel taps.

Forward and adjoint are mirror images: one gathers the cells that meet a tap and multiplies them by the tap's weights,
the other multiplies by the transposed weights and adds the result back to the same cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..arithmetic import as_parameter, check_integer, full
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError
from .base import Convolution, Shape
from .window import Padding, Pair, Window, as_padding, as_pair, check_image, crop, pad


@dataclass(frozen=True, eq=False)
class Conv2D(Convolution):
    """z = conv(a, w) + b: a Dense layer that shares its weights over all positions.

    Parameters
    ----------
    weight : array, shape (out, in // groups, rows, columns)
        The kernels, as PyTorch exports them.
    bias : array, shape (out,), optional
        One bias per output channel.
    stride : int or (rows, columns), default 1
        At least 1.
    padding : int, (rows, columns) or (top, bottom, left, right), default 0
        Zeros around the image. These cells never receive relevance.
    dilation : int or (rows, columns), default 1
        At least 1.
    groups : int, default 1
        The channels are split into this many groups that do not see each other.
    bias_taps : array, shape (out, rows, columns), optional
        A bias that each tap adds where it meets a cell of the image instead of padding. A BatchNorm before a padded
        convolution leaves it behind (see `lrpref.fuse`).

    Attributes
    ----------
    window : Window
        Kernel, stride, padding and dilation as one geometry.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> Conv2D(np.ones((1, 1, 2, 2)), stride=2).forward(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[10., 18.],
             [42., 50.]]]])
    """

    weight: Array
    bias: Array | None = None
    stride: int | Pair = 1
    padding: int | Pair | Padding = 0
    dilation: int | Pair = 1
    groups: int = 1
    bias_taps: Array | None = None
    window: Window = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", as_parameter(self.weight, "Conv2D weight", ndim=4))
        out, _, rows, columns = self.weight.shape
        stride, dilation = as_pair(self.stride, "stride"), as_pair(self.dilation, "dilation")
        window = Window((int(rows), int(columns)), stride, as_padding(self.padding), dilation)
        for name in ("stride", "padding", "dilation"):
            object.__setattr__(self, name, getattr(window, name))
        object.__setattr__(self, "window", window)
        check_integer(self.groups, "Conv2D: groups", least=1)
        if out % self.groups:
            raise ParameterError(f"Conv2D: out_channels ({out}) must be divisible by groups ({self.groups})")
        if self.bias is not None:
            object.__setattr__(self, "bias", as_parameter(self.bias, "Conv2D bias", ndim=1))
            if self.bias.shape[0] != out:
                raise ParameterError(f"Conv2D has {out} output channels, but {self.bias.shape[0]} biases")
        if self.bias_taps is not None:
            object.__setattr__(self, "bias_taps", as_parameter(self.bias_taps, "Conv2D bias_taps", ndim=3))
            if tuple(self.bias_taps.shape) != (out, rows, columns):
                raise ParameterError(
                    f"Conv2D bias_taps must have shape (out, rows, columns) = {(out, rows, columns)}, "
                    f"got {tuple(self.bias_taps.shape)}"
                )

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, in, H, W) -> (N, out, H', W')."""
        (shape,) = shapes
        check_image(shape)
        channels = self.weight.shape[1] * self.groups
        if shape[1] != channels:
            raise ShapeError(f"expected {channels} channels (axis 1), got {shape[1]} in {shape}")
        return (shape[0], self.weight.shape[0], *self.window.output_size(shape))

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """The weight, and the bias shaped to broadcast over positions (with bias_taps, one value per position)."""
        xp = array_namespace(self.weight)
        b = None if self.bias is None else xp.reshape(self.bias, (1, -1, 1, 1))
        if self.bias_taps is None:
            return self.weight, b
        taps = Conv2D(self.bias_taps[:, None, :, :], None, self.stride, self.padding, self.dilation)
        bias_map = taps.forward(full((1, 1, *inputs[0].shape[2:]), 1, like=self.weight))
        return self.weight, bias_map if b is None else bias_map + b

    def linear(self, w: Array, *inputs: Array) -> Array:
        """Gather: for each tap, the cells that meet it times the tap's weights."""
        (a,) = inputs
        xp = array_namespace(a)
        N, O, H, W = self.output_shape(tuple(a.shape))
        G, w = self.groups, self._by_group(w)
        a = pad(a, self.window.padding)
        z = full((N, G, O // G, H * W), 0, like=a)
        for i, j, cells in self.window.taps((H, W)):
            z += w[..., i, j] @ xp.reshape(a[cells], (N, G, w.shape[2], H * W))
        return xp.reshape(z, (N, O, H, W))

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """Scatter: for each tap, s times the tap's transposed weights, added to the cells that meet it."""
        xp = array_namespace(s)
        N, O, H, W = s.shape
        G, w = self.groups, self._by_group(w)
        s = xp.reshape(s, (N, G, O // G, H * W))
        c = pad(full(shapes[0], 0, like=s), self.window.padding)
        for i, j, cells in self.window.taps((H, W)):
            c[cells] += xp.reshape(xp.matrix_transpose(w[..., i, j]) @ s, (N, G * w.shape[2], H, W))
        return crop(c, self.window.padding)

    def fan_in(self, *shapes: Shape) -> int:
        """Taps times channels per group; cells of the padding count."""
        _, channels, rows, columns = self.weight.shape
        return int(channels * rows * columns)

    def _by_group(self, w: Array) -> Array:
        """(out, in // G, rows, columns) -> (G, out // G, in // G, rows, columns)."""
        return array_namespace(w).reshape(w, (self.groups, -1, *w.shape[1:]))
