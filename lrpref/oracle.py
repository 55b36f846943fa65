"""The oracle: a second, literal and slow implementation of every rule and layer, which shares no code with the engine.

A linear layer is written out as a matrix, entry by entry, from index arithmetic; a rule is written as the fraction of
R_j that unit j sends to input i, as the papers print it. The result is the full array of messages R[i<-j]. Use it
to test the engine, and read it next to the engine. It is for small layers: the result has inputs x outputs numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import fields
from fractions import Fraction
from itertools import product
from math import ceil, floor, prod
from typing import Any

import numpy as np

from .arithmetic import as_floating, constant, converted, full, irrational, is_exact, square_root
from .backend import Array, as_tuple, is_array, to_numpy
from .errors import ParameterError, RuleError, ShapeError, shown
from .layers import (
    Add,
    Affine,
    BatchNorm,
    ChannelShuffle,
    Concat,
    Dense,
    DiagonalLayer,
    Dropout,
    Elementwise,
    Embedding,
    Extreme,
    Flatten,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    LinearLayer,
    MatMul,
    Max,
    Mean,
    Multiply,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    PrependTokens,
    Reshape,
    RMSNorm,
    SampleNorm,
    Scale,
    Slice,
    Softmax,
    Subtract,
    Sum,
    TokenDense,
)
from .layers.adaptive import AdaptiveAvgPool, AdaptiveMaxPool
from .layers.avg_pool import AvgPool
from .layers.base import Shape
from .layers.conv import Conv, Kernels
from .layers.conv_transpose import ConvTranspose
from .layers.global_pool import GlobalAvgPool, GlobalMaxPool
from .layers.pad import Pad
from .layers.pool import MaxPool
from .layers.upsample import UpsampleLinear, UpsampleNearest
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
        Any layer of lrpref except LogSoftmax.
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
    arrays = tuple(map(to_numpy, layer.floating(as_tuple(inputs))))
    shapes = [a.shape[1:] for a in arrays]
    N, *units = layer.output_shape(*(a.shape for a in arrays))
    output = tuple(units)
    R = to_numpy(as_floating(R, "the relevance"))
    if R.shape != (N, *output):
        raise ShapeError(f"relevance has shape {R.shape}, the layer's output has {(N, *output)}")
    R = R.reshape(N, prod(output))
    layer = layer.map_arrays(to_numpy)
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

    `shapes` are those of the inputs, without the batch axis. The matrix of a MatMul, or of a GroupNorm and its like,
    depends on the values of the input, so it has none of this kind.
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
    if isinstance(layer, Affine | TokenDense) and per_channel is not None:  # along the last axes
        constant_part = np.broadcast_to(to_numpy(per_channel), output).reshape(-1)
    elif per_channel is not None:
        constant_part = np.asarray([to_numpy(per_channel)[j[0]] for j in np.ndindex(*output)])
    if isinstance(layer, Kernels) and layer.bias_taps is not None:
        taps = to_numpy(layer.bias_taps)
        meet = [[tap for tap, _ in _window(layer, shapes[0], place)] for place in np.ndindex(*output[1:])]
        sums = [sum(taps[(o, *tap)] for tap in met) for o in range(output[0]) for met in meet]
        constant_part = constant_part + np.asarray(sums)
    return constant_part


# ---- layers as matrices, entry by entry ------------------------------------------------------------------------


def _entries(layer: LinearLayer, shapes: list[Shape] | tuple[Shape, ...]) -> Iterator[Entry]:
    """Yield (which input, output index, input index, weight) for every connection, padding excluded."""
    output = layer.output_shape(*((1, *shape) for shape in shapes))[1:]
    if type(layer) is Dense:
        w = to_numpy(layer.weight)
        yield from ((0, (j,), (i,), w[j, i]) for j, i in np.ndindex(*w.shape))
    elif type(layer) is TokenDense:
        w = to_numpy(layer.weight)
        tokens = np.ndindex(*output[:-1])
        yield from ((0, (*t, j), (*t, i), w[j, i]) for t in tokens for j, i in np.ndindex(*w.shape))
    elif isinstance(layer, Conv | ConvTranspose) and _is_own(layer):
        yield from _kernel_entries(layer, shapes[0], output)
    elif isinstance(layer, AvgPool | GlobalAvgPool | AdaptiveAvgPool | UpsampleLinear) and _is_own(layer):
        for place in np.ndindex(*output[1:]):
            for cell, weight in _averaged(layer, shapes[0], output, place):
                yield from ((0, (c, *place), (c, *cell), weight) for c in range(output[0]))
    elif isinstance(layer, DiagonalLayer) and type(layer) in (BatchNorm, Scale):
        w = to_numpy(layer.scale_and_shift()[0])
        yield from ((0, i, i, w[i[0]]) for i in np.ndindex(*shapes[0]))
    elif type(layer) is Affine:
        w = np.broadcast_to(1 if layer.weight is None else to_numpy(layer.weight), output)
        yield from ((0, i, i, w[i]) for i in np.ndindex(*output))
    elif type(layer) is Add:
        yield from ((k, i, i, 1) for k in range(len(shapes)) for i in np.ndindex(*output))
    elif type(layer) is Subtract:
        yield from ((k, i, i, (1, -1)[k]) for k in range(2) for i in np.ndindex(*output))
    elif type(layer) in (Sum, Mean):
        for unit, among in _reduced(layer, shapes[0]):
            weight = Fraction(1, len(among) if type(layer) is Mean else 1)
            yield from ((0, unit, i, weight) for i in among)
    else:
        _check_fixed(layer)
        raise RuleError(f"the oracle has no matrix for {type(layer).__name__}; it knows lrpref's own linear layers")


def _is_own(layer: Layer) -> bool:
    """Whether the type of a layer is one of lrpref's own: a subclass may compute something else."""
    return type(layer).__module__.startswith(f"{Layer.__module__.rpartition('.')[0]}.")


def _kernel_entries(layer: Conv | ConvTranspose, shape: Shape, output: Shape) -> Iterator[Entry]:
    """The connections of a convolution: output channel o and input channel i of its group, through each tap."""
    w, transposed = to_numpy(layer.weight), isinstance(layer, ConvTranspose)
    per_group_in, per_group_out = (channels // layer.groups for channels in layer.channels)
    for o, c, place in product(range(output[0]), range(per_group_in), np.ndindex(*output[1:])):
        i = o // per_group_out * per_group_in + c
        for tap, cell in _window(layer, shape, place):
            yield 0, (o, *place), (i, *cell), w[(i, o % per_group_out, *tap) if transposed else (o, c, *tap)]


def _check_fixed(layer: LinearLayer) -> None:
    """Raise RuleError for a layer whose weights and bias depend on the values of the input."""
    if isinstance(layer, SampleNorm | MatMul):
        raise RuleError(f"the weights of {type(layer).__name__} depend on the values of its input: use oracle.messages")


def _of_product(layer: MatMul, sample: tuple[np.ndarray, ...], output: Shape) -> tuple[list[Entry], np.ndarray]:
    """The connections of a MatMul for a sample, each weight being the other factor's cell; there is no bias."""
    (A, B), entries = sample, []
    share = constant(layer.scale, like=A) / len(layer.explained)
    for (*matrix_, j, p), i in product(np.ndindex(*output), range(A.shape[-1])):
        cells = (*matrix_, j, i), (*matrix_, p, i) if layer.transpose else (*matrix_, i, p)
        others = B[cells[1]], A[cells[0]]
        entries += [(k, (*matrix_, j, p), cells[k], share * others[k]) for k in layer.explained]
    return entries, np.zeros(int(np.prod(output)))


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


def _window(layer: Any, shape: Shape, place: Index) -> Iterator[tuple[Index, Index]]:
    """Yield (tap, cell) for every tap that connects the output at `place` with a cell of the input."""
    window = layer.window
    for tap in np.ndindex(*window.kernel):
        sides = zip(place, tap, window.stride, window.dilation, window.padding[::2], strict=True)
        if isinstance(layer, ConvTranspose):  # cell * stride + tap * dilation - before = place
            shifted = [(p + before - t * d, s) for p, t, s, d, before in sides]
            if any(at % s for at, s in shifted):
                continue
            cell = tuple(at // s for at, s in shifted)
        else:
            cell = tuple(p * s + t * d - before for p, t, s, d, before in sides)
        if all(0 <= k < n for k, n in zip(cell, shape[1:], strict=True)):
            yield tap, cell


def _averaged(layer: Layer, shape: Shape, output: Shape, place: Index) -> Iterator[tuple[Index, Fraction]]:
    """Yield (cell, weight) for every cell of a channel that enters the weighted mean at `place`."""
    if isinstance(layer, UpsampleLinear):
        for cell in np.ndindex(*shape[1:]):
            sides = zip(place, cell, shape[1:], output[1:], layer.ratios((1, *shape)), strict=True)
            weight = prod(_hat(layer.coordinates, k, i, n, m, ratio) for k, i, n, m, ratio in sides)
            if weight:
                yield cell, Fraction(weight)
        return
    cells = list(_cells(layer, shape, place))
    counted = len(cells)
    if isinstance(layer, AvgPool):
        counted = layer.divisor or (_with_padding(layer, shape, place) if layer.count_include_pad else counted)
    yield from ((cell, Fraction(1, counted)) for cell in cells)


def _hat(coordinates: str, k: int, i: int, n: int, m: int, ratio: Fraction) -> Fraction:
    """The weight of cell i of n at cell k of m: 1 at its own coordinate, falling to 0 at its neighbours'."""
    return max(Fraction(0), 1 - abs(_place(coordinates, k, n, m, ratio) - i))


def _place(coordinates: str, k: int, n: int, m: int, ratio: Fraction) -> Fraction:
    """The coordinate of cell k of m on an axis of n cells."""
    half = Fraction(1, 2)
    middle = (k + half) * ratio - half
    x = {
        "asymmetric": k * ratio,
        "align_corners": Fraction(k * (n - 1), m - 1 if m > 1 else 1),
        "half_pixel": middle,
        "half_pixel_symmetric": middle + (n - m * ratio) / 2,
        "pytorch_half_pixel": Fraction(0) if m == 1 else middle,
    }[coordinates]
    return min(max(x, Fraction(0)), Fraction(n - 1))


def _with_padding(layer: AvgPool, shape: Shape, place: Index) -> int:
    """How many cells of the padded input a window has."""
    w = layer.window
    sides = zip(place, w.kernel, w.stride, w.dilation, shape[1:], w.padding[::2], w.padding[1::2], strict=True)
    return prod(sum(p * s + t * d < before + n + after for t in range(k)) for p, k, s, d, n, before, after in sides)


def _cells(layer: Layer, shape: Shape, place: Index) -> Iterator[Index]:
    """The cells of a channel that a pool's window has at `place`, in reading order."""
    if isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        yield from np.ndindex(*shape[1:])
    elif isinstance(layer, AdaptiveAvgPool | AdaptiveMaxPool):
        sides = zip(place, shape[1:], layer.positions, strict=True)
        yield from product(*(range(k * n // m, ceil(Fraction((k + 1) * n, m))) for k, n, m in sides))
    else:
        yield from (cell for _, cell in _window(layer, shape, place))


def _reduced(layer: Any, shape: Shape) -> Iterator[tuple[Index, list[Index]]]:
    """Yield (output index, the cells that it is made of, in reading order) for a reduction over axes of a sample."""
    over = {axis % (len(shape) + 1) - 1 for axis in layer.axes}
    outer = [range(1) if axis in over else range(n) for axis, n in enumerate(shape)]
    for base in product(*outer):
        cells = list(product(*(range(n) if axis in over else [base[axis]] for axis, n in enumerate(shape))))
        yield tuple(k for axis, k in enumerate(base) if layer.keepdims or axis not in over), cells


# ---- rules as fractions ----------------------------------------------------------------------------------------


def _linear_share(layer: LinearLayer, sample: tuple[np.ndarray, ...], rule: Rule, output: Shape) -> np.ndarray:
    """The fraction of R_j that each input receives: (outputs, inputs of all branches)."""
    shapes = [a.shape for a in sample]
    starts = np.cumsum([0, *(a.size for a in sample)])
    a = np.concatenate([x.reshape(-1) for x in sample])
    w = full((int(np.prod(output)), int(starts[-1])), 0, like=a)
    connected = np.zeros(w.shape, dtype=bool)
    b: Any
    entries: Any
    if isinstance(layer, SampleNorm):
        entries, b = _of_norm(layer, sample[0])
    elif type(layer) is MatMul:
        entries, b = _of_product(layer, sample, output)
    else:
        entries, b = _entries(layer, shapes), None
    for k, j, i, weight in entries:
        place = np.ravel_multi_index(j, output), starts[k] + np.ravel_multi_index(i, shapes[k])
        w[place], connected[place] = constant(weight, like=a) if isinstance(weight, Fraction) else weight, True
    _check_known(rule)
    b = converted(bias(layer, *shapes) if b is None else b, like=a)
    if isinstance(rule, Relative):
        return _relative(rule.reading, a, w, b, layer.fan_in(*((1, *shape) for shape in shapes)))
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


def _relative(reading: str, a: Any, w: Any, b: Any, n: int) -> np.ndarray:
    """sgn(z_j) a_i w_ij / n, or what another reading has in place of the sign and of n."""
    z = (a * w).sum(axis=1) + b
    sign = 1 if reading == "unsigned" else np.where(z < 0, -1, np.where(z >= 0, 1, z))[:, None]
    if reading == "unit-norm":
        return _over(sign * a * w, abs(w).sum(axis=1))
    share: np.ndarray = sign * a * w / (1 if reading == "no-divisor" else n)
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
    Relative: frozenset({"reading"}),
}
"""The parameters of each rule that the literal forms above take into account; any other one is an error."""


# ---- routes ----------------------------------------------------------------------------------------------------


def _routing_share(layer: Layer, sample: tuple[np.ndarray, ...], output: Shape) -> np.ndarray:
    """The fraction of R_j that each input receives: a matrix of ones and zeros, except for shared ties and products."""
    size = sum(a.size for a in sample)
    passes = isinstance(layer, Elementwise) and type(layer).flow is Elementwise.flow
    if passes or type(layer) in (Flatten, Dropout, Reshape):
        return to_numpy(converted(np.eye(size), like=sample[0]))
    numbers = np.arange(size)
    parts = np.split(numbers, np.cumsum([a.size for a in sample])[:-1])
    numbered = [part.reshape(a.shape) for part, a in zip(parts, sample, strict=True)]
    share: Any = full((int(np.prod(output)), size), 0, like=sample[0])
    if type(layer) is Concat:
        axis = layer.axis - 1 if layer.axis > 0 else layer.axis
        share[np.arange(size), np.concatenate(numbered, axis=axis).reshape(-1)] = 1
    elif isinstance(layer, Pad) and _is_own(layer):
        sides = [(0, 0), *zip(layer.border[::2], layer.border[1::2], strict=True)]
        how: Any = {"replicate": "edge", "circular": "wrap"}.get(layer.mode, layer.mode)
        nothing: Any = {"constant_values": -1} if how == "constant" else {}
        origin = np.pad(numbered[0], sides, mode=how, **nothing).reshape(-1)
        share[np.flatnonzero(origin >= 0), origin[origin >= 0]] = 1
    elif isinstance(layer, UpsampleNearest) and _is_own(layer):
        for row, (c, *place) in enumerate(np.ndindex(*output)):
            axes = zip(place, sample[0].shape[1:], output[1:], layer.ratios((1, *sample[0].shape)), strict=True)
            cell = [_rounded(layer.rounding, _place(layer.coordinates, k, n, m, ratio)) for k, n, m, ratio in axes]
            share[row, numbered[0][(c, *cell)]] = 1
    elif isinstance(layer, MaxPool | GlobalMaxPool | AdaptiveMaxPool) and _is_own(layer):
        for row, (c, *place) in enumerate(np.ndindex(*output)):
            cells = [(c, *cell) for cell in _cells(layer, sample[0].shape, tuple(place))]
            _send_to_winners(share[row], layer.ties, cells, sample[0], numbered[0])
    elif isinstance(layer, Extreme) and _is_own(layer):
        values, size = np.concatenate([layer.sign * a.reshape(-1) for a in sample]), sample[0].size
        for row in range(size):
            rivals: list[Index] = [(row + k * size,) for k in range(len(sample))]
            _send_to_winners(share[row], layer.ties, rivals, values, np.arange(len(values)))
    elif type(layer) is Max:
        for row, (_, among) in enumerate(_reduced(layer, sample[0].shape)):
            _send_to_winners(share[row], layer.ties, among, sample[0], numbered[0])
    elif type(layer) is Multiply:
        parts_of = {"half": (Fraction(1, 2), Fraction(1, 2)), "signal": (1 - layer.signal, layer.signal)}[layer.split]
        for row, j in enumerate(np.ndindex(*output)):
            for places, part in zip(numbered, parts_of, strict=True):
                share[row, places[tuple(np.minimum(j, np.array(places.shape) - 1))]] = constant(part, like=share)
    elif type(layer) is Softmax:
        share = _expanded(layer, sample[0], share)
    elif type(layer) is Embedding:
        for row, (*token, _) in enumerate(np.ndindex(*output)):
            share[row, numbered[0][tuple(token)]] = 1
    elif type(layer) is PrependTokens:
        learned = len(share) - size
        share[np.arange(learned, len(share)), np.arange(size)] = 1
    elif type(layer) in _ORIGIN:
        for row, j in enumerate(np.ndindex(*output)):
            share[row, numbered[0][_ORIGIN[type(layer)](layer, j, sample[0].shape)]] = 1
    else:
        raise RuleError(f"the oracle has no route through {type(layer).__name__}; it knows lrpref's own routing layers")
    return share


def _expanded(layer: Softmax, x: np.ndarray, share: np.ndarray) -> np.ndarray:
    """x_i (delta_ij - s_i) for the cells i and j of each line along the axis."""
    axis = layer.axis - 1 if layer.axis > 0 else layer.axis
    values, cells = (
        np.moveaxis(v, axis, -1).reshape(-1, x.shape[axis]) for v in (x, np.arange(x.size).reshape(x.shape))
    )
    for line, at in zip(values, cells, strict=True):
        e: Any = irrational("exp", line - max(line), "Softmax")
        s = e / sum(e)
        for i, j in product(range(len(line)), repeat=2):
            share[at[j], at[i]] = line[i] * ((i == j) - s[i])
    return share


def _send_to_winners(share: Any, ties: str, cells: list[Index], a: np.ndarray, numbered: np.ndarray) -> None:
    """Share one output among the largest of the cells, or the first of them; NaN is larger than every number."""
    values = [a[cell] for cell in cells]
    no_numbers = [cell for cell, v in zip(cells, values, strict=True) if v != v]
    winners = no_numbers or [cell for cell, v in zip(cells, values, strict=True) if v == max(values)]
    winners = winners[:1] if ties == "first" else winners
    for cell in winners:
        share[numbered[cell]] = constant(Fraction(1, len(winners)), like=share)


def _rounded(rounding: str, x: Fraction) -> int:
    """The cell next to the coordinate x; a half goes where the name says."""
    if rounding in ("floor", "ceil"):
        return floor(x) if rounding == "floor" else ceil(x)
    down = x - floor(x) < Fraction(1, 2) or (x - floor(x) == Fraction(1, 2) and rounding == "round_prefer_floor")
    return floor(x) if down else ceil(x)


def _of_slice(layer: Slice, j: Index, shape: Shape) -> Index:
    """The cell that a slice reads at j: the k-th of those along its axis."""
    axis = layer.axis % (len(shape) + 1) - 1
    read = list(range(shape[axis]))[layer.start : layer.stop : layer.step]
    return (*j[:axis], read[j[axis]], *j[axis + 1 :])


def _of_permute(layer: Permute, j: Index, shape: Shape) -> Index:
    """The cell whose index along axis axes[k] is the output's along axis k."""
    return tuple(j[layer.axes.index(axis) - 1] for axis in range(1, len(shape) + 1))


def _of_pixel_shuffle(layer: PixelShuffle, j: Index, shape: Shape) -> Index:
    """The cell (r r c + r i + l, y, x) for the pixel (c, r y + i, r x + l)."""
    (c, row, column), r = j, layer.upscale_factor
    return r * r * c + r * (row % r) + column % r, row // r, column // r


def _of_pixel_unshuffle(layer: PixelUnshuffle, j: Index, shape: Shape) -> Index:
    """The pixel (c, r y + i, r x + l) for the cell (r r c + r i + l, y, x)."""
    (k, y, x), r = j, layer.downscale_factor
    return k // (r * r), r * y + k % (r * r) // r, r * x + k % r


def _of_channel_shuffle(layer: ChannelShuffle, j: Index, shape: Shape) -> Index:
    """Channel (C / g) i + k for channel g k + i."""
    k, i = divmod(j[0], layer.groups)
    return (shape[0] // layer.groups * i + k, *j[1:])


_ORIGIN: dict[type[Layer], Callable[..., Index]] = {
    Slice: _of_slice,
    Permute: _of_permute,
    PixelShuffle: _of_pixel_shuffle,
    PixelUnshuffle: _of_pixel_unshuffle,
    ChannelShuffle: _of_channel_shuffle,
}
"""For each layer that moves cells: the index of the input's cell that becomes the output's cell j."""
