"""index.parquet: every run as one row of a declared schema; a cache that anyone may delete.

Follows: the state of all run.json files is kept in the file, so a stale index is never believed.
Leaves out: the truth, which is in the run.json files (registry.py).
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import polars as pl

from workbench import paths
from workbench.runs import registry
from workbench.runs.publish import write_atomic
from workbench.runs.record import RunRecord

FILE_NAME = "index.parquet"
_PLAIN: dict[str, pl.DataType] = {
    "run_id": pl.String(),
    "day": pl.String(),
    "kind": pl.String(),
    "label": pl.String(),
    "source": pl.String(),
    "preset": pl.String(),
    "params_hash": pl.String(),
    "status": pl.String(),
    "reason": pl.String(),
    "started": pl.String(),
    "wall_s": pl.Float64(),
    "compile_s": pl.Float64(),
    "peak_rss_bytes": pl.Int64(),
    "cells_done": pl.Int64(),
    "cells_total": pl.Int64(),
    "machine_id": pl.String(),
    "git_sha": pl.String(),
    "git_dirty": pl.Boolean(),
    "branch": pl.String(),
    "python": pl.String(),
    "packages_hash": pl.String(),
    "seed": pl.Int64(),
    "contended": pl.Boolean(),
    "sweep": pl.String(),
    "attempts": pl.Int64(),
    "schema_version": pl.Int64(),
}
_VERDICT: dict[str, pl.DataType] = {
    "metric": pl.String(),
    "claim": pl.String(),
    "contender": pl.String(),
    "baseline": pl.String(),
    "verdict": pl.String(),
}
_RATIO: dict[str, pl.DataType] = {
    "median": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n_rounds": pl.Int64(),
}
_MACHINE: dict[str, pl.DataType] = {
    "cpu": pl.String(),
    "n_cpu": pl.Int64(),
    "ram_bytes": pl.Int64(),
    "disk_model": pl.String(),
    "filesystem": pl.String(),
    "governor": pl.String(),
    "os": pl.String(),
    "arch": pl.String(),
}
SCHEMA: dict[str, pl.DataType] = {
    **_PLAIN,
    "params": pl.String(),  # JSON, because days differ in their parameters
    "failed_cell": pl.Int64(),
    **_VERDICT,
    **{f"ratio_{name}": dtype for name, dtype in _RATIO.items()},
    **_MACHINE,
}


def index() -> pl.DataFrame:
    """Return one row a run in `SCHEMA`, newest first; read again only if a run.json changed."""
    known = _remembered()
    # A run that was under way may have died since without changing any file.
    if known is None or (known["status"] == "running").any():
        return rebuild()
    return known


def rebuild() -> pl.DataFrame:
    """Read every run.json, remember the rows, and return them."""
    state = _state()
    rows = [_row(run) for run in registry.runs()]
    # Column by column: a fact of another type, in a record from elsewhere, becomes a null.
    columns = {name: [row[name] for row in rows] for name in SCHEMA}
    frame = pl.DataFrame(columns, schema=SCHEMA, strict=False)
    content = io.BytesIO()
    frame.write_parquet(content, metadata={"state": state})
    paths.runs().mkdir(parents=True, exist_ok=True)
    write_atomic(_path(), content.getvalue())
    return frame


def _path() -> Path:
    return paths.runs() / FILE_NAME


def _state() -> str:
    """Return a hash that changes with every run.json written, added or taken away."""
    seen = []
    for path in registry.run_files():
        stat = path.stat()
        seen.append([str(path.relative_to(paths.runs())), stat.st_mtime_ns, stat.st_ino])
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _remembered() -> pl.DataFrame | None:
    """Return the remembered rows, or None if there are none or they are out of date."""
    try:
        if pl.read_parquet_metadata(_path()).get("state") != _state():
            return None
        known = pl.read_parquet(_path())
    except (OSError, pl.exceptions.PolarsError):
        return None
    return known if known.schema == pl.Schema(SCHEMA) else None


def _row(run: RunRecord) -> dict[str, Any]:
    verdict = run.verdict
    return {
        **{name: getattr(run, name) for name in _PLAIN},
        "params": json.dumps(run.params, sort_keys=True),
        "failed_cell": run.failed_cell.number if run.failed_cell else None,
        **{name: getattr(verdict, name, None) for name in _VERDICT},
        **{f"ratio_{name}": verdict and getattr(verdict.ratio, name) for name in _RATIO},
        **{name: run.machine.get(name) for name in _MACHINE},
    }
