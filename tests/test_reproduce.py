"""The two reproduction studies: their designs, their measures, resuming an interrupted run, and the verdicts."""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lrpref
from lrpref import Add, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU, reproduce, rules
from lrpref._support.files import part_path
from lrpref.cli import main
from lrpref.errors import DataError, InputError
from lrpref.reproduce import guillemot2020, images, measures, networks, nyiri2025, report, runner, statistics
from lrpref.reproduce.networks import Trained
from lrpref.reproduce.study import Claim, Protocol, Study, Unit

SHORT = Protocol(images=3, points=4, more=False)


def norm(channels: int, rng: np.random.Generator) -> BatchNorm:
    return BatchNorm(
        rng.normal(1, 0.3, channels),
        rng.normal(0, 0.5, channels),
        rng.normal(size=channels),
        rng.random(channels) + 0.5,
    )


def small(position: str, seed: int) -> Network:
    """A tiny untrained network for digits, with BatchNorm at one of the positions of the first study."""
    rng = np.random.default_rng(seed)
    if position.startswith("dense"):
        layers = [Flatten(), Dense(rng.normal(size=(6, 784)) / 28, rng.normal(size=6))]
        middle = {"dense": [ReLU()], "dense-bn-relu": [norm(6, rng), ReLU()], "dense-relu-bn": [ReLU(), norm(6, rng)]}
        return Network.sequential(*layers, *middle[position], Dense(rng.normal(size=(10, 6)), rng.normal(size=10)))
    first = [norm(1, rng)] if position == "bn-first" else []
    conv = Conv2D(rng.normal(size=(2, 1, 3, 3)), rng.normal(size=2), padding=1)
    middle = (
        [conv, norm(2, rng), ReLU(), MaxPool2D(4)]
        if position in ("conv-bn-relu", "both")
        else [conv, ReLU(), MaxPool2D(4)]
    )
    middle += [norm(2, rng)] if position == "conv-relu-bn" else []
    head = [Flatten(), Dense(rng.normal(size=(5, 98)), rng.normal(size=5))]
    head += [norm(5, rng)] if position == "both" else []
    return Network.sequential(*first, *middle, *head, ReLU(), Dense(rng.normal(size=(10, 5)), rng.normal(size=10)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two networks of the first study and their twins, for two seeds."""
    where = tmp_path_factory.mktemp("networks")
    for seed in (0, 1):
        for position in ("conv-relu-bn", "conv", "dense-bn-relu", "dense"):
            name = networks.seeded(f"mnist-{position}", seed)
            lrpref.save(small(position, seed), where / f"{name}.npz")
    return where


# ---- study designs -----------------------------------------------------------------------------------------------


def test_the_full_design_of_the_first_study(folder: Path) -> None:
    """16 networks, 3 seeds; 5 treatments x 4 rules + 2 baselines with BatchNorm, 4 rules + 2 baselines for twins."""
    study = guillemot2020.study(SHORT, seeds=(0, 1, 2), folder=folder)
    here = [unit for unit in study.units if unit.dataset == "mnist" and unit.seed == 1]
    assert len(here) >= 2 * (5 * 4 + 2) + 2 * (4 + 2)
    assert {networks.seeded("cifar10-both", 2), networks.seeded("mnist-conv", 2)} <= set(study.missing)
    assert len({unit.name for unit in study.units}) == len(study.units)
    assert all(
        set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.=+") for name in (u.name.lower() for u in study.units)
    )


def test_the_design_of_the_second_study() -> None:
    study = nyiri2025.study(SHORT)
    rules = [unit.rule for unit in study.units if unit.network == "mnist-cnn"]
    assert rules[:3] == ["relative", "absolute", "zero"]
    assert rules[3:10] == [f"epsilon(epsilon={e})" for e in ("1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1")]
    for rule in rules:
        if rule not in (*nyiri2025.BASELINES, nyiri2025.GAMMA_BOX):
            lrpref.composites.resolve(rule)


def test_small_networks_of_the_second_study_are_repeated(folder: Path) -> None:
    """Small networks come from the first study's folder, with a seed in their names; others are trained only once."""
    study = nyiri2025.study(SHORT, seeds=(0, 1), folder=folder)
    assert {unit.seed for unit in study.units if unit.network == "mnist-conv"} == {0, 1}
    assert {unit.seed for unit in study.units if unit.network == "mnist-cnn"} == {0}
    assert nyiri2025.file_of("mnist-conv", 0) == "mnist-conv-seed0"
    assert (nyiri2025.file_of("resnet20", 0), nyiri2025.file_of("resnet20", 1)) == ("resnet20", "resnet20-seed1")


def test_residual_networks_are_measured_under_every_reading() -> None:
    """A network of the study has an Add if and only if the readings of Relative LRP are among its rules."""
    study = nyiri2025.study(SHORT)
    for network in nyiri2025.NETWORKS:
        path = networks.path_of(nyiri2025.file_of(network, 0))
        assert path is not None
        with np.load(path) as held:  # the layers alone: loading the weights of all networks takes seconds
            joined = '"type": "Add"' in str(held["architecture"])
        measured = {unit.rule for unit in study.units if unit.network == network}
        assert measured >= set(nyiri2025.READINGS) if joined else measured.isdisjoint(nyiri2025.READINGS)
    assert set(nyiri2025.READINGS.values()) == {"bare", "unsigned", "no-divisor", "unit-norm"}


def test_a_reading_is_compared_with_the_default() -> None:
    """The map of a reading is computed in float64, also if the network is not; its cosine is that with the default."""
    rng = np.random.default_rng(0)
    net = Network(
        [
            ("flat", Flatten(), ["input"]),
            ("a", Dense(rng.normal(size=(8, 784)) / 28), ["flat"]),
            ("relu", ReLU(), ["a"]),
            ("b", Dense(rng.normal(size=(8, 8))), ["relu"]),
            ("sum", Add(), ["b", "relu"]),
            ("fc", Dense(rng.normal(size=(10, 8))), ["sum"]),
        ]
    ).astype(np.float32)
    batch = digits()
    for name, reading in nyiri2025.READINGS.items():
        found = nyiri2025.measured(Trained(net), Unit("mnist", "resnet20", 0, "", name), batch, SHORT)
        wide, target = net.astype(np.float64), net.forward(batch.x).argmax(axis=1)
        maps = [
            lrpref.explain(wide, batch.x, target, rules.Relative(each)).reshape(3, -1) for each in (reading, "rescaled")
        ]
        lengths = [np.linalg.norm(R, axis=1) for R in maps]
        assert_allclose(found["cosine_rescaled"], (maps[0] * maps[1]).sum(axis=1) / lengths[0] / lengths[1], rtol=1e-9)
        short = lrpref.explain(net, batch.x, target, rules.Relative(reading)).reshape(3, -1)
        error = np.linalg.norm(short - maps[0], axis=1) / lengths[0]
        assert_allclose(found["precision_l2"], error, rtol=1e-3, atol=1e-9)
        assert (found["precision_l2"] > 0).all()


@pytest.mark.parametrize("position", [*guillemot2020.TWINS, "conv", "dense"])
def test_every_position_fuses_away(position: str) -> None:
    """No BatchNorm remains as a Scale, so "fused" means the same for all networks."""
    net = small(position, 0)
    assert lrpref.fusion_plan(net).kept == ()
    assert (position in ("conv", "dense")) == (not lrpref.fusion_plan(net).decisions)


ROOT = Path(__file__).parent.parent
COMMITTED = sorted((ROOT / "weights" / "bn").glob("*.npz"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_committed_networks(path: Path) -> None:
    """They load, all BatchNorm layers fold, the page gives their accuracy, and they classify the embedded digits."""
    trained, about = networks.load(path.stem), lrpref.weights.metadata(path)
    dataset = path.stem.partition("-")[0]
    batch = images.load(dataset, 10)
    fused = lrpref.fuse(trained.net, verify=batch.x)
    assert not any(isinstance(layer, BatchNorm | lrpref.Scale) for _, layer, _ in fused.nodes)
    page = (ROOT / "weights" / "bn" / "README.md").read_text()
    assert f"| `{path.name}` |" in page
    assert f"| {about['accuracy']['test']:.2%} of {about['accuracy']['images']:,} |" in page
    assert path.stat().st_size < 150_000
    if dataset == "mnist":
        assert (trained.answers(batch.x) == batch.labels).mean() >= 0.9


def test_all_of_seed_0_is_committed() -> None:
    assert guillemot2020.study(SHORT, seeds=(0,)).missing == ()
    assert len(COMMITTED) == 16


# ---- measures ----------------------------------------------------------------------------------------------------


def digits(count: int = 3) -> images.Images:
    return images.load("mnist", count)


@pytest.mark.parametrize("position", guillemot2020.TWINS)
def test_treatments(position: str) -> None:
    """Under LRP-0, BatchNorm under zero gives the fused map (a theorem), under pass another; the target is the same."""
    trained, unit = Trained(small(position, 0)), Unit("mnist", f"mnist-{position}", 0, "zero", "zero")
    same = guillemot2020.measured(trained, unit, digits(), SHORT)
    assert_allclose(same["cosine_fused"], 1, atol=1e-9)
    fused = guillemot2020.measured(trained, replace(unit, treatment="fused"), digits(), SHORT)
    assert_allclose(fused["abpc_mean"], same["abpc_mean"], rtol=1e-6, atol=1e-9)
    passed = guillemot2020.measured(trained, replace(unit, treatment="pass"), digits(), SHORT)
    assert (passed["cosine_fused"] < 1 - 1e-6).any()
    assert_array_equal(fused["span_zero"], passed["span_zero"])
    for treatment in ("epsilon", "absolute"):
        rows = guillemot2020.measured(trained, replace(unit, treatment=treatment, rule="z-plus"), digits(), SHORT)
        assert np.isfinite(rows["abpc_zero"]).all()


def test_measures_of_stability() -> None:
    """A linear network under LRP-0 has the map w x: noise s e changes it by s |w e| / |w x|."""
    net = Network.sequential(Flatten(), Dense(np.random.default_rng(0).normal(size=(10, 784)).astype(np.float32)))
    trained, batch = Trained(net), digits().x
    target = trained.answers(batch)
    R = measures.relevance(trained, batch, target, "zero")
    rows = measures.stability(trained, batch, R, target, "zero", SHORT)
    found = measures.amplification(trained, batch, target, "zero")
    noise = SHORT.noise * np.random.default_rng([0, 1]).normal(size=batch.shape)
    w = net["dense1"].weight[target].reshape(batch.shape)
    expected = np.linalg.norm((w * noise).reshape(3, -1), axis=1) / np.linalg.norm((w * batch).reshape(3, -1), axis=1)
    assert_allclose(rows["noise_l2"], expected, rtol=1e-3)
    assert (rows["precision_l2"] < 1e-6).all()
    assert (rows["noise_sign"] > 0.99).all()
    assert (rows["top1"] < 0.3).all()
    assert_allclose(found["peak"], np.maximum(1, found["peak_input"]))


def test_a_map_that_is_not_finite_has_no_faithfulness() -> None:
    trained, batch = Trained(small("conv", 0)), digits().x
    target = trained.answers(batch)
    R = measures.relevance(trained, batch, target, "zero")
    R[1, 0, 3, 3] = np.inf
    rows = measures.faithfulness(trained, batch, R, target, SHORT, more=True)
    assert_array_equal(rows["finite"], [1, 0, 1])
    assert_array_equal(np.isnan(rows["abpc_mean"]), [False, True, False])
    assert {"abpc_zero", "aopc_zero", "abpc_blur", "span_uniform", "deletion", "insertion"} <= set(rows)


def test_a_map_that_is_not_finite_is_not_stable() -> None:
    trained, batch = Trained(small("conv", 0)), digits().x
    target = trained.answers(batch)
    R = measures.relevance(trained, batch, target, "zero")
    R[1, 0, 3, 3] = np.nan
    rows = measures.stability(trained, batch, R, target, "zero", SHORT)
    for name in ("noise_l2", "noise_sign", "precision_l2", "top1"):
        assert_array_equal(np.isnan(rows[name]), [False, True, False])


def test_pictures_are_taken_apart_as_pictures() -> None:
    """Normalising by (p - .5) / .25 outside the network or in its first layer gives the same faithfulness."""
    plain = small("conv", 0)
    within = Network(
        [("scale", lrpref.Scale([4.0], [-2.0]), ["input"])]
        + [(name, layer, ["scale" if i == "input" else i for i in inputs]) for name, layer, inputs in plain.nodes]
    )
    outside = Trained(plain, lrpref.inputs.Normalisation([0.5], [0.25]))
    batch = digits().x
    target = outside.answers(batch)
    assert_array_equal(Trained(within).answers(batch), target)
    R = np.random.default_rng(0).normal(size=batch.shape)
    one, two = (measures.faithfulness(net, batch, R, target, SHORT, more=True) for net in (Trained(within), outside))
    for name, values in one.items():
        assert_allclose(two[name], values, rtol=1e-5, atol=1e-5)
    low, high = outside.normalisation.box()  # type: ignore[union-attr]
    assert (float(low.item()), float(high.item())) == (-2, 2)
    box = nyiri2025.boxed(nyiri2025.GAMMA_BOX, outside)
    assert str(box.pairs[0][1]).startswith("z-box")  # type: ignore[union-attr]


# ---- running a study ---------------------------------------------------------------------------------------------


def tiny_study(calls: list[str], units: int = 3) -> Study:
    def measure(unit: Unit, found: images.Images, protocol: Protocol) -> dict[str, np.ndarray]:
        calls.append(unit.rule)
        if unit.rule == "broken":
            raise RuntimeError("a power cut")
        return {"abpc": np.arange(len(found.x)) + 0.123456789, "odd": np.array([1.0, np.nan, np.inf])}

    rules = ["zero", "flat", "broken"][:units]
    made = [Unit("mnist", "net", 0, "", rule) for rule in rules]
    return Study("0000.00000", "nobody 2000", made, (), SHORT, measure, ("abpc",), lambda found: [])


def test_the_page_lists_the_signatures_of_the_maps(tmp_path: Path) -> None:
    """Per treatment and rule, with the networks where they differ; none for baselines and for older results."""
    rules = ["zero", "flat", "random", "old"]
    study = replace(
        tiny_study([]),
        units=[Unit("mnist", net, seed, "", rule) for net in "ab" for seed in (0, 1) for rule in rules],
        signature=lambda unit: {"zero": "x|zero", "flat": f"x|{unit.network}"}.get(unit.rule, ""),
    )
    found = runner.run(study, {"mnist": digits()}, tmp_path)
    for path in (tmp_path / "units").glob("*old*"):
        path.write_text(path.read_text().replace('"signature": "", ', ""))
    page = report.as_markdown(study, report.means_of(found), [], "x", runner.headers(tmp_path, found))
    lines = page.splitlines()
    assert [line for line in lines if "x\\|" in line] == [
        "| - | `zero` | all | `x\\|zero` |",
        "| - | `flat` | a | `x\\|a` |",
        "| - | `flat` | b | `x\\|b` |",
    ]


@pytest.mark.slow
def test_the_signatures_of_both_studies(folder: Path) -> None:
    """BatchNorm left in is listed layer by layer; folded away, it is said to be."""
    for module in (guillemot2020, nyiri2025):
        study = module.study(SHORT, seeds=(0,), folder=folder)
        texts = {(unit.network, unit.treatment, unit.rule): study.signature(unit) for unit in study.units}
        assert {text.partition(":")[0] for text in texts.values()} == {"", "lrpref"}
        for (network, treatment, rule), text in texts.items():
            assert (text == "") == (rule in measures.BASELINES)
            if text and treatment not in ("", "fused", "twin"):
                assert "|layers(" in text
                assert "bn:kept" in text
            elif text:
                assert ("bn:fused" in text) == any(word in network for word in ("bn", "both", "resnet")), network


def test_a_run_is_taken_up_again(tmp_path: Path) -> None:
    """Units measured before an interruption are not measured again; the interrupted unit leaves no file."""
    calls: list[str] = []
    study = tiny_study(calls)
    with pytest.raises(RuntimeError):
        runner.run(study, {"mnist": digits()}, tmp_path)
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == [
        "net--s0--flat.jsonl",
        "net--s0--zero.jsonl",
    ]
    found = runner.run(tiny_study(calls, units=2), {"mnist": digits()}, tmp_path)
    assert calls == ["zero", "flat", "broken"]
    assert_array_equal(found[study.units[0]]["abpc"], [0.1234568, 1.123457, 2.123457])
    assert_array_equal(found[study.units[0]]["odd"], [1, np.nan, np.nan])
    first, *rows = (tmp_path / "units" / "net--s0--zero.jsonl").read_text().splitlines()
    assert json.loads(first)["protocol"]["images"] == 3
    assert len(rows) == 3
    assert sum(header["seconds"] for header in runner.headers(tmp_path, found)) < 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not lock the files that a killed writer leaves")
def test_a_resumed_run_deletes_what_a_killed_one_left(tmp_path: Path) -> None:
    """Also beside the results of a unit that is complete, and is not written again."""
    runner.run(tiny_study([], 2), {"mnist": digits()}, tmp_path)
    units = set((tmp_path / "units").iterdir())
    for unit in units:
        part_path(unit).write_text("half of i")
    runner.run(tiny_study([], 2), {"mnist": digits()}, tmp_path)
    assert set((tmp_path / "units").iterdir()) == units


def test_results_of_another_protocol_are_refused(tmp_path: Path) -> None:
    runner.run(tiny_study([], 2), {"mnist": digits()}, tmp_path)
    other = replace(tiny_study([], 2), protocol=replace(SHORT, fills=("zero",)))
    with pytest.raises(
        InputError, match=r"measured with different settings \(protocol\); choose another folder with --out"
    ):
        runner.run(other, {"mnist": digits()}, tmp_path)
    with pytest.raises(InputError, match=r"different settings \(images\)"):
        runner.run(tiny_study([], 2), {"mnist": digits(2)}, tmp_path)
    path = tmp_path / "units" / "net--s0--zero.jsonl"
    for text in ("", "{", "[]\n{}", '{"a": 1}\n{"abpc": 1}\n{"b": 2}\n'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"damaged|different settings"):
            runner.run(tiny_study([], 2), {"mnist": digits()}, tmp_path)


@pytest.mark.parametrize("value", ["text", True, [1.0], 10**30])
def test_results_that_are_not_numbers_are_refused(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "unit.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"format": 1}, {"abpc": value}])))
    with pytest.raises(InputError, match=r"is damaged .abpc is not a number in every row"):
        runner.read(path, {"format": 1})


def test_the_line_tells_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner.run(tiny_study([], 2), {"mnist": digits()}, tmp_path, progress=True)
    told = capsys.readouterr().err
    assert "\r0/2 net  zero" in told
    assert "1/2 net  flat, about 0 min left" in told
    assert told.endswith("\r")
    assert told.split("\r")[-2].strip() == ""
    runner.run(tiny_study([], 2), {"mnist": digits()}, tmp_path)
    assert capsys.readouterr().err == ""


# ---- claims and verdicts -----------------------------------------------------------------------------------------


def test_intervals_are_over_seeds() -> None:
    """Intervals use Student's t; with 2 degrees of freedom, 1, 2, 3 give 2 +- 4.303 / sqrt(3)."""
    mean, low, high = statistics.interval([1.0, 2.0, 3.0])
    assert_allclose([mean, high - mean, mean - low], [2, 4.303 / 3**0.5, 4.303 / 3**0.5])
    assert np.isnan(statistics.interval([1.0])[1:]).all()
    special = pytest.importorskip("scipy.special", reason="compares with scipy")
    assert_allclose(statistics.T_975, special.stdtrit(np.arange(1, 11), 0.975), atol=5e-4)


def test_data_sets_are_independent_groups() -> None:
    """1, 2, 3 and 10, 14, 18: means 2 and 14, variances 1 and 16 over 3 seeds each.

    The mean is 8, se^2 = (1/3 + 16/3) / 4 = 17/12, df = 17^2 / (1 + 256) * 2 = 2.25, rounded down to 2. The order
    of the seeds within a data set does not matter: seed 0 of one has nothing to do with seed 0 of the other.
    """
    mean, low, high = statistics.interval([1.0, 2.0, 3.0], [10.0, 14.0, 18.0])
    assert_allclose([mean, high - mean, mean - low], [8, *[4.303 * (17 / 12) ** 0.5] * 2])
    assert statistics.interval([3.0, 1.0, 2.0], [10.0, 14.0, 18.0]) == (mean, low, high)
    assert_allclose(statistics.interval([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])[2], 3.5 + 2.776 * 6**-0.5)  # df = 4
    assert statistics.verdict([0.1, 0.11, 0.12], [0.1, 0.11]).startswith("cannot say: 2 training seeds, at least 3")
    assert statistics.as_text([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).endswith(" over 3 + 3 seeds")
    assert statistics.verdict([0.1, 0.11, 0.12], []) == "cannot say: nothing was measured"


def test_two_sided_probabilities() -> None:
    """For 2 degrees of freedom, P(|T| > t) = 1 - t / sqrt(2 + t^2); for 1, it is 1 - 2 arctan(t) / pi."""
    for t in (0.0, 0.5, 3.0, -3.0, 40.0):
        assert_allclose(statistics.two_sided(t, 2), 1 - abs(t) / (2 + t * t) ** 0.5, atol=1e-15)
        assert_allclose(statistics.two_sided(t, 1), 1 - 2 / np.pi * np.arctan(abs(t)), atol=1e-15)
    for df, t in enumerate(statistics.T_975, start=1):
        assert_allclose(statistics.two_sided(t, df), 0.05, atol=1e-4)
    values = [1.0, 2.0, 3.0]  # t = 2 sqrt(3)
    assert_allclose(statistics.p_value(values), 1 - 12**0.5 / 14**0.5)
    assert statistics.p_value([0.0, 0.0, 0.0]) == 1
    assert statistics.p_value([2.0, 2.0, 2.0]) == 0
    assert np.isnan([statistics.p_value(), statistics.p_value([1.0]), statistics.p_value([1.0, 2.0])]).all()


def test_holm_stops_at_the_first_that_fails() -> None:
    """Of 4, the smallest must be at most .05 / 4, the next .05 / 3, ...; 0.02 fails at .05 / 3, and so does 0.021."""
    assert statistics.holm([0.021, 0.0125, 0.02, 0.9]) == [False, True, False, False]
    assert statistics.holm([0.01, 0.01, 0.02, 0.05]) == [True] * 4
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.3, 0.31, 0.29], "held"),
        ([-0.3, -0.31, -0.29], "did not hold"),
        ([0.3, -0.2, 0.1], "cannot say: the interval over seeds holds 0"),
        ([0.3, 0.31], "cannot say: 2 training seeds, at least 3 are needed"),
        ([], "cannot say: nothing was measured"),
        ([0.3, float("nan"), 0.3], "cannot say: the measure is not finite"),
        ([0.3, float("inf"), 0.3], "cannot say: the measure is not finite"),
    ],
)
def test_verdicts(values: list[float], expected: str) -> None:
    assert statistics.verdict(values) == expected


def test_a_verdict_on_two_data_sets_is_one_that_one_of_them_gives() -> None:
    """Together, .1 to .3 and 0 to .2 give .15 +- .113, by 4 degrees of freedom; the interval of each holds 0."""
    wide, wider = [0.1, 0.2, 0.3], [0.0, 0.1, 0.2]
    assert statistics.interval(wide, wider)[1] > 0
    assert statistics.verdict(wide, wider) == "cannot say: no single data set shows it"
    assert statistics.verdict(wide, [0.1, 0.11, 0.12]) == "held"
    assert statistics.verdict([-v for v in wide], [-0.1, -0.11, -0.12]) == "did not hold"


def rows(area: float, span: float = 2.0) -> dict[str, np.ndarray]:
    """Measures of two images; with the fill "zero" the area is half as large."""
    two = np.ones(2)
    areas = {"abpc_mean": area * two, "abpc_zero": area / 2 * two}
    return {**areas, "span_mean": span * two, "span_zero": span * two, "noise_l2": np.array([area, np.nan])}


def test_the_claims_of_the_first_study_by_hand() -> None:
    """Fused exceeds pass by .1, .11, .12 of the span; on the dense network it is .3, .29, .28 below the twin."""
    found: dict[Unit, Any] = {}
    for seed in range(3):
        found[Unit("mnist", "mnist-dense-bn-relu", seed, "fused", "sobel")] = rows(0.1 + 0.02 * seed)
        for rule in guillemot2020.RULES:
            found[Unit("mnist", "mnist-conv-bn-relu", seed, "fused", rule)] = rows(1.0 + 0.02 * seed)
            found[Unit("mnist", "mnist-conv-bn-relu", seed, "pass", rule)] = rows(0.8)
            found[Unit("mnist", "mnist-conv", seed, "twin", rule)] = rows(4.0, span=8.0)
            found[Unit("mnist", "mnist-dense-bn-relu", seed, "fused", rule)] = rows(0.4 + 0.02 * seed)
            found[Unit("mnist", "mnist-dense", seed, "twin", rule)] = rows(1.0)
    claims = {claim.sentence: claim for claim in guillemot2020.answer(report.means_of(found))}
    assert len(claims) == 2 * 4 * 4 + 3 * 4

    def told(start: str, rule: str) -> tuple[str, str]:
        (claim,) = [claim for name, claim in claims.items() if name.startswith(start) and name.endswith(f"({rule})")]
        return claim.figure.removeprefix("relative ABPC, "), claim.verdict

    behind, meet = "1. BatchNorm behind convolutions, fused: more accurate than under ", "2. where fully"
    mean, zero = "fill mean: 0.11 [0.0852, 0.135] over 3 seeds", "fill zero: 0.055 [0.0426, 0.0674] over 3 seeds"
    assert told(f"{behind}pass", "zero") == (f"{mean}; {zero}", "held")
    assert told(f"{behind}absolute", "z-plus")[1] == "cannot say: nothing was measured"
    assert told(f"{behind}zero", "zero")[1] == "the same map, by theorem: False"  # not measured
    worse, more, edges = (claims[name] for name in claims if name.startswith(meet) and name.endswith("(z-plus)"))
    assert worse.figure.startswith("relative ABPC, fill mean: 0.29 [0.265, 0.315] over 3 seeds; fill zero: 0.145 ")
    assert worse.verdict == "held"
    assert more.figure.startswith("relative ABPC, fill mean: 0.3 ")
    assert edges.figure.startswith("relative ABPC, fill mean: -0.15 ")
    assert edges.verdict == "did not hold"
    for seed in range(3):
        found[Unit("mnist", "mnist-conv-bn-relu", seed, "pass", "zero")]["abpc_zero"] += 1.0
    torn = {claim.sentence: claim.verdict for claim in guillemot2020.answer(report.means_of(found))}
    assert torn[f"{behind}pass (zero)"] == "cannot say: mean: held; zero: did not hold"


@pytest.mark.parametrize("area", [1.0, float("nan")])
def test_maps_that_are_not_finite_are_not_the_same(area: float) -> None:
    """The theorem's check compares the areas of all seeds; `max` would skip a NaN that does not come first."""
    found = {
        Unit("mnist", "mnist-conv-bn-relu", seed, treatment, "zero"): rows(area if seed == 1 else 1.0)
        for seed in range(3)
        for treatment in ("fused", "zero")
    }
    verdicts = [claim.verdict for claim in guillemot2020.answer(report.means_of(found))]
    assert verdicts.count("the same map, by theorem: True") == np.isfinite(area)


def test_seeds_of_two_data_sets_are_not_paired() -> None:
    """On MNIST fused gains .1, .2, .3 of the span over pass, on CIFAR-10 -.3, -.2, -.1.

    Paired by their seeds, these would average to -.1, 0, .1; by other numbers of the same seeds, to 0, 0, 0. As groups
    they give 0 +- 2.776 sqrt((.01 + .01) / 12), with 4 degrees of freedom, whatever the numbers of the seeds.
    """
    gains = {"mnist": (0.1, 0.2, 0.3), "cifar10": (-0.1, -0.2, -0.3)}
    found: dict[Unit, Any] = {}
    for dataset, values in gains.items():
        for seed, gain in enumerate(values):
            network = f"{dataset}-conv-bn-relu"
            found[Unit(dataset, network, seed, "fused", "zero")] = rows(2.0 * (1 + gain))
            found[Unit(dataset, network, seed, "pass", "zero")] = rows(2.0)
    groups = guillemot2020.differences(
        report.means_of(found), guillemot2020.CONVOLUTIONAL, "zero", "pass", "zero", "mean"
    )
    assert_allclose(groups, [list(values) for values in gains.values()])
    assert_allclose(statistics.interval(*groups)[2], 2.776 * (0.02 / 12) ** 0.5)


def test_the_claims_of_the_second_study_by_hand() -> None:
    """One seed, two images: the difference of the means over the images."""
    found: dict[Unit, Any] = {}
    for rule, area in {"relative": 1.0, "zero": 0.5, "z-plus": 3.0, **dict.fromkeys(nyiri2025.DECADES, 0.7)}.items():
        measured = {**rows(area), "precision_l2": np.array([area, area])}
        found[Unit("mnist", "mnist-cnn", 0, "", rule)] = measured
    found[Unit("mnist", "mnist-cnn", 0, "", "z-plus")]["abpc_mean"] = np.array([2.0, 4.0])
    claims = {claim.sentence: claim for claim in nyiri2025.answer(report.means_of(found))}
    faithful = claims["mnist-cnn: relative is more faithful (fill mean) than zero"].figure
    assert faithful == "ABPC, fill mean, relative minus zero: 0.5 over 1 seed"
    assert claims["mnist-cnn: relative is more faithful (fill mean) than z-plus"].figure.endswith(
        "relative minus z-plus: -2 over 1 seed"
    )
    noise = claims["mnist-cnn: relative moves less under tiny noise than zero"]
    assert noise.figure == "change under noise, zero minus relative: nan over 1 seed"  # an image has no value
    assert noise.verdict == "cannot say: the measure is not finite"
    assert (
        claims["mnist-cnn: relative is more faithful (fill zero) than random"].verdict
        == "cannot say: nothing was measured"
    )
    choice = "mnist-cnn: without a hyperparameter there is nothing to choose wrongly (fill zero)"
    assert claims[choice].figure.endswith("varies by 0")


def test_the_worth_of_a_choice_has_no_seed_in_it() -> None:
    """ABPC is 1 for seed 0 and 9 for seed 1, whatever epsilon; only for epsilon = 1 it is 2 and 10. The worth is 1."""
    found: dict[Unit, Any] = {}
    for seed, area in ((0, 1.0), (1, 9.0)):
        for rule in nyiri2025.DECADES:
            found[Unit("mnist", "mnist-conv", seed, "", rule)] = rows(area + (rule == "epsilon(epsilon=1)"))
    worth = nyiri2025.worth_of_a_choice(report.means_of(found), "mnist-conv", "mean")
    assert worth.figure == "over six decades of epsilon, ABPC varies by 1"


def test_a_measure_without_a_value_for_an_image_has_no_mean() -> None:
    unit = Unit("mnist", "net", 0, "", "zero")
    means = report.means_of({unit: rows(3.0)})
    assert_array_equal(report.per_seed(means, [unit], "noise_l2"), [np.nan])
    assert report.per_seed(means, [unit], "abpc_mean") == [3.0]
    assert report.per_seed(means, [unit], "nothing") == []


def test_a_reader_can_compute_every_interval_from_the_rows_of_the_seeds() -> None:
    """The table of seeds is read back to the digits it holds, and gives the other table."""
    units = [Unit("mnist", "mnist-conv", seed, "", "zero") for seed in range(3)]
    found = report.means_of({unit: rows(1.0 + unit.seed**2) for unit in units})
    counts = dict.fromkeys(units, 2)
    text = report.as_seeds_csv(found, counts)
    assert (
        text.splitlines()[0]
        == "dataset,network,treatment,rule,seed,images,abpc_mean,abpc_zero,noise_l2,span_mean,span_zero"
    )
    assert text.splitlines()[3] == "mnist,mnist-conv,,zero,2,2,5,2.5,,2,2"
    again, images_again = report.read_seeds_csv(text)
    assert images_again == counts
    assert [again[unit]["abpc_mean"] for unit in units] == [1, 2, 5]
    assert report.as_csv(again, counts) == "".join(
        line for line in report.as_csv(found, counts).splitlines(keepends=True) if "noise_l2" not in line
    )


def test_how_many_intervals_would_exclude_0_by_chance() -> None:
    """Of two intervals of one claim, only that of the mean fill is left after correction."""
    both = Claim("claim", "", "held", {"fill mean": 0.001, "fill zero": 0.04})
    claims = [both, Claim("another", "", "held", {"": 0.002}), Claim("a third", "", "cannot say", {"": 0.9})]
    (text, _) = report.by_chance([*claims, Claim("one seed", "", "cannot say", {"": float("nan")})])
    assert "rest on 4 intervals" in text
    assert "about 0 of them would exclude 0 by chance. 3 do;" in text
    assert text.endswith("; after Holm's correction for their number, 2, in these claims: claim, fill mean; another.")
    assert report.by_chance([Claim("one seed", "", "cannot say")]) == []


# ---- the command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Networks with BatchNorm on two digits; a second call measures nothing and prints the same output."""
    out = tmp_path / "results"
    words = ["reproduce", "2002.11018", "--networks", str(folder), "--seeds", "0", "1", "--images", "2", "--quick"]
    words += ["--only=mnist-conv-relu-bn", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    stamps = {path: path.stat().st_mtime_ns for path in (out / "units").iterdir()}
    assert main(words) == 0
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in (out / "units").iterdir()} == stamps
    assert "1. BatchNorm behind convolutions, fused: more accurate than under pass (zero)" in printed
    assert "over 2 seeds" in printed
    page = (out / "summary.md").read_text()
    assert (
        "`lrpref reproduce 2002.11018 --quick --networks NETWORKS --seeds 0 1 --images 2 --only mnist-conv-relu-bn`"
        in page
    )
    assert "2 embedded digits" in page
    assert str(folder) not in page
    with (out / "summary.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert {row["seeds"] for row in table} <= {"1", "2"}
    assert all(row["images"] == "2" for row in table)


def test_parts_of_a_run_make_the_whole(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two parts in one folder are disjoint and complete; the full run then measures nothing and writes the summary."""
    words = ["reproduce", "2002.11018", "--networks", str(folder), "--seeds", "0", "--images", "2", "--quick"]
    words += ["--only=mnist-dense--", "--out", str(tmp_path)]
    assert main([*words, "--part", "1/2"]) == 0
    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "units").iterdir()}
    assert main([*words, "--part", "2/2"]) == 0
    both = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "units").iterdir()}
    assert (len(first), len(both)) == (3, 6)
    assert first.items() <= both.items()
    assert "wrote 3 units, part 2 of 2" in capsys.readouterr().out
    assert not (tmp_path / "summary.md").exists()
    assert main(words) == 0
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "units").iterdir()} == both
    assert "6 units" in (tmp_path / "summary.md").read_text()
    first_line, *rows = next((tmp_path / "units").iterdir()).read_text().splitlines()
    header = json.loads(first_line)
    another = {**header, "unit": {**header["unit"], "seed": 9}, "seconds": 3.6e6}
    (tmp_path / "units" / "another.jsonl").write_text("\n".join([json.dumps(another), *rows]))
    assert main(words) == 0
    assert ", 0.00 hours of processor time" in (tmp_path / "summary.md").read_text(), "of what the page is about"


def test_a_resumed_summary_is_the_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    """Byte for byte, and what an interrupted run leaves behind does not matter: an empty or torn temporary file."""
    words = ["reproduce", "2002.11018", "--networks", str(folder), "--seeds", "0", "--images", "2", "--quick"]
    words += ["--only=mnist-dense--", "--out", str(tmp_path)]
    assert main(words) == 0
    first = {name: (tmp_path / name).read_bytes() for name in ("summary.csv", "summary.md")}
    assert b"| `lrpref:0.2.0\\|z-plus\\|seed:logit\\|bn:none\\|form:direct\\|cases:1.4` |" in first["summary.md"]
    units = sorted((tmp_path / "units").iterdir())
    assert len(units) == 6
    for unit in units[::2]:
        unit.unlink()
    for unit in (*units, tmp_path / "units" / "of another version.jsonl"):
        unit.with_name(f".{unit.stem}.1234.part.jsonl").touch()
        part_path(unit).write_text('{"format": "lrpref-rep')
    assert main(words) == 0
    again = {name: (tmp_path / name).read_bytes() for name in first}
    assert again["summary.csv"] == first["summary.csv"]
    assert re.sub(rb"[\d.]+ hours", b"", again["summary.md"]) == re.sub(rb"[\d.]+ hours", b"", first["summary.md"])


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_parts_that_are_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reproduce", "2002.11018", f"--part={text}"])
    assert "expected a part such as 1/2" in capsys.readouterr().err


def test_images_of_a_folder(tmp_path: Path) -> None:
    """Images of a folder are read and checked by `lrpref.datasets`."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "cifar10_eval.npz", x_test=x, y_test=np.arange(5), index_test=np.arange(5, dtype=np.int32))
    found = images.load("cifar10", 4, tmp_path, check=False)
    assert found.source == "the first 4 test images of cifar10"
    assert_allclose(found.x[1, 2], x[1, :, :, 2] / 255, rtol=1e-6)
    with pytest.raises(DataError):
        images.load("cifar10", 4, tmp_path)  # not the published files
    assert images.load("cifar10", 5).x.shape == (1, 3, 32, 32)
    assert images.load("cifar10", 5).labels.tolist() == [3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("reproduce 1234.5678", "no study of '1234.5678'; available: 2002.11018, 2501.14322"),
        ("reproduce 2501.14322 --images 0", "--images must be at least 1, got 0"),
        ("reproduce 2501.14322 --only nothing-of-this-name", "nothing to measure"),
        ("reproduce 2501.14322 --quick --data nowhere --only mnist-cnn", 'no mnist "test" in nowhere'),
    ],
)
def test_mistakes_are_told_in_a_line(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_studies_are_known_by_their_numbers() -> None:
    assert set(reproduce.STUDIES) == {"2002.11018", "2501.14322"}
