"""File writes: whole or not at all, nothing left behind, links and modes kept, whoever else writes or is killed."""

from __future__ import annotations

import ast
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

import lrpref
from lrpref import Dense, Network, plot
from lrpref._support import files
from lrpref._support.files import check_writable, part_path, part_paths, whole, write_text
from lrpref.errors import LrprefError, OutputError, ParameterError

ROOT = Path(__file__).parent.parent
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes, locks, pipes, names and signals of POSIX")
REPLACES = pytest.mark.skipif(os.name == "nt", reason="Windows may refuse to replace a file that is being replaced")

CHILD = """
import os, signal, sys, time, types
package = types.ModuleType("lrpref")  # without what lrpref imports, to start at once
package.__path__ = [sys.argv[1]]
sys.modules["lrpref"] = package
from pathlib import Path
from lrpref._support.files import whole, write_text
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
"""

HALFWAY = """
with whole(Path("R.txt")) as part:
    part.write_text("half")
    print("half", flush=True)
    sys.stdin.readline()
    part.write_text("all of the child's")
"""


@contextmanager
def child(script: str, folder: Path, stdout: int | IO[Any] = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a folder, in another process; it is killed at the end if it is still there."""
    command = [sys.executable, "-c", CHILD + script, str(ROOT / "lrpref")]
    with subprocess.Popen(command, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=stdout) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def halfway(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a child that has written half of R.txt, and waits for a line."""
    with child(HALFWAY, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        yield process


def held(folder: Path) -> dict[str, str]:
    """The files in a folder, and their text."""
    return {path.name: path.read_text() for path in folder.iterdir()}


def leftover(path: Path) -> Path:
    """Leave the temporary file of a writer that was killed."""
    part = part_path(path)
    part.write_text("half of i")
    return part


# ---- several writers ---------------------------------------------------------------------------------------------


@REPLACES
def test_three_threads_write_to_one_path(tmp_path: Path) -> None:
    path, start, failed = tmp_path / "net.npz", threading.Barrier(3), []

    def write(number: float) -> None:
        start.wait(30)
        try:
            lrpref.save(Network.sequential(Dense([[number]])), path)
        except Exception as error:
            failed.append(error)

    for _ in range(30):
        threads = [threading.Thread(target=write, args=(float(number),)) for number in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert list(tmp_path.iterdir()) == [path]
        assert lrpref.load(path)["dense1"].weight.item() in (1, 2, 3)


@pytest.mark.slow
@REPLACES
def test_three_processes_write_to_one_path(tmp_path: Path) -> None:
    script = "for _ in range(200): write_text(Path('R.txt'), 'all of it')"
    with child(script, tmp_path) as one, child(script, tmp_path) as two, child(script, tmp_path) as three:
        assert [process.wait(60) for process in (one, two, three)] == [0, 0, 0]
    assert held(tmp_path) == {"R.txt": "all of it"}


@POSIX
def test_a_writer_that_lives_is_left_alone(tmp_path: Path) -> None:
    """Both in this process and in another; the last one to finish wins."""
    path = tmp_path / "R.txt"
    with halfway(tmp_path) as process:
        with whole(path) as part:
            part.write_text("all of the first")
            write_text(path, "all of the second")
            assert sorted(held(tmp_path).values()) == ["all of the first", "all of the second", "half"]
        assert path.read_text() == "all of the first"
        process.communicate("go on\n", timeout=30)
        assert process.returncode == 0
    assert held(tmp_path) == {"R.txt": "all of the child's"}


# ---- killed writers ----------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_leaves_the_old_file_and_nothing_else(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    (tmp_path / "R.txt").write_text("old")
    with halfway(tmp_path) as process:
        assert len(part_paths(tmp_path / "R.txt")) == 1
        process.send_signal(number)
        process.communicate("go on\n", timeout=30)  # a signal just before it begins to wait would not wake it
        assert process.returncode == -number
    assert held(tmp_path) == {"R.txt": "old"}


@POSIX
def test_what_a_kill_leaves_is_swept_by_the_next_write(tmp_path: Path) -> None:
    with halfway(tmp_path) as process:
        process.kill()
        process.wait(30)
    assert list(held(tmp_path).values()) == ["half"]
    write_text(tmp_path / "other.txt", "all of it")
    assert len(held(tmp_path)) == 2, "only a write to the same path sweeps"
    write_text(tmp_path / "R.txt", "all of it")
    assert held(tmp_path) == {"R.txt": "all of it", "other.txt": "all of it"}


def test_a_leftover_never_makes_a_write_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked, it stays."""
    path = tmp_path / "net.npz"
    part = leftover(path)
    monkeypatch.setattr(files, "fcntl", None)
    lrpref.save(Network.sequential(Dense([[1.0]])), path)
    assert sorted(tmp_path.iterdir()) == sorted([part, path])


@POSIX
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr("fcntl.flock", fails)
    part = leftover(tmp_path / "R.txt")
    write_text(tmp_path / "R.txt", "all of it")
    assert held(tmp_path) == {part.name: "half of i", "R.txt": "all of it"}


@POSIX
def test_a_sweep_between_creation_and_lock_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer notices that its temporary file is gone, or locked by the sweep, and takes another."""
    import fcntl

    path, lock = tmp_path / "R.txt", fcntl.flock
    swept = []

    def late(stream: Any, how: int) -> None:
        if len(swept) == 2:
            lock(stream, how)
            return
        os.unlink(stream.name)
        swept.append(stream.name)
        if len(swept) == 2:
            raise BlockingIOError

    monkeypatch.setattr("fcntl.flock", late)
    write_text(path, "all of it")
    assert held(tmp_path) == {"R.txt": "all of it"}
    assert len(set(swept)) == 2


@POSIX
def test_a_handler_of_the_program_stays(tmp_path: Path) -> None:
    """It may raise an exception, which deletes the temporary file; ours are gone when the file is written."""

    def handler(number: int, frame: Any) -> None:
        raise InterruptedError

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    write_text(tmp_path / "R.txt", "old")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before
    with whole(tmp_path / "R.txt") as part:
        part.write_text("old")
        signal.signal(signal.SIGTERM, handler)  # stays, although it is set while we write
    try:
        with pytest.raises(InterruptedError), whole(tmp_path / "R.txt"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert held(tmp_path) == {"R.txt": "old"}


@POSIX
def test_a_fork_that_is_terminated_leaves_the_file_of_its_parent(tmp_path: Path) -> None:
    """A pool of processes ends its workers by SIGTERM, and they inherit the handlers."""
    script = """
begun, begin = os.pipe()
with whole(Path("R.txt")) as part:
    part.write_text("all of it")
    if not (pid := os.fork()):
        os.write(begin, b".")
        time.sleep(60)
    os.read(begun, 1)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
"""
    with child(script, tmp_path) as process:
        assert process.wait(30) == 0
    assert held(tmp_path) == {"R.txt": "all of it"}


# ---- names -------------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("name", ["R.npy", "[a]*?.npy", "no suffix", ".hidden", "é" * 100 + ".npy", "x" * 250 + ".npy"])
def test_temporary_files_are_hidden_unique_and_found_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    first, second = leftover(path), leftover(path)
    assert first != second
    assert all(part.parent == tmp_path and part.name.startswith(".") and part.suffix for part in (first, second))
    assert path.suffix in ("", first.suffix)
    for other in ("R.npz", ".R.npy", ".R.1234.part.npy", "R.0123456789abcdef.part.npy"):  # the third is of lrpref 0.2
        (tmp_path / other).touch()
    assert sorted(part_paths(path)) == sorted([first, second])


# ---- links, modes, pipes and devices -----------------------------------------------------------------------------


@POSIX
def test_a_mode_stays_and_new_files_follow_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "R.txt"
    mask = os.umask(0o027)
    try:
        write_text(path, "new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o666, 0o755, 0o200):
            path.chmod(mode)
            with whole(path) as part:
                assert stat.S_IMODE(part.stat().st_mode) & ~(mode | 0o600) == 0, "nobody else may read it meanwhile"
                part.write_text("all of it")
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(mask)


@POSIX
@pytest.mark.parametrize("target", ["real.txt", "folder/real.txt", "missing.txt"])
def test_a_symbolic_link_stays(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    if "missing" not in target:
        Path(target).write_text("old")
    Path("link.txt").symlink_to(target)
    Path("chain.txt").symlink_to("link.txt")
    write_text(Path("chain.txt"), "all of it")
    assert [os.readlink(name) for name in ("chain.txt", "link.txt")] == ["link.txt", target]
    assert not Path(target).is_symlink()
    assert Path(target).read_text() == "all of it"
    assert sorted(path.name for path in tmp_path.rglob(".*")) == []


@POSIX
def test_the_name_of_a_link_decides_about_the_format(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install -e '.[plot]'")
    (tmp_path / "map.png").symlink_to("data")
    plot.save(plot.explanation(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))), tmp_path / "map.png")
    assert (tmp_path / "data").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


@contextmanager
def received(pipe: Path, copy: Path) -> Iterator[None]:
    """Read a pipe into a file while it is written to."""
    reader = threading.Thread(target=lambda: copy.write_bytes(pipe.read_bytes()), daemon=True)
    reader.start()
    yield
    reader.join(30)
    assert not reader.is_alive()


@POSIX
def test_a_pipe_stays_and_receives_everything(tmp_path: Path) -> None:
    path, copy = tmp_path / "pipe.npz", tmp_path / "copy.npz"
    os.mkfifo(path)
    with received(path, copy):
        lrpref.save(Network.sequential(Dense([[2.0]])), path)
    assert path.is_fifo()
    assert lrpref.load(copy)["dense1"].weight.item() == 2
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ParameterError, match=r"pipe.npy' is a pipe or a device, but the result is read back"):
        lrpref.explain(Network.sequential(Dense([[2.0]])), np.ones((1, 1)), out=tmp_path / "pipe.npy")


@POSIX
def test_what_has_no_suffix_receives_a_network_or_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install -e '.[plot]'")
    path, copy = tmp_path / "pipe", tmp_path / "copy"
    os.mkfifo(path)
    with received(path, copy):
        lrpref.save(Network.sequential(Dense([[2.0]])), path)
    assert lrpref.load(copy)["dense1"].weight.item() == 2
    with received(path, copy):
        plot.save(plot.explanation(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))), path)
    assert copy.read_bytes().startswith(b"\x89PNG")


@POSIX
def test_a_device_stays() -> None:
    """A terminal, in whose folder nothing can be created: a mistake must not replace /dev/null."""
    here, terminal = os.openpty()
    path = Path(os.ttyname(terminal))
    write_text(path, "all of it")
    assert os.read(here, 100) == b"all of it"
    assert path.is_char_device()
    assert files.is_stream(Path(os.devnull))
    for descriptor in (here, terminal):
        os.close(descriptor)


@POSIX
@pytest.mark.parametrize("name", ["pipe", "file"])
def test_standard_output_receives_it_in_order(name: str, tmp_path: Path) -> None:
    script = "print('before'); write_text(Path('/dev/stdout'), 'all of it\\n'); print('after')"
    if not Path("/dev/stdout").exists():
        pytest.skip("this system has no /dev/stdout")
    with (tmp_path / "out.txt").open("w+") as file:
        with child(script, tmp_path, subprocess.PIPE if name == "pipe" else file) as process:
            out, _ = process.communicate(timeout=30)
        file.seek(0)
        assert (out or file.read()) == "before\nall of it\nafter\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


# ---- what cannot be written --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "it is a folder; add a file name"),
        ("folder.txt", "it is a folder; add a file name"),
        ("nowhere/R.txt", "there is no folder .*nowhere to write R.txt to"),
        ("real.txt/R.txt", "there is no folder .*real.txt to write R.txt to"),
        ("astray.txt", "there is no folder .*nowhere to write astray.txt to"),
        ("locked/R.txt", "no permission to write to .*locked$"),
        ("locked.txt", "no permission to write to .*locked.txt$"),
    ],
)
def test_what_cannot_be_written(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator may write everywhere, so permissions are simulated."""
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "locked").mkdir()
    for file in ("real.txt", "locked.txt"):
        (tmp_path / file).write_text("old")
    if name == "astray.txt":
        try:
            (tmp_path / name).symlink_to("nowhere/R.txt")
        except OSError:
            pytest.skip("links need a privilege on Windows")
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in Path(path).name)
    before = sorted(tmp_path.rglob("*"))
    for refuses in (check_writable, lambda path: write_text(path, "all of it")):
        with pytest.raises(OutputError, match=message) as caught:
            refuses(tmp_path / name)
        assert isinstance(caught.value, LrprefError | OSError)
    assert sorted(tmp_path.rglob("*")) == before


# ---- every writer, every system ----------------------------------------------------------------------------------

WRITERS = {"write_text", "write_bytes", "savefig", "save", "savez", "savez_compressed", "open_memmap"}
APART = ("make_cases.py", "make_exports.py", "make_samples.py")
"""Scripts that import nothing from lrpref, because they judge it or run where it is not installed."""
SOURCES = sorted(
    path
    for folder in ("lrpref", "scripts", "benchmarks", "tutorials")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if path.name not in APART
)


def direct_writes(source: str) -> list[str]:
    """The calls that write a file other than the temporary one, which is called `part`, or `stream` once it is open."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            given = {ast.unparse(argument) for argument in node.args}
            modes = [ast.literal_eval(a) for a in node.args if isinstance(a, ast.Constant)]
            opens = node.func.attr == "open" and any(isinstance(m, str) and set(m) & set("wxa") for m in modes)
            if (opens or node.func.attr in WRITERS) and not {owner, *given} & {"part", "stream", "drawn"}:
                found.append(ast.unparse(node))
    return found


OURS = ("lrpref.save(", "weights.save(", "plot.save(", "saved_maps.save(", "run.save(", "CLEAR.write_text(")
"""Functions that write by `whole` themselves; the last one is a switch of the kernel."""


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_every_writer_writes_atomically(path: Path) -> None:
    direct = [call for call in direct_writes(path.read_text(encoding="utf-8")) if not call.startswith(OURS)]
    assert direct == []


def test_direct_writes_are_noticed() -> None:
    calls = ("path.write_text('a')", "np.savez(path, a=1)", "path.open('wb')", "np.save(path, x)", "f.savefig('a.png')")
    assert [direct_writes(call) for call in calls] == [[call] for call in calls]
    assert direct_writes("part.write_text('a'); np.savez(stream, a=1); part.open('wb'); path.open('rb')") == []


ELSEWHERE = """
import importlib, os, pkgutil, signal, sys
import lrpref

def modules():
    for found in pkgutil.walk_packages(lrpref.__path__, "lrpref."):
        if not (".adapters." in found.name or found.name.endswith(("__main__", "torch._trace"))):  # which import torch
            try:
                yield importlib.import_module(found.name)
            except lrpref.errors.LrprefError:  # needs a library that is not installed
                pass

list(modules())  # so that what others import is there
for name in [name for name in sys.modules if name.partition(".")[0] == "lrpref"]:
    del sys.modules[name]
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix", "_posixsubprocess"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "mkfifo", "mknod", "getuid", "geteuid", "getgid", "chown", "fchmod", "fchown", "killpg",
             "sched_getaffinity", "register_at_fork", "getpgid", "setsid", "wait3", "wait4", "nice", "getloadavg"):
    vars(os).pop(name, None)
for name in [name for name in vars(signal) if name.startswith("SIG") and name not in
             ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN")]:
    delattr(signal, name)
import lrpref
list(modules())
from lrpref.cli import main
assert main(["explain", "mnist-cnn", "digit-4", "--out", "mine.npy"]) == 0
assert main(["fuse", "mnist-mlp-bn", "-o", "fused.npz"]) == 0
assert sorted(os.listdir()) == ["fused.npz", "mine.npy", "mine.npy.json"]
"""


@pytest.mark.slow
def test_nothing_needs_what_other_systems_lack(tmp_path: Path) -> None:
    """Import every module, explain, and write, without the modules, functions and signals that Windows lacks."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
