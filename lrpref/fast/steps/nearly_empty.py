"""Conv2D by Winograd's form under a rule with ratios whose denominators may be nearly empty, as in alpha-beta.

Winograd's rounding errors are relative to a tile, not to a unit. That is harmless where a unit sends at most |q| times
what arrived, with a q of about one (`lrpref.fast.algebra.Recipe`). It is not for a ratio whose z' is not the output
itself:

    q_j = -beta y_j / z_j-          |z_j-| may be much smaller than y_j

Here a unit with |q| / beta above `LIMIT` has a *nearly empty* denominator; in trained networks these are a few units
in ten thousand. They are taken out of the product and computed one by one, from their own inputs, as the direct form
would, so that the error of all others is bounded by `LIMIT` times that of the forward pass. If they are many, the
layer is computed by the direct form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ..algebra import Denominator, Quotient, weights_of
from ..kernels import Block
from ..workers import Scratch, Workers
from .step import pieces
from .weighted import WeightedStep

LIMIT = 8.0
"""The largest |q| / |coefficient| that is not nearly empty."""

FEW = 1 / 256
"""The fraction of units above which the direct form is faster than computing them one by one."""

AT_ONCE = 1 << 12
"""How many units are gathered at a time."""


@dataclass(frozen=True, eq=False)
class NearlyEmptyStep:
    """A convolution by Winograd's form, with the units of nearly empty denominators computed one by one.

    Parameters
    ----------
    base : WeightedStep
        The step for all other units.
    direct : callable
        Makes the same step by the direct form, which is seldom needed and would double the memory.
    """

    base: WeightedStep
    direct: Callable[[], WeightedStep]

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.base.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (the step to go back by, what it remembers, the nearly empty units of each ratio)."""
        y, kept = self.base.forward(inputs, workers, remember)
        if not remember:
            return y, None
        quotients = self.base.recipe.quotients
        found = [_nearly_empty(q, quotient, workers) for q, quotient in zip(kept[0], quotients, strict=True)]
        if sum(len(where[0]) for where in found) > FEW * y.size:
            direct = self.direct()
            y, kept = direct.forward(inputs, workers, remember)
            return y, (direct, kept, ())
        one_by_one = []
        for k, where in enumerate(found):
            if not len(where[0]):
                continue
            weights = self._weights(k, y)
            for first in range(0, len(where[0]), AT_ONCE):
                some = tuple(index[first : first + AT_ONCE] for index in where)
                one_by_one.append((k, some, self._quotients(k, some, weights, inputs[0], y)))
                kept[0][k][some] = 0
        return y, (self.base, kept, tuple(one_by_one))

    def _quotients(self, k: int, where: tuple[Array, ...], weights: Array, a: Array, y: Array) -> Array:
        """q of some units, each from its own inputs: (units,)."""
        recipe, xp = self.base.recipe, array_namespace(a)
        quotient = recipe.quotients[k]
        n, rows, columns, o = where
        down, right, inside = _cells(self.base, rows, columns, a.shape, xp)
        cells = a[n[:, None, None], down, right] * inside[..., None]
        z = xp.sum(cells * weights[o], axis=(1, 2, 3))
        b = None if self.base.biases is None else self.base.biases[quotient.part]
        z = z if b is None else z + b[o]
        below_zero = quotient.denominator is Denominator.NONPOSITIVE
        z = xp.minimum(z, 0) - recipe.epsilon if below_zero else xp.maximum(z, 0) + recipe.epsilon
        return quotient.coefficient * y[where] / z

    def _weights(self, k: int, like: Array) -> Array:
        """The weights of a ratio, (O, kernel rows, kernel columns, C)."""
        recipe, layer = self.base.recipe, self.base.layer
        w = weights_of(recipe.parts[recipe.quotients[k].part], recipe.maps, layer.weight)  # type: ignore[attr-defined]
        weights: Array = array_namespace(like).permute_dims(w, (0, 2, 3, 1))
        return weights

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """c_i = sum over ratios and j of w'_ij s_j, the units of nearly empty denominators added at the end."""
        step, remembered, one_by_one = kept
        (c,) = step.backward(message, remembered, inputs, workers)
        xp = array_namespace(c)
        weights_of = {k: self._weights(k, c) for k, _, _ in one_by_one}
        for k, where, q in one_by_one:
            n, rows, columns, o = where
            down, right, inside = _cells(self.base, rows, columns, c.shape, xp)
            weights = weights_of[k][o] * inside[..., None]
            shared = remembered[0][k].shape[0] == 1 < message.shape[0]  # one image, several targets
            for image in [xp.full_like(n, target) for target in range(message.shape[0])] if shared else [n]:
                s = message[image, rows, columns, o] * q
                xp.add.at(c, (image[:, None, None], down, right), weights * s[:, None, None, None])
        return (c,)


def _nearly_empty(q: Array, quotient: Quotient, workers: Workers) -> tuple[Array, ...]:
    """The units where |q| exceeds the limit: indices along each axis."""
    xp, limit = array_namespace(q), LIMIT * abs(quotient.coefficient)
    found: list[tuple[tuple[int, int], tuple[Array, ...]]] = []

    def look(piece: Block, scratch: Scratch) -> None:
        here = piece.part(q)
        if xp.min(here) < -limit or xp.max(here) > limit:
            n, rows, *more = xp.nonzero(xp.abs(here) > limit)
            at = (piece.images.start, piece.rows.start)
            found.append((at, (n + at[0], rows + at[1], *more)))

    workers.run(pieces(q, workers), look)
    if not found:
        return tuple(xp.zeros(0, dtype=int) for _ in range(q.ndim))
    parts = [indices for _, indices in sorted(found, key=lambda each: each[0])]  # threads find them in any order
    return tuple(xp.concatenate(along) for along in zip(*parts, strict=True))


def _cells(
    base: WeightedStep, rows: Array, columns: Array, shape: tuple[int, ...], xp: Any
) -> tuple[Array, Array, Array]:
    """The cells under the kernel of some units: rows, columns, and whether they are inside; (units, 3, 3) each."""
    window = base.layer.window  # type: ignore[attr-defined]
    top, _, left, _ = window.padding
    down = rows[:, None, None] + xp.arange(window.kernel[0])[:, None] - top
    right = columns[:, None, None] + xp.arange(window.kernel[1]) - left
    inside = (down >= 0) & (down < shape[1]) & (right >= 0) & (right < shape[2])
    return xp.clip(down, 0, shape[1] - 1), xp.clip(right, 0, shape[2] - 1), inside
