"""Keep two bits of every key, counted between its block's extremes, and score a query by them.

Follows: KIVI (Liu et al., 2024), keys quantised channel by channel over groups of tokens; here only
to tell which blocks are worth reading, as InfiniGen's partial keys do (Lee et al., 2024).
Leaves out: attention itself, which reads the keys; extremes (key_summary.py).

A byte holds channels c, c + dim / 4, c + dim / 2 and c + 3 dim / 4, the first in its lowest bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.array_check import expect
from kernels.record import Kernel, register

LEVELS, PER_BYTE = 4, 4

Score = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


def sketch(
    keys: NDArray[np.float32], lowest: NDArray[np.float16], highest: NDArray[np.float16]
) -> NDArray[np.uint8]:
    """Return the two bits of every key of one block, uint8[n_tokens, kv_heads, dim / 4].

    Parameters
    ----------
    keys : float32[n_tokens, kv_heads, dim]
    lowest, highest : float16[kv_heads, dim]   extremes of these keys; a key beyond counts as one
    """
    low = lowest.astype(np.float32)
    steps = (highest.astype(np.float32) - low) / np.float32(LEVELS)
    steps[steps == 0] = 1
    codes = np.clip((keys - low) / steps, 0, LEVELS - 1).astype(np.uint8)
    parts = np.split(codes, PER_BYTE, axis=-1)
    packed: NDArray[np.uint8] = parts[0] | (parts[1] << 2) | (parts[2] << 4) | (parts[3] << 6)
    return packed


def checked(score: Score) -> Score:
    """Return a kernel that refuses mismatched arrays."""

    @wraps(score)
    def run(query: np.ndarray, lowest: np.ndarray, highest: np.ndarray, codes, out: np.ndarray):
        if codes.ndim != 4 or query.ndim != 2 or lowest.ndim != 3:
            raise ValueError(
                f"query {list(query.shape)}, lowest {list(lowest.shape)}, codes "
                f"{list(codes.shape)}: pass [query_heads, dim], [n_blocks, kv_heads, dim] and "
                "[n_blocks, block_tokens, kv_heads, dim / 4]"
            )
        n_blocks, block_tokens, kv_heads, n_bytes = codes.shape
        heads = len(query)
        if heads % kv_heads:
            raise ValueError(f"{heads} query heads are no multiple of {kv_heads} kv heads")
        extremes = (n_blocks, kv_heads, PER_BYTE * n_bytes)
        expect("query", query, (heads, PER_BYTE * n_bytes), np.dtype(np.float32))
        expect("lowest", lowest, extremes, np.dtype(np.float16))
        expect("highest", highest, extremes, np.dtype(np.float16))
        expect("codes", codes, codes.shape, np.dtype(np.uint8))
        expect("out", out, (heads, n_blocks * block_tokens), np.dtype(np.float32))
        score(query, lowest, highest, codes, out)

    return run


def reference(query, lowest, highest, codes, out):
    """Write every token's score for each query head, in the units of attention's logits.

    Parameters
    ----------
    query : float32[query_heads, dim]                            turned by its position
    lowest, highest : float16[n_blocks, kv_heads, dim]           extremes of each block's keys
    codes : uint8[n_blocks, block_tokens, kv_heads, dim / 4]     as `sketch` writes them
    out : float32[query_heads, n_blocks * block_tokens]          written
    """
    heads, dim = query.shape
    n_blocks, block_tokens, kv_heads, _ = codes.shape
    for block in range(n_blocks):
        for token in range(block_tokens):
            for head in range(heads):
                kv_head, total = head // (heads // kv_heads), 0.0
                for channel in range(dim):
                    part, byte = divmod(channel, dim // PER_BYTE)
                    code = (int(codes[block, token, kv_head, byte]) >> (2 * part)) % LEVELS
                    low = float(lowest[block, kv_head, channel])
                    reach = float(highest[block, kv_head, channel]) - low
                    key = low + (code + 0.5) / LEVELS * reach
                    total += float(query[head, channel]) * key
                out[head, block * block_tokens + token] = total / math.sqrt(dim)


def weights_of(query, lowest, highest):
    """Return what a step of a code adds to a score, and what all begin with.

    Returns
    -------
    steps : float32[n_blocks, query_heads, dim]
    bases : float32[n_blocks, query_heads]
    """
    heads, dim = query.shape
    n_blocks, kv_heads, _ = lowest.shape
    scaled = (query / np.float32(math.sqrt(dim))).reshape(kv_heads, -1, dim)
    low = lowest.astype(np.float32)
    reach = highest.astype(np.float32) - low
    middles = low + reach * np.float32(0.5 / LEVELS)
    steps = scaled * (reach * np.float32(1 / LEVELS))[:, :, None]
    bases = np.einsum("bkc,kgc->bkg", middles, scaled)
    return steps.reshape(n_blocks, heads, dim), bases.reshape(n_blocks, heads)


def numpy(query, lowest, highest, codes, out):
    """Unpack a block at a time and multiply."""
    heads = len(query)
    n_blocks, block_tokens, kv_heads, _ = codes.shape
    steps, bases = weights_of(query, lowest, highest)
    for block in range(n_blocks):
        wide = np.concatenate([codes[block] >> (2 * part) & 3 for part in range(4)], axis=-1)
        for head in range(heads):
            scores = wide[:, head // (heads // kv_heads)] @ steps[block, head] + bases[block, head]
            out[head, block * block_tokens : (block + 1) * block_tokens] = scores


# fastmath: sums of 64 products may be taken in any order, which moves a score by 1e-5 of itself;
# only a ranking of blocks comes of it.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _score(steps, bases, codes, out):
    n_blocks, block_tokens, kv_heads, n_bytes = codes.shape
    heads = steps.shape[1]
    group = heads // kv_heads
    unpacked = np.empty(4 * n_bytes, np.float32)
    for block in range(n_blocks):
        for kv_head in range(kv_heads):
            for token in range(block_tokens):
                packed = codes[block, token, kv_head]
                for at in range(n_bytes):
                    byte = np.int32(packed[at])
                    unpacked[at] = byte & 3
                    unpacked[n_bytes + at] = (byte >> 2) & 3
                    unpacked[2 * n_bytes + at] = (byte >> 4) & 3
                    unpacked[3 * n_bytes + at] = byte >> 6
                for head in range(kv_head * group, (kv_head + 1) * group):
                    total = np.float32(0)
                    for channel in range(4 * n_bytes):
                        total += steps[block, head, channel] * unpacked[channel]
                    out[head, block * block_tokens + token] = total + bases[block, head]


def njit_unpacked(query, lowest, highest, codes, out):
    """Unpack a token's codes once for all query heads that share them."""
    _score(*weights_of(query, lowest, highest), codes, out)


score = checked(njit_unpacked)


def make_inputs(rng, size):
    """Return a query, extremes and codes of ``size`` blocks' random keys, and zeros to write to."""
    block_tokens, kv_heads, dim = 5, 2, 24
    keys = rng.standard_normal((size, block_tokens, kv_heads, dim), dtype=np.float32)
    low, high = np.zeros((2, size, kv_heads, dim), np.float16)
    codes = np.zeros((size, block_tokens, kv_heads, dim // PER_BYTE), np.uint8)
    for block, some in enumerate(keys):
        low[block], high[block] = some.min(axis=0), some.max(axis=0)
        codes[block] = sketch(some, low[block], high[block])
    query = rng.standard_normal((3 * kv_heads, dim), dtype=np.float32)
    return query, low, high, codes, np.zeros((3 * kv_heads, size * block_tokens), np.float32)


def _close(expected, got):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def bytes_moved(query, lowest, highest, codes, out) -> int:
    """Return the bytes read plus written."""
    return query.nbytes + lowest.nbytes + highest.nbytes + codes.nbytes + out.nbytes


KERNEL = register(
    Kernel(
        name="key_sketch",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(numpy), "njit_unpacked": score},
        make_inputs=make_inputs,
        outputs=(4,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 3, 16, 17),
    )
)
