"""`lrpref conform`: an installed library against the cases that LRP must get right."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..conformance import known_adapters, load_adapter, load_cases, report
from ..conformance import run as run_suite
from ..errors import LrprefError
from .common import command


def add(commands: Any) -> None:
    """Its arguments."""
    parser = command(commands, "conform", run, "hold an installed library against the cases that LRP must get right")
    parser.add_argument("name", nargs="?", help=f"a library: {', '.join(known_adapters())}; or what to call your own")
    parser.add_argument("--adapter", metavar="MODULE:FUNCTION", help="a function of yours that returns an adapter")
    parser.add_argument(
        "--only", metavar="PATTERN", help='cases whose id matches, as in "gamma-*", or a question\'s number'
    )
    parser.add_argument("--list", action="store_true", help="list the cases, ask nobody")
    for form in report.FORMS:
        parser.add_argument(f"--{form}", metavar="FILE", help=f"also write the report as {form}")


def run(chosen: argparse.Namespace) -> int:
    """Run the cases and report; 1 where the library differs."""
    cases = load_cases(only=chosen.only)
    if chosen.list:
        print(report.as_list(cases))
        return 0
    if not (chosen.adapter or chosen.name):
        raise LrprefError(f"whom to ask? Name a library ({', '.join(known_adapters())}), or give --adapter")
    if chosen.adapter:
        sys.path.insert(0, os.getcwd())
    found = run_suite(load_adapter(chosen.adapter or chosen.name), cases, report.progress)
    found = replace(found, library=chosen.name) if chosen.adapter and chosen.name else found
    print(report.as_text(found))
    for form, write in report.FORMS.items():
        if path := getattr(chosen, form):
            Path(path).write_text(write(found), encoding="utf-8")
            print(f"wrote {path}")
    return 0 if found.passed else 1
