"""The geometry that convolutions and pooling share: a kernel sliding over a padded input of any number of axes.

A *tap* is one position inside the kernel, such as (i, j) for images. For each tap, the cells of the padded input that
meet it form one strided slice, so a convolution is a short loop over taps, and its adjoint is the same loop backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..arithmetic import full, is_integer
from ..backend import Array
from ..errors import ParameterError, ShapeError, shown
from .base import Shape, check_size

KINDS = {1: ("signals", "(N, C, L)"), 2: ("images", "(N, C, H, W)"), 3: ("volumes", "(N, C, D, H, W)")}
"""What an input with so many spatial axes is called, and its shape."""

Cells = tuple[slice, ...]


def _integers(value: int | Sequence[int], lengths: tuple[int, ...], least: int, what: str) -> tuple[int, ...]:
    """Return `value` as a tuple of integers >= `least`; raise ParameterError for anything else."""
    given: Any = value
    numbers = tuple(given) if isinstance(given, tuple | list) or getattr(given, "ndim", 0) == 1 else (given,)
    if len(numbers) not in lengths or not all(is_integer(v, least) for v in numbers):
        allowed = " or ".join(map(str, sorted(set(lengths))))
        noun = "integer" if set(lengths) == {1} else "integers"
        raise ParameterError(f"{what} takes {allowed} {noun} >= {least}, got {shown(value)}")
    return tuple(int(v) for v in numbers)


def per_axis(value: int | Sequence[int], axes: int, what: str, least: int = 1) -> tuple[int, ...]:
    """Return `value` as one integer per spatial axis.

    Examples
    --------
    >>> per_axis(3, 2, "stride"), per_axis((1, 2), 2, "stride")
    ((3, 3), (1, 2))
    """
    numbers = _integers(value, (1, axes), least, what)
    return numbers if len(numbers) == axes else numbers * axes


def as_padding(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return `value` as (before, after) for each axis, in one tuple: one number, one per axis, or all of them.

    Examples
    --------
    >>> as_padding(1, 2), as_padding((1, 2), 2), as_padding((0, 1, 2, 3), 2)
    ((1, 1, 1, 1), (1, 1, 2, 2), (0, 1, 2, 3))
    """
    numbers = _integers(value, (1, axes, 2 * axes), 0, "padding")
    if len(numbers) == 2 * axes:
        return numbers
    return tuple(n for n in (numbers if len(numbers) == axes else numbers * axes) for _ in range(2))


def padded(shape: Shape, padding: Sequence[int]) -> Shape:
    """Return the shape of an input (N, C, ...) with its border; raise ShapeError if a sample becomes too large."""
    sides = zip(shape[2:], padding[::2], padding[1::2], strict=True)
    larger = (*shape[:2], *(before + n + after for n, before, after in sides))
    check_size(larger)
    return larger


def inside(shape: Shape, padding: Sequence[int]) -> Cells:
    """Return the index of an input of this shape within its border."""
    sides = zip(shape[2:], padding[::2], strict=True)
    return (slice(None), slice(None), *(slice(before, before + n) for n, before in sides))


def pad(x: Array, padding: Sequence[int], value: float = 0) -> Array:
    """(N, C, ...) -> the same with a border of `value`; a new array even where the border is empty."""
    shape = tuple(x.shape)
    border = full(padded(shape, padding), value, like=x)
    border[inside(shape, padding)] = x
    return border


def crop(x: Array, padding: Sequence[int]) -> Array:
    """The inverse of `pad`: the input without its border."""
    sides = zip(x.shape[2:], padding[::2], padding[1::2], strict=True)
    return x[(slice(None), slice(None), *(slice(before, n - after) for n, before, after in sides))]


def check_axes(shape: Shape, axes: int) -> None:
    """Raise ShapeError unless `shape` is (N, C, ...) with this many spatial axes, a channel and a cell."""
    kind, expected = KINDS[axes]
    if len(shape) != axes + 2:
        hint = "; add the batch axis with x[None]" if len(shape) == axes + 1 else ""
        raise ShapeError(f"expected {kind} of shape {expected}, got {shape}{hint}")
    if 0 in shape[1:]:
        raise ShapeError(f"expected {kind} with at least one channel and one cell, got {shape}")


@dataclass(frozen=True)
class Window:
    """A kernel of taps, `dilation` apart, moving by `stride` over an input with `padding`.

    With `ceil_mode` there is one more window at the end of an axis where the last cells would be left over, as in
    PyTorch: it starts inside the input or the padding before it, and its remaining cells lie beyond the padding.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    @property
    def extent(self) -> tuple[int, ...]:
        """How many cells the kernel covers along each axis, gaps included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def output_size(self, shape: Shape) -> tuple[int, ...]:
        """Return the size of the output for an input (N, C, ...); raise ShapeError if the kernel does not fit."""
        size, extent = padded(shape, self.padding)[2:], self.extent
        if any(n < e for n, e in zip(size, extent, strict=True)):
            raise ShapeError(
                f"a kernel of {self.kernel} with dilation {self.dilation} covers {extent} cells, more than the "
                f"{size} of the padded input; use a larger input, more padding or a smaller kernel"
            )
        whole = tuple((n - e) // s + 1 for n, e, s in zip(size, extent, self.stride, strict=True))
        if not self.ceil_mode:
            return whole
        fits = zip(whole, size, extent, self.stride, shape[2:], self.padding[::2], strict=True)
        return tuple(n + ((p - e) % s > 0 and n * s < before + cells) for n, p, e, s, cells, before in fits)

    def border(self, shape: Shape) -> tuple[int, ...]:
        """Return the padding, enlarged at the end where a window of `ceil_mode` extends beyond it."""
        if not self.ceil_mode:
            return self.padding
        sides = zip(padded(shape, self.padding)[2:], self.output_size(shape), self.stride, self.extent, strict=True)
        beyond = [max(0, (n - 1) * s + e - p) for p, n, s, e in sides]
        return tuple(p + (beyond[k // 2] if k % 2 else 0) for k, p in enumerate(self.padding))

    def taps(self, output: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Cells]]:
        """For each tap, yield it and the index of the padded cells that meet it, one per output position."""
        for tap in product(*map(range, self.kernel)):
            sides = zip(tap, self.dilation, self.stride, output, strict=True)
            cells = (slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in sides)
            yield tap, (slice(None), slice(None), *cells)
