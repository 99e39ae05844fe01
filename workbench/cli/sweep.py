"""`workbench sweep`: run a day over a grid of parameters, here or on a cluster's workers.

Leaves out: how grids are made and resumed (workbench/runs/grid.py, sweep.py), and who makes the
runs (workbench/runs/executor.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import JsonFlag, print_json, print_table
from workbench.cli.params import DayArgument
from workbench.cli.run import DryFlag, LabelOption, PresetOption, TimeoutOption

if TYPE_CHECKING:
    from workbench.runs.executor import Executor
    from workbench.runs.record import RunRecord
    from workbench.runs.request import Request, Run

GridOption = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="NAME=V1,V2", help="An axis of the grid."),
]
JobsOption = Annotated[int, typer.Option(help="Runs at a time on this machine.")]
SchedulerOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers make the runs.")
]
RepeatOption = Annotated[int, typer.Option(help="Runs of every point.")]
ResumeFlag = Annotated[bool, typer.Option("--resume", help="Leave out what has been run.")]
ContendedFlag = Annotated[
    bool, typer.Option("--contended", help="Allow parallel runs of any size, without verdicts.")
]


def command(
    day: DayArgument,
    param: GridOption = None,
    preset: PresetOption = None,
    jobs: JobsOption = 1,
    scheduler: SchedulerOption = "",
    repeat: RepeatOption = 1,
    resume: ResumeFlag = False,
    contended: ContendedFlag = False,
    timeout: TimeoutOption = None,
    label: LabelOption = "",
    dry_run: DryFlag = False,
    json: JsonFlag = False,
) -> None:
    """Run a day once for every point of a grid; the exit code is that of the worst run."""
    from workbench.runs.days import get_day
    from workbench.runs.grid import grid

    chosen = get_day(day)
    points = grid(chosen.params, param or [], preset)

    from workbench.runs import executor
    from workbench.runs.sweep import Sweep, remaining

    sweep = Sweep(chosen, points, repeat, jobs, label, timeout, contended, scheduler)
    if dry_run and not resume:
        _show_plan(sweep.requests(), json)
        return
    with executor.opened(
        sweep.stores, jobs=jobs, scheduler=scheduler, contended=contended
    ) as makes_runs:
        requests = remaining(sweep, makes_runs) if resume else sweep.requests()
        if dry_run:
            _show_plan(requests, json)
        else:
            raise typer.Exit(_run(requests, makes_runs, json))


def _show_plan(requests: list[Request], json: bool) -> None:
    rows = [request.params.model_dump() for request in requests]
    if json:
        print_json(rows)
    else:
        print_table(rows, title=f"{len(rows)} runs")


def _run(requests: list[Request], makes_runs: Executor, json: bool) -> int:
    """Make the runs, tell of each, and return the worst exit code."""
    from workbench.runs import summary
    from workbench.runs.progress import Runs
    from workbench.runs.stop import Stop
    from workbench.runs.sweep import run_all, worst_exit_code

    kept: dict[int, Run] = {}
    with Stop() as stop:
        try:
            with Runs(len(requests)) as shown:

                def ended(number: int, run: Run) -> None:
                    kept[number] = run
                    lines = summary.conclude(run)
                    shown.ended("\n".join(lines[:1] if run.complete else lines))
                    if json:
                        print_json(summary.as_json(run))

                runs = run_all(requests, stop, makes_runs, ended=ended)
        finally:  # also when the scheduler is gone: what ended is shown
            if not json:
                _show_runs([kept[number].record for number in sorted(kept)], len(requests))
    return worst_exit_code(runs, stop)


def _show_runs(records: list[RunRecord], n_wanted: int) -> None:
    """Print a table a machine."""
    from workbench.runs import summary
    from workbench.runs.days import find_day

    day = find_day(records[0].day) if records else None
    figures = day.figures if day else ()
    title = f"{len(records)} of {n_wanted} runs"
    axes = summary.varying(records)
    groups = summary.by_machine(records) or {"": []}
    for machine_id, group in groups.items():
        cpu = group[0].machine.get("cpu", "") if group else ""
        place = f", {len(group)} on machine {machine_id or 'unknown'} {cpu}".rstrip()
        print_table(
            summary.as_rows(group, axes, figures), title + (place if len(groups) > 1 else "")
        )
    if len(groups) > 1:
        print("different machines: their figures are not compared")
    if records:
        print(f"report: workbench report --sweep {records[0].sweep}")
