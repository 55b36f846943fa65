"""The exercises: one file per step, named like the step's script.

An exercise is a function with `@exercise` above it (see `exercise.py`). Its name is the name of the answer, its
docstring is the task, and its body checks an answer: it returns if the answer is right, and otherwise raises `Refused`
with a message that says what the answer implies. To add the exercises of a step, add a file here, a file of solutions
of the same name in `tutorials/solutions/`, and one of wrong answers in `tests/wrong_answers/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from .exercise import Exercise

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Step:
    """The exercises of one step.

    Parameters
    ----------
    number : str
        What stands before the first underscore of the file's name: "07".
    stem : str
        The file's name without its ending, which the solutions and the step's script share.
    question : str
        The question of the step: the first line of the file's docstring.
    exercises : tuple of Exercise
        In the order of the file.
    """

    number: str
    stem: str
    question: str
    exercises: tuple[Exercise, ...]

    @property
    def short(self) -> str:
        """The number as a person writes it: "7" for "07", "0" for "00"."""
        return self.number.lstrip("0") or "0"

    @property
    def minutes(self) -> int:
        """The time that all exercises take."""
        return sum(each.minutes for each in self.exercises)


def steps() -> list[Step]:
    """All steps that have exercises, in order."""
    return [load(path.stem) for path in sorted(HERE.glob("[0-9]*_*.py"))]


def load(stem: str) -> Step:
    """Import the exercises of one step."""
    module = import_module(f"{__name__}.{stem}")
    found = tuple(value for value in vars(module).values() if isinstance(value, Exercise))
    return Step(stem.partition("_")[0], stem, str(module.__doc__).partition("\n")[0], found)
