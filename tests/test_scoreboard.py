"""The scoreboard is what the records give, its hand calculations are right, and so are the known differences."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from test_cases import CASES

from lrpref.conformance import Case, exit_code, known_differences, load_adapter, load_cases, run
from lrpref.conformance.adapter import AdapterError
from lrpref.conformance.table import lrp_cases

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scoreboard.md"
KNOWN = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "cases/known").glob("*.json"))
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The module scripts/make_scoreboard.py."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        spec = importlib.util.spec_from_file_location("make_scoreboard", ROOT / "scripts" / "make_scoreboard.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["make_scoreboard"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.fixture(scope="module")
def by_hand(script: ModuleType) -> ModuleType:
    """The module scripts/by_hand.py."""
    return script.by_hand  # type: ignore[no-any-return]


# ---- the page --------------------------------------------------------------------------------------------------


def test_the_first_line_counts_differences_and_libraries(script: ModuleType) -> None:
    first = PAGE.read_text(encoding="utf-8").splitlines()[0]
    wrong = [sum(told["verdict"] in ("differs", "error") for told in run.record["cases"]) for run in script.read_runs()]
    assert first == f"# Scoreboard: {sum(wrong)} differences in {sum(map(bool, wrong))} of {len(wrong)} libraries"


def test_every_cell_links_to_a_case_that_the_page_works_out() -> None:
    """A cell with a difference leads to a case on which that library differs, and which is calculated there."""
    page = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL))
    anchors = {name.lower(): text for name, text in sections.items()}
    [heads] = {line for line in page.splitlines() if line.startswith("| question |")}
    libraries = [cell.split("<br>")[0].strip() for cell in heads.split("|")[3:-1]]
    dates = [cell.split("<br>")[1].strip() for cell in heads.split("|")[3:-1]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    rows = re.findall(r"^\| \d+ \| .*? \| (\[.*)\|$", page, re.MULTILINE)
    assert len(rows) > 60
    for row in rows:
        cells = re.findall(r"\[([^\]]+)\]\(#([\w-]+)\)", row)
        assert len(cells) == len(libraries)
        for library, (text, anchor) in zip(libraries, cells, strict=True):
            assert anchor in anchors, anchor
            if "differ" in text:
                assert f"| {library} |" in anchors[anchor]
                [line] = [line for line in anchors[anchor].splitlines() if line.startswith(f"| {library} |")]
                assert "| differs |" in line
                assert "| $R_i$ for " in anchors[anchor]


def test_what_differs_is_shown_with_the_numbers_of_the_library(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "| captum 0.9.0 | (-1, 0, 2) | differs |" in page
    assert "| zennit 1.0.0 | (0, 0) | differs |" in page


@pytest.mark.slow
def test_a_new_difference_changes_the_first_line_and_the_row(script: ModuleType) -> None:
    runs = script.read_runs()
    before = script.Board(runs, list(CASES.values())).page()
    zennit = next(run for run in runs if run.record["library"] == "zennit")
    record = json.loads(json.dumps(zennit.record))
    [told] = [told for told in record["cases"] if told["id"] == "gamma-linear"]
    told.update(verdict="differs", reason='"promised"', got=[[1.0, 0.0]], error=0.8)
    record["verdicts"]["differs"] += 1
    changed = [script.Run(record) if run is zennit else run for run in runs]
    after = script.Board(changed, list(CASES.values())).page()
    assert before.splitlines()[0].startswith("# Scoreboard: 29 differences in 6 of ")
    assert after.splitlines()[0].startswith("# Scoreboard: 30 differences in 6 of ")
    assert "[**1 differs**, 1 agrees](#gamma-linear) |" in after


# ---- by hand ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_more_than_a_hundred_cases_are_worked_by_hand(by_hand: ModuleType) -> None:
    """`worked` itself compares the result with the table, which was made without it."""
    assert sum(map(by_hand.can_be_worked, CASES.values())) > 120


@pytest.mark.parametrize("rule", ["Zero", "Epsilon", "Gamma", "AlphaBeta", "ZPlus", "ZBox", "WSquare", "Flat"])
def test_every_rule_is_worked_by_hand_on_one_neuron(rule: str, by_hand: ModuleType) -> None:
    found = [
        case for case in CASES.values()
        if list(case.rules) == ["fc"] and type(case.rules["fc"]).__name__ == rule and by_hand.can_be_worked(case)
    ]  # fmt: skip
    found = found or [CASES["flat-padding-corner"]]
    assert all(type(r).__name__ == rule for case in found for r in case.rules.values())
    assert all("$R_i$ for $R$ = " in "\n".join(by_hand.worked(case)) for case in found)


def test_a_wrong_value_in_the_table_is_found_out(by_hand: ModuleType) -> None:
    case = CASES["gamma-linear"]
    data = json.loads(json.dumps(case.data))
    data["expected"] = [["12/6", "-5/6"]]
    with pytest.raises(ValueError, match=r"worked by hand \(11/6, -5/6\), but the table expects \(2, -5/6\)"):
        by_hand.worked(type(case).from_data(data))


def test_one_neuron_of_a_large_case(by_hand: ModuleType) -> None:
    lines = by_hand.one_neuron(CASES["unrolled-oracle-batchnorm-zplus"])
    assert "unit 3 of its first sample" in lines[0]
    assert "BatchNorm `layer` under `ZPlus()`" in lines[0]
    case = CASES["unrolled-oracle-batchnorm-zplus"]
    with pytest.raises(ValueError, match="not the expected one"):
        by_hand.one_neuron(replace(case, exact=case.exact + 1))
    with pytest.raises(NotImplementedError):
        by_hand.one_neuron(CASES["batch-independence-zero"])


def test_a_softmax_of_equal_logits(by_hand: ModuleType) -> None:
    """By hand: -1 (3 - 3/3), -1 (0 - 1), -1 (0 - 1); and 4 (1 - 6/3), 4 (1 - 2), 4 (4 - 2)."""
    case = CASES["softmax-inside-rows"]
    lines = by_hand.equal_logits(case)
    assert [line.split("|")[2:6] for line in lines if line.startswith("| $R_i$ for ")] == [
        [" -2 ", " 1 ", " 1 ", " 0 "],
        [" -4 ", " -4 ", " 8 ", " 0 "],
    ]
    with pytest.raises(ValueError, match=r"worked by hand \(-2, 1, 1\), but the table expects \(-2, 1, 2\)"):
        by_hand.equal_logits(replace(case, expected=case.expected + np.array([[[0, 0, 1], [0, 0, 0]]])))
    with pytest.raises(NotImplementedError, match="not equal"):
        by_hand.equal_logits(replace(case, input=case.input * np.array([1, 2, 3])))
    with pytest.raises(NotImplementedError, match="another network"):
        by_hand.equal_logits(CASES["attention-attnlrp"])


# ---- known differences -----------------------------------------------------------------------------------------


def recorded(library: str) -> dict[str, Any]:
    """The record of a library."""
    folder = ROOT / "lrpref" / "conformance" / "adapters" / "recorded"
    [path] = folder.glob(f"{library}-*.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("library", KNOWN)
def test_the_known_differences_are_those_of_the_record(library: str) -> None:
    known, record = KNOWN[library], recorded(library)
    assert set(known) == {"library", "versions", "known"}
    assert known["library"] == library
    assert record["version"] in known["versions"]
    ids = [entry["id"] for entry in known["known"]]
    assert len(set(ids)) == len(ids)
    unequal = {told["id"] for told in record["cases"] if told["verdict"] in ("differs", "convention", "error")}
    assert set(ids) == unequal


@pytest.mark.parametrize("library", KNOWN)
def test_every_known_difference_has_a_reason_and_a_link(library: str) -> None:
    anchors = {name.lower() for name in re.findall(r"^### (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    for entry in KNOWN[library]["known"]:
        assert set(entry) == {"id", "reason", "link"}
        assert entry["reason"].split()
        file, _, anchor = entry["link"].partition("#")
        assert (file == "docs/scoreboard.md" and anchor in anchors) or file.startswith("https://github.com/"), entry


class Planted:
    """A library with a mistake in its answer to one case."""

    def __init__(self, adapter: Any, id_: str) -> None:
        self.adapter, self.id = adapter, id_
        self.library, self.version, self.promise = adapter.library, adapter.version, adapter.promise

    def explain(self, case: Case) -> Any:
        """The relevance of the library, or something else."""
        return self.adapter.explain(case) + (1e-3 if case.id == self.id else 0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", KNOWN)
def test_an_installed_library_is_green_and_red_when_a_mistake_is_planted(library: str) -> None:
    try:
        adapter = load_adapter(library)
    except AdapterError as error:
        pytest.skip(str(error))
    listed = known_differences(ROOT / "cases" / "known" / f"{library}.json", library)
    cases = load_cases(only="ab-*")
    report = run(adapter, cases)
    assert exit_code(report, listed) == 0
    good = report.of("agrees")[0].case.id
    found = lrp_cases.settle(run(Planted(adapter, good), cases).verdicts, listed)
    assert (found.new, found.fixed, found.silent) == ([good], [], [])


# ---- drafts ----------------------------------------------------------------------------------------------------

DRAFTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "drafts").glob("[a-z]*.md"))}
RUN = ("autolrp", "captum", "dynamiclrp", "innvestigate", "lxt", "zennit")


def test_there_is_a_draft_for_each_of_the_eight_libraries() -> None:
    assert set(DRAFTS) == {*RUN, "relevancepropagation-jl", "innsight"}
    listed = re.findall(r"\]\(([\w-]+)\.md\) \| (\S+) \|", (ROOT / "docs" / "drafts" / "README.md").read_text())
    assert {name for name, _ in listed} == set(DRAFTS)
    assert {name: recorded(name)["version"] for name in RUN} == {name: v for name, v in listed if v != "no"}


@pytest.mark.parametrize("name", RUN)
def test_a_draft_has_the_counts_of_the_record(name: str) -> None:
    record, text = recorded(name), " ".join(DRAFTS[name].split())
    counts = record["verdicts"]
    assert f"{record['version']} on it" in text
    assert f"of the {len(CASES) - counts['not-offered']} cases that it offers, {counts['agrees']} agree" in text
    assert f"{counts['convention']} differ by convention" in text
    assert f"and {counts['differs'] or 'none'} contradict" in text
    for block in (f"<!-- known {name} -->", "<!-- worked "):
        assert block in DRAFTS[name]


@pytest.mark.parametrize("name", sorted({*DRAFTS} - {*RUN}))
def test_a_draft_for_a_library_that_was_not_run_only_invites(name: str) -> None:
    text = " ".join(DRAFTS[name].split())
    assert "we have not run any version of it" in text
    assert "We make no statement about its results, and would like to invite you to take part." in text
    assert "<!-- known" not in text


@pytest.mark.parametrize("name", RUN)
def test_the_program_of_a_draft_prints_what_the_draft_says(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec({"dynamiclrp": "lrp_engine"}.get(name, name)) is None:
        pytest.skip(f"{name} is not installed")
    [(code, expected)] = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", DRAFTS[name], re.DOTALL)
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=False)
    assert done.stdout == expected, done.stderr
