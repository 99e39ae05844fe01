"""Draw Day 23: where attention goes, which layers matter, and what a read costs against quality.

Follows: charts.py, which knows how; this file only picks rows and names, but for the map.
Leaves out: measuring. Every function takes metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import altair as alt
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.selection import attention_mass, layer_needs
from workbench.benchmark.selection.coarse_choices import (
    LEAST_LOSS,
    LEAST_MASS,
    LEAST_NEED,
    MOST_NEED,
    SPREAD,
    UNIFORM,
)
from workbench.benchmark.selection.partial_outcomes import BROKEN_TOP1, MOST_KL
from workbench.benchmark.selection.ways import BY_NEED, EVERYTHING, QUEST, RECENT, SKETCH, TRUE_MASS
from workbench.errors import ReportError
from workbench.report.charts import Channel, bars_with_ceiling, sweep_lines
from workbench.report.figures import WIDTH, Figure
from workbench.report.palette import ROLES

_ROLES = {
    RECENT: "baseline",
    QUEST: "second",
    SKETCH: "third",
    BY_NEED: "optimised",
    TRUE_MASS: "ceiling",
}
_CHOICE_ROLES = {
    SPREAD: "baseline",
    LEAST_LOSS: "optimised",
    LEAST_NEED: "fifth",
    LEAST_MASS: "second",
    MOST_NEED: "third",
}
_LIMIT = "limit"
_FINE = "int8 everywhere"
_ROW_HEIGHT = 26
_SIDE_PIXELS = 170


def mass(rows: pl.DataFrame) -> Figure:
    """Draw a map of layers and ages: the darker, the more attention."""
    title = "Where attention goes: share of a layer's attention by age of the token"
    found = rows.filter(pl.col("metric") == attention_mass.METRIC).select(
        layer=pl.col("case").str.extract(r"layer=(\d+)").cast(pl.Int64),
        age=pl.col("variant"),
        percent=100 * pl.col("value"),
    )
    if found.is_empty():
        raise ReportError(f"chart {title!r}: no rows")
    ages = found["age"].unique(maintain_order=True).to_list()
    order = [*(age for age in ages[::-1] if age != attention_mass.SINK), attention_mass.SINK]
    most = float(found["percent"].to_numpy().max())
    chart = (
        alt.Chart(found)
        .mark_rect(color=ROLES["optimised"].ink)
        .encode(
            alt.X(
                "layer:O",
                title="Layer",
                axis=alt.Axis(labelAngle=0, labelOverlap="parity", labelSeparation=4),
            ),
            alt.Y("age:N", sort=order, title=None, axis=alt.Axis(labelLimit=200, minExtent=100)),
            alt.Opacity(
                "percent:Q",
                scale=alt.Scale(domain=[0, most], range=[0.02, 1]),
                legend=alt.Legend(title="% of attention", orient="bottom"),
            ),
            tooltip=["layer:O", "age:N", alt.Tooltip("percent:Q", format=".1f")],
        )
        .properties(width=WIDTH - _SIDE_PIXELS, height=_ROW_HEIGHT * len(ages))
    )
    return Figure(title, chart, f"{title}. {_of_mass(found)}")


def _of_mass(found: pl.DataFrame) -> str:
    sinks = found.filter(pl.col("age") == attention_mass.SINK).sort("percent")
    least, most = sinks.row(0, named=True), sinks.row(-1, named=True)
    return (
        f"The {attention_mass.SINK} take from {least['percent']:.1f} % (layer {least['layer']}) to "
        f"{most['percent']:.1f} % (layer {most['layer']})."
    )


def needs(rows: pl.DataFrame) -> Figure:
    """Draw what it costs in KL to cut each group of layers short."""
    found = rows.filter(pl.col("metric") == layer_needs.METRIC)
    bars = found.select(layers="layers " + pl.col("variant"), value="value")
    frac = float(found["case"].str.extract(r"frac=(\S+)").cast(pl.Float64)[0]) if len(found) else 0
    return bars_with_ceiling(
        bars,
        f"What the answer loses when only these layers read just {frac:.0%} of their blocks",
        "layers",
        Channel("value", "KL", "nats"),
        None,
        dict.fromkeys(bars["layers"], "optimised"),
    )


def quality(rows: pl.DataFrame, layout: str) -> Figure:
    """Draw KL over the fraction of the cold bytes that was read, a line a rule."""
    points = _curve(rows, layout, "kl")
    lines = pl.concat([points, _level(points, _LIMIT, MOST_KL)])
    return sweep_lines(
        lines,
        "What the answer loses by how much is read (both axes logarithmic)",
        Channel("percent", "Cold bytes read", "%", log=True),
        Channel("value", "KL from reading everything", "nats", log=True),
        "variant",
        _ROLES | {_LIMIT: "ceiling"},
    )


def agreement(rows: pl.DataFrame, layout: str) -> Figure:
    """Draw how often the likeliest next token is another one, a line a rule."""
    same = _curve(rows, layout, "top1_agreement")
    points = same.with_columns(value=100 * (1 - pl.col("value")))
    lines = pl.concat([points, _level(points, _LIMIT, 100 * (1 - BROKEN_TOP1))])
    return sweep_lines(
        lines,
        "Where it breaks: how often the likeliest next token is another one",
        Channel("percent", "Cold bytes read", "%", log=True),
        Channel("value", "Another token", "%"),
        "variant",
        _ROLES | {_LIMIT: "ceiling"},
    )


def _curve(rows: pl.DataFrame, layout: str, metric: str) -> pl.DataFrame:
    """Return the mean of a metric by rule and percent of bytes read, of one layout."""
    of_layout = rows.filter(
        pl.col("case").str.ends_with(f"layout={layout}"), pl.col("variant") != EVERYTHING
    )
    keys = ["variant", "case"]

    def means(name: str) -> pl.DataFrame:
        some = of_layout.filter(pl.col("metric") == name)
        return some.group_by(keys, maintain_order=True).agg(pl.col("value").mean())

    read = means("cold_read_frac").rename({"value": "frac"})
    return (
        means(metric)
        .join(read, on=keys, maintain_order="left")
        .select("variant", "value", percent=(100 * pl.col("frac")).round(0))
    )


def _level(points: pl.DataFrame, name: str, value: float, x: str = "percent") -> pl.DataFrame:
    """Return a horizontal line as far as the points reach."""
    ends = [points[x].min(), points[x].max()]
    return pl.DataFrame({"variant": [name] * 2, "value": [value] * 2, x: ends})


def speed(rows: pl.DataFrame) -> Figure:
    """Draw milliseconds a token of reading everything and of budgets by need, in every layout."""
    found = rows.filter(
        pl.col("metric") == "cold_token",
        pl.col("variant").is_in([EVERYTHING, BY_NEED, f"{BY_NEED}_once_per_frame"]),
    )
    bars = metrics.summary(found).select(
        label=pl.col("case").str.extract(r"layout=(.+)$")
        + ", "
        + pl.when(pl.col("variant") == EVERYTHING)
        .then(pl.lit("everything"))
        .when(pl.col("variant") == BY_NEED)
        .then(_percent() + pl.lit(" of it"))
        .otherwise(_percent() + pl.lit(", one choice a frame")),
        ms="median",
    )
    roles = {
        name: "baseline" if name.endswith("everything") else "optimised" for name in bars["label"]
    }
    return bars_with_ceiling(
        bars,
        "What a token takes from a cold SSD, by block and frame",
        "label",
        Channel("ms", "A token", "ms"),
        None,
        roles,
    )


def coarse(rows: pl.DataFrame) -> Figure:
    """Draw KL over bytes a token, a line a choice of layers, from all of them to the fewest."""
    keys = ["variant", "case"]

    def means(name: str, column: str) -> pl.DataFrame:
        some = rows.filter(pl.col("metric") == name)
        return some.group_by(keys, maintain_order=True).agg(pl.col("value").mean().alias(column))

    # As many layers take the same bytes, but for where their runs are filled up.
    kib = (pl.col("bytes").mean().over("case") / 1024).round(1)
    points = (
        means("coarse_kl", "value")
        .join(means("coarse_bytes", "bytes"), on=keys, maintain_order="left")
        .select(*keys, "value", x=kib)
        .sort("x")
    )
    is_uniform = pl.col("variant") == UNIFORM
    uniform, chosen = points.filter(is_uniform), points.filter(~is_uniform)
    rules = chosen["variant"].unique(maintain_order=True).to_list()
    starts = [uniform.head(1).with_columns(variant=pl.lit(rule)) for rule in rules]
    lines = pl.concat([*starts, chosen]).select("variant", "value", "x")
    level = _level(lines, _FINE, float(uniform["value"][-1]), "x")
    return sweep_lines(
        pl.concat([lines, level]),
        "What the answer loses by how many bytes a token has, by the layers that have int4",
        Channel("x", "A token on the SSD", "KiB"),
        Channel("value", "KL from float16", "nats", log=True),
        "variant",
        _CHOICE_ROLES | {_FINE: "ceiling"},
    )


def _percent() -> pl.Expr:
    frac = pl.col("case").str.extract(r"frac=(\S+)").cast(pl.Float64)
    return (100 * frac).round(0).cast(pl.Int64).cast(pl.String) + " %"
