"""Bounds on what a file can cost, and the readers of arrays and JSON that keep to them.

Sizes that a file declares are checked before memory is allocated. docs/import.md has the table of all bounds.
"""

from __future__ import annotations

import json
import struct
import tarfile
import zipfile
import zlib
from io import BytesIO
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from ..errors import WeightsError

MAX_BYTES = 4 * 2**30
"""The default of `max_bytes`, a loader's limit on memory: 4 GiB."""

MAX_ENTRIES = 10_000
"""The most members of an archive, arrays of a file, or nodes of a network in a file."""

MAX_JSON = 2**24
"""The most characters of JSON, and bytes of a JSON file: 16 Mi."""

MAX_DEPTH = 64
"""The deepest nesting of lists and objects in JSON."""

MAX_DIGITS = 300
"""The most digits of an integer in JSON; every such integer is within the range of float64."""

MAX_AXES = 32
"""The most axes of an array."""

HEADER_BYTES = 12 + 10_000
"""The most bytes that are read for the header of a .npy file; NumPy refuses longer ones."""

UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError),
    *(RuntimeError, SyntaxError, TokenError, struct.error, zlib.error, zipfile.BadZipFile, tarfile.TarError),
)
"""The exceptions that NumPy and the standard library raise for damaged files; RecursionError is a RuntimeError."""


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape and dtype in a .npy header, and its length; raises WeightsError (a predicate) or UNREADABLE."""
    head = BytesIO(stream.read(HEADER_BYTES))
    version = np.lib.format.read_magic(head)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise WeightsError(f"has the unknown array format {version}")
    shape, _, dtype = read[version](head)
    if len(shape) > MAX_AXES:
        raise WeightsError(f"has {len(shape)} axes; at most {MAX_AXES} are supported")
    if dtype.kind == "U" and dtype.itemsize > 4 * MAX_JSON:
        raise WeightsError(f"holds text of {dtype.itemsize // 4} characters; at most {MAX_JSON} are supported")
    return shape, dtype, head.tell()


def checked_size(shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> int:
    """Return the bytes that an array needs; raises WeightsError, as a predicate, if the file holds another size.

    An axis of 0 does not excuse one of 10**30, which NumPy cannot represent.
    """
    size = prod(shape) * dtype.itemsize
    if size != held or prod(max(n, 1) for n in shape) >= 2**63:
        raise WeightsError(f"declares shape {shape} and dtype {dtype} ({size} bytes), but holds {held} bytes")
    return size


def read_npy(path: str | Path, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read the array in a .npy file, once its header has been checked against the file.

    Parameters
    ----------
    path : str or pathlib.Path
        A .npy file.
    max_bytes : int
        The most memory, in bytes, that the array may need; 4 GiB by default.

    Returns
    -------
    numpy.ndarray
        The array.

    Raises
    ------
    WeightsError
        If the file is unreadable, damaged or inconsistent, holds Python objects, or needs more memory than allowed.
    """
    try:
        with open(path, "rb") as stream:
            shape, dtype, start = npy_header(stream)
            if dtype.hasobject:
                raise ValueError("Object arrays cannot be loaded; they are pickles, which are never read")
            size = checked_size(shape, dtype, Path(path).stat().st_size - start)
            if size > max_bytes:
                raise WeightsError(f"needs {size} bytes, more than max_bytes={max_bytes}")
            stream.seek(0)
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    except WeightsError as error:
        raise WeightsError(f"{path} is not a readable .npy file: it {error}") from error
    except UNREADABLE as error:
        raise WeightsError(f"{path} is not a readable .npy file: {reason(error)}") from error
    return array


def read_json(path: Path) -> Any:
    """Read JSON from a file of at most MAX_JSON; raises ValueError or OSError."""
    with path.open("rb") as stream:
        content = stream.read(MAX_JSON + 1)
    return parse_json(content.decode("utf-8"))


def parse_json(text: str) -> Any:
    """Parse JSON of bounded length, depth and digits; raises ValueError.

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse_json("9" * 301)
    Traceback (most recent call last):
    ...
    ValueError: a number has 301 digits; at most 300 are supported
    """
    if len(text) > MAX_JSON:
        raise ValueError(f"more than {MAX_JSON} characters")
    try:
        found = json.loads(text, parse_int=_integer)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if any(isinstance(value, dict | list) for value in level):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return found


def reason(error: BaseException) -> str:
    """Return the message of an error of UNREADABLE, with a remedy where memory is what lacks.

    Examples
    --------
    >>> reason(MemoryError()), reason(KeyError("nodes")), reason(ValueError("no header"))
    ('there is not enough memory for it', "it has no entry 'nodes'", 'no header')
    """
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, KeyError):
        return f"it has no entry {error}"
    return str(error) or type(error).__name__


def _children(value: Any) -> Any:
    """Return what a list or an object of JSON contains."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _integer(digits: str) -> int:
    """Convert the digits of an integer; raises ValueError if there are too many."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; at most {MAX_DIGITS} are supported")
    return int(digits)
