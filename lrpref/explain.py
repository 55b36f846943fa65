"""The walk: from an output back to the input, one layer at a time.

`trace` keeps every activation of one forward pass, asks the composite which layer is under which rule, and then
walks the graph backwards. At each node the relevances that its consumers sent are summed (Bach et al. 2015,
PLoS ONE 10(7):e0130140, eq. 8), the layer shares them out over its inputs, and the ledger books what was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import layers as layer_types
from . import rational
from .arithmetic import all_finite, is_exact, is_rational
from .backend import Array, array_namespace, sum_per_sample, to_numpy
from .batches import map_blocks
from .composites import Assignment, Composite, resolve
from .errors import at_node, warn
from .fast import can_prepare, prepare
from .layers import Elementwise, Layer
from .ledger import Entry, Ledger
from .network import INPUT, Network
from .rules import RULES, Rule
from .seeds import check, explained_node, seed_relevance, target_index

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


def explain(
    net: Network,
    x: Array,
    target: int | Array | None = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: str | float | Array = "logit",
    node: str | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
    out: Any = None,
    form: str = "direct",
) -> Array:
    """The relevance of each value of `x` for one output of `net`: an array shaped like `x`.

    net     the network
    x       a batch (N, ...), cast to the network's number type
    target  which output: an index, one index per sample, or None for the largest
    rule    a composite, a rule, or the name of one ("epsilon-plus-flat", "epsilon", "z-plus", ...); a bare rule
            is for the weighted layers, joins and pools are then under Epsilon(1e-6)
    seed    the relevance to start with: "logit" (the output's value), "one", "probability" (its softmax), a
            number, or an array of relevance shaped like the output
    node    the node whose output is explained; None for the network's (before a final Softmax)

    form    how it is computed. "plain" reads as the papers do, keeps the books (see `trace`) and takes any numbers;
            the others are forms of the fast engine, for float32 and float64 on NumPy and CuPy (`lrpref.fast.prepare`
            lists them). "direct", the default, needs the least preparation and loses no digit; under it other numbers
            than those, and layers and rules of your own, are computed plainly, so that their books are checked. To
            explain many batches prepare once: `net.prepare(rule).explain(x)`

    A data set that is larger than memory is explained in blocks. `x`, and a seed array, may then be anything that has
    a shape and gives an array for a slice, such as a `numpy.memmap`; each block goes to where the network lives, and
    its relevance to where `x` does:

    batch_size  how many samples are explained at a time; None for all
    progress    a bar on stderr where this takes longer than two seconds; None: if stderr is a terminal
    out         an array to write to, or the path of a .npy file, written whole or not at all, which is then returned
                as a read-only `numpy.memmap`

    Raises ShapeError, InputError, TargetError, RuleError, UnknownNameError before anything is computed; in blocks,
    a value that is not finite is found when its block is reached.

    >>> import numpy as np
    >>> from lrpref import Dense, Network
    >>> net = Network.sequential(Dense([[2.0, -1.0], [0.0, 1.0]]))
    >>> explain(net, np.array([[3.0, 1.0]]), rule="zero")
    array([[ 6., -1.]])
    """
    x = x if hasattr(x, "shape") else np.asarray(x)
    work = _explainer(net, tuple(x.shape), rule, node, form)
    if batch_size is None and out is None:
        return work(x, target, seed)
    check(net, tuple(x.shape), target, seed, node)
    return map_blocks(work, net, x, (target, seed), batch_size, out, progress)


def _explainer(
    net: Network, shape: tuple[int, ...], rule: str | Rule | Composite, node: str | None, form: str
) -> Callable[[Array, Any, Any], Array]:
    """What makes relevance of (x, target, seed): the plain walk, or a network prepared once for all blocks."""

    def plain(x: Array, target: Any, seed: Any) -> Array:
        return trace(net, x, target, rule, seed, node).relevance

    rules = resolve(rule).assign(net)
    if form == "plain" or (form == "direct" and not (can_prepare(net) and _all_ours(net, rules))):
        return plain
    prepared = prepare(net, rule, node, form, shape[1:] if len(shape) == 4 else None)

    def fast(x: Array, target: Any, seed: Any) -> Array:
        R = prepared.explain(x, target, seed)
        return R if all_finite(R) else plain(x, target, seed)  # which says at what node it went wrong

    return fast


def _all_ours(net: Network, rules: Assignment) -> bool:
    """Whether all layers and rules are lrpref's: the books of others are kept, and checked, at every explanation."""
    ours = [getattr(layer_types, type(layer).__name__, None) is type(layer) for _, layer, _ in net.nodes]
    return all(ours) and all(type(rule) in RULES.values() for rule in rules.values())


def trace(
    net: Network,
    x: Array,
    target: int | Array | None = None,
    rule: str | Rule | Composite = DEFAULT_RULE,
    seed: str | float | Array = "logit",
    node: str | None = None,
) -> Trace:
    """As `explain`, with everything that led to it: see `Trace`."""
    rules = resolve(rule).assign(net)
    start = explained_node(net, node)
    x = net.cast(x)
    if is_rational(x):
        rational.check(net, tuple(x.shape), rules, seed)
    activations = net.activations(x)
    logits = activations[start]
    chosen = target_index(logits, target, seed)
    R = seed_relevance(logits, chosen, seed)
    at, ledger = _walk(net, activations, rules, start, R)
    _warn_unless_sound(at, ledger)
    return Trace(at[INPUT], logits, chosen, at, ledger, rules)


def _walk(
    net: Network, activations: Mapping[str, Array], rules: Assignment, start: str, R: Array
) -> tuple[dict[str, Array], Ledger]:
    """Relevance at every node that `start` depends on, and the books."""
    at, entries = {start: R}, []
    for name, layer, inputs in reversed(net.nodes):
        if name not in at:
            continue
        rule = rules.get(name)
        with at_node(name, layer):
            flow = layer.flow(tuple(activations[i] for i in inputs), at[name], rule)
        entries.append(Entry.of(name, layer, _label(layer, rule), at[name], flow))
        for i, R_i in zip(inputs, flow.inputs, strict=True):
            at[i] = at[i] + R_i if i in at else R_i
    return at, Ledger(entries)


def _label(layer: Layer, rule: Rule | None) -> str:
    """What the ledger says was done at a layer."""
    return str(rule) if rule is not None else "passes" if isinstance(layer, Elementwise) else "routes"


# ---- is it sound -----------------------------------------------------------------------------------------------


def _warn_unless_sound(at: Mapping[str, Array], ledger: Ledger) -> None:
    """Warn, naming the first node, where relevance is not finite or the books do not close."""
    for name, R in at.items():
        if not all_finite(R):
            warn(
                f"relevance at {name!r} is not finite: a denominator near zero was divided by; "
                "use Epsilon(...) or a rule with a stabilizer at the layer above it"
            )
            return
    residual = ledger.residual()
    for row, entry in enumerate(ledger.entries):
        if entry.attributed and not _negligible(residual[row, :], at[entry.node], entry):
            warn(
                f"the books of {entry.node!r} ({entry.rule}) do not close to rounding: its denominators cancel "
                "almost wholly, or its adjoint is not the transpose of its forward pass; print the ledger"
            )
            return


def _negligible(residual: Array, R: Array, entry: Entry) -> bool:
    """Whether a residual is rounding, next to what moved: half of the digits of the number type, per sample."""
    if is_exact(R):
        return bool(np.all(to_numpy(residual) == 0))
    moved = sum_per_sample(abs(R)) + sum(abs(column) for column in entry.columns.values())
    half = float(array_namespace(R).finfo(R.dtype).eps) ** 0.5
    return bool(array_namespace(R).all(abs(residual) <= half * moved))
