"""Where arrays live, what lrpref imports to find out, and which of its files may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lrpref
from lrpref.backend import (
    all_finite,
    array_namespace,
    as_floating,
    as_mask,
    as_parameter,
    as_tuple,
    asarray,
    backend_name,
    check_finite,
    constant,
    is_array,
    is_exact,
    is_real_floating,
    load_backend,
    sum_per_sample,
    to_numpy,
)
from lrpref.errors import DTypeError, InputError, LrprefError, ParameterError, UnknownNameError

EXACT = np.asarray([Fraction(1, 3)], dtype=object)
STRICT = array_api_strict.ones(3)


# ---- which backend -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "module", "name"),
    [
        (np.zeros(3), np, "numpy"),
        (np.zeros(3, dtype=np.float32)[0], np, "numpy"),
        (EXACT, np, "numpy"),
        (STRICT, array_api_strict, "array-api-strict"),
    ],
)
def test_the_array_decides(x: Any, module: Any, name: str) -> None:
    assert array_namespace(x) is module
    assert backend_name(x) == name


def test_an_array_of_another_library_is_taken_at_its_word() -> None:
    """Whatever says where its functions are; this one says NumPy."""

    class Foreign:
        def __array_namespace__(self) -> Any:
            return np

    assert array_namespace(Foreign()) is np


@pytest.mark.parametrize("x", [[1.0], 1.0, None, "text"])
def test_what_is_no_array(x: Any) -> None:
    assert not is_array(x)
    with pytest.raises(DTypeError, match=r"expected an array, got \w+; wrap it in numpy\.asarray"):
        array_namespace(x)


def test_arrays_move_there_and_back(backend: Any) -> None:
    for dtype in (np.float32, np.float64, np.int64, np.bool_):
        a = np.asarray([[0, 1], [1, 0]], dtype=dtype)
        there = asarray(a, backend.name)
        assert backend_name(there) == backend.name
        assert to_numpy(there).dtype == dtype
        assert_array_equal(to_numpy(there), a)
        assert asarray(there, backend.name) is there


def test_lists_become_arrays() -> None:
    assert asarray([1.0, 2.0]).dtype == np.float64
    assert to_numpy([1, 2]).tolist() == [1, 2]


def test_a_device_array_is_asked_for() -> None:
    """An array with a `get` does not come by itself."""

    class OnDevice:
        def get(self) -> np.ndarray:
            return np.ones(2)

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            raise TypeError("implicit conversion is not allowed")

    assert_array_equal(to_numpy(OnDevice()), np.ones(2))


def test_unknown_and_missing_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"no backend is called 'torch'\. Known: numpy, cupy, array-api-strict"):
        load_backend("torch")
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    with pytest.raises(LrprefError, match=r"backend 'cupy' is not installed: pip install cupy-cuda12x"):
        load_backend("cupy")


# ---- number types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.1, 1e-6, 3, -2.5, 1 / 3])
def test_constants_are_the_decimals_as_written(value: float) -> None:
    """One tenth is one tenth in exact arithmetic, and the nearest long double among long doubles."""
    written = Fraction(repr(value))
    assert constant(value, like=EXACT) == written
    assert not isinstance(constant(value, like=EXACT), float)
    assert np.longdouble(constant(value, like=np.ones(1, dtype=np.longdouble))) == np.longdouble(repr(value))
    for like in (np.ones(1), np.ones(1, dtype=np.float32), STRICT):
        assert constant(value, like=like) is value


def test_a_fraction_stays_a_fraction() -> None:
    assert constant(Fraction(1, 3), like=EXACT) == Fraction(1, 3)


def test_what_can_be_computed_with() -> None:
    for x in (np.ones(1), np.ones(1, dtype=np.float32), np.ones(1, dtype=np.longdouble), EXACT, STRICT):
        assert is_real_floating(x)
    for x in (
        np.ones(1, dtype=np.float16),
        np.ones(1, dtype=int),
        np.ones(1, dtype=complex),
        array_api_strict.asarray([1]),
    ):
        assert not is_real_floating(x)
    assert is_exact(EXACT)
    assert not is_exact(STRICT)


@pytest.mark.parametrize("x", [[1, 2], np.asarray([1, 2]), np.asarray([True, False])])
def test_integers_become_float64(x: Any) -> None:
    assert as_floating(x, "x").dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, "U1", "datetime64[s]"])
def test_other_types_are_refused_by_name(dtype: Any) -> None:
    with pytest.raises(DTypeError, match=r"the input has number type .*; use float32, float64 or longer"):
        as_floating(np.zeros(1).astype(dtype), "the input")


def test_parameters_are_read_only_and_checked() -> None:
    given = np.ones((2, 2))
    assert not as_parameter(given, "w").flags.writeable
    assert given.flags.writeable
    with pytest.raises(ParameterError, match=r"w must have 1 axes, got shape \(2, 2\)"):
        as_parameter(given, "w", ndim=1)
    with pytest.raises(ParameterError, match="w holds NaN or infinities"):
        as_parameter([np.inf], "w")


def test_masks_are_read_only_and_checked() -> None:
    assert not as_mask([True], "m").flags.writeable
    for bad in ([1.0], [[True]]):
        with pytest.raises(ParameterError, match="m must be one boolean per channel, got shape"):
            as_mask(bad, "m")


def test_finite_or_not(backend: Any) -> None:
    assert all_finite(backend(np.ones((2, 2))))
    assert all_finite(EXACT)
    for bad in (np.nan, np.inf, -np.inf):
        x = backend(np.asarray([[1.0, 1.0], [bad, 1.0]]))
        assert not all_finite(x)
        with pytest.raises(
            InputError, match="the input holds 1 NaN or infinite values, first in sample 1; mend or drop"
        ):
            check_finite(x, "the input")


def test_sums_keep_the_batch(backend: Any) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert_array_equal(to_numpy(sum_per_sample(backend(x))), [66.0, 210.0])
    assert_array_equal(to_numpy(sum_per_sample(backend(x[:, 0, 0]))), [0.0, 12.0])


def test_one_or_several() -> None:
    assert as_tuple(1) == as_tuple((1,)) == as_tuple([1]) == (1,)


# ---- what is imported --------------------------------------------------------------------------------------------

EXPLAIN = """
import sys
import numpy as np
import lrpref
from lrpref import Conv2D, Dense, Flatten, MaxPool2D, Network, ReLU
conv, dense = Conv2D(np.ones((2, 1, 3, 3)), padding=1), Dense(np.ones((2, 8)))
net = Network.sequential(conv, ReLU(), MaxPool2D(2), Flatten(), dense)
print(lrpref.trace(net, np.ones((1, 1, 4, 4))).ledger, file=sys.stderr)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_numpy_is_all_it_needs() -> None:
    """In a process of its own: lrpref, an explanation and a printed ledger import no other library."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", EXPLAIN], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"lrpref", "numpy"} <= loaded
    ours = {"lrpref", "numpy", "gmpy2"}  # gmpy2 is allowed: it makes exact arithmetic fast where it is installed
    site = {name for name in loaded - ours if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert site & {"cupy", "torch", "matplotlib", "PIL", "scipy", "array_api_strict", "dask", "zennit"} == set()


# ---- which file may import which ---------------------------------------------------------------------------------

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
    """errors <- backend <- ledger <- layers and rules, which do not know each other."""
    assert GRAPH["errors"] == set()
    assert GRAPH["backend"] == {"errors"}
    assert GRAPH["ledger"] <= {"backend", "errors"}
    for module in LAYERS:
        assert GRAPH[module] <= LAYERS | {"backend", "errors", "ledger"}, module
    for module in ("engine", "relative", "rules"):
        assert GRAPH[module] <= {"backend", "errors", "ledger", "engine", "relative"}, module
    assert GRAPH["network"] <= LAYERS | {"backend", "errors"}


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
