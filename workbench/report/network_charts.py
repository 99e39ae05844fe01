"""Draw Day 24: tiers by block size, hits against computing, two processes, the fleet.

Follows: charts.py, which knows how; this file only picks rows and names.
Leaves out: the outage (outage_chart.py), and measuring; all is drawn from metric rows.
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.network import fleet_cost, network_hit, tier_sweep, warm_process
from workbench.report.charts import Channel, bars_with_ceiling, sweep_lines
from workbench.report.figures import Figure

_TIER_ROLES = {"memory": "memory", "SSD": "device", "network": "second"} | dict.fromkeys(
    tier_sweep.CEILINGS.values(), "ceiling"
)


def tiers(rows: pl.DataFrame) -> Figure:
    """Draw every tier's rate over the size of its blocks, and its ceiling."""
    medians = metrics.summary(rows.filter(pl.col("metric") == tier_sweep.RATE)).select(
        kib=pl.col("case").str.extract(r"block_kib=(\d+)").cast(pl.Int64),
        rate="median",
        series=pl.when(pl.col("variant") == "tier")
        .then(pl.col("tier").replace(tier_sweep.TIERS))
        .otherwise(pl.col("variant")),
    )
    return sweep_lines(
        medians,
        "Memory, SSD and network by block size, each beside its ceiling",
        Channel("kib", "Block, KiB", log=True),
        Channel("rate", "Blocks in one call", "GB/s", log=True),
        "series",
        _TIER_ROLES,
    )


def hits(rows: pl.DataFrame, link_mbit_s: int, bytes_per_token: int) -> Figure:
    """Draw the time to the first token over the prefix: computed, and from the network.

    Parameters
    ----------
    link_mbit_s : int       of a link that is not measured: its line is calculated
    bytes_per_token : int   over the network
    """
    found = metrics.summary(rows.filter(pl.col("metric") == network_hit.METRIC)).select(
        tokens=pl.col("case").str.extract(r"tokens=(\d+)").cast(pl.Int64),
        ms=1e3 * pl.col("median"),
        series="variant",
    )
    link = f"hit over {link_mbit_s:,} Mbit/s, calculated"
    per_token_ms = bytes_per_token * 8e-3 / link_mbit_s
    slower = found.filter(pl.col("series") == network_hit.HIT).with_columns(
        ms=pl.col("ms") + per_token_ms * pl.col("tokens"), series=pl.lit(link)
    )
    return sweep_lines(
        pl.concat([found, slower]),
        "A known prefix: computed again, or from the network",
        Channel("tokens", "Prefix, tokens", log=True),
        Channel("ms", "First token", "ms", log=True),
        "series",
        {network_hit.COMPUTED: "baseline", network_hit.HIT: "optimised", link: "third"},
    )


def processes(rows: pl.DataFrame) -> Figure:
    """Draw how soon each process of a pair answers, over all texts."""
    medians = metrics.summary(rows.filter(pl.col("metric") == warm_process.METRIC))
    names = {
        warm_process.FIRST: "first process: computes, and shares",
        warm_process.SECOND: "second process: finds it on the server",
    }
    bars = medians.select(pl.col("variant").replace(names), ms="median")
    return bars_with_ceiling(
        bars,
        "One process's prefill warms the other",
        "variant",
        Channel("ms", "First token", "ms"),
        None,
        dict(zip(names.values(), ("baseline", "optimised"), strict=True)),
    )


def fleet(rows: pl.DataFrame) -> Figure:
    """Draw the fleet's hit rate over the server's memory, a line a codec."""
    found = rows.filter(pl.col("metric") == fleet_cost.METRIC).with_columns(
        gib=pl.col("case").str.extract(r"shared_gib=(\S+)").cast(pl.Float64),
        percent=100 * pl.col("value"),
    )
    return sweep_lines(
        found,
        "Blocks found by the fleet, over the shared server's memory",
        Channel("gib", "Server's memory, GiB", log=True),
        Channel("percent", "Hit rate", "%"),
        "variant",
        {
            fleet_cost.LOCAL_ALONE: "baseline",
            "float16": "first",
            "int8": "second",
            "int4-hadamard": "third",
        },
    )
