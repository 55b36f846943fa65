"""Libraries that lrpref does not need, but some of its functions do: imported when such a function is called."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import LrprefError


def library(module: str, extra: str, what: str) -> Any:
    """The module of an optional library; raises LrprefError that says how to install it.

    module  its name, as in an import statement
    extra   the extra of lrpref that brings it
    what    what needs it, in the plural

    >>> library("no_such_library", "plot", "pictures")
    Traceback (most recent call last):
    ...
    lrpref.errors.LrprefError: pictures need no_such_library: pip install "lrpref[plot]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise LrprefError(f'{what} need {name}: pip install "lrpref[{extra}]"') from error
