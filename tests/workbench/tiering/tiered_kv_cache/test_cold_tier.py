"""Test that blocks go to the SSD tier whole, frame by frame, and nobody else's come back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import BLOCK_BYTES, config, ssd_on
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache.block_key import BlockKeys, frame_key
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier, FrameAt

LAYOUT = config().layout
KEYS = BlockKeys(LAYOUT, fingerprint=b"toy")
KEY = bytes(range(32))


@pytest.fixture
def store():
    with ssd_on(sim_disk()) as (ssd, faults):
        yield ssd, ColdTier(ssd, LAYOUT, KEYS.attributes), faults


def frames_of(memory):
    return [memory[LAYOUT.frame_slice(frame)] for frame in range(LAYOUT.n_frames)]


def block(seed=0):
    memory = allocate(BLOCK_BYTES)
    memory[:] = np.random.default_rng(seed).integers(0, 256, BLOCK_BYTES)
    return memory


def get(cold, key=KEY):
    memory = allocate(BLOCK_BYTES)
    here = cold.get([FrameAt(key, n, frame) for n, frame in enumerate(frames_of(memory))])
    return here, memory


def test_a_block_comes_back_frame_by_frame(store):
    _, cold, _ = store
    assert not cold.contains(KEY)
    assert cold.put([(KEY, frames_of(block()))]) == [True]
    assert cold.contains(KEY)
    here, memory = get(cold)
    assert here == [True] * 3
    assert (memory == block()).all()
    assert (cold.written_bytes, cold.read_bytes) == (BLOCK_BYTES, BLOCK_BYTES)
    assert (cold.blocks, cold.blocks_unread) == (1, 0)
    assert cold.flush()


def test_a_block_without_one_of_its_frames_is_not_there(store):
    ssd, cold, _ = store
    cold.put([(KEY, frames_of(block()))])
    ssd.delete(frame_key(KEY, 1))
    assert not cold.contains(KEY)
    assert get(cold)[0] == [True, False, True]


def test_a_block_that_is_not_written_whole_is_not_written(store):
    _, cold, faults = store
    faults.add(Fault("error", "write", nth=1))
    other = bytes(32)
    stored = cold.put([(KEY, frames_of(block())), (other, frames_of(block(1)))])
    assert stored == [cold.contains(KEY), cold.contains(other)]
    assert not all(stored)
    assert cold.written_bytes == sum(stored) * BLOCK_BYTES


@pytest.mark.parametrize("error", [StorageError("forked"), MemoryError()])
def test_a_tier_that_is_broken_misses_and_takes_nothing(store, monkeypatch, error):
    ssd, cold, _ = store

    def refuse(*given):
        raise error

    for name in ("put_many", "get_many", "flush"):
        monkeypatch.setattr(type(ssd), name, refuse)
    assert cold.put([(KEY, frames_of(block()))]) == [False]
    assert get(cold)[0] == [False] * 3
    assert not cold.flush()
    monkeypatch.undo()


def test_frames_of_another_model_tenant_or_length_are_misses(store):
    ssd, cold, _ = store
    cold.put([(KEY, frames_of(block()))])
    for others in (
        BlockKeys(LAYOUT, fingerprint=b"other"),
        BlockKeys(LAYOUT, fingerprint=b"toy", tenant=b"x"),
        BlockKeys(LAYOUT, fingerprint=b"toy", codec=1),
    ):
        assert get(ColdTier(ssd, LAYOUT, others.attributes))[0] == [False] * 3
    short = bytes([7]) * 32
    for frame in range(3):
        ssd.put(frame_key(short, frame), bytes(100), KEYS.attributes)
    assert get(cold, short)[0] == [False] * 3
