"""Multiply quantised activations with weights of up to 6 bits kept as bytes, for the Q5 types.

Follows: ggml's Q5_0, Q5_1 and Q5_K, which are all scale * weight + minimum over 32 weights.
Leaves out: packing (workbench/inference); 10 bits a weight instead of 5.5 to 6, the
price of one layout for types that few files have.

A block of eight rows, 320 bytes: float32[8] scales, float32[8] minima, then 256 bytes as
`dot_unsigned_bytes` reads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.dot import BYTE_BYTES, dot_unsigned_bytes, rows_of
from kernels.matvec import by_rows, multiply_groups, register_layout, register_matvec
from kernels.vector_memory import load, load_splat
from kernels.vectors import LANES, fused, to_float

MINIMA = 4 * LANES
WORDS = 8 * LANES
BLOCK_BYTES = WORDS + BYTE_BYTES


class _Bytes(NamedTuple):
    block_bytes: int


def unpack(packed: np.ndarray) -> np.ndarray:
    """Return the weights float64[8 * groups, 32 * blocks] of uint8[groups, blocks, 320]."""
    floats = np.ascontiguousarray(packed[..., :WORDS]).view(np.float32).astype(np.float64)
    scales, minima = floats[..., :LANES, None], floats[..., LANES:, None]
    return by_rows(rows_of(packed[..., WORDS:]) * scales + minima)


@njit(cache=True, nogil=True)
def _add(total, rows, block, places):
    """Add a block's products to the running sums of eight rows."""
    values, scale, sum_ = places
    weights = rows + block * BLOCK_BYTES
    dots = to_float(dot_unsigned_bytes(weights + WORDS, values)) * load_splat(scale)
    total = fused(dots, load(weights), total)
    return fused(load(weights + MINIMA), load_splat(sum_), total)


register_layout(_Bytes, _add)


@njit(cache=True, nogil=True)
def multiply(weights, first, last, activations, output):
    """Write the products of the groups ``first`` to ``last`` of a matrix at an address."""
    multiply_groups(_Bytes(BLOCK_BYTES), weights, first, last, activations, output)


def make_packed(rng: np.random.Generator, groups: int) -> np.ndarray:
    """Return random weights uint8[groups, 2, 320], values 0..63."""
    packed = rng.integers(0, 64, (groups, 2, BLOCK_BYTES), dtype=np.uint8)
    floats = rng.standard_normal((groups, 2, 2 * LANES), dtype=np.float32)
    packed[..., :WORDS] = floats.view(np.uint8)
    return packed


KERNEL = register_matvec("matvec_bytes", unpack, multiply, make_packed)
