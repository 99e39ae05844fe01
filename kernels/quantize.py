"""Quantise groups of float16 values to int8 or int4, one float16 scale a group, and back.

Follows: scale.py's rule; int4 as in ggml's Q4_0, offset by 8, the first half of a group in the low
nibbles and the second in the high ones, so that unpacking needs no shuffle.
Leaves out: KV blocks (block_quantize.py, which fuses int8 with the store), zero points.

A group is a head's values or a part of them: ``tokens.reshape(-1, group_values)`` of contiguous
tokens makes groups, and scales come out in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.half import as_float, half_to_float, magnitude_bits
from kernels.record import Kernel, exact, register
from kernels.rounding import (
    LINE_VALUES,
    int8_line,
    int8_line_nontemporal,
    largest_of,
    round_to_int8,
)
from kernels.scale import INT4_STEPS, INT8_STEPS, inverse_of, scale_of, whole_numbers
from kernels.simd import LINE_BYTES, address_of, prefetch, store_fence

Quantise = Callable[[np.ndarray, np.ndarray, np.ndarray], None]

INT4_OFFSET = 8
_RUN_GROUPS = 32
_ZEROS = np.zeros(LINE_VALUES, np.uint16)
_INT8_STEP, _INT4_STEP = np.float32(1 / INT8_STEPS), np.float32(1 / INT4_STEPS)
_TOY_GROUPS = (2, 32, 64, 6, 128, 70)  # values a group, chosen by size in turn


def checked(quantise: Quantise, packed: int) -> Quantise:
    """Return a quantiser that refuses mismatched arrays; a byte holds ``packed`` values."""

    @wraps(quantise)
    def run(values: np.ndarray, scales: np.ndarray, source: np.ndarray) -> None:
        if source.ndim != 2 or source.dtype != np.uint16 or source.shape[1] % packed:
            raise ValueError(
                f"source is {source.dtype}{list(source.shape)}; pass the bits of float16, uint16 "
                f"[n_groups, group_values], groups a multiple of {packed}"
            )
        n_groups, group_values = source.shape
        kind = np.dtype(np.int8 if packed == 1 else np.uint8)
        expect("source", source, source.shape, source.dtype)
        expect("values", values, (n_groups, group_values // packed), kind)
        expect("scales", scales, (n_groups,), source.dtype)
        if source.size:
            quantise(values, scales, source)

    return run


def _floats(source):
    return source.view(np.float16).astype(np.float32)


def int8_reference(values, scales, source):
    """Quantise each group to int8 by its own scale.

    Parameters
    ----------
    values : int8[n_groups, group_values]     written, -127 to 127
    scales : uint16[n_groups]                 written, float16 bits
    source : uint16[n_groups, group_values]   float16 bits

    A value is off by at most half its scale; a group with a NaN or an infinity reads back as NaN.
    """
    for group in range(len(source)):
        values[group : group + 1], scale = whole_numbers(
            _floats(source[group : group + 1]), _INT8_STEP
        )
        scales[group : group + 1] = scale.view(np.uint16)


def int8_numpy(values, scales, source):
    """Quantise all groups at once with NumPy."""
    values[:], found = whole_numbers(_floats(source), _INT8_STEP)
    scales[:] = found.view(np.uint16)


def int4_reference(values, scales, source):
    """Quantise each group to int4 by its own scale, two values a byte.

    Parameters
    ----------
    values : uint8[n_groups, group_values / 2]   written: value + 8, the first half in low nibbles
    scales : uint16[n_groups]                    written, float16 bits
    source : uint16[n_groups, group_values]      float16 bits, an even number a group

    Values lie between -7 and 7; errors and NaNs are as in `int8_reference`.
    """
    half = source.shape[1] // 2
    for group in range(len(source)):
        numbers, scale = whole_numbers(_floats(source[group : group + 1]), _INT4_STEP)
        for index in range(half):
            low, high = int(numbers[0, index]), int(numbers[0, index + half])
            values[group, index] = (low + INT4_OFFSET) | (high + INT4_OFFSET) << 4
        scales[group : group + 1] = scale.view(np.uint16)


def int4_numpy(values, scales, source):
    """Quantise all groups at once with NumPy."""
    numbers, found = whole_numbers(_floats(source), _INT4_STEP)
    nibbles = (numbers + INT4_OFFSET).astype(np.uint8)
    half = source.shape[1] // 2
    values[:] = nibbles[:, :half] | nibbles[:, half:] << 4
    scales[:] = found.view(np.uint16)


@njit(cache=True, nogil=True)
def _largest(source, group):
    most = magnitude_bits(source[group, 0])
    for index in range(source.shape[1]):
        most = max(most, magnitude_bits(source[group, index]))
    return as_float(most)


@njit(cache=True, nogil=True)
def int8_njit(values, scales, source):
    """Quantise group by group in plain loops, which LLVM vectorises."""
    for group in range(source.shape[0]):
        scales[group] = scale_of(_largest(source, group), _INT8_STEP)
        inverse = inverse_of(scales[group])
        if inverse > 0:
            for index in range(source.shape[1]):
                value = half_to_float(source[group, index])
                values[group, index] = round_to_int8(value * inverse)
        else:  # a NaN must not reach the rounding
            values[group] = 0


@njit(cache=True, nogil=True)
def int8_lines(values, scales, source):
    """Quantise groups of at least 64 values a line at a time; a group's last line may overlap.

    All of a run's largest magnitudes, then its scales, then its values: one group's three steps
    wait for each other, those of a run do not.
    """
    n_groups, group_values = source.shape
    if group_values < LINE_VALUES:
        int8_njit(values, scales, source)
        return
    start, to = address_of(source), address_of(values)
    largest, inverses = np.empty(_RUN_GROUPS, np.float32), np.empty(_RUN_GROUPS, np.float32)
    for first in range(0, n_groups, _RUN_GROUPS):
        n_run = min(_RUN_GROUPS, n_groups - first)
        for number in range(n_run):
            group = start + 2 * (first + number) * group_values
            largest[number] = as_float(largest_of(group, group_values, source))
        for number in range(n_run):
            bits = scale_of(largest[number], _INT8_STEP)
            scales[first + number] = bits
            inverses[number] = inverse_of(bits)
        for number in range(n_run):
            group = (first + number) * group_values
            if inverses[number] > 0:
                for index in range(0, group_values, LINE_VALUES):
                    place = group + min(index, group_values - LINE_VALUES)
                    int8_line(to + place, start + 2 * place, source, inverses[number])
            else:  # a NaN must not reach the rounding
                values[first + number] = 0


@njit(cache=True, nogil=True)
def int8_nontemporal(values, scales, source):
    """Quantise as `int8_lines` does, past the cache, if groups are whole lines on the grid.

    Asks for the next run's values meanwhile, whose largest are looked for next.
    """
    n_groups, group_values = source.shape
    start, to = address_of(source), address_of(values)
    if (to | group_values) % LINE_BYTES:
        int8_lines(values, scales, source)
        return
    largest, inverses = np.empty(_RUN_GROUPS, np.float32), np.empty(_RUN_GROUPS, np.float32)
    for first in range(0, n_groups, _RUN_GROUPS):
        n_run = min(_RUN_GROUPS, n_groups - first)
        for number in range(n_run):
            group = start + 2 * (first + number) * group_values
            largest[number] = as_float(largest_of(group, group_values, source))
        for number in range(n_run):
            bits = scale_of(largest[number], _INT8_STEP)
            scales[first + number] = bits
            inverses[number] = inverse_of(bits)
        for number in range(n_run):
            group = (first + number) * group_values
            for index in range(group, group + group_values, LINE_VALUES):
                # A NaN must not reach the rounding.
                line = start + 2 * index if inverses[number] > 0 else address_of(_ZEROS)
                soon = start + 2 * (index + _RUN_GROUPS * group_values)
                prefetch(soon)
                prefetch(soon + LINE_BYTES)
                int8_line_nontemporal(to + index, line, source, inverses[number])
    store_fence()


@njit(cache=True, nogil=True)
def int4_njit(values, scales, source):
    """Quantise group by group in plain loops, which LLVM vectorises."""
    half = source.shape[1] // 2
    for group in range(source.shape[0]):
        scales[group] = scale_of(_largest(source, group), _INT4_STEP)
        inverse = inverse_of(scales[group])
        if inverse > 0:
            for index in range(half):
                low = round_to_int8(half_to_float(source[group, index]) * inverse)
                high = round_to_int8(half_to_float(source[group, index + half]) * inverse)
                values[group, index] = np.uint8((low + INT4_OFFSET) | (high + INT4_OFFSET) << 4)
        else:
            values[group] = INT4_OFFSET | INT4_OFFSET << 4


def int8_values(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return float32[n_groups, group_values] of what `int8_reference` wrote."""
    return values * scales.view(np.float16).astype(np.float32)[:, None]


def int4_values(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return float32[n_groups, group_values] of what `int4_reference` wrote."""
    nibbles = np.concatenate([values & 0xF, values >> 4], axis=1).astype(np.float32)
    return (nibbles - INT4_OFFSET) * scales.view(np.float16).astype(np.float32)[:, None]


def make_inputs(rng, size, packed):
    """Return zeroed outputs and ``size`` groups of float16 bits, a few zero, tiny, huge or NaN."""
    group_values = _TOY_GROUPS[size % len(_TOY_GROUPS)]
    factors = rng.choice([0, 1e-6, 1e-3, 1, 1, 1, 1e4], (size, 1))
    source = (rng.standard_normal((size, group_values)) * factors).astype(np.float16)
    wrong = rng.random(size) < 0.1
    source[wrong, 0] = rng.choice([np.nan, np.inf, -np.inf], np.count_nonzero(wrong))
    values = np.zeros((size, group_values // packed), np.int8 if packed == 1 else np.uint8)
    return values, np.zeros(size, np.uint16), source.view(np.uint16)


def bytes_moved(values, scales, source) -> int:
    """Return the bytes read plus written."""
    return values.nbytes + scales.nbytes + source.nbytes


def _kernel(name, reference, variants, packed) -> Kernel:
    return register(
        Kernel(
            name=name,
            reference=reference,
            baseline="numpy",
            variants={name: checked(variant, packed) for name, variant in variants.items()},
            make_inputs=partial(make_inputs, packed=packed),
            outputs=(0, 1),
            check=exact,
            bytes_moved=bytes_moved,
            sizes=(0, 1, 2, 3, 4, 5, 33, 100),
        )
    )


INT8 = _kernel(
    "quantize_int8",
    int8_reference,
    {
        "numpy": int8_numpy,
        "njit": int8_njit,
        "njit_lines": int8_lines,
        "njit_nontemporal": int8_nontemporal,
    },
    1,
)
INT4 = _kernel("quantize_int4", int4_reference, {"numpy": int4_numpy, "njit": int4_njit}, 2)
