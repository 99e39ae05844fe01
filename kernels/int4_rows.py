"""Quantise groups of float32 values to int4 between their smallest and largest, and restore them.

Follows: int4.py's rule; packed as quantize.py packs, the first half of a group in the low nibbles
and the second in the high ones, so that unpacking needs no shuffle. A group is a token's head: what
KIVI does with values.
Leaves out: a step a channel (int4_channels.py); float16, which hadamard.py widens and narrows.
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.half import float_to_half, half_to_float
from kernels.int4 import count, number_of, step_of
from kernels.record import Kernel, exact, register
from kernels.rounding import round_to_int8
from kernels.scale import inverse_of
from kernels.simd import address_of
from kernels.vector_memory import load_high_nibbles, load_low_nibbles, store
from kernels.vectors import LANES, splat

_FLOAT_BYTES = 4

_ZERO = np.float32(0)
_TOY_GROUPS = (2, 32, 64, 6, 128)  # values a group, chosen by size in turn


def reference(numbers, offsets, steps, source):
    """Quantise each group, two values a byte.

    Parameters
    ----------
    numbers : uint8[n_groups, group_values / 2]   written: the first half in low nibbles
    offsets, steps : uint16[n_groups]             written, float16 bits
    source : float32[n_groups, group_values]      an even number a group

    A value is off by at most half a step and half the last bit of the offset; a group that is not
    finite, or beyond float16, reads back as NaN.
    """
    for group in range(len(source)):
        one = slice(group, group + 1)
        found, offsets[one], steps[one] = count(source[one])
        half = source.shape[1] // 2
        for index in range(half):
            numbers[group, index] = found[0, index] | found[0, index + half] << 4


def numpy(numbers, offsets, steps, source):
    """Quantise all groups at once with NumPy."""
    found, offsets[:], steps[:] = count(source)
    half = source.shape[1] // 2
    numbers[:] = found[:, :half] | found[:, half:] << 4


@njit(cache=True, nogil=True)
def njit_groups(numbers, offsets, steps, source):
    """Quantise group by group in plain loops, which LLVM vectorises."""
    half = source.shape[1] // 2
    lows, highs = np.empty(half, np.float32), np.empty(half, np.float32)
    for group in range(source.shape[0]):
        one = source[group]
        wrong = _ZERO
        # The two halves against each other first: vectors, where a running minimum would be none.
        for index in range(half):
            lows[index] = min(one[index], one[index + half])
            highs[index] = max(one[index], one[index + half])
        low, high = lows[0], highs[0]
        for index in range(half):
            low, high = min(low, lows[index]), max(high, highs[index])
        for index in range(source.shape[1]):
            if not np.abs(one[index]) < np.float32(np.inf):
                wrong = np.float32(1)
        if wrong != 0:
            low = high = _ZERO
        offsets[group] = float_to_half(low)
        steps[group] = step_of(offsets[group], high, wrong)
        offset, inverse = half_to_float(offsets[group]), inverse_of(steps[group])
        if inverse > 0:
            for index in range(half):
                first = round_to_int8(number_of(one[index], offset, inverse))
                second = round_to_int8(number_of(one[index + half], offset, inverse))
                numbers[group, index] = np.uint8(first | second << 4)
        else:  # a NaN must not reach the rounding
            numbers[group] = 0


def restore_reference(restored, numbers, offsets, steps):
    """Write ``offset + number * step`` for every group.

    Parameters
    ----------
    restored : float32[n_groups, group_values]   written
    numbers, offsets, steps                      as `reference` wrote them
    """
    half = numbers.shape[1]
    for group in range(len(numbers)):
        offset, step = (
            part[group : group + 1].view(np.float16).astype(np.float32)[0]
            for part in (offsets, steps)
        )
        for index in range(half):
            byte = numbers[group, index]
            restored[group, index] = offset + np.float32(byte & 15) * step
            restored[group, index + half] = offset + np.float32(byte >> 4) * step


def restore_numpy(restored, numbers, offsets, steps):
    """Restore all groups at once with NumPy."""
    half = numbers.shape[1]
    offset, step = (part.view(np.float16).astype(np.float32)[:, None] for part in (offsets, steps))
    restored[:, :half] = offset + (numbers & 15).astype(np.float32) * step
    restored[:, half:] = offset + (numbers >> 4).astype(np.float32) * step


@njit(cache=True, nogil=True)
def restore_njit(restored, numbers, offsets, steps):
    """Restore group by group in plain loops, which LLVM vectorises."""
    half = numbers.shape[1]
    for group in range(numbers.shape[0]):
        offset, step = half_to_float(offsets[group]), half_to_float(steps[group])
        for index in range(half):
            restored[group, index] = offset + np.float32(numbers[group, index] & 15) * step
        for index in range(half):
            restored[group, index + half] = offset + np.float32(numbers[group, index] >> 4) * step


@njit(cache=True, nogil=True)
def restore_vector(restored, numbers, offsets, steps):
    """Restore group by group, eight bytes at a time, if groups' halves are whole vectors."""
    n_groups, half = numbers.shape
    if half % LANES:
        restore_njit(restored, numbers, offsets, steps)
        return
    to, start = address_of(restored), address_of(numbers)
    for group in range(n_groups):
        offset, step = splat(half_to_float(offsets[group])), splat(half_to_float(steps[group]))
        for index in range(0, half, LANES):
            place = to + _FLOAT_BYTES * index
            store(place, offset + load_low_nibbles(start + index) * step)
            place += _FLOAT_BYTES * half
            store(place, offset + load_high_nibbles(start + index) * step)
        to += 2 * _FLOAT_BYTES * half
        start += half


def checked(kernel, is_restoring):
    """Return a kernel that refuses mismatched arrays."""

    @wraps(kernel)
    def run(first, *others):
        values, numbers = (first, others[0]) if is_restoring else (others[-1], first)
        if values.ndim != 2 or values.shape[1] % 2:
            raise ValueError(
                f"values are {values.dtype}{list(values.shape)}; pass float32 [n_groups, an even "
                "number]"
            )
        expect("values", values, values.shape, np.dtype(np.float32))
        expect("numbers", numbers, (len(values), values.shape[1] // 2), np.dtype(np.uint8))
        for name, part in zip(
            ("offsets", "steps"), others[1:3] if is_restoring else others[:2], strict=True
        ):
            expect(name, part, (len(values),), np.dtype(np.uint16))
        if values.size:
            kernel(first, *others)

    return run


def make_inputs(rng, size):
    """Return zeroed outputs and ``size`` groups, a few constant, tiny, huge or not finite."""
    group_values = _TOY_GROUPS[size % len(_TOY_GROUPS)]
    factors = rng.choice([0, 1e-6, 1e-3, 1, 1, 1, 1e4], (size, 1))
    source = rng.standard_normal((size, group_values)) * factors + rng.integers(-3, 4, (size, 1))
    source = source.astype(np.float32)
    wrong = rng.random(size) < 0.2
    source[wrong, 0] = rng.choice([np.nan, np.inf, -np.inf, 1e5], np.count_nonzero(wrong))
    numbers = np.zeros((size, group_values // 2), np.uint8)
    return numbers, np.zeros(size, np.uint16), np.zeros(size, np.uint16), source


def make_restored(rng, size):
    """Return zeroed values and what the quantiser makes of random groups."""
    numbers, offsets, steps, source = make_inputs(rng, size)
    numpy(numbers, offsets, steps, source)
    return np.zeros_like(source), numbers, offsets, steps


def bytes_moved(*arrays) -> int:
    """Return the bytes read plus written."""
    return sum(array.nbytes for array in arrays)


def _same_values(expected, got):
    """Assert the same bits, but for the payload of a NaN."""
    np.testing.assert_array_equal(got, expected)


QUANTIZE = register(
    Kernel(
        name="quantize_int4_rows",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(numpy, False), "njit": checked(njit_groups, False)},
        make_inputs=make_inputs,
        outputs=(0, 1, 2),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 33, 100),
    )
)
RESTORE = register(
    Kernel(
        name="dequantize_int4_rows",
        reference=restore_reference,
        baseline="numpy",
        variants={
            "numpy": checked(restore_numpy, True),
            "njit": checked(restore_njit, True),
            "njit_vector": checked(restore_vector, True),
        },
        make_inputs=make_restored,
        outputs=(0,),
        check=_same_values,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 4, 5, 33, 100),
    )
)
