"""The fully connected layer, for vectors and for sequences of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import as_parameter
from ..backend import Array
from ..errors import ParameterError, ShapeError
from .base import Shape, WeightedLayer


@dataclass(frozen=True, eq=False)
class Dense(WeightedLayer):
    """z_j = sum_i a_i w_ij + b_j, with w_ij stored as weight[j, i], as PyTorch exports it.

    Parameters
    ----------
    weight : array, shape (out, in)
        The weights.
    bias : array, shape (out,), optional
        One bias per output.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> Dense([[2.0, -1.0]], [0.5]).forward(np.array([[1.0, 3.0]]))
    array([[-0.5]])
    """

    weight: Array
    bias: Array | None = None

    def __post_init__(self) -> None:
        kind = type(self).__name__
        object.__setattr__(self, "weight", as_parameter(self.weight, f"{kind} weight", ndim=2))
        if self.bias is not None:
            object.__setattr__(self, "bias", as_parameter(self.bias, f"{kind} bias", ndim=1))
            if self.bias.shape[0] != self.weight.shape[0]:
                raise ParameterError(
                    f"{kind} weight of shape {tuple(self.weight.shape)} has {self.weight.shape[0]} outputs, "
                    f"but there are {self.bias.shape[0]} biases"
                )

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, in) -> (N, out)."""
        (shape,) = self.counted(shapes)
        out, features = self.weight.shape
        if len(shape) != 2 or shape[1] != features:
            hint = "; put a Flatten() before it" if len(shape) == 4 else ""
            raise ShapeError(f"expected (N, {features}), got {shape}{hint}")
        return (shape[0], out)

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """The weight and bias as they are."""
        return self.weight, self.bias

    def linear(self, w: Array, *inputs: Array) -> Array:
        """sum_i a_i w_ij."""
        (a,) = inputs
        return a @ w.T

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """sum_j w_ij s_j."""
        return s @ w

    def fan_in(self, *shapes: Shape) -> int:
        """The number of input features."""
        return int(self.weight.shape[1])


@dataclass(frozen=True, eq=False)
class TokenDense(Dense):
    """One `Dense` for every vector along the last axis: (N, ..., in) -> (N, ..., out), as for tokens (N, T, in).

        z_tj = sum_i a_ti w_ij + b_j

    Parameters
    ----------
    weight : array, shape (out, in)
        The weights.
    bias : array, shape (out,), optional
        One bias per output.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> TokenDense([[2.0, -1.0]], [0.5]).forward(np.array([[[1.0, 3.0], [1.0, 0.0]]]))
    array([[[-0.5],
            [ 2.5]]])
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, ..., in) -> (N, ..., out), with at least one axis between."""
        (shape,) = self.counted(shapes)
        out, features = self.weight.shape
        if len(shape) < 3 or shape[-1] != features:
            hint = "; use a Dense for (N, features)" if len(shape) == 2 else ""
            raise ShapeError(f"expected (N, ..., {features}), with at least three axes, got {shape}{hint}")
        return (*shape[:-1], out)
