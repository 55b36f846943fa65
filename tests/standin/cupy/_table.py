"""The names that a real CuPy has, and the parameters that its functions take; `../make_table.py` wrote them down."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name(f"cupy-{os.environ.get('CUPY_STANDIN', '14')}.txt")
_HEADER, *_LINES = _FILE.read_text(encoding="utf-8").splitlines()

VERSION = _HEADER.split()[6].rstrip(",")
"""The version whose names these are; the environment variable CUPY_STANDIN chooses between 13 and 14."""

NAMES: dict[str, str] = dict(line.split(" ", 1) for line in _LINES)
"""Name -> "ufunc 2 1 at", "function (a, axis=, out=)", "type", "value" or "module"."""


def kind(name: str) -> str:
    """Return "ufunc", "function", "type", "value" or "module"; "" for a name that CuPy lacks."""
    return NAMES.get(name, "").partition(" ")[0]


def checks_arguments(name: str) -> Callable[..., inspect.BoundArguments]:
    """Return a function that binds arguments to the parameters of `name`, or raises TypeError as CuPy would."""
    signature = _signature(NAMES[name].partition(" ")[2][1:-1])

    def bind(*args: Any, **kwargs: Any) -> inspect.BoundArguments:
        try:
            return signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"cupy.{name}(): {error} (CuPy {VERSION})") from None

    return bind


def _signature(text: str) -> inspect.Signature:
    """Parse "a, /, b, axis=, *, out="."""
    kind, found = inspect.Parameter.POSITIONAL_OR_KEYWORD, []
    for part in filter(None, text.split(", ")):
        if part == "/":
            found = [parameter.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for parameter in found]
        elif part == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif part.startswith("**"):
            found.append(inspect.Parameter(part[2:], inspect.Parameter.VAR_KEYWORD))
        elif part.startswith("*"):
            found.append(inspect.Parameter(part[1:], inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            default = None if part.endswith("=") else inspect.Parameter.empty
            found.append(inspect.Parameter(part.rstrip("="), kind, default=default))
    return inspect.Signature(found)
