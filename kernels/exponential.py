"""Raise e to eight float32 at once, the same on every machine.

Follows: Cephes' expf: split off a power of two, then a polynomial of degree 5; 2 units in the last
place. The C library's would be called lane by lane, and differs between libraries.
Leaves out: results below the smallest normal float32, which become 0; infinity and NaN, as
arguments above 88.3 are taken for 88.3.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels.record import Kernel, register
from kernels.vector_memory import load, store
from kernels.vectors import (
    LANES,
    fused,
    larger,
    power_of_two,
    rounded,
    smaller,
    splat,
    zero_below,
    zeros,
)

_LOWEST, _HIGHEST = np.float32(-87.3), np.float32(88.3)
_LOG2_E = np.float32(1.44269504)
# ln 2 in two parts: multiples of the first are exact.
_LN2_HIGH, _LN2_LOW = np.float32(-0.693359375), np.float32(2.12194440e-4)
_C0, _C1, _C2 = (
    np.float32(1.9875691500e-4),
    np.float32(1.3981999507e-3),
    np.float32(8.3334519073e-3),
)
_C3, _C4, _C5 = (
    np.float32(4.1665795894e-2),
    np.float32(1.6666665459e-1),
    np.float32(5.0000001201e-1),
)
_ONE = np.float32(1)


@njit(cache=True, nogil=True, forceinline=True)
def exponential(x):
    """Return e to the power of each lane of a `Float8`; 0 below -87.3."""
    bounded = smaller(larger(x, splat(_LOWEST)), splat(_HIGHEST))
    power = rounded(bounded * splat(_LOG2_E))
    rest = fused(power, splat(_LN2_LOW), fused(power, splat(_LN2_HIGH), bounded))
    # In pairs: five steps one after the other would take longer than all else here.
    square = rest * rest
    series = fused(fused(splat(_C0), rest, splat(_C1)), square, fused(splat(_C2), rest, splat(_C3)))
    series = fused(series, square, fused(splat(_C4), rest, splat(_C5)))
    result = fused(series, square, rest + splat(_ONE))
    return zero_below(result * power_of_two(power), x, _LOWEST)


def reference(values: np.ndarray, out: np.ndarray) -> None:
    """Write e to the power of each value.

    Parameters
    ----------
    values : float32[n]   read
    out : float32[n]      written
    """
    out[:] = np.where(values < _LOWEST, 0, np.exp(values.astype(np.float64)))


def numpy(values, out):
    """Take NumPy's float32 exponential."""
    np.exp(values, out=out)
    out[values < _LOWEST] = 0


@njit(cache=True, nogil=True)
def _vectors(values, out):
    places, whole = values.ctypes.data, values.size - values.size % LANES
    for index in range(0, whole, LANES):
        store(out.ctypes.data + 4 * index, exponential(load(places + 4 * index)))
    if whole < values.size:
        # The last few go through a vector of their own.
        rest = np.zeros(LANES, np.float32)
        for index in range(whole, values.size):
            rest[index - whole] = values[index]
        store(rest.ctypes.data, exponential(load(rest.ctypes.data)) + zeros())
        for index in range(whole, values.size):
            out[index] = rest[index - whole]


def njit_vectors(values, out):
    """Compute eight at a time."""
    for name, array in (("values", values), ("out", out)):
        if array.dtype != np.float32 or array.ndim != 1 or not array.flags.c_contiguous:
            raise ValueError(f"{name} is {array.dtype}{list(array.shape)}; pass contiguous float32")
    if out.size != values.size:
        raise ValueError(f"out has {out.size} values, values {values.size}")
    _vectors(values, out)


def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values between -100 and 88, the limits among them, and zeros to write to."""
    values = rng.uniform(-100, 88, size).astype(np.float32)
    for place, value in enumerate((0.0, -87.3, -87.4, -np.inf, -1e-30)):
        values[place + 1 : place + 2] = value
    return values, np.zeros(size, np.float32)


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=3e-7)


def bytes_moved(values: np.ndarray, out: np.ndarray) -> int:
    """Return the bytes read plus written."""
    return values.nbytes + out.nbytes


KERNEL = register(
    Kernel(
        name="exponential",
        reference=reference,
        baseline="numpy",
        variants={"numpy": numpy, "njit_vectors": njit_vectors},
        make_inputs=make_inputs,
        outputs=(1,),
        check=_close,
        bytes_moved=bytes_moved,
        sizes=(0, 1, 7, 8, 9, 1001),
    )
)
