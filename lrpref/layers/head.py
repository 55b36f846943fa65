"""The last layers of a classifier over several classes, which turn logits into probabilities."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import as_floating, irrational
from ..backend import Array, array_namespace
from ..errors import RuleError, ShapeError
from ..ledger import Flow
from .base import Layer, Shape, SupportsFlow


@dataclass(frozen=True, eq=False)
class Head(Layer):
    """A function of all logits of a sample. Explanations start at its input; inside a network it has no rule."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which needs an axis 1."""
        (shape,) = shapes
        if len(shape) < 2 or shape[1] == 0:
            raise ShapeError(f"expected (N, classes, ...), got {shape}")
        return shape

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Raise RuleError: every output depends on every input, and not linearly."""
        raise RuleError(
            f"there is no LRP rule for a {type(self).__name__} inside a network; explain a node before it (node=...), "
            "or remove it with net.remove(...)"
        )


@dataclass(frozen=True, eq=False)
class Softmax(Head):
    """exp(x_k) / sum_l exp(x_l) over axis 1: the last layer of a classifier.

    Explanations start at its input, the logits. In the middle of a network it has no relevance rule here.
    """

    def forward(self, *inputs: Array) -> Array:
        """Probabilities; the largest logit is subtracted first, so that nothing overflows."""
        x = as_floating(inputs[0], "the input")
        self.output_shape(tuple(x.shape))
        xp = array_namespace(x)
        e = irrational("exp", x - xp.max(x, axis=1, keepdims=True), "Softmax")
        return e / xp.sum(e, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class LogSoftmax(Head):
    """x_k - log(sum_l exp(x_l)) over axis 1: a last layer that returns the logarithms of probabilities.

    Explanations start at its input, the logits. In the middle of a network it has no relevance rule here.
    """

    def forward(self, *inputs: Array) -> Array:
        """Logarithms of probabilities; the largest logit is subtracted first, so that nothing overflows."""
        x = as_floating(inputs[0], "the input")
        self.output_shape(tuple(x.shape))
        xp = array_namespace(x)
        x = x - xp.max(x, axis=1, keepdims=True)
        return x - irrational("log", xp.sum(irrational("exp", x, "LogSoftmax"), axis=1, keepdims=True), "LogSoftmax")
