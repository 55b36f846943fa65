"""The product of two matrices of activations: linear in each factor while the other one is held constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..arithmetic import as_floating, check_choice, check_flag, check_integer, check_number, constant, zeros_like
from ..backend import Array, array_namespace
from ..errors import ShapeError
from ..ledger import LOSSES, Flow
from .base import Layer, LinearLayer, Shape, SupportsFlow


@dataclass(frozen=True, eq=False)
class MatMul(Layer):
    """O = scale A B, for matrices along the last two axes: the scores of attention, and its weighted sum of values.

        O_jp = scale sum_i A_ji B_ip

    A product is not linear, but it is linear in each factor. With split="half", each factor is explained with one half
    of the relevance, as the input of a linear layer whose weights are the other factor. Under `Epsilon` this is

        R(A_ji) = sum_p  (A_ji B_ip / (2 O_jp + 2 epsilon sign(O_jp)))  R_jp
        R(B_ip) = sum_j  (A_ji B_ip / (2 O_jp + 2 epsilon sign(O_jp)))  R_jp

    (with B times `scale`), the rule for matrix products of AttnLRP (Achtibat et al. 2024, arXiv 2402.05602, prop. 3.3),
    whose epsilon is two of ours. With split="signal", one factor is a constant and the other one, the signal, takes
    all, as the values of attention do in Ali et al. 2022 (arXiv 2202.07304), which AttnLRP calls CP-LRP.

    Any rule for linear layers may take the place of `Epsilon`.

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
        If a parameter is none of these.

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

    def output_shape(self, *shapes: Shape) -> Shape:
        """(N, ..., P, K) and (N, ..., K, Q) -> (N, ..., P, Q); transposed, the second factor is (N, ..., Q, K)."""
        first, second = shapes
        inner, outer = (-1, -2) if self.transpose else (-2, -1)
        fits = len(first) == len(second) > 2 and first[:-2] == second[:-2] and first[-1] == second[inner]
        if not fits or first[-1] == 0:
            wanted = "(N, ..., Q, K)" if self.transpose else "(N, ..., K, Q)"
            raise ShapeError(f"MatMul needs inputs of shapes (N, ..., P, K) and {wanted}, got {first} and {second}")
        return (*first[:-1], second[outer])

    def forward(self, *inputs: Array) -> Array:
        """scale A B."""
        a, b = (as_floating(x, "the input") for x in inputs)
        self.check_arithmetic(a, b)
        self.output_shape(tuple(a.shape), tuple(b.shape))
        return constant(self.scale, like=a) * (a @ (transposed(b) if self.transpose else b))

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Delegate each factor's share to the rule, on the linear layer that the other factor makes of the product."""
        shares = {0: R / 2, 1: R / 2} if self.split == "half" else {self.signal: R}
        flows = {k: OneFactor(self, k, inputs[1 - k]).flow((inputs[k],), share, rule) for k, share in shares.items()}
        received = tuple(flows[k].inputs[0] if k in flows else zeros_like(a) for k, a in enumerate(inputs))
        losses: dict[str, Any] = {name: sum(flow.losses.get(name, 0) for flow in flows.values()) for name in LOSSES}
        return Flow(received, losses, attributed=all(flow.attributed for flow in flows.values()))


@dataclass(frozen=True, eq=False)
class OneFactor(LinearLayer):
    """A `MatMul` as a linear layer of one of its factors, whose weights are `scale` times the other factor.

    Parameters
    ----------
    product : MatMul
        The product.
    factor : int
        The index of the factor that is the input.
    other : array, shape (N, ...)
        The other factor, which is held constant.
    """

    product: MatMul
    factor: int
    other: Array

    def output_shape(self, *shapes: Shape) -> Shape:
        """That of the product."""
        (shape,), other = shapes, tuple(self.other.shape)
        return self.product.output_shape(*((shape, other) if self.factor == 0 else (other, shape)))

    def parameters(self, *inputs: Array) -> tuple[Array, Array | None]:
        """`scale` times the other factor; there is no bias."""
        return constant(self.product.scale, like=self.other) * self.other, None

    def linear(self, w: Array, *inputs: Array) -> Array:
        """A w or w B."""
        (a,) = inputs
        left, right = (a, w) if self.factor == 0 else (w, a)
        return left @ (transposed(right) if self.product.transpose else right)

    def adjoint(self, w: Array, s: Array, *shapes: Shape) -> Array:
        """s w^T or w^T s; where the second factor is transposed in the product, s w or s^T w."""
        if self.factor == 0:
            return s @ (w if self.product.transpose else transposed(w))
        return transposed(s) @ w if self.product.transpose else transposed(w) @ s

    def fan_in(self, *shapes: Shape) -> int:
        """K, the length of the sums."""
        (shape,) = shapes
        return shape[-1 if self.factor == 0 or self.product.transpose else -2]


def transposed(x: Array) -> Array:
    """Return x with its last two axes swapped."""
    return array_namespace(x).permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
