"""Multiply quantised activations with Q4_0 weights: 4 bits around 8 and a scale a block of 32.

Follows: ggml's Q4_0, value = scale * (weight - 8); eight rows interleaved, 144 bytes a block.
Leaves out: packing (workbench/inference/weight_layouts.py).

A block of eight rows: float16[8] scales, then 128 bytes as `dot_nibbles` reads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.dot import NIBBLE_BYTES, dot_nibbles, nibble_rows
from kernels.matvec import (
    by_rows,
    multiply_groups,
    random_halves,
    register_layout,
    register_matvec,
)
from kernels.vector_memory import load_halves, load_splat
from kernels.vectors import LANES, fused, splat, to_float

WORDS = 2 * LANES
BLOCK_BYTES = WORDS + NIBBLE_BYTES
_MIDDLE = np.float32(-8)


class _Q4_0(NamedTuple):
    block_bytes: int


def unpack(packed: np.ndarray) -> np.ndarray:
    """Return the weights float64[8 * groups, 32 * blocks] of uint8[groups, blocks, 144]."""
    scales = np.ascontiguousarray(packed[..., :WORDS]).view(np.float16).astype(np.float64)
    return by_rows((nibble_rows(packed[..., WORDS:]) - 8) * scales[..., None])


@njit(cache=True, nogil=True)
def _add(total, rows, block, places):
    """Add a block's products to the running sums of eight rows."""
    values, scale, sum_ = places
    weights = rows + block * BLOCK_BYTES
    dots = to_float(dot_nibbles(weights + WORDS, values)) * load_splat(scale)
    dots = fused(splat(_MIDDLE), load_splat(sum_), dots)
    return fused(dots, load_halves(weights), total)


register_layout(_Q4_0, _add)


@njit(cache=True, nogil=True)
def multiply(weights, first, last, activations, output):
    """Write the products of the groups ``first`` to ``last`` of a matrix at an address."""
    multiply_groups(_Q4_0(BLOCK_BYTES), weights, first, last, activations, output)


def make_packed(rng: np.random.Generator, groups: int) -> np.ndarray:
    """Return random weights uint8[groups, 2, 144]."""
    packed = rng.integers(0, 256, (groups, 2, BLOCK_BYTES), dtype=np.uint8)
    packed[..., :WORDS] = random_halves(rng, groups, 2, LANES)
    return packed


KERNEL = register_matvec("matvec_q4_0", unpack, multiply, make_packed)
