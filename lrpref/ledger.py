"""The books: where relevance went, per layer and sample. They always add up.

At a layer that receives relevance R_j and hands R_i to its inputs,

    sum_j R_j  =  sum_i R_i  +  bias  +  stabilizer  +  dropped  +  factor

    out         sum_j R_j: what stood at the layer's output
    in          sum_i R_i: what it handed on to its inputs
    bias        what fell on constants of the network: biases, and cells of explicit padding
    stabilizer  what the stabilizer took (a denominator z + epsilon shares out less than a denominator z)
    dropped      what was sent nowhere, because the denominator was exactly zero
    factor      what Relative LRP holds back by design

Each column is computed from the z, s and b of the layer itself; none is the remainder of the others, so that
`residual()` is a check and not an identity. (The equation is the conservation property of Bach et al. 2015,
PLoS ONE 10(7):e0130140, eq. 2, with its leaks written out.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .backend import Array, array_namespace, sum_per_sample, to_numpy

LOSSES = ("bias", "stabilizer", "dropped", "factor")
COLUMNS = ("out", "in", *LOSSES)


@dataclass(frozen=True, eq=False)
class Flow:
    """What one layer did with the relevance it received.

    inputs      one array of relevance per input of the layer, each shaped like that input
    losses      column name -> (N,) array; a column that is absent is zero
    facts       other numbers worth telling, name -> (N,) array, such as the logarithm of a rescaling
    attributed  False for a user's rule that does not say where the rest went
    """

    inputs: tuple[Array, ...]
    losses: Mapping[str, Array] = field(default_factory=dict)
    facts: Mapping[str, Array] = field(default_factory=dict)
    attributed: bool = True


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the books: node, layer type, rule, and the columns as (N,) arrays."""

    node: str
    layer: str
    rule: str
    columns: Mapping[str, Array]
    facts: Mapping[str, Array]
    attributed: bool = True

    @classmethod
    def of(cls, node: str, layer: object, rule: str, R: Array, flow: Flow) -> Entry:
        """Book `flow`, which a layer made of the relevance `R` at its output."""
        out = sum_per_sample(R)
        into = sum((sum_per_sample(R_i) for R_i in flow.inputs), start=0 * out)
        columns = {"out": out, "in": into}
        columns |= {name: 0 * out + flow.losses.get(name, 0) for name in LOSSES}
        return cls(node, type(layer).__name__, rule, columns, flow.facts, flow.attributed)


@dataclass(frozen=True, eq=False)
class Ledger:
    """The books of one trace, from the explained output down to the input.

    `ledger[column]` is an array (layers, N); `print(ledger)` shows the totals over the batch,
    `ledger.table(sample)` one sample.
    """

    entries: Sequence[Entry]

    def __getitem__(self, column: str) -> Array:
        """One of `COLUMNS` as an array (layers, N)."""
        rows = [entry.columns[column] for entry in self.entries]
        return array_namespace(rows[0]).stack(rows)

    @property
    def nodes(self) -> list[str]:
        """The nodes in the order of the rows: from the explained output down to the input."""
        return [entry.node for entry in self.entries]

    def residual(self) -> Array:
        """out - in - bias - stabilizer - dropped - factor, shape (layers, N): zero to rounding."""
        return self["out"] - self["in"] - sum(self[loss] for loss in LOSSES)

    def table(self, sample: int | None = None) -> str:
        """The books as text: of one sample, or (None) summed over the batch."""
        chosen = slice(None) if sample is None else [sample]
        sums = {name: to_numpy(self[name])[:, chosen].sum(axis=1) for name in COLUMNS}
        used = [name for name in COLUMNS if name in ("out", "in") or np.any(sums[name] != 0)]
        rest = to_numpy(self.residual())[:, chosen].sum(axis=1)
        width = max(len("layer"), *(len(entry.node) for entry in self.entries))
        rule_width = max(len("rule"), *(len(entry.rule) for entry in self.entries))
        head = f"{'layer':{width}}  {'rule':{rule_width}}" + "".join(f"{name:>12}" for name in used)
        lines = [head + f"{'residual':>12}", "-" * (len(head) + 12)]
        for row, entry in enumerate(self.entries):
            numbers = "".join(f"{float(sums[name][row]):12.5g}" for name in used)
            mark = f"{float(rest[row]):12.1e}" if entry.attributed else " unattributed"
            told = {name: to_numpy(v)[chosen] for name, v in entry.facts.items()}
            facts = "".join(f"  {name} {float(v.mean()):.3g}" for name, v in told.items() if v.size)
            lines.append(f"{entry.node:{width}}  {entry.rule:{rule_width}}{numbers}{mark}{facts}")
        return "\n".join(lines)

    def __str__(self) -> str:
        samples = self.entries[0].columns["out"].shape[0]
        title = "where the relevance went" + ("" if samples == 1 else f" (sum over {samples} samples)")
        return f"{title}\n{self.table()}\n{self._closing()}"

    def _closing(self) -> str:
        """One sentence: what went in at the top, what came out at the bottom, and where the rest is."""
        start = float(to_numpy(self["out"])[0].sum())
        lost = {name: float(to_numpy(self[name]).sum()) for name in LOSSES}
        named = ", ".join(f"{name} took {value:.5g}" for name, value in lost.items() if value != 0)
        worst = float(np.max(np.abs(to_numpy(self.residual()).astype(float)), initial=0.0))
        closes = f"the books close to {worst:.1e}"
        if not all(entry.attributed for entry in self.entries):
            closes = "some rules do not say where their relevance went"
        return f"{start:.5g} came in at {self.nodes[0]}; on the way {named or 'nothing was lost'}; {closes}."
