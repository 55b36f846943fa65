"""Arrays in several places: what moves to the network by itself, and what is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, BatchNorm, Concat, Conv2D, Dense, Flatten, Maximum, MaxPool2D, Multiply, Network, ReLU, rules
from lrpref.backend import backend_name, place, to_numpy
from lrpref.composites import Composite
from lrpref.errors import DTypeError, GraphError, InputError

RNG = np.random.default_rng(17)
NET = Network.sequential(
    Conv2D(RNG.normal(size=(2, 3, 2, 2)), RNG.normal(size=2)), ReLU(), Flatten(), Dense(RNG.normal(size=(3, 8)))
)
X = RNG.uniform(-1, 1, size=(2, 3, 3, 3))
SEED = RNG.normal(size=(2, 3))
LOW, HIGH = -np.asarray([1.0, 1.25, 1.5]), np.asarray([1.0, 2.0, 1.5])


def first(rule: rules.Rule) -> Composite:
    """The rule on the first layer, epsilon on the others."""
    return Composite([("conv2d1", rule), (Dense, rules.Epsilon(0.25))])


# ---- what moves ------------------------------------------------------------------------------------------------------

GIVEN: dict[str, Callable[[Any, str], Any]] = {
    "NumPy's": lambda x, name: x,
    "lists": lambda x, name: x.tolist(),
    "the backend's": lrpref.asarray,
}
"""The ways in which bounds and seeds are given: from values and the name of a backend."""


@pytest.mark.parametrize("low", GIVEN)
@pytest.mark.parametrize("high", GIVEN)
@pytest.mark.parametrize("explain", [lrpref.explain, lambda *args, **how: lrpref.trace(*args, **how).relevance])
def test_bounds_of_a_z_box_move_to_the_network(backend: Any, explain: Any, low: str, high: str) -> None:
    """And back: a rule that was used on a GPU works on a network of the CPU."""
    rule = rules.ZBox(GIVEN[low](LOW, backend.name), GIVEN[high](HIGH, backend.name))
    expected = explain(NET, X, rule=first(rules.ZBox(LOW, HIGH)))
    for net, x in ((backend(NET), backend(X)), (NET, X)):
        R = explain(net, x, rule=first(rule))
        assert backend_name(R) == backend_name(x)
        assert_allclose(to_numpy(R), expected, rtol=1e-12, atol=1e-13)


def test_the_order_of_bounds_of_two_backends_is_checked(backend: Any) -> None:
    with pytest.raises(lrpref.errors.ParameterError, match="low must not exceed high anywhere"):
        rules.ZBox(backend(HIGH), LOW)


def test_bounds_are_cast_where_they_are_before_they_move(backend: Any) -> None:
    """Exact numbers and long doubles exist on NumPy only, and bounds of both kinds serve any network."""
    net, x = backend(NET.astype("float32")), backend(X.astype(np.float32))
    expected = to_numpy(lrpref.explain(net, x, rule=first(rules.ZBox(LOW, HIGH))))
    for kind in (lrpref.exact, np.longdouble):
        R = lrpref.explain(net, x, rule=first(rules.ZBox(kind(LOW), kind(HIGH))))
        assert_array_equal(to_numpy(R), expected)


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("options", [{}, {"batch_size": 1}])
def test_a_seed_moves_to_the_network(backend: Any, given: str, options: dict[str, Any]) -> None:
    expected = lrpref.explain(NET, X, rule="epsilon", seed=SEED)
    for net, x in ((backend(NET), backend(X)), (NET, X)):
        R = lrpref.explain(net, x, rule="epsilon", seed=GIVEN[given](SEED, backend.name), **options)
        assert_allclose(to_numpy(R), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "uint16", "bool"])
def test_integers_are_cast_alike_everywhere(backend: Any, dtype: str) -> None:
    x = (np.arange(54) % 2).reshape(2, 3, 3, 3).astype(dtype)
    assert_allclose(to_numpy(backend(NET).forward(backend(x))), NET.forward(x.astype(float)), rtol=1e-12)
    assert to_numpy(ReLU().forward(backend(x))).dtype == np.float64
    assert to_numpy(Dense(backend(x[0, 0])).weight).dtype == np.float64


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535)])
def test_pixels_are_refused_everywhere(backend: Any, dtype: str, white: int) -> None:
    pixels = np.full((1, 3, 3, 3), 7, dtype=dtype)
    with pytest.raises(InputError, match=rf"pixels up to 7; use x / {white} for a network that takes pixels"):
        backend(NET).forward(backend(pixels))


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(backend: Any) -> Any:
    """A backend other than NumPy."""
    if backend.name == "numpy":
        pytest.skip("nothing to move")
    return backend


def test_exact_numbers_and_long_doubles_stay_on_numpy(elsewhere: Any) -> None:
    for move in (lambda x: x.to(elsewhere.name), lambda x: lrpref.asarray(x["dense1"].weight, elsewhere.name)):
        with pytest.raises(DTypeError, match=r"has no arrays of exact numbers; use lrpref\.to_float\(\.\.\.\) first"):
            move(lrpref.exact(NET))
        if np.finfo(np.longdouble).bits > 64:
            with pytest.raises(DTypeError, match=r"has no arrays of float\d+; use astype\('float64'\) first"):
                move(NET.astype("longdouble"))


def test_a_network_in_several_places_is_not_fused(elsewhere: Any) -> None:
    norm = BatchNorm(*np.ones((4, 2)))
    for nodes in ([NET.nodes[0].layer, elsewhere(norm)], [elsewhere(NET.nodes[0].layer), norm]):
        net = Network.sequential(*nodes)
        for fuse in (lrpref.fuse, lrpref.fusion_plan):
            with pytest.raises(GraphError, match=r"the parameters are on several backends: .*numpy.*; use net\.to"):
                fuse(net)


LAYERS: dict[str, tuple[lrpref.Layer, int]] = {
    "Dense": (Dense(np.ones((2, 4))), 1),
    "BatchNorm": (BatchNorm(*np.ones((4, 4))), 1),
    "ThreshReLU": (lrpref.ThreshReLU(np.ones(4)), 1),
    "Add": (Add(), 2),
    "Multiply": (Multiply(), 2),
    "Concat": (Concat(1), 2),
    "Maximum": (Maximum(), 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_inputs_in_several_places(elsewhere: Any, name: str) -> None:
    """An input here and a weight or a second input there."""
    layer, inputs = LAYERS[name]
    here = (np.ones((1, 4)),) * (inputs - 1)
    with pytest.raises(InputError, match=f"the arrays of {name} are in several places: .*numpy"):
        layer.forward(*here, elsewhere(np.ones((1, 4))))


@pytest.mark.parametrize("name", [*LAYERS, "MaxPool2D", "ReLU"])
def test_a_layer_refuses_relevance_in_another_place(elsewhere: Any, name: str) -> None:
    layer, inputs = {**LAYERS, "MaxPool2D": (MaxPool2D(1), 1), "ReLU": (ReLU(), 1)}[name]
    a = (np.ones((1, 4, 1, 1) if name == "MaxPool2D" else (1, 4)),) * inputs
    R = layer.forward(*a)
    with pytest.raises(InputError, match=f"the arrays of {name} are in several places: .*numpy"):
        layer.relevance(a, elsewhere(R), rules.Epsilon(0.25))
    with pytest.raises(InputError, match=f"the arrays of {name} are in several places: .*numpy"):
        layer.relevance(tuple(map(elsewhere, a)), R, rules.Epsilon(0.25))


def test_the_oracle_computes_on_numpy_wherever_the_arrays_are(backend: Any) -> None:
    layer, a, R = NET["dense1"], X.reshape(2, -1)[:, :8], SEED
    found = lrpref.messages(backend(layer), backend(a), R, rules.Epsilon(0.25))
    assert_array_equal(found, lrpref.messages(layer, a, R, rules.Epsilon(0.25)))


# ---- CuPy ------------------------------------------------------------------------------------------------------------

OLD = """
import cupy, lrpref, numpy as np
for use in (
    lambda: lrpref.Network.sequential(lrpref.Dense([[1.0]])).to("cupy"),
    lambda: lrpref.asarray([1.0], "cupy"),
    lambda: lrpref.Dense(cupy.asarray([[1.0]])),
):
    try:
        use()
    except lrpref.errors.LrprefError as error:
        print(error)
"""


def test_cupy_13_is_refused_with_the_version_that_is_wanted() -> None:
    standin = Path(__file__).parent / "standin"
    path = os.pathsep.join([str(standin), str(Path(lrpref.__file__).parents[1])])
    environment = os.environ | {"CUPY_STANDIN": "13", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", OLD], capture_output=True, text=True, check=True, env=environment)
    message = "lrpref needs CuPy 14 or later, and CuPy 13.6.0 is installed: pip install 'cupy-cuda12x>=14'"
    assert [line[: len(message)] for line in done.stdout.splitlines()] == [message] * 3


@pytest.fixture
def second() -> Any:
    """The second GPU, as `cupy.cuda.Device` knows it, while the first is the current one."""
    cupy = pytest.importorskip("cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy without a driver
        pytest.skip(f"no GPU: {error}")
    if count < 2:
        pytest.skip("needs two GPUs")
    return cupy.cuda.Device(1)


def test_a_network_on_the_second_gpu_works_there_on_cupy(second: Any) -> None:
    """Two networks on two GPUs in one process."""
    expected, rule = lrpref.explain(NET, X, rule="epsilon"), first(rules.ZBox(LOW, HIGH))
    one, x = NET.to("cupy"), lrpref.asarray(X, "cupy")
    with second:
        two, y = one.to("cupy"), lrpref.asarray(x, "cupy")
        assert place(y) == place(two["dense1"].weight) == "cupy (GPU 1)"
        assert two.backend == "cupy"
        assert_allclose(to_numpy(lrpref.explain(two, y, rule="epsilon")), expected, rtol=1e-12, atol=1e-13)
        bounded = lrpref.explain(two, y, rule=rule)
    assert_allclose(to_numpy(lrpref.explain(one, x, rule="epsilon")), expected, rtol=1e-12, atol=1e-13)
    assert_array_equal(to_numpy(lrpref.explain(one, x, rule=rule)), to_numpy(bounded))


def test_bounds_on_another_gpu_move_to_the_network_on_cupy(second: Any) -> None:
    with second:
        rule = rules.ZBox(lrpref.asarray(LOW, "cupy"), lrpref.asarray(HIGH, "cupy"))
    R = lrpref.trace(NET.to("cupy"), lrpref.asarray(X, "cupy"), rule=first(rule)).relevance
    expected = lrpref.trace(NET, X, rule=first(rules.ZBox(LOW, HIGH))).relevance
    assert_allclose(to_numpy(R), expected, rtol=1e-12, atol=1e-13)


def test_arrays_on_another_gpu_are_refused_on_cupy(second: Any) -> None:
    net, x = NET.to("cupy"), lrpref.asarray(X, "cupy")
    with second:
        there, y = NET.to("cupy"), lrpref.asarray(X, "cupy")
        pixels = lrpref.asarray((X > 0).astype(np.uint8), "cupy")
    wanted = r"is on GPU 1, but CuPy computes on GPU 0; use `with cupy\.cuda\.Device\(1\):`"
    for use in (lambda: net.forward(y), lambda: there.forward(y), lambda: net.forward(pixels), lambda: Dense(y[0, 0])):
        with pytest.raises(InputError, match=wanted):
            use()
    with pytest.raises(
        InputError, match=r"network is on cupy \(GPU 1\), the input on cupy \(GPU 0\); use net\.to\('cupy'\)"
    ):
        there.forward(x)
    with pytest.raises(InputError, match=r"the arrays of Dense are in several places: cupy \(GPU 0\), cupy \(GPU 1\)"):
        there["dense1"].forward(lrpref.asarray(np.ones((1, 8)), "cupy"))
