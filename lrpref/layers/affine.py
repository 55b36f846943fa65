"""A factor and a summand for each cell: position embeddings, masks of attention, scales of features."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import as_parameter, full
from ..backend import Array
from ..errors import ParameterError, ShapeError
from .base import LinearLayer, Shape


@dataclass(frozen=True, eq=False)
class Affine(LinearLayer):
    """z = weight * a + bias, where both are constants that NumPy broadcasts to a sample.

    Position embeddings (T, E) are a bias on tokens (N, T, E), the scale of each feature (E,) is a weight on them, and a
    mask (T, T) is a bias on scores (N, H, T, T). For one weight and bias per channel, axis 1, there is `Scale`.

    Parameters
    ----------
    weight, bias : array, optional
        At least one of them; the other is then 1 or 0. Their axes are the last axes of a sample, with its sizes or 1.

    Raises
    ------
    ParameterError, DTypeError
        If both are None, or one has the wrong dtype or range.

    Examples
    --------
    >>> import numpy as np
    >>> Affine(bias=[[1.0, 0.0], [0.0, 2.0]]).forward(np.array([[[5.0, 6.0], [7.0, 8.0]]]))
    array([[[ 6.,  6.],
            [ 7., 10.]]])
    """

    weight: Array | None = None
    bias: Array | None = None

    def __post_init__(self) -> None:
        if self.weight is None and self.bias is None:
            raise ParameterError("Affine needs a weight, a bias, or both")
        for name in ("weight", "bias"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_parameter(given, f"Affine {name}"))
                if getattr(self, name).ndim == 0:
                    raise ParameterError(f"Affine {name} must have an axis; for one number, use an array of shape (1,)")

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, to which the weight and the bias must fit."""
        (shape,) = self.counted(shapes)
        for name, v in (("weight", self.weight), ("bias", self.bias)):
            if v is None:
                continue
            sizes = tuple(v.shape)
            last = shape[1:][len(shape) - 1 - len(sizes) :]
            if len(sizes) >= len(shape) or any(n not in (1, m) for n, m in zip(sizes, last, strict=True)):
                raise ShapeError(f"Affine has a {name} of shape {sizes}, which does not fit samples of {shape[1:]}")
        return shape

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """The weight, or 1, and the bias."""
        (a,) = inputs
        return full((1,) * a.ndim, 1, like=a) if self.weight is None else self.weight, self.bias

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w a."""
        return w * inputs[0]

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s: a diagonal matrix is its own transpose."""
        return w * s

    def fan_in(self, *shapes: Shape) -> int:
        """1."""
        return 1
