"""`workbench params`: what a day can be told, and the notebook's cell made from it.

Leaves out: checking values (`workbench run --dry-run` does).
"""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.output import JsonFlag, print_json, print_table

DayArgument = Annotated[str, typer.Argument(metavar="DAY", help="For example day01.")]
SyncFlag = Annotated[
    bool, typer.Option("--sync", help="Write the parameters cell of the day's notebook anew.")
]


def command(day: DayArgument, sync: SyncFlag = False, json: JsonFlag = False) -> None:
    """Show a day's parameters: name, type, range, unit, default, meaning."""
    from workbench.runs.days import get_day
    from workbench.runs.params import describe, sync_notebook

    chosen = get_day(day)
    if sync:
        changed = sync_notebook(chosen)
        print(f"{chosen.notebook}: {'parameters cell rewritten' if changed else 'up to date'}")
    elif json:
        print_json(describe(chosen.params))
    else:
        print_table(describe(chosen.params), title=f"{chosen.name}: {chosen.title}")
