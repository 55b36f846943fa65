"""The exceptions of this package. Their messages are for the person who wrote the file or the adapter."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Iterable


class CasesError(ValueError):
    """A file or an argument that cannot be used: the message says which part, and what is expected."""


class UnknownNameError(CasesError):
    """A name that does not exist.

    Parameters
    ----------
    kind : str
        What the name stands for, such as "case".
    name : str
        The name.
    known : iterable of str
        The names that exist; the message suggests the nearest.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, list(known)
        near: list[str] = get_close_matches(name, self.known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "known: {}".format(", ".join(self.known[:10]))
        super().__init__(f"no {kind} is called {shortened(name)!r}; {hint}")


class NotOffered(Exception):  # noqa: N818
    """The library lacks a layer, a rule or a mode that the case needs; the message names it."""


def shortened(value: object) -> str:
    """Return a value as text of at most 40 characters.

    Examples
    --------
    >>> shortened("x" * 100) == "x" * 40
    True
    """
    return str(value)[:40]
