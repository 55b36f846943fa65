"""What a layer is: `forward`, and `relevance` under a rule.

There are three kinds, and no more:

    LinearLayer   z = W a + b. Its relevance is the rule's business; the layer offers W, its transpose, and b.
    Elementwise   an activation: relevance passes unchanged.
    Routing       moves values about: relevance goes back where each value came from.

Layers are frozen, cache nothing, change none of their arguments, and know no rule by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol

from ..arithmetic import as_floating, check_alike, is_real_floating
from ..backend import Array, as_tuple, is_array
from ..errors import RuleError, ShapeError
from ..ledger import Flow

Shape = tuple[int, ...]


class SupportsFlow(Protocol):
    """All that a layer knows of a rule: it shares out relevance over a linear layer's inputs."""

    def flow(self, layer: Any, inputs: tuple[Array, ...], R: Array) -> Flow:
        """Share `R` out over `inputs`."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One step of a network. Arrays are (N, features) or (N, C, H, W); N is the batch."""

    min_inputs: ClassVar[int] = 1
    max_inputs: ClassVar[int | None] = 1

    def output_shape(self, *shapes: Shape) -> Shape:
        """The output's shape for inputs of these shapes; raises ShapeError where they do not fit."""
        return shapes[0]

    def forward(self, *inputs: Array) -> Array:
        """The layer's output; raises ShapeError where the inputs do not fit."""
        raise NotImplementedError

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Relevance for each input, with the losses that the ledger books."""
        raise NotImplementedError

    def relevance(self, inputs: Array | tuple[Array, ...], R: Array, rule: SupportsFlow) -> Array | tuple[Array, ...]:
        """Relevance of `inputs`, given the relevance `R` of this layer's output on them.

        inputs  the layer's input, or a tuple of them (Add, Concat)
        R       shaped like the output
        rule    one of `lrpref.rules`; only linear layers ask it
        Returns one array for one input, a tuple for a tuple.

        Raises ShapeError, DTypeError.
        """
        arrays = tuple(as_floating(a, "the input") for a in as_tuple(inputs))
        R = as_floating(R, "the relevance")
        self.check_arithmetic(*arrays, R)
        expected = self.output_shape(*(tuple(a.shape) for a in arrays))
        if tuple(R.shape) != expected:
            raise ShapeError(f"relevance has shape {tuple(R.shape)}, the layer's output has {expected}")
        shared = self.flow(arrays, R, rule).inputs
        return shared if isinstance(inputs, tuple | list) else shared[0]

    def check_arithmetic(self, *arrays: Array) -> None:
        """Raise DTypeError where some of the layer's own arrays and `arrays` are exact, and others are not."""
        check_alike([*arrays, *(v for v in vars(self).values() if is_array(v) and is_real_floating(v))])

    def map_arrays(self, convert: Callable[[Array], Array]) -> Layer:
        """The same layer with `convert` applied to each of its arrays (to move it, or change its type)."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if is_array(getattr(self, f.name))}
        return replace(self, **{name: convert(array) for name, array in arrays.items()})


@dataclass(frozen=True, eq=False)
class LinearLayer(Layer):
    """z_j = sum_i a_i w_ij + b_j. The four methods below are all that a rule may ask of it.

    The weights w are handed in, not taken from `self`: a rule computes with w+, w squared, or 1 in their place.
    """

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """(w, b) for these inputs (only their shapes matter); b is None or broadcasts to the output."""
        raise NotImplementedError

    def linear(self, w: Array, *inputs: Array) -> Array:
        """W a, without the bias."""
        raise NotImplementedError

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array | tuple[Array, ...]:
        """W^T s: c_i = sum_j w_ij s_j, shaped like the input (one array per input)."""
        raise NotImplementedError

    def fan_in(self, *shapes: Shape) -> int:
        """How many inputs one output has: padding counted, channels of one group only."""
        raise NotImplementedError

    def forward(self, *inputs: Array) -> Array:
        """W a + b."""
        self.output_shape(*(tuple(a.shape) for a in inputs))
        w, b = self.parameters(*inputs)
        z = self.linear(w, *inputs)
        return z if b is None else z + b

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """A linear layer hands itself to the rule."""
        if rule is None or not hasattr(rule, "flow"):
            raise RuleError(f"a {type(self).__name__} shares relevance by a rule of lrpref.rules, got {rule!r}")
        return rule.flow(self, inputs, R)


@dataclass(frozen=True, eq=False)
class WeightedLayer(LinearLayer):
    """A linear layer with learned weights that mix their inputs: Dense and Conv2D.

    Rules are assigned to these; positions in a composite count them.
    """


@dataclass(frozen=True, eq=False)
class Elementwise(Layer):
    """An activation. All activations pass relevance unchanged: each output has one input to account to."""

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """R_i = R_j."""
        return Flow((R,))


@dataclass(frozen=True, eq=False)
class Routing(Layer):
    """A layer that moves values without changing them; relevance goes back where each came from."""

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """Relevance for each input."""
        raise NotImplementedError

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """The same route under every rule."""
        return Flow(self.route(inputs, R))
