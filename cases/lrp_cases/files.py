"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import CasesError


def write_text(path: str | Path, text: str) -> None:
    """Write text to a file next to `path`, and then put it in its place.

    Parameters
    ----------
    path : path
        The file to write or replace.
    text : str
        Its content.

    Raises
    ------
    CasesError
        If the file cannot be written; `path` is then as it was.
    """
    path, name = Path(path), None
    try:
        handle, name = tempfile.mkstemp(dir=str(path.parent), prefix="." + path.name, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, str(path))
    except OSError as error:
        if name is not None and os.path.exists(name):
            os.unlink(name)
        raise CasesError(f"cannot write {path}: {error.strerror or error}") from error
