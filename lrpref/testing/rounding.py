"""How far apart two correct results may lie, derived from the arithmetic.

Where inputs, weights and biases are dyadic (see `strategies`), every z is exact, and zero only where it is zero. What
is rounded is the quotient s = R / z, and the sums over j of w s and over i of a c; each sum is off by at most
(number of summands) * (unit roundoff) * (sum of magnitudes), in whatever order it is taken (Higham 2002, Accuracy and
Stability of Numerical Algorithms, ch. 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import as_tuple, sum_per_sample
from ..engine import Rule, Term, divide
from ..rules import Pass, Relative

Arrays = tuple[np.ndarray, ...]


def rounding(rule: Rule, layer: Any, inputs: Arrays, R: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The largest difference that rounding explains in float64: for each input cell, and for each sample's books.

    rule    a rule that says its ratios, or `Pass` or `Relative`
    inputs  a tuple, also of one array

    >>> from lrpref import Dense, rules
    >>> (cells,), books = rounding(rules.Zero(), Dense([[3.0]]), (np.array([[1.0]]),), np.array([[1.0]]))
    >>> bool(cells[0, 0] < 1e-14)
    True
    """
    summands = 4 + R[0].size + sum(a[0].size for a in inputs)
    cells, books = _magnitudes(rule, layer, inputs, R)
    unit = summands * np.finfo(np.float64).eps
    tiny = np.finfo(np.float64).tiny
    return [unit * cell + tiny for cell in cells], unit * books + tiny


def _magnitudes(rule: Rule, layer: Any, inputs: Arrays, R: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The sums of the magnitudes of all that a rule adds up: for each input cell, and for each sample's books."""
    w, b = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    cells, books = [np.zeros_like(a) for a in inputs], sum_per_sample(abs(R))
    for terms, s, rest in _sums(rule, layer, inputs, R, w, b):
        for term in terms:
            c = as_tuple(layer.adjoint(abs(term.w(w)), s, *shapes))
            cells = [total + abs(term.a(a)) * c_i for total, a, c_i in zip(cells, inputs, c, strict=True)]
        books = books + sum_per_sample(s * rest)
    return cells, books + sum(map(sum_per_sample, cells))


def _sums(
    rule: Rule, layer: Any, inputs: Arrays, R: np.ndarray, w: Any, b: Any
) -> Iterator[tuple[tuple[Term, ...], np.ndarray, Any]]:
    """For each sum of a rule: its terms, |s|, and what else is multiplied by s for the books."""
    if isinstance(rule, Relative):
        n = layer.fan_in(*(tuple(a.shape) for a in inputs))
        yield (Term(),), abs(R) / n, 0 if b is None else abs(b)
    elif not isinstance(rule, Pass):
        for ratio in rule.ratios():
            z, b_ratio, d = ratio.sums(layer, inputs, w, b)
            denominator = rule.stabilize(d)
            s = abs(divide(R, denominator)) * max(abs(ratio.coefficient), 1)
            yield ratio.terms, s, abs(b_ratio) + abs(denominator) + abs(z)
