"""Day 3's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

import polars as pl
import pytest

from tests.workbench.benchmark.store_samples import ablation
from workbench.benchmark.kv.store_ablation import HEAD_MAJOR
from workbench.errors import ReportError
from workbench.report import figures, store_charts


def test_the_ladder_stands_against_the_best_float16_copy():
    figure = store_charts.ladder(ablation().metrics)
    assert "numpy per token 4,000 tokens/s" in figure.alt
    assert "copy of the float16 bytes: at 42,000 tokens/s" in figure.alt
    assert HEAD_MAJOR.replace("_", " ") not in figure.alt
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])


def test_without_a_copy_there_is_no_line():
    rows = ablation().metrics.filter(~pl.col("variant").str.starts_with("copy_ceiling"))
    assert "copy of" not in store_charts.ladder(rows).alt


def test_the_roofline_has_every_geometry_under_its_ceiling():
    figure = store_charts.roofline(ablation().metrics)
    assert "copy ceiling" in figure.alt
    assert "22.5" in figure.alt
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])


@pytest.mark.parametrize("draw", [store_charts.ladder, store_charts.roofline])
def test_what_was_not_measured_is_refused(draw):
    with pytest.raises(ReportError, match="no rows"):
        draw(ablation().metrics.filter(pl.lit(value=False)))
