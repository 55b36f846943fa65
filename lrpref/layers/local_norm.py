"""Local response normalization: each channel is divided by the activity of the channels around it."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import check_integer, check_number, constant, irrational, zeros_like
from ..backend import Array
from ..errors import ParameterError, ShapeError, shown
from .base import Shape
from .smooth import Smooth


@dataclass(frozen=True, eq=False)
class LocalResponseNorm(Smooth):
    """x_c / (k + alpha / size * sum_d x_d^2) ^ beta, where d are the `size` channels around c, and c itself.

    Channels outside the image count as zero (Krizhevsky et al. 2012, NIPS 25, sec. 3.3; alpha is divided by the size as
    in Caffe, PyTorch and ONNX). The output's relevance goes to the same cell of the input, unchanged: the LRP toolbox
    does so by default (`lrn_layer.cpp`, lrn_backward_type 0), and it is what every rule without stabilizer gives if the
    denominator is held constant. Binder et al. 2016 (arXiv 1604.00825) compare it with a Taylor expansion, which also
    gives relevance to the channels around c; that is not implemented.

    Parameters
    ----------
    size : int
        How many channels a sum has; odd.
    alpha : float, default 1e-4
        The factor of the sum, at least 0.
    beta : float, default 0.75
        The exponent.
    k : float, default 1.0
        Added to the sum; positive.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> LocalResponseNorm(3, alpha=3.0, beta=1.0).forward(np.array([[1.0, 1.0, 2.0]]))
    array([[0.33333333, 0.14285714, 0.33333333]])
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        check_integer(self.size, "LocalResponseNorm: size", least=1)
        if self.size % 2 == 0:
            raise ParameterError(f"LocalResponseNorm: size must be odd, got {shown(self.size)}")
        check_number(self.alpha, "LocalResponseNorm: alpha", least=0)
        check_number(self.beta, "LocalResponseNorm: beta")
        check_number(self.k, "LocalResponseNorm: k", least=0)
        if self.k == 0:
            raise ParameterError("LocalResponseNorm: k must be positive, got 0")

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which needs an axis 1."""
        (shape,) = self.counted(shapes)
        if len(shape) < 2:
            raise ShapeError(f"expected (N, channels, ...), got {shape}")
        return shape

    def forward(self, *inputs: Array) -> Array:
        """x_c exp(-beta log(k + alpha / size * sum_d x_d^2))."""
        (x,) = self.floating(inputs)
        self.output_shape(tuple(x.shape))
        alpha, beta, k = (constant(value, like=x) for value in (self.alpha, self.beta, self.k))
        z = k + alpha / self.size * self._sums(x * x)
        return x * irrational("exp", -beta * irrational("log", z, "LocalResponseNorm"), "LocalResponseNorm")

    def _sums(self, squares: Array) -> Array:
        """sum_d x_d^2 for every channel c: the squares shifted by -size // 2 ... size // 2 channels, and added."""
        total = zeros_like(squares)
        C = squares.shape[1]
        reach = min(self.size // 2, C - 1)
        for shift in range(-reach, reach + 1):
            to = slice(max(-shift, 0), C - max(shift, 0))
            of = slice(max(shift, 0), C - max(-shift, 0))
            total[:, to, ...] += squares[:, of, ...]
        return total
