"""Day 2's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.errors import ReportError
from workbench.report import figures, restore_charts

RATES = {
    "synchronous": (16, 0.1),
    "block_size": (256, 0.5),
    "read_ahead": (256, 1.5),
    "whole_plan": (256, 2.0),
    "queue_depth_small": (16, 0.7),
    "fio_qd1": (256, 0.6),
    "fio_qd32": (256, 2.5),
}


def rows(*workloads: str, without: str = "none") -> pl.DataFrame:
    return pl.concat(
        metrics.rows(
            f"restore_{workload}",
            "GB/s",
            [rate, rate, 2 * rate],
            tier="device",
            case=f"block_kib={block_kib}",
            variant=variant,
        )
        for workload in workloads
        for variant, (block_kib, rate) in RATES.items()
        if not variant.startswith(without)
    )


def test_the_ablation_stands_against_fio_at_its_best():
    figure = restore_charts.ablation(rows("sequential", "random"), "sequential")
    assert "block after block" in figure.title
    assert "whole plan 2.00 GB/s" in figure.alt
    assert "fio, 256 KiB, depth 32: at 2.50 GB/s" in figure.alt
    assert "small" not in figure.alt
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])


def test_without_fio_there_is_no_line():
    figure = restore_charts.ablation(rows("mixed", without="fio"), "mixed")
    assert "fio" not in figure.alt


def test_a_workload_that_was_not_measured_is_refused():
    with pytest.raises(ReportError, match="no rows"):
        restore_charts.ablation(rows("sequential"), "mixed")


def test_workloads_stand_side_by_side_in_the_order_of_measuring():
    figure = restore_charts.workloads(rows("sequential", "model_load"))
    assert figure.alt.index("block after block") < figure.alt.index("a model, in the order")
    assert "fio at its best 2.50 GB/s" in figure.alt
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])
