"""Widen one head's cached keys or values of up to 64 tokens to float32, in memory of the reader's.

Follows: `BlockLayout` of the tiered KV cache: [block_tokens, kv_heads, head_dim], and for int8 one
float16 scale a token and head; frames of float16 as the codecs int8 and int4 store them. Of those
every value comes out as the codec's decoder writes it, rounded to float16: attention's result does
not depend on whether a block was decoded first.
Leaves out: attention itself (attention.py), 4-bit numbers (kv_tile_int4.py).
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from kernels.kv_tile_int4 import (
    widen_int4_keys,
    widen_int4_values,
    widen_rotated_keys,
    widen_rotated_values,
)
from kernels.vector_memory import (
    load,
    load_half_splat,
    load_halves,
    load_int8s,
    rounded_to_half,
    store,
)
from kernels.vectors import LANES

# As the cache keeps them; then as codecs store float16, int4 with and without rotated heads.
FLOAT32, FLOAT16, INT8, STORED_INT8, STORED_INT4, STORED_ROTATED = range(6)
TILE_TOKENS = 64


class Heads(NamedTuple):
    """The heads of one layer.

    Attributes
    ----------
    query : int   query heads
    kv : int      key-value heads; query is a multiple
    dim : int     values a head, a multiple of 8
    dtype : int   `FLOAT32` .. `STORED_ROTATED`: how a run's keys and values are kept
    """

    query: int
    kv: int
    dim: int
    dtype: int


class Run(NamedTuple):
    """Consecutive blocks of one layer in one piece of memory; addresses and byte offsets.

    Attributes
    ----------
    memory, row_bytes : int         uint8[n_slots, row_bytes]
    slots : int                     int64[n_blocks], the row of each block
    k, v, k_scales, v_scales : int  where the layer's parts lie within a row; of 4-bit numbers
                                    the scales are all offsets, then all steps
    block_tokens : int
    position, n_tokens : int        of the run's first token; tokens in it
    """

    memory: int
    row_bytes: int
    slots: int
    k: int
    v: int
    k_scales: int
    v_scales: int
    block_tokens: int
    position: int
    n_tokens: int


@njit(cache=True, nogil=True, forceinline=True)
def _widen_float32(source, n_tokens, stride, to, steps, dim):
    column_step, row_step = steps
    for _ in range(n_tokens):
        for at in range(0, dim, LANES):
            store(to + at * column_step, load(source + 4 * at))
        source, to = source + stride, to + row_step


@njit(cache=True, nogil=True, forceinline=True)
def _widen_float16(source, n_tokens, stride, to, steps, dim):
    column_step, row_step = steps
    for _ in range(n_tokens):
        for at in range(0, dim, LANES):
            store(to + at * column_step, load_halves(source + 2 * at))
        source, to = source + stride, to + row_step


@njit(cache=True, nogil=True, forceinline=True)
def _widen_int8(source, n_tokens, stride, to, steps, dim, scales):
    scales, scale_stride = scales
    column_step, row_step = steps
    for _ in range(n_tokens):
        factor = load_half_splat(scales)
        for at in range(0, dim, LANES):
            store(to + at * column_step, load_int8s(source + at) * factor)
        source, to, scales = source + stride, to + row_step, scales + scale_stride


@njit(cache=True, nogil=True, forceinline=True)
def _widen_stored_int8(part, scales, heads, head, tokens, to, steps):
    first, n_tokens, _ = tokens
    column_step, row_step = steps
    stride = heads.kv * heads.dim
    source = part + first * stride + head * heads.dim
    scales += 2 * (first * heads.kv + head)
    for _ in range(n_tokens):
        factor = load_half_splat(scales)
        for at in range(0, heads.dim, LANES):
            store(to + at * column_step, rounded_to_half(load_int8s(source + at) * factor))
        source, to, scales = source + stride, to + row_step, scales + 2 * heads.kv


@njit(cache=True, nogil=True, forceinline=True)
def _widen_kept(part, scales, heads, head, tokens, to, steps):
    first, n_tokens, _ = tokens
    value_bytes = 4 if heads.dtype == FLOAT32 else 2 if heads.dtype == FLOAT16 else 1
    stride = heads.kv * heads.dim * value_bytes
    source = part + first * stride + head * heads.dim * value_bytes
    if heads.dtype == FLOAT16:
        _widen_float16(source, n_tokens, stride, to, steps, heads.dim)
    elif heads.dtype == FLOAT32:
        _widen_float32(source, n_tokens, stride, to, steps, heads.dim)
    else:
        of_head = scales + 2 * (first * heads.kv + head), 2 * heads.kv
        _widen_int8(source, n_tokens, stride, to, steps, heads.dim, of_head)


# The next two are not inlined: beside their loops LLVM's code for those above is 3 to 6 % slower.
@njit(cache=True, nogil=True)
def _widen_stored_keys(part, scales, heads, head, tokens, to, steps):
    if heads.dtype == STORED_INT4:
        widen_int4_keys(part, scales, heads, head, tokens, to, steps)
    elif heads.dtype == STORED_ROTATED:
        widen_rotated_keys(part, scales, heads, head, tokens, to, steps)
    else:
        _widen_stored_int8(part, scales, heads, head, tokens, to, steps)


@njit(cache=True, nogil=True)
def _widen_stored_values(part, scales, heads, head, tokens, to, steps):
    if heads.dtype == STORED_INT4:
        widen_int4_values(part, scales, heads, head, tokens, to, steps)
    elif heads.dtype == STORED_ROTATED:
        widen_rotated_values(part, scales, heads, head, tokens, to, steps)
    else:
        _widen_stored_int8(part, scales, heads, head, tokens, to, steps)


@njit(cache=True, nogil=True, forceinline=True)
def widen(part, scales, heads, head, tokens, to, steps, are_keys):
    """Write one head's values as float32, every eight columns of a token together.

    Parameters
    ----------
    part, scales : int   addresses of a block's K (or V) of one layer, and of its scales
    heads : Heads
    head : int           key-value head
    tokens : tuple       first token within the block, number of tokens, tokens a block
    to : int             address of the first token's first values
    steps : tuple        bytes from one column to the next, of which every eighth counts, and from
                         one token to the next: 4 and 4 * dim for float32[n_tokens, dim]
    are_keys : bool      K, not V: 4-bit numbers of the two are packed differently
    """
    if heads.dtype <= INT8:
        _widen_kept(part, scales, heads, head, tokens, to, steps)
    elif are_keys:
        _widen_stored_keys(part, scales, heads, head, tokens, to, steps)
    else:
        _widen_stored_values(part, scales, heads, head, tokens, to, steps)


@njit(cache=True, nogil=True, forceinline=True)
def widen_values(part, scales, heads, head, tokens, to):
    """Write one head's values as `widen` does, a token after the other: float32[n_tokens, dim]."""
    steps = 4, 4 * heads.dim
    if heads.dtype > INT8:
        _widen_stored_values(part, scales, heads, head, tokens, to, steps)
    else:
        _widen_kept(part, scales, heads, head, tokens, to, steps)


@njit(cache=True, nogil=True)
def _widen_stored_eights(part, scales, heads, head, tokens, to):
    first, n_tokens, block_tokens = tokens
    for token in range(0, n_tokens, LANES):
        eight = first + token, min(LANES, n_tokens - token), block_tokens
        place = to + 4 * token * heads.dim
        _widen_stored_keys(part, scales, heads, head, eight, place, (4 * LANES, 4 * LANES))


@njit(cache=True, nogil=True, forceinline=True)
def widen_keys(part, scales, heads, head, tokens, to):
    """Write one head's keys eight tokens at a time: float32[ceil(n / 8), dim / 8, 8, 8].

    The same eight columns of eight tokens lie side by side, so that products with a query need no
    address but one. Places of tokens that do not exist stay as they are.
    """
    if heads.dtype > INT8:
        _widen_stored_eights(part, scales, heads, head, tokens, to)
        return
    first, n_tokens, block_tokens = tokens
    for token in range(0, n_tokens, LANES):
        eight = first + token, min(LANES, n_tokens - token), block_tokens
        place = to + 4 * token * heads.dim
        _widen_kept(part, scales, heads, head, eight, place, (4 * LANES, 4 * LANES))
