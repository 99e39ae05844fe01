"""Widen one head's cached keys or values of up to 64 tokens to float32, in memory of the reader's.

Follows: `BlockLayout` of the tiered KV cache: [block_tokens, kv_heads, head_dim], and for int8 one
float16 scale a token and head.
Leaves out: attention itself (attention.py).
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from kernels.simd import LINE_BYTES, prefetch
from kernels.vectors import LANES, load, load_half_splat, load_halves, load_int8s, store

FLOAT32, FLOAT16, INT8 = range(3)
TILE_TOKENS = 64
# One token's heads lie apart, which the processor's own prefetching follows late.
_PREFETCH_TOKENS = 8


class Heads(NamedTuple):
    """The heads of one layer.

    Attributes
    ----------
    query : int   query heads
    kv : int      key-value heads; query is a multiple
    dim : int     values a head, a multiple of 8
    dtype : int   `FLOAT32`, `FLOAT16` or `INT8`, as the cache holds keys and values
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
    k, v, k_scales, v_scales : int  where the layer's parts lie within a row
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


@njit(cache=True, nogil=True)
def _widen_token(source, scale, heads, to):
    """Convert the values of one token and head."""
    if heads.dtype == FLOAT16:
        for at in range(0, heads.dim, LANES):
            store(to + 4 * at, load_halves(source + 2 * at))
    elif heads.dtype == FLOAT32:
        for at in range(0, heads.dim, LANES):
            store(to + 4 * at, load(source + 4 * at))
    else:
        factor = load_half_splat(scale)
        for at in range(0, heads.dim, LANES):
            store(to + 4 * at, load_int8s(source + at) * factor)


@njit(cache=True, nogil=True)
def widen(part, scales, heads, head, tokens, to):
    """Write one head's values as float32[n_tokens, dim].

    Parameters
    ----------
    part, scales : int   addresses of a block's K (or V) of one layer, and of its scales
    heads : Heads
    head : int           key-value head
    tokens : tuple       first token within the block, number of tokens
    to : int             address of float32[n_tokens, dim]
    """
    first, n_tokens = tokens
    value_bytes = 4 if heads.dtype == FLOAT32 else 2 if heads.dtype == FLOAT16 else 1
    head_bytes = heads.dim * value_bytes
    stride = heads.kv * head_bytes
    source = part + first * stride + head * head_bytes
    scale = scales + 2 * (first * heads.kv + head)
    for _ in range(n_tokens):
        for line in range(0, head_bytes, LINE_BYTES):
            prefetch(source + _PREFETCH_TOKENS * stride + line)
        _widen_token(source, scale, heads, to)
        source += stride
        scale += 2 * heads.kv
        to += 4 * heads.dim
