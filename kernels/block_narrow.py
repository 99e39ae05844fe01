"""Store tokens' float32 keys and values into KV blocks as float16, converted on the way.

Follows: block_copy.py, whose arguments it takes; half.py converts, infinite from 65,520.
Leaves out: threads (block_store.py) and scales (block_quantize.py).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels import block_target
from kernels.block_target import K, V, register_store
from kernels.half import (
    LINE_VALUES,
    float_to_half,
    narrow_line,
    narrow_line_nontemporal,
    narrow_value,
)
from kernels.simd import LINE_BYTES, address_of, store_fence

SOURCES = (np.float32,)
VALUE_BYTES = 2
_FLOAT_BYTES = 4


def reference(slab, slots, rows, places, k_tokens, v_tokens):
    """Write each token's row of every layer to its block, as float16.

    Parameters
    ----------
    slab : uint8[n_slots, block_bytes]     written; see block_copy.py, as for slots, rows and places
    k_tokens, v_tokens : float32[n_tokens, n_layers, kv_heads, head_dim]   read
    """
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    row_bytes = heads * head_dim * VALUE_BYTES
    for token in range(n_tokens):
        for layer in range(n_layers):
            for side, tokens in ((K, k_tokens), (V, v_tokens)):
                start = places[layer, side] + rows[token] * row_bytes
                row = tokens[token, layer].astype(np.float16).tobytes()
                slab[slots[token], start : start + row_bytes] = np.frombuffer(row, np.uint8)


def numpy_per_layer(slab, slots, rows, places, k_tokens, v_tokens):
    """Loop in Python over tokens and layers; NumPy converts one row at a time."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    halves, n_values = slab.view(np.float16), heads * head_dim
    k_rows, v_rows = (
        tokens.reshape(n_tokens, n_layers, n_values) for tokens in (k_tokens, v_tokens)
    )
    starts = places // VALUE_BYTES
    for token in range(n_tokens):
        block, row_start = halves[slots[token]], rows[token] * n_values
        for layer in range(n_layers):
            k_start, v_start = starts[layer, K] + row_start, starts[layer, V] + row_start
            block[k_start : k_start + n_values] = k_rows[token, layer]
            block[v_start : v_start + n_values] = v_rows[token, layer]


@njit(cache=True, nogil=True)
def _narrow(halves, values):
    for index in range(values.size):
        halves[index] = float_to_half(values[index])


@njit(cache=True, nogil=True)
def scalar(slab, slots, rows, places, k_tokens, v_tokens):
    """Convert row by row in a plain loop; LLVM vectorises it with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    halves, k_values, v_values = slab.view(np.uint16), k_tokens.reshape(-1), v_tokens.reshape(-1)
    n_values, source = heads * head_dim, 0
    for token in range(n_tokens):
        slot, row_start = slots[token], rows[token] * n_values
        for layer in range(n_layers):
            stop = source + n_values
            k_start = places[layer, K] // VALUE_BYTES + row_start
            v_start = places[layer, V] // VALUE_BYTES + row_start
            _narrow(halves[slot, k_start : k_start + n_values], k_values[source:stop])
            _narrow(halves[slot, v_start : v_start + n_values], v_values[source:stop])
            source = stop


@njit(cache=True, nogil=True)
def vector_at(to, start, n_values):
    """Convert between two addresses, 32 values at a time; the last may overlap the ones before."""
    if n_values < LINE_VALUES:
        for index in range(n_values):
            narrow_value(to + VALUE_BYTES * index, start + _FLOAT_BYTES * index)
        return
    whole = n_values - n_values % LINE_VALUES
    for index in range(0, whole, LINE_VALUES):
        narrow_line(to + VALUE_BYTES * index, start + _FLOAT_BYTES * index)
    if whole < n_values:
        last = n_values - LINE_VALUES
        narrow_line(to + VALUE_BYTES * last, start + _FLOAT_BYTES * last)


@njit(cache=True, nogil=True)
def nontemporal_at(to, start, n_values):
    """Convert between two addresses past the cache; the unaligned ends go through it."""
    head = -to % LINE_BYTES // VALUE_BYTES
    body = head + (n_values - head) // LINE_VALUES * LINE_VALUES
    if body <= head:
        vector_at(to, start, n_values)
        return
    if head:
        vector_at(to, start, head)
    for index in range(head, body, LINE_VALUES):
        narrow_line_nontemporal(to + VALUE_BYTES * index, start + _FLOAT_BYTES * index)
    if body < n_values:
        vector_at(to + VALUE_BYTES * body, start + _FLOAT_BYTES * body, n_values - body)


@njit(cache=True, nogil=True)
def vector(slab, slots, rows, places, k_tokens, v_tokens):
    """Convert row by row, 32 values at a time, with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    n_values = heads * head_dim
    k_row, v_row = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        row_start = rows[token] * n_values * VALUE_BYTES
        block = address_of(slab) + slots[token] * slab.shape[1] + row_start
        for layer in range(n_layers):
            vector_at(block + places[layer, K], k_row, n_values)
            vector_at(block + places[layer, V], v_row, n_values)
            k_row += n_values * _FLOAT_BYTES
            v_row += n_values * _FLOAT_BYTES


@njit(cache=True, nogil=True)
def nontemporal(slab, slots, rows, places, k_tokens, v_tokens):
    """Convert row by row past the cache."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    n_values = heads * head_dim
    k_row, v_row = address_of(k_tokens), address_of(v_tokens)
    for token in range(n_tokens):
        row_start = rows[token] * n_values * VALUE_BYTES
        block = address_of(slab) + slots[token] * slab.shape[1] + row_start
        for layer in range(n_layers):
            nontemporal_at(block + places[layer, K], k_row, n_values)
            nontemporal_at(block + places[layer, V], v_row, n_values)
            k_row += n_values * _FLOAT_BYTES
            v_row += n_values * _FLOAT_BYTES
    store_fence()


def make_inputs(rng, size):
    """Return a toy slab and tokens of float32."""
    return block_target.make_inputs(rng, size, np.float32, VALUE_BYTES)


KERNEL = register_store(
    "block_narrow",
    {
        "reference": reference,
        "numpy_per_layer": numpy_per_layer,
        "njit_scalar": scalar,
        "njit_vector": vector,
        "njit_nontemporal": nontemporal,
    },
    sources=SOURCES,
    value_bytes=VALUE_BYTES,
    make_inputs=make_inputs,
    sizes=(0, 1, 2, 3, 4, 5, 9, 16, 37),
)
