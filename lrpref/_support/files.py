"""Atomic file writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path beside `path`, and rename it to `path` if no error occurred.

    Parameters
    ----------
    path : Path
        The file to create or replace; it is untouched until the block ends.

    Yields
    ------
    Path
        The temporary file to write to; deleted on errors.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "result.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     os.listdir(folder)
    ['result.txt']
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
