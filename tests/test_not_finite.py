"""NaN and overflow travel: no layer and no rule turns them into a number, and every way to explain names them alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    CELU,
    ELU,
    GELU,
    SELU,
    Add,
    AvgPool2D,
    BatchNorm,
    Clip,
    Concat,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    HardSigmoid,
    HardSwish,
    HardTanh,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    LogSoftmax,
    MaxPool2D,
    Mish,
    Network,
    Pad2D,
    PReLU,
    ReLU,
    ReLU6,
    RMSNorm,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Threshold,
    ThreshReLU,
    composites,
    layers,
    oracle,
    rules,
)
from lrpref.engine import divide, magnitude, negative, positive, square, stabilize
from lrpref.errors import InputError, LrprefError, ParameterError, RelevanceWarning
from lrpref.fast import FORMS, winograd

CONV_TRANSPOSE = (layers.ConvTranspose1D, layers.ConvTranspose2D, layers.ConvTranspose3D)

LAYERS: list[Layer] = [
    ReLU(),
    ReLU6(),
    LeakyReLU(),
    ThreshReLU(0.5),
    ThreshReLU([0.1, 0.2], below=[True, False]),
    LocalResponseNorm(3),
    Sigmoid(),
    Tanh(),
    CELU(0.5),
    Clip(-0.5, 0.5),
    Clip(high=0.25),
    ELU(0.5),
    GELU(),
    GELU("tanh"),
    HardSigmoid(),
    HardSwish(),
    HardTanh(-0.5, 0.5),
    Mish(),
    PReLU(),
    PReLU([0.25, -0.5]),
    SELU(),
    SiLU(),
    Softplus(2.0, 0.5),
    Softsign(),
    Threshold(0.5, -1.0),
    Softmax(),
    MaxPool2D(2),
    MaxPool2D(3, 1, 1, ties="equal"),
    AvgPool2D(2),
    AvgPool2D(3, 1, 1, count_include_pad=False),
    GlobalAvgPool2D(),
    Flatten(),
    Dropout(),
    Pad2D(1, 0.5),
    Scale([2.0, -1.0], [1.0, 0.0]),
    BatchNorm([1.0, -1.0], None, [0.0, 1.0], [1.0, 2.0]),
    Conv2D(np.ones((2, 2, 3, 3)), padding=1),
    Conv2D(np.ones((2, 1, 2, 2)), [1.0, 2.0], groups=2),
    *(kind(np.ones((2, 2, *(2,) * kind.axes)), padding=1) for kind in (layers.Conv1D, layers.Conv3D)),
    *(kind(np.ones((2, 2, *(2,) * kind.axes)), stride=2) for kind in CONV_TRANSPOSE),
    *(kind(2, 1, 1, dilation=1, ceil_mode=True) for kind in (layers.MaxPool1D, layers.MaxPool3D)),
    *(kind(2, 1, 1, ceil_mode=True) for kind in (layers.AvgPool1D, layers.AvgPool3D)),
    *(kind() for kind in (layers.GlobalAvgPool1D, layers.GlobalAvgPool3D)),
    *(kind() for kind in (layers.GlobalMaxPool1D, layers.GlobalMaxPool2D, layers.GlobalMaxPool3D)),
    *(kind(2) for kind in (layers.AdaptiveAvgPool1D, layers.AdaptiveAvgPool2D, layers.AdaptiveAvgPool3D)),
    *(kind(2) for kind in (layers.AdaptiveMaxPool1D, layers.AdaptiveMaxPool2D, layers.AdaptiveMaxPool3D)),
    *(kind(1, 0.5) for kind in (layers.Pad1D, layers.Pad3D)),
    *(Pad2D(1, mode=mode) for mode in ("reflect", "replicate", "circular")),
    layers.UpsampleNearest(scale_factor=2),
    layers.UpsampleLinear(scale_factor=2),
    Dense(np.ones((3, 2))),
    Add(),
    LogSoftmax(),
    Concat(),
    lrpref.Subtract(),
    lrpref.Maximum("equal"),
    lrpref.Minimum(),
    lrpref.Multiply(),
    lrpref.Sum((1, 2)),
    lrpref.Mean(3, keepdims=True),
    lrpref.Max((2, 3)),
    lrpref.Max(1, ties="equal"),
    lrpref.Reshape((4, -1)),
    lrpref.Permute((0, 3, 1, 2)),
    lrpref.Slice(1, step=-1),
    lrpref.PixelShuffle(1),
    lrpref.PixelUnshuffle(2),
    lrpref.ChannelShuffle(2),
    GroupNorm(1, [1.0, -1.0]),
    InstanceNorm(),
    LayerNorm(4),
    LayerNorm((4, 4), mean="constant"),
    RMSNorm(4),
    Softmax(-1),
    lrpref.Affine(np.ones(4), np.ones((4, 1))),
    lrpref.MatMul(),
    lrpref.MatMul(True, 0.5, "signal"),
    lrpref.PrependTokens(np.ones((1, 4))),
    lrpref.TokenDense(np.ones((3, 4))),
]


def batch(layer: Layer, seed: int = 0) -> np.ndarray:
    """Two samples of two channels, with as many spatial axes as the layer takes; features for Dense."""
    axes = getattr(type(layer), "axes", 2)  # of the classes of one rank
    cells = (4,) * axes if axes in (1, 2) else (3, 3, 3) if axes == 3 else (4, 4)
    cells = cells[:1] if isinstance(layer, lrpref.PrependTokens) else cells
    shape = (2, 2) if type(layer) is Dense else (2, 2, *cells)
    return np.random.default_rng(seed).normal(size=shape)


def with_nan(x: np.ndarray, at: int) -> np.ndarray:
    """The batch with NaN at one place of sample 1."""
    bad = x.copy()
    bad[1].flat[at] = np.nan
    return bad


def test_all_layers_are_here() -> None:
    made = {type(layer) for layer in LAYERS}
    own = {kind for kind in vars(layers).values() if isinstance(kind, type) and issubclass(kind, Layer)}
    assert made | {lrpref.Embedding} == {kind for kind in own if kind not in layers.BASES}  # which refuses NaN


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_layer_passes_nan_on_within_its_sample(layer: Layer) -> None:
    """Wherever it is; every other sample is as without it, and so are the cells that do not depend on it."""
    x = batch(layer)
    others = [x] * (layer.min_inputs - 1)
    expected = layer.forward(x, *others)
    for at in range(x[0].size):
        found = layer.forward(with_nan(x, at), *others)
        assert_array_equal(found[0], expected[0])
        assert np.isnan(found[1]).any()
        same = ~np.isnan(found[1])
        assert_array_equal(found[1][same], expected[1][same])


ACTIVATIONS = [
    layer
    for layer in LAYERS
    if isinstance(layer, layers.Elementwise) and not isinstance(layer, LocalResponseNorm)  # no function of one number
]
FAR = np.array([[-np.inf, np.inf], [-1e300, 1e300]])


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_an_activation_keeps_infinities_in_order(layer: Layer) -> None:
    """Its value at infinity is its limit, that is its value far away, where an unbounded one is still finite."""
    at_infinity, far = layer.forward(FAR)
    assert not np.isnan(at_infinity).any()
    assert_array_equal(at_infinity, np.where(abs(far) > 1e100, np.copysign(np.inf, far), far))
    assert at_infinity[0] <= at_infinity[1] or isinstance(layer, PReLU)  # a negative weight turns minus infinity round


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("second", [None, *range(4)])
def test_a_max_pool_takes_the_first_nan_as_argmax_does(at: int, second: int | None) -> None:
    window = np.array([3.0, -1.0, 5.0, 2.0])
    window[[at] if second is None else [at, second]] = np.nan
    a, R = window.reshape(1, 1, 2, 2), np.array([[[[7.0]]]])
    for pool in (MaxPool2D(2), MaxPool2D(2, ties="equal")):
        assert np.isnan(pool.forward(a)).all()
        routed = pool.relevance(a, R, rules.Zero()).reshape(-1)
        nans = np.isnan(window)
        expected = 7.0 * nans / nans.sum() if pool.ties == "equal" else 7.0 * (np.arange(4) == np.argmax(window))
        assert_array_equal(routed, expected)
        assert_array_equal(oracle.messages(pool, a, R, rules.Zero()).reshape(-1), expected)


def test_maps_of_nan_are_nan() -> None:
    for part in (positive, negative, magnitude, square):
        assert_array_equal(np.isnan(part(np.array([np.nan, 1.0, -1.0]))), [True, False, False])
    assert np.isnan(stabilize(np.array([np.nan]), 0.1)).all()
    assert np.isnan(divide(np.ones(2), np.array([np.nan, 1.0]))[0])


RULES = {name: kind() for name, kind in rules.RULES.items() if name not in ("z-box", "pass")} | {
    "z-box": rules.ZBox(-3.0, 3.0),
    "gamma-generalised": rules.Gamma(0.5, generalised=True),
    "rms": rules.Epsilon(0.1, scale="rms"),
    "renormalise": rules.AlphaBeta(empty="renormalise"),
    "relative-bare": rules.Relative(rescale=False),
}
IGNORE_INPUTS = ("flat", "w-square")


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if isinstance(layer, Dense | Conv2D)], ids=repr)
@pytest.mark.parametrize("name", RULES)
def test_a_rule_passes_nan_on_within_its_sample(name: str, layer: Layer) -> None:
    """z-plus of NaN is NaN. The flat and the w-square rule read no inputs, so they have none to pass on."""
    x, rule = batch(layer), RULES[name]
    R = np.ones(layer.output_shape(x.shape))
    expected = layer.relevance(x, R, rule)
    for at in (0, x[0].size - 1):
        found = layer.relevance(with_nan(x, at), R, rule)
        assert_array_equal(found[0], expected[0])
        assert np.isnan(found[1].flat[at]) == (name not in IGNORE_INPUTS)


# ---- every way to explain ----------------------------------------------------------------------------------------


def said(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What a call returns, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call()
    assert {w.category for w in caught} <= {RelevanceWarning}
    return found, [str(w.message) for w in caught]


def ways(
    net: Network, x: np.ndarray, rule: Any = "epsilon", form: str = "direct", node: str | None = None, **arguments: Any
) -> dict[str, Any]:
    """The relevance and the warnings of every way to explain a batch."""
    prepared = lrpref.prepare(net, rule, form, node)
    return {
        "trace": said(lambda: lrpref.trace(net, x, rule=rule, node=node, **arguments).relevance),
        "plain": said(lambda: lrpref.explain(net, x, rule=rule, node=node, form="plain", **arguments)),
        "explain": said(lambda: lrpref.explain(net, x, rule=rule, node=node, form=form, **arguments)),
        "prepared": said(lambda: prepared.explain(x, **arguments)),
        "run": said(lambda: prepared.run(x).explain(**arguments)),
        "traced": said(lambda: prepared.trace(x, **arguments).relevance),
    }


def alike(found: dict[str, Any], warning: str) -> np.ndarray:
    """The relevance, after checking that every way found it and said the same, once."""
    R, said_by_trace = found["trace"]
    assert len(said_by_trace) == 1
    assert warning in said_by_trace[0]
    for values, messages in found.values():
        assert_array_equal(values, R)
        assert messages == said_by_trace
    return R


CANCELLING = Network.sequential(
    Dense(np.float32([[10, -9], [1e-38, 0]])), ReLU(), Dense(np.float32([[1e-38, 1]])), names=["a", "relu", "b"]
)
LARGE = np.float32([[1, 1], [1e38, 1e38]])
FLOAT32 = "the output of node 'a' (Dense) is not finite in sample 1: float32 cannot represent its values; use smaller"


def test_float32_overflows_by_name_and_float64_is_right() -> None:
    assert_allclose(CANCELLING.astype("float64").forward(LARGE)[1], 1.9999998, rtol=1e-7)
    R = alike(ways(CANCELLING, LARGE), FLOAT32)
    assert np.isnan(R[1]).any()
    assert np.isfinite(R[0]).all()
    for forward in (CANCELLING.forward, lrpref.prepare(CANCELLING).forward):
        y, (message,) = said(lambda forward=forward: forward(LARGE))
        assert message.startswith(FLOAT32)
        assert not np.isfinite(y[1]).any()
        assert np.isfinite(y[0]).all()
    logits, (message,) = said(lambda: lrpref.prepare(CANCELLING).run(LARGE).logits)
    assert message.startswith(FLOAT32)
    assert_array_equal(logits, y)


def test_pixels_of_1e38_give_no_map_of_zeros() -> None:
    draw = np.random.default_rng(0).normal
    net = Network.sequential(
        Dense(np.float32(draw(size=(300, 784)))), ReLU(), Dense(np.float32(draw(size=(10, 300)))), names=["a", "r", "b"]
    )
    x = np.full((1, 784), 1e38, dtype=np.float32)
    assert np.isnan(said(lambda: net.forward(x))[0]).all()
    assert np.isnan(alike(ways(net, x), "node 'a' (Dense) is not finite in sample 0")).all()


@pytest.mark.parametrize("weights", [[-5, 8], [8, -5]])
@pytest.mark.parametrize("rule", ["epsilon", "flat", "z-plus", "gamma"])
def test_an_overflow_that_a_relu_hides_is_named(rule: str, weights: list[int]) -> None:
    """-5e38 + 8e38 becomes -inf in one of both orders, which a ReLU turns into 0; the true value is 3e38."""
    below, above = Dense(np.float32([weights])), Dense(np.float32([[1]]), np.float32([2]))
    net = Network.sequential(below, ReLU(), above, names=["a", "relu", "b"])
    alike(ways(net, LARGE, rule, seed="one"), "node 'a' (Dense) is not finite in sample 1")
    _, (message,) = said(lambda: lrpref.prepare(net, rule).forward(LARGE))
    assert "'a'" in message


def test_an_overflow_in_a_skip_connection_is_named() -> None:
    net = Network([
        ("sum", Add(), ["input", "input"]), ("relu", ReLU(), ["sum"]),
        ("out", Dense(np.ones((1, 2), np.float32), np.ones(1, np.float32)), ["relu"]),
    ])  # fmt: skip
    found = ways(net, np.float32([[-3e38, 1.0]]), seed="one")
    alike(found, "the output of node 'sum' (Add) is not finite in sample 0")


def test_a_mean_whose_sum_overflows_is_named() -> None:
    net = Network.sequential(GlobalAvgPool2D(), Scale(np.float32([1.0])), names=["mean", "scale"])
    x = np.full((1, 1, 4, 4), 2e38, dtype=np.float32)
    found = ways(net, x, seed="one", node="mean")
    alike(found, "the output of node 'mean' (GlobalAvgPool2D) is not finite in sample 0")


def test_an_overflow_in_a_layer_computed_plainly_is_named() -> None:
    """A max-pool drops the -inf, and no denominator of the Scale is read."""
    net = Network.sequential(
        Scale(np.float32([-10.0])), MaxPool2D(2), Flatten(), Dense(-np.ones((1, 1), np.float32)), names="smfd"
    )
    found = ways(
        net, np.float32([[[[1e38, 1], [1, 1]]]]), composites.Composite([(Scale, rules.Pass()), (object, rules.ZPlus())])
    )
    alike(found, "node 's' (Scale) is not finite in sample 0")


@pytest.mark.parametrize("rule", [rules.ZPlus(), rules.AlphaBeta(), rules.ZPlus(1e-6)], ids=repr)
@pytest.mark.parametrize("relu", [True, False])
def test_a_denominator_that_overflows_is_named(rule: rules.Rule, relu: bool) -> None:
    """z = 0 is right, but z+ = 4e38 is not a number of float32: R / z+ would be 0 for all inputs."""
    weight = np.float32([[2, -2, 2, -2]] * 3)
    head = [ReLU(), Dense(np.ones((1, 3), np.float32))] if relu else [Dense(np.ones((1, 3), np.float32))]
    net = Network.sequential(Dense(weight, np.ones(3, np.float32)), *head)
    found = ways(net, np.full((1, 4), 1e38, dtype=np.float32), rule, seed="one")
    alike(found, f"a denominator at node 'dense1' ({rule}) is not finite in sample 0")


@pytest.mark.parametrize("rule", [rules.Epsilon(1e39), rules.ZPlus(1e39), rules.Flat(1e39)], ids=repr)
def test_a_stabilizer_that_overflows_is_refused(rule: rules.Rule) -> None:
    net = Network.sequential(Dense(np.ones((2, 2), np.float32)), ReLU(), Dense(np.ones((1, 2), np.float32)))
    for form in ("plain", "direct"):
        with pytest.raises(ParameterError, match=r"node 'dense.' .*1e\+39 is out of range for float32"):
            lrpref.explain(net, np.ones((1, 2), np.float32), rule=rule, form=form)


def test_a_denominator_of_a_plain_step_that_overflows_is_named() -> None:
    """Grouped convolutions are computed plainly: their z is finite, and z+ is not."""
    conv = Conv2D(np.float32([[[[1, -1, 1, -1]]]]).repeat(2, axis=0), groups=2)
    net = Network.sequential(conv, Flatten(), Dense(np.ones((1, 2), np.float32)), names=["conv", "flat", "fc"])
    x = np.full((1, 2, 1, 4), 2e38, dtype=np.float32)
    assert_array_equal(net.forward(x), 0)
    alike(ways(net, x, rules.ZPlus(), seed="one"), "a denominator at node 'conv' (z-plus) is not finite in sample 0")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@given(exponent=st.floats(0, 38.5), seed=st.integers(0, 99))
def test_plain_and_prepared_agree_on_what_is_not_finite(form: str, exponent: float, seed: int) -> None:
    """In every form, for inputs up to the largest float32 in one sample; the other sample is never touched."""
    draw = np.random.default_rng(seed).normal
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "LEAST_CHANNELS", 2)
        net = Network.sequential(
            Conv2D(np.float32(draw(size=(3, 2, 3, 3))), padding=1), ReLU(),
            Conv2D(np.float32(draw(size=(3, 3, 3, 3))), np.float32(draw(size=3)), padding=1), ReLU(), MaxPool2D(2),
            Flatten(), Dense(np.float32(draw(size=(2, 12)))),
        )  # fmt: skip
        scale = 10 ** np.array([0, exponent]).reshape(2, 1, 1, 1)
        x = np.float32(np.clip(draw(size=(2, 2, 4, 4)) * scale, -3e38, 3e38))
        (R, told), (found, said_too) = (ways(net, x, "epsilon-plus", form)[way] for way in ("trace", "prepared"))
    assert_array_equal(np.isfinite(found), np.isfinite(R))
    assert np.isfinite(found[0]).all()
    assert said_too == told
    if not np.isfinite(R).all():
        assert "in sample 1" in told[0]


def test_several_targets_of_one_input_that_overflows() -> None:
    prepared = lrpref.prepare(CANCELLING)
    R, (message,) = said(lambda: prepared.run(LARGE[1:]).explain(target=[0, 0, 0]))
    assert R.shape == (3, 2)
    assert "in samples 0, 1, 2" in message


def test_nodes_after_the_explained_one_are_not_judged() -> None:
    net = Network.sequential(Dense(np.float32([[1, 1]])), Dense(np.float32([[100]])), names=["a", "b"])
    x = np.float32([[1e38, 1e38]])
    assert said(lambda: lrpref.trace(net, x, node="a", rule="zero"))[1] == []
    assert said(lambda: lrpref.prepare(net, "zero", node="a").explain(x))[1] == []


# ---- inputs and seeds ----------------------------------------------------------------------------------------------


def test_inputs_are_checked_after_the_cast() -> None:
    net = Network.sequential(Dense(np.float32([[1, 1]])))
    prepared = lrpref.prepare(net)
    x = np.array([[1.0, 1.0], [1e300, 1.0]])
    for way in (net.forward, prepared.forward, prepared.explain, prepared.run, lambda x: lrpref.explain(net, x)):
        with pytest.raises(InputError, match=r"the input holds values too large for float32, first in sample 1; use"):
            way(x)
    assert net.astype("float64").forward(x)[1, 0] == 1e300


@pytest.mark.parametrize("seed", [1e300, -1e300, np.array([[1.0], [1e300]])], ids=["large", "negative", "array"])
@pytest.mark.parametrize("form", ["plain", "direct"])
def test_seeds_are_checked_after_the_cast(seed: Any, form: str) -> None:
    net = Network.sequential(Dense(np.float32([[1, 1]])))
    with pytest.raises(LrprefError, match=r"too large for float32|out of range for float32"):
        lrpref.explain(net, np.ones((2, 2)), seed=seed, form=form)


def test_an_exact_input_too_large_for_the_network() -> None:
    net = Network.sequential(Dense(np.float32([[1, 1]])))
    with pytest.raises(InputError, match="too large for float"):
        net.forward(lrpref.exact([[10**400, 1]]))


# ---- blocks ---------------------------------------------------------------------------------------------------------


def test_a_warning_names_the_block_and_the_sample_in_it() -> None:
    x = np.concatenate([LARGE[:1]] * 5 + [LARGE])
    for form in ("plain", "direct"):
        R, (message,) = said(lambda form=form: lrpref.explain(CANCELLING, x, rule="epsilon", batch_size=3, form=form))
        assert message.startswith("in the block x[6:7]: the output of node 'a' (Dense) is not finite in sample 0")
        assert np.isfinite(R[:6]).all()


def test_a_dask_worker_names_the_block_too() -> None:
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    x = da.from_array(np.concatenate([LARGE[:1]] * 5 + [LARGE]), chunks=(4, 2))
    lazy = lrpref.distributed.explain(CANCELLING, x, rule="epsilon")
    _, (message,) = said(lambda: lazy.compute(scheduler="synchronous"))
    assert message.startswith("in the block x[4:7]: the output of node 'a' (Dense) is not finite in sample 2")
