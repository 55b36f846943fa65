"""Shared test configuration: the Hypothesis profiles and the array backends."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import lrpref
from lrpref.backend import is_array, load_backend
from lrpref.errors import LrprefError

# "quick" and "ci" draw the same cases every time, so that failures are reproducible. "deep" draws new ones each time:
#     pytest --hypothesis-profile=deep
# Time limits are off: a busy machine must not make a test fail.
for name, examples in (("quick", 6), ("ci", 25)):
    settings.register_profile(
        name, max_examples=examples, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.register_profile(
    "deep", max_examples=2000, derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quick")


STANDIN = Path(__file__).parent / "standin"
"""The folder of a module `cupy` that computes with NumPy, for machines without a GPU."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take --standin."""
    parser.addoption(
        "--standin",
        action="store_true",
        help="run the tests of the backend cupy on a stand-in if CuPy is not installed",
    )


collect_ignore = ["standin"]  # pytest would put it first on the path


def pytest_configure(config: pytest.Config) -> None:
    """Let the stand-in be found last, and give each of several worker processes one thread of BLAS.

    An installed CuPy is imported in place of the stand-in. Many threads on few cores mostly wait for each other; BLAS
    reads their number when a worker starts. A run without workers keeps BLAS as it is.
    """
    if config.getoption("--standin"):
        sys.path.append(str(STANDIN))
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart() -> None:
    """Do not look for garbage while half a million objects are collected that live as long as the tests run."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among what has been collected."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests and mutants to the option -m, as in `-m slow`."""
    asked_for = config.getoption("-m") or ""
    left_out = {name for name in ("slow", "mutants") if name not in asked_for}
    deselected = {item for item in items if any(mark.name in left_out for mark in item.iter_markers())}
    config.hook.pytest_deselected(items=list(deselected))
    items[:] = [item for item in items if item not in deselected]


@dataclass(frozen=True)
class Backend:
    """An array backend. Calling it moves an object to this backend."""

    name: str

    def __call__(self, x: Any) -> Any:
        """Move `x`, an array, layer, network, rule, number or a tuple of these, to this backend."""
        if is_array(x):
            return lrpref.asarray(x, self.name)
        if isinstance(x, tuple):
            moved = map(self, x)
            return x._make(moved) if hasattr(x, "_make") else tuple(moved)
        if isinstance(x, lrpref.Network):
            return x.to(self.name)
        if isinstance(x, lrpref.Layer):
            return x.map_arrays(self)
        if isinstance(x, lrpref.rules.Rule):
            held = {f.name: getattr(x, f.name) for f in fields(x) if is_array(getattr(x, f.name))}
            return replace(x, **{name: self(array) for name, array in held.items()}) if held else x
        return x


def why_not(name: str) -> str | None:
    """The reason why a backend is unavailable; None if it is available."""
    try:
        module = load_backend(name)
    except LrprefError as error:
        return str(error)
    if name == "cupy":
        try:
            module.zeros(1) + 1
        except Exception as error:  # without a device, the driver, runtime or compiler may raise
            return f"cupy is installed, but finds no GPU to compute on: {error}"
    return None


@pytest.fixture(scope="session", params=["numpy", "array-api-strict", "cupy"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each available backend. Session scope, because Hypothesis examples of a test share the fixture."""
    return _available(request)


@pytest.fixture(scope="session", params=["numpy", "cupy"])
def fast_backend(request: pytest.FixtureRequest) -> Backend:
    """Each available backend on which the fast engine computes."""
    return _available(request)


def _available(request: pytest.FixtureRequest) -> Backend:
    """The backend of the fixture's parameter; skips the test where it is unavailable."""
    if reason := why_not(request.param):
        asked_for = request.param == "cupy" and request.config.getoption("--standin")
        pytest.fail(reason) if asked_for else pytest.skip(reason)
    return Backend(request.param)
