"""Explanations with Dask: lazy, block by block, and on a cluster that survives a killed worker."""

from __future__ import annotations

import os
import pickle
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Backend
from numpy.testing import assert_allclose

import lrpref
from lrpref import Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, rules
from lrpref.composites import Composite
from lrpref.errors import DTypeError, InputError, LrprefError, ShapeError, TargetError
from lrpref.layers import WeightedLayer

dask = pytest.importorskip("dask", reason="dask is not installed: lrpref.distributed has nothing to run on")
da = pytest.importorskip("dask.array", reason="dask[array] is not installed")
distributed = pytest.importorskip("distributed", reason="distributed is not installed: no cluster to try")

RNG = np.random.default_rng(12)


def eighths(*shape: int) -> np.ndarray:
    return RNG.integers(-8, 9, size=shape) / 8


CNN = Network.sequential(
    Conv2D(eighths(3, 1, 3, 3), eighths(3), padding=1),
    ReLU(),
    MaxPool2D(2),
    Flatten(),
    Dense(eighths(4, 12), eighths(4)),
)
X = eighths(10, 1, 4, 4)
TARGET = RNG.integers(0, 4, size=10)
SEED = eighths(10, 4)
WHOLE = lrpref.explain(CNN, X, TARGET)
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-13 * float(abs(WHOLE).max())}


def chunked(values: np.ndarray, size: int = 3) -> Any:
    return da.from_array(values, chunks=(size, *values.shape[1:]))


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """Run in this thread unless a test starts a cluster, so that tracebacks show the cause."""
    with dask.config.set(scheduler="synchronous"):
        yield


# ---- blocks give the same relevance ------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [1, 3, 4, 10, (2, 5, 3)])
def test_the_blocks_of_a_dask_array(chunks: Any) -> None:
    x = da.from_array(X, chunks=(chunks, 1, 4, 4))
    R = lrpref.distributed.explain(CNN, x, TARGET)
    assert isinstance(R, da.Array)
    assert (R.shape, R.chunks, R.dtype) == (x.shape, x.chunks, np.float64)
    assert_allclose(R.compute(), WHOLE, **CLOSE)


def test_its_number_type_is_the_networks() -> None:
    R = lrpref.distributed.explain(CNN.astype(np.float32), chunked((8 * X).astype(np.int16)))
    assert R.dtype == R.compute().dtype == np.float32


@pytest.mark.parametrize("target", [None, 2, TARGET, TARGET.tolist(), chunked(TARGET, 4)], ids=str)
def test_targets_stay_with_their_samples(target: Any) -> None:
    known = target.compute() if isinstance(target, da.Array) else target
    found = lrpref.distributed.explain(CNN, chunked(X), target)
    assert found.chunks == chunked(X).chunks
    assert_allclose(found.compute(), lrpref.explain(CNN, X, known), **CLOSE)


@pytest.mark.parametrize(
    "seed", ["one", 0.5, SEED, da.from_array(SEED, chunks=(4, 1))], ids=lambda seed: type(seed).__name__
)
def test_seeds_stay_with_their_samples(seed: Any) -> None:
    known = seed.compute() if isinstance(seed, da.Array) else seed
    found = lrpref.distributed.explain(CNN, chunked(X), seed=seed)
    assert_allclose(found.compute(), lrpref.explain(CNN, X, seed=known), **CLOSE)


def test_rules_nodes_and_smaller_batches() -> None:
    rule = Composite([("conv2d1", rules.ZBox(-1, 1)), (WeightedLayer, rules.Gamma(0.5))])
    found = lrpref.distributed.explain(CNN, chunked(X, 5), rule=rule, node="relu1", batch_size=2)
    assert_allclose(found.compute(), lrpref.explain(CNN, X, rule=rule, node="relu1"), **CLOSE)


@pytest.mark.parametrize("form", ["plain", "winograd"])
def test_every_form(form: str) -> None:
    found = lrpref.distributed.explain(CNN, chunked(X), TARGET, form=form)
    assert_allclose(found.compute(), WHOLE, **CLOSE)


def test_a_network_may_be_given_by_its_file(tmp_path: Path) -> None:
    lrpref.save(CNN, tmp_path / "net.npz")
    found = lrpref.distributed.explain(tmp_path / "net.npz", chunked(X), TARGET)
    assert_allclose(found.compute(), WHOLE, **CLOSE)
    assert len(pickle.dumps(found.__dask_graph__())) < 10_000 + X.nbytes


def test_no_samples() -> None:
    assert lrpref.distributed.explain(CNN, chunked(X)[:0]).compute().shape == (0, 1, 4, 4)


def test_workers_compute_on_the_backend_that_is_asked_for(backend: Backend) -> None:
    """Network and blocks move to the backend, as on GPU workers, and the relevance returns as NumPy."""
    found = lrpref.distributed.explain(CNN, chunked(X), TARGET, backend=backend.name).compute()
    assert isinstance(found, np.ndarray)
    assert_allclose(found, WHOLE, **CLOSE)
    seeded = lrpref.distributed.explain(CNN, chunked(X), seed=SEED, backend=backend.name).compute()
    assert_allclose(seeded, lrpref.explain(CNN, X, seed=SEED), **CLOSE)


# ---- lazy evaluation ---------------------------------------------------------------------------------------------


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    read: list[int] = []

    def block(x: np.ndarray) -> np.ndarray:
        read.append(len(x))
        return x

    R = lrpref.distributed.explain(CNN, chunked(X).map_blocks(block, meta=X[:0]))
    assert read == []
    assert R[4:5].compute().shape == (1, 1, 4, 4)
    assert read == [3]  # only the block that contains the sample


def test_the_same_question_is_the_same_task() -> None:
    """Equal names let dask reuse what it has computed."""
    ask = lrpref.distributed.explain
    assert ask(CNN, chunked(X), TARGET).name == ask(CNN, chunked(X), TARGET).name
    assert ask(CNN, chunked(X), TARGET).name != ask(CNN, chunked(X), TARGET, "z-plus").name
    assert ask(CNN, chunked(X)).name != ask(CNN.map_arrays(lambda w: 2 * w), chunked(X)).name


def test_the_network_is_in_the_graph_once() -> None:
    net = Network.sequential(Flatten(), Dense(np.ones((500, 16))))
    sizes = [len(pickle.dumps(lrpref.distributed.explain(net, chunked(X, n)).__dask_graph__())) for n in (10, 1)]
    assert sizes[1] < sizes[0] + 4 * 500


# ---- computed by Dask --------------------------------------------------------------------------------------------


def test_an_error_names_the_block() -> None:
    bad = X.copy()
    bad[7, 0, 1, 1] = np.inf
    with pytest.raises(InputError, match=r"^in the block x\[6:9\]: the input holds .*first in sample 1"):
        lrpref.distributed.explain(CNN, chunked(bad)).compute()


def test_into_zarr_by_dask_itself(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    lrpref.distributed.explain(CNN, chunked(X), TARGET).to_zarr(str(tmp_path / "R.zarr"))
    assert_allclose(zarr.open_array(tmp_path / "R.zarr")[:], WHOLE, **CLOSE)


# ---- errors raised before any computation ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (DTypeError, {"x": X}, r"x must be a dask array, got ndarray; use dask\.array\.from_array"),
        (
            ShapeError,
            {"x": da.from_array(X, chunks=(5, 1, 2, 3))},
            r"chunked along axis 2, .* x\.rechunk\({2: -1, 3: -1}\)",
        ),
        (ShapeError, {"x": chunked(X)[chunked(TARGET) > 1]}, r"unknown size; use x\.compute_chunk_sizes"),
        (ShapeError, {"x": chunked(eighths(10, 2, 4, 4))}, "node 'conv2d1'"),
        (TargetError, {"target": 4}, "out of range"),
        (TargetError, {"target": TARGET[:9]}, "expected one target per sample .*, got 9"),
        (TargetError, {"target": chunked(TARGET)[:9]}, "expected one target per sample .*, got 9"),
        (TargetError, {"target": chunked(SEED)}, "an index, or one index per sample"),
        (
            ShapeError,
            {"seed": chunked(SEED)[:9]},
            r"the seed must be shaped like the explained output, \(10, 4\), got \(9, 4\)",
        ),
        (InputError, {"seed": "loud"}, 'seed must be "logit"'),
        (LrprefError, {"rule": "epsilom"}, "did you mean 'epsilon'"),
        (LrprefError, {"net": "no/such.npz"}, "no file"),
    ],
)
def test_what_is_refused(error: type[Exception], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(error, match=message):
        lrpref.distributed.explain(**{"net": CNN, "x": chunked(X), **arguments})


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(LrprefError, match=r"need dask: pip install dask\[array\]"):
        lrpref.distributed.explain(CNN, X)


# ---- a cluster of processes --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Start a cluster of two single-threaded processes, supervised by nannies."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def with_a_ticket(x: np.ndarray) -> np.ndarray:
    """Return a block only once the queue provides a ticket for it."""
    if len(x):
        distributed.Queue("tickets").get(timeout=30)
    return x


@pytest.mark.slow
def test_nothing_is_lost_when_a_worker_is_killed(client: Any) -> None:
    """The killed worker loses the relevance of its finished blocks while others are in progress; all are recomputed."""
    with dask.config.set(scheduler=None):
        x = da.from_array(X, chunks=(1, 1, 4, 4)).map_blocks(with_a_ticket, meta=X[:0])
        pids, tickets = client.run(os.getpid), distributed.Queue("tickets")
        for _ in range(4):
            tickets.put(None)
        future = client.compute(lrpref.distributed.explain(CNN, x, TARGET))
        deadline = time.monotonic() + 30
        while not (holders := [w for w, keys in client.has_what().items() if any("explain" in str(k) for k in keys)]):
            assert time.monotonic() < deadline, "no block was ever explained"
            time.sleep(0.01)
        os.kill(pids[holders[0]], signal.SIGKILL)
        assert not future.done()
        for _ in range(2 * len(X)):  # enough to recompute every block
            tickets.put(None)
        assert_allclose(future.result(timeout=60), WHOLE, **CLOSE)
        client.wait_for_workers(2, timeout=60)
        now = set(client.run(os.getpid).values())
        assert len(now) == 2, "its nanny has put another in its place"
        assert pids[holders[0]] not in now


# ---- documentation page ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every Python block of docs/scale.md except the one for GPUs, on the cluster of this file."""
    pytest.importorskip("zarr", reason="zarr is not installed")
    page = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    monkeypatch.chdir(tmp_path)
    client.run(os.chdir, tmp_path)  # the working directory of newly started workers
    monkeypatch.setattr(distributed, "LocalCluster", lambda **options: nullcontext(client.cluster))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(block, names)
        if "R" in names and isinstance(names["R"], np.ndarray):
            expected = lrpref.explain(names["net"], np.load("images.npy"), 4)
            at_rounding: dict[str, Any] = {"rtol": 0, "atol": 1e-6 * float(abs(expected).max())}
            assert_allclose(names["R"], expected, **at_rounding)
    assert_allclose(np.load("relevance.npy"), expected, **at_rounding)
    assert_allclose(da.from_zarr("relevance.zarr").compute(), expected, **at_rounding)
