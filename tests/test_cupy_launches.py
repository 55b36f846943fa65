"""What a pass asks of a GPU, counted on CuPy's stand-in: one wait, and launches that do not grow with the batch.

A call of CuPy takes some microseconds of the host whatever its size, and a wait empties the queue of work, so both
bound the speed of small batches. The budgets hold for the first explanation of a shape, planning included, and for
later ones. Large passes are counted in a dry run: their arrays are allocated and never computed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Dense, MaxPool2D, Network, ReLU, models, rules
from lrpref.backend import memory_of
from lrpref.fast import Prepared
from lrpref.fast.memory import Memory
from lrpref.fast.plan import Plans

cupy = pytest.importorskip("cupy", reason="CuPy's stand-in is found with --standin")
if not hasattr(cupy, "is_standin"):
    pytest.skip("a real CuPy counts nothing", allow_module_level=True)

LARGE = (3, 224, 224)

NETWORKS: dict[str, Callable[[], Network]] = {
    "resnet20": lambda: lrpref.load("resnet20"),
    "vgg16": lambda: lrpref.fuse(models.vgg16(input_shape=LARGE, seed=0)),
    "resnet50": lambda: lrpref.fuse(models.resnet50(input_shape=LARGE, seed=0)),
}


@cache
def prepared(network: str) -> Prepared:
    """The network on the device, under the default composite."""
    net = NETWORKS[network]()
    return lrpref.prepare(net.to("cupy"), shape=(3, 32, 32) if network == "resnet20" else LARGE)


def counted(network: str, batch: int) -> list[Any]:
    """What the first and a later explanation ask for."""
    subject, counts = prepared(network), []
    subject.plans._idle.clear()
    with cupy.dry():
        x = cupy.empty((batch, *((3, 32, 32) if network == "resnet20" else LARGE)), dtype="float32")
        for _ in range(2):
            with cupy.counted() as found:
                subject.explain(x, target=0, seed="one")
            counts.append(found)
    return counts


@pytest.mark.parametrize(
    ("network", "batch", "launches"), [("resnet20", 1, 700), ("vgg16", 64, 900), ("resnet50", 64, 1500)]
)
def test_the_budget_of_an_explanation(network: str, batch: int, launches: int) -> None:
    for found in counted(network, batch):
        assert found.launches <= launches, found.launches_by
        assert dict(found.waits_by) == {"bool of bitwise_and": 1}


@pytest.mark.parametrize("network", ["resnet20", "resnet50"])
def test_launches_do_not_grow_with_the_batch(network: str) -> None:
    one, many = counted(network, 1), counted(network, 64)
    assert [found.launches_by for found in one] == [found.launches_by for found in many]


def test_a_smaller_card_takes_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """And more launches, because a block is a part of the memory that is free."""
    large = counted("vgg16", 64)[0]
    monkeypatch.setattr(cupy.cuda.Device, "mem_info", (16 << 30, 16 << 30))
    small = counted("vgg16", 64)[0]
    assert small.launches > large.launches
    assert small.peak < large.peak


def test_no_weight_is_copied_and_nothing_is_filled_twice() -> None:
    first, later = counted("vgg16", 64)
    for found in (first, later):
        assert not {"copy of an operand of a product", "copy of a product to its place"} & found.launches_by.keys()
        assert found.launches_by["fill"] <= 1  # the adjoint of the first layer


def test_a_dry_run_counts_what_a_real_one_does() -> None:
    subject, x = prepared("resnet20"), cupy.asarray(np.zeros((2, 3, 32, 32), "float32"))
    for _ in range(2):
        with cupy.counted() as real:
            subject.explain(x, target=0, seed="one")
    dry = counted("resnet20", 2)[1]
    assert (dry.launches_by, dry.waits_by) == (real.launches_by, real.waits_by)
    assert (dry.moved, dry.operations) == (real.moved, real.operations)
    assert real.operations > 0


@pytest.mark.parametrize("way", ["forward", "explain", "trace"])
def test_every_way_waits_once(way: str) -> None:
    net = Network.sequential(MaxPool2D(2), lrpref.Flatten(), Dense(np.ones((3, 4))), ReLU(), Dense(np.eye(3)))
    subject = lrpref.prepare(net.to("cupy"), rules.Epsilon())
    x = cupy.asarray(np.ones((2, 1, 4, 4)))
    with cupy.counted() as found:
        getattr(subject, way)(x)
    assert found.waits == 1, found.waits_by


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_a_view_of_windows_holds_the_memory_that_it_shows() -> None:
    """CuPy's `as_strided` returns an array without a base."""
    memory = Memory(cupy)
    array = memory.empty((4, 6), np.float32)
    windows = cupy.lib.stride_tricks.as_strided(array, (3, 2), (24, 8))
    assert windows.base is None
    assert memory_of(windows) == memory_of(array)
    memory.hold(windows)
    memory.settle()
    other = memory.empty((24,), np.float32)
    assert memory_of(other) != memory_of(array)
    memory.release(windows)
    assert memory_of(memory.empty((24,), np.float32)) == memory_of(array)


def test_prepared_weights_are_counted_once() -> None:
    net = Network.sequential(Dense(np.ones((64, 64)))).to("cupy")
    assert lrpref.prepare(net, "epsilon").nbytes <= 64 * 64 * 8 + 512


def test_idle_plans_make_room_for_a_new_one() -> None:
    plans, tried = Plans(), []
    with plans.borrowed("first", lambda: lrpref.prepare(NET, "epsilon")._plan(X, "explain")):
        pass
    assert plans.nbytes > 0

    def make() -> Any:
        tried.append(plans.nbytes)
        if len(tried) == 1:
            raise cupy.cuda.memory.OutOfMemoryError
        return lrpref.prepare(NET, "epsilon")._plan(X, "explain")

    with plans.borrowed("second", make):
        assert tried[0] > tried[1] == plans.nbytes == 0


NET = Network.sequential(Dense(np.eye(3)))
X = np.ones((2, 3))


def test_large_plans_are_kept_on_a_large_card() -> None:
    """Planning a batch takes as long as explaining it."""
    first, later = counted("vgg16", 8)
    assert prepared("vgg16").plans.nbytes > 1 << 30
    assert later.launches < first.launches


def test_a_batchnorm_is_reduced_once() -> None:
    """Its weight and bias are computed when the network is prepared, to the last bit as the layer computes them."""
    net = lrpref.load("resnet20").to("cupy")
    x = cupy.asarray(np.random.default_rng(0).random((1, 3, 32, 32), dtype="float32"))
    subject = lrpref.prepare(net)
    with cupy.counted() as found:
        subject.forward(x)
    assert found.launches_by["sqrt"] == 0
    norm, a = net["bn1"], x[:, :1] + cupy.zeros((1, 16, 1, 1), dtype="float32")
    step = next(placed.step for placed in subject.steps if placed.nodes == ("bn1",))
    assert_array_equal(step.node.layer.forward(a).get(), norm.forward(a).get())
