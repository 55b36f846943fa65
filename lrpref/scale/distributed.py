"""Where one machine ends: explanations block by block on Dask, on the cores of a laptop or on a cluster.

    x = dask.array.from_zarr("images.zarr")  # (1000000, 3, 224, 224), 64 images to a chunk
    R = lrpref.distributed.explain(net, x)   # a dask array; nothing is computed yet
    R.to_zarr("relevance.zarr")              # now it is, wherever dask computes

`lrpref.explain` is a function of the network and the batch and of nothing else, so a block can be computed anywhere,
and once more where its worker died. Scheduling, retrying and storing are dask's.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from .._support.progress import PATIENCE
from ..backend import Array, to_numpy
from ..composites import Composite, resolve
from ..errors import DTypeError, LrprefError, ShapeError, at_block
from ..network import Network
from ..rules import Rule
from ..seeds import check
from ..walk import DEFAULT_RULE
from ..weights import load
from .blocks import no_samples, npy_file
from .explanation import explain as explain_here

DaskArray = Any
"""A `dask.array.Array`; dask is imported only by someone who calls a function of this module."""


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
    """The relevance of each value of the dask array `x`, lazily: a dask array with the shape and the chunks of `x`.

    net         the network; or what `lrpref.load` takes, and a worker can read: a large network then does not travel
                through the scheduler
    x           (N, ...), cut into chunks along axis 0 only
    target      as in `lrpref.explain`; one index per sample may be a dask array
    rule, node  as in `lrpref.explain`
    seed        as in `lrpref.explain`; an array may be a dask array
    backend     where the workers compute: "cupy" if they have GPUs; None for where the network lives. Relevance comes
                back to where `x` lives
    batch_size  how many samples of a chunk are explained at a time; None for all
    form        as in `lrpref.explain`; what has to be prepared is prepared once for each chunk

    Raises what `lrpref.explain` raises for an input of this shape, now; what is wrong with the values of `x`, when
    they are computed. ShapeError for chunks along other axes, or of unknown size. LrprefError without dask.
    """
    da = _dask("dask.array")
    if not isinstance(x, da.Array):
        raise DTypeError(f"x is a dask array, got {type(x).__name__}; use dask.array.from_array(x, chunks=...)")
    _check_chunks(x)
    loaded = net if isinstance(net, Network) else load(net)
    known = np.zeros(target.shape, target.dtype) if isinstance(target, da.Array) else target  # its values come later
    resolve(rule).assign(loaded)
    check(loaded, tuple(x.shape), known, seed, node)
    first = da.arange(x.shape[0], chunks=(x.chunks[0],))  # which samples a block holds, for what it says of them
    return da.blockwise(
        _explain_block,
        tuple(range(x.ndim)),
        *(part for values in (x, first, target, seed) for part in _with_axes(values, x)),
        net=_once(net),
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
    """What is done to a block, wherever it is computed."""
    backend, size = arguments.pop("backend"), arguments.pop("batch_size")
    net = net if backend is None else net.to(backend)
    i = int(samples[0]) if len(samples) else 0
    with at_block(i, i + len(samples)):
        return explain_here(net, x, target, seed=seed, batch_size=size or max(len(x), 1), progress=False, **arguments)


def to_npy(R: DaskArray, path: str | os.PathLike[str], progress: bool | None = None) -> np.memmap[Any, Any]:
    """Compute a dask array into one .npy file that all workers can write to: whole or not at all.

    progress  a bar of dask's where this takes longer than two seconds; None: if stderr is a terminal
    Returns the file as a read-only `numpy.memmap`.

    For Zarr, use dask's own `R.to_zarr(path)`.
    """
    with npy_file(Path(path).absolute(), tuple(R.shape), R._meta) as file:
        part = _Part(str(file.filename))
        _compute(_dask("dask.array").store(R, part, lock=False, compute=False), progress)
    written: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return written


@dataclass(frozen=True)
class _Part:
    """A file that is being written to by several processes, each at its own place."""

    path: str

    def __setitem__(self, place: tuple[slice, ...], block: Array) -> None:
        file = np.load(self.path, mmap_mode="r+", allow_pickle=False)
        file[place] = to_numpy(block)
        file.flush()


# ---- dask ------------------------------------------------------------------------------------------------------


def _dask(module: str) -> Any:
    """A module of dask; raises LrprefError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LrprefError(f'{module} is not installed: pip install "lrpref[dask]"') from error


def _check_chunks(x: DaskArray) -> None:
    """Raise ShapeError unless every chunk holds whole samples, and how many is known."""
    if any(map(isnan, x.shape)):
        raise ShapeError("x has chunks of unknown size; use x.compute_chunk_sizes()")
    if cut := [axis for axis in range(1, x.ndim) if len(x.chunks[axis]) > 1]:
        whole = ", ".join(f"{axis}: -1" for axis in cut)
        raise ShapeError(f"x is cut along axis {cut[0]}, but a chunk holds whole samples; use x.rechunk({{{whole}}})")


def _with_axes(values: Any, x: DaskArray) -> tuple[Any, tuple[int, ...] | None]:
    """An argument of `dask.array.blockwise` and its axes: cut as `x` is; or as it is, and None, for every block."""
    if values is x:
        return x, tuple(range(x.ndim))
    if len(np.shape(values)) == 0:
        return values, None
    values = _dask("dask.array").asarray(values)
    return values.rechunk((x.chunks[0], *values.shape[1:])), (0, *range(x.ndim, x.ndim + values.ndim - 1))


def _once(net: Network | str | os.PathLike[str]) -> Any:
    """The network as a task of its own, so that it is in the graph once and on a worker once."""
    delayed = _dask("dask").delayed
    return delayed(net, pure=True, traverse=False) if isinstance(net, Network) else delayed(load, pure=True)(net)


def _compute(task: Any, progress: bool | None) -> None:
    """Compute a task where dask would, with the bar that dask has for it."""
    if not (sys.stderr.isatty() if progress is None else progress):
        task.compute()
        return
    distributed = _dask("distributed")
    try:
        client = distributed.get_client()
    except ValueError:  # no cluster: threads or processes of this machine
        with _dask("dask.diagnostics").ProgressBar(minimum=PATIENCE, out=sys.stderr):
            task.compute()
        return
    future = client.compute(task)
    distributed.progress(future, notebook=False)
    future.result()
