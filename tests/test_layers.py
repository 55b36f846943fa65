"""The contract of every layer: values, shapes, adjoints, routing, and no change to its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    Network,
    Pad2D,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    Softmax,
    Tanh,
    ThreshReLU,
    oracle,
    rules,
    to_numpy,
)
from lrpref.backend import is_array
from lrpref.errors import DTypeError, ParameterError, RuleError, ShapeError
from lrpref.layers.base import as_tuple
from lrpref.rules import identity, magnitude, negative, one, positive, square
from lrpref.testing import LayerCase, check_adjoint
from lrpref.testing.strategies import (
    ELEMENTWISE,
    LAYERS,
    LINEAR,
    PRODUCTS,
    ROUTING,
    SMOOTH,
    arrays,
    conv,
    images,
    layer_cases,
)

every_linear_layer = pytest.mark.parametrize("kind", LINEAR)
WITH_MATRIX = [kind for kind in LINEAR if LINEAR[kind].fitted is None and kind != "mat_mul"]
every_layer_with_a_matrix = pytest.mark.parametrize("kind", WITH_MATRIX)
"""The weights of the others depend on the input; tests/test_sample_norm.py and tests/test_attention.py have theirs."""
every_layer = pytest.mark.parametrize("kind", LAYERS)

few = settings(max_examples=settings.default.max_examples // 4)
"""Fewer examples, for laws that are tested on every kind of layer."""

MAPS = st.sampled_from([identity, positive, negative, magnitude, square, one])
"""The maps that rules apply to the weights."""


def image(*rows: list[float]) -> np.ndarray:
    """A batch of one sample with one channel."""
    return np.asarray(rows, dtype=np.float64)[None, None]


def arrays_of(layer: lrpref.Layer) -> list[Any]:
    """The arrays that a layer holds."""
    return [getattr(layer, f.name) for f in fields(layer) if is_array(getattr(layer, f.name))]


def numpy_tuple(x: Any) -> tuple[np.ndarray, ...]:
    """One array, or a tuple of them, on the CPU."""
    return tuple(map(to_numpy, as_tuple(x)))


# ---- linear layers are matrices ----------------------------------------------------------------------------------


@every_linear_layer
@few
@given(data=st.data(), weights=MAPS)
def test_the_adjoint_is_the_transpose(kind: str, backend: Any, data: st.DataObject, weights: Any) -> None:
    """<W a, s> = <a, W^T s>, for every map that a rule applies to the weights.

    The comparison is exact because sums of dyadic numbers are.
    """
    case = data.draw(layer_cases(kind))
    layer, inputs, s = backend(case)
    w = weights(layer.parameters(*inputs)[0])
    linear, adjoint = partial(layer.linear, w), lambda s: layer.adjoint(w, s, *case.shapes)
    check_adjoint(linear, adjoint, inputs, s, tolerance=0)


@every_linear_layer
@few
@given(data=st.data())
def test_the_adjoint_is_shaped_like_the_inputs(kind: str, data: st.DataObject) -> None:
    layer, inputs, s = case = data.draw(layer_cases(kind))
    w, _ = layer.parameters(*inputs)
    assert tuple(c.shape for c in numpy_tuple(layer.adjoint(w, s, *case.shapes))) == case.shapes


@every_layer_with_a_matrix
@few
@given(data=st.data())
def test_forward_is_the_explicit_matrix_plus_bias(kind: str, backend: Any, data: st.DataObject) -> None:
    case = data.draw(layer_cases(kind))
    layer, inputs, _ = backend(case)
    shapes = [shape[1:] for shape in case.shapes]
    parts = oracle.matrix(case.layer, *shapes)
    flat = [a.reshape(len(a), -1) for a in case.inputs]
    z = sum((W @ a.T).T for W, a in zip(parts, flat, strict=True)) + oracle.bias(case.layer, *shapes)
    assert_array_equal(to_numpy(layer.forward(*inputs)).reshape(z.shape), z)


@every_layer_with_a_matrix
@few
@given(data=st.data())
def test_fan_in_counts_the_connections_of_a_unit(kind: str, data: st.DataObject) -> None:
    """Exact for windows without padding; elsewhere padding cells count as well."""
    case = data.draw(layer_cases(kind))
    layer = case.layer.map_arrays(np.ones_like)
    parts = oracle.matrix(layer, *(shape[1:] for shape in case.shapes))
    connections = sum(np.asarray((W != 0).sum(axis=1)) for W in parts)
    n = layer.fan_in(*case.shapes)
    assert connections.max() <= n
    varies = kind in ("adaptive_avg_pool", "conv_transpose", "upsample_linear") or getattr(layer, "ceil_mode", False)
    if not varies and not any(getattr(layer, "padding", ())):
        assert connections.min() == n


@pytest.mark.parametrize(
    ("layer", "shapes", "n"),
    [
        (Dense(np.ones((2, 5))), [(1, 5)], 5),
        (Conv2D(np.ones((4, 3, 2, 5)), padding=4, groups=2), [(1, 6, 5, 5)], 30),
        (AvgPool2D((2, 3), padding=1), [(1, 1, 4, 4)], 6),
        (AvgPool2D((2, 3), padding=1, count_include_pad=False), [(1, 1, 4, 4)], 6),
        (GlobalAvgPool2D(), [(1, 3, 4, 5)], 20),
        (Scale([1.0, 1.0]), [(1, 2, 3, 3)], 1),
        (BatchNorm(None, None, [0.0], [1.0]), [(1, 1)], 1),
        (Add(), [(1, 2)] * 3, 3),
    ],
)
def test_fan_in_by_hand(layer: lrpref.LinearLayer, shapes: list[Any], n: int) -> None:
    assert layer.fan_in(*shapes) == n


def test_a_bias_by_taps_stops_at_the_padding() -> None:
    """Each tap adds its bias only where it covers the image: 2 x 2 taps of 1, 10, 100, 1000 around one cell."""
    taps = [[[1.0, 10.0], [100.0, 1000.0]]]
    conv = Conv2D(np.zeros((1, 1, 2, 2)), padding=1, bias_taps=taps)
    assert_array_equal(conv.forward(image([7.0])), image([1000.0, 100.0], [10.0, 1.0]))


@pytest.mark.parametrize(("count", "corner", "edge"), [(True, 4 / 9, 6 / 9), (False, 1.0, 1.0)])
def test_the_mean_of_a_padded_window(count: bool, corner: float, edge: float) -> None:
    """3 x 3 windows on a padded 3 x 3 image of ones: 4 image cells in a corner, 6 at an edge, 9 inside."""
    mean = AvgPool2D(3, 1, 1, count_include_pad=count).forward(np.ones((1, 1, 3, 3)))
    assert_allclose(mean, image([corner, edge, corner], [edge, 1, edge], [corner, edge, corner]), rtol=1e-15)


def test_batch_norm_is_its_formula() -> None:
    """g (a - mu) / sqrt(var + eps) + beta = 3 (5 - 1) / 2 - 4 = 2."""
    norm = BatchNorm([3.0], [-4.0], [1.0], [3.5], eps=0.5)
    assert_array_equal(norm.forward(np.asarray([[5.0]])), [[2.0]])
    assert_array_equal(BatchNorm(None, None, [1.0], [3.5], eps=0.5).forward(np.asarray([[5.0]])), [[2.0]])
    assert_array_equal(BatchNorm(None, None, [1.0], [-0.25], eps=0.5).forward(np.asarray([[5.0]])), [[8.0]])


# ---- shapes and batches ------------------------------------------------------------------------------------------


@every_layer
@few
@given(data=st.data())
def test_output_shape_is_the_shape_of_the_output(kind: str, backend: Any, data: st.DataObject) -> None:
    case = data.draw(layer_cases(kind))
    layer, inputs, _ = backend(case)
    assert layer.output_shape(*case.shapes) == tuple(layer.forward(*inputs).shape)


@every_layer
@few
@given(data=st.data())
def test_a_sample_does_not_depend_on_its_batch(kind: str, backend: Any, data: st.DataObject) -> None:
    """Exact except for tanh, whose last bit may depend on a number's position in the array."""
    case = data.draw(layer_cases(kind))
    layer, inputs, _ = backend(case)
    together = to_numpy(layer.forward(*inputs))
    alone = [to_numpy(layer.forward(*backend(case.at(n).inputs))) for n in range(len(case.R))]
    assert_allclose(together, np.concatenate(alone), rtol=1e-14 if kind in SMOOTH else 0)


@every_layer
@few
@given(data=st.data())
def test_an_empty_batch_stays_empty(kind: str, data: st.DataObject) -> None:
    layer, inputs, R = data.draw(layer_cases(kind))
    nothing = tuple(a[:0] for a in inputs)
    assert layer.forward(*nothing).shape == (0, *R.shape[1:])
    shared = layer.relevance(nothing, R[:0], rules.Flat())
    assert [r.shape for r in shared] == [a.shape for a in nothing]


@every_layer
@few
@given(data=st.data())
def test_relevance_is_shaped_like_the_inputs(kind: str, backend: Any, data: st.DataObject) -> None:
    """A tuple of inputs returns a tuple, an array returns an array."""
    case = data.draw(layer_cases(kind))
    layer, inputs, R = backend(case)
    shared = layer.relevance(inputs, R, rules.Flat())
    assert isinstance(shared, tuple)
    assert tuple(tuple(r.shape) for r in shared) == case.shapes
    if len(inputs) == 1:
        assert_array_equal(to_numpy(layer.relevance(inputs[0], R, rules.Flat())), to_numpy(shared[0]))


# ---- inputs and arrays that layers must not change ---------------------------------------------------------------


@every_layer
@few
@given(data=st.data())
def test_nothing_given_to_a_layer_is_changed(kind: str, backend: Any, data: st.DataObject) -> None:
    case = data.draw(layer_cases(kind))
    layer, inputs, R = moved = backend(case)
    kept = [np.array(to_numpy(x)) for x in (*inputs, R, *arrays_of(layer))]
    layer.forward(*inputs)
    layer.relevance(inputs, R, rules.Absolute())
    for before, after in zip(kept, (*moved.inputs, R, *arrays_of(layer)), strict=True):
        assert_array_equal(before, to_numpy(after))


@every_layer
@few
@given(data=st.data())
def test_layers_are_frozen_and_their_arrays_read_only(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layer_cases(kind)).layer
    with pytest.raises(FrozenInstanceError):
        layer.anything = 1
    for array in arrays_of(layer):
        assert not array.flags.writeable


def test_the_array_given_stays_the_users_own() -> None:
    weight = np.ones((1, 1))
    Dense(weight)
    weight[0, 0] = 2.0
    assert weight.flags.writeable


@every_layer
@few
@given(data=st.data())
def test_float32_in_float32_out(kind: str, backend: Any, data: st.DataObject) -> None:
    """Masks stay boolean. The arithmetic of the rules is tested in test_rules."""

    def single(x: np.ndarray) -> np.ndarray:
        return x if x.dtype == bool else x.astype(np.float32)

    layer, inputs, R = data.draw(layer_cases(kind))
    layer, inputs, R = backend(LayerCase(layer.map_arrays(single), tuple(map(single, inputs)), single(R)))
    assert to_numpy(layer.forward(*inputs)).dtype == np.float32
    assert {r.dtype for r in numpy_tuple(layer.relevance(inputs, R, rules.Epsilon()))} == {np.dtype(np.float32)}


@every_layer
@few
@given(data=st.data())
def test_map_arrays_reaches_every_array_and_keeps_the_rest(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layer_cases(kind)).layer
    seen: list[np.ndarray] = []
    copy = layer.map_arrays(lambda array: (seen.append(array), array.copy())[1])
    assert len(seen) == len(arrays_of(layer))
    for f in fields(layer):
        assert_array_equal(getattr(copy, f.name), getattr(layer, f.name))


# ---- max-pooling -------------------------------------------------------------------------------------------------


@given(case=layer_cases("max_pool"))
def test_max_pool_is_the_largest_real_cell(backend: Any, case: LayerCase) -> None:
    """Compared with explicit padding by minus infinity, which is never the maximum."""
    layer, (a,) = case.layer, case.inputs
    border = layer.window.border(a.shape)
    padded = np.pad(a, [(0, 0), (0, 0), *zip(border[::2], border[1::2], strict=True)], constant_values=-np.inf)
    axes = tuple(range(2, a.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(padded, layer.window.extent, axis=axes)
    steps = [slice(None, None, s) for s in layer.stride], [slice(None, None, d) for d in layer.window.dilation]
    expected = windows[:, :, *steps[0], *steps[1]].max(axis=tuple(range(a.ndim, windows.ndim)))
    assert_array_equal(to_numpy(backend(layer).forward(backend(case.inputs[0]))), expected)


@pytest.mark.parametrize("kind", [*ROUTING, *PRODUCTS])
@few
@given(data=st.data())
def test_routes_are_the_messages(kind: str, backend: Any, data: st.DataObject) -> None:
    """Exact except for shared ties, because three times R / 3 need not be R."""
    case = data.draw(layer_cases(kind))
    layer, inputs, R = backend(case)
    messages = lrpref.messages(case.layer, case.inputs, case.R, rules.Zero())
    for shared, message in zip(numpy_tuple(layer.relevance(inputs, R, rules.Zero())), messages, strict=True):
        expected = message.sum(axis=tuple(range(shared.ndim, message.ndim)))
        # A cell is the maximum of at most 9 windows with relevance up to 4, each rounded once.
        assert_allclose(shared, expected, rtol=0, atol=1e-14 if kind in ("max", "max_pool") else 0)


@pytest.mark.parametrize(
    ("ties", "expected"), [("first", ([8.0, 0.0], [0.0, 0.0])), ("equal", ([2.0, 2.0], [2.0, 2.0]))]
)
def test_ties_of_a_constant_window(backend: Any, ties: str, expected: Any) -> None:
    pool = MaxPool2D(2, ties=ties)
    shared = pool.relevance(backend(np.ones((1, 1, 2, 2))), backend(image([8.0])), rules.Zero())
    assert_array_equal(to_numpy(shared), image(*expected))


def test_the_first_of_equal_maxima_is_the_first_in_reading_order() -> None:
    """The right cell of the first row comes before the left cell of the second."""
    shared = MaxPool2D(2).relevance(image([0.0, 5.0], [5.0, 5.0]), image([1.0]), rules.Zero())
    assert_array_equal(shared, image([0.0, 1.0], [0.0, 0.0]))


def test_a_cell_that_wins_several_windows_gets_the_sum() -> None:
    """The centre of 3 x 3 cells lies in all four 2 x 2 windows."""
    a = image([0.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.0])
    shared = MaxPool2D(2, stride=1).relevance(a, image([1.0, 2.0], [4.0, 8.0]), rules.Zero())
    assert_array_equal(shared, image([0.0, 0.0, 0.0], [0.0, 15.0, 0.0], [0.0, 0.0, 0.0]))


@pytest.mark.parametrize("ties", ["first", "equal"])
def test_padding_never_wins(ties: str) -> None:
    """Not even if all values are negative, and no relevance is lost to the padding."""
    pool = MaxPool2D(2, stride=1, padding=1, ties=ties)
    a = image([-3.0, -2.0], [-1.0, -4.0])
    assert_array_equal(pool.forward(a), image([-3.0, -2.0, -2.0], [-1.0, -1.0, -2.0], [-1.0, -1.0, -4.0]))
    assert_array_equal(pool.relevance(a, np.ones((1, 1, 3, 3)), rules.Zero()), image([1.0, 3.0], [4.0, 1.0]))


# ---- other routing layers ----------------------------------------------------------------------------------------


MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""The modes of NumPy's pad."""


@given(case=layer_cases("pad"))
def test_pad_is_numpys_and_a_constant_border_is_booked(backend: Any, case: LayerCase) -> None:
    layer, inputs, R = backend(case)
    border = [(0, 0), (0, 0), *zip(case.layer.padding[::2], case.layer.padding[1::2], strict=True)]
    constant = {"constant_values": case.layer.value} if case.layer.mode == "constant" else {}
    expected = np.pad(case.inputs[0], border, mode=MODES[case.layer.mode], **constant)
    assert_array_equal(to_numpy(layer.forward(*inputs)), expected)
    flow = layer.flow(inputs, R, None)
    if case.layer.mode != "constant":
        assert not flow.losses
        return
    sides = zip(case.shapes[0][2:], case.layer.padding[::2], strict=True)
    inside = case.R[:, :, *(slice(before, before + n) for n, before in sides)]
    assert_array_equal(to_numpy(flow.inputs[0]), inside)
    axes = tuple(range(1, case.R.ndim))
    assert_array_equal(to_numpy(flow.losses["bias"]), case.R.sum(axis=axes) - inside.sum(axis=axes))


@given(shape=images())
def test_flatten_reads_row_by_row(shape: Any) -> None:
    a = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    assert_array_equal(Flatten().forward(a), a.reshape(shape[0], -1))
    assert_array_equal(Flatten().relevance(a, a.reshape(shape[0], -1), rules.Zero()), a)


@given(case=layer_cases("concat"))
def test_concat_puts_side_by_side_and_takes_apart(case: LayerCase) -> None:
    joined = case.layer.forward(*case.inputs)
    assert_array_equal(joined, np.concatenate(case.inputs, axis=1))
    for a, back in zip(case.inputs, case.layer.relevance(case.inputs, joined, rules.Zero()), strict=True):
        assert_array_equal(back, a)


def test_dropout_does_nothing() -> None:
    a = np.ones((1, 2))
    assert_array_equal(Dropout(0.9).forward(a), a)


# ---- activations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ELEMENTWISE)
@few
@given(data=st.data())
def test_activations_pass_relevance(kind: str, backend: Any, data: st.DataObject) -> None:
    case = data.draw(layer_cases(kind))
    layer, inputs, R = backend(case)
    for rule in (rules.Zero(), None):
        assert_array_equal(to_numpy(layer.relevance(inputs, R, rule)[0]), case.R)


X = np.asarray([[-7.0, -1.0, 0.0, 5.5, 7.0]])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (ReLU(), [0.0, 0.0, 0.0, 5.5, 7.0]),
        (ReLU6(), [0.0, 0.0, 0.0, 5.5, 6.0]),
        (LeakyReLU(0.5), [-3.5, -0.5, 0.0, 5.5, 7.0]),
        (ThreshReLU(), [0.0, 0.0, 0.0, 5.5, 7.0]),
        (ThreshReLU(-2.0), [-2.0, -1.0, 0.0, 5.5, 7.0]),
        (ThreshReLU([0.0, 1.0, 2.0, 3.0, 4.0]), [0.0, 1.0, 2.0, 5.5, 7.0]),
        (ThreshReLU([-8.0] * 3 + [6.0, 5.0], np.asarray([True, False] * 2 + [True])), [-8.0, -1.0, -8.0, 6.0, 5.0]),
        (Tanh(), np.tanh(X[0])),
        (Sigmoid(), 1 / (1 + np.exp(-X[0]))),
        (lrpref.CELU(2.0), [2 * math.expm1(-3.5), 2 * math.expm1(-0.5), 0.0, 5.5, 7.0]),
        (lrpref.Clip(-2.0, 6.0), [-2.0, -1.0, 0.0, 5.5, 6.0]),
        (lrpref.ELU(0.5), [0.5 * math.expm1(-7), 0.5 * math.expm1(-1), 0.0, 5.5, 7.0]),
        (lrpref.GELU(), [x * math.erfc(-x / math.sqrt(2)) / 2 for x in X[0]]),
        (lrpref.HardSigmoid(), [0.0, 1 / 3, 0.5, 1.0, 1.0]),
        (lrpref.HardSwish(), [0.0, -1 / 3, 0.0, 5.5, 7.0]),
        (lrpref.HardTanh(-2.0, 6.0), [-2.0, -1.0, 0.0, 5.5, 6.0]),
        (lrpref.Mish(), X[0] * np.tanh(np.log1p(np.exp(X[0])))),
        (lrpref.PReLU(0.5), [-3.5, -0.5, 0.0, 5.5, 7.0]),
        (lrpref.PReLU([0.5, -2.0, 3.0, 3.0, 3.0]), [-3.5, 2.0, 0.0, 5.5, 7.0]),
        (lrpref.SiLU(), X[0] / (1 + np.exp(-X[0]))),
        (lrpref.Softplus(2.0), np.log1p(np.exp(2 * X[0])) / 2),
        (lrpref.Softsign(), [-7 / 8, -1 / 2, 0.0, 11 / 13, 7 / 8]),
        (lrpref.Threshold(-1.0, 3.0), [3.0, 3.0, 0.0, 5.5, 7.0]),
        (Softmax(), np.exp(X[0]) / np.exp(X[0]).sum()),
    ],
)
def test_activations_by_hand(backend: Any, layer: lrpref.Layer, expected: Any) -> None:
    assert_allclose(to_numpy(backend(layer).forward(backend(X))), [expected], rtol=1e-13)


@given(a=images(channels=3).flatmap(arrays))
def test_thresholds_are_per_channel_of_an_image(backend: Any, a: np.ndarray) -> None:
    t = np.asarray([-1.0, 0.0, 1.0])
    layer = ThreshReLU(t, np.asarray([False, True, False]))
    expected = np.maximum(a, t[:, None, None])
    expected[:, 1] = np.minimum(a, 0)[:, 1]
    assert_array_equal(to_numpy(backend(layer).forward(backend(a))), expected)


@pytest.mark.parametrize(
    "layer",
    [Sigmoid(), Tanh(), Softmax(), lrpref.ELU(), lrpref.GELU(), lrpref.GELU("tanh"), lrpref.Mish(), lrpref.SiLU()],
)
def test_large_numbers_do_not_overflow(layer: lrpref.Layer) -> None:
    """Warnings are errors in this test suite, so an intermediate overflow would fail the test."""
    assert np.isfinite(layer.forward(np.asarray([[-1e4, 0.0, 1e4]]))).all()


def test_softmax_sums_to_one_and_log_softmax_takes_no_relevance() -> None:
    assert_allclose(Softmax().forward(X).sum(axis=1), [1.0], rtol=1e-15)
    with pytest.raises(RuleError, match="no LRP rule for a LogSoftmax inside a network"):
        LogSoftmax().relevance(X, X, rules.Zero())


# ---- refusals ----------------------------------------------------------------------------------------------------

SHAPES: list[tuple[Callable[[], object], str]] = [
    (lambda: Dense(np.ones((2, 3))).forward(np.ones((1, 4))), r"expected \(N, 3\), got \(1, 4\)"),
    (lambda: Dense(np.ones((2, 8))).forward(np.ones((1, 2, 2, 2))), r"got \(1, 2, 2, 2\); put a Flatten\(\) before"),
    (lambda: Conv2D(np.ones((1, 1, 1, 1))).forward(np.ones((1, 4, 4))), r"got \(1, 4, 4\); add the batch axis with"),
    (lambda: Conv2D(np.ones((2, 3, 1, 1)), groups=2).forward(np.ones((1, 3, 4, 4))), r"expected 6 channels.*got 3"),
    (lambda: Conv2D(np.ones((1, 1, 3, 3)), dilation=2).forward(np.ones((1, 1, 4, 5))), r"larger input, more padding"),
    (lambda: MaxPool2D(3).forward(np.ones((1, 1, 2, 9))), r"kernel of \(3, 3\).*smaller kernel"),
    (lambda: AvgPool2D(3).forward(np.ones((1, 1, 2, 9))), r"kernel of \(3, 3\).*smaller kernel"),
    (lambda: MaxPool2D(1).forward(np.ones((1, 1))), r"expected images of shape \(N, C, H, W\), got \(1, 1\)"),
    (lambda: Pad2D(1).forward(np.ones((1, 2, 2))), r"got \(1, 2, 2\); add the batch axis"),
    (lambda: GlobalAvgPool2D().forward(np.ones((1, 2))), r"expected images"),
    (
        lambda: GlobalAvgPool2D().forward(np.ones((1, 2, 0, 3))),
        r"at least one channel and one cell, got \(1, 2, 0, 3\)",
    ),
    (lambda: Scale([1.0, 1.0]).forward(np.ones((1, 3))), r"expected 2 channels on axis 1.*got \(1, 3\)"),
    (lambda: Scale([1.0, 1.0]).forward(np.ones(2)), r"channels on axis 1 of \(N, C, \.\.\.\), got \(2,\)"),
    (
        lambda: Add().forward(np.ones((1, 2)), np.ones((1, 3))),
        r"Add needs inputs of equal shape, got \(1, 2\), \(1, 3\)",
    ),
    (
        lambda: Concat().forward(np.ones((1, 2)), np.ones((2, 2))),
        r"all dimensions except axis 1 must match, got \(1, 2\), \(2, 2\)",
    ),
    (
        lambda: ThreshReLU([1.0]).forward(np.ones((1, 2))),
        r"ThreshReLU has 1 channels, the input has 2 on axis 1 of \(1, 2\)",
    ),
    (lambda: LogSoftmax().output_shape((3,)), r"expected \(N, classes, ...\), got \(3,\)"),
    (lambda: Softmax().output_shape((3,)), r"Softmax: axis 1 must be an axis of \(3,\)"),
    (
        lambda: Dense(np.ones((2, 3))).relevance(np.ones((1, 3)), np.ones((1, 3)), rules.Zero()),
        r"relevance has shape \(1, 3\), the layer's output has \(1, 2\)",
    ),
]


@pytest.mark.parametrize(("call", "message"), SHAPES, ids=[message for _, message in SHAPES])
def test_shapes_that_do_not_fit(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


PARAMETERS: list[tuple[Callable[[], object], str]] = [
    (lambda: Dense(np.ones(3)), r"Dense weight must have 2 axes, got shape \(3,\)"),
    (
        lambda: Dense(np.ones((2, 3)), np.ones(3)),
        r"Dense weight of shape \(2, 3\) has 2 outputs, but there are 3 biases",
    ),
    (lambda: Dense([[np.nan]]), r"Dense weight holds NaN or infinities"),
    (lambda: Conv2D(np.ones((1, 1, 3))), r"Conv2D weight must have 4 axes"),
    (lambda: Conv2D(np.ones((4, 1, 1, 1)), groups=3), r"out_channels \(4\) must be divisible by groups \(3\)"),
    (lambda: Conv2D(np.ones((4, 1, 1, 1)), groups=0), r"groups must be an integer >= 1, got 0"),
    (lambda: Conv2D(np.ones((4, 1, 1, 1)), np.ones(3)), r"4 output channels, but 3 biases"),
    (
        lambda: Conv2D(np.ones((1, 1, 2, 2)), bias_taps=np.ones((1, 2, 3))),
        r"bias_taps must have shape .*, got \(1, 2, 3\)",
    ),
    (lambda: Conv2D(np.ones((1, 1, 1, 1)), stride=0), r"stride takes 1 or 2 integers >= 1, got 0"),
    (lambda: Conv2D(np.ones((1, 1, 1, 1)), dilation=(1, 0)), r"dilation takes 1 or 2 integers >= 1, got \(1, 0\)"),
    (lambda: Conv2D(np.ones((1, 1, 1, 1)), padding=-1), r"padding takes 1 or 2 or 4 integers >= 0, got -1"),
    (lambda: Conv2D(np.ones((1, 1, 1, 1)), padding=(1, 2, 3)), r"padding takes 1 or 2 or 4 integers"),
    (lambda: MaxPool2D(1.5), r"kernel_size takes 1 or 2 integers >= 1, got 1.5"),
    (lambda: MaxPool2D("3"), r"kernel_size takes 1 or 2 integers >= 1, got '3'"),
    (lambda: AvgPool2D(None), r"kernel_size takes 1 or 2 integers >= 1, got None"),
    (lambda: MaxPool2D(2, ties="last"), r'ties must be "first" or "equal", got \'last\''),
    (lambda: MaxPool2D(2, padding=2), r"without a cell of the input; it must be smaller than the kernel"),
    (lambda: AvgPool2D((3, 1), padding=(1, 1)), r"must be smaller than the kernel"),
    (lambda: Scale([[1.0]]), r"Scale weight must have 1 axis, got"),
    (lambda: Scale([1.0, 1.0], [1.0]), r"Scale has 2 weights, but 1 biases"),
    (lambda: BatchNorm(None, None, [0.0], [1.0, 1.0]), r"differ in length: .*'mean': 1, 'var': 2"),
    (lambda: BatchNorm(None, None, [0.0, 0.0], [1.0, -2.0], eps=2.0), r"in channel 1 var is -2.0, and eps is 2.0"),
    (lambda: BatchNorm(None, None, [0.0], [0.0], eps=0.0), r"var \+ eps must be positive"),
    (lambda: BatchNorm(None, None, [0.0], [1.0], eps=-0.1), r"eps must be a finite number >= 0, got -0.1"),
    (lambda: Pad2D(1, np.inf), r"Pad2D value must be a finite number, got inf"),
    (lambda: Pad2D(-1), r"padding takes"),
    (lambda: LeakyReLU(np.nan), r"negative_slope must be a finite number, got nan"),
    (lambda: ThreshReLU([[1.0]]), r"ThreshReLU threshold must have 1 axis, got"),
    (lambda: ThreshReLU(0.0, [1.0]), r"below must be one boolean per channel, got shape \(1,\) of float64"),
]


@pytest.mark.parametrize(("call", "message"), PARAMETERS, ids=[message for _, message in PARAMETERS])
def test_parameters_out_of_range(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float16, np.complex128])
def test_number_types_that_are_refused(dtype: Any) -> None:
    with pytest.raises(DTypeError, match="float32, float64 or longer"):
        Dense(np.ones((1, 1), dtype=dtype))


@pytest.mark.parametrize("number", [np.int64(2), np.int8(2), np.asarray([2, 2]), (2, 2), [2, 2], 2])
def test_geometry_takes_any_integers(number: Any) -> None:
    assert MaxPool2D(number).kernel_size == (2, 2)
    assert Conv2D(np.ones((1, 1, 1, 1)), stride=number, padding=number).padding == (2, 2, 2, 2)


@given(layer=images(channels=2).flatmap(conv))
def test_integers_and_lists_become_float64(layer: Conv2D) -> None:
    """A layer built from integers or lists equals the layer built from floats."""
    whole = np.round(layer.weight).astype(np.int64)
    assert Conv2D(whole.tolist()).weight.dtype == Conv2D(whole).weight.dtype == np.float64


@every_linear_layer
@few
@given(data=st.data())
def test_a_linear_layer_asks_for_a_rule(kind: str, data: st.DataObject) -> None:
    layer, inputs, R = data.draw(layer_cases(kind))
    for no_rule in (None, "epsilon"):
        with pytest.raises(RuleError, match=r"needs a rule of lrpref\.rules to redistribute relevance, got"):
            layer.relevance(inputs, R, no_rule)


def test_a_mask_is_no_number() -> None:
    """Masks do not determine a network's dtype, and stay boolean when it is moved or cast."""
    net = Network.sequential(ThreshReLU(np.zeros(2, dtype=np.float32), [True, False]))
    assert net.dtype == np.float32
    assert net.astype("float64")["threshrelu1"].below.dtype == bool
    moved = net.to("array-api-strict").forward(lrpref.asarray(np.asarray([[1.0, 1.0]]), "array-api-strict"))
    assert_array_equal(to_numpy(moved), [[0.0, 1.0]])
