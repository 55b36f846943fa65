"""Norms by the sample's own statistics: by hand, against the oracle, against torch, frozen, and folded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Affine,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Network,
    ReLU,
    RMSNorm,
    Scale,
    composites,
    exact,
    oracle,
    rules,
)
from lrpref.arithmetic import square_root
from lrpref.errors import (
    DTypeError,
    FusionError,
    InputError,
    ParameterError,
    RuleError,
    ShapeError,
)
from lrpref.layers import SampleNorm
from lrpref.testing import check_layer

MEANS = ("linear", "constant", "centred")


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


G, BETA = numbers(4, seed=1), numbers(4, seed=2)
WITH_MEAN: list[tuple[Any, tuple[int, ...]]] = [
    (GroupNorm(2, G, BETA), (2, 4)),
    (GroupNorm(2, G, BETA), (2, 4, 2, 3)),
    (GroupNorm(1), (2, 3, 2)),
    (InstanceNorm(G, BETA), (2, 4, 3)),
    (InstanceNorm(G), (1, 4, 2, 2, 2)),
    (LayerNorm(4, G, BETA), (2, 4)),
    (LayerNorm(4, G, BETA), (2, 3, 4)),
    (LayerNorm((2, 2), G.reshape(2, 2), BETA.reshape(2, 2)), (2, 3, 2, 2)),
]
LAYERS = [(replace(layer, mean=mean), shape) for layer, shape in WITH_MEAN for mean in MEANS]
LAYERS += [(RMSNorm(4, G), (2, 4)), (RMSNorm((3, 4)), (2, 3, 4))]
every_layer = pytest.mark.parametrize(
    ("layer", "shape"), LAYERS, ids=[f"{type(layer).__name__}-{layer.mean}-{len(shape)}" for layer, shape in LAYERS]
)

RULES = [
    rules.Zero(), rules.Epsilon(0.25), rules.Epsilon(0.25, "rms"), rules.Gamma(0.5), rules.Gamma(0.5, generalised=True),
    rules.AlphaBeta(2, 1), rules.ZPlus(), rules.ZBox(-3.0, 4.0), rules.WSquare(), rules.Flat(), rules.Absolute(),
    rules.Relative(), rules.Relative(rescale=False),
]  # fmt: skip


# ---- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "expected", "bias"),
    [("linear", ["-5/2", "25/2"], 1), ("constant", [-1, 20], -8), ("centred", ["-11/4", "55/4"], 0)],
)
def test_the_three_readings_of_the_mean_by_hand(mean: str, expected: list[Any], bias: int) -> None:
    """a = (1, 5): mu = 3, s = 2; g = (2, 4), beta = (1, 1), so z = (-1, 5), and R = (1, 10).

    linear     w_1 = (1/2, -1/2), w_2 = (-1, 1), b = (1, 1):  R_1 = 1 (1/2 / -1 * 1 - 1 / 5 * 10) = -5/2
    constant   w = (1, 2), b = (-2, -5):                      R_1 = 1 / -1 * 1 = -1, R_2 = 10 / 5 * 10 = 20
    centred    (a - mu) / s = (-1, 1), w_1 = (1/4, -1/4):     R_1 = 1/4 / -1 * 1 - 1/4 / 1 * 10 = -11/4
    """
    layer = LayerNorm(2, exact([2, 4]), exact([1, 1]), eps=0.0, mean=mean)
    a, R = exact([[1, 5]]), exact([[1, 10]])
    assert_array_equal(layer.forward(a), exact([[-1, 5]]))
    flow = layer.flow((a,), R, rules.Zero())
    assert_array_equal(flow.inputs[0], exact([expected]))
    assert flow.losses["bias"] == bias
    assert_array_equal(oracle.messages(layer, a, R, rules.Zero()).sum(axis=-1), exact([expected]))


def test_an_rms_norm_by_hand() -> None:
    """a = (1, -7): s = sqrt(50 / 2) = 5; g = (5, 10), so z = (1, -14): 1 / 2 * 4 = 2 and -14 / -15 * 30 = 28."""
    layer = RMSNorm(2, exact([5, 10]), eps=0.0)
    a, R = exact([[1, -7]]), exact([[4, 30]])
    assert_array_equal(layer.forward(a), exact([[1, -14]]))
    assert_array_equal(layer.relevance(a, R, rules.Epsilon(1)), exact([[2, 28]]))
    assert_array_equal(layer.relevance(a, R, rules.Zero()), R)


def test_groups_of_channels_by_hand() -> None:
    """Channels (1, 3 | 5, 7) in one group: mu = 4, s^2 = 5 + 4 = 9; in two: mu = 2 and 6, s^2 = 1 + 0."""
    a = exact([[[1, 3], [5, 7]]])
    together = GroupNorm(1, exact([3, 6]), exact([0, 1]), eps=4.0).forward(a)
    assert_array_equal(together, exact([[[-3, -1], [3, 7]]]))
    for layer in (GroupNorm(2, eps=0.0), InstanceNorm(eps=0.0)):
        assert_array_equal(layer.forward(a), exact([[[-1, 1], [-1, 1]]]))


def test_the_rule_for_layer_norm_of_ali_et_al() -> None:
    """R_i = sum_j a_i (delta_ij - 1/n) / (sum_k a_k (delta_kj - 1/n)) R_j; g, beta and s do not matter."""
    a, R = numbers(1, 4), numbers(1, 4, seed=3)
    centre = np.eye(4) - 1 / 4
    expected = a[0] * (centre @ (R[0] / (centre @ a[0])))
    found = LayerNorm(4, G, BETA, mean="centred").relevance(a, R, rules.Zero())
    assert_allclose(found[0], expected, rtol=1e-12)


def test_relevance_passes_unchanged_by_name() -> None:
    """The identity rule for norms is `Pass`, which takes layers with one input per unit."""
    a, R = numbers(2, 4), numbers(2, 4, seed=3)
    for layer in (LayerNorm(4, G, BETA, mean="constant"), RMSNorm(4, G)):
        assert_array_equal(layer.relevance(a, R, rules.Pass()), R)
        assert_array_equal(oracle.messages(layer, a, R, rules.Pass()).sum(axis=-1), R)
    for mean in ("linear", "centred"):
        with pytest.raises(RuleError, match='norms with mean="constant"'):
            LayerNorm(4, G, BETA, mean=mean).relevance(a, R, rules.Pass())


# ---- against the oracle, against formulas ------------------------------------------------------------------------


@every_layer
def test_every_rule_is_the_sum_of_the_messages(layer: SampleNorm, shape: tuple[int, ...]) -> None:
    """On numbers in general position, with the usual eps."""
    a, R = numbers(*shape, seed=4), numbers(*shape, seed=5)
    for rule in RULES:
        sent = oracle.messages(layer, a, R, rule)
        total = sent.reshape(*shape, -1).sum(axis=-1)
        assert_allclose(layer.relevance(a, R, rule), total, rtol=1e-9, atol=1e-9, err_msg=str(rule))


@every_layer
def test_all_laws_of_a_layer(layer: SampleNorm, shape: tuple[int, ...]) -> None:
    check_layer(layer, numbers(*shape, seed=6))


@every_layer
def test_forward_is_the_formula(layer: SampleNorm, shape: tuple[int, ...]) -> None:
    a = numbers(*shape, seed=7)
    x = a.reshape(shape[0], *layer.groups(shape))
    mu = 0 if isinstance(layer, RMSNorm) else x.mean(axis=2, keepdims=True)
    z = ((x - mu) / np.sqrt(((x - mu) ** 2).mean(axis=2, keepdims=True) + layer.eps)).reshape(shape)
    for v, combine in ((layer.weight, np.multiply), (layer.bias, np.add)):
        z = z if v is None else combine(z, layer.aligned(v, shape))
    assert_allclose(layer.forward(a), z, rtol=1e-12, atol=1e-12)


def test_forward_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    for layer, shape in LAYERS:
        a = numbers(*shape, seed=8)
        x = torch.tensor(a)
        w, b = (None if v is None else torch.tensor(v) for v in (layer.weight, layer.bias))
        if isinstance(layer, GroupNorm):
            expected = F.group_norm(x, layer.num_groups, w, b, layer.eps)
        elif isinstance(layer, InstanceNorm):
            expected = F.instance_norm(x, weight=w, bias=b, eps=layer.eps)
        elif isinstance(layer, LayerNorm):
            expected = F.layer_norm(x, layer.normalized_shape, w, b, layer.eps)
        else:
            expected = F.rms_norm(x, layer.normalized_shape, w, layer.eps)
        assert_allclose(layer.forward(a), expected.numpy(), rtol=1e-12, atol=1e-12)


# ---- numbers that are not there ----------------------------------------------------------------------------------


def test_exact_where_the_root_is_a_fraction() -> None:
    a = exact([[1, 2]])  # the variance is 1/4
    assert_array_equal(LayerNorm(2, eps=0.0).forward(a), exact([[-1, 1]]))
    with pytest.raises(DTypeError, match="LayerNorm needs a square root, which is irrational"):
        LayerNorm(2).forward(a)
    with pytest.raises(
        InputError, match="LayerNorm: the deviation of a group is zero, and exact arithmetic has no NaN; use eps > 0"
    ):
        LayerNorm(2, eps=0.0).forward(exact([[3, 3]]))


def test_a_network_with_a_root_is_exact_once_it_is_frozen() -> None:
    net, x = network(LayerNorm(6, numbers(6), numbers(6, seed=1)), "flat"), numbers(1, 2, 3, 3, seed=9)
    fractions = exact(lrpref.frozen(net, x))
    tr = lrpref.trace(fractions, exact(x), rule="zero")
    assert all(value == 0 for value in tr.ledger.residual().flat)


@pytest.mark.parametrize("value", ["4/9", "0", "25"])
def test_the_root_of_a_square(value: str) -> None:
    (root,) = square_root(exact([value]), "it")
    assert root * root == Fraction(value)


@pytest.mark.parametrize("layer", [LayerNorm(2, eps=0.0), GroupNorm(1, eps=0.0, mean="constant"), RMSNorm(2, eps=0.0)])
def test_a_deviation_of_zero_gives_nan(layer: SampleNorm) -> None:
    """As 0 / 0 does, in the sample's own group, and without a warning of NumPy's."""
    z = layer.forward(np.array([[0.0, 0.0], [1.0, -2.0]]))
    assert np.isnan(z[0]).all()
    assert np.isfinite(z[1]).all()


# ---- frozen ------------------------------------------------------------------------------------------------------


def network(norm: SampleNorm, place: str = "image") -> Network:
    """A convolution, a norm, another convolution and a Dense layer; the norm may follow the Flatten instead."""
    first, second = (
        Conv2D(numbers(4, 2, 2, 2), numbers(4)),
        Conv2D(numbers(2, 4, 1, 1, seed=3), numbers(2, seed=4), padding=1),
    )
    dense = Dense(numbers(3, 32, seed=5), numbers(3, seed=6))
    if place == "image":
        return Network.sequential(first, norm, ReLU(), second, ReLU(), Flatten(), dense)
    small = Dense(numbers(6, 18, seed=5), numbers(6, seed=6))
    return Network.sequential(Flatten(), small, norm, ReLU(), Dense(numbers(3, 6, seed=7)))


NORMS = [
    (GroupNorm(2, G, BETA), "image"),
    (InstanceNorm(G, BETA), "image"),
    (LayerNorm((4, 2, 2)), "image"),
    (LayerNorm(2, numbers(2), numbers(2, seed=1)), "image"),  # of each row of pixels, so it differs within a channel
    (LayerNorm(6, numbers(6), numbers(6, seed=1)), "flat"),
    (RMSNorm(6, numbers(6)), "flat"),
]
NAMED = [f"{type(norm).__name__}{k}" for k, (norm, _) in enumerate(NORMS)]
every_norm = pytest.mark.parametrize(("norm", "place"), NORMS, ids=NAMED)


@every_norm
@pytest.mark.parametrize("mean", MEANS)
def test_a_frozen_network_is_that_with_a_constant_mean(norm: Any, place: str, mean: str) -> None:
    """Same output, and the same explanation under every rule and preset; no norm is left."""
    norm = norm if isinstance(norm, RMSNorm) else replace(norm, mean=mean)
    net, x = network(norm, place), numbers(1, 2, 3, 3, seed=9)
    constant = net if isinstance(norm, RMSNorm) else network(replace(norm, mean="constant"), place)
    frozen = lrpref.frozen(net, x)
    assert not any(isinstance(layer, SampleNorm) for _, layer, _ in frozen.nodes)
    assert_allclose(frozen.forward(x), net.forward(x), rtol=1e-12)
    for rule in (*RULES, "epsilon-plus-flat", "epsilon-alpha2-beta1"):
        everywhere = rule if isinstance(rule, str) else composites.Composite([(lrpref.LinearLayer, rule)])
        if isinstance(rule, rules.ZBox):
            continue  # its bounds are those of the input
        found, expected = (lrpref.trace(each, x, rule=everywhere).relevance for each in (frozen, constant))
        assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=str(rule))


@every_norm
def test_a_frozen_network_can_be_fused(norm: Any, place: str) -> None:
    """The fold keeps the output, and under LRP-0 on every layer the explanation."""
    net, x = network(norm, place), numbers(1, 2, 3, 3, seed=9)
    frozen = lrpref.frozen(net, x)
    fused = lrpref.fuse(frozen, verify=x)
    assert not any(isinstance(layer, Scale | BatchNorm) for _, layer, _ in fused.nodes)
    assert_allclose(lrpref.explain(fused, x, rule="zero"), lrpref.explain(frozen, x, rule="zero"), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("weight", "kind"), [(None, Scale), ([1.0, 3.0], Affine)])
def test_a_frozen_norm_has_one_number_per_channel_or_per_cell(weight: Any, kind: type) -> None:
    """The tokens (1, 5) and (0, 8) have a mean and a deviation each; the weight is that of a feature."""
    net, x = Network.sequential(LayerNorm(2, weight, eps=0.0)), np.asarray([[[1.0, 5.0], [0.0, 8.0]]])
    frozen = lrpref.frozen(net, x)
    assert type(frozen["layernorm1"]) is kind
    assert_allclose(frozen.forward(x), net.forward(x))
    assert_allclose(frozen["layernorm1"].weight, [0.5, 0.25] if weight is None else [[0.5, 1.5], [0.25, 0.75]])


def test_fuse_leaves_norms_of_the_sample_alone() -> None:
    net = Network.sequential(Dense(numbers(4, 3)), GroupNorm(2, G, BETA), BatchNorm(G, BETA, BETA, G * G))
    assert [type(layer) for _, layer, _ in lrpref.fuse(net).nodes] == [Dense, GroupNorm, Scale]


def test_what_cannot_be_frozen() -> None:
    class Own(LayerNorm):
        pass

    x = numbers(1, 3, 4)
    with pytest.raises(InputError, match=r"one sample, shape \(1, \.\.\.\), got shape \(2, 3, 4\)"):
        lrpref.frozen(Network.sequential(LayerNorm(4)), numbers(2, 3, 4))
    with pytest.raises(FusionError, match="type of your own"):
        lrpref.frozen(Network.sequential(Own(4)), x)


# ---- in a network ------------------------------------------------------------------------------------------------


def test_presets_pass_through_norms_with_one_input_per_unit() -> None:
    """Like BatchNorm; a norm whose mean is linear takes epsilon, like average pooling."""
    norms = [replace(norm, mean=mean) for norm, _ in NORMS[:1] for mean in MEANS]
    net = Network.sequential(*norms, Flatten(), RMSNorm(4), names=[*MEANS, "flatten", "rms"])
    assigned = composites.EpsilonPlus(stabilizer=0.5).assign(net)
    assert {name: str(rule) for name, rule in assigned.items()} == {
        "linear": "epsilon(epsilon=0.5)", "constant": "pass", "centred": "epsilon(epsilon=0.5)", "rms": "pass",
    }  # fmt: skip
    assert {str(rule) for rule in composites.resolve(rules.Gamma()).assign(net).values()} == {"epsilon"}
    assert {str(rule) for rule in composites.resolve("zero").assign(net).values()} == {"zero"}


@every_norm
@pytest.mark.parametrize("rule", ["zero", "epsilon-plus-flat", "relative"])
def test_the_fast_engine_computes_the_same(norm: Any, place: str, rule: str) -> None:
    """For a sample in a batch and for the sample alone, too."""
    net, x = network(norm, place), numbers(3, 2, 3, 3, seed=9)
    expected = lrpref.trace(net, x, rule=rule).relevance
    assert_allclose(lrpref.prepare(net, rule).explain(x), expected, rtol=1e-9, atol=1e-9)
    assert_allclose(lrpref.trace(net, x[1:2], rule=rule).relevance, expected[1:2], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (GroupNorm(2), (1, 3), "a multiple of 2 channels"),
        (GroupNorm(2, G), (1, 2, 3), "GroupNorm has a weight of shape (4,), its input needs one of shape (2,)"),
        (InstanceNorm(), (1, 2), "expected (N, C, L), (N, C, H, W) or more axes"),
        (InstanceNorm(None, G), (1, 3, 2), "InstanceNorm has a bias of shape (4,)"),
        (LayerNorm((2, 3)), (2, 3), "expected (N, ..., 2, 3)"),
        (RMSNorm(4), (1, 4, 3), "expected (N, ..., 4)"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(layer: SampleNorm, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError) as refused:
        layer.forward(np.ones(shape))
    assert message in str(refused.value)


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError, match="LayerNorm normalized_shape must be sizes >= 1, got \\(\\)"):
        LayerNorm(())
    with pytest.raises(ParameterError, match=r'GroupNorm mean must be "linear", "constant" or "centred", got .frozen.'):
        GroupNorm(1, mean="frozen")
    with pytest.raises(ShapeError, match=r"LayerNorm has a bias of shape \(4,\), its input needs one of shape \(3,\)"):
        LayerNorm(3, None, G)
    with pytest.raises(RuleError, match="weights of LayerNorm depend on the values of its input"):
        oracle.matrix(LayerNorm(2), (2,))
    with pytest.raises(RuleError, match="weights of LayerNorm depend on the values of its input"):
        oracle.bias(LayerNorm(2, None, [1.0, 2.0]), (2,))
