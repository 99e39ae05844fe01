"""Restore float16 from int8 and scales: one scale a group (a token's head), or one a channel.

Follows: quantize.py and quantize_channels.py, whose outputs these kernels read; what they write is
float16 bits again, so that attention and the hot tier need not know that a codec was there.
Leaves out: attention straight over int8 (attention.py), int4 (int4_rows.py, int4_channels.py).
"""

from __future__ import annotations

from functools import wraps

import numpy as np
from numba import njit

from kernels import quantize, quantize_channels
from kernels.array_check import expect
from kernels.half import float_to_half, half_to_float
from kernels.record import Kernel, exact, register
from kernels.simd import LINE_BYTES, address_of, store_fence
from kernels.vector_memory import load_int8s, store_halves_nontemporal
from kernels.vectors import LANES, splat

_HALF_BYTES = 2
_LINE_VALUES = LINE_BYTES // _HALF_BYTES


def reference(restored, values, scales):
    """Write ``value * scale`` for every group, rounded to float16.

    Parameters
    ----------
    restored : uint16[n_groups, group_values]   written, float16 bits
    values : int8[n_groups, group_values]
    scales : uint16[n_groups]                   float16 bits
    """
    for group in range(len(values)):
        restored[group] = _narrowed(values[group], scales[group : group + 1])


def channels_reference(restored, values, scales):
    """Write ``value * scale`` for every channel, rounded to float16.

    Parameters
    ----------
    restored : uint16[n_tokens, n_channels]   written, float16 bits
    values : int8[n_tokens, n_channels]
    scales : uint16[n_channels]               float16 bits
    """
    for token in range(len(values)):
        restored[token] = _narrowed(values[token], scales)


def _narrowed(values, scales):
    floats = values.astype(np.float32) * scales.view(np.float16).astype(np.float32)
    with np.errstate(over="ignore"):
        return floats.astype(np.float16).view(np.uint16)


def numpy_groups(restored, values, scales):
    """Restore all groups at once with NumPy."""
    restored[:] = _narrowed(values, scales[:, None])


def numpy_channels(restored, values, scales):
    """Restore all tokens at once with NumPy."""
    restored[:] = _narrowed(values, scales)


@njit(cache=True, nogil=True)
def njit_groups(restored, values, scales):
    """Restore group by group in plain loops, which LLVM vectorises."""
    for group in range(values.shape[0]):
        scale = half_to_float(scales[group])
        for index in range(values.shape[1]):
            restored[group, index] = float_to_half(np.float32(values[group, index]) * scale)


@njit(cache=True, nogil=True)
def nontemporal_groups(restored, values, scales):
    """Restore a line of 32 at a time past the cache, if groups are whole lines on the grid.

    Ordinary stores read what they overwrite, which is as many bytes again as are written.
    """
    n_groups, group_values = values.shape
    to, start = address_of(restored), address_of(values)
    if to % LINE_BYTES or group_values % _LINE_VALUES:
        njit_groups(restored, values, scales)
        return
    for group in range(n_groups):
        scale = splat(half_to_float(scales[group]))
        for index in range(0, group_values, _LINE_VALUES):
            place = start + index
            store_halves_nontemporal(
                to + _HALF_BYTES * index,
                load_int8s(place) * scale,
                load_int8s(place + LANES) * scale,
                load_int8s(place + 2 * LANES) * scale,
                load_int8s(place + 3 * LANES) * scale,
            )
        to += _HALF_BYTES * group_values
        start += group_values
    store_fence()


@njit(cache=True, nogil=True)
def njit_channels(restored, values, scales):
    """Restore token by token in plain loops, which LLVM vectorises; scales are widened once."""
    wide = np.empty(scales.shape[0], np.float32)
    for channel in range(scales.shape[0]):
        wide[channel] = half_to_float(scales[channel])
    for token in range(values.shape[0]):
        for channel in range(values.shape[1]):
            product = np.float32(values[token, channel]) * wide[channel]
            restored[token, channel] = float_to_half(product)


def checked(restore, scales_axis):
    """Return a kernel that refuses mismatched arrays; ``scales_axis`` has one scale an index."""

    @wraps(restore)
    def run(restored, values, scales):
        if values.ndim != 2:
            raise ValueError(f"values are {values.dtype}{list(values.shape)}; pass int8 [n, m]")
        expect("values", values, values.shape, np.dtype(np.int8))
        expect("restored", restored, values.shape, np.dtype(np.uint16))
        expect("scales", scales, (values.shape[scales_axis],), np.dtype(np.uint16))
        if values.size:
            restore(restored, values, scales)

    return run


def make_groups(rng, size):
    """Return zeroed float16 bits and what `quantize_int8` makes of random groups."""
    values, scales, source = quantize.make_inputs(rng, size, packed=1)
    quantize.int8_numpy(values, scales, source)
    return np.zeros_like(source), values, scales


def make_channels(rng, size):
    """Return zeroed float16 bits and what `quantize_int8_channels` makes of random tokens."""
    values, scales, source = quantize_channels.make_inputs(rng, size)
    quantize_channels.numpy(values, scales, source)
    return np.zeros_like(source), values, scales


def bytes_moved(restored, values, scales) -> int:
    """Return the bytes read plus written."""
    return restored.nbytes + values.nbytes + scales.nbytes


def _kernel(name, reference, variants, make_inputs, sizes) -> Kernel:
    return register(
        Kernel(
            name=name,
            reference=reference,
            baseline="numpy",
            variants=variants,
            make_inputs=make_inputs,
            outputs=(0,),
            check=exact,
            bytes_moved=bytes_moved,
            sizes=sizes,
        )
    )


GROUPS = _kernel(
    "dequantize_int8",
    reference,
    {
        "numpy": checked(numpy_groups, 0),
        "njit": checked(njit_groups, 0),
        "njit_nontemporal": checked(nontemporal_groups, 0),
    },
    make_groups,
    (0, 1, 2, 3, 4, 5, 33, 100),
)
CHANNELS = _kernel(
    "dequantize_int8_channels",
    channels_reference,
    {"numpy": checked(numpy_channels, 1), "njit": checked(njit_channels, 1)},
    make_channels,
    (0, 1, 2, 3, 7, 64, 65),
)
