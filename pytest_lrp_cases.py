"""The pytest option --lrp-cases. lrpref is imported only if it is given, so that it costs nothing otherwise.

    pytest --lrp-cases=ADAPTER [--lrp-cases-known=FILE] [--lrp-cases-profile=NAME]

`lrpref.conformance.pytest_cases` does the work.
"""

from __future__ import annotations

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Declare the options."""
    group = parser.getgroup("lrp-cases", "conformance cases for Layer-wise Relevance Propagation")
    group.addoption(
        "--lrp-cases",
        metavar="ADAPTER",
        help="add one test for each case: a library that lrpref knows, or MODULE:FUNCTION",
    )
    group.addoption("--lrp-cases-known", metavar="FILE", help="known differences, which are then expected, strictly")
    group.addoption("--lrp-cases-profile", metavar="NAME", help='only the cases of a profile, such as "core"')


def pytest_configure(config: Any) -> None:
    """Add the tests if there is an adapter."""
    if config.getoption("lrp_cases"):
        from lrpref.conformance import pytest_cases

        config.pluginmanager.register(pytest_cases.Cases(config), "lrp-cases")
