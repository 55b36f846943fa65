"""What checks are made of: reading fractions, choices and arrays from an answer, and refusing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from reprlib import repr as brief
from typing import Any

import numpy as np

import lrpref

from .exercise import NotAnswered, NotChecked, Refused


def demand(condition: object, message: str) -> None:
    """Refuse the answer, with this message, unless the condition holds."""
    if not condition:
        raise Refused(message)


def needs(library: str) -> None:
    """Stop here, without a verdict, if an optional library of the extra "testing" is not installed."""
    if find_spec(library) is None:
        install = 'python3 -m pip --python .venv/bin/python install -e ".[testing]"'
        raise NotChecked(f"Right so far. The rest of the check needs {library}: {install}")


def fraction(value: Any, what: str = "The answer") -> Fraction:
    """An exact number: an int, a Fraction, text such as "3/4", or a float of at most twelve digits.

    Such a float counts as the decimal that was written: 0.1 is 1/10. A longer one, such as the 1/3 of floating point,
    is refused.
    """
    if value is None or value is ...:
        raise NotAnswered
    if isinstance(value, float | np.floating):
        written = Decimal(str(value))
        short = written.is_finite() and len(written.as_tuple().digits) <= 12
        demand(short, f"{what}: {value} is rounded. Give the fraction itself, such as Fraction(1, 3) or '1/3'.")
        return Fraction(written)
    try:
        return Fraction(int(value)) if isinstance(value, np.integer) else Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError):
        raise Refused(f"{what} must be a number such as Fraction(1, 3), 2 or '1/3', got {brief(value)}.") from None


def fractions(values: Any, shape: Sequence[int] | int, what: str = "The answer") -> np.ndarray:
    """An array of fractions of this shape, from nested lists or an array."""
    if values is None or values is ...:
        raise NotAnswered
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    try:
        given = np.array(values, dtype=object)
    except ValueError:
        given = np.array(None)
    sizes = " by ".join(map(str, shape))
    demand(given.shape == shape, f"{what} must be a list of {sizes} numbers, got {brief(values)}.")
    found = np.empty(shape, dtype=object)
    for place, value in np.ndenumerate(given):
        found[place] = fraction(value, what)
    return found


def parts(values: Any, count: int, message: str) -> Sequence[Any]:
    """The parts of a tuple, list or array of this length; refuses anything else with this message."""
    given = isinstance(values, tuple | list) or (isinstance(values, np.ndarray) and values.ndim > 0)
    demand(given and len(values) == count, message)
    found: Sequence[Any] = values
    return found


def entries(values: Any, names: Iterable[str], what: str = "The answer") -> Mapping[str, Any]:
    """A dictionary with exactly these names."""
    wanted = list(names)
    given = isinstance(values, Mapping) and set(values) == set(wanted)
    demand(given, f"{what} must be a dictionary with the entries {', '.join(wanted)}.")
    if any(value is None for value in values.values()):
        raise NotAnswered
    return values


def demand_all(answer: Any, truth: Mapping[str, bool], why_not: Callable[[str], str]) -> None:
    """Demand a set of exactly those names that are true; `why_not` says what is wrong with one that is not."""
    demand(isinstance(answer, str | Set | list | tuple), "Give a set of names.")
    spelled = {name.lower(): name for name in truth}
    named = {
        spelled.get(str(name).strip().lower(), str(name)) for name in ([answer] if isinstance(answer, str) else answer)
    }
    unknown = sorted(named - set(truth))
    demand(not unknown, f"{', '.join(unknown)} is not among {', '.join(truth)}.")
    if not named:
        raise NotAnswered
    for name in sorted(named):
        if not truth[name]:
            raise Refused(f"{name}: {why_not(name)}")
    missing = {name for name, true in truth.items() if true} - named
    demand(not missing, "Those that you name are right, but they are not all.")


def array(values: Any, shape: Sequence[int], what: str = "The answer") -> np.ndarray:
    """A finite array of floats of this shape."""
    if values is None or values is ...:
        raise NotAnswered
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        hint = "; its map is `.relevance`" if isinstance(values, lrpref.Trace) else ""
        raise Refused(f"{what} must be an array of numbers, got {type(values).__name__}{hint}.") from None
    demand(found.shape == tuple(shape), f"{what} must have the shape {tuple(shape)}, got {found.shape}.")
    demand(np.isfinite(found).all(), f"{what} contains NaN or infinity: somewhere it divides by zero.")
    return found


def exact(values: Any) -> np.ndarray:
    """An array of fractions from our own numbers."""
    return np.vectorize(Fraction, otypes=[object])(np.array(values, dtype=object))


def shown(values: Any) -> str:
    """Numbers for a message: "(1/2, -3)"."""
    flat = np.ravel(np.array(values, dtype=object))
    texts = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in flat.tolist()]
    return texts[0] if np.ndim(values) == 0 else f"({', '.join(texts)})"
