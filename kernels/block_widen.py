"""Widen one layer of a block to float32, whichever way the block is kept.

Follows: what attention does with a tile (kv_tile.py), for readers that want the values themselves.
Leaves out: several blocks, and layers that are kept as they are wanted (block_gather.py).
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels import hadamard, int4_channels, int4_rows
from kernels.array_check import expect
from kernels.kv_tile import (
    FLOAT16,
    FLOAT32,
    INT8,
    STORED_INT4,
    STORED_INT8,
    STORED_ROTATED,
    TILE_TOKENS,
    Heads,
    widen,
)
from kernels.record import Kernel, register
from kernels.simd import address_of
from kernels.vectors import LANES

_HALF_BYTES = 2
_DTYPES = {FLOAT32: np.float32, FLOAT16: np.float16, INT8: np.int8, STORED_INT8: np.int8}
_TOY_SHAPES = ((8, 2, 16), (6, 1, 64), (100, 3, 32))  # tokens a block, heads, values of a head


def part_bytes(dtype: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the bytes of a layer's K (or V), of K's scales and of V's.

    Parameters
    ----------
    dtype : int          of kv_tile.py
    shape : tuple        tokens a block, key-value heads, values a head
    """
    n_tokens, heads, dim = shape
    n_values, groups = n_tokens * heads * dim, n_tokens * heads
    if dtype in (STORED_INT4, STORED_ROTATED):
        # An offset and a step a channel of K, and a token's head of V.
        return n_values // 2, 2 * _HALF_BYTES * heads * dim, 2 * _HALF_BYTES * groups
    scales = _HALF_BYTES * groups if dtype in (INT8, STORED_INT8) else 0
    return n_values * np.dtype(_DTYPES[dtype]).itemsize, scales, scales


def needed_step(dtype: int) -> int:
    """Return what the values of a head must be a multiple of."""
    return 2 * LANES if dtype in (STORED_INT4, STORED_ROTATED) else LANES


def reference(k_out, v_out, row, places, dtype, block_tokens):
    """Write a layer's first tokens.

    Parameters
    ----------
    k_out, v_out : float32[n_tokens, kv_heads, head_dim]   written
    row : uint8[row_bytes]                                 the block
    places : int64[4]      where the layer's K, V and scales begin in it, bytes
    dtype : int            of kv_tile.py
    block_tokens : int     tokens the block holds, at least n_tokens
    """
    n_tokens, *shape = k_out.shape
    whole = (block_tokens, *shape)
    n_values, k_scales, v_scales = part_bytes(dtype, whole)
    for out, part, scales, n_scales, are_keys in (
        (k_out, places[0], places[2], k_scales, True),
        (v_out, places[1], places[3], v_scales, False),
    ):
        values = np.ascontiguousarray(row[part : part + n_values])
        halves = np.ascontiguousarray(row[scales : scales + n_scales]).view(np.uint16)
        if dtype in (STORED_INT4, STORED_ROTATED):
            side = _from_int4(values, halves, whole, dtype, are_keys)
        else:
            side = _from_bytes(values.view(_DTYPES[dtype]).reshape(whole), halves, dtype)
        out[:] = side[:n_tokens]


def _from_bytes(values, scales, dtype):
    """Return values of whole bytes as float32."""
    if dtype in (FLOAT32, FLOAT16):
        return values.astype(np.float32)
    factors = scales.view(np.float16).astype(np.float32)
    product = values.astype(np.float32) * factors.reshape(*values.shape[:2], 1)
    if dtype == INT8:
        return product
    with np.errstate(over="ignore", invalid="ignore"):
        return product.astype(np.float16).astype(np.float32)


def _from_int4(numbers, scales, shape, dtype, are_keys):
    """Return what the codec's decoder writes, as float32."""
    n_tokens, heads, dim = shape
    kernel, n_groups = (int4_channels, heads * dim) if are_keys else (int4_rows, n_tokens * heads)
    floats = np.empty((n_tokens, heads * dim) if are_keys else (n_groups, dim), np.float32)
    packed = numbers.reshape((n_tokens // 2, n_groups) if are_keys else (n_groups, dim // 2))
    kernel.restore_reference(floats, packed, *scales.reshape(2, n_groups))
    rows = floats.reshape(-1, dim)
    narrow = np.empty(rows.shape, np.uint16)
    hadamard.back_reference(narrow, rows, dtype == STORED_ROTATED)
    return narrow.view(np.float16).astype(np.float32).reshape(shape)


@njit(cache=True, nogil=True)
def _widen_all(k_out, v_out, row, places, dtype, block_tokens):
    n_tokens, kv_heads, dim = k_out.shape
    start = address_of(row)
    heads = Heads(kv_heads, kv_heads, dim, dtype)
    k, v, k_scales, v_scales = (
        start + places[0],
        start + places[1],
        start + places[2],
        start + places[3],
    )
    steps = 4, 4 * kv_heads * dim
    for head in range(kv_heads):
        for first in range(0, n_tokens, TILE_TOKENS):
            tokens = first, min(TILE_TOKENS, n_tokens - first), block_tokens
            at = 4 * (first * kv_heads + head) * dim
            widen(k, k_scales, heads, head, tokens, address_of(k_out) + at, steps, True)
            widen(v, v_scales, heads, head, tokens, address_of(v_out) + at, steps, False)


def checked(kernel):
    """Return a kernel that refuses what its loop could not index."""

    @wraps(kernel)
    def run(k_out, v_out, row, places, dtype, block_tokens):
        if k_out.ndim != 3 or k_out.shape[2] % needed_step(dtype):
            raise ValueError(
                f"k_out is {k_out.dtype}{list(k_out.shape)}; pass float32 [n_tokens, kv_heads, "
                f"head_dim], head_dim a multiple of {needed_step(dtype)}"
            )
        for name, out in (("k_out", k_out), ("v_out", v_out)):
            expect(name, out, k_out.shape, np.dtype(np.float32))
        expect("row", row, (row.size,), np.dtype(np.uint8))
        expect("places", places, (4,), np.dtype(np.int64))
        n_values, *scales = part_bytes(dtype, (block_tokens, *k_out.shape[1:]))
        ends = places + np.array([n_values, n_values, *scales])
        if len(k_out) > block_tokens or places.min() < 0 or ends.max() > row.size:
            raise ValueError(
                f"{len(k_out)} tokens of blocks of {block_tokens} from places {places.tolist()} do "
                f"not lie within {row.size} bytes"
            )
        kernel(k_out, v_out, row, places, dtype, block_tokens)

    return run


def make_block(rng, dtype, shape):
    """Return a block's bytes, with finite scales and values, and its places."""
    n_values, k_scales, v_scales = part_bytes(dtype, shape)
    ends = np.cumsum([n_values, n_values, k_scales, v_scales])
    row = rng.integers(0, 256, ends[-1] + 64, dtype=np.uint8)
    if dtype in (FLOAT32, FLOAT16):
        values = rng.standard_normal(2 * n_values // np.dtype(_DTYPES[dtype]).itemsize)
        row[: ends[1]] = values.astype(_DTYPES[dtype]).view(np.uint8)
    else:
        scales = rng.random((k_scales + v_scales) // _HALF_BYTES) / 64
        row[ends[1] : ends[3]] = scales.astype(np.float16).view(np.uint8)
    return row, np.array([0, *ends[:3]], np.int64)


def make_inputs(rng, size):
    """Return zeros for ``size`` tokens at most, and a block; dtype and shape go by the size."""
    dtype, shape = size % 6, _TOY_SHAPES[size // 6 % len(_TOY_SHAPES)]
    row, places = make_block(rng, dtype, shape)
    out = np.zeros((2, min(size, shape[0]), *shape[1:]), np.float32)
    return out[0], out[1], row, places, dtype, shape[0]


def bytes_moved(k_out, v_out, row, places, dtype, block_tokens) -> int:
    """Return the bytes read plus written; a block counts as far as it is filled."""
    return k_out.nbytes + v_out.nbytes + row.nbytes * len(k_out) // block_tokens


KERNEL = register(
    Kernel(
        name="block_widen",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(reference), "njit": checked(_widen_all)},
        make_inputs=make_inputs,
        outputs=(0, 1),
        check=np.testing.assert_array_equal,
        bytes_moved=bytes_moved,
        sizes=(*range(18), 88, 89),
    )
)
