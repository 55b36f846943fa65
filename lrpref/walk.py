"""The walk: from an output back to the input, one layer at a time.

`trace` keeps every activation of one forward pass, asks the composite which layer is under which rule, and then
walks the graph backwards. At each node the relevances that its consumers sent are summed (Bach et al. 2015,
PLoS ONE 10(7):e0130140, eq. 8), the layer shares them out over its inputs, and the ledger books what was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from math import inf

import numpy as np

from ._support.budget import EXACT_SECONDS, Budget
from .arithmetic import all_finite, is_exact, is_rational
from .backend import Array, array_namespace, sum_per_sample, to_numpy
from .composites import Assignment, Composite, resolve
from .errors import InputError, RuleError, at_node, warn
from .layers import Elementwise, Layer
from .ledger import Entry, Ledger
from .network import INPUT, Network
from .rules import Rule
from .seeds import explained_node, seed_relevance, target_index

DEFAULT_RULE = "epsilon-plus-flat"


@dataclass(frozen=True, eq=False)
class Trace:
    """One explanation with everything that led to it.

    relevance  shaped like the input
    logits     (N, ...), the output that was explained; with a final Softmax, the Softmax's input
    target     (N,) the index, into each sample's flattened logits, that was explained; None for a seed array
    at         node name -> relevance at that node's output ("input" included)
    ledger     where the relevance went
    rules      node name -> rule; prints as a table
    """

    relevance: Array
    logits: Array
    target: Array | None
    at: Mapping[str, Array]
    ledger: Ledger
    rules: Assignment


def trace(
    net: Network,
    x: Array,
    target: int | Array | None = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: str | float | Array = "logit",
    node: str | None = None,
    budget: float | Budget | None = None,
) -> Trace:
    """As `explain`, with everything that led to it: see `Trace`.

    budget  seconds that it may take, checked at every layer, forward and back; None: no limit for floating-point
            numbers, 600 for exact ones
    """
    rules = resolve(rule).assign(net)
    start = explained_node(net, node)
    x = net.cast(x)
    if is_rational(x):
        _check_rational(rules, seed)
    budget = _budget(budget, x)
    activations = net.activations(x, before=lambda name: budget.check(name, "forward pass"))
    logits = activations[start]
    chosen = target_index(logits, target, seed)
    R = seed_relevance(logits, chosen, seed)
    at, ledger = _walk(net, activations, rules, start, R, budget)
    _warn_unless_sound(at, ledger)
    return Trace(at[INPUT], logits, chosen, at, ledger, rules)


def _check_rational(rules: Mapping[str, Rule], seed: object) -> None:
    """Raise RuleError or InputError, before anything is computed, for what exact arithmetic cannot represent."""
    for name, rule in rules.items():
        if not rule.exact:
            raise RuleError(f"node {name!r}: {rule} is irrational, so exact arithmetic cannot represent it")
    if isinstance(seed, str) and seed == "probability":
        raise InputError(
            'seed "probability" is irrational, so exact arithmetic cannot represent it; use "logit" or a number'
        )


def _budget(budget: float | Budget | None, x: Array) -> Budget:
    """The time budget that was asked for, or the default for the arithmetic of `x`."""
    if isinstance(budget, Budget):
        return budget
    if budget is None:
        budget = EXACT_SECONDS if is_exact(x) else inf
    return Budget(budget, '; lrpref.digits(..., reference="mpmath") does not grow' if is_rational(x) else "")


def _walk(
    net: Network, activations: Mapping[str, Array], rules: Assignment, start: str, R: Array, budget: Budget
) -> tuple[dict[str, Array], Ledger]:
    """Relevance at every node that `start` depends on, and the books."""
    at, entries = {start: R}, []
    for name, layer, inputs in reversed(net.nodes):
        if name not in at:
            continue
        rule = rules.get(name)
        applied = label(layer, rule)
        budget.check(name, f"backward pass, {applied}")
        with at_node(name, layer):
            flow = layer.flow(tuple(activations[i] for i in inputs), at[name], rule)
        entries.append(Entry.of(name, layer, applied, at[name], flow))
        for i, R_i in zip(inputs, flow.inputs, strict=True):
            at[i] = at[i] + R_i if i in at else R_i
    return at, Ledger(entries)


def label(layer: Layer, rule: Rule | None) -> str:
    """What the ledger says was done at a layer."""
    return str(rule) if rule is not None else "passes" if isinstance(layer, Elementwise) else "routes"


# ---- is it sound -----------------------------------------------------------------------------------------------


def _warn_unless_sound(at: Mapping[str, Array], ledger: Ledger) -> None:
    """Warn, naming the first node, where relevance is not finite or the books do not close."""
    not_finite_at = (not_finite(name, R) for name, R in at.items())
    not_closed_at = (not_closed(entry, at[entry.node]) for entry in ledger.entries)
    for problem in filter(None, chain(not_finite_at, not_closed_at)):
        warn(problem)
        return


def not_finite(name: str, R: Array) -> str | None:
    """The warning for relevance `R` at a node that is not finite, else None."""
    if all_finite(R):
        return None
    return (
        f"relevance at {name!r} is not finite: a denominator near zero was divided by; "
        "use Epsilon(...) or a rule with a stabilizer at the layer above it"
    )


def not_closed(entry: Entry, R: Array) -> str | None:
    """The warning for books that do not close to rounding, else None; `R` is the relevance that was booked."""
    residual = Ledger([entry]).residual()[0, :]
    if not entry.attributed or _negligible(residual, R, entry):
        return None
    return (
        f"the books of {entry.node!r} ({entry.rule}) do not close to rounding: its denominators cancel "
        "almost wholly, or its adjoint is not the transpose of its forward pass; print the ledger"
    )


def _negligible(residual: Array, R: Array, entry: Entry) -> bool:
    """Whether a residual is rounding, next to what moved: half of the digits of the number type, per sample."""
    if is_exact(R):
        return bool(np.all(to_numpy(residual) == 0))
    moved = sum_per_sample(abs(R)) + sum(abs(column) for column in entry.columns.values())
    half = float(array_namespace(R).finfo(R.dtype).eps) ** 0.5
    return bool(array_namespace(R).all(abs(residual) <= half * moved))
