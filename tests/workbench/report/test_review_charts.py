"""Day 5's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.week import week_review
from workbench.benchmark.week.targets import KV_STORE, LATENCY
from workbench.benchmark.week.week_review import Measured
from workbench.errors import ReportError
from workbench.report import figures, review_charts


def test_every_measured_line_has_its_bars_and_the_others_none():
    lines = [Measured(KV_STORE, 5_000, 30_000, None, ""), Measured(LATENCY, None, None, None, "")]
    figure = review_charts.targets(week_review.review(lines))
    assert "50,000" in figure.alt
    assert LATENCY.name not in figure.alt
    assert "<svg" in figures.render_svg(figures.chart_spec(figure))


def test_without_a_measured_line_there_is_no_chart():
    with pytest.raises(ReportError, match="has no rows"):
        review_charts.targets(week_review.review([Measured(LATENCY, None, None, None, "")]))


def test_the_resume_is_drawn_over_the_length_of_the_text():
    rows = pl.concat(
        metrics.rows("ttft", "ms", [value], case=f"tokens={n}", variant=variant)
        for variant, values in {"computed again": (100, 900), "resumed": (20, 30)}.items()
        for n, value in zip((512, 4096), values, strict=True)
    )
    figure = review_charts.resume(rows)
    assert "resumed" in figure.alt
    assert "4,096" in figure.alt or "4096" in figure.alt
    assert "<svg" in figures.render_svg(figures.chart_spec(figure))


def test_projections_are_drawn_and_what_is_needed_is_no_machine():
    table = pl.DataFrame({"weights": ["all in memory"], "ms a token": [2000.0]})
    assert "2,000" in review_charts.projection(table).alt
    machines = pl.DataFrame(
        {"machine": ["needed for 100 ms", "a server"], "ms a token": [100.0, 80.0]}
    )
    figure = review_charts.machines(machines)
    assert "a server" in figure.alt
    assert "needed" not in figure.alt
