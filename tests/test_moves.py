"""Layers that move, sum, subtract and multiply activations: by hand, in networks, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    ChannelShuffle,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    Max,
    Mean,
    Multiply,
    Network,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    Reshape,
    Sigmoid,
    Slice,
    Subtract,
    Sum,
    exact,
    rules,
)
from lrpref.errors import LrprefError, ParameterError, ShapeError
from lrpref.testing import check_layer
from lrpref.testing.cases import NetworkCase
from lrpref.testing.strategies import networks

NEW_BLOCKS = ["gate", "difference", "halves", "moves"]


def routed(layer: Layer, a: Any, R: Any) -> np.ndarray:
    """The relevance of the input; the rule does not matter."""
    found: np.ndarray = layer.relevance(np.asarray(a, dtype=float), np.asarray(R, dtype=float), rules.Zero())
    return found


# ---- moving ------------------------------------------------------------------------------------------------------


def test_a_slice_by_hand() -> None:
    """The cells that were not read receive 0."""
    a = [[1.0, 2.0, 3.0, 4.0, 5.0]]
    layer = Slice(1, 1, None, 2)
    assert_array_equal(layer.forward(a), [[2.0, 4.0]])
    assert_array_equal(routed(layer, a, [[10.0, 20.0]]), [[0, 10, 0, 20, 0]])


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [
        (None, None, 1),
        (-2, None, 1),
        (1, -1, 1),
        (None, 99, 2),
        (None, None, -1),
        (-1, 0, -2),
        (3, None, -1),
        (-9, 2, 1),
    ],
)
def test_a_slice_counts_as_python_does(start: int | None, stop: int | None, step: int) -> None:
    a = np.arange(10.0).reshape(1, 2, 5)
    for axis in (2, -1):
        assert_array_equal(Slice(axis, start, stop, step).forward(a), a[:, :, start:stop:step])


def test_shuffles_by_hand() -> None:
    """The order of the channels is torch's: channel r i + j goes to row i and column j of a block."""
    channels = np.arange(4.0).reshape(1, 4, 1, 1)
    assert_array_equal(PixelShuffle(2).forward(channels), [[[[0, 1], [2, 3]]]])
    assert_array_equal(ChannelShuffle(2).forward(np.arange(6.0)[None]), [[0, 3, 1, 4, 2, 5]])
    assert_array_equal(routed(ChannelShuffle(2), np.ones((1, 6)), [[0, 3, 1, 4, 2, 5]]), [np.arange(6.0)])


def test_depth_to_space_of_onnx_is_two_shuffles() -> None:
    """ONNX's mode DCR is a ChannelShuffle and then a PixelShuffle, as its documentation computes it."""
    a, r = np.arange(2 * 8 * 2 * 3.0).reshape(2, 8, 2, 3), 2
    expected = a.reshape(2, r, r, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(2, 2, 4, 6)
    assert_array_equal(PixelShuffle(r).forward(ChannelShuffle(r * r).forward(a)), expected)
    assert_array_equal(ChannelShuffle(2).forward(PixelUnshuffle(r).forward(expected)), a)


MOVES: list[tuple[Layer, tuple[int, ...]]] = [
    (PixelShuffle(2), (2, 8, 3, 2)),
    (PixelUnshuffle(3), (2, 2, 3, 6)),
    (ChannelShuffle(3), (2, 6, 2)),
    (Permute((0, 3, 1, 2)), (2, 2, 3, 4)),
    (Reshape((3, -1)), (2, 2, 6)),
    (Reshape(()), (2, 1)),
    (Slice(-1, step=-1), (2, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), MOVES, ids=[type(layer).__name__ for layer, _ in MOVES])
def test_what_moves_forward_moves_back(layer: Layer, shape: tuple[int, ...]) -> None:
    """Relevance equal to the output comes back as the input, because these layers read every cell once."""
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    assert_array_equal(routed(layer, a, layer.forward(a)), a)


def test_a_reshape_keeps_samples_apart() -> None:
    """(4, 6) could become (6, 4), but not by a layer."""
    assert Reshape((2, -1)).forward(np.ones((4, 6))).shape == (4, 2, 3)
    with pytest.raises(ShapeError, match=r"cannot reshape the samples of \(4, 6\) to \(4,\): the sizes differ"):
        Reshape((4,)).forward(np.ones((4, 6)))


# ---- sums and maxima ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Sum, Mean])
def test_a_sum_and_a_mean_share_by_hand(kind: Any) -> None:
    """a = (1, 2, -4), R = 3: LRP-0 sends a / (-1) R, flat R / 3; the factor 1 / n cancels."""
    a, R = exact([[1, 2, -4]]), exact([3])
    layer = exact(Network([("layer", kind(1), ["input"])]))["layer"]
    assert layer.relevance(a, R, rules.Zero()).tolist() == [[-3, -6, 12]]
    assert layer.relevance(a, R, rules.Flat()).tolist() == [[1, 1, 1]]


def test_a_mean_over_rows_and_columns_is_a_global_pool() -> None:
    a = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    pool, mean = GlobalAvgPool2D(), Mean((2, 3), keepdims=True)
    assert_allclose(mean.forward(a), pool.forward(a), rtol=1e-15)
    R = np.ones((2, 3, 1, 1))
    for rule in (rules.ZPlus(), rules.Epsilon(0.1), rules.Flat()):
        assert_allclose(mean.relevance(a, R, rule), pool.relevance(a, R, rule), rtol=1e-14)


@pytest.mark.parametrize(("ties", "expected"), [("first", [[0, 6], [0, 0]]), ("equal", [[0, 3], [3, 0]])])
def test_a_maximum_by_hand(ties: str, expected: Any) -> None:
    """The first of two equal maxima in reading order takes all, or both take one half."""
    for axes in ((1, 2), (2, 1), (-1, -2)):
        assert_array_equal(routed(Max(axes, ties=ties), [[[1.0, 5.0], [5.0, 2.0]]], [6.0]), [expected])


def test_the_winner_is_sought_along_the_axes_only() -> None:
    a = [[[1.0, 9.0], [4.0, 2.0]]]
    assert_array_equal(Max(1).forward(a), [[4.0, 9.0]])
    assert_array_equal(routed(Max(1), a, [[10.0, 20.0]]), [[[0, 20], [10, 0]]])


@pytest.mark.parametrize("ties", ["first", "equal"])
def test_of_several_nan_the_first_wins(ties: str) -> None:
    a = [[3.0, np.nan, np.nan, 7.0]]
    assert np.isnan(Max(1).forward(a)).all()
    assert_array_equal(routed(Max(1, ties=ties), a, [8.0]), [[0, 8, 0, 0] if ties == "first" else [0, 4, 4, 0]])


# ---- differences and products ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        (rules.Zero(), "3/2", "-1/2"),  # 3 / (3 - 1) and -1 / (3 - 1)
        (rules.Absolute(), "3/4", "1/4"),
        (rules.Flat(), "1/2", "1/2"),
        (rules.ZPlus(), "1", "0"),  # 3 * 1 is positive, 1 * (-1) is not
    ],
    ids=str,
)
def test_a_difference_by_hand(rule: rules.Rule, first: str, second: str) -> None:
    """3 - 1, with R = 1."""
    found = Subtract().relevance((exact([[3]]), exact([[1]])), exact([[1]]), rule)
    assert [Fraction(R_i[0, 0]) for R_i in found] == [Fraction(first), Fraction(second)]


def test_a_difference_is_the_sum_with_the_negative() -> None:
    a, b, R = np.random.default_rng(1).normal(size=(3, 2, 4))
    for rule in (rules.Zero(), rules.Epsilon(0.25), rules.ZPlus(), rules.AlphaBeta(2, 1), rules.Absolute()):
        expected = Add().relevance((a, -b), R, rule)
        assert_array_equal(Subtract().relevance((a, b), R, rule), expected)


SIGNAL, GATE = [[[[4.0, -1.0]], [[2.0, 3.0]]]], [[[[5.0]], [[-7.0]]]]
SHARED = [[[[1.0, 2.0]], [[10.0, 20.0]]]]


@pytest.mark.parametrize(
    ("layer", "signal", "gate"),
    [
        (Multiply(), [[[[0.5, 1.0]], [[5.0, 10.0]]]], [[[[1.5]], [[15.0]]]]),
        (Multiply("signal"), SHARED, [[[[0.0]], [[0.0]]]]),
        (Multiply("signal", 1), np.zeros((1, 2, 1, 2)), [[[[3.0]], [[30.0]]]]),
    ],
    ids=repr,
)
def test_a_product_by_hand(layer: Multiply, signal: Any, gate: Any) -> None:
    """A gate per channel receives the sum over its pixels."""
    inputs = np.asarray(SIGNAL), np.asarray(GATE)
    assert_array_equal(layer.forward(*inputs), [[[[20.0, -5.0]], [[-14.0, -21.0]]]])
    for swapped in (False, True):
        turned = Multiply(layer.split, 1 - layer.signal) if swapped else layer
        found = turned.relevance(inputs[::-1] if swapped else inputs, np.asarray(SHARED), rules.Zero())
        first, second = found[::-1] if swapped else found
        assert_array_equal(first, signal)
        assert_array_equal(second, gate)


def test_a_square_receives_both_halves() -> None:
    """x * x reads one node twice, and the walk adds what both factors send."""
    net = Network([("square", Multiply(), ["input", "input"])])
    x = np.array([[3.0, -2.0]])
    assert_array_equal(lrpref.explain(net, x, rule="zero", target=0), [[9.0, 0.0]])


def test_no_rule_changes_a_product() -> None:
    """Composites assign none to it, and the ledger says that it shares."""
    nodes = [("a", Dense([[1.0, 2.0]]), ["input"]), ("g", Sigmoid(), ["a"]), ("z", Multiply(), ["a", "g"])]
    tr = lrpref.trace(Network(nodes), np.array([[1.0, 2.0]]), rule="epsilon")
    assert "z" not in tr.rules
    assert {entry.node: entry.rule for entry in tr.ledger.entries}["z"] == "shares"
    assert_array_equal(tr.at["g"], tr.at["z"] / 2)


def test_a_layer_after_a_product_is_no_first_layer() -> None:
    """The bounds of the input are not those of a product."""
    net = Network([("z", Multiply(), ["input", "input"]), ("fc", Dense([[1.0, 2.0]]), ["z"])])
    assert [place.first for place in lrpref.composites.places(net)] == [False]
    moved = Network.sequential(Slice(1, 1), Dense([[1.0]]))
    assert [place.first for place in lrpref.composites.places(moved)] == [True]


@pytest.mark.parametrize("rule", ["relative", "epsilon-plus-flat"])
def test_a_difference_is_a_join_to_composites(rule: str) -> None:
    """Relative LRP divides at skip connections, and so at both kinds of join."""
    nodes = [
        ("a", Dense([[1.0, 2.0]]), ["input"]),
        ("b", Dense([[1.0, 1.0]]), ["input"]),
        ("d", Subtract(), ["a", "b"]),
    ]
    added = [*nodes[:2], ("d", Add(), ["a", "b"])]
    assigned = [dict(lrpref.composites.resolve(rule).assign(Network(each))) for each in (nodes, added)]
    assert assigned[0]["d"] == assigned[1]["d"]


# ---- any rank ----------------------------------------------------------------------------------------------------


def sample(*shape: int) -> np.ndarray:
    found: np.ndarray = np.random.default_rng(len(shape)).permutation(np.prod(shape)).reshape(shape) - 5.0
    return found


ANY_RANK: list[tuple[Layer, tuple[np.ndarray, ...]]] = [
    (Sum((1, -1)), (sample(2, 3, 2, 2, 3),)),
    (Mean(-1), (sample(2, 3, 4),)),
    (Max((2, 4), keepdims=True), (sample(2, 3, 2, 2, 3),)),
    (Slice(3, 1), (sample(2, 3, 2, 2, 3),)),
    (Permute((0, 2, 1)), (sample(2, 3, 4),)),
    (ChannelShuffle(2), (sample(2, 4, 3),)),
    (Multiply(), (sample(2, 3, 1, 2, 1), sample(2, 1, 2, 2, 2))),
    (Subtract(), (sample(2, 3, 4), sample(2, 3, 4)[::-1])),
]


@pytest.mark.parametrize(("layer", "inputs"), ANY_RANK, ids=[type(layer).__name__ for layer, _ in ANY_RANK])
def test_sequences_and_volumes_too(layer: Layer, inputs: tuple[np.ndarray, ...]) -> None:
    check_layer(layer, *inputs)


# ---- in networks -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=20)
@given(case=networks(blocks=st.lists(st.sampled_from(NEW_BLOCKS), min_size=1, max_size=2)), rule=st.data())
def test_networks_of_them_keep_their_books_and_both_engines_agree(case: NetworkCase, rule: st.DataObject) -> None:
    """The ledger closes exactly in fractions, and the fast engine computes what the walk computes."""
    name = rule.draw(st.sampled_from(["zero", "epsilon", "epsilon-plus", "epsilon-alpha2-beta1"]))
    net, x = case
    tr = lrpref.trace(exact(net), exact(x), rule=name)
    assert all(value == 0 for value in tr.ledger.residual().flat)
    plain = lrpref.explain(net, x, rule=name, form="plain")
    size = max(1.0, float(abs(plain).max(initial=0)))
    assert_allclose(lrpref.explain(net, x, rule=name), plain, rtol=0, atol=1e-9 * size)


def test_a_squeeze_and_excite_block_closes() -> None:
    rng = np.random.default_rng(0)
    net = Network(
        [
            ("conv", Conv2D(rng.normal(size=(4, 2, 3, 3)), padding=1), ["input"]),
            ("relu", ReLU(), ["conv"]),
            ("pool", GlobalAvgPool2D(), ["relu"]),
            ("excite", Conv2D(rng.normal(size=(4, 4, 1, 1))), ["pool"]),
            ("gate", Sigmoid(), ["excite"]),
            ("scaled", Multiply(), ["relu", "gate"]),
            ("flat", Flatten(), ["scaled"]),
            ("fc", Dense(rng.normal(size=(3, 4 * 25))), ["flat"]),
        ]
    )
    x = rng.normal(size=(2, 2, 5, 5))
    for rule in ("epsilon-plus", "epsilon"):
        tr = lrpref.trace(net, x, rule=rule)
        assert_allclose(tr.ledger.residual(), 0, atol=1e-9 * float(abs(tr.logits).max()))
        assert_allclose(lrpref.explain(net, x, rule=rule), tr.relevance, rtol=1e-9, atol=1e-12)


# ---- refused -----------------------------------------------------------------------------------------------------

IMAGE = np.ones((2, 3, 4, 5))
REFUSED: dict[str, tuple[Callable[[], Any], type[LrprefError], str]] = {
    "the batch summed": (
        lambda: Sum(0),
        ParameterError,
        "Sum: axes must be an integer other than 0, the batch axis",
    ),
    "no axis": (lambda: Mean(()), ParameterError, r"Mean: axes must name at least one axis, got \(\)"),
    "no such axis": (
        lambda: Sum(4).forward(IMAGE),
        ShapeError,
        r"Sum: axis 4 must be an axis of \(2, 3, 4, 5\) other than",
    ),
    "the batch from the end": (lambda: Max(-4).forward(IMAGE), ShapeError, "Max: axis -4 must be an axis"),
    "one axis twice": (lambda: Sum((1, -3)).forward(IMAGE), ShapeError, r"Sum: axes \(1, -3\) must be different axes"),
    "an empty axis": (lambda: Max(1).forward(np.ones((2, 0))), ShapeError, "has no cell to reduce"),
    "the batch sliced": (lambda: Slice(0, 1), ParameterError, "Slice: axis must be an integer other than 0"),
    "a step of 0": (lambda: Slice(1, step=0), ParameterError, "Slice: step must not be 0"),
    "nothing read": (lambda: Slice(1, 3).forward(IMAGE), ShapeError, r"Slice reads nothing: \[3::1\] of axis 1"),
    "the batch moved": (lambda: Permute((1, 0)), ParameterError, "leaves the batch, 0, first"),
    "another rank": (lambda: Permute((0, 2, 1)).forward(IMAGE), ShapeError, "needs an array with 3 axes"),
    "two unknown sizes": (lambda: Reshape((-1, -1)), ParameterError, "one of which may be -1"),
    "channels without blocks": (lambda: PixelShuffle(2).forward(IMAGE), ShapeError, "a multiple of 4 channels, got 3"),
    "half a block": (lambda: PixelUnshuffle(2).forward(IMAGE), ShapeError, "multiples of 2 rows and columns"),
    "half a group": (lambda: ChannelShuffle(2).forward(IMAGE), ShapeError, "a multiple of 2 channels on axis 1"),
    "a batch of gates": (lambda: Multiply().forward(IMAGE, IMAGE[:1]), ShapeError, "with size 1 where they differ"),
    "factors of two ranks": (lambda: Multiply().forward(IMAGE, IMAGE[0]), ShapeError, "with size 1 where they differ"),
    "an unknown split": (lambda: Multiply("all"), ParameterError, 'split must be "half" or "signal"'),
    "a third factor": (lambda: Multiply("signal", 2), ParameterError, "signal must be an integer from 0 to 1"),
    "a difference of two shapes": (
        lambda: Subtract().forward(IMAGE, IMAGE[:, :1]),
        ShapeError,
        "inputs of equal shape",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(
    ("kind", "ties", "won"),
    [
        ("Maximum", "first", ([4.0, 0.0, 0.0], [0.0, 8.0, 2.0])),
        ("Maximum", "equal", ([2.0, 0.0, 0.0], [2.0, 8.0, 2.0])),
        ("Minimum", "first", ([4.0, 8.0, 2.0], [0.0, 0.0, 0.0])),
        ("Minimum", "equal", ([2.0, 8.0, 2.0], [2.0, 0.0, 0.0])),
    ],
)
def test_extremes_by_hand(kind: str, ties: str, won: tuple[list[float], list[float]]) -> None:
    """Cell by cell: a tie, and twice the second input is larger, or NaN and therefore the winner of a maximum."""
    a, b = np.array([[1.0, -1.0, 2.0]]), np.array([[1.0, 3.0, 5.0]])
    shared = getattr(lrpref, kind)(ties).relevance((a, b), np.array([[4.0, 8.0, 2.0]]), None)
    assert_array_equal(shared, [[won[0]], [won[1]]])
