"""Quantise float32 tokens to int4 with an offset and a step a channel, and restore them.

Follows: int4.py's rule over all tokens of a block, as KIVI has it for keys; a byte holds the same
channel of a token in the first half of the block and of one in the second, so that every loop walks
along channels in vectors.
Leaves out: a step a token and head (int4_rows.py); float16, which hadamard.py widens and narrows.
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.half import float_to_half, half_to_float, magnitude_bits
from kernels.int4 import INFINITY_BITS, count, number_of, step_of
from kernels.int4_rows import _same_values, bytes_moved
from kernels.record import Kernel, exact, register
from kernels.rounding import round_to_int8
from kernels.scale import inverse_of

_ZERO = np.float32(0)
_TOY_CHANNELS = (1, 6, 64, 33)  # chosen by size in turn


def reference(numbers, offsets, steps, source):
    """Quantise each channel, two tokens a byte.

    Parameters
    ----------
    numbers : uint8[n_tokens / 2, n_channels]   written: the first tokens in low nibbles
    offsets, steps : uint16[n_channels]         written, float16 bits
    source : float32[n_tokens, n_channels]      an even number of tokens

    Errors and what is not finite are as in int4_rows.py.
    """
    half = len(source) // 2
    for channel in range(source.shape[1]):
        one = slice(channel, channel + 1)
        found, offsets[one], steps[one] = count(np.ascontiguousarray(source[:, one].T))
        numbers[:, channel] = found[0, :half] | found[0, half:] << 4


def numpy(numbers, offsets, steps, source):
    """Quantise all channels at once with NumPy, through a transposed copy."""
    half = len(source) // 2
    found, offsets[:], steps[:] = count(np.ascontiguousarray(source.T))
    numbers[:] = (found[:, :half] | found[:, half:] << 4).T


@njit(cache=True, nogil=True)
def njit_rows(numbers, offsets, steps, source):
    """Walk along tokens twice, all channels of one at a time: both loops are vectorised."""
    n_tokens, n_channels = source.shape
    half = n_tokens // 2
    lows, highs = source[0].copy(), source[0].copy()
    largest = np.zeros(n_channels, np.uint32)
    for token in range(n_tokens):
        for channel in range(n_channels):
            value = source[token, channel]
            lows[channel] = min(lows[channel], value)
            highs[channel] = max(highs[channel], value)
            largest[channel] = max(largest[channel], magnitude_bits(value))
    inverses = highs
    for channel in range(n_channels):
        wrong = np.float32(largest[channel] >= INFINITY_BITS)
        if wrong != 0:
            lows[channel] = highs[channel] = _ZERO
        offsets[channel] = float_to_half(lows[channel])
        steps[channel] = step_of(offsets[channel], highs[channel], wrong)
        inverses[channel] = inverse_of(steps[channel])
        # Where nothing is counted the offset may be infinite.
        lows[channel] = half_to_float(offsets[channel]) if inverses[channel] > 0 else _ZERO
    for token in range(half):
        for channel in range(n_channels):
            low, inverse = lows[channel], inverses[channel]
            first, second = source[token, channel], source[token + half, channel]
            # A NaN must not reach the rounding.
            first = first if inverse > 0 else low
            second = second if inverse > 0 else low
            one = round_to_int8(number_of(first, low, inverse))
            other = round_to_int8(number_of(second, low, inverse))
            numbers[token, channel] = np.uint8(one | other << 4)


def restore_reference(restored, numbers, offsets, steps):
    """Write ``offset + number * step`` for every channel.

    Parameters
    ----------
    restored : float32[n_tokens, n_channels]   written
    numbers, offsets, steps                    as `reference` wrote them
    """
    half = len(numbers)
    offset, step = (part.view(np.float16).astype(np.float32) for part in (offsets, steps))
    for token in range(half):
        restored[token] = offset + (numbers[token] & 15).astype(np.float32) * step
        restored[token + half] = offset + (numbers[token] >> 4).astype(np.float32) * step


def restore_numpy(restored, numbers, offsets, steps):
    """Restore all tokens at once with NumPy."""
    half = len(numbers)
    offset, step = (part.view(np.float16).astype(np.float32) for part in (offsets, steps))
    restored[:half] = offset + (numbers & 15).astype(np.float32) * step
    restored[half:] = offset + (numbers >> 4).astype(np.float32) * step


@njit(cache=True, nogil=True)
def restore_njit(restored, numbers, offsets, steps):
    """Restore token by token in plain loops, which LLVM vectorises."""
    half, n_channels = numbers.shape
    offset, step = np.empty(n_channels, np.float32), np.empty(n_channels, np.float32)
    for channel in range(n_channels):
        offset[channel] = half_to_float(offsets[channel])
        step[channel] = half_to_float(steps[channel])
    for token in range(half):
        for channel in range(n_channels):
            number = np.float32(numbers[token, channel] & 15)
            restored[token, channel] = offset[channel] + number * step[channel]
        for channel in range(n_channels):
            number = np.float32(numbers[token, channel] >> 4)
            restored[token + half, channel] = offset[channel] + number * step[channel]


def checked(kernel, is_restoring):
    """Return a kernel that refuses mismatched arrays."""

    @wraps(kernel)
    def run(first, *others):
        values, numbers = (first, others[0]) if is_restoring else (others[-1], first)
        if values.ndim != 2 or len(values) % 2:
            raise ValueError(
                f"values are {values.dtype}{list(values.shape)}; pass float32 [an even number of "
                "tokens, n_channels]"
            )
        n_tokens, n_channels = values.shape
        expect("values", values, values.shape, np.dtype(np.float32))
        expect("numbers", numbers, (n_tokens // 2, n_channels), np.dtype(np.uint8))
        for name, part in zip(
            ("offsets", "steps"), others[1:3] if is_restoring else others[:2], strict=True
        ):
            expect(name, part, (n_channels,), np.dtype(np.uint16))
        if values.size:
            kernel(first, *others)

    return run


def make_inputs(rng, size):
    """Return zeroed outputs and ``2 * size`` tokens, some channels constant, huge or not finite."""
    n_channels = _TOY_CHANNELS[size % len(_TOY_CHANNELS)]
    factors = rng.choice([0, 1e-6, 1e-3, 1, 1, 1, 1e4], n_channels)
    source = rng.standard_normal((2 * size, n_channels)) * factors + rng.integers(-3, 4, n_channels)
    source = source.astype(np.float32)
    wrong = rng.random(n_channels) < 0.2
    if size:
        rows = rng.integers(0, 2 * size)
        source[rows, wrong] = rng.choice([np.nan, np.inf, -np.inf, 1e5], np.count_nonzero(wrong))
    numbers = np.zeros((size, n_channels), np.uint8)
    return numbers, np.zeros(n_channels, np.uint16), np.zeros(n_channels, np.uint16), source


def make_restored(rng, size):
    """Return zeroed values and what the quantiser makes of random tokens."""
    numbers, offsets, steps, source = make_inputs(rng, size)
    numpy(numbers, offsets, steps, source)
    return np.zeros_like(source), numbers, offsets, steps


QUANTIZE = register(
    Kernel(
        name="quantize_int4_channels",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(numpy, False), "njit": checked(njit_rows, False)},
        make_inputs=make_inputs,
        outputs=(0, 1, 2),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 7, 32, 33),
    )
)
RESTORE = register(
    Kernel(
        name="dequantize_int4_channels",
        reference=restore_reference,
        baseline="numpy",
        variants={"numpy": checked(restore_numpy, True), "njit": checked(restore_njit, True)},
        make_inputs=make_restored,
        outputs=(0,),
        check=_same_values,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 7, 32, 33),
    )
)
