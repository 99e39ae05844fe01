"""Test the walk over one layer: its order, what it holds, and what it reads ahead."""

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
    values_of,
)
from workbench.errors import UsageError
from workbench.tiering.tiered_kv_cache.packing import unpack

IDS = list(range(60))


@pytest.fixture
def cold():
    """Yield a cache with a sequence of 15 blocks of which most are cold."""
    with cache_on(sim_disk(), config(6)) as (cache, _), cache.sequence() as sequence:
        append(sequence, IDS)
        assert cache.drain()
        yield cache, sequence


def test_runs_come_in_the_order_of_positions_from_both_tiers(cold):
    cache, sequence = cold
    k, _ = values_of(IDS)
    at = 0
    kinds = []
    for run in sequence.runs(3):
        got, _ = unpack(cache.layout, run, 0, run.n_tokens)
        np.testing.assert_array_equal(got, k[at : at + run.n_tokens, 3])
        kinds.append(run.memory is cache._core.slab.memory)
        at += run.n_tokens
    assert at == 60
    assert kinds == sorted(kinds)
    assert set(kinds) == {True, False}


def test_a_frame_that_is_staged_serves_its_other_layers():
    with cache_on(sim_disk(), config(6, staging_bytes=40 * 4096)) as (cache, _):
        sequence = cache.sequence()
        append(sequence, IDS)
        # A block that still waits to be written is read from its slot.
        assert cache.drain()
        list(sequence.runs(0))
        before = cache.stats()
        list(sequence.runs(1))
        after = cache.stats()
        assert after.cold_frames_reused - before.cold_frames_reused == 10
        # The last layer of a frame foresees the next one's first two parts.
        foreseen = after.cold_frames_read - before.cold_frames_read
        assert foreseen > 0
        list(sequence.runs(2))
        last = cache.stats()
        assert last.cold_frames_reused - after.cold_frames_reused == foreseen


def test_slots_are_held_while_they_are_read_and_no_longer(cold):
    cache, sequence = cold
    slots = cache._core.directory.slots
    walk = sequence.runs(0)
    runs = [next(walk)]
    hot = [slot for slot in range(6) if slots.is_held(slot)]
    assert len(hot) == 5
    runs += walk
    assert not any(slots.is_held(slot) for slot in range(6))
    assert runs[-1].slots.tolist() != []


def test_a_walk_that_is_left_holds_nothing(cold):
    cache, sequence = cold
    walk = sequence.runs(0)
    next(walk)
    walk.close()
    assert not any(cache._core.directory.slots.is_held(slot) for slot in range(6))
    assert_right(sequence)


def test_two_walks_at_once_share_the_staging_memory(cold):
    _, sequence = cold
    other = sequence.fork()
    walks = zip(sequence.runs(2), other.runs(2), strict=True)
    assert sum(one.n_tokens for pair in walks for one in pair) == 120
    other.close()


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 6), (3, 9), (17, 60), (40, 44)])
def test_only_blocks_of_the_range_are_read(cold, start, stop):
    cache, sequence = cold
    sequence.gather(LAYERS - 1, start, stop)
    n_blocks = -(-stop // SIZE) - start // SIZE
    # Those of the last frame, and the next walk's first ones.
    assert cache.stats().cold_frames_read <= 2 * n_blocks


@pytest.mark.parametrize("chosen", [[], [0], [14], [0, 3, 4, 9, 12, 14], list(range(15))])
def test_only_chosen_blocks_are_attended_and_read(cold, chosen):
    cache, sequence = cold
    k, _ = values_of(IDS)
    layer, before = LAYERS - 1, cache.stats()
    found = [np.empty((0, *k.shape[2:]), np.float32)]
    runs = sequence.runs(layer, np.array(chosen, np.int64))
    found += (unpack(cache.layout, run, 0, run.n_tokens)[0] for run in runs)
    wanted = [k[at * SIZE : (at + 1) * SIZE, layer] for at in chosen]
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate([found[0], *wanted]))
    n_cold = len(set(chosen) & set(sequence.cold_blocks().tolist()))
    after = cache.stats()
    assert after.cold_frames_read - before.cold_frames_read == n_cold
    assert after.ssd_read_bytes - before.ssd_read_bytes == n_cold * cache.layout.frame_bytes


def test_the_last_chosen_block_is_cut_where_the_sequence_ends(cold):
    _, sequence = cold
    with sequence.fork(58) as other:
        runs = list(other.runs(0, np.array([1, 14], np.int64)))
    assert [run.n_tokens for run in runs] == [SIZE, 58 - 14 * SIZE]


@pytest.mark.parametrize("chosen", [[-1], [15], [3, 3], [4, 2]])
def test_blocks_that_are_not_the_sequence_s_cannot_be_chosen(cold, chosen):
    with pytest.raises(UsageError, match=r"ascending and within 0\.\.14"):
        cold[1].runs(0, np.array(chosen, np.int64))


def test_cold_blocks_are_those_that_are_not_in_memory(cold):
    cache, sequence = cold
    assert sequence.cold_blocks().tolist() == list(range(15 - cache.stats().hot_blocks))
