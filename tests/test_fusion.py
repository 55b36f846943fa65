"""Folding BatchNorm: the function is preserved, the plan is accurate, and explanations change as documented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from graphs import ENDS, POSITIONS, batch_norm, convolution, graphs, rounding
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal, assert_array_less

import lrpref
from lrpref import (
    Add,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LinearLayer,
    MaxPool2D,
    Network,
    Pad2D,
    ReLU,
    Scale,
    ThreshReLU,
    fusion,
    rules,
)
from lrpref.composites import Composite, Place
from lrpref.errors import FusionError, RelevanceWarning
from lrpref.layers import DiagonalLayer, WeightedLayer

WEIGHTED = {
    name: rule(-3.0, 3.0) if name == "z-box" else rule() for name, rule in rules.RULES.items() if not rule.diagonal_only
}
"""Every rule that applies to a convolution."""

BLIND = ("z-box", "w-square", "flat")
"""Rules that ignore the bias and the scale of a unit's weights, and hence a BatchNorm after the layer."""


def assert_equal_function(net: Network, other: Network, x: np.ndarray) -> None:
    """The outputs agree within the rounding error bound derived in `rounding`, each on its own scale.

    For the graphs drawn here the bound is at most 2e-13 of the output without cancellation, well below 1e-12; the
    observed errors are about a hundredth of it.
    """
    bound = rounding(net, x)
    assert_array_less(abs(other.forward(x) - net.forward(x)), bound + np.finfo(net.dtype).tiny)


def relevance_scale(tr: lrpref.Trace) -> float:
    """The largest relevance at any node, because a sum is rounded relative to its largest term."""
    return max(float(np.max(abs(R), initial=0.0)) for R in tr.at.values())


# ---- fusion preserves the function -----------------------------------------------------------------------------


@pytest.mark.parametrize("threshold_relu", [False, True])
@given(case=graphs())
def test_forward_is_the_same(case: tuple[Network, np.ndarray], threshold_relu: bool) -> None:
    net, x = case
    assert_equal_function(net, lrpref.fuse(net, threshold_relu=threshold_relu), x)


@pytest.mark.parametrize("position", POSITIONS)
@given(data=st.data(), threshold_relu=st.booleans())
def test_forward_is_the_same_at_every_position(position: str, data: st.DataObject, threshold_relu: bool) -> None:
    net, x = data.draw(graphs([position], end="plain"))
    assert_equal_function(net, lrpref.fuse(net, threshold_relu=threshold_relu), x)


@pytest.mark.parametrize("end", ENDS)
@given(data=st.data(), threshold_relu=st.booleans())
def test_forward_is_the_same_at_every_end(end: str, data: st.DataObject, threshold_relu: bool) -> None:
    net, x = data.draw(graphs([], end))
    assert_equal_function(net, lrpref.fuse(net, threshold_relu=threshold_relu), x)


@given(case=graphs(), threshold_relu=st.booleans())
def test_the_old_network_is_untouched(case: tuple[Network, np.ndarray], threshold_relu: bool) -> None:
    net, _ = case
    nodes, before = net.nodes, {name: array.tobytes() for name, array in net.parameters.items()}
    fused = lrpref.fuse(net, threshold_relu=threshold_relu)
    lrpref.fusion_plan(net, threshold_relu)
    assert net.nodes == nodes  # layers compare by identity, so these are the same objects
    assert {name: array.tobytes() for name, array in net.parameters.items()} == before
    assert fused is not net


@given(case=graphs(), threshold_relu=st.booleans())
def test_twice_is_once(case: tuple[Network, np.ndarray], threshold_relu: bool) -> None:
    net, _ = case
    once = lrpref.fuse(net, threshold_relu=threshold_relu)
    twice = lrpref.fuse(once, threshold_relu=threshold_relu)
    assert [(n, type(layer), i) for n, layer, i in twice.nodes] == [(n, type(layer), i) for n, layer, i in once.nodes]
    for name, array in once.parameters.items():
        assert_array_equal(twice.parameters[name], array, err_msg=name)


@given(case=graphs(), threshold_relu=st.booleans())
def test_no_batch_norm_is_left_and_the_plan_says_where_each_went(
    case: tuple[Network, np.ndarray], threshold_relu: bool
) -> None:
    net, _ = case
    fused, plan = lrpref.fuse(net, threshold_relu=threshold_relu), lrpref.fusion_plan(net, threshold_relu)
    assert not any(isinstance(layer, BatchNorm) for _, layer, _ in fused.nodes)
    assert [d.node for d in plan.decisions] == [n for n, layer, _ in net.nodes if isinstance(layer, DiagonalLayer)]
    assert {d.node for d in plan.kept} == {n for n, layer, _ in fused.nodes if isinstance(layer, DiagonalLayer)}
    assert {n for n, _, _ in net.nodes} - set(fused.names) == {d.node for d in plan.decisions} - {
        d.node for d in plan.kept
    }


@pytest.mark.parametrize("position", POSITIONS)
@settings(max_examples=max(1, settings.default.max_examples // 20))  # fractions are slow
@given(data=st.data(), threshold_relu=st.booleans())
def test_forward_is_equal_in_exact_arithmetic(position: str, data: st.DataObject, threshold_relu: bool) -> None:
    # Every fold is an exact identity, so in fractions no tolerance is needed.
    net, x = data.draw(graphs([position], end="kept_norm_last", shape=(1, 4, 3, 3)))
    net, x = lrpref.exact(net, digits=3), lrpref.exact(np.round(x * 8) / 8)
    assert_array_equal(lrpref.fuse(net, threshold_relu=threshold_relu).forward(x), net.forward(x))


def test_networks_live_on_every_backend(backend: Any) -> None:
    rng = np.random.default_rng(0)
    net = Network.sequential(
        batch_norm(rng, 2), convolution(rng, 2, 4, 3, padding=1, groups=2), batch_norm(rng, 4), ReLU(),
        MaxPool2D(2), batch_norm(rng, 4), ReLU(), convolution(rng, 4, 2, 2), Flatten(), batch_norm(rng, 8),
        Dense(rng.normal(size=(3, 8))),
    )  # fmt: skip
    x = rng.normal(size=(2, 2, 6, 6))
    there = backend(net)
    for threshold_relu in (False, True):
        fused = lrpref.fuse(there, verify=backend(x), threshold_relu=threshold_relu)
        assert fused.backend == backend.name
        assert_equal_function(net, fused.to("numpy"), x)


# ---- trained networks ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """All bundled digits in one batch."""
    return np.concatenate([lrpref.samples.load(name) for name in lrpref.samples.names((1, 28, 28))])


@pytest.mark.parametrize("name", ["mnist-cnn-bn", "mnist-mlp-bn"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_trained_networks(name: str, dtype: Any, digits: np.ndarray) -> None:
    net = lrpref.load(name).astype(dtype)
    fused = lrpref.fuse(net, verify=digits)
    assert fused.dtype == dtype
    assert not any(isinstance(layer, DiagonalLayer) for _, layer, _ in fused.nodes)
    # Thousands of rounding errors of either sign add up like a random walk, to tens of eps of the largest output.
    assert fusion.forward_difference(net, fused, digits) < 50 * np.finfo(dtype).eps
    assert_equal_function(net, fused, digits.astype(dtype))


# ---- effect on explanations ------------------------------------------------------------------------------------


def with_identities(net: Network, fused: Network) -> tuple[Network, set[str]]:
    """The original graph with folded layers and an identity in place of each BatchNorm; and the identities' names."""
    folded = {name for name in net.names if name not in fused.names}
    nodes = []
    for name, layer, inputs in net.nodes:
        if name in folded:
            channels = layer.channels  # type: ignore[attr-defined]
            layer = Scale(np.ones(channels, net.dtype), np.zeros(channels, net.dtype))
        nodes.append((name, layer if name in folded else fused[name], inputs))
    return Network(nodes), folded


def passing(places: set[str], rule: rules.Rule) -> Composite:
    """The rule on weighted layers, and Pass at the given nodes."""

    def an_identity(place: Place) -> bool:
        return place.name in places

    return Composite([(an_identity, rules.Pass()), (WeightedLayer, rule)])


@pytest.mark.parametrize("rule", WEIGHTED.values(), ids=WEIGHTED.keys())
def test_a_fused_layer_is_the_folded_layer_and_an_identity_passed_through(rule: rules.Rule, digits: np.ndarray) -> None:
    net = lrpref.load("mnist-cnn-bn").astype(np.float64)
    fused = lrpref.fuse(net)
    apart, places = with_identities(net, fused)
    composite = passing(places, rule)
    # 1 a + 0 is a, and R is passed unchanged, so even the rounding is the same.
    assert_array_equal(
        lrpref.explain(fused, digits[:3], rule=composite, form="plain"),
        lrpref.explain(apart, digits[:3], rule=composite, form="plain"),
    )


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")  # random networks may cancel
@given(case=graphs(), rule=st.sampled_from(list(WEIGHTED.values())))
def test_and_so_it_is_on_random_networks(case: tuple[Network, np.ndarray], rule: rules.Rule) -> None:
    net, x = case
    fused = lrpref.fuse(net)
    apart, places = with_identities(net, fused)
    composite = passing(places, rule)
    one, other = (lrpref.trace(n, x, rule=composite) for n in (fused, apart))
    # Where several layers read one BatchNorm, their relevance is summed in a different order.
    assert_allclose(other.relevance, one.relevance, rtol=0, atol=1e-10 * relevance_scale(one))


ZERO_EVERYWHERE = Composite([(LinearLayer, rules.Zero())])


def test_lrp_0_does_not_see_the_fold_if_batch_norm_is_under_it_too(digits: np.ndarray) -> None:
    # R_z1 = w z1 / z2 R and R_a = a W / z1 R_z1 give R_a = a w W / z2 R: z1 cancels unless it is 0.
    net = lrpref.load("mnist-cnn-bn").astype(np.float64)
    unfused = lrpref.trace(net, digits, rule=ZERO_EVERYWHERE)
    fused = lrpref.trace(lrpref.fuse(net), digits, rule=ZERO_EVERYWHERE)
    assert_allclose(unfused.relevance, fused.relevance, rtol=0, atol=1e-12 * relevance_scale(unfused))


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")
@pytest.mark.parametrize("position", ["after_linear", "before_linear", "chain", "residual", "norm_read_by_many"])
@given(data=st.data())
def test_nor_on_random_networks(position: str, data: st.DataObject) -> None:
    # This holds at borders too: the folded bias map replaces the shift of the BatchNorm in z. Small z produce large
    # intermediate relevance that cancels again, hence a tolerance on that scale.
    net, x = data.draw(graphs([position], end="through_flatten"))
    unfused = lrpref.trace(net, x, rule=ZERO_EVERYWHERE)
    fused = lrpref.trace(lrpref.fuse(net), x, rule=ZERO_EVERYWHERE)
    scale = max(relevance_scale(unfused), relevance_scale(fused))
    assert_allclose(unfused.relevance, fused.relevance, rtol=0, atol=1e-9 * scale)


def change(net: Network, x: np.ndarray, rule: rules.Rule) -> np.ndarray:
    """Relative L2 distance between the map of the unfused network (Pass on BatchNorm) and that of the fused one."""
    composite = Composite([(BatchNorm, rules.Pass()), (WeightedLayer, rule)])
    fused, unfused = (lrpref.explain(n, x, rule=composite, form="plain") for n in (lrpref.fuse(net), net))
    axes = tuple(range(1, x.ndim))
    distance: np.ndarray = np.linalg.norm((unfused - fused).reshape(len(x), -1), axis=1)
    return distance / np.sqrt((fused**2).sum(axis=axes))


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")  # with Pass, LRP-0 divides by small sums
@pytest.mark.parametrize("name", [name for name in WEIGHTED if name not in BLIND])
def test_against_batch_norm_passed_through_the_map_differs(name: str, digits: np.ndarray) -> None:
    net = lrpref.load("mnist-cnn-bn").astype(np.float64)
    changes = change(net, digits, WEIGHTED[name])
    print(f"{name}: fused against passed, relative L2: median {np.median(changes):.3f}, {changes.min():.3f} at least")
    # Measured: 0.08 to 0.6 for z-plus, absolute, alpha-beta and relative; more than 4 for zero, epsilon and gamma,
    # whose denominators lack the BatchNorm shift and are sometimes accidentally small.
    assert changes.min() > 0.05


@pytest.mark.parametrize("name", BLIND)
def test_but_not_under_rules_that_see_no_bias(name: str, digits: np.ndarray) -> None:
    # diag(w) multiplies all weights of a unit by one number, which cancels in w_ij / sum_i w_ij. Only the
    # convolutions are followed by a BatchNorm.
    net = lrpref.load("mnist-cnn-bn").astype(np.float64)
    decided = same_winners(net, digits)
    assert decided.sum() > 8
    assert_allclose(change(net, digits[decided], WEIGHTED[name]), 0, atol=1e-12)


def same_winners(net: Network, x: np.ndarray) -> np.ndarray:
    """The samples in which rounding does not exchange the winner of a max-pool when a network is fused."""
    fused, found = lrpref.fuse(net), np.ones(len(x), bool)
    for name, layer, (read, *_) in fused.nodes:
        if isinstance(layer, MaxPool2D):
            one, other = (n.activations(x)[read] for n in (net, fused))
            R = np.arange(1.0, 1 + one.size // len(x) // 4).reshape(layer.output_shape(one.shape)[1:])
            R = np.broadcast_to(R, layer.output_shape(one.shape))
            same = layer.route((one,), R)[0] == layer.route((other,), R)[0]
            found &= same.reshape(len(x), -1).all(axis=1)
            assert name in net.names
    return found


# ---- the fusion plan -------------------------------------------------------------------------------------------

CONV = Conv2D(np.ones((1, 1, 1, 1)))
NORM = BatchNorm([2.0], [1.0], [0.5], [3.0])
FC = Dense(np.ones((2, 4)))
FOLLOWS, LINEAR_NEXT = "it follows a linear layer", "a linear layer follows"


def chained(*layers: Any) -> Network:
    """A sequential network whose first BatchNorm is named "bn"."""
    plain = Network.sequential(*layers)
    rename = {"batchnorm1": "bn"}
    return Network([(rename.get(n, n), layer, [rename.get(i, i) for i in inputs]) for n, layer, inputs in plain.nodes])


class UsersLayer(WeightedLayer):
    """A user-defined weighted layer, into which lrpref cannot fold anything."""

    forward = GlobalAvgPool2D.forward


PLANS: dict[str, tuple[Network, bool, str, str]] = {
    "after a convolution": (chained(CONV, NORM, ReLU()), False, "folded into conv2d1", FOLLOWS),
    "after a Dropout": (chained(CONV, Dropout(), NORM), False, "folded into conv2d1", FOLLOWS),
    "after Dense": (
        chained(Dense(np.ones((1, 4))), BatchNorm([1.0], None, [0.0], [1.0])), False, "folded into dense1", FOLLOWS,
    ),
    "first": (chained(NORM, CONV), False, "folded into conv2d1", f"it follows the input; {LINEAR_NEXT}"),
    "before a convolution": (
        chained(ReLU(), NORM, CONV), False, "folded into conv2d1", f"it follows relu1 (ReLU); {LINEAR_NEXT}",
    ),
    "through Flatten and Dropout": (
        chained(NORM, Dropout(), Flatten(), FC), False, "folded into dense1", f"it follows the input; {LINEAR_NEXT}",
    ),
    "before another": (
        chained(NORM, NORM, ReLU()), False, "folded into batchnorm2", f"it follows the input; {LINEAR_NEXT}",
    ),
    "before ReLU": (
        chained(NORM, ReLU(), CONV), False, "stays, as a Scale", "it follows the input; relu1 (ReLU) follows it",
    ),
    "before ReLU, on request": (
        chained(NORM, ReLU(), CONV), True, "folded into conv2d1", "relu1 became a ThreshReLU, which now comes first",
    ),
    "before ReLU, on request, to no use": (
        chained(NORM, ReLU(), MaxPool2D(1)), True, "stays, as a Scale",
        "relu1 became a ThreshReLU, which now comes first",
    ),
    "last": (
        chained(AvgPool2D(2), NORM), False, "stays, as a Scale",
        "it follows avgpool2d1 (AvgPool2D); nothing follows it",
    ),
    "before a user's layer": (
        chained(NORM, UsersLayer()), False, "stays, as a Scale",
        "it follows the input; userslayer1 (UsersLayer) follows it",
    ),
    "after a user's layer": (
        chained(UsersLayer(), NORM), False, "stays, as a Scale",
        "it follows userslayer1 (UsersLayer); nothing follows it",
    ),
    "behind a convolution that a skip reads": (
        Network([("conv", CONV, ["input"]), ("bn", NORM, ["conv"]), ("sum", Add(), ["bn", "conv"])]),
        False, "stays, as a Scale", "conv is also read by sum; sum (Add) follows it",
    ),
    "read by two convolutions": (
        Network([
            ("bn", NORM, ["input"]), ("one", CONV, ["bn"]), ("drop", Dropout(), ["bn"]), ("two", CONV, ["drop"]),
            ("sum", Add(), ["one", "two"]),
        ]),
        False, "folded into one, two", f"it follows the input; {LINEAR_NEXT}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANS)
def test_the_plan_says_what_and_why(kind: str) -> None:
    net, threshold_relu, action, reason = PLANS[kind]
    found = {d.node: d for d in lrpref.fusion_plan(net, threshold_relu).decisions}["bn"]
    assert (found.layer, found.action, found.reason) == ("BatchNorm", action, reason)


@pytest.mark.parametrize("kind", [kind for kind in PLANS if "user's" not in kind])
def test_what_the_plan_says_is_what_is_done(kind: str) -> None:
    net, threshold_relu, action, _ = PLANS[kind]
    fused = lrpref.fuse(net, threshold_relu=threshold_relu)
    assert ("bn" not in fused.names) == action.startswith("folded")
    assert_equal_function(net, fused, np.random.default_rng(0).normal(size=_input_of(net)))


def _input_of(net: Network) -> tuple[int, ...]:
    """The input shape: (2, 4) if the network begins with Dense, else images of 2 x 2."""
    return (2, 4) if isinstance(net.nodes[0].layer, Dense) else (2, 1, 2, 2)


def test_the_plan_prints_as_a_table() -> None:
    net = chained(CONV, NORM, ReLU(), NORM, ReLU())
    assert str(lrpref.fusion_plan(net)) == (
        "node        layer      action               because\n"
        "bn          BatchNorm  folded into conv2d1  it follows a linear layer\n"
        "batchnorm2  BatchNorm  stays, as a Scale    it follows relu1 (ReLU); relu2 (ReLU) follows it"
    )


def test_a_network_without_batch_norm_says_so() -> None:
    net = chained(CONV, ReLU())
    plan = lrpref.fusion_plan(net)
    assert str(plan) == "nothing to fuse: the network has no BatchNorm and no Scale"
    assert plan.decisions == plan.kept == ()
    assert lrpref.fuse(net).nodes == net.nodes


# ---- verification ----------------------------------------------------------------------------------------------


def _no_shift(layer: Any, diagonal: tuple[Any, Any]) -> Any:
    """A wrong fold that omits the shift."""
    w, b = diagonal
    return (fold_after if layer is CONV else fold_before)(layer, (w, 0 * b))


fold_after, fold_before = fusion._after, fusion._before


def _without_eps(net: Network, name: str) -> Any:
    """A wrong fold that omits eps in the square root."""
    bn: Any = net[name]
    w = bn.weight / np.sqrt(bn.var)
    return w, bn.bias - w * bn.mean


@pytest.mark.parametrize(
    ("net", "function", "mistake"),
    [
        (chained(CONV, NORM), "_after", _no_shift),
        (chained(NORM, Conv2D(np.ones((1, 1, 3, 3)), padding=1)), "_before", _no_shift),
        (chained(CONV, BatchNorm([1.0], [0.0], [0.0], [1e-6])), "_diagonal", _without_eps),
    ],
    ids=["shift after", "shift before", "eps"],
)
def test_verify_refuses_a_wrong_fold(
    net: Network, function: str, mistake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    lrpref.fuse(net, verify=x)
    monkeypatch.setattr(fusion, function, mistake)
    lrpref.fuse(net)  # without verify, the mistake goes unnoticed
    with pytest.raises(FusionError, match=r"the fused network differs from the original by [0-9.]+ of its largest"):
        lrpref.fuse(net, verify=x)


@pytest.mark.parametrize(("dtype", "eps"), [(np.float32, 2.0**-23), (np.float64, 2.0**-52)])
@pytest.mark.parametrize(("off", "equal"), [(3e3, True), (3e4, False)])
def test_verify_allows_ten_thousand_roundings(
    dtype: Any, eps: float, off: float, equal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four digits of the dtype: a fused network that is further off is refused."""
    net = Network.sequential(Dense([[1.0]]), BatchNorm([1.0], [0.0], [0.0], [1.0], eps=0.0)).astype(dtype)
    other = Network.sequential(Dense([[1 + off * eps]])).astype(dtype)
    monkeypatch.setattr(fusion, "_rewrite", lambda net, threshold_relu: (other, []))
    if equal:
        assert lrpref.fuse(net, verify=np.ones((1, 1))) is other
    else:
        with pytest.raises(FusionError, match="differs from the original"):
            lrpref.fuse(net, verify=np.ones((1, 1)))


def test_verify_refuses_what_it_cannot_compare() -> None:
    net, x = chained(CONV, NORM), np.full((1, 1, 1, 1), 1.7e308)
    warned = pytest.warns(RelevanceWarning, match="is not finite in sample 0")
    with warned, pytest.raises(FusionError, match=r"differs .* by nan"):
        lrpref.fuse(net, verify=x)


def test_verify_accepts_an_empty_batch_and_a_zero_output() -> None:
    net = chained(CONV, BatchNorm([0.0], [0.0], [1.0], [1.0]))
    assert lrpref.fuse(net, verify=np.zeros((0, 1, 2, 2))).names == ["conv2d1"]
    assert lrpref.fuse(net, verify=np.ones((1, 1, 2, 2))).names == ["conv2d1"]


# ---- padding and border bias -----------------------------------------------------------------------------------


def test_the_bias_map_of_a_padded_convolution_by_hand() -> None:
    # With a shift of 1 and a 3 x 3 kernel of ones, each output counts the image cells that its kernel covers.
    norm = BatchNorm([1.0], [1.0], [0.0], [1.0], eps=0.0)
    fused = lrpref.fuse(Network.sequential(norm, Conv2D(np.ones((1, 1, 3, 3)), [10.0], padding=1)))
    conv = fused["conv2d1"]
    assert_array_equal(conv.bias_taps, np.ones((1, 3, 3)))  # type: ignore[attr-defined]
    expected = [[[[14.0, 16.0, 14.0], [16.0, 19.0, 16.0], [14.0, 16.0, 14.0]]]]
    assert_array_equal(fused.forward(np.zeros((1, 1, 3, 3))), expected)


@dataclass(frozen=True)
class Geometry:
    """A padding, kernel, stride and dilation at the border."""

    padding: tuple[int, int, int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    kernel: tuple[int, int] = (3, 3)


GEOMETRIES = [
    Geometry((1, 1, 1, 1)),
    Geometry((2, 0, 1, 3)),
    Geometry((1, 1, 1, 1), stride=(2, 2)),
    Geometry((2, 2, 2, 2), dilation=(2, 2)),
    Geometry((1, 0, 0, 2), stride=(2, 1), dilation=(1, 2), groups=2, kernel=(2, 3)),
    Geometry((3, 3, 3, 3), kernel=(2, 2)),  # some kernels lie entirely in the padding
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_border_is_that_of_an_explicit_pad(geometry: Geometry, bias: bool) -> None:
    """Compare with BN, a zero-padding layer, and the same kernel without padding."""
    rng = np.random.default_rng(1)
    rest = {"stride": geometry.stride, "dilation": geometry.dilation, "groups": geometry.groups}
    padded = convolution(rng, 4, 6, geometry.kernel, bias, padding=geometry.padding, **rest)
    norm = batch_norm(rng, 4)
    by_hand = Network.sequential(norm, Pad2D(geometry.padding), Conv2D(padded.weight, padded.bias, **rest))
    fused = lrpref.fuse(Network.sequential(norm, padded))
    assert fused.names == ["conv2d1"]
    for x in (np.zeros((1, 4, 5, 6)), rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(1, 4, 9, 4))):  # any size
        assert_equal_function(by_hand, fused, x)


def test_an_unpadded_convolution_needs_no_map() -> None:
    rng = np.random.default_rng(2)
    conv = lrpref.fuse(Network.sequential(batch_norm(rng, 2), convolution(rng, 2, 3, 3, bias=False)))["conv2d1"]
    assert conv.bias_taps is None  # type: ignore[attr-defined]
    assert conv.bias is not None  # type: ignore[attr-defined]


def test_folds_on_both_sides_of_a_padded_convolution() -> None:
    # The second fold scales the bias map of the first; the third adds its own.
    rng = np.random.default_rng(3)
    net = Network.sequential(batch_norm(rng, 2), convolution(rng, 2, 3, 3, padding=1), batch_norm(rng, 3))
    once = lrpref.fuse(net)
    assert once.names == ["conv2d1"]
    assert_equal_function(net, once, rng.normal(size=(2, 2, 4, 4)))
    again = Network.sequential(batch_norm(rng, 2), once["conv2d1"])
    assert_equal_function(again, lrpref.fuse(again), rng.normal(size=(2, 2, 4, 4)))


# ---- ThreshReLU ------------------------------------------------------------------------------------------------


def test_thresholds_by_hand() -> None:
    # w = g / s, b = beta - w mu, t = -b / w. Channel 0 is clipped from below, channel 1 (g < 0) from above; channels
    # 2 and 3 have g = 0 and are the constants max(b, 0).
    norm = BatchNorm([4.0, -2.0, 0.0, 0.0], [1.0, 3.0, 0.5, -0.5], [1.0, 1.0, 7.0, 7.0], [4.0] * 4, eps=0.0)
    net = Network.sequential(MaxPool2D(1), norm, ReLU(), MaxPool2D(1), names=["pool", "bn", "relu", "end"])
    fused = lrpref.fuse(net, threshold_relu=True)
    assert fused.names == ["pool", "relu", "bn", "end"]
    relu, scale = fused["relu"], fused["bn"]
    assert isinstance(relu, ThreshReLU)
    assert isinstance(scale, Scale)
    assert_array_equal(relu.threshold, [0.5, 4.0, 0.0, 0.0])
    assert_array_equal(relu.below, [False, True, False, False])
    assert_array_equal(scale.weight, [2.0, -1.0, 0.0, 0.0])
    assert_array_equal(scale.bias, [-1.0, 4.0, 0.5, 0.0])
    x = np.linspace(-8, 8, 33).reshape(1, 1, 33, 1) + np.zeros((1, 4, 1, 1))
    assert_array_equal(fused.forward(x), net.forward(x))


def test_gammas_that_are_all_zero() -> None:
    norm = BatchNorm(np.zeros(3), [1.0, -1.0, 0.0], np.ones(3), np.ones(3))
    for layers in ([norm, ReLU(), convolution(np.random.default_rng(0), 3, 2, 3, padding=1)], [norm, ReLU()]):
        net = Network.sequential(*layers)
        assert_equal_function(
            net, lrpref.fuse(net, threshold_relu=True), np.random.default_rng(1).normal(size=(1, 3, 4, 4))
        )


def test_a_threshold_beyond_all_numbers_is_left_alone() -> None:
    net = chained(BatchNorm([1e-310], [1.0], [0.0], [1.0]), ReLU(), CONV)  # t would be -1e310
    fused = lrpref.fuse(net, threshold_relu=True)
    assert [type(layer) for _, layer, _ in fused.nodes] == [Scale, ReLU, Conv2D]


def test_one_after_another() -> None:
    # After the first ThreshReLU, the Scale reaches a second ReLU, and then a third.
    net = chained(NORM, ReLU(), ReLU(), ReLU(), CONV)
    fused = lrpref.fuse(net, threshold_relu=True)
    assert [type(layer) for _, layer, _ in fused.nodes] == [ThreshReLU, ThreshReLU, ThreshReLU, Conv2D]
    assert_equal_function(net, fused, np.linspace(-2, 2, 16).reshape(1, 1, 4, 4))


def test_only_on_request() -> None:
    net = chained(NORM, ReLU(), CONV)
    assert [type(layer) for _, layer, _ in lrpref.fuse(net).nodes] == [Scale, ReLU, Conv2D]


# ---- shared layers ---------------------------------------------------------------------------------------------


def test_a_layer_at_two_nodes_is_folded_at_each_on_its_own() -> None:
    rng = np.random.default_rng(4)
    shared = convolution(rng, 2, 2, 3, padding=1)
    net = Network.sequential(shared, batch_norm(rng, 2), ReLU(), shared, ReLU(), shared)
    fused = lrpref.fuse(net)
    assert fused.names == ["conv2d1", "relu1", "conv2d2", "relu2", "conv2d3"]
    assert fused["conv2d1"] is not shared
    assert fused["conv2d2"] is fused["conv2d3"] is shared
    assert_equal_function(net, fused, rng.normal(size=(2, 2, 5, 5)))


def test_a_norm_at_two_nodes_is_folded_at_each() -> None:
    rng = np.random.default_rng(5)
    norm = batch_norm(rng, 2)
    net = Network.sequential(
        norm, convolution(rng, 2, 2, 1), norm, ReLU(), norm, Flatten(), Dense(rng.normal(size=(3, 8)))
    )
    fused = lrpref.fuse(net)
    assert fused.names == ["conv2d1", "relu1", "flatten1", "dense1"]
    assert_equal_function(net, fused, rng.normal(size=(2, 2, 2, 2)))


def test_a_norm_read_by_several_weighted_layers_is_folded_into_each() -> None:
    rng = np.random.default_rng(6)
    net = Network([
        ("bn", batch_norm(rng, 2), ["input"]),
        ("one", convolution(rng, 2, 3, 3, padding=1), ["bn"]),
        ("two", convolution(rng, 2, 3, 1), ["bn"]),
        ("sum", Add(), ["one", "two"]),
    ])  # fmt: skip
    fused = lrpref.fuse(net)
    assert [(name, inputs) for name, _, inputs in fused.nodes] == [
        ("one", ("input",)),
        ("two", ("input",)),
        ("sum", ("one", "two")),
    ]
    assert_equal_function(net, fused, rng.normal(size=(2, 2, 4, 4)))


# ---- user-defined layers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Standardised(Conv2D):
    """A convolution with weight standardisation: it computes with weights other than those it stores."""

    def parameters(self, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        w, b = super().parameters(*inputs)
        return (w - w.mean(axis=(1, 2, 3), keepdims=True)) / w.std(axis=(1, 2, 3), keepdims=True), b


@dataclass(frozen=True, eq=False)
class Doubled(Scale):
    """A diagonal layer that computes something other than weight times input plus bias."""

    def forward(self, *inputs: np.ndarray) -> np.ndarray:
        return 2 * super().forward(*inputs)


WILD = np.random.default_rng(3).normal(size=(1, 1, 2, 2))
STANDARD = Standardised(WILD, [0.5])


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (
            Network.sequential(STANDARD, NORM, names=["conv", "bn"]),
            "it follows conv, a Standardised, which is a type of your own; nothing follows it",
        ),
        (
            Network.sequential(NORM, STANDARD, names=["bn", "conv"]),
            "it follows the input; conv, a Standardised, which is a type of your own, follows it",
        ),
        (
            Network.sequential(Conv2D(WILD), Doubled([2.0], [1.0]), names=["conv", "bn"]),
            "it is a Doubled, a type of your own",
        ),
    ],
    ids=["before", "after", "itself"],
)
def test_a_subclass_is_not_folded_and_the_plan_says_why(net: Network, reason: str) -> None:
    """A subclass may compute something else, so folding it could change the forward pass without a warning."""
    x = np.random.default_rng(4).normal(size=(2, 1, 5, 5))
    fused = lrpref.fuse(net, verify=x)
    assert_allclose(fused.forward(x), net.forward(x), rtol=1e-12)
    (decision,) = lrpref.fusion_plan(net).decisions
    assert decision.action in ("stays, as a Scale", "stays")
    assert decision.reason == reason
    assert type(fused["conv"]) is type(net["conv"])
