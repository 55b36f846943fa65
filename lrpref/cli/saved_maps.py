"""Maps in files: relevance as an .npy file, and a .json file beside it with the signature of the map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._support.files import is_stream, whole, write_text
from .._support.untrusted import UNREADABLE, read_json, read_npy, reason
from ..backend import Array, to_numpy
from ..errors import InputError, WeightsError
from ..signatures import Signature

FORMAT = "lrpref-map/1"


def beside(path: Path) -> Path:
    """Return the path of the file that describes the map in `path`.

    Examples
    --------
    >>> str(beside(Path("mine.npy")))
    'mine.npy.json'
    """
    return path.with_name(f"{path.name}.json")


def save(R: Array, path: Path, signature: Signature, made_of: Mapping[str, Any]) -> None:
    """Write relevance as an .npy file, and its signature beside it; for a pipe, the relevance only.

    Parameters
    ----------
    R : array
        The relevance.
    path : Path
        The .npy file.
    signature : Signature
        The signature of the map.
    made_of : mapping
        What else is recorded: the network, the input, the target.
    """
    R = to_numpy(R)
    with whole(path) as part, part.open("wb") as stream:
        np.save(stream, R, allow_pickle=False)
    if not is_stream(path):
        about = {"format": FORMAT, "signature": str(signature), **made_of, "sha256": _digest(R)}
        write_text(beside(path), f"{json.dumps(about, indent=1)}\n")


def read(path: Path) -> tuple[np.ndarray, Signature | None]:
    """Return the map in an .npy file, and its signature if a file beside it has one.

    Raises
    ------
    InputError
        If a file is damaged, or the signature is that of another map.
    """
    try:
        R = read_npy(path)
    except WeightsError as error:
        raise InputError(str(error)) from error
    about = beside(path)
    if not about.is_file():
        return R, None
    try:
        found = read_json(about)
    except UNREADABLE as error:
        raise InputError(f"{about} is damaged ({reason(error)}); delete it to compare the map alone") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return R, None
    if found.get("sha256") != _digest(R):
        raise InputError(f"{about} describes another map than the one in {path}; delete it, or write the map again")
    try:
        return R, Signature.parse(found.get("signature"))  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{about}: {error}") from error


def _digest(R: np.ndarray) -> str:
    """The SHA-256 of the numbers of a map."""
    return hashlib.sha256(np.ascontiguousarray(R).tobytes()).hexdigest()
