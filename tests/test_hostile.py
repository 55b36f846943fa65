"""Files made to hurt: each is refused in lrpref's own words, in seconds and without much memory (see hostile.py)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import CASES, MEMORY, MIB, Found

from lrpref import errors
from lrpref.conformance.case import CaseError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits on a process's memory are enforced on Linux only"),
]

OWN = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type)} | {CaseError.__name__}
NEEDS = {"load_onnx": "onnx", "load_state": "safetensors"}

SECONDS = 20
"""Of processor time; all but one take less than three on an idle machine."""


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> dict[str, Found]:
    """What each of the chosen files led to; one process makes and reads all of them."""
    here = Path(__file__).parent
    names = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]  # type: ignore[attr-defined]
    environment = os.environ | {"PYTHONPATH": str(here.parent), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, here / "hostile.py", *names], env=environment, capture_output=True, text=True, check=True
    )
    found = [Found(**json.loads(line)) for line in done.stdout.splitlines()]
    return {each.name: each for each in found}


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_refused_by_name_and_in_time(name: str, results: dict[str, Found]) -> None:
    loader, message, _ = CASES[name]
    if package := NEEDS.get(loader.__name__):
        pytest.importorskip(package, reason=f"{package} is not installed")
    found = results[name]
    assert found.error in (OWN if message else {""}), found
    assert re.search(message, found.message, re.DOTALL), found
    assert found.seconds < SECONDS, found
    assert found.memory <= MEMORY / MIB, found
