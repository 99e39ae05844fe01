"""What a run was asked for, and what there is of it once it has ended.

Follows: whoever hands runs to others needs no papermill, whose import costs more than a small run.
Leaves out: running it (execute.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams
from workbench.runs.record import COMPLETE, RunRecord

NOTEBOOK = "out.ipynb"
LATEST = "latest.ipynb"


@dataclass(frozen=True, slots=True)
class Request:
    """One run to be made.

    Attributes
    ----------
    day, params        what to run
    label : str        free text to find it by
    timeout_s : int    the longest that a cell may take; None: the day's own limit
    contended : bool   other runs will measure at the same time
    sweep : str        the grid it is a point of; "" alone
    """

    day: Day
    params: DayParams
    label: str = ""
    timeout_s: int | None = None
    contended: bool = False
    sweep: str = ""

    @property
    def cell_timeout_s(self) -> int:
        """Return the limit that applies."""
        return self.timeout_s or self.day.cell_timeout_s


@dataclass(frozen=True, slots=True)
class Run:
    """A run that ended: its record and its folder."""

    record: RunRecord
    folder: Path

    @property
    def notebook(self) -> Path:
        """Return the executed notebook, partial if the run was."""
        return self.folder / NOTEBOOK

    @property
    def complete(self) -> bool:
        """Tell whether it came to its end, whatever the verdict."""
        return self.record.status in COMPLETE
