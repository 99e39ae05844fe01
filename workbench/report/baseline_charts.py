"""Draw Day 1: memory ceilings, the storage sweep, the KV store rate, the footprint.

Follows: charts.py, which knows how; this file only picks rows and names.
Leaves out: measuring. Every function takes metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.week.targets import KV_STORE
from workbench.report.charts import Channel, Rule, bars_with_ceiling, grouped_bars, sweep_lines
from workbench.report.figures import Figure

_SERIES = {
    ("page_cache", "synchronous"): "page cache",
    ("device", "synchronous"): "device, depth 1",
    ("device", "fio_qd32"): "fio on it, depth 32",
}
_SERIES_ROLES = dict(zip(_SERIES.values(), ("page_cache", "device", "ceiling"), strict=True))


def storage(rows: pl.DataFrame, op: str) -> Figure:
    """Draw throughput over block size, each medium apart, for ``op`` "read" or "write"."""
    keys = pl.concat_str("tier", "variant", separator=" ")
    names = {f"{tier} {variant}": name for (tier, variant), name in _SERIES.items()}
    medians = (
        metrics.summary(rows.filter(pl.col("metric") == f"storage_{op}"))
        .filter(keys.is_in(list(names)))
        .select(
            series=keys.replace_strict(names, default=None),
            block_kib=pl.col("case").str.strip_prefix("block_kib=").cast(pl.Int64),
            rate="median",
        )
    )
    return sweep_lines(
        medians,
        f"Sequential {op}s by block size, each medium apart",
        Channel("block_kib", "Block size", "KiB", log=True),
        Channel("rate", "Throughput", "GB/s", log=True),
        "series",
        _SERIES_ROLES,
    )


def memory(rows: pl.DataFrame) -> Figure:
    """Draw the copy kernels, a block of bars a thread count."""
    copies = metrics.summary(rows.filter(pl.col("metric") == "memory_copy")).with_columns(
        threads=pl.col("case")
        .str.replace("=", " ")
        .str.replace("threads 1", "1 thread")
        .str.replace("threads (.+)", "$1 threads")
    )
    return grouped_bars(
        copies,
        "Copying memory to memory, by kernel and threads",
        "threads",
        "variant",
        Channel("median", "Throughput", "GB/s"),
        {name: "baseline" if name == "numpy" else "memory" for name in copies["variant"]},
    )


def kv_store(rows: pl.DataFrame) -> Figure:
    """Draw tokens stored a second by variant and the copy ceiling, against the week's target."""
    rates = metrics.summary(rows.filter(pl.col("metric") == "kv_store"))
    return bars_with_ceiling(
        rates.select("variant", rate="median", rate_low="min", rate_high="max"),
        "KV store rate, seed geometry, fp32, one thread",
        "variant",
        Channel("rate", "Tokens stored", "tokens/s"),
        Rule(KV_STORE.wanted, "Week-1 target"),
        # Every variant of this day is a baseline of the days after it.
        {name: "ceiling" if name == "copy_ceiling" else "baseline" for name in rates["variant"]},
    )


def footprint(rows: pl.DataFrame, tokens: int) -> Figure:
    """Draw the projected KV memory of every model that has a row at ``tokens``, by format."""
    case = pl.col("case").str.extract_groups(r"model=(?<model>.+) tokens=(?<tokens>\d+)")
    chosen = (
        rows.filter(pl.col("metric") == "kv_footprint")
        .with_columns(case.struct.unnest())
        .filter(pl.col("tokens") == str(tokens))
    )
    return grouped_bars(
        chosen,
        f"Projected KV memory at {tokens:,} tokens, by format",
        "model",
        "variant",
        Channel("value", "Memory", "bytes"),
    )
