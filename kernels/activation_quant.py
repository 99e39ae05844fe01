"""Quantise activations to int8, a scale for every 32 of them and the sum that minima need.

Follows: ggml's Q8_1 with float32 scales: value = scale * int8, scale = largest magnitude / 127.
Leaves out: rows that are no multiple of 32; the caller pads them with zeros.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.dot import BLOCK
from kernels.matvec import Activations, address_of
from kernels.record import Kernel, register
from kernels.vector_memory import load, store_float, store_int8s
from kernels.vectors import LANES, larger, largest_of, magnitude, nearest, splat, sum_of, to_float

_TOP = np.float32(127)
_ZERO = np.float32(0)
_LEAST = np.float32(1e-30)  # below it 127 / peak would be infinite; such a block becomes zeros


@njit(cache=True, nogil=True)
def _quantize_block(source, values, scale, sum_):
    """Quantise the 32 float32 at an address; all four are addresses."""
    a, b = load(source), load(source + 4 * LANES)
    c, d = load(source + 8 * LANES), load(source + 12 * LANES)
    peaks = larger(larger(magnitude(a), magnitude(b)), larger(magnitude(c), magnitude(d)))
    peak = largest_of(peaks)
    if peak < _LEAST:
        peak = _ZERO
    inverse = splat(_TOP / peak if peak > _ZERO else _ZERO)
    a8, b8 = nearest(a * inverse), nearest(b * inverse)
    c8, d8 = nearest(c * inverse), nearest(d * inverse)
    store_int8s(values, a8)
    store_int8s(values + LANES, b8)
    store_int8s(values + 2 * LANES, c8)
    store_int8s(values + 3 * LANES, d8)
    # Whole numbers below 2**24: their sum is exact in any order.
    total = sum_of((to_float(a8) + to_float(b8)) + (to_float(c8) + to_float(d8)))
    store_float(scale, peak / _TOP)
    store_float(sum_, peak / _TOP * total)


@njit(cache=True, nogil=True)
def quantize(activations, first, last):
    """Quantise the tokens ``first`` to ``last`` from the floats of `matvec.Activations`."""
    n_blocks = activations.stride // BLOCK
    for at in range(first * n_blocks, last * n_blocks):
        source, values = activations.floats + at * 4 * BLOCK, activations.values + at * BLOCK
        _quantize_block(source, values, activations.scales + at * 4, activations.sums + at * 4)


def reference(floats: np.ndarray, values: np.ndarray, scales: np.ndarray, sums: np.ndarray) -> None:
    """Quantise rows of activations.

    Parameters
    ----------
    floats : float32[n_tokens, n_values]        read; n_values a multiple of 32
    values : int8[n_tokens, n_values]           written, -127..127
    scales : float32[n_tokens, n_values / 32]   written; 0 for a block of zeros
    sums : float32[n_tokens, n_values / 32]     written: scale times the block's sum of int8
    """
    blocks = floats.reshape(*scales.shape, BLOCK)
    peaks = np.abs(blocks).max(axis=2)
    peaks[peaks < _LEAST] = 0
    inverse = np.divide(_TOP, peaks, out=np.zeros_like(peaks), where=peaks > 0)
    rounded = np.rint(blocks * inverse[..., None])
    values[:] = rounded.reshape(values.shape).astype(np.int8)
    scales[:] = peaks / _TOP
    sums[:] = scales * rounded.sum(axis=2)


def njit_blocks(floats, values, scales, sums):
    """Quantise block by block in vectors of eight."""
    n_tokens, n_values = floats.shape
    expected = {
        "floats": (floats, np.float32, (n_tokens, n_values // BLOCK * BLOCK)),
        "values": (values, np.int8, (n_tokens, n_values)),
        "scales": (scales, np.float32, (n_tokens, n_values // BLOCK)),
        "sums": (sums, np.float32, (n_tokens, n_values // BLOCK)),
    }
    for name, (array, dtype, shape) in expected.items():
        if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, contiguous: "
                f"{array.flags.c_contiguous}; pass {np.dtype(dtype)}{list(shape)}"
            )
    places = [address_of(array) for array in (values, scales, sums, floats)]
    quantize(Activations(*places, n_values, n_values, n_tokens), 0, n_tokens)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    """Return ``size`` rows of 96 activations; blocks of zeros and of tiny values among them."""
    floats = rng.standard_normal((size, 96), dtype=np.float32)
    floats[1::3, :BLOCK] = 0
    floats[2::3, BLOCK : 2 * BLOCK] *= np.float32(1e-35)
    floats[::2] *= 1000
    scales = np.zeros((size, 96 // BLOCK), np.float32)
    return floats, np.zeros((size, 96), np.int8), scales, scales.copy()


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def bytes_moved(floats, values, scales, sums) -> int:
    """Return the bytes read plus written."""
    return floats.nbytes + values.nbytes + scales.nbytes + sums.nbytes


KERNEL = register(
    Kernel(
        name="activation_quant",
        reference=reference,
        baseline="numpy",
        variants={"numpy": reference, "njit_blocks": njit_blocks},
        make_inputs=make_inputs,
        outputs=(1, 2, 3),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 2, 7, 33),
    )
)
