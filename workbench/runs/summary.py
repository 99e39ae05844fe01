"""Say in a few lines what a run will be, and what became of it.

Follows: what a person needs next: the verdict, the notebook, the way back into it.
Leaves out: colours and tables (cli).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.runs.record import COMPLETE, KERNEL_LOG, RunRecord
from workbench.runs.words import duration

if TYPE_CHECKING:
    from workbench.runs.request import Request, Run


def announce(request: Request) -> list[str]:
    """Return the parameters a line each, those that are not the default marked."""
    params = request.params
    lines = [f"{request.day.name}: {request.day.title}"]
    for name, field in type(params).model_fields.items():
        value = getattr(params, name)
        mark = "*" if value != field.default else " "
        was = f"   (default {field.default})" if value != field.default else ""
        lines.append(f"  {mark} {name} = {value}{was}")
    return [*lines, f"  each cell may take {duration(request.cell_timeout_s)}"]


def conclude(run: Run) -> list[str]:
    """Return how the run ended and where to look."""
    record = run.record
    wall = duration(record.wall_s or 0)
    lines = [f"{record.status}: run {record.run_id} of {record.day}, {wall}"]
    verdict = record.verdict
    if verdict is not None:
        ratio = verdict.ratio
        lines += [
            f"  verdict   {verdict.verdict}: {verdict.metric}, {verdict.contender} against "
            f"{verdict.baseline}: {ratio.median:.2f}x [{ratio.low:.2f}, {ratio.high:.2f}], "
            f"claim {verdict.claim}"
        ]
    if record.reason:
        lines.append(f"  reason    {record.reason}")
    if record.status in COMPLETE:
        lines.append(f"  notebook  {near(run.notebook)}")
        return [*lines, f"  report    workbench report {record.day}"]
    return lines + _way_back(run)


def _way_back(run: Run) -> list[str]:
    lines: list[str] = []
    cell = run.record.failed_cell
    if cell is not None:
        tag = f" [{cell.tag}]" if cell.tag else ""
        lines.append(f"  cell      {cell.number}{tag}: {cell.first_line}")
    if run.notebook.exists():
        lines += [
            f"  partial   {near(run.notebook)}",
            f"  reopen    {near(Path(sys.executable))} -m jupyterlab {near(run.notebook)}",
        ]
    if (log := run.folder / KERNEL_LOG).exists():
        lines.append(f"  kernel    {near(log)}")
    return lines


def as_json(run: Run) -> dict[str, Any]:
    """Return the record and the notebook's place, for programs."""
    notebook = near(run.notebook) if run.notebook.exists() else None
    return {**run.record.model_dump(mode="json"), "notebook": notebook}


def by_machine(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Return the runs of each machine identity; figures of two machines stand in no one table."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record.machine_id, []).append(record)
    return groups


def varying(records: Sequence[RunRecord]) -> list[str]:
    """Return the names of the parameters that are not the same in all runs."""
    first = records[0].params if records else {}
    return [
        name for name in first if any(record.params.get(name) != first[name] for record in records)
    ]


def as_rows(
    records: Sequence[RunRecord], axes: Sequence[str], figures: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a sweep's table: the parameters that vary, figures, and what became of each run.

    A column ``begun`` says how often a run was begun, if a worker was lost with any.

    Parameters
    ----------
    figures : sequence of str   metrics: the median of each run's first series, with its unit
                                unless that is a ratio
    """
    retried = any(record.attempts > 1 for record in records)
    return [
        {**_axes(record, axes), **medians(record, figures), **_ending(record, retried)}
        for record in records
    ]


def _axes(record: RunRecord, axes: Sequence[str]) -> dict[str, Any]:
    return {"run": short_id(record), **{name: record.params.get(name) for name in axes}}


def medians(record: RunRecord, names: Sequence[str]) -> dict[str, str | None]:
    """Return the median of a run's first series of each metric, with its unit; None without one."""
    if not names:
        return {}
    # Imported here: a sweep's process needs polars only for what it shows at its end.
    from workbench.benchmark import metrics
    from workbench.runs import registry

    series = metrics.summary(registry.rows(record))
    found = {row["metric"]: row for row in reversed(series.to_dicts())}
    return {
        name: f"{found[name]['median']:.3g} {found[name]['unit']}".removesuffix(" ratio")
        if name in found
        else None
        for name in names
    }


def _ending(record: RunRecord, retried: bool) -> dict[str, Any]:
    verdict = record.verdict
    return {
        "status": record.status,
        "ratio": f"{verdict.ratio.median:.2f}x" if verdict else None,
        "seconds": record.wall_s,
        **({"begun": record.attempts} if retried else {}),
        "reason": record.reason or None,
    }


def short_id(record: RunRecord) -> str:
    """Return the end of a run's id, which is enough to find it by."""
    return record.run_id.rpartition("-")[2]


def near(path: Path) -> str:
    """Return a path as it can be typed here: relative below the working folder, else whole."""
    absolute = path.absolute()
    here = Path.cwd()
    return os.path.relpath(absolute, here) if absolute.is_relative_to(here) else str(absolute)
