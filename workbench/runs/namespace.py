"""Read a day's parameters from the notebook's own variables, and refuse what nobody asked for.

Follows: papermill injects a cell that starts "# Parameters" and assigns literals; IPython keeps
the source of every cell it ran, so each name in such a cell can be held against the model.
Leaves out: names assigned in cells without that first line. Where no such cell ran, only names
that nearly spell a parameter are noticed.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.runs.params import P, validate

_FIRST_LINE = "# Parameters"
# Close enough to be a slip of the pen, not a variable of its own: blck_kib, block_kb, hot_token.
_NEAR = 0.85


def read_params(model: type[P], namespace: Mapping[str, Any]) -> P:
    """Build the parameters from the notebook's variables.

    Raises
    ------
    UsageError   with one line for each unknown, mistyped or out-of-range parameter
    """
    fields = model.model_fields
    names = [name for name in fields if name in namespace]
    cells = _parameter_cells(namespace)
    if cells:
        unknown = [name for text in cells for name in _assigned(text) if name not in fields]
    else:
        unknown = [name for name in namespace if _misspelt(name, namespace[name], fields)]
    return validate(model, {name: namespace.get(name) for name in [*names, *unknown]})


def _parameter_cells(namespace: Mapping[str, Any]) -> list[str]:
    """Return the source of the notebook's own parameters cell and of papermill's, as last run."""
    executed = namespace.get("In", [])
    cells: dict[str, str] = {}
    for text in executed if isinstance(executed, list) else []:
        if isinstance(text, str) and text.lstrip().startswith(_FIRST_LINE):
            # A cell that was corrected and run again replaces its earlier self.
            cells[text.lstrip().partition("\n")[0]] = text
    return list(cells.values())


def _assigned(source: str) -> list[str]:
    """Return the names that a cell assigns at its top level."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a cell of magics; papermill writes none
        return []
    targets: list[ast.expr] = []
    for statement in body:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _misspelt(name: str, value: object, fields: Iterable[str]) -> bool:
    if name in fields or name.startswith("_") or not isinstance(value, str | int | float | None):
        return False
    return bool(difflib.get_close_matches(name, list(fields), n=1, cutoff=_NEAR))
