"""The stand-in for CuPy refuses what CuPy refuses, computes what NumPy computes, and counts: `--standin`.

What it should refuse was read off CuPy 14.2: its source, and what it does on a machine without a GPU.
"""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

cupy = pytest.importorskip("cupy", reason="CuPy's stand-in is found with --standin")
if not hasattr(cupy, "is_standin"):
    pytest.skip("a real CuPy is installed", allow_module_level=True)

X = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def x() -> Any:
    """An array on the device."""
    return cupy.asarray(X)


# ---- what is refused -------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    # to the host
    "np.asarray": (np.asarray, TypeError, "Implicit conversion"),
    "np.linalg of it": (np.linalg.norm, TypeError, "no implementation found"),
    "truth of many": (bool, ValueError, "ambiguous"),
    "item of many": (lambda x: x.item(), ValueError, "size 1"),
    "as an index": (lambda x: [1][x[0, 0].astype(int)], TypeError, "indices must be integers"),
    "get into another dtype": (lambda x: x.get(out=np.empty(X.shape, "f4")), TypeError, "out must be"),
    # mixing with NumPy's arrays
    "x + NumPy": (lambda x: x + X, TypeError, "Unsupported type <class 'numpy.ndarray'>"),
    "NumPy + x": (lambda x: X + x, TypeError, "Unsupported type <class 'numpy.ndarray'>"),
    "x += NumPy": (lambda x: x.__iadd__(X), TypeError, "Unsupported type"),
    "x + NumPy of no axes": (lambda x: x + np.asarray(1.0), TypeError, "Unsupported type"),
    "x @ NumPy": (lambda x: x @ X.T, TypeError, "two arrays of the device"),
    "NumPy @ x": (lambda x: X @ x.T, TypeError, "two arrays of the device"),
    "out is NumPy's": (lambda x: cupy.add(x, x, out=np.empty_like(X)), TypeError, "Output arguments type"),
    "out of a sum is NumPy's": (lambda x: cupy.sum(x, axis=0, out=np.empty(3)), TypeError, "Unsupported type"),
    "where": (lambda x: cupy.where(x > 1, x, X), TypeError, "Unsupported type"),
    "where of NumPy": (lambda x: cupy.where(X > 1, x, x), AttributeError, "astype"),
    "concat": (lambda x: cupy.concat([x, X]), TypeError, "Only cupy arrays"),
    "stack": (lambda x: cupy.stack([X, X]), TypeError, "Only cupy arrays"),
    "einsum": (lambda x: cupy.einsum("ij,ij->i", x, X), TypeError, "Unsupported type"),
    "a sum of NumPy": (lambda x: cupy.sum(X), TypeError, "Unsupported type"),
    "a sum of a list": (lambda x: cupy.sum([1.0, 2.0]), TypeError, "takes an array of the device"),
    "a reshape of NumPy": (lambda x: cupy.reshape(X, (6,)), TypeError, "Unsupported type"),
    "assigned NumPy": (lambda x: x.__setitem__(..., X), ValueError, "cannot be used for fill"),
    "an assigned list": (lambda x: x.__setitem__(0, [1.0, 2.0, 3.0]), ValueError, "cannot be used for fill"),
    "filled with NumPy": (lambda x: x.fill(X), ValueError, "cannot be used for fill"),
    "copyto from NumPy": (lambda x: cupy.copyto(x, X), ValueError, "cannot be used for copyto"),
    "copyto to NumPy": (lambda x: cupy.copyto(X.copy(), x), TypeError, "Unsupported type"),
    "full of NumPy": (lambda x: cupy.full((2, 3), X), TypeError, "Unsupported type"),
    "set to a list": (lambda x: x.set([1.0]), TypeError, "only a numpy.ndarray"),
    # names and keywords that CuPy lacks
    "a missing name": (lambda x: cupy.vecdot(x, x), AttributeError, "no attribute 'vecdot'"),
    "a missing method": (lambda x: x.__array_namespace__(), AttributeError, "no attribute '__array_namespace__'"),
    "to_device": (lambda x: x.to_device("cpu"), AttributeError, "no attribute 'to_device'"),
    "where= of a ufunc": (lambda x: cupy.add(x, 1, where=x > 1), TypeError, "Wrong arguments"),
    "where= of a sum": (lambda x: cupy.sum(x, where=x > 1), TypeError, "unexpected keyword argument 'where'"),
    "initial= of a maximum": (lambda x: cupy.max(x, initial=0.0), TypeError, "unexpected keyword argument 'initial'"),
    "out= of einsum": (lambda x: cupy.einsum("ij->ij", x, out=x), TypeError, "Did not understand"),
    "out= of where": (lambda x: cupy.where(x > 1, x, x, out=x), TypeError, "unexpected keyword argument 'out'"),
    "device= of zeros": (lambda x: cupy.zeros(3, device="cpu"), TypeError, "unexpected keyword argument 'device'"),
    "axis of a ufunc": (lambda x: cupy.add(x, 1, axis=0), TypeError, "Wrong arguments"),
    "an argument too many": (lambda x: cupy.isfinite(x, x, x), TypeError, "Wrong number of arguments"),
    "multiply.at": (lambda x: cupy.multiply.at(x, 0, 1.0), NotImplementedError, "not supported yet"),
    "maximum.reduce": (lambda x: cupy.maximum.reduce(x), NotImplementedError, "not supported yet"),
    "casting= of astype": (lambda x: x.astype("f4", casting="unsafe"), TypeError, "not supported yet"),
    "a name without a place here": (lambda x: cupy.fuse, NotImplementedError, "add it"),
    # number types
    "objects": (lambda x: cupy.asarray([Fraction(1)]), ValueError, "Unsupported dtype object"),
    "zeros of objects": (lambda x: cupy.zeros(3, dtype=object), ValueError, "Unsupported dtype object"),
    "long doubles": (lambda x: cupy.asarray(X.astype("g")), ValueError, "Unsupported dtype float128"),
    "astype long double": (lambda x: x.astype("g"), ValueError, "Unsupported dtype float128"),
    "a long double": (lambda x: x + np.longdouble(1), TypeError, "Unsupported type"),
    "a fraction": (lambda x: x + Fraction(1), TypeError, "Unsupported type"),
    "text": (lambda x: cupy.asarray(["a"]), ValueError, "Unsupported dtype"),
    # outputs that do not fit
    "a broadcast output": (lambda x: cupy.add(x, 1, out=cupy.empty(3)), ValueError, "output"),
    "an output of integers": (lambda x: cupy.add(x, 1, out=cupy.empty((2, 3), int)), TypeError, "same_kind"),
    "the output of a product": (lambda x: cupy.matmul(x, x.T, out=X), TypeError, "must be a tuple or `cupy.ndarray`"),
    "a product of numbers": (lambda x: x @ x[0, 0], ValueError, "Scalar operands"),
    "take into float32": (lambda x: cupy.take(x, 0, axis=0, out=cupy.empty(3, "f4")), TypeError, "dtype mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses(x: Any, what: str) -> None:
    use, error, message = REFUSED[what]
    if "long double" in what and np.finfo(np.longdouble).bits == 64:
        pytest.skip("a long double is a double here")
    with pytest.raises(error, match=message):
        use(x)


def test_the_names_are_those_of_the_table() -> None:
    """None of the names that CuPy 14 added to 13 is missing, and no other name of NumPy's is there."""
    for name in ("astype", "concat", "isdtype", "matrix_transpose", "permute_dims", "pow"):
        assert callable(getattr(cupy, name))
    told = {line.split()[0] for line in (Path(cupy.__file__).parent / "cupy-14.txt").read_text().splitlines()[1:]}
    assert not [name for name in dir(np) if not name.startswith("_") and name not in told and hasattr(cupy, name)]


# ---- what is computed ------------------------------------------------------------------------------------------------

SAME: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda xp, x: (2 - x) * x / 3 + x**2 - abs(-x) % 2,
    "comparisons": lambda xp, x: (x > 1) & ~(x == 3) | (x <= 0),
    "sums": lambda xp, x: xp.sum(x, axis=1, keepdims=True) + x.mean(axis=0) + x.max(),
    "of no axes": lambda xp, x: xp.sum(x),
    "one cell": lambda xp, x: x[1, 2],
    "a choice": lambda xp, x: xp.where(x > 2, x, 0.5),
    "views": lambda xp, x: xp.permute_dims(x[None, :, ::-1], (2, 0, 1)).reshape(-1),
    "a mask": lambda xp, x: x[x > 2],
    "an index": lambda xp, x: x[:, xp.asarray([2, 0])],
    "a list as an index": lambda xp, x: x[[1, 0, 1]],
    "take": lambda xp, x: xp.take(x, xp.asarray([1, 1]), axis=0),
    "a product": lambda xp, x: x @ x.T,
    "a batch of products": lambda xp, x: xp.matmul(x[None], xp.stack([x.T, x.T + 1])),
    "einsum": lambda xp, x: xp.einsum("...o,...o->...", x, x),
    "concat": lambda xp, x: xp.concat([x, x + 1], axis=1),
    "argmax": lambda xp, x: xp.argmax(x, axis=1),
    "nonzero": lambda xp, x: xp.nonzero(x)[1],
    "NumPy's functions": lambda xp, x: np.sum(np.add(x, np.float64(1)), axis=0),
    "windows": lambda xp, x: xp.lib.stride_tricks.as_strided(x, (2, 2, 2), (24, 8, 8)),
    "float32": lambda xp, x: xp.astype(x, xp.float32) * 0.1,
}


def written(xp: Any, x: Any) -> Any:
    """Everything that is written in place: into a slice, into a view of windows, and with `out`."""
    out = xp.empty((2, 3), dtype=x.dtype)
    xp.add(x, x, out=out)
    xp.divide(out, 4.0, out=out)
    xp.clip(out, 0.5, 2.0, out=out)
    out[:, 0] = 7.0
    out[0] += x[1]
    out[1, 1:] = x[0, :2]
    xp.copyto(out[:, 2:], x[:, :1])
    sums, top = xp.empty(3, dtype=x.dtype), xp.empty((2, 1), dtype=x.dtype)
    xp.sum(out, axis=0, out=sums)
    xp.max(out, axis=1, keepdims=True, out=top)
    product = xp.empty((2, 2), dtype=x.dtype)
    xp.matmul(out, x.T, out=product)
    xp.lib.stride_tricks.as_strided(product, (2,), (24,)).fill(0.0)
    xp.add.at(sums, xp.asarray([0, 0, 2]), xp.asarray([1.0, 2.0, 4.0]))
    return xp.concat([xp.reshape(part, (-1,)) for part in (out, sums, top, product)])


@pytest.mark.parametrize("name", [*SAME, "written"])
def test_it_computes_what_numpy_computes(x: Any, name: str) -> None:
    compute = {**SAME, "written": written}[name]
    found, expected = compute(cupy, x), compute(np, X.copy())
    assert type(found) is cupy.ndarray
    assert found.dtype == expected.dtype
    assert_array_equal(found.get(), expected)


def test_a_result_without_axes_stays_on_the_device(x: Any) -> None:
    for found in (x.sum(), cupy.all(x > 0), x[0, 0], cupy.array_equal(x, x), cupy.argmax(x), cupy.einsum("ij->", x)):
        assert type(found) is cupy.ndarray
        assert found.shape == ()
    with cupy.counted() as found:
        assert (float(x.sum()), int(x.size), bool(x[0, 1] > 0), x[1, 2].item()) == (15.0, 6, True, 5.0)
        assert f"{x[1, 2]:.2f} {x[1, 2]}" == "5.00 5.0"
    assert found.waits == 5


def test_out_is_returned_and_the_same_array_is_not_wrapped_again(x: Any) -> None:
    out = cupy.empty((2, 3))
    assert cupy.add(x, 1, out=out) is out
    assert cupy.clip(x, 0, 1, out=out) is out
    assert cupy.asarray(x) is cupy.ascontiguousarray(x) is x.astype(x.dtype, copy=False) is x
    held = x
    x += 1
    assert x is held


def test_what_is_not_written_is_nan() -> None:
    assert np.isnan(cupy.empty((2, 2)).get()).all()
    assert np.isnan(cupy.empty_like(cupy.zeros(3)).get()).all()


def test_a_view_knows_the_array_whose_memory_it_shares(x: Any) -> None:
    """But an array of windows knows the memory only."""
    assert x.base is x.copy().base is (x + 1).base is None
    assert x.T.base is x[0][1:].base is x.reshape(-1).base is x
    assert cupy.lib.stride_tricks.as_strided(x[0], (2, 2), (8, 8)).base is None


def test_broadcast_views_may_be_written_to(x: Any) -> None:
    """CuPy has no read-only arrays."""
    cupy.broadcast_to(x[:1], (2, 3))[0, 0] = 9.0
    assert float(x[0, 0]) == 9.0


def test_warnings_of_numpy_are_not_cupys(x: Any) -> None:
    with np.errstate(all="raise"):
        assert np.isnan((x / 0.0).get()[0, 0])


def test_copies_do_not_share_memory(x: Any) -> None:
    for other in (x.copy(), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), cupy.array(x), cupy.asarray(X)):
        other[...] = 7.0
    assert_array_equal(x.get(), X)


# ---- what is counted -------------------------------------------------------------------------------------------------

LAUNCHES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "views": (lambda x: cupy.broadcast_to(x.T[:, None, ::-1].reshape(3, 2), (4, 3, 2)).T, 0),
    "a reshape that copies": (lambda x: x.T.reshape(-1), 1),
    "windows": (lambda x: cupy.lib.stride_tricks.as_strided(x, (2, 2), (8, 8)), 0),
    "empty": (lambda x: cupy.empty((2, 3)), 0),
    "nothing to do": (lambda x: x[:0] + 1, 0),
    "a ufunc": (lambda x: cupy.add(x, 1), 1),
    "in place": (lambda x: x.__iadd__(1), 1),
    "an input that overlaps the output": (lambda x: cupy.add(x[0], 1, out=x[0]), 2),
    "zeros": (lambda x: cupy.zeros(3), 1),
    "a sum": (lambda x: x.sum(), 1),
    "a sum into a place": (lambda x: cupy.sum(x, axis=0, out=x[0]), 1),
    "fill": (lambda x: x.fill(0.0), 1),
    "a slice that is assigned": (lambda x: x.__setitem__(0, x[1]), 1),
    "a slice that is assigned to itself": (lambda x: x.__setitem__(0, x[0]), 0),
    "copyto": (lambda x: cupy.copyto(x[0], x[1]), 1),
    "a product": (lambda x: x @ x.T, 1),
    "a product of columns": (lambda x: x[:, :2] @ x[:, :2].T, 3),
    "a batch of products": (lambda x: cupy.matmul(cupy.empty((4, 2, 3)), cupy.empty((4, 3, 2))), 1),
    "a batch with one matrix": (lambda x: cupy.matmul(cupy.empty((4, 2, 3)), cupy.empty((3, 2))), 4),
    "a transposed batch": (lambda x: cupy.matmul(cupy.empty((4, 2, 3)), cupy.empty((4, 2, 3)).mT), 2),
    "a product into a place": (lambda x: cupy.matmul(x, x.T, out=cupy.empty((2, 2))), 1),
    "a product into its own operand": (lambda x: cupy.matmul(y := cupy.empty((2, 2)), y, out=y), 2),
    "a product into float32": (lambda x: cupy.matmul(x, x.T, out=cupy.empty((2, 2), "f4")), 2),
    "a product into columns": (lambda x: cupy.matmul(x, x.T, out=cupy.empty((2, 3))[:, :2]), 2),
    "a concatenation of three": (lambda x: cupy.concat([x, x, x]), 3),
    "a transfer": (lambda x: cupy.asarray(X), 0),
    "another type": (lambda x: x.astype("f4"), 1),
    "the same type": (lambda x: x.astype("f8", copy=False), 0),
}


@pytest.mark.parametrize("what", LAUNCHES)
def test_launches_are_counted(x: Any, what: str) -> None:
    use, launches = LAUNCHES[what]
    with cupy.counted() as found:
        use(x)
    assert (found.launches, sum(found.launches_by.values())) == (launches, launches)
    assert found.waits == 0


@pytest.mark.parametrize(
    "use",
    [float, bool, str, repr, np.ndarray.tolist, lambda x: x.get(), lambda x: x.item(), cupy.asnumpy, cupy.nonzero],
)
def test_waits_are_counted(use: Callable[[Any], Any]) -> None:
    one = cupy.ones((1,))[0] if use is not cupy.nonzero else cupy.ones(1)
    use = (lambda x: x.tolist()) if use is np.ndarray.tolist else use
    with cupy.counted() as found:
        use(one)
    assert (found.waits, found.to_host) == (1, 8)


def test_a_mask_waits_for_its_size(x: Any) -> None:
    with cupy.counted() as found:
        x[x > 2]
    assert found.waits == 1


def test_waits_name_what_was_waited_for(x: Any) -> None:
    with cupy.counted() as found:
        bool(cupy.all(x[0] > 3))
        cupy.cuda.Device().synchronize()
    assert dict(found.waits_by) == {"bool of all": 1, "synchronize": 1}


def test_bytes_and_the_peak_are_counted() -> None:
    with cupy.counted() as found:
        a = cupy.asarray(np.ones((100, 128)))  # 102,400 bytes, a multiple of 512
        b = a + 1
        assert found.held == found.peak
        before = found.held
        del b
        c = a[:, 1:]
        assert found.held == before - 102_400
        del a
        assert found.held == before - 102_400, "a view holds the memory"
        del c
        assert found.held == before - 2 * 102_400
        one = cupy.ones(1)  # CuPy's pool rounds up
    assert (found.peak, found.held) == (before, before - 2 * 102_400 + 512)
    assert one.nbytes == 8
    assert (found.to_device, found.to_host) == (102_400, 0)


def test_counts_may_be_nested(x: Any) -> None:
    with cupy.counted() as outer:
        x + 1
        with cupy.counted() as inner:
            x + 1
    x + 1
    assert (outer.launches, inner.launches) == (2, 1)


TRAFFIC: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    "a ufunc": (lambda x: x + 1, 2 * 48, 0),
    "in place": (lambda x: cupy.add(x, 1, out=x), 2 * 48, 0),
    "a sum": (lambda x: cupy.sum(x, axis=1), 48 + 16, 0),
    "a broadcast view": (lambda x: cupy.broadcast_to(x[:, :1], (2, 300)).copy(), 16 + 4800, 0),
    "windows": (lambda x: cupy.lib.stride_tricks.as_strided(x, (2, 3, 2), (24, 8, 0)).copy(), 48 + 96, 0),
    "a product": (lambda x: x @ x.T, 48 + 48 + 32, 24),
    "a batch of products": (lambda x: cupy.matmul(x[:, None], x[:, :, None]), 48 + 48 + 16, 12),
    "fill": (lambda x: x.fill(0.0), 48, 0),
    "copyto": (lambda x: cupy.copyto(x[0], x[1]), 24 + 24, 0),
}
"""Name -> its use of two rows of three doubles, the bytes that it moves, and the operations of its products."""


@pytest.mark.parametrize("what", TRAFFIC)
@pytest.mark.parametrize("dry", [False, True])
def test_traffic_and_operations_are_counted(x: Any, what: str, dry: bool) -> None:
    use, moved, operations = TRAFFIC[what]
    with cupy.counted() as found, cupy.dry() if dry else nullcontext():
        use(x)
    assert (found.moved, found.operations) == (moved, operations)


# ---- dry runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", LAUNCHES)
def test_a_dry_run_asks_for_the_same(x: Any, what: str) -> None:
    use, launches = LAUNCHES[what]
    with cupy.counted() as found, cupy.dry():
        use(x)
    assert (found.launches, found.waits) == (launches, 0)


@pytest.mark.parametrize("name", SAME)
def test_a_dry_run_gives_arrays_of_the_same_form(x: Any, name: str) -> None:
    expected = SAME[name](cupy, x)
    with cupy.dry():
        y = cupy.asarray(np.ones((2, 3)))
        found = SAME[name](cupy, y) if name != "a mask" else y
    if name not in ("a mask", "nonzero"):  # whose shape depends on what is computed
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


def test_a_dry_run_leaves_alone_what_it_only_reads(x: Any) -> None:
    with cupy.dry():
        y = x + 1
        cupy.multiply(x, 2, out=y)
        assert float(x[1, 2]) == 5.0
        assert float(y[1, 2]) == 0.0
    assert_array_equal(x.get(), X)
    assert_array_equal(y.get(), 0)
    assert_array_equal((x + 1).get(), X + 1)


def test_a_dry_run_needs_no_memory() -> None:
    """A tebibyte can be asked for, and is counted."""
    with cupy.counted() as found, cupy.dry():
        large = cupy.empty((1 << 20, 1 << 18), dtype="float32")
        cupy.add(large, large.T[: 1 << 18].T[:, : 1 << 18], out=large)
    assert found.peak - found.held == 0
    assert found.held >= 1 << 40


# ---- two devices -----------------------------------------------------------------------------------------------------


def test_an_array_of_another_device_is_refused(x: Any) -> None:
    with cupy.cuda.Device(1):
        y = cupy.asarray(X)
        assert y.device.id == cupy.cuda.runtime.getDevice() == 1
        assert x.T.device.id == 0
        for use in (lambda: x + 1, lambda: cupy.concat([y, x]), lambda: x.sum(), lambda: cupy.copyto(y, x)):
            with pytest.raises(ValueError, match=r"resides \(0\) is different from the current device \(1\)"):
                use()
        with pytest.raises(ValueError, match=r"resides \(0\) is different"):
            x[0] = 1.0
        assert_array_equal(x.get(), X)
        for moved in (cupy.asarray(x), cupy.array(x), x.copy()):
            assert moved.device.id == 1
            assert_array_equal((moved + y).get(), 2 * X)
    assert cupy.cuda.Device() == cupy.cuda.Device(0) != y.device


def test_there_are_two_devices() -> None:
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        cupy.cuda.Device(2)
    assert cupy.cuda.runtime.getDeviceCount() == 2


# ---- how it is found -------------------------------------------------------------------------------------------------


def test_a_real_cupy_wins(tmp_path: Path) -> None:
    """A package of that name elsewhere on the path is imported, and its tests do not pass in the stand-in's name."""
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text("__version__ = '14.0.0'\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # zarr's looks for CuPy, too
    test = f"{Path(__file__).parent / 'test_places.py'}::test_the_order_of_bounds_of_two_backends_is_checked"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--standin", "-k", "cupy", test]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert "cupy is installed, but finds no GPU to compute on" in done.stdout


def test_the_older_table_lacks_what_cupy_13_lacks() -> None:
    code = "import cupy; print(cupy.__version__, *(hasattr(cupy, n) for n in ('sum', 'isdtype', 'permute_dims')))"
    environment = os.environ | {"CUPY_STANDIN": "13", "PYTHONPATH": str(Path(cupy.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["13.6.0", "True", "False", "False"]
