"""What went wrong in others' KV caches does not go wrong here.

By the names of RELIABILITY's section 2, and of FIELD's section 7 where users report it.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    LAYERS,
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
    ssd_on,
    store_prefix,
)
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import CacheFullError, Tier, TieredKVCache

IDS = list(range(26))


@pytest.mark.parametrize(
    "changed",
    [
        {"geometry": KVGeometry(LAYERS, 4, 2, "float16")},
        {"geometry": KVGeometry(LAYERS, 1, 8, "float16")},
        {"dtype": "float32"},
        {"dtype": "int8"},
        {"block_tokens": 2 * SIZE},
        {"frame_layers": 1},
        {"codec": "int8"},
    ],
    ids=str,
)
def test_restart_layout_fingerprint_mismatch_is_miss(changed):
    """R2: after a restart with another layout the disk is warm, and none of its bytes are ours."""
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk.reopened(), config(n_slots=16, **changed)) as (cache, _):
        with cache.load(IDS) as load:
            assert load.wait() == 0
        stats = cache.stats()
        assert stats.cold_hits == 0
        assert stats.lookups == stats.misses_absent > 0
    with cache_on(disk.reopened()) as (cache, _), cache.load(IDS) as load:
        assert load.wait() == len(IDS)
        assert_right(load.sequence)


def test_interleaved_evict_reload_no_cross_read():
    """R3: requests that push one another out of memory never read each other's blocks."""
    rng = np.random.default_rng(3)
    prompts = [[number, *rng.integers(0, 3, 19).tolist()] for number in range(6)]
    with cache_on(sim_disk(), config(6)) as (cache, _):
        for prompt in prompts:
            with cache.sequence() as sequence:
                append(sequence, prompt)
        for turn in rng.permutation(np.repeat(np.arange(6), 4)).tolist():
            with cache.load(prompts[turn]) as load, cache.load(prompts[turn - 1]) as other:
                load.wait()
                other.wait()
                assert load.sequence.token_ids == prompts[turn]
                assert_right(load.sequence)
                assert_right(other.sequence)
                assert_right(load.sequence)
        stats = cache.stats()
        assert stats.evictions > len(prompts)
        assert stats.cold_hits > 0


@pytest.mark.parametrize("kind", ["error", "flip", "short", "stale", "misdirect"])
def test_load_error_never_raises_into_engine(kind):
    """R11: whatever each read of a load comes to, the engine goes on with a shorter prefix."""
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk.reopened()) as (cache, faults):
        faults.add(Fault(kind, "read", nth=2, times=10**6))
        with cache.load(IDS) as load:
            n_tokens = load.wait()
            append(load.sequence, IDS[n_tokens:])
            append(load.sequence, [5])
            assert_right(load.sequence)


@pytest.mark.parametrize("kind", ["error", "flip", "short", "stale"])
def test_failed_load_invalidates_lookup(kind):
    """R12: what could not be read is not promised again, so no request asks for it for ever."""
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk.reopened()) as (cache, faults):
        faults.add(Fault(kind, "read", nth=1, times=10**6))
        assert cache.match_prefix(IDS).n_tokens == len(IDS)
        with cache.load(IDS) as load:
            assert load.wait() == 0
            assert cache.match_prefix(IDS).n_tokens == 0
            faults.clear()
            append(load.sequence, IDS)
            assert load.sequence.persist()
    with cache_on(disk.reopened()) as (cache, _), cache.load(IDS) as load:
        assert load.wait() == len(IDS)
        assert_right(load.sequence)


@pytest.mark.parametrize(
    "names",
    [{"fingerprint": b"other weights"}, {"fingerprint": b"toy", "tenant": b"somebody"}],
    ids=["model", "tenant"],
)
def test_model_layout_dtype_rope_in_fingerprint(names):
    """R14 and FIELD 40: another model or tenant finds nothing, and is told no length.

    That weights, rope, epsilon and the way of computing are in the model's own fingerprint is
    shown in tests/workbench/inference/test_fingerprint.py.
    """
    disk = sim_disk()
    store_prefix(disk, IDS)
    with (
        ssd_on(disk.reopened()) as (ssd, _),
        TieredKVCache(config(), ssd, **names) as cache,
        cache.load(IDS) as load,
    ):
        assert cache.match_prefix(IDS).tiers == ()
        assert load.wait() == 0


def test_what_is_said_to_be_restored_is_not_computed_again():
    """FIELD 5: a restore that reports tokens has them, all of them, without another append."""
    disk = sim_disk()
    store_prefix(disk, IDS)
    with cache_on(disk.reopened()) as (cache, _):
        promised = cache.match_prefix(IDS)
        assert promised.tiers == (Tier.COLD,) * 7
        with cache.load(IDS) as load:
            assert load.wait() == promised.n_tokens == load.sequence.n_tokens == len(IDS)
            assert_right(load.sequence)
        assert cache.stats().blocks_sealed == 0


def test_what_is_written_is_read_back():
    """FIELD 24 and 25: the disk is read, and blocks that nobody reads back are counted."""
    with cache_on(sim_disk(), config(4)) as (cache, _):
        with cache.sequence() as sequence:
            append(sequence, IDS)
        assert cache.drain()
        unread = cache.stats().cold_blocks_unread
        assert unread == cache.stats().cold_blocks > 0
        with cache.load(IDS) as load:
            load.wait()
            assert_right(load.sequence)
        assert cache.stats().cold_blocks_unread < unread
        assert cache.stats().ssd_read_bytes > 0


def test_hits_and_misses_are_all_lookups():
    """FIELD 42: no rate can be always none or always one, as each lookup ends in one of them."""
    disk = sim_disk()
    store_prefix(disk, IDS)
    rng = np.random.default_rng(1)
    with cache_on(disk.reopened(), config(5)) as (cache, faults):
        faults.add(Fault("error", "read", chance=0.1))
        for _ in range(20):
            ids = [*IDS[: int(rng.integers(0, 27))], *rng.integers(50, 99, 6).tolist()]
            with cache.load(ids) as load:
                load.wait()
        stats = cache.stats()
        hits = stats.hot_hits + stats.cold_hits + stats.network_hits
        misses = stats.misses_absent + stats.misses_failed + stats.misses_late
        assert hits + misses == stats.lookups
        assert hits > 0
        assert misses > 0


def test_a_memory_smaller_than_one_request_is_said():
    """FIELD 22: without a disk, what does not fit is refused by name, not silently computed."""
    with TieredKVCache(config(4)) as cache, cache.sequence() as sequence:
        with pytest.raises(CacheFullError, match="hot_bytes"):
            append(sequence, range(100))
        assert_right(sequence)
