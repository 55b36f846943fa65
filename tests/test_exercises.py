"""The exercises: solutions are right, plausible wrong answers are refused with a reason, and files are left alone."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the tutorials are not installed

from tutorials import check, exercises  # noqa: E402
from tutorials.exercises import reading  # noqa: E402
from tutorials.exercises.exercise import KINDS, Exercise, Grade, Refused, exercise, grade  # noqa: E402
from tutorials.exercises.reading import shown  # noqa: E402

STEPS = exercises.steps()
BY_STEP = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)


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


# ---- every step --------------------------------------------------------------------------------------------------


@BY_STEP
def test_solutions_are_right(step: exercises.Step) -> None:
    solutions = names_of("tutorials/solutions", step.stem)
    assert {each.name: grade(each, solutions[each.name]) for each in step.exercises} == {
        each.name: Grade("right") for each in step.exercises
    }


@BY_STEP
def test_mistakes_are_refused_with_a_reason(step: exercises.Step, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason that belongs to the mistake, and without the solution; and each reason occurs."""
    given, seen = [], set()
    raised = Refused.__init__

    def refused(self: Refused, message: str) -> None:
        frame = sys._getframe(1)
        while frame.f_code.co_filename == reading.__file__ and frame.f_back:
            frame = frame.f_back
        seen.add(frame.f_lineno)
        raised(self, message)

    monkeypatch.setattr(Refused, "__init__", refused)
    wrong, solutions = names_of("tests/wrong_answers", step.stem)["WRONG"], names_of("tutorials/solutions", step.stem)
    assert wrong.keys() == {each.name for each in step.exercises}
    for each in step.exercises:
        assert len(wrong[each.name]) >= 3, f"too few wrong answers to {each.name}"
        for answer, told in wrong[each.name]:
            found = grade(each, answer)
            message = " ".join(found.message.split())
            fits = found.verdict == "not yet" and told in message
            if not fits or gives_away(solutions[each.name], message):
                given.append((each.name, told, found))
    assert given == []
    assert [
        f"line {first}" for first, last in refusals(step) if not any(first <= line <= last for line in seen)
    ] == [], "no wrong answer is refused there"


def gives_away(solution: Any, message: str) -> bool:
    """Whether a message contains a solution that is a list of numbers."""
    numbers = isinstance(solution, tuple | list) and all(np.ndim(value) == 0 for value in solution)
    return numbers and shown(solution) in message


def refusals(step: exercises.Step) -> list[tuple[int, int]]:
    """The first and the last line of each call that may refuse an answer."""
    path = exercises.HERE / f"{step.stem}.py"
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("demand", "Refused")]
    return [(call.lineno, call.end_lineno or call.lineno) for call in named]


@BY_STEP
def test_a_step_has_three_to_five_exercises(step: exercises.Step) -> None:
    assert 3 <= len(step.exercises) <= 5
    for each in step.exercises:
        assert each.title
        assert len(each.task) > 100
        assert each.hints
        assert all(len(hint) > 15 for hint in each.hints)
        assert 3 <= each.minutes <= 20
        assert re.search(rf"^(def |class )?{each.name}\b", each.start, re.M)


@pytest.mark.parametrize("script", sorted((ROOT / "tutorials").glob("[0-9]*_*.py")), ids=lambda path: path.stem)
def test_a_step_and_its_exercises_have_one_name_and_one_question(script: Path) -> None:
    number, _, question = script.read_text(encoding="utf-8").splitlines()[1].removeprefix("# # ").partition(". ")
    step = exercises.load(script.stem)
    assert (step.short, step.question) == (number, question)


# ---- the learner's file ------------------------------------------------------------------------------------------


@BY_STEP
def test_a_new_file_of_answers_runs_and_answers_nothing(step: exercises.Step, tmp_path: Path) -> None:
    assert check.main([step.short, "--start", "--answers", str(tmp_path)]) == 0
    given = check.answers(tmp_path / f"{step.number}.py")
    for each in step.exercises:
        verdict = grade(each, given[each.name]).verdict
        assert verdict == ("not yet" if each.kind == "repair" else "not answered")


def test_a_file_of_answers_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "07.py"
    mine.write_text("folded = 1\n")
    assert check.main(["7", "--start", "--answers", str(tmp_path)]) == 2
    assert "is yours" in capsys.readouterr().err
    assert mine.read_text() == "folded = 1\n"


def test_answers_are_no_part_of_the_clone() -> None:
    assert "/answers/" in (ROOT / ".gitignore").read_text().splitlines()


def graded(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code of the command, and what it prints."""
    code = check.main([*arguments, "--answers", str(folder)])
    return code, *capsys.readouterr()


def test_a_learner_works_through_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert graded(tmp_path, capsys, "1")[0] == 2
    assert graded(tmp_path, capsys)[0] == 2
    mine = tmp_path / "01.py"
    mine.write_text('signs = "+-+"\nthousandfold = 1 / 3 - 3\n')
    code, out, _ = graded(tmp_path, capsys, "1")
    assert code == 1
    assert "signs of the contributions" in out
    assert "is rounded" in out
    assert out.count("not yet") == 2
    assert out.count("not answered") == 2
    assert "0 of 4 right. A hint: python -m tutorials.check 1 --hint 1" in out
    mine.write_text((ROOT / "tutorials/solutions/01_one_neuron.py").read_text())
    code, out, _ = graded(tmp_path, capsys)
    assert code == 0
    assert "4 of 4 right. Compare with tutorials/solutions/01_one_neuron.py." in out


def test_all_files_of_answers_are_graded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those after a file that cannot be run; the worst result is the exit code."""
    for name, text in {"01": "1 / 0", "12": "referee = [1, 2, 3]"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "13.py").write_text((ROOT / "tutorials/solutions/13_true_digits.py").read_text())
    code, out, err = graded(tmp_path, capsys)
    assert (code, "line 1: ZeroDivisionError" in err) == (2, True)
    assert ("0 of 3 right" in out, "3 of 3 right" in out) == (True, True)
    (tmp_path / "01.py").unlink()
    assert graded(tmp_path, capsys)[0] == 1


def test_an_error_in_the_learners_code_is_reported_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "01.py"
    mine.write_text(
        "def last(a):\n    return a[7]\n\ndef epsilon_shares(a, w, b, R, epsilon):\n    return R * last(a)\n"
    )
    assert "Line 2 of your code raises IndexError: list index out of range" in graded(tmp_path, capsys, "1")[1]
    mine.write_text("signs = '+'\nbooks = nothing\n")
    assert "line 2: NameError" in graded(tmp_path, capsys, "1")[2]
    mine.write_text("signs = '+'\nbooks = (\n")
    message = graded(tmp_path, capsys, "1")[2]
    assert "line 2: SyntaxError" in message
    assert "nothing was graded" in message


def test_a_function_that_returns_nothing_is_an_answer_and_a_number_is_none() -> None:
    each = exercises.load("01_one_neuron").exercises[3]
    assert grade(each, [1, 2, 3]) == Grade("not yet", "epsilon_shares is not a function.")
    assert "returns None" in grade(each, lambda *arguments: None).message


def test_an_answer_that_is_filled_in_by_half_is_told_from_one_that_is_not_begun() -> None:
    each = exercises.load("01_one_neuron").exercises[1]
    half, empty = ({"inputs": [share, None], "bias": None, "stabilizer": None} for share in ("12/5", None))
    assert grade(each, half) == Grade("not answered", "A part of it is still None.")
    assert grade(each, empty) == Grade("not answered")
    assert grade(exercises.load("02_a_layer").exercises[1], set()) == Grade("not answered")


@BY_STEP
def test_a_file_to_fill_in_is_graded_as_not_begun(step: exercises.Step, tmp_path: Path) -> None:
    started = tmp_path / "started.py"
    started.write_text(check.template(step))
    given = check.answers(started)
    for each in step.exercises:
        if each.kind == "repair":  # its code is there, and wrong
            assert grade(each, given[each.name]).verdict == "not yet"
        else:
            assert grade(each, given[each.name]) == Grade("not answered")


# ---- lists, hints and errors -------------------------------------------------------------------------------------


def test_lists_and_hints(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(step.question in out for step in STEPS)
    assert check.main(["7", "--list"]) == 0
    assert "A bias for every place" in capsys.readouterr().out
    for step in STEPS:
        for number, each in enumerate(step.exercises, start=1):
            for which, hint in enumerate(each.hints, start=1):
                assert check.main([step.short, "--hint", str(number), str(which)]) == 0
                out = " ".join(capsys.readouterr().out.split())
                assert " ".join(hint.split()) in out
                assert (f"--hint {number} {which + 1}" in out) == (which < len(each.hints))


def test_the_page_of_exercises_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--page"]) == 0
    kept = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
    assert kept == capsys.readouterr().out, "run python -m tutorials.check --page > docs/exercises.md"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["77"], "No step 77 has exercises. The steps are 0, 1, 2, 2b, 3"),
        (["--start"], "needs one step"),
        (["7", "8", "--hint", "1"], "needs one step"),
        (["7", "--hint", "5"], "has the exercises 1 to 4"),
        (["7", "--hint", "0"], "has the exercises 1 to 4"),
        (["7", "--hint", "1", "9"], "has the hints 1 to 2"),
        (["7", "--hint", "1", "1", "1"], "has the exercises"),
    ],
)
def test_what_cannot_be_served(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_check_that_needs_a_missing_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    each = exercises.load("11_a_law").exercises[3]
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    wrong, _ = names_of("tests/wrong_answers", "11_a_law")["WRONG"][each.name][0]
    assert grade(each, wrong).verdict == "not yet"
    found = grade(each, names_of("tutorials/solutions", "11_a_law")[each.name])
    assert found.verdict == "not checked"
    assert 'needs hypothesis: python3 -m pip --python .venv/bin/python install -e ".[testing]"' in found.message


# ---- what an answer may look like --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3, "3", 3.0, np.float64(3), np.int64(3), "6/2", Fraction(3)])
def test_an_exact_number(value: Any) -> None:
    assert reading.fraction(value) == 3


@pytest.mark.parametrize(
    ("value", "meant"), [(0.1, "1/10"), (-3.003, "-3003/1000"), (np.float32(0.1), "1/10"), (1e-7, "1e-7")]
)
def test_a_short_decimal_is_exact(value: Any, meant: str) -> None:
    """As it is for the library, where Epsilon(0.1) means 1/10 in a calculation with fractions."""
    assert reading.fraction(value) == Fraction(meant)


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3, 1e10 / 3, float("nan"), float("inf"), "a third", [1], "1/0", 2j])
def test_not_an_exact_number(value: Any) -> None:
    with pytest.raises(Refused):
        reading.fraction(value)


@pytest.mark.parametrize(
    ("stem", "name", "form"),
    [
        ("02_a_layer", "gamma_flips", np.array),
        ("02_a_layer", "gamma_flips", list),
        ("02b_deep_taylor", "outside", np.array),
        ("02_a_layer", "notice", frozenset),
        ("02_a_layer", "notice", sorted),
        ("06_small_denominators", "explodes", lambda letters: {letter.lower() for letter in letters}),
        ("06_small_denominators", "good_epsilon", str),
        ("07_batch_normalisation", "same", tuple),
        ("01_one_neuron", "thousandfold", float),
        ("08_skip_connections", "misled", lambda pair: [float(each) for each in pair]),
        ("10_is_it_any_good", "unfair_fill", lambda fill: [float(Fraction(each)) for each in fill]),
    ],
)
def test_a_right_answer_in_another_form_is_right(stem: str, name: str, form: Any) -> None:
    """A pair may be an array, a set of any kind, a letter a small one, and a fraction a decimal."""
    (one,) = [one for step in STEPS if step.stem == stem for one in step.exercises if one.name == name]
    assert grade(one, form(names_of("tutorials/solutions", stem)[name])).verdict == "right"


def test_an_exercise_is_made_of_a_function() -> None:
    @exercise("find", 5, "Think.", start="answer = ()")
    def answer(given: Any) -> None:
        """A title.

        A task.
        """
        if given != 1:
            raise Refused("No.")

    assert isinstance(answer, Exercise)
    assert (answer.name, answer.title, answer.task, answer.hints) == ("answer", "A title", "A task.", ("Think.",))
    assert (grade(answer, 1), grade(answer, 2)) == (Grade("right"), Grade("not yet", "No."))
    with pytest.raises(ValueError, match="kind must be one of"):
        exercise("guess", 5)


# ---- the page for teachers ---------------------------------------------------------------------------------------

TEACHING = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def test_the_page_for_teachers_plans_every_exercise_once() -> None:
    prose = " ".join(TEACHING.split())
    planned = re.findall(r"\b(\d+[a-z]?)\.(\d) (.+?) \((\d+)\)", prose)
    existing = [
        (step.short, str(number), each.title, str(each.minutes))
        for step in STEPS
        for number, each in enumerate(step.exercises, start=1)
    ]
    assert sorted(planned) == sorted(existing)
    assert "seventy in all" in prose
    assert len(existing) == 70
    rows = re.findall(r"^\| (\w+) \| .+ \|$", TEACHING, re.M)
    assert rows == ["kind", *KINDS]


def test_a_lesson_leaves_time_for_the_lesson() -> None:
    lessons = [part for part in TEACHING.split("\n### ") if part[0].isdigit()]
    assert [lesson[:2] for lesson in lessons] == ["1.", "2.", "3.", "4.", "5.", "6."]
    for lesson in lessons:
        in_class, at_home = (re.search(rf"- {where}: (.+?)\n- ", lesson, re.S) for where in ("In class", "At home"))
        for part, most in ((in_class, 45), (at_home, 60)):
            assert part is not None
            assert 20 <= sum(map(int, re.findall(r"\((\d+)\)", part[1]))) <= most


def test_the_exercise_on_the_page_for_teachers_works() -> None:
    [code] = re.findall(r"```python\n(.*?)```", TEACHING, re.S)
    scope: dict[str, Any] = {}
    exec(compile(code, "teaching.md", "exec", dont_inherit=True), scope)
    verdicts = [grade(scope["first_share"], answer).verdict for answer in (4, 5, 6, None)]
    assert verdicts == ["right", "not yet", "not yet", "not answered"]


# ---- nonsense ----------------------------------------------------------------------------------------------------

NONSENSE = [12345, "nonsense", float("nan"), [], {}, object(), [[1], [2, 3]], (None, None), lambda *arguments: [], int]


@BY_STEP
def test_nonsense_is_refused_and_breaks_nothing(step: exercises.Step) -> None:
    found = {(each.name, k): grade(each, answer) for each in step.exercises for k, answer in enumerate(NONSENSE)}
    assert {case for case, graded in found.items() if graded.verdict == "right"} == set()
    assert {case for case, graded in found.items() if graded.verdict == "not yet" and not graded.message} == set()
