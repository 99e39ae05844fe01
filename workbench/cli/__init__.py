"""The `workbench` command: one file a verb, no logic.

Verb files import nothing heavy at the top: `workbench --help` must answer within half a second.
"""

from __future__ import annotations

import sys

import typer

from workbench.cli import (
    bench,
    compare,
    data,
    doctor,
    generate,
    key,
    lab,
    list_days,
    params,
    profile,
    report,
    run,
    store,
    sweep,
)
from workbench.errors import WorkbenchError

app = typer.Typer(
    help="Experiments on SSD-tiered LLM inference, measured honestly on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("list")(list_days.command)
app.command("params")(params.command)
app.command("run")(run.command)
app.command("sweep")(sweep.command)
app.command("compare")(compare.command)
app.command("report")(report.command)
app.command("bench")(bench.command)
app.command("generate")(generate.command)
app.command("profile")(profile.command)
app.command("lab")(lab.command)
app.command("doctor")(doctor.command)
app.add_typer(data.app, name="data")
app.add_typer(key.app, name="key")
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line; a `WorkbenchError` becomes a message on stderr and its exit code."""
    try:
        app()
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
