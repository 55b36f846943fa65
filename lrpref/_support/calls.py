"""Text that names something and its parameters, such as "gamma(gamma=0.5)". No text is ever evaluated."""

from __future__ import annotations

import ast
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

UNPARSABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)
"""The exceptions that `parameters` raises, those of Python's parser included."""


def parameters(text: str, known: Collection[str]) -> dict[str, Any]:
    """Return the parameters in "name(key=value, ...)"; none if the text is only a name.

    Parameters
    ----------
    text : str
        A name, with parameters in parentheses or without. Values are numbers, lists or quoted text.
    known : collection of str
        The parameters that exist.

    Returns
    -------
    dict of str to object
        The parameters and their values.

    Raises
    ------
    ValueError or another of UNPARSABLE
        If the text cannot be parsed, or a parameter is unknown.

    Examples
    --------
    >>> parameters("z-box(low=0, high=[1, 2])", ["low", "high"])
    {'low': 0, 'high': [1, 2]}
    >>> parameters("gamma(gama=0.5)", ["gamma", "bias"])
    Traceback (most recent call last):
    ...
    ValueError: gamma has no parameter 'gama'; did you mean 'gamma'? It takes gamma, bias
    """
    name, bracket, rest = text.strip().partition("(")
    call = ast.parse(f"f({rest}" if bracket else "f()", mode="eval").body
    written = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
    if not (isinstance(call, ast.Call) and written and all(keyword.arg for keyword in call.keywords)):
        raise ValueError("write parameters as key=value")
    values = {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
    if wrong := [key for key in values if key not in known]:
        near = get_close_matches(wrong[0], known, n=1)
        hint = f"; did you mean {near[0]!r}? It takes" if near else "; it takes"
        raise ValueError(f"{name} has no parameter {wrong[0]!r}{hint} {', '.join(known) or 'no parameters'}")
    return values


def _literal(value: ast.expr) -> Any:
    """The number, list or text that is written; raises ValueError for anything else."""
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise ValueError(f"{ast.unparse(value)} is not a number, a list or a quoted text") from None
