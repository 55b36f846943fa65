"""Run the tutorials and keep their pages up to date.

    python tutorials/render.py            run every tutorial and write its page to tutorials/rendered/
    python tutorials/render.py 01 04      only these
    python tutorials/render.py --check    run them, write nothing, and fail if the text of a page is out of date

A tutorial is a Python script in cells ("py:percent"). Its page is what a kernel prints and draws when it runs the
script. It is an error if a cell raises, warns, or draws a figure without describing it (`# %% alt="..."`). Two runs are
compared by their text, and their figures by file name only; rounding noise counts as zero, because it differs from
machine to machine.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor

from lrpref._support.files import whole, write_text

HERE = Path(__file__).resolve().parent
PAGES = HERE / "rendered"
SETUP = """%matplotlib inline
%config InlineBackend.figure_formats = ["retina"]
import matplotlib.font_manager  # announces on first import that it is building a cache
import sys
from lrpref.plot import ANY_PAGE
matplotlib.rcParams.update(ANY_PAGE)
print(sys.executable)"""
PAINT = re.compile("\x1b" + r"\[[\d;]*m")
"""The terminal colours in a traceback."""
NOISE = re.compile(r" *-?\d\.\d+e-(?:0[89]|[1-9]\d)\b| *0\.0+e\+00")
"""A tiny number, such as 1.2e-15, or 0.0e+00, with the spaces that align it."""


def main() -> int:
    """Render or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("steps", nargs="*", help="numbers of tutorials, such as 01 or 02b (default: all)")
    parser.add_argument("--check", action="store_true", help="compare with the existing pages and write nothing")
    chosen = parser.parse_args()
    every = scripts()
    wanted = [path for path in every if not chosen.steps or number(path) in chosen.steps]
    if not wanted:
        parser.error(f"no such tutorial; valid numbers: {', '.join(map(number, every))}")
    # Two kernels run at a time, on this checkout's library, each with one thread for linear algebra.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    failures = leftovers(every) if chosen.check else []
    with ThreadPoolExecutor(2) as pool:
        for path, (page, pictures, complaint, seconds) in zip(wanted, pool.map(render, wanted), strict=True):
            if not complaint and chosen.check:
                complaint = difference(path, page, pictures)
            elif not complaint:
                write(path, page, pictures)
            print(f"{path.stem:28} {seconds:5.1f} s   {'failed' if complaint else 'ok'}", flush=True)
            failures += [complaint] if complaint else []
    if failures:
        print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


def scripts() -> list[Path]:
    """The tutorials in order; 02b comes between 02 and 03."""
    return sorted([*HERE.glob("[0-9][0-9]_*.py"), *HERE.glob("[0-9][0-9][a-z]_*.py")])


def number(path: Path) -> str:
    """The number of a tutorial, such as "01" or "02b"."""
    return path.stem.partition("_")[0]


# ---- from a script to a page -----------------------------------------------------------------------------------


def render(path: Path) -> tuple[str, dict[str, bytes], str, float]:
    """Return the page, its pictures by file name, a complaint ("" if none) and the seconds it took."""
    start = time.perf_counter()
    try:
        notebook = execute(path)
        page, pictures = export(path, notebook)
        complaint = ""
    except (CellExecutionError, CellTimeoutError, ValueError) as error:
        page, pictures, complaint = "", {}, f"{path.name}: {PAINT.sub('', str(error))}"
    return page, pictures, complaint, time.perf_counter() - start


def execute(path: Path) -> nbformat.NotebookNode:
    """Run the script as a notebook, in a fresh kernel of this Python."""
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    # On a busy machine an output may come late, and a page without it would be wrong.
    late = {"iopub_timeout": 60, "raise_on_iopub_timeout": True}
    runner = ExecutePreprocessor(timeout=120, kernel_name="python3", coalesce_streams=True, **late)
    runner.extra_arguments = ["--log-level=40"]
    runner.preprocess(notebook, {"metadata": {"path": str(HERE)}})
    kernel = next(output.text.strip() for output in notebook.cells.pop(0).outputs if output.get("name") == "stdout")
    if Path(kernel) != Path(sys.executable):
        raise ValueError(f"the kernel 'python3' runs {kernel}, not this Python ({sys.executable})")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise ValueError(f"a cell writes to stderr:\n{cell.source}\n{output.text}")
            if "image/png" in output.get("data", {}) and "alt" not in cell.metadata:
                raise ValueError(f'a cell draws a figure but has no alt="...":\n{cell.source}')
    return notebook


TEMPLATE = """
{%- extends 'markdown/index.md.j2' -%}
{%- block input -%}
{%- if "alt" in cell.metadata and cell.source.count("\n") > 5 %}
<details><summary>the code that draws this</summary>

```python
{{ cell.source }}
```

</details>
{% else %}
```python
{{ cell.source }}
```
{% endif %}
{%- endblock input -%}
{%- block stream -%}
{%- if "inspect.getsource(" in cell.source %}
```python
{%- else %}
```text
{%- endif %}
{{ output.text.rstrip() }}
```
{% endblock stream -%}
{%- block data_text scoped %}
```text
{{ output.data["text/plain"].rstrip() }}
```
{% endblock data_text -%}
{%- block data_png %}
<p><img src="{{ output.metadata.filenames["image/png"] }}" alt="{{ cell.metadata.alt }}" \
width="{{ output.metadata["image/png"].width }}"></p>
{% endblock data_png -%}
"""


def export(path: Path, notebook: nbformat.NotebookNode) -> tuple[str, dict[str, bytes]]:
    """Return the page as Markdown, and its pictures by file name."""
    exporter = MarkdownExporter(raw_template=TEMPLATE)
    body, resources = exporter.from_notebook_node(notebook)
    pictures = {}
    for number, (name, data) in enumerate(sorted(resources["outputs"].items(), key=_place), start=1):
        pictures[f"figure-{number}.png"] = data
        body = body.replace(f'src="{name}"', f'src="{path.stem}_files/figure-{number}.png"')
    title, _, rest = body.strip().partition("\n")
    body = "\n".join([title, "", about(path), rest, "", "---", "", neighbours(path), ""])
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+$", "", body, flags=re.M)), pictures


def _place(named: tuple[str, bytes]) -> list[int]:
    """Sort key of a picture: "output_12_0.png" is output 0 of cell 12."""
    return [int(number) for number in re.findall(r"\d+", named[0])]


def about(path: Path) -> str:
    """The line under the title."""
    return (
        f"*Step {number(path).removeprefix('0')} of [the tutorials](../README.md). This page is what "
        f"[{path.name}](../{path.name}) prints and draws. The script asserts the numbers that an argument rests on; "
        "`render.py --check` compares every printed line with a fresh run.*"
    )


def neighbours(path: Path) -> str:
    """The line at the foot: links to the exercises, the previous and the next step."""
    every = scripts()
    place = every.index(path)
    links = [f"[Exercises](../../docs/exercises.md#{_anchor(path)})", "[All steps](../README.md)"]
    if place > 0:
        links.insert(0, f"Previous: [{_title(every[place - 1])}]({every[place - 1].stem}.md)")
    if place + 1 < len(every):
        links.append(f"Next: [{_title(every[place + 1])}]({every[place + 1].stem}.md)")
    return " · ".join(links)


def _anchor(path: Path) -> str:
    """GitHub's anchor of the heading of a step in docs/exercises.md, such as step-1-who-gets-the-credit."""
    return re.sub(r"[^\w\- ]", "", f"step {_title(path)}".lower()).replace(" ", "-")


def _title(path: Path) -> str:
    """The first heading of a script."""
    return re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), flags=re.M)[1]


# ---- from a page to the folder, or back ------------------------------------------------------------------------


def write(path: Path, page: str, pictures: dict[str, bytes]) -> None:
    """Write the page and its pictures; remove the pictures of an earlier run."""
    folder = PAGES / f"{path.stem}_files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in pictures.items():
        with whole(folder / name) as part:
            part.write_bytes(data)
    write_text(PAGES / f"{path.stem}.md", page)


def difference(path: Path, page: str, pictures: dict[str, bytes]) -> str:
    """Describe how a new run differs from the existing page; "" if it does not."""
    there = PAGES / f"{path.stem}.md"
    if not there.is_file():
        return f"{path.name} has no page yet: run python tutorials/render.py"
    old, new = (NOISE.sub(" 0", text).splitlines() for text in (there.read_text(encoding="utf-8"), page))
    changed = list(
        difflib.unified_diff(old, new, f"{there.name} (existing)", f"{there.name} (new run)", n=1, lineterm="")
    )
    names = {file.name for file in (PAGES / f"{path.stem}_files").glob("*")}
    if names != set(pictures):
        changed.append(f"pictures: found {sorted(names)}, drew {sorted(pictures)}")
    return "\n".join([*changed, "if this change is intended, run python tutorials/render.py"]) if changed else ""


def leftovers(every: list[Path]) -> list[str]:
    """Pages and pictures whose tutorial no longer exists."""
    known = {path.stem for path in every}
    return [
        f"{found.name} does not belong to any tutorial: delete it"
        for found in sorted(PAGES.glob("*"))
        if found.name.removesuffix(".md").removesuffix("_files") not in known
    ]


if __name__ == "__main__":
    sys.exit(main())
