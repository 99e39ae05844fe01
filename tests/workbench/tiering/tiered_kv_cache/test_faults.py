"""Whichever call below goes wrong, in whichever way, a prefix is shorter, never wrong."""

from __future__ import annotations

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    SIZE,
    append,
    assert_right,
    assert_right_or_lost,
    cache_on,
    config,
    store_prefix,
)
from workbench.tiering.async_io.faults import Fault, Kind
from workbench.tiering.tiered_kv_cache import BlockLostError, CacheFullError

# Six full blocks and a partial one, three frames each.
IDS = list(range(26))
N_READS = 21
READ_KINDS: tuple[Kind, ...] = (
    "error", "short", "misdirect", "flip", "delay", "hang", "stale", "reorder"
)  # fmt: skip
WRITE_KINDS: tuple[Kind, ...] = (*READ_KINDS, "torn", "drop")
# A flipped bit may be one that nobody reads, behind a frame's header.
HARMLESS = {"delay", "reorder"}


@pytest.mark.parametrize("kind", READ_KINDS)
def test_the_nth_read_of_a_load_fails_for_every_n(kind):
    disk = sim_disk()
    store_prefix(disk, IDS)
    for nth in range(1, N_READS + 1):
        with cache_on(disk.reopened()) as (cache, faults):
            faults.add(Fault(kind, "read", nth=nth))
            load = cache.load(IDS)
            n_tokens = load.wait()
            assert_right(load.sequence)
            is_whole = n_tokens == len(IDS)
            assert is_whole if kind in HARMLESS else kind == "flip" or not is_whole
            assert n_tokens % SIZE == 0 or n_tokens == len(IDS)
            stats = cache.stats()
            assert stats.lookups == 7
            assert stats.misses_failed == -(-(len(IDS) - n_tokens) // SIZE)
            # The gap can be filled again, and found again.
            append(load.sequence, IDS[n_tokens:])
            assert_right(load.sequence)


@pytest.mark.parametrize("kind", READ_KINDS)
def test_the_nth_read_of_a_walk_fails_for_every_n(kind):
    disk = sim_disk()
    store_prefix(disk, IDS)
    for nth in range(1, N_READS + 1, 2):
        # Two slots: all but one block stay cold, and are attended from there.
        with cache_on(disk.reopened(), config(2)) as (cache, faults):
            sequence = cache.load(IDS).sequence
            faults.add(Fault(kind, "read", nth=nth))
            is_whole = assert_right_or_lost(sequence)
            assert is_whole or kind not in HARMLESS
            assert is_whole == (cache.stats().blocks_lost == 0)


@pytest.mark.parametrize("kind", WRITE_KINDS)
def test_the_nth_write_fails_for_every_n(kind):
    for nth in range(1, 8):
        disk = sim_disk()
        with cache_on(disk, config(5)) as (cache, faults):
            faults.add(Fault(kind, "write", nth=nth))
            with cache.sequence() as sequence:
                append(sequence, IDS)
                assert_right_or_lost(sequence)
                sequence.persist()
        with cache_on(disk) as (cache, _):
            load = cache.load(IDS)
            load.wait()
            assert_right(load.sequence)


def test_a_device_that_fails_every_write_costs_room_and_nothing_else():
    with cache_on(sim_disk(), config(6, write_wait_s=0.05)) as (cache, faults):
        faults.add(Fault("error", "write", nth=1, times=10**6))
        first, second = cache.sequence(), cache.sequence()
        append(first, IDS[:8])
        append(second, [7, *IDS[:7]])
        with pytest.raises(CacheFullError):
            append(first, range(40))
        for sequence in (first, second):
            assert_right(sequence)
        first.close()
        append(second, IDS[7:10])
        assert_right(second)
        assert cache.drain()
        assert cache.stats().writes_failed > 0
        assert cache.stats().blocks_forgotten > 0


def test_a_device_that_recovers_takes_what_it_refused():
    with cache_on(sim_disk(), config(6, write_wait_s=0.05)) as (cache, faults):
        faults.add(Fault("error", "write", nth=1, times=3))
        sequence = cache.sequence()
        for at in range(0, 40, SIZE):
            for _ in range(5):
                try:
                    append(sequence, range(at, at + SIZE))
                except CacheFullError:
                    continue
                break
        assert sequence.n_tokens == 40
        assert_right(sequence)


def test_a_lost_block_of_an_open_sequence_is_computed_again():
    disk = sim_disk()
    with cache_on(disk, config(3)) as (cache, faults), cache.sequence() as sequence:
        append(sequence, IDS)
        assert cache.drain()
        faults.add(Fault("error", "read", nth=1, times=10**6))
        with pytest.raises(BlockLostError, match="first 0 tokens are left"):
            list(sequence.runs(0))
        faults.clear()
        append(sequence, IDS)
        assert_right(sequence)


def test_a_store_that_was_cut_is_a_shorter_prefix():
    disk = sim_disk()
    store_prefix(disk, IDS)
    for name in sorted(disk.names()):
        cut = disk.reopened()
        cut.rot(name, 0, bytes(1 << 16))
        with cache_on(cut) as (cache, _):
            load = cache.load(IDS)
            load.wait()
            assert_right(load.sequence)
