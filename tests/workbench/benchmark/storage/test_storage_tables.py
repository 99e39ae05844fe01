"""Tables say what the samples say: medians, ceilings by name, fractions, spreads."""

import numpy as np
import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.paired import Samples
from workbench.benchmark.storage import storage_tables
from workbench.benchmark.storage.fio import FioResult
from workbench.benchmark.storage.storage_media import open_media
from workbench.benchmark.storage.storage_sampling import Group

GB = 1e9
SECONDS = {
    "device": np.linspace(1.0, 3.0, 11),  # median 2 s
    "page_cache": np.full(11, 0.5),
    "device synchronous_huge": np.full(11, 1.6),
    "page_cache raw_loop": np.full(11, 0.4),
}
TOOK = {
    "device": np.arange(1.0, 102.0),
    "page_cache": np.full(101, 7.0),
    "device synchronous_huge": np.full(101, 3.0),
}
FIO = {
    1: [
        FioResult(1.0, 244.0, 90.0, 99.0, "psync", ""),
        FioResult(4.0, 976.0, 80.0, 89.0, "psync", ""),
    ],
    32: [FioResult(5.0, 1220.0, 400.0, 900.0, "io_uring", "")],
}


def group(**changes) -> Group:
    seconds = changes.pop("seconds", SECONDS)
    samples = Samples(seconds, dict.fromkeys(seconds, 4 * GB))
    fields = {"op": "read", "block_kib": 16, "samples": samples, "took_us": TOOK, "fio": FIO}
    return Group(**{**fields, **changes})


def test_the_table_by_hand():
    device, cache = storage_tables.wide_table([group()]).rows(named=True)
    assert device == {
        "block_kib": 16,
        "op": "read",
        "medium": "device",
        "GB/s": 2.0,
        "GB/s, huge pages": 2.5,
        "IOPS": pytest.approx(2 * GB / 16384),
        "p50 us": 51.0,
        "p99 us": 100.0,
        "ceiling": "fio psync, depth 1",
        "ceiling GB/s": 2.5,
        "of ceiling": 0.8,
        "ceiling spread": 4.0,
        "of depth 32": 0.4,
    }
    assert cache["GB/s"] == 8.0
    assert cache["GB/s, huge pages"] is None
    assert cache["ceiling"] == "bare system-call loop"
    assert cache["of ceiling"] == pytest.approx(0.8)
    assert cache["ceiling spread"] == 1.0
    assert cache["of depth 32"] is None


def test_without_fio_the_bare_loop_is_the_devices_ceiling():
    seconds = {**SECONDS, "device raw_loop": np.full(11, 1.0)}
    device = storage_tables.wide_table([group(fio={}, seconds=seconds)]).row(0, named=True)
    assert device["ceiling"] == "bare system-call loop"
    assert device["of ceiling"] == 0.5
    assert device["of depth 32"] is None


def test_one_fio_run_has_no_spread():
    device = storage_tables.wide_table([group(fio={1: FIO[1][:1]})]).row(0, named=True)
    assert device["ceiling spread"] is None


def test_metric_rows_carry_every_round_and_run():
    rows = storage_tables.metric_rows([group(), group(op="write", block_kib=4)])
    assert dict(rows.schema) == metrics.SCHEMA
    reads = rows.filter(pl.col("case") == "block_kib=16")
    throughput = reads.filter(pl.col("metric") == "storage_read")
    assert throughput.group_by("tier", "variant").len().sort("tier", "variant").rows() == [
        ("device", "fio_qd1", 2),
        ("device", "fio_qd32", 1),
        ("device", "synchronous", 11),
        ("device", "synchronous_huge", 11),
        ("page_cache", "raw_loop", 11),
        ("page_cache", "synchronous", 11),
    ]
    device = throughput.filter(pl.col("tier") == "device", pl.col("variant") == "synchronous")
    assert device["value"].to_list() == pytest.approx((4 / SECONDS["device"]).tolist())
    p99 = reads.filter(pl.col("metric") == "storage_read_p99", pl.col("tier") == "device")
    assert p99.select("unit", "variant", "value").rows() == [
        ("us", "synchronous", 100.0),
        ("us", "synchronous_huge", 3.0),
        ("us", "fio_qd1", 99.0),
        ("us", "fio_qd1", 89.0),
        ("us", "fio_qd32", 900.0),
    ]
    assert set(rows.filter(pl.col("case") == "block_kib=4")["metric"]) == {
        "storage_write",
        "storage_write_p50",
        "storage_write_p99",
    }


def test_the_proof_names_the_worst_residency(disk_folder):
    with open_media(disk_folder, 1 << 20, seed=0) as media:
        for medium in media:
            medium.resident_before += [0.25, 0.75]
            medium.resident_after += [0.125, 0.5]
        device, cache = storage_tables.proof_table(media).rows(named=True)
    assert (device["medium"], cache["medium"]) == ("device", "page_cache")
    assert (device["resident before"], device["resident after"]) == (0.75, 0.5)
    assert (cache["resident before"], cache["resident after"]) == (0.25, 0.125)
    assert not device["proven"]
    assert not cache["proven"]
    assert cache["opened"] == "buffered"
