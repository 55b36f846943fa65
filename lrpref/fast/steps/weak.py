"""Conv2D by Winograd's form under a rule with a ratio that may be nearly empty, as alpha-beta's negative one.

Winograd's rounding errors are relative to a tile, not to a unit. That does no harm where a unit sends no more than
|q| times what arrived, for a q of about one (`lrpref.fast.algebra.Recipe`). A ratio whose z' is not the output itself
is another matter:

    q_j = -beta y_j / z_j-          |z_j-| may be much smaller than y_j

A unit of which |q| / beta exceeds `LIMIT` is *weak* here; in trained networks a few in ten thousand are. They are taken
out of the product and computed one by one, from their own inputs, as the direct form would; so the error of the others
is bounded by `LIMIT` times that of the forward pass. Where they are many, the layer is computed by the direct form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...backend import Array, array_namespace
from ..algebra import added
from ..kernels import Block
from ..workers import Scratch, Workers
from .step import pieces
from .weighted import Weighted

LIMIT = 8.0
"""What |q| / beta may be."""

FEW = 1 / 256
"""The share of weak units from which the direct form is faster than one by one."""

AT_ONCE = 1 << 12
"""How many weak units are gathered at a time."""


@dataclass(frozen=True, eq=False)
class WeakApart:
    """A convolution by Winograd's form, its weak units one by one.

    base    the step for all other units
    direct  makes the same step by the direct form; it is seldom needed, and would take as much memory again
    """

    base: Weighted
    direct: Callable[[], Weighted]

    needs_inputs = False

    @property
    def form(self) -> str:
        """The form of the forward product."""
        return self.base.form

    def forward(self, inputs: tuple[Array, ...], workers: Workers, remember: bool) -> tuple[Array, Any]:
        """y, and (who goes back, what it remembers, the weak units of each ratio)."""
        y, kept = self.base.forward(inputs, workers, remember)
        if not remember:
            return y, None
        weak = [_weak(q, share.coefficient, workers) for q, share in zip(kept[0], self.base.recipe.shares, strict=True)]
        if sum(len(where[0]) for where in weak) > FEW * y.size:
            direct = self.direct()
            y, kept = direct.forward(inputs, workers, remember)
            return y, (direct, kept, ())
        apart = []
        for k, where in enumerate(weak):
            weights = self._weights(k, y) if len(where[0]) else None
            for first in range(0, len(where[0]), AT_ONCE):
                some = tuple(index[first : first + AT_ONCE] for index in where)
                apart.append((k, some, self._quotients(k, some, weights, inputs[0], y)))
                kept[0][k][some] = 0
        return y, (self.base, kept, tuple(apart))

    def _quotients(self, k: int, where: tuple[Array, ...], weights: Array, a: Array, y: Array) -> Array:
        """q of some units, each from its own inputs: (units,)."""
        recipe = self.base.recipe
        share, xp = recipe.shares[k], array_namespace(a)
        n, rows, columns, o = where
        down, right, inside = _cells(self.base, rows, columns, a.shape, xp)
        cells = a[n[:, None, None], down, right] * inside[..., None]
        z = xp.sum(cells * weights[o], axis=(1, 2, 3))
        b = self.base.biases[share.index]
        z = z if b is None else z + b[o]
        epsilon = added(recipe.rule, a)
        z = xp.minimum(z, 0) - epsilon if share.way == "minus" else xp.maximum(z, 0) + epsilon
        return share.coefficient * y[where] / z

    def _weights(self, k: int, like: Array) -> Array:
        """The weights of a ratio, (O, kernel rows, kernel columns, C)."""
        term = self.base.recipe.terms[self.base.recipe.shares[k].index]
        weight: Array = array_namespace(like).permute_dims(term.w(self.base.layer.weight), (0, 2, 3, 1))  # type: ignore[attr-defined]
        return weight

    def backward(self, message: Array, kept: Any, inputs: tuple[Array, ...], workers: Workers) -> Sequence[Array]:
        """c_i = sum over ratios and j of w'_ij s_j, those of the weak units added at the end."""
        step, remembered, apart = kept
        (c,) = step.backward(message, remembered, inputs, workers)
        xp = array_namespace(c)
        weights_of = {k: self._weights(k, c) for k, _, _ in apart}
        for k, where, q in apart:
            n, rows, columns, o = where
            down, right, inside = _cells(self.base, rows, columns, c.shape, xp)
            weights = weights_of[k][o] * inside[..., None]
            shared = remembered[0][k].shape[0] == 1 < message.shape[0]  # one image, several targets
            for image in [xp.full_like(n, target) for target in range(message.shape[0])] if shared else [n]:
                s = message[image, rows, columns, o] * q
                xp.add.at(c, (image[:, None, None], down, right), weights * s[:, None, None, None])
        return (c,)


def _weak(q: Array, coefficient: float, workers: Workers) -> tuple[Array, ...]:
    """Where |q| exceeds the limit: indices along each axis."""
    xp, limit = array_namespace(q), LIMIT * abs(coefficient)
    found: list[tuple[tuple[int, int], tuple[Array, ...]]] = []

    def look(piece: Block, scratch: Scratch) -> None:
        here = piece.part(q)
        if here.min() < -limit or here.max() > limit:
            n, rows, *more = xp.nonzero(xp.abs(here) > limit)
            at = (piece.images.start, piece.rows.start)
            found.append((at, (n + at[0], rows + at[1], *more)))

    workers.run(pieces(q, workers), look)
    if not found:
        return tuple(xp.zeros(0, dtype=int) for _ in range(q.ndim))
    parts = [indices for _, indices in sorted(found, key=lambda each: each[0])]  # whoever found them first
    return tuple(xp.concatenate(along) for along in zip(*parts, strict=True))


def _cells(base: Weighted, rows: Array, columns: Array, shape: tuple[int, ...], xp: Any) -> tuple[Array, Array, Array]:
    """The cells under the kernel of some units: rows, columns, and whether they are inside; (units, 3, 3) each."""
    window = base.layer.window  # type: ignore[attr-defined]
    top, _, left, _ = window.padding
    down = rows[:, None, None] + xp.arange(window.kernel[0])[:, None] - top
    right = columns[:, None, None] + xp.arange(window.kernel[1]) - left
    inside = (down >= 0) & (down < shape[1]) & (right >= 0) & (right < shape[2])
    return xp.clip(down, 0, shape[1] - 1), xp.clip(right, 0, shape[2] - 1), inside
