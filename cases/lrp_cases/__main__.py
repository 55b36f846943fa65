"""`lrp-cases`: the questions as JSON, and the judge of answers to them.

Exit codes: 0 if nothing differs beyond the known differences, and at least one case was answered; 1 if anything else
differs, or a known difference does not; 2 for a command or a file that cannot be used; 3 if no case was answered.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from . import report
from .errors import CasesError
from .files import write_text
from .known import OTHERWISE, UNUSABLE, draft, exit_code, read_known
from .reader import load, load_index, load_profiles, numbers
from .relations import questions
from .scoring import badge, scores
from .tables import aligned
from .verdicts import Result, judge_answers, read_answers


def parser() -> argparse.ArgumentParser:
    """Declare the commands."""
    main = argparse.ArgumentParser(
        prog="lrp-cases", description="Conformance cases for Layer-wise Relevance Propagation.",
        epilog="exit codes: 0 nothing differs beyond what is known, and a case was answered; 1 something differs, or a "
        "known difference does not; 2 a command or file cannot be used; 3 no case was answered",
    )  # fmt: skip
    commands = main.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    ask = commands.add_parser("ask", help="write every question to standard output, as JSON")
    ask.add_argument("--float", action="store_true", help="write numbers instead of fractions as text")
    judged = commands.add_parser("judge", help="judge the answers of a library")
    judged.add_argument("answers", metavar="ANSWERS.json", help='id -> arrays, or {"not_offered": reason}')
    judged.add_argument("--known", metavar="FILE", help="the known differences of the library; held to strictly")
    judged.add_argument("--draft-known", metavar="FILE", help="write such a file from what differs, to be completed")
    judged.add_argument("--badge", metavar="FILE", help="write a badge for an endpoint of shields.io")
    judged.add_argument("--json", metavar="FILE", help="also write the report as JSON")
    listed = commands.add_parser("list", help="list the cases, with their profile and the number of their question")
    for command in (ask, judged, listed):
        command.add_argument("--only", metavar="PATTERN", help='cases whose id matches, such as "gamma-*", or a number')
        command.add_argument(
            "--profile", metavar="NAME", help="cases of a profile: {}".format(", ".join(load_profiles()))
        )
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : list of str, optional
        The arguments; by default those of the command line.

    Returns
    -------
    int
        The exit code.
    """
    chosen = parser().parse_args(arguments)
    try:
        return {"ask": _ask, "judge": _judge, "list": _list}[chosen.command](chosen)
    except BrokenPipeError:  # whoever read the output has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CasesError as error:
        print("lrp-cases: {}".format(" ".join(str(error).split())), file=sys.stderr)
        return UNUSABLE


def _ask(chosen: argparse.Namespace) -> int:
    """Write the questions."""
    cases = load(only=chosen.only, profile=chosen.profile)
    asked: list[dict[str, Any]] = questions(cases)
    if chosen.float:
        asked = [_in_floats(question) for question in asked]
    head = {"format": "lrp-questions/1", "version": load_index()["version"]}
    lines = ",\n".join(json.dumps(question) for question in asked)
    print(f'{json.dumps(head)[:-1]}, "questions": [\n{lines}\n]}}')
    return 0


def _in_floats(data: Any) -> Any:
    """A question with the arrays of its network, input, seed and rules as floats."""
    if isinstance(data, dict):
        return {key: value if key == "nodes" else _in_floats(value) for key, value in data.items()}
    return numbers(data) if isinstance(data, list) and _is_text(data) else data


def _is_text(data: Any) -> bool:
    """Whether nested lists hold text, as arrays do."""
    return _is_text(data[0]) if isinstance(data, list) and data else isinstance(data, str)


def _judge(chosen: argparse.Namespace) -> int:
    """Judge a file of answers, and report."""
    whole = load()
    answers = read_answers(chosen.answers, whole)
    ids = {case["id"] for case in whole}
    known = read_known(chosen.known, ids, answers.library) if chosen.known else None
    results = judge_answers(answers, load(only=chosen.only, profile=chosen.profile))
    verdicts = {result.id: result.verdict for result in results}
    about = (results, answers, load_index()["version"], scores(verdicts, load_profiles()), known)
    print(report.as_text(*about))
    if chosen.json:
        write_text(chosen.json, report.as_json(*about))
    if chosen.badge:
        write_text(chosen.badge, json.dumps(badge(verdicts, chosen.profile or "", known)) + "\n")
    if chosen.draft_known:
        listed = draft(answers.library, answers.version, {r.id: _reason(r) for r in results if r.verdict in OTHERWISE})
        write_text(chosen.draft_known, json.dumps(listed, indent=1) + "\n")
    return exit_code(verdicts, known)


def _reason(result: Result) -> str:
    """What a draft of the known differences says about a result."""
    return result.reason or "{2} off: {1} instead of {0}".format(*report.shown(result))


def _list(chosen: argparse.Namespace) -> int:
    """List the cases."""
    home = {id_: name for name, profile in load_profiles().items() for id_ in profile["cases"]}
    rows = [
        [str(case["number"]), home.get(case["id"], ""), case["kind"], case["id"], case["title"]]
        for case in load(only=chosen.only, profile=chosen.profile)
    ]
    print("\n".join(aligned(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
