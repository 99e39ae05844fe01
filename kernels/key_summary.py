"""Summarise a block's keys by the minimum and maximum of every channel.

Follows: Quest (Tang et al., 2024): a query's largest possible score with a block is the sum over
channels of the larger of query * minimum and query * maximum.
Leaves out: scoring queries and choosing blocks, which is attention's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.record import Kernel, exact, register

Summarise = Callable[[np.ndarray, np.ndarray, np.ndarray, int], None]


def checked(summarise: Summarise) -> Summarise:
    """Return a summary that refuses mismatched arrays."""

    @wraps(summarise)
    def run(lowest: np.ndarray, highest: np.ndarray, keys: np.ndarray, block_tokens: int) -> None:
        if keys.ndim != 3 or keys.dtype != np.float32:
            raise ValueError(
                f"keys is {keys.dtype}{list(keys.shape)}; pass float32 [n_tokens, kv_heads, "
                "head_dim]"
            )
        if block_tokens < 1:
            raise ValueError(f"block_tokens={block_tokens} must be at least 1")
        shape = (-(-len(keys) // block_tokens), *keys.shape[1:])
        expect("keys", keys, keys.shape, keys.dtype)
        expect("lowest", lowest, shape, keys.dtype)
        expect("highest", highest, shape, keys.dtype)
        if keys.size:
            summarise(lowest, highest, keys, block_tokens)

    return run


def reference(lowest, highest, keys, block_tokens):
    """Find each block's smallest and largest key, channel by channel.

    Parameters
    ----------
    lowest, highest : float32[n_blocks, kv_heads, head_dim]   written
    keys : float32[n_tokens, kv_heads, head_dim]              in the sequence's order
    block_tokens : int                                        tokens a block; the last may have less

    A NaN among a channel's keys makes both NaN: such a block must not look harmless.
    """
    for block in range(len(lowest)):
        tokens = keys[block * block_tokens : (block + 1) * block_tokens]
        for head in range(keys.shape[1]):
            for channel in range(keys.shape[2]):
                values = tokens[:, head, channel]
                lowest[block, head, channel] = values.min()
                highest[block, head, channel] = values.max()


def numpy(lowest, highest, keys, block_tokens):
    """Reduce block by block with NumPy."""
    for block in range(len(lowest)):
        tokens = keys[block * block_tokens : (block + 1) * block_tokens]
        tokens.min(axis=0, out=lowest[block])
        tokens.max(axis=0, out=highest[block])


@njit(cache=True, nogil=True)
def channels(lowest, highest, keys, block_tokens):
    """Compare channel by channel, token after token; LLVM vectorises over the channels."""
    n_tokens, heads, head_dim = keys.shape
    n_channels = heads * head_dim
    low, high, flat = lowest.reshape(-1), highest.reshape(-1), keys.reshape(-1)
    for block in range(lowest.shape[0]):
        to, first = block * n_channels, block * block_tokens
        start = first * n_channels
        for channel in range(n_channels):
            low[to + channel] = flat[start + channel]
            high[to + channel] = flat[start + channel]
        for _ in range(first + 1, min(first + block_tokens, n_tokens)):
            start += n_channels
            for channel in range(n_channels):
                value, least, most = flat[start + channel], low[to + channel], high[to + channel]
                # Only a NaN differs from itself; a comparison with one is False, which keeps it.
                is_nan = value != value
                low[to + channel] = value if value < least or is_nan else least
                high[to + channel] = value if value > most or is_nan else most


def make_inputs(rng, size):
    """Return zeroed summaries and ``size`` tokens' random keys, a NaN among them now and then."""
    block_tokens, heads, head_dim = 8, 2, 33
    keys = rng.standard_normal((size, heads, head_dim), dtype=np.float32)
    keys[rng.random(keys.shape) < 0.001] = np.nan
    low, high = np.zeros((2, -(-size // block_tokens), heads, head_dim), np.float32)
    return low, high, keys, block_tokens


def bytes_moved(lowest, highest, keys, block_tokens) -> int:
    """Return the bytes read plus written."""
    return lowest.nbytes + highest.nbytes + keys.nbytes


KERNEL = register(
    Kernel(
        name="key_summary",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(numpy), "njit": checked(channels)},
        make_inputs=make_inputs,
        outputs=(0, 1),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 7, 8, 9, 65, 200),
    )
)
