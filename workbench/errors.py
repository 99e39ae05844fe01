"""The errors a user can meet, each with the exit code that the command line answers.

Every message names the value, the limit and the fix.
"""

from __future__ import annotations

from collections.abc import Sequence


class WorkbenchError(Exception):
    """Base of every error that is meant for the user's eyes."""

    exit_code = 3


class UsageError(WorkbenchError):
    """What was asked for cannot be asked: carries every problem found, not just the first."""

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DataError(WorkbenchError):
    """A data set or model could not be had, or is not what the manifest says it is."""


class ReportError(WorkbenchError):
    """A chart, table or page cannot be made as asked, such as one without alternative text."""
