"""Transformers and LSTMs: their layers by hand, the laws of their rules, and the graphs that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    GELU,
    Add,
    Affine,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    LayerNorm,
    MatMul,
    Multiply,
    Network,
    Permute,
    PrependTokens,
    RMSNorm,
    Slice,
    Softmax,
    TokenDense,
    attention,
    composites,
    exact,
    lstm,
    rules,
)
from lrpref.composites import Composite
from lrpref.errors import DTypeError, InputError, LrprefError, ParameterError, ShapeError
from lrpref.testing import check_layer
from lrpref.testing.strategies import layer_cases

ZERO_EVERYWHERE = Composite([(lrpref.LinearLayer, rules.Zero())])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normally distributed numbers of a shape, the same at each call."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


# ---- layers by hand ----------------------------------------------------------------------------------------------

WEIGHTS, VALUES = [[[1.0, 3.0]]], [[[2.0, 1.0], [4.0, -1.0]]]
"""The product is (14, -2)."""


@pytest.mark.parametrize(
    ("layer", "rule", "R", "weights", "values"),
    [
        (MatMul(), rules.Zero(), [28, 4], [1, 15], [[2, -1], [12, 3]]),
        (MatMul(scale=2.0), rules.Zero(), [28, 4], [1, 15], [[2, -1], [12, 3]]),
        (MatMul(), rules.Epsilon(2.0), [32, 8], [1, 15], [[2, -1], [12, 3]]),
        (MatMul(split="signal"), rules.Zero(), [28, 4], [0, 0], [[4, -2], [24, 6]]),
        (MatMul(split="signal", signal=0), rules.Zero(), [28, 4], [2, 30], [[0, 0], [0, 0]]),
        (MatMul(), rules.Flat(), [28, 4], [8, 8], [[7, 1], [7, 1]]),
    ],
    ids=repr,
)
def test_a_matrix_product_by_hand(backend: Any, layer: MatMul, rule: Any, R: Any, weights: Any, values: Any) -> None:
    """R / 2 O = (1, -1) under Zero, and under Epsilon(2), where 2 O + 2 epsilon is (32, -8)."""
    inputs = backend((np.asarray(WEIGHTS), np.asarray(VALUES)))
    assert_array_equal(lrpref.to_numpy(layer.forward(*inputs)), layer.scale * np.asarray([[[14.0, -2.0]]]))
    found = layer.relevance(inputs, backend(np.asarray([[R]], dtype=float)), rule)
    for R_i, expected in zip(found, ([weights], values), strict=True):
        assert_array_equal(lrpref.to_numpy(R_i), [expected])


def test_queries_and_keys_by_hand() -> None:
    """(1, 2) (3, 4)^T = 11: the keys are rows, and R = 22 becomes (3, 8) for either factor."""
    inputs = np.asarray([[[1.0, 2.0]]]), np.asarray([[[3.0, 4.0]]])
    for k, found in enumerate(MatMul(transpose=True).relevance(inputs, np.asarray([[[22.0]]]), rules.Zero())):
        assert_array_equal(found, [[[3.0, 8.0]]], str(k))


def test_a_softmax_within_a_network_by_hand(backend: Any) -> None:
    """Logits (0, log 3): s = (1/4, 3/4), R = (4, 8), so x_2 receives (8 - 12 x 3/4) log 3 and the bias the rest."""
    x, R = np.asarray([[0.0, np.log(3)]]), np.asarray([[4.0, 8.0]])
    flow = Softmax().flow((backend(x),), backend(R), None)
    assert_allclose(lrpref.to_numpy(flow.inputs[0]), [[0.0, -np.log(3)]], rtol=1e-14)
    assert_allclose(lrpref.to_numpy(flow.losses["bias"]), [12 + np.log(3)], rtol=1e-14)


def test_the_books_of_a_softmax_know_their_layer() -> None:
    """It is expanded within a network; at its end, the explanation starts at the logits and does not ask it."""
    net = Network([("inner", Softmax(-1), ["input"]), ("fc", Dense(numbers(2, 3)), ["inner"])])
    tr = lrpref.trace(net, numbers(2, 3), rule="zero")
    assert {entry.node: entry.rule for entry in tr.ledger.entries} == {"fc": "zero", "inner": "expands"}
    assert_allclose(tr.ledger.residual(), 0, atol=1e-14)
    ended = Network([*net.nodes, ("head", Softmax(), ["fc"])])
    assert ended.logits == "fc"
    assert_array_equal(lrpref.explain(ended, numbers(2, 3), rule="zero"), tr.relevance)


def test_lrp_0_through_a_softmax_is_gradient_times_input() -> None:
    """The Taylor rule passes on R_i = x_i times the gradient where R_j was s_j times the gradient."""
    x, w = numbers(1, 4), numbers(1, 4, seed=1)
    net = Network.sequential(Softmax(), Dense(w))
    steps = 1e-6 * np.eye(4)
    gradient = (net.forward(x + steps) - net.forward(x - steps)) / 2e-6
    assert_allclose(lrpref.explain(net, x, rule="zero"), x * gradient.T, rtol=1e-8)


def test_tokens_by_hand(backend: Any) -> None:
    """z = 1 + 2 + 1 and 3 - 1 + 1 at two positions: 8 (1, 2) / 4 and 6 (3, -1) / 3, and 2 + 2 for the bias."""
    layer = backend(TokenDense([[1.0, 1.0]], [1.0]))
    a, R = backend((np.asarray([[[1.0, 2.0], [3.0, -1.0]]]), np.asarray([[[8.0], [6.0]]])))
    flow = layer.flow((a,), R, rules.Zero())
    assert_array_equal(lrpref.to_numpy(flow.inputs[0]), [[[2.0, 4.0], [6.0, -2.0]]])
    assert_array_equal(lrpref.to_numpy(flow.losses["bias"]), [4.0])


@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_of_tokens_is_a_convolution_of_one_tap(bias: bool) -> None:
    """(N, T, in) is a signal (N, in, T) with its axes swapped."""
    w, b, a, R = numbers(3, 4), numbers(3) if bias else None, numbers(2, 5, 4), numbers(2, 5, 3)
    conv, swapped = lrpref.Conv1D(w[:, :, None], b), (0, 2, 1)
    for rule in (rules.Epsilon(0.1), rules.ZPlus(), rules.Flat()):
        expected = conv.relevance(a.transpose(swapped), R.transpose(swapped), rule).transpose(swapped)
        assert_allclose(TokenDense(w, b).relevance(a, R, rule), expected, rtol=1e-12)


def test_an_affine_layer_by_hand(backend: Any) -> None:
    """z = ((2 + 1, 2 + 1), (6 - 2, 4 - 2)): the weight follows the last axis, the bias the one before."""
    layer = backend(Affine([2.0, 1.0], [[1.0], [-2.0]]))
    a, R = backend((np.asarray([[[1.0, 2.0], [3.0, 4.0]]]), np.asarray([[[3.0, 6.0], [8.0, 2.0]]])))
    assert_array_equal(lrpref.to_numpy(layer.forward(a)), [[[3.0, 3.0], [4.0, 2.0]]])
    flow = layer.flow((a,), R, rules.Zero())
    assert_array_equal(lrpref.to_numpy(flow.inputs[0]), [[[2.0, 4.0], [12.0, 4.0]]])
    assert_array_equal(lrpref.to_numpy(flow.losses["bias"]), [-3.0])
    assert_array_equal(lrpref.to_numpy(layer.relevance(a, R, rules.Pass())), lrpref.to_numpy(R))


def test_learned_tokens_are_constants(backend: Any) -> None:
    layer = backend(PrependTokens([[7.0, 8.0]]))
    a, R = backend((np.asarray([[[1.0, 2.0]]] * 2), np.asarray([[[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.0], [5.0, 6.0]]])))
    assert_array_equal(lrpref.to_numpy(layer.forward(a)), [[[7.0, 8.0], [1.0, 2.0]]] * 2)
    flow = layer.flow((a,), R, None)
    assert_array_equal(lrpref.to_numpy(flow.inputs[0]), [[[3.0, 4.0]], [[5.0, 6.0]]])
    assert_array_equal(lrpref.to_numpy(flow.losses["bias"]), [3.0, 0.5])


# ---- integer inputs ----------------------------------------------------------------------------------------------

TABLE = np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_an_index_receives_the_sum_of_its_vector(backend: Any, dtype: str) -> None:
    """The vectors are (5, 6) and (1, 2): z = 5 - 6 + 2 + 2 = 3."""
    nodes = [("embed", Embedding(TABLE), ["input"]), ("flat", Flatten(), ["embed"])]
    net = backend(Network([*nodes, ("fc", Dense([[1.0, -1.0, 2.0, 1.0]]), ["flat"])]))
    tr = lrpref.trace(net, backend(np.asarray([[2, 0]], dtype=dtype)), rule="zero")
    assert_array_equal(lrpref.to_numpy(tr.relevance), [[-1.0, 4.0]])
    assert_array_equal(lrpref.to_numpy(tr.at["embed"]), [[[5.0, -6.0], [2.0, 2.0]]])


def test_an_embedding_is_a_dense_layer_of_one_hot_vectors_under_lrp_0() -> None:
    """Exactly: the input that is 1 receives what the index receives, and those that are 0 receive nothing."""
    tokens, R = np.asarray([[2, 0, 1]]), exact(numbers(1, 3, 2).round(3))
    one_hot = exact(np.eye(3)[tokens])
    expected = exact(Network.sequential(TokenDense(TABLE.T)))["tokendense1"].relevance(one_hot, R, rules.Zero())
    found = exact(Network.sequential(Embedding(TABLE)))["embedding1"].relevance(exact(tokens), R, rules.Zero())
    assert_array_equal(found, expected.sum(axis=2))
    assert_array_equal(expected * (1 - one_hot), 0 * expected)


@pytest.mark.parametrize("tokens", [[[0.5]], [[3]], [[-1]]])
def test_an_embedding_refuses_what_is_no_index(tokens: Any) -> None:
    with pytest.raises(InputError, match=r"node 'embedding1'.* whole numbers from 0 to 2"):
        Network.sequential(Embedding(TABLE)).forward(tokens)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_indices_are_not_taken_for_pixels(dtype: str) -> None:
    """Where all that reads an input is embeddings, short unsigned integers are the numbers of words."""
    net = Network([("embed", Embedding(TABLE), ["input"])])
    assert_array_equal(net.forward(np.asarray([[2]], dtype=dtype)), [[[5.0, 6.0]]])
    read = Network([*net.nodes, ("sum", lrpref.Sum(2), ["embed"]), ("both", Add(), ["sum", "input"])])
    with pytest.raises(InputError, match="pixels up to 2"):
        read.forward(np.asarray([[2]], dtype=dtype))


def test_more_indices_than_the_dtype_can_tell_apart_are_refused() -> None:
    """float32 cannot represent 2^24 + 1, so that index would be read as its neighbour."""
    many = Embedding(np.zeros((2**24 + 2, 1), np.float32))
    with pytest.raises(InputError, match=r"float32 cannot tell 16777218 indices apart; use net\.astype\('float64'\)"):
        many.forward(np.asarray([[2**24 + 1]], np.float32))


# ---- laws of products --------------------------------------------------------------------------------------------

LINEAR_RULES = (rules.Zero(), rules.Epsilon(0.1), rules.ZPlus(), rules.Gamma(0.5, True), rules.Absolute(), rules.Flat())


@pytest.mark.parametrize("rule", LINEAR_RULES, ids=str)
def test_the_signal_sees_a_linear_layer(rule: rules.Rule) -> None:
    """With constant weights A, each column of A B is a Dense layer with the weights A, under every rule."""
    A, B, R = numbers(1, 3, 4), numbers(1, 4, 2), numbers(1, 3, 2)
    found = MatMul(split="signal").relevance((A, B), R, rule)
    columns = Dense(A[0]).relevance(B[0].T, R[0].T, rule).T
    assert_allclose(found[1][0], columns, rtol=1e-12)
    assert_array_equal(found[0], 0 * A)


@pytest.mark.parametrize("rule", [rules.Zero(), rules.Epsilon(0.1)], ids=str)
def test_halves_are_halves_of_the_signals(rule: rules.Rule) -> None:
    """Each factor receives half of what it receives as the signal, and both the same in total."""
    inputs, R = (numbers(2, 3, 4), numbers(2, 3, 4, seed=1)), numbers(2, 3, 3)
    halves = MatMul(True, 0.5).relevance(inputs, R, rule)
    for k, half in enumerate(halves):
        whole = MatMul(True, 0.5, "signal", k).relevance(inputs, R, rule)
        assert_allclose(half, whole[k] / 2, rtol=1e-12)
    assert_allclose(halves[0].sum(), halves[1].sum(), rtol=1e-12)


@given(case=layer_cases("mat_mul"))
def test_a_matrix_product_is_that_of_the_columns_and_rows(case: Any) -> None:
    """Exactly, for dyadic numbers; the books close to the last bit."""
    layer, (A, B) = case.layer, case.inputs
    assert_array_equal(layer.forward(A, B), layer.scale * (A @ (np.swapaxes(B, -1, -2) if layer.transpose else B)))
    flow = layer.flow(case.inputs, case.R, rules.Flat())
    per_sample = tuple(range(1, case.R.ndim))
    assert_allclose(sum(R.sum(axis=per_sample) for R in flow.inputs), case.R.sum(axis=per_sample), atol=1e-13)


@pytest.mark.parametrize(
    ("order", "expected"),
    [((["x1", "x2"], ["inner", "x3"]), [6, 6, 12]), ((["x2", "x3"], ["x1", "inner"]), [12, 6, 6])],
)
def test_three_factors_depend_on_the_order(order: Any, expected: list[int]) -> None:
    """The law that fails: 2 x 3 x 4 = 24 is one function, and has two explanations (arXiv 2510.18810)."""
    cut: Any = [(f"x{k}", Slice(1, k - 1, k), ["input"]) for k in (1, 2, 3)]
    net = Network([*cut, ("inner", Multiply(), order[0]), ("outer", Multiply(), order[1])])
    x = np.asarray([[2.0, 3.0, 4.0]])
    assert_array_equal(net.forward(x), [[24.0]])
    assert_array_equal(lrpref.explain(net, x, rule="zero"), [expected])


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (MatMul(transpose=True, scale=0.5), (numbers(2, 3, 4), numbers(2, 5, 4))),
        (MatMul(), (numbers(2, 2, 3, 4), numbers(2, 2, 4, 5))),
        (MatMul(split="signal"), (numbers(2, 3, 4), numbers(2, 4, 5))),
        (TokenDense(numbers(3, 4), numbers(3)), (numbers(2, 5, 4),)),
        (Affine(numbers(5, 1), numbers(4)), (numbers(2, 5, 4),)),
        (PrependTokens(numbers(2, 4)), (numbers(2, 5, 4),)),
        (Softmax(-1), (numbers(2, 5, 4),)),
    ],
    ids=repr,
)
def test_layers_obey_the_laws(layer: lrpref.Layer, inputs: Any) -> None:
    check_layer(layer, *inputs)


# ---- attention as a graph ----------------------------------------------------------------------------------------

E, H, T = 6, 2, 3
PROJECTIONS = [TokenDense(numbers(E, E, seed=k), numbers(E, seed=k)) for k in range(4)]
MASK = -1e9 * np.triu(np.ones((T, T)), 1)
"""A token reads itself and those before it."""


def softmax(x: np.ndarray) -> np.ndarray:
    e: np.ndarray = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


def by_loops(x: np.ndarray, memory: np.ndarray, mask: Any = 0.0) -> np.ndarray:
    """Attention of one sample, one head after another, as in Vaswani et al. 2017."""
    query, key, value, output = PROJECTIONS
    Q, K, V = (tokens @ p.weight.T + p.bias for tokens, p in ((x, query), (memory, key), (memory, value)))
    heads = []
    for h in range(H):
        cut = slice(h * E // H, (h + 1) * E // H)
        heads.append(softmax(Q[:, cut] @ K[:, cut].T / np.sqrt(E // H) + mask) @ V[:, cut])
    found: np.ndarray = np.concatenate(heads, axis=1) @ output.weight.T + output.bias
    return found


def test_a_mask_does_not_widen_the_network() -> None:
    """A mask in float64, as NumPy makes it; with exact weights it is made exact."""
    single = [layer.map_arrays(lambda array: array.astype(np.float32)) for layer in PROJECTIONS]
    net = Network(attention("attn", "input", H, *single, mask=MASK))
    assert net.dtype == np.float32
    x = numbers(2, T, E).astype(np.float32)
    for form in ("plain", "direct"):
        R = lrpref.explain(net, x, rule="attn-lrp", form=form)
        assert R.dtype == net.forward(x).dtype == np.float32
    whole = [layer.map_arrays(exact) for layer in PROJECTIONS]
    assert Network(attention("attn", "input", H, *whole, mask=MASK))["attn.masked"].bias.dtype == object


@pytest.mark.parametrize("mask", [None, MASK], ids=["open", "causal"])
def test_attention_is_that_of_vaswani(mask: Any) -> None:
    x = numbers(2, T, E)
    net = Network(attention("attn", "input", H, *PROJECTIONS, mask=mask))
    expected = [by_loops(tokens, tokens, 0.0 if mask is None else mask) for tokens in x]
    assert_allclose(net.forward(x), expected, rtol=1e-12)
    assert_allclose(net.activations(x)["attn.weights"].sum(axis=-1), 1.0)


def test_attention_to_another_sequence() -> None:
    x, memory = numbers(2, T, E), numbers(2, 5, E)
    net = Network(attention("attn", "x", H, *PROJECTIONS, memory="memory"), inputs=["x", "memory"])
    expected = [by_loops(tokens, others) for tokens, others in zip(x, memory, strict=True)]
    assert_allclose(net.forward((x, memory)), expected, rtol=1e-12)


@pytest.mark.parametrize("rule", ["attn-lrp", "cp-lrp", "epsilon"])
def test_a_token_that_is_not_read_receives_nothing(rule: str) -> None:
    """Under a causal mask, the first token reads itself alone."""
    net = Network(attention("attn", "input", H, *PROJECTIONS, mask=MASK))
    seed = np.zeros((1, T, E))
    seed[:, 0] = numbers(E)
    R = lrpref.explain(net, numbers(1, T, E), rule=rule, seed=seed)
    assert_array_equal(R[:, 1:], 0 * R[:, 1:])
    assert abs(R[:, 0]).max() > 0.01


def test_heads_divide_the_features() -> None:
    with pytest.raises(ParameterError, match="4 heads do not divide the 6 outputs of query"):
        attention("attn", "input", 4, *PROJECTIONS)


# ---- transformers under the composites ---------------------------------------------------------------------------


def transformer(norm: Any = None) -> Network:
    """One block of a classifier of token sequences, as small as can be."""
    norm = LayerNorm(E, 1 + numbers(E) / 4, numbers(E, seed=1) / 4) if norm is None else norm
    return Network(
        [
            ("embed", Embedding(numbers(9, E)), ["input"]),
            ("position", Affine(bias=numbers(T, E)), ["embed"]),
            ("class", PrependTokens(numbers(1, E)), ["position"]),
            ("norm", norm, ["class"]),
            *attention("attn", "norm", H, *PROJECTIONS),
            ("skip", Add(), ["class", "attn"]),
            ("wide", TokenDense(numbers(8, E, seed=5), numbers(8)), ["skip"]),
            ("gelu", GELU(), ["wide"]),
            ("narrow", TokenDense(numbers(E, 8, seed=6), numbers(E)), ["gelu"]),
            ("skip2", Add(), ["skip", "narrow"]),
            ("first", Slice(1, 0, 1), ["skip2"]),
            ("flat", Flatten(), ["first"]),
            ("head", Dense(numbers(3, E, seed=7)), ["flat"]),
            ("softmax", Softmax(), ["head"]),
        ]
    )


NET, TOKENS = transformer(), np.asarray([[1, 7, 3], [0, 8, 8]])
NAMES = ["attn-lrp", "attn-lrp(gamma=0.25)", "attn-lrp(mean='constant')", "cp-lrp", "epsilon-plus-flat", "zero"]


@pytest.mark.parametrize("name", NAMES)
def test_the_books_of_a_transformer_close(name: str) -> None:
    tr = lrpref.trace(NET, TOKENS, rule=name)
    assert tr.relevance.shape == TOKENS.shape
    assert_allclose(tr.ledger.residual(), 0, atol=1e-12)
    assert_allclose(
        tr.relevance.sum(axis=1),
        tr.logits.max(axis=1)
        - sum(tr.ledger[lost].sum(axis=0) for lost in ("bias", "stabilizer", "dropped", "factor")),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_prepared_transformer_gives_the_same(name: str, dtype: str) -> None:
    net = NET.astype(dtype)
    expected = lrpref.explain(net, TOKENS, rule=name, form="plain")
    tolerance = 1e-3 if dtype == "float32" else 1e-10
    assert_allclose(lrpref.prepare(net, name).explain(TOKENS), expected, atol=tolerance * abs(expected).max())


def assigned(composite: Composite, net: Network = NET) -> dict[str, str]:
    return {name: str(rule) for name, rule in composite.assign(net).items()}


def test_what_attnlrp_assigns() -> None:
    found = assigned(composites.AttnLRP(0.125))
    assert set(found.values()) == {"epsilon(epsilon=0.125)"}
    assert found.keys() >= {"attn.scores", "attn.mixed", "norm", "skip", "head", "position"}
    vision = assigned(composites.AttnLRP(0.125, gamma=0.5))
    gamma = "gamma(gamma=0.5, generalised=True, stabilizer=0.125)"
    assert {name for name, rule in vision.items() if rule == gamma} == {
        *("attn.query", "attn.key", "attn.value", "attn", "wide", "narrow", "head")
    }
    read = composites.AttnLRP().read(NET)
    assert (read["attn.mixed"].split, read["norm"].mean) == ("half", "linear")
    assert assigned(composites.AttnLRP(mean="constant"))["norm"] == "pass"
    assert assigned(composites.AttnLRP(), transformer(RMSNorm(E)))["norm"] == "pass"


def test_attnlrp_is_the_sum_of_its_propositions() -> None:
    """One head, by the formulas of the paper with epsilon = 0, against the walk."""
    q, k, v = (p.weight for p in PROJECTIONS[:3])
    nodes = attention("attn", "input", 1, *(TokenDense(w) for w in (q, k, v)))
    x, R = numbers(1, T, E), numbers(1, T, E, seed=1)
    [a], [R_O] = x, R
    Q, K, V = a @ q.T, a @ k.T, a @ v.T
    scores = Q @ K.T / np.sqrt(E)
    A = softmax(scores)
    O = A @ V
    R_A = A * ((R_O / (2 * O)) @ V.T)  # prop. 3.3
    R_V = V * (A.T @ (R_O / (2 * O)))
    R_S = scores * (R_A - A * R_A.sum(axis=1, keepdims=True))  # prop. 3.1
    R_Q = Q * ((R_S / (2 * scores)) @ K) / np.sqrt(E)
    R_K = K * ((R_S / (2 * scores)).T @ Q) / np.sqrt(E)
    expected = sum(a * ((R_p / p) @ w) for p, R_p, w in ((Q, R_Q, q), (K, R_K, k), (V, R_V, v)))
    found = lrpref.explain(Network(nodes), x, rule=composites.AttnLRP(epsilon=0.0), seed=R)
    assert_allclose(found[0], expected, rtol=1e-9)


def test_cplrp_is_a_linear_network_with_the_weights_of_this_sample() -> None:
    """Attention with constant weights A is one linear layer, the Kronecker product of A and the values' weight."""
    w = PROJECTIONS[2].weight
    net = Network(attention("attn", "input", 1, *PROJECTIONS[:2], TokenDense(w)))
    x, R = numbers(1, T, E), numbers(1, T, E, seed=1)
    A = net.activations(x)["attn.weights"][0, 0]
    values = Dense(np.kron(np.eye(T), w))
    mixing = Dense(np.kron(A, np.eye(E)))
    constant = Network.sequential(Flatten(), values, mixing)
    assert_allclose(constant.forward(x).reshape(1, T, E), net.forward(x), rtol=1e-12)
    expected = lrpref.explain(constant, x, rule=rules.Epsilon(0.1), seed=R.reshape(1, -1))
    tr = lrpref.trace(net, x, rule=composites.CPLRP(epsilon=0.1), seed=R)
    assert_allclose(tr.relevance, expected, rtol=1e-10)
    for unread in ("attn.weights", "attn.query", "attn.key"):
        assert_array_equal(tr.at[unread], 0 * tr.at[unread])


def test_cplrp_holds_the_deviation_constant_and_centres() -> None:
    """The rule for LayerNorm of Ali et al. 2022: R_i = sum_j a_i (delta_ij - 1/n) / (a_j - mu) R_j."""
    a, R = numbers(1, E), numbers(1, E, seed=1)
    net = Network.sequential(LayerNorm(E, numbers(E), numbers(E, seed=2)))
    fractions = a[0][:, None] * (np.eye(E) - 1 / E) / (a[0] - a.mean())[None, :]
    expected = fractions @ R[0]
    assert_allclose(lrpref.explain(net, a, rule=composites.CPLRP(epsilon=0.0), seed=R)[0], expected, rtol=1e-10)


def test_a_composite_reads_products_and_norms_without_changing_what_is_computed() -> None:
    read = Composite([], split="signal", mean="centred").read(NET)
    assert_array_equal(read.forward(TOKENS), NET.forward(TOKENS))
    assert (read["attn.mixed"].split, read["norm"].mean) == ("signal", "centred")
    assert Composite([]).read(NET) is NET
    gated = Network([("gate", Multiply(), ["input", "input"]), ("norm", RMSNorm(2), ["gate"])])
    assert Composite([], split="signal", mean="centred").read(gated)["gate"].split == "signal"
    with pytest.raises(ParameterError, match='Composite: split must be None, "half" or "signal"'):
        Composite([], split="both")
    with pytest.raises(ParameterError, match="Composite: mean must be"):
        Composite([], mean="both")


@pytest.mark.parametrize("reading", [{"split": "signal"}, {"mean": "centred"}, {"split": "half", "mean": "constant"}])
def test_a_signature_says_how_a_composite_reads(reading: dict[str, Any]) -> None:
    own = Composite([(lrpref.LinearLayer, rules.Epsilon(0.5))], **reading)
    signature = lrpref.signature(NET, own)
    for name, value in reading.items():
        assert f"{name}={value}" in signature.rule
    again = lrpref.Signature.parse(str(signature)).composite(NET)
    assert_array_equal(lrpref.explain(NET, TOKENS, rule=again), lrpref.explain(NET, TOKENS, rule=own))
    assert lrpref.signature(NET, composites.CPLRP(0.5)).rule == "cp-lrp(epsilon=0.5)"


def test_a_vision_transformer_has_pixels_as_its_input() -> None:
    """Patches by a convolution, laid out as tokens: the map has the shape of the image."""
    patches = [
        ("patch", Conv2D(numbers(E, 1, 2, 2), numbers(E), stride=2), ["input"]),
        ("cells", lrpref.Reshape((E, -1)), ["patch"]),
        ("tokens", Permute((0, 2, 1)), ["cells"]),
    ]
    net = Network([*patches, *attention("attn", "tokens", H, *PROJECTIONS), ("mean", lrpref.Mean(1), ["attn"])])
    tr = lrpref.trace(net, numbers(2, 1, 4, 6), rule="attn-lrp")
    assert tr.relevance.shape == (2, 1, 4, 6)
    assert_allclose(tr.ledger.residual(), 0, atol=1e-13)


def test_exact_arithmetic_refuses_the_softmax_by_name_and_takes_the_rest() -> None:
    with pytest.raises(DTypeError, match=r"node 'attn\.weights': Softmax is irrational"):
        exact(Network(attention("attn", "input", H, *PROJECTIONS)))
    nodes = [("embed", Embedding(TABLE), ["input"]), ("scores", MatMul(True, 0.5), ["embed", "embed"])]
    net = exact(Network([*nodes, ("sum", lrpref.Sum((1, 2)), ["scores"]), ("one", lrpref.Reshape((1,)), ["sum"])]))
    tr = lrpref.trace(net, exact([[2, 0]]), rule=ZERO_EVERYWHERE)
    assert all(value == 0 for value in tr.ledger.residual().flat)
    assert tr.relevance.sum() == tr.logits.sum()  # without biases, to the last fraction


# ---- an LSTM -----------------------------------------------------------------------------------------------------

HIDDEN, FEATURES, STEPS = 3, 2, 4


def lstm_by_loops(x: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The last hidden state, by the equations of the docstring."""
    h = c = np.zeros(U.shape[1])
    for step in x:
        i, f, g, o = np.split(W @ step + U @ h + b, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
    return h


def test_an_lstm_is_that_of_its_equations() -> None:
    W, U, b = numbers(4 * HIDDEN, FEATURES), numbers(4 * HIDDEN, HIDDEN), numbers(4 * HIDDEN)
    x = numbers(2, STEPS, FEATURES)
    net = Network(lstm("lstm", "input", STEPS, W, U, b))
    assert_allclose(net.forward(x), [lstm_by_loops(sample, W, U, b) for sample in x], rtol=1e-12)


def test_an_lstm_by_hand() -> None:
    """All gates are 1/2, and the cell reads x alone: c_2 = g/4 + g/2, so R = 3 becomes 1 and 2."""
    W, U = np.asarray([[0.0], [0.0], [1.0], [0.0]]), np.zeros((4, 1))
    net = Network(lstm("lstm", "input", 2, W, U))
    tr = lrpref.trace(net, np.ones((1, 2, 1)), rule="zero", seed=3.0)
    assert_allclose(tr.relevance, [[[1.0], [2.0]]], rtol=1e-15)
    assert_array_equal(tr.at["lstm.2.forget"], [[0.0]])


def test_an_lstm_conserves_relevance_and_its_gates_receive_none() -> None:
    """Signal-take-all: without biases, all of R arrives at the inputs, whatever the gates are."""
    W, U = numbers(4 * HIDDEN, FEATURES), numbers(4 * HIDDEN, HIDDEN)
    net, x = Network(lstm("lstm", "input", STEPS, W, U)), numbers(2, STEPS, FEATURES)
    tr = lrpref.trace(net, x, rule="zero", target=0)
    assert_allclose(tr.relevance.sum(axis=(1, 2)), tr.logits[:, 0], rtol=1e-10)
    gates = [name for name in net.names if name.rpartition(".")[2] in ("input", "forget", "output")]
    assert len(gates) == 3 * STEPS - 1
    assert all(not tr.at[gate].any() for gate in gates)


def test_an_lstm_under_the_half_rule_gives_its_gates_relevance() -> None:
    """LRP-half of Arras et al. 2019: the composite AttnLRP reads every product so."""
    net = Network(lstm("lstm", "input", 2, numbers(4, 1), numbers(4, 1)))
    tr = lrpref.trace(net, numbers(1, 2, 1), rule="attn-lrp")
    assert_array_equal(tr.at["lstm.2.output"], tr.at["lstm"] / 2)


# ---- what is refused ---------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], Any], type[LrprefError], str]] = {
    "another inner size": (partial(MatMul().forward, numbers(1, 2, 3), numbers(1, 2, 3)), ShapeError, "MatMul needs"),
    "other heads": (partial(MatMul().forward, numbers(1, 2, 3, 3), numbers(1, 1, 3, 3)), ShapeError, "MatMul needs"),
    "vectors": (partial(MatMul().forward, numbers(1, 3), numbers(1, 3)), ShapeError, "MatMul needs"),
    "a text": (lambda: MatMul(transpose="yes"), ParameterError, "MatMul: transpose must be True or False"),
    "a scale": (lambda: MatMul(scale=np.nan), ParameterError, "MatMul: scale must be a finite number"),
    "a split": (lambda: MatMul(split="all"), ParameterError, "MatMul: split must be"),
    "a signal": (lambda: MatMul(signal=2), ParameterError, "MatMul: signal must be an integer from 0 to 1"),
    "the batch": (lambda: Softmax(0), ParameterError, "Softmax: axis must be an integer other than 0"),
    "an axis": (partial(Softmax(2).forward, numbers(1, 3)), ShapeError, "Softmax: axis 2 must be an axis of"),
    "no class": (partial(Softmax().forward, np.ones((1, 0))), ShapeError, "has no cell to normalise"),
    "a vector": (partial(PROJECTIONS[0].forward, numbers(1, E)), ShapeError, "use a Dense for"),
    "features": (partial(PROJECTIONS[0].forward, numbers(1, 2, 3)), ShapeError, r"expected \(N, ..., 6\)"),
    "nothing": (lambda: Affine(), ParameterError, "Affine needs a weight, a bias, or both"),
    "a size": (partial(Affine(numbers(2)).forward, numbers(1, 3)), ShapeError, "a weight of shape"),
    "many axes": (partial(Affine(None, numbers(2, 3)).forward, numbers(1, 3)), ShapeError, "a bias of shape"),
    "images": (partial(PrependTokens(numbers(1, 3)).forward, numbers(1, 2, 3, 3)), ShapeError, "expected"),
    "a mask of booleans": (
        lambda: attention("attn", "input", H, *PROJECTIONS, mask=np.eye(T, dtype=bool)),
        ParameterError,
        r"attention: mask must hold numbers, got booleans; .* use 0 where a token may be read and -1e9 where not",
    ),
    "a mask of infinities": (
        lambda: attention("attn", "input", H, *PROJECTIONS, mask=np.full((T, T), -np.inf)),
        ParameterError,
        r"attention: mask holds NaN or infinities; .* -1e9",
    ),
    "a mask beyond the weights' range": (
        lambda: attention(
            "attn", "input", 1, *(TokenDense(np.eye(2, dtype=np.float32)),) * 3, mask=[[0.0, -1e300], [0.0, 0.0]]
        ),
        ParameterError,
        r"attention: mask holds numbers too large for the weights' float32; .* -1e9",
    ),
    "a longer sequence": (
        lambda: Network(lstm("lstm", "input", 2, numbers(4, 1), numbers(4, 1))).forward(numbers(1, 3, 1)),
        ShapeError,
        r"node 'lstm\.2\.input\.z' \(Dense\): expected \(N, 2\), got \(1, 3\)",
    ),
    "a shorter sequence": (
        lambda: Network(lstm("lstm", "input", 2, numbers(4, 1), numbers(4, 1))).forward(numbers(1, 1, 1)),
        ShapeError,
        r"node 'lstm\.2\.slice' \(Slice\): Slice reads nothing",
    ),
    "no steps": (partial(lstm, "lstm", "input", 0, numbers(4, 1), numbers(4, 1)), ParameterError, "lstm: steps"),
    "gates": (partial(lstm, "lstm", "input", 1, numbers(3, 1), numbers(4, 1)), ParameterError, "lstm needs weights"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()


@given(data=st.data())
def test_an_embedding_is_drawn_with_its_indices(data: st.DataObject) -> None:
    case = data.draw(layer_cases("embedding"))
    assert_array_equal(case.layer.forward(*case.inputs), case.layer.weight[case.inputs[0].astype(int)])
