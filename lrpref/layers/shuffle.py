"""Layers that exchange channels with each other or with rows and columns; each is undone by another one of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import check_integer
from ..backend import Array, array_namespace
from ..errors import ShapeError
from .base import Routing, Shape
from .window import check_axes


@dataclass(frozen=True, eq=False)
class PixelShuffle(Routing):
    """(N, C r r, H, W) -> (N, C, H r, W r): every r r channels become a block of r rows and r columns.

    The cell at row r y + i and column r x + j of channel c is the one at row y and column x of channel r r c + r i + j.
    This is the sub-pixel convolution's shuffle (Shi et al. 2016, arXiv 1609.05158, eq. 4), with the channels in the
    order of `torch.nn.PixelShuffle`.

    Parameters
    ----------
    upscale_factor : int
        r, at least 1.

    Raises
    ------
    ParameterError
        If the factor is not a positive integer.
    """

    upscale_factor: int

    def __post_init__(self) -> None:
        check_integer(self.upscale_factor, "PixelShuffle: upscale_factor", least=1)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C r r, H, W) -> (N, C, H r, W r)."""
        (shape,) = self.counted(shapes)
        check_axes(shape, 2)
        (N, C, H, W), r = shape, self.upscale_factor
        if C % (r * r):
            raise ShapeError(f"PixelShuffle by {r} needs a multiple of {r * r} channels, got {C} in {shape}")
        return (N, C // (r * r), H * r, W * r)

    def forward(self, *inputs: Array) -> Array:
        """The larger image."""
        (a,) = self.floating(inputs)
        (N, C, H, W), r = self.output_shape(tuple(a.shape)), self.upscale_factor
        xp = array_namespace(a)
        blocks = xp.reshape(a, (N, C, r, r, H // r, W // r))
        return xp.reshape(xp.permute_dims(blocks, (0, 1, 4, 2, 5, 3)), (N, C, H, W))

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevance, shuffled back."""
        return (PixelUnshuffle(self.upscale_factor).forward(R),)


@dataclass(frozen=True, eq=False)
class PixelUnshuffle(Routing):
    """(N, C, H r, W r) -> (N, C r r, H, W): every block of r rows and r columns becomes r r channels.

    It undoes `PixelShuffle`.

    Parameters
    ----------
    downscale_factor : int
        r, at least 1.

    Raises
    ------
    ParameterError
        If the factor is not a positive integer.
    """

    downscale_factor: int

    def __post_init__(self) -> None:
        check_integer(self.downscale_factor, "PixelUnshuffle: downscale_factor", least=1)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, H r, W r) -> (N, C r r, H, W)."""
        (shape,) = self.counted(shapes)
        check_axes(shape, 2)
        (N, C, H, W), r = shape, self.downscale_factor
        if H % r or W % r:
            raise ShapeError(f"PixelUnshuffle by {r} needs multiples of {r} rows and columns, got {shape}")
        return (N, C * r * r, H // r, W // r)

    def forward(self, *inputs: Array) -> Array:
        """The smaller image with more channels."""
        (a,) = self.floating(inputs)
        (N, C, H, W), r = self.output_shape(tuple(a.shape)), self.downscale_factor
        xp = array_namespace(a)
        blocks = xp.reshape(a, (N, C // (r * r), H, r, W, r))
        return xp.reshape(xp.permute_dims(blocks, (0, 1, 3, 5, 2, 4)), (N, C, H, W))

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevance, shuffled back."""
        return (PixelShuffle(self.downscale_factor).forward(R),)


@dataclass(frozen=True, eq=False)
class ChannelShuffle(Routing):
    """The channels of g groups dealt out in turn: the first of every group, then the second of every group, ...

    Channel g k + i is channel (C / g) i + k of the input: the k-th of group i. This is the shuffle between grouped
    convolutions of Zhang et al. 2018 (arXiv 1707.01083, sec. 3.1), on arrays (N, C, ...).

    Parameters
    ----------
    groups : int
        g, at least 1; it must divide the number of channels, C.

    Raises
    ------
    ParameterError
        If `groups` is not a positive integer.
    """

    groups: int

    def __post_init__(self) -> None:
        check_integer(self.groups, "ChannelShuffle: groups", least=1)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input."""
        (shape,) = self.counted(shapes)
        if len(shape) < 2 or shape[1] % self.groups:
            raise ShapeError(f"ChannelShuffle needs a multiple of {self.groups} channels on axis 1, got {shape}")
        return shape

    def forward(self, *inputs: Array) -> Array:
        """The channels in another order."""
        (a,) = self.floating(inputs)
        N, C, *rest = shape = self.output_shape(tuple(a.shape))
        xp = array_namespace(a)
        dealt = xp.reshape(a, (N, self.groups, C // self.groups, *rest))
        return xp.reshape(xp.permute_dims(dealt, (0, 2, 1, *range(3, dealt.ndim))), shape)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevance in the old order: the shuffle of C / g groups undoes that of g."""
        return (ChannelShuffle(inputs[0].shape[1] // self.groups).forward(R),)
