"""The walk: from an output back to the input, one layer at a time.

`trace` keeps every activation of one forward pass, lets the composite assign a rule to each layer, and then walks the
graph backwards. At each node it sums the relevance that the node's readers sent (Bach et al. 2015, PLoS ONE
10(7):e0130140, eq. 8), the layer redistributes it to its inputs, and the ledger records what was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from typing import Any

import numpy as np

from ._support.budget import EXACT_SECONDS, Budget
from .arithmetic import (
    all_finite,
    check_still_exact,
    is_exact,
    is_rational,
    quiet,
    samples_not_finite,
    smaller,
    zeros_like,
)
from .backend import Array, array_namespace, sum_per_sample, to_numpy
from .composites import Assignment, Composite, resolve
from .engine import divide
from .errors import InputError, RuleError, at_node, listed, warn
from .layers import Add, Elementwise, Embedding, Layer, Multiply, Softmax, Subtract
from .ledger import Entry, Flow, Ledger
from .network import Network
from .rules import Rule
from .seeds import Start, of_outputs, per_output, seed_relevance, start_at, starts_at, target_index
from .signatures import Signature, node_text, of_explanation, seed_text

DEFAULT_RULE = "epsilon-plus-flat"


@dataclass(frozen=True, eq=False)
class Trace:
    """One explanation with everything that led to it.

    Parameters
    ----------
    relevance : array, shape (N, ...), or tuple or dict of arrays
        The relevance of the input, shaped like it; for several inputs, in the form in which they were given.
    logits : array, shape (N, ...), or dict of arrays
        The output that was explained: the logits, unless another node was named. With one seed per output, a dict from
        the name of each output that has a seed.
    target : array of int, shape (N,), or None, or dict of them
        The index into each sample's flattened logits that was explained; None for a seed array. With one seed per
        output, a dict like that of the logits.
    at : mapping of str to array
        Node name -> relevance of that node's output; includes every input by its name ("input").
    ledger : Ledger
        Where the relevance went.
    rules : Assignment
        Node name -> rule; prints as a table.
    net : Network
        The network that was explained, without its head if the explanation started at the logits.
    x : array, shape (N, ...), or tuple or dict of arrays
        The batch, cast to the network's dtype.
    seed : str
        What it started with, as a signature writes it: an array is represented by its shape and a digest.
    node : str
        The node that was explained, as a signature writes it; empty for the logits.
    """

    relevance: Any
    logits: Any
    target: Any
    at: Mapping[str, Array]
    ledger: Ledger
    rules: Assignment
    net: Network
    x: Any
    seed: str = "logit"
    node: str = ""

    @property
    def signature(self) -> Signature:
        """The conventions of this explanation, in one line.

        A trace cannot know whether BatchNorm was folded away before: a network without BatchNorm has "bn:none". Use
        `lrpref.signature(net, ..., fused=True)` if it was.
        """
        return of_explanation(self.rules, self.seed, node=self.node)


def trace(
    net: Network,
    x: Any,
    target: Any = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: Any = "logit",
    node: str | None = None,
    budget: float | Budget | None = None,
) -> Trace:
    """Explain `net` on `x`, and return the explanation with everything that led to it.

    Parameters
    ----------
    net : Network
        The network.
    x : array, shape (N, ...), or tuple or dict of arrays
        A batch, cast to the network's dtype; for several inputs, one batch for each, in order or by name.
    target : int, array of int, or None
        The output to explain: an index, one index per sample, or None for the largest output. Ignored if `seed` is an
        array. With one seed per output, a tuple or dict of these, or None.
    rule : str, Rule or Composite
        A composite, a rule, or the name of one: see `composites.resolve`.
    seed : {"logit", "one", "probability"}, float or array, default "logit"
        The relevance to start with: the value of the output, 1, its probability (what the network's Softmax,
        LogSoftmax or Sigmoid gives for it; without one, its softmax), a number, or an array shaped like the output.
        For a network of several outputs, a tuple with one of these for each, or a dict by their names, starts from all
        of them at once; None starts with nothing at that output.
    node : str, optional
        The node whose output is explained; by default the one that holds the logits (`Network.logits`). The last node
        of a network with a Softmax, LogSoftmax or Sigmoid at its end explains the probability itself, whose relevance
        passes to the logit unchanged.
    budget : float or Budget, optional
        The seconds that it may take, checked before every layer, forward and backward. By default there is no limit
        for floating-point numbers, and 600 seconds for exact ones.

    Returns
    -------
    Trace
        The relevance, the logits, the relevance at every node, and the ledger.

    Raises
    ------
    ShapeError, InputError, DTypeError
        If the network cannot compute on `x`, or `seed` does not fit.
    GraphError, TargetError
        If there is no such node or output.
    RuleError, UnknownNameError, ParameterError
        If a rule is unknown, does not apply to a layer, or a parameter is out of range.
    BudgetError
        If the time is spent; the message names the node and the rule.

    Warns
    -----
    RelevanceWarning
        If the output of a node or its relevance is not finite, or relevance is not conserved beyond rounding. The
        warning names the first such node, and the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense
    >>> tr = trace(Network.sequential(Dense([[2.0, -1.0]], [1.0])), np.array([[3.0, 1.0]]), rule="zero")
    >>> tr.relevance, tr.ledger["bias"]
    (array([[ 6., -1.]]), array([[1.]]))
    """
    several, composite = per_output(net, node, seed), resolve(rule)
    net, rules = composite.read(net), composite.assign(net)
    if not several:
        return walk(start_at(net, node), rules, net.cast(x), target, seed, budget)
    seeds, targets = of_outputs(net, seed, "the seed"), of_outputs(net, target, "the target")
    return _walk_from(starts_at(net, seeds), rules, net.cast(x), targets, seeds, budget)


def walk(
    start: Start,
    rules: Assignment,
    x: Any,
    target: int | Array | None,
    seed: str | float | Array,
    budget: float | Budget | None,
) -> Trace:
    """`trace` from one node, with the start found, the rules assigned, and the batch cast."""
    name = start.node
    found = _walk_from({name: start}, rules, x, {name: target}, {name: seed}, budget)
    return replace(
        found, logits=found.logits[name], target=found.target[name], seed=seed_text(seed), node=node_text(start)
    )


def _walk_from(
    starts: Mapping[str, Start],
    rules: Assignment,
    x: Any,
    targets: Mapping[str, Any],
    seeds: Mapping[str, Any],
    budget: float | Budget | None,
) -> Trace:
    """The walk from every start at once, each with a target and a seed of the same name."""
    net = next(iter(starts.values())).net
    given = list(net.by_name(x).values())
    if any(map(is_rational, given)):
        _check_rational(rules, seeds.values())
    budget = _budget(budget, given[0])
    activations = net.activations(x, before=lambda name: budget.check(name, "forward pass"))
    logits = {name: activations[start.node] for name, start in starts.items()}
    chosen = {name: target_index(logits[name], targets[name], seeds[name]) for name in starts}
    with quiet():
        R: dict[str, Array] = {}
        for name, start in starts.items():
            _add(R, start.node, seed_relevance(start, logits[name], chosen[name], seeds[name]))
        at, ledger = _walk(net, activations, rules, R, budget)
        unsound = chain.from_iterable(net.up_to(name).not_finite(activations) for name in R)
        problem = next(chain(unsound, _problems(at, ledger)), None)
    if problem is not None:
        warn(problem)
    relevance = net.as_given({name: at[name] for name in net.inputs}, x)
    return Trace(relevance, logits, chosen, at, ledger, rules, net, x, seed_text(seeds))


def _check_rational(rules: Mapping[str, Rule], seeds: Iterable[object]) -> None:
    """Raise RuleError or InputError, before anything is computed, for what exact arithmetic cannot represent."""
    for name, rule in rules.items():
        if not rule.exact:
            raise RuleError(f"node {name!r}: {rule} is irrational, so exact arithmetic cannot represent it; use floats")
    if any(isinstance(seed, str) and seed == "probability" for seed in seeds):
        raise InputError(
            'seed "probability" is irrational, so exact arithmetic cannot represent it; use "logit" or a number'
        )


def _budget(budget: float | Budget | None, x: Array) -> Budget:
    """The time budget that was asked for, or the default for the arithmetic of `x`."""
    if isinstance(budget, Budget):
        return budget
    if budget is None:
        budget = EXACT_SECONDS if is_exact(x) else inf
    return Budget(
        budget,
        '; or use lrpref.digits(..., reference="mpmath"), whose numbers have a fixed length' if is_rational(x) else "",
    )


def _walk(
    net: Network, activations: Mapping[str, Array], rules: Assignment, starts: Mapping[str, Array], budget: Budget
) -> tuple[dict[str, Array], Ledger]:
    """From the relevance at each start to that at every input and every node that they depend on, and the ledger."""
    at, entries = dict(starts), []
    for name, layer, inputs in reversed(net.nodes):
        if name not in at:
            continue
        rule = rules.get(name)
        applied = label(layer, rule)
        budget.check(name, f"backward pass, {applied}")
        with at_node(name, layer, rule):
            branches = tuple(activations[i] for i in inputs)
            flow = layer.flow(branches, at[name], rule)
            for R_i in flow.inputs:
                check_still_exact(R_i, like=at[name], what="flow(...)")
        if isinstance(layer, Add | Subtract):
            flow = replace(flow, facts={**flow.facts, **_at_join(branches, activations[name], at[name], flow)})
        entries.append(Entry.of(name, layer, applied, at[name], flow))
        for i, R_i in zip(inputs, flow.inputs, strict=True):
            _add(at, i, R_i)
    for i in net.inputs:
        at.setdefault(i, zeros_like(activations[i]))  # an input that the explained output does not depend on
    return at, Ledger(entries, {name: sum_per_sample(R) for name, R in starts.items()})


def _at_join(branches: Sequence[Array], z: Array, R: Array, flow: Flow) -> dict[str, Array]:
    """The ledger's figures for a sum or difference z of branches a, per sample; 0 where there is nothing to compare.

    amplification = (sum |R_i|) / (sum |R_j|)          cancellation = 1 - (sum |z_j|) / (sum |a_i|)
    """
    received, total = sum_per_sample(abs(R)), sum_per_sample(abs(z))
    sent = sum((sum_per_sample(abs(R_i)) for R_i in flow.inputs), start=0 * received)
    apart = sum((sum_per_sample(abs(a)) for a in branches), start=0 * total)
    return {"amplification": divide(sent, received), "cancellation": divide(apart - total, apart)}


def _add(at: dict[str, Array], name: str, R: Array) -> None:
    """Add relevance at a node to what has arrived there."""
    at[name] = at[name] + R if name in at else R


def label(layer: Layer, rule: Rule | None) -> str:
    """What the ledger calls the treatment of a layer."""
    if rule is not None:
        return str(rule)
    return next((done for kind, done in _TREATMENTS.items() if isinstance(layer, kind)), "routes")


_TREATMENTS = {Elementwise: "passes", Multiply: "shares", Softmax: "expands", Embedding: "sums"}
"""What the ledger calls the treatment of layers that take no rule and do not route."""


# ---- is it sound -----------------------------------------------------------------------------------------------


def _problems(at: Mapping[str, Array], ledger: Ledger) -> Iterator[str]:
    """The warnings for nodes where relevance is not finite, then for those where it is not conserved."""
    not_finite_at = (not_finite(name, R) for name, R in at.items())
    not_closed_at = (not_closed(entry, at[entry.node]) for entry in ledger.entries)
    return filter(None, chain(not_finite_at, not_closed_at))


def not_finite(name: str, R: Array) -> str | None:
    """The warning if relevance `R` at a node is not finite, else None."""
    if all_finite(R):
        return None
    samples = listed("sample", samples_not_finite(R))
    return (
        f"relevance at {name!r} is not finite in {samples}: a denominator close to zero was divided by; "
        "use Epsilon(...), or set a stabilizer, at the layer that reads this node"
    )


def not_closed(entry: Entry, R: Array) -> str | None:
    """The warning if the columns of an entry do not add up to the relevance `R` of the layer's output, else None.

    They may differ by rounding: half of the digits of the dtype, relative to the relevance that moved, per sample. They
    are not finite where a denominator is not. An entry whose rule does not attribute its losses is not judged.
    """
    if not entry.attributed or _negligible(entry.residual(), R, entry):
        return None
    if not all_finite(residual := entry.residual()):
        samples = listed("sample", samples_not_finite(residual[:, None]))
        return (
            f"a denominator at node {entry.node!r} ({entry.rule}) is not finite in {samples}: {R.dtype} cannot "
            f"represent it; {smaller(R.dtype)}"
        )
    return (
        f"the ledger of node {entry.node!r} ({entry.rule}) does not close to rounding: its denominators are close to "
        "zero, or its adjoint is not the transpose of its forward pass. Inspect lrpref.trace(...).ledger; for a layer "
        "of your own run lrpref.testing.check_layer"
    )


def _negligible(residual: Array, R: Array, entry: Entry) -> bool:
    """Whether a residual is rounding: half of the digits of the dtype, relative to what moved, per sample."""
    if is_exact(R):
        return bool(np.all(to_numpy(residual) == 0))
    moved = sum_per_sample(abs(R)) + sum(abs(column) for column in entry.columns.values())
    half = float(array_namespace(R).finfo(R.dtype).eps) ** 0.5
    return bool(array_namespace(R).all(abs(residual) <= half * moved))
