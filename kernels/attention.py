"""Attend to cached keys and values where they lie: blocks of any order, however they are kept.

Follows: FlashAttention (Dao et al. 2022), one tile of 64 keys after the other; grouped query heads
(Ainslie et al. 2023) share a tile's conversion to float32.
Leaves out: where blocks come from (workbench/tiering), sliding windows, and threads: each takes
tokens or heads of its own; the kernel's record (attention_record.py).

Tiles are folded in the order of positions, and no arithmetic depends on other queries, on where
runs are cut or on threads: prefill in any chunks and decoding give the same bits.
"""

from __future__ import annotations

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
from kernels.kv_tile import TILE_TOKENS, Heads, Run, widen_keys, widen_values
from kernels.vector_memory import load, load_splat, store, store_float
from kernels.vectors import LANES, zeros

__all__ = ["ATTEND", "Queries", "Share", "attend", "begin", "finish", "scratch_floats"]

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

    ``source`` are the addresses of the block's K, V and scales, the tile's first token in it and
    the tokens that it holds.
    """
    k, v, k_scales, v_scales, first_token, block_tokens = source
    group = heads.query // heads.kv
    tokens = first_token, tile.n_keys, block_tokens
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
                widen_values(v, v_scales, heads, kv_head, tokens, tile.values)
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
            source = parts[0], parts[1], parts[2], parts[3], token, run.block_tokens
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
