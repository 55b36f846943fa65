"""The ledger: its columns compared with their definitions, computed by hand from z, s and b."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, Dense, Network, Pad2D, ReLU, Scale, rules
from lrpref.composites import Composite
from lrpref.layers import LinearLayer
from lrpref.ledger import COLUMNS, Entry, Flow

W = np.array([[1.0, 2.0], [1.0, -3.0]])
B = np.array([1.0, -1.0])
A = np.array([[1.0, 1.0], [2.0, -1.0]])
R = np.array([[1.0, -2.0], [4.0, 3.0]])


def booked(layer: LinearLayer, a: np.ndarray, R: np.ndarray, rule: rules.Rule) -> dict[str, np.ndarray]:
    """The ledger entry of a single layer."""
    ledger = lrpref.trace(Network.sequential(layer), a, rule=Composite([(LinearLayer, rule)]), seed=R).ledger
    return {name: ledger[name][0] for name in COLUMNS}


# ---- the columns -------------------------------------------------------------------------------------------------


def test_zero_rule_books_the_bias() -> None:
    z = A @ W.T + B
    found = booked(Dense(W, B), A, R, rules.Zero())
    assert_allclose(found["out"], R.sum(axis=1))
    assert_allclose(found["bias"], (R / z * B).sum(axis=1))
    assert_allclose(found["in"], (R / z * (z - B)).sum(axis=1))
    assert_array_equal([found["stabilizer"], found["dropped"], found["factor"]], np.zeros((3, 2)))


def test_epsilon_books_bias_and_stabilizer() -> None:
    z, epsilon = A @ W.T + B, 0.5
    moved = z + epsilon * np.where(z >= 0, 1, -1)
    found = booked(Dense(W, B), A, R, rules.Epsilon(epsilon))
    assert_allclose(found["bias"], (R / moved * B).sum(axis=1))
    assert_allclose(found["stabilizer"], (R / moved * (moved - z)).sum(axis=1))
    assert_allclose(found["in"], (R / moved * (z - B)).sum(axis=1))


def test_alpha_beta_books_each_pool_with_the_bias_of_its_sign() -> None:
    products = A[:, None, :] * W[None]
    up = products.clip(min=0).sum(axis=2) + B.clip(min=0)
    down = products.clip(max=0).sum(axis=2) + B.clip(max=0)
    over_up, over_down = (np.divide(R, p, out=np.zeros_like(R), where=p != 0) for p in (up, down))
    found = booked(Dense(W, B), A, R, rules.AlphaBeta(2, 1))
    assert_allclose(found["bias"], (2 * over_up * B.clip(min=0) - over_down * B.clip(max=0)).sum(axis=1))
    assert_allclose(found["dropped"], (2 * R * (up == 0) - R * (down == 0)).sum(axis=1))
    assert np.any(found["dropped"] != 0)  # the data above are chosen so that a part is empty


def test_a_denominator_of_zero_is_booked_under_dropped() -> None:
    """One of two samples has z = 0; its relevance is dropped with its sign and size."""
    found = booked(Dense([[1.0, -1.0]]), np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([[-3.0], [5.0]]), rules.Zero())
    assert_array_equal(found["dropped"], [-3, 0])
    assert_array_equal(found["in"], [0, 5])


def test_columns_may_be_negative() -> None:
    """z = -1 with a bias of -2: the input contributes 1 and gets -R, the bias gets 2 R."""
    found = booked(Dense([[1.0]], [-2.0]), np.array([[1.0]]), np.array([[3.0]]), rules.Zero())
    assert_array_equal(found["in"], [-3])
    assert_array_equal(found["bias"], [6])
    found = booked(Dense([[1.0]]), np.array([[1.0]]), np.array([[-3.0]]), rules.Epsilon(0.5))
    assert_allclose(found["stabilizer"], [-1])


def test_what_falls_on_explicit_padding_is_booked_as_bias() -> None:
    image, border = np.ones((2, 1, 1, 2)), np.arange(24.0).reshape(2, 1, 3, 4)
    net = Network.sequential(Pad2D((1, 1, 1, 1), value=7.0))
    found = lrpref.trace(net, image, seed=border).ledger
    inside = border[:, :, 1:2, 1:3].sum(axis=(1, 2, 3))
    assert_array_equal(found["in"][0], inside)
    assert_array_equal(found["bias"][0], border.sum(axis=(1, 2, 3)) - inside)


def test_a_layers_own_padding_gets_nothing() -> None:
    conv = lrpref.Conv2D(np.ones((1, 1, 3, 3)), padding=1)
    found = booked(conv, np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), rules.Flat())
    assert_array_equal(found["in"], [4])
    assert_array_equal([found["bias"], found["dropped"]], [[0], [0]])


def test_a_join_counts_every_branch() -> None:
    a = (np.array([[1.0, 2.0]]), np.array([[3.0, -1.0]]))
    flow = Add().flow(a, np.array([[4.0, 1.0]]), rules.Zero())
    entry = Entry.of("sum", Add(), "zero", np.array([[4.0, 1.0]]), flow)
    assert_allclose(entry.columns["in"], [1 + 2 + 3 - 1])


def test_absent_losses_are_zero() -> None:
    entry = Entry.of("fc", Dense(W), "mine", R, Flow((R / 2,)))
    assert_array_equal([entry.columns[name] for name in ("bias", "stabilizer", "dropped", "factor")], np.zeros((4, 2)))
    assert_array_equal(entry.columns["in"], R.sum(axis=1) / 2)


# ---- the ledger of a network -------------------------------------------------------------------------------------


@pytest.fixture
def books() -> lrpref.Ledger:
    net = Network.sequential(Dense(W, B), ReLU(), Scale([2.0, 3.0], [1.0, 0.0]), Dense([[1.0, 1.0]], [0.5]))
    everywhere = Composite([(LinearLayer, rules.Epsilon(0.25))])
    return lrpref.trace(net, np.vstack([A, A[:1]]), rule=everywhere).ledger


def test_residual_and_columns_have_a_row_per_layer_and_a_column_per_sample(books: lrpref.Ledger) -> None:
    assert books.residual().shape == (4, 3)
    assert all(books[name].shape == (4, 3) for name in COLUMNS)
    assert_allclose(books.residual(), 0, atol=1e-14)


def test_rows_go_from_the_output_to_the_input(books: lrpref.Ledger) -> None:
    assert books.nodes == ["dense2", "scale1", "relu1", "dense1"]


def test_what_a_layer_hands_on_is_what_the_next_receives(books: lrpref.Ledger) -> None:
    assert_allclose(books["in"][:-1], books["out"][1:])


def test_a_column_nobody_knows(books: lrpref.Ledger) -> None:
    with pytest.raises(LookupError, match="loss"):
        books["loss"]


def test_the_residual_is_a_check_and_no_identity() -> None:
    """Relevance that vanishes without an entry in the ledger shows up in the residual."""
    entry = Entry.of("fc", Dense(W), "forgetful", R, Flow((R / 2,), {"bias": np.array([0.0, 1.0])}))
    assert_allclose(lrpref.Ledger([entry]).residual(), [R.sum(axis=1) / 2 - [0, 1]])


def test_two_consumers_are_booked_one_by_one() -> None:
    layers = [("a", Dense([[1.0, 2.0]]), ["input"]), ("b", Dense([[3.0, 1.0]]), ["input"]), ("sum", Add(), ["a", "b"])]
    found = lrpref.trace(Network(layers), np.array([[1.0, 1.0]]), rule=Composite([(LinearLayer, rules.Zero())]))
    assert found.ledger.nodes == ["sum", "b", "a"]
    assert_allclose(found.ledger["in"][:, 0], [7, 4, 3])
    assert_allclose(found.relevance.sum(), 7)


# ---- the printed ledger ------------------------------------------------------------------------------------------


def test_the_table_names_nodes_rules_and_numbers(books: lrpref.Ledger) -> None:
    lines = books.table().splitlines()
    assert lines[0].split() == ["layer", "rule", "out", "in", "bias", "stabilizer", "residual"]
    assert set(lines[1]) == {"-"}
    assert [line.split()[0] for line in lines[2:]] == books.nodes
    assert lines[4].split()[1] == "passes"
    first = lines[2].split()
    assert first[1] == "epsilon(epsilon=0.25)"
    assert_allclose(float(first[2]), books["out"][0].sum(), rtol=1e-4)


def test_the_table_of_one_sample(books: lrpref.Ledger) -> None:
    for sample in (0, 1, -1):
        out = [float(line.split()[2]) for line in books.table(sample).splitlines()[2:]]
        assert_allclose(out, books["out"][:, sample], rtol=1e-4)


def test_the_table_of_a_sample_that_is_not_there(books: lrpref.Ledger) -> None:
    with pytest.raises(IndexError, match="3"):
        books.table(3)


def test_the_table_leaves_out_columns_of_zeros() -> None:
    net = Network.sequential(Dense([[1.0, -1.0]]))
    zero = lrpref.trace(net, np.array([[1.0, 1.0]]), rule="zero", seed="one").ledger
    assert zero.table().splitlines()[0].split() == ["layer", "rule", "out", "in", "dropped", "residual"]


def test_print_says_where_it_went(books: lrpref.Ledger) -> None:
    text = str(books)
    assert text.startswith("where the relevance went (sum over 3 samples)\n")
    assert "34.5 started at dense2" in text
    assert "biases absorbed" in text
    assert "; residual " in text
    one = lrpref.trace(Network.sequential(Dense([[1.0]])), np.array([[2.0]]), rule="zero").ledger
    assert str(one).startswith("where the relevance went\n")
    assert "nothing was lost" in str(one)


@dataclass(frozen=True)
class Half(rules.Rule):
    """A rule that does not attribute the rest of the relevance."""

    def flow(self, layer: LinearLayer, inputs: tuple[np.ndarray, ...], R: np.ndarray) -> Flow:
        return Flow((0.5 * layer.adjoint(np.ones_like(layer.weight), R, inputs[0].shape),), attributed=False)


def test_a_rule_that_does_not_say_is_listed_as_unattributed() -> None:
    found = lrpref.trace(Network.sequential(Dense([[1.0]])), np.array([[2.0]]), rule=Half())
    assert found.ledger.table().splitlines()[2].split() == ["dense1", "Half", "2", "1", "1", "unaccounted", "for"]
    assert str(found.ledger).endswith("2 started at dense1; 1 of it is unaccounted for; residual 0.0e+00.")
