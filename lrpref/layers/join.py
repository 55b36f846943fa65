"""Joins of branches: Add and Subtract are linear layers with weights 1 and -1; Concat, Maximum and Minimum route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arithmetic import LARGEST, check_choice, check_integer, full
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError
from .base import LinearLayer, Routing, Shape
from .reduce import to_winners


@dataclass(frozen=True, eq=False)
class Add(LinearLayer):
    """z = a_1 + a_2 + ...: a skip connection is a layer of its own.

    The rule on this layer determines how relevance is split: `Zero` in proportion to the signed inputs, `Absolute` in
    proportion to their magnitudes, `Flat` equally.
    """

    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = None

    def output_shape(self, *shapes: Shape) -> Shape:
        """The inputs and the output all have the same shape."""
        if len(set(self.counted(shapes))) != 1:
            raise ShapeError(f"Add needs inputs of equal shape, got {', '.join(map(str, shapes))}")
        return shapes[0]

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """One unit weight for every input."""
        a = inputs[0]
        return full((1,) * a.ndim, 1, like=a), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """The sum of the inputs."""
        total = w * inputs[0]
        for a in inputs[1:]:
            total = total + w * a
        return total

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> tuple[Array, ...]:
        """s, to every input."""
        return tuple(w * s for _ in shapes)

    def fan_in(self, *shapes: Shape) -> int:
        """The number of branches."""
        return len(shapes)


@dataclass(frozen=True, eq=False)
class Subtract(LinearLayer):
    """z = a_1 - a_2: a linear layer with the weights 1 and -1.

    The rule on this layer determines how relevance is split, as on `Add`.
    """

    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        """The inputs and the output all have the same shape."""
        if len(set(self.counted(shapes))) != 1:
            raise ShapeError(f"Subtract needs inputs of equal shape, got {', '.join(map(str, shapes))}")
        return shapes[0]

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """The weights 1 and -1, along an axis of their own, which comes first."""
        a = inputs[0]
        unit = full((1,) * (a.ndim + 1), 1, like=a)
        return array_namespace(a).concat((unit, -unit), axis=0), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w_1 a_1 + w_2 a_2."""
        return w[0, ...] * inputs[0] + w[1, ...] * inputs[1]

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> tuple[Array, ...]:
        """w_1 s and w_2 s."""
        return w[0, ...] * s, w[1, ...] * s

    def fan_in(self, *shapes: Shape) -> int:
        """2."""
        return 2


@dataclass(frozen=True, eq=False)
class Concat(Routing):
    """The inputs concatenated along an axis.

    Parameters
    ----------
    axis : int, default 1
        The axis, counted from the batch, which is axis 0 and cannot be concatenated: 1 for channels or features;
        negative ones count from the end.

    Raises
    ------
    ParameterError
        If it is the axis of the batch, or not an integer.
    """

    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = None

    axis: int = 1

    def __post_init__(self) -> None:
        check_integer(self.axis, "Concat: axis", least=-LARGEST)
        if self.axis == 0:
            raise ParameterError("Concat: axis 0 is the batch axis; choose another one")

    def output_shape(self, *shapes: Shape) -> Shape:
        """The inputs may differ in that axis only; the output has their sum there."""
        axis, told = self._place(len(self.counted(shapes)[0])), ", ".join(map(str, shapes))
        if len({(*shape[:axis], None, *shape[axis + 1 :]) for shape in shapes}) != 1:
            raise ShapeError(f"Concat: all dimensions except axis {self.axis} must match, got {told}")
        total = sum(shape[axis] for shape in shapes)
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def _place(self, rank: int) -> int:
        """The axis, counted from 0, of arrays with this many axes; raises ShapeError if they do not have it."""
        axis = self.axis + rank if self.axis < 0 else self.axis
        if not 0 < axis < rank:
            raise ShapeError(f"Concat: inputs with {rank} axes have no axis {self.axis} other than the batch axis")
        return axis

    def forward(self, *inputs: Array) -> Array:
        """The concatenated inputs."""
        inputs = self.floating(inputs)
        self.check_arithmetic(*inputs)
        self.output_shape(*(tuple(a.shape) for a in inputs))
        return array_namespace(inputs[0]).concat(inputs, axis=self._place(inputs[0].ndim))

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The part of R that belongs to each input."""
        axis = self._place(R.ndim)
        ends = [sum(a.shape[axis] for a in inputs[: k + 1]) for k in range(len(inputs))]
        before = (slice(None),) * axis
        return tuple(R[(*before, slice(end - a.shape[axis], end), ...)] for a, end in zip(inputs, ends, strict=True))


@dataclass(frozen=True, eq=False)
class Extreme(Routing):
    """What `Maximum` and `Minimum` share: the inputs are compared cell by cell, and one of them wins.

    Parameters
    ----------
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal inputs takes all; "equal": they share equally.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = None
    sign: ClassVar[int]

    ties: str = "first"

    def __post_init__(self) -> None:
        check_choice(self.ties, f"{type(self).__name__}: ties", ("first", "equal"))

    def output_shape(self, *shapes: Shape) -> Shape:
        """The inputs and the output all have the same shape."""
        if len(set(self.counted(shapes))) != 1:
            raise ShapeError(f"{type(self).__name__} needs inputs of equal shape, got {', '.join(map(str, shapes))}")
        return shapes[0]

    def forward(self, *inputs: Array) -> Array:
        """The winner of each cell; NaN wins against every number."""
        inputs = self.floating(inputs)
        self.check_arithmetic(*inputs)
        self.output_shape(*(tuple(a.shape) for a in inputs))
        xp = array_namespace(inputs[0])
        return self.sign * xp.max(xp.stack([self.sign * a for a in inputs], axis=-1), axis=-1)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """R goes to the input that won."""
        rows = array_namespace(R).stack([self.sign * a for a in inputs], axis=-1)
        shared = to_winners(rows, R[..., None], self.ties)
        return tuple(shared[..., k] for k in range(len(inputs)))


@dataclass(frozen=True, eq=False)
class Maximum(Extreme):
    """max(a_1, a_2, ...), cell by cell: relevance goes to the largest input, as in `MaxPool`.

    Parameters
    ----------
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal inputs takes all; "equal": they share equally.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    sign: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Minimum(Extreme):
    """min(a_1, a_2, ...), cell by cell: relevance goes to the smallest input, as in `MaxPool`.

    Parameters
    ----------
    ties : {"first", "equal"}, default "first"
        "first": the first of several equal inputs takes all; "equal": they share equally.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    """

    sign: ClassVar[int] = -1
