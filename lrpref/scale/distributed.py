"""Explanations block by block on Dask, on the cores of a laptop or on a cluster.

    x = dask.array.from_zarr("images.zarr")  # (1000000, 3, 224, 224), 64 images to a chunk
    R = lrpref.distributed.explain(net, x)   # a dask array; nothing is computed yet
    R.to_zarr("relevance.zarr")              # computed here, by dask's scheduler

`lrpref.explain` depends on the network and the batch only, so a block can be computed anywhere, and again if its worker
dies. Dask schedules, retries and stores.
"""

from __future__ import annotations

import os
from math import isnan
from typing import Any

import numpy as np

from .._support.extras import library
from ..backend import Array
from ..composites import Composite, resolve
from ..errors import DTypeError, ShapeError, at_block
from ..network import Network, check_one_input
from ..rules import Rule
from ..seeds import check, start_at
from ..walk import DEFAULT_RULE
from ..weights import load
from .blocks import no_samples
from .explanation import explain as explain_here

DaskArray = Any
"""A `dask.array.Array`; dask is imported only when a function of this module is called."""


def explain(
    net: Network | str | os.PathLike[str],
    x: DaskArray,
    target: int | Array | DaskArray | None = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: str | float | Array | DaskArray = "logit",
    node: str | None = None,
    backend: str | None = None,
    batch_size: int | None = None,
    form: str = "direct",
) -> DaskArray:
    """Return the relevance of each value of the dask array `x`, lazily.

    Parameters
    ----------
    net : Network, str or path
        The network, or a name or file that `lrpref.load` takes and every worker can read: a large network is then not
        sent through the scheduler.
    x : dask array, shape (N, ...)
        The samples, in chunks along axis 0 only.
    target : int, array of int, dask array of int, or None
        As in `lrpref.explain`.
    rule : str, Rule or Composite
        As in `lrpref.explain`.
    seed : str, float, array or dask array, default "logit"
        As in `lrpref.explain`.
    node : str or None
        As in `lrpref.explain`.
    backend : str or None
        Where the workers compute: "cupy" if they have GPUs; None for the network's backend. Relevance is returned on
        the backend of `x`.
    batch_size : int or None
        How many samples of a chunk are explained at a time; None for all.
    form : str, default "direct"
        As in `lrpref.explain`. The network is prepared once for each chunk.

    Returns
    -------
    dask array, shape (N, ...)
        The relevance, with the shape and the chunks of `x`.

    Raises
    ------
    DTypeError
        If `x` is not a dask array.
    ShapeError
        If `x` has chunks along other axes, or of unknown size.
    LrprefError
        If dask is missing. Also everything that `lrpref.explain` raises for an input of this shape; errors about the
        values of `x` are raised when they are computed.
    """
    da = _dask("dask.array")
    loaded = net if isinstance(net, Network) else load(net)
    check_one_input(loaded, "lrpref.distributed")
    if not isinstance(x, da.Array):
        raise DTypeError(f"x must be a dask array, got {type(x).__name__}; use dask.array.from_array(x, chunks=...)")
    _check_chunks(x)
    known = np.zeros(target.shape, target.dtype) if isinstance(target, da.Array) else target  # values come later
    resolve(rule).assign(loaded)
    check(start_at(loaded, node), tuple(x.shape), known, seed)
    axes = tuple(range(x.ndim))
    positions = da.arange(len(x), chunks=(x.chunks[0],))  # the samples of each block, for error messages
    return da.blockwise(
        _explain_block,
        axes,
        *(x, axes, positions, axes[:1], *_per_sample(target, x), *_per_sample(seed, x)),
        net=_task(net),
        rule=rule,
        node=node,
        backend=backend,
        batch_size=batch_size,
        form=form,
        concatenate=True,
        token="lrpref-explain",
        meta=no_samples(loaded, x._meta),
    )


def _explain_block(x: Array, samples: np.ndarray, target: Any, seed: Any, net: Network, **arguments: Any) -> Array:
    """Explain one block, on a worker."""
    backend, size = arguments.pop("backend"), arguments.pop("batch_size")
    net = net if backend is None else net.to(backend)
    i = int(samples[0]) if len(samples) else 0
    with at_block(i, i + len(samples)):
        return explain_here(net, x, target, seed=seed, batch_size=size or max(len(x), 1), progress=False, **arguments)


def _dask(module: str) -> Any:
    """A module of dask; raises LrprefError if it is not installed."""
    return library(module, "dask", "distributed explanations")


def _check_chunks(x: DaskArray) -> None:
    """Raise ShapeError unless every chunk holds a known number of whole samples."""
    if any(map(isnan, x.shape)):
        raise ShapeError("x has chunks of unknown size; use x.compute_chunk_sizes()")
    if cut := [axis for axis in range(1, x.ndim) if x.numblocks[axis] > 1]:
        raise ShapeError(
            f"x is chunked along axis {cut[0]}, but chunks must hold whole samples; "
            f"use x.rechunk({dict.fromkeys(cut, -1)})"
        )


def _per_sample(values: Any, x: DaskArray) -> tuple[Any, tuple[int, ...] | None]:
    """Targets or seeds and their axes, as `dask.array.blockwise` takes them: chunked as `x` is; without axes None."""
    if len(np.shape(values)) == 0:
        return values, None
    values = _dask("dask.array").asarray(values)
    return values.rechunk((x.chunks[0], *values.shape[1:])), (0, *range(x.ndim, x.ndim + values.ndim - 1))


def _task(net: Network | str | os.PathLike[str]) -> Any:
    """The network as a task of its own, so that the graph and each worker hold it once."""
    delayed = _dask("dask").delayed
    return delayed(net, pure=True, traverse=False) if isinstance(net, Network) else delayed(load, pure=True)(net)
