"""Find runs and their rows; the run.json files are the truth about both.

Follows: one folder a run, so that folders copied from another machine simply are there.
Leaves out: the tabular cache (index.py), and deleting anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from workbench import paths
from workbench.benchmark import metrics as metric_rows
from workbench.errors import UsageError
from workbench.runs import metrics_file, record
from workbench.runs.params import closest
from workbench.runs.record import COMPLETE, RecordError, RunRecord


@dataclass(frozen=True, slots=True)
class Listing:
    """Every run there is, newest first, and what is wrong with the folders that are none."""

    records: tuple[RunRecord, ...]
    problems: tuple[str, ...]


def run_files() -> list[Path]:
    """Return every run.json, in the order of their paths."""
    return sorted(paths.runs().glob(f"*/*/{record.FILE_NAME}"))


def run_folder(run: RunRecord) -> Path:
    """Return the folder of a run."""
    return paths.runs() / run.day / run.run_id


def listing() -> Listing:
    """Read every run.json; one that cannot be read hides no other."""
    records: list[RunRecord] = []
    problems: list[str] = []
    for path in run_files():
        try:
            run = record.read_settled(path)
        except RecordError as error:
            problems.append(str(error))
            continue
        if run_folder(run) == path.parent:
            records.append(run)
        else:
            place = f"{run.day}/{run.run_id}"
            problems.append(f"{paths.shown(path.parent)} holds run {place}; move it there")
    newest_first = sorted(records, key=lambda run: (run.started, run.run_id), reverse=True)
    return Listing(tuple(newest_first), tuple(problems))


def runs(day: str | None = None) -> list[RunRecord]:
    """Return the runs of one day or of all, newest first."""
    return [run for run in listing().records if day in (None, run.day)]


def find(name: str) -> RunRecord:
    """Return the run with this id, or the only one whose id begins or ends so.

    Raises
    ------
    UsageError   if there is none, or more than one
    """
    known = runs()
    found = [run for run in known if run.run_id.startswith(name) or run.run_id.endswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(run.run_id for run in found[:5])
        raise UsageError(f"{name} could be any of {len(found)} runs ({ids}); give more of it")
    guess = closest(name, [run.run_id for run in known])
    hint = f"did you mean {guess}?" if guess else "`workbench list` shows the latest ones"
    raise UsageError(f"unknown run {name}; {hint}")


def last_complete(day: str, preset: str | None = None) -> RunRecord | None:
    """Return the newest run of a day that came to its end."""
    complete = (run for run in runs(day) if run.status in COMPLETE)
    return next((run for run in complete if preset in (None, run.preset)), None)


def measuring_now() -> list[RunRecord]:
    """Return the runs that measure at this moment.

    A notebook open in JupyterLab mostly waits for its user, so it does not count.
    """
    return [run for run in runs() if run.status == "running" and run.source != "jupyterlab"]


def ran_meanwhile(mine: RunRecord) -> bool:
    """Tell whether another run measured on this machine since this one started."""
    others = (run for run in runs() if run.run_id != mine.run_id and run.source != "jupyterlab")
    same = (run for run in others if run.machine_id == mine.machine_id)
    return any(run.status == "running" or _end(run) > _moment(mine.started) for run in same)


def _end(run: RunRecord) -> datetime:
    return _moment(run.started) + timedelta(seconds=run.wall_s or 0)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def metrics(run_ids: Sequence[str]) -> pl.DataFrame:
    """Return the metric rows of these runs in one long frame, ``run_id`` first.

    Raises
    ------
    UsageError   for a run that is not there; a run without rows gives none
    """
    runs_rows = [
        rows(run).select(pl.lit(run.run_id).alias("run_id"), *metric_rows.SCHEMA)
        for run in map(find, run_ids)
    ]
    none = metric_rows.empty().select(pl.lit("", pl.String).alias("run_id"), *metric_rows.SCHEMA)
    return pl.concat([none, *runs_rows])


def rows(run: RunRecord) -> pl.DataFrame:
    """Return the metric rows that a run has left; none if it came to none.

    Cost    one file read; no other run is looked at.
    """
    path = run_folder(run) / metrics_file.FILE_NAME
    return metrics_file.read(path) if path.exists() else metric_rows.empty()
