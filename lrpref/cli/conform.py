"""`lrpref conform`: check an installed library against the conformance cases."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._support.files import check_writable, write_text
from ..conformance import exit_code, known_adapters, known_differences, load_adapter, load_cases, profiles, report
from ..conformance import run as run_suite
from ..errors import LrprefError
from .common import check_files, command


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = command(commands, "conform", run, "check an installed library against the published conformance cases")
    parser.add_argument(
        "name", nargs="?", help=f"a library: {', '.join(known_adapters())}; or, with --adapter, a name for yours"
    )
    parser.add_argument("--adapter", metavar="MODULE:FUNCTION", help="your own function that returns an adapter")
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        help='run only the cases whose id matches, such as "gamma-*", or whose question has this number',
    )
    parser.add_argument("--profile", metavar="NAME", help=f"the cases of a profile: {', '.join(profiles())}")
    parser.add_argument(
        "--known",
        metavar="FILE",
        help="a file of known differences: exactly the cases that it lists must differ",
    )
    parser.add_argument(
        "--draft-known", metavar="FILE", help="write such a file from the differences, to be completed by hand"
    )
    parser.add_argument("--badge", metavar="FILE", help="write a badge for an endpoint of shields.io")
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    for form in report.FORMS:
        parser.add_argument(f"--{form}", metavar="FILE", help=f"also write the report as {form}")


def run(chosen: argparse.Namespace) -> int:
    """Run the cases and print a report; return 1 if the library differs, and 3 if it answers nothing."""
    if chosen.list:
        print(report.as_list(load_cases(only=chosen.only, profile=chosen.profile)))
        return 0
    if not (chosen.adapter or chosen.name):
        raise LrprefError(f"no library given; name one ({', '.join(known_adapters())}) or use --adapter")
    written = [path for option in (*report.FORMS, "draft_known", "badge") if (path := getattr(chosen, option))]
    for path in written:
        check_writable(Path(path))
    check_files(written, [chosen.known or ""])
    cases = load_cases(only=chosen.only, profile=chosen.profile)
    if chosen.adapter:
        sys.path.insert(0, os.getcwd())
    adapter = load_adapter(chosen.adapter or chosen.name)
    library = chosen.name if chosen.adapter and chosen.name else str(adapter.library)
    known = known_differences(chosen.known, library) if chosen.known else None
    found = replace(run_suite(adapter, cases, report.progress), library=library)
    print(report.as_text(found, known))
    files = {form: write(found) for form, write in report.FORMS.items()}
    files["badge"] = report.as_badge(found, chosen.profile or "", known)
    files["draft_known"] = report.as_draft(found)
    for option, content in files.items():
        if path := getattr(chosen, option):
            write_text(Path(path), content)
            print(f"wrote {path}")
    return exit_code(found, known)
