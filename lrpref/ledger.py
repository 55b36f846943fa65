"""The ledger: where the relevance went, per layer and sample. It always adds up.

At a layer that receives relevance R_j and sends R_i to its inputs,

    sum_j R_j  =  sum_i R_i  +  bias  +  stabilizer  +  dropped  +  factor

    out         sum_j R_j: the relevance of the layer's output
    in          sum_i R_i: the relevance of its inputs
    bias        what the constants of the network received: biases, and cells of explicit padding
    stabilizer  what the stabilizer absorbed (dividing by z + epsilon distributes less than dividing by z)
    dropped     what was not distributed, because the denominator was exactly zero; a stabilizer, as all presets have
                it, keeps denominators away from zero, and such relevance appears under *stabilizer* instead
    factor      what a rule withholds by design, as Relative LRP does

Each column is computed from the z, s and b of the layer itself; none is the remainder of the others, so
`residual()` is a check and not an identity. The equation is the conservation property of Bach et al. 2015
(PLoS ONE 10(7):e0130140, eq. 2) with its leaks written out.

A join of branches a (Add, Subtract) has two more figures, which are printed after its columns (docs/skips.md):

    amplification  (sum |R_i|) / (sum |R_j|): the relevance that it sent over the relevance that it received, by
                   magnitude; 1 if nothing is amplified
    cancellation   1 - (sum |z_j|) / (sum |a_i|): the part of the branches that cancels in their sum, from 0 to 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .arithmetic import is_integer
from .backend import Array, array_namespace, sum_per_sample, to_numpy
from .errors import TargetError, shown, unknown

LOSSES = ("bias", "stabilizer", "dropped", "factor")
COLUMNS = ("out", "in", *LOSSES)


@dataclass(frozen=True, eq=False)
class Flow:
    """What one layer did with the relevance it received.

    Parameters
    ----------
    inputs : tuple of array
        The relevance of each input of the layer, shaped like that input.
    losses : mapping of str to array, shape (N,)
        Columns of the ledger; a column that is absent is zero.
    facts : mapping of str to array, shape (N,)
        Other numbers worth printing, such as the logarithm of a rescaling.
    attributed : bool
        False for a rule of a user's own that does not report where the rest went.
    """

    inputs: tuple[Array, ...]
    losses: Mapping[str, Array] = field(default_factory=dict)
    facts: Mapping[str, Array] = field(default_factory=dict)
    attributed: bool = True


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the ledger: node, layer type, rule, and the columns as arrays of shape (N,)."""

    node: str
    layer: str
    rule: str
    columns: Mapping[str, Array]
    facts: Mapping[str, Array]
    attributed: bool = True

    @classmethod
    def of(cls, node: str, layer: object, rule: str, R: Array, flow: Flow) -> Entry:
        """Record `flow`, which a layer made of the relevance `R` of its output."""
        out = sum_per_sample(R)
        into = sum((sum_per_sample(R_i) for R_i in flow.inputs), start=0 * out)
        columns = {"out": out, "in": into}
        columns |= {name: 0 * out + flow.losses.get(name, 0) for name in LOSSES}
        return cls(node, type(layer).__name__, rule, columns, flow.facts, flow.attributed)

    def residual(self) -> Array:
        """out - in - bias - stabilizer - dropped - factor, shape (N,): zero to rounding, unless unattributed."""
        return self.columns["out"] - self.columns["in"] - sum(self.columns[loss] for loss in LOSSES)


@dataclass(frozen=True, eq=False)
class Ledger:
    """The ledger of one trace, from the explained output down to the input; several inputs share it.

    `ledger[column]` is an array of shape (layers, N); `print(ledger)` shows the totals over the batch, and
    `ledger.table(sample)` one sample.

    Parameters
    ----------
    entries : sequence of Entry
        One for every layer that received relevance.
    starts : mapping of str to array, shape (N,), optional
        The relevance that the explanation started with at each explained node; by default, that of the first entry.
    """

    entries: Sequence[Entry]
    starts: Mapping[str, Array] | None = None

    def __getitem__(self, column: str) -> Array:
        """One of `COLUMNS` as an array of shape (layers, N)."""
        if column not in COLUMNS:
            raise unknown("column of the ledger", column, COLUMNS)
        rows = [entry.columns[column] for entry in self.entries]
        return array_namespace(rows[0]).stack(rows)

    @property
    def nodes(self) -> list[str]:
        """The nodes in the order of the rows: from the explained output down to the input."""
        return [entry.node for entry in self.entries]

    def started(self) -> Mapping[str, Array]:
        """The relevance that the explanation started with at each explained node, shape (N,)."""
        first = self.entries[0]
        return {first.node: first.columns["out"]} if self.starts is None else self.starts

    def residual(self) -> Array:
        """out - in - bias - stabilizer - dropped - factor, shape (layers, N): zero to rounding.

        Where a rule does not attribute its losses, the residual is the relevance that is unaccounted for.
        """
        rows = [entry.residual() for entry in self.entries]
        return array_namespace(rows[0]).stack(rows)

    def arrived(self) -> Array:
        """The relevance that arrived at the inputs of the network, shape (N,): what layers sent, less what they got."""
        sent, got = self["in"], self["out"]
        beyond = array_namespace(got).sum(sent[:-1, ...] - got[1:, ...], axis=0)  # zero in a chain
        return sent[-1, ...] + beyond + (sum(self.started().values()) - got[0, ...])

    def table(self, sample: int | None = None) -> str:
        """Return the ledger as text.

        Parameters
        ----------
        sample : int or None
            The index of one sample; None sums over the batch.

        Returns
        -------
        str
            One line per layer. The last column is the residual, or what is unaccounted for.
        """
        chosen = slice(None) if sample is None else [self.checked(sample)]
        sums = {name: to_numpy(self[name])[:, chosen].sum(axis=1) for name in COLUMNS}
        used = [name for name in COLUMNS if name in ("out", "in") or np.any(sums[name] != 0)]
        rest = to_numpy(self.residual())[:, chosen].sum(axis=1)
        width = max(len("layer"), *(len(entry.node) for entry in self.entries))
        rule_width = max(len("rule"), *(len(entry.rule) for entry in self.entries))
        head = f"{'layer':{width}}  {'rule':{rule_width}}" + "".join(f"{name:>12}" for name in used)
        lines = [head + f"{'residual':>12}", "-" * (len(head) + 12)]
        for row, entry in enumerate(self.entries):
            numbers = "".join(f"{float(sums[name][row]):12.5g}" for name in used)
            last = f"{float(rest[row]):12.1e}" if entry.attributed else f"{float(rest[row]):12.5g} unaccounted for"
            values = {name: to_numpy(v)[chosen] for name, v in entry.facts.items()}
            facts = "".join(f"  {name} {float(v.mean()):.3g}" for name, v in values.items() if v.size)
            lines.append(f"{entry.node:{width}}  {entry.rule:{rule_width}}{numbers}{last}{facts}")
        return "\n".join(lines)

    def checked(self, sample: int) -> int:
        """Return `sample`, or raise TargetError if the batch has no such sample."""
        N = self.entries[0].columns["out"].shape[0]
        if not is_integer(sample, -N, N - 1):
            raise TargetError(f"sample {shown(sample)} is out of range for a batch of {N} (valid: {-N} to {N - 1})")
        return sample

    def __str__(self) -> str:
        samples = self.entries[0].columns["out"].shape[0]
        title = "where the relevance went" + ("" if samples == 1 else f" (sum over {samples} samples)")
        return f"{title}\n{self.table()}\n{self._summary()}"

    def _summary(self) -> str:
        """One sentence: what started at the top, what was lost on the way, and what is unaccounted for."""
        start = sum(float(to_numpy(R).sum()) for R in self.started().values())
        lost = {name: float(to_numpy(self[name]).sum()) for name in LOSSES}
        named = ", ".join(f"{_OF_LOSS[name]} {value:.5g}" for name, value in lost.items() if value != 0)
        residual = to_numpy(self.residual()).astype(float)
        attributed = np.asarray([entry.attributed for entry in self.entries])
        worst = float(np.max(np.abs(residual[attributed]), initial=0.0))
        rest = float(residual[~attributed].sum())
        facts = [f"{start:.5g} started at {', '.join(self.started())}", named]
        if not attributed.all():
            facts.append(f"{rest:.5g} of it is unaccounted for")
        elif not named:
            facts.append("nothing was lost")
        return "; ".join([*filter(None, facts), f"residual {worst:.1e}."])


_OF_LOSS = {
    "bias": "biases absorbed",
    "stabilizer": "stabilizers absorbed",
    "dropped": "zero denominators dropped",
    "factor": "rules withheld",
}
