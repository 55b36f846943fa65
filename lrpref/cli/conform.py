"""`lrpref conform`: check an installed library against the conformance cases."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._support.files import check_writable, write_text
from ..conformance import known_adapters, load_adapter, load_cases, report
from ..conformance import run as run_suite
from ..errors import LrprefError
from .common import command


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
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    for form in report.FORMS:
        parser.add_argument(f"--{form}", metavar="FILE", help=f"also write the report as {form}")


def run(chosen: argparse.Namespace) -> int:
    """Run the cases and print a report; return 1 if the library differs."""
    if chosen.list:
        print(report.as_list(load_cases(only=chosen.only)))
        return 0
    if not (chosen.adapter or chosen.name):
        raise LrprefError(f"no library given; name one ({', '.join(known_adapters())}) or use --adapter")
    for form in report.FORMS:
        if path := getattr(chosen, form):
            check_writable(Path(path))
    cases = load_cases(only=chosen.only)
    if chosen.adapter:
        sys.path.insert(0, os.getcwd())
    found = run_suite(load_adapter(chosen.adapter or chosen.name), cases, report.progress)
    found = replace(found, library=chosen.name) if chosen.adapter and chosen.name else found
    print(report.as_text(found))
    for form, write in report.FORMS.items():
        if path := getattr(chosen, form):
            write_text(Path(path), write(found))
            print(f"wrote {path}")
    return 0 if found.passed else 1
