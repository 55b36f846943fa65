"""Layers and rules without a fast form, those of users among them, by their own code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, is_array
from ...engine import Rule
from ...ledger import Entry, Flow
from ...network import Node
from ...walk import label, not_closed, not_finite
from ..memory import NO_BORDER, Border, Buffer, Image
from ..program import Program
from .step import given_back, laid_out, laid_out_shape


@dataclass(frozen=True, eq=False)
class PlainStep:
    """A node by the plain code of its layer and rule. Relevance arrives and leaves as R.

    Parameters
    ----------
    node : Node
        The node.
    rule : Rule or None
        Its rule.
    checked : bool
        Whether its conservation is checked at every explanation, as in `trace`: for layers and rules of the user's own.
        Those of lrpref are checked by its tests, and a check here would take longer than some of the layers.
    """

    node: Node
    rule: Rule | None
    checked: bool

    form = "plain"

    def border(self, shape: tuple[int, ...]) -> Border:
        """None."""
        return NO_BORDER

    def forward(
        self, program: Program, inputs: tuple[Image, ...], border: Border, remember: bool
    ) -> tuple[Image, None]:
        """The layer's output."""
        values, xp = self._values(program, inputs), program.memory.xp
        y = program.memory.image(laid_out_shape(program.shapes[self.node.name]), values[0].dtype, border)
        program.do(lambda: xp.copyto(y.cells, laid_out(self.node.layer.forward(*values))))
        program.watch(y.cells)
        return y, None

    def _values(self, program: Program, inputs: tuple[Image, ...]) -> tuple[Buffer, ...]:
        """The inputs as the layer knows them."""
        shapes = [program.shapes[read] for read in self.node.inputs]
        return tuple(given_back(a.cells, shape) for a, shape in zip(inputs, shapes, strict=True))

    def backward(self, program: Program, message: Buffer, kept: Any, inputs: tuple[Image, ...]) -> Sequence[Buffer]:
        """The layer's flow; several targets of one input are as many inputs."""
        values, xp = self._values(program, inputs), program.memory.xp
        values = tuple(xp.broadcast_to(a, (len(message), *a.shape[1:])) for a in values)
        R = given_back(message, program.shapes[self.node.name])
        sent = [program.memory.empty((len(message), *a.cells.shape[1:]), message.dtype) for a in inputs]
        unsound = program.peak(message.dtype)

        def write() -> None:
            flow = self.node.layer.flow(values, R, self.rule)
            unsound[...] = sum(
                xp.sum(0 * loss) for loss in flow.losses.values() if is_array(loss)
            )  # NaN, if not finite
            if self.checked:
                program.problems.extend(filter(None, self._problems(R, flow)))
            for out, R_i in zip(sent, flow.inputs, strict=True):
                xp.copyto(out, laid_out(R_i))

        program.do(write)
        return sent

    def _problems(self, R: Array, flow: Flow) -> Iterator[str | None]:
        """What the walk would warn of, in its order."""
        name, layer, reads = self.node
        for at, R_at in zip([name, *reads], [R, *flow.inputs], strict=True):
            yield not_finite(at, R_at)
        yield not_closed(Entry.of(name, layer, label(layer, self.rule), R, flow), R)
