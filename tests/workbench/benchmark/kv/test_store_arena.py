"""The arena: what its cases store, where it goes, and what it refuses."""

import numpy as np
import pytest

from kernels import block_copy, kv_store
from workbench.benchmark.kv.store_arena import CEILING_VARIANTS, StoreArena, StorePlan
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry

TOY = KVGeometry(layers=2, kv_heads=2, head_dim=8)
PLAN = StorePlan(hot_tokens=128, batch_tokens=32, store_tokens=64, rounds=1)
COPY = block_copy.KERNEL.variants["njit_vector"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_token_of_a_batch_is_stored_once_on_any_number_of_threads(threads):
    """Two batches a round: the second round writes blocks 1's halves, the third block 0 again."""
    arena = StoreArena(TOY, PLAN)
    stored = []

    def spy(slab, slots, rows, places, k_tokens, v_tokens):
        stored.append((slots * 64 + rows, k_tokens, v_tokens))

    case = arena.blocks("spy", spy, "float16", "float16", threads)
    assert case.work == 64
    for first in (0, 64, 0):
        stored.clear()
        assert case.run() > 0
        positions = np.sort(np.concatenate([found for found, _, _ in stored]))
        np.testing.assert_array_equal(positions, np.arange(first, first + 64))
    k_all = np.concatenate([k for _, k, _ in sorted(stored, key=lambda part: part[0][0])])
    np.testing.assert_array_equal(k_all[:32], arena.tokens("float16")[0])


def test_what_is_stored_in_blocks_is_what_the_kernel_makes_of_it():
    arena = StoreArena(TOY, PLAN)
    arena.blocks("copy", COPY, "float32", "float32", 1).run()
    slab = arena._kept("blocks", "float32", 0)
    k_first = slab[: 32 * 2 * 8 * 4].view(np.float32).reshape(32, 2, 8)
    np.testing.assert_array_equal(k_first, arena.tokens("float32")[0, :, 0])


@pytest.mark.parametrize("at_once", [True, False])
def test_rings_take_a_batch_or_a_token_a_call(at_once):
    calls = []

    def spy(k_slab, v_slab, k_tokens, v_tokens, position):
        calls.append((len(k_tokens), int(position)))
        kv_store.KERNEL.reference(k_slab, v_slab, k_tokens, v_tokens, position)

    arena = StoreArena(TOY, PLAN)
    arena.ring("spy", spy, "float16", at_once=at_once).run()
    assert calls == ([(32, 0), (32, 32)] if at_once else [(1, n) for n in range(64)])


def test_ceilings_copy_the_batch_s_bytes_end_to_end():
    arena = StoreArena(TOY, PLAN)
    cases = arena.ceilings("float16", 2)
    assert len(cases) == len(CEILING_VARIANTS)
    cases[1].run()
    source = arena.tokens("float16").reshape(-1).view(np.uint8)
    slab = arena._kept("blocks", "float16", 0)
    np.testing.assert_array_equal(slab[: 2 * source.size].reshape(2, -1), [source, source])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 32, 64, 1), "hot_tokens=0 must be at least 1"),
        ((100, 10, 10, 1), "hot_tokens=100 must be a multiple of 64"),
        ((128, 96, 96, 1), "hot_tokens=128 must be a multiple of 96 tokens"),
        ((128, 32, 33, 1), "store_tokens=33 must be a multiple of 32 tokens"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(numbers, message):
    with pytest.raises(UsageError, match=message):
        StorePlan(*numbers)


def test_more_than_fits_is_refused():
    with pytest.raises(UsageError, match="lower hot_tokens"):
        StoreArena(TOY, StorePlan(1 << 40, 32, 32, 1))
