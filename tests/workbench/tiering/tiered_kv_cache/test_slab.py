"""Test that the hot slab keeps its bound and cuts blocks and frames where the layout says."""

from __future__ import annotations

import pytest

from tests.workbench.tiering.tiered_kv_cache.caches import BLOCK_BYTES, config
from workbench.errors import UsageError
from workbench.tiering.async_io.buffers import address
from workbench.tiering.tiered_kv_cache.slab import HotSlab

LAYOUT = config().layout


def test_not_a_byte_more_than_granted_is_taken():
    for spare in (0, BLOCK_BYTES - 1):
        slab = HotSlab(LAYOUT, 3 * BLOCK_BYTES + spare)
        assert (slab.n_slots, slab.nbytes) == (3, 3 * BLOCK_BYTES)


def test_blocks_and_frames_are_views_of_one_memory():
    slab = HotSlab(LAYOUT, 3 * BLOCK_BYTES)
    for slot in range(3):
        slab.memory[slot] = slot + 1
    assert bytes(slab.block(1)) == bytes([2]) * BLOCK_BYTES
    frames = slab.frames(2)
    assert b"".join(map(bytes, frames)) == bytes([3]) * BLOCK_BYTES
    assert all(address(frame.data) % 4096 == 0 for frame in frames)
    slab.frame(2, 1)[0] = 9
    assert slab.memory[2].tolist().index(9) == LAYOUT.frame_slice(1).start


def test_too_little_memory_is_refused_with_the_size_that_would_do():
    with pytest.raises(UsageError, match=f"holds 1 blocks .* raise hot_bytes to {2 * 12_288:,}"):
        HotSlab(LAYOUT, BLOCK_BYTES, min_slots=2)
    with pytest.raises(UsageError, match="lower hot_bytes"):
        HotSlab(LAYOUT, 1 << 55)


def test_addresses_are_not_memory_until_they_are_used_and_slots_can_be_given_back():
    block = LAYOUT.block_bytes
    slab = HotSlab(LAYOUT, 2 * block, max_bytes=5 * block + 1)
    assert (slab.n_slots, slab.nbytes) == (5, 5 * block)
    slab.block(3)[:] = 7
    slab.block(4)[:] = 8
    slab.give_back(3)
    assert not slab.block(3).any()
    assert (slab.block(4) == 8).all()
    with pytest.raises(UsageError, match="holds 1 blocks"):
        HotSlab(LAYOUT, block, min_slots=2, max_bytes=5 * block)
