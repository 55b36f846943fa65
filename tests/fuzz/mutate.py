"""Mutations of bytes and of JSON."""

from __future__ import annotations

import copy
import re
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

SIZES = (0, 1, -1, 2, 127, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, -(2**63))
"""Numbers at which sizes overflow."""

WORDS = [b"-1", b"0", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'"x"', b"9" * 30, b"9" * 400, b"'", b"\xff"]
"""Words to put into text."""

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 64, 2**31, 2**63, 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308),
    *(float("nan"), float("inf"), "", "x", "input", "0" * 50, "\0", "é", "../x", [], {}, [[]], [1, 2], [1, 2, 3, 4]),
    *([-1, 1], [0, 0], [10**9, 10**9], ["input"], ["input", "input"], {"x": 1}, [None], "first", "equal", "Dense"),
    *("Conv2D", "Add", "Pad2D", "Layer", "Network", "__class__", "weight"),
]
"""Values to put into JSON."""


def of_bytes(rng: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """One to four mutations of bytes."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(BYTES)(rng, found)
    if others and rng.random() < 0.1:
        other = rng.choice(others)
        found = found[: _at(rng, found)] + other[rng.randrange(len(other) + 1) :]
    return bytes(found)


def _at(rng: Random, data: bytearray) -> int:
    """A position; headers are hit as often as everything else."""
    return rng.randrange(min(len(data), 64) + 1) if rng.random() < 0.5 else rng.randrange(len(data) + 1)


def _flip(rng: Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        if data:
            data[_at(rng, data) % len(data)] ^= 1 << rng.randrange(8)


def _overwrite(rng: Random, data: bytearray) -> None:
    at, size = _at(rng, data), rng.choice((1, 2, 4, 8))
    data[at : at + size] = rng.randbytes(size)


def _number(rng: Random, data: bytearray) -> None:
    """A size of one to eight bytes, in either byte order."""
    at, size = _at(rng, data), rng.choice((1, 2, 4, 8))
    value = rng.choice(SIZES) % 256**size
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _truncate(rng: Random, data: bytearray) -> None:
    del data[_at(rng, data) :]


def _delete(rng: Random, data: bytearray) -> None:
    at = _at(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 16, 64))]


def _repeat(rng: Random, data: bytearray) -> None:
    at, size = _at(rng, data), rng.choice((1, 4, 16, 64))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 50))


def _word(rng: Random, data: bytearray) -> None:
    """Replace a number or a word of the text."""
    words = list(re.finditer(rb"[0-9.]+|[A-Za-z_]+", bytes(data[:2000])))
    if words:
        start, end = rng.choice(words).span()
        data[start:end] = rng.choice(WORDS)


def _append(rng: Random, data: bytearray) -> None:
    data += rng.randbytes(rng.choice((1, 8, 100)))


BYTES = (_flip, _flip, _flip, _overwrite, _number, _number, _truncate, _delete, _repeat, _word, _append)


# ---- JSON ----------------------------------------------------------------------------------------------------------


def of_json(rng: Random, data: Any) -> Any:
    """One to three mutations of a tree; `data` itself is untouched."""
    found = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        found = _of_tree(rng, found)
    return found


def _of_tree(rng: Random, data: Any) -> Any:
    """Walk to a random place, and change what is there."""
    at: Any = {"root": data}
    top, key = at, "root"
    while isinstance(at[key], dict | list) and at[key] and rng.random() < 0.85:
        at = at[key]
        key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
    _change(rng, at, key)
    return top.get("root")


def _change(rng: Random, at: Any, key: Any) -> None:
    """Replace, remove, repeat, exchange or perturb an entry."""
    what = rng.randrange(7)
    if what <= 1:
        at[key] = copy.deepcopy(rng.choice(ODD))
    elif what == 2:
        del at[key]
    elif what == 3 and isinstance(at, list):
        at.insert(rng.randrange(len(at) + 1), copy.deepcopy(at[key]))
    elif what == 4:
        other = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        at[key], at[other] = at[other], at[key]
    elif what == 5 and isinstance(at, dict):
        at[rng.choice(("x", "", "name", "weight", str(key) + "x"))] = at.pop(key)
    elif isinstance(at[key], int | float):
        at[key] = rng.choice((at[key] + 1, -at[key], at[key] * 1000, rng.choice(SIZES)))
    else:
        at[key] = [at[key]]


# ---- length fields ---------------------------------------------------------------------------------------------------


def with_length(rng: Random, header: bytes, form: str) -> bytes:
    """The length of a header in front of it, right nine times of ten."""
    length = len(header) if rng.random() < 0.9 else rng.choice(SIZES) % 2 ** (8 * struct.calcsize(form))
    return struct.pack(form, length) + header
