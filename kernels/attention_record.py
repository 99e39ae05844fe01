"""Hold attention to cached keys and values against its definition, in every way they are kept.

Follows: softmax(q k / sqrt(dim)) v over all tokens up to the query's own (Vaswani et al. 2017).
Leaves out: the loops (attention.py).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kernels import attention, block_widen
from kernels.attention import Queries, Share, scratch_floats
from kernels.kv_tile import Heads, Run
from kernels.matvec import address_of
from kernels.record import Kernel, register

_LOWEST = np.float32(-np.inf)
_DTYPES = 6


class Cache(NamedTuple):
    """How the record's inputs hold their keys and values: K, V and scales one after the other."""

    dtype: int
    kv_heads: int
    block_tokens: int
    n_tokens: int

    def places(self, dim: int) -> list[int]:
        """Return where K, V and their scales begin in a block, and where the block ends."""
        shape = self.block_tokens, self.kv_heads, dim
        n_values, k_scales, v_scales = block_widen.part_bytes(self.dtype, shape)
        ends = np.cumsum([0, n_values, n_values, k_scales, v_scales])
        return [int(end) for end in ends]


def _cached(memory: np.ndarray, slots: np.ndarray, cache: Cache, dim: int) -> np.ndarray:
    """Return K and V as float32[2, n_tokens, kv_heads, dim]."""
    places = np.array(cache.places(dim)[:4], np.int64)
    shape = 2, len(slots) * cache.block_tokens, cache.kv_heads, dim
    sides = np.empty(shape, np.float32)
    for number, slot in enumerate(slots):
        rows = slice(number * cache.block_tokens, (number + 1) * cache.block_tokens)
        block_widen.reference(
            *sides[:, rows], memory[slot], places, cache.dtype, cache.block_tokens
        )
    return sides[:, : cache.n_tokens]


def reference(
    queries: np.ndarray, memory: np.ndarray, slots: np.ndarray, cache: Cache, out: np.ndarray
) -> None:
    """Write what the queries of the last tokens gather.

    Parameters
    ----------
    queries : float32[n_queries, query_heads, dim]   read; those of the last tokens
    memory : uint8[n_slots, row_bytes]               read
    slots : int64[n_blocks]                          read, the row of each block
    cache : Cache
    out : float32[n_queries, query_heads, dim]       written
    """
    n_queries, n_heads, dim = queries.shape
    keys, values = _cached(memory, slots, cache, dim).astype(np.float64)
    for query in range(n_queries):
        seen = cache.n_tokens - n_queries + query + 1
        for head in range(n_heads):
            kv_head = head // (n_heads // cache.kv_heads)
            scores = keys[:seen, kv_head] @ queries[query, head] / math.sqrt(dim)
            weights = np.exp(scores - scores.max())
            out[query, head] = weights @ values[:seen, kv_head] / weights.sum()


def numpy(queries, memory, slots, cache, out):
    """Gather the cache, then attend head by head with NumPy."""
    n_queries, n_heads, dim = queries.shape
    keys, values = _cached(memory, slots, cache, dim)
    group = n_heads // cache.kv_heads
    hidden = np.triu(np.full((n_queries, cache.n_tokens), _LOWEST), cache.n_tokens - n_queries + 1)
    for head in range(n_heads):
        scores = queries[:, head] @ keys[:, head // group].T / np.float32(math.sqrt(dim)) + hidden
        weights = np.exp(scores - scores.max(axis=1, keepdims=True, initial=_LOWEST))
        out[:, head] = weights @ values[:, head // group] / weights.sum(axis=1, keepdims=True)


def _require(queries, memory, slots, cache, out):
    """Raise ValueError for what the loops could not index."""
    _, n_heads, dim = queries.shape
    for name, array, dtype in (
        ("queries", queries, np.float32),
        ("memory", memory, np.uint8),
        ("slots", slots, np.int64),
        ("out", out, np.float32),
    ):
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(f"{name} is {array.dtype}; pass C-contiguous {np.dtype(dtype)}")
    step = block_widen.needed_step(cache.dtype)
    if dim % step or n_heads % cache.kv_heads or out.shape != queries.shape:
        raise ValueError(
            f"queries {queries.shape} with {cache.kv_heads} kv heads, out {out.shape}: heads must "
            f"be a multiple of kv heads, their size one of {step}, and both shapes the same"
        )
    end = cache.places(dim)[-1]
    if memory.shape[1] < end or len(slots) * cache.block_tokens < cache.n_tokens:
        raise ValueError(f"{cache} does not fit memory {memory.shape} and {len(slots)} slots")
    if slots.size and not 0 <= slots.min() <= slots.max() < len(memory):
        raise ValueError(f"slots reach from {slots.min()} to {slots.max()} of {len(memory)}")


def njit_tiles(queries, memory, slots, cache, out):
    """Attend tile by tile in place, as one run."""
    _require(queries, memory, slots, cache, out)
    n_queries, n_heads, dim = queries.shape
    state = np.empty((2, max(n_queries, 1), n_heads), np.float32)
    # Lanes behind the last key are computed too: interpreted, NumPy warns of what chance left.
    scratch = np.zeros(scratch_floats(dim), np.float32)
    places = [address_of(array) for array in (queries, state[0], state[1], out)]
    batch = Queries(*places, cache.n_tokens - n_queries, n_queries)
    heads = Heads(n_heads, cache.kv_heads, dim, cache.dtype)
    rows = address_of(memory), memory.shape[1], address_of(slots)
    run = Run(*rows, *cache.places(dim)[:4], cache.block_tokens, 0, cache.n_tokens)
    attention.begin(batch, heads, 0, n_queries)
    attention.attend(batch, heads, run, Share(0, 1, 0, n_heads, address_of(scratch)))
    attention.finish(batch, heads, 0, n_queries)


def make_cache(rng: np.random.Generator, cache: Cache, dim: int, n_slots: int) -> np.ndarray:
    """Return blocks of finite values, with a few bytes behind each."""
    shape = cache.block_tokens, cache.kv_heads, dim
    return np.stack([block_widen.make_block(rng, cache.dtype, shape)[0] for _ in range(n_slots)])


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray | Cache, ...]:
    """Return a cache of ``size`` tokens in shuffled blocks, its last tokens' queries and zeros."""
    dtype, kv_heads = size % _DTYPES, 2
    dim = 64 if 1 < size < 10 else block_widen.needed_step(dtype)
    cache = Cache(dtype, kv_heads, 100 if size > 60 else 8, size)
    n_blocks = -(-size // cache.block_tokens)
    memory = make_cache(rng, cache, dim, n_blocks + 1)
    slots = rng.permutation(n_blocks + 1)[:n_blocks].astype(np.int64)
    queries = rng.standard_normal((min(size, 3), 3 * kv_heads, dim), dtype=np.float32)
    return queries, memory, slots, cache, np.zeros_like(queries)


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-6)


def bytes_moved(queries, memory, slots, cache, out) -> int:
    """Return the bytes read plus written; blocks count as far as they are filled."""
    block_bytes = cache.places(queries.shape[2])[-1]
    cached = block_bytes * cache.n_tokens // cache.block_tokens
    return queries.nbytes + cached + slots.nbytes + out.nbytes


KERNEL = register(
    Kernel(
        name="attention",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_tiles": njit_tiles},
        make_inputs=make_inputs,
        outputs=(4,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 7, 8, 9, 118, 119, 165, 170, 172, 173),
    )
)
