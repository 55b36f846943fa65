"""Compare two heatmaps of one input: how much and where they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import as_floating, check_finite, check_integer
from ..backend import Array, to_numpy
from ..errors import ShapeError
from ..evaluation import maps
from ..rational.conversion import to_float

TOLERANCE = 1e-5
"""The default tolerance: the relative L2 distance, in the worst sample, up to which two maps count as equal."""

ROUNDING = 1e-13
"""Distances up to this value are float64 rounding."""


@dataclass(frozen=True)
class Spot:
    """An index at which two maps differ, and their values there."""

    index: tuple[int, ...]
    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """The difference between two maps R1 and R2; prints as a table.

    A ratio to zero is 0 for equal maps, and infinite otherwise.

    Parameters
    ----------
    relative_l2 : float
        |R1 - R2| / |R1|, Euclidean norms.
    max_abs : float
        max |R1 - R2|.
    max_rel : float
        max |R1 - R2| / max |R1|.
    cosine : float
        The cosine of the angle between the maps; NaN if one of them is zero.
    rank_correlation : float
        Spearman's, ties with their mean rank; NaN if one map is constant.
    where : tuple of Spot
        The indices with the largest differences, the largest first; empty for equal maps.
    samples : tuple of Comparison
        The comparison of each sample; empty for maps with a single axis.
    """

    relative_l2: float
    max_abs: float
    max_rel: float
    cosine: float
    rank_correlation: float
    where: tuple[Spot, ...]
    samples: tuple[Comparison, ...] = ()

    @property
    def worst(self) -> float:
        """The largest `relative_l2` of a sample, which no other sample can hide."""
        return max((sample.relative_l2 for sample in self.samples), default=self.relative_l2)

    def table(self, first: str = "R1", second: str = "R2") -> str:
        """Return the numbers as text, with these names for the two maps."""
        lines = [
            f"relative L2         {self.relative_l2:.3g}",
            f"largest difference  {self.max_abs:.3g} ({self.max_rel:.3g} of the largest relevance)",
            f"cosine              {self.cosine:.6f}",
            f"rank correlation    {self.rank_correlation:.4f}",
        ]
        if len(self.samples) > 1:
            worst = max(range(len(self.samples)), key=lambda n: self.samples[n].relative_l2)
            lines.append(f"worst sample        {worst} of {len(self.samples)}, relative L2 {self.worst:.3g}")
        if self.where:
            width = max(len("they differ most at"), *(len(str(spot.index)) for spot in self.where))
            lines.append(f"{'they differ most at':{width}}{first:>12}{second:>12}{'difference':>12}")
            for spot in self.where:
                numbers = f"{spot.first:12.5g}{spot.second:12.5g}{spot.first - spot.second:12.2g}"
                lines.append(f"{spot.index!s:{width}}{numbers}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()


def compare(R1: Array, R2: Array, k: int = 5) -> Comparison:
    """Measure the difference between two maps, for the whole batch and for each sample.

    Parameters
    ----------
    R1, R2 : array, shape (N, ...)
        The maps, of any backend and number type. Ratios refer to `R1`.
    k : int, default 5
        The number of indices to list where the maps differ most.

    Returns
    -------
    Comparison
        The measures; print it for a table.

    Raises
    ------
    ShapeError
        If the shapes differ, or a map is a single number.
    InputError
        If a map holds NaN or infinities.

    Examples
    --------
    >>> print(compare(np.array([[3.0, 4.0, 0.0]]), np.array([[3.0, 4.0, 0.5]])))
    relative L2         0.1
    largest difference  0.5 (0.125 of the largest relevance)
    cosine              0.995037
    rank correlation    1.0000
    they differ most at          R1          R2  difference
    (0, 2)                        0         0.5        -0.5
    """
    check_integer(k, "k", least=0)
    first, second = as_map(R1, "the first map"), as_map(R2, "the second map")
    if first.shape != second.shape:
        raise ShapeError(f"the maps have shapes {first.shape} and {second.shape}")
    samples = tuple(_measure(a, b, k) for a, b in zip(first, second, strict=True)) if first.ndim > 1 else ()
    return _measure(first, second, k, samples)


def as_map(given: Any, what: str) -> np.ndarray:
    """Return a map in float64; raises ShapeError or InputError unless it is a finite array."""
    R = to_float(as_floating(to_numpy(given), what))
    if R.ndim == 0:
        raise ShapeError(f"{what} is one number; expected an array of shape (N, ...)")
    check_finite(R, what)
    return R


def _measure(a: np.ndarray, b: np.ndarray, k: int, samples: tuple[Comparison, ...] = ()) -> Comparison:
    """The measures of two arrays."""
    peak = max(_peak(a), _peak(b)) or 1.0
    u, v = a / peak, b / peak  # so that no difference overflows
    difference = abs(u - v)
    max_abs = _peak(difference)
    return Comparison(
        relative_l2=_of_all(maps.relative_l2, b, a),
        max_abs=max_abs * peak,
        max_rel=_ratio(max_abs, _peak(u)),
        cosine=_of_all(maps.cosine, a, b) if a.any() and b.any() else float("nan"),
        rank_correlation=_of_all(maps.spearman, a, b),
        where=_largest(a, b, difference, k),
        samples=samples,
    )


def _of_all(measure: Callable[[Array, Array], np.ndarray], a: np.ndarray, b: np.ndarray) -> float:
    """A measure of two arrays as a whole, each taken as one sample."""
    return float(measure(a[None], b[None])[0])


def _peak(x: np.ndarray) -> float:
    return float(abs(x).max(initial=0.0))


def _ratio(part: float, whole: float) -> float:
    """part / whole; with whole = 0, 0 for part = 0 and infinity otherwise."""
    return part / whole if whole > 0 else 0.0 if part == 0 else float("inf")


def _largest(a: np.ndarray, b: np.ndarray, difference: np.ndarray, k: int) -> tuple[Spot, ...]:
    """The k largest differences above zero; equal ones in reading order."""
    flat = difference.reshape(-1)
    order = [int(i) for i in np.argsort(-flat, kind="stable")[:k] if flat[i] > 0]
    places = [tuple(int(n) for n in np.unravel_index(i, difference.shape)) for i in order]
    return tuple(Spot(place, float(a[place]), float(b[place])) for place in places)


# ---- for the search ---------------------------------------------------------------------------------------------


def fit(R: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the map in another shape if that differs only by axes of length 1, else None."""
    alike = [n for n in R.shape if n != 1] == [n for n in shape if n != 1]
    return R.reshape(shape) if alike else None


def worst_distance(theirs: np.ndarray, R: np.ndarray | None) -> float:
    """Return relative L2 in the worst sample; infinite if R is None, does not fit or is not finite."""
    fitting = None if R is None else fit(R, theirs.shape)
    if fitting is None or not np.all(np.isfinite(fitting)):
        return float("inf")
    return max(maps.relative_l2(fitting, theirs).tolist(), default=0.0)
