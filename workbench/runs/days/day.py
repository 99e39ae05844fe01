"""What one day is: its question, its claim, its notebook and its parameters.

Follows: one notebook a day, `dayNN_subject.ipynb`.
Leaves out: the measuring, which is in workbench/benchmark and called from the notebook.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench import paths
from workbench.runs.params import DayParams


@dataclass(frozen=True, slots=True)
class Day:
    """One experiment.

    Attributes
    ----------
    name : str              as typed on the command line, ``day01``
    title, question : str   for lists and headings
    claim : str             what the day sets out to show
    notebook : str          file name under notebooks/, or a path of its own
    params : type           the model of its parameters
    cell_timeout_s : int    the longest that any one cell may take, seconds
    figures : tuple of str  metrics that a sweep's table shows of each run, its first series of each
    """

    name: str
    title: str
    question: str
    claim: str
    notebook: str
    params: type[DayParams]
    cell_timeout_s: int
    figures: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Return where the notebook lies."""
        return paths.notebooks() / self.notebook
