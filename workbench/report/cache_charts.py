"""Draw Day 4: batches, policies beside MIN, one eviction, what the SSD is worth, and prefetch.

Follows: charts.py, which knows how; this file only picks rows and names, but for the eviction.
Leaves out: measuring. Every function takes metric rows or a step, so a report can draw a run again.
"""

from __future__ import annotations

from typing import Protocol

import altair as alt
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.caching import eviction_steps, policy_sweep, prefetch_serving, tier_hits
from workbench.benchmark.caching.cache_simulation import MIN
from workbench.benchmark.caching.eviction_steps import HeldBlock, Step
from workbench.benchmark.kv import batch_rate
from workbench.report.charts import Channel, Rule, bars_with_ceiling, grouped_bars, sweep_lines
from workbench.report.figures import WIDTH, Figure
from workbench.report.palette import ROLES

_POLICY_ROLES = {
    MIN: "ceiling",
    "lru": "baseline",
    "recency_frequency": "first",
    "arc": "second",
    "s3_fifo": "third",
    "w_tinylfu": "fourth",
    "lfu": "fifth",
    "fifo": "device",
}
_PERCENT = Channel("percent", "Hit rate", "%")
_ROW_HEIGHT = 15
_SIDE_PIXELS = 210


def batches(rows: pl.DataFrame) -> Figure:
    """Draw tokens per second over the size of a batch, a line a geometry, beside the copies."""
    medians = metrics.summary(rows.filter(pl.col("metric") == "batch_append")).with_columns(
        geometry=pl.col("case").str.extract(r"geometry=(\S+)"),
        batch=pl.col("case").str.extract(r"batch=(\d+)").cast(pl.Int64),
    )
    appended = medians.filter(pl.col("variant") == batch_rate.APPEND)
    sizes = appended.select("batch").unique()
    copies = medians.filter(pl.col("variant") == batch_rate.CEILING).drop("batch")
    lines = pl.concat(
        [
            appended.select("batch", "median", series=pl.col("geometry")),
            copies.join(sizes, how="cross").select(
                "batch", "median", series=pl.lit("copy ceiling, ") + pl.col("geometry")
            ),
        ]
    )
    return sweep_lines(
        lines,
        "Storing tokens through the cache, by the size of a batch",
        Channel("batch", "Tokens a batch", log=True),
        Channel("median", "Store rate", "tokens/s", log=True),
        "series",
    )


def policies(rows: pl.DataFrame, trace: str) -> Figure:
    """Draw hit rates of every policy over the cache's size on one trace, MIN's as the ceiling."""
    found = _by_policy(rows, "hit_rate").filter(pl.col("trace") == trace, pl.col("blocks") > 0)
    return sweep_lines(
        found,
        f"Hit rate by cache size: {trace}",
        Channel("blocks", "Cache size, blocks", log=True),
        _PERCENT,
        "variant",
        _POLICY_ROLES,
    )


def of_min(rows: pl.DataFrame, blocks: int) -> Figure:
    """Draw what each policy reaches of MIN's hits at one size, a block of bars a trace."""
    found = _by_policy(rows, "fraction_of_min").filter(
        pl.col("blocks") == blocks, pl.col("variant") != MIN
    )
    best_first = found.sort("percent", descending=True, maintain_order=True)
    return grouped_bars(
        pl.concat(
            best_first.filter(pl.col("trace") == name)
            for name in found["trace"].unique(maintain_order=True)
        ),
        f"What each policy hits of MIN's hits, {blocks:,} blocks",
        "trace",
        "variant",
        Channel("percent", "Of MIN's hits", "%"),
        dict.fromkeys(found["variant"], "optimised") | {"lru": "baseline"},
    )


def _by_policy(rows: pl.DataFrame, metric: str) -> pl.DataFrame:
    return rows.filter(pl.col("metric") == metric).with_columns(
        trace=pl.col("case").str.extract(r"trace=(\S+)"),
        blocks=pl.col("case").str.extract(r"blocks=(\d+)").cast(pl.Int64),
        percent=100 * pl.col("value"),
    )


def tiers(rows: pl.DataFrame) -> Figure:
    """Draw the hit rate of each way to run the tiers, beside what can be reached at all."""
    found = rows.filter(pl.col("metric") == "tier_hit_rate")
    bars = found.group_by("variant", maintain_order=True).agg(percent=100 * pl.col("value").sum())
    # A bar of its own: its line would cross the values of those that nearly reach it.
    roles = {tier_hits.MEMORY_ALONE: "baseline", policy_sweep.REACHABLE: "ceiling"}
    roles = dict.fromkeys(bars["variant"], "optimised") | roles
    title = "Multi-turn sessions: blocks found, with and without the SSD"
    return bars_with_ceiling(bars, title, "variant", _PERCENT, None, roles)


def prefetch(rows: pl.DataFrame, limit: float) -> Figure:
    """Draw requests served per second by each way of loading.

    Parameters
    ----------
    limit : float   times the baseline at which reads and computing overlap without a gap
    """
    bars = metrics.summary(rows.filter(pl.col("metric") == "prefetch_serving"))
    baseline = bars.filter(pl.col("variant") == prefetch_serving.DEMAND)["median"].item()
    return bars_with_ceiling(
        bars.select("variant", rate="median", rate_low="min", rate_high="max"),
        "Serving requests with cold prefixes: loaded on demand and ahead",
        "variant",
        Channel("rate", "Served", "requests/s"),
        Rule(limit * baseline, "reads and computing overlapped without a gap:"),
        {prefetch_serving.DEMAND: "baseline"},
    )


class _EvictionArguments(Protocol):
    """Those of the day's parameters that choose an eviction."""

    @property
    def policy(self) -> str:
        """Name of the policy."""

    @property
    def eviction(self) -> int:
        """Number of the eviction, from 1."""

    @property
    def seed(self) -> int:
        """Seed of the sessions' start times."""


def eviction_of(params: _EvictionArguments) -> Figure:
    """Draw one eviction on real sessions, chosen by a day's parameters."""
    steps = eviction_steps.of_sessions(params.policy, params.seed)
    return eviction(steps[min(params.eviction, len(steps)) - 1], params.policy)


def eviction(step: Step, policy: str) -> Figure:
    """Draw the held blocks, when each is needed again, which one went and which MIN would take."""
    title = f"Eviction {step.number} by {policy}: request {step.request} needs room"
    horizon = 1 + max(
        [one.next_request - step.request for one in step.held if one.next_request is not None],
        default=0,
    )
    rows = pl.DataFrame(
        [
            {
                "block": f"{one.block}",
                "ahead": _ahead(one, step.request, horizon),
                "what": _what(one, step),
                "text": _label(one, step, policy),
            }
            for one in reversed(step.held)
        ]
    )
    order = rows["block"].to_list()
    y = alt.Y("block:N", sort=order, title="held blocks, the newest use on top")
    x = alt.X(
        "ahead:Q",
        title="requests until it is needed again; at the right edge: never",
        axis=alt.Axis(tickMinStep=1, format="d"),
    )
    scale = alt.Scale(
        domain=["held", "victim", "best"],
        range=[ROLES["baseline"].ink, ROLES["second"].ink, ROLES["optimised"].ink],
    )
    base = alt.Chart(rows).encode(y, x.scale(domain=[0, horizon * 1.02], nice=False))
    color = alt.Color("what:N", legend=None, scale=scale)
    bars = base.mark_bar(size=5).encode(color)
    dots = base.mark_point(size=60, filled=True).encode(color)
    text = base.transform_filter("datum.what != 'held'").mark_text(align="left", dx=9)
    chart = (bars + dots + text.encode(text="text:N")).properties(
        width=WIDTH - _SIDE_PIXELS, height=_ROW_HEIGHT * len(step.held)
    )
    return Figure(title, chart, f"{title}. {_sentence(step, policy)}")


def _ahead(block: HeldBlock, now: int, horizon: int) -> int:
    return horizon if block.next_request is None else block.next_request - now


def _what(block: HeldBlock, step: Step) -> str:
    if block == step.victim:
        return "victim"
    return "best" if block == step.best else "held"


def _label(block: HeldBlock, step: Step, policy: str) -> str:
    if block == step.victim:
        return f"went, by {policy}" + (": as good as MIN's choice" if step.is_as_good else "")
    return "MIN would take this one" if block == step.best else ""


def _sentence(step: Step, policy: str) -> str:
    def when(block: HeldBlock) -> str:
        if block.next_request is None:
            return "never needed again"
        return f"needed again {block.next_request - step.request} requests later"

    went = f"Of {len(step.held)} held blocks {policy} takes {step.victim.block}"
    return f"{went}, {when(step.victim)}; MIN would take {step.best.block}, {when(step.best)}."
