"""Pixel flipping: remove what a map calls important, and measure the output.

    x(0) = x;  x(k) = x with the first k regions of an order replaced by the fill
    the curve:  f(x(0)), f(x(1)), ..., f(x(L))

(Bach et al. 2015, PLoS ONE 10(7):e0130140, "pixel-flipping".) With the *most* relevant first (MoRF), a good map makes
the output fall fast; with the *least* relevant first (LeRF), it keeps the output high. Scores per sample:

    AOPC = 1/(L+1) sum_{k=0..L} ( f(x(0)) - f(x(k)) )                        MoRF: higher is better
    ABPC = 1/(L+1) sum_{k=0..L} ( f(x_LeRF(k)) - f(x_MoRF(k)) )              higher is better
    area = the integral of the curve over the fraction of changed regions, divided by the largest fraction

(AOPC, and ABPC, the "area between perturbation curves": Samek et al. 2017, IEEE TNNLS 28(11):2660.) The difference of
both orders cancels what any change of the image does to the output, in whatever order.

Despite their names, AOPC and ABPC are means over the L+1 points of a curve, not areas. The point k = 0 adds a zero to
both. ABPC has another zero where everything has been replaced, because both orders meet there. The larger the steps,
the more these zeros weigh. `Curve.area` and `BetweenCurves.area` are areas, by trapezoids. If the two orders meet at
both ends and all steps are equal, area = ABPC (L+1) / L.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic import as_floating, check_choice, check_integer
from ..backend import Array, to_numpy
from ..errors import InputError, ParameterError, shown
from ..signatures import Signature
from .conventions import BACH2015, Conventions
from .ranking import ORDERS, ranks
from .scores import Scorer, generators, measured, outputs, prepared

NAMES = {"morf": "most relevant first", "lerf": "least relevant first", "insertion": "most relevant back first"}


@dataclass(frozen=True, eq=False)
class Curve:
    """The output per sample while the input was changed; prints as a table.

    Parameters
    ----------
    scores : numpy.ndarray, shape (N, L+1)
        Column k is f(x(k)), column 0 the start.
    changed : numpy.ndarray, shape (L+1,)
        The fraction of changed regions, from 0.
    order : {"morf", "lerf", "insertion"}
        The order in which regions were changed.
    target : numpy.ndarray, shape (N,)
        The measured class.
    conventions : Conventions
        How the input was changed and what was measured.
    signature : str
        The signature of the maps, if it was given.
    """

    scores: np.ndarray
    changed: np.ndarray
    order: str
    target: np.ndarray
    conventions: Conventions
    signature: str = ""

    @property
    def aopc(self) -> np.ndarray:
        """1/(L+1) sum_k ( f(x(0)) - f(x(k)) ) per sample, (N,). The point k = 0 counts and adds nothing."""
        drops: np.ndarray = (self.scores[:, :1] - self.scores).mean(axis=1)
        return drops

    @property
    def area(self) -> np.ndarray:
        """The area under the curve by trapezoids, divided by its width, per sample, (N,), in the units of f."""
        width = self.changed[-1] - self.changed[0]
        average: np.ndarray = np.trapezoid(self.scores, self.changed, axis=1) / width
        return average

    def __str__(self) -> str:
        N = len(self.scores)
        lines = [f"pixel flipping, {NAMES[self.order]}, {N} samples", *_about(self)]
        lines += ["  changed        mean   std. dev.", "-" * 32]
        for k in _shown(len(self.changed)):
            column = self.scores[:, k]
            lines.append(f"{self.changed[k]:9.1%}{mean(column):12.4g}{deviation(column):12.4g}")
        return "\n".join([*lines, _with_error("AOPC", self.aopc), _with_error("area", self.area)])


@dataclass(frozen=True, eq=False)
class BetweenCurves:
    """Both orders on the same fill, and how far they are apart; prints as a table.

    Parameters
    ----------
    morf, lerf : Curve
        The curves with the most and the least relevant first.
    """

    morf: Curve
    lerf: Curve

    @property
    def abpc(self) -> np.ndarray:
        """1/(L+1) sum_k ( f(x_LeRF(k)) - f(x_MoRF(k)) ) per sample, (N,): a mean over points, not an area."""
        between: np.ndarray = (self.lerf.scores - self.morf.scores).mean(axis=1)
        return between

    @property
    def area(self) -> np.ndarray:
        """The area between both curves by trapezoids, divided by their width, per sample, (N,), in the units of f."""
        return self.lerf.area - self.morf.area

    def __str__(self) -> str:
        lines = [f"pixel flipping, both orders, {len(self.abpc)} samples", *_about(self.morf)]
        lines += ["  changed  MoRF mean   LeRF mean     between", "-" * 44]
        for k in _shown(len(self.morf.changed)):
            most, least = mean(self.morf.scores[:, k]), mean(self.lerf.scores[:, k])
            lines.append(f"{self.morf.changed[k]:9.1%}{most:11.4g}{least:12.4g}{least - most:12.4g}")
        scores = {"area between": self.area, "ABPC": self.abpc, "AOPC of MoRF": self.morf.aopc}
        return "\n".join([*lines, *(_with_error(name, values) for name, values in scores.items())])


def pixel_flipping(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    order: str = "morf",
    conventions: Conventions = BACH2015,
    batch_size: int = 64,
    signature: Signature | str = "",
    **changes: Any,
) -> Curve:
    """Measure the output while the input is removed, most or least relevant first.

    All errors are raised before anything is measured.

    Parameters
    ----------
    scorer : Network or callable
        Maps a batch (N, ...) to outputs (N, classes).
    x : array, shape (N, ...)
        The batch, floating point.
    R : array
        Its relevance, shaped like `x` or, for images, one value per pixel: (N, H, W) or (N, 1, H, W).
    target : int, array of int, or None
        The measured class: an index, one per sample, or None for the largest output on `x`.
    order : {"morf", "lerf"}, default "morf"
        Most relevant first or least relevant first.
    conventions : Conventions
        How the input is changed and what is measured.
    batch_size : int, default 64
        How many changed inputs the scorer gets at once; the result does not depend on it.
    signature : Signature or str, optional
        The signature of the maps, to be printed with the result: `lrpref.signature(net, ...)`, or for maps of another
        origin a text of your own.
    **changes
        Single conventions by name, as in `fill="mean"`; they override `conventions`.

    Returns
    -------
    Curve
        The curve of every sample.

    Raises
    ------
    ShapeError
        If the shape of `R` or of the outputs does not fit `x`.
    InputError
        If `x`, `R` or an output is not finite.
    DTypeError
        If `R` is complex, or not numbers.
    TargetError
        If a class does not exist.
    ParameterError
        If `order` or a convention is invalid.
    UnknownNameError
        If no fill has this name.

    Examples
    --------
    >>> linear = lambda x: x @ np.array([[1.0], [2.0]])
    >>> x = np.array([[1.0, 1.0]])
    >>> pixel_flipping(linear, x, x * [1.0, 2.0]).scores
    array([[3., 1., 0.]])
    """
    check_choice(order, "order", ORDERS)
    return curves(scorer, x, R, target, (order,), conventions, batch_size, changes, signature)[0]


def abpc(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None = None,
    conventions: Conventions = BACH2015,
    batch_size: int = 64,
    signature: Signature | str = "",
    **changes: Any,
) -> BetweenCurves:
    """Measure the output in both orders, and how far their curves are apart.

    Parameters
    ----------
    scorer, x, R, target, conventions, batch_size, signature, **changes
        As in `pixel_flipping`.

    Returns
    -------
    BetweenCurves
        Both curves of every sample, on the same draws of the fill.

    Raises
    ------
    LrprefError
        As in `pixel_flipping`.

    Examples
    --------
    >>> linear = lambda x: x @ np.array([[1.0], [2.0]])
    >>> x = np.array([[1.0, 1.0]])
    >>> both = abpc(linear, x, x * [1.0, 2.0])
    >>> both.abpc  # the mean over three points, (0 + (2 - 1) + 0) / 3
    array([0.33333333])
    >>> both.area  # a triangle of width 1 and height 1
    array([0.5])
    """
    return BetweenCurves(*curves(scorer, x, R, target, ORDERS, conventions, batch_size, changes, signature))


def curves(
    scorer: Scorer,
    x: Array,
    R: Array,
    target: int | Array | None,
    orders: tuple[str, ...],
    conventions: Conventions,
    batch_size: int,
    changes: dict[str, Any],
    signature: Signature | str,
) -> list[Curve]:
    """Return one curve per order, all on the same draws of the fill."""
    if not isinstance(signature, Signature | str):
        raise ParameterError(f"signature must be a Signature or a text, got {shown(signature)}")
    conventions = _changed(conventions, changes)
    check_integer(batch_size, "batch_size", least=1)
    scorer, head, batch, home, classes = prepared(scorer, x, target, conventions.output)
    relevance = to_numpy(as_floating(R, "the relevance"))
    found: dict[str, Any] = dict.fromkeys(orders, 0.0)
    for draw in range(conventions.repeats):
        background = conventions.filled.background(batch, generators(batch, conventions.seed, 2 * draw))
        for order in orders:
            ties = generators(batch, conventions.seed, 2 * draw + 1)
            rank, parts = ranks(relevance, batch, conventions, "lerf" if order == "lerf" else "morf", ties)
            counts = _counts(parts, conventions)
            start, end = (background, batch) if order == "insertion" else (batch, background)
            measure = partial(measured, output=conventions.output, head=head)
            scores = _scores(scorer, measure, start, end, rank, counts, classes, home, batch_size)
            found[order] = found[order] + scores / conventions.repeats
    return [
        Curve(_normalised(found[order], conventions), counts / parts, order, classes, conventions, str(signature))
        for order in orders
    ]


def _changed(conventions: Conventions, changes: dict[str, Any]) -> Conventions:
    """The conventions with some of them replaced; raises ParameterError for an unknown name."""
    given: object = conventions
    if not isinstance(given, Conventions):
        raise ParameterError(f"conventions must be Conventions, got {shown(given)}")
    try:
        return replace(conventions, **changes) if changes else conventions
    except TypeError as error:
        raise ParameterError(f"unknown convention: {error}") from error


def _counts(parts: int, conventions: Conventions) -> np.ndarray:
    """The number of changed regions at each point of the curve, from 0; the last step may be shorter."""
    counts = np.append(np.arange(0, parts, conventions.step), parts)
    return counts if conventions.steps is None else counts[: conventions.steps + 1]


def _scores(
    scorer: Scorer,
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    start: np.ndarray,
    end: np.ndarray,
    rank: np.ndarray,
    counts: np.ndarray,
    target: np.ndarray,
    home: str,
    batch_size: int,
) -> np.ndarray:
    """f at every point of every sample's curve, (N, points), computed in batches of changed inputs."""
    N, points = len(start), len(counts)
    found = np.empty(N * points)
    for first in range(0, N * points, batch_size):
        n, k = np.divmod(np.arange(first, min(first + batch_size, N * points)), points)
        changed = rank[n] < counts[k].reshape(-1, *(1,) * (rank.ndim - 1))
        images = np.where(changed, end[n], start[n])
        found[first : first + len(n)] = measure(outputs(scorer, images, home), target[n])
    return found.reshape(N, points)


def _normalised(scores: np.ndarray, conventions: Conventions) -> np.ndarray:
    """The curves unchanged, or each divided by its value at k = 0."""
    if conventions.normalise == "none":
        return scores
    if not (scores[:, 0] > 0).all():
        sample = int(np.argmin(scores[:, 0]))
        raise InputError(
            f'normalise="start" divides by the output on the original input, which is {scores[sample, 0]:.4g} for '
            f'sample {sample}; use normalise="none" or output="probability"'
        )
    relative: np.ndarray = scores / scores[:, :1]
    return relative


# ---- tables ------------------------------------------------------------------------------------------------------


def _shown(points: int, most: int = 11) -> list[int]:
    """The points of a curve that a table shows."""
    return sorted(set(np.linspace(0, points - 1, min(points, most)).round().astype(int).tolist()))


def mean(values: np.ndarray) -> float:
    """Return the mean; NaN of an empty array."""
    return float(values.mean()) if values.size else float("nan")


def deviation(values: np.ndarray) -> float:
    """Return the standard deviation of a sample; 0 of a single value."""
    return float(values.std(ddof=1)) if values.size > 1 else 0.0


def _about(curve: Curve) -> list[str]:
    """The lines that say how a curve was measured, and on which maps."""
    return [f"({curve.conventions})", *([f"maps: {curve.signature}"] if curve.signature else [])]


def _with_error(name: str, values: np.ndarray) -> str:
    """ "AOPC 1.234, standard error 0.056 over 20 samples"."""
    error = deviation(values) / max(len(values), 1) ** 0.5
    return f"{name} {mean(values):.4g}, standard error {error:.2g} over {len(values)} samples"
