"""The benchmarks run, count the work correctly and print what they measured. Times are not checked."""

from __future__ import annotations

import gc
import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrpref import Conv2D, Dense, Flatten, Network, composites, models

pytest.importorskip("benchmarks", reason="the benchmarks are part of a checkout; run python -m pytest at its root")

from benchmarks import (
    contestants,
    counting,
    equality,
    flipping,
    gpu,
    growth,
    limit,
    machine,
    memory,
    peers,
    profile,
    report,
    timing,
)
from benchmarks.__main__ import main
from benchmarks.contestants import CAPTUM, FORWARD, GRADIENT, OURS, PEERS, ZENNIT, Case, contestant, heatmap
from benchmarks.ours import several_targets
from benchmarks.subjects import QUICK, SUBJECTS


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not repeat calls: the measured times are not checked."""
    monkeypatch.setattr(timing, "LEAST_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def little_garbage() -> Iterator[None]:
    """Collect the garbage of the benchmark alone: it does so at each measurement, and the suite holds many objects."""
    gc.freeze()
    yield
    gc.unfreeze()


# ---- counts of multiply-adds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "giga"), [(models.vgg16, 15.47), (models.resnet50, 4.09), (models.vgg19, 19.63), (models.resnet20, 0.041)]
)
def test_multiply_adds_of_known_networks(build: Any, giga: float) -> None:
    """The well-known numbers of multiply-adds per image, in 10^9."""
    net = build(seed=None)
    side = 32 if build is models.resnet20 else 224
    found = sum(limit.multiply_adds(net, (1, 3, side, side)).values()) / 1e9
    assert_allclose(found, giga, rtol=0.01)
    twice = sum(limit.multiply_adds(net, (2, 3, side, side)).values()) / 1e9
    assert twice == 2 * found


def test_products_by_hand() -> None:
    """A 3 x 3 convolution, 2 to 4 channels, 5 x 5 pixels, then 100 features to 3: flat takes 1 product, epsilon 2."""
    conv, fc = Conv2D(np.ones((4, 2, 3, 3)), padding=1), Dense(np.ones((3, 100)))
    net = Network.sequential(conv, Flatten(), fc)
    shape = (1, 2, 5, 5)
    assert limit.multiply_adds(net, shape) == {"conv2d1": 25 * 4 * 18, "dense1": 300}
    assert limit.needed(net, shape, composites.EpsilonPlusFlat()) == 1 * 1800 + 2 * 300
    assert limit.needed(net, shape, composites.EpsilonPlus()) == 3 * 1800 + 2 * 300
    assert limit.needed(net, shape, composites.EpsilonGammaBox(0, 1)) == 2 * 1800 + 2 * 300
    assert limit.needed(net, shape, composites.EpsilonAlpha2Beta1()) == 4 * 1800 + 2 * 300


def test_the_limit_scales_with_the_work() -> None:
    """The product of two n x n matrices takes n^3 multiply-adds."""
    assert limit.seconds_at(0.5, 10, 1000) == 0.5
    assert limit.seconds_at(0.5, 10, 3000) == 1.5
    assert np.shape(limit.sgemm(3)()) == (3, 3)


@pytest.mark.parametrize("composite", peers.COMPOSITES)
def test_every_rule_of_every_composite_is_counted(composite: str) -> None:
    case = Case.of("resnet20", 1, composite, quick=True)
    assert limit.needed(case.net, case.x.shape, case.rule) > sum(limit.multiply_adds(case.net, case.x.shape).values())


# ---- rounds ------------------------------------------------------------------------------------------------------


def test_rounds_are_interleaved_and_begin_with_another_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    monkeypatch.setattr(timing, "seconds", lambda run, repeats=1, wait=None: (run(), 1.0)[1])
    told: list[int] = []
    found = timing.paired(runs, 4, done=lambda: told.append(1))
    assert "".join(order) == "abc" + "abc" + "bca" + "cab" + "abc"  # the first three calls are the warm-up
    assert {name: len(times) for name, times in found.items()} == {"a": 4, "b": 4, "c": 4}
    assert len(told) == 12


def test_what_is_fast_is_run_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that advances 1 ms per call, 50 calls fill 50 ms and the average stays 1 ms."""
    monkeypatch.setattr(timing, "LEAST_SECONDS", 0.05)
    now = [0.0]

    def run() -> None:
        now[0] += 1e-3

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    assert_allclose(timing.paired({"run": run}, 3)["run"], 1e-3)
    assert_allclose(now[0], 1e-3 * (1 + 3 * 50))


def test_a_device_is_waited_for() -> None:
    waits: list[str] = []
    timing.seconds(lambda: waits.append("run"), 2, lambda: waits.append("wait"))
    assert waits == ["wait", "run", "run", "wait"]


def test_ratios_are_taken_within_rounds() -> None:
    """A machine twice as slow in round 2 does not change the ratios."""
    assert timing.ratio([3.0, 6.0, 3.0], [1.0, 2.0, 1.0]) == timing.Spread(3.0, 3.0, 3.0)


# ---- all contestants do the same work ----------------------------------------------------------------------------


def test_inputs_stay_in_their_range() -> None:
    for subject in (*QUICK.values(), *SUBJECTS.values()):
        x = subject.input(2)
        assert x.shape == (2, *subject.shape)
        assert x.dtype == np.float32
        assert subject.low <= x.min() < x.max() <= subject.high
        assert_array_equal(x, subject.input(2))


PAIRS = [("vgg16", "epsilon-gamma-box"), ("resnet20", "epsilon-plus-flat"), ("mnist-cnn", "epsilon-alpha2-beta1")]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "composite"), PAIRS)
def test_all_forms_compute_the_same_in_float64(network: str, composite: str) -> None:
    rows = list(equality.distances(network, composite, 2, OURS, quick=True))
    double = [row for row in rows if row["dtype"] == "float64"]
    single = [row for row in rows if row["dtype"] == "float32"]
    assert len(double) == len(OURS) - 1
    assert len(single) == len(OURS)
    assert max(row["worst"] for row in double) < 1e-9
    assert 1e-9 < max(row["worst"] for row in single) < 1e-2


@pytest.mark.parametrize("network", ["vgg16", "resnet50"])
@pytest.mark.parametrize("composite", peers.COMPOSITES)
def test_zennit_computes_the_same(network: str, composite: str) -> None:
    pytest.importorskip("zennit", reason="zennit is not installed: nothing to compare with")
    rows = list(equality.distances(network, composite, 2, [ZENNIT], quick=True))
    assert [row["dtype"] for row in rows] == ["float64", "float32"]
    assert rows[0]["worst"] < 1e-9


def test_convolutions_are_counted() -> None:
    """docs/performance.md lists the counts of all rules. zennit's epsilon: z, z again for the rule, both gradients."""
    pytest.importorskip("zennit", reason="zennit is not installed: nothing to count")
    pytest.importorskip("captum", reason="captum is not installed: nothing to count")
    page = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
    for rule in counting.ZENNIT:
        captum = counting.of_captum(rule) if rule in counting.CAPTUM else "not offered"
        assert f"| {rule.name} | {limit.PRODUCTS[rule]} | {counting.of_zennit(rule)} | {captum} |" in page


def test_torch_runs_forward_and_back() -> None:
    pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    case = Case.of("resnet20", 2, "epsilon-plus-flat", quick=True, dtype="float64")
    logits = peers.as_numpy(contestant(FORWARD, case)())
    assert_allclose(logits, case.net.forward(case.x), rtol=1e-10, atol=1e-12)
    gradient = heatmap(GRADIENT, contestant(GRADIENT, case))
    step = np.zeros_like(case.x)
    step[1, 2, 16, 16] = 1e-6
    ahead, behind = (case.net.forward(case.x + sign * step)[1, 0] for sign in (1, -1))
    assert_allclose(gradient[1, 2, 16, 16], (ahead - behind) / 2e-6, rtol=1e-4)


def test_captum_runs_again_and_again_with_its_rules() -> None:
    """captum removes its rules from the modules after a call; falling back to epsilon would change the heatmap."""
    pytest.importorskip("captum", reason="captum is not installed: nothing to compare with")
    case = Case.of("vgg16", 1, "epsilon-plus", quick=True, dtype="float64")
    run = contestant(CAPTUM, case)
    first, second = heatmap(CAPTUM, run), heatmap(CAPTUM, run)
    assert_array_equal(first, second)
    with pytest.raises(peers.NotRunError, match="alpha 1, beta 0 only"):
        contestant(CAPTUM, Case.of("vgg16", 1, "epsilon-alpha2-beta1", quick=True))


def test_who_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "installed", lambda library: False)
    case = Case.of("resnet20", 1, "epsilon-plus", quick=True)
    for name in PEERS:
        with pytest.raises(peers.NotRunError, match="torch is not installed"):
            contestant(name, case)


# ---- memory, growth, flipping ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_in_a_process_of_its_own() -> None:
    found = memory.measure("lrpref winograd", "resnet20", 1, "epsilon-plus-flat", quick=True)
    if not memory.can_measure():
        assert "Linux" in found["not_run"]
    else:
        assert found["calls"] >= 0.9 * found["ready"] > 10
        assert set(found) == {"preparing", "ready", "calls"}


def test_the_peak_is_that_of_what_was_run() -> None:
    """After a reset the peak is that of the run: 4 MiB, then 40 MiB, without memory used before or released since."""
    if not memory.can_measure():
        pytest.skip("the peak of a process can be reset on Linux only")

    def peak_of(size: int) -> float:
        memory.reset_peak()
        before = memory.peak()
        with mmap.mmap(-1, size) as held:  # fresh pages from the kernel: NumPy may reuse memory
            for page in range(0, size, mmap.PAGESIZE):
                held[page] = 1
        return memory.peak() - before

    assert_allclose(peak_of(4 * 2**20), 4, atol=2)
    assert_allclose(peak_of(40 * 2**20), 40, atol=2)


def test_growth_of_known_powers() -> None:
    assert_allclose(growth.slope([2, 4, 8, 16], [5 * n**1.5 for n in (2, 4, 8, 16)]), 1.5)
    assert_allclose(growth.peak_mib(lambda: np.ones((2, 2**18))), 4, rtol=0.05)


def test_a_column_is_what_it_says() -> None:
    net = growth.column(3, 5)
    kinds = [type(layer).__name__ for _, layer, _ in net.nodes]
    assert kinds == ["Conv2D", "ReLU", "Conv2D", "ReLU", "Conv2D", "ReLU", "GlobalAvgPool2D", "Flatten", "Dense"]
    assert net.shapes((2, 3, 8, 8))["relu3"] == (2, 5, 8, 8)
    work = [sum(limit.multiply_adds(growth.column(d, w), (1, 3, 8, 8)).values()) for d, w in ((9, 8), (17, 8), (9, 16))]
    first_and_last = 64 * 8 * 27 + 64 * 8
    assert work[1] - first_and_last == 2 * (work[0] - first_and_last)


def test_several_targets_of_one_image() -> None:
    """Every form returns K maps, each equal to the map of its target alone."""
    case = Case.of("resnet20", 1, "epsilon-plus", quick=True, dtype="float64")
    for name in OURS:
        form = contestants.form(name.removeprefix("lrpref "), case)
        maps = several_targets(form, case.x, 3)
        for k in range(3):
            assert_allclose(maps[k], form.explain(case.x, k, "one")[0], rtol=1e-9, atol=1e-12)


def test_flipping_takes_the_most_relevant_pixels_first() -> None:
    """Two pixels with relevance 1 and 3 summed over two channels: the second is flipped first."""
    x = np.array([[[[5.0, 7.0]], [[2.0, 4.0]]]])
    rank = flipping.ranks(np.array([[[[0.5, 1.0]], [[0.5, 2.0]]]]))
    assert_array_equal(rank, [[[[1, 0]]]])
    read = flipping.flip(lambda image: image.reshape(1, -1).sum(axis=1, keepdims=True), x, rank, steps=2)
    assert_array_equal(np.concatenate(read), [18, 7, 0])


# ---- commands ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All sections run on one network; `--show` prints the same tables from the saved JSON."""
    path = tmp_path / "quick.json"
    what = ["--networks", "mnist-cnn", "--composites", "epsilon-plus-flat", "--images", "1", "--threads", "1"]
    who = ["--contestants", "lrpref plain,lrpref winograd", "--json", str(path)]
    assert main(["--quick", *what, *who]) == 0
    printed = capsys.readouterr().out
    results = json.loads(path.read_text())
    assert set(results) == {"machine", "arguments", "speed", "equality", "memory", "growth", "flipping"}
    (case,) = results["speed"]
    assert list(case["seconds"]) == ["lrpref plain", "lrpref winograd", "GEMM limit"]
    assert all(len(times) == 2 and min(times) > 0 for times in case["seconds"].values())
    assert {row["grows"] for row in results["growth"]} == {"batch", "image size", "depth", "width", "targets"}
    assert max(results["flipping"]["apart"].values()) < 1e-4
    for title in ("Speed", "Relative L2", "Resident memory", "Growth", "Pixel flipping"):
        assert f"**{title}" in printed
    assert main(["--show", str(path)]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("wrong", [["--networks", "vgg99"], ["--sections", "speed,taste"], ["--batch", "one"]])
def test_what_the_command_refuses(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(wrong)
    assert error.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_the_gpu_script_asks_for_cupy_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(Exception, match="pip install cupy"):
        gpu.main([])


def test_the_machine_is_described() -> None:
    found = machine.describe(threads=3)
    assert found["threads"] == 3
    assert found["libraries"]["numpy"] == np.__version__
    assert found["processors"] >= 1
    assert found["blas"]
    assert json.loads(json.dumps(found)) == found


def test_a_table_lines_up() -> None:
    lines = report.table("T", ["a", "long"], [["1", "2"], ["333", "4"]]).splitlines()
    assert lines == ["**T**", "", "| a   | long |", "| --- | ---- |", "| 1   | 2    |", "| 333 | 4    |"]


# ---- profiling ---------------------------------------------------------------------------------------------------


def test_a_profile_times_every_step_once(capsys: pytest.CaptureFixture[str]) -> None:
    """One row per step, with a rate for steps that multiply; profiling does not change the map."""
    assert profile.main(["--network", "resnet20", "--quick", "--rounds", "1", "--forms", "direct,winograd"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("steps together") == 2
    case = Case.of("resnet20", 2, "epsilon-plus-flat", quick=True)
    found = profile.profile(case, "winograd", rounds=1)
    prepared = contestants.form("winograd", case)
    assert [row[0] for row in found.rows] == [" ".join(placed.nodes) for placed in prepared.steps]  # type: ignore[attr-defined]
    assert 0 < sum(float(row[3]) + float(row[4]) for row in found.rows) <= 1e3 * found.again
    assert all((row[1] in ("WeightedStep", "FlatRuleStep")) == bool(row[5]) for row in found.rows)
    assert found.first > 0
    assert found.prepare > 0
    watch = profile.Stopwatch()
    assert_array_equal(prepared.explain(case.x, 0, "one", watch), prepared.explain(case.x, 0, "one"))  # type: ignore[call-arg]
