"""The documentation matches the code: generated pages are up to date, examples run, and links resolve."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import spec
from test_imports import FILES, GRAPH

from lrpref import layers

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("tests/*/*.md"), spec.SPEC]
)


def load_make_docs() -> Any:
    """Import scripts/make_docs.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_docs = load_make_docs()


def test_the_page_of_rules_is_what_the_code_says() -> None:
    script = ROOT / "scripts" / "make_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, "run python scripts/make_docs.py"


def test_the_page_of_layers_describes_every_parameter() -> None:
    """In the section of the layer, or in the one that this section links to."""
    page = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for name in layers.__all__:
        if (kind := getattr(layers, name)) not in layers.BASES:
            linked = [sections[each] for each in re.findall(r"\[`(\w+)`\]\(#\w+\)\s+describes", sections[name])]
            described = {word for text in (sections[name], *linked) for word in re.findall(r"\w+", text)}
            assert {field.name for field in fields(kind) if field.init} <= described, name
    assert list(sections) == sorted(sections, key=str.lower)


FORMULAS = {
    # an index of several letters gets braces; a part (+, -) or a power is a superscript
    "z_j = sum_i a_i w_ij + b_j": r"z_j = \sum_i a_i w_{ij} + b_j",
    "z_j+ = sum_i (a_i w_ij)+ + b_j+": r"z_j^+ = \sum_i (a_i w_{ij})^+ + b_j^+",
    "(a w)- = a+ w- + a- w+": r"(a w)^- = a^+ w^- + a^- w^+",
    "a'_i w'_ij": r"a'_i w'_{ij}",
    "sum_i' a_i' w_i'j": r"\sum_{i'} a_{i'} w_{i'j}",
    "z_linear": r"z_{\text{linear}}",
    # the numerator of a fraction begins after the sum; parentheses that only group it are dropped
    "R_i = sum_j a_i w_ij / z_j R_j": r"R_i = \sum_j \frac{a_i w_{ij}}{z_j} R_j",
    "R_i = sum_j  a_i w_ij / z_j  R_j": r"R_i = \sum_j \frac{a_i w_{ij}}{z_j} R_j",
    "R_i = sum_j (a_i w_ij / z_j) R_j": r"R_i = \sum_j \frac{a_i w_{ij}}{z_j} R_j",
    "R_i = sum_j (a_i w_ij / (z_j + epsilon sign(z_j))) R_j": (
        r"R_i = \sum_j \frac{a_i w_{ij}}{z_j + \epsilon \mathop{\mathrm{sign}}(z_j)} R_j"
    ),
    "(|z_j| - sgn(z_j) b_j) / n * R_j": (r"\frac{\lvert z_j \rvert - \mathop{\mathrm{sgn}}(z_j) b_j}{n} \cdot R_j"),
    # parentheses around more than the fraction are kept, and scale with it
    "R_i = sum_j (alpha (a_i w_ij)+ / z_j+ - beta (a_i w_ij)- / z_j-) R_j": (
        r"R_i = \sum_j \left( \frac{\alpha (a_i w_{ij})^+}{z_j^+} - \frac{\beta (a_i w_{ij})^-}{z_j^-} \right) R_j"
    ),
    # a sum in the denominator ends at a parenthesis, or after a single factor
    "R_i = sum_j (w_ij^2 / sum_i w_ij^2) R_j": r"R_i = \sum_j \frac{w_{ij}^2}{\sum_i w_{ij}^2} R_j",
    "R_i = sum_j  w_ij^2 / sum_i w_ij^2  R_j": r"R_i = \sum_j \frac{w_{ij}^2}{\sum_i w_{ij}^2} R_j",
    "sum_j w_ij^2 / sum_i w_ij^2 R_j": r"\sum_j w_{ij}^2 / \sum_i w_{ij}^2 R_j",
    "kappa = sum_j |R_j| / sum_i |sum_j R[i<-j]|": (
        r"\kappa = \sum_j \frac{\lvert R_j \rvert}{\sum_i \lvert \sum_j R_{i \leftarrow j} \rvert}"
    ),
    # words, conditions, and several formulas on a line
    "1 / (number of inputs of j)  R_j": r"\frac{1}{\text{number of inputs of j}} R_j",
    "kappa = 1        (0 where nothing flows)": r"\kappa = 1 \qquad \text{(0 where nothing flows)}",
    "z_j >= 0:  R_i = R_j": r"z_j \ge 0: \quad R_i = R_j",
    "R_i = R_j          alpha - beta = 1": r"R_i = R_j \qquad \alpha - \beta = 1",
    "R_j = 0 where z_j < 0": r"R_j = 0 \text{ where } z_j \lt 0",
}


@pytest.mark.parametrize(("plain", "expected"), FORMULAS.items(), ids=FORMULAS)
def test_a_formula_in_latex(plain: str, expected: str) -> None:
    assert make_docs.latex(plain) == expected


@pytest.mark.parametrize("plain", ["(a_i", "a_i)", "|a_i", "a_i /", "a_i @ b", "sum_i /"])
def test_what_is_not_a_formula_is_reported_with_its_text(plain: str) -> None:
    with pytest.raises(ValueError, match=re.escape(plain)):
        make_docs.latex(plain)


PLAIN = """The summary, for a >= 0.

    R_i = sum_j a_i w_ij / z_j R_j

where z_j+ is the *positive* part of ``z``; see |a w|.

epsilon  >= 0, in the units of z
scale    None, or "rms": epsilon times
         the root mean square

>>> 1 + 1
2
"""
NUMPYDOC = """The summary, for a >= 0.

    R_i = sum_j (a_i w_ij / z_j) R_j

where z_j+ is the *positive* part of ``z``; see |a w|.

Parameters
----------
epsilon : float
    At least 0, in the units of z.
scale : {None, "rms"}
    With "rms", epsilon times
    the root mean square.

References
----------
Bach et al. 2015, eq. 58.

Examples
--------
>>> 1 + 1
2
"""
BODY = r"""The summary, for $a \ge 0$.

$$R_i = \sum_j \frac{a_i w_{ij}}{z_j} R_j$$

where $z_j^+$ is the *positive* part of `z`; see $\lvert a w \rvert$.

"""


def test_a_docstring_with_a_list_of_fields_in_markdown() -> None:
    fields = '- `epsilon`: $\\ge 0$, in the units of z\n- `scale`: None, or "rms": epsilon times the root mean square'
    assert make_docs.markdown(PLAIN) == BODY + fields


def test_a_numpydoc_docstring_in_markdown() -> None:
    """Sections become lists and paragraphs; examples are left out."""
    sections = """**Parameters**

- `epsilon` (float): At least 0, in the units of z.
- `scale` ({None, "rms"}): With "rms", epsilon times the root mean square.

**References**

Bach et al. 2015, eq. 58."""
    assert make_docs.markdown(NUMPYDOC) == BODY + sections


def test_every_equation_of_a_rule_is_set_as_mathematics() -> None:
    """No formula is left in plain-text notation, neither inline nor displayed."""
    page = make_docs.rules_page()
    assert page.count("$$") >= 2 * 10
    for display in re.findall(r"\$\$(.*?)\$\$|\$([^$\n]+)\$", page):
        formula = re.sub(r"\\text\{[^}]*\}", "", "".join(display))
        assert not re.search(r"(?<!\\)sum_|<-|[<>|*]|\bw_ij|(?<!\\)\b(alpha|beta|gamma|epsilon|kappa)\b", formula), (
            formula
        )
    assert ">>>" not in page


EXECUTED = {
    "compare": ROOT / "docs" / "compare.md",
    "concepts": ROOT / "docs" / "concepts.md",
    "exact": ROOT / "docs" / "exact.md",
    "normalisation": ROOT / "docs" / "normalisation.md",
    "own-layer": ROOT / "docs" / "own-layer.md",
    "own-rule": ROOT / "docs" / "own-rule.md",
    "plot": ROOT / "docs" / "plot.md",
    "several": ROOT / "docs" / "several.md",
    "skips": ROOT / "docs" / "skips.md",
    "transformers": ROOT / "docs" / "transformers.md",
    "signals": ROOT / "docs" / "signals.md",
    "signature": ROOT / "docs" / "signature.md",
    "testing": ROOT / "docs" / "testing.md",
    "lrpref": ROOT / "lrpref" / "README.md",
}


SLOW_PAGES = ("compare", "exact", "own-rule", "plot", "signals", "skips", "testing")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_PAGES else name for name in EXECUTED]
)
def test_a_page_shows_what_its_code_prints(name: str) -> None:
    """Each block of Python is run, and must print the block of text after it."""
    page = EXECUTED[name]
    blocks = re.findall(r"```python\n(.*?)```\n+(?:```text\n(.*?)```)?", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    scope: dict[str, Any] = {"__name__": name}
    for code, expected in blocks:
        out = StringIO()
        with redirect_stdout(out):
            exec(compile(code, str(page), "exec", dont_inherit=True), scope)  # without this file's future import
        assert out.getvalue() == expected


def test_the_page_on_signals_brings_a_module_from_pytorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its blocks marked `py` need PyTorch; they are run where it is installed."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```py\n(.*?)```", EXECUTED["signals"].read_text(encoding="utf-8"), re.DOTALL)
    scope: dict[str, Any] = {"__name__": "signals"}
    exec(compile(code, "signals.md", "exec", dont_inherit=True), scope)
    assert scope["R"].shape == scope["x"].shape
    assert (tmp_path / "mine.npz").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not t.startswith("mailto:") and not (page.parent / t).exists()]
    assert not missing


def test_links_to_clauses_lead_to_clauses() -> None:
    linked = {number for page in PAGES for number in re.findall(r"SPEC\.md#([^)\s]+)\)", page.read_text())}
    assert len(linked) > 50
    assert linked <= set(spec.read())


def test_a_page_that_is_filled_in_says_what_its_sources_say() -> None:
    page = "<!-- from lrpref.rules.Zero: formula 1 -->\nold\n<!-- end -->\nkept\n<!-- from 11.2 -->\n<!-- end -->\n"
    zero, relu = (
        make_docs.latex("R_i = sum_j  (a_i w_ij / z_j)  R_j          z_j = sum_i a_i w_ij + b_j"),
        "$\\max(x, 0)$.",
    )
    assert make_docs.filled(page) == (
        f"<!-- from lrpref.rules.Zero: formula 1 -->\n\n$${zero}$$\n\n<!-- end -->\nkept\n"
        f"<!-- from 11.2 -->\n\n{relu}\n\n<!-- end -->\n"
    )
    assert make_docs.filled(make_docs.filled(page)) == make_docs.filled(page)


def test_a_row_of_the_conventions_says_what_the_answer_says() -> None:
    row = "| [3.2a](../cases/SPEC.md#3.2) | {} | [`test_relevance`](../tests/test_cases.py) |\n"
    expected = row.format(r"The sign of zero. What is $\mathrm{sign}(0)$ in a stabilizer? `plus`: +1.")
    assert make_docs.with_answers(row.format("?")) == expected == make_docs.with_answers(expected)


READING = (ROOT / "lrpref" / "README.md").read_text()


def test_the_reading_order_names_every_file_of_the_method() -> None:
    order = [
        *("errors", "backend", "arithmetic", "layers", "network", "graphs", "ledger", "engine", "rules", "relative"),
        *("seeds", "composites", "signatures", "walk", "conditional", "contrastive"),
        *("fusion", "freezing", "oracle", "plot"),
    ]
    method = READING.partition("## The other packages")[0]
    assert re.findall(r"^\| \[`(\w+)(?:\.py|/)`\]", method, re.MULTILINE) == order
    assert set(order) - {"layers"} == {path.stem for path in (ROOT / "lrpref").glob("[!_]*.py")}
    layers = {path.stem for path in (ROOT / "lrpref" / "layers").glob("[!_]*.py")}
    assert set(re.findall(r"\(layers/(\w+)\.py\)", READING)) - {"__init__"} == layers


def test_each_ring_builds_on_what_the_readme_says() -> None:
    rows = re.findall(r"^\| \[`(\w+)/`\]\([^)]*\) \| .* \| (the core.*) \|$", READING, re.MULTILINE)
    told = {ring: set(re.findall(r"`(\w+)`", names)) for ring, names in rows}
    folders = {path.parent.name for path in (ROOT / "lrpref").glob("*/__init__.py")} - {"layers"}
    assert set(told) == folders
    for ring, names in told.items():
        found = {m.partition(".")[0] for file in FILES if file.startswith(f"{ring}.") for m in GRAPH[file]}
        assert found & folders - {ring} == names, ring


def test_every_convention_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "conventions.md").read_text()
    named = re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/\w+\.py)\)", page)
    rows = [line for line in page.splitlines() if re.match(r"\| (?!convention \||clause \|)", line)]
    assert len(named) == len(rows) > 30
    for test, file in named:
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file} has no {test}"


def test_the_tutorials_are_listed_in_order_with_their_question_and_their_time() -> None:
    """The minutes are what the page promises: the words of a step at a hundred a minute, give or take five."""
    row = r"^\| (\w+) \| \*\*(.+?)\*\* .+? \| (course|authors|both) \| (\d+) \| \[page\]\(rendered/(\w+)\.md\) "
    readme = (ROOT / "tutorials" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(row + r"\| \[script\]\((\w+)\.py\) \|", readme, re.MULTILINE)
    steps = [path.stem for path in sorted((ROOT / "tutorials").glob("[0-9]*_*.py"))]
    assert [line[4] for line in listed] == [line[5] for line in listed] == steps
    for number, question, _, minutes, page, _ in listed:
        text = (ROOT / "tutorials" / "rendered" / f"{page}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. {question}\n")
        assert abs(int(minutes) - len(text.split()) / 100) <= 5, f"step {number}"


def test_the_readme_begins_with_two_lines() -> None:
    first_block = (ROOT / "README.md").read_text().split("```")[1].strip().splitlines()[1:]
    assert len(first_block) == 2
    assert all(line.startswith("python3 -m venv") for line in first_block)


def test_the_reference_of_the_site_has_every_package() -> None:
    """The command line and the page to play with have pages of their own."""
    chapters = importlib.import_module("make_reference").CHAPTERS
    listed = {name.partition(".")[0] for names in chapters.values() for name in names}
    there = {path.stem for path in (ROOT / "lrpref").glob("[!_]*") if path.suffix == ".py" or path.is_dir()}
    assert listed == there - {"README", "py", "cli", "play"}
