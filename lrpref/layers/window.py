"""The geometry that convolutions and pooling share: a kernel sliding over a padded image.

A *tap* is one position (i, j) inside the kernel. For each tap, the cells of the padded image that meet it form one
strided slice, so a convolution is a short loop over taps, and its adjoint is the same loop backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..arithmetic import full, is_integer
from ..backend import Array
from ..errors import ParameterError, ShapeError, shown
from .base import Shape, check_size

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


def _integers(value: int | Sequence[int], lengths: tuple[int, ...], least: int, what: str) -> tuple[int, ...]:
    """Return `value` as a tuple of integers >= `least`; raise ParameterError for anything else."""
    given: Any = value
    numbers = tuple(given) if isinstance(given, tuple | list) or getattr(given, "ndim", 0) == 1 else (given,)
    if len(numbers) not in lengths or not all(is_integer(v, least) for v in numbers):
        allowed = " or ".join(map(str, lengths))
        raise ParameterError(f"{what} takes {allowed} integers >= {least}, got {shown(value)}")
    return tuple(int(v) for v in numbers)


def as_pair(value: int | Sequence[int], what: str, least: int = 1) -> Pair:
    """Return `value` as (rows, columns).

    Examples
    --------
    >>> as_pair(3, "stride"), as_pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    numbers = _integers(value, (1, 2), least, what)
    return (numbers[0], numbers[-1])


def as_padding(value: int | Sequence[int]) -> Padding:
    """Return `value` as (top, bottom, left, right): one number, (rows, columns), or all four.

    Examples
    --------
    >>> as_padding(1), as_padding((1, 2)), as_padding((0, 1, 2, 3))
    ((1, 1, 1, 1), (1, 1, 2, 2), (0, 1, 2, 3))
    """
    numbers = _integers(value, (1, 2, 4), 0, "padding")
    if len(numbers) == 4:
        return (numbers[0], numbers[1], numbers[2], numbers[3])
    rows, columns = numbers[0], numbers[-1]
    return (rows, rows, columns, columns)


def padded(shape: Shape, padding: Padding) -> Shape:
    """Return the shape of images (N, C, H, W) with their border; raise ShapeError if a sample becomes too large."""
    top, bottom, left, right = padding
    N, C, H, W = shape
    larger = (N, C, top + H + bottom, left + W + right)
    check_size(larger)
    return larger


def pad(x: Array, padding: Padding, value: float = 0) -> Array:
    """(N, C, H, W) -> the same with a border of `value`; a new array even where the border is empty."""
    top, _, left, _ = padding
    H, W = x.shape[2:]
    border = full(padded(tuple(x.shape), padding), value, like=x)
    border[:, :, top : top + H, left : left + W] = x
    return border


def crop(x: Array, padding: Padding) -> Array:
    """The inverse of `pad`: the image without its border."""
    top, bottom, left, right = padding
    H, W = x.shape[2:]
    return x[:, :, top : H - bottom, left : W - right]


def check_image(shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless `shape` is (N, C, H, W), with at least one channel and one cell."""
    if len(shape) != 4:
        hint = "; add the batch axis with x[None]" if len(shape) == 3 else ""
        raise ShapeError(f"expected images of shape (N, C, H, W), got {shape}{hint}")
    if 0 in shape[1:]:
        raise ShapeError(f"expected images with at least one channel and one cell, got {shape}")


@dataclass(frozen=True)
class Window:
    """A kernel of taps, `dilation` apart, moving by `stride` over an image with `padding`."""

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair = (1, 1)

    def output_size(self, shape: Shape) -> Pair:
        """Return (H, W) of the output for images (N, C, H, W); raise ShapeError if the kernel does not fit."""
        size = padded(shape, self.padding)[2:]
        extent = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        if size[0] < extent[0] or size[1] < extent[1]:
            raise ShapeError(
                f"a kernel of {self.kernel} with dilation {self.dilation} covers {extent} cells, more than the "
                f"{size} of the padded input; use a larger input, more padding or a smaller kernel"
            )
        rows, columns = ((p - e) // s + 1 for p, e, s in zip(size, extent, self.stride, strict=True))
        return (rows, columns)

    def taps(self, output: Pair) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
        """For each tap (i, j), yield the index of the padded cells that meet it, one per output position."""
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                starts = (i * self.dilation[0], j * self.dilation[1])
                rows, columns = (
                    slice(start, start + s * (n - 1) + 1, s)
                    for start, s, n in zip(starts, self.stride, output, strict=True)
                )
                yield i, j, (slice(None), slice(None), rows, columns)
