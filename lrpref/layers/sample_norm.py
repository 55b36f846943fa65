"""Normalisation by the sample's own statistics: what all such layers share, and GroupNorm and InstanceNorm.

The cells of a sample form groups of n, and each group is normalised by its own mean and variance:

    z_j = g_j (a_j - mu) / s + beta_j
    mu = (1 / n) sum_i a_i        s = sqrt((1 / n) sum_i (a_i - mu)^2 + epsilon)

For relevance, the deviation s is held constant (Ali et al. 2022, arXiv 2202.07304). The mean is treated in one of three
ways. With mean="linear", it is a linear map of the inputs:

    w_ij = (g_j / s) (delta_ij - 1 / n)        b_j = beta_j

With mean="constant", it is a constant, like s:

    w_ij = (g_j / s) delta_ij        b_j = beta_j - g_j mu / s

With mean="centred", it is linear, and g and beta pass relevance unchanged, so that the rule sees only (a_j - mu) / s:

    w_ij = (1 / s) (delta_ij - 1 / n)        b_j = 0

`BatchNorm` treats its learned statistics in the second way. The third way, under `Zero`, is the rule for LayerNorm in
Ali et al.:

    R_i = sum_j (a_i (delta_ij - 1 / n) / sum_k a_k (delta_kj - 1 / n)) R_j

To pass relevance unchanged, as Achtibat et al. 2024 (arXiv 2402.05602) do, use the rule `Pass` on a layer with
mean="constant".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import nan, prod
from typing import Any

from ..arithmetic import (
    as_parameter,
    check_choice,
    check_integer,
    check_number,
    constant,
    full,
    is_exact,
    square_root,
    zeros_like,
)
from ..backend import Array, array_namespace
from ..errors import InputError, ShapeError
from ..ledger import Flow
from .base import LinearLayer, Shape, SupportsFlow


class SampleNorm(LinearLayer):
    """z_j = g_j (a_j - mu) / s + beta_j with the statistics of the sample: what the layers of this file share.

    A weight w is stored as its two different entries, that of the unit's own input, w_jj, and that of each other input
    of the group, w_ij, along a leading axis. Where each unit has only its own input, that axis is missing.
    """

    weight: Array | None
    eps: float

    @property
    def bias(self) -> Array | None:
        """beta; None for a norm that has none."""
        return None

    @property
    def mean(self) -> str:
        """What the mean is for relevance; a norm that subtracts none has the constant 0."""
        return "constant"

    def groups(self, shape: Shape) -> tuple[int, int]:
        """Return how many groups a sample has, and how many cells each of them, n; a group's cells are contiguous."""
        raise NotImplementedError

    def aligned(self, v: Array, shape: Shape) -> Array:
        """Return g or beta in a shape that broadcasts over inputs of `shape`."""
        return v

    @property
    def diagonal(self) -> bool:
        """Whether each unit has one input: its own."""
        return self.mean == "constant"

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """w and b, which depend on the values of the input: s is the deviation of each of its groups."""
        (a,) = inputs
        xp, x = array_namespace(a), self._cells(a)
        n, mu = x.shape[2], self._mean(x)
        w = self._gain(a, self._mean((x - mu) * (x - mu)))
        b = None if self.bias is None else self.aligned(self.bias, a.shape)
        if self.diagonal:
            shift = xp.reshape(zeros_like(x) - w * mu, a.shape)
            return w, shift if b is None else b + shift
        return xp.stack([w * constant(Fraction(n - 1, n), like=a), -w / n]), b

    def linear(self, w: Array, *inputs: Array) -> Array:
        """w_jj a_j + w_ij (sum_i a_i - a_j), the sum being over the group."""
        (a,) = inputs
        xp, x = array_namespace(a), self._cells(a)
        z = w * x if w.ndim == 3 else w[0, ...] * x + w[1, ...] * (xp.sum(x, axis=2, keepdims=True) - x)
        return xp.reshape(z, a.shape)

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """w_ii s_i + (sum_j w_ij s_j - w_ii' s_i), where w_ii' is the weight of the other inputs of unit i."""
        xp, x = array_namespace(s), self._cells(s)
        if w.ndim == 3:
            return xp.reshape(w * x, s.shape)
        others = w[1, ...] * x
        return xp.reshape(w[0, ...] * x + (xp.sum(others, axis=2, keepdims=True) - others), s.shape)

    def fan_in(self, *shapes: Shape) -> int:
        """n, or 1 where each unit has only its own input."""
        return 1 if self.diagonal else self.groups(shapes[0])[1]

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Delegate to the rule; with mean="centred", g and beta pass R unchanged, so the rule sees 1 and 0 instead."""
        if self.mean == "centred":
            plain: Any = {"weight": None, "bias": None, "mean": "linear"}
            return replace(self, **plain).flow(inputs, R, rule)
        return super().flow(inputs, R, rule)

    def _check(self, ndim: int = 1) -> None:
        """Check g and beta, which have that many axes, eps, and the choice of the mean."""
        kind = type(self).__name__
        for name in ("weight", "bias"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_parameter(given, f"{kind} {name}", ndim=ndim))
        check_number(self.eps, f"{kind} eps", least=0)
        check_choice(self.mean, f"{kind} mean", ("linear", "constant", "centred"))

    def _check_affine(self, shape: Shape) -> None:
        """Raise ShapeError unless g and beta have that shape."""
        for name, v in (("weight", self.weight), ("bias", self.bias)):
            if v is not None and tuple(v.shape) != shape:
                kind = type(self).__name__
                raise ShapeError(f"{kind} has a {name} of shape {tuple(v.shape)}, its input needs one of shape {shape}")

    def _cells(self, a: Array) -> Array:
        """The cells by group: (N, groups, n)."""
        return array_namespace(a).reshape(a, (a.shape[0], *self.groups(a.shape)))

    def _mean(self, x: Array) -> Array:
        """The mean of each group: (N, groups, 1)."""
        return array_namespace(x).sum(x, axis=2, keepdims=True) / x.shape[2]

    def _gain(self, a: Array, variance: Array) -> Array:
        """g / s for the cells by group; NaN where s is zero."""
        xp, s = array_namespace(a), square_root(variance + constant(self.eps, like=a), type(self).__name__)
        if is_exact(s) and bool((s == 0).any()):
            raise InputError(
                f"{type(self).__name__}: the deviation of a group is zero, and exact arithmetic has no NaN; use eps > 0"
            )
        s = s if is_exact(s) else xp.where(s == 0, full(s.shape, nan, like=s), s)
        if self.weight is None:
            return 1 / s
        return self._cells(xp.broadcast_to(self.aligned(self.weight, a.shape), (1, *a.shape[1:]))) / s


class ChannelNorm(SampleNorm):
    """A norm whose groups consist of whole channels, on (N, C, ...), with one g and one beta per channel."""

    def aligned(self, v: Array, shape: Shape) -> Array:
        """g or beta along axis 1."""
        return array_namespace(v).reshape(v, (-1, *(1,) * (len(shape) - 2)))


@dataclass(frozen=True, eq=False)
class GroupNorm(ChannelNorm):
    """Normalise each group of C / num_groups channels, with their rows and columns (Wu and He 2018, arXiv 1803.08494).

        z = g (a - mu) / s + beta        mu and s^2 - eps: mean and variance of the group in this sample

    Parameters
    ----------
    num_groups : int
        The number of groups, which divides the number of channels.
    weight, bias : array, shape (C,), optional
        g and beta; without them, 1 and 0.
    eps : float, default 1e-05
        Added to the variance under the root.
    mean : {"linear", "constant", "centred"}, default "linear"
        How relevance treats the mean; s is always a constant. See docs/normalisation.md.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> GroupNorm(1, eps=0.0).forward(np.array([[1.0, 3.0]]))
    array([[-1.,  1.]])
    """

    num_groups: int
    weight: Array | None = None
    bias: Array | None = None
    eps: float = 1e-5
    mean: str = "linear"

    def __post_init__(self) -> None:
        check_integer(self.num_groups, "GroupNorm num_groups", least=1)
        self._check()

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, whose channels must be a multiple of the groups."""
        (shape,) = self.counted(shapes)
        if len(shape) < 2 or 0 in shape[1:] or shape[1] % self.num_groups:
            raise ShapeError(f"expected (N, C, ...) with a multiple of {self.num_groups} channels, got {shape}")
        self._check_affine(shape[1:2])
        return shape

    def groups(self, shape: Shape) -> tuple[int, int]:
        """The groups, and the cells of all channels of one."""
        return self.num_groups, prod(shape[1:]) // self.num_groups


@dataclass(frozen=True, eq=False)
class InstanceNorm(ChannelNorm):
    """Normalise each channel, with its rows and columns (Ulyanov et al. 2016, arXiv 1607.08022).

        z = g (a - mu) / s + beta        mu and s^2 - eps: mean and variance of the channel in this sample

    With running statistics, torch's layer of that name is a `BatchNorm` at inference.

    Parameters
    ----------
    weight, bias : array, shape (C,), optional
        g and beta; without them, 1 and 0.
    eps : float, default 1e-05
        Added to the variance under the root.
    mean : {"linear", "constant", "centred"}, default "linear"
        How relevance treats the mean; s is always a constant. See docs/normalisation.md.

    Raises
    ------
    ParameterError, DTypeError
        If a parameter has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> InstanceNorm([2.0], [1.0], eps=0.0).forward(np.array([[[1.0, 3.0]]]))
    array([[[-1.,  3.]]])
    """

    weight: Array | None = None
    bias: Array | None = None
    eps: float = 1e-5
    mean: str = "linear"

    def __post_init__(self) -> None:
        self._check()

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input, which must have an axis after the channels."""
        (shape,) = self.counted(shapes)
        if len(shape) < 3 or 0 in shape[1:]:
            raise ShapeError(f"expected (N, C, L), (N, C, H, W) or more axes, got {shape}")
        self._check_affine(shape[1:2])
        return shape

    def groups(self, shape: Shape) -> tuple[int, int]:
        """The channels, and the cells of one."""
        return shape[1], prod(shape[2:])
