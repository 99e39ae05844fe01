"""Widen one head's keys or values from 4-bit numbers as the int4 codecs store them.

Follows: int4_channels.py for keys (two tokens a byte, offset and step a channel), int4_rows.py for
values (the halves of a head in one byte, offset and step a token and head), hadamard.py for heads
that were rotated. What comes out is rounded to float16, so that every value is the one that the
codec's decoder writes.
Leaves out: rows that a codec keeps as float16; blocks that have such are decoded.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kernels.vector_memory import (
    load,
    load_half_splat,
    load_halves,
    load_high_nibbles,
    load_low_nibbles,
    rounded_to_half,
    store,
)
from kernels.vectors import LANES, butterfly, splat

_HALF_BYTES = 2
_IN_REGISTERS = 8 * LANES  # values of a head that are rotated without going through memory


@njit(cache=True, nogil=True, forceinline=True)
def _settled(values, is_rotated):
    """Return values as they are stored for now: rounded, unless they are to be rotated back."""
    return values if is_rotated else rounded_to_half(values)


@njit(cache=True, nogil=True, forceinline=True)
def _widen_channels(numbers, scales, heads, head, tokens, to, steps, is_rotated):
    """Write keys: a token of the block's first half is in low nibbles, of the second in high."""
    first, n_tokens, block_tokens = tokens
    column_step, row_step = steps
    width, half = heads.kv * heads.dim, block_tokens // 2
    n_low = min(max(half - first, 0), n_tokens)
    for at in range(0, heads.dim, LANES):
        channel = head * heads.dim + at
        offset = load_halves(scales + _HALF_BYTES * channel)
        step = load_halves(scales + _HALF_BYTES * (width + channel))
        place = to + at * column_step
        source = numbers + first * width + channel
        for _ in range(n_low):
            store(place, _settled(offset + load_low_nibbles(source) * step, is_rotated))
            source, place = source + width, place + row_step
        source = numbers + (first + n_low - half) * width + channel
        for _ in range(n_low, n_tokens):
            store(place, _settled(offset + load_high_nibbles(source) * step, is_rotated))
            source, place = source + width, place + row_step


@njit(cache=True, nogil=True, forceinline=True)
def _widen_groups(numbers, scales, heads, head, tokens, to, steps, is_rotated):
    """Write values: the first half of a head is in low nibbles, the second in high ones."""
    first, n_tokens, block_tokens = tokens
    column_step, row_step = steps
    half, to_steps = heads.dim // 2, _HALF_BYTES * block_tokens * heads.kv
    group = first * heads.kv + head
    source, scales = numbers + group * half, scales + _HALF_BYTES * group
    for _ in range(n_tokens):
        offset, step = load_half_splat(scales), load_half_splat(scales + to_steps)
        for at in range(0, half, LANES):
            place = to + at * column_step
            low = offset + load_low_nibbles(source + at) * step
            high = offset + load_high_nibbles(source + at) * step
            store(place, _settled(low, is_rotated))
            store(place + half * column_step, _settled(high, is_rotated))
        source, scales = source + heads.kv * half, scales + _HALF_BYTES * heads.kv
        to += row_step


@njit(cache=True, nogil=True, forceinline=True)
def _turn_in_registers(place, step, factor):
    """Rotate a head of 64 back and round it: eight vectors, ``step`` bytes apart."""
    a, b = butterfly(load(place)), butterfly(load(place + step))
    c, d = butterfly(load(place + 2 * step)), butterfly(load(place + 3 * step))
    e, f = butterfly(load(place + 4 * step)), butterfly(load(place + 5 * step))
    g, h = butterfly(load(place + 6 * step)), butterfly(load(place + 7 * step))
    a, b, c, d, e, f, g, h = a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h
    a, b, c, d, e, f, g, h = a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h
    a, b, c, d, e, f, g, h = a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h
    store(place, rounded_to_half(a * factor))
    store(place + step, rounded_to_half(b * factor))
    store(place + 2 * step, rounded_to_half(c * factor))
    store(place + 3 * step, rounded_to_half(d * factor))
    store(place + 4 * step, rounded_to_half(e * factor))
    store(place + 5 * step, rounded_to_half(f * factor))
    store(place + 6 * step, rounded_to_half(g * factor))
    store(place + 7 * step, rounded_to_half(h * factor))


@njit(cache=True, nogil=True, forceinline=True)
def _turn_back(n_tokens, to, steps, dim):
    """Rotate heads back where they lie, and round them: the steps of `hadamard.BACK`."""
    column_step, row_step = steps
    factor = splat(np.float32(1 / math.sqrt(float(dim))))
    if dim == _IN_REGISTERS:
        for _ in range(n_tokens):
            _turn_in_registers(to, LANES * column_step, factor)
            to += row_step
        return
    for _ in range(n_tokens):
        for at in range(0, dim, LANES):
            place = to + at * column_step
            store(place, butterfly(load(place)))
        step = LANES
        while step < dim:
            for run in range(0, dim, 2 * step):
                for at in range(run, run + step, LANES):
                    low = to + at * column_step
                    high = low + step * column_step
                    one, other = load(low), load(high)
                    store(low, one + other)
                    store(high, one - other)
            step *= 2
        for at in range(0, dim, LANES):
            place = to + at * column_step
            store(place, rounded_to_half(load(place) * factor))
        to += row_step


@njit(cache=True, nogil=True)
def widen_int4_keys(part, scales, heads, head, tokens, to, steps):
    """Write one head's keys as float32; see `kv_tile.widen`.

    Keys and values are functions of their own: a reader of one of them does not compile the other.

    Parameters
    ----------
    part, scales : int   addresses of a layer's numbers, and of its offsets, which steps follow
    heads : Heads        ``dim`` is a multiple of 16
    """
    _widen_channels(part, scales, heads, head, tokens, to, steps, False)


@njit(cache=True, nogil=True)
def widen_int4_values(part, scales, heads, head, tokens, to, steps):
    """Write one head's values, as `widen_int4_keys` does its keys."""
    _widen_groups(part, scales, heads, head, tokens, to, steps, False)


@njit(cache=True, nogil=True)
def widen_rotated_keys(part, scales, heads, head, tokens, to, steps):
    """Write one head's keys, rotated back; ``dim`` is a power of two."""
    _widen_channels(part, scales, heads, head, tokens, to, steps, True)
    _turn_back(tokens[1], to, steps, heads.dim)


@njit(cache=True, nogil=True)
def widen_rotated_values(part, scales, heads, head, tokens, to, steps):
    """Write one head's values, rotated back; ``dim`` is a power of two."""
    _widen_groups(part, scales, heads, head, tokens, to, steps, True)
    _turn_back(tokens[1], to, steps, heads.dim)
