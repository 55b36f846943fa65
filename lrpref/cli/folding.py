"""A shorter ledger for deep networks: one line for each block of layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..backend import Array
from ..ledger import COLUMNS, Entry, Ledger
from ..network import Network

MOST_LINES = 48
"""A ledger with more lines is folded unless the user asks for all of them."""


def folded(ledger: Ledger, net: Network) -> Ledger:
    """Return the ledger with one entry for each block that it can state as a whole.

    A block is the layers whose names agree up to the last dot, as "layer2.0.conv1" and "layer2.0.relu1" do. With the
    sums over the rows of a block,

        out  =  relevance of those layers whose outputs leave the block
        in   =  sum of "in"  -  relevance of those layers whose outputs stay in the block

    and the losses added up, the equation of the ledger holds for the block as it does for each layer. A block is left
    as it is if a layer of it is read both inside and outside, because a row does not tell the two apart.

    Parameters
    ----------
    ledger : Ledger
        The ledger of a trace.
    net : Network
        The network that was explained.

    Returns
    -------
    Ledger
        The same relevance in fewer lines.
    """
    blocks: dict[str, list[Entry]] = {}
    for entry in ledger.entries:
        block, dot, _ = entry.node.rpartition(".")
        blocks.setdefault(block if dot else entry.node, []).append(entry)
    started = set(ledger.started())
    entries = [new for name, rows in blocks.items() for new in _one(name, rows, net, started)]
    return Ledger(entries, ledger.starts)


def _one(block: str, rows: Sequence[Entry], net: Network, started: set[str]) -> Sequence[Entry]:
    """The entry of a whole block, or its entries as they are."""
    inside = {row.node for row in rows}
    readers = {row.node: {node.name for node in net.nodes if row.node in node.inputs} for row in rows}
    stays = {name for name, read in readers.items() if read and read <= inside and name not in started}
    leaves = {name for name, read in readers.items() if not read & inside}
    if len(rows) == 1 or stays | leaves != inside or not all(row.attributed for row in rows):
        return rows
    columns = {name: _sum(row.columns[name] for row in rows) for name in COLUMNS}
    if stays:
        kept = _sum(row.columns["out"] for row in rows if row.node in stays)
        columns |= {name: columns[name] - kept for name in ("out", "in")}
    return [Entry(block, "block", f"{len(rows)} layers", columns, {})]


def _sum(columns: Iterable[Array]) -> Array:
    """The sum of at least one column."""
    first, *others = columns
    return sum(others, start=first)
