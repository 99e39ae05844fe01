"""Draw Day 3: the ladder of stores against the copy ceiling, and the roofline over token sizes.

Follows: charts.py, which knows how; this file only picks rows and names.
Leaves out: measuring. Both functions take metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.kv.store_ablation import (
    BASELINE,
    GEOMETRIES,
    LADDER,
    METRIC,
    NONTEMPORAL,
    NUMPY,
    THREADS,
)
from workbench.benchmark.kv.store_arena import CEILING
from workbench.report.charts import Channel, Rule, bars_with_ceiling, sweep_lines
from workbench.report.figures import Figure

_SEED = "geometry=seed"
_CEILING_FLOAT16 = f"{CEILING} float16"
# Lines of the roofline, from the metric's variants.
_LINES = {
    NUMPY: ("NumPy, layer by layer", "baseline"),
    NONTEMPORAL: ("store, 1 thread", "optimised"),
    THREADS: ("store, more threads", "memory"),
}


def ladder(rows: pl.DataFrame) -> Figure:
    """Draw the seed geometry's stores, parts switched on from top to bottom, and their ceiling."""
    medians = metrics.summary(
        rows.filter(pl.col("metric") == METRIC, pl.col("case") == _SEED)
    ).select("variant", rate="median", rate_low="min", rate_high="max")
    ceilings = medians.filter(pl.col("variant").str.starts_with(_CEILING_FLOAT16))["rate"]
    best = None if ceilings.is_empty() else Rule(max(ceilings), "copy of the float16 bytes:")
    return bars_with_ceiling(
        medians.filter(pl.col("variant").is_in(LADDER)),
        "Storing tokens, seed geometry: parts switched on one by one",
        "variant",
        Channel("rate", "Tokens stored", "tokens/s"),
        best,
        {name: "baseline" if name == BASELINE else "optimised" for name in LADDER},
    )


def roofline(rows: pl.DataFrame) -> Figure:
    """Draw tokens/s over a token's bytes: float16 stores under the copy ceiling of their bytes."""
    medians = metrics.summary(rows.filter(pl.col("metric") == METRIC)).with_columns(
        token_kib=pl.col("case")
        .str.strip_prefix("geometry=")
        .replace_strict(
            {name: geometry.bytes_per_token / 1024 for name, geometry in GEOMETRIES.items()},
            return_dtype=pl.Float64,
        )
    )
    ceilings = (
        medians.filter(pl.col("variant").str.starts_with(_CEILING_FLOAT16))
        .group_by("token_kib", maintain_order=True)
        .agg(pl.col("median").max())
        .with_columns(line=pl.lit("copy ceiling"))
    )
    stores = medians.filter(pl.col("variant").is_in(list(_LINES))).with_columns(
        line=pl.col("variant").replace_strict({name: told for name, (told, _) in _LINES.items()})
    )
    columns = ["token_kib", "line", "median"]
    return sweep_lines(
        pl.concat([ceilings.select(columns), stores.select(columns)]),
        "Tokens stored a second over the bytes of a token, float16",
        Channel("token_kib", "Bytes of a token", "KiB", log=True),
        Channel("median", "Tokens stored", "tokens/s", log=True),
        "line",
        {told: role for told, role in _LINES.values()} | {"copy ceiling": "ceiling"},
    )
