"""The targets table: standing follows from the measured rows and the ceilings."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.week import targets


def copy_ceiling(tokens_s: float) -> pl.DataFrame:
    """Rows of the copy that stores that many 512 KiB tokens a second, and of a slower one."""
    gb_s = tokens_s * 512 * 1024 / 1e9
    return pl.concat(
        [
            metrics.rows("memory_copy_cached", "GB/s", [gb_s], case="threads=2"),
            metrics.rows("memory_copy_cached", "GB/s", [gb_s / 2], case="threads=1"),
        ]
    )


def day_one(
    store: float, ceiling: float, slab_bytes: float = 1.1e9, slab: str = "model=seed tokens=1024"
) -> pl.DataFrame:
    return pl.concat(
        [
            metrics.rows(
                "storage_read",
                "GB/s",
                [0.1, 0.3, 0.2],
                tier="device",
                case="block_kib=16",
                variant="synchronous",
            ),
            metrics.rows(
                "storage_read",
                "GB/s",
                [1.2],
                tier="device",
                case="block_kib=16",
                variant="fio_qd32",
            ),
            metrics.rows(
                "storage_read",
                "GB/s",
                [9.0],
                tier="page_cache",
                case="block_kib=16",
                variant="synchronous",
            ),
            metrics.rows("kv_store", "tokens/s", [store], tier="hot", variant="numpy_per_layer"),
            copy_ceiling(ceiling),
            metrics.rows("hot_slab_rss", "bytes", [slab_bytes], tier="memory", case=slab),
        ]
    )


def standing(rows: pl.DataFrame, name: str) -> dict[str, object]:
    return targets.week_one(rows).row(by_predicate=pl.col("target") == name, named=True)


@pytest.mark.parametrize(
    ("store", "ceiling", "expected"),
    [(5_000, 60_000, "open"), (5_000, 19_000, "out of reach here"), (51_000, 60_000, "reached")],
)
def test_store_rate_is_judged_against_the_target_and_the_ceiling(
    store: float, ceiling: float, expected: str
) -> None:
    line = standing(day_one(store, ceiling), targets.KV_STORE.name)
    assert line["standing"] == expected
    assert line["here"] == store


def test_storage_line_reads_the_device_and_never_the_page_cache() -> None:
    line = standing(day_one(1, 2), targets.STORAGE.name)
    assert (line["here"], line["ceiling"], line["standing"]) == (0.2, 1.2, "out of reach here")


@pytest.mark.parametrize(("slab_bytes", "expected"), [(1.1e9, "reached"), (1.6e9, "open")])
def test_footprint_is_better_when_smaller(slab_bytes: float, expected: str) -> None:
    assert standing(day_one(1, 2, slab_bytes), targets.FOOTPRINT.name)["standing"] == expected


def test_what_was_not_measured_says_so() -> None:
    assert set(targets.week_one(metrics.empty())["standing"]) == {"not measured yet"}


def test_a_smaller_hot_tier_is_not_taken_for_the_test_configuration() -> None:
    rows = day_one(1, 2, 6.7e7, slab="model=seed tokens=64")
    assert standing(rows, targets.FOOTPRINT.name)["standing"] == "not measured yet"


def test_without_fio_the_bare_loop_is_the_storage_ceiling() -> None:
    rows = day_one(1, 2).filter(pl.col("variant") != "fio_qd32")
    keys = {"tier": "device", "case": "block_kib=16", "variant": "raw_loop"}
    loop = metrics.rows("storage_read", "GB/s", [0.25], **keys)
    assert standing(pl.concat([rows, loop]), targets.STORAGE.name)["ceiling"] == 0.25


def test_latencies_are_percentiles_of_the_real_models_tokens() -> None:
    rows = metrics.rows("decode_latency", "ms", [*range(1, 100), 130], variant="exact_float32")
    p99, p50 = (standing(rows, one.name) for one in (targets.LATENCY, targets.LATENCY_P50))
    assert (p99["here"], p99["standing"]) == (130, "open")
    assert (p50["here"], p50["standing"]) == (51, "open")
    assert targets.latency_ms(rows.head(49), 50) == 25
