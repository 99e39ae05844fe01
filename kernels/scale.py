"""Choose the float16 scale that whole numbers share, and count with it.

Follows: symmetric quantisation by the largest magnitude, value = whole number * scale; the scale is
rounded up, so that the largest value never falls beyond the last whole number.
Leaves out: rounding values (rounding.py) and where scales lie (quantize.py, block_quantize.py).

A group that holds a NaN or an infinity, or whose scale would be infinite (float32 beyond 8
million), gets NaN for its scale and zeros for its values: it reads back as NaN, never as a wrong
number.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.half import float_to_half, half_to_float

NAN_BITS = np.uint16(0x7E00)
# Largest whole numbers. The last step below (-128, -8) stays unused, so that signs are alike.
INT8_STEPS, INT4_STEPS = 127, 7

_INFINITY_BITS = 0x7C00
_HALF_MAGNITUDE, _FLOAT_MAGNITUDE = np.uint16(0x7FFF), np.uint32(0x7FFFFFFF)


@njit(cache=True, nogil=True)
def largest_half(values):
    """Return the largest magnitude among float16 bits, as float32; NaN if there is one.

    Magnitudes are compared as whole numbers, which order as the values do, NaNs above all.
    """
    largest = np.uint16(0)
    for index in range(values.size):
        largest = max(largest, np.uint16(values[index] & _HALF_MAGNITUDE))
    return half_to_float(largest)


@njit(cache=True, nogil=True)
def largest_float(values):
    """Return the largest magnitude among float32 values' bits (uint32); NaN if there is one."""
    largest = np.uint32(0)
    for index in range(values.size):
        largest = max(largest, np.uint32(values[index] & _FLOAT_MAGNITUDE))
    return np.uint32(largest).view(np.float32)


@njit(cache=True, nogil=True)
def largest_magnitude(values):
    """Return the largest magnitude, float32, of 1-D float32 values or float16 bits (uint16)."""
    if values.itemsize == 2:
        return largest_half(values.view(np.uint16))
    return largest_float(values.view(np.uint32))


@njit(cache=True, nogil=True)
def scale_of(largest, step):
    """Return the bits of the scale for a largest magnitude; ``step`` is ``float32(1 / steps)``."""
    wanted = np.float32(largest * step)
    bits = float_to_half(wanted)
    if half_to_float(bits) < wanted:
        bits = np.uint16(bits + np.uint16(1))
    return NAN_BITS if bits >= _INFINITY_BITS else bits


@njit(cache=True, nogil=True)
def inverse_of(bits):
    """Return what values are multiplied with; 0 where all of them become 0."""
    scale = half_to_float(bits)
    return np.float32(1) / scale if scale > 0 else np.float32(0)
