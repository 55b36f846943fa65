"""How far rounding may take two engines apart, derived from the arithmetic, for a whole network.

Forward, the output of a unit is wrong by at most (Higham 2002, Accuracy and Stability of Numerical Algorithms, ch. 3;
n summands, u the unit roundoff, e_i the errors of its inputs)

    e_j = n u (sum_i |a_i| |w_ij| + |b_j|) + sum_i |w_ij| e_i

Backward, M is the sum of the magnitudes of all messages, and E the error of the relevance, both per value:

    E_i = sum_j |w'_ij| (|a'_i| (E_j + M_j D_j / |d_j|) + (e_i + n u |a'_i|) M_j) / |d_j|

where D_j is the error of the denominator d_j. Winograd's error is that of the largest value of a channel instead of
each. A sample is undecided where rounding may move a denominator over zero, or exchange the winner of a max-pool: there
relevance jumps, and two correct engines may differ by any amount.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrpref import BatchNorm, Conv2D, LinearLayer, MaxPool2D, Network, rules
from lrpref.backend import as_tuple
from lrpref.engine import Rule, Term
from lrpref.layers import Elementwise

GROWTH = {"winograd": 36}
"""|A^T| (|G| |B^T| |B|) |A| at most, times the largest value of a tile and the sum of the kernel's magnitudes."""

Arrays = tuple[np.ndarray, ...]


class NoBoundError(Exception):
    """A rule for which no bound is derived."""


@dataclass
class Bound:
    """The bound for each value of relevance, and whether each sample is decided."""

    error: np.ndarray
    decided: np.ndarray


@dataclass
class Walk:
    """One network in float64, the unit roundoff of the engines, and the errors of each node on the way forward."""

    net: Network
    values: Mapping[str, np.ndarray]
    errors: dict[str, np.ndarray]
    unit: float
    exact: bool
    forms: Mapping[str, Collection[str]]
    decided: np.ndarray

    def undecided(self, where: np.ndarray) -> None:
        """Mark the samples that have a True."""
        self.decided &= ~where.reshape(len(where), -1).any(axis=1)

    def forward_unit(self) -> float:
        """The unit roundoff on the way forward: 0 where all sums are exact."""
        return 0.0 if self.exact else self.unit


def forward(net: Network, x: np.ndarray, unit: float, exact: bool, forms: Mapping[str, Collection[str]]) -> Walk:
    """The errors of every node. `exact` says that all sums forward are; `forms` has the forms of each convolution."""
    values = net.activations(x)
    walk = Walk(net, values, {"input": np.zeros_like(x)}, unit, exact, forms, np.ones(len(x), bool))
    for name, layer, read in net.nodes:
        a, e = (tuple(held[i] for i in read) for held in (values, walk.errors))
        if isinstance(layer, LinearLayer):
            w, _ = layer.parameters(*a)
            walk.errors[name] = _sum_error(walk, name, layer, (w, _bias(layer, a)), a, e)
        else:
            z = values[name]
            up, down = (layer.forward(*(v + sign * d for v, d in zip(a, e, strict=True))) for sign in (1, -1))
            rounded = 4 * walk.forward_unit() * abs(z) if isinstance(layer, Elementwise) else 0
            walk.errors[name] = np.maximum(abs(up - z), abs(down - z)) + rounded
    return walk


def backward(walk: Walk, assigned: Mapping[str, Rule], start: str, seed: np.ndarray, seed_error: np.ndarray) -> Bound:
    """The bound on the error of the input's relevance, which starts as `seed` at the node `start`."""
    walk.decided = np.ones(len(seed), bool)
    M, E = {start: abs(seed)}, {start: seed_error}
    nodes = list(walk.net.nodes)
    for name, layer, read in reversed(nodes[: 1 + [node.name for node in nodes].index(start)]):
        if name not in M:
            continue
        a, e = (tuple(held[i] for i in read) for held in (walk.values, walk.errors))
        here = M.pop(name), E.pop(name)
        if isinstance(layer, LinearLayer):
            sent = _through(walk, name, layer, assigned[name], a, e, *here)
        else:
            if isinstance(layer, MaxPool2D):
                walk.undecided(_close_winners(layer, a[0], e[0]))
            sent = tuple(layer.flow(a, part, None).inputs for part in here)
        for i, m_i, e_i in zip(read, *sent, strict=True):
            M[i], E[i] = M.get(i, 0) + m_i, E.get(i, 0) + e_i + 4 * walk.unit * m_i
    return Bound(E["input"], walk.decided)


# ---- sums ------------------------------------------------------------------------------------------------------------


def _sum_error(walk: Walk, name: str, layer: Any, parameters: Any, a: Arrays, e: Arrays) -> np.ndarray:
    """The error of sum_i a_i w_ij + b_j; the bias is given as a magnitude."""
    w, b = parameters
    shapes = [tuple(v.shape) for v in a]
    steps = (layer.fan_in(*shapes) + 8) * walk.forward_unit()
    size = layer.linear(abs(w), *(abs(v) + d for v, d in zip(a, e, strict=True))) + b
    for form in walk.forms.get(name, ()):
        size = size + GROWTH[form] * _of_channels(abs(w), abs(a[0]) + e[0])
    found: np.ndarray = steps * size + layer.linear(abs(w), *e)
    return found


def _of_channels(w: np.ndarray, a: np.ndarray) -> np.ndarray:
    """sum_c (largest value of channel c) (sum of the kernel's magnitudes), per output channel."""
    return (a.max(axis=(2, 3)) @ w.sum(axis=(2, 3)).T)[:, :, None, None]


def _bias(layer: Any, a: Arrays) -> Any:
    """The magnitude of what the bias is made of: a BatchNorm's is a difference, bias taps are summed."""
    if isinstance(layer, BatchNorm):
        w, beta = abs(layer.scale_and_shift()[0]), 0 if layer.bias is None else abs(layer.bias)
        return (w * abs(layer.mean) + beta).reshape(-1, *[1] * (a[0].ndim - 2))
    if isinstance(layer, Conv2D) and layer.bias_taps is not None:
        layer = replace(layer, bias=None if layer.bias is None else abs(layer.bias), bias_taps=abs(layer.bias_taps))
    b = layer.parameters(*a)[1]
    return 0 if b is None else abs(b)


def _of_term(walk: Walk, name: str, layer: Any, term: Term, a: Arrays, e: Arrays, w: Any, bias: Any) -> np.ndarray:
    """The error of one term's sum; maps are no steeper than the identity."""
    mapped = tuple(np.broadcast_to(term.a(v), v.shape) for v in a)
    held = bias * (2 if term.b is not None else 0)
    return _sum_error(walk, name, layer, (term.w(w), held), mapped, e)


# ---- one layer -------------------------------------------------------------------------------------------------------


def _through(
    walk: Walk, name: str, layer: Any, rule: Rule, a: Arrays, e: Arrays, M: np.ndarray, E: np.ndarray
) -> tuple[Arrays, Arrays]:
    """M and E of the inputs of a linear layer under a rule."""
    if isinstance(rule, rules.Pass):
        return (M,), (E,)
    if isinstance(rule, rules.Relative):
        raise NoBoundError("Relative")
    w, b = layer.parameters(*a)
    bias, shapes, ratios = _bias(layer, a), [tuple(v.shape) for v in a], rule.ratios()
    ds = [ratio.sums(layer, a, w, b)[2] for ratio in ratios]
    shares = rule.shares(layer, a, M, ratios, ds)
    if type(rule).shares is not Rule.shares:
        walk.undecided((M > 0) & _near_zero(walk.values[name], walk.errors[name]))
    Ms, Es = [np.zeros_like(v) for v in a], [np.zeros_like(v) for v in a]
    for ratio, d, share in zip(ratios, ds, shares, strict=True):
        terms = ratio.terms if ratio.denominator is None else ratio.denominator
        D = sum(_of_term(walk, name, layer, term, a, e, w, bias) for term in terms)
        if getattr(rule, "scale", None) == "rms":
            D = D + rule.epsilon * D.max(axis=tuple(range(1, D.ndim)), keepdims=True)  # type: ignore[attr-defined]
        stable = rule.stabilize(d)
        uncertain = abs(stable) < 10 * D
        walk.undecided((M > 0) & (D > 0) & (_near_zero(d, D) | uncertain))
        gone = (stable == 0) | uncertain
        size = np.where(gone, 1.0, abs(stable))
        s = np.where(gone, 0.0, abs(share) / size)
        kappa = np.where(gone, 0.0, 1.2 * D / size)
        relative = np.divide(E, M, out=np.zeros_like(E), where=M > 0)
        wrong = s * (relative + kappa + 8 * walk.unit)
        for term in ratio.terms:
            _send(walk, name, layer, term, a, e, abs(term.w(w)), s, wrong, shapes, Ms, Es)
    return tuple(Ms), tuple(Es)


def _send(
    walk: Walk,
    name: str,
    layer: Any,
    term: Term,
    a: Arrays,
    e: Arrays,
    w: np.ndarray,
    s: np.ndarray,
    wrong: np.ndarray,
    shapes: list[Any],
    Ms: list[np.ndarray],
    Es: list[np.ndarray],
) -> None:
    """Add to M and E what one term sends back."""
    steps = walk.unit * ((w.shape[0] * w[0, 0].size if isinstance(layer, Conv2D) else s[0].size) + 8)
    c, c_wrong = (as_tuple(layer.adjoint(w, each, *shapes)) for each in (s, wrong))
    for k, (v, d) in enumerate(zip(a, e, strict=True)):
        size = abs(term.a(v))
        sums = c[k]
        for form in walk.forms.get(name, ()):
            sums = sums + GROWTH[form] * _of_channels(np.swapaxes(w, 0, 1), s)
        Ms[k] = Ms[k] + (size + d) * c[k]
        Es[k] = Es[k] + size * c_wrong[k] + d * c[k] + steps * (size + d) * sums


def _near_zero(z: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Where rounding may change a sign."""
    return (error > 0) & (abs(z) <= 3 * error)


def _close_winners(layer: MaxPool2D, a: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The windows in which another cell may be the largest."""
    top, bottom, left, right = layer.padding
    border = ((0, 0), (0, 0), (top, bottom), (left, right))
    (rows, columns), kernel = layer.stride, layer.kernel_size
    low, high = (
        sliding_window_view(np.pad(v, border, constant_values=-np.inf), kernel, axis=(2, 3))[:, :, ::rows, ::columns]
        for v in (a - 3 * e, a + 3 * e)
    )
    low, high = (v.reshape(*v.shape[:4], -1) for v in (low, high))
    best = (low + high).argmax(axis=-1)[..., None]
    others = high.copy()
    np.put_along_axis(others, best, -np.inf, axis=-1)
    found: np.ndarray = others.max(axis=-1) > np.take_along_axis(low, best, axis=-1)[..., 0]
    return found
