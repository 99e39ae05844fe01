"""A prefix comes back from the device, whole, beside fio of the same request size."""

from __future__ import annotations

import pytest

from workbench.benchmark.kv import prefix_restore
from workbench.benchmark.kv.prefix_restore import LAYOUT, LOADED, PrefixPlan
from workbench.benchmark.scratch_files import MediumError
from workbench.tiering.tiered_kv_cache import CachedSequence, TieredKVCache

PLAN = PrefixPlan(tokens=128, rounds=2, run_ms=20)


@pytest.mark.fio
def test_a_prefix_is_restored_beside_fio(disk_folder):
    found = prefix_restore.measure(disk_folder, PLAN)
    assert found.request_kib == LAYOUT.frame_bytes // 1024 + 4 == 724
    assert (found.beside.job.block_kib, found.beside.job.depth) == (724, 32)
    assert found.beside.samples.work[LOADED] % (2 * LAYOUT.block_bytes) == 0
    assert found.beside.samples.median_rate(LOADED) > 0
    assert 0 < found.first_layer_frac <= 1
    assert list(disk_folder.iterdir()) == []


def test_values_that_come_back_changed_stop_the_benchmark(disk_folder, monkeypatch):
    real = CachedSequence.gather

    def rot(sequence, layer, start, stop):
        k, v = real(sequence, layer, start, stop)
        v[100, 2, 63] += 1
        return k, v

    monkeypatch.setattr(CachedSequence, "gather", rot)
    with pytest.raises(MediumError, match="128 of 128 tokens came back, or others"):
        prefix_restore.measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []


def test_a_store_that_takes_nothing_stops_the_benchmark(disk_folder, monkeypatch):
    monkeypatch.setattr(TieredKVCache, "drain", lambda cache: False)
    with pytest.raises(MediumError, match="a prefix of 128 tokens could not be written"):
        prefix_restore.measure(disk_folder, PLAN)


@pytest.mark.fio
def test_a_prefix_that_was_not_cold_stops_the_benchmark(disk_folder, monkeypatch):
    real = TieredKVCache.load
    monkeypatch.setattr(TieredKVCache, "load", lambda cache, ids: real(cache, range(128)))
    monkeypatch.setattr(prefix_restore._Loader, "compare", lambda loader: None)
    with pytest.raises(MediumError, match=r"0 blocks were missed, and 0 of \d+ prefixes were read"):
        prefix_restore.measure(disk_folder, PLAN)
