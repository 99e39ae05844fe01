"""Draw a sweep: each run's ratio with its interval by the swept parameter, and runs without one.

Follows: marks.py and palette.py for scales and roles; a run that failed is a mark, never a gap.
Leaves out: judging; every ratio was measured within its own run, against that run's own baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from workbench.report import alt_text
from workbench.report.figures import WIDTH, Figure
from workbench.report.marks import RoleScales, log_ticks, spread_labels
from workbench.report.numbers import claim_factor, claim_text
from workbench.report.sweep_rows import Roles, run_rows, value_text
from workbench.runs.record import RunRecord
from workbench.runs.swept import Swept

# The names of the dashed lines stand right of the plot, the marks of runs without a ratio below.
_NAME_ROOM = 104
_LANE = 38
_HEIGHT, _PANEL_HEIGHT = 260, 170
_CROSS = "\N{BALLOT X}"
# Places of one panel whose ratios can be written beside them without touching, on a phone too.
_MAX_WRITTEN = 5
# The plot of a phone and a character, in pixels: names along the axis that are longer are turned.
_PHONE, _CHAR_WIDTH = 250, 6.9


@dataclass(frozen=True, slots=True)
class _Plot:
    """What all panels share: channels, scales and the lines that ratios are held against."""

    roles: Roles
    order: tuple[str, ...]
    slots: tuple[str, ...]
    scales: RoleScales
    domain: tuple[float, float]
    claim: str
    height: int

    @property
    def offset(self) -> alt.XOffset:
        """Return where in its value's place a run stands: by its colour, and by its repeat."""
        return alt.XOffset("slot:N", sort=self.slots, scale=alt.Scale(domain=list(self.slots)))

    @property
    def is_written(self) -> bool:
        """Tell whether there is room to write ratios beside their marks."""
        return len(self.order) * len(self.slots) <= _MAX_WRITTEN

    def x(self, lane: int) -> alt.X:
        """Return the axis of the swept parameter, so many pixels below the plot."""
        room = _PHONE / len(self.order)
        angle = -40 if max(map(len, self.order)) * _CHAR_WIDTH > room else 0
        axis = alt.Axis(labelAngle=angle, offset=lane, grid=False, labelLimit=160)
        scale = alt.Scale(domain=list(self.order), paddingInner=0.15, paddingOuter=0.08)
        return alt.X("x:N", sort=self.order, title=self.roles.x, axis=axis, scale=scale)

    @property
    def y(self) -> alt.Scale:
        """Return the scale of the ratios, on which 2x and 0.5x are equally far from 1x."""
        return alt.Scale(type="log", domain=list(self.domain), nice=False)


def ratios(sweep: Swept, records: Sequence[RunRecord]) -> Figure | None:
    """Draw the runs of one machine; None if nothing was swept, or no run came to a ratio.

    Parameters
    ----------
    sweep : Swept        the grid
    records : sequence   runs of one machine, and those that were lost on one that is not known
    """
    if not sweep.axes or all(record.verdict is None for record in records):
        return None
    roles = Roles.of(sweep.axes)
    rows = run_rows(sweep, records, roles)
    plot = _plot(sweep, records, roles, rows)
    panels = [
        _panel(block, plot, str(name) if roles.panels else "")
        for (name,), block in rows.group_by("panel", maintain_order=True)
    ]
    # Also around a single panel: a legend stands above it then, and not on its axis title.
    chart = alt.vconcat(*panels, spacing=18)
    title = f"Ratio with its interval by {roles.listed}"
    return Figure(title, chart, alt_text.of_runs(rows, title, plot.claim))


def _plot(sweep: Swept, records: Sequence[RunRecord], roles: Roles, rows: pl.DataFrame) -> _Plot:
    claims = {record.verdict.claim for record in records if record.verdict}
    claim = claims.pop() if len(claims) == 1 else ""
    names = [value_text(value) for value in sweep.axes[roles.series]] if roles.series else [""]
    n_repeats = max(rows["repeat"].to_list())
    return _Plot(
        roles,
        tuple(value_text(value) for value in sweep.axes[roles.x]),
        tuple(f"{name} {n}" for name in names for n in range(1, n_repeats + 1)),
        RoleScales.of(names, None),
        _domain(rows, claim),
        claim,
        _PANEL_HEIGHT if roles.panels else _HEIGHT,
    )


def _panel(rows: pl.DataFrame, plot: _Plot, title: str) -> alt.LayerChart:
    slots = rows.with_columns(slot=pl.format("{} {}", "series", "repeat"))
    measured = slots.filter(pl.col("ratio").is_not_null())
    ended = slots.filter(pl.col("ratio").is_null())
    lane = _LANE if ended.height else 0
    layers = [_lines(plot)]
    if measured.height:
        layers.append(_marks(measured, plot, plot.x(lane)))
    if ended.height:
        layers.append(_lane(ended, plot, plot.x(lane)))
    chart = alt.layer(*layers).properties(width=WIDTH - _NAME_ROOM, height=plot.height)
    return chart.properties(title=alt.TitleParams(title, frame="group")) if title else chart


def _marks(measured: pl.DataFrame, plot: _Plot, x: alt.X) -> alt.LayerChart:
    """Return interval and median of every run; one whose verdict does not count is hollow."""
    ticks = alt.Axis(
        values=log_ticks(plot.domain), labelExpr="format(datum.value, '~r') + '\u00d7'"
    )

    def y(column: str) -> alt.Y:
        return alt.Y(f"{column}:Q", title="Ratio", scale=plot.y, axis=ticks)

    base = alt.Chart(measured).encode(x, plot.offset, _coloured(plot), tooltip=_tips(plot))
    layers = [base.mark_rule(strokeWidth=2).encode(y("low"), y2="high:Q")]
    for counts in (True, False):
        some = measured.filter(pl.col("counts") == counts)
        if some.height:
            dots = alt.Chart(some).encode(x, plot.offset, _coloured(plot), _shaped(plot))
            mark = dots.mark_point(filled=counts, strokeWidth=2, size=64)
            layers.append(mark.encode(y("ratio"), tooltip=_tips(plot)))
    if plot.is_written:
        text = alt.Chart(measured).encode(x, plot.offset, y("high"), text="text:N")
        layers.append(text.mark_text(dy=-7, baseline="bottom", fontSize=11))
    return alt.layer(*layers)


def _lane(ended: pl.DataFrame, plot: _Plot, x: alt.X) -> alt.LayerChart:
    """Return a cross for every run without a ratio, in a lane between the plot and its axis."""
    at = plot.height + _LANE / 2
    name = alt.Chart(pl.DataFrame({"text": ["no ratio"]})).mark_text(align="right", dx=-8)
    base = alt.Chart(ended).encode(x, plot.offset, _coloured(plot), tooltip=_tips(plot))
    cross = base.mark_text(text=_CROSS, fontSize=14, fontWeight=600, baseline="middle")
    layers = [
        name.encode(x=alt.value(0), y=alt.value(at), text="text:N"),
        cross.encode(y=alt.value(at - 8 if plot.is_written else at)),
    ]
    if plot.is_written:
        word = alt.Chart(ended).mark_text(fontSize=11, baseline="middle")
        layers.append(word.encode(x, plot.offset, y=alt.value(at + 7), text="word:N"))
    return alt.layer(*layers)


def _lines(plot: _Plot) -> alt.LayerChart:
    """Return the dashed lines of 1x and of the claim, each named right of the plot."""
    lines = {1.0: "no change"}
    if plot.claim:
        factor = claim_factor(plot.claim)
        lines[factor] = f"claim {claim_text(plot.claim)}"
    places = spread_labels(
        list(lines), plot.domain, log=True, n_lines=1 if plot.height > 200 else 2
    )
    frame = pl.DataFrame({"at": list(lines), "text": list(lines.values()), "label_at": places})
    base = alt.Chart(frame)
    y = {"title": "Ratio", "scale": plot.y}
    rules = base.mark_rule(strokeDash=[6, 4], strokeWidth=1.5, opacity=0.7)
    names = base.mark_text(align="left", dx=8, baseline="middle")
    return alt.layer(
        rules.encode(alt.Y("at:Q", **y)),
        names.encode(alt.Y("label_at:Q", **y), x=alt.value("width"), text="text:N"),
    )


def _coloured(plot: _Plot) -> alt.Color:
    return plot.scales.color("series").legend(_legend(plot))


def _shaped(plot: _Plot) -> alt.Shape:
    return plot.scales.shape("series").legend(_legend(plot))


def _legend(plot: _Plot) -> alt.Legend | None:
    if plot.roles.series is None:
        return None
    columns = 3 if max(map(len, plot.scales.names)) < 10 else 2
    return alt.Legend(title=plot.roles.series, columns=columns, symbolType="circle")


def _tips(plot: _Plot) -> list[alt.Tooltip]:
    series = [alt.Tooltip("series:N", title=plot.roles.series)] if plot.roles.series else []
    return [
        alt.Tooltip("x:N", title=plot.roles.x),
        *series,
        alt.Tooltip("text:N", title="ratio"),
        alt.Tooltip("span:N", title="interval"),
        alt.Tooltip("state:N", title="state"),
    ]


def _domain(rows: pl.DataFrame, claim: str) -> tuple[float, float]:
    ends = [*rows["low"].drop_nulls(), *rows["high"].drop_nulls(), 1.0]
    ends += [claim_factor(claim)] if claim else []
    margin = max(1.08, (max(ends) / min(ends)) ** 0.08)
    return min(ends) / margin, max(ends) * margin**1.5
