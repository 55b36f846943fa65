"""Pixel flipping: take away what a map calls important, and watch the output.

    x(0) = x;  x(k) = x with the first k regions of an order replaced by the fill
    the curve:  f(x(0)), f(x(1)), ..., f(x(L))

(Bach et al. 2015, PLoS ONE 10(7):e0130140, "pixel-flipping".) With the *most* relevant first (MoRF) a good map makes
the output fall fast; with the *least* relevant first (LeRF) it keeps it up. One number each, per sample:

    AOPC = 1/(L+1) sum_{k=0..L} ( f(x(0)) - f(x(k)) )                        MoRF: higher is better
    ABPC = 1/(L+1) sum_{k=0..L} ( f(x_LeRF(k)) - f(x_MoRF(k)) )              higher is better
    area = the integral of the curve over the share of regions changed, divided by the largest share

(Samek et al. 2017, IEEE TNNLS 28(11):2660: AOPC, and the area between the two curves.) ABPC takes off what any change
of the picture does to the output, whatever the order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..errors import InputError, ParameterError
from .conventions import BACH2015, Conventions
from .ranking import ORDERS, ranks
from .scores import Scorer, generators, measured, outputs, prepared

NAMES = {"morf": "most relevant first", "lerf": "least relevant first", "insertion": "most relevant back first"}


@dataclass(frozen=True, eq=False)
class Curve:
    """What became of the output, per sample, while the input was changed; prints as a table.

    scores       (N, L+1): column k is f(x(k)), column 0 the start
    changed      (L+1,): the share of regions changed, from 0
    order        "morf", "lerf" or "insertion"
    target       (N,): the class that was measured
    conventions  how
    """

    scores: np.ndarray
    changed: np.ndarray
    order: str
    target: np.ndarray
    conventions: Conventions

    @property
    def aopc(self) -> np.ndarray:
        """1/(L+1) sum_k ( f(x(0)) - f(x(k)) ), per sample: (N,). The point k = 0 counts, and adds nothing."""
        drops: np.ndarray = (self.scores[:, :1] - self.scores).mean(axis=1)
        return drops

    @property
    def area(self) -> np.ndarray:
        """The area under the curve by trapezoids, divided by its width, per sample: (N,), in the units of f."""
        width = self.changed[-1] - self.changed[0]
        average: np.ndarray = np.trapezoid(self.scores, self.changed, axis=1) / width
        return average

    def __str__(self) -> str:
        N = len(self.scores)
        lines = [f"pixel flipping, {NAMES[self.order]}, {N} samples", f"({self.conventions})"]
        lines += ["  changed        mean   std. dev.", "-" * 32]
        for k in _shown(len(self.changed)):
            column = self.scores[:, k]
            lines.append(f"{self.changed[k]:9.1%}{mean(column):12.4g}{deviation(column):12.4g}")
        return "\n".join([*lines, told("AOPC", self.aopc), told("area", self.area)])


@dataclass(frozen=True, eq=False)
class BetweenCurves:
    """Both orders on the same fill, and what lies between them; prints as a table.

    morf, lerf  the two curves
    """

    morf: Curve
    lerf: Curve

    @property
    def abpc(self) -> np.ndarray:
        """1/(L+1) sum_k ( f(x_LeRF(k)) - f(x_MoRF(k)) ), per sample: (N,)."""
        between: np.ndarray = (self.lerf.scores - self.morf.scores).mean(axis=1)
        return between

    def __str__(self) -> str:
        lines = [f"pixel flipping, both orders, {len(self.abpc)} samples", f"({self.morf.conventions})"]
        lines += ["  changed  MoRF mean   LeRF mean     between", "-" * 44]
        for k in _shown(len(self.morf.changed)):
            most, least = mean(self.morf.scores[:, k]), mean(self.lerf.scores[:, k])
            lines.append(f"{self.morf.changed[k]:9.1%}{most:11.4g}{least:12.4g}{least - most:12.4g}")
        return "\n".join([*lines, told("ABPC", self.abpc), told("AOPC of MoRF", self.morf.aopc)])


def pixel_flipping(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    order: str = "morf",
    conventions: Conventions = BACH2015,
    batch_size: int = 64,
    **changes: Any,
) -> Curve:
    """The output while the input is taken away, most relevant first ("morf") or least relevant first ("lerf").

    scorer       a network, or any callable: a batch (N, ...) in, (N, classes) outputs out
    x            the batch, floating point
    R            its relevance, shaped like `x`, or for images one value per pixel: (N, H, W) or (N, 1, H, W)
    target       the class that is measured: an index, one per sample, or None for the largest output on `x`
    conventions  see `Conventions`; single ones may be given by name, as in `fill="mean"`
    batch_size   how many changed inputs the scorer gets at once; the result does not depend on it

    Raises ShapeError, InputError, TargetError, ParameterError, UnknownNameError before anything is measured.

    >>> linear = lambda x: x @ np.array([[1.0], [2.0]])
    >>> x = np.array([[1.0, 1.0]])
    >>> pixel_flipping(linear, x, x * [1.0, 2.0]).scores
    array([[3., 1., 0.]])
    """
    if order not in ORDERS:
        raise ParameterError(f'order is "morf" or "lerf", got {order!r}')
    return curves(scorer, x, R, target, (order,), conventions, batch_size, changes)[0]


def abpc(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    conventions: Conventions = BACH2015,
    batch_size: int = 64,
    **changes: Any,
) -> BetweenCurves:
    """Both orders, and the area between their curves: see `pixel_flipping` for the arguments.

    >>> linear = lambda x: x @ np.array([[1.0], [2.0]])
    >>> x = np.array([[1.0, 1.0]])
    >>> abpc(linear, x, x * [1.0, 2.0]).abpc  # (0 + (2 - 1) + 0) / 3
    array([0.33333333])
    """
    return BetweenCurves(*curves(scorer, x, R, target, ORDERS, conventions, batch_size, changes))


def curves(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None,
    orders: tuple[str, ...],
    conventions: Conventions,
    batch_size: int,
    changes: dict[str, Any],
) -> list[Curve]:
    """A curve for each order; all of them on the same draws of the fill."""
    conventions = _changed(conventions, changes)
    if batch_size < 1:
        raise ParameterError(f"batch_size is at least 1, got {batch_size}")
    scorer, batch, home, classes = prepared(scorer, x, target, conventions.output)
    relevance = to_numpy(R)
    found: dict[str, Any] = dict.fromkeys(orders, 0.0)
    for draw in range(conventions.repeats):
        background = conventions.filled.background(batch, generators(batch, conventions.seed, 2 * draw))
        for order in orders:
            ties = generators(batch, conventions.seed, 2 * draw + 1)
            rank, parts = ranks(relevance, batch, conventions, "lerf" if order == "lerf" else "morf", ties)
            counts = _counts(parts, conventions)
            start, end = (background, batch) if order == "insertion" else (batch, background)
            scores = _scores(scorer, start, end, rank, counts, classes, conventions.output, home, batch_size)
            found[order] = found[order] + scores / conventions.repeats
    return [
        Curve(_normalised(found[order], conventions), counts / parts, order, classes, conventions) for order in orders
    ]


def _changed(conventions: Conventions, changes: dict[str, Any]) -> Conventions:
    """The conventions with some of them replaced; raises ParameterError for a name that is none."""
    try:
        return replace(conventions, **changes) if changes else conventions
    except TypeError as error:
        raise ParameterError(f"no such convention: {error}") from error


def _counts(parts: int, conventions: Conventions) -> np.ndarray:
    """How many regions are changed at each point of the curve, from 0; the last step may be a shorter one."""
    counts = np.append(np.arange(0, parts, conventions.step), parts)
    return counts if conventions.steps is None else counts[: conventions.steps + 1]


def _scores(
    scorer: Scorer,
    start: np.ndarray,
    end: np.ndarray,
    rank: np.ndarray,
    counts: np.ndarray,
    target: np.ndarray,
    output: str,
    home: str,
    batch_size: int,
) -> np.ndarray:
    """f at every point of every sample's curve, (N, points): a few changed inputs at a time, never all of them."""
    N, points = len(start), len(counts)
    found = np.empty(N * points)
    for first in range(0, N * points, batch_size):
        n, k = np.divmod(np.arange(first, min(first + batch_size, N * points)), points)
        changed = rank[n] < counts[k].reshape(-1, *(1,) * (rank.ndim - 1))
        images = np.where(changed, end[n], start[n])
        found[first : first + len(n)] = measured(outputs(scorer, images, home), target[n], output)
    return found.reshape(N, points)


def _normalised(scores: np.ndarray, conventions: Conventions) -> np.ndarray:
    """The curves as they are, or each divided by its value at k = 0."""
    if conventions.normalise == "none":
        return scores
    if not (scores[:, 0] > 0).all():
        sample = int(np.argmin(scores[:, 0]))
        raise InputError(
            f'normalise="start" divides by the output on the untouched input, which is {scores[sample, 0]:.4g} for '
            f'sample {sample}; use normalise="none" or output="probability"'
        )
    relative: np.ndarray = scores / scores[:, :1]
    return relative


# ---- in words ----------------------------------------------------------------------------------------------------


def _shown(points: int, most: int = 11) -> list[int]:
    """The points of a curve that a table shows."""
    return sorted(set(np.linspace(0, points - 1, min(points, most)).round().astype(int).tolist()))


def mean(values: np.ndarray) -> float:
    """The mean; NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")


def deviation(values: np.ndarray) -> float:
    """The standard deviation of a sample; 0 of a single value."""
    return float(values.std(ddof=1)) if values.size > 1 else 0.0


def told(name: str, values: np.ndarray) -> str:
    """ "AOPC 1.234, standard error 0.056 over 20 samples"."""
    error = deviation(values) / max(len(values), 1) ** 0.5
    return f"{name} {mean(values):.4g}, standard error {error:.2g} over {len(values)} samples"
