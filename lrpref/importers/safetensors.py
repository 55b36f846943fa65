"""State dicts in .safetensors files: arrays by name, and nothing that could run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .._support.extras import library
from ..errors import WeightsError
from ..weights import MAX_BYTES

NUMBERS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "|b1"},
}
"""The format's number types, and NumPy's; bfloat16 has none."""


def read_safetensors(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Every array of a .safetensors file; half precision, bfloat16 too, becomes float32.

    The file's header is parsed and checked by the safetensors package.
    Raises WeightsError for a damaged file or number types that lrpref does not read; LrprefError where the package
    is not installed.
    """
    package = library("safetensors", "safetensors", ".safetensors files")
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    if path.stat().st_size > max_bytes:
        raise WeightsError(f"{path}: {path.stat().st_size} bytes, more than the {max_bytes} allowed")
    try:
        tensors = package.deserialize(path.read_bytes())
    except package.SafetensorError as error:
        raise WeightsError(f"{path}: not a readable .safetensors file: {error}") from error
    return {name: _array(path, name, told["dtype"], told["data"], told["shape"]) for name, told in tensors}


def _array(path: Path, name: str, kind: str, data: bytes, shape: list[int]) -> np.ndarray:
    """The numbers of one tensor."""
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if kind not in NUMBERS:
        raise WeightsError(f"{path}: {name} holds {kind}, which lrpref does not read; save it as float32")
    array = np.frombuffer(data, NUMBERS[kind]).reshape(shape)
    return array.astype(np.float32) if kind == "F16" else array
