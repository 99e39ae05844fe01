"""The page of one run: verdict first, then its chart, the notebook, and everything to check it by.

Follows: UX.md C3, the order of a report.
Leaves out: which runs get a page and where (build.py); what a record says in words (facts.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from markupsafe import Markup

from workbench.report import facts, metadata, ratio_charts, shell
from workbench.report.cells import MAX_PAGE_CHARS, Body, render_cells
from workbench.report.figures import chart_spec, render_svg
from workbench.report.numbers import plain_name
from workbench.report.page_charts import PageChart, script_json
from workbench.report.run_folder import RunFolder
from workbench.report.status import status_of
from workbench.report.svg import inlined
from workbench.report.tables import MAX_ROWS, table_html
from workbench.runs.days import find_day
from workbench.runs.record import RunRecord

_SERIES = ["metric", "tier", "case", "variant", "unit"]


@dataclass(frozen=True, slots=True)
class Links:
    """Where a run's page leads; without any it stands alone.

    Attributes
    ----------
    home : str               file name of the index beside the page
    earlier_good : Markup    a link to the last complete run, when this one is not
    sweep : str              file name of the page of the sweep that the run is of
    """

    home: str | None = None
    earlier_good: Markup | None = None
    sweep: str | None = None


def render_run(run: RunFolder, links: Links | None = None, budget: int = MAX_PAGE_CHARS) -> str:
    """Return the page of a run, whole and self-contained.

    Parameters
    ----------
    run : RunFolder   as read from disk
    links : Links     to other pages; default: none
    budget : int      characters of cell outputs to show

    Cost    1 s for importing nbconvert, then about 0.2 s.
    """
    links = links or Links()
    record = run.record
    charts = _Charts.of(run, budget)
    day = find_day(record.day)
    return shell.render(
        "run.html.j2",
        scripts=("charts.js", "run.js") if charts.exist else ("run.js",),
        with_vega=charts.exist,
        title=day.title if day else record.day,
        question=day.question if day else "",
        home=links.home,
        record=record,
        status=status_of(record),
        earlier_good=links.earlier_good,
        sweep=links.sweep,
        problems=run.problems,
        headline=charts.headline,
        charts=charts.rest,
        body=charts.body_html(),
        outline=_outline(charts),
        environment=facts.environment(record),
        appendix=facts.appendix(record),
        command=facts.command(record),
        metadata=script_json(metadata.to_metadata(record, run.metrics)),
        **_verdict(record),
        **_parameters(record),
        **_raw(run.metrics),
    )


@dataclass(frozen=True, slots=True)
class OutlineItem:
    """One line of the list of sections."""

    level: int
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class _Charts:
    """A run's charts: one at the top, the others in the notebook, or in a row without one."""

    headline: PageChart | None
    rest: tuple[PageChart, ...]
    body: Body | None

    @classmethod
    def of(cls, run: RunFolder, budget: int) -> _Charts:
        if run.notebook is not None:
            body = render_cells(run.notebook, budget)
            charts, chosen = body.charts, body.headline
        else:
            body, chosen = None, None
            charts = tuple(
                PageChart.of(
                    n, entry.get("title"), entry.get("alt"), entry.get("svg"), entry.get("spec")
                )
                for n, entry in enumerate(run.figures, start=1)
            )
        headline = next((chart for chart in charts if chart.number == chosen), None)
        headline = headline or _told_by(charts, run.record)
        return cls(headline, tuple(chart for chart in charts if chart is not headline), body)

    @property
    def exist(self) -> bool:
        return self.headline is not None

    def body_html(self) -> Markup | None:
        return self.body.filled(self._placed) if self.body else None

    def _placed(self, chart: PageChart) -> Markup:
        if chart is self.headline:
            link = f'<a href="#{chart.anchor}">Chart {chart.number}</a>'
            return Markup(f'<p class="moved">{link} is shown at the top of this page.</p>')
        return shell.figure_html(chart)


def _told_by(charts: tuple[PageChart, ...], record: RunRecord) -> PageChart | None:
    """Return the chart that shows both sides of the verdict, else the one the day ends on."""
    if record.verdict is not None:
        sides = (plain_name(record.verdict.contender), plain_name(record.verdict.baseline))
        for chart in charts:
            if all(side in chart.alt for side in sides):
                return chart
    return charts[-1] if charts else None


def _verdict(record: RunRecord) -> dict[str, Any]:
    verdict = record.verdict
    if verdict is None:
        return {"verdict": None, "reason": facts.outcome(record)}
    title = f"{plain_name(verdict.contender)} against {plain_name(verdict.baseline)}"
    figure = ratio_charts.ratio_interval(verdict.ratio.model_dump(), verdict.claim, title)
    drawing = inlined(render_svg(chart_spec(figure)), "interval", figure.alt)
    return {
        "verdict": verdict,
        "reason": record.reason,
        "interval": Markup(drawing),
        "verdict_sentence": facts.outcome(record),
        "verdict_facts": facts.verdict_facts(verdict),
    }


def _parameters(record: RunRecord) -> dict[str, Any]:
    changed, unchanged = facts.parameters(record)
    schema = {name: pl.String for name in ("name", "value", "default", "meaning")}
    tables = {
        "changed_table": (changed, "Changed for this run"),
        "unchanged_table": (unchanged, "At their defaults"),
    }
    return {
        "changed": len(changed),
        "unchanged": len(unchanged),
        **{
            name: _scrolling(table_html(pl.DataFrame(rows, schema=schema), caption))
            for name, (rows, caption) in tables.items()
        },
    }


def _raw(frame: pl.DataFrame) -> dict[str, Any]:
    value = pl.col("value")
    series = frame.group_by(_SERIES, maintain_order=True).agg(
        rounds=pl.len(), lowest=value.min(), median=value.median(), highest=value.max()
    )
    caption = "Measured values, by series"
    if series.height > MAX_ROWS:
        caption = f"The first {MAX_ROWS:,} of {series.height:,} series; the copy buttons give all"
    table = _scrolling(table_html(series.head(MAX_ROWS), caption)) if series.height else None
    return {"n_rows": frame.height, "n_series": series.height, "raw_table": table}


def _scrolling(table: str) -> Markup:
    return Markup(f'<div class="scroll">{table}</div>')


def _outline(charts: _Charts) -> list[OutlineItem]:
    items = [OutlineItem(2, "verdict", "Verdict")]
    if charts.headline:
        items.append(OutlineItem(2, charts.headline.anchor, "Headline chart"))
    if charts.body is not None:
        items.append(OutlineItem(2, "notebook-heading", "The notebook"))
        items += [OutlineItem(3, one.anchor, one.text) for one in charts.body.headings]
    elif charts.rest:
        items.append(OutlineItem(2, "charts-heading", "Charts"))
    return [
        *items,
        OutlineItem(2, "parameters-heading", "Parameters"),
        OutlineItem(2, "environment-heading", "Machine and environment"),
        OutlineItem(2, "raw-heading", "Raw numbers"),
        OutlineItem(2, "appendix-heading", "About this run"),
    ]
