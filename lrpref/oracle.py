"""The oracle: every rule and every layer once more, literally and slowly, sharing nothing with the engine.

A linear layer is written out as a matrix, entry by entry, from index arithmetic; a rule is written as the fraction of
R_j that unit j sends to input i, as the papers print it. The result is the full array of messages R[i<-j]. It serves to
test the engine, and to be read next to it. Use it on small layers: it holds inputs x outputs numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import fields
from fractions import Fraction
from typing import Any

import numpy as np

from .arithmetic import as_floating, constant, converted, full, irrational, is_exact, square_root
from .backend import Array, as_tuple, is_array, to_numpy
from .errors import ParameterError, RuleError, ShapeError, shown
from .layers import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    DiagonalLayer,
    Dropout,
    Elementwise,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    LinearLayer,
    MaxPool2D,
    Pad2D,
    RMSNorm,
    SampleNorm,
    Scale,
)
from .layers.base import Shape
from .rules import Absolute, AlphaBeta, Epsilon, Flat, Gamma, Pass, Relative, Rule, WSquare, ZBox, Zero, ZPlus

Index = tuple[int, ...]
Entry = tuple[int, Index, Index, Any]


def messages(
    layer: Layer, inputs: Array | tuple[Array, ...], R: Array, rule: Rule
) -> np.ndarray | tuple[np.ndarray, ...]:
    """Return R[i<-j], the relevance that output j sends to input i, for all i and j.

    The messages to an input sum to its relevance.

    Parameters
    ----------
    layer : Layer
        Any layer of lrpref except Softmax.
    inputs : array or tuple of array, shape (N, ...)
        The layer's input or inputs.
    R : array, shape (N, ...)
        The relevance of the output.
    rule : Rule
        A rule of lrpref; only linear layers use it.

    Returns
    -------
    numpy.ndarray or tuple of numpy.ndarray, shape (N, *input, *output)
        One array for one input, a tuple for a tuple.

    Raises
    ------
    RuleError
        If the layer or the rule is your own, or the rule has a mode that has no literal form here.

    Examples
    --------
    >>> from lrpref import Dense, rules
    >>> layer, a, R = Dense([[2.0, -1.0]]), np.array([[1.0, 1.0]]), np.array([[3.0]])
    >>> messages(layer, a, R, rules.Zero())[0, :, 0]
    array([ 6., -3.])
    """
    if not isinstance(layer, Layer):
        raise ParameterError(f"expected a layer, got {shown(layer)}")
    if isinstance(layer, LinearLayer) and not isinstance(rule, Rule):
        raise RuleError(f"expected a rule of lrpref.rules, got {shown(rule)}")
    arrays = tuple(to_numpy(as_floating(a, "the input")) for a in as_tuple(inputs))
    shapes = [a.shape[1:] for a in arrays]
    if problem := layer.takes(len(arrays)):
        raise ShapeError(f"{type(layer).__name__} {problem}")
    N, *units = layer.output_shape(*(a.shape for a in arrays))
    output = tuple(units)
    R = to_numpy(as_floating(R, "the relevance"))
    if R.shape != (N, *output):
        raise ShapeError(f"relevance has shape {R.shape}, the layer's output has {(N, *output)}")
    R = R.reshape(N, -1)
    layer.check_arithmetic(*arrays, R)
    found: list[list[np.ndarray]] = [[] for _ in arrays]
    for n in range(len(R)):
        sample = tuple(a[n] for a in arrays)
        if isinstance(layer, LinearLayer):
            fractions = _linear_share(layer, sample, _of_sample(rule, n, arrays[0].ndim), output)  # (outputs, inputs)
        else:
            fractions = _routing_share(layer, sample, output)
        sent = (fractions * R[n][:, None]).T
        if isinstance(layer, LinearLayer):
            sent = _rescaled(rule, sent, R[n])
        for k, part in enumerate(np.split(sent, np.cumsum([a.size for a in sample])[:-1])):
            found[k].append(part.reshape(*shapes[k], *output))
    stacked = tuple(
        np.stack(each) if each else np.zeros((0, *shape, *output)) for each, shape in zip(found, shapes, strict=True)
    )
    return stacked if isinstance(inputs, tuple | list) else stacked[0]


def matrix(layer: LinearLayer, *shapes: Shape) -> tuple[Any, ...]:
    """Return the layer as `scipy.sparse` matrices (outputs, inputs), one per input, without the bias (see `bias`).

    `shapes` are those of the inputs, without the batch axis. The matrix of a GroupNorm and its like depends on the
    values of the input, so it has none of this kind.
    """
    from scipy import sparse

    output = layer.output_shape(*((1, *shape) for shape in shapes))[1:]
    found = []
    for k, shape in enumerate(shapes):
        entries = [(j, i, w) for which, j, i, w in _entries(layer, shapes) if which == k]
        rows = [np.ravel_multi_index(j, output) for j, _, _ in entries]
        columns = [np.ravel_multi_index(i, shape) for _, i, _ in entries]
        weights = [float(w) for _, _, w in entries]
        size = (int(np.prod(output)), int(np.prod(shape)))
        found.append(sparse.coo_array((weights, (rows, columns)), shape=size).tocsr())
    return tuple(found)


def bias(layer: LinearLayer, *shapes: Shape) -> np.ndarray:
    """Return the layer's bias, one number per output, flattened."""
    _check_fixed(layer)
    output = layer.output_shape(*((1, *shape) for shape in shapes))[1:]
    per_channel = getattr(layer, "bias", None)
    if isinstance(layer, DiagonalLayer):
        per_channel = layer.scale_and_shift()[1]
    constant_part = np.zeros(int(np.prod(output)))
    if per_channel is not None:
        constant_part = np.asarray([to_numpy(per_channel)[j[0]] for j in np.ndindex(*output)])
    if isinstance(layer, Conv2D) and layer.bias_taps is not None:
        constant_part = constant_part + _tap_bias(layer, shapes[0], output)
    return constant_part


def _tap_bias(layer: Conv2D, shape: Shape, output: Shape) -> np.ndarray:
    """What `bias_taps` adds: at each output, the sum over the taps that meet a cell of the image."""
    taps = to_numpy(layer.bias_taps)
    sums = [sum(taps[(o, *tap)] for tap, _ in _window(layer, shape, y, x)) for o, y, x in np.ndindex(*output)]
    found: np.ndarray = np.asarray(sums)
    return found


# ---- layers as matrices, entry by entry ------------------------------------------------------------------------


def _entries(layer: LinearLayer, shapes: list[Shape] | tuple[Shape, ...]) -> Iterator[Entry]:
    """Yield (which input, output index, input index, weight) for every connection, padding excluded."""
    output = layer.output_shape(*((1, *shape) for shape in shapes))[1:]
    if type(layer) is Dense:
        w = to_numpy(layer.weight)
        yield from ((0, (j,), (i,), w[j, i]) for j, i in np.ndindex(*w.shape))
    elif type(layer) is Conv2D:
        w = to_numpy(layer.weight)
        per_group = layer.weight.shape[0] // layer.groups
        for o, y, x in np.ndindex(*output):
            for c in range(w.shape[1]):
                for (i, j), (row, column) in _window(layer, shapes[0], y, x):
                    yield 0, (o, y, x), (o // per_group * w.shape[1] + c, row, column), w[o, c, i, j]
    elif type(layer) is AvgPool2D:
        for c, y, x in np.ndindex(*output):
            cells = [cell for _, cell in _window(layer, shapes[0], y, x)]
            n = layer.window.kernel[0] * layer.window.kernel[1] if layer.count_include_pad else len(cells)
            yield from ((0, (c, y, x), (c, *cell), Fraction(1, n)) for cell in cells)
    elif type(layer) is GlobalAvgPool2D:
        C, H, W = shapes[0]
        yield from ((0, (c, 0, 0), (c, y, x), Fraction(1, H * W)) for c, y, x in np.ndindex(C, H, W))
    elif isinstance(layer, DiagonalLayer) and type(layer) in (BatchNorm, Scale):
        w = to_numpy(layer.scale_and_shift()[0])
        yield from ((0, i, i, w[i[0]]) for i in np.ndindex(*shapes[0]))
    elif type(layer) is Add:
        yield from ((k, i, i, 1) for k in range(len(shapes)) for i in np.ndindex(*output))
    else:
        _check_fixed(layer)
        raise RuleError(f"the oracle has no matrix for {type(layer).__name__}; it knows lrpref's own linear layers")


def _check_fixed(layer: LinearLayer) -> None:
    """Raise RuleError for a layer whose weights and bias depend on the values of the input."""
    if isinstance(layer, SampleNorm):
        raise RuleError(f"the weights of {type(layer).__name__} depend on the values of its input: use oracle.messages")


def _of_norm(layer: SampleNorm, a: np.ndarray) -> tuple[list[Entry], np.ndarray]:
    """The connections of GroupNorm and its like for a sample, and the bias; g and beta are left out if "centred"."""
    groups: dict[Any, list[Index]] = defaultdict(list)
    for i in np.ndindex(*a.shape):
        groups[_group(layer, i, a.shape)].append(i)
    entries: list[Entry] = []
    shift: Any = full(a.shape, 0, like=a)
    eps = constant(layer.eps, like=a)
    for cells in groups.values():
        values, n = [a[i] for i in cells], len(cells)
        mu = 0 * values[0] if isinstance(layer, RMSNorm) else sum(values) / n
        variance = np.asarray([sum((v - mu) * (v - mu) for v in values) / n + eps], dtype=a.dtype)
        s = square_root(variance, type(layer).__name__)[0]
        for j in cells:
            g = _affine(layer, layer.weight, 1, j)
            beta = _affine(layer, layer.bias, 0, j)
            if layer.mean == "constant":
                entries.append((0, j, j, g / s))
                shift[j] = beta - g * mu / s
            else:
                entries += [(0, j, i, g * ((i == j) - constant(Fraction(1, n), like=a)) / s) for i in cells]
                shift[j] = beta
    return entries, shift.reshape(-1)


def _group(layer: SampleNorm, i: Index, shape: Shape) -> Any:
    """What the cells that are normalised together have in common."""
    if type(layer) is GroupNorm:
        return i[0] // (shape[0] // layer.num_groups)
    if type(layer) is InstanceNorm:
        return i[0]
    if isinstance(layer, LayerNorm | RMSNorm) and type(layer) in (LayerNorm, RMSNorm):
        return i[: len(shape) - len(layer.normalized_shape)]
    raise RuleError(f"the oracle has no matrix for {type(layer).__name__}; it knows lrpref's own linear layers")


def _affine(layer: SampleNorm, v: Array | None, default: int, j: Index) -> Any:
    """g or beta at a cell: per channel, or per cell of the last axes."""
    if v is None or layer.mean == "centred":
        return default
    values = to_numpy(v)
    return values[j[0]] if isinstance(layer, GroupNorm | InstanceNorm) else values[j[len(j) - values.ndim :]]


def _window(layer: Any, shape: Shape, y: int, x: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield (tap, cell) for every tap of the window at output (y, x) that meets a cell of the image."""
    window = layer.window
    top, _, left, _ = window.padding
    for i, j in np.ndindex(*window.kernel):
        row = y * window.stride[0] - top + i * window.dilation[0]
        column = x * window.stride[1] - left + j * window.dilation[1]
        if 0 <= row < shape[-2] and 0 <= column < shape[-1]:
            yield (i, j), (row, column)


# ---- rules as fractions ----------------------------------------------------------------------------------------


def _linear_share(layer: LinearLayer, sample: tuple[np.ndarray, ...], rule: Rule, output: Shape) -> np.ndarray:
    """The fraction of R_j that each input receives: (outputs, inputs of all branches)."""
    shapes = [a.shape for a in sample]
    starts = np.cumsum([0, *(a.size for a in sample)])
    a = np.concatenate([x.reshape(-1) for x in sample])
    w = full((int(np.prod(output)), int(starts[-1])), 0, like=a)
    connected = np.zeros(w.shape, dtype=bool)
    b: Any
    entries, b = _of_norm(layer, sample[0]) if isinstance(layer, SampleNorm) else (_entries(layer, shapes), None)
    for k, j, i, weight in entries:
        place = np.ravel_multi_index(j, output), starts[k] + np.ravel_multi_index(i, shapes[k])
        w[place], connected[place] = constant(weight, like=a) if isinstance(weight, Fraction) else weight, True
    _check_known(rule)
    b = converted(bias(layer, *shapes) if b is None else b, like=a)
    if isinstance(rule, Relative):
        return _relative(a, w, b, layer.fan_in(*((1, *shape) for shape in shapes)))
    return _LITERAL[type(rule)](rule, a, w, b, connected, sample)


def _check_known(rule: Rule) -> None:
    """Raise RuleError for a rule, or a parameter of a known rule, that has no literal form here."""
    if type(rule) not in PARAMETERS:
        raise RuleError(f"the oracle has no literal form of {type(rule).__name__}; it knows lrpref's own rules")
    if new := {f.name for f in fields(rule)} - PARAMETERS[type(rule)]:
        raise RuleError(f"the oracle's {type(rule).__name__} does not know its parameters {', '.join(sorted(new))}")


def _of_sample(rule: Rule, n: int, ndim: int) -> Rule:
    """The rule for sample n: bounds of a z-box for the whole batch (`ndim` axes) are cut to that sample's."""
    if not isinstance(rule, ZBox):
        return rule
    bounds: list[Any] = [to_numpy(v) if is_array(v) else v for v in (rule.low, rule.high)]
    low, high = (v[n % len(v)] if np.ndim(v) == ndim else v for v in bounds)
    return ZBox(low, high, rule.stabilizer)


def _rescaled(rule: Rule, sent: np.ndarray, R: np.ndarray) -> np.ndarray:
    """Messages (inputs, outputs) times kappa if the rule is Relative and rescales, else unchanged."""
    if not (isinstance(rule, Relative) and rule.rescale):
        return sent
    kept = abs(sent.sum(axis=1)).sum()
    return sent * (abs(R).sum() / kept) if kept != 0 else 0 * sent


def _relative(a: Any, w: Any, b: Any, n: int) -> np.ndarray:
    """sgn(z_j) a_i w_ij / n."""
    z = (a * w).sum(axis=1) + b
    share: np.ndarray = np.where(z < 0, -1, np.where(z >= 0, 1, z))[:, None] * a * w / n
    return share


def _over(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Each row over its denominator; a row over zero is zero."""
    rows = [n / d if d != 0 else 0 * n for n, d in zip(numerators, denominators, strict=True)]
    return np.asarray(rows, dtype=numerators.dtype).reshape(numerators.shape)


def _away(z: np.ndarray, epsilon: Any) -> np.ndarray:
    """z moved away from zero by epsilon; sign(0) = +1."""
    epsilon = constant(epsilon, like=z) if np.isscalar(epsilon) else epsilon
    return np.asarray([v + epsilon if v >= 0 else v - epsilon for v in z], dtype=z.dtype)


def _pos(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0, 0 * x, x)


def _neg(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 0 * x, x)


def _zero(rule: Zero, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """a_i w_ij / (sum_i a_i w_ij + b_j)."""
    return _over(a * w, (a * w).sum(axis=1) + b)


def _epsilon(rule: Epsilon, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """a_i w_ij / (z_j + epsilon sign(z_j))."""
    z = (a * w).sum(axis=1) + b
    if rule.scale is None:
        return _over(a * w, _away(z, rule.epsilon))
    rms = irrational("sqrt", np.mean(z * z, keepdims=True), 'Epsilon(scale="rms")')[0]
    return _over(a * w, _away(z, constant(rule.epsilon, like=z) * rms))


def _gamma(rule: Gamma, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """Each contribution plus gamma times its favoured part, over their sum, which includes the bias likewise."""
    g = constant(rule.gamma, like=a)
    if not rule.generalised:
        m, bias_ = a * (w + g * _pos(w)), b + g * _pos(b)
        return _over(m, _away(m.sum(axis=1) + bias_, rule.stabilizer))
    z = a * w
    up = (z.sum(axis=1) + b) >= 0
    m = np.where(up[:, None], z + g * _pos(z), z + g * _neg(z))
    bias_ = np.where(up, b + g * _pos(b), b + g * _neg(b))
    return _over(m, _away(m.sum(axis=1) + bias_, rule.stabilizer))


def _alpha_beta(rule: AlphaBeta, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """alpha z_ij+ / z_j+ - beta z_ij- / z_j-; renormalised, an empty part leaves everything to the other."""
    z, b = a * w, b if rule.bias == "keep" else 0 * b
    up, down = _pos(z).sum(axis=1) + _pos(b), _neg(z).sum(axis=1) + _neg(b)
    alpha, beta = (constant(v, like=a) for v in (rule.alpha, -rule.beta))
    alphas, betas = (np.full(len(z), v, dtype=object if is_exact(a) else a.dtype) for v in (alpha, beta))
    if rule.empty == "renormalise":
        alphas[down == 0], betas[up == 0] = 1, 1
    over_up = _over(_pos(z), _away(up, rule.stabilizer))
    over_down = _over(_neg(z), _away(down, rule.stabilizer))
    share: np.ndarray = alphas[:, None] * over_up + betas[:, None] * over_down
    return share


def _z_plus(rule: ZPlus, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """(a_i w_ij)+ / (sum_i (a_i w_ij)+ + b_j+)."""
    return _over(_pos(a * w), _away(_pos(a * w).sum(axis=1) + _pos(b), rule.stabilizer))


def _z_box(rule: ZBox, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """(a_i w_ij - l_i w_ij+ - h_i w_ij-) over its sum."""
    low, high = (np.concatenate([_spread(v, x).reshape(-1) for x in sample]) for v in (rule.low, rule.high))
    m = a * w - low * _pos(w) - high * _neg(w)
    return _over(m, _away(m.sum(axis=1), rule.stabilizer))


def _spread(bound: Any, x: np.ndarray) -> np.ndarray:
    """A bound in the shape of one sample: a number, one per channel, or an array."""
    if np.isscalar(bound):
        return np.full(x.shape, constant(bound, like=x), dtype=x.dtype)
    bound = converted(np.asarray(bound), like=x)
    if bound.shape == (x.shape[0],):
        bound = bound.reshape(-1, *(1,) * (x.ndim - 1))
    return np.broadcast_to(bound, x.shape)


def _w_square(rule: WSquare, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """w_ij^2 / sum_i w_ij^2."""
    return _over(w * w, _away((w * w).sum(axis=1), rule.stabilizer))


def _flat(rule: Flat, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """1 over the number of connections."""
    ones = np.where(connected, 0 * w + 1, 0 * w)
    return _over(ones, _away(ones.sum(axis=1), rule.stabilizer))


def _absolute(rule: Absolute, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """|a_i w_ij| / (sum_i |a_i w_ij| + |b_j|)."""
    return _over(abs(a * w), _away(abs(a * w).sum(axis=1) + abs(b), rule.stabilizer))


def _pass(rule: Pass, a: Any, w: Any, b: Any, connected: Any, sample: Any) -> np.ndarray:
    """1 along the diagonal."""
    ones: np.ndarray = np.where(connected, 0 * w + 1, 0 * w)
    return ones


_LITERAL: dict[type[Rule], Callable[..., np.ndarray]] = {
    Zero: _zero,
    Epsilon: _epsilon,
    Gamma: _gamma,
    AlphaBeta: _alpha_beta,
    ZPlus: _z_plus,
    ZBox: _z_box,
    WSquare: _w_square,
    Flat: _flat,
    Absolute: _absolute,
    Pass: _pass,
}


PARAMETERS: dict[type[Rule], frozenset[str]] = {
    Zero: frozenset(),
    Epsilon: frozenset({"epsilon", "scale"}),
    Gamma: frozenset({"gamma", "generalised", "stabilizer"}),
    AlphaBeta: frozenset({"alpha", "beta", "bias", "empty", "stabilizer"}),
    ZPlus: frozenset({"stabilizer"}),
    ZBox: frozenset({"low", "high", "stabilizer"}),
    WSquare: frozenset({"stabilizer"}),
    Flat: frozenset({"stabilizer"}),
    Absolute: frozenset({"stabilizer"}),
    Pass: frozenset(),
    Relative: frozenset({"rescale"}),
}
"""The parameters of each rule that the literal forms above take into account; any other one is an error."""


# ---- routes ----------------------------------------------------------------------------------------------------


def _routing_share(layer: Layer, sample: tuple[np.ndarray, ...], output: Shape) -> np.ndarray:
    """The fraction of R_j that each input receives: a matrix of ones and zeros, except for shared ties."""
    size = sum(a.size for a in sample)
    passes = isinstance(layer, Elementwise) and type(layer).flow is Elementwise.flow
    if passes or type(layer) in (Flatten, Dropout):
        return to_numpy(converted(np.eye(size), like=sample[0]))
    numbers = np.arange(size)
    parts = np.split(numbers, np.cumsum([a.size for a in sample])[:-1])
    numbered = [part.reshape(a.shape) for part, a in zip(parts, sample, strict=True)]
    share: Any = full((int(np.prod(output)), size), 0, like=sample[0])
    if type(layer) is Concat:
        share[np.arange(size), np.concatenate(numbered).reshape(-1)] = 1
    elif type(layer) is Pad2D:
        top, bottom, left, right = layer.border
        origin = np.pad(numbered[0], ((0, 0), (top, bottom), (left, right)), constant_values=-1).reshape(-1)
        share[np.flatnonzero(origin >= 0), origin[origin >= 0]] = 1
    elif type(layer) is MaxPool2D:
        for row, (c, y, x) in enumerate(np.ndindex(*output)):
            cells = [(c, *cell) for _, cell in _window(layer, sample[0].shape, y, x)]
            values = [sample[0][cell] for cell in cells]
            no_numbers = [cell for cell, v in zip(cells, values, strict=True) if v != v]
            winners = no_numbers or [cell for cell, v in zip(cells, values, strict=True) if v == max(values)]
            winners = winners[:1] if layer.ties == "first" else winners
            for cell in winners:
                share[row, numbered[0][cell]] = constant(Fraction(1, len(winners)), like=share)
    else:
        raise RuleError(f"the oracle has no route through {type(layer).__name__}; it knows lrpref's own routing layers")
    return share
