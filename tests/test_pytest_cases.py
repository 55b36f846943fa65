"""The pytest option --lrp-cases, and the workflow for other libraries, each run as another library would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lrpref

ROOT = Path(lrpref.__file__).parent.parent
PAGE = ROOT / "docs" / "conformance.md"
WORKFLOW = ROOT / ".github" / "workflows" / "lrp-cases.yml"
DIFFERS = ("eps-negative-z-below", "eps-negative-z-at-minus-epsilon", "eps-absorption-two-units")
ADAPTER = f"""
from lrpref.conformance import NotOffered, load_adapter
from lrpref.rules import Epsilon, Zero

class Adapter:
    library, version = "mine", "0.1"

    def explain(self, case):
        if not all(isinstance(rule, (Zero, Epsilon)) for rule in case.rules.values()):
            raise NotOffered("rules other than epsilon")
        wrong = case.id in {(*DIFFERS, "ab-all-zero-zero")}
        return load_adapter("lrpref").explain(case) + wrong

    def promise(self, case):
        return "README: 'eq. 58'" if case.id in {DIFFERS} else None
"""
"""A library that answers some cases otherwise: one by convention, the others by mistake."""

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    """A folder with a library's adapter and a test of its own."""
    (pytester.path / "mine.py").write_text(f"{ADAPTER}\nadapter = Adapter\n", encoding="utf-8")
    (pytester.path / "test_own.py").write_text("def test_own():\n    pass\n", encoding="utf-8")
    return pytester.path


@pytest.fixture
def run(folder: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs pytest with the plugin in this folder."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.syspath_prepend(ROOT)

    def pytest_with(*options: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "pytest_lrp_cases", "-p", "no:cacheprovider", "-rA", *options)

    return pytest_with


ONLY = ("--lrp-cases=mine:adapter", "--lrp-cases-profile=core", "-k", "eps- or float32")


def known(folder: Path, *ids: str, library: str = "mine") -> str:
    """Write a file of known differences, and return the option that names it."""
    listed = [{"id": id_, "reason": "one too much", "link": "https://example.org"} for id_ in ids]
    data = {"library": library, "versions": ["0.1"], "known": listed}
    (folder / "known.json").write_text(json.dumps(data), encoding="utf-8")
    return "--lrp-cases-known=known.json"


def verdicts(done: pytest.RunResult) -> dict[str, str]:
    """Case id -> what pytest says of it."""
    return {id_: word for word, id_ in re.findall(r"^(\w+) lrp-cases::([\w-]+)", done.stdout.str(), re.MULTILINE)}


# ---- unused ----------------------------------------------------------------------------------------------------


def test_the_plugin_is_an_entry_point_of_lrpref() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["pytest11"] == {"pytest_lrp_cases": "pytest_lrp_cases"}
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["pytest_lrp_cases.py"] == "pytest_lrp_cases.py"
    assert "pytest_lrp_cases.py" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_unused_it_imports_neither_lrpref_nor_numpy(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\n\ndef test_own():\n    assert not {'lrpref', 'numpy'} & set(sys.modules)\n"
        "    assert 'pytest_lrp_cases' in sys.modules\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "pytest_lrp_cases", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # others need numpy
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "lrp-cases" not in done.stdout


# ---- one test for each case --------------------------------------------------------------------------------------


def test_each_case_is_a_test_and_a_difference_fails_with_both_values(run: Run) -> None:
    done = run(*ONLY)
    found = verdicts(done)
    assert done.ret == 1
    assert {id_ for id_, word in found.items() if word == "FAILED"} == set(DIFFERS)
    assert found["eps-negative-z-positive"] == "PASSED"
    assert "differs: expected (-0.666667, 1.33333), got (0.333333, 2.33333), off by 1: README" in done.stdout.str()
    assert "Traceback" not in done.stdout.str()
    assert re.search(r"lrp-cases \d+\.\d+\.\d+: mine 0\.1, no known differences", done.stdout.str())


@pytest.mark.slow
def test_the_tests_of_the_library_itself_run_beside_the_cases(run: Run) -> None:
    done = run("--lrp-cases=mine:adapter", "-k", "gamma-linear or own")
    assert "PASSED test_own.py::test_own" in done.stdout.str()
    assert "not offered: rules other than epsilon" in done.stdout.str()


def test_known_differences_are_expected_and_the_run_is_green(folder: Path, run: Run) -> None:
    done = run(*ONLY, known(folder, *DIFFERS))
    assert done.ret == 0, done.stdout.str()
    assert {id_ for id_, word in verdicts(done).items() if word == "XFAIL"} == set(DIFFERS)
    assert "one too much (https://example.org)" in done.stdout.str()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ids", "red"),
    [
        (DIFFERS[1:], DIFFERS[0]),
        ((*DIFFERS, "eps-negative-z-positive"), "eps-negative-z-positive"),
        ((*DIFFERS, "precision-float32-zplus"), "precision-float32-zplus"),
    ],
    ids=["a difference that is not listed", "a listed case that agrees", "a listed case that is not offered"],
)
def test_any_change_turns_the_run_red(ids: tuple[str, ...], red: str, folder: Path, run: Run) -> None:
    done = run(*ONLY, known(folder, *ids))
    assert done.ret == 1
    assert [id_ for id_, word in verdicts(done).items() if word == "FAILED"] == [red]


@pytest.mark.slow
def test_with_a_list_a_convention_must_be_on_it(folder: Path, run: Run) -> None:
    """Without one it is skipped, because nothing says that it is new."""
    options = ("--lrp-cases=mine:adapter", "-k", "ab-all-zero-zero")
    unlisted = run(*options)
    assert unlisted.ret == 0
    assert "SKIPPED" in unlisted.stdout.str()
    assert run(*options, known(folder)).ret == 1
    assert run(*options, known(folder, "ab-all-zero-zero")).ret == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lrp-cases=mine:adaptor",), "cannot import 'mine:adaptor'"),
        (("--lrp-cases=mine:adapter", "--lrp-cases-profile=cor"), "did you mean 'core'"),
        (("--lrp-cases=mine:adapter", "--lrp-cases-known=nowhere.json"), "nowhere.json"),
    ],
)
def test_a_users_mistake_is_told_in_a_line(options: tuple[str, ...], message: str, run: Run) -> None:
    done = run(*options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr.str()
    assert "Traceback" not in done.stderr.str()


# ---- the workflow ------------------------------------------------------------------------------------------------


def workflow() -> dict[str, Any]:
    """The reusable workflow; `on` is a truth value in YAML 1.1."""
    yaml = pytest.importorskip("yaml", reason="parses YAML")
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def caller() -> dict[str, Any]:
    """The job that the page shows."""
    yaml = pytest.importorskip("yaml", reason="parses YAML")
    (text,) = re.findall(r"<!-- workflow -->\n```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(text.splitlines()) <= 10
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.skipif(not WORKFLOW.is_file(), reason="the workflows are part of a checkout")
def test_the_job_of_the_page_gives_the_workflow_all_that_it_needs() -> None:
    inputs = workflow()[True]["workflow_call"]["inputs"]
    [job] = caller()["jobs"].values()
    assert job["uses"].split("@")[0].endswith("/.github/workflows/lrp-cases.yml")
    assert set(job["with"]) == {name for name, spec in inputs.items() if spec["required"]} == {"install", "conform"}


@pytest.mark.slow
@pytest.mark.skipif(not WORKFLOW.is_file(), reason="the workflows are part of a checkout")
@pytest.mark.parametrize(("ids", "code"), [(DIFFERS, 0), (DIFFERS[1:], 1)])
def test_the_command_of_the_workflow_judges_the_adapter(ids: tuple[str, ...], code: int, folder: Path) -> None:
    """Its last step is run here, with `pip` as a function that does nothing."""
    [job] = workflow()["jobs"].values()
    step = job["steps"][-1]
    assert step["env"] == {"INSTALL": "${{ inputs.install }}", "CONFORM": "${{ inputs.conform }}"}
    known(folder, *ids)
    tools = f'pip() {{ :; }}; lrpref() {{ "{sys.executable}" -m lrpref "$@"; }}; {step["run"]}'
    arguments = "--adapter mine:adapter --known known.json --profile core --only eps-*"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INSTALL": ". lrpref", "CONFORM": arguments}
    done = subprocess.run(
        ["bash", "-c", tools], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
