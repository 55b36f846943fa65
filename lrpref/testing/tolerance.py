"""The largest difference between two correct results, derived from the arithmetic.

If inputs, weights and biases are dyadic (see `strategies`), every z is exact, and computed as zero only if it is zero.
Rounding affects the quotient s = R / z, and the sums over j of w s and over i of a c. The error of each sum is at most
(number of summands) * (unit roundoff) * (sum of magnitudes), in any order of summation (Higham 2002, Accuracy and
Stability of Numerical Algorithms, ch. 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import Array, as_tuple, sum_per_sample, to_numpy
from ..engine import Rule, Term, divide
from ..rules import Pass, Relative

Arrays = tuple[np.ndarray, ...]


def rounding(rule: Rule, layer: Any, inputs: Arrays, R: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the largest difference that rounding in float64 explains.

    Parameters
    ----------
    rule : Rule
        A rule that defines ratios, or `Pass` or `Relative`.
    layer : LinearLayer
        A layer with dyadic weights and biases.
    inputs : tuple of arrays, shape (N, ...)
        Dyadic inputs, a tuple even if there is only one.
    R : array, shape (N, ...)
        The relevance of the output.

    Returns
    -------
    cells : list of arrays, shape (N, ...)
        The bound for each value of relevance, one array per input.
    books : array, shape (N,)
        The bound for the sum of each sample and its losses.

    Examples
    --------
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
    """Return the sums of the magnitudes of all summands: for each input cell, and for each sample's total."""
    w, b = layer.parameters(*inputs)
    shapes = [tuple(a.shape) for a in inputs]
    cells, books = [np.zeros_like(a) for a in inputs], to_numpy(sum_per_sample(abs(R)))
    for terms, s, rest in _sums(rule, layer, inputs, R, w, b):
        for term in terms:
            c = as_tuple(layer.adjoint(abs(term.w(w)), s, *shapes))
            cells = [total + abs(term.a(a)) * c_i for total, a, c_i in zip(cells, inputs, c, strict=True)]
        books = books + to_numpy(sum_per_sample(s * rest))
    return cells, books + sum(to_numpy(sum_per_sample(cell)) for cell in cells)


def _sums(
    rule: Rule, layer: Any, inputs: Arrays, R: np.ndarray, w: Any, b: Any
) -> Iterator[tuple[tuple[Term, ...], Array, Any]]:
    """Yield for each sum of a rule its terms, |s|, and the other factors of s in the total of a sample."""
    if isinstance(rule, Relative):
        n = rule.divisor(layer, w, inputs) + 0 * R
        yield (Term(),), divide(abs(R), n), 0 if b is None else abs(b)
    elif not isinstance(rule, Pass):
        for ratio in rule.ratios():
            z, b_ratio, d = ratio.sums(layer, inputs, w, b)
            denominator = rule.stabilize(d)
            s = abs(divide(R, denominator)) * max(abs(ratio.coefficient), 1)
            yield ratio.terms, s, abs(b_ratio) + abs(denominator) + abs(z)
