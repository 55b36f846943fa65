"""Faithfulness metrics on models whose curves have a closed form, and one test for each known pitfall.

Most tests use an additive model, f(x) = sum_i w_i x_i. With fill 0, removing feature i lowers f by its contribution
w_i x_i, so the curve of any order is a cumulative sum, and the contributions themselves are the optimal map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import lrpref
from lrpref import Conv2D, Dense, Flatten, Network, ReLU, Softmax, Tanh, evaluation
from lrpref.errors import (
    DTypeError,
    GraphError,
    InputError,
    LrprefError,
    ParameterError,
    RuleError,
    ShapeError,
    UnknownNameError,
)
from lrpref.evaluation import BACH2015, Conventions, abpc, baselines, deletion, fills, insertion, maps, pixel_flipping
from lrpref.testing.strategies import arrays, generic

few = settings(max_examples=settings.default.max_examples // 2)


def additive(w: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return f(x) = sum of w x over all axes but the batch, with one output."""
    return lambda x: (w * x).reshape(len(x), -1).sum(axis=1, keepdims=True)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---- curves in closed form ---------------------------------------------------------------------------------------


def test_a_curve_by_hand() -> None:
    """Contributions 6, -1, 2, 0 and a bias of 1: MoRF removes 6, 2, 0, -1; LeRF removes -1, 0, 2, 6."""
    net = Network.sequential(Dense([[3.0, -1.0, 1.0, 5.0]], [1.0]))
    x = np.array([[2.0, 1.0, 2.0, 0.0]])
    R = x * [[3.0, -1.0, 1.0, 5.0]]
    both = abpc(net, x, R)
    assert_array_equal(both.morf.scores, [[8, 2, 0, 0, 1]])
    assert_array_equal(both.lerf.scores, [[8, 9, 9, 7, 1]])
    assert_array_equal(both.morf.changed, [0, 0.25, 0.5, 0.75, 1])
    assert_allclose(both.morf.aopc, [(0 + 6 + 8 + 8 + 7) / 5])
    assert_allclose(both.abpc, [(0 + 7 + 9 + 7 + 0) / 5])
    assert_allclose(both.morf.area, [(8 / 2 + 2 + 0 + 0 + 1 / 2) / 4])
    assert_allclose(both.area, [(0 / 2 + 7 + 9 + 7 + 0 / 2) / 4])


@pytest.mark.parametrize(("step", "mean"), [(1, 48 / 9), (2, 24 / 5), (4, 12 / 3)])
def test_an_area_has_no_extra_points(step: int, mean: float) -> None:
    """Four contributions of 2, four of -1: the gap rises to 12 at k = 4 and falls again, so its area is 6.

    ABPC is the mean over the points of the curves, and the fewer there are, the more the two zeros at the ends weigh.
    """
    x, w = np.ones((1, 8)), np.array([2.0, 2, 2, 2, -1, -1, -1, -1])
    both = abpc(additive(w), x, w * x, step=step)
    assert_allclose(both.area, [6])
    assert_allclose(both.abpc, [mean])
    assert "area between 6," in str(both)


@given(x=arrays((2, 5)), w=arrays((5,)))
def test_the_curve_of_an_additive_model(x: np.ndarray, w: np.ndarray) -> None:
    """f(x(k)) is f(x) minus the k largest (MoRF) or smallest (LeRF) contributions; insertion is their sum."""
    R = w * x
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum(-np.sort(-R, axis=1), axis=1)], axis=1)
    least = np.concatenate([np.zeros((2, 1)), np.cumsum(np.sort(R, axis=1), axis=1)], axis=1)
    f = R.sum(axis=1, keepdims=True)
    both = abpc(additive(w), x, R)
    assert_array_equal(both.morf.scores, f - sums)
    assert_array_equal(both.lerf.scores, f - least)
    assert_array_equal(insertion(additive(w), x, R, output="logit", fill="zero").scores, sums)
    assert_allclose(both.abpc, (sums - least).mean(axis=1), atol=1e-12)


@given(x=arrays((1, 4)), w=arrays((4,)))
@few
def test_on_an_additive_model_the_contributions_are_the_best_map(x: np.ndarray, w: np.ndarray) -> None:
    """None of the 24 orders is lower under MoRF or higher under LeRF at any k, so AOPC and ABPC are maximal."""
    oracle = abpc(additive(w), x, w * x)
    orders = np.asarray(list(permutations(range(4))), dtype=float)
    others = abpc(additive(w), np.repeat(x, len(orders), axis=0), orders)
    assert (oracle.morf.scores <= others.morf.scores).all()
    assert (oracle.lerf.scores >= others.lerf.scores).all()
    assert (oracle.abpc >= others.abpc - 1e-12).all()
    assert (oracle.morf.aopc >= others.morf.aopc - 1e-12).all()


@given(x=generic((2, 6)), w=generic((6,)), seed=st.integers(0, 99))
@few
def test_features_may_be_listed_in_any_order(x: np.ndarray, w: np.ndarray, seed: int) -> None:
    """Without ties, a permutation of the features does not change the curve, except for rounding of the sums."""
    p = generator(seed).permutation(6)
    R = generator(seed + 1).normal(size=x.shape)
    for order in ("morf", "lerf"):
        one = pixel_flipping(additive(w), x, R, order=order).scores
        assert_allclose(pixel_flipping(additive(w[p]), x[:, p], R[:, p], order=order).scores, one, atol=1e-12)


@given(x=generic((2, 6)), w=generic((6,)))
@few
def test_minus_the_map_turns_the_orders_round(x: np.ndarray, w: np.ndarray) -> None:
    one, other = abpc(additive(w), x, w * x), abpc(additive(w), x, -w * x)
    assert_array_equal(one.morf.scores, other.lerf.scores)
    assert_array_equal(one.abpc, -other.abpc)


def test_with_k_0_and_with_the_end() -> None:
    """A curve starts at the unchanged input (omitted by Quantus' region perturbation) and ends at the fill."""
    x, w = generator().normal(size=(2, 7)), generator(1).normal(size=7)
    curve = pixel_flipping(additive(w), x, x, fill=0.5)
    assert_allclose(curve.scores[:, 0], x @ w)
    assert_allclose(curve.scores[:, -1], 0.5 * w.sum())
    assert curve.scores.shape == (2, 8)


@pytest.mark.parametrize(("step", "changed"), [(1, 7), (2, 4), (3, 3), (7, 1), (100, 1)])
def test_steps(step: int, changed: int) -> None:
    """The last step takes the remaining features; the points lie on the finest curve."""
    x, w = generator().normal(size=(1, 7)), generator(1).normal(size=7)
    fine, coarse = pixel_flipping(additive(w), x, x), pixel_flipping(additive(w), x, x, step=step)
    assert len(coarse.changed) == changed + 1
    assert_allclose(coarse.scores, fine.scores[:, (coarse.changed * 7).round().astype(int)])
    assert coarse.changed[-1] == 1
    assert pixel_flipping(additive(w), x, x, step=2, steps=2).changed.tolist() == [0, 2 / 7, 4 / 7]


@pytest.mark.parametrize("step", [1, 3, 10])
def test_the_area_does_not_depend_on_how_many_points_there_are(step: int) -> None:
    """A constant curve of 0.8 has area 0.8, and a line from 1 to 0 has area 1/2 (not L / 2, as with dx = 1)."""
    x = np.ones((1, 30))
    flat = pixel_flipping(lambda x: np.full((len(x), 1), 0.8), x, x, step=step)
    straight = pixel_flipping(lambda x: x.mean(axis=1, keepdims=True), x, x, step=step)
    assert_allclose([flat.area[0], straight.area[0]], [0.8, 0.5])
    assert_allclose(pixel_flipping(lambda x: x.mean(axis=1, keepdims=True), x, x, steps=15).area, [0.75])


# ---- known pitfalls ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-300, 1.0, 1e300])
def test_the_size_of_the_map_is_no_matter(factor: float) -> None:
    """Only the order matters: maps are not divided by max |R|, which could underflow or overflow."""
    x, w = generator().normal(size=(3, 9)), generator(1).normal(size=9)
    assert_array_equal(
        abpc(additive(w), x, factor * (w * x)).abpc,
        abpc(additive(w), x, w * x).abpc,
    )


def test_evidence_against_comes_last_unless_asked_otherwise() -> None:
    """Contributions 2, -5, 1. By |R|, the -5 is removed first and the output *rises*."""
    x, w = np.ones((1, 3)), np.array([2.0, -5.0, 1.0])
    assert_array_equal(pixel_flipping(additive(w), x, w * x).scores, [[-2, -4, -5, 0]])
    assert_array_equal(pixel_flipping(additive(w), x, w * x, by="magnitude").scores, [[-2, 3, 1, 0]])


@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_ties_go_by_position(order: str) -> None:
    """100 of 200 features are tied in the middle and are taken from left to right; an unstable sort would fail."""
    x, w = np.ones((1, 200)), 2.0 ** -np.arange(200)
    R = np.where(np.arange(200) % 2 == 0, 0.0, np.where(np.arange(200) < 100, 1.0, -1.0))[None]
    expected = np.argsort(-R[0] if order == "morf" else R[0], kind="stable")
    assert (np.diff(expected[50:150]) == 2).all()  # the zeros: 0, 2, 4, ...
    left = w.sum() - np.cumsum(w[expected])
    assert_allclose(pixel_flipping(additive(w), x, R, order=order).scores[0, 1:], left, atol=1e-15)


def test_a_constant_map_has_nothing_between_its_curves() -> None:
    """Ties are broken by position in both orders. If LeRF were MoRF reversed, the corner would look important."""
    x, w = generator().normal(size=(2, 1, 4, 4)), generator(1).normal(size=(1, 4, 4))
    both = abpc(additive(w), x, np.zeros_like(x))
    assert_array_equal(both.abpc, [0, 0])
    assert_array_equal(both.area, [0, 0])
    x, w = np.ones((4000, 3)), np.array([1.0, 2.0, 4.0])
    x = x * (1 + np.arange(4000)[:, None])  # distinct samples get distinct random draws
    shuffled = pixel_flipping(additive(w), x, np.zeros_like(x), ties="random", normalise="start").scores
    assert_allclose(shuffled.mean(axis=0), [1, 2 / 3, 1 / 3, 0], atol=0.01)
    assert len(np.unique(shuffled.round(6), axis=0)) == 6


def test_a_map_without_channels_takes_whole_pixels() -> None:
    """(N, H, W) and (N, 1, H, W) are equivalent: each step changes one pixel in all channels."""
    x, w = generator().normal(size=(2, 3, 2, 2)), generator(1).normal(size=(3, 2, 2))
    R = (w * x).sum(axis=1)
    curve = pixel_flipping(additive(w), x, R)
    assert curve.scores.shape == (2, 5)
    for same in (R[:, None], w * x):
        assert_array_equal(pixel_flipping(additive(w), x, same).scores, curve.scores)
    f = (w * x).sum(axis=(1, 2, 3))
    assert_allclose(curve.scores[:, 1], f - R.max(axis=(1, 2)))


def test_a_map_per_pixel_is_one_channel_however_it_is_written() -> None:
    """(N, H, W) and (N, 1, H, W) are ranked alike: evidence against the class comes first by magnitude, last by sum."""
    x, R = np.ones((1, 2, 1, 3)), np.array([[[1.0, -3.0, 2.0]]])
    for channels, first in {"sum": 200, "max": 200, "magnitude": 20}.items():
        for same in (R, R[:, None]):
            curve = pixel_flipping(additive(np.array([[[1.0, 10.0, 100.0]]] * 2)), x, same, channels=channels)
            assert curve.scores[0, 1] == 222 - first
    grey = generator().normal(size=(2, 1, 3, 3))
    alike = [pixel_flipping(Recorder(), grey, R, 0, channels="separate").scores for R in (grey, grey[:, 0])]
    assert_array_equal(*alike)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_small_integers_do_not_wrap_round_in_a_ranking(dtype: type) -> None:
    x, R = np.ones((1, 3)), np.array([[0, 120, 5]], dtype=dtype)
    assert_array_equal(pixel_flipping(additive(np.array([1.0, 2, 4])), x, R).scores, [[7, 5, 1, 0]])


def test_how_channels_make_a_pixel() -> None:
    """Two pixels with the channel values (3, -2.5) and (1, 1)."""
    x, R = np.ones((1, 2, 1, 2)), np.array([[[[3.0, 1.0]], [[-2.5, 1.0]]]])
    w = np.array([[[1.0, 10.0]], [[100.0, 1000.0]]])
    first = {"sum": 1111 - 1010, "max": 1111 - 101, "magnitude": 1111 - 101, "separate": 1111 - 1}
    for channels, score in first.items():
        assert pixel_flipping(additive(w), x, R, channels=channels).scores[0, 1] == score
    assert pixel_flipping(additive(w), x, R, channels="separate").scores.shape == (1, 5)


class Recorder:
    """A scorer that records its inputs."""

    def __init__(self, outputs: int = 1) -> None:
        self.seen: list[np.ndarray] = []
        self.outputs = outputs

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(x)
        return np.repeat(x.reshape(len(x), -1).sum(axis=1, keepdims=True), self.outputs, axis=1)


def test_fills_are_in_the_units_of_the_input() -> None:
    """For data between 100 and 200 a random fill is in that range too, not between 0 and 1."""
    x = 100 + 100 * generator().random((3, 2, 4, 4))
    scorer = Recorder()
    pixel_flipping(scorer, x, x, fill="uniform")
    drawn = np.concatenate(scorer.seen)
    assert drawn.min() >= x.min()
    assert drawn.max() <= x.max()
    background = fills.Uniform().background(x, [generator(k) for k in range(3)])
    assert (background.std(axis=(2, 3)) > 10).all()
    assert 0 <= fills.Uniform(0, 1).background(x, [generator()] * 3).max() <= 1


def test_a_softmax_is_never_applied_twice() -> None:
    net = Network.sequential(Dense([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]]))
    ended = Network.sequential(*(layer for _, layer, _ in net.nodes), Softmax())
    x = generator().normal(size=(4, 2))
    for output in ("logit", "probability", "margin"):
        expected = abpc(net, x, x, output=output)
        assert_array_equal(abpc(ended, x, x, output=output).abpc, expected.abpc)
    with pytest.raises(ParameterError, match="softmax to them once more"):
        abpc(lambda x: ended.forward(x), x, x, output="probability")
    as_given = abpc(lambda x: ended.forward(x), x, x)  # probabilities, used unchanged
    assert_allclose(as_given.abpc, abpc(net, x, x, output="probability").abpc)


def test_the_three_outputs() -> None:
    net = Network.sequential(Dense(np.zeros((3, 1)), [1.0, 2.0, 4.0]))
    x = np.ones((1, 1))
    start = {
        (out, t): pixel_flipping(net, x, x, t, output=out).scores[0, 0] for out in ("logit", "margin") for t in (0, 2)
    }
    assert start == {("logit", 0): 1, ("logit", 2): 4, ("margin", 0): -3, ("margin", 2): 2}
    e = np.exp([1.0, 2, 4])
    assert_allclose(pixel_flipping(net, x, x, 1, output="probability").scores[0, 0], e[1] / e.sum())
    assert pixel_flipping(net, x, x).target.tolist() == [2]
    large = Network.sequential(Dense(np.zeros((2, 1)), [1000.0, -1000.0]))
    assert pixel_flipping(large, x, x, output="probability").scores[0, 0] == 1


def test_the_class_stays_the_same_while_the_answer_changes() -> None:
    """Class 0 is predicted at the start, class 1 without feature 0; class 0 is measured throughout."""
    net = Network.sequential(Dense([[4.0, 0.0], [0.0, 3.0]]))
    assert_array_equal(pixel_flipping(net, np.ones((1, 2)), np.array([[1.0, 0.0]])).scores, [[4, 0, 0]])


@pytest.mark.parametrize("fill", ["zero", "mean", "uniform", "blur", "neighbours", "flip"])
def test_a_sample_does_not_depend_on_its_batch(fill: str) -> None:
    """Nor on the batch size of the network, even with random fill, random ties and repeats."""
    x, w = generator().random((4, 2, 5, 5)), generator(1).normal(size=(2, 5, 5))
    R = np.round(w * x)  # many ties
    repeats = 2 if fill == "uniform" else 1
    how = Conventions(fill=fill, ties="random" if repeats == 2 else "first", repeats=repeats, region=2)
    together = abpc(additive(w), x, R, conventions=how)
    for n in range(4):
        alone = abpc(additive(w), x[n : n + 1], R[n : n + 1], conventions=how, batch_size=3)
        assert_allclose(alone.morf.scores[0], together.morf.scores[n], rtol=1e-12)
        assert_allclose(alone.abpc[0], together.abpc[n], rtol=1e-9, atol=1e-12)


def test_both_orders_get_the_same_fill() -> None:
    """Once everything is changed the order no longer matters: the curves meet, even with a random fill."""
    x, w = generator().random((3, 1, 4, 4)), generator(1).normal(size=(1, 4, 4))
    both = abpc(additive(w), x, w * x, fill="uniform", repeats=3)
    assert_allclose(both.morf.scores[:, -1], both.lerf.scores[:, -1], rtol=1e-12)
    other = abpc(additive(w), x, w * x, fill="uniform", repeats=3, seed=1)
    assert abs(both.morf.scores[:, -1] - other.morf.scores[:, -1]).min() > 1e-3


def test_repeats_are_averaged() -> None:
    """Each repeat draws independently: the average over many uniform fills tends to the mean of the fill."""
    x, w = generator().random((2, 9)), np.ones(9)
    end = pixel_flipping(additive(w), x, x, fill=fills.Uniform(0, 1), repeats=400, step=9).scores[:, -1]
    assert_allclose(end, 4.5, atol=4 * (9 / 12 / 400) ** 0.5)


def test_nothing_is_changed_but_what_is_returned() -> None:
    x, R = generator().random((2, 1, 4, 4)), generator(1).normal(size=(2, 1, 4, 4))
    kept = x.copy(), R.copy()
    x.flags.writeable = R.flags.writeable = False
    abpc(additive(np.ones((1, 4, 4))), x, R, region=2, ties="random", fill="uniform")
    assert_array_equal(x, kept[0])
    assert_array_equal(R, kept[1])


def test_normalised_by_the_start() -> None:
    x, w = np.ones((1, 2)), np.array([3.0, 1.0])
    assert_array_equal(pixel_flipping(additive(w), x, w * x, normalise="start").scores, [[1, 0.25, 0]])
    with pytest.raises(InputError, match="which is -4 for sample 0"):
        pixel_flipping(additive(-w), x, w * x, normalise="start")


# ---- fills and regions -------------------------------------------------------------------------------------------


def test_fills_by_hand() -> None:
    x = np.array([[[[1.0, 2.0], [3.0, 6.0]]]])
    made = {name: fill.background(x, [generator()])[0, 0] for name, fill in fills.FILLS.items()}
    assert_array_equal(made["zero"], np.zeros((2, 2)))
    assert_array_equal(made["mean"], np.full((2, 2), 3.0))
    assert_allclose(made["neighbours"], np.array([[11, 10], [9, 6]]) / 3)
    assert_array_equal(made["flip"], 1 - x[0, 0])
    assert (made["uniform"] >= 1).all()
    assert (made["uniform"] < 6).all()


def test_fills_of_features_and_channels() -> None:
    x = np.array([[1.0, 2.0, 6.0]])
    assert_array_equal(fills.Mean().background(x, []), [[3, 3, 3]])
    per_channel = fills.resolve((0.5, 0.25)).background(np.zeros((1, 2, 3, 3)), [])
    assert_array_equal(per_channel[0, :, 0, 0], [0.5, 0.25])
    two = np.stack([np.zeros((2, 2)), np.ones((2, 2))])[None]
    assert_array_equal(fills.Mean().background(two, [])[0, :, 0, 0], [0, 1])


@pytest.mark.parametrize(("sigma", "size"), [(5.0, 11), (1.0, 3), (0.4, 5), (2.0, 7), (30.0, 9), (0.1, 1), (5.0, 29)])
@pytest.mark.parametrize("shape", [(28, 28), (7, 20), (3, 2)])
def test_the_blur_is_rises(sigma: float, size: int, shape: tuple[int, int]) -> None:
    """`gkern` and the convolution of RISE's evaluation.py, by SciPy; images smaller than the kernel too."""
    dirac = np.zeros((size, size))
    dirac[size // 2, size // 2] = 1
    kernel = ndimage.gaussian_filter(dirac, sigma)
    x = generator().normal(size=(2, 3, *shape))
    blurred = [[ndimage.correlate(plane, kernel, mode="constant") for plane in image] for image in x]
    assert_allclose(fills.Blur(sigma, size).background(x, []), blurred, rtol=0, atol=1e-14)


def test_the_default_blur_is_nearly_flat_and_dark_at_the_border() -> None:
    """The figures of the docstring: 0.088 to 0.094 along an axis, all of which sum to one."""
    light = fills.Blur().background(np.ones((1, 1, 28, 28)), [])[0, 0]
    assert_allclose(light[14, 14], 1, rtol=1e-12)
    along = fills.Blur().background(np.eye(28)[None, None, 14:15] * np.ones((1, 1, 28, 1)), [])[0, 0, 14]
    assert_allclose([along[9:20].min(), along.max()], [0.088, 0.094], atol=5e-4)
    assert along[:9].max() == along[20:].max() == 0
    assert_allclose(light[0, 0], along[14:].sum() ** 2, rtol=1e-12)


@pytest.mark.parametrize("fill", [fills.Neighbours(), fills.Neighbours(5)])
def test_the_neighbours_of_what_is_level_are_level(fill: fills.Fill) -> None:
    """A constant image stays constant, even at the border, where a pixel has fewer neighbours."""
    level = np.full((1, 2, 6, 7), 3.0)
    assert_allclose(fill.background(level, []), level, rtol=1e-14)


def test_regions_are_taken_whole_and_may_be_smaller_at_the_edge() -> None:
    """5 x 3 pixels form 3 x 2 tiles of size 2. The tile with the largest sum is flipped first, as a whole."""
    R = np.zeros((1, 1, 5, 3))
    R[0, 0, 2:4, 2] = [5, 1]  # the middle tile at the right edge has two pixels
    R[0, 0, 0, 0] = 5.5  # a single large pixel in the upper left tile
    x, scorer = np.ones_like(R), Recorder()
    curve = pixel_flipping(scorer, x, R, region=2, batch_size=100)
    assert_array_equal(curve.scores, [[15, 13, 9, 7, 3, 1, 0]])
    first = scorer.seen[-1][1, 0]
    assert_array_equal(np.argwhere(first == 0), [[2, 2], [3, 2]])


# ---- insertion and deletion --------------------------------------------------------------------------------------


def test_deletion_and_insertion_are_probabilities_over_the_unit_interval() -> None:
    net = Network.sequential(Flatten(), Dense(generator().normal(size=(3, 16))))
    x = generator(1).random((5, 1, 4, 4))
    R = lrpref.explain(net, x, rule="zero")
    out, back = deletion(net, x, R), insertion(net, x, R)
    for curve in (out, back):
        assert_allclose([curve.changed[0], curve.changed[-1]], [0, 1])
        assert (curve.scores >= 0).all()
        assert (curve.scores <= 1).all()
        assert (curve.area >= 0).all()
        assert (curve.area <= 1).all()
    probability = Softmax().forward(net.forward(x)).max(axis=1)
    assert_allclose(out.scores[:, 0], probability)
    assert_allclose(back.scores[:, -1], probability)
    blurred = Softmax().forward(net.forward(fills.Blur().background(x, [])))
    assert_allclose(back.scores[:, 0], blurred[np.arange(5), back.target])
    assert (back.order, back.conventions.fill) == ("insertion", fills.Blur())


# ---- baselines ---------------------------------------------------------------------------------------------------


def small_network(rng: np.random.Generator) -> Network:
    layers = [Conv2D(rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), padding=1), ReLU(), Flatten()]
    return Network.sequential(*layers, Dense(rng.normal(size=(4, 48)), rng.normal(size=4)))


def test_gradient_times_input_is_the_slope() -> None:
    """Central differences are exact up to rounding, because the network is linear between kinks."""
    net, x = small_network(generator()), generator(1).normal(size=(1, 2, 4, 4))
    R = baselines.gradient_x_input(net, x, 2)
    h = 2.0**-20
    for cell in [(0, 0, 0, 0), (0, 1, 2, 3), (0, 0, 3, 1)]:
        step = np.zeros_like(x)
        step[cell] = h
        slope = (net.forward(x + step)[0, 2] - net.forward(x - step)[0, 2]) / (2 * h)
        assert_allclose(R[cell], x[cell] * slope, rtol=1e-6)
    with pytest.raises(RuleError, match=r"node 'tanh1': with Tanh"):
        baselines.gradient_x_input(Network.sequential(Dense([[1.0]]), Tanh()), np.ones((1, 1)))


@pytest.mark.parametrize("layer", [lrpref.Multiply(), lrpref.MatMul(transpose=True)], ids=["Multiply", "MatMul"])
def test_gradient_times_input_of_a_product_is_twice_the_product(layer: lrpref.Layer) -> None:
    """LRP-0 gives halves, which sum to the product, so the map is refused."""
    net = Network([("first", Dense(np.eye(2)), ["input"]), ("product", layer, ["first", "first"])])
    with pytest.raises(RuleError, match="'product': with M"):
        baselines.gradient_x_input(net, np.ones((1, 2)))


def test_gradient_times_input_of_a_norm_is_refused() -> None:
    net = Network.sequential(lrpref.LayerNorm((2,), np.ones(2), np.zeros(2)), Dense(np.eye(2)))
    with pytest.raises(RuleError, match="with LayerNorm, LRP-0 is not gradient x input"):
        baselines.gradient_x_input(net, np.array([[1.0, 3.0]]))


def test_random_maps_belong_to_their_sample() -> None:
    x = generator().normal(size=(3, 1, 5, 5))
    R = baselines.random(None, x)
    assert_array_equal(baselines.random(None, x[1:2])[0], R[1])
    assert abs(R[0] - R[1]).max() > 0.5
    assert abs(baselines.random(None, x, seed=1) - R).max() > 0.5


def test_sobel_by_hand() -> None:
    """A step of 1 between the left and right half gives 1 + 2 + 1 beside it and 0 elsewhere."""
    x = np.zeros((1, 2, 4, 6))
    x[..., 3:] = 1
    expected = np.zeros((4, 6))
    expected[:, 2:4] = 4
    assert_array_equal(baselines.sobel(None, x)[0, 0], expected)
    assert_array_equal(baselines.sobel(None, x.swapaxes(2, 3))[0, 0], expected.T)
    corner = np.zeros((1, 1, 3, 3))
    corner[0, 0, 0, 0] = 1
    assert_allclose(baselines.sobel(None, corner)[0, 0, 1, 1], 2**0.5)  # 1 in each direction


def test_baselines_by_name() -> None:
    net, x = small_network(generator()), generator(1).normal(size=(2, 2, 4, 4))
    for name in baselines.BASELINES:
        assert len(baselines.baseline(name, net, x, 1)) == 2
        abpc(net, x, baselines.baseline(name, net, x, 1), 1, step=4)
    with pytest.raises(UnknownNameError, match="did you mean 'sobel'"):
        baselines.baseline("sobol", net, x)


# ---- parameter randomisation -------------------------------------------------------------------------------------


def test_a_map_that_does_not_look_at_the_network_never_changes() -> None:
    net, x = small_network(generator()), generator(1).normal(size=(3, 2, 4, 4))
    for mode in ("cascading", "independent"):
        found = evaluation.parameter_randomisation(net, x, baselines.sobel, mode=mode)
        assert_allclose(found.similarity, 1)
        assert found.layers == ("dense1", "conv2d1")


def test_cascading_and_independent() -> None:
    """The first step is the same; then only the independent mode restores the trained parameters."""
    net, x = small_network(generator()), generator(1).normal(size=(3, 2, 4, 4))
    cascading, independent = (
        evaluation.parameter_randomisation(net, x, "zero", mode=mode, similarity="cosine", seed=3)
        for mode in ("cascading", "independent")
    )
    assert_allclose(cascading.similarity[0], 1)
    assert_array_equal(cascading.similarity[1], independent.similarity[1])
    both = evaluation.randomised(net, ["dense1", "conv2d1"], seed=3)
    lower = evaluation.randomised(net, ["conv2d1"], seed=3)
    target = net.forward(x).argmax(axis=1)
    original = lrpref.explain(net, x, target, "zero", "one")
    for found, changed in [(cascading, both), (independent, lower)]:
        assert_allclose(found.similarity[2], maps.cosine(original, lrpref.explain(changed, x, target, "zero", "one")))
    assert_array_equal(lower["dense1"].weight, net["dense1"].weight)
    assert_array_equal(both["conv2d1"].weight, lower["conv2d1"].weight)


def test_how_parameters_are_drawn() -> None:
    net = small_network(generator())
    before = {name: array.copy() for name, array in net.parameters.items()}
    shuffled = evaluation.randomised(net, ["conv2d1"], "permute")
    noise = evaluation.randomised(net, ["conv2d1", "dense1"], "normal")
    for name, array in net.parameters.items():
        assert_array_equal(array, before[name])
    assert_array_equal(np.sort(shuffled["conv2d1"].weight, axis=None), np.sort(net["conv2d1"].weight, axis=None))
    assert (shuffled["conv2d1"].weight != net["conv2d1"].weight).any()
    assert_allclose(noise["dense1"].weight.std(), net["dense1"].weight.std(), rtol=0.2)
    assert abs(np.corrcoef(noise["dense1"].weight.ravel(), net["dense1"].weight.ravel())[0, 1]) < 0.3
    other = evaluation.randomised(net, ["conv2d1"], seed=1)
    assert (other["conv2d1"].weight != noise["conv2d1"].weight).any()
    norm = lrpref.BatchNorm([2.0, 3.0], [0.0, 1.0], [5.0, 6.0], [1.0, 2.0])
    forgot = evaluation.randomised(Network.sequential(norm), ["batchnorm1"])["batchnorm1"]
    assert_array_equal([forgot.mean, forgot.var], [norm.mean, norm.var])
    assert (forgot.weight != norm.weight).all()


def test_a_sign_of_a_logit_does_not_turn_the_map_round() -> None:
    """The randomised logit is negative but the contributions keep their signs: similarity +1, not -1."""
    net = Network.sequential(Dense([[1.0, 2.0, 3.0]], [1.0]))
    x = np.ones((1, 3))
    negative = replace(net["dense1"], bias=np.array([-100.0]))
    swapped = Network.sequential(negative)
    R, S = (lrpref.explain(n, x, 0, "z-plus", "one") for n in (net, swapped))
    assert maps.spearman(R, S) == 1
    S_logit = lrpref.explain(swapped, x, 0, "z-plus", "logit")
    assert maps.spearman(R, S_logit) == -1


# ---- measures on maps --------------------------------------------------------------------------------------------


@few
@given(a=arrays((3, 7)), b=arrays((3, 7)))
def test_rank_correlation_is_the_correlation_of_ranks(a: np.ndarray, b: np.ndarray) -> None:
    """A rank is 1 plus the number of smaller values plus half the number of other equal values."""
    assume(all(len(np.unique(row)) > 1 for row in (*a, *b)))

    def ranks(v: np.ndarray) -> np.ndarray:
        return 1 + (v[:, None] > v).sum(axis=1) + ((v[:, None] == v).sum(axis=1) - 1) / 2

    expected = [np.corrcoef(ranks(u), ranks(v))[0, 1] for u, v in zip(a, b, strict=True)]
    assert_allclose(maps.spearman(a, b), expected, atol=1e-12)


def test_measures_of_maps_by_hand() -> None:
    a, b = np.array([[[3.0, -1.0], [0.0, 0.0]]]), np.array([[[1.0, 1.0], [0.0, 0.0]]])
    assert_allclose(maps.cosine(a, b), 2 / 20**0.5)
    assert_allclose(maps.sign_agreement(a, b), 0.75)
    assert_allclose(maps.relative_l2(a, b), (8 / 2) ** 0.5)
    assert_allclose(maps.top_share(a, 0.25), 0.75)
    assert_allclose(maps.top_share(a, 0.001), 0.75)  # at least one value
    assert_allclose(maps.spearman_magnitude(a, -a), 1)
    zero = np.zeros_like(a)
    assert maps.cosine(a, zero) == maps.sign_agreement(zero, a) == maps.top_share(zero) == 0
    assert np.isnan(maps.spearman(a, zero)).all()
    assert maps.relative_l2(a, zero) == np.inf
    assert maps.relative_l2(zero, zero) == 0
    assert maps.relative_l2([[1, 2]], [[2, 4]]) == 0.5
    for empty in (np.zeros((0, 3)), np.zeros((2, 0))):
        assert maps.relative_l2(empty, empty).shape == maps.top_share(empty).shape == (len(empty),)
        assert np.isnan(maps.spearman(empty, empty)).all()


MEASURES = {
    **{f.__name__: f for f in (maps.cosine, maps.spearman, maps.spearman_magnitude, maps.sign_agreement)},
    "relative_l2": maps.relative_l2,
    "top_share": lambda a, b: maps.top_share(a, 0.4),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_similar_to_nothing(measure: str, bad: float) -> None:
    """Not even to itself; the other samples keep their values."""
    a, b = generator().normal(size=(2, 3, 5))
    whole = MEASURES[measure](a, b)
    broken, also = a.copy(), b.copy()
    broken[1, 2] = also[1, 2] = bad
    pairs = [(broken, b), (broken, also), (broken, broken)] + [(a, also)] * (measure != "top_share")
    for first, second in pairs:
        found = MEASURES[measure](first, second)
        assert_array_equal(np.isnan(found), [False, True, False])
    assert_array_equal(MEASURES[measure](broken, b)[[0, 2]], whole[[0, 2]])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("size", [2.0**-1022, 1e-200, 1e-30, 1e200, 2.0**1020])
def test_maps_of_any_size_are_measured_alike(measure: str, size: float) -> None:
    a, b = generator().uniform(0.1, 1, size=(2, 3, 5)) * [1, -1, 1, -1, 1]
    b[0] = a[0]
    assert_allclose(MEASURES[measure](a * size, b * size), MEASURES[measure](a, b), rtol=1e-14)
    if measure != "relative_l2":
        assert_allclose(MEASURES[measure](a * size, b / size), MEASURES[measure](a, b), rtol=1e-14)


def test_relative_l2_at_the_ends_of_float64() -> None:
    least = 2.0**-1074
    one = np.array([[3.0, 4.0]])
    assert maps.cosine(one * least, one * least) == 1
    assert maps.relative_l2(np.array([[3 * least, 0]]), np.array([[4 * least, 0]])) == 0.25
    assert maps.relative_l2(np.array([[1.5e308]]), np.array([[-1.5e308]])) == 2
    assert_allclose(maps.relative_l2(one * 1e300, one * 1e-5), 1e305, rtol=1e-14)
    assert_allclose(maps.relative_l2(one * 1e-200, one * 1e200), 1)
    assert maps.relative_l2(one * 1e200, one * 1e-200) == np.inf  # the ratio itself is too large
    assert maps.relative_l2(one * (1 + 2.0**-52), one) == pytest.approx(2.0**-52)


# ---- inputs and results ------------------------------------------------------------------------------------------


def test_any_callable_will_do() -> None:
    x, w = np.ones((2, 3), dtype=np.float32), np.array([1.0, 2.0, 4.0])
    as_list = pixel_flipping(lambda x: (x @ w)[:, None].tolist(), x, w * x)
    assert_array_equal(as_list.scores, [[7, 3, 1, 0]] * 2)


def test_on_another_backend(backend: Any) -> None:
    """The network receives arrays of its own backend."""
    net, x = small_network(generator()), generator(1).normal(size=(2, 2, 4, 4))
    R = lrpref.explain(net, x)
    there = abpc(backend(net), backend(x), backend(R), step=4)
    assert_allclose(there.abpc, abpc(net, x, R, step=4).abpc, rtol=1e-9)
    for name in baselines.BASELINES:
        here = baselines.baseline(name, net, x)
        assert_allclose(lrpref.to_numpy(baselines.baseline(name, backend(net), backend(x))), here, atol=1e-9)
    moved = evaluation.parameter_randomisation(backend(net), backend(x), "zero")
    assert_allclose(moved.similarity, evaluation.parameter_randomisation(net, x, "zero").similarity, atol=1e-9)


def test_results_print_their_conventions_and_are_frozen() -> None:
    x, w = np.ones((2, 30)), np.arange(30.0)
    both = abpc(additive(w), x, w * x, fill="mean", step=2)
    text = str(both)
    assert f"({replace(BACH2015, fill='mean', step=2)})" in text
    assert "ABPC" in text
    assert text.splitlines()[4].split() == ["0.0%", "435", "435", "0"]
    assert "AOPC" in str(both.morf)
    assert "2 samples" in str(both.lerf)
    with pytest.raises(FrozenInstanceError):
        both.morf = both.lerf  # type: ignore[misc]
    found = evaluation.parameter_randomisation(Network.sequential(Dense([[1.0, 2.0]])), np.ones((1, 2)), "zero")
    assert str(found).splitlines()[1].startswith("maps: lrpref:")
    assert "|zero|seed:one|" in found.signature
    assert str(found).splitlines()[2].split() == ["as", "trained", "1.0000"]
    assert evaluation.SAMEK2017.as_dict()["fill"] == "Uniform(low=None, high=None)"


def test_results_print_the_signature_of_the_maps() -> None:
    net, x = Network.sequential(Dense([[1.0, 2.0]])), np.ones((1, 2))
    signature = lrpref.signature(net, "zero")
    R = lrpref.explain(net, x, rule="zero")
    both = abpc(net, x, R, signature=signature)
    single = (
        pixel_flipping(net, x, R, signature=signature),
        evaluation.deletion(net, x, R, signature=str(signature), fill="zero"),
        evaluation.insertion(net, x, R, signature=signature, fill="zero"),
    )
    for found in (both, both.morf, both.lerf, *single):
        assert f"\nmaps: {signature}\n" in str(found)
    assert "maps:" not in str(abpc(net, x, R))
    assert not evaluation.parameter_randomisation(net, x, lambda net, x, target: x).signature
    with pytest.raises(ParameterError, match="signature must be"):
        abpc(net, x, R, signature=3)  # type: ignore[arg-type]


X = np.ones((2, 1, 3, 3))


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (ShapeError, {"R": np.ones((2, 1, 3, 4))}),
        (ShapeError, {"R": np.ones((1, 1, 3, 3))}),
        (ShapeError, {"x": np.ones((2, 2, 3, 3)), "R": np.ones((2, 3, 3)), "channels": "separate"}),
        (ShapeError, {"x": np.ones((2, 5)), "R": np.ones((2, 5)), "region": 2}),
        (ShapeError, {"x": np.ones((2, 5)), "R": np.ones((2, 5)), "fill": "blur"}),
        (ShapeError, {"fill": (1.0, 2.0)}),
        (ShapeError, {"scorer": lambda x: np.ones(len(x))}),
        (ShapeError, {"scorer": lambda x: np.ones((1, 2))}),
        (InputError, {"scorer": lambda x: np.full((len(x), 2), np.nan)}),
        (InputError, {"R": np.full((2, 1, 3, 3), np.nan)}),
        (DTypeError, {"R": np.ones((2, 1, 3, 3), dtype=complex)}),
        (DTypeError, {"scorer": lambda x: np.ones((len(x), 2), dtype=complex)}),
        (InputError, {"x": np.full((2, 1, 3, 3), np.inf)}),
        (InputError, {"x": np.ones((2, 1, 3, 3), dtype=int)}),
        (InputError, {"x": np.ones((0, 1, 3, 3)), "R": np.ones((0, 1, 3, 3))}),
        (IndexError, {"target": 2}),
        (ParameterError, {"output": "softmax"}),
        (ParameterError, {"output": "margin", "scorer": lambda x: np.ones((len(x), 1))}),
        (ParameterError, {"channels": "mean"}),
        (ParameterError, {"ties": "last"}),
        (ParameterError, {"normalise": "max"}),
        (ParameterError, {"by": "abs"}),
        (ParameterError, {"region": 0}),
        (ParameterError, {"step": 0.5}),
        (ParameterError, {"steps": 0}),
        (ParameterError, {"repeats": 2}),
        (ParameterError, {"batch_size": 0}),
        (ParameterError, {"colour": "red"}),
        (ParameterError, {"fill": None}),
        (ParameterError, {"fill": np.nan}),
        (ParameterError, {"channels": "separate", "region": 2}),
        (UnknownNameError, {"fill": "black"}),
    ],
)
def test_what_is_refused(error: type[Exception], changed: dict[str, Any]) -> None:
    asked = {"scorer": lambda x: np.ones((len(x), 2)) * [1, 2], "x": X, "R": X, **changed}
    with pytest.raises(error):
        abpc(**asked)


@pytest.mark.parametrize(
    ("error", "make"),
    [
        (ParameterError, lambda: pixel_flipping(additive(np.ones(2)), np.ones((1, 2)), np.ones((1, 2)), order="best")),
        (ParameterError, lambda: fills.Blur(0.0)),
        (ParameterError, lambda: fills.Blur(float("inf"))),
        (ParameterError, lambda: fills.Blur(size=2)),
        (ParameterError, lambda: fills.Neighbours(1)),
        (ParameterError, lambda: fills.Uniform(1, 0)),
        (ParameterError, lambda: fills.Uniform(low=1)),
        (ParameterError, lambda: fills.Value(((1.0,), (2.0,)))),  # type: ignore[arg-type]
        (ParameterError, lambda: maps.top_share(X, 0)),
        (ShapeError, lambda: maps.cosine(X, X[:1])),
        (ShapeError, lambda: maps.top_share(np.asarray(1.0))),
        (DTypeError, lambda: maps.relative_l2(X * 1j, X)),
        (DTypeError, lambda: maps.cosine(np.full((1, 2), "1e3"), np.ones((1, 2)))),
        (DTypeError, lambda: maps.spearman(np.zeros((1, 2), "timedelta64[s]"), np.ones((1, 2)))),
        (ShapeError, lambda: baselines.sobel(None, np.ones((1, 3)))),
        (ParameterError, lambda: evaluation.parameter_randomisation(small_network(generator()), X, mode="all")),
        (
            UnknownNameError,
            lambda: evaluation.parameter_randomisation(small_network(generator()), X, similarity="ssim"),
        ),
        (ParameterError, lambda: evaluation.randomised(small_network(generator()), ["dense1"], "he")),
        (GraphError, lambda: evaluation.randomised(small_network(generator()), ["relu1"])),
        (GraphError, lambda: evaluation.parameter_randomisation(Network.sequential(ReLU()), np.ones((1, 3)))),
    ],
)
def test_what_else_is_refused(error: type[LrprefError], make: Callable[[], Any]) -> None:
    with pytest.raises(error):
        make()
