"""Similarity of two maps, and concentration of one map, per sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..backend import Array, to_numpy
from ..errors import ParameterError, ShapeError


def cosine(a: Array, b: Array) -> np.ndarray:
    """Compute the cosine similarity sum a b / (|a| |b|) per sample, (N,); 0 where one map is zero.

    >>> cosine(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]))
    array([0.70710678])
    """
    a, b = _pair(a, b)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    similarity: np.ndarray = (a * b).sum(axis=1) / np.where(size > 0, size, 1)
    return similarity


def spearman(a: Array, b: Array) -> np.ndarray:
    """Compute Spearman's rank correlation per sample, (N,); ties share a rank; NaN where one map is constant.

    >>> spearman(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 4.0, 9.0]]))
    array([1.])
    """
    a, b = _pair(a, b)
    found = np.full(len(a), np.nan)
    for n, pair in enumerate(zip(a, b, strict=True)):
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
    return spearman(abs(to_numpy(a)), abs(to_numpy(b)))


def sign_agreement(a: Array, b: Array) -> np.ndarray:
    """Compute the fraction of sum |a| where `b` has the same sign, per sample, (N,); 0 where `a` is zero.

    >>> sign_agreement(np.array([[3.0, -1.0]]), np.array([[1.0, 1.0]]))
    array([0.75])
    """
    a, b = _pair(a, b)
    total = abs(a).sum(axis=1)
    share: np.ndarray = (abs(a) * (np.sign(a) == np.sign(b))).sum(axis=1) / np.where(total > 0, total, 1)
    return share


def relative_l2(a: Array, b: Array) -> np.ndarray:
    """Compute |a - b| / |b|, Euclidean, per sample, (N,); infinite where only `b` is zero, 0 where both are."""
    a, b = _pair(a, b)
    error, size = np.linalg.norm(a - b, axis=1), np.linalg.norm(b, axis=1)
    relative: np.ndarray = np.where(size > 0, error / np.where(size > 0, size, 1), np.where(error > 0, np.inf, 0.0))
    return relative


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
        In [0, 1]; 0 for a map of zeros.

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
    flat = abs(to_numpy(R).reshape(R.shape[0], -1).astype(np.float64))
    count = max(1, round(share * flat.shape[1]))
    total = flat.sum(axis=1)
    top: np.ndarray = np.sort(flat, axis=1)[:, -count:].sum(axis=1) / np.where(total > 0, total, 1)
    return top


SIMILARITIES: Mapping[str, Callable[[Array, Array], np.ndarray]] = {
    "spearman": spearman,
    "spearman-magnitude": spearman_magnitude,
    "cosine": cosine,
}
"""The similarities by the names that `parameter_randomisation` accepts."""


def _pair(a: Array, b: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both maps as float64 (N, values); raises ShapeError if their shapes differ."""
    if tuple(a.shape) != tuple(b.shape):
        raise ShapeError(f"maps of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be compared")
    first, second = (to_numpy(v).reshape(v.shape[0], -1).astype(np.float64) for v in (a, b))
    return first, second
