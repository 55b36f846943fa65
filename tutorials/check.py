"""Exercises for every step of the tutorials.

    python -m tutorials.check --list           the steps, the number of exercises, and the time they take
    python -m tutorials.check 7 --list         the exercises of step 7
    python -m tutorials.check 7 --start        write answers/07.py, a file to fill in; never overwrites one
    python -m tutorials.check 7                grade it
    python -m tutorials.check 7 --hint 2       a hint for the second exercise; --hint 2 2 is the next one
    python -m tutorials.check                  grade all files of answers
    python -m tutorials.check --page           print all tasks as Markdown, which is docs/exercises.md

Run it from the root of a clone. `--answers FOLDER` reads and writes another folder, such as that of one student. The
exit code is 0 if every answer is right, 1 if not, and 2 if a file cannot be run. Solutions are in tutorials/solutions/.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from lrpref._support.files import write_text

from .exercises import Step, steps
from .exercises.exercise import ANSWERS, grade, line_of

WIDTH = 100
HEADER = '''"""Answers to step {short}: {question}

Grade them, from the root of the clone:   python -m tutorials.check {short}
A hint for the first exercise:            python -m tutorials.check {short} --hint 1

Give exact numbers, such as Fraction(1, 3), "1/3" or 0.25.
"""

from fractions import Fraction

import numpy as np

import lrpref
from lrpref import rules
'''


PAGE = """# Exercises

This page shows the tasks of all exercises of the [tutorials](../tutorials/README.md), as
`python -m tutorials.check --page` prints them. To do those of step 1, run `python -m tutorials.check 1 --start`, fill
in the file that it writes, and grade it with `python -m tutorials.check 1`. With `--hint 2`, the command prints a hint
for the second exercise. A plan for a course is in [teaching.md](teaching.md)."""


class UsageError(Exception):
    """A request that cannot be served, with a message for the person who made it."""


def main(arguments: list[str] | None = None) -> int:
    """Grade answers, or list, start, or give a hint."""
    parser = argparse.ArgumentParser(
        prog="python -m tutorials.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help="numbers of steps, such as 7 (default: all)")
    parser.add_argument("--list", action="store_true", help="list the steps, or the exercises of a step")
    parser.add_argument("--page", action="store_true", help="print all tasks as Markdown")
    parser.add_argument("--start", action="store_true", help="write a file to fill in")
    parser.add_argument("--hint", nargs="+", type=int, metavar=("EXERCISE", "WHICH"), help="print a hint")
    parser.add_argument(
        "--answers", type=Path, default=Path("answers"), help="the folder of the answers (default: answers)"
    )
    chosen = parser.parse_args(arguments)
    try:
        return run(chosen)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2


def run(chosen: argparse.Namespace) -> int:
    """Do what was asked."""
    known = steps()
    wanted = [find(known, text) for text in chosen.steps]
    if chosen.list:
        print("\n\n".join(map(listed, wanted)) if wanted else overview(known))
        return 0
    if chosen.page:
        print(page(known), end="")
        return 0
    if chosen.hint:
        print(hint(only(wanted, "--hint"), *chosen.hint))
        return 0
    if chosen.start:
        print(*(start(step, chosen.answers) for step in wanted or [only(wanted, "--start")]), sep="\n")
        return 0
    begun = wanted or [step for step in known if answers_of(step, chosen.answers).exists()]
    if not begun:
        raise UsageError(f"There are no answers in {chosen.answers}/ yet. Begin: python -m tutorials.check 1 --start")
    return max(graded(step, chosen.answers) for step in begun)


def find(known: list[Step], text: str) -> Step:
    """The step of this number, with or without its leading zero."""
    for step in known:
        if text in (step.number, step.short, step.stem):
            return step
    raise UsageError(f"No step {text} has exercises. The steps are {', '.join(step.short for step in known)}.")


def only(wanted: list[Step], option: str) -> Step:
    """The single step that an option needs."""
    if len(wanted) != 1:
        raise UsageError(f"{option} needs one step: python -m tutorials.check 7 {option}{' 2' * (option == '--hint')}")
    return wanted[0]


def answers_of(step: Step, folder: Path) -> Path:
    """The learner's file for a step."""
    return folder / f"{step.number}.py"


# ---- what is printed -------------------------------------------------------------------------------------------


def overview(known: list[Step]) -> str:
    """All steps, in a table."""
    lines = [f"{step.short:>3}  {step.question:62} {len(step.exercises)}  {step.minutes:3} min" for step in known]
    total, minutes = sum(len(step.exercises) for step in known), sum(step.minutes for step in known)
    return "\n".join([*lines, f"{total} exercises, about {minutes / 60:.0f} hours. Begin: --start with a step."])


def listed(step: Step) -> str:
    """The exercises of a step."""
    lines = [heading(step)]
    for number, each in enumerate(step.exercises, start=1):
        lines.append(f"  {number}  {each.title:58} {each.kind:8} {each.minutes:3} min")
    return "\n".join(lines)


def page(known: list[Step]) -> str:
    """The tasks of all steps in Markdown, without the hints."""
    parts = [PAGE]
    for step in known:
        times = f"{len(step.exercises)} exercises, about {step.minutes} minutes"
        parts.append(f"## {heading(step)}\n\n{times}. To begin: `python -m tutorials.check {step.short} --start`")
        for number, each in enumerate(step.exercises, start=1):
            task = wrapped(each.task, "").replace("<", "\\<")
            parts.append(f"### {step.short}.{number} {each.title}\n\n*{each.kind}, {each.minutes} minutes*")
            parts.append(f"{task}\n\n```python\n{each.start}\n```")
    return "\n\n".join(parts) + "\n"


def heading(step: Step) -> str:
    """The title of a step."""
    return f"Step {step.short}. {step.question}"


def hint(step: Step, number: int, which: int = 1, *rest: int) -> str:
    """The hint of this number for an exercise."""
    if rest or not 1 <= number <= len(step.exercises):
        raise UsageError(f"Step {step.short} has the exercises 1 to {len(step.exercises)}.")
    hints = step.exercises[number - 1].hints
    if not 1 <= which <= len(hints):
        raise UsageError(f"Exercise {number} has the hints 1 to {len(hints)}.")
    more = f"\nThere is another one: --hint {number} {which + 1}" if which < len(hints) else ""
    return wrapped(hints[which - 1], "") + more


def wrapped(text: str, indent: str) -> str:
    """Text in lines, paragraphs and indented blocks kept."""
    parts = []
    for part in text.split("\n\n"):
        as_is = any(line.startswith(" ") for line in part.splitlines())
        prose = textwrap.wrap(" ".join(part.split()), WIDTH - len(indent), break_on_hyphens=False)
        lines = part.splitlines() if as_is else prose
        parts.append("\n".join(f"{indent}{line}".rstrip() for line in lines))
    return f"\n{indent.rstrip()}\n".join(parts)


# ---- the learner's file ----------------------------------------------------------------------------------------


def start(step: Step, folder: Path) -> str:
    """Write the file to fill in, unless there is one."""
    path = answers_of(step, folder)
    if path.exists():
        raise UsageError(f"{path} exists and is yours, so it is not overwritten. Rename it to begin again.")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, template(step))
    return f"{path}: {len(step.exercises)} exercises, about {step.minutes} minutes. Fill it in, then run\n" + (
        f"python -m tutorials.check {step.short}"
    )


def template(step: Step) -> str:
    """The file to fill in: for each exercise its task, as a comment, and where the answer goes."""
    parts = [HEADER.format(short=step.short, question=step.question)]
    for number, each in enumerate(step.exercises, start=1):
        title = f"# {number}. {each.title} ({each.kind}, {each.minutes} minutes)"
        space = "\n" if each.start.startswith(("def", "class", "@", "import", "from")) else ""
        parts.append(f"{title}\n#\n{wrapped(each.task, '# ')}\n{space}{each.start}\n")
    return "\n\n".join(parts)


def answers(path: Path) -> dict[str, Any]:
    """Run a file of answers, and return what it defines. UsageError says why it cannot be run, and in which line."""
    if not path.exists():
        raise UsageError(f"There is no {path} yet: python -m tutorials.check {path.stem.lstrip('0') or 0} --start")
    module = ModuleType(f"{ANSWERS}{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(module))
    except Exception as error:  # the learner's code may raise anything
        what = f"{path}, line {line_of(error)}: {type(error).__name__}: {error}"
        raise UsageError(f"{what}\nThe file stops there, so nothing was graded. Correct this line first.") from error
    return vars(module)


def graded(step: Step, folder: Path) -> int:
    """Grade a file of answers and print the result: 0 if every answer is right, 1 if not, 2 if it cannot be run."""
    path = answers_of(step, folder)
    print(f"{heading(step)}  ({path})")
    try:
        given = answers(path)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    grades = [(each, grade(each, given.get(each.name))) for each in step.exercises]
    for number, (each, found) in enumerate(grades, start=1):
        print(f"  {number}  {each.title:58} {found.verdict}")
        if found.message:
            print(wrapped(found.message, "     "))
    verdicts = [found.verdict for _, found in grades]
    right = verdicts.count("right")
    print(f"{right} of {len(grades)} right. {advice(step, verdicts)}\n")
    return 0 if right == len(grades) else 1


def advice(step: Step, verdicts: list[str]) -> str:
    """What to do next."""
    for verdict in ("not yet", "not answered"):
        if verdict in verdicts:
            return f"A hint: python -m tutorials.check {step.short} --hint {verdicts.index(verdict) + 1}"
    return f"Compare with tutorials/solutions/{step.stem}.py."


if __name__ == "__main__":
    sys.exit(main())
