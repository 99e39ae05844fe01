"""Every tier and ceiling is timed at every size; the table holds each against its own ceiling."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.benchmark.network import tier_sweep
from workbench.benchmark.network.tier_sweep import CEILINGS, LATENCY, RATE, TIERS, TierSweepPlan
from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage import fio

# The larger one lies in two values on the server.
PLAN = TierSweepPlan((16, 2048), 2, 2, 20)


@pytest.fixture(scope="module")
def found(disk_root):
    with tempfile.TemporaryDirectory(dir=disk_root, prefix=".test-") as name:
        sweep = tier_sweep.measure(Path(name), PLAN)
        assert list(Path(name).iterdir()) == []
    return sweep


def test_all_is_timed_every_round(found):
    counted = metrics.summary(found.metrics)
    assert set(counted["rounds"]) == {PLAN.rounds}
    assert (counted["min"] > 0).all()
    measured = set(counted.select("metric", "tier", "case", "variant").iter_rows())
    held = [tier for tier in TIERS if tier != tier_sweep.SSD or fio.available()]
    wanted = {
        (metric, tier, f"block_kib={kib}", variant)
        for metric in (RATE, LATENCY)
        for kib in PLAN.block_kib
        for tier in TIERS
        for variant in ("tier", *([CEILINGS[tier]] if tier in held else []))
    }
    assert measured == wanted


def test_the_table_has_a_line_a_tier_and_size(found):
    table = found.table
    assert table.select("tier", "block, KiB").rows() == [
        (tier, kib) for tier in ("memory", "SSD", "network") for kib in PLAN.block_kib
    ]
    network = table.filter(pl.col("tier") == "network").row(0, named=True)
    share = network["GB/s"] / network["ceiling, GB/s"]
    assert network["of ceiling"] == f"{share:.0%}"
    assert f"depth {tier_sweep.FIO_DEPTH}" in found.notes[1]


def test_a_round_moves_whole_blocks_of_any_size():
    assert [PLAN.n_blocks(kib) for kib in (16, 2048, 4096)] == [128, 1, 1]
    assert PLAN.n_bytes == 4 << 20


def test_a_missing_block_is_not_timed():
    class Empty:
        def get_many(self, keys, places):
            return [None] * len(keys)

    with pytest.raises(MediumError, match="missed"):
        tier_sweep._got(Empty(), [bytes(32)], [np.zeros(4, np.uint8)])


def test_without_fio_the_ssd_has_no_ceiling_and_it_says_so(monkeypatch, disk_folder):
    monkeypatch.setattr(fio, "available", lambda: False)
    sweep = tier_sweep.measure(disk_folder, TierSweepPlan((64,), 1, 1, 20))
    ssd = sweep.table.filter(pl.col("tier") == "SSD").row(0, named=True)
    assert ssd["GB/s"] > 0
    assert ssd["ceiling, GB/s"] is ssd["of ceiling"] is None
    assert fio.ENABLE in sweep.notes[-1]
