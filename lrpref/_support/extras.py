"""Optional libraries: imported when a function that needs one is called."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from ..errors import LrprefError


def library(module: str, extra: str, what: str) -> Any:
    """Import an optional library.

    Parameters
    ----------
    module : str
        The name of the module, as in an import statement.
    extra : str
        The extra of lrpref that installs it.
    what : str
        What needs it, in the plural, for the error message.

    Returns
    -------
    module

    Raises
    ------
    LrprefError
        If the library is not installed; the message gives the command that installs it.

    Examples
    --------
    >>> library("no_such_library", "plot", "pictures")
    Traceback (most recent call last):
    ...
    lrpref.errors.LrprefError: pictures need no_such_library: pip install no_such_library (in lrpref's extra "plot")
    """
    root = module.partition(".")[0]
    try:
        importlib.import_module(root)
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(root, extra, what) from error


def check_installed(module: str, extra: str, what: str) -> None:
    """Raise the error that `library` would raise if the library is not installed, but do not import it."""
    if find_spec(module) is None:
        raise _missing(module, extra, what)


def _missing(root: str, extra: str, what: str) -> LrprefError:
    """The error that gives the command to install a library; it names the library, however lrpref was installed."""
    name = {"PIL": "pillow", "sklearn": "scikit-learn"}.get(root, root)
    command = f"pip install {'dask[array]' if name == 'dask' else name}"
    return LrprefError(f'{what} need {name}: {command} (in lrpref\'s extra "{extra}")')
