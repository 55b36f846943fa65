"""Counter-examples as cases of the conformance suite, and the answers of an implementation to such cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._support.files import check_writable, write_text
from ..backend import to_numpy
from ..conformance import Case
from ..conformance.adapters import _asking as asking
from ..conformance.case import FORMAT
from ..conformance.table import lrp_cases
from ..errors import OutputError, ParameterError
from ..oracle import messages
from ..rational.conversion import exact, to_float
from ..rules import Pass
from ..testing.laws import LAWS as TESTED
from ..testing.laws import brief, statement
from .answering import Answerer
from .question import Question, as_text
from .verifying import FAILS, Outcome, Verification

TOLERANCE = 1e-8


def write_cases(found: Verification, folder: str | Path) -> list[str]:
    """Write the counter-examples of a verification as a table of cases, which `lrpref.conformance.load_cases` reads.

    A law is about one question or several. The case is the question whose answer is furthest from the relevance that
    the rules of `like` give; this relevance is computed in fractions, from the explicit matrices of the layers. A law
    whose answers are all right one by one (a function that changes its arguments, for instance) has no case.

    Parameters
    ----------
    found : Verification
        A verification with `like`, because a case states the rule of each layer.
    folder : str or pathlib.Path
        A new or empty folder.

    Returns
    -------
    list of str
        The ids of the cases, one per law at most: "conservation" for check_conservation. Nothing is written if there
        are none.

    Raises
    ------
    ParameterError
        If the verification has no `like`.
    OutputError
        If the folder is not empty, or cannot be written.
    """
    folder = Path(folder)
    check_folder(folder)
    if found.laws.like is None:
        raise ParameterError("a case states the rule of each layer: verify with like=..., or --like, to write cases")
    cases = list(_cases(found))
    if not cases:
        return []
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    for case in cases:
        write_text(folder / "cases" / f"{case['id']}.json", _json(case))
    about = f"counter-examples found by lrpref verify, for {found.name}"
    ids = [case["id"] for case in cases]
    follows = {"specification": lrp_cases.load_index()["specification"]}
    index = {"format": FORMAT, "version": "1.0.0", **follows, "about": about, "cases": ids}
    write_text(folder / "index.json", _json(index))
    return ids


def check_folder(folder: Path) -> None:
    """Raise OutputError unless the folder is new or empty, and can be written."""
    if not folder.exists():
        check_writable(folder)
    elif not folder.is_dir() or any(folder.iterdir()):
        raise OutputError(f"cannot write cases to {folder}: expected a new or empty folder")
    else:
        check_writable(folder / "index.json")


def _json(data: dict[str, Any]) -> str:
    """Return an object as JSON, with one line for each of its entries."""
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _cases(found: Verification) -> Iterator[dict[str, Any]]:
    """Yield a case for each law that fails."""
    tolerance = TOLERANCE if found.laws.tolerance is None else found.laws.tolerance
    for outcome in found.outcomes:
        if outcome.verdict == FAILS and outcome.case is not None:
            asked = found.laws.answers(outcome.law, outcome.case)
            judged = [(question, answer, by_matrices(question)) for question, answer in asked]
            question, answer, expected = max(judged, key=lambda each: _distance(*each[1:]))
            if _distance(answer, expected) > tolerance:
                yield _case(outcome, question, answer, expected, tolerance, found.name)


def _case(
    outcome: Outcome, question: Question, answer: np.ndarray | None, expected: np.ndarray, tolerance: float, name: str
) -> dict[str, Any]:
    """Return a case in the format of the conformance suite, once the suite has read it."""
    data = {
        "format": FORMAT,
        "id": outcome.law.removeprefix("check_").replace("_", "-"),
        "revision": 1,
        "number": 1 + list(TESTED).index(outcome.law),
        "title": f"a counter-example to: {statement(TESTED[outcome.law])}",
        "citation": f"{name} answered {outcome.problem if answer is None else brief(answer)}",
        "kind": "relevance",
        "derivation": "matrix",
        "exact": True,
        "tolerance": tolerance,
        **question.as_data(),
        "expected": as_text(expected),
    }
    Case.from_data(data)
    return data


def _distance(answer: np.ndarray | None, expected: np.ndarray) -> float:
    """Return how far an answer is off, in units of 1 + |expected|; infinity if it is not finite relevance at all."""
    if answer is None or answer.shape != expected.shape or not np.isfinite(answer).all():
        return float("inf")
    return float(np.max(abs(answer - to_float(expected)) / (1 + abs(to_float(expected))), initial=0))


def by_matrices(question: Question) -> np.ndarray:
    """Return the relevance of the input in fractions: sums of the messages of `lrpref.oracle`, layer by layer.

    Parameters
    ----------
    question : Question
        The network, the input, the relevance at the output and the rules.

    Returns
    -------
    array of Fraction, shape (N, ...)
        The relevance, shaped like the input.

    Examples
    --------
    >>> from lrpref import Dense, Network, rules
    >>> net = Network.sequential(Dense([[2.0, 1.0]]), names=["fc"])
    >>> as_text(by_matrices(Question(net, np.ones((1, 2)), np.ones((1, 1)), {"fc": rules.Zero()})))
    [['2/3', '1/3']]
    """
    net, x = exact(question.network), exact(question.input)
    at: dict[str, Any] = {name: to_numpy(a) for name, a in net.activations(x).items()}
    R: dict[str, Any] = {name: 0 * a for name, a in at.items()} | {net.output: exact(question.seed)}
    for name, layer, inputs in reversed(net.nodes):
        sent = messages(layer, tuple(at[i] for i in inputs), R[name], question.rules.get(name, Pass()))
        for i, message in zip(inputs, sent, strict=True):
            R[i] = R[i] + message.sum(axis=tuple(range(at[i].ndim, message.ndim)))
    return np.asarray(R["input"])


class Asked:
    """An adapter of the conformance suite for an implementation.

    The implementation receives the rules of a case, but may ignore them and compute its own.

    Parameters
    ----------
    answerer : Answerer
        The implementation.

    Examples
    --------
    >>> from lrpref.conformance import load_cases, run
    >>> from lrpref.verification import Function
    >>> run(Asked(Function(lambda network, x, seed: 0 * x, "nothing")), load_cases(only="gamma-linear")).passed
    False
    """

    version = ""

    def __init__(self, answerer: Answerer) -> None:
        self.library, self._answerer = answerer.name, answerer

    def explain(self, case: Case) -> np.ndarray:
        """Return the implementation's relevance."""
        return self._answerer(Question(case.network, case.input, asking.start(case), case.rules))

    def promise(self, case: Case) -> str | None:
        """Return the words that promise the value of a case: that it follows the rules of the case."""
        return "to compute the rules of the case"
