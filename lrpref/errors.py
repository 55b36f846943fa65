"""What can go wrong, by name.

Every error lrpref raises on purpose is an `LrprefError`, and also the built-in kind a Python programmer
would expect. The message names the node, the shapes or values, and what to do.

    LrprefError
    ├── ShapeError      (ValueError)   shapes that do not fit together
    ├── InputError      (ValueError)   input that holds NaN or infinities, or lives on another backend
    ├── DTypeError      (TypeError)    a number type that cannot be computed with
    ├── ParameterError  (ValueError)   a layer's or a rule's parameter out of its range
    ├── GraphError      (ValueError)   nodes that do not form a network
    ├── TargetError     (IndexError)   an output that does not exist
    ├── RuleError       (ValueError)   a rule that cannot be used where it was put
    ├── FusionError     (ValueError)   a fused network that does not compute what the original did
    ├── ConversionError (ValueError)   another library's model that cannot be taken over
    ├── UnknownNameError (LookupError) a rule, sample or network nobody has heard of
    ├── BudgetError     (TimeoutError) a computation that spent its time budget
    ├── DataError       (ValueError)   a data set that is missing, damaged, or not the published one
    └── WeightsError    (ValueError)   a damaged, lying or unreadable file, or weights that do not fit
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class LrprefError(Exception):
    """The parent of every error raised on purpose."""


class ShapeError(LrprefError, ValueError):
    """Shapes that do not fit together."""


class InputError(LrprefError, ValueError):
    """An input that holds NaN or infinities, or lives on another backend."""


class DTypeError(LrprefError, TypeError):
    """A number type that cannot be computed with."""


class ParameterError(LrprefError, ValueError):
    """A parameter of a layer or a rule that is out of its range."""


class GraphError(LrprefError, ValueError):
    """Nodes that do not form a network."""


class TargetError(LrprefError, IndexError):
    """An output that does not exist."""


class RuleError(LrprefError, ValueError):
    """A rule that cannot be used where it was put."""


class FusionError(LrprefError, ValueError):
    """A fused network that does not compute what the original did."""


class ConversionError(LrprefError, ValueError):
    """A model of another library that cannot be taken over, or would not compute the same."""


class UnknownNameError(LrprefError, LookupError):
    """A rule, a sample or a network that nobody has heard of."""


class BudgetError(LrprefError, TimeoutError):
    """A computation that spent its time budget."""


class DataError(LrprefError, ValueError):
    """A data set that is missing, damaged, or not the published one."""


class WeightsError(LrprefError, ValueError):
    """A file that is damaged, lies about its content, or cannot be read; or weights that do not fit the network."""


class RelevanceWarning(UserWarning):
    """Relevance that is no longer finite, or books that do not close: read the message, then the ledger."""


@contextmanager
def at_node(name: str, layer: object) -> Iterator[None]:
    """Put the node's name in front of an error that its layer or rule raises.

    >>> with at_node("fc1", 3):
    ...     raise ShapeError("expected 4 features, got 5")
    Traceback (most recent call last):
    ...
    lrpref.errors.ShapeError: node 'fc1' (int): expected 4 features, got 5
    """
    try:
        yield
    except LrprefError as error:
        raise type(error)(f"node {name!r} ({type(layer).__name__}): {error}") from error


@contextmanager
def at_block(i: int, j: int) -> Iterator[None]:
    """Put a block of samples in front of an error; the error counts samples from the block's first.

    >>> with at_block(64, 96):
    ...     raise InputError("the input holds NaN, first in sample 3")
    Traceback (most recent call last):
    ...
    lrpref.errors.InputError: in the block x[64:96]: the input holds NaN, first in sample 3
    """
    try:
        yield
    except LrprefError as error:
        raise type(error)(f"in the block x[{i}:{j}]: {error}") from error


def unknown(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a name nobody has heard of, with the nearest known one.

    >>> print(unknown("rule", "epsilom", ["epsilon", "flat"]))
    no rule is called 'epsilom'; did you mean 'epsilon'? Known: epsilon, flat
    """
    known = list(known)
    near = get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UnknownNameError(f"no {kind} is called {name!r}{hint} Known: {', '.join(known)}")


def warn(message: str) -> None:
    """A RelevanceWarning that points to the line outside lrpref from which all this was called."""
    package = os.path.dirname(__file__)
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, RelevanceWarning, stacklevel=level)
