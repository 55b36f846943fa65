"""A network prepared for explaining many inputs: weights mapped, stacked and transformed once, for one composite.

    fast = lrpref.prepare(net, "epsilon-plus-flat")
    R = fast.explain(x)

It computes the same relevance as `lrpref.trace`, by the same rules, in another order (`lrpref.fast.algebra` explains
why the results agree). No ledger is kept; conservation is checked only for layers and rules of your own. Tests compare
the two engines for every rule, on random networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, is_dataclass
from functools import reduce
from math import inf
from operator import and_
from typing import Any

from .._support.budget import Budget
from ..arithmetic import check_integer, finite, is_shape, quiet
from ..backend import TAKES_OUT, Array, DType, array_namespace, is_array, memory_of, to_numpy
from ..composites import Assignment, Composite, resolve
from ..errors import DTypeError, ParameterError, is_one_of, shown, unknown, warn
from ..network import Network, check_network
from ..rules import Rule
from ..seeds import Start, check_at, seed_relevance, start_at, target_index
from ..signatures import Signature, node_text, of_explanation
from ..walk import DEFAULT_RULE, Trace, walk
from .build import PlacedStep, build
from .plan import UNLIMITED, Backward, Forward, Plan, Plans
from .steps import PlainStep
from .threads import lanes

FORMS = ("direct", "winograd")
"""The forms that `prepare` accepts."""


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
    looks_first : bool
        Whether NaN and infinities in a batch are looked for before the pass. On a GPU they are looked for at its end,
        so that a pass waits only once, unless code of the user's own is to compute with the batch.
    plans : Plans
        The plans of earlier calls, which later calls with inputs of the same shape use again.
    """

    net: Network
    rules: Assignment
    start: Start
    steps: tuple[PlacedStep, ...]
    threads: int | None
    looks_first: bool
    plans: Plans = field(default_factory=Plans, repr=False)

    @property
    def forms(self) -> dict[str, str]:
        """Node -> the form in which it is computed: "plain", "direct" or "winograd"."""
        return {node: placed.step.form for placed in self.steps for node in placed.nodes}

    @property
    def signature(self) -> Signature:
        """The conventions of its explanations with the seed "logit", in one line."""
        forms = "+".join(sorted({*self.forms.values()} - {"plain"})) or "plain"
        return of_explanation(self.rules, form=forms, node=node_text(self.start))

    @property
    def nbytes(self) -> int:
        """The bytes that the prepared weights take, besides the network's own."""
        own = dict(map(memory_of, self.net.parameters.values()))
        held = dict(memory_of(array) for placed in self.steps for array in _arrays(placed.step))
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
        given, x = x, self._cast(x)
        with self._planned(x, "forward") as plan:
            plan.run_forward(self.net.by_name(x))
            return self._logits(plan, x, given)

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
        given, x = x, self._cast(x)
        with self._planned(x, "explain") as plan:
            check_at(self.start, plan.shapes[self.start.node], target, seed)
            plan.run_forward(self.net.by_name(x), budget)
            R = self._sent_back(plan, plan.back, target, seed, budget, self._unseen(x))
        return self._walked(given, target, seed, budget).relevance if R is None else self.net.as_given(R, x)

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
        x = self.net.cast(x)
        plan = self._plan(x, "run")
        plan.run_forward(self.net.by_name(x))
        return ForwardPass(self, plan, by_name=isinstance(x, Mapping))

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
        given, x = x, self._cast(x)
        with self._planned(x, "trace") as plan:
            check_at(self.start, plan.shapes[self.start.node], target, seed)
            plan.run_forward(self.net.by_name(x))
            R = self._sent_back(plan, plan.back, target, seed, unseen=self._unseen(x))
            if R is not None:
                at = {**plan.back.trace(), **R}
                return FastTrace(self.net.as_given(R, x), plan.forward.copy(self.start.node), at, self.forms)
        walked = self._walked(given, target, seed)
        return FastTrace(walked.relevance, walked.logits, walked.at, self.forms)

    # ---- plans -----------------------------------------------------------------------------------------------------

    def _planned(self, x: Any, purpose: str) -> AbstractContextManager[Plan]:
        """A plan for batches of this shape, for one call."""
        key = (purpose, tuple(tuple(batch.shape) for batch in self.net.by_name(x).values()), self._lanes(x))
        return self.plans.borrowed(key, lambda: self._plan(x, purpose))

    def _plan(self, x: Any, purpose: str) -> Plan:
        """A new plan; raises ShapeError if the batch does not fit."""
        shapes = self.start.net.shapes(self.net.shape_of(x))
        (like, *_) = self.net.by_name(x).values()
        return Plan(Forward(self.start, self.steps, shapes, like, self._lanes(x), purpose))

    def _lanes(self, x: Any) -> int:
        """The number of threads: one for inputs so small that a second would slow it down."""
        batches = list(self.net.by_name(x).values())
        if self.threads is None and sum(batch.size for batch in batches) < SMALL:
            return 1
        return lanes(array_namespace(batches[0]), self.threads)

    def _cast(self, x: Any) -> Any:
        """The batch in the network's number type."""
        return self.net.cast(x, finite=self.looks_first)

    def _unseen(self, x: Any) -> list[Array]:
        """The batches of which it is not known yet whether they are finite."""
        return [] if self.looks_first else list(self.net.by_name(x).values())

    def _is_sound(self, plan: Plan, back: Backward | None, arrays: Iterable[Array]) -> bool:
        """Whether all sums of a pass were in range and all `arrays` are finite; the only place where a pass waits."""
        programs = [plan.forward.program, *([] if back is None else [back.program])]
        found = [sound for program in programs for sound in program.in_range()] + list(map(finite, arrays))
        return not found or bool(reduce(and_, found))

    def _logits(self, plan: Plan, x: Any, given: Any) -> Array:
        """The explained output, as the network gives it; `given` is the batch before it was cast to `x`."""
        if self._is_sound(plan, None, self._unseen(x)):
            return plan.forward.copy(self.start.node)
        return self.start.net.up_to(self.start.node).forward(given)

    def _sent_back(
        self,
        plan: Plan,
        back: Backward,
        target: int | Array | None,
        seed: str | float | Array,
        budget: Budget = UNLIMITED,
        unseen: Sequence[Array] = (),
    ) -> dict[str, Array] | None:
        """The relevance of every input, with the warning for the first problem; None if it may not be finite.

        It may not be finite where the `unseen` batches are not.
        """
        logits = _repeated(plan.forward.value(self.start.node), target)
        with quiet():
            R = seed_relevance(self.start, logits, target_index(logits, target, seed), seed)
        relevance = plan.run_back(back, R, budget)
        if not self._is_sound(plan, back, [*relevance.values(), *unseen]):
            return None
        for problem in back.program.problems[:1]:
            warn(problem)
        return relevance

    def _walked(self, x: Any, target: int | Array | None, seed: Any, budget: Budget = UNLIMITED) -> Trace:
        """The plain walk, which names the nodes and samples where something is not finite.

        Raises InputError if that is the batch.
        """
        return walk(self.start, self.rules, self.net.cast(x), target, seed, budget)


SMALL = 1 << 14
"""Batches with fewer numbers are computed by one thread."""


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """One forward pass of a prepared network, made by `Prepared.run`, from which outputs can be explained.

    Parameters
    ----------
    prepared : Prepared
        The network.
    plan : Plan
        The pass, with everything that its explanations need.
    by_name : bool, default False
        Whether several inputs were given as a dict, so that their relevance is returned as one.
    """

    prepared: Prepared
    plan: Plan
    by_name: bool = False

    @property
    def batch(self) -> Any:
        """The batch, cast, in the form in which it was given."""
        return self._as_given({name: self.plan.forward.copy(name) for name in self.prepared.net.inputs})

    def _as_given(self, values: Mapping[str, Any]) -> Any:
        """One value per input in the form in which the batch was given."""
        return self.prepared.net.as_given(values, like={} if self.by_name else ())

    @property
    def logits(self) -> Array:
        """The explained output, as the network gives it."""
        batch = self.batch
        return self.prepared._logits(self.plan, batch, batch)

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
        maps = len(_repeated(self.plan.forward.value(self.prepared.start.node), target))
        R = self.prepared._sent_back(self.plan, self.plan.way_back(maps), target, seed)
        if R is not None:
            return self._as_given(R)
        net = self.prepared.net
        x = {name: _repeated(batch, target) for name, batch in net.by_name(self.batch).items()}
        return self.prepared._walked(self._as_given(x), target, seed).relevance


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
    code, in the form "plain", and its conservation is checked at every explanation.

    Parameters
    ----------
    net : Network
        A network in float32 or float64, on NumPy or CuPy.
    rule : str, Rule or Composite
        As in `lrpref.explain`.
    form : str, default "direct"
        How convolutions are computed. "direct": matrix products, as accurate as the plain code in every component: an
        error of z is at most n u sum |a_i w_ij|, for n terms and the unit roundoff u, and likewise for the adjoint.
        "winograd": Winograd's F(2x2, 3x3) for 3x3 convolutions with many channels, which is faster. Its error is
        bounded by the largest value in a tile, so components that are much smaller than their neighbours lose digits.
    node : str or None
        The node whose output is explained; None for the one that holds the logits, as in `lrpref.trace`.
    shape : tuple of int, or None
        The shape of one sample, such as (3, 224, 224), so that very small images are computed directly. Not required.
        For several inputs, a tuple or dict with the shape of each.
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
    backend, dtype = net.backend, net.dtype
    if not _computes_in(backend, dtype):
        raise DTypeError(
            f"the form {form!r} computes in float32 and float64 on {' and '.join(TAKES_OUT)}; this network is "
            f"{dtype} on {backend}: use lrpref.explain(..., form='plain')"
        )
    composite = resolve(rule)
    net, rules = composite.read(net), composite.assign(net)
    start = start_at(net, node)
    shapes = {} if shape is None else start.net.shapes(_one_sample(net, shape))
    with quiet():
        steps = tuple(build(start.net, rules, start.node, form, shapes))
    own_code = any(isinstance(placed.step, PlainStep) and placed.step.checked for placed in steps)
    return Prepared(net, rules, start, steps, threads, looks_first=own_code or backend == "numpy")


MOST_THREADS = 1024
"""The largest number of threads that `prepare` accepts."""


def _one_sample(net: Network, shape: Any) -> Any:
    """The shape of a batch of one sample, for the shape of one sample."""
    return net.as_given({name: (1, *one) for name, one in net.by_name(shape).items()}, like=shape)


def _arrays(thing: Any) -> list[Any]:
    """The arrays in nested tuples and dataclasses."""
    if is_dataclass(thing):
        thing = tuple(vars(thing).values())
    return (
        [array for part in thing for array in _arrays(part)] if isinstance(thing, tuple) else [thing] * is_array(thing)
    )


def can_prepare(net: Network) -> bool:
    """Whether the fast engine computes in the network's number type and on its backend."""
    return _computes_in(net.backend, net.dtype)


def _computes_in(backend: str | None, dtype: DType) -> bool:
    return backend in TAKES_OUT and str(dtype) in ("float32", "float64")
