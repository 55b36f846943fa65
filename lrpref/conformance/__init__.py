"""The conformance suite: cases with known answers, run on an installed implementation of LRP.

    cases = load_cases()                     the cases, as data: case.py, cases/lrp_cases/data
    adapter = load_adapter("zennit")         the interface to a library: adapter.py, adapters/
    report = run(adapter, cases)             a verdict on each answer: suite.py, laws.py
    print(as_text(report))                   also as_markdown, as_json: report.py
    exit_code(report, known)                 0 if the only differences are the known ones: known.py

The cases, their reader and their judge form the package `lrp_cases`, a separate distribution in `cases/` of a
checkout. A wheel of lrpref includes it in this folder.

On the command line: `lrpref conform zennit`.
"""

from pathlib import Path

__path__.append(str(Path(__file__).parents[2] / "cases"))  # of a checkout; a wheel has lrp_cases here

from .adapter import Adapter, AdapterError, NotOffered, known_adapters, load_adapter
from .case import Case, CaseError, load_cases
from .known import exit_code, known_differences, profiles
from .report import as_json, as_markdown, as_text
from .suite import VERDICTS, Report, Result, judge, run

__all__ = [
    "VERDICTS",
    "Adapter",
    "AdapterError",
    "Case",
    "CaseError",
    "NotOffered",
    "Report",
    "Result",
    "as_json",
    "as_markdown",
    "as_text",
    "exit_code",
    "judge",
    "known_adapters",
    "known_differences",
    "load_adapter",
    "load_cases",
    "profiles",
    "run",
]
