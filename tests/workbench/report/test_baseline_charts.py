"""Day 1's charts: each draws the rows it names, and says in words what it shows."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.errors import ReportError
from workbench.report import baseline_charts, figures


def storage_rows(op: str) -> pl.DataFrame:
    return pl.concat(
        metrics.rows(
            f"storage_{op}",
            "GB/s",
            [rate * block_kib] * 3,
            tier=tier,
            case=f"block_kib={block_kib}",
            variant=variant,
        )
        for block_kib in (4, 64)
        for tier, variant, rate in (
            ("device", "synchronous", 0.01),
            ("device", "fio_qd1", 0.012),
            ("device", "fio_qd32", 0.03),
            ("page_cache", "synchronous", 0.1),
            ("page_cache", "raw loop", 0.2),
        )
    )


def test_storage_draws_both_media_and_the_deep_ceiling_only() -> None:
    figure = baseline_charts.storage(storage_rows("read"), "read")
    assert "page cache from 0.400 GB/s at 4 KiB" in figure.alt
    assert "fio on it, depth 32" in figure.alt
    assert "raw" not in figure.alt
    assert "<svg" in str(figures.bundle(figure)["image/svg+xml"])


def test_storage_of_a_direction_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ReportError, match="no rows"):
        baseline_charts.storage(storage_rows("read"), "write")


def test_kv_store_holds_the_rates_against_the_target() -> None:
    rows = pl.concat(
        metrics.rows("kv_store", "tokens/s", rates, tier="hot", variant=variant)
        for variant, rates in {"numpy_per_layer": [4, 5, 9], "copy_ceiling": [20, 21, 22]}.items()
    )
    figure = baseline_charts.kv_store(rows)
    assert "numpy per layer 5 tokens/s" in figure.alt.replace("5.00", "5")
    assert "Week-1 target at 50,000 tokens/s" in figure.alt


def test_memory_groups_by_thread_count() -> None:
    rows = pl.concat(
        metrics.rows(
            "memory_copy", "GB/s", [rate], tier="memory", case=f"threads={n}", variant=name
        )
        for n in (1, 2)
        for name, rate in {"numpy": 9.0, "njit_nontemporal": 19.0}.items()
    )
    alt = baseline_charts.memory(rows).alt
    assert "1 thread:" in alt
    assert "2 threads:" in alt


def test_footprint_draws_one_context_length_of_every_model() -> None:
    rows = pl.concat(
        metrics.rows(
            "kv_footprint",
            "bytes",
            [tokens * size],
            case=f"model={model} tokens={tokens}",
            variant=kind,
        )
        for model, size in {"a": 1024, "b": 2048}.items()
        for tokens in (1000, 10_000)
        for kind in ("fp16", "int8")
    )
    alt = baseline_charts.footprint(rows, tokens=1000).alt
    assert "1,000 tokens" in alt
    assert "a: " in alt
    assert "b: " in alt
