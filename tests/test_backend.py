"""Array backends: detection, conversion and transfer, without importing libraries that are not used."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lrpref.backend import (
    array_namespace,
    as_tuple,
    asarray,
    backend_name,
    is_array,
    load_backend,
    sum_per_sample,
    to_numpy,
)
from lrpref.errors import DTypeError, LrprefError, UnknownNameError

array_api_strict = pytest.importorskip("array_api_strict")

EXACT = np.asarray([Fraction(1, 3)], dtype=object)
STRICT = array_api_strict.ones(3)


# ---- detection and conversion ------------------------------------------------------------------------------------


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
    """Any object with `__array_namespace__` counts as an array; here it returns NumPy."""

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
    """Arrays with `get` (CuPy) refuse implicit conversion, so `to_numpy` must call it."""

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


def test_sums_keep_the_batch(backend: Any) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert_array_equal(to_numpy(sum_per_sample(backend(x))), [66.0, 210.0])
    assert_array_equal(to_numpy(sum_per_sample(backend(x[:, 0, 0]))), [0.0, 12.0])


def test_one_or_several() -> None:
    assert as_tuple(1) == as_tuple((1,)) == as_tuple([1]) == (1,)


# ---- imports -----------------------------------------------------------------------------------------------------

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
    """Explaining and printing a ledger import only NumPy; checked in a separate process."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", EXPLAIN], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"lrpref", "numpy"} <= loaded
    ours = {"lrpref", "numpy", "gmpy2"}  # gmpy2 is allowed: if installed, it speeds up exact arithmetic
    site = {name for name in loaded - ours if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert site & {"cupy", "torch", "matplotlib", "PIL", "scipy", "array_api_strict", "dask", "zennit"} == set()
