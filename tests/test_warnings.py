"""Our own warnings make a test fail; the news of other libraries do not, unless all warnings are errors (-W error)."""

from __future__ import annotations

import warnings

import pytest

from lrpref.errors import RelevanceWarning

OURS = [
    (RelevanceWarning, "anywhere"),
    (UserWarning, "lrpref.plot"),
    (DeprecationWarning, "lrpref"),
    (DeprecationWarning, "test_plot"),
    (UserWarning, "fuzz.files"),
    (RuntimeWarning, "numpy._core._methods"),
]
OTHERS = [
    (DeprecationWarning, "matplotlib._fontconfig_pattern"),
    (PendingDeprecationWarning, "onnx.helper"),
    (FutureWarning, "dask.array"),
    (DeprecationWarning, "numpy"),
]


def warn(kind: type[Warning], module: str) -> None:
    warnings.warn_explicit("news", kind, "file.py", 1, module=module)


@pytest.mark.parametrize(("kind", "module"), OURS)
def test_our_own_warnings_are_errors(kind: type[Warning], module: str) -> None:
    with pytest.raises(kind):
        warn(kind, module)


@pytest.mark.parametrize(("kind", "module"), OTHERS)
def test_the_warnings_of_others_are_not(kind: type[Warning], module: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("pythonwarnings"):
        pytest.skip("all warnings are errors in this run")
    with warnings.catch_warnings(record=True) as found:
        warn(kind, module)
    assert [each.category for each in found] == [kind]
