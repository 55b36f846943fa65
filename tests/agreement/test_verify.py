"""docs/verify.md shows what `lrpref verify` finds in zennit and captum; both are run here if they are installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- (\w+\.py) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
RUNS = re.findall(r"<!-- torch -->\n```sh\nlrpref (.*?)\n```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def without_counts(text: str) -> str:
    """The output without the numbers of random networks, which depend on the version of Hypothesis."""
    text = re.sub(r"(check_\w+) +\d+( of \d+)? +", r"\1  ", text)
    return re.sub(r"\d+ networks were declined: .*", "networks were declined", text)


def test_the_page_runs_both_libraries() -> None:
    assert [re.findall(r"with_(\w+):", command) for command, _ in RUNS] == [["zennit"], ["captum"], ["captum"]]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "expected"), RUNS, ids=["zennit-z-plus", "captum-epsilon", "captum-z-plus"])
def test_the_page_shows_what_was_found(command: str, expected: str, tmp_path: Path) -> None:
    needed = ["torch", "hypothesis", re.findall(r"with_(\w+):", command)[0]]
    if missing := [package for package in needed if find_spec(package) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (see tests/agreement/README.md)")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m lrpref {command}'],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == int("FAILS" in expected), done.stderr
    assert without_counts(done.stdout) == without_counts(expected)
