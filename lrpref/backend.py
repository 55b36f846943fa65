"""Where arrays live: NumPy on the CPU, CuPy on a GPU, or any strict array API type.

The array decides. Nothing here is global: two networks may live on two devices at once. This is the only file that
knows CuPy exists, and it imports CuPy only on request.

The rest of lrpref calls only functions that NumPy (2.1 and later), CuPy (14 and later) and the array API standard
(2023.12) have in common; the test suite runs on `array_api_strict` to make sure of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol, TypeGuard, cast

import numpy as np

from .errors import DTypeError, InputError, LrprefError, UnknownNameError, is_one_of, shown


class Array(Protocol):
    """An array of any library that follows the array API standard: NumPy, CuPy, array-api-strict."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""

    @property
    def dtype(self) -> Any:
        """The number type."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def size(self) -> int:
        """The number of elements."""

    @property
    def T(self) -> Array:  # noqa: N802
        """The transpose of a matrix."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Array: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __abs__(self) -> Array: ...
    def __neg__(self) -> Array: ...
    def __invert__(self) -> Array: ...
    def __add__(self, other: Any, /) -> Array: ...
    def __radd__(self, other: Any, /) -> Array: ...
    def __sub__(self, other: Any, /) -> Array: ...
    def __rsub__(self, other: Any, /) -> Array: ...
    def __mul__(self, other: Any, /) -> Array: ...
    def __rmul__(self, other: Any, /) -> Array: ...
    def __truediv__(self, other: Any, /) -> Array: ...
    def __rtruediv__(self, other: Any, /) -> Array: ...
    def __matmul__(self, other: Any, /) -> Array: ...
    def __and__(self, other: Any, /) -> Array: ...
    def __or__(self, other: Any, /) -> Array: ...
    def __eq__(self, other: Any, /) -> Array: ...  # type: ignore[override]
    def __ne__(self, other: Any, /) -> Array: ...  # type: ignore[override]
    def __lt__(self, other: Any, /) -> Array: ...
    def __le__(self, other: Any, /) -> Array: ...
    def __gt__(self, other: Any, /) -> Array: ...
    def __ge__(self, other: Any, /) -> Array: ...


DType = Any
"""A dtype, such as `numpy.float64` or its namesake in another array library."""

_BACKENDS = {"numpy": "numpy", "cupy": "cupy", "array-api-strict": "array_api_strict"}

TAKES_OUT = ("numpy", "cupy")
"""Backends whose functions take an `out` argument, which the array API standard omits."""


def array_namespace(x: Array) -> Any:
    """Return the module whose functions compute on `x`; raise DTypeError if `x` is not an array of real numbers.

    Examples
    --------
    >>> array_namespace(np.zeros(3)).__name__
    'numpy'
    """
    if type(x) is np.ndarray and x.dtype.kind == "f":  # nearly always, and looked at very often
        return np
    if isinstance(x, np.ndarray | np.generic):
        check_plain(x, "the array")
        return np
    if type(x).__module__.partition(".")[0] == "cupy":
        return _cupy()
    if hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    raise DTypeError(f"expected an array, got {type(x).__name__}; wrap it in numpy.asarray(...)")


OLDEST_CUPY = 14
"""The first version of CuPy with the functions of the array API standard, such as `isdtype` and `permute_dims`."""


def _cupy() -> ModuleType:
    """Import and return CuPy; raise LrprefError if it is too old."""
    module = importlib.import_module("cupy")
    if int(module.__version__.partition(".")[0]) < OLDEST_CUPY:
        raise LrprefError(
            f"lrpref needs CuPy {OLDEST_CUPY} or later, and CuPy {module.__version__} is installed: "
            f"pip install 'cupy-cuda12x>={OLDEST_CUPY}' (or 'cupy-cuda13x>={OLDEST_CUPY}')"
        )
    return module


def numbers(x: Any, what: str) -> Array:
    """Return `x`, an array or nested lists, as an array; raise DTypeError unless it holds real numbers or objects.

    Every array that a user gives passes here, or through `array_namespace`. Only its type is looked at, not its values;
    `what` names it in messages. A subclass of `numpy.ndarray`, such as `numpy.memmap`, becomes a plain view.

    Examples
    --------
    >>> numbers(np.asarray([1j]), "R")
    Traceback (most recent call last):
    ...
    lrpref.errors.DTypeError: R has dtype complex128; use real floating-point numbers: float32, float64 or longer
    """
    if not is_array(x):
        x = _hosted(x, what)
    if not isinstance(x, np.ndarray):
        xp = array_namespace(x)
        if xp is not np and xp.isdtype(x.dtype, "complex floating"):
            raise DTypeError(_refused_dtype(x, what))
        return x
    check_plain(x, what)
    return x.view(np.ndarray) if type(x) is not np.ndarray else x


def check_plain(x: np.ndarray | np.generic, what: str) -> None:
    """Raise DTypeError for a NumPy array that redefines operators, or holds something other than real numbers.

    Object arrays pass, because exact numbers are objects.
    """
    special = type(x) is not np.ndarray  # NumPy imports numpy.ma only where it is named
    if special and isinstance(x, np.matrix):
        raise DTypeError(f"{what} is a numpy.matrix, whose * is a matrix product; use numpy.asarray(...)")
    if special and isinstance(x, np.ma.MaskedArray):
        raise DTypeError(
            f"{what} is a masked array, and lrpref would ignore its mask; replace the masked values with filled(...)"
        )
    if x.dtype.kind not in "fbiuO":
        raise DTypeError(_refused_dtype(x, what))


def _refused_dtype(x: Any, what: str) -> str:
    return f"{what} has dtype {x.dtype}; use real floating-point numbers: float32, float64 or longer"


def _hosted(x: Any, what: str) -> np.ndarray:
    """Nested lists, or an array of another library, as a NumPy array; raises DTypeError where lists are ragged."""
    _check_parts(x, what)
    try:
        return np.asarray(x.get() if _on_device(x) else x)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DTypeError(f"{what} cannot be made into an array of numbers: {error}") from error


def _on_device(x: Any) -> bool:
    """Whether `x` has to be fetched: CuPy transfers to the host only when asked to."""
    return hasattr(x, "get") and hasattr(x, "__array__") and not hasattr(x, "iloc")  # a table of pandas has both


def _check_parts(x: Any, what: str) -> None:
    """Check the arrays within nested lists, whose masks `numpy.asarray` would drop."""
    for part in x if isinstance(x, list | tuple) else ():
        if isinstance(part, np.ndarray):
            check_plain(part, what)
        else:
            _check_parts(part, what)


def backend_name(x: Array) -> str:
    """Return "numpy", "cupy", or the name of the module that `x` belongs to.

    Examples
    --------
    >>> backend_name(np.zeros(3))
    'numpy'
    """
    root = str(array_namespace(x).__name__).partition(".")[0]
    return {module: name for name, module in _BACKENDS.items()}.get(root, root)


def place(x: Array) -> str:
    """Return where `x` lives: the name of its backend, and for CuPy the number of the GPU.

    Examples
    --------
    >>> place(np.zeros(3))
    'numpy'
    """
    name = backend_name(x)
    return f"cupy (GPU {cast(Any, x).device.id})" if name == "cupy" else name


def check_together(arrays: Sequence[Array], what: str) -> None:
    """Raise InputError, naming `what`, unless all arrays live in one place."""
    if all(isinstance(x, np.ndarray) for x in arrays):
        return
    places = sorted({place(x) for x in arrays})
    if len(places) > 1:
        raise InputError(
            f"{what} are in several places: {', '.join(places)}; move arrays with lrpref.asarray(x, backend), networks "
            "with net.to(backend)"
        )


def check_current(x: Array, what: str) -> None:
    """Raise InputError, naming `what`, for an array on another GPU than the current one, on which CuPy computes."""
    if isinstance(x, np.ndarray) or backend_name(x) != "cupy":
        return
    home, current = cast(Any, x).device.id, array_namespace(x).cuda.runtime.getDevice()
    if home != current:
        raise InputError(
            f"{what} is on GPU {home}, but CuPy computes on GPU {current}; use `with cupy.cuda.Device({home}):`"
        )


def is_array(x: object) -> TypeGuard[Array]:
    """Whether `x` is an array of any backend; NumPy scalars count as numbers."""
    return hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, np.generic)


def as_tuple(x: Any) -> tuple[Any, ...]:
    """Return one array or several as a tuple."""
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def to_numpy(x: Any) -> np.ndarray:
    """Return `x` as a NumPy array, copied from the device if necessary; refuse a masked array or a matrix."""
    if type(x) is np.ndarray:
        return x
    if isinstance(x, np.ndarray):
        check_plain(x, "the array")
    return _hosted(x, "the array")


def load_backend(name: str) -> ModuleType:
    """Import and return the array module of a backend: "numpy", "cupy" or "array-api-strict".

    Raises
    ------
    UnknownNameError
        If there is no such backend.
    LrprefError
        If its package is not installed, or too old.
    """
    if not is_one_of(name, _BACKENDS):
        raise UnknownNameError(f"no backend is called {shown(name)}. Known: {', '.join(_BACKENDS)}")
    try:
        return _cupy() if name == "cupy" else importlib.import_module(_BACKENDS[name])
    except ImportError as error:
        package = "cupy-cuda12x (or cupy-cuda13x)" if name == "cupy" else name
        raise LrprefError(f"backend {name!r} is not installed: pip install {package}") from error


def asarray(x: Any, backend: str = "numpy") -> Array:
    """Return `x` as an array of a backend, its dtype unchanged; with CuPy, on the current GPU.

    Parameters
    ----------
    x : array or nested sequence
        The values.
    backend : {"numpy", "cupy", "array-api-strict"}, default "numpy"
        The backend of the result.

    Returns
    -------
    array
        `x` itself if it is already on that backend.

    Raises
    ------
    UnknownNameError, LrprefError
        If the backend is unknown or not installed.
    DTypeError
        If `x` does not hold real numbers, is a masked array or a `numpy.matrix`, or has a dtype that the backend lacks:
        exact numbers and long doubles exist on NumPy only.

    Examples
    --------
    >>> asarray([1.0, 2.0]).dtype.name
    'float64'
    """
    return _sent(numbers(x, "the array"), load_backend(backend))


def memory_of(x: Array) -> tuple[int, int]:
    """Return what identifies the memory that an array of NumPy or CuPy and its views share, and the bytes it takes.

    Examples
    --------
    >>> x = np.zeros((2, 3))
    >>> memory_of(x[0]) == memory_of(x.T), memory_of(x[0])[1]
    (True, 48)
    """
    held: Any = x
    if not isinstance(held, np.ndarray):
        return id(held.data.mem), held.data.mem.size
    while isinstance(held.base, np.ndarray):
        held = held.base
    return id(held), held.nbytes


def device_memory(xp: Any) -> tuple[int, int] | None:
    """Return the free and the total bytes of the current GPU for CuPy's namespace; None for others.

    Examples
    --------
    >>> device_memory(np) is None
    True
    """
    if xp.__name__ != "cupy":
        return None
    free, total = xp.cuda.Device().mem_info
    return free + xp.get_default_memory_pool().free_bytes(), total


def moved(x: Array, like: Array) -> Array:
    """Return `x` where `like` lives, its dtype unchanged; raise DTypeError if its dtype does not exist there."""
    return _sent(x, array_namespace(like))


def _sent(x: Array, xp: Any) -> Array:
    """Return `x` as an array of the namespace `xp`, and `x` itself if it is one already."""
    if array_namespace(x) is xp:
        return xp.asarray(x) if xp.__name__ == "cupy" else x  # which moves it if it is on another GPU
    held = to_numpy(x)
    try:
        return xp.asarray(held)
    except (TypeError, ValueError) as error:
        exact = held.dtype == object
        kind, remedy = ("exact numbers", "lrpref.to_float(...)") if exact else (held.dtype, "astype('float64')")
        raise DTypeError(f"{xp.__name__} has no arrays of {kind}; use {remedy} first") from error


def spread(v: Array, like: Array) -> Array:
    """Reshape one value per sample, (N,), to broadcast over `like`, (N, ...)."""
    return array_namespace(v).reshape(v, (-1, *(1,) * (like.ndim - 1)))


def sum_per_sample(x: Array) -> Array:
    """Sum over every axis but the first: shape (N, ...) -> (N,)."""
    return array_namespace(x).sum(x, axis=tuple(range(1, x.ndim))) if x.ndim > 1 else x
