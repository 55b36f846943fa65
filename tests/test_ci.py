"""The workflow of the public forge calls stages that .ci/run has; both are files of a checkout, not of an archive."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lrpref.backend import OLDEST_CUPY

ROOT = Path(__file__).parent.parent
RUN = ROOT / ".ci" / "run"
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
FORMS = ("wrong_relevance", "feature")

pytestmark = pytest.mark.skipif(not RUN.is_file(), reason=".ci/run is part of a checkout")


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def stages(kind: str = "stage|tool") -> list[str]:
    """The stages that .ci/run defines, in order."""
    return re.findall(rf'^(?:{kind}) "([^"]+)"', RUN.read_text(), re.MULTILINE)


def called() -> list[list[str]]:
    """The stages that each command of the workflow names."""
    return [shlex.split(text) for text in re.findall(r"run: \.ci/run(.*)$", WORKFLOW.read_text(), re.MULTILINE)]


def parsed(path: Path) -> Any:
    yaml = pytest.importorskip("yaml", reason="parses YAML")
    return yaml.safe_load(path.read_text())


def test_every_stage_that_the_workflow_names_exists() -> None:
    assert len(called()) >= 4
    unknown = {name for names in called() for name in names} - set(stages())
    assert not unknown


def test_the_workflow_leaves_no_stage_out() -> None:
    """The tools are a preparation that other stages ask for."""
    named = {name for names in called() for name in names}
    assert set(stages()) - named == {"development tools"}


def test_stages_have_names_of_their_own_and_end_with_the_suite() -> None:
    assert len(set(stages())) == len(stages()) >= 14
    assert stages()[-1] == "README line 2"


def test_every_tool_needs_the_development_tools() -> None:
    (line,) = [line for line in RUN.read_text().splitlines() if 'echo "development tools"' in line]
    assert set(re.findall(r'"([^"]+)"', line.partition(")")[0])) == set(stages("tool"))


def test_a_stage_that_does_not_exist_is_refused_before_anything_runs() -> None:
    done = subprocess.run([RUN, "lint", "lnit"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'no stage is called "lnit"' in done.stderr
    assert done.stderr.splitlines()[1:] == stages()
    assert done.stdout == ""


def test_the_workflow_is_yaml_and_runs_on_every_supported_python() -> None:
    jobs = parsed(WORKFLOW)["jobs"]
    versions = jobs["suite"]["strategy"]["matrix"]["python"]
    assert all(isinstance(version, str) for version in versions), "3.10 as a number would be 3.1"
    assert project()["requires-python"] == f">={versions[0]}"
    assert versions == [f"3.{minor}" for minor in range(11, 11 + len(versions))]
    assert len(versions) >= 4
    for job in jobs.values():
        assert [step.get("run", "").startswith((".ci/run ", ".ci/full ")) for step in job["steps"]][-1]


def required(extra: str) -> set[str]:
    """What an extra asks for, extras within it included: "numpy>=2.1"."""
    found = set(project()["dependencies"])
    for text in project()["optional-dependencies"][extra]:
        inner = re.fullmatch(r"lrpref\[(.*)\]", text)
        found |= set().union(*map(required, inner[1].split(","))) if inner else {text}
    return found


def test_the_lowest_versions_are_those_of_the_package() -> None:
    lowest = dict(line.split("==") for line in (ROOT / ".ci" / "lowest.txt").read_text().splitlines())
    bounds = dict(re.sub(r"\[\w+\]", "", text).split(">=") for text in required("test"))
    assert set(lowest) == set(bounds)
    wrong = {name: version for name, version in bounds.items() if not f"{lowest[name]}.".startswith(f"{version}.")}
    assert not wrong


def test_the_extras_of_cupy_ask_for_the_oldest_version_that_is_taken() -> None:
    for cuda in (12, 13):
        assert project()["optional-dependencies"][f"cuda{cuda}"] == [f"cupy-cuda{cuda}x>={OLDEST_CUPY}"]


def test_the_locked_versions_are_allowed() -> None:
    """Every package of the test extra is locked, and to one version."""
    lines = (ROOT / ".ci" / "locked.txt").read_text().splitlines()
    locked = {re.sub("[-_.]+", "-", name).lower() for name in (line.partition("==")[0] for line in lines)}
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!]+", line) for line in lines)
    assert {re.match(r"[\w-]+", text)[0].lower() for text in required("dev")} <= locked  # type: ignore[index]


@pytest.mark.parametrize("name", FORMS)
def test_the_forms_are_complete(name: str) -> None:
    form = parsed(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert {"name", "description", "body"} <= set(form)
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in fields}) == len(fields) >= 3
    assert all(part["attributes"]["label"] for part in fields)
    if name == "wrong_relevance":
        assert {"network", "input", "rule", "expected", "found", "versions"} == {part["id"] for part in fields}
        assert all(part["validations"]["required"] for part in fields)


def test_a_full_run_refuses_unknown_stages() -> None:
    done = subprocess.run([ROOT / ".ci" / "full", "cverage"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "mutants",
        "mutants with other libraries",
        "deep fuzz",
        "memory and bits",
        "reach",
        "coverage",
        "deep hypothesis",
    ]
