"""Attend to cached keys and values where they lie: blocks of any order in float32, float16 or int8.

Follows: FlashAttention's online softmax (Dao et al. 2022), one tile of 64 keys after the other;
grouped query heads (Ainslie et al. 2023) share a tile's conversion to float32.
Leaves out: where blocks come from (workbench/tiering), sliding windows, and threads: each takes
tokens or heads of its own.

A tile is folded into a query's running peak, sum and output in the order of positions, and no
arithmetic depends on other queries, on where runs are cut or on threads: prefill in any chunks and
decoding give the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.atomics import load_int64
from kernels.by_address import Entry
from kernels.exponential import exponential
from kernels.kv_tile import INT8, TILE_TOKENS, Heads, Run, widen, widen_keys
from kernels.matvec import address_of
from kernels.record import Kernel, register
from kernels.vectors import (
    LANES,
    fused,
    keep_first,
    larger,
    largest_of,
    load,
    load_float,
    load_splat,
    splat,
    store,
    store_float,
    sum_of,
    sums_of,
    zeros,
)

_LOWEST, _EIGHTH = np.float32(-np.inf), np.float32(0.125)
_VECTOR = 4 * LANES  # bytes of eight float32
_EIGHT = LANES * _VECTOR
# Queries (a token's head each) that pass over a tile's keys before any passes over its values:
# keys, values and they do not fit into 32 KiB of first-level cache together.
_BATCH = 32


class Queries(NamedTuple):
    """A batch's queries and what they have gathered so far; addresses of float32.

    Attributes
    ----------
    values : int               [n_tokens, query heads, dim], read
    peaks, sums : int          [n_tokens, query heads]; `begin` sets them
    out : int                  [n_tokens, query heads, dim]; `begin` sets it, `finish` divides it
    position, n_tokens : int   of the first query; queries in the batch
    """

    values: int
    peaks: int
    sums: int
    out: int
    position: int
    n_tokens: int


class Share(NamedTuple):
    """What one thread does: tokens ``first_token, first_token + step, ...`` and a range of heads.

    ``scratch`` is the address of `scratch_floats` float32 of the thread's own.
    """

    first_token: int
    step: int
    first_head: int
    last_head: int
    scratch: int


class _Tile(NamedTuple):
    """Addresses of a tile in float32, and room for what a batch of queries makes of it.

    Attributes
    ----------
    keys : int      as `widen_keys` writes them
    values : int    [64, dim]
    scores : int    [batch, 64]
    factors : int   [batch]
    dim : int       values a head
    position : int  of the first key
    n_keys : int    up to 64
    """

    keys: int
    values: int
    scores: int
    factors: int
    dim: int
    position: int
    n_keys: int


def scratch_floats(dim: int) -> int:
    """Return how many float32 of scratch memory a thread needs."""
    return 2 * TILE_TOKENS * dim + _BATCH * (TILE_TOKENS + 1)


@njit(cache=True, nogil=True, forceinline=True)
def _tile_at(scratch, dim, position, n_keys):
    values = scratch + 4 * TILE_TOKENS * dim
    scores = values + 4 * TILE_TOKENS * dim
    factors = scores + 4 * _BATCH * TILE_TOKENS
    return _Tile(scratch, values, scores, factors, dim, position, n_keys)


@njit(cache=True, nogil=True, forceinline=True)
def _eight_scores(query, keys, dim):
    """Return the products of a query with eight keys."""
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    e, f, g, h = zeros(), zeros(), zeros(), zeros()
    for _ in range(0, dim, LANES):
        values = load(query)
        a = fused(values, load(keys), a)
        b = fused(values, load(keys + _VECTOR), b)
        c = fused(values, load(keys + 2 * _VECTOR), c)
        d = fused(values, load(keys + 3 * _VECTOR), d)
        e = fused(values, load(keys + 4 * _VECTOR), e)
        f = fused(values, load(keys + 5 * _VECTOR), f)
        g = fused(values, load(keys + 6 * _VECTOR), g)
        h = fused(values, load(keys + 7 * _VECTOR), h)
        query += _VECTOR
        keys += _EIGHT
    return sums_of(a, b, c, d, e, f, g, h)


@njit(cache=True, nogil=True, forceinline=True)
def _score(query, tile, scores, visible):
    """Write the scores of the visible keys, -inf behind them; return the largest."""
    scale = splat(np.float32(1 / math.sqrt(float(tile.dim))))
    peaks = splat(_LOWEST)
    for key in range(0, visible, LANES):
        eight = _eight_scores(query, tile.keys + 4 * key * tile.dim, tile.dim) * scale
        eight = keep_first(eight, visible - key, _LOWEST)
        store(scores + 4 * key, eight)
        peaks = larger(peaks, eight)
    return largest_of(peaks)


@njit(cache=True, nogil=True, forceinline=True)
def _exponentiate(scores, visible, peak):
    """Replace scores by their exponentials below the peak; return their sum."""
    total, low = zeros(), splat(peak)
    for key in range(0, visible, LANES):
        weights = exponential(load(scores + 4 * key) - low)
        store(scores + 4 * key, weights)
        total = total + weights
    return sum_of(total)


@njit(cache=True, nogil=True, forceinline=True)
def _weigh(queries, index, tile, number, visible):
    """Turn a tile's keys into weights of one query, and say by what its output shrinks for them.

    ``index`` counts (token, head) in the batch of the forward pass, ``number`` within the tile's.
    """
    scores = tile.scores + 4 * TILE_TOKENS * number
    old_peak = load_float(queries.peaks + 4 * index)
    top = _score(queries.values + 4 * index * tile.dim, tile, scores, visible)
    peak = max(old_peak, top)
    total = _exponentiate(scores, visible, peak)
    factor = sum_of(exponential(splat(old_peak) - splat(peak)) * splat(_EIGHTH))
    store_float(tile.factors + 4 * number, factor)
    store_float(queries.peaks + 4 * index, peak)
    sums = load_float(queries.sums + 4 * index)
    store_float(queries.sums + 4 * index, sums * factor + total)


@njit(cache=True, nogil=True, forceinline=True)
def _gather_eight(out, values, row, weights, visible, factor):
    """Fold the weighted values into 64 columns of the output at an address."""
    a, b = load(out) * factor, load(out + _VECTOR) * factor
    c, d = load(out + 2 * _VECTOR) * factor, load(out + 3 * _VECTOR) * factor
    e, f = load(out + 4 * _VECTOR) * factor, load(out + 5 * _VECTOR) * factor
    g, h = load(out + 6 * _VECTOR) * factor, load(out + 7 * _VECTOR) * factor
    for key in range(visible):
        weight = load_splat(weights + 4 * key)
        a = fused(weight, load(values), a)
        b = fused(weight, load(values + _VECTOR), b)
        c = fused(weight, load(values + 2 * _VECTOR), c)
        d = fused(weight, load(values + 3 * _VECTOR), d)
        e = fused(weight, load(values + 4 * _VECTOR), e)
        f = fused(weight, load(values + 5 * _VECTOR), f)
        g = fused(weight, load(values + 6 * _VECTOR), g)
        h = fused(weight, load(values + 7 * _VECTOR), h)
        values += row
    store(out, a)
    store(out + _VECTOR, b)
    store(out + 2 * _VECTOR, c)
    store(out + 3 * _VECTOR, d)
    store(out + 4 * _VECTOR, e)
    store(out + 5 * _VECTOR, f)
    store(out + 6 * _VECTOR, g)
    store(out + 7 * _VECTOR, h)


@njit(cache=True, nogil=True, forceinline=True)
def _gather_one(out, values, row, weights, visible, factor):
    """Fold the weighted values into 8 columns of the output at an address."""
    total = load(out) * factor
    for key in range(visible):
        total = fused(load_splat(weights + 4 * key), load(values), total)
        values += row
    store(out, total)


@njit(cache=True, nogil=True, forceinline=True)
def _gather(queries, index, tile, number, visible):
    """Fold a tile's weighted values into one query's output."""
    weights = tile.scores + 4 * TILE_TOKENS * number
    factor = load_splat(tile.factors + 4 * number)
    row = 4 * tile.dim
    out, column = queries.out + index * row, 0
    while column + _EIGHT <= row:
        _gather_eight(out + column, tile.values + column, row, weights, visible, factor)
        column += _EIGHT
    while column < row:
        _gather_one(out + column, tile.values + column, row, weights, visible, factor)
        column += _VECTOR


@njit(cache=True, nogil=True, forceinline=True)
def _visible(queries, token, tile):
    """Return how many of a tile's keys a token of the batch sees."""
    return min(tile.n_keys, queries.position + token + 1 - tile.position)


@njit(cache=True, nogil=True, forceinline=True)
def _weigh_batch(queries, n_heads, tile, tokens, heads):
    """Turn a tile's keys into weights of the queries of some tokens and heads."""
    number = 0
    for token in range(tokens[0], tokens[1], tokens[2]):
        visible = _visible(queries, token, tile)
        for head in range(heads[0], heads[1]):
            if visible > 0:
                _weigh(queries, token * n_heads + head, tile, number, visible)
            number += 1


@njit(cache=True, nogil=True, forceinline=True)
def _gather_batch(queries, n_heads, tile, tokens, heads):
    """Fold a tile's values into the outputs of the same queries."""
    number = 0
    for token in range(tokens[0], tokens[1], tokens[2]):
        visible = _visible(queries, token, tile)
        for head in range(heads[0], heads[1]):
            if visible > 0:
                _gather(queries, token * n_heads + head, tile, number, visible)
            number += 1


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
    for start in range(kv_head * group, (kv_head + 1) * group, _BATCH):
        first = max(share.first_head, start)
        last = min(share.last_head, (kv_head + 1) * group, start + _BATCH)
        if first >= last:
            continue
        stretch = _BATCH // (last - first) * share.step
        for token in range(share.first_token, queries.n_tokens, stretch):
            batch = token, min(token + stretch, queries.n_tokens), share.step
            _weigh_batch(queries, heads.query, tile, batch, (first, last))
            if not have_values:
                # Only now: the keys were still in the first-level cache.
                widen(v, v_scales, heads, kv_head, tokens, tile.values, (4, 4 * heads.dim))
                have_values = True
            _gather_batch(queries, heads.query, tile, batch, (first, last))


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
            tile = _tile_at(share.scratch, heads.dim, position, n_keys)
            source = parts[0], parts[1], parts[2], parts[3], token
            for head in range(first, last + 1):
                _fold_tile(queries, heads, head, source, tile, share)


@njit(cache=True, nogil=True)
def begin(queries, heads, first, last):
    """Make the queries of the tokens ``first`` to ``last`` ready for their first run."""
    for index in range(first * heads.query, last * heads.query):
        store_float(queries.peaks + 4 * index, _LOWEST)
        store_float(queries.sums + 4 * index, np.float32(0))
        for at in range(0, 4 * heads.dim, _VECTOR):
            store(queries.out + 4 * index * heads.dim + at, zeros())


@njit(cache=True, nogil=True)
def finish(queries, heads, first, last):
    """Divide the outputs of the tokens ``first`` to ``last`` by their sums, after the last run."""
    for index in range(first * heads.query, last * heads.query):
        total = load_splat(queries.sums + 4 * index)
        for at in range(0, 4 * heads.dim, _VECTOR):
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
    scratch = np.empty(scratch_floats(dim), np.float32)
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
