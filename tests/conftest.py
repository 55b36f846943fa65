"""What all tests share: how many random cases are tried, and the backends that the code is tried on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import lrpref
from lrpref.backend import is_array, load_backend
from lrpref.errors import LrprefError

# "ci" tries the same cases every time, so that a red build is red for everyone. "deep" tries new ones at every run:
#     pytest --hypothesis-profile=deep
# How fast cases are drawn is no property of the code: a loaded machine must not turn a test red.
settings.register_profile(
    "ci", max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "deep", max_examples=2000, derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")


@dataclass(frozen=True)
class Backend:
    """A place for arrays to live. Calling it moves a thing there."""

    name: str

    def __call__(self, x: Any) -> Any:
        """`x` on this backend: an array, a layer, a network, a rule, a number, or a tuple of these."""
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
    """What keeps a backend from computing here; None if nothing does."""
    try:
        module = load_backend(name)
    except LrprefError as error:
        return str(error)
    if name == "cupy":
        try:
            module.zeros(1) + 1
        except Exception as error:  # without a device the driver, the runtime or the compiler gives up first
            return f"cupy is installed, but finds no GPU to compute on: {error}"
    return None


@pytest.fixture(scope="session", params=["numpy", "array-api-strict", "cupy"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn. Session scope, because random cases of one test share it."""
    if reason := why_not(request.param):
        pytest.skip(reason)
    return Backend(request.param)
