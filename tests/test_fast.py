"""The fast engine agrees with the plain walk for every rule, form, graph and number of threads."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import (
    Add,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    Network,
    ReLU,
    Softmax,
    composites,
    rules,
)
from lrpref.backend import array_namespace, backend_name, to_numpy
from lrpref.engine import Ratio, Rule, Term, identity, magnitude, negative, positive, square
from lrpref.errors import (
    BudgetError,
    DTypeError,
    InputError,
    ParameterError,
    RelevanceWarning,
    RuleError,
    ShapeError,
    TargetError,
    UnknownNameError,
)
from lrpref.fast import FORMS, algebra, blocks, build, kernels, prepare, threads, winograd
from lrpref.fast.algebra import Denominator, Mapped, Surroundings
from lrpref.fast.kernels import Direct, Kernel, Scatter, Store
from lrpref.fast.memory import Memory
from lrpref.fast.program import Lane, Program
from lrpref.fast.program import run as run_stages
from lrpref.fast.winograd import Winograd
from lrpref.ledger import Flow
from lrpref.testing.strategies import networks

EVERY_RULE: dict[str, Any] = {
    **{name: kind() for name, kind in rules.RULES.items() if name not in ("z-box", "pass", "relative")},
    "z-box": rules.ZBox(-3.0, 3.0),
    "relative": rules.Relative(),
    "rms": rules.Epsilon(0.1, scale="rms"),
    "gamma-generalised": rules.Gamma(0.3, generalised=True),
    "gamma-stabilized": rules.Gamma(0.3, generalised=True, stabilizer=1e-6),
    "alpha-beta-biasless": rules.AlphaBeta(2, 1, bias="ignore", stabilizer=1e-6),
    "alpha-beta-renormalised": rules.AlphaBeta(2, 1, empty="renormalise"),
    "z-plus-stabilized": rules.ZPlus(1e-6),
    "EpsilonPlus": composites.EpsilonPlus(),
    "EpsilonPlusFlat": composites.EpsilonPlusFlat(),
    "EpsilonGammaBox": composites.EpsilonGammaBox(-3.0, 3.0),
    "EpsilonAlpha2Beta1": composites.EpsilonAlpha2Beta1(),
    "EpsilonAlpha2Beta1Flat": composites.EpsilonAlpha2Beta1Flat(),
}


@pytest.fixture(autouse=True, scope="module")
def tiles_for_narrow_layers() -> Iterator[None]:
    """Lower the channel minimum of Winograd's form from 64 to 16, so that small networks use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "LEAST_CHANNELS", 16)
        yield


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def conv(out: int, channels: int, kernel: int = 3, stride: int = 1, padding: Any = 1, **more: Any) -> Conv2D:
    weight = random(out, channels // more.get("groups", 1), kernel, kernel, seed=stride)
    return Conv2D(weight, random(out), stride=stride, padding=padding, **more)


def chain() -> Network:
    """Convolutions wide enough for Winograd, overlapping and non-overlapping pooling, two Dense layers."""
    return Network.sequential(
        conv(17, 3), ReLU(), conv(20, 17), ReLU(), MaxPool2D(2), conv(16, 20), ReLU(), MaxPool2D(3, 2, 1),
        Flatten(), Dense(random(7, 64), random(7)), ReLU(), Dense(random(5, 7), random(5)),
    )  # fmt: skip


def residual() -> Network:
    """Identity and projection skips as in a ResNet, and a final Softmax."""
    return Network([
        ("c0", conv(16, 3), "input"), ("r0", ReLU(), "c0"),
        ("c1", conv(16, 16), "r0"), ("r1", ReLU(), "c1"), ("c2", conv(16, 16), "r1"),
        ("s1", Add(), ["c2", "r0"]), ("rs1", ReLU(), "s1"),
        ("d1", conv(18, 16, stride=2), "rs1"), ("dr", ReLU(), "d1"), ("d2", conv(18, 18), "dr"),
        ("dn", conv(18, 16, 1, 2, 0), "rs1"), ("s2", Add(), ["d2", "dn"]), ("rs2", ReLU(), "s2"),
        ("gap", GlobalAvgPool2D(), "rs2"), ("flat", Flatten(), "gap"),
        ("fc", Dense(random(6, 18), random(6)), "flat"), ("softmax", Softmax(), "fc"),
    ])  # fmt: skip


def with_everything_else() -> Network:
    """Layers that only the plain code supports, between layers with a fast form."""
    return Network([
        ("grouped", conv(8, 2, groups=2), "input"), ("leaky", lrpref.LeakyReLU(), "grouped"),
        ("c1", conv(6, 8), "leaky"), ("bn", BatchNorm(random(6), random(6), random(6), random(6) ** 2 + 0.1), "c1"),
        ("r1", ReLU(), "bn"), ("avg", lrpref.AvgPool2D(2), "r1"), ("c2", conv(4, 6), "avg"),
        ("sig", lrpref.Sigmoid(), "c2"), ("c3", conv(4, 4, padding=(1, 0, 2, 1)), "sig"), ("tanh", lrpref.Tanh(), "c3"),
        ("pad", lrpref.Pad2D(1, value=-0.5), "tanh"), ("big", MaxPool2D(2, ties="equal"), "pad"),
        ("drop", lrpref.Dropout(), "big"), ("cat", lrpref.Concat(), ["drop", "big"]), ("flat", Flatten(), "cat"),
        ("fc", Dense(random(3, 48)), "flat"),
    ])  # fmt: skip


def folded() -> Network:
    """A bias that differs at the border, as folding a BatchNorm into a padded convolution creates."""
    norm = BatchNorm(random(16), random(16), random(16), random(16) ** 2 + 0.1)
    net = Network.sequential(conv(16, 3), ReLU(), norm, conv(16, 16), ReLU(), Flatten(), Dense(random(3, 16 * 25)))
    return lrpref.fuse(net)


GRAPHS = {
    "chain": (chain(), (3, 8, 8)),
    "residual": (residual(), (3, 9, 9)),
    "everything else": (with_everything_else(), (2, 8, 8)),
    "folded": (folded(), (3, 5, 5)),
    "dense": (Network.sequential(Dense(random(9, 11), random(9)), ReLU(), Dense(random(4, 9))), (11,)),
}


def distance(R: Any, truth: np.ndarray) -> float:
    """Relative L2 distance of an array on any backend."""
    return float(np.linalg.norm(to_numpy(R) - truth) / (np.linalg.norm(truth) or 1))


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")  # random weights: LRP-0 divides by small numbers
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", EVERY_RULE)
@pytest.mark.parametrize("graph", GRAPHS)
def test_fast_equals_plain(fast_backend: Any, graph: str, rule: str, form: str) -> None:
    """In float64 every form, on every backend, agrees with a trace on NumPy up to rounding."""
    if fast_backend.name != "numpy" and form == "winograd" and not isinstance(EVERY_RULE[rule], composites.Composite):
        pytest.skip("on a GPU, Winograd's form is compared under composites")
    net, shape = GRAPHS[graph]
    x = random(3, *shape, seed=7)
    moved, there = fast_backend(net), fast_backend(x)
    try:
        expected = lrpref.trace(net, x, rule=EVERY_RULE[rule])
    except RuleError:
        with pytest.raises(RuleError):
            lrpref.prepare(moved, EVERY_RULE[rule], form=form).explain(there)
        return
    prepared = lrpref.prepare(moved, EVERY_RULE[rule], form=form, threads=1)
    assert_allclose(to_numpy(prepared.forward(there)), expected.logits, rtol=1e-11, atol=1e-11)
    R = prepared.explain(there)
    assert backend_name(R) == fast_backend.name
    assert distance(R, expected.relevance) < 1e-10


@pytest.mark.filterwarnings("ignore::lrpref.errors.RelevanceWarning")
@pytest.mark.parametrize("rule", EVERY_RULE)
@settings(max_examples=12)
@given(data=st.data())
def test_fast_equals_plain_on_random_networks(rule: str, data: st.DataObject) -> None:
    """With values k/8, so that ties, zeros and empty parts occur; sums are exact until the first division."""
    net, x = data.draw(networks())
    net = lrpref.fuse(net) if rule == "relative" else net
    assume(rule != "EpsilonGammaBox" or any(place.first for place in composites.places(net)))  # else it is refused
    expected = lrpref.explain(net, x, rule=EVERY_RULE[rule], form="plain")
    found = lrpref.explain(net, x, rule=EVERY_RULE[rule], form="direct")
    largest = np.abs(expected).max(initial=1.0)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * largest)


@pytest.mark.parametrize("shape", [(3,), (1, 3, 1, 1), (3, 3, 3), (2, 3, 3, 3)], ids=str)
def test_bounds_of_every_shape(fast_backend: Any, shape: tuple[int, ...]) -> None:
    """The image has as many rows as channels, so that confusing the channels-last axes with rows would show."""
    net = Network.sequential(conv(16, 3), ReLU(), Flatten(), Dense(random(4, 16 * 9)))
    box = composites.EpsilonGammaBox(-3 - np.abs(random(*shape)), 3 + np.abs(random(*shape, seed=1)))
    x = random(2, 3, 3, 3)
    found = lrpref.prepare(fast_backend(net), box).explain(fast_backend(x))
    assert_allclose(to_numpy(found), lrpref.explain(net, x, rule=box, form="plain"), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kernel", [(2, 2), (1, 3), (3, 1), (1, 1)], ids=str)
def test_a_tie_goes_to_the_first(fast_backend: Any, kernel: tuple[int, int]) -> None:
    """All cells of a window are equal; the relevance shows which one was chosen."""
    pool, x = MaxPool2D(kernel), np.ones((1, 1, 6, 6))
    cells = pool.output_shape(x.shape)[2] * pool.output_shape(x.shape)[3]
    net = Network.sequential(pool, Flatten(), Dense(random(2, cells)))
    found = to_numpy(lrpref.prepare(fast_backend(net), "zero").explain(fast_backend(x), target=0))
    assert_allclose(found, lrpref.explain(net, x, 0, "zero", form="plain"), rtol=1e-14)
    first = np.zeros((6, 6), dtype=bool)
    first[:: kernel[0], :: kernel[1]] = True
    assert_array_equal(found[0, 0] != 0, first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_values_are_tied_within_their_rounding(fast_backend: Any, dtype: Any, sign: int) -> None:
    """An earlier value wins over one that is larger by a few units in the last place, and not over one by a hundred."""
    unit = np.finfo(dtype).eps
    x = np.array([[[[1, 1 + 4 * sign * unit, 1, 1 + 100 * sign * unit], [0.5 - sign] * 4]]], dtype) * dtype(sign)
    net = Network.sequential(MaxPool2D(2), Flatten(), Dense(np.ones((1, 2), dtype)))
    found = to_numpy(lrpref.prepare(fast_backend(net), "zero").explain(fast_backend(x)))
    assert_array_equal(found[0, 0, 0] != 0, [True, False, False, True])
    assert_array_equal(found[0, 0, 1], 0)


def test_equal_patches_of_a_digit_tie_as_in_the_plain_form() -> None:
    """In float32, where products of matrices round equal patches differently; the worst of thirteen digits."""
    net = lrpref.fuse(lrpref.load("mnist-cnn"))
    for name in lrpref.samples.names((1, 28, 28)):
        x = lrpref.samples.load(name)
        plain, fast = (lrpref.explain(net, x, rule="epsilon-plus-flat", form=form) for form in ("plain", "direct"))
        assert np.linalg.norm(fast - plain) < 2e-3 * np.linalg.norm(plain), name


# ---- kernels ---------------------------------------------------------------------------------------------------


def run(kernel: Kernel, a: Any, shape: tuple[int, ...], lanes: int = 1) -> np.ndarray:
    """Apply a kernel to a channels-first image on any backend; return the result channels first."""
    (N, C, H, W), xp = a.shape, array_namespace(a)
    memory = Memory(xp)
    image = memory.image((N, H, W, C), a.dtype, kernel.border((N, H, W, C)))
    image.cells[...] = a.transpose(0, 2, 3, 1)
    out = xp.full(tuple(shape[i] for i in (0, 2, 3, 1)), np.nan, dtype=a.dtype)
    program = Program(memory, lanes, {})
    kernel.record(program, image, Store(), (out,))
    with ThreadPoolExecutor(1) as other:
        run_stages(program.taken(), other.submit)
    return to_numpy(out).transpose(0, 3, 1, 2)


ONE_ROW = 1 << 62
"""As `GPU_SHARE`: a block on a GPU then holds one row."""


GEOMETRIES = [
    # image, kernel, stride, padding, dilation
    ((3, 5, 9, 7), 3, 1, 1, 1),
    ((1, 3, 11, 13), 3, 1, (1, 0, 2, 1), 1),
    ((2, 3, 3, 3), 3, 1, 0, 1),
    ((2, 4, 8, 9), 5, 2, 2, 1),
    ((2, 3, 9, 9), 3, 2, 1, 2),
    ((2, 3, 8, 8), 3, 1, 2, 2),
    ((2, 6, 7, 6), 1, 1, 0, 1),
    ((2, 6, 7, 6), 1, 2, 0, 1),
    ((2, 3, 4, 4), 2, 1, 3, 1),
    ((70, 3, 6, 6), 3, 1, 1, 1),
]


def forms_of(layer: Conv2D) -> list[Any]:
    """All kernels for the layer's forward pass."""
    window = layer.window
    plain_move = (window.kernel, window.stride, window.dilation) == ((3, 3), (1, 1), (1, 1))
    return [Direct.of([layer.weight], window), *([Winograd.of([layer.weight], window)] if plain_move else [])]


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_every_form_is_the_convolution(
    fast_backend: Any, geometry: Any, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the work is split into many small blocks, and when the channels are split."""
    if lanes > 1 and fast_backend.name != "numpy":
        pytest.skip("a GPU has one lane")
    (shape, kernel, stride, padding, dilation) = geometry
    layer = Conv2D(random(4, shape[1], kernel, kernel), None, stride, padding, dilation)
    a = random(*shape)
    expected = layer.forward(a)
    layer, a = fast_backend(layer), fast_backend(a)
    for block, share in ((1, ONE_ROW), (blocks.BLOCK_BYTES, blocks.GPU_SHARE)):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
        monkeypatch.setattr(blocks, "GPU_SHARE", share)
        for full in (1, 192):
            monkeypatch.setattr(blocks, "FULL_PRODUCT", full)
            monkeypatch.setattr(winograd, "FULL_TILES", full)
            for least in (1, blocks.LEAST_CHANNELS):
                with monkeypatch.context() as patch:
                    patch.setattr(blocks, "LEAST_CHANNELS", least)
                    for form in forms_of(layer):
                        assert_allclose(run(form, a, expected.shape, lanes), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("few", [0, 16], ids=["by cells", "by planes"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "row by row"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_the_adjoint_is_the_adjoint(
    fast_backend: Any, geometry: Any, whole: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By scattering for every stride; by a flipped kernel for stride 1 and many channels."""
    monkeypatch.setattr(kernels, "FEW_CHANNELS", few)
    monkeypatch.setattr(build, "FEW_CHANNELS", few)
    if not whole:
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
        monkeypatch.setattr(blocks, "GPU_SHARE", ONE_ROW)
        monkeypatch.setattr(blocks, "FULL_PRODUCT", 1)
        monkeypatch.setattr(kernels, "FULL_PRODUCT", 1)
        monkeypatch.setattr(kernels, "REACHES", 0)
    (shape, kernel, stride, padding, dilation) = geometry
    layer = Conv2D(random(4, shape[1], kernel, kernel), None, stride, padding, dilation)
    s = random(*layer.output_shape(shape))
    expected = layer.adjoint(layer.weight, s, shape)
    layer, s = fast_backend(layer), fast_backend(s)
    assert_allclose(run(Scatter.of(layer.weight, layer.window), s, shape), expected, rtol=1e-12, atol=1e-12)
    back = [build._adjoint([layer.weight], layer.window)]
    back += [form.turned(slice(None)) for form in forms_of(layer)[1:] if max(layer.window.padding) <= 2]
    for kernel_back in back:
        assert_allclose(run(kernel_back, s, shape), expected, rtol=1e-11, atol=1e-11)


def deepest(dtype: Any) -> tuple[Conv2D, np.ndarray]:
    """A convolution as wide as in VGG16, and a nonnegative input as after a ReLU."""
    layer = Conv2D((random(64, 256, 3, 3) * np.sqrt(2 / 9 / 256)).astype(dtype), padding=1)
    return layer, np.maximum(random(2, 256, 14, 14), 0).astype(dtype)


@pytest.mark.parametrize("form", [0, 1], ids=FORMS)
def test_the_error_of_each_form_in_float32(form: int) -> None:
    """Against float64, relative to the largest output: both forms are as good as the plain one."""
    layer, a = deepest(np.float64)
    truth = layer.forward(a)
    layer32, a32 = deepest(np.float32)
    error = np.abs(run(forms_of(layer32)[form], a32, truth.shape) - truth).max()
    assert error < 1e-6 * np.abs(truth).max()
    assert error < 3 * np.abs(layer32.forward(a32) - truth).max()


def at_once(function: Any, *args: Any, **kwargs: Any) -> None:
    """A lane that makes a call instead of recording it."""
    function(*args, **kwargs)


def before() -> np.ndarray:
    """The matrix of the transform before the products, from its action on unit vectors; its entries are integers."""
    found = np.full((4, 4), np.nan)
    winograd.B_T(at_once, np, list(np.eye(4)), list(found))  # type: ignore[arg-type]
    return found


def after() -> np.ndarray:
    """The matrix of the transform after the products."""
    found = np.full((2, 4), np.nan)
    winograd.A_T(at_once, np, list(np.eye(4)), list(found), np.full(4, np.nan))  # type: ignore[arg-type]
    return found


def test_winograds_transforms_are_the_matrices_of_the_paper() -> None:
    """The matrices of Lavin and Gray 2016, sec. 4.1."""
    assert_array_equal(before(), [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    assert_array_equal(after(), [[1, 1, 1, 0], [0, 1, -1, -1]])


def test_winograds_matrices_are_those_of_a_convolution() -> None:
    """A^T [(G g) * (B^T d)] is the one-dimensional correlation of d with g, checked in exact fractions."""
    exact = [[[Fraction(v) for v in row] for row in M] for M in (before(), winograd.G, after())]
    B, G, A = (np.array(M, dtype=object) for M in exact)
    for i in range(3):
        for k in range(4):
            g, d = (np.array([Fraction(int(j == at)) for j in range(n)]) for n, at in ((3, i), (4, k)))
            assert (A @ ((G @ g) * (B @ d))).tolist() == [Fraction(int(y + i == k)) for y in range(2)]


@given(st.integers(1, 7), st.integers(1, 40), st.integers(1, 100))
def test_blocks_cover_everything_once(images: int, rows: int, most: int) -> None:
    seen = np.zeros((images, rows, 1), dtype=int)
    for block in blocks.blocks(images, rows, most):
        block.part(seen)[...] += 1
        assert block.size[1] <= most or block.size == (1, 1)
    assert_array_equal(seen, 1)


def test_buffers_are_bounded_by_the_block_and_not_by_the_image() -> None:
    """An image four times as large needs buffers of the same size."""

    def held(rows: int) -> int:
        layer, total = Conv2D(random(16, 16, 3, 3), padding=1), 0
        for kernel in forms_of(layer):
            memory, a = Memory(np), Memory(np).image((1, rows, 224, 16), np.float64, (1, 1, 1, 1))
            kernel.record(Program(memory, 1, {}), a, Store(), (np.empty((1, rows, 224, 16)),))
            total += memory.nbytes
        return total

    assert held(896) <= held(224) * 1.01


# ---- simplified rules -------------------------------------------------------------------------------------------


WITH_RATIOS = {
    name: rule for name, rule in EVERY_RULE.items() if isinstance(rule, Rule) and rule.flow.__func__ is Rule.flow
}


@pytest.mark.parametrize("rule", WITH_RATIOS)
def test_on_inputs_that_are_not_negative_the_shorter_ratios_are_the_same(rule: str) -> None:
    full = WITH_RATIOS[rule]

    @dataclass(frozen=True)
    class Short(Rule):
        def ratios(self) -> tuple[Ratio, ...]:
            return algebra.on_nonnegative(full.ratios())

        def stabilize(self, z: np.ndarray) -> np.ndarray:
            return full.stabilize(z)

        def shares(self, *what: Any) -> list[np.ndarray]:
            return full.shares(*what)

    layer, a, R = Dense(random(4, 6), random(4)), np.abs(random(5, 6)), random(5, 4)
    a[:, 2] = 0
    assert_allclose(layer.relevance(a, R, Short()), layer.relevance(a, R, full), rtol=1e-12, atol=1e-12)


def test_gamma_before_a_relu_needs_one_branch_only() -> None:
    """R = 0 where z <= 0, so the branch for negative z has nothing to redistribute."""
    layer, a = Dense(random(8, 6), random(8)), np.abs(random(5, 6))
    R = random(5, 8, seed=1) * (layer.forward(a) > 0)
    full = rules.Gamma(0.3, generalised=True)
    assert_allclose(layer.relevance(a, R, algebra.for_rectified(full)), layer.relevance(a, R, full), rtol=1e-12)


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize(
    "rule",
    [
        rules.Epsilon(),
        rules.ZPlus(1e-6),
        rules.Gamma(0.3, stabilizer=1e-6),
        rules.Gamma(0.3, generalised=True, stabilizer=1e-6),
        rules.AlphaBeta(2, 1, stabilizer=1e-6),
    ],
    ids=str,
)
def test_the_quick_quotient_is_the_plain_one(fast_backend: Any, rule: Rule, rectified: bool) -> None:
    w, b, a = map(fast_backend, (random(40, 6), random(40), np.abs(random(50, 6))))
    xp = array_namespace(a)
    at = Surroundings(nonnegative=True, rectified=rectified, carried=True)
    recipe = algebra.recipe(rule, Mapped(w, b), at)
    z = a @ w.T + b
    y = xp.maximum(z, 0) if rectified else z
    parts = [a @ term.w(w).T + (0 if term.b is None else term.b(b)) for (term,) in recipe.parts]
    own = recipe.scale * sum(parts[k] for k in recipe.output)
    assert_allclose(to_numpy(own), to_numpy(z), rtol=1e-11, atol=1e-11)
    for k in range(len(recipe.quotients)):
        zs = [parts[quotient.part].copy() for quotient in recipe.quotients]
        expected = algebra.plain_quotient(recipe.rule, k, zs, z, y)
        for exact in (False, True):
            found, lane = xp.empty_like(y), Lane(Memory(xp))
            algebra.record_quotient(lane, recipe, k, [part.copy() for part in parts], z, y, found, exact, False)
            for call in lane.calls:
                call()
            assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-12, atol=1e-12)
        if recipe.bounded:
            assert float(abs(found).max()) <= 1 + 1e-12


def test_gamma_before_an_addition_needs_two_products() -> None:
    """The two branches add up to (2 + gamma) z, so z needs no product; neither quotient calls the rule's code."""
    rule = rules.Gamma(0.5, generalised=True, stabilizer=1e-6)
    at = Surroundings(nonnegative=True, rectified=False, carried=True)
    recipe = algebra.recipe(rule, Mapped(random(4, 6), random(4)), at)
    assert (len(recipe.parts), recipe.output, recipe.scale) == (2, (0, 1), 0.4)
    branches = [Denominator.POSITIVE_BRANCH, Denominator.NEGATIVE_BRANCH]
    assert [quotient.denominator for quotient in recipe.quotients] == branches


BEFORE_A_RELU = Surroundings(nonnegative=True, rectified=True, carried=True)


def test_which_recipes_are_bounded() -> None:
    """Alpha-beta's negative part may be empty while R is not zero, so s is unbounded and amplifies Winograd's error."""
    w, b = random(4, 6), random(4)
    bounded = {
        rule: algebra.recipe(kind, Mapped(w, b), BEFORE_A_RELU).bounded
        for rule, kind in EVERY_RULE.items()
        if rule in ("zero", "epsilon", "gamma-stabilized", "z-plus-stabilized", "alpha-beta-biasless")
    }
    assert bounded.pop("alpha-beta-biasless") is False
    assert all(bounded.values())


def test_the_parts_of_alpha_beta_add_up_to_the_output() -> None:
    w, b = random(4, 6), random(4)
    recipe = algebra.recipe(rules.AlphaBeta(), Mapped(w, b), BEFORE_A_RELU)
    assert len(recipe.parts) == len(recipe.output) == 2


def test_which_nodes_are_never_negative() -> None:
    net = residual()
    assert algebra.nonnegative_nodes(net.nodes) == {
        "r0", "r1", "rs1", "dr", "rs2", "gap", "flat", "softmax",
    }  # fmt: skip


# ---- prepared networks -------------------------------------------------------------------------------------------


def test_many_targets_of_one_input_share_the_forward_pass(fast_backend: Any) -> None:
    for name in ("chain", "residual"):
        net, shape = GRAPHS[name]
        x = random(1, *shape)
        for rule in ("epsilon-plus-flat", "epsilon-alpha2-beta1", "epsilon-gamma-box(low=-3, high=3)"):
            passed = lrpref.prepare(fast_backend(net), rule).run(fast_backend(x))
            together = to_numpy(passed.explain(target=[0, 3, 1]))
            assert_allclose(to_numpy(passed.logits), lrpref.trace(net, x, rule=rule).logits, rtol=1e-11, atol=1e-12)
            for k, target in enumerate([0, 3, 1]):
                assert_allclose(together[k : k + 1], lrpref.explain(net, x, target, rule), rtol=1e-9, atol=1e-12)
            assert_allclose(to_numpy(passed.explain(2)), lrpref.explain(net, x, 2, rule), rtol=1e-9, atol=1e-12)


def test_several_targets_are_for_run_alone() -> None:
    net, shape = GRAPHS["chain"]
    with pytest.raises(TargetError, match=r"expected one target per sample .*, got 2"):
        lrpref.prepare(net).explain(random(1, *shape), target=[0, 1])


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_does_not_depend_on_its_batch(fast_backend: Any, form: str) -> None:
    """Up to rounding: blocks are split differently, but the form does not depend on the batch size."""
    net, shape = GRAPHS["residual"]
    prepared, x = lrpref.prepare(fast_backend(net), form=form), fast_backend(random(5, *shape))
    whole = to_numpy(prepared.explain(x))
    alone = np.concatenate([to_numpy(prepared.explain(x[n : n + 1])) for n in range(len(x))])
    assert_allclose(whole, alone, rtol=1e-10, atol=1e-13)


def test_threads_change_nothing() -> None:
    net, shape = GRAPHS["chain"]
    x = random(4, *shape)
    one, two = (lrpref.prepare(net, threads=count).explain(x) for count in (1, 2))
    assert_allclose(one, two, rtol=1e-12, atol=1e-14)


def test_nothing_given_is_changed_and_a_second_call_equals_the_first(fast_backend: Any) -> None:
    (net, shape), given = GRAPHS["residual"], random(2, 3, 9, 9)
    moved, x = fast_backend(net), fast_backend(random(2, *shape))
    prepared = lrpref.prepare(moved)
    passed = prepared.run(x)
    first = to_numpy(passed.explain(1))
    assert_array_equal(to_numpy(passed.explain(1)), first)
    for _ in range(2):
        assert_array_equal(to_numpy(prepared.explain(x, 1)), first)
    assert_array_equal(to_numpy(x), given)
    for name, array in residual().parameters.items():
        assert_array_equal(to_numpy(moved.parameters[name]), array)


def test_the_forms_say_what_runs_where() -> None:
    net = chain().astype(np.float32)
    assert lrpref.prepare(net).forms["conv2d2"] == "direct"
    assert lrpref.prepare(net, form="winograd").forms["conv2d2"] == "winograd"
    assert lrpref.prepare(net, form="winograd", shape=(3, 8, 8)).forms["conv2d2"] == "winograd"
    assert lrpref.prepare(net, form="winograd", shape=(3, 7, 7)).forms["conv2d2"] == "direct"  # a tiny image
    assert lrpref.prepare(net, form="winograd").forms["conv2d1"] == "direct"  # three channels
    assert lrpref.prepare(net, "alpha-beta", form="winograd").forms["conv2d2"] == "direct"  # no bound on s
    assert lrpref.prepare(with_everything_else()).forms["grouped"] == "plain"
    assert lrpref.prepare(net, form="winograd").nbytes > lrpref.prepare(net, form="direct").nbytes > 0


def test_a_node_in_the_middle_can_be_explained(fast_backend: Any) -> None:
    net, shape = GRAPHS["residual"]
    x = random(2, *shape)
    for node in ("c2", "r1", "s1", "rs1", "flat"):
        expected = lrpref.explain(net, x, 5, node=node, form="plain")
        found = lrpref.prepare(fast_backend(net), node=node).explain(fast_backend(x), 5)
        assert_allclose(to_numpy(found), expected, rtol=1e-9, atol=1e-12)


def test_seeds(fast_backend: Any) -> None:
    net, shape = GRAPHS["chain"]
    x = random(2, *shape)
    for seed in ("logit", "one", "probability", -2.5, random(2, 5)):
        expected = lrpref.explain(net, x, seed=seed, form="plain")
        found = lrpref.prepare(fast_backend(net)).explain(fast_backend(x), seed=seed)
        assert_allclose(to_numpy(found), expected, rtol=1e-9, atol=1e-12)


def test_no_samples(fast_backend: Any) -> None:
    net, shape = GRAPHS["residual"]
    assert lrpref.prepare(fast_backend(net)).explain(fast_backend(np.zeros((0, *shape)))).shape == (0, *shape)


def bad_batch(value: float) -> np.ndarray:
    x = random(2, *GRAPHS["chain"][1])
    x[1, 0, 2, 3] = value
    return x


@pytest.mark.parametrize("x", [bad_batch(np.nan), bad_batch(np.inf)], ids=["nan", "infinity"])
@pytest.mark.parametrize("way", ["explain", "run", "trace", "forward"])
def test_a_batch_that_is_not_finite_is_refused(fast_backend: Any, way: str, x: np.ndarray) -> None:
    """By the same error on a GPU, where a pass looks at the batch last."""
    prepared = lrpref.prepare(fast_backend(GRAPHS["chain"][0]))
    with pytest.raises(InputError, match="the input holds 1 NaN or infinite values, first in sample 1"):
        getattr(prepared, way)(fast_backend(x))


@pytest.mark.parametrize("way", ["explain", "run", "trace", "forward"])
def test_a_batch_that_a_layer_makes_finite_is_refused(fast_backend: Any, way: str) -> None:
    """Neither a value nor relevance shows that there was an infinity."""
    prepared, x = lrpref.prepare(fast_backend(Network.sequential(ReLU(), Dense(np.eye(3)))), "epsilon"), np.ones((2, 3))
    x[0, 1] = -np.inf
    with pytest.raises(InputError, match="the input holds 1 NaN or infinite values, first in sample 0"):
        getattr(prepared, way)(fast_backend(x))


@pytest.mark.parametrize("way", ["explain", "run", "trace", "forward"])
def test_a_batch_that_float32_cannot_hold_is_refused(fast_backend: Any, way: str) -> None:
    prepared = lrpref.prepare(fast_backend(GRAPHS["chain"][0].astype("float32")))
    with pytest.raises(InputError, match="holds values too large for float32, first in sample 1"):
        getattr(prepared, way)(fast_backend(bad_batch(1e300)))


@pytest.mark.parametrize("way", ["explain", "trace"])
def test_sums_that_overflow_are_computed_again_plainly(fast_backend: Any, way: str) -> None:
    """With the walk's warning, which names the node and the sample."""
    net, x = GRAPHS["chain"][0].astype("float32"), random(2, *GRAPHS["chain"][1]).astype("float32")
    x[1] *= np.float32(1e38)
    prepared = lrpref.prepare(fast_backend(net), "epsilon")
    with pytest.warns(RelevanceWarning) as walked:
        lrpref.trace(net, x, rule="epsilon")
    with pytest.warns(RelevanceWarning) as caught:
        getattr(prepared, way)(fast_backend(x))
    assert [str(w.message) for w in caught] == [str(w.message) for w in walked]


def test_a_batchnorm_that_float32_cannot_hold(fast_backend: Any) -> None:
    """Its weight 1 / sqrt(var) overflows: the walk names the node."""
    tiny = np.full(3, 1e-40, dtype="float32")
    norm = BatchNorm(np.full(3, 1e25, dtype="float32"), None, np.zeros(3, "float32"), tiny, eps=0.0)
    net, x = Network.sequential(norm, Dense(np.eye(3, dtype="float32"))), np.ones((1, 3), dtype="float32")
    with pytest.warns(RelevanceWarning, match="the output of node 'batchnorm1'"):
        lrpref.prepare(fast_backend(net), "epsilon").explain(fast_backend(x))


def test_float32_is_as_good_as_the_plain_form(fast_backend: Any) -> None:
    net, shape = GRAPHS["chain"]
    x = random(8, *shape)
    truth = lrpref.explain(net, x)
    net32, x = fast_backend(net.astype(np.float32)), fast_backend(x)
    assert lrpref.explain(net32, x).dtype == np.float32
    for form in FORMS:
        assert distance(lrpref.prepare(net32, form=form).explain(x), truth) < 1e-5


class Doubled(Conv2D):
    """A user-defined layer: its own code must run, not the fast code of its base class."""

    def linear(self, w: np.ndarray, *inputs: np.ndarray) -> np.ndarray:
        return 2 * super().linear(w, *inputs)

    def adjoint(self, w: np.ndarray, s: np.ndarray, *shapes: tuple[int, ...]) -> np.ndarray:
        return 2 * super().adjoint(w, s, *shapes)


class Crooked(Conv2D):
    """A user-defined layer whose adjoint is not the transpose of its forward pass."""

    def adjoint(self, w: np.ndarray, s: np.ndarray, *shapes: tuple[int, ...]) -> np.ndarray:
        return 1.001 * super().adjoint(w, s, *shapes)


class Leaking(Conv2D):
    """A user-defined layer that produces infinite relevance."""

    def adjoint(self, w: np.ndarray, s: np.ndarray, *shapes: tuple[int, ...]) -> np.ndarray:
        return np.full_like(super().adjoint(w, s, *shapes), np.inf)


class Folded(lrpref.layers.Routing):
    """A user-defined layer with output (N, C, H W), a number of axes that no layer of lrpref has."""

    def output_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        ((N, C, H, W),) = shapes
        return (N, C, H * W)

    def forward(self, *inputs: np.ndarray) -> np.ndarray:
        return inputs[0].reshape(self.output_shape(inputs[0].shape))

    def route(self, inputs: tuple[np.ndarray, ...], R: np.ndarray) -> tuple[np.ndarray, ...]:
        return (R.reshape(inputs[0].shape),)


@dataclass(frozen=True)
class HalfFlow(rules.Epsilon):
    """A user-defined rule that overrides flow()."""

    def flow(self, layer: Any, inputs: tuple[np.ndarray, ...], R: np.ndarray) -> Flow:
        return Flow(tuple(R_i / 2 for R_i in super().flow(layer, inputs, R).inputs), attributed=False)


@dataclass(frozen=True)
class OwnShares(rules.Epsilon):
    """A user-defined rule whose shares depend on the whole layer: the first ratio takes large z, the second small z."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=identity),)), Ratio((Term(magnitude, magnitude),)))

    def shares(self, layer: Any, inputs: Any, R: np.ndarray, ratios: Any, zs: Any) -> list[np.ndarray]:
        return [R * (zs[0] >= zs[0].mean()), R * (zs[0] < zs[0].mean())]


@dataclass(frozen=True)
class OwnStabilizer(rules.Epsilon):
    """A user-defined rule whose stabilizer depends on the whole layer."""

    def stabilize(self, z: np.ndarray) -> np.ndarray:
        return rules.stabilize(z, float(np.abs(z).max()))


@dataclass(frozen=True)
class OwnDenominator(Rule):
    """A user-defined rule that overrides only ratios(), with its own denominator: signed terms over sum |a w|."""

    stabilizer: float = 1e-6

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=identity),), denominator=(Term(magnitude, magnitude, magnitude),)),)


OWN_STEPS = [HalfFlow(), OwnShares(), OwnStabilizer(), OwnDenominator()]


def between(layer: Any = None) -> Network:
    """A network whose middle layer is not followed by a ReLU."""
    middle = layer or conv(16, 16)
    return Network.sequential(
        conv(16, 3), ReLU(), middle, MaxPool2D(2), Flatten(), Dense(random(9, 64), random(9)), ReLU(),
        Dense(random(4, 9), random(4)), names=["c1", "r1", "middle", "pool", "flat", "fc1", "r2", "fc2"],
    )  # fmt: skip


def doubled(kind: type[Conv2D] = Doubled) -> Conv2D:
    return kind(conv(16, 16).weight, conv(16, 16).bias, padding=1)


def plain_nodes(prepared: Any) -> list[str]:
    return [node for node, form in prepared.forms.items() if form == "plain"]


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_of_ones_own_is_one_plain_step(fast_backend: Any, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the network is fast, also in `lrpref.explain`, which never falls back to the walk."""
    net, x = between(doubled()), random(2, 3, 4, 4)
    expected = lrpref.explain(net, x, rule="epsilon-plus", form="plain")
    net, x = fast_backend(net), fast_backend(x)
    prepared = lrpref.prepare(net, "epsilon-plus", form=form)
    assert plain_nodes(prepared) == ["middle"]
    assert distance(prepared.explain(x), expected) < 1e-11
    monkeypatch.setattr("lrpref.scale.explanation.trace", None)
    monkeypatch.setattr("lrpref.fast.prepared.walk", None)
    assert distance(lrpref.explain(net, x, rule="epsilon-plus", form=form), expected) < 1e-11


@pytest.mark.parametrize("node", ["c1", "middle", "fc1", "fc2"])
@pytest.mark.parametrize(
    "rule", [HalfFlow(), OwnShares(), OwnStabilizer(), OwnDenominator()], ids=lambda r: type(r).__name__
)
def test_a_rule_with_steps_of_its_own_is_one_plain_step(rule: Rule, node: str) -> None:
    """Its steps may depend on the whole layer or use any denominator, so the fast engine runs them plainly."""
    net, x = between(), random(2, 3, 4, 4)
    mixed = composites.Composite([(node, rule), (object, rules.ZPlus(1e-6))])
    prepared = lrpref.prepare(net, mixed)
    assert not algebra.unitwise(rule)
    assert [n for n in plain_nodes(prepared) if n not in ("r1", "r2")] == [node]
    expected = lrpref.explain(net, x, rule=mixed, form="plain")
    assert distance(prepared.explain(x), expected) < 1e-11
    assert distance(lrpref.explain(net, x, rule=mixed), expected) < 1e-11


def test_a_layer_of_ones_own_with_other_axes() -> None:
    net = Network([
        ("c1", conv(16, 3), "input"), ("r1", ReLU(), "c1"), ("folded", Folded(), "r1"), ("again", Folded(), "c1"),
        ("sum", Add(), ["folded", "again"]), ("flat", Flatten(), "sum"), ("fc", Dense(random(3, 256)), "flat"),
    ])  # fmt: skip
    x = random(2, 3, 4, 4)
    expected = lrpref.explain(net, x, form="plain")
    assert distance(lrpref.explain(net, x), expected) < 1e-11


def test_pads_of_ones_own_promise_no_sign() -> None:
    class Negative(lrpref.Pad2D):
        def forward(self, *inputs: np.ndarray) -> np.ndarray:
            return -super().forward(*inputs)

    nodes = between(Negative(1)).nodes
    assert "middle" not in algebra.nonnegative_nodes(nodes)
    assert "middle" in algebra.nonnegative_nodes(between(lrpref.Pad2D(1)).nodes)


def explained_by(prepared: Any) -> dict[str, Any]:
    """The three ways to explain with a prepared network."""
    return {
        "explain": prepared.explain,
        "run": lambda x: prepared.run(x).explain(),
        "trace": lambda x: prepared.trace(x).relevance,
    }


@pytest.mark.parametrize("way", ["explain", "run", "trace"])
def test_books_that_do_not_close_are_warned_of_at_every_explanation(fast_backend: Any, way: str) -> None:
    """As in the walk: one warning, for the first such node from the output backwards."""
    two = between(doubled(Crooked))
    net = Network([("first", Crooked(np.eye(3)[:, :, None, None]), "input")] + [
        (name, layer, ["first" if read == "input" else read for read in inputs]) for name, layer, inputs in two.nodes
    ])  # fmt: skip
    net, x = fast_backend(net), fast_backend(random(2, 3, 4, 4))
    prepared = lrpref.prepare(net, "epsilon")
    assert {"first", "middle"} <= set(plain_nodes(prepared))
    with pytest.warns(RelevanceWarning) as walked:
        lrpref.trace(net, x, rule="epsilon")
    for _ in range(2):
        with pytest.warns(RelevanceWarning, match="the ledger of node 'middle'") as caught:
            explained_by(prepared)[way](x)
        assert [str(w.message) for w in caught] == [str(w.message) for w in walked]
        assert caught[0].filename == __file__


@pytest.mark.parametrize("way", ["explain", "run", "trace", "lrpref.explain"])
def test_infinite_relevance_of_a_layer_of_ones_own_is_warned_of_once(way: str) -> None:
    net, x = between(doubled(Leaking)), random(2, 3, 4, 4)
    ways = explained_by(lrpref.prepare(net, "epsilon"))
    ways["lrpref.explain"] = lambda x: lrpref.explain(net, x, rule="epsilon")
    with pytest.warns(RelevanceWarning, match="'r1' is not finite") as caught:
        ways[way](x)
    assert len(caught) == 1


class Cleaning(lrpref.layers.Routing):
    """A user-defined layer that replaces non-finite relevance."""

    def forward(self, *inputs: np.ndarray) -> np.ndarray:
        return inputs[0]

    def route(self, inputs: tuple[np.ndarray, ...], R: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.nan_to_num(R, posinf=0.0, neginf=0.0),)


def test_infinite_relevance_is_warned_of_even_if_the_map_is_finite() -> None:
    net = Network.sequential(Cleaning(), doubled(Leaking), Flatten(), Dense(random(3, 256)))
    warned = pytest.warns(RelevanceWarning, match="relevance at 'cleaning1' is not finite")
    with warned as caught:
        found = lrpref.explain(net, random(1, 16, 4, 4), rule="epsilon")
    assert np.isfinite(found).all()
    assert len(caught) == 1


@dataclass(frozen=True)
class Backwards(rules.ZPlus):
    """A user-defined rule with several terms on two maps of the input."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(positive, negative), Term(negative, positive), Term(identity))),)


@dataclass(frozen=True)
class Twice(rules.ZPlus):
    """A user-defined rule with two equal ratios."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=identity),), 0.25), Ratio((Term(b=identity),), 0.75))


@dataclass(frozen=True)
class Subtracted(rules.ZPlus):
    """A user-defined rule with a negative term on the unmapped input, and its bias."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(w=negative, b=negative, sign=-1),), 0.5), Ratio((Term(magnitude, square, magnitude),), 0.5))


@dataclass(frozen=True)
class Weakened(rules.ZPlus):
    """A user-defined rule with two terms on the unmapped input, one with a custom weight map."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(w=positive, b=positive), Term(w=lambda w: 0.5 * negative(w)))),)


@dataclass(frozen=True)
class Vanishing(rules.ZPlus):
    """A user-defined rule with a ratio that is empty for nonnegative inputs."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(negative, positive),), 0.5), Ratio((Term(positive, positive),), 0.5))


OWN_RATIOS = [
    kind(stabilizer) for kind in (Backwards, Twice, Subtracted, Weakened, Vanishing) for stabilizer in (0.0, 1e-6)
]


@pytest.mark.parametrize("graph", ["chain", "residual", "folded", "dense"])
@pytest.mark.parametrize("rule", OWN_RATIOS, ids=lambda rule: f"{type(rule).__name__}-{rule.stabilizer}")
def test_a_rule_of_ones_own_that_defines_ratios_alone_is_fast(fast_backend: Any, rule: Rule, graph: str) -> None:
    """Such a rule uses the inherited steps, so the fast engine supports any terms."""
    net, shape = GRAPHS[graph]
    x = random(2, *shape)
    prepared = lrpref.prepare(fast_backend(net), rule, form="winograd")
    weighted = {name for name, layer, _ in net.nodes if isinstance(layer, Conv2D | Dense)}
    assert weighted.isdisjoint(plain_nodes(prepared))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelevanceWarning)
        expected = lrpref.explain(net, x, rule=rule, form="plain")
    assert distance(prepared.explain(fast_backend(x)), expected) < 1e-9


@dataclass(frozen=True)
class Half(rules.ZPlus):
    """A user-defined rule that redistributes half of R and does not say where the rest goes."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=identity),), 0.5),)


@dataclass(frozen=True)
class BetaAdded(rules.AlphaBeta):
    """A user-defined rule that adds the beta part instead of subtracting it."""

    def ratios(self) -> tuple[Ratio, ...]:
        up, down = super().ratios()
        return (up, Ratio(down.terms, self.beta))


@pytest.mark.parametrize("way", ["explain", "run", "trace"])
@pytest.mark.parametrize("rule", [Half(1e-6), BetaAdded(2, 1, stabilizer=1e-6)], ids=lambda rule: type(rule).__name__)
def test_the_books_of_ratios_that_do_not_add_up_are_checked(rule: Rule, way: str) -> None:
    """Ratios are all that the user defined, and they redistribute more or less than R."""
    net, x = between(), random(2, 3, 4, 4)
    mixed = composites.Composite([("middle", rule), (object, rules.Epsilon())])
    with pytest.warns(RelevanceWarning, match="the ledger of node 'middle'") as walked:
        expected = lrpref.trace(net, x, rule=mixed).relevance
    with pytest.warns(RelevanceWarning) as caught:
        found = explained_by(lrpref.prepare(net, mixed))[way](x)
    assert [str(w.message) for w in caught] == [str(w.message) for w in walked]
    assert distance(found, expected) < 1e-11


def test_layers_and_rules_of_ones_own() -> None:
    net, x = between(doubled()), random(2, 3, 4, 4)
    for rule in (rules.ZPlus(1e-6), Backwards(1e-6)):
        expected = lrpref.trace(net, x, rule=rule).relevance
        assert_allclose(lrpref.prepare(net, rule).explain(x), expected, rtol=1e-9, atol=1e-12)


def test_a_rule_without_ratios_names_its_node() -> None:
    class Nothing(Rule):
        pass

    with pytest.raises(RuleError, match=r"node 'fc2' \(Dense\): rule Nothing defines no ratios"):
        lrpref.explain(between(), random(1, 3, 4, 4), rule=Nothing())


class PositivePaths(rules.ZPlus):
    """Positive products plus the whole bias: the denominator is positive where the bias is."""

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(positive, positive, identity), Term(negative, negative))),)


def test_a_bias_that_differs_from_place_to_place_promises_no_sign() -> None:
    """The border bias may be negative: the denominator has no fixed sign, and the parts do not add up to z."""
    layer = Conv2D(random(8, 3, 3, 3) / 9, np.ones(8), padding=1, bias_taps=random(8, 3, 3))
    net, x = Network.sequential(layer, Flatten(), Dense(random(2, 8 * 25))), random(2, 3, 5, 5)
    expected = lrpref.trace(net, x, rule=PositivePaths(1e-6))
    assert (layer.forward(x) < 0).any()
    assert distance(lrpref.prepare(net, PositivePaths(1e-6)).explain(x), expected.relevance) < 1e-10


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["epsilon-plus-flat", "epsilon-alpha2-beta1", "epsilon-gamma-box(low=-3, high=3)"])
@pytest.mark.parametrize("graph", sorted(GRAPHS))
def test_a_trace_has_the_relevance_at_every_node_and_the_form_of_each(
    fast_backend: Any, graph: str, rule: str, form: str
) -> None:
    net, shape = GRAPHS[graph]
    if len(shape) == 1 and "box" in rule:
        pytest.skip("a box of pixels needs an image")
    x = random(3, *shape)
    plain, prepared = lrpref.trace(net, x, 1, rule), lrpref.prepare(fast_backend(net), rule, form=form)
    fast = prepared.trace(fast_backend(x), 1)
    assert fast.at.keys() == plain.at.keys()
    for node, R in plain.at.items():
        assert distance(fast.at[node], R) < 1e-9, node
    assert_array_equal(to_numpy(fast.relevance), to_numpy(fast.at["input"]))
    assert distance(fast.logits, plain.logits) < 1e-12
    assert fast.forms == prepared.forms
    assert fast.forms.keys() == plain.at.keys() - {"input"}


# ---- refusals and budgets ----------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    net, shape = GRAPHS["chain"]
    with pytest.raises(UnknownNameError, match="no form is called 'winograd3'; did you mean 'winograd'"):
        lrpref.prepare(net, form="winograd3")
    with pytest.raises(DTypeError, match=r"form='plain'"):
        prepare(net.to("array-api-strict"))
    with pytest.raises(DTypeError):
        lrpref.prepare(lrpref.exact(net))
    with pytest.raises(ShapeError, match="node 'conv2d1'"):
        lrpref.prepare(net).explain(random(2, 4, 8, 8))
    with pytest.raises(UnknownNameError):
        lrpref.prepare(net, "no-such-rule")
    with pytest.raises(DTypeError):
        lrpref.explain(net.to("array-api-strict"), random(1, *shape), form="winograd")


@pytest.mark.parametrize("form", ["plain", *FORMS])
def test_a_budget_is_checked_in_every_form(form: str) -> None:
    net, shape = GRAPHS["chain"]
    x = random(4, *shape)
    with pytest.raises(BudgetError, match="0 seconds was spent before node 'conv2d1'"):
        lrpref.explain(net, x, form=form, budget=0)
    with pytest.raises(BudgetError, match="in the block x"):
        lrpref.explain(net, x, form=form, budget=0, batch_size=2)
    with pytest.raises(ParameterError, match="budget must be a number of seconds"):
        lrpref.explain(net, x, form=form, budget=-1)
    assert_array_equal(lrpref.explain(net, x, form=form, budget=600), lrpref.explain(net, x, form=form))


def test_a_budget_is_for_all_blocks_and_for_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock advances one second per check; each block checks every node once forward and once backward."""
    net, shape = GRAPHS["dense"]
    x = random(4, *shape)
    steps = len(lrpref.prepare(net).steps)
    for needed, arguments in ((2 * steps, {}), (4 * steps, {"batch_size": 2})):
        for seconds, enough in ((needed + 1, True), (needed, False)):
            seen = [0.0]

            def tick(seen: list[float] = seen) -> float:
                seen[0] += 1
                return seen[0]

            monkeypatch.setattr("lrpref._support.budget.monotonic", tick)
            if enough:
                lrpref.explain(net, x, budget=seconds, **arguments)  # type: ignore[arg-type]
            else:
                with pytest.raises(BudgetError, match="backward pass"):
                    lrpref.explain(net, x, budget=seconds, **arguments)  # type: ignore[arg-type]


def test_other_numbers_are_explained_plainly() -> None:
    net, shape = GRAPHS["dense"]
    x = random(1, *shape)
    strict = lrpref.explain(net.to("array-api-strict"), lrpref.asarray(x, "array-api-strict"))
    assert_allclose(lrpref.to_numpy(strict), lrpref.explain(net, x), rtol=1e-9)
    long = lrpref.explain(net.astype(np.longdouble), x)
    assert long.dtype == np.longdouble


def shared_by_two(work: Any, jobs: int) -> None:
    """Record jobs in two lanes and run them in two threads."""
    program = Program(Memory(np), 2, {})
    for lane, job in program.share(range(jobs)):
        lane(work, job)
    with threads.pool(2) as start:
        run_stages(program.taken(), start)


@pytest.mark.parametrize("bad", [3, 4], ids=["the other thread", "the caller's"])
def test_an_error_in_a_thread_is_raised(bad: int) -> None:
    def fail(job: int) -> None:
        if job == bad:
            raise ValueError(f"job {job}")

    with pytest.raises(ValueError, match=f"job {bad}"):
        shared_by_two(fail, 5)


def test_every_job_is_done_once() -> None:
    done: list[int] = []
    shared_by_two(done.append, 100)
    assert sorted(done) == list(range(100))


# ---- corners ---------------------------------------------------------------------------------------------------


def agree(backend: Any, net: Network, x: np.ndarray, rule: Any, bound: float = 1e-11) -> None:
    """The prepared network on a backend agrees with the walk on NumPy, forward and back."""
    prepared = lrpref.prepare(backend(net), rule)
    assert_allclose(to_numpy(prepared.forward(backend(x))), net.forward(x), rtol=1e-12)
    assert distance(prepared.explain(backend(x)), lrpref.trace(net, x, rule=rule).relevance) < bound


@pytest.mark.parametrize("stabilizer", [0.0, 0.01])
@pytest.mark.parametrize("last", [rules.Flat(), rules.WSquare(), rules.ZBox(0.0, 9.0)], ids=lambda rule: rule.name)
@pytest.mark.parametrize("relu", [True, False])
def test_generalised_gamma_where_relevance_is_not_carried(
    fast_backend: Any, last: Rule, stabilizer: float, relu: bool
) -> None:
    """The layer above forms R itself, also for units that the ReLU turned off, so both branches are needed."""
    between = [ReLU()] if relu else []
    net = Network.sequential(
        Dense(random(6, 5), random(6)), ReLU(), Dense(random(7, 6), random(7)), *between, Dense(random(3, 7)),
        names=["a", "ra", "gamma", *(["rg"] if relu else []), "top"],
    )  # fmt: skip
    gamma = rules.Gamma(0.5, generalised=True, stabilizer=stabilizer)
    rule = composites.Composite([("gamma", gamma), ("top", last), (object, rules.Epsilon())])
    x = random(4, 5)
    z = net.activations(x)["gamma"]
    assert (z < 0).any()
    assert (z > 0).any()
    agree(fast_backend, net, x, rule)


def test_a_negative_border_is_negative(fast_backend: Any) -> None:
    """A Pad2D of a negative value makes inputs of both signs, so that no part of a rule may be left out."""
    net = Network.sequential(
        conv(4, 3), ReLU(), lrpref.Pad2D(1, -2.0), conv(4, 4, padding=0), ReLU(), Flatten(), Dense(random(3, 64))
    )
    for rule in (rules.ZPlus(1e-6), rules.AlphaBeta(stabilizer=1e-6), rules.Gamma(0.5, generalised=True)):
        agree(fast_backend, net, random(2, 3, 4, 4), composites.Composite([(object, rule)]))


@pytest.mark.parametrize("join", [Add(), lrpref.Concat()], ids=["add", "concat"])
def test_a_layer_that_its_relu_and_another_layer_read(fast_backend: Any, join: Any) -> None:
    """The other reader needs the values from before the ReLU."""
    net = Network([
        ("fc", Dense(random(6, 5), random(6)), ["input"]), ("relu", ReLU(), ["fc"]), ("join", join, ["relu", "fc"]),
        ("top", Dense(random(3, 6 if isinstance(join, Add) else 12)), ["join"]),
    ])  # fmt: skip
    agree(fast_backend, net, random(4, 5), rules.Epsilon())
    agree(fast_backend, net, random(4, 5), rules.ZPlus(1e-6))


@pytest.mark.parametrize("branches", [2, 3, 4, 6])
def test_sums_of_many_branches(fast_backend: Any, branches: int) -> None:
    names = [f"b{k}" for k in range(branches)]
    net = Network([
        *((name, Dense(random(6, 5, seed=k), random(6)), ["input"]) for k, name in enumerate(names)),
        ("sum", Add(), names), ("relu", ReLU(), ["sum"]), ("top", Dense(random(3, 6)), ["relu"]),
    ])  # fmt: skip
    agree(fast_backend, net, random(4, 5), rules.Epsilon())
    agree(fast_backend, net, random(4, 5), "epsilon-plus")


@dataclass(frozen=True)
class WithoutNegativeBias(Rule):
    """z without the part of it that comes from negative biases: a negative term has a bias of its own."""

    stabilizer: float = 1e-6

    def ratios(self) -> tuple[Ratio, ...]:
        return (Ratio((Term(b=identity), Term(a=lambda a: 0 * a, b=negative, sign=-1))),)


@pytest.mark.parametrize("layer", [Dense(random(6, 5), random(6)), conv(6, 5)], ids=["dense", "conv"])
def test_the_bias_of_a_negative_term_is_subtracted(fast_backend: Any, layer: Any) -> None:
    shape = (2, 5) if isinstance(layer, Dense) else (2, 5, 3, 3)
    head = [] if isinstance(layer, Dense) else [Flatten()]
    net = Network.sequential(layer, *head, Dense(random(3, 6 if isinstance(layer, Dense) else 54)))
    rule = composites.Composite([(0, WithoutNegativeBias()), (object, rules.Epsilon())])
    x = random(*shape)
    agree(fast_backend, net, x, rule)
    z = layer.forward(x)
    bias = layer.parameters(x)[1]
    without = z - np.minimum(bias, 0)
    by_hand = layer.relevance(x, z * 0 + 1, WithoutNegativeBias())
    w, _ = layer.parameters(x)
    assert_allclose(by_hand, x * layer.adjoint(w, 1 / rules.stabilize(without, 1e-6), x.shape), rtol=1e-9)


# ---- the threads of BLAS ---------------------------------------------------------------------------------------


def blas_threads() -> set[int]:
    """The threads of every BLAS that is loaded."""
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def three_blas_threads() -> Iterator[None]:
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        if blas_threads() != {3}:
            pytest.skip("this BLAS has a fixed number of threads")
        yield


@pytest.mark.usefixtures("three_blas_threads")
@pytest.mark.parametrize("first_ends_first", [True, False])
def test_overlapping_calls_share_the_limit_on_blas(first_ends_first: bool) -> None:
    """The last one to end restores what the first one found."""
    calls = [threads.pool(2), threads.pool(2)]
    for call in calls:
        call.__enter__()
        assert blas_threads() == {1}
    one, other = calls if first_ends_first else calls[::-1]
    one.__exit__(None, None, None)
    assert blas_threads() == {1}
    other.__exit__(None, None, None)
    assert blas_threads() == {3}


@pytest.mark.usefixtures("three_blas_threads")
def test_explaining_from_several_threads_leaves_blas_as_it_was() -> None:
    net, shape = GRAPHS["chain"]
    prepared, x = lrpref.prepare(net, threads=2), random(2, *shape)
    expected = prepared.explain(x)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda k: prepared.explain(x), range(12)))
    for R in found:
        assert_array_equal(R, expected)
    assert blas_threads() == {3}


@pytest.mark.usefixtures("three_blas_threads")
def test_a_call_that_raises_leaves_blas_as_it_was() -> None:
    def fail(job: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), threads.pool(2):
        shared_by_two(fail, 3)
    assert blas_threads() == {3}


def test_without_threadpoolctl_there_is_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """BLAS keeps its own threads."""
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    threads._blas.cache_clear()
    try:
        net, shape = GRAPHS["chain"]
        assert threads.lanes(np, 2) == threads.lanes(np, None) == 1
        x = random(2, *shape)
        assert_allclose(lrpref.prepare(net, threads=2).explain(x), lrpref.explain(net, x), rtol=1e-12, atol=1e-13)
    finally:
        threads._blas.cache_clear()


def test_forms_are_documented() -> None:
    for form in FORMS:
        assert f'"{form}"' in (prepare.__doc__ or "")
