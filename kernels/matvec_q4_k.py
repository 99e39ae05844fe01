"""Multiply quantised activations with Q4_K weights: 256 weights of 4 bits share two float16.

Follows: ggml's Q4_K, value = d * scale * weight - dmin * minimum, a scale and a minimum of 6 bits
for 32 weights; eight rows interleaved, 1,184 bytes a superblock, 148 for 32 weights.
Leaves out: packing (workbench/inference), which spreads the 6 bits over whole bytes: 4.63
bits a weight instead of 4.5, and no shifting in the loop.

A superblock of eight rows: float16[8] d, float16[8] dmin, then eight times: pairs of bytes (scale,
minimum) of each row, and 128 bytes as `dot_nibbles` reads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.dot import BLOCK, NIBBLE_BYTES, dot_nibbles, nibble_rows
from kernels.matvec import (
    by_rows,
    multiply_groups,
    random_halves,
    register_layout,
    register_matvec,
)
from kernels.vector_memory import load_first_uint8s, load_halves, load_second_uint8s, load_splat
from kernels.vectors import LANES, fused, splat, to_float

BLOCKS = 8  # blocks of 32 in a superblock
HEAD = 4 * LANES
PAIRS = 2 * LANES
PART = PAIRS + NIBBLE_BYTES
SUPERBLOCK_BYTES = HEAD + BLOCKS * PART
_MINUS_ONE = np.float32(-1)


class _Q4_K(NamedTuple):
    block_bytes: int


def unpack(packed: np.ndarray) -> np.ndarray:
    """Return the weights float64[8 * groups, 256 * n] of uint8[groups, n, 1184]."""
    groups, superblocks, _ = packed.shape
    halves = np.ascontiguousarray(packed[..., :HEAD]).view(np.float16).astype(np.float64)
    parts = packed[..., HEAD:].reshape(groups, superblocks, BLOCKS, PART)
    scales = parts[..., 0:PAIRS:2] * halves[:, :, None, :LANES]
    minima = parts[..., 1:PAIRS:2] * halves[:, :, None, LANES:]
    weights = nibble_rows(parts[..., PAIRS:]) * scales[..., None] - minima[..., None]
    return by_rows(weights.reshape(groups, superblocks * BLOCKS, LANES, BLOCK))


@njit(cache=True, nogil=True)
def _add(total, rows, block, places):
    """Add a block's products to the running sums of eight rows."""
    values, scale, sum_ = places
    head = rows + block // BLOCKS * SUPERBLOCK_BYTES
    part = head + HEAD + block % BLOCKS * PART
    dots = to_float(dot_nibbles(part + PAIRS, values)) * load_splat(scale)
    total = fused(dots, load_halves(head) * load_first_uint8s(part), total)
    minima = load_halves(head + 2 * LANES) * load_second_uint8s(part)
    return fused(minima, load_splat(sum_) * splat(_MINUS_ONE), total)


register_layout(_Q4_K, _add)


@njit(cache=True, nogil=True)
def multiply(weights, first, last, activations, output):
    """Write the products of the groups ``first`` to ``last`` of a matrix at an address."""
    multiply_groups(_Q4_K(SUPERBLOCK_BYTES // BLOCKS), weights, first, last, activations, output)


def make_packed(rng: np.random.Generator, groups: int) -> np.ndarray:
    """Return random weights uint8[groups, 1, 1184], scales and minima 0..63."""
    packed = rng.integers(0, 256, (groups, 1, SUPERBLOCK_BYTES), dtype=np.uint8)
    packed[..., :HEAD] = random_halves(rng, groups, 1, 2 * LANES)
    packed[..., HEAD:].reshape(groups, 1, BLOCKS, PART)[..., :PAIRS] &= 63
    return packed


KERNEL = register_matvec("matvec_q4_k", unpack, multiply, make_packed)
