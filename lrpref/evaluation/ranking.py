"""The order in which the parts of an input are removed: from a map of relevance to the rank of each value.

Two mistakes are easily made here. Ranking by |R| puts the strongest evidence *against* a class first, together with
the strongest evidence for it. And an unstable sort breaks ties arbitrarily: on a digit, where most of the background
has relevance exactly zero, most of the order would be arbitrary. This sort is stable, and the treatment of ties is a
convention.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arithmetic import all_finite
from ..errors import InputError, ShapeError
from .conventions import Conventions

ORDERS = ("morf", "lerf")
"""Most relevant first (MoRF), least relevant first (LeRF)."""


def ranks(
    R: np.ndarray, x: np.ndarray, conventions: Conventions, order: str, rngs: Sequence[np.random.Generator]
) -> tuple[np.ndarray, int]:
    """Rank the values of `x` by their relevance.

    Parameters
    ----------
    R : numpy.ndarray
        Relevance shaped like `x` or, for images (N, C, H, W), one value per pixel: (N, H, W) or (N, 1, H, W).
    x : numpy.ndarray, shape (N, ...)
        The batch.
    conventions : Conventions
        Regions, channels, and ties.
    order : {"morf", "lerf"}
        Most or least relevant first.
    rngs : sequence of numpy.random.Generator
        One generator per sample, for random ties.

    Returns
    -------
    rank : numpy.ndarray
        The rank of each value, shaped to broadcast over `x`; rank 0 is removed first.
    parts : int
        The number of ranks.

    Raises
    ------
    ShapeError
        If the shapes of `R` and `x` or the conventions do not fit together.
    InputError
        If `R` is not finite.
    """
    values = _per_feature(R, x, conventions)
    values = abs(values) if conventions.by == "magnitude" else values
    side = conventions.region
    scores = _per_region(values, side) if side > 1 else values
    N, parts = len(x), int(np.prod(scores.shape[1:]))
    flat = scores.reshape(N, parts)
    shuffled = [rng.permutation(parts) for rng in rngs] if conventions.ties == "random" else [np.arange(parts)] * N
    shuffle = np.stack(shuffled) if shuffled else np.zeros((0, parts), dtype=np.intp)
    keys = np.take_along_axis(-flat if order == "morf" else flat, shuffle, axis=1)
    sequence = np.take_along_axis(shuffle, np.argsort(keys, axis=1, kind="stable"), axis=1)
    rank = np.empty_like(sequence)
    np.put_along_axis(rank, sequence, np.arange(parts)[None], axis=1)
    rank = rank.reshape(scores.shape)
    if side > 1:
        rows, columns = (np.arange(length) // side for length in values.shape[1:])
        rank = rank[:, rows[:, None], columns]
    return (rank[:, None] if rank.ndim < x.ndim else rank), parts


def _per_feature(R: np.ndarray, x: np.ndarray, conventions: Conventions) -> np.ndarray:
    """The relevance of each feature: a pixel, or a single value."""
    if not all_finite(R):
        raise InputError("the relevance holds NaN or infinities, which cannot be ranked")
    image = x.ndim == 4
    R = R[:, None] if image and R.ndim == 3 else R  # one channel, whichever way it is written
    per_pixel = image and R.shape == (len(x), 1, *x.shape[2:])
    if R.shape != x.shape and not per_pixel:
        also = f", or a map per pixel {(len(x), *x.shape[2:])}" if image else ""
        raise ShapeError(f"expected relevance of the input's shape {x.shape}{also}, got {R.shape}")
    if not image and conventions.region > 1:
        raise ShapeError(f"regions need images (N, C, H, W), the input has shape {x.shape}; use region=1")
    if not image or (conventions.channels == "separate" and R.shape == x.shape):
        return R
    if conventions.channels == "separate":
        raise ShapeError(f'channels="separate" needs relevance per channel, {x.shape}, got {R.shape}')
    how = {"sum": lambda R: R.sum(axis=1), "max": lambda R: R.max(axis=1), "magnitude": lambda R: abs(R).sum(axis=1)}
    per_image: np.ndarray = how[conventions.channels](R)
    return per_image


def _per_region(values: np.ndarray, side: int) -> np.ndarray:
    """The sum over square regions, (N, H, W) -> (N, rows of regions, columns of regions)."""
    N, H, W = values.shape
    padded = np.pad(values, ((0, 0), (0, -H % side), (0, -W % side)))
    summed: np.ndarray = padded.reshape(N, -(-H // side), side, -(-W // side), side).sum(axis=(2, 4))
    return summed
