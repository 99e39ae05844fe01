"""Draw Day 2: the ablation of each workload against fio, and all workloads side by side.

Follows: charts.py, which knows how; this file only picks rows and names.
Leaves out: measuring. Every function takes metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.report.charts import Channel, Rule, bars_with_ceiling, grouped_bars
from workbench.report.figures import Figure

_METRIC = "restore_"
_NAMES = {
    "sequential": "a sequence, block after block",
    "random": "a sequence, blocks in random order",
    "mixed": "a sequence, with blocks written back meanwhile",
    "model_load": "a model, in the order of its own table",
    "scattered": "small reads at random, where no part can help",
}
# The two variants that show merging on small blocks are no rung of the ladder.
_ASIDE = ("queue_depth_small", "merging_small")
_CEILING = "fio_qd"
_BASELINE, _BEST = "synchronous", "whole_plan"


def ablation(rows: pl.DataFrame, workload: str) -> Figure:
    """Draw one workload's variants, parts switched on from top to bottom, against fio's best."""
    medians = _medians(rows).filter(pl.col("workload") == workload)
    is_fio = pl.col("variant").str.starts_with(_CEILING)
    ceilings = medians.filter(is_fio)
    bars = medians.filter(~is_fio, ~pl.col("variant").is_in(_ASIDE))
    rule = None
    if not ceilings.is_empty():
        best = ceilings.row(by_predicate=pl.col("median") == ceilings["median"].max(), named=True)
        depth = best["variant"].removeprefix(_CEILING)
        size = best["case"].removeprefix("block_kib=")
        rule = Rule(best["median"], f"fio, {size} KiB, depth {depth}:")
    return bars_with_ceiling(
        bars.select("variant", rate="median", rate_low="min", rate_high="max"),
        f"Restoring {_NAMES.get(workload, workload)}: parts switched on one by one",
        "variant",
        Channel("rate", "Throughput", "GB/s"),
        rule,
        _roles(bars),
    )


def workloads(rows: pl.DataFrame) -> Figure:
    """Draw every workload's baseline, best consumer and ceiling, a block of bars each."""
    medians = _medians(rows)
    chosen = [
        medians.filter(pl.col("variant").is_in([_BASELINE, "block_size", "read_ahead", _BEST])),
        medians.filter(pl.col("variant").str.starts_with(_CEILING))
        .group_by("workload", maintain_order=True)
        .agg(pl.col("median").max())
        .with_columns(variant=pl.lit("fio at its best")),
    ]
    columns = ["workload", "variant", "median"]
    bars = pl.concat(frame.select(columns) for frame in chosen)
    # Rows of one workload together, in the order in which workloads were measured.
    order = medians["workload"].unique(maintain_order=True).to_list()
    ladders = set(bars.filter(pl.col("variant") == _BASELINE)["workload"])
    bars = pl.concat(
        bars.filter(pl.col("workload") == name) for name in order if name in ladders
    ).with_columns(pl.col("workload").replace(_NAMES))
    return grouped_bars(
        bars,
        "Restore by workload: baseline, what helps, and the ceiling",
        "workload",
        "variant",
        Channel("median", "Throughput", "GB/s"),
        _roles(bars),
    )


def _medians(rows: pl.DataFrame) -> pl.DataFrame:
    return metrics.summary(rows.filter(pl.col("metric").str.starts_with(_METRIC))).with_columns(
        workload=pl.col("metric").str.strip_prefix(_METRIC)
    )


def _roles(bars: pl.DataFrame) -> dict[str, str]:
    roles = dict.fromkeys(bars["variant"], "optimised")
    for name in roles:
        if name == _BASELINE or name == "block_size":
            roles[name] = "baseline"
        elif name.startswith("fio"):
            roles[name] = "ceiling"
    return roles
