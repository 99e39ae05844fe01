"""A pytest plugin that turns every skip into a failure, loaded when WORKBENCH_NO_SKIPS is set.

Follows: continuous integration has every Debian package; a skip there leaves something untested.
Leaves out: expected failures (xfail), which are results.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        where = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{where}, but WORKBENCH_NO_SKIPS is set: install what it asks for"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that would be skipped."""
    report = yield
    _refuse(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that would be skipped while it is collected."""
    report = yield
    _refuse(report)
    return report
