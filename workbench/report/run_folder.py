"""What a page is made from: one run's record, metrics, figures and notebook, read once.

Follows: docs/structure.md (one run on disk); every part but the record may be missing or broken.
Leaves out: finding runs (workbench/runs/registry.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from workbench.benchmark import metrics
from workbench.runs import metrics_file, record
from workbench.runs.record import RunRecord
from workbench.runs.session import FIGURES

NOTEBOOK = "out.ipynb"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run as read from disk; ``problems`` says which parts could not be."""

    record: RunRecord
    metrics: pl.DataFrame
    figures: tuple[Mapping[str, Any], ...]
    notebook: Any | None
    problems: tuple[str, ...]


def load(folder: Path) -> RunFolder:
    """Read a run's folder.

    Raises
    ------
    RecordError   if run.json itself cannot be read
    """
    problems: list[str] = []
    return RunFolder(
        record=record.read_settled(folder / record.FILE_NAME),
        metrics=_read_metrics(folder / metrics_file.FILE_NAME, problems),
        figures=_read_figures(folder / FIGURES, problems),
        notebook=_read_notebook(folder / NOTEBOOK, problems),
        problems=tuple(problems),
    )


def _read_metrics(path: Path, problems: list[str]) -> pl.DataFrame:
    if not path.is_file():
        return metrics.empty()
    try:
        return metrics_file.read(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        problems.append(f"{path.name} cannot be read: {str(error).splitlines()[0]}")
        return metrics.empty()


def _read_figures(path: Path, problems: list[str]) -> tuple[Mapping[str, Any], ...]:
    if not path.is_file():
        return ()
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return ()
    return tuple(entry for entry in entries if isinstance(entry, Mapping))


def _read_notebook(path: Path, problems: list[str]) -> Any | None:
    if not path.is_file():
        return None
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        problems.append(f"{path.name} cannot be read: {str(error).splitlines()[0]}")
        return None
    return notebook
