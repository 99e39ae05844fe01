"""Restore float16 from a whole frame of 4-bit numbers in one call: all layers, keys and values.

Follows: what attention does with a tile (kv_tile_int4.py), narrowed again, which is exact. Two
calls a layer and side took twice as long: 24 KiB are 10 us of arithmetic.
Leaves out: heads that are no whole vectors (int4_channels.py, int4_rows.py), and rows that were
kept.
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels import block_widen
from kernels.array_check import expect
from kernels.block_widen import make_block, needed_step, part_bytes
from kernels.kv_tile import STORED_INT4, STORED_ROTATED, TILE_TOKENS, Heads, widen
from kernels.record import Kernel, register
from kernels.simd import address_of
from kernels.vector_memory import load, store_halves
from kernels.vectors import LANES

_FLOAT_BYTES, _HALF_BYTES = 4, 2
_DTYPES = (STORED_INT4, STORED_ROTATED)
_TOY_SHAPES = ((8, 2, 16), (6, 1, 64), (100, 3, 32))  # tokens a block, heads, values of a head


def reference(restored, stored, places, dtype):
    """Write a frame's values.

    Parameters
    ----------
    restored : uint16[layers, 2, block_tokens, kv_heads, head_dim]   written, float16 bits
    stored : uint8[n_bytes]
    places : int64[layers, 4]   where each layer's K, V and the scales of both begin, bytes
    dtype : int                 `STORED_INT4` or `STORED_ROTATED` of kv_tile.py
    """
    for layer, one in zip(restored, places, strict=True):
        sides = np.empty(layer.shape, np.float32)
        block_widen.reference(sides[0], sides[1], stored, one, dtype, layer.shape[1])
        with np.errstate(invalid="ignore"):
            layer[:] = sides.astype(np.float16).view(np.uint16)


def njit_tiles(restored, stored, places, dtype):
    """Restore head by head, through a tile that stays in the first-level cache."""
    # Not the loop's own: of an array whose address alone is used Numba lets go at once.
    tile = np.empty(TILE_TOKENS * restored.shape[4], np.float32)
    _restore(restored, stored, places, dtype, tile)


@njit(cache=True, nogil=True)
def _restore(restored, stored, places, dtype, tile):
    n_layers, n_sides, n_tokens, kv_heads, dim = restored.shape
    heads, start = Heads(kv_heads, kv_heads, dim, dtype), address_of(stored)
    scratch, steps = address_of(tile), (_FLOAT_BYTES, _FLOAT_BYTES * dim)
    for part in range(n_layers * n_sides):
        layer, side = part // n_sides, part % n_sides
        numbers, scales = start + places[layer, side], start + places[layer, n_sides + side]
        for head in range(kv_heads):
            for first in range(0, n_tokens, TILE_TOKENS):
                n = min(TILE_TOKENS, n_tokens - first)
                tokens = first, n, n_tokens
                widen(numbers, scales, heads, head, tokens, scratch, steps, side == 0)
                row = (part * n_tokens + first) * kv_heads + head
                to, source = address_of(restored) + _HALF_BYTES * row * dim, scratch
                for _ in range(n):
                    for at in range(0, dim, LANES):
                        store_halves(to + _HALF_BYTES * at, load(source + _FLOAT_BYTES * at))
                    to += _HALF_BYTES * kv_heads * dim
                    source += _FLOAT_BYTES * dim


def checked(kernel):
    """Return a kernel that refuses what its loop could not index."""

    @wraps(kernel)
    def run(restored, stored, places, dtype):
        is_frame = restored.ndim == 5 and restored.shape[1] == 2 and not restored.shape[2] % 2
        if dtype not in _DTYPES or not is_frame or restored.shape[4] % needed_step(dtype):
            raise ValueError(
                f"restored is {restored.dtype}{list(restored.shape)} of dtype {dtype}; pass uint16 "
                "[layers, 2, an even number of tokens, kv_heads, a multiple of 16] and one of "
                f"{_DTYPES}"
            )
        expect("restored", restored, restored.shape, np.dtype(np.uint16))
        expect("stored", stored, (stored.size,), np.dtype(np.uint8))
        expect("places", places, (len(restored), 4), np.dtype(np.int64))
        n_values, *scales = part_bytes(dtype, restored.shape[2:])
        ends = places + np.array([n_values, n_values, *scales])
        if places.size and (places.min() < 0 or ends.max() > stored.size):
            raise ValueError(f"places {places.tolist()} do not lie within {stored.size} bytes")
        kernel(restored, stored, places, dtype)

    return run


def make_inputs(rng, size):
    """Return zeros for ``size`` layers and their stored bytes; shape and dtype go by the size."""
    shape, dtype = _TOY_SHAPES[size % len(_TOY_SHAPES)], _DTYPES[size % 2]
    blocks = [make_block(rng, dtype, shape) for _ in range(size)]
    stored = np.concatenate([row for row, _ in blocks]) if blocks else np.zeros(0, np.uint8)
    starts = np.cumsum([0, *(row.size for row, _ in blocks)])[:size, None]
    places = np.array([one for _, one in blocks], np.int64).reshape(size, 4) + starts
    return np.zeros((size, 2, *shape), np.uint16), stored, places, dtype


def _same_values(expected, got):
    np.testing.assert_array_equal(got.view(np.float16), expected.view(np.float16))


def bytes_moved(restored, stored, places, dtype) -> int:
    """Return the bytes read plus written."""
    return restored.nbytes + stored.nbytes


KERNEL = register(
    Kernel(
        name="dequantize_int4_frame",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(reference), "njit": checked(njit_tiles)},
        make_inputs=make_inputs,
        outputs=(0,),
        check=_same_values,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 6, 7, 8),
    )
)
