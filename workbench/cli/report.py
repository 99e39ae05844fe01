"""`workbench report`: write the offline HTML pages.

Leaves out: what stands on them (workbench/report).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.output import JsonFlag, print_json
from workbench.errors import UsageError

TargetArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DAY | RUN | RUN_A RUN_B]", help="Nothing: the index and every day."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="PATH", help="A file, or without a target a folder."),
]
SweepOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The page of a sweep: its id or label, or a day's last one."),
]
AllFlag = Annotated[
    bool, typer.Option("--all", help="Also a page for each earlier run, or of the sweep's runs.")
]
OpenFlag = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def command(
    target: TargetArgument = None,
    sweep: SweepOption = None,
    output: OutputOption = None,
    all_runs: AllFlag = False,
    open_page: OpenFlag = False,
    json: JsonFlag = False,
) -> None:
    """Write the report: an index with every run, one self-contained page a day and a sweep."""
    wanted = target or []
    if len(wanted) > 2 or (wanted and (all_runs or sweep is not None)):
        raise UsageError(
            "give one DAY or RUN, or RUN_A RUN_B, or --sweep NAME, or --all without any of them"
        )
    if sweep is not None:
        pages = [_sweep(sweep, output, all_runs)]
    else:
        pages = _one_page(wanted, output) if wanted else _everything(output, all_runs)
    if json:
        print_json({"pages": [str(page) for page in _shown(pages)]})
    else:
        print("\n".join(_shown(pages)))
    if open_page:
        typer.launch(str(pages[0]))


def _everything(output: Path | None, all_runs: bool) -> list[Path]:
    from workbench.report.build import build_report

    report = build_report(output, every_run=all_runs)
    return [report.index, *report.pages]


def _sweep(name: str, output: Path | None, all_runs: bool) -> Path:
    from workbench.report.build import build_sweep_page

    if output is not None and all_runs:
        raise UsageError("--all writes pages beside the index; leave -o out, or --all")
    return build_sweep_page(name, output, every_run=all_runs)


def _one_page(wanted: list[str], output: Path | None) -> list[Path]:
    from workbench.report import build
    from workbench.runs.days import find_day

    if len(wanted) == 2:
        return [build.build_comparison(wanted[0], wanted[1], output)]
    if find_day(wanted[0]):
        return [build.build_day_page(wanted[0], output)]
    return [build.build_run_page(wanted[0], output)]


def _shown(pages: list[Path]) -> list[str]:
    """Return the paths as they can be typed: relative below the working folder."""
    here = Path.cwd()
    return [
        str(page.relative_to(here)) if page.absolute().is_relative_to(here) else str(page)
        for page in (page.absolute() for page in pages)
    ]
