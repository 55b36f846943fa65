"""`python -m benchmarks.gpu`, rehearsed on CuPy's stand-in: every section, and what is written when one fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("benchmarks", reason="the benchmarks are part of a checkout; run python -m pytest at its root")

from benchmarks import gpu, gpu_agreement, modelled
from benchmarks.contestants import Case

cupy = pytest.importorskip("cupy", reason="CuPy's stand-in is found with --standin")
if not hasattr(cupy, "is_standin"):
    pytest.skip("on a GPU this would not be a rehearsal", allow_module_level=True)

ONE_TEST = "tests/test_cupy_launches.py::test_prepared_weights_are_counted_once"
SMALL = ["--quick", "--networks", "vgg16", "--batch", "1", "--dtypes", "float64", "--rounds", "1"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return ["--json", str(tmp_path / "gpu.json"), "--markdown", str(tmp_path / "gpu.md")]


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain form runs out of memory."""
    real = gpu.contestant

    def contestant(name: str, case: Case, device: str) -> Any:
        if name == "lrpref plain":
            raise cupy.cuda.memory.OutOfMemoryError
        return real(name, case, device)

    monkeypatch.setattr(gpu, "contestant", contestant)
    monkeypatch.setattr(gpu_agreement, "SUBJECTS", {"epsilon": gpu_agreement.SUBJECTS["epsilon"]})


@pytest.mark.usefixtures("scarce")
def test_a_rehearsal(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([*SMALL, *files, "--seconds", "1200", "--tests", ONE_TEST]) == 0
    text = (tmp_path / "gpu.md").read_text()
    assert text == capsys.readouterr().out
    assert text.startswith("**Not on a GPU**")
    assert "1 passed" in text
    assert "lrpref plain: out of memory on the card, vgg16 in float64 at batch 1." in text
    found = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert list(found) == list(gpu.SHARES)
    assert [row["rules"] for row in found["agreement"]["rows"]] == [1] * 6
    assert max(row["worst"] for row in found["agreement"]["rows"] if row["dtype"] == "float64") < gpu_agreement.ALLOWED
    assert [row["different"] for row in found["repeatability"]["rows"]] == [0] * 4
    assert all(row.get("rate", 1) > 0 and row.get("done_us", 1) > 0 for row in found["costs"]["rows"])
    (case,) = found["speed"]["rows"]
    assert case["ms"].keys() == case["peak_mib"].keys() >= {"lrpref call", "lrpref direct", "lrpref winograd"}
    assert case["limit_ms"] > 0


def test_a_section_that_breaks_off_leaves_the_others(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had found is written, and so is the error; the run is a failure."""

    def broken(chosen: Any, until: float) -> Any:
        yield {"rows": [{"what": "add", "host_us": 1.0, "done_us": 2.0}]}
        raise RuntimeError("the card fell off")

    def late(chosen: Any, until: float) -> Any:
        assert "the card fell off" in (tmp_path / "gpu.md").read_text()
        yield {"rows": []}

    monkeypatch.setitem(gpu.SECTIONS, "costs", broken)  # type: ignore[call-overload]
    monkeypatch.setitem(gpu.SECTIONS, "repeatability", late)  # type: ignore[call-overload]
    assert gpu.main([*files, "--sections", "costs,repeatability"]) == 1
    text = (tmp_path / "gpu.md").read_text()
    assert "| add  | 1.0         | 2.0        |" in text
    assert "Ended by an error: RuntimeError: the card fell off" in text
    assert "## Repeatability" in text


def test_what_there_is_no_time_for_is_named(files: list[str], tmp_path: Path) -> None:
    assert gpu.main([*SMALL, *files, "--sections", "agreement,speed", "--seconds", "0"]) == 0
    text = (tmp_path / "gpu.md").read_text()
    assert f"Left out for lack of time: {2 * len(gpu_agreement.SUBJECTS)} rules." in text
    assert "Left out for lack of time: vgg16 in float64 at batch 1." in text


def test_disagreement_is_a_failure(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, where no library may differ by more than rounding."""
    monkeypatch.setattr(gpu_agreement, "ALLOWED", 0.0)
    monkeypatch.setattr(gpu_agreement, "SUBJECTS", {"alpha-beta": gpu_agreement.SUBJECTS["alpha-beta"]})
    assert gpu.main([*SMALL, *files, "--sections", "agreement"]) == 1
    assert "mnist-cnn-bn float64 direct alpha-beta: " in (tmp_path / "gpu.md").read_text()


def test_a_suite_that_takes_too_long_is_stopped() -> None:
    chosen = gpu.arguments().parse_args(["--tests", ONE_TEST])
    (found,) = gpu.suite(chosen, time.monotonic())
    assert found["not_run"].startswith("stopped when its time was over")


# ---- the model -------------------------------------------------------------------------------------------------------


def cells(table: str) -> list[list[str]]:
    """The rows of a Markdown table, whatever its alignment."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]


def test_the_modelled_table_is_that_of_the_page() -> None:
    """Launches, waits, bytes and operations are counted, so they are the same on every machine."""
    page = (Path(__file__).parents[1] / "docs" / "performance.md").read_text()
    rows = list(modelled.modelled(["vgg16", "resnet50", "resnet20"], [1, 8, 64], "epsilon-plus-flat"))
    head, _, *found = cells(modelled.render(rows, modelled.Costs()))
    assert head in cells(page)
    for row in found:
        assert row in cells(page)
