"""The product of two activations: neither linear nor a route, so a kind of layer of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arithmetic import check_choice, check_integer, zeros_like
from ..backend import Array, array_namespace
from ..errors import ShapeError
from ..ledger import Flow
from .base import Layer, Shape, SupportsFlow


@dataclass(frozen=True, eq=False)
class Multiply(Layer):
    """z = a_1 a_2, element by element: a gate and the signal that it lets through.

    Where one factor has size 1 along an axis, it is used for all cells there, as the gates (N, C, 1, 1) of
    squeeze-and-excitation are, and it receives the sum of the cells' shares.

    A product is not linear, so no rule determines how much each factor contributed. The relevance is shared in one of
    two ways, whatever the values are; all of it is passed on. With "half", each factor i of a product j receives

        R[i<-j] = R_j / 2

    which is the uniform rule of AttnLRP (Achtibat et al. 2024, arXiv 2402.05602, prop. 3.2) and the rule LRP-half of
    Arras et al. 2019 (LNCS 11700, ch. 11). With "signal", the signal receives all relevance and the gate none, as in
    Arras et al. 2017 (arXiv 1706.07206, "multiplicative interactions"), which Arras et al. 2019 call LRP-all.

    Parameters
    ----------
    split : {"half", "signal"}, default "half"
        How the factors share relevance.
    signal : int, default 0
        The index of the factor that receives all relevance if `split` is "signal": 0 or 1.

    Raises
    ------
    ParameterError
        If a parameter has another value.
    """

    min_inputs: ClassVar[int] = 2
    max_inputs: ClassVar[int | None] = 2

    split: str = "half"
    signal: int = 0

    def __post_init__(self) -> None:
        check_choice(self.split, "Multiply: split", ("half", "signal"))
        check_integer(self.signal, "Multiply: signal", least=0, most=1)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The larger size along each axis; sizes may differ where one of them is 1, but not along the batch."""
        first, second = self.counted(shapes)
        sizes = list(zip(first, second, strict=False))
        fits = all(n == m or 1 in (n, m) for n, m in sizes[1:]) and first[:1] == second[:1]
        if len(first) != len(second) or not fits:
            raise ShapeError(
                f"Multiply needs inputs of one shape, or with size 1 where they differ, got {first} and {second}"
            )
        return tuple(n if m == 1 else m for n, m in sizes)

    def forward(self, *inputs: Array) -> Array:
        """a_1 a_2."""
        a, b = self.floating(inputs)
        self.check_arithmetic(a, b)
        self.output_shape(tuple(a.shape), tuple(b.shape))
        return a * b

    def flow(self, inputs: tuple[Array, ...], R: Array, rule: SupportsFlow | None) -> Flow:
        """Share R in the same way under every rule."""
        if self.split == "half":
            return Flow(tuple(summed(R / 2, tuple(a.shape)) for a in inputs))
        shares = (summed(R, tuple(a.shape)) if k == self.signal else zeros_like(a) for k, a in enumerate(inputs))
        return Flow(tuple(shares))


def summed(R: Array, shape: Shape) -> Array:
    """Return R summed over the axes along which a factor of this shape was used for all cells."""
    over = tuple(axis for axis, n in enumerate(shape) if n == 1 and R.shape[axis] != 1)
    return array_namespace(R).sum(R, axis=over, keepdims=True) if over else R
