"""The interface between the suite and a library.

An adapter is any object with

    library   the name of the library in reports
    version   the installed version
    explain   a method that returns the library's relevance for the input of a case
    promise   a method that quotes the documentation, or the paper it cites, where that promises the expected value

The modules of `lrpref.conformance.adapters` can be imported without their libraries: each imports its library inside
the function that makes the adapter. `INSTALL` names the packages to install with pip; `HOW` gives other instructions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..errors import LrprefError, unknown
from . import adapters
from .case import Case
from .table import lrp_cases

NotOffered = lrp_cases.NotOffered


class AdapterError(LrprefError):
    """An adapter that cannot be used: its library is not installed, or the object is not an adapter."""


class Adapter(Protocol):
    """A library, as the suite sees it.

    Attributes
    ----------
    library : str
        The name of the library in reports.
    version : str
        The installed version.
    """

    library: str
    version: str

    def explain(self, case: Case) -> np.ndarray:
        """Return the library's relevance of the input, computed in the number type of `case.network`.

        Never approximate: raise NotOffered if the library cannot compute exactly what the case asks for.

        Parameters
        ----------
        case : Case
            The question. Only `network`, `input`, `seed`, `target` and `rules` count: to test a law, the suite asks
            several questions that differ in these.

        Returns
        -------
        array, shape of `case.input`
            Relevance, float64.

        Raises
        ------
        NotOffered
            If the library lacks a layer, a rule or a mode.
        """
        ...

    def promise(self, case: Case) -> str | None:
        """Return the words of the documentation, or of the paper it cites, that promise the expected value.

        Parameters
        ----------
        case : Case
            The case on which the library differs.

        Returns
        -------
        str or None
            A quotation; None if nothing is promised. The difference is then a convention, not an error.
        """
        ...


def known_adapters() -> list[str]:
    """Return the names that `load_adapter` knows, whether or not their libraries are installed.

    Returns
    -------
    list of str
        Names in alphabetical order.

    Examples
    --------
    >>> "lrpref" in known_adapters()
    True
    """
    return sorted(module.name for module in pkgutil.iter_modules(adapters.__path__) if module.name[0] != "_")


def load_adapter(name: str) -> Adapter:
    """Return the adapter of a library.

    Parameters
    ----------
    name : str
        A known library ("zennit"), or "module:function" for a function that returns an adapter.

    Returns
    -------
    Adapter
        The adapter, ready for `run`.

    Raises
    ------
    UnknownNameError
        If there is no adapter of this name.
    AdapterError
        If the library is not installed, the module or function does not exist, or it does not return an adapter.

    Examples
    --------
    >>> load_adapter("lrpref").library
    'lrpref'
    """
    module, colon, function = name.partition(":")
    if not colon and name not in known_adapters():
        raise unknown("adapter", name, known_adapters())
    found = _from_user(name, module, function) if colon else _known(name)
    missing = [field for field in ("library", "version") if not hasattr(found, field)]
    missing += [method for method in ("explain", "promise") if not callable(getattr(found, method, None))]
    if missing:
        raise AdapterError(
            f"{name} returned an object of type {type(found).__name__}, which lacks {', '.join(missing)}"
        )
    return found


def _known(name: str) -> Any:
    """The adapter of a module of `lrpref.conformance.adapters`."""
    module = None
    try:
        module = importlib.import_module(f"{adapters.__name__}.{name}")
        return module.adapter()
    except ImportError as error:
        how = getattr(module, "HOW", f"pip install {getattr(module, 'INSTALL', name)}")
        raise AdapterError(f"{name} cannot be imported ({error}); {how}") from error


def _from_user(name: str, module: str, function: str) -> Any:
    """The result of a user's function."""
    try:
        make: Callable[[], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterError(f"cannot import {name!r}: {error}; expected module:function") from error
    try:
        return make()
    except Exception as error:
        raise AdapterError(
            f"{name} raised {type(error).__name__}: {error}; expected it to return an adapter"
        ) from error
