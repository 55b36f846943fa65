"""Who answers questions: a Python function of plain data, or a program in any language over a pipe of JSON lines.

Both take the network as plain data, so that neither needs lrpref. Both may decline a network that they do not support;
it is then counted, not judged.
"""

from __future__ import annotations

import json
import os
import pkgutil
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, Protocol, Self

import numpy as np

from .._support.untrusted import MAX_JSON, parse_json
from ..arithmetic import as_fraction
from ..backend import is_array, to_numpy
from ..conformance import NotOffered
from ..errors import LrprefError, ParameterError, shown
from .question import Question

LAST_CHARACTERS = 2000
"""The most characters of a program's standard error that a message shows."""


class ProgramError(LrprefError):
    """A program can no longer answer: it crashed, took too long, or answered with something other than relevance."""


class Answerer(Protocol):
    """An implementation that answers questions.

    Attributes
    ----------
    name : str
        The name in reports.
    """

    name: str

    def __call__(self, question: Question) -> np.ndarray:
        """Return the relevance of the input of a question; raises NotOffered, or an exception of its own."""


class Function:
    """A Python function f(network, x, seed) of plain data.

    `network` is a dictionary in the format of the conformance cases, with float64 arrays in place of lists of text.
    `x` is the input, shape (N, ...), and `seed` the relevance at the output, shape (N, outputs), both float64. The
    function returns the relevance of `x`: an array, a tensor, or nested lists. For a network that it does not support,
    it raises NotImplementedError with the reason.

    Parameters
    ----------
    function : callable
        The function.
    name : str, optional
        The name in reports; the function's own by default.

    Examples
    --------
    >>> from lrpref import Dense, Network
    >>> def shares(network, x, seed):
    ...     (layer,) = network["layers"].values()
    ...     w = layer["arrays"]["weight"]
    ...     return x * ((seed / (x @ w.T)) @ w)
    >>> net = Network.sequential(Dense([[2.0, -1.0]]))
    >>> Function(shares)(Question(net, np.array([[1.0, 1.0]]), np.array([[3.0]])))
    array([[ 6., -3.]])
    """

    def __init__(self, function: Callable[[dict[str, Any], np.ndarray, np.ndarray], Any], name: str = "") -> None:
        if not callable(function):
            raise ParameterError(f"expected a function f(network, x, seed), got {shown(function)}")
        self._function, self.name = function, name or str(getattr(function, "__name__", function))

    def __call__(self, question: Question) -> np.ndarray:
        """Call the function with the arrays of the question themselves, which it must not change."""
        try:
            found = self._function(question.plain, question.input, question.seed)
        except NotImplementedError as error:
            raise NotOffered(str(error) or "NotImplementedError") from error
        return _as_array(found)


def function_named(name: str) -> Function:
    """Return the function "module:name".

    Parameters
    ----------
    name : str
        A module that can be imported, a colon, and the name of a function in it.

    Returns
    -------
    Function
        The function, ready to be asked.

    Raises
    ------
    ParameterError
        If there is no such module or function.

    Examples
    --------
    >>> function_named("math:hypot").name
    'math:hypot'
    """
    if ":" not in name:
        raise ParameterError(f"expected MODULE:FUNCTION, such as mylrp:explain, got {name!r}")
    try:
        return Function(pkgutil.resolve_name(name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(f"cannot import {name!r}: {error}; expected MODULE:FUNCTION") from error


def _as_array(found: Any) -> np.ndarray:
    """Return relevance as a float64 array; raises TypeError unless it is one array of real numbers."""
    if hasattr(found, "detach"):  # a tensor of torch, which may be on a device and require a gradient
        found = found.detach().cpu().numpy()
    try:
        array = np.asarray(to_numpy(found) if is_array(found) else found)
    except ValueError as error:
        raise TypeError(f"the relevance is not an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"the relevance is not an array of real numbers: {shown(found)}")
    return array.astype(np.float64)


# ---- programs ----------------------------------------------------------------------------------------------------


class Program:
    """A program that reads one question per line from standard input, and writes one answer per line.

    A question is a line of JSON: {"id": 1, "network": ..., "input": ..., "seed": ...} and "rules" if a rule is
    verified, all in the format of the conformance cases, with numbers as text such as "-1/8". An answer is one of

        {"id": 1, "relevance": [[0.5, -1.0]]}
        {"id": 1, "not_offered": "no rule for BatchNorm"}

    Numbers of an answer are JSON numbers, or text such as "1/3"; null, NaN and Infinity are not finite. A program must
    flush its output after each line, and end when its input ends. Anything for the user belongs on standard error.

    The program starts with the first question. A context manager, or `close`, ends it.

    Parameters
    ----------
    command : str or list of str
        The program and its arguments. A text is split as a shell does, but no shell runs it.
    timeout : float, default 60
        The most seconds that an answer may take.

    Raises
    ------
    ParameterError
        If the command is empty, or the timeout is not positive.
    """

    def __init__(self, command: str | list[str], timeout: float = 60) -> None:
        try:
            self._command = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise ParameterError(f"cannot read the command {command!r}: {error}") from error
        if not self._command:
            raise ParameterError("expected the command of a program, such as 'julia my.jl', got nothing")
        if not timeout > 0:
            raise ParameterError(f"the timeout must be a positive number of seconds, got {timeout}")
        self.name, self._timeout = shlex.join(self._command), timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self._broken: ProgramError | None = None
        self._exchanging = threading.Thread()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, question: Question) -> np.ndarray:
        """Ask the program; raises ProgramError, or NotOffered. After a ProgramError it is not asked again."""
        if self._broken is not None:
            raise self._broken
        self._asked += 1
        try:
            answer = self._answer({"id": self._asked} | question.as_data())
        except ProgramError as error:
            self._broken = error
            raise
        finally:
            if self._broken is not None:
                self.close()
        if "not_offered" in answer:
            raise NotOffered(str(answer["not_offered"]))
        return np.asarray(answer["relevance"])

    def close(self) -> None:
        """End the program, and whatever it started. It has a second to end by itself after its input has ended."""
        if self._process is not None:
            self._end(self._process)
            self._errors.close()
            self._process = None

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """End the process and its group, and return its exit code."""
        if not self._exchanging.is_alive():  # otherwise the thread may hold the pipes until the program is dead
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
            _wait(process, 1)
        _kill(process)
        self._exchanging.join(1)
        if not self._exchanging.is_alive():
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
        return process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the program in a process group of its own, with its standard error in a file."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, stderr=self._errors, start_new_session=os.name == "posix"
            )
        except OSError as error:
            self._errors.close()
            raise ProgramError(f"cannot start {self.name!r}: {error}") from error

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Send a question and return its answer, with the relevance as an array; raises ProgramError."""
        if self._process is None:
            self._process = self._start()
        line = self._exchange(self._process, json.dumps(question).encode() + b"\n")
        if not line:
            raise self._error("ended without an answer", ended=True)
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if len(line) > MAX_JSON:
            raise self._error(f"wrote a line of more than {MAX_JSON} bytes")
        try:
            found = parse_json(text)
        except ValueError as error:
            raise self._error(f"wrote a line that is not JSON ({error}): {shown(text)}") from error
        return self._checked(found, question["id"], text)

    def _checked(self, found: Any, number: int, text: str) -> dict[str, Any]:
        """Return an answer that has the right id, and relevance or a reason; raises ProgramError."""
        expected = f'expected {{"id": {number}, "relevance": ...}} or {{"id": {number}, "not_offered": "reason"}}'
        if not isinstance(found, dict) or not ({"relevance", "not_offered"} & set(found)):
            raise self._error(f"wrote a line that is not an answer: {shown(text)}; {expected}")
        if found.get("id") != number:
            raise self._error(f"answered question {shown(found.get('id'))} when asked question {number}; {expected}")
        if "not_offered" in found:
            return found
        try:
            return {"relevance": np.array(_numbers(found["relevance"]), dtype=np.float64)}
        except (ValueError, LrprefError) as error:
            raise self._error(f"answered question {number} with relevance that is not an array ({error})") from error

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes) -> bytes:
        """Write a line and read one, within the timeout. A thread does it, because either may wait for the program."""
        answers: SimpleQueue[bytes] = SimpleQueue()

        def exchange() -> None:
            with suppress(OSError, ValueError):  # the program has ended, or was closed meanwhile
                process.stdin.write(line)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            with suppress(OSError, ValueError):
                answers.put(process.stdout.readline(MAX_JSON + 1))  # type: ignore[union-attr]

        self._exchanging = threading.Thread(target=exchange, daemon=True)
        self._exchanging.start()
        try:
            return answers.get(timeout=self._timeout)
        except Empty:
            raise self._error(f"did not answer within {self._timeout:g} s") from None

    def _error(self, problem: str, ended: bool = False) -> ProgramError:
        """End the program, and return the error with what it wrote to standard error."""
        code = None if self._process is None else self._end(self._process)
        problem += f" (exit code {code})" if ended else ""
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - LAST_CHARACTERS))
        said = self._errors.read().decode("utf-8", errors="replace").strip()
        stderr = f"its standard error ends with:\n{said}" if said else "its standard error is empty"
        return ProgramError(f"{self.name!r} {problem}; {stderr}")


def _numbers(found: Any) -> Any:
    """Return nested lists of floats; null is NaN, and text is a fraction. Raises ValueError or LrprefError."""
    if isinstance(found, list):
        return [_numbers(each) for each in found]
    if found is None:
        return float("nan")
    if isinstance(found, str):
        return float(as_fraction(found))
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"expected a number, got {shown(found)}")
    return float(found)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process has ended. It stays a member of its group, so that the group's number is not used again."""
    if os.name != "posix":
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return
    until = monotonic() + seconds
    with suppress(ChildProcessError):  # its exit code has been read
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None and monotonic() < until:
            sleep(0.01)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and its group where there are groups, unless its exit code has been read."""
    if process.returncode is None:
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
