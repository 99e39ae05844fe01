"""Test the steps that take several parts: waiting for slots, copying blocks, closing."""

from __future__ import annotations

import threading

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    BLOCK_BYTES,
    append,
    assert_right,
    cache_on,
    config,
)
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache import CacheFullError, TieredKVCache
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier
from workbench.tiering.write_policy import WriteBack


@pytest.fixture
def gate(monkeypatch):
    """Hold all writes until it is set."""
    gate = threading.Event()
    real = ColdTier.put

    def put(cold, blocks):
        assert gate.wait(30)
        return real(cold, blocks)

    monkeypatch.setattr(ColdTier, "put", put)
    yield gate
    gate.set()


def test_who_needs_a_slot_waits_for_its_bytes_to_be_written(gate):
    with cache_on(sim_disk(), config(4, write=WriteBack)) as (cache, _):
        sequence = cache.sequence()
        threading.Timer(0.05, gate.set).start()
        append(sequence, range(40))
        assert_right(sequence)
        assert cache.stats().blocks_forgotten == 0


def test_who_waited_long_enough_takes_a_slot_that_only_a_closed_sequence_left(gate):
    settings = config(4, write=WriteBack, write_wait_s=0.02)
    with cache_on(sim_disk(), settings) as (cache, _):
        with cache.sequence() as first:
            append(first, range(16, 28))
        sequence = cache.sequence()
        append(sequence, range(8))
        assert cache.stats().blocks_forgotten > 0
        with pytest.raises(CacheFullError, match=r"write_wait_s=0\.02"):
            append(sequence, range(8, 40))
        gate.set()
        assert_right(sequence)


def test_a_block_is_read_from_whichever_tier_has_it():
    with cache_on(sim_disk(), config(3)) as (cache, _), cache.sequence() as sequence:
        core, into = cache._core, allocate(BLOCK_BYTES)
        append(sequence, range(4))
        key, slot = sequence._blocks.key(0), core.directory.slot(sequence._blocks.key(0))
        want = bytes(core.slab.block(slot))
        for source in (slot, key):
            into[:] = 0
            core.read_block(into, source)
            assert bytes(into) == want
        append(sequence, range(4, 30))
        assert core.directory.slot(key) is None
        into[:] = 0
        core.read_block(into, key)
        assert bytes(into) == want
        with pytest.raises(LookupError):
            core.read_block(into, bytes(32))


@pytest.mark.parametrize("max_waiting", [1, 100])
def test_closing_writes_what_would_be_written_if_it_left(max_waiting):
    disk = sim_disk()
    settings = config(12, write=WriteBack, write_queue_blocks=max_waiting)
    with cache_on(disk, settings) as (cache, _):
        with cache.sequence() as sequence:
            append(sequence, range(30))
        assert cache.stats().writes_offered == 0
    with cache_on(disk.reopened()) as (cache, _):
        assert cache.match_prefix(range(30)).n_tokens == 28


def test_closing_has_an_end(gate):
    settings = config(12, write=WriteBack, close_wait_s=0.02)
    with cache_on(sim_disk(), settings) as (cache, _):
        append(cache.sequence(), range(30))
        threading.Timer(0.2, gate.set).start()
        cache.close()
        assert cache.stats().writes_waiting == 0


def test_without_an_ssd_tier_all_slots_are_used():
    with TieredKVCache(config(3)) as cache:
        assert cache._core.directory.capacity_blocks == 3
        assert cache._core.is_loading is False
    with cache_on(sim_disk(), config(3)) as (cache, _):
        assert cache._core.directory.capacity_blocks == 2
