"""Many samples, one block after another: a data set may be larger than memory, or than a GPU's.

`explain(..., batch_size=n)` comes here. What is done to a block is a function of the caller's; this file cuts, moves,
and puts together, and knows no rule. One machine, one process; for more see `lrpref.distributed`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from .._support.files import whole
from .._support.progress import Bar
from ..arithmetic import is_exact
from ..backend import Array, array_namespace, asarray, backend_name, is_array, to_numpy
from ..errors import DTypeError, ParameterError, ShapeError, at_block
from ..network import Network


def map_blocks(
    work: Callable[..., Array],
    net: Network,
    x: Any,
    along: tuple[Any, ...] = (),
    batch_size: int | None = None,
    out: Any = None,
    progress: bool | None = None,
) -> Any:
    """`work(x[i:j], *(v[i:j] for v in along))` for one block of samples after another, in one array shaped like `x`.

    work        returns an array shaped like its first argument, in the network's number type
    net         each block is moved to its backend, and the result back to that of `x`
    x           (N, ...): an array, a `numpy.memmap`, or whatever else has a shape, and an array for a slice of samples
    along       arrays of N entries, cut as `x` is; what has no axes (None, a number, a word) goes to every block
    batch_size  the samples in a block; None for all
    out         where the result goes: an array, whatever else takes an assignment to a slice, or the path of a .npy
                file, which is written whole or not at all; None for a new array
    progress    a bar on stderr; None: where it is a terminal
    Returns `out`; for a path, the file as a read-only `numpy.memmap`.

    Raises ParameterError, ShapeError and DTypeError, before anything is computed; what `work` raises, with the block's
    place in front.
    """
    N, like = x.shape[0], no_samples(net, x)
    size = _checked_size(batch_size, N)
    with _filled(out, tuple(x.shape), like) as result, Bar(f"explaining {N} samples", progress) as bar:
        for i in range(0, max(N, 1), size):
            j = min(i + size, N)
            with at_block(i, j) if size < N else nullcontext():
                R = work(*(_block(values, i, j, net.backend) for values in (x, *along)))
            result[i:j, ...] = _moved(R, _home(result))
            bar.tick((j - i) / max(N, 1))
    return np.load(out, mmap_mode="r", allow_pickle=False) if _is_path(out) else result


def _checked_size(batch_size: int | None, N: int) -> int:
    """The samples in a block; raises ParameterError for what is no number of samples."""
    given: Any = max(N, 1) if batch_size is None else batch_size
    if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
        raise ParameterError(f"batch_size is how many samples a block has, 1 or more, got {batch_size!r}")
    return int(given)


# ---- one block -------------------------------------------------------------------------------------------------


def _block(values: Any, i: int, j: int, backend: str | None) -> Any:
    """Samples i to j, on a backend; what has no axes as it is."""
    return _moved(_cut(values, i, j), backend) if np.shape(values) else values


def _cut(values: Any, i: int, j: int) -> Array:
    """Samples i to j of an array, or of what gives one."""
    cut = values[i:j, ...] if is_array(values) else values[i:j]
    return cut if is_array(cut) else np.asarray(cut)


def _moved(x: Array, backend: str | None) -> Array:
    """`x` on a backend; None is wherever it is."""
    return x if backend in (None, backend_name(x)) else asarray(x, backend)


def _home(values: Any) -> str:
    """Where an array lives; what is no array, as a data set in a file, is read and written by NumPy."""
    try:
        return backend_name(values)
    except DTypeError:
        return "numpy"


# ---- the result ------------------------------------------------------------------------------------------------


def no_samples(net: Network, x: Any) -> Array:
    """No samples of the result: its backend, that of `x`, and its number type, that of the network."""
    none = _cut(x, 0, 0)
    return _moved(net.cast(_moved(none, net.backend)), backend_name(none))


@contextmanager
def _filled(out: Any, shape: tuple[int, ...], like: Array) -> Iterator[Any]:
    """What the result is written to, block by block."""
    if out is None:
        yield array_namespace(like).empty(shape, dtype=like.dtype)
    elif not _is_path(out):
        _check(out, shape, to_numpy(like).dtype)
        yield out
    else:
        with npy_file(Path(out), shape, like) as file:
            yield file


def _is_path(out: Any) -> bool:
    return isinstance(out, str | os.PathLike)


def _check(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise ShapeError or DTypeError for an array that cannot hold the result, digit by digit."""
    if tuple(out.shape) != shape:
        raise ShapeError(f"out has shape {tuple(out.shape)}, the relevance of the input has {shape}")
    holds = to_numpy(_cut(out, 0, 0)).dtype
    if not np.can_cast(dtype, holds):
        raise DTypeError(f"out holds {holds}, the relevance is {dtype}; for fewer digits use net.astype(...)")


@contextmanager
def npy_file(path: Path, shape: tuple[int, ...], like: Array) -> Iterator[np.memmap[Any, Any]]:
    """The array of a new .npy file, which takes its place at `path` only when it is whole."""
    if path.suffix != ".npy":
        raise ParameterError(f"relevance is written to an array or to a .npy file, got out={str(path)!r}")
    if is_exact(like):
        raise DTypeError("exact numbers cannot be stored; use net.astype(numpy.float64)")
    with whole(path) as part:
        file = np.lib.format.open_memmap(part, mode="w+", dtype=to_numpy(like).dtype, shape=shape)
        yield file
        file.flush()
