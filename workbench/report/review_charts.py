"""Draw Day 5: every target on its own scale, resume against recompute, and the 70B projection.

Follows: charts.py, which knows how; this file only picks rows and names.
Leaves out: measuring. Functions take tables or metric rows, so a report can draw a run again.
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.report.charts import Channel, Rule, bars_with_ceiling, grouped_bars, sweep_lines
from workbench.report.figures import Figure

_TTFT = "ttft"
# Columns of the week's table, as bars from top to bottom.
_BARS = ("baseline", "now", "ceiling", "wanted")
_ROLES = {"baseline": "baseline", "now": "optimised", "ceiling": "ceiling", "wanted": "second"}
_LIMIT_MS = 100.0


def targets(table: pl.DataFrame) -> Figure:
    """Draw baseline, present value, ceiling and target of every measured line of the week."""
    rows = [
        {"target": f"{line['target']} ({line['unit']})", "what": what, "value": line[what]}
        for line in table.iter_rows(named=True)
        for what in _BARS
        if line["now"] is not None and line[what] is not None
    ]
    frame = pl.DataFrame(rows, schema={"target": str, "what": str, "value": float})
    title = "Week 1: baseline, now, ceiling and target, each line on its own scale"
    return grouped_bars(frame, title, "target", "what", Channel("value", "Value"), _ROLES)


def resume(rows: pl.DataFrame) -> Figure:
    """Draw the time to the first token over the text's length, a line a way to get there."""
    medians = metrics.summary(rows.filter(pl.col("metric") == _TTFT)).with_columns(
        tokens=pl.col("case").str.strip_prefix("tokens=").cast(pl.Int64)
    )
    names = medians["variant"].unique(maintain_order=True).to_list()
    peer = {name: "second" if "computed" in name else "third" for name in names if "," in name}
    ours = {name: "baseline" if "computed" in name else "optimised" for name in names}
    roles = ours | peer
    return sweep_lines(
        medians,
        "Time to the first token behind a text: resumed from a cold SSD, and computed again",
        Channel("tokens", "Length of the text", "tokens", log=True),
        Channel("median", "Time to the first token", "ms", log=True),
        "variant",
        roles,
    )


def projection(table: pl.DataFrame) -> Figure:
    """Draw the time of a token of Llama 3.3 70B on this machine, by where its weights are."""
    return bars_with_ceiling(
        table,
        f"Llama 3.3 70B on this machine, projected from timed layers; target {_LIMIT_MS:.0f} ms",
        "weights",
        Channel("ms a token", "Time a token", "ms"),
    )


def machines(table: pl.DataFrame) -> Figure:
    """Draw what other memories would make of it, this machine's first."""
    others = table.filter(~pl.col("machine").str.starts_with("needed"))
    return bars_with_ceiling(
        others,
        "Llama 3.3 70B, all in memory: projected from each machine's memory bandwidth",
        "machine",
        Channel("ms a token", "Time a token", "ms"),
        Rule(_LIMIT_MS, "target:"),
    )
