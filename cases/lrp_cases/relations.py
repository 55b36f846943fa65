"""The questions of a table, and the laws between the answers to several of them.

A case of kind "relevance" is one question. A relation lists its questions as changes of the case, and comparisons
between their answers. A relation that only a running program can answer says so under `adapters_only`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Callable, Iterable, Iterator, Mapping

from .comparison import Pair, near
from .errors import NotOffered
from .reader import Case, flat, numbers, shape_of

ASKED = ("network", "input", "seed", "target", "rules", "precision")
"""What a question consists of."""

Answer = Callable[[str], Any]
"""The answer to a question of a case, by the name of the question ("" if it is the only one): nested lists."""


def names(case: Case) -> list[str]:
    """Return the names of a case's questions.

    Parameters
    ----------
    case : mapping
        A case.

    Returns
    -------
    list of str
        [""] for a case that is one question; empty if no file can answer it.
    """
    if case["kind"] == "relevance":
        return [""]
    return list(case.get("questions", {}))


def identity(case: Case, name: str) -> str:
    """Return the id of a question, under which it is answered: "batch-independence/sample-1", or the id of the case."""
    return "{}/{}".format(case["id"], name) if name else str(case["id"])


def question(case: Case, name: str = "") -> dict[str, Any]:
    """Return a question of a case in full.

    Parameters
    ----------
    case : mapping
        A case.
    name : str
        The name of the question.

    Returns
    -------
    dict
        "id", "network", "input", "seed", "target" (absent for a seed array), "rules", and "precision", the number type.

    Examples
    --------
    >>> from lrp_cases import load
    >>> asked = question(load(only="batch-independence")[0], "sample-2")
    >>> asked["id"], len(asked["input"])
    ('batch-independence/sample-2', 1)
    """
    changes = case["questions"][name] if name else {}
    whole = {"seed": "logit", "precision": "float64", **case, **changes, "id": identity(case, name)}
    return {key: whole[key] for key in ("id", *ASKED) if key in whole}


def questions(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Return every question of a table that a file can answer.

    Parameters
    ----------
    cases : iterable of mapping
        Cases.

    Returns
    -------
    list of dict
        Questions, as `question` returns them.
    """
    return [question(case, name) for case in cases for name in names(case)]


def pairs(case: Case, answer: Answer) -> Iterator[Pair]:
    """Yield the comparisons of a relation.

    A question marked as optional may be not offered; the comparisons that need it are then left out.

    Parameters
    ----------
    case : mapping
        A relation with questions.
    answer : callable
        The answer to each question, by name; raises NotOffered.

    Yields
    ------
    Pair
        The two sides of a comparison.

    Raises
    ------
    NotOffered
        If a question is not offered that is not optional, or no comparison is left.
    ValueError
        If an answer is not shaped like its input.
    """
    answers, refused = {}, []
    for name, changes in case["questions"].items():
        try:
            answers[name] = answer(name)
        except NotOffered as reason:
            if not changes.get("optional"):
                raise
            refused.append(f"question {name}: {reason}")
            continue
        shape, wanted = shape_of(answers[name]), shape_of(changes.get("input", case["input"]))
        if shape != wanted:
            raise ValueError(f"the answer to {name} has shape {shape}, expected {wanted}")
    kept = [
        c for c in case["comparisons"] if all(s.get("answer", next(iter(answers), None)) in answers for s in _sides(c))
    ]
    if not kept:
        raise NotOffered(refused[0])
    for comparison in kept:
        yield _pair(comparison, answers)


def _sides(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [comparison["got"], comparison["expected"]]


def _pair(comparison: Mapping[str, Any], answers: Mapping[str, Any]) -> Pair:
    """The two sides of a comparison, with the bound on their difference."""
    what = comparison["what"]
    got, expected = (_side(side, answers) for side in _sides(comparison))
    if "tolerance" in comparison:
        return near(what, got, expected, comparison["tolerance"])
    largest = max(abs(e) for e in flat(expected))
    if "of_largest" in comparison:
        bound = comparison["of_largest"]
        return Pair(what, got, expected, [bound * (largest + abs(e)) for e in flat(expected)])
    unlike = max(abs(g - e) for g, e in zip(flat(got), flat(expected))) > comparison["unlike"] * largest
    return Pair(what, float(unlike), 1.0)


def _side(side: Mapping[str, Any], answers: Mapping[str, Any]) -> Any:
    """A side of a comparison as nested lists: numbers, or an answer, of one sample, times factors, summed."""
    if "numbers" in side:
        return numbers(side["numbers"])
    found = answers[side["answer"]]
    if "sample" in side:
        found = found[side["sample"] : side["sample"] + 1]
    if "times" in side:
        found = [_times(sample, factor) for sample, factor in zip(found, numbers(side["times"], Fraction))]
    return [sum(flat(sample)) for sample in found] if side.get("sum") else found


def _times(array: Any, factor: Any) -> Any:
    """An array times a number, or times an array of the same shape, entry by entry."""
    if not isinstance(array, list):
        return array * (factor if isinstance(array, Fraction) else float(factor))
    factors = factor if isinstance(factor, list) else [factor] * len(array)
    return [_times(part, each) for part, each in zip(array, factors)]
