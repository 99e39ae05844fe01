"""Count 4-bit numbers between a group's smallest and largest value: offset and step as float16.

Follows: asymmetric quantisation (KIVI): 16 numbers from the smallest value on. Keys' channels have
means far from zero, so the sixteen numbers of one range are worth twice those of -7 to 7.
Leaves out: packing and the loops over groups (int4_rows.py, int4_channels.py).

A group that holds a NaN or an infinity, or whose offset or step would be infinite, gets NaN for its
step: it reads back as NaN, never as a wrong number.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.half import float_to_half, half_to_float, magnitude_bits
from kernels.scale import NAN_BITS

LARGEST = 15
INFINITY_BITS = np.uint32(0x7F800000)  # of a float32
_LARGEST = np.float32(LARGEST)
_STEP = np.float32(1 / LARGEST)
_INFINITY_BITS = 0x7C00
_ZERO = np.float32(0)


@njit(cache=True, nogil=True)
def step_of(offset, largest, wrong):
    """Return the bits of the step from an offset (float16 bits) to a largest value.

    Rounded up, so that the largest value is not cut off. ``wrong`` is 0, or NaN for a group that
    cannot be counted.
    """
    # Below zero where the offset was rounded up past the largest value.
    wanted = max((largest - half_to_float(offset)) * _STEP, _ZERO)
    bits = float_to_half(wanted)
    if half_to_float(bits) < wanted:
        bits = np.uint16(bits + np.uint16(1))
    is_finite = bits < _INFINITY_BITS and magnitude_bits(offset) < _INFINITY_BITS and wrong == 0
    return bits if is_finite else NAN_BITS


@njit(cache=True, nogil=True)
def number_of(value, offset, inverse):
    """Return a value's number as float32, 0 to 15, not rounded; the inverse is not NaN."""
    return min(max((value - offset) * inverse, _ZERO), _LARGEST)


def count(floats: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers, offsets and steps of float32[n_groups, group_values], in NumPy.

    The definition that the compiled kernels are held against.

    Returns
    -------
    numbers : uint8[n_groups, group_values]   0 to 15; zeros where the step is 0 or NaN
    offsets, steps : uint16[n_groups]         float16 bits
    """
    if not floats.size:
        empty = np.zeros(len(floats), np.uint16)
        return np.zeros(floats.shape, np.uint8), empty, empty.copy()
    finite = np.isfinite(floats).all(axis=1)
    floats = np.where(finite[:, None], floats, np.float32(0))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        offsets = floats.min(axis=1).astype(np.float16)
        low = offsets.astype(np.float32)
        wanted = np.maximum((floats.max(axis=1) - low) * _STEP, _ZERO)
        steps = wanted.astype(np.float16)
        steps = np.where(steps < wanted, np.nextafter(steps, np.float16(np.inf)), steps)
        steps[~finite | ~np.isfinite(steps) | ~np.isfinite(low)] = np.nan
        usable = steps > 0
        inverse = np.zeros(steps.shape, np.float32)
        inverse[usable] = np.float32(1) / steps[usable].astype(np.float32)
        scaled = np.where(usable[:, None], floats - low[:, None], 0) * inverse[:, None]
    numbers = np.rint(np.clip(scaled, 0, _LARGEST)).astype(np.uint8)
    return numbers, offsets.view(np.uint16), steps.view(np.uint16)
