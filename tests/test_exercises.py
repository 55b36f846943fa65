"""The exercises: solutions are right, plausible wrong answers are refused with a reason, and files are left alone."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the tutorials are not installed

from tutorials import exercises  # noqa: E402
from tutorials.exercises.exercise import Grade, grade  # noqa: E402

STEPS = exercises.steps()
EXERCISES = [(step, each) for step in STEPS for each in step.exercises]
IDS = [f"{step.number}-{each.name}" for step, each in EXERCISES]


@cache
def names_of(folder: str, stem: str) -> dict[str, Any]:
    """What a file of solutions or of wrong answers defines."""
    path = ROOT / folder / f"{stem}.py"
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return vars(module)


WRONG = {step.stem: names_of("tests/wrong_answers", step.stem)["WRONG"] for step in STEPS}
MISTAKES = [
    pytest.param(each, answer, told, id=f"{step.number}-{each.name}-{k}")
    for step, each in EXERCISES
    for k, (answer, told) in enumerate(WRONG[step.stem][each.name], start=1)
]


@pytest.mark.parametrize(("step", "each"), EXERCISES, ids=IDS)
def test_a_solution_is_right(step: exercises.Step, each: Any) -> None:
    assert grade(each, names_of("tutorials/solutions", step.stem)[each.name]) == Grade("right")


@pytest.mark.parametrize(("each", "answer", "told"), MISTAKES)
def test_a_mistake_is_refused_with_a_reason(each: Any, answer: Any, told: str) -> None:
    found = grade(each, answer)
    assert found.verdict == "not yet"
    assert told in " ".join(found.message.split())
