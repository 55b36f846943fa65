"""Tables for a terminal."""

from __future__ import annotations

from typing import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns.

    Examples
    --------
    >>> aligned([["a", "b"], ["ccc", "d"]])
    ['    a    b', '    ccc  d']
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
