"""`lrpref verify`: check the laws of relevance on your own implementation, in any language."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..conformance import load_cases, report
from ..conformance import run as run_suite
from ..errors import ParameterError
from ..verification import Asked, Function, Program, function_named, verify, write_cases
from ..verification.counterexamples import check_folder
from .common import command


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "verify", run, "check the laws of relevance on your own implementation, in any language")
    parser.add_argument(
        "function", nargs="?", metavar="MODULE:FUNCTION", help="a Python function f(network, x, seed) of plain data"
    )
    parser.add_argument(
        "--program", metavar="COMMAND", help='a program that answers JSON lines instead, such as "julia my.jl"'
    )
    parser.add_argument(
        "--timeout", type=float, default=60, metavar="SECONDS", help="the most time for an answer of a program (60)"
    )
    parser.add_argument(
        "--like",
        metavar="RULE",
        help='the rule that it should compute, such as "z-plus(stabilizer=1e-6)"; then it is also compared with lrpref',
    )
    parser.add_argument("--only", nargs="+", metavar="LAW", help="check only these laws")
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="LAW=REASON",
        help="a law that it is known to violate, and why; reported if the law holds (repeatable)",
    )
    parser.add_argument("--tolerance", type=float, help="the absolute difference allowed (half of the digits)")
    parser.add_argument(
        "--examples", type=int, default=25, metavar="N", help="how many networks of each kind are tried (25)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the seed of the search (0)")
    parser.add_argument("--cases", metavar="FOLDER", help="write the counter-examples as cases; needs --like")
    parser.add_argument("--replay", metavar="FOLDER", help="ask the cases in this folder instead")


def run(chosen: argparse.Namespace) -> int:
    """Verify the implementation and print a report; return 1 if a law fails, or one that should fail holds."""
    with _answerer(chosen) as answerer:
        return _replay(chosen, answerer) if chosen.replay else _verify(chosen, answerer)


def _verify(chosen: argparse.Namespace, answerer: Function | Program) -> int:
    """Search for counter-examples."""
    if chosen.cases:
        if not chosen.like:
            raise ParameterError("a case states the rule of each layer: name the rule with --like to write --cases")
        check_folder(Path(chosen.cases))
    found = verify(
        answerer,
        like=chosen.like,
        only=chosen.only,
        expected_failed=_expected(chosen.expect),
        tolerance=chosen.tolerance,
        max_examples=chosen.examples,
        seed=chosen.seed,
    )
    print(found)
    if chosen.cases:
        written = write_cases(found, chosen.cases)
        print(f"\nwrote to {chosen.cases}: {', '.join(written) or 'no case, because no single answer is wrong'}")
    return 0 if found.passed else 1


def _replay(chosen: argparse.Namespace, answerer: Function | Program) -> int:
    """Ask the cases in a folder."""
    found = run_suite(Asked(answerer), load_cases(chosen.replay))
    print(report.as_text(found))
    return 0 if found.passed and found.counts["agrees"] else 1


@contextmanager
def _answerer(chosen: argparse.Namespace) -> Iterator[Function | Program]:
    """The function or the program to ask; a program is ended afterwards."""
    if (chosen.function is None) == (chosen.program is None):
        raise ParameterError("give either a Python function, MODULE:FUNCTION, or a program, --program COMMAND")
    if chosen.program is not None:
        with Program(chosen.program, chosen.timeout) as program:
            yield program
    else:
        sys.path.insert(0, os.getcwd())
        yield function_named(chosen.function)


def _expected(given: Sequence[str]) -> dict[str, str]:
    """Return the expected failures, law -> reason."""
    pairs = [each.partition("=") for each in given]
    for law, equals, reason in pairs:
        if not (equals and reason.strip()):
            raise ParameterError(f'expected LAW=REASON, such as "check_fold=BatchNorm is kept", got {law!r}')
    return {law: reason.strip() for law, _, reason in pairs}
