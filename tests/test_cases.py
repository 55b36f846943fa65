"""lrpref passes its own conformance cases: in float64, in exact arithmetic, and layer by layer."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lrpref
from lrpref import layers, rules
from lrpref.conformance import Case, NotOffered, judge, load_adapter, load_cases
from lrpref.conformance.adapters.lrpref import Lrpref
from lrpref.conformance.case import FIXTURES, CaseError

SCRIPT = Path(__file__).parent.parent / "scripts" / "make_cases.py"
CASES = {case.id: case for case in load_cases()}


def ids(kind: str) -> list[str]:
    return [name for name, case in CASES.items() if case.kind == kind]


def assert_agrees(adapter: Any, name: str) -> None:
    found = judge(adapter, CASES[name])
    assert found.verdict == "agrees", f"{found.what}: off by {found.error} ({found.reason})"


class OneLayer(Lrpref):
    """An adapter that calls `layer.relevance` without a network."""

    details = None  # type: ignore[assignment]

    def explain(self, case: Case) -> np.ndarray:
        if len(case.network.nodes) != 1 or not isinstance(case.seed, np.ndarray):
            raise NotOffered("more than one layer, or a seed that is not the relevance itself")
        ((name, layer, _),) = case.network.nodes
        return layer.relevance(case.input, case.seed, case.rules.get(name, rules.Zero()))


# ---- cases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ids("relevance"))
def test_relevance(name: str) -> None:
    assert_agrees(load_adapter("lrpref"), name)


@pytest.mark.parametrize("name", [name for name in ids("relevance") if CASES[name].exact is not None])
def test_relevance_exactly(name: str) -> None:
    """In fractions the equations hold with ==, including the ledger."""
    assert_agrees(load_adapter("lrpref.conformance.adapters.lrpref:exact"), name)


@pytest.mark.parametrize("name", [name for name in ids("relevance") if len(CASES[name].network.nodes) == 1])
def test_one_layer_on_its_own(name: str) -> None:
    """`layer.relevance` gives the same result without a network."""
    assert_agrees(OneLayer(), name)


@pytest.mark.parametrize("name", ids("relation"))
def test_relation(name: str) -> None:
    assert_agrees(load_adapter("lrpref"), name)


@pytest.mark.parametrize("name", ids("not-offered"))
def test_not_offered(name: str) -> None:
    """Features listed as not offered are missing; once one is added, its case needs an expected value."""
    absent = CASES[name].absent
    assert judge(load_adapter("lrpref"), CASES[name]).verdict == "not-offered"
    if "rule" in absent:
        with pytest.raises(TypeError, match=absent["parameter"]):
            getattr(rules, absent["rule"])(**{absent["parameter"]: "anything"})
    elif "without" in absent:
        with pytest.raises(TypeError, match=absent["without"][0]):
            getattr(lrpref, absent["layer"])(weight=np.ones(1), bias=None)
    else:
        assert not hasattr(lrpref, absent["layer"])
        assert not hasattr(layers, absent["layer"])


# ---- fixtures ----------------------------------------------------------------------------------------------------


def test_every_number_is_there() -> None:
    assert {case.number for case in CASES.values()} == set(range(1, 43))
    assert {case.kind for case in CASES.values()} == {"relevance", "relation", "not-offered"}


def test_every_map_is_exact_unless_its_network_has_exponentials() -> None:
    inexact = [case for case in CASES.values() if case.kind == "relevance" and case.exact is None]
    assert inexact
    for case in inexact:
        assert any(isinstance(layer, lrpref.layers.Head | lrpref.layers.Smooth) for _, layer, _ in case.network.nodes)


@pytest.mark.slow
def test_the_table_is_what_its_script_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixtures are not edited by hand; the script is deterministic, and does not ask the library for its values."""
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "lrpref", None)
        with pytest.raises(ImportError):
            import lrpref  # noqa: F401
        script = runpy.run_path(str(SCRIPT))
        made = script["build"]()
    assert len(made) == len(CASES)
    assert script["differences"](FIXTURES, made) == []


@pytest.mark.parametrize("key", ["input", "expected", "output"])
def test_arrays_of_a_case_are_lists(key: str) -> None:
    """A text would be accepted where nothing computes with it at once."""
    data = next(case.data for case in CASES.values() if {"network", "input", "output"} <= set(case.data))
    with pytest.raises(CaseError, match=f"{key} must be a list of numbers, got 'hand'"):
        Case.from_data({**data, key: "hand"})
