"""Everything that can go wrong, by name.

Every error that lrpref raises on purpose is an `LrprefError`, and also the built-in kind that a Python programmer
would expect. Messages name the node, the shapes or values, and the remedy if there is one.

    LrprefError
    ├── ShapeError       (ValueError)    shapes that do not fit together
    ├── InputError       (ValueError)    an input or a seed that cannot be used: NaN, another backend, no batch axis
    ├── DTypeError       (TypeError)     a dtype that lrpref does not compute with
    ├── ParameterError   (ValueError)    a parameter of a layer or rule that is out of range
    ├── GraphError       (ValueError)    nodes that do not form a network
    ├── TargetError      (IndexError)    an output that does not exist
    ├── RuleError        (ValueError)    a rule that does not apply where it was used
    ├── FusionError      (ValueError)    a fused network that does not compute what the original computes
    ├── ConversionError  (ValueError)    a model of another library that cannot be imported
    ├── UnknownNameError (LookupError)   an unknown rule, sample, network or other name
    ├── BudgetError      (TimeoutError)  a computation that spent its time budget
    ├── DataError        (ValueError)    a data set that is missing, damaged, or not the published one
    ├── OutputError      (OSError)       a file that cannot be written
    └── WeightsError     (ValueError)    a file that is damaged, inconsistent or unreadable, or weights that do not fit
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches


class LrprefError(Exception):
    """Base class of every error that lrpref raises on purpose."""


class ShapeError(LrprefError, ValueError):
    """Shapes do not fit together."""


class InputError(LrprefError, ValueError):
    """An input or a seed cannot be used: it holds NaN or infinities, is on another backend, or has no batch axis."""


class DTypeError(LrprefError, TypeError):
    """lrpref does not compute with this dtype."""


class ParameterError(LrprefError, ValueError):
    """A parameter of a layer or a rule is out of range."""


class GraphError(LrprefError, ValueError):
    """The nodes do not form a network."""


class TargetError(LrprefError, IndexError):
    """The network has no such output."""


class RuleError(LrprefError, ValueError):
    """A rule does not apply where it was used."""


class FusionError(LrprefError, ValueError):
    """A fused network does not compute what the original network computes."""


class ConversionError(LrprefError, ValueError):
    """A model of another library cannot be imported, or would not compute the same."""


class UnknownNameError(LrprefError, LookupError):
    """A rule, sample, network or other name is unknown."""


class BudgetError(LrprefError, TimeoutError):
    """A computation spent its time budget."""


class DataError(LrprefError, ValueError):
    """A data set is missing, damaged, or not the published one."""


class OutputError(LrprefError, OSError):
    """A file cannot be written: its folder is missing, or it may not be changed."""


class WeightsError(LrprefError, ValueError):
    """A file is damaged, inconsistent or unreadable, or its weights do not fit the network."""


class RelevanceWarning(UserWarning):
    """Values or relevance are not finite, or relevance is not conserved beyond rounding.

    The message names the node and the samples; the ledger has the details.
    """


@contextmanager
def at_node(name: str, layer: object, rule: object = None) -> Iterator[None]:
    """Prefix an error that a layer or its rule raises with the node's name, the layer's type and the rule.

    Examples
    --------
    >>> with at_node("fc1", 3, "epsilon"):
    ...     raise ShapeError("expected 4 features, got 5")
    Traceback (most recent call last):
    ...
    lrpref.errors.ShapeError: node 'fc1' (int, epsilon): expected 4 features, got 5
    """
    try:
        yield
    except LrprefError as error:
        kind = type(layer).__name__ if rule is None else f"{type(layer).__name__}, {rule}"
        raise type(error)(f"node {name!r} ({kind}): {error}") from error


@contextmanager
def at_block(i: int, j: int) -> Iterator[None]:
    """Prefix an error or a warning with the block of samples in which it occurred; it counts samples within the block.

    Examples
    --------
    >>> with at_block(64, 96):
    ...     raise InputError("the input holds NaN, first in sample 3")
    Traceback (most recent call last):
    ...
    lrpref.errors.InputError: in the block x[64:96]: the input holds NaN, first in sample 3
    """
    outside = _block.set(f"{_block.get()}in the block x[{i}:{j}]: ")
    try:
        yield
    except LrprefError as error:
        raise type(error)(f"in the block x[{i}:{j}]: {error}") from error
    finally:
        _block.reset(outside)


_block: ContextVar[str] = ContextVar("block", default="")
"""The prefix of warnings in the block that this thread works on."""


def is_one_of(name: object, known: Iterable[str]) -> bool:
    """Whether `name` is one of the known names; arrays, which have no single truth value, are not."""
    return isinstance(name, str) and name in known


def unknown(kind: str, name: object, known: Iterable[str], meant: str | None = None) -> UnknownNameError:
    """Return the error for an unknown name; it suggests `meant`, or the most similar of the known names.

    Examples
    --------
    >>> print(unknown("rule", "epsilom", ["epsilon", "flat"]))
    no rule is called 'epsilom'; did you mean 'epsilon'? Known: epsilon, flat
    """
    known = list(dict.fromkeys(known))
    lower = {each.lower(): each for each in known}
    similar = get_close_matches(name.lower(), lower, n=1) if isinstance(name, str) else []
    near = [meant] if meant else [lower[each] for each in similar]
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UnknownNameError(f"no {kind} is called {shown(name)}{hint} Known: {', '.join(known)}")


def shown(value: object) -> str:
    """Return `value` as text for a message, shortened; a long integer has no decimal form in Python.

    Examples
    --------
    >>> shown(10**5000)
    'an int of more than 4300 digits'
    """
    try:
        text = repr(value)
    except ValueError:
        return f"an {type(value).__name__} of more than 4300 digits"
    return text if len(text) <= 80 else f"{text[:80]}..."


def listed(noun: str, numbers: Sequence[int], most: int = 5) -> str:
    """Return a noun with the first few of its numbers.

    Examples
    --------
    >>> listed("sample", [3]), listed("sample", [0, 1, 2, 5, 6, 8, 9])
    ('sample 3', 'samples 0, 1, 2, 5, 6 and 2 more')
    """
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"{noun}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:most]))}{more}"


def warn(message: str) -> None:
    """Issue a RelevanceWarning that points to the line outside lrpref from which the computation was started."""
    package = os.path.dirname(__file__)
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(_block.get() + message, RelevanceWarning, stacklevel=level)
