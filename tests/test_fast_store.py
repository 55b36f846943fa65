"""The store reuses memory, but never while a view of it exists, and keeps a bounded amount."""

from __future__ import annotations

import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU
from lrpref.fast import store
from lrpref.fast.store import Store

SIZE = store.SIZES.start
FLOATS = SIZE // 4


def taken(held: Store, floats: int = FLOATS) -> np.ndarray:
    return held.empty(np, (floats,), np.dtype(np.float32))


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_comes_back_when_the_last_view_goes() -> None:
    held = Store()
    array = taken(held)
    where = address(array)
    part = array.reshape((2, -1)).T[3:, 1]
    del array
    gc.collect()
    assert held.nbytes == 0
    assert address(taken(held)) != where
    del part
    gc.collect()
    assert held.nbytes > 0
    assert address(taken(held)) == where


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([1, FLOATS, 2 * FLOATS])), max_size=40))
def test_what_is_held_at_once_never_overlaps(steps: list[tuple[bool, int]]) -> None:
    """Allocated and released in any order, every array keeps the values written to it."""
    held, arrays = Store(), {}
    for k, (take, floats) in enumerate(steps):
        if take or not arrays:
            arrays[k] = taken(held, floats)
            arrays[k][...] = k
        else:
            del arrays[min(arrays)]
        for number, array in arrays.items():
            assert_array_equal(array, number)


def test_small_and_large_arrays_are_not_kept() -> None:
    for size in (SIZE - 4, store.SIZES.stop + 3):
        held = Store()
        taken(held, size // 4)
        gc.collect()
        assert held.nbytes == 0


def test_no_more_is_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_KEPT", 3 * SIZE)
    held = Store()
    arrays = [taken(held) for _ in range(5)]
    arrays.clear()
    gc.collect()
    assert held.nbytes == 3 * SIZE


def test_another_process_gets_an_empty_store() -> None:
    held = Store()
    taken(held)
    gc.collect()
    assert held.nbytes == SIZE
    assert pickle.loads(pickle.dumps(held)).nbytes == 0


def network() -> Network:
    """A network large enough to use the store and the Winograd forms."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((64, 1, 3, 3)), rng.standard_normal((64, 64, 3, 3)) / 24
    return Network.sequential(
        Conv2D(first, padding=1), ReLU(), Conv2D(second, padding=1), ReLU(), MaxPool2D(2), Flatten(),
        Dense(rng.standard_normal((3, 64 * 12 * 12))),
    )  # fmt: skip


@pytest.mark.parametrize("form", ["direct", "winograd2", "winograd4"])
def test_a_map_stays_what_it_was_while_others_are_made(form: str) -> None:
    """Returned maps and a kept pass are not overwritten by later explanations."""
    prepared = lrpref.prepare(network(), "epsilon-plus", form=form)
    x = np.random.default_rng(1).standard_normal((4, 1, 1, 24, 24))
    passed = prepared.run(x[0])
    maps = [prepared.explain(image) for image in x]
    expected = [lrpref.prepare(network(), "epsilon-plus", form=form).explain(image) for image in x]
    assert prepared.store.nbytes > 0
    for found, wanted in zip([passed.explain(), *maps], [expected[0], *expected], strict=True):
        assert_array_equal(found, wanted)


def test_several_threads_may_share_a_prepared_network() -> None:
    prepared = lrpref.prepare(network(), "epsilon-plus", threads=1)
    x = np.random.default_rng(2).standard_normal((8, 1, 1, 24, 24))
    expected = [prepared.explain(image) for image in x]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(prepared.explain, list(x) * 4), expected * 4, strict=True):
            assert_array_equal(found, wanted)
