"""Many samples, block by block: for data sets larger than the memory of the machine or of its GPU.

`explain(..., batch_size=n)` uses it. The caller provides the function that is applied to a block; this module cuts the
blocks, moves them between backends and assembles the result. It runs in one process; for more see `lrpref.distributed`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from .._support.files import is_stream, whole
from .._support.progress import Bar
from ..arithmetic import is_exact, is_integer
from ..backend import Array, array_namespace, asarray, backend_name, is_array, to_numpy
from ..errors import DTypeError, ParameterError, ShapeError, at_block, shown
from ..network import Network


def map_blocks(
    work: Callable[..., Any],
    net: Network,
    x: Any,
    along: tuple[Any, ...] = (),
    batch_size: int | None = None,
    out: Any = None,
    progress: bool | None = None,
) -> Any:
    """Compute `work(x[i:j], *(v[i:j] for v in along))` for every block, and return one array shaped like `x`.

    For a network of several inputs, `x` and `out` are tuples or dicts, and so is what `work` takes and returns.

    Parameters
    ----------
    work : callable
        Returns an array shaped like its first argument, in the network's number type.
    net : Network
        Each block is moved to its backend, and the result back to that of `x`.
    x : array, shape (N, ...), or tuple or dict of arrays
        An array, a `numpy.memmap`, or any object that has a shape and returns an array for a slice of samples.
    along : tuple
        Arrays of N entries, or dicts of them, cut as `x` is. Values without axes (None, a number, a string) are passed
        to every block.
    batch_size : int or None
        The samples in a block; None for all.
    out : array, path or None, or tuple or dict of them
        An array, any other object that supports assignment to a slice, or the path of a .npy file, which is written
        atomically; None for a new array.
    progress : bool or None
        Whether to show a progress bar on stderr; None for terminals only.

    Returns
    -------
    array, shape (N, ...), or tuple or dict of arrays
        `out`; for a path, the file as a read-only `numpy.memmap`.

    Raises
    ------
    ParameterError, ShapeError, DTypeError
        Before anything is computed. Errors of `work` are raised with the block's position in front.
    """
    parts, likes = net.by_name(x), net.by_name(no_samples(net, x))
    outs = dict.fromkeys(parts) if out is None else net.by_name(out, "array or path")
    _check_distinct(outs)
    N = next(iter(parts.values())).shape[0]
    size = _checked_size(batch_size, N)
    with ExitStack() as stack:
        results = {
            name: stack.enter_context(_filled(outs[name], tuple(part.shape), likes[name]))
            for name, part in parts.items()
        }
        bar = stack.enter_context(Bar(f"explaining {N} samples", progress))
        for i in range(0, max(N, 1), size):
            j = min(i + size, N)
            with at_block(i, j) if size < N else nullcontext():
                block = net.as_given(_block(parts, i, j, net.backend), like=x)
                found = net.by_name(work(block, *(_block(values, i, j, net.backend) for values in along)))
            for name, R in found.items():
                results[name][i:j, ...] = _moved(R, _home(results[name]))
            bar.tick((j - i) / max(N, 1))
    return net.as_given({name: _opened(outs[name], result) for name, result in results.items()}, like=x)


def _check_distinct(outs: Mapping[str, Any]) -> None:
    """Raise ParameterError if the results of two inputs would be written to the same place."""
    places = [os.path.abspath(out) if _is_path(out) else id(out) for out in outs.values() if out is not None]
    if len(set(places)) < len(places):
        raise ParameterError(f"out must be a different array or file for each of {', '.join(outs)}")


def _opened(out: Any, result: Any) -> Any:
    """The result; for a path, the file that now holds it."""
    return np.load(out, mmap_mode="r", allow_pickle=False) if _is_path(out) else result


def _checked_size(batch_size: int | None, N: int) -> int:
    """The samples in a block; raises ParameterError if `batch_size` is not a positive integer."""
    if batch_size is None:
        return max(N, 1)
    if not is_integer(batch_size, least=1):
        raise ParameterError(
            f"batch_size must be an integer of at least 1, or None for all samples; got {shown(batch_size)}"
        )
    return int(batch_size)


# ---- one block -------------------------------------------------------------------------------------------------


def _block(values: Any, i: int, j: int, backend: str | None) -> Any:
    """Samples i to j, on a backend; values without axes as they are; the entries of a dict one by one."""
    if isinstance(values, Mapping):
        return {name: _block(value, i, j, backend) for name, value in values.items()}
    return _moved(_cut(values, i, j), backend) if np.shape(values) else values


def _cut(values: Any, i: int, j: int) -> Array:
    """Samples i to j of an array, or of an object that returns one for a slice."""
    cut = values[i:j, ...] if is_array(values) else values[i:j]
    return cut if is_array(cut) else np.asarray(cut)


def _moved(x: Array, backend: str | None) -> Array:
    """`x` on a backend; None leaves it where it is."""
    return x if backend in (None, backend_name(x)) else asarray(x, backend)


def _home(values: Any) -> str:
    """The backend of an array; other objects, such as data sets in files, are read and written by NumPy."""
    try:
        return backend_name(values)
    except DTypeError:
        return "numpy"


# ---- the result ------------------------------------------------------------------------------------------------


def no_samples(net: Network, x: Any) -> Any:
    """An empty result, of zero samples: on the backend of `x`, in the network's number type."""
    none = {name: _cut(part, 0, 0) for name, part in net.by_name(x).items()}
    cast = net.cast(net.as_given({name: _moved(part, net.backend) for name, part in none.items()}, like=x))
    return net.as_given({name: _moved(v, backend_name(none[name])) for name, v in net.by_name(cast).items()}, like=x)


@contextmanager
def _filled(out: Any, shape: tuple[int, ...], like: Array) -> Iterator[Any]:
    """The array that the result is written to, block by block."""
    if out is None:
        yield array_namespace(like).empty(shape, dtype=like.dtype)
    elif not _is_path(out):
        _check(out, shape, to_numpy(like).dtype)
        yield out
    else:
        with _npy_file(Path(out), shape, like) as file:
            yield file


def _is_path(out: Any) -> bool:
    return isinstance(out, str | os.PathLike)


def _check(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise ShapeError or DTypeError if an array cannot hold the result without loss."""
    if not hasattr(out, "shape") or not hasattr(out, "__setitem__"):
        raise ParameterError(f"out must be an array or the path of a .npy file, got {shown(out)}")
    if tuple(out.shape) != shape:
        raise ShapeError(f"out has shape {tuple(out.shape)}, but the relevance of the input has shape {shape}")
    holds = to_numpy(_cut(out, 0, 0)).dtype
    if holds.kind != dtype.kind or not np.can_cast(dtype, holds):
        raise DTypeError(
            f"out has dtype {holds}, but the relevance is {dtype}; to compute in {holds} use net.astype(...)"
        )


@contextmanager
def _npy_file(path: Path, shape: tuple[int, ...], like: Array) -> Iterator[np.memmap[Any, Any]]:
    """The array of a new .npy file, which appears at `path` only when it is complete."""
    if path.suffix != ".npy":
        raise ParameterError(f"relevance can be written to an array or a .npy file, got out={str(path)!r}")
    if is_stream(path):
        raise ParameterError(f"out={str(path)!r} is a pipe or a device, but the result is read back from a file")
    if is_exact(like):
        raise DTypeError("exact numbers cannot be stored in a .npy file; use net.astype(numpy.float64)")
    with whole(path) as part:
        file = np.lib.format.open_memmap(part, mode="w+", dtype=to_numpy(like).dtype, shape=shape)
        yield file
        file.flush()
