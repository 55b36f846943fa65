"""The array "on the device": it refuses what CuPy's array refuses, and every use of it is counted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import _counts
from ._device import current
from ._dry import is_dry, reserved, zeros_like
from ._table import VERSION, checks_arguments, kind

NUMBERS = (bool, int, float, complex, np.generic)

VIEWS = {
    *("atleast_1d", "atleast_2d", "atleast_3d", "broadcast_to", "diagonal", "expand_dims", "flip", "matrix_transpose"),
    *("moveaxis", "permute_dims", "ravel", "reshape", "squeeze", "swapaxes", "transpose", "view"),
}
"""Functions that give another view of the same memory where they can."""


class ndarray:  # noqa: N801
    """NumPy's array, which only this package sees, in a block of memory of one device."""

    __module__ = "cupy"
    __slots__ = ("__weakref__", "_block", "_host", "_made_by", "base")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        self._hold(np.empty(shape, check_dtype(dtype)), None, "empty")

    def _hold(self, host: np.ndarray, block: _counts.Block | None, made_by: str, known: bool = True) -> None:
        check_dtype(host.dtype)
        if not host.flags.writeable:  # of a broadcast: CuPy knows no read-only arrays
            host.flags.writeable = True
        self._host, self._made_by, self.base = host, made_by, None
        self._block = block or _counts.Block(_root(host).nbytes, current(), known)

    # ---- what it is ----------------------------------------------------------------------------------------------

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: viewed(self, self._host.T))
    mT = property(lambda self: viewed(self, self._host.mT))  # noqa: N815
    real = property(lambda self: viewed(self, self._host.real))

    data = property(lambda self: SimpleNamespace(mem=self._block, ptr=self._host.ctypes.data))

    @property
    def device(self) -> Any:
        from ._device import Device

        return Device(self._block.device)

    def __len__(self) -> int:
        return len(self._host)

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_" or not kind(f"ndarray.{name}"):
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r} (CuPy {VERSION})")
        method = getattr(np.ndarray, name, None)
        if kind(f"ndarray.{name}") != "function" or method is None:
            raise NotImplementedError(f"cupy.ndarray.{name} is not part of this stand-in; add it")
        bind = checks_arguments(f"ndarray.{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            bind(self, *args, **kwargs)
            return computed(name, method, (self, *args), kwargs)

        return call

    # ---- to the host ---------------------------------------------------------------------------------------------

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        if out is not None:
            if type(out) is not np.ndarray or out.dtype != self.dtype or out.shape != self.shape:
                raise TypeError(f"out must be a numpy.ndarray of {self.dtype} and shape {self.shape}")
            out[...] = self._to_host("get")
            return out
        return np.array(self._to_host("get"), order=order)

    def _to_host(self, reader: str) -> np.ndarray:
        if not (self._host.flags.c_contiguous or self._host.flags.f_contiguous):
            _counts.launch("copy", moved=2 * self.nbytes)
        _counts.wait(f"{reader} of {self._made_by}", self.nbytes)
        return self._host.copy() if self._block.known else np.zeros(self.shape, self.dtype)

    def set(self, arr: Any, stream: Any = None) -> None:
        if type(arr) is not np.ndarray or arr.dtype != self.dtype or arr.shape != self.shape:
            raise TypeError(f"only a numpy.ndarray of {self.dtype} and shape {self.shape} can be set")
        _counts.send(arr.nbytes)
        self._host[...] = arr

    def __array__(self, dtype: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous.")
        if self.size == 0:
            warnings.warn("The truth value of an empty array is ambiguous.", DeprecationWarning, stacklevel=2)
            return False
        return bool(self._to_host("bool"))

    def item(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._to_host("item").item()

    def __int__(self) -> int:
        return int(self._to_host("int"))

    def __float__(self) -> float:
        return float(self._to_host("float"))

    def __complex__(self) -> complex:
        return complex(self._to_host("complex"))

    def tolist(self) -> Any:
        return self._to_host("tolist").tolist()

    def __repr__(self) -> str:
        return repr(self._to_host("repr"))

    def __str__(self) -> str:
        return str(self._to_host("str"))

    def __format__(self, spec: str) -> str:
        return format(self._to_host("format"), spec)

    def __reduce__(self) -> Any:
        return sent, (self._to_host("pickle"),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    # ---- NumPy's functions on it ---------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from ._functions import named

        if kind(ufunc.__name__) not in ("ufunc", "function"):
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        function = named(ufunc.__name__)
        return (function if method == "__call__" else getattr(function, method))(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from ._functions import named

        if function.__module__ != "numpy" or kind(function.__name__) != "function":
            return NotImplemented
        return named(function.__name__)(*args, **kwargs)

    # ---- parts ---------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> ndarray:
        used: list[ndarray] = []
        at = _index(index, used)
        if not _is_advanced(at):
            return viewed(self, self._host[(*at, ...) if Ellipsis not in at else at])
        _launch_index("getitem", at, used, self)
        return made(np.asarray(self._host[at]), "getitem")

    def __setitem__(self, index: Any, value: Any) -> None:
        used: list[ndarray] = [self]
        at = _index(index, used)
        if not isinstance(value, ndarray) and (np.ndim(value) or isinstance(value, np.ndarray)):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        plain = argument(value, used)
        place = self._host[(*at, ...) if Ellipsis not in at else at] if not _is_advanced(at) else None
        if isinstance(value, ndarray) and place is not None and _is_same(place, plain):
            return  # a += b assigns a to itself
        check_devices(used)
        if is_dry():
            self._block.known = False
        else:
            self._host[at] = plain
        if place is None:
            _launch_index("setitem", at, used, self)
        elif place.size:
            moved = place.nbytes + (touched(value) if isinstance(value, ndarray) else 0)
            _counts.launch("copy" if isinstance(value, ndarray) else "fill", moved=moved)

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # ---- other forms ---------------------------------------------------------------------------------------------

    def fill(self, value: Any) -> None:
        self[...] = value

    def copy(self, order: str = "C") -> ndarray:
        if self.size:
            _counts.launch("copy", moved=touched(self) + self.nbytes)
        if is_dry():
            return made(reserved(self.shape, self.dtype), "copy", known=False)
        return made(self._host.copy(order), "copy")  # on the current device, wherever this one is

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported yet")
        dtype = check_dtype(dtype)
        if not copy and dtype == self.dtype:
            return self
        return computed("astype", np.ndarray.astype, (self, dtype), {"order": order})


# ---- from NumPy's arrays to these and back ---------------------------------------------------------------------------


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return a dtype that CuPy computes with; raise ValueError for objects, long doubles, text and dates."""
    found = np.dtype(dtype)
    if found.kind not in "?biufc" or found.char in "gG":
        raise ValueError(f"Unsupported dtype {found}")
    return found


def _root(host: Any) -> Any:
    """The array that owns the memory of a view."""
    while isinstance(getattr(host, "base", None), np.ndarray) or hasattr(getattr(host, "base", None), "base"):
        host = host.base
    return host


def made(host: np.ndarray, name: str, known: bool = True) -> ndarray:
    """A new array on the current device; `known` is whether the host holds its content."""
    array = ndarray.__new__(ndarray)
    array._hold(host, None, name, known)
    return array


def viewed(array: ndarray, host: np.ndarray) -> ndarray:
    """Another array in the same memory."""
    view = ndarray.__new__(ndarray)
    view._hold(host, array._block, array._made_by)
    view.base = array if array.base is None else array.base
    return view


def sent(host: Any, dtype: Any = None) -> ndarray:
    """A copy, on the current device, of what the host holds."""
    host = np.asarray(host, dtype=dtype) if is_dry() else np.array(host, dtype=dtype, order="K")
    check_dtype(host.dtype)
    _counts.send(host.nbytes)
    return made(reserved(host.shape, host.dtype), "asarray", known=False) if is_dry() else made(host, "asarray")


def touched(array: ndarray) -> int:
    """The bytes of memory that reading or writing an array touches: those that a view shows often count once."""
    host = array._host
    if 0 not in host.strides:
        return int(min(host.nbytes, array._block.nbytes))
    shown = [n for n, stride in zip(host.shape, host.strides, strict=True) if stride]
    return min(prod(shown) * host.itemsize, array._block.nbytes) if host.size else 0


def argument(x: Any, used: list[ndarray], zeros: bool = False) -> Any:
    """What NumPy takes in place of an argument; notes the arrays in `used`, and refuses those of NumPy.

    With `zeros`, zeros stand for what a dry run did not compute.
    """
    if isinstance(x, ndarray):
        used.append(x)
        return zeros_like(x._host) if zeros and not x._block.known else x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, list | tuple):
        return type(x)(argument(part, used, zeros) for part in x)
    return x


def check_devices(used: list[ndarray]) -> None:
    """Raise ValueError for an array of another device than the current one, as between devices without peer access."""
    for array in used:
        if array._block.device != current():
            raise ValueError(
                f"The device where the array resides ({array._block.device}) is different from the current device "
                f"({current()}). Peer access is unavailable between these devices."
            )


def computed(
    name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any], times: int = 1, operations: int = 0
) -> Any:
    """Return what a function of NumPy computes, as arrays; count `times` kernels unless it gives nothing but views.

    In a dry run what is written to an output remains unknown.
    """
    used: list[ndarray] = []
    zeros = is_dry() and name not in VIEWS
    plain = [argument(x, used, zeros) for x in args]
    named = {key: argument(x, used, zeros) for key, x in kwargs.items()}
    if kwargs.get("out") is not None and not isinstance(kwargs["out"], ndarray):
        raise TypeError(f"Output arguments type must be cupy.ndarray, not {type(kwargs['out'])}")
    if is_dry() and kwargs.get("out") is not None:
        found = kwargs["out"]
        found._block.known = False
    else:
        with np.errstate(all="ignore"):
            found = _wrapped(name, function(*plain, **named), used)
    results = [each for each in (found if isinstance(found, list | tuple) else (found,)) if isinstance(each, ndarray)]
    seen = {id(array._block) for array in used}
    if kwargs.get("out") is not None or not all(id(each._block) in seen for each in results):
        check_devices(used)
        if any(each.size for each in results):
            moved = sum(map(touched, [*used, *(each for each in results if not any(each is x for x in used))]))
            _counts.launch(name, times, moved, operations)
    return found


def _wrapped(name: str, found: Any, used: list[ndarray]) -> Any:
    if isinstance(found, list | tuple):
        return type(found)(_wrapped(name, each, used) for each in found)
    if not isinstance(found, np.ndarray | np.generic | bool | int | float):
        return found
    host = np.asarray(found)
    for array in used:
        if host is array._host:
            return array
    for array in used:
        if _root(host) is _root(array._host):
            return viewed(array, host)
    return made(host, name)


# ---- indices ---------------------------------------------------------------------------------------------------------


def _index(index: Any, used: list[ndarray]) -> tuple[Any, ...]:
    """An index as NumPy takes it; lists and arrays of the host are sent to the device."""
    at = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, list | np.ndarray):
            part = sent(part, dtype=None if np.size(part) else np.int64)
        at.append(argument(part, used))
    return tuple(at)


def _is_advanced(at: tuple[Any, ...]) -> bool:
    return any(isinstance(part, np.ndarray | bool | np.bool_) for part in at)


def _launch_index(name: str, at: tuple[Any, ...], used: list[ndarray], array: ndarray) -> None:
    """Count an index of arrays: a mask is counted on the device, and several arrays are combined first."""
    check_devices([*used, array])
    arrays = [part for part in at if isinstance(part, np.ndarray | bool | np.bool_)]
    masks = sum(np.asarray(part).dtype == bool for part in arrays)
    if masks and name == "getitem":
        _counts.wait(f"{name} with a mask", 8)
    _counts.launch(name, 1 + 2 * masks + (1 + len(arrays) if len(arrays) > 1 else 0))


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two views show the same cells."""
    return a.shape == b.shape and a.strides == b.strides and a.ctypes.data == b.ctypes.data
