"""Resizing: copies of the nearest cells, or linear interpolation between neighbouring cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, floor

from ..arithmetic import as_fraction, check_choice, constant, full, is_integer, is_number, zeros_like
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError, shown
from .base import Layer, LinearLayer, Routing, Shape, check_size
from .pad import fold

COORDINATES = ("half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric", "pytorch_half_pixel")

HALF = Fraction(1, 2)

ROUNDINGS: Mapping[str, Callable[[Fraction], int]] = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda x: ceil(x - HALF),
    "round_prefer_ceil": lambda x: floor(x + HALF),
}


@dataclass(frozen=True, eq=False)
class Upsample(Layer):
    """What `UpsampleNearest` and `UpsampleLinear` share: the size of the output, for any number of spatial axes.

    Parameters
    ----------
    size : int or one per axis, optional
        The size of the output.
    scale_factor : float or one per axis, optional
        The ratio of the output's size to the input's; the output's size is rounded down. Give this or `size`.
    coordinates : {"half_pixel", "asymmetric", "align_corners", ...}, default "half_pixel"
        Where the cells of the output lie on an axis of the input.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or not exactly one of the first two is given.
    """

    size: int | tuple[int, ...] | None = None
    scale_factor: float | tuple[float, ...] | None = None
    coordinates: str = "half_pixel"

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_choice(self.coordinates, f"{name}: coordinates", COORDINATES)
        if (self.size is None) == (self.scale_factor is None):
            raise ParameterError(f"{name} takes either size or scale_factor")
        for what in ("size", "scale_factor"):
            given = getattr(self, what)
            values = tuple(given) if isinstance(given, tuple | list) else (given,)
            fits = all(is_integer(v, 1) if what == "size" else is_number(v) and v > 0 for v in values)
            if given is not None and not (values and fits):
                wanted = "integers >= 1" if what == "size" else "positive numbers"
                raise ParameterError(f"{name}: {what} takes {wanted}, one or one per axis, got {shown(given)}")
            if isinstance(given, list):
                object.__setattr__(self, what, tuple(given))

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, C, ...) -> (N, C, *size)."""
        (shape,) = self.counted(shapes)
        if len(shape) < 3 or 0 in shape[1:]:
            raise ShapeError(f"expected an input (N, C, ...) with at least one spatial axis, got {shape}")
        if self.size is not None:
            size = tuple(int(n) for n in self._per_axis(self.size, shape))
        else:
            size = tuple(floor(n / ratio) for n, ratio in zip(shape[2:], self.ratios(shape), strict=True))
        if 0 in size:
            raise ShapeError(f"the output would have {size} cells; use a larger scale_factor")
        output = (*shape[:2], *size)
        check_size(output)
        return output

    def ratios(self, shape: Shape) -> list[Fraction]:
        """How many cells of the input one cell of the output covers along each axis."""
        if self.size is not None:
            sizes = self._per_axis(self.size, shape)
            return [Fraction(n, int(m)) for n, m in zip(shape[2:], sizes, strict=True)]
        return [1 / as_fraction(factor) for factor in self._per_axis(self.scale_factor, shape)]

    def _per_axis(self, value: object, shape: Shape) -> Sequence[float]:
        values = value if isinstance(value, tuple) else (value,) * (len(shape) - 2)
        if len(values) != len(shape) - 2:
            raise ShapeError(f"{type(self).__name__} is for {len(values)} spatial axes, the input has shape {shape}")
        return values  # type: ignore[return-value]

    def sides(self, shape: Shape) -> Iterator[tuple[int, int, list[Fraction]]]:
        """For each spatial axis, yield it, its size n, and where the cells of the output lie on it, in [0, n - 1]."""
        sizes = zip(shape[2:], self.output_shape(shape)[2:], self.ratios(shape), strict=True)
        for axis, (n, m, ratio) in enumerate(sizes, 2):
            places = (coordinate(self.coordinates, k, n, m, ratio) for k in range(m))
            yield axis, n, [min(max(x, Fraction(0)), Fraction(n - 1)) for x in places]


def coordinate(convention: str, k: int, n: int, m: int, ratio: Fraction) -> Fraction:
    """Return where cell k of an axis of m cells lies on the axis of n cells that is resized, which may be beyond it."""
    if convention == "asymmetric":
        return k * ratio
    if convention == "align_corners":
        return Fraction(k * (n - 1), max(m - 1, 1))
    if convention == "pytorch_half_pixel" and m == 1:
        return Fraction(0)
    shift = Fraction(n, 2) * (1 - m * ratio / n) if convention == "half_pixel_symmetric" else 0
    return shift + (k + HALF) * ratio - HALF


@dataclass(frozen=True, eq=False)
class UpsampleNearest(Upsample, Routing):
    """Each cell of the output is a copy of the nearest cell of the input, to which its relevance returns.

    Along an axis with n cells, cell k of m lies at the coordinate k r ("asymmetric"), (k + 1/2) r - 1/2 ("half_pixel")
    or k (n - 1) / (m - 1) ("align_corners"), where r = n / m, or 1 / f for a `scale_factor` f. "half_pixel_symmetric"
    centres the output of a fractional `scale_factor` on the input, and "pytorch_half_pixel" puts a single cell at 0.
    The names are those of the operator Resize of ONNX.

    Parameters
    ----------
    size : int or one per axis, optional
        The size of the output.
    scale_factor : float or one per axis, optional
        The ratio of the output's size to the input's; the output's size is rounded down. Give this or `size`.
    coordinates : {"asymmetric", "half_pixel", "align_corners", ...}, default "asymmetric"
        Where the cells of the output lie.
    rounding : {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}, default "floor"
        Which cell is nearest. The defaults are PyTorch's mode "nearest"; its mode "nearest-exact" is "half_pixel" with
        "round_prefer_ceil".

    Raises
    ------
    ParameterError
        If a parameter is out of range, or not exactly one of the first two is given.

    Examples
    --------
    >>> import numpy as np
    >>> UpsampleNearest(scale_factor=2).forward(np.array([[[1.0, 2.0]]]))
    array([[[1., 1., 2., 2.]]])
    """

    coordinates: str = "asymmetric"
    rounding: str = "floor"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.rounding, "UpsampleNearest: rounding", tuple(ROUNDINGS))

    def forward(self, *inputs: Array) -> Array:
        """The copies."""
        (a,) = self.floating(inputs)
        xp = array_namespace(a)
        for axis, sources in self._sources(tuple(a.shape)):
            a = xp.take(a, xp.asarray(sources), axis=axis)
        return a

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The sum of R over the copies of each cell; 0 for a cell without any."""
        shape = tuple(inputs[0].shape)
        for axis, sources in self._sources(shape):
            R = fold(R, sources, shape[axis], axis)
        return (R,)

    def _sources(self, shape: Shape) -> Iterator[tuple[int, list[int]]]:
        """For each spatial axis, yield it and the cell that each output cell copies."""
        for axis, _, places in self.sides(shape):
            yield axis, [ROUNDINGS[self.rounding](x) for x in places]


@dataclass(frozen=True, eq=False)
class UpsampleLinear(Upsample, LinearLayer):
    """Linear interpolation along each spatial axis: "linear", "bilinear" and "trilinear" in PyTorch.

    A cell of the output that lies at the coordinate x of an axis is (1 - t) a_i + t a_k with i = floor(x), k = i + 1
    and t = x - i. Coordinates before the first cell or after the last one are moved to that cell. `UpsampleNearest`
    describes the coordinates.

    Parameters
    ----------
    size : int or one per axis, optional
        The size of the output.
    scale_factor : float or one per axis, optional
        The ratio of the output's size to the input's; the output's size is rounded down. Give this or `size`.
    coordinates : {"half_pixel", "asymmetric", "align_corners", ...}, default "half_pixel"
        Where the cells of the output lie. The default is PyTorch's; "align_corners" is its align_corners=True.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or not exactly one of the first two is given.

    Examples
    --------
    >>> import numpy as np
    >>> UpsampleLinear(scale_factor=2).forward(np.array([[[0.0, 4.0]]]))
    array([[[0., 1., 3., 4.]]])
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """The weight of each neighbour of each output cell: shape (neighbours, *size); 0 where there is none."""
        (a,) = inputs
        xp, shape = array_namespace(a), tuple(a.shape)
        weights = []
        for corner in self._corners(shape):
            w = full((1,) * len(corner), 1, like=a)
            for axis, along in enumerate(corner):
                parts = full((len(along),), 0, like=a)
                for k, (_, weight) in enumerate(along):
                    parts[k] = constant(weight, like=a)
                w = w * xp.reshape(parts, (*(1,) * axis, -1, *(1,) * (len(corner) - axis - 1)))
            weights.append(w)
        return xp.stack(weights), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """The sum over neighbours of w times their values."""
        (a,) = inputs
        xp, shape, w = array_namespace(a), tuple(a.shape), self._connected(w, *inputs)
        z = full(self.output_shape(shape), 0, like=a)
        for nth, corner in enumerate(self._corners(shape)):
            part = a
            for axis, along in enumerate(corner):
                part = xp.take(part, xp.asarray([source for source, _ in along]), axis=axis + 2)
            z = z + w[nth, ...] * part
        return z

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s, added to each neighbour."""
        c = full(shapes[0], 0, like=s)
        w = self._connected(w, c)
        for nth, corner in enumerate(self._corners(shapes[0])):
            part = w[nth, ...] * s
            for axis, along in enumerate(corner):
                part = fold(part, [source for source, _ in along], shapes[0][axis + 2], axis + 2)
            c = c + part
        return c

    def fan_in(self, *shapes: Shape) -> int:
        """2 for each spatial axis, multiplied."""
        return 2 ** (len(shapes[0]) - 2)

    def _connected(self, w: Array, a: Array) -> Array:
        """w where there is a neighbour, 0 elsewhere: the flat rule makes every weight 1."""
        return array_namespace(w).where(self.parameters(a)[0] != 0, w, zeros_like(w))

    def _corners(self, shape: Shape) -> Iterator[tuple[list[tuple[int, Fraction]], ...]]:
        """For each neighbour of a cell, yield along each axis the (source, weight) of every output cell."""
        sides = [[_neighbours(x, n) for x in places] for _, n, places in self.sides(shape)]
        for which in product((0, 1), repeat=len(sides)):
            yield tuple([pair[k] for pair in side] for k, side in zip(which, sides, strict=True))


def _neighbours(x: Fraction, n: int) -> tuple[tuple[int, Fraction], tuple[int, Fraction]]:
    """The cells of an axis with n cells on either side of the coordinate x, and their weights."""
    i = floor(x)
    return (i, 1 - x + i), (min(i + 1, n - 1), x - i)
