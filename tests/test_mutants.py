"""Mutation tests: each mutant of the table is applied to a copy of the package, and its test must fail.

pytest -m mutants tests/test_mutants.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant, table

import lrpref

PACKAGE = Path(lrpref.__file__).parent
TESTS = Path(__file__).parent
PASSED, FAILED = 0, 1  # pytest's exit codes; 2 to 5 are errors of collection and usage
WRONG_PACKAGE = 99

GUARD = f"""
from pathlib import Path
import lrpref
import pytest

def pytest_sessionstart(session):
    if Path(lrpref.__file__).parent != Path(__file__).parent / "lrpref":
        pytest.exit(f"these tests are of {{lrpref.__file__}}", returncode={WRONG_PACKAGE})
"""


def mutated(mutant: Mutant) -> str:
    return (PACKAGE / mutant.file).read_text().replace(mutant.old, mutant.new)


def workshop(folder: Path) -> None:
    """Copy the package and its tests, with a plugin that checks that the copy is tested."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "lrpref", ignore=without)
    shutil.copytree(TESTS, folder / "tests", ignore=without)
    for name in ("cases", "scripts"):
        shutil.copytree(TESTS.parent / name, folder / name, ignore=without)
    for name in ("pyproject.toml", "pytest_lrp_cases.py"):
        shutil.copy(TESTS.parent / name, folder)
    (folder / "weights").symlink_to(TESTS.parent / "weights")
    (folder / "guard.py").write_text(GUARD)


def run(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on the copy in a separate process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "guard", "-m", "slow or not slow", "--hypothesis-profile=ci"]
    options.append("--standin")  # for the tests of the backend CuPy
    command = [sys.executable, "-P", "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


# ---- the table ---------------------------------------------------------------------------------------------------


def test_every_mutant_can_still_be_made() -> None:
    """Its source text occurs exactly once, the mutated Python compiles, and the test that must fail exists."""
    for mutant in MUTANTS:
        assert (PACKAGE / mutant.file).read_text().count(mutant.old) == 1, mutant.name
        assert mutant.new != mutant.old, mutant.name
        if mutant.file.endswith(".py"):
            compile(mutated(mutant), mutant.name, "exec")
        file, _, test = mutant.killer.partition("::")
        assert f"def {test.partition('[')[0]}(" in (TESTS.parent / file).read_text(), mutant.name


def test_names_are_unique_and_the_table_prints() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert all(name in table() for name in names)


def test_the_committed_table_is_this_one() -> None:
    page = TESTS.parent / "docs" / "mutants.txt"
    assert page.read_text() == f"{table()}\n", "run python tests/mutants.py > docs/mutants.txt"


WITH_OTHERS = (
    "adapters",
    *(f"import_{n}" for n in ("keras", "moves", "norms", "sklearn", "torch")),
    "transformer_forms",
)
OF_OTHERS = [mutant for mutant in MUTANTS if mutant.killer.startswith(tuple(f"tests/test_{n}.py" for n in WITH_OTHERS))]
"""Those whose test may need torch, Keras or scikit-learn, and is skipped where these are not installed."""
OWN = [mutant for mutant in MUTANTS if mutant not in OF_OTHERS]


# ---- running the mutants -----------------------------------------------------------------------------------------


@pytest.mark.mutants
def test_all_is_well_without_a_mutant(tmp_path: Path) -> None:
    """Without this, a failure below would prove nothing."""
    workshop(tmp_path)
    found = run(tmp_path, *sorted({mutant.killer for mutant in OWN}))
    assert found.returncode == PASSED, found.stdout + found.stderr


def demand_noticed(mutant: Mutant, folder: Path) -> None:
    """Fail unless the mutant's test fails on it."""
    workshop(folder)
    (folder / "lrpref" / mutant.file).write_text(mutated(mutant))
    found = run(folder, mutant.killer)
    if mutant in OF_OTHERS and "skipped" in found.stdout.splitlines()[-1]:
        pytest.skip("its test needs a library that is not installed")
    assert found.returncode == FAILED, f"{mutant.name}: not noticed\n{found.stdout}{found.stderr}"
    assert "1 failed" in found.stdout
    assert "error" not in found.stdout.splitlines()[-1]


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", OWN, ids=lambda mutant: mutant.name)
def test_a_mutant_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    if mutant.file.endswith(".js") and shutil.which("node") is None:
        pytest.skip("Node is not installed")
    demand_noticed(mutant, tmp_path)


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", OF_OTHERS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_noticed_with_other_libraries(mutant: Mutant, tmp_path: Path) -> None:
    """.ci/full has a stage for these, in an environment with torch, Keras and scikit-learn."""
    demand_noticed(mutant, tmp_path)


@pytest.mark.mutants
def test_another_package_would_be_noticed(tmp_path: Path) -> None:
    """The guard stops pytest if the tests would run on a package other than the copy."""
    workshop(tmp_path)
    shutil.rmtree(tmp_path / "lrpref")
    shutil.copytree(PACKAGE, tmp_path / "elsewhere" / "lrpref")
    (tmp_path / "guard.py").write_text(f"import sys\nsys.path.insert(0, {str(tmp_path / 'elsewhere')!r})\n{GUARD}")
    assert run(tmp_path, MUTANTS[0].killer).returncode == WRONG_PACKAGE
