"""Signals, images and volumes: the layers of any number of spatial axes, each checked against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Flatten, Network, ReLU, layers, rules
from lrpref.errors import ParameterError, ShapeError
from lrpref.fast import FORMS
from lrpref.testing import LayerCase
from lrpref.testing.strategies import (
    arrays,
    conv,
    generic,
    layer_cases,
    max_pool,
    signals,
    spatial,
)

RULES = ["zero", "epsilon", "gamma", "alpha-beta", "z-plus", "w-square", "flat", "epsilon-plus-flat"]


def as_one_row(layer: Any) -> Any:
    """The layer of images that does to one row what a layer of signals does."""
    w = layer.window
    if isinstance(layer, layers.Conv1D):
        taps = None if layer.bias_taps is None else layer.bias_taps[:, None]
        sizes = ((1, *w.stride), (0, 0, *w.padding), (1, *w.dilation))
        return layers.Conv2D(layer.weight[:, :, None], layer.bias, *sizes, layer.groups, taps)
    return layers.MaxPool2D(
        *((1, *w.kernel), (1, *w.stride), (0, 0, *w.padding), layer.ties),
        **{"dilation": (1, *w.dilation), "ceil_mode": w.ceil_mode},
    )


@given(data=st.data())
def test_a_signal_is_an_image_of_one_row(data: Any) -> None:
    """Forward and backward, to the last bit."""
    shape = data.draw(signals())
    layer = data.draw(conv(shape) | max_pool(shape))
    flat, a = as_one_row(layer), data.draw(arrays(shape))
    R = data.draw(arrays(layer.output_shape(shape)))
    assert_array_equal(flat.forward(a[:, :, None])[:, :, 0], layer.forward(a))
    expected = flat.relevance(a[:, :, None], R[:, :, None], rules.Epsilon(0.25))[:, :, 0]
    assert_array_equal(layer.relevance(a, R, rules.Epsilon(0.25)), expected)


@given(case=layer_cases("conv"))
def test_a_transposed_convolution_is_the_transpose(case: LayerCase) -> None:
    """It computes the adjoint of the convolution with the same kernels; output_padding restores the exact size."""
    layer, (a,) = case.layer, case.inputs
    kind = getattr(layers, type(layer).__name__.replace("Conv", "ConvTranspose"))
    sizes = zip(a.shape[2:], case.R.shape[2:], layer.stride, layer.window.extent, strict=True)
    sides = zip(layer.padding[::2], layer.padding[1::2], strict=True)
    more = [n + sum(p) - ((m - 1) * s + e) for (n, m, s, e), p in zip(sizes, sides, strict=True)]
    if any(k >= max(s, d) for k, s, d in zip(more, layer.stride, layer.dilation, strict=True)):
        return  # cells that the convolution reads never
    back = kind(layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups, None, tuple(more))
    assert_array_equal(back.forward(case.R), layer.adjoint(layer.weight, case.R, a.shape))
    assert_array_equal(back.adjoint(layer.weight, a, case.R.shape), layer.linear(layer.weight, a))


NETWORKS = {
    "signal": lambda r: (
        (2, 3, 16),
        [layers.Conv1D(r(4, 3, 3), r(4), 1, 1), ReLU(), layers.MaxPool1D(2), layers.Conv1D(r(4, 2, 3), groups=2),
         ReLU(), layers.AvgPool1D(2), layers.ConvTranspose1D(r(4, 2, 3), stride=2), ReLU(), layers.GlobalAvgPool1D()],
    ),
    "image": lambda r: (
        (2, 2, 6, 6),
        [layers.ConvTranspose2D(r(2, 3, 2, 2), r(3), 2, 1, output_padding=1), ReLU(),
         layers.Pad2D(1, mode="reflect"), layers.Conv2D(r(4, 3, 3, 3)), ReLU(), layers.UpsampleLinear(scale_factor=2),
         layers.MaxPool2D(3, 2, ceil_mode=True), layers.UpsampleNearest(size=5), layers.AdaptiveAvgPool2D(2)],
    ),
    "volume": lambda r: (
        (2, 2, 4, 5, 4),
        [layers.Conv3D(r(3, 2, 2, 2, 2), r(3)), ReLU(), layers.MaxPool3D(2, 1, dilation=2),
         layers.Pad3D(1, mode="circular"), layers.Conv3D(r(2, 3, 2, 1, 2)), ReLU(),
         layers.AdaptiveMaxPool3D((2, 1, 2))],
    ),
}  # fmt: skip


def network(name: str, seed: int = 0) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape, chain = NETWORKS[name](lambda *size: rng.normal(size=size))
    x = rng.normal(size=shape)
    features = Network.sequential(*chain, Flatten()).forward(x).shape[1]
    return Network.sequential(*chain, Flatten(), lrpref.Dense(rng.normal(size=(3, features)))), x


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETWORKS)
def test_prepared_equals_plain(name: str, rule: str) -> None:
    net, x = network(name)
    plain = lrpref.explain(net, x, rule=rule, form="plain")
    for form in FORMS:
        assert_allclose(lrpref.explain(net, x, rule=rule, form=form), plain, rtol=0, atol=1e-11 * abs(plain).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_lrp_0_is_the_gradient_times_the_input(name: str) -> None:
    """By differences: the network is piecewise linear, and the step is small."""
    net, x = network(name)
    bare = net.map_layers(lambda layer: layer if getattr(layer, "bias", None) is None else _without_bias(layer))
    R = lrpref.explain(bare, x, target=0, rule="zero")
    logits = bare.forward(x)[:, 0]
    assert_allclose(R.sum(axis=tuple(range(1, R.ndim))), logits, rtol=1e-10)
    step = 1e-6 * np.random.default_rng(1).normal(size=x.shape)
    change = (bare.forward(x + step)[:, 0] - bare.forward(x - step)[:, 0]) / 2
    assert_allclose((R / x * step).sum(axis=tuple(range(1, R.ndim))), change, rtol=1e-6)


def _without_bias(layer: Any) -> Any:
    return type(layer)(layer.weight, None, *(getattr(layer, n) for n in ("stride", "padding", "dilation", "groups")))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_prepared_network_says_which_form_ran(name: str) -> None:
    net, _ = network(name)
    forms = lrpref.prepare(net, "epsilon-plus").forms
    first = "convtranspose2d1" if name == "image" else next(iter(forms))
    assert forms[first] == ("direct" if name == "signal" else "plain")


@given(shape=spatial(channels=4), data=st.data())
def test_a_batchnorm_folds_into_convolutions_of_any_rank(shape: Any, data: Any) -> None:
    """Before and after them, at the border too; the bound allows for the rounding of the folded weights."""
    transposed = data.draw(st.booleans())
    axes, groups = len(shape) - 2, data.draw(st.sampled_from([1, 2]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    kind = getattr(layers, f"Conv{'Transpose' if transposed else ''}{axes}D")
    kernel = rng.normal(size=(4, 4 // groups, *(2,) * axes))
    conv = kind(kernel, rng.normal(size=4), 2, data.draw(st.integers(0, 1)), groups=groups)
    norms = [layers.BatchNorm(*rng.normal(size=(3, 4)), rng.uniform(0.5, 2, 4)) for _ in range(2)]
    net = Network.sequential(norms[0], conv, norms[1])
    x = data.draw(generic(shape))
    if min(shape[2:]) < 2:
        return  # the output of a transposed convolution would be empty
    fused = lrpref.fuse(net, verify=x)
    assert len(fused.nodes) == 1
    y = net.forward(x)
    assert_allclose(fused.forward(x), y, rtol=0, atol=1e-12 * abs(y).max(initial=1))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: layers.Conv1D(np.ones((1, 1, 2, 2))), ParameterError, r"Conv1D weight"),
        (lambda: layers.Conv3D(np.ones((1,) * 5), stride=(1, 2)), ParameterError, r"stride takes 1 or 3 integers"),
        (lambda: layers.MaxPool1D(2, padding=(1, 2, 3)), ParameterError, r"padding takes 1 or 2 integers"),
        (lambda: layers.Conv1D(np.ones((1, 1, 1))).forward(np.ones((1, 1, 2, 2))), ShapeError, r"expected signals"),
        (lambda: layers.GlobalMaxPool3D().forward(np.ones((1, 1, 2, 2))), ShapeError, r"volumes .* add the batch"),
        (
            lambda: layers.ConvTranspose1D(np.ones((1, 1, 2)), output_padding=1), ParameterError,
            r"output_padding \(1,\) must be smaller than the stride",
        ),
        (
            lambda: layers.ConvTranspose1D(np.ones((1, 1, 2)), padding=1).forward(np.ones((1, 1, 1))), ShapeError,
            r"the output would have \(0,\) cells",
        ),
        (lambda: layers.ConvTranspose2D(np.ones((3, 1, 1, 1)), groups=2), ParameterError, r"in_channels \(3\) must be"),
        (
            lambda: layers.MaxPool1D(2, padding=1, dilation=3).forward(np.ones((1, 1, 2))), ShapeError,
            r"meets no cell of an input of shape \(1, 1, 2\); use less padding",
        ),
        (lambda: layers.Pad1D(2, mode="reflect").forward(np.ones((1, 1, 2))), ShapeError, r"needs a larger input"),
        (lambda: layers.Pad1D(3, mode="circular").forward(np.ones((1, 1, 2))), ShapeError, r"needs a larger input"),
        (lambda: layers.UpsampleLinear(), ParameterError, r"takes either size or scale_factor"),
        (lambda: layers.UpsampleNearest(2, 2.0), ParameterError, r"takes either size or scale_factor"),
        (lambda: layers.UpsampleNearest(scale_factor=0.1).forward(np.ones((1, 1, 4))), ShapeError, r"larger scale"),
        (lambda: layers.UpsampleNearest((2, 3)).forward(np.ones((1, 1, 4))), ShapeError, r"for 2 spatial axes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(wrong: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_by_hand() -> None:
    """One unit each: the fractions of R that the cells of the input receive."""
    one, two = np.array([[[1.0, 3.0]]]), np.array([[[1.0, 3.0]]])
    linear = layers.UpsampleLinear(scale_factor=2)  # z = 1, 3/2, 5/2, 3
    R = np.array([[[0.0, 6.0, 0.0, 0.0]]])  # z = 3/4 * 1 + 1/4 * 3: both halves of 3/2
    assert_array_equal(linear.relevance(one, R, rules.Zero()), [[[3.0, 3.0]]])
    assert_array_equal(linear.relevance(one, R, rules.Flat()), [[[3.0, 3.0]]])
    assert_allclose(linear.relevance(one, R, rules.WSquare()), [[[5.4, 0.6]]], rtol=1e-15)  # 9/10 and 1/10
    nearest = layers.UpsampleNearest(size=3)
    assert_array_equal(nearest.relevance(one, np.array([[[1.0, 2.0, 4.0]]]), rules.Zero()), [[[3.0, 4.0]]])
    reflect = layers.Pad1D((1, 0), mode="reflect")
    assert_array_equal(reflect.forward(two), [[[3.0, 1.0, 3.0]]])
    assert_array_equal(reflect.relevance(two, np.array([[[1.0, 2.0, 4.0]]]), rules.Zero()), [[[2.0, 5.0]]])
    spread = layers.ConvTranspose1D([[[1.0, -1.0]]])  # z = 1, 3 - 1, -3
    R = np.array([[[5.0, 4.0, 1.0]]])  # of z = 2, 3/2 comes from the second cell, -1/2 from the first
    assert_array_equal(spread.relevance(two, R, rules.Zero()), [[[5.0 - 2.0, 6.0 + 1.0]]])
    adaptive = layers.AdaptiveAvgPool1D(2)  # of three cells: the first two, the last two
    assert_array_equal(adaptive.forward(np.array([[[1.0, 3.0, 5.0]]])), [[[2.0, 4.0]]])
    shared = adaptive.relevance(np.array([[[1.0, 3.0, 5.0]]]), np.array([[[4.0, 8.0]]]), rules.Zero())
    assert_array_equal(shared, [[[1.0, 3.0 + 3.0, 5.0]]])
    three = np.array([[[1.0, 3.0, 5.0]]])  # the last window of ceil_mode has one cell
    assert_array_equal(layers.AvgPool1D(2, ceil_mode=True).forward(three), [[[2.0, 5.0]]])
    assert_array_equal(layers.AvgPool1D(2, divisor=4, ceil_mode=True).forward(three), [[[1.0, 1.25]]])
    assert_array_equal(layers.AvgPool1D(2, 2, (0, 1), ceil_mode=True).forward(three), [[[2.0, 2.5]]])
    most = layers.AdaptiveMaxPool1D(2).relevance(np.array([[[1.0, 3.0, 2.0]]]), np.array([[[4.0, 8.0]]]), rules.Zero())
    assert_array_equal(most, [[[0.0, 12.0, 0.0]]])
