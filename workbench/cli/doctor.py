"""`workbench doctor`: what this machine and installation lack, each with its fix."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.output import JsonFlag, print_json


def command(
    store: Annotated[
        Path | None,
        typer.Option(help="Folder whose disk to look at; the default store if omitted."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Check installation, disk, sealing, CPU, browser, fonts, model; exit code 3 if one fails."""
    from workbench import paths
    from workbench.runs.doctor import examine

    found = examine(store or paths.store())
    if json:
        print_json([{"check": name, **asdict(finding)} for name, finding in found.items()])
    else:
        for name, finding in found.items():
            print(f"{finding.status:<5} {name:<13} {finding.found}")
            if finding.fix:
                print(f"{'':<5} {'':<13} fix: {finding.fix}")
    if any(finding.status == "fail" for finding in found.values()):
        raise typer.Exit(3)
