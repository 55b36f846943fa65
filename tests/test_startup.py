"""What is imported, and when: `import lrpref` loads the method, and a command only what it needs.

The tests look at `sys.modules` of a separate process, because the modules of this one are loaded by other tests.
"""

from __future__ import annotations

import ast
import importlib
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest
from test_imports import FILES, METHOD, RINGS

import lrpref

STANDARD = (
    "__future__",
    "copy",
    "dataclasses",
    "difflib",
    "fnmatch",
    "fractions",
    "heapq",
    "importlib.util",
    "inspect",
)
"""The modules of the standard library that `import lrpref` may load besides those that NumPy loads."""

SUPPORT = {"budget", "calls", "tables", "version"}
"""The modules of `_support` that the method needs to be imported."""

OPTIONAL = {
    *("array_api_strict", "captum", "cupy", "dask", "distributed", "gmpy2", "h5py", "hypothesis", "keras"),
    *("matplotlib", "mpmath", "onnx", "PIL", "pooch", "pytest", "safetensors", "scipy", "sklearn", "threadpoolctl"),
    *("torch", "zarr", "zennit"),
}
"""Libraries that lrpref can do without."""

FOR_ONE = (
    "conformance.adapters.",
    "conformance.pytest_cases",
    "importers.torch._trace",
    "testing.strategies",
    "__main__",
)
"""Modules that exist for one optional library; and the one that runs the command line when it is imported."""


def loaded(program: str) -> set[str]:
    """The modules that a program adds to those of NumPy and STANDARD, in a process of its own."""
    before = f"import sys, numpy, {', '.join(STANDARD)}; before = set(sys.modules)"
    after = "print('loaded', *set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{program}\n{after}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def rings(modules: set[str]) -> set[str]:
    """The packages around the method that are among these modules."""
    return {name.split(".")[1] for name in modules if name.startswith("lrpref.")} & set(RINGS)


def test_importing_lrpref_loads_the_method_and_little_else() -> None:
    found = loaded("import lrpref")
    assert {name for name in found if name.partition(".")[0] != "lrpref"} == set()
    assert rings(found) == {"_support"}
    assert {name.split(".")[2] for name in found if name.startswith("lrpref._support.")} == SUPPORT
    assert {name.split(".")[1] for name in found if "." in name} == {*METHOD, "_support"} - {"plot"}


def test_a_name_loads_its_own_ring_only() -> None:
    found = loaded("import lrpref; lrpref.digits, lrpref.exact")
    assert rings(found) == {"_support", "rational"}


def test_explaining_needs_no_optional_library() -> None:
    """Nor `numpy.ma`, which NumPy imports only where it is named."""
    explain = "net, x = lrpref.load('mnist-cnn'), lrpref.samples.load('digit-4'); lrpref.explain(net, x)"
    found = loaded(f"import lrpref; {explain}")
    assert {name.partition(".")[0] for name in found} & (OPTIONAL - {"gmpy2", "threadpoolctl"}) == set()
    assert "numpy.ma" not in found
    assert rings(found) == {"_support", "fast", "scale", "weights", "zoo"}


def test_no_module_of_lrpref_imports_an_optional_library_at_its_top() -> None:
    """Except those that nothing else imports at its top, because they exist for one library."""
    names = {f"lrpref.{module.removesuffix('.__init__')}" for module in FILES if not module.startswith(FOR_ONE)}
    found = loaded("\n".join(f"import {name}" for name in names))
    assert names <= found
    assert {name.partition(".")[0] for name in found} & OPTIONAL == set()


# ---- the command line --------------------------------------------------------------------------------------------

UNTIL_IT_DRAWS = """
from lrpref import plot
from lrpref.cli import main

def grid(*arguments, **options):
    raise KeyboardInterrupt

plot.grid = grid
assert main(["explain", "mnist-cnn-bn", "digit-4", "--out", "never.png"]) == 130
"""


@pytest.mark.slow
def test_lrpref_explain_imports_matplotlib_only_to_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(lrpref.__file__).parent.parent))
    found = loaded(UNTIL_IT_DRAWS)
    assert {name.partition(".")[0] for name in found} & OPTIONAL == set()
    assert rings(found) == {"_support", "cli", "weights", "zoo"}
    assert {name for name in found if name.startswith("lrpref.cli.")} == {
        f"lrpref.cli.{name}" for name in ("common", "explain", "folding", "outputs", "saved_maps")
    }


# ---- the public names --------------------------------------------------------------------------------------------

TREE = ast.parse(Path(lrpref.__file__).read_text())


def test_type_checkers_read_the_same_names() -> None:
    """The block for type checkers imports what `__getattr__` does, and hides `__getattr__`, which allows any name."""
    for_checkers, for_python = (node for node in TREE.body if isinstance(node, ast.If))
    assert ast.unparse(for_checkers.test) == "TYPE_CHECKING"
    assert ast.unparse(for_python.test) == "not TYPE_CHECKING"
    assert [node.name for node in for_python.body if isinstance(node, ast.FunctionDef)] == ["__getattr__"]
    read = {}
    for node in for_checkers.body:
        assert isinstance(node, ast.ImportFrom)
        names = [alias.name for alias in node.names]
        read.update({name: name for name in names} if node.module is None else dict.fromkeys(names, node.module))
    table = {name: package for package, names in lrpref._WORKSHOP.items() for name in names}
    packages = {name: name for name in lrpref._WORKSHOP if name in lrpref.__all__}
    assert read == table | packages


@pytest.mark.parametrize("package", lrpref._WORKSHOP)
def test_each_name_is_the_one_of_its_package(package: str) -> None:
    module = importlib.import_module(f"lrpref.{package}")
    assert getattr(lrpref, package) is module
    for name in lrpref._WORKSHOP[package]:
        assert getattr(lrpref, name) is getattr(module, name)
        assert name in lrpref.__all__


@pytest.mark.slow
def test_the_names_are_listed_before_they_are_imported() -> None:
    program = "import lrpref; print(*dir(lrpref), file=sys.stderr); from lrpref import *; assert explain and load"
    listed = "import lrpref; assert set(lrpref.__all__) | set(lrpref._WORKSHOP) <= set(dir(lrpref))"
    assert rings(loaded(listed)) == {"_support"}
    assert rings(loaded(program)) >= set(lrpref._WORKSHOP)


def test_help_shows_the_public_names() -> None:
    page = pydoc.plain(pydoc.render_doc(lrpref))
    for name in ("explain", "from_onnx", "crosscheck", "prepare"):
        assert f"    {name}(" in page


def test_another_name_is_an_error_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'lrpref' has no attribute 'explian'"):
        lrpref.explian  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'explian' from 'lrpref'"):
        from lrpref import explian  # type: ignore[attr-defined]  # noqa: F401
