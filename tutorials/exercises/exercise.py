"""What an exercise is, and how an answer to it is graded."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KINDS = ("predict", "compute", "find", "write", "repair", "explain", "prove")
"""What an exercise asks for. *predict*: before computing anything. *prove*: settle a general statement, by trying all
cases or by a counterexample."""

ANSWERS = "answers_"
"""What the name of a module begins with that holds a learner's answers."""


class Refused(Exception):
    """An answer that is not right. The message says what the answer implies, and does not give the solution away."""


class NotAnswered(NotImplementedError):
    """An answer, or a part of one, that still is as `--start` wrote it."""


class NotChecked(Exception):
    """An answer that may be right, but whose check needs a library that is not installed."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Parameters
    ----------
    name : str
        The name of the answer in the learner's file.
    title, task : str
        A line, and what is asked.
    kind : str
        One of KINDS.
    minutes : int
        How long it takes a reader of the step.
    start : str
        What the learner's file holds at first.
    hints : tuple of str
        From a nudge to almost the solution.
    check : callable
        Takes the answer; raises Refused if it is not right.
    """

    name: str
    title: str
    task: str
    kind: str
    minutes: int
    start: str
    hints: tuple[str, ...]
    check: Callable[[Any], None]


def exercise(kind: str, minutes: int, *hints: str, start: str = "") -> Callable[[Callable[[Any], None]], Exercise]:
    """Make an exercise of a function that checks its answer; the name and the docstring are the function's.

    Without `start`, the answer is a value, and the learner's file begins with `NAME = None`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")

    def made(check: Callable[[Any], None]) -> Exercise:
        title, _, task = inspect.cleandoc(check.__doc__ or "").partition("\n")
        name = check.__name__
        first = inspect.cleandoc(start) if start else f"{name} = None"
        return Exercise(name, title.rstrip("."), task.strip(), kind, minutes, first, hints, check)

    return made


@dataclass(frozen=True)
class Grade:
    """What became of an answer: "right", "not yet", "not answered" or "not checked", and a message."""

    verdict: str
    message: str = ""


def grade(exercise: Exercise, answer: Any) -> Grade:
    """Check an answer. Whatever it raises is the answer's, and is reported."""
    if answer is None or answer is ...:
        return Grade("not answered")
    wanted = next((what for what in ("def", "class") if f"{what} {exercise.name}(" in exercise.start), "")
    if wanted and not callable(answer):
        return Grade("not yet", f"{exercise.name} is not a {'function' if wanted == 'def' else wanted}.")
    try:
        exercise.check(answer)
    except NotImplementedError as error:
        if isinstance(error, NotAnswered) and callable(answer):
            return Grade("not yet", "Your function returns None, or something that contains None.")
        in_part = _begun(answer) and not callable(answer)  # the function to fill in says itself that it is not begun
        return Grade("not answered", "A part of it is still None." if in_part else "")
    except Refused as refusal:
        return Grade("not yet", str(refusal))
    except NotChecked as missing:
        return Grade("not checked", str(missing))
    except Exception as error:  # of the learner's own code
        line = line_of(error)
        what = f"Line {line} of your code raises" if line else "This answer cannot be read:"
        return Grade("not yet", f"{what} {type(error).__name__}: {error}")
    return Grade("right")


def _begun(answer: Any) -> bool:
    """Whether any part of an answer is filled in."""
    if isinstance(answer, dict):
        return any(map(_begun, answer.values()))
    if isinstance(answer, list | tuple | set):
        return any(map(_begun, answer))
    return answer is not None and answer is not ... and not (isinstance(answer, str) and answer == "")


def line_of(error: BaseException) -> int | None:
    """The line of the learner's file that an error came from; None if it came from elsewhere."""
    trace, line = error.__traceback__, getattr(error, "lineno", None)  # which a SyntaxError has
    while trace:
        if str(trace.tb_frame.f_globals.get("__name__")).startswith(ANSWERS):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
