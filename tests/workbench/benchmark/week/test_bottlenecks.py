"""The ranking: one stated rule, ceilings cap targets, nothing within its limit is listed."""

from __future__ import annotations

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.week import bottlenecks

GIB = 2**30


def copy_ceiling(tokens_s: float) -> pl.DataFrame:
    """Rows of the copy that stores that many 512 KiB tokens a second, and of a slower one."""
    gb_s = tokens_s * 512 * 1024 / 1e9
    return pl.concat(
        [
            metrics.rows("memory_copy_cached", "GB/s", [gb_s], case="threads=2"),
            metrics.rows("memory_copy_cached", "GB/s", [gb_s / 2], case="threads=1"),
        ]
    )


def storage(metric: str, block_kib: int, ours: float, ceiling: float) -> pl.DataFrame:
    keys = {"tier": "device", "case": f"block_kib={block_kib}"}
    return pl.concat(
        [
            metrics.rows(metric, "GB/s", [ours], variant="synchronous", **keys),
            metrics.rows(metric, "GB/s", [ceiling], variant="fio_qd32", **keys),
        ]
    )


def store(rate: float, ceiling: float) -> pl.DataFrame:
    return pl.concat(
        [
            metrics.rows("kv_store", "tokens/s", [rate], tier="hot", variant="numpy_per_layer"),
            copy_ceiling(ceiling),
        ]
    )


def footprint(needed: float) -> pl.DataFrame:
    return metrics.rows(
        "kv_footprint", "bytes", [needed], tier="memory", case="model=m tokens=1000", variant="fp16"
    )


def test_largest_distance_comes_first_and_each_direction_is_listed_once() -> None:
    rows = pl.concat(
        [
            storage("storage_read", 4, 0.04, 0.3),  # 7.5x
            storage("storage_read", 1024, 1.0, 1.2),  # 1.2x, the better size of the same direction
            storage("storage_write", 4, 0.05, 0.2),  # 4x
            store(5_000, 60_000),  # 10x short of the target
            footprint(48 * GIB),  # 2x
        ]
    )
    table = bottlenecks.rank(rows, ram_bytes=24 * GIB)
    assert table["times short"].round(3).to_list() == [10.0, 7.5, 4.0]
    assert "4 KiB" in table["bottleneck"][1]


def test_a_target_above_the_ceiling_is_replaced_by_the_ceiling() -> None:
    line = bottlenecks.rank(store(5_000, 19_000), ram_bytes=GIB).row(0, named=True)
    assert line["limit"] == 19_000
    assert "ceiling" in line["limit is"]


def test_what_is_within_its_limit_is_no_bottleneck() -> None:
    assert bottlenecks.rank(footprint(GIB), ram_bytes=24 * GIB).is_empty()


def test_a_missing_ceiling_ranks_nothing_instead_of_guessing() -> None:
    rows = metrics.rows(
        "storage_read", "GB/s", [0.1], tier="device", case="block_kib=4", variant="synchronous"
    )
    assert bottlenecks.rank(rows, ram_bytes=GIB).is_empty()
