"""Build the charts that days share: sweeps as lines, bars against a ceiling, groups of bars.

Follows: UX.md C3 (fixed roles, never colour alone, values labelled); labels sit on the marks.
Leaves out: measuring and aggregating; a builder draws one row a mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import altair as alt
import polars as pl

from workbench.errors import ReportError
from workbench.report import alt_text
from workbench.report.figures import WIDTH, Figure
from workbench.report.marks import RoleScales, check_log, log_ticks, spread_labels, value_domain
from workbench.report.numbers import plain_name, quantity, unit_text

# Labels beside line ends: one line if short, else name over value; width a character, in pixels.
_LONGEST_LINE = 24
_CHAR_WIDTH = 6.9
_KEY_ROOM = 14
_VALUE_ROOM = 120
_ROW_HEIGHT = 40
_BAR_HEIGHT = 14
# A value's text is about as wide, of the plot.
_NEAR_FRAC = 0.16


@dataclass(frozen=True, slots=True)
class Channel:
    """A column of the frame: its name on the axis, its unit, and whether the axis is log."""

    column: str
    label: str
    unit: str = ""
    log: bool = False

    @property
    def title(self) -> str:
        """Return the axis title, e.g. Throughput (GB/s)."""
        return f"{self.label} ({unit_text(self.unit)})" if self.unit else self.label


@dataclass(frozen=True, slots=True)
class Rule:
    """A line that bars are held against: a measured ceiling or a target, in the bars' unit."""

    value: float
    label: str


def sweep_lines(
    frame: pl.DataFrame,
    title: str,
    x: Channel,
    y: Channel,
    series: str,
    roles: Mapping[str, str] | None = None,
) -> Figure:
    """Draw one line a series over a swept parameter, each named and valued at its end.

    Parameters
    ----------
    frame : polars.DataFrame   one row a point: numeric ``x`` and ``y`` columns, text ``series``
    title : str                what the chart shows
    x, y : Channel             the swept parameter and the measured value
    series : str               the column that names the lines
    roles : mapping            series -> role (palette.ROLES); ceilings are dashed on their own

    Raises
    ------
    ReportError   if there are no rows, or a log axis meets a value that is not positive
    """
    points = _columns(frame, title, {"x": x.column, "y": y.column, "series": series})
    points = points.sort("series", "x", maintain_order=True)
    for channel, name in ((x, "x"), (y, "y")):
        if channel.log:
            check_log(points[name], title, channel.label)
    scales = RoleScales.of(points["series"].unique(maintain_order=True).to_list(), roles)
    domain = value_domain(points["y"], y.log)
    x_axis = alt.X(
        "x:Q", title=x.title, axis=alt.Axis(grid=False, format=",", values=_ticks(points))
    )
    y_ticks = alt.Axis(values=log_ticks(domain)) if y.log else alt.Axis(tickCount=5)
    y_axis = alt.Y("y:Q", title=y.title, axis=y_ticks)
    base = alt.Chart(_with_text(points, y.unit)).encode(
        x_axis.scale(type="log", base=2, nice=False) if x.log else x_axis,
        y_axis.scale(type="log" if y.log else "linear", domain=list(domain), nice=False),
        scales.color("series"),
        tooltip=[
            alt.Tooltip("name:N", title="series"),
            "x:Q",
            alt.Tooltip("text:N", title=y.label),
        ],
    )
    lines = base.mark_line().encode(scales.dash("series"))
    dots = base.mark_point().encode(scales.shape("series"))
    labels = _line_ends(points, domain, y)
    chart = lines + dots + _labelled_ends(labels, scales)
    sentence = alt_text.of_sweep(points, title, x.unit, y.unit)
    return Figure(title, chart.properties(width=WIDTH - _label_room(labels)), sentence)


def bars_with_ceiling(
    frame: pl.DataFrame,
    title: str,
    label: str,
    value: Channel,
    rule: Rule | None = None,
    roles: Mapping[str, str] | None = None,
) -> Figure:
    """Draw one horizontal bar a row, its value beside it, and a dashed line to hold them against.

    Parameters
    ----------
    frame : polars.DataFrame   one row a bar, top to bottom; when it has ``<value>_low`` and
                               ``<value>_high`` columns, an interval is drawn over the bar
    title : str                what the chart shows
    label : str                the column that names the bars; names are unique
    value : Channel            the bars' length; always linear and from zero
    rule : Rule                a ceiling or target, or None
    roles : mapping            bar name -> role (palette.ROLES)

    Raises
    ------
    ReportError   if there are no rows, or a value is negative
    """
    wanted = {"label": label, "value": value.column}
    interval = {end: f"{value.column}_{end}" for end in ("low", "high")}
    if set(interval.values()) <= set(frame.columns):
        wanted |= interval
    bars = _columns(frame, title, wanted)
    highest = max(max(bars[name].to_list()) for name in wanted if name != "label")
    length = _bar_scale(bars, title, max(highest, rule.value if rule else 0))
    # The value is written beyond the interval's end, where nothing crosses it, the line included.
    tips = bars.with_columns(end=pl.max_horizontal(wanted.keys() - {"label", "low"}))
    if rule is not None:
        near = pl.col("end").is_between(rule.value - _NEAR_FRAC * length.domain[1], rule.value)
        tips = tips.with_columns(end=pl.when(near).then(rule.value).otherwise("end"))
    chart = _bar_layers(_with_text(tips, value.unit), length, roles)
    if "low" in wanted:
        span = alt.Chart(bars).mark_rule(strokeWidth=1.5, yOffset=8)
        chart += span.encode(_rows(bars), alt.X("low:Q", scale=length, axis=None), x2="high:Q")
    if rule is not None:
        chart += _rule_layers(bars, rule, value.unit, length)
    named = alt.TitleParams(value.title, fontSize=12, fontWeight=400, offset=6)
    chart = chart.properties(
        width=WIDTH - _VALUE_ROOM, height=_ROW_HEIGHT * bars.height, title=named
    )
    against = (rule.label, rule.value) if rule else None
    return Figure(title, chart, alt_text.of_bars(bars, title, value.unit, against))


def grouped_bars(
    frame: pl.DataFrame,
    title: str,
    group: str,
    label: str,
    value: Channel,
    roles: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a block of horizontal bars a group, each on its own scale, every value written out.

    Parameters
    ----------
    frame : polars.DataFrame   one row a bar; groups and bars keep their order
    title : str                what the chart shows
    group, label : str         the columns that name the blocks and the bars in them
    value : Channel            the bars' length; always linear and from zero
    roles : mapping            bar name -> role (palette.ROLES)

    Raises
    ------
    ReportError   if there are no rows, or a value is negative
    """
    bars = _columns(frame, title, {"group": group, "label": label, "value": value.column})
    _bar_scale(bars, title, 0)
    rows = _with_text(bars.with_columns(end="value"), value.unit)
    blocks = [
        _bar_layers(block, alt.Scale(zero=True, nice=False), roles).properties(
            width=WIDTH - _VALUE_ROOM,
            height=_ROW_HEIGHT * block.height,
            title=plain_name(str(name)),
        )
        for (name,), block in rows.group_by("group", maintain_order=True)
    ]
    chart = alt.vconcat(*blocks, spacing=16)
    return Figure(title, chart, alt_text.of_groups(bars, title, value.unit))


def _columns(frame: pl.DataFrame, title: str, wanted: Mapping[str, str]) -> pl.DataFrame:
    """Return the wanted columns under our names, which hold no dot or bracket Vega would read."""
    missing = sorted(set(wanted.values()) - set(frame.columns))
    if missing:
        raise ReportError(
            f"chart {title!r}: no column {', '.join(missing)}; there are {', '.join(frame.columns)}"
        )
    rows = frame.select(pl.col(column).alias(name) for name, column in wanted.items()).drop_nulls()
    if rows.is_empty():
        raise ReportError(f"chart {title!r} has no rows; measure first, or leave the chart out")
    return rows


def _with_text(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Add what is written beside a mark: the value with its unit, and the name in words."""
    value, name = ("y", "series") if "y" in rows.columns else ("value", "label")
    return rows.with_columns(
        text=pl.Series([quantity(number, unit) for number in rows[value]], dtype=pl.String),
        name=pl.Series([plain_name(text) for text in rows[name]], dtype=pl.String),
    )


def _ticks(points: pl.DataFrame) -> list[float]:
    return points["x"].unique().sort().to_list()


def _line_ends(points: pl.DataFrame, domain: tuple[float, float], y: Channel) -> pl.DataFrame:
    ends = _with_text(points.group_by("series", maintain_order=True).last(), y.unit)
    one_line = pl.col("name") + "\u2002" + pl.col("text")
    n_lines = 1 if ends.select(one_line.str.len_chars().max()).item() <= _LONGEST_LINE else 2
    places = spread_labels(ends["y"].to_list(), domain, log=y.log, n_lines=n_lines)
    two_lines = pl.col("name") + "\n" + pl.col("text")
    return ends.select(
        "x", "series", label_y=pl.Series(places), text=one_line if n_lines == 1 else two_lines
    )


def _labelled_ends(labels: pl.DataFrame, scales: RoleScales) -> alt.LayerChart:
    """Return each line's name and value at its end, and its mark before them: stacked ones move."""
    base = alt.Chart(labels).encode(x="x:Q", y="label_y:Q")
    key = base.mark_point(xOffset=_KEY_ROOM).encode(scales.color("series"), scales.shape("series"))
    text = base.mark_text(align="left", baseline="middle", dx=_KEY_ROOM + 9, lineBreak="\n")
    return key + text.encode(text="text:N")


def _label_room(labels: pl.DataFrame) -> int:
    lines = "\n".join(labels["text"]).split("\n")
    return round(max(len(line) for line in lines) * _CHAR_WIDTH) + 16 + _KEY_ROOM


def _bar_scale(bars: pl.DataFrame, title: str, highest: float) -> alt.Scale:
    low = min(bars["value"].to_list())
    if low < 0:
        raise ReportError(
            f"chart {title!r} has the value {low}; bars start at 0, draw lines instead"
        )
    return alt.Scale(domain=[0, highest or 1], nice=False)


def _rows(rows: pl.DataFrame) -> alt.Y:
    return alt.Y("label:N", sort=rows["label"].unique(maintain_order=True).to_list(), axis=None)


def _bar_layers(
    rows: pl.DataFrame, length: alt.Scale, roles: Mapping[str, str] | None
) -> alt.LayerChart:
    """Return bars with the name above each and the value at its end; no axis is needed then."""
    names = rows["label"].unique(maintain_order=True).to_list()
    scales = RoleScales.of(names, roles, is_named=True)
    base = alt.Chart(rows).encode(_rows(rows))
    x = alt.X("value:Q", scale=length, axis=None)
    tips = [alt.Tooltip("name:N", title="what"), alt.Tooltip("text:N", title="value")]
    bar = base.mark_bar(size=_BAR_HEIGHT, yOffset=9)
    name = base.mark_text(align="left", dy=-8, baseline="middle")
    value = base.mark_text(align="left", dx=7, dy=10, baseline="middle", fontWeight=600)
    return alt.layer(
        bar.encode(x, scales.color("label"), tooltip=tips),
        name.encode(x=alt.value(0), text="name:N"),
        value.encode(alt.X("end:Q", scale=length, axis=None), text="text:N"),
    )


def _rule_layers(bars: pl.DataFrame, rule: Rule, unit: str, length: alt.Scale) -> alt.LayerChart:
    """Return the line, a piece across each bar so that it strikes no name through, and its name."""
    label = f"{rule.label} {quantity(rule.value, unit)}"
    base = alt.Chart(pl.DataFrame({"value": [rule.value], "text": [label]}))
    x = alt.X("value:Q", scale=length, axis=None)
    # The label grows towards the middle, so that it stays on the chart at either end.
    far = rule.value > length.domain[1] / 2
    text = base.mark_text(align="right" if far else "left", baseline="bottom", dx=4 if far else -4)
    pieces = alt.Chart(bars.select("label", value=pl.lit(rule.value))).encode(_rows(bars), x)
    tick = pieces.mark_tick(
        orient="vertical", size=_BAR_HEIGHT + 8, thickness=1.5, yOffset=9, color="currentColor"
    )
    return alt.layer(tick, text.encode(x, y=alt.value(-6), text="text:N"))
