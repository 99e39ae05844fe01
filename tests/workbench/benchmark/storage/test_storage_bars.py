"""The storage benchmarks: each question's rows, bars only where the issue has one."""

import numpy as np
import pytest

from workbench.benchmark.findings import PRESETS
from workbench.benchmark.paired import Samples
from workbench.benchmark.storage import (
    engine_rates,
    restore,
    sequence_restore,
    storage_bars,
    store_opening,
)
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.engine_rates import ENGINE, EngineRate
from workbench.benchmark.storage.fio import FioJob
from workbench.benchmark.storage.sequence_restore import GIVEN, POOLED, SequenceRestore
from workbench.benchmark.storage.storage_bars import STORAGE_BENCHMARKS
from workbench.benchmark.storage.store_opening import FROM_HEADERS, FROM_SNAPSHOT, StoreOpening

BENCHES = {one.name: one for one in STORAGE_BENCHMARKS}
JOB = FioJob("read", 16, 32, 100)


def beside(**gb_s: float) -> BesideFio:
    """Return rounds of the cases at these rates, fio at 1 GB/s around them."""
    rates = {"fio before": 1.0, "fio after": 1.0} | gb_s
    seconds = {name: np.full(10, 1 / rate) for name, rate in rates.items()}
    return BesideFio(Samples(seconds, dict.fromkeys(rates, 1e9)), JOB)


def test_there_is_one_benchmark_for_every_bar_of_the_tier():
    assert list(BENCHES) == [
        "storage_read",
        "storage_write",
        "restore_sequence",
        "day02",
        "prefetch_overhead",
        "recovery",
    ]


@pytest.mark.parametrize(
    ("name", "rate", "met"),
    [
        ("storage_read", 0.96, True),
        ("storage_read", 0.94, False),
        ("storage_write", 0.91, True),
        ("storage_write", 0.89, False),
    ],
)
def test_rates_are_judged_by_their_median_and_fio_by_nothing(monkeypatch, name, rate, met):
    found = [EngineRate(16, "io_uring", beside(**{ENGINE: rate}))]
    monkeypatch.setattr(engine_rates, "measure", lambda *given: found)
    ours, spread = BENCHES[name].run("tiny")
    assert ours.case == "block_kib=16 depth=32 io_uring"
    assert (ours.met, ours.ratio) == (met, rate)
    assert ours.bar.startswith("median >= 0.9")
    assert (spread.case, spread.bar) == ("block_kib=16 depth=32 fio over fio", None)


def test_the_sequence_is_judged_where_the_caller_gives_the_memory(monkeypatch):
    found = SequenceRestore("io_uring", 1444, beside(**{GIVEN: 0.85, POOLED: 0.5}))
    monkeypatch.setattr(sequence_restore, "measure", lambda *given: found)
    given, pooled, spread = BENCHES["restore_sequence"].run("tiny")
    assert (given.met, given.bar) == (True, "median >= 0.8x")
    assert (pooled.met, spread.met) == (None, None)
    assert pooled.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("blocks", "bars", "met"),
    [
        (100_000, ["median >= 1x", "median >= 1x"], [True, False]),
        (2000, [None, None], [None, None]),
    ],
)
def test_opening_is_judged_in_seconds_at_the_size_that_has_a_limit(monkeypatch, blocks, bars, met):
    opened = beside(**{FROM_SNAPSHOT: 1 / 0.05, FROM_HEADERS: 1 / 20})
    found = StoreOpening("io_uring", blocks, opened)
    monkeypatch.setattr(store_opening, "measure", lambda *given: found)
    rows = BENCHES["recovery"].run("tiny")
    limits = [row for row in rows if row.case.endswith("limit")]
    assert [row.bar for row in limits] == bars
    assert [row.met for row in limits] == met
    assert [row.value for row in limits] == [pytest.approx(0.05), pytest.approx(20)]
    device = [row for row in rows if "same bytes" in row.case]
    assert [row.ceiling for row in device] == [1, 1]
    assert [row.unit for row in rows] == ["s"] * 4 + ["GB/s"]


def small(plans):
    """Return every preset's plan as small as can be measured."""
    tiny = {"tokens": 256, "rounds": 10}
    return {
        name: restore.RestorePlan(plan.workloads, block_kib=64, fio_runs=0, **tiny)
        for name, plan in plans.items()
    }


def test_the_best_restore_is_held_against_both_baselines(disk_folder, monkeypatch):
    monkeypatch.setattr(storage_bars.paths, "store", lambda: disk_folder)
    monkeypatch.setattr(storage_bars, "_RESTORES", small(storage_bars._RESTORES))
    same_size, small_blocks = BENCHES["day02"].run("tiny")
    assert "one block of 64 KiB at a time" in same_size.case
    assert "one block of 16 KiB at a time" in small_blocks.case
    assert same_size.bar == small_blocks.bar == ">= 1.3x"
    assert 0 < same_size.low <= same_size.ratio <= same_size.high


def test_read_ahead_is_judged_where_it_cannot_help(disk_folder, monkeypatch):
    monkeypatch.setattr(storage_bars.paths, "store", lambda: disk_folder)
    monkeypatch.setattr(storage_bars, "_OVERHEADS", small(storage_bars._OVERHEADS))
    rows = BENCHES["prefetch_overhead"].run("tiny")
    assert [row.bar for row in rows] == ["median >= 0.97x", None, None, None]
    assert rows[0].case == "read_ahead over scheduler, random reads of 16 KiB"
    assert all(0 < row.low <= row.ratio <= row.high for row in rows)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_rounds_enough_for_an_interval(preset):
    tables = ("_RATES", "_SEQUENCES", "_RESTORES", "_OVERHEADS", "_OPENINGS")
    assert all(getattr(storage_bars, name)[preset].rounds >= 10 for name in tables)
