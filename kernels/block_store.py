"""Store tokens' keys and values into KV blocks: the one place that picks how.

    store = choose(np.float32, "float16", past_cache=True)
    store(slab, slots, rows, places, k_tokens, v_tokens)

    slab : uint8[n_slots, block_bytes]   written; the hot slab, a block a row, C-contiguous
    slots : int64[n_tokens]              block of each token
    rows : int64[n_tokens]               its place within the block, 0 to block_tokens - 1
    places : int64[n_layers, 4]          bytes from a block's start to each layer's K, V, and scales
                                         of K and V: ``[layout.places(layer) for layer in layers]``
    k_tokens, v_tokens : [n_tokens, n_layers, kv_heads, head_dim], C-contiguous; float32, float16,
                                         or uint16 for float16 bits

One layer is n_layers=1. Two tokens of one call must not share a place. Values off the grid or
outside the slab are refused (ValueError) before anything is written.

Follows: PagedAttention's reshape_and_cache, with layers within the block and the dtype changed on
the way. Leaves out: which blocks are free and what is counted (workbench/tiering).
"""

from __future__ import annotations

from concurrent.futures import Executor, wait
from itertools import pairwise

import numpy as np

from kernels import block_copy, block_narrow, block_quantize
from kernels.block_target import Store
from kernels.record import Kernel

# Family by dtype of the tokens and of what is stored.
FAMILIES: dict[tuple[str, str], Kernel] = {
    ("float32", "float32"): block_copy.KERNEL,
    ("float16", "float16"): block_copy.KERNEL,
    ("float32", "float16"): block_narrow.KERNEL,
    ("float32", "int8"): block_quantize.KERNEL,
    ("float16", "int8"): block_quantize.KERNEL,
}


def choose(source: object, stored: str, *, past_cache: bool) -> Store:
    """Return the fastest store for tokens of one dtype kept as another.

    Parameters
    ----------
    source : dtype       float32, float16, or uint16 for float16 bits
    stored : str         ``"float32"``, ``"float16"`` or ``"int8"``
    past_cache : bool    True for batches that are not read soon (prefill): non-temporal stores,
                         1.5 to 2 times faster; False for a token that is attended to next (decode)

    Raises
    ------
    ValueError   if no store goes from the one to the other; names those that there are
    """
    name = np.dtype(source).name  # type: ignore[call-overload]
    pair = ("float16" if name == "uint16" else name, stored)
    if pair not in FAMILIES:
        known = ", ".join(f"{one} to {other}" for one, other in FAMILIES)
        raise ValueError(f"no store goes from {name} to {stored}; there are {known}")
    return FAMILIES[pair].variants["njit_nontemporal" if past_cache else "njit_vector"]


def store_on_threads(
    store: Store, pool: Executor, n_threads: int, tokens: tuple[np.ndarray, ...]
) -> None:
    """Store a batch on several threads, each its share of the tokens, and wait for all.

    Parameters
    ----------
    store : callable    from `choose`, or any variant of a family
    pool : Executor     threads, at least ``n_threads - 1`` of them idle; the caller takes a share
    n_threads : int     shares; fewer when there are fewer tokens
    tokens : tuple      the store's arguments

    Cost    about 30 us beyond the storing, worth it from a few hundred KiB on.
    """
    slab, slots, rows, places, k_tokens, v_tokens = tokens
    n_tokens = len(slots)
    bounds = np.linspace(0, n_tokens, max(1, min(n_threads, n_tokens)) + 1).astype(int)
    shares = [
        (slab, slots[a:b], rows[a:b], places, k_tokens[a:b], v_tokens[a:b])
        for a, b in pairwise(bounds)
    ]
    others = [pool.submit(store, *share) for share in shares[1:]]
    try:
        store(*shares[0])
    finally:
        wait(others)
    for other in others:
        other.result()
