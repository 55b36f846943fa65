"""Which file of lrpref may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import lrpref

ROOT = Path(lrpref.__file__).parent
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}
"""Module name inside lrpref -> file. A package is called "layers.__init__", so that it is a module like any other."""


def imported(module: str) -> Iterator[str]:
    """The modules of lrpref that a module imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (
                _file(alias.name.split(".")[1:]) for alias in node.names if alias.name.split(".")[0] == "lrpref"
            )
        if isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for alias in node.names if base is not None else ():
                whole = [*base, alias.name]
                yield _file(whole if _exists(whole) else base)


def _base(module: str, node: ast.ImportFrom) -> list[str] | None:
    """The path inside lrpref that a `from ... import` starts from; None if it is elsewhere."""
    named = node.module.split(".") if node.module else []
    if node.level:
        return [*module.split(".")[: -node.level], *named]
    return named[1:] if named[:1] == ["lrpref"] else None


def _exists(path: list[str]) -> bool:
    return ".".join(path) in FILES or ".".join([*path, "__init__"]) in FILES


def _file(path: list[str]) -> str:
    """The module at a path: a package is its __init__."""
    name = ".".join(path)
    return name if name in FILES else ".".join([*path, "__init__"])


GRAPH = {module: set(imported(module)) - {module} for module in FILES}
LAYERS = {module for module in FILES if module.startswith("layers.")}


def test_no_module_imports_in_a_circle() -> None:
    """Not even lazily, inside a function."""
    assert set(TopologicalSorter(GRAPH).static_order()) == set(FILES)


def test_imports_run_one_way() -> None:
    """errors <- backend <- arithmetic <- ledger <- layers and rules, which do not know each other."""
    assert GRAPH["errors"] == set()
    assert GRAPH["backend"] == {"errors"}
    assert GRAPH["arithmetic"] == {"backend", "errors"}
    ground = {"errors", "backend", "arithmetic"}
    assert GRAPH["ledger"] <= ground
    for module in LAYERS:
        assert GRAPH[module] <= LAYERS | ground | {"ledger"}, module
    for module in ("engine", "relative", "rules"):
        assert GRAPH[module] <= ground | {"ledger", "engine", "relative"}, module
    assert GRAPH["network"] <= LAYERS | ground


def test_the_graph_of_imports_is_not_empty() -> None:
    """What the two tests above would not notice: that nothing was found to judge."""
    assert {"backend", "errors", "rules", "layers.__init__"} <= GRAPH["oracle"]
    assert {"layers.base", "layers.window"} <= GRAPH["layers.conv"]
    assert len(GRAPH["__init__"]) > 5


def words(path: Path) -> Iterator[str]:
    """The names and strings in a file's code; a string that stands alone as a statement documents."""
    tree = ast.parse(path.read_text())
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value
        for name in ("id", "attr", "name", "module"):
            yield str(getattr(node, name, ""))


def test_only_backend_knows_cupy() -> None:
    """No other file names it, in code; docstrings may tell that it exists."""
    knows = {module for module, path in FILES.items() if any("cupy" in word.lower() for word in words(path))}
    assert knows == {"backend"}
