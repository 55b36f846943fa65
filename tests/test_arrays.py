"""Arrays that are given: which ones are refused, and who may change them afterwards."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref import BatchNorm, Conv2D, Dense, Network, ReLU, Scale, ThreshReLU, models, rules
from lrpref.arithmetic import given_up, owned
from lrpref.backend import to_numpy
from lrpref.errors import DTypeError, InputError, ParameterError, ShapeError
from lrpref.zoo.inputs import Normalisation

W = np.asarray([[0.3, -0.2, 0.5], [0.1, 0.4, -0.6], [-0.3, 0.2, 0.1]])
X = np.asarray([[1.0, -2.0, 0.5]])
NET = Network.sequential(Dense(W), ReLU(), Dense(W))
MASKED = np.ma.masked_invalid([[1.0, np.nan, 0.5]])

with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    MATRIX, ROW = np.matrix(W), np.matrix(X)


# ---- which arrays are refused -------------------------------------------------------------------------------------

GIVEN: dict[str, Callable[[Any], object]] = {
    "a weight": Dense,
    "an input": NET.forward,
    "an input to explain": lambda x: lrpref.explain(NET, x),
    "an input in blocks": lambda x: lrpref.explain(NET, x, batch_size=1),
    "an input in a list": lambda x: lrpref.explain(NET, [x]),
    "a seed": lambda x: lrpref.explain(NET, X, seed=x),
    "a seed in blocks": lambda x: lrpref.explain(NET, X, seed=x, batch_size=1),
    "a lower bound": lambda x: rules.ZBox(x, 10.0),
    "an upper bound": lambda x: rules.ZBox(-10.0, x),
    "a layer's input": Dense(W).forward,
    "an activation's input": ReLU().forward,
    "R": lambda x: Dense(W).relevance(X, x, rules.Epsilon()),
    "the input of a relevance": lambda x: Dense(W).relevance(x, X, rules.Epsilon()),
    "messages": lambda x: lrpref.messages(Dense(W), x, X, rules.Epsilon()),
    "R of messages": lambda x: lrpref.messages(Dense(W), X, x, rules.Epsilon()),
    "a map": lambda x: lrpref.compare(x, X),
    "asarray": lambda x: lrpref.asarray(x, "array-api-strict"),
}


@pytest.mark.parametrize("what", GIVEN)
@pytest.mark.parametrize(
    ("given", "message"),
    [(ROW, "numpy.matrix"), (MASKED, "masked array"), (X + 1j, "complex128"), (np.ma.MaskedArray(X), "masked array")],
    ids=["matrix", "mask over NaN", "complex", "mask of nothing"],
)
def test_an_array_with_rules_of_its_own_is_refused(what: str, given: Any, message: str) -> None:
    """A matrix multiplies by `*`, a mask was ignored, and complex numbers gave complex relevance."""
    with pytest.raises(DTypeError, match=message):
        GIVEN[what](given)


def test_a_memory_map_is_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert_array_equal(lrpref.explain(NET, x), lrpref.explain(NET, X))
    assert type(NET.forward(x)) is np.ndarray


def test_what_is_not_a_number_is_refused_by_name() -> None:
    for given in (np.asarray([["a"]]), [["a"]], [[None]], [[1.0], [1.0, 2.0]], np.asarray([["1"]], dtype=object)):
        with pytest.raises(DTypeError, match="Dense weight"):
            Dense(given)


def test_the_byte_order_of_a_file_does_not_matter() -> None:
    swapped = W.astype(W.dtype.newbyteorder())
    assert_array_equal(lrpref.explain(NET, X.astype(swapped.dtype)), lrpref.explain(NET, X))
    assert Dense(swapped).weight.dtype.isnative
    assert_array_equal(Dense(swapped).weight, W)


def test_integers_are_computed_with_as_floats() -> None:
    """A border of one half became 0 in an image of integers."""
    image = np.ones((1, 1, 1, 1), dtype=int)
    assert lrpref.Pad2D((0, 1), 0.5).forward(image).tolist() == [[[[0.5, 1.0, 0.5]]]]
    assert ThreshReLU(0.5).forward(np.zeros((1, 1), dtype=int)).tolist() == [[0.5]]


# ---- zero sizes and huge numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: Dense(np.zeros((0, 3))),
        lambda: Dense(np.zeros((3, 0))),
        lambda: Conv2D(np.zeros((1, 1, 0, 0))),
        lambda: Conv2D(np.zeros((1, 0, 2, 2))),
        lambda: Scale([]),
        lambda: BatchNorm(None, None, [], []),
    ],
)
def test_a_layer_without_numbers_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ParameterError, match="is empty: its shape is"):
        call()


def test_samples_without_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="the samples of the input are empty"):
        lrpref.explain(Network.sequential(ReLU()), np.zeros((2, 0)))
    padded = Network.sequential(Conv2D(np.ones((1, 1, 2, 2)), padding=2), lrpref.Flatten())
    with pytest.raises(ShapeError, match=r"node 'conv2d1' .*at least one channel and one cell, got \(1, 1, 0, 5\)"):
        lrpref.explain(padded, np.zeros((1, 1, 0, 5)))
    assert lrpref.explain(NET, np.zeros((0, 3))).shape == (0, 3)


def test_a_number_beyond_float32_is_refused_in_a_float32_network() -> None:
    short = X.astype(np.float32)
    for layer in (lrpref.LeakyReLU(1e300), ThreshReLU(1e300)):
        with pytest.raises(ParameterError, match=r"1e\+300 is out of range for float32"):
            layer.forward(short)
        layer.forward(X)
    with pytest.raises(ParameterError, match=r"1e\+300 is out of range for float32"):
        lrpref.explain(NET.astype("float32"), short, rule=rules.ZBox(-1e300, 1e300))


def test_a_huge_integer_is_refused_without_being_printed() -> None:
    for huge in (10**400, 10**5000):
        with pytest.raises(ParameterError, match="epsilon must be a finite number >= 0, got ") as error:
            rules.Epsilon(huge)
        assert len(str(error.value)) < 200


# ---- who may change an array --------------------------------------------------------------------------------------

KERNEL = np.ones((2, 1, 2, 2))
VECTOR = np.asarray([1.0, 2.0])
HOLDERS: dict[str, tuple[Callable[..., Any], dict[str, np.ndarray]]] = {
    "Dense": (Dense, {"weight": W, "bias": W[0]}),
    "Conv2D": (Conv2D, {"weight": KERNEL, "bias": VECTOR, "bias_taps": np.ones((2, 2, 2))}),
    "Scale": (Scale, {"weight": VECTOR, "bias": VECTOR}),
    "BatchNorm": (BatchNorm, {"weight": VECTOR, "bias": VECTOR, "mean": VECTOR, "var": VECTOR}),
    "ThreshReLU": (ThreshReLU, {"threshold": VECTOR, "below": np.asarray([True, False])}),
    "ZBox": (rules.ZBox, {"low": -VECTOR, "high": VECTOR}),
    "Normalisation": (Normalisation, {"mean": VECTOR, "std": VECTOR}),
}


@pytest.mark.parametrize("name", HOLDERS)
@pytest.mark.parametrize("given_as", ["itself", "a view", "a read-only view"])
def test_a_caller_who_changes_an_array_does_not_change_its_holder(name: str, given_as: str) -> None:
    make, arrays = HOLDERS[name]
    mine = {field: array.copy() for field, array in arrays.items()}
    given = {field: array if given_as == "itself" else array[...] for field, array in mine.items()}
    for array in given.values() if given_as == "a read-only view" else ():
        array.flags.writeable = False
    held = make(**given)
    for field, array in mine.items():
        assert array.flags.writeable, "the caller's array is left as it was"
        array[...] = array == 0 if array.dtype == bool else np.nan
        assert_array_equal(getattr(held, field), arrays[field])


@pytest.mark.parametrize("name", HOLDERS)
def test_a_held_array_cannot_be_written_to(name: str) -> None:
    make, arrays = HOLDERS[name]
    held = make(**arrays)
    for field in arrays:
        with pytest.raises(ValueError, match="read-only"):
            getattr(held, field)[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            getattr(held, field).flags.writeable = True


def test_arrays_of_other_backends_are_owned(backend: Any) -> None:
    given = backend(W.copy())
    layer = Dense(given)
    given[0, 0] = np.nan
    assert_array_equal(to_numpy(layer.weight), W)


def test_an_owned_array_is_not_copied_again() -> None:
    held = owned(W)
    assert owned(held) is held
    assert owned(held[:, :1]) is not held[:, :1]  # a view of another view's memory: also read-only
    assert np.shares_memory(owned(held), Dense(held).weight)
    fresh = np.zeros(3)
    assert np.shares_memory(owned(given_up(fresh)), fresh)


def test_a_network_elsewhere_shares_what_does_not_change() -> None:
    net = models.simple_cnn(batch_norm=False)
    assert net.astype("float32")["conv1"] is net["conv1"]
    assert net.to("numpy")["conv1"] is net["conv1"]
    assert lrpref.fuse(net)["conv1"] is net["conv1"]
    prepared = lrpref.prepare(net)
    assert prepared.net["fc1"].weight is net["fc1"].weight
    assert replace(net["fc1"], bias=None).weight is net["fc1"].weight


def test_a_seed_is_not_part_of_the_result() -> None:
    net, seed = Network.sequential(ReLU()), np.asarray([[1.0, 2.0]])
    R = lrpref.explain(net, np.ones((1, 2)), seed=seed)
    found = lrpref.trace(net, np.ones((1, 2)), seed=seed)
    R[...] = 7.0
    found.at["relu1"][...] = 7.0
    assert seed.tolist() == [[1.0, 2.0]]


# ---- memory -------------------------------------------------------------------------------------------------------


def peak(work: Callable[[], Any]) -> tuple[int, Any]:
    """The most memory that `work` holds at a time, in bytes, and its result."""
    tracemalloc.start()
    try:
        found = work()
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


def nbytes(net: Network) -> int:
    return sum(array.nbytes for array in net.parameters.values())


def test_weights_are_copied_once_and_not_again() -> None:
    """One copy on top of the caller's; none for random weights, another type, or the same type."""
    built, net = peak(lambda: models.simple_cnn((16, 32, 32), 2048))
    size = nbytes(net)
    state = {name: np.array(array) for name, array in net.parameters.items()}
    assert built < 1.3 * size
    copied, again = peak(lambda: models.simple_cnn((16, 32, 32), 2048, seed=None, state=state))
    assert size < copied < 1.3 * size
    assert peak(lambda: again.astype("float32"))[0] < 0.1 * size
    assert peak(lambda: again.astype("float64"))[0] < 2.3 * size


ZERO = """
from lrpref import models
net = models.vgg16(seed=None)
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc; ru_maxrss is at least that of the parent")
def test_a_network_of_zeros_takes_no_memory() -> None:
    done = subprocess.run([sys.executable, "-c", ZERO], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400 * 1024  # the weights alone would take 528 MiB
