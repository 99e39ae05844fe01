"""`workbench sweep`: run a day over a grid of parameters, in one process.

Leaves out: how grids are made and resumed (workbench/runs/grid.py, sweep.py).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import JsonFlag, print_json, print_table
from workbench.cli.params import DayArgument
from workbench.cli.run import DryFlag, LabelOption, PresetOption, TimeoutOption

if TYPE_CHECKING:
    from workbench.runs.execute import Request, Run
    from workbench.runs.sweep import Sweep

GridOption = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="NAME=V1,V2", help="An axis of the grid."),
]
JobsOption = Annotated[int, typer.Option(help="Runs at a time.")]
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

    from workbench.runs.sweep import Sweep, remaining

    sweep = Sweep(chosen, points, repeat, jobs, label, timeout, contended)
    requests = remaining(sweep) if resume else sweep.requests()
    if dry_run:
        _show_plan(requests, json)
    else:
        raise typer.Exit(_run(sweep, requests, json))


def _show_plan(requests: list[Request], json: bool) -> None:
    rows = [request.params.model_dump() for request in requests]
    if json:
        print_json(rows)
    else:
        print_table(rows, title=f"{len(rows)} runs")


def _run(sweep: Sweep, requests: list[Request], json: bool) -> int:
    """Make the runs, tell of each, and return the worst exit code."""
    from workbench.runs import summary
    from workbench.runs.stop import Stop
    from workbench.runs.sweep import run_all, worst_exit_code

    def ended(number: int, run: Run) -> None:
        lines = summary.conclude(run)
        told = lines[:1] if run.complete else lines
        print(f"[{number + 1}/{len(requests)}]", "\n".join(told), file=sys.stderr, flush=True)
        if json:
            print_json(summary.as_json(run))

    with Stop() as stop:
        runs = run_all(requests, stop, jobs=sweep.jobs, ended=ended)
    if not json:
        print_table(summary.as_rows(runs), title=f"{len(runs)} of {len(requests)} runs")
    return worst_exit_code(runs, stop)
