"""`workbench lab`: explore a day in JupyterLab, on this machine only."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from workbench.cli.output import JsonFlag, print_json


def command(
    day: Annotated[
        str | None, typer.Argument(metavar="[DAY]", help="Open this day's notebook, e.g. day01.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="First free one from 8888 on if omitted.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Start JupyterLab on 127.0.0.1 with a token; edited modules reload, saving strips outputs."""
    from workbench.runs import lab

    def announce(url: str) -> None:
        if json:
            print_json({"url": url})
        else:
            print(f"JupyterLab: {url}\nstop it with Ctrl-C")
        sys.stdout.flush()  # this process lives on; a pipe would keep the address to itself

    code = lab.run(lab.plan(day, port), browser, announce)
    raise typer.Exit(code if code >= 0 else 0)  # ended by a signal: that is how one ends it
