"""Read state dicts from .safetensors files, which hold arrays by name and no executable code."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .._support.extras import library
from .._support.untrusted import MAX_ENTRIES, UNREADABLE, reason
from ..errors import WeightsError
from ..weights import MAX_BYTES

MAX_HEADER = 2**22
"""The most bytes of a header, the list of the tensors: 4 MiB."""

NUMBERS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "|b1"},
}
"""The number types of the format, and the NumPy dtypes; bfloat16 has none."""


def read_safetensors(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read every array of a .safetensors file; float16 and bfloat16 become float32.

    The safetensors package parses and checks the header.

    Parameters
    ----------
    path : str or path-like
        A .safetensors file.
    max_bytes : int
        The largest file to read, in bytes; 4 GiB by default. Reading takes about twice its size in memory.

    Returns
    -------
    dict of str to numpy.ndarray
        The arrays by name, as `lrpref.weights.from_state_dict` takes them.

    Raises
    ------
    WeightsError
        If the file does not exist, is damaged or too large, or holds an unsupported number type.
    LrprefError
        If the safetensors package is not installed.
    """
    package = library("safetensors", "safetensors", ".safetensors files")
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    if path.stat().st_size > max_bytes:
        raise WeightsError(f"{path}: the file has {path.stat().st_size} bytes, more than max_bytes={max_bytes}")
    try:
        _check_header(path)
        tensors = package.deserialize(path.read_bytes())
        if len(tensors) > MAX_ENTRIES:
            raise ValueError(f"it has {len(tensors)} tensors; at most {MAX_ENTRIES} are supported")
        return {name: _array(path, name, told["dtype"], told["data"], told["shape"]) for name, told in tensors}
    except WeightsError:
        raise
    except (package.SafetensorError, *UNREADABLE) as error:
        raise WeightsError(f"{path}: not a readable .safetensors file: {reason(error)}") from error


def _check_header(path: Path) -> None:
    """Raise ValueError if the header is too long: the package ends the process if it runs out of memory."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
    if size > MAX_HEADER:
        raise ValueError(f"its header has {size} bytes; at most {MAX_HEADER} are supported")


def _array(path: Path, name: str, kind: str, data: bytes, shape: list[int]) -> np.ndarray:
    """Convert the bytes of one tensor to an array."""
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if kind not in NUMBERS:
        raise WeightsError(f"{path}: {name} has the unsupported number type {kind}; save it as float32")
    array = np.frombuffer(data, NUMBERS[kind]).reshape(shape)
    return array.astype(np.float32) if kind == "F16" else array
