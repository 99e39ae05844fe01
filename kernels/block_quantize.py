"""Store tokens' keys and values into KV blocks as int8, one float16 scale a token and head.

Follows: block_copy.py, whose arguments it takes; scale.py says what a scale is, NaNs included.
Leaves out: threads (block_store.py); int4 and scales by smaller groups (quantize.py).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from kernels import block_target
from kernels.block_target import K_SCALES, V_SCALES, K, V
from kernels.half import as_float
from kernels.record import Kernel, exact, register
from kernels.rounding import LINE_VALUES, int8_line, int8_line_nontemporal, round_to_int8
from kernels.scale import INT8_STEPS, inverse_of, largest_magnitude, scale_of
from kernels.simd import LINE_BYTES, store_fence

SOURCES = (np.float32, np.uint16)
VALUE_BYTES = 1
_SCALE_BYTES = 2
_STEP = np.float32(1 / INT8_STEPS)
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
    values, scales = _quantized(source)
    for start, written in zip(starts, (values, scales), strict=True):
        start += number * written[0].nbytes
        block[start : start + written.nbytes] = written.view(np.uint8).ravel()


def _quantized(source):
    """Return (int8[n, head_dim], float16[n]) of n heads' float32 or float16 bits."""
    floats = (source.view(np.float16) if source.dtype == np.uint16 else source).astype(np.float32)
    wanted = np.abs(floats).max(axis=1, initial=0) * _STEP
    with np.errstate(over="ignore", invalid="ignore"):
        scales = wanted.astype(np.float16)
        scales = np.where(scales < wanted, np.nextafter(scales, np.float16(np.inf)), scales)
    scales[~np.isfinite(scales)] = np.nan
    usable = scales > 0
    inverse = np.zeros(scales.shape, np.float32)
    inverse[usable] = np.float32(1) / scales[usable].astype(np.float32)
    floats[~usable] = 0
    return np.rint(floats * inverse[:, None]).astype(np.int8), scales


def numpy_per_layer(slab, slots, rows, places, k_tokens, v_tokens):
    """Loop in Python over tokens and layers; NumPy quantises all heads of one at a time."""
    n_tokens, n_layers, heads, _ = k_tokens.shape
    for token in range(n_tokens):
        for layer in range(n_layers):
            for part, tokens in zip(_PARTS, (k_tokens, v_tokens), strict=True):
                source = tokens[token, layer]
                _put(slab[slots[token]], places[layer, part], rows[token] * heads, source)


@njit(cache=True, nogil=True)
def _write_scales(scales, start, inverses, row):
    """Write the scales of one row's heads, and remember what its values are multiplied with.

    All heads' scales before any value: in one loop each head would wait for its division.
    """
    for head in range(row.shape[0]):
        inverses[head] = largest_magnitude(row[head])
    for head in range(row.shape[0]):
        bits = scale_of(inverses[head], _STEP)
        scales[start + head] = bits
        inverses[head] = inverse_of(bits)


@njit(cache=True, nogil=True)
def scalar(slab, slots, rows, places, k_tokens, v_tokens):
    """Quantise value by value in plain loops; LLVM vectorises them with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    values, scales = slab.view(np.int8), slab.view(np.uint16)
    inverses = np.empty(heads, np.float32)
    for token in range(n_tokens):
        slot, row = slots[token], rows[token]
        for layer in range(n_layers):
            for side in range(2):
                source = k_tokens[token, layer] if side == K else v_tokens[token, layer]
                start = places[layer, K_SCALES + side] // _SCALE_BYTES + row * heads
                _write_scales(scales[slot], start, inverses, source)
                start = places[layer, side] + row * heads * head_dim
                for head in range(heads):
                    inverse = inverses[head]
                    for index in range(head_dim):
                        # A NaN must not reach the rounding; times 0 it would stay one.
                        value = as_float(source[head, index]) if inverse > 0 else np.float32(0)
                        values[slot, start + index] = round_to_int8(value * inverse)
                    start += head_dim


@njit(cache=True, nogil=True)
def _head_at(to, start, tokens, inverse):
    """Quantise one head of at least 64 values; the last line may overlap the one before."""
    head_dim, item_bytes = tokens.shape[3], tokens.itemsize
    whole = head_dim - head_dim % LINE_VALUES
    for index in range(0, whole, LINE_VALUES):
        int8_line(to + index, start + item_bytes * index, tokens, inverse)
    if whole < head_dim:
        last = head_dim - LINE_VALUES
        int8_line(to + last, start + item_bytes * last, tokens, inverse)


@njit(cache=True, nogil=True)
def vector(slab, slots, rows, places, k_tokens, v_tokens):
    """Quantise head by head, 64 values at a time, with ordinary stores."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    if head_dim < LINE_VALUES:
        scalar(slab, slots, rows, places, k_tokens, v_tokens)
        return
    scales, inverses = slab.view(np.uint16), np.empty(heads, np.float32)
    zeros, head_bytes = np.zeros(head_dim, k_tokens.dtype), head_dim * k_tokens.itemsize
    for token in range(n_tokens):
        slot, row = slots[token], rows[token]
        for layer in range(n_layers):
            for side in range(2):
                source = k_tokens[token, layer] if side == K else v_tokens[token, layer]
                start = places[layer, K_SCALES + side] // _SCALE_BYTES + row * heads
                _write_scales(scales[slot], start, inverses, source)
                to = slab.ctypes.data + slot * slab.shape[1] + places[layer, side]
                to += row * heads * head_dim
                for head in range(heads):
                    inverse, start = inverses[head], source.ctypes.data + head * head_bytes
                    start = start if inverse > 0 else zeros.ctypes.data
                    _head_at(to + head * head_dim, start, k_tokens, inverse)


@njit(cache=True, nogil=True)
def nontemporal(slab, slots, rows, places, k_tokens, v_tokens):
    """Quantise 64 values at a time past the cache, if heads are whole lines on the grid."""
    n_tokens, n_layers, heads, head_dim = k_tokens.shape
    off_grid = slab.ctypes.data | slab.shape[1] | head_dim
    for layer in range(n_layers):
        off_grid |= places[layer, K] | places[layer, V]
    if off_grid % LINE_BYTES:
        vector(slab, slots, rows, places, k_tokens, v_tokens)
        return
    scales, inverses = slab.view(np.uint16), np.empty(heads, np.float32)
    zeros, head_bytes = np.zeros(head_dim, k_tokens.dtype), head_dim * k_tokens.itemsize
    line_bytes = LINE_VALUES * k_tokens.itemsize
    for token in range(n_tokens):
        slot, row = slots[token], rows[token]
        for layer in range(n_layers):
            for side in range(2):
                source = k_tokens[token, layer] if side == K else v_tokens[token, layer]
                start = places[layer, K_SCALES + side] // _SCALE_BYTES + row * heads
                _write_scales(scales[slot], start, inverses, source)
                to = slab.ctypes.data + slot * slab.shape[1] + places[layer, side]
                to += row * heads * head_dim
                for head in range(heads):
                    inverse, start = inverses[head], source.ctypes.data + head * head_bytes
                    start = start if inverse > 0 else zeros.ctypes.data
                    for _ in range(head_dim // LINE_VALUES):
                        int8_line_nontemporal(to, start, k_tokens, inverse)
                        to += LINE_VALUES
                        start += line_bytes
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


def bytes_moved(slab, slots, rows, places, k_tokens, v_tokens) -> int:
    """Return the bytes read plus written, scales included."""
    return block_target.bytes_moved(VALUE_BYTES, k_tokens, v_tokens)


_checked = partial(block_target.checked, sources=SOURCES, value_bytes=VALUE_BYTES)

KERNEL = register(
    Kernel(
        name="block_quantize",
        reference=reference,
        baseline="numpy_per_layer",
        variants={
            "numpy_per_layer": _checked(numpy_per_layer),
            "njit_scalar": _checked(scalar),
            "njit_vector": _checked(vector),
            "njit_nontemporal": _checked(nontemporal),
        },
        make_inputs=make_inputs,
        outputs=(0,),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 9, 16, 21),
    )
)
