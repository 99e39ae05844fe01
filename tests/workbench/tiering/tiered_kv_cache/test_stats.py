"""Test that the sums agree, that bounds hold, and that the text is Prometheus'."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    BLOCK_BYTES,
    SIZE,
    append,
    cache_on,
    config,
)
from workbench.tiering.tiered_kv_cache import CacheStats, TieredKVCache

IDS = list(range(42))


def used(cache):
    with cache.sequence() as sequence:
        append(sequence, IDS)
        assert cache.drain()
        list(sequence.runs(0))
        assert cache.stats().sequence_position == 42
        assert cache.stats().open_blocks == 1
    with cache.load([*IDS[:24], *range(60, 70)]) as load:
        load.wait()


def test_the_seeds_statistics_and_more_add_up():
    with cache_on(sim_disk(), config(6)) as (cache, _):
        used(cache)
        stats = cache.stats()
        stats.check()
        assert (stats.lookups, stats.misses) == (8, 2)
        assert stats.hot_hits + stats.cold_hits == 6
        assert stats.hit_rate == 0.75
        assert stats.hot_blocks == 5 == stats.hot_capacity_blocks
        assert stats.hot_tokens == 5 * SIZE
        assert stats.cold_blocks == 10
        assert stats.writes_offered == stats.writes_written == 10
        assert stats.ssd_written_bytes == 10 * BLOCK_BYTES
        assert stats.ssd_read_bytes > 0
        assert stats.evictions - stats.promotions == 5
        assert stats.blocks_sealed == 10
        assert 0 < stats.cold_blocks_unread < 10
        assert (stats.hot_bytes, stats.staging_bytes) == (6 * BLOCK_BYTES, 8 * 4096)
        assert (stats.sequences, stats.sequence_position, stats.open_blocks) == (0, 0, 0)


def test_a_cache_in_memory_has_no_cold_figures():
    with TieredKVCache(config()) as cache:
        stats = cache.stats()
        assert (stats.cold_blocks, stats.ssd_written_bytes, stats.staging_bytes) == (0, 0, 0)
        assert stats.hit_rate == 0
        assert stats.free_slots == 8


@pytest.mark.parametrize("name", ["lookups", "hot_hits", "misses_late", "writes_offered"])
def test_a_count_that_is_off_by_one_is_found(name):
    with TieredKVCache(config()) as cache:
        stats = cache.stats()
        with pytest.raises(AssertionError):
            replace(stats, **{name: getattr(stats, name) + 1}).check()


def test_the_text_is_prometheus():
    with cache_on(sim_disk(), config(6)) as (cache, _):
        used(cache)
        stats, text = cache.stats(), cache.prometheus()
    lines = text.splitlines()
    assert text.endswith("\n")
    assert len(lines) == 2 * len(fields(CacheStats))
    kinds = dict(line.split()[2:] for line in lines[::2])
    values = dict(line.split() for line in lines[1::2])
    assert kinds["kv_cache_cold_hits_total"] == "counter"
    assert int(values["kv_cache_cold_hits_total"]) == stats.cold_hits > 0
    assert kinds["kv_cache_hot_blocks"] == "gauge"
    assert all(re.fullmatch(r"kv_cache_[a-z_]+ [\d.e-]+", line) for line in lines[1::2])
    assert all((kind == "counter") == name.endswith("_total") for name, kind in kinds.items())
