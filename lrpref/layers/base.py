"""The interface of a layer: `forward`, and `relevance` under a rule.

Nearly every layer is one of three kinds:

    LinearLayer   z = W a + b. The rule determines its relevance; the layer provides W, its transpose, and b.
    Elementwise   an activation: relevance passes unchanged.
    Routing       moves values: relevance returns to where each value came from.

The others compute the relevance of their inputs themselves: Multiply, Softmax within a network, and Embedding.
LogSoftmax, and Softmax at the end of a network, never receive relevance.

Layers are frozen, do not cache anything, do not change their arguments, and do not depend on rules. They propagate NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any, ClassVar, Protocol, TypeVar

from ..arithmetic import as_floating, check_alike, is_real_floating
from ..backend import Array, as_tuple, check_together, is_array
from ..errors import RuleError, ShapeError, shown
from ..ledger import Flow

Shape = tuple[int, ...]
T = TypeVar("T")

MAX_CELLS = 2**30
"""The most numbers that one sample may have anywhere in a network, padding included: 4 GiB in float32."""


def check_size(shape: Shape) -> None:
    """Raise ShapeError if one sample of a batch of this shape has more than MAX_CELLS numbers."""
    if prod(shape[1:]) > MAX_CELLS:
        raise ShapeError(
            f"one sample of shape {shape[1:]} would have {prod(shape[1:])} numbers, more than the limit of {MAX_CELLS}"
            "; use a smaller input, padding or dilation"
        )


class SupportsFlow(Protocol):
    """All that a layer knows of a rule: it redistributes relevance to the inputs of a linear layer."""

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """Redistribute `R` to `inputs`."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One step of a network. Arrays have shape (N, features) or (N, C, ...); N is the batch size.

    Attributes
    ----------
    min_inputs, max_inputs : int
        How many inputs the layer takes; None for no upper limit.
    """

    min_inputs: ClassVar[int] = 1
    max_inputs: ClassVar[int | None] = 1

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output for inputs of these shapes; raise ShapeError if they do not fit."""
        return self.counted(shapes)[0]

    def takes(self, given: int) -> str | None:
        """Return None if the layer takes this number of inputs, else the message that says what it takes."""
        if given >= self.min_inputs and (self.max_inputs is None or given <= self.max_inputs):
            return None
        more = "" if self.max_inputs == self.min_inputs else " or more"
        noun = "input" if self.min_inputs == 1 and not more else "inputs"
        return f"takes {self.min_inputs}{more} {noun}, got {given}"

    def counted(self, given: Sequence[T]) -> Sequence[T]:
        """Return the inputs, or their shapes, as they are; raise ShapeError unless the layer takes so many."""
        if problem := self.takes(len(given)):
            raise ShapeError(f"{type(self).__name__} {problem}")
        return given

    def floating(self, inputs: Sequence[Any]) -> tuple[Array, ...]:
        """Return the inputs as arrays of floating-point or exact numbers; raise ShapeError for too many or too few."""
        return tuple(as_floating(a, "the input") for a in self.counted(inputs))

    def forward(self, *inputs: Array) -> Array:
        """Return the layer's output; raise ShapeError if the inputs do not fit."""
        raise NotImplementedError

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Return the relevance of each input, and the losses that the ledger records."""
        raise NotImplementedError

    def relevance(self, inputs: Array | tuple[Array, ...], R: Array, rule: SupportsFlow) -> Array | tuple[Array, ...]:
        """Return the relevance of `inputs`, given the relevance `R` of the layer's output.

        Parameters
        ----------
        inputs : array or tuple of array
            The layer's input, or a tuple of inputs (Add, Concat, MatMul, Multiply, Subtract).
        R : array
            The relevance of the output, shaped like the output.
        rule : Rule
            One of `lrpref.rules`, or your own; only linear layers use it.

        Returns
        -------
        array or tuple of array
            One array for one input, a tuple for a tuple; each shaped like its input.

        Raises
        ------
        ShapeError
            If `R` is not shaped like the layer's output, or the layer takes more or fewer inputs.
        DTypeError
            If exact and floating-point numbers are mixed, or a dtype is not supported.
        InputError
            If the layer, its input and `R` are not on one backend and GPU.
        """
        arrays, R = self.floating(as_tuple(inputs)), as_floating(R, "the relevance")
        self.check_arithmetic(*arrays, R)
        expected = self.output_shape(*(tuple(a.shape) for a in arrays))
        if tuple(R.shape) != expected:
            raise ShapeError(f"relevance has shape {tuple(R.shape)}, the layer's output has {expected}")
        R_in = self.flow(arrays, R, rule).inputs
        return R_in if isinstance(inputs, tuple | list) else R_in[0]

    def check_arithmetic(self, *arrays: Array) -> None:
        """Raise DTypeError if some of the layer's own arrays and `arrays` are exact and others are not.

        Raises InputError if they are on several backends or GPUs.
        """
        held = [v for v in vars(self).values() if is_array(v)]
        check_together([*arrays, *held], f"the arrays of {type(self).__name__}")
        check_alike([*arrays, *(v for v in held if is_real_floating(v))])

    def map_arrays(self, convert: Callable[[Array], Array]) -> Layer:
        """Return the same layer with `convert` applied to each of its arrays, for instance to move them.

        If `convert` returns every array as it is, the layer itself is returned.
        """
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if is_array(getattr(self, f.name))}
        converted = {name: convert(array) for name, array in arrays.items()}
        if all(converted[name] is array for name, array in arrays.items()):
            return self
        return replace(self, **converted)


@dataclass(frozen=True, eq=False)
class LinearLayer(Layer):
    """z_j = sum_i a_i w_ij + b_j. A rule uses nothing but the four methods below, and `forward`.

    The weights w are arguments, not taken from `self`: a rule replaces them by w+, w squared, or 1.
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """Return (w, b) for these inputs; b is None or broadcasts to the output.

        Only the shapes of the inputs matter, except in `SampleNorm` and `MatMul`, where w depends on their values.
        """
        raise NotImplementedError

    def linear(self, w: Array, *inputs: Array) -> Array:
        """Return W a, without the bias."""
        raise NotImplementedError

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array | tuple[Array, ...]:
        """Return W^T s, that is c_i = sum_j w_ij s_j, shaped like the input; a tuple for several inputs."""
        raise NotImplementedError

    def fan_in(self, *shapes: Shape) -> int:
        """Return how many inputs one output has: padding counts, channels of one group only."""
        raise NotImplementedError

    def forward(self, *inputs: Array) -> Array:
        """Return W a + b."""
        inputs = self.floating(inputs)
        self.check_arithmetic(*inputs)
        self.output_shape(*(tuple(a.shape) for a in inputs))
        w, b = self.parameters(*inputs)
        z = self.linear(w, *inputs)
        return z if b is None else z + b

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Delegate to the rule."""
        if rule is None or not hasattr(rule, "flow"):
            raise RuleError(
                f"{type(self).__name__} needs a rule of lrpref.rules to redistribute relevance, got {shown(rule)}"
            )
        return rule.flow(self, inputs, R)


@dataclass(frozen=True, eq=False)
class WeightedLayer(LinearLayer):
    """A linear layer with learned weights that mix their inputs: Dense, and every `Convolution`.

    Composites assign rules to these layers by type or by position among them.
    """


@dataclass(frozen=True, eq=False)
class Convolution(WeightedLayer):
    """A weighted layer that shares its weights over positions.

    The presets of `lrpref.composites` give their rule for convolutions to every layer of this class: `Conv2D`, and
    convolutions of your own.
    """


@dataclass(frozen=True, eq=False)
class Elementwise(Layer):
    """An activation. All activations pass relevance unchanged: each output has a single input to attribute it to."""

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """R_i = R_j."""
        return Flow((R,))


@dataclass(frozen=True, eq=False)
class Routing(Layer):
    """A layer that moves values without changing them; relevance returns to where each value came from."""

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """Return the relevance of each input."""
        raise NotImplementedError

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Route R the same way under every rule."""
        return Flow(self.route(inputs, R))
