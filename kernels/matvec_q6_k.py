"""Multiply quantised activations with Q6_K weights: 6 bits, a scale for 16, a float16 for 256.

Follows: ggml's Q6_K, value = d * scale * (weight - 32) with int8 scales; eight rows interleaved,
1,680 bytes a superblock, as many as in the file.
Leaves out: packing (workbench/inference/weight_layouts.py).

A superblock of eight rows: float16[8] d, then eight times: pairs of int8 (scale of the first and of
the second 16 weights) of each row, 128 and 64 bytes as `dot_six_bits` reads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kernels.dot import BLOCK, HIGH_BYTES, NIBBLE_BYTES, dot_six_bits, six_bit_rows
from kernels.matvec import (
    by_rows,
    multiply_groups,
    random_halves,
    register_layout,
    register_matvec,
)
from kernels.vector_memory import load_first_int8s, load_halves, load_second_int8s, load_splat
from kernels.vectors import LANES, fused, to_float

BLOCKS = 8  # blocks of 32 in a superblock
HEAD = 2 * LANES
PAIRS = 2 * LANES
HIGH = PAIRS + NIBBLE_BYTES
PART = HIGH + HIGH_BYTES
SUPERBLOCK_BYTES = HEAD + BLOCKS * PART


class _Q6_K(NamedTuple):
    block_bytes: int


def unpack(packed: np.ndarray) -> np.ndarray:
    """Return the weights float64[8 * groups, 256 * n] of uint8[groups, n, 1680]."""
    groups, superblocks, _ = packed.shape
    d = np.ascontiguousarray(packed[..., :HEAD]).view(np.float16).astype(np.float64)
    parts = packed[..., HEAD:].reshape(groups, superblocks, BLOCKS, PART)
    pairs = parts[..., :PAIRS].view(np.int8).reshape(*parts.shape[:-1], LANES, 2)
    scales = np.repeat(pairs * d[:, :, None, :, None], 16, axis=-1)
    weights = six_bit_rows(parts[..., PAIRS:HIGH], parts[..., HIGH:]) * scales
    return by_rows(weights.reshape(groups, superblocks * BLOCKS, LANES, BLOCK))


@njit(cache=True, nogil=True)
def _add(total, rows, block, places):
    """Add a block's products to the running sums of eight rows."""
    values, scale, _ = places
    head = rows + block // BLOCKS * SUPERBLOCK_BYTES
    part = head + HEAD + block % BLOCKS * PART
    first = to_float(dot_six_bits(part + PAIRS, part + HIGH, values, 0))
    second = to_float(dot_six_bits(part + PAIRS, part + HIGH, values, 1))
    both = fused(second, load_second_int8s(part), first * load_first_int8s(part))
    return fused(both * load_splat(scale), load_halves(head), total)


register_layout(_Q6_K, _add)


@njit(cache=True, nogil=True)
def multiply(weights, first, last, activations, output):
    """Write the products of the groups ``first`` to ``last`` of a matrix at an address."""
    multiply_groups(_Q6_K(SUPERBLOCK_BYTES // BLOCKS), weights, first, last, activations, output)


def make_packed(rng: np.random.Generator, groups: int) -> np.ndarray:
    """Return random weights uint8[groups, 1, 1680]."""
    packed = rng.integers(0, 256, (groups, 1, SUPERBLOCK_BYTES), dtype=np.uint8)
    packed[..., :HEAD] = random_halves(rng, groups, 1, LANES)
    return packed


KERNEL = register_matvec("matvec_q6_k", unpack, multiply, make_packed)
