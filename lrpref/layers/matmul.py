"""The product of two matrices of activations: linear in each factor while the other one is held constant."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..arithmetic import check_choice, check_flag, check_integer, check_number, constant, full
from ..backend import Array, array_namespace
from ..errors import ShapeError
from .base import LinearLayer, Shape


@dataclass(frozen=True, eq=False)
class MatMul(LinearLayer):
    """O = c A B, for matrices along the last two axes: the scores of attention, and its weighted sum of values.

        O_jp = c sum_i A_ji B_ip          c = scale

    A product is not linear, but it is linear in each factor. With split="half", it is treated as a linear layer of both
    factors, O = (A B' + A' B) c / 2, whose weights B' and A' are the factors, held constant. Under `Epsilon`,

        R_ji = sum_p  (c A_ji B_ip / (2 O_jp + 2 epsilon sign(O_jp)))  R_jp

        R_ip = sum_j  (c A_ji B_ip / (2 O_jp + 2 epsilon sign(O_jp)))  R_jp

    for the cells A_ji and B_ip. This is the rule for matrix products of AttnLRP (Achtibat et al. 2024, arXiv
    2402.05602, prop. 3.3), whose epsilon corresponds to 2 epsilon here. With split="signal", one factor, the signal,
    receives all relevance, and the other is its weight. In Ali et al. 2022 (arXiv 2202.07304), the values of attention
    are the signal; AttnLRP calls that rule CP-LRP.

    Parameters
    ----------
    transpose : bool, default False
        Whether the last two axes of the second factor are swapped first, as those of the keys are.
    scale : float, default 1.0
        A constant factor, 1 / sqrt(D) in attention.
    split : {"half", "signal"}, default "half"
        How the factors share relevance.
    signal : int, default 1
        The index of the factor that takes all if `split` is "signal": 0 or 1.

    Raises
    ------
    ParameterError
        If a parameter has another value.

    Examples
    --------
    >>> import numpy as np
    >>> from lrpref import rules
    >>> A, B = np.array([[[1.0, 2.0]]]), np.array([[[3.0], [4.0]]])
    >>> MatMul().forward(A, B)
    array([[[11.]]])
    >>> MatMul().relevance((A, B), np.array([[[22.0]]]), rules.Zero())
    (array([[[3., 8.]]]), array([[[3.],
            [8.]]]))
    """

    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = 2

    transpose: bool = False
    scale: float = 1.0
    split: str = "half"
    signal: int = 1

    def __post_init__(self) -> None:
        check_flag(self.transpose, "MatMul: transpose")
        check_number(self.scale, "MatMul: scale")
        check_choice(self.split, "MatMul: split", ("half", "signal"))
        check_integer(self.signal, "MatMul: signal", least=0, most=1)

    @property
    def explained(self) -> tuple[int, ...]:
        """The indices of the factors that share relevance."""
        return (0, 1) if self.split == "half" else (self.signal,)

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, ..., P, K) and (N, ..., K, Q) -> (N, ..., P, Q); transposed, the second factor is (N, ..., Q, K)."""
        first, second = self.counted(shapes)
        inner, outer = (-1, -2) if self.transpose else (-2, -1)
        fits = len(first) == len(second) > 2 and first[:-2] == second[:-2] and first[-1] == second[inner]
        if not fits or first[-1] == 0:
            wanted = "(N, ..., Q, K)" if self.transpose else "(N, ..., K, Q)"
            raise ShapeError(f"MatMul needs inputs of shapes (N, ..., P, K) and {wanted}, got {first} and {second}")
        return (*first[:-1], second[outer])

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """For each explained factor, its share of `scale` times the other one, flattened to (N, ...); no bias."""
        xp, a = array_namespace(inputs[0]), inputs[0]
        share = constant(self.scale, like=a) / len(self.explained)
        others = [inputs[1 - k] for k in self.explained]
        return xp.concat([share * xp.reshape(x, (x.shape[0], prod(x.shape[1:]))) for x in others], axis=1), None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """A w_A + w_B B, where w_A is the weight of A and w_B that of B."""
        weights = self._weights(w, *(tuple(a.shape) for a in inputs))
        parts = [self._product(inputs[0], v) if k == 0 else self._product(v, inputs[1]) for k, v in weights.items()]
        return sum(parts[1:], start=parts[0])

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> tuple[Array, ...]:
        """s w_A^T and w_B^T s; nothing for a factor that is not explained."""
        c = [full(shape, 0, like=s) for shape in shapes]
        for k, v in self._weights(w, *shapes).items():
            if k == 0:
                c[0] = s @ (v if self.transpose else transposed(v))
            else:
                c[1] = transposed(s) @ v if self.transpose else transposed(v) @ s
        return tuple(c)

    def fan_in(self, *shapes: Shape) -> int:
        """K, the length of the sums, for each explained factor."""
        return shapes[0][-1] * len(self.explained)

    def _product(self, a: Array, b: Array) -> Array:
        """A B, where B is transposed if the layer says so."""
        return a @ (transposed(b) if self.transpose else b)

    def _weights(self, w: Array, *shapes: Shape) -> dict[int, Array]:
        """The index of each explained factor -> its weight, in the shape of the other factor."""
        xp, start, found = array_namespace(w), 0, {}
        for k in self.explained:
            shape = shapes[1 - k]
            end = start + prod(shape[1:])
            found[k] = xp.reshape(w[:, start:end], (w.shape[0], *shape[1:]))
            start = end
        return found


def transposed(x: Array) -> Array:
    """Return x with its last two axes swapped."""
    return array_namespace(x).permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
