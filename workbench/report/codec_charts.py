"""Draw Day 22: quality, codecs' speed beside a copy, restores, the choice, and hits by codec.

Follows: charts.py, which knows how; this file only picks rows and names.
Leaves out: measuring. Every function takes metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.codecs.codec_quality import LAST_BIT, RESTORED
from workbench.report.charts import Channel, Rule, bars_with_ceiling, grouped_bars, sweep_lines
from workbench.report.figures import Figure

_CODEC_ROLES = {
    "none": "baseline",
    "lossless": "fifth",
    "int8": "first",
    "int8-channel": "fourth",
    "int8+zstd": "third",
    "int4-hadamard": "second",
}


def quality(rows: pl.DataFrame, how: str = RESTORED) -> Figure:
    """Draw the KL divergence of every codec, and of nothing but a last bit moved."""
    found = rows.filter(pl.col("metric") == "codec_kl", pl.col("case") == how)
    bars = found.select("variant", kl=1e3 * pl.col("value"))
    roles = dict.fromkeys(bars["variant"], "optimised") | {LAST_BIT: "baseline"}
    return bars_with_ceiling(
        bars,
        f"Next-token distributions behind a coded prefix: {how}",
        "variant",
        Channel("kl", "Mean KL divergence, thousandths of a nat", "mnat"),
        None,
        roles,
    )


def speeds(rows: pl.DataFrame, geometry: str) -> Figure:
    """Draw how fast each codec encodes and decodes one geometry's frames, and the copy."""
    medians = metrics.summary(rows.filter(pl.col("case") == f"geometry={geometry}"))
    ceiling = medians.filter(pl.col("metric") == "codec_copy").select("variant", rate="median")
    parts = []
    for step in ("encode", "decode"):
        found = medians.filter(pl.col("metric") == f"codec_{step}")
        bars = pl.concat([ceiling, found.select("variant", rate="median")])
        parts.append(bars.with_columns(step=pl.lit(step)))
    bars = pl.concat(parts).filter(pl.col("variant") != "none")
    names = bars["variant"].unique(maintain_order=True)
    return grouped_bars(
        bars,
        f"Encoding and decoding on one thread, plain bytes: {geometry}",
        "step",
        "variant",
        Channel("rate", "Rate", "GB/s"),
        dict.fromkeys(names, "optimised") | {"copy_ceiling": "ceiling"},
    )


def restores(rows: pl.DataFrame) -> Figure:
    """Draw how long each codec's cold prefix takes to be in memory."""
    found = metrics.summary(rows.filter(pl.col("metric") == "codec_restore"))
    times = ("median", "min", "max")
    bars = found.select("variant", **{name: 1e3 * pl.col(name) for name in times})
    baseline = bars.filter(pl.col("variant") == "none")["median"].item()
    return bars_with_ceiling(
        bars.select("variant", ms="median", ms_low="min", ms_high="max"),
        "Restoring a cold prefix through each codec",
        "variant",
        Channel("ms", "Until all layers are in memory", "ms"),
        Rule(baseline, "float16 as it is:"),
        {"none": "baseline"} | dict.fromkeys(bars["variant"].to_list()[1:], "optimised"),
    )


def choice(rows: pl.DataFrame) -> Figure:
    """Draw a load's time over the device's speed, a line a codec."""
    found = rows.filter(pl.col("metric") == "codec_load_time").with_columns(
        gb_s=pl.col("case").str.extract(r"read_gb_s=(\S+)").cast(pl.Float64),
        ms=1e3 * pl.col("value"),
    )
    drawn = found.filter(pl.col("variant").is_in(list(_CODEC_ROLES)))
    return sweep_lines(
        drawn,
        "A load's time by codec, over how fast the device reads",
        Channel("gb_s", "Device reads, GB/s", log=True),
        Channel("ms", "Load", "ms", log=True),
        "variant",
        _CODEC_ROLES,
    )


def tiers(rows: pl.DataFrame) -> Figure:
    """Draw the hit rate at the same memory and SSD, a bar a codec."""
    found = rows.filter(pl.col("metric") == "codec_hit_rate")
    bars = found.select("variant", percent=100 * pl.col("value"))
    return bars_with_ceiling(
        bars,
        "Blocks found at the same memory and SSD, by what the SSD stores",
        "variant",
        Channel("percent", "Hit rate", "%"),
        None,
        dict.fromkeys(bars["variant"], "optimised") | {"none": "baseline"},
    )


def replay(rows: pl.DataFrame) -> Figure:
    """Draw where a replayed trace's blocks were found, with the SSD and in memory alone."""
    where = {"hot": "in memory", "cold": "on the SSD"}
    found = rows.filter(
        pl.col("metric") == "tier_hit_rate",
        (pl.col("variant") != "memory_alone") | (pl.col("tier") == "hot"),
    )
    bars = found.select(
        name=pl.col("variant").str.replace("_", " ") + ", " + pl.col("tier").replace(where),
        percent=100 * pl.col("value"),
    )
    bars = bars.with_columns(pl.col("name").replace("memory alone, in memory", "memory alone"))
    return bars_with_ceiling(
        bars,
        "Blocks of the trace that were found, by where",
        "name",
        Channel("percent", "Hit rate", "%"),
        None,
        dict.fromkeys(bars["name"], "optimised") | {"memory alone": "baseline"},
    )
