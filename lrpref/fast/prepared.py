"""A network prepared for explaining many inputs: weights mapped, stacked and transformed once, for one composite.

    fast = lrpref.prepare(net, "epsilon-plus-flat")
    R = fast.explain(x)

It computes what `lrpref.trace` computes, by the same rules, in another order (`lrpref.fast.algebra` explains why the
results agree). No ledger is kept; only the books of layers and rules of your own are checked. Tests compare the two for
every rule, on random networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from math import inf
from typing import Any

from .._support.budget import Budget
from ..arithmetic import all_finite, check_integer, is_shape, quiet
from ..backend import TAKES_OUT, Array, array_namespace, is_array, to_numpy
from ..composites import Assignment, Composite, resolve
from ..errors import DTypeError, ParameterError, at_node, is_one_of, shown, unknown, warn
from ..network import Network, check_network
from ..rules import Rule
from ..seeds import Start, check, seed_relevance, start_at, target_index
from ..signatures import Signature, node_text, of_explanation
from ..walk import DEFAULT_RULE, Trace, walk
from .build import PlacedStep, arrivals, build
from .steps import CARRIED, channels_first, channels_last, sum_of_messages
from .store import Store
from .workers import Workers, at_work

FORMS = ("direct", "winograd", "fastest", "winograd2", "winograd4")
"""The forms that `prepare` accepts."""


UNLIMITED = Budget(inf)
"""The budget of calls that have none."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network ready to explain under one composite, made by `lrpref.prepare`.

    Parameters
    ----------
    net : Network
        The network it was made from.
    rules : Assignment
        Node -> rule; prints as a table.
    start : Start
        Where explanations start.
    steps : tuple of PlacedStep
        What is computed, in order.
    threads : int or None
        The number of threads; None for one per core.
    store : Store
        Memory that is reused from call to call.
    """

    net: Network
    rules: Assignment
    start: Start
    steps: tuple[PlacedStep, ...]
    threads: int | None
    store: Store = field(default_factory=Store, repr=False)

    @property
    def forms(self) -> dict[str, str]:
        """Node -> the form in which it is computed: "plain", "direct", "winograd2" or "winograd4"."""
        return {node: placed.step.form for placed in self.steps for node in placed.nodes}

    @property
    def signature(self) -> Signature:
        """The conventions of its explanations with the seed "logit", in one line."""
        forms = "+".join(sorted({*self.forms.values()} - {"plain"})) or "plain"
        return of_explanation(self.rules, form=forms, node=node_text(self.start))

    @property
    def nbytes(self) -> int:
        """The bytes that the prepared weights take, besides the network's own."""
        own = {id(array) for array in self.net.parameters.values()}
        held = {id(array): array.nbytes for placed in self.steps for array in _arrays(placed.step)}
        return sum(size for key, size in held.items() if key not in own)

    def forward(self, x: Any) -> Array:
        """Return the explained output: the logits. What only relevance needs is not computed.

        Parameters
        ----------
        x : array, shape (N, ...), or tuple or dict of arrays
            A batch, cast to the network's number type; for several inputs, one batch for each, in order or by name.

        Returns
        -------
        array, shape (N, ...)
            The output of the explained node.

        Raises
        ------
        ShapeError
            If `x` does not fit the network.
        InputError
            If `x` holds NaN or infinities, or is on another backend.
        """
        x = self._fitting(x)
        with self._at_work(x) as workers:
            return self._pass(x, workers, remember=False).logits

    def explain(
        self,
        x: Any,
        target: int | Array | None = None,
        seed: str | float | Array = "logit",
        budget: float | Budget | None = None,
    ) -> Any:
        """Return the relevance of each value of `x`.

        Where numbers may become too large for the dtype, or relevance is not finite, the result is that of
        `lrpref.trace`, with its warning.

        Parameters
        ----------
        x : array, shape (N, ...), or tuple or dict of arrays
            A batch, cast to the network's number type; for several inputs, one batch for each, in order or by name.
        target : int, array of int, or None
            As in `lrpref.explain`.
        seed : str, float or array, default "logit"
            As in `lrpref.explain`.
        budget : float, Budget or None
            The seconds that it may take, checked before every step, forward and back; None for no limit.

        Returns
        -------
        array, shape (N, ...), or tuple or dict of arrays
            The relevance of the input; of several inputs, in the form in which they were given.

        Raises
        ------
        ShapeError, InputError, TargetError, BudgetError
            As `lrpref.explain` does.

        Warns
        -----
        RelevanceWarning
            If a value or relevance is not finite, or the ledger of a layer or rule of your own does not close.
        """
        budget = budget if isinstance(budget, Budget) else Budget(inf if budget is None else budget)
        x = self.net.cast(x)
        check(self.start, self.net.shape_of(x), target, seed)
        with self._at_work(x) as workers:
            return self._pass(x, workers, budget=budget)._explained(target, seed, workers, budget)

    def run(self, x: Any) -> ForwardPass:
        """Return one forward pass, from which any number of targets can be explained.

        Parameters
        ----------
        x : array, shape (N, ...), or tuple or dict of arrays
            As in `explain`.

        Returns
        -------
        ForwardPass
            The pass, with everything that its explanations need.
        """
        x = self._fitting(x)
        with self._at_work(x) as workers:
            return self._pass(x, workers)

    def trace(self, x: Any, target: int | Array | None = None, seed: str | float | Array = "logit") -> FastTrace:
        """Explain, and return also the relevance at every node and the form in which each was computed.

        No ledger is kept: use `lrpref.trace` for one.

        Parameters
        ----------
        x : array, shape (N, ...), or tuple or dict of arrays
            As in `explain`.
        target : int, array of int, or None
            As in `explain`.
        seed : str, float or array, default "logit"
            As in `explain`.

        Returns
        -------
        FastTrace
            The explanation and the relevance at every node.
        """
        x = self.net.cast(x)
        check(self.start, self.net.shape_of(x), target, seed)
        with self._at_work(x) as workers:
            return self._pass(x, workers, everything=True)._trace(target, seed, workers)

    def _fitting(self, x: Any) -> Any:
        """The batch, cast; raises ShapeError or InputError."""
        x = self.net.cast(x)
        self.net.shapes(self.net.shape_of(x))
        return x

    def _at_work(self, x: Any) -> AbstractContextManager[Workers]:
        """Workers for inputs like `x`: one for inputs so small that a second would slow it down."""
        batches = list(self.net.by_name(x).values())
        threads = 1 if self.threads is None and sum(batch.size for batch in batches) < SMALL else self.threads
        return at_work(array_namespace(batches[0]), threads, self.store)

    def _pass(
        self,
        x: Any,
        workers: Workers,
        remember: bool = True,
        everything: bool = False,
        budget: Budget = UNLIMITED,
    ) -> ForwardPass:
        """The forward pass of a batch that fits.

        `remember` keeps what relevance needs, else only the explained output is kept; `everything` keeps the value of
        every step.
        """
        wanted = self._wanted() if remember else {*self.net.inputs, self.start.node}
        if everything:
            wanted |= {placed.output for placed in self.steps}
        values, kept = {name: channels_last(batch) for name, batch in self.net.by_name(x).items()}, {}
        last_read = {read: k for k, placed in enumerate(self.steps) for read in placed.inputs}
        for k, placed in enumerate(self.steps):
            budget.check(placed.nodes[0], "forward pass")
            inputs = tuple(values[read] for read in placed.inputs)
            with at_node(placed.nodes[0], placed.layer), quiet():
                values[placed.output], kept[placed.output] = placed.step.forward(inputs, workers, remember)
            for read in placed.inputs:
                if last_read[read] == k and read not in wanted:
                    values.pop(read, None)
        return ForwardPass(self, values, kept, workers.in_range(), by_name=isinstance(x, Mapping))

    def _wanted(self) -> set[str]:
        """The nodes whose values the way back needs, the inputs, and the explained one."""
        forms = arrivals(self.steps)
        wanted = {*self.net.inputs, self.start.node}
        for placed in self.steps:
            mixed = {read for read in placed.inputs if placed.sends == CARRIED and forms[read] != CARRIED}
            wanted |= set(placed.inputs) if placed.step.needs_inputs else mixed
        return wanted


SMALL = 1 << 14
"""Batches with fewer numbers are computed by one thread."""


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """One forward pass of a prepared network, made by `Prepared.run`, from which outputs can be explained.

    Parameters
    ----------
    prepared : Prepared
        The network.
    values : mapping
        Node -> its value, with channels last, for the nodes whose values are needed.
    kept : dict
        Node -> what its step remembers.
    in_range : bool
        Whether every sum is certain to be finite. If not, the plain walk computes everything.
    by_name : bool, default False
        Whether several inputs were given as a dict, so that their relevance is returned as one.
    """

    prepared: Prepared
    values: Mapping[str, Array]
    kept: dict[str, Any]
    in_range: bool
    by_name: bool = False

    @property
    def batch(self) -> Any:
        """The batch, cast, in the form in which it was given."""
        return self._as_given({name: channels_first(self.values[name]) for name in self.prepared.net.inputs})

    def _as_given(self, values: Mapping[str, Any]) -> Any:
        """One value per input in the form in which the batch was given."""
        return self.prepared.net.as_given(values, like={} if self.by_name else ())

    @property
    def logits(self) -> Array:
        """The explained output, as the network gives it."""
        start = self.prepared.start
        if self.in_range:
            return channels_first(self.values[start.node])
        return start.net.up_to(start.node).forward(self.batch)

    def explain(self, target: int | Array | None = None, seed: str | float | Array = "logit") -> Any:
        """Return the relevance of the input for one output per sample.

        Parameters
        ----------
        target : int, array of int, or None
            As in `lrpref.explain`. For a batch of one it may hold K indices, which share the forward pass.
        seed : str, float or array, default "logit"
            As in `lrpref.explain`.

        Returns
        -------
        array, shape (N, ...) or (K, ...), or tuple or dict of arrays
            The relevance of the input, one map per sample or per target; of several inputs, in the form in which they
            were given.

        Raises
        ------
        InputError, ShapeError, TargetError
            As `lrpref.explain` does.
        """
        with self.prepared._at_work(self._as_given(self.values)) as workers:
            return replace(self, kept=dict(self.kept))._explained(target, seed, workers)

    def _explained(
        self,
        target: int | Array | None,
        seed: str | float | Array,
        workers: Workers,
        budget: Budget = UNLIMITED,
    ) -> Any:
        """The relevance of the input. Empties `kept`, so that what has been used is released at once."""
        R = self._relevance(target, seed, workers, None, budget)
        return self._walk(target, seed, budget).relevance if R is None else self._as_given(R)

    def _trace(self, target: int | Array | None, seed: str | float | Array, workers: Workers) -> FastTrace:
        """The relevance at every node; for a pass that kept the value of every step. Empties `kept`."""
        at: dict[str, Array] = {}
        R = self._relevance(target, seed, workers, at)
        if R is None:
            walked = self._walk(target, seed)
            return FastTrace(walked.relevance, walked.logits, walked.at, self.prepared.forms)
        return FastTrace(self._as_given(R), self.logits, {**at, **R}, self.prepared.forms)

    def _walk(self, target: int | Array | None, seed: str | float | Array, budget: Budget = UNLIMITED) -> Trace:
        """The plain walk, which names the nodes and samples where something is not finite."""
        net = self.prepared.net
        x = self._as_given({name: _repeated(batch, target) for name, batch in net.by_name(self.batch).items()})
        return walk(self.prepared.start, self.prepared.rules, x, target, seed, budget)

    def _relevance(
        self,
        target: int | Array | None,
        seed: str | float | Array,
        workers: Workers,
        seen: dict[str, Array] | None = None,
        budget: Budget = UNLIMITED,
    ) -> dict[str, Array] | None:
        """The relevance of every input, with the warning for the first problem; None if it may not be finite.

        `seen` receives the relevance at every node on the way.
        """
        if not self.in_range:
            return None
        start, logits = self.prepared.start, _repeated(self.logits, target)
        with quiet():
            R = seed_relevance(start, logits, target_index(logits, target, seed), seed)
            found = self._back(channels_last(R), workers, seen, self.kept, budget)
            relevance = {name: channels_first(R_i) for name, R_i in found.items()}
        if not (workers.in_range() and all(map(all_finite, relevance.values()))):
            return None
        for problem in workers.problems[:1]:
            warn(problem)
        return relevance

    def _back(
        self, R: Array, workers: Workers, seen: dict[str, Array] | None, kept: dict[str, Any], budget: Budget
    ) -> dict[str, Array]:
        """From relevance at the explained node to that at the inputs, all with channels last. Empties `kept`."""
        steps, forms = self.prepared.steps, arrivals(self.prepared.steps)
        at = {self.prepared.start.node: R}
        for placed in reversed(steps):
            budget.check(placed.nodes[0], "backward pass")
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
                at[read] = sum_of_messages(at[read], sent, workers) if read in at else sent
        return {name: self._arrived(name, at.get(name), forms, len(R)) for name in self.prepared.net.inputs}

    def _arrived(self, name: str, found: Array | None, forms: Mapping[str, str], N: int) -> Array:
        """The relevance at an input; zeros if the explained output does not depend on it."""
        value = self.values[name]
        if found is None:
            return array_namespace(value).zeros((N, *value.shape[1:]), dtype=value.dtype)
        return value * found if forms[name] == CARRIED else found


def _repeated(batch: Array, target: int | Array | None) -> Array:
    """A batch of one sample, once for each of several targets; other batches as they are."""
    shape = () if target is None else to_numpy(target).shape
    several = shape[0] if shape else 1
    if len(batch) == 1 < several:
        return array_namespace(batch).broadcast_to(batch, (several, *batch.shape[1:]))
    return batch


@dataclass(frozen=True, eq=False)
class FastTrace:
    """An explanation by a prepared network, with the relevance at every node.

    Parameters
    ----------
    relevance : array, shape (N, ...), or tuple or dict of arrays
        Shaped like the input; for several inputs, in the form in which they were given.
    logits : array, shape (N, ...)
        The output that was explained.
    at : mapping
        Node name -> relevance at that node's output; includes every input by its name ("input").
    forms : mapping
        Node name -> the form in which it was computed.
    """

    relevance: Any
    logits: Array
    at: Mapping[str, Array]
    forms: Mapping[str, str]


def prepare(
    net: Network,
    rule: str | Rule | Composite = DEFAULT_RULE,
    form: str = "direct",
    node: str | None = None,
    shape: Any = None,
    threads: int | None = None,
) -> Prepared:
    """Prepare a network to explain inputs under one composite, fast.

    The result serves batches of any size, and is never changed. A layer or a rule of your own is computed by its own
    code, in the form "plain", and its books are checked at every explanation.

    Parameters
    ----------
    net : Network
        A network in float32 or float64, on NumPy or CuPy.
    rule : str, Rule or Composite
        As in `lrpref.explain`.
    form : str, default "direct"
        How convolutions are computed. "direct": matrix products, as accurate as the plain code in every component: an
        error of z is at most n u sum |a_i w_ij|, for n terms and the unit roundoff u, and likewise for the adjoint.
        The other forms are faster on 3x3 convolutions with many channels. Their error is bounded by the largest value
        in a tile, so components that are much smaller than their neighbours lose digits. "winograd": in float32
        Winograd's F(2x2, 3x3) where it applies, in float64 "direct". "fastest": F(4x4, 3x3) where it applies, about one
        digit less accurate. "winograd2", "winograd4": that tile size for all 3x3 convolutions with enough channels, on
        small images and in float64 too.
    node : str or None
        The node whose output is explained; None for the one that holds the logits, as in `lrpref.trace`.
    shape : tuple of int, or None
        The shape of one sample, such as (3, 224, 224), so that small images get small tiles. Not required. For several
        inputs, a tuple or dict with the shape of each.
    threads : int or None
        The number of threads, from 1 to 1024; None for one per core.

    Returns
    -------
    Prepared
        The network, ready to explain.

    Raises
    ------
    UnknownNameError
        If `form` or `rule` is unknown.
    DTypeError
        If the network has another number type or backend.
    RuleError, GraphError
        If the rule does not fit the network, or `node` is not one of its nodes.
    ParameterError
        If `threads` or `shape` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import Dense, Network
    >>> prepared = prepare(Network.sequential(Dense([[2.0, -1.0]])), "zero")
    >>> prepared.explain(np.array([[3.0, 1.0]]))
    array([[ 6., -1.]])
    """
    check_network(net)
    if threads is not None:
        check_integer(threads, "threads", least=1, most=MOST_THREADS)
    for one in () if shape is None else net.by_name(shape, "shape").values():
        if not is_shape(one):
            raise ParameterError(f"shape must be that of one sample, such as (3, 224, 224), got {shown(one)}")
    if is_one_of(form, ["plain"]):
        raise ParameterError(
            "a prepared network has no form 'plain'; use lrpref.explain(..., form='plain') or lrpref.trace"
        )
    if not is_one_of(form, FORMS):
        raise unknown("form", form, FORMS)
    if not can_prepare(net):
        raise DTypeError(
            f"the form {form!r} computes in float32 and float64 on {' and '.join(TAKES_OUT)}; this network is "
            f"{net.dtype} on {net.backend}: use lrpref.explain(..., form='plain')"
        )
    rules, start = resolve(rule).assign(net), start_at(net, node)
    shapes = {} if shape is None else start.net.shapes(_one_sample(net, shape))
    with quiet():
        steps = tuple(build(start.net, rules, start.node, form, shapes))
    return Prepared(net, rules, start, steps, threads)


MOST_THREADS = 1024
"""The largest number of threads that `prepare` accepts."""


def _one_sample(net: Network, shape: Any) -> Any:
    """The shape of a batch of one sample, for the shape of one sample."""
    return net.as_given({name: (1, *one) for name, one in net.by_name(shape).items()}, like=shape)


def can_prepare(net: Network) -> bool:
    """Whether the fast engine computes in the network's number type and on its backend."""
    return net.backend in TAKES_OUT and str(net.dtype) in ("float32", "float64")


def _arrays(thing: Any) -> list[Any]:
    """The arrays that a step's kernels hold."""
    if is_array(thing):
        return [thing]
    if isinstance(thing, tuple):
        return [array for part in thing for array in _arrays(part)]
    if is_dataclass(thing):
        return [array for f in fields(thing) for array in _arrays(getattr(thing, f.name))]
    return []
