"""Blocks come from the last to the first, until told to stop; what fails is left to others."""

from __future__ import annotations

import time

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
    store_prefix,
)
from workbench.errors import UsageError
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.tiered_kv_cache import TieredKVCache

IDS = list(range(100, 100 + 6 * SIZE))


def until(condition):
    """Wait until something holds; a test that waits in vain fails."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_all_blocks_come_and_a_new_sequence_goes_on_with_them():
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk, config(n_slots=12)) as (cache, _), cache.sequence() as sequence:
        with cache.backfill(IDS) as back:
            until(lambda: back.loaded_blocks == 6)
            assert back.loading_s > 0
            assert sequence.attach(IDS) == len(IDS)
        assert_right(sequence)
        assert sequence.token_ids == IDS


def test_what_was_computed_meets_what_was_loaded():
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk, config(n_slots=12)) as (cache, _), cache.sequence() as sequence:
        with cache.backfill(IDS) as back:
            append(sequence, IDS[: 2 * SIZE])
            until(lambda: back.loaded_blocks >= 4)
            assert sequence.attach(IDS[2 * SIZE :]) == 4 * SIZE
        append(sequence, [7, 8, 9])
        assert_right(sequence)


def test_a_closed_one_asks_for_no_more_and_lets_its_blocks_go():
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk, config(n_slots=12)) as (cache, faults):
        faults.add(Fault("hang", "read", chance=1.0))
        back = cache.backfill(IDS)
        until(lambda: faults.injected["hang"] >= 1)
        back.close()
        claims, keys = cache._core.directory.claims, cache.block_keys(IDS)
        until(lambda: not any(map(claims.is_referred, keys)))
        assert back.loaded_blocks == 0


def test_a_block_that_fails_is_a_gap():
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk, config(n_slots=12)) as (cache, faults), cache.sequence() as sequence:
        faults.add(Fault("error", "read", nth=1))
        with cache.backfill(IDS) as back:
            until(lambda: back.loaded_blocks == 5)
            n = sequence.attach(IDS)
            assert n == 5 * SIZE
            append(sequence, IDS[n:])
            assert_right(sequence)


def test_nothing_is_attached_behind_a_block_that_is_not_full():
    with TieredKVCache(config()) as cache, cache.sequence() as first, cache.sequence() as sequence:
        append(first, IDS[: 2 * SIZE])
        append(sequence, IDS[:1])
        assert sequence.attach(IDS[1:]) == 0
        sequence.truncate(0)
        assert sequence.attach(IDS) == 2 * SIZE
        assert_right(sequence)


def test_other_tokens_are_not_attached():
    with TieredKVCache(config()) as cache, cache.sequence() as first, cache.sequence() as sequence:
        append(first, IDS[: 2 * SIZE])
        assert sequence.attach([1, *IDS[1:]]) == 0
        assert sequence.attach([*IDS[:SIZE], 1, *IDS[SIZE + 1 :]]) == SIZE
        assert_right(sequence)


def test_nothing_is_attached_while_tokens_are_being_stored():
    with TieredKVCache(config()) as cache, cache.sequence() as sequence:
        sequence.extend(IDS[:3])
        with pytest.raises(UsageError, match="not stored in every layer"):
            sequence.attach(IDS)


def test_without_an_ssd_tier_there_is_nothing_to_load():
    with TieredKVCache(config()) as cache, cache.backfill(IDS) as back:
        assert back.loaded_blocks == 0
