"""Quantise float16 tokens to int8 with one float16 scale a channel, over all of a block's tokens.

Follows: KIVI (arXiv 2402.02750): a key's large values stand in the same few channels of every
token, so a scale a channel spares all others; scale.py says what a scale is, NaNs included.
Leaves out: a scale a token and head (quantize.py), int4 (int4_channels.py).
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels.array_check import expect
from kernels.half import half_to_float, magnitude_bits
from kernels.record import Kernel, exact, register
from kernels.rounding import round_to_int8
from kernels.scale import INT8_STEPS, inverse_of, scale_of, whole_numbers

_STEP = np.float32(1 / INT8_STEPS)
TOY_CHANNELS = (1, 6, 64, 33)  # chosen by size in turn


def reference(values, scales, source):
    """Quantise each channel by its own scale.

    Parameters
    ----------
    values : int8[n_tokens, n_channels]     written, -127 to 127
    scales : uint16[n_channels]             written, float16 bits
    source : uint16[n_tokens, n_channels]   float16 bits

    A value is off by at most half its scale; a channel with a NaN or an infinity reads back as NaN.
    """
    for channel in range(source.shape[1]):
        floats = source[:, channel].view(np.float16).astype(np.float32)
        numbers, scale = whole_numbers(floats[None], _STEP)
        values[:, channel] = numbers[0]
        scales[channel] = scale.view(np.uint16)[0]


def numpy(values, scales, source):
    """Quantise all channels at once with NumPy, through a transposed copy."""
    floats = source.view(np.float16).astype(np.float32).T
    numbers, found = whole_numbers(floats, _STEP)
    values[:] = numbers.T
    scales[:] = found.view(np.uint16)


@njit(cache=True, nogil=True)
def njit_rows(values, scales, source):
    """Walk along tokens twice, all channels of one at a time: both loops are vectorised."""
    n_tokens, n_channels = source.shape
    largest = np.zeros(n_channels, np.uint16)
    for token in range(n_tokens):
        for channel in range(n_channels):
            largest[channel] = max(largest[channel], magnitude_bits(source[token, channel]))
    inverses = np.empty(n_channels, np.float32)
    for channel in range(n_channels):
        scales[channel] = scale_of(half_to_float(largest[channel]), _STEP)
        inverses[channel] = inverse_of(scales[channel])
    for token in range(n_tokens):
        for channel in range(n_channels):
            value, inverse = half_to_float(source[token, channel]), inverses[channel]
            # A NaN must not reach the rounding.
            scaled = value * inverse if inverse > 0 else np.float32(0)
            values[token, channel] = round_to_int8(scaled)


def checked(quantise):
    """Return a quantiser that refuses mismatched arrays."""

    @wraps(quantise)
    def run(values, scales, source):
        if source.ndim != 2 or source.dtype != np.uint16:
            raise ValueError(
                f"source is {source.dtype}{list(source.shape)}; pass the bits of float16, uint16 "
                "[n_tokens, n_channels]"
            )
        expect("source", source, source.shape, source.dtype)
        expect("values", values, source.shape, np.dtype(np.int8))
        expect("scales", scales, source.shape[1:], source.dtype)
        quantise(values, scales, source)

    return run


def make_inputs(rng, size):
    """Return zeroed outputs and ``size`` tokens; some channels zero, tiny, huge or not finite."""
    n_channels = TOY_CHANNELS[size % len(TOY_CHANNELS)]
    factors = rng.choice([0, 1e-6, 1e-3, 1, 1, 1, 1e4], n_channels)
    source = (rng.standard_normal((size, n_channels)) * factors).astype(np.float16)
    wrong = rng.random(n_channels) < 0.1
    if size:
        source[rng.integers(0, size), wrong] = rng.choice([np.nan, np.inf, -np.inf], wrong.sum())
    values = np.zeros((size, n_channels), np.int8)
    return values, np.zeros(n_channels, np.uint16), source.view(np.uint16)


def bytes_moved(values, scales, source) -> int:
    """Return the bytes read plus written; the source is read from memory once."""
    return values.nbytes + scales.nbytes + source.nbytes


KERNEL = register(
    Kernel(
        name="quantize_int8_channels",
        reference=reference,
        baseline="numpy",
        variants={"numpy": checked(numpy), "njit": checked(njit_rows)},
        make_inputs=make_inputs,
        outputs=(0, 1),
        check=exact,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 3, 7, 64, 65),
    )
)
