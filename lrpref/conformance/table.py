"""The package `lrp_cases`, wherever it is installed: the table of cases, and what reads and judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the folder that `lrpref.conformance.__path__` adds at run time, for a checker
    import lrp_cases as lrp_cases
else:
    from . import lrp_cases as lrp_cases
