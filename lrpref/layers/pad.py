"""A border around the input, as a layer of its own: constants, or copies of the input's cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from ..arithmetic import check_choice, check_number, zeros_like
from ..backend import Array, array_namespace, sum_per_sample
from ..errors import ShapeError
from ..ledger import Flow
from .base import Routing, Shape, SupportsFlow
from .conv import Sizes
from .window import as_padding, check_axes, crop, pad, padded

MODES = ("constant", "reflect", "replicate", "circular")


@dataclass(frozen=True, eq=False)
class Pad(Routing):
    """A border around the input.

    In mode "constant" the border holds `value`; relevance that falls on it belongs to a constant, and the ledger
    records it as *bias*. In the other modes each cell of the border is a copy of a cell of the input, to which its
    relevance returns: "reflect" mirrors the input at its first and last cell, "replicate" repeats these two, and
    "circular" continues at the other end.

    Use `Pad1D`, `Pad2D` or `Pad3D`.

    Parameters
    ----------
    padding : int, one per axis or (before, after) per axis
        The width of the border; for images, (top, bottom, left, right) gives each side its own.
    value : float, default 0.0
        The constant on the border.
    mode : {"constant", "reflect", "replicate", "circular"}, default "constant"
        What the border holds. A border in mode "reflect" must be smaller than the input, one in mode "circular" not
        larger.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    axes: ClassVar[int]

    padding: Sizes
    value: float = 0.0
    mode: str = "constant"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "padding", as_padding(self.padding, self.axes))
        check_number(self.value, f"{name} value")
        check_choice(self.mode, f"{name}: mode", MODES)

    @property
    def border(self) -> tuple[int, ...]:
        """(before, after) for each axis."""
        return cast(tuple[int, ...], self.padding)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, ...) -> (N, C, ...), each axis with its border."""
        (shape,) = self.counted(shapes)
        check_axes(shape, self.axes)
        most = {"reflect": -1, "circular": 0}.get(self.mode)
        if most is not None and any(p > shape[2 + k // 2] + most for k, p in enumerate(self.border)):
            raise ShapeError(f"padding {self.border} in mode {self.mode!r} needs a larger input than {shape}")
        return padded(shape, self.border)

    def forward(self, *inputs: Array) -> Array:
        """The input with its border."""
        (a,) = self.floating(inputs)
        self.output_shape(tuple(a.shape))
        if self.mode == "constant":
            return pad(a, self.border, self.value)
        xp = array_namespace(a)
        for axis, sources in self._sources(tuple(a.shape)):
            a = xp.take(a, xp.asarray(sources), axis=axis)
        return a

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevance of the input; copies return theirs."""
        shape = tuple(inputs[0].shape)
        if self.mode == "constant":
            return (crop(R, self.border),)
        for axis, sources in self._sources(shape):
            R = fold(R, sources, shape[axis], axis)
        return (R,)

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Route R to the input; the ledger records what falls on a constant border as bias."""
        if self.mode != "constant":
            return Flow(self.route(inputs, R))
        border = pad(zeros_like(inputs[0]), self.border, 1)
        return Flow(self.route(inputs, R), {"bias": sum_per_sample(border * R)})

    def _sources(self, shape: Shape) -> Iterator[tuple[int, list[int]]]:
        """For each spatial axis, yield it and the index of the cell that each cell of the padded axis copies."""
        for axis, n in enumerate(shape[2:]):
            before, after = self.border[2 * axis : 2 * axis + 2]
            yield axis + 2, [_source(k, n, self.mode) for k in range(-before, n + after)]


def _source(k: int, n: int, mode: str) -> int:
    """The cell of an axis with n cells that position k copies."""
    if mode == "circular":
        return k % n
    inner = min(max(k, 0), n - 1)
    return inner if mode == "replicate" else 2 * inner - k


def fold(R: Array, sources: Sequence[int], n: int, axis: int) -> Array:
    """Return the sum of R over the copies of each of the n cells along an axis; copy k is of the cell sources[k].

    It is the adjoint of `take(a, sources, axis)`.
    """
    xp = array_namespace(R)
    copies: list[list[int]] = [[] for _ in range(n)]
    for k, source in enumerate(sources):
        copies[source].append(k)
    total = None
    for nth in range(max(map(len, copies))):  # the first copy of each cell, then the second of those that have one, ...
        held = [len(each) > nth for each in copies]
        at = xp.asarray([each[nth] if has else 0 for each, has in zip(copies, held, strict=True)])
        part = xp.take(R, at, axis=axis)
        if not all(held):
            mask = xp.reshape(xp.asarray(held), (*(1,) * axis, n, *(1,) * (R.ndim - axis - 1)))
            part = xp.where(mask, part, zeros_like(part))
        total = part if total is None else total + part
    assert total is not None  # at least one cell has a copy
    return total


@dataclass(frozen=True, eq=False)
class Pad1D(Pad):
    """A border around signals: (N, C, L) -> (N, C, before + L + after). `Pad` describes its parameters."""

    axes: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Pad2D(Pad):
    """A border around images: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right).

    `Pad` describes its parameters.
    """

    axes: ClassVar[int] = 2


@dataclass(frozen=True, eq=False)
class Pad3D(Pad):
    """A border around volumes: (N, C, D, H, W) -> the same with longer axes. `Pad` describes its parameters."""

    axes: ClassVar[int] = 3
