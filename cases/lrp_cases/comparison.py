"""Compare an answer with what it must equal: the one place that decides whether two arrays agree.

Arrays are nested lists. Floats agree to a tolerance; exact numbers, which are fractions, must be equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isnan
from numbers import Rational
from typing import Any

from .reader import flat, shape_of


@dataclass(frozen=True)
class Pair:
    """Two arrays that must agree.

    Parameters
    ----------
    what : str
        What is compared.
    got, expected : nested lists, or a number
        The answer, and the value that it must equal.
    allowed : number, or list of one number per entry
        The largest absolute difference.
    """

    what: str
    got: Any
    expected: Any
    allowed: Any = 0


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Parameters
    ----------
    pair : Pair
        What was compared.
    agrees : bool
        Whether every entry is within the bound; NaN never is.
    error : float
        The largest absolute difference.
    relative : float
        The largest difference in units of the bound.
    """

    pair: Pair
    agrees: bool
    error: float
    relative: float


def near(what: str, got: Any, expected: Any, tolerance: float) -> Pair:
    """Return a pair whose entries must satisfy |got - expected| <= tolerance (1 + |expected|), or be equal if exact.

    Parameters
    ----------
    what : str
        What is compared.
    got, expected : nested lists, or a number
        The answer, and the value that it must equal.
    tolerance : float
        The absolute and relative tolerance.

    Returns
    -------
    Pair
        The pair, with the bound on each entry.
    """
    allowed: Any = 0 if is_exact(expected) else [tolerance * (1 + abs(e)) for e in flat(expected)]
    return Pair(what, got, expected, allowed)


def is_exact(array: Any) -> bool:
    """Whether all numbers are exact, and not all of them are Python integers.

    Examples
    --------
    >>> is_exact([Fraction(1, 2), 1]), is_exact([0, 1]), is_exact([Fraction(1, 2), 0.5])
    (True, False, False)
    """
    entries = flat(array)
    return all(isinstance(v, Rational) for v in entries) and not all(isinstance(v, int) for v in entries)


def compare(pair: Pair) -> Comparison:
    """Compare two arrays entry by entry.

    Parameters
    ----------
    pair : Pair
        The arrays and the bound.

    Returns
    -------
    Comparison
        Whether they agree, and by how much they differ.

    Raises
    ------
    ValueError
        If their shapes differ.
    TypeError
        If the answer contains anything but real numbers.

    Examples
    --------
    >>> compare(near("relevance", [0.5, 1.0], [0.5, 1.0], 1e-10)).agrees
    True
    >>> compare(near("relevance", [0.5, 1.5], [0.5, 1.0], 1e-10)).error
    0.5
    """
    shapes = shape_of(pair.got), shape_of(pair.expected)
    if shapes[0] != shapes[1]:
        raise ValueError("{} has shape {}, expected {}".format(pair.what, *shapes))
    got, expected = flat(pair.got), flat(pair.expected)
    allowed = pair.allowed if isinstance(pair.allowed, list) else [pair.allowed] * len(got)
    off = [_difference(pair.what, g, e) for g, e in zip(got, expected)]
    relative = [0.0 if d == 0 else _float(d) / _float(a) if a > 0 else float("inf") for d, a in zip(off, allowed)]
    agrees = all(d <= a for d, a in zip(off, allowed))
    return Comparison(pair, agrees, _largest([_float(d) for d in off]), _largest(relative))


def _difference(what: str, got: Any, expected: Any) -> Any:
    """The absolute difference of two numbers; infinite where it is beyond the range of floats."""
    if isinstance(got, (bool, str, complex)) or got is None:
        raise TypeError(f"{what} has the entry {got!r}; expected real numbers")
    try:
        return abs(got - expected)
    except OverflowError:
        return float("inf")


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _largest(values: list[float]) -> float:
    """The largest value; NaN if one of them is NaN, 0 if there are none."""
    return float("nan") if any(map(isnan, values)) else max([0.0, *values])


def entries(answer: Any) -> Any:
    """Return an answer of a file as nested lists of numbers: "1/3" is a fraction, and JSON's numbers are floats.

    Parameters
    ----------
    answer : nested lists
        Numbers, and text: a fraction, "NaN", "Infinity" or "-Infinity".

    Returns
    -------
    nested lists
        Fractions if every entry is text of a fraction; floats otherwise.

    Raises
    ------
    TypeError
        If an entry is neither.

    Examples
    --------
    >>> entries([["1/2", "-3"]])
    [[Fraction(1, 2), Fraction(-3, 1)]]
    >>> entries([1, "1/2", "NaN"])
    [1.0, 0.5, nan]
    """
    values = [_entry(value) for value in flat(answer)]
    exact = all(isinstance(value, Fraction) for value in values)
    return _refilled(answer, values if exact else [_float(value) for value in values])[0]


def _entry(value: Any) -> Any:
    """A number, or text of a fraction as a Fraction, or of a float as a float."""
    if isinstance(value, str):
        numerator, _, denominator = value.partition("/")
        if _digits(numerator.lstrip("-")) and (not denominator or (_digits(denominator) and denominator.strip("0"))):
            return Fraction(int(numerator), int(denominator or 1))
        if value.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise TypeError(f"an entry is {str(value)!r:.40}; expected a number, or a fraction as text")


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 1000


def _refilled(shape: Any, values: list[Any]) -> tuple[Any, list[Any]]:
    """Nested lists of the same shape with these entries, and the entries left over."""
    if not isinstance(shape, list):
        return values[0], values[1:]
    found = []
    for part in shape:
        filled, values = _refilled(part, values)
        found.append(filled)
    return found, values
