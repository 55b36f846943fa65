"""lrp_cases: the reader, the judge, relations, known differences, profiles, the badge, and the command line."""

from __future__ import annotations

import ast
import io
import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lrp_cases
import numpy as np
import pytest
from lrp_cases import __main__ as command
from lrp_cases import reader, relations
from numpy.testing import assert_allclose
from test_cases import CASES

import lrpref
from lrpref import cli
from lrpref.conformance import Case, load_cases
from lrpref.conformance.adapters.lrpref import Lrpref
from lrpref.fusion import fuse

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cases" / "lrp_cases"
KNOWN = ROOT / "cases" / "known"
RECORDED = ROOT / "lrpref" / "conformance" / "adapters" / "recorded"
PAGE = ROOT / "docs" / "take-part.md"
TABLE = {case["id"]: case for case in lrp_cases.load()}
RELATIONS = [case for case in TABLE.values() if "questions" in case]
PROFILES = lrp_cases.load_profiles()


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def run(*arguments: str | Path) -> int:
    return command.main(list(map(str, arguments)))


# ---- the package -------------------------------------------------------------------------------------------------


def test_it_needs_the_standard_library_alone() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "__future__"}, path


def test_lrpref_has_the_same_package_inside() -> None:
    from lrpref.conformance.table import lrp_cases as inside

    assert Path(inside.__file__).samefile(lrp_cases.__file__)
    assert issubclass(lrpref.conformance.NotOffered, inside.NotOffered)


def test_the_licence_and_the_version_are_those_of_the_project() -> None:
    assert (ROOT / "cases" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    pattern = re.search(r"pattern = '(.*)'", (ROOT / "cases" / "pyproject.toml").read_text())
    assert pattern is not None
    found = re.findall(pattern[1], (PACKAGE / "data" / "index.json").read_text())
    assert found == [lrp_cases.load_index()["version"]]


# ---- the reader --------------------------------------------------------------------------------------------------

HOSTILE: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "cannot be read as JSON"),
    "no UTF-8": ("\udcff", "cannot be read as JSON"),
    "no object": ("[]", "contains a list; expected a JSON object"),
    "a key twice": ('{"a": 1, "a": 2}', "'a' occurs twice"),
    "deep lists": ("[" * 100_000, "nested deeper than 64 levels"),
    "lists of 65 levels": ("[" * 66 + "]" * 66, "nested deeper than 64 levels"),
    "a long number": ('{"a": ' + "9" * 301 + "}", "has 301 digits; at most 300"),
    "a large file": ('{"a": "' + "x" * 2**24 + '"}', "more than 16777216 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(lrp_cases.CasesError, match=message) as caught:
        reader.read_object(path)
    assert "x.json" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(lrp_cases.CasesError, match=r"x\.json cannot be read as JSON: .*No such file"):
        reader.read_object(tmp_path / "x.json")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no questions": ({"questions": None}, "needs questions and comparisons"),
    "no comparisons": ({"comparisons": []}, "needs questions and comparisons"),
    "no input": ({"input": None}, "one of these is missing"),
    "no network": ({"network": None}, "one of these is missing"),
    "a question that changes the law": ({"questions": {"a": {"check": "x"}}}, "question 'a' may change"),
    "a question without a name": ({"questions": {"": {}}}, "question '' may change"),
    "a question with numbers as numbers": ({"questions": {"a": {"input": [[1]]}}}, "as text"),
    "a comparison without a side": ({"comparisons": [{"what": "x"}]}, "needs what, got and expected"),
    "an answer to no question": ({"got": {"answer": "nobody"}}, "the answer of a question"),
    "a side of two kinds": ({"got": {"answer": "batch", "numbers": ["1"]}}, "the answer of a question"),
    "a negative sample": ({"got": {"answer": "batch", "sample": -1}}, "the answer of a question"),
    "no bound": ({"bound": {}}, "needs one bound"),
    "two bounds": ({"bound": {"tolerance": 1, "unlike": 1}}, "needs one bound"),
    "a strange bound": ({"bound": {"exec": 1}}, "needs one bound"),
    "a bound that is no number": ({"bound": {"tolerance": float("nan")}}, "needs one bound"),
    "a reason and questions": ({"adapters_only": "x"}, "the reason why there are no questions"),
    "a number over zero": ({"got": {"numbers": ["1/0"]}}, "denominator zero"),
    "a number beyond floats": ({"got": {"numbers": ["1" + "0" * 400]}}, "too large for a float"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_relation_that_does_not_fit_together_is_refused(name: str) -> None:
    changes, message = BROKEN[name]
    data = json.loads(json.dumps(TABLE["batch-independence"]))
    comparison = data["comparisons"][0]
    if "got" in changes:
        comparison["got"] = changes["got"]
    elif "bound" in changes:
        del comparison["tolerance"]
        comparison.update(changes["bound"])
    else:
        data.update(changes)
        data = {key: value for key, value in data.items() if value is not None}
    with pytest.raises(lrp_cases.CasesError, match=message):
        lrp_cases.check_case(data)


def test_a_relation_for_adapters_has_an_input_for_its_network() -> None:
    data = json.loads(json.dumps(next(case for case in TABLE.values() if {"adapters_only", "network"} <= set(case))))
    lrp_cases.check_case(data)
    del data["input"]
    with pytest.raises(lrp_cases.CasesError, match="one of these is missing"):
        lrp_cases.check_case(data)


def test_profiles_that_name_no_case_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "index.json", {"format": "lrp-cases/1", "version": "1", "cases": ["a"]})
    for data, message in (
        ({"format": "x", "profiles": {}}, "expected the format"),
        ({"format": "lrp-cases/1", "profiles": {"p": []}}, "must have a title and a list"),
        ({"format": "lrp-cases/1", "profiles": {"p": {"title": "", "cases": ["b"]}}}, "names the unknown case 'b'"),
    ):
        write(tmp_path / "profiles.json", data)
        with pytest.raises(lrp_cases.CasesError, match=message):
            lrp_cases.load_profiles(tmp_path)
    (tmp_path / "profiles.json").unlink()
    assert lrp_cases.load_profiles(tmp_path) == {}


# ---- profiles ----------------------------------------------------------------------------------------------------


def test_every_case_belongs_to_one_profile_and_no_profile_is_empty() -> None:
    listed = [case for profile in PROFILES.values() for case in profile["cases"]]
    assert sorted(listed) == sorted(TABLE)
    assert all(profile["cases"] for profile in PROFILES.values())
    assert set(PROFILES) >= {"core", "nd", "composites", "lrpref"}


def test_the_core_is_what_its_title_says() -> None:
    layers, kinds = set(), set()
    for name in PROFILES["core"]["cases"]:
        network = TABLE[name]["network"]
        layers |= {layer["type"] for layer in network["layers"].values()}
        kinds |= {rule["type"] for rule in TABLE[name]["rules"].values()}
        assert not any(rule.get("generalised") or rule.get("scale") for rule in TABLE[name]["rules"].values())
    assert layers == {"Dense", "Conv2D", "Add", "ReLU", "Flatten", "Softmax", "BatchNorm"}
    assert kinds == {"Zero", "Epsilon", "Gamma", "AlphaBeta", "ZPlus", "ZBox"}
    assert 80 <= len(PROFILES["core"]["cases"]) <= 120


def test_what_only_lrpref_has_is_asked_in_its_own_profile() -> None:
    own = set(PROFILES["lrpref"]["cases"])
    relative = {n for n, case in TABLE.items() if any(r["type"] == "Relative" for r in case.get("rules", {}).values())}
    assert relative <= own
    assert {n for n, case in TABLE.items() if case["kind"] == "not-offered"} <= own


def test_a_profile_can_be_asked_and_an_unknown_one_not() -> None:
    assert [case["id"] for case in lrp_cases.load(profile="nd")] == PROFILES["nd"]["cases"]
    assert [case.id for case in load_cases(profile="nd")] == PROFILES["nd"]["cases"]
    with pytest.raises(lrp_cases.UnknownNameError, match="no profile is called 'cor'; did you mean 'core'"):
        lrp_cases.load(profile="cor")
    with pytest.raises(lrpref.errors.UnknownNameError, match="no profile is called"):
        load_cases(profile="cor")


def test_the_page_lists_the_profiles() -> None:
    rows = [f"| `{name}` | {len(profile['cases'])} | {profile['title']} |" for name, profile in PROFILES.items()]
    assert "\n".join(["|---|---:|---|", *rows, ""]) in PAGE.read_text()


# ---- relations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [case["id"] for case in RELATIONS if "folded" in case["questions"]])
def test_the_folded_network_is_the_one_that_lrpref_folds(name: str) -> None:
    """Two computations that share no code: fractions in the script, floats in `lrpref.fuse`."""
    case = CASES[name]
    asked, fused = case.question("folded").network, fuse(case.network)
    assert asked.names == fused.names
    for key, array in fused.parameters.items():
        assert_allclose(asked.parameters[key], array, rtol=1e-14, atol=1e-15)
    assert_allclose(asked.forward(case.input), case.network.forward(case.input), rtol=1e-12, atol=1e-12)


def test_the_places_of_a_chain_are_those_of_the_forward_pass() -> None:
    case = CASES["eps-absorption-network"]
    z = case.network.activations(case.input)
    for name in case.data["questions"]:
        node = name.removeprefix("from-")
        (source,) = next(inputs for key, _, inputs in case.network.nodes if key == node)
        asked = case.question(name)
        assert_allclose(asked.input, z[source], rtol=1e-14, atol=0)
        assert asked.network.names[0] == node
        assert_allclose(asked.network.forward(asked.input), case.network.forward(case.input), rtol=1e-13)
        assert set(asked.rules) == set(case.rules) & set(asked.network.names)


@pytest.mark.parametrize("name", [case["id"] for case in RELATIONS if case["check"] == "seeds_are_factors"])
def test_the_factors_between_seeds_are_those_of_the_forward_pass(name: str) -> None:
    case = CASES[name]
    logits = case.network.forward(case.input)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    values = {"one": 1, "logit": logits[:, case.target], "probability": softmax[:, case.target], "minus-one": -1}
    assert len(case.data["comparisons"]) == 6
    for comparison in case.data["comparisons"]:
        got, base = comparison["got"]["answer"], comparison["expected"]["answer"]
        factor = np.broadcast_to(values[got] / values[base], 2)
        assert_allclose(lrp_cases.numbers(comparison["expected"]["times"]), factor, rtol=1e-13)


def test_a_batch_is_asked_whole_and_sample_by_sample() -> None:
    case = CASES["batch-independence"]
    assert list(case.data["questions"]) == ["batch", "sample-1", "sample-2", "sample-3", "sample-4"]
    assert_allclose(np.concatenate([case.question(f"sample-{n}").input for n in (1, 2, 3, 4)]), case.input, rtol=0)


def test_float32_is_asked_in_float32() -> None:
    case = CASES["precision-float32-zplus"]
    assert case.question("float32").network.dtype == case.question("float32").input.dtype == np.float32
    assert case.question("float64").network.dtype == np.float64
    assert lrp_cases.question(TABLE[case.id], "float32")["precision"] == "float32"


def simple(**comparison: Any) -> dict[str, Any]:
    """A relation between two maps of one input."""
    sides = {"what": "b against a", "got": {"answer": "b"}, "expected": {"answer": "a"}}
    return {"input": [["1", "1"]], "questions": {"a": {}, "b": {}}, "comparisons": [sides | comparison]}


@pytest.mark.parametrize(
    ("comparison", "a", "b", "agrees"),
    [
        ({"tolerance": 0.1}, [[1.0, 2.0]], [[1.2, 2.3]], True),
        ({"tolerance": 0.1}, [[1.0, 2.0]], [[1.21, 2.0]], False),
        ({"of_largest": 0.1}, [[1.0, 10.0]], [[2.09, 10.0]], True),
        ({"of_largest": 0.1}, [[1.0, 10.0]], [[2.11, 10.0]], False),
        ({"unlike": 0.5}, [[1.0, 10.0]], [[1.0, 4.9]], True),
        ({"unlike": 0.5}, [[1.0, 10.0]], [[1.0, 5.1]], False),
        ({"tolerance": 1e-9, "expected": {"answer": "a", "times": ["1/2"]}}, [[2.0, 4.0]], [[1.0, 2.0]], True),
        ({"tolerance": 1e-9, "expected": {"answer": "a", "times": [["1/2", "2"]]}}, [[2.0, 4.0]], [[1.0, 8.0]], True),
        ({"tolerance": 1e-9, "got": {"answer": "b", "sum": True}, "expected": {"numbers": ["3"]}},
         [[0.0, 0.0]], [[1.0, 2.0]], True),
        ({"tolerance": 1e-9}, [[1.0, 2.0]], [[1.0, float("nan")]], False),
    ],
)  # fmt: skip
def test_comparisons_by_hand(comparison: dict[str, Any], a: Any, b: Any, agrees: bool) -> None:
    (pair,) = relations.pairs(simple(**comparison), {"a": a, "b": b}.__getitem__)
    assert lrp_cases.compare(pair).agrees is agrees


def test_an_answer_of_another_shape_is_an_error_even_where_only_its_sum_counts() -> None:
    case = simple(tolerance=1, got={"answer": "b", "sum": True}, expected={"numbers": ["3"]})
    with pytest.raises(ValueError, match=r"the answer to b has shape \(1, 3\), expected \(1, 2\)"):
        list(relations.pairs(case, {"a": [[0, 0]], "b": [[1, 1, 1]]}.__getitem__))


def test_a_required_question_that_is_refused_makes_the_law_not_offered() -> None:
    answers = {f"batch-independence/{name}": [[0.0] * 5] * (4 if name == "batch" else 1)
               for name in TABLE["batch-independence"]["questions"]}  # fmt: skip
    answers["batch-independence/sample-3"] = {"not_offered": "no third sample"}
    (result,) = lrp_cases.judge_answers(lrp_cases.Answers("", "", answers), [TABLE["batch-independence"]])
    assert (result.verdict, result.reason) == ("not-offered", "no third sample")


def test_what_no_file_can_answer_says_so() -> None:
    alone = [case for case in TABLE.values() if "adapters_only" in case]
    assert {case["check"] for case in alone} >= {"leaves_no_trace", "rule_is_refused"}
    (result,) = lrp_cases.judge_answers(lrp_cases.Answers("", "", {}), [TABLE["graph-hygiene-repeated"]])
    assert result.verdict == "not-offered"
    assert result.reason.startswith("asked of adapters only: what a call leaves behind")


# ---- the judge ---------------------------------------------------------------------------------------------------


def verdict_on(answer: Any, name: str = "gamma-linear") -> lrp_cases.Result:
    (result,) = lrp_cases.judge_answers(lrp_cases.Answers("", "", {name: answer}), [TABLE[name]])
    return result


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ([["11/6", "-5/6"]], "agrees"),
        ([[11 / 6, -5 / 6]], "agrees"),
        ([[11 / 6, "-5/6"]], "agrees"),
        ([[11 / 6 + 1e-10, -5 / 6]], "agrees"),
        ([[11 / 6 + 1e-9, -5 / 6]], "differs"),
        ([["11/6", f"-{5 * 10**40 + 1}/{6 * 10**40}"]], "differs"),
        ([[2, -1]], "differs"),
        ([["NaN", -5 / 6]], "differs"),
        ([[float("inf"), -5 / 6]], "differs"),
        ([["-Infinity", -5 / 6]], "differs"),
        ([11 / 6, -5 / 6], "error"),
        ([[11 / 6], [-5 / 6]], "error"),
        ([[11 / 6], [-5 / 6, 0]], "error"),
        ([[True, False]], "error"),
        ([[None, 0]], "error"),
        ([["eleven", 0]], "error"),
        ([["1/0", 0]], "error"),
        ([["1e999999999", 0]], "error"),
        ([["9" * 2000, 0]], "error"),
        ([[{}, 0]], "error"),
        ({"not_offered": "no gamma"}, "not-offered"),
    ],
)
def test_answers_of_every_kind(answer: Any, verdict: str) -> None:
    result = verdict_on(answer)
    assert result.verdict == verdict
    assert bool(result.reason) is (verdict in ("error", "not-offered"))


def test_exact_answers_are_rounded_where_no_exact_value_exists() -> None:
    name = "head-and-seed-probability"
    assert not TABLE[name]["exact"]
    assert verdict_on([["1/6", "333333333333/1000000000000"]], name).verdict == "agrees"


def test_a_question_without_an_answer_is_not_offered() -> None:
    (result,) = lrp_cases.judge_answers(lrp_cases.Answers("", "", {}), [TABLE["gamma-linear"]])
    assert (result.verdict, result.reason) == ("not-offered", "not answered")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"gamma-liner": [[1]]}, "no question is called 'gamma-liner'; did you mean 'gamma-linear'"),
        ({"batch-independence": [[1]]}, "no question is called 'batch-independence'"),
        ({"gamma-linear": 1}, "the answer to gamma-linear must be nested lists"),
        ({"gamma-linear": {"not_offered": 1}}, "must be nested lists"),
        ({"gamma-linear": {"not_offered": "", "x": ""}}, "must be nested lists"),
        ({"gamma-linear": "11/6"}, "must be nested lists"),
        ({"library": 1}, "library must be text, got '1'"),
        ('{"gamma-linear": [[1]], "gamma-linear": [[2]]}', "'gamma-linear' occurs twice"),
        ("[]", "contains a list"),
        ("[" * 10**5, "nested deeper than 64"),
    ],
)
def test_a_file_of_answers_that_cannot_be_meant_is_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(lrp_cases.CasesError, match=re.escape(message)):
        lrp_cases.read_answers(write(tmp_path / "answers.json", data), TABLE.values())


def answers_of(adapter: Any) -> dict[str, Any]:
    """What an adapter answers to every question, as a file holds it."""
    found: dict[str, Any] = {}
    for name, case in TABLE.items():
        for part in relations.names(case):
            asked: Case = CASES[name].question(part) if part else CASES[name]
            found[relations.identity(case, part)] = np.asarray(adapter.explain(asked)).tolist()
    return found


@pytest.mark.slow
def test_a_file_with_the_answers_of_lrpref_is_right_in_every_case(tmp_path: Path) -> None:
    path = write(tmp_path / "answers.json", answers_of(Lrpref()))
    results = lrp_cases.judge_answers(lrp_cases.read_answers(path, TABLE.values()), TABLE.values())
    maps = [case for case in TABLE.values() if case["kind"] == "relevance"]
    assert lrp_cases.count(results)["agrees"] == len(maps) + len(RELATIONS)
    assert {result.verdict for result in results} == {"agrees", "not-offered"}


class Shifted(Lrpref):
    """Adds to every map a constant that depends on the number of samples and the number type."""

    def explain(self, case: Case) -> np.ndarray:
        return super().explain(case) + (len(case.input) + (case.input.dtype == np.float32))


def constants(of: Callable[[int], float]) -> dict[str, Any]:
    """The same number in every entry of an answer, by the place of the question in its case."""
    return {
        f"{case['id']}/{name}": np.full(CASES[case["id"]].question(name).input.shape, of(place)).tolist()
        for case in RELATIONS for place, name in enumerate(case["questions"])
    }  # fmt: skip


@pytest.mark.slow
def test_every_relation_can_fail_in_a_file() -> None:
    wrong = set()
    for answers in (answers_of(Shifted()), constants(float), constants(lambda place: 1.0)):
        results = lrp_cases.judge_answers(lrp_cases.Answers("", "", answers), RELATIONS)
        assert {result.verdict for result in results} == {"agrees", "differs"}
        wrong |= {TABLE[result.id]["check"] for result in results if result.verdict == "differs"}
    assert wrong == {case["check"] for case in RELATIONS}


# ---- known differences, exit codes, scores -----------------------------------------------------------------------


def known(*ids: str, **more: Any) -> dict[str, Any]:
    listed = [{"id": id_, "reason": "on purpose", "link": "https://example.org"} for id_ in ids]
    return {"library": "mine", "versions": ["0.1"], "known": listed, **more}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "expected library, versions and known, got nothing"),
        (known() | {"more": 1}, "expected library, versions and known, got"),
        (known(library=1), "library must be text"),
        (known(versions="0.1"), "versions a list of text"),
        (known(known={}), "known must be a list"),
        (known(known=["a"]), "needs an id, a reason and a link"),
        (known(known=[{"id": "gamma-linear", "reason": "x"}]), "needs an id, a reason and a link"),
        (known(known=[{"id": "gamma-linear", "reason": " ", "link": ""}]), "gamma-linear has no reason"),
        (known("gamma-liner"), "no case is called 'gamma-liner'; did you mean 'gamma-linear'"),
        (known("gamma-linear", "gamma-linear"), "lists gamma-linear twice"),
        (known(library="yours"), "is about yours, but mine is judged"),
    ],
)
def test_a_list_of_known_differences_that_is_not_one_is_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(lrp_cases.CasesError, match=message):
        lrp_cases.read_known(write(tmp_path / "known.json", data), set(TABLE), "mine")


@pytest.mark.parametrize(
    ("verdicts_", "listed", "code"),
    [
        ({"a": "agrees"}, None, 0),
        ({"a": "agrees", "b": "convention"}, None, 0),
        ({"a": "agrees", "b": "differs"}, None, 1),
        ({"a": "agrees", "b": "error"}, None, 1),
        ({"a": "not-offered"}, None, 3),
        ({}, None, 3),
        ({"a": "agrees", "b": "differs"}, ["b"], 0),
        ({"a": "agrees", "b": "convention"}, ["b"], 0),
        ({"a": "agrees", "b": "error"}, ["b"], 0),
        ({"a": "agrees", "b": "convention"}, [], 1),
        ({"a": "agrees", "b": "differs"}, ["a", "b"], 1),
        ({"a": "not-offered", "b": "differs"}, ["a", "b"], 1),
        ({"a": "agrees"}, ["elsewhere"], 0),
        ({"a": "not-offered"}, [], 3),
    ],
)
def test_exit_codes(verdicts_: dict[str, str], listed: list[str] | None, code: int) -> None:
    entries = None if listed is None else {id_: {"reason": "r", "link": ""} for id_ in listed}
    found = None if entries is None else lrp_cases.Known("mine", ["1"], entries)
    assert lrp_cases.exit_code(verdicts_, found) == code
    colour = lrp_cases.badge(verdicts_, known=found)["color"]
    assert (colour == "red") is (code == 1)
    assert colour != "brightgreen" or set(verdicts_.values()) == {"agrees"}


def test_scores_count_the_answers_of_each_profile() -> None:
    told = dict.fromkeys(TABLE, "not-offered")
    first, second, third = PROFILES["core"]["cases"][:3]
    told |= {first: "agrees", second: "convention", third: "error"}
    score = lrp_cases.scores(told, PROFILES)["core"]
    assert (score.cases, score.answered, score.agrees) == (len(PROFILES["core"]["cases"]), 3, 1)
    assert str(lrp_cases.scores(told, PROFILES)["nd"]) == "not answered"
    assert lrp_cases.scores({first: "agrees"}, PROFILES).keys() == {"core"}


def test_a_badge_is_what_shields_reads() -> None:
    assert lrp_cases.badge({"a": "agrees"}, "core") == {
        "schemaVersion": 1, "label": "LRP cases: core", "message": "1 of 1 answers agree", "color": "brightgreen",
    }  # fmt: skip
    assert lrp_cases.badge({})["color"] == "lightgrey"
    assert lrp_cases.badge({"a": "convention"})["color"] == "yellow"


LISTS = sorted(KNOWN.glob("*.json"))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_the_libraries_with_an_adapter_are_green_with_their_lists_and_red_after_any_change(path: Path) -> None:
    (record,) = [json.loads(p.read_text()) for p in RECORDED.glob(f"{path.stem}-*.json")]
    found = lrp_cases.read_known(path, set(TABLE), record["library"])
    assert list(found.versions) == [record["version"]]
    told = {case["id"]: case["verdict"] for case in record["cases"]}
    assert lrp_cases.exit_code(told, found) == 0
    for change in ("differs", "convention", "error"):
        assert lrp_cases.exit_code(told | {next(id_ for id_ in told if told[id_] == "agrees"): change}, found) == 1
    for change in ("agrees", "not-offered"):
        assert lrp_cases.exit_code(told | {next(iter(found.known)): change}, found) == 1


def test_there_is_a_list_for_every_recorded_library() -> None:
    assert {path.stem for path in LISTS} == {json.loads(p.read_text())["library"] for p in RECORDED.glob("*.json")}


# ---- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def plain() -> dict[str, Any]:
    """The answers of the program that imports neither lrpref nor NumPy."""
    program = runpy.run_path(str(ROOT / "cases" / "tests" / "plain_lrp.py"))
    return {q["id"]: program["answer"](q) for q in lrp_cases.questions(lrp_cases.load(profile="core"))}


@pytest.mark.slow
def test_judge_tells_green_from_red(plain: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "answers.json", {"library": "mine", "version": "0.1", **plain})
    assert run("judge", path, "--profile", "core", "--badge", tmp_path / "badge.json") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"mine 0.1 on {len(PROFILES['core']['cases'])} cases of table 1.")
    assert re.search(r"^ +43  agrees$", out, re.MULTILINE)
    assert re.search(rf"^ +core +{len(PROFILES['core']['cases'])} +43 +43$", out, re.MULTILINE)
    assert json.loads((tmp_path / "badge.json").read_text())["label"] == "LRP cases: core"
    write(path, {"library": "mine", "version": "0.1", **plain, "gamma-linear": [[1, 1]]})
    report, listed = tmp_path / "report.json", tmp_path / "known.json"
    assert run("judge", path, "--json", report, "--draft-known", listed) == 1
    assert "gamma-linear  (1.83333, -0.833333)  (1, 1)  1.83" in capsys.readouterr().out
    told = json.loads(report.read_text())
    assert told["verdicts"]["differs"] == 1
    assert [case["got"] for case in told["cases"] if case["verdict"] == "differs"] == [[[1.0, 1.0]]]
    assert run("judge", path, "--known", listed) == 0
    assert "known differences of mine: as listed" in capsys.readouterr().out
    write(path, {"library": "mine", "version": "0.2", **plain})
    assert run("judge", path, "--known", listed) == 1
    out = capsys.readouterr().out
    assert "NOT as listed" in out
    assert "the list is of mine 0.1; this is 0.2" in out
    assert "listed, but agrees now: take it out of the list (1)" in out


@pytest.mark.slow
def test_a_command_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = write(tmp_path / "a.json", {"gamma-linear": [["11/6", "-5/6"]]})
    for arguments, message in (
        (("judge", tmp_path / "none.json"), "cannot be read as JSON"),
        (("judge", answers, "--known", tmp_path / "none.json"), "cannot be read as JSON"),
        (("judge", answers, "--only", "gamma-liner"), "no case is called 'gamma-liner'"),
        (("judge", answers, "--profile", "all"), "no profile is called 'all'"),
        (("judge", answers, "--badge", tmp_path / "no" / "b.json"), "cannot write"),
        (("ask", "--only", "nothing"), "no case is called"),
    ):
        assert run(*arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith("lrp-cases: ")
        assert err.count("\n") == 1
        assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.slow
def test_nothing_answered_is_not_green(tmp_path: Path) -> None:
    assert run("judge", write(tmp_path / "a.json", {})) == 3
    assert run("judge", write(tmp_path / "a.json", {"gamma-linear": {"not_offered": "no gamma"}})) == 3


@pytest.mark.slow
def test_ask_writes_every_question_and_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask") == 0
    exact = json.loads(capsys.readouterr().out)
    assert run("ask", "--float") == 0
    floats = json.loads(capsys.readouterr().out)
    assert exact["version"] == lrp_cases.load_index()["version"]
    wanted = [relations.identity(case, name) for case in TABLE.values() for name in relations.names(case)]
    assert [q["id"] for q in exact["questions"]] == [q["id"] for q in floats["questions"]] == wanted
    assert not {key for q in exact["questions"] for key in q} & {"expected", "comparisons", "output", "at", "ledger"}
    for one, other in zip(exact["questions"], floats["questions"], strict=True):
        assert one["network"]["nodes"] == other["network"]["nodes"]
        assert lrp_cases.numbers(one["input"]) == other["input"]
    rules = {json.dumps(rule) for q in floats["questions"] for rule in q["rules"].values()}
    assert '{"type": "ZBox", "low": [0.0, -1.0], "high": [1.0, 2.0]}' in rules


def test_list_shows_the_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--only", "24") == 0
    assert "maxpool-ties-first" in capsys.readouterr().out
    assert run("list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(TABLE)


def test_lrpref_conform_takes_the_same_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = write(tmp_path / "known.json", known("gamma-linear", library="lrpref"))
    assert cli.main(["conform", "lrpref", "--only", "gamma-*", "--known", str(listed)]) == 1
    assert "listed, but agrees now" in capsys.readouterr().out
    write(listed, known(library="lrpref"))
    badge = tmp_path / "badge.json"
    assert cli.main(["conform", "lrpref", "--profile", "nd", "--known", str(listed), "--badge", str(badge)]) == 0
    number = len(PROFILES["nd"]["cases"])
    assert json.loads(badge.read_text())["message"] == f"{number} of {number} answers agree"
    assert cli.main(["conform", "lrpref", "--only", "bn-variants-no-statistics"]) == 3
    write(listed, known("nobody", library="lrpref"))
    assert cli.main(["conform", "lrpref", "--only", "10", "--known", str(listed)]) == 2
    assert "no case is called 'nobody'" in capsys.readouterr().err


# ---- the page ------------------------------------------------------------------------------------------------------


def program(name: str) -> str:
    (found,) = re.findall(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


def answered(code: str, monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """Run a program of the page on all questions, and write its answers to a file."""
    asked, said = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", asked)
    assert run("ask", "--float") == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(asked.getvalue()))
    monkeypatch.setattr(sys, "stdout", said)
    exec(compile(code, "take-part", "exec", dont_inherit=True), {"__name__": "take-part"})
    monkeypatch.undo()
    return write(path, said.getvalue())


@pytest.mark.slow
def test_the_thirty_lines_of_numpy_agree_wherever_they_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = program("take-part.py")
    assert len([line for line in code.splitlines() if line]) <= 30
    path = answered(code, monkeypatch, tmp_path / "answers.json")
    assert run("judge", path) == 0
    results = lrp_cases.judge_answers(lrp_cases.read_answers(path, TABLE.values()), TABLE.values())
    assert lrp_cases.count(results)["agrees"] == 17
    wrong = answered(code.replace("z >= 0, ", "z > 0, "), monkeypatch, tmp_path / "wrong.json")
    assert run("judge", wrong) == 1


@pytest.mark.parametrize("language", ["julia", "r"])
def test_programs_that_are_not_run_are_marked_and_short(language: str) -> None:
    text = PAGE.read_text()
    (code,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 30
    assert f"### {language.title()} (not run here)" in text


def test_the_schema_describes_answers_known_differences_and_profiles() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((PACKAGE / "data" / "schema.json").read_text())

    def valid(kind: str, data: Any) -> bool:
        return jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{kind}"}).is_valid(data)

    assert valid("profiles", json.loads((PACKAGE / "data" / "profiles.json").read_text()))
    assert all(valid("known", json.loads(path.read_text())) for path in LISTS)
    assert valid("answers", {"library": "x", "gamma-linear": [[1.0]], "gamma-bias": {"not_offered": "no"}})
    assert not valid("answers", {"gamma-linear": 1})
    assert not valid("known", known(known=[{"id": "a", "reason": ""}]))
    relation = TABLE["batch-independence"]
    assert valid("case", relation)
    assert not valid("case", {key: value for key, value in relation.items() if key != "comparisons"})
    assert not valid("case", {**relation, "adapters_only": "x"})
