"""Test that a sequence gives back what was stored, whatever was cut, shared and copied."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    HEAD_DIM,
    HEADS,
    LAYERS,
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
    kept,
    values_of,
)
from workbench.errors import UsageError
from workbench.tiering.tiered_kv_cache import CacheFullError, TieredKVCache

IDS = list(range(100, 131))


@pytest.fixture
def cache():
    with TieredKVCache(config()) as cache:
        yield cache
        cache.check()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_any_range_of_any_layer_comes_back_bit_for_bit(dtype):
    with TieredKVCache(config(dtype=dtype)) as cache, cache.sequence() as sequence:
        append(sequence, IDS[:7])
        append(sequence, IDS[7:])
        for start in range(0, 31, 7):
            for stop in (start, start + 1, 31):
                assert_right(sequence, start, stop, dtype)


def test_float16_is_rounded_as_numpy_does():
    rng = np.random.default_rng(0)
    k, v = rng.standard_normal((2, 9, LAYERS, HEADS, HEAD_DIM), dtype=np.float32)
    with TieredKVCache(config()) as cache, cache.sequence() as sequence:
        sequence.append(range(9), k, v)
        got_k, got_v = sequence.gather(3, 0, 9)
        np.testing.assert_array_equal(got_k, kept(k, "float16")[:, 3])
        np.testing.assert_array_equal(got_v, kept(v, "float16")[:, 3])


def test_halves_are_taken_as_they_are(cache):
    k, v = (values.astype(np.float16) for values in values_of(IDS[:6]))
    sequence = cache.sequence()
    sequence.append(IDS[:6], k, v)
    assert_right(sequence)


def test_layers_may_be_stored_one_by_one_and_attended_before_the_tokens_count(cache):
    sequence = cache.sequence()
    append(sequence, IDS[:6])
    k, v = values_of(IDS[:11])
    sequence.extend(IDS[6:11])
    for layer in (2, 0, 4, 1, 3):
        assert [run.n_tokens for run in sequence.runs(layer)] == [6]
        sequence.store(
            layer, np.ascontiguousarray(k[6:, layer]), np.ascontiguousarray(v[6:, layer])
        )
        assert sum(run.n_tokens for run in sequence.runs(layer)) == 11
    assert sequence.n_tokens == 11
    assert sequence.token_ids == IDS[:11]
    assert_right(sequence)


def test_a_run_says_where_the_values_lie(cache):
    sequence = cache.sequence()
    append(sequence, IDS[:10])
    k, v = values_of(IDS[:10])
    (run,) = sequence.runs(3)
    assert run.n_tokens == 10
    shape = (SIZE, HEADS, HEAD_DIM)
    n_bytes = 2 * SIZE * HEADS * HEAD_DIM
    for place, values in ((run.places.k, k), (run.places.v, v)):
        blocks = [
            run.memory[slot, place : place + n_bytes].view(np.float16).reshape(shape)
            for slot in run.slots
        ]
        np.testing.assert_array_equal(np.concatenate(blocks)[:10], values[:, 3])


@pytest.mark.parametrize("cut", range(0, 14))
def test_what_comes_after_a_cut_is_not_what_was_there(cache, cut):
    sequence = cache.sequence()
    append(sequence, IDS[:13])
    sequence.truncate(min(cut, 13))
    append(sequence, IDS[20:27])
    assert sequence.token_ids == IDS[: min(cut, 13)] + IDS[20:27]
    assert_right(sequence)


@pytest.mark.parametrize("cut", range(0, 14))
def test_forks_do_not_see_each_others_tokens(cut):
    with TieredKVCache(config(12)) as cache:
        first = cache.sequence()
        append(first, IDS[:13])
        second = first.fork(cut)
        append(first, IDS[13:16])
        append(second, IDS[20:23])
        third = second.fork()
        append(second, [1])
        append(third, [2, 3])
        for sequence in (first, second, third):
            assert_right(sequence)
        first.close()
        assert_right(second)
        second.close()
        assert_right(third)
        third.close()
        cache.check()
        assert cache.stats().open_blocks == 0


def test_the_last_of_two_forks_writes_without_a_copy(cache):
    first = cache.sequence()
    append(first, IDS[:6])
    second = first.fork()
    first.close()
    append(second, IDS[6:7])
    assert cache.stats().open_blocks == 1
    assert_right(second)


def test_equal_blocks_are_kept_once(cache):
    first, second = cache.sequence(), cache.sequence()
    append(first, IDS[:9])
    append(second, IDS[:10])
    stats = cache.stats()
    assert (stats.hot_blocks, stats.blocks_sealed, stats.blocks_duplicate) == (2, 2, 2)
    assert_right(first)
    first.close()
    assert_right(second)


def test_an_extension_can_be_taken_back(cache):
    sequence = cache.sequence()
    append(sequence, IDS[:6])
    sequence.extend(IDS[6:20])
    with pytest.raises(UsageError, match="not stored in every layer"):
        sequence.extend([1])
    with pytest.raises(UsageError, match=r"truncate\(6\)"):
        sequence.fork()
    sequence.truncate(6)
    assert cache.stats().open_blocks == 1
    append(sequence, IDS[6:9])
    assert_right(sequence)


def test_without_an_ssd_tier_open_sequences_are_kept_and_the_rest_makes_room(cache):
    first, second = cache.sequence(), cache.sequence()
    append(first, IDS[:16])
    append(second, [7, *IDS[:15]])
    with pytest.raises(CacheFullError, match="no SSD tier"):
        append(first, IDS[16:20])
    assert first.token_ids == IDS[:16]
    assert_right(first)
    second.close()
    append(first, IDS[16:20])
    assert_right(first)


def test_a_batch_that_does_not_fit_leaves_the_sequence_as_it_was(cache):
    sequence = cache.sequence()
    append(sequence, IDS[:5])
    with pytest.raises(CacheFullError):
        append(sequence, range(60))
    assert sequence.token_ids == IDS[:5]
    cache.check()
    assert_right(sequence)


def test_a_sequence_larger_than_memory_is_attended_from_the_ssd_tier():
    with cache_on(sim_disk(), config(5)) as (cache, _), cache.sequence() as sequence:
        ids = list(range(95))
        append(sequence, ids)
        assert cache.stats().hot_blocks <= 5
        assert_right(sequence)
        assert_right(sequence, 30, 61)
        order = [run.n_tokens for run in sequence.runs(0)]
        assert sum(order) == 95
        assert cache.stats().cold_frames_read > 0


def test_a_block_to_write_into_is_copied_from_the_ssd_tier():
    with cache_on(sim_disk(), config(5)) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        other = sequence.fork(6)
        append(sequence, range(40))
        append(other, [9])
        assert_right(other)
        assert_right(sequence)


def test_bad_calls_are_refused_by_name(cache):
    sequence = cache.sequence()
    append(sequence, IDS[:5])
    k, v = values_of(IDS[:1])
    with pytest.raises(UsageError, match="token id -1"):
        sequence.extend([3, -1])
    with pytest.raises(UsageError, match="layer 5"):
        sequence.runs(5)
    with pytest.raises(UsageError, match=r"2\.\.6 are not within"):
        sequence.gather(0, 2, 6)
    with pytest.raises(UsageError, match="n_tokens=6"):
        sequence.truncate(6)
    with pytest.raises(ValueError, match="no store goes from float64"):
        sequence.append([1], k.astype(np.float64), v)
    with pytest.raises(ValueError, match="v is float32"):
        sequence.append([1], k, v[:, :, :1])
    sequence.extend([1])
    with pytest.raises(ValueError, match="k is float32"):
        sequence.store(0, k[:, 0, :1], v[:, 0])
    sequence.close()
    sequence.close()
    with pytest.raises(UsageError, match="closed"):
        sequence.extend([1])


def test_nothing_to_append_is_nothing(cache):
    sequence = cache.sequence()
    append(sequence, [])
    append(sequence, IDS[:4])
    append(sequence, [])
    assert sequence.n_tokens == 4
    assert_right(sequence)
    assert [array.shape for array in sequence.gather(0, 2, 2)] == [(0, HEADS, HEAD_DIM)] * 2
