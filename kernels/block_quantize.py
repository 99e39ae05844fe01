"""Store tokens' keys and values into KV blocks as int8, one float16 scale a token and head.

Follows: block_copy.py, whose arguments it takes; scale.py says what a scale is, NaNs included.
Leaves out: threads (block_store.py); int4 and scales by smaller groups (quantize.py).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels import block_target
from kernels.block_target import K_SCALES, V_SCALES, K, V, register_store
from kernels.half import as_float, magnitude_bits
from kernels.rounding import (
    LINE_VALUES,
    int8_line,
    int8_line_nontemporal,
    largest_of,
    round_to_int8,
    value_bytes,
)
from kernels.scale import INT8_STEPS, inverse_of, scale_of, whole_numbers
from kernels.simd import LINE_BYTES, address_of, prefetch, store_fence

SOURCES = (np.float32, np.uint16)
VALUE_BYTES = 1
_SCALE_BYTES = 2
_FLOAT = np.float32
_STEP = _FLOAT(1 / INT8_STEPS)
# One line's values, float32 or float16: what a head without a scale is read from, because its NaNs
# must not reach the rounding.
_ZEROS = np.zeros(LINE_VALUES, _FLOAT)
_PARTS = ([K, K_SCALES], [V, V_SCALES])  # columns of `places`: values, scales


def reference(slab, slots, rows, places, k_tokens, v_tokens):
    """Write each token's row of every layer to its block as int8, and its heads' scales.

    Parameters
    ----------
    slab : uint8[n_slots, block_bytes]     written; see block_copy.py, as for slots, rows and places
    k_tokens, v_tokens : float32 or uint16[n_tokens, n_layers, kv_heads, head_dim]   read

    A value is off by at most half its head's scale. A head of zeros has scale 0.
    """
    n_tokens, n_layers, heads, _ = k_tokens.shape
    for token in range(n_tokens):
        for layer in range(n_layers):
            for head in range(heads):
                for part, tokens in zip(_PARTS, (k_tokens, v_tokens), strict=True):
                    source = tokens[token, layer, head : head + 1]
                    _put(
                        slab[slots[token]], places[layer, part], rows[token] * heads + head, source
                    )


def _put(block, starts, number, source):
    """Write heads [n, head_dim] as the block's numbers ``number`` to ``number + n``."""
    floats = (source.view(np.float16) if source.dtype == np.uint16 else source).astype(np.float32)
    numbers, scales = whole_numbers(floats, _STEP)
    for start, written in zip(starts, (numbers.astype(np.int8), scales), strict=True):
        start += number * written[0].nbytes
        block[start : start + written.nbytes] = written.view(np.uint8).ravel()


def numpy_per_layer(slab, slots, rows, places, k_tokens, v_tokens):
    """Loop in Python over tokens and layers; NumPy quantises all heads of one at a time."""
    n_tokens, n_layers, heads, _ = k_tokens.shape
    for token in range(n_tokens):
        for layer in range(n_layers):
            for part, tokens in zip(_PARTS, (k_tokens, v_tokens), strict=True):
                source = tokens[token, layer]
                _put(slab[slots[token]], places[layer, part], rows[token] * heads, source)


@njit(cache=True, nogil=True)
def _find_largest(largest, tokens, token, layer):
    """Note the largest magnitude of each head of one row.

    Whole arrays come in, here and below, because slicing them costs more than a head's work.
    """
    for head in range(tokens.shape[2]):
        most = magnitude_bits(tokens[token, layer, head, 0])
        for index in range(tokens.shape[3]):  # from 0: a whole number of vectors
            most = max(most, magnitude_bits(tokens[token, layer, head, index]))
        largest[head] = as_float(most)


@njit(cache=True, nogil=True)
def _find_largest_lines(largest, tokens, token, layer):
    """Do as `_find_largest` for heads of at least 64 values."""
    heads, head_dim, item_bytes = tokens.shape[2], tokens.shape[3], value_bytes(tokens)
    row = (token * tokens.shape[1] + layer) * heads * head_dim
    start = address_of(tokens) + row * item_bytes
    for head in range(heads):
        largest[head] = as_float(largest_of(start, head_dim, tokens))
        start += head_dim * item_bytes


@njit(cache=True, nogil=True)
def _write_scales(scales, start, largest, inverses):
    """Write one row's scales, and note what its values are multiplied with; in vectors."""
    for head in range(len(largest)):
        bits = scale_of(largest[head], _STEP)
        scales[start + head] = bits
        inverses[head] = inverse_of(bits)


@njit(cache=True, nogil=True)
def _scalar_row(values, start, inverses, tokens, token, layer):
    for head in range(tokens.shape[2]):
        inverse, written = inverses[head], values[start : start + tokens.shape[3]]
        if inverse > 0:
            for index in range(tokens.shape[3]):
                value = as_float(tokens[token, layer, head, index])
                written[index] = round_to_int8(value * inverse)
        else:
            written[:] = 0
        start += tokens.shape[3]


@njit(cache=True, nogil=True)
def scalar(slab, slots, rows, places, k_tokens, v_tokens):
    """Quantise value by value in plain loops; LLVM vectorises them with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    memory = slab.reshape(-1)
    values, scales = memory.view(np.int8), memory.view(np.uint16)
    largest, inverses = np.empty(heads, _FLOAT), np.empty(heads, _FLOAT)
    for token in range(n_tokens):
        block, row = slots[token] * slab.shape[1], rows[token] * heads
        for layer in range(n_layers):
            _find_largest(largest, k_tokens, token, layer)
            start = (block + places[layer, K_SCALES]) // _SCALE_BYTES + row
            _write_scales(scales, start, largest, inverses)
            start = block + places[layer, K] + row * head_dim
            _scalar_row(values, start, inverses, k_tokens, token, layer)
            _find_largest(largest, v_tokens, token, layer)
            start = (block + places[layer, V_SCALES]) // _SCALE_BYTES + row
            _write_scales(scales, start, largest, inverses)
            start = block + places[layer, V] + row * head_dim
            _scalar_row(values, start, inverses, v_tokens, token, layer)


@njit(cache=True, nogil=True)
def _vector_row(to, inverses, tokens, token, layer):
    """Quantise one row of heads of at least 64 values; a head's last line may overlap."""
    heads, head_dim, item_bytes = tokens.shape[2], tokens.shape[3], value_bytes(tokens)
    row = (token * tokens.shape[1] + layer) * heads * head_dim
    start = address_of(tokens) + row * item_bytes
    for head in range(heads):
        inverse = inverses[head]
        for index in range(0, head_dim, LINE_VALUES):
            place = min(index, head_dim - LINE_VALUES)
            source = start + place * item_bytes if inverse > 0 else address_of(_ZEROS)
            int8_line(to + place, source, tokens, inverse)
        to += head_dim
        start += head_dim * item_bytes


@njit(cache=True, nogil=True)
def vector(slab, slots, rows, places, k_tokens, v_tokens):
    """Quantise head by head, 64 values at a time, with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    if head_dim < LINE_VALUES:
        scalar(slab, slots, rows, places, k_tokens, v_tokens)
        return
    memory, scales = address_of(slab), slab.reshape(-1).view(np.uint16)
    k_largest, v_largest = np.empty(heads, _FLOAT), np.empty(heads, _FLOAT)
    k_inverses, v_inverses = np.empty(heads, _FLOAT), np.empty(heads, _FLOAT)
    for token in range(n_tokens):
        block, row = slots[token] * slab.shape[1], rows[token] * heads
        for layer in range(n_layers):
            _find_largest_lines(k_largest, k_tokens, token, layer)
            _find_largest_lines(v_largest, v_tokens, token, layer)
            start = (block + places[layer, K_SCALES]) // _SCALE_BYTES + row
            _write_scales(scales, start, k_largest, k_inverses)
            start = (block + places[layer, V_SCALES]) // _SCALE_BYTES + row
            _write_scales(scales, start, v_largest, v_inverses)
            to = memory + block + row * head_dim
            _vector_row(to + places[layer, K], k_inverses, k_tokens, token, layer)
            _vector_row(to + places[layer, V], v_inverses, v_tokens, token, layer)


@njit(cache=True, nogil=True)
def _nontemporal_row(to, inverses, tokens, token, layer):
    """Quantise one row of heads that are whole lines on the grid.

    Asks for the next layer's row meanwhile, whose largest are looked for next: a batch of 32 tokens
    takes 42 us a token, 62 without.
    """
    heads, head_dim, item_bytes = tokens.shape[2], tokens.shape[3], value_bytes(tokens)
    row = (token * tokens.shape[1] + layer) * heads * head_dim
    start = address_of(tokens) + row * item_bytes
    soon_bytes, line_bytes = heads * head_dim * item_bytes, LINE_VALUES * item_bytes
    for head in range(heads):
        inverse = inverses[head]
        source, step = (start, line_bytes) if inverse > 0 else (address_of(_ZEROS), 0)
        for place in range(0, head_dim, LINE_VALUES):
            soon = start + place * item_bytes + soon_bytes
            prefetch(soon)
            prefetch(soon + LINE_BYTES)
            if item_bytes == 4:
                prefetch(soon + 2 * LINE_BYTES)
                prefetch(soon + 3 * LINE_BYTES)
            int8_line_nontemporal(to + place, source, tokens, inverse)
            source += step
        to += head_dim
        start += head_dim * item_bytes


@njit(cache=True, nogil=True)
def nontemporal(slab, slots, rows, places, k_tokens, v_tokens):
    """Quantise 64 values at a time past the cache, if heads are whole lines on the grid.

    The largest magnitudes are found one row ahead, keys and values in turn. They are written singly
    and then loaded in vectors, which waits for all stores before them; without the distance these
    would be the last row's non-temporal ones (2.5 times slower at 3 heads of 64).
    """
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    memory, scales = address_of(slab), slab.reshape(-1).view(np.uint16)
    off_grid = memory | slab.shape[1] | head_dim
    for layer in range(n_layers):
        off_grid |= places[layer, K] | places[layer, V]
    if off_grid % LINE_BYTES:
        vector(slab, slots, rows, places, k_tokens, v_tokens)
        return
    k_largest, v_largest = np.empty(heads, _FLOAT), np.empty(heads, _FLOAT)
    k_inverses, v_inverses = np.empty(heads, _FLOAT), np.empty(heads, _FLOAT)
    for token in range(n_tokens):
        block, row = slots[token] * slab.shape[1], rows[token] * heads
        to = memory + block + row * head_dim
        _find_largest_lines(k_largest, k_tokens, token, 0)
        start = (block + places[0, K_SCALES]) // _SCALE_BYTES + row
        _write_scales(scales, start, k_largest, k_inverses)
        for layer in range(n_layers):
            _find_largest_lines(v_largest, v_tokens, token, layer)
            start = (block + places[layer, V_SCALES]) // _SCALE_BYTES + row
            prefetch(memory + _SCALE_BYTES * start)
            _nontemporal_row(to + places[layer, K], k_inverses, k_tokens, token, layer)
            _write_scales(scales, start, v_largest, v_inverses)
            if layer + 1 < n_layers:
                _find_largest_lines(k_largest, k_tokens, token, layer + 1)
                start = (block + places[layer + 1, K_SCALES]) // _SCALE_BYTES + row
                prefetch(memory + _SCALE_BYTES * start)
            _nontemporal_row(to + places[layer, V], v_inverses, v_tokens, token, layer)
            if layer + 1 < n_layers:
                _write_scales(scales, start, k_largest, k_inverses)
    store_fence()


def make_inputs(rng, size):
    """Return a toy slab and tokens: float16 bits where the size is even, else float32.

    Some heads are zeros, some hold a NaN or an infinity, some are tiny or huge.
    """
    source = SOURCES[size % 2 == 0]
    inputs = block_target.make_inputs(rng, size, source, VALUE_BYTES)
    for tokens in inputs[4:]:
        values = tokens.view(np.float16) if source is np.uint16 else tokens
        heads = values.reshape(-1, values.shape[3])
        kinds = rng.integers(0, 12, len(heads))
        for kind, factor in enumerate((0, 1e-6, 1e-4, 1e4)):
            heads[kinds == kind] *= values.dtype.type(factor)
        for kind, value in enumerate((np.nan, np.inf, -np.inf), 4):
            heads[kinds == kind, rng.integers(0, values.shape[3])] = value
    return inputs


KERNEL = register_store(
    "block_quantize",
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
    sizes=(0, 1, 2, 3, 4, 5, 9, 16, 21),
)
