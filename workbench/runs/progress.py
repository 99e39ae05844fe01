"""Show how a notebook goes: a bar on a terminal, else one line a cell.

Follows: bars flood logs, so a log gets lines; both go to stderr, which leaves stdout to answers.
Leaves out: progress inside a cell.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Protocol, TextIO

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from workbench.runs.words import duration

_PRINTING = threading.Lock()


@dataclass(frozen=True, slots=True)
class CodeCell:
    """One code cell of a running notebook: its number from 1, of how many, its tag and source."""

    number: int
    total: int
    tag: str
    source: str

    @property
    def first_line(self) -> str:
        """Return the first line that is not empty."""
        return next((line.strip() for line in self.source.splitlines() if line.strip()), "")


class Progress(Protocol):
    """Is told how the notebook goes."""

    def begin(self, cell: CodeCell) -> None:
        """Hear that a cell starts."""

    def end(self, cell: CodeCell, seconds: float) -> None:
        """Hear that a cell ended, well or not."""

    def close(self) -> None:
        """Hear that no more comes."""


def for_stream(
    title: str, expected_s: float | None = None, stream: TextIO | None = None
) -> Progress:
    """Return a bar for a terminal, lines for anything else; ``expected_s`` gives the time left."""
    stream = stream or sys.stderr
    kind = Bar if stream.isatty() else Lines
    return kind(title, expected_s, stream)


class Silent:
    """Shows nothing."""

    def begin(self, cell: CodeCell) -> None:
        """Ignore it."""

    def end(self, cell: CodeCell, seconds: float) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Ignore it."""


class Lines:
    """Writes a line when a cell has ended: number, tag, seconds, time left."""

    def __init__(self, title: str, expected_s: float | None, stream: TextIO) -> None:
        self._title = title
        self._clock = _Clock(expected_s)
        self._stream = stream

    def begin(self, cell: CodeCell) -> None:
        """Wait for its end."""

    def end(self, cell: CodeCell, seconds: float) -> None:
        """Write the cell's line."""
        place = f"[{cell.number:>{len(str(cell.total))}}/{cell.total}]"
        line = f"{self._title} {place} {_name(cell):<28} {seconds:7.1f} s{self._clock.left()}"
        with _PRINTING:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class Bar:
    """A bar that says which cell runs."""

    def __init__(self, title: str, expected_s: float | None, stream: TextIO) -> None:
        self._bar = rich.progress.Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[cell]}{task.fields[left]}"),
            console=Console(file=stream),
            transient=True,
        )
        self._clock = _Clock(expected_s)
        self._task = self._bar.add_task(title, total=None, cell="starting", left="")
        self._bar.start()

    def begin(self, cell: CodeCell) -> None:
        """Name the running cell."""
        left = self._clock.left()
        self._bar.update(self._task, total=cell.total, cell=_name(cell), left=left)

    def end(self, cell: CodeCell, seconds: float) -> None:
        """Advance by one cell."""
        self._bar.update(self._task, completed=cell.number, left=self._clock.left())

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class Runs:
    """Tells how a sweep goes: a line when a run has ended, and on a terminal a bar below them."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        """Begin with nothing ended, of ``total`` runs."""
        self._total = total
        self._ended = 0
        self._stream = stream or sys.stderr
        self._bar = rich.progress.Progress(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
            disable=not self._stream.isatty(),
        )
        self._task = self._bar.add_task("runs", total=total)

    def __enter__(self) -> Runs:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def ended(self, text: str) -> None:
        """Hear that one more run has ended, and what is to be said of it."""
        self._ended += 1
        self._bar.update(self._task, completed=self._ended)
        line = f"[{self._ended}/{self._total}] {text}"
        with _PRINTING:
            if self._bar.disable:
                print(line, file=self._stream, flush=True)
            else:
                self._bar.console.print(line, markup=False, highlight=False)


class _Clock:
    """Counts down from what the last run took."""

    def __init__(self, expected_s: float | None) -> None:
        self._expected_s = expected_s
        self._began = time.monotonic()

    def left(self) -> str:
        if self._expected_s is None:
            return ""
        seconds = self._expected_s - (time.monotonic() - self._began)
        return f"   about {duration(seconds)} left" if seconds >= 1 else "   nearly done"


def _name(cell: CodeCell) -> str:
    return cell.tag or cell.first_line[:28]
