"""Run a day's notebook and leave a truthful record, whatever happens to it.

Follows: write run.json, execute, observe, finish run.json, publish; every step survives a kill.
Leaves out: choosing what to run (cli, sweep.py) and what a notebook measures.
"""

from __future__ import annotations

from typing import Any

from workbench import paths
from workbench.errors import UsageError
from workbench.runs import engine, outcome, record, registry, session_report
from workbench.runs.engine import Launch
from workbench.runs.kernel import kernel_environment
from workbench.runs.progress import Progress, Silent
from workbench.runs.publish import write_atomic
from workbench.runs.record import COMPLETE, RunFile
from workbench.runs.request import LATEST, NOTEBOOK, Request, Run
from workbench.runs.stop import Stop


def run(request: Request, stop: Stop | None = None, progress: Progress | None = None) -> Run:
    """Execute the day's notebook.

    Parameters
    ----------
    request : Request     what to run
    stop : Stop           the user's wish to stop; default: never
    progress : Progress   is told of each cell; default: nobody

    Returns
    -------
    Run   however it ended; a failing notebook raises nothing

    Raises
    ------
    UsageError   if the notebook is not there
    """
    if not request.day.path.is_file():
        raise UsageError(f"there is no notebook {paths.shown(request.day.path)}")
    contended = request.contended or bool(registry.measuring_now())
    begun = record.new(
        request.day.name,
        request.params,
        "workbench",
        label=request.label,
        contended=contended,
        sweep=request.sweep,
    )
    run_file = RunFile.create(begun)
    launch = Launch(
        notebook=request.day.path,
        output=run_file.folder / NOTEBOOK,
        parameters=request.params.model_dump(),
        environment=kernel_environment(run_file.folder, request.params.seed),
        timeout_s=request.cell_timeout_s,
        stop=stop or Stop(),
        progress=progress or Silent(),
    )
    try:
        error = _execute(launch)
    except BaseException:
        run_file.finish("interrupted", "the process that ran it was stopped", **_seen(launch))
        raise
    return _finish(run_file, launch, error)


def _execute(launch: Launch) -> Exception | None:
    """Execute, and hand back what was raised: whatever it is, the run needs its row."""
    try:
        engine.execute(launch)
    except Exception as error:
        return error
    return None


def _finish(run_file: RunFile, launch: Launch, error: Exception | None) -> Run:
    folder = run_file.folder
    contended = run_file.record.contended or registry.ran_meanwhile(run_file.record)
    session = session_report.read(folder)
    ended = outcome.judge(error, launch, session, contended=contended)
    seen = _seen(launch)
    if session is not None:
        seen["compile_s"] = session.compile_s
        seen["peak_rss_bytes"] = max(seen["peak_rss_bytes"] or 0, session.peak_rss_bytes or 0)
        seen["verdict"] = session.verdict if ended.status in COMPLETE else None
    finished = run_file.finish(
        ended.status, ended.reason, failed_cell=ended.failed_cell, contended=contended, **seen
    )
    if finished.status in COMPLETE:
        # The day's last good notebook has a place of its own, which a failing run never touches.
        write_atomic(folder.parent / LATEST, (folder / NOTEBOOK).read_bytes())
    return Run(finished, folder)


def _seen(launch: Launch) -> dict[str, Any]:
    return {
        "peak_rss_bytes": launch.watch.peak_rss_bytes or None,
        "cells_done": launch.cells_done,
        "cells_total": launch.cells_total,
    }
