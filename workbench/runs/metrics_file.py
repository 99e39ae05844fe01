"""metrics.parquet: long rows in the declared schema, in a file that says where it comes from.

Follows: one schema on write, so that files of different runs always concatenate.
Leaves out: what the metrics mean (benchmark/metrics.py).
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars as pl

from workbench.benchmark import metrics
from workbench.runs.publish import write_atomic

FILE_NAME = "metrics.parquet"


def write(path: Path, frame: pl.DataFrame, run_id: str) -> None:
    """Write the rows, with the run's id and a hash of the rows in the file's metadata."""
    frame = metrics.conform(frame)
    content = io.BytesIO()
    frame.write_parquet(content, metadata={"run_id": run_id, "sha256": rows_sha256(frame)})
    write_atomic(path, content.getvalue())


def read(path: Path) -> pl.DataFrame:
    """Read the rows of one file, of whatever schema version, in today's schema."""
    return metrics.conform(pl.read_parquet(path))


def rows_sha256(frame: pl.DataFrame) -> str:
    """Return the hash of the rows themselves; the same for any parquet writer or compression."""
    return hashlib.sha256(frame.write_csv().encode()).hexdigest()


def explain(path: Path) -> dict[str, str]:
    """Return what a stray file says of itself: run_id, sha256, and whether its rows still match."""
    told = pl.read_parquet_metadata(path)
    intact = rows_sha256(read(path)) == told.get("sha256")
    return {
        "run_id": told.get("run_id", ""),
        "sha256": told.get("sha256", ""),
        "intact": "yes" if intact else "no",
    }
