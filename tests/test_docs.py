"""The pages under docs/ say what the code says: generated pages are up to date, and every link leads somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("tests/*/*.md")])


def test_the_page_of_rules_is_what_the_code_says() -> None:
    script = ROOT / "scripts" / "make_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, "run python scripts/make_docs.py"


@pytest.mark.parametrize("name", ["compare", "exact", "testing"])
def test_a_page_shows_what_its_code_prints(name: str) -> None:
    """Each block of Python is run, and must print the block of text after it."""
    page = ROOT / "docs" / f"{name}.md"
    blocks = re.findall(r"```python\n(.*?)```\n+(?:```text\n(.*?)```)?", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    scope: dict[str, Any] = {"__name__": name}
    for code, expected in blocks:
        out = StringIO()
        with redirect_stdout(out):
            exec(compile(code, str(page), "exec"), scope)
        assert out.getvalue() == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not t.startswith("mailto:") and not (page.parent / t).exists()]
    assert not missing


def test_every_convention_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "conventions.md").read_text()
    named = re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/\w+\.py)\)", page)
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| what holds")]
    assert len(named) == len(rows) > 30
    for test, file in named:
        defined = {node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)}
        assert test in defined, f"{file} has no {test}"


def test_the_readme_begins_with_two_lines() -> None:
    first_block = (ROOT / "README.md").read_text().split("```")[1].strip().splitlines()[1:]
    assert len(first_block) == 2
    assert all(line.startswith("python3 -m venv") for line in first_block)
