"""Softmax and LogSoftmax: the last layers of a classifier, and the softmax within attention."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import irrational
from ..backend import Array, array_namespace, sum_per_sample
from ..errors import RuleError, ShapeError
from ..ledger import Flow
from .base import Layer, Shape, SupportsFlow
from .shape import check_axis, sample_axes


@dataclass(frozen=True, eq=False)
class Head(Layer):
    """A function of all logits of a sample. At the end of a network, explanations start at its input."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which needs an axis 1."""
        (shape,) = self.counted(shapes)
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
    """s_j = exp(x_j) / sum_k exp(x_k) along an axis: the last layer of a classifier, or the weights of attention.

    At the end of a network, explanations start at the input of the Softmax, the logits. Anywhere else, relevance is
    distributed by its Taylor expansion at x, whose derivatives are s_j (delta_ij - s_i) and whose constant term is a
    bias:

        R_i = sum_j  x_i (delta_ij - s_i)  R_j

    The ledger records sum_j (1 - x_j + m) R_j as bias, with m = sum_i x_i s_i. A Softmax takes no rule. The formula is
    that of AttnLRP, x_i (R_i - s_i sum_j R_j) in terms of the outputs' relevance (Achtibat et al. 2024, arXiv
    2402.05602, prop. 3.1).

    Parameters
    ----------
    axis : int, default 1
        The axis, counted from the batch, which is axis 0 and cannot be normalised; a negative one counts from the end.

    Raises
    ------
    ParameterError
        If it is the axis of the batch, or not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> layer, x = Softmax(), np.log(np.array([[1.0, 3.0]]))
    >>> layer.forward(x)
    array([[0.25, 0.75]])
    """

    axis: int = 1

    def __post_init__(self) -> None:
        check_axis(self.axis, "Softmax: axis")

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which needs that axis."""
        (shape,) = self.counted(shapes)
        (axis,) = sample_axes((self.axis,), shape, "Softmax")
        if shape[axis] == 0:
            raise ShapeError(f"Softmax over axis {axis} of {shape} has no cell to normalise")
        return shape

    def forward(self, *inputs: Array) -> Array:
        """Probabilities; the largest logit is subtracted first, so that nothing overflows."""
        (x,) = self.floating(inputs)
        self.output_shape(tuple(x.shape))
        xp = array_namespace(x)
        e = irrational("exp", x - xp.max(x, axis=self.axis, keepdims=True), "Softmax")
        return e / xp.sum(e, axis=self.axis, keepdims=True)

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """x_i (R_i - s_i sum_j R_j) under every rule; the ledger records the constant term as bias."""
        (x,) = inputs
        xp, s = array_namespace(x), self.forward(x)
        total = xp.sum(R, axis=self.axis, keepdims=True)
        mean = xp.sum(x * s, axis=self.axis, keepdims=True)
        return Flow((x * (R - s * total),), {"bias": sum_per_sample((1 - x + mean) * R)})


@dataclass(frozen=True, eq=False)
class LogSoftmax(Head):
    """x_k - log(sum_l exp(x_l)) over axis 1: a last layer that returns the logarithms of probabilities.

    Explanations start at its input, the logits. Inside a network, it has no relevance rule.
    """

    def forward(self, *inputs: Array) -> Array:
        """Logarithms of probabilities; the largest logit is subtracted first, so that nothing overflows."""
        (x,) = self.floating(inputs)
        self.output_shape(tuple(x.shape))
        xp = array_namespace(x)
        x = x - xp.max(x, axis=1, keepdims=True)
        return x - irrational("log", xp.sum(irrational("exp", x, "LogSoftmax"), axis=1, keepdims=True), "LogSoftmax")
