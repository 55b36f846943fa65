"""Which numbers an array holds: floating-point numbers of some length, or exact rationals in an object array.

The same plain code runs on both, because every constant, fill and change of dtype goes through here: 0.1 is one tenth
where numbers are exact, and the nearest float where they are not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from math import inf, isfinite, isqrt
from numbers import Integral, Rational, Real
from typing import Any, TypeGuard

import numpy as np

from .backend import Array, DType, array_namespace, check_current, is_array, moved, numbers, to_numpy
from .errors import DTypeError, InputError, ParameterError, shown


def is_exact(x: object) -> TypeGuard[np.ndarray]:
    """Whether `x` holds Python objects instead of floating-point numbers.

    They are exact rationals; only `lrpref.digits` puts other numbers, of a stated precision, into such an array.
    """
    return isinstance(x, np.ndarray) and x.dtype == object


def is_rational(x: object) -> TypeGuard[np.ndarray]:
    """Whether `x` holds exact rationals."""
    return is_exact(x) and all(isinstance(value, Rational) for value in x.flat[:1])


def is_real_floating(x: Array) -> bool:
    """Whether lrpref computes with the dtype of `x`: floating point of at least 32 bits, or exact."""
    if isinstance(x, np.ndarray):
        return x.dtype == object or (x.dtype.kind == "f" and x.dtype.itemsize >= 4)
    xp = array_namespace(x)
    return bool(xp.isdtype(x.dtype, "real floating")) and xp.finfo(x.dtype).bits >= 32


def all_finite(x: Array) -> bool:
    """Whether `x` is free of NaN and infinities (exact rationals always are)."""
    return is_exact(x) or bool(finite(x))


def finite(x: Array) -> Any:
    """Whether floating-point numbers are all finite, as an array without axes: asking for its value waits for a GPU."""
    xp = array_namespace(x)
    return xp.all(xp.isfinite(x))


def as_floating(x: Any, what: str) -> Array:
    """Return `x` as an array that lrpref computes with: lists and integers become float64, Python fractions exact.

    Raises DTypeError for complex numbers, text, or fewer than 32 bits, and for a masked array or a `numpy.matrix`.
    Raises InputError for an array on another GPU than the current one. `what` names `x` in the message.
    """
    x = numbers(x, what)
    check_current(x, what)
    if is_exact(x):
        return _of_one_kind(x, what)
    xp = array_namespace(x)
    if xp.isdtype(x.dtype, ("bool", "integral")):
        x = xp.astype(x, xp.float64)
    if not is_real_floating(x):
        raise DTypeError(f"{what} has dtype {x.dtype}; use real floating-point numbers: float32, float64 or longer")
    return x


def as_parameter(x: Any, what: str, ndim: int | None = None) -> Array:
    """Return `x` as a parameter of a layer or a rule: floating point, finite, not empty, of rank `ndim`, and `owned`.

    Raises DTypeError, or ParameterError for NaN, infinities, no elements or another rank; `what` names `x` in the
    message.
    """
    x = as_floating(x, what)
    if ndim is not None and x.ndim != ndim:
        axes = "1 axis" if ndim == 1 else f"{ndim} axes"
        raise ParameterError(f"{what} must have {axes}, got shape {tuple(x.shape)}")
    if x.size == 0:
        raise ParameterError(f"{what} is empty: its shape is {tuple(x.shape)}")
    if not all_finite(x):
        raise ParameterError(f"{what} holds NaN or infinities")
    return owned(x)


def as_mask(x: Any, what: str) -> Array:
    """Return `x` as one boolean per channel, `owned`; raise ParameterError for another dtype or rank."""
    x = numbers(x, what)
    if x.ndim != 1 or not array_namespace(x).isdtype(x.dtype, "bool"):
        raise ParameterError(f"{what} must be one boolean per channel, got shape {tuple(x.shape)} of {x.dtype}")
    return owned(x)


def owned(x: Array) -> Array:
    """Return `x` as an array that its holder alone can change: a copy, read-only on NumPy, or `x` if it is one already.

    Examples
    --------
    >>> held = owned(np.zeros(3))
    >>> held.flags.writeable, owned(held) is held
    (False, True)
    """
    if not isinstance(x, np.ndarray):
        return array_namespace(x).astype(x, x.dtype, copy=True)
    return x if _is_given_up(x) else given_up(x.astype(x.dtype.newbyteorder("="), order="C"))


def given_up(x: Array) -> Array:
    """Return `x`, which the caller has just made and does not keep, as a read-only view, which `owned` does not copy.

    NumPy does not let such a view be made writeable again. Other backends have none, so `x` is returned as it is.
    """
    if not isinstance(x, np.ndarray):
        return x
    x.flags.writeable = False
    return x.view()


def _is_given_up(x: np.ndarray) -> bool:
    """Whether `x` is a read-only view of a read-only array that owns its memory, as `given_up` returns."""
    base = x.base
    return isinstance(base, np.ndarray) and base.flags.owndata and not (base.flags.writeable or x.flags.writeable)


def check_finite(x: Array, what: str) -> None:
    """Raise InputError, saying where, when `x` (samples along axis 0) holds NaN or infinities."""
    if all_finite(x):
        return
    count, first = int((~np.isfinite(to_numpy(x))).sum()), samples_not_finite(x)[0]
    raise InputError(
        f"{what} holds {count} NaN or infinite values, first in sample {first}; fix or remove those samples"
    )


def quiet() -> np.errstate:
    """Return a context without NumPy's warnings of overflow and NaN: lrpref's own name the node and the samples."""
    return np.errstate(over="ignore", invalid="ignore")


def check_in_range(x: Array, what: str) -> None:
    """Raise InputError, saying where, when finite numbers became infinite in the dtype of `x`."""
    if not all_finite(x):
        first = samples_not_finite(x)[0]
        raise InputError(f"{what} holds values too large for {x.dtype}, first in sample {first}; {smaller(x.dtype)}")


def samples_not_finite(x: Array) -> list[int]:
    """Return the samples (indices along axis 0) of `x` that hold NaN or infinities; a vector is one sample."""
    bad = ~np.isfinite(to_numpy(x))
    return [int(n) for n in np.flatnonzero(bad.reshape(bad.shape[0] if bad.ndim > 1 else 1, -1).any(axis=1))]


def smaller(dtype: DType) -> str:
    """Return the remedy for numbers that are too large for `dtype`."""
    return "use smaller numbers" + (", or net.astype('float64')" if str(dtype).endswith("float32") else "")


def check_not_pixels(x: Any, what: str) -> None:
    """Raise InputError for unsigned integers of 8 or 16 bits above 1: the pixels of an image, not a network's numbers.

    Python's integers and signed ones may be meant as they are; `what` names `x` in the message.
    """
    x = x if is_array(x) else np.asarray(x)
    xp: Any = np if isinstance(x, np.ndarray) else array_namespace(x)  # text, for `exact`, is not refused here
    if not (x.size and xp.isdtype(x.dtype, "unsigned integer") and (bits := xp.iinfo(x.dtype).bits) <= 16):
        return
    if (most := int(xp.max(x))) > 1:
        white = xp.iinfo(x.dtype).max
        raise InputError(
            f"{what} holds {bits}-bit pixels up to {most}; use x / {white} for a network that takes pixels in [0, 1], "
            "and x.astype('float64') for one that takes whole numbers"
        )


def check_number(value: Any, what: str, least: float | None = None) -> None:
    """Raise ParameterError unless `value` is a finite real number, and at least `least`; a boolean is not a number."""
    if not is_number(value) or (least is not None and value < least):
        bound = "" if least is None else f" >= {least}"
        raise ParameterError(f"{what} must be a finite number{bound}, got {shown(value)}")


NO_NUMBERS = (bool, np.timedelta64)
"""Types that Python counts among the integers."""


def is_number(value: Any) -> bool:
    """Whether `value` is a finite real number in the range of float64; a boolean is not a number."""
    if isinstance(value, NO_NUMBERS) or not isinstance(value, Real):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer or a fraction beyond every float
        return False


LARGEST = 2**31 - 1
"""The largest integer that `check_integer` accepts by default."""


def is_integer(value: Any, least: int, most: int = LARGEST) -> bool:
    """Whether `value` is an integer from `least` to `most`; a boolean is not an integer."""
    if isinstance(value, NO_NUMBERS) or not isinstance(value, Integral):
        return False
    return least <= int(value) <= most


def is_shape(value: Any, least: int = 0) -> bool:
    """Whether `value` is a tuple or list of integers >= `least`."""
    return isinstance(value, tuple | list) and all(is_integer(n, least) for n in value)


def check_integer(value: object, what: str, least: int, most: int = LARGEST) -> None:
    """Raise ParameterError unless `value` is an integer from `least` to `most`."""
    if not is_integer(value, least, most):
        bound = f">= {least}" if most == LARGEST else f"from {least} to {most}"
        raise ParameterError(f"{what} must be an integer {bound}, got {shown(value)}")


def check_flag(value: object, what: str) -> None:
    """Raise ParameterError unless `value` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{what} must be True or False, got {shown(value)}")


def check_choice(value: object, what: str, choices: tuple[str | None, ...]) -> None:
    """Raise ParameterError unless `value` is one of `choices`."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        *some, last = ['"' + choice + '"' if choice else str(choice) for choice in choices]
        raise ParameterError(f"{what} must be {', '.join(some)} or {last}, got {shown(value)}")


def exact_number(value: Any) -> Any:
    """Return a rational number in the type that exact arrays hold: gmpy2's mpq where installed, else Fraction.

    Examples
    --------
    >>> exact_number(Fraction(1, 3)) == Fraction(1, 3)
    True
    """
    return _rational()(value)


@cache
def _rational() -> Any:
    try:
        return importlib.import_module("gmpy2").mpq
    except ImportError:
        return Fraction


def exact_array(x: Any) -> np.ndarray:
    """Return numbers, or their text, as exact numbers in an object array; raise ParameterError for anything else."""
    return _each(x, exact_number)


def _each(x: Any, make: Callable[[Fraction], Any]) -> np.ndarray:
    """Return an object array with `make(fraction)` for each number of `x`."""
    given = np.asarray(to_numpy(x) if is_array(x) else x, dtype=object)
    values = np.empty(given.shape, dtype=object)
    for index, value in np.ndenumerate(given):
        values[index] = make(as_fraction(value))
    return values


def as_fraction(value: Any) -> Fraction:
    """Return the fraction that a number or a text represents; raise ParameterError for NaN, infinities and non-numbers.

    Examples
    --------
    >>> as_fraction(0.5), as_fraction("0.1")
    (Fraction(1, 2), Fraction(1, 10))
    """
    try:
        if isinstance(value, Rational):
            return Fraction(int(value.numerator), int(value.denominator))
        if hasattr(value, "as_integer_ratio"):  # floats of any length, decimals
            return Fraction(*map(int, value.as_integer_ratio()))
        return Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise ParameterError(f"{shown(value)} cannot be represented as a fraction") from error


def _of_one_kind(x: np.ndarray, what: str) -> np.ndarray:
    """Return an object array that holds exact numbers only: a stray integer or float would turn quotients into floats.

    Numbers of another type are left alone if that type has a `from_fraction`, as those of `lrpref.digits` do. Raises
    DTypeError for objects that are not numbers.
    """
    kinds = {type(value) for value in x.flat}
    other = len(kinds) == 1 and all(hasattr(kind, "from_fraction") for kind in kinds)
    if other or kinds <= {type(exact_number(0))}:
        return x
    try:
        if str in kinds:
            raise ParameterError("it holds text; use lrpref.exact(...)")
        return exact_array(x)
    except ParameterError as error:
        raise DTypeError(f"{what} does not hold real numbers: {error}") from error


def number_type(x: np.ndarray) -> Callable[[Fraction], Any]:
    """Return the constructor of the numbers that the object array `x` holds."""
    return exact_number if is_rational(x) else type(x.flat[0]).from_fraction


def converted(x: Array, like: Array) -> Array:
    """Return `x` where `like` lives, in its arithmetic; floats become the fractions that they represent."""
    if is_exact(like):
        return _each(x, number_type(like))
    if isinstance(x, np.ndarray):  # before it moves: exact numbers and long doubles exist on NumPy only
        x = as_dtype(x, _numpy_dtype(like))
    return as_dtype(moved(x, like), like.dtype)


def _numpy_dtype(x: Array) -> np.dtype:
    """The dtype of an array of any backend as NumPy names it."""
    return x.dtype if isinstance(x, np.ndarray) else np.dtype(str(x.dtype).rpartition(".")[2])


def as_dtype(x: Array, dtype: DType) -> Array:
    """Return `x` in another dtype: floats become the fractions that they represent, exact numbers are rounded."""
    if x.dtype == dtype:
        return x
    if isinstance(x, np.ndarray) and dtype == np.dtype(object):
        return exact_array(x)
    if is_exact(x):
        return rounded(x, dtype)
    with quiet():  # the caller checks the result
        return array_namespace(x).astype(x, dtype)


def rounded(x: np.ndarray, dtype: DType = np.float64) -> np.ndarray:
    """Round exact numbers to floating-point ones: to float64, or via the 106 bits of two float64 to a longer type."""
    if not is_rational(x):
        return x.astype(dtype)
    fractions = [as_fraction(value) for value in x.flat]
    try:
        high = [float(value) for value in fractions]
    except OverflowError as error:
        raise InputError("exact numbers are too large for float64; use smaller numbers") from error
    low = [float(value - Fraction(nearest)) for value, nearest in zip(fractions, high, strict=True)]
    wide = np.result_type(dtype, np.float64)
    sums: np.ndarray = np.asarray(high, dtype=wide) + np.asarray(low, dtype=wide)
    return sums.astype(dtype).reshape(x.shape)


def check_alike(arrays: Iterable[Array]) -> None:
    """Raise DTypeError where exact and floating-point numbers would mix: all of them would become floats."""
    if len({is_exact(x) for x in arrays}) > 1:
        raise DTypeError("exact and floating-point numbers do not mix; use lrpref.exact on all of them, or on none")


def check_still_exact(y: Array, like: Array, what: str = "a map of the rule") -> None:
    """Raise DTypeError, naming `what`, where `y`, computed from the exact numbers `like`, holds other numbers."""
    if is_rational(like) and not (is_exact(y) and all(isinstance(value, Rational) for value in y.flat)):
        raise DTypeError(
            f"{what} turned exact numbers into floats; write its constants as "
            "lrpref.arithmetic.constant(value, like=x), where x is an exact array"
        )


def irrational(function: str, x: Array, what: str) -> Array:
    """Return "sqrt", "exp", "expm1", "log", "log1p" or "tanh" of `x`, as NumPy names them.

    Raises DTypeError, naming `what`, where `x` is exact. Objects of other kinds compute it by a method of that name;
    those of `lrpref.digits` also have "ncdf", the normal distribution function.
    """
    if is_rational(x):
        kind = "a square root" if function == "sqrt" else "an exponential"
        raise DTypeError(
            f"{what} needs {kind}, which is irrational, so exact arithmetic cannot represent it; use floats"
        )
    if is_exact(x):
        return np.asarray(np.frompyfunc(lambda number: getattr(number, function)(), 1, 1)(x), dtype=object)
    return getattr(array_namespace(x), function)(x)


def square_root(x: Array, what: str) -> Array:
    """Return the square root of `x`; raise DTypeError, naming `what`, where `x` is exact and has no rational root.

    Examples
    --------
    >>> square_root(np.asarray([Fraction(4, 9)], dtype=object), "the example")[0] == Fraction(2, 3)
    True
    """
    if not is_rational(x):
        return irrational("sqrt", x, what)
    roots = exact_array([Fraction(isqrt(v.numerator), isqrt(v.denominator)) for v in map(as_fraction, x.flat)])
    roots = roots.reshape(x.shape)
    return roots if bool(np.all(roots * roots == x)) else irrational("sqrt", x, what)


def constant(value: Any, like: Array) -> Any:
    """Return the number written `value` in the arithmetic of `like`, so that 0.1 is one tenth where possible.

    Exact arrays get the fraction of the decimal as written, long doubles the nearest long double; every other
    floating-point type takes a Python number. Rules of your own use it for their parameters inside a map.

    Parameters
    ----------
    value : number
        As written by the user, for instance 0.1.
    like : array
        The array that the number will be combined with.

    Returns
    -------
    number
        A Python number, or one of the type that `like` holds.

    Examples
    --------
    >>> constant(0.1, like=np.asarray([Fraction(1)], dtype=object)) == Fraction(1, 10)
    True
    """
    if is_exact(like):
        return number_type(like)(as_fraction(value if isinstance(value, Rational) else str(value)))
    if isinstance(value, Integral) and abs(int(value)) < 2**53:
        return int(value)
    _check_range(value, like)
    if isinstance(like, np.ndarray) and like.dtype.char == "g":
        if isinstance(value, Rational):
            return np.longdouble(str(value.numerator)) / np.longdouble(str(value.denominator))
        return np.longdouble(str(value))
    return float(value)


FLOAT32_MAX = 3.4028234663852886e38
"""The largest number of every type that lrpref computes in."""


def _check_range(value: Any, like: Array) -> None:
    """Raise ParameterError where a finite `value` would overflow in the arithmetic of `like`."""
    size = abs(value)
    if FLOAT32_MAX < size < inf and size > float(array_namespace(like).finfo(like.dtype).max):
        raise ParameterError(
            f"{shown(value)} is out of range for {like.dtype}; use a smaller number, or net.astype(...)"
        )


def full(shape: tuple[int, ...], value: Any, like: Array) -> Array:
    """Return an array of `shape` filled with `value`, on the backend and in the arithmetic of `like`."""
    return array_namespace(like).full(shape, constant(value, like=like), dtype=like.dtype)


def zeros_like(x: Array) -> Array:
    """Return zeros in the shape and arithmetic of `x`; NumPy's own `zeros_like` would not be exact."""
    return full(x.shape, 0, like=x)


def ones_like(x: Array) -> Array:
    """Return ones in the shape and arithmetic of `x`."""
    return full(x.shape, 1, like=x)
