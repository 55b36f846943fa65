"""Dense and Conv2D under the flat rule, whose weights are all 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ...engine import Rule
from ...layers import LinearLayer
from ..algebra import plain_quotient
from ..kernels import ForwardKernel, Source, keep
from ..workers import Scratch, Workers
from .step import output_shape, write_output
from .weighted import Products


@dataclass(frozen=True, eq=False)
class FlatRuleStep:
    """Dense or Conv2D under the flat rule, whose weights are all 1.

        s_j = c_j q_j,  R_i = sum of s over all units j that read cell i

    All output channels read the same inputs, so their s are added before they are sent back, through a kernel of ones
    with one channel.

    Parameters
    ----------
    layer : LinearLayer
        The layer, for its shapes.
    rule : Rule
        Its rule.
    own : ForwardKernel
        The layer's own product.
    count : Products or None
        The products of a kernel of ones with one channel; None for a Dense layer, where every unit reads every input.
    bias : array, shape (O,), or None
        The layer's bias.
    rectified : bool
        Whether the ReLU that follows is computed here.
    carried : bool
        Whether relevance arrives as a factor of the output.
    gain : float
        The largest sum of magnitudes of one unit's weights.
    """

    layer: LinearLayer
    rule: Rule
    own: ForwardKernel
    count: Products | None
    bias: Array | None
    rectified: bool
    carried: bool
    gain: float

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.own.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (y or None, one over the stabilized number of inputs, the input's shape)."""
        (a,) = inputs
        xp = array_namespace(a)
        y = workers.empty(output_shape(self.layer, a), a.dtype)
        workers.watch(a, self.gain)
        if self.bias is not None:
            workers.watch(self.bias)
        self.own.apply(Source(a), self._finish, (y,), workers)
        if not remember:
            return y, None
        if self.count is None:
            n = xp.full((1, 1), a.shape[-1], dtype=a.dtype)
        else:
            n = xp.empty((1, *y.shape[1:3], 1), dtype=a.dtype)
            cells = xp.ones((1, *a.shape[1:3], 1), dtype=a.dtype)
            self.count.forward.apply(Source(cells), keep, (n,), workers)
            n *= a.shape[-1]
        q = plain_quotient(self.rule, 0, [n], n, xp.ones_like(n))
        return y, (y if self.carried else None, q, a.shape)

    def _finish(self, parts: Sequence[Array], outs: tuple[Array, ...], channels: slice) -> None:
        """Bias and ReLU."""
        (z,), (y,) = parts, outs
        if self.bias is not None:
            z += self.bias[channels]
        write_output(z, self.rectified, y)

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """The sum of s over channels, through the kernel of ones; the same for every channel of the input."""
        y, q, shape = kept
        xp = array_namespace(message)
        s = xp.empty((*message.shape[:-1], 1), dtype=message.dtype)

        def add(n: int, scratch: Scratch) -> None:
            if y is None:
                xp.sum(message[n], axis=-1, keepdims=True, out=s[n])
            else:
                s[n] = xp.einsum("...o,...o->...", message[n], y[n if y.shape[0] > 1 else 0])[..., None]

        workers.run(range(message.shape[0]), add)
        s *= q
        R = s
        if self.count is not None:
            R = xp.empty((message.shape[0], *shape[1:3], 1), dtype=message.dtype)
            self.count.back.apply(Source(s), keep, (R,), workers)
        return (xp.broadcast_to(R, (message.shape[0], *shape[1:])),)
