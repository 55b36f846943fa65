"""ResNet-20 end to end, with both kinds of shortcut, under every rule and composite."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import trained_like
from numpy.testing import assert_allclose

import lrpref
from lrpref import Add, BatchNorm, Conv2D, Dense, Network, Scale, composites, fusion, rules
from lrpref.composites import Composite
from lrpref.ledger import LOSSES

SHORTCUTS = ("A", "B")

RULES: dict[str, rules.Rule | Composite | str] = {
    **{name: rule(-3.0, 3.0) if name == "z-box" else rule() for name, rule in rules.RULES.items()},
    **{f"composite {name}": name for name in composites.PRESETS},
    "composite epsilon-gamma-box": "epsilon-gamma-box(low=-3, high=3)",
}
del RULES["pass"]  # for diagonal layers only: the presets apply it to what fusion leaves


def resnet20(shortcut: str, width: float = 1.0) -> Network:
    """A ResNet-20 with random weights, and BatchNorm statistics and biases as after training."""
    net = lrpref.models.resnet20(shortcut, width=width, seed=0)  # type: ignore[arg-type]
    return trained_like(net, np.random.default_rng(0))


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Two noise images, which serve as well as photographs here."""
    return np.random.default_rng(1).normal(size=(2, 3, 32, 32))


@pytest.fixture(scope="module", params=SHORTCUTS)
def fused(request: pytest.FixtureRequest) -> Network:
    """A narrow fused ResNet-20, once with each kind of shortcut."""
    return lrpref.fuse(resnet20(request.param, width=0.25))


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_the_architecture_is_that_of_the_paper(shortcut: str) -> None:
    net = resnet20(shortcut)
    types = [type(layer) for _, layer, _ in net.nodes]
    weights = [layer for _, layer, _ in net.nodes if isinstance(layer, Conv2D | Dense)]
    projections = 2 if shortcut == "B" else 0
    assert len(weights) == 20 + projections
    assert types.count(Add) == 9
    assert types.count(BatchNorm) == 19 + projections
    shapes = net.shapes((1, 3, 32, 32))
    sums = [shapes[name] for name, layer, _ in net.nodes if isinstance(layer, Add)]
    assert sums == [(1, 16, 32, 32)] * 3 + [(1, 32, 16, 16)] * 3 + [(1, 64, 8, 8)] * 3
    assert shapes[net.output] == (1, 10)
    learned = (
        sum(layer.weight.size for layer in weights)
        + 10
        + sum(2 * layer.channels for _, layer, _ in net.nodes if isinstance(layer, BatchNorm))
    )
    assert learned == {"A": 269_722, "B": 272_474}[shortcut]  # "0.27M" in He et al. 2016, table 6


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_it_fuses(shortcut: str, x: np.ndarray) -> None:
    net = resnet20(shortcut)
    fused, plan = lrpref.fuse(net, verify=x), lrpref.fusion_plan(net)
    assert not any(isinstance(layer, BatchNorm) for _, layer, _ in fused.nodes)
    # Every BatchNorm follows a convolution and folds. The Scales by 0 are the zero channels of shortcut A and remain.
    assert {d.node for d in plan.kept} == {name for name, layer, _ in net.nodes if isinstance(layer, Scale)}
    assert {d.action.partition(" into ")[0] for d in plan.decisions if d not in plan.kept} == {"folded"}
    # About 20 layers with up to 576 products each: rounding of about sqrt(20 * 576) eps = 2e-14 of the output.
    assert fusion.forward_difference(net, fused, x) < 1e-12


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_it_is_what_it_says_along_the_shortcut(shortcut: str) -> None:
    net = resnet20(shortcut, width=0.25)
    at = net.activations(np.random.default_rng(1).normal(size=(1, 3, 32, 32)))
    skip = {name: inputs for name, _, inputs in net.nodes}["layer2.0.add"][1]  # of the first block that halves
    if shortcut == "A":
        assert_allclose(at[skip][:, :4], at["layer1.2.relu2"][:, :, ::2, ::2], rtol=0, atol=0)
        assert not at[skip][:, 4:].any()
    else:
        assert skip == "layer2.0.downsample.1"
        assert at[skip].shape == (1, 8, 16, 16)


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")  # conservation is asserted here, more tightly
@pytest.mark.parametrize("rule", RULES)
def test_it_explains_and_the_books_close(rule: str, fused: Network, x: np.ndarray) -> None:
    tr = lrpref.trace(fused, x, rule=RULES[rule])
    assert tr.relevance.shape == x.shape
    assert np.isfinite(tr.relevance).all()
    assert tr.relevance.any()
    assert (abs(tr.ledger.residual()) <= 1e-12 * relevance_moved(fused, tr, x)).all()


def relevance_moved(net: Network, tr: lrpref.Trace, x: np.ndarray) -> np.ndarray:
    """Per layer and sample, the sum of |R| received, passed on and recorded as a loss.

    The sums in the ledger may be small although their terms are large and cancel, as under LRP-0. Rounding is relative
    to the terms, which are messages between units. A unit has at most 144 inputs, so the relative error of a term is
    about 144 eps = 3e-14, and messages of opposite sign can be some tens of times larger than the relevance they sum
    to. Hence the tolerance of 1e-12 of this sum.
    """
    activations = net.activations(x)
    moved = []
    for entry in tr.ledger.entries:
        node = next(node for node in net.nodes if node.name == entry.node)
        inputs, R = tuple(activations[i] for i in node.inputs), tr.at[node.name]
        handed_on = node.layer.relevance(inputs, R, tr.rules.get(node.name))
        booked = sum(abs(entry.columns[loss]) for loss in LOSSES)
        moved.append(booked + sum(abs(part).reshape(len(x), -1).sum(axis=1) for part in (R, *handed_on)))
    return np.stack(moved)


def test_full_width(x: np.ndarray) -> None:
    net = lrpref.fuse(resnet20("A"))
    tr = lrpref.trace(net, x, rule="epsilon-plus-flat")
    assert tr.relevance.shape == x.shape
    out, into = tr.ledger["out"], tr.ledger["in"]
    # z-plus, flat and routing conserve relevance up to biases and stabilizers, which are all in the ledger.
    assert_allclose(out - into, sum(tr.ledger[loss] for loss in LOSSES), rtol=0, atol=1e-11 * abs(out).max())
    assert_allclose(tr.ledger["in"][-1], tr.relevance.sum(axis=(1, 2, 3)), rtol=1e-12)


def test_no_relevance_falls_on_the_zeros_of_shortcut_a(x: np.ndarray) -> None:
    net = lrpref.fuse(resnet20("A", width=0.25))
    tr = lrpref.trace(net, x, rule="epsilon-plus-flat")
    for name, layer, _ in net.nodes:
        if isinstance(layer, Scale):
            assert not tr.at[name].any()
