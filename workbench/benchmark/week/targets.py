"""Hold what was measured against the Week-1 targets of the team's own Day 1 report.

Follows: that report's section 5 (2026-01-19). Its numbers are targets and history
here, never a baseline.
Leaves out: ranking what to do about it (bottlenecks.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from workbench.benchmark import metrics
from workbench.tiering.kv_geometry import SEED


@dataclass(frozen=True, slots=True)
class Target:
    """One Week-1 target: what the report had, what it wants, and the day that works on it."""

    name: str
    reported: str
    wanted: float
    unit: str
    day: str
    smaller_is_better: bool = False


STORAGE = Target("storage throughput", "69.75 GB/s, page cache", 75.0, "GB/s", "Day 2")
KV_STORE = Target("KV store rate", "5,046 tokens/s", 50_000.0, "tokens/s", "Day 3")
HIT_RATE = Target("cache hit rate", "0 % (cold)", 60.0, "%", "Day 4")
LATENCY = Target("latency per token, p99", "not measured", 100.0, "ms", "Day 5", True)
LATENCY_P50 = Target("latency per token, p50", "not measured", 50.0, "ms", "Day 5", True)
FOOTPRINT = Target("hot tier, test configuration", "1.5 GB with cold", 1.5, "GB", "Day 22", True)

TEST_HOT_TOKENS = 1024


def week_one(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the targets table of a Day 1 run.

    Parameters
    ----------
    rows : metrics frame   holding storage_read, kv_store, hot_slab_rss and decode_latency rows

    Returns
    -------
    one row a target: reported then, wanted, measured here (best median), this machine's own
    ceiling, and ``standing``: *reached*, *open* (the ceiling allows it), *out of reach here* (the
    target lies above the ceiling) or *not measured yet*. Latencies are the real model's here, the
    report's target is for a 70B model
    """
    variants = rows.filter(pl.col("variant") != "copy_ceiling")
    device = {"metric": "storage_read", "tier": "device"}
    # A smaller hot tier, as preset tiny has, says nothing about the test configuration's footprint.
    slab_bytes = metrics.best(
        rows, metric="hot_slab_rss", case=f"model=seed tokens={TEST_HOT_TOKENS}"
    )
    lines = [
        _line(
            STORAGE,
            metrics.best(rows, **device, variant="synchronous"),
            # Without fio the bare loop is what the device is known to give.
            metrics.best(rows, **device, variant="fio_qd32")
            or metrics.best(rows, **device, variant="raw_loop"),
        ),
        _line(
            KV_STORE,
            metrics.best(variants, metric="kv_store"),
            store_ceiling_tokens_s(rows),
        ),
        _line(HIT_RATE, None, None),
        _line(FOOTPRINT, None if slab_bytes is None else slab_bytes / 1e9, None),
        _line(LATENCY, latency_ms(rows, 99), None),
        _line(LATENCY_P50, latency_ms(rows, 50), None),
    ]
    return pl.DataFrame(lines, infer_schema_length=None)


def store_ceiling_tokens_s(rows: pl.DataFrame) -> float | None:
    """Return the most tokens a second that this machine could store at all, None if not measured.

    That is the best copy of cached bytes to memory on any number of threads, over the bytes of one
    token of the test geometry at fp16: the format and the threads are Day 3's to change, the
    copy is not.
    """
    gb_s = metrics.best(rows, metric="memory_copy_cached")
    token_bytes = SEED.values_per_token * 2
    return None if gb_s is None else gb_s * 1e9 / token_bytes


def latency_ms(rows: pl.DataFrame, percent: float) -> float | None:
    """Return a percentile of the real model's latencies per token, None if not measured."""
    values = rows.filter(pl.col("metric") == "decode_latency")["value"]
    # Of fewer than 100 tokens the 99th percentile is the slowest one.
    return None if values.is_empty() else float(values.quantile(percent / 100, "higher") or 0)


def _line(target: Target, measured: float | None, ceiling: float | None) -> dict[str, object]:
    return {
        "target": target.name,
        "standing": standing(target, measured, ceiling),
        "here": measured,
        "wanted": target.wanted,
        "ceiling": ceiling,
        "unit": target.unit,
        "reported then": target.reported,
        "day": target.day,
    }


def standing(target: Target, measured: float | None, ceiling: float | None) -> str:
    """Say how a measured value stands to its target, given what the machine allows."""
    if measured is None:
        return "not measured yet"
    if measured <= target.wanted if target.smaller_is_better else measured >= target.wanted:
        return "reached"
    if ceiling is not None and not target.smaller_is_better and ceiling < target.wanted:
        return "out of reach here"
    return "open"
