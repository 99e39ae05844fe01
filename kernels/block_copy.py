"""Store tokens' keys and values into KV blocks bit for bit: float32 or float16 as they are.

Follows: copy.py, whose loops copy each row. Leaves out: conversions (block_narrow.py,
block_quantize.py), threads (block_store.py), which blocks are free.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels import block_target, copy
from kernels.block_target import K, V, register_store
from kernels.simd import address_of, store_fence

SOURCES = (np.float32, np.uint16)


def reference(slab, slots, rows, places, k_tokens, v_tokens):
    """Write each token's row of every layer to its block.

    Parameters
    ----------
    slab : uint8[n_slots, block_bytes]     written; rows are blocks
    slots, rows : int64[n_tokens]          block of each token, and its place within the block
    places : int64[n_layers, 4]            where each layer's K, V and scales begin in a block
    k_tokens, v_tokens : float32 or uint16[n_tokens, n_layers, kv_heads, head_dim]   read

    Two tokens of one batch must not share a row. The places of scales are not looked at.
    """
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    row_bytes = heads * head_dim * k_tokens.itemsize
    for token in range(n_tokens):
        for layer in range(n_layers):
            for side, tokens in ((K, k_tokens), (V, v_tokens)):
                start = places[layer, side] + rows[token] * row_bytes
                row = tokens[token, layer].tobytes()
                slab[slots[token], start : start + row_bytes] = np.frombuffer(row, np.uint8)


def numpy_per_layer(slab, slots, rows, places, k_tokens, v_tokens):
    """Loop in Python over tokens and layers; NumPy copies one row at a time."""
    n_tokens, n_layers = k_tokens.shape[:2]
    k_rows, v_rows = (
        tokens.view(np.uint8).reshape(n_tokens, n_layers, -1) for tokens in (k_tokens, v_tokens)
    )
    row_bytes = k_rows.shape[2]
    for token in range(n_tokens):
        block, row_start = slab[slots[token]], rows[token] * row_bytes
        for layer in range(n_layers):
            k_start, v_start = places[layer, K] + row_start, places[layer, V] + row_start
            block[k_start : k_start + row_bytes] = k_rows[token, layer]
            block[v_start : v_start + row_bytes] = v_rows[token, layer]


@njit(cache=True, nogil=True)
def scalar(slab, slots, rows, places, k_tokens, v_tokens):
    """Copy row by row in a plain loop; LLVM vectorises it with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    k_bytes, v_bytes = k_tokens.reshape(-1).view(np.uint8), v_tokens.reshape(-1).view(np.uint8)
    row_bytes, source = heads * head_dim * k_tokens.itemsize, 0
    for token in range(n_tokens):
        slot, row_start = slots[token], rows[token] * row_bytes
        for layer in range(n_layers):
            stop = source + row_bytes
            k_start, v_start = places[layer, K] + row_start, places[layer, V] + row_start
            copy.elements(slab[slot, k_start : k_start + row_bytes], k_bytes[source:stop])
            copy.elements(slab[slot, v_start : v_start + row_bytes], v_bytes[source:stop])
            source = stop


@njit(cache=True, nogil=True)
def vector(slab, slots, rows, places, k_tokens, v_tokens):
    """Copy row by row, cache line by cache line, with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    row_bytes = heads * head_dim * k_tokens.itemsize
    k_row, v_row = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        block = address_of(slab) + slots[token] * slab.shape[1] + rows[token] * row_bytes
        for layer in range(n_layers):
            copy.vector_at(block + places[layer, K], k_row, row_bytes)
            copy.vector_at(block + places[layer, V], v_row, row_bytes)
            k_row += row_bytes
            v_row += row_bytes


@njit(cache=True, nogil=True)
def nontemporal(slab, slots, rows, places, k_tokens, v_tokens):
    """Copy row by row past the cache; what does not fill a line at a row's ends goes through it.

    All layers' keys of a token come before its values: each is read from end to end then, which
    is 3 % faster than taking turns.
    """
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    row_bytes = heads * head_dim * k_tokens.itemsize
    k_row, v_row = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        block = address_of(slab) + slots[token] * slab.shape[1] + rows[token] * row_bytes
        for layer in range(n_layers):
            copy.nontemporal_at(block + places[layer, K], k_row, row_bytes)
            k_row += row_bytes
        for layer in range(n_layers):
            copy.nontemporal_at(block + places[layer, V], v_row, row_bytes)
            v_row += row_bytes
    store_fence()


def make_inputs(rng, size):
    """Return a toy slab and tokens: float16 bits where the size is even, else float32."""
    source = SOURCES[size % 2 == 0]
    return block_target.make_inputs(rng, size, source, np.dtype(source).itemsize)


KERNEL = register_store(
    "block_copy",
    {
        "reference": reference,
        "numpy_per_layer": numpy_per_layer,
        "njit_scalar": scalar,
        "njit_vector": vector,
        "njit_nontemporal": nontemporal,
    },
    sources=SOURCES,
    value_bytes=None,
    make_inputs=make_inputs,
    sizes=(0, 1, 2, 3, 4, 5, 9, 16, 37),
)
