"""Attention: bits that depend on nothing but the tokens, however kept; what is masked."""

import numpy as np
import pytest

from kernels import attention, block_widen
from kernels.attention import Queries, Share, scratch_floats
from kernels.attention_record import Cache, make_cache
from kernels.kv_tile import FLOAT16, STORED_INT4, STORED_INT8, STORED_ROTATED, Heads, Run
from kernels.matvec import address_of

BLOCK = 24


def cached(dtype, n_tokens, seed=0):
    """A cache of some tokens, in blocks of 24, with 3 queries of its last tokens."""
    rng = np.random.default_rng(seed)
    n_blocks = -(-n_tokens // BLOCK)
    cache = Cache(dtype, 2, BLOCK, n_tokens)
    memory = make_cache(rng, cache, 16, n_blocks)[:, : cache.places(16)[-1]].copy()
    queries = rng.standard_normal((3, 6, 16), dtype=np.float32)
    return queries, memory, np.arange(n_blocks), cache


class Batch:
    """Queries on their way through runs, as the forward pass holds them."""

    def __init__(self, queries, cache, first=None):
        self.values, self.out = queries, np.ones_like(queries)
        self.state = np.empty((2, *queries.shape[:2]), np.float32)
        self.heads = Heads(queries.shape[1], cache.kv_heads, queries.shape[2], cache.dtype)
        self.cache = cache
        first = cache.n_tokens - len(queries) if first is None else first
        places = map(address_of, (queries, self.state[0], self.state[1], self.out))
        self.queries = Queries(*places, first, len(queries))
        attention.begin(self.queries, self.heads, 0, len(queries))

    def attend(self, memory, slots, position, n_tokens, share=(0, 1, 0, None)):
        first_token, step, first_head, last_head = share
        scratch = np.zeros(scratch_floats(self.heads.dim), np.float32)
        last_head = self.heads.query if last_head is None else last_head
        part = Share(first_token, step, first_head, last_head, address_of(scratch))
        offsets = self.cache.places(self.heads.dim)[:4]
        place = address_of(memory), memory.shape[1], address_of(slots)
        run = Run(*place, *offsets, BLOCK, position, n_tokens)
        attention.attend(self.queries, self.heads, run, part)

    def finish(self):
        attention.finish(self.queries, self.heads, 0, len(self.values))
        return self.out


@pytest.mark.parametrize("dtype", range(6))
def test_where_runs_are_cut_changes_no_bit(dtype):
    queries, memory, slots, cache = cached(dtype, 70)
    whole = Batch(queries, cache)
    whole.attend(memory, slots, 0, 70)
    cut = Batch(queries, cache)
    elsewhere = memory[[2, 0]].copy()  # blocks 0 and 2 in other memory, in other rows
    cut.attend(elsewhere, np.array([1]), 0, BLOCK)
    cut.attend(memory, slots[1:2], BLOCK, BLOCK)
    cut.attend(elsewhere, np.array([0]), 2 * BLOCK, 70 - 2 * BLOCK)
    np.testing.assert_array_equal(cut.finish(), whole.finish())


@pytest.mark.parametrize("dtype", [1, 4, 5])
def test_batches_and_threads_change_no_bit(dtype):
    queries, memory, slots, cache = cached(dtype, 70)
    whole = Batch(queries, cache)
    whole.attend(memory, slots, 0, 70)
    expected = whole.finish()
    for token in range(3):
        alone = Batch(queries[token : token + 1].copy(), cache, first=67 + token)
        # The cache may hold later tokens by then; and no head may lean on another's thread.
        for heads in ((0, 2), (2, 6), (6, 6)):
            alone.attend(memory, slots, 0, 68 + token, (0, 1, *heads))
        np.testing.assert_array_equal(alone.finish()[0], expected[token])
    shared = Batch(queries, cache)
    for thread in range(2):
        shared.attend(memory, slots, 0, 70, (thread, 2, 0, None))
    np.testing.assert_array_equal(shared.finish(), expected)


@pytest.mark.parametrize("bits", [0x7E00, 0x7C00])  # NaN, infinity
def test_what_lies_behind_the_last_token_is_not_seen(bits):
    queries, memory, slots, cache = cached(1, 50)
    expected = Batch(queries, cache)
    expected.attend(memory, slots, 0, 50)
    spoilt = memory.copy()
    tokens = spoilt.view(np.uint16).reshape(3, 2, BLOCK, -1)
    tokens[2, :, 2:] = bits
    got = Batch(queries, cache)
    got.attend(spoilt, slots, 0, 50)
    np.testing.assert_array_equal(got.finish(), expected.finish())


def test_a_later_run_than_any_query_sees_adds_nothing():
    queries, memory, slots, cache = cached(0, 48)
    batch = Batch(queries, cache, first=20)
    batch.attend(memory, slots[:1], 0, BLOCK)
    before = batch.out.copy()
    batch.attend(memory, slots[1:], BLOCK, BLOCK)
    np.testing.assert_array_equal(batch.out, before)


def test_one_key_is_taken_whole():
    queries, memory, slots, cache = cached(0, 1)
    batch = Batch(queries[:1].copy(), cache, first=0)
    batch.attend(memory, slots, 0, 1)
    values = memory[0].view(np.float32)[2 * BLOCK * 16 :][: 2 * 16].reshape(2, 16)
    np.testing.assert_allclose(batch.finish()[0], np.repeat(values, 3, axis=0), rtol=1e-6)


@pytest.mark.parametrize("dtype", [STORED_INT8, STORED_INT4, STORED_ROTATED])
def test_what_a_codec_stored_gives_the_bits_of_what_it_decodes(dtype):
    queries, memory, slots, cache = cached(dtype, 70)
    stored = Batch(queries, cache)
    stored.attend(memory, slots, 0, 70)
    halves = cache._replace(dtype=FLOAT16)
    decoded = np.zeros((len(memory), halves.places(16)[-1]), np.uint8)
    places = np.array(cache.places(16)[:4], np.int64)
    for row, one in zip(memory, decoded, strict=True):
        sides = np.zeros((2, BLOCK, 2, 16), np.float32)
        block_widen.reference(*sides, row, places, dtype, BLOCK)
        one[:] = sides.astype(np.float16).ravel().view(np.uint8)
    plain = Batch(queries, halves)
    plain.attend(decoded, slots, 0, 70)
    np.testing.assert_array_equal(stored.finish(), plain.finish())
