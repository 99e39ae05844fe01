"""Attend to cached keys and values where they lie: blocks of any order in float32, float16 or int8.

Follows: FlashAttention (Dao et al. 2022), one tile of 64 keys after the other; grouped query heads
(Ainslie et al. 2023) share a tile's conversion to float32.
Leaves out: where blocks come from (workbench/tiering), sliding windows, and threads: each takes
tokens or heads of its own.

Tiles are folded in the order of positions, and no arithmetic depends on other queries, on where
runs are cut or on threads: prefill in any chunks and decoding give the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.atomics import load_int64
from kernels.attention_tile import (
    BATCH,
    Queries,
    fold_batch,
    scratch_floats,
    tile_at,
)
from kernels.by_address import Entry
from kernels.kv_tile import INT8, TILE_TOKENS, Heads, Run, widen, widen_keys
from kernels.matvec import address_of
from kernels.record import Kernel, register
from kernels.vector_memory import load, load_splat, store, store_float
from kernels.vectors import LANES, zeros

__all__ = ["KERNEL", "Queries", "Share", "attend", "begin", "finish", "scratch_floats"]

_LOWEST = np.float32(-np.inf)


class Share(NamedTuple):
    """What one thread does: tokens ``first_token, first_token + step, ...`` and a range of heads.

    ``scratch`` is the address of `scratch_floats` float32 of the thread's own.
    """

    first_token: int
    step: int
    first_head: int
    last_head: int
    scratch: int


@njit(cache=True, nogil=True, forceinline=True)
def _fold_tile(queries, heads, kv_head, source, tile, share):
    """Fold a tile of one key-value head into all queries of a share.

    ``source`` are the addresses of the block's K, V and scales and the tile's first token in it.
    """
    k, v, k_scales, v_scales, first_token = source
    group = heads.query // heads.kv
    tokens = first_token, tile.n_keys
    widen_keys(k, k_scales, heads, kv_head, tokens, tile.keys)
    have_values = False
    # Groups of more heads than a batch holds pass in parts.
    for start in range(kv_head * group, (kv_head + 1) * group, BATCH):
        first = max(share.first_head, start)
        last = min(share.last_head, (kv_head + 1) * group, start + BATCH)
        if first >= last:
            continue
        stretch = BATCH // (last - first) * share.step
        for token in range(share.first_token, queries.n_tokens, stretch):
            batch = token, min(token + stretch, queries.n_tokens), share.step
            fold_batch(queries, heads.query, tile, batch, (first, last), False)
            if not have_values:
                # Only now: the keys were still in the first-level cache.
                widen(v, v_scales, heads, kv_head, tokens, tile.values, (4, 4 * heads.dim))
                have_values = True
            fold_batch(queries, heads.query, tile, batch, (first, last), True)


@njit(cache=True, nogil=True)
def attend(queries, heads, run, share):
    """Fold a run's keys and values into the queries of one thread's share.

    Every query sees the keys of its own position and below. Runs must come in the order of
    positions; see `Queries`, `Heads`, `Run` and `Share`.
    """
    if share.first_head >= share.last_head:
        return
    group = heads.query // heads.kv
    first, last = share.first_head // group, (share.last_head - 1) // group
    end = min(run.n_tokens, queries.position + queries.n_tokens - run.position)
    for start in range(0, end, run.block_tokens):
        slot = load_int64(run.slots + 8 * (start // run.block_tokens))
        block = run.memory + slot * run.row_bytes
        parts = block + run.k, block + run.v, block + run.k_scales, block + run.v_scales
        n_block = min(run.block_tokens, end - start)
        for token in range(0, n_block, TILE_TOKENS):
            position = run.position + start + token
            n_keys = min(TILE_TOKENS, n_block - token)
            tile = tile_at(share.scratch, heads.dim, position, n_keys)
            source = parts[0], parts[1], parts[2], parts[3], token
            for head in range(first, last + 1):
                _fold_tile(queries, heads, head, source, tile, share)


@njit(cache=True, nogil=True)
def begin(queries, heads, first, last):
    """Make the queries of the tokens ``first`` to ``last`` ready for their first run."""
    for index in range(first * heads.query, last * heads.query):
        store_float(queries.peaks + 4 * index, _LOWEST)
        store_float(queries.sums + 4 * index, np.float32(0))
        for at in range(0, 4 * heads.dim, 4 * LANES):
            store(queries.out + 4 * index * heads.dim + at, zeros())


@njit(cache=True, nogil=True)
def finish(queries, heads, first, last):
    """Divide the outputs of the tokens ``first`` to ``last`` by their sums, after the last run."""
    for index in range(first * heads.query, last * heads.query):
        total = load_splat(queries.sums + 4 * index)
        for at in range(0, 4 * heads.dim, 4 * LANES):
            out = queries.out + 4 * index * heads.dim + at
            store(out, load(out) / total)


def _attend(
    values, peaks, sums, out, position, n_tokens,
    query, kv, dim, dtype,
    memory, row_bytes, slots, k, v, k_scales, v_scales, block_tokens, run_position, run_tokens,
    first_token, step, first_head, last_head, scratch,
):  # fmt: skip
    queries = Queries(values, peaks, sums, out, position, n_tokens)
    run = Run(
        memory, row_bytes, slots, k, v, k_scales, v_scales, block_tokens, run_position, run_tokens
    )
    share = Share(first_token, step, first_head, last_head, scratch)
    attend(queries, Heads(query, kv, dim, dtype), run, share)


# `attend`, for callers that are not to contain it: the fields of its arguments in their order.
ATTEND = Entry(_attend)


class Cache(NamedTuple):
    """How the record's inputs hold their keys and values: K, V and scales one after the other."""

    dtype: int
    kv_heads: int
    block_tokens: int
    n_tokens: int


def _parts(cache: Cache, dim: int) -> tuple[int, int, int, int]:
    """Return the byte offsets of K, V and their scales, and the bytes of a block."""
    values = cache.block_tokens * cache.kv_heads * dim * (4, 2, 1)[cache.dtype]
    scales = 2 * cache.block_tokens * cache.kv_heads if cache.dtype == INT8 else 0
    return values, 2 * values, 2 * values + scales, 2 * (values + scales)


def _cached(memory: np.ndarray, slots: np.ndarray, cache: Cache, dim: int) -> np.ndarray:
    """Return K and V as float64[2, n_tokens, kv_heads, dim]."""
    v, k_scales, v_scales, end = _parts(cache, dim)
    rows = memory[slots]
    sides = []
    for values, scales in (((0, v), (k_scales, v_scales)), ((v, 2 * v), (v_scales, end))):
        dtype = (np.float32, np.float16, np.int8)[cache.dtype]
        part = np.ascontiguousarray(rows[:, slice(*values)]).view(dtype).astype(np.float64)
        part = part.reshape(-1, cache.kv_heads, dim)
        if cache.dtype == INT8:
            factors = np.ascontiguousarray(rows[:, slice(*scales)]).view(np.float16)
            part = part * factors.reshape(-1, cache.kv_heads, 1)
        sides.append(part[: cache.n_tokens])
    return np.stack(sides)


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
    keys, values = _cached(memory, slots, cache, dim)
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
    keys, values = _cached(memory, slots, cache, dim).astype(np.float32)
    group = n_heads // cache.kv_heads
    hidden = np.triu(np.full((n_queries, cache.n_tokens), _LOWEST), cache.n_tokens - n_queries + 1)
    for head in range(n_heads):
        scores = queries[:, head] @ keys[:, head // group].T / np.float32(math.sqrt(dim)) + hidden
        weights = np.exp(scores - scores.max(axis=1, keepdims=True, initial=_LOWEST))
        out[:, head] = weights @ values[:, head // group] / weights.sum(axis=1, keepdims=True)


def njit_tiles(queries, memory, slots, cache, out):
    """Attend tile by tile in place, as one run."""
    n_queries, n_heads, dim = queries.shape
    v, k_scales, v_scales, end = _parts(cache, dim)
    for name, array, dtype in (
        ("queries", queries, np.float32),
        ("memory", memory, np.uint8),
        ("slots", slots, np.int64),
        ("out", out, np.float32),
    ):
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(f"{name} is {array.dtype}; pass C-contiguous {np.dtype(dtype)}")
    if dim % LANES or n_heads % cache.kv_heads or out.shape != queries.shape:
        raise ValueError(
            f"queries {queries.shape} with {cache.kv_heads} kv heads, out {out.shape}: heads must "
            f"be a multiple of kv heads, their size one of {LANES}, and both shapes the same"
        )
    if memory.shape[1] < end or len(slots) * cache.block_tokens < cache.n_tokens:
        raise ValueError(f"{cache} does not fit memory {memory.shape} and {len(slots)} slots")
    if slots.size and not 0 <= slots.min() <= slots.max() < len(memory):
        raise ValueError(f"slots reach from {slots.min()} to {slots.max()} of {len(memory)}")
    state = np.empty((2, max(n_queries, 1), n_heads), np.float32)
    # Lanes behind the last key are computed too: interpreted, NumPy warns of what chance left.
    scratch = np.zeros(scratch_floats(dim), np.float32)
    places = [address_of(array) for array in (queries, state[0], state[1], out)]
    batch = Queries(*places, cache.n_tokens - n_queries, n_queries)
    heads = Heads(n_heads, cache.kv_heads, dim, cache.dtype)
    place, row_bytes = address_of(memory), memory.shape[1]
    offsets = 0, v, k_scales, v_scales
    n_tokens = cache.n_tokens
    run = Run(place, row_bytes, address_of(slots), *offsets, cache.block_tokens, 0, n_tokens)
    begin(batch, heads, 0, n_queries)
    attend(batch, heads, run, Share(0, 1, 0, n_heads, address_of(scratch)))
    finish(batch, heads, 0, n_queries)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray | Cache, ...]:
    """Return a cache of ``size`` tokens in shuffled blocks, its last tokens' queries and zeros."""
    dtype, kv_heads, dim = size % 3, 2, 72 if 1 < size < 10 else 8
    cache = Cache(dtype, kv_heads, 100 if size > 60 else 8, size)
    n_blocks = -(-size // cache.block_tokens)
    v, k_scales, _, end = _parts(cache, dim)
    memory = rng.integers(0, 256, (n_blocks + 1, end + 64), dtype=np.uint8)
    if dtype != INT8:
        values = rng.standard_normal((n_blocks + 1, 2 * v // (4, 2)[dtype]))
        memory[:, : 2 * v] = values.astype((np.float32, np.float16)[dtype]).view(np.uint8)
    else:
        scales = rng.random((n_blocks + 1, (end - k_scales) // 2)) / 64
        memory[:, k_scales:end] = scales.astype(np.float16).view(np.uint8)
    slots = rng.permutation(n_blocks + 1)[:n_blocks].astype(np.int64)
    queries = rng.standard_normal((min(size, 3), 3 * kv_heads, dim), dtype=np.float32)
    return queries, memory, slots, cache, np.zeros_like(queries)


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-6)


def bytes_moved(queries, memory, slots, cache, out) -> int:
    """Return the bytes read plus written; blocks count as far as they are filled."""
    block_bytes = _parts(cache, queries.shape[2])[-1]
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
        sizes=(0, 1, 7, 8, 9, 119, 170),
    )
)
