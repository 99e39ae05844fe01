"""measure(): every point on both media, proven; impossible plans refused whole; nothing left."""

import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.storage import storage_sweep
from workbench.benchmark.storage.storage_sweep import SweepPlan, measure
from workbench.errors import UsageError
from workbench.tiering.memory import huge_pages_granted

PLAN = SweepPlan(block_kib=(4, 64), file_mib=4, sample_mib=1, fio_ms=20, fio_rounds=0)
POINTS = [(4, "read"), (4, "write"), (64, "read"), (64, "write")]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a file's cache")


@pytest.fixture(scope="module")
def swept(disk_root):
    with tempfile.TemporaryDirectory(dir=disk_root, prefix=".test-") as name:
        sweep = measure(Path(name), PLAN, seed=3)
        assert list(Path(name).iterdir()) == []
    return sweep


def test_every_point_is_there_on_both_media(swept):
    found = swept.table.select("block_kib", "op", "medium").rows()
    assert found == [
        (block_kib, op, medium) for block_kib, op in POINTS for medium in ("device", "page_cache")
    ]
    figures = swept.table.select("GB/s", "IOPS", "p50 us", "p99 us", "of ceiling")
    assert all(value > 0 for row in figures.rows() for value in row)


def test_rows_fit_the_schema_and_hold_every_round(swept):
    assert dict(swept.metrics.schema) == metrics.SCHEMA
    engine = swept.metrics.filter(
        pl.col("metric") == "storage_write",
        pl.col("case") == "block_kib=64",
        pl.col("variant") == "synchronous",
    )
    assert engine.group_by("tier").len().sort("tier").rows() == [("device", 10), ("page_cache", 10)]


@linux_only
def test_both_media_are_proven(swept):
    assert swept.proof.select("medium", "O_DIRECT read back", "proven").rows() == [
        ("device", "set", True),
        ("page_cache", "not set", True),
    ]


def test_the_ratio_comes_from_paired_rounds(swept):
    for block_kib, op in POINTS:
        ratio = swept.ratio(op, block_kib)
        assert ratio.n_rounds == PLAN.rounds
        assert 0 < ratio.low <= ratio.median <= ratio.high


def test_an_unmeasured_ratio_names_what_was_measured(swept):
    with pytest.raises(UsageError, match="read 16 KiB was not measured; measured: read 4 KiB, "):
        swept.ratio("read", 16)


def test_notes_say_what_stood_in_for_fio_and_what_lies_below(swept):
    text = " ".join(swept.notes)
    assert "bare loop" in text
    assert "flushed after each sample" in text
    assert "host cache" in text


def test_huge_pages_are_measured_where_there_are_any(swept):
    measured = "synchronous_huge" in set(swept.metrics["variant"])
    assert measured == huge_pages_granted()
    huge = swept.table.filter(pl.col("medium") == "device")["GB/s, huge pages"]
    assert huge.null_count() == (0 if measured else huge.len())
    assert any("one piece" in note or "no huge pages" in note for note in swept.notes)


def test_a_system_without_huge_pages_is_no_obstacle(disk_folder, monkeypatch):
    monkeypatch.setattr(storage_sweep, "huge_pages_granted", lambda: False)
    plan = SweepPlan(block_kib=(64,), file_mib=4, sample_mib=1, fio_rounds=0)
    sweep = measure(disk_folder, plan)
    assert sweep.table["GB/s, huge pages"].null_count() == sweep.table.height
    assert any("no huge pages" in note for note in sweep.notes)


@pytest.mark.fio
def test_fio_is_the_ceiling_where_it_runs(disk_folder):
    plan = SweepPlan(block_kib=(16,), file_mib=4, sample_mib=1, fio_ms=20, fio_rounds=2)
    sweep = measure(disk_folder, plan)
    device = sweep.table.filter(pl.col("medium") == "device")
    assert set(device["ceiling"]) == {"fio psync, depth 1"}
    assert all(spread >= 1 for spread in device["ceiling spread"])
    assert all(fraction > 0 for fraction in device["of depth 32"])
    variants = sweep.metrics.filter(pl.col("tier") == "device")["variant"].unique()
    assert set(variants) - {"synchronous_huge"} == {"synchronous", "fio_qd1", "fio_qd32"}
    assert list(disk_folder.iterdir()) == []


def test_a_missing_fio_is_no_obstacle(disk_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = SweepPlan(block_kib=(64,), file_mib=4, sample_mib=1, fio_rounds=2)
    sweep = measure(disk_folder, plan)
    assert set(sweep.table["ceiling"]) == {"bare system-call loop"}
    assert any("fio is missing" in note and "install fio" in note for note in sweep.notes)


@linux_only
def test_without_direct_io_the_cache_is_dropped_before_each_read(disk_folder):
    plan = SweepPlan(block_kib=(64,), file_mib=4, sample_mib=1, fio_rounds=0)
    sweep = measure(disk_folder, plan, direct=False)
    device = sweep.proof.row(0, named=True)
    assert device["opened"] == "buffered, dropped before each sample, written through"
    assert device["O_DIRECT read back"] == "not set"
    assert device["resident before"] == 0
    assert device["proven"]
    assert any("direct I/O was not asked for" in note for note in sweep.notes)


def test_an_interrupt_leaves_nothing(disk_folder, monkeypatch):
    def interrupt(*arguments):
        assert len(list(disk_folder.iterdir())) == 2
        raise KeyboardInterrupt

    monkeypatch.setattr(storage_sweep, "measure_group", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []


def test_every_problem_of_a_plan_is_named_at_once(disk_folder):
    plan = SweepPlan(
        block_kib=(3, 1024), file_mib=2, sample_mib=0, rounds=9, fio_ms=0, fio_rounds=-1
    )
    with pytest.raises(UsageError) as caught:
        measure(disk_folder, plan, seed=-1)
    names = [problem.split("=")[0] for problem in caught.value.problems]
    assert names == [
        "block_kib",
        "file_mib",
        "sample_mib",
        "rounds",
        "fio_ms",
        "fio_rounds",
        "seed",
    ]
    with pytest.raises(UsageError, match="block_kib is empty"):
        measure(disk_folder, SweepPlan(block_kib=()))
    assert list(disk_folder.iterdir()) == []
