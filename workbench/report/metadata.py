"""The block of JSON in a run's page that holds the run itself, and the way back from a page.

Follows: UX.md C3 (any report can be imported into a registry again).
Leaves out: figures and cells; they can be read in the page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from workbench import paths
from workbench.benchmark import metrics
from workbench.errors import ReportError
from workbench.runs import metrics_file
from workbench.runs.publish import write_atomic
from workbench.runs.record import FILE_NAME, RunRecord

ELEMENT_ID = "run-metadata"
_OPENING = f'<script type="application/json" id="{ELEMENT_ID}">'
_BLOCK = re.compile(rf"{_OPENING}([^<]*)</script>")
_KEYS = ["metric", "unit", "tier", "case", "variant"]
# A page may come by mail: its ids become folder names, so they must not be paths.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,80}")


def to_metadata(record: RunRecord, frame: pl.DataFrame) -> dict[str, Any]:
    """Return what the page's block holds: the record, and its rows as one series a case."""
    ordered = metrics.conform(frame)
    series = ordered.group_by(_KEYS, maintain_order=True).agg("repeat", "value")
    return {"record": record.model_dump(mode="json"), "series": series.to_dicts()}


def from_page(html: str) -> tuple[RunRecord, pl.DataFrame]:
    """Read a run back from its page.

    Raises
    ------
    ReportError   if the page holds no run, or not a readable one
    """
    found = _BLOCK.search(html)
    if found is None:
        raise ReportError("the page holds no run; only the page of a run does, not an index")
    try:
        block = json.loads(found[1])
        record = RunRecord.model_validate(block["record"])
        series = pl.DataFrame(block["series"], schema=_series_schema())
    except (ValueError, KeyError, TypeError, ValidationError, pl.exceptions.PolarsError) as error:
        raise ReportError(f"the page's run cannot be read: {str(error).splitlines()[0]}") from error
    return record, metrics.conform(series.explode("repeat", "value"))


def import_page(page: Path) -> Path:
    """Put a page's run into this registry and return its folder; nothing is ever overwritten.

    Raises
    ------
    ReportError   if the page cannot be read, or the run is here already
    """
    record, frame = from_page(page.read_text(encoding="utf-8"))
    for name in (record.day, record.run_id):
        if not _SAFE_NAME.fullmatch(name):
            raise ReportError(f"{name!r} is no name of a day or run; the page was tampered with")
    folder = paths.runs() / record.day / record.run_id
    if folder.exists():
        raise ReportError(f"{paths.shown(folder)} is here already; delete it to import it again")
    folder.mkdir(parents=True)
    metrics_file.write(folder / metrics_file.FILE_NAME, frame, record.run_id)
    text = record.model_dump_json(indent=1) + "\n"
    write_atomic(folder / FILE_NAME, text.encode())
    return folder


def _series_schema() -> dict[str, Any]:
    lists = {"repeat": pl.List(metrics.SCHEMA["repeat"]), "value": pl.List(metrics.SCHEMA["value"])}
    return {**{name: metrics.SCHEMA[name] for name in _KEYS}, **lists}
