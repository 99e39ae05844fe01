"""The one shape of a measured number: long rows, one declared schema, the unit beside the value.

Leaves out: where rows are stored (workbench/runs/registry),
and how they are drawn (workbench/report).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

SCHEMA: dict[str, pl.DataType] = {
    "metric": pl.String(),  # what was measured: storage_read, kv_store, memory_footprint ...
    "unit": pl.String(),  # GB/s, tokens/s, bytes, us, ratio ...
    "tier": pl.String(),  # where: device, page_cache, hot, memory; "" where it has no place
    "case": pl.String(),  # the point of a sweep, e.g. block_kib=16; "" without one
    "variant": pl.String(),  # how: the technique's or the ceiling's name
    "repeat": pl.Int32(),  # round number, 0-based; rounds of one call ran interleaved
    "value": pl.Float64(),
}


def empty() -> pl.DataFrame:
    """Return no rows in the declared schema."""
    return pl.DataFrame(schema=SCHEMA)


def rows(
    metric: str,
    unit: str,
    values: Iterable[float],
    *,
    tier: str = "",
    case: str = "",
    variant: str = "",
) -> pl.DataFrame:
    """Return one row per value; ``repeat`` counts them from 0."""
    numbers = [float(value) for value in values]
    n = len(numbers)
    columns = {
        "metric": [metric] * n,
        "unit": [unit] * n,
        "tier": [tier] * n,
        "case": [case] * n,
        "variant": [variant] * n,
        "repeat": list(range(n)),
        "value": numbers,
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def conform(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in exactly the declared schema: missing columns filled, others dropped."""
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in SCHEMA.items()
        if name not in frame.columns
    ]
    return frame.with_columns(missing).select(
        pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()
    )


def best(frame: pl.DataFrame, **keys: str) -> float | None:
    """Return the largest median of what matches every key, e.g. ``metric="kv_store"``.

    None means that no such thing was measured, which is an answer: fio may be missing.
    """
    chosen = frame.filter(*(pl.col(name) == value for name, value in keys.items()))
    medians = summary(chosen)["median"]
    return None if medians.is_empty() else float(medians.to_numpy().max())


def summary(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per measured thing (rounds, min, median, max), in order of appearance."""
    value = pl.col("value")
    keys = ["metric", "unit", "tier", "case", "variant"]
    return frame.group_by(keys, maintain_order=True).agg(
        value.len().alias("rounds"),
        value.min().alias("min"),
        value.median().alias("median"),
        value.max().alias("max"),
    )
