"""A folded ledger tells the same in fewer lines."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import lrpref
from lrpref import Add, Dense, Network, ReLU, trace
from lrpref.cli.folding import folded


@pytest.fixture(scope="module")
def resnet() -> tuple[Network, lrpref.walk.Trace]:
    net = lrpref.fuse(lrpref.load("resnet20").astype(np.float64))
    return net, trace(net, np.random.default_rng(0).random((2, 3, 32, 32)))


def test_every_block_adds_up(resnet: tuple[Network, lrpref.walk.Trace]) -> None:
    net, tr = resnet
    short = folded(tr.ledger, net)
    assert len(short.entries) < len(tr.ledger.entries) / 2
    assert_allclose(short.residual(), 0, atol=1e-12)
    assert_allclose(short.arrived(), tr.ledger.arrived(), rtol=1e-12)
    for column in ("bias", "stabilizer", "dropped", "factor"):
        assert_allclose(short[column].sum(axis=0), tr.ledger[column].sum(axis=0), rtol=1e-12, atol=1e-15)


def test_a_block_sends_what_the_one_before_it_receives(resnet: tuple[Network, lrpref.walk.Trace]) -> None:
    """layer3.2 reads layer3.1 alone, and nothing else does."""
    net, tr = resnet
    rows = {entry.node: entry.columns for entry in folded(tr.ledger, net).entries}
    assert_allclose(rows["layer3.2"]["in"], rows["layer3.1"]["out"], rtol=1e-12)
    assert_allclose(rows["layer3.2"]["out"], tr.at["layer3.2.relu2"].sum(axis=(1, 2, 3)), rtol=1e-12)


def network(end: str) -> Network:
    """Two layers in a block; `end` names what the last layer, outside the block, adds to the output of the block."""
    one = np.eye(2)
    return Network(
        [
            ("b.first", Dense([[1.0, 2.0], [3.0, 4.0]], [0.5, 0.0]), ["input"]),
            ("b.relu", ReLU(), ["b.first"]),
            ("b.second", Dense(one, [0.0, 0.25]), ["b.relu"]),
            ("sum", Add(), ["b.second", end]),
        ]
    )


def test_a_layer_that_is_read_inside_and_outside_is_not_hidden() -> None:
    x = np.array([[1.0, 2.0]])
    for end, expected in (("b.relu", ["sum", "b.second", "b.relu", "b.first"]), ("input", ["sum", "b"])):
        net = network(end)
        short = folded(trace(net, x, rule="zero").ledger, net)
        assert [entry.node for entry in short.entries] == expected
        assert_allclose(short.residual(), 0, atol=1e-15)


def test_where_the_explanation_starts_stays_in_sight() -> None:
    """The explained layer has a row of its own relevance, which came from nowhere in the block."""
    net = network("input")
    x = np.array([[1.0, 2.0]])
    tr = trace(net, x, rule="zero", node="b.relu")
    short = folded(tr.ledger, net)
    assert_allclose(short["out"][0], tr.at["b.relu"].sum(axis=1))
    assert_allclose(short.residual(), 0, atol=1e-15)
