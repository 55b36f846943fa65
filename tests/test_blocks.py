"""Explanations in blocks: the same relevance, in an array or on disk, for data sets larger than memory."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Backend
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, Softmax
from lrpref.errors import (
    DTypeError,
    InputError,
    LrprefError,
    OutputError,
    ParameterError,
    RuleError,
    ShapeError,
    TargetError,
    UnknownNameError,
)

RNG = np.random.default_rng(11)


def eighths(*shape: int) -> np.ndarray:
    return RNG.integers(-8, 9, size=shape) / 8


CNN = Network.sequential(
    Conv2D(eighths(3, 1, 3, 3), eighths(3), padding=1),
    ReLU(),
    MaxPool2D(2),
    Flatten(),
    Dense(eighths(4, 12), eighths(4)),
)
X = eighths(7, 1, 4, 4)
WHOLE = lrpref.explain(CNN, X)
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-13 * float(abs(WHOLE).max())}
"""BLAS may change the order of summation with the number of rows; about ten sums of at most 13 terms."""


def in_blocks(batch_size: int | None = 3, net: Network = CNN, x: Any = X, **arguments: Any) -> Any:
    return lrpref.explain(net, x, batch_size=batch_size, **arguments)


# ---- blocks give the same relevance ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 7, 8, 10**9, np.int64(3)])
def test_blocks_of_any_size_give_what_the_whole_gives(batch_size: int) -> None:
    found = in_blocks(batch_size)
    assert found.shape == X.shape
    assert found.dtype == WHOLE.dtype
    assert_allclose(found, WHOLE, **CLOSE)


@given(data=st.data(), N=st.integers(0, 5), batch_size=st.integers(1, 6))
def test_in_exact_arithmetic_blocks_and_whole_are_equal(data: st.DataObject, N: int, batch_size: int) -> None:
    """Exact arithmetic excludes rounding: targets and seeds of any form are split along with the samples."""
    net = lrpref.exact(Network.sequential(Dense(eighths(3, 2), eighths(3)), ReLU(), Dense(eighths(2, 3), eighths(2))))
    x = eighths(N, 2)
    target = data.draw(st.none() | st.integers(0, 1) | st.lists(st.integers(0, 1), min_size=N, max_size=N))
    target = np.asarray(target, dtype=int) if isinstance(target, list) else target
    seed = data.draw(st.sampled_from(["logit", "one", 0.5]) | st.just(eighths(N, 2)))
    whole = lrpref.explain(net, x, target, "z-plus", seed)
    assert_array_equal(in_blocks(batch_size, net, x, target=target, rule="z-plus", seed=seed), whole)


@pytest.mark.parametrize("target", [2, [3, 0, 1, 2, 3, 0, 1], np.array([3, 0, 1, 2, 3, 0, 1])])
def test_targets_stay_with_their_samples(target: Any) -> None:
    assert_allclose(in_blocks(target=target), lrpref.explain(CNN, X, target), **CLOSE)


def test_seeds_stay_with_their_samples() -> None:
    seed = eighths(7, 4)
    for given_ in (seed, seed.tolist()):
        assert_allclose(in_blocks(seed=given_), lrpref.explain(CNN, X, seed=seed), **CLOSE)


def test_another_node_and_another_rule() -> None:
    assert_allclose(in_blocks(node="relu1", rule="gamma"), lrpref.explain(CNN, X, rule="gamma", node="relu1"), **CLOSE)


def test_a_sample_of_zeros_and_no_samples() -> None:
    """No samples, and a single sample of zeros in a block of three."""
    assert in_blocks(3, x=X[:0]).shape == (0, 1, 4, 4)
    assert_array_equal(in_blocks(3, x=0 * X[:1]), lrpref.explain(CNN, 0 * X[:1]))


def test_lists_and_integers_are_taken_as_ever() -> None:
    net = Network.sequential(Dense([[2.0, -1.0]]))
    found = lrpref.explain(net, [[3, 1], [1, 1], [0, 2]], rule="zero", batch_size=2)  # type: ignore[arg-type]
    assert_array_equal(found, [[6, -1], [2, -1], [0, -2]])


def test_on_every_backend(backend: Backend) -> None:
    found = in_blocks(3, backend(CNN), backend(X), target=backend(np.array([3, 0, 1, 2, 3, 0, 1])))
    assert type(found) is type(backend(X))
    assert_allclose(lrpref.to_numpy(found), lrpref.explain(CNN, X, [3, 0, 1, 2, 3, 0, 1]), **CLOSE)


def test_blocks_go_to_the_network_and_their_relevance_back(backend: Backend) -> None:
    """The data may be on disk and the network on a GPU, or the reverse."""
    seed = eighths(7, 4)
    found = in_blocks(3, backend(CNN), X, seed=seed)
    assert isinstance(found, np.ndarray)
    assert_allclose(found, lrpref.explain(CNN, X, seed=seed), **CLOSE)
    assert type(in_blocks(3, CNN, backend(X))) is type(backend(X))


class Lazy:
    """A minimal lazy data set: it has a shape and returns an array for a slice of samples."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.read = values, values.shape, 0

    def __getitem__(self, samples: slice) -> Any:
        assert isinstance(samples, slice)
        self.read = max(self.read, len(self.values[samples]))
        return self.values[samples]


def test_what_can_be_sliced_is_read_block_by_block() -> None:
    x = Lazy(X)
    assert_allclose(in_blocks(3, x=x), WHOLE, **CLOSE)
    assert x.read == 3


# ---- output arrays and files -------------------------------------------------------------------------------------


def test_out_is_written_to_and_returned() -> None:
    out = np.full(X.shape, np.nan)
    assert in_blocks(out=out) is out
    assert_allclose(out, WHOLE, **CLOSE)
    assert in_blocks(None, out=out) is out


def test_out_may_hold_more_digits_but_not_fewer() -> None:
    single = CNN.astype(np.float32)
    assert in_blocks(net=single, out=np.empty(X.shape)).dtype == np.float64
    with pytest.raises(DTypeError, match=r"out has dtype float32, but the relevance is float64; .* net\.astype"):
        in_blocks(out=np.empty(X.shape, np.float32))


@pytest.mark.parametrize("name", ["R.npy", Path("R.npy")])
@pytest.mark.parametrize("batch_size", [3, None])
def test_out_may_be_a_file(name: Any, batch_size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = in_blocks(batch_size, out=name)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert_allclose(found, WHOLE, **CLOSE)
    assert_array_equal(np.load("R.npy"), found)
    assert [path.name for path in tmp_path.iterdir()] == ["R.npy"]


def test_a_file_of_no_samples(tmp_path: Path) -> None:
    assert in_blocks(x=X[:0], out=tmp_path / "R.npy").shape == (0, 1, 4, 4)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """If a block fails, the existing file is kept and no temporary file remains."""
    path = tmp_path / "R.npy"
    np.save(path, np.arange(3))
    bad = X.copy()
    bad[5, 0, 2, 2] = np.nan
    with pytest.raises(InputError, match=r"in the block x\[3:6\]: the input holds 1 NaN .* first in sample 2"):
        in_blocks(x=bad, out=path)
    assert_array_equal(np.load(path), np.arange(3))
    assert list(tmp_path.iterdir()) == [path]


# ---- a data set larger than memory -------------------------------------------------------------------------------

LARGER = """
import resource, sys
import numpy as np
import lrpref
from lrpref import Dense, Flatten, GlobalAvgPool2D, Network

net = Network.sequential(GlobalAvgPool2D(), Flatten(), Dense(np.ones((2, 3), np.float32)))
x = np.lib.format.open_memmap("x.npy", mode="w+", dtype=np.float32, shape=(64, 3, 256, 256))  # 48 MiB
x[-1] = 1
del x
lrpref.explain(net, np.ones((4, 3, 256, 256), np.float32), rule="epsilon")  # what NumPy sets up is set up
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (held + 2**25, held + 2**25))  # 32 MiB more and no further
x = np.load("x.npy", mmap_mode="r")
try:
    lrpref.explain(net, x, rule="epsilon")
except MemoryError:
    print("too large at once")
R = lrpref.explain(net, x, rule="epsilon", batch_size=4, out="R.npy")
print(R.shape, round(float(R[-1].sum()), 3), max(float(abs(r).max()) for r in R[:-1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's own memory is Linux's")
def test_a_data_set_larger_than_memory(tmp_path: Path) -> None:
    """The memory limit of the process is below the size of the input and of the relevance."""
    script = tmp_path / "larger.py"
    script.write_text(textwrap.dedent(LARGER))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    at_once, blocks = done.stdout.splitlines()
    assert at_once == "too large at once"
    assert blocks == "(64, 3, 256, 256) 3.0 0.0"  # the logit of an image of ones is 3


# ---- progress ----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrpref._support.progress.PATIENCE", -1.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    in_blocks(progress=False)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
    in_blocks()
    *drawn, wiped, rest = sys.stderr.getvalue().split("\r")[1:]  # type: ignore[attr-defined]
    assert [line.split()[-1] for line in drawn] == ["43%", "86%", "100%"]
    assert all(line.startswith("explaining 7 samples [") for line in drawn)
    assert (wiped.strip(), rest) == ("", "")


def test_no_bar_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("lrpref._support.progress.PATIENCE", -1.0)
    in_blocks()
    assert capsys.readouterr().err == ""
    in_blocks(progress=True)
    assert "100%" in capsys.readouterr().err


# ---- errors raised before any sample is read ---------------------------------------------------------------------


class Unread(Lazy):
    """A data set whose samples must not be read; only an empty slice, for backend and dtype, is allowed."""

    def __getitem__(self, samples: slice) -> Any:
        assert samples == slice(0, 0), "samples were read"
        return self.values[samples]


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (ParameterError, {"batch_size": 0}, "batch_size must be an integer of at least 1, .*got 0"),
        (ParameterError, {"batch_size": -1}, "batch_size"),
        (ParameterError, {"batch_size": 2.0}, "batch_size"),
        (ParameterError, {"batch_size": True}, "batch_size"),
        (ParameterError, {"batch_size": "all"}, "batch_size"),
        (TargetError, {"target": 4}, "out of range for 4 outputs"),
        (TargetError, {"target": [0] * 6}, "expected one target per sample .*, got 6"),
        (TargetError, {"target": [0, 0, 0, 0, 0, 0, 9]}, "out of range"),
        (
            ShapeError,
            {"seed": np.ones((3, 4))},
            r"the seed must be shaped like the explained output, \(7, 4\), got \(3, 4\)",
        ),
        (InputError, {"seed": "loud"}, 'seed must be "logit"'),
        (InputError, {"seed": np.nan}, "NaN or infinities"),
        (LrprefError, {"node": "conv9"}, "no node is called 'conv9'"),
        (UnknownNameError, {"rule": "epsilom"}, "did you mean 'epsilon'"),
        (ShapeError, {"x": Unread(eighths(7, 2, 4, 4))}, "node 'conv2d1'"),
        (DTypeError, {"x": Unread(X.astype(complex))}, "dtype complex"),
        (ShapeError, {"out": np.empty((7, 4, 4))}, r"out has shape \(7, 4, 4\), but the relevance .* \(7, 1, 4, 4\)"),
        (ParameterError, {"out": "R.npz"}, "an array or a .npy file, got out='R.npz'"),
        (OutputError, {"out": "no/such/folder/R.npy"}, "no/such/folder"),
        (DTypeError, {"out": "R.npy", "net": lrpref.exact(CNN)}, "exact numbers cannot be stored"),
        (RuleError, {"net": Network.sequential(Softmax())}, "consists of a Softmax only"),
    ],
)
def test_what_is_refused(
    error: type[Exception], arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        in_blocks(**{"x": Unread(X), **arguments})
    assert not list(tmp_path.iterdir())
