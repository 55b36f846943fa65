"""Known differences, profiles and exit codes: what `lrp_cases` makes of them, for a `Report`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .case import reported
from .suite import Report
from .table import lrp_cases


def known_differences(path: str | Path, library: str = "") -> lrp_cases.Known:
    """Read a file of known differences.

    Parameters
    ----------
    path : path
        The file: {"library", "versions", "known": [{"id", "reason", "link"}, ...]}.
    library : str
        The library that is judged; "" accepts a file about any.

    Returns
    -------
    lrp_cases.Known
        The content of the file.

    Raises
    ------
    CaseError
        If the file is damaged or about another library.
    UnknownNameError
        If it lists a case that does not exist.
    """
    with reported():
        return lrp_cases.read_known(path, lrp_cases.load_index()["cases"], library)


def exit_code(report: Report, known: lrp_cases.Known | None = None) -> int:
    """Return the exit code for a report.

    Parameters
    ----------
    report : Report
        The report.
    known : lrp_cases.Known, optional
        The known differences of the library.

    Returns
    -------
    int
        0 if nothing differs; with known differences, if exactly these differ. 1 otherwise. 3 if no case was answered.

    Examples
    --------
    >>> from lrpref.conformance import load_adapter, load_cases, run
    >>> exit_code(run(load_adapter("lrpref"), load_cases(only="gamma-*")))
    0
    """
    return lrp_cases.exit_code(report.verdicts, known)


def profiles() -> dict[str, Mapping[str, Any]]:
    """Return the profiles of the table: by name, a title and the ids of its cases."""
    return lrp_cases.load_profiles()
