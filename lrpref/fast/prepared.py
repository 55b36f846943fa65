"""A network prepared for explaining many inputs: weights mapped, stacked and transformed once, for one composite.

    fast = lrpref.prepare(net, "epsilon-plus-flat")
    R = fast.explain(x)

It computes what `lrpref.trace` computes, by the same rules, in another order (`lrpref.fast.algebra` says why that is
the same) and without the books. Tests hold the two together, for every rule, on random networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from ..backend import TAKES_OUT, Array, array_namespace, is_array
from ..composites import Assignment, Composite, resolve
from ..errors import DTypeError, at_node, unknown
from ..network import INPUT, Network
from ..rules import Rule
from ..seeds import check, explained_node, seed_relevance, target_index
from ..walk import DEFAULT_RULE
from .build import CARRIED, Placed, arrivals, build
from .steps import added, channels_first, channels_last
from .store import Store
from .workers import Workers, at_work

FORMS = ("direct", "fast", "fastest", "winograd2", "winograd4")
"""What `prepare` takes as `form`."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network ready to explain under one composite. Make one with `lrpref.prepare`.

    net      the network that it was made of
    rules    node -> rule; prints as a table
    start    the node that is explained
    steps    what is computed, in order
    threads  how many threads work; None for one per core
    store    memory that is used again from call to call
    """

    net: Network
    rules: Assignment
    start: str
    steps: tuple[Placed, ...]
    threads: int | None
    store: Store = field(default_factory=Store, repr=False)

    @property
    def forms(self) -> dict[str, str]:
        """Node -> the form in which it is computed: "plain", "direct", "winograd2" or "winograd4"."""
        return {node: placed.step.form for placed in self.steps for node in placed.nodes}

    @property
    def nbytes(self) -> int:
        """The memory that the prepared weights take, besides the network's own."""
        own = {id(array) for array in self.net.parameters.values()}
        held = {id(array): array.nbytes for placed in self.steps for array in _arrays(placed.step)}
        return sum(size for key, size in held.items() if key not in own)

    def forward(self, x: Array) -> Array:
        """The explained output for a batch `x` (N, ...): the logits. What only relevance needs is not computed.

        Raises ShapeError, InputError.
        """
        x = self._fitting(x)
        with self._at_work(x) as workers:
            return self._pass(x, workers, remember=False).logits

    def explain(self, x: Array, target: int | Array | None = None, seed: str | float | Array = "logit") -> Array:
        """The relevance of each value of `x`, as `lrpref.explain` says; shaped like x.

        Raises ShapeError, InputError, TargetError.
        """
        x = self.net.cast(x)
        check(self.net, tuple(x.shape), target, seed, self.start)
        with self._at_work(x) as workers:
            return self._pass(x, workers)._relevance(target, seed, workers, once=True)

    def run(self, x: Array) -> Pass:
        """One forward pass, from which any number of targets can be explained."""
        x = self._fitting(x)
        with self._at_work(x) as workers:
            return self._pass(x, workers)

    def trace(self, x: Array, target: int | Array | None = None, seed: str | float | Array = "logit") -> FastTrace:
        """As `explain`, with the relevance at every node and the form in which each was computed.

        No books are kept: `lrpref.trace` keeps them. Raises ShapeError, InputError, TargetError.
        """
        x = self.net.cast(x)
        check(self.net, tuple(x.shape), target, seed, self.start)
        with self._at_work(x) as workers:
            return self._pass(x, workers, everything=True)._trace(target, seed, workers)

    def _fitting(self, x: Array) -> Array:
        """The batch, cast; raises ShapeError, InputError."""
        x = self.net.cast(x)
        self.net.shapes(tuple(x.shape))
        return x

    def _at_work(self, x: Array) -> AbstractContextManager[Workers]:
        """Workers for inputs like x: one for those so small that a second would only be in the way."""
        threads = 1 if self.threads is None and x.size < SMALL else self.threads
        return at_work(array_namespace(x), threads, self.store)

    def _pass(self, x: Array, workers: Workers, remember: bool = True, everything: bool = False) -> Pass:
        """The forward pass of a batch that fits.

        remember    keep what relevance needs; else nothing but the explained output
        everything  keep the value of every step
        """
        wanted = self._wanted() if remember else {self.start}
        if everything:
            wanted |= {placed.output for placed in self.steps}
        values, kept = {INPUT: channels_last(x)}, {}
        last_read = {read: k for k, placed in enumerate(self.steps) for read in placed.inputs}
        for k, placed in enumerate(self.steps):
            inputs = tuple(values[read] for read in placed.inputs)
            with at_node(placed.nodes[0], placed.layer):
                values[placed.output], kept[placed.output] = placed.step.forward(inputs, workers, remember)
            for read in placed.inputs:
                if last_read[read] == k and read not in wanted:
                    values.pop(read, None)
        return Pass(self, values, kept)

    def _wanted(self) -> set[str]:
        """The nodes whose values are still needed on the way back, and the explained one."""
        forms = arrivals(self.steps)
        wanted = {INPUT, self.start}
        for placed in self.steps:
            mixed = {read for read in placed.inputs if placed.sends == CARRIED and forms[read] != CARRIED}
            wanted |= set(placed.inputs) if placed.step.needs_inputs else mixed
        return wanted


SMALL = 1 << 14
"""Numbers in a batch below which one thread computes it."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass of a prepared network, kept to explain what came out."""

    prepared: Prepared
    values: Mapping[str, Array]
    kept: dict[str, Any]

    @property
    def logits(self) -> Array:
        """The explained output, as the network gives it."""
        return channels_first(self.values[self.prepared.start])

    def explain(self, target: int | Array | None = None, seed: str | float | Array = "logit") -> Array:
        """The relevance of the input for one output per sample.

        For a batch of one, `target` may hold K indices and the result has K maps: all share the forward pass.
        """
        with self.prepared._at_work(self.values[INPUT]) as workers:
            return self._relevance(target, seed, workers)

    def _trace(self, target: int | Array | None, seed: str | float | Array, workers: Workers) -> FastTrace:
        """The relevance at every node; for a pass that kept the value of every step."""
        at: dict[str, Array] = {}
        R = self._relevance(target, seed, workers, at)
        return FastTrace(R, self.logits, {**at, INPUT: R}, self.prepared.forms)

    def _relevance(
        self,
        target: int | Array | None,
        seed: str | float | Array,
        workers: Workers,
        seen: dict[str, Array] | None = None,
        once: bool = False,
    ) -> Array:
        """The relevance of the input.

        seen  gets that at every node on the way
        once  let go of what was kept as soon as it has been used: this pass explains nothing more
        """
        logits = self.logits
        several = 1 if target is None or np.ndim(target) == 0 else len(target)  # type: ignore[arg-type]
        if logits.shape[0] == 1 < several:
            logits = array_namespace(logits).broadcast_to(logits, (several, *logits.shape[1:]))
        R = seed_relevance(logits, target_index(logits, target, seed), seed)
        kept = self.kept if once else dict(self.kept)
        return channels_first(self._back(channels_last(R), workers, seen, kept))

    def _back(self, R: Array, workers: Workers, seen: dict[str, Array] | None, kept: dict[str, Any]) -> Array:
        """From relevance at the explained node to relevance at the input, both with channels last. Empties `kept`."""
        steps, forms = self.prepared.steps, arrivals(self.prepared.steps)
        at = {self.prepared.start: R}
        for placed in reversed(steps):
            step, message = placed.step, at.pop(placed.output)
            if seen is not None:
                here = self.values[placed.output] * message if placed.arrives == CARRIED else message
                seen.update(dict.fromkeys(placed.nodes, channels_first(here)))
            inputs = tuple(self.values[read] for read in placed.inputs) if step.needs_inputs else ()
            with at_node(placed.nodes[0], placed.layer):
                messages = step.backward(message, kept.pop(placed.output), inputs, workers)
            for read, sent in zip(placed.inputs, messages, strict=True):
                if placed.sends == CARRIED and forms[read] != CARRIED:
                    sent = self.values[read] * sent
                at[read] = added(at[read], sent, workers) if read in at else sent
        found = at[INPUT]
        return self.values[INPUT] * found if forms[INPUT] == CARRIED else found


@dataclass(frozen=True, eq=False)
class FastTrace:
    """An explanation by a prepared network, with what led to it.

    relevance  shaped like the input
    logits     (N, ...), the output that was explained
    at         node name -> relevance at that node's output ("input" included)
    forms      node name -> the form in which it was computed
    """

    relevance: Array
    logits: Array
    at: Mapping[str, Array]
    forms: Mapping[str, str]


def prepare(
    net: Network,
    rule: str | Rule | Composite = DEFAULT_RULE,
    form: str = "direct",
    node: str | None = None,
    shape: tuple[int, ...] | None = None,
    threads: int | None = None,
) -> Prepared:
    """Prepare `net` to explain inputs under one composite, fast.

    rule     as `lrpref.explain` takes it
    node     the node whose output is explained; None for the network's (before a final Softmax)
    form     how convolutions are computed. "direct": matrix products. "fast": in float32 Winograd's F(2x2, 3x3) where
             it applies, in float64 "direct". "fastest": F(4x4, 3x3) where it applies, about one digit less.
             "winograd2", "winograd4": that form wherever it applies
    shape    the shape of one input, such as (3, 224, 224), so that small images get small tiles; no need
    threads  how many threads work; None for one per core

    Takes float32 and float64 on NumPy and CuPy. The same prepared network serves any batch, and is never changed.
    Raises RuleError, GraphError, UnknownNameError, DTypeError.
    """
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    if not can_prepare(net):
        raise DTypeError(
            f"the fast forms compute in float32 and float64 on {' and '.join(TAKES_OUT)}, this network is {net.dtype} "
            f"on {net.backend}; use lrpref.explain(..., form='plain')"
        )
    rules, start = resolve(rule).assign(net), explained_node(net, node)
    return Prepared(net, rules, start, tuple(build(net, rules, start, form, shape)), threads)


def can_prepare(net: Network) -> bool:
    """Whether the network's numbers are of a kind that the fast forms compute with."""
    return net.backend in TAKES_OUT and str(net.dtype) in ("float32", "float64")


def _arrays(thing: Any) -> list[Array]:
    """The arrays that a step's kernels hold."""
    if is_array(thing):
        return [thing]
    if isinstance(thing, tuple):
        return [array for part in thing for array in _arrays(part)]
    if is_dataclass(thing):
        return [array for f in fields(thing) for array in _arrays(getattr(thing, f.name))]
    return []
