"""The oracle is the reference for other tests, so it is checked here against plain loops and against scipy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal, sparse

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Layer,
    LinearLayer,
    MaxPool2D,
    Pad2D,
    Scale,
    oracle,
    rules,
)
from lrpref.errors import RuleError
from lrpref.layers import Conv, LogSoftmax
from lrpref.testing import LayerCase
from lrpref.testing.strategies import LAYERS, ROUTING, layer_cases, nonnegative

few = settings(max_examples=settings.default.max_examples // 4)


def test_no_samples_have_no_messages() -> None:
    a, R = np.zeros((0, 2)), np.zeros((0, 3))
    assert oracle.messages(Dense(np.ones((3, 2))), a, R, rules.Zero()).shape == (0, 2, 3)


# ---- layers as matrices ------------------------------------------------------------------------------------------


def correlated(a: np.ndarray, conv: Conv) -> np.ndarray:
    """A convolution of one sample by SciPy: pad, spread the kernel by its dilation, correlate, keep every stride-th."""
    sides = zip(conv.padding[::2], conv.padding[1::2], strict=True)
    padded = np.pad(a, [(0, 0), *sides])
    O, C, *kernel = conv.weight.shape
    wide = np.zeros((O, C, *(d * (k - 1) + 1 for d, k in zip(conv.dilation, kernel, strict=True))))
    wide[:, :, *(slice(None, None, d) for d in conv.dilation)] = conv.weight
    size = O // conv.groups
    out = [sum(signal.correlate(padded[o // size * C + c], wide[o, c], "valid") for c in range(C)) for o in range(O)]
    return np.stack(out)[:, *(slice(None, None, s) for s in conv.stride)]


@given(case=layer_cases("conv"))
def test_the_matrix_of_a_convolution_is_scipys_correlation(case: LayerCase) -> None:
    (matrix,) = oracle.matrix(case.layer, case.shapes[0][1:])
    assert sparse.issparse(matrix)
    for a in case.inputs[0]:
        assert_array_equal((matrix @ a.reshape(-1)).reshape(case.R.shape[1:]), correlated(a, case.layer))


@pytest.mark.parametrize("count", [True, False])
def test_the_matrix_of_an_average_pool(count: bool) -> None:
    """A 1 x 3 image, windows of 2 with stride 2 and one cell of padding on the left: (pad, 0) and (1, 2)."""
    pool = AvgPool2D((1, 2), padding=(0, 0, 1, 0), count_include_pad=count)
    (matrix,) = oracle.matrix(pool, (1, 1, 3))
    assert_array_equal(matrix.toarray(), [[0.5 if count else 1.0, 0, 0], [0, 0.5, 0.5]])


def test_the_matrices_of_the_other_linear_layers() -> None:
    w = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert_array_equal(oracle.matrix(Dense(w), (3,))[0].toarray(), w)
    assert_array_equal(oracle.matrix(Scale([2.0, 3.0]), (2, 1, 2))[0].toarray(), np.diag([2.0, 2.0, 3.0, 3.0]))
    assert_array_equal(oracle.matrix(lrpref.GlobalAvgPool2D(), (1, 2, 2))[0].toarray(), [[0.25] * 4])
    for matrix in oracle.matrix(Add(), (2,), (2,)):
        assert_array_equal(matrix.toarray(), np.eye(2))


def test_the_bias_is_one_number_per_output() -> None:
    assert_array_equal(oracle.bias(Dense(np.ones((2, 1)), [1.0, 2.0]), (1,)), [1.0, 2.0])
    assert_array_equal(oracle.bias(Dense(np.ones((2, 1))), (1,)), [0.0, 0.0])
    conv = Conv2D(np.ones((2, 1, 1, 1)), [1.0, 2.0])
    assert_array_equal(oracle.bias(conv, (1, 1, 3)), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    # beta - g mu / s = 1 - 3 * 4 / 2
    assert_array_equal(oracle.bias(BatchNorm([3.0], [1.0], [4.0], [3.75], eps=0.25), (1,)), [-5.0])
    # Taps (1, 10): at the first position the left one lies on the padding, at the second both lie inside.
    taps = Conv2D(np.zeros((1, 1, 1, 2)), [100.0], padding=(0, 0, 1, 0), bias_taps=[[[1.0, 10.0]]])
    assert_array_equal(oracle.bias(taps, (1, 1, 2)), [110.0, 111.0])


# ---- the shape and the sum of messages ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LAYERS)
@few
@given(data=st.data())
def test_messages_are_one_number_per_sample_input_and_output(kind: str, data: st.DataObject) -> None:
    """Messages have shape (N, *input, *output): a single array for one input, a tuple of arrays for a tuple."""
    layer, inputs, R = case = data.draw(layer_cases(kind))
    found = lrpref.messages(layer, inputs, R, rules.Flat())
    assert isinstance(found, tuple)
    assert [m.shape for m in found] == [(*shape, *R.shape[1:]) for shape in case.shapes]
    if len(inputs) == 1:
        assert_array_equal(lrpref.messages(layer, inputs[0], R, rules.Flat()), found[0])


@pytest.mark.parametrize("kind", [kind for kind in ROUTING if kind not in ("pad", "prepend_tokens")])
@few
@given(data=st.data())
def test_routes_hand_on_everything_to_one_place(kind: str, data: st.DataObject) -> None:
    """The messages of each output sum to its R (up to the rounding of thirds); only tied maxima split it."""
    layer, inputs, R = case = data.draw(layer_cases(kind))
    found = lrpref.messages(layer, inputs, R, rules.Zero())
    total = sum(m.sum(axis=tuple(range(1, a.ndim))) for m, a in zip(found, inputs, strict=True))
    assert_allclose(total, R, rtol=1e-15)
    if getattr(case.layer, "ties", "first") == "first":
        senders = sum((m != 0).sum(axis=tuple(range(1, a.ndim))) for m, a in zip(found, inputs, strict=True))
        assert_array_equal(senders, R != 0)


def test_messages_of_a_max_pool() -> None:
    """The second of two windows has two equal maxima: the first takes all, or each takes half."""
    a, R = np.asarray([[[[1.0, 2.0, 3.0, 3.0]]]]), np.asarray([[[[5.0, 8.0]]]])
    for ties, expected in (("first", [8.0, 0.0]), ("equal", [4.0, 4.0])):
        found = lrpref.messages(MaxPool2D((1, 2), ties=ties), a, R, rules.Zero())
        assert_array_equal(found[0, 0, 0, :, 0, 0, :], [[0, 0], [5, 0], [0, expected[0]], [0, expected[1]]])


def test_messages_of_a_border_go_nowhere() -> None:
    R = np.asarray([[[[1.0, 2.0, 4.0]]]])
    found = lrpref.messages(Pad2D((0, 0, 1, 1)), np.ones((1, 1, 1, 1)), R, rules.Zero())
    assert_array_equal(found[0, 0, 0, 0, 0, 0], [0.0, 2.0, 0.0])


def test_messages_of_concat() -> None:
    found = lrpref.messages(Concat(), (np.ones((1, 1)), np.ones((1, 2))), np.asarray([[1.0, 2.0, 4.0]]), rules.Zero())
    assert_array_equal(found[0][0], [[1.0, 0.0, 0.0]])
    assert_array_equal(found[1][0], [[0.0, 2.0, 0.0], [0.0, 0.0, 4.0]])


# ---- rules, by loops over a Dense layer --------------------------------------------------------------------------


def literal(name: str, a: np.ndarray, w: np.ndarray, b: np.ndarray, R: np.ndarray, i: int, j: int) -> float:
    """The message R[i<-j] as printed in the paper, in Python floats."""
    products = [float(a[k] * w[j, k]) for k in range(len(a))]
    up, down = [max(p, 0.0) for p in products], [min(p, 0.0) for p in products]
    z_up, z_down = sum(up) + max(float(b[j]), 0.0), sum(down) + min(float(b[j]), 0.0)
    squares = [float(v) ** 2 for v in w[j]]
    numerator, denominator = {
        "zero": (products[i], sum(products) + float(b[j])),
        "z-plus": (up[i], z_up),
        "w-square": (squares[i], sum(squares)),
        "flat": (1.0, float(len(a))),
        "absolute": (abs(products[i]), sum(map(abs, products)) + abs(float(b[j]))),
        "alpha-beta": (up[i], z_up),
    }[name]
    share = numerator / denominator if denominator else 0.0
    if name == "alpha-beta":
        share = 2 * share - (down[i] / z_down if z_down else 0.0)
    return share * float(R[j])


@pytest.mark.parametrize("name", ["zero", "z-plus", "w-square", "flat", "absolute", "alpha-beta"])
@given(case=layer_cases("dense"))
def test_messages_of_a_dense_layer_by_loops(name: str, case: LayerCase) -> None:
    """z is dyadic and therefore exact: only the division and the two steps of alpha - beta round."""
    layer, (a,), R = case
    b = np.zeros(R.shape[1]) if layer.bias is None else layer.bias
    found = lrpref.messages(layer, a, R, rules.RULES[name]())
    for n, i, j in np.ndindex(found.shape):
        assert_allclose(found[n, i, j], literal(name, a[n], layer.weight, b, R[n], i, j), rtol=1e-14, atol=1e-14)


def test_messages_of_an_add_by_hand() -> None:
    """1 + 3 = 4: shares of a quarter and three quarters by value, of one half each under flat."""
    inputs, R = (np.asarray([[1.0]]), np.asarray([[3.0]])), np.asarray([[8.0]])
    for rule, expected in ((rules.Zero(), (2.0, 6.0)), (rules.Flat(), (4.0, 4.0))):
        assert_array_equal([m[0, 0, 0] for m in lrpref.messages(Add(), inputs, R, rule)], expected)


def test_messages_of_z_box_have_bounds_per_channel_cell_and_sample() -> None:
    """With a = 0 and w = 1 the share is proportional to -l; three of the shapes a bound may have."""
    conv = Conv2D(np.ones((1, 2, 1, 1)))
    a, R = np.zeros((2, 2, 1, 1)), np.ones((2, 1, 1, 1))
    for low, expected in (
        ([-1.0, -3.0], [[1 / 4, 3 / 4]] * 2),
        ([[[-1.0]], [[-1.0]]], [[1 / 2, 1 / 2]] * 2),
        ([[[[-1.0]], [[-3.0]]], [[[-3.0]], [[-1.0]]]], [[1 / 4, 3 / 4], [3 / 4, 1 / 4]]),
    ):
        assert_array_equal(lrpref.messages(conv, a, R, rules.ZBox(low, 0.0))[:, :, 0, 0, 0, 0, 0], expected)


def test_whole_numbers_are_numbers_too() -> None:
    """Integer inputs do not truncate the weights to integers."""
    layer = Dense([[0.125, 0.375]])
    assert_array_equal(
        lrpref.messages(layer, np.ones((1, 2), dtype=int), np.ones((1, 1)), rules.Zero())[0, :, 0], [0.25, 0.75]
    )


@few
@given(case=layer_cases("dense", inputs=nonnegative))
def test_float32_stays_float32(case: LayerCase) -> None:
    layer = case.layer.map_arrays(lambda array: array.astype(np.float32))
    found = lrpref.messages(layer, case.inputs[0].astype(np.float32), case.R.astype(np.float32), rules.ZPlus())
    assert found.dtype == np.float32


# ---- what the oracle refuses -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own(rules.Rule):
    def ratios(self) -> tuple[rules.Ratio, ...]:
        return rules.Zero().ratios()


@dataclass(frozen=True, eq=False)
class Twice(LinearLayer):
    """A user-defined linear layer."""


@dataclass(frozen=True, eq=False)
class Somewhere(Layer):
    """A user-defined routing layer."""


@pytest.mark.parametrize(
    ("layer", "rule", "message"),
    [
        (Dense([[1.0]]), Own(), "no literal form of Own; it knows lrpref's own rules"),
        (Twice(), rules.Zero(), "the oracle has no matrix for Twice"),
        (Somewhere(), rules.Zero(), "the oracle has no route through Somewhere"),
        (LogSoftmax(), rules.Zero(), "the oracle has no route through LogSoftmax"),
    ],
)
def test_what_the_oracle_refuses(layer: Any, rule: rules.Rule, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        lrpref.messages(layer, np.ones((1, 1)), np.ones((1, 1)), rule)


@pytest.mark.parametrize("name", rules.RULES)
def test_every_rule_has_a_literal_form(name: str) -> None:
    """On the simplest possible layer, which even Pass accepts, the single input receives all of R."""
    rule = {
        "z-box": rules.ZBox(-1.0, 1.0),
        "epsilon": rules.Epsilon(0.0),
        "alpha-beta": rules.AlphaBeta(empty="renormalise"),
    }.get(name) or rules.RULES[name]()
    assert_array_equal(lrpref.messages(Scale([1.0]), np.ones((1, 1)), np.full((1, 1), 3.0), rule), [[[3.0]]])
