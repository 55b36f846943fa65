"""Layers of sequences of tokens (N, T, E): vectors looked up by index, and learned tokens put before the others."""

from __future__ import annotations

from dataclasses import dataclass

from ..arithmetic import as_parameter, is_exact
from ..backend import Array, array_namespace, sum_per_sample
from ..errors import InputError, ShapeError
from ..ledger import Flow
from .base import Layer, Routing, Shape, SupportsFlow


@dataclass(frozen=True, eq=False)
class Embedding(Layer):
    """The vectors of a table at the indices that are the input: (N, T) -> (N, T, E).

    An index is a name and not a quantity, so relevance stops at the vectors, and an index receives the sum over its
    vector: what LRP-0 gives to the one-hot input of a `Dense`. `trace.at[...]` of this node has the relevance of each
    coordinate.

    Networks compute in one dtype, so indices are whole numbers of a floating-point type, which holds them exactly.

    Parameters
    ----------
    weight : array, shape (V, E)
        One vector for each of V indices.

    Raises
    ------
    ParameterError, DTypeError
        If `weight` has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Embedding([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> layer.forward(np.array([[2, 0]]))
    array([[[5., 6.],
            [1., 2.]]])
    >>> layer.relevance(np.array([[2, 0]]), np.array([[[1.0, 0.5], [0.0, -1.0]]]), None)
    array([[ 1.5, -1. ]])
    """

    weight: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", as_parameter(self.weight, "Embedding weight", ndim=2))

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, ...) -> (N, ..., E)."""
        return (*self.counted(shapes)[0], self.weight.shape[1])

    def forward(self, *inputs: Array) -> Array:
        """The vectors of the indices."""
        (given,) = self.floating(inputs)
        self.check_arithmetic(given)
        xp, known = array_namespace(given), self.weight.shape[0]
        if not is_exact(given) and known - 1 > 2 / float(xp.finfo(given.dtype).eps):
            raise InputError(f"{given.dtype} cannot tell {known} indices apart; use net.astype('float64')")
        inside = bool(xp.all((given >= 0) & (given < known)))
        index = whole_numbers(given) if inside else None
        if index is None or not bool(xp.all(xp.astype(index, given.dtype) == given)):
            raise InputError(f"Embedding takes whole numbers from 0 to {known - 1}, the indices of its vectors")
        rows = xp.take(self.weight, xp.reshape(index, (-1,)), axis=0)
        return xp.reshape(rows, self.output_shape(tuple(given.shape)))

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """The sum of R over each vector, under every rule."""
        return Flow((array_namespace(R).sum(R, axis=-1),))


def whole_numbers(x: Array) -> Array:
    """Return the numbers without their fractions, as integers."""
    xp = array_namespace(x)
    return x.astype(int) if is_exact(x) else xp.astype(x, xp.int64)


@dataclass(frozen=True, eq=False)
class PrependTokens(Routing):
    """Learned tokens before those of the input: (N, T, E) -> (N, M + T, E); a class token, or registers.

    They are constants of the network, so the ledger records their relevance as *bias*.

    Parameters
    ----------
    tokens : array, shape (M, E)
        The tokens.

    Raises
    ------
    ParameterError, DTypeError
        If `tokens` has the wrong shape, range or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> PrependTokens([[7.0, 8.0]]).forward(np.array([[[1.0, 2.0]]]))
    array([[[7., 8.],
            [1., 2.]]])
    """

    tokens: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", as_parameter(self.tokens, "PrependTokens tokens", ndim=2))

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, T, E) -> (N, M + T, E)."""
        (shape,) = self.counted(shapes)
        M, E = self.tokens.shape
        if len(shape) != 3 or shape[2] != E:
            raise ShapeError(f"expected (N, T, {E}), got {shape}")
        return (shape[0], M + shape[1], E)

    def forward(self, *inputs: Array) -> Array:
        """The learned tokens, then those of the input."""
        (a,) = self.floating(inputs)
        self.check_arithmetic(a)
        self.output_shape(tuple(a.shape))
        xp = array_namespace(a)
        return xp.concat((xp.broadcast_to(self.tokens, (a.shape[0], *self.tokens.shape)), a), axis=1)

    def route(self, inputs: tuple[Array, ...], R: Array) -> tuple[Array, ...]:
        """The relevance of the input's tokens."""
        return (R[:, self.tokens.shape[0] :, :],)

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Route R to the input; the ledger records that of the learned tokens as bias."""
        return Flow(self.route(inputs, R), {"bias": sum_per_sample(R[:, : self.tokens.shape[0], :])})
