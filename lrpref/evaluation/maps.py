"""Similarity of two maps, and concentration of one map, per sample.

A map that holds NaN or infinities is similar to nothing, not even to itself: every measure is NaN for its sample, and
the other samples keep their values. Maps of any finite size are measured alike, 1e-300 as well as 1e300, because each
is scaled by a power of two first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ..arithmetic import as_dtype, as_floating
from ..backend import Array, to_numpy
from ..errors import ParameterError, ShapeError


def cosine(a: Array, b: Array) -> np.ndarray:
    """Compute the cosine similarity sum a b / (|a| |b|) per sample, (N,); 0 where one map is zero.

    >>> cosine(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]))
    array([0.70710678])
    """
    return _per_sample(_cosine, a, b)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (a, _), (b, _) = _scaled(a), _scaled(b)
    similarity = _share((a * b).sum(axis=1), np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.clip(similarity, -1, 1)


def spearman(a: Array, b: Array) -> np.ndarray:
    """Compute Spearman's rank correlation per sample, (N,); ties share a rank; NaN where one map is constant.

    >>> spearman(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 4.0, 9.0]]))
    array([1.])
    """
    return _per_sample(_spearman, a, b)


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = np.full(len(a), np.nan)
    for n, pair in enumerate(zip(a, b, strict=True)) if a.shape[1] else ():
        u, v = (ranks - ranks.mean() for ranks in map(average_ranks, pair))
        size = np.sqrt((u * u).sum() * (v * v).sum())
        if size > 0:
            found[n] = (u * v).sum() / size
    return found


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Rank the values of a vector, from 1; equal values share their mean rank.

    >>> average_ranks(np.array([2.0, 1.0, 2.0]))
    array([2.5, 1. , 2.5])
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: np.ndarray = (last - (count - 1) / 2)[place]
    return ranks


def spearman_magnitude(a: Array, b: Array) -> np.ndarray:
    """Compute Spearman's rank correlation of |a| and |b| per sample, (N,)."""
    return _per_sample(lambda a, b: _spearman(abs(a), abs(b)), a, b)


def sign_agreement(a: Array, b: Array) -> np.ndarray:
    """Compute the fraction of sum |a| where `b` has the same sign, per sample, (N,); 0 where `a` is zero.

    >>> sign_agreement(np.array([[3.0, -1.0]]), np.array([[1.0, 1.0]]))
    array([0.75])
    """
    return _per_sample(_sign_agreement, a, b)


def _sign_agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = abs(_scaled(a)[0])
    return _share((size * (np.sign(a) == np.sign(b))).sum(axis=1), size.sum(axis=1))


def relative_l2(a: Array, b: Array) -> np.ndarray:
    """Compute |a - b| / |b|, Euclidean, per sample, (N,); infinite where only `b` is zero, 0 where both are.

    >>> relative_l2(np.array([[3.0, 4.0], [np.nan, 4.0]]), np.array([[3.0, 5.0], [3.0, 5.0]]))
    array([0.17149859,        nan])
    """
    return _per_sample(_relative_l2, a, b)


def _relative_l2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both, common = _scaled(np.concatenate([a, b], axis=1))
    error, finer = _scaled(np.subtract(*np.split(both, 2, axis=1)))
    b, exponent = _scaled(b)
    size = np.linalg.norm(b, axis=1)
    ratio = np.linalg.norm(error, axis=1) / np.where(size > 0, size, 1)
    with np.errstate(over="ignore", under="ignore"):
        relative = np.ldexp(ratio, common + finer - exponent)
    found: np.ndarray = np.where(size > 0, relative, np.where(ratio > 0, np.inf, 0.0))
    return found


def top_share(R: Array, share: float = 0.01) -> np.ndarray:
    """Compute the fraction of sum |R| that the largest values hold.

    Parameters
    ----------
    R : array, shape (N, ...)
        Relevance.
    share : float, default 0.01
        The fraction of the values that counts as the largest, in (0, 1]; at least one value.

    Returns
    -------
    numpy.ndarray, shape (N,)
        In [0, 1]; 0 for a map of zeros, NaN for one that is not finite.

    Raises
    ------
    ParameterError
        If `share` is out of its range.

    Examples
    --------
    >>> top_share(np.array([[9.0, -1.0, 0.0, 0.0]]), 0.25)
    array([0.9])
    """
    if not 0 < share <= 1:
        raise ParameterError(f"share must be in (0, 1], got {share}")
    return _per_sample(lambda R: _top_share(abs(_scaled(R)[0]), share), R)


def _top_share(sizes: np.ndarray, share: float) -> np.ndarray:
    count = max(1, round(share * sizes.shape[1]))
    return _share(np.sort(sizes, axis=1)[:, -count:].sum(axis=1), sizes.sum(axis=1))


SIMILARITIES: Mapping[str, Callable[[Array, Array], np.ndarray]] = {
    "spearman": spearman,
    "spearman-magnitude": spearman_magnitude,
    "cosine": cosine,
}
"""The similarities by the names that `parameter_randomisation` accepts."""


def _per_sample(measure: Callable[..., np.ndarray], *maps: Array) -> np.ndarray:
    """The measure of finite maps, given as float64 (N, values); NaN for a sample in which one is not finite.

    Raises ShapeError if the shapes differ or a map has no axis, DTypeError for maps that are not real numbers.
    """
    arrays = [_as_float64(R) for R in maps]
    if len(shapes := dict.fromkeys(R.shape for R in arrays)) > 1:
        raise ShapeError(f"maps of shapes {' and '.join(map(str, shapes))} cannot be compared")
    flat = [R.reshape(len(R), math.prod(R.shape[1:])) for R in arrays]
    sound = np.all([np.isfinite(R).all(axis=1) for R in flat], axis=0)
    found = np.full(len(sound), np.nan)
    found[sound] = measure(*(R[sound] for R in flat))
    return found


def _as_float64(R: Array) -> np.ndarray:
    """A map in float64; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        wide = np.asarray(as_dtype(to_numpy(as_floating(R, "a map")), np.float64))
    if wide.ndim == 0:
        raise ShapeError("a map is one number; expected an array (N, ...)")
    return wide


def _scaled(R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps times a power of two, so that the largest magnitude is in [1/2, 1), and the exponents taken out.

    No square of what counts then overflows or underflows. The scaling is exact.
    """
    _, exponents = np.frexp(abs(R).max(axis=1, initial=0.0))
    with np.errstate(under="ignore"):
        return np.ldexp(R, -exponents[:, None]), exponents


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; 0 where the whole is zero."""
    share: np.ndarray = part / np.where(whole > 0, whole, 1)
    return share
