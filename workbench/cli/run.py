"""`workbench run`: execute a day's notebook with checked parameters and a truthful end.

Leaves out: how runs are made (workbench/runs/execute.py).
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import JsonFlag, print_json

if TYPE_CHECKING:
    from workbench.runs.request import Request, Run

DayArgument = Annotated[str, typer.Argument(metavar="DAY", help="For example day01, or all.")]
ParamOption = Annotated[
    list[str] | None, typer.Option("-p", "--param", metavar="NAME=VALUE", help="Repeat for more.")
]
PresetOption = Annotated[
    str | None, typer.Option(metavar="tiny|standard|full", help="How much to measure.")
]
TimeoutOption = Annotated[
    int | None, typer.Option(min=1, metavar="SECONDS", help="The longest that a cell may take.")
]
LabelOption = Annotated[str, typer.Option(help="Free text to find the run by.")]
DryFlag = Annotated[bool, typer.Option("--dry-run", help="Check and show the plan, run nothing.")]


def command(
    day: DayArgument,
    param: ParamOption = None,
    preset: PresetOption = None,
    timeout: TimeoutOption = None,
    label: LabelOption = "",
    dry_run: DryFlag = False,
    json: JsonFlag = False,
) -> None:
    """Run a day's notebook.

    Exit codes: 0 ok or undecided, 1 refuted, 2 usage, 3 failed, 4 timed out, 5 kernel died,
    130 stopped.
    """
    from workbench.runs.days import DAYS, get_day
    from workbench.runs.params import parse_overrides

    # Checked before papermill is loaded: a slip of the pen is answered at once.
    days = list(DAYS.values()) if day == "all" else [get_day(day)]
    checked = [(one, parse_overrides(one.params, param or [], preset)) for one in days]

    from workbench.runs.request import Request

    requests = [Request(one, params, label, timeout) for one, params in checked]
    if dry_run:
        _show_plan(requests, json)
    else:
        raise typer.Exit(_run(requests, json))


def _show_plan(requests: list[Request], json: bool) -> None:
    from workbench.runs.summary import announce

    if json:
        print_json([{"day": one.day.name, "params": one.params.model_dump()} for one in requests])
    else:
        print("\n".join(line for one in requests for line in announce(one)))


def _run(requests: list[Request], json: bool) -> int:
    """Run one after the other and return the worst exit code."""
    from workbench.runs import registry, summary, sweep
    from workbench.runs.executor import Here
    from workbench.runs.progress import Progress, for_stream
    from workbench.runs.stop import Stop

    if len(requests) > 1:
        _compile_ahead(json)

    def progress(number: int, request: Request) -> Progress:
        if not json:
            print("\n".join(summary.announce(request)), flush=True)
        last = registry.last_complete(request.day.name, request.params.preset)
        return for_stream(request.day.name, last.wall_s if last else None)

    def ended(number: int, run: Run) -> None:
        if json:
            print_json(summary.as_json(run))
        else:
            print("\n".join(summary.conclude(run)), flush=True)

    with Stop() as stop:
        runs = sweep.run_all(requests, stop, Here(progress), ended=ended)
    return sweep.worst_exit_code(runs, stop)


def _compile_ahead(json: bool) -> None:
    """Have kernels compiled that no process of this checkout has compiled before."""
    from workbench.runs import compile_ahead

    if not compile_ahead.is_needed():
        return
    typer.echo("compiling kernels on two cores, once per checkout ...", err=json)
    start = perf_counter()
    try:
        compile_ahead.compile_all()
    except compile_ahead.CompileAheadError as error:
        typer.echo(f"{error}; each day compiles what it calls", err=True)
    else:
        typer.echo(f"compiled kernels in {perf_counter() - start:.0f} s", err=json)
