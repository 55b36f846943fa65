"""The program in torch on docs/take-part.md answers the questions of lrp-cases, and the judge agrees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "take-part.md"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "cases")}
LRP_CASES = [sys.executable, "-m", "lrp_cases"]


def run(command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=given, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_the_thirty_lines_of_torch_agree_wherever_they_answer(tmp_path: Path) -> None:
    (code,) = re.findall(r"<!-- take-part-torch\.py -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 30
    questions, answers = run([*LRP_CASES, "ask", "--float"]).stdout, tmp_path / "answers.json"
    for program, expected in ((code, 0), (code.replace("z >= 0, ", "z > 0, "), 1)):
        answers.write_text(run([sys.executable, "-c", program], questions).stdout)
        judged = run([*LRP_CASES, "judge", str(answers)])
        assert judged.returncode == expected, judged.stdout + judged.stderr
        assert expected or re.search(r"^ +17  agrees$", judged.stdout, re.MULTILINE)
