"""lrpref compared with zennit: always with the committed fixtures, and live if torch and zennit are installed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import ModuleType

import numpy as np
import pytest

from lrpref.rules import ZPlus

from . import fixtures
from .conftest import INSTALLED
from .differences import AGREEMENTS, DIFFERENCES, Case, close, decode, lrpref_outcome, page, zennit_outcome
from .networks import NETWORKS
from .pairs import PAIRS

TOLERANCE = 1e-10
SETTINGS = fixtures.settings()
RUNS = [(run, name) for run, about in SETTINGS["runs"].items() for name in about["pairs"]]

live = pytest.mark.skipif(
    not INSTALLED,
    reason="torch and zennit are not installed (see tests/agreement/README.md); the committed fixtures are compared",
)


@cache
def zennit_side() -> ModuleType:
    from . import zennit_side

    return zennit_side


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


# ---- whole networks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "pair"), RUNS)
def test_lrpref_agrees_with_the_stored_heatmaps(run, pair):
    assert max(fixtures.distances(run, PAIRS[pair])) <= TOLERANCE


@pytest.mark.parametrize("run", SETTINGS["runs"])
def test_both_compute_the_same_output(run):
    stored = fixtures.arrays(run)
    output = fixtures.network(SETTINGS["runs"][run]["network"]).forward(stored["x"])
    np.testing.assert_allclose(output, stored["output"], rtol=1e-10)


@pytest.mark.parametrize("run", SETTINGS["runs"])
def test_no_stored_heatmap_is_empty(run):
    relevance = fixtures.arrays(run)["relevance"]
    assert np.all(np.isfinite(relevance))
    assert np.all(np.abs(relevance).sum(axis=tuple(range(3, relevance.ndim))) > 0)


@pytest.mark.parametrize("run", SETTINGS["runs"])
def test_the_tolerance_tells_a_rule_from_the_same_without_stabilizer(run):
    assert max(fixtures.distances(run, replace(PAIRS["z-plus"], lrpref=ZPlus()))) > TOLERANCE


def test_the_fixtures_are_of_the_pairs_and_networks_in_the_source():
    assert SETTINGS["pairs"] == {pair.name: fixtures.describe(pair) for pair in PAIRS.values()}
    assert SETTINGS["seeds"] == fixtures.SEEDS
    assert {about["network"] for about in SETTINGS["runs"].values()} == set(NETWORKS)
    for about in SETTINGS["runs"].values():
        net = fixtures.network(about["network"])
        assert about["pairs"] == [pair.name for pair in PAIRS.values() if pair.applies_to(net)]


def test_the_fixtures_are_small():
    files = [fixtures.ARRAYS, fixtures.SETTINGS, *fixtures.STORED.iterdir()]
    assert sum(file.stat().st_size for file in files) < 500_000


@live
@pytest.mark.parametrize(("run", "pair"), RUNS)
def test_lrpref_agrees_with_zennit_live(run, pair):
    about, x, pair = SETTINGS["runs"][run], fixtures.arrays(run)["x"], PAIRS[pair]
    twin = zennit_side().Twin(fixtures.network(about["network"]))
    heatmaps = []
    for seed in fixtures.SEEDS:
        composite = zennit_side().make(pair.zennit, pair.arguments, about["merged"])
        heatmaps.append(zennit_side().relevance(twin, composite, x, np.array(about["target"]), seed)[1])
    assert max(fixtures.distances(run, pair, np.stack(heatmaps))) <= TOLERANCE


# ---- case by case ----------------------------------------------------------------------------------------------


def stored(case: Case, side: str):
    return decode(SETTINGS["cases"][case.name][side])


@named(DIFFERENCES + AGREEMENTS)
def test_lrpref_gives_the_number_on_the_page(case):
    assert close(lrpref_outcome(case), stored(case, "lrpref"))


@named(DIFFERENCES)
def test_the_two_differ(case):
    assert not close(stored(case, "lrpref"), stored(case, "zennit"), TOLERANCE)


@named([case for case in DIFFERENCES if case.remedy])
def test_the_remedy_makes_them_agree(case):
    assert close(lrpref_outcome(case.remedied()), stored(case, "zennit remedied"), TOLERANCE)


@named(AGREEMENTS)
def test_the_two_agree(case):
    assert close(stored(case, "lrpref"), stored(case, "zennit"), TOLERANCE)


def test_the_page_is_the_one_that_the_fixtures_make():
    assert fixtures.DOCUMENT.read_text(encoding="utf-8") == page(SETTINGS["cases"], SETTINGS["versions"])


@live
@named(DIFFERENCES + AGREEMENTS)
def test_zennit_gives_the_number_on_the_page(case):
    found = zennit_outcome(case, zennit_side())
    if case.refuses == "zennit":
        assert isinstance(found, str)  # any error: the type depends on the version
    else:
        assert close(found, stored(case, "zennit"))


@live
@named([case for case in DIFFERENCES if case.remedy])
def test_zennit_still_agrees_after_the_remedy(case):
    assert close(zennit_outcome(case.remedied(), zennit_side()), stored(case, "zennit remedied"))


@live
@pytest.mark.parametrize("rule", ["Gamma", "ZPlus", "AlphaBeta"])
def test_a_rule_on_a_sum_is_the_signed_split(rule):
    """As docs/skips.md says: for branches 2 and -1, zennit gives 2 and -1, whatever the rule."""
    z = zennit_side()
    branches = [z.tensor([[value]]).requires_grad_() for value in (2.0, -1.0)]
    module = z.Sum()
    handle = getattr(z.rules, rule)(**({"gamma": 1.0} if rule == "Gamma" else {}), stabilizer=1e-12).register(module)
    output = module(z.torch.stack(branches, dim=-1))
    gradients = z.torch.autograd.grad(output, branches, z.torch.ones_like(output))
    handle.remove()
    np.testing.assert_allclose([float(gradient) for gradient in gradients], [2, -1], rtol=1e-10)
