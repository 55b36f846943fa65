"""Plain-text tables with aligned columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Align the columns of a table.

    Parameters
    ----------
    rows : sequence of sequences of str
        The cells, row by row; all rows have the same length.
    right : collection of int
        Indices of the columns to align on the right, such as columns of numbers; the others are aligned on the left.

    Returns
    -------
    str
        One line per row. Each column is as wide as its widest cell, with two spaces between columns and no trailing
        spaces.

    Raises
    ------
    ValueError
        If the rows differ in length.

    Examples
    --------
    >>> print(aligned([("layer", "parameters"), ("conv1", "160"), ("fc1", "100,416")], right={1}))
    layer  parameters
    conv1         160
    fc1       100,416
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join("  ".join(cells).rstrip() for cells in lines)
