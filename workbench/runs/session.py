"""One open run, seen from inside the notebook's kernel: its rows, figures, verdict and end.

Follows: under `workbench run` the parent owns run.json and this writes session.json; under plain
papermill, JupyterLab or a script this owns run.json, too, and has to notice failing cells itself.
Leaves out: what the notebook shows (workbench/day.py).
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any

import polars as pl

from workbench.benchmark import metrics
from workbench.errors import UsageError, WorkbenchError
from workbench.runs import environment, frontend, metrics_file, record, registry, session_report
from workbench.runs.params import DayParams, params_hash
from workbench.runs.publish import write_atomic
from workbench.runs.record import FailedCell, RunFile, RunRecord, VerdictRecord
from workbench.runs.scrub import scrubber
from workbench.runs.session_report import SessionReport
from workbench.runs.verdict import status_of

FIGURES = "figures.json"


class Session:
    """The files of one run while its notebook is open.

    Everything recorded is on disk when the call returns, so a kernel that is killed later loses
    nothing that was measured before.
    """

    def __init__(self, record: RunRecord, folder: Path, owned: RunFile | None) -> None:
        self.run_id = record.run_id
        self.record = record
        self.folder = folder
        self.closed = False
        self.metrics = metrics.empty()
        self.figures: list[dict[str, Any]] = []
        self.verdict: VerdictRecord | None = None
        self._owned = owned
        self._report()

    def add_metrics(self, frame: pl.DataFrame) -> None:
        """Append rows and write them all.

        Raises
        ------
        WorkbenchError   if the run is closed
        """
        if self.closed:
            raise WorkbenchError(
                f"run {self.run_id} is closed; run the setup cell again to open a new one"
            )
        self.metrics = pl.concat([self.metrics, _scrubbed(metrics.conform(frame))])
        metrics_file.write(self.folder / metrics_file.FILE_NAME, self.metrics, self.run_id)

    def add_figure(self, figure: dict[str, Any]) -> None:
        """Keep a figure (title, alt, spec, svg); one shown again replaces its earlier self."""
        if self.closed:
            return
        titles = [known["title"] for known in self.figures]
        place = titles.index(figure["title"]) if figure["title"] in titles else len(titles)
        self.figures[place : place + 1] = [{"id": f"chart-{place + 1}", **figure}]
        text = json.dumps(scrubber().value(self.figures), ensure_ascii=False)
        write_atomic(self.folder / FIGURES, text.encode())

    def set_verdict(self, verdict: VerdictRecord) -> None:
        """Keep the verdict; a second one replaces it."""
        if not self.closed:
            self.verdict = verdict
            self._report()

    def close(self) -> None:
        """Complete the run; closing twice is harmless."""
        if self.closed:
            return
        self.closed = True
        self._report()
        if self._owned is not None:
            if self._owned.record.status != "running":  # a cell had failed, its user went on
                self._owned.reopen()
            status, reason = status_of(self.verdict, contended=self.record.contended)
            self._owned.finish(status, reason, verdict=self.verdict, **self._usage())

    def cell_ended(self, number: int, source: str, error: BaseException | None) -> None:
        """Take note of a cell's end, where no parent process does."""
        if self._owned is None or self.closed:
            return
        if error is not None:
            self._failed(number, source, error)
        elif self._owned.record.status == "running":
            self._owned.update(cells_done=self._owned.record.cells_done + 1)

    def abandon(self, reason: str) -> None:
        """End the run if nobody has; called when its kernel ends or opens another one."""
        if self._owned is not None and self._owned.record.status == "running":
            self._owned.finish("interrupted", reason, **self._usage())
        self.closed = True

    def _failed(self, number: int, source: str, error: BaseException) -> None:
        assert self._owned is not None
        if self._owned.record.status != "running":
            self._owned.reopen()
        lines = [line.strip() for line in source.splitlines() if line.strip()]
        cell = FailedCell(number=number, first_line=lines[0] if lines else "")
        told = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {told[-1]}" if told else type(error).__name__
        self._owned.finish("failed", reason, failed_cell=cell, **self._usage())

    def _report(self) -> None:
        if self._owned is None:
            state = SessionReport(closed=self.closed, verdict=self.verdict, **self._usage())
            session_report.write(self.folder, state)

    def _usage(self) -> dict[str, Any]:
        meter = sys.modules.get("kernels.compile_time")
        return {
            "peak_rss_bytes": environment.peak_rss_bytes(os.getpid()),
            "compile_s": round(meter.seconds(), 3) if meter is not None else None,
        }


def _scrubbed(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with no path or name of this machine in their texts."""
    clean = scrubber()
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    texts = {text for name in names for text in frame[name].unique() if text is not None}
    changed = {text: new for text in texts if (new := clean.text(text)) != text}
    return frame.with_columns(pl.col(names).replace(changed)) if changed else frame


_current: Session | None = None


def open_session(day: str, params: DayParams) -> Session:
    """Open the run that this notebook belongs to, or begin one of its own.

    Raises
    ------
    UsageError   if the notebook's parameters are not those that the run was started with
    """
    global _current
    if _current is not None:
        _current.abandon("its notebook opened another run")
    folder = frontend.run_folder()
    if folder is None:
        contended = bool(registry.measuring_now())
        own = RunFile.create(record.new(day, params, frontend.source(), contended=contended))
        _current = Session(own.record, own.folder, own)
        _watch_cells()
    else:
        told = record.read(folder / record.FILE_NAME)
        _check_same(told, day, params)
        _current = Session(told, folder, None)
    return _current


def _check_same(told: RunRecord, day: str, params: DayParams) -> None:
    if told.day != day:
        raise UsageError(f"the notebook opens {day!r}, but the run is of {told.day!r}")
    if told.params_hash != params_hash(params):
        raise UsageError(
            "the notebook changed parameters after they were injected; "
            "keep assignments to parameters in the parameters cell"
        )


def _on_cell(result: Any) -> None:
    """Hear from IPython that a cell ended."""
    if _current is not None:
        error = result.error_before_exec or result.error_in_exec
        source = getattr(result.info, "raw_cell", None) or ""
        _current.cell_ended(result.execution_count or 0, source, error)


def _on_exit() -> None:
    if _current is not None:
        _current.abandon("the kernel ended before d.close()")


def _watch_cells() -> None:
    """Register with IPython and with the end of the process; again is harmless."""
    atexit.unregister(_on_exit)
    atexit.register(_on_exit)
    shell = frontend.shell()
    if shell is not None:
        if _on_cell in shell.events.callbacks["post_run_cell"]:
            shell.events.unregister("post_run_cell", _on_cell)
        shell.events.register("post_run_cell", _on_cell)
