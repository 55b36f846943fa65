"""What a reader of the front pages relies on: install lines, extras, quoted figures, and the version."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import figures
import make_docs
import pytest
import yaml

import lrpref

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAPER = (ROOT / "docs" / "paper" / "paper.md").read_text(encoding="utf-8")
INSTALL = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")


def packages(requirements: Iterable[str]) -> set[str]:
    """The names of required packages, those of lrpref's own extras included."""
    found = set()
    for text in requirements:
        if own := re.fullmatch(r"lrpref\[(.*)\]", text):
            found |= {name for extra in own[1].split(",") for name in packages(EXTRAS[extra])}
        else:
            found.add(re.match(r"[\w-]+", text)[0])  # type: ignore[index]
    return found


# ---- install lines ---------------------------------------------------------------------------------------------


def test_the_first_line_of_the_readme_installs_what_the_tutorials_import() -> None:
    extra = re.findall(r'install -q -e "\.\[(\w+)\]"', README)[0]
    here = {"lrpref", "numpy", *sys.stdlib_module_names, *(path.stem for path in (ROOT / "tutorials").glob("*.py"))}
    imported = set()
    for path in (ROOT / "tutorials").glob("[0-9]*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names}
    assert {"matplotlib", "hypothesis"} <= imported - here <= packages(EXTRAS[extra])


def test_no_line_installs_lrpref_by_a_name_that_no_index_has() -> None:
    """`docs/install.md` says what will hold; all other lines install from a clone or from an address."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    texts = [name for name in listed.stdout.split() if name.endswith((".md", ".py", ".sh", ".yml", ".toml"))]
    named = re.compile(r"""pip install (?:-\S+ )*["']?(?:lrpref|lrp-cases)\b""")
    found = [name for name in texts if named.search((ROOT / name).read_text(encoding="utf-8"))]
    assert named.search('pip install -q "lrpref[plot]"')
    assert set(found) - {"CHANGELOG.md", "tests/test_release.py"} == {"docs/install.md"}


def test_the_page_on_installing_lists_every_extra() -> None:
    table = INSTALL.partition("## Extras")[2]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)) == sorted(EXTRAS)


# ---- quoted figures --------------------------------------------------------------------------------------------


def test_the_readme_and_the_paper_count_the_differences_of_the_scoreboard() -> None:
    first = (ROOT / "docs" / "scoreboard.md").read_text(encoding="utf-8").splitlines()[0]
    counted = first.removeprefix("# Scoreboard: ")
    assert re.fullmatch(r"\d+ differences in \d+ of \d+ libraries", counted)
    assert f">{counted}<" in README
    assert f">{counted}<" in PAPER


@pytest.mark.parametrize("page", ["README.md", "docs/paper/paper.md"])
def test_a_page_quotes_the_figures_of_its_sources(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert make_docs.with_figures(text) == text, "run python scripts/make_docs.py"
    assert make_docs.with_figures(text.replace("<!-- figure reach -->", "<!-- figure reach -->7")) == text


def test_a_figure_that_its_source_does_not_have_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text("2 of 3 and 3 of 3", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md: .* matches \['2', '3'\]"):
        figures.found(tmp_path / "page.md", r"(\d) of 3")


def prose() -> str:
    """The paper without its head, its marked figures and its citations."""
    body = re.sub(r"<!-- figure [^>]+ -->.*?<!-- end -->", "", PAPER.split("---", 2)[2], flags=re.DOTALL)
    return re.sub(r"\[@[^]]*\]", "", body)


def test_the_paper_has_no_figure_of_its_own() -> None:
    """Digits outside marks are names and sizes of images."""
    assert set(re.findall(r"\S*\d\S*", prose())) == {"LRP-0", "VGG16", "ResNet50", "float32,", "float64", "224"}


def test_the_paper_has_the_length_and_the_sections_that_the_journal_asks_for() -> None:
    words = re.sub(r"<!--.*?-->", "", PAPER.split("---", 2)[2]).split()
    assert 750 <= len(words) <= 1750
    sections = re.findall(r"^# (.+)$", PAPER, re.MULTILINE)
    required = ["Summary", "Statement of need", "State of the field", "Software design", "Research impact statement"]
    assert [name for name in sections if name in required] == required
    assert sections[-3:] == ["AI usage disclosure", "Acknowledgements", "References"]


def test_the_paper_cites_what_its_bibliography_has() -> None:
    entries = re.findall(r"^@\w+\{(\w+),$", (ROOT / "docs/paper/paper.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"@(\w+)", PAPER.split("---", 2)[2])) == set(entries)
    assert len(entries) == len(set(entries))


# ---- a release -------------------------------------------------------------------------------------------------


def test_the_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == lrpref.__version__
    assert citation["license"] == PROJECT["license"]
