"""What an adapter is: the few lines that let the suite ask a library for its relevance.

An adapter is any object with

    library   the library's name, as the report shall call it
    version   the version that is installed
    explain   the library's relevance of the input of a case
    promise   the words by which its documentation, or the paper it cites, promises the value of a case

A module of adapters is imported before anyone knows whether the library is there; so it imports the library inside
the function that makes the adapter, and names in `INSTALL` what pip should be asked for, or says in `HOW` what else to
do.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import LrprefError, unknown
from . import adapters
from .case import Case


class NotOffered(Exception):  # noqa: N818
    """The library has nothing that a case asks for: a layer, a rule, or a mode of one. The text says what."""


class AdapterError(LrprefError):
    """An adapter that cannot be used: its library is not installed, or it is no adapter."""


@runtime_checkable
class Adapter(Protocol):
    """A library, as the suite sees it."""

    library: str
    version: str

    def explain(self, case: Case) -> np.ndarray:
        """Relevance of `case.input` according to the library, float64, shaped like the input.

        Of the case, only `network`, `input`, `seed`, `target` and `rules` are the question; laws are tried by
        asking several questions that differ in these. Computed in the number type of `case.network`.

        Raises NotOffered, and never approximates: what the library cannot be asked, it is not asked.
        """
        ...

    def promise(self, case: Case) -> str | None:
        """The words of the library's documentation, or of the paper it cites, that promise the value expected.

        None where there are none: then a difference is a convention, and no error.
        """
        ...


def known_adapters() -> list[str]:
    """The names that `load_adapter` knows, installed or not.

    >>> "lrpref" in known_adapters()
    True
    """
    return sorted(module.name for module in pkgutil.iter_modules(adapters.__path__) if module.name[0] != "_")


def load_adapter(name: str) -> Adapter:
    """The adapter of a known library ("zennit"), or what a function of yours returns ("module:function").

    Raises UnknownNameError for an unknown library, AdapterError if a library is not installed (saying what to
    install), a module or function is not there, or the result is no adapter.

    >>> load_adapter("lrpref").library
    'lrpref'
    """
    module, colon, function = name.partition(":")
    if not colon and name not in known_adapters():
        raise unknown("adapter", name, known_adapters())
    found = _own(name, module, function) if colon else _known(name)
    if not isinstance(found, Adapter) or not all(callable(getattr(found, way)) for way in ("explain", "promise")):
        raise AdapterError(
            f"{name} made a {type(found).__name__}, which lacks one of library, version, explain, promise"
        )
    return found


def _known(name: str) -> Any:
    """The adapter that a module of `lrpref.conformance.adapters` makes."""
    module = None
    try:
        module = importlib.import_module(f"{adapters.__name__}.{name}")
        return module.adapter()
    except ImportError as error:
        how = getattr(module, "HOW", f"pip install {getattr(module, 'INSTALL', name)}")
        raise AdapterError(f"{name} cannot be imported ({error}); {how}") from error


def _own(name: str, module: str, function: str) -> Any:
    """What a user's function returns."""
    try:
        make: Callable[[], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterError(f"there is no {name!r}: {error}; write it as module:function") from error
    try:
        return make()
    except Exception as error:
        raise AdapterError(f"{name} made no adapter: {type(error).__name__}: {error}") from error
