"""Diagonal layers: one weight and one bias per channel. At inference, BatchNorm is one of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import as_parameter, check_number, constant, irrational
from ..backend import Array, array_namespace
from ..errors import ParameterError, ShapeError
from .base import LinearLayer, Shape


@dataclass(frozen=True, eq=False)
class DiagonalLayer(LinearLayer):
    """z = w a + b with one w and b per channel (axis 1), on (N, C, ...)."""

    def scale_and_shift(self) -> tuple[Array, Array | None]:
        """Return w and b, each of shape (C,); b may be None."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        """The number of channels, C."""
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which must have C channels."""
        (shape,) = self.counted(shapes)
        if len(shape) < 2 or shape[1] != self.channels:
            raise ShapeError(f"expected {self.channels} channels on axis 1 of (N, C, ...), got {shape}")
        return shape

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """w and b, shaped to broadcast over the input."""
        (a,) = inputs
        w, b = self.scale_and_shift()
        shape = (1, -1, *(1,) * (a.ndim - 2))
        xp = array_namespace(w)
        return xp.reshape(w, shape), None if b is None else xp.reshape(b, shape)

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w a."""
        return w * inputs[0]

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w s: a diagonal matrix is its own transpose."""
        return w * s

    def fan_in(self, *shapes: Shape) -> int:
        """1."""
        return 1


@dataclass(frozen=True, eq=False)
class Scale(DiagonalLayer):
    """z = weight * a + bias per channel: what remains of a BatchNorm that cannot be folded away.

    Parameters
    ----------
    weight : array, shape (C,)
        One factor per channel.
    bias : array, shape (C,), optional
        One shift per channel.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.
    """

    weight: Array
    bias: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", as_parameter(self.weight, "Scale weight", ndim=1))
        if self.bias is not None:
            object.__setattr__(self, "bias", as_parameter(self.bias, "Scale bias", ndim=1))
            if self.bias.shape != self.weight.shape:
                raise ParameterError(f"Scale has {self.channels} weights, but {self.bias.shape[0]} biases")

    @property
    def channels(self) -> int:
        """The number of channels, C."""
        return int(self.weight.shape[0])

    def scale_and_shift(self) -> tuple[Array, Array | None]:
        """The weight and the bias."""
        return self.weight, self.bias


@dataclass(frozen=True, eq=False)
class BatchNorm(DiagonalLayer):
    """Batch normalization at inference, with the statistics that it learned.

        z = g (a - mu) / s + beta          s = sqrt(var + eps)

    which is the diagonal layer w = g / s, b = beta - g mu / s (Ioffe and Szegedy 2015, arXiv 1502.03167, alg. 2).

    Parameters
    ----------
    weight, bias : array, shape (C,), or None
        g and beta; without them, 1 and 0.
    mean, var : array, shape (C,)
        mu and var; var + eps must be positive.
    eps : float, default 1e-05
        Added to the variance under the root.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.
    """

    weight: Array | None
    bias: Array | None
    mean: Array
    var: Array
    eps: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("weight", "bias", "mean", "var"):
            if getattr(self, name) is not None or name in ("mean", "var"):
                value = as_parameter(getattr(self, name), f"BatchNorm {name}", ndim=1)
                object.__setattr__(self, name, value)
        lengths = {name: v.shape[0] for name, v in vars(self).items() if name != "eps" and v is not None}
        if len(set(lengths.values())) != 1:
            raise ParameterError(f"BatchNorm parameters differ in length: {lengths}")
        check_number(self.eps, "BatchNorm eps", least=0)
        under_root = self.var + constant(self.eps, like=self.var)
        if not bool(array_namespace(self.var).all(under_root > 0)):
            k = next(k for k in range(self.channels) if not under_root[k] > 0)
            raise ParameterError(
                f"BatchNorm var + eps must be positive in every channel; in channel {k} var is {self.var[k]}, and eps "
                f"is {self.eps}"
            )

    @property
    def channels(self) -> int:
        """The number of channels, C."""
        return int(self.mean.shape[0])

    def scale_and_shift(self) -> tuple[Array, Array | None]:
        """g / s and beta - g mu / s."""
        w = 1 / irrational("sqrt", self.var + constant(self.eps, like=self.var), "BatchNorm")
        w = w if self.weight is None else self.weight * w
        b = -w * self.mean
        return w, b if self.bias is None else self.bias + b
