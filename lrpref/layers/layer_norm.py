"""LayerNorm and RMSNorm: normalisation over the last axes, by the sample's own statistics (see `sample_norm.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from ..arithmetic import is_shape
from ..backend import Array
from ..errors import ParameterError, ShapeError, shown
from .base import Shape
from .sample_norm import SampleNorm


class LastAxesNorm(SampleNorm):
    """A norm whose groups consist of the last axes, with one g and one beta for each of their cells."""

    normalized_shape: tuple[int, ...]

    def _check_shape(self) -> None:
        """Check the shape of the last axes, given as a tuple or as one integer, and that of g and beta."""
        given: Any = self.normalized_shape
        given = given if isinstance(given, tuple | list) else (given,)
        if not given or not is_shape(given, least=1):
            kind = type(self).__name__
            raise ParameterError(f"{kind} normalized_shape must be sizes >= 1, got {shown(self.normalized_shape)}")
        object.__setattr__(self, "normalized_shape", tuple(int(n) for n in given))
        self._check(len(given))
        self._check_affine(self.normalized_shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which must end in `normalized_shape`."""
        (shape,) = self.counted(shapes)
        if shape[1:][-len(self.normalized_shape) :] != self.normalized_shape or 0 in shape[1:]:
            raise ShapeError(f"expected (N, ..., {', '.join(map(str, self.normalized_shape))}), got {shape}")
        return shape

    def groups(self, shape: Shape) -> tuple[int, int]:
        """The positions along the axes before them, and the cells of one."""
        n = prod(self.normalized_shape)
        return prod(shape[1:]) // n, n


@dataclass(frozen=True, eq=False)
class LayerNorm(LastAxesNorm):
    """Normalise the last axes, at each position of the others (Ba et al. 2016, arXiv 1607.06450).

        z = g (a - mu) / s + beta        mu and s^2 - eps: mean and variance over the last axes

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of the last axes.
    weight, bias : array, shape `normalized_shape`, optional
        g and beta; without them, 1 and 0.
    eps : float, default 1e-05
        Added to the variance under the root.
    mean : {"linear", "constant", "centred"}, default "linear"
        How relevance treats the mean; s is always a constant. See docs/normalisation.md.

    Raises
    ------
    ParameterError, DTypeError, ShapeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> LayerNorm(2, eps=0.0).forward(np.array([[[1.0, 3.0], [8.0, 4.0]]]))
    array([[[-1.,  1.],
            [ 1., -1.]]])
    """

    normalized_shape: tuple[int, ...]
    weight: Array | None = None
    bias: Array | None = None
    eps: float = 1e-5
    mean: str = "linear"

    def __post_init__(self) -> None:
        self._check_shape()


@dataclass(frozen=True, eq=False)
class RMSNorm(LastAxesNorm):
    """Divide the last axes by their root mean square (Zhang and Sennrich 2019, arXiv 1910.07467).

        z_j = g_j a_j / s        s = sqrt(sum_i a_i^2 / n + eps)

    Nothing is subtracted, so with s held constant each unit has one input: w_jj = g_j / s.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of the last axes.
    weight : array, shape `normalized_shape`, optional
        g; None for 1.
    eps : float, default 1e-05
        Added to the mean square under the root.

    Raises
    ------
    ParameterError, DTypeError, ShapeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> RMSNorm(2, eps=0.0).forward(np.array([[1.0, -7.0]]))
    array([[ 0.2, -1.4]])
    """

    normalized_shape: tuple[int, ...]
    weight: Array | None = None
    eps: float = 1e-5

    def __post_init__(self) -> None:
        self._check_shape()

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """w = g / s, which depends on the values of the input; there is no bias."""
        x = self._cells(inputs[0])
        return self._gain(inputs[0], self._mean(x * x)), None
