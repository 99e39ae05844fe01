"""Fold one tile of keys and values, widened to float32, into the queries of a batch.

Follows: FlashAttention's online softmax (Dao et al. 2022): a running peak, sum and output a query.
Leaves out: which tiles, in which order, and who widens them (attention.py).

All queries of a batch pass over the keys before any passes over the values, as a tile's keys,
values and they do not fit into 32 KiB of first-level cache together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.exponential import exponential
from kernels.kv_tile import TILE_TOKENS
from kernels.vector_memory import load, load_float, load_splat, store, store_float
from kernels.vectors import (
    LANES,
    fused,
    keep_first,
    larger,
    largest_of,
    splat,
    sum_of,
    sums_of,
    zeros,
)

BATCH = 32  # queries, a token's head each, that pass together

_LOWEST, _ONE = np.float32(-np.inf), np.float32(1)
_VECTOR = 4 * LANES  # bytes of eight float32
_EIGHT = LANES * _VECTOR


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


class Tile(NamedTuple):
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
    return 2 * TILE_TOKENS * dim + BATCH * (TILE_TOKENS + 1)


@njit(cache=True, nogil=True, forceinline=True)
def tile_at(scratch, dim, position, n_keys):
    """Return the tile that lies in a thread's scratch memory."""
    values = scratch + 4 * TILE_TOKENS * dim
    scores = values + 4 * TILE_TOKENS * dim
    factors = scores + 4 * BATCH * TILE_TOKENS
    return Tile(scratch, values, scores, factors, dim, position, n_keys)


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
        if visible - key < LANES:
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
    factor = _ONE
    if peak > old_peak:  # seldom, and most of the cost besides the two loops
        factor = largest_of(exponential(splat(old_peak) - splat(peak)))
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
def fold_batch(queries, n_heads, tile, tokens, heads, values):
    """Turn a tile's keys into weights of the queries of some tokens and heads, or fold its values.

    Keys come first for all of them; ``values`` is a constant where this is called.
    """
    number = 0
    for token in range(tokens[0], tokens[1], tokens[2]):
        visible = _visible(queries, token, tile)
        for head in range(heads[0], heads[1]):
            index = token * n_heads + head
            if visible > 0 and values:
                _gather(queries, index, tile, number, visible)
            elif visible > 0:
                _weigh(queries, index, tile, number, visible)
            number += 1
