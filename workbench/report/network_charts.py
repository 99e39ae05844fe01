"""Draw Day 24: tiers by block size, hits against computing, the outage by request, the fleet.

Follows: charts.py, which knows how; this file only picks rows and names, but for the time line.
Leaves out: measuring. Every function takes metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import altair as alt
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.network import fleet_cost, network_hit, server_died, tier_sweep
from workbench.benchmark.network.server_died import HIT, MISS
from workbench.errors import ReportError
from workbench.report.charts import Channel, bars_with_ceiling, sweep_lines
from workbench.report.figures import WIDTH, Figure
from workbench.report.numbers import quantity
from workbench.report.palette import ROLES

_TIER_ROLES = {"memory": "memory", "SSD": "device", "network": "second"} | dict.fromkeys(
    tier_sweep.CEILINGS.values(), "ceiling"
)
_SIDE_PIXELS = 70
_OUTCOME_ROLES = {HIT: "optimised", MISS: "second"}
_EVENTS = {
    server_died.KILLED: "killed",
    server_died.RESTARTED: "restarted, empty",
    server_died.FROZEN: "frozen",
    server_died.THAWED: "thawed",
}


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
    from workbench.benchmark.network import warm_process

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


def outage(rows: pl.DataFrame, limit_s: float) -> Figure:
    """Draw every request in turn: its first token, its wait for the network, and what happened.

    Parameters
    ----------
    limit_s : float   that a request may wait for the network
    """
    title = "The day the server died, request by request"
    found = _requests(rows, title)
    without = metrics.summary(rows.filter(pl.col("metric") == server_died.WITHOUT))
    computed_ms = 1e3 * float(without["median"].item())
    upper = _panel(found, "ttft_ms", "First token (ms)", log=False, height=220)
    upper += _level(computed_ms, f"without the tier {quantity(computed_ms, 'ms')}")
    lower = _panel(found, "wait_ms", "Waited for the network (ms)", log=True, height=150)
    lower += _level(1e3 * limit_s, f"limit {1e3 * limit_s:g} ms")
    chart = alt.vconcat(upper + _events(found), lower + _events(found, named=False), spacing=18)
    return Figure(title, chart, _outage_words(found, title, computed_ms))


def _requests(rows: pl.DataFrame, title: str) -> pl.DataFrame:
    """Return a row a request: its number, phase, outcome and both times."""
    number = pl.col("case").str.extract(r"request=(\d+)").cast(pl.Int64)

    def times(metric: str, name: str) -> pl.DataFrame:
        some = rows.filter(pl.col("metric") == metric)
        return some.select(
            number.alias("request"), "case", "variant", (1e3 * pl.col("value")).alias(name)
        )

    both = times(server_died.TTFT, "ttft_ms").join(
        times(server_died.WAIT, "wait_ms").select("request", "wait_ms"), on="request"
    )
    if both.is_empty():
        raise ReportError(f"chart {title!r} has no rows; measure first, or leave the chart out")
    return both.select(
        "request",
        pl.col("case").str.extract(r"phase=(.+)$").alias("phase"),
        pl.col("variant").alias("outcome"),
        "ttft_ms",
        # A log axis has no zero; nothing takes less than a microsecond.
        pl.col("wait_ms").clip(1e-3),
    ).sort("request")


def _panel(
    found: pl.DataFrame, column: str, title: str, *, log: bool, height: int
) -> alt.LayerChart:
    names = list(_OUTCOME_ROLES)
    inks = [ROLES[role].ink for role in _OUTCOME_ROLES.values()]
    last = found.height
    base = alt.Chart(found).encode(
        alt.X(
            "request:Q",
            title="Request",
            scale=alt.Scale(domain=[0.5, last + 0.5], nice=False),
            axis=alt.Axis(grid=False, tickMinStep=1, format="d"),
        ),
        alt.Y(
            f"{column}:Q",
            title=title,
            scale=alt.Scale(type="log" if log else "linear", zero=not log, nice=True),
            axis=alt.Axis(tickCount=5, format="~r" if log else ",d"),
        ),
    )
    line = base.mark_line(strokeWidth=1, opacity=0.4)
    dots = base.mark_point(size=60).encode(
        alt.Color(
            "outcome:N",
            scale=alt.Scale(domain=names, range=inks),
            legend=alt.Legend(title=None, orient="top"),
        ),
        alt.Shape("outcome:N", scale=alt.Scale(domain=names, range=["circle", "square"])),
        tooltip=["request:Q", "phase:N", "outcome:N", alt.Tooltip(f"{column}:Q", format=".2f")],
    )
    return (line + dots).properties(width=WIDTH - _SIDE_PIXELS, height=height)


def _level(at: float, text: str) -> alt.LayerChart:
    base = alt.Chart(pl.DataFrame({"at": [at], "text": [text]})).encode(alt.Y("at:Q"))
    name = base.mark_text(align="left", baseline="bottom", dx=4, dy=-3)
    return base.mark_rule(strokeDash=[6, 4], strokeWidth=1.5) + name.encode(
        x=alt.value(0), text="text:N"
    )


def _events(found: pl.DataFrame, *, named: bool = True) -> alt.LayerChart:
    """Return a line before the first request of each phase, and what happened there."""
    firsts = found.group_by("phase", maintain_order=True).first()
    marks = firsts.filter(pl.col("phase").is_in(list(_EVENTS))).select(
        at=pl.col("request") - 0.5, text=pl.col("phase").replace(_EVENTS)
    )
    base = alt.Chart(marks).encode(alt.X("at:Q"))
    rules = base.mark_rule(strokeWidth=1.5)
    if not named:
        return alt.layer(rules)
    text = base.mark_text(align="left", baseline="top", dx=4).encode(y=alt.value(2), text="text:N")
    return rules + text


def _outage_words(found: pl.DataFrame, title: str, computed_ms: float) -> str:
    parts = []
    for (phase,), some in found.group_by("phase", maintain_order=True):
        n_hits = some.filter(pl.col("outcome") == HIT).height
        wait = quantity(float(some["wait_ms"].to_numpy().max()), "ms")
        parts.append(f"{phase}: {n_hits} of {some.height} hit, at most {wait} waited")
    return f"{title}: {'; '.join(parts)}; without the tier {quantity(computed_ms, 'ms')}."


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
        {fleet_cost.LOCAL_ALONE: "baseline", "float16": "first"},
    )
