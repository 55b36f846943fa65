"""The functions of the namespace. Most are NumPy's of that name; those on which CuPy differs are written out here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np

from . import _counts
from ._array import NUMBERS, argument, check_devices, check_dtype, computed, made, ndarray, sent, touched, viewed
from ._device import current
from ._dry import is_dry, reserved
from ._table import NAMES, VERSION, checks_arguments, kind

CREATE = {"arange", "empty", "eye", "full", "identity", "linspace", "ones", "tri", "zeros"}
"""Functions that need no array among their arguments."""

ABOUT = {
    *("broadcast_shapes", "can_cast", "get_array_module", "isdtype", "isscalar", "iscomplexobj", "isrealobj"),
    *("may_share_memory", "min_scalar_type", "ndim", "promote_types", "result_type", "shape", "shares_memory", "size"),
}
"""Functions that answer without the device, with no array."""


class ufunc:  # noqa: N801
    """One of CuPy's: it takes `out`, `dtype` and `casting`, arrays of the device and numbers, and nothing else."""

    def __init__(self, name: str) -> None:
        self.name, self._numpy = f"cupy_{name}", getattr(np, name)
        _, nin, nout, *at = NAMES[name].split()
        self.nin, self.nout, self._has_at = int(nin), int(nout), bool(at)
        self.nargs = self.nin + self.nout

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"

    def __call__(
        self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind", **kwargs: Any
    ) -> Any:
        if kwargs:
            raise TypeError(f"Wrong arguments {kwargs}")
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for {self.name!r}, given {len(args)}")
        args, outs = args[: self.nin], args[self.nin :] or (out if isinstance(out, tuple) else (out,) * self.nout)
        self._check(args, outs)
        given = {"dtype": None if dtype is None else check_dtype(dtype), "casting": casting}
        found = computed(self.name[5:], self._numpy, args, given | self._out(args, outs))
        return found

    def _check(self, args: Sequence[Any], outs: Sequence[Any]) -> None:
        for x in args:
            if not isinstance(x, (ndarray, *NUMBERS)) or isinstance(x, np.longdouble | np.object_):
                raise TypeError(f"Unsupported type {type(x)}")
        for x in outs:
            if not (x is None or isinstance(x, ndarray)):
                raise TypeError(f"Output arguments type must be cupy.ndarray, not {type(x)}")

    def _out(self, args: Sequence[Any], outs: Sequence[Any]) -> dict[str, Any]:
        """The keyword `out`; an input that may overlap it, and is not the same object, is copied first."""
        given = [each for each in outs if each is not None]
        for x in args:
            if isinstance(x, ndarray) and any(x is not o and np.may_share_memory(x._host, o._host) for o in given):
                _counts.launch("copy of an input that overlaps the output", moved=2 * x.nbytes)
        if not given:
            return {}
        return {"out": outs[0] if self.nout == 1 else tuple(outs)}

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """Update in place, a cell as often as its index occurs."""
        if not self._has_at:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        used: list[ndarray] = []
        plain = [argument(x, used) for x in (a, indices, *(() if b is None else (b,)))]
        check_devices(used)
        self._numpy.at(*plain)
        _counts.launch(f"{self.name[5:]}.at")

    def reduce(self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Sum or multiply along an axis; CuPy has no other reductions of this form."""
        if self.name not in ("cupy_add", "cupy_multiply"):
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        return named("sum" if self.name == "cupy_add" else "prod")(array, axis, dtype, out, keepdims)


# ---- functions that CuPy has in its own way --------------------------------------------------------------------------


def _asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    if isinstance(a, ndarray):
        if a._block.device != current():
            a, copy = a.copy(), None
        return a.astype(dtype or a.dtype, copy=bool(copy))
    if isinstance(a, list | tuple) and any(isinstance(part, ndarray) for part in a):
        return computed("stack", np.stack, (list(map(_asarray, a)),), {}, times=len(a)).astype(
            dtype or a[0].dtype, copy=False
        )
    if isinstance(a, list | tuple):
        argument([part for part in a if not isinstance(part, np.ndarray)], [])
    return sent(a, dtype)


def _array(obj: Any, dtype: Any = None, copy: Any = True, *args: Any, **kwargs: Any) -> ndarray:
    return _asarray(obj, dtype, copy=copy)


def _empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """What was not written is NaN, so that reading it shows."""
    dtype = check_dtype(float if dtype is None else dtype)
    if is_dry():
        return made(reserved(shape, dtype, order), "empty", known=False)
    host = np.empty(shape, dtype, order)
    host.fill(np.nan if host.dtype.kind in "fc" else 1)
    return made(host, "empty")


def _empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    return _empty(prototype.shape if shape is None else shape, dtype or prototype.dtype)


def _copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    used: list[ndarray] = []
    if not isinstance(dst, ndarray):
        raise TypeError(f"Unsupported type {type(dst)}")
    if isinstance(src, np.ndarray):
        if src.size != 1:
            raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
        src = src.reshape(())[()]
    to, plain = argument(dst, used), argument(src, used)
    mask = True if where is None else argument(where, used)
    if not isinstance(src, (ndarray, *NUMBERS)):
        raise TypeError(f"Unsupported type {type(src)}")
    check_devices(used)
    if is_dry():
        dst._block.known = False
    else:
        np.copyto(to, plain, casting=casting, where=mask)
    if dst.size:
        _counts.launch("copyto", moved=dst.nbytes + sum(touched(x) for x in used if x is not dst))


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return named("nonzero")(condition)
    if not isinstance(condition, ndarray):
        raise AttributeError(f"{type(condition).__name__!r} object has no attribute 'astype'")
    for each in (x, y):
        if not isinstance(each, (ndarray, *NUMBERS)):
            raise TypeError(f"Unsupported type {type(each)}")
    if condition.dtype != bool:
        condition = condition.astype(bool)
    return computed("where", np.where, (condition, x, y), {})


def _matmul(*args: Any, out: Any = None, **kwargs: Any) -> ndarray:
    """One product, and a copy of each operand that cuBLAS cannot read and of a result that it cannot write."""
    if len(args) != 2 or not all(isinstance(x, ndarray) for x in args):
        raise TypeError(f"matmul takes two arrays of the device, got {[type(x).__name__ for x in args]}")
    a, b = args
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("Scalar operands are not allowed, use '*' instead")
    dtype, batched = np.promote_types(a.dtype, b.dtype), max(a.ndim, b.ndim) > 2
    for x in args:
        readable = x.flags.c_contiguous or (x.flags.f_contiguous and not batched)
        if not readable or x.dtype != dtype:
            _counts.launch("copy of an operand of a product", moved=2 * x.nbytes)
    if batched and a.shape[:-2] != b.shape[:-2]:
        _counts.launch("pointers to the matrices of a product", 3)
    if isinstance(out, tuple):
        (out,) = out
    if isinstance(out, ndarray):
        overlaps = any(np.may_share_memory(x._host, out._host) for x in args)
        if overlaps or not out.flags.c_contiguous or out.dtype != dtype:
            _counts.launch("copy of a product to its place", moved=2 * out.nbytes)
        kwargs = kwargs | {"out": out}
    elif out is not None:
        raise TypeError("`out` must be a tuple or `cupy.ndarray`")
    stacks = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, columns = a.shape[-2] if a.ndim > 1 else 1, b.shape[-1] if b.ndim > 1 else 1
    return computed("matmul", np.matmul, args, kwargs, operations=2 * prod(stacks) * rows * columns * a.shape[-1])


def _einsum(*operands: Any, **kwargs: Any) -> ndarray:
    if strange := sorted(set(kwargs) - {"dtype", "optimize"}):
        raise TypeError(f"Did not understand the following kwargs: {strange}")
    copied = sum(isinstance(x, ndarray) and not x.flags.c_contiguous for x in operands)
    if copied:
        _counts.launch("copy of an operand of a product", copied)
    return computed("einsum", np.einsum, operands, kwargs)


def _joins(name: str) -> Callable[..., ndarray]:
    def join(tup: Any, *args: Any, **kwargs: Any) -> ndarray:
        arrays = list(tup)
        if not all(isinstance(x, ndarray) for x in arrays):
            raise TypeError("Only cupy arrays can be concatenated")
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        return computed(name, getattr(np, name), (arrays, *args), kwargs, times=len(arrays) if len(arrays) <= 8 else 1)

    return join


def _waits(name: str) -> Callable[..., Any]:
    """A function whose result has a shape that only the device knows."""

    def find(a: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(a, ndarray):
            _counts.wait(name, 8)
        return computed(name, getattr(np, name), (a, *args), kwargs, times=4)

    return find


def _take(a: Any, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    if isinstance(indices, list | np.ndarray):
        indices = sent(indices)
    if out is not None and (not isinstance(out, ndarray) or out.dtype != a.dtype):
        raise TypeError("Output dtype mismatch")
    return computed("take", np.take, (a, indices), {"axis": axis} | ({} if out is None else {"out": out}))


def _as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    view = viewed(x, np.lib.stride_tricks.as_strided(argument(x, []), shape, strides))
    view.base = None  # CuPy makes an array of the memory
    return view


def _asnumpy(a: Any, *args: Any, **kwargs: Any) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def _get_array_module(*args: Any) -> Any:
    return importlib.import_module("cupy") if any(isinstance(x, ndarray) for x in args) else np


OWN: dict[str, Callable[..., Any]] = {
    **{"asarray": _asarray, "asanyarray": _asarray, "array": _array, "empty": _empty, "empty_like": _empty_like},
    **{"copyto": _copyto, "where": _where, "matmul": _matmul, "einsum": _einsum, "take": _take},
    **{name: _joins(name) for name in ("concatenate", "concat", "stack", "hstack", "vstack")},
    **{name: _waits(name) for name in ("nonzero", "flatnonzero", "argwhere", "unique")},
    **{"lib.stride_tricks.as_strided": _as_strided, "asnumpy": _asnumpy, "get_array_module": _get_array_module},
}


def _numpys(name: str) -> Callable[..., Any]:
    """NumPy's function of a name; it takes arrays of the device and gives such arrays."""
    function = getattr(np, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if name in ABOUT:
            return function(*argument(args, []), **kwargs)
        used: list[ndarray] = []
        argument(args, used)
        if not used and name not in CREATE:
            raise TypeError(f"cupy.{name} takes an array of the device, got {[type(x).__name__ for x in args]}")
        kwargs = {key: value for key, value in kwargs.items() if not (key == "subok" and value is None)}
        return computed(name, function, args, kwargs)

    return call


# ---- names -----------------------------------------------------------------------------------------------------------


@cache
def named(name: str) -> Any:
    """Return what CuPy has under a name.

    Raises AttributeError if it has nothing, and NotImplementedError if this stand-in does not have it.
    """
    if kind(name) == "":
        raise AttributeError(f"module 'cupy' has no attribute {name!r} (CuPy {VERSION})")
    if kind(name) == "function" and (name in OWN or hasattr(np, name)):
        bind, does = checks_arguments(name), OWN.get(name) or _numpys(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            bind(*args, **kwargs)
            return does(*args, **kwargs)

        call.__name__ = name
        return call
    if kind(name) == "ufunc" and hasattr(np, name):
        return ufunc(name)
    if kind(name) in ("type", "value") and hasattr(np, name):
        return getattr(np, name)
    raise NotImplementedError(f"cupy.{name} is not part of this stand-in; add it")


# ---- operators -------------------------------------------------------------------------------------------------------

ARITHMETIC = {
    **{"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "power", "lshift": "left_shift", "rshift": "right_shift"},
    **{"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"},
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
SIGNS = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _give_operators() -> None:
    for operator, name in (ARITHMETIC | COMPARISONS).items():
        setattr(ndarray, f"__{operator}__", lambda self, other, name=name: named(name)(self, other))
    for operator, name in ARITHMETIC.items():
        setattr(ndarray, f"__r{operator}__", lambda self, other, name=name: named(name)(other, self))
        setattr(ndarray, f"__i{operator}__", lambda self, other, name=name: named(name)(self, other, out=self))
    for operator, name in SIGNS.items():
        setattr(ndarray, f"__{operator}__", lambda self, name=name: named(name)(self))
    ndarray.__matmul__ = lambda self, other: _matmul(self, other)  # type: ignore[attr-defined]
    ndarray.__rmatmul__ = lambda self, other: _matmul(other, self)  # type: ignore[attr-defined]


_give_operators()
