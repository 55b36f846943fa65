"""The pass of a prepared network through inputs of one shape, planned: its calls, its arrays, and what runs when.

The steps of the network record the forward pass, then the way back; `lrpref.fast.program` explains why. A plan is used
by one call at a time. Its arrays are its own: what it returns is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from threading import Lock
from typing import Any

from .._support.budget import Budget
from ..arithmetic import quiet
from ..backend import Array, array_namespace
from ..errors import at_node
from ..seeds import Start
from .build import PlacedStep, arrivals
from .memory import NO_BORDER, Border, Buffer, Image, Memory
from .program import Program, Stage, run
from .steps import CARRIED, given_back, laid_out, laid_out_shape, summed
from .threads import pool

Run = Callable[..., Any] | None
"""What starts a function in another thread (`lrpref.fast.threads.pool`)."""

UNLIMITED = Budget(inf)
"""The budget of calls that have none."""


class Plan:
    """A forward pass and, but for the purpose "forward" or "run", the way back.

    Parameters
    ----------
    forward : Forward
        The forward pass.
    """

    def __init__(self, forward: Forward) -> None:
        self.forward, self.shapes = forward, forward.program.shapes
        if forward.purpose in ("explain", "trace"):
            samples = len(forward.values[forward.node].cells)
            self.back = Backward(forward, samples, again=False)

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        return self.forward.memory.nbytes

    def way_back(self, maps: int) -> Backward:
        """A new plan for the way back, which leaves the forward pass as it is."""
        return Backward(self.forward, maps, again=True)

    def run_forward(self, batches: Mapping[str, Array], budget: Budget = UNLIMITED) -> None:
        """Compute every value for a batch of every input."""
        with pool(self.forward.program.threads) as start:
            self.forward.run(batches, start, budget)

    def run_back(self, back: Backward, R: Array, budget: Budget = UNLIMITED) -> dict[str, Array]:
        """The relevance of every input, in new arrays, for the relevance of the explained output."""
        with pool(self.forward.program.threads) as start:
            return back.run(R, start, budget)


class Plans:
    """Plans that are not in use, to be used again. A copied or unpickled collection is empty."""

    def __init__(self) -> None:
        self._idle: list[tuple[object, Plan]] = []
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """The bytes that the plans hold."""
        return sum(plan.nbytes for _, plan in self._idle)

    @contextmanager
    def borrowed(self, key: object, make: Callable[[], Plan]) -> Iterator[Plan]:
        """A plan for one call: an idle one of the same key, or a new one."""
        with self._lock:
            found = next((k for k, (known, _) in enumerate(self._idle) if known == key), None)
            plan = None if found is None else self._idle.pop(found)[1]
        plan = self._made(make) if plan is None else plan
        yield plan
        with self._lock:  # not reached if the call raised an error
            self._idle.append((key, plan))
            while self.nbytes > _most_kept(plan.forward.memory.total):
                self._idle.pop(0)

    def _made(self, make: Callable[[], Plan]) -> Plan:
        """A new plan; if memory is too short for it, in place of the idle ones."""
        try:
            return make()
        except MemoryError:
            with self._lock:
                self._idle.clear()
        return make()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the collection without its plans."""
        return (Plans, ())


def _most_kept(total: int | None) -> int:
    """The largest number of bytes that plans keep between calls, given those of a GPU."""
    return MOST_KEPT if total is None else max(MOST_KEPT, total // GPU_SHARE_KEPT)


MOST_KEPT = 1 << 30
"""The largest number of bytes that plans keep between calls; those of the earliest calls go first."""

GPU_SHARE_KEPT = 8
"""On a GPU they keep this part of its memory if that is more: planning takes longer than explaining there."""


class Forward:
    """The planned forward pass.

    Parameters
    ----------
    start : Start
        Where explanations start.
    steps : sequence of PlacedStep
        What is computed, in order.
    shapes : mapping
        Node or input -> the shape of its value, as the user knows it.
    like : array
        An input, for its dtype and its namespace.
    lanes : int
        The number of threads.
    purpose : str
        "forward": only the explained output is kept. "explain": relevance is sent back once for every sample. "run":
        ways back are planned later, and leave the forward pass as it is. "trace": as "explain", and the relevance at
        every node is kept.
    """

    def __init__(
        self,
        start: Start,
        steps: Sequence[PlacedStep],
        shapes: Mapping[str, tuple[int, ...]],
        like: Array,
        lanes: int,
        purpose: str,
    ) -> None:
        self.inputs, self.node, self.steps, self.purpose = start.net.inputs, start.node, steps, purpose
        self.everything, self._remember = purpose == "trace", purpose != "forward"
        self.memory = Memory(array_namespace(like))
        self.program = Program(self.memory, lanes, shapes)
        self.kept: dict[str, Any] = {}
        self._dtype = like.dtype
        borders = self._borders()
        self.values = {name: self._input(name, borders.get(name, NO_BORDER)) for name in self.inputs}
        self._parts = self._recorded(borders)

    def _borders(self) -> dict[str, Border]:
        """The border around every value: as wide as the widest that one of its readers wants."""
        found: dict[str, Border] = {}
        for placed in self.steps:
            for read in placed.inputs:
                wanted = placed.step.border(laid_out_shape(self.program.shapes[read]))
                found[read] = tuple(map(max, found.get(read, NO_BORDER), wanted))  # type: ignore[assignment]
        return found

    def _input(self, name: str, border: Border) -> Image:
        """The image that an input is copied to."""
        image = self.memory.image(laid_out_shape(self.program.shapes[name]), self._dtype, border)
        self.memory.hold(image)
        return image

    def _recorded(self, borders: Mapping[str, Border]) -> list[tuple[PlacedStep, list[Stage]]]:
        """Every step with the calls that it records."""
        wanted = self._wanted()
        last_read = {read: k for k, placed in enumerate(self.steps) for read in placed.inputs}
        parts = []
        for k, placed in enumerate(self.steps):
            inputs = tuple(self._bordered(read, borders[read]) for read in placed.inputs)
            border = borders.get(placed.output, NO_BORDER)
            with at_node(placed.nodes[0], placed.layer):
                y, kept = placed.step.forward(self.program, inputs, border, self._remember)
            self.values[placed.output], self.kept[placed.output] = y, kept
            self.memory.hold((y, kept))
            for read in set(placed.inputs):
                if last_read[read] == k and read not in wanted:
                    self.memory.release(self.values.pop(read))
            self.memory.settle()
            parts.append((placed, self.program.taken()))
        return parts

    def _bordered(self, name: str, border: Border) -> Image:
        """A value with at least this border; a step that passes on its input may have returned a narrower one."""
        image = self.values[name]
        if image.has(border):
            return image
        wider = self.memory.image(image.cells.shape, self._dtype, border)
        self.program.do(self.memory.xp.copyto, wider.cells, image.cells)
        return wider

    def _wanted(self) -> set[str]:
        """The nodes whose values are kept: the inputs, the explained one, and those that the way back needs."""
        wanted = {*self.inputs, self.node}
        if self.everything:
            return wanted | {placed.output for placed in self.steps}
        forms = arrivals(self.steps)
        for placed in self.steps if self._remember else ():
            mixed = {read for read in placed.inputs if placed.sends == CARRIED and forms[read] != CARRIED}
            wanted |= set(placed.inputs) if placed.step.form == "plain" else mixed
        return wanted

    def run(self, batches: Mapping[str, Array], start: Run, budget: Budget) -> None:
        """Compute every value for a batch of every input."""
        self.program.problems.clear()
        with quiet():
            for name, batch in batches.items():
                self.memory.xp.copyto(self.values[name].cells, laid_out(batch))
            _run(self._parts, start, budget, "forward pass")

    def value(self, name: str) -> Array:
        """The value of a node, as the user knows it; a view."""
        return given_back(self.values[name].cells, self.program.shapes[name])

    def copy(self, name: str) -> Array:
        """The value of a node, in a new array."""
        return given_back(self.values[name].cells, self.program.shapes[name]).copy()


class Backward:
    """The planned way back from the explained node.

    Parameters
    ----------
    forward : Forward
        The forward pass, whose values it reads.
    maps : int
        How many maps are computed: as many as samples, or as targets of one sample.
    again : bool
        Whether the forward pass serves other ways back too, so that its arrays must stay as they are.
    """

    def __init__(self, forward: Forward, maps: int, again: bool) -> None:
        self._forward, self._maps = forward, maps
        self.memory = Memory(forward.memory.xp) if again else forward.memory
        self.program = Program(self.memory, forward.program.threads, forward.program.shapes)
        shape = (maps, *forward.values[forward.node].cells.shape[1:])
        self._seed = self.memory.empty(shape, forward.values[forward.node].whole.dtype)
        self.memory.hold(self._seed)
        self.at: dict[str, Buffer] = {}
        self._parts, self._found = self._recorded()

    def _recorded(self) -> tuple[list[tuple[PlacedStep, list[Stage]]], dict[str, Buffer]]:
        """Every step with the calls that it records, from the last to the first, and the relevance of every input."""
        forward, forms = self._forward, arrivals(self._forward.steps)
        at, parts = {forward.node: self._seed}, []
        for placed in reversed(forward.steps):
            message = at.pop(placed.output)
            if forward.everything:
                here = self._relevance(placed.output, message, placed.arrives)
                self.memory.hold(here)
                self.at.update(dict.fromkeys(placed.nodes, here))
            inputs = tuple(forward.values[read] for read in placed.inputs) if placed.step.form == "plain" else ()
            kept = forward.kept[placed.output]
            with at_node(placed.nodes[0], placed.layer):
                messages = placed.step.backward(self.program, message, kept, inputs)
            for read, sent in zip(placed.inputs, messages, strict=True):
                if placed.sends == CARRIED and forms[read] != CARRIED:
                    sent = self._relevance(read, sent, CARRIED)
                self._send(at, read, sent)
            if placed is forward.steps[0]:
                for name in forward.inputs:
                    at[name] = self._arrived(name, at.get(name), forms)
                    self.memory.hold(at[name])
            self.memory.release((message, kept))
            self.memory.settle()
            parts.append((placed, self.program.taken()))
        return parts, {name: at[name] for name in forward.inputs}

    def _send(self, at: dict[str, Buffer], read: str, sent: Buffer) -> None:
        """Add a message to those that have arrived at a node."""
        if read in at:
            earlier, sent = at[read], summed(self.program, at[read], sent)
            self.memory.release(earlier)
        self.memory.hold(sent)
        at[read] = sent

    def _relevance(self, name: str, message: Buffer, form: str) -> Buffer:
        """R at a node, from the message to it."""
        if form != CARRIED:
            return message
        R = self.memory.empty(message.shape, message.dtype)
        self.program.do(self.memory.xp.multiply, self._forward.values[name].cells, message, out=R)
        return R

    def _arrived(self, name: str, message: Buffer | None, forms: Mapping[str, str]) -> Buffer:
        """The relevance of an input; zeros if the explained output does not depend on it."""
        if message is not None:
            return self._relevance(name, message, forms[name])
        cells = self._forward.values[name].cells
        return self.memory.xp.zeros((self._maps, *cells.shape[1:]), dtype=cells.dtype)

    def run(self, R: Array, start: Run, budget: Budget) -> dict[str, Array]:
        """The relevance of every input, in new arrays, for the relevance of the explained output."""
        self.program.problems.clear()
        with quiet():
            self.memory.xp.copyto(self._seed, laid_out(R))
            _run(self._parts, start, budget, "backward pass")
        return self._copies(self._found)

    def trace(self) -> dict[str, Array]:
        """The relevance that the last run found at every node, in new arrays."""
        return self._copies(self.at)

    def _copies(self, found: Mapping[str, Buffer]) -> dict[str, Array]:
        shapes = self.program.shapes
        return {name: given_back(R, shapes[name]).copy() for name, R in found.items()}


def _run(parts: Sequence[tuple[PlacedStep, Sequence[Stage]]], start: Run, budget: Budget, work: str) -> None:
    """Make the calls of every step."""
    for placed, stages in parts:
        budget.check(placed.nodes[0], work)
        with at_node(placed.nodes[0], placed.layer):
            run(stages, start)
