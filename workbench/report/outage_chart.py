"""Draw an outage request by request: when the first token came, what of it was waiting, and why.

Follows: two panels over one axis; events are lines, named where they happen.
Leaves out: measuring (benchmark/network/server_died.py); it is drawn from metric rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.network import server_died
from workbench.benchmark.network.server_died import HIT, MISS
from workbench.errors import ReportError
from workbench.report.figures import WIDTH, Figure
from workbench.report.marks import log_ticks
from workbench.report.numbers import quantity
from workbench.report.palette import ROLES

_TITLE = "The day the server died, request by request"
# Right of the panels stand the names of their levels.
_SIDE_PIXELS = 150
_OUTCOMES = {HIT: "optimised", MISS: "second"}


@dataclass(frozen=True, slots=True)
class _Panel:
    """One of the times, its axis, and a level that it is held against."""

    column: str
    title: str
    is_log: bool
    height: int
    level_ms: float
    level: str


def draw(rows: pl.DataFrame, limit_s: float) -> Figure:
    """Draw every request in turn: its first token, its wait for the network, and what happened.

    Parameters
    ----------
    limit_s : float   that a request may wait for the network

    Raises
    ------
    ReportError   if there are no rows
    """
    found = _requests(rows)
    without = metrics.summary(rows.filter(pl.col("metric") == server_died.WITHOUT))
    computed_ms, limit_ms = 1e3 * float(without["median"].item()), 1e3 * limit_s
    panels = (
        _Panel("ttft_ms", "First token (ms)", False, 220, computed_ms, "without the tier"),
        _Panel("wait_ms", "Waited for the network (ms)", True, 160, limit_ms, "limit"),
    )
    drawn = [_drawn(found, panel) + _events(found, named=not panel.is_log) for panel in panels]
    return Figure(_TITLE, alt.vconcat(*drawn, spacing=14), _words(found, computed_ms))


def _requests(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a row a request: its number, phase, outcome and both times."""
    number = pl.col("case").str.extract(r"request=(\d+)").cast(pl.Int64)
    parts = {
        name: rows.filter(pl.col("metric") == metric).with_columns(request=number)
        for name, metric in (("ttft_ms", server_died.TTFT), ("wait_ms", server_died.WAIT))
    }
    if parts["ttft_ms"].is_empty():
        raise ReportError(f"chart {_TITLE!r} has no rows; measure first, or leave the chart out")
    waits = parts["wait_ms"].select("request", wait_ms=1e3 * pl.col("value"))
    return (
        parts["ttft_ms"]
        .join(waits, on="request")
        .select(
            "request",
            phase=pl.col("case").str.extract(r"phase=(.+)$"),
            outcome="variant",
            ttft_ms=1e3 * pl.col("value"),
            # A log axis has no zero.
            wait_ms=pl.col("wait_ms").clip(1e-3),
        )
        .sort("request")
    )


def _drawn(found: pl.DataFrame, panel: _Panel) -> alt.LayerChart:
    base = alt.Chart(found).encode(
        alt.X(
            "request:Q",
            title="Request" if panel.is_log else None,
            scale=alt.Scale(domain=[0.5, found.height + 0.5], nice=False),
            axis=alt.Axis(grid=False, tickMinStep=1, format="d"),
        ),
        _y(found, panel),
    )
    line = base.mark_line(strokeWidth=1, opacity=0.4)
    names, inks = list(_OUTCOMES), [ROLES[role].ink for role in _OUTCOMES.values()]
    dots = base.mark_point(size=55).encode(
        alt.Color(
            "outcome:N",
            scale=alt.Scale(domain=names, range=inks),
            legend=alt.Legend(title=None, orient="top"),
        ),
        alt.Shape("outcome:N", scale=alt.Scale(domain=names, range=["circle", "square"])),
        tooltip=[
            "request:Q",
            "phase:N",
            "outcome:N",
            alt.Tooltip(f"{panel.column}:Q", format=".2f"),
        ],
    )
    chart: alt.LayerChart = line + dots + _level(panel)
    return chart.properties(width=WIDTH - _SIDE_PIXELS, height=panel.height)


def _y(found: pl.DataFrame, panel: _Panel) -> alt.Y:
    values = [*found[panel.column].to_list(), panel.level_ms]
    if not panel.is_log:
        # Room above for the names of the events.
        scale = alt.Scale(domain=[0, 1.25 * max(values)], nice=False)
        return alt.Y(
            f"{panel.column}:Q", title=panel.title, scale=scale, axis=alt.Axis(tickCount=5)
        )
    domain = (min(values) / 2, max(values) * 2)
    scale = alt.Scale(type="log", domain=list(domain), nice=False)
    axis = alt.Axis(values=[tick for tick in log_ticks(domain) if f"{tick:e}".startswith("1.0")])
    return alt.Y(f"{panel.column}:Q", title=panel.title, scale=scale, axis=axis)


def _level(panel: _Panel) -> alt.LayerChart:
    text = f"{panel.level} {quantity(panel.level_ms, 'ms')}"
    base = alt.Chart(pl.DataFrame({"at": [panel.level_ms], "text": [text]})).encode(alt.Y("at:Q"))
    name = base.mark_text(align="left", baseline="middle", dx=8)
    rule = base.mark_rule(strokeDash=[6, 4], strokeWidth=1.5)
    return rule + name.encode(x=alt.value("width"), text="text:N")


def _events(found: pl.DataFrame, *, named: bool) -> alt.LayerChart:
    """Return a line before the first request of each phase, and what happened there."""
    firsts = found.group_by("phase", maintain_order=True).first()
    marks = firsts.filter(pl.col("phase") != server_died.HEALTHY).select(
        at=pl.col("request") - 0.5, text=pl.col("phase").str.replace(", ", "\n", literal=True)
    )
    base = alt.Chart(marks).encode(alt.X("at:Q"))
    rules = base.mark_rule(strokeWidth=1.5)
    if not named:
        return alt.layer(rules)
    # On two levels in turn: side by side on a phone they would run into one another.
    levels = [
        alt.Chart(some)
        .mark_text(align="left", baseline="top", dx=4, lineBreak="\n")
        .encode(alt.X("at:Q"), y=alt.value(2 + 14 * level), text="text:N")
        for level, some in enumerate((marks.gather_every(2), marks.gather_every(2, offset=1)))
        if some.height
    ]
    return alt.layer(rules, *levels)


def _words(found: pl.DataFrame, computed_ms: float) -> str:
    parts = []
    for (phase,), some in found.group_by("phase", maintain_order=True):
        n_hits = some.filter(pl.col("outcome") == HIT).height
        wait = quantity(float(some["wait_ms"].to_numpy().max()), "ms")
        parts.append(f"{phase}: {n_hits} of {some.height} hit, at most {wait} waited")
    return f"{_TITLE}: {'; '.join(parts)}; without the tier {quantity(computed_ms, 'ms')}."
