"""The IDX format of MNIST: a magic number that encodes type and rank, the sizes, and the bytes.

    00 00 08 rank | size, ..., size (32 bits each, big-endian) | the array

References
----------
Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section on file formats.
"""

from __future__ import annotations

import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from ..._support.untrusted import UNREADABLE, reason
from ...errors import DataError

MAX_BYTES = 2**28
"""The largest file that is read, packed or not: 256 MiB; those of MNIST are smaller."""

UINT8 = 8
GZIP = b"\x1f\x8b"
GZIP_FORMAT = 16 + zlib.MAX_WBITS


def read_idx(path: Path) -> np.ndarray:
    """Read the array of bytes in an IDX file, gzip or not; raises DataError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        return parse_idx(_unpacked(content) if content[:2] == GZIP else content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise DataError(f"{path}: not readable: {reason(error)}") from error


def _unpacked(content: bytes) -> bytes:
    """Unpack gzip data of one part, with a header of any length; raises DataError if they are too large or cut off."""
    unpacker = zlib.decompressobj(GZIP_FORMAT)
    data = unpacker.decompress(content, MAX_BYTES)
    if not unpacker.eof:
        raise DataError(f"the gzip data are truncated, or hold more than {MAX_BYTES} bytes")
    return data


def parse_idx(data: bytes) -> np.ndarray:
    """Parse IDX data of bytes; raises DataError.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    array([7, 9], dtype=uint8)
    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError("not an IDX file: it does not begin with the magic number")
    kind, rank = data[2], data[3]
    if kind != UINT8 or not 1 <= rank <= 3:
        raise DataError(
            f"IDX type {kind:#04x} with {rank} axes is not supported; expected bytes (0x08) with 1 to 3 axes"
        )
    start = 4 + 4 * rank
    if len(data) < start:
        raise DataError("the IDX file ends within its header")
    shape = struct.unpack(f">{rank}I", data[4:start])
    if prod(shape) != len(data) - start or prod(max(n, 1) for n in shape) >= 2**63:
        raise DataError(
            f"the header gives shape {shape}, {prod(shape)} bytes, but the IDX file has {len(data) - start}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def as_idx(array: np.ndarray) -> bytes:
    """Write an array of bytes as IDX data.

    >>> as_idx(np.array([7, 9], dtype=np.uint8)).hex()
    '00000801000000020709'
    """
    return struct.pack(f">HBB{array.ndim}I", 0, UINT8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
