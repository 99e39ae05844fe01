"""Test the cache's door: prefixes across sequences and restarts, pins, prefetch, refusals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    BLOCK_BYTES,
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
    ssd_on,
    store_prefix,
)
from workbench.errors import UsageError
from workbench.tiering import eviction
from workbench.tiering.tiered_kv_cache import CacheFullError, PrefixMatch, Tier, TieredKVCache

IDS = list(range(26))
HOT, COLD = Tier.HOT, Tier.COLD


def test_a_prefix_is_found_in_whichever_tier():
    with cache_on(sim_disk(), config(5)) as (cache, _):
        with cache.sequence() as sequence:
            append(sequence, IDS)
        assert cache.drain()
        before = cache.stats()
        match = cache.match_prefix([*IDS[:22], 7, 8])
        assert match == PrefixMatch(20, (COLD, COLD, COLD, HOT, HOT))
        assert cache.match_prefix([7]) == PrefixMatch(0, ())
        assert cache.match_prefix([]) == PrefixMatch(0, ())
        assert cache.stats() == before


def test_a_prefix_is_found_after_a_restart_by_who_may_find_it():
    disk = sim_disk()
    store_prefix(disk, IDS)
    with ssd_on(disk) as (ssd, _):
        for names, n_tokens in (
            ({"fingerprint": b"toy"}, 26),
            ({"fingerprint": b"other"}, 0),
            ({"fingerprint": b"toy", "tenant": b"somebody"}, 0),
        ):
            with TieredKVCache(config(), ssd, **names) as cache:
                assert cache.match_prefix(IDS).n_tokens == n_tokens
        with TieredKVCache(config(dtype="float32"), ssd, fingerprint=b"toy") as cache:
            assert cache.match_prefix(IDS).n_tokens == 0


def test_two_tenants_share_a_store_and_no_block():
    with ssd_on(sim_disk()) as (ssd, _):
        caches = [TieredKVCache(config(5), ssd, tenant=tenant) for tenant in (b"a", b"b")]
        sequences = [cache.sequence() for cache in caches]
        for sequence in sequences:
            append(sequence, IDS)
        for sequence, cache in zip(sequences, caches, strict=True):
            assert cache.drain()
            assert_right(sequence)
        assert caches[0].stats().cold_blocks == 12
        for cache in caches:
            cache.check()
            cache.close()


def test_a_pinned_prefix_stays_hot():
    with cache_on(sim_disk(), config(8)) as (cache, _):
        cache.pin("system prompt", IDS[: 2 * SIZE])
        with cache.sequence() as sequence:
            append(sequence, IDS)
            append(sequence, range(200, 260))
        assert cache.match_prefix(IDS).tiers[:4] == (HOT, HOT, COLD, COLD)
        cache.unpin("system prompt")
        with cache.sequence() as sequence:
            append(sequence, range(300, 340))
        assert cache.match_prefix(IDS).tiers[:2] == (COLD, COLD)


def test_pins_are_named_and_bounded():
    with cache_on(sim_disk(), config(8)) as (cache, _):
        cache.pin("a", IDS[:8])
        with pytest.raises(UsageError, match="'a' is pinned already"):
            cache.pin("a", IDS[:4])
        with pytest.raises(UsageError, match="4 pinned blocks are more than half"):
            cache.pin("b", IDS[8:16])
        with pytest.raises(UsageError, match="no prefix is pinned as 'b'"):
            cache.unpin("b")
        cache.unpin("a")


def test_cold_blocks_are_prefetched_as_far_as_there_is_room():
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk, config(5)) as (cache, _):
        keys = cache.block_keys(IDS)
        assert cache.prefetch([bytes(32), *keys[:3]]) == 3
        assert cache.prefetch(keys[:3]) == 0
        load = cache.load(IDS[:12])
        assert load.wait() == 12
        assert cache.stats().hot_hits == 3
        assert_right(load.sequence)
        # Three blocks are in use: one more fits, which takes the next one's place.
        assert cache.prefetch(keys[3:]) >= 1
        assert_right(load.sequence)


def test_a_closed_cache_says_so_and_closes_its_sequences():
    cache = TieredKVCache(config())
    sequence = cache.sequence()
    append(sequence, IDS[:5])
    cache.close()
    cache.close()
    assert cache.stats().sequences == 0
    for use in (cache.sequence, lambda: cache.match_prefix(IDS), lambda: cache.load(IDS)):
        with pytest.raises(UsageError, match="the KV cache is closed"):
            use()
    with pytest.raises(UsageError, match="the sequence is closed"):
        sequence.extend([1])


def test_memory_only_finds_what_is_in_memory():
    with TieredKVCache(config()) as cache:
        first = cache.sequence()
        append(first, IDS[:10])
        load = cache.load(IDS[:10])
        assert load.wait() == 8
        assert_right(load.sequence)
        with pytest.raises(CacheFullError):
            append(load.sequence, range(100))
        first.close()
        load.close()
        cache.check()


def test_too_little_memory_is_refused():
    with pytest.raises(UsageError, match="holds 0 blocks"):
        TieredKVCache(config(hot_bytes=100))
    with (
        ssd_on(sim_disk()) as (ssd, _),
        pytest.raises(UsageError, match="2 are needed; raise hot_bytes"),
    ):
        TieredKVCache(config(1), ssd)


# Budgets


def test_a_smaller_budget_is_given_back_and_a_larger_one_used_again():
    with cache_on(sim_disk(), config(4, max_hot_bytes=12 * BLOCK_BYTES)) as (cache, _):
        assert cache.hot_bytes == 4 * BLOCK_BYTES
        assert cache.set_hot_budget(12 * BLOCK_BYTES) == 12 * BLOCK_BYTES
        ids = list(range(10 * SIZE))
        with cache.sequence() as sequence:
            append(sequence, ids)
            assert cache.stats().hot_blocks_used == cache.stats().hot_blocks == 10
            cache.set_hot_budget(3 * BLOCK_BYTES)
            assert cache.drain()
            assert cache.hot_bytes == cache.stats().hot_bytes == 3 * BLOCK_BYTES
            assert_right(sequence, 0, len(ids))
            assert cache.stats().cold_wait_seconds == cache.cold_wait_s > 0
            append(sequence, ids)
            assert_right(sequence, 0, 2 * len(ids))
        assert cache.stats().hot_blocks_used == 0
        cache.check()
        cache.set_hot_budget(12 * BLOCK_BYTES)
        assert cache.load(ids).wait() == len(ids)


def test_what_may_not_leave_keeps_its_memory_until_it_may():
    with TieredKVCache(config(6)) as cache:
        with cache.sequence() as sequence:
            append(sequence, list(range(5 * SIZE)))
            assert cache.set_hot_budget(2 * BLOCK_BYTES) == 5 * BLOCK_BYTES
            with pytest.raises(CacheFullError):
                append(sequence, list(range(SIZE)))
            assert_right(sequence, 0, 5 * SIZE)
        assert cache.set_hot_budget(2 * BLOCK_BYTES) == 2 * BLOCK_BYTES
        cache.check()


@pytest.mark.parametrize("name", eviction.POLICIES)
def test_every_policy_lives_with_a_budget_that_moves(name):
    rng = np.random.default_rng(0)
    settings = config(4, max_hot_bytes=12 * BLOCK_BYTES, policy=partial(eviction.create, name))
    with cache_on(sim_disk(), settings) as (cache, _):
        for _ in range(60):
            asked = int(rng.integers(3, 13)) * BLOCK_BYTES
            cache.set_hot_budget(asked)
            ids = [int(one) for one in rng.integers(0, 2, int(rng.integers(1, 7)) * SIZE)]
            with cache.load(ids) as load:
                n_known = load.wait()
                append(load.sequence, ids[n_known:])
                assert_right(load.sequence, 0, len(ids))
            assert cache.drain()
            assert cache.set_hot_budget(asked) == asked
            assert cache.stats().hot_blocks * BLOCK_BYTES <= asked
            cache.check()


@pytest.mark.parametrize("n_bytes", [0, BLOCK_BYTES, 7 * BLOCK_BYTES])
def test_a_budget_out_of_range_is_refused(n_bytes):
    settings = config(6)
    with (
        cache_on(sim_disk(), settings) as (cache, _),
        pytest.raises(UsageError, match="max_hot_bytes"),
    ):
        cache.set_hot_budget(n_bytes)
    with pytest.raises(UsageError, match="max_hot_bytes"):
        config(6, max_hot_bytes=5 * BLOCK_BYTES)
