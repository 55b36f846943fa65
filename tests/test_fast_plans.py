"""The memory of a plan never serves two arrays at once, and calls that share a prepared network never share a plan."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Conv2D, Dense, Flatten, GlobalAvgPool2D, MaxPool2D, Network, ReLU
from lrpref.fast import FORMS, plan
from lrpref.fast.memory import Memory
from lrpref.fast.prepared import Prepared
from lrpref.fast.program import Program, run

# ---- memory ------------------------------------------------------------------------------------------------------


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_place_is_used_again_when_no_view_of_it_is_alive() -> None:
    memory = Memory(np)
    array = memory.empty((4, 6), np.float32)
    part = array.T[3:, 1]
    memory.hold(part)
    memory.settle()
    assert address(memory.empty((24,), np.float32)) != address(array)
    memory.release(part)
    assert address(memory.empty((24,), np.float32)) == address(array)
    assert memory.nbytes == 2 * array.nbytes


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([1, 7, 64]), st.sampled_from("fd")), max_size=40))
def test_what_is_held_at_once_never_overlaps(steps: list[tuple[bool, int, str]]) -> None:
    """Allocated and released in any order, every array keeps the values written to it."""
    memory, arrays = Memory(np), {}
    for k, (take, size, dtype) in enumerate(steps):
        if take or not arrays:
            arrays[k] = memory.empty((size,), dtype)
            arrays[k][...] = k
        else:
            memory.free(arrays.pop(min(arrays)))
        for number, array in arrays.items():
            assert_array_equal(array, number)


@given(st.lists(st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 2, 0)]), max_size=20))
def test_borders_stay_zero(borders: list[tuple[int, int, int, int]]) -> None:
    """A place with a border is used again for images of the same border and size alone."""
    memory = Memory(np)
    for border in borders:
        image = memory.image((2, 3, 4, 5), np.float32, border)
        image.cells[...] = 7
        assert image.cells.shape == (2, 3, 4, 5)
        assert image.has(border)
        assert image.whole.sum() == image.cells.sum() == 7 * 120
        memory.settle()


def test_a_buffer_that_is_outgrown_is_not_used_by_another_lane() -> None:
    """The calls of a stage run at the same time, whatever the order in which they were recorded."""
    memory, seen = Memory(np), []
    program = Program(memory, 2, {})
    for k, (lane, size) in enumerate(program.share([10, 3, 100, 10])):
        held = lane.buffer("same name", (size,), np.float64)
        lane(held.fill, k)
        seen.append(held)
    run(program.taken()[:1], None)
    assert [set(held) for held in seen] == [{0}, {1}, {2}, {3}]


# ---- calls -------------------------------------------------------------------------------------------------------


def network(pool: Any = None) -> Network:
    """A network wide enough for Winograd's form; with a global pool it takes images of any size."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((64, 1, 3, 3)), rng.standard_normal((64, 64, 3, 3)) / 24
    features = 64 if pool else 64 * 12 * 12
    return Network.sequential(
        Conv2D(first, padding=1), ReLU(), Conv2D(second, padding=1), ReLU(), pool or MaxPool2D(2), Flatten(),
        Dense(rng.standard_normal((3, features))),
    )  # fmt: skip


def images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 1, 1, 24, 24))


@pytest.mark.parametrize("form", FORMS)
def test_a_map_stays_what_it_was_while_others_are_made(form: str) -> None:
    """Returned maps, logits and a kept pass are not overwritten by later explanations."""
    prepared, x = lrpref.prepare(network(), "epsilon-plus", form=form), images(2, 1)
    passed = prepared.run(x[0])
    maps, outputs = [prepared.explain(image) for image in x], [prepared.forward(image) for image in x]
    traces = [prepared.trace(image) for image in x]
    assert prepared.plans.nbytes > 0
    for k, image in enumerate(x):
        new = lrpref.prepare(network(), "epsilon-plus", form=form)
        assert_array_equal(maps[k], new.explain(image))
        assert_array_equal(outputs[k], new.forward(image))
        assert_array_equal(traces[k].relevance, maps[k])
        for node, R in new.trace(image).at.items():
            assert_array_equal(traces[k].at[node], R)
    assert_array_equal(passed.explain(), maps[0])


def test_ways_back_of_one_pass_do_not_disturb_each_other() -> None:
    passed = lrpref.prepare(network(), "epsilon-plus").run(images(1, 1)[0])
    alone = [passed.explain(k) for k in range(3)]
    together = passed.explain([0, 1, 2])
    assert_array_equal([passed.explain(k) for k in range(3)], alone)
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_shapes_may_be_interleaved(threads: int) -> None:
    """Four callers, two shapes and three ways to call, all of one prepared network."""
    prepared = lrpref.prepare(network(GlobalAvgPool2D()), "epsilon-plus", threads=threads)
    x = [image[..., : 24 - 7 * (k % 2)] for k, image in enumerate(images(4, 2))]
    calls = [prepared.explain, prepared.forward, lambda batch: prepared.run(batch).explain(1)]
    expected = [[call(batch) for call in calls] for batch in x]
    with ThreadPoolExecutor(4) as pool:
        jobs = [(call, k, pool.submit(calls[call], x[k])) for _ in range(2) for k in range(4) for call in range(3)]
        for call, k, job in jobs:
            np.testing.assert_allclose(job.result(), expected[k][call], rtol=1e-10, atol=1e-13)


def test_two_calls_at_once_have_two_plans_and_the_next_uses_one_again() -> None:
    prepared, made = lrpref.prepare(network(), "epsilon-plus"), []
    for _ in range(2):
        with prepared._planned(images(1, 3)[0], "explain") as one, prepared._planned(images(1, 3)[0], "explain") as two:
            assert one is not two
            made += [one, two]
    assert made[0] in made[2:]
    assert made[1] in made[2:]


def test_no_more_is_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, x = lrpref.prepare(network(GlobalAvgPool2D()), "epsilon-plus"), images(1, 4)[0]
    prepared.explain(x)
    one = prepared.plans.nbytes
    monkeypatch.setattr(plan, "MOST_KEPT", int(2.5 * one))
    for columns in (23, 22, 21, 20):
        prepared.explain(x[..., :columns])
    assert one < prepared.plans.nbytes <= 2.5 * one
    monkeypatch.setattr(plan, "MOST_KEPT", 0)
    prepared.explain(x)
    assert prepared.plans.nbytes == 0


def test_a_call_that_fails_keeps_no_plan() -> None:
    prepared, x = lrpref.prepare(network(), "epsilon-plus"), images(1, 5)[0]
    with pytest.raises(lrpref.errors.BudgetError):
        prepared.explain(x, budget=0)
    assert prepared.plans.nbytes == 0


def test_another_process_gets_no_plans() -> None:
    prepared, x = lrpref.prepare(network(), "epsilon-plus"), images(1, 6)[0]
    expected = prepared.explain(x)
    weights = len(pickle.dumps(lrpref.prepare(network(), "epsilon-plus")))
    data = pickle.dumps(prepared)
    assert len(data) == weights
    found = pickle.loads(data)
    assert isinstance(found, Prepared)
    assert found.plans.nbytes == 0 < prepared.plans.nbytes
    assert_array_equal(found.explain(x), expected)
