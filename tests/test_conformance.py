"""The conformance suite: verdicts on planted errors, laws that can fail, reports, fixtures and the command line."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cases import CASES

import lrpref
from lrpref import cli, conformance, rules
from lrpref.conformance import (
    AdapterError,
    Case,
    CaseError,
    NotOffered,
    Report,
    adapters,
    as_json,
    as_markdown,
    as_text,
    judge,
    known_adapters,
    load_adapter,
    load_cases,
    run,
)
from lrpref.conformance.adapters.lrpref import Lrpref
from lrpref.conformance.case import FIXTURES, FORMAT, make_rule
from lrpref.conformance.laws import LAWS
from lrpref.errors import LrprefError, UnknownNameError, WeightsError

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "conformance.md"
SCRIPT = ROOT / "scripts" / "make_cases.py"


def has_rule(case: Case, *kinds: type[rules.Rule]) -> bool:
    return any(isinstance(rule, kinds) for rule in case.rules.values())


class Planted(Lrpref):
    """A fictitious library: lrpref's results with planted errors. It documents gamma only."""

    library = "planted <b>&</b> | `lib`"
    version = "0.1"
    details = None  # type: ignore[assignment]

    def explain(self, case: Case) -> np.ndarray:
        if has_rule(case, rules.ZBox):
            raise NotOffered("no z-box rule")
        if has_rule(case, rules.Absolute):
            raise RuntimeError("<script>alert(1)</script>")
        R = super().explain(case)
        return 1.1 * R if has_rule(case, rules.Gamma, rules.WSquare) else R

    def promise(self, case: Case) -> str | None:
        return 'its page says: "w + gamma w+" | <i>sic</i>' if has_rule(case, rules.Gamma) else None


@pytest.fixture(scope="module")
def planted() -> Report:
    return run(Planted())


def verdict(report: Report, name: str) -> str:
    (found,) = (result.verdict for result in report.results if result.case.id == name)
    return found


# ---- verdicts ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_lrpref_passes_all() -> None:
    report = run(load_adapter("lrpref"))
    assert report.passed
    assert report.version == lrpref.__version__
    absent = [case.id for case in CASES.values() if case.kind == "not-offered"]
    assert [result.case.id for result in report.of("not-offered")] == absent
    assert report.counts["agrees"] == len(CASES) - len(absent) > 300


@pytest.mark.slow
def test_a_planted_mistake_is_wrong_where_it_was_promised_and_a_convention_where_not(planted: Report) -> None:
    assert not planted.passed
    assert verdict(planted, "gamma-linear") == "differs"
    assert verdict(planted, "wsquare-bias") == "convention"
    assert verdict(planted, "ab-neg-input") == "agrees"
    assert verdict(planted, "zbox-closed-bias-7") == "not-offered"
    assert verdict(planted, "avgpool-absolute") == "error"
    (found,) = (result for result in planted.results if result.case.id == "gamma-linear")
    np.testing.assert_allclose(found.got, 1.1 * found.expected)
    assert found.error == pytest.approx(0.1 * 11 / 6)
    assert found.relative > 1e8
    assert found.reason.startswith("its page says")


def test_conventions_and_what_is_not_offered_pass() -> None:
    class Unpromised(Planted):
        def promise(self, case: Case) -> str | None:
            return None

    report = run(Unpromised(), load_cases(only="gamma-*"))
    assert report.counts["convention"]
    assert report.passed


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (np.zeros((1, 2)), "error"),
        (np.full((1, 1), 1 / 3), "error"),
        (np.array([1 / 3, 2 / 3, 0]), "error"),
        (np.array([["a", "b", "c"]]), "error"),
        (np.array([[1j, 0, 0]]), "error"),
        (None, "error"),
        ([[1 / 3, 2 / 3, 0.0]], "agrees"),
        (np.array([[1 / 3, 2 / 3, 1e-11]]), "agrees"),
        (np.array([[1 / 3, 2 / 3, 1e-9]]), "convention"),
        (np.array([[1 / 3, 2 / 3, np.nan]]), "convention"),
        (np.array([[1 / 3, np.inf, 0]]), "convention"),
        (np.array([[1 / 3, 2 / 3, 0]], dtype=np.float32), "convention"),
        (np.array([[Fraction(1, 3), Fraction(2, 3), Fraction(0)]]), "agrees"),
        (np.array([[Fraction(1, 3), Fraction(2, 3), Fraction(1, 10**400)]]), "convention"),
    ],
)
def test_answers_of_every_kind(answer: Any, expected: str) -> None:
    class Answers:
        library, version = "answers", "0"

        def explain(self, case: Case) -> Any:
            return answer

        def promise(self, case: Case) -> str | None:
            return None

    assert judge(Answers(), CASES["ab-neg-input"]).verdict == expected


def test_warnings_and_a_failing_promise_do_not_stop_a_run() -> None:
    class Loud(Planted):
        def explain(self, case: Case) -> np.ndarray:
            return super().explain(case) / np.zeros(1)  # warns

        def promise(self, case: Case) -> str | None:
            raise ValueError("no page")

    assert judge(Loud(), CASES["gamma-linear"]).reason == "ValueError: no page"


def test_more_than_the_map_is_held_to_the_table() -> None:
    class Bookless(Lrpref):
        def details(self, case: Case) -> dict[str, np.ndarray]:
            return {name: value + 1 for name, value in super().details(case).items() if name == "ledger dropped"}

    assert judge(Bookless(), CASES["avgpool-zero-sum-zero"]).what == "ledger dropped"
    assert judge(Bookless(), CASES["gamma-linear"]).verdict == "agrees"


def test_progress_is_told() -> None:
    told = []
    run(Planted(), load_cases(only="gamma-linear*"), lambda done, of, case: told.append((done, of, case.id)))
    assert told == [(1, 2, "gamma-linear"), (2, 2, "gamma-linear-generalised")]


# ---- every law can fail ------------------------------------------------------------------------------------------


class Mixing(Lrpref):
    """Makes the map depend on the batch."""

    details = None  # type: ignore[assignment]

    def explain(self, case: Case) -> np.ndarray:
        R = super().explain(case)
        return R * np.sqrt(np.mean(R**2))


class Seedless(Lrpref):
    """Always uses the seed "one"."""

    def explain(self, case: Case) -> np.ndarray:
        return super().explain(replace(case, seed="one"))


class Remembering(Lrpref):
    """Returns a different result on every call."""

    calls = 0

    def explain(self, case: Case) -> np.ndarray:
        self.calls += 1
        return super().explain(case) * self.calls


class Vandal(Lrpref):
    """Modifies the input in place on the third call."""

    calls = 0

    def explain(self, case: Case) -> np.ndarray:
        R = super().explain(case)
        self.calls += 1
        case.input[...] += self.calls == 3
        return R


class Half(Lrpref):
    """Rounds float32 results to half precision."""

    def explain(self, case: Case) -> np.ndarray:
        R = super().explain(case)
        return R.astype(np.float16).astype(float) if case.input.dtype == np.float32 else R


class Unsigned(Lrpref):
    """Scales the heatmap with the largest first-layer weight and the number of layers, regardless of biases."""

    def explain(self, case: Case) -> np.ndarray:
        first = next(layer for _, layer, _ in case.network.nodes if hasattr(layer, "weight"))
        return super().explain(case) * (1 + np.abs(first.weight).max()) * len(case.network.nodes)


class Indifferent(Lrpref):
    """Always returns ones."""

    def explain(self, case: Case) -> np.ndarray:
        return np.ones_like(case.input)


BROKEN = {
    "batch_independence": (Mixing, "batch-independence"),
    "seeds_are_factors": (Seedless, "head-and-seed-factors"),
    "leaves_no_trace": (Remembering, "graph-hygiene-repeated"),
    "epsilon_absorption": (Unsigned, "eps-absorption-network"),
    "float32_precision": (Half, "precision-float32-zplus"),
    "constants_cancel": (Unsigned, "relative-constants-fc1"),
    "identity_passed": (Unsigned, "bn-invariance-identity-passed-zplus"),
    "zero_rule_unfused": (Unsigned, "bn-invariance-zero-rule-unfused"),
    "differs_from_passed": (Indifferent, "bn-invariance-differs-from-passed-zplus"),
}


@pytest.mark.parametrize("law", BROKEN)
def test_a_law_can_fail(law: str) -> None:
    broken, name = BROKEN[law]
    assert CASES[name].check == law
    assert judge(Lrpref(), CASES[name]).verdict == "agrees"
    assert judge(broken(), CASES[name]).verdict == "differs"


def test_a_library_that_writes_on_the_input_is_noticed() -> None:
    (case,) = load_cases(only="graph-hygiene-repeated")  # a separate copy, since it will be modified
    assert judge(Vandal(), case).what == "argument 1, afterwards"


OWN = {
    "rule_is_refused": {"rule": {"type": "Zero"}},
    "fused_forward": {"gone": ["Dense"], "kept": [], "options": {}},
    "convolution_unchanged": {"node": "conv", "gone": [], "kept": ["Tanh"], "options": {}},
}


@pytest.mark.parametrize("law", [*OWN, "relative_refuses_batchnorm"])
def test_laws_of_lrpref_alone_can_fail_and_are_put_to_nobody_else(law: str) -> None:
    case = next(case for case in CASES.values() if case.check == law)
    assert judge(Lrpref(), case).verdict == "agrees"
    assert judge(Planted(), case).verdict == "not-offered"
    if law in OWN:
        assert judge(Lrpref(), replace(case, arguments=OWN[law])).verdict == "differs"
    else:
        assert judge(Lrpref(), replace(case, network=lrpref.fuse(case.network))).verdict == "differs"


def test_every_law_is_data_or_a_function_and_every_function_is_used() -> None:
    relations = [case for case in CASES.values() if case.kind == "relation"]
    assert {case.check for case in relations} == {*BROKEN, *OWN, "relative_refuses_batchnorm"}
    assert {case.check for case in relations if "adapters_only" in case.data} == set(LAWS)
    unheard = replace(CASES["graph-hygiene-repeated"], check="gravity")
    assert "no law is called 'gravity'" in judge(Lrpref(), unheard).reason


def test_laws_say_what_a_library_does_not_offer() -> None:
    class LogitOnly(Planted):
        def explain(self, case: Case) -> np.ndarray:
            if case.seed != "logit":
                raise NotOffered("it starts with the logit")
            return super().explain(case)

    found = judge(LogitOnly(), CASES["head-and-seed-factors"])
    assert (found.verdict, found.reason) == ("not-offered", "question one: it starts with the logit")


# ---- adapters ----------------------------------------------------------------------------------------------------


def test_unknown_adapters_are_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lrpref'"):
        load_adapter("lrpreff")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.at.all:adapter", "cannot import 'nowhere.at.all:adapter'"),
        ("json:nothing", "cannot import 'json:nothing'"),
        (":adapter", "expected module:function"),
        ("json:", "expected module:function"),
        ("json:loads", "json:loads raised TypeError"),
        ("locale:getpreferredencoding", "of type str, which lacks library, version, explain, promise"),
    ],
)
def test_what_is_no_adapter_is_told_in_a_line(name: str, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        load_adapter(name)


def test_a_library_that_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ghost.py").write_text('INSTALL = "ghost-lib>=2"\ndef adapter():\n    import ghost_lib_of_nobody\n')
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    assert "ghost" in known_adapters()
    with pytest.raises(AdapterError, match=r"ghost cannot be imported \(.*\); pip install ghost-lib>=2"):
        load_adapter("ghost")


def test_known_adapters_can_be_listed_without_their_libraries() -> None:
    assert "lrpref" in known_adapters()
    assert not [name for name in known_adapters() if name.startswith("_")]


# ---- reports -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_terminal_report_counts_and_groups(planted: Report) -> None:
    text = as_text(planted)
    assert text.startswith(f"planted <b>&</b> | `lib` 0.1 on {len(CASES)} cases of table 1.")
    for name, count in planted.counts.items():
        assert re.search(rf"^ +{count}  {name} ", text, re.MULTILINE)
    assert f"differs ({planted.counts['differs']}): its page says" in text
    assert re.search(r"gamma-linear +\(1\.83333, -0\.833333\) +\(2\.01667, -0\.916667\) +0\.183", text)
    assert re.search(r"unrolled-oracle-conv-gamma +\S+ at \[\d, \d, \d, \d\] +\S+ at \[", text)
    assert "no z-box rule" in text


def test_the_json_report_has_its_shape(planted: Report) -> None:
    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    data = json.loads(as_json(planted), parse_constant=no_constant)
    assert (data["library"], data["version"]) == (Planted.library, "0.1")
    assert data["lrpref"] == lrpref.__version__
    assert data["table"] == json.loads((FIXTURES / "index.json").read_text())["version"]
    assert data["verdicts"] == planted.counts
    assert [case["id"] for case in data["cases"]] == list(CASES)
    assert {case["verdict"] for case in data["cases"]} <= set(conformance.VERDICTS)
    first = data["cases"][0]
    assert first["expected"] == [[1 / 3, 2 / 3, 0.0]]
    assert set(first) >= {"id", "number", "verdict", "expected", "got", "error", "relative", "reason", "citation"}
    absent = next(case for case in data["cases"] if case["verdict"] == "not-offered")
    assert (absent["got"], absent["error"]) == (None, None)


def test_what_json_lacks_is_text() -> None:
    class Infinite(Planted):
        def explain(self, case: Case) -> np.ndarray:
            return np.array([[np.nan, np.inf]])

    (case,) = json.loads(as_json(run(Infinite(), [CASES["gamma-linear"]])))["cases"]
    assert case["got"] == [["nan", "inf"]]
    assert case["error"] is None
    exact = run(load_adapter("lrpref.conformance.adapters.lrpref:exact"), [CASES["gamma-linear"]])
    assert json.loads(as_json(exact))["cases"][0]["got"] == [["11/6", "-5/6"]]


def test_the_markdown_report_is_a_table_that_nothing_breaks(planted: Report) -> None:
    text = as_markdown(planted)
    assert text.startswith("# planted \\<b\\>&\\</b\\> \\| \\`lib\\` 0.1")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(CASES) - planted.counts["agrees"]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert all(f"`{case}`" in text for case in CASES)


def test_an_empty_report_can_be_told() -> None:
    report = run(Planted(), [])
    assert report.passed
    for write in (as_text, as_markdown, as_json):
        assert "0 cases" in write(report) or write is as_json


# ---- fixtures ----------------------------------------------------------------------------------------------------


def damaged(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write a modified copy of one case."""
    data = json.loads((FIXTURES / "cases" / "gamma-linear.json").read_text())
    (folder / "cases").mkdir()
    changed = change(data)
    (folder / "cases" / "gamma-linear.json").write_text(json.dumps(data if changed is None else changed))
    index = {"format": FORMAT, "version": "1.0.0", "about": "", "cases": ["gamma-linear"]}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_a_folder_of_ones_own_is_read(tmp_path: Path) -> None:
    (case,) = load_cases(damaged(tmp_path, lambda data: data.update(title="mine")))
    assert (case.title, case.table) == ("mine", "1.0.0")


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no object": (lambda data: [], "contains a list; expected a JSON object"),
    "another format": (lambda data: data.update(format="lrp-cases/9"), "has format 'lrp-cases/9'"),
    "a field nobody knows": (lambda data: data.update(exec="rm"), r"unknown fields: \['exec'\]"),
    "a field of the class alone": (lambda data: data.update(table="2"), r"unknown fields: \['table'\]"),
    "a title that is none": (lambda data: data.update(title=["x"]), "title must be str"),
    "a number that is none": (lambda data: data.update(number="10"), "number must be int"),
    "no kind": (lambda data: data.pop("kind") and None, "lacks kind"),
    "a strange kind": (lambda data: data.update(kind="guess"), "has kind 'guess'"),
    "another id": (lambda data: data.update(id="gamma-line"), "contains the case 'gamma-line'"),
    "an id that climbs": (lambda data: data.update(id="../x"), "letters, digits and hyphens"),
    "no network": (lambda data: data.pop("network") and None, "needs a network"),
    "no expected": (lambda data: data.pop("expected") and None, "'expected'"),
    "numbers as numbers": (lambda data: data.update(input=[[1, 1]]), "as text"),
    "a float as text": (lambda data: data.update(input=[["1.5", "1"]]), "got '1.5'"),
    "a huge power": (lambda data: data.update(input=[["1e999999999", "1"]]), "as text"),
    "a fraction over zero": (lambda data: data.update(input=[["1/0", "1"]]), "denominator zero"),
    "a ragged array": (lambda data: data.update(input=[["1"], ["1", "2"]]), "as text"),
    "an array that is a name": (
        lambda data: data.update(expected="input"),
        "expected must be a list of numbers, got 'input'",
    ),
    "too large for a float": (lambda data: data.update(input=[["1" + "0" * 400, "1"]]), "too large"),
    "another shape": (lambda data: data.update(expected=[["1"]]), r"relevance of shape \(1, 1\)"),
    "no such layer": (lambda data: data["network"]["layers"]["fc"].update(type="Network"), "no layer is called"),
    "no layer but a class": (lambda data: data["network"]["layers"]["fc"].update(type="__all__"), "no layer is called"),
    "no such parameter": (lambda data: data["network"]["layers"]["fc"]["config"].update(x=1), "cannot be built"),
    "a layer that is refused": (
        lambda data: data["network"]["layers"]["fc"]["arrays"].update(weight=["1"]),
        "must have 2 axes",
    ),
    "no such rule": (lambda data: data["rules"]["fc"].update(type="Gama"), "did you mean 'Gamma'"),
    "a rule that is refused": (lambda data: data["rules"]["fc"].update(gamma=-1), "gamma must be"),
    "a rule for no node": (lambda data: data.update(rules={"x": {"type": "Zero"}}), r"lacks: \['x'\]"),
    "a cycle": (lambda data: data["network"].update(nodes=[["fc", "fc", ["fc"]]]), "cycle"),
    "a seed array and a target": (lambda data: data.update(target=0), "seed array excludes a target"),
    "a relation without a law": (lambda data: data.update(kind="relation"), "needs a check"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_case_is_refused_in_words(name: str, tmp_path: Path) -> None:
    change, message = DAMAGE[name]
    folder = damaged(tmp_path, change)
    with pytest.raises(CaseError, match=message) as caught:
        load_cases(folder)
    assert "gamma-linear.json" in str(caught.value)
    assert isinstance(caught.value, WeightsError)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100000, "cannot be read as JSON"),
        ('{"format": "lrp-cases/0"}', "this version reads"),
        ('{"format": "lrp-cases/1", "cases": ["../../secret"], "version": "1"}', "must be a list of ids"),
        ('{"format": "lrp-cases/1", "cases": ["a", "a"], "version": "1"}', "twice"),
        ('{"format": "lrp-cases/1", "cases": ["a"], "version": "1"}', "cannot be read as JSON"),
    ],
)
def test_a_damaged_index_is_refused_in_words(index: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(CaseError, match=message):
        load_cases(tmp_path)


def test_no_folder_and_no_case_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"index\.json cannot be read as JSON"):
        load_cases(tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean 'gamma-linear'"):
        load_cases(only="gamma-liner")


def test_cases_are_chosen_by_pattern_and_by_question() -> None:
    assert {case.number for case in load_cases(only="24")} == {24}
    assert [case.id for case in load_cases(only="zero-is-*")] == ["zero-is-gxi-conv", "zero-is-gxi-skip"]


def vocabulary(data: Any) -> set[str]:
    """The keys anywhere in a case, and the values that are words."""
    if isinstance(data, dict):
        pairs = [f"{key}: {value}" for key, value in data.items() if key != "id"]
        words = {pair for pair in pairs if re.fullmatch(r"\w+: [A-Za-z][\w-]*", pair)}
        return words.union(data, *map(vocabulary, data.values()))
    return set().union(*map(vocabulary, data)) if isinstance(data, list) else set()


@pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_schema_describes_every_case_and_refuses_others(all_of_them: bool) -> None:
    """The slow test checks every case; the other those that say something which no case before them says."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((FIXTURES / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    said: set[str] = set()
    for path in sorted((FIXTURES / "cases").iterdir()):
        case = json.loads(path.read_text())
        if all_of_them or not vocabulary(case) <= said:
            assert validator.is_valid(case), path.name
        said |= vocabulary(case)
    index = {**schema, "$ref": "#/$defs/index"}
    assert jsonschema.Draft202012Validator(index).is_valid(json.loads((FIXTURES / "index.json").read_text()))
    good = json.loads((FIXTURES / "cases" / "gamma-linear.json").read_text())
    for change in (
        {"input": [[1, 1]]}, {"input": [["1/0", "1"]]}, {"input": [["1.5", "1"]]}, {"format": "lrp-cases/9"},
        {"rules": {"fc": {"type": "Gamma", "gama": 1}}}, {"rules": {"fc": {"type": "Gama"}}}, {"kind": "relation"},
        {"tolerance": 0}, {"target": 1}, {"unheard": 1}, {"id": "../x"},
        {"network": {"layers": {"fc": {"type": "Dense", "config": {}, "arrays": {}}}, "nodes": []}},
    ):  # fmt: skip
        assert not validator.is_valid(good | change), change


def test_the_schema_knows_every_rule_and_every_parameter_of_it() -> None:
    listed = json.loads((FIXTURES / "schema.json").read_text())["$defs"]["rule"]["anyOf"]
    told = {each["properties"]["type"]["const"]: set(each["properties"]) - {"type"} for each in listed}
    assert told == {kind.__name__: set(inspect.signature(kind).parameters) for kind in rules.RULES.values()}


def test_the_npz_holds_the_same_numbers() -> None:
    with np.load(FIXTURES / "float64.npz", allow_pickle=False) as data:
        for name, case in CASES.items():
            for key in ("input", "expected", "output"):
                if f"{name}/{key}" in data.files:
                    np.testing.assert_array_equal(data[f"{name}/{key}"], getattr(case, key))
        assert "zero-is-gxi-conv/conv.weight" in data.files
        np.testing.assert_array_equal(
            data["zero-is-gxi-conv/conv.weight"], CASES["zero-is-gxi-conv"].network["conv"].weight
        )


def test_exact_values_are_the_fractions_in_the_file() -> None:
    case = CASES["ab-neg-input"]
    assert case.exact.tolist() == [[Fraction(1, 3), Fraction(2, 3), 0]]
    assert case.expected.dtype == np.float64
    assert make_rule({"type": "ZBox", "low": ["1/2"], "high": ["1"]}).low.tolist() == [0.5]


def test_corrected_cases_stand_in_the_errata() -> None:
    script = runpy.run_path(str(SCRIPT))
    errata = (FIXTURES / "ERRATA.md").read_text()
    assert script["VERSION"] in errata
    assert all(name in errata for name in script["REVISIONS"])
    assert all(case.revision == 1 + script["REVISIONS"].get(name, 0) for name, case in CASES.items())


# ---- the script that generates the fixtures ----------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    made = runpy.run_path(str(SCRIPT))

    def main(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["make_cases.py", *map(str, arguments)])
        return made["main"]()

    main.cases = made["build"]()  # type: ignore[attr-defined]
    made["main"].__globals__["build"] = lambda: main.cases  # type: ignore[attr-defined]
    return main


@pytest.mark.slow
def test_the_check_finds_what_was_edited_by_hand(
    script: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FIXTURES, tmp_path / "f")
    path = tmp_path / "f" / "cases" / "gamma-linear.json"
    path.write_text(path.read_text().replace("11/6", "12/6"))
    (tmp_path / "f" / "cases" / "more.json").write_text("{}")
    assert script("--check", "--out", tmp_path / "f") == 1
    assert capsys.readouterr().err.splitlines() == [
        "cases/more.json should not be there",
        "cases/gamma-linear.json is not what the script makes",
    ]
    assert script("--out", tmp_path / "f") == 0
    assert path.read_text() == (FIXTURES / "cases" / "gamma-linear.json").read_text()
    assert not (tmp_path / "f" / "cases" / "more.json").exists()


@pytest.mark.slow
def test_the_check_asks_exact_arithmetic(
    script: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lrpref's exact mode detects a wrong value in the script itself, even a change in the last digit."""
    script.cases = [case for case in script.cases if case["id"].startswith("gamma-")]  # type: ignore[attr-defined]
    assert script("--out", tmp_path) == 0
    assert script("--check", "--out", tmp_path) == 0
    assert "exact cases: lrpref's exact mode gives the same fractions" in capsys.readouterr().out
    script.cases[0]["expected"] = [["11/6", f"-{5 * 10**40 + 1}/{6 * 10**40}"]]  # type: ignore[attr-defined]
    script("--out", tmp_path)
    assert script("--check", "--out", tmp_path) == 1
    assert "gamma-linear: lrpref's exact mode disagrees" in capsys.readouterr().err


# ---- documentation page ------------------------------------------------------------------------------------------


def block(name: str) -> str:
    (found,) = re.findall(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


@pytest.mark.slow
def test_the_reader_of_the_page_agrees_with_load_cases() -> None:
    text = block("reader.py")
    assert len(text.splitlines()) <= 30
    assert "lrpref" not in text
    page: dict[str, Any] = {}
    exec(text, page)
    found = page["read"](FIXTURES)
    exact = page["read"](FIXTURES, Fraction)
    assert list(found) == list(CASES)
    for name, case in CASES.items():
        assert found[name]["kind"] == case.kind
        if case.kind == "relevance":
            np.testing.assert_array_equal(np.array(found[name]["expected"]), case.expected)
            np.testing.assert_array_equal(np.array(found[name]["input"]), case.input)
            if case.exact is not None:
                assert exact[name]["expected"] == case.exact.tolist()
            for column, values in case.ledger.items():
                written = {"dropped": "policy"}.get(column, column)  # the name in format lrp-cases/1
                assert found[name]["ledger"][written] == values.tolist()
            for _, layer, _ in case.network.nodes[:1]:
                stored = found[name]["network"]["layers"][case.data["network"]["nodes"][0][1]]["arrays"]
                for key, values in stored.items():
                    np.testing.assert_array_equal(np.array(values), getattr(layer, key))
    assert page["agrees"]([1.0, [2.0]], [1.0, [2.0 + 1e-11]], 1e-10)
    assert not page["agrees"]([1.0, [2.0]], [1.0, [2.1]], 1e-10)
    assert not page["agrees"]([1.0], [1.0, 2.0], 1e-10)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_reader_in_javascript_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "reader.js").write_text(block("reader.js"))
    command = ["node", tmp_path / "reader.js", FIXTURES]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = [
        f"{name} agrees" for name, case in CASES.items()
        if case.kind == "relevance" and len(case.network.nodes) == 1 and "fc" in case.rules
        and type(case.rules["fc"]) is rules.Epsilon
    ]  # fmt: skip
    assert said == wanted
    assert len(said) > 5


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs `lrpref conform` in a folder with the adapter from the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere", *__import__("sys").path])
    (tmp_path / "two_lines.py").write_text(block("adapter"))

    def conform(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["conform", *arguments])
        return code, *capsys.readouterr()

    return conform


@pytest.mark.slow
def test_the_adapter_of_the_page_runs_and_is_found_out(command: Any, tmp_path: Path) -> None:
    assert len([line for line in block("adapter").splitlines() if line]) <= 25
    code, out, _ = command("--adapter", "two_lines:adapter", "--json", "a.json", "--markdown", "a.md")
    assert code == 1
    assert "two-lines 0.1" in out
    data = json.loads((tmp_path / "a.json").read_text())
    verdicts = {case["id"]: case["verdict"] for case in data["cases"]}
    assert verdicts["eps-negative-z-below"] == "differs"
    assert verdicts["ab-all-zero-zero"] == "convention"
    assert verdicts["eps-sign-zero-tenth"] == "agrees"
    assert verdicts["gamma-linear"] == "not-offered"
    assert "error" not in verdicts.values()
    assert (tmp_path / "a.md").read_text().startswith("# two-lines 0.1")


# ---- command line ------------------------------------------------------------------------------------------------


def test_conform_lrpref(command: Any, tmp_path: Path) -> None:
    code, out, err = command("lrpref", "--only", "gamma-*", "--json", "x.json")
    assert (code, err) == (0, "")
    assert f"lrpref {lrpref.__version__} on " in out
    assert "wrote x.json" in out
    assert json.loads((tmp_path / "x.json").read_text())["library"] == "lrpref"


@pytest.mark.slow
def test_conform_lists_cases_and_asks_nobody(command: Any) -> None:
    code, out, _ = command("--list", "--only", "24")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert re.search(r"^ 24  relevance +maxpool-ties-first ", out, re.MULTILINE)
    assert len(command("--list")[1].splitlines()) == len(CASES)


def test_a_name_with_an_adapter_is_what_the_report_calls_it(command: Any) -> None:
    assert command("my fork", "--adapter", "two_lines:adapter", "--only", "10")[1].startswith("my fork 0.1 on")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no library given; name one"),
        (["nobody"], "no adapter is called 'nobody'"),
        (["lrpref", "--only", "gamma-nothing"], "no case is called"),
        (["--adapter", "two_lines:adaptor"], "cannot import 'two_lines:adaptor'"),
        (["--adapter", "two_lines"], "no adapter is called 'two_lines'"),
        (["lrpref", "--only", "10", "--json", "no/folder/x.json"], "there is no folder"),
    ],
)
def test_a_users_mistake_is_told_in_a_line(arguments: list[str], message: str, command: Any) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("lrpref: ")
    assert err.count("\n") == 1


def test_progress_is_for_terminals(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("lrpref", "--only", "10")[2] == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert command("lrpref", "--only", "10")[2] == "\r\033[K1/2 gamma-linear\r\033[K"


def test_errors_are_errors_of_lrpref() -> None:
    assert issubclass(AdapterError, LrprefError)
    assert not issubclass(NotOffered, LrprefError)
