"""Test what a load says is there: by its layer, by its deadline, and what is counted."""

from __future__ import annotations

import threading

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    LAYERS,
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
    store_prefix,
)
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.tiered_kv_cache import BlockLostError, Tier
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier

IDS = list(range(26))


@pytest.fixture
def disk():
    disk = sim_disk()
    store_prefix(disk, IDS)
    return disk


@pytest.fixture
def gate(monkeypatch):
    """Let so many frames of all blocks through as are released."""
    gate = threading.Semaphore(0)
    real = ColdTier.get

    def get(cold, frames, on_hits=None):
        here = []
        for number in sorted({one.frame for one in frames}):
            assert gate.acquire(timeout=30)
            here += real(cold, [one for one in frames if one.frame == number])
            if on_hits is not None and all(here):
                on_hits(len(here), memoryview(b""))
        return here

    monkeypatch.setattr(ColdTier, "get", get)
    yield gate
    gate.release(1000)


def test_a_prefix_is_resumed_where_it_ended(disk):
    with cache_on(disk) as (cache, _):
        load = cache.load([*IDS, 99, 98])
        assert load.wait() == len(IDS)
        assert_right(load.sequence)
        append(load.sequence, [99, 98, 97])
        assert_right(load.sequence)
        stats = cache.stats()
        # The seventh full block was not there, only its first two tokens.
        assert (stats.cold_hits, stats.misses_absent, stats.lookups) == (7, 1, 8)


def test_the_first_layers_can_be_attended_while_later_ones_are_read(disk, gate):
    with cache_on(disk) as (cache, _):
        load = cache.load(IDS)
        gate.release()
        assert load.wait(0) == load.wait(1) == len(IDS)
        assert sum(run.n_tokens for run in load.sequence.runs(1)) == len(IDS)
        assert cache.stats().lookups == 0
        gate.release(10)
        assert load.wait(LAYERS - 1) == len(IDS)
        assert cache.stats().cold_hits == 7
        assert load.wait() == len(IDS)
        assert cache.stats().cold_hits == 7


def test_attending_waits_for_what_is_on_its_way(disk, gate):
    with cache_on(disk) as (cache, _):
        load = cache.load(IDS)
        threading.Timer(0.05, gate.release, (10,)).start()
        assert_right(load.sequence)


def test_another_load_of_the_same_prefix_waits_for_the_first_one(disk, gate):
    with cache_on(disk) as (cache, _):
        first, second = cache.load(IDS), cache.load(IDS)
        assert second._job.fills == []
        gate.release(10)
        assert second.wait() == first.wait() == len(IDS)
        assert_right(second.sequence)
        assert cache.stats().hot_hits == 7


def test_what_is_not_there_by_the_deadline_is_left_out(disk, gate):
    with cache_on(disk) as (cache, _):
        load = cache.load(IDS, deadline_s=0.02)
        assert load.wait() == load.sequence.n_tokens == 0
        stats = cache.stats()
        assert (stats.misses_late, stats.lookups) == (7, 7)
        gate.release(100)
        # They are on the SSD tier still.
        again = cache.load(IDS)
        assert again.wait() == len(IDS)
        assert_right(again.sequence)


def test_a_deadline_that_is_met_leaves_nothing_out(disk):
    with cache_on(disk) as (cache, _):
        assert cache.load(IDS, deadline_s=30).wait() == len(IDS)


def test_what_finds_no_room_stays_cold_and_counts_as_found(disk):
    with cache_on(disk, config(4)) as (cache, _):
        load = cache.load(IDS)
        assert load.wait() == len(IDS)
        assert cache.stats().hot_blocks == 3
        assert cache.stats().cold_hits == 7
        assert_right(load.sequence)


def test_a_block_that_fails_later_is_lost_when_it_is_attended(disk, gate):
    with cache_on(disk) as (cache, faults):
        load = cache.load(IDS)
        gate.release()
        assert load.wait(0) == len(IDS)
        faults.add(Fault("error", "read", nth=1, times=1000))
        gate.release(100)
        with pytest.raises(BlockLostError):
            list(load.sequence.runs(LAYERS - 1))
        assert load.sequence.n_tokens == 0
        assert load.wait() == 0
        assert cache.stats().misses_failed == 7


def test_closing_a_load_stops_it_and_lets_go_of_its_blocks(disk, gate):
    with cache_on(disk) as (cache, _):
        load = cache.load(IDS)
        load.close()
        load.close()
        gate.release(100)
        assert cache.match_prefix(IDS).n_tokens == len(IDS)
        assert cache.stats().sequences == 0
        assert cache.stats().lookups == 7


def test_blocks_in_memory_are_not_read(disk):
    with cache_on(disk) as (cache, _):
        cache.load(IDS).wait()
        n_bytes = cache.stats().ssd_read_bytes
        again = cache.load(IDS[: 2 * SIZE])
        assert again.wait() == 2 * SIZE
        assert cache.stats().ssd_read_bytes == n_bytes
        assert cache.match_prefix(IDS).tiers == (Tier.HOT,) * 7


def test_an_unknown_prefix_is_an_empty_sequence(disk):
    with cache_on(disk) as (cache, _):
        load = cache.load([7] * 9)
        assert load.wait() == 0
        append(load.sequence, [7] * 9)
        assert_right(load.sequence)
        assert cache.stats().misses_absent == 2
