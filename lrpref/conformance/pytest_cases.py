"""One pytest test for each conformance case. The option that asks for them is in `pytest_lrp_cases.py`.

A case that the library does not offer is skipped, with the reason. A case that is listed as a known difference is
expected to fail, strictly: it fails the run if it agrees, and also if it is no longer offered. A convention fails only
if there is such a list, because without one nothing says which conventions the library has chosen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..errors import LrprefError
from .adapter import Adapter, load_adapter
from .case import Case, load_cases
from .known import known_differences
from .report import in_words
from .suite import judge


class Cases:
    """The plugin: adds the tests to those that pytest collects.

    Parameters
    ----------
    config : pytest.Config
        The configuration, with the options of `pytest_lrp_cases`.

    Raises
    ------
    pytest.UsageError
        If the adapter, the profile or the file of known differences cannot be used.
    """

    def __init__(self, config: pytest.Config) -> None:
        name, known = config.getoption("lrp_cases"), config.getoption("lrp_cases_known")
        sys.path.insert(0, os.getcwd())  # for an adapter of one's own, as in `lrpref conform`
        try:
            self.adapter = load_adapter(name)
            self.cases = load_cases(profile=config.getoption("lrp_cases_profile"))
            self.known = known_differences(known, str(self.adapter.library)) if known else None
        except LrprefError as error:
            raise pytest.UsageError(f"--lrp-cases: {error}") from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the tests before -k and other options select from them."""
        items += Table.from_parent(session, name="lrp-cases", nodeid="lrp-cases", plugin=self).collect()

    def pytest_report_header(self) -> str:
        """Name the library and the table."""
        told = f"{len(self.known.known)} known differences" if self.known else "no known differences"
        return f"lrp-cases {self.cases[0].table}: {self.adapter.library} {self.adapter.version}, {told}"


class Table(pytest.Collector):
    """The cases, as tests."""

    def __init__(self, *, plugin: Cases, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plugin = plugin

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one test for each case."""
        for case in self.plugin.cases:
            item = CaseItem.from_parent(self, name=case.id, case=case, plugin=self.plugin)
            if self.plugin.known and case.id in self.plugin.known.known:
                entry = self.plugin.known.known[case.id]
                reason = f"{entry['reason']} ({entry['link']})"
                item.add_marker(pytest.mark.xfail(reason=reason, raises=Otherwise, strict=True))
            yield item


class Otherwise(Exception):  # noqa: N818
    """The library does not return the expected relevance; the message shows both."""


class CaseItem(pytest.Item):
    """A case, as a test."""

    def __init__(self, *, case: Case, plugin: Cases, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case, self.plugin = case, plugin

    @property
    def adapter(self) -> Adapter:
        """The library."""
        return self.plugin.adapter

    def runtest(self) -> None:
        """Judge the library on the case."""
        result = judge(self.adapter, self.case)
        listed = self.plugin.known is not None and self.case.id in self.plugin.known.known
        if result.verdict == "not-offered" and listed:
            pytest.fail(f"listed as a known difference, but not offered: {result.reason}", pytrace=False)
        if result.verdict == "not-offered":
            pytest.skip(f"not offered: {result.reason}")
        if result.verdict == "convention" and self.plugin.known is None:
            pytest.skip(in_words(result))
        if result.verdict != "agrees":
            raise Otherwise(in_words(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> Any:
        """The message alone, for the verdicts of the suite."""
        return str(excinfo.value) if isinstance(excinfo.value, Otherwise) else super().repr_failure(excinfo, *args)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test comes from, for reports."""
        return self.path, None, f"lrp-cases::{self.case.id}"
