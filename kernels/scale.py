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


@njit(cache=True, nogil=True)
def scale_of(largest, step):
    """Return the bits of the scale for a largest magnitude; ``step`` is ``float32(1 / steps)``."""
    wanted = np.float32(largest * step)
    bits = float_to_half(wanted)
    if half_to_float(bits) < wanted:
        bits = np.uint16(bits + np.uint16(1))
    return NAN_BITS if bits >= _INFINITY_BITS else bits


@njit(cache=True, nogil=True, error_model="numpy")
def inverse_of(bits):
    """Return what values are multiplied with; 0 where all of them become 0.

    NumPy's error model spares the check for a division by zero, which cannot happen.
    """
    scale = half_to_float(bits)
    return np.float32(1) / scale if scale > 0 else np.float32(0)


def whole_numbers(floats: np.ndarray, step: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Return the whole numbers of float32[n_groups, group_values], and their scales, in NumPy.

    The definition that the compiled functions above are held against.

    Returns
    -------
    numbers : float32[n_groups, group_values]   to be converted to what they are kept as
    scales : float16[n_groups]
    """
    wanted = np.abs(floats).max(axis=1, initial=0) * step
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scales = wanted.astype(np.float16)
        scales = np.where(scales < wanted, np.nextafter(scales, np.float16(np.inf)), scales)
    scales[~np.isfinite(scales)] = np.nan
    usable = scales > 0
    inverse = np.zeros(scales.shape, np.float32)
    inverse[usable] = np.float32(1) / scales[usable].astype(np.float32)
    return np.rint(np.where(usable[:, None], floats, 0) * inverse[:, None]), scales
