"""Print a verb's answer: JSON for programs, a rich table for people.

Leaves out: errors, which always go to stderr (cli/__init__.py).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

_WIDE = 1000
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def print_json(value: Any) -> None:
    """Print a value as JSON on one line, unknown types as text."""
    print(json.dumps(value, default=str, allow_nan=False))


def print_table(rows: Sequence[Mapping[str, object]], title: str | None = None) -> None:
    """Print rows as a table; columns are the first row's keys."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ("nothing",):
        table.add_column(name)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    # Into a file or a pipe rich would print 80 columns, and cut every value to fit.
    cut = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if cut else _WIDE).print(table)
