"""Which modules of lrpref may import which others.

The modules of the method come first, in reading order. The packages around it (the rings) may import the method and
the rings listed for them; the method imports no ring but `_support`. Imports inside functions and by name count too.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import lrpref

ROOT = Path(lrpref.__file__).parent
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}
FILES |= {
    ".".join(("conformance", *path.relative_to(ROOT.parent / "cases").with_suffix("").parts)): path
    for path in sorted((ROOT.parent / "cases" / "lrp_cases").rglob("*.py"))
}
"""Module name inside lrpref -> file; lrp_cases as a wheel has it.

A package appears as "layers.__init__", like any other module.
"""

METHOD = (
    *("errors", "backend", "arithmetic", "ledger", "layers", "network", "graphs", "engine", "relative", "rules"),
    *("seeds", "composites", "signatures", "walk", "conditional", "contrastive"),
    *("fusion", "freezing", "oracle", "plot"),
)
"""Each module may import the modules before it and the package `_support`."""

RINGS = {
    "_support": set(),
    "fast": set(),
    "weights": set(),
    "zoo": {"weights"},
    "importers": {"weights", "zoo"},
    "scale": {"fast", "weights"},
    "rational": set(),
    "evaluation": {"scale"},
    "testing": {"scale", "rational"},
    "conformance": {"rational", "testing"},
    "verification": {"conformance", "rational", "scale", "testing"},
    "differences": {"evaluation", "importers", "rational", "scale", "weights"},
    "reproduce": {"evaluation", "fast", "scale", "weights", "zoo"},
    "play": {"weights", "zoo"},
    "cli": {"conformance", "differences", "importers", "play", "reproduce", "scale", "verification", "weights", "zoo"},
    "__init__": {"differences", "evaluation", "fast", "importers", "rational", "scale", "weights", "zoo"},
    "__main__": {"cli"},
}
"""Each may import the method, the support folder, and these."""

BY_NAME = {"__init__", "backend", "_support.extras", "cli.__init__", "conformance.adapter"}
"""Modules that import names known only at run time: packages of the workshop, array libraries, extras, adapters."""


TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}
"""Module name inside lrpref -> its syntax tree."""


def imported(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield the lrpref modules that a module imports anywhere in its source, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                _file(alias.name.split(".")[1:]) for alias in node.names if alias.name.split(".")[0] == "lrpref"
            )
        if isinstance(node, ast.ImportFrom):
            base = _base(module, node.module, node.level)
            for alias in node.names if base is not None else ():
                whole = [*base, alias.name]
                yield _file(whole if _exists(whole) else base)
        if (name := imported_by_name(node)) is not None:
            level = len(name) - len(name.lstrip("."))
            base = _base(module, name.lstrip("."), level)
            if base is not None:
                yield _file(base)


def imported_by_name(node: ast.AST) -> str | None:
    """The name in `import_module("name")` or `__import__("name")`; "" if it is computed; None for other nodes."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if function not in ("import_module", "__import__"):
        return None
    name = node.args[0]
    return str(name.value) if isinstance(name, ast.Constant) else ""


def _base(module: str, name: str | None, level: int) -> list[str] | None:
    """The path inside lrpref where an import starts; None for other libraries."""
    named = name.split(".") if name else []
    if level:
        return [*module.split(".")[:-level], *named]
    return named[1:] if named[:1] == ["lrpref"] else None


def _exists(path: list[str]) -> bool:
    return ".".join(path) in FILES or ".".join([*path, "__init__"]) in FILES


def _file(path: list[str]) -> str:
    """The name of the module at a path; for a package, its __init__."""
    name = ".".join(path)
    return name if name in FILES else ".".join([*path, "__init__"])


def graph(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Module -> the modules it imports."""
    return {module: set(imported(module, tree)) - {module} for module, tree in trees.items()}


def wrong_ways(found: dict[str, set[str]]) -> list[str]:
    """The imports that violate the order above."""
    wrong = []
    for module, others in found.items():
        home = module.partition(".")[0]
        below = set(METHOD[: METHOD.index(home)]) if home in METHOD else {*METHOD, *RINGS[home]}
        allowed = below | {home, "_support"} if home != "_support" else {"errors", "_support"}
        wrong += [f"{module} imports {other}" for other in sorted(others) if other.partition(".")[0] not in allowed]
    return wrong


GRAPH = graph(TREES)


def test_no_module_imports_in_a_circle() -> None:
    """Imports inside functions and imports by name count too."""
    assert set(TopologicalSorter(GRAPH).static_order()) == set(FILES)


def test_imports_run_one_way() -> None:
    assert wrong_ways(GRAPH) == []


def test_layers_and_rules_do_not_know_each_other() -> None:
    """Rules do not import networks either, and the modules below import neither."""
    ground = {"errors", "backend", "arithmetic", "ledger"}
    assert GRAPH["errors"] == set()
    assert GRAPH["backend"] == {"errors"}
    assert GRAPH["arithmetic"] == {"backend", "errors"}
    for module in ("engine", "relative", "rules"):
        assert GRAPH[module] <= ground | {"engine", "relative"}, module
    for module in FILES:
        if module.startswith("layers."):
            assert {other.partition(".")[0] for other in GRAPH[module]} <= ground | {"layers"}, module


def test_the_walk_is_plain() -> None:
    """The walk imports no ring except `_support`, which holds time budgets and file handling."""
    rings = set(RINGS) - {"_support"}
    assert not {other for other in GRAPH["walk"] if other.partition(".")[0] in rings}


def test_the_graph_of_imports_is_not_empty() -> None:
    """The tests above would also pass if no imports were found."""
    assert {"backend", "errors", "rules", "layers.__init__"} <= GRAPH["oracle"]
    assert {"layers.base", "layers.window"} <= GRAPH["layers.conv"]
    assert len(GRAPH["__init__"]) > 5


@pytest.mark.parametrize(
    "planted",
    [
        'def prepare(net):\n    return import_module("lrpref.fast").prepare(net)\n',
        'def prepare(net):\n    return importlib.import_module(".fast", __package__).prepare(net)\n',
        'def prepare(net):\n    return __import__("lrpref.fast.prepared")\n',
        "def prepare(net):\n    from .fast import prepare as made\n    return made(net)\n",
        "def prepare(net):\n    import lrpref.fast.prepared\n",
    ],
    ids=["by name", "by relative name", "by __import__", "in a function", "absolute"],
)
def test_an_import_upwards_is_found_however_it_is_written(planted: str) -> None:
    found = GRAPH | graph({"network": ast.parse(f"{FILES['network'].read_text()}\n\n{planted}")})
    assert [complaint.startswith("network imports fast") for complaint in wrong_ways(found)] == [True]
    with pytest.raises(CycleError):
        TopologicalSorter(found).prepare()


def test_computed_names_are_imported_where_it_is_known() -> None:
    """Only the modules in BY_NAME import a computed name."""
    computed = {
        module for module, tree in TREES.items() if any(imported_by_name(node) == "" for node in ast.walk(tree))
    }
    assert computed == BY_NAME


def test_every_module_has_its_place() -> None:
    """Every module belongs to the method or to a ring."""
    assert {module.partition(".")[0] for module in FILES} == {*METHOD, *RINGS}


def words(tree: ast.Module) -> Iterator[str]:
    """Yield the names and strings in a file's code, except docstrings."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value
        for name in ("id", "attr", "name", "module"):
            yield str(getattr(node, name, ""))


@pytest.mark.slow
def test_only_backend_knows_cupy() -> None:
    """No other file refers to cupy in code; docstrings may mention it."""
    knows = {module for module, tree in TREES.items() if any("cupy" in word.lower() for word in words(tree))}
    assert knows == {"backend"}


@pytest.mark.parametrize("package", [module for module in FILES if module.endswith("__init__")])
def test_no_function_hides_a_module_of_its_name(package: str) -> None:
    """Otherwise `import lrpref.explain as e` would give the function."""
    module = importlib.import_module(".".join(["lrpref", *package.split(".")[:-1]]))
    siblings = {found.name for found in pkgutil.iter_modules(module.__path__)}
    hidden = {name for name in siblings if not isinstance(getattr(module, name, module), ModuleType)}
    assert not hidden
