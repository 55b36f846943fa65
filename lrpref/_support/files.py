"""Atomic file writes, which keep links and modes, and leave nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG
from typing import IO, Any

from ..errors import OutputError

try:
    fcntl: Any = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary file beside `path`, and rename it to `path` if no error occurred.

    The temporary file is deleted on errors, and on SIGTERM and SIGHUP if the main thread writes and the program has no
    handler of its own. What a killed writer leaves behind is deleted by the next write to the same path, except on
    Windows. Several threads and processes may write to one path at the same time; the last one to finish wins.

    A symbolic link stays, and the file that it points to is replaced. An existing file keeps its mode. A pipe or a
    device stays too, and receives the bytes once they are complete.

    Parameters
    ----------
    path : Path
        The file to create or replace; it is untouched until the block ends.

    Yields
    ------
    Path
        The temporary file to write to. It exists, is empty, and has the suffix of `path`.

    Raises
    ------
    OutputError
        If nothing can be written to `path`; see `check_writable`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "result.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     os.listdir(folder)
    ['result.txt']
    """
    check_writable(path)
    if is_stream(path):
        with _part(Path(tempfile.gettempdir(), path.name), 0o600) as part:
            yield part
            _copy(part, path)
        return
    target = Path(os.path.realpath(path))
    mode = S_IMODE(target.stat().st_mode) if target.exists() else None
    with _part(target.with_name(path.name), mode) as part:
        yield part
        if mode is not None:
            part.chmod(mode)
        os.replace(part, target)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8, with the same bytes on every system."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def check_writable(path: Path) -> None:
    """Raise an error if no file can be written to `path`. Call this before the work whose result it will hold.

    Parameters
    ----------
    path : Path
        The file to create or replace.

    Raises
    ------
    OutputError
        If `path` is a folder, its folder does not exist, or one of the two is read-only.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; add a file name")
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if is_stream(path):
        places = [path]
    elif folder.is_dir():
        places = [folder, path] if path.exists() else [folder]
    else:
        raise OutputError(f"there is no folder {folder} to write {path.name} to")
    if closed := [place for place in places if not os.access(place, os.W_OK)]:
        raise OutputError(f"cannot write {path}: no permission to write to {closed[0]}")


def is_stream(path: Path) -> bool:
    """Return whether `path` is a pipe, a device, or the file that standard output or standard error goes to."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (S_ISREG(mode) or S_ISDIR(mode)) or _standard_stream(path) is not None


def part_path(path: Path) -> Path:
    """Return a new name for the temporary file of `path`: hidden, unique, and with the suffix of `path`."""
    return path.with_name(f".{path.stem[:50]}.{os.urandom(8).hex()}.part{path.suffix}")


def part_paths(path: Path) -> list[Path]:
    """Return the temporary files of `path` that exist: those in use, and those that killed writers left behind."""
    name = re.compile(rf"\.{re.escape(path.stem[:50])}\.[0-9a-f]{{16}}\.part{re.escape(path.suffix)}")
    return [found for found in path.parent.iterdir() if name.fullmatch(found.name)]


def sweep(folder: Path) -> None:
    """Delete the temporary files of all files in `folder` that killed writers left behind, except on Windows.

    A write to the same path does the same. A program that resumes its work calls this, because it does not write again
    what is complete.
    """
    name = re.compile(r"\..+\.[0-9a-f]{16}\.part(\..*)?")
    _sweep(found for found in folder.iterdir() if name.fullmatch(found.name))


# ---- temporary files ---------------------------------------------------------------------------------------------
#
# A writer locks its temporary file. The lock ends with the process, so a file that can be locked is a leftover.


@contextmanager
def _part(path: Path, mode: int | None) -> Iterator[Path]:
    """Create a temporary file beside `path`, and delete it at the end unless it has been renamed."""
    part, claim = part_path(path), None

    def delete() -> None:
        part.unlink(missing_ok=True)

    with suppress(OSError):
        _sweep(part_paths(path))
    with _before_the_end(delete):
        try:
            while (claim := _claimed(part, mode)) is None:
                part = part_path(path)
            yield part
        finally:
            delete()
            if claim is not None:
                claim.close()


def _claimed(part: Path, mode: int | None) -> IO[bytes] | None:
    """Create a temporary file and lock it; None if a sweep found it before it was locked."""
    allowed = 0o666 if mode is None else mode | 0o600
    stream = open(part, "xb", opener=lambda name, flags: os.open(name, flags, allowed))  # noqa: SIM115
    if fcntl is None:
        stream.close()  # Windows does not rename a file that is open
        return stream
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        return stream  # a file system without locks, on which no sweep deletes anything either
    else:
        if part.exists():
            return stream
    stream.close()
    return None


def _sweep(parts: Iterable[Path]) -> None:
    """Delete those of the temporary files whose writers are gone."""
    if fcntl is None:
        return
    for part in parts:
        with suppress(OSError), part.open("r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises as long as its writer holds it
            part.unlink()


@contextmanager
def _before_the_end(clean: Callable[[], None]) -> Iterator[None]:
    """Call `clean` if SIGTERM or SIGHUP ends the process; handlers of the program's own stay, and clean up themselves.

    Python runs handlers in the main thread only, and other threads cannot set them.
    """
    here = os.getpid()
    main = threading.current_thread() is threading.main_thread()
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if main and hasattr(signal, name)]
    unset = [number for number in known if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: Any) -> None:
        if os.getpid() == here:  # not in a fork, whose parent goes on writing
            clean()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    try:
        for number in unset:
            signal.signal(number, end)
        yield
    finally:
        for number in unset:
            if signal.getsignal(number) is end:  # not one that was set meanwhile
                signal.signal(number, signal.SIG_DFL)


# ---- pipes and devices -------------------------------------------------------------------------------------------


def _standard_stream(path: Path) -> int | None:
    """The descriptor of standard output or standard error, if `path` is where it goes; else None."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
    return None


def _copy(part: Path, path: Path) -> None:
    """Copy a temporary file to a pipe or a device; to a standard stream, behind what has been printed."""
    own = _standard_stream(path)
    if own is not None and sys.stdout is not None:
        sys.stdout.flush()
    with part.open("rb") as source, open(path if own is None else os.dup(own), "wb") as sink:
        shutil.copyfileobj(source, sink)
