"""What can be profiled: a day, run headless as `workbench run` does, or any other verb.

Follows: the verb runs as a process of its own, so that all of it is sampled, imports too.
Leaves out: sampling it (workbench/profiling) and running it (session.py).
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import paths
from workbench.runs.days.day import Day
from workbench.runs.params import DayParams


@dataclass(frozen=True, slots=True)
class Target:
    """What is profiled: words after ``workbench``, and the day if it is one.

    Attributes
    ----------
    name : str           the day's name or the verb's
    words : tuple        the command without the program
    day : Day            None for a verb
    params : DayParams   of the day; None for a verb
    """

    name: str
    words: tuple[str, ...]
    day: Day | None = None
    params: DayParams | None = None

    @property
    def command(self) -> list[str]:
        """Return the command to run: this interpreter, this checkout."""
        return [sys.executable, "-m", "workbench", *self.words]

    @property
    def shown(self) -> str:
        """Return the command as a person types it."""
        return shlex.join(["workbench", *self.words])

    def cells(self) -> Mapping[int, str]:
        """Return what to call each code cell of the day's notebook, by the hash of its source."""
        if self.day is None:
            return {}
        import nbformat

        notebook = nbformat.read(self.day.path, as_version=4)
        return cell_names([cell for cell in notebook.cells if cell.cell_type == "code"])


def of_day(day: Day, params: DayParams, timeout_s: int | None = None) -> Target:
    """Return a day as a target, only the parameters that are not the default on its command."""
    changed = {
        name: getattr(params, name)
        for name, field in type(params).model_fields.items()
        if getattr(params, name) != field.default
    }
    words = ["run", day.name]
    preset = changed.pop("preset", None)
    words += ["--preset", preset] if preset else []
    words += [word for name, value in changed.items() for word in ("-p", f"{name}={value}")]
    words += ["--timeout", str(timeout_s)] if timeout_s else []
    return Target(day.name, tuple(words), day, params)


def cell_names(cells: list[Mapping[str, object]]) -> dict[int, str]:
    """Return ``cell 5 (memory)`` by the number that ipykernel gives the cell's source.

    Cells are counted as `workbench run` counts them: papermill puts one behind the parameters.
    """
    names, number = {}, 0
    for cell in cells:
        source = str(cell["source"])
        if not source.strip():
            continue
        number += 1
        metadata = cell.get("metadata")
        tags = metadata.get("tags", []) if isinstance(metadata, Mapping) else []
        names[_hash(source)] = f"cell {number}{f' ({tags[0]})' if tags else ''}"
        number += "parameters" in tags
    return names


def _hash(source: str) -> int:
    from ipykernel import compiler

    untyped: Any = compiler
    return int(untyped.murmur2_x86(source, untyped.get_tmp_hash_seed()))


def isolated(folder: Path) -> dict[str, str]:
    """Return the variables that let a profiled command's own results land in a folder to discard.

    A measurement made under a sampler must not stand among the true ones.
    """
    return {"WORKBENCH_RUNS": str(folder), "WORKBENCH_DATA": str(paths.data())}
