"""The fuzzers run, and notice what they are there to notice."""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if sys.platform == "win32":  # no signals that interrupt a case, no limits of resources
    pytest.skip("the fuzzers need POSIX", allow_module_level=True)

pytest.importorskip("onnx", reason="one of the readers")

from fuzz import bounds, graphs, mutate, page
from fuzz.runner import Fuzzer, Tally, _peak, find, try_case

import lrpref
from lrpref.fast.prepared import Prepared

SOME = {"files": range(2000, 2060), "arrays": range(5840, 5900), "commands": range(5), "graphs": range(6, 7)}
"""For each fuzzer a few cases of those that CI and the deep run try."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SOME)
def test_a_few_cases(name: str, tmp_path: Path) -> None:
    tally, fuzzer = Tally(), find(name)
    for seed in SOME[name]:
        try_case(fuzzer, seed, tmp_path, tally)
    assert not tally.failures, tally.reports
    assert tally.cases == len(SOME[name])
    assert sum(tally.outcomes.values()) >= tally.cases


def test_a_case_depends_on_its_seed_alone(tmp_path: Path) -> None:
    fuzzer = find("files")
    assert [fuzzer.case(seed, tmp_path) for seed in (2000, 2001)] == [
        fuzzer.case(seed, tmp_path) for seed in (2000, 2001)
    ]


def tried(case: Any, tmp_path: Path, seconds: float = 5) -> Tally:
    tally = Tally()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try_case(Fuzzer("made up", case, seconds, 64), 7, tmp_path, tally)
    return tally


def raises(seed: int, folder: Path) -> Counter[str]:
    raise KeyError("undocumented")


def warns(seed: int, folder: Path) -> Counter[str]:
    warnings.warn("of Pillow", stacklevel=1)
    return Counter()


def grows(seed: int, folder: Path) -> Counter[str]:
    """Beyond the peak of this process, which other tests may have raised."""
    return Counter({"bytes": np.ones(int(_peak() + 128) << 20, np.uint8).size})


def hangs(seed: int, folder: Path) -> Counter[str]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            sum(range(1000))
        except Exception:  # a reader that takes anything for a damaged file does not hide it
            continue
    return Counter()


@pytest.mark.parametrize(
    ("case", "error"),
    [
        (raises, "KeyError"),
        (warns, "UserWarning"),
        pytest.param(grows, "TooLargeError", marks=pytest.mark.slow),
        (hangs, "TooSlowError"),
    ],
)
def test_what_counts_as_a_failure(case: Any, error: str, tmp_path: Path) -> None:
    tally = tried(case, tmp_path, seconds=0.2 if case is hangs else 20)
    assert [kind.split()[0] for kind in tally.failures] == [error]
    assert "seed 7" in next(iter(tally.reports.values()))


@pytest.mark.parametrize(("dtype", "wrong"), [(np.float64, 1e-6), (np.float32, 1e-2)])
@pytest.mark.parametrize("seed", [4, 2])
def test_a_wrong_digit_of_the_prepared_engine_is_noticed(
    seed: int, dtype: Any, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a network of tests/graphs.py, and with a wide one."""
    plain = Prepared.explain
    rng = np.random.default_rng(seed)
    net, x = (graphs._norms if seed % 3 == 1 else graphs._wide)(seed, rng)
    net, x = net.astype(dtype), x.astype(dtype)
    assert graphs.compare(net, x, "z-plus", False, rng)["comparisons"]
    monkeypatch.setattr(Prepared, "explain", lambda *given: plain(*given) * dtype(1 + wrong))
    with pytest.raises(AssertionError, match="bound"):
        graphs.compare(net, x, "z-plus", False, rng)


def test_a_bound_by_hand() -> None:
    """One unit, z = 3 * 2 + 1: the error of z is n u |z|, and that of R_1 = 6 / 7 * z is as many roundings."""
    net = lrpref.Network.sequential(lrpref.Dense([[3.0]], [1.0]))
    walk = bounds.forward(net, np.array([[2.0]]), unit=1e-3, exact=False, forms={})
    assert walk.errors["dense1"] == pytest.approx(9 * 1e-3 * 7)
    found = bounds.backward(walk, {"dense1": lrpref.rules.Zero()}, "dense1", np.array([[7.0]]), np.zeros((1, 1)))
    assert found.decided.all()
    assert 6 * 1e-3 < found.error[0, 0] < 6 * 50e-3


def test_a_sample_at_a_jump_is_undecided() -> None:
    net = lrpref.Network.sequential(lrpref.Dense([[1.0, -1.0]]))
    x = np.array([[1.0, 1.0 - 1e-9], [1.0, -1.0]])
    walk = bounds.forward(net, x, unit=1e-7, exact=False, forms={})
    found = bounds.backward(walk, {"dense1": lrpref.rules.Zero()}, "dense1", np.ones((2, 1)), np.zeros((2, 1)))
    assert found.decided.tolist() == [False, True]


def test_mutations_leave_the_original_alone_and_differ() -> None:
    from random import Random

    data, tree = bytes(range(200)), {"a": [1, 2, {"b": "c"}]}
    found = {mutate.of_bytes(Random(seed), data) for seed in range(50)}
    trees = {repr(mutate.of_json(Random(seed), tree)) for seed in range(50)}
    assert data == bytes(range(200))
    assert tree == {"a": [1, 2, {"b": "c"}]}
    assert min(len(found), len(trees)) > 30


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_states_what_was_measured() -> None:
    assert page.PAGE.read_text() == page.written(page.PAGE.read_text(), json.loads(page.DATA.read_text()))


def test_the_page_has_every_figure() -> None:
    blocks = re.findall(r"<!-- ([a-z]+) -->", page.PAGE.read_text())
    assert sorted(set(blocks) - {"end"}) == sorted(page.BLOCKS)


MEASURED: dict[str, Any] = {
    "coverage": {"percent": 97.25, "lines": 1000, "branches": 10},
    "measures": {
        "memory": {"explain": {"explanations": 5000, "early": 40.5, "end": 41.0}},
        "bits": {"runs": "3 of 3", "mlp, plain": {"batches of 1": 2e-16}, "mlp, prepared": {"2 threads": 0.0}},
    },
    "fuzzers": {
        name: {
            "cases": 3000,
            "seconds": 10,
            "outcomes": {"npz: read": 10, "npz: WeightsError": 990, "comparisons": 77, "survived: aimed": 50},
            "slowest": {"seconds": 0.5, "seed": 1},
            "largest": {"mebibytes": 16.0, "seed": 1},
            "failures": {"KeyError at x.py:1": 2},
            **{"commit": "1a2b3c4", "date": "2026-11-30", "lrpref": "1", "numpy": "2", "python": "3"},
            **{"processes": 2, "seed": 0 if name == "files" else 5},
        }
        for name in ("files", "graphs", "kills")
    },
}
STATED = {
    "coverage": ["97.2 % of the lines and branches", "(1,000 lines, 10 branches)"],
    "measures": ["5,000 explanations, 41.0 MiB", "3 of 3", "| mlp, plain | 2e-16 | - |", "| mlp, prepared | - | 0 |"],
    "fuzzers": [
        "| files | 3,000 | 10 | 2 | 0.50 | 16 | 1a2b3c4, 2026-11-30 |",
        *["10 read", "77 maps", "and 50 while a part file existed"],
        *["- files: seeds from 0, 2 processes, NumPy 2, Python 3.", "- graphs, kills: seeds from 5, 2"],
    ],
}


@pytest.mark.parametrize("name", STATED)
def test_a_measured_figure_reaches_the_page(name: str) -> None:
    found = page.written(f"a\n<!-- {name} -->\nold\n<!-- end -->\nb\n", MEASURED)
    assert found.startswith(f"a\n<!-- {name} -->\n")
    assert found.endswith("\n<!-- end -->\nb\n")
    assert "old" not in found
    assert [text for text in STATED[name] if text not in found] == []
